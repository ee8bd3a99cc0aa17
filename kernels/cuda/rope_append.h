/* The argument of rope_append.cu, filled by rope_append.c. */
#ifndef SA_KERNELS_CUDA_ROPE_APPEND_H
#define SA_KERNELS_CUDA_ROPE_APPEND_H

#include <stdint.h>

enum { SA_ROPE_THREADS = 64 };

typedef struct {
    void *qkv;
    const int32_t *position, *slot;
    const float *table;
    void *k_pages, *v_pages;
    uint32_t heads, kv_heads, head_dim;
    uint32_t heads_a_block; /* of the row's H + 2*Hkv */
} sa_cuda_rope_append_args;

#endif
