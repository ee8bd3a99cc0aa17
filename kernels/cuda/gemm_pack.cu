/*
 * gemm_pack: brings w into the layout of gemm.h, zeros filled in. Contract in kernels.h. Runs once per
 * weight, at load; bound by the reads of `source`, which come in whole lines whatever its alignment.
 */
#include "kernels/cuda/gemm_pack.h"

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/gemm.h"

/* Element `index` of the source; byte by byte where it is not aligned. */
SA_DEVICE float pack_load(const sa_gemm_pack_kernel_args &args, size_t index)
{
    if (args.aligned) {
        return load_as((sa_dtype)args.source_dtype, args.source, index);
    }
    uint32_t bits = 0, size = args.source_dtype == SA_F32 ? 4 : 2;
    for (uint32_t i = 0; i < size; i++) {
        bits |= (uint32_t)args.source[index * size + i] << 8 * i;
    }
    return args.source_dtype == SA_F32    ? __uint_as_float(bits)
           : args.source_dtype == SA_BF16 ? bf16_to_f32(bits)
                                          : f16_to_f32(bits);
}

/* packed [n][ld] bf16 or f16: thread i makes pair i. */
extern "C" __global__ void __launch_bounds__(SA_GEMM_PACK_THREADS)
    gemm_pack_half(const __grid_constant__ sa_gemm_pack_kernel_args args)
{
    size_t pair = (size_t)blockIdx.x * SA_GEMM_PACK_THREADS + threadIdx.x;
    size_t row = pair / (args.ld / 2), k = pair % (args.ld / 2) * 2;
    if (row < args.n) {
        float low = k < args.k ? pack_load(args, row * args.k + k) : 0.0f;
        float high = k + 1 < args.k ? pack_load(args, row * args.k + k + 1) : 0.0f;
        ((uint32_t *)args.packed)[pair] = half_pair((sa_dtype)args.dtype, low, high);
    }
}

/* packed [k up to GEMM_PACK_K][ld = n up to GEMM_PACK_N] f32, the transpose: a block moves a square of 32
 * x 32. */
extern "C" __global__ void __launch_bounds__(SA_GEMM_PACK_TILE *SA_GEMM_PACK_ROWS)
    gemm_pack_f32(const __grid_constant__ sa_gemm_pack_kernel_args args)
{
    __shared__ float square[SA_GEMM_PACK_TILE][SA_GEMM_PACK_TILE + 1]; /* + 1: columns meet all banks */
    size_t first_n = (size_t)blockIdx.x * SA_GEMM_PACK_TILE, first_k = (size_t)blockIdx.y * SA_GEMM_PACK_TILE;
    for (uint32_t i = threadIdx.y; i < SA_GEMM_PACK_TILE; i += SA_GEMM_PACK_ROWS) {
        size_t row = first_n + i, k = first_k + threadIdx.x;
        square[i][threadIdx.x] = row < args.n && k < args.k ? pack_load(args, row * args.k + k) : 0.0f;
    }
    __syncthreads(); /* the square is there: each thread goes on with what others brought */
    for (uint32_t i = threadIdx.y; i < SA_GEMM_PACK_TILE; i += SA_GEMM_PACK_ROWS) {
        ((float *)args.packed)[(first_k + i) * args.ld + first_n + threadIdx.x] = square[threadIdx.x][i];
    }
}
