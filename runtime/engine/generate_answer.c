/* What comes out of a forward: tokens, their text, and where an answer ends. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/engine/generate_parts.h"
#include "runtime/text/stop.h"

/* ---- tokens to text ---- */

static void show(sa_generator *g, sa_generator_run *r, size_t end)
{
    const sa_generate_answer *answer = r->answer;
    if (g->watcher != NULL && g->watcher->text != NULL && end > r->emitted) {
        g->watcher->text(g->watcher->context, r->ticket, answer->text.bytes + r->emitted, end - r->emitted);
    }
    r->emitted = end;
}

static void end_answer(sa_generator *g, sa_generator_run *r, sa_stop_reason reason, size_t end)
{
    sa_generate_answer *answer = r->answer;
    show(g, r, end);
    answer->text.size = end;
    if (answer->text.bytes != NULL) {
        answer->text.bytes[end] = '\0'; /* a stop text may stand there */
    }
    answer->stop = reason;
    answer->decode = sa_clock_seconds() - r->answered;
    r->over = true;
    if (g->asked->varying != NULL) {
        size_t form = answer->tokens.count - (reason == SA_STOP_EOS);
        sa_draft_learn(&g->draft, answer->tokens.ids, form, g->asked->varying, g->asked->varying_count);
    }
}

static bool ends_answer(const sa_tokenizer *tokenizer, int32_t token)
{
    const sa_tokenizer_ids *special = sa_tokenizer_special(tokenizer);
    for (size_t i = 0; i < special->eos_count; i++) {
        if (special->eos[i] == token) {
            return true;
        }
    }
    return false;
}

/* Room for one more log-probability beside tokens.room tokens. */
static sa_status keep_token(sa_generate_answer *answer, int32_t token, float logprob, sa_error *err)
{
    size_t room = answer->tokens.room;
    sa_tokens_append(&answer->tokens, token);
    if (!answer->tokens.failed && answer->tokens.room != room) {
        float *more = realloc(answer->logprobs, answer->tokens.room * sizeof *more);
        answer->tokens.failed = more == NULL;
        answer->logprobs = more != NULL ? more : answer->logprobs;
    }
    if (answer->tokens.failed) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for an answer");
    }
    answer->logprobs[answer->tokens.count - 1] = logprob;
    return SA_OK;
}

static sa_status take_token(sa_generator *g, sa_generator_run *r, int32_t token, float logprob, sa_error *err)
{
    sa_generate_answer *answer = r->answer;
    if (r->answered == 0) {
        sa_generator_keep_prompt(g, (size_t)(r - g->runs)); /* now that it is known to be good */
        r->answered = sa_clock_seconds();
        answer->prefill = r->answered - r->begun;
    }
    SA_TRY(keep_token(answer, token, logprob, err));
    r->place = sa_draft_follow(&g->draft, r->place, token, g->asked->varying, g->asked->varying_count);
    g->counts.decoded++;
    sa_tokens_append(&r->history, token);
    const sa_grammar *grammar = r->prompt->grammar;
    bool eos = ends_answer(g->tokenizer, token);
    bool formed = grammar != NULL && sa_grammar_accepts(grammar, r->form);
    bool full = answer->tokens.count >= g->asked->max_tokens ||
                r->history.count > sa_llama_context(g->llama) || answer->tokens.count >= 1u << 20;
    SA_TRY(sa_detokenizer_push(r->detokenizer, token, &answer->text, err));
    if (eos || full || formed) {
        SA_TRY(sa_detokenizer_finish(r->detokenizer, &answer->text, err));
    }
    if (answer->text.failed || r->history.failed) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for an answer");
    }
    sa_stop_scan scan = sa_stop_find(answer->text.bytes, answer->text.size, r->emitted, g->asked->stops);
    if (scan.found) {
        end_answer(g, r, SA_STOP_TEXT, scan.end);
    } else if (eos || full || formed) {
        end_answer(g, r, eos ? SA_STOP_EOS : formed ? SA_STOP_TEXT : SA_STOP_LENGTH, answer->text.size);
    } else {
        show(g, r, scan.end);
    }
    return SA_OK;
}

/* ---- sampling ---- */

size_t sa_generator_choose_samples(sa_generator *g, size_t items)
{
    size_t rows = 0;
    for (size_t i = 0; i < items; i++) {
        const sa_generator_run *r = &g->runs[g->owner[i]];
        const sa_generate_prompt *p = r->prompt;
        size_t token = r->history.count - r->guessed - r->prompt->count;
        for (size_t k = 0; k < g->items[i].logits; k++) {
            g->choices[rows++] = (sa_sample_choice){
                .temperature = p->greedy ? 0.0f : g->asked->temperature,
                .top_p = g->asked->top_p,
                .min_p = g->asked->min_p,
                .top_k = g->asked->top_k,
                .u = sa_generate_unit(g->asked->seed, p->item, p->node, p->candidate, token + k),
                .place = (uint32_t)(token + k),
            };
        }
    }
    return rows;
}

