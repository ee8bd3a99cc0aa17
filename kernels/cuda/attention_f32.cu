/*
 * attention in f32: ragged items. Contract in kernels.h; the loop stands in attention_f32.cuh.
 *
 * Grid (blocks of all items, heads), block 256. A block takes 64 queries of an item (32 if d > 80, in two
 * rounds) and a chunk of 256 keys; items of more keys are put together by attention_combine_f32, as in bf16.
 */
#include "kernels/cuda/attention_f32.cuh"
#include "kernels/cuda/attention_item.cuh"

struct item_f32_source {
    const float *k, *v; /* the head's part of the item's first rows */
    size_t ldk, ldv;
    int head_dim;
    bool vector;

    __device__ __forceinline__ const float *row(int part, int key) const
    {
        return part == 1 ? k + key * ldk : v + key * ldv;
    }

    __device__ __forceinline__ float start(int query, int key) const
    {
        (void)query;
        (void)key;
        return 0.0f;
    }
};

/* Thread (ty, tx)'s results of query `first` + ty * rows + r: into the output, or into the partials. */
template <int D>
SA_DEVICE void store_item(const f32_state<D> &state, const sa_attention_launch &args,
                          const sa_attention_launch_item &item, const item_part &part, int first)
{
    const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
    const bool whole = chunks_of(item) == 1;
#pragma unroll
    for (int r = 0; r < f32_shape<D>::rows; r++) {
        float total = f32_total(state.total[r]), inverse = whole ? __frcp_rn(total) : 1.0f;
        int query = first + ty * f32_shape<D>::rows + r;
        if (query >= (int)item.q_count) {
            continue;
        }
        size_t at = partial_row(item, part.head, part.chunk, query);
        float *to = whole ? (float *)args.out + ((size_t)item.out_row + query) * args.ldo +
                                (size_t)part.head * args.head_dim
                          : args.partials + item.partial + at * args.head_dim;
#pragma unroll
        for (int j = 0; j < D / 16; j++) {
            if (tx + 16 * j < args.head_dim) {
                to[tx + 16 * j] = state.out[r][j] * inverse;
            }
        }
        if (!whole && tx == 0) {
            partial_state(args, item)[2 * at] = state.peak[r];
            partial_state(args, item)[2 * at + 1] = total;
        }
    }
}

template <int D> SA_DEVICE void attend_item(const sa_attention_launch &args, unsigned char *memory)
{
    f32_shared<D> *shared = (f32_shared<D> *)memory;
    const sa_attention_launch_item &item = item_of_block(args, blockIdx.x);
    const item_part part = part_of_block(item);
    const size_t at = (size_t)part.head * args.head_dim;
    const item_f32_source source = {(const float *)args.k + item.k_row * args.ldk + at,
                                    (const float *)args.v + item.k_row * args.ldv + at,
                                    args.ldk,
                                    args.ldv,
                                    args.head_dim,
                                    args.vector != 0};
    const float *q = (const float *)args.q + item.q_row * args.ldq + at;
    const int end = min(part.first + ATTENTION_ROWS, item.q_count);
#pragma unroll 1
    for (int first = part.first; first < end; first += f32_shape<D>::block) {
        f32_copy<D>(shared->q[0], 4, f32_shape<D>::block, end - first, args.head_dim, args.vector != 0,
                    [&](int i) { return q + (first + i) * args.ldq; });
        f32_state<D> state;
        f32_begin(state);
        f32_range<D>(state, *shared, source, part.first_key, part.last_key, args.scale);
        store_item<D>(state, args, item, part, first);
    }
}

#define ENTRY(D)                                                                                             \
    extern "C" __global__ void __launch_bounds__(ATTENTION_F32_THREADS, 2)                                   \
        attention_##D##_f32(const __grid_constant__ sa_attention_launch args)                                \
    {                                                                                                        \
        extern __shared__ __align__(256) unsigned char shared[];                                             \
        attend_item<D>(args, shared);                                                                        \
    }

ENTRY(32)
ENTRY(64)
ENTRY(128)
