/*
 * attention (ragged batches) against the reference: item shapes, shared rows, extreme scores, bit-for-bit
 * invariance.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/fixture.h"
#include "tests/kernels/tolerances.h"
#include "tests/ref/ref_ops.h"

enum { SEED = 20240604 };

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

typedef struct {
    size_t heads, head_dim;
    size_t more_q, more_k, more_v, more_out; /* elements between the end of a row and the next */
    float scale;                             /* of q */
    sa_dtype dtype;
    size_t count;
    const sa_attention_item *items;
    uint64_t seed;
} ragged_case;

typedef struct {
    operand q, k, v;
    size_t q_rows, k_rows, out_rows, most_keys;
    float *want; /* [out_rows, H*d] */
    sa_attention_args args;
} ragged_data;

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t block_of(size_t rows, size_t ld, size_t columns)
{
    return rows == 0 ? 0 : (rows - 1) * ld + columns; /* the last row ends with its columns */
}

/* The reference for what the operands hold now. Rows that no item writes stay as check_buffers begin. */
static void refresh_want(ragged_data *data)
{
    sa_attention_args dense = data->args;
    dense.ldo = data->args.heads * data->args.head_dim;
    ref_attention(&dense, data->q.value, data->k.value, data->v.value, data->want);
}

static ragged_data make_data(const ragged_case *c)
{
    ragged_data data = {0};
    size_t hidden = c->heads * c->head_dim;
    for (size_t i = 0; i < c->count; i++) {
        const sa_attention_item *item = &c->items[i];
        data.q_rows = larger(data.q_rows, item->q_row + item->q_count);
        data.k_rows = larger(data.k_rows, item->k_row + item->k_count);
        data.out_rows = larger(data.out_rows, item->out_row + item->q_count);
        data.most_keys = larger(data.most_keys, item->k_count);
    }
    data.args = (sa_attention_args){
        .count = c->count,
        .heads = c->heads,
        .head_dim = c->head_dim,
        .items = c->items,
        .dtype = c->dtype,
        .ldq = hidden + c->more_q,
        .ldk = hidden + c->more_k,
        .ldv = hidden + c->more_v,
        .ldo = hidden + c->more_out,
    };
    data.q = operand_new(c->dtype, block_of(data.q_rows, data.args.ldq, hidden), c->scale, c->seed);
    data.k = operand_new(c->dtype, block_of(data.k_rows, data.args.ldk, hidden), 1.0f, c->seed + 1);
    data.v = operand_new(c->dtype, block_of(data.k_rows, data.args.ldv, hidden), 1.0f, c->seed + 2);
    data.args.q = data.q.stored, data.args.k = data.k.stored, data.args.v = data.v.stored;
    data.want = malloc((data.out_rows * hidden + 1) * sizeof(float));
    memset(data.want, 0, data.out_rows * hidden * sizeof(float));
    refresh_want(&data);
    return data;
}

static void free_data(ragged_data *data)
{
    operand_free(&data->q);
    operand_free(&data->k);
    operand_free(&data->v);
    free(data->want);
}

static check_buffer run_attention(const test_level *level, const ragged_data *data)
{
    sa_attention_args args = data->args;
    check_buffer out = check_buffer_new(data->out_rows * args.ldo * sa_dtype_size(args.dtype));
    check_buffer work = check_buffer_new(level->ops->attention_workspace(level->stream, &args));
    args.out = out.bytes;
    args.workspace = work.bytes;
    level->ops->attention(level->stream, &args);
    check_buffer_free(&work);
    return out;
}

static check_spec spec_of(const test_level *level, const ragged_case *c, const ragged_data *data)
{
    tolerance t = tolerance_attention(c->head_dim, data->most_keys, (double)c->scale, c->dtype);
    return (check_spec){
        .label = label(level, "attention %s, %zu heads of %zu, %zu items, %zu keys, q scale %g",
                       sa_dtype_name(c->dtype), c->heads, c->head_dim, c->count, data->most_keys,
                       (double)c->scale),
        .absolute = t.absolute,
        .relative = t.relative,
        .seed = c->seed,
        .rank = 2,
        .axes = {data->out_rows, c->heads * c->head_dim},
    };
}

