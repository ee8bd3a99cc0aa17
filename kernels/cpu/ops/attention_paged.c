/*
 * attention_paged on the CPU. Contract in kernels.h.
 *
 *   items -> chunks of rows -> [ pages -> scores -> softmax -> p*v -> merge ] x blocks -> out
 *
 * A row is one query of one head; a chunk is a run of rows of one item, or of small items that share pages. A
 * task is a chunk and a head of keys, and takes a block of KEY_BLOCK keys, counted from key 0, at a time.
 * Pages stand as the products read them (pages.h), and are read where they are. A block's softmax is a thing
 * of its own, and the blocks' results are merged in their order. So a row's bits depend on its own keys
 * alone, and blocks may as well be computed apart: that is done where chunks and heads are too few for the
 * threads.
 */
#include <stdbool.h>

#include "kernels/cpu/ops/attend.h"
#include "kernels/cpu/ops/pages.h"

enum {
    CHUNK_ROWS = 240,               /* rows that share the reading of pages: 5 query blocks */
    PAGES = KEY_BLOCK / SA_KV_PAGE, /* of a block */
    AHEAD = 4,                      /* pages between what is read and what is fetched */
    PAGE_VECTORS = SA_KV_PAGE / VL, /* of a word of all keys */
    VALUES_BYTES = SA_KV_PAGE * MOST_HEAD_DIM * 4 + 256, /* a page of a head, and a vector */
};

typedef struct {
    uint32_t item, first, rows; /* from row `first` of the item on, across the ends of items */
} paged_chunk;

/* Sums of rows over some blocks of keys: of p*v [rows, MOST_HEAD_DIM], the largest score, the sum of p. */
typedef struct {
    float *out, *peak, *total;
} paged_sums;

typedef struct {
    const sa_attention_paged_args *args;
    size_t group;        /* heads that share a head of keys */
    size_t units;        /* chunks times heads of keys */
    size_t blocks, rows; /* most of any chunk */
    bool apart;          /* a task is one block of a unit, not all of them */
    size_t k_bytes, v_bytes, sums_bytes, thread_bytes;
    paged_chunk *chunks;
    unsigned char *sums; /* [units, blocks]: only if apart */
    unsigned char *scratch;
} paged_plan;

/* What one thread works in. */
typedef struct {
    unsigned char *values; /* a copy of a page's values, and room behind it for a vector */
    uint32_t *k, *v;       /* the block's panels, for many rows */
    float *scores;         /* [QUERY_BLOCK, SCORE_LD] */
    float *part;           /* [QUERY_BLOCK, MOST_HEAD_DIM]: p*v of one block */
    paged_sums sums;       /* [CHUNK_ROWS] */
    unsigned char *q;      /* [CHUNK_ROWS, head_dim] */
} paged_scratch;

/* The rows of a chunk. */
typedef struct {
    size_t count, most;                                              /* keys that the farthest sees */
    uint32_t item[CHUNK_ROWS], query[CHUNK_ROWS], limit[CHUNK_ROWS]; /* limit: keys that the row sees */
} paged_rows;

/* ---- planning ---- */

/* Cuts the items' rows into chunks; returns how many. `to` may be NULL. */
static size_t cut_chunks(const sa_attention_paged_args *args, size_t group, paged_chunk *to, size_t *most)
{
    size_t count = 0;
    paged_chunk last = {0};
    *most = 0;
    for (size_t i = 0; i < args->count; i++) {
        const sa_attention_paged_item *item = &args->items[i];
        size_t rows = item->q_count * group;
        bool joins = count > 0 && last.first == 0 && last.rows + rows <= CHUNK_ROWS && item->shared >= PAGES;
        for (size_t first = 0; first < rows; first += CHUNK_ROWS) {
            size_t part = rows - first < CHUNK_ROWS ? rows - first : CHUNK_ROWS;
            if (joins) {
                last.rows += (uint32_t)part;
            } else {
                last = (paged_chunk){(uint32_t)i, (uint32_t)first, (uint32_t)part};
                count++;
            }
            *most = last.rows > *most ? last.rows : *most;
            if (to != NULL) {
                to[count - 1] = last;
            }
        }
    }
    return count;
}

