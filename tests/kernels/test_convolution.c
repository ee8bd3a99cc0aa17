/*
 * convolution against its reference on every level; and with --numerics fast on a GPU
 * (SEGAGENT_TEST_DEVICE=cuda), where cuDNN may take its place: the choice by time, and the file that
 * remembers it.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/choices.h"
#include "tests/kernels/fixture.h"
#include "tests/kernels/shim.h"
#include "tests/kernels/tolerances.h"
#include "tests/ref/ref_ops.h"

enum { SEED = 20240611 };

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

typedef struct {
    size_t batch, height, width, channels, kernel, stride, pad, n;
    sa_dtype dtype;
    bool bias;
} conv_case;

typedef struct {
    sa_convolution_args args;
    operand x, w;
    float *bias, *want;
    size_t rows, columns;
} conv_data;

static conv_data make_data(const conv_case *c, uint64_t seed)
{
    conv_data data = {.columns = c->kernel * c->kernel * c->channels};
    data.args = (sa_convolution_args){.batch = c->batch,
                                      .height = c->height,
                                      .width = c->width,
                                      .channels = c->channels,
                                      .kernel = c->kernel,
                                      .stride = c->stride,
                                      .pad = c->pad,
                                      .n = c->n,
                                      .dtype = c->dtype};
    size_t down = (c->height + 2 * c->pad - c->kernel) / c->stride + 1;
    size_t across = (c->width + 2 * c->pad - c->kernel) / c->stride + 1;
    data.rows = c->batch * down * across;
    data.x = operand_new(c->dtype, c->batch * c->height * c->width * c->channels, 1.0f, seed);
    data.w = operand_new(c->dtype, c->n * data.columns, 1.0f, seed + 1);
    data.bias = c->bias ? normal_new(c->n, 1.0f, seed + 2) : NULL;
    data.args.x = data.x.stored;
    data.args.bias = data.bias;
    data.want = malloc(data.rows * c->n * sizeof(float));
    return data;
}

/* im2col and gemm, each by its reference. */
static void fill_want(conv_data *data)
{
    const sa_convolution_args *a = &data->args;
    float *rows = malloc(data->rows * data->columns * sizeof *rows);
    ref_im2col(&(sa_im2col_args){.batch = a->batch,
                                 .height = a->height,
                                 .width = a->width,
                                 .channels = a->channels,
                                 .kernel = a->kernel,
                                 .stride = a->stride,
                                 .pad = a->pad,
                                 .dtype = a->dtype},
               data->x.value, rows);
    sa_gemm_args gemm = {.m = data->rows,
                         .n = a->n,
                         .k = data->columns,
                         .dtype = a->dtype,
                         .lda = data->columns,
                         .bias = a->bias,
                         .c_dtype = SA_F32,
                         .ldc = a->n};
    ref_gemm(&gemm, rows, data->w.value, data->want);
    free(rows);
}

static void free_data(conv_data *data)
{
    operand_free(&data->x);
    operand_free(&data->w);
    free(data->bias);
    free(data->want);
}

/* The op's result. On a GPU the workspace's contents never come back. */
static check_buffer run_convolution(const sa_ops *ops, sa_stream *stream, const conv_data *data)
{
    sa_convolution_args args = data->args;
    check_buffer out = check_buffer_new(data->rows * args.n * sizeof(float));
    check_buffer packed = check_buffer_new(ops->gemm_packed_bytes(args.n, data->columns, args.dtype));
    check_buffer work = check_buffer_new(ops->convolution_workspace(stream, &args));
    ops->gemm_pack(stream, &(sa_gemm_pack_args){.n = args.n,
                                                .k = data->columns,
                                                .source = data->w.stored,
                                                .source_dtype = args.dtype,
                                                .packed = packed.bytes,
                                                .dtype = args.dtype});
    args.w = packed.bytes;
    args.y = (float *)(void *)out.bytes;
    args.workspace = work.bytes;
    ops->convolution(stream, &args);
    check_buffer_free(&work);
    check_buffer_free(&packed);
    return out;
}

static check_spec spec_of(const conv_case *c, const conv_data *data, const char *label, uint64_t seed)
{
    tolerance t = tolerance_gemm(data->columns, 1.0, SA_ACT_NONE, SA_F32);
    return (check_spec){.label = label,
                        .absolute = t.absolute,
                        .relative = t.relative,
                        .seed = seed,
                        .rank = 2,
                        .axes = {data->rows, c->n}};
}

