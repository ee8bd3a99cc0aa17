/*
 * runtime/image/resize.h: Pillow's and torch's answers (tests/golden/masks), and plain loops on hostile
 * shapes.
 */
#include "tests/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/image/resize.h"
#include "tests/image/golden_masks.h"
#include "tests/ref/ref_image.h"

static const char *const filter_names[2] = {"bilinear", "bicubic"};

static sa_resize_filter filter_of(const json_t *object)
{
    bool cubic = strcmp(golden_text(object, "filter"), filter_names[SA_RESIZE_BICUBIC]) == 0;
    return cubic ? SA_RESIZE_BICUBIC : SA_RESIZE_BILINEAR;
}

/* ---- 8 bits ---- */

static void fill_noise(uint8_t *bytes, size_t count, uint64_t seed, bool extreme)
{
    sa_philox block = {0};
    for (size_t i = 0; i < count; i++) {
        block = i % 16 == 0 ? sa_philox_block(seed, i / 16, 1) : block;
        uint8_t value = (uint8_t)(block.word[i / 4 % 4] >> i % 4 * 8);
        bytes[i] = extreme ? (value < 128 ? 0 : 255) : value;
    }
}

typedef struct {
    size_t in_height, in_width, out_height, out_width, channels, in_gap, out_gap;
    sa_resize_filter filter;
    bool extreme; /* 0 and 255 only: bicubic overshoots and must be clipped */
} byte_case;

/*
 * Runs both and compares; the gaps between rows of the output must stay as they were. `spoil` plants a fault.
 */
static bool bytes_agree(const byte_case *c, sa_pool *pool, bool spoil)
{
    size_t in_stride = c->in_width * c->channels + c->in_gap, row = c->out_width * c->channels;
    size_t out_stride = row + c->out_gap;
    /* The last row has no gap behind it: reading or writing there is a fault. */
    check_buffer in = check_buffer_new(in_stride * c->in_height - c->in_gap);
    check_buffer got = check_buffer_new(out_stride * c->out_height - c->out_gap);
    check_buffer want = check_buffer_new(got.size);
    fill_noise(in.bytes, in.size, c->in_height * 1000 + c->in_width, c->extreme);
    sa_resize_u8_args args = {.in = in.bytes,
                              .in_height = c->in_height,
                              .in_width = c->in_width,
                              .in_stride = in_stride,
                              .out = got.bytes,
                              .out_height = c->out_height,
                              .out_width = c->out_width,
                              .out_stride = out_stride,
                              .channels = c->channels,
                              .filter = c->filter};
    size_t bytes;
    assert_int_equal(sa_resize_u8_workspace(&args, &bytes, NULL), SA_OK);
    check_buffer workspace = check_buffer_new(bytes);
    sa_resize_u8_run(&args, workspace.bytes, pool);
    args.out = want.bytes;
    ref_resize_u8(&args);
    want.bytes[want.size - 1] ^= spoil;
    bool good = memcmp(got.bytes, want.bytes, got.size) == 0;
    check_buffer_free(&workspace);
    check_buffer_free(&in);
    check_buffer_free(&got);
    check_buffer_free(&want);
    return good;
}

static void run_byte_case(byte_case c, sa_pool *pool)
{
    if (!bytes_agree(&c, pool, false) || bytes_agree(&c, pool, true)) {
        fail_msg("%zu x %zu -> %zu x %zu, %zu channels, %s", c.in_height, c.in_width, c.out_height,
                 c.out_width, c.channels, filter_names[c.filter]);
    }
}

