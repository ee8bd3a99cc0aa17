/* im2col, add, patchify and point_encode against their references. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "tests/kernels/fixture.h"
#include "tests/kernels/tolerances.h"
#include "tests/ref/ref_ops.h"

enum { SEED = 20240603 };

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

/* ---- im2col ---- */

static size_t im2col_rows(const sa_im2col_args *c)
{
    size_t oh = (c->height + 2 * c->pad - c->kernel) / c->stride + 1;
    size_t ow = (c->width + 2 * c->pad - c->kernel) / c->stride + 1;
    return c->batch * oh * ow;
}

static void check_im2col(const test_levels *levels, sa_im2col_args c, bool planted)
{
    size_t columns = c.kernel * c.kernel * c.channels, rows = im2col_rows(&c);
    operand x = operand_new(c.dtype, c.batch * c.height * c.width * c.channels, 1.0f, SEED);
    float *want = malloc((rows * columns + 1) * sizeof *want);
    c.x = x.stored;
    ref_im2col(&c, x.value, want);
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer out = check_buffer_new(rows * columns * sa_dtype_size(c.dtype));
        c.y = out.bytes;
        levels->level[l].ops->im2col(levels->level[l].stream, &c);
        check_spec spec = {.label = label(&levels->level[l], "im2col %s, kernel %zu, stride %zu, pad %zu",
                                          sa_dtype_name(c.dtype), c.kernel, c.stride, c.pad),
                           .absolute = tolerance_im2col().absolute,
                           .relative = tolerance_im2col().relative,
                           .seed = SEED,
                           .rank = 2,
                           .axes = {rows, columns}};
        assert_true(check_close(out.bytes, c.dtype, want, &spec));
        if (planted && l == 0) { /* the padding is not zero but the nearest pixel */
            want[0] = x.value[0];
            assert_seen(out.bytes, c.dtype, want, spec);
            want[0] = 0.0f;
        }
        check_buffer_free(&out);
    }
    free(want);
    operand_free(&x);
}

static void test_im2col(void **state)
{
    static const sa_im2col_args cases[] = {
        {.batch = 1, .height = 1, .width = 1, .channels = 1, .kernel = 1, .stride = 1},
        {.batch = 1, .height = 1, .width = 1, .channels = 3, .kernel = 3, .stride = 1, .pad = 1},
        {.batch = 2, .height = 7, .width = 5, .channels = 17, .kernel = 3, .stride = 1, .pad = 1},
        {.batch = 3, .height = 8, .width = 8, .channels = 4, .kernel = 2, .stride = 2},
        {.batch = 1, .height = 9, .width = 11, .channels = 1, .kernel = 2, .stride = 2},
        {.batch = 2, .height = 13, .width = 6, .channels = 5, .kernel = 5, .stride = 3, .pad = 2},
        {.batch = 0, .height = 4, .width = 4, .channels = 2, .kernel = 3, .stride = 1, .pad = 1},
        {.batch = 1, .height = 2, .width = 31, .channels = 16, .kernel = 4, .stride = 1, .pad = 3},
        {.batch = 2, .height = 11, .width = 9, .channels = 24, .kernel = 5, .stride = 3, .pad = 2},
        {.batch = 1, .height = 10, .width = 13, .channels = 8, .kernel = 2, .stride = 3, .pad = 1},
    };
    for (size_t i = 0; i < 2 * COUNT(cases); i++) {
        sa_im2col_args c = cases[i / 2];
        c.dtype = i % 2 == 0 ? SA_F32 : SA_BF16;
        check_im2col(*state, c, false);
    }
}

static void test_im2col_planted_fault(void **state)
{
    sa_im2col_args c = {
        .batch = 1, .height = 4, .width = 4, .channels = 2, .kernel = 3, .stride = 1, .pad = 1};
    check_im2col(*state, c, true);
}

/* ---- add ---- */

typedef struct {
    size_t rows, d, a_rows, b_rows; /* b_rows 0: no b */
    int alias;                      /* 1: y is a, 2: y is b */
} add_case;