/* SAM's three (with fewer channels), ragged ones, several maps. */
static const conv_case cases[] = {
    {2, 8, 8, 16, 3, 1, 1, 24, SA_BF16, false}, {1, 16, 16, 1, 2, 2, 0, 4, SA_BF16, true},
    {1, 8, 8, 4, 2, 2, 0, 16, SA_BF16, true},   {1, 8, 8, 16, 3, 1, 1, 24, SA_F32, true},
    {1, 16, 16, 1, 2, 2, 0, 4, SA_F32, true},   {3, 5, 7, 3, 3, 2, 1, 5, SA_F32, false},
    {2, 7, 5, 6, 1, 1, 0, 9, SA_BF16, true},    {1, 3, 3, 2, 3, 1, 0, 1, SA_BF16, false},
    {0, 4, 4, 8, 3, 1, 1, 8, SA_BF16, false},
};

static void test_shapes(void **state)
{
    const test_levels *levels = *state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        conv_data data = make_data(&cases[i], SEED + 10 * i);
        fill_want(&data);
        for (size_t l = 0; l < levels->count; l++) {
            const test_level *level = &levels->level[l];
            check_buffer out = run_convolution(level->ops, level->stream, &data);
            check_spec spec =
                spec_of(&cases[i], &data, label(level, "convolution case %zu", i), SEED + 10 * i);
            assert_true(check_close_f32((const float *)(void *)out.bytes, data.want, &spec));
            check_buffer_free(&out);
        }
        free_data(&data);
    }
}

/* Stride and padding exchanged, a channel off, the bias forgotten. */
static void test_planted_faults(void **state)
{
    const test_level *level = &((const test_levels *)*state)->level[0];
    conv_case c = {1, 6, 6, 4, 3, 1, 1, 8, SA_F32, true};
    conv_data data = make_data(&c, SEED + 500);
    check_buffer out = run_convolution(level->ops, level->stream, &data);
    check_spec spec = spec_of(&c, &data, label(level, "convolution"), SEED + 500);
    data.args.bias = NULL;
    fill_want(&data);
    assert_seen(out.bytes, SA_F32, data.want, spec);
    data.args.bias = data.bias;
    data.x.value[17] += 1.0f;
    fill_want(&data);
    assert_seen(out.bytes, SA_F32, data.want, spec);
    data.x.value[17] -= 1.0f;
    fill_want(&data);
    assert_true(check_close_f32((const float *)(void *)out.bytes, data.want, &spec));
    check_buffer_free(&out);
    free_data(&data);
}

/* ---- --numerics fast ---- */

/* The first three are cuDNN's: 16 bits, whole groups of channels, and a filter that is packed without gaps.
 */
static const conv_case fast_cases[] = {
    {2, 6, 6, 64, 3, 1, 1, 16, SA_BF16, false}, {1, 6, 5, 64, 3, 2, 1, 24, SA_F16, true},
    {1, 4, 4, 64, 2, 2, 0, 64, SA_BF16, true},  {1, 8, 8, 1, 2, 2, 0, 4, SA_BF16, true},
    {1, 6, 6, 16, 3, 1, 1, 16, SA_F32, false},
};

/* The library rounds its sums to the operands' dtype, of values of scale sqrt(k). */
static void check_fast(sa_stream *stream, const conv_case *c, uint64_t seed)
{
    conv_data data = make_data(c, seed);
    fill_want(&data);
    check_buffer out = run_convolution(&shim_ops, stream, &data);
    check_spec spec = spec_of(c, &data, "convolution, numerics fast", seed);
    double rounding = c->dtype == SA_F32 ? 0.0 : c->dtype == SA_F16 ? UF16 : U16;
    spec.relative += rounding;
    spec.absolute += rounding * PEAK; /* of the sum before a bias of the other sign */
    assert_true(check_close_f32((const float *)(void *)out.bytes, data.want, &spec));
    check_buffer_free(&out);
    free_data(&data);
}

/* All cases, each twice: the first time may be a trial of all ways, the second goes the chosen one. */
static void run_fast(void)
{
    sa_device *device = NULL;
    sa_stream *stream = NULL;
    sa_error err;
    sa_device_options options = {.name = "cuda", .threads = 1, .numerics = SA_NUMERICS_FAST};
    if (sa_device_open(&device, &options, &err) != SA_OK) {
        fail_msg("no GPU: %s", err.reason);
    }
    assert_int_equal(sa_stream_open(&stream, device, &err), SA_OK);
    for (size_t i = 0; i < 2 * COUNT(fast_cases); i++) {
        check_fast(stream, &fast_cases[i / 2], SEED + 1000 + 10 * i);
    }
    sa_stream_close(stream);
    sa_device_close(device);
}

static void test_library_and_own(void **state)
{
    (void)state;
    static const char *const libraries[] = {"libcudnn.so.9", NULL};
    choices_skip_without_gpu();
    choices_check("convolution", libraries, 3, run_fast);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_planted_faults),
        cmocka_unit_test(test_library_and_own),
    };
    return cmocka_run_group_tests(tests, levels_setup, levels_teardown);
}
