/*
 * Answers: the same bit for bit alone, in company, in pieces, and when pages run out on the way; what ends
 * them; prompts that fail beside others that do not. The model is a tiny random LLaMA, the tokenizer names
 * token i "<i>".
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/engine/generate.h"
#include "tests/check.h"

#define MODEL "tests/golden/llama/llama2"

enum { PROMPTS = 33, MOST_PROMPT = 90, ANSWER = 24 };

typedef struct {
    sa_device *device;
    sa_tokenizer *tokenizer;
    sa_llama *llama;
    sa_generator *generator;
    int32_t words[PROMPTS][MOST_PROMPT];
    sa_generate_prompt prompts[PROMPTS];
} world;

static void must(sa_status status, const sa_error *err)
{
    if (status != SA_OK) {
        fail_msg("%s: %s", err->file, err->reason);
    }
}

/* Token i is "<i>". */
static sa_tokenizer *word_tokenizer(size_t vocabulary)
{
    size_t room = 512 + vocabulary * 24;
    char *json = malloc(room);
    assert_non_null(json);
    int at = snprintf(json, room,
                      "{\"added_tokens\":[],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Whitespace\"},"
                      "\"post_processor\":null,\"decoder\":null,"
                      "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"<0>\",\"vocab\":{");
    for (size_t i = 0; i < vocabulary; i++) {
        at += snprintf(json + at, room - (size_t)at, "%s\"<%zu>\":%zu", i > 0 ? "," : "", i, i);
    }
    snprintf(json + at, room - (size_t)at, "}}}");
    sa_tokenizer *tokenizer = NULL;
    sa_error err;
    must(sa_tokenizer_parse_json(&tokenizer, "test", json, strlen(json), &err), &err);
    free(json);
    return tokenizer;
}

static void open_generator(world *w, const sa_llama_options *options)
{
    sa_error err;
    sa_generator_close(w->generator);
    sa_llama_close(w->llama);
    must(sa_llama_open(&w->llama, w->device, MODEL, options, &err), &err);
    if (w->tokenizer == NULL) {
        w->tokenizer = word_tokenizer(sa_llama_get_config(w->llama)->vocabulary);
    }
    must(sa_generator_open(&w->generator, w->llama, options, w->tokenizer, &err), &err);
}

static void make_prompts(world *w)
{
    size_t vocabulary = sa_llama_get_config(w->llama)->vocabulary;
    for (uint32_t i = 0; i < PROMPTS; i++) {
        size_t count = 1 + sa_philox_block(5, i, 0).word[0] % MOST_PROMPT;
        for (uint32_t t = 0; t < count; t++) {
            w->words[i][t] = (int32_t)(sa_philox_block(6, i, t).word[0] % vocabulary);
        }
        w->prompts[i] = (sa_generate_prompt){.tokens = w->words[i], .count = count, .item = i};
    }
}

/* Room for many at a time. */
static sa_llama_options wide(void)
{
    sa_llama_options o = sa_llama_default_options();
    o.context = MOST_PROMPT + ANSWER;
    o.items = o.logit_rows = PROMPTS;
    o.rows = 64;
    o.pages = PROMPTS * 8;
    return o;
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    sa_error err;
    sa_llama_options options = wide();
    assert_non_null(w);
    must(sa_device_open(&w->device, &(sa_device_options){.name = "cpu", .threads = 2}, &err), &err);
    open_generator(w, &options);
    make_prompts(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    sa_generator_close(w->generator);
    sa_llama_close(w->llama);
    sa_tokenizer_close(w->tokenizer);
    sa_device_close(w->device);
    free(w);
    return 0;
}

static sa_generate_options some(float temperature)
{
    sa_generate_options o = sa_generate_default_options();
    o.temperature = temperature;
    o.max_tokens = ANSWER;
    o.seed = 11;
    return o;
}

static void answer_all(world *w, size_t first, size_t count, float temperature, sa_generate_answer *answers)
{
    sa_error err;
    sa_generate_options options = some(temperature);
    memset(answers, 0, count * sizeof *answers);
    must(sa_generate(w->generator, w->prompts + first, count, &options, NULL, answers, &err), &err);
}

static void free_all(sa_generate_answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sa_generate_answer_free(&answers[i]);
    }
}

