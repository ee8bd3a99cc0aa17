/*
 * Decoders as a whole against the golden cases, in every precision and on every level that this machine has;
 * and what must hold without a reference: the same bits alone, in any batch, in pieces, forked, prefilled
 * again, with any number of threads; no allocation after start-up; clear words for bad input.
 *
 * Tolerances. f32: the issue's, 1e-4 of the largest logit. bf16: a rounding is off by 2^-9 at most, uniform,
 * so by 2^-9 / sqrt(3) in the mean square. A layer has 6 of activations (norm, q|k|v, attention, norm,
 * gate|up, gated) and 4 of weights, where the file has more bits than bf16; norm and head add 2. They add
 * like a random walk: sqrt(10 L + 2) of them over L layers. The softmax of these small nets, with scores up
 * to 10, and the gate enlarge what passes through them: up to 4 times in all (seen: 2.0 to 2.9). That is the
 * error in the mean square over all logits, in units of theirs; the worst of some thousand lies within 6
 * times as much (seen: 6.7 times what is seen in the mean square, 4.8 times what is allowed). f16: 11 bits,
 * an eighth.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/philox.h"
#include "tests/check.h"
#include "tests/kernels/fixture.h"
#include "tests/models/allocations.h"
#include "tests/models/llama_rig.h"

enum { GREEDY = 64 };

static const char *const variants[] = {"llama2", "llama3", "qwen2", "mistral", "linear"};
enum { VARIANTS = sizeof variants / sizeof *variants };

static const char *path_of(const char *variant, const char *file)
{
    static char path[2][256];
    static int next;
    char *out = path[next++ % 2];
    snprintf(out, sizeof path[0], "tests/golden/llama/%s%s", variant, file);
    return out;
}

/* -- Golden cases -- */

typedef struct {
    sa_weights *file;
    int32_t *tokens, *prompt, *greedy;
    size_t token_count, prompt_count, vocabulary;
    float *logits; /* [tokens, V] */
} golden;

static void *read_tensor(const golden *g, const char *name, size_t *count)
{
    const sa_tensor *tensor = sa_weights_find(g->file, name);
    assert_non_null(tensor);
    void *values = malloc(tensor->bytes);
    assert_non_null(values);
    memcpy(values, tensor->data, tensor->bytes);
    *count = tensor->count;
    return values;
}

static golden open_golden(const char *variant)
{
    golden g = {0};
    sa_error err;
    size_t count;
    must(sa_weights_open(&g.file, path_of(variant, "/cases.safetensors"), &err), &err);
    g.tokens = read_tensor(&g, "tokens", &g.token_count);
    g.prompt = read_tensor(&g, "prompt", &g.prompt_count);
    g.greedy = read_tensor(&g, "greedy", &count);
    assert_int_equal(count, GREEDY);
    g.logits = read_tensor(&g, "logits", &count);
    g.vocabulary = count / g.token_count;
    return g;
}

static void close_golden(golden *g)
{
    free(g->tokens);
    free(g->prompt);
    free(g->greedy);
    free(g->logits);
    sa_weights_close(g->file);
}

static double largest(const float *values, size_t count)
{
    double most = 0.0;
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fabs((double)values[i]));
    }
    return most;
}

static sa_llama_options options_for(sa_dtype precision, size_t rows, size_t pages)
{
    sa_llama_options o = sa_llama_default_options();
    o.precision = precision;
    o.rows = o.logit_rows = rows;
    o.items = 0; /* as many as the rig takes */
    o.pages = pages;
    return o;
}

static double mean_square(const float *values, const float *minus, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        double difference = (double)values[i] - (minus != NULL ? (double)minus[i] : 0.0);
        sum += difference * difference;
    }
    return sqrt(sum / (double)count);
}

/*
 * Of 16 bits: the error in the mean square, in units of the logits' own. Single logits may be off by eight
 * times that: four for the largest of some thousand, twice that where a token's attention happens to turn on
 * little (qwen2, f16: 6.8 times at one token, 1 and less over all).
 */
static double tolerance_of(sa_dtype precision, size_t layers)
{
    double bf16 = 4.0 * 0x1p-9 / sqrt(3.0) * sqrt(10.0 * (double)layers + 2.0);
    return precision == SA_BF16 ? bf16 : bf16 / 8.0;
}

