/*
 * attention_tile.cuh: the inner part of every bf16 and f16 attention kernel, one warp's view of it, in the
 * manner of FlashAttention (Dao et al. 2022) on the tensor cores.
 *
 *   load_row -> tile of keys in shared memory -> add_products (scores) -> soften (probabilities)
 *            -> add_values (sums of p*v) -> finish -> stage_rows -> store_rows
 *
 * A warp owns M tiles of 16 queries; their fragments of q stay in registers. Keys pass in tiles of N groups
 * of eight. Scores, probabilities and sums stay in registers: a score fragment of mma is, rounded to 16 bits,
 * the first operand of p*v as it stands. A row's result depends on its own q and on the keys alone: no value
 * of another row enters it, and the keys come in one fixed order.
 *
 * Inside a group of eight, column j of a fragment is key key_place(j): the lane with coordinates (g, t) then
 * holds keys t and t + 4 of the group, and the four lanes of a row read four neighbouring terms of a table,
 * which 32 banks serve without conflict. K and V are read by rows of ldmatrix, so any order costs nothing.
 *
 * "Raw" scores are q.k + terms * sqrt(d); scale = log2(e) / sqrt(d) takes them to exponents of two.
 */
#ifndef SA_KERNELS_CUDA_ATTENTION_TILE_CUH
#define SA_KERNELS_CUDA_ATTENTION_TILE_CUH

#include "kernels/cuda/device.cuh"

/*
 * The 16-bit dtype of q, k, v and of the results: bf16, unless a file that includes this one has said f16
 * (attention_f16.cu); its kernels' names then end with it.
 */
#ifndef ATTENTION_HALF
#define ATTENTION_HALF SA_BF16
#define ATTENTION_KERNEL(name) name
#endif

#define HIDDEN (-1e30f) /* far below any score, and finite: HIDDEN - HIDDEN is 0, not NaN */
#define FULL_WARP 0xffffffffu

SA_DEVICE void mma_tile(float c[4], const uint32_t a[4], const uint32_t b[2])
{
    mma_16x8x16<ATTENTION_HALF>(c, a, b);
}

SA_DEVICE uint32_t round_pair(float low, float high)
{
    return half_pair(ATTENTION_HALF, low, high);
}

/* What a warp knows of its rows so far; [0] is row g of a tile of queries, [1] row g + 8. */
template <int D, int M> struct attend_state {
    float out[M][D / 8][4]; /* sums of p*v, accumulator fragments */
    float peak[M][2];       /* the largest raw score */
    float total[M][2];      /* this lane's part of the sum of p */
};

template <int D, int M> SA_DEVICE void attend_begin(attend_state<D, M> &state)
{
#pragma unroll
    for (int m = 0; m < M; m++) {
#pragma unroll
        for (int i = 0; i < 4 * (D / 8); i++) {
            state.out[m][i / 4][i % 4] = 0.0f;
        }
        state.peak[m][0] = state.peak[m][1] = HIDDEN;
        state.total[m][0] = state.total[m][1] = 0.0f;
    }
}

SA_DEVICE int key_place(int column)
{
    return column / 2 + 4 * (column % 2);
}

/*
 * Byte offset of 16-byte chunk `chunk` of row `row` in a tile of rows of D values. Chunks are exchanged
 * within a row so that any eight rows of an aligned group have one chunk number in eight different bank
 * groups.
 */
template <int D> SA_DEVICE uint32_t tile_offset(int row, int chunk)
{
    constexpr int chunks = D / 8;
    constexpr int run = chunks % 8 == 0 ? 8 : chunks % 4 == 0 ? 4 : 2;
    return (uint32_t)(row * chunks + (chunk ^ (row / (8 / run) % run))) * 16;
}

/*
 * From the address of chunk 0 or 1 of a row in a tile to that of the chunk 2 * pair further. The tile is
 * aligned to 128 bytes (256 if D is 128). One instruction, and the caller keeps one address for all pairs.
 */
template <int D> SA_DEVICE uint32_t chunk_pair(uint32_t at, int pair)
{
    return (D & (D - 1)) == 0 ? at ^ (uint32_t)(pair * 32) : at + pair * 32;
}

SA_DEVICE void store_chunk(uint32_t to, const uint32_t word[4])
{
    asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(word[0]), "r"(word[1]),
                 "r"(word[2]), "r"(word[3])
                 : "memory");
}

/*
 * Eight values into a chunk of shared memory, the last 8 - count of them zeros. `vector` says that rows have
 * a multiple of eight values and are 16-byte aligned: then the copy is asynchronous. Else it is done value by
 * value.
 */
