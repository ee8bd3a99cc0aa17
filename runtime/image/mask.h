/* A binary mask, one bit per pixel. */
#ifndef SA_IMAGE_MASK_H
#define SA_IMAGE_MASK_H

#include <stddef.h>
#include <stdint.h>

/* Pixel (y, x) is bit x%64 of bits[y*stride_words + x/64]; bits beyond `width` are zero. */
typedef struct {
    size_t height, width, stride_words;
    uint64_t *bits;
} sa_mask;

#endif