static bool check_logits(llama_rig *r, const golden *g, sa_dtype precision, const char *name)
{
    size_t count = g->token_count * g->vocabulary;
    float *got = malloc(count * sizeof *got);
    llama_rig_append(r, llama_rig_begin(r), g->tokens, g->token_count, 0, got);
    double allowed = tolerance_of(precision, sa_llama_get_config(r->llama)->layers);
    allowed *= mean_square(g->logits, NULL, count);
    bool exact = precision == SA_F32;
    check_spec spec = {.label = name,
                       .absolute = exact ? 1e-4 * largest(g->logits, count) : 8.0 * allowed,
                       .rank = 2,
                       .axes = {g->token_count, g->vocabulary}};
    bool good = check_close_f32(got, g->logits, &spec);
    double error = mean_square(got, g->logits, count);
    if (!exact && !(error <= allowed)) {
        print_error("%s: error %.4g in the mean square, %.4g is allowed\n", name, error, allowed);
        good = false;
    }
    free(got);
    return good;
}

/* The text of f32 is asked for token by token: the script leaves no near ties in it. */
static bool check_greedy(llama_rig *r, const golden *g, const char *name)
{
    int32_t tokens[GREEDY];
    float logprobs[GREEDY];
    sa_sample_choice choice = {.top_p = 1.0f};
    sa_kv_sequence sequence = llama_rig_begin(r);
    llama_rig_append(r, sequence, g->prompt, g->prompt_count, 0, NULL);
    llama_rig_continue(r, sequence, &choice, GREEDY, tokens, logprobs);
    for (size_t i = 0; i < GREEDY; i++) {
        if (tokens[i] != g->greedy[i]) {
            print_error("%s: greedy token %zu is %d, want %d\n", name, i, tokens[i], g->greedy[i]);
            return false;
        }
    }
    return true;
}

static bool check_variant(const char *variant, sa_dtype precision, const char *isa)
{
    char name[64];
    golden g = open_golden(variant);
    sa_llama_options options = options_for(precision, 64, 40);
    llama_rig r = llama_rig_open(path_of(variant, ""), &options, isa, 2);
    snprintf(name, sizeof name, "%s %s %s", variant, sa_dtype_name(precision), sa_device_ops(r.device)->name);
    bool good = check_logits(&r, &g, precision, name);
    good = (precision != SA_F32 || check_greedy(&r, &g, name)) && good;
    llama_rig_close(&r);
    close_golden(&g);
    return good;
}

static void test_golden(sa_dtype precision)
{
    size_t bad = 0, tested = 0;
    for (int level = 0; level < SA_CPU_LEVELS; level++) {
        for (size_t v = 0; test_level_wanted(level) && v < VARIANTS; v++) {
            bad += !check_variant(variants[v], precision, test_on_cpu() ? sa_cpu_level_name(level) : NULL);
            tested++;
        }
    }
    assert_true(tested > 0);
    assert_int_equal(bad, 0);
}

static void test_golden_f32(void **state)
{
    (void)state;
    test_golden(SA_F32);
}

static void test_golden_bf16(void **state)
{
    (void)state;
    test_golden(SA_BF16);
}

static void test_golden_f16(void **state)
{
    (void)state;
    if (test_on_cpu()) {
        skip(); /* no f16 there */
    }
    test_golden(SA_F16);
}

/* The comparator sees a logit that is off, and a model with one changed token. */
static void test_planted_faults(void **state)
{
    (void)state;
    golden g = open_golden("llama2");
    sa_llama_options options = options_for(SA_F32, 64, 40);
    llama_rig r = llama_rig_open(path_of("llama2", ""), &options, NULL, 2);
    g.tokens[7] ^= 1;
    assert_false(check_logits(&r, &g, SA_F32, "planted: another token"));
    g.tokens[7] ^= 1;
    g.logits[11] += 3e-4f * (float)largest(g.logits, g.token_count * g.vocabulary);
    assert_false(check_logits(&r, &g, SA_F32, "planted: another logit"));
    g.greedy[60] ^= 1;
    assert_false(check_greedy(&r, &g, "planted: another greedy token"));
    llama_rig_close(&r);
    close_golden(&g);
}

/* -- The same bits -- */

enum { BATCH = 33, LONGEST = 37, STEPS = 8, ROWS = 700, PAGES = 200 };

/* One sequence alone on one thread, token by token, and a rig with all the rest. */
typedef struct {
    llama_rig alone, many;
    uint64_t seed;
} both_rigs;

