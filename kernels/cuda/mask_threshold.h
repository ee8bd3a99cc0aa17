/* The argument of mask_threshold.cu, filled by mask_threshold.c. */
#ifndef SA_KERNELS_CUDA_MASK_THRESHOLD_H
#define SA_KERNELS_CUDA_MASK_THRESHOLD_H

#include <stdint.h>

enum { SA_MASK_THRESHOLD_WARPS = 4 };

typedef struct {
    const float *logits;
    uint32_t *bits;
    uint32_t height, width, words; /* of 32 bits in a row of the mask, an even number */
    float threshold;
} sa_cuda_mask_threshold_args;

#endif
