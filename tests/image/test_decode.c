/* Decoding: equal to Pillow on every golden file; what is bad is refused with a reason; nothing crashes. */
#include "tests/image/golden.h"

/* -- Golden files -- */

static bool same_picture(const sa_image *image, const golden_case *c)
{
    return image->width == c->width && image->height == c->height && golden_crc(image) == c->crc;
}

/* Where there is a file of expected pixels, says where the first difference is. */
static void compare_raw(const sa_image *image, const golden_case *c)
{
    char name[96], path[256];
    snprintf(name, sizeof name, "%s.rgb", c->name);
    golden_path(path, sizeof path, name);
    if (!sa_file_exists(path)) {
        return;
    }
    size_t size;
    unsigned char *want = golden_bytes(name, &size);
    assert_int_equal(size, image->height * image->width * 3);
    for (size_t i = 0; i < size; i++) {
        if (want[i] != image->pixels[i]) {
            fail_msg("%s: y %zu x %zu channel %zu: got %d, want %d", c->name, i / 3 / image->width,
                     i / 3 % image->width, i % 3, image->pixels[i], want[i]);
        }
    }
    free(want);
}

static void check_case(const golden_case *c, void *context)
{
    size_t *good = context, size;
    sa_error err = {0};
    sa_image image;
    char path[256];
    golden_path(path, sizeof path, c->name);
    sa_status status = sa_image_read(path, NULL, &image, &err);
    if (!c->good) {
        assert_true(status == SA_BAD_INPUT || status == SA_NO_ROOM);
        assert_null(image.pixels);
        assert_string_equal(err.file, path);
        if (!strstr(err.reason, c->word)) {
            fail_msg("%s: refused because \"%s\", which does not say \"%s\"", c->name, err.reason, c->word);
        }
        assert_true(err.hint[0] != 0 || strstr(err.reason, "no pixels"));
        return;
    }
    if (status != SA_OK) {
        fail_msg("%s: %s", c->name, err.reason);
    }
    compare_raw(&image, c);
    if (!same_picture(&image, c)) {
        fail_msg("%s: got %zux%zu %08x, want %zux%zu %08x", c->name, image.width, image.height,
                 golden_crc(&image), c->width, c->height, c->crc);
    }
    sa_image_free(&image);
    unsigned char *bytes = golden_bytes(c->name, &size);
    assert_int_equal(sa_image_decode("memory", bytes, size, NULL, &image, &err), SA_OK);
    assert_true(same_picture(&image, c));
    sa_image_free(&image);
    free(bytes);
    ++*good;
}

static void test_golden_files(void **state)
{
    (void)state;
    size_t good = 0, all = golden_each(check_case, &good);
    print_message("%zu files, %zu of them equal to Pillow's\n", all, good);
    assert_true(good > 130 && all > good + 30);
}

/* One value off by one anywhere must show. */
static void test_comparison_can_fail(void **state)
{
    (void)state;
    sa_image image;
    golden_case c = {.name = "planted"};
    assert_int_equal(sa_image_read(GOLDEN "/smooth.png", NULL, &image, NULL), SA_OK);
    c.width = image.width;
    c.height = image.height;
    c.crc = golden_crc(&image);
    assert_true(same_picture(&image, &c));
    image.pixels[image.height * image.width * 3 / 2] ^= 1;
    assert_false(same_picture(&image, &c));
    sa_image_free(&image);
}

/* -- Damage: any outcome but a crash, a leak, or an error without its parts -- */

static const sa_image_limits small_limits = {1 << 20, 4096, 1 << 20, 16 << 20};

static sa_status decode_damaged(const unsigned char *bytes, size_t size)
{
    sa_error err = {0};
    sa_image image;
    sa_status status = sa_image_decode("damaged", bytes, size, &small_limits, &image, &err);
    if (status == SA_OK) {
        assert_true(image.height > 0 && image.width > 0);
        golden_crc(&image); /* every pixel can be read */
    } else {
        assert_null(image.pixels);
        assert_int_equal(err.status, status);
        assert_string_equal(err.file, "damaged");
        assert_true(err.reason[0] != 0);
    }
    sa_image_free(&image);
    return status;
}

static bool has_suffix(const char *name, const char *suffix)
{
    return strlen(name) > strlen(suffix) && strcmp(name + strlen(name) - strlen(suffix), suffix) == 0;
}

