/* Integer instructions against plain C: arithmetic, carry, division, bit counting, bit fields, dot products.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/gpusim/probe.h"

typedef __int128 wide;
typedef unsigned __int128 uwide;

static int64_t clamp(wide x, int64_t low, int64_t high)
{
    return (int64_t)(x < low ? low : x > high ? high : x);
}

#define CLAMP32(x) clamp(x, INT32_MIN, INT32_MAX)
#define LEAST(x, y) ((x) < (y) ? (x) : (y))
#define MOST(x, y) ((x) > (y) ? (x) : (y))

/* ---- what all types have: U, S: names of the unsigned and signed type; KIND, DST, BITS of both ---- */

#define TYPES(U, S, DST, KIND, BITS)                                                                         \
    PROBE("add." U " $d, $a, $b", DST, KIND KIND, a + b)                                                     \
    PROBE("add." S " $d, $a, $b", DST, KIND KIND, a + b)                                                     \
    PROBE("sub." U " $d, $a, $b", DST, KIND KIND, a - b)                                                     \
    PROBE("sub." S " $d, $a, $b", DST, KIND KIND, a - b)                                                     \
    PROBE("mul.lo." U " $d, $a, $b", DST, KIND KIND, a *b)                                                   \
    PROBE("mul.lo." S " $d, $a, $b", DST, KIND KIND, a *b)                                                   \
    PROBE("mul.hi." U " $d, $a, $b", DST, KIND KIND, ((uwide)a * b) >> BITS)                                 \
    PROBE("mul.hi." S " $d, $a, $b", DST, KIND KIND, ((wide)sa * sb) >> BITS)                                \
    PROBE("mad.lo." U " $d, $a, $b, $c", DST, KIND KIND KIND, a *b + c)                                      \
    PROBE("mad.lo." S " $d, $a, $b, $c", DST, KIND KIND KIND, a *b + c)                                      \
    PROBE("mad.hi." U " $d, $a, $b, $c", DST, KIND KIND KIND, (((uwide)a * b) >> BITS) + c)                  \
    PROBE("mad.hi." S " $d, $a, $b, $c", DST, KIND KIND KIND, (((wide)sa * sb) >> BITS) + sc)                \
    PROBE("div." U " $d, $a, $b", DST, KIND KIND, b ? a / b : ~0ull)                                         \
    PROBE("div." S " $d, $a, $b", DST, KIND KIND, b ? (wide)sa / sb : -1)                                    \
    PROBE("rem." U " $d, $a, $b", DST, KIND KIND, b ? a % b : ~0ull)                                         \
    PROBE("rem." S " $d, $a, $b", DST, KIND KIND, b ? (wide)sa % sb : -1)                                    \
    PROBE("min." U " $d, $a, $b", DST, KIND KIND, LEAST(a, b))                                               \
    PROBE("min." S " $d, $a, $b", DST, KIND KIND, LEAST(sa, sb))                                             \
    PROBE("max." U " $d, $a, $b", DST, KIND KIND, MOST(a, b))                                                \
    PROBE("max." S " $d, $a, $b", DST, KIND KIND, MOST(sa, sb))                                              \
    PROBE("sad." U " $d, $a, $b, $c", DST, KIND KIND KIND, c + (a > b ? a - b : b - a))                      \
    PROBE("sad." S " $d, $a, $b, $c", DST, KIND KIND KIND, c + (sa > sb ? a - b : b - a))                    \
    PROBE("neg." S " $d, $a", DST, KIND, 0 - a)                                                              \
    PROBE("abs." S " $d, $a", DST, KIND, sa < 0 ? 0 - a : a)
TYPES("u16", "s16", 'h', "s", 16)
TYPES("u32", "s32", 'w', "i", 32)
TYPES("u64", "s64", 'd', "I", 64)

PROBE("mul.wide.u16 $d, $a, $b", 'w', "ss", a *b)
PROBE("mul.wide.s16 $d, $a, $b", 'w', "ss", sa *sb)
PROBE("mul.wide.u32 $d, $a, $b", 'd', "ii", a *b)
PROBE("mul.wide.s32 $d, $a, $b", 'd', "ii", sa *sb)
PROBE("mad.wide.u16 $d, $a, $b, $c", 'w', "ssi", a *b + c)
PROBE("mad.wide.s16 $d, $a, $b, $c", 'w', "ssi", sa *sb + sc)
PROBE("mad.wide.u32 $d, $a, $b, $c", 'd', "iiI", a *b + c)
PROBE("mad.wide.s32 $d, $a, $b, $c", 'd', "iiI", (uint64_t)(sa *sb) + c)
PROBE("add.sat.s32 $d, $a, $b", 'w', "ii", CLAMP32((wide)sa + sb))
PROBE("sub.sat.s32 $d, $a, $b", 'w', "ii", CLAMP32((wide)sa - sb))
PROBE("mad.hi.sat.s32 $d, $a, $b, $c", 'w', "iii", CLAMP32(((sa * sb) >> 32) + sc))

