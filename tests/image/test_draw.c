/*
 * Painting: the overlay against its formula pixel by pixel; clicks and boxes stay inside and look as
 * promised.
 */
#include <math.h>

#include "runtime/base/philox.h"
#include "tests/image/golden.h"

/* -- Overlay -- */

static sa_mask new_mask(size_t height, size_t width)
{
    sa_mask mask = {.height = height, .width = width, .stride_words = (width + 63) / 64};
    mask.bits = calloc(height * mask.stride_words, sizeof *mask.bits);
    assert_non_null(mask.bits);
    return mask;
}

static bool mask_at(const sa_mask *mask, size_t y, size_t x)
{
    return mask->bits[y * mask->stride_words + x / 64] >> x % 64 & 1;
}

/* MODEL_SPECS 1.7 as numpy computes it: two products and a sum, each rounded to double, then to u8. */
static uint8_t painted(uint8_t value, int c, const sa_image_paint *paint)
{
    volatile double kept = (1.0 - paint->alpha) * value, added = paint->color[c] * paint->alpha;
    double sum = kept + added;
    return (uint8_t)(paint->rounding == SA_IMAGE_NEAREST ? nearbyint(sum) : floor(sum));
}

/* Counts pixels that differ from the formula. */
static size_t overlay_errors(const sa_image *before, const sa_image *after, const sa_mask *mask,
                             const sa_image_paint *paint)
{
    size_t errors = 0;
    for (size_t i = 0; i < before->height * before->width * 3; i++) {
        size_t y = i / 3 / before->width, x = i / 3 % before->width;
        uint8_t want =
            mask_at(mask, y, x) ? painted(before->pixels[i], (int)(i % 3), paint) : before->pixels[i];
        errors += after->pixels[i] != want;
    }
    return errors;
}

static void check_overlay(size_t height, size_t width, const sa_image_paint *paint, uint64_t seed)
{
    sa_image before = golden_pattern(height, width), after = golden_pattern(height, width);
    sa_mask mask = new_mask(height, width);
    for (size_t i = 0; i < height * width; i++) {
        size_t y = i / width, x = i % width;
        uint64_t set = seed == 0 ? 0 : seed == 1 ? 1 : sa_philox_block(seed, i, 0).word[0] & 1;
        mask.bits[y * mask.stride_words + x / 64] |= set << x % 64;
    }
    sa_image_overlay(&after, &mask, paint);
    assert_int_equal(overlay_errors(&before, &after, &mask, paint), 0);
    if (seed == 1) { /* the comparison sees one value that is off by one */
        after.pixels[height * width * 3 - 1] ^= 1;
        assert_int_equal(overlay_errors(&before, &after, &mask, paint), 1);
    }
    free(mask.bits);
    sa_image_free(&before);
    sa_image_free(&after);
}

static void test_overlay(void **state)
{
    (void)state;
    static const size_t widths[] = {1, 63, 64, 65, 128, 131};
    static const sa_image_paint paints[] = {
        {{0, 255, 0}, 0.5, SA_IMAGE_TRUNCATE},   {{0, 255, 0}, 0.5, SA_IMAGE_NEAREST},
        {{255, 7, 130}, 0.3, SA_IMAGE_TRUNCATE}, {{255, 7, 130}, 0.7, SA_IMAGE_NEAREST},
        {{1, 2, 3}, 0.0, SA_IMAGE_TRUNCATE},     {{1, 2, 3}, 1.0, SA_IMAGE_NEAREST},
    };
    for (size_t w = 0; w < 6; w++) {
        for (size_t p = 0; p < 6; p++) {
            for (uint64_t seed = 0; seed < 4; seed++) {
                check_overlay(1 + 17 * (seed % 2), widths[w], &paints[p], seed);
            }
        }
    }
}

static void test_overlay_of_a_large_image(void **state)
{
    (void)state;
    sa_image_paint paint = sa_image_default_paint();
    check_overlay(8191, 8192, &paint, 5);
}

/* The reference's figures: R' = trunc(R/2), G' = trunc(G/2 + 127.5), B' = trunc(B/2). */
static void test_overlay_default(void **state)
{
    (void)state;
    sa_image image = golden_pattern(1, 256);
    sa_mask mask = new_mask(1, 256);
    sa_image_paint paint = sa_image_default_paint();
    for (size_t x = 0; x < 256; x++) {
        memset(image.pixels + 3 * x, (int)x, 3);
        mask.bits[x / 64] |= (uint64_t)1 << x % 64;
    }
    sa_image_overlay(&image, &mask, &paint);
    for (size_t x = 0; x < 256; x++) {
        assert_int_equal(image.pixels[3 * x], x / 2);
        assert_int_equal(image.pixels[3 * x + 1], (x + 255) / 2);
        assert_int_equal(image.pixels[3 * x + 2], x / 2);
    }
    free(mask.bits);
    sa_image_free(&image);
}

