/* The argument of the mask_product kernels (mask_product.cu), filled by mask_product.c. */
#ifndef SA_KERNELS_CUDA_MASK_PRODUCT_H
#define SA_KERNELS_CUDA_MASK_PRODUCT_H

#include <stdint.h>

enum {
    SA_MASK_PRODUCT_THREADS = 256, /* and feature rows of a block */
    SA_MASK_PRODUCT_MOST = 8,      /* masks */
    SA_MASK_PRODUCT_CHANNELS = 32, /* that stand in shared memory at a time */
};

typedef struct {
    const void *features;
    const float *hyper;
    float *logits;
    uint32_t side, masks, channels;
    uint32_t tiles;   /* blocks of an item */
    uint32_t aligned; /* feature rows are whole pieces of 16 bytes on 16-byte borders */
} sa_cuda_mask_product_args;

#endif
