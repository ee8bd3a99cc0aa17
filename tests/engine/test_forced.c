/*
 * What an answer's form leaves no choice about, with tokenizers of every kind: on the way through random
 * answers, token by token as the tokenizer has them, what is forced is what comes next, and little is missed.
 * An agent's answers under a strict form are in tests/hlmat/test_runner.c.
 */
#include "tests/check.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/engine/forced.h"
#include "tests/engine/agent_form.h"

enum { ANSWERS = 300, SEED = 11 };

static void write_answer(uint64_t number, char text[128])
{
    sa_philox r = sa_philox_block(SEED, number, 0);
    snprintf(text, 128, "%sCurrent IOU: %u, %s point: (%u, %u)", number % 2 == 0 ? "" : " ", r.word[0] % 100,
             r.word[1] % 2 == 0 ? "Positive" : "Negative", r.word[2] % 1000, r.word[3] % 1000);
}

/* Bytes that the first `count` tokens are; SIZE_MAX: they end within a character. */
static size_t bytes_of(const sa_tokenizer *tokenizer, const sa_tokens *tokens, size_t count, const char *text)
{
    sa_text begun = {0};
    sa_error err;
    must(sa_tokenizer_decode(tokenizer, tokens->ids, count, false, &begun, &err), &err);
    size_t size = begun.size;
    bool same = size <= strlen(text) && strncmp(text, begun.bytes != NULL ? begun.bytes : "", size) == 0;
    sa_text_free(&begun);
    return same ? size : SIZE_MAX;
}

typedef struct {
    size_t tokens, forced;
} tally;

static void check_answer(const sa_tokenizer *tokenizer, const sa_grammar *g, const sa_forced *forced,
                         const char *text, tally *all)
{
    sa_tokens tokens = {0};
    sa_error err;
    must(sa_tokenizer_encode(tokenizer, text, strlen(text), 0, &tokens, &err), &err);
    for (size_t at = 0; at < tokens.count;) {
        size_t size = bytes_of(tokenizer, &tokens, at, text), count = 0;
        int state = size == SIZE_MAX ? SA_GRAMMAR_DEAD : sa_grammar_step(g, SA_GRAMMAR_BEGIN, text, size);
        const int32_t *next;
        const int *states;
        if (state != SA_GRAMMAR_DEAD) {
            count = sa_forced_find(forced, state, &next, &states);
        }
        for (size_t i = 0; i < count; i++) {
            assert_true(at + i < tokens.count);
            assert_int_equal(next[i], tokens.ids[at + i]);
            size_t behind = bytes_of(tokenizer, &tokens, at + i + 1, text);
            assert_int_equal(states[i], sa_grammar_step(g, SA_GRAMMAR_BEGIN, text, behind));
        }
        all->forced += count;
        at += count > 0 ? count : 1;
    }
    all->tokens += tokens.count;
    sa_tokens_free(&tokens);
}

static void check_tokenizer(const char *path, double least)
{
    sa_tokenizer *tokenizer;
    sa_forced *forced;
    sa_grammar *g = agent_form();
    sa_error err;
    tally all = {0};
    must(sa_tokenizer_open(&tokenizer, path, &err), &err);
    must(sa_forced_open(&forced, g, tokenizer, &err), &err);
    for (uint64_t i = 0; i < ANSWERS; i++) {
        char text[128];
        write_answer(i, text);
        check_answer(tokenizer, g, forced, text, &all);
    }
    double share = (double)all.forced / (double)all.tokens;
    print_message("%s: %.2f of %.1f tokens an answer are forced\n", path, share,
                  (double)all.tokens / ANSWERS);
    assert_true(share >= least);
    sa_forced_close(forced);
    sa_tokenizer_close(tokenizer);
    sa_grammar_close(g);
}

static void test_tokenizers(void **state)
{
    (void)state;
    check_tokenizer("weights_tools/tiny/agent/policy", 0.4);
    check_tokenizer("tests/golden/text/gpt2", 0.4);
    check_tokenizer("tests/golden/text/llama3", 0.4);
    check_tokenizer("tests/golden/text/qwen2", 0.4);
    check_tokenizer("tests/golden/text/qwen_tiktoken", 0.4);
    check_tokenizer("tests/golden/text/llama_v5", 0.2);
    check_tokenizer("tests/golden/text/sp_llama", 0.2);
    check_tokenizer("tests/golden/text/sp_bpe", 0.05);
}

/* A form that is one text: all of it is forced. */
static void test_one_text(void **state)
{
    (void)state;
    sa_tokenizer *tokenizer;
    sa_forced *forced;
    sa_grammar *g;
    sa_error err;
    sa_tokens tokens = {0};
    const int32_t *next;
    const int *states;
    must(sa_tokenizer_open(&tokenizer, "tests/golden/text/qwen2", &err), &err);
    must(sa_grammar_open(&g, &err), &err);
    must(sa_grammar_add_literal(g, "nothing to say", &err), &err);
    must(sa_forced_open(&forced, g, tokenizer, &err), &err);
    must(sa_tokenizer_encode(tokenizer, "nothing to say", 14, 0, &tokens, &err), &err);
    size_t count = sa_forced_find(forced, SA_GRAMMAR_BEGIN, &next, &states);
    assert_int_equal(count, tokens.count);
    assert_memory_equal(next, tokens.ids, count * sizeof *next);
    assert_true(sa_grammar_accepts(g, states[count - 1]));
    sa_tokens_free(&tokens);
    sa_forced_close(forced);
    sa_grammar_close(g);
    sa_tokenizer_close(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tokenizers), cmocka_unit_test(test_one_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
