/* setp, set, selp, slct against plain C: every comparison, type, .ftz, combination with a predicate. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/gpusim/probe.h"

/* ---- the comparison: names of PTX, the operands as numbers ---- */

static bool ordered(const char *name, bool less, bool equal, bool unordered)
{
    const bool with_nan = strlen(name) == 3 && name[2] == 'u';
    if (!strcmp(name, "num") || !strcmp(name, "nan")) {
        return unordered == (name[1] == 'a');
    }
    if (unordered) {
        return with_nan;
    }
    switch (name[0]) {
    case 'e': return equal;
    case 'n': return !equal;
    case 'l': return less || (equal && (name[1] == 'e' || name[1] == 's'));
    default: return (!less && !equal) || (equal && (name[1] == 'e' || name[1] == 's'));
    }
}

static bool integers(const char *name, int64_t x, int64_t y)
{
    return ordered(name, x < y, x == y, false);
}

static bool unsigned_integers(const char *name, uint64_t x, uint64_t y)
{
    return ordered(name, x < y, x == y, false);
}

static bool floats(const char *name, double x, double y)
{
    return ordered(name, x < y, x == y, isnan(x) || isnan(y));
}

enum { FTZ = 1 };

static double from32(uint64_t bits, int how)
{
    const float x = probe_float(bits);
    return how & FTZ && fabsf(x) < 0x1p-126f ? (double)copysignf(0, x) : (double)x;
}

static double from16(uint64_t bits, int how)
{
    const uint16_t low = (uint16_t)bits;
    _Float16 x;
    memcpy(&x, &low, 2);
    return how & FTZ && fabs((double)x) < 0x1p-14 ? 0 : (double)x;
}

static double from_bf16(uint64_t bits)
{
    return (double)probe_float((bits & 0xffff) << 16);
}

#define SETP(NAME, TYPE, IN, EXPR)                                                                           \
    PROBE_BODY("setp." NAME "." TYPE " $P|$Q, $a, $b", '-', IN, const bool r = EXPR;                         \
               return ((probe_out){.p = r, .q = !r});)                                                       \
    PROBE_BODY("setp." NAME ".and." TYPE " $P|$Q, $a, $b, $p", '-', IN, const bool r = EXPR;                 \
               return ((probe_out){.p = r && p, .q = !r && p});)                                             \
    PROBE_BODY("setp." NAME ".or." TYPE " $P, $a, $b, !$p", '-', IN, const bool r = EXPR;                    \
               return ((probe_out){.p = r || !p});)                                                          \
    PROBE_BODY("setp." NAME ".xor." TYPE " $P|$Q, $a, $b, $p", '-', IN, const bool r = EXPR;                 \
               return ((probe_out){.p = r != p, .q = !r != p});)                                             \
    PROBE("set." NAME ".u32." TYPE " $d, $a, $b", 'w', IN, (EXPR) ? 0xffffffff : 0)                          \
    PROBE("set." NAME ".f32." TYPE " $d, $a, $b", 'w', IN, (EXPR) ? 0x3f800000 : 0)                          \
    PROBE("set." NAME ".or.s32." TYPE " $d, $a, $b, $p", 'w', IN, (EXPR) || p ? 0xffffffff : 0)

#define SIGNS(NAME)                                                                                          \
    SETP(NAME, "s16", "ss", integers(NAME, sa, sb))                                                          \
    SETP(NAME, "s32", "ii", integers(NAME, sa, sb))                                                          \
    SETP(NAME, "s64", "II", integers(NAME, sa, sb))
#define BITS(NAME)                                                                                           \
    SETP(NAME, "u16", "ss", unsigned_integers(NAME, a, b))                                                   \
    SETP(NAME, "u32", "ii", unsigned_integers(NAME, a, b))                                                   \
    SETP(NAME, "u64", "II", unsigned_integers(NAME, a, b))
#define EQUALS(NAME)                                                                                         \
    SETP(NAME, "b16", "ss", integers(NAME, sa, sb))                                                          \
    SETP(NAME, "b32", "ii", integers(NAME, sa, sb))                                                          \
    SETP(NAME, "b64", "II", integers(NAME, sa, sb))
