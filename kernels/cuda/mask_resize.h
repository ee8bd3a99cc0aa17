/* The argument of mask_resize.cu, filled by mask_resize.c. */
#ifndef SA_KERNELS_CUDA_MASK_RESIZE_H
#define SA_KERNELS_CUDA_MASK_RESIZE_H

#include <stdint.h>

enum {
    SA_MASK_RESIZE_WARPS = 16,
    SA_MASK_RESIZE_WORDS = 64,     /* of 32 pixels, that a block makes of a row, at most */
    SA_MASK_RESIZE_ROWS = 64,      /* of the mask that it makes, at most */
    SA_MASK_RESIZE_HELD = 7680,    /* values of the low map that it keeps in shared memory */
    SA_MASK_RESIZE_PIXELS = 10240, /* that a block makes at least */
};

/* One bilinear step along one axis: output i stands at (i + 0.5) * scale - 0.5 among `in` inputs. */
typedef struct {
    uint32_t in;
    float scale;
} sa_cuda_blend_axis;

typedef struct {
    const float *low;
    uint32_t *bits;
    uint32_t low_side, height, width, words; /* words: of 32 bits in a row of the mask */
    uint32_t rows;                           /* of a block */
    /* frame from low (both ways the same), the mask from the crop of the frame. */
    sa_cuda_blend_axis frame, mask_x, mask_y;
    float threshold;
} sa_cuda_mask_resize_args;

#endif
