/*
 * Answers: the same bit for bit alone, in company, in pieces, and when pages run out on the way; what ends
 * them; prompts that fail beside others that do not; forks of one prompt; the logits of probes; answers in a
 * form. The model is a tiny random LLaMA, the tokenizer names token i "<i>", or, for answers in a form, the
 * first ones digits and words.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/engine/generate.h"
#include "runtime/engine/kv.h"
#include "tests/check.h"
#include "tests/engine/agent_form.h"

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
    if (a->status != SA_OK || b->status != SA_OK) {
        fail_msg("%s", a->status != SA_OK ? a->error.reason : b->error.reason);
    }
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
    for (int again = 0; again < 2;
         again++) { /* the second time the tree has both pages, and would have to give one */
        must(sa_generate(w->generator, prompts, 2, &greedy, NULL, answers, &err), &err);
        assert_int_equal(answers[0].status, SA_NO_ROOM); /* two pages hold twelve more and no others */
        assert_int_equal(answers[0].tokens.count, 13);
        assert_int_equal(answers[1].status, SA_NO_ROOM);
        free_all(answers, 2);
    }
    const sa_generate_prompt twins[2] = {prompts[0], prompts[0]};
    greedy.max_tokens = 13;
    must(sa_generate(w->generator, twins, 2, &greedy, NULL, answers, &err), &err);
    assert_true(answers[0].status == SA_OK && answers[1].status == SA_OK);
    expect_equal(&answers[0], &answers[1]);
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
    sa_picture_name names[PICTURES];
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
        names[i] = (sa_picture_name){i, 7};
        prompts[i].tokens = words[i];
        prompts[i].embeddings = rows[i];
        prompts[i].pictures = &names[i];
        prompts[i].picture_rows = MOST_PROMPT;
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
    assert_int_equal(strlen(stopped.text.bytes), stopped.text.size); /* its end is that of the string, too */
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

/* -- The same prompt again -- */

enum { FORKS = 5, GROUPS = 6, FORKED = FORKS * GROUPS };

static size_t forked_count(size_t group)
{
    static const size_t counts[GROUPS] = {1, 2, SA_KV_PAGE, SA_KV_PAGE + 1, 40, MOST_PROMPT};
    return counts[group];
}

/* Each group's prompt FORKS times. */
static void make_forked(const world *w, sa_generate_prompt *prompts, int32_t (*words)[MOST_PROMPT])
{
    for (size_t i = 0; i < FORKED; i++) {
        size_t group = i / FORKS;
        for (size_t t = 0; t < MOST_PROMPT; t++) {
            words[group][t] =
                (int32_t)(sa_philox_block(8, group, t).word[0] % sa_llama_get_config(w->llama)->vocabulary);
        }
        prompts[i] = (sa_generate_prompt){.tokens = words[group],
                                          .count = forked_count(group),
                                          .item = group,
                                          .node = 3,
                                          .candidate = (uint32_t)(i % FORKS),
                                          .greedy = i % FORKS == 2};
    }
}

/* Together, or each by itself in a generator that knows nothing yet. */
static void answer_forked(world *w, bool apart, sa_generate_answer *answers)
{
    static int32_t words[GROUPS][MOST_PROMPT];
    sa_generate_prompt prompts[FORKED];
    sa_generate_options options = some(0.9f);
    sa_llama_options room = wide();
    sa_error err;
    make_forked(w, prompts, words);
    memset(answers, 0, FORKED * sizeof *answers);
    for (size_t i = 0; apart && i < FORKED; i++) {
        open_generator(w, &room);
        must(sa_generate(w->generator, &prompts[i], 1, &options, NULL, &answers[i], &err), &err);
    }
    if (!apart) {
        must(sa_generate(w->generator, prompts, FORKED, &options, NULL, answers, &err), &err);
    }
}

/* Tokens that have to be computed: of each group's prompt all of them once, and the last one for each fork.
 */
static size_t least_prefilled(bool again)
{
    size_t tokens = 0;
    for (size_t group = 0; group < GROUPS; group++) {
        tokens += again ? FORKS : forked_count(group) + FORKS - 1;
    }
    return tokens;
}

