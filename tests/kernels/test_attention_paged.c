/*
 * attention_paged against the reference: item shapes, page lists in no order, what stands in unused places,
 * extreme scores; and the same bits for a query whether it is decoded alone, prefilled in pieces, in a batch,
 * with pages declared shared, or on other numbers of threads.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/fixture.h"
#include "tests/kernels/tolerances.h"
#include "tests/ref/ref_ops.h"

enum { SEED = 20261201, MOST_ITEMS = 40 };

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

typedef struct {
    size_t heads, kv_heads, head_dim;
    size_t more_q, more_out; /* elements between the end of a row and the next */
    float scale;             /* of q */
    sa_dtype dtype;
    size_t count;
    const sa_attention_paged_item *items; /* q_count, k_count and shared; the rest is filled in */
    uint64_t seed;
} paged_case;

typedef struct {
    sa_attention_paged_item items[MOST_ITEMS];
    size_t rows, pool_pages, listed, most_keys;
    operand q, k, v;
    int32_t *pages;
    float *want; /* [rows, H*d] */
    sa_attention_paged_args args;
} paged_data;

/* Places of the items' rows and lists; every page that is not shared is a new one, numbered in no order. */
static void place_items(const paged_case *c, paged_data *data)
{
    int32_t fresh = 0;
    for (size_t i = 0; i < c->count; i++) {
        sa_attention_paged_item *item = &data->items[i];
        *item = c->items[i];
        item->q_row = (uint32_t)data->rows;
        item->first_page = (uint32_t)data->listed;
        data->rows += item->q_count;
        data->listed += sa_kv_pages_for(item->k_count);
        data->most_keys = item->k_count > data->most_keys ? item->k_count : data->most_keys;
    }
    data->pages = malloc((data->listed + 1) * sizeof *data->pages);
    for (size_t i = 0; i < c->count; i++) {
        const sa_attention_paged_item *item = &data->items[i];
        for (size_t p = 0; p < sa_kv_pages_for(item->k_count); p++) {
            data->pages[item->first_page + p] =
                p < item->shared ? data->pages[data->items[i - 1].first_page + p] : fresh++;
        }
    }
    data->pool_pages = (size_t)fresh;
    for (size_t p = 0; p < data->listed; p++) { /* a permutation: 7919 is a prime */
        size_t page = (size_t)data->pages[p];
        data->pages[p] = (int32_t)(fresh % 7919 == 0 ? page : (page * 7919 + 3) % (size_t)fresh);
    }
}

/* The reference for what the operands hold now. */
static void refresh_want(paged_data *data)
{
    sa_attention_paged_args dense = data->args;
    dense.ldo = data->args.heads * data->args.head_dim;
    ref_attention_paged(&dense, data->q.value, data->k.value, data->v.value, data->want);
}

/* NaN where no item's token stands: in whole pages and in the ends of last pages. */
static void spoil_places(paged_data *data)
{
    const sa_attention_paged_args *args = &data->args;
    size_t bytes = args->head_dim * sa_dtype_size(args->dtype);
    unsigned char *used = calloc(data->pool_pages * SA_KV_PAGE + 1, 1);
    for (size_t i = 0; i < args->count; i++) {
        for (size_t t = 0; t < data->items[i].k_count; t++) {
            size_t page = (size_t)data->pages[data->items[i].first_page + t / SA_KV_PAGE];
            used[page * SA_KV_PAGE + t % SA_KV_PAGE] = 1;
        }
    }
    for (size_t at = 0; at < data->pool_pages * args->kv_heads * SA_KV_PAGE; at++) {
        size_t slot = at / (args->kv_heads * SA_KV_PAGE) * SA_KV_PAGE + at % SA_KV_PAGE;
        if (used[slot] == 0) {
            memset((unsigned char *)data->k.stored + at * bytes, 0xff, bytes);
            memset((unsigned char *)data->v.stored + at * bytes, 0xff, bytes);
        }
    }
    free(used);
}