/* Zeros where no item writes: the op must have left 0xEE there, which is checked here and then taken out. */
static void blank_unowned(const ragged_data *data, unsigned char *rows)
{
    size_t bytes = data->args.heads * data->args.head_dim * sa_dtype_size(data->args.dtype);
    for (size_t r = 0; r < data->out_rows; r++) {
        bool owned = false;
        for (size_t i = 0; i < data->args.count; i++) {
            const sa_attention_item *item = &data->args.items[i];
            owned = owned || (r >= item->out_row && r < item->out_row + item->q_count);
        }
        for (size_t b = 0; b < bytes && !owned; b++) {
            assert_int_equal(rows[r * bytes + b], 0xEE);
            rows[r * bytes + b] = 0;
        }
    }
}

static void *dense_rows(const ragged_data *data, const check_buffer *out)
{
    size_t hidden = data->args.heads * data->args.head_dim;
    unsigned char *rows = malloc(data->out_rows * hidden * sa_dtype_size(data->args.dtype) + 1);
    gather_rows(rows, out->bytes, data->out_rows, hidden, data->args.ldo, data->args.dtype);
    assert_true(gaps_untouched(out->bytes, data->out_rows, hidden, data->args.ldo, data->args.dtype));
    blank_unowned(data, rows);
    return rows;
}

static void check_data(const test_levels *levels, const ragged_case *c, const ragged_data *data)
{
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer out = run_attention(&levels->level[l], data);
        void *rows = dense_rows(data, &out);
        check_spec spec = spec_of(&levels->level[l], c, data);
        assert_true(check_close(rows, c->dtype, data->want, &spec));
        free(rows);
        check_buffer_free(&out);
    }
}

static void check_case(const test_levels *levels, const ragged_case *c)
{
    ragged_data data = make_data(c);
    check_data(levels, c, &data);
    free_data(&data);
}

static void test_shapes(void **state)
{
    static const size_t dims[] = {16, 32, 64, 80, 128, 2, 6, 18, 1, 3, 17};
    static const size_t queries[] = {1, 5, 6, 7, 47, 48, 49, 97};
    static const size_t keys[] = {1,  2,  3,  4,   5,   7,   8,   9,   15,  16, 17,
                                  63, 64, 65, 127, 129, 255, 256, 257, 300, 513};
    for (size_t i = 0; i < 4 * COUNT(keys); i++) {
        sa_attention_item item = {.q_count = (uint32_t)queries[i % COUNT(queries)],
                                  .k_count = (uint32_t)keys[i / 4]};
        ragged_case c = {.heads = 1 + i % 3,
                         .head_dim = dims[i % COUNT(dims)],
                         .scale = 1.0f,
                         .count = 1,
                         .items = &item,
                         .seed = SEED + 10 * i,
                         .more_q = i % 2,
                         .more_k = i % 3,
                         .more_v = i % 5,
                         .more_out = i % 4,
                         .dtype = i % 2 == 0 ? SA_BF16 : SA_F32};
        c.head_dim += c.dtype == SA_BF16 ? c.head_dim % 2 : 0;
        check_case(*state, &c);
    }
}

/*
 * Items that share keys, that read the same queries, of every length, written elsewhere than read; gaps
 * between.
 */
static const sa_attention_item mixed[] = {
    {.q_row = 0, .q_count = 7, .k_row = 0, .k_count = 7, .out_row = 60},
    {.q_row = 0, .q_count = 7, .k_row = 3, .k_count = 1, .out_row = 0},
    {.q_row = 9, .q_count = 1, .k_row = 0, .k_count = 270, .out_row = 8},
    {.q_row = 4, .q_count = 50, .k_row = 10, .k_count = 33, .out_row = 9},
    {.q_row = 2, .q_count = 0, .k_row = 10, .k_count = 2, .out_row = 59},
    {.q_row = 53, .q_count = 2, .k_row = 268, .k_count = 5, .out_row = 67},
};

static void test_ragged_items(void **state)
{
    for (int i = 0; i < 2; i++) {
        ragged_case c = {.heads = 3,
                         .head_dim = 16,
                         .scale = 1.0f,
                         .count = COUNT(mixed),
                         .items = mixed,
                         .more_q = 2,
                         .more_k = 5,
                         .more_v = 3,
                         .more_out = 6,
                         .seed = SEED + 2000,
                         .dtype = i == 0 ? SA_F32 : SA_BF16};
        check_case(*state, &c);
        c.count = 0;
        check_case(*state, &c);
    }
}

