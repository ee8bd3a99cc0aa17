/*
 * attention_grid against the reference: windows, padding, global, relative position, head sizes; bit-for-bit
 * invariance.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/fixture.h"
#include "tests/kernels/tolerances.h"
#include "tests/ref/ref_ops.h"

enum { SEED = 20240605 };

#define COUNT(list) (sizeof(list) / sizeof(list)[0])
#define REL_SCALE 0.3f

typedef struct {
    size_t side, window, heads, head_dim, batch;
    bool rel;
    sa_dtype dtype;
    uint64_t seed;
} grid_case;

typedef struct {
    operand qkv, pad; /* the op reads pad as f32 and rounds it itself; pad.value is what it should round to */
    float *pad_f32;
    operand rel_h, rel_w; /* the op reads them as f32 and rounds them itself */
    float *rel_h_f32, *rel_w_f32;
    size_t size, tokens; /* S; tokens of one image */
    float *want;
    sa_attention_grid_args args;
} grid_data;

static void refresh_want(grid_data *data)
{
    ref_attention_grid(&data->args, data->qkv.value, data->pad.value, data->rel_h.value, data->rel_w.value,
                       data->want);
}

/* Everything but the reference's results. */
static grid_data make_operands(const grid_case *c)
{
    size_t hidden = c->heads * c->head_dim;
    grid_data data = {.size = c->window != 0 ? c->window : c->side, .tokens = c->side * c->side};
    data.qkv = operand_new(c->dtype, c->batch * data.tokens * 3 * hidden, 1.0f, c->seed);
    if (c->window != 0 && c->side % c->window != 0) {
        data.pad = operand_new(c->dtype, 3 * hidden, 1.0f, c->seed + 1);
        data.pad_f32 = normal_new(3 * hidden, 1.0f, c->seed + 1);
    }
    if (c->rel) {
        size_t count = (2 * data.size - 1) * c->head_dim;
        data.rel_h = operand_new(c->dtype, count, REL_SCALE, c->seed + 2);
        data.rel_w = operand_new(c->dtype, count, REL_SCALE, c->seed + 3);
        data.rel_h_f32 = normal_new(count, REL_SCALE, c->seed + 2);
        data.rel_w_f32 = normal_new(count, REL_SCALE, c->seed + 3);
    }
    data.args = (sa_attention_grid_args){
        .batch = c->batch,
        .side = c->side,
        .window = c->window,
        .heads = c->heads,
        .head_dim = c->head_dim,
        .dtype = c->dtype,
        .qkv = data.qkv.stored,
        .pad_qkv = data.pad_f32,
    };
    return data;
}

static grid_data make_data(const grid_case *c)
{
    grid_data data = make_operands(c);
    data.want = malloc((c->batch * data.tokens * c->heads * c->head_dim + 1) * sizeof(float));
    refresh_want(&data);
    return data;
}

static void free_data(grid_data *data)
{
    operand_free(&data->qkv);
    operand_free(&data->pad);
    free(data->pad_f32);
    operand_free(&data->rel_h);
    operand_free(&data->rel_w);
    free(data->rel_h_f32);
    free(data->rel_w_f32);
    free(data->want);
}

static check_buffer pack_rel(const test_level *level, const grid_data *data, const float *source)
{
    size_t bytes = level->ops->rel_packed_bytes(data->size, data->args.head_dim, data->args.dtype);
    check_buffer packed = check_buffer_new(bytes);
    sa_rel_pack_args args = {.size = data->size,
                             .head_dim = data->args.head_dim,
                             .source = source,
                             .packed = packed.bytes,
                             .dtype = data->args.dtype};
    level->ops->rel_pack(level->stream, &args);
    return packed;
}

static check_buffer run_grid(const test_level *level, const grid_data *data)
{
    sa_attention_grid_args args = data->args;
    size_t hidden = args.heads * args.head_dim;
    check_buffer out = check_buffer_new(args.batch * data->tokens * hidden * sa_dtype_size(args.dtype));
    check_buffer rel_h = {0}, rel_w = {0};
    if (data->rel_h_f32 != NULL) {
        rel_h = pack_rel(level, data, data->rel_h_f32);
        rel_w = pack_rel(level, data, data->rel_w_f32);
        args.rel_h = rel_h.bytes;
        args.rel_w = rel_w.bytes;
    }
    check_buffer work = check_buffer_new(level->ops->attention_grid_workspace(level->stream, &args));
    args.out = out.bytes;
    args.workspace = work.bytes;
    level->ops->attention_grid(level->stream, &args);
    check_buffer_free(&work);
    if (data->rel_h_f32 != NULL) {
        check_buffer_free(&rel_h);
        check_buffer_free(&rel_w);
    }
    return out;
}