/* With pages and rows for all, for a few, and for hardly one, so that forks lose their pages and leaders end
 * before their forks begin. */
static void test_forks(void **state)
{
    static const size_t room[][3] = {
        {PROMPTS * 8, 64, PROMPTS}, {40, 30, PROMPTS}, {9, 20, PROMPTS}, {9, 7, 3}, {8, 64, 2},
        {PROMPTS * 8, 200, 1}};
    world *w = *state;
    sa_generate_answer apart[FORKED], forked[FORKED];
    answer_forked(w, true, apart);
    for (size_t i = 0; i < sizeof room / sizeof room[0]; i++) {
        sa_llama_options options = wide();
        options.pages = room[i][0];
        options.rows = room[i][1];
        options.items = options.logit_rows = room[i][2];
        open_generator(w, &options);
        for (int again = 0; again < 2;
             again++) { /* the second time all beginnings are there, if there is room */
            size_t before = sa_generator_get_counts(w->generator).prefilled;
            answer_forked(w, false, forked);
            size_t prefilled = sa_generator_get_counts(w->generator).prefilled - before;
            assert_true(prefilled >= least_prefilled(again));
            assert_true(room[i][0] < PROMPTS * 8 || prefilled == least_prefilled(again));
            for (size_t k = 0; k < FORKED; k++) {
                expect_equal(&forked[k], &apart[k]);
            }
            free_all(forked, FORKED);
        }
    }
    for (size_t k = 1; k < FORKS; k++) { /* they are not all the same answer */
        assert_memory_not_equal(apart[k].tokens.ids, apart[0].tokens.ids, ANSWER * sizeof(int32_t));
    }
    free_all(apart, FORKED);
    sa_llama_options options = wide();
    open_generator(w, &options);
}

/* A leader that fails does not take its followers along to somewhere else: they fail as it does. */
static void test_forks_of_bad_prompts(void **state)
{
    world *w = *state;
    int32_t foreign[3] = {1, 1 << 20, 2};
    sa_generate_answer answers[5] = {{0}}, good;
    sa_generate_options options = some(0.0f);
    sa_error err;
    answer_all(w, 4, 1, 0.0f, &good);
    const sa_generate_prompt prompts[5] = {{.tokens = foreign, .count = 3},
                                           {.tokens = foreign, .count = 3, .candidate = 1},
                                           w->prompts[4],
                                           w->prompts[4],
                                           w->prompts[4]};
    answers[2].status = SA_BAD_INPUT; /* said to be passed over, and the first of its kind */
    must(sa_generate(w->generator, prompts, 5, &options, NULL, answers, &err), &err);
    assert_true(answers[0].status == SA_BAD_INPUT && answers[1].status == SA_BAD_INPUT);
    assert_int_equal(answers[2].tokens.count, 0);
    expect_equal(&answers[3], &good);
    expect_equal(&answers[4], &good);
    free_all(answers, 5);
    sa_generate_answer_free(&good);
}

/* Embeddings: forks count their rows; equal tokens with other rows are another prompt. */
static void test_forks_of_embeddings(void **state)
{
    world *w = *state;
    static int32_t words[2][MOST_PROMPT];
    size_t index = 0;
    while (w->prompts[index].count < 40) {
        index++;
    }
    sa_generate_answer want, got[4] = {{0}};
    sa_generate_options greedy = some(0.0f);
    sa_weights *weights;
    sa_error err;
    void *rows[2];
    answer_all(w, index, 1, 0.0f, &want);
    must(sa_weights_open(&weights, MODEL, &err), &err);
    replace_tokens(w, weights, index, words[0], &rows[0]);
    replace_tokens(w, weights, index, words[1], &rows[1]);
    memset(rows[1], 0, sizeof(float)); /* on the CPU: another picture */
    sa_generate_prompt prompts[4];
    const sa_picture_name names[2] = {{1, 2}, {1, 3}};
    for (size_t i = 0; i < 4; i++) {
        prompts[i] = w->prompts[index];
        prompts[i].tokens = words[0];
        prompts[i].embeddings = rows[i / 2];
        prompts[i].pictures = &names[i / 2];
        prompts[i].picture_rows = MOST_PROMPT;
    }
    must(sa_generate(w->generator, prompts, 4, &greedy, NULL, got, &err), &err);
    expect_equal(&got[0], &want);
    expect_equal(&got[1], &want);
    expect_equal(&got[3], &got[2]);
    assert_memory_not_equal(got[2].logprobs, want.logprobs, ANSWER * sizeof(float));
    free_all(got, 4);
    sa_generate_answer_free(&want);
    sa_weights_close(weights);
    sa_device_free(w->device, rows[0]);
    sa_device_free(w->device, rows[1]);
}