static size_t sums_size(size_t rows)
{
    return round_up_to(rows * (MOST_HEAD_DIM + 2) * sizeof(float), 256);
}

static size_t thread_size(const paged_plan *plan)
{
    size_t floats = QUERY_BLOCK * (SCORE_LD + MOST_HEAD_DIM) + CHUNK_ROWS * MOST_HEAD_DIM;
    return VALUES_BYTES + plan->k_bytes + plan->v_bytes + round_up_to(floats * sizeof(float), 256) +
           plan->sums_bytes;
}

static paged_plan plan_paged(const sa_stream *stream, const sa_attention_paged_args *args)
{
    paged_plan plan = {.args = args, .group = args->heads / args->kv_heads};
    size_t threads = (size_t)sa_pool_threads(stream->pool), most_keys = 1;
    for (size_t i = 0; i < args->count; i++) {
        most_keys = args->items[i].k_count > most_keys ? args->items[i].k_count : most_keys;
    }
    plan.blocks = (most_keys + KEY_BLOCK - 1) / KEY_BLOCK;
    plan.units = cut_chunks(args, plan.group, NULL, &plan.rows) * args->kv_heads;
    plan.apart = plan.units < threads && plan.blocks > 1;
    plan.k_bytes = attend_k_bytes(KEY_BLOCK, args->head_dim, args->dtype);
    plan.v_bytes = attend_v_bytes(KEY_BLOCK, args->head_dim, args->dtype);
    plan.sums_bytes = sums_size(plan.rows);
    plan.thread_bytes = thread_size(&plan);
    return plan;
}

/* Where the parts of the workspace stand; returns its size. */
static size_t place_paged(paged_plan *plan, unsigned char *workspace, size_t threads)
{
    size_t chunks = round_up_to(plan->units / plan->args->kv_heads * sizeof(paged_chunk), 256);
    size_t sums = plan->apart ? plan->units * plan->blocks * plan->sums_bytes : 0;
    if (workspace != NULL) {
        plan->chunks = (paged_chunk *)(void *)workspace;
        plan->sums = workspace + chunks;
        plan->scratch = workspace + chunks + sums;
    }
    return chunks + sums + threads * plan->thread_bytes;
}

size_t SA_CPU(attention_paged_workspace)(const sa_stream *stream, const sa_attention_paged_args *args);
size_t SA_CPU(attention_paged_workspace)(const sa_stream *stream, const sa_attention_paged_args *args)
{
    paged_plan plan = plan_paged(stream, args);
    size_t threads = (size_t)sa_pool_threads(stream->pool), rows = 0;
    for (size_t i = 0; i < args->count; i++) {
        rows += args->items[i].q_count * plan.group;
    }
    /* of any batch that is not larger: as many chunks, as wide ones, the most units that are computed apart
     */
    plan.units = (args->count + rows / CHUNK_ROWS) * args->kv_heads;
    plan.rows = rows < CHUNK_ROWS ? rows : CHUNK_ROWS;
    plan.sums_bytes = sums_size(plan.rows);
    plan.thread_bytes = thread_size(&plan);
    size_t apart = plan.units < threads ? plan.units : threads - 1;
    size_t sums = plan.blocks > 1 ? apart * plan.blocks * plan.sums_bytes : 0;
    plan.apart = false;
    return place_paged(&plan, NULL, threads) + sums;
}

static paged_sums sums_on(const paged_plan *plan, unsigned char *memory)
{
    paged_sums sums = {.out = (float *)(void *)memory};
    sums.peak = sums.out + plan->rows * MOST_HEAD_DIM;
    sums.total = sums.peak + plan->rows;
    return sums;
}

static paged_scratch scratch_on(const paged_plan *plan, unsigned char *memory)
{
    unsigned char *k = memory + VALUES_BYTES, *v = k + plan->k_bytes;
    paged_scratch s = {.values = memory, .k = (uint32_t *)(void *)k, .v = (uint32_t *)(void *)v};
    s.scores = (float *)(void *)(v + plan->v_bytes);
    s.part = s.scores + QUERY_BLOCK * SCORE_LD;
    s.q = (unsigned char *)(s.part + QUERY_BLOCK * MOST_HEAD_DIM);
    s.sums = sums_on(plan, memory + plan->thread_bytes - plan->sums_bytes);
    return s;
}

