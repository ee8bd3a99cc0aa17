/* Bytes at any address, brought in by whole 16-byte accesses; what patchify and image_resize share. Device
 * code only. */
#ifndef SA_KERNELS_CUDA_BYTES_CUH
#define SA_KERNELS_CUDA_BYTES_CUH

#include "kernels/cuda/device.cuh"

/* 16 bytes from `at` on, on a 16-byte border, of which only [begin, end) may be read; the others are 0. */
SA_DEVICE uint4 load_within(const uint8_t *at, const uint8_t *begin, const uint8_t *end)
{
    if (at >= begin && at + 16 <= end) {
        return *(const uint4 *)at;
    }
    uint32_t word[4] = {0, 0, 0, 0};
#pragma unroll
    for (int i = 0; i < 16; i++) {
        if (at + i >= begin && at + i < end) {
            word[i / 4] |= (uint32_t)at[i] << (i % 4 * 8);
        }
    }
    return make_uint4(word[0], word[1], word[2], word[3]);
}

/*
 * The bytes [from, from + count) into `room` bytes of shared memory, a multiple of 16; the block's threads
 * share the work. Byte i lands at (from % 16) + i, which is why room must exceed count by up to 15. In the
 * same pieces of 16 stand their neighbours in [begin, end), which holds all that may be read; the rest is 0.
 */
SA_DEVICE void load_bytes(uint4 *shared, unsigned room, const uint8_t *from, unsigned count,
                          const uint8_t *begin, const uint8_t *end)
{
    const uint8_t *start = from - (uintptr_t)from % 16, *stop = count != 0 ? from + count : start;
    for (unsigned i = threadIdx.x; i < room / 16; i += blockDim.x) {
        const uint8_t *at = start + i * 16;
        shared[i] = at < stop ? load_within(at, begin, end) : make_uint4(0, 0, 0, 0);
    }
}

/* 16 bytes to a 16-byte border, in one access: nvcc sometimes makes four of an assignment. */
SA_DEVICE void store_16(void *to, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)), "r"(a),
                 "r"(b), "r"(c), "r"(d)
                 : "memory");
}

#endif