static void test_greedy_flag(void **state)
{
    world *w = *state;
    sa_generate_answer greedy[PROMPTS], mixed[PROMPTS] = {{0}}, hot[PROMPTS];
    sa_generate_prompt prompts[PROMPTS];
    sa_generate_options options = some(0.9f);
    sa_error err;
    answer_all(w, 0, PROMPTS, 0.0f, greedy);
    answer_all(w, 0, PROMPTS, 0.9f, hot);
    for (size_t i = 0; i < PROMPTS; i++) {
        prompts[i] = w->prompts[i];
        prompts[i].greedy = i % 3 != 0;
    }
    must(sa_generate(w->generator, prompts, PROMPTS, &options, NULL, mixed, &err), &err);
    for (size_t i = 0; i < PROMPTS; i++) {
        expect_equal(&mixed[i], prompts[i].greedy ? &greedy[i] : &hot[i]);
    }
    free_all(greedy, PROMPTS);
    free_all(mixed, PROMPTS);
    free_all(hot, PROMPTS);
}

/* -- Probes -- */

/* The logits behind tokens[0, count), all in one piece, by a decoder of its own. */
static void read_logits(sa_llama *llama, const int32_t *tokens, size_t count, float *logits)
{
    int32_t pages[16];
    sa_error err;
    for (int32_t i = 0; i < 16; i++) {
        pages[i] = i;
    }
    const sa_llama_item item = {.count = count, .tokens = tokens, .pages = pages, .logits = 1};
    must(sa_llama_forward(llama, &item, 1, &err), &err);
    must(sa_llama_read_logits(llama, 0, 1, logits, &err), &err);
}

static sa_llama *open_reader(const world *w)
{
    sa_llama *llama;
    sa_error err;
    sa_llama_options options = sa_llama_default_options();
    options.context = MOST_PROMPT + ANSWER;
    must(sa_llama_open(&llama, w->device, MODEL, &options, &err), &err);
    return llama;
}

static bool is_one_of(const int32_t *list, size_t count, int32_t token)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == token) {
            return true;
        }
    }
    return false;
}

/* The first stretch of probes in an answer, and their logits from the reader. */
static void check_probes(const world *w, sa_llama *reader, size_t prompt, const sa_generate_answer *answer,
                         const int32_t *probes, size_t count)
{
    float logits[128];
    int32_t all[MOST_PROMPT + ANSWER];
    size_t first = 0, length = 0, begin = w->prompts[prompt].count;
    while (first < answer->tokens.count && !is_one_of(probes, count, answer->tokens.ids[first])) {
        first++;
    }
    while (first + length < answer->tokens.count &&
           is_one_of(probes, count, answer->tokens.ids[first + length])) {
        length++;
    }
    assert_int_equal(answer->probed, length);
    assert_true(length == 0 || answer->probe_at == first);
    memcpy(all, w->words[prompt], begin * sizeof *all);
    memcpy(all + begin, answer->tokens.ids, answer->tokens.count * sizeof *all);
    for (size_t i = 0; i < length; i++) {
        read_logits(reader, all, begin + first + i, logits);
        for (size_t k = 0; k < count; k++) {
            assert_memory_equal(&answer->probes[i * count + k], &logits[probes[k]], sizeof(float));
        }
    }
}