static void list_rows(const paged_plan *plan, const paged_chunk *chunk, paged_rows *rows)
{
    size_t item = chunk->item, row = chunk->first;
    *rows = (paged_rows){.count = chunk->rows};
    for (size_t r = 0; r < chunk->rows; r++, row++) {
        while (row == plan->args->items[item].q_count * plan->group) {
            item++;
            row = 0;
        }
        const sa_attention_paged_item *from = &plan->args->items[item];
        rows->item[r] = (uint32_t)item;
        rows->query[r] = (uint32_t)row;
        rows->limit[r] = from->k_count - from->q_count + (uint32_t)(row / plan->group) + 1;
        rows->most = rows->limit[r] > rows->most ? rows->limit[r] : rows->most;
    }
}

/* ---- products with pages ---- */

/* The pages of one block: where a head's keys and values stand, and behind them the next block's keys. */
typedef struct {
    size_t count;
    const unsigned char *at[2 * PAGES + AHEAD]; /* keys [count], values [count], what comes then [AHEAD] */
} paged_block;

/* Vectors side by side, that of step s at at[j] + s * stride; `ahead`: what is fetched in their time. */
typedef struct {
    const unsigned char *at[TILE_VECTORS], *ahead;
    size_t stride;
} paged_columns;

/* tile_body() for vectors that do not stand side by side. The sums are the same, and so are their bits. */
SA_INLINE void page_tile(int rows, int vectors, sa_dtype dtype, size_t steps, const unsigned char *a,
                         size_t a_stride, const paged_columns *b, float *c, size_t ldc)
{
    vf sum[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            sum[i][j] = vf_load(c + (size_t)i * ldc + (size_t)j * VL);
        }
    }
    for (size_t step = 0; step < steps; step++) {
        vf column[TILE_VECTORS];
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            column[j] = vf_load((const float *)(const void *)(b->at[j] + step * b->stride));
            __builtin_prefetch(b->ahead + (step * (size_t)vectors + (size_t)j) * VL * 4);
        }
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            vf row = broadcast_word(a + (size_t)i * a_stride + step * 4);
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++) {
                sum[i][j] =
                    dtype == SA_F32 ? row * column[j] + sum[i][j] : dot_pair(sum[i][j], row, column[j]);
            }
        }
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            vf_store(c + (size_t)i * ldc + (size_t)j * VL, sum[i][j]);
        }
    }
}

SA_INLINE void page_rows(int vectors, sa_dtype dtype, size_t rows, size_t steps, const unsigned char *a,
                         size_t a_stride, const paged_columns *b, float *c, size_t ldc)
{
    switch (rows) {
    case 1: page_tile(1, vectors, dtype, steps, a, a_stride, b, c, ldc); return;
    case 2: page_tile(2, vectors, dtype, steps, a, a_stride, b, c, ldc); return;
    case 3: page_tile(3, vectors, dtype, steps, a, a_stride, b, c, ldc); return;
    case 4: page_tile(4, vectors, dtype, steps, a, a_stride, b, c, ldc); return;
    case 5: page_tile(5, vectors, dtype, steps, a, a_stride, b, c, ldc); return;
    default: page_tile(6, vectors, dtype, steps, a, a_stride, b, c, ldc); return;
    }
}

/* By itself: inlined into its callers, gcc has no registers left for its sums. rows <= TILE_ROWS. */
static __attribute__((noinline)) void rows_times_columns(sa_dtype dtype, size_t rows, int vectors,
                                                         size_t steps, const void *a, size_t a_stride,
                                                         const paged_columns *b, float *c, size_t ldc)
{
    if (dtype == SA_F32) {
        if (vectors == TILE_VECTORS) {
            page_rows(TILE_VECTORS, SA_F32, rows, steps, a, a_stride, b, c, ldc);
        } else {
            page_rows(1, SA_F32, rows, steps, a, a_stride, b, c, ldc);
        }
    } else if (vectors == TILE_VECTORS) {
        page_rows(TILE_VECTORS, SA_BF16, rows, steps, a, a_stride, b, c, ldc);
    } else {
        page_rows(1, SA_BF16, rows, steps, a, a_stride, b, c, ldc);
    }
}

