/* attention_item.cuh: which item a block of attention works on, and where its partial results stand. Device
 * code. */
#ifndef SA_KERNELS_CUDA_ATTENTION_ITEM_CUH
#define SA_KERNELS_CUDA_ATTENTION_ITEM_CUH

#include "kernels/cuda/attention.h"
#include "kernels/cuda/device.cuh"

/* The item that block `block` belongs to: the last one that begins at or before it. */
SA_DEVICE const sa_attention_launch_item &item_of_block(const sa_attention_launch &args, unsigned block)
{
    int item = 0;
#pragma unroll
    for (int step = ATTENTION_ITEMS / 2; step > 0; step /= 2) {
        if (item + step < args.count && args.items[item + step].first_block <= block) {
            item += step;
        }
    }
    return args.items[item];
}

SA_DEVICE unsigned chunks_of(const sa_attention_launch_item &item)
{
    return (item.k_count + ATTENTION_CHUNK - 1) / ATTENTION_CHUNK;
}

/* Row of the item's partials: the sums of query `query` over chunk `chunk`. */
SA_DEVICE size_t partial_row(const sa_attention_launch_item &item, unsigned head, unsigned chunk,
                             unsigned query)
{
    return ((size_t)head * chunks_of(item) + chunk) * item.q_count + query;
}

/* The item's peaks and totals. */
SA_DEVICE float *partial_state(const sa_attention_launch &args, const sa_attention_launch_item &item)
{
    size_t rows = (size_t)args.heads * chunks_of(item) * item.q_count;
    return args.partials + item.partial + rows * args.head_dim;
}

/* Where a block works: a chunk of keys of 64 queries. */
typedef struct {
    unsigned head, chunk, first; /* first query */
    int first_key, last_key;
} item_part;

SA_DEVICE item_part part_of_block(const sa_attention_launch_item &item)
{
    const unsigned block = blockIdx.x - item.first_block, chunks = chunks_of(item);
    item_part part;
    part.head = blockIdx.y;
    part.chunk = block % chunks;
    part.first = block / chunks * ATTENTION_ROWS;
    part.first_key = part.chunk * ATTENTION_CHUNK;
    part.last_key = min(part.first_key + ATTENTION_CHUNK, (int)item.k_count);
    return part;
}

#endif
