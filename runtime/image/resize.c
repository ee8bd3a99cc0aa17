/*
 * Pillow's 8-bit resize. The f32 one: resize_f32.c.
 *
 * Nearly all the work is in two loops, and both multiply bytes by 32-bit integer weights:
 *
 * - Across: one output pixel is a sum over a window of one row. A window is taken as a flat string of bytes,
 *   four taps (4 * channels bytes) at a time; each byte has its own accumulator lane and its own copy of the
 *   weight, so that nothing is shuffled; lanes of the same channel are added at the end.
 * - Down: one output row is a weighted sum of whole rows, byte by byte, with no lanes to sort.
 *
 * 32-bit sums are exact in any order: |weight| sums to under 1.5 * 2^22 and 255 times that fits.
 * This file must be compiled without fused multiply-adds (the default for x86-64; see CMakeLists.txt), so
 * that the weights are Pillow's to the last bit.
 */
#include "runtime/image/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"

enum {
    PRECISION = 22,   /* bits after a weight's point: 32, less 8 for the pixel, less 2 for overshoot, sign */
    TAPS = 4,         /* taps taken at a time across */
    ROWS_A_TASK = 16, /* rows that a thread takes at a time */
    MOST_SIDE = 1 << 20,
    ALIGN = 64,
};
static const size_t MOST_WHOLE = (size_t)1 << 40;

/* The same code twice: for the base instructions, and for AVX2, which multiplies 32-bit lanes in one. */
#if defined(__x86_64__)
#define SA_RESIZE_AVX2 __attribute__((target("avx2")))
static bool have_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}
#else
#define SA_RESIZE_AVX2
static bool have_avx2(void)
{
    return false;
}
#endif
#define ALWAYS_INLINE static inline __attribute__((always_inline))

typedef int32_t lanes __attribute__((vector_size(16)));
typedef uint32_t words4 __attribute__((vector_size(16)));
typedef uint16_t halves8 __attribute__((vector_size(16)));
typedef uint8_t bytes16 __attribute__((vector_size(16)));

/* Everything that one resize needs; pointers into the workspace. */
typedef struct {
    sa_resize_u8_args args; /* the whole's sizes filled in */
    const uint8_t *in;      /* where reading begins: past what a direction that is skipped leaves out */
    size_t across_taps;     /* window size, a multiple of TAPS; 0: the direction is skipped */
    size_t down_taps;       /* the most taps; 0 likewise */
    uint32_t *across_first; /* [out_width] first tap of the window, always with the whole window inside */
    int32_t *across_weight; /* [out_width, across_taps * channels], each weight repeated for each channel */
    uint32_t *down_first;   /* [out_height] */
    uint32_t *down_count;   /* [out_height] taps used */
    int32_t *down_weight;   /* [out_height, down_taps] */
    uint8_t *padded;        /* [in_height, across_taps * channels], the input if narrower than a window */
    uint8_t *middle;        /* [in_height, out_width * channels], between the two directions */
    size_t bytes;           /* of workspace */
    bool avx2;
} plan;

/* ---- weights ---- */

static double filter_value(sa_resize_filter filter, double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (filter == SA_RESIZE_BILINEAR) {
        return x < 1.0 ? 1.0 - x : 0.0;
    }
    if (x < 1.0) {
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    }
    return x < 2.0 ? (((x - 5) * x + 8) * x - 4) * a : 0.0;
}

static double filter_stretch(size_t in, size_t out)
{
    double scale = (double)in / (double)out;
    return scale < 1.0 ? 1.0 : scale;
}

static double filter_support(sa_resize_filter filter, size_t in, size_t out)
{
    return (filter == SA_RESIZE_BILINEAR ? 1.0 : 2.0) * filter_stretch(in, out);
}

static size_t most_taps(sa_resize_filter filter, size_t in, size_t out)
{
    size_t taps = (size_t)ceil(filter_support(filter, in, out)) * 2 + 1;
    return taps < in ? taps : in;
}

/*
 * Taps first .. first+count-1 of output i, and their integer weights. The filter is asked twice for each tap,
 * for the sum and for the weight: cheaper than memory for what it said.
 */
static size_t output_taps(sa_resize_filter filter, size_t in, size_t out, size_t i, size_t *first,
                          int32_t *weight)
{
    double scale = (double)in / (double)out, inverse = 1.0 / filter_stretch(in, out);
    double support = filter_support(filter, in, out), centre = ((double)i + 0.5) * scale;
    long begin = (long)(centre - support + 0.5), end = (long)(centre + support + 0.5);
    begin = begin < 0 ? 0 : begin;
    end = end > (long)in ? (long)in : end;
    double sum = 0.0;
    for (long tap = begin; tap < end; tap++) {
        sum += filter_value(filter, ((double)tap - centre + 0.5) * inverse);
    }
    for (long tap = begin; tap < end; tap++) {
        double w = filter_value(filter, ((double)tap - centre + 0.5) * inverse);
        w = sum != 0.0 ? w / sum : w;
        w *= 1 << PRECISION;
        weight[tap - begin] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
    }
    *first = (size_t)begin;
    return (size_t)(end - begin);
}

