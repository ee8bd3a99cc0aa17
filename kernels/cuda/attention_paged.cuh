/*
 * attention_paged.cuh: what the kernels of attention_paged share: which items, rows and splits a block has,
 * where partial results stand, and how splits are put together. Device code only.
 */
#ifndef SA_KERNELS_CUDA_ATTENTION_PAGED_CUH
#define SA_KERNELS_CUDA_ATTENTION_PAGED_CUH

#include "kernels/cuda/attention_exp2.cuh"
#include "kernels/cuda/attention_paged.h"

#define PAGED_NONE (-1e30f) /* the peak of no keys: HIDDEN of the tiles */

/* The item that block `block` belongs to: the last one that begins at or before it. */
SA_DEVICE int paged_item_of(const sa_paged_launch &args, unsigned block)
{
    int item = 0;
#pragma unroll
    for (int step = PAGED_ITEMS / 2; step > 0; step /= 2) {
        if (item + step < args.count && args.items[item + step].first_block <= block) {
            item += step;
        }
    }
    return item;
}

SA_DEVICE int paged_group(const sa_paged_launch &args)
{
    return args.heads / args.kv_heads;
}

SA_DEVICE int paged_rows(const sa_paged_launch &args, const sa_paged_item &item)
{
    return item.q_count * paged_group(args);
}

SA_DEVICE int paged_pages(const sa_paged_item &item)
{
    return (item.k_count + SA_KV_PAGE - 1) / SA_KV_PAGE;
}

SA_DEVICE int paged_splits(const sa_paged_item &item)
{
    return (item.k_count + PAGED_SPLIT - 1) / PAGED_SPLIT;
}

/* The last key that a query of the item sees. */
SA_DEVICE int paged_limit(const sa_paged_item &item, int query)
{
    return item.k_count - item.q_count + query;
}

/* Row of the item's partials. */
SA_DEVICE size_t paged_partial(const sa_paged_item &item, int head, int split, int query)
{
    return ((size_t)head * paged_splits(item) + split) * item.q_count + query;
}

/* The item's peaks and totals. */
SA_DEVICE float *paged_state(const sa_paged_launch &args, const sa_paged_item &item)
{
    size_t rows = (size_t)args.heads * paged_splits(item) * item.q_count;
    return args.partials + item.partial + rows * args.head_dim;
}

/* What a block has to do. */
typedef struct {
    int item, end;   /* a run of items */
    int tile;        /* of PAGED_ROWS rows of the item; 0 for a run */
    int split, last; /* splits [split, last) */
    int last_page;   /* behind the last page that a row of the block sees */
} paged_work;

SA_DEVICE paged_work paged_work_of_block(const sa_paged_launch &args)
{
    paged_work work;
    work.item = paged_item_of(args, blockIdx.x);
    work.end = work.item + 1;
    const sa_paged_item &item = args.items[work.item];
    const int block = blockIdx.x - item.first_block, rows = paged_rows(args, item);
    if (!args.whole) {
        work.tile = 0;
        work.split = block;
        work.last = block + 1;
        work.last_page = work.last * PAGED_SPLIT_PAGES; /* of any item of a run */
    } else {
        /* The last tiles see most keys: they begin first. */
        work.tile = (rows + PAGED_ROWS - 1) / PAGED_ROWS - 1 - block;
        const int query = min((work.tile + 1) * PAGED_ROWS, rows) - 1;
        work.split = 0;
        const int limit = paged_limit(item, query / paged_group(args));
        work.last = limit / PAGED_SPLIT + 1;
        work.last_page = limit / SA_KV_PAGE + 1;
    }
    return work;
}

/* The result of splits so far, of one row: its peak and total. */
typedef struct {
    float peak, total;
} paged_merged;

typedef struct {
    float old, more; /* what to weigh the sums so far with, and those of the split */
} paged_weights;

SA_DEVICE paged_merged paged_merge_begin(void)
{
    return {PAGED_NONE, 0.0f};
}

/*
 * Takes in a split with this peak and total; sums then go through paged_merge_sum(). Wherever it happens, in
 * a block that goes through all splits or in the combining kernel, these are the same operations.
 */
SA_DEVICE paged_weights paged_merge(paged_merged &merged, float peak, float total, float scale)
{
    float after = fmaxf(merged.peak, peak);
    paged_weights weights = {exp2_exact((merged.peak - after) * scale), exp2_exact((peak - after) * scale)};
    merged.total = fmaf(weights.more, total, merged.total * weights.old);
    merged.peak = after;
    return weights;
}

SA_DEVICE float paged_merge_sum(const paged_weights &weights, float so_far, float sum)
{
    return fmaf(weights.more, sum, so_far * weights.old);
}

#endif
