/*
 * rmsnorm on the GPU: contract in kernels.h. Before every product of a decoder's layer.
 *
 * A block of 256 threads takes one row after another; in decode that is one row, and the whole block's loads
 * are on their way at once. quads: the row stays in registers, w too, so that w is read once for the rows of
 * a block. wide: any d, the row read twice (the second time from the cache).
 *
 * The order of a sum: over a thread's values upwards, a butterfly over the warp, the warps upwards. It
 * depends on d alone, so a row's result does not depend on the
 * other rows. Moves d * (4 + size(y)) bytes a row and 4 * d bytes a block.
 */
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/quads.cuh"
#include "kernels/cuda/rmsnorm.h"

enum { THREADS = SA_RMSNORM_THREADS, WARPS = THREADS / 32 };

/* The sum over the block; `place` holds WARPS floats, which may be written again after the next barrier. */
SA_DEVICE float block_sum(float x, float *place)
{
    x = warp_sum<32>(x);
    if (threadIdx.x % 32 == 0) {
        place[threadIdx.x / 32] = x;
    }
    __syncthreads(); /* the warps' sums are there */
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < WARPS; i++) {
        sum += place[i];
    }
    return sum;
}

/* Four values in one access, or in four: alignment changes no sum. */
template <sa_dtype T> SA_DEVICE void load_quad(float (&v)[4], const void *from, size_t index, bool aligned)
{
    if (aligned) {
        load_values<T, 4>(v, from, index);
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        v[i] = load_as(T, from, index + i);
    }
}

template <sa_dtype T> SA_DEVICE void store_quad(void *to, size_t index, const float (&v)[4], bool aligned)
{
    if (aligned) {
        store_values<T, 4>(to, index, v);
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        store_as(T, to, index + i, v[i]);
    }
}

SA_DEVICE float scale_of(float squares, const sa_cuda_rmsnorm_args &a)
{
    return 1.0f / sqrtf(squares / (float)a.d + a.eps);
}

/* One row in registers. y may be x: a thread writes only what it alone has read. */
template <sa_dtype T, int PARTS>
SA_DEVICE void normalise_row(const sa_cuda_rmsnorm_args &a, uint64_t row, const float (&w)[PARTS][4],
                             float *place)
{
    float v[PARTS][4];
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        unsigned at = (p * THREADS + threadIdx.x) * 4;
        if (at < a.d) {
            load_quad<SA_F32>(v[p], a.x, row * a.d + at, a.aligned);
        }
    }
    float squares = 0.0f;
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        if ((p * THREADS + threadIdx.x) * 4 < a.d) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                squares = fmaf(v[p][i], v[p][i], squares);
            }
        }
    }
    float scale = scale_of(block_sum(squares, place), a);
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        unsigned at = (p * THREADS + threadIdx.x) * 4;
        if (at < a.d) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                v[p][i] = v[p][i] * scale * w[p][i];
            }
            store_quad<T>(a.y, row * a.d + at, v[p], a.aligned);
        }
    }
}

template <sa_dtype T, int PARTS> SA_DEVICE void rmsnorm(const sa_cuda_rmsnorm_args &a)
{
    __shared__ float places[2][WARPS]; /* rows take turns: one barrier a row is enough */
    float w[PARTS][4];
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        unsigned at = (p * THREADS + threadIdx.x) * 4;
        if (at < a.d) {
            load_quad<SA_F32>(w[p], a.w, at, a.aligned);
        }
    }
    const uint64_t first = (uint64_t)blockIdx.x * a.rows_a_block, end = min(first + a.rows_a_block, a.rows);
#pragma unroll 1
    for (uint64_t row = first; row < end; row++) {
        normalise_row<T, PARTS>(a, row, w, places[row % 2]);
    }
}

template <sa_dtype T> SA_DEVICE void rmsnorm_wide(const sa_cuda_rmsnorm_args &a)
{
    __shared__ float places[2][WARPS];
    const uint64_t first = (uint64_t)blockIdx.x * a.rows_a_block, end = min(first + a.rows_a_block, a.rows);
#pragma unroll 1
    for (uint64_t row = first; row < end; row++) {
        const float *x = a.x + row * a.d;
        float squares = 0.0f;
        for (unsigned i = threadIdx.x; i < a.d; i += THREADS) {
            squares = fmaf(x[i], x[i], squares);
        }
        float scale = scale_of(block_sum(squares, places[row % 2]), a);
        for (unsigned i = threadIdx.x; i < a.d; i += THREADS) {
            store_as(T, a.y, row * a.d + i, x[i] * scale * a.w[i]);
        }
    }
}

#define RMSNORM(name, body)                                                                                  \
    extern "C" __global__ void __launch_bounds__(THREADS, 2)                                                 \
        rmsnorm_##name(const __grid_constant__ sa_cuda_rmsnorm_args a)                                       \
    {                                                                                                        \
        body(a);                                                                                             \
    }

#define RMSNORM_DTYPE(name, T)                                                                               \
    RMSNORM(quads_1_##name, (rmsnorm<T, 1>))                                                                 \
    RMSNORM(quads_2_##name, (rmsnorm<T, 2>))                                                                 \
    RMSNORM(quads_4_##name, (rmsnorm<T, 4>))                                                                 \
    RMSNORM(quads_8_##name, (rmsnorm<T, 8>))                                                                 \
    RMSNORM(wide_##name, rmsnorm_wide<T>)

RMSNORM_DTYPE(f32, SA_F32)
RMSNORM_DTYPE(bf16, SA_BF16)
RMSNORM_DTYPE(f16, SA_F16)
