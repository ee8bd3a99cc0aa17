/* layernorm against the reference: odd widths, large means, in place, activations, bit-for-bit invariance. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/fixture.h"
#include "tests/kernels/tolerances.h"
#include "tests/ref/ref_ops.h"

enum { SEED = 20240602, ACTIVATIONS = SA_ACT_QUICK_GELU + 1 };

typedef struct {
    size_t rows, d;
    float eps, mean; /* added to every x */
    sa_activation act;
    sa_dtype dtype;
    bool in_place;
    uint64_t seed;
} norm_case;

typedef struct {
    float *x, *w, *b, *want;
    sa_layernorm_args args;
    double
        condition; /* the largest rms / deviation of a row: how much the subtraction of the mean magnifies */
} norm_data;

static double condition_of(const float *x, size_t d, double eps)
{
    double mean = 0.0, square = 0.0, variance = 0.0;
    for (size_t i = 0; i < d; i++) {
        mean += (double)x[i] / (double)d;
        square += (double)x[i] * (double)x[i] / (double)d;
    }
    for (size_t i = 0; i < d; i++) {
        variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)d;
    }
    return sqrt(square / (variance + eps));
}

static norm_data make_data(const norm_case *c)
{
    norm_data data = {
        .x = normal_new(c->rows * c->d, 1.0f, c->seed),
        .w = normal_new(c->d, 1.0f, c->seed + 1),
        .b = normal_new(c->d, 1.0f, c->seed + 2),
        .want = malloc((c->rows * c->d + 1) * sizeof(float)),
        .condition = 1.0,
    };
    for (size_t i = 0; i < c->rows * c->d; i++) {
        data.x[i] += c->mean;
    }
    for (size_t r = 0; r < c->rows; r++) {
        data.condition = fmax(data.condition, condition_of(data.x + r * c->d, c->d, (double)c->eps));
    }
    data.args = (sa_layernorm_args){.rows = c->rows,
                                    .d = c->d,
                                    .eps = c->eps,
                                    .x = data.x,
                                    .w = data.w,
                                    .b = data.b,
                                    .act = c->act,
                                    .y_dtype = c->dtype};
    ref_layernorm(&data.args, data.want);
    return data;
}

static void free_data(norm_data *data)
{
    free(data->x);
    free(data->w);
    free(data->b);
    free(data->want);
}

static check_buffer run_norm(const test_level *level, const norm_case *c, const norm_data *data)
{
    sa_layernorm_args args = data->args;
    check_buffer out = check_buffer_new(args.rows * args.d * sa_dtype_size(c->dtype));
    if (c->in_place) {
        memcpy(out.bytes, data->x, out.size);
        args.x = (const float *)(const void *)out.bytes;
    }
    args.y = out.bytes;
    level->ops->layernorm(level->stream, &args);
    return out;
}

static check_spec spec_of(const test_level *level, const norm_case *c, const norm_data *data)
{
    tolerance t = tolerance_layernorm(c->d, data->condition, c->act, c->dtype);
    return (check_spec){
        .label = label(level, "layernorm to %s, mean %g, act %d", sa_dtype_name(c->dtype), (double)c->mean,
                       (int)c->act),
        .absolute = t.absolute,
        .relative = t.relative,
        .seed = c->seed,
        .rank = 2,
        .axes = {c->rows, c->d},
    };
}

static void check_case(const test_levels *levels, const norm_case *c)
{
    norm_data data = make_data(c);
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer out = run_norm(&levels->level[l], c, &data);
        check_spec spec = spec_of(&levels->level[l], c, &data);
        assert_true(check_close(out.bytes, c->dtype, data.want, &spec));
        check_buffer_free(&out);
    }
    free_data(&data);
}

static void test_shapes(void **state)
{
    static const size_t widths[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 97, 256, 768, 1280};
    static const size_t rows[] = {1, 2, 63, 64, 65, 0, 130};
    for (size_t i = 0; i < 6 * sizeof widths / sizeof widths[0]; i++) {
        norm_case c = {.rows = rows[i % 7],
                       .d = widths[i / 6],
                       .eps = i % 4 == 0 ? 1e-5f : 1e-6f,
                       .act = (sa_activation)(i / 2 % ACTIVATIONS),
                       .dtype = i % 2 == 0 ? SA_F32 : SA_BF16,
                       .seed = SEED + 10 * i};
        c.in_place = c.dtype == SA_F32 && i % 4 == 0;
        check_case(*state, &c);
    }
}

/* Longer rows, both sides of the lengths at which a backend may change its way. */
static void test_long_rows(void **state)
{
    static const size_t widths[] = {128, 132, 511, 512, 513, 516, 1024, 1028, 1536, 1540, 2048, 2052, 4099};
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        norm_case c = {.rows = 3,
                       .d = widths[i],
                       .eps = 1e-6f,
                       .act = (sa_activation)(i / 2 % ACTIVATIONS),
                       .dtype = i % 2 == 0 ? SA_F32 : SA_BF16,
                       .seed = SEED + 3000 + 10 * i};
        c.in_place = c.dtype == SA_F32 && i % 4 == 0;
        check_case(*state, &c);
    }
}

