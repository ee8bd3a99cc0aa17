/*
 * torch's interpolation of float planes. For each output row: the input rows that it needs are blended into
 * one scratch row (contiguous, vector code), then that row is read at the output columns' taps.
 */
#include "runtime/image/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"

enum { MOST_TAPS = 4, ALIGN = 64, MOST_SIDE = 1 << 24 };

/* Where one output position reads, and how much of each. */
typedef struct {
    uint32_t place[MOST_TAPS];
    float weight[MOST_TAPS];
} tap_set;

typedef struct {
    sa_resize_f32_args args;
    size_t taps;     /* 2 or 4 */
    size_t planes;   /* images worked on one after another: channels, or 1 when they stand last */
    size_t depth;    /* floats of a pixel that stand together: 1, or the channels */
    tap_set *across; /* [out_width] */
    tap_set *down;   /* [out_height] */
    float *scratch;  /* [threads, row] one blended row for each worker */
    size_t row;      /* in_width * depth, rounded up so that workers do not share cache lines */
} plan;

/* ---- positions ---- */

/* All in f32, as torch does: the rounding of a position shows in the result. */
static float source_position(size_t i, size_t in, size_t out, bool align_corners)
{
    if (align_corners) {
        float scale = out > 1 ? (float)(in - 1) / (float)(out - 1) : 0.0f;
        return scale * (float)i;
    }
    float scale = (float)in / (float)out;
    return scale * ((float)i + 0.5f) - 0.5f;
}

static tap_set linear_taps(size_t i, size_t in, size_t out, bool align_corners)
{
    float position = in == out ? (float)i : source_position(i, in, out, align_corners);
    position = position < 0.0f ? 0.0f : position;
    size_t first = (size_t)position;
    first = first < in ? first : in - 1;
    float t = position - (float)first;
    t = t > 1.0f ? 1.0f : t;
    /* At the last pixel, and in an image that keeps its size, both taps are the same pixel. */
    size_t second = first + 1 < in && in != out ? first + 1 : first;
    return (tap_set){.place = {(uint32_t)first, (uint32_t)second}, .weight = {1.0f - t, t}};
}

static const float keys_a = -0.75f;

static float keys_near(float x) /* |x| <= 1 */
{
    return ((keys_a + 2.0f) * x - (keys_a + 3.0f)) * x * x + 1.0f;
}

static float keys_far(float x) /* 1 < |x| < 2 */
{
    return ((keys_a * x - 5.0f * keys_a) * x + 8.0f * keys_a) * x - 4.0f * keys_a;
}

static tap_set cubic_taps(size_t i, size_t in, size_t out, bool align_corners)
{
    float position = source_position(i, in, out, align_corners);
    float whole = floorf(position);
    float t = position - whole;
    tap_set taps = {.weight = {keys_far(t + 1.0f), keys_near(t), keys_near(1.0f - t), keys_far(2.0f - t)}};
    for (int k = 0; k < MOST_TAPS; k++) {
        long at = (long)whole - 1 + k;
        taps.place[k] = (uint32_t)(at < 0 ? 0 : at >= (long)in ? (long)in - 1 : at);
    }
    return taps;
}

static void fill_taps(const plan *p, tap_set *taps, size_t in, size_t out)
{
    for (size_t i = 0; i < out; i++) {
        taps[i] = p->taps == 2 ? linear_taps(i, in, out, p->args.align_corners)
                               : cubic_taps(i, in, out, p->args.align_corners);
    }
}

/* ---- one row ---- */

/* scratch[x] = sum over the taps of weight * in[place][x] */
static void blend_rows(const plan *p, const tap_set *taps, const float *in, float *restrict scratch)
{
    size_t row = p->args.in_width * p->depth;
    const float *a = in + taps->place[0] * row, *b = in + taps->place[1] * row;
    float wa = taps->weight[0], wb = taps->weight[1];
    if (p->taps == 2) {
        for (size_t x = 0; x < row; x++) {
            scratch[x] = wa * a[x] + wb * b[x];
        }
        return;
    }
    const float *c = in + taps->place[2] * row, *d = in + taps->place[3] * row;
    float wc = taps->weight[2], wd = taps->weight[3];
    for (size_t x = 0; x < row; x++) {
        scratch[x] = wa * a[x] + wb * b[x] + wc * c[x] + wd * d[x];
    }
}

