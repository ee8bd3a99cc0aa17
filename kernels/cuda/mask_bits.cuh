/* Bits of masks, written by a warp; what mask_resize and mask_threshold share. Device code only. */
#ifndef SA_KERNELS_CUDA_MASK_BITS_CUH
#define SA_KERNELS_CUDA_MASK_BITS_CUH

#include "kernels/cuda/device.cuh"

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

#endif
