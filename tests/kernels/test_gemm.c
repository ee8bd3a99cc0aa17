/*
 * gemm and gemm_pack against the reference: every option, hostile shapes, strides, aliasing, and bit-for-bit
 * invariance.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/fixture.h"
#include "tests/kernels/tolerances.h"
#include "tests/ref/ref_ops.h"

enum { SEED = 20240601, ACTIVATIONS = SA_ACT_QUICK_GELU + 1 };

typedef enum { NO_RESIDUAL, OWN_RESIDUAL, CYCLED_RESIDUAL, ALIASED_RESIDUAL, RESIDUALS } residual_kind;

typedef struct {
    size_t m, n, k;
    sa_dtype dtype, c_dtype, source_dtype;
    bool bias;
    sa_activation act;
    residual_kind residual;
    size_t more_a, more_c, more_r; /* elements between the end of a row and the next */
    size_t shift;                  /* bytes that the source of w stands off its natural border */
    uint64_t seed;
} gemm_case;

typedef struct {
    operand a;
    float *w; /* what the packed matrix should hold */
    unsigned char *source;
    float *bias, *residual;
    float *want;
    sa_gemm_args args;
} gemm_data;

/*
 * A half between 2^-7 and 1, or now and then subnormal: a spread of f16 without the need of a conversion to
 * it.
 */
static sa_f16 some_half(uint64_t seed, uint64_t index)
{
    size_t exponent = pick(seed, 3 * index, 40) == 0 ? 0 : 8 + pick(seed, 3 * index + 1, 7);
    return (sa_f16)(exponent << 10 | pick(seed, 3 * index + 2, 1024) | pick(seed, 3 * index, 2) << 15);
}

static void make_source(const gemm_case *c, gemm_data *data)
{
    size_t count = c->n * c->k, size = sa_dtype_size(c->source_dtype);
    data->source = malloc(count * size + c->shift);
    data->w = normal_new(count, 1.0f, c->seed + 1);
    for (size_t i = 0; i < count; i++) {
        sa_f16 half = some_half(c->seed + 1, i);
        sa_bf16 brain = sa_bf16_from_f32(data->w[i]);
        const void *from = c->source_dtype == SA_F32   ? (const void *)&data->w[i]
                           : c->source_dtype == SA_F16 ? (const void *)&half
                                                       : (const void *)&brain;
        memcpy(data->source + c->shift + i * size, from, size);
        data->w[i] = c->source_dtype == SA_F16    ? sa_f16_to_f32(half)
                     : c->source_dtype == SA_BF16 ? sa_bf16_to_f32(brain)
                                                  : data->w[i];
        data->w[i] = c->dtype == SA_BF16 ? sa_bf16_to_f32(sa_bf16_from_f32(data->w[i])) : data->w[i];
    }
}

static gemm_data make_data(const gemm_case *c)
{
    gemm_data data = {0};
    size_t cycle = c->residual == CYCLED_RESIDUAL ? (c->m + 2) / 3 : c->m;
    size_t lda = c->k + c->more_a, ldr = c->n + c->more_r;
    /* The last row ends with its k: a read of its gap is a read past the block. */
    data.a = operand_new(c->dtype, c->m == 0 ? 0 : (c->m - 1) * lda + c->k, 1.0f, c->seed);
    make_source(c, &data);
    data.bias = c->bias ? normal_new(c->n, 1.0f, c->seed + 2) : NULL;
    data.residual = c->residual != NO_RESIDUAL ? normal_new(cycle * ldr, 1.0f, c->seed + 3) : NULL;
    data.want = malloc((c->m * c->n + 1) * sizeof(float));
    data.args = (sa_gemm_args){
        .m = c->m,
        .n = c->n,
        .k = c->k,
        .dtype = c->dtype,
        .a = data.a.stored,
        .lda = lda,
        .bias = data.bias,
        .act = c->act,
        .residual = data.residual,
        .ldr = ldr,
        .residual_rows = c->residual == CYCLED_RESIDUAL ? cycle : 0,
        .c_dtype = c->c_dtype,
        .ldc = c->n + c->more_c,
    };
    ref_gemm(&data.args, data.a.value, data.w, data.want);
    return data;
}

static void free_data(gemm_data *data)
{
    operand_free(&data->a);
    free(data->w);
    free(data->source);
    free(data->bias);
    free(data->residual);
    free(data->want);
}

