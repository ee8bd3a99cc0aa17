/*
 * attention_paged, second part: the partial results of items with more than one split, put together in order.
 *
 * Grid (blocks of 4 queries of all items, heads), block 128: a warp for each query, lanes along d. Moves the
 * partials once, 4 * (d + 2) bytes for each query, head and split.
 */
#include "kernels/cuda/attention_paged.cuh"

enum { MOST_LANES = 4 }; /* values of a lane: head_dim <= 128 */

extern "C" __global__ void __launch_bounds__(PAGED_THREADS)
    attention_paged_combine_f32(const __grid_constant__ sa_paged_launch args)
{
    const sa_paged_item &item = args.items[paged_item_of(args, blockIdx.x)];
    const int query = (blockIdx.x - item.first_block) * (PAGED_THREADS / 32) + threadIdx.x / 32;
    const int head = blockIdx.y;
    if (query >= (int)item.q_count) {
        return;
    }
    const float *state = paged_state(args, item), *sums = args.partials + item.partial;
    const int splits = paged_limit(item, query) / PAGED_SPLIT + 1; /* the others hold nothing of this query */
    paged_merged merged = paged_merge_begin();
    float out[MOST_LANES] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int split = 0; split < splits; split++) {
        size_t row = paged_partial(item, head, split, query);
        paged_weights weights = paged_merge(merged, state[2 * row], state[2 * row + 1], args.scale);
#pragma unroll
        for (int i = 0; i < MOST_LANES; i++) {
            int value = i * 32 + lane_id();
            if (value < args.head_dim) {
                out[i] = paged_merge_sum(weights, out[i], sums[row * args.head_dim + value]);
            }
        }
    }
    const float inverse = __frcp_rn(merged.total);
    const size_t at = ((size_t)item.q_row + query) * args.ldo + (size_t)head * args.head_dim;
#pragma unroll
    for (int i = 0; i < MOST_LANES; i++) {
        int value = i * 32 + lane_id();
        if (value < args.head_dim) {
            store_as((sa_dtype)args.dtype, args.out, at + value, out[i] * inverse);
        }
    }
}