/* The same along the row: out[x, c] = sum weight * scratch[place, c] */
static void blend_columns(const plan *p, const float *scratch, float *restrict out)
{
    size_t depth = p->depth;
    for (size_t x = 0; x < p->args.out_width; x++) {
        const tap_set *taps = &p->across[x];
        const float *a = scratch + taps->place[0] * depth, *b = scratch + taps->place[1] * depth;
        if (p->taps == 2) {
            for (size_t c = 0; c < depth; c++) {
                *out++ = taps->weight[0] * a[c] + taps->weight[1] * b[c];
            }
            continue;
        }
        const float *d = scratch + taps->place[2] * depth, *e = scratch + taps->place[3] * depth;
        for (size_t c = 0; c < depth; c++) {
            *out++ = taps->weight[0] * a[c] + taps->weight[1] * b[c] + taps->weight[2] * d[c] +
                     taps->weight[3] * e[c];
        }
    }
}

/* Task: one output row of one plane. */
static void task_row(void *context, size_t task, int worker)
{
    const plan *p = context;
    const sa_resize_f32_args *a = &p->args;
    size_t plane = task / a->out_height, y = task % a->out_height;
    float *scratch = p->scratch + (size_t)worker * p->row;
    blend_rows(p, &p->down[y], a->in + plane * a->in_height * a->in_width * p->depth, scratch);
    blend_columns(p, scratch, a->out + task * a->out_width * p->depth);
}

/* ---- the whole ---- */

/* Lays the plan out on `base`, or measures with NULL; false when sizes overflow. */
static bool lay_out(plan *p, const sa_resize_f32_args *a, int threads, unsigned char *base, size_t *bytes)
{
    *p = (plan){.args = *a, .taps = a->filter == SA_RESIZE_BILINEAR ? 2 : 4};
    p->planes = a->channels_last ? 1 : a->channels;
    p->depth = a->channels_last ? a->channels : 1;
    size_t positions, scratch;
    if (!sa_mul_size(a->in_width, p->depth, &p->row) ||
        !sa_align_size(p->row, ALIGN / sizeof(float), &p->row) ||
        !sa_mul_size(p->row, (size_t)threads * sizeof(float), &scratch)) {
        return false;
    }
    positions = (a->out_width + a->out_height) * sizeof(tap_set); /* sides are small: checked before */
    if (base != NULL) {
        p->scratch = (float *)base;
        p->across = (tap_set *)(base + scratch);
        p->down = p->across + a->out_width;
    }
    return sa_add_size(scratch, positions, bytes);
}

static bool side_is_fine(size_t side)
{
    return side >= 1 && side <= MOST_SIDE;
}

static int threads_of(const sa_pool *pool)
{
    return pool != NULL ? sa_pool_threads(pool) : 1;
}

sa_status sa_resize_f32_workspace(const sa_resize_f32_args *args, const sa_pool *pool, size_t *bytes,
                                  sa_error *err)
{
    if (!side_is_fine(args->in_height) || !side_is_fine(args->in_width) || !side_is_fine(args->out_height) ||
        !side_is_fine(args->out_width)) {
        return sa_fail(err, SA_BAD_INPUT, NULL, NULL, "planes of %zu x %zu cannot be resized to %zu x %zu",
                       args->in_height, args->in_width, args->out_height, args->out_width);
    }
    plan p;
    if (!lay_out(&p, args, threads_of(pool), NULL, bytes)) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "resizing planes of %zu x %zu needs too much memory",
                       args->in_height, args->in_width);
    }
    return SA_OK;
}

void sa_resize_f32_run(const sa_resize_f32_args *args, void *workspace, sa_pool *pool)
{
    SA_ASSERT((uintptr_t)workspace % ALIGN == 0);
    if (args->in_height == args->out_height && args->in_width == args->out_width) {
        /* All positions are whole: the sums below would give the same but for 0 * infinity. */
        memcpy(args->out, args->in, args->channels * args->in_height * args->in_width * sizeof *args->in);
        return;
    }
    plan p;
    size_t bytes;
    SA_ASSERT(lay_out(&p, args, threads_of(pool), workspace, &bytes));
    fill_taps(&p, p.across, args->in_width, args->out_width);
    fill_taps(&p, p.down, args->in_height, args->out_height);
    size_t rows = p.planes * args->out_height;
    if (pool != NULL) {
        sa_pool_run(pool, rows, task_row, &p);
        return;
    }
    for (size_t i = 0; i < rows; i++) {
        task_row(&p, i, 0);
    }
}

sa_status sa_resize_f32(const sa_resize_f32_args *args, sa_pool *pool, sa_error *err)
{
    size_t bytes = 0;
    SA_TRY(sa_resize_f32_workspace(args, pool, &bytes, err));
    void *workspace = aligned_alloc(ALIGN, (bytes + ALIGN - 1) / ALIGN * ALIGN);
    if (workspace == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory (%zu bytes) to resize planes", bytes);
    }
    sa_resize_f32_run(args, workspace, pool);
    free(workspace);
    return SA_OK;
}