#define FLOATS(NAME)                                                                                         \
    SETP(NAME, "f32", "ff", floats(NAME, from32(a, 0), from32(b, 0)))                                        \
    SETP(NAME, "f64", "FF", floats(NAME, probe_double(a), probe_double(b)))                                  \
    PROBE_BODY("setp." NAME ".ftz.f32 $P, $a, $b", '-', "ff",                                                \
               return ((probe_out){.p = floats(NAME, from32(a, FTZ), from32(b, FTZ))});)                     \
    PROBE_BODY("setp." NAME ".f16 $P, $a, $b", '-', "hh",                                                    \
               return ((probe_out){.p = floats(NAME, from16(a, 0), from16(b, 0))});)                         \
    PROBE_BODY("setp." NAME ".ftz.f16 $P, $a, $b", '-', "hh",                                                \
               return ((probe_out){.p = floats(NAME, from16(a, FTZ), from16(b, FTZ))});)                     \
    PROBE_BODY("setp." NAME ".bf16 $P, $a, $b", '-', "bb",                                                   \
               return ((probe_out){.p = floats(NAME, from_bf16(a), from_bf16(b))});)                         \
    PROBE_BODY("setp." NAME ".f16x2 $P|$Q, $a, $b", '-', "HH",                                               \
               return ((probe_out){.p = floats(NAME, from16(a, 0), from16(b, 0)),                            \
                                   .q = floats(NAME, from16(a >> 16, 0), from16(b >> 16, 0))});)             \
    PROBE_BODY("setp." NAME ".bf16x2 $P|$Q, $a, $b", '-', "BB",                                              \
               return ((probe_out){.p = floats(NAME, from_bf16(a), from_bf16(b)),                            \
                                   .q = floats(NAME, from_bf16(a >> 16), from_bf16(b >> 16))});)             \
    PROBE("set." NAME ".f16.f16 $d, $a, $b", 'h', "hh",                                                      \
          floats(NAME, from16(a, 0), from16(b, 0)) ? 0x3c00 : 0)                                             \
    PROBE("set." NAME ".f16x2.f16x2 $d, $a, $b", 'w', "HH",                                                  \
          (floats(NAME, from16(a, 0), from16(b, 0)) ? 0x3c00 : 0) |                                          \
              (floats(NAME, from16(a >> 16, 0), from16(b >> 16, 0)) ? 0x3c000000 : 0))                       \
    PROBE("set." NAME ".u32.bf16x2 $d, $a, $b", 'w', "BB",                                                   \
          (floats(NAME, from_bf16(a), from_bf16(b)) ? 0xffffu : 0) |                                         \
              (floats(NAME, from_bf16(a >> 16), from_bf16(b >> 16)) ? 0xffff0000u : 0))
#define BOTH(NAME) SIGNS(NAME) BITS(NAME) FLOATS(NAME)
BOTH("eq")
BOTH("ne")
BOTH("lt")
BOTH("le")
BOTH("gt")
BOTH("ge")
EQUALS("eq")
EQUALS("ne")
BITS("lo")
BITS("ls")
BITS("hi")
BITS("hs")
FLOATS("equ")
FLOATS("neu")
FLOATS("ltu")
FLOATS("leu")
FLOATS("gtu")
FLOATS("geu")
FLOATS("num")
FLOATS("nan")

/* Against immediates. */
PROBE_BODY("setp.gt.s32 $P, $a, -5", '-', "i", return ((probe_out){.p = sa > -5});)
PROBE_BODY("setp.lt.s16 $P, $a, -5", '-', "s", return ((probe_out){.p = sa < -5});)
PROBE_BODY("setp.lt.u64 $P, $a, 0xfffffffffffffff0", '-', "I", return ((probe_out){.p = a < -16ull});)
PROBE_BODY("setp.lt.f32 $P, $a, 0fBF800000", '-', "f", return ((probe_out){.p = probe_float(a) < -1});)

/* ---- selp, slct ---- */

#define SELECTS(TYPE, DST, KIND)                                                                             \
    PROBE("selp." TYPE " $d, $a, $b, $p", DST, KIND KIND, p ? a : b)                                         \
    PROBE("selp." TYPE " $d, $a, $b, !$p", DST, KIND KIND, p ? b : a)
SELECTS("b16", 'h', "s")
SELECTS("u16", 'h', "s")
SELECTS("b32", 'w', "y")
SELECTS("s32", 'w', "y")
SELECTS("f32", 'w', "f")
SELECTS("b64", 'd', "I")
SELECTS("f64", 'd', "F")
PROBE("selp.s32 $d, -1, 7, $p", 'w', "i", p ? -1 : 7)
#define CHOOSES(TYPE, DST, KIND)                                                                             \
    PROBE("slct." TYPE ".s32 $d, $a, $b, $c", DST, KIND KIND "i", sc >= 0 ? a : b)                           \
    PROBE("slct." TYPE ".f32 $d, $a, $b, $c", DST, KIND KIND "f", probe_float(c) >= 0 ? a : b)               \
    PROBE("slct.ftz." TYPE ".f32 $d, $a, $b, $c", DST, KIND KIND "f", from32(c, FTZ) >= 0 ? a : b)
CHOOSES("b16", 'h', "s")
CHOOSES("b32", 'w', "y")
CHOOSES("f32", 'w', "f")
CHOOSES("u64", 'd', "I")
CHOOSES("f64", 'd', "F")

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
