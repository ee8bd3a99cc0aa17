/* embed, rmsnorm, gate and rope_append against their references. */
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/fixture.h"
#include "tests/kernels/tolerances.h"
#include "tests/ref/ref_ops.h"

enum { SEED = 20261130 };

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static const sa_dtype dtypes[] = {SA_F32, SA_BF16, SA_F16};

/* Runs `check` with f32 and bf16, and with f16 where the device has it. */
static void on_dtypes(const test_levels *levels, void (*check)(const test_levels *, sa_dtype))
{
    for (size_t i = 0; i < COUNT(dtypes); i++) {
        if (dtypes[i] != SA_F16 || sa_device_has_f16(levels->level[0].device)) {
            check(levels, dtypes[i]);
        }
    }
}

static check_spec spec_of(const char *text, tolerance t, size_t rows, size_t columns)
{
    return (check_spec){.label = text,
                        .absolute = t.absolute,
                        .relative = t.relative,
                        .seed = SEED,
                        .rank = 2,
                        .axes = {rows, columns}};
}

/* ---- embed ---- */

/* From the table that gemm_pack makes of it, the same bits. */
static void check_packed(const test_level *level, sa_embed_args args, const check_buffer *want)
{
    size_t bytes = level->ops->gemm_packed_bytes(args.vocabulary, args.d, args.dtype);
    check_buffer table = check_buffer_new(bytes), out = check_buffer_new(want->size);
    level->ops->gemm_pack(level->stream, &(sa_gemm_pack_args){.n = args.vocabulary,
                                                              .k = args.d,
                                                              .source = args.table,
                                                              .source_dtype = args.dtype,
                                                              .packed = table.bytes,
                                                              .dtype = args.dtype});
    args.table = table.bytes;
    args.packed = true;
    args.y = (float *)(void *)out.bytes;
    level->ops->embed(level->stream, &args);
    assert_memory_equal(out.bytes, want->bytes, want->size);
    check_buffer_free(&table);
    check_buffer_free(&out);
}

static void check_embed(const test_levels *levels, size_t rows, size_t d, size_t vocabulary, sa_dtype dtype,
                        bool planted)
{
    operand table = operand_new(dtype, vocabulary * d, 1.0f, SEED);
    int32_t *ids = malloc((rows + 1) * sizeof *ids);
    float *want = malloc((rows * d + 1) * sizeof *want);
    for (size_t i = 0; i < rows; i++) {
        ids[i] = (int32_t)(i == 0 ? vocabulary - 1 : pick(SEED, i, vocabulary));
    }
    sa_embed_args args = {
        .rows = rows, .d = d, .vocabulary = vocabulary, .ids = ids, .table = table.stored, .dtype = dtype};
    ref_embed(&args, table.value, want);
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer out = check_buffer_new(rows * d * sizeof(float));
        args.y = (float *)(void *)out.bytes;
        levels->level[l].ops->embed(levels->level[l].stream, &args);
        check_spec spec =
            spec_of(label(&levels->level[l], "embed %s", sa_dtype_name(dtype)), tolerance_im2col(), rows, d);
        assert_true(check_close(out.bytes, SA_F32, want, &spec));
        check_packed(&levels->level[l], args, &out);
        if (planted && l == 0) { /* the row after the one that was asked for */
            ids[0]--;
            ref_embed(&args, table.value, want);
            assert_seen(out.bytes, SA_F32, want, spec);
            ids[0]++;
            ref_embed(&args, table.value, want);
        }
        check_buffer_free(&out);
    }
    operand_free(&table);
    free(ids);
    free(want);
}

static void embed_shapes(const test_levels *levels, sa_dtype dtype)
{
    check_embed(levels, 0, 8, 3, dtype, false);
    check_embed(levels, 1, 1, 1, dtype, false);
    check_embed(levels, 65, 17, 9, dtype, false);
    check_embed(levels, 3, 1000, 130, dtype, false);
    check_embed(levels, 129, 64, 1000, dtype, true);
}

static void test_embed(void **state)
{
    on_dtypes(*state, embed_shapes);
}