/* With an immediate operand, and one that is a sign-extended negative number. */
PROBE("add.s32 $d, $a, -7", 'w', "i", a - 7)
PROBE("add.s64 $d, $a, -7", 'd', "I", a - 7)
PROBE("add.s16 $d, $a, -7", 'h', "s", a - 7)
PROBE("sub.s64 $d, 0x7fffffffffffffff, $a", 'd', "I", INT64_MAX - a)
PROBE("mad.lo.s32 $d, $a, 0xffffffff, 5", 'w', "i", 5 - a)
PROBE("mul.wide.s32 $d, $a, -3", 'd', "i", sa * -3)
PROBE("div.u32 $d, $a, 10", 'w', "i", a / 10)
PROBE("rem.s32 $d, $a, -10", 'w', "i", sa % -10)

/* Pairs of 16 bits. */
#define PAIR(lo, hi) (((uint64_t)(lo)&0xffff) | ((uint64_t)(hi)&0xffff) << 16)
#define LO(x) ((int64_t)((x)&0xffff))
#define HI(x) ((int64_t)((x) >> 16 & 0xffff))
#define SLO(x) ((int64_t)(int16_t)(x))
#define SHI(x) ((int64_t)(int16_t)((x) >> 16))
PROBE("add.u16x2 $d, $a, $b", 'w', "yy", PAIR(LO(a) + LO(b), HI(a) + HI(b)))
PROBE("add.s16x2 $d, $a, $b", 'w', "yy", PAIR(LO(a) + LO(b), HI(a) + HI(b)))
PROBE("min.u16x2 $d, $a, $b", 'w', "yy", PAIR(LEAST(LO(a), LO(b)), LEAST(HI(a), HI(b))))
PROBE("max.u16x2 $d, $a, $b", 'w', "yy", PAIR(MOST(LO(a), LO(b)), MOST(HI(a), HI(b))))
PROBE("min.s16x2 $d, $a, $b", 'w', "yy", PAIR(LEAST(SLO(a), SLO(b)), LEAST(SHI(a), SHI(b))))
PROBE("max.s16x2 $d, $a, $b", 'w', "yy", PAIR(MOST(SLO(a), SLO(b)), MOST(SHI(a), SHI(b))))
PROBE("max.s16x2.relu $d, $a, $b", 'w', "yy",
      PAIR(MOST(0, MOST(SLO(a), SLO(b))), MOST(0, MOST(SHI(a), SHI(b)))))
PROBE("min.relu.s32 $d, $a, $b", 'w', "ii", MOST(0, LEAST(sa, sb)))
PROBE("max.relu.s32 $d, $a, $b", 'w', "ii", MOST(0, MOST(sa, sb)))

/* ---- 24-bit products ---- */

static uint64_t low24(uint64_t x)
{
    return x & 0xffffff;
}

static int64_t slow24(uint64_t x)
{
    return (int64_t)(x << 40) >> 40;
}
PROBE("mul24.lo.u32 $d, $a, $b", 'w', "ii", low24(a) * low24(b))
PROBE("mul24.hi.u32 $d, $a, $b", 'w', "ii", low24(a) * low24(b) >> 16)
PROBE("mul24.lo.s32 $d, $a, $b", 'w', "ii", slow24(a) * slow24(b))
PROBE("mul24.hi.s32 $d, $a, $b", 'w', "ii", slow24(a) * slow24(b) >> 16)
PROBE("mad24.lo.u32 $d, $a, $b, $c", 'w', "iii", low24(a) * low24(b) + c)
PROBE("mad24.hi.u32 $d, $a, $b, $c", 'w', "iii", (low24(a) * low24(b) >> 16) + c)
PROBE("mad24.lo.s32 $d, $a, $b, $c", 'w', "iii", slow24(a) * slow24(b) + sc)
PROBE("mad24.hi.s32 $d, $a, $b, $c", 'w', "iii", (slow24(a) * slow24(b) >> 16) + sc)
PROBE("mad24.hi.sat.s32 $d, $a, $b, $c", 'w', "iii",
      CLAMP32((int64_t)(int32_t)(slow24(a) * slow24(b) >> 16) + sc))

/*
 * ---- the carry flag, set and read by two instructions next to each other (a guard holds for the first of
 * them alone: the harness puts it before each) ----
 */

