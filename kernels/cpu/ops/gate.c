/* gate on the CPU. Contract in kernels.h. A task is one piece of one row: a decoded token has one row. */
#include "kernels/cpu/ops/vec.h"

enum { PIECE = 4096 }; /* columns of a task: a multiple of every VL */

SA_INLINE void gate_piece(const sa_gate_args *args, sa_dtype dtype, size_t row, size_t first, size_t end)
{
    size_t from = row * 2 * args->width, to = row * args->width;
    for (size_t i = first; i < end; i += VL) {
        vf gate = vf_load_as(args->x, dtype, from + i, end - i);
        vf up = vf_load_as(args->x, dtype, from + args->width + i, end - i);
        vf_store_as(args->y, dtype, to + i, vf_silu(gate) * up, end - i);
    }
}

static void gate_task(void *context, size_t task, int worker)
{
    (void)worker;
    const sa_gate_args *args = context;
    size_t pieces = (args->width + PIECE - 1) / PIECE;
    size_t row = task / pieces, first = task % pieces * PIECE;
    size_t end = args->width - first < PIECE ? args->width : first + PIECE;
    if (args->dtype == SA_F32) {
        gate_piece(args, SA_F32, row, first, end);
    } else {
        gate_piece(args, SA_BF16, row, first, end);
    }
}

void SA_CPU(gate)(sa_stream *stream, const sa_gate_args *args);
void SA_CPU(gate)(sa_stream *stream, const sa_gate_args *args)
{
    SA_ASSERT(args->width >= 1 && (args->dtype == SA_F32 || args->dtype == SA_BF16));
    sa_pool_run(stream->pool, args->rows * ((args->width + PIECE - 1) / PIECE), gate_task, (void *)args);
}
