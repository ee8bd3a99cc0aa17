/*
 * Tokens that fit a form: the random one that a number in [0, 1) points to, against plain sums, with the
 * shipped agent's tokenizer; what is refused.
 */
#include "tests/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/engine/constrain.h"

enum { MOST = 4096, DRAWS = 400 };

typedef struct {
    sa_tokenizer *tokenizer;
    sa_constrainer *constrainer;
    sa_grammar *form; /* one to three digits and a point */
    size_t size;
} world;

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    sa_error err;
    assert_non_null(w);
    assert_int_equal(sa_tokenizer_open(&w->tokenizer, "weights_tools/tiny/agent/policy", &err), SA_OK);
    assert_int_equal(sa_constrainer_open(&w->constrainer, w->tokenizer, &err), SA_OK);
    assert_int_equal(sa_grammar_open(&w->form, &err), SA_OK);
    assert_int_equal(sa_grammar_add_number(w->form, 3, 0, &err), SA_OK);
    assert_int_equal(sa_grammar_add_literal(w->form, ".", &err), SA_OK);
    w->size = sa_tokenizer_size(w->tokenizer);
    assert_true(w->size > 20 && w->size <= MOST);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    sa_grammar_close(w->form);
    sa_constrainer_close(w->constrainer);
    sa_tokenizer_close(w->tokenizer);
    free(w);
    return 0;
}

/* The form's next state by the tokens' names alone: digits, the point; "<0x31>" is the byte "1". */
static int plain_after(const world *w, int at, size_t id)
{
    size_t size;
    const char *piece = sa_tokenizer_piece(w->tokenizer, (int64_t)id, &size);
    if (piece != NULL && size == 6 && strncmp(piece, "<0x", 3) == 0) {
        char byte = (char)strtol(piece + 3, NULL, 16);
        return sa_grammar_step(w->form, at, &byte, 1);
    }
    return piece == NULL ? SA_GRAMMAR_DEAD : sa_grammar_step(w->form, at, piece, size);
}

/* The place of u among the terms of the softmax of those that fit. */
static void check_draw(const world *w, int at, const float *logits, double temperature, float u)
{
    int state = at;
    int32_t token = -1;
    float logprob;
    double before = 0, own = 0, sum = 0, all = 0;
    assert_int_equal(sa_constrain_choose(w->constrainer, w->form, &state, logits, w->size, (float)temperature,
                                         u, &token, &logprob, NULL),
                     SA_OK);
    assert_true(plain_after(w, at, (size_t)token) == state && state != SA_GRAMMAR_DEAD);
    for (size_t id = 0; id < w->size; id++) {
        double term = plain_after(w, at, id) != SA_GRAMMAR_DEAD ? exp(logits[id] / temperature) : 0;
        before += (int32_t)id < token ? term : 0;
        own += (int32_t)id == token ? term : 0;
        sum += term;
        all += exp((double)logits[id]);
    }
    assert_true(before <= u * sum * (1 + 1e-9) && u * sum <= (before + own) * (1 + 1e-9));
    assert_true(fabs(logprob - (logits[token] - log(all))) < 1e-5);
}

static void test_draws(void **state)
{
    const world *w = *state;
    float logits[MOST];
    static const float temperatures[] = {0.2f, 1, 3};
    for (uint64_t n = 0; n < DRAWS; n++) {
        check_fill_normal(logits, w->size, 2, n);
        int at =
            n % 2 == 0 ? SA_GRAMMAR_BEGIN : sa_grammar_step(w->form, SA_GRAMMAR_BEGIN, "12", n % 4 / 2 + 1);
        float u = n < 3 ? 0 : n < 6 ? 0x1.fffffep-1f : sa_philox_unit(sa_philox_block(9, n, 0).word[0]);
        check_draw(w, at, logits, temperatures[n % 3], u);
    }
}

/* Nothing that fits, no numbers, a state that is over; the first of equals. */
static void test_edges(void **state)
{
    const world *w = *state;
    float logits[MOST] = {0}, logprob;
    int32_t token, first = -1;
    sa_error err = {0};
    int at = SA_GRAMMAR_BEGIN, over = sa_grammar_step(w->form, SA_GRAMMAR_BEGIN, "1.", 2);
    assert_int_equal(
        sa_constrain_choose(w->constrainer, w->form, &over, logits, w->size, 0, 0, &token, &logprob, &err),
        SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "form"));
    for (size_t id = w->size; id-- > 0;) {
        first = plain_after(w, at, id) != SA_GRAMMAR_DEAD ? (int32_t)id : first;
    }
    assert_int_equal(
        sa_constrain_choose(w->constrainer, w->form, &at, logits, w->size, 0, 0, &token, &logprob, &err),
        SA_OK);
    assert_true(token == first && fabs(logprob + log((double)w->size)) < 1e-5);
    static const float strange[] = {NAN, INFINITY};
    for (int i = 0; i < 2; i++) {
        logits[w->size - 1] = strange[i];
        at = SA_GRAMMAR_BEGIN;
        assert_int_equal(sa_constrain_choose(w->constrainer, w->form, &at, logits, w->size, 1, 0.5f, &token,
                                             &logprob, &err),
                         SA_BAD_INPUT);
        assert_int_equal(at, SA_GRAMMAR_BEGIN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