static void bytes_on_hostile_shapes(void **state)
{
    (void)state;
    const size_t shapes[][4] = {
        {1, 1, 1, 1},     {1, 1, 9, 13},    {9, 13, 1, 1},    {1, 50, 1, 7},    {50, 1, 7, 1},
        {1, 50, 7, 50},   {50, 1, 50, 7},   {2, 3, 64, 65},   {3, 2, 65, 63},   {63, 64, 65, 63},
        {17, 17, 17, 17}, {17, 31, 17, 13}, {17, 31, 13, 31}, {101, 103, 7, 5}, {7, 5, 101, 103},
        {300, 3, 20, 40}, {3, 300, 40, 20}, {97, 4, 33, 5},   {5, 11, 6, 12},   {37, 200, 36, 199},
    };
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        for (size_t k = 0; k < 16; k++) {
            run_byte_case((byte_case){.in_height = shapes[s][0],
                                      .in_width = shapes[s][1],
                                      .out_height = shapes[s][2],
                                      .out_width = shapes[s][3],
                                      .channels = 1 + k % 4,
                                      .in_gap = k * 3 % 8,
                                      .out_gap = k * 5 % 8,
                                      .filter = k / 4 % 2 ? SA_RESIZE_BICUBIC : SA_RESIZE_BILINEAR,
                                      .extreme = k / 8 % 2},
                          NULL);
        }
    }
}

static void bytes_of_random_sizes(void **state)
{
    (void)state;
    for (uint64_t k = 0; k < 150; k++) {
        sa_philox r = sa_philox_block(31, k, 0), q = sa_philox_block(31, k, 1);
        run_byte_case((byte_case){.in_height = 1 + r.word[0] % 150,
                                  .in_width = 1 + r.word[1] % 150,
                                  .out_height = 1 + r.word[2] % 150,
                                  .out_width = 1 + r.word[3] % 150,
                                  .channels = 1 + q.word[0] % 4,
                                  .filter = q.word[1] % 2 ? SA_RESIZE_BICUBIC : SA_RESIZE_BILINEAR,
                                  .extreme = q.word[2] % 2},
                      NULL);
    }
}

/* A window holds what the whole would hold there. `spoil` plants a fault. */
static bool window_agrees(sa_resize_u8_args *args, bool spoil)
{
    size_t channels = args->channels, row = args->out_width * channels, bytes;
    size_t whole_row = args->whole_width * channels;
    check_buffer whole = check_buffer_new(args->whole_height * whole_row);
    check_buffer got = check_buffer_new(args->out_height * row);
    args->out = got.bytes;
    args->out_stride = row;
    assert_int_equal(sa_resize_u8_workspace(args, &bytes, NULL), SA_OK);
    check_buffer workspace = check_buffer_new(bytes);
    sa_resize_u8_run(args, workspace.bytes, NULL);
    sa_resize_u8_args all = *args;
    all.out = whole.bytes;
    all.out_height = args->whole_height;
    all.out_width = args->whole_width;
    all.out_stride = whole_row;
    ref_resize_u8(&all);
    whole.bytes[args->top * whole_row + args->left * channels] ^= spoil;
    bool good = true;
    for (size_t y = 0; y < args->out_height; y++) {
        const uint8_t *want = whole.bytes + (args->top + y) * whole_row + args->left * channels;
        good = good && memcmp(got.bytes + y * row, want, row) == 0;
    }
    check_buffer_free(&workspace);
    check_buffer_free(&got);
    check_buffer_free(&whole);
    return good;
}

/* Every third time a direction keeps its size and is only cut. */
static void windows_of_a_whole(void **state)
{
    (void)state;
    for (uint64_t k = 0; k < 150; k++) {
        sa_philox r = sa_philox_block(33, k, 0), q = sa_philox_block(33, k, 1), s = sa_philox_block(33, k, 2);
        sa_resize_u8_args args = {.in_height = 1 + r.word[0] % 90, .in_width = 1 + r.word[1] % 90};
        args.whole_height = s.word[2] % 3 == 0 ? args.in_height : 1 + r.word[2] % 90;
        args.whole_width = s.word[3] % 3 == 0 ? args.in_width : 1 + r.word[3] % 90;
        args.top = q.word[0] % args.whole_height;
        args.left = q.word[1] % args.whole_width;
        args.out_height = 1 + q.word[2] % (args.whole_height - args.top);
        args.out_width = 1 + q.word[3] % (args.whole_width - args.left);
        args.channels = 1 + s.word[0] % 4;
        args.filter = s.word[1] % 2 ? SA_RESIZE_BICUBIC : SA_RESIZE_BILINEAR;
        args.in_stride = args.in_width * args.channels;
        check_buffer in = check_buffer_new(args.in_height * args.in_stride);
        fill_noise(in.bytes, in.size, k, false);
        args.in = in.bytes;
        if (!window_agrees(&args, false) || window_agrees(&args, true)) {
            fail_msg("%zu x %zu -> %zu x %zu, window of %zu x %zu at %zu, %zu", args.in_height, args.in_width,
                     args.whole_height, args.whole_width, args.out_height, args.out_width, args.top,
                     args.left);
        }
        check_buffer_free(&in);
    }
}

