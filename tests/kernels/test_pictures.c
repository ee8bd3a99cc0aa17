/* image_resize, image_place, overlay, mask_threshold, mask_hash against their references, byte for byte. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/image/image.h"
#include "runtime/image/mask.h"
#include "runtime/image/resize.h"
#include "tests/kernels/fixture.h"
#include "tests/ref/ref_image.h"
#include "tests/ref/ref_ops.h"

enum { SEED = 20240607 };

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

/* Bytes at `shift` from an aligned address, in a block of exactly their size. */
typedef struct {
    uint8_t *block, *bytes;
} placed;

static placed placed_new(size_t count, size_t shift)
{
    uint8_t *block = malloc(count + shift + 1);
    assert_non_null(block);
    return (placed){block, block + shift};
}

static placed noise_new(size_t count, size_t shift, uint64_t seed, bool extreme)
{
    placed p = placed_new(count, shift);
    for (size_t i = 0; i < count; i++) {
        size_t value = pick(seed, i, 256);
        p.bytes[i] = (uint8_t)(!extreme ? value : value < 128 ? 0 : 255);
    }
    return p;
}

/* Says where the first difference is. */
static bool bytes_equal(const uint8_t *got, const uint8_t *want, size_t count, size_t width, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (got[i] != want[i]) {
            print_error("%s: row %zu, pixel %zu, channel %zu: %d, not %d; seed %d\n", name, i / 3 / width,
                        i / 3 % width, i % 3, got[i], want[i], SEED);
            return false;
        }
    }
    return true;
}

/* ---- image_resize ---- */

typedef struct {
    size_t in_height, in_width, out_height, out_width, shift;
    sa_resize_filter filter;
    bool extreme; /* 0 and 255 alone: bicubic overshoots and must be clipped */
} resize_case;

static int32_t *window_table_new(sa_resize_filter filter, size_t in, size_t out, size_t first, size_t count,
                                 sa_resize_axis *axis)
{
    axis->taps = sa_resize_u8_taps(filter, in, out);
    int32_t *table = malloc(count * (2 + axis->taps) * sizeof *table);
    assert_non_null(table);
    sa_resize_u8_table(filter, in, out, first, count, table);
    axis->table = table;
    return table;
}

static int32_t *table_new(sa_resize_filter filter, size_t in, size_t out, sa_resize_axis *axis)
{
    return in == out ? NULL : window_table_new(filter, in, out, 0, out, axis);
}

static void want_resized(const resize_case *c, const uint8_t *in, uint8_t *want)
{
    sa_resize_u8_args args = {.in = in,
                              .in_height = c->in_height,
                              .in_width = c->in_width,
                              .in_stride = c->in_width * 3,
                              .out = want,
                              .out_height = c->out_height,
                              .out_width = c->out_width,
                              .out_stride = c->out_width * 3,
                              .channels = 3,
                              .filter = c->filter};
    ref_resize_u8(&args);
}

static check_buffer run_image_resize(const test_level *level, sa_image_resize_args args, size_t shift)
{
    check_buffer out = check_buffer_new(args.out_height * args.out_width * 3 + shift);
    check_buffer work = check_buffer_new(level->ops->image_resize_workspace(level->stream, &args));
    args.y = out.bytes + shift;
    args.workspace = work.bytes;
    level->ops->image_resize(level->stream, &args);
    check_buffer_free(&work);
    for (size_t i = 0; i < shift; i++) {
        assert_int_equal(out.bytes[i], 0xEE);
    }
    return out;
}

