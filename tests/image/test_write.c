/* Writing: JPEGs decode to what Pillow's decode to; PNGs come back exactly; deflate against our inflate. */
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

/* -- Deflate -- */

static void check_deflate(const uint8_t *bytes, size_t size)
{
    size_t packed_size;
    bool whole;
    uint8_t *packed = sa_zlib_deflate(bytes, size, &packed_size);
    check_buffer out = check_buffer_new(size);
    assert_non_null(packed);
    assert_true(packed_size <= size + size / 8 + 17);
    assert_int_equal(sa_zlib_inflate(packed, packed_size, out.bytes, size, &whole), size);
    assert_true(whole);
    assert_true(size == 0 || memcmp(bytes, out.bytes, size) == 0);
    if (size > 0) { /* room for less: the first bytes, and not one behind them */
        check_buffer less = check_buffer_new(size - 1);
        assert_int_equal(sa_zlib_inflate(packed, packed_size, less.bytes, size - 1, &whole), size - 1);
        assert_false(whole);
        check_buffer_free(&less);
    }
    check_buffer_free(&out);
    free(packed);
}

/* Runs, repeats at all distances and lengths, noise: every length and distance code of the format is used. */
static void test_deflate(void **state)
{
    (void)state;
    enum { SIZE = 200000 };
    static const size_t sizes[] = {0, 1, 2, 3, 4, 257, 258, 259, 260, 32767, 32768, 32769, 65537, SIZE};
    uint8_t *bytes = malloc(SIZE);
    assert_non_null(bytes);
    for (int kind = 0; kind < 6; kind++) {
        for (size_t i = 0; i < SIZE; i++) {
            sa_philox noise = sa_philox_block((uint64_t)kind, i, 1);
            size_t period = kind == 2 ? 1000 : kind == 3 ? 32767 : 32768;
            uint8_t chance = (uint8_t)noise.word[0];
            bytes[i] = kind == 0 ? 0 : kind == 1 || i < period ? chance : bytes[i - period];
            if (kind == 5 && noise.word[1] % 40 == 0) {
                bytes[i] = chance;
            }
        }
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            check_deflate(bytes, sizes[s]);
        }
    }
    free(bytes);
}

/* A stream cut anywhere gives the bytes so far and is not whole; a damaged one ends without a crash. */
static void test_damaged_streams(void **state)
{
    (void)state;
    uint8_t bytes[600], out[600];
    size_t size;
    bool whole;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(i * i / 50);
    }
    uint8_t *packed = sa_zlib_deflate(bytes, sizeof bytes, &size);
    assert_non_null(packed);
    for (size_t cut = 0; cut + 4 < size; cut++) { /* the last 4 are the checksum */
        size_t made = sa_zlib_inflate(packed, cut, out, sizeof out, &whole);
        assert_true(!whole && made <= sizeof out);
        assert_memory_equal(out, bytes, made);
    }
    for (size_t i = 0; i < size * 8; i++) {
        packed[i / 8] ^= (uint8_t)(1 << i % 8);
        assert_true(sa_zlib_inflate(packed, size, out, sizeof out, &whole) <= sizeof out);
        packed[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    free(packed);
}

/* Over-full codes, lengths that do not exist, distances that reach before the start. */
static void test_impossible_streams(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[12];
        size_t size;
    } cases[] = {
        {{0x78, 0x9c, 0x07}, 3},                                     /* block kind 3 */
        {{0x78, 0x9c, 0x01, 1, 0, 0, 0}, 7},                         /* stored, length not confirmed */
        {{0x78, 0x9c, 0x01, 5, 0, 0xfa, 0xff, 1, 2}, 9},             /* stored, cut short */
        {{0x78, 0x9c, 0x03, 0x02, 0x00, 0x00}, 6},                   /* a match at the very start */
        {{0x78, 0x9c, 0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 9}, /* over-full dynamic code */
        {{0x78, 0xbc, 0x03, 0x00}, 4},                               /* preset dictionary */
        {{0x79, 0x9c, 0x03, 0x00}, 4},                               /* not deflate */
    };
    uint8_t out[64];
    bool whole;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sa_zlib_inflate(cases[i].bytes, cases[i].size, out, sizeof out, &whole);
        assert_false(whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jpeg_equals_pillow),
        cmocka_unit_test(test_jpeg_too_long),
        cmocka_unit_test(test_png_sizes),
        cmocka_unit_test(test_png_noise),
        cmocka_unit_test(test_png_grey),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_deflate),
        cmocka_unit_test(test_damaged_streams),
        cmocka_unit_test(test_impossible_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
