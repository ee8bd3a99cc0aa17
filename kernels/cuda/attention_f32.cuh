/*
 * attention_f32.cuh: a block's queries against a range of keys in f32, without tensor cores: the loop of
 * attention_f32.cu and attention_grid_f32.cu.
 *
 * 256 threads stand as 16 x 16: thread (ty, tx) has R queries, ty * R on, and of each tile of 32 keys the
 * scores of keys tx and tx + 16; of the sums it has columns tx, tx + 16, ... The 16 threads of a query are
 * half a warp, so rows of scores need no barrier of the block. Every sum runs in one order, that of d or of
 * the keys; the reduction over the 16 threads is a butterfly.
 */
#ifndef SA_KERNELS_CUDA_ATTENTION_F32_CUH
#define SA_KERNELS_CUDA_ATTENTION_F32_CUH

#include "kernels/cuda/attention_exp2.cuh"

#define HIDDEN (-1e30f) /* far below any score, and finite: HIDDEN - HIDDEN is 0, not NaN */

enum { F32_THREADS = 256, F32_KEYS = 32 };

/* Queries of a thread and of a block: what shared memory holds. */
template <int D> struct f32_shape {
    static constexpr int rows = D <= 80 ? 4 : 2;
    static constexpr int block = 16 * rows;
};

template <int D> struct f32_shared {
    float q[f32_shape<D>::block][D + 4]; /* + 4: neighbouring rows begin in other banks */
    float k[F32_KEYS][D + 4];
    float v[F32_KEYS][D];
    float p[f32_shape<D>::block][F32_KEYS + 4];
};

template <int D> struct f32_state {
    float out[f32_shape<D>::rows][D / 16];
    float peak[f32_shape<D>::rows], total[f32_shape<D>::rows]; /* total: of this thread's keys */
};

/*
 * `count` rows of `head_dim` floats into `rows` rows of shared memory, D + pad apart; what is missing becomes
 * zeros. row(i) is where row i begins. The caller waits for the copies.
 */
template <int D, class Row>
SA_DEVICE void f32_copy(float *to, int pad, int rows, int count, int head_dim, bool vector, const Row &row)
{
    for (int index = threadIdx.x; index < rows * (D / 4); index += F32_THREADS) {
        int i = index / (D / 4), column = index % (D / 4) * 4;
        uint32_t at = shared_address(to + i * (D + pad) + column);
        int left = i < count ? min(max(head_dim - column, 0), 4) : 0;
        const float *from = row(left > 0 ? i : 0) + (left > 0 ? column : 0);
        if (vector) {
            cp_async_16(at, from, left * 4);
            continue;
        }
#pragma unroll
        for (int j = 0; j < 4; j++) {
            cp_async_4(at + j * 4, from + (j < left ? j : 0), j < left ? 4 : 0);
        }
    }
}

template <int D> SA_DEVICE void f32_begin(f32_state<D> &state)
{
#pragma unroll
    for (int r = 0; r < f32_shape<D>::rows; r++) {
        state.peak[r] = HIDDEN;
        state.total[r] = 0.0f;
#pragma unroll
        for (int j = 0; j < D / 16; j++) {
            state.out[r][j] = 0.0f;
        }
    }
}

template <int D>
SA_DEVICE void f32_scores(float (&score)[f32_shape<D>::rows][2], const f32_shared<D> &shared, int ty, int tx)
{
    constexpr int rows = f32_shape<D>::rows;
#pragma unroll 4
    for (int c = 0; c < D; c += 4) {
        float4 k[2] = {*(const float4 *)&shared.k[tx][c], *(const float4 *)&shared.k[tx + 16][c]};
#pragma unroll
        for (int r = 0; r < rows; r++) {
            float4 q = *(const float4 *)&shared.q[ty * rows + r][c];
#pragma unroll
            for (int j = 0; j < 2; j++) {
                score[r][j] = fmaf(q.x, k[j].x, score[r][j]);
                score[r][j] = fmaf(q.y, k[j].y, score[r][j]);
                score[r][j] = fmaf(q.z, k[j].z, score[r][j]);
                score[r][j] = fmaf(q.w, k[j].w, score[r][j]);
            }
        }
    }
}

