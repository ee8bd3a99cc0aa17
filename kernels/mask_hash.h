/*
 * The one formula of a mask's hash, for the host (sa_mask_hash() of runtime/image/mask.h), the CPU's op and
 * the CUDA kernel. Plain integer code, modulo 2^64 throughout.
 *
 *   hash = word(sum over i of word(bits[i], i) + word(height, -1) + word(width, -2), -3)
 *
 * A sum may be taken in any order, so threads and blocks add as they please and the hash is the same.
 */
#ifndef SA_KERNELS_MASK_HASH_H
#define SA_KERNELS_MASK_HASH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__
#define SA_MASK_HASH_INLINE static __host__ __device__ __forceinline__
#else
#define SA_MASK_HASH_INLINE static inline
#endif

/*
 * What word x adds at place i. Products with odd numbers and a xor with one's own upper half can be undone,
 * and 0 stays 0. So for each i this is a bijection: two masks of one size that differ in one word have
 * different hashes, always. And a word of zeros, which is most of a mask, adds nothing and may be left out.
 * The place comes in as a factor between two mixes: without the first it would not reach a word of few high
 * bits (2^63 times any odd number is 2^63), without the last equal words would cancel (sums of x * i are
 * linear).
 */
SA_MASK_HASH_INLINE uint64_t sa_mask_hash_word(uint64_t x, uint64_t i)
{
    x *= 0xFF51AFD7ED558CCDu;
    x ^= x >> 32;
    x *= (2 * i + 1) * 0x9E3779B97F4A7C15u;
    x ^= x >> 32;
    x *= 0xC4CEB9FE1A85EC53u;
    return x ^ (x >> 32);
}

/* The words' sum; groups of four, so that a branch can leave out those that are zero. */
SA_MASK_HASH_INLINE uint64_t sa_mask_hash_sum(const uint64_t *bits, size_t words)
{
    uint64_t sum = 0;
    size_t whole = words - words % 4;
    for (size_t i = 0; i < whole; i += 4) {
        if ((bits[i] | bits[i + 1] | bits[i + 2] | bits[i + 3]) != 0) {
            for (size_t k = i; k < i + 4; k++) {
                sum += sa_mask_hash_word(bits[k], k);
            }
        }
    }
    for (size_t i = whole; i < words; i++) {
        sum += sa_mask_hash_word(bits[i], i);
    }
    return sum;
}

/* From the words' sum to the hash; the places are ones that no word of a mask has. */
SA_MASK_HASH_INLINE uint64_t sa_mask_hash_finish(uint64_t sum, uint64_t height, uint64_t width)
{
    sum += sa_mask_hash_word(height, UINT64_MAX) + sa_mask_hash_word(width, UINT64_MAX - 1);
    return sa_mask_hash_word(sum, UINT64_MAX - 2);
}

#endif