static both_rigs open_both(const char *variant, sa_dtype precision, int threads)
{
    sa_llama_options one = options_for(precision, 1, 20), all = options_for(precision, ROWS, PAGES);
    one.items = 1;
    one.context = all.context = strcmp(variant, "llama3") == 0 ? 310 : 128; /* its positions allow it */
    return (both_rigs){.alone = llama_rig_open(path_of(variant, ""), &one, NULL, 1),
                       .many = llama_rig_open(path_of(variant, ""), &all, NULL, threads),
                       .seed = 77};
}

static void close_both(both_rigs *b)
{
    llama_rig_close(&b->alone);
    llama_rig_close(&b->many);
}

static void fill_tokens(const both_rigs *b, int32_t *tokens, size_t count, uint64_t which)
{
    for (size_t i = 0; i < count; i++) {
        tokens[i] = (int32_t)pick(b->seed + which, i, b->alone.vocabulary);
    }
}

/* Logits at every token of a text. */
static float *alone_logits(both_rigs *b, const int32_t *tokens, size_t count)
{
    float *logits = malloc(count * b->alone.vocabulary * sizeof *logits);
    sa_kv_sequence sequence = llama_rig_begin(&b->alone);
    llama_rig_append(&b->alone, sequence, tokens, count, 1, logits);
    sa_kv_release(b->alone.kv, sequence);
    return logits;
}

static void assert_bits(const float *got, const float *want, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(&got[i], &want[i], sizeof got[i]) != 0) {
            fail_msg("%s: number %zu of %zu is %.9g, alone %.9g", what, i, count, (double)got[i],
                     (double)want[i]);
        }
    }
}

static void check_pieces(both_rigs *b)
{
    static const size_t pieces[] = {0, 1, 3, 16, 17, 50};
    int32_t tokens[100];
    fill_tokens(b, tokens, 100, 1);
    size_t count = 100 * b->alone.vocabulary;
    float *want = alone_logits(b, tokens, 100), *got = malloc(count * sizeof *got);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        sa_kv_sequence sequence = llama_rig_begin(&b->many);
        llama_rig_append(&b->many, sequence, tokens, 100, pieces[i], got);
        assert_bits(got, want, count, "in pieces");
        sa_kv_release(b->many.kv, sequence);
    }
    free(want);
    free(got);
}

/* A parent that ends in the middle of a page, and children that go their own ways; so does the parent. */
static void check_forks(both_rigs *b)
{
    enum { PARENT = 21, MORE = 14, CHILDREN = 4 };
    int32_t tokens[CHILDREN][PARENT + MORE];
    sa_kv_sequence sequence[CHILDREN];
    size_t vocabulary = b->many.vocabulary;
    float *got = malloc(MORE * vocabulary * sizeof *got);
    sa_error err;
    fill_tokens(b, tokens[0], PARENT + MORE, 2);
    sequence[0] = llama_rig_begin(&b->many);
    llama_rig_append(&b->many, sequence[0], tokens[0], PARENT, 0, NULL);
    for (size_t i = 1; i < CHILDREN; i++) {
        memcpy(tokens[i], tokens[0], sizeof tokens[0]);
        fill_tokens(b, tokens[i] + PARENT, MORE, 2 + i);
        must(sa_kv_fork(b->many.kv, sequence[0], &sequence[i], &err), &err);
    }
    for (size_t i = CHILDREN; i-- > 0;) {
        llama_rig_append(&b->many, sequence[i], tokens[i] + PARENT, MORE, 5, got);
        float *want = alone_logits(b, tokens[i], PARENT + MORE);
        assert_bits(got, want + PARENT * vocabulary, MORE * vocabulary, "forked");
        free(want);
    }
    for (size_t i = 0; i < CHILDREN; i++) {
        sa_kv_release(b->many.kv, sequence[i]);
    }
    free(got);
}

/* Half of a text is forgotten, other texts take its pages, and it comes back in pages of another order. */
static void check_eviction(both_rigs *b)
{
    enum { LENGTH = 60 };
    int32_t tokens[LENGTH], other[LENGTH];
    size_t count = LENGTH * b->many.vocabulary;
    fill_tokens(b, tokens, LENGTH, 8);
    fill_tokens(b, other, LENGTH, 9);
    float *want = alone_logits(b, tokens, LENGTH), *got = malloc(count * sizeof *got);
    sa_kv_sequence first = llama_rig_begin(&b->many), second = llama_rig_begin(&b->many);
    llama_rig_append(&b->many, first, tokens, LENGTH, 0, got);
    sa_kv_truncate(b->many.kv, first, 13);
    llama_rig_append(&b->many, second, other, LENGTH, 0, NULL);
    llama_rig_append(&b->many, first, tokens + 13, LENGTH - 13, 0, got + 13 * b->many.vocabulary);
    assert_bits(got, want, count, "evicted and prefilled again");
    sa_kv_release(b->many.kv, first);
    first = llama_rig_begin(&b->many);
    llama_rig_append(&b->many, first, tokens, LENGTH, 0, got);
    assert_bits(got, want, count, "released and prefilled again");
    sa_kv_release(b->many.kv, first);
    sa_kv_release(b->many.kv, second);
    free(want);
    free(got);
}

