/*
 * What attention_paged's launcher tells its kernels; see kernels.h for the meaning of the tensors.
 *
 * One arithmetic for everything. A row is one query and one head. Its keys go by splits of PAGED_SPLIT, from
 * key 0 on; in a split by pages, in order, with running peak, total and sums (attention_tile.cuh); the splits
 * are put together in order by paged_merge(). So a page border is the only place where work is ever cut, and
 * which rows share a block, or a page, changes no bit.
 *
 * The rows of an item for one kv head are query * G + head of the group, G = H / Hkv. An item of at most
 * PAGED_ROWS rows (decode) has a block for each split, which leaves partial results for
 * attention_paged_combine_f32 if there are several; a larger one (prefill) has a block for each PAGED_ROWS
 * rows, which goes through all splits itself and needs no workspace.
 *
 * Cascade: in each split an item joins the one before it if most of its pages there are shared. A run of
 * joined items is one block's work: every page is read once, and worked on by the rows of those items whose
 * page it is.
 */
#ifndef SA_KERNELS_CUDA_ATTENTION_PAGED_H
#define SA_KERNELS_CUDA_ATTENTION_PAGED_H

#include <stdint.h>

#include "kernels/kernels.h"

enum {
    PAGED_ITEMS = 64,  /* of a launch */
    PAGED_SPLIT = 256, /* keys */
    PAGED_SPLIT_PAGES = PAGED_SPLIT / SA_KV_PAGE,
    PAGED_ROWS = 64, /* of a block */
    PAGED_THREADS = 128,
    PAGED_F32_THREADS = 256,
    /*
     * Pages that a block can list at once. A run of 64 items lists s shared pages, then at most min(s, 16 -
     * s) of each item: 520 at most. A larger item goes through its pages by so many at a time.
     */
    PAGED_LIST = 528,
    PAGED_SPAN = 512,
};

typedef struct {
    uint32_t q_row, q_count, k_count, first_page;
    uint32_t shared;      /* pages that it may read together with the item before it in this launch */
    uint32_t first_block; /* of this launch's grid in x */
    uint64_t partial;     /* where in `partials` the item's begin, if it has any */
} sa_paged_item;

/*
 * Partial results of an item: sums of p*v [heads][splits][q_count][d], then peak and sum of p
 * [heads][splits][q_count][2], all f32. Peaks are raw scores.
 */
typedef struct {
    const void *q, *k_pages, *v_pages;
    void *out;
    float *partials;
    const int32_t *pages;
    uint64_t ldq, ldo;
    int32_t count, heads, kv_heads, head_dim;
    int32_t vector,
        vector_q;  /* rows of a head in the pools and in q are whole and aligned units of 16 bytes */
    int32_t pairs; /* two neighbouring values of out may be one access */
    int32_t dtype;
    int32_t whole; /* items of many rows: a block for each tile of rows, not for each split */
    float scale;   /* log2(e) / sqrt(d) */
    sa_paged_item items[PAGED_ITEMS];
} sa_paged_launch;

#endif
