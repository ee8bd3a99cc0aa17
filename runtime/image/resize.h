/*
 * Resizing, two kinds that must not be mixed up:
 *
 *   sa_resize_u8    Pillow's: bytes, antialiased when shrinking, bicubic a = -0.5    image -> network input
 *   sa_resize_f32   torch's: floats, no antialias, bicubic A = -0.75                 logits, position tables
 *
 * MODEL_SPECS 1.3 to 1.5.
 */
#ifndef SA_IMAGE_RESIZE_H
#define SA_IMAGE_RESIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/pool.h"
#include "runtime/base/status.h"

typedef enum { SA_RESIZE_BILINEAR, SA_RESIZE_BICUBIC } sa_resize_filter;

typedef struct {
    const uint8_t *in; /* [in_height, in_width, channels], rows in_stride bytes apart */
    size_t in_height, in_width, in_stride;
    uint8_t *out; /* [out_height, out_width, channels], rows out_stride bytes apart; no overlap with in */
    size_t out_height, out_width, out_stride;
    size_t channels; /* 1 .. 4 */
    sa_resize_filter filter;
    /* If not 0: out is only the window of this whole whose first row and column are top and left. */
    size_t whole_height, whole_width, top, left;
} sa_resize_u8_args;

/*
 * Pillow's Image.resize, equal byte for byte (alpha is a channel like the others).
 *
 *   For output i: scale = in/out, stretch = max(scale, 1), support = stretch * (1 or 2),
 *   centre = (i + 0.5) * scale; taps trunc(centre - support + 0.5) .. trunc(centre + support + 0.5) - 1,
 *   cut to the image; weight f((tap - centre + 0.5) / stretch) over their sum, as an integer in 1/2^22,
 *   rounded half away from zero.
 *   out = clip8((2^21 + sum weight * in) >> 22)
 *
 * Across first, then down, with 8 bits between; a direction that keeps its size is skipped.
 *
 * This is Pillow up to 11, which the models were published with. From 12 on Pillow goes down first for very
 * tall images, from 13 on for many shapes that shrink in height; that changes bytes by 1.
 *
 * Sizes from 1 to 2^20, of a whole to 2^40; SA_BAD_INPUT for others. The pool (NULL: this thread alone) does
 * not change the result. Reference: ref_resize_u8, equal in every byte.
 */
sa_status sa_resize_u8(const sa_resize_u8_args *args, sa_pool *pool, sa_error *err);

/* The same with memory of the caller's: *bytes of it, aligned to 64. */
sa_status sa_resize_u8_workspace(const sa_resize_u8_args *args, size_t *bytes, sa_error *err);
void sa_resize_u8_run(const sa_resize_u8_args *args, void *workspace, sa_pool *pool);

/*
 * One axis of the same resize as a table for the op image_resize of kernels.h. Of `out` outputs, those from
 * `first` on: [count, 2 + taps] i32, row i holds the first tap, how many, and their weights in 1/2^22, then
 * zeros. taps is 1 where the size does not change; if then the window is the whole, the axis needs no table.
 * Sizes as above.
 */
size_t sa_resize_u8_taps(sa_resize_filter filter, size_t in, size_t out);
void sa_resize_u8_table(sa_resize_filter filter, size_t in, size_t out, size_t first, size_t count,
                        int32_t *table);

typedef struct {
    const float *in; /* [channels, in_height, in_width], or [in_height, in_width, channels] */
    float *out;      /* the same with the output's size; no overlap with in */
    size_t channels; /* any number: a batch of planes is more channels */
    size_t in_height, in_width, out_height, out_width;
    bool channels_last;
    bool align_corners;
    sa_resize_filter filter;
} sa_resize_f32_args;

/*
 * torch's F.interpolate(mode = "bilinear" or "bicubic"), positions and weights in f32 as there.
 *
 *   src(i) = (i + 0.5) * in/out - 0.5, or i * (in-1)/(out-1) with align_corners (0 when out is 1)
 *   bilinear: src clamped to >= 0; taps floor(src), +1; weights 1-t, t with t = src - floor(src)
 *   bicubic:  taps floor(src)-1 .. +2, Keys' kernel with A = -0.75
 *   taps outside are moved to the border.
 *
 * An unchanged size is a copy. Sizes from 1 to 2^24; SA_BAD_INPUT for others. The pool does not change the
 * result. Reference: ref_resize_f32. Tolerance: 8 ulp of the largest |in| (bicubic 24), plus what an ulp of
 * src moves the result; plane_tolerance() in the test derives it.
 */
sa_status sa_resize_f32(const sa_resize_f32_args *args, sa_pool *pool, sa_error *err);
sa_status sa_resize_f32_workspace(const sa_resize_f32_args *args, const sa_pool *pool, size_t *bytes,
                                  sa_error *err);
void sa_resize_f32_run(const sa_resize_f32_args *args, void *workspace, sa_pool *pool);

#endif