/* Every third item greedy, the others with all that sampling has. */
static sa_sample_choice choice_of(const both_rigs *b, size_t item, size_t step)
{
    uint32_t word = sa_philox_block(b->seed, item, step).word[0];
    sa_sample_choice choice = {.top_p = 1.0f};
    if (item % 3 != 0) {
        choice = (sa_sample_choice){.temperature = 0.9f, .top_p = item % 3 == 1 ? 0.9f : 1.0f};
        choice.u = sa_philox_unit(word);
        choice.min_p = item % 4 == 0 ? 0.05f : 0.0f;
        choice.top_k = item % 5 == 0 ? 7 : 0;
    }
    return choice;
}

typedef struct {
    int32_t token[STEPS];
    float logprob[STEPS];
} sampled;

static size_t prompt_length(size_t item)
{
    return 1 + item * 7 % LONGEST;
}

/* The items' first tokens in one forward, then step by step together. */
static void run_batch(both_rigs *b, int32_t prompts[BATCH][LONGEST], sampled *out)
{
    llama_rig_part parts[BATCH];
    sa_sample_choice choices[BATCH];
    int32_t tokens[BATCH];
    float logprobs[BATCH];
    sa_error err;
    for (size_t i = 0; i < BATCH; i++) {
        parts[i] = (llama_rig_part){.sequence = llama_rig_begin(&b->many),
                                    .tokens = prompts[i],
                                    .count = prompt_length(i),
                                    .logits = 1};
    }
    for (size_t step = 0; step < STEPS; step++) {
        must(llama_rig_forward(&b->many, parts, BATCH, &err), &err);
        for (size_t i = 0; i < BATCH; i++) {
            choices[i] = choice_of(b, i, step);
        }
        must(sa_llama_sample(b->many.llama, choices, tokens, logprobs, &err), &err);
        for (size_t i = 0; i < BATCH; i++) {
            out[i].token[step] = tokens[i];
            out[i].logprob[step] = logprobs[i];
            parts[i].tokens = &out[i].token[step];
            parts[i].count = 1;
        }
    }
    for (size_t i = 0; i < BATCH; i++) {
        sa_kv_release(b->many.kv, parts[i].sequence);
    }
}

static void run_alone(both_rigs *b, size_t item, const int32_t *prompt, size_t length, sampled *out)
{
    sa_kv_sequence sequence = llama_rig_begin(&b->alone);
    llama_rig_append(&b->alone, sequence, prompt, length, 1, NULL);
    for (size_t step = 0; step < STEPS; step++) {
        sa_sample_choice choice = choice_of(b, item, step);
        llama_rig_continue(&b->alone, sequence, &choice, 1, &out->token[step], &out->logprob[step]);
    }
    sa_kv_release(b->alone.kv, sequence);
}

static void check_batch(both_rigs *b)
{
    static int32_t prompts[BATCH][LONGEST];
    static sampled together[BATCH];
    for (size_t i = 0; i < BATCH; i++) {
        fill_tokens(b, prompts[i], LONGEST, 20 + i);
    }
    run_batch(b, prompts, together);
    for (size_t i = 0; i < BATCH; i++) {
        sampled one;
        run_alone(b, i, prompts[i], prompt_length(i), &one);
        assert_memory_equal(one.token, together[i].token, sizeof one.token);
        assert_bits(together[i].logprob, one.logprob, STEPS, "in a batch of 33");
    }
}

enum { FAMILY = 6, FAMILY_PROMPT = 290 };

