/*
 * The argument of the rmsnorm kernels (rmsnorm.cu), filled by rmsnorm.c.
 *
 * How a row is summed follows from d alone: d % 4 == 0 up to MOST_QUADS:
 * "quads", a block keeps the row in registers, four neighbouring values a thread and part. Else "wide".
 */
#ifndef SA_KERNELS_CUDA_RMSNORM_H
#define SA_KERNELS_CUDA_RMSNORM_H

#include <stdint.h>

enum {
    SA_RMSNORM_THREADS = 256,
    SA_RMSNORM_MOST_PARTS = 8,
    SA_RMSNORM_MOST_QUADS = SA_RMSNORM_THREADS * SA_RMSNORM_MOST_PARTS * 4,
    SA_RMSNORM_MOST_ROWS = 16, /* of a block: w is read once for all of them */
};

typedef struct {
    const float *x, *w;
    void *y;
    uint64_t rows;
    uint32_t d, rows_a_block;
    float eps;
    int32_t aligned; /* x and w on 16-byte borders, y on those of four values */
} sa_cuda_rmsnorm_args;

#endif
