/*
 * What kernels ask of memory, by the simulated GPU's counters; the decoder's at the shapes of a 7B layer: the
 * weights of a product with few rows once, the keys and values of a decoded token once, those that forks
 * share once for all, a mask's words once, and shared memory without bank conflicts. Operands are zeros: only
 * addresses count.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/json.h"
#include "tests/kernels/fixture.h"

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

/* Counters of the launches since the last look, summed. Bytes are sectors of 32. */
typedef struct {
    double read, written, least, conflicts, spilled;
    double blocks; /* of the last launch, along x */
} traffic;

static char profile_path[] = "/tmp/segagent_traffic_XXXXXX";
static long profile_seen;

static double number(const json_t *launch, const char *key)
{
    const json_t *value = json_object_get(launch, key);
    assert_true(json_is_integer(value));
    return (double)json_integer_value(value);
}

static void add_launch(traffic *sum, const json_t *launch)
{
    sum->read += 32.0 * number(launch, "sectors_read");
    sum->written += 32.0 * number(launch, "sectors_written");
    sum->least += 32.0 * (number(launch, "least_sectors_read") + number(launch, "least_sectors_written"));
    sum->conflicts += number(launch, "shared_conflicts");
    sum->spilled += number(launch, "spill_bytes");
    sum->blocks = (double)json_integer_value(json_array_get(json_object_get(launch, "grid"), 0));
}

static traffic look(void)
{
    traffic sum = {0};
    FILE *file = fopen(profile_path, "r");
    char *line = NULL;
    size_t room = 0;
    assert_non_null(file);
    fseek(file, profile_seen, SEEK_SET);
    for (ssize_t length; (length = getline(&line, &room, file)) > 0;) {
        json_t *launch = NULL;
        sa_error err;
        assert_int_equal(sa_json_parse(profile_path, line, (size_t)length, &launch, &err), SA_OK);
        add_launch(&sum, launch);
        json_decref(launch);
    }
    profile_seen = ftell(file);
    free(line);
    fclose(file);
    return sum;
}

/* The one level of this program, or none where the counters are not at hand. */
static const test_level *level_of(void **state)
{
    if (*state == NULL) {
        skip();
    }
    const test_levels *levels = *state;
    return &levels->level[0];
}

/* Zeros that begin where device memory would. */
static void *zeros(size_t bytes)
{
    size_t whole = (bytes + 255) / 256 * 256;
    void *block = aligned_alloc(256, whole);
    assert_true(whole == 0 || block != NULL);
    return memset(block, 0, whole);
}

/* At most `most` times the least bytes that the op's contract says, and no bank conflicts. */
static void check_moved(const char *what, double bytes, double most)
{
    traffic t = look();
    print_message("%s: moved %.3f, least %.3f of what the contract says; %g conflicts\n", what,
                  (t.read + t.written) / bytes, t.least / bytes, t.conflicts);
    assert_true(t.read + t.written <= most * bytes);
    assert_true(t.conflicts == 0.0 && t.spilled == 0.0);
}

/* ---- row by row ---- */

enum { ROWS = 640, D = 4096, F = 11008, VOCABULARY = 32000 };

static void test_embed(void **state)
{
    const test_level *level = level_of(state);
    void *ids = zeros(ROWS * 4), *table = zeros(D * 2), *y = zeros(ROWS * D * 4);
    look();
    level->ops->embed(
        level->stream,
        &(sa_embed_args){
            .rows = ROWS, .d = D, .vocabulary = 1, .ids = ids, .table = table, .dtype = SA_BF16, .y = y});
    check_moved("embed 640 x 4096, one row of the table", ROWS * D * 6.0, 1.05);
    free(ids), free(table), free(y);
}

static void test_rmsnorm(void **state)
{
    const test_level *level = level_of(state);
    void *x = zeros(ROWS * D * 4), *w = zeros(D * 4), *y = zeros(ROWS * D * 2);
    look();
    level->ops->rmsnorm(
        level->stream,
        &(sa_rmsnorm_args){.rows = ROWS, .d = D, .eps = 1.0f, .x = x, .w = w, .y = y, .y_dtype = SA_BF16});
    check_moved("rmsnorm 640 x 4096", ROWS * D * 6.0 + D * 4.0,
                1.4); /* w once for two rows: it is in the cache */
    free(x), free(w), free(y);
}

