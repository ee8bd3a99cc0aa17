/* A 64 x 64 matrix of bits turned over its diagonal: what goes between rows of pixels and columns of runs. */
#ifndef SA_IMAGE_BITS64_H
#define SA_IMAGE_BITS64_H

#include <stddef.h>
#include <stdint.h>

/*
 * Bit j of block[i] and bit i of block[j] change places, in six rounds: 32 x 32 quarters, then 16 x 16 within
 * each, and so on down to single bits. The inner loop runs over words with the same shift, so that it becomes
 * vector code.
 */
static inline void sa_bits64_transpose(uint64_t block[64])
{
    uint64_t low = 0x00000000ffffffffu; /* the bits whose index has bit log2(size) clear */
    for (size_t size = 32; size != 0; size >>= 1, low ^= low << size) {
        for (size_t base = 0; base < 64; base += 2 * size) {
            for (size_t i = base; i < base + size; i++) {
                uint64_t swap = ((block[i] >> size) ^ block[i + size]) & low;
                block[i] ^= swap << size;
                block[i + size] ^= swap;
            }
        }
    }
}

#endif
