/* runtime/image/distance.h: every pixel against every other, and scipy's answers (tests/golden/masks). */
#include "tests/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/image/distance.h"
#include "tests/image/golden_masks.h"
#include "tests/ref/mask_cases.h"
#include "tests/ref/ref_image.h"

static bool agrees(const uint8_t *bytes, size_t h, size_t w, bool border, bool spoil)
{
    check_buffer got = check_buffer_new(h * w * sizeof(int32_t));
    int32_t *want = malloc(h * w * sizeof *want);
    sa_mask mask;
    assert_int_equal(sa_mask_new(&mask, h, w, NULL), SA_OK);
    sa_mask_from_bytes(&mask, bytes);
    assert_int_equal(sa_distance_squared(&mask, border, (int32_t *)got.bytes, NULL), SA_OK);
    ref_distance_squared(bytes, h, w, border, want);
    want[h * w - 1] ^= spoil;
    bool good = memcmp(got.bytes, want, got.size) == 0;
    sa_mask_free(&mask);
    free(want);
    check_buffer_free(&got);
    return good;
}

static void every_shape_and_content(void **state)
{
    (void)state;
    for (size_t s = 0; s < mask_shape_count; s++) {
        size_t h = mask_shapes[s].height, w = mask_shapes[s].width;
        uint8_t *bytes = malloc(h * w);
        for (int fill = 0; fill < MASK_FILLS && h * w < 5000; fill++) {
            mask_case_fill(bytes, h, w, fill, s);
            for (int border = 0; border < 2; border++) {
                if (!agrees(bytes, h, w, border, false)) {
                    fail_msg("%zu x %zu, fill %d, border %d", h, w, fill, border);
                }
                assert_false(agrees(bytes, h, w, border, true));
            }
        }
        free(bytes);
    }
}

/* One pixel outside a large mask, where squares are large: the formula is known. */
static void one_hole_in_a_large_mask(void **state)
{
    (void)state;
    size_t side = 8000, hole_x = 5003, hole_y = 17;
    sa_mask mask;
    assert_int_equal(sa_mask_new(&mask, side, side, NULL), SA_OK);
    sa_mask_fill(&mask, true);
    sa_mask_set(&mask, hole_x, hole_y, false);
    int32_t *squared = malloc(side * side * sizeof *squared);
    assert_int_equal(sa_distance_squared(&mask, false, squared, NULL), SA_OK);
    for (size_t i = 0; i < side * side; i++) {
        int64_t dx = (int64_t)(i % side) - (int64_t)hole_x, dy = (int64_t)(i / side) - (int64_t)hole_y;
        if (squared[i] != dx * dx + dy * dy) {
            fail_msg("pixel %zu: got %d", i, squared[i]);
        }
    }
    sa_distance_peak peak = sa_distance_first_peak(squared, side * side);
    assert_int_equal(peak.index, (side - 1) * side);
    assert_int_equal(peak.squared, 5003 * 5003 + 7982 * 7982);
    free(squared);
    sa_mask_free(&mask);
}

/* The longest sides that are allowed: nothing may overflow. */
static void longest_sides(void **state)
{
    (void)state;
    size_t side = SA_DISTANCE_MOST_SIDE;
    int32_t *squared = malloc(side * sizeof *squared);
    for (int tall = 0; tall < 2; tall++) {
        sa_mask mask;
        assert_int_equal(sa_mask_new(&mask, tall ? side : 1, tall ? 1 : side, NULL), SA_OK);
        sa_mask_fill(&mask, true);
        assert_int_equal(sa_distance_squared(&mask, true, squared, NULL), SA_OK);
        assert_int_equal(squared[side / 2], 1);
        assert_int_equal(sa_distance_squared(&mask, false, squared, NULL), SA_OK);
        assert_int_equal(squared[side / 2], SA_DISTANCE_NONE);
        sa_mask_set(&mask, 0, 0, false);
        assert_int_equal(sa_distance_squared(&mask, false, squared, NULL), SA_OK);
        assert_int_equal(squared[side - 1], (int32_t)((side - 1) * (side - 1)));
        sa_mask_free(&mask);
    }
    free(squared);
    sa_mask mask;
    int32_t one;
    assert_int_equal(sa_mask_new(&mask, 1, side + 1, NULL), SA_OK);
    assert_int_equal(sa_distance_squared(&mask, true, &one, NULL), SA_BAD_INPUT);
    sa_mask_free(&mask);
    assert_int_equal(sa_mask_new(&mask, 0, 5, NULL), SA_OK);
    assert_int_equal(sa_distance_squared(&mask, true, &one, NULL), SA_OK);
    sa_mask_free(&mask);
}

static void peaks_and_roots(void **state)
{
    (void)state;
    int32_t values[] = {0, 3, 9, 8, 9, SA_DISTANCE_NONE - 1, 2, SA_DISTANCE_NONE};
    assert_int_equal(sa_distance_first_peak(values, 1).index, 0);
    assert_int_equal(sa_distance_first_peak(values, 5).index, 2); /* the first of two */
    assert_int_equal(sa_distance_first_peak(values, 5).squared, 9);
    assert_int_equal(sa_distance_first_peak(values, 7).index, 5);
    float root[8];
    sa_distance_root(values, 8, root);
    assert_true(root[0] == 0.0f && root[1] == sqrtf(3.0f) && root[2] == 3.0f);
    uint32_t bits;
    memcpy(&bits, &root[7], sizeof bits);
    assert_int_equal(bits, 0x7f800000);
}

static void golden_distances(void **state)
{
    (void)state;
    json_t *cases = golden_read("tests/golden/masks/distance.json");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        sa_mask mask = golden_mask(c, (uint32_t)golden_number(c, "seed"));
        size_t count = mask.height * mask.width;
        int32_t *squared = malloc(count * sizeof *squared);
        bool border = json_is_true(json_object_get(c, "border"));
        assert_int_equal(sa_distance_squared(&mask, border, squared, NULL), SA_OK);
        sa_distance_peak peak = sa_distance_first_peak(squared, count);
        assert_int_equal(peak.index, golden_number(c, "first"));
        assert_int_equal(peak.squared, golden_number(c, "most"));
        uint64_t sum = 0;
        for (size_t k = 0; k < count; k++) {
            sum += (uint64_t)squared[k] * ((k + 1) % 65521);
        }
        assert_int_equal(sum, golden_number(c, "checksum"));
        free(squared);
        sa_mask_free(&mask);
    }
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_and_content), cmocka_unit_test(one_hole_in_a_large_mask),
        cmocka_unit_test(longest_sides),           cmocka_unit_test(peaks_and_roots),
        cmocka_unit_test(golden_distances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