static void test_gate(void **state)
{
    const test_level *level = level_of(state);
    void *x = zeros(ROWS * 2 * F * 2), *y = zeros(ROWS * F * 2);
    look();
    level->ops->gate(level->stream,
                     &(sa_gate_args){.rows = ROWS, .width = F, .dtype = SA_BF16, .x = x, .y = y});
    check_moved("gate 640 x 11008", ROWS * F * 6.0, 1.0);
    free(x), free(y);
}

static void test_rope(void **state)
{
    const test_level *level = level_of(state);
    enum { Q = 32, KV = 8, HEAD = 128 };
    int32_t *position = zeros(ROWS * 4), *slot = zeros(ROWS * 4);
    void *qkv = zeros(ROWS * (Q + 2 * KV) * HEAD * 2), *table = zeros(ROWS * HEAD * 4);
    void *k = zeros(ROWS * KV * HEAD * 2), *v = zeros(ROWS * KV * HEAD * 2);
    for (int32_t i = 0; i < ROWS; i++) {
        position[i] = slot[i] = i;
    }
    look();
    level->ops->rope_append(level->stream, &(sa_rope_append_args){.rows = ROWS,
                                                                  .heads = Q,
                                                                  .kv_heads = KV,
                                                                  .head_dim = HEAD,
                                                                  .dtype = SA_BF16,
                                                                  .qkv = qkv,
                                                                  .position = position,
                                                                  .slot = slot,
                                                                  .table = table,
                                                                  .k_pages = k,
                                                                  .v_pages = v});
    check_moved("rope_append 640 rows, 32 + 8 heads of 128", ROWS * (2.0 * (Q + KV) + 2.0 * KV) * HEAD * 2.0,
                1.1);
    free(position), free(slot), free(qkv), free(table), free(k), free(v);
}

static void sample(const test_level *level, const char *what, const sa_sample_choice *choice, double most)
{
    sa_sample_args args = {.rows = 1,
                           .vocabulary = VOCABULARY,
                           .logits = normal_new(VOCABULARY, 3.0f, 1),
                           .choice = choice,
                           .token = zeros(4),
                           .logprob = zeros(4)};
    args.workspace = zeros(level->ops->sample_workspace(level->stream, &args));
    float *logits = memcpy(zeros(VOCABULARY * 4), args.logits, VOCABULARY * 4);
    free((void *)args.logits);
    args.logits = logits;
    look();
    level->ops->sample(level->stream, &args);
    traffic t = look();
    print_message("sample of 32000, %s: moved %.3f times the logits\n", what,
                  (t.read + t.written) / (VOCABULARY * 4.0));
    assert_true(t.read + t.written <= most * VOCABULARY * 4.0);
    free(logits), free(args.token), free(args.logprob), free(args.workspace);
}

/* What is not greedy goes over the row again, in the cache. */
static void test_sample(void **state)
{
    const test_level *level = level_of(state);
    sample(level, "greedy", &(sa_sample_choice){.top_p = 1.0f}, 1.05);
    sample(level, "all tokens", &(sa_sample_choice){.temperature = 1.0f, .top_p = 1.0f, .u = 0.5f}, 5.1);
    sample(level, "top_p 0.9", &(sa_sample_choice){.temperature = 1.0f, .top_p = 0.9f, .u = 0.5f}, 8.1);
}

/* ---- masks ---- */

static void test_mask_hash(void **state)
{
    const test_level *level = level_of(state);
    enum { HEIGHT = 1024, WIDTH = 683, BYTES = HEIGHT * ((WIDTH + 63) / 64) * 8 };
    sa_mask_hash_args args = {.height = HEIGHT, .width = WIDTH, .bits = zeros(BYTES), .hash = zeros(8)};
    args.workspace = zeros(level->ops->mask_hash_workspace(level->stream, &args));
    look();
    level->ops->mask_hash(level->stream, &args);
    check_moved("mask_hash 1024 x 683", BYTES, 1.1);
    free((void *)args.bits), free(args.hash), free(args.workspace);
}

