/* mask_product and mask_resize against their references. */
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/fixture.h"
#include "tests/kernels/tolerances.h"
#include "tests/ref/ref_ops.h"

enum { SEED = 20240606 };

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

/* ---- mask_product ---- */

static check_buffer run_product(const test_level *level, sa_mask_product_args args)
{
    check_buffer out = check_buffer_new(args.batch * args.masks * args.side * args.side * 16 * sizeof(float));
    args.logits = (float *)(void *)out.bytes;
    level->ops->mask_product(level->stream, &args);
    return out;
}

static void check_product(const test_levels *levels, sa_mask_product_args args, bool planted)
{
    size_t rows = args.batch * args.side * args.side * 16, pixels = rows * args.masks;
    operand features = operand_new(args.dtype, rows * args.channels, 1.0f, SEED);
    float *hyper = normal_new(args.batch * args.masks * args.channels, 1.0f, SEED + 1);
    float *want = malloc((pixels + 1) * sizeof *want);
    args.features = features.stored;
    args.hyper = hyper;
    ref_mask_product(&args, features.value, want);
    tolerance t = tolerance_mask_product(args.channels);
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer out = run_product(&levels->level[l], args);
        check_spec spec = {.label = label(&levels->level[l], "mask_product %s, %zu channels",
                                          sa_dtype_name(args.dtype), args.channels),
                           .absolute = t.absolute,
                           .relative = t.relative,
                           .seed = SEED,
                           .rank = 4,
                           .axes = {args.batch, args.masks, 4 * args.side, 4 * args.side}};
        assert_true(check_close(out.bytes, SA_F32, want, &spec));
        if (planted && l == 0) { /* two pixels of a 2x2 cell exchanged; the last channel forgotten */
            float first = want[1];
            want[1] = want[4 * args.side], want[4 * args.side] = first;
            assert_seen(out.bytes, SA_F32, want, spec);
            hyper[args.channels - 1] = 0.0f;
            ref_mask_product(&args, features.value, want);
            assert_seen(out.bytes, SA_F32, want, spec);
        }
        check_buffer_free(&out);
        if (planted) {
            break;
        }
    }
    free(want);
    free(hyper);
    operand_free(&features);
}

static void test_mask_product(void **state)
{
    static const size_t channels[] = {1, 3, 4, 8, 15, 16, 17, 32, 33, 2, 64};
    for (size_t i = 0; i < 2 * COUNT(channels); i++) {
        sa_mask_product_args args = {.batch = i % 4,
                                     .side = 1 + i % 7,
                                     .masks = 1 + i % 8,
                                     .channels = channels[i / 2],
                                     .dtype = i % 2 == 0 ? SA_BF16 : SA_F32};
        check_product(*state, args, false);
    }
}

static void test_mask_product_planted_fault(void **state)
{
    sa_mask_product_args args = {.batch = 1, .side = 3, .masks = 2, .channels = 32};
    check_product(*state, args, true);
    args.dtype = SA_BF16;
    check_product(*state, args, true);
}

/* An image's logits do not depend on the others or on the threads. */
static void test_mask_product_invariance(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 5};
    sa_mask_product_args all = {.batch = 3, .side = 5, .masks = 4, .channels = 35, .dtype = SA_BF16};
    size_t features = 5 * 5 * 16 * 35, image = 4 * 5 * 5 * 16;
    operand f = operand_new(SA_BF16, 3 * features, 1.0f, SEED);
    float *hyper = normal_new(3 * 4 * 35, 1.0f, SEED + 1);
    for (size_t t = 0; t < COUNT(threads); t++) {
        test_levels levels = levels_open(threads[t]);
        for (size_t l = 0; l < levels.count; l++) {
            all.batch = 3, all.features = f.stored, all.hyper = hyper;
            check_buffer whole = run_product(&levels.level[l], all);
            for (size_t b = 0; b < 3; b++) {
                all.batch = 1, all.features = (sa_bf16 *)f.stored + b * features,
                all.hyper = hyper + b * 4 * 35;
                check_buffer one = run_product(&levels.level[l], all);
                assert_memory_equal(one.bytes, whole.bytes + b * image * 4, image * 4);
                check_buffer_free(&one);
            }
            check_buffer_free(&whole);
        }
        levels_close(&levels);
    }
    operand_free(&f);
    free(hyper);
}