/* A photograph of 8k x 8k for a model, and a mask of it on the way back. */
static __attribute__((unused)) void bytes_of_large_images(void **state)
{
    (void)state;
    byte_case down = {8191, 8192, 1023, 1024, 1, 0, 0, SA_RESIZE_BILINEAR, false};
    byte_case up = {257, 255, 8192, 8191, 1, 0, 0, SA_RESIZE_BICUBIC, true};
    assert_true(bytes_agree(&down, NULL, false));
    assert_true(bytes_agree(&up, NULL, false));
}

static void bytes_with_threads(void **state)
{
    (void)state;
    for (int threads = 2; threads <= 5; threads++) {
        sa_pool *pool;
        assert_int_equal(sa_pool_open(&pool, threads, NULL), SA_OK);
        run_byte_case((byte_case){201, 203, 87, 301, 3, 1, 2, SA_RESIZE_BICUBIC, true}, pool);
        run_byte_case((byte_case){201, 2, 87, 301, 3, 1, 2, SA_RESIZE_BILINEAR, false}, pool);
        sa_pool_close(pool);
    }
}

/* A flat image stays flat whatever the weights' rounding: sums of weights may miss 2^22 by a little. */
static void flat_images_stay_flat(void **state)
{
    (void)state;
    const size_t sides[] = {1, 2, 3, 7, 31, 64, 100, 333, 1000};
    uint8_t *in = malloc(1000), *out = malloc(1000);
    memset(in, 255, 1000);
    for (size_t i = 0; i < 9 * 9 * 2; i++) {
        size_t from = sides[i % 9], to = sides[i / 9 % 9];
        sa_resize_u8_args args = {.in = in,
                                  .in_height = from,
                                  .in_width = 1,
                                  .in_stride = 1,
                                  .out = out,
                                  .out_height = to,
                                  .out_width = 1,
                                  .out_stride = 1,
                                  .channels = 1,
                                  .filter = i / 81 ? SA_RESIZE_BICUBIC : SA_RESIZE_BILINEAR};
        assert_int_equal(sa_resize_u8(&args, NULL, NULL), SA_OK);
        for (size_t k = 0; k < to; k++) {
            assert_int_equal(out[k], 255);
        }
    }
    free(in);
    free(out);
}

static void line_is(sa_resize_filter filter, size_t count, const uint8_t *want)
{
    const uint8_t in[8] = {0, 10, 50, 200, 255, 100, 30, 5};
    uint8_t across[12], down[12];
    sa_resize_u8_args args = {.in = in,
                              .in_height = 1,
                              .in_width = 8,
                              .in_stride = 8,
                              .out = across,
                              .out_height = 1,
                              .out_width = count,
                              .out_stride = count,
                              .channels = 1,
                              .filter = filter};
    assert_int_equal(sa_resize_u8(&args, NULL, NULL), SA_OK);
    assert_memory_equal(across, want, count);
    args = (sa_resize_u8_args){.in = in,
                               .in_height = 8,
                               .in_width = 1,
                               .in_stride = 1,
                               .out = down,
                               .out_height = count,
                               .out_width = 1,
                               .out_stride = 1,
                               .channels = 1,
                               .filter = filter};
    assert_int_equal(sa_resize_u8(&args, NULL, NULL), SA_OK);
    assert_memory_equal(down, want, count);
}