static void check_image_resize(const test_levels *levels, resize_case c, bool planted)
{
    size_t out_bytes = c.out_height * c.out_width * 3;
    placed in = noise_new(c.in_height * c.in_width * 3, c.shift, SEED, c.extreme);
    uint8_t *want = malloc(out_bytes);
    sa_image_resize_args args = {.in_height = c.in_height,
                                 .in_width = c.in_width,
                                 .out_height = c.out_height,
                                 .out_width = c.out_width,
                                 .x = in.bytes};
    int32_t *across = table_new(c.filter, c.in_width, c.out_width, &args.across);
    int32_t *down = table_new(c.filter, c.in_height, c.out_height, &args.down);
    want_resized(&c, in.bytes, want);
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer out = run_image_resize(&levels->level[l], args, c.shift);
        assert_true(bytes_equal(out.bytes + c.shift, want, out_bytes, c.out_width,
                                label(&levels->level[l], "image_resize %zux%zu -> %zux%zu, %s", c.in_height,
                                      c.in_width, c.out_height, c.out_width,
                                      c.filter == SA_RESIZE_BICUBIC ? "bicubic" : "bilinear")));
        check_buffer_free(&out);
    }
    if (planted) { /* one weight of the last row of pixels, a hundredth too large */
        down[(c.out_height - 1) * (2 + args.down.taps) + 2] += 1 << 15;
        check_buffer out = run_image_resize(&levels->level[0], args, c.shift);
        assert_false(bytes_equal(out.bytes + c.shift, want, out_bytes, c.out_width,
                                 "(expected) planted fault, image_resize"));
        check_buffer_free(&out);
    }
    free(across);
    free(down);
    free(want);
    free(in.block);
}

static void test_image_resize(void **state)
{
    static const size_t shapes[][4] = {
        {1, 1, 1, 1},      {1, 1, 9, 13},    {9, 13, 1, 1},    {1, 50, 7, 50},   {50, 1, 7, 1},
        {2, 3, 64, 65},    {63, 64, 65, 63}, {17, 17, 17, 17}, {16, 32, 16, 32}, {17, 31, 17, 13},
        {17, 31, 13, 31},  {101, 103, 7, 5}, {300, 3, 20, 40}, {3, 300, 40, 20}, {5, 1100, 3, 300},
        {33, 97, 31, 260}, {40, 96, 24, 64}, {9, 700, 4, 513}, {2, 3000, 2, 7},  {37, 5000, 9, 1000},
    };
    for (size_t i = 0; i < COUNT(shapes); i++) {
        for (size_t k = 0; k < 4; k++) {
            resize_case c = {shapes[i][0],    shapes[i][1],
                             shapes[i][2],    shapes[i][3],
                             (i + k) * k % 5, k % 2 == 0 ? SA_RESIZE_BILINEAR : SA_RESIZE_BICUBIC,
                             k >= 2};
            check_image_resize(*state, c, false);
        }
    }
}

static void test_image_resize_planted_fault(void **state)
{
    check_image_resize(
        *state, (resize_case){.in_height = 40, .in_width = 50, .out_height = 30, .out_width = 20}, true);
}

/* The op's table gives what the host's resize gives. */
static void test_image_resize_is_the_hosts(void **state)
{
    const test_level *level = &((const test_levels *)*state)->level[0];
    resize_case c = {.in_height = 150, .in_width = 211, .out_height = 91, .out_width = 128};
    placed in = noise_new(c.in_height * c.in_width * 3, 0, SEED + 1, false);
    check_buffer host = check_buffer_new(c.out_height * c.out_width * 3);
    sa_resize_u8_args args = {.in = in.bytes,
                              .in_height = c.in_height,
                              .in_width = c.in_width,
                              .in_stride = c.in_width * 3,
                              .out = host.bytes,
                              .out_height = c.out_height,
                              .out_width = c.out_width,
                              .out_stride = c.out_width * 3,
                              .channels = 3};
    assert_int_equal(sa_resize_u8(&args, NULL, NULL), SA_OK);
    sa_image_resize_args op = {.in_height = c.in_height,
                               .in_width = c.in_width,
                               .out_height = c.out_height,
                               .out_width = c.out_width,
                               .x = in.bytes};
    int32_t *across = table_new(c.filter, c.in_width, c.out_width, &op.across);
    int32_t *down = table_new(c.filter, c.in_height, c.out_height, &op.down);
    check_buffer out = run_image_resize(level, op, 0);
    assert_memory_equal(out.bytes, host.bytes, host.size);
    check_buffer_free(&out);
    check_buffer_free(&host);
    free(across);
    free(down);
    free(in.block);
}

