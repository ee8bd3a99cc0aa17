/*
 * Plain references for runtime/image: one loop for each formula, byte masks [height, width] of 0 and 1, no
 * speed. Sizes of outputs are the caller's business.
 */
#ifndef SA_TESTS_REF_IMAGE_H
#define SA_TESTS_REF_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/image/mask.h"
#include "runtime/image/resize.h"

size_t ref_mask_area(const uint8_t *mask, size_t height, size_t width);
sa_mask_box ref_mask_bbox(const uint8_t *mask, size_t height, size_t width);
/* Pixels where both are set, or either. */
size_t ref_mask_both(const uint8_t *a, const uint8_t *b, size_t pixels);
size_t ref_mask_either(const uint8_t *a, const uint8_t *b, size_t pixels);

/* Runs down the columns, zeros first; counts has room for height * width + 1. Returns how many. */
size_t ref_rle_counts(const uint8_t *mask, size_t height, size_t width, uint32_t *counts);
void ref_rle_fill(const uint32_t *counts, size_t count, size_t height, size_t width, uint8_t *mask);
/* COCO's string of the runs; 7 characters for each run and a zero byte. */
void ref_rle_string(const uint32_t *counts, size_t count, char *text);
/* The polygon of `points` corners, by walking its boundary step by step on the fine grid. */
void ref_polygon_fill(const double *xy, size_t points, size_t height, size_t width, uint8_t *mask);

/* Pillow's resize, every weight anew for every pixel. */
void ref_resize_u8(const sa_resize_u8_args *args);
/* torch's interpolation: positions in f32, everything else in f64. */
void ref_resize_f32(const sa_resize_f32_args *args);

/* Every pixel against every other. */
void ref_distance_squared(const uint8_t *mask, size_t height, size_t width, bool border_outside,
                          int32_t *squared);

#endif
