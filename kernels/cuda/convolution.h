/* Arguments of the kernels of convolution_widen.cu. */
#ifndef SA_KERNELS_CUDA_CONVOLUTION_H
#define SA_KERNELS_CUDA_CONVOLUTION_H

#include <stdint.h>

enum { SA_CONVOLUTION_THREADS = 256 };

typedef struct {
    const void *x;     /* [rows, n] bf16 or f16, 16-byte aligned */
    const float *bias; /* [n] or NULL */
    float *y;          /* [rows, n] */
    uint64_t pieces;   /* of eight values: rows * n / 8 */
    uint32_t n;        /* a multiple of 8 */
} sa_cuda_widen_args;

#endif
