/*
 * attention_grid on the CPU: SAM's windowed and global self-attention. Contract in kernels.h, inner loops in
 * attend.h.
 *
 * No copy of the map is cut into windows: keys and values are gathered from the row-major qkv while they are
 * packed, and padded tokens come from pad_qkv. A row of S keys is padded to whole vectors with hidden
 * columns.
 *
 * Windowed: a task is one head of one window; its keys fit in the second-level cache. Global: first all
 * heads' keys are packed into the workspace, one panel a task, then a task is a block of queries of one head.
 */
#include "kernels/cpu/ops/attend.h"

typedef struct {
    const sa_attention_grid_args *args;
    size_t size;           /* S */
    size_t windows_across; /* 1 if global */
    size_t width, columns; /* of the padded keys */
    size_t terms_ld;       /* floats of one query's products with a table */
    size_t k_bytes, v_bytes;
    size_t thread_bytes; /* keys (windowed only), terms and scratch of one thread */
    size_t shared_bytes; /* keys of all heads (global only) */
    size_t image;        /* the one being worked on */
} grid_plan;

static void round_row(unsigned char *to, const float *from, size_t count, sa_dtype dtype)
{
    if (dtype == SA_F32) {
        memcpy(to, from, count * sizeof(float));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        sa_bf16 value = sa_bf16_from_f32(from[i]);
        memcpy(to + 2 * i, &value, 2);
    }
}

static size_t rel_panels(size_t size)
{
    return (2 * size - 1 + PANEL - 1) / PANEL;
}

size_t SA_CPU(rel_packed_bytes)(size_t size, size_t head_dim, sa_dtype dtype);
size_t SA_CPU(rel_packed_bytes)(size_t size, size_t head_dim, sa_dtype dtype)
{
    return rel_panels(size) * tile_steps(head_dim, dtype) * tile_step_bytes();
}

/*
 * Panels for tile.h, reversed along the offset: column S-1-h+k is source[h-k+S-1]. So the products of a query
 * at h with all columns hold its terms for k = 0 .. S-1 side by side, from column S-1-h on.
 */
void SA_CPU(rel_pack)(sa_stream *stream, const sa_rel_pack_args *args);
void SA_CPU(rel_pack)(sa_stream *stream, const sa_rel_pack_args *args)
{
    (void)stream;
    size_t count = 2 * args->size - 1, steps = tile_steps(args->head_dim, args->dtype);
    uint32_t words[PANEL][MOST_HEAD_DIM];
    for (size_t panel = 0; panel < rel_panels(args->size); panel++) {
        memset(words, 0, sizeof words);
        for (size_t j = 0; j < PANEL && panel * PANEL + j < count; j++) {
            const float *from = args->source + (count - 1 - (panel * PANEL + j)) * args->head_dim;
            round_row((unsigned char *)words[j], from, args->head_dim, args->dtype);
        }
        pack_panel_rows((uint32_t *)args->packed + panel * steps * PANEL, (const unsigned char *)words,
                        sizeof words[0], PANEL, steps);
    }
}

static grid_plan plan_grid(const sa_stream *stream, const sa_attention_grid_args *args)
{
    (void)stream;
    grid_plan plan = {.args = args};
    plan.size = args->window != 0 ? args->window : args->side;
    plan.windows_across = (args->side + plan.size - 1) / plan.size;
    plan.width = round_up_to(plan.size, VL);
    plan.columns = plan.width * plan.size;
    plan.terms_ld = rel_panels(plan.size) * PANEL + VL; /* hidden columns may lie past the last offset */
    plan.k_bytes = attend_k_bytes(plan.columns, args->head_dim, args->dtype);
    plan.v_bytes = attend_v_bytes(plan.columns, args->head_dim, args->dtype);
    size_t own = (2 * QUERY_BLOCK * plan.terms_ld + ATTEND_SCRATCH_FLOATS) * sizeof(float);
    if (args->window != 0) {
        own += plan.k_bytes + plan.v_bytes;
    } else {
        plan.shared_bytes = args->heads * (plan.k_bytes + plan.v_bytes);
    }
    plan.thread_bytes = round_up_to(own, 256);
    return plan;
}

