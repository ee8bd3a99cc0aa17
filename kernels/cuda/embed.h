/* The argument of embed.cu, filled by embed.c. */
#ifndef SA_KERNELS_CUDA_EMBED_H
#define SA_KERNELS_CUDA_EMBED_H

#include <stdint.h>

enum { SA_EMBED_THREADS = 128, SA_EMBED_PIECES = 4 /* of a thread */ };

typedef struct {
    const int32_t *ids;
    const void *table;
    float *y;
    uint64_t d, row, column; /* elements from one row of the table to the next, and from one column */
} sa_cuda_embed_args;

#endif
