/*
 * attention_grid over the whole map of 64 x 64 tokens: SAM's global layers. Contract in kernels.h.
 *
 * Grid (images * 32, heads), block 128: four warps of 32 queries each, which share every fragment of K and V.
 * A tile of 64 keys is one row of the map: so the term for the key's row is one number per query and tile,
 * read from a table in shared memory and added to the exponent, and the 64 terms for the key's column are the
 * same in every tile: they wait in registers, and scores start as copies of them. Position costs no
 * instruction per score.
 *
 * K and V go through two stages of shared memory with cp.async: while a tile is worked on the next one comes
 * in. 4*d*4096*4096 flops a head; moves q, k, v and out once; K and V of a head come from the second-level
 * cache.
 */
#include "kernels/cuda/attention_grid.cuh"

enum {
    WARPS = 4,
    TILES = GRID_GLOBAL_ROWS / WARPS / 16, /* of 16 queries of a warp */
    KEYS = GRID_GLOBAL_SIZE,
    TERMS_LD = KEYS + 1, /* odd: eight rows' terms for one key row lie in eight banks */
};

/*
 * Groups of eight keys whose column terms a warp keeps in registers: all, where ptxas finds room for them
 * (cmake/check_sass.sh looks for spills). The fragments of the last group are read from shared memory else.
 */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
template <int D> constexpr int kept_groups = KEYS / 8;
#else
template <int D> constexpr int kept_groups = D == 64 ? KEYS / 8 : KEYS / 8 - 1;
#endif

template <int D> struct global_shared {
    unsigned char keys[2][2][KEYS * D * 2];        /* stage, K or V */
    unsigned char rows[WARPS][TILES * 16 * D * 2]; /* q, at the end the results */
    float term[WARPS][TILES * 16 * TERMS_LD];
    float4 column[WARPS]
                 [kept_groups<D> == KEYS / 8 ? 1 : TILES * 32]; /* fragments that are not in registers */
};

/* threadIdx.x, read anew: what is computed from it then costs no registers while tiles are worked on. */
SA_DEVICE unsigned thread_again(void)
{
    unsigned out;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(out));
    return out;
}

/* A tile of K and V; first the chunks 0-7 of 16 rows at a time, then the rest, one chunk a thread. */
template <int D> SA_DEVICE void copy_keys(uint32_t stage, const uint16_t *keys, int tile, int ld, int hidden)
{
    constexpr int rest = D > 64 ? D / 8 - 8 : 1;
    static_assert(D == 64 || KEYS * rest == WARPS * 32, "one chunk of the rest for each thread");
    const unsigned char *k = (const unsigned char *)keys, *v = k + hidden * 2;
    const int thread = thread_again();
    const uint32_t to = stage + tile_offset<D>(thread / 8, thread % 8);
    const uint32_t at = (uint32_t)((tile * KEYS + thread / 8) * ld + thread % 8 * 8) * 2;
#pragma unroll
    for (int i = 0; i < KEYS / 16; i++) {
        cp_async_16(to + i * 16 * D * 2, k + (at + i * 32 * ld), 16);
        cp_async_16(to + (KEYS + i * 16) * D * 2, v + (at + i * 32 * ld), 16);
    }
    if (D > 64) {
        const int row = thread / rest, chunk = 8 + thread % rest;
        const uint32_t to_rest = stage + tile_offset<D>(row, chunk);
        const uint32_t at_rest = (uint32_t)((tile * KEYS + row) * ld + chunk * 8) * 2;
        cp_async_16(to_rest, k + at_rest, 16);
        cp_async_16(to_rest + KEYS * D * 2, v + at_rest, 16);
    }
    cp_async_commit();
}

/* A warp's queries, neighbours in one row of the map, from global to shared memory, and the results back. */
template <int D> SA_DEVICE void load_warp_queries(uint32_t rows, const uint16_t *from, int ld)
{
    const int lane = thread_again() % 32;
#pragma unroll
    for (int i = 0; i < TILES * D / 16; i++) {
        int index = i * 32 + lane, row = index / (D / 8), chunk = index % (D / 8);
        cp_async_16(rows + tile_offset<D>(row, chunk), from + row * ld + chunk * 8, 16);
    }
    cp_async_commit();
}

template <int D>
SA_DEVICE void store_warp_results(const sa_attention_grid_launch &args, const grid_place &place,
                                  const unsigned char *rows)
{
    const int lane = thread_again() % 32, warp = thread_again() / 32, hidden = args.heads * D;
    const int first = place.tile * GRID_GLOBAL_ROWS + warp * TILES * 16;
    uint16_t *out = (uint16_t *)args.out + (place.token + first) * hidden + place.head * D;
#pragma unroll
    for (int i = 0; i < TILES * D / 16; i++) {
        int index = i * 32 + lane, row = index / (D / 8), chunk = index % (D / 8);
        write_chunk(out + row * hidden + chunk * 8, shared_address(rows) + tile_offset<D>(row, chunk), 8,
                    true);
    }
}

/* The terms of the keys' columns, from a table into the fragments that scores start as; `spare` is for the
 * last. */
template <int D>
SA_DEVICE void take_column_terms(float (&column)[TILES][kept_groups<D>][4], float4 *spare, const float *term)
{
    const int lane = lane_id(), g = lane / 4, t = lane % 4;
#pragma unroll
    for (int m = 0; m < TILES; m++) {
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++) {
            float four[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                four[i] = term[(m * 16 + g + i / 2 * 8) * TERMS_LD + n * 8 + t + i % 2 * 4];
                if (n < kept_groups<D>) {
                    column[m][n][i] = four[i];
                }
            }
            if (n >= kept_groups<D>) {
                spare[m * 32 + lane] = make_float4(four[0], four[1], four[2], four[3]);
            }
        }
    }
}

