/*
 * atom and red against plain C: every operation, width and type, in global, shared and generic space; all
 * lanes on one address, some on each of a few, and each on its own. Lanes act in order of their number, so
 * what each gets back is known, not only what memory holds at the end.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/gpusim/harness.h"
#include "tests/gpusim/probe.h"
#include "tests/gpusim/probe_half.h"

enum { LANES = 32, ROUNDS = 18, TEXT = 1 << 20, KERNEL = 2048 };

typedef enum { GLOBAL, SHARED, GENERIC_GLOBAL, GENERIC_SHARED, SPACES } space;
/* What memory holds after the operation on x; flushes: device memory's f32 unit has no subnormal numbers. */
typedef uint64_t change(uint64_t x, uint64_t b, uint64_t c, bool flushes);

/* ---- the operations, operands zero-extended from their width ---- */

#define CHANGE(NAME, EXPR)                                                                                   \
    static uint64_t NAME(uint64_t x, uint64_t b, uint64_t c, bool flushes)                                   \
    {                                                                                                        \
        (void)x, (void)b, (void)c, (void)flushes;                                                            \
        return (uint64_t)(EXPR);                                                                             \
    }
#define S32(x) ((int32_t)(uint32_t)(x))
#define S64(x) ((int64_t)(x))
CHANGE(add_32, (uint32_t)(x + b))
CHANGE(add_64, x + b)
CHANGE(inc_u32, x >= b ? 0 : x + 1)
CHANGE(dec_u32, x == 0 || x > b ? b : x - 1)
CHANGE(min_unsigned, x < b ? x : b)
CHANGE(max_unsigned, x > b ? x : b)
CHANGE(min_s32, S32(x) < S32(b) ? x : b)
CHANGE(max_s32, S32(x) > S32(b) ? x : b)
CHANGE(min_s64, S64(x) < S64(b) ? x : b)
CHANGE(max_s64, S64(x) > S64(b) ? x : b)
CHANGE(bits_and, x &b)
CHANGE(bits_or, x | b)
CHANGE(bits_xor, x ^ b)
CHANGE(exchange, b)
CHANGE(compare, x == b ? c : x)

static float flushed(float x)
{
    return fpclassify(x) == FP_SUBNORMAL ? copysignf(0, x) : x;
}

static uint64_t add_f32(uint64_t x, uint64_t b, uint64_t c, bool flushes)
{
    (void)c;
    float p = probe_float(x), q = probe_float(b);
    p = flushes ? flushed(p) : p;
    q = flushes ? flushed(q) : q;
    return probe_bits(flushes ? flushed(p + q) : p + q);
}

static uint64_t add_f64(uint64_t x, uint64_t b, uint64_t c, bool flushes)
{
    (void)c, (void)flushes;
    return probe_bits64(probe_double(x) + probe_double(b));
}

static uint64_t add_half(uint64_t x, uint64_t b, half_format f)
{
    return half_round(half_value(x & 0xffff, f) + half_value(b & 0xffff, f), 0, f, HALF_RN);
}
CHANGE(add_f16, add_half(x, b, half_f16))
CHANGE(add_bf16, add_half(x, b, half_bf16))
CHANGE(add_f16x2, add_half(x, b, half_f16) | add_half(x >> 16, b >> 16, half_f16) << 16)
CHANGE(add_bf16x2, add_half(x, b, half_bf16) | add_half(x >> 16, b >> 16, half_bf16) << 16)