/* A quarter of the vocabulary is looked at; with pages for all, and with few. */
static void test_probes(void **state)
{
    world *w = *state;
    int32_t probes[24];
    size_t stretches = 0, later = 0;
    sa_llama *reader = open_reader(w);
    sa_generate_answer plain[PROMPTS];
    sa_error err;
    answer_all(w, 0, PROMPTS, 0.8f, plain);
    for (int32_t i = 0; i < 24; i++) {
        probes[i] = (i * 37 + 5) % 96;
    }
    for (int few = 0; few < 2; few++) {
        sa_llama_options room = wide();
        sa_generate_options options = some(0.8f);
        sa_generate_answer answers[PROMPTS] = {{0}};
        room.pages = few == 1 ? 9 : room.pages;
        open_generator(w, &room);
        options.probes = probes;
        options.probe_count = 24;
        must(sa_generate(w->generator, w->prompts, PROMPTS, &options, NULL, answers, &err), &err);
        for (size_t i = 0; i < PROMPTS; i++) {
            expect_equal(&answers[i], &plain[i]); /* nothing changes by looking */
            check_probes(w, reader, i, &answers[i], probes, 24);
            stretches += answers[i].probed > 1;
            later += answers[i].probe_at > 0;
        }
        free_all(answers, PROMPTS);
    }
    assert_true(stretches > 5 && later > 20);
    free_all(plain, PROMPTS);
    sa_llama_close(reader);
    sa_llama_options options = wide();
    open_generator(w, &options);
}

/* -- Answers in a form -- */

static const char *const spoken[] = {
    "0",    "1", "2",        "3",        "4",       "5",  "6", "7", "8", "9",       "Current", " IOU:", " ",
    ", ",   ",", "Positive", "Negative", " point:", " (", "(", ")", "P", "ositive", "42",      " 7",    ":",
    "oint", "I", "O",        "U",        "p",       "o",  "i", "n", "t", "s",       "v",       "e"};

enum { SPOKEN = sizeof spoken / sizeof spoken[0] };

/* The first tokens are words of answers; a text is its tokens one behind the other. */
static sa_tokenizer *speaking_tokenizer(size_t vocabulary)
{
    char json[8192];
    sa_tokenizer *tokenizer = NULL;
    sa_error err;
    int at = snprintf(json, sizeof json,
                      "{\"added_tokens\":[],\"normalizer\":null,\"pre_tokenizer\":null,"
                      "\"post_processor\":null,\"decoder\":{\"type\":\"Fuse\"},"
                      "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"0\",\"vocab\":{");
    for (size_t i = 0; i < vocabulary; i++) {
        char name[32];
        snprintf(name, sizeof name, "<%zu>", i);
        at += snprintf(json + at, sizeof json - (size_t)at, "%s\"%s\":%zu", i > 0 ? "," : "",
                       i < SPOKEN ? spoken[i] : name, i);
    }
    snprintf(json + at, sizeof json - (size_t)at, "}}}");
    must(sa_tokenizer_parse_json(&tokenizer, "test", json, strlen(json), &err), &err);
    return tokenizer;
}

static int after(const sa_grammar *g, int state, size_t token)
{
    return token < SPOKEN ? sa_grammar_step(g, state, spoken[token], strlen(spoken[token])) : SA_GRAMMAR_DEAD;
}

/* At temperature 0 each token is the first with the largest logit of those that fit; log-probabilities are of
 * the whole vocabulary. */
static void check_formed(const world *w, sa_llama *reader, size_t prompt, const sa_grammar *g,
                         const sa_generate_answer *answer)
{
    float logits[128];
    int32_t all[MOST_PROMPT + ANSWER];
    size_t count = w->prompts[prompt].count, vocabulary = sa_llama_get_config(reader)->vocabulary;
    int at = SA_GRAMMAR_BEGIN;
    memcpy(all, w->words[prompt], count * sizeof *all);
    for (size_t t = 0; t < answer->tokens.count; t++) {
        double sum = 0;
        size_t best = SPOKEN;
        read_logits(reader, all, count, logits);
        for (size_t i = 0; i < vocabulary; i++) {
            bool fits = after(g, at, i) != SA_GRAMMAR_DEAD;
            best = fits && (best == SPOKEN || logits[i] > logits[best]) ? i : best;
            sum += exp((double)logits[i]);
        }
        assert_int_equal(answer->tokens.ids[t], best);
        assert_true(fabs(answer->logprobs[t] - (logits[best] - log(sum))) < 1e-5);
        at = after(g, at, best);
        all[count++] = (int32_t)best;
    }
    assert_true(at != SA_GRAMMAR_DEAD);
}