size_t SA_CPU(attention_grid_workspace)(const sa_stream *stream, const sa_attention_grid_args *args);
size_t SA_CPU(attention_grid_workspace)(const sa_stream *stream, const sa_attention_grid_args *args)
{
    grid_plan plan = plan_grid(stream, args);
    return plan.shared_bytes + plan.thread_bytes * (size_t)sa_pool_threads(stream->pool);
}

/*
 * Key columns [first, first + PANEL) of `part` (1 k, 2 v) as rows of head_dim; columns that hold no key
 * become zeros.
 */
static void gather_panel(const grid_plan *plan, size_t window, size_t head, size_t part, size_t first,
                         unsigned char *rows)
{
    const sa_attention_grid_args *args = plan->args;
    size_t size = sa_dtype_size(args->dtype), row_bytes = args->head_dim * size;
    size_t hidden = args->heads * args->head_dim;
    size_t top = window / plan->windows_across * plan->size,
           left = window % plan->windows_across * plan->size;
    size_t offset = part * hidden + head * args->head_dim;
    for (size_t i = 0; i < PANEL; i++) {
        size_t column = first + i;
        size_t y = top + column / plan->width, x = left + column % plan->width;
        unsigned char *to = rows + i * row_bytes;
        if (column >= plan->columns || column % plan->width >= plan->size) {
            memset(to, 0, row_bytes);
        } else if (y >= args->side || x >= args->side) {
            round_row(to, args->pad_qkv + offset, args->head_dim, args->dtype);
        } else {
            size_t token = (plan->image * args->side + y) * args->side + x;
            memcpy(to, (const unsigned char *)args->qkv + (token * 3 * hidden + offset) * size, row_bytes);
        }
    }
}

static void pack_grid_panel(const grid_plan *plan, size_t window, size_t head, size_t panel,
                            const attend_keys *keys)
{
    unsigned char rows[PANEL * MOST_HEAD_DIM * sizeof(float)] __attribute__((aligned(64)));
    size_t row_bytes = keys->head_dim * sa_dtype_size(keys->dtype);
    size_t k_steps = tile_steps(keys->head_dim, keys->dtype);
    gather_panel(plan, window, head, 1, panel * PANEL, rows);
    pack_panel_rows(keys->k + panel * k_steps * PANEL, rows, row_bytes, PANEL, k_steps);
    gather_panel(plan, window, head, 2, panel * PANEL, rows);
    size_t v_steps = attend_v_steps(keys->columns, keys->dtype), run = tile_steps(PANEL, keys->dtype);
    for (size_t first = 0; first < keys->head_dim; first += PANEL) {
        pack_panel_columns(keys->v + (first / PANEL * v_steps + panel * run) * PANEL, rows, row_bytes, PANEL,
                           keys->head_dim, first, run, keys->dtype);
    }
}

/* products [rows, terms_ld] = q . table, for every offset; 0 without a table. */
SA_INLINE void rel_products(sa_dtype dtype, const grid_plan *plan, const attend_scratch *scratch, size_t rows,
                            const void *table, float *products)
{
    size_t head_dim = plan->args->head_dim, steps = tile_steps(head_dim, dtype);
    memset(products, 0, rows * plan->terms_ld * sizeof(float));
    if (table == NULL) {
        return;
    }
    for (size_t panel = 0; panel < rel_panels(plan->size); panel++) {
        size_t columns = 2 * plan->size - 1 - panel * PANEL;
        int vectors = columns < PANEL ? (int)((columns + VL - 1) / VL) : TILE_VECTORS;
        tile_rows(dtype, rows, vectors, steps, scratch->q, head_dim * sa_dtype_size(dtype),
                  (const uint32_t *)table + panel * steps * PANEL, products + panel * PANEL, plan->terms_ld);
    }
}

