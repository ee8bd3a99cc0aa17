#include "runtime/engine/forced.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    int32_t *tokens; /* [count] */
    int *states;     /* [count] */
    size_t count;
} entry;

struct sa_forced {
    entry *entries; /* [count] by state */
    size_t count;
};

/* What the work on one grammar needs. */
typedef struct {
    const sa_grammar *grammar;
    const sa_tokenizer *tokenizer;
    int *from;     /* [states] the state before on the shortest way; SA_GRAMMAR_DEAD: none */
    char *by;      /* [states] the byte that leads on from there */
    int *queue;    /* [states] */
    sa_text text;  /* of an answer */
    sa_tokens all; /* of it */
} work;

void sa_forced_close(sa_forced *f)
{
    if (f != NULL) {
        for (size_t i = 0; f->entries != NULL && i < f->count; i++) {
            free(f->entries[i].tokens);
            free(f->entries[i].states);
        }
        free(f->entries);
        free(f);
    }
}

static int step(const work *w, int state, int byte)
{
    char one = (char)byte;
    return sa_grammar_step(w->grammar, state, &one, 1);
}

/* The shortest ways from the beginning, breadth first; of equal ones the first in the order of bytes. */
static void find_ways(work *w, size_t count)
{
    size_t first = 0, last = 0;
    for (size_t i = 0; i < count; i++) {
        w->from[i] = SA_GRAMMAR_DEAD;
    }
    w->queue[last++] = SA_GRAMMAR_BEGIN;
    while (first < last) {
        int state = w->queue[first++];
        for (int byte = 0; byte < 256; byte++) {
            int next = step(w, state, byte);
            if (next != SA_GRAMMAR_DEAD && w->from[next] == SA_GRAMMAR_DEAD) {
                w->from[next] = state;
                w->by[next] = (char)byte;
                w->queue[last++] = next;
            }
        }
    }
}

/* The answer that leads to a state, into w->text. */
static void write_way(work *w, int state)
{
    size_t size = 0;
    for (int s = state; s != SA_GRAMMAR_BEGIN; s = w->from[s]) {
        size++;
    }
    w->text.size = 0;
    for (size_t i = 0; i < size; i++) {
        sa_text_append(&w->text, "?", 1);
    }
    for (int s = state; s != SA_GRAMMAR_BEGIN && !w->text.failed; s = w->from[s]) {
        w->text.bytes[--size] = w->by[s];
    }
}

/* Appends the bytes that must come behind *state, and moves it there. */
static void write_forced(work *w, int *state)
{
    while (!sa_grammar_accepts(w->grammar, *state) && !w->text.failed) {
        int fitting = 0, next = SA_GRAMMAR_DEAD;
        char one = 0;
        for (int byte = 0; byte < 256 && fitting < 2; byte++) {
            int there = step(w, *state, byte);
            if (there != SA_GRAMMAR_DEAD) {
                fitting++;
                next = there;
                one = (char)byte;
            }
        }
        if (fitting != 1) {
            return;
        }
        sa_text_append(&w->text, &one, 1);
        *state = next;
    }
}

static size_t common(const sa_tokens *a, const sa_tokens *b)
{
    size_t same = 0;
    while (same < a->count && same < b->count && a->ids[same] == b->ids[same]) {
        same++;
    }
    return same;
}

/* Of the text with each byte that may follow, and what must follow that: the tokens that all of them begin
 * with, in w->all.
 */
static sa_status find_common(work *w, int state, sa_error *err)
{
    bool ends = sa_grammar_accepts(w->grammar, state), first = true;
    size_t size = w->text.size;
    for (int byte = ends ? -1 : 0; byte < 256; byte++) {
        sa_tokens tokens = {0};
        char one = (char)byte;
        if (byte >= 0 && step(w, state, byte) == SA_GRAMMAR_DEAD) {
            continue;
        }
        w->text.size = size;
        if (byte >= 0) { /* a whole word of it */
            int there = step(w, state, byte);
            sa_text_append(&w->text, &one, 1);
            write_forced(w, &there);
        }
        sa_status status = w->text.failed ? sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for an answer")
                                          : sa_tokenizer_encode(w->tokenizer, w->text.bytes, w->text.size, 0,
                                                                first ? &w->all : &tokens, err);
        w->text.size = size;
        if (status == SA_OK && !first) {
            w->all.count = common(&w->all, &tokens);
        }
        first = false;
        sa_tokens_free(&tokens);
        SA_TRY(status);
    }
    return SA_OK;
}

