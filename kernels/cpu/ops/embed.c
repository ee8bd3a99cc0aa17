/* embed on the CPU. Contract in kernels.h. */
#include "kernels/cpu/ops/tile.h"

enum { ROWS_PER_TASK = 64 };

/* Row `id` of a packed table: a word of it at the same place of each step of its panel (tile.h). */
static void unpack_row(const sa_embed_args *args, size_t id, float *y)
{
    size_t steps = tile_steps(args->d, args->dtype);
    const uint32_t *from = (const uint32_t *)args->table + id / PANEL * steps * PANEL + id % PANEL;
    for (size_t step = 0; step < steps; step++, from += PANEL) {
        if (args->dtype == SA_F32) {
            memcpy(&y[step], from, sizeof *from);
            continue;
        }
        y[2 * step] = sa_bf16_to_f32((sa_bf16)(*from & 0xffffu));
        if (2 * step + 1 < args->d) {
            y[2 * step + 1] = sa_bf16_to_f32((sa_bf16)(*from >> 16));
        }
    }
}

static void embed_task(void *context, size_t task, int worker)
{
    (void)worker;
    const sa_embed_args *args = context;
    size_t end = (task + 1) * ROWS_PER_TASK < args->rows ? (task + 1) * ROWS_PER_TASK : args->rows;
    for (size_t row = task * ROWS_PER_TASK; row < end; row++) {
        SA_ASSERT(args->ids[row] >= 0 && (size_t)args->ids[row] < args->vocabulary);
        if (args->packed) {
            unpack_row(args, (size_t)args->ids[row], args->y + row * args->d);
            continue;
        }
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
