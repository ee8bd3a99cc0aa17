/* The argument of the im2col kernels (im2col.cu), filled by im2col.c. */
#ifndef SA_KERNELS_CUDA_IM2COL_H
#define SA_KERNELS_CUDA_IM2COL_H

#include <stdint.h>

enum { SA_IM2COL_THREADS = 256 };

/* A "piece" is what one access moves: 2, 4, 8 or 16 bytes of the channels of a pixel. */
typedef struct {
    const void *x;
    void *y;
    uint32_t height, width, out_height, out_width;
    uint32_t pieces; /* of a pixel */
    uint32_t kernel, stride, pad;
} sa_cuda_im2col_args;

#endif
