/*
 * gemm_finish.cuh: the end of every gemm kernel: sums -> bias -> activation -> residual -> rounding ->
 * memory. One function for all tiles, so that an element's bits do not depend on the tile that made it.
 */
#ifndef SA_KERNELS_CUDA_GEMM_FINISH_CUH
#define SA_KERNELS_CUDA_GEMM_FINISH_CUH

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/gemm.h"
#include "kernels/kernels.h"

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

template <int N>
SA_DEVICE void gemm_add_residual(const sa_gemm_tile_args &args, uint32_t row, uint32_t column, float v[N])
{
    uint32_t from_row = row < args.residual_rows ? row : row % args.residual_rows;
    const float *from = args.residual + from_row * args.ldr + column;
    if (args.vector_r && column + N <= args.n) {
#pragma unroll
        for (int j = 0; j < N; j += 4) {
            float4 r = *(const float4 *)(from + j);
            v[j] += r.x, v[j + 1] += r.y, v[j + 2] += r.z, v[j + 3] += r.w;
        }
        return;
    }
#pragma unroll
    for (int j = 0; j < N; j++) {
        v[j] += column + j < args.n ? from[j] : 0.0f;
    }
}

/* v[N] to c as dtype C; 16 bytes at a time where alignment allows (8 for four 16-bit values). */
template <int N, sa_dtype C>
SA_DEVICE void gemm_store(const sa_gemm_tile_args &args, uint32_t row, uint32_t column, const float v[N])
{
    size_t at = row * args.ldc + column;
    if (!args.vector_c || column + N > args.n) {
#pragma unroll
        for (int j = 0; j < N; j++) {
            if (column + j < args.n) {
                store_as(C, args.c, at + j, v[j]);
            }
        }
        return;
    }
    if (C == SA_F32) {
#pragma unroll
        for (int j = 0; j < N; j += 4) {
            *(float4 *)((float *)args.c + at + j) = make_float4(v[j], v[j + 1], v[j + 2], v[j + 3]);
        }
        return;
    }
    uint16_t *to = (uint16_t *)args.c + at;
    uint2 low = make_uint2(half_pair(C, v[0], v[1]), half_pair(C, v[2], v[3]));
    if (N == 4) {
        *(uint2 *)to = low;
    } else {
        *(uint4 *)to =
            make_uint4(low.x, low.y, half_pair(C, v[N - 4], v[N - 3]), half_pair(C, v[N - 2], v[N - 1]));
    }
}

/* Finishes c[row, column .. column+N): column is a multiple of N below n, row below m; N is 4, or 8 for
 * 16-bit c. */
template <int N, sa_dtype C>
SA_DEVICE void gemm_finish(const sa_gemm_tile_args &args, uint32_t row, uint32_t column, const float bias[N],
                           float v[N])
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
    }
    if (args.residual != NULL) {
        gemm_add_residual<N>(args, row, column, v);
    }
    gemm_store<N, C>(args, row, column, v);
}

#endif