/* The vectors of the specification. */
static void known_lines(void **state)
{
    (void)state;
    line_is(SA_RESIZE_BILINEAR, 4, (const uint8_t[]){11, 127, 162, 29});
    line_is(SA_RESIZE_BICUBIC, 4, (const uint8_t[]){0, 133, 176, 16});
    line_is(SA_RESIZE_BICUBIC, 12, (const uint8_t[]){0, 2, 14, 37, 124, 217, 255, 185, 83, 38, 13, 3});
}

static void golden_bytes(void **state)
{
    (void)state;
    json_t *cases = golden_read("tests/golden/masks/resize_u8.json");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        size_t h = (size_t)golden_item(c, "size", 0), w = (size_t)golden_item(c, "size", 1);
        size_t channels = (size_t)golden_item(c, "size", 2);
        size_t out_h = (size_t)golden_item(c, "out", 0), out_w = (size_t)golden_item(c, "out", 1);
        check_buffer in = check_buffer_new(h * w * channels),
                     out = check_buffer_new(out_h * out_w * channels);
        for (size_t k = 0; k < in.size; k++) {
            in.bytes[k] = golden_hash_byte((uint32_t)golden_number(c, "seed"), k);
        }
        sa_resize_u8_args args = {.in = in.bytes,
                                  .in_height = h,
                                  .in_width = w,
                                  .in_stride = w * channels,
                                  .out = out.bytes,
                                  .out_height = out_h,
                                  .out_width = out_w,
                                  .out_stride = out_w * channels,
                                  .channels = channels,
                                  .filter = filter_of(c)};
        assert_int_equal(sa_resize_u8(&args, NULL, NULL), SA_OK);
        const char *want = golden_text(c, "pixels");
        assert_int_equal(strlen(want), 2 * out.size);
        for (size_t k = 0; k < out.size; k++) {
            if (out.bytes[k] != golden_hex(want + 2 * k, 2)) {
                fail_msg("case %zu, byte %zu: got %d, Pillow has %u", i, k, out.bytes[k],
                         golden_hex(want + 2 * k, 2));
            }
        }
        check_buffer_free(&in);
        check_buffer_free(&out);
    }
    json_decref(cases);
}

static void sizes_that_are_refused(void **state)
{
    (void)state;
    uint8_t byte = 0;
    float value = 0;
    for (size_t k = 0; k < 8; k++) {
        size_t side = k / 4 == 0 ? 0 : (size_t)1 << 40, s[4] = {1, 1, 1, 1};
        s[k % 4] = side;
        sa_resize_u8_args a = {.in = &byte,
                               .in_height = s[0],
                               .in_width = s[1],
                               .in_stride = s[1],
                               .out = &byte,
                               .out_height = s[2],
                               .out_width = s[3],
                               .out_stride = s[3],
                               .channels = 1};
        assert_int_equal(sa_resize_u8(&a, NULL, NULL), SA_BAD_INPUT);
        sa_resize_f32_args b = {.in = &value,
                                .out = &value,
                                .channels = 1,
                                .in_height = s[0],
                                .in_width = s[1],
                                .out_height = s[2],
                                .out_width = s[3]};
        assert_int_equal(sa_resize_f32(&b, NULL, NULL), SA_BAD_INPUT);
    }
}

/* ---- floats ---- */

/*
 * Tolerance for values of at most `most`: the roundings of the sums, and one ulp of the position, whose
 * change of the weights meets a change of value of at most 2 * most (times 3 for bicubic: the kernel's
 * steepest slope is 1.4, over both pairs of taps). torch's vector code fuses the position's multiply and add.
 */
