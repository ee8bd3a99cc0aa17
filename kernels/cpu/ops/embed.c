/* embed on the CPU. Contract in kernels.h. */
#include "kernels/cpu/ops/vec.h"

enum { ROWS_PER_TASK = 64 };

static void embed_task(void *context, size_t task, int worker)
{
    (void)worker;
    const sa_embed_args *args = context;
    size_t end = (task + 1) * ROWS_PER_TASK < args->rows ? (task + 1) * ROWS_PER_TASK : args->rows;
    for (size_t row = task * ROWS_PER_TASK; row < end; row++) {
        SA_ASSERT(args->ids[row] >= 0 && (size_t)args->ids[row] < args->vocabulary);
        size_t from = (size_t)args->ids[row] * args->d;
        for (size_t i = 0; i < args->d; i += VL) {
            vf v = vf_load_as(args->table, args->dtype, from + i, args->d - i);
            vf_store_as(args->y, SA_F32, row * args->d + i, v, args->d - i);
        }
    }
}

void SA_CPU(embed)(sa_stream *stream, const sa_embed_args *args);
void SA_CPU(embed)(sa_stream *stream, const sa_embed_args *args)
{
    SA_ASSERT(args->d >= 1 && (args->dtype == SA_F32 || args->dtype == SA_BF16));
    sa_pool_run(stream->pool, (args->rows + ROWS_PER_TASK - 1) / ROWS_PER_TASK, embed_task, (void *)args);
}
