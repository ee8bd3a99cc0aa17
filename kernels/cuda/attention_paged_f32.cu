/*
 * attention_paged in f32. Contract in kernels.h; the loop stands in attention_f32.cuh, whose tiles of 32 keys
 * count from key 0 here: splits are whole tiles.
 *
 * Grid (blocks of all items, kv heads), block 256. A block takes 64 rows (in two rounds if d > 80) and a
 * split of keys, or all of them one after another. Shared pages are read anew for each item: f32 is for
 * comparing.
 */
#include "kernels/cuda/attention_f32.cuh"
#include "kernels/cuda/attention_paged.cuh"

struct paged_f32_source {
    const float *k, *v; /* of the block's kv head in page 0 */
    const int32_t *pages;
    size_t page; /* elements from a page to the next */
    int head_dim, group, first_row, rows, limit;
    bool vector;

    __device__ __forceinline__ const float *row(int part, int key) const
    {
        size_t at = pages[key / SA_KV_PAGE] * page + (size_t)(key % SA_KV_PAGE) * head_dim;
        return (part == 1 ? k : v) + at;
    }

    /* Row `row` of the round does not see keys behind its query: no weight, not even against the peak of
     * none. */
    __device__ __forceinline__ float start(int row, int key) const
    {
        return key > limit + (first_row + row) / group ? 2.0f * HIDDEN : 0.0f;
    }
};

template <int D> struct paged_f32_sums {
    float out[f32_shape<D>::rows][D / 16];
    paged_merged row[f32_shape<D>::rows];
};

template <int D> SA_DEVICE void merge_split(paged_f32_sums<D> &sums, const f32_state<D> &state, float scale)
{
#pragma unroll
    for (int r = 0; r < f32_shape<D>::rows; r++) {
        float total = f32_total(state.total[r]);
        if (state.peak[r] == PAGED_NONE && total == 0.0f) {
            continue; /* the row sees no key of this split */
        }
        paged_weights weights = paged_merge(sums.row[r], state.peak[r], total, scale);
#pragma unroll
        for (int j = 0; j < D / 16; j++) {
            sums.out[r][j] = paged_merge_sum(weights, sums.out[r][j], state.out[r][j]);
        }
    }
}

/* Thread (ty, tx)'s results of the rows from `first` on: into the output, or into the partials of `split`. */
template <int D>
SA_DEVICE void store_rows(const paged_f32_sums<D> &sums, const sa_paged_launch &args,
                          const sa_paged_item &item, int first, int split)
{
    const int ty = threadIdx.x / 16, tx = threadIdx.x % 16, group = paged_group(args);
    const bool partial = !args.whole && paged_splits(item) > 1;
#pragma unroll
    for (int r = 0; r < f32_shape<D>::rows; r++) {
        const int row = first + ty * f32_shape<D>::rows + r;
        if (row >= paged_rows(args, item)) {
            continue;
        }
        const int query = row / group, head = blockIdx.y * group + row % group;
        const size_t at = paged_partial(item, head, split, query);
        float *to = partial ? args.partials + item.partial + at * args.head_dim
                            : (float *)args.out + ((size_t)item.q_row + query) * args.ldo +
                                  (size_t)head * args.head_dim;
        const float inverse = partial ? 1.0f : __frcp_rn(sums.row[r].total);
#pragma unroll
        for (int j = 0; j < D / 16; j++) {
            if (tx + 16 * j < args.head_dim) {
                to[tx + 16 * j] = sums.out[r][j] * inverse;
            }
        }
        if (partial && tx == 0) {
            paged_state(args, item)[2 * at] = sums.row[r].peak;
            paged_state(args, item)[2 * at + 1] = sums.row[r].total;
        }
    }
}

/* The rows of one round, from `first` on. */
template <int D>
SA_DEVICE void attend_rows(f32_shared<D> &shared, const sa_paged_launch &args, const sa_paged_item &item,
                           const paged_work &work, int first)
{
    const int group = paged_group(args), rows = paged_rows(args, item);
    const size_t head = (size_t)SA_KV_PAGE * args.head_dim;
    const int last_row = min(first + f32_shape<D>::block, rows) - 1;
    const int end = paged_limit(item, last_row / group) + 1;
    const paged_f32_source source = {(const float *)args.k_pages + blockIdx.y * head,
                                     (const float *)args.v_pages + blockIdx.y * head,
                                     args.pages + item.first_page,
                                     args.kv_heads * head,
                                     args.head_dim,
                                     group,
                                     first,
                                     rows,
                                     paged_limit(item, 0),
                                     args.vector != 0};
    const float *q =
        (const float *)args.q + item.q_row * args.ldq + (size_t)blockIdx.y * group * args.head_dim;
    f32_copy<D>(shared.q[0], 4, f32_shape<D>::block, rows - first, args.head_dim, args.vector_q != 0,
                [&](int i) {
                    return q + (first + i) / group * args.ldq + (size_t)((first + i) % group) * args.head_dim;
                });
    paged_f32_sums<D> sums = {};
#pragma unroll
    for (int r = 0; r < f32_shape<D>::rows; r++) {
        sums.row[r] = paged_merge_begin();
    }
#pragma unroll 1
    for (int split = work.split; split < work.last; split++) {
        f32_state<D> state;
        f32_begin(state);
        f32_range<D>(state, shared, source, split * PAGED_SPLIT, min((split + 1) * PAGED_SPLIT, end),
                     args.scale);
        merge_split<D>(sums, state, args.scale);
    }
    cp_async_wait<0>(); /* rows that see nothing here have queries under way */
    __syncthreads();    /* before the next round's take their place */
    store_rows<D>(sums, args, item, first, work.split);
}

template <int D> SA_DEVICE void attend_paged(const sa_paged_launch &args, unsigned char *memory)
{
    f32_shared<D> *shared = (f32_shared<D> *)memory;
    const paged_work work = paged_work_of_block(args);
    const sa_paged_item &item = args.items[work.item];
    const int begin = work.tile * PAGED_ROWS, end = min(begin + PAGED_ROWS, paged_rows(args, item));
#pragma unroll 1
    for (int first = begin; first < end; first += f32_shape<D>::block) {
        attend_rows<D>(*shared, args, item, work, first);
    }
}

#define ENTRY(D)                                                                                             \
    extern "C" __global__ void __launch_bounds__(PAGED_F32_THREADS, 1)                                       \
        attention_paged_##D##_f32(const __grid_constant__ sa_paged_launch args)                              \
    {                                                                                                        \
        extern __shared__ __align__(256) unsigned char shared[];                                             \
        attend_paged<D>(args, shared);                                                                       \
    }

ENTRY(32)
ENTRY(64)
ENTRY(128)
