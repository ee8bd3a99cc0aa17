/* quads.cuh: four values of any storage dtype in one access, or one at a time. Device code only. */
#ifndef SA_KERNELS_CUDA_QUADS_CUH
#define SA_KERNELS_CUDA_QUADS_CUH

#include "kernels/cuda/device.cuh"

SA_DEVICE float half_to_f32(sa_dtype dtype, uint32_t half)
{
    return dtype == SA_BF16 ? bf16_to_f32(half) : f16_to_f32(half);
}

/* N values, 1 or 4, of `from` from element `index` on. Four stand on a border of four values. */
template <sa_dtype T, int N> SA_DEVICE void load_values(float (&v)[N], const void *from, size_t index)
{
    static_assert(N == 1 || N == 4, "one value or a quad");
    if constexpr (N == 1) {
        v[0] = load_as(T, from, index);
    } else if constexpr (T == SA_F32) {
        float4 quad = *(const float4 *)((const float *)from + index);
        v[0] = quad.x, v[1] = quad.y, v[2] = quad.z, v[3] = quad.w;
    } else {
        uint2 pairs = *(const uint2 *)((const uint16_t *)from + index);
        v[0] = half_to_f32(T, pairs.x & 0xffffu), v[1] = half_to_f32(T, pairs.x >> 16);
        v[2] = half_to_f32(T, pairs.y & 0xffffu), v[3] = half_to_f32(T, pairs.y >> 16);
    }
}

/* To global memory; in PTX, because nvcc sometimes makes four stores of one assignment. */
template <sa_dtype T, int N> SA_DEVICE void store_values(void *to, size_t index, const float (&v)[N])
{
    static_assert(N == 1 || N == 4, "one value or a quad");
    if constexpr (N == 1) {
        store_as(T, to, index, v[0]);
    } else if constexpr (T == SA_F32) {
        asm volatile(
            "st.global.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global((float *)to + index)),
            "f"(v[0]), "f"(v[1]), "f"(v[2]), "f"(v[3])
            : "memory");
    } else {
        asm volatile(
            "st.global.v2.b32 [%0], {%1, %2};" ::"l"(__cvta_generic_to_global((uint16_t *)to + index)),
            "r"(half_pair(T, v[0], v[1])), "r"(half_pair(T, v[2], v[3]))
            : "memory");
    }
}

#endif
