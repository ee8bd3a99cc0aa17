/*
 * The scheduler of answers. One `run` is a prompt that holds a sequence; its history is the prompt's tokens
 * and the answer's, and `done` of them stand in the KV pages.
 *
 *   admit -> [ choose pieces (oldest first) -> see -> forward -> sample -> take tokens ] until none is left
 *
 * The oldest run gets on in every round (younger ones and the tree give their pages up for it), so that no
 * run waits for ever, whatever else there is.
 */
#include "runtime/engine/generate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/philox.h"
#include "runtime/engine/constrain.h"
#include "runtime/engine/draft.h"
#include "runtime/engine/kv.h"
#include "runtime/engine/prefix.h"
#include "runtime/text/stop.h"

typedef struct {
    size_t index; /* of the prompt */
    sa_kv_sequence sequence;
    sa_tokens history;
    uint64_t *keys;  /* of the prompt's tokens, for the tree */
    size_t done;     /* tokens of the history that stand in pages */
    size_t embedded; /* rows of embeddings among these */
    size_t guessed;  /* tokens at the end of the history that are guesses */
    size_t place;    /* in the form of the last answer (draft.h) */
    size_t emitted;  /* bytes of the text that the watcher has */
    sa_detokenizer *detokenizer;
    double begun, answered; /* clock at admission and at the first token; 0: none yet */
    int form;               /* state of the prompt's grammar */
    bool probing, over;     /* probing: the last token was one of the first stretch of probes */
    bool failed;
} run;

struct sa_generator {
    sa_llama *llama;
    const sa_tokenizer *tokenizer;
    sa_llama_options options;
    sa_kv *kv;
    sa_prefix *prefix;
    sa_draft draft;
    sa_generator_counts counts;
    size_t most; /* runs at a time */
    run *runs;   /* [most]: `running` of them, the oldest first */
    size_t running;
    /* One forward: items, whose runs they are, [most] each, and what comes back, [logit_rows] */
    sa_llama_item *items;
    size_t *owner, *unseen; /* unseen: prompts whose embeddings are needed */
    sa_sample_choice *choices;
    int32_t *tokens;
    float *logprobs;
    float *row;                  /* [vocabulary] logits that the host looks at */
    sa_constrainer *constrainer; /* made when the first grammar comes */
};

/* What one call of sa_generate works on. */
typedef struct {
    sa_generator *g;
    const sa_generate_prompt *prompts;
    const sa_generate_options *options;
    const sa_generate_watcher *watcher;
    sa_generate_answer *answers;
    sa_error *err;
} job;

/* ---- opening ---- */

sa_generate_options sa_generate_default_options(void)
{
    return (sa_generate_options){.top_p = 1.0f, .max_tokens = 512};
}