static void expect_equal(const sa_generate_answer *a, const sa_generate_answer *b)
{
    assert_int_equal(a->status, SA_OK);
    assert_int_equal(b->status, SA_OK);
    assert_int_equal(a->tokens.count, b->tokens.count);
    assert_memory_equal(a->tokens.ids, b->tokens.ids, a->tokens.count * sizeof(int32_t));
    assert_memory_equal(a->logprobs, b->logprobs, a->tokens.count * sizeof(float));
    assert_int_equal(a->text.size, b->text.size);
    assert_memory_equal(a->text.bytes, b->text.bytes, a->text.size);
    assert_int_equal(a->stop, b->stop);
}

static void alone_and_together(world *w, float temperature)
{
    sa_generate_answer together[PROMPTS], alone;
    answer_all(w, 0, PROMPTS, temperature, together);
    for (size_t i = 0; i < PROMPTS; i++) {
        answer_all(w, i, 1, temperature, &alone);
        assert_int_equal(alone.tokens.count, ANSWER);
        expect_equal(&together[i], &alone);
        sa_generate_answer_free(&alone);
    }
    free_all(together, PROMPTS);
}

static void test_company_does_not_matter(void **state)
{
    alone_and_together(*state, 0.0f);
    alone_and_together(*state, 0.9f);
}

/* So few pages that prompts are put off and answers are begun again. */
static void test_few_pages(void **state)
{
    world *w = *state;
    sa_generate_answer roomy[PROMPTS], tight[PROMPTS];
    answer_all(w, 0, PROMPTS, 0.7f, roomy);
    sa_llama_options options = wide();
    options.pages = 9; /* the longest prompt with its answer takes eight */
    options.rows = 20;
    open_generator(w, &options);
    answer_all(w, 0, PROMPTS, 0.7f, tight);
    for (size_t i = 0; i < PROMPTS; i++) {
        expect_equal(&tight[i], &roomy[i]);
    }
    free_all(roomy, PROMPTS);
    free_all(tight, PROMPTS);
    options = wide();
    open_generator(w, &options);
}

/* One that finds no room, one that is too long, one with a token of another model: the others do not care. */
static void test_failures_stay_alone(void **state)
{
    world *w = *state;
    sa_generate_answer good, answers[4] = {{0}};
    int32_t many[MOST_PROMPT + ANSWER + 1] = {0}, foreign[3] = {1, 1 << 20, 2};
    sa_error err;
    answer_all(w, 4, 1, 0.0f, &good);
    const sa_generate_prompt prompts[4] = {{.tokens = many, .count = MOST_PROMPT + ANSWER + 1},
                                           {.tokens = foreign, .count = 3},
                                           w->prompts[4],
                                           {.tokens = many, .count = 0}};
    sa_generate_options options = some(0.0f);
    must(sa_generate(w->generator, prompts, 4, &options, NULL, answers, &err), &err);
    assert_int_equal(answers[0].status, SA_BAD_INPUT);
    assert_non_null(strstr(answers[0].error.reason, "context"));
    assert_int_equal(answers[1].status, SA_BAD_INPUT);
    assert_non_null(strstr(answers[1].error.reason, "1048576"));
    assert_int_equal(answers[3].status, SA_BAD_INPUT);
    expect_equal(&answers[2], &good);
    free_all(answers, 4);
    sa_generate_answer_free(&good);
}

static void test_too_few_pages_for_one(void **state)
{
    world *w = *state;
    sa_generate_answer answers[2] = {{0}};
    sa_llama_options options = wide();
    sa_error err;
    options.pages = 2;
    open_generator(w, &options);
    int32_t words[40] = {0};
    const sa_generate_prompt prompts[2] = {{.tokens = words, .count = 20}, {.tokens = words, .count = 40}};
    sa_generate_options greedy = some(0.0f);
    must(sa_generate(w->generator, prompts, 2, &greedy, NULL, answers, &err), &err);
    assert_int_equal(answers[0].status, SA_NO_ROOM); /* two pages hold twelve more and no others */
    assert_int_equal(answers[0].tokens.count, 13);
    assert_int_equal(answers[1].status, SA_NO_ROOM);
    free_all(answers, 2);
    options = wide();
    open_generator(w, &options);
}