static void make_data(const paged_case *c, paged_data *data)
{
    size_t hidden = c->heads * c->head_dim;
    *data = (paged_data){0};
    assert_true(c->count <= MOST_ITEMS);
    place_items(c, data);
    data->args = (sa_attention_paged_args){.count = c->count,
                                           .heads = c->heads,
                                           .kv_heads = c->kv_heads,
                                           .head_dim = c->head_dim,
                                           .items = data->items,
                                           .pages = data->pages,
                                           .dtype = c->dtype,
                                           .ldq = hidden + c->more_q,
                                           .ldo = hidden + c->more_out};
    size_t q_block = data->rows == 0 ? 0 : (data->rows - 1) * data->args.ldq + hidden;
    size_t pool = data->pool_pages * c->kv_heads * SA_KV_PAGE * c->head_dim;
    data->q = operand_new(c->dtype, q_block, c->scale, c->seed);
    data->k = operand_new(c->dtype, pool, 1.0f, c->seed + 1);
    data->v = operand_new(c->dtype, pool, 1.0f, c->seed + 2);
    data->args.q = data->q.stored, data->args.k_pages = data->k.stored, data->args.v_pages = data->v.stored;
    data->want = malloc((data->rows * hidden + 1) * sizeof(float));
    spoil_places(data);
    refresh_want(data);
}

static void free_data(paged_data *data)
{
    operand_free(&data->q);
    operand_free(&data->k);
    operand_free(&data->v);
    free(data->pages);
    free(data->want);
}

/* The op over `count` items; rows of other items stay as a check_buffer begins. */
static check_buffer run_items(const test_level *level, const paged_data *data,
                              const sa_attention_paged_item *items, size_t count)
{
    sa_attention_paged_args args = data->args;
    args.items = items;
    args.count = count;
    check_buffer out = check_buffer_new(data->rows * args.ldo * sa_dtype_size(args.dtype));
    check_buffer work = check_buffer_new(level->ops->attention_paged_workspace(level->stream, &args));
    size_t heads = data->pool_pages * args.kv_heads;
    size_t pool = heads * SA_KV_PAGE * args.head_dim * sa_dtype_size(args.dtype);
    void *k = malloc(pool), *v = malloc(pool); /* of exactly that size: nothing behind it may be read */
    to_pages(level, args.dtype, args.head_dim, false, heads, data->k.stored, k);
    to_pages(level, args.dtype, args.head_dim, true, heads, data->v.stored, v);
    args.k_pages = k;
    args.v_pages = v;
    args.out = out.bytes;
    args.workspace = work.bytes;
    level->ops->attention_paged(level->stream, &args);
    check_buffer_free(&work);
    free(k);
    free(v);
    return out;
}

static check_spec spec_of(const test_level *level, const paged_case *c, const paged_data *data)
{
    tolerance t = tolerance_attention_paged(c->head_dim, data->most_keys, (double)c->scale, c->dtype);
    return (check_spec){
        .label = label(level, "attention_paged %s, %zu heads on %zu of %zu, %zu items, %zu keys, q scale %g",
                       sa_dtype_name(c->dtype), c->heads, c->kv_heads, c->head_dim, c->count, data->most_keys,
                       (double)c->scale),
        .absolute = t.absolute,
        .relative = t.relative,
        .seed = c->seed,
        .rank = 2,
        .axes = {data->rows, c->heads * c->head_dim},
    };
}

static void *dense_rows(const paged_data *data, const check_buffer *out)
{
    size_t hidden = data->args.heads * data->args.head_dim;
    unsigned char *rows = malloc(data->rows * hidden * sa_dtype_size(data->args.dtype) + 1);
    gather_rows(rows, out->bytes, data->rows, hidden, data->args.ldo, data->args.dtype);
    assert_true(gaps_untouched(out->bytes, data->rows, hidden, data->args.ldo, data->args.dtype));
    return rows;
}

