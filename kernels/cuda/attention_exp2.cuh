/* attention_exp2.cuh: 2^x to f32's own accuracy, which ex2.approx does not have. Device code only. */
#ifndef SA_KERNELS_CUDA_ATTENTION_EXP2_CUH
#define SA_KERNELS_CUDA_ATTENTION_EXP2_CUH

#include "kernels/cuda/device.cuh"

/*
 * 2^x for x <= 0, by vf_exp2_negative() of kernels/cpu/ops/vec.h: 2^n * p(x - n), p of 6th degree; relative
 * error below 1.3e-7, 2^0 = 1. From -125 down exactly 0; NaN stays NaN.
 */
SA_DEVICE float exp2_exact(float x)
{
    float n = rintf(x), t = x - n;
    float p = 1.5353362e-4f;
    p = fmaf(p, t, 1.3398875e-3f);
    p = fmaf(p, t, 9.6184369e-3f);
    p = fmaf(p, t, 5.5503324e-2f);
    p = fmaf(p, t, 2.40226477e-1f);
    p = fmaf(p, t, 6.93147182e-1f);
    p = fmaf(p, t, 1.0f);
    /* p is in [0.7, 1.42) and n > -125 where it counts: the exponent takes n by an integer addition. */
    float scaled = __int_as_float(__float_as_int(p) + ((int)n << 23));
    return x <= -125.0f ? 0.0f : x != x ? x : scaled;
}

#endif