static check_spec spec_of(const test_level *level, const grid_case *c, const grid_data *data)
{
    /*
     * Before the division by sqrt(d) the position terms are sqrt(d) times larger: two more sums, of scale
     * REL_SCALE.
     */
    double score = 1.0 + (c->rel ? 2.0 * (double)REL_SCALE * sqrt((double)c->head_dim) : 0.0);
    tolerance t = tolerance_attention(c->head_dim, data->size * data->size, score, c->dtype);
    return (check_spec){
        .label = label(level, "attention_grid %s, side %zu, window %zu, %zu heads of %zu, rel %d",
                       sa_dtype_name(c->dtype), c->side, c->window, c->heads, c->head_dim, (int)c->rel),
        .absolute = t.absolute,
        .relative = t.relative,
        .seed = c->seed,
        .rank = 4,
        .axes = {c->batch, c->side, c->side, c->heads * c->head_dim},
    };
}

static void check_case(const test_levels *levels, const grid_case *c)
{
    grid_data data = make_data(c);
    for (size_t l = 0; l < levels->count; l++) {
        check_buffer out = run_grid(&levels->level[l], &data);
        check_spec spec = spec_of(&levels->level[l], c, &data);
        assert_true(check_close(out.bytes, c->dtype, data.want, &spec));
        check_buffer_free(&out);
    }
    free_data(&data);
}

/*
 * Sides and windows that divide, do not divide, are equal, exceed each other; keys around the block of 256
 * columns.
 */
static const grid_case shapes[] = {
    {.side = 1, .window = 0, .heads = 1, .head_dim = 16, .batch = 1, .rel = true},
    {.side = 1, .window = 1, .heads = 2, .head_dim = 32, .batch = 1, .rel = true},
    {.side = 2, .window = 3, .heads = 1, .head_dim = 16, .batch = 2, .rel = true},
    {.side = 3, .window = 14, .heads = 2, .head_dim = 16, .batch = 1, .rel = true},
    {.side = 5, .window = 2, .heads = 3, .head_dim = 16, .batch = 2, .rel = true},
    {.side = 5, .window = 1, .heads = 1, .head_dim = 64, .batch = 1, .rel = false},
    {.side = 7, .window = 7, .heads = 2, .head_dim = 64, .batch = 1, .rel = true},
    {.side = 7, .window = 0, .heads = 2, .head_dim = 80, .batch = 2, .rel = true},
    {.side = 8, .window = 4, .heads = 1, .head_dim = 128, .batch = 1, .rel = true},
    {.side = 9, .window = 4, .heads = 3, .head_dim = 32, .batch = 1, .rel = false},
    {.side = 11, .window = 5, .heads = 1, .head_dim = 80, .batch = 2, .rel = true},
    {.side = 13, .window = 0, .heads = 1, .head_dim = 64, .batch = 1, .rel = false},
    {.side = 14, .window = 14, .heads = 2, .head_dim = 64, .batch = 1, .rel = true},
    {.side = 5, .window = 14, .heads = 1, .head_dim = 64, .batch = 1, .rel = true},
    {.side = 16, .window = 14, .heads = 1, .head_dim = 80, .batch = 2, .rel = true},
    {.side = 23, .window = 14, .heads = 1, .head_dim = 64, .batch = 1, .rel = true},
    {.side = 16, .window = 0, .heads = 1, .head_dim = 32, .batch = 1, .rel = true},
    {.side = 17, .window = 0, .heads = 2, .head_dim = 64, .batch = 1, .rel = true},
    {.side = 18, .window = 16, .heads = 1, .head_dim = 16, .batch = 1, .rel = true},
    {.side = 20, .window = 7, .heads = 1, .head_dim = 128, .batch = 1, .rel = true},
    {.side = 6, .window = 0, .heads = 1, .head_dim = 2, .batch = 1, .rel = true},
    {.side = 6, .window = 4, .heads = 2, .head_dim = 18, .batch = 1, .rel = true},
};