/* A window of a larger whole, as the host cuts it; axes that only cut, and that only keep, among them. */
static void test_image_resize_window(void **state)
{
    const test_level *level = &((const test_levels *)*state)->level[0];
    /* in, whole, first, count: down, then across */
    static const size_t cases[][8] = {{40, 30, 3, 20, 50, 70, 9, 31},   {40, 40, 5, 30, 50, 70, 0, 70},
                                      {40, 30, 0, 30, 50, 50, 7, 36},   {40, 40, 1, 39, 50, 50, 2, 32},
                                      {40, 60, 10, 40, 50, 80, 15, 50}, {40, 40, 0, 40, 50, 50, 0, 50}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        const size_t *d = cases[i], *a = cases[i] + 4;
        placed in = noise_new(d[0] * a[0] * 3, 0, SEED + 6, false);
        check_buffer host = check_buffer_new(d[3] * a[3] * 3);
        sa_resize_u8_args args = {.in = in.bytes,
                                  .in_height = d[0],
                                  .in_width = a[0],
                                  .in_stride = a[0] * 3,
                                  .out = host.bytes,
                                  .out_height = d[3],
                                  .out_width = a[3],
                                  .out_stride = a[3] * 3,
                                  .channels = 3,
                                  .filter = SA_RESIZE_BICUBIC,
                                  .whole_height = d[1],
                                  .whole_width = a[1],
                                  .top = d[2],
                                  .left = a[2]};
        assert_int_equal(sa_resize_u8(&args, NULL, NULL), SA_OK);
        sa_image_resize_args op = {
            .in_height = d[0], .in_width = a[0], .out_height = d[3], .out_width = a[3], .x = in.bytes};
        int32_t *across = window_table_new(SA_RESIZE_BICUBIC, a[0], a[1], a[2], a[3], &op.across);
        int32_t *down = window_table_new(SA_RESIZE_BICUBIC, d[0], d[1], d[2], d[3], &op.down);
        check_buffer out = run_image_resize(level, op, 0);
        assert_true(bytes_equal(out.bytes, host.bytes, host.size, a[3], label(level, "window %zu", i)));
        check_buffer_free(&out);
        check_buffer_free(&host);
        free(across);
        free(down);
        free(in.block);
    }
}

/* ---- masks ---- */

static const size_t mask_shapes_here[][2] = {{1, 1},   {1, 63},  {3, 64},   {5, 65},   {7, 127},  {2, 256},
                                             {4, 257}, {9, 300}, {1, 1000}, {130, 31}, {33, 128}, {6, 2}};

/* Normals, with the threshold itself, its neighbours, infinities and NaN among them. */
static float *logits_new(size_t count, float threshold)
{
    float *logits = normal_new(count, 1.0f, SEED + 2);
    const float special[] = {
        threshold, nextafterf(threshold, 9.0f), nextafterf(threshold, -9.0f), NAN, INFINITY, -INFINITY,
        -0.0f};
    for (size_t i = 0; i < count; i += 3) {
        logits[i] = special[pick(SEED, i, COUNT(special))];
    }
    return logits;
}

static bool mask_equal(const uint64_t *bits, const uint8_t *want, size_t height, size_t width,
                       const char *name)
{
    size_t words = (width + 63) / 64;
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < words * 64; x++) {
            bool got = (bits[y * words + x / 64] >> (x % 64) & 1) != 0;
            if (got != (x < width && want[y * width + x] != 0)) {
                print_error("%s: [%zu of %zu, %zu of %zu]: bit %d; seed %d\n", name, y, height, x, width,
                            (int)got, SEED);
                return false;
            }
        }
    }
    return true;
}

