/*
 * mma.sync in the shapes and types of sm_80 (m8n8k4 of f16 excepted) against plain loops over whole matrices.
 * Operands are small integers, so that sums are exact in whichever order. The places of elements in registers
 * are those of the PTX ISA, "Matrix Fragments for mma", in one formula for all. A second test has floats
 * whose sums round, zeros of both signs, infinities and NaN, against sums in the order that ops/matrix.c
 * promises.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/gpusim/harness.h"
#include "tests/gpusim/probe.h"

typedef enum { F16, BF16, TF32, F64, S8, U8, S4, U4, B1 } element;

static const int element_bits[] = {16, 16, 32, 64, 8, 8, 4, 4, 1};
static const char *const element_name[] = {"f16", "bf16", "tf32", "f64", "s8", "u8", "s4", "u4", "b1"};

typedef struct {
    int m, k; /* n is 8 */
    element a, b;
    const char *sum;  /* type of C and D */
    const char *mods; /* behind .row.col */
} variant;

static const variant variants[] = {
    {16, 8, F16, F16, "f32", ""},
    {16, 16, F16, F16, "f32", ""},
    {16, 8, F16, F16, "f16", ""},
    {16, 16, F16, F16, "f16", ""},
    {16, 8, BF16, BF16, "f32", ""},
    {16, 16, BF16, BF16, "f32", ""},
    {16, 4, TF32, TF32, "f32", ""},
    {16, 8, TF32, TF32, "f32", ""},
    {8, 4, F64, F64, "f64", ""},
    {8, 16, S8, S8, "s32", ""},
    {8, 16, U8, S8, "s32", ""},
    {16, 16, S8, U8, "s32", ""},
    {16, 16, U8, U8, "s32", ""},
    {16, 32, S8, S8, "s32", ""},
    {16, 32, U8, S8, "s32", ""},
    {16, 32, S8, S8, "s32", ".satfinite"},
    {8, 32, S4, S4, "s32", ""},
    {8, 32, U4, S4, "s32", ""},
    {16, 32, S4, U4, "s32", ""},
    {16, 64, S4, S4, "s32", ""},
    {16, 64, U4, U4, "s32", ""},
    {16, 64, U4, U4, "s32", ".satfinite"},
    {8, 128, B1, B1, "s32", ".xor.popc"},
    {8, 128, B1, B1, "s32", ".and.popc"},
    {16, 128, B1, B1, "s32", ".xor.popc"},
    {16, 128, B1, B1, "s32", ".and.popc"},
    {16, 256, B1, B1, "s32", ".xor.popc"},
    {16, 256, B1, B1, "s32", ".and.popc"},
};

enum { VARIANTS = sizeof variants / sizeof variants[0], ROUNDS = 16 };

/* 32-bit words of a lane's part of A, B, C. */
static int words_a(const variant *v)
{
    return v->m * v->k * element_bits[v->a] / 32 / 32;
}

static int words_b(const variant *v)
{
    return 8 * v->k * element_bits[v->b] / 32 / 32;
}

static int words_c(const variant *v)
{
    return v->m * 8 * (v->sum[1] == '6' ? 64 : v->sum[1] == '1' ? 16 : 32) / 32 / 32;
}

/* Integers that products and sums of any type here hold exactly. */
static int value_of(element type, uint64_t seed)
{
    const int r = (int)(probe_hash(seed) >> 20 & 0xffff);
    switch (type) {
    case S8: return (r & 255) - 128;
    case U8: return r & 255;
    case S4: return (r & 15) - 8;
    case U4: return r & 15;
    case B1: return r & 1;
    default: return r % 9 - 4;
    }
}

/* The bits of a small integer in a type. */
static uint64_t encoded(element type, int x)
{
    const _Float16 half = (_Float16)x;
    uint16_t bits;
    switch (type) {
    case F16: memcpy(&bits, &half, 2); return bits;
    case BF16: return probe_bits((float)x) >> 16;
    case TF32: return probe_bits((float)x);
    case F64: return probe_bits64(x);
    default: return (uint64_t)x & ((1ull << element_bits[type]) - 1);
    }
}

/* Element e of word w of a lane (of an f64: of the pair of words): its row (of B: column) and place along k.
 */
