/* f32 and f64 instructions against plain C: every rounding, .ftz, .sat, order, signs, classes. */
#include <fenv.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/gpusim/probe.h"

enum { PLAIN = 0, FTZ = 1, SAT = 2 };

static float flushed(float x)
{
    return fpclassify(x) == FP_SUBNORMAL ? copysignf(0, x) : x;
}

/* Bits of an f32 result: flushed, cut to [0, 1] with NaN at 0, or with the one NaN of f32 instructions. */
static uint64_t finished(float r, int how)
{
    r = how & FTZ ? flushed(r) : r;
    if (how & SAT) {
        r = isnan(r) || r <= 0 ? 0 : r > 1 ? 1 : r;
    }
    return isnan(r) ? 0x7fffffff : probe_bits(r);
}

/* The volatile operands keep the arithmetic between the two settings of the rounding. */
#define ROUNDED(T, name, flush)                                                                              \
    static T name(char op, T x, T y, T z, int mode, int how)                                                 \
    {                                                                                                        \
        volatile T a = how & FTZ ? flush(x) : x, b = how & FTZ ? flush(y) : y, c = how & FTZ ? flush(z) : z; \
        volatile T r = 0;                                                                                    \
        fesetround(mode);                                                                                    \
        switch (op) {                                                                                        \
        case '+': r = a + b; break;                                                                          \
        case '-': r = a - b; break;                                                                          \
        case '*': r = a * b; break;                                                                          \
        case '/': r = a / b; break;                                                                          \
        case '1': r = 1 / a; break;                                                                          \
        case 'r': r = sizeof(T) == 4 ? (T)sqrtf((float)a) : (T)sqrt(a); break;                               \
        case 'f': r = sizeof(T) == 4 ? (T)fmaf((float)a, (float)b, (float)c) : (T)fma(a, b, c); break;       \
        }                                                                                                    \
        fesetround(FE_TONEAREST);                                                                            \
        return r;                                                                                            \
    }
ROUNDED(float, rounded, flushed)
ROUNDED(double, rounded64, fabs)

static uint64_t f32(char op, uint64_t a, uint64_t b, uint64_t c, int mode, int how)
{
    return finished(rounded(op, probe_float(a), probe_float(b), probe_float(c), mode, how), how);
}

static uint64_t f64(char op, uint64_t a, uint64_t b, uint64_t c, int mode)
{
    return probe_bits64(rounded64(op, probe_double(a), probe_double(b), probe_double(c), mode, PLAIN));
}

#define F32_MODS(ROUND, MODE, MODS, HOW)                                                                     \
    PROBE("add" ROUND MODS ".f32 $d, $a, $b", 'w', "ff", f32('+', a, b, c, MODE, HOW))                       \
    PROBE("sub" ROUND MODS ".f32 $d, $a, $b", 'w', "ff", f32('-', a, b, c, MODE, HOW))                       \
    PROBE("mul" ROUND MODS ".f32 $d, $a, $b", 'w', "ff", f32('*', a, b, c, MODE, HOW))
#define F32_FMA(ROUND, MODE, MODS, HOW)                                                                      \
    PROBE("fma" ROUND MODS ".f32 $d, $a, $b, $c", 'w', "fff", f32('f', a, b, c, MODE, HOW))                  \
    PROBE("mad" ROUND MODS ".f32 $d, $a, $b, $c", 'w', "fff", f32('f', a, b, c, MODE, HOW))