/* What the scores of N groups of keys from group `first` on start as. */
template <int D, int N>
SA_DEVICE void start_scores(float (&score)[TILES][N][4], const float (&column)[TILES][kept_groups<D>][4],
                            const float4 *spare, int first)
{
#pragma unroll
    for (int m = 0; m < TILES; m++) {
#pragma unroll
        for (int n = 0; n < N; n++) {
            const bool kept = first + n < kept_groups<D>;
            const float4 four = kept ? make_float4(0.0f, 0.0f, 0.0f, 0.0f) : spare[m * 32 + lane_id()];
            const int from = kept ? first + n : 0;
            score[m][n][0] = kept ? column[m][from][0] : four.x;
            score[m][n][1] = kept ? column[m][from][1] : four.y;
            score[m][n][2] = kept ? column[m][from][2] : four.z;
            score[m][n][3] = kept ? column[m][from][3] : four.w;
        }
    }
}

/* Scores of N groups of keys, from group `first` of the tile on, and what follows from them. */
template <int D, int N>
SA_DEVICE void attend_groups(attend_state<D, TILES> &state, uint32_t rows,
                             const float (&column)[TILES][kept_groups<D>][4], const float4 *spare,
                             const float (&row)[TILES][2], int first, uint32_t stage, float scale)
{
    float score[TILES][N][4];
    start_scores<D, N>(score, column, spare, first);
    uint32_t keys = stage + first * 8 * D * 2;
    add_staged_products<D, TILES, N>(score, rows, keys);
    soften<D, TILES, N>(score, state, row, scale);
    add_values<D, TILES, N>(state, score, keys + KEYS * D * 2);
}

template <int D, int N> SA_DEVICE void attend_map(const sa_attention_grid_launch &args, unsigned char *memory)
{
    global_shared<D> *shared = (global_shared<D> *)memory;
    const grid_place place = place_of_block(args);
    const int hidden = args.heads * D, warp = threadIdx.x / 32,
              first = place.tile * GRID_GLOBAL_ROWS + warp * TILES * 16;
    const int ld = 3 * hidden;
    const uint16_t *keys = (const uint16_t *)args.qkv + place.token * ld + hidden + place.head * D;
    constexpr uint32_t stage_bytes = 2 * KEYS * D * 2;
    float *term = shared->term[warp];
    const uint32_t rows = shared_address(shared->rows[warp]);

    load_warp_queries<D>(rows, keys - hidden + (size_t)first * ld, ld);
    copy_keys<D>(shared_address(shared->keys), keys, 0, ld, hidden);
    cp_async_wait<1>();
    __syncwarp(); /* the warp's lanes have copied its queries, nobody else */
    float column[TILES][kept_groups<D>][4];
    /* The table of column terms, then that of row terms, in the same place. */
#pragma unroll 1
    for (int table = 0; table < 2; table++) {
        __syncwarp();
#pragma unroll 1
        for (int m = 0; m < TILES; m++) {
            uint32_t q[D / 16][4];
            load_queries<D>(q, rows + m * 16 * D * 2);
            /* A warp's queries lie in one row of the map. */
            const int y = first / KEYS, x = first % KEYS + m * 16 + lane_id() % 16;
            compute_terms<D>(term + m * 16 * TERMS_LD, TERMS_LD, KEYS, q,
                             table == 0 ? args.rel_w : args.rel_h, KEYS, table == 0 ? x : y, args.root);
        }
        __syncwarp();
        if (table == 0) {
            take_column_terms<D>(column, shared->column[warp], term);
        }
    }

    attend_state<D, TILES> state;
    attend_begin(state);
#pragma unroll 1
    for (int tile = 0; tile < KEYS; tile++) {
        cp_async_wait<0>();
        __syncthreads(); /* everybody's part of this tile is here, and nobody reads the other stage any more
                          */
        if (tile + 1 < KEYS) {
            copy_keys<D>(shared_address(shared->keys) + (tile + 1) % 2 * stage_bytes, keys, tile + 1, ld,
                         hidden);
        }
        float row[TILES][2];
#pragma unroll
        for (int i = 0; i < TILES * 2; i++) {
            row[i / 2][i % 2] = term[(i * 8 + lane_id() / 4) * TERMS_LD + tile];
        }
#pragma unroll
        for (int group = 0; group < KEYS / 8; group += N) {
            attend_groups<D, N>(state, rows, column, shared->column[warp], row, group,
                                shared_address(shared->keys) + tile % 2 * stage_bytes, args.scale);
        }
    }

    __syncwarp(); /* q has been read; results take its place */
#pragma unroll
    for (int m = 0; m < TILES; m++) {
        stage_rows(state, m, rows + m * 16 * D * 2);
    }
    __syncwarp();
    store_warp_results<D>(args, place, shared->rows[thread_again() / 32]);
}

extern "C" __global__ void __launch_bounds__(WARPS * 32, 2)
    attention_grid_global_64(const __grid_constant__ sa_attention_grid_launch args)
{
    extern __shared__ __align__(256) unsigned char shared[];
    attend_map<64, 8>(args, shared);
}

extern "C" __global__ void __launch_bounds__(WARPS * 32, 2)
    attention_grid_global_80(const __grid_constant__ sa_attention_grid_launch args)
{
    extern __shared__ __align__(256) unsigned char shared[];
    attend_map<80, 4>(args, shared);
}