/* tile_rows() by itself, for the same reason. */
static __attribute__((noinline)) void rows_times_panel(sa_dtype dtype, size_t rows, int vectors, size_t steps,
                                                       const void *a, size_t a_stride, const uint32_t *b,
                                                       float *c, size_t ldc)
{
    if (dtype == SA_F32) {
        tile_rows(SA_F32, rows, vectors, steps, a, a_stride, b, c, ldc);
    } else {
        tile_rows(SA_BF16, rows, vectors, steps, a, a_stride, b, c, ldc);
    }
}

/* The block from key `first` on, of an item of which `most` keys are somebody's. */
static void find_pages(const sa_attention_paged_args *args, const sa_attention_paged_item *item, size_t head,
                       size_t first, size_t most, paged_block *block)
{
    size_t head_bytes = SA_KV_PAGE * args->head_dim * sa_dtype_size(args->dtype);
    size_t begin = first / SA_KV_PAGE, end = (most + SA_KV_PAGE - 1) / SA_KV_PAGE;
    const int32_t *pages = args->pages + item->first_page;
    block->count = end - begin < PAGES ? end - begin : PAGES;
    for (size_t i = 0; i < block->count; i++) {
        size_t at = ((size_t)pages[begin + i] * args->kv_heads + head) * head_bytes;
        block->at[i] = (const unsigned char *)args->k_pages + at;
        block->at[block->count + i] = (const unsigned char *)args->v_pages + at;
    }
    for (size_t i = 0; i < AHEAD; i++) {
        size_t next = begin + PAGES + i < end ? begin + PAGES + i : begin;
        block->at[2 * block->count + i] =
            (const unsigned char *)args->k_pages + ((size_t)pages[next] * args->kv_heads + head) * head_bytes;
    }
}

/*
 * scores [rows, count * SA_KV_PAGE] = q * keys of the block, a few rows. Several pages go side by side, but
 * what is fetched meanwhile comes page by page, which is how memory is fastest: hence the runs of steps.
 */
static void multiply_keys(sa_dtype dtype, const paged_block *block, size_t d, const unsigned char *q,
                          size_t rows, float *scores)
{
    size_t row_bytes = d * sa_dtype_size(dtype), steps = tile_steps(d, dtype), part;
    for (size_t j = 0; j < block->count * PAGE_VECTORS; j += part) {
        paged_columns b = {.stride = PAGE_STEP};
        part = block->count * PAGE_VECTORS - j >= TILE_VECTORS ? TILE_VECTORS : 1;
        for (size_t i = 0; i < part; i++) {
            b.at[i] = block->at[(j + i) / PAGE_VECTORS] + (j + i) % PAGE_VECTORS * VL * 4;
        }
        size_t pages = (part + PAGE_VECTORS - 1) / PAGE_VECTORS, run = (steps + pages - 1) / pages;
        for (size_t p = 0, step = 0; step < steps; p++, step += run) {
            b.ahead = block->at[j / PAGE_VECTORS + p + AHEAD];
            rows_times_columns(dtype, rows, (int)part, steps - step < run ? steps - step : run, q + step * 4,
                               row_bytes, &b, scores + j * VL, SCORE_LD);
            for (size_t i = 0; i < part; i++) {
                b.at[i] += run * PAGE_STEP;
            }
        }
    }
}

/*
 * The first `valid` values of a page, zeros behind them: the page may hold anything there, and a p of 0 would
 * not silence a NaN. Behind the last one stands room for the vector that begins in it.
 */
static const unsigned char *copy_values(sa_dtype dtype, const unsigned char *page, size_t valid, size_t d,
                                        unsigned char *to)
{
    size_t words = dtype == SA_F32 ? valid * d : valid / 2 * d;
    memcpy(to, page, words * 4);
    memset(to + words * 4, 0, VALUES_BYTES - words * 4);
    for (size_t j = 0; dtype == SA_BF16 && valid % 2 != 0 && j < d; j++) { /* the half of a pair */
        memcpy(to + (words + j) * 4, page + (words + j) * 4, 2);
    }
    return to;
}

