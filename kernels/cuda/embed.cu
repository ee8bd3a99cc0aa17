/*
 * embed on the GPU: contract in kernels.h. First kernel of the language model: tokens -> rows.
 *
 * Grid (rows, pieces of d), 128 threads; a thread copies 4 neighbouring values at a time where rows allow it
 * (one access each way), else one: so it does with a table packed for an f32 gemm, which is transposed. Moves
 * d * (size + 4) bytes a row, and the id once a warp.
 */
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/embed.h"
#include "kernels/cuda/quads.cuh"

template <sa_dtype T, int N> SA_DEVICE void embed(const sa_cuda_embed_args &a)
{
    const size_t from = (size_t)a.ids[blockIdx.x] * a.row, to = (size_t)blockIdx.x * a.d;
    const size_t first = (size_t)blockIdx.y * SA_EMBED_PIECES * SA_EMBED_THREADS + threadIdx.x;
    float v[SA_EMBED_PIECES][N];
#pragma unroll
    for (int i = 0; i < SA_EMBED_PIECES; i++) {
        size_t at = (first + i * SA_EMBED_THREADS) * N;
        if (at < a.d) {
            load_values<T, N>(v[i], a.table, from + at * (N == 1 ? a.column : 1));
        }
    }
#pragma unroll
    for (int i = 0; i < SA_EMBED_PIECES; i++) {
        size_t at = (first + i * SA_EMBED_THREADS) * N;
        if (at < a.d) {
            store_values<SA_F32, N>(a.y, to + at, v[i]);
        }
    }
}

#define EMBED(name, T, N)                                                                                    \
    extern "C" __global__ void __launch_bounds__(SA_EMBED_THREADS)                                           \
        embed_##name(const __grid_constant__ sa_cuda_embed_args a)                                           \
    {                                                                                                        \
        embed<T, N>(a);                                                                                      \
    }

EMBED(quads_f32, SA_F32, 4)
EMBED(quads_bf16, SA_BF16, 4)
EMBED(quads_f16, SA_F16, 4)
EMBED(singles_f32, SA_F32, 1)
EMBED(singles_bf16, SA_BF16, 1)
EMBED(singles_f16, SA_F16, 1)
