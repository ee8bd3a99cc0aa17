/*
 * How far each op may be from its reference in tests/ref. The one table of tolerances: loosening an entry is
 * a change with a reason. A check passes if |got - want| <= absolute + relative * |want|.
 *
 * U32, U16 and UF16 are the unit roundoffs, half an ulp relative to the value at the lower end of a binade:
 * 2^-24 for the 24 bits of f32, 2^-8 for the 8 bits of bf16, 2^-11 for the 11 bits of f16. Values are normal
 * with a known scale; the largest of a million normals is below PEAK = 5 sigma.
 */
#ifndef SA_TESTS_KERNELS_TOLERANCES_H
#define SA_TESTS_KERNELS_TOLERANCES_H

#include <math.h>

#include "kernels/kernels.h"

#define U32 0x1p-24
#define U16 0x1p-8
#define UF16 0x1p-11
#define PEAK 5.0

/*
 * vf_exp2_negative: 2e-9 of the polynomial, then rounding. The result is 1 + p*t >= 1/sqrt(2) with p < 0.84,
 * |t| <= 1/2. The last addition loses U32 at most if the result is above 1, U32/2 below; p*t < 1/2 loses
 * U32/4 where it is rounded by itself, and p, rounded to U32/2, is multiplied by at most 1/2: 1.5 U32, over
 * 1/sqrt(2).
 */
#define EXP2_ERROR (1.5 * 1.41421357 * U32 + 2e-9)
/* vf_exp2_negative_short: 1.05e-4 of the polynomial; rounding is nothing beside it. */
#define EXP2_SHORT_ERROR 1.1e-4
/*
 * vf_gelu, per |x|: the fit of the tail, 3.9e-8, and rounding: the polynomial and the exponential move the
 * tail, at most 1/2, by 1 U32 each after the halving; x - x * tail by 1 U32 of
 * the result.
 */
#define GELU_ERROR (0.4e-7 + 3 * U32)
/*
 * The logistic function s, as x * s: e = exp(-|y|) comes within 4 U32 (the coarsest: a GPU's approximation)
 * and from an argument rounded twice, |y| 2 U32. That moves s by s (1 - s) times as much: with s (1 - s) <=
 * 1/4 and s (1 - s) |y| <= 0.224 by (1 + 0.45) U32, per |x|. A GPU's division adds 2 ulps, products the rest.
 */
#define SIGMOID_ERROR (1.5 * U32)
#define SIGMOID_RELATIVE (8 * U32)
/* GELU's steepest slope: what it does to an error of its input. QuickGELU's is 1.10. */
#define GELU_SLOPE 1.13

typedef struct {
    double absolute, relative;
} tolerance;

/* A result that is right within t, rounded to `dtype`, compared with a reference that was rounded to f32. */
static inline tolerance tolerance_stored(tolerance t, sa_dtype dtype)
{
    t.relative += U32;
    if (dtype == SA_BF16) {
        t.absolute *= 1.0 + U16;
        t.relative += U16;
    }
    if (dtype == SA_F16) { /* below 2^-14 the step stays what it is there */
        t.absolute = t.absolute * (1.0 + UF16) + 0x1p-25;
        t.relative += UF16;
    }
    return t;
}

static inline tolerance tolerance_activated(tolerance t, sa_activation act)
{
    if (act == SA_ACT_GELU) {
        t.absolute *= GELU_SLOPE;
        t.relative = t.relative * GELU_SLOPE + GELU_ERROR;
        t.absolute += PEAK * GELU_ERROR; /* x < 0: an error in proportion to |x|, not to the small result */
    }
    if (act == SA_ACT_QUICK_GELU) {
        t.absolute = t.absolute * GELU_SLOPE + PEAK * SIGMOID_ERROR;
        t.relative = t.relative * GELU_SLOPE + SIGMOID_ERROR + SIGMOID_RELATIVE;
    }
    return t;
}