static int along_k(element type, int lane, int group, int e)
{
    const int each = element_bits[type] < 32 ? 32 / element_bits[type] : 1;
    return group * 4 * each + lane % 4 * each + e;
}

typedef struct {
    int a[16][256], b[256][8];
    int64_t c[16][8], d[16][8];
} problem;

static bool is_integer(const variant *v)
{
    return v->sum[0] == 's';
}

static int64_t product(const variant *v, int x, int y)
{
    return v->a != B1 ? (int64_t)x * y : v->mods[1] == 'x' ? x ^ y : x & y;
}

static void make_problem(const variant *v, uint64_t seed, problem *p)
{
    for (int row = 0; row < v->m; row++) {
        for (int k = 0; k < v->k; k++) {
            p->a[row][k] = value_of(v->a, seed * 7919 + (uint64_t)(row * 256 + k));
        }
    }
    for (int k = 0; k < v->k; k++) {
        for (int column = 0; column < 8; column++) {
            p->b[k][column] = value_of(v->b, seed * 7919 + 5000 + (uint64_t)(column * 256 + k));
        }
    }
    for (int row = 0; row < v->m; row++) {
        for (int column = 0; column < 8; column++) {
            const uint64_t r = probe_hash(seed * 31 + (uint64_t)(row * 8 + column));
            int64_t sum =
                is_integer(v) ? (r & 3 ? (int32_t)r : INT32_MAX - (int)(r >> 40 & 63)) : value_of(F16, r);
            p->c[row][column] = sum;
            for (int k = 0; k < v->k; k++) {
                sum += product(v, p->a[row][k], p->b[k][column]);
            }
            if (is_integer(v)) { /* saturates or wraps */
                const int64_t cut = sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum;
                sum = strcmp(v->mods, ".satfinite") == 0 ? cut : (int32_t)sum;
            }
            p->d[row][column] = sum;
        }
    }
}

/* A lane's words of A and B. */
static void give_ab(const variant *v, const problem *p, int lane, uint32_t *a, uint32_t *b)
{
    const int rows = v->m / 8, bits = element_bits[v->a], each = bits < 32 ? 32 / bits : 1;
    const int step = bits == 64 ? 2 : 1;
    for (int w = 0; w < words_a(v) / step; w++) {
        uint64_t word = 0;
        for (int e = 0; e < each; e++) {
            const int row = lane / 4 + 8 * (w % rows);
            word |= encoded(v->a, p->a[row][along_k(v->a, lane, w / rows, e)]) << (e * bits) % 64;
        }
        memcpy(a + w * step, &word, (size_t)step * 4);
    }
    for (int w = 0; w < words_b(v) / step; w++) {
        uint64_t word = 0;
        for (int e = 0; e < each; e++) {
            word |= encoded(v->b, p->b[along_k(v->b, lane, w, e)][lane / 4]) << (e * bits) % 64;
        }
        memcpy(b + w * step, &word, (size_t)step * 4);
    }
}

/* A lane's words of C or D: two neighbours of a row for each eight rows. */
static void give_c(const variant *v, int64_t (*c)[8], int lane, uint32_t *to)
{
    for (int n = 0; n < v->m / 4; n++) {
        const int64_t x = c[lane / 4 + n / 2 * 8][lane % 4 * 2 + n % 2];
        if (is_integer(v)) {
            to[n] = (uint32_t)x;
        } else if (v->sum[1] == '6') {
            const uint64_t bits = probe_bits64((double)x);
            memcpy(to + 2 * n, &bits, 8);
        } else if (v->sum[1] == '1') {
            const _Float16 half = (_Float16)x;
            memcpy((char *)to + 2 * n, &half, 2);
        } else {
            to[n] = (uint32_t)probe_bits((float)x);
        }
    }
}

/* ---- the module: kernel N loads 16 words a lane, runs variant N, stores D ---- */

static size_t say_operand(char *to, size_t room, int first, int words, bool doubles)
{
    size_t length = (size_t)snprintf(to, room, "{");
    for (int n = 0; n < words / (doubles ? 2 : 1); n++) {
        length += (size_t)snprintf(to + length, room - length, "%s%s%d", n ? "," : "", doubles ? "%d" : "%r",
                                   first + n);
    }
    return length + (size_t)snprintf(to + length, room - length, "}");
}