PROBE("add.cc.u32 %w1, $a, $b; addc.u32 $d, $c, 0", 'w', "iii", c + ((a + b) >> 32))
PROBE("add.cc.u64 %dr, $a, $b; addc.u64 $d, $c, $a", 'd', "III", c + a + (uint64_t)(((uwide)a + b) >> 64))
PROBE("sub.cc.u32 %w1, $a, $b; subc.u32 $d, $c, 0", 'w', "iii", c - (a < b))
PROBE("sub.cc.s64 %dr, $a, $b; subc.s64 $d, $c, $b", 'd', "III", c - b - (a < b))
PROBE("mad.lo.cc.u32 %w1, $a, $b, $c; madc.hi.u32 $d, $a, $b, $c", 'w', "iii",
      (a * b >> 32) + c + (((a * b & 0xffffffff) + c) >> 32))
PROBE("mad.hi.cc.s32 %w1, $a, $b, $c; addc.u32 $d, $a, $b", 'w', "iii",
      a + b + ((((uint64_t)(sa * sb) >> 32) + c) >> 32))
PROBE("mad.lo.cc.u64 %dr, $a, $b, $c; madc.hi.s64 $d, $a, $b, $c", 'd', "III",
      (uint64_t)(((wide)sa * sb) >> 64) + c + (uint64_t)(((uwide)(a * b) + c) >> 64))
PROBE("add.cc.u32 %w1, $a, $b; addc.cc.u32 %w2, $c, $b; addc.u32 $d, 0, 0", 'w', "iii",
      (c + b + ((a + b) >> 32)) >> 32)

/* ---- counting and finding bits ---- */

static uint64_t reversed(uint64_t x, int bits)
{
    uint64_t r = 0;
    for (int n = 0; n < bits; n++) {
        r |= (x >> n & 1) << (bits - 1 - n);
    }
    return r;
}

/* The highest bit that is not a copy of the sign; -1: none. */
static int64_t highest(uint64_t x, int bits, bool is_signed)
{
    const uint64_t sign = is_signed ? x >> (bits - 1) & 1 : 0;
    for (int n = bits - 1; n >= 0; n--) {
        if ((x >> n & 1) != sign) {
            return n;
        }
    }
    return -1;
}

static int64_t shift_amount(int64_t place, int bits)
{
    return place < 0 ? -1 : bits - 1 - place;
}

static uint64_t nth_set(uint64_t mask, uint64_t base, int64_t n)
{
    if (n == 0) {
        return base < 32 && (mask >> base & 1) ? base : 0xffffffff;
    }
    int64_t left = n < 0 ? -n : n;
    for (int64_t at = (int32_t)base; at >= 0 && at < 32; at += n < 0 ? -1 : 1) {
        left -= mask >> at & 1;
        if (left == 0) {
            return (uint64_t)at;
        }
    }
    return 0xffffffff;
}
PROBE("popc.b32 $d, $a", 'w', "y", __builtin_popcountll(a))
PROBE("popc.b64 $d, $a", 'w', "I", __builtin_popcountll(a))
PROBE("clz.b32 $d, $a", 'w', "i", 31 - highest(a, 32, false))
PROBE("clz.b64 $d, $a", 'w', "I", 63 - highest(a, 64, false))
PROBE("brev.b32 $d, $a", 'w', "i", reversed(a, 32))
PROBE("brev.b64 $d, $a", 'd', "I", reversed(a, 64))
PROBE("bfind.u32 $d, $a", 'w', "i", highest(a, 32, false))
PROBE("bfind.s32 $d, $a", 'w', "i", highest(a, 32, true))
PROBE("bfind.u64 $d, $a", 'w', "I", highest(a, 64, false))
PROBE("bfind.s64 $d, $a", 'w', "I", highest(a, 64, true))
PROBE("bfind.shiftamt.u32 $d, $a", 'w', "i", shift_amount(highest(a, 32, false), 32))
PROBE("bfind.shiftamt.s32 $d, $a", 'w', "i", shift_amount(highest(a, 32, true), 32))
PROBE("bfind.shiftamt.u64 $d, $a", 'w', "I", shift_amount(highest(a, 64, false), 64))
PROBE("bfind.shiftamt.s64 $d, $a", 'w', "I", shift_amount(highest(a, 64, true), 64))
PROBE("fns.b32 $d, $a, $b, 0", 'w', "yn", nth_set(a, b & 0xffffffff, 0))
PROBE("fns.b32 $d, $a, 11, 3", 'w', "y", nth_set(a, 11, 3))
PROBE("and.b32 %w1, $b, 31; fns.b32 $d, $a, %w1, -2", 'w', "yn", nth_set(a, b & 31, -2))
PROBE("and.b32 %w1, $b, 31; fns.b32 $d, $a, %w1, 4", 'w', "yn", nth_set(a, b & 31, 4))

/* ---- bit fields, bit by bit as the PTX ISA says it ---- */