/* It has the form, or is on the way to it where there was no room for more. Returns whether it is whole. */
static bool expect_form(const sa_grammar *g, const sa_generate_answer *answer)
{
    int at = sa_grammar_step(g, SA_GRAMMAR_BEGIN, answer->text.bytes, answer->text.size);
    bool whole = answer->stop == SA_STOP_TEXT;
    if (at == SA_GRAMMAR_DEAD || sa_grammar_accepts(g, at) != whole) {
        fail_msg("\"%s\" has not the form", answer->text.bytes);
    }
    assert_true(whole || (answer->stop == SA_STOP_LENGTH && answer->tokens.count == ANSWER));
    return whole;
}

/* Every second prompt's answer has the form. */
static void answer_formed(world *w, const sa_grammar *g, float temperature, size_t first, size_t count,
                          sa_generate_answer *answers)
{
    sa_generate_prompt prompts[PROMPTS];
    sa_generate_options options = some(temperature);
    sa_error err;
    for (size_t i = 0; i < count; i++) {
        prompts[i] = w->prompts[first + i];
        prompts[i].grammar = (first + i) % 2 == 0 ? g : NULL;
    }
    memset(answers, 0, count * sizeof *answers);
    must(sa_generate(w->generator, prompts, count, &options, NULL, answers, &err), &err);
}

/* A world with the other tokenizer. */
static void learn_to_speak(world *w, bool speak)
{
    sa_llama_options options = wide();
    sa_tokenizer_close(w->tokenizer);
    size_t vocabulary = sa_llama_get_config(w->llama)->vocabulary;
    w->tokenizer = speak ? speaking_tokenizer(vocabulary) : word_tokenizer(vocabulary);
    open_generator(w, &options);
}

static void test_form(void **state)
{
    world *w = *state;
    sa_grammar *g = agent_form();
    sa_llama *reader = open_reader(w);
    sa_generate_answer together[PROMPTS], tight[PROMPTS], alone;
    size_t whole = 0;
    learn_to_speak(w, true);
    for (int hot = 0; hot < 2; hot++) {
        answer_formed(w, g, hot == 0 ? 0.0f : 1.2f, 0, PROMPTS, together);
        sa_llama_options few = wide();
        few.pages = 9;
        few.rows = 20;
        open_generator(w, &few);
        answer_formed(w, g, hot == 0 ? 0.0f : 1.2f, 0, PROMPTS, tight);
        for (size_t i = 0; i < PROMPTS; i++) {
            expect_equal(&tight[i], &together[i]);
            answer_formed(w, g, hot == 0 ? 0.0f : 1.2f, i, 1, &alone);
            expect_equal(&alone, &together[i]);
            sa_generate_answer_free(&alone);
            if (i % 2 == 0) {
                whole += expect_form(g, &together[i]);
            }
            if (i % 2 == 0 && hot == 0) {
                check_formed(w, reader, i, g, &together[i]);
            }
        }
        free_all(together, PROMPTS);
        free_all(tight, PROMPTS);
    }
    assert_true(whole > 15);
    learn_to_speak(w, false);
    sa_llama_close(reader);
    sa_grammar_close(g);
}