/* The values of a block's page, of which `keys` of the block are somebody's; *valid: those of this page. */
static const unsigned char *values_of(sa_dtype dtype, const paged_block *block, size_t page, size_t d,
                                      size_t keys, unsigned char *copy, size_t *valid)
{
    const unsigned char *values = block->at[block->count + page];
    *valid = keys - page * SA_KV_PAGE < SA_KV_PAGE ? keys - page * SA_KV_PAGE : SA_KV_PAGE;
    bool as_it_is = *valid == SA_KV_PAGE && d % VL == 0;
    return as_it_is ? values : copy_values(dtype, values, *valid, d, copy);
}

/* out [rows, d] += p * values of the block, of which `keys` are somebody's; a few rows. */
static void multiply_values(sa_dtype dtype, const paged_block *block, size_t d, size_t keys, const float *p,
                            size_t rows, unsigned char *copy, float *out)
{
    size_t size = sa_dtype_size(dtype), vectors = (d + VL - 1) / VL, valid, part;
    for (size_t page = 0; page < block->count; page++) {
        const unsigned char *values = values_of(dtype, block, page, d, keys, copy, &valid);
        const unsigned char *weights = (const unsigned char *)p + page * SA_KV_PAGE * size;
        paged_columns b = {.stride = d * 4, .ahead = block->at[block->count + page + AHEAD]};
        for (size_t j = 0; j < vectors; j += part) {
            part = vectors - j >= TILE_VECTORS ? TILE_VECTORS : 1;
            for (size_t i = 0; i < part; i++) {
                b.at[i] = values + (j + i) * VL * 4;
            }
            rows_times_columns(dtype, rows, (int)part, tile_steps(valid, dtype), weights,
                               SCORE_LD * sizeof(float), &b, out + j * VL, MOST_HEAD_DIM);
            b.ahead += part * VL * 4 * tile_steps(SA_KV_PAGE, dtype);
        }
    }
}

/* For many rows it pays to bring a block's keys and values into panels first, once for all of them. */
SA_INLINE void pack_block(sa_dtype dtype, const paged_block *block, size_t d, size_t keys,
                          const paged_scratch *s)
{
    size_t k_steps = tile_steps(d, dtype), v_steps = attend_v_steps(KEY_BLOCK, dtype), valid;
    for (size_t j = 0; j < block->count * PAGE_VECTORS; j++) {
        const unsigned char *from = block->at[j / PAGE_VECTORS] + j % PAGE_VECTORS * VL * 4;
        const unsigned char *ahead = block->at[j / PAGE_VECTORS + 1];
        uint32_t *to = s->k + j / TILE_VECTORS * k_steps * PANEL + j % TILE_VECTORS * VL;
        for (size_t step = 0; step < k_steps; step++) {
            memcpy(to + step * PANEL, from + step * PAGE_STEP, VL * 4);
            __builtin_prefetch(ahead + step * PAGE_STEP);
        }
    }
    for (size_t page = 0; page < block->count; page++) {
        const unsigned char *values = values_of(dtype, block, page, d, keys, s->values, &valid);
        const unsigned char *ahead = block->at[block->count + page + 1];
        uint32_t *to = s->v + page * tile_steps(SA_KV_PAGE, dtype) * PANEL;
        for (size_t step = 0; step < tile_steps(valid, dtype); step++, to += PANEL) {
            for (size_t j = 0; j < d; j += VL) {
                memcpy(to + j / PANEL * v_steps * PANEL + j % PANEL, values + (step * d + j) * 4, VL * 4);
                __builtin_prefetch(ahead + (step * d + j) * 4);
            }
        }
    }
}