static void truncate_case(const golden_case *c, void *context)
{
    size_t size, *runs = context;
    unsigned char *bytes = golden_bytes(c->name, &size);
    size_t step = size / 150 + 1;
    bool strict = c->good && !strstr(c->name, "junk");
    for (size_t cut = 0; cut<size; cut += size - cut> 40 ? step : 1, ++*runs) {
        unsigned char *copy = malloc(cut ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, bytes, cut);
        sa_status status = decode_damaged(copy, cut);
        if (strict && status == SA_OK) {
            fail_msg("%s: decoded from its first %zu of %zu bytes", c->name, cut, size);
        }
        free(copy);
    }
    free(bytes);
}

/* No golden file may decode from a part of itself, be it all but its last byte. */
static void test_truncated_files(void **state)
{
    (void)state;
    size_t runs = 0;
    golden_each(truncate_case, &runs);
    print_message("%zu truncations\n", runs);
    assert_true(runs > 10000);
}

static size_t flip_bytes(const char *name, unsigned step)
{
    size_t size, accepted = 0;
    unsigned char *bytes = golden_bytes(name, &size);
    for (size_t i = 0; i < size; i++) {
        for (unsigned mask = 1; mask < 256; mask += step) {
            bytes[i] ^= (unsigned char)mask;
            accepted += decode_damaged(bytes, size) == SA_OK;
            bytes[i] ^= (unsigned char)mask;
        }
    }
    free(bytes);
    return accepted;
}

static void test_flipped_bytes(void **state)
{
    (void)state;
    static const char *const others[] = {"size_2x2.jpg", "cmyk_plain.jpg",    "exif_type_rational.jpg",
                                         "bits4.bmp",    "bits32_fields.bmp", "comments.ppm",
                                         "size_1x17.jpg"};
    assert_int_equal(flip_bytes("size_9x7_adam7.png", 13),
                     0); /* every byte of a PNG is under a checksum, or fixed */
    assert_int_equal(flip_bytes("profile_packed.png", 51), 0);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        flip_bytes(others[i], 51);
    }
}

/* The checksums set right after the damage, so that it reaches what lies behind them. */
static void fix_checksums(unsigned char *png, size_t size)
{
    for (size_t at = 8; size - at >= 12 && sa_read_be32(png + at) <= size - at - 12;) {
        size_t length = sa_read_be32(png + at);
        uint32_t crc = sa_crc32(0, png + at + 4, length + 4);
        for (int i = 0; i < 4; i++) {
            png[at + 8 + length + (size_t)i] = (unsigned char)(crc >> (24 - 8 * i));
        }
        at += length + 12;
    }
}

static void flip_png_content(const char *name)
{
    size_t size;
    unsigned char *bytes = golden_bytes(name, &size), *copy = malloc(size);
    assert_non_null(copy);
    for (size_t i = 8; i < size; i++) {
        for (unsigned mask = 1; mask < 256; mask <<= 1) {
            memcpy(copy, bytes, size);
            copy[i] ^= (unsigned char)mask;
            fix_checksums(copy, size);
            decode_damaged(copy, size);
        }
    }
    free(copy);
    free(bytes);
}

static void test_flipped_png_content(void **state)
{
    (void)state;
    flip_png_content("size_9x7_adam7.png");
    flip_png_content("palette_short.png");
    flip_png_content("profile_packed.png");
    flip_png_content("xmp_packed.png");
    flip_png_content("rgba16_adam7.png");
    flip_png_content("exif_6.png");
}

/* -- Sizes and limits -- */

static void check_refused(const char *path, sa_status want, const char *word)
{
    sa_error err = {0};
    sa_image image;
    assert_int_equal(sa_image_read(path, NULL, &image, &err), want);
    assert_null(image.pixels);
    assert_string_equal(err.file, path);
    assert_non_null(strstr(err.reason, word));
}

static void test_not_a_file(void **state)
{
    (void)state;
    check_refused(GOLDEN, SA_BAD_INPUT, "directory");
    check_refused(GOLDEN "/there is no such file.png", SA_BAD_INPUT, "cannot open");
}

