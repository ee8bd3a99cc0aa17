/*
 * attention_grid in windows of 14 x 14 tokens: SAM's windowed layers. Contract in kernels.h.
 *
 * Grid (images * windows, heads), block 128. A block takes a whole window of one head: its K and V, 196 keys
 * and four rows of zeros, come into shared memory once and stay; its four warps share the tiles of 16
 * queries. Padded tokens are rounded from the bias straight into shared memory; their queries are left out.
 *
 * Keys go by in tiles of four rows of the window, 56 keys, and a last one of 28 and the zeros. 56 is a
 * multiple of both 14 and 8: so a lane meets the same seven of the 14 terms for the keys' columns in every
 * tile, at the same places, and keeps them in registers; the terms for rows come by fours. A score starts as
 * the sum of the two.
 *
 * Queries go by in two strips, of 8 columns and of 6, since 16 queries in 14 columns would need 27 columns of
 * the table for w, four groups of eight. A tile of 2 x 8 needs 15 of the table for h and 21 of that for w,
 * two groups and three; one in 3 x 6 two and three as well, one in 4 x 6 three and three.
 */
#include "kernels/cuda/attention_grid.cuh"

enum {
    SIZE = GRID_WINDOW_SIZE,
    WARPS = GRID_WINDOW_WARPS,
    KEYS = SIZE * SIZE,
    KEY_ROWS = 200, /* in shared memory: 25 groups of eight */
    TILE_ROWS = 4,  /* of the window in a tile */
    TILE_GROUPS = TILE_ROWS * SIZE / 8,
    LAST_GROUPS = KEY_ROWS / 8 - 3 * TILE_GROUPS,
    STRIP = 8,     /* columns of the first strip of queries */
    TERMS_LD = 20, /* 16-byte aligned, and two rows' reads of 16 bytes share no bank */
};

template <int D> struct window_shared {
    unsigned char keys[2][KEY_ROWS * D * 2]; /* K, V */
    union {
        unsigned char rows[16 * D * 2]; /* q on the way in, results on the way out */
        float term[2][16 * TERMS_LD];   /* for the keys' rows, columns */
    } warp[WARPS];
};

/* K (part 1) or V (2) of the window. */
template <int D>
SA_DEVICE void copy_window(uint32_t to, const sa_attention_grid_launch &args, const grid_place &place,
                           int part)
{
    for (int index = threadIdx.x; index < KEY_ROWS * (D / 8); index += WARPS * 32) {
        int key = index / (D / 8), chunk = index % (D / 8);
        uint32_t at = to + tile_offset<D>(key, chunk);
        if (key < KEYS) {
            load_token_chunk<D, true>(at, args, place, part, key / SIZE, key % SIZE, chunk);
        } else {
            const uint32_t zeros[4] = {0, 0, 0, 0};
            store_chunk(at, zeros);
        }
    }
    cp_async_commit();
}

/* column[r][j]: the term of row g + 8r for the key column (4j + t) mod 14. */
SA_DEVICE void take_column_terms(float (&column)[2][7], const float *term)
{
    const int g = lane_id() / 4, t = lane_id() % 4;
#pragma unroll
    for (int i = 0; i < 14; i++) {
        int x = 4 * (i % 7) % SIZE + t;
        column[i / 7][i % 7] = term[(g + i / 7 * 8) * TERMS_LD + (x < SIZE ? x : x - SIZE)];
    }
}

/*
 * N groups of keys from row `first` of the window on. Group 4 * i of the lane's keys 4i + t, i = 0 .. 2N-1,
 * lies in row 4i / 14 of the tile, but where a row ends within it, the lanes t >= 2 are in the next.
 */
