/*
 * gemm_tile.cuh: gemm of 16-bit operands on tensor cores, one tile of c per block. Contract in kernels.h,
 * tiles and batch invariance in gemm.h; gemm_bf16.cu and gemm_f16.cu make the kernels.
 *
 *   global a, w --cp.async--> ring of stages in shared memory --ldmatrix--> fragments --mma--> sums
 *     --shared memory, warp by warp--> rows of c: bias, activation, residual, 16-byte stores
 *
 * A stage holds K columns of the tile's rows of a, then of w. A row is K/8 chunks of 16 bytes; chunk i of row
 * r stands at place i ^ swizzle(r), so that eight rows at one chunk (an ldmatrix tile) and eight neighbouring
 * chunks (what eight lanes of cp.async write) lie in 32 different banks, without padding.
 */
#ifndef SA_KERNELS_CUDA_GEMM_TILE_CUH
#define SA_KERNELS_CUDA_GEMM_TILE_CUH

#include "kernels/cuda/gemm_finish.cuh"

template <int ROWS, int COLUMNS, int WARPS_M, int WARPS_N, int STAGE_K, int STAGE_COUNT, int COPY_BYTES>
struct gemm_tile {
    enum {
        M = ROWS,
        N = COLUMNS,
        K = STAGE_K,
        STAGES = STAGE_COUNT,
        COPY = COPY_BYTES,
        THREADS = WARPS_M * WARPS_N * 32,
        WARP_COLUMNS_OF_WARPS = WARPS_N,
        WARP_M = M / WARPS_M,
        WARP_N = N / WARPS_N,
        MMA_M = WARP_M / 16, /* mma tiles of a warp */
        MMA_N = WARP_N / 8,
        STEPS = K / 16,
        ROUND = GEMM_PACK_K / K, /* stages of what k is filled up to */
        CHUNKS = K / 8,          /* of a row in shared memory */
        ROW_BYTES = K * 2,
        PASS_ROWS = THREADS / CHUNKS, /* rows that the block copies at a time */
        A_PASSES = M / PASS_ROWS,
        W_PASSES = N / PASS_ROWS,
        W_AT = M * ROW_BYTES, /* of w in a stage */
        STAGE_BYTES = (M + N) * ROW_BYTES,
        OUT_CHUNKS = WARP_N > 32 ? 16 : WARP_N / 4, /* of a row in the epilogue, power of two */
        OUT_BYTES = 16 * OUT_CHUNKS * 16,           /* a warp's 16 rows of sums */
    };
    static_assert(K == 32 || K == 64, "the swizzle knows rows of 64 and 128 bytes");
    static_assert(PASS_ROWS % 8 == 0 && M % PASS_ROWS == 0 && N % PASS_ROWS == 0,
                  "whole passes, one swizzle");
    static_assert(STEPS % 2 == 0, "fragments alternate between two sets of registers");
    static_assert(OUT_BYTES * (THREADS / 32) <= STAGE_BYTES * STAGES, "the epilogue reuses the stages");
};

template <class TILE> SA_DEVICE uint32_t gemm_swizzle(uint32_t row)
{
    return TILE::K == 64 ? row & 7 : (row >> 1) & 3;
}

/* One thread's share of the copies of an operand: the same chunk of every PASS_ROWS-th row. */
struct gemm_copy {
    const char *from; /* of the next stage */
    size_t pass_bytes;
    uint32_t to;   /* in stage 0 */
    int rows_left; /* from the thread's first row to the end of the operand; may be negative */
};

template <class TILE>
SA_DEVICE gemm_copy gemm_copy_start(const void *base, size_t ld, uint32_t first_row, uint32_t rows,
                                    uint32_t shared)
{
    uint32_t row = threadIdx.x / TILE::CHUNKS, chunk = threadIdx.x % TILE::CHUNKS;
    gemm_copy copy;
    copy.from = (const char *)base + (size_t)(first_row + row) * ld * 2 + chunk * 16;
    copy.pass_bytes = (size_t)TILE::PASS_ROWS * ld * 2;
    copy.to = shared + row * TILE::ROW_BYTES + (chunk ^ gemm_swizzle<TILE>(row)) * 16;
    copy.rows_left = (int)rows - (int)(first_row + row);
    return copy;
}