/* Registers: A from 0 on, B from 4, C from 8, D from 12. */
static void say_kernel(const variant *v, int number, char *text, size_t room)
{
    char a[64], b[64], c[64], d[64];
    const bool doubles = v->a == F64;
    const char *wide = doubles ? "d" : "r", *type = doubles ? "f64" : "b32";
    const int bytes = doubles ? 8 : 4;
    say_operand(a, sizeof a, 0, words_a(v), doubles);
    say_operand(b, sizeof b, 4, words_b(v), doubles);
    say_operand(c, sizeof c, 8, words_c(v), doubles);
    say_operand(d, sizeof d, 12, words_c(v), doubles);
    size_t n = (size_t)snprintf(
        text, room,
        ".visible .entry k%d(.param .u64 in, .param .u64 out)\n{\n.reg .b32 %%r<16>, %%t;\n"
        ".reg .f64 %%d<16>; .reg .b64 %%in, %%out, %%at;\nmov.u32 %%t, %%tid.x;\n"
        "ld.param.u64 %%in, [in]; ld.param.u64 %%out, [out];\n"
        "mul.wide.u32 %%at, %%t, %d; add.s64 %%in, %%in, %%at; add.s64 %%out, %%out, %%at;\n",
        number, 16 * 8);
    for (int r = 0; r < 12; r++) {
        n += (size_t)snprintf(text + n, room - n, "ld.global.%s %%%s%d, [%%in+%d];\n", type, wide, r,
                              bytes * r);
    }
    n += (size_t)snprintf(text + n, room - n,
                          "mma.sync.aligned.m%dn8k%d.row.col%s.%s.%s.%s.%s%s %s, %s, %s, %s;\n", v->m, v->k,
                          v->a == B1 ? "" : v->mods, v->sum, element_name[v->a], element_name[v->b], v->sum,
                          v->a == B1 ? v->mods : "", d, a, b, c);
    for (int r = 0; r < words_c(v) * 4 / bytes; r++) {
        n += (size_t)snprintf(text + n, room - n, "st.global.%s [%%out+%d], %%%s%d;\n", type, bytes * r, wide,
                              12 + r);
    }
    snprintf(text + n, room - n, "ret;\n}\n");
}

static int run_variant(const variant *v, int number, uint64_t seed)
{
    static problem p;
    static uint32_t in[32][32], got[32][32], want[32][32];
    char name[16];
    const int scale = v->a == F64 ? 2 : 1;
    memset(in, 0, sizeof in);
    memset(want, 0, sizeof want);
    make_problem(v, seed, &p);
    for (int lane = 0; lane < 32; lane++) {
        give_ab(v, &p, lane, in[lane], in[lane] + 4 * scale);
        give_c(v, p.c, lane, in[lane] + 8 * scale);
        give_c(v, p.d, lane, want[lane]);
    }
    uint64_t from = gpu_upload(in, sizeof in), to = gpu_zeros(sizeof got);
    snprintf(name, sizeof name, "k%d", number);
    gpu_launch(name, (gpu_dim){1, 1, 1}, (gpu_dim){32, 1, 1}, 0, GPU_ARGS(&from, &to));
    gpu_download(got, to, sizeof got);
    gpu_free(from);
    gpu_free(to);
    return memcmp(got, want, sizeof got) != 0;
}

static void open_kernels(void)
{
    static char text[VARIANTS * 4096];
    strcpy(text, ".version 8.0\n.target sm_80\n.address_size 64\n");
    for (int n = 0; n < VARIANTS; n++) {
        const size_t length = strlen(text);
        say_kernel(&variants[n], n, text + length, sizeof text - length);
    }
    gpu_open_text(text);
}

static void test_variants(void **state)
{
    (void)state;
    int wrong = 0;
    open_kernels();
    for (int n = 0; n < VARIANTS; n++) {
        int bad = 0;
        for (uint64_t seed = 0; seed < ROUNDS; seed++) {
            bad += run_variant(&variants[n], n, seed);
        }
        if (bad) {
            const variant *v = &variants[n];
            print_error("mma m%dn8k%d %s %s %s%s: %d of %d wrong\n", v->m, v->k, element_name[v->a],
                        element_name[v->b], v->sum, v->mods, bad, ROUNDS);
            wrong++;
        }
    }
    gpu_close();
    assert_int_equal(wrong, 0);
}

/* ---- sums that round ---- */

