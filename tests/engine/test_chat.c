/*
 * A model as a whole: which template it takes, where pictures go in a prompt, requests that fail beside
 * others that do not, and the same answer bit for bit in any batch. The models are the shipped policy, which
 * sees, and a tiny random LLaMA, which reads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/philox.h"
#include "runtime/engine/chat.h"
#include "runtime/models/llava_config.h"
#include "tests/check.h"

#define POLICY "weights_tools/tiny/agent/policy"
#define LLAMA "tests/golden/llama/llama2"

enum { REQUESTS = 7, PICTURES = 3, MOST_SIDE = 96, ANSWER = 12, PICTURE_SEED = 20261130 };

typedef struct {
    sa_device *device;
    sa_chat *chat; /* the policy, in pieces of a batch of REQUESTS */
    sa_image image[PICTURES];
    const sa_image *picture[PICTURES];
    sa_tokens prompt[REQUESTS];
    sa_chat_request request[REQUESTS];
} world;

static sa_chat_options options_for(size_t batch)
{
    sa_chat_options o = sa_chat_default_options();
    o.batch = batch;
    o.pictures = 2 * batch;
    o.max_side = MOST_SIDE;
    o.max_pixels = MOST_SIDE * MOST_SIDE;
    return o;
}

static sa_image noise(size_t height, size_t width, uint32_t number)
{
    sa_image image;
    sa_error err;
    must(sa_image_new(height, width, &image, &err), &err);
    for (size_t i = 0; i < 3 * height * width; i++) {
        image.pixels[i] = (uint8_t)sa_philox_block(PICTURE_SEED, i, number).word[0];
    }
    return image;
}

/* Questions with no, one and two pictures; the last two are the same question. */
static void make_requests(world *w)
{
    static const struct {
        const char *text;
        size_t first, pictures;
    } asked[REQUESTS] = {
        {"the red circle.", 0, 1},
        {"what is there", 0, 0},
        {"left of <image> or of <image>?", 0, 2},
        {"the second star.", 2, 1},
        {"x", 0, 0},
        {"the large square", 1, 1},
        {"the large square", 1, 1},
    };
    sa_error err;
    for (size_t i = 0; i < REQUESTS; i++) {
        const sa_message message = {SA_ROLE_USER, asked[i].text, asked[i].pictures};
        must(sa_chat_write(w->chat, &message, 1, &w->prompt[i], &err), &err);
        w->request[i] = (sa_chat_request){.tokens = w->prompt[i].ids,
                                          .count = w->prompt[i].count,
                                          .pictures = w->picture + asked[i].first,
                                          .picture_count = asked[i].pictures,
                                          .item = i < 6 ? i : 5};
    }
}

static int setup(void **state)
{
    static const size_t sides[PICTURES][2] = {{64, 96}, {33, 17}, {96, 96}};
    world *w = calloc(1, sizeof *w);
    sa_error err;
    sa_chat_options options = options_for(REQUESTS);
    options.template = "plain"; /* two pictures are half of the policy's context */
    assert_non_null(w);
    must(sa_device_open(&w->device, &(sa_device_options){.name = "cpu", .threads = 2}, &err), &err);
    must(sa_chat_open(&w->chat, w->device, POLICY, &options, &err), &err);
    for (uint32_t i = 0; i < PICTURES; i++) {
        w->image[i] = noise(sides[i][0], sides[i][1], i);
        w->picture[i] = &w->image[i];
    }
    make_requests(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    for (size_t i = 0; i < REQUESTS; i++) {
        sa_tokens_free(&w->prompt[i]);
    }
    for (size_t i = 0; i < PICTURES; i++) {
        sa_image_free(&w->image[i]);
    }
    sa_chat_close(w->chat);
    sa_device_close(w->device);
    free(w);
    return 0;
}

/* -- Templates -- */

/* A directory that holds LLAMA and a tokenizer of these words. */
typedef struct {
    char path[64];
} directory;

static void copy_into(const directory *d, const char *from, const char *name)
{
    char source[256], target[256];
    unsigned char *bytes;
    size_t size;
    sa_error err;
    must(sa_file_join(source, sizeof source, from, name, &err), &err);
    must(sa_file_join(target, sizeof target, d->path, name, &err), &err);
    must(sa_file_read(source, 1 << 20, &bytes, &size, &err), &err);
    must(sa_file_write(target, bytes, size, &err), &err);
    free(bytes);
}

static directory directory_with(const char *special, const char *words)
{
    directory d = {"/tmp/test_chat.XXXXXX"};
    char path[256], text[1024];
    sa_error err;
    assert_non_null(mkdtemp(d.path));
    copy_into(&d, LLAMA, "config.json");
    copy_into(&d, LLAMA, "model.safetensors");
    int size = snprintf(text, sizeof text,
                        "{\"added_tokens\":[%s],\"normalizer\":null,"
                        "\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"},\"post_processor\":null,"
                        "\"decoder\":null,\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"a\","
                        "\"vocab\":{%s}}}",
                        special, words);
    must(sa_file_join(path, sizeof path, d.path, "tokenizer.json", &err), &err);
    must(sa_file_write(path, text, (size_t)size, &err), &err);
    return d;
}

