#include "runtime/image/distance.h"

#include <math.h>
#include <stdlib.h>

/*
 * Two passes. Down the columns each pixel learns its vertical distance to the nearest pixel outside, or
 * UNREACHED if its column has none. Then along a row, d(x) = min over columns u of (x-u)^2 + depth(u)^2: the
 * lower envelope of parabolas. A run of mask pixels lies between two pixels outside, whose parabolas have
 * depth 0; nothing beyond those can be nearer, so each run is solved alone, and what lies outside the mask
 * costs nothing.
 */
enum { UNREACHED = INT32_MAX };

/* ---- down the columns ---- */

/* depth = 0 outside the mask, else one more than the row before; before may be NULL: a row of `edge`. */
static void depth_forward(const sa_mask *mask, size_t y, int32_t edge, const int32_t *before, int32_t *depth)
{
    const uint64_t *row = mask->bits + y * mask->stride_words;
    for (size_t begin = 0; begin < mask->width; begin += 64) {
        uint64_t bits = row[begin / 64];
        size_t count = mask->width - begin < 64 ? mask->width - begin : 64;
        for (size_t i = 0; i < count; i++) {
            int32_t above = before != NULL ? before[begin + i] : edge;
            int32_t next = above == UNREACHED ? UNREACHED : above + 1;
            depth[begin + i] = (bits >> i & 1u) != 0 ? next : 0;
        }
    }
}

/* The other direction: no more than one more than the row below. */
static void depth_backward(size_t width, int32_t edge, const int32_t *below, int32_t *depth)
{
    for (size_t x = 0; x < width; x++) {
        int32_t under = below != NULL ? below[x] : edge;
        int32_t most = under == UNREACHED ? UNREACHED : under + 1;
        depth[x] = depth[x] < most ? depth[x] : most;
    }
}

static void depths(const sa_mask *mask, bool border_outside, int32_t *depth)
{
    size_t w = mask->width;
    int32_t edge = border_outside ? 0 : UNREACHED;
    for (size_t y = 0; y < mask->height; y++) {
        depth_forward(mask, y, edge, y != 0 ? depth + (y - 1) * w : NULL, depth + y * w);
    }
    for (size_t y = mask->height; y-- > 0;) {
        depth_backward(w, edge, y + 1 != mask->height ? depth + (y + 1) * w : NULL, depth + y * w);
    }
}

/* ---- along the rows ---- */

/* A parabola of the envelope: lowest at x = at, there depth^2 high; the least of all from x = begin on. */
typedef struct {
    int32_t at, begin;
    int64_t height; /* depth squared */
} parabola;

static int64_t height_at(const parabola *p, int32_t x)
{
    int64_t away = x - p->at;
    return away * away + p->height;
}

/*
 * The first x at which `late` is lower than `early`, where early->at < late->at; the quotient is rounded
 * down.
 */
static int32_t takes_over(const parabola *early, const parabola *late)
{
    int64_t a = early->at, b = late->at;
    int64_t above = b * b + late->height - a * a - early->height, twice = 2 * (b - a);
    int64_t floor = above >= 0 ? above / twice : -((-above + twice - 1) / twice);
    return (int32_t)(floor + 1);
}

/*
 * Puts a column's parabola on the envelope of those before it, over x in [0, width). Returns the new count.
 */
static size_t add_parabola(parabola *envelope, size_t count, int32_t at, int32_t depth, int32_t width)
{
    parabola next = {.at = at, .begin = 0, .height = (int64_t)depth * depth};
    while (count != 0) {
        const parabola *top = &envelope[count - 1];
        next.begin = takes_over(top, &next);
        if (next.begin > top->begin) {
            break;
        }
        count--; /* it is lower from the start of the top's stretch on */
        next.begin = 0;
    }
    if (next.begin < width) {
        envelope[count++] = next;
    }
    return count;
}

/*
 * The run of mask pixels begin .. end-1: depth[] in, squared distances out, in place. The pixels before and
 * after it are outside the mask, or, at the border, count as outside or not at all.
 */
static void solve_run(int32_t *row, size_t begin, size_t end, size_t width, bool border_outside,
                      parabola *envelope)
{
    size_t count = 0;
    if (begin != 0 || border_outside) {
        count = add_parabola(envelope, count, (int32_t)begin - 1, 0, (int32_t)end);
    }
    for (size_t x = begin; x < end; x++) {
        if (row[x] != UNREACHED) {
            count = add_parabola(envelope, count, (int32_t)x, row[x], (int32_t)end);
        }
    }
    if (end != width || border_outside) {
        count = add_parabola(envelope, count, (int32_t)end, 0, (int32_t)end);
    }
    size_t k = 0;
    for (size_t x = begin; x < end; x++) {
        while (k + 1 < count && (size_t)envelope[k + 1].begin <= x) {
            k++;
        }
        row[x] = count == 0 ? SA_DISTANCE_NONE : (int32_t)height_at(&envelope[k], (int32_t)x);
    }
}

/* First x at or after `x` whose pixel is `on`, or the width. */
static size_t find_pixel(const sa_mask *mask, size_t y, size_t x, bool on)
{
    const uint64_t *row = mask->bits + y * mask->stride_words;
    for (size_t word = x / 64; word < mask->stride_words; word++) {
        uint64_t bits = on ? row[word] : ~row[word];
        if (word == x / 64) {
            bits &= UINT64_MAX << (x % 64);
        }
        if (bits != 0) {
            size_t found = word * 64 + (size_t)__builtin_ctzll(bits);
            return found < mask->width ? found : mask->width;
        }
    }
    return mask->width;
}

sa_status sa_distance_squared(const sa_mask *mask, bool border_outside, int32_t *squared, sa_error *err)
{
    size_t height = mask->height, width = mask->width;
    if (height > SA_DISTANCE_MOST_SIDE || width > SA_DISTANCE_MOST_SIDE) {
        return sa_fail(err, SA_BAD_INPUT, NULL, "make the image smaller",
                       "a distance transform of %zu x %zu pixels; the most is %d on a side", height, width,
                       SA_DISTANCE_MOST_SIDE);
    }
    parabola *envelope = malloc((width + 2) * sizeof *envelope);
    if (envelope == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a row of %zu pixels", width);
    }
    depths(mask, border_outside, squared);
    for (size_t y = 0; y < height; y++) {
        for (size_t end = 0, begin; (begin = find_pixel(mask, y, end, true)) < width;) {
            end = find_pixel(mask, y, begin, false);
            solve_run(squared + y * width, begin, end, width, border_outside, envelope);
        }
    }
    free(envelope);
    return SA_OK;
}

/* ---- afterwards ---- */

void sa_distance_root(const int32_t *squared, size_t count, float *distance)
{
    for (size_t i = 0; i < count; i++) {
        distance[i] = squared[i] == SA_DISTANCE_NONE ? INFINITY : sqrtf((float)squared[i]);
    }
}

sa_distance_peak sa_distance_first_peak(const int32_t *squared, size_t count)
{
    SA_ASSERT(count != 0);
    int32_t most = squared[0];
    for (size_t i = 1; i < count; i++) { /* no index in this loop, so that it becomes vector code */
        most = squared[i] > most ? squared[i] : most;
    }
    size_t first = 0;
    while (squared[first] != most) {
        first++;
    }
    return (sa_distance_peak){.index = first, .squared = most};
}
