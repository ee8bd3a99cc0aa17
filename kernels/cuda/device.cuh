/*
 * device.cuh: what the kernels of kernels/cuda share: the PTX instructions that C++ has no words for, one
 * small function each, then conversions, sums over a warp, and activations built from them. Device code only.
 *
 * Everything here exists on sm_80 and later. "lane" is the thread's place in its warp, 0..31; g = lane / 4
 * and t = lane % 4 are the coordinates in which PTX describes the fragments of mma. 16-bit values travel as
 * uint32_t pairs, the lower index in the lower half. Addresses of shared memory are the 32-bit ones of
 * shared_address().
 */
#ifndef SA_KERNELS_CUDA_DEVICE_CUH
#define SA_KERNELS_CUDA_DEVICE_CUH

#include <stdint.h>

#include "runtime/base/dtype.h"

#define SA_DEVICE static __device__ __forceinline__

SA_DEVICE unsigned lane_id(void)
{
    return threadIdx.x % 32; /* blocks are (x,1,1) or have 32 | x */
}

SA_DEVICE uint32_t shared_address(const void *shared)
{
    return (uint32_t)__cvta_generic_to_shared(shared);
}

/*
 * ldmatrix: 8x8 tiles of 16-bit values from shared memory, one (x1), two or four. Lane l passes the address
 * of row l % 8 of tile l / 8 (16 bytes, 16-byte aligned; the lanes past the last tile pass any valid
 * address). r[i] is then tile i's pair (row g, columns 2t, 2t+1); with _trans, of the transposed tile: (row
 * 2t and 2t+1, column g) of the tile in memory.
 */
SA_DEVICE void ldmatrix_x1(uint32_t r[1], uint32_t address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];"
                 : "=r"(r[0])
                 : "r"(address)
                 : "memory");
}

SA_DEVICE void ldmatrix_x2(uint32_t r[2], uint32_t address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(address)
                 : "memory");
}

SA_DEVICE void ldmatrix_x4(uint32_t r[4], uint32_t address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}

SA_DEVICE void ldmatrix_x1_trans(uint32_t r[1], uint32_t address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];"
                 : "=r"(r[0])
                 : "r"(address)
                 : "memory");
}

SA_DEVICE void ldmatrix_x2_trans(uint32_t r[2], uint32_t address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(address)
                 : "memory");
}

SA_DEVICE void ldmatrix_x4_trans(uint32_t r[4], uint32_t address)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
}

/*
 * mma: c[16,8] += a[16,16] b[16,8], 16-bit operands, f32 sums. Fragments of a lane:
 *   a[0] (g, 2t..)  a[1] (g+8, 2t..)  a[2] (g, 2t+8..)  a[3] (g+8, 2t+8..)   pairs along k
 *   b[0] (2t.., g)  b[1] (2t+8.., g)                                         pairs along k
 *   c[0], c[1] (g, 2t), (g, 2t+1)     c[2], c[3] (g+8, 2t), (g+8, 2t+1)
 * With a row-major [16][16] in shared memory ldmatrix_x4 on the tiles (rows 0-7, k 0-7), (8-15, 0-7), (0-7,
 * 8-15), (8-15, 8-15) fills a; with b kept as rows of n, [8][16], ldmatrix_x2 on (k 0-7), (k 8-15) fills b.
 */
SA_DEVICE void mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2])
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

SA_DEVICE void mma_f16(float c[4], const uint32_t a[4], const uint32_t b[2])
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

template <sa_dtype T> SA_DEVICE void mma_16x8x16(float c[4], const uint32_t a[4], const uint32_t b[2])
{
    static_assert(T == SA_BF16 || T == SA_F16, "tensor cores take 16-bit operands here");
    if (T == SA_BF16) {
        mma_bf16(c, a, b);
    } else {
        mma_f16(c, a, b);
    }
}

/*
 * cp.async: copies `bytes` bytes from global to shared memory without passing through registers, and fills up
 * with zeros to the full 16, 8 or 4; bytes == 0 reads nothing, whatever `from` is. Both sides are aligned to
 * the full size. The 16-byte form goes past the first-level cache and asks the second for the line of 128
 * bytes. The data may be read after cp_async_wait<N>() by the thread that copied it, and after a barrier
 * behind that by the others. Groups are counted per thread; wait<N> waits until at most the N youngest are
 * under way.
 */
SA_DEVICE void cp_async_16(uint32_t to, const void *from, uint32_t bytes)
{
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to),
                 "l"(__cvta_generic_to_global(from)), "r"(bytes)
                 : "memory");
}

SA_DEVICE void cp_async_8(uint32_t to, const void *from, uint32_t bytes)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(to),
                 "l"(__cvta_generic_to_global(from)), "r"(bytes)
                 : "memory");
}

SA_DEVICE void cp_async_4(uint32_t to, const void *from, uint32_t bytes)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to),
                 "l"(__cvta_generic_to_global(from)), "r"(bytes)
                 : "memory");
}

SA_DEVICE void cp_async_commit(void)
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

template <int N> SA_DEVICE void cp_async_wait(void)
{
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

/* Stores 16 bytes to shared memory, 16-byte aligned. */
SA_DEVICE void store_shared_16(uint32_t to, const uint32_t v[4])
{
    asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(v[0]), "r"(v[1]), "r"(v[2]),
                 "r"(v[3])
                 : "memory");
}