enum { FINITE, ZEROS, SPECIAL, KINDS };

/* A float of a type: between 2^-7 and 2^8 of either sign; or a zero; or, one in 32, infinity or NaN. */
static uint32_t float_bits(element type, int kind, uint64_t seed)
{
    const uint32_t r = (uint32_t)(probe_hash(seed) >> 16), size = (uint32_t)element_bits[type];
    const uint32_t mantissa = type == F16 ? 10 : type == BF16 ? 7 : 23, bias = type == F16 ? 15 : 127;
    const uint32_t sign = (r >> 31) << (size - 1), ones = (1u << (size - 1 - mantissa)) - 1;
    if (kind == ZEROS) {
        return sign;
    }
    if (kind == SPECIAL && r % 32 == 0) {
        return sign | ones << mantissa | (r >> 8 & 1) << (mantissa - 1);
    }
    return sign | (bias - 7 + r % 15) << mantissa | (r >> 4 & ((1u << mantissa) - 1));
}

/* Element x of a row of A, or of a column of B, in the words of all lanes. */
static float element_of(const variant *v, uint32_t (*in)[32], bool is_b, int row, int x)
{
    const int each = 32 / element_bits[v->a], group = x / (4 * each);
    const uint32_t word = in[row % 8 * 4 + x / each % 4][is_b ? 4 + group : row / 8 + 2 * group];
    const uint16_t half = (uint16_t)(word >> (16 * (x % each)));
    _Float16 f;
    memcpy(&f, &half, 2);
    return v->a == F16    ? (float)f
           : v->a == BF16 ? probe_float((uint64_t)half << 16)
                          : probe_float(word & 0xffffe000u);
}

static uint32_t summed(const variant *v, uint32_t (*in)[32], int lane, int n)
{
    const int row = lane / 4 + n / 2 * 8, column = lane % 4 * 2 + n % 2;
    float sum = 0;
    for (int x = 0; x < v->k; x++) { /* products are exact, so fma or not makes no difference */
        const float product = element_of(v, in, false, row, x) * element_of(v, in, true, column, x);
        sum = x ? sum + product : product;
    }
    sum += probe_float(in[lane][8 + n]);
    return sum == sum ? (uint32_t)probe_bits(sum) : 0x7fffffffu;
}

static int sum_variant(const variant *v, int number, int kind, uint64_t seed)
{
    static uint32_t in[32][32], got[32][32];
    char name[16];
    int bad = 0;
    for (int lane = 0; lane < 32; lane++) {
        for (int w = 0; w < 12; w++) {
            const uint64_t s = (seed * 32 + (uint64_t)lane) * 32 + (uint64_t)w;
            in[lane][w] = w < 8 && element_bits[v->a] == 16
                              ? float_bits(v->a, kind, s * 2) | float_bits(v->a, kind, s * 2 + 1) << 16
                              : float_bits(TF32, kind, s * 2);
        }
    }
    uint64_t from = gpu_upload(in, sizeof in), to = gpu_zeros(sizeof got);
    snprintf(name, sizeof name, "k%d", number);
    gpu_launch(name, (gpu_dim){1, 1, 1}, (gpu_dim){32, 1, 1}, 0, GPU_ARGS(&from, &to));
    gpu_download(got, to, sizeof got);
    gpu_free(from);
    gpu_free(to);
    for (int lane = 0; lane < 32; lane++) {
        for (int n = 0; n < 4; n++) {
            bad += got[lane][n] != summed(v, in, lane, n);
        }
    }
    return bad;
}

static void test_sums(void **state)
{
    (void)state;
    int wrong = 0;
    open_kernels();
    for (int n = 0; n < VARIANTS; n++) {
        const variant *v = &variants[n];
        for (int i = 0; v->a <= TF32 && strcmp(v->sum, "f32") == 0 && i < KINDS * ROUNDS; i++) {
            const int bad = sum_variant(v, n, i % KINDS, (uint64_t)i);
            if (bad) {
                print_error("mma m%dn8k%d %s: %d of 128 wrong, kind %d, seed %d\n", v->m, v->k,
                            element_name[v->a], bad, i % KINDS, i);
                wrong++;
            }
        }
    }
    gpu_close();
    assert_int_equal(wrong, 0);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_variants), cmocka_unit_test(test_sums)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return probe_run_levels(run);
}
