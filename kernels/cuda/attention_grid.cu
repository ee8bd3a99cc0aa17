/*
 * attention_grid for any grid, window and head size: what the special kernels (attention_grid_global.cu,
 * attention_grid_window.cu) do not take; in bf16, and in f16 for attention_grid_f16.cu. Contract in
 * kernels.h; the loop stands in attention_range.cuh.
 *
 * Grid (images * windows * blocks of 64 queries, heads), block 128. Each warp keeps two tables of terms for
 * its 16 queries, [16][terms_ld] for the keys' rows and for their columns, in shared memory if a row has at
 * most GRID_TERMS floats, else in the workspace. A lane looks up both terms of each of its keys; the table of
 * columns goes on periodically past S, so that four neighbouring keys are four neighbouring floats even where
 * a row of the window ends: with terms_ld = 4 mod 8 neither look-up has bank conflicts.
 */
#include "kernels/cuda/attention_grid.cuh"
#include "kernels/cuda/attention_range.cuh"

template <int D> struct any_shared {
    range_shared<D> range;
    union {
        unsigned char rows[16 * D * 2]; /* q on the way in, results on the way out */
        float term[2][16 * GRID_TERMS];
    } warp[RANGE_WARPS];
};

template <int D> struct grid_source {
    const sa_attention_grid_launch &args;
    const grid_place &place;
    const float *row_term, *column_term; /* of the lane's row g; row g + 8 is 8 * terms_ld further; or NULL */
    int y, x;                            /* of the key that the next tile begins with */

    __device__ __forceinline__ void copy(uint32_t to, int part, int key, int chunk) const
    {
        load_token_chunk<D, false>(to, args, place, part, key / args.size, key % args.size, chunk);
    }

    /* Tiles come in order: (y, x) moves along, four keys at a time. */
    __device__ __forceinline__ void start(float (&score)[1][RANGE_GROUPS][4], int key)
    {
        if (row_term == NULL) {
#pragma unroll
            for (int i = 0; i < RANGE_GROUPS * 4; i++) {
                score[0][i / 4][i % 4] = 0.0f;
            }
            return;
        }
        const int t = lane_id() % 4, size = args.size, down = 4 / size, across = 4 % size;
#pragma unroll
        for (int i = 0; i < RANGE_GROUPS * 2; i++) {
            int mine = x + t; /* at most size + 2: up to three rows on if rows are that short */
            int row = y + (mine >= size) + (mine >= 2 * size) + (mine >= 3 * size);
            row = min(row, size - 1); /* keys past the last are hidden later */
            score[0][i / 2][i % 2] = column_term[x + t] + row_term[row];
            score[0][i / 2][i % 2 + 2] =
                column_term[8 * args.terms_ld + x + t] + row_term[8 * args.terms_ld + row];
            x += across;
            y += down + (x >= size);
            x -= x >= size ? size : 0;
        }
    }
};

/* Both tables of a warp's queries; `term` is room for them. */
template <int D>
SA_DEVICE void fill_tables(const sa_attention_grid_launch &args, const grid_place &place, float *term,
                           int first, const uint32_t (&q)[D / 16][4])
{
    const grid_cell mine = lane_cell<0>(place, first);
    const int ld = args.terms_ld, size = args.size;
    compute_terms<D>(term, ld, size, q, args.rel_h, size, mine.y, args.root);
    compute_terms<D>(term + 16 * ld, ld, size + 3, q, args.rel_w, size, mine.x, args.root);
}

template <int D> SA_DEVICE void attend_any(const sa_attention_grid_launch &args, unsigned char *memory)
{
    any_shared<D> *shared = (any_shared<D> *)memory;
    const grid_place place = place_of_block(args);
    const int warp = threadIdx.x / 32, queries = place.down * place.across;
    const int first = (place.tile * RANGE_WARPS + warp) * 16;
    if (place.tile * RANGE_WARPS * 16 >= queries) {
        return; /* a window at the edge has fewer blocks; the whole block leaves */
    }
    const uint32_t rows = shared_address(shared->warp[warp].rows);
    load_query_rows<D, false, 0>(rows, args, place, first);
    cp_async_commit();
    grid_source<D> source = {args, place, NULL, NULL, 0, 0};
    const uint32_t range = shared_address(&shared->range);
    const int keys = args.size * args.size;
    range_begin<D>(source, range, 0, keys);
    range_wait<D>();
    uint32_t q[D / 16][4];
    load_queries<D>(q, rows);
    __syncwarp(); /* read before tables take the same place */
    if (args.rel_h != NULL) {
        size_t slot = ((size_t)blockIdx.y * gridDim.x + blockIdx.x) * RANGE_WARPS + warp;
        float *term =
            args.terms == NULL ? shared->warp[warp].term[0] : args.terms + slot * 32 * args.terms_ld;
        fill_tables<D>(args, place, term, first, q);
        __syncwarp();
        source.row_term = term + lane_id() / 4 * args.terms_ld;
        source.column_term = source.row_term + 16 * args.terms_ld;
    }
    attend_state<D, 1> state;
    attend_begin(state);
    attend_range<D>(state, q, source, range, 0, keys, first < queries, args.scale);
    __syncwarp(); /* tables read; results take their place */
    stage_rows(state, 0, rows);
    __syncwarp();
    store_query_rows<D, false, 0>(rows, args, place, first);
}

#define ENTRY(D)                                                                                             \
    extern "C" __global__ void __launch_bounds__(RANGE_WARPS * 32)                                           \
        ATTENTION_KERNEL(attention_grid_##D)(const __grid_constant__ sa_attention_grid_launch args)          \
    {                                                                                                        \
        extern __shared__ __align__(256) unsigned char shared[];                                             \
        attend_any<D>(args, shared);                                                                         \
    }

ENTRY(16)
ENTRY(32)
ENTRY(64)
ENTRY(80)
ENTRY(128)
