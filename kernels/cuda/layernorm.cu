/*
 * layernorm on the GPU: contract in kernels.h. Between all the gemms of encoder and decoder.
 *
 * quads and singles: a group of 1 to 32 lanes has a row in registers: one read, sums of the mean and of the
 * squares about it, one write. Rows shorter than a warp's reach share the warp. w and b come into shared
 * memory once for the rows of a block. 256 threads, grid ceil(rows / rows of a block).
 * wide: a block of 256 threads takes a row and reads it three times (twice from the cache).
 *
 * The order of a sum: over a lane's values upwards, then a butterfly over the lanes (wide: then the warps
 * upwards). It depends on d alone, so a row's result does not depend on the other rows.
 */
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/layernorm.h"
#include "kernels/kernels.h"

enum { WARPS = SA_LAYERNORM_THREADS / 32 };

/* N values at `at`, or zeros if they are not there; `aligned` allows one access for all. */
template <int N> SA_DEVICE void load_part(float (&v)[N], const float *at, bool here, bool aligned)
{
    if (N == 4 && here && aligned) {
        float4 quad = *(const float4 *)at;
        v[0] = quad.x, v[1 % N] = quad.y, v[2 % N] = quad.z, v[3 % N] = quad.w;
        return;
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
        v[i] = here ? at[i] : 0.0f;
    }
}

template <sa_dtype T, int N> SA_DEVICE void store_part(void *y, size_t at, const float (&v)[N], bool aligned)
{
    if (N == 4 && aligned) {
        if (T == SA_F32) {
            *(float4 *)((float *)y + at) = make_float4(v[0], v[1 % N], v[2 % N], v[3 % N]);
        } else {
            *(uint2 *)((uint16_t *)y + at) =
                make_uint2(half_pair(T, v[0], v[1 % N]), half_pair(T, v[2 % N], v[3 % N]));
        }
        return;
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
        store_as(T, y, at + i, v[i]);
    }
}

/* Over the `lanes` neighbours that share a row. */
SA_DEVICE float sum_over(float x, unsigned lanes)
{
    for (unsigned step = lanes / 2; step > 0; step /= 2) {
        x += __shfl_xor_sync(0xffffffffu, x, step);
    }
    return x;
}

SA_DEVICE float activate(int act, float x)
{
    return act == SA_ACT_NONE   ? x
           : act == SA_ACT_RELU ? relu(x)
           : act == SA_ACT_GELU ? gelu(x)
                                : quick_gelu(x);
}

/*
 * One row, or none if !here (the lane still takes part in the sums). A lane holds PARTS times N values: part
 * p begins at (p * lanes + lane) * N.
 */
template <sa_dtype T, int N, int PARTS>
SA_DEVICE void normalise_row(const sa_cuda_layernorm_args &a, const float *w, const float *b, uint64_t row,
                             bool here, unsigned lane)
{
    float v[PARTS][N];
    float sum = 0.0f;
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        unsigned at = (p * a.lanes + lane) * N;
        load_part(v[p], a.x + row * a.d + at, here && at < a.d, a.x_aligned);
#pragma unroll
        for (int i = 0; i < N; i++) {
            sum += v[p][i];
        }
    }
    float mean = sum_over(sum, a.lanes) / (float)a.d;
    float squares = 0.0f;
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        if ((p * a.lanes + lane) * N < a.d) {
#pragma unroll
            for (int i = 0; i < N; i++) {
                squares += (v[p][i] - mean) * (v[p][i] - mean);
            }
        }
    }
    float variance = sum_over(squares, a.lanes) / (float)a.d;
    float scale = 1.0f / sqrtf(variance + a.eps);
#pragma unroll
    for (int p = 0; p < PARTS; p++) {
        unsigned at = (p * a.lanes + lane) * N;
        if (here && at < a.d) {
            float weight[N], bias[N];
            load_part(weight, w + at, true, true);
            load_part(bias, b + at, true, true);
#pragma unroll
            for (int i = 0; i < N; i++) {
                v[p][i] = activate(a.act, (v[p][i] - mean) * scale * weight[i] + bias[i]);
            }
            store_part<T>(a.y, row * a.d + at, v[p], a.y_aligned);
        }
    }
}

