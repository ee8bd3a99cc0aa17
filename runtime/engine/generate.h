/*
 * Answers of a language model: many prompts at a time over one decoder's KV pages.
 *
 *   prompts -> [ forward of whoever runs: pieces of prompts and single tokens -> sample -> text ] -> answers
 *
 * Prompts run in their order, as many at a time as there are sequences and pages for. One that finds no page
 * free gives up its own and begins again later, with what it has said so far. None of this shows: an answer
 * is the same bit for bit alone and in any company. One prompt that fails does not end the others.
 *
 * What a prompt begins with is computed once: its pages are kept (prefix.h), for prompts that run already,
 * that come later in the call, or in another one.
 */
#ifndef SA_ENGINE_GENERATE_H
#define SA_ENGINE_GENERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/image/view.h"
#include "runtime/models/llama.h"
#include "runtime/text/grammar.h"
#include "runtime/text/tokenizer.h"

typedef struct sa_generator sa_generator;

/*
 * Over `llama`, which was opened with `options`, and whose pages are the generator's alone from now on. The
 * tokenizer says which tokens end an answer, and makes its text. Neither is taken over.
 */
sa_status sa_generator_open(sa_generator **generator, sa_llama *llama, const sa_llama_options *options,
                            const sa_tokenizer *tokenizer, sa_error *err);
void sa_generator_close(sa_generator *generator);

typedef struct {
    float temperature, top_p, min_p; /* of sa_sample_choice */
    uint32_t top_k;
    size_t max_tokens;        /* of one answer; the context may end it before */
    const char *const *stops; /* texts that end an answer, themselves left out; the last is NULL */
    uint64_t seed;
    /*
     * Tokens whose logits are wanted wherever the answer takes one of them, in its first stretch of such
     * tokens: of the digits of the first number that it writes, say.
     */
    const int32_t *probes; /* [probe_count], or NULL */
    size_t probe_count;
    /*
     * Answers are like each other, but for these tokens (digits): how they go on is guessed (draft.h). No
     * answer changes by it. NULL: nothing is guessed.
     */
    const int32_t *varying; /* [varying_count] */
    size_t varying_count;
} sa_generate_options;

/* Greedy, 512 tokens, no stop texts. */
sa_generate_options sa_generate_default_options(void);

typedef struct {
    const int32_t *tokens; /* [count], >= 1; SA_LLAMA_EMBEDDING where a row of `embeddings` goes */
    size_t count;
    const float *embeddings;         /* device memory [number of them, D], or NULL */
    const sa_picture_name *pictures; /* whose they are, each with `picture_rows` of them */
    size_t picture_rows;
    uint64_t item;            /* with node, candidate and the options' seed: */
    uint32_t node, candidate; /* the key of all that is random in the answer; candidate < 4096 */
    /* The answer has this form, and ends when it has; what it leaves no choice about is not asked. NULL: any
     * form. */
    const sa_grammar *grammar;
    bool greedy; /* whatever the options' temperature is */
} sa_generate_prompt;

typedef enum { SA_STOP_EOS, SA_STOP_TEXT, SA_STOP_LENGTH } sa_stop_reason;

typedef struct {
    sa_status status; /* of this prompt alone; `error` says why, the rest is what there was until then */
    sa_error error;
    sa_tokens tokens; /* with the one that ended the answer */
    float *logprobs;  /* [tokens.count], natural logarithms, at temperature 1; 0 of what a form forces */
    size_t probed;    /* tokens of the first stretch of probes, */
    size_t probe_at;  /* which begins with this one */
    float *probes;    /* [probed, probe_count] logits */
    sa_text text;
    sa_stop_reason stop;
    double prefill, decode; /* seconds until the first token, and from there to the end (0: not ended) */
} sa_generate_answer;

void sa_generate_answer_free(sa_generate_answer *answer);

/* Each may be NULL. */
typedef struct {
    void *context;
    /* The embeddings of these prompts are needed from now on; a prompt may be asked for more than once. */
    sa_status (*see)(void *context, const size_t *indexes, size_t count, sa_error *err);
    /* More of the answer to prompts[index], which will not be taken back. */
    void (*text)(void *context, size_t index, const char *bytes, size_t size);
    bool (*interrupted)(void *context); /* asked between forwards; true ends the call as SA_INTERRUPTED */
} sa_generate_watcher;

/*
 * Prompts as they come: between start and stop each that is begun runs along, and leaves when it is done.
 *
 *   start -> [ begin while there is room -> step: one pass of the model -> ended: who is done ] -> stop
 *
 * Options and watcher are those of all of them, and stay as they are until stop; a prompt, what it points to
 * and its answer (all zeros before, freed by the caller) until it has ended. The watcher calls a prompt by
 * its ticket.
 */
void sa_generator_start(sa_generator *generator, const sa_generate_options *options,
                        const sa_generate_watcher *watcher);
bool sa_generator_has_room(const sa_generator *generator);
/* One that cannot run at all, or whose status is not SA_OK, is not *running: its answer says why. */
sa_status sa_generator_begin(sa_generator *generator, const sa_generate_prompt *prompt,
                             sa_generate_answer *answer, size_t ticket, bool *running, sa_error *err);
size_t sa_generator_running(const sa_generator *generator);
/* Not SA_OK: what ends the whole, see sa_generate. */
sa_status sa_generator_step(sa_generator *generator, sa_error *err);
/* The tickets of those that the last step ended. */
const size_t *sa_generator_ended(const sa_generator *generator, size_t *count);
/* Those that still run end where they are. */
void sa_generator_stop(sa_generator *generator);

/*
 * All of these. answers [count], all zeros before; where a status is not SA_OK already, the prompt is
 * passed over. The caller frees each, whatever is returned. Not SA_OK: what ended the whole (the device,
 * memory, an interrupt).
 */
sa_status sa_generate(sa_generator *generator, const sa_generate_prompt *prompts, size_t count,
                      const sa_generate_options *options, const sa_generate_watcher *watcher,
                      sa_generate_answer *answers, sa_error *err);

/* Since the generator was opened. */
typedef struct {
    size_t prompts, prompt_tokens; /* that were begun with */
    size_t reused, prefilled; /* of these tokens: were there, were computed (again after pages ran out) */
    size_t decoded, forwards; /* tokens of answers, and passes of the model */
    size_t guessed, right;    /* tokens that were guessed, and that the model said as well */
    size_t forced;            /* tokens that the form of an answer left no choice about */
    size_t pages_kept, pages_given_back;
} sa_generator_counts;
sa_generator_counts sa_generator_get_counts(const sa_generator *generator);

/*
 * The random number in [0, 1) that token number `token` (< 2^20) of an answer is drawn with. Nothing else
 * decides it, so a sample never depends on its batch.
 */
float sa_generate_unit(uint64_t seed, uint64_t item, uint32_t node, uint32_t candidate, size_t token);

#endif