/* -- Clicks and boxes -- */

/*
 * A grey picture whose pixels lie in a guarded buffer, so that a stray write shows without a sanitizer, too.
 */
static sa_image grey_in(check_buffer *buffer, size_t height, size_t width)
{
    *buffer = check_buffer_new(height * width * 3);
    memset(buffer->bytes, 128, height * width * 3);
    return (sa_image){.height = height, .width = width, .pixels = buffer->bytes};
}

static size_t changed_pixels(const sa_image *image)
{
    size_t changed = 0;
    for (size_t i = 0; i < image->height * image->width; i++) {
        const uint8_t *p = image->pixels + 3 * i;
        changed += p[0] != 128 || p[1] != 128 || p[2] != 128;
    }
    return changed;
}

static void test_click_colors(void **state)
{
    (void)state;
    check_buffer buffer;
    sa_image image = grey_in(&buffer, 400, 600);
    const sa_image_click clicks[2] = {{100.5, 200.0, true}, {300.0, 200.9, false}};
    sa_image_draw_clicks(&image, clicks, 2);
    const uint8_t *plus = image.pixels + (200 * 600 + 100) * 3, *minus = image.pixels + (200 * 600 + 300) * 3;
    assert_int_equal(plus[0], 255); /* the signs' centres are white */
    assert_int_equal(minus[0], 255);
    assert_int_equal(plus[3 * 600 * 2], 255); /* two rows below: the plus goes on, the minus does not */
    assert_true(minus[3 * 600 * 2] > 200 && minus[3 * 600 * 2 + 1] < 60);
    assert_true(plus[3 * (600 * 3 + 3)] < 60 && plus[3 * (600 * 3 + 3) + 1] > 150);
    assert_int_equal(plus[3 * 7], 0);   /* black rim */
    assert_int_equal(plus[3 * 6], 255); /* white ring */
    assert_int_equal(plus[3 * 8], 128); /* and no further */
    size_t changed = changed_pixels(&image);
    assert_true(changed > 2 * 120 && changed < 2 * 200);
    check_buffer_free(&buffer);
}

/* Clicks at, across and far beyond every border of pictures of all sizes. */
static void test_clicks_are_clipped(void **state)
{
    (void)state;
    static const double places[] = {-1e300, -1e9, -4,  -1,       -0.5,      0,  0.99,
                                    6,      500,  2e9, INFINITY, -INFINITY, NAN};
    static const size_t sides[] = {1, 2, 7, 97};
    for (size_t s = 0; s < 16; s++) {
        check_buffer buffer;
        sa_image image = grey_in(&buffer, sides[s / 4], sides[s % 4]);
        for (size_t i = 0; i < 13 * 13; i++) {
            const sa_image_click click = {places[i / 13], places[i % 13], i % 2 == 0};
            sa_image_draw_clicks(&image, &click, 1);
            sa_image_draw_box(&image, places[i / 13], places[i % 13], places[(i + 5) % 13], 3,
                              (uint8_t[3]){9, 9, 9});
        }
        check_buffer_free(&buffer);
    }
}

static void test_far_clicks_draw_nothing(void **state)
{
    (void)state;
    check_buffer buffer;
    sa_image image = grey_in(&buffer, 50, 50);
    const sa_image_click clicks[] = {
        {-20, 10, true}, {NAN, 10, true}, {10, INFINITY, false}, {10, 71, false}};
    sa_image_draw_clicks(&image, clicks, 4);
    sa_image_draw_clicks(&image, NULL, 0);
    sa_image_draw_box(&image, NAN, 1, 2, 3, (uint8_t[3]){9, 9, 9});
    sa_image_draw_box(&image, 60, 60, 80, 90, (uint8_t[3]){9, 9, 9});
    assert_int_equal(changed_pixels(&image), 0);
    check_buffer_free(&buffer);
}

static void test_box(void **state)
{
    (void)state;
    check_buffer buffer;
    sa_image image = grey_in(&buffer, 40, 50);
    sa_image_draw_box(&image, 30, 25, 10, 5,
                      (uint8_t[3]){1, 2, 3}); /* corners in any order; lines 1 pixel wide */
    assert_int_equal(changed_pixels(&image), 2 * 21 + 2 * 19);
    for (size_t x = 10; x <= 30; x++) {
        assert_memory_equal(image.pixels + (5 * 50 + x) * 3, ((uint8_t[3]){1, 2, 3}), 3);
        assert_memory_equal(image.pixels + (25 * 50 + x) * 3, ((uint8_t[3]){1, 2, 3}), 3);
    }
    check_buffer_free(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overlay),
        cmocka_unit_test(test_overlay_of_a_large_image),
        cmocka_unit_test(test_overlay_default),
        cmocka_unit_test(test_click_colors),
        cmocka_unit_test(test_clicks_are_clipped),
        cmocka_unit_test(test_far_clicks_draw_nothing),
        cmocka_unit_test(test_box),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