size_t sa_resize_u8_taps(sa_resize_filter filter, size_t in, size_t out)
{
    return in == out ? 1 : most_taps(filter, in, out);
}

void sa_resize_u8_table(sa_resize_filter filter, size_t in, size_t out, size_t first, size_t count,
                        int32_t *table)
{
    size_t taps = sa_resize_u8_taps(filter, in, out), tap;
    for (size_t i = 0; i < count; i++) {
        int32_t *row = table + i * (2 + taps);
        memset(row, 0, (2 + taps) * sizeof *row);
        if (in == out) {
            row[0] = (int32_t)(first + i);
            row[1] = 1;
            row[2] = 1 << PRECISION;
            continue;
        }
        row[1] = (int32_t)output_taps(filter, in, out, first + i, &tap, row + 2);
        row[0] = (int32_t)tap;
    }
}

/*
 * Windows across have one size, so they may stick out of the taps that count; those get weight 0. At the
 * right border the window is moved left instead of past the end of the row.
 */
static void weights_across(plan *p)
{
    size_t channels = p->args.channels, taps = p->across_taps;
    size_t in_width = p->args.in_width, readable = in_width < taps ? taps : in_width;
    for (size_t i = 0; i < p->args.out_width; i++) {
        int32_t *weight = p->across_weight + i * taps * channels;
        size_t first, count = output_taps(p->args.filter, in_width, p->args.whole_width, p->args.left + i,
                                          &first, weight);
        size_t start = first < readable - taps ? first : readable - taps;
        /* From the back, since the spread weights overlap the packed ones. */
        for (size_t k = taps; k-- > 0;) {
            bool used = k >= first - start && k - (first - start) < count;
            int32_t value = used ? weight[k - (first - start)] : 0;
            for (size_t c = 0; c < channels; c++) {
                weight[k * channels + c] = value;
            }
        }
        p->across_first[i] = (uint32_t)start;
    }
}

static void weights_down(plan *p)
{
    for (size_t i = 0; i < p->args.out_height; i++) {
        size_t first;
        size_t count = output_taps(p->args.filter, p->args.in_height, p->args.whole_height, p->args.top + i,
                                   &first, p->down_weight + i * p->down_taps);
        p->down_first[i] = (uint32_t)first;
        p->down_count[i] = (uint32_t)count;
    }
}

/* ---- across ---- */