/* Too few tokens for the form; a form that no token begins: alone, as everything. */
static void test_form_ends(void **state)
{
    world *w = *state;
    sa_grammar *g = agent_form(), *foreign;
    sa_generate_options options = some(0.0f);
    sa_generate_answer answers[3] = {{0}};
    sa_error err;
    must(sa_grammar_open(&foreign, &err), &err);
    must(sa_grammar_add_literal(foreign, "42!", &err), &err);
    learn_to_speak(w, true);
    options.max_tokens = 5;
    sa_generate_prompt prompts[3] = {w->prompts[1], w->prompts[2], w->prompts[3]};
    prompts[0].grammar = g;
    prompts[1].grammar = foreign;
    must(sa_generate(w->generator, prompts, 3, &options, NULL, answers, &err), &err);
    assert_true(answers[0].status == SA_OK && answers[0].stop == SA_STOP_LENGTH);
    assert_int_equal(answers[0].tokens.count, 5);
    assert_int_equal(answers[1].status, SA_BAD_INPUT);
    assert_non_null(strstr(answers[1].error.reason, "form"));
    assert_string_equal(answers[1].text.bytes, "42");
    assert_true(answers[2].status == SA_OK && answers[2].tokens.count == 5);
    free_all(answers, 3);
    sa_grammar_close(foreign);
    sa_grammar_close(g);
    learn_to_speak(w, false);
}

/* A tokenizer that cannot write a digit cannot give answers a form: that ends the call. */
static void test_form_without_digits(void **state)
{
    world *w = *state;
    sa_grammar *g = agent_form();
    sa_generate_options options = some(0.0f);
    sa_generate_answer answer = {0};
    sa_generate_prompt prompt = w->prompts[1];
    sa_error err = {0};
    prompt.grammar = g;
    learn_to_speak(w, false);
    assert_int_equal(sa_generate(w->generator, &prompt, 1, &options, NULL, &answer, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "\"0\""));
    sa_generate_answer_free(&answer);
    sa_grammar_close(g);
}

/* -- Guesses -- */

/* One prompt after the other, as they are and with guesses: right ones where answers repeat, wrong ones
 * elsewhere. */
static void test_guesses(void **state)
{
    static const float temperatures[] = {0.0f, 0.8f};
    world *w = *state;
    sa_generate_answer want[PROMPTS], got[PROMPTS];
    sa_error err;
    sa_llama_options room = wide();
    room.logit_rows = 3 * PROMPTS;
    for (size_t i = 0; i < 2; i++) {
        answer_all(w, 0, PROMPTS, temperatures[i], want);
        sa_generate_options options = some(temperatures[i]);
        const int32_t varying[1] = {want[0].tokens.ids[3]};
        options.varying = varying;
        options.varying_count = 1;
        open_generator(w, &room);
        memset(got, 0, sizeof got);
        must(sa_generate(w->generator, w->prompts, PROMPTS, &options, NULL, got, &err), &err);
        for (size_t k = 0; k < PROMPTS; k++) {
            expect_equal(&got[k], &want[k]);
        }
        free_all(got, PROMPTS);
        for (size_t k = 0; k < 3; k++) { /* the first one thrice: now its form is known */
            sa_generator_counts before = sa_generator_get_counts(w->generator), after;
            must(sa_generate(w->generator, w->prompts, 1, &options, NULL, got, &err), &err);
            after = sa_generator_get_counts(w->generator);
            expect_equal(&got[0], &want[0]);
            free_all(got, 1);
            assert_true(k == 0 || after.right - before.right >= ANSWER / 2);
            assert_true(k == 0 || after.forwards - before.forwards < ANSWER / 2);
            assert_true(after.right <= after.guessed);
        }
        room.pages = 9; /* and where pages run out */
        open_generator(w, &room);
        must(sa_generate(w->generator, w->prompts, PROMPTS, &options, NULL, got, &err), &err);
        for (size_t k = 0; k < PROMPTS; k++) {
            expect_equal(&got[k], &want[k]);
        }
        free_all(got, PROMPTS);
        free_all(want, PROMPTS);
        room.pages = wide().pages;
        open_generator(w, &room);
    }
    room = wide();
    open_generator(w, &room);
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
        cmocka_unit_test(test_forks),
        cmocka_unit_test(test_forks_of_bad_prompts),
        cmocka_unit_test(test_forks_of_embeddings),
        cmocka_unit_test(test_greedy_flag),
        cmocka_unit_test(test_probes),
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_form_ends),
        cmocka_unit_test(test_form_without_digits),
        cmocka_unit_test(test_guesses),
        cmocka_unit_test(test_seed_decides),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