static const struct {
    const char *text; /* .operation.type */
    uint32_t bytes;
    char kind; /* of the values: i integers, f F h b H B as probe.h says */
    bool red, ternary;
    change *change;
} rows[] = {
    {"add.u32", 4, 'i', true, false, add_32},
    {"add.s32", 4, 'i', true, false, add_32},
    {"add.u64", 8, 'i', true, false, add_64},
    {"add.f32", 4, 'f', true, false, add_f32},
    {"add.f64", 8, 'F', true, false, add_f64},
    {"add.noftz.f16", 2, 'h', true, false, add_f16},
    {"add.noftz.f16x2", 4, 'H', true, false, add_f16x2},
    {"add.noftz.bf16", 2, 'b', true, false, add_bf16},
    {"add.noftz.bf16x2", 4, 'B', true, false, add_bf16x2},
    {"inc.u32", 4, 'i', true, false, inc_u32},
    {"dec.u32", 4, 'i', true, false, dec_u32},
    {"min.u32", 4, 'i', true, false, min_unsigned},
    {"max.u32", 4, 'i', true, false, max_unsigned},
    {"min.s32", 4, 'i', true, false, min_s32},
    {"max.s32", 4, 'i', true, false, max_s32},
    {"min.u64", 8, 'i', true, false, min_unsigned},
    {"max.u64", 8, 'i', true, false, max_unsigned},
    {"min.s64", 8, 'i', true, false, min_s64},
    {"max.s64", 8, 'i', true, false, max_s64},
    {"and.b32", 4, 'i', true, false, bits_and},
    {"or.b32", 4, 'i', true, false, bits_or},
    {"xor.b32", 4, 'i', true, false, bits_xor},
    {"and.b64", 8, 'i', true, false, bits_and},
    {"or.b64", 8, 'i', true, false, bits_or},
    {"xor.b64", 8, 'i', true, false, bits_xor},
    {"exch.b32", 4, 'i', false, false, exchange},
    {"exch.b64", 8, 'i', false, false, exchange},
    {"cas.b16", 2, 'i', false, true, compare},
    {"cas.b32", 4, 'i', false, true, compare},
    {"cas.b64", 8, 'i', false, true, compare},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

/* Order and scope, which change nothing here; acquire is for atom alone. */
static const char *const orders[] = {
    "", ".relaxed.gpu", ".release.cta", ".relaxed.sys", ".acquire.gpu", ".acq_rel.sys"};

/* ---- kernels: memory of 32 words of 8 bytes; lane t works on word t & group ---- */

static void say_instruction(int row, space where, bool red, char *text, size_t room)
{
    static const char *const spaces[SPACES] = {".global", ".shared", "", ""};
    const char letter = rows[row].bytes == 2 ? 'h' : rows[row].bytes == 4 ? 'w' : 'd';
    const char *order = orders[(row + (int)where) % (red ? 4 : 6)];
    char third[16], result[16];
    snprintf(third, sizeof third, rows[row].ternary ? ", %%%cc" : "", letter);
    snprintf(result, sizeof result, red ? "" : "%%%cr, ", letter);
    snprintf(text, room, "%s%s%s.%s %s[%%at], %%%cb%s;", red ? "red" : "atom", order, spaces[where],
             rows[row].text, result, letter, third);
}

/* %mem: the words, in the space that the instruction names; %operands: b and c of the lane; %out. */
static void say_kernel(int row, space where, bool red, char *text, size_t room)
{
    char instruction[128];
    const bool shared = where == SHARED || where == GENERIC_SHARED;
    const char letter = rows[row].bytes == 2 ? 'h' : rows[row].bytes == 4 ? 'w' : 'd';
    say_instruction(row, where, red, instruction, sizeof instruction);
    snprintf(
        text, room,
        ".visible .entry k%d_%d_%d(.param .u64 mem, .param .u64 in, .param .u64 out, .param .u32 group)\n{\n"
        ".reg .b16 %%hb, %%hc, %%hr; .reg .b32 %%wb, %%wc, %%wr, %%t, %%group, %%p32; .reg .pred %%p;\n"
        ".reg .b64 %%db, %%dc, %%dr, %%mem, %%in, %%out, %%at, %%own, %%base, %%x;\n"
        ".shared .align 8 .b64 words[32];\n"
        "mov.u32 %%t, %%tid.x; mul.wide.u32 %%own, %%t, 8; ld.param.u32 %%group, [group];\n"
        "ld.param.u64 %%mem, [mem]; ld.param.u64 %%in, [in]; ld.param.u64 %%out, [out];\n"
        "add.s64 %%out, %%out, %%own; add.s64 %%in, %%in, %%own;\n"
        "ld.global.u64 %%db, [%%in]; ld.global.u64 %%dc, [%%in+256];\n"
        "cvt.u32.u64 %%wb, %%db; cvt.u32.u64 %%wc, %%dc; cvt.u16.u64 %%hb, %%db; cvt.u16.u64 %%hc, %%dc;\n"
        "mov.b64 %%dr, 0; mov.b32 %%wr, 0; mov.b16 %%hr, 0; mov.u64 %%base, words;\n"
        "add.s64 %%x, %%mem, %%own; ld.global.u64 %%x, [%%x]; add.s64 %%at, %%base, %%own;\n"
        "st.shared.u64 [%%at], %%x; bar.sync 0;\n%s\n"
        "and.b32 %%t, %%t, %%group; mul.wide.u32 %%at, %%t, 8; add.s64 %%at, %%base, %%at;\n%s\nbar.sync 0;\n"
        "%s\n%s st.global.u64 [%%out], %%dr;\nret;\n}\n",
        row, (int)where, red,
        where == GENERIC_SHARED ? "cvta.shared.u64 %base, %base;"
        : shared                ? ""
                                : "mov.u64 %base, %mem;",
        instruction,
        shared ? "mov.u64 %base, words; add.s64 %at, %base, %own; ld.shared.u64 %x, [%at];"
                 "add.s64 %at, %mem, %own; st.global.u64 [%at], %x;"
               : "",
        letter == 'h'   ? "cvt.u64.u16 %dr, %hr;"
        : letter == 'w' ? "cvt.u64.u32 %dr, %wr;"
                        : "");
}

/* ---- values ---- */

/* Of one kind: few integers, so that lanes meet; floats near to each other, small ones, infinities, NaN. */
static uint64_t value(char kind, uint64_t r)
{
    static const uint32_t f32[] = {0x3f800000, 0xbf800001, 0x00000001, 0x80000003, 0x007fffff, 0x00800000,
                                   0x7f7fffff, 0x7f800000, 0x40490fdb, 0x80800001, 0x33800000, 0x7fc00000};
    static const uint16_t f16[] = {0x3c00, 0xbc01, 0x0001, 0x8003, 0x03ff, 0x0400, 0x7bff, 0x7c00, 0x4248};
    static const uint16_t bf16[] = {0x3f80, 0xbf81, 0x0001, 0x8003, 0x007f, 0x0080, 0x7f7f, 0x7f80, 0x4049};
    const uint64_t bits = probe_hash(r); /* two rounds in three stay finite */
    switch (kind) {
    case 'f': return f32[bits % (r % 3 ? 6 : 12)];
    case 'F': return probe_bits64((double)(int64_t)bits * (r % 3 ? 0x1p-60 : 0x1p-1070));
    case 'h': return f16[bits % (r % 3 ? 6 : 9)];
    case 'b': return bf16[bits % (r % 3 ? 6 : 9)];
    case 'H':
    case 'B': return value(kind + 32, r) | value(kind + 32, r + 3000) << 16;
    default: return r % 3 ? (uint64_t)((int64_t)(bits % 9) - 3) : bits;
    }
}

static uint64_t mask_of(int row)
{
    return rows[row].bytes == 8 ? UINT64_MAX : (1ull << 8 * rows[row].bytes) - 1;
}

/* Equal, or both a NaN. */
static bool same(int row, uint64_t got, uint64_t want)
{
    if (rows[row].kind == 'f' || rows[row].kind == 'F') {
        const double g = rows[row].kind == 'f' ? (double)probe_float(got) : probe_double(got);
        const double w = rows[row].kind == 'f' ? (double)probe_float(want) : probe_double(want);
        if (isnan(w)) {
            return isnan(g);
        }
    }
    return got == want;
}

/* One launch; returns whether memory or what a lane got back is wrong. */
static bool is_wrong(int row, space where, bool red, uint64_t round)
{
    static const uint32_t groups[] = {0, 3, 31};
    uint64_t words[LANES], before[LANES], in[2][LANES], out[LANES], want[LANES] = {0};
    uint32_t group = groups[round % 3];
    bool wrong = false;
    for (uint64_t n = 0; n < LANES; n++) {
        const uint64_t r = (round * 97 + n) * 9 + round / 3 % 3;
        words[n] = before[n] = (value(rows[row].kind, r) & mask_of(row)) | (probe_hash(r) & ~mask_of(row));
        in[0][n] = value(rows[row].kind, r + 3) & mask_of(row);
        in[1][n] = value(rows[row].kind, r + 6) & mask_of(row);
    }
    uint64_t mem = gpu_upload(words, sizeof words), from = gpu_upload(in, sizeof in);
    uint64_t to = gpu_zeros(sizeof out);
    char name[32];
    snprintf(name, sizeof name, "k%d_%d_%d", row, (int)where, red);
    gpu_launch(name, (gpu_dim){1, 1, 1}, (gpu_dim){LANES, 1, 1}, 0, GPU_ARGS(&mem, &from, &to, &group));
    gpu_download(words, mem, sizeof words);
    gpu_download(out, to, sizeof out);
    gpu_free(mem), gpu_free(from), gpu_free(to);
    for (uint32_t n = 0; n < LANES; n++) {
        uint64_t *x = &before[n & group];
        const uint64_t low = *x & mask_of(row);
        want[n] = red ? 0 : low;
        *x = (*x & ~mask_of(row)) |
             rows[row].change(low, in[0][n], in[1][n], where == GLOBAL || where == GENERIC_GLOBAL);
    }
    for (uint32_t n = 0; n < LANES; n++) {
        wrong |= !same(row, out[n], want[n]) || (words[n] ^ before[n]) & ~mask_of(row) ||
                 !same(row, words[n] & mask_of(row), before[n] & mask_of(row));
    }
    return wrong;
}

static char *say_module(void)
{
    char *text = malloc(TEXT);
    assert_non_null(text);
    size_t length = (size_t)snprintf(text, TEXT, ".version 8.0\n.target sm_90\n.address_size 64\n");
    for (int row = 0; row < ROWS; row++) {
        for (int n = 0; n < SPACES * (rows[row].red ? 2 : 1); n++) {
            assert_true(TEXT - length > KERNEL);
            say_kernel(row, n % SPACES, n >= SPACES, text + length, KERNEL);
            length += strlen(text + length);
        }
    }
    return text;
}

static void test_atomics(void **state)
{
    (void)state;
    int wrong = 0;
    char *text = say_module(), instruction[128];
    gpu_open_text(text);
    free(text);
    for (int row = 0; row < ROWS; row++) {
        for (int n = 0; n < SPACES * (rows[row].red ? 2 : 1); n++) {
            int bad = 0;
            for (uint64_t round = 0; round < ROUNDS; round++) {
                bad += is_wrong(row, n % SPACES, n >= SPACES, round);
            }
            if (bad) {
                say_instruction(row, n % SPACES, n >= SPACES, instruction, sizeof instruction);
                print_error("%s (space %d): %d of %d wrong\n", instruction, n % SPACES, bad, ROUNDS);
                wrong++;
            }
        }
    }
    gpu_close();
    assert_int_equal(wrong, 0);
}

/* Many blocks on one word of device memory: nothing is lost, each old value is seen once. */
static void test_blocks_together(void **state)
{
    (void)state;
    enum { BLOCKS = 64, THREADS = 96, ALL = BLOCKS * THREADS };
    static uint32_t old[ALL], seen[ALL];
    uint32_t counter = 0;
    gpu_open_text(
        ".version 8.0\n.target sm_80\n.address_size 64\n"
        ".visible .entry count(.param .u64 word, .param .u64 out)\n{\n.reg .b32 %r<5>; .reg .b64 "
        "%d<4>;\n"
        "ld.param.u64 %d1, [word]; ld.param.u64 %d2, [out]; mov.u32 %r1, %ctaid.x; mov.u32 %r2, "
        "%tid.x; mov.u32 %r3, %ntid.x; mad.lo.u32 %r1, %r1, %r3, %r2; mul.wide.u32 %d3, %r1, 4;\n"
        "add.s64 %d2, %d2, %d3; atom.global.add.u32 %r4, [%d1], 1; st.global.u32 [%d2], %r4; ret;\n}\n");
    uint64_t word = gpu_zeros(4), out = gpu_zeros(sizeof old);
    gpu_launch("count", (gpu_dim){BLOCKS, 1, 1}, (gpu_dim){THREADS, 1, 1}, 0, GPU_ARGS(&word, &out));
    gpu_download(&counter, word, sizeof counter);
    gpu_download(old, out, sizeof old);
    memset(seen, 0, sizeof seen);
    assert_int_equal(counter, ALL);
    for (int n = 0; n < ALL; n++) {
        assert_true(old[n] < ALL);
        assert_int_equal(seen[old[n]]++, 0);
    }
    gpu_free(word), gpu_free(out);
    gpu_close();
}

static int run(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_atomics),
                                       cmocka_unit_test(test_blocks_together)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return probe_run_levels(run);
}
