/*
 * What the form of an answer leaves no choice about, as tokens: behind each state of a grammar those that
 * have to come next, whatever the model says.
 *
 *   grammar, tokenizer -> sa_forced_open -> [ state -> tokens, and the state behind each ]
 *
 * They are the tokens that the tokenizer makes of the whole answer, so that the model reads what it has
 * learned: of an answer that leads to the state (the shortest; digits are zeros), with what is forced behind
 * it, and with every word that may follow that, as far as all of these agree.
 */
#ifndef SA_ENGINE_FORCED_H
#define SA_ENGINE_FORCED_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/text/grammar.h"
#include "runtime/text/tokenizer.h"

typedef struct sa_forced sa_forced;

/* Of the whole grammar, which it belongs to from then on; neither is taken over. */
sa_status sa_forced_open(sa_forced **forced, const sa_grammar *grammar, const sa_tokenizer *tokenizer,
                         sa_error *err);
void sa_forced_close(sa_forced *forced);

/* (*tokens)[i] leads to (*states)[i]; how many there are. */
size_t sa_forced_find(const sa_forced *forced, int state, const int32_t **tokens, const int **states);

#endif
