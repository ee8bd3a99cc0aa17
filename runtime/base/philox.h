/*
 * Philox4x32-10, a counter-based random number generator (Salmon et al., "Parallel Random Numbers: As Easy as
 * 1, 2, 3", SC 2011). No state: the same key and counter give the same four words on every machine, in any
 * order, so a random choice can be keyed by what it is for (seed, item, step, ...) and never depends on its
 * batch.
 */
#ifndef SA_BASE_PHILOX_H
#define SA_BASE_PHILOX_H

#include <stdint.h>

typedef struct {
    uint32_t word[4];
} sa_philox;

static inline sa_philox sa_philox_block(uint64_t key, uint64_t counter_low, uint64_t counter_high)
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    sa_philox c = {{(uint32_t)counter_low, (uint32_t)(counter_low >> 32), (uint32_t)counter_high,
                    (uint32_t)(counter_high >> 32)}};
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c.word[0];
        uint64_t b = (uint64_t)0xCD9E8D57u * c.word[2];
        c = (sa_philox){{(uint32_t)(b >> 32) ^ c.word[1] ^ k0, (uint32_t)b,
                         (uint32_t)(a >> 32) ^ c.word[3] ^ k1, (uint32_t)a}};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

/* A word as a float in [0, 1), on a grid of 2^-24. */
static inline float sa_philox_unit(uint32_t word)
{
    return (float)(word >> 8) * 0x1p-24f;
}

#endif
