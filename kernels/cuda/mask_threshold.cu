/*
 * mask_threshold on the GPU: contract in kernels.h. A warp takes 256 pixels of a row, 8 for each lane. Grid
 * (strips of a row, rows / 4), 4 warps.
 */
#include "kernels/cuda/mask_bits.cuh"
#include "kernels/cuda/mask_threshold.h"

extern "C" __global__ void __launch_bounds__(32 * SA_MASK_THRESHOLD_WARPS)
    mask_threshold(const __grid_constant__ sa_cuda_mask_threshold_args a)
{
    unsigned y = blockIdx.y * SA_MASK_THRESHOLD_WARPS + threadIdx.x / 32;
    if (y >= a.height) {
        return;
    }
    bool set[MASK_WORDS];
#pragma unroll
    for (unsigned i = 0; i < MASK_WORDS; i++) {
        unsigned x = blockIdx.x * MASK_STRIP + i * 32 + lane_id();
        set[i] = x < a.width && a.logits[(size_t)y * a.width + x] > a.threshold;
    }
    store_strip(a.bits + (size_t)y * a.words, a.words, blockIdx.x, set);
}
