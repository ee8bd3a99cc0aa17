/*
 * rmsnorm on the CPU. Contract in kernels.h. One row at a time: the mean square, then the scaled row from the
 * first-level cache.
 */
#include "kernels/cpu/ops/vec.h"

enum { ROWS_PER_TASK = 32, CHAINS = 4 };

/* Four sums at a time, since one would wait for itself; which one a value goes to depends on its place. */
static float row_square_sum(const float *x, size_t d)
{
    vf sum[CHAINS] = {{0}};
    size_t i = 0;
    for (; i + CHAINS * VL <= d; i += CHAINS * VL) {
        for (size_t c = 0; c < CHAINS; c++) {
            vf v = vf_load(x + i + c * VL);
            sum[c] += v * v;
        }
    }
    for (; i < d; i += VL) {
        vf v = vf_load_as(x, SA_F32, i, d - i);
        sum[0] += v * v;
    }
    return vf_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

static void rmsnorm_task(void *context, size_t task, int worker)
{
    (void)worker;
    const sa_rmsnorm_args *args = context;
    size_t end = (task + 1) * ROWS_PER_TASK < args->rows ? (task + 1) * ROWS_PER_TASK : args->rows;
    for (size_t row = task * ROWS_PER_TASK; row < end; row++) {
        const float *x = args->x + row * args->d;
        float scale = 1.0f / sqrtf(row_square_sum(x, args->d) / (float)args->d + args->eps);
        for (size_t i = 0; i < args->d; i += VL) {
            size_t left = args->d - i;
            vf v = vf_load_as(x, SA_F32, i, left) * scale * vf_load_as(args->w, SA_F32, i, left);
            vf_store_as(args->y, args->y_dtype, row * args->d + i, v, left);
        }
    }
}

void SA_CPU(rmsnorm)(sa_stream *stream, const sa_rmsnorm_args *args);
void SA_CPU(rmsnorm)(sa_stream *stream, const sa_rmsnorm_args *args)
{
    SA_ASSERT(args->d >= 1 && (args->y_dtype == SA_F32 || args->y_dtype == SA_BF16));
    sa_pool_run(stream->pool, (args->rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK, rmsnorm_task, (void *)args);
}
