/* How runs begin and end. */
#include <stdlib.h>

#include "runtime/base/clock.h"
#include "runtime/engine/generate_parts.h"

size_t sa_generator_prompt_count(const sa_generator_job *j, const sa_generator_run *r)
{
    return j->prompts[r->index].count;
}

static sa_status check_prompt(const sa_generator_job *j, size_t index, sa_error *err)
{
    const sa_generate_prompt *prompt = &j->prompts[index];
    size_t context = sa_llama_context(j->g->llama), room = sa_llama_pages(j->g->llama) * SA_KV_PAGE;
    size_t vocabulary = sa_llama_get_config(j->g->llama)->vocabulary;
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

static sa_status begin_run(sa_generator_job *j, size_t index, sa_error *err)
{
    sa_generator *g = j->g;
    const sa_generate_prompt *prompt = &j->prompts[index];
    if (prompt->grammar != NULL && g->constrainer == NULL) {
        SA_TRY(sa_constrainer_open(&g->constrainer, g->tokenizer, err));
    }
    sa_generator_run r = {.index = index, .keys = make_keys(prompt), .begun = sa_clock_seconds()};
    for (size_t i = 0; i < prompt->count; i++) {
        sa_tokens_append(&r.history, prompt->tokens[i]);
    }
    sa_status status = r.history.failed || r.keys == NULL
                           ? sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a prompt")
                           : sa_detokenizer_open(&r.detokenizer, g->tokenizer, true, err);
    if (status == SA_OK) {
        status = sa_kv_create(g->kv, &r.sequence, err);
    }
    if (status != SA_OK) {
        sa_detokenizer_close(r.detokenizer);
        sa_tokens_free(&r.history);
        free(r.keys);
        return status;
    }
    g->counts.prompts++;
    g->counts.prompt_tokens += prompt->count;
    g->runs[g->running++] = r;
    return SA_OK;
}

void sa_generator_end_run(sa_generator_job *j, sa_generator_run *r)
{
    sa_generator *g = j->g;
    if (!r->failed) {
        sa_prefix_keep(g->prefix, r->keys, sa_least(r->done, sa_generator_prompt_count(j, r)), r->sequence);
    }
    free(r->keys);
    sa_kv_release(g->kv, r->sequence);
    sa_detokenizer_close(r->detokenizer);
    sa_tokens_free(&r->history);
}

void sa_generator_drop_ended(sa_generator_job *j)
{
    sa_generator *g = j->g;
    size_t kept = 0;
    for (size_t i = 0; i < g->running; i++) {
        if (g->runs[i].over) {
            sa_generator_end_run(j, &g->runs[i]);
        } else {
            g->runs[kept++] = g->runs[i];
        }
    }
    g->running = kept;
}

void sa_generator_fail_run(sa_generator_job *j, sa_generator_run *r, sa_status status, const sa_error *why)
{
    j->answers[r->index].status = status;
    j->answers[r->index].error = *why;
    r->over = r->failed = true;
}

sa_status sa_generator_admit(sa_generator_job *j, size_t *next, size_t count)
{
    while (j->g->running < j->g->most && *next < count) {
        size_t index = (*next)++;
        sa_generate_answer *answer = &j->answers[index];
        if (answer->status == SA_OK) {
            answer->status = check_prompt(j, index, &answer->error);
        }
        if (answer->status == SA_OK) {
            SA_TRY(begin_run(j, index, j->err));
        }
    }
    return SA_OK;
}