/*
 * A sum of k products of normals with scale s = scale(a) * scale(w), rounded at each step. The partial sum
 * after i steps has size s*sqrt(i); its rounding adds an error of at most U32 times that, uniform: variance
 * U32^2 * s^2 * i / 3. Over k steps the variances sum to U32^2 s^2 k^2 / 6, so sigma = 0.41 U32 s k; PEAK
 * sigmas are 2 U32 s k. Without fused multiply-add the k product roundings add 0.6 s sqrt(k) U32 more: 3 in
 * place of 2 covers small k; + PEAK^2 for k = 1.
 */
static inline double sum_error(double k, double scale)
{
    return U32 * scale * (3.0 * k + PEAK * PEAK);
}

/* gemm: the sum, then bias and residual of scale 1: one rounding each of a value of at most 2 PEAK + sum. */
static inline tolerance tolerance_gemm(size_t k, double scale, sa_activation act, sa_dtype c_dtype)
{
    double sum = PEAK * scale * sqrt((double)k);
    tolerance t = {.absolute = sum_error((double)k, scale) + U32 * (sum + PEAK)};
    t = tolerance_activated(t, act);
    if (act == SA_ACT_GELU) {
        t.absolute += GELU_ERROR * sum; /* the terms of a result that the residual has made small */
    }
    if (act == SA_ACT_QUICK_GELU) {
        t.absolute += (SIGMOID_ERROR + SIGMOID_RELATIVE) * sum;
    }
    t.absolute += U32 * (sum + 2 * PEAK);
    return tolerance_stored(t, c_dtype);
}

/*
 * layernorm: the mean's error is that of a sum of d terms over d: at most sqrt(d) U32 of the row's rms for
 * random signs of the roundings, likewise the variance's. Both reach y divided by the deviation, which
 * `condition` = rms / deviation says; w and b have scale 1, normalised values reach PEAK, six roundings
 * remain.
 */
static inline tolerance tolerance_layernorm(size_t d, double condition, sa_activation act, sa_dtype dtype)
{
    double normalised = U32 * (sqrt((double)d) + 2.0) * condition;
    tolerance t = {.absolute = PEAK * (normalised + 6.0 * U32 * PEAK)};
    return tolerance_stored(tolerance_activated(t, act), dtype);
}

/*
 * Both attentions. Scores (with relative position: three sums of d products in place of one) of scale `score`
 * after the division by sqrt(d) carry a sum's error and two roundings of a value up to PEAK * score. An error
 * e of scores is a relative error e of p, as the exponential's is; p stands in numerator and denominator:
 * twice, times |v|. The sums over keys add U32 sqrt(keys). v has scale 1, so the weighted mean of |v| is
 * below PEAK. In 16 bits p is rounded before p*v, while the denominator keeps all bits: U16 or UF16 |v| for
 * each key but the row's peak, whose p = 1 is exact; so half the weight at most for two keys, and for more
 * keys roundings of mixed signs. Of f16, p below 2^-14 moves by up to 2^-25: with all keys, against a sum
 * >= 1.
 */
static inline tolerance tolerance_attention(size_t d, size_t keys, double score, sa_dtype dtype)
{
    double scores = sum_error((double)d, score) / sqrt((double)d) + 4.0 * U32 * PEAK * score;
    double exponential = dtype == SA_BF16 ? EXP2_SHORT_ERROR : EXP2_ERROR;
    double rounding = dtype == SA_BF16 ? U16 / 2 : dtype == SA_F16 ? UF16 / 2 + 0x1p-25 * (double)keys : 0.0;
    double relative = 2.0 * (scores + exponential) + U32 * (sqrt((double)keys) + 4.0);
    tolerance t = {.absolute = PEAK * (relative + rounding)};
    return tolerance_stored(t, dtype);
}

/*
 * attention_paged: the same, and `splits` merges of sums over parts of the keys. Each multiplies the earlier
 * sums, numerator and denominator alike, by an exponential: an error of the weight of those keys.
 */
