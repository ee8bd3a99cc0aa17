/*
 * The vector layer of the CPU ops: a vector of floats as wide as the level's registers, and the few things
 * that plain C on vector types cannot say. Each op is written once on these and compiled once per level
 * (cmake/CpuKernels.cmake).
 *
 *   vf    VL floats: 16 (AVX-512), 8 (AVX2) or 4 (plain: whatever the compiler makes of it)
 *   vi    VL int32, same size
 */
#ifndef SA_KERNELS_CPU_OPS_VEC_H
#define SA_KERNELS_CPU_OPS_VEC_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "kernels/cpu/cpu.h"
#include "runtime/base/status.h"

/* SA_CPU(gemm) is sa_cpu_gemm_avx2, say: every level has its own copy of every op. */
#define SA_CPU_PASTE2(name, level) sa_cpu_##name##_##level
#define SA_CPU_PASTE(name, level) SA_CPU_PASTE2(name, level)
#define SA_CPU(name) SA_CPU_PASTE(name, SA_ISA)

#if defined(__AVX512F__)
#define VL 16
#elif defined(__AVX2__)
#define VL 8
#else
#define VL 4
#endif

typedef float vf __attribute__((vector_size(VL * 4)));
typedef int32_t vi __attribute__((vector_size(VL * 4)));
typedef uint32_t vu __attribute__((vector_size(VL * 4)));
typedef uint16_t vh __attribute__((vector_size(VL * 2))); /* VL bf16 */

#define SA_INLINE static inline __attribute__((always_inline))

SA_INLINE vf vf_set(float value)
{
    return value - (vf){0};
}

SA_INLINE vf vf_load(const float *from)
{
    vf v;
    memcpy(&v, from, sizeof v);
    return v;
}

SA_INLINE void vf_store(float *to, vf v)
{
    memcpy(to, &v, sizeof v);
}

/* b where either is NaN, on every level: so vf_max(a, x) passes a NaN of x on, and vf_max(x, a) drops it. */
SA_INLINE vf vf_max(vf a, vf b)
{
#if defined(__AVX512F__)
    return (vf)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vf)_mm256_max_ps((__m256)a, (__m256)b);
#else
    vi take = a > b;
    return (vf)(((vi)a & take) | ((vi)b & ~take));
#endif
}

/* mask lanes all ones or all zeros, as comparisons give them */
SA_INLINE vf vf_select(vi mask, vf yes, vf no)
{
    return (vf)(((vi)yes & mask) | ((vi)no & ~mask));
}

SA_INLINE vf vf_abs(vf a)
{
    return (vf)((vi)a & 0x7fffffff);
}

SA_INLINE vf vf_sqrt(vf a)
{
#if defined(__AVX512F__)
    return (vf)_mm512_sqrt_ps((__m512)a);
#elif defined(__AVX2__)
    return (vf)_mm256_sqrt_ps((__m256)a);
#else
    for (int i = 0; i < VL; i++) {
        a[i] = sqrtf(a[i]);
    }
    return a;
#endif
}

/* The sum of the lanes, halving: lane i and lane i + half, always in the same order. */
SA_INLINE float vf_sum(vf v)
{
#if defined(__AVX2__)
#if defined(__AVX512F__)
    __m256 eight = _mm512_castps512_ps256((__m512)v) + _mm512_extractf32x8_ps((__m512)v, 1);
#else
    __m256 eight = (__m256)v;
#endif
    __m128 four = _mm256_castps256_ps128(eight) + _mm256_extractf128_ps(eight, 1);
    __m128 two = four + _mm_movehl_ps(four, four);
    return two[0] + two[1];
#else
    return (v[0] + v[2]) + (v[1] + v[3]);
#endif
}

