/* The argument of the overlay kernels (overlay.cu), filled by overlay.c. */
#ifndef SA_KERNELS_CUDA_OVERLAY_H
#define SA_KERNELS_CUDA_OVERLAY_H

#include <stdint.h>

enum { SA_OVERLAY_THREADS = 256 };

typedef struct {
    const uint8_t *pixels;
    const uint32_t *bits;
    uint8_t *y;
    uint32_t height, width, words; /* words: of 32 bits in a row of the mask */
    uint32_t size;                 /* bytes of the picture */
    uint8_t table[3 * 256];        /* [channel][value] */
} sa_cuda_overlay_args;

#endif
