/* What goes into the next forward: places for tokens, beginnings that are there, guesses. */
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/engine/generate_parts.h"

enum { MOST_SEEN = 16 }; /* pictures' prompts at a time, if as many run */

void sa_generator_drop_guess(sa_generator_run *r)
{
    r->history.count -= r->guessed;
    r->guessed = 0;
}

/* Gives all pages back; the history stays and is prefilled again. */
static void give_up_pages(sa_generator *g, sa_generator_run *r)
{
    sa_kv_truncate(g->kv, r->sequence, 0);
    r->done = r->embedded = 0;
    sa_generator_drop_guess(r);
}

/*
 * Places for run i's next `count` tokens. First the tree gives pages back, then the youngest runs give up
 * theirs. For the `first` run of a round the tree gives up the rest, too: it may hold a page of this very
 * run, which would have to be copied. So the oldest always gets on. SA_NO_ROOM: not this time, or, for the
 * first, never: all pages are its own.
 */
static sa_status find_places(sa_generator *g, size_t i, size_t count, bool first, sa_kv_copy *copy,
                             sa_error *err)
{
    sa_generator_run *r = &g->runs[i];
    size_t youngest = g->running;
    while (!sa_prefix_give_back(g->prefix, sa_kv_needed(g->kv, r->sequence, count)) && youngest > i + 1) {
        give_up_pages(g, &g->runs[--youngest]);
    }
    if (first && sa_kv_needed(g->kv, r->sequence, count) > sa_kv_free_pages(g->kv)) {
        sa_prefix_clear(g->prefix);
    }
    return sa_kv_append(g->kv, r->sequence, count, copy, err);
}

static size_t common_keys(const sa_generator_run *a, const sa_generator_run *b)
{
    size_t most = sa_least(a->prompt->count, b->prompt->count), same = 0;
    while (same < most && a->keys[same] == b->keys[same]) {
        same++;
    }
    return same;
}

/*
 * A run that has not begun begins with what the tree has of its prompt, but for the last token, whose logits
 * it needs. It waits while an older run is about to bring more: a page more, or all of it. False: it waits.
 */