SA_DEVICE void load_chunk(uint32_t to, const uint16_t *from, int count, bool vector)
{
    if (vector) {
        cp_async_16(to, from, count > 0 ? 16 : 0);
        return;
    }
    uint32_t word[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        uint32_t low = 2 * i < count ? from[2 * i] : 0, high = 2 * i + 1 < count ? from[2 * i + 1] : 0;
        word[i] = low | high << 16;
    }
    store_chunk(to, word);
}

/* The same from f32, rounded: what a padded token holds. */
SA_DEVICE void round_chunk(uint32_t to, const float *from, int count)
{
    uint32_t word[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        word[i] = round_pair(2 * i < count ? from[2 * i] : 0.0f, 2 * i + 1 < count ? from[2 * i + 1] : 0.0f);
    }
    store_chunk(to, word);
}

/* Fragments of 16 rows of D values at `rows`. */
template <int D> SA_DEVICE void load_queries(uint32_t (&q)[D / 16][4], uint32_t rows)
{
    const int lane = lane_id();
#pragma unroll
    for (int step = 0; step < D / 16; step++) {
        ldmatrix_x4(q[step], rows + tile_offset<D>(lane % 16, 2 * step + lane / 16));
    }
}

/* scores += q.k for N groups of keys at `keys`, whose number is a multiple of 8, for step `step` of 16 along
 * d. */
template <int D, int M, int N>
SA_DEVICE void add_products_step(float (&score)[M][N][4], const uint32_t (&q)[M][4], uint32_t keys, int step)
{
    const int lane = lane_id();
    const int row = lane / 16 * 8 + key_place(lane % 8);
    const uint32_t first = chunk_pair<D>(keys + tile_offset<D>(row, lane / 8 % 2), step);
#pragma unroll
    for (int n = 0; n < N; n += 2) {
        uint32_t k[4];
        uint32_t at = first + n * 8 * D * 2;
        if (n + 1 < N) {
            ldmatrix_x4(k, at);
        } else {
            ldmatrix_x2(k, at);
        }
#pragma unroll
        for (int m = 0; m < M; m++) {
            mma_tile(score[m][n], q[m], k);
            if (n + 1 < N) {
                mma_tile(score[m][n + 1], q[m], k + 2);
            }
        }
    }
}

/* The same over all of d, with one tile of queries in registers. */
template <int D, int N>
SA_DEVICE void add_products(float (&score)[1][N][4], const uint32_t (&q)[D / 16][4], uint32_t keys)
{
#pragma unroll
    for (int step = 0; step < D / 16; step++) {
        const uint32_t part[1][4] = {{q[step][0], q[step][1], q[step][2], q[step][3]}};
        add_products_step<D, 1, N>(score, part, keys, step);
    }
}

/* The same with M tiles of queries that lie one after another in shared memory at `rows`. */
template <int D, int M, int N>
SA_DEVICE void add_staged_products(float (&score)[M][N][4], uint32_t rows, uint32_t keys)
{
    const int lane = lane_id();
    const uint32_t first = rows + tile_offset<D>(lane % 16, lane / 16);
#pragma unroll
    for (int step = 0; step < D / 16; step++) {
        uint32_t q[M][4];
#pragma unroll
        for (int m = 0; m < M; m++) {
            ldmatrix_x4(q[m], chunk_pair<D>(first, step) + m * 16 * D * 2);
        }
        add_products_step<D, M, N>(score, q, keys, step);
    }
}

/*
 * Scores become probabilities against the largest score so far, and what was summed against an earlier one is
 * scaled down. offset[m][r] belongs to every score of the row. A NaN is no peak, but its p is NaN.
 */
template <int D, int M, int N>
SA_DEVICE void soften(float (&score)[M][N][4], attend_state<D, M> &state, const float (&offset)[M][2],
                      float scale)
{
    float keep[M][2];
    bool moved = false;
#pragma unroll
    for (int i = 0; i < 2 * M; i++) {
        const int m = i / 2, r = i % 2 * 2;
        float most = score[m][0][r];
#pragma unroll
        for (int j = 1; j < 2 * N; j++) {
            most = fmaxf(most, score[m][j / 2][r + j % 2]);
        }
        most = fmaxf(most, __shfl_xor_sync(FULL_WARP, most, 1));
        most = fmaxf(most, __shfl_xor_sync(FULL_WARP, most, 2));
        float before = state.peak[m][i % 2], after = fmaxf(before, most + offset[m][i % 2]);
        float shift = (offset[m][i % 2] - after) * scale, sum = 0.0f;
#pragma unroll
        for (int j = 0; j < 2 * N; j++) {
            float p = exp2_fast(fmaf(score[m][j / 2][r + j % 2], scale, shift));
            score[m][j / 2][r + j % 2] = p;
            sum += p;
        }
        keep[m][i % 2] = exp2_fast((before - after) * scale);
        moved = moved || before != after;
        state.peak[m][i % 2] = after;
        state.total[m][i % 2] = fmaf(state.total[m][i % 2], keep[m][i % 2], sum);
    }
    if (!__any_sync(FULL_WARP, moved)) { /* the usual case after some tiles: every factor is 1 */
        return;
    }
#pragma unroll
    for (int m = 0; m < M; m++) {
#pragma unroll
        for (int i = 0; i < 4 * (D / 8); i++) {
            state.out[m][i / 4][i % 4] *= keep[m][i % 4 / 2];
        }
    }
}