#define F32_ROUND(ROUND, MODE)                                                                               \
    F32_MODS(ROUND, MODE, "", PLAIN)                                                                         \
    F32_MODS(ROUND, MODE, ".ftz", FTZ)                                                                       \
    F32_MODS(ROUND, MODE, ".sat", SAT)                                                                       \
    F32_MODS(ROUND, MODE, ".ftz.sat", FTZ | SAT)                                                             \
    F32_FMA(ROUND, MODE, "", PLAIN)                                                                          \
    F32_FMA(ROUND, MODE, ".ftz", FTZ)                                                                        \
    F32_FMA(ROUND, MODE, ".sat", SAT)                                                                        \
    F32_FMA(ROUND, MODE, ".ftz.sat", FTZ | SAT)                                                              \
    PROBE("div" ROUND ".f32 $d, $a, $b", 'w', "ff", f32('/', a, b, c, MODE, PLAIN))                          \
    PROBE("div" ROUND ".ftz.f32 $d, $a, $b", 'w', "ff", f32('/', a, b, c, MODE, FTZ))                        \
    PROBE("rcp" ROUND ".f32 $d, $a", 'w', "f", f32('1', a, b, c, MODE, PLAIN))                               \
    PROBE("rcp" ROUND ".ftz.f32 $d, $a", 'w', "f", f32('1', a, b, c, MODE, FTZ))                             \
    PROBE("sqrt" ROUND ".f32 $d, $a", 'w', "f", f32('r', a, b, c, MODE, PLAIN))                              \
    PROBE("sqrt" ROUND ".ftz.f32 $d, $a", 'w', "f", f32('r', a, b, c, MODE, FTZ))
#define F64_ROUND(ROUND, MODE)                                                                               \
    PROBE("add" ROUND ".f64 $d, $a, $b", 'F', "FF", f64('+', a, b, c, MODE))                                 \
    PROBE("sub" ROUND ".f64 $d, $a, $b", 'F', "FF", f64('-', a, b, c, MODE))                                 \
    PROBE("mul" ROUND ".f64 $d, $a, $b", 'F', "FF", f64('*', a, b, c, MODE))                                 \
    PROBE("fma" ROUND ".f64 $d, $a, $b, $c", 'F', "FFF", f64('f', a, b, c, MODE))                            \
    PROBE("mad" ROUND ".f64 $d, $a, $b, $c", 'F', "FFF", f64('f', a, b, c, MODE))                            \
    PROBE("div" ROUND ".f64 $d, $a, $b", 'F', "FF", f64('/', a, b, c, MODE))                                 \
    PROBE("rcp" ROUND ".f64 $d, $a", 'F', "F", f64('1', a, b, c, MODE))                                      \
    PROBE("sqrt" ROUND ".f64 $d, $a", 'F', "F", f64('r', a, b, c, MODE))
F32_ROUND(".rn", FE_TONEAREST)
F32_ROUND(".rz", FE_TOWARDZERO)
F32_ROUND(".rm", FE_DOWNWARD)
F32_ROUND(".rp", FE_UPWARD)
F32_MODS("", FE_TONEAREST, "", PLAIN)
F32_MODS("", FE_TONEAREST, ".ftz", FTZ)
F64_ROUND(".rn", FE_TONEAREST)
F64_ROUND(".rz", FE_TOWARDZERO)
F64_ROUND(".rm", FE_DOWNWARD)
F64_ROUND(".rp", FE_UPWARD)
PROBE("add.f64 $d, $a, $b", 'F', "FF", f64('+', a, b, c, FE_TONEAREST))
PROBE("mul.f64 $d, $a, $b", 'F', "FF", f64('*', a, b, c, FE_TONEAREST))
PROBE("add.f32 $d, $a, 0f40490FDB", 'w', "f", f32('+', a, 0x40490fdb, c, FE_TONEAREST, PLAIN))
PROBE("fma.rn.f32 $d, $a, 0fBF000000, 0f3F800000", 'w', "f",
      f32('f', a, 0xbf000000, 0x3f800000, FE_TONEAREST, PLAIN))
PROBE("mul.f64 $d, $a, 0d400921FB54442D18", 'F', "F", f64('*', a, 0x400921fb54442d18, c, FE_TONEAREST))

/* ---- order: a NaN loses unless .NaN is there; -0 < +0 ---- */

enum { LEAST = 0, MOST = 4, NAN_WINS = 8, XORSIGN = 16 };

static bool goes_first(double x, double y, int how)
{
    const bool below = x < y || (x == y && signbit(x));
    return how & MOST ? !below : below;
}

