/*
 * The functions behind the approximate instructions, one lane each, in double and without branches, so that
 * loops over lanes become vectors. They are right to about 1e-10, so what is rounded from them is the nearest
 * float but for rare ties. approx.c has the f32 instructions, half.c those of f16 and bf16.
 */
#ifndef GPUSIM_OPS_APPROX_H
#define GPUSIM_OPS_APPROX_H

#include "tests/gpusim/ops/arith.h"

/* x + SIM_MAGIC has the integer nearest to x in its lowest bits. */
#define SIM_MAGIC 0x1.8p52

static inline double sim_exp2(double x)
{
    const double clamped = x > 200.0 ? 200.0 : x < -200.0 ? -200.0 : x; /* beyond any f32; NaN stays */
    const double t = clamped + SIM_MAGIC, r = clamped - (t - SIM_MAGIC);
    const uint64_t n = sim_bits64(t) - sim_bits64(SIM_MAGIC);
    const double y = r * 0.693147180559945309417; /* e^y by its series, |y| < 0.35 */
    const double tail = 1.0 / 720 + y * (1.0 / 5040 + y * (1.0 / 40320 + y * (1.0 / 362880)));
    const double p =
        1.0 + y * (1.0 + y * (1.0 / 2 + y * (1.0 / 6 + y * (1.0 / 24 + y * (1.0 / 120 + y * tail)))));
    return p * sim_double((n + 1023) << 52);
}

/* x: any f32. The fraction goes to [sqrt(1/2), sqrt(2)); log2 by the series of atanh. */
static inline double sim_log2(double x)
{
    const uint64_t root = 0x3fe6a09e667f3bcdull; /* bits of sqrt(1/2) */
    const uint64_t e = (sim_bits64(x) - root + (1023ull << 52)) >> 52;
    const double m = sim_double(sim_bits64(x) - ((e - 1023) << 52));
    const double whole = sim_double(e | 0x4330000000000000ull) - (0x1p52 + 1023.0);
    const double s = (m - 1.0) / (m + 1.0), q = s * s;
    const double tail = 1.0 / 9 + q * (1.0 / 11 + q * (1.0 / 13 + q * (1.0 / 15)));
    const double series = s * (1.0 + q * (1.0 / 3 + q * (1.0 / 5 + q * (1.0 / 7 + q * tail))));
    const double r = whole + series * 2.88539008177792681472; /* 2 / ln 2 */
    const double infinity = __builtin_inf();
    return x == infinity ? x : x > 0.0 ? r : x == 0.0 ? -infinity : __builtin_nan("");
}

/* sin(x + shift pi), shift 0 or 1/2, by the nearest multiple of pi. Beyond 2^40, where f32 says nothing of
 * it, sin 0. */
static inline double sim_sine(double x, double shift)
{
    const double near = __builtin_fabs(x) < 0x1p40 ? x : x - x;
    const double t = near * 0.318309886183790671538 + shift + SIM_MAGIC, k = t - SIM_MAGIC - shift;
    const double r = (near - k * 3.141592653589793116) - k * 1.2246467991473531772e-16, q = r * r;
    const double tail = -1.0 / 39916800 + q * (1.0 / 6227020800.0 + q * (-1.0 / 1307674368000.0));
    const double inner = 1.0 / 120 + q * (-1.0 / 5040 + q * (1.0 / 362880 + q * tail));
    const double s = r * (1.0 + q * (-1.0 / 6 + q * inner));
    return sim_double(sim_bits64(s) ^ (sim_bits64(t) << 63)); /* odd multiples turn the sign */
}

static inline double sim_tanh(double x)
{
    const double a = __builtin_fabs(x), bounded = a > 20.0 ? 20.0 : a;
    const double e = sim_exp2(bounded * 2.88539008177792681472); /* e^2a */
    const double r = a < 0x1p-9 ? a - a * a * a * (1.0 / 3) : (e - 1.0) / (e + 1.0);
    return sim_double(sim_bits64(r) | (sim_bits64(x) & (1ull << 63)));
}

/* GPUSIM_NOISE: a number of -1 .. 1 that depends on the operand and the seed alone. */
static inline float sim_noise(uint32_t bits)
{
    uint64_t x = (bits + 1) * 0x9E3779B97F4A7C15ull ^ sim_options.seed * 0xD1B54A32D192ED03ull;
    x = (x ^ (x >> 29)) * 0xBF58476D1CE4E5B9ull;
    return (float)(int32_t)(x >> 32) * 0x1p-31f;
}

/*
 * r[l] off by up to `relative` of itself, or `absolute` if that is more. Zeros, infinities and NaN stay, and
 * so do results of a zero, which the PTX ISA's tables give exactly: ex2(0) and cos(0) are 1.
 */
static inline void sim_perturb(float *r, const float *operand, float relative, float absolute)
{
    for (uint32_t l = 0; l < SIM_LANES; l++) {
        const float own = relative * __builtin_fabsf(r[l]);
        const float by = sim_noise(sim_bits(operand[l])) * (own > absolute ? own : absolute);
        r[l] = r[l] != 0.0f && r[l] - r[l] == 0.0f && operand[l] != 0.0f ? r[l] + by : r[l];
    }
}

#endif
