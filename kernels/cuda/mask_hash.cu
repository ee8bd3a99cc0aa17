/*
 * mask_hash on the GPU: contract in kernels.h, formula in kernels/mask_hash.h. Mask -> one number, so that
 * the host need not go through its words to know equal ones.
 *
 *   mask_hash_parts, at most 1024 blocks: strips of 1024 words, turn by turn -> a sum for each block
 *   mask_hash_finish, one block: their sum, height, width -> hash
 *
 * Two kernels, because a counter of blocks, or a sum that all blocks add to, would have to be zeroed first,
 * which is a launch as well. Integer sums are the same in any order.
 */
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/mask_hash.h"
#include "kernels/mask_hash.h"

enum { WARPS = SA_MASK_HASH_THREADS / 32 };

/* The sum over the block, for every thread. */
SA_DEVICE uint64_t block_sum(uint64_t x)
{
    __shared__ uint64_t sums[WARPS];
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
        x += __shfl_xor_sync(0xffffffffu, x, step);
    }
    if (lane_id() == 0) {
        sums[threadIdx.x / 32] = x;
    }
    __syncthreads(); /* the warps' sums are there */
    x = 0;
#pragma unroll
    for (int i = 0; i < WARPS; i++) {
        x += sums[i];
    }
    return x;
}

/* What word i * THREADS + thread of the strip at `first` adds, for all i; all loads before the first use. */
SA_DEVICE uint64_t strip_sum(const sa_cuda_mask_hash_args &a, uint64_t first)
{
    uint64_t word[SA_MASK_HASH_WORDS], sum = 0;
#pragma unroll
    for (int i = 0; i < SA_MASK_HASH_WORDS; i++) {
        uint64_t at = first + i * SA_MASK_HASH_THREADS + threadIdx.x;
        word[i] = at < a.words ? a.bits[at] : 0; /* zeros add nothing */
    }
#pragma unroll
    for (int i = 0; i < SA_MASK_HASH_WORDS; i++) {
        sum += sa_mask_hash_word(word[i], first + i * SA_MASK_HASH_THREADS + threadIdx.x);
    }
    return sum;
}

extern "C" __global__ void __launch_bounds__(SA_MASK_HASH_THREADS)
    mask_hash_parts(const __grid_constant__ sa_cuda_mask_hash_args a)
{
    const uint64_t stride = (uint64_t)gridDim.x * SA_MASK_HASH_STRIP;
    uint64_t sum = 0;
    for (uint64_t first = (uint64_t)blockIdx.x * SA_MASK_HASH_STRIP; first < a.words; first += stride) {
        sum += strip_sum(a, first);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        a.parts[blockIdx.x] = sum;
    }
}

extern "C" __global__ void __launch_bounds__(SA_MASK_HASH_THREADS)
    mask_hash_finish(const __grid_constant__ sa_cuda_mask_hash_args a)
{
    uint64_t sum = 0;
    for (unsigned i = threadIdx.x; i < a.part_count; i += SA_MASK_HASH_THREADS) {
        sum += a.parts[i];
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        a.hash[0] = sa_mask_hash_finish(sum, a.height, a.width);
    }
}
