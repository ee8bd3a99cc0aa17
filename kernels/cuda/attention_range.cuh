/*
 * attention_range.cuh: blocks of 4 warps with 16 queries each against any range of keys, 64 at a time: the
 * loop of attention.cu and of attention_grid.cu. Where keys come from and what scores start as is the
 * caller's.
 */
#ifndef SA_KERNELS_CUDA_ATTENTION_RANGE_CUH
#define SA_KERNELS_CUDA_ATTENTION_RANGE_CUH

#include "kernels/cuda/attention_tile.cuh"

enum {
    RANGE_WARPS = 4,
    RANGE_KEYS = 64, /* of a tile */
    RANGE_GROUPS = RANGE_KEYS / 8,
};

/* Tiles of K and V under way or worked on; small heads take more, because one tile of theirs hides no
 * latency. */
template <int D> struct range_shared {
    static constexpr int stages = D <= 32 ? 4 : 2;
    unsigned char keys[stages][2][RANGE_KEYS * D * 2]; /* K or V */
};

/* Keys [first, last) into a stage, zeros behind them (0 * what stood there could be NaN). */
template <int D, class Source>
SA_DEVICE void range_copy(uint32_t stage, const Source &source, int first, int last)
{
#pragma unroll
    for (int i = 0; i < RANGE_KEYS * (D / 8) / (RANGE_WARPS * 32); i++) {
        int index = i * RANGE_WARPS * 32 + threadIdx.x, row = index / (D / 8), chunk = index % (D / 8);
        uint32_t to = stage + tile_offset<D>(row, chunk);
        if (first + row < last) {
            source.copy(to, 1, first + row, chunk);
            source.copy(to + RANGE_KEYS * D * 2, 2, first + row, chunk);
        } else {
            const uint32_t zeros[4] = {0, 0, 0, 0};
            store_chunk(to, zeros);
            store_chunk(to + RANGE_KEYS * D * 2, zeros);
        }
    }
}

/* Scores of keys from `last` on, in a tile that begins at key `first`, get no weight. */
SA_DEVICE void hide_keys(float (&score)[1][RANGE_GROUPS][4], int first, int last)
{
    const int t = lane_id() % 4;
#pragma unroll
    for (int i = 0; i < RANGE_GROUPS * 4; i++) {
        if (first + i / 4 * 8 + t + i % 2 * 4 >= last) {
            score[0][i / 4][i % 4] = HIDDEN;
        }
    }
}

/*
 * The first copies, so many groups of cp.async as the next function expects. Queries that were committed
 * before have come after range_wait().
 */
template <int D, class Source>
SA_DEVICE void range_begin(const Source &source, uint32_t shared, int first, int last)
{
#pragma unroll
    for (int i = 0; i < range_shared<D>::stages - 1; i++) {
        if (first + i * RANGE_KEYS < last) {
            range_copy<D>(shared + i * 2 * RANGE_KEYS * D * 2, source, first + i * RANGE_KEYS, last);
        }
        cp_async_commit();
    }
}

template <int D> SA_DEVICE void range_wait(void)
{
    cp_async_wait<range_shared<D>::stages - 1>();
    __syncwarp(); /* a warp's queries are copied by its own lanes */
}

/*
 * The warp's queries against keys [first, last). Every thread of the block comes here from range_begin(),
 * with the same range; a warp without queries helps to copy. source.copy(to, part, key, chunk) fetches a
 * chunk of K (part 1) or V (2); source.start(score, key) sets what the scores of a tile from `key` on begin
 * as, raw.
 */
template <int D, class Source>
SA_DEVICE void attend_range(attend_state<D, 1> &state, const uint32_t (&q)[D / 16][4], Source &source,
                            uint32_t shared, int first, int last, bool busy, float scale)
{
    constexpr int stages = range_shared<D>::stages;
    constexpr uint32_t stage_bytes = 2 * RANGE_KEYS * D * 2;
    const int tiles = (last - first + RANGE_KEYS - 1) / RANGE_KEYS;
#pragma unroll 1
    for (int tile = 0; tile < tiles; tile++) {
        const int key = first + tile * RANGE_KEYS, next = tile + stages - 1;
        const uint32_t stage = shared + tile % stages * stage_bytes;
        cp_async_wait<stages - 2>();
        __syncthreads(); /* everybody's part of this tile is here, and the stage before it is free */
        if (next < tiles) {
            range_copy<D>(shared + next % stages * stage_bytes, source, first + next * RANGE_KEYS, last);
        }
        cp_async_commit(); /* one group a tile, if empty, so that the wait counts right */
        if (busy) {
            float score[1][RANGE_GROUPS][4];
            source.start(score, key);
            add_products<D, RANGE_GROUPS>(score, q, stage);
            if (key + RANGE_KEYS > last) {
                hide_keys(score, key, last);
            }
            const float none[1][2] = {{0.0f, 0.0f}};
            soften<D, 1, RANGE_GROUPS>(score, state, none, scale);
            add_values<D, 1, RANGE_GROUPS>(state, score, stage + RANGE_KEYS * D * 2);
        }
    }
}

#endif
