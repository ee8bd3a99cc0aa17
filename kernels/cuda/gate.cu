/*
 * gate on the GPU: contract in kernels.h. Between the two products of a SwiGLU block.
 *
 * Grid (rows, pieces of F), 128 threads; a thread takes 4 neighbouring values at a time where rows allow it.
 * Moves 3*F*size bytes a row.
 */
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/gate.h"
#include "kernels/cuda/quads.cuh"

template <sa_dtype T, int N> SA_DEVICE void gate(const sa_cuda_gate_args &a)
{
    const size_t row = blockIdx.x;
    const size_t first = (size_t)blockIdx.y * SA_GATE_PIECES * SA_GATE_THREADS + threadIdx.x;
#pragma unroll
    for (int i = 0; i < SA_GATE_PIECES; i++) {
        size_t at = (first + i * SA_GATE_THREADS) * N;
        if (at < a.width) {
            float x[N], up[N];
            load_values<T, N>(x, a.x, row * 2 * a.width + at);
            load_values<T, N>(up, a.x, (row * 2 + 1) * a.width + at);
#pragma unroll
            for (int j = 0; j < N; j++) {
                x[j] = silu(x[j]) * up[j];
            }
            store_values<T, N>(a.y, row * a.width + at, x);
        }
    }
}

#define GATE(name, T, N)                                                                                     \
    extern "C" __global__ void __launch_bounds__(SA_GATE_THREADS)                                            \
        gate_##name(const __grid_constant__ sa_cuda_gate_args a)                                             \
    {                                                                                                        \
        gate<T, N>(a);                                                                                       \
    }

GATE(quads_f32, SA_F32, 4)
GATE(quads_bf16, SA_BF16, 4)
GATE(quads_f16, SA_F16, 4)
GATE(singles_f32, SA_F32, 1)
GATE(singles_bf16, SA_BF16, 1)
GATE(singles_f16, SA_F16, 1)
