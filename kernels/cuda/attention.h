/* What attention's launcher tells its kernels; see kernels.h for the meaning of the tensors. */
#ifndef SA_KERNELS_CUDA_ATTENTION_H
#define SA_KERNELS_CUDA_ATTENTION_H

#include <stdint.h>

enum {
    ATTENTION_ITEMS = 64,  /* of a launch */
    ATTENTION_CHUNK = 256, /* keys that a block takes; an item with more of them is put together afterwards */
    ATTENTION_ROWS = 64,   /* queries of a block */
    ATTENTION_THREADS = 128, /* of a 16-bit block and of a combining one */
    ATTENTION_F32_THREADS = 256,
};

typedef struct {
    uint32_t q_row, q_count, k_row, k_count, out_row;
    uint32_t first_block; /* of this launch's grid in x */
    uint64_t partial;     /* where in `partials` the item's begin, if it has more than one chunk */
} sa_attention_launch_item;

/*
 * Partial results of an item: sums of p*v [heads][chunks][q_count][d], then peak and sum of p
 * [heads][chunks][q_count][2], all f32. Peaks are raw scores.
 */
typedef struct {
    const void *q, *k, *v;
    void *out;
    float *partials;
    uint64_t ldq, ldk, ldv, ldo;
    int count, heads, head_dim;
    int vector;  /* rows of a head in q, k, v and out are whole and aligned units of 16 bytes */
    int dtype;   /* sa_dtype of out, for the combining kernel */
    float scale; /* log2(e) / sqrt(d) */
    sa_attention_launch_item items[ATTENTION_ITEMS];
} sa_attention_launch;

#endif