static check_buffer pack(const test_level *level, const gemm_case *c, const gemm_data *data)
{
    check_buffer packed = check_buffer_new(level->ops->gemm_packed_bytes(c->n, c->k, c->dtype));
    sa_gemm_pack_args args = {.n = c->n,
                              .k = c->k,
                              .source = data->source + c->shift,
                              .source_dtype = c->source_dtype,
                              .packed = packed.bytes,
                              .dtype = c->dtype};
    level->ops->gemm_pack(level->stream, &args);
    return packed;
}

/* Runs the op; returns c, whose rows start ldc apart. */
static check_buffer run_gemm(const test_level *level, const gemm_case *c, gemm_data *data)
{
    check_buffer packed = pack(level, c, data);
    check_buffer out = check_buffer_new(c->m * data->args.ldc * sa_dtype_size(c->c_dtype));
    sa_gemm_args args = data->args;
    args.w = packed.bytes;
    args.c = out.bytes;
    if (c->residual == ALIASED_RESIDUAL) {
        for (size_t i = 0; i < c->m; i++) {
            memcpy(out.bytes + i * args.ldc * 4, data->residual + i * args.ldr, c->n * 4);
        }
        args.residual = (const float *)(const void *)out.bytes;
        args.ldr = args.ldc;
    }
    level->ops->gemm(level->stream, &args);
    check_buffer_free(&packed);
    return out;
}

static check_spec spec_of(const test_level *level, const gemm_case *c)
{
    tolerance t = tolerance_gemm(c->k, 1.0, c->act, c->c_dtype);
    return (check_spec){
        .label = label(level, "gemm %s->%s, k %zu, act %d, residual %d, bias %d, w from %s",
                       sa_dtype_name(c->dtype), sa_dtype_name(c->c_dtype), c->k, (int)c->act,
                       (int)c->residual, (int)c->bias, sa_dtype_name(c->source_dtype)),
        .absolute = t.absolute,
        .relative = t.relative,
        .seed = c->seed,
        .rank = 2,
        .axes = {c->m, c->n},
    };
}

static void check_case(const test_levels *levels, const gemm_case *c)
{
    gemm_data data = make_data(c);
    size_t size = sa_dtype_size(c->c_dtype);
    void *rows = malloc(c->m * c->n * size + 1);
    for (size_t i = 0; i < levels->count; i++) {
        check_buffer out = run_gemm(&levels->level[i], c, &data);
        check_spec spec = spec_of(&levels->level[i], c);
        gather_rows(rows, out.bytes, c->m, c->n, data.args.ldc, c->c_dtype);
        assert_true(check_close(rows, c->c_dtype, data.want, &spec));
        assert_true(gaps_untouched(out.bytes, c->m, c->n, data.args.ldc, c->c_dtype));
        check_buffer_free(&out);
    }
    free(rows);
    free_data(&data);
}

static void legalise(gemm_case *c)
{
    c->k += c->dtype == SA_BF16 ? c->k % 2 : 0;
    if (c->residual == ALIASED_RESIDUAL && c->c_dtype != SA_F32) {
        c->residual = OWN_RESIDUAL; /* the residual is f32: only then can it be c */
    }
}

static void test_every_option(void **state)
{
    for (size_t i = 0; i < 2 * 2 * 2 * ACTIVATIONS * RESIDUALS * 3; i++) {
        size_t rest = i;
        gemm_case c = {
            .m = 7, .n = 19, .k = 10, .more_a = i % 3, .more_c = i % 5, .more_r = i % 2, .seed = SEED + i};
        c.dtype = rest % 2 == 0 ? SA_F32 : SA_BF16, rest /= 2;
        c.c_dtype = rest % 2 == 0 ? SA_F32 : SA_BF16, rest /= 2;
        c.bias = rest % 2 != 0, rest /= 2;
        c.act = (sa_activation)(rest % ACTIVATIONS), rest /= ACTIVATIONS;
        c.residual = (residual_kind)(rest % RESIDUALS), rest /= RESIDUALS;
        c.source_dtype = (sa_dtype)rest;
        c.shift = i % 4;
        legalise(&c);
        check_case(*state, &c);
    }
}

/*
 * Around the tile (6 rows), the row block (96), the panels (8, 16, 64), the steps of a block (128, 256 in
 * bf16).
 */