/* f16 on the devices that have it: all head sizes, one and several chunks of keys, rows aligned or not. */
static void test_shapes_f16(void **state)
{
    static const size_t dims[] = {16, 32, 64, 80, 128, 2, 6, 18};
    static const size_t keys[] = {1, 7, 16, 63, 65, 256, 257, 513};
    skip_without_f16(*state);
    for (size_t i = 0; i < 2 * COUNT(dims); i++) {
        sa_attention_item item = {.q_count = (uint32_t)(1 + 13 * (i % 5)), .k_count = (uint32_t)keys[i / 2]};
        ragged_case c = {.heads = 1 + i % 2,
                         .head_dim = dims[(i + i / 2) % COUNT(dims)],
                         .scale = 1.0f,
                         .count = 1,
                         .items = &item,
                         .seed = SEED + 9000 + 10 * i,
                         .more_k = 8 * (i % 2),
                         .more_out = i % 4,
                         .dtype = SA_F16};
        check_case(*state, &c);
    }
    ragged_case c = {.heads = 3,
                     .head_dim = 16,
                     .scale = 30.0f, /* scores of hundreds */
                     .count = COUNT(mixed),
                     .items = mixed,
                     .seed = SEED + 9500,
                     .dtype = SA_F16};
    check_case(*state, &c);
}

