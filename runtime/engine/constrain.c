#include "runtime/engine/constrain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sa_constrainer {
    size_t size;    /* ids */
    size_t *begins; /* [size + 1] in bytes; equal ones: the token adds nothing that an answer may hold */
    sa_text bytes;
};

void sa_constrainer_close(sa_constrainer *c)
{
    if (c != NULL) {
        sa_text_free(&c->bytes);
        free(c->begins);
        free(c);
    }
}

/*
 * A token's bytes in the middle of a text: what it adds behind `before`. (By itself it might lose the space
 * that decoders strip from the beginning of a text.)
 */
static sa_status add_token(sa_constrainer *c, const sa_tokenizer *tokenizer, int32_t before, size_t skip,
                           int32_t id, sa_error *err)
{
    const int32_t pair[2] = {before, id};
    sa_text both = {0};
    sa_status status = SA_OK;
    if (!sa_tokenizer_is_special(tokenizer, id)) {
        status = sa_tokenizer_decode(tokenizer, pair, 2, false, &both, err);
    }
    if (status == SA_OK && both.size > skip) {
        sa_text_append(&c->bytes, both.bytes + skip, both.size - skip);
    }
    sa_text_free(&both);
    return status;
}

static sa_status fill(sa_constrainer *c, const sa_tokenizer *tokenizer, sa_error *err)
{
    int32_t before = sa_tokenizer_find(tokenizer, "0", 1);
    sa_text alone = {0};
    if (before < 0) {
        return sa_fail(err, SA_BAD_INPUT, NULL, "use a tokenizer that can write digits",
                       "the vocabulary has no token \"0\", so answers cannot be given a form");
    }
    SA_TRY(sa_tokenizer_decode(tokenizer, &before, 1, false, &alone, err));
    size_t skip = alone.size;
    sa_text_free(&alone);
    for (size_t id = 0; id < c->size; id++) {
        c->begins[id] = c->bytes.size;
        SA_TRY(add_token(c, tokenizer, before, skip, (int32_t)id, err));
    }
    c->begins[c->size] = c->bytes.size;
    return c->bytes.failed ? sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the tokens' texts") : SA_OK;
}

sa_status sa_constrainer_open(sa_constrainer **out, const sa_tokenizer *tokenizer, sa_error *err)
{
    sa_constrainer *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the tokens' texts");
    }
    c->size = sa_tokenizer_size(tokenizer);
    c->begins = calloc(c->size + 1, sizeof *c->begins);
    sa_status status = c->begins == NULL
                           ? sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the tokens' texts")
                           : fill(c, tokenizer, err);
    if (status != SA_OK) {
        sa_constrainer_close(c);
        return status;
    }
    *out = c;
    return SA_OK;
}

/* The state behind a token; dead where it does not fit. */
static int after(const sa_constrainer *c, const sa_grammar *g, int state, size_t id)
{
    size_t size = c->begins[id + 1] - c->begins[id];
    return size == 0 ? SA_GRAMMAR_DEAD : sa_grammar_step(g, state, c->bytes.bytes + c->begins[id], size);
}

/* Log of the sum of exponentials at temperature 1; NaN if a logit is none. */
static double log_sum(const float *logits, size_t count)
{
    double largest = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    for (size_t i = 0; i < count; i++) {
        sum += exp(logits[i] - largest);
    }
    return largest + log(sum);
}

/* Sum of the softmax's terms of those that fit, as far as to the first that reaches `goal`; *last is that. */
static double add_up(const sa_constrainer *c, const sa_grammar *g, int state, const float *logits,
                     size_t count, double largest, double temperature, double goal, int32_t *last)
{
    double sum = 0;
    for (size_t id = 0; id < count; id++) {
        if (after(c, g, state, id) != SA_GRAMMAR_DEAD) {
            *last = (int32_t)id;
            sum += exp((logits[id] - largest) / temperature);
            if (sum > goal) {
                break;
            }
        }
    }
    return sum;
}

sa_status sa_constrain_choose(const sa_constrainer *c, const sa_grammar *g, int *state, const float *logits,
                              size_t vocabulary, float temperature, float u, int32_t *token, float *logprob,
                              sa_error *err)
{
    size_t count = vocabulary < c->size ? vocabulary : c->size;
    double all = log_sum(logits, vocabulary);
    int32_t best = -1;
    for (size_t id = 0; id < count; id++) {
        if ((best < 0 || logits[id] > logits[best]) && after(c, g, *state, id) != SA_GRAMMAR_DEAD) {
            best = (int32_t)id;
        }
    }
    if (best < 0 || !isfinite(all)) {
        return sa_fail(err, SA_BAD_INPUT, NULL, NULL, "%s",
                       best < 0 ? "no token of the vocabulary goes on with the answer's form"
                                : "the logits are no numbers");
    }
    if (temperature > 0) {
        double largest = logits[best];
        double sum = add_up(c, g, *state, logits, count, largest, temperature, INFINITY, &best);
        add_up(c, g, *state, logits, count, largest, temperature, sum * u, &best);
    }
    *state = after(c, g, *state, (size_t)best);
    *token = best;
    *logprob = (float)(logits[best] - all);
    return SA_OK;
}