/* ---- rmsnorm ---- */

typedef struct {
    size_t rows, d;
    float eps, scale; /* of x */
    sa_dtype dtype;
    bool in_place, planted;
} norm_case;

static check_buffer run_norm(const test_level *level, sa_rmsnorm_args args, bool in_place)
{
    check_buffer out = check_buffer_new(args.rows * args.d * sa_dtype_size(args.y_dtype));
    if (in_place) {
        memcpy(out.bytes, args.x, out.size);
        args.x = (const float *)(const void *)out.bytes;
    }
    args.y = out.bytes;
    level->ops->rmsnorm(level->stream, &args);
    return out;
}

static void check_norm(const test_levels *levels, norm_case c)
{
    float *x = normal_new(c.rows * c.d, c.scale, SEED), *w = normal_new(c.d, 1.0f, SEED + 1);
    float *want = malloc((c.rows * c.d + 1) * sizeof *want);
    sa_rmsnorm_args args = {.rows = c.rows, .d = c.d, .eps = c.eps, .x = x, .w = w, .y_dtype = c.dtype};
    ref_rmsnorm(&args, want);
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer out = run_norm(&levels->level[l], args, c.in_place);
        check_spec spec = spec_of(
            label(&levels->level[l], "rmsnorm to %s, scale %g", sa_dtype_name(c.dtype), (double)c.scale),
            tolerance_rmsnorm(c.d, c.dtype), c.rows, c.d);
        assert_true(check_close(out.bytes, c.dtype, want, &spec));
        if (c.planted && l == 0) { /* the mean taken off, as layernorm does; a weight forgotten */
            float saved = want[5];
            want[5] = want[5] / w[5] * w[6];
            assert_seen(out.bytes, c.dtype, want, spec);
            want[5] = saved;
            args.eps = 0.05f;
            ref_rmsnorm(&args, want);
            assert_seen(out.bytes, c.dtype, want, spec);
            args.eps = c.eps;
            ref_rmsnorm(&args, want);
        }
        check_buffer_free(&out);
    }
    free(x);
    free(w);
    free(want);
}

static void norm_shapes(const test_levels *levels, sa_dtype dtype)
{
    static const size_t widths[] = {1, 3, 8, 15, 16, 17, 63, 64, 65, 128, 130, 576, 2048, 4096, 4100};
    static const size_t rows[] = {1, 2, 33, 0, 7};
    for (size_t i = 0; i < COUNT(widths); i++) {
        check_norm(levels, (norm_case){.rows = rows[i % COUNT(rows)],
                                       .d = widths[i],
                                       .eps = i % 2 == 0 ? 1e-5f : 1e-6f,
                                       .scale = i % 3 == 0 ? 0.01f : 1.0f,
                                       .dtype = dtype,
                                       .in_place = dtype == SA_F32 && i % 2 == 0});
    }
    check_norm(levels, (norm_case){.rows = 5, .d = 64, .eps = 1e-6f, .scale = 300.0f, .dtype = dtype});
    norm_case planted = {.rows = 5, .d = 64, .eps = 1e-6f, .scale = 1.0f, .dtype = dtype, .planted = true};
    check_norm(levels, planted);
}

static void test_rmsnorm(void **state)
{
    on_dtypes(*state, norm_shapes);
}

/* All zeros: eps keeps the result at zero. */
static void test_rmsnorm_of_zeros(void **state)
{
    const test_levels *levels = *state;
    static const float x[70], w[35] = {1.0f, 2.0f};
    sa_rmsnorm_args args = {.rows = 2, .d = 35, .eps = 1e-6f, .x = x, .w = w};
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer out = run_norm(&levels->level[l], args, false);
        assert_memory_equal(out.bytes, x, sizeof x);
        check_buffer_free(&out);
    }
}

/* ---- gate ---- */