void sa_generator_close(sa_generator *g)
{
    if (g == NULL) {
        return;
    }
    sa_prefix_close(g->prefix);
    sa_kv_close(g->kv);
    free(g->runs);
    free(g->items);
    free(g->owner);
    free(g->unseen);
    free(g->choices);
    free(g->tokens);
    free(g->logprobs);
    free(g->row);
    sa_draft_free(&g->draft);
    sa_constrainer_close(g->constrainer);
    free(g);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

sa_status sa_generator_open(sa_generator **out, sa_llama *llama, const sa_llama_options *options,
                            const sa_tokenizer *tokenizer, sa_error *err)
{
    sa_generator *g = calloc(1, sizeof *g);
    if (g == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a generator");
    }
    *g = (sa_generator){.llama = llama, .tokenizer = tokenizer, .options = *options};
    g->most = least(least(options->items, options->rows), options->logit_rows);
    g->runs = calloc(g->most, sizeof *g->runs);
    g->items = calloc(g->most, sizeof *g->items);
    g->owner = calloc(g->most, sizeof *g->owner);
    g->unseen = calloc(g->most, sizeof *g->unseen);
    g->choices = calloc(options->logit_rows, sizeof *g->choices);
    g->tokens = calloc(options->logit_rows, sizeof *g->tokens);
    g->logprobs = calloc(options->logit_rows, sizeof *g->logprobs);
    g->row = calloc(sa_llama_get_config(llama)->vocabulary, sizeof *g->row);
    sa_status status =
        g->runs == NULL || g->items == NULL || g->owner == NULL || g->unseen == NULL || g->choices == NULL ||
                g->tokens == NULL || g->logprobs == NULL || g->row == NULL
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

/* ---- beginning and ending of a run ---- */

static size_t prompt_count(const job *j, const run *r)
{
    return j->prompts[r->index].count;
}

static sa_status check_prompt(const job *j, size_t index, sa_error *err)
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

static sa_status begin_run(job *j, size_t index, sa_error *err)
{
    sa_generator *g = j->g;
    const sa_generate_prompt *prompt = &j->prompts[index];
    run r = {.index = index, .keys = make_keys(prompt), .begun = sa_clock_seconds()};
    if (prompt->grammar != NULL && g->constrainer == NULL) {
        SA_TRY(sa_constrainer_open(&g->constrainer, g->tokenizer, err));
    }
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

/* The prompt is kept for others, the part in the last page as well: nothing is written behind it any more. */
static void end_run(job *j, run *r)
{
    sa_generator *g = j->g;
    if (!r->failed) {
        sa_prefix_keep(g->prefix, r->keys, least(r->done, prompt_count(j, r)), r->sequence);
    }
    free(r->keys);
    sa_kv_release(g->kv, r->sequence);
    sa_detokenizer_close(r->detokenizer);
    sa_tokens_free(&r->history);
}

/* Runs that are over make room; the others keep their order. */
static void drop_ended(job *j)
{
    sa_generator *g = j->g;
    size_t kept = 0;
    for (size_t i = 0; i < g->running; i++) {
        if (g->runs[i].over) {
            end_run(j, &g->runs[i]);
        } else {
            g->runs[kept++] = g->runs[i];
        }
    }
    g->running = kept;
}

static void fail_run(job *j, run *r, sa_status status, const sa_error *why)
{
    j->answers[r->index].status = status;
    j->answers[r->index].error = *why;
    r->over = r->failed = true;
}

/* Prompts that cannot run at all are answered at once. */
static sa_status admit(job *j, size_t *next, size_t count)
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

/* ---- one forward ---- */

static void drop_guess(run *r)
{
    r->history.count -= r->guessed;
    r->guessed = 0;
}

/* Gives all pages back; the history stays and is prefilled again. */
static void give_up_pages(sa_generator *g, run *r)
{
    sa_kv_truncate(g->kv, r->sequence, 0);
    r->done = r->embedded = 0;
    drop_guess(r);
}

/*
 * Places for run i's next `count` tokens. First the tree gives pages back, then the youngest runs give up
 * theirs, so that the oldest always gets on. SA_NO_ROOM: not this time, or, if it is the oldest and alone
 * with its pages, never.
 */
static sa_status find_places(sa_generator *g, size_t i, size_t count, sa_kv_copy *copy, sa_error *err)
{
    run *r = &g->runs[i];
    size_t youngest = g->running;
    while (!sa_prefix_give_back(g->prefix, sa_kv_needed(g->kv, r->sequence, count)) && youngest > i + 1) {
        give_up_pages(g, &g->runs[--youngest]);
    }
    return sa_kv_append(g->kv, r->sequence, count, copy, err);
}

static size_t common_keys(const job *j, const run *a, const run *b)
{
    size_t most = least(prompt_count(j, a), prompt_count(j, b)), same = 0;
    while (same < most && a->keys[same] == b->keys[same]) {
        same++;
    }
    return same;
}

/*
 * A run that has not begun begins with what the tree has of its prompt, but for the last token, whose logits
 * it needs. It waits while an older run is about to bring more: a page more, or all of it. False: it waits.
 */
static bool begin_with_kept(job *j, size_t i)
{
    sa_generator *g = j->g;
    run *r = &g->runs[i];
    if (r->done > 0) {
        return true;
    }
    size_t wanted = prompt_count(j, r) - 1, there = sa_prefix_length(g->prefix, r->keys, wanted);
    for (size_t k = 0; k < i && there < wanted; k++) {
        const run *older = &g->runs[k];
        if (!older->over && older->done < prompt_count(j, older)) {
            size_t coming = least(common_keys(j, older, r), wanted);
            if (coming >= there + SA_KV_PAGE || (coming == wanted && coming > there)) {
                return false;
            }
        }
    }
    r->done = sa_prefix_find(g->prefix, r->keys, wanted, r->sequence);
    for (size_t t = 0; t < r->done; t++) {
        r->embedded += r->history.ids[t] == SA_LLAMA_EMBEDDING;
    }
    g->counts.reused += r->done;
    return true;
}

/*
 * A prompt that is all there is kept at once: its full pages, and the rest if another one waits for it (the
 * answer's first token then goes to a copy of that page).
 */
static void keep_prompt(job *j, size_t i)
{
    sa_generator *g = j->g;
    const run *r = &g->runs[i];
    size_t count = prompt_count(j, r), full = count - count % SA_KV_PAGE;
    for (size_t k = i + 1; k < g->running && full < count; k++) {
        const run *younger = &g->runs[k];
        if (!younger->over && younger->done == 0 && common_keys(j, r, younger) + 1 >= count) {
            full = count;
        }
    }
    sa_prefix_keep(g->prefix, r->keys, full, r->sequence);
}

static void add_item(job *j, size_t i, size_t count)
{
    sa_generator *g = j->g;
    run *r = &g->runs[i];
    size_t width = sa_llama_get_config(g->llama)->hidden, item = 0;
    const float *embeddings = j->prompts[r->index].embeddings;
    while (g->items[item].count != 0) {
        item++;
    }
    g->owner[item] = i;
    g->items[item] = (sa_llama_item){
        .start = r->done,
        .count = count,
        .tokens = r->history.ids + r->done,
        .embeddings = embeddings != NULL ? embeddings + r->embedded * width : NULL,
        .pages = sa_kv_pages(g->kv, r->sequence),
        .logits = r->done + count == r->history.count ? 1 + r->guessed : 0,
    };
}

/*
 * How the answer goes on, as far as that can be guessed, at the end of the history: at most `most` tokens,
 * within the context and the answer's length.
 */
static void guess(job *j, run *r, size_t most)
{
    sa_generator *g = j->g;
    const sa_generate_prompt *prompt = &j->prompts[r->index];
    size_t said = j->answers[r->index].tokens.count, context = sa_llama_context(g->llama);
    int32_t tokens[SA_DRAFT_MOST];
    SA_ASSERT(r->guessed == 0);
    if (j->options->varying == NULL || prompt->grammar != NULL || r->history.count >= context) {
        return;
    }
    most = least(least(most, SA_DRAFT_MOST),
                 least(context - r->history.count, j->options->max_tokens - said - 1));
    size_t count = sa_draft_guess(&g->draft, r->place, most, tokens);
    for (size_t i = 0; i < count; i++) {
        sa_tokens_append(&r->history, tokens[i]);
    }
    r->guessed = r->history.failed ? 0 : count;
    g->counts.guessed += r->guessed;
}

/* The items of the next forward; their number. */
static size_t choose_items(job *j)
{
    sa_generator *g = j->g;
    size_t rows = g->options.rows, chosen = 0, spare = g->options.logit_rows - g->running;
    memset(g->items, 0, g->most * sizeof *g->items);
    for (size_t i = 0; i < g->running && rows > 0; i++) {
        run *r = &g->runs[i];
        if (!begin_with_kept(j, i)) {
            continue;
        }
        if (r->history.count - r->done < rows) {
            guess(j, r, least(spare, rows - (r->history.count - r->done)));
        }
        size_t count = least(r->history.count - r->done, rows);
        sa_kv_copy copy = {-1, -1};
        sa_error why;
        sa_status status = find_places(g, i, count, &copy, &why);
        if (status != SA_OK && r->guessed > 0) { /* perhaps there is room for what is certain */
            drop_guess(r);
            count = least(r->history.count - r->done, rows);
            status = find_places(g, i, count, &copy, &why);
        }
        if (status != SA_OK && chosen == 0) {
            fail_run(j, r, status, &why); /* all pages are its own, and they are not enough */
            sa_kv_truncate(g->kv, r->sequence, 0);
            continue;
        }
        spare -= r->guessed;
        if (status != SA_OK) {
            continue; /* older ones get on, and will make room */
        }
        if (copy.from >= 0) {
            sa_llama_copy_page(g->llama, copy.from, copy.to);
        }
        add_item(j, i, count);
        chosen++;
        rows -= count;
    }
    return chosen;
}

/* The embeddings that this forward reads. */
static sa_status see(job *j, size_t items)
{
    sa_generator *g = j->g;
    size_t count = 0;
    for (size_t i = 0; i < items; i++) {
        const sa_llama_item *item = &g->items[i];
        for (size_t t = 0; t < item->count; t++) {
            if (item->tokens[t] == SA_LLAMA_EMBEDDING) {
                g->unseen[count++] = g->runs[g->owner[i]].index;
                break;
            }
        }
    }
    bool asks = count > 0 && j->watcher != NULL && j->watcher->see != NULL;
    return asks ? j->watcher->see(j->watcher->context, g->unseen, count, j->err) : SA_OK;
}

/* Marks the items' tokens as written. */
static void advance(job *j, size_t items)
{
    sa_generator *g = j->g;
    for (size_t i = 0; i < items; i++) {
        run *r = &g->runs[g->owner[i]];
        size_t prompt = prompt_count(j, r), before = r->done;
        for (size_t t = 0; t < g->items[i].count; t++) {
            r->embedded += g->items[i].tokens[t] == SA_LLAMA_EMBEDDING;
        }
        r->done += g->items[i].count;
        g->counts.prefilled += least(r->done, prompt) - least(before, prompt);
    }
    g->counts.forwards++;
}

/* ---- tokens to text ---- */

static void show(job *j, run *r, size_t end)
{
    const sa_generate_answer *answer = &j->answers[r->index];
    if (j->watcher != NULL && j->watcher->text != NULL && end > r->emitted) {
        j->watcher->text(j->watcher->context, r->index, answer->text.bytes + r->emitted, end - r->emitted);
    }
    r->emitted = end;
}

static void end_answer(job *j, run *r, sa_stop_reason reason, size_t end)
{
    sa_generate_answer *answer = &j->answers[r->index];
    show(j, r, end);
    answer->text.size = end;
    if (answer->text.bytes != NULL) {
        answer->text.bytes[end] = '\0'; /* a stop text may stand there */
    }
    answer->stop = reason;
    answer->decode = sa_clock_seconds() - r->answered;
    r->over = true;
    if (j->options->varying != NULL) {
        size_t form = answer->tokens.count - (reason == SA_STOP_EOS);
        sa_draft_learn(&j->g->draft, answer->tokens.ids, form, j->options->varying,
                       j->options->varying_count);
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

static sa_status take_token(job *j, run *r, int32_t token, float logprob, sa_error *err)
{
    sa_generator *g = j->g;
    sa_generate_answer *answer = &j->answers[r->index];
    if (r->answered == 0) {
        keep_prompt(j, (size_t)(r - g->runs)); /* now that it is known to be good */
        r->answered = sa_clock_seconds();
        answer->prefill = r->answered - r->begun;
    }
    SA_TRY(keep_token(answer, token, logprob, err));
    r->place = sa_draft_follow(&g->draft, r->place, token, j->options->varying, j->options->varying_count);
    g->counts.decoded++;
    sa_tokens_append(&r->history, token);
    const sa_grammar *grammar = j->prompts[r->index].grammar;
    bool eos = ends_answer(g->tokenizer, token);
    bool formed = grammar != NULL && sa_grammar_accepts(grammar, r->form);
    bool full = answer->tokens.count >= j->options->max_tokens ||
                r->history.count > sa_llama_context(g->llama) || answer->tokens.count >= 1u << 20;
    SA_TRY(sa_detokenizer_push(r->detokenizer, token, &answer->text, err));
    if (eos || full || formed) {
        SA_TRY(sa_detokenizer_finish(r->detokenizer, &answer->text, err));
    }
    if (answer->text.failed || r->history.failed) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for an answer");
    }
    sa_stop_scan scan = sa_stop_find(answer->text.bytes, answer->text.size, r->emitted, j->options->stops);
    if (scan.found) {
        end_answer(j, r, SA_STOP_TEXT, scan.end);
    } else if (eos || full || formed) {
        end_answer(j, r, eos ? SA_STOP_EOS : formed ? SA_STOP_TEXT : SA_STOP_LENGTH, answer->text.size);
    } else {
        show(j, r, scan.end);
    }
    return SA_OK;
}

/* ---- sampling ---- */

static size_t choose_samples(job *j, size_t items)
{
    sa_generator *g = j->g;
    size_t rows = 0;
    for (size_t i = 0; i < items; i++) {
        const run *r = &g->runs[g->owner[i]];
        const sa_generate_prompt *p = &j->prompts[r->index];
        size_t token = r->history.count - r->guessed - prompt_count(j, r);
        for (size_t k = 0; k < g->items[i].logits; k++) {
            g->choices[rows++] = (sa_sample_choice){
                .temperature = p->greedy ? 0.0f : j->options->temperature,
                .top_p = j->options->top_p,
                .min_p = j->options->min_p,
                .top_k = j->options->top_k,
                .u = sa_generate_unit(j->options->seed, p->item, p->node, p->candidate, token + k),
            };
        }
    }
    return rows;
}

/* Is the token one of those whose logits are wanted, in the first stretch of them? */
static bool is_probed(const job *j, const run *r, const sa_generate_answer *answer, int32_t token)
{
    if (answer->probed > 0 && !r->probing) {
        return false;
    }
    for (size_t i = 0; i < j->options->probe_count; i++) {
        if (j->options->probes[i] == token) {
            return true;
        }
    }
    return false;
}

/* Keeps the probes' logits out of g->row. */
static sa_status keep_probes(job *j, sa_generate_answer *answer, sa_error *err)
{
    size_t count = j->options->probe_count;
    float *more = realloc(answer->probes, (answer->probed + 1) * count * sizeof *more);
    if (more == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for an answer");
    }
    answer->probes = more;
    answer->probe_at = answer->probed == 0 ? answer->tokens.count : answer->probe_at;
    for (size_t i = 0; i < count; i++) {
        more[answer->probed * count + i] = j->g->row[j->options->probes[i]];
    }
    answer->probed++;
    return SA_OK;
}

/*
 * What the device has sampled for a row, looked at on the host where that is asked for: a token that fits the
 * prompt's grammar in place of it; the probes' logits.
 */
static sa_status look_at_row(job *j, run *r, size_t row, sa_error *err)
{
    sa_generator *g = j->g;
    const sa_generate_prompt *p = &j->prompts[r->index];
    sa_generate_answer *answer = &j->answers[r->index];
    if (p->grammar != NULL) {
        const sa_sample_choice *choice = &g->choices[row];
        SA_TRY(sa_llama_read_logits(g->llama, row, 1, g->row, err));
        SA_TRY(sa_constrain_choose(g->constrainer, p->grammar, &r->form, g->row,
                                   sa_llama_get_config(g->llama)->vocabulary, choice->temperature, choice->u,
                                   &g->tokens[row], &g->logprobs[row], err));
    }
    bool probed = is_probed(j, r, answer, g->tokens[row]);
    if (probed) {
        SA_TRY(p->grammar != NULL ? SA_OK : sa_llama_read_logits(g->llama, row, 1, g->row, err));
        SA_TRY(keep_probes(j, answer, err));
    }
    r->probing = probed;
    return SA_OK;
}

/* What row `row` of the logits says is the next token. */
static sa_status take_row(job *j, run *r, size_t row, const sa_error *why, sa_error *err)
{
    sa_generator *g = j->g;
    if (g->tokens[row] < 0) { /* the logits are no numbers */
        *err = *why;
        return SA_BAD_INPUT;
    }
    SA_TRY(look_at_row(j, r, row, err));
    return take_token(j, r, g->tokens[row], g->logprobs[row], err);
}

/*
 * The rows of one run, from `row` on: one behind what was certain, and one behind each guess, which counts as
 * long as the model has said what was guessed. What was written for wrong guesses is forgotten.
 */
static void take_rows(job *j, run *r, size_t row, const sa_error *why)
{
    sa_generator *g = j->g;
    int32_t guesses[SA_DRAFT_MOST];
    size_t guessed = r->guessed, right = 0, certain = r->history.count - guessed;
    memcpy(guesses, r->history.ids + certain, guessed * sizeof *guesses);
    drop_guess(r);
    for (;;) {
        sa_error own;
        sa_status status = take_row(j, r, row + right, why, &own);
        if (status != SA_OK) {
            fail_run(j, r, status, &own);
        }
        if (r->over || right == guessed || r->history.ids[certain + right] != guesses[right]) {
            break;
        }
        right++;
    }
    g->counts.right += right;
    r->done = certain + right;
    sa_kv_truncate(g->kv, r->sequence, r->done);
}

/* Rows whose logits were no numbers have the token -1; `why` tells of the first of them. */
static void take_samples(job *j, size_t items, const sa_error *why)
{
    sa_generator *g = j->g;
    size_t row = 0;
    for (size_t i = 0; i < items; i++) {
        size_t rows = g->items[i].logits;
        if (rows > 0) {
            take_rows(j, &g->runs[g->owner[i]], row, why);
        }
        row += rows;
    }
}

static sa_status step(job *j)
{
    sa_generator *g = j->g;
    size_t items = choose_items(j);
    if (items == 0) {
        return SA_OK; /* the only run has failed */
    }
    SA_TRY(see(j, items));
    SA_TRY(sa_llama_forward(g->llama, g->items, items, j->err));
    advance(j, items);
    if (choose_samples(j, items) == 0) {
        return SA_OK;
    }
    sa_error why = {0};
    sa_status status = sa_llama_sample(g->llama, g->choices, g->tokens, g->logprobs, &why);
    if (status != SA_OK && status != SA_BAD_INPUT) {
        if (j->err != NULL) {
            *j->err = why;
        }
        return status;
    }
    take_samples(j, items, &why);
    return SA_OK;
}

/* ---- all of it ---- */

static sa_status check_interrupt(const job *j)
{
    bool stop =
        j->watcher != NULL && j->watcher->interrupted != NULL && j->watcher->interrupted(j->watcher->context);
    return stop ? sa_fail(j->err, SA_INTERRUPTED, NULL, NULL, "interrupted") : SA_OK;
}

static sa_status run_all(job *j, size_t count)
{
    size_t next = 0;
    for (;;) {
        SA_TRY(admit(j, &next, count));
        if (j->g->running == 0) {
            return SA_OK;
        }
        SA_TRY(check_interrupt(j));
        SA_TRY(step(j));
        drop_ended(j);
    }
}

sa_status sa_generate(sa_generator *g, const sa_generate_prompt *prompts, size_t count,
                      const sa_generate_options *options, const sa_generate_watcher *watcher,
                      sa_generate_answer *answers, sa_error *err)
{
    SA_ASSERT(options->max_tokens >= 1);
    job j = {g, prompts, options, watcher, answers, err};
    sa_status status = run_all(&j, count);
    for (size_t i = 0; i < g->running; i++) {
        g->runs[i].failed = status != SA_OK; /* who knows what stands in its pages */
        end_run(&j, &g->runs[i]);
    }
    g->running = 0;
    sa_kv_check(g->kv);
    sa_prefix_check(g->prefix);
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
