/* gemm_pack.h: what gemm_pack.c and gemm_pack.cu agree on. The packed layout stands in gemm.h. */
#ifndef SA_KERNELS_CUDA_GEMM_PACK_H
#define SA_KERNELS_CUDA_GEMM_PACK_H

#include <stddef.h>
#include <stdint.h>

enum {
    SA_GEMM_PACK_THREADS = 256, /* of the 16-bit kernel, a pair of values each */
    SA_GEMM_PACK_TILE = 32,     /* the f32 kernel transposes squares of this side */
    SA_GEMM_PACK_ROWS = 8,      /* rows of the square that its block of 32 x 8 threads takes at a time */
};

typedef struct {
    const unsigned char *source; /* [n,k] of source_dtype */
    void *packed;
    size_t n, k, ld;             /* ld: of packed */
    int32_t source_dtype, dtype; /* sa_dtype */
    int32_t aligned;             /* source stands on its elements' natural border */
} sa_gemm_pack_kernel_args;

#endif