static void test_mask_threshold(void **state)
{
    const test_levels *levels = *state;
    for (size_t i = 0; i < COUNT(mask_shapes_here); i++) {
        size_t height = mask_shapes_here[i][0], width = mask_shapes_here[i][1];
        sa_mask_threshold_args args = {
            .height = height, .width = width, .threshold = i % 2 == 0 ? 0.0f : 0.3f};
        float *logits = logits_new(height * width, args.threshold);
        uint8_t *want = malloc(height * width);
        args.logits = logits;
        ref_mask_threshold(&args, want);
        for (size_t l = 0; l < levels->count; l++) {
            check_buffer out = check_buffer_new(height * ((width + 63) / 64) * 8);
            args.bits = (uint64_t *)(void *)out.bytes;
            levels->level[l].ops->mask_threshold(levels->level[l].stream, &args);
            const char *name = label(&levels->level[l], "mask_threshold");
            assert_true(mask_equal(args.bits, want, height, width, name));
            check_buffer_free(&out);
        }
        free(logits);
        free(want);
    }
}

/* The comparison sees one wrong bit, inside the mask and past its width. */
static void test_mask_threshold_planted_fault(void **state)
{
    const test_level *level = &((const test_levels *)*state)->level[0];
    float logits[2 * 65] = {[64] = 1.0f};
    uint8_t want[2 * 65] = {[64] = 1};
    sa_mask_threshold_args args = {.height = 2, .width = 65, .logits = logits};
    check_buffer out = check_buffer_new(2 * 2 * 8);
    args.bits = (uint64_t *)(void *)out.bytes;
    level->ops->mask_threshold(level->stream, &args);
    assert_true(mask_equal(args.bits, want, 2, 65, "mask_threshold"));
    for (unsigned bit = 0; bit < 2; bit++) {
        args.bits[3] ^= (uint64_t)1 << bit;
        assert_false(mask_equal(args.bits, want, 2, 65, "(expected) planted fault, mask_threshold"));
        args.bits[3] ^= (uint64_t)1 << bit;
    }
    check_buffer_free(&out);
}

/* Noise of whole words: about half the pixels; none past the width. `kind` 1 is empty, 2 is full. */
static uint64_t *mask_new(size_t height, size_t width, size_t kind)
{
    size_t words = (width + 63) / 64;
    uint64_t *bits = calloc(height * words, sizeof *bits);
    assert_non_null(bits);
    for (size_t i = 0; i < height * words && kind != 1; i++) {
        sa_philox noise = sa_philox_block(SEED + 3, i, 0);
        size_t left = width - i % words * 64;
        bits[i] = kind == 2 ? UINT64_MAX : (uint64_t)noise.word[0] << 32 | noise.word[1];
        bits[i] &= left < 64 ? ((uint64_t)1 << left) - 1 : UINT64_MAX;
    }
    return bits;
}

/* ---- mask_hash ---- */

static uint64_t run_mask_hash(const test_level *level, sa_mask_hash_args args)
{
    check_buffer out = check_buffer_new(sizeof(uint64_t));
    check_buffer work = check_buffer_new(level->ops->mask_hash_workspace(level->stream, &args));
    args.hash = (uint64_t *)(void *)out.bytes;
    args.workspace = work.bytes;
    level->ops->mask_hash(level->stream, &args);
    uint64_t hash = args.hash[0];
    check_buffer_free(&work);
    check_buffer_free(&out);
    return hash;
}

static bool hash_equal(uint64_t got, uint64_t want, const char *name)
{
    if (got != want) {
        print_error("%s: 0x%016llx, not 0x%016llx; seed %d\n", name, (unsigned long long)got,
                    (unsigned long long)want, SEED);
    }
    return got == want;
}