/* c [rows, columns] += a * panels of `steps` steps, one panel every panel_steps. */
static void multiply_panels(sa_dtype dtype, size_t columns, size_t steps, size_t panel_steps, const void *a,
                            size_t a_stride, size_t rows, const uint32_t *panels, float *c, size_t ldc)
{
    for (size_t j = 0; j < columns; j += PANEL) {
        int vectors = columns - j < PANEL ? (int)((columns - j + VL - 1) / VL) : TILE_VECTORS;
        rows_times_panel(dtype, rows, vectors, steps, a, a_stride, panels + j / PANEL * panel_steps * PANEL,
                         c + j, ldc);
    }
}

/* ---- one block of keys ---- */

/* Row `to` of `sums` += sums of later keys; nothing happens if there are none. */
static void merge_row(const paged_sums *sums, size_t to, const float *out, float peak, float total, size_t d,
                      float scale)
{
    if (total == 0.0f) { /* of any key at all it is 1 or more */
        return;
    }
    float before = sums->peak[to], after = peak > before ? peak : before;
    float keep = vf_exp2_negative(vf_set((before - after) * scale))[0];
    float take = vf_exp2_negative(vf_set((peak - after) * scale))[0];
    float *sum = sums->out + to * MOST_HEAD_DIM;
    for (size_t j = 0; j < d; j += VL) {
        vf_store(sum + j, vf_load(sum + j) * keep + vf_load(out + j) * take);
    }
    sums->peak[to] = after;
    sums->total[to] = sums->total[to] * keep + total * take;
}

/* Scores of a row that sees `seen` >= 1 of `columns` keys: what it does not see is hidden. */
static void hide_tail(float *row, size_t seen, size_t columns)
{
    for (; seen < columns && seen % VL != 0; seen++) {
        row[seen] = HIDDEN;
    }
    for (; seen < columns; seen += VL) {
        vf_store(row + seen, vf_set(HIDDEN));
    }
}

/* The farthest key that one of the rows [begin, end) sees, and one more. */
static size_t most_seen(const paged_rows *rows, size_t begin, size_t end)
{
    size_t most = 0;
    for (; begin < end; begin++) {
        most = rows->limit[begin] > most ? rows->limit[begin] : most;
    }
    return most;
}

/*
 * Rows [begin, begin + count) of a chunk, at most QUERY_BLOCK, over a block: over those of its keys that one
 * of them sees. What is hidden would add zeros (of finite values).
 */
SA_INLINE void attend_rows_to_block(sa_dtype dtype, const paged_plan *plan, const paged_scratch *s,
                                    const paged_sums *sums, const paged_rows *rows, size_t begin,
                                    size_t count, const paged_block *block, bool packed, size_t first)
{
    size_t d = plan->args->head_dim, most = most_seen(rows, begin, begin + count);
    if (most <= first) {
        return;
    }
    size_t keys = most - first < KEY_BLOCK ? most - first : KEY_BLOCK;
    size_t columns = round_up_to(keys, SA_KV_PAGE);
    float scale = LOG2_E / sqrtf((float)d), peak[QUERY_BLOCK], total[QUERY_BLOCK];
    for (size_t i = 0; i < count; i++) {
        memset(s->scores + i * SCORE_LD, 0, columns * sizeof(float));
        memset(s->part + i * MOST_HEAD_DIM, 0, round_up_to(d, VL) * sizeof(float));
    }
    const unsigned char *q = s->q + begin * d * sa_dtype_size(dtype);
    if (packed) {
        size_t steps = tile_steps(d, dtype);
        multiply_panels(dtype, columns, steps, steps, q, d * sa_dtype_size(dtype), count, s->k, s->scores,
                        SCORE_LD);
    } else { /* all rows of the run: none of the block's pages is without a key that one of them sees */
        SA_ASSERT(columns == block->count * SA_KV_PAGE);
        multiply_keys(dtype, block, d, q, count, s->scores);
    }
    for (size_t i = 0; i < count; i++) {
        size_t limit = rows->limit[begin + i];
        size_t seen = limit <= first ? 0 : limit - first < KEY_BLOCK ? limit - first : KEY_BLOCK;
        peak[i] = HIDDEN, total[i] = 0.0f;
        if (seen == 0) { /* no key at all: the softmax would make every one the largest */
            memset(s->scores + i * SCORE_LD, 0, columns * sizeof(float));
            continue;
        }
        hide_tail(s->scores + i * SCORE_LD, seen, columns);
        attend_softmax_row(dtype, s->scores + i * SCORE_LD, columns, scale, &peak[i], &total[i]);
    }
    if (packed) {
        multiply_panels(dtype, d, tile_steps(keys, dtype), attend_v_steps(KEY_BLOCK, dtype), s->scores,
                        SCORE_LD * sizeof(float), count, s->v, s->part, MOST_HEAD_DIM);
    } else {
        multiply_values(dtype, block, d, keys, s->scores, count, s->values, s->part);
    }
    for (size_t i = 0; i < count; i++) {
        merge_row(sums, begin + i, s->part + i * MOST_HEAD_DIM, peak[i], total[i], d, scale);
    }
}

