/*
 * How a head's part of a KV page, SA_KV_PAGE x d elements, stands on the CPU: as tile.h's products read it,
 * so that decoding takes keys and values from where they are. A word is 32 bits: one f32, or a pair of bf16.
 *
 *   keys    [words of d][SA_KV_PAGE] words: word w of a key is its elements 2w and 2w+1 (bf16), or w (f32)
 *   values  [SA_KV_PAGE / 2][d] words: of each column a pair of keys (bf16); [SA_KV_PAGE][d] (f32)
 */
#ifndef SA_KERNELS_CPU_OPS_PAGES_H
#define SA_KERNELS_CPU_OPS_PAGES_H

#include <stdbool.h>

#include "kernels/cpu/ops/tile.h"

enum { PAGE_STEP = SA_KV_PAGE * 4 }; /* bytes from one word of a key to its next */

/* Element of the head's part at which `column` of the key, or of the value, of token `key` stands. */
SA_INLINE size_t page_place(sa_dtype dtype, size_t d, bool values, size_t key, size_t column)
{
    if (dtype == SA_F32) {
        return values ? key * d + column : column * SA_KV_PAGE + key;
    }
    return values ? (key / 2 * d + column) * 2 + key % 2 : (column / 2 * SA_KV_PAGE + key) * 2 + column % 2;
}

#endif
