/* Logic, shifts, permutations of bytes and video instructions against plain C. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/gpusim/probe.h"

/* ---- and .. cnot, mov ---- */

#define LOGIC(BITS, DST, KIND)                                                                               \
    PROBE("and.b" BITS " $d, $a, $b", DST, KIND KIND, a &b)                                                  \
    PROBE("or.b" BITS " $d, $a, $b", DST, KIND KIND, a | b)                                                  \
    PROBE("xor.b" BITS " $d, $a, $b", DST, KIND KIND, a ^ b)                                                 \
    PROBE("xor.b" BITS " $d, $a, -1", DST, KIND, ~a)                                                         \
    PROBE("not.b" BITS " $d, $a", DST, KIND, ~a)                                                             \
    PROBE("cnot.b" BITS " $d, $a", DST, KIND, a == 0)                                                        \
    PROBE("mov.b" BITS " $d, $a", DST, KIND, a)                                                              \
    PROBE("shl.b" BITS " $d, $a, $b", DST, KIND "n", b < BITS_OF(BITS) ? a << b : 0)                         \
    PROBE("shr.b" BITS " $d, $a, $b", DST, KIND "n", b < BITS_OF(BITS) ? a >> b : 0)                         \
    PROBE("shr.u" BITS " $d, $a, $b", DST, KIND "n", b < BITS_OF(BITS) ? a >> b : 0)                         \
    PROBE("shr.s" BITS " $d, $a, $b", DST, KIND "n", sa >> (b < 63 ? b : 63))                                \
    PROBE("shl.b" BITS " $d, $a, 9", DST, KIND, a << 9)                                                      \
    PROBE("shr.s" BITS " $d, $a, 9", DST, KIND, sa >> 9)                                                     \
    PROBE("shl.b" BITS " $d, $a, 64", DST, KIND, 0 * a)
#define BITS_OF(TEXT) (uint64_t)(TEXT[0] == '1' ? 16 : TEXT[0] == '3' ? 32 : 64)
LOGIC("16", 'h', "s")
LOGIC("32", 'w', "y")
LOGIC("64", 'd', "I")
PROBE("mov.b32 $d, {$a, $b}", 'w', "ss", a | b << 16)
PROBE("mov.b64 $d, {$a, $b}", 'd', "ii", a | b << 32)
PROBE("mov.b32 {_, $d}, $a", 'h', "i", a >> 16)
PROBE("mov.b64 {_, $d}, $a", 'w', "I", a >> 32)
PROBE("mov.b64 $d, {$a, $b, $a, $c}", 'd', "sss", a | b << 16 | a << 32 | c << 48)

/* ---- logic of predicates ---- */

#define PREDICATES(TEXT, EXPR)                                                                               \
    PROBE_BODY("setp.lt.s32 $Q, $a, $b; " TEXT, '-', "ii", const bool q = sa < sb;                           \
               return ((probe_out){.p = EXPR});)
PREDICATES("and.pred $P, $Q, $p; setp.ne.u32 $Q, 0, 0", q &&p)
PREDICATES("or.pred $P, $Q, $p; setp.ne.u32 $Q, 0, 0", q || p)
PREDICATES("xor.pred $P, $Q, $p; setp.ne.u32 $Q, 0, 0", q != p)
PREDICATES("and.pred $P, !$Q, $p; setp.ne.u32 $Q, 0, 0", !q && p)
PREDICATES("not.pred $P, $Q; setp.ne.u32 $Q, 0, 0", !q)
PREDICATES("xor.pred $P, $Q, -1; setp.ne.u32 $Q, 0, 0", !q)
PREDICATES("mov.pred $P, $p; setp.ne.u32 $Q, 0, 0", (q || !q) && p)

/* ---- lop3 ---- */