static void check_gate(const test_levels *levels, size_t rows, size_t width, float scale, sa_dtype dtype,
                       bool planted)
{
    operand x = operand_new(dtype, rows * 2 * width, scale, SEED);
    float *want = malloc((rows * width + 1) * sizeof *want);
    sa_gate_args args = {.rows = rows, .width = width, .dtype = dtype, .x = x.stored};
    ref_gate(&args, x.value, want);
    tolerance t = tolerance_gate(dtype);
    t.absolute *= (double)scale * (double)scale;
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer out = check_buffer_new(rows * width * sa_dtype_size(dtype));
        args.y = out.bytes;
        levels->level[l].ops->gate(levels->level[l].stream, &args);
        check_spec spec = spec_of(label(&levels->level[l], "gate %s", sa_dtype_name(dtype)), t, rows, width);
        assert_true(check_close(out.bytes, dtype, want, &spec));
        if (planted && l == 0) { /* gate and up in each other's place */
            float saved = x.value[0];
            x.value[0] = x.value[width], x.value[width] = saved;
            ref_gate(&args, x.value, want);
            assert_seen(out.bytes, dtype, want, spec);
            x.value[width] = x.value[0], x.value[0] = saved;
            ref_gate(&args, x.value, want);
        }
        check_buffer_free(&out);
    }
    operand_free(&x);
    free(want);
}

static void gate_shapes(const test_levels *levels, sa_dtype dtype)
{
    check_gate(levels, 0, 8, 1.0f, dtype, false);
    check_gate(levels, 1, 1, 1.0f, dtype, false);
    check_gate(levels, 7, 33, 1.0f, dtype, false);
    check_gate(levels, 3, 4096, 1.0f, dtype, false);
    check_gate(levels, 2, 4097, 1.0f, dtype, false);
    check_gate(levels, 1, 11008, 1.0f, dtype, false);
    check_gate(levels, 5, 64, 40.0f, dtype, false); /* exponentials that vanish */
    check_gate(levels, 3, 16, 1.0f, dtype, true);
}

static void test_gate(void **state)
{
    on_dtypes(*state, gate_shapes);
}

/* ---- rope_append ---- */

enum { PAGES = 5, POSITIONS = 40 };

typedef struct {
    size_t rows, heads, kv_heads, head_dim;
    sa_dtype dtype;
    bool planted;
} rope_case;

typedef struct {
    operand qkv;
    float *table, *want, *k, *v; /* k, v: the pools as they should be */
    size_t width, pool;
    int32_t position[PAGES * SA_KV_PAGE], slot[PAGES * SA_KV_PAGE];
    sa_rope_append_args args;
} rope_data;

/* cos(d/2) | sin(d/2) of angles of all sizes. */
static float *make_table(size_t d)
{
    float *table = malloc(POSITIONS * d * sizeof *table);
    for (size_t p = 0; p < POSITIONS; p++) {
        for (size_t i = 0; i < d / 2; i++) {
            double angle = (double)p * pow(10000.0, -2.0 * (double)i / (double)d);
            table[p * d + i] = (float)cos(angle);
            table[p * d + d / 2 + i] = (float)sin(angle);
        }
    }
    return table;
}

static rope_data make_rope(const rope_case *c)
{
    rope_data data = {.width = (c->heads + 2 * c->kv_heads) * c->head_dim,
                      .pool = PAGES * SA_KV_PAGE * c->kv_heads * c->head_dim};
    data.qkv = operand_new(c->dtype, c->rows * data.width, 1.0f, SEED);
    data.table = make_table(c->head_dim);
    data.want = malloc((c->rows * data.width + 1) * sizeof(float));
    data.k = calloc(data.pool, sizeof(float));
    data.v = calloc(data.pool, sizeof(float));
    for (size_t r = 0; r < c->rows; r++) { /* slots in no order, none twice; the last one is used */
        data.slot[r] = (int32_t)((PAGES * SA_KV_PAGE - 1 + r * 33) % (PAGES * SA_KV_PAGE));
        data.position[r] = (int32_t)(r == 0 ? POSITIONS - 1 : pick(SEED, r, POSITIONS));
    }
    data.args = (sa_rope_append_args){.rows = c->rows,
                                      .heads = c->heads,
                                      .kv_heads = c->kv_heads,
                                      .head_dim = c->head_dim,
                                      .dtype = c->dtype,
                                      .table = data.table};
    return data;
}