/* Queues the next stage of an operand; k_bytes (0..16) of each chunk lie before the end of k, the rest
 * becomes 0. */
template <class TILE, int PASSES>
SA_DEVICE void gemm_copy_stage(gemm_copy *copy, uint32_t stage_at, uint32_t k_bytes)
{
#pragma unroll
    for (int pass = 0; pass < PASSES; pass++) {
        uint32_t bytes = pass * TILE::PASS_ROWS < copy->rows_left ? k_bytes : 0;
        cp_async_16(copy->to + stage_at + pass * TILE::PASS_ROWS * TILE::ROW_BYTES,
                    copy->from + pass * copy->pass_bytes, bytes);
    }
    copy->from += TILE::ROW_BYTES;
}

/* The same for rows of any alignment: value by value, through registers. */
template <class TILE, int PASSES>
SA_DEVICE void gemm_copy_slowly(gemm_copy *copy, uint32_t stage_at, uint32_t k_bytes)
{
#pragma unroll 1
    for (int pass = 0; pass < PASSES; pass++) {
        const uint16_t *from = (const uint16_t *)(copy->from + pass * copy->pass_bytes);
        int count = pass * TILE::PASS_ROWS < copy->rows_left ? (int)k_bytes / 2 : 0;
        uint32_t pair[4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            uint32_t low = 2 * i < count ? from[2 * i] : 0, high = 2 * i + 1 < count ? from[2 * i + 1] : 0;
            pair[i] = low | high << 16;
        }
        store_shared_16(copy->to + stage_at + pass * TILE::PASS_ROWS * TILE::ROW_BYTES, pair);
    }
    copy->from += TILE::ROW_BYTES;
}

/* Both operands of a block, and how much of k is left from the thread's chunk of the next stage on. */
struct gemm_source {
    gemm_copy a, w;
    int k_left;
};

/* Queues one stage as one group. Past the end of k it fills with zeros, which the last prefetch reads. */
template <class TILE> SA_DEVICE void gemm_fetch(gemm_source *source, uint32_t stage_at)
{
    uint32_t k_bytes = (uint32_t)min(max(source->k_left, 0), 8) * 2;
    if (TILE::COPY == 16) {
        gemm_copy_stage<TILE, TILE::A_PASSES>(&source->a, stage_at, k_bytes);
    } else {
        gemm_copy_slowly<TILE, TILE::A_PASSES>(&source->a, stage_at, k_bytes);
    }
    gemm_copy_stage<TILE, TILE::W_PASSES>(&source->w, stage_at, k_bytes);
    cp_async_commit();
    source->k_left -= TILE::K;
}

/* The operands of one step of 16 k, of one warp. */
template <class TILE> struct gemm_fragments {
    uint32_t a[TILE::MMA_M][4];
    uint32_t w[TILE::MMA_N][2];
};

/*
 * Where a lane reads its ldmatrix rows. The 16 rows of a's tiles are the lanes' l % 16, their k halves l /
 * 16; w's are 8 (or 16, two mma tiles at once) rows of n. Rows 16 apart have one swizzle, so tiles differ by
 * a constant.
 */
struct gemm_reader {
    uint32_t a_row, w_row;     /* address in stage 0 */
    uint32_t a_chunk, w_chunk; /* chunk of step 0, swizzled; step s is this ^ 2s */
};