template <int D, int N>
SA_DEVICE void attend_rows(attend_state<D, 1> &state, const uint32_t (&q)[D / 16][4],
                           const float (&column)[2][7], const float *row_term, int first, uint32_t keys,
                           float scale)
{
    const bool late = lane_id() % 4 >= 2;
    float4 low = *(const float4 *)(row_term + first),
           high = *(const float4 *)(row_term + 8 * TERMS_LD + first);
    const float row[2][4] = {{low.x, low.y, low.z, low.w}, {high.x, high.y, high.z, high.w}};
    float score[1][N][4];
#pragma unroll
    for (int i = 0; i < 2 * N; i++) {
        const int at = 4 * i / SIZE, end = (4 * i + 3) / SIZE < TILE_ROWS ? (4 * i + 3) / SIZE : at;
#pragma unroll
        for (int r = 0; r < 2; r++) {
            score[0][i / 2][i % 2 + 2 * r] = column[r][i % 7] + (late ? row[r][end] : row[r][at]);
        }
    }
    const uint32_t k = keys + first * SIZE * D * 2;
    add_products<D, N>(score, q, k);
    if (N == LAST_GROUPS) { /* the last four keys are the zeros: the second half of the last group */
        score[0][N - 1][1] = score[0][N - 1][3] = HIDDEN;
    }
    const float none[1][2] = {{0.0f, 0.0f}};
    soften<D, 1, N>(score, state, none, scale);
    add_values<D, 1, N>(state, score, k + KEY_ROWS * D * 2);
}

/* Queries and terms of the warp's tile that begins at query `first`. */
template <int D>
SA_DEVICE void begin_tile(const sa_attention_grid_launch &args, const grid_place &place, int first,
                          float *term, uint32_t rows, uint32_t (&q)[D / 16][4], float (&column)[2][7])
{
    load_query_rows<D, true, STRIP>(rows, args, place, first);
    cp_async_commit();
    cp_async_wait<0>();
    __syncwarp();
    load_queries<D>(q, rows);
    __syncwarp(); /* read before the tables take the same place */
    const grid_cell mine = lane_cell<STRIP>(place, first);
    compute_terms<D>(term, TERMS_LD, SIZE + 2, q, args.rel_h, SIZE, mine.y, args.root);
    compute_terms<D>(term + 16 * TERMS_LD, TERMS_LD, SIZE, q, args.rel_w, SIZE, mine.x, args.root);
    __syncwarp();
    take_column_terms(column, term + 16 * TERMS_LD);
}

template <int D> SA_DEVICE void attend_window(const sa_attention_grid_launch &args, unsigned char *memory)
{
    window_shared<D> *shared = (window_shared<D> *)memory;
    const grid_place place = place_of_block(args);
    const uint32_t keys = shared_address(shared->keys);
    copy_window<D>(keys, args, place, 1);
    copy_window<D>(keys + KEY_ROWS * D * 2, args, place, 2);
    cp_async_wait<0>();
    __syncthreads(); /* the only barrier: K and V stay as they are */
    const int warp = threadIdx.x / 32, turn = (warp + blockIdx.x) % WARPS; /* who takes the odd 13th tile */
    float *term = shared->warp[warp].term[0];
    const uint32_t rows = shared_address(term);
#pragma unroll 1
    for (int first = turn * 16; first < place.down * place.across; first += WARPS * 16) {
        uint32_t q[D / 16][4];
        float column[2][7];
        begin_tile<D>(args, place, first, term, rows, q, column);
        const float *row_term = term + lane_id() / 4 * TERMS_LD;
        attend_state<D, 1> state;
        attend_begin(state);
#pragma unroll 1
        for (int row = 0; row < 3 * TILE_ROWS; row += TILE_ROWS) {
            attend_rows<D, TILE_GROUPS>(state, q, column, row_term, row, keys, args.scale);
        }
        attend_rows<D, LAST_GROUPS>(state, q, column, row_term, 3 * TILE_ROWS, keys, args.scale);
        __syncwarp(); /* the tables have been read; results take their place */
        stage_rows(state, 0, rows);
        __syncwarp();
        store_query_rows<D, true, STRIP>(rows, args, place, first);
        __syncwarp(); /* and the next queries that of the results */
    }
}

extern "C" __global__ void __launch_bounds__(WARPS * 32, 2)
    attention_grid_window_64(const __grid_constant__ sa_attention_grid_launch args)
{
    extern __shared__ __align__(256) unsigned char shared[];
    attend_window<64>(args, shared);
}

extern "C" __global__ void __launch_bounds__(WARPS * 32, 2)
    attention_grid_window_80(const __grid_constant__ sa_attention_grid_launch args)
{
    extern __shared__ __align__(256) unsigned char shared[];
    attend_window<80>(args, shared);
}