static inline tolerance tolerance_attention_paged(size_t d, size_t keys, double score, sa_dtype dtype)
{
    enum { SHORTEST_SPLIT = 64 };
    double splits = ceil((double)keys / SHORTEST_SPLIT);
    tolerance t = tolerance_attention(d, keys, score, dtype);
    t.absolute += PEAK * 2.0 * splits * (EXP2_ERROR + 2.0 * U32);
    return t;
}

/* rmsnorm: the mean of d squares, of which the root halves the error; then root, division and two products.
 */
static inline tolerance tolerance_rmsnorm(size_t d, sa_dtype dtype)
{
    return tolerance_stored((tolerance){0.0, U32 * (0.5 * sqrt((double)d) + 6.0)}, dtype);
}

/* gate: x * s(x) of a normal, times a normal. */
static inline tolerance tolerance_gate(sa_dtype dtype)
{
    return tolerance_stored((tolerance){PEAK * PEAK * SIGMOID_ERROR, SIGMOID_RELATIVE}, dtype);
}

/* rope_append: two products of a normal with a cosine or a sine, and their sum. */
static inline tolerance tolerance_rope(sa_dtype dtype)
{
    return tolerance_stored((tolerance){2.0 * U32 * PEAK, U32}, dtype);
}

/*
 * sample: weights come within 4 U32, and 2 U32 of an argument of up to `range`; sums of them add
 * U32 sqrt(V). So far may a share of the whole be off; and where u, top_p or min_p come nearer to a border
 * than that, the token is not decided.
 */
static inline double tolerance_sample_share(size_t vocabulary, double range)
{
    return U32 * (4.0 * sqrt((double)vocabulary) + 4.0 * range + 16.0);
}

/* The log-probability: a share's error, the logarithm of up to V, and two subtractions. */
static inline tolerance tolerance_sample_logprob(size_t vocabulary, double range)
{
    double error = tolerance_sample_share(vocabulary, range) + U32 * 2.0 * (log((double)vocabulary) + range);
    return tolerance_stored((tolerance){error, U32}, SA_F32);
}

/* im2col moves bits, and so does embed, but for the step from bf16 to f32, which is exact. */
static inline tolerance tolerance_im2col(void)
{
    return (tolerance){0.0, 0.0};
}

/* add: one f32 rounding. */
static inline tolerance tolerance_add(sa_dtype dtype)
{
    return tolerance_stored((tolerance){0.0, U32}, dtype);
}

/*
 * patchify: the reciprocal of std, the difference and the product: three roundings, of the difference against
 * 255.
 */
static inline tolerance tolerance_patchify(double least_std, sa_dtype dtype)
{
    return tolerance_stored((tolerance){255.0 * U32 / least_std, 3 * U32}, dtype);
}

/*
 * point_encode: the phase, of at most `phase`, goes through five roundings; sine and cosine (1 ulp) pass its
 * absolute error on with slope 1; one rounding of the sum with the table, of at most 1 + PEAK.
 */
static inline tolerance tolerance_point_encode(double phase)
{
    return tolerance_stored((tolerance){U32 * (5.0 * phase + 2.0 + 1.0 + PEAK), 0.0}, SA_F32);
}

/* mask_product: a sum of `channels` products, of scale 1, in any order. */
static inline tolerance tolerance_mask_product(size_t channels)
{
    return tolerance_stored((tolerance){sum_error((double)channels, 1.0), 0.0}, SA_F32);
}

/*
 * mask_resize: a source coordinate in f32 goes through four roundings of a number up to the input's length:
 * an error of 4 U32 length pixels, worth that times the largest step between neighbours, in x and in y; each
 * of the four blends adds 3 roundings of a value up to `peak`. In the frame neighbours differ by the same
 * step as in the low map, at most.
 */
static inline double tolerance_mask_resize(size_t low, size_t crop, double peak)
{
    double coordinates = 4.0 * U32 * ((double)low + (double)crop);
    return 2.0 * coordinates * 2.0 * peak + 12.0 * U32 * peak;
}

#endif
