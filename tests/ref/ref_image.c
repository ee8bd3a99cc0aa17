#include "tests/ref/ref_image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- masks ---- */

size_t ref_mask_area(const uint8_t *mask, size_t height, size_t width)
{
    size_t area = 0;
    for (size_t i = 0; i < height * width; i++) {
        area += mask[i];
    }
    return area;
}

sa_mask_box ref_mask_bbox(const uint8_t *mask, size_t height, size_t width)
{
    size_t left = width, top = height, right = 0, bottom = 0; /* the last two exclusive */
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            if (mask[y * width + x] != 0) {
                left = x < left ? x : left;
                top = y < top ? y : top;
                right = x + 1 > right ? x + 1 : right;
                bottom = y + 1 > bottom ? y + 1 : bottom;
            }
        }
    }
    if (right == 0) {
        return (sa_mask_box){0};
    }
    return (sa_mask_box){.x = left, .y = top, .width = right - left, .height = bottom - top};
}

size_t ref_mask_both(const uint8_t *a, const uint8_t *b, size_t pixels)
{
    size_t count = 0;
    for (size_t i = 0; i < pixels; i++) {
        count += a[i] != 0 && b[i] != 0;
    }
    return count;
}

size_t ref_mask_either(const uint8_t *a, const uint8_t *b, size_t pixels)
{
    size_t count = 0;
    for (size_t i = 0; i < pixels; i++) {
        count += a[i] != 0 || b[i] != 0;
    }
    return count;
}

/* ---- run lengths ---- */

size_t ref_rle_counts(const uint8_t *mask, size_t height, size_t width, uint32_t *counts)
{
    size_t count = 0;
    uint32_t run = 0;
    uint8_t value = 0;
    for (size_t x = 0; x < width; x++) {
        for (size_t y = 0; y < height; y++) {
            if (mask[y * width + x] != value) {
                counts[count++] = run;
                run = 0;
                value = !value;
            }
            run++;
        }
    }
    counts[count++] = run;
    return count;
}

void ref_rle_fill(const uint32_t *counts, size_t count, size_t height, size_t width, uint8_t *mask)
{
    size_t position = 0;
    for (size_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < counts[i]; k++, position++) {
            mask[position % height * width + position / height] = i % 2;
        }
    }
}

void ref_rle_string(const uint32_t *counts, size_t count, char *text)
{
    for (size_t i = 0; i < count; i++) {
        int64_t rest = (int64_t)counts[i] - (i > 2 ? (int64_t)counts[i - 2] : 0);
        for (;;) {
            int64_t low = ((rest % 32) + 32) % 32;
            rest = (rest - low) / 32;
            bool last = low >= 16 ? rest == -1 : rest == 0;
            *text++ = (char)(48 + low + (last ? 0 : 32));
            if (last) {
                break;
            }
        }
    }
    *text = '\0';
}

/* ---- polygons ---- */

/* Where the walk stands, and the toggles it leaves: toggles[column * (height + 1) + row]. */
typedef struct {
    size_t height, width;
    bool *toggles;
    bool started;
    int x, y;
} walk;

static void walk_to(walk *w, int x, int y)
{
    if (w->started && x != w->x) {
        double column = ((x < w->x ? x : x - 1) + 0.5) / 5.0 - 0.5;
        if (column == floor(column) && column >= 0.0 && column <= (double)w->width - 1.0) {
            double row = ceil(fmin(fmax(((y < w->y ? y : w->y) + 0.5) / 5.0 - 0.5, 0.0), (double)w->height));
            bool *toggle = &w->toggles[(size_t)column * (w->height + 1) + (size_t)row];
            *toggle = !*toggle;
        }
    }
    w->started = true;
    w->x = x;
    w->y = y;
}

static void walk_edge(walk *w, int x0, int y0, int x1, int y1)
{
    int dx = abs(x1 - x0), dy = abs(y1 - y0);
    bool across = dx >= dy, flip = across ? x0 > x1 : y0 > y1;
    int steps = across ? dx : dy, bx = flip ? x1 : x0, by = flip ? y1 : y0;
    double rise = across ? (flip ? y0 - y1 : y1 - y0) : (flip ? x0 - x1 : x1 - x0);
    for (int i = 0; steps != 0 && i <= steps; i++) {
        int t = flip ? steps - i : i;
        volatile double product = rise / steps * t; /* no fused add */
        if (across) {
            walk_to(w, bx + t, (int)(by + product + 0.5));
        } else {
            walk_to(w, (int)(bx + product + 0.5), by + t);
        }
    }
}

void ref_polygon_fill(const double *xy, size_t points, size_t height, size_t width, uint8_t *mask)
{
    walk w = {.height = height, .width = width};
    w.toggles = calloc((width + 1) * (height + 1), sizeof *w.toggles);
    for (size_t i = 0; i < points; i++) {
        const double *a = xy + 2 * i, *b = xy + 2 * ((i + 1) % points);
        walk_edge(&w, (int)(5 * a[0] + 0.5), (int)(5 * a[1] + 0.5), (int)(5 * b[0] + 0.5),
                  (int)(5 * b[1] + 0.5));
    }
    bool inside = false; /* goes on from the foot of a column to the head of the next */
    for (size_t x = 0; x < width; x++) {
        for (size_t y = 0; y <= height; y++) {
            inside ^= w.toggles[x * (height + 1) + y];
            if (y < height) {
                mask[y * width + x] = inside;
            }
        }
    }
    free(w.toggles);
}

/* ---- Pillow ---- */

