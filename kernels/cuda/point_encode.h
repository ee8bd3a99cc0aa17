/* The argument of point_encode.cu, filled by point_encode.c. */
#ifndef SA_KERNELS_CUDA_POINT_ENCODE_H
#define SA_KERNELS_CUDA_POINT_ENCODE_H

#include <stdint.h>

enum { SA_POINT_ENCODE_THREADS = 128, SA_POINT_ENCODE_POINTS = 16 /* of a block */ };

typedef struct {
    const float *uv;
    const int32_t *kind;
    const float *gaussian, *table;
    float *y;
    uint64_t n;
    uint32_t channels;
} sa_cuda_point_encode_args;

#endif
