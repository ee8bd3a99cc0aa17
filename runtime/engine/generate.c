/*
 * The scheduler of answers.
 *
 *   admit -> [ choose pieces (oldest first) -> see -> forward -> sample -> take tokens ] until none is left
 *
 * The oldest run gets on in every round (younger ones and the tree give their pages up for it), so that no
 * run waits for ever, whatever else there is.
 */
#include <stdlib.h>

#include "runtime/base/clock.h"
#include "runtime/base/philox.h"
#include "runtime/engine/generate_parts.h"

/* ---- opening ---- */

sa_generate_options sa_generate_default_options(void)
{
    return (sa_generate_options){.top_p = 1.0f, .max_tokens = 512};
}

static void drop_forms(sa_generator *g)
{
    for (size_t i = 0; i < g->form_count; i++) {
        sa_forced_close(g->forms[i].forced);
    }
    free(g->forms);
    g->forms = NULL;
    g->form_count = 0;
}

void sa_generator_close(sa_generator *g)
{
    if (g == NULL) {
        return;
    }
    sa_prefix_close(g->prefix);
    sa_kv_close(g->kv);
    free(g->runs);
    free(g->ended);
    free(g->items);
    free(g->owner);
    free(g->unseen);
    free(g->choices);
    free(g->tokens);
    free(g->logprobs);
    free(g->row);
    sa_draft_free(&g->draft);
    sa_constrainer_close(g->constrainer);
    drop_forms(g);
    free(g);
}

sa_status sa_generator_open(sa_generator **out, sa_llama *llama, const sa_llama_options *options,
                            const sa_tokenizer *tokenizer, sa_error *err)
{
    sa_generator *g = calloc(1, sizeof *g);
    if (g == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a generator");
    }
    *g = (sa_generator){.llama = llama, .tokenizer = tokenizer, .options = *options};
    g->most = sa_least(sa_least(options->items, options->rows), options->logit_rows);
    g->runs = calloc(g->most, sizeof *g->runs);
    g->ended = calloc(g->most, sizeof *g->ended);
    g->items = calloc(g->most, sizeof *g->items);
    g->owner = calloc(g->most, sizeof *g->owner);
    g->unseen = calloc(g->most, sizeof *g->unseen);
    g->choices = calloc(options->logit_rows, sizeof *g->choices);
    g->tokens = calloc(options->logit_rows, sizeof *g->tokens);
    g->logprobs = calloc(options->logit_rows, sizeof *g->logprobs);
    g->row = calloc(sa_llama_get_config(llama)->vocabulary, sizeof *g->row);
    sa_status status =
        g->runs == NULL || g->ended == NULL || g->items == NULL || g->owner == NULL || g->unseen == NULL ||
                g->choices == NULL || g->tokens == NULL || g->logprobs == NULL || g->row == NULL
            ? sa_fail(err, SA_NO_ROOM, NULL, "use a smaller batch", "no memory for %zu sequences", g->most)
            : sa_kv_open(&g->kv, sa_llama_pages(llama), g->most, sa_llama_context(llama), err);
    if (status == SA_OK) {
        status = sa_prefix_open(&g->prefix, g->kv, sa_llama_pages(llama), err);
    }
    if (status != SA_OK) {
        sa_generator_close(g);
        return status;
    }
    *out = g;
    return SA_OK;
}

void sa_generate_answer_free(sa_generate_answer *answer)
{
    sa_tokens_free(&answer->tokens);
    sa_text_free(&answer->text);
    free(answer->logprobs);
    free(answer->probes);
    *answer = (sa_generate_answer){0};
}

float sa_generate_unit(uint64_t seed, uint64_t item, uint32_t node, uint32_t candidate, size_t token)
{
    SA_ASSERT(candidate < 1u << 12 && token < 1u << 20);
    uint64_t high = (uint64_t)node << 32 | (uint64_t)candidate << 20 | (uint64_t)token;
    return sa_philox_unit(sa_philox_block(seed, item, high).word[0]);
}

/* ---- one round ---- */

static sa_status forward(sa_generator *g, sa_error *err)
{
    size_t items = sa_generator_choose_items(g);
    if (items == 0) {
        return SA_OK; /* all that there were have failed */
    }
    SA_TRY(sa_generator_see(g, items, err));
    SA_TRY(sa_llama_forward(g->llama, g->items, items, err));
    sa_generator_advance(g, items);
    if (sa_generator_choose_samples(g, items) == 0) {
        return SA_OK;
    }
    sa_error why = {0};
    sa_status status = sa_llama_sample(g->llama, g->choices, g->tokens, g->logprobs, &why);
    if (status != SA_OK && status != SA_BAD_INPUT) {
        if (err != NULL) {
            *err = why;
        }
        return status;
    }
    sa_generator_take_samples(g, items, &why);
    return SA_OK;
}

static sa_status check_interrupt(const sa_generator *g, sa_error *err)
{
    bool stop =
        g->watcher != NULL && g->watcher->interrupted != NULL && g->watcher->interrupted(g->watcher->context);
    return stop ? sa_fail(err, SA_INTERRUPTED, NULL, NULL, "interrupted") : SA_OK;
}

void sa_generator_start(sa_generator *g, const sa_generate_options *options,
                        const sa_generate_watcher *watcher)
{
    SA_ASSERT(g->running == 0 && options->max_tokens >= 1);
    g->asked = options;
    g->watcher = watcher;
}

bool sa_generator_has_room(const sa_generator *g)
{
    return g->running < g->most;
}

size_t sa_generator_running(const sa_generator *g)
{
    return g->running;
}

sa_status sa_generator_step(sa_generator *g, sa_error *err)
{
    g->ended_count = 0;
    SA_TRY(check_interrupt(g, err));
    SA_TRY(forward(g, err));
    sa_generator_drop_ended(g);
    return SA_OK;
}

const size_t *sa_generator_ended(const sa_generator *g, size_t *count)
{
    *count = g->ended_count;
    return g->ended;
}

void sa_generator_stop(sa_generator *g)
{
    for (size_t i = 0; i < g->running; i++) {
        sa_generator_end_run(g, &g->runs[i]);
    }
    g->running = 0;
    drop_forms(g); /* a grammar's address may be another one's when it is gone */
    g->asked = NULL;
    g->watcher = NULL;
    sa_kv_check(g->kv);
    sa_prefix_check(g->prefix);
}

/* ---- all of it ---- */

static sa_status run_all(sa_generator *g, const sa_generate_prompt *prompts, size_t count,
                         sa_generate_answer *answers, sa_error *err)
{
    for (size_t next = 0;;) {
        while (next < count && sa_generator_has_room(g)) {
            bool running;
            SA_TRY(sa_generator_begin(g, &prompts[next], &answers[next], next, &running, err));
            next++;
        }
        if (g->running == 0) {
            return SA_OK;
        }
        SA_TRY(sa_generator_step(g, err));
    }
}

sa_status sa_generate(sa_generator *g, const sa_generate_prompt *prompts, size_t count,
                      const sa_generate_options *options, const sa_generate_watcher *watcher,
                      sa_generate_answer *answers, sa_error *err)
{
    sa_generator_start(g, options, watcher);
    sa_status status = run_all(g, prompts, count, answers, err);
    sa_generator_stop(g);
    return status;
}

sa_generator_counts sa_generator_get_counts(const sa_generator *g)
{
    sa_prefix_counts kept = sa_prefix_get_counts(g->prefix);
    sa_generator_counts counts = g->counts;
    counts.pages_kept = kept.nodes;
    counts.pages_given_back = kept.given_back;
    return counts;
}