static void remove_directory(const directory *d)
{
    static const char *const names[] = {"config.json", "model.safetensors", "tokenizer.json"};
    char path[256];
    for (size_t i = 0; i < 3; i++) {
        if (sa_file_join(path, sizeof path, d->path, names[i], NULL) == SA_OK) {
            unlink(path);
        }
    }
    rmdir(d->path);
}

/* The ids of a user's "b", as the model with these options writes it. */
static sa_tokens written(world *w, const char *path, const char *template, bool sees)
{
    sa_chat *chat;
    sa_error err;
    sa_tokens tokens = {0};
    sa_chat_options options = options_for(1);
    options.template = template;
    must(sa_chat_open(&chat, w->device, path, &options, &err), &err);
    assert_true(sa_chat_sees(chat) == sees);
    must(sa_chat_write(chat, &(sa_message){SA_ROLE_USER, "b", 0}, 1, &tokens, &err), &err);
    sa_chat_close(chat);
    return tokens;
}

/* One with eyes takes LLaVA's; without, ChatML where the tokenizer has its tokens, else the text as it is. */
static void test_templates(void **state)
{
    static const char start[] =
        "{\"id\":3,\"content\":\"<|im_start|>\",\"single_word\":false,\"lstrip\":false,"
        "\"rstrip\":false,\"normalized\":false,\"special\":true}";
    world *w = *state;
    directory plain = directory_with("", "\"a\":0,\"b\":1,\"c\":2");
    directory chatml = directory_with(start, "\"a\":0,\"b\":1,\"c\":2");
    sa_tokens tokens = written(w, plain.path, NULL, false);
    assert_true(tokens.count == 1 && tokens.ids[0] == 1);
    sa_tokens_free(&tokens);
    tokens = written(w, chatml.path, NULL, false);
    assert_true(tokens.count > 3 && tokens.ids[0] == 3);
    sa_tokens_free(&tokens);
    tokens = written(w, chatml.path, "plain", false); /* a name goes before what suits */
    assert_true(tokens.count == 1 && tokens.ids[0] == 1);
    sa_tokens_free(&tokens);
    sa_tokens seeing = written(w, POLICY, NULL, true), named = written(w, POLICY, "llava_v1", true);
    assert_int_equal(seeing.count, named.count);
    assert_memory_equal(seeing.ids, named.ids, named.count * sizeof *named.ids);
    sa_tokens_free(&seeing);
    sa_tokens_free(&named);
    remove_directory(&plain);
    remove_directory(&chatml);
}

static void refused(world *w, const char *path, const sa_chat_options *options, const char *reason)
{
    sa_chat *chat = NULL;
    sa_error err = {0};
    assert_int_equal(sa_chat_open(&chat, w->device, path, options, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, reason));
    assert_null(chat);
}

static void test_refused_models(void **state)
{
    world *w = *state;
    sa_chat_options options = options_for(1);
    directory large = directory_with("", "\"a\":0,\"b\":96"); /* the model embeds 0 to 95 */
    char weights[256];
    sa_error err;
    must(sa_file_join(weights, sizeof weights, large.path, "model.safetensors", &err), &err);
    assert_int_equal(unlink(weights), 0); /* told before anybody looks for weights */
    refused(w, large.path, &options, "the tokenizer has ids up to 96, and the model embeds 96");
    remove_directory(&large);
    refused(w, LLAMA, &options, "tokenizer"); /* it has none */
    options.template = "no_such";
    refused(w, POLICY, &options, "");
}