template <class TILE>
SA_DEVICE gemm_reader gemm_reader_start(uint32_t shared, uint32_t warp_row, uint32_t warp_column)
{
    uint32_t lane = lane_id();
    uint32_t a_row = warp_row + lane % 16;
    uint32_t w_row = warp_column + lane % 8 + (TILE::MMA_N > 1 ? lane / 16 * 8 : 0);
    gemm_reader reader;
    reader.a_row = shared + a_row * TILE::ROW_BYTES;
    reader.w_row = shared + TILE::W_AT + w_row * TILE::ROW_BYTES;
    reader.a_chunk = (lane / 16) ^ gemm_swizzle<TILE>(a_row);
    reader.w_chunk = (lane / 8 % 2) ^ gemm_swizzle<TILE>(w_row);
    return reader;
}

template <class TILE>
SA_DEVICE void gemm_read(gemm_fragments<TILE> *f, const gemm_reader &reader, uint32_t stage_at, int step)
{
    uint32_t a = reader.a_row + stage_at + (reader.a_chunk ^ (2 * step)) * 16;
    uint32_t w = reader.w_row + stage_at + (reader.w_chunk ^ (2 * step)) * 16;
#pragma unroll
    for (int i = 0; i < TILE::MMA_M; i++) {
        ldmatrix_x4(f->a[i], a + i * 16 * TILE::ROW_BYTES);
    }
#pragma unroll
    for (int j = 0; j < TILE::MMA_N; j += 2) {
        if (TILE::MMA_N == 1) {
            ldmatrix_x2(f->w[j], w);
        } else {
            ldmatrix_x4(f->w[j], w + j * 8 * TILE::ROW_BYTES); /* fills w[j] and w[j+1] */
        }
    }
}

template <class TILE, sa_dtype T>
SA_DEVICE void gemm_multiply(float sums[TILE::MMA_M][TILE::MMA_N][4], const gemm_fragments<TILE> &f)
{
#pragma unroll
    for (int i = 0; i < TILE::MMA_M; i++) {
#pragma unroll
        for (int j = 0; j < TILE::MMA_N; j++) {
            mma_16x8x16<T>(sums[i][j], f.a[i], f.w[j]);
        }
    }
}

/*
 * All of k. While the tensor cores work on step s, the fragments of step s+1 are on their way from shared
 * memory and STAGES-1 stages from global memory. A stage is overwritten one barrier after its last fragments
 * were read: the barrier at a stage's last step stands behind all reads of that stage and before the fetch
 * that reuses it.
 */
template <class TILE, sa_dtype T>
SA_DEVICE void gemm_sum(float sums[TILE::MMA_M][TILE::MMA_N][4], gemm_source *source,
                        const gemm_reader &reader, uint32_t k)
{
    enum { LAST = TILE::STAGES - 1, RING = TILE::STAGES * TILE::STAGE_BYTES };
    gemm_fragments<TILE> f[2];
#pragma unroll
    for (int stage = 0; stage < LAST; stage++) {
        gemm_fetch<TILE>(source, stage * TILE::STAGE_BYTES);
    }
    cp_async_wait<LAST - 1>();
    __syncthreads(); /* stage 0 is there, from every thread */
    gemm_read<TILE>(&f[0], reader, 0, 0);
    uint32_t read_at = 0, fetch_at = LAST * TILE::STAGE_BYTES;
    for (uint32_t stages = (k + GEMM_PACK_K - 1) / GEMM_PACK_K * TILE::ROUND; stages > 0; stages--) {
#pragma unroll
        for (int step = 0; step < TILE::STEPS; step++) {
            if (step == 0) {
                gemm_fetch<TILE>(source, fetch_at);
                fetch_at = fetch_at + TILE::STAGE_BYTES == RING ? 0 : fetch_at + TILE::STAGE_BYTES;
            }
            if (step == TILE::STEPS - 1) {
                read_at = read_at + TILE::STAGE_BYTES == RING ? 0 : read_at + TILE::STAGE_BYTES;
                cp_async_wait<LAST - 1>();
                __syncthreads(); /* the next stage is there; this one has been read */
            }
            gemm_read<TILE>(&f[(step + 1) % 2], reader, read_at, (step + 1) % TILE::STEPS);
            gemm_multiply<TILE, T>(sums, f[step % 2]);
        }
    }
}

