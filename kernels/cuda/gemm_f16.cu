/* gemm of f16 operands: the kernels of gemm_tile.cuh, one for each tile of gemm.h. */
#include "kernels/cuda/gemm_tile.cuh"

#define KERNEL(...) GEMM_KERNEL(f16, SA_F16, __VA_ARGS__)
GEMM_TILES(KERNEL)
