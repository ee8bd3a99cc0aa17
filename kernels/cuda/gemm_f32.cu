/*
 * gemm of f32 operands, by fused multiply-adds: contract in kernels.h, tiles and batch invariance in gemm.h.
 * For runs that compare with a reference in f32; tensor cores would round the operands.
 *
 * A lane sums R rows by C groups of four columns; a warp's lanes stand 4 rows by 8 columns. Per four k a lane
 * reads R times 16 bytes along k of a, and 4*C times 16 bytes along n of w: both as they lie in memory, so
 * both come by cp.async with no transposing. a's rows of 64 bytes are swizzled as in gemm_tile.cuh; each
 * quarter of a warp reads one address of a and 128 bytes in a row of w: no bank conflicts.
 */
#include "kernels/cuda/gemm_finish.cuh"

template <int WARPS_M, int WARPS_N, int R, int C> struct f32_tile {
    enum {
        ROWS = R,
        GROUPS = C,
        WARP_COLUMNS_OF_WARPS = WARPS_N,
        WARP_M = 4 * R,
        WARP_N = 32 * C,
        M = WARPS_M * WARP_M,
        N = WARPS_N * WARP_N,
        THREADS = WARPS_M * WARPS_N * 32,
        K = GEMM_F32_K,
        STAGES = GEMM_F32_STAGES,
        A_CHUNKS = M * (K / 4), /* of 16 bytes, in a stage */
        W_CHUNKS = K * (N / 4),
        STAGE_BYTES = (A_CHUNKS + W_CHUNKS) * 16,
    };
    static_assert(K == 16, "the swizzle knows rows of 64 bytes");
    static_assert(GEMM_PACK_N % N == 0 && GEMM_PACK_K % K == 0, "the packed w holds whole tiles");
};

/* Byte offset in a stage of chunk `chunk` (4 k) of row `row` of a. */
SA_DEVICE uint32_t f32_a_at(uint32_t row, uint32_t chunk)
{
    return row * (GEMM_F32_K * 4) + (chunk ^ (row >> 1 & 3)) * 16;
}

/* a's part of a stage, 16 bytes at a time, or 4 where rows are not aligned; zeros past m and k. */
template <class TILE>
SA_DEVICE void f32_fetch_a(const sa_gemm_tile_args &args, uint32_t stage, uint32_t first_row,
                           uint32_t first_k)
{
    const float *a = (const float *)args.a;
    if (args.vector_a) {
        for (uint32_t i = threadIdx.x; i < TILE::A_CHUNKS; i += TILE::THREADS) {
            uint32_t row = i / 4, k = first_k + i % 4 * 4;
            uint32_t bytes = first_row + row < args.m && k < args.k ? min(args.k - k, 4u) * 4 : 0;
            cp_async_16(stage + f32_a_at(row, i % 4), a + (first_row + row) * args.lda + k, bytes);
        }
        return;
    }
    for (uint32_t i = threadIdx.x; i < TILE::A_CHUNKS * 4; i += TILE::THREADS) {
        uint32_t row = i / TILE::K, column = i % TILE::K, k = first_k + column;
        uint32_t bytes = first_row + row < args.m && k < args.k ? 4 : 0;
        cp_async_4(stage + f32_a_at(row, column / 4) + column % 4 * 4, a + (first_row + row) * args.lda + k,
                   bytes);
    }
}

/* One stage as one group. w is packed with zeros all around: no limits. */
template <class TILE>
SA_DEVICE void f32_fetch(const sa_gemm_tile_args &args, uint32_t stage, uint32_t first_row,
                         uint32_t first_column, uint32_t first_k)
{
    if (first_k < args.k) {
        f32_fetch_a<TILE>(args, stage, first_row, first_k);
        const float *w = (const float *)args.w + first_k * args.ldw + first_column;
        for (uint32_t i = threadIdx.x; i < TILE::W_CHUNKS; i += TILE::THREADS) {
            uint32_t k = i / (TILE::N / 4), chunk = i % (TILE::N / 4);
            cp_async_16(stage + (TILE::A_CHUNKS + i) * 16, w + k * args.ldw + chunk * 4, 16);
        }
    }
    cp_async_commit(); /* an empty group keeps the count */
}