static const size_t hostile_m[] = {1, 2, 5, 6, 7, 11, 12, 13, 31, 95, 96, 97, 193};
static const size_t hostile_n[] = {1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 47, 48, 49, 63, 64, 65, 127, 129, 131};
static const size_t hostile_k[] = {1, 2, 3, 7, 31, 63, 64, 65, 127, 128, 129, 254, 255, 256, 257, 258, 514};

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static void test_hostile_shapes(void **state)
{
    enum { CASES = 120 };
    for (size_t i = 0; i < CASES; i++) {
        uint64_t at = 16 * i;
        gemm_case c = {
            .m = hostile_m[pick(SEED, at, COUNT(hostile_m))],
            .n = hostile_n[i % COUNT(hostile_n)],
            .k = hostile_k[i % COUNT(hostile_k)],
            .dtype = pick(SEED, at + 1, 2) == 0 ? SA_F32 : SA_BF16,
            .c_dtype = pick(SEED, at + 2, 2) == 0 ? SA_F32 : SA_BF16,
            .source_dtype = (sa_dtype)pick(SEED, at + 3, 3),
            .bias = pick(SEED, at + 4, 2) == 0,
            .act = (sa_activation)pick(SEED, at + 5, ACTIVATIONS),
            .residual = (residual_kind)pick(SEED, at + 6, RESIDUALS),
            .more_a = pick(SEED, at + 7, 3),
            .more_c = pick(SEED, at + 8, 3),
            .more_r = pick(SEED, at + 9, 3),
            .shift = pick(SEED, at + 10, 4),
            .seed = SEED + 1000 + i,
        };
        legalise(&c);
        check_case(*state, &c);
    }
}

static void test_large(void **state)
{
    gemm_case c = {.m = 101,
                   .n = 197,
                   .k = 768,
                   .dtype = SA_BF16,
                   .c_dtype = SA_F32,
                   .bias = true,
                   .act = SA_ACT_GELU,
                   .residual = ALIASED_RESIDUAL,
                   .seed = SEED + 2000};
    check_case(*state, &c);
    c.dtype = SA_F32;
    check_case(*state, &c);
}

static void test_no_rows(void **state)
{
    gemm_case c = {.m = 0, .n = 5, .k = 4, .bias = true, .residual = OWN_RESIDUAL, .seed = SEED};
    check_case(*state, &c);
}

/* Sizes that no memory holds are 0, never a small number that wrapped around. */
static void test_packed_bytes(void **state)
{
    const test_levels *levels = *state;
    for (size_t i = 0; i < levels->count; i++) {
        size_t (*bytes)(size_t, size_t, sa_dtype) = levels->level[i].ops->gemm_packed_bytes;
        assert_true(bytes(3, 5, SA_F32) >= 3 * 5 * 4);
        assert_true(bytes(3, 5, SA_BF16) >= 3 * 5 * 2);
        assert_int_equal(bytes(0, 5, SA_F32), 0);
        assert_int_equal(bytes(5, 0, SA_F32), 0);
        assert_int_equal(bytes(SIZE_MAX, 1, SA_F32), 0);
        assert_int_equal(bytes(1, SIZE_MAX, SA_F32), 0);
        assert_int_equal(bytes(1, SIZE_MAX, SA_BF16), 0);
        assert_int_equal(bytes((SIZE_MAX >> 2) + 2, 1, SA_F32), 0);
        assert_int_equal(bytes((size_t)1 << 33, (size_t)1 << 33, SA_BF16), 0);
    }
}

/* Rows [0, m) of a gemm of all rows, on other numbers of rows and of threads: the same bits. */
static void check_invariance(const gemm_case *whole)
{
    static const int threads[] = {1, 2, 3, 5};
    static const size_t rows[] = {1, 2, 5, 6, 7, 13, 95, 96, 97, 200};
    gemm_data data = make_data(whole);
    check_buffer first[SA_CPU_LEVELS] = {{0}};
    size_t row_bytes = data.args.ldc * sa_dtype_size(whole->c_dtype);
    for (size_t t = 0; t < COUNT(threads); t++) {
        test_levels levels = levels_open(threads[t]);
        for (size_t l = 0; l < levels.count; l++) {
            for (size_t r = 0; r < COUNT(rows); r++) {
                gemm_case part = *whole;
                part.m = rows[COUNT(rows) - 1 - r];
                data.args.m = part.m;
                check_buffer out = run_gemm(&levels.level[l], &part, &data);
                if (first[l].bytes == NULL) {
                    first[l] = out; /* all rows, one thread */
                    continue;
                }
                assert_memory_equal(out.bytes, first[l].bytes, part.m * row_bytes);
                check_buffer_free(&out);
            }
        }
        levels_close(&levels);
    }
    for (size_t l = 0; l < SA_CPU_LEVELS && first[l].bytes != NULL; l++) {
        check_buffer_free(&first[l]);
    }
    free_data(&data);
}