/* All rows of a chunk over one block, in runs of rows whose items hold the same pages there. */
SA_INLINE void attend_block_of_chunk(sa_dtype dtype, const paged_plan *plan, paged_scratch *s,
                                     const paged_sums *sums, const paged_rows *rows, size_t head,
                                     size_t block)
{
    const sa_attention_paged_item *items = plan->args->items;
    size_t first = block * KEY_BLOCK, end = 0;
    for (size_t begin = 0; begin < rows->count; begin = end) {
        for (end = begin + 1; end < rows->count; end++) {
            if (rows->item[end] != rows->item[end - 1] &&
                items[rows->item[end]].shared < (block + 1) * PAGES) {
                break;
            }
        }
        size_t most = most_seen(rows, begin, end);
        if (most <= first) {
            continue;
        }
        paged_block pages;
        find_pages(plan->args, &items[rows->item[begin]], head, first, most, &pages);
        bool packed = end - begin > TILE_ROWS;
        if (packed) {
            pack_block(dtype, &pages, plan->args->head_dim,
                       most - first < KEY_BLOCK ? most - first : KEY_BLOCK, s);
        }
        for (size_t r = begin; r < end; r += QUERY_BLOCK) {
            size_t count = end - r < QUERY_BLOCK ? end - r : QUERY_BLOCK;
            attend_rows_to_block(dtype, plan, s, sums, rows, r, count, &pages, packed, first);
        }
    }
}

/* ---- tasks ---- */

static void clear_sums(const paged_sums *sums, size_t rows, size_t d)
{
    for (size_t r = 0; r < rows; r++) {
        memset(sums->out + r * MOST_HEAD_DIM, 0, round_up_to(d, VL) * sizeof(float));
        sums->peak[r] = HIDDEN;
        sums->total[r] = 0.0f;
    }
}

/* Element of row r in a matrix of queries or results. */
static size_t place_of(const paged_plan *plan, const paged_rows *rows, size_t r, size_t head, size_t ld)
{
    size_t row = plan->args->items[rows->item[r]].q_row + rows->query[r] / plan->group;
    return row * ld + (head * plan->group + rows->query[r] % plan->group) * plan->args->head_dim;
}

static void store_sums(const paged_plan *plan, const paged_sums *sums, const paged_rows *rows, size_t head)
{
    const sa_attention_paged_args *args = plan->args;
    for (size_t r = 0; r < rows->count; r++) {
        size_t to = place_of(plan, rows, r, head, args->ldo);
        float scale = 1.0f / sums->total[r];
        for (size_t j = 0; j < args->head_dim; j += VL) {
            vf v = vf_load(sums->out + r * MOST_HEAD_DIM + j);
            vf_store_as(args->out, args->dtype, to + j, v * scale, args->head_dim - j);
        }
    }
}

static void load_queries(const paged_plan *plan, const paged_scratch *s, const paged_rows *rows, size_t head)
{
    size_t size = sa_dtype_size(plan->args->dtype), row_bytes = plan->args->head_dim * size;
    for (size_t r = 0; r < rows->count; r++) {
        size_t from = place_of(plan, rows, r, head, plan->args->ldq) * size;
        memcpy(s->q + r * row_bytes, (const unsigned char *)plan->args->q + from, row_bytes);
    }
}