/*
 * A query's S terms, in place among its products; times sqrt(d), because the whole score is later divided by
 * it. They may start anywhere, so the last vector also changes products that are nobody's, or hidden later.
 */
SA_INLINE void scale_terms(float *terms, size_t size, float scale)
{
    for (size_t k = 0; k < size; k += VL) {
        vf_store(terms + k, vf_load(terms + k) * scale);
    }
}

/* What each query's scores start as; `products` is room for 2 x [QUERY_BLOCK, terms_ld]. */
SA_INLINE attend_terms query_terms(sa_dtype dtype, const grid_plan *plan, const attend_scratch *scratch,
                                   size_t rows, const size_t *h, const size_t *w, float *products)
{
    attend_terms terms;
    float *down = products, *across = products + QUERY_BLOCK * plan->terms_ld;
    float scale = sqrtf((float)plan->args->head_dim);
    rel_products(dtype, plan, scratch, rows, plan->args->rel_h, down);
    rel_products(dtype, plan, scratch, rows, plan->args->rel_w, across);
    for (size_t i = 0; i < rows; i++) {
        float *row = down + i * plan->terms_ld + plan->size - 1 - h[i];
        float *column = across + i * plan->terms_ld + plan->size - 1 - w[i];
        scale_terms(row, plan->size, scale);
        scale_terms(column, plan->size, scale);
        for (size_t k = plan->size; k < plan->width; k++) {
            column[k] = HIDDEN;
        }
        terms.row[i] = row;
        terms.column[i] = column;
    }
    return terms;
}

/*
 * `rows` queries of one window and head, the first being number `first` of the window's real tokens, row by
 * row.
 */
SA_INLINE void attend_queries(sa_dtype dtype, const grid_plan *plan, const attend_keys *keys, float *memory,
                              size_t window, size_t head, size_t first, size_t rows)
{
    const sa_attention_grid_args *args = plan->args;
    size_t hidden = args->heads * args->head_dim, row_bytes = args->head_dim * sa_dtype_size(dtype);
    size_t top = window / plan->windows_across * plan->size,
           left = window % plan->windows_across * plan->size;
    size_t across = args->side - left < plan->size ? args->side - left : plan->size;
    attend_scratch scratch = attend_scratch_on(memory + 2 * QUERY_BLOCK * plan->terms_ld);
    size_t h[QUERY_BLOCK], w[QUERY_BLOCK], token[QUERY_BLOCK];
    for (size_t i = 0; i < rows; i++) {
        h[i] = (first + i) / across;
        w[i] = (first + i) % across;
        token[i] = (plan->image * args->side + top + h[i]) * args->side + left + w[i];
        size_t at = token[i] * 3 * hidden + head * args->head_dim;
        memcpy(scratch.q + i * row_bytes, (const unsigned char *)args->qkv + at * sa_dtype_size(dtype),
               row_bytes);
    }
    attend_terms terms = query_terms(dtype, plan, &scratch, rows, h, w, memory);
    attend_rows(dtype, keys, &terms, &scratch, rows);
    for (size_t i = 0; i < rows; i++) {
        attend_store_row(&scratch, i, args->head_dim, args->out, dtype,
                         token[i] * hidden + head * args->head_dim);
    }
}

static void attend_query_block(const grid_plan *plan, const attend_keys *keys, float *memory, size_t window,
                               size_t head, size_t first, size_t rows)
{
    if (plan->args->dtype == SA_F32) {
        attend_queries(SA_F32, plan, keys, memory, window, head, first, rows);
    } else {
        attend_queries(SA_BF16, plan, keys, memory, window, head, first, rows);
    }
}

static attend_keys keys_on(const grid_plan *plan, unsigned char *memory)
{
    return (attend_keys){
        .dtype = plan->args->dtype,
        .head_dim = plan->args->head_dim,
        .columns = plan->columns,
        .width = plan->width,
        .k = (uint32_t *)(void *)memory,
        .v = (uint32_t *)(void *)(memory + plan->k_bytes),
    };
}

