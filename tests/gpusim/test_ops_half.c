/* f16, bf16 and their pairs against plain C: one rounding of the exact result. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/gpusim/probe.h"

#include "tests/gpusim/probe_half.h"

enum { FTZ = 1, SAT = 2, RELU = 4, NAN_WINS = 8, XORSIGN = 16 };

/* x y + z as the nearest __float128 and what is left of it. */
static exact fused(exact x, exact y, exact z, exact *error)
{
    const exact product = x * y, sum = product + z, back = sum - product;
    *error = sum - sum == 0 ? (product - (sum - back)) + (z - back) : 0;
    return sum;
}

static bool sign_of(exact x)
{
    return signbit((double)x);
}

/* Minimum or maximum: a NaN loses unless NAN_WINS; -0 is below +0. */
static exact ordered(char op, exact x, exact y, int how)
{
    bool minus = sign_of(x) != sign_of(y);
    if (how & XORSIGN) {
        x = sign_of(x) ? -x : x;
        y = sign_of(y) ? -y : y;
    }
    exact r;
    if (x != x || y != y) {
        r = how & NAN_WINS ? (exact)NAN : x != x ? y : x;
    } else {
        const bool below = x < y || (x == y && sign_of(x));
        r = below == (op == '<') ? x : y;
    }
    return how & XORSIGN && minus ? -r : r;
}

static exact operand(uint64_t bits, half_format f, int how)
{
    const exact x = half_value(bits, f);
    return how & FTZ && (bits & 0x7c00) == 0 ? x * 0 : x;
}

static uint64_t one(char op, uint64_t a, uint64_t b, uint64_t c, half_format f, int how)
{
    const exact x = operand(a, f, how), y = operand(b, f, how), z = operand(c, f, how);
    exact r = 0, error = 0;
    switch (op) {
    case '+': r = fused(x, 1, y, &error); break;
    case '-': r = fused(x, 1, -y, &error); break;
    case '*': r = x * y; break;
    case 'f': r = fused(x, y, z, &error); break;
    default: r = ordered(op, x, y, how); break;
    }
    if (how & SAT) {
        r = r > 0 ? r < 1 ? r : 1 : 0;
        error = r < 1 && r > 0 ? error : 0;
    }
    if (how & RELU && !(r > 0) && r == r) {
        r = 0, error = 0;
    }
    const uint64_t bits = half_round(r, error, f, HALF_RN);
    return how & FTZ && (bits & 0x7c00) == 0 ? bits & 0x8000 : bits;
}

static uint64_t two(char op, uint64_t a, uint64_t b, uint64_t c, half_format f, int how)
{
    const uint64_t low = one(op, a & 0xffff, b & 0xffff, c & 0xffff, f, how);
    return low | one(op, a >> 16, b >> 16, c >> 16, f, how) << 16;
}

#define PAIR_OF(TEXT, OP, MODS, HOW)                                                                         \
    PROBE(TEXT MODS ".f16 $d, $a, $b", 'h', "hh", one(OP, a, b, c, half_f16, HOW))                           \
    PROBE(TEXT MODS ".f16x2 $d, $a, $b", 'w', "HH", two(OP, a, b, c, half_f16, HOW))
#define PAIR_OF_BF16(TEXT, OP, MODS, HOW)                                                                    \
    PROBE(TEXT MODS ".bf16 $d, $a, $b", 'h', "bb", one(OP, a, b, c, half_bf16, HOW))                         \
    PROBE(TEXT MODS ".bf16x2 $d, $a, $b", 'w', "BB", two(OP, a, b, c, half_bf16, HOW))
#define SUMS(TEXT, OP)                                                                                       \
    PAIR_OF(TEXT, OP, "", 0)                                                                                 \
    PAIR_OF(TEXT, OP, ".rn", 0)                                                                              \
    PAIR_OF(TEXT, OP, ".ftz", FTZ)                                                                           \
    PAIR_OF(TEXT, OP, ".sat", SAT)                                                                           \
    PAIR_OF(TEXT, OP, ".rn.ftz.sat", FTZ | SAT)                                                              \
    PAIR_OF_BF16(TEXT, OP, ".rn", 0)
SUMS("add", '+')
SUMS("sub", '-')
SUMS("mul", '*')
#define ORDERS(TEXT, OP)                                                                                     \
    PAIR_OF(TEXT, OP, "", 0)                                                                                 \
    PAIR_OF(TEXT, OP, ".ftz", FTZ)                                                                           \
    PAIR_OF(TEXT, OP, ".NaN", NAN_WINS)                                                                      \
    PAIR_OF(TEXT, OP, ".ftz.NaN", FTZ | NAN_WINS)                                                            \
    PAIR_OF_BF16(TEXT, OP, "", 0)                                                                            \
    PAIR_OF_BF16(TEXT, OP, ".NaN", NAN_WINS)
ORDERS("min", '<')
ORDERS("max", '>')
#define FUSED(MODS, HOW)                                                                                     \
    PROBE("fma.rn" MODS ".f16 $d, $a, $b, $c", 'h', "hhh", one('f', a, b, c, half_f16, HOW))                 \
    PROBE("fma.rn" MODS ".f16x2 $d, $a, $b, $c", 'w', "HHH", two('f', a, b, c, half_f16, HOW))
