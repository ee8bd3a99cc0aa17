/* cvt against plain C: the matrix of types, roundings, .ftz, .sat, .relu; tf32, packs, 8-bit floats. */
#include <fenv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/gpusim/probe.h"

#include "tests/gpusim/probe_half.h"

typedef __int128 wide;

enum { FTZ = 1, SAT = 2, RELU = 4, FINITE = 8 };

/* An integer type by PTX's name: "u8" .. "s64". */
static int bits_of(const char *type)
{
    return type[1] == '8' ? 8 : type[1] == '1' ? 16 : type[1] == '3' ? 32 : 64;
}

/* x cut to a type and extended by its sign. */
static wide integer(const char *type, uint64_t x)
{
    const int up = 64 - bits_of(type);
    return type[0] == 's' ? (wide)((int64_t)(x << up) >> up) : (wide)(x << up >> up);
}

static wide limited(const char *type, wide x)
{
    const int bits = bits_of(type) - (type[0] == 's');
    const wide high = ((wide)1 << bits) - 1, low = type[0] == 's' ? -high - 1 : 0;
    return x < low ? low : x > high ? high : x;
}

/* ---- integers to integers ---- */

/* DST, KIND: registers at least as wide as the types. */
#define INTEGERS(TO, DST, FROM, KIND)                                                                        \
    PROBE("cvt." TO "." FROM " $d, $a", DST, KIND, integer(TO, (uint64_t)integer(FROM, a)))                  \
    PROBE("cvt.sat." TO "." FROM " $d, $a", DST, KIND, limited(TO, integer(FROM, a)))
#define FROM_ALL(TO, DST)                                                                                    \
    INTEGERS(TO, DST, "u8", "s")                                                                             \
    INTEGERS(TO, DST, "s8", "s")                                                                             \
    INTEGERS(TO, DST, "u8", "i")                                                                             \
    INTEGERS(TO, DST, "s8", "i")                                                                             \
    INTEGERS(TO, DST, "s8", "I")                                                                             \
    INTEGERS(TO, DST, "u16", "s")                                                                            \
    INTEGERS(TO, DST, "s16", "s")                                                                            \
    INTEGERS(TO, DST, "u16", "i")                                                                            \
    INTEGERS(TO, DST, "s16", "i")                                                                            \
    INTEGERS(TO, DST, "s16", "I")                                                                            \
    INTEGERS(TO, DST, "u32", "i")                                                                            \
    INTEGERS(TO, DST, "s32", "i")                                                                            \
    INTEGERS(TO, DST, "s32", "I")                                                                            \
    INTEGERS(TO, DST, "u64", "I")                                                                            \
    INTEGERS(TO, DST, "s64", "I")
FROM_ALL("u8", 'h')
FROM_ALL("s8", 'h')
FROM_ALL("u8", 'w')
FROM_ALL("s8", 'w')
FROM_ALL("s8", 'd')
FROM_ALL("u16", 'h')
FROM_ALL("s16", 'h')
FROM_ALL("u16", 'w')
FROM_ALL("s16", 'w')
FROM_ALL("s16", 'd')
FROM_ALL("u32", 'w')
FROM_ALL("s32", 'w')
FROM_ALL("u32", 'd')
FROM_ALL("s32", 'd')
FROM_ALL("u64", 'd')
FROM_ALL("s64", 'd')

/* ---- floats by their kind: h f16, b bf16, f f32, F f64 ---- */

static exact value(char kind, uint64_t bits, int how)
{
    switch (kind) {
    case 'h': return half_value(bits, half_f16);
    case 'b': return half_value(bits, half_bf16);
    case 'f': return how & FTZ && (bits & 0x7f800000) == 0 ? (exact)0 * probe_float(bits) : probe_float(bits);
    default: return probe_double(bits);
    }
}

static const int host_mode[4] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};

static uint64_t to_f32(double x, half_mode mode, int how)
{
    volatile double from = x;
    fesetround(host_mode[mode]);
    volatile float r = (float)from;
    fesetround(FE_TONEAREST);
    float f = r;
    f = how & FTZ && fabsf(f) < 0x1p-126f ? copysignf(0, f) : f;
    f = how & SAT ? f > 0 ? f < 1 ? f : 1 : 0 : f;
    return isnan(f) ? 0x7fffffff : probe_bits(f);
}