/*
 * Where chunk `chunk` (4 sums) of row `row` stands in a warp's 16 rows of sums. Three accesses share it
 * without bank conflicts: the mma layout writes 8 bytes, 4 rows by 2 chunks in half a warp; 16 bytes are read
 * from 8 chunks of a row, or from every other chunk of 16 (f32 and 16-bit c).
 */
template <class TILE> SA_DEVICE uint32_t gemm_out_at(uint32_t row, uint32_t chunk)
{
    uint32_t place =
        TILE::OUT_CHUNKS == 2 ? chunk ^ (row >> 2 & 1) : chunk ^ (row & 3) << 1 ^ ((chunk >> 3 ^ row) & 1);
    return (row * TILE::OUT_CHUNKS + place) * 16;
}

/* Which rows and columns of the 16 x WARP_N sums a lane finishes: N columns of every ROWS-th row. */
template <class TILE, int N> struct gemm_lanes {
    enum { LANES = TILE::OUT_CHUNKS * 4 / N, ROWS = 32 / LANES, PASSES = ROWS < 16 ? 16 / ROWS : 1 };
    uint32_t row, chunk; /* of pass 0 */
    bool used;
};

template <class TILE, int N> SA_DEVICE gemm_lanes<TILE, N> gemm_lanes_start(void)
{
    gemm_lanes<TILE, N> lanes;
    lanes.row = lane_id() / lanes.LANES;
    lanes.chunk = lane_id() % lanes.LANES * (N / 4);
    lanes.used = lanes.row < 16 && lanes.chunk * 4 < TILE::WARP_N;
    return lanes;
}

template <class TILE, int N>
SA_DEVICE void gemm_load_sums(const char *out, uint32_t row, uint32_t chunk, float v[N])
{
#pragma unroll
    for (int j = 0; j < N; j += 4) {
        *(float4 *)(v + j) = *(const float4 *)(out + gemm_out_at<TILE>(row, chunk + j / 4));
    }
}

/* The lanes' sums of 16 rows, as mma leaves them, to the warp's part of shared memory. */
template <class TILE> SA_DEVICE void gemm_stage_sums(const float sums[TILE::MMA_N][4], char *out)
{
    uint32_t g = lane_id() / 4, t = lane_id() % 4;
#pragma unroll
    for (int j = 0; j < TILE::MMA_N; j++) {
        uint32_t chunk = j * 2 + t / 2, within = t % 2 * 8;
        *(float2 *)(out + gemm_out_at<TILE>(g, chunk) + within) = make_float2(sums[j][0], sums[j][1]);
        *(float2 *)(out + gemm_out_at<TILE>(g + 8, chunk) + within) = make_float2(sums[j][2], sums[j][3]);
    }
}

/*
 * A warp's 16 rows of sums through its part of shared memory to c. Where alignment allows the residual's
 * rows are all on their way before the first is needed.
 */
template <class TILE, int N, sa_dtype C>
SA_DEVICE void gemm_write_rows(const sa_gemm_tile_args &args, const float sums[TILE::MMA_N][4], char *out,
                               uint32_t first_row, uint32_t first_column, const float bias[N])
{
    gemm_lanes<TILE, N> lanes = gemm_lanes_start<TILE, N>();
    uint32_t column = first_column + lanes.chunk * 4, row = first_row + lanes.row;
    bool regular = gemm_is_regular(args, first_column, TILE::WARP_N); /* the same in the whole warp */
    float residual[lanes.PASSES][N] = {};
#pragma unroll
    for (int pass = 0; pass < lanes.PASSES; pass++) {
        if (regular && lanes.used && row + pass * lanes.ROWS < args.m) {
            gemm_load_residual<N>(args, row + pass * lanes.ROWS, column, residual[pass]);
        }
    }
    __syncwarp(); /* the 16 rows before have been read */
    gemm_stage_sums<TILE>(sums, out);
    __syncwarp(); /* these are there, from every lane */
    if (!regular) {
#pragma unroll 1
        for (uint32_t i = lanes.row; i < 16; i += lanes.ROWS) {
            if (lanes.used && first_row + i < args.m) {
                float v[N];
                gemm_load_sums<TILE, N>(out, i, lanes.chunk, v);
                gemm_finish_any<N, C>(args, first_row + i, column, bias, v);
            }
        }
        return;
    }
#pragma unroll
    for (int pass = 0; pass < lanes.PASSES; pass++) {
        if (lanes.used && row + pass * lanes.ROWS < args.m) {
            float v[N];
            gemm_load_sums<TILE, N>(out, lanes.row + pass * lanes.ROWS, lanes.chunk, v);
            gemm_finish_regular<N, C>(args, row + pass * lanes.ROWS, column, bias, residual[pass], v);
        }
    }
}