static void check_mask_hash(const test_levels *levels, size_t height, size_t width, size_t kind)
{
    uint64_t *bits = mask_new(height, width, kind);
    sa_mask_hash_args args = {.height = height, .width = width, .bits = bits};
    uint64_t want = ref_mask_hash(&args);
    for (size_t l = 0; l < levels->count; l++) {
        const char *name = label(&levels->level[l], "mask_hash %zux%zu, kind %zu", height, width, kind);
        assert_true(hash_equal(run_mask_hash(&levels->level[l], args), want, name));
    }
    sa_mask mask = {.height = height, .width = width, .stride_words = (width + 63) / 64, .bits = bits};
    assert_true(hash_equal(sa_mask_hash(&mask), want, "sa_mask_hash"));
    free(bits);
}

static void test_mask_hash(void **state)
{
    static const size_t shapes[][2] = {{64, 64},    {65, 3},    {3, 65},    {683, 1024},
                                       {1024, 683}, {1023, 64}, {1025, 64}, {4096, 65}};
    for (size_t kind = 0; kind < 3; kind++) {
        for (size_t i = 0; i < COUNT(mask_shapes_here); i++) {
            check_mask_hash(*state, mask_shapes_here[i][0], mask_shapes_here[i][1], kind);
        }
        for (size_t i = 0; i < COUNT(shapes); i++) {
            check_mask_hash(*state, shapes[i][0], shapes[i][1], kind);
        }
    }
    check_mask_hash(*state, 1025, 65536, 0); /* more words than all blocks of a launch take at once */
}

/* One pixel, two words that changed places, another size of the same words: all are seen. */
static void test_mask_hash_planted_fault(void **state)
{
    const test_level *level = &((const test_levels *)*state)->level[0];
    uint64_t *bits = mask_new(130, 64, 0);
    sa_mask_hash_args args = {.height = 130, .width = 64, .bits = bits};
    uint64_t want = ref_mask_hash(&args), first = bits[0];
    assert_true(hash_equal(run_mask_hash(level, args), want, "mask_hash"));
    bits[129] ^= (uint64_t)1 << 63;
    assert_false(hash_equal(run_mask_hash(level, args), want, "(expected) planted fault, mask_hash: pixel"));
    bits[129] ^= (uint64_t)1 << 63;
    bits[0] = bits[64];
    bits[64] = first;
    assert_false(hash_equal(run_mask_hash(level, args), want, "(expected) planted fault, mask_hash: order"));
    bits[64] = bits[0];
    bits[0] = first;
    args.height = 65;
    args.width = 128;
    assert_false(hash_equal(run_mask_hash(level, args), want, "(expected) planted fault, mask_hash: size"));
    free(bits);
}

/* ---- overlay ---- */

static void check_overlay(const test_levels *levels, size_t height, size_t width, size_t variant,
                          bool planted)
{
    sa_image_paint paint = sa_image_default_paint();
    if (variant % 2 == 1) {
        paint = (sa_image_paint){.color = {200, 3, 255}, .alpha = 0.25, .rounding = SA_IMAGE_NEAREST};
    }
    uint8_t table[3][256];
    sa_image_paint_table(&paint, table);
    size_t bytes = height * width * 3, shift = variant * 5 % 7;
    bool alias = variant >= 4;
    placed in = noise_new(bytes, shift, SEED + 4, false);
    uint64_t *bits = mask_new(height, width, variant % 3);
    uint8_t *want = malloc(bytes);
    sa_overlay_args args = {
        .height = height, .width = width, .pixels = in.bytes, .bits = bits, .table = table};
    ref_overlay(&args, paint.color, paint.alpha, paint.rounding == SA_IMAGE_NEAREST, want);
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer out = check_buffer_new(bytes + shift);
        args.y = out.bytes + shift;
        args.pixels = alias ? memcpy(args.y, in.bytes, bytes) : in.bytes;
        levels->level[l].ops->overlay(levels->level[l].stream, &args);
        const char *name = label(&levels->level[l], "overlay %zux%zu, variant %zu", height, width, variant);
        assert_true(bytes_equal(args.y, want, bytes, width, name));
        if (planted && l == 0) { /* painted with the other colour */
            paint = sa_image_default_paint();
            ref_overlay(&args, paint.color, paint.alpha, false, want);
            assert_false(bytes_equal(args.y, want, bytes, width, "(expected) planted fault, overlay"));
        }
        check_buffer_free(&out);
        if (planted) {
            break;
        }
    }
    free(in.block);
    free(bits);
    free(want);
}

