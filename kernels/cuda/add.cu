/*
 * add on the GPU: contract in kernels.h. Residuals outside gemms, and the change of dtype before one.
 *
 * A thread has one piece of b, 4 values where everything is a multiple of 4 on 16-byte borders, and adds it
 * to up to 16 pieces of a, a cycle of b apart: so a short b is read once for 16 uses. Grid (pieces of b,
 * repeats / 16), 256 threads.
 */
#include "kernels/cuda/add.h"
#include "kernels/cuda/device.cuh"

SA_DEVICE float plus(float a, float b)
{
    return a + b;
}

SA_DEVICE float4 plus(float4 a, float4 b)
{
    return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

template <sa_dtype T> SA_DEVICE void store_piece(void *y, size_t at, float v)
{
    store_as(T, y, at, v);
}

template <sa_dtype T> SA_DEVICE void store_piece(void *y, size_t at, float4 v)
{
    if (T == SA_F32) {
        ((float4 *)y)[at] = v;
    } else {
        ((uint2 *)y)[at] = make_uint2(half_pair(T, v.x, v.y), half_pair(T, v.z, v.w));
    }
}

template <sa_dtype T, typename piece> SA_DEVICE void add(const sa_cuda_add_args &args)
{
    const piece *a = (const piece *)args.a, *b = (const piece *)args.b;
    uint32_t column = blockIdx.x * SA_ADD_THREADS + threadIdx.x;
    if (column >= args.b_size) {
        return;
    }
    piece other = {};
    if (b != nullptr) {
        other = b[column];
    }
    uint64_t at = (uint64_t)blockIdx.y * SA_ADD_REPEATS * args.b_size + column;
#pragma unroll 4
    for (int i = 0; i < SA_ADD_REPEATS && at < args.size; i++, at += args.b_size) {
        piece value = a[args.a_size == args.size ? at : (uint32_t)at % args.a_size];
        store_piece<T>(args.y, at, b != nullptr ? plus(value, other) : value); /* -0 + 0 would be 0 */
    }
}

#define ADD(name, T, piece)                                                                                  \
    extern "C" __global__ void __launch_bounds__(SA_ADD_THREADS)                                             \
        add_##name(const __grid_constant__ sa_cuda_add_args a)                                               \
    {                                                                                                        \
        add<T, piece>(a);                                                                                    \
    }

ADD(quads_f32, SA_F32, float4)
ADD(quads_bf16, SA_BF16, float4)
ADD(quads_f16, SA_F16, float4)
ADD(singles_f32, SA_F32, float)
ADD(singles_bf16, SA_BF16, float)
ADD(singles_f16, SA_F16, float)
