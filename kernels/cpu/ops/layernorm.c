/*
 * layernorm on the CPU. Contract in kernels.h. One row at a time: mean, then variance about the mean (two
 * passes over a row that is in the first-level cache), then the normalised row.
 */
#include "kernels/cpu/ops/vec.h"

enum { ROWS_PER_TASK = 64 };

static float row_sum(const float *x, size_t d)
{
    vf sum = {0};
    size_t i = 0;
    for (; i + VL <= d; i += VL) {
        sum += vf_load(x + i);
    }
    return vf_sum(sum + vf_load_part(x + i, d - i));
}

static float row_square_sum(const float *x, size_t d, float mean)
{
    vf sum = {0};
    size_t i = 0;
    for (; i + VL <= d; i += VL) {
        vf centred = vf_load(x + i) - mean;
        sum += centred * centred;
    }
    float total = vf_sum(sum);
    for (; i < d; i++) {
        total += (x[i] - mean) * (x[i] - mean);
    }
    return total;
}

SA_INLINE void normalise_row(const sa_layernorm_args *args, size_t row, sa_activation act)
{
    const float *x = args->x + row * args->d;
    float mean = row_sum(x, args->d) / (float)args->d;
    float variance = row_square_sum(x, args->d, mean) / (float)args->d;
    float scale = 1.0f / sqrtf(variance + args->eps);
    for (size_t i = 0; i < args->d; i += VL) {
        size_t count = args->d - i < VL ? args->d - i : VL;
        vf v = count == VL ? vf_load(x + i) : vf_load_part(x + i, count);
        vf w = count == VL ? vf_load(args->w + i) : vf_load_part(args->w + i, count);
        vf b = count == VL ? vf_load(args->b + i) : vf_load_part(args->b + i, count);
        v = vf_activate((v - mean) * scale * w + b, act);
        vf_store_as(args->y, args->y_dtype, row * args->d + i, v, count);
    }
}

static void layernorm_task(void *context, size_t task, int worker)
{
    (void)worker;
    const sa_layernorm_args *args = context;
    size_t end = (task + 1) * ROWS_PER_TASK < args->rows ? (task + 1) * ROWS_PER_TASK : args->rows;
    for (size_t row = task * ROWS_PER_TASK; row < end; row++) {
        switch (args->act) { /* the activation becomes a constant of the loop */
        case SA_ACT_NONE: normalise_row(args, row, SA_ACT_NONE); break;
        case SA_ACT_RELU: normalise_row(args, row, SA_ACT_RELU); break;
        case SA_ACT_GELU: normalise_row(args, row, SA_ACT_GELU); break;
        case SA_ACT_QUICK_GELU: normalise_row(args, row, SA_ACT_QUICK_GELU); break;
        }
    }
}

void SA_CPU(layernorm)(sa_stream *stream, const sa_layernorm_args *args);
void SA_CPU(layernorm)(sa_stream *stream, const sa_layernorm_args *args)
{
    SA_ASSERT(args->d >= 1);
    SA_ASSERT(args->y_dtype == SA_F32 || args->y_dtype == SA_BF16);
    sa_pool_run(stream->pool, (args->rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK, layernorm_task, (void *)args);
}