/* Scores of hundreds: without the subtraction of the peak everything would be infinite. */
static void test_large_scores(void **state)
{
    sa_attention_item item = {.q_count = 50, .k_count = 300};
    for (int i = 0; i < 4; i++) {
        ragged_case c = {.heads = 2,
                         .head_dim = 32,
                         .scale = i < 2 ? 30.0f : 1000.0f,
                         .count = 1,
                         .items = &item,
                         .seed = SEED + 3000,
                         .dtype = i % 2 == 0 ? SA_F32 : SA_BF16};
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

/* Peaks that grow from one block of keys to the next, and all-negative scores. */
static void test_growing_scores(void **state)
{
    enum { KEYS = 700, D = 16 };
    sa_attention_item item = {.q_count = 13, .k_count = KEYS};
    for (int i = 0; i < 4; i++) {
        ragged_case c = {.heads = 1,
                         .head_dim = D,
                         .scale = 1.0f,
                         .count = 1,
                         .items = &item,
                         .seed = SEED + 4000,
                         .dtype = i % 2 == 0 ? SA_F32 : SA_BF16};
        ragged_data data = make_data(&c);
        for (size_t j = 0; j < 13 * D; j++) {
            data.q.value[j] = 0.5f;
        }
        for (size_t j = 0; j < KEYS * D; j++) { /* exact in bf16 */
            data.k.value[j] = i < 2 ? (float)(j / D / 8) : -(float)(j / D / 8) - 100.0f;
        }
        store_values(&data.q, c.dtype, 13 * D);
        store_values(&data.k, c.dtype, KEYS * D);
        refresh_want(&data);
        c.scale = 64.0f; /* scores of up to 4 * 0.5 * 188 */
        check_data(*state, &c, &data);
        free_data(&data);
    }
}

/* Queries of zeros: the mean of v. */
static void test_equal_scores(void **state)
{
    sa_attention_item item = {.q_count = 7, .k_count = 261};
    for (int i = 0; i < 2; i++) {
        ragged_case c = {.heads = 1,
                         .head_dim = 64,
                         .scale = 0.0f,
                         .count = 1,
                         .items = &item,
                         .seed = SEED + 5000,
                         .dtype = i == 0 ? SA_F32 : SA_BF16};
        check_case(*state, &c);
    }
}

/* Each item alone, on 1 to 5 threads, gives the bits that it gives among the others. */
static void check_invariance(ragged_case c)
{
    static const int threads[] = {1, 2, 3, 5};
    ragged_data data = make_data(&c);
    size_t row_bytes = data.args.ldo * sa_dtype_size(c.dtype);
    check_buffer first[SA_CPU_LEVELS] = {{0}};
    for (size_t t = 0; t < COUNT(threads); t++) {
        test_levels levels = levels_open(threads[t]);
        for (size_t l = 0; l < levels.count; l++) {
            check_buffer all = run_attention(&levels.level[l], &data);
            first[l] = t == 0 ? all : first[l];
            assert_memory_equal(all.bytes, first[l].bytes, all.size);
            for (size_t i = 0; i < c.count; i++) {
                data.args.items = &c.items[i];
                data.args.count = 1;
                check_buffer one = run_attention(&levels.level[l], &data);
                size_t at = c.items[i].out_row * row_bytes;
                assert_memory_equal(one.bytes + at, first[l].bytes + at, c.items[i].q_count * row_bytes);
                check_buffer_free(&one);
            }
            data.args.items = c.items;
            data.args.count = c.count;
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
    ragged_case c = {.heads = 2,
                     .head_dim = 32,
                     .scale = 1.0f,
                     .count = COUNT(mixed),
                     .items = mixed,
                     .seed = SEED + 6000};
    check_invariance(c);
    c.dtype = SA_BF16;
    check_invariance(c);
}

/* A query alone gives the bits that it gives within a block of queries. */
static void test_query_invariance(void **state)
{
    const test_levels *levels = *state;
    sa_attention_item all = {.q_count = 101, .k_count = 77};
    ragged_case c = {.heads = 1,
                     .head_dim = 80,
                     .scale = 1.0f,
                     .count = 1,
                     .items = &all,
                     .seed = SEED + 7000,
                     .dtype = SA_BF16};
    ragged_data data = make_data(&c);
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer whole = run_attention(&levels->level[l], &data);
        for (uint32_t row = 0; row < 101; row += 9) {
            sa_attention_item one = {.q_row = row, .q_count = 1 + row % 2, .k_count = 77, .out_row = row};
            data.args.items = &one;
            check_buffer out = run_attention(&levels->level[l], &data);
            assert_memory_equal(out.bytes + row * 160, whole.bytes + row * 160, one.q_count * 160);
            check_buffer_free(&out);
        }
        data.args.items = &all;
        check_buffer_free(&whole);
    }
    free_data(&data);
}

static void see_items(const ragged_data *data, const check_buffer *out, check_spec spec,
                      sa_attention_item item)
{
    ragged_data other = *data;
    other.args.items = &item;
    refresh_want(&other); /* into the same want */
    assert_seen(out->bytes, data->args.dtype, data->want, spec);
}

/* The last key dropped; keys one row off; a scale of 1/d; a NaN. */
static void test_planted_faults(void **state)
{
    const test_level *level = &((const test_levels *)*state)->level[0];
    sa_attention_item item = {.q_count = 5, .k_count = 18};
    for (int i = 0; i < 2; i++) {
        ragged_case c = {.heads = 2,
                         .head_dim = 16,
                         .scale = 1.0f,
                         .count = 1,
                         .items = &item,
                         .seed = SEED + 8000,
                         .dtype = i == 0 ? SA_F32 : SA_BF16};
        ragged_data data = make_data(&c);
        check_buffer out = run_attention(level, &data);
        check_spec spec = spec_of(level, &c, &data);
        assert_true(check_close(out.bytes, c.dtype, data.want, &spec));
        see_items(&data, &out, spec, (sa_attention_item){.q_count = 5, .k_count = 17});
        see_items(&data, &out, spec, (sa_attention_item){.q_count = 5, .k_row = 1, .k_count = 17});
        for (size_t j = 0; j < 5 * 32; j++) {
            data.q.value[j] *= 0.25f;
        }
        refresh_want(&data);
        assert_seen(out.bytes, c.dtype, data.want, spec);
        data = (free_data(&data), make_data(&c));
        memset(out.bytes + 64, 0xff, 4);
        assert_seen(out.bytes, c.dtype, data.want, spec);
        check_buffer_free(&out);
        free_data(&data);
    }
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_shapes_f16),
        cmocka_unit_test(test_ragged_items),
        cmocka_unit_test(test_large_scores),
        cmocka_unit_test(test_growing_scores),
        cmocka_unit_test(test_equal_scores),
        cmocka_unit_test(test_batch_and_thread_invariance),
        cmocka_unit_test(test_query_invariance),
        cmocka_unit_test(test_planted_faults),
    };
    return cmocka_run_group_tests(tests, levels_setup, levels_teardown);
}
