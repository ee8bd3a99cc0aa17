/*
 * Guesses at how an answer goes on: as the last one did. Agents write one form again and again, in which only
 * numbers vary; what stands between them can be computed in one pass of the model in place of one for each
 * token, and is kept where the model says the same (Leviathan et al. 2023, speculative decoding, with the
 * form for a draft model). A wrong guess costs a row of that pass, and changes nothing.
 *
 *   a whole answer -> learn -> of another answer: [ guess -> what the model really says -> follow ]
 */
#ifndef SA_ENGINE_DRAFT_H
#define SA_ENGINE_DRAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SA_DRAFT_MOST = 8 }; /* tokens of one guess */

typedef struct {
    int32_t *tokens; /* [count] of the last answer; SA_DRAFT_VARIES where it had a digit */
    size_t count, room;
} sa_draft;

enum { SA_DRAFT_VARIES = -1 };

void sa_draft_free(sa_draft *draft);

/* Forgets the last answer for this one; varying[varying_count] are the digits. Without memory it knows none.
 */
void sa_draft_learn(sa_draft *draft, const int32_t *tokens, size_t count, const int32_t *varying,
                    size_t varying_count);

/*
 * Where an answer that stands at `place` (0: at its beginning) of the last one's form stands after one more
 * token. Numbers may be longer or shorter than they were, and a word may be another one.
 */
size_t sa_draft_follow(const sa_draft *draft, size_t place, int32_t token, const int32_t *varying,
                       size_t varying_count);

/* At most `most` tokens that are likely to follow, up to the next digit; their number. */
size_t sa_draft_guess(const sa_draft *draft, size_t place, size_t most, int32_t *tokens);

#endif