/* -- Prompts -- */

static size_t count_of(const sa_tokens *tokens, int32_t id)
{
    size_t count = 0;
    for (size_t i = 0; i < tokens->count; i++) {
        count += tokens->ids[i] == id;
    }
    return count;
}

/* Pictures stand where their markers do, or before the text; what begins every text stands once, in front. */
static void test_pictures_in_prompts(void **state)
{
    world *w = *state;
    const sa_tokens *two = &w->prompt[2], *none = &w->prompt[1];
    assert_int_equal(count_of(none, SA_LLAVA_PICTURE), 0);
    assert_int_equal(count_of(two, SA_LLAVA_PICTURE), 2);
    assert_int_equal(two->ids[0], none->ids[0]);
    assert_int_equal(count_of(two, none->ids[0]), 1);
    sa_tokens before = {0}, marked = {0};
    sa_error err = {0};
    must(sa_chat_write(w->chat, &(sa_message){SA_ROLE_USER, "b", 1}, 1, &before, &err), &err);
    must(sa_chat_write(w->chat, &(sa_message){SA_ROLE_USER, "<image>b", 1}, 1, &marked, &err), &err);
    assert_int_equal(before.count, marked.count);
    assert_memory_equal(before.ids, marked.ids, before.count * sizeof *before.ids);
    size_t kept = before.count;
    assert_int_equal(
        sa_chat_write(w->chat, &(sa_message){SA_ROLE_USER, "<image> <image>", 1}, 1, &before, &err),
        SA_BAD_INPUT);
    assert_int_equal(before.count, kept); /* nothing was appended */
    sa_tokens_free(&before);
    sa_tokens_free(&marked);
}

/* -- Answers -- */

static sa_generate_options sampling(float temperature)
{
    sa_generate_options o = sa_generate_default_options();
    o.temperature = temperature;
    o.max_tokens = ANSWER;
    o.seed = 3;
    return o;
}

static void answer(world *w, const sa_chat_request *requests, size_t count, float temperature,
                   sa_generate_answer *answers)
{
    sa_error err;
    double vision;
    sa_generate_options options = sampling(temperature);
    memset(answers, 0, count * sizeof *answers);
    must(sa_chat_answer(w->chat, requests, count, &options, NULL, answers, &vision, &err), &err);
}

static void expect_equal(const sa_generate_answer *a, const sa_generate_answer *b)
{
    assert_int_equal(a->status, SA_OK);
    assert_int_equal(b->status, SA_OK);
    assert_int_equal(a->tokens.count, b->tokens.count);
    assert_true(a->tokens.count > 0);
    assert_memory_equal(a->tokens.ids, b->tokens.ids, a->tokens.count * sizeof *a->tokens.ids);
    assert_memory_equal(a->logprobs, b->logprobs, a->tokens.count * sizeof *a->logprobs);
    assert_int_equal(a->text.size, b->text.size);
    assert_int_equal(a->stop, b->stop);
}

static void free_all(sa_generate_answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sa_generate_answer_free(&answers[i]);
    }
}

/* Alone, all together, and in the other order, greedy and drawn. */
static void test_any_batch(void **state)
{
    world *w = *state;
    static const float temperatures[] = {0.0f, 1.5f};
    for (size_t t = 0; t < 2; t++) {
        sa_generate_answer together[REQUESTS], turned[REQUESTS], alone;
        sa_chat_request backwards[REQUESTS];
        for (size_t i = 0; i < REQUESTS; i++) {
            backwards[i] = w->request[REQUESTS - 1 - i];
        }
        answer(w, w->request, REQUESTS, temperatures[t], together);
        answer(w, backwards, REQUESTS, temperatures[t], turned);
        for (size_t i = 0; i < REQUESTS; i++) {
            answer(w, &w->request[i], 1, temperatures[t], &alone);
            expect_equal(&together[i], &alone);
            expect_equal(&turned[REQUESTS - 1 - i], &alone);
            sa_generate_answer_free(&alone);
        }
        expect_equal(&together[5], &together[6]); /* the same question, pictures and key */
        free_all(together, REQUESTS);
        free_all(turned, REQUESTS);
    }
}