/* Operands off the borders of wide accesses: the same bits. */
static void test_unaligned(void **state)
{
    const test_levels *levels = *state;
    norm_case c = {.rows = 9, .d = 256, .eps = 1e-6f, .seed = SEED + 4000};
    for (size_t i = 0; i < 2 * levels->count; i++) {
        const test_level *level = &levels->level[i / 2];
        c.dtype = i % 2 == 0 ? SA_F32 : SA_BF16;
        norm_data data = make_data(&c);
        check_buffer aligned = run_norm(level, &c, &data);
        float *x = malloc((c.rows * c.d + 1) * sizeof *x);
        memcpy(x + 1, data.x, c.rows * c.d * sizeof *x);
        size_t shift = sa_dtype_size(c.dtype);
        check_buffer out = check_buffer_new(aligned.size + shift);
        data.args.x = x + 1;
        data.args.y = out.bytes + shift;
        level->ops->layernorm(level->stream, &data.args);
        assert_memory_equal(out.bytes + shift, aligned.bytes, aligned.size);
        check_buffer_free(&out);
        check_buffer_free(&aligned);
        free(x);
        free_data(&data);
    }
}

/* A mean far from zero: sums of squares would lose everything, the variance about the mean loses little. */
static void test_large_mean(void **state)
{
    norm_case c = {.rows = 20, .d = 768, .eps = 1e-6f, .mean = 1000.0f, .seed = SEED + 5000};
    check_case(*state, &c);
    c.mean = -30.0f;
    c.dtype = SA_BF16;
    c.act = SA_ACT_GELU;
    check_case(*state, &c);
}

/* All values equal: variance 0, and eps keeps the result at b, exactly. */
static void test_constant_rows(void **state)
{
    const test_levels *levels = *state;
    norm_case c = {.rows = 3, .d = 19, .eps = 1e-6f, .seed = SEED + 6000};
    norm_data data = make_data(&c);
    for (size_t i = 0; i < c.rows * c.d; i++) {
        data.x[i] = 0.5f * (float)(i / c.d); /* sums of 19 such numbers are exact */
    }
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer out = run_norm(&levels->level[l], &c, &data);
        for (size_t r = 0; r < c.rows; r++) {
            assert_memory_equal(out.bytes + r * c.d * 4, data.b, c.d * 4);
        }
        check_buffer_free(&out);
    }
    free_data(&data);
}

static void check_invariance(size_t d)
{
    static const int threads[] = {1, 2, 3, 5};
    static const size_t rows[] = {200, 129, 65, 64, 63, 7, 1};
    norm_case c = {.rows = 200, .d = d, .eps = 1e-6f, .act = SA_ACT_GELU, .seed = SEED + 7000};
    norm_data data = make_data(&c);
    check_buffer first[SA_CPU_LEVELS] = {{0}};
    for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
        test_levels levels = levels_open(threads[t]);
        for (size_t i = 0; i < levels.count * (sizeof rows / sizeof rows[0]); i++) {
            size_t l = i % levels.count;
            data.args.rows = rows[i / levels.count];
            check_buffer out = run_norm(&levels.level[l], &c, &data);
            if (first[l].bytes == NULL) {
                first[l] = out;
                continue;
            }
            assert_memory_equal(out.bytes, first[l].bytes, out.size);
            check_buffer_free(&out);
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
    check_invariance(99);
    check_invariance(64);
}

/* The variance of a sample in place of the biased one; the last column without its bias; a NaN. */
static void test_planted_faults(void **state)
{
    const test_level *level = &((const test_levels *)*state)->level[0];
    norm_case c = {.rows = 5, .d = 64, .eps = 1e-6f, .seed = SEED + 8000};
    for (int i = 0; i < 2; i++) {
        c.dtype = i == 0 ? SA_F32 : SA_BF16;
        norm_data data = make_data(&c);
        check_buffer out = run_norm(level, &c, &data);
        check_spec spec = spec_of(level, &c, &data);
        assert_true(check_close(out.bytes, c.dtype, data.want, &spec));
        float saved = data.want[2 * c.d + 5];
        data.want[2 * c.d + 5] = saved * sqrtf(63.0f / 64.0f);
        assert_seen(out.bytes, c.dtype, data.want, spec);
        data.want[2 * c.d + 5] = saved;
        data.b[c.d - 1] = 0.0f;
        ref_layernorm(&data.args, data.want);
        assert_seen(out.bytes, c.dtype, data.want, spec);
        data = (free_data(&data), make_data(&c));
        memset(out.bytes + 4 * c.d, 0xff, 4);
        assert_seen(out.bytes, c.dtype, data.want, spec);
        check_buffer_free(&out);
        free_data(&data);
    }
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),         cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_unaligned),      cmocka_unit_test(test_large_mean),
        cmocka_unit_test(test_constant_rows),  cmocka_unit_test(test_batch_and_thread_invariance),
        cmocka_unit_test(test_planted_faults),
    };
    return cmocka_run_group_tests(tests, levels_setup, levels_teardown);
}