/* A picture padded to a square: it and the square once, in whole sectors but for the picture's rows on the
 * canvas. */
static void test_image_place(void **state)
{
    const test_level *level = level_of(state);
    enum { HEIGHT = 1024, WIDTH = 683 };
    sa_image_place_args args = {.height = HEIGHT,
                                .width = WIDTH,
                                .canvas_height = HEIGHT,
                                .canvas_width = HEIGHT,
                                .left = (HEIGHT - WIDTH) / 2,
                                .pixels = zeros((size_t)HEIGHT * WIDTH * 3),
                                .y = zeros((size_t)HEIGHT * HEIGHT * 3)};
    look();
    level->ops->image_place(level->stream, &args);
    check_moved("image_place 1024 x 683", 3.0 * HEIGHT * (WIDTH + HEIGHT), 1.4);
}

/* ---- products ---- */

typedef struct {
    size_t m, n, k;
} gemm_case;

static const gemm_case gemm_cases[] = {
    {1, 4096, 4096}, {16, 4096, 4096}, {32, 4096, 4096}, {64, 4096, 4096}, {8, 11008, 4096},
};

static void check_gemm(const test_level *level, const gemm_case *c)
{
    size_t a_bytes = c->m * c->k * 2, w_bytes = c->n * c->k * 2;
    void *a = zeros(a_bytes), *w = zeros(w_bytes), *out = zeros(c->m * c->n * 2);
    look();
    level->ops->gemm(level->stream, &(sa_gemm_args){.m = c->m,
                                                    .n = c->n,
                                                    .k = c->k,
                                                    .dtype = SA_BF16,
                                                    .a = a,
                                                    .lda = c->k,
                                                    .w = w,
                                                    .c = out,
                                                    .c_dtype = SA_BF16,
                                                    .ldc = c->n});
    traffic t = look();
    /* Every block reads all of a, from the second-level cache, and its own columns of w. */
    double weights = t.read - t.blocks * (double)a_bytes;
    print_message("gemm %zu x %zu x %zu: w %.3f times, least %.3f, all asked for %.3f of w; %g conflicts\n",
                  c->m, c->n, c->k, weights / (double)w_bytes, t.least / (double)w_bytes,
                  (t.read + t.written) / (double)w_bytes, t.conflicts);
    assert_true(weights <= 1.0 * (double)w_bytes);
    assert_true(t.least <= 1.05 * (double)w_bytes);
    assert_true(t.conflicts == 0.0 && t.spilled == 0.0);
    free(a);
    free(w);
    free(out);
}

static void test_few_rows(void **state)
{
    const test_level *level = level_of(state);
    for (size_t i = 0; i < COUNT(gemm_cases); i++) {
        check_gemm(level, &gemm_cases[i]);
    }
}

/* ---- attention ---- */

enum { HEADS = 32, HEAD_DIM = 128, MOST_ITEMS = 8 };

/* Sequences of one new token each; the first `shared` pages of all of them are the same. Returns what was
 * moved, as a multiple of the keys and values that there are. */