static uint64_t lop3(uint64_t a, uint64_t b, uint64_t c, uint32_t table)
{
    uint64_t r = 0;
    for (int n = 0; n < 32; n++) {
        const uint64_t row = (a >> n & 1) << 2 | (b >> n & 1) << 1 | (c >> n & 1);
        r |= (uint64_t)(table >> row & 1) << n;
    }
    return r;
}
#define LOP3(TABLE) PROBE("lop3.b32 $d, $a, $b, $c, " #TABLE, 'w', "yyy", lop3(a, b, c, TABLE))
/* clang-format off */
LOP3(0x00)
LOP3(0xff)
LOP3(0x01) LOP3(0x02) LOP3(0x04) LOP3(0x08) LOP3(0x10) LOP3(0x20) LOP3(0x40) LOP3(0x80) LOP3(0x96) LOP3(0xe8)
    LOP3(0xca) LOP3(0xea) LOP3(0xfe) LOP3(0x6a) LOP3(0x3c) LOP3(0xf8) LOP3(0xac) LOP3(0x5b) LOP3(0xc0)
        LOP3(0xfc) LOP3(0xd2) LOP3(0x27) LOP3(0xb1) LOP3(0x78) LOP3(0x1e) LOP3(0xe4) LOP3(0xd8) LOP3(0x69)
/* clang-format on */

/* With a predicate: whether any bit of the result is set, .or or .and another one; the result may go nowhere.
 */
#define LOP3_BOOL(TABLE, OP, MEET)                                                                           \
    PROBE_BODY("lop3." OP ".b32 $d|$P, $a, $b, $c, " #TABLE ", $p", 'w', "yyy",                              \
               const uint64_t r = lop3(a, b, c, TABLE);                                                      \
               return ((probe_out){.d = r, .p = (r != 0) MEET p});)                                          \
    PROBE_BODY("lop3." OP ".b32 _|$P, $a, $b, $c, " #TABLE ", !$p", '-', "yyy",                              \
               return ((probe_out){.p = (lop3(a, b, c, TABLE) != 0) MEET !p});)
            LOP3_BOOL(0x80, "and", &&) LOP3_BOOL(0x80, "or", ||) LOP3_BOOL(0x01, "and", &&)
                LOP3_BOOL(0x00, "or", ||)

    /* ---- funnel shifts of b:a ---- */

    static uint64_t funnel(uint64_t a, uint64_t b, uint64_t c, bool left, bool wrap)
{
    const uint64_t count = wrap ? c & 31 : c > 32 ? 32 : c, pair = b << 32 | a;
    return left ? count == 0 ? b : (pair << count) >> 32 : pair >> count;
}
PROBE("shf.l.wrap.b32 $d, $a, $b, $c", 'w', "iin", funnel(a, b, c, true, true))
PROBE("shf.l.clamp.b32 $d, $a, $b, $c", 'w', "iin", funnel(a, b, c, true, false))
PROBE("shf.r.wrap.b32 $d, $a, $b, $c", 'w', "iin", funnel(a, b, c, false, true))
PROBE("shf.r.clamp.b32 $d, $a, $b, $c", 'w', "iin", funnel(a, b, c, false, false))
PROBE("shf.l.wrap.b32 $d, $a, $b, 7", 'w', "ii", funnel(a, b, 7, true, true))

/* ---- prmt ---- */

static uint64_t byte_of(uint64_t a, uint64_t b, uint64_t selector)
{
    const uint64_t byte = (b << 32 | a) >> 8 * (selector & 7) & 255;
    return selector & 8 ? byte & 128 ? 255 : 0 : byte;
}

static uint64_t permuted(uint64_t a, uint64_t b, uint64_t c)
{
    return byte_of(a, b, c) | byte_of(a, b, c >> 4) << 8 | byte_of(a, b, c >> 8) << 16 |
           byte_of(a, b, c >> 12) << 24;
}