static void check_add(const test_levels *levels, const add_case *c, sa_dtype dtype, bool planted)
{
    float *a = normal_new(c->a_rows * c->d, 1.0f, SEED), *b = NULL;
    float *want = malloc((c->rows * c->d + 1) * sizeof *want);
    if (c->b_rows != 0) {
        b = normal_new(c->b_rows * c->d, 1.0f, SEED + 1);
    }
    sa_add_args args = {.rows = c->rows,
                        .d = c->d,
                        .a = a,
                        .a_rows = c->a_rows,
                        .b = b,
                        .b_rows = c->b_rows,
                        .y_dtype = dtype};
    ref_add(&args, want);
    tolerance t = tolerance_add(dtype);
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer out = check_buffer_new(c->rows * c->d * sa_dtype_size(dtype));
        sa_add_args here = args;
        here.y = out.bytes;
        if (c->alias != 0) {
            memcpy(out.bytes, c->alias == 1 ? a : b, out.size);
            *(c->alias == 1 ? &here.a : &here.b) = here.y;
        }
        levels->level[l].ops->add(levels->level[l].stream, &here);
        check_spec spec = {.label = label(&levels->level[l], "add to %s, %zu + %zu rows, alias %d",
                                          sa_dtype_name(dtype), c->a_rows, c->b_rows, c->alias),
                           .absolute = t.absolute,
                           .relative = t.relative,
                           .seed = SEED,
                           .rank = 2,
                           .axes = {c->rows, c->d}};
        assert_true(check_close(out.bytes, dtype, want, &spec));
        if (planted && l == 0) { /* the wrong row of a cycled operand */
            args.b = b + c->d;
            args.b_rows = c->b_rows - 1;
            ref_add(&args, want);
            assert_seen(out.bytes, dtype, want, spec);
            args.b = b, args.b_rows = c->b_rows;
            ref_add(&args, want);
        }
        check_buffer_free(&out);
    }
    free(a);
    free(b);
    free(want);
}

static void test_add(void **state)
{
    static const add_case cases[] = {
        {1, 1, 1, 1, 0},     {3, 7, 3, 3, 0},    {7, 17, 7, 2, 0},     {7, 17, 3, 0, 0},
        {513, 5, 513, 5, 0}, {0, 4, 1, 1, 0},    {256, 16, 1, 256, 0}, {257, 33, 257, 0, 0},
        {30, 31, 30, 30, 1}, {30, 8, 10, 30, 2}, {30, 15, 30, 4, 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        check_add(*state, &cases[i], SA_F32, false);
        if (cases[i].alias == 0) {
            check_add(*state, &cases[i], SA_BF16, false);
        }
    }
}

static void test_add_planted_fault(void **state)
{
    add_case c = {6, 9, 6, 3, 0};
    check_add(*state, &c, SA_F32, true);
    check_add(*state, &c, SA_BF16, true);
}

/* ---- patchify ---- */

static uint8_t *picture_new(size_t height, size_t width, uint64_t seed)
{
    uint8_t *pixels = malloc(height * width * 3);
    for (size_t i = 0; i < height * width * 3; i++) {
        pixels[i] = (uint8_t)pick(seed, i, 256);
    }
    return pixels;
}

static void check_patchify(const test_levels *levels, size_t side, size_t patch, const size_t size[2][2],
                           sa_dtype dtype, bool planted)
{
    uint8_t *picture[2] = {picture_new(size[0][0], size[0][1], SEED),
                           picture_new(size[1][0], size[1][1], SEED + 1)};
    const uint8_t *const pixels[2] = {picture[0], picture[1]};
    size_t heights[2] = {size[0][0], size[1][0]}, widths[2] = {size[0][1], size[1][1]};
    size_t rows = side / patch * (side / patch), columns = 3 * patch * patch;
    sa_patchify_args args = {.batch = 2,
                             .side = side,
                             .patch = patch,
                             .pixels = pixels,
                             .height = heights,
                             .width = widths,
                             .mean = {123.675f, 116.28f, 103.53f},
                             .std = {58.395f, 57.12f, 57.375f},
                             .dtype = dtype};
    float *want = malloc(2 * rows * columns * sizeof *want);
    ref_patchify(&args, want);
    tolerance t = tolerance_patchify(57.12, dtype);
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer out = check_buffer_new(2 * rows * columns * sa_dtype_size(dtype));
        args.y = out.bytes;
        levels->level[l].ops->patchify(levels->level[l].stream, &args);
        check_spec spec = {
            .label = label(&levels->level[l], "patchify to %s, patch %zu", sa_dtype_name(dtype), patch),
            .absolute = t.absolute,
            .relative = t.relative,
            .seed = SEED,
            .rank = 3,
            .axes = {2, rows, columns}};
        assert_true(check_close(out.bytes, dtype, want, &spec));
        if (planted && l == 0) { /* one row of the picture too few: padding begins early */
            heights[1]--;
            ref_patchify(&args, want);
            assert_seen(out.bytes, dtype, want, spec);
            heights[1]++;
            ref_patchify(&args, want);
        }
        check_buffer_free(&out);
    }
    free(want);
    free(picture[0]);
    free(picture[1]);
}

static void test_patchify(void **state)
{
    static const size_t sizes[][2][2] = {
        {{1, 1}, {1, 1}}, {{12, 12}, {5, 12}}, {{11, 7}, {12, 1}}, {{32, 19}, {17, 32}}, {{48, 33}, {31, 47}},
    };
    static const size_t frames[][2] = {{1, 1}, {12, 4}, {12, 3}, {32, 16}, {48, 16}};
    for (size_t i = 0; i < 2 * COUNT(frames); i++) {
        check_patchify(*state, frames[i / 2][0], frames[i / 2][1], sizes[i / 2],
                       i % 2 == 0 ? SA_F32 : SA_BF16, false);
    }
}