/* How much of the text the first `count` of w->all are; SIZE_MAX: they are no beginning of it. */
static sa_status measure(const work *w, size_t count, size_t *size, sa_error *err)
{
    sa_text begun = {0};
    SA_TRY(sa_tokenizer_decode(w->tokenizer, w->all.ids, count, false, &begun, err));
    bool same = begun.size <= w->text.size &&
                (begun.size == 0 || memcmp(begun.bytes, w->text.bytes, begun.size) == 0);
    *size = same ? begun.size : SIZE_MAX;
    sa_text_free(&begun);
    return SA_OK;
}

static sa_status keep(entry *e, int32_t token, int state, sa_error *err)
{
    int32_t *tokens = realloc(e->tokens, (e->count + 1) * sizeof *tokens);
    e->tokens = tokens != NULL ? tokens : e->tokens;
    int *states = realloc(e->states, (e->count + 1) * sizeof *states);
    e->states = states != NULL ? states : e->states;
    if (tokens == NULL || states == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the form of an answer");
    }
    tokens[e->count] = token;
    states[e->count++] = state;
    return SA_OK;
}

/* Those of w->all that begin behind the first `begun` bytes of the text. */
static sa_status take_tokens(const work *w, int state, size_t begun, entry *e, sa_error *err)
{
    size_t before = SIZE_MAX, here;
    for (size_t i = 0; i <= w->all.count; i++) {
        SA_TRY(measure(w, i, &here, err));
        if (here == SIZE_MAX) { /* the rest of a character that has no whole token */
            return SA_OK;
        }
        if (before != SIZE_MAX && before >= begun && here > before) {
            state = sa_grammar_step(w->grammar, state, w->text.bytes + before, here - before);
            SA_TRY(keep(e, w->all.ids[i - 1], state, err));
        }
        if (before == SIZE_MAX ? here > begun : before < begun && here > begun) {
            return SA_OK; /* a token lies across the border */
        }
        before = here;
    }
    return SA_OK;
}

static sa_status fill_entry(work *w, int state, entry *e, sa_error *err)
{
    int end = state;
    w->all.count = 0;
    write_way(w, state);
    size_t begun = w->text.size;
    write_forced(w, &end);
    if (w->text.failed) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for an answer");
    }
    if (w->text.size == begun) {
        return SA_OK;
    }
    SA_TRY(find_common(w, end, err));
    return take_tokens(w, state, begun, e, err);
}

static sa_status fill(sa_forced *f, work *w, sa_error *err)
{
    f->entries = calloc(f->count, sizeof *f->entries);
    w->from = calloc(f->count, sizeof *w->from);
    w->by = calloc(f->count, 1);
    w->queue = calloc(f->count + 1, sizeof *w->queue);
    if (f->entries == NULL || w->from == NULL || w->by == NULL || w->queue == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the form of an answer");
    }
    find_ways(w, f->count);
    for (size_t state = 0; state < f->count; state++) {
        if (state == SA_GRAMMAR_BEGIN || w->from[state] != SA_GRAMMAR_DEAD) {
            SA_TRY(fill_entry(w, (int)state, &f->entries[state], err));
        }
    }
    return SA_OK;
}

sa_status sa_forced_open(sa_forced **out, const sa_grammar *grammar, const sa_tokenizer *tokenizer,
                         sa_error *err)
{
    sa_forced *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the form of an answer");
    }
    f->count = sa_grammar_states(grammar);
    work w = {.grammar = grammar, .tokenizer = tokenizer};
    sa_status status = fill(f, &w, err);
    free(w.from);
    free(w.by);
    free(w.queue);
    sa_text_free(&w.text);
    sa_tokens_free(&w.all);
    if (status != SA_OK) {
        sa_forced_close(f);
        return status;
    }
    *out = f;
    return SA_OK;
}

size_t sa_forced_find(const sa_forced *f, int state, const int32_t **tokens, const int **states)
{
    const entry *e = &f->entries[state];
    *tokens = e->tokens;
    *states = e->states;
    return e->count;
}