/* A picture that is too large, one too few for the markers, one too many, no tokens, a foreign token. */
static void test_bad_among_good(void **state)
{
    world *w = *state;
    enum { GOOD = 2, BAD = 5 };
    static const char *const reasons[BAD] = {"beyond the limit", "", "", "empty", "vocabulary"};
    sa_image large = noise(8, MOST_SIDE + 1, 9);
    const sa_image *too_large = &large;
    int32_t foreign[2] = {1, 5000};
    sa_chat_request requests[GOOD + BAD] = {w->request[0], w->request[0], w->request[0], w->request[1],
                                            w->request[1], w->request[1], w->request[3]};
    requests[1].pictures = &too_large;
    requests[2].picture_count = 0;
    requests[3].pictures = w->picture;
    requests[3].picture_count = 1;
    requests[4].count = 0;
    requests[5].tokens = foreign;
    requests[5].count = 2;
    sa_generate_answer answers[GOOD + BAD], alone;
    answer(w, requests, GOOD + BAD, 0.0f, answers);
    for (size_t i = 0; i < BAD; i++) {
        assert_int_equal(answers[1 + i].status, SA_BAD_INPUT);
        assert_non_null(strstr(answers[1 + i].error.reason, reasons[i]));
        assert_int_equal(answers[1 + i].tokens.count, 0);
    }
    for (size_t i = 0; i < GOOD; i++) {
        size_t at = i * (GOOD + BAD - 1);
        answer(w, &requests[at], 1, 0.0f, &alone);
        expect_equal(&answers[at], &alone);
        sa_generate_answer_free(&alone);
    }
    free_all(answers, GOOD + BAD);
    sa_image_free(&large);
}

/* A model that reads says so to a picture, and answers the text beside it. */
static void test_no_eyes(void **state)
{
    world *w = *state;
    directory d = directory_with("", "\"a\":0,\"b\":1");
    sa_chat_options options = options_for(2);
    sa_generate_options greedy = sampling(0.0f);
    sa_chat *chat;
    sa_error err = {0};
    double vision;
    int32_t ids[2] = {1, 2};
    sa_generate_answer answers[2] = {{0}};
    const sa_chat_request requests[2] = {
        {.tokens = ids, .count = 2, .pictures = w->picture, .picture_count = 1}, {.tokens = ids, .count = 2}};
    must(sa_chat_open(&chat, w->device, d.path, &options, &err), &err);
    must(sa_chat_answer(chat, requests, 2, &greedy, NULL, answers, &vision, &err), &err);
    assert_int_equal(answers[0].status, SA_BAD_INPUT);
    assert_non_null(strstr(answers[0].error.reason, "reads text alone"));
    assert_int_equal(answers[1].status, SA_OK);
    assert_int_equal(answers[1].tokens.count, ANSWER);
    free_all(answers, 2);
    sa_chat_close(chat);
    remove_directory(&d);
}

static bool at_once(void *context)
{
    (void)context;
    return true;
}

/* An interrupt ends the call; what has not ended by then is told apart by its time. */
static void test_interrupt(void **state)
{
    world *w = *state;
    static const sa_generate_watcher watcher = {.interrupted = at_once};
    sa_generate_options greedy = sampling(0.0f);
    sa_generate_answer answers[2] = {{0}};
    sa_error err = {0};
    double vision;
    assert_int_equal(sa_chat_answer(w->chat, w->request, 2, &greedy, &watcher, answers, &vision, &err),
                     SA_INTERRUPTED);
    for (size_t i = 0; i < 2; i++) {
        assert_true(answers[i].status == SA_OK && answers[i].decode == 0.0);
    }
    free_all(answers, 2);
    answer(w, w->request, 2, 0.0f, answers); /* and the model is as good as before */
    assert_true(answers[0].decode > 0.0 && answers[1].decode > 0.0);
    free_all(answers, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_templates),           cmocka_unit_test(test_refused_models),
        cmocka_unit_test(test_pictures_in_prompts), cmocka_unit_test(test_any_batch),
        cmocka_unit_test(test_bad_among_good),      cmocka_unit_test(test_no_eyes),
        cmocka_unit_test(test_interrupt),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
