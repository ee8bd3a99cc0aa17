/* f16, bf16 and their pairs against plain C: one rounding of the exact result. */
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