#define FUSED_BF16(MODS, HOW)                                                                                \
    PROBE("fma.rn" MODS ".bf16 $d, $a, $b, $c", 'h', "bbb", one('f', a, b, c, half_bf16, HOW))               \
    PROBE("fma.rn" MODS ".bf16x2 $d, $a, $b, $c", 'w', "BBB", two('f', a, b, c, half_bf16, HOW))
FUSED("", 0)
FUSED(".ftz", FTZ)
FUSED(".sat", SAT)
FUSED(".ftz.sat", FTZ | SAT)
FUSED(".relu", RELU)
FUSED(".ftz.relu", FTZ | RELU)
FUSED_BF16("", 0)
FUSED_BF16(".relu", RELU)
PROBE("neg.f16 $d, $a", 'h', "h", a ^ 0x8000)
PROBE("neg.f16x2 $d, $a", 'w', "H", a ^ 0x80008000)
PROBE("neg.bf16 $d, $a", 'h', "b", a ^ 0x8000)
PROBE("neg.bf16x2 $d, $a", 'w', "B", a ^ 0x80008000)
PROBE("abs.f16 $d, $a", 'h', "h", a & 0x7fff)
PROBE("abs.f16x2 $d, $a", 'w', "H", a & 0x7fff7fff)
PROBE("abs.bf16 $d, $a", 'h', "b", a & 0x7fff)
PROBE("abs.bf16x2 $d, $a", 'w', "B", a & 0x7fff7fff)

/*
 * ex2 and tanh are approximate: the result is made f32 and compared with the exact one's nearest neighbour.
 * Bounds of the ISA: ex2 is off by 2^-9.9 of itself (bf16: 2^-7), tanh by 2^-10.987 in all (bf16: 2^-8).
 */
static uint64_t near(double x, half_format f)
{
    const exact r = half_value(half_round(x, 0, f, HALF_RN), f);
    return r != r ? 0x7fffffff : probe_bits((float)r);
}

static double flushed_bf16(uint64_t a)
{
    return (a & 0x7f80) == 0 ? 0 : (double)half_value(a, half_bf16);
}
#define LOW_OF_PAIR "; cvt.u16.u32 %hd, %w1; cvt.f32.f16 $d, %hd"
#define HIGH_OF_PAIR "; shr.u32 %w1, %w1, 16" LOW_OF_PAIR
#define APPROX_F16(NAME, RELATIVE, ABSOLUTE, f)                                                              \
    PROBE_NEAR(NAME ".approx.f16 %hd, $a; cvt.f32.f16 $d, %hd", 'w', "h", RELATIVE, ABSOLUTE,                \
               near(f((double)half_value(a, half_f16)), half_f16))                                           \
    PROBE_NEAR(NAME ".approx.f16x2 %w1, $a" LOW_OF_PAIR, 'w', "H", RELATIVE, ABSOLUTE,                       \
               near(f((double)half_value(a & 0xffff, half_f16)), half_f16))                                  \
    PROBE_NEAR(NAME ".approx.f16x2 %w1, $a" HIGH_OF_PAIR, 'w', "H", RELATIVE, ABSOLUTE,                      \
               near(f((double)half_value(a >> 16, half_f16)), half_f16))
APPROX_F16("ex2", 0x1.12p-10, 0x1p-25, exp2)
APPROX_F16("tanh", 0, 0x1.024p-11, tanh)

/* A bf16 is the upper half of an f32; its NaN is 0x7fff. */
static uint64_t near_bf16(double x)
{
    return x != x ? 0x7fff0000 : near(x, half_bf16);
}
PROBE_NEAR("ex2.approx.ftz.bf16 %hd, $a; cvt.u32.u16 %w1, %hd; shl.b32 $d, %w1, 16", 'w', "b", 0x1p-7,
           0x1p-126, near_bf16(exp2(flushed_bf16(a))))
PROBE_NEAR("ex2.approx.ftz.bf16x2 %w1, $a; shl.b32 $d, %w1, 16", 'w', "B", 0x1p-7, 0x1p-126,
           near_bf16(exp2(flushed_bf16(a & 0xffff))))
PROBE_NEAR("ex2.approx.ftz.bf16x2 %w1, $a; and.b32 $d, %w1, 0xffff0000", 'w', "B", 0x1p-7, 0x1p-126,
           near_bf16(exp2(flushed_bf16(a >> 16))))
PROBE_NEAR("tanh.approx.bf16 %hd, $a; cvt.u32.u16 %w1, %hd; shl.b32 $d, %w1, 16", 'w', "b", 0, 0x1p-8,
           near_bf16(tanh((double)half_value(a, half_bf16))))
PROBE_NEAR("tanh.approx.bf16x2 %w1, $a; and.b32 $d, %w1, 0xffff0000", 'w', "B", 0, 0x1p-8,
           near_bf16(tanh((double)half_value(a >> 16, half_bf16))))

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