/*
 * All sums of a warp to c, 16 rows at a time. The loop stays a loop: unrolled, its code would not fit the
 * instruction cache. Registers have no index, so the sums move up instead.
 */
template <class TILE, int N, sa_dtype C>
SA_DEVICE void gemm_write(const sa_gemm_tile_args &args, float sums[TILE::MMA_M][TILE::MMA_N][4], char *out,
                          uint32_t first_row, uint32_t first_column)
{
    float bias[N];
    gemm_load_bias<N>(args, first_column + gemm_lanes_start<TILE, N>().chunk * 4, bias);
#pragma unroll 1
    for (int i = 0; i < TILE::MMA_M; i++) {
        gemm_write_rows<TILE, N, C>(args, sums[0], out, first_row + i * 16, first_column, bias);
        move_up<TILE::MMA_M, TILE::MMA_N>(sums);
    }
}

template <class TILE, sa_dtype T> SA_DEVICE void gemm_run(const sa_gemm_tile_args &args)
{
    extern __shared__ __align__(128) char gemm_stages[];
    uint32_t row_tile, column_tile, warp = threadIdx.x / 32;
    gemm_tile_place(args, &row_tile, &column_tile);
    uint32_t row = row_tile * TILE::M, column = column_tile * TILE::N;
    uint32_t warp_row = warp / TILE::WARP_COLUMNS_OF_WARPS * TILE::WARP_M;
    uint32_t warp_column = warp % TILE::WARP_COLUMNS_OF_WARPS * TILE::WARP_N;
    uint32_t shared = shared_address(gemm_stages);
    gemm_source source = {gemm_copy_start<TILE>(args.a, args.lda, row, args.m, shared),
                          gemm_copy_start<TILE>(args.w, args.ldw, column, args.n, shared + TILE::W_AT),
                          (int)args.k - (int)(threadIdx.x % TILE::CHUNKS * 8)};
    gemm_reader reader = gemm_reader_start<TILE>(shared, warp_row, warp_column);
    float sums[TILE::MMA_M][TILE::MMA_N][4] = {};
    gemm_sum<TILE, T>(sums, &source, reader, args.k);
    cp_async_wait<0>();
    __syncthreads(); /* nobody reads or fills the stages any more: they hold sums from here on */
    char *out = gemm_stages + warp * TILE::OUT_BYTES;
    if (args.c_dtype == SA_F32) {
        gemm_write<TILE, 4, SA_F32>(args, sums, out, row + warp_row, column + warp_column);
    } else {
        gemm_write<TILE, 8, T>(args, sums, out, row + warp_row, column + warp_column);
    }
}

#define GEMM_KERNEL(type, dtype, name, m, n, wm, wn, k, stages, blocks, copy, percent, extra)                \
    extern "C" __global__ void __launch_bounds__(wm *wn * 32, blocks)                                        \
        gemm_##type##_##name(const __grid_constant__ sa_gemm_tile_args args)                                 \
    {                                                                                                        \
        gemm_run<gemm_tile<m, n, wm, wn, k, stages, copy>, dtype>(args);                                     \
    }

#endif