/* Forks of one long prompt that are decoded together, so that attention reads what they share once. */
static void run_family(both_rigs *b, const int32_t *prompt, sampled *out)
{
    llama_rig_part parts[FAMILY];
    sa_sample_choice choices[FAMILY];
    int32_t tokens[FAMILY];
    float logprobs[FAMILY];
    sa_error err;
    sa_kv_sequence parent = llama_rig_begin(&b->many);
    llama_rig_append(&b->many, parent, prompt, FAMILY_PROMPT - 1, 0, NULL);
    for (size_t i = 0; i < FAMILY; i++) {
        parts[i] = (llama_rig_part){.tokens = prompt + FAMILY_PROMPT - 1, .count = 1, .logits = 1};
        must(sa_kv_fork(b->many.kv, parent, &parts[i].sequence, &err), &err);
    }
    for (size_t step = 0; step < STEPS; step++) {
        must(llama_rig_forward(&b->many, parts, FAMILY, &err), &err);
        for (size_t i = 0; i < FAMILY; i++) {
            choices[i] = choice_of(b, i, step);
        }
        must(sa_llama_sample(b->many.llama, choices, tokens, logprobs, &err), &err);
        for (size_t i = 0; i < FAMILY; i++) {
            out[i].token[step] = tokens[i];
            out[i].logprob[step] = logprobs[i];
            parts[i].tokens = &out[i].token[step];
        }
    }
    for (size_t i = 0; i < FAMILY; i++) {
        sa_kv_release(b->many.kv, parts[i].sequence);
    }
    sa_kv_release(b->many.kv, parent);
}

static void check_family(both_rigs *b)
{
    int32_t prompt[FAMILY_PROMPT];
    sampled together[FAMILY], one;
    fill_tokens(b, prompt, FAMILY_PROMPT, 90);
    run_family(b, prompt, together);
    for (size_t i = 0; i < FAMILY; i++) {
        run_alone(b, i, prompt, FAMILY_PROMPT, &one);
        assert_memory_equal(one.token, together[i].token, sizeof one.token);
        assert_bits(together[i].logprob, one.logprob, STEPS, "forks decoded together");
    }
}

static void check_invariance(const char *variant, sa_dtype precision, int threads)
{
    both_rigs b = open_both(variant, precision, threads);
    check_pieces(&b);
    check_forks(&b);
    check_eviction(&b);
    check_batch(&b);
    if (sa_llama_context(b.many.llama) > FAMILY_PROMPT + STEPS) {
        check_family(&b);
    }
    close_both(&b);
}

static void test_invariance(void **state)
{
    (void)state;
    if (!test_on_cpu()) { /* its threads compute nothing, and it may be a simulated one */
        check_invariance("llama3", SA_BF16, 1);
        check_invariance("llama3", SA_F16, 2);
        return;
    }
    for (int threads = 1; threads <= 3; threads++) {
        check_invariance("llama3", SA_F32, threads);
        check_invariance("llama3", SA_BF16, threads);
    }
    check_invariance("qwen2", SA_BF16, 2);
    check_invariance("linear", SA_F32, 2);
}

/* -- Embeddings in place of tokens -- */

/* Rows of the embedding as a caller would have them: f32, on the device. */
static float *embedding_rows(llama_rig *r, const char *variant, const int32_t *tokens, size_t count)
{
    sa_error err;
    sa_weights *weights;
    void *rows;
    sa_stream *stream;
    size_t width = sa_llama_get_config(r->llama)->hidden;
    float *host = malloc(count * width * sizeof *host);
    must(sa_weights_open(&weights, path_of(variant, ""), &err), &err);
    const sa_tensor *table = sa_weights_find(weights, "model.embed_tokens.weight");
    for (size_t i = 0; i < count; i++) {
        sa_tensor_read_f32(table, (size_t)tokens[i] * width, width, host + i * width);
    }
    must(sa_device_alloc(r->device, count * width * sizeof *host, "embeddings", &rows, &err), &err);
    must(sa_stream_open(&stream, r->device, &err), &err);
    sa_stream_upload(stream, rows, host, count * width * sizeof *host);
    must(sa_stream_wait(stream, &err), &err);
    sa_stream_close(stream);
    sa_weights_close(weights);
    free(host);
    return rows;
}

