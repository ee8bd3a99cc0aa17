/* f16 where a backend takes it in place of bf16 (kernels.h): the CUDA one. Elsewhere these tests are skipped.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/fixture.h"
#include "tests/kernels/tolerances.h"
#include "tests/ref/ref_ops.h"

enum { SEED = 20240608 };

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

/* The one level that has f16; skips the test on others. */
static const test_level *level_with_f16(void **state)
{
    const test_level *level = &((const test_levels *)*state)->level[0];
    if (strcmp(level->name, "cuda") != 0) {
        skip();
    }
    return level;
}

static void expect_close(const check_buffer *out, sa_dtype dtype, const float *want, tolerance t, size_t rows,
                         size_t columns, const char *name)
{
    check_spec spec = {.label = name,
                       .absolute = t.absolute,
                       .relative = t.relative,
                       .seed = SEED,
                       .rank = 2,
                       .axes = {rows, columns}};
    assert_true(check_close(out->bytes, dtype, want, &spec));
}

static void test_layernorm(void **state)
{
    const test_level *level = level_with_f16(state);
    static const size_t widths[] = {3, 4, 64, 99, 256, 768, 1280, 2048, 2100};
    for (size_t i = 0; i < COUNT(widths); i++) {
        size_t rows = 9, d = widths[i];
        float *x = normal_new(rows * d, 1.0f, SEED), *w = normal_new(d, 1.0f, SEED + 1);
        float *b = normal_new(d, 1.0f, SEED + 2), *want = malloc(rows * d * sizeof *want);
        check_buffer out = check_buffer_new(rows * d * sizeof(sa_f16));
        sa_layernorm_args args = {.rows = rows,
                                  .d = d,
                                  .eps = 1e-6f,
                                  .x = x,
                                  .w = w,
                                  .b = b,
                                  .act = (sa_activation)(i % 3),
                                  .y = out.bytes,
                                  .y_dtype = SA_F16};
        ref_layernorm(&args, want);
        level->ops->layernorm(level->stream, &args);
        /* rms over deviation: near 1 for long rows, up to 20 for these short ones */
        expect_close(&out, SA_F16, want, tolerance_layernorm(d, d == 3 ? 20.0 : 2.0, args.act, SA_F16), rows,
                     d, "layernorm to f16");
        check_buffer_free(&out);
        free(x), free(w), free(b), free(want);
    }
}

static void test_add(void **state)
{
    const test_level *level = level_with_f16(state);
    for (size_t d = 6; d <= 8; d++) { /* singles and quads */
        size_t rows = 37;
        float *a = normal_new(rows * d, 1.0f, SEED), *b = normal_new(d, 1.0f, SEED + 1);
        float *want = malloc(rows * d * sizeof *want);
        check_buffer out = check_buffer_new(rows * d * sizeof(sa_f16));
        sa_add_args args = {.rows = rows,
                            .d = d,
                            .a = a,
                            .a_rows = rows,
                            .b = b,
                            .b_rows = 1,
                            .y = out.bytes,
                            .y_dtype = SA_F16};
        ref_add(&args, want);
        level->ops->add(level->stream, &args);
        expect_close(&out, SA_F16, want, tolerance_add(SA_F16), rows, d, "add to f16");
        check_buffer_free(&out);
        free(a), free(b), free(want);
    }
}

static void test_patchify(void **state)
{
    const test_level *level = level_with_f16(state);
    for (size_t patch = 4; patch <= 16; patch *= 2) {
        enum { SIDE = 32, HEIGHT = 32, WIDTH = 21 };
        uint8_t *picture = malloc(HEIGHT * WIDTH * 3);
        const uint8_t *pixels[1] = {picture};
        size_t height = HEIGHT, width = WIDTH, values = 3 * SIDE * SIDE;
        for (size_t i = 0; i < HEIGHT * WIDTH * 3; i++) {
            picture[i] = (uint8_t)pick(SEED, i, 256);
        }
        float *want = malloc(values * sizeof *want);
        check_buffer out = check_buffer_new(values * sizeof(sa_f16));
        sa_patchify_args args = {.batch = 1,
                                 .side = SIDE,
                                 .patch = patch,
                                 .pixels = pixels,
                                 .height = &height,
                                 .width = &width,
                                 .mean = {123.675f, 116.28f, 103.53f},
                                 .std = {58.395f, 57.12f, 57.375f},
                                 .y = out.bytes,
                                 .dtype = SA_F16};
        ref_patchify(&args, want);
        level->ops->patchify(level->stream, &args);
        expect_close(&out, SA_F16, want, tolerance_patchify(57.12, SA_F16), 1, values, "patchify to f16");
        check_buffer_free(&out);
        free(want), free(picture);
    }
}

static void test_mask_product(void **state)
{
    const test_level *level = level_with_f16(state);
    for (size_t channels = 31; channels <= 40; channels++) {
        enum { SIDE = 5, MASKS = 3, PIXELS = 16 * SIDE * SIDE };
        operand features = operand_new(SA_F16, PIXELS * channels, 1.0f, SEED);
        float *hyper = normal_new(MASKS * channels, 1.0f, SEED + 1);
        float *want = malloc(MASKS * PIXELS * sizeof *want);
        check_buffer out = check_buffer_new(MASKS * PIXELS * sizeof(float));
        sa_mask_product_args args = {.batch = 1,
                                     .side = SIDE,
                                     .masks = MASKS,
                                     .channels = channels,
                                     .features = features.stored,
                                     .dtype = SA_F16,
                                     .hyper = hyper,
                                     .logits = (float *)(void *)out.bytes};
        ref_mask_product(&args, features.value, want);
        level->ops->mask_product(level->stream, &args);
        expect_close(&out, SA_F32, want, tolerance_mask_product(channels), MASKS, PIXELS,
                     "mask_product of f16");
        check_buffer_free(&out);
        operand_free(&features);
        free(hyper), free(want);
    }
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layernorm),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_patchify),
        cmocka_unit_test(test_mask_product),
    };
    return cmocka_run_group_tests(tests, levels_setup, levels_teardown);
}