static uint64_t to_half(exact x, half_format f, half_mode mode, int how)
{
    if (how & SAT) {
        x = x > 0 ? x < 1 ? x : 1 : 0;
    }
    if (how & RELU && !(x > 0) && x == x) {
        x = 0;
    }
    const uint64_t r = half_round(x, 0, f, mode), infinity = ((1ull << (15 - f.fraction)) - 1) << f.fraction;
    return how & FINITE && (r & 0x7fff) == infinity ? r - 1 : r;
}

/* ---- floats to integers: rounded, then the nearest number of the type ---- */

static exact whole(exact x, half_mode mode)
{
    const double d = (double)x; /* exact: nothing wider than f64 comes here */
    return mode == HALF_RZ ? trunc(d) : mode == HALF_RM ? floor(d) : mode == HALF_RP ? ceil(d) : rint(d);
}

static wide to_integer(const char *type, char kind, uint64_t bits, half_mode mode, int how)
{
    const exact x = value(kind, bits, how);
    if (x != x) { /* the sign bit alone for f64, or of 64 bits; else zero */
        return kind == 'F' || bits_of(type) == 64 ? integer(type, 1ull << (bits_of(type) - 1)) : 0;
    }
    const exact r = whole(x, mode), top = 0x1p100Q;
    return limited(type, (wide)(r > top ? top : r < -top ? -top : r));
}
#define TO_INTEGER(MODE, NAME, TO, DST)                                                                      \
    PROBE("cvt." NAME "." TO ".f16 $d, $a", DST, "h", to_integer(TO, 'h', a, MODE, 0))                       \
    PROBE("cvt." NAME "." TO ".bf16 $d, $a", DST, "b", to_integer(TO, 'b', a, MODE, 0))                      \
    PROBE("cvt." NAME "." TO ".f32 $d, $a", DST, "f", to_integer(TO, 'f', a, MODE, 0))                       \
    PROBE("cvt." NAME ".ftz." TO ".f32 $d, $a", DST, "f", to_integer(TO, 'f', a, MODE, FTZ))                 \
    PROBE("cvt." NAME ".sat." TO ".f32 $d, $a", DST, "f", to_integer(TO, 'f', a, MODE, 0))                   \
    PROBE("cvt." NAME "." TO ".f64 $d, $a", DST, "F", to_integer(TO, 'F', a, MODE, 0))
#define TO_INTEGERS(MODE, NAME)                                                                              \
    TO_INTEGER(MODE, NAME, "u8", 'h')                                                                        \
    TO_INTEGER(MODE, NAME, "s8", 'w')                                                                        \
    TO_INTEGER(MODE, NAME, "u16", 'h')                                                                       \
    TO_INTEGER(MODE, NAME, "s16", 'h')                                                                       \
    TO_INTEGER(MODE, NAME, "u32", 'w')                                                                       \
    TO_INTEGER(MODE, NAME, "s32", 'w')                                                                       \
    TO_INTEGER(MODE, NAME, "u64", 'd')                                                                       \
    TO_INTEGER(MODE, NAME, "s64", 'd')
TO_INTEGERS(HALF_RN, "rni")
TO_INTEGERS(HALF_RZ, "rzi")
TO_INTEGERS(HALF_RM, "rmi")
TO_INTEGERS(HALF_RP, "rpi")

/* ---- integers to floats ---- */

static uint64_t integer_to_f32(wide x, half_mode mode)
{
    volatile int64_t s = (int64_t)x;
    volatile uint64_t u = (uint64_t)x;
    fesetround(host_mode[mode]);
    volatile float r = x < 0 ? (float)s : (float)u;
    fesetround(FE_TONEAREST);
    return probe_bits(r);
}

static uint64_t integer_to_f64(wide x, half_mode mode)
{
    volatile int64_t s = (int64_t)x;
    volatile uint64_t u = (uint64_t)x;
    fesetround(host_mode[mode]);
    volatile double r = x < 0 ? (double)s : (double)u;
    fesetround(FE_TONEAREST);
    return probe_bits64(r);
}
#define FROM_INTEGER(MODE, NAME, FROM, KIND)                                                                 \
    PROBE("cvt." NAME ".f16." FROM " $d, $a", 'h', KIND,                                                     \
          half_round((exact)integer(FROM, a), 0, half_f16, MODE))                                            \
    PROBE("cvt." NAME ".f32." FROM " $d, $a", 'w', KIND, integer_to_f32(integer(FROM, a), MODE))             \
    PROBE("cvt." NAME ".f64." FROM " $d, $a", 'd', KIND, integer_to_f64(integer(FROM, a), MODE))             \
    PROBE("cvt." NAME ".bf16." FROM " $d, $a", 'h', KIND,                                                    \
          half_round((exact)integer(FROM, a), 0, half_bf16, MODE))                                           \
    PROBE("cvt." NAME ".sat.f32." FROM " $d, $a", 'w', KIND, integer(FROM, a) > 0 ? 0x3f800000 : 0)
