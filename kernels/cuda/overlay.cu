/*
 * overlay on the GPU: contract in kernels.h. Picture and mask -> what the multimodal model sees.
 *
 * The picture is a flat string of bytes: a thread takes 16 of them (1 where the addresses do not allow it),
 * with the mask bits of the at most 7 pixels that they belong to. Lookups in the table meet banks as the
 * pixels will have it. Grid (ceil(bytes / 4096)), 256 threads.
 */
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/overlay.h"

SA_DEVICE unsigned mask_bit(const sa_cuda_overlay_args &a, uint32_t pixel)
{
    uint32_t y = pixel / a.width, x = pixel % a.width;
    return y < a.height ? a.bits[(size_t)y * a.words + x / 32] >> (x % 32) & 1u : 0u;
}

/* Bit k: whether pixel + k is set, k < 7. */
SA_DEVICE unsigned seven_bits(const sa_cuda_overlay_args &a, uint32_t pixel)
{
    uint32_t y = pixel / a.width, x = pixel % a.width;
    const uint32_t *word = a.bits + (size_t)y * a.words + x / 32;
    uint32_t low = word[0], high = x % 32 > 25 && x / 32 + 1 < a.words ? word[1] : 0;
    unsigned bits = __funnelshift_r(low, high, x % 32) & 127u; /* bits past the row's end are 0 */
    for (uint32_t k = a.width - x; k < 7; k++) {
        bits |= mask_bit(a, pixel + k) << k;
    }
    return bits;
}

/* `count` bytes of 4 words, the first of them byte `at` of the picture. */
SA_DEVICE void paint(const sa_cuda_overlay_args &a, const uint8_t *table, uint32_t at, uint32_t (&words)[4])
{
    unsigned bits = seven_bits(a, at / 3), channel = at % 3;
#pragma unroll
    for (int i = 0; i < 16; i++) {
        uint32_t shift = i % 4 * 8, old = words[i / 4] >> shift & 255u;
        if (bits & 1u) {
            words[i / 4] ^= (old ^ table[channel * 256 + old]) << shift;
        }
        bits >>= channel == 2;
        channel = channel == 2 ? 0 : channel + 1;
    }
}

SA_DEVICE void paint_byte(const sa_cuda_overlay_args &a, const uint8_t *table, uint32_t at)
{
    uint8_t old = a.pixels[at];
    a.y[at] = mask_bit(a, at / 3) ? table[at % 3 * 256 + old] : old;
}

SA_DEVICE void load_table(const sa_cuda_overlay_args &a, uint8_t *table)
{
    for (unsigned i = threadIdx.x; i < 3 * 256; i += SA_OVERLAY_THREADS) {
        table[i] = a.table[i];
    }
    __syncthreads(); /* the table is everybody's */
}

extern "C" __global__ void __launch_bounds__(SA_OVERLAY_THREADS)
    overlay_16(const __grid_constant__ sa_cuda_overlay_args a)
{
    __shared__ uint8_t table[3 * 256];
    load_table(a, table);
    uint32_t at = (blockIdx.x * SA_OVERLAY_THREADS + threadIdx.x) * 16;
    if (at < a.size && a.size - at >= 16) {
        uint4 piece = *(const uint4 *)(a.pixels + at);
        uint32_t words[4] = {piece.x, piece.y, piece.z, piece.w};
        paint(a, table, at, words);
        *(uint4 *)(a.y + at) = make_uint4(words[0], words[1], words[2], words[3]);
    } else {
        for (; at < a.size; at++) {
            paint_byte(a, table, at);
        }
    }
}

extern "C" __global__ void __launch_bounds__(SA_OVERLAY_THREADS)
    overlay_1(const __grid_constant__ sa_cuda_overlay_args a)
{
    __shared__ uint8_t table[3 * 256];
    load_table(a, table);
    uint32_t at = blockIdx.x * SA_OVERLAY_THREADS + threadIdx.x;
    if (at < a.size) {
        paint_byte(a, table, at);
    }
}