/* Is the token one of those whose logits are wanted, in the first stretch of them? */
static bool is_probed(const sa_generator *g, const sa_generator_run *r, const sa_generate_answer *answer,
                      int32_t token)
{
    if (answer->probed > 0 && !r->probing) {
        return false;
    }
    for (size_t i = 0; i < g->asked->probe_count; i++) {
        if (g->asked->probes[i] == token) {
            return true;
        }
    }
    return false;
}

/* Keeps the probes' logits out of g->row. */
static sa_status keep_probes(sa_generator *g, sa_generate_answer *answer, sa_error *err)
{
    size_t count = g->asked->probe_count;
    float *more = realloc(answer->probes, (answer->probed + 1) * count * sizeof *more);
    if (more == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for an answer");
    }
    answer->probes = more;
    answer->probe_at = answer->probed == 0 ? answer->tokens.count : answer->probe_at;
    for (size_t i = 0; i < count; i++) {
        more[answer->probed * count + i] = g->row[g->asked->probes[i]];
    }
    answer->probed++;
    return SA_OK;
}

/*
 * What the device has sampled for a row, looked at on the host where that is asked for: a token that fits the
 * prompt's grammar in place of it; the probes' logits.
 */
static sa_status look_at_row(sa_generator *g, sa_generator_run *r, size_t row, sa_error *err)
{
    const sa_generate_prompt *p = r->prompt;
    sa_generate_answer *answer = r->answer;
    if (p->grammar != NULL) {
        const sa_sample_choice *choice = &g->choices[row];
        SA_TRY(sa_llama_read_logits(g->llama, row, 1, g->row, err));
        SA_TRY(sa_constrain_choose(g->constrainer, p->grammar, &r->form, g->row,
                                   sa_llama_get_config(g->llama)->vocabulary, choice->temperature, choice->u,
                                   &g->tokens[row], &g->logprobs[row], err));
    }
    bool probed = is_probed(g, r, answer, g->tokens[row]);
    if (probed) {
        SA_TRY(p->grammar != NULL ? SA_OK : sa_llama_read_logits(g->llama, row, 1, g->row, err));
        SA_TRY(keep_probes(g, answer, err));
    }
    r->probing = probed;
    return SA_OK;
}

/* What row `row` of the logits says is the next token. */
static sa_status take_row(sa_generator *g, sa_generator_run *r, size_t row, const sa_error *why,
                          sa_error *err)
{
    if (g->tokens[row] < 0) { /* the logits are no numbers */
        *err = *why;
        return SA_BAD_INPUT;
    }
    SA_TRY(look_at_row(g, r, row, err));
    return take_token(g, r, g->tokens[row], g->logprobs[row], err);
}

/* What the prompt's form leaves no choice about needs no pass of the model to be said. */
static sa_status take_forced(sa_generator *g, sa_generator_run *r, sa_error *err)
{
    const int32_t *tokens;
    const int *states;
    if (r->over || r->forced == NULL) {
        return SA_OK;
    }
    size_t count = sa_forced_find(r->forced, r->form, &tokens, &states);
    for (size_t i = 0; i < count && !r->over; i++) {
        r->form = states[i];
        r->probing = false;
        SA_TRY(take_token(g, r, tokens[i], 0.0f, err));
        g->counts.forced++;
    }
    return SA_OK;
}

/*
 * The rows of one run, from `row` on: one behind what was certain, and one behind each guess, which counts as
 * long as the model has said what was guessed. What was written for wrong guesses is forgotten.
 */
static void take_rows(sa_generator *g, sa_generator_run *r, size_t row, const sa_error *why)
{
    int32_t guesses[SA_DRAFT_MOST];
    size_t guessed = r->guessed, right = 0, certain = r->history.count - guessed;
    memcpy(guesses, r->history.ids + certain, guessed * sizeof *guesses);
    sa_generator_drop_guess(r);
    for (;;) {
        sa_error own;
        sa_status status = take_row(g, r, row + right, why, &own);
        if (status != SA_OK) {
            sa_generator_fail_run(r, status, &own);
        }
        if (r->over || right == guessed || r->history.ids[certain + right] != guesses[right]) {
            break;
        }
        right++;
    }
    g->counts.right += right;
    r->done = certain + right;
    sa_kv_truncate(g->kv, r->sequence, r->done);
    sa_error own;
    sa_status status = take_forced(g, r, &own);
    if (status != SA_OK) {
        sa_generator_fail_run(r, status, &own);
    }
}

void sa_generator_take_samples(sa_generator *g, size_t items, const sa_error *why)
{
    size_t row = 0;
    for (size_t i = 0; i < items; i++) {
        size_t rows = g->items[i].logits;
        if (rows > 0) {
            take_rows(g, &g->runs[g->owner[i]], row, why);
        }
        row += rows;
    }
}