static void check_data(const test_levels *levels, const paged_case *c, const paged_data *data)
{
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer out = run_items(&levels->level[l], data, data->items, c->count);
        void *rows = dense_rows(data, &out);
        check_spec spec = spec_of(&levels->level[l], c, data);
        assert_true(check_close(rows, c->dtype, data->want, &spec));
        free(rows);
        check_buffer_free(&out);
    }
}

static void check_case(const test_levels *levels, const paged_case *c)
{
    paged_data data;
    make_data(c, &data);
    check_data(levels, c, &data);
    free_data(&data);
}

/* One item of every kind of length: around pages, blocks of keys and blocks of queries. */
static void check_shapes(const test_levels *levels, const sa_dtype *dtypes, size_t dtype_count)
{
    static const size_t dims[] = {16, 32, 64, 80, 128, 18, 96, 100, 34};
    static const size_t groups[][2] = {{1, 1}, {2, 1}, {4, 2}, {3, 3}, {7, 1}};
    static const uint32_t keys[] = {1, 2, 15, 16, 17, 63, 64, 65, 255, 256, 257, 300, 513};
    static const uint32_t queries[] = {1, 2, 5, 16, 49, 1000};
    for (size_t i = 0; i < 3 * COUNT(keys); i++) {
        uint32_t k_count = keys[i / 3], q_count = queries[i % COUNT(queries)];
        sa_attention_paged_item item = {.q_count = q_count < k_count ? q_count : k_count, .k_count = k_count};
        paged_case c = {.heads = groups[i % COUNT(groups)][0],
                        .kv_heads = groups[i % COUNT(groups)][1],
                        .head_dim = dims[i % COUNT(dims)],
                        .more_q = i % 3,
                        .more_out = i % 4,
                        .scale = 1.0f,
                        .dtype = dtypes[i % dtype_count],
                        .count = 1,
                        .items = &item,
                        .seed = SEED + 10 * i};
        check_case(levels, &c);
    }
}

static void test_shapes(void **state)
{
    static const sa_dtype dtypes[] = {SA_F32, SA_BF16};
    check_shapes(*state, dtypes, 2);
}

static void test_shapes_f16(void **state)
{
    static const sa_dtype dtypes[] = {SA_F16};
    skip_without_f16(*state);
    check_shapes(*state, dtypes, 1);
}

/* Decoded tokens, whole prompts, pieces of prompts, forks of a prompt and forks of forks, all in one call. */
static const sa_attention_paged_item mixed[] = {
    {.q_count = 1, .k_count = 70},
    {.q_count = 33, .k_count = 33},
    {.q_count = 1, .k_count = 530},
    {.q_count = 1, .k_count = 531, .shared = 33},
    {.q_count = 3, .k_count = 540, .shared = 33},
    {.q_count = 1, .k_count = 529, .shared = 20},
    {.q_count = 20, .k_count = 300, .shared = 16},
    {.q_count = 1, .k_count = 1},
    {.q_count = 1, .k_count = 256},
    {.q_count = 1, .k_count = 256, .shared = 16},
    {.q_count = 1, .k_count = 255, .shared = 15},
    {.q_count = 1, .k_count = 300, .shared = 3},
};

static void check_mixed(const test_levels *levels, sa_dtype dtype)
{
    paged_case c = {.heads = 4,
                    .kv_heads = 2,
                    .head_dim = 32,
                    .more_q = 8,
                    .more_out = 3,
                    .scale = 1.0f,
                    .dtype = dtype,
                    .count = COUNT(mixed),
                    .items = mixed,
                    .seed = SEED + 2000};
    check_case(levels, &c);
    c.count = 0;
    check_case(levels, &c);
}

static void test_mixed_items(void **state)
{
    check_mixed(*state, SA_F32);
    check_mixed(*state, SA_BF16);
}

static void test_mixed_items_f16(void **state)
{
    skip_without_f16(*state);
    check_mixed(*state, SA_F16);
}