static inline uint8_t rounded_pixel(int32_t sum)
{
    int32_t value = (sum + (1 << (PRECISION - 1))) >> PRECISION;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/*
 * Four bytes to four lanes, by weaving in zeros twice (gcc makes scalar code of __builtin_convertvector
 * here).
 */
ALWAYS_INLINE lanes load_lanes(const uint8_t *bytes)
{
    const bytes16 zero = {0};
    uint32_t word;
    memcpy(&word, bytes, sizeof word);
    bytes16 v = (bytes16)(words4){word};
    v = __builtin_shufflevector(v, zero, 0, 16, 1, 16, 2, 16, 3, 16, 4, 16, 5, 16, 6, 16, 7, 16);
    halves8 h = __builtin_shufflevector((halves8)v, (halves8)zero, 0, 8, 1, 8, 2, 8, 3, 8);
    return (lanes)h;
}

/* One row; `channels` is a constant wherever this is inlined. */
ALWAYS_INLINE void row_across(const plan *p, const uint8_t *in, uint8_t *out, size_t channels)
{
    const int32_t *weight = p->across_weight;
    for (size_t i = 0; i < p->args.out_width; i++, out += channels) {
        const uint8_t *window = in + p->across_first[i] * channels;
        lanes sum[4] = {{0}, {0}, {0}, {0}};
        for (size_t tap = 0; tap < p->across_taps; tap += TAPS) {
            for (size_t v = 0; v < channels; v++, window += 4, weight += 4) {
                lanes w;
                memcpy(&w, weight, sizeof w);
                sum[v] += load_lanes(window) * w;
            }
        }
        int32_t flat[16];
        memcpy(flat, sum, sizeof flat);
        for (size_t c = 0; c < channels; c++) {
            out[c] =
                rounded_pixel(flat[c] + flat[c + channels] + flat[c + 2 * channels] + flat[c + 3 * channels]);
        }
    }
}

ALWAYS_INLINE void row_across_any(const plan *p, const uint8_t *in, uint8_t *out)
{
    switch (p->args.channels) {
    case 1: row_across(p, in, out, 1); break;
    case 2: row_across(p, in, out, 2); break;
    case 3: row_across(p, in, out, 3); break;
    default: row_across(p, in, out, 4); break;
    }
}

static void row_across_plain(const plan *p, const uint8_t *in, uint8_t *out)
{
    row_across_any(p, in, out);
}

SA_RESIZE_AVX2 static void row_across_avx2(const plan *p, const uint8_t *in, uint8_t *out)
{
    row_across_any(p, in, out);
}

/* Where the rows of the direction down are read: the middle image, or the input if across was skipped. */
static const uint8_t *middle_row(const plan *p, size_t y)
{
    return p->across_taps == 0 ? p->in + y * p->args.in_stride
                               : p->middle + y * p->args.out_width * p->args.channels;
}

/* All of the input's if down comes after it, otherwise the output's. */
static size_t rows_across(const plan *p)
{
    return p->down_taps != 0 ? p->args.in_height : p->args.out_height;
}

static void task_across(void *context, size_t task, int worker)
{
    (void)worker;
    const plan *p = context;
    const sa_resize_u8_args *a = &p->args;
    for (size_t y = task * ROWS_A_TASK; y < rows_across(p) && y < (task + 1) * ROWS_A_TASK; y++) {
        const uint8_t *in = p->in + y * a->in_stride;
        if (p->padded != NULL) {
            size_t room = p->across_taps * a->channels, used = a->in_width * a->channels;
            uint8_t *copy = p->padded + y * room;
            memcpy(copy, in, used);
            memset(copy + used, 0, room - used);
            in = copy;
        }
        uint8_t *out =
            p->down_taps == 0 ? a->out + y * a->out_stride : p->middle + y * a->out_width * a->channels;
        (p->avx2 ? row_across_avx2 : row_across_plain)(p, in, out);
    }
}

/* ---- down ---- */

enum { PIECE = 64 }; /* bytes of a row whose sums are kept at hand */

/* `count` bytes from x on, PIECE of them or the row's rest. */
ALWAYS_INLINE void piece_down(const plan *p, size_t y, size_t x, size_t count, uint8_t *out)
{
    const int32_t *weight = p->down_weight + y * p->down_taps;
    size_t stride = p->across_taps == 0 ? p->args.in_stride : p->args.out_width * p->args.channels;
    const uint8_t *in = middle_row(p, p->down_first[y]) + x;
    int32_t sum[PIECE] = {0};
    for (uint32_t k = 0; k < p->down_count[y]; k++, in += stride) {
        for (size_t i = 0; i < count; i++) {
            sum[i] += weight[k] * in[i];
        }
    }
    for (size_t i = 0; i < count; i++) {
        out[x + i] = rounded_pixel(sum[i]);
    }
}

ALWAYS_INLINE void row_down(const plan *p, size_t y, uint8_t *out)
{
    size_t row = p->args.out_width * p->args.channels, x = 0;
    for (; x + PIECE <= row; x += PIECE) {
        piece_down(p, y, x, PIECE, out);
    }
    piece_down(p, y, x, row - x, out);
}

static void row_down_plain(const plan *p, size_t y, uint8_t *out)
{
    row_down(p, y, out);
}

SA_RESIZE_AVX2 static void row_down_avx2(const plan *p, size_t y, uint8_t *out)
{
    row_down(p, y, out);
}

static void task_down(void *context, size_t task, int worker)
{
    (void)worker;
    const plan *p = context;
    for (size_t y = task * ROWS_A_TASK; y < p->args.out_height && y < (task + 1) * ROWS_A_TASK; y++) {
        (p->avx2 ? row_down_avx2 : row_down_plain)(p, y, p->args.out + y * p->args.out_stride);
    }
}

/* ---- memory ---- */

/*
 * Gives `count` things of `size` bytes a place in the workspace; a NULL base only adds up. False on overflow.
 */
static bool take(plan *p, unsigned char *base, size_t count, size_t size, void *pointer)
{
    size_t bytes, at = p->bytes;
    if (!sa_mul_size(count, size, &bytes) || !sa_align_size(bytes, ALIGN, &bytes) ||
        !sa_add_size(p->bytes, bytes, &p->bytes)) {
        return false;
    }
    void *place = base != NULL && count != 0 ? base + at : NULL;
    memcpy(pointer, &place, sizeof place);
    return true;
}

/* Lays the plan out on `base`, or measures with NULL. */
static bool lay_out(plan *p, const sa_resize_u8_args *a, unsigned char *base)
{
    size_t whole_height = a->whole_height != 0 ? a->whole_height : a->out_height;
    size_t whole_width = a->whole_width != 0 ? a->whole_width : a->out_width;
    bool across = a->in_width != whole_width, down = a->in_height != whole_height;
    size_t across_taps = across ? most_taps(a->filter, a->in_width, whole_width) : 0;
    size_t down_taps = down ? most_taps(a->filter, a->in_height, whole_height) : 0;
    *p = (plan){.args = *a, .in = a->in, .down_taps = down_taps, .avx2 = have_avx2()};
    p->args.whole_height = whole_height;
    p->args.whole_width = whole_width;
    if (a->in != NULL) { /* NULL while measuring */
        p->in += (down ? 0 : a->top * a->in_stride) + (across ? 0 : a->left * a->channels);
    }
    p->across_taps = (across_taps + TAPS - 1) / TAPS * TAPS;
    size_t across_weights, down_weights, padded, middle, row;
    return sa_mul_size(p->across_taps * a->channels, a->out_width, &across_weights) &&
           sa_mul_size(down_taps, a->out_height, &down_weights) &&
           sa_mul_size(p->across_taps * a->channels, a->in_width < p->across_taps ? a->in_height : 0,
                       &padded) &&
           sa_mul_size(a->out_width, a->channels, &row) &&
           sa_mul_size(row, across && down ? a->in_height : 0, &middle) &&
           take(p, base, across ? a->out_width : 0, sizeof *p->across_first, &p->across_first) &&
           take(p, base, across_weights, sizeof *p->across_weight, &p->across_weight) &&
           take(p, base, down ? a->out_height : 0, sizeof *p->down_first, &p->down_first) &&
           take(p, base, down ? a->out_height : 0, sizeof *p->down_count, &p->down_count) &&
           take(p, base, down_weights, sizeof *p->down_weight, &p->down_weight) &&
           take(p, base, padded, 1, &p->padded) && take(p, base, middle, 1, &p->middle);
}

static bool side_is_fine(size_t side)
{
    return side >= 1 && side <= MOST_SIDE;
}

sa_status sa_resize_u8_workspace(const sa_resize_u8_args *args, size_t *bytes, sa_error *err)
{
    SA_ASSERT(args->channels >= 1 && args->channels <= 4);
    if (!side_is_fine(args->in_height) || !side_is_fine(args->in_width) || !side_is_fine(args->out_height) ||
        !side_is_fine(args->out_width) || args->whole_height > MOST_WHOLE || args->whole_width > MOST_WHOLE) {
        return sa_fail(err, SA_BAD_INPUT, NULL, NULL, "an image of %zu x %zu cannot be resized to %zu x %zu",
                       args->in_height, args->in_width, args->out_height, args->out_width);
    }
    plan p;
    if (!lay_out(&p, args, NULL)) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "resizing %zu x %zu to %zu x %zu needs too much memory",
                       args->in_height, args->in_width, args->out_height, args->out_width);
    }
    *bytes = p.bytes;
    return SA_OK;
}