/* ---- mask_resize ---- */

static check_buffer run_resize(const test_level *level, sa_mask_resize_args args)
{
    check_buffer bits = check_buffer_new(args.height * ((args.width + 63) / 64) * sizeof(uint64_t));
    check_buffer work = check_buffer_new(level->ops->mask_resize_workspace(level->stream, &args));
    args.bits = (uint64_t *)(void *)bits.bytes;
    args.workspace = work.bytes;
    level->ops->mask_resize(level->stream, &args);
    check_buffer_free(&work);
    return bits;
}

/*
 * Every pixel whose reference is further than `tolerance` from the threshold must agree, bits past the width
 * must be 0, and all but one pixel in a hundred must be decided so. Says where the first disagreement is.
 */
static bool bits_agree(const check_buffer *bits, const sa_mask_resize_args *args, const double *logits,
                       double margin, const char *name)
{
    size_t words = (args->width + 63) / 64, undecided = 0;
    const uint64_t *row = (const uint64_t *)(const void *)bits->bytes;
    for (size_t y = 0; y < args->height; y++, row += words) {
        for (size_t x = 0; x < words * 64; x++) {
            bool got = (row[x / 64] >> (x % 64) & 1) != 0;
            double above = x < args->width ? logits[y * args->width + x] - (double)args->threshold : -1e30;
            bool close = !(above > margin) && !(above < -margin);
            undecided += close;
            if (!close && got != (above > 0.0)) {
                print_error(
                    "%s: [%zu of %zu, %zu of %zu]: bit %d, logit - threshold %g, margin %g; seed %d\n", name,
                    y, args->height, x, args->width, (int)got, above, margin, SEED);
                return false;
            }
        }
    }
    if (undecided * 100 > args->height * args->width) {
        print_error("%s: %zu pixels are too close to the threshold to tell\n", name, undecided);
        return false;
    }
    return true;
}

static double margin_of(const sa_mask_resize_args *args)
{
    size_t crop = args->crop_height > args->crop_width ? args->crop_height : args->crop_width;
    return tolerance_mask_resize(args->low_side, crop, PEAK);
}

static void check_resize(const test_levels *levels, sa_mask_resize_args args)
{
    float *low = normal_new(args.low_side * args.low_side, 1.0f, SEED);
    double *logits = malloc(args.height * args.width * sizeof *logits);
    args.low = low;
    ref_mask_resize(&args, logits);
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer bits = run_resize(&levels->level[l], args);
        assert_true(
            bits_agree(&bits, &args, logits, margin_of(&args),
                       label(&levels->level[l], "mask_resize %zu -> %zu -> %zux%zu -> %zux%zu", args.low_side,
                             args.frame, args.crop_height, args.crop_width, args.height, args.width)));
        check_buffer_free(&bits);
    }
    free(low);
    free(logits);
}

static void test_mask_resize(void **state)
{
    static const sa_mask_resize_args cases[] = {
        {.low_side = 1, .frame = 1, .crop_height = 1, .crop_width = 1, .height = 1, .width = 1},
        {.low_side = 1, .frame = 7, .crop_height = 3, .crop_width = 7, .height = 5, .width = 70},
        {.low_side = 2, .frame = 5, .crop_height = 5, .crop_width = 4, .height = 3, .width = 63},
        {.low_side = 16, .frame = 64, .crop_height = 64, .crop_width = 48, .height = 100, .width = 75},
        {.low_side = 16,
         .frame = 64,
         .crop_height = 33,
         .crop_width = 64,
         .height = 65,
         .width = 128,
         .threshold = 0.5f},
        {.low_side = 13, .frame = 13, .crop_height = 13, .crop_width = 13, .height = 13, .width = 13},
        {.low_side = 17, .frame = 31, .crop_height = 1, .crop_width = 31, .height = 1, .width = 65},
        {.low_side = 40, .frame = 10, .crop_height = 9, .crop_width = 7, .height = 3, .width = 129},
        {.low_side = 64, .frame = 256, .crop_height = 256, .crop_width = 171, .height = 97, .width = 64},
        {.low_side = 256, .frame = 1024, .crop_height = 683, .crop_width = 1024, .height = 427, .width = 640},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        check_resize(*state, cases[i]);
    }
}

