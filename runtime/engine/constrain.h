/*
 * The next token of an answer that must have a form: the best, or a random one, of those that fit.
 *
 *   logits of one row, the grammar's state -> [ sa_constrain_choose ] -> token, state
 */
#ifndef SA_ENGINE_CONSTRAIN_H
#define SA_ENGINE_CONSTRAIN_H

#include "runtime/text/grammar.h"
#include "runtime/text/tokenizer.h"

/* The bytes that each token adds to a text that goes on. */
typedef struct sa_constrainer sa_constrainer;

sa_status sa_constrainer_open(sa_constrainer **constrainer, const sa_tokenizer *tokenizer, sa_error *err);
void sa_constrainer_close(sa_constrainer *constrainer);

/*
 * Of the tokens [vocabulary] that keep `grammar` alive from *state: at temperature 0 the one with the largest
 * logit, the first of equals; else the one that u in [0, 1) points to in their softmax, in the order of their
 * ids. Moves *state on. *logprob is that of the whole vocabulary, at temperature 1. SA_BAD_INPUT: no token
 * fits, or logits are no numbers.
 */
sa_status sa_constrain_choose(const sa_constrainer *constrainer, const sa_grammar *grammar, int *state,
                              const float *logits, size_t vocabulary, float temperature, float u,
                              int32_t *token, float *logprob, sa_error *err);

#endif
