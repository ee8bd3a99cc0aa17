/*
 * Masks: one bit a pixel, what every stage after the segmenter works on.
 *
 *   segmenter logits -> [ sa_mask ] -> distances (annotator), IoU (rewards, metrics), RLE (files), overlay
 *
 * Pixel (x, y) is bit x % 64 of bits[y * stride_words + x / 64]. Every row starts on a new word, and the bits
 * past the width are zero at all times, so that counts, comparisons and hashes go word by word without
 * looking at the width.
 */
#ifndef SA_IMAGE_MASK_H
#define SA_IMAGE_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"

typedef struct {
    size_t height, width;
    size_t stride_words; /* (width + 63) / 64 */
    uint64_t *bits;      /* [height, stride_words], owned; not NULL even when that is 0 */
} sa_mask;

/* Pixels x .. x+width-1, y .. y+height-1; all 0 for an empty mask. */
typedef struct {
    size_t x, y, width, height;
} sa_mask_box;

/*
 * An all-zero mask of height x width pixels (either may be 0). SA_NO_ROOM, and *mask zeroed, when the size is
 * past 2^34 words or there is no memory. sa_mask_free of a zeroed or freed mask does nothing.
 */
sa_status sa_mask_new(sa_mask *mask, size_t height, size_t width, sa_error *err);
void sa_mask_free(sa_mask *mask);
/* A new mask with the same content. */
sa_status sa_mask_copy(sa_mask *mask, const sa_mask *source, sa_error *err);

/* One pixel; x and y inside the mask. */
static inline bool sa_mask_get(const sa_mask *mask, size_t x, size_t y)
{
    return (mask->bits[y * mask->stride_words + x / 64] >> (x % 64)) & 1u;
}

static inline void sa_mask_set(sa_mask *mask, size_t x, size_t y, bool on)
{
    uint64_t *word = &mask->bits[y * mask->stride_words + x / 64];
    uint64_t bit = (uint64_t)1 << (x % 64);
    *word = on ? *word | bit : *word & ~bit;
}

/* Every pixel at once. */
void sa_mask_fill(sa_mask *mask, bool on);

/* Pixels that are set. */
size_t sa_mask_area(const sa_mask *mask);
/* The smallest box that holds every set pixel. */
sa_mask_box sa_mask_bbox(const sa_mask *mask);
/* Same size and same content. */
bool sa_mask_equal(const sa_mask *a, const sa_mask *b);
/*
 * 64 bits over size and content, the same on every machine and device (op mask_hash of kernels.h); not meant
 * against an adversary. Masks of one size that differ in one word of bits have different hashes, always.
 */
uint64_t sa_mask_hash(const sa_mask *mask);

/* Counts of (a and b) and of (a or b), and their quotient, 0 when both masks are empty. Same sizes. */
size_t sa_mask_intersection(const sa_mask *a, const sa_mask *b);
size_t sa_mask_union(const sa_mask *a, const sa_mask *b);
double sa_mask_iou(const sa_mask *a, const sa_mask *b);

/* out = a op b, pixel by pixel; all of one size; out may be a or b. AND_NOT is a and not b. */
typedef enum { SA_MASK_AND, SA_MASK_OR, SA_MASK_XOR, SA_MASK_AND_NOT } sa_mask_op;
void sa_mask_combine(sa_mask *out, const sa_mask *a, const sa_mask *b, sa_mask_op op);

/* Byte masks [height, width], row-major: any byte but 0 sets the pixel; a set pixel becomes the byte `on`. */
void sa_mask_from_bytes(sa_mask *mask, const uint8_t *bytes);
void sa_mask_to_bytes(const sa_mask *mask, uint8_t *bytes, uint8_t on);
/* Sets the pixels with values[y * width + x] > threshold (NaN is not); values [height, width] f32. */
void sa_mask_from_f32(sa_mask *mask, const float *values, float threshold);

#endif