/* Scores of hundreds: without the subtraction of the peak everything would be infinite. */
static void test_large_scores(void **state)
{
    sa_attention_paged_item item = {.q_count = 5, .k_count = 600};
    for (int i = 0; i < 6; i++) {
        paged_case c = {.heads = 2,
                        .kv_heads = 2,
                        .head_dim = 32,
                        .scale = i / 2 == 0   ? 0.0f
                                 : i / 2 == 1 ? 30.0f
                                              : 1000.0f,
                        .dtype = i % 2 == 0 ? SA_F32 : SA_BF16,
                        .count = 1,
                        .items = &item,
                        .seed = SEED + 3000};
        check_case(*state, &c);
    }
}

static void store_values(operand *o, sa_dtype dtype, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (dtype == SA_F32) {
            ((float *)o->stored)[i] = o->value[i];
        } else {
            ((sa_bf16 *)o->stored)[i] = sa_bf16_from_f32(o->value[i]);
        }
    }
}

/* Scores that grow, or fall, from one block of keys to the next by more than an exponential can say. */
static void test_scores_that_drift(void **state)
{
    enum { KEYS = 720, D = 16 };
    sa_attention_paged_item item = {.q_count = 3, .k_count = KEYS};
    for (int i = 0; i < 4; i++) {
        paged_case c = {.heads = 1,
                        .kv_heads = 1,
                        .head_dim = D,
                        .scale = 1.0f,
                        .dtype = i % 2 == 0 ? SA_F32 : SA_BF16,
                        .count = 1,
                        .items = &item,
                        .seed = SEED + 4000};
        paged_data data;
        make_data(&c, &data);
        for (size_t j = 0; j < 3 * D; j++) {
            data.q.value[j] = 0.5f;
        }
        for (size_t t = 0; t < KEYS; t++) { /* exact in bf16 */
            size_t row = (size_t)data.pages[t / SA_KV_PAGE] * SA_KV_PAGE + t % SA_KV_PAGE;
            for (size_t j = 0; j < D; j++) {
                data.k.value[row * D + j] = (float)(i < 2 ? t / 8 : (KEYS - t) / 8);
            }
        }
        store_values(&data.q, c.dtype, 3 * D);
        store_values(&data.k, c.dtype, KEYS * D);
        refresh_want(&data);
        c.scale = 50.0f; /* scores of up to 4 * 0.5 * 90 */
        check_data(*state, &c, &data);
        free_data(&data);
    }
}

/* ---- the same bits ---- */

enum { SEQUENCE = 545 };

static void assert_rows_equal(const paged_data *data, const check_buffer *got, const check_buffer *want,
                              size_t first, size_t count)
{
    size_t bytes = data->args.ldo * sa_dtype_size(data->args.dtype);
    assert_memory_equal(got->bytes + first * bytes, want->bytes + first * bytes, count * bytes);
}

/* Queries [first, first + count) of the one sequence of `data`, by themselves. */
static sa_attention_paged_item piece_of(size_t first, size_t count)
{
    return (sa_attention_paged_item){
        .q_row = (uint32_t)first, .q_count = (uint32_t)count, .k_count = (uint32_t)(first + count)};
}

static void check_pieces(const test_level *level, const paged_data *data)
{
    static const size_t pieces[][2] = {{0, 1},    {0, 255}, {1, 1},    {15, 1},  {16, 1},    {17, 239},
                                       {255, 1},  {256, 1}, {257, 30}, {300, 2}, {400, 100}, {511, 1},
                                       {512, 33}, {511, 2}, {520, 7},  {544, 1}};
    check_buffer whole = run_items(level, data, data->items, 1);
    sa_attention_paged_item all[COUNT(pieces)];
    for (size_t i = 0; i < COUNT(pieces); i++) {
        all[i] = piece_of(pieces[i][0], pieces[i][1]);
        check_buffer out = run_items(level, data, &all[i], 1);
        assert_rows_equal(data, &out, &whole, pieces[i][0], pieces[i][1]);
        check_buffer_free(&out);
    }
    /* Single tokens of one sequence at once, which share all the pages that they both have. */
    for (size_t i = 0; i < COUNT(pieces); i++) {
        size_t at = i * 36;
        all[i] = piece_of(at, 1);
        all[i].shared = (uint32_t)(i == 0 ? 0 : sa_kv_pages_for(at - 35));
    }
    check_buffer out = run_items(level, data, all, COUNT(pieces));
    for (size_t i = 0; i < COUNT(pieces); i++) {
        assert_rows_equal(data, &out, &whole, i * 36, 1);
    }
    check_buffer_free(&out);
    check_buffer_free(&whole);
}

