/*
 * EXIF orientation: the eight ways of turning, and blocks that lie, at every length. (Files: test_decode.c.)
 */
#include "tests/image/golden.h"

/* exif_transpose of Pillow, for pixel (y, x) of the turned picture: where it stands in the stored one. */
static void stored_place(int orientation, size_t height, size_t width, size_t y, size_t x, size_t *sy,
                         size_t *sx)
{
    bool swapped = orientation >= 5;
    size_t a = swapped ? x : y, b = swapped ? y : x; /* stored row and column before mirroring */
    bool flip_rows = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    bool flip_columns = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    *sy = flip_rows ? height - 1 - a : a;
    *sx = flip_columns ? width - 1 - b : b;
}

static void check_orient(size_t height, size_t width, int orientation)
{
    sa_image stored = golden_pattern(height, width), turned = golden_pattern(height, width);
    assert_int_equal(sa_image_orient(&turned, orientation, NULL), SA_OK);
    assert_int_equal(turned.height, orientation >= 5 ? width : height);
    assert_int_equal(turned.width, orientation >= 5 ? height : width);
    for (size_t y = 0; y < turned.height; y++) {
        for (size_t x = 0; x < turned.width; x++) {
            size_t sy, sx;
            stored_place(orientation, height, width, y, x, &sy, &sx);
            assert_memory_equal(turned.pixels + (y * turned.width + x) * 3,
                                stored.pixels + (sy * width + sx) * 3, 3);
        }
    }
    sa_image_free(&stored);
    sa_image_free(&turned);
}

static void test_orient(void **state)
{
    (void)state;
    static const size_t sides[] = {1, 2, 3, 31, 32, 33, 67};
    for (size_t i = 0; i < 7; i++) {
        for (size_t j = 0; j < 7; j++) {
            for (int orientation = 1; orientation <= 8; orientation++) {
                check_orient(sides[i], sides[j], orientation);
            }
        }
    }
}

/* One directory with one orientation entry: what a block says in its plainest form. */
static const uint8_t plain[26] = {'I', 'I', '*', 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 6};

static int orientation_at_length(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, size);
    int orientation = sa_exif_orientation(exact, size);
    assert_in_range(orientation, 0, 8);
    free(exact);
    return orientation;
}

static void test_lengths(void **state)
{
    (void)state;
    for (size_t size = 0; size <= sizeof plain; size++) {
        int got = orientation_at_length(plain, size);
        assert_int_equal(got, size == 0 ? 0 : size < 8 ? 1 : size < 22 ? 0 : 6);
    }
}

/* Every byte of a block takes every value. */
static void test_every_byte(void **state)
{
    (void)state;
    uint8_t bytes[sizeof plain];
    for (size_t i = 0; i < sizeof plain; i++) {
        for (int value = 0; value < 256; value++) {
            memcpy(bytes, plain, sizeof plain);
            bytes[i] = (uint8_t)value;
            orientation_at_length(bytes, sizeof bytes);
        }
    }
}

static int xmp_at_length(const char *text, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    assert_non_null(exact);
    memcpy(exact, text, size);
    int orientation = sa_xmp_orientation(exact, size);
    free(exact);
    return orientation;
}

static void test_xmp(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int want;
    } cases[] = {
        {"", 0},
        {"tiff:Orientation=\"3\"", 3},
        {"tiff:Orientation>5<", 5},
        {"tiff:Orientation='3'", 0},
        {"tiff:Orientation=3", 0},
        {"tiff:Orientation=\"x\" tiff:Orientation=\"4\"", 4},
        {"tiff:Orientation=\"9\"", 1},
        {"tiff:Orientatiotiff:Orientation>2", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length = strlen(cases[i].text);
        assert_int_equal(xmp_at_length(cases[i].text, length), cases[i].want);
        for (size_t cut = 0; cut < length; cut++) {
            assert_in_range(xmp_at_length(cases[i].text, cut), 0, 8);
        }
    }
    assert_int_equal(xmp_at_length("tiff:Orientation=\"3\"", 18), 0);
    assert_int_equal(xmp_at_length("tiff:Orientation=\"3\"", 19), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orient),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_xmp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
