/*
 * gemm_finish.cuh: the end of every gemm kernel: sums -> bias -> activation -> residual -> rounding ->
 * memory. One function for all tiles, so that an element's bits do not depend on the tile that made it.
 */
#ifndef SA_KERNELS_CUDA_GEMM_FINISH_CUH
#define SA_KERNELS_CUDA_GEMM_FINISH_CUH

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/gemm.h"
#include "kernels/kernels.h"

/* v[i] = v[i+1]: a loop that stays a loop can so use v[0] each time, and v can stay in registers. */
template <int ROWS, int COLUMNS> SA_DEVICE void move_up(float v[ROWS][COLUMNS][4])
{
#pragma unroll
    for (int i = 0; i + 1 < ROWS; i++) {
#pragma unroll
        for (int j = 0; j < COLUMNS; j++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                v[i][j][e] = v[i + 1][j][e];
            }
        }
    }
}

/* Which tile a block computes: groups of GEMM_GROUP row tiles, within a group row by row down each column. */
SA_DEVICE void gemm_tile_place(const sa_gemm_tile_args &args, uint32_t *row_tile, uint32_t *column_tile)
{
    uint32_t per_group = GEMM_GROUP * args.column_tiles;
    uint32_t group = blockIdx.x / per_group, within = blockIdx.x % per_group;
    uint32_t first = group * GEMM_GROUP;
    uint32_t rows = min(args.row_tiles - first, (uint32_t)GEMM_GROUP);
    *row_tile = first + within % rows;
    *column_tile = within / rows;
}

/* bias[column..] for N columns; 0 without a bias and past n. */
template <int N> SA_DEVICE void gemm_load_bias(const sa_gemm_tile_args &args, uint32_t column, float bias[N])
{
#pragma unroll
    for (int j = 0; j < N; j++) {
        bias[j] = args.bias != NULL && column + j < args.n ? args.bias[column + j] : 0.0f;
    }
}

SA_DEVICE const float *gemm_residual_at(const sa_gemm_tile_args &args, uint32_t row, uint32_t column)
{
    uint32_t from_row = row < args.residual_rows ? row : row % args.residual_rows;
    return args.residual + from_row * args.ldr + column;
}

/* v = act(v + bias) */
template <int N> SA_DEVICE void gemm_activate(const sa_gemm_tile_args &args, const float bias[N], float v[N])
{
#pragma unroll
    for (int j = 0; j < N; j++) {
        v[j] += bias[j];
    }
    if (args.act == SA_ACT_GELU) {
#pragma unroll
        for (int j = 0; j < N; j++) {
            v[j] = gelu(v[j]);
        }
    } else if (args.act == SA_ACT_RELU) {
#pragma unroll
        for (int j = 0; j < N; j++) {
            v[j] = relu(v[j]);
        }
    } else if (args.act == SA_ACT_QUICK_GELU) {
#pragma unroll
        for (int j = 0; j < N; j++) {
            v[j] = quick_gelu(v[j]);
        }
    }
}

/* v[N] to c[row, column..] as dtype C in one store of 16 bytes (8 for four 16-bit values), or two. */
template <int N, sa_dtype C>
SA_DEVICE void gemm_store(const sa_gemm_tile_args &args, uint32_t row, uint32_t column, const float v[N])
{
    size_t at = row * args.ldc + column;
    if constexpr (C == SA_F32) {
#pragma unroll
        for (int j = 0; j < N; j += 4) {
            *(float4 *)((float *)args.c + at + j) = make_float4(v[j], v[j + 1], v[j + 2], v[j + 3]);
        }
    } else {
        uint32_t pair[N / 2];
#pragma unroll
        for (int j = 0; j < N / 2; j++) {
            pair[j] = half_pair(C, v[2 * j], v[2 * j + 1]);
        }
        void *to = (uint16_t *)args.c + at;
        if constexpr (N == 4) {
            *(uint2 *)to = make_uint2(pair[0], pair[1]);
        } else {
            *(uint4 *)to = make_uint4(pair[0], pair[1], pair[2], pair[3]);
        }
    }
}

/* Whether 16-byte accesses may be used for `columns` columns from `column` on. */
SA_DEVICE bool gemm_is_regular(const sa_gemm_tile_args &args, uint32_t column, uint32_t columns)
{
    return args.vector_c && (args.residual == NULL || args.vector_r) && column + columns <= args.n;
}

/* Finishes c[row, column .. column+N) where gemm_is_regular() says yes; residual[N] as loaded, or zeros. */
template <int N, sa_dtype C>
SA_DEVICE void gemm_finish_regular(const sa_gemm_tile_args &args, uint32_t row, uint32_t column,
                                   const float bias[N], const float residual[N], float v[N])
{
    gemm_activate<N>(args, bias, v);
    if (args.residual != NULL) {
#pragma unroll
        for (int j = 0; j < N; j++) {
            v[j] += residual[j];
        }
    }
    gemm_store<N, C>(args, row, column, v);
}

/* The same value by value, for any alignment and for columns past n. */
template <int N, sa_dtype C>
SA_DEVICE void gemm_finish_any(const sa_gemm_tile_args &args, uint32_t row, uint32_t column,
                               const float bias[N], float v[N])
{
    gemm_activate<N>(args, bias, v);
#pragma unroll
    for (int j = 0; j < N; j++) {
        if (column + j < args.n) {
            if (args.residual != NULL) {
                v[j] += *gemm_residual_at(args, row, column + j);
            }
            store_as(C, args.c, row * args.ldc + column + j, v[j]);
        }
    }
}

/* residual[N] of a row, 16 bytes at a time; untouched without a residual. */
template <int N>
SA_DEVICE void gemm_load_residual(const sa_gemm_tile_args &args, uint32_t row, uint32_t column,
                                  float residual[N])
{
    if (args.residual != NULL) {
        const float *from = gemm_residual_at(args, row, column);
#pragma unroll
        for (int j = 0; j < N; j += 4) {
            *(float4 *)(residual + j) = *(const float4 *)(from + j);
        }
    }
}

#endif