static double pillow_filter(sa_resize_filter filter, double x)
{
    x = x < 0 ? -x : x;
    if (filter == SA_RESIZE_BILINEAR) {
        return x < 1 ? 1 - x : 0;
    }
    double a = -0.5;
    return x < 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/* Output i of a line of `in` pixels `step` bytes apart. */
static uint8_t pillow_pixel(sa_resize_filter filter, const uint8_t *line, size_t step, size_t in, size_t out,
                            size_t i)
{
    double scale = (double)in / (double)out, stretch = scale < 1 ? 1 : scale;
    double support = stretch * (filter == SA_RESIZE_BILINEAR ? 1 : 2), centre = ((double)i + 0.5) * scale;
    int first = (int)(centre - support + 0.5), last = (int)(centre + support + 0.5);
    first = first < 0 ? 0 : first;
    last = last > (int)in ? (int)in : last;
    double sum = 0;
    for (int k = first; k < last; k++) {
        sum += pillow_filter(filter, (k - centre + 0.5) * (1.0 / stretch));
    }
    int64_t total = 1 << 21;
    for (int k = first; k < last; k++) {
        double w = pillow_filter(filter, (k - centre + 0.5) * (1.0 / stretch)) / sum * 4194304.0;
        total += (int64_t)(w < 0 ? w - 0.5 : w + 0.5) * line[(size_t)k * step];
    }
    total >>= 22;
    return (uint8_t)(total < 0 ? 0 : total > 255 ? 255 : total);
}

void ref_resize_u8(const sa_resize_u8_args *a)
{
    size_t c = a->channels, row = a->out_width * c;
    uint8_t *middle = malloc(a->in_height * row);
    for (size_t y = 0; y < a->in_height; y++) {
        for (size_t i = 0; i < row; i++) {
            const uint8_t *line = a->in + y * a->in_stride + i % c;
            middle[y * row + i] = a->in_width == a->out_width
                                      ? line[i / c * c]
                                      : pillow_pixel(a->filter, line, c, a->in_width, a->out_width, i / c);
        }
    }
    for (size_t y = 0; y < a->out_height; y++) {
        for (size_t i = 0; i < row; i++) {
            a->out[y * a->out_stride + i] =
                a->in_height == a->out_height
                    ? middle[y * row + i]
                    : pillow_pixel(a->filter, middle + i, row, a->in_height, a->out_height, y);
        }
    }
    free(middle);
}

/* ---- torch ---- */

static double keys_kernel(double x)
{
    const double a = -0.75;
    x = fabs(x);
    return x <= 1  ? ((a + 2) * x - (a + 3)) * x * x + 1
           : x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
                   : 0;
}

/* Weights of the taps floor(src)-1 .. +2 of output i, and the first of them. */
static long torch_taps(const sa_resize_f32_args *p, size_t in, size_t out, size_t i, double weight[4])
{
    float scale =
        p->align_corners ? (out > 1 ? (float)(in - 1) / (float)(out - 1) : 0) : (float)in / (float)out;
    float src = p->align_corners ? scale * (float)i : scale * ((float)i + 0.5f) - 0.5f;
    if (p->filter == SA_RESIZE_BILINEAR && src < 0) {
        src = 0;
    }
    double t = (double)src - floor((double)src);
    for (int k = 0; k < 4; k++) {
        double away = t + 1 - k;
        weight[k] = p->filter == SA_RESIZE_BICUBIC ? keys_kernel(away) : fmax(0.0, 1 - fabs(away));
    }
    return (long)floorf(src) - 1;
}

static size_t clamped(long at, size_t in)
{
    return at < 0 ? 0 : at >= (long)in ? in - 1 : (size_t)at;
}

static double torch_pixel(const sa_resize_f32_args *p, const float *plane, size_t step, size_t y, size_t x)
{
    double down[4], across[4], sum = 0;
    long top = torch_taps(p, p->in_height, p->out_height, y, down);
    long left = torch_taps(p, p->in_width, p->out_width, x, across);
    for (int j = 0; j < 4; j++) {
        for (int k = 0; k < 4; k++) {
            size_t at = clamped(top + j, p->in_height) * p->in_width + clamped(left + k, p->in_width);
            sum += down[j] * across[k] * (double)plane[at * step];
        }
    }
    return sum;
}

void ref_resize_f32(const sa_resize_f32_args *p)
{
    size_t out_pixels = p->out_height * p->out_width, in_pixels = p->in_height * p->in_width;
    for (size_t c = 0; c < p->channels; c++) {
        for (size_t i = 0; i < out_pixels; i++) {
            const float *plane = p->channels_last ? p->in + c : p->in + c * in_pixels;
            double value =
                torch_pixel(p, plane, p->channels_last ? p->channels : 1, i / p->out_width, i % p->out_width);
            p->out[p->channels_last ? i * p->channels + c : c * out_pixels + i] = (float)value;
        }
    }
}

/* ---- distances ---- */

static int64_t nearest_outside(const uint8_t *mask, long height, long width, bool border, long y, long x)
{
    int64_t least = INT32_MAX;
    long margin = border ? 1 : 0;
    for (long v = -margin; v < height + margin; v++) {
        for (long u = -margin; u < width + margin; u++) {
            bool outside = v < 0 || u < 0 || v >= height || u >= width || mask[v * width + u] == 0;
            int64_t d = (int64_t)(v - y) * (v - y) + (int64_t)(u - x) * (u - x);
            if (outside && d < least) {
                least = d;
            }
        }
    }
    return least;
}

void ref_distance_squared(const uint8_t *mask, size_t height, size_t width, bool border_outside,
                          int32_t *squared)
{
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            squared[y * width + x] =
                (int32_t)nearest_outside(mask, (long)height, (long)width, border_outside, (long)y, (long)x);
        }
    }
}