/* Conversions. To 16 bits they round to nearest even; NaN becomes a NaN, too large an f16 infinity. */
SA_DEVICE float bf16_to_f32(uint32_t low_half)
{
    return __uint_as_float(low_half << 16);
}

SA_DEVICE float bf16_high_to_f32(uint32_t pair)
{
    return __uint_as_float(pair & 0xffff0000u);
}

SA_DEVICE float f16_to_f32(uint32_t low_half)
{
    float out;
    asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"((uint16_t)low_half));
    return out;
}

SA_DEVICE uint32_t bf16_pair(float low, float high)
{
    uint32_t out;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
    return out;
}

SA_DEVICE uint32_t f16_pair(float low, float high)
{
    uint32_t out;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
    return out;
}

/* Two values as `dtype`, SA_BF16 or SA_F16. */
SA_DEVICE uint32_t half_pair(sa_dtype dtype, float low, float high)
{
    return dtype == SA_BF16 ? bf16_pair(low, high) : f16_pair(low, high);
}

/* An f32 rounded through `dtype`: what a tensor core sees of it. */
SA_DEVICE float round_through(sa_dtype dtype, float x)
{
    return dtype == SA_F32    ? x
           : dtype == SA_BF16 ? bf16_to_f32(bf16_pair(x, 0.0f) & 0xffffu)
                              : f16_to_f32(f16_pair(x, 0.0f));
}

/* Element `index` of an array of f32, bf16 or f16. */
SA_DEVICE float load_as(sa_dtype dtype, const void *from, size_t index)
{
    if (dtype == SA_F32) {
        return ((const float *)from)[index];
    }
    uint32_t half = ((const uint16_t *)from)[index];
    return dtype == SA_BF16 ? bf16_to_f32(half) : f16_to_f32(half);
}

SA_DEVICE void store_as(sa_dtype dtype, void *to, size_t index, float value)
{
    if (dtype == SA_F32) {
        ((float *)to)[index] = value;
    } else {
        ((uint16_t *)to)[index] = (uint16_t)half_pair(dtype, value, 0.0f);
    }
}

/* Sum and maximum over groups of WIDTH neighbouring lanes (a power of two); every lane gets the result. All
 * 32 lanes take part. The order is that of a butterfly: fixed. */
template <int WIDTH> SA_DEVICE float warp_sum(float x)
{
#pragma unroll
    for (int step = WIDTH / 2; step > 0; step /= 2) {
        x += __shfl_xor_sync(0xffffffffu, x, step);
    }
    return x;
}

/* The larger one, NaN if either is (fmaxf would drop it). */
SA_DEVICE float max_nan(float x, float y)
{
    float out;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(out) : "f"(x), "f"(y));
    return out;
}

template <int WIDTH> SA_DEVICE float warp_max(float x)
{
#pragma unroll
    for (int step = WIDTH / 2; step > 0; step /= 2) {
        x = max_nan(x, __shfl_xor_sync(0xffffffffu, x, step));
    }
    return x;
}

/* 2^x, relative error at most 2^-22; results below 2^-126 are 0. */
SA_DEVICE float exp2_fast(float x)
{
    float out;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(x));
    return out;
}

/*
 * GELU(x) = x * Phi(x), erf form. The tail 1 - Phi(z), z = |x|, is 2^q(z) with the polynomial q of
 * kernels/cpu/ops/vec.h: no division, one exponential. |error| <= 3e-7 |x|; beyond 5.75 the result is max(x,
 * 0) - 2e-8; NaN passes.
 */
SA_DEVICE float gelu(float x)
{
    float z = fminf(fabsf(x), 5.75f);
    float q = 8.858413821144495e-06f;
    q = fmaf(q, z, -5.769711788161658e-05f);
    q = fmaf(q, z, -4.069798451382667e-04f);
    q = fmaf(q, z, 7.363124284893274e-03f);
    q = fmaf(q, z, -5.266660451889038e-02f);
    q = fmaf(q, z, -4.591643214225769e-01f);
    q = fmaf(q, z, -1.1511088609695435f);
    q = fmaf(q, z, -1.0f);
    return fmaf(-z, exp2_fast(q), max_nan(x, 0.0f));
}

/*
 * 1 / (1 + exp(-x)), off by at most 2^-21 of itself, from the exponential of a negative number, which can't
 * overflow. The product with log2(e) is kept in two parts: rounded to one its error would grow with |x|.
 * Beyond 100 the exponential is 0; NaN passes.
 */
SA_DEVICE float sigmoid(float x)
{
    const float log2_e = 1.44269504f, log2_e_low = 1.92596299e-8f;
    float z = max_nan(-fabsf(x), -100.0f), whole = z * log2_e;
    float rest = fmaf(z, log2_e_low, fmaf(z, log2_e, -whole));
    float e = exp2_fast(whole);
    e = fmaf(e, rest * 0.693147181f, e);
    return __fdividef(x < 0.0f ? e : 1.0f, 1.0f + e);
}

SA_DEVICE float silu(float x)
{
    return x * sigmoid(x);
}

SA_DEVICE float quick_gelu(float x)
{
    return x * sigmoid(1.702f * x);
}

SA_DEVICE float relu(float x)
{
    return max_nan(x, 0.0f);
}

#endif