/* 30000x30000 is refused from the header, in any format; limits of one's own are kept to the pixel. */
static void test_limits(void **state)
{
    (void)state;
    sa_image_limits limits = sa_image_default_limits();
    size_t size;
    sa_image image;
    check_refused(GOLDEN "/huge.png", SA_NO_ROOM, "30000x30000");
    check_refused(GOLDEN "/huge.ppm", SA_NO_ROOM, "30000x30000");
    unsigned char *bytes = golden_bytes("rgb_420.jpg", &size);
    limits.max_pixels = 61 * 47;
    limits.max_side = 61;
    limits.max_memory = 61 * 47 * 3 + 1;
    limits.max_file_bytes = size;
    assert_int_equal(sa_image_decode("j", bytes, size, &limits, &image, NULL), SA_OK);
    sa_image_free(&image);
    for (int which = 0; which < 4; which++) {
        sa_image_limits less = limits;
        less.max_pixels -= which == 0;
        less.max_side -= which == 1;
        less.max_memory -= which == 2 ? 2 : 0;
        less.max_file_bytes -= which == 3;
        assert_int_equal(sa_image_decode("j", bytes, size, &less, &image, NULL), SA_NO_ROOM);
        assert_null(image.pixels);
        assert_int_equal(sa_image_read(GOLDEN "/rgb_420.jpg", &less, &image, NULL), SA_NO_ROOM);
        assert_null(image.pixels);
    }
    free(bytes);
}

/* A JPEG's header can be told to say 30000x30000 as well. */
static void test_huge_jpeg(void **state)
{
    (void)state;
    size_t size;
    sa_error err;
    sa_image image;
    unsigned char *bytes = golden_bytes("rgb_420.jpg", &size);
    for (size_t i = 0; i + 9 < size; i++) {
        if (bytes[i] == 0xff && bytes[i + 1] == 0xc0) {
            memcpy(bytes + i + 5, "\x75\x30\x75\x30", 4);
            break;
        }
    }
    assert_int_equal(sa_image_decode("j", bytes, size, NULL, &image, &err), SA_NO_ROOM);
    assert_non_null(strstr(err.reason, "30000x30000"));
    free(bytes);
}

/* A progressive JPEG whose coefficients do not fit in max_memory: a status, not libjpeg's temporary files. */
static void test_progressive_memory(void **state)
{
    (void)state;
    size_t size;
    sa_image image;
    sa_error err;
    sa_image_limits limits = sa_image_default_limits();
    unsigned char *bytes = golden_bytes("rgb_444_progressive.jpg", &size);
    limits.max_memory = 61 * 47 * 3 + 100;
    assert_int_equal(sa_image_decode("p", bytes, size, &limits, &image, &err), SA_NO_ROOM);
    assert_non_null(strstr(err.reason, "progressive"));
    free(bytes);
}

/* The last scan repeated 200 times (a scan may come again): bounded by their number. */
static void test_progressive_scans(void **state)
{
    (void)state;
    size_t size, scan = 0;
    unsigned char *bytes = golden_bytes("grey_progressive.jpg", &size);
    for (size_t i = 0; i + 1 < size; i++) {
        scan = bytes[i] == 0xff && bytes[i + 1] == 0xda ? i : scan;
    }
    size_t length = size - 2 - scan, total = scan + 200 * length + 2;
    unsigned char *many = malloc(total);
    assert_non_null(many);
    memcpy(many, bytes, scan);
    for (size_t i = 0; i < 200; i++) {
        memcpy(many + scan + i * length, bytes + scan, length);
    }
    memcpy(many + total - 2, "\xff\xd9", 2);
    sa_error err;
    sa_image image;
    assert_int_equal(sa_image_decode("scans", many, total, NULL, &image, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "scans"));
    free(many);
    free(bytes);
}

/* Writes and reads back a picture of 8192x8192; `tolerance` per value. */
static void check_large(bool jpeg)
{
    const size_t side = 8192;
    sa_image image, again;
    unsigned char *bytes;
    size_t size;
    int worst = 0;
    assert_int_equal(sa_image_new(side, side, &image, NULL), SA_OK);
    for (size_t i = 0; i < side * side * 3; i++) {
        image.pixels[i] = (uint8_t)(i / 3 % side / 32 + i / 3 / side / 64);
    }
    sa_status status = jpeg ? sa_image_encode_jpeg(&image, 90, &bytes, &size, NULL)
                            : sa_image_encode_png(&image, &bytes, &size, NULL);
    assert_int_equal(status, SA_OK);
    assert_int_equal(sa_image_decode("large", bytes, size, NULL, &again, NULL), SA_OK);
    assert_int_equal(again.height, side);
    assert_int_equal(again.width, side);
    for (size_t i = 0; i < side * side * 3; i++) {
        int off = abs((int8_t)(uint8_t)(image.pixels[i] - again.pixels[i]));
        worst = off > worst ? off : worst;
    }
    assert_true(worst <= (jpeg ? 8 : 0));
    sa_image_free(&image);
    sa_image_free(&again);
    free(bytes);
}

