/*
 * References of the ops that know pixels: patchify, im2col, point_encode, mask_product, mask_resize,
 * mask_threshold, mask_hash, overlay, image_place. (image_resize: ref_resize_u8.)
 */
#include "tests/ref/ref_ops.h"

#include <math.h>
#include <stdlib.h>

void ref_patchify(const sa_patchify_args *args, float *want)
{
    size_t g = args->side / args->patch, p = args->patch;
    for (size_t b = 0; b < args->batch; b++) {
        for (size_t y = 0; y < args->side; y++) {
            for (size_t x = 0; x < args->side; x++) {
                for (size_t ch = 0; ch < 3; ch++) {
                    size_t row = (b * g + y / p) * g + x / p;
                    size_t column = (ch * p + y % p) * p + x % p;
                    double value = 0.0;
                    if (y < args->height[b] && x < args->width[b]) {
                        value = (double)args->pixels[b][(y * args->width[b] + x) * 3 + ch] -
                                (double)args->mean[ch];
                        value /= (double)args->std[ch];
                    }
                    want[row * 3 * p * p + column] = (float)value;
                }
            }
        }
    }
}

/* x [B,h,w,C] at a place that may lie outside. */
static float map_at(const sa_im2col_args *args, const float *x, size_t b, long row, long column, size_t c)
{
    if (row < 0 || column < 0 || row >= (long)args->height || column >= (long)args->width) {
        return 0.0f;
    }
    return x[((b * args->height + (size_t)row) * args->width + (size_t)column) * args->channels + c];
}

void ref_im2col(const sa_im2col_args *args, const float *x, float *want)
{
    long stride = (long)args->stride, pad = (long)args->pad, kernel = (long)args->kernel;
    long oh = ((long)args->height + 2 * pad - kernel) / stride + 1;
    long ow = ((long)args->width + 2 * pad - kernel) / stride + 1;
    for (size_t b = 0; b < args->batch; b++) {
        for (long place = 0; place < oh * ow; place++) {
            for (long tap = 0; tap < kernel * kernel; tap++) {
                long row = place / ow * stride + tap / kernel - pad;
                long column = place % ow * stride + tap % kernel - pad;
                for (size_t c = 0; c < args->channels; c++) {
                    *want++ = map_at(args, x, b, row, column, c);
                }
            }
        }
    }
}

void ref_point_encode(const sa_point_encode_args *args, float *want)
{
    size_t half = args->channels / 2;
    for (size_t i = 0; i < args->n; i++) {
        int kind = args->kind[i];
        double x = 2.0 * (double)args->uv[2 * i] - 1.0, y = 2.0 * (double)args->uv[2 * i + 1] - 1.0;
        for (size_t c = 0; c < args->channels; c++) {
            size_t g = c % half;
            double phase =
                2.0 * acos(-1.0) * (x * (double)args->gaussian[g] + y * (double)args->gaussian[half + g]);
            double value = kind <= -2 ? 0.0 : c < half ? sin(phase) : cos(phase);
            if (kind != -1) {
                size_t row = (size_t)(kind >= 0 ? kind : -kind - 2);
                value += (double)args->table[row * args->channels + c];
            }
            want[i * args->channels + c] = (float)value;
        }
    }
}

void ref_mask_product(const sa_mask_product_args *args, const float *features, float *want)
{
    size_t g = args->side, width = 4 * g;
    for (size_t b = 0; b < args->batch; b++) {
        for (size_t m = 0; m < args->masks; m++) {
            for (size_t Y = 0; Y < width; Y++) {
                for (size_t X = 0; X < width; X++) {
                    size_t y = Y / 4, dy = Y % 4 / 2, ey = Y % 2, x = X / 4, dx = X % 4 / 2, ex = X % 2;
                    size_t row = ((y * g + x) * 4 + dy * 2 + dx) * 4 + ey * 2 + ex;
                    double sum = 0.0;
                    for (size_t c = 0; c < args->channels; c++) {
                        sum += (double)features[(b * g * g * 16 + row) * args->channels + c] *
                               (double)args->hyper[(b * args->masks + m) * args->channels + c];
                    }
                    want[((b * args->masks + m) * width + Y) * width + X] = (float)sum;
                }
            }
        }
    }
}