/* Blocks [begin, end) of a unit. */
static void attend_blocks(const paged_plan *plan, paged_scratch *s, const paged_sums *sums,
                          const paged_rows *rows, size_t head, size_t begin, size_t end)
{
    clear_sums(sums, rows->count, plan->args->head_dim);
    load_queries(plan, s, rows, head);
    for (size_t block = begin; block < end && block * KEY_BLOCK < rows->most; block++) {
        if (plan->args->dtype == SA_F32) {
            attend_block_of_chunk(SA_F32, plan, s, sums, rows, head, block);
        } else {
            attend_block_of_chunk(SA_BF16, plan, s, sums, rows, head, block);
        }
    }
}

static void list_unit(const paged_plan *plan, size_t unit, paged_rows *rows, size_t *head)
{
    /* The last chunks first: of a long prompt they see the most keys, and the ends of all threads meet. */
    size_t chunks = plan->units / plan->args->kv_heads;
    list_rows(plan, &plan->chunks[chunks - 1 - unit / plan->args->kv_heads], rows);
    *head = unit % plan->args->kv_heads;
}

static void unit_task(void *context, size_t unit, int worker)
{
    const paged_plan *plan = context;
    paged_scratch s = scratch_on(plan, plan->scratch + (size_t)worker * plan->thread_bytes);
    paged_rows rows;
    size_t head;
    list_unit(plan, unit, &rows, &head);
    attend_blocks(plan, &s, &s.sums, &rows, head, 0, plan->blocks);
    store_sums(plan, &s.sums, &rows, head);
}

static void block_task(void *context, size_t task, int worker)
{
    const paged_plan *plan = context;
    paged_scratch s = scratch_on(plan, plan->scratch + (size_t)worker * plan->thread_bytes);
    paged_sums sums = sums_on(plan, plan->sums + task * plan->sums_bytes);
    paged_rows rows;
    size_t head, block = task % plan->blocks;
    list_unit(plan, task / plan->blocks, &rows, &head);
    attend_blocks(plan, &s, &sums, &rows, head, block, block + 1);
}

static void merge_task(void *context, size_t unit, int worker)
{
    (void)worker;
    const paged_plan *plan = context;
    size_t d = plan->args->head_dim;
    unsigned char *memory = plan->sums + unit * plan->blocks * plan->sums_bytes;
    paged_sums sums = sums_on(plan, memory);
    paged_rows rows;
    size_t head;
    list_unit(plan, unit, &rows, &head);
    for (size_t block = 1; block < plan->blocks; block++) {
        paged_sums more = sums_on(plan, memory + block * plan->sums_bytes);
        for (size_t r = 0; r < rows.count; r++) {
            merge_row(&sums, r, more.out + r * MOST_HEAD_DIM, more.peak[r], more.total[r], d,
                      LOG2_E / sqrtf((float)d));
        }
    }
    store_sums(plan, &sums, &rows, head);
}

void SA_CPU(attention_paged)(sa_stream *stream, const sa_attention_paged_args *args);
void SA_CPU(attention_paged)(sa_stream *stream, const sa_attention_paged_args *args)
{
    SA_ASSERT(args->head_dim >= 16 && args->head_dim <= MOST_HEAD_DIM && args->head_dim % 2 == 0);
    SA_ASSERT(args->kv_heads >= 1 && args->heads >= 1 && args->heads % args->kv_heads == 0);
    SA_ASSERT(args->dtype == SA_F32 || args->dtype == SA_BF16);
    for (size_t i = 0; i < args->count; i++) {
        SA_ASSERT(args->items[i].q_count >= 1 && args->items[i].q_count <= args->items[i].k_count);
    }
    if (args->count == 0) {
        return;
    }
    paged_plan plan = plan_paged(stream, args);
    place_paged(&plan, args->workspace, (size_t)sa_pool_threads(stream->pool));
    cut_chunks(args, plan.group, plan.chunks, &plan.rows);
    if (plan.apart) {
        sa_pool_run(stream->pool, plan.units * plan.blocks, block_task, &plan);
        sa_pool_run(stream->pool, plan.units, merge_task, &plan);
    } else {
        sa_pool_run(stream->pool, plan.units, unit_task, &plan);
    }
}