static void test_decoded_or_prefilled(void **state)
{
    const test_levels *levels = *state;
    sa_attention_paged_item item = {.q_count = SEQUENCE, .k_count = SEQUENCE};
    for (int i = 0; i < 2; i++) {
        paged_case c = {.heads = 3,
                        .kv_heads = 1,
                        .head_dim = 32,
                        .scale = 1.0f,
                        .dtype = i == 0 ? SA_F32 : SA_BF16,
                        .count = 1,
                        .items = &item,
                        .seed = SEED + 5000};
        paged_data data;
        make_data(&c, &data);
        for (size_t l = 0; l < levels->count; l++) {
            check_pieces(&levels->level[l], &data);
        }
        free_data(&data);
    }
}

/* Each item alone, all with nothing declared shared, and all in turn, give the bits of the whole batch. */
static void check_batches(const test_level *level, const paged_case *c, const paged_data *data,
                          const check_buffer *all)
{
    sa_attention_paged_item apart[MOST_ITEMS];
    for (size_t i = 0; i < c->count; i++) {
        apart[i] = data->items[i];
        apart[i].shared = 0;
        check_buffer one = run_items(level, data, &apart[i], 1);
        assert_rows_equal(data, &one, all, apart[i].q_row, apart[i].q_count);
        check_buffer_free(&one);
    }
    check_buffer out = run_items(level, data, apart, c->count);
    assert_memory_equal(out.bytes, all->bytes, all->size);
    check_buffer_free(&out);
    for (size_t i = 0; i < c->count / 2; i++) {
        sa_attention_paged_item other = apart[i];
        apart[i] = apart[c->count - 1 - i];
        apart[c->count - 1 - i] = other;
    }
    out = run_items(level, data, apart, c->count);
    assert_memory_equal(out.bytes, all->bytes, all->size);
    check_buffer_free(&out);
}

static void check_invariance(const paged_case *c)
{
    static const int threads[] = {1, 2, 3, 8};
    paged_data data;
    check_buffer first[SA_CPU_LEVELS] = {{0}};
    make_data(c, &data);
    for (size_t t = 0; t < COUNT(threads); t++) {
        test_levels levels = levels_open(threads[t]);
        for (size_t l = 0; l < levels.count; l++) {
            check_buffer all = run_items(&levels.level[l], &data, data.items, c->count);
            first[l] = t == 0 ? all : first[l];
            assert_memory_equal(all.bytes, first[l].bytes, all.size);
            check_batches(&levels.level[l], c, &data, &first[l]);
            if (t != 0) {
                check_buffer_free(&all);
            }
        }
        levels_close(&levels);
    }
    for (size_t l = 0; l < SA_CPU_LEVELS && first[l].bytes != NULL; l++) {
        check_buffer_free(&first[l]);
    }
    free_data(&data);
}

static void test_batch_and_thread_invariance(void **state)
{
    (void)state;
    paged_case c = {.heads = 4,
                    .kv_heads = 2,
                    .head_dim = 32,
                    .scale = 1.0f,
                    .count = COUNT(mixed),
                    .items = mixed,
                    .seed = SEED + 6000};
    check_invariance(&c);
    c.dtype = SA_BF16;
    check_invariance(&c);
}

