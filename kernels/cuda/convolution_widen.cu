/*
 * The end of a library's convolution: y = x + bias, 16-bit sums to f32 (convolution_library.h).
 *   x [rows, n] bf16 or f16 in    bias [n] f32 in or NULL    y [rows, n] f32 out;  n % 8 == 0
 * A thread has eight values of a row. Grid (pieces / 256), 256 threads. Moves 6*rows*n bytes.
 */
#include "kernels/cuda/convolution.h"
#include "kernels/cuda/device.cuh"

template <sa_dtype T> SA_DEVICE float half_to_f32(uint32_t low_half)
{
    return T == SA_BF16 ? bf16_to_f32(low_half) : f16_to_f32(low_half);
}

template <sa_dtype T> SA_DEVICE void widen(const sa_cuda_widen_args &args)
{
    uint64_t piece = (uint64_t)blockIdx.x * SA_CONVOLUTION_THREADS + threadIdx.x;
    if (piece >= args.pieces) {
        return;
    }
    uint4 word = ((const uint4 *)args.x)[piece];
    const uint32_t pairs[4] = {word.x, word.y, word.z, word.w};
    float value[8];
    uint32_t column = (uint32_t)(piece % (args.n / 8)) * 8;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        value[i] = half_to_f32<T>(i % 2 == 0 ? pairs[i / 2] & 0xffffu : pairs[i / 2] >> 16);
        value[i] += args.bias != nullptr ? args.bias[column + i] : 0.0f;
    }
    float4 *to = (float4 *)args.y + 2 * piece;
    to[0] = make_float4(value[0], value[1], value[2], value[3]);
    to[1] = make_float4(value[4], value[5], value[6], value[7]);
}

extern "C" __global__ void __launch_bounds__(SA_CONVOLUTION_THREADS)
    convolution_widen_bf16(const __grid_constant__ sa_cuda_widen_args a)
{
    widen<SA_BF16>(a);
}

extern "C" __global__ void __launch_bounds__(SA_CONVOLUTION_THREADS)
    convolution_widen_f16(const __grid_constant__ sa_cuda_widen_args a)
{
    widen<SA_F16>(a);
}