/* Runs of embeddings at the beginning, in the middle and at the end. */
static void test_embeddings(void **state)
{
    (void)state;
    enum { LENGTH = 20, ROWS_OF = 9 };
    static const size_t places[ROWS_OF] = {0, 1, 7, 8, 9, 10, 13, 18, 19};
    sa_llama_options options = options_for(SA_BF16, 64, 40);
    llama_rig r = llama_rig_open(path_of("llama2", ""), &options, NULL, 2);
    size_t count = LENGTH * r.vocabulary;
    float *want = malloc(count * sizeof *want), *got = malloc(count * sizeof *got);
    int32_t tokens[LENGTH], replaced[ROWS_OF];
    sa_error err;
    for (size_t i = 0; i < LENGTH; i++) {
        tokens[i] = (int32_t)pick(5, i, r.vocabulary);
    }
    llama_rig_append(&r, llama_rig_begin(&r), tokens, LENGTH, 0, want);
    for (size_t i = 0; i < ROWS_OF; i++) {
        replaced[i] = tokens[places[i]];
        tokens[places[i]] = SA_LLAMA_EMBEDDING;
    }
    float *rows = embedding_rows(&r, "llama2", replaced, ROWS_OF);
    llama_rig_part part = {.sequence = llama_rig_begin(&r),
                           .tokens = tokens,
                           .count = LENGTH,
                           .logits = LENGTH,
                           .embeddings = rows};
    must(llama_rig_forward(&r, &part, 1, &err), &err);
    must(sa_llama_read_logits(r.llama, 0, LENGTH, got, &err), &err);
    assert_bits(got, want, count, "embeddings in place of tokens");
    sa_device_free(r.device, rows);
    llama_rig_close(&r);
    free(want);
    free(got);
}

/* -- Bad input -- */

static void test_bad_items(void **state)
{
    (void)state;
    sa_llama_options options = options_for(SA_F32, 64, 40);
    options.context = 30;
    llama_rig r = llama_rig_open(path_of("llama2", ""), &options, NULL, 1);
    int32_t tokens[40] = {0}, page_list[4] = {0, 1, 2, 3};
    sa_error err = {0};
    sa_llama_item items[2] = {{.count = 3, .tokens = tokens, .pages = page_list, .logits = 1},
                              {.count = 31, .tokens = tokens, .pages = page_list}};
    assert_int_equal(sa_llama_forward(r.llama, items, 2, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "item 1: 31 tokens are more than the context of 30"));
    items[1].count = 2;
    items[1].start = SIZE_MAX - 1;
    assert_int_equal(sa_llama_forward(r.llama, items, 2, &err), SA_BAD_INPUT);
    items[1].start = 0;
    tokens[2] = 96;
    assert_int_equal(sa_llama_forward(r.llama, items, 2, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "item 0: token 96 at place 2 is outside of the vocabulary of 96"));
    tokens[2] = -3;
    assert_int_equal(sa_llama_forward(r.llama, items, 2, &err), SA_BAD_INPUT);
    llama_rig_close(&r);
}

/* A page table, a long prompt and a full cache meet: a status, and the others go on. */
static void test_full_cache(void **state)
{
    (void)state;
    sa_llama_options options = options_for(SA_F32, 64, 2);
    llama_rig r = llama_rig_open(path_of("llama2", ""), &options, NULL, 1);
    int32_t tokens[40] = {0};
    sa_error err = {0};
    llama_rig_part part = {.sequence = llama_rig_begin(&r), .tokens = tokens, .count = 33, .logits = 1};
    assert_int_equal(llama_rig_forward(&r, &part, 1, &err), SA_NO_ROOM);
    part.count = 32;
    must(llama_rig_forward(&r, &part, 1, &err), &err);
    part.count = 1;
    assert_int_equal(llama_rig_forward(&r, &part, 1, &err), SA_NO_ROOM);
    llama_rig_close(&r);
}

/* A copy of a variant's directory with one file changed. */
typedef struct {
    char path[64];
} scratch;

static void copy_file(const char *from, const char *to, const char *old, const char *new)
{
    unsigned char *bytes;
    size_t size;
    sa_error err;
    must(sa_file_read(from, 1 << 20, &bytes, &size, &err), &err);
    char *at = old != NULL ? strstr((char *)bytes, old) : NULL;
    assert_true(old == NULL || at != NULL);
    FILE *file = fopen(to, "wb");
    assert_non_null(file);
    size_t before = at != NULL ? (size_t)(at - (char *)bytes) : size;
    fwrite(bytes, 1, before, file);
    if (at != NULL) {
        fputs(new, file);
        fwrite(at + strlen(old), 1, size - before - strlen(old), file);
    }
    assert_int_equal(fclose(file), 0);
    free(bytes);
}

static scratch copy_variant(const char *variant, const char *old, const char *new)
{
    scratch s = {"/tmp/segagent-test-XXXXXX"};
    char to[100];
    assert_non_null(mkdtemp(s.path));
    snprintf(to, sizeof to, "%s/config.json", s.path);
    copy_file(path_of(variant, "/config.json"), to, old, new);
    snprintf(to, sizeof to, "%s/model.safetensors", s.path);
    copy_file(path_of(variant, "/model.safetensors"), to, NULL, NULL);
    return s;
}