/* More pictures than the argument of a launch may hold. */
static void test_patchify_many(void **state)
{
    enum { MANY = 35, SIDE = 8, VALUES = 3 * SIDE * SIDE };
    const test_levels *levels = *state;
    const uint8_t *pixels[MANY];
    size_t height[MANY], width[MANY];
    for (size_t i = 0; i < MANY; i++) {
        height[i] = 1 + i % SIDE, width[i] = 1 + i / 5 % SIDE;
        pixels[i] = picture_new(height[i], width[i], SEED + i);
    }
    sa_patchify_args args = {.batch = MANY,
                             .side = SIDE,
                             .patch = 4,
                             .pixels = pixels,
                             .height = height,
                             .width = width,
                             .mean = {123.675f, 116.28f, 103.53f},
                             .std = {58.395f, 57.12f, 57.375f},
                             .dtype = SA_F32};
    float *want = malloc(MANY * VALUES * sizeof *want);
    ref_patchify(&args, want);
    tolerance t = tolerance_patchify(57.12, SA_F32);
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer out = check_buffer_new(MANY * VALUES * sizeof(float));
        args.y = out.bytes;
        levels->level[l].ops->patchify(levels->level[l].stream, &args);
        check_spec spec = {.label = label(&levels->level[l], "patchify of many pictures"),
                           .absolute = t.absolute,
                           .relative = t.relative,
                           .seed = SEED,
                           .rank = 2,
                           .axes = {MANY, VALUES}};
        assert_true(check_close(out.bytes, SA_F32, want, &spec));
        check_buffer_free(&out);
    }
    free(want);
    for (size_t i = 0; i < MANY; i++) {
        free((void *)pixels[i]);
    }
}

static void test_patchify_planted_fault(void **state)
{
    static const size_t size[2][2] = {{8, 8}, {7, 5}};
    check_patchify(*state, 8, 4, size, SA_F32, true);
    check_patchify(*state, 8, 4, size, SA_BF16, true);
}

/* ---- point_encode ---- */

enum { KINDS = 5 };

static void check_points(const test_levels *levels, size_t n, size_t channels, bool planted)
{
    float *gaussian = normal_new(channels, 1.0f, SEED), *table = normal_new(KINDS * channels, 1.0f, SEED + 1);
    float *uv = malloc((2 * n + 1) * sizeof *uv), *want = malloc((n * channels + 1) * sizeof *want);
    int32_t *kind = malloc((n + 1) * sizeof *kind);
    for (size_t i = 0; i < n; i++) {
        uv[2 * i] = (float)pick(SEED, 2 * i, 1025) / 1024.0f;
        uv[2 * i + 1] = (float)pick(SEED, 2 * i + 1, 1025) / 1024.0f;
        kind[i] = (int32_t)(i % (2 * KINDS + 1)) - KINDS - 1; /* every kind, alone, added and none */
    }
    sa_point_encode_args args = {
        .n = n, .channels = channels, .uv = uv, .kind = kind, .gaussian = gaussian, .table = table};
    ref_point_encode(&args, want);
    tolerance t = tolerance_point_encode(2.0 * 3.15 * 2.0 * PEAK);
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer out = check_buffer_new(n * channels * 4);
        args.y = (float *)(void *)out.bytes;
        levels->level[l].ops->point_encode(levels->level[l].stream, &args);
        check_spec spec = {.label = label(&levels->level[l], "point_encode"),
                           .absolute = t.absolute,
                           .relative = t.relative,
                           .seed = SEED,
                           .rank = 2,
                           .axes = {n, channels}};
        assert_true(check_close(out.bytes, SA_F32, want, &spec));
        if (planted && l == 0) { /* a click of the other sign; half a pixel forgotten */
            kind[KINDS + 1] = 1;
            ref_point_encode(&args, want);
            assert_seen(out.bytes, SA_F32, want, spec);
            kind[KINDS + 1] = 0;
            uv[2 * KINDS] += 0.5f / 1024.0f;
            ref_point_encode(&args, want);
            assert_seen(out.bytes, SA_F32, want, spec);
            uv[2 * KINDS] -= 0.5f / 1024.0f;
            ref_point_encode(&args, want);
        }
        check_buffer_free(&out);
    }
    free(gaussian);
    free(table);
    free(uv);
    free(want);
    free(kind);
}

static void test_point_encode(void **state)
{
    check_points(*state, 0, 8, false);
    check_points(*state, 1, 2, false);
    check_points(*state, 23, 34, false);
    check_points(*state, 64, 256, false);
}

static void test_point_encode_planted_fault(void **state)
{
    check_points(*state, 11, 32, true);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_im2col),
        cmocka_unit_test(test_im2col_planted_fault),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_add_planted_fault),
        cmocka_unit_test(test_patchify),
        cmocka_unit_test(test_patchify_planted_fault),
        cmocka_unit_test(test_patchify_many),
        cmocka_unit_test(test_point_encode),
        cmocka_unit_test(test_point_encode_planted_fault),
    };
    return cmocka_run_group_tests(tests, levels_setup, levels_teardown);
}