/* -- Embeddings in place of tokens -- */

enum { PICTURES = 6 };

/* What of a prompt is given as rows: two runs, where it is long enough. */
static bool is_replaced(size_t count, size_t t)
{
    return count > 12 && ((t >= 1 && t < 6) || t >= count - 4);
}

/* The prompt's copy with tokens replaced by the model's own embeddings of them, on the device. */
static void replace_tokens(world *w, const sa_weights *weights, size_t index, int32_t *words, void **rows)
{
    const sa_tensor *table = sa_weights_find(weights, "model.embed_tokens.weight");
    size_t width = sa_llama_get_config(w->llama)->hidden, count = w->prompts[index].count, replaced = 0;
    float *host = malloc(MOST_PROMPT * width * sizeof *host);
    sa_stream *stream;
    sa_error err;
    for (size_t t = 0; t < count; t++) {
        words[t] = w->words[index][t];
        if (is_replaced(count, t)) {
            sa_tensor_read_f32(table, (size_t)words[t] * width, width, host + replaced++ * width);
            words[t] = SA_LLAMA_EMBEDDING;
        }
    }
    size_t bytes = replaced * width * sizeof *host;
    must(sa_device_alloc(w->device, bytes + 1, "rows", rows, &err), &err);
    must(sa_stream_open(&stream, w->device, &err), &err);
    sa_stream_upload(stream, *rows, host, bytes);
    must(sa_stream_wait(stream, &err), &err);
    sa_stream_close(stream);
    free(host);
}

/* Answers prompts with rows, in pieces and with few pages, so that rows are found again after a restart. */
static void answer_replaced(world *w, bool spoil_first, sa_generate_answer *answers)
{
    static int32_t words[PICTURES][MOST_PROMPT];
    sa_generate_prompt prompts[PICTURES];
    void *rows[PICTURES];
    sa_weights *weights;
    sa_error err;
    sa_llama_options options = wide();
    options.pages = 9;
    options.rows = 7;
    open_generator(w, &options);
    must(sa_weights_open(&weights, MODEL, &err), &err);
    for (size_t i = 0; i < PICTURES; i++) {
        replace_tokens(w, weights, i, words[i], &rows[i]);
        prompts[i] = w->prompts[i];
        prompts[i].tokens = words[i];
        prompts[i].embeddings = rows[i];
    }
    if (spoil_first) { /* the device is the CPU: its memory is here */
        assert_true(prompts[0].count > 12);
        *(float *)rows[0] = (float)NAN;
    }
    sa_generate_options greedy = some(0.0f);
    memset(answers, 0, PICTURES * sizeof *answers);
    must(sa_generate(w->generator, prompts, PICTURES, &greedy, NULL, answers, &err), &err);
    for (size_t i = 0; i < PICTURES; i++) {
        sa_device_free(w->device, rows[i]);
    }
    sa_weights_close(weights);
    options = wide();
    open_generator(w, &options);
}

static void test_embeddings(void **state)
{
    world *w = *state;
    sa_generate_answer want[PICTURES], got[PICTURES], spoilt[PICTURES];
    answer_all(w, 0, PICTURES, 0.0f, want);
    answer_replaced(w, false, got);
    answer_replaced(w, true, spoilt);
    assert_int_equal(spoilt[0].status, SA_BAD_INPUT);
    assert_non_null(strstr(spoilt[0].error.reason, "not finite"));
    for (size_t i = 0; i < PICTURES; i++) {
        expect_equal(&got[i], &want[i]);
        if (i >
            0) { /* what is no number stays with the prompt that brought it, in its pages' next life, too */
            expect_equal(&spoilt[i], &want[i]);
        }
    }
    free_all(want, PICTURES);
    free_all(got, PICTURES);
    free_all(spoilt, PICTURES);
}

typedef struct {
    char text[4096];
    size_t size;
} shown;

static void keep_text(void *context, size_t index, const char *bytes, size_t size)
{
    shown *s = (shown *)context + index;
    assert_true(s->size + size < sizeof s->text);
    memcpy(s->text + s->size, bytes, size);
    s->size += size;
}