static void test_overlay(void **state)
{
    for (size_t i = 0; i < COUNT(mask_shapes_here); i++) {
        for (size_t variant = 0; variant < 8; variant++) {
            check_overlay(*state, mask_shapes_here[i][0], mask_shapes_here[i][1], variant, false);
        }
    }
}

static void test_overlay_planted_fault(void **state)
{
    check_overlay(*state, 5, 70, 3, true);
}

/* ---- image_place ---- */

static void check_image_place(const test_levels *levels, const size_t size[6], bool planted)
{
    size_t bytes = size[2] * size[3] * 3;
    placed in = noise_new(size[0] * size[1] * 3, size[4] % 3, SEED + 5, false);
    uint8_t *want = malloc(bytes);
    sa_image_place_args args = {.height = size[0],
                                .width = size[1],
                                .canvas_height = size[2],
                                .canvas_width = size[3],
                                .top = size[4],
                                .left = size[5],
                                .pixels = in.bytes,
                                .color = {122, 116, 104}};
    ref_image_place(&args, want);
    for (size_t l = 0; l < (planted ? 1 : levels->count); l++) {
        check_buffer out = check_buffer_new(bytes);
        args.y = out.bytes;
        levels->level[l].ops->image_place(levels->level[l].stream, &args);
        const char *name =
            label(&levels->level[l], "image_place %zux%zu on %zux%zu", size[0], size[1], size[2], size[3]);
        assert_true(bytes_equal(args.y, want, bytes, size[3], name));
        if (planted) { /* one column further */
            args.left++;
            ref_image_place(&args, want);
            assert_false(bytes_equal(args.y, want, bytes, size[3], "(expected) planted fault, image_place"));
        }
        check_buffer_free(&out);
    }
    free(in.block);
    free(want);
}

static void test_image_place(void **state)
{
    /* the picture's height and width, the canvas's, top, left */
    static const size_t sizes[][6] = {
        {1, 1, 1, 1, 0, 0},     {5, 7, 7, 7, 1, 0},        {9, 4, 9, 9, 0, 2},
        {9, 4, 9, 9, 0, 5},     {3, 100, 100, 100, 97, 0}, {64, 21, 64, 64, 0, 21},
        {30, 30, 30, 30, 0, 0}, {7, 5, 70, 33, 11, 28},    {1, 1, 90, 1, 89, 0}};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        check_image_place(*state, sizes[i], false);
    }
}

static void test_image_place_planted_fault(void **state)
{
    check_image_place(*state, (const size_t[]){9, 4, 9, 9, 0, 2}, true);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_resize),
        cmocka_unit_test(test_image_resize_planted_fault),
        cmocka_unit_test(test_image_resize_is_the_hosts),
        cmocka_unit_test(test_image_resize_window),
        cmocka_unit_test(test_mask_threshold),
        cmocka_unit_test(test_mask_threshold_planted_fault),
        cmocka_unit_test(test_mask_hash),
        cmocka_unit_test(test_mask_hash_planted_fault),
        cmocka_unit_test(test_overlay),
        cmocka_unit_test(test_overlay_planted_fault),
        cmocka_unit_test(test_image_place),
        cmocka_unit_test(test_image_place_planted_fault),
    };
    return cmocka_run_group_tests(tests, levels_setup, levels_teardown);
}
