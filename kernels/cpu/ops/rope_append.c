/*
 * rope_append on the CPU. Contract in kernels.h. A task is some rows: rotates their queries in place, and
 * puts their keys, rotated, and values in the pages.
 */
#include "kernels/cpu/ops/pages.h"

enum {
    MOST_ROWS = 2 * SA_KV_PAGE, /* of a task */
    MOST_HEAD_DIM = 128,
};

typedef struct {
    const sa_rope_append_args *args;
    size_t task_rows;
} rope_plan;

size_t SA_CPU(kv_place)(sa_dtype dtype, size_t head_dim, bool value, size_t key, size_t column);
size_t SA_CPU(kv_place)(sa_dtype dtype, size_t head_dim, bool value, size_t key, size_t column)
{
    return page_place(dtype, head_dim, value, key, column);
}

/* One head: x and y at element `from` and `to` of their arrays; may be the same place. */
SA_INLINE void rotate_head(sa_dtype dtype, size_t d, const float *table, const void *x, size_t from, void *y,
                           size_t to)
{
    size_t half = d / 2;
    for (size_t i = 0; i < half; i += VL) {
        size_t left = half - i;
        vf c = vf_load_as(table, SA_F32, i, left), s = vf_load_as(table, SA_F32, half + i, left);
        vf low = vf_load_as(x, dtype, from + i, left), high = vf_load_as(x, dtype, from + half + i, left);
        vf_store_as(y, dtype, to + i, low * c - high * s, left);
        vf_store_as(y, dtype, to + half + i, high * c + low * s, left);
    }
}

/*
 * Elements x[from], ... of a key or a value to the places that pages.h gives it in a head's part of a page.
 * Element by element: neighbours in a word are another token's, which another thread may be writing.
 */
SA_INLINE void put_in_page(sa_dtype dtype, size_t d, bool values, size_t key, const void *x, size_t from,
                           void *pages, size_t head)
{
    for (size_t i = 0; i < d; i++) {
        size_t to = head + page_place(dtype, d, values, key, i);
        if (dtype == SA_F32) {
            ((float *)pages)[to] = ((const float *)x)[from + i];
        } else {
            ((sa_bf16 *)pages)[to] = ((const sa_bf16 *)x)[from + i];
        }
    }
}

SA_INLINE void rope_row(sa_dtype dtype, const sa_rope_append_args *args, size_t row)
{
    size_t d = args->head_dim;
    size_t q = row * (args->heads + 2 * args->kv_heads) * d;
    size_t k = q + args->heads * d, v = k + args->kv_heads * d;
    const float *table = args->table + (size_t)args->position[row] * d;
    size_t page = (size_t)args->slot[row] / SA_KV_PAGE, place = (size_t)args->slot[row] % SA_KV_PAGE;
    float rotated[MOST_HEAD_DIM]; /* in any dtype */
    for (size_t h = 0; h < args->heads; h++) {
        rotate_head(dtype, d, table, args->qkv, q + h * d, args->qkv, q + h * d);
    }
    for (size_t h = 0; h < args->kv_heads; h++) {
        size_t head = (page * args->kv_heads + h) * SA_KV_PAGE * d;
        rotate_head(dtype, d, table, args->qkv, k + h * d, rotated, 0);
        put_in_page(dtype, d, false, place, rotated, 0, args->k_pages, head);
        put_in_page(dtype, d, true, place, args->qkv, v + h * d, args->v_pages, head);
    }
}

static void rope_task(void *context, size_t task, int worker)
{
    (void)worker;
    const rope_plan *plan = context;
    const sa_rope_append_args *args = plan->args;
    size_t begin = task * plan->task_rows;
    size_t end = begin + plan->task_rows < args->rows ? begin + plan->task_rows : args->rows;
    for (size_t row = begin; row < end; row++) {
        SA_ASSERT(args->position[row] >= 0 && args->slot[row] >= 0);
        if (args->dtype == SA_F32) {
            rope_row(SA_F32, args, row);
        } else {
            rope_row(SA_BF16, args, row);
        }
    }
}

void SA_CPU(rope_append)(sa_stream *stream, const sa_rope_append_args *args);
void SA_CPU(rope_append)(sa_stream *stream, const sa_rope_append_args *args)
{
    SA_ASSERT(args->head_dim >= 2 && args->head_dim % 2 == 0 && args->head_dim <= MOST_HEAD_DIM);
    SA_ASSERT(args->kv_heads >= 1 && args->heads % args->kv_heads == 0);
    SA_ASSERT(args->dtype == SA_F32 || args->dtype == SA_BF16);
    if (args->rows == 0) {
        return;
    }
    /* Rows that follow each other in a prompt share pages, and a line of keys holds all tokens of its page:
     * so runs as long as the threads' number allows, that two threads seldom write to one. */
    size_t threads = (size_t)sa_pool_threads(stream->pool), share = (args->rows + threads - 1) / threads;
    rope_plan plan = {args, share < MOST_ROWS ? share : MOST_ROWS};
    sa_pool_run(stream->pool, (args->rows + plan.task_rows - 1) / plan.task_rows, rope_task, &plan);
}