static unsigned char *thread_memory(const grid_plan *plan, int worker)
{
    return (unsigned char *)plan->args->workspace + plan->shared_bytes + (size_t)worker * plan->thread_bytes;
}

static void window_task(void *context, size_t task, int worker)
{
    const grid_plan *plan = context;
    const sa_attention_grid_args *args = plan->args;
    size_t window = task / args->heads, head = task % args->heads;
    unsigned char *memory = thread_memory(plan, worker);
    attend_keys keys = keys_on(plan, memory);
    for (size_t panel = 0; panel < attend_key_panels(plan->columns); panel++) {
        pack_grid_panel(plan, window, head, panel, &keys);
    }
    size_t top = window / plan->windows_across * plan->size,
           left = window % plan->windows_across * plan->size;
    size_t down = args->side - top < plan->size ? args->side - top : plan->size;
    size_t across = args->side - left < plan->size ? args->side - left : plan->size;
    float *work = (float *)(void *)(memory + plan->k_bytes + plan->v_bytes);
    for (size_t first = 0; first < down * across; first += QUERY_BLOCK) {
        size_t rows = down * across - first < QUERY_BLOCK ? down * across - first : QUERY_BLOCK;
        attend_query_block(plan, &keys, work, window, head, first, rows);
    }
}

static attend_keys head_keys(const grid_plan *plan, size_t head)
{
    unsigned char *memory = plan->args->workspace;
    return keys_on(plan, memory + head * (plan->k_bytes + plan->v_bytes));
}

static void global_pack_task(void *context, size_t task, int worker)
{
    (void)worker;
    const grid_plan *plan = context;
    attend_keys keys = head_keys(plan, task % plan->args->heads);
    pack_grid_panel(plan, 0, task % plan->args->heads, task / plan->args->heads, &keys);
}

static void global_query_task(void *context, size_t task, int worker)
{
    const grid_plan *plan = context;
    size_t tokens = plan->args->side * plan->args->side;
    size_t blocks = (tokens + QUERY_BLOCK - 1) / QUERY_BLOCK;
    size_t head = task / blocks, first = task % blocks * QUERY_BLOCK;
    size_t rows = tokens - first < QUERY_BLOCK ? tokens - first : QUERY_BLOCK;
    attend_keys keys = head_keys(plan, head);
    attend_query_block(plan, &keys, (float *)(void *)thread_memory(plan, worker), 0, head, first, rows);
}

void SA_CPU(attention_grid)(sa_stream *stream, const sa_attention_grid_args *args);
void SA_CPU(attention_grid)(sa_stream *stream, const sa_attention_grid_args *args)
{
    SA_ASSERT(args->head_dim >= 1 && args->head_dim <= MOST_HEAD_DIM && args->side >= 1 && args->heads >= 1);
    SA_ASSERT(args->dtype == SA_F32 || (args->dtype == SA_BF16 && args->head_dim % 2 == 0));
    SA_ASSERT((args->rel_h == NULL) == (args->rel_w == NULL));
    SA_ASSERT(args->window == 0 || args->side % args->window == 0 || args->pad_qkv != NULL);
    grid_plan plan = plan_grid(stream, args);
    size_t tokens = args->side * args->side;
    for (plan.image = 0; plan.image < args->batch; plan.image++) {
        if (args->window != 0) {
            size_t windows = plan.windows_across * plan.windows_across;
            sa_pool_run(stream->pool, windows * args->heads, window_task, &plan);
        } else {
            size_t blocks = (tokens + QUERY_BLOCK - 1) / QUERY_BLOCK;
            sa_pool_run(stream->pool, attend_key_panels(plan.columns) * args->heads, global_pack_task, &plan);
            sa_pool_run(stream->pool, blocks * args->heads, global_query_task, &plan);
        }
    }
}
