/* gemm of bf16 operands: the kernels of gemm_tile.cuh, one for each tile of gemm.h. */
#include "kernels/cuda/gemm_tile.cuh"

#define KERNEL(...) GEMM_KERNEL(bf16, SA_BF16, __VA_ARGS__)
GEMM_TILES(KERNEL)