/* Scores to probabilities, into shared memory; earlier sums scaled to the new peak. A NaN is left to the
 * exponential. */
template <int D>
SA_DEVICE void f32_soften(f32_state<D> &state, float (&score)[f32_shape<D>::rows][2], f32_shared<D> &shared,
                          int ty, int tx, float scale)
{
    constexpr int rows = f32_shape<D>::rows;
#pragma unroll
    for (int r = 0; r < rows; r++) {
        float most = fmaxf(score[r][0], score[r][1]);
#pragma unroll
        for (int step = 8; step > 0; step /= 2) {
            most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, step));
        }
        float before = state.peak[r], after = fmaxf(before, most);
        float low = exp2_exact((score[r][0] - after) * scale),
              high = exp2_exact((score[r][1] - after) * scale);
        float keep = exp2_exact((before - after) * scale);
        shared.p[ty * rows + r][tx] = low;
        shared.p[ty * rows + r][tx + 16] = high;
        state.peak[r] = after;
        state.total[r] = fmaf(state.total[r], keep, low + high);
#pragma unroll
        for (int j = 0; j < D / 16; j++) {
            state.out[r][j] *= keep;
        }
    }
}

template <int D> SA_DEVICE void f32_values(f32_state<D> &state, const f32_shared<D> &shared, int ty, int tx)
{
    constexpr int rows = f32_shape<D>::rows;
#pragma unroll 2
    for (int key = 0; key < F32_KEYS; key += 4) {
        float p[rows][4];
#pragma unroll
        for (int r = 0; r < rows; r++) {
            float4 four = *(const float4 *)&shared.p[ty * rows + r][key];
            p[r][0] = four.x, p[r][1] = four.y, p[r][2] = four.z, p[r][3] = four.w;
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
            for (int j = 0; j < D / 16; j++) {
                float v = shared.v[key + i][tx + 16 * j];
#pragma unroll
                for (int r = 0; r < rows; r++) {
                    state.out[r][j] = fmaf(p[r][i], v, state.out[r][j]);
                }
            }
        }
    }
}

/*
 * Queries in shared.q against keys [first, last). source.row(part, key) is where the key's K (part 1) or V
 * (2) begins; source.start(query, key) what the raw score begins as; head_dim and vector belong to the
 * source. The block's threads come here together; shared.q is ready after the first barrier in here.
 */
template <int D, class Source>
SA_DEVICE void f32_range(f32_state<D> &state, f32_shared<D> &shared, const Source &source, int first,
                         int last, float scale)
{
    constexpr int rows = f32_shape<D>::rows;
    const int ty = threadIdx.x / 16, tx = threadIdx.x % 16;
#pragma unroll 1
    for (int key = first; key < last; key += F32_KEYS) {
        const int count = min(last - key, (int)F32_KEYS);
        f32_copy<D>(shared.k[0], 4, F32_KEYS, count, source.head_dim, source.vector,
                    [&](int i) { return source.row(1, key + i); });
        f32_copy<D>(shared.v[0], 0, F32_KEYS, count, source.head_dim, source.vector,
                    [&](int i) { return source.row(2, key + i); });
        cp_async_commit();
        cp_async_wait<0>();
        __syncthreads(); /* the tile is here, for everybody */
        float score[rows][2];
#pragma unroll
        for (int i = 0; i < 2 * rows; i++) {
            int mine = tx + i % 2 * 16;
            score[i / 2][i % 2] = source.start(ty * rows + i / 2, min(key + mine, last - 1));
        }
        f32_scores<D>(score, shared, ty, tx);
#pragma unroll
        for (int i = 0; i < 2 * rows; i++) {
            score[i / 2][i % 2] = tx + i % 2 * 16 < count ? score[i / 2][i % 2] : HIDDEN;
        }
        f32_soften<D>(state, score, shared, ty, tx, scale);
        __syncwarp(); /* p of a query is read by the half warp that wrote it */
        f32_values<D>(state, shared, ty, tx);
        __syncthreads(); /* nobody reads the tile any more */
    }
}

/* A query's total, in its 16 threads. */
SA_DEVICE float f32_total(float part)
{
    return warp_sum<16>(part);
}

#endif