static double plane_tolerance(sa_resize_filter filter, size_t height, size_t width, double most)
{
    double side = (double)(height > width ? height : width), steep = filter == SA_RESIZE_BICUBIC ? 3.0 : 1.0;
    return most * 0x1p-24 * (steep * 8.0 + steep * 2.0 * 2.0 * side);
}

static double largest(const float *values, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fabs((double)values[i]));
    }
    return most;
}

static bool planes_agree(sa_resize_f32_args args, sa_pool *pool, bool spoil)
{
    size_t in_count = args.channels * args.in_height * args.in_width;
    size_t out_count = args.channels * args.out_height * args.out_width;
    check_buffer in = check_buffer_new(in_count * sizeof(float)),
                 got = check_buffer_new(out_count * sizeof(float));
    check_buffer want = check_buffer_new(out_count * sizeof(float));
    check_fill_normal((float *)in.bytes, in_count, 3.0f, in_count);
    args.in = (const float *)in.bytes;
    size_t bytes;
    assert_int_equal(sa_resize_f32_workspace(&args, pool, &bytes, NULL), SA_OK);
    check_buffer workspace = check_buffer_new(bytes);
    args.out = (float *)got.bytes;
    sa_resize_f32_run(&args, workspace.bytes, pool);
    args.out = (float *)want.bytes;
    ref_resize_f32(&args);
    double tolerance =
        plane_tolerance(args.filter, args.in_height, args.in_width, largest(args.in, in_count));
    ((float *)want.bytes)[out_count - 1] += spoil ? 2.1f * (float)tolerance + 1e-6f : 0.0f;
    check_spec spec = {.label = filter_names[args.filter],
                       .absolute = tolerance,
                       .seed = in_count,
                       .rank = 1,
                       .axes = {out_count}};
    bool good = check_close_f32((float *)got.bytes, (float *)want.bytes, &spec);
    check_buffer_free(&workspace);
    check_buffer_free(&in);
    check_buffer_free(&got);
    check_buffer_free(&want);
    return good;
}

static void planes_on_hostile_shapes(void **state)
{
    (void)state;
    const size_t shapes[][4] = {
        {1, 1, 1, 1},     {1, 1, 9, 13},    {9, 13, 1, 1},      {1, 50, 3, 7},
        {50, 1, 7, 3},    {5, 5, 5, 5},     {2, 3, 64, 65},     {63, 64, 65, 63},
        {101, 103, 7, 5}, {7, 5, 101, 103}, {64, 64, 256, 256}, {14, 14, 32, 32},
    };
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        for (size_t k = 0; k < 16; k++) {
            sa_resize_f32_args args = {.channels = k / 8 == 0 ? 1 : 3,
                                       .in_height = shapes[s][0],
                                       .in_width = shapes[s][1],
                                       .out_height = shapes[s][2],
                                       .out_width = shapes[s][3],
                                       .channels_last = k % 2,
                                       .align_corners = k / 2 % 2,
                                       .filter = k / 4 % 2 ? SA_RESIZE_BICUBIC : SA_RESIZE_BILINEAR};
            if (!planes_agree(args, NULL, false)) {
                fail_msg("%zu x %zu -> %zu x %zu, case %zu", args.in_height, args.in_width, args.out_height,
                         args.out_width, k);
            }
        }
    }
}

static __attribute__((unused)) void planes_of_a_large_image(void **state)
{
    (void)state;
    sa_resize_f32_args down = {
        .channels = 1, .in_height = 8192, .in_width = 8191, .out_height = 1024, .out_width = 1021};
    assert_true(planes_agree(down, NULL, false));
}

static void planes_planted_fault(void **state)
{
    (void)state;
    for (int filter = 0; filter < 2; filter++) {
        sa_resize_f32_args args = {.channels = 2,
                                   .in_height = 9,
                                   .in_width = 8,
                                   .out_height = 20,
                                   .out_width = 31,
                                   .filter = filter ? SA_RESIZE_BICUBIC : SA_RESIZE_BILINEAR};
        assert_true(planes_agree(args, NULL, false));
        assert_false(planes_agree(args, NULL, true));
    }
}