/*
 * As many forks of one prompt as there is room for, with as much of their own as they share; the values of
 * one fork's own last page are NaN, and the others' results do not show it.
 */
static void check_forks(const test_levels *levels, size_t heads, size_t head_dim)
{
    enum { KEYS = 250, SHARED = 8, SICK = 11 };
    sa_attention_paged_item forks[MOST_ITEMS];
    for (uint32_t i = 0; i < MOST_ITEMS; i++) {
        forks[i] = (sa_attention_paged_item){
            .q_count = 1 + i % 2, .k_count = KEYS - 5 * (i % 7), .shared = i > 0 ? SHARED : 0};
    }
    paged_case c = {.heads = heads,
                    .kv_heads = 1,
                    .head_dim = head_dim,
                    .scale = 1.0f,
                    .dtype = SA_BF16,
                    .count = MOST_ITEMS,
                    .items = forks,
                    .seed = SEED + 6500};
    paged_data data;
    make_data(&c, &data);
    check_data(levels, &c, &data);
    const sa_attention_paged_item *sick = &data.items[SICK];
    size_t page = (size_t)data.pages[sick->first_page + (sick->k_count - 1) / SA_KV_PAGE];
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer well = run_items(&levels->level[l], &data, data.items, c.count);
        unsigned char *values =
            (unsigned char *)data.v.stored + page * SA_KV_PAGE * head_dim * sizeof(sa_bf16);
        unsigned char before[SA_KV_PAGE * 128 * sizeof(sa_bf16)];
        memcpy(before, values, SA_KV_PAGE * head_dim * sizeof(sa_bf16));
        memset(values, 0xff, SA_KV_PAGE * head_dim * sizeof(sa_bf16));
        check_buffer out = run_items(&levels->level[l], &data, data.items, c.count);
        memcpy(values, before, SA_KV_PAGE * head_dim * sizeof(sa_bf16));
        assert_rows_equal(&data, &out, &well, 0, sick->q_row);
        size_t next = sick->q_row + sick->q_count;
        assert_rows_equal(&data, &out, &well, next, data.rows - next);
        check_buffer_free(&out);
        check_buffer_free(&well);
    }
    free_data(&data);
}

static void test_forks_apart(void **state)
{
    check_forks(*state, 1, 128);
    check_forks(*state, 3, 32);
}

/* ---- long ---- */

/* More pages than any list of a block holds, and queries enough for two blocks of them. */
static void test_long_sequence(void **state)
{
    sa_attention_paged_item item = {.q_count = 66, .k_count = 8300};
    for (int i = 0; i < 2; i++) {
        paged_case c = {.heads = 1,
                        .kv_heads = 1,
                        .head_dim = 16,
                        .scale = 1.0f,
                        .dtype = i == 0 ? SA_F32 : SA_BF16,
                        .count = 1,
                        .items = &item,
                        .seed = SEED + 6600};
        check_case(*state, &c);
    }
}

/* ---- faults ---- */

/* A key too many; two pages in each other's place; a NaN. */
static void plant_faults(const test_level *level, const paged_case *c)
{
    paged_data data;
    make_data(c, &data);
    check_buffer out = run_items(level, &data, data.items, c->count);
    void *rows = dense_rows(&data, &out);
    check_spec spec = spec_of(level, c, &data);
    assert_true(check_close(rows, c->dtype, data.want, &spec));
    data.items[0].k_count++; /* all queries see a key more */
    refresh_want(&data);
    assert_seen(rows, c->dtype, data.want, spec);
    data.items[0].k_count--;
    int32_t page = data.pages[0];
    data.pages[0] = data.pages[1], data.pages[1] = page;
    refresh_want(&data);
    assert_seen(rows, c->dtype, data.want, spec);
    data.pages[1] = data.pages[0], data.pages[0] = page;
    refresh_want(&data);
    memset(rows, 0xff, sa_dtype_size(c->dtype));
    assert_seen(rows, c->dtype, data.want, spec);
    free(rows);
    check_buffer_free(&out);
    free_data(&data);
}

