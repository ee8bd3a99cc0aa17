/*
 * attention_paged on the CPU. Contract in kernels.h.
 *
 *   items -> chunks of rows -> [ pages -> packed block -> scores -> softmax -> p*v -> merge ] x blocks -> out
 *
 * A row is one query of one head; a chunk is a run of rows of one item, or of small items that share pages. A
 * task is a chunk and a head of keys: for each block of KEY_BLOCK keys, counted from key 0, it packs the
 * block's keys and values once for all its rows. A block's softmax is a thing of its own, and the blocks'
 * results are merged in their order. So a row's bits depend on its own keys alone, and blocks may as well be
 * computed apart: that is done where chunks and heads are too few for the threads.
 */
#include <stdbool.h>

#include "kernels/cpu/ops/attend.h"

enum {
    CHUNK_ROWS = 240,               /* rows that share the work of packing: 5 query blocks */
    PAGES = KEY_BLOCK / SA_KV_PAGE, /* of a block */
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
    uint32_t *k, *v;  /* the packed block */
    float *scores;    /* [QUERY_BLOCK, SCORE_LD] */
    float *part;      /* [QUERY_BLOCK, MOST_HEAD_DIM]: p*v of one block */
    paged_sums sums;  /* [CHUNK_ROWS] */
    unsigned char *q; /* [CHUNK_ROWS, head_dim] */
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
    return plan->k_bytes + plan->v_bytes + round_up_to(floats * sizeof(float), 256) + plan->sums_bytes;
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
    paged_scratch s = {.k = (uint32_t *)(void *)memory, .v = (uint32_t *)(void *)(memory + plan->k_bytes)};
    s.scores = (float *)(void *)(memory + plan->k_bytes + plan->v_bytes);
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

/* ---- packing pages ---- */

#if VL == 16
#define INTERLEAVE_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define INTERLEAVE_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
enum { INTERLEAVES = 4 };
#elif VL == 8
#define INTERLEAVE_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define INTERLEAVE_HIGH 4, 12, 5, 13, 6, 14, 7, 15
enum { INTERLEAVES = 3 };
#else
#define INTERLEAVE_LOW 0, 4, 1, 5
#define INTERLEAVE_HIGH 2, 6, 3, 7
enum { INTERLEAVES = 2 };
#endif

/*
 * VL x VL words turned: to[i * PANEL + j] = word i of row j; `ahead` is fetched likewise. Each round takes
 * the top bit of the lane's number to the bottom of the row's, and the other way round; after log2(VL) rounds
 * they have changed places.
 */
SA_INLINE void turn_words(uint32_t *to, const unsigned char *from, const unsigned char *ahead,
                          size_t row_bytes)
{
    vu row[VL], next[VL];
#pragma GCC unroll 16
    for (size_t i = 0; i < VL; i++) {
        memcpy(&row[i], from + i * row_bytes, sizeof row[i]);
        __builtin_prefetch(ahead + i * row_bytes);
    }
#pragma GCC unroll 4
    for (int round = 0; round < INTERLEAVES; round++) {
#pragma GCC unroll 8
        for (size_t i = 0; i < VL / 2; i++) {
            next[2 * i] = __builtin_shufflevector(row[i], row[i + VL / 2], INTERLEAVE_LOW);
            next[2 * i + 1] = __builtin_shufflevector(row[i], row[i + VL / 2], INTERLEAVE_HIGH);
        }
#pragma GCC unroll 16
        for (size_t i = 0; i < VL; i++) {
            row[i] = next[i];
        }
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < VL; i++) {
        memcpy(to + i * PANEL, &row[i], sizeof row[i]);
    }
}

/* Keys [first, first + SA_KV_PAGE) of a block, from a page's head [SA_KV_PAGE, head_dim]. */
SA_INLINE void pack_key_page(uint32_t *k, size_t first, const unsigned char *page, const unsigned char *ahead,
                             size_t words)
{
    for (size_t j = 0; j < SA_KV_PAGE; j += VL) {
        uint32_t *to = k + (first + j) / PANEL * words * PANEL + (first + j) % PANEL;
        size_t step = 0, from = j * words * 4;
        for (; step + VL <= words; step += VL) {
            turn_words(to + step * PANEL, page + from + step * 4, ahead + from + step * 4, words * 4);
        }
        for (; step < words; step++) {
            for (size_t i = 0; i < VL; i++) {
                memcpy(&to[step * PANEL + i], page + from + (i * words + step) * 4, 4);
            }
        }
    }
}

/*
 * Columns of values in bf16 are taken two words of VL at a time, and each such group comes out as its even
 * columns and then its odd ones: that is what pairs of keys are cheap in. store_sums() puts them in order.
 */
SA_INLINE bool in_group(sa_dtype dtype, size_t column, size_t head_dim)
{
    return dtype == SA_BF16 && column / (2 * VL) < head_dim / (2 * VL);
}

/* One step, a pair of keys, of a group: the words of both are taken apart and put together by columns. */
SA_INLINE void pair_words(uint32_t *to, const unsigned char *low, const unsigned char *high)
{
    vu a, b;
    memcpy(&a, low, sizeof a);
    memcpy(&b, high, sizeof b);
    vu even = (a & 0xffffu) | b << 16, odd = a >> 16 | (b & 0xffff0000u);
    memcpy(to, &even, sizeof even);
    memcpy(to + VL, &odd, sizeof odd);
}

/*
 * The `valid` values of a page, from key `first` of the block on, as steps of the panels over head_dim. What
 * else stands in the page becomes zero: it may be anything, and its p of 0 would not silence a NaN.
 */
SA_INLINE void pack_value_page(sa_dtype dtype, uint32_t *v, size_t first, const unsigned char *page,
                               const unsigned char *ahead, size_t valid, size_t head_dim)
{
    static const unsigned char zeros[MOST_HEAD_DIM * sizeof(float)];
    size_t per_step = dtype == SA_F32 ? 1 : 2, steps = attend_v_steps(KEY_BLOCK, dtype);
    size_t row_bytes = head_dim * sa_dtype_size(dtype);
    for (size_t key = 0; key < SA_KV_PAGE; key += per_step) {
        const unsigned char *low = key < valid ? page + key * row_bytes : zeros;
        const unsigned char *high = key + 1 < valid ? page + (key + 1) * row_bytes : zeros;
        uint32_t *to = v + (first + key) / per_step * PANEL;
        for (size_t j = 0; j < per_step * row_bytes; j += CACHE_LINE) {
            __builtin_prefetch(ahead + key * row_bytes + j);
        }
        for (size_t j = 0; j < head_dim;) {
            uint32_t *at = to + j / PANEL * steps * PANEL + j % PANEL;
            if (in_group(dtype, j, head_dim)) {
                pair_words(at, low + j * 2, high + j * 2);
                j += 2 * VL;
                continue;
            }
            vf word = vf_load_as(low, dtype, j, head_dim - j);
            if (dtype == SA_BF16) {
                word = (vf)((vu)word >> 16 | (vu)vf_load_as(high, dtype, j, head_dim - j));
            }
            memcpy(at, &word, sizeof word);
            j += VL;
        }
    }
}

/* The block from key `first` on, of an item of which `most` keys are somebody's. */
SA_INLINE void pack_block(sa_dtype dtype, const sa_attention_paged_args *args, paged_scratch *s,
                          const sa_attention_paged_item *item, size_t head, size_t first, size_t most)
{
    size_t d = args->head_dim, head_bytes = SA_KV_PAGE * d * sa_dtype_size(dtype);
    const unsigned char *k = args->k_pages, *v = args->v_pages;
    const int32_t *pages = args->pages + item->first_page;
    size_t end = first + KEY_BLOCK < most ? first + KEY_BLOCK : most, last = (most - 1) / SA_KV_PAGE;
    for (size_t j = first; j < end; j += SA_KV_PAGE) {
        size_t page = j / SA_KV_PAGE, next = page < last ? page + 1 : page;
        size_t at = ((size_t)pages[page] * args->kv_heads + head) * head_bytes;
        size_t ahead = ((size_t)pages[next] * args->kv_heads + head) * head_bytes;
        pack_key_page(s->k, j - first, k + at, k + ahead, tile_steps(d, dtype));
        pack_value_page(dtype, s->v, j - first, v + at, v + ahead, most - j, d);
    }
}

/* ---- one block of keys ---- */

/* tile_rows by itself: inlined into its callers, gcc has no registers left for its sums. */
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

/* Rows [begin, begin + count) of a chunk, at most QUERY_BLOCK, over the packed block. */
SA_INLINE void attend_rows_to_block(sa_dtype dtype, const paged_plan *plan, const paged_scratch *s,
                                    const paged_sums *sums, const paged_rows *rows, size_t begin,
                                    size_t count, size_t first)
{
    size_t d = plan->args->head_dim, keys = 0, k_steps = tile_steps(d, dtype);
    float scale = LOG2_E / sqrtf((float)d);
    size_t seen[QUERY_BLOCK];
    for (size_t i = 0; i < count; i++) {
        size_t limit = rows->limit[begin + i];
        seen[i] = limit <= first ? 0 : limit - first < KEY_BLOCK ? limit - first : KEY_BLOCK;
        keys = seen[i] > keys ? seen[i] : keys;
    }
    size_t columns = round_up_to(keys, VL), row_bytes = d * sa_dtype_size(dtype);
    memset(s->scores, 0, count * SCORE_LD * sizeof(float));
    memset(s->part, 0, count * MOST_HEAD_DIM * sizeof(float));
    for (size_t j = 0; j < columns; j += PANEL) {
        int vectors = columns - j < PANEL ? (int)((columns - j) / VL) : TILE_VECTORS;
        rows_times_panel(dtype, count, vectors, k_steps, s->q + begin * row_bytes, row_bytes,
                         s->k + j / PANEL * k_steps * PANEL, s->scores + j, SCORE_LD);
    }
    float peak[QUERY_BLOCK], total[QUERY_BLOCK];
    for (size_t i = 0; i < count; i++) {
        peak[i] = HIDDEN, total[i] = 0.0f;
        if (seen[i] == 0) { /* no key at all: the softmax would make every one the largest */
            memset(s->scores + i * SCORE_LD, 0, columns * sizeof(float));
            continue;
        }
        hide_tail(s->scores + i * SCORE_LD, seen[i], columns);
        attend_softmax_row(dtype, s->scores + i * SCORE_LD, columns, scale, &peak[i], &total[i]);
    }
    size_t v_steps = attend_v_steps(KEY_BLOCK, dtype);
    for (size_t j = 0; j < d; j += PANEL) {
        int vectors = d - j < PANEL ? (int)((d - j + VL - 1) / VL) : TILE_VECTORS;
        rows_times_panel(dtype, count, vectors, tile_steps(keys, dtype), s->scores, SCORE_LD * sizeof(float),
                         s->v + j / PANEL * v_steps * PANEL, s->part + j, MOST_HEAD_DIM);
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
        size_t most = 0;
        for (end = begin; end < rows->count; end++) {
            if (end > begin && rows->item[end] != rows->item[end - 1] &&
                items[rows->item[end]].shared < (block + 1) * PAGES) {
                break;
            }
            most = rows->limit[end] > most ? rows->limit[end] : most;
        }
        if (most <= first) {
            continue;
        }
        pack_block(dtype, plan->args, s, &items[rows->item[begin]], head, first, most);
        for (size_t r = begin; r < end; r += QUERY_BLOCK) {
            size_t count = end - r < QUERY_BLOCK ? end - r : QUERY_BLOCK;
            attend_rows_to_block(dtype, plan, s, sums, rows, r, count, first);
        }
    }
}

/* ---- tasks ---- */

static void clear_sums(const paged_sums *sums, size_t rows)
{
    memset(sums->out, 0, rows * MOST_HEAD_DIM * sizeof(float));
    for (size_t r = 0; r < rows; r++) {
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

/* Columns j and on of a row, one vector of them; in a group that is half of two, in order. */
static vf ordered_sums(const float *out, size_t j, bool grouped)
{
    if (!grouped) {
        return vf_load(out + j);
    }
    size_t group = j / (2 * VL) * 2 * VL;
    vf even = vf_load(out + group), odd = vf_load(out + group + VL);
    return j == group ? __builtin_shufflevector(even, odd, INTERLEAVE_LOW)
                      : __builtin_shufflevector(even, odd, INTERLEAVE_HIGH);
}

static void store_sums(const paged_plan *plan, const paged_sums *sums, const paged_rows *rows, size_t head)
{
    const sa_attention_paged_args *args = plan->args;
    for (size_t r = 0; r < rows->count; r++) {
        size_t to = place_of(plan, rows, r, head, args->ldo);
        float scale = 1.0f / sums->total[r];
        for (size_t j = 0; j < args->head_dim; j += VL) {
            vf v = ordered_sums(sums->out + r * MOST_HEAD_DIM, j, in_group(args->dtype, j, args->head_dim));
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
    clear_sums(sums, rows->count);
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
