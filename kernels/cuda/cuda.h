/*
 * What the launchers of the CUDA backend see of the rest: kernels by name, and one way to launch them.
 *
 * Each op is a pair: OP.cu holds device code alone, entry points extern "C"; OP.c is its launcher, plain C,
 * that checks the contract of kernels.h, fills one struct of arguments and calls sa_cuda_launch(). The struct
 * stands in OP.h, which both include; it is the kernel's only parameter, passed by value (at most 4 KB). What
 * is a host array in kernels.h (items, pointers) travels inside that struct, in as many launches as it takes:
 * so no staging memory and no synchronisation is needed.
 *
 * Launchers never allocate and never synchronise. A launch that fails marks the stream; later work on it does
 * nothing and sa_stream_wait() reports the first failure, by the kernel's name.
 */
#ifndef SA_KERNELS_CUDA_CUDA_H
#define SA_KERNELS_CUDA_CUDA_H

#include "kernels/kernels.h"

/* Every entry point of the embedded fat binary, with the dynamic shared memory of a block
 * (kernels/cuda/list.h). */
typedef enum {
#define SA_CUDA_KERNEL(name, shared_bytes) SA_CUDA_##name,
#include "kernels/cuda/list.h"
#undef SA_CUDA_KERNEL
    SA_CUDA_KERNELS
} sa_cuda_kernel;

typedef struct {
    unsigned x, y, z;
} sa_cuda_dim;

typedef struct {
    sa_cuda_kernel kernel;
    sa_cuda_dim grid, block; /* a zero in grid launches nothing; x <= 2^31-1, y and z <= 65535 */
    const void *args;        /* the struct of OP.h; read before sa_cuda_launch() returns */
    size_t args_bytes;       /* its size */
    double flops, bytes;     /* useful work and the least traffic: for profiles and benchmarks */
} sa_cuda_launch_args;

void sa_cuda_launch(sa_stream *stream, const sa_cuda_launch_args *launch);

/* The SMs of the stream's device: for choices among tiles that change no bit of the result. */
unsigned sa_cuda_processors(const sa_stream *stream);

extern const sa_ops sa_cuda_ops;

#endif
