/* How runs begin and end. */
#include <stdlib.h>

#include "runtime/base/clock.h"
#include "runtime/engine/generate_parts.h"

static sa_status check_prompt(const sa_generator *g, const sa_generate_prompt *prompt, sa_error *err)
{
    size_t context = sa_llama_context(g->llama), room = sa_llama_pages(g->llama) * SA_KV_PAGE;
    size_t vocabulary = sa_llama_get_config(g->llama)->vocabulary;
    SA_ASSERT(prompt->candidate < 1u << 12);
    if (prompt->count == 0) {
        return sa_fail(err, SA_BAD_INPUT, NULL, "give a text", "the prompt is empty");
    }
    if (prompt->count > context) {
        return sa_fail(err, SA_BAD_INPUT, NULL, "use a shorter prompt or a longer context",
                       "the prompt's %zu tokens are more than the context of %zu", prompt->count, context);
    }
    if (prompt->count > room) {
        return sa_fail(err, SA_NO_ROOM, NULL, "give the KV cache more pages",
                       "the prompt's %zu tokens are more than the KV cache's %zu", prompt->count, room);
    }
    for (size_t i = 0; i < prompt->count; i++) {
        int32_t token = prompt->tokens[i];
        SA_ASSERT(token != SA_LLAMA_EMBEDDING || (prompt->embeddings != NULL && prompt->pictures != NULL));
        if (token != SA_LLAMA_EMBEDDING && (token < 0 || (size_t)token >= vocabulary)) {
            return sa_fail(err, SA_BAD_INPUT, NULL, "use the tokenizer that belongs to this model",
                           "token %d at place %zu is outside of the vocabulary of %zu", (int)token, i,
                           vocabulary);
        }
    }
    return SA_OK;
}

/*
 * A key for each of the prompt's tokens: the token, or a picture's name and the row. Rows take the halves of
 * a name by turns, so that wherever two of them are found, all of it was compared.
 */
static uint64_t *make_keys(const sa_generate_prompt *prompt)
{
    uint64_t *keys = malloc(prompt->count * sizeof *keys);
    size_t row = 0;
    for (size_t i = 0; keys != NULL && i < prompt->count; i++) {
        keys[i] = (uint64_t)prompt->tokens[i];
        if (prompt->tokens[i] == SA_LLAMA_EMBEDDING) {
            const sa_picture_name *name = &prompt->pictures[row / prompt->picture_rows];
            size_t place = row++ % prompt->picture_rows;
            keys[i] = (place % 2 == 0 ? name->low : name->high) + place;
        }
    }
    return keys;
}

static sa_status find_form(sa_generator *g, const sa_grammar *grammar, const sa_forced **forced,
                           sa_error *err)
{
    size_t i = 0;
    while (i < g->form_count && g->forms[i].grammar != grammar) {
        i++;
    }
    if (i == g->form_count) {
        sa_generator_form *more = realloc(g->forms, (i + 1) * sizeof *more);
        if (more == NULL) {
            return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the form of an answer");
        }
        g->forms = more;
        more[i].grammar = grammar;
        SA_TRY(sa_forced_open(&more[i].forced, grammar, g->tokenizer, err));
        g->form_count++;
    }
    *forced = g->forms[i].forced;
    return SA_OK;
}

static sa_status begin_run(sa_generator *g, sa_generator_run *r, sa_error *err)
{
    const sa_generate_prompt *prompt = r->prompt;
    if (prompt->grammar != NULL && g->constrainer == NULL) {
        SA_TRY(sa_constrainer_open(&g->constrainer, g->tokenizer, err));
    }
    SA_TRY(prompt->grammar != NULL ? find_form(g, prompt->grammar, &r->forced, err) : SA_OK);
    r->keys = make_keys(prompt);
    for (size_t i = 0; i < prompt->count; i++) {
        sa_tokens_append(&r->history, prompt->tokens[i]);
    }
    SA_TRY(r->history.failed || r->keys == NULL
               ? sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a prompt")
               : sa_detokenizer_open(&r->detokenizer, g->tokenizer, true, err));
    return sa_kv_create(g->kv, &r->sequence, err);
}

static void free_run(sa_generator_run *r)
{
    free(r->keys);
    sa_detokenizer_close(r->detokenizer);
    sa_tokens_free(&r->history);
}

sa_status sa_generator_begin(sa_generator *g, const sa_generate_prompt *prompt, sa_generate_answer *answer,
                             size_t ticket, bool *running, sa_error *err)
{
    SA_ASSERT(g->asked != NULL && sa_generator_has_room(g));
    *running = answer->status == SA_OK;
    if (*running) {
        answer->status = check_prompt(g, prompt, &answer->error);
        *running = answer->status == SA_OK;
    }
    if (!*running) {
        return SA_OK;
    }
    sa_generator_run r = {.prompt = prompt, .answer = answer, .ticket = ticket, .begun = sa_clock_seconds()};
    sa_status status = begin_run(g, &r, err);
    if (status != SA_OK) {
        *running = false;
        free_run(&r);
        return status;
    }
    g->counts.prompts++;
    g->counts.prompt_tokens += prompt->count;
    g->runs[g->running++] = r;
    return SA_OK;
}

void sa_generator_end_run(sa_generator *g, sa_generator_run *r)
{
    if (!r->failed) {
        sa_prefix_keep(g->prefix, r->keys, sa_least(r->done, r->prompt->count), r->sequence);
    }
    sa_kv_release(g->kv, r->sequence);
    free_run(r);
}

void sa_generator_drop_ended(sa_generator *g)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->running; i++) {
        if (g->runs[i].over) {
            g->ended[g->ended_count++] = g->runs[i].ticket;
            sa_generator_end_run(g, &g->runs[i]);
        } else {
            g->runs[kept++] = g->runs[i];
        }
    }
    g->running = kept;
}

void sa_generator_fail_run(sa_generator_run *r, sa_status status, const sa_error *why)
{
    r->answer->status = status;
    r->answer->error = *why;
    r->over = r->failed = true;
}
