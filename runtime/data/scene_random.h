/*
 * Random choices of one attempt at one scene: word n is Philox of (seed, index and attempt, n). Inside
 * runtime/data.
 */
#ifndef SA_DATA_SCENE_RANDOM_H
#define SA_DATA_SCENE_RANDOM_H

#include <stdbool.h>

#include "runtime/base/philox.h"

typedef struct {
    uint64_t seed, index, next; /* next: attempt in the upper half, block in the lower one */
    sa_philox block;
    int left; /* words of the block */
} scene_random;

static inline scene_random scene_random_of(uint64_t seed, uint64_t index, uint32_t attempt)
{
    return (scene_random){.seed = seed, .index = index, .next = (uint64_t)attempt << 32};
}

static inline uint32_t scene_word(scene_random *r)
{
    if (r->left == 0) {
        r->block = sa_philox_block(r->seed, r->index, r->next++);
        r->left = 4;
    }
    return r->block.word[--r->left];
}

/* 0 .. count-1; the bias of 2^-32 * count is nothing to scenes. */
static inline uint32_t scene_below(scene_random *r, uint32_t count)
{
    return (uint32_t)((uint64_t)scene_word(r) * count >> 32);
}

/* least .. most, both included. */
static inline int32_t scene_between(scene_random *r, int32_t least, int32_t most)
{
    return least + (int32_t)scene_below(r, (uint32_t)(most - least) + 1);
}

static inline bool scene_chance(scene_random *r, uint32_t percent)
{
    return scene_below(r, 100) < percent;
}

/* A place in weights[0, count), each as likely as its weight says. */
static inline uint32_t scene_weighted(scene_random *r, const uint8_t *weights, uint32_t count)
{
    uint32_t sum = 0, at = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += weights[i];
    }
    uint32_t drawn = scene_below(r, sum);
    while (drawn >= weights[at]) {
        drawn -= weights[at++];
    }
    return at;
}

#endif