static void test_planted_faults(void **state)
{
    const test_level *level = &((const test_levels *)*state)->level[0];
    sa_attention_paged_item item = {.q_count = 4, .k_count = 30};
    paged_case c = {.heads = 2,
                    .kv_heads = 1,
                    .head_dim = 16,
                    .scale = 1.0f,
                    .count = 1,
                    .items = &item,
                    .seed = SEED + 7000};
    plant_faults(level, &c);
    c.dtype = SA_BF16;
    plant_faults(level, &c);
}

/* ---- workspace ---- */

/* A batch of random items: at most `count`, `queries` in all, and `keys` of each. */
static size_t random_items(sa_attention_paged_item *items, size_t count, size_t queries, size_t keys,
                           uint64_t seed)
{
    size_t made = 1 + pick(seed, 0, count);
    for (size_t i = 0; i < made; i++) {
        size_t most = queries - (made - 1 - i); /* the others need one each */
        size_t q = i % 3 == 2 ? 1 : 1 + pick(seed, 2 * i + 1, most < keys ? most : keys);
        size_t k = q + pick(seed, 2 * i + 2, keys - q + 1);
        items[i] = (sa_attention_paged_item){.q_count = (uint32_t)q, .k_count = (uint32_t)k};
        items[i].shared = i > 0 && pick(seed, 3 * i, 2) == 0 ? (uint32_t)(k / SA_KV_PAGE) : 0;
        queries -= q;
    }
    return made;
}

/* What the largest batch asks for is enough for any that is smaller in items, queries and keys. */
static void check_workspace(const test_level *level, void *context)
{
    (void)context;
    enum { QUERIES = 600, KEYS = 3000 };
    static const size_t heads[][3] = {{32, 32, 128}, {14, 2, 64}, {8, 1, 32}, {9, 3, 64}};
    sa_attention_paged_item items[MOST_ITEMS];
    for (uint64_t seed = 0; seed < 400; seed++) {
        const size_t *h = heads[seed % COUNT(heads)];
        size_t count = 1 + pick(seed, 90, MOST_ITEMS);
        for (size_t i = 0; i < count; i++) {
            uint32_t queries = i == 0 ? (uint32_t)(QUERIES - count + 1) : 1;
            items[i] = (sa_attention_paged_item){.q_count = queries, .k_count = KEYS};
        }
        sa_attention_paged_args args = {.count = count,
                                        .heads = h[0],
                                        .kv_heads = h[1],
                                        .head_dim = h[2],
                                        .items = items,
                                        .dtype = seed % 2 == 0 ? SA_F32 : SA_BF16};
        size_t largest = level->ops->attention_paged_workspace(level->stream, &args);
        args.count = random_items(items, count, QUERIES, KEYS, seed);
        size_t smaller = level->ops->attention_paged_workspace(level->stream, &args);
        if (smaller > largest) {
            fail_msg("%s: seed %d: a smaller batch needs %zu bytes, the largest %zu", level->name, (int)seed,
                     smaller, largest);
        }
    }
}

static void test_workspace(void **state)
{
    on_levels(*state, check_workspace, NULL);
    test_levels many = levels_open(7);
    on_levels(&many, check_workspace, NULL);
    levels_close(&many);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_shapes_f16),
        cmocka_unit_test(test_mixed_items),
        cmocka_unit_test(test_mixed_items_f16),
        cmocka_unit_test(test_large_scores),
        cmocka_unit_test(test_scores_that_drift),
        cmocka_unit_test(test_decoded_or_prefilled),
        cmocka_unit_test(test_batch_and_thread_invariance),
        cmocka_unit_test(test_workspace),
        cmocka_unit_test(test_forks_apart),
        cmocka_unit_test(test_long_sequence),
        cmocka_unit_test(test_planted_faults),
    };
    return cmocka_run_group_tests(tests, levels_setup, levels_teardown);
}