/* Byte n of a mode's result, for c & 3 = k, by the PTX ISA's table. */
static uint64_t mode_byte(int mode, int k, int n)
{
    switch (mode) {
    case 0: return (uint64_t)(k + n);                  /* f4e */
    case 1: return (uint64_t)((k - n) & 7);            /* b4e */
    case 2: return (uint64_t)k;                        /* rc8 */
    case 3: return (uint64_t)(n > k ? n : k);          /* ecl */
    case 4: return (uint64_t)(n < k ? n : k);          /* ecr */
    default: return (uint64_t)((k & 1) * 2 + (n & 1)); /* rc16 */
    }
}

static uint64_t permuted_mode(uint64_t a, uint64_t b, uint64_t c, int mode)
{
    uint64_t r = 0;
    for (int n = 0; n < 4; n++) {
        r |= byte_of(a, b, mode_byte(mode, c & 3, n)) << 8 * n;
    }
    return r;
}
#define PRMT(SELECTOR) PROBE("prmt.b32 $d, $a, $b, " #SELECTOR, 'w', "yy", permuted(a, b, SELECTOR))
PROBE("prmt.b32 $d, $a, $b, $c", 'w', "yyy", permuted(a, b, c))
/* clang-format off */
PRMT(0x5410)
PRMT(0x7632)
PRMT(0x3210) PRMT(0x0123) PRMT(0x7531) PRMT(0x9999) PRMT(0xba98) PRMT(0x4440)
    PROBE("prmt.b32.f4e $d, $a, $b, $c", 'w', "yyy", permuted_mode(a, b, c, 0))
        PROBE("prmt.b32.b4e $d, $a, $b, $c", 'w', "yyy", permuted_mode(a, b, c, 1))
            PROBE("prmt.b32.rc8 $d, $a, $b, $c", 'w', "yyy", permuted_mode(a, b, c, 2))
                PROBE("prmt.b32.ecl $d, $a, $b, $c", 'w', "yyy", permuted_mode(a, b, c, 3))
                    PROBE("prmt.b32.ecr $d, $a, $b, $c", 'w', "yyy", permuted_mode(a, b, c, 4))
                        PROBE("prmt.b32.rc16 $d, $a, $b, $c", 'w', "yyy", permuted_mode(a, b, c, 5))
    /* clang-format on */

    /* ---- video: of one value, two halves, four bytes ---- */

    static int64_t field(uint64_t x, int bits, int at, bool is_signed)
{
    const uint64_t up = x << (64 - bits - at);
    return is_signed ? (int64_t)up >> (64 - bits) : (int64_t)(up >> (64 - bits));
}

static int64_t limited(int64_t x, int bits, bool is_signed)
{
    const int64_t high = is_signed ? (1ll << (bits - 1)) - 1 : (1ll << bits) - 1;
    const int64_t low = is_signed ? -high - 1 : 0;
    return x < low ? low : x > high ? high : x;
}

static int64_t apply(char op, int64_t x, int64_t y)
{
    switch (op) {
    case '+': return x + y;
    case '-': return x - y;
    case 'd': return x > y ? x - y : y - x;
    case 'm': return x < y ? x : y;
    case '~': return lround((double)(x + y) / 2); /* halves away from zero */
    default: return x > y ? x : y;
    }
}

/* SIMD forms: the fields' results replace c's, or (.add) are summed to c. */
static uint64_t simd(char op, uint64_t a, uint64_t b, uint64_t c, int bits, bool is_signed, bool sat,
                     bool add)
{
    uint64_t r = add ? c : 0;
    for (int at = 0; at < 32; at += bits) {
        int64_t v = apply(op, field(a, bits, at, is_signed), field(b, bits, at, is_signed));
        v = sat ? limited(v, bits, is_signed) : v;
        r += add ? (uint64_t)v : ((uint64_t)v & ((1ull << bits) - 1)) << at;
    }
    return r;
}
#define SIMD(NAME, OP)                                                                                       \
    PROBE(NAME "2.u32.u32.u32 $d, $a, $b, $c", 'w', "yyy", simd(OP, a, b, c, 16, false, false, false))       \
    PROBE(NAME "2.s32.s32.s32.sat $d, $a, $b, $c", 'w', "yyy", simd(OP, a, b, c, 16, true, true, false))     \
    PROBE(NAME "4.u32.u32.u32.sat $d, $a, $b, $c", 'w', "yyy", simd(OP, a, b, c, 8, false, true, false))     \
    PROBE(NAME "4.s32.s32.s32 $d, $a, $b, $c", 'w', "yyy", simd(OP, a, b, c, 8, true, false, false))