static void drop_scratch(const scratch *s)
{
    char path[100];
    snprintf(path, sizeof path, "%s/config.json", s->path);
    remove(path);
    snprintf(path, sizeof path, "%s/model.safetensors", s->path);
    remove(path);
    assert_int_equal(remove(s->path), 0);
}

static sa_status open_status(const char *path, sa_error *err)
{
    sa_device *device;
    sa_llama *llama = NULL;
    sa_device_options device_options = {.name = test_device(), .threads = 1};
    sa_llama_options options = sa_llama_default_options();
    must(sa_device_open(&device, &device_options, err), err);
    sa_status status = sa_llama_open(&llama, device, path, &options, err);
    sa_llama_close(llama);
    sa_device_close(device);
    return status;
}

static void test_bad_directories(void **state)
{
    (void)state;
    static const struct {
        const char *variant, *old, *new, *reason;
    } cases[] = {
        {"llama2", "\"vocab_size\": 96", "\"vocab_size\": 97",
         "model.embed_tokens.weight: expected f32|f16|bf16|f64 [97, 64], found bf16 [96, 64]"},
        {"llama2", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "9 missing"},
        {"llama2", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "9 unexpected"},
        {"llama2", "\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true",
         "lm_head.weight: expected the same values as model.embed_tokens.weight"},
        {"qwen2", "\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false", "lm_head.weight"},
        {"qwen2", "\"model_type\": \"qwen2\"", "\"model_type\": \"llama\"", "unexpected"},
        {"llama2", "\"silu\"", "\"gelu\"", "hidden_act \"gelu\" is not supported"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sa_error err = {0};
        scratch s = copy_variant(cases[i].variant, cases[i].old, cases[i].new);
        assert_int_equal(open_status(s.path, &err), SA_BAD_INPUT);
        if (strstr(err.reason, cases[i].reason) == NULL) {
            fail_msg("%s: said \"%s\", not \"%s\"", cases[i].new, err.reason, cases[i].reason);
        }
        assert_true(err.file[0] != '\0' && err.hint[0] != '\0');
        drop_scratch(&s);
    }
}

/* Makes 64 values of layer 1's last product so large that their sums overflow. */
static void spoil_layer(const scratch *s, const char *tensor, float value)
{
    char path[100];
    sa_weights *weights;
    sa_error err;
    float values[64];
    snprintf(path, sizeof path, "%s/model.safetensors", s->path);
    for (size_t i = 0; i < 64; i++) {
        values[i] = i % 2 == 0 ? value : -value;
    }
    must(sa_weights_open(&weights, path, &err), &err);
    const sa_tensor *found = sa_weights_find(weights, tensor);
    const sa_tensor *first = sa_weights_at(weights, 0);
    assert_true(found->dtype == SA_F32 && found->count >= 64);
    for (size_t i = 1; i < sa_weights_count(weights); i++) {
        const sa_tensor *t = sa_weights_at(weights, i);
        first = t->data < first->data ? t : first;
    }
    size_t behind = (size_t)(found->data - first->data), bytes = 0;
    for (size_t i = 0; i < sa_weights_count(weights); i++) {
        bytes += sa_weights_at(weights, i)->bytes;
    }
    sa_weights_close(weights);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    /* the data stand at the file's end */
    assert_int_equal(fseek(file, -(long)(bytes - behind), SEEK_END), 0);
    assert_int_equal(fwrite(values, sizeof values, 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

static void test_no_numbers(void **state)
{
    (void)state;
    scratch s = copy_variant("linear", NULL, NULL);
    spoil_layer(&s, "model.layers.1.mlp.down_proj.weight", 3e38f);
    sa_llama_options options = options_for(SA_F32, 64, 40);
    llama_rig r = llama_rig_open(s.path, &options, NULL, 1);
    int32_t tokens[5] = {3, 1, 4, 1, 5}, token;
    float logprob;
    sa_error err = {0};
    sa_sample_choice choice = {.top_p = 1.0f};
    llama_rig_append(&r, llama_rig_begin(&r), tokens, 5, 0, NULL);
    assert_int_equal(sa_llama_sample(r.llama, &choice, &token, &logprob, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "item 0: the logits are not finite, since layer 1 of 2"));
    assert_int_equal(token, -1);
    llama_rig_close(&r);
    drop_scratch(&s);
}

/* Of two items one has embeddings that are none: it is named, and the other's token is as ever. */
static void test_item_named(void **state)
{
    (void)state;
    sa_llama_options options = options_for(SA_F32, 64, 40);
    llama_rig r = llama_rig_open(path_of("llama2", ""), &options, NULL, 1);
    int32_t good[3] = {5, 6, 7}, bad[2] = {8, SA_LLAMA_EMBEDDING}, tokens[3], alone;
    float logprobs[3], nan[64];
    void *rows;
    sa_error err = {0};
    sa_stream *stream;
    sa_sample_choice choices[3] = {{.top_p = 1.0f}, {.top_p = 1.0f}, {.top_p = 1.0f}};
    llama_rig_append(&r, llama_rig_begin(&r), good, 3, 0, NULL);
    must(sa_llama_sample(r.llama, choices, &alone, logprobs, &err), &err);
    for (size_t i = 0; i < 64; i++) {
        nan[i] = NAN;
    }
    must(sa_device_alloc(r.device, sizeof nan, "embeddings", &rows, &err), &err);
    must(sa_stream_open(&stream, r.device, &err), &err);
    sa_stream_upload(stream, rows, nan, sizeof nan);
    must(sa_stream_wait(stream, &err), &err);
    llama_rig_part parts[2] = {
        {.sequence = llama_rig_begin(&r), .tokens = good, .count = 3, .logits = 2},
        {.sequence = llama_rig_begin(&r), .tokens = bad, .count = 2, .logits = 1, .embeddings = rows}};
    must(llama_rig_forward(&r, parts, 2, &err), &err);
    assert_int_equal(sa_llama_sample(r.llama, choices, tokens, logprobs, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "item 1: its embeddings are not finite"));
    assert_true(tokens[1] == alone && tokens[2] == -1);
    /* a prompt in pieces: it is the first that has the blame, though the last one's own numbers end in a
     * layer */
    llama_rig_part first = {.sequence = llama_rig_begin(&r), .tokens = bad, .count = 2, .embeddings = rows};
    llama_rig_part last = {.sequence = first.sequence, .tokens = good, .count = 3, .logits = 1};
    must(llama_rig_forward(&r, &first, 1, &err), &err);
    must(llama_rig_forward(&r, &last, 1, &err), &err);
    assert_int_equal(sa_llama_sample(r.llama, choices, tokens, logprobs, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "item 0: its embeddings are not finite"));
    sa_stream_close(stream);
    sa_device_free(r.device, rows);
    llama_rig_close(&r);
}

/* -- Memory -- */

static void test_no_allocation_after_start(void **state)
{
    (void)state;
    both_rigs b = open_both("llama3", SA_BF16, 2);
    static int32_t prompts[BATCH][LONGEST];
    static sampled out[BATCH];
    size_t before = sa_device_allocation_count(b.many.device);
    allocations = 0;
    counting = true;
    void *volatile probe = malloc(1); /* the count itself works */
    free(probe);
    assert_int_equal(allocations, 1);
    run_batch(&b, prompts, out);
    counting = false;
    assert_int_equal(allocations, 1);
    assert_int_equal(sa_device_allocation_count(b.many.device), before);
    close_both(&b);
}

/* KV bytes to the letter: 2 pools a layer of pages x Hkv x 16 x d. */
static void test_memory(void **state)
{
    (void)state;
    sa_llama_options options = options_for(SA_BF16, 64, 48);
    llama_rig r = llama_rig_open(path_of("llama3", ""), &options, NULL, 1);
    sa_llama_memory memory = sa_llama_get_memory(r.llama);
    assert_int_equal(memory.page_bytes, 2 * 2 * 2 * SA_KV_PAGE * 32 * 2);
    assert_int_equal(memory.kv_bytes, 48 * memory.page_bytes);
    assert_int_equal(sa_device_allocated(r.device),
                     memory.weight_bytes + memory.kv_bytes + memory.activation_bytes);
    llama_rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_f32),      cmocka_unit_test(test_golden_bf16),
        cmocka_unit_test(test_golden_f16),      cmocka_unit_test(test_planted_faults),
        cmocka_unit_test(test_invariance),      cmocka_unit_test(test_embeddings),
        cmocka_unit_test(test_bad_items),       cmocka_unit_test(test_full_cache),
        cmocka_unit_test(test_bad_directories), cmocka_unit_test(test_no_numbers),
        cmocka_unit_test(test_item_named),      cmocka_unit_test(test_no_allocation_after_start),
        cmocka_unit_test(test_memory),
    };
    /* Some alone, for modes of the simulated GPU: "*_f16". Unset or empty: all. */
    const char *only = getenv("SEGAGENT_TEST_ONLY");
    cmocka_set_test_filter(only != NULL && only[0] != '\0' ? only : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