static double attend(const test_level *level, size_t kv_heads, size_t count, const uint32_t *tokens,
                     size_t shared, bool declared)
{
    sa_attention_paged_item items[MOST_ITEMS];
    int32_t pages[1000];
    size_t listed = 0, fresh = 0, keys = 0;
    for (size_t i = 0; i < count; i++) {
        items[i] = (sa_attention_paged_item){.q_row = (uint32_t)i,
                                             .q_count = 1,
                                             .k_count = tokens[i],
                                             .first_page = (uint32_t)listed,
                                             .shared = (uint32_t)(i > 0 && declared ? shared : 0)};
        for (size_t p = 0; p < sa_kv_pages_for(tokens[i]); p++) {
            assert_true(listed < COUNT(pages));
            pages[listed++] = (int32_t)(i > 0 && p < shared ? p : fresh++);
        }
        keys += tokens[i] - (i > 0 ? shared * SA_KV_PAGE : 0);
    }
    size_t pool = fresh * kv_heads * SA_KV_PAGE * HEAD_DIM * 2, row = HEADS * HEAD_DIM;
    void *q = zeros(count * row * 2), *k = zeros(pool), *v = zeros(pool), *out = zeros(count * row * 2);
    sa_attention_paged_args args = {.count = count,
                                    .heads = HEADS,
                                    .kv_heads = kv_heads,
                                    .head_dim = HEAD_DIM,
                                    .items = items,
                                    .pages = pages,
                                    .dtype = SA_BF16,
                                    .q = q,
                                    .ldq = row,
                                    .k_pages = k,
                                    .v_pages = v,
                                    .out = out,
                                    .ldo = row};
    args.workspace = zeros(level->ops->attention_paged_workspace(level->stream, &args));
    look();
    level->ops->attention_paged(level->stream, &args);
    traffic t = look();
    double kv = (double)keys * (double)(kv_heads * HEAD_DIM * 2 * 2), moved = t.read + t.written;
    print_message(
        "attention, %zu sequences of %u tokens, %zu kv heads, %zu pages shared%s: moved %.3f, read %.3f, "
        "least %.3f of the keys and values; %g conflicts\n",
        count, tokens[0], kv_heads, shared, declared ? "" : " but not declared", moved / kv, t.read / kv,
        t.least / kv, t.conflicts);
    assert_true(t.conflicts == 0.0 && t.spilled == 0.0);
    free(q), free(k), free(v), free(out), free(args.workspace);
    return moved / kv;
}

static void test_decode(void **state)
{
    const test_level *level = level_of(state);
    static const uint32_t lengths[][2] = {{2048, 0}, {600, 0}, {1000, 777}};
    assert_true(attend(level, HEADS, 1, lengths[0], 0, false) <= 1.1);
    assert_true(attend(level, HEADS, 1, lengths[1], 0, false) <= 1.1);
    assert_true(attend(level, HEADS / 4, 2, lengths[2], 0, false) <= 1.1);
}

/* Eight forks of a prompt of 600 tokens, of which 592 stand in whole pages. */
static void test_forks(void **state)
{
    const test_level *level = level_of(state);
    static const uint32_t lengths[] = {601, 604, 610, 601, 640, 602, 603, 623};
    assert_true(attend(level, HEADS, COUNT(lengths), lengths, 37, true) <= 1.1);
    assert_true(attend(level, HEADS, COUNT(lengths), lengths, 37, false) >= 4.0);
}

/* ---- */

static int traffic_setup(void **state)
{
    const char *simulated = getenv("SEGAGENT_TEST_GPUSIM"), *noise = getenv("GPUSIM_NOISE");
    *state = NULL;
    if (simulated == NULL || strcmp(simulated, "1") != 0 || noise != NULL) {
        return 0; /* a real device does not count, and noise changes no address */
    }
    int file = mkstemp(profile_path);
    assert_true(file >= 0);
    close(file);
    setenv("GPUSIM_PROFILE", profile_path, 1);
    setenv("GPUSIM_CHECK", "none", 1); /* the tests of the ops have them all */
    return levels_setup(state);
}

static int traffic_teardown(void **state)
{
    if (*state == NULL) {
        return 0;
    }
    unlink(profile_path);
    return levels_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_embed),       cmocka_unit_test(test_rmsnorm),
                                       cmocka_unit_test(test_gate),        cmocka_unit_test(test_rope),
                                       cmocka_unit_test(test_sample),      cmocka_unit_test(test_mask_hash),
                                       cmocka_unit_test(test_image_place), cmocka_unit_test(test_few_rows),
                                       cmocka_unit_test(test_decode),      cmocka_unit_test(test_forks)};
    return cmocka_run_group_tests(tests, traffic_setup, traffic_teardown);
}
