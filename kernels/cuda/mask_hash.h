/* What mask_hash.c and mask_hash.cu agree on. */
#ifndef SA_KERNELS_CUDA_MASK_HASH_H
#define SA_KERNELS_CUDA_MASK_HASH_H

#include <stdint.h>

enum {
    SA_MASK_HASH_THREADS = 256,
    SA_MASK_HASH_WORDS = 4, /* that a thread has under way */
    SA_MASK_HASH_STRIP = SA_MASK_HASH_THREADS * SA_MASK_HASH_WORDS,
    SA_MASK_HASH_MOST_PARTS = 1024, /* blocks of the first kernel: enough to fill any GPU */
};

/* Of both kernels. */
typedef struct {
    const uint64_t *bits;
    uint64_t *parts; /* a sum for each block of the first kernel */
    uint64_t *hash;
    uint64_t words, height, width;
    uint32_t part_count;
} sa_cuda_mask_hash_args;

#endif
