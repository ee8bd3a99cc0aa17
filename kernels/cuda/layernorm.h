/*
 * The argument of the layernorm kernels (layernorm.cu), filled by layernorm.c.
 *
 * How a row is summed follows from d alone. d % 4 == 0 and d <= 2048: "quads", each lane holds 4 neighbouring
 * values at a time. Other d <= 512: "singles", one at a time. A row longer than that: "wide", a block a row.
 */
#ifndef SA_KERNELS_CUDA_LAYERNORM_H
#define SA_KERNELS_CUDA_LAYERNORM_H

#include <stdint.h>

enum {
    SA_LAYERNORM_THREADS = 256,
    SA_LAYERNORM_PASSES = 4, /* rows that a group of lanes takes: w and b are read once for all of them */
    SA_LAYERNORM_MOST_QUADS = 2048, /* longest rows of the kernels that keep a row in registers */
    SA_LAYERNORM_MOST_SINGLES = 512,
};

typedef struct {
    const float *x, *w, *b;
    void *y;
    uint64_t rows;
    uint32_t d;
    uint32_t lanes; /* of a row: a power of two, at most 32 */
    float eps;
    int32_t act;
    int32_t x_aligned, y_aligned; /* rows on 16-byte borders (y of 16 bits: 8-byte borders) */
} sa_cuda_layernorm_args;

#endif