static double chosen(double x, double y, int how)
{
    if (isnan(x) || isnan(y)) {
        return how & NAN_WINS ? (double)NAN : isnan(x) ? y : x;
    }
    return goes_first(x, y, how) ? x : y;
}

static uint64_t order32(uint64_t a, uint64_t b, int how)
{
    const float x = how & FTZ ? flushed(probe_float(a)) : probe_float(a);
    const float y = how & FTZ ? flushed(probe_float(b)) : probe_float(b);
    if (how & XORSIGN) {
        const float r = (float)chosen(fabsf(x), fabsf(y), how);
        return finished(signbit(x) != signbit(y) ? -r : r, how & FTZ);
    }
    return finished((float)chosen(x, y, how), how & FTZ);
}
#define ORDER(OP, HOW)                                                                                       \
    PROBE(OP ".f32 $d, $a, $b", 'w', "ff", order32(a, b, HOW))                                               \
    PROBE(OP ".ftz.f32 $d, $a, $b", 'w', "ff", order32(a, b, HOW | FTZ))                                     \
    PROBE(OP ".NaN.f32 $d, $a, $b", 'w', "ff", order32(a, b, HOW | NAN_WINS))                                \
    PROBE(OP ".ftz.NaN.f32 $d, $a, $b", 'w', "ff", order32(a, b, HOW | FTZ | NAN_WINS))                      \
    PROBE(OP ".xorsign.abs.f32 $d, $a, $b", 'w', "ff", order32(a, b, HOW | XORSIGN))                         \
    PROBE(OP ".ftz.NaN.xorsign.abs.f32 $d, $a, $b", 'w', "ff",                                               \
          order32(a, b, HOW | FTZ | NAN_WINS | XORSIGN))                                                     \
    PROBE(OP ".f64 $d, $a, $b", 'F', "FF", probe_bits64(chosen(probe_double(a), probe_double(b), HOW)))
ORDER("min", LEAST)
ORDER("max", MOST)

/* ---- signs: bits of NaN as well without .ftz ---- */

#define TOP32 0x80000000u
#define TOP64 (1ull << 63)
PROBE("neg.f32 $d, $a", 'w', "f", a ^ TOP32)
PROBE("abs.f32 $d, $a", 'w', "f", a & ~(uint64_t)TOP32)
PROBE("neg.ftz.f32 $d, $a", 'w', "f", probe_bits(flushed(probe_float(a))) ^ TOP32)
PROBE("abs.ftz.f32 $d, $a", 'w', "f", probe_bits(flushed(probe_float(a))) & ~(uint64_t)TOP32)
PROBE("neg.f64 $d, $a", 'F', "F", a ^ TOP64)
PROBE("abs.f64 $d, $a", 'F', "F", a & ~TOP64)
PROBE("copysign.f32 $d, $a, $b", 'w', "ff", (a & TOP32) | (b & ~(uint64_t)TOP32))
PROBE("copysign.f64 $d, $a, $b", 'd', "FF", (a & TOP64) | (b & ~TOP64))

/* ---- classes ---- */

#define CLASS(NAME, EXPR)                                                                                    \
    PROBE_BODY("testp." NAME ".f32 $P, $a", '-', "f", const int k = fpclassify(probe_float(a));              \
               return (probe_out){.p = EXPR};)                                                               \
    PROBE_BODY("testp." NAME ".f64 $P, $a", '-', "F", const int k = fpclassify(probe_double(a));             \
               return (probe_out){.p = EXPR};)
CLASS("finite", k != FP_NAN && k != FP_INFINITE)
CLASS("infinite", k == FP_INFINITE)
CLASS("number", k != FP_NAN)
CLASS("notanumber", k == FP_NAN)
CLASS("normal", k == FP_NORMAL)
CLASS("subnormal", k == FP_SUBNORMAL)

static void test_instructions(void **state)
{
    (void)state;
    assert_int_equal(probe_all(), 0);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_instructions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return probe_run_levels(run);
}
