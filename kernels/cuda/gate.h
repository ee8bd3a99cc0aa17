/* The argument of gate.cu, filled by gate.c. */
#ifndef SA_KERNELS_CUDA_GATE_H
#define SA_KERNELS_CUDA_GATE_H

#include <stdint.h>

enum { SA_GATE_THREADS = 128, SA_GATE_PIECES = 2 /* of a thread */ };

typedef struct {
    const void *x;
    void *y;
    uint64_t width;
} sa_cuda_gate_args;

#endif