/* A logit equal to the threshold is outside the mask: a map of zeros sets no bit, one just above sets all. */
static void test_mask_resize_at_the_threshold(void **state)
{
    const test_levels *levels = *state;
    sa_mask_resize_args args = {
        .low_side = 4, .frame = 16, .crop_height = 16, .crop_width = 9, .height = 5, .width = 67};
    float low[16] = {0};
    args.low = low;
    for (size_t l = 0; l < levels->count; l++) {
        for (size_t i = 0; i < 2; i++) {
            for (size_t j = 0; j < 16; j++) {
                low[j] = i == 0 ? 0.0f : 1e-20f;
            }
            check_buffer bits = run_resize(&levels->level[l], args);
            for (size_t word = 0; word < 10; word++) {
                uint64_t want = i == 0 ? 0 : word % 2 == 0 ? UINT64_MAX : 7;
                assert_true(((const uint64_t *)(const void *)bits.bytes)[word] == want);
            }
            check_buffer_free(&bits);
        }
    }
}

/* The same bits on every number of threads. */
static void test_mask_resize_invariance(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 3, 5};
    sa_mask_resize_args args = {
        .low_side = 32, .frame = 128, .crop_height = 128, .crop_width = 90, .height = 77, .width = 130};
    float *low = normal_new(32 * 32, 1.0f, SEED + 1);
    check_buffer first[SA_CPU_LEVELS] = {{0}};
    args.low = low;
    for (size_t t = 0; t < COUNT(threads); t++) {
        test_levels levels = levels_open(threads[t]);
        for (size_t l = 0; l < levels.count; l++) {
            check_buffer bits = run_resize(&levels.level[l], args);
            if (t == 0) {
                first[l] = bits;
                continue;
            }
            assert_memory_equal(bits.bytes, first[l].bytes, bits.size);
            check_buffer_free(&bits);
        }
        levels_close(&levels);
    }
    for (size_t l = 0; l < SA_CPU_LEVELS && first[l].bytes != NULL; l++) {
        check_buffer_free(&first[l]);
    }
    free(low);
}

/* A crop one pixel off; one stage in place of two; a bit turned; a bit past the width. */
static void test_mask_resize_planted_fault(void **state)
{
    const test_level *level = &((const test_levels *)*state)->level[0];
    sa_mask_resize_args args = {
        .low_side = 16, .frame = 64, .crop_height = 43, .crop_width = 64, .height = 90, .width = 135};
    float *low = normal_new(16 * 16, 1.0f, SEED + 2);
    double *logits = malloc(90 * 135 * sizeof *logits), margin = margin_of(&args);
    args.low = low;
    check_buffer bits = run_resize(level, args);
    const char *expected = "(expected) planted fault, mask_resize";
    sa_mask_resize_args wrong = args;
    wrong.crop_height = 42;
    ref_mask_resize(&wrong, logits);
    assert_false(bits_agree(&bits, &args, logits, margin, expected));
    wrong = args;
    wrong.frame = wrong.crop_width = 16; /* low map straight to the picture */
    wrong.crop_height = 11;
    ref_mask_resize(&wrong, logits);
    assert_false(bits_agree(&bits, &args, logits, margin, expected));
    ref_mask_resize(&args, logits);
    assert_true(bits_agree(&bits, &args, logits, margin, "mask_resize"));
    for (size_t i = 0; i < 2; i++) { /* bit 0 of the third word is pixel 128, bit 7 is past the width */
        size_t byte = (i == 0 ? 50 : 51) * 3 * 8 + 2 * 8;
        unsigned char saved = bits.bytes[byte];
        bits.bytes[byte] ^= i == 0 ? 1 : 0x80;
        assert_false(bits_agree(&bits, &args, logits, margin, expected));
        bits.bytes[byte] = saved;
    }
    check_buffer_free(&bits);
    free(low);
    free(logits);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mask_product),
        cmocka_unit_test(test_mask_product_planted_fault),
        cmocka_unit_test(test_mask_product_invariance),
        cmocka_unit_test(test_mask_resize),
        cmocka_unit_test(test_mask_resize_at_the_threshold),
        cmocka_unit_test(test_mask_resize_invariance),
        cmocka_unit_test(test_mask_resize_planted_fault),
    };
    return cmocka_run_group_tests(tests, levels_setup, levels_teardown);
}