/* The text of token 7 of the answer, less its last letter, and its successor's beginning: a stop in pieces.
 */
static void test_stop_text(void **state)
{
    world *w = *state;
    sa_generate_answer free_running, stopped = {0};
    shown seen[1] = {{{0}, 0}};
    sa_error err;
    char stop[64];
    answer_all(w, 2, 1, 0.0f, &free_running);
    snprintf(stop, sizeof stop, "%d> <%d", free_running.tokens.ids[7], free_running.tokens.ids[8]);
    const char *const stops[] = {stop, NULL};
    sa_generate_options options = some(0.0f);
    options.stops = stops;
    const sa_generate_watcher watcher = {.context = seen, .text = keep_text};
    must(sa_generate(w->generator, w->prompts + 2, 1, &options, &watcher, &stopped, &err), &err);
    const char *at = strstr(free_running.text.bytes, stop);
    assert_non_null(at);
    assert_int_equal(stopped.stop, SA_STOP_TEXT);
    assert_int_equal(stopped.text.size, at - free_running.text.bytes);
    assert_memory_equal(stopped.text.bytes, free_running.text.bytes, stopped.text.size);
    assert_int_equal(seen[0].size, stopped.text.size);
    assert_memory_equal(seen[0].text, stopped.text.bytes, stopped.text.size);
    sa_generate_answer_free(&free_running);
    sa_generate_answer_free(&stopped);
}

static void test_watcher_sees_the_text(void **state)
{
    world *w = *state;
    sa_generate_answer answers[PROMPTS] = {{0}};
    shown *seen = calloc(PROMPTS, sizeof *seen);
    sa_error err;
    sa_generate_options options = some(0.5f);
    const sa_generate_watcher watcher = {.context = seen, .text = keep_text};
    assert_non_null(seen);
    must(sa_generate(w->generator, w->prompts, PROMPTS, &options, &watcher, answers, &err), &err);
    for (size_t i = 0; i < PROMPTS; i++) {
        assert_int_equal(answers[i].stop, SA_STOP_LENGTH);
        assert_int_equal(seen[i].size, answers[i].text.size);
        assert_memory_equal(seen[i].text, answers[i].text.bytes, seen[i].size);
    }
    free_all(answers, PROMPTS);
    free(seen);
}

static bool after_three(void *context)
{
    return ++*(int *)context > 3;
}

static void test_interrupt(void **state)
{
    world *w = *state;
    sa_generate_answer answers[2] = {{0}};
    int asked = 0;
    sa_error err;
    sa_generate_options options = some(0.0f);
    const sa_generate_watcher watcher = {.context = &asked, .interrupted = after_three};
    assert_int_equal(sa_generate(w->generator, w->prompts, 2, &options, &watcher, answers, &err),
                     SA_INTERRUPTED);
    free_all(answers, 2);
    sa_generate_answer again;
    answer_all(w, 0, 1, 0.0f, &again); /* nothing is left behind */
    assert_int_equal(again.tokens.count, ANSWER);
    sa_generate_answer_free(&again);
}

static void test_seed_decides(void **state)
{
    world *w = *state;
    sa_generate_answer one, two;
    sa_error err;
    answer_all(w, 3, 1, 1.0f, &one);
    sa_generate_options other = some(1.0f);
    other.seed = 12;
    memset(&two, 0, sizeof two);
    must(sa_generate(w->generator, w->prompts + 3, 1, &other, NULL, &two, &err), &err);
    assert_memory_not_equal(one.tokens.ids, two.tokens.ids, ANSWER * sizeof(int32_t));
    sa_generate_answer_free(&one);
    sa_generate_answer_free(&two);
    assert_true(sa_generate_unit(1, 2, 3, 4, 5) != sa_generate_unit(1, 2, 3, 5, 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_company_does_not_matter),
        cmocka_unit_test(test_few_pages),
        cmocka_unit_test(test_failures_stay_alone),
        cmocka_unit_test(test_too_few_pages_for_one),
        cmocka_unit_test(test_embeddings),
        cmocka_unit_test(test_stop_text),
        cmocka_unit_test(test_watcher_sees_the_text),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_seed_decides),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
