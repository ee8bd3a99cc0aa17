/*
 * rope_append on the GPU: contract in kernels.h. Between the qkv product and attention_paged.
 *
 * Grid (rows, parts of the row's H + 2*Hkv heads), 64 threads. A thread has the same few pairs (i, i + d/2)
 * of one head after another, so that it reads its cosines and sines once; the threads of a head are
 * neighbours, and so are their values. Moves (2*(H + Hkv) + 2*Hkv)*d*size bytes a row, and the row of the
 * table once a warp.
 */
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/quads.cuh"
#include "kernels/cuda/rope_append.h"
#include "kernels/kernels.h"

/* Where head `head` of the row's keys and values goes: the same head of the slot's page. */
SA_DEVICE size_t slot_at(const sa_cuda_rope_append_args &a, uint32_t slot, uint32_t head)
{
    size_t page = slot / SA_KV_PAGE, place = slot % SA_KV_PAGE;
    return ((page * a.kv_heads + head) * SA_KV_PAGE + place) * a.head_dim;
}

/* N pairs of a query or a key, the first of them at `from`. Products are rounded one by one where a fused
 * multiply-add does not take them. */
template <sa_dtype T, int N>
SA_DEVICE void rotate(const void *x, size_t from, void *to, size_t at, uint32_t half,
                      const float (&cosine)[N], const float (&sine)[N])
{
    float low[N], high[N];
    load_values<T, N>(low, x, from);
    load_values<T, N>(high, x, from + half);
#pragma unroll
    for (int i = 0; i < N; i++) {
        float a = low[i], b = high[i];
        low[i] = fmaf(a, cosine[i], -(b * sine[i]));
        high[i] = fmaf(b, cosine[i], a * sine[i]);
    }
    store_values<T, N>(to, at, low);
    store_values<T, N>(to, at + half, high);
}

template <sa_dtype T, int N>
SA_DEVICE void copy_pair(const void *x, size_t from, void *to, size_t at, uint32_t half)
{
    float low[N], high[N];
    load_values<T, N>(low, x, from);
    load_values<T, N>(high, x, from + half);
    store_values<T, N>(to, at, low); /* back to the bits they were, NaN apart */
    store_values<T, N>(to, at + half, high);
}

template <sa_dtype T, int N> SA_DEVICE void rope_append(const sa_cuda_rope_append_args &a)
{
    const uint32_t half = a.head_dim / 2, threads = half / N; /* of a head; at most 64 */
    const uint32_t together = SA_ROPE_THREADS / threads, pair = threadIdx.x % threads * N;
    if (threadIdx.x >= together * threads) {
        return;
    }
    const float *row = a.table + (size_t)a.position[blockIdx.x] * a.head_dim + pair;
    float cosine[N], sine[N];
    load_values<SA_F32, N>(cosine, row, 0);
    load_values<SA_F32, N>(sine, row, half);
    const uint32_t slot = a.slot[blockIdx.x], all = a.heads + 2 * a.kv_heads;
    const size_t x = (size_t)blockIdx.x * all * a.head_dim;
    const uint32_t first = blockIdx.y * a.heads_a_block, end = min(first + a.heads_a_block, all);
#pragma unroll 4
    for (uint32_t head = first + threadIdx.x / threads; head < end; head += together) {
        size_t from = x + (size_t)head * a.head_dim + pair;
        if (head < a.heads) {
            rotate<T, N>(a.qkv, from, a.qkv, from, half, cosine, sine);
        } else if (head < a.heads + a.kv_heads) {
            rotate<T, N>(a.qkv, from, a.k_pages, slot_at(a, slot, head - a.heads) + pair, half, cosine, sine);
        } else {
            copy_pair<T, N>(a.qkv, from, a.v_pages, slot_at(a, slot, head - a.heads - a.kv_heads) + pair,
                            half);
        }
    }
}

#define ROPE_APPEND(name, T, N)                                                                              \
    extern "C" __global__ void __launch_bounds__(SA_ROPE_THREADS)                                            \
        rope_append_##name(const __grid_constant__ sa_cuda_rope_append_args a)                               \
    {                                                                                                        \
        rope_append<T, N>(a);                                                                                \
    }

ROPE_APPEND(quads_f32, SA_F32, 4)
ROPE_APPEND(quads_bf16, SA_BF16, 4)
ROPE_APPEND(quads_f16, SA_F16, 4)
ROPE_APPEND(singles_f32, SA_F32, 1)
ROPE_APPEND(singles_bf16, SA_BF16, 1)
ROPE_APPEND(singles_f16, SA_F16, 1)
