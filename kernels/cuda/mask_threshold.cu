/*
 * mask_threshold on the GPU: contract in kernels.h. A warp takes 256 pixels of a row, 8 for each lane. Grid
 * (strips of a row, rows / 4), 4 warps.
 */
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/mask_threshold.h"

/* A strip is 256 pixels of a row: 8 words of 32 bits, the least that fills a sector of 32 bytes. */
enum { MASK_WORDS = 8, MASK_STRIP = 32 * MASK_WORDS };

/*
 * Writes a strip; all 32 lanes call. set[i] is the lane's pixel x = strip * 256 + i * 32 + lane; `row` are
 * the words of the mask's row, `words` of them: a u64 is two, the lower one first.
 */
SA_DEVICE void store_strip(uint32_t *row, unsigned words, unsigned strip, const bool (&set)[MASK_WORDS])
{
    unsigned lane = lane_id(), mine = 0;
#pragma unroll
    for (unsigned i = 0; i < MASK_WORDS; i++) {
        unsigned word = __ballot_sync(0xffffffffu, set[i]);
        mine = lane == i ? word : mine;
    }
    unsigned at = strip * MASK_WORDS + lane;
    if (lane < MASK_WORDS && at < words) {
        row[at] = mine;
    }
}

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
