/* The argument of the mask_resize kernels (mask_resize.cu), filled by mask_resize.c. */
#ifndef SA_KERNELS_CUDA_MASK_RESIZE_H
#define SA_KERNELS_CUDA_MASK_RESIZE_H

#include <stdint.h>

enum {
    SA_MASK_RESIZE_THREADS = 256, /* of mask_resize_columns */
    SA_MASK_RESIZE_WARPS = 4,     /* of mask_resize_rows */
    SA_MASK_RESIZE_ROWS = 8,      /* of the mask that a warp makes */
};

/* One bilinear step along one axis: output i stands at (i + 0.5) * scale - 0.5 among `in` inputs. */
typedef struct {
    uint32_t in;
    float scale;
} sa_cuda_blend_axis;

typedef struct {
    const float *low;
    float *rows; /* the workspace: [low_side, pitch] f32, the low map's rows in the mask's width */
    uint32_t *bits;
    uint32_t low_side, pitch, height, width, words; /* words: of 32 bits in a row of the mask */
    /* frame from low (both ways the same), the mask from the crop of the frame. */
    sa_cuda_blend_axis frame, mask_x, mask_y;
    float threshold;
} sa_cuda_mask_resize_args;

#endif