static void planes_with_threads(void **state)
{
    (void)state;
    sa_pool *pool;
    assert_int_equal(sa_pool_open(&pool, 4, NULL), SA_OK);
    sa_resize_f32_args args = {.channels = 3,
                               .in_height = 37,
                               .in_width = 41,
                               .out_height = 90,
                               .out_width = 33,
                               .filter = SA_RESIZE_BICUBIC};
    assert_true(planes_agree(args, pool, false));
    args.channels_last = true;
    assert_true(planes_agree(args, pool, false));
    sa_pool_close(pool);
}

/* A plane of unchanged size is copied bit for bit, infinities and all. */
static void same_size_is_a_copy(void **state)
{
    (void)state;
    float in[6] = {1.5f, -INFINITY, 3e38f, -0.0f, 1e-40f, INFINITY}, out[6];
    sa_resize_f32_args args = {
        .in = in, .out = out, .channels = 1, .in_height = 2, .in_width = 3, .out_height = 2, .out_width = 3};
    assert_int_equal(sa_resize_f32(&args, NULL, NULL), SA_OK);
    assert_true(memcmp(in, out, sizeof in) == 0);
}

static void golden_planes(void **state)
{
    (void)state;
    json_t *cases = golden_read("tests/golden/masks/resize_f32.json");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        size_t h = (size_t)golden_item(c, "size", 1), w = (size_t)golden_item(c, "size", 2);
        size_t out_h = (size_t)golden_item(c, "out", 0), out_w = (size_t)golden_item(c, "out", 1);
        size_t in_count = 2 * h * w, out_count = 2 * out_h * out_w;
        float *in = malloc(in_count * sizeof *in), *got = malloc(out_count * sizeof *got);
        float *want = malloc(out_count * sizeof *want);
        for (size_t k = 0; k < in_count; k++) {
            in[k] = ((float)golden_hash_byte((uint32_t)golden_number(c, "seed"), k) - 128.0f) / 32.0f;
        }
        const char *hex = golden_text(c, "floats");
        assert_int_equal(strlen(hex), 8 * out_count);
        for (size_t k = 0; k < out_count; k++) {
            uint32_t bits = golden_hex(hex + 8 * k, 8);
            memcpy(&want[k], &bits, sizeof bits);
        }
        sa_resize_f32_args args = {.in = in,
                                   .out = got,
                                   .channels = 2,
                                   .in_height = h,
                                   .in_width = w,
                                   .out_height = out_h,
                                   .out_width = out_w,
                                   .filter = filter_of(c),
                                   .align_corners = json_is_true(json_object_get(c, "align_corners"))};
        assert_int_equal(sa_resize_f32(&args, NULL, NULL), SA_OK);
        check_spec spec = {.label = golden_text(c, "filter"),
                           .absolute = plane_tolerance(args.filter, h, w, 4.0),
                           .seed = i,
                           .rank = 3,
                           .axes = {2, out_h, out_w}};
        assert_true(check_close_f32(got, want, &spec));
        free(in);
        free(got);
        free(want);
    }
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_on_hostile_shapes),
        cmocka_unit_test(bytes_of_random_sizes),
        cmocka_unit_test(windows_of_a_whole),
#ifndef __SANITIZE_THREAD__ /* they use no threads, and would take a minute */
        cmocka_unit_test(bytes_of_large_images),
        cmocka_unit_test(planes_of_a_large_image),
#endif
        cmocka_unit_test(bytes_with_threads),
        cmocka_unit_test(flat_images_stay_flat),
        cmocka_unit_test(known_lines),
        cmocka_unit_test(golden_bytes),
        cmocka_unit_test(sizes_that_are_refused),
        cmocka_unit_test(planes_on_hostile_shapes),
        cmocka_unit_test(planes_planted_fault),
        cmocka_unit_test(planes_with_threads),
        cmocka_unit_test(same_size_is_a_copy),
        cmocka_unit_test(golden_planes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