static void test_shapes(void **state)
{
    for (size_t i = 0; i < 2 * COUNT(shapes); i++) {
        grid_case c = shapes[i / 2];
        c.dtype = i % 2 == 0 ? SA_F32 : SA_BF16;
        c.seed = SEED + 10 * i;
        check_case(*state, &c);
    }
}

/* f16 on the devices that have it: every shape above, and rows of terms that stand in the workspace. */
static void test_shapes_f16(void **state)
{
    skip_without_f16(*state);
    for (size_t i = 0; i < COUNT(shapes); i++) {
        grid_case c = shapes[i];
        c.dtype = SA_F16;
        c.seed = SEED + 900 + i;
        check_case(*state, &c);
    }
    grid_case wide = {.side = 33, .heads = 1, .head_dim = 6, .batch = 1, .rel = true, .seed = SEED + 950};
    wide.dtype = SA_F16;
    check_case(*state, &wide);
    wide = (grid_case){.side = 5, .window = 65, .heads = 1, .head_dim = 4, .batch = 1, .rel = true};
    wide.dtype = SA_F16;
    check_case(*state, &wide);
}

/* f32 takes odd head sizes too. And rows of more keys than a block, 33 and 65 across. */
static void test_odd_sizes(void **state)
{
    grid_case c = {
        .side = 6, .window = 4, .heads = 2, .head_dim = 17, .batch = 2, .rel = true, .seed = SEED + 1000};
    check_case(*state, &c);
    c.head_dim = 1;
    check_case(*state, &c);
    c = (grid_case){.side = 33, .heads = 1, .head_dim = 6, .batch = 1, .rel = true, .seed = SEED + 1001};
    check_case(*state, &c);
    c = (grid_case){.side = 5,
                    .window = 65,
                    .heads = 1,
                    .head_dim = 4,
                    .batch = 1,
                    .rel = true,
                    .seed = SEED + 1002,
                    .dtype = SA_BF16};
    check_case(*state, &c);
    c = (grid_case){
        .side = 2, .window = 257, .heads = 1, .head_dim = 2, .batch = 1, .rel = true, .seed = SEED + 1003};
    check_case(*state, &c);
}

static void test_no_images(void **state)
{
    grid_case c = {.side = 4, .window = 2, .heads = 1, .head_dim = 16, .batch = 0, .seed = SEED};
    check_case(*state, &c);
}

/* Head `head` of `token` on its way through `out` and the reference, as rows `row` of got and want. */
static void sample_token(const grid_data *data, const check_buffer *out, size_t token, size_t head,
                         size_t row, unsigned char *got, float *want)
{
    size_t d = data->args.head_dim, bytes = d * sa_dtype_size(data->args.dtype);
    memcpy(got + row * bytes, out->bytes + (token * data->args.heads + head) * bytes, bytes);
    ref_attention_grid_token(&data->args, data->qkv.value, data->pad.value, data->rel_h.value,
                             data->rel_w.value, token, head, want + row * d);
}

/*
 * SAM's own layers, which backends may treat specially, at their full size: so the reference does a sample of
 * the tokens. Its stride meets every column and all edges of windows.
 */
static void test_sam_layers(void **state)
{
    const test_levels *levels = *state;
    enum { STRIDE = 59, SAMPLES = (64 * 64 + STRIDE - 1) / STRIDE, HEADS = 2 };
    for (size_t i = 0; i < 5; i++) {
        grid_case c = {.side = 64,
                       .window = i % 2 == 0 ? 14 : 0,
                       .heads = HEADS,
                       .head_dim = i < 3 ? 64 : 80,
                       .batch = 1,
                       .rel = true,
                       .dtype = i == 0 ? SA_F32 : SA_BF16,
                       .seed = SEED + 5000 + 10 * i};
        grid_data data = make_operands(&c);
        unsigned char *got = malloc(SAMPLES * HEADS * c.head_dim * sizeof(float));
        float *want = malloc(SAMPLES * HEADS * c.head_dim * sizeof(float));
        for (size_t l = 0; l < levels->count; l++) {
            check_buffer out = run_grid(&levels->level[l], &data);
            for (size_t j = 0; j < SAMPLES * HEADS; j++) {
                sample_token(&data, &out, j / HEADS * STRIDE, j % HEADS, j, got, want);
            }
            check_spec spec = spec_of(&levels->level[l], &c, &data);
            spec.rank = 3;
            spec.axes[0] = SAMPLES, spec.axes[1] = HEADS, spec.axes[2] = c.head_dim;
            assert_true(check_close(got, c.dtype, want, &spec));
            check_buffer_free(&out);
        }
        free(got);
        free(want);
        free_data(&data);
    }
}