/* ---- the whole ---- */

static void run_rows(sa_pool *pool, size_t rows, sa_pool_task *task, void *context)
{
    size_t count = (rows + ROWS_A_TASK - 1) / ROWS_A_TASK;
    if (pool != NULL) {
        sa_pool_run(pool, count, task, context);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        task(context, i, 0);
    }
}

void sa_resize_u8_run(const sa_resize_u8_args *args, void *workspace, sa_pool *pool)
{
    SA_ASSERT((uintptr_t)workspace % ALIGN == 0);
    SA_ASSERT(args->in_stride >= args->in_width * args->channels);
    SA_ASSERT(args->out_stride >= args->out_width * args->channels);
    plan p;
    SA_ASSERT(lay_out(&p, args, workspace));
    SA_ASSERT(args->top + args->out_height <= p.args.whole_height);
    SA_ASSERT(args->left + args->out_width <= p.args.whole_width);
    if (p.across_taps != 0) {
        weights_across(&p);
        run_rows(pool, rows_across(&p), task_across, &p);
    }
    if (p.down_taps != 0) {
        weights_down(&p);
        run_rows(pool, args->out_height, task_down, &p);
    }
    for (size_t y = 0; p.across_taps == 0 && p.down_taps == 0 && y < args->out_height; y++) {
        memcpy(args->out + y * args->out_stride, p.in + y * args->in_stride,
               args->out_width * args->channels);
    }
}

sa_status sa_resize_u8(const sa_resize_u8_args *args, sa_pool *pool, sa_error *err)
{
    size_t bytes = 0;
    SA_TRY(sa_resize_u8_workspace(args, &bytes, err));
    void *workspace = aligned_alloc(ALIGN, bytes + ALIGN); /* never of 0 bytes */
    if (workspace == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory (%zu bytes) to resize an image", bytes);
    }
    sa_resize_u8_run(args, workspace, pool);
    free(workspace);
    return SA_OK;
}