/* The arrays of a rope_data are in it, so what points at them is set where it has come to rest. */
static void refresh_rope(rope_data *data)
{
    data->args.position = data->position;
    data->args.slot = data->slot;
    ref_rope_append(&data->args, data->qkv.value, data->want, data->k, data->v);
}

static void free_rope(rope_data *data)
{
    operand_free(&data->qkv);
    free(data->table);
    free(data->want);
    free(data->k);
    free(data->v);
}

typedef struct {
    check_buffer qkv, k, v;
} rope_out;

/* A pool that the level has written, token by token in place. */
static void read_pool(const test_level *level, const sa_rope_append_args *args, bool value,
                      check_buffer *pool)
{
    void *pages = malloc(pool->size + 1);
    memcpy(pages, pool->bytes, pool->size);
    from_pages(level, args->dtype, args->head_dim, value, PAGES * args->kv_heads, pages, pool->bytes);
    free(pages);
}

static rope_out run_rope(const test_level *level, const rope_data *data)
{
    size_t size = sa_dtype_size(data->args.dtype);
    rope_out out = {check_buffer_new(data->args.rows * data->width * size),
                    check_buffer_new(data->pool * size), check_buffer_new(data->pool * size)};
    sa_rope_append_args args = data->args;
    memcpy(out.qkv.bytes, data->qkv.stored, out.qkv.size);
    args.qkv = out.qkv.bytes;
    args.k_pages = out.k.bytes;
    args.v_pages = out.v.bytes;
    level->ops->rope_append(level->stream, &args);
    read_pool(level, &args, false, &out.k);
    read_pool(level, &args, true, &out.v);
    return out;
}

static void free_out(rope_out *out)
{
    check_buffer_free(&out->qkv);
    check_buffer_free(&out->k);
    check_buffer_free(&out->v);
}

/* Places of a pool that no slot names must be as they were, and become the zeros that the reference has. */
static void blank_places(const rope_data *data, unsigned char *pool)
{
    size_t d_bytes = data->args.head_dim * sa_dtype_size(data->args.dtype);
    for (size_t at = 0; at < PAGES * data->args.kv_heads * SA_KV_PAGE; at++) {
        size_t slot = at / (data->args.kv_heads * SA_KV_PAGE) * SA_KV_PAGE + at % SA_KV_PAGE;
        bool named = false;
        for (size_t r = 0; r < data->args.rows; r++) {
            named = named || (size_t)data->slot[r] == slot;
        }
        for (size_t b = 0; b < d_bytes && !named; b++) {
            assert_int_equal(pool[at * d_bytes + b], 0xEE);
            pool[at * d_bytes + b] = 0;
        }
    }
}

static void plant_rope_faults(rope_data *data, const rope_out *out, check_spec rows, check_spec pool)
{
    sa_dtype dtype = data->args.dtype;
    size_t k = data->args.heads * data->args.head_dim; /* the first key of the first row */
    data->position[0]--;
    refresh_rope(data);
    assert_seen(out->qkv.bytes, dtype, data->want, rows);
    assert_seen(out->k.bytes, dtype, data->k, pool);
    data->position[0]++;
    data->qkv.value[k] = -data->qkv.value[k];
    refresh_rope(data);
    assert_seen(out->k.bytes, dtype, data->k, pool);
}

static void check_rope(const test_levels *levels, const rope_case *c)
{
    rope_data data = make_rope(c);
    refresh_rope(&data);
    for (size_t l = 0; l < levels->count; l++) {
        rope_out out = run_rope(&levels->level[l], &data);
        const char *text = label(&levels->level[l], "rope_append %s, %zu + %zu heads of %zu",
                                 sa_dtype_name(c->dtype), c->heads, c->kv_heads, c->head_dim);
        check_spec rows = spec_of(text, tolerance_rope(c->dtype), c->rows, data.width);
        check_spec pool = spec_of(text, tolerance_rope(c->dtype), data.pool / c->head_dim, c->head_dim);
        blank_places(&data, out.k.bytes);
        blank_places(&data, out.v.bytes);
        assert_true(check_close(out.qkv.bytes, c->dtype, data.want, &rows));
        assert_true(check_close(out.k.bytes, c->dtype, data.k, &pool));
        pool.absolute = pool.relative = 0.0; /* values are moved */
        assert_true(check_close(out.v.bytes, c->dtype, data.v, &pool));
        if (c->planted && l == 0) {
            pool.absolute = rows.absolute, pool.relative = rows.relative;
            plant_rope_faults(&data, &out, rows, pool);
            free_rope(&data);
            data = make_rope(c);
            refresh_rope(&data);
        }
        free_out(&out);
    }
    free_rope(&data);
}

