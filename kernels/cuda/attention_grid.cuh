/*
 * attention_grid.cuh: what the bf16 and f16 kernels of attention_grid share: how tokens come in and results
 * go out, and the terms of relative position. Device code only.
 */
#ifndef SA_KERNELS_CUDA_ATTENTION_GRID_CUH
#define SA_KERNELS_CUDA_ATTENTION_GRID_CUH

#include "kernels/cuda/attention_place.cuh"
#include "kernels/cuda/attention_tile.cuh"

/* WHOLE below: head_dim is D and rows are aligned; else args.vector tells. */
template <int D, bool WHOLE> SA_DEVICE int values_left(const sa_attention_grid_launch &args, int chunk)
{
    return WHOLE ? 8 : args.head_dim - chunk * 8;
}

/* Chunk `chunk` of part `part` (0 q, 1 k, 2 v) of the token at (y, x), which may lie in the padding. */
template <int D, bool WHOLE>
SA_DEVICE void load_token_chunk(uint32_t to, const sa_attention_grid_launch &args, const grid_place &place,
                                int part, int y, int x, int chunk)
{
    const int hidden = args.heads * args.head_dim,
              at = part * hidden + place.head * args.head_dim + chunk * 8;
    if (y >= place.down || x >= place.across) {
        round_chunk(to, args.pad + at, values_left<D, WHOLE>(args, chunk));
    } else {
        const uint16_t *row = (const uint16_t *)args.qkv + token_at(args, place, y, x) * 3 * hidden;
        load_chunk(to, row + at, values_left<D, WHOLE>(args, chunk), WHOLE || args.vector);
    }
}

/*
 * Of a warp's 16 queries from number `first` on, lane l knows where query l % 16 is; of one past the last, it
 * says that it is where the last is. Others ask the lane: a shuffle instead of a division.
 */
template <int STRIP> SA_DEVICE grid_cell lane_cell(const grid_place &place, int first)
{
    return query_cell<STRIP>(place, min(first + lane_id() % 16, place.down * place.across - 1));
}

/* The same as a token of its image. */
template <int STRIP>
SA_DEVICE int lane_token(const sa_attention_grid_launch &args, const grid_place &place, int first)
{
    const grid_cell cell = lane_cell<STRIP>(place, first);
    return (place.top + cell.y) * args.side + place.left + cell.x;
}

/* A warp's 16 queries from number `first` on into 16 rows at `rows`; rows past the last query become zeros.
 */
template <int D, bool WHOLE, int STRIP>
SA_DEVICE void load_query_rows(uint32_t rows, const sa_attention_grid_launch &args, const grid_place &place,
                               int first)
{
    const int mine = lane_token<STRIP>(args, place, first), hidden = args.heads * args.head_dim;
    const uint16_t *from = (const uint16_t *)args.qkv + place.token * 3 * hidden + place.head * args.head_dim;
#pragma unroll
    for (int i = 0; i < D / 16; i++) {
        int index = i * 32 + lane_id(), row = index / (D / 8), chunk = index % (D / 8);
        uint32_t to = rows + tile_offset<D>(row, chunk);
        int token = __shfl_sync(FULL_WARP, mine, row);
        if (first + row < place.down * place.across) {
            load_chunk(to, from + (size_t)token * 3 * hidden + chunk * 8, values_left<D, WHOLE>(args, chunk),
                       WHOLE || args.vector);
        } else {
            const uint32_t zeros[4] = {0, 0, 0, 0};
            store_chunk(to, zeros);
        }
    }
}

/* Staged results (stage_rows) of a warp's queries to the op's output. */
template <int D, bool WHOLE, int STRIP>
SA_DEVICE void store_query_rows(uint32_t rows, const sa_attention_grid_launch &args, const grid_place &place,
                                int first)
{
    asm volatile("" : "+r"(first)); /* compute anew: nothing waits in registers while keys go by */
    const int mine = lane_token<STRIP>(args, place, first), hidden = args.heads * args.head_dim;
    uint16_t *to = (uint16_t *)args.out + place.token * hidden + place.head * args.head_dim;
#pragma unroll
    for (int i = 0; i < D / 16; i++) {
        int index = i * 32 + lane_id(), row = index / (D / 8), chunk = index % (D / 8);
        int token = __shfl_sync(FULL_WARP, mine, row);
        if (first + row < place.down * place.across) {
            write_chunk(to + (size_t)token * hidden + chunk * 8, rows + tile_offset<D>(row, chunk),
                        values_left<D, WHOLE>(args, chunk), WHOLE || args.vector);
        }
    }
}

/*
 * Terms of relative position of a warp's 16 queries, times sqrt(d): term[row * ld + k] for k = 0 .. S-1 and
 * again from S on while k < room, so that a reader may run past the end. q times the packed table, whose
 * column S-1-at+k is the table's row at-k+S-1; `mine` is the place `at` (h or w) of query lane_id() % 16. A
 * query past the last has q = 0, so any place serves; best one that the tile has anyway.
 *
 * Places from least to most need S + most - least columns: eight at a time from the first of them on, which
 * the packed tiles, whose lanes are addressed one by one, need not begin with.
 */
template <int D>
SA_DEVICE void compute_terms(float *term, int ld, int room, const uint32_t (&q)[D / 16][4], const void *table,
                             int size, int mine, float root)
{
    const int g = lane_id() / 4, t = lane_id() % 4;
    const int at[2] = {__shfl_sync(FULL_WARP, mine, g), __shfl_sync(FULL_WARP, mine, g + 8)};
    const int least = __reduce_min_sync(FULL_WARP, mine), most = __reduce_max_sync(FULL_WARP, mine);
    for (int first = size - 1 - most; first <= 2 * size - 2 - least; first += 8) {
        float c[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        const int column = min(first + g, 2 * size - 2); /* past the last no row has a term */
        const uint2 *from = (const uint2 *)table + (column / 8 * (D / 16) * 32 + column % 8 * 4 + t);
#pragma unroll
        for (int step = 0; step < D / 16; step++) {
            uint2 word = from[step * 32];
            const uint32_t b[2] = {word.x, word.y};
            mma_tile(c, q[step], b);
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int k = first + 2 * t + i % 2 - (size - 1 - at[i / 2]);
            if (k >= 0 && k < size) {
                for (; k < room; k += size) {
                    term[(g + i / 2 * 8) * ld + k] = c[i] * root;
                }
            }
        }
    }
}

#endif
