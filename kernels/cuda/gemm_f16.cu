/* gemm of f16 operands: the kernels of gemm_tile.cuh, for the f16 tiles of gemm.h. */
#include "kernels/cuda/gemm_tile.cuh"

#define KERNEL(...) GEMM_KERNEL(f16, SA_F16, __VA_ARGS__)
GEMM_TILES_F16(KERNEL)