static uint64_t extracted(uint64_t x, uint64_t b, uint64_t c, uint64_t msb, bool is_signed)
{
    const uint64_t at = b & 255, count = c & 255, last = at + count - 1;
    const uint64_t sign = is_signed && count ? x >> (last > msb ? msb : last) & 1 : 0;
    uint64_t r = 0;
    for (uint64_t n = 0; n <= msb; n++) {
        r |= (n < count && at + n <= msb ? x >> (at + n) & 1 : sign) << n;
    }
    return r;
}

static uint64_t inserted(uint64_t x, uint64_t into, uint64_t c, uint64_t d, uint64_t msb)
{
    const uint64_t at = c & 255, count = d & 255;
    for (uint64_t n = 0; n < count && at + n <= msb; n++) {
        into = (into & ~(1ull << (at + n))) | (x >> n & 1) << (at + n);
    }
    return into;
}

static uint64_t extended(uint64_t x, uint64_t y, bool clamps, bool is_signed)
{
    const uint64_t bits = y > 31 && clamps ? 32 : y & 31;
    const uint64_t low = x & ((1ull << bits) - 1);
    return is_signed && bits && (low >> (bits - 1) & 1) ? low | ~0ull << bits : low;
}

static uint64_t bit_mask(uint64_t x, uint64_t y, bool clamps)
{
    uint64_t r = 0;
    const uint64_t at = clamps ? x : x & 31, count = clamps ? y : y & 31;
    for (uint64_t n = at; n < 32 && n - at < count; n++) {
        r |= 1ull << n;
    }
    return r;
}
PROBE("bfe.u32 $d, $a, $b, $c", 'w', "inn", extracted(a, b, c, 31, false))
PROBE("bfe.s32 $d, $a, $b, $c", 'w', "inn", extracted(a, b, c, 31, true))
PROBE("bfe.u64 $d, $a, $b, $c", 'd', "Inn", extracted(a, b, c, 63, false))
PROBE("bfe.s64 $d, $a, $b, $c", 'd', "Inn", extracted(a, b, c, 63, true))
PROBE("bfe.s32 $d, $a, 8, 8", 'w', "i", extracted(a, 8, 8, 31, true))
PROBE("bfi.b32 $d, $a, $a, $b, $c", 'w', "ynn", inserted(a, a, b, c, 31))
PROBE("bfi.b64 $d, $a, $a, $b, $c", 'd', "Inn", inserted(a, a, b, c, 63))
PROBE("bfi.b32 $d, $a, $b, $c, 7", 'w', "yyn", inserted(a, b, c, 7, 31))
PROBE("bfi.b64 $d, $a, $b, $c, 40", 'd', "IIn", inserted(a, b, c, 40, 63))
PROBE("bfi.b32 $d, $a, $b, 5, $c", 'w', "yyn", inserted(a, b, 5, c, 31))
PROBE("szext.clamp.u32 $d, $a, $b", 'w', "yn", extended(a, b, true, false))
PROBE("szext.clamp.s32 $d, $a, $b", 'w', "yn", extended(a, b, true, true))
PROBE("szext.wrap.u32 $d, $a, $b", 'w', "yn", extended(a, b, false, false))
PROBE("szext.wrap.s32 $d, $a, $b", 'w', "yn", extended(a, b, false, true))
PROBE("bmsk.clamp.b32 $d, $a, $b", 'w', "nn", bit_mask(a, b, true))
PROBE("bmsk.wrap.b32 $d, $a, $b", 'w', "nn", bit_mask(a, b, false))

/* ---- dot products ---- */

/* Piece n of x, `bits` wide. */
static int64_t piece(uint64_t x, int n, int bits, bool is_signed)
{
    const uint64_t v = x >> (n * bits) & ((1ull << bits) - 1);
    return is_signed && (v >> (bits - 1) & 1) ? (int64_t)v - (1ll << bits) : (int64_t)v;
}

static int64_t dot(uint64_t a, bool sa, uint64_t b, bool sb, int count, int first)
{
    int64_t sum = 0;
    for (int n = 0; n < count; n++) {
        sum += piece(a, n, 32 / count, sa) * piece(b, first + n, 8, sb);
    }
    return sum;
}
#define DOTS(A, SA, B, SB)                                                                                   \
    PROBE("dp4a." A "." B " $d, $a, $b, $c", 'w', "yyi", sc + dot(a, SA, b, SB, 4, 0))                       \
    PROBE("dp2a.lo." A "." B " $d, $a, $b, $c", 'w', "yyi", sc + dot(a, SA, b, SB, 2, 0))                    \
    PROBE("dp2a.hi." A "." B " $d, $a, $b, $c", 'w', "yyi", sc + dot(a, SA, b, SB, 2, 2))
DOTS("u32", false, "u32", false)
DOTS("u32", false, "s32", true)
DOTS("s32", true, "u32", false)
DOTS("s32", true, "s32", true)

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
