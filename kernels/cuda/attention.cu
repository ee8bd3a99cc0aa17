/*
 * attention in bf16, and in f16 for attention_f16.cu: ragged items, SAM's decoder. Contract in kernels.h; the
 * loop stands in attention_range.cuh.
 *
 * Grid (blocks of all items, heads), block 128. A block takes 64 queries of an item, 16 a warp, and a chunk
 * of 256 keys. An item of more keys has so many blocks that few queries fill the device too; each writes
 * sums, peak and total in f32, and attention_combine_f32 puts them together. The split follows from k_count
 * alone, so a query's result does not depend on what else is computed.
 */
#include "kernels/cuda/attention_item.cuh"
#include "kernels/cuda/attention_range.cuh"

template <int D> struct item_shared {
    range_shared<D> range;
    unsigned char rows[RANGE_WARPS][16 * D * 2]; /* q on the way in, results on the way out */
};

template <int D> struct item_source {
    const uint16_t *k, *v; /* the head's part of the item's first rows */
    size_t ldk, ldv;
    int head_dim;
    bool vector;

    __device__ __forceinline__ void copy(uint32_t to, int part, int key, int chunk) const
    {
        const uint16_t *row = part == 1 ? k + key * ldk : v + key * ldv;
        load_chunk(to, row + chunk * 8, head_dim - chunk * 8, vector);
    }

    __device__ __forceinline__ void start(float (&score)[1][RANGE_GROUPS][4], int key)
    {
        (void)key;
#pragma unroll
        for (int i = 0; i < RANGE_GROUPS * 4; i++) {
            score[0][i / 4][i % 4] = 0.0f;
        }
    }
};

/* Rows of 16 queries between global memory and a warp's rows in shared memory; past the last one: zeros,
 * nothing. */
template <int D>
SA_DEVICE void load_item_rows(uint32_t rows, const sa_attention_launch &args, const uint16_t *from, int count)
{
#pragma unroll
    for (int i = 0; i < D / 16; i++) {
        int index = i * 32 + lane_id(), row = index / (D / 8), chunk = index % (D / 8);
        int left = row < count ? args.head_dim - chunk * 8 : 0;
        load_chunk(rows + tile_offset<D>(row, chunk), left > 0 ? from + row * args.ldq + chunk * 8 : from,
                   left, args.vector);
    }
}

template <int D>
SA_DEVICE void store_item_rows(uint16_t *to, const sa_attention_launch &args, uint32_t rows, int count)
{
#pragma unroll
    for (int i = 0; i < D / 16; i++) {
        int index = i * 32 + lane_id(), row = index / (D / 8), chunk = index % (D / 8);
        if (row < count) {
            write_chunk(to + row * args.ldo + chunk * 8, rows + tile_offset<D>(row, chunk),
                        args.head_dim - chunk * 8, args.vector);
        }
    }
}

/* A warp's sums over its chunk of keys, for the combining kernel; `first` is its first query, of `count`. */
template <int D>
SA_DEVICE void store_partial(const attend_state<D, 1> &state, const sa_attention_launch &args,
                             const sa_attention_launch_item &item, const item_part &part, int first,
                             int count)
{
    const int g = lane_id() / 4, t = lane_id() % 4;
#pragma unroll
    for (int r = 0; r < 2; r++) {
        float total = warp_sum<4>(state.total[0][r]);
        int row = g + 8 * r;
        if (row >= count) {
            continue;
        }
        size_t at = partial_row(item, part.head, part.chunk, first + row);
        float *sums = args.partials + item.partial + at * args.head_dim;
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
            if (n * 8 + 2 * t < args.head_dim) { /* head_dim is even */
                *(float2 *)(sums + n * 8 + 2 * t) =
                    make_float2(state.out[0][n][2 * r], state.out[0][n][2 * r + 1]);
            }
        }
        if (t == 0) {
            *(float2 *)(partial_state(args, item) + 2 * at) = make_float2(state.peak[0][r], total);
        }
    }
}

template <int D> SA_DEVICE void attend_item(const sa_attention_launch &args, unsigned char *memory)
{
    item_shared<D> *shared = (item_shared<D> *)memory;
    const sa_attention_launch_item &item = item_of_block(args, blockIdx.x);
    const item_part part = part_of_block(item);
    const int warp = threadIdx.x / 32, first = part.first + warp * 16;
    const int count =
        min((int)item.q_count - first, 16); /* of the warp's queries; 0 or less: it only copies */
    const size_t at = (size_t)part.head * args.head_dim;
    const uint32_t rows = shared_address(shared->rows[warp]);
    load_item_rows<D>(
        rows, args, (const uint16_t *)args.q + (item.q_row + (count > 0 ? first : 0)) * args.ldq + at, count);
    cp_async_commit();
    item_source<D> source = {(const uint16_t *)args.k + item.k_row * args.ldk + at,
                             (const uint16_t *)args.v + item.k_row * args.ldv + at,
                             args.ldk,
                             args.ldv,
                             args.head_dim,
                             args.vector != 0};
    const uint32_t range = shared_address(&shared->range);
    range_begin<D>(source, range, part.first_key, part.last_key);
    range_wait<D>();
    uint32_t q[D / 16][4];
    load_queries<D>(q, rows);
    attend_state<D, 1> state;
    attend_begin(state);
    attend_range<D>(state, q, source, range, part.first_key, part.last_key, count > 0, args.scale);
    if (chunks_of(item) > 1) {
        store_partial<D>(state, args, item, part, first, count);
        return;
    }
    __syncwarp(); /* queries read; results take their place */
    stage_rows(state, 0, rows);
    __syncwarp();
    store_item_rows<D>((uint16_t *)args.out + ((size_t)item.out_row + first) * args.ldo + at, args, rows,
                       count);
}

#define ENTRY(D)                                                                                             \
    extern "C" __global__ void __launch_bounds__(ATTENTION_THREADS)                                          \
        ATTENTION_KERNEL(attention_##D)(const __grid_constant__ sa_attention_launch args)                    \
    {                                                                                                        \
        extern __shared__ __align__(256) unsigned char shared[];                                             \
        attend_item<D>(args, shared);                                                                        \
    }

ENTRY(16)
ENTRY(32)
ENTRY(64)
ENTRY(128)