/* The largest lane, halving; the later of two where either is NaN. */
SA_INLINE float vf_max_lane(vf v)
{
#if defined(__AVX2__)
#if defined(__AVX512F__)
    __m256 eight = _mm256_max_ps(_mm512_castps512_ps256((__m512)v), _mm512_extractf32x8_ps((__m512)v, 1));
#else
    __m256 eight = (__m256)v;
#endif
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_max_ss(two, _mm_movehdup_ps(two))[0];
#else
    float even = v[0] > v[2] ? v[0] : v[2], odd = v[1] > v[3] ? v[1] : v[3];
    return even > odd ? even : odd;
#endif
}

SA_INLINE vf vf_from_bf16(const sa_bf16 *from)
{
    vh half;
    memcpy(&half, from, sizeof half);
#if defined(__AVX512F__) /* gcc would widen it in quarters */
    return (vf)((vu)_mm512_cvtepu16_epi32((__m256i)half) << 16);
#elif defined(__AVX2__)
    return (vf)((vu)_mm256_cvtepu16_epi32((__m128i)half) << 16);
#else
    return (vf)(__builtin_convertvector(half, vu) << 16);
#endif
}

/*
 * Round to nearest even. NaN becomes a quiet NaN on every level; vcvtneps2bf16 flushes subnormal numbers to
 * zero.
 */
SA_INLINE void vf_to_bf16(sa_bf16 *to, vf v)
{
#if defined(__AVX512BF16__)
    __m256bh half = _mm512_cvtneps_pbh((__m512)v);
    memcpy(to, &half, sizeof half);
#else
    vu bits = (vu)v;
    vu rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    vu quiet = (bits >> 16) | 0x40u;
    vu nan = (vu)(v != v);
    vh half = __builtin_convertvector((quiet & nan) | (rounded & ~nan), vh);
    memcpy(to, &half, sizeof half);
#endif
}

/* p * 2^n for whole numbers n <= 0; 0 where x <= -125. NaN stays NaN. */
SA_INLINE vf vf_scale_by_power(vf p, vf n, vf x)
{
#if defined(__AVX512F__)
    __mmask16 keep = _mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(-125.0f), _CMP_NLE_UQ);
    return (vf)_mm512_maskz_scalef_ps(keep, (__m512)p, (__m512)n);
#else
    /* Unsigned: far below -125 p may be anything. */
    vu exponent = (vu) __builtin_convertvector(vf_max(n, vf_set(-126.0f)), vi) << 23;
    vf scaled = (vf)(((vu)p + exponent) & ~(vu)(x <= -125.0f));
    return vf_select(x != x, x, scaled);
#endif
}

/*
 * 2^x by 2^round(x) * p(x - round(x)), p of 6th degree with p(0) = 1, least relative error on [-1/2, 1/2]:
 * 2e-9, so what remains is rounding, relative error < 1.3e-7 (checked in tests/kernels; the Taylor series is
 * off by 1.7e-7 at the ends). x <= 0 as softmax and GELU use it; from -125 down the result is exactly 0; NaN
 * stays NaN.
 */
SA_INLINE vf vf_exp2_negative(vf x)
{
    vf n = (x + 12582912.0f) - 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    vf t = x - n;
    vf p = vf_set(1.5353362e-4f);
    p = p * t + 1.3398875e-3f;
    p = p * t + 9.6184369e-3f;
    p = p * t + 5.5503324e-2f;
    p = p * t + 2.40226477e-1f;
    p = p * t + 6.93147182e-1f;
    p = p * t + 1.0f;
    return vf_scale_by_power(p, n, x);
}

/*
 * The same with p of 3rd degree, relative error < 1.1e-4: for results that are rounded to bf16 (2e-3) anyway.
 */
SA_INLINE vf vf_exp2_negative_short(vf x)
{
    vf n = (x + 12582912.0f) - 12582912.0f;
    vf t = x - n;
    vf p = vf_set(5.50086062e-02f);
    p = p * t + 2.42211008e-01f;
    p = p * t + 6.93282967e-01f;
    p = p * t + 1.0f;
    return vf_scale_by_power(p, n, x);
}