template <sa_dtype T, int N, int PARTS> SA_DEVICE void layernorm(const sa_cuda_layernorm_args &a)
{
    __shared__ __align__(16) float w[PARTS * 32 * N], b[PARTS * 32 * N];
    for (unsigned i = threadIdx.x; i < a.d; i += SA_LAYERNORM_THREADS) {
        w[i] = a.w[i];
        b[i] = a.b[i];
    }
    __syncthreads(); /* every thread reads all of w and b that its lane needs */
    unsigned groups = SA_LAYERNORM_THREADS / a.lanes, lane = threadIdx.x % a.lanes;
    uint64_t first = (uint64_t)blockIdx.x * groups * SA_LAYERNORM_PASSES + threadIdx.x / a.lanes;
    for (int pass = 0; pass < SA_LAYERNORM_PASSES; pass++) {
        uint64_t row = first + (uint64_t)pass * groups;
        normalise_row<T, N, PARTS>(a, w, b, row, row < a.rows, lane);
    }
}

/* The sum over the block; `place` holds WARPS floats and is free again after the next barrier. */
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

template <sa_dtype T> SA_DEVICE void layernorm_wide(const sa_cuda_layernorm_args &a)
{
    __shared__ float sums[2][WARPS];
    const float *x = a.x + (uint64_t)blockIdx.x * a.d;
    float sum = 0.0f, squares = 0.0f;
    for (unsigned i = threadIdx.x; i < a.d; i += SA_LAYERNORM_THREADS) {
        sum += x[i];
    }
    float mean = block_sum(sum, sums[0]) / (float)a.d;
    for (unsigned i = threadIdx.x; i < a.d; i += SA_LAYERNORM_THREADS) {
        squares += (x[i] - mean) * (x[i] - mean);
    }
    float scale = 1.0f / sqrtf(block_sum(squares, sums[1]) / (float)a.d + a.eps);
    /* y may be x: a thread writes only what it alone reads. */
    for (unsigned i = threadIdx.x; i < a.d; i += SA_LAYERNORM_THREADS) {
        float value = activate(a.act, (x[i] - mean) * scale * a.w[i] + a.b[i]);
        store_as(T, a.y, (uint64_t)blockIdx.x * a.d + i, value);
    }
}

#define LAYERNORM(name, least_blocks, body)                                                                  \
    extern "C" __global__ void __launch_bounds__(SA_LAYERNORM_THREADS, least_blocks)                         \
        layernorm_##name(const __grid_constant__ sa_cuda_layernorm_args a)                                   \
    {                                                                                                        \
        body(a);                                                                                             \
    }

/* Two blocks on an SM leave a thread 128 registers, which the longest rows do not quite fit in. */
#define LAYERNORM_DTYPE(name, T)                                                                             \
    LAYERNORM(quads_128_##name, 2, (layernorm<T, 4, 1>))                                                     \
    LAYERNORM(quads_512_##name, 2, (layernorm<T, 4, 4>))                                                     \
    LAYERNORM(quads_1024_##name, 2, (layernorm<T, 4, 8>))                                                    \
    LAYERNORM(quads_1536_##name, 2, (layernorm<T, 4, 12>))                                                   \
    LAYERNORM(quads_2048_##name, 1, (layernorm<T, 4, 16>))                                                   \
    LAYERNORM(singles_512_##name, 2, (layernorm<T, 1, 16>))                                                  \
    LAYERNORM(wide_##name, 2, layernorm_wide<T>)

LAYERNORM_DTYPE(f32, SA_F32)
LAYERNORM_DTYPE(bf16, SA_BF16)
LAYERNORM_DTYPE(f16, SA_F16)
