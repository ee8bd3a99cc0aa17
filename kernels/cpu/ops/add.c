/* add on the CPU. Contract in kernels.h. */
#include "kernels/cpu/ops/vec.h"

enum { ROWS_PER_TASK = 256 };

static void add_row(const sa_add_args *args, size_t row)
{
    const float *a = args->a + row % args->a_rows * args->d;
    const float *b = args->b != NULL ? args->b + row % args->b_rows * args->d : NULL;
    for (size_t i = 0; i < args->d; i += VL) {
        size_t count = args->d - i < VL ? args->d - i : VL;
        vf v = count == VL ? vf_load(a + i) : vf_load_part(a + i, count);
        if (b != NULL) {
            v += count == VL ? vf_load(b + i) : vf_load_part(b + i, count);
        }
        vf_store_as(args->y, args->y_dtype, row * args->d + i, v, count);
    }
}

static void add_task(void *context, size_t task, int worker)
{
    (void)worker;
    const sa_add_args *args = context;
    size_t end = (task + 1) * ROWS_PER_TASK < args->rows ? (task + 1) * ROWS_PER_TASK : args->rows;
    for (size_t row = task * ROWS_PER_TASK; row < end; row++) {
        add_row(args, row);
    }
}

void SA_CPU(add)(sa_stream *stream, const sa_add_args *args);
void SA_CPU(add)(sa_stream *stream, const sa_add_args *args)
{
    SA_ASSERT(args->d >= 1 && args->a_rows >= 1 && (args->b == NULL || args->b_rows >= 1));
    sa_pool_run(stream->pool, (args->rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK, add_task, (void *)args);
}