SIMD("vadd", '+')
SIMD("vsub", '-')
SIMD("vabsdiff", 'd')
SIMD("vmin", 'm')
SIMD("vmax", 'M')
SIMD("vavrg", '~')
PROBE("vavrg4.u32.u32.u32.add $d, $a, $b, $c", 'w', "yyy", simd('~', a, b, c, 8, false, false, true))
PROBE("vabsdiff4.u32.u32.u32.add $d, $a, $b, $c", 'w', "yyy", simd('d', a, b, c, 8, false, false, true))
PROBE("vabsdiff2.u32.s32.s32.add $d, $a, $b, $c", 'w', "yyy", simd('d', a, b, c, 16, true, false, true))

#define SCALAR(NAME, OP)                                                                                     \
    PROBE(NAME ".s32.s32.s32.sat $d, $a, $b", 'w', "ii", limited(apply(OP, sa, sb), 32, true))               \
    PROBE(NAME ".u32.u32.s32.sat $d, $a, $b", 'w', "ii", limited(apply(OP, (int64_t)a, sb), 32, false))      \
    PROBE(NAME ".s32.u32.u32 $d, $a, $b", 'w', "ii", apply(OP, (int64_t)a, (int64_t)b))                      \
    PROBE(NAME ".s32.s32.s32 $d, $a.b1, $b.h1", 'w', "ii",                                                   \
          apply(OP, field(a, 8, 8, true), field(b, 16, 16, true)))                                           \
    PROBE(NAME ".u32.u32.u32.add $d, $a.b3, $b.b0, $c", 'w', "iii",                                          \
          apply(OP, field(a, 8, 24, false), field(b, 8, 0, false)) + sc)
SCALAR("vadd", '+')
SCALAR("vsub", '-')
SCALAR("vabsdiff", 'd')
SCALAR("vmin", 'm')
SCALAR("vmax", 'M')
PROBE("vshl.u32.u32.u32.clamp $d, $a, $b", 'w', "in", b > 31 ? 0 : a << b)
PROBE("vshl.u32.u32.u32.wrap $d, $a, $b", 'w', "in", a << (b & 31))
PROBE("vshr.u32.u32.u32.clamp $d, $a, $b", 'w', "in", b > 31 ? 0 : a >> b)
PROBE("vshr.s32.s32.u32.wrap $d, $a, $b", 'w', "in", sa >> (b & 31))
PROBE("vset.s32.s32.lt $d, $a, $b", 'w', "ii", sa < sb)
PROBE("vset.u32.u32.ge $d, $a, $b", 'w', "ii", a >= b)
PROBE("vmad.s32.s32.s32 $d, $a, $b, $c", 'w', "iii", (uint64_t)(sa *sb) + c)
PROBE("vmad.u32.u32.u32 $d, $a.h0, $b.h1, $c", 'w', "iii", (a & 0xffff) * (b >> 16) + c)
PROBE("vmad.u32.u32.u32.shr7 $d, $a.h0, $b.h1, $c", 'w', "iii", ((a & 0xffff) * (b >> 16) + c) >> 7)
PROBE("vmad.s32.s32.s32.sat.shr15 $d, $a, $b, $c", 'w', "iii",
      limited((int64_t)(((__int128)sa * sb + sc) >> 15 > INT64_MAX ? INT64_MAX
                                                                   : ((__int128)sa * sb + sc) >> 15),
              32, true))

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