static void test_large_jpeg(void **state)
{
    (void)state;
    check_large(true);
}

static void test_large_png(void **state)
{
    (void)state;
    check_large(false);
}

/*
 * Fixed-code deflate of zeros: one literal, then matches of 258 at distance 1, each 13 bits of which 8 are
 * code 285.
 */
static size_t put_zeros(uint8_t *out, size_t matches)
{
    size_t bit = 16;
    memcpy(out, "\x78\x9c", 2);
    /*
     * last block, fixed code; literal 0 is 00110000, 285 is 11000101, distance 1 is 00000, highest bit first
     */
    static const char start[] = "110"
                                "00110000",
                      match[] = "11000101"
                                "00000",
                      end[] = "0000000";
    for (size_t i = 0; i < matches + 2; i++) {
        for (const char *c = i == 0 ? start : i <= matches ? match : end; *c; c++, bit++) {
            out[bit / 8] |= (uint8_t)((*c - '0') << bit % 8);
        }
    }
    return bit / 8 + 1 + 4;
}

static sa_status decode_zeros(size_t matches, size_t max_memory, sa_error *err)
{
    size_t room = matches * 2 + 100, size;
    unsigned char *png = golden_bytes("size_3x2_adam7.png", &size), *bomb = calloc(1, room + 57);
    assert_non_null(bomb);
    size_t packed = put_zeros(bomb + 41, matches);
    unsigned char frame[8] = {(unsigned char)(packed >> 24),
                              (unsigned char)(packed >> 16),
                              (unsigned char)(packed >> 8),
                              (unsigned char)packed,
                              'I',
                              'D',
                              'A',
                              'T'};
    memcpy(bomb, png, 33);
    memcpy(bomb + 33, frame, 8);
    memcpy(bomb + 45 + packed, png + size - 12, 12);
    fix_checksums(bomb, 57 + packed);
    sa_image_limits limits = {
        .max_pixels = 6, .max_side = 3, .max_file_bytes = 1 << 24, .max_memory = max_memory};
    sa_image image;
    sa_status status = sa_image_decode("bomb", bomb, 57 + packed, &limits, &image, err);
    sa_image_free(&image);
    free(bomb);
    free(png);
    return status;
}

/*
 * A PNG whose data unpack to 64 MiB where its header calls for some bytes: refused, by what it is or for its
 * memory.
 */
static void test_png_bomb(void **state)
{
    (void)state;
    sa_error err;
    assert_int_equal(decode_zeros(0, 1 << 30, &err), SA_BAD_INPUT); /* one byte: too few */
    assert_int_equal(decode_zeros(1, 1 << 16, &err), SA_OK);
    assert_int_equal(decode_zeros((64 << 20) / 258, 1 << 30, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "compressed"));
    assert_int_equal(decode_zeros(1, 64, &err), SA_NO_ROOM);
}

/* Errors never quote the file. */
static void test_names_are_safe(void **state)
{
    (void)state;
    sa_error err;
    sa_image image;
    assert_int_equal(sa_image_decode("a\x1b[31m.png", "\x1b]0;x\x07", 6, NULL, &image, &err), SA_BAD_INPUT);
    assert_string_equal(err.file, "a?[31m.png");
    assert_null(strchr(err.reason, 0x1b));
    assert_true(has_suffix(err.file, ".png"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_files),
        cmocka_unit_test(test_comparison_can_fail),
        cmocka_unit_test(test_truncated_files),
        cmocka_unit_test(test_flipped_bytes),
        cmocka_unit_test(test_flipped_png_content),
        cmocka_unit_test(test_not_a_file),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_huge_jpeg),
        cmocka_unit_test(test_progressive_memory),
        cmocka_unit_test(test_progressive_scans),
        cmocka_unit_test(test_large_jpeg),
        cmocka_unit_test(test_large_png),
        cmocka_unit_test(test_png_bomb),
        cmocka_unit_test(test_names_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