/* sums += a w over the K columns of a stage, k upwards. */
template <class TILE>
SA_DEVICE void f32_multiply(float sums[TILE::ROWS][TILE::GROUPS][4], const char *stage, uint32_t row,
                            uint32_t column)
{
    const char *w_at = stage + TILE::A_CHUNKS * 16 + column * 4;
#pragma unroll 1 /* 256 multiply-adds are enough of a body, and more would spill */
    for (int chunk = 0; chunk < TILE::K / 4; chunk++) {
        float a[TILE::ROWS][4];
#pragma unroll
        for (int i = 0; i < TILE::ROWS; i++) {
            *(float4 *)a[i] = *(const float4 *)(stage + f32_a_at(row + i * 4, chunk));
        }
#pragma unroll
        for (int k = 0; k < 4; k++) {
#pragma unroll
            for (int j = 0; j < TILE::GROUPS; j++) {
                float4 w = *(const float4 *)(w_at + (chunk * 4 + k) * TILE::N * 4 + j * 128);
#pragma unroll
                for (int i = 0; i < TILE::ROWS; i++) {
                    sums[i][j][0] = fmaf(a[i][k], w.x, sums[i][j][0]);
                    sums[i][j][1] = fmaf(a[i][k], w.y, sums[i][j][1]);
                    sums[i][j][2] = fmaf(a[i][k], w.z, sums[i][j][2]);
                    sums[i][j][3] = fmaf(a[i][k], w.w, sums[i][j][3]);
                }
            }
        }
    }
}

/* Four sums of a lane to c. */
template <sa_dtype OUT>
SA_DEVICE void f32_finish(const sa_gemm_tile_args &args, uint32_t row, uint32_t column, float v[4])
{
    if (row >= args.m || column >= args.n) {
        return;
    }
    float bias[4], residual[4] = {};
    gemm_load_bias<4>(args, column, bias);
    if (gemm_is_regular(args, column, 4)) {
        gemm_load_residual<4>(args, row, column, residual);
        gemm_finish_regular<4, OUT>(args, row, column, bias, residual, v);
    } else {
        gemm_finish_any<4, OUT>(args, row, column, bias, v);
    }
}

/* All sums of a lane to c, in a loop that stays one, for the instruction cache. */
template <class TILE, sa_dtype OUT>
SA_DEVICE void f32_write(const sa_gemm_tile_args &args, float sums[TILE::ROWS][TILE::GROUPS][4],
                         uint32_t first_row, uint32_t first_column)
{
#pragma unroll 1
    for (int i = 0; i < TILE::ROWS; i++) {
#pragma unroll
        for (int j = 0; j < TILE::GROUPS; j++) {
            f32_finish<OUT>(args, first_row + i * 4, first_column + j * 32, sums[0][j]);
        }
        move_up<TILE::ROWS, TILE::GROUPS>(sums);
    }
}

template <class TILE> SA_DEVICE void f32_run(const sa_gemm_tile_args &args)
{
    extern __shared__ __align__(128) char gemm_stages[];
    uint32_t row_tile, column_tile, lane = lane_id(), warp = threadIdx.x / 32;
    gemm_tile_place(args, &row_tile, &column_tile);
    uint32_t block_row = row_tile * TILE::M, block_column = column_tile * TILE::N;
    uint32_t row =
        warp / TILE::WARP_COLUMNS_OF_WARPS * TILE::WARP_M + lane / 8; /* and every 4th from there */
    uint32_t column = warp % TILE::WARP_COLUMNS_OF_WARPS * TILE::WARP_N + lane % 8 * 4;
    uint32_t shared = shared_address(gemm_stages);
    float sums[TILE::ROWS][TILE::GROUPS][4] = {};
#pragma unroll
    for (uint32_t stage = 0; stage < TILE::STAGES - 1; stage++) {
        f32_fetch<TILE>(args, shared + stage * TILE::STAGE_BYTES, block_row, block_column, stage * TILE::K);
    }
    uint32_t at = 0;
    for (uint32_t k = 0; k < args.k; k += TILE::K) {
        cp_async_wait<TILE::STAGES - 2>();
        __syncthreads(); /* this stage is there, and everybody has left the one before, which is fetched into
                            next */
        uint32_t next = at == 0 ? TILE::STAGES - 1 : at - 1;
        f32_fetch<TILE>(args, shared + next * TILE::STAGE_BYTES, block_row, block_column,
                        k + (TILE::STAGES - 1) * TILE::K);
        f32_multiply<TILE>(sums, gemm_stages + at * TILE::STAGE_BYTES, row, column);
        at = at + 1 == TILE::STAGES ? 0 : at + 1;
    }
    if (args.c_dtype == SA_F32) {
        f32_write<TILE, SA_F32>(args, sums, block_row + row, block_column + column);
    } else if (args.c_dtype == SA_BF16) {
        f32_write<TILE, SA_BF16>(args, sums, block_row + row, block_column + column);
    } else {
        f32_write<TILE, SA_F16>(args, sums, block_row + row, block_column + column);
    }
}

#define KERNEL(name, m, n, wm, wn, rows, groups, percent, extra)                                             \
    extern "C" __global__ void __launch_bounds__(wm *wn * 32, 2)                                             \
        gemm_f32_##name(const __grid_constant__ sa_gemm_tile_args args)                                      \
    {                                                                                                        \
        using tile = f32_tile<wm, wn, rows, groups>;                                                         \
        static_assert(tile::M == m && tile::N == n, "gemm.h says how large the tile is");                    \
        f32_run<tile>(args);                                                                                 \
    }
GEMM_TILES_F32(KERNEL)