#define FROM_INTEGERS(MODE, NAME)                                                                            \
    FROM_INTEGER(MODE, NAME, "u8", "s")                                                                      \
    FROM_INTEGER(MODE, NAME, "s8", "i")                                                                      \
    FROM_INTEGER(MODE, NAME, "u16", "s")                                                                     \
    FROM_INTEGER(MODE, NAME, "s16", "s")                                                                     \
    FROM_INTEGER(MODE, NAME, "u32", "i")                                                                     \
    FROM_INTEGER(MODE, NAME, "s32", "i")                                                                     \
    FROM_INTEGER(MODE, NAME, "u64", "I")                                                                     \
    FROM_INTEGER(MODE, NAME, "s64", "I")
FROM_INTEGERS(HALF_RN, "rn")
FROM_INTEGERS(HALF_RZ, "rz")
FROM_INTEGERS(HALF_RM, "rm")
FROM_INTEGERS(HALF_RP, "rp")

/* ---- floats to floats ---- */

PROBE("cvt.f32.f16 $d, $a", 'w', "h", to_f32((double)value('h', a, 0), HALF_RN, 0))
PROBE("cvt.sat.f32.f16 $d, $a", 'w', "h", to_f32((double)value('h', a, 0), HALF_RN, SAT))
PROBE("cvt.f32.bf16 $d, $a", 'w', "b", to_f32((double)value('b', a, 0), HALF_RN, 0))
PROBE("cvt.f64.f16 $d, $a", 'F', "h", probe_bits64((double)value('h', a, 0)))
PROBE("cvt.f64.f32 $d, $a", 'F', "f", probe_bits64((double)value('f', a, 0)))
PROBE("cvt.ftz.f64.f32 $d, $a", 'F', "f", probe_bits64((double)value('f', a, FTZ)))
PROBE("cvt.sat.f64.f32 $d, $a", 'F', "f",
      value('f', a, 0) > 0 ? value('f', a, 0) < 1 ? probe_bits64((double)value('f', a, 0)) : probe_bits64(1)
                           : 0)
#define NARROWED(MODE, NAME)                                                                                 \
    PROBE("cvt." NAME ".f32.f64 $d, $a", 'w', "F", to_f32(probe_double(a), MODE, 0))                         \
    PROBE("cvt." NAME ".ftz.f32.f64 $d, $a", 'w', "F", to_f32(probe_double(a), MODE, FTZ))                   \
    PROBE("cvt." NAME ".sat.f32.f64 $d, $a", 'w', "F", to_f32(probe_double(a), MODE, SAT))                   \
    PROBE("cvt." NAME ".f16.f64 $d, $a", 'h', "F", to_half(value('F', a, 0), half_f16, MODE, 0))             \
    PROBE("cvt." NAME ".f16.f32 $d, $a", 'h', "f", to_half(value('f', a, 0), half_f16, MODE, 0))             \
    PROBE("cvt." NAME ".sat.f16.f32 $d, $a", 'h', "f", to_half(value('f', a, 0), half_f16, MODE, SAT))       \
    PROBE("cvt." NAME ".ftz.f16.f32 $d, $a", 'h', "f", to_half(value('f', a, FTZ), half_f16, MODE, 0))
NARROWED(HALF_RN, "rn")
NARROWED(HALF_RZ, "rz")
NARROWED(HALF_RM, "rm")
NARROWED(HALF_RP, "rp")
#define TO_HALVES(MODE, NAME, MODS, HOW)                                                                     \
    PROBE("cvt." NAME MODS ".bf16.f32 $d, $a", 'h', "f", to_half(value('f', a, 0), half_bf16, MODE, HOW))    \
    PROBE("cvt." NAME MODS ".f16.f32 $d, $a", 'h', "f", to_half(value('f', a, 0), half_f16, MODE, HOW))      \
    PROBE("cvt." NAME MODS ".f16x2.f32 $d, $a, $b", 'w', "ff",                                               \
          to_half(value('f', a, 0), half_f16, MODE, HOW) << 16 |                                             \
              to_half(value('f', b, 0), half_f16, MODE, HOW))                                                \
    PROBE("cvt." NAME MODS ".bf16x2.f32 $d, $a, $b", 'w', "ff",                                              \
          to_half(value('f', a, 0), half_bf16, MODE, HOW) << 16 |                                            \
              to_half(value('f', b, 0), half_bf16, MODE, HOW))