static bool begin_with_kept(sa_generator *g, size_t i)
{
    sa_generator_run *r = &g->runs[i];
    if (r->done > 0) {
        return true;
    }
    size_t wanted = r->prompt->count - 1, there = sa_prefix_length(g->prefix, r->keys, wanted);
    for (size_t k = 0; k < i && there < wanted; k++) {
        const sa_generator_run *older = &g->runs[k];
        if (!older->over && older->done < older->prompt->count) {
            size_t coming = sa_least(common_keys(older, r), wanted);
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

void sa_generator_keep_prompt(sa_generator *g, size_t i)
{
    const sa_generator_run *r = &g->runs[i];
    size_t count = r->prompt->count, full = count - count % SA_KV_PAGE;
    for (size_t k = i + 1; k < g->running && full < count; k++) {
        const sa_generator_run *younger = &g->runs[k];
        if (!younger->over && younger->done == 0 && common_keys(r, younger) + 1 >= count) {
            full = count;
        }
    }
    sa_prefix_keep(g->prefix, r->keys, full, r->sequence);
}

static void add_item(sa_generator *g, size_t i, size_t count)
{
    sa_generator_run *r = &g->runs[i];
    size_t width = sa_llama_get_config(g->llama)->hidden, item = 0;
    const float *embeddings = r->prompt->embeddings;
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
static void guess(sa_generator *g, sa_generator_run *r, size_t most)
{
    const sa_generate_prompt *prompt = r->prompt;
    size_t said = r->answer->tokens.count, context = sa_llama_context(g->llama);
    int32_t tokens[SA_DRAFT_MOST];
    SA_ASSERT(r->guessed == 0);
    if (g->asked->varying == NULL || prompt->grammar != NULL || r->history.count >= context) {
        return;
    }
    most = sa_least(sa_least(most, SA_DRAFT_MOST),
                    sa_least(context - r->history.count, g->asked->max_tokens - said - 1));
    size_t count = sa_draft_guess(&g->draft, r->place, most, tokens);
    for (size_t i = 0; i < count; i++) {
        sa_tokens_append(&r->history, tokens[i]);
        r->guessed += !r->history.failed;
    }
    size_t needed = sa_kv_needed(g->kv, r->sequence, r->history.count - r->done);
    if (count > 0 && !sa_prefix_give_back(g->prefix, needed)) { /* no run gives up its pages for a guess */
        sa_generator_drop_guess(r);
    }
    g->counts.guessed += r->guessed;
}

size_t sa_generator_choose_items(sa_generator *g)
{
    size_t rows = g->options.rows, chosen = 0, spare = g->options.logit_rows - g->running;
    memset(g->items, 0, g->most * sizeof *g->items);
    for (size_t i = 0; i < g->running && rows > 0; i++) {
        sa_generator_run *r = &g->runs[i];
        if (!begin_with_kept(g, i)) {
            continue;
        }
        if (r->history.count - r->done < rows) {
            guess(g, r, sa_least(spare, rows - (r->history.count - r->done)));
        }
        size_t count = sa_least(r->history.count - r->done, rows);
        sa_kv_copy copy = {-1, -1};
        sa_error why = {0};
        sa_status status = find_places(g, i, count, chosen == 0, &copy, &why);
        if (status != SA_OK && chosen == 0) {
            sa_generator_fail_run(r, status, &why);
            sa_kv_truncate(g->kv, r->sequence, 0);
            continue;
        }
        if (status != SA_OK) {
            sa_generator_drop_guess(r);
            continue; /* older ones get on, and will make room */
        }
        if (copy.from >= 0) {
            sa_llama_copy_page(g->llama, copy.from, copy.to);
        }
        spare -= r->guessed;
        add_item(g, i, count);
        chosen++;
        rows -= count;
    }
    return chosen;
}

static bool has_embedding(const int32_t *tokens, size_t count)
{
    for (size_t t = 0; t < count; t++) {
        if (tokens[t] == SA_LLAMA_EMBEDDING) {
            return true;
        }
    }
    return false;
}

/* Runs whose turn comes with one of the next forwards: pictures are seen faster several at a time. */
static size_t look_ahead(sa_generator *g, size_t count)
{
    for (size_t i = 0; i < g->running && count < MOST_SEEN; i++) {
        const sa_generator_run *r = &g->runs[i];
        if (r->coming || r->over || r->done >= r->prompt->count || !begin_with_kept(g, i)) {
            continue;
        }
        if (has_embedding(r->history.ids + r->done, r->prompt->count - r->done)) {
            g->unseen[count++] = r->ticket;
        }
    }
    return count;
}

sa_status sa_generator_see(sa_generator *g, size_t items, sa_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < g->running; i++) {
        g->runs[i].coming = false;
    }
    for (size_t i = 0; i < items; i++) {
        sa_generator_run *r = &g->runs[g->owner[i]];
        r->coming = true;
        if (has_embedding(g->items[i].tokens, g->items[i].count)) {
            g->unseen[count++] = r->ticket;
        }
    }
    if (count == 0 || g->watcher == NULL || g->watcher->see == NULL) {
        return SA_OK;
    }
    count = look_ahead(g, count);
    double begun = sa_clock_seconds();
    SA_TRY(g->watcher->see(g->watcher->context, g->unseen, count, err));
    for (size_t i = 0; i < g->running; i++) { /* seeing is no part of prefill: it is counted by itself */
        g->runs[i].begun += sa_clock_seconds() - begun;
    }
    return SA_OK;
}

void sa_generator_advance(sa_generator *g, size_t items)
{
    for (size_t i = 0; i < items; i++) {
        sa_generator_run *r = &g->runs[g->owner[i]];
        size_t prompt = r->prompt->count, before = r->done;
        for (size_t t = 0; t < g->items[i].count; t++) {
            r->embedded += g->items[i].tokens[t] == SA_LLAMA_EMBEDDING;
        }
        r->done += g->items[i].count;
        g->counts.prefilled += sa_least(r->done, prompt) - sa_least(before, prompt);
    }
    g->counts.forwards++;
}
