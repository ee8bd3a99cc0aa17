/*
 * attention on the CPU: ragged batches, no position terms. Contract in kernels.h. A task is one item's head:
 * it packs that head's keys and values into its thread's part of the workspace and passes the item's queries
 * over them block by block.
 */
#include "kernels/cpu/ops/attend.h"

typedef struct {
    const sa_attention_args *args;
    size_t most_columns;
    size_t k_bytes, v_bytes, thread_bytes;
} attention_plan;

static attention_plan plan_attention(const sa_attention_args *args)
{
    attention_plan plan = {.args = args};
    for (size_t i = 0; i < args->count; i++) {
        size_t columns = round_up_to(args->items[i].k_count, VL);
        plan.most_columns = columns > plan.most_columns ? columns : plan.most_columns;
    }
    plan.k_bytes = attend_k_bytes(plan.most_columns, args->head_dim, args->dtype);
    plan.v_bytes = attend_v_bytes(plan.most_columns, args->head_dim, args->dtype);
    plan.thread_bytes = plan.k_bytes + plan.v_bytes + plan.most_columns * sizeof(float) +
                        ATTEND_SCRATCH_FLOATS * sizeof(float);
    plan.thread_bytes = round_up_to(plan.thread_bytes, 256);
    return plan;
}

size_t SA_CPU(attention_workspace)(const sa_stream *stream, const sa_attention_args *args);
size_t SA_CPU(attention_workspace)(const sa_stream *stream, const sa_attention_args *args)
{
    return plan_attention(args).thread_bytes * (size_t)sa_pool_threads(stream->pool);
}

static void pack_keys(const sa_attention_args *args, const sa_attention_item *item, size_t head,
                      attend_keys *keys)
{
    size_t size = sa_dtype_size(args->dtype);
    size_t k_steps = tile_steps(args->head_dim, args->dtype);
    size_t v_steps = attend_v_steps(keys->columns, args->dtype);
    const unsigned char *k =
        (const unsigned char *)args->k + (item->k_row * args->ldk + head * args->head_dim) * size;
    const unsigned char *v =
        (const unsigned char *)args->v + (item->k_row * args->ldv + head * args->head_dim) * size;
    for (size_t first = 0; first < keys->columns; first += PANEL) {
        size_t rows = item->k_count - first < PANEL ? item->k_count - first : PANEL;
        pack_panel_rows(keys->k + first / PANEL * k_steps * PANEL, k + first * args->ldk * size,
                        args->ldk * size, rows, k_steps);
    }
    for (size_t first = 0; first < args->head_dim; first += PANEL) {
        pack_panel_columns(keys->v + first / PANEL * v_steps * PANEL, v, args->ldv * size, item->k_count,
                           args->head_dim, first, v_steps, args->dtype);
    }
}

SA_INLINE void attend_item(sa_dtype dtype, const sa_attention_args *args, const sa_attention_item *item,
                           size_t head, const attend_keys *keys, const attend_terms *terms,
                           attend_scratch *scratch)
{
    size_t row_bytes = args->head_dim * sa_dtype_size(dtype);
    for (size_t first = 0; first < item->q_count; first += QUERY_BLOCK) {
        size_t rows = item->q_count - first < QUERY_BLOCK ? item->q_count - first : QUERY_BLOCK;
        for (size_t i = 0; i < rows; i++) {
            size_t at = (item->q_row + first + i) * args->ldq + head * args->head_dim;
            memcpy(scratch->q + i * row_bytes, (const unsigned char *)args->q + at * sa_dtype_size(dtype),
                   row_bytes);
        }
        attend_rows(dtype, keys, terms, scratch, rows);
        for (size_t i = 0; i < rows; i++) {
            size_t at = (item->out_row + first + i) * args->ldo + head * args->head_dim;
            attend_store_row(scratch, i, args->head_dim, args->out, dtype, at);
        }
    }
}

static void attention_task(void *context, size_t task, int worker)
{
    const attention_plan *plan = context;
    const sa_attention_args *args = plan->args;
    const sa_attention_item *item = &args->items[task / args->heads];
    size_t head = task % args->heads;
    unsigned char *memory = (unsigned char *)args->workspace + (size_t)worker * plan->thread_bytes;
    attend_keys keys = {
        .dtype = args->dtype,
        .head_dim = args->head_dim,
        .columns = round_up_to(item->k_count, VL),
        .width = round_up_to(item->k_count, VL),
        .k = (uint32_t *)(void *)memory,
        .v = (uint32_t *)(void *)(memory + plan->k_bytes),
    };
    float *hidden = (float *)(void *)(memory + plan->k_bytes + plan->v_bytes);
    attend_scratch scratch = attend_scratch_on(hidden + plan->most_columns);
    const float no_rows = 0.0f;
    for (size_t j = 0; j < keys.columns; j++) {
        hidden[j] = j < item->k_count ? 0.0f : HIDDEN;
    }
    attend_terms terms;
    for (size_t i = 0; i < QUERY_BLOCK; i++) {
        terms.row[i] = &no_rows;
        terms.column[i] = hidden;
    }
    pack_keys(args, item, head, &keys);
    if (args->dtype == SA_F32) {
        attend_item(SA_F32, args, item, head, &keys, &terms, &scratch);
    } else {
        attend_item(SA_BF16, args, item, head, &keys, &terms, &scratch);
    }
}

void SA_CPU(attention)(sa_stream *stream, const sa_attention_args *args);
void SA_CPU(attention)(sa_stream *stream, const sa_attention_args *args)
{
    SA_ASSERT(args->head_dim >= 1 && args->head_dim <= MOST_HEAD_DIM);
    SA_ASSERT(args->dtype == SA_F32 || (args->dtype == SA_BF16 && args->head_dim % 2 == 0));
    for (size_t i = 0; i < args->count; i++) {
        SA_ASSERT(args->items[i].k_count >= 1);
    }
    attention_plan plan = plan_attention(args);
    sa_pool_run(stream->pool, args->count * args->heads, attention_task, &plan);
}
