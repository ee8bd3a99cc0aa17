/*
 * What the parts of the generator share: runs (generate_run.c), the choice of what goes into a forward
 * (generate_forward.c), what comes out of it (generate_answer.c), and the loop around them (generate.c).
 */
#ifndef SA_ENGINE_GENERATE_PARTS_H
#define SA_ENGINE_GENERATE_PARTS_H

#include "runtime/base/sizes.h"
#include "runtime/engine/constrain.h"
#include "runtime/engine/draft.h"
#include "runtime/engine/forced.h"
#include "runtime/engine/generate.h"
#include "runtime/engine/prefix.h"

/* A prompt that holds a sequence; its history is the prompt's tokens and the answer's. */
typedef struct {
    const sa_generate_prompt *prompt;
    sa_generate_answer *answer;
    size_t ticket; /* what the caller calls it */
    sa_kv_sequence sequence;
    sa_tokens history;
    uint64_t *keys;  /* of the prompt's tokens, for the tree */
    size_t done;     /* tokens of the history that stand in pages */
    size_t embedded; /* rows of embeddings among these */
    size_t guessed;  /* tokens at the end of the history that are guesses */
    size_t place;    /* in the form of the last answer (draft.h) */
    size_t emitted;  /* bytes of the text that the watcher has */
    sa_detokenizer *detokenizer;
    double begun, answered;  /* clock at admission and at the first token; 0: none yet */
    int form;                /* state of the prompt's grammar */
    const sa_forced *forced; /* of that; NULL: there is none */
    bool probing, over;      /* probing: the last token was one of the first stretch of probes */
    bool failed;
    bool coming; /* in the forward at hand */
} sa_generator_run;

/* What a grammar leaves no choice about. */
typedef struct {
    const sa_grammar *grammar;
    sa_forced *forced;
} sa_generator_form;

struct sa_generator {
    sa_llama *llama;
    const sa_tokenizer *tokenizer;
    sa_llama_options options;
    sa_kv *kv;
    sa_prefix *prefix;
    sa_draft draft;
    sa_generator_counts counts;
    /* Of all that runs: */
    const sa_generate_options *asked;
    const sa_generate_watcher *watcher; /* or NULL */
    size_t most;                        /* runs at a time */
    sa_generator_run *runs;             /* [most]: `running` of them, the oldest first */
    size_t running;
    size_t *ended; /* [ended_count] tickets of the runs that the last step ended */
    size_t ended_count;
    /* One forward: items, whose runs they are, [most] each, and what comes back, [logit_rows] */
    sa_llama_item *items;
    size_t *owner, *unseen; /* unseen: prompts whose embeddings are needed */
    sa_sample_choice *choices;
    int32_t *tokens;
    float *logprobs;
    float *row;                  /* [vocabulary] logits that the host looks at */
    sa_constrainer *constrainer; /* made when the first grammar comes */
    sa_generator_form *forms;    /* [form_count] of the grammars that came since start */
    size_t form_count;
};

/* ---- runs ---- */

/* The prompt is kept for others, the part in the last page as well: nothing is written behind it any more. */
void sa_generator_end_run(sa_generator *g, sa_generator_run *r);
/* Runs that are over make room, and their tickets are told; the others keep their order. */
void sa_generator_drop_ended(sa_generator *g);
void sa_generator_fail_run(sa_generator_run *r, sa_status status, const sa_error *why);
void sa_generator_drop_guess(sa_generator_run *r);
/*
 * A prompt that is all there is kept at once: its full pages, and the rest if another one waits for it (the
 * answer's first token then goes to a copy of that page).
 */
void sa_generator_keep_prompt(sa_generator *g, size_t i);

/* ---- one forward ---- */

/* The items of the next forward; their number. */
size_t sa_generator_choose_items(sa_generator *g);
/* The embeddings that this forward reads. */
sa_status sa_generator_see(sa_generator *g, size_t items, sa_error *err);
/* Marks the items' tokens as written. */
void sa_generator_advance(sa_generator *g, size_t items);

/* ---- its logits ---- */

/* g->choices of the rows of logits; their number. */
size_t sa_generator_choose_samples(sa_generator *g, size_t items);
/* g->tokens and g->logprobs become parts of the answers. `why`: see sa_llama_sample. */
void sa_generator_take_samples(sa_generator *g, size_t items, const sa_error *why);

#endif
