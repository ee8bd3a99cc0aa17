/*
 * attention, second part: the partial results of items with more than one chunk of keys. For each query and
 * head, with P the largest peak, out = sum_c 2^((peak_c - P) * scale) * sums_c / sum_c 2^((peak_c - P) *
 * scale) * total_c, chunks in order.
 *
 * Grid (blocks of 4 queries of all items, heads), block 128: a warp for each query, lanes along d. Moves the
 * partials once, 4 * (d + 2) bytes for each query, head and chunk.
 */
#include "kernels/cuda/attention_exp2.cuh"
#include "kernels/cuda/attention_item.cuh"

enum { MOST_LANES = 4 }; /* values of a lane: head_dim <= 128 */

extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)
    attention_combine_f32(const __grid_constant__ sa_attention_launch args)
{
    const sa_attention_launch_item &item = item_of_block(args, blockIdx.x);
    const unsigned query = (blockIdx.x - item.first_block) * (ATTENTION_THREADS / 32) + threadIdx.x / 32;
    const unsigned head = blockIdx.y, chunks = chunks_of(item);
    if (query >= item.q_count) {
        return;
    }
    const float *state = partial_state(args, item), *sums = args.partials + item.partial;
    float peak = -INFINITY, total = 0.0f, out[MOST_LANES] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (unsigned chunk = 0; chunk < chunks; chunk++) {
        peak = fmaxf(peak, state[2 * partial_row(item, head, chunk, query)]); /* never NaN */
    }
    for (unsigned chunk = 0; chunk < chunks; chunk++) {
        size_t row = partial_row(item, head, chunk, query);
        float weight = exp2_exact((state[2 * row] - peak) * args.scale);
        total = fmaf(weight, state[2 * row + 1], total);
#pragma unroll
        for (int i = 0; i < MOST_LANES; i++) {
            int value = i * 32 + lane_id();
            if (value < args.head_dim) {
                out[i] = fmaf(weight, sums[row * args.head_dim + value], out[i]);
            }
        }
    }
    const float inverse = __frcp_rn(total);
    const size_t at = ((size_t)item.out_row + query) * args.ldo + (size_t)head * args.head_dim;
#pragma unroll
    for (int i = 0; i < MOST_LANES; i++) {
        int value = i * 32 + lane_id();
        if (value < args.head_dim) {
            store_as((sa_dtype)args.dtype, args.out, at + value, out[i] * inverse);
        }
    }
}
