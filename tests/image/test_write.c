/* Writing: JPEGs decode to what Pillow's decode to; PNGs come back exactly. */
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/philox.h"
#include "tests/image/golden.h"

/* -- JPEG -- */

static void check_encode(const char *name, int quality, uint32_t want)
{
    char path[256];
    sa_image image, again;
    unsigned char *bytes;
    size_t size;
    golden_path(path, sizeof path, name);
    assert_int_equal(sa_image_read(path, NULL, &image, NULL), SA_OK);
    assert_int_equal(sa_image_encode_jpeg(&image, quality, &bytes, &size, NULL), SA_OK);
    assert_int_equal(sa_image_decode("again", bytes, size, NULL, &again, NULL), SA_OK);
    if (golden_crc(&again) != want) {
        fail_msg("%s at quality %d: got %08x, want %08x", name, quality, golden_crc(&again), want);
    }
    free(bytes);
    sa_image_free(&image);
    sa_image_free(&again);
}

static void test_jpeg_equals_pillow(void **state)
{
    (void)state;
    char line[256], name[64];
    int quality, count = 0;
    unsigned crc;
    FILE *list = fopen(GOLDEN "/encode.txt", "r");
    assert_non_null(list);
    while (fgets(line, sizeof line, list)) {
        assert_int_equal(sscanf(line, "%63s %d %8x", name, &quality, &crc), 3);
        check_encode(name, quality, crc);
        count++;
    }
    fclose(list);
    assert_true(count >= 10);
}

static void test_jpeg_too_long(void **state)
{
    (void)state;
    unsigned char *bytes;
    size_t size;
    sa_error err;
    sa_image image = golden_pattern(1, 65501);
    assert_int_equal(sa_image_encode_jpeg(&image, 75, &bytes, &size, &err), SA_BAD_INPUT);
    assert_null(bytes);
    assert_non_null(strstr(err.hint, "PNG"));
    image.width = 65500;
    assert_int_equal(sa_image_encode_jpeg(&image, 75, &bytes, &size, &err), SA_OK);
    free(bytes);
    sa_image_free(&image);
}

/* -- PNG -- */

static void check_png(const sa_image *image)
{
    unsigned char *bytes;
    size_t size;
    sa_image again;
    assert_int_equal(sa_image_encode_png(image, &bytes, &size, NULL), SA_OK);
    assert_int_equal(sa_image_decode("again", bytes, size, NULL, &again, NULL), SA_OK);
    assert_int_equal(again.height, image->height);
    assert_int_equal(again.width, image->width);
    assert_memory_equal(again.pixels, image->pixels, image->height * image->width * 3);
    free(bytes);
    sa_image_free(&again);
}

static void test_png_sizes(void **state)
{
    (void)state;
    static const size_t sides[] = {1, 2, 3, 7, 64, 101};
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = 0; j < 6; j++) {
            sa_image image = golden_pattern(sides[i], sides[j]);
            check_png(&image);
            sa_image_free(&image);
        }
    }
}

static void test_png_noise(void **state)
{
    (void)state;
    sa_image image = golden_pattern(97, 103);
    for (size_t i = 0; i < image.height * image.width * 3; i++) {
        image.pixels[i] = (uint8_t)sa_philox_block(7, i, 0).word[0];
    }
    check_png(&image);
    sa_image_free(&image);
}

static void test_png_grey(void **state)
{
    (void)state;
    enum { HEIGHT = 37, WIDTH = 71 };
    uint8_t mask[HEIGHT * WIDTH];
    unsigned char *bytes;
    size_t size;
    sa_image again;
    for (size_t i = 0; i < sizeof mask; i++) {
        mask[i] = i % WIDTH > 20 && i % WIDTH < 50 && i / WIDTH > 9 ? 255 : 0;
    }
    assert_int_equal(sa_image_encode_png_grey(mask, HEIGHT, WIDTH, &bytes, &size, NULL), SA_OK);
    assert_int_equal(bytes[25], 0); /* color type grey */
    assert_true(size < 200);
    assert_int_equal(sa_image_decode("mask", bytes, size, NULL, &again, NULL), SA_OK);
    for (size_t i = 0; i < sizeof mask * 3; i++) {
        assert_int_equal(again.pixels[i], mask[i / 3]);
    }
    free(bytes);
    sa_image_free(&again);
}

/* -- Files -- */

static void check_same_file(const char *path, const unsigned char *bytes, size_t size)
{
    unsigned char *read;
    size_t read_size;
    assert_int_equal(sa_file_read(path, (size_t)1 << 24, &read, &read_size, NULL), SA_OK);
    assert_int_equal(read_size, size);
    assert_memory_equal(read, bytes, size);
    free(read);
}

static void test_files(void **state)
{
    (void)state;
    char directory[] = "/tmp/segagent-write-XXXXXX", path[128];
    unsigned char *bytes;
    size_t size;
    sa_image image = golden_pattern(20, 30);
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/picture", directory);
    assert_int_equal(sa_image_write_png(path, &image, NULL), SA_OK);
    assert_int_equal(sa_image_encode_png(&image, &bytes, &size, NULL), SA_OK);
    check_same_file(path, bytes, size);
    free(bytes);
    assert_int_equal(sa_image_write_jpeg(path, &image, 75, NULL), SA_OK);
    assert_int_equal(sa_image_encode_jpeg(&image, 75, &bytes, &size, NULL), SA_OK);
    check_same_file(path, bytes, size);
    free(bytes);
    assert_int_equal(sa_image_write_png_grey(path, image.pixels, 20, 30, NULL), SA_OK);
    assert_int_equal(sa_image_encode_png_grey(image.pixels, 20, 30, &bytes, &size, NULL), SA_OK);
    check_same_file(path, bytes, size);
    free(bytes);
    unlink(path);
    sa_error err = {0};
    assert_int_not_equal(sa_image_write_png("/nowhere/at/all/picture.png", &image, &err), SA_OK);
    assert_non_null(strstr(err.file, "picture.png"));
    rmdir(directory);
    sa_image_free(&image);
}

/* -- What the writer's ints cannot hold -- */

static void test_png_too_large(void **state)
{
    (void)state;
    static const size_t sides[][2] = {{1, 400000000}, {600000000, 1}, {20000, 20000}, {(size_t)1 << 62, 1}};
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        unsigned char *bytes, pixel[3] = {0}; /* refused before any pixel is read */
        size_t size;
        sa_error err = {0};
        sa_image image = {.height = sides[i][0], .width = sides[i][1], .pixels = pixel};
        assert_int_equal(sa_image_encode_png(&image, &bytes, &size, &err), SA_BAD_INPUT);
        assert_null(bytes);
        assert_non_null(strstr(err.reason, "PNG"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jpeg_equals_pillow), cmocka_unit_test(test_jpeg_too_long),
        cmocka_unit_test(test_png_sizes),          cmocka_unit_test(test_png_noise),
        cmocka_unit_test(test_png_grey),           cmocka_unit_test(test_files),
        cmocka_unit_test(test_png_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