static void test_batch_and_thread_invariance(void **state)
{
    (void)state;
    gemm_case c = {.m = 200,
                   .n = 150,
                   .k = 300,
                   .bias = true,
                   .act = SA_ACT_GELU,
                   .residual = OWN_RESIDUAL,
                   .seed = SEED + 3000};
    check_invariance(&c);
    c.dtype = SA_BF16;
    check_invariance(&c);
    c.c_dtype = SA_BF16;
    c.n = 7;
    check_invariance(&c);
}

/* A row does not see its neighbours: other rows full of NaN change nothing. */
static void test_rows_are_apart(void **state)
{
    const test_levels *levels = *state;
    gemm_case c = {.m = 13, .n = 21, .k = 34, .seed = SEED + 4000};
    gemm_data data = make_data(&c);
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer clean = run_gemm(&levels->level[l], &c, &data);
        float saved[34];
        memcpy(saved, (float *)data.a.stored + 5 * c.k, sizeof saved);
        memset((float *)data.a.stored + 5 * c.k, 0xff, sizeof saved);
        check_buffer spoilt = run_gemm(&levels->level[l], &c, &data);
        memcpy((float *)data.a.stored + 5 * c.k, saved, sizeof saved);
        assert_memory_equal(clean.bytes, spoilt.bytes, 5 * c.n * 4);
        assert_memory_equal(clean.bytes + 6 * c.n * 4, spoilt.bytes + 6 * c.n * 4, 7 * c.n * 4);
        assert_memory_not_equal(clean.bytes + 5 * c.n * 4, spoilt.bytes + 5 * c.n * 4, c.n * 4);
        check_buffer_free(&clean);
        check_buffer_free(&spoilt);
    }
    free_data(&data);
}

/*
 * Faults of the reference's operands, so that a right result must be refused: two terms of one row change
 * sign; the last column loses its bias; the last term of one column is missing. And a NaN in the result.
 */
static void plant_faults(const test_level *level, gemm_case c)
{
    gemm_data data = make_data(&c);
    check_buffer out = run_gemm(level, &c, &data);
    check_spec spec = spec_of(level, &c);
    assert_true(check_close(out.bytes, c.c_dtype, data.want, &spec));
    float *row = data.a.value + 3 * data.args.lda;
    row[4] = -row[4], row[5] = -row[5];
    ref_gemm(&data.args, data.a.value, data.w, data.want);
    assert_seen(out.bytes, c.c_dtype, data.want, spec);
    row[4] = -row[4], row[5] = -row[5];
    data.bias[c.n - 1] = 0.0f;
    ref_gemm(&data.args, data.a.value, data.w, data.want);
    assert_seen(out.bytes, c.c_dtype, data.want, spec);
    data.w[(c.n / 2) * c.k + c.k - 1] = 0.0f;
    ref_gemm(&data.args, data.a.value, data.w, data.want);
    assert_seen(out.bytes, c.c_dtype, data.want, spec);
    data = (free_data(&data), make_data(&c));
    memset(out.bytes, 0xff, sa_dtype_size(c.c_dtype));
    assert_seen(out.bytes, c.c_dtype, data.want, spec);
    check_buffer_free(&out);
    free_data(&data);
}

static void test_planted_faults(void **state)
{
    const test_level *level = &((const test_levels *)*state)->level[0];
    gemm_case c = {.m = 9, .n = 17, .k = 130, .bias = true, .seed = SEED + 5000};
    plant_faults(level, c);
    c.dtype = SA_BF16;
    plant_faults(level, c);
    c.c_dtype = SA_BF16;
    plant_faults(level, c);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_option),   cmocka_unit_test(test_hostile_shapes),
        cmocka_unit_test(test_large),          cmocka_unit_test(test_no_rows),
        cmocka_unit_test(test_packed_bytes),   cmocka_unit_test(test_batch_and_thread_invariance),
        cmocka_unit_test(test_rows_are_apart), cmocka_unit_test(test_planted_faults),
    };
    return cmocka_run_group_tests(tests, levels_setup, levels_teardown);
}