static void rope_shapes(const test_levels *levels, sa_dtype dtype)
{
    static const rope_case cases[] = {
        {.rows = 0, .heads = 1, .kv_heads = 1, .head_dim = 16},
        {.rows = 1, .heads = 1, .kv_heads = 1, .head_dim = 2},
        {.rows = 3, .heads = 4, .kv_heads = 2, .head_dim = 6},
        {.rows = 17, .heads = 3, .kv_heads = 3, .head_dim = 18},
        {.rows = 9, .heads = 8, .kv_heads = 2, .head_dim = 32},
        {.rows = 80, .heads = 6, .kv_heads = 1, .head_dim = 64},
        {.rows = 5, .heads = 2, .kv_heads = 2, .head_dim = 80},
        {.rows = 33, .heads = 4, .kv_heads = 1, .head_dim = 100},
        {.rows = 16, .heads = 4, .kv_heads = 4, .head_dim = 128},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        rope_case c = cases[i];
        c.dtype = dtype;
        c.planted = i == 4;
        check_rope(levels, &c);
    }
}

static void test_rope_append(void **state)
{
    on_dtypes(*state, rope_shapes);
}

/* ---- all ---- */

/* Rows alone, on 1 to 5 threads, give the bits that they give among others. */
static void test_batch_and_thread_invariance(void **state)
{
    (void)state;
    enum { ROWS = 67, D = 130 };
    static const int threads[] = {1, 2, 3, 5};
    static const size_t rows[] = {ROWS, 33, 1};
    float *x = normal_new(ROWS * D, 1.0f, SEED), *w = normal_new(D, 1.0f, SEED + 1);
    check_buffer norm[SA_CPU_LEVELS] = {{0}}, gate[SA_CPU_LEVELS] = {{0}};
    for (size_t t = 0; t < COUNT(threads) * COUNT(rows); t++) {
        test_levels levels = levels_open(threads[t / COUNT(rows)]);
        for (size_t l = 0; l < levels.count; l++) {
            size_t count = rows[t % COUNT(rows)];
            sa_rmsnorm_args args = {.rows = count, .d = D, .eps = 1e-6f, .x = x, .w = w, .y_dtype = SA_BF16};
            check_buffer y = run_norm(&levels.level[l], args, false);
            check_buffer z = check_buffer_new(count * D / 2 * sizeof(float));
            sa_gate_args product = {.rows = count, .width = D / 2, .x = x, .y = z.bytes};
            levels.level[l].ops->gate(levels.level[l].stream, &product);
            if (t == 0) {
                norm[l] = y, gate[l] = z;
                continue;
            }
            assert_memory_equal(y.bytes, norm[l].bytes, y.size);
            assert_memory_equal(z.bytes, gate[l].bytes, z.size);
            check_buffer_free(&y);
            check_buffer_free(&z);
        }
        levels_close(&levels);
    }
    for (size_t l = 0; l < SA_CPU_LEVELS && norm[l].bytes != NULL; l++) {
        check_buffer_free(&norm[l]);
        check_buffer_free(&gate[l]);
    }
    free(x);
    free(w);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embed),
        cmocka_unit_test(test_rmsnorm),
        cmocka_unit_test(test_rmsnorm_of_zeros),
        cmocka_unit_test(test_gate),
        cmocka_unit_test(test_rope_append),
        cmocka_unit_test(test_batch_and_thread_invariance),
    };
    return cmocka_run_group_tests(tests, levels_setup, levels_teardown);
}