static void store_nan(grid_data *data, size_t index)
{
    float nan = NAN;
    sa_bf16 half = sa_bf16_from_f32(nan);
    size_t size = sa_dtype_size(data->args.dtype);
    memcpy((unsigned char *)data->qkv.stored + index * size, size == 4 ? (void *)&nan : (void *)&half, size);
}

static float value_at(const void *from, sa_dtype dtype, size_t index)
{
    return dtype == SA_F32 ? ((const float *)from)[index] : sa_bf16_to_f32(((const sa_bf16 *)from)[index]);
}

/*
 * A NaN in q, k or v of the token in the middle of window (0,0), head 1: the query, all queries of the
 * window, their one column become NaN, and nothing else does.
 */
static void check_nan(const test_level *level, grid_case c, size_t part)
{
    grid_data data = make_operands(&c);
    size_t hidden = c.heads * c.head_dim, size = c.window != 0 ? c.window : c.side;
    size_t y = size / 2, x = size / 2, column = c.head_dim + 3; /* value 3 of head 1 */
    store_nan(&data, ((y * c.side + x) * 3 + part) * hidden + column);
    check_buffer out = run_grid(level, &data);
    for (size_t i = 0; i < data.tokens * hidden; i++) {
        size_t token = i / hidden, at = i % hidden;
        bool window = token / c.side < size && token % c.side < size, head = at / c.head_dim == 1;
        bool want = head && (part == 0   ? token == y * c.side + x
                             : part == 1 ? window
                                         : window && at == column);
        if (isnan(value_at(out.bytes, c.dtype, i)) != want) {
            fail_msg("%s, part %zu, window %zu of %zu: token %zu, column %zu is%s NaN", level->name, part,
                     c.window, c.side, token, at, want ? " not" : "");
        }
    }
    check_buffer_free(&out);
    free_data(&data);
}

static void test_nan_goes_where_it_belongs(void **state)
{
    const test_levels *levels = *state;
    static const struct {
        size_t side, window, d;
        sa_dtype dtype;
    } places[] = {
        {5, 3, 16, SA_F32},   {5, 3, 16, SA_BF16},  {16, 14, 64, SA_BF16},
        {16, 0, 80, SA_BF16}, {64, 0, 64, SA_BF16},
    };
    for (size_t i = 0; i < 3 * COUNT(places); i++) {
        grid_case c = {.side = places[i / 3].side,
                       .window = places[i / 3].window,
                       .heads = 2,
                       .head_dim = places[i / 3].d,
                       .batch = 1,
                       .rel = true,
                       .dtype = places[i / 3].dtype,
                       .seed = SEED + 6000 + 10 * i};
        for (size_t l = 0; l < levels->count; l++) {
            check_nan(&levels->level[l], c, i % 3);
        }
    }
}