TO_HALVES(HALF_RN, "rn", "", 0)
TO_HALVES(HALF_RZ, "rz", "", 0)
TO_HALVES(HALF_RN, "rn", ".relu", RELU)
TO_HALVES(HALF_RZ, "rz", ".relu", RELU)
TO_HALVES(HALF_RN, "rn", ".satfinite", FINITE)
TO_HALVES(HALF_RN, "rn", ".relu.satfinite", RELU | FINITE)
#define SAME_TYPE(MODE, NAME)                                                                                \
    PROBE("cvt." NAME ".f32.f32 $d, $a", 'w', "f",                                                           \
          to_f32((double)whole(value('f', a, 0), MODE), HALF_RN, 0))                                         \
    PROBE("cvt." NAME ".ftz.f32.f32 $d, $a", 'w', "f",                                                       \
          to_f32((double)whole(value('f', a, FTZ), MODE), HALF_RN, 0))                                       \
    PROBE("cvt." NAME ".sat.f32.f32 $d, $a", 'w', "f",                                                       \
          to_f32((double)whole(value('f', a, 0), MODE), HALF_RN, SAT))                                       \
    PROBE("cvt." NAME ".f64.f64 $d, $a", 'F', "F", probe_bits64((double)whole(value('F', a, 0), MODE)))      \
    PROBE("cvt." NAME ".f16.f16 $d, $a", 'h', "h",                                                           \
          to_half(whole(value('h', a, 0), MODE), half_f16, HALF_RN, 0))                                      \
    PROBE("cvt." NAME ".bf16.bf16 $d, $a", 'h', "b",                                                         \
          to_half(whole(value('b', a, 0), MODE), half_bf16, HALF_RN, 0))
SAME_TYPE(HALF_RN, "rni")
SAME_TYPE(HALF_RZ, "rzi")
SAME_TYPE(HALF_RM, "rmi")
SAME_TYPE(HALF_RP, "rpi")
PROBE("cvt.sat.f32.f32 $d, $a", 'w', "f", to_f32(probe_float(a), HALF_RN, SAT))
PROBE("cvt.ftz.f32.f32 $d, $a", 'w', "f", to_f32((double)value('f', a, FTZ), HALF_RN, 0))

/* ---- tf32: 10 bits of fraction, halves away from zero ---- */

static uint64_t tf32(uint64_t a)
{
    static const half_format format = {10, -126, 127};
    const exact x = value('f', a, 0);
    if (x != x) {
        return 0x7fffffff;
    }
    if ((a & 0x7fffffff) == 0x7f800000) {
        return a;
    }
    const exact m = x < 0 ? -x : x;
    int e = m > 0 ? ilogbl((long double)m) : format.least;
    e = e < format.least ? format.least : e;
    const exact unit = (exact)ldexpl(1, e - format.fraction), steps = (exact)(int64_t)(m / unit + 0.5Q);
    return probe_bits((float)(steps * unit)) | (a & 0x80000000);
}
PROBE("cvt.rna.tf32.f32 $d, $a", 'w', "f", tf32(a))

/* ---- cvt.pack ---- */

#define PACK16(TYPE)                                                                                         \
    PROBE("cvt.pack.sat." TYPE ".s32 $d, $a, $b", 'w', "ii",                                                 \
          ((uint64_t)limited(TYPE, sa) & 0xffff) << 16 | ((uint64_t)limited(TYPE, sb) & 0xffff))
#define PACK8(TYPE)                                                                                          \
    PROBE("cvt.pack.sat." TYPE ".s32.b32 $d, $a, $b, $c", 'w', "iii",                                        \
          c << 16 | ((uint64_t)limited(TYPE, sa) & 0xff) << 8 | ((uint64_t)limited(TYPE, sb) & 0xff))
PACK16("u16")
PACK16("s16")
PACK8("u8")
PACK8("s8")

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