/* c[16,8] += a[16,8] b[8,8]: the half of mma_tile with k 0-7, for an odd number of groups. */
SA_DEVICE void mma_tile_8(float c[4], const uint32_t a[2], uint32_t b)
{
    if (ATTENTION_HALF == SA_BF16) {
        asm("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 "
            "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(b));
    } else {
        asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
            "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(b));
    }
}

/* The last group of an odd number of them. */
template <int D, int M, int N>
SA_DEVICE void add_last_values(attend_state<D, M> &state, const float (&p)[M][N][4], uint32_t values)
{
    const int lane = lane_id();
    const uint32_t first = values + tile_offset<D>(key_place(lane % 8), lane / 8 % 2);
    uint32_t a[M][2];
#pragma unroll
    for (int m = 0; m < M; m++) {
        a[m][0] = round_pair(p[m][N - 1][0], p[m][N - 1][1]);
        a[m][1] = round_pair(p[m][N - 1][2], p[m][N - 1][3]);
    }
#pragma unroll
    for (int n = 0; n < D / 8; n += 2) {
        uint32_t v[2];
        ldmatrix_x2_trans(v, chunk_pair<D>(first, n / 2) + (N - 1) * 8 * D * 2);
#pragma unroll
        for (int m = 0; m < M; m++) {
            mma_tile_8(state.out[m][n], a[m], v[0]);
            mma_tile_8(state.out[m][n + 1], a[m], v[1]);
        }
    }
}

/* out += p.v; p is rounded to 16 bits here, while `total` holds the sum of what it was. */
template <int D, int M, int N>
SA_DEVICE void add_values(attend_state<D, M> &state, const float (&p)[M][N][4], uint32_t values)
{
    const int lane = lane_id();
    const uint32_t first = values + tile_offset<D>(lane / 8 % 2 * 8 + key_place(lane % 8), lane / 16);
#pragma unroll
    for (int step = 0; step < N / 2; step++) {
        uint32_t a[M][4];
#pragma unroll
        for (int m = 0; m < M; m++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float *pair = &p[m][2 * step + i / 2][i % 2 * 2];
                a[m][i] = round_pair(pair[0], pair[1]);
            }
        }
#pragma unroll
        for (int n = 0; n < D / 8; n += 2) {
            uint32_t v[4];
            ldmatrix_x4_trans(v, chunk_pair<D>(first, n / 2) + step * 16 * D * 2);
#pragma unroll
            for (int m = 0; m < M; m++) {
                mma_tile(state.out[m][n], a[m], v);
                mma_tile(state.out[m][n + 1], a[m], v + 2);
            }
        }
    }
    if (N % 2 != 0) {
        add_last_values<D, M, N>(state, p, values);
    }
}

/* 1 / a row's total, from the parts of its four lanes; relative error at most 2^-23. */
SA_DEVICE float inverse_total(float part)
{
    float out;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(warp_sum<4>(part)));
    return out;
}

/* Rows of tile m, divided by their totals and rounded, into 16 rows of D values at `rows`. */
template <int D, int M> SA_DEVICE void stage_rows(const attend_state<D, M> &state, int m, uint32_t rows)
{
    const int g = lane_id() / 4, t = lane_id() % 4;
    const float inverse[2] = {inverse_total(state.total[m][0]), inverse_total(state.total[m][1])};
#pragma unroll
    for (int i = 0; i < 2 * (D / 8); i++) {
        const float *pair = &state.out[m][i / 2][i % 2 * 2];
        uint32_t to = rows + tile_offset<D>(g + i % 2 * 8, i / 2) + t * 4;
        uint32_t word = round_pair(pair[0] * inverse[i % 2], pair[1] * inverse[i % 2]);
        asm volatile("st.shared.b32 [%0], %1;" ::"r"(to), "r"(word) : "memory");
    }
}

/* `count` values of a chunk of shared memory to global memory. */
SA_DEVICE void write_chunk(uint16_t *to, uint32_t from, int count, bool vector)
{
    uint32_t word[4];
    asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(word[0]), "=r"(word[1]), "=r"(word[2]), "=r"(word[3])
                 : "r"(from)
                 : "memory");
    if (vector) {
        if (count > 0) {
            *(uint4 *)to = make_uint4(word[0], word[1], word[2], word[3]);
        }
        return;
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
        if (i < count) {
            to[i] = (uint16_t)(word[i / 2] >> (i % 2 * 16));
        }
    }
}

#endif