/* MODEL_SPECS 1.3: where output `index` of `out` stands among `in` inputs. */
static void source_of(size_t index, size_t in, size_t out, size_t *low, size_t *high, double *weight)
{
    double source = ((double)index + 0.5) * (double)in / (double)out - 0.5;
    source = source > 0.0 ? source : 0.0;
    *low = (size_t)floor(source);
    *high = *low + 1 < in ? *low + 1 : in - 1;
    *weight = source - (double)*low;
}

/* from: the upper left [in_h, in_w] of rows of `ld`; to [out_h, out_w]. */
static void bilinear(const double *from, size_t ld, size_t in_h, size_t in_w, double *to, size_t out_h,
                     size_t out_w)
{
    for (size_t y = 0; y < out_h; y++) {
        size_t y0, y1, x0, x1;
        double wy, wx;
        source_of(y, in_h, out_h, &y0, &y1, &wy);
        for (size_t x = 0; x < out_w; x++) {
            source_of(x, in_w, out_w, &x0, &x1, &wx);
            double upper = from[y0 * ld + x0] * (1.0 - wx) + from[y0 * ld + x1] * wx;
            double lower = from[y1 * ld + x0] * (1.0 - wx) + from[y1 * ld + x1] * wx;
            to[y * out_w + x] = upper * (1.0 - wy) + lower * wy;
        }
    }
}

void ref_mask_resize(const sa_mask_resize_args *args, double *logits)
{
    size_t low = args->low_side, frame = args->frame;
    double *small = malloc(low * low * sizeof *small), *framed = malloc(frame * frame * sizeof *framed);
    for (size_t i = 0; i < low * low; i++) {
        small[i] = (double)args->low[i];
    }
    bilinear(small, low, low, low, framed, frame, frame);
    bilinear(framed, frame, args->crop_height, args->crop_width, logits, args->height, args->width);
    free(small);
    free(framed);
}

void ref_mask_threshold(const sa_mask_threshold_args *args, uint8_t *want)
{
    for (size_t i = 0; i < args->height * args->width; i++) {
        want[i] = args->logits[i] > args->threshold ? 1 : 0;
    }
}

/* kernels.h's word(x, i). */
static uint64_t hash_word(uint64_t x, uint64_t i)
{
    const uint64_t factors[3] = {0xff51afd7ed558ccdu, (i + i + 1) * 0x9e3779b97f4a7c15u, 0xc4ceb9fe1a85ec53u};
    for (int step = 0; step < 3; step++) {
        x *= factors[step];
        x ^= x / 4294967296u;
    }
    return x;
}

uint64_t ref_mask_hash(const sa_mask_hash_args *args)
{
    const uint8_t *bytes = (const uint8_t *)args->bits;
    uint64_t words = (args->width + 63) / 64 * args->height, sum = 0;
    for (uint64_t i = words; i-- > 0;) {
        uint64_t word = 0;
        for (int byte = 7; byte >= 0; byte--) {
            word = word * 256 + bytes[i * 8 + (uint64_t)byte];
        }
        sum += hash_word(word, i);
    }
    sum += hash_word(args->height, (uint64_t)-1) + hash_word(args->width, (uint64_t)-2);
    return hash_word(sum, (uint64_t)-3);
}

void ref_overlay(const sa_overlay_args *args, const uint8_t color[3], double alpha, bool nearest,
                 uint8_t *want)
{
    size_t words = (args->width + 63) / 64;
    for (size_t y = 0; y < args->height; y++) {
        for (size_t x = 0; x < args->width; x++) {
            bool set = (args->bits[y * words + x / 64] >> (x % 64) & 1) != 0;
            for (size_t c = 0; c < 3; c++) {
                size_t at = (y * args->width + x) * 3 + c;
                double mixed = (1.0 - alpha) * args->pixels[at] + alpha * color[c];
                mixed = nearest ? rint(mixed) : floor(mixed);
                want[at] = set ? (uint8_t)mixed : args->pixels[at];
            }
        }
    }
}

void ref_image_place(const sa_image_place_args *args, uint8_t *want)
{
    for (size_t r = 0; r < args->canvas_height; r++) {
        for (size_t x = 0; x < args->canvas_width; x++) {
            for (size_t c = 0; c < 3; c++) {
                bool inside = r >= args->top && r < args->top + args->height && x >= args->left &&
                              x < args->left + args->width;
                want[(r * args->canvas_width + x) * 3 + c] =
                    inside ? args->pixels[((r - args->top) * args->width + x - args->left) * 3 + c]
                           : args->color[c];
            }
        }
    }
}