/* Each image alone, on 1 to 5 threads, gives the bits that it gives among the others. */
static void check_invariance(grid_case c)
{
    static const int threads[] = {1, 2, 3, 5};
    grid_data data = make_data(&c);
    size_t in_bytes = data.tokens * 3 * c.heads * c.head_dim * sa_dtype_size(c.dtype),
           out_bytes = in_bytes / 3;
    check_buffer first[SA_CPU_LEVELS] = {{0}};
    for (size_t t = 0; t < COUNT(threads); t++) {
        test_levels levels = levels_open(threads[t]);
        for (size_t l = 0; l < levels.count; l++) {
            check_buffer all = run_grid(&levels.level[l], &data);
            first[l] = t == 0 ? all : first[l];
            assert_memory_equal(all.bytes, first[l].bytes, all.size);
            for (size_t b = 0; b < c.batch; b++) {
                grid_data one = data;
                one.args.batch = 1;
                one.args.qkv = (const unsigned char *)data.args.qkv + b * in_bytes;
                check_buffer out = run_grid(&levels.level[l], &one);
                assert_memory_equal(out.bytes, first[l].bytes + b * out_bytes, out_bytes);
                check_buffer_free(&out);
            }
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
    for (int i = 0; i < 4; i++) {
        check_invariance((grid_case){.side = 9,
                                     .window = i < 2 ? 4 : 0,
                                     .heads = 2,
                                     .head_dim = 32,
                                     .batch = 3,
                                     .rel = true,
                                     .seed = SEED + 2000,
                                     .dtype = i % 2 == 0 ? SA_F32 : SA_BF16});
    }
    check_invariance((grid_case){.side = 16,
                                 .window = 14,
                                 .heads = 2,
                                 .head_dim = 64,
                                 .batch = 3,
                                 .rel = true,
                                 .seed = SEED + 2001,
                                 .dtype = SA_BF16});
}

/* The reference with other operands or another window must be refused. */
static void see_window(grid_data *data, const check_buffer *out, check_spec spec, size_t window)
{
    sa_attention_grid_args right = data->args;
    data->args.window = window;
    ref_attention_grid(&data->args, data->qkv.value, data->pad.value, NULL, NULL, data->want);
    data->args = right;
    assert_seen(out->bytes, right.dtype, data->want, spec);
}

static void see_fault(grid_data *data, const check_buffer *out, check_spec spec, float *place, float value)
{
    float right = *place;
    *place = value;
    refresh_want(data);
    assert_seen(out->bytes, data->args.dtype, data->want, spec);
    *place = right;
    refresh_want(data);
    assert_true(check_close(out->bytes, data->args.dtype, data->want, &spec));
}

/* One window size off; one entry of a position table; one entry of the padding's v; masked padding; a NaN. */
static void test_planted_faults(void **state)
{
    const test_level *level = &((const test_levels *)*state)->level[0];
    for (int i = 0; i < 2; i++) {
        grid_case c = {.side = 5,
                       .window = 3,
                       .heads = 2,
                       .head_dim = 16,
                       .batch = 1,
                       .rel = true,
                       .seed = SEED + 3000,
                       .dtype = i == 0 ? SA_F32 : SA_BF16};
        grid_data data = make_data(&c);
        check_buffer out = run_grid(level, &data);
        check_spec spec = spec_of(level, &c, &data);
        see_fault(&data, &out, spec, &data.rel_h.value[0], data.rel_h.value[0] + 1.0f);
        see_fault(&data, &out, spec, &data.rel_w.value[4 * 16 + 15], data.rel_w.value[4 * 16 + 15] - 1.0f);
        see_fault(&data, &out, spec, &data.pad.value[3 * 32 - 1], 0.0f);
        see_fault(&data, &out, spec, &data.qkv.value[24 * 96 + 32 + 3], -data.qkv.value[24 * 96 + 32 + 3]);
        for (size_t j = 0; j < 32; j++) {
            data.pad.value[32 + j] *= 100.0f; /* keys of the padding as if hidden from half the queries */
        }
        refresh_want(&data);
        assert_seen(out.bytes, c.dtype, data.want, spec);
        see_window(&data, &out, spec, 4);
        see_window(&data, &out, spec, 5);
        data = (free_data(&data), make_data(&c));
        memset(out.bytes + 128, 0xff, 4);
        assert_seen(out.bytes, c.dtype, data.want, spec);
        check_buffer_free(&out);
        free_data(&data);
    }
}

/* Tables of height and width exchanged: only a kernel that keeps them apart passes test_shapes. */
static void test_exchanged_tables_are_seen(void **state)
{
    const test_level *level = &((const test_levels *)*state)->level[0];
    grid_case c = {
        .side = 4, .window = 0, .heads = 1, .head_dim = 16, .batch = 1, .rel = true, .seed = SEED + 4000};
    grid_data data = make_data(&c);
    check_buffer out = run_grid(level, &data);
    ref_attention_grid(&data.args, data.qkv.value, NULL, data.rel_w.value, data.rel_h.value, data.want);
    assert_seen(out.bytes, c.dtype, data.want, spec_of(level, &c, &data));
    check_buffer_free(&out);
    free_data(&data);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_shapes_f16),
        cmocka_unit_test(test_odd_sizes),
        cmocka_unit_test(test_no_images),
        cmocka_unit_test(test_sam_layers),
        cmocka_unit_test(test_nan_goes_where_it_belongs),
        cmocka_unit_test(test_batch_and_thread_invariance),
        cmocka_unit_test(test_planted_faults),
        cmocka_unit_test(test_exchanged_tables_are_seen),
    };
    return cmocka_run_group_tests(tests, levels_setup, levels_teardown);
}
