/* References of gemm, layernorm, add and of the number formats. */
#include "tests/ref/ref_ops.h"

#include <math.h>
#include <string.h>

double ref_gelu(double x)
{
    /* erfc keeps its digits where 1 + erf would lose them all. */
    return x * 0.5 * erfc(-x / sqrt(2.0));
}

double ref_activate(double x, sa_activation act)
{
    if (act == SA_ACT_RELU) {
        return x < 0.0 ? 0.0 : x;
    }
    if (act == SA_ACT_QUICK_GELU) {
        return x / (1.0 + exp(-1.702 * x));
    }
    return act == SA_ACT_GELU ? ref_gelu(x) : x;
}

void ref_gemm(const sa_gemm_args *args, const float *a, const float *w, float *want)
{
    size_t cycle = args->residual_rows != 0 ? args->residual_rows : args->m;
    for (size_t i = 0; i < args->m; i++) {
        for (size_t j = 0; j < args->n; j++) {
            double sum = 0.0;
            for (size_t k = 0; k < args->k; k++) {
                sum += (double)a[i * args->lda + k] * (double)w[j * args->k + k];
            }
            sum += args->bias != NULL ? (double)args->bias[j] : 0.0;
            sum = ref_activate(sum, args->act);
            sum += args->residual != NULL ? (double)args->residual[i % cycle * args->ldr + j] : 0.0;
            want[i * args->n + j] = (float)sum;
        }
    }
}

void ref_layernorm(const sa_layernorm_args *args, float *want)
{
    for (size_t r = 0; r < args->rows; r++) {
        const float *x = args->x + r * args->d;
        double mean = 0.0, variance = 0.0;
        for (size_t i = 0; i < args->d; i++) {
            mean += (double)x[i] / (double)args->d;
        }
        for (size_t i = 0; i < args->d; i++) {
            variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)args->d;
        }
        for (size_t i = 0; i < args->d; i++) {
            double y = ((double)x[i] - mean) / sqrt(variance + (double)args->eps);
            y = y * (double)args->w[i] + (double)args->b[i];
            want[r * args->d + i] = (float)ref_activate(y, args->act);
        }
    }
}

void ref_add(const sa_add_args *args, float *want)
{
    for (size_t r = 0; r < args->rows; r++) {
        for (size_t i = 0; i < args->d; i++) {
            double sum = (double)args->a[r % args->a_rows * args->d + i];
            sum += args->b != NULL ? (double)args->b[r % args->b_rows * args->d + i] : 0.0;
            want[r * args->d + i] = (float)sum;
        }
    }
}

static double widen(uint32_t bf16)
{
    uint32_t bits = bf16 << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    /* One step above the largest number stands where 2^128 would. */
    return (bf16 & 0x7fffu) == 0x7f80u ? ((bf16 & 0x8000u) != 0 ? -0x1p128 : 0x1p128) : (double)value;
}

uint16_t ref_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t near = bits >> 16, far = near + 1; /* towards zero, and the next one away from it */
    double to_near = fabs((double)value - widen(near)), to_far = fabs(widen(far) - (double)value);
    if (to_near != to_far) {
        return (uint16_t)(to_near < to_far ? near : far);
    }
    return (uint16_t)((near & 1u) == 0 ? near : far);
}