/*
 * GELU(x) = x * Phi(x). The tail 1 - Phi(z), z = |x|, is 2^q(z) with q a polynomial of degree 7 and q(0) =
 * -1, fitted to log2(1 - Phi) on [0, 5.75] so that the tail errs least (iterated weighted least squares): no
 * division, one exp2. Beyond 5.75 the result is max(x, 0) - 2e-8. With the roundings |error| <= 3e-7 |x|
 * (tests/kernels).
 */
SA_INLINE vf vf_gelu(vf x)
{
    vf z = -vf_max(-vf_abs(x), vf_set(-5.75f));
    vf q = vf_set(8.858413821144495e-06f);
    q = q * z - 5.769711788161658e-05f;
    q = q * z - 4.069798451382667e-04f;
    q = q * z + 7.363124284893274e-03f;
    q = q * z - 5.266660451889038e-02f;
    q = q * z - 4.591643214225769e-01f;
    q = q * z - 1.1511088609695435f;
    q = q * z - 1.0f;
    return vf_max((vf){0}, x) - z * vf_exp2_negative(q);
}

/*
 * 1 / (1 + 2^-y), which is the logistic function of y / log2(e): from 2^-|y|, so that nothing overflows and
 * both ends keep their digits. NaN stays NaN.
 */
SA_INLINE vf vf_sigmoid2(vf y)
{
    vf e = vf_exp2_negative(-vf_abs(y));
    vf above = 1.0f / (1.0f + e);
    return vf_select(y >= 0.0f, above, e * above);
}

#define LOG2_E 1.44269504f

/* x / (1 + exp(-x)) */
SA_INLINE vf vf_silu(vf x)
{
    return x * vf_sigmoid2(x * LOG2_E);
}

SA_INLINE vf vf_activate(vf x, sa_activation act)
{
    switch (act) {
    case SA_ACT_NONE: return x;
    case SA_ACT_RELU: return vf_max((vf){0}, x);
    case SA_ACT_GELU: return vf_gelu(x);
    case SA_ACT_QUICK_GELU: return x * vf_sigmoid2(x * (1.702f * LOG2_E));
    }
    return x;
}

/* The first `count` < VL floats of a vector; the rest reads as 0 and is not touched in memory. */
SA_INLINE vf vf_load_part(const float *from, size_t count)
{
    vf v = {0};
    memcpy(&v, from, count * sizeof(float));
    return v;
}

SA_INLINE void vf_store_part(float *to, vf v, size_t count)
{
    memcpy(to, &v, count * sizeof(float));
}

/* VL values of `dtype`, f32 or bf16, from element `index` of `from` on; those past `count` read as 0. */
SA_INLINE vf vf_load_as(const void *from, sa_dtype dtype, size_t index, size_t count)
{
    if (dtype == SA_F32) {
        const float *at = (const float *)from + index;
        return count >= VL ? vf_load(at) : vf_load_part(at, count);
    }
    const sa_bf16 *at = (const sa_bf16 *)from + index;
    if (count >= VL) {
        return vf_from_bf16(at);
    }
    sa_bf16 part[VL] = {0};
    memcpy(part, at, count * sizeof(sa_bf16));
    return vf_from_bf16(part);
}

/* Up to VL values stored as `dtype` at element `index` of `to`. */
SA_INLINE void vf_store_as(void *to, sa_dtype dtype, size_t index, vf v, size_t count)
{
    if (dtype == SA_F32) {
        float *at = (float *)to + index;
        if (count >= VL) {
            vf_store(at, v);
        } else {
            vf_store_part(at, v, count);
        }
        return;
    }
    sa_bf16 *at = (sa_bf16 *)to + index;
    if (count >= VL) {
        vf_to_bf16(at, v);
    } else {
        sa_bf16 part[VL];
        vf_to_bf16(part, v);
        memcpy(at, part, count * sizeof(sa_bf16));
    }
}

#endif
