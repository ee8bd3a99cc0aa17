#include "runtime/text/grammar.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_STATES = 512 };

typedef struct {
    int16_t next[256]; /* 0: nowhere; no edge leads back to the beginning */
    bool ends;         /* the last piece may have ended here: the next one goes on from here */
} state;

struct sa_grammar {
    state *states; /* [MOST_STATES] */
    int count;
};

sa_status sa_grammar_open(sa_grammar **out, sa_error *err)
{
    sa_grammar *g = calloc(1, sizeof *g);
    if (g != NULL) {
        g->states = calloc(MOST_STATES, sizeof *g->states);
    }
    if (g == NULL || g->states == NULL) {
        sa_grammar_close(g);
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the form of an answer");
    }
    g->count = 1;
    g->states[SA_GRAMMAR_BEGIN].ends = true;
    *out = g;
    return SA_OK;
}

void sa_grammar_close(sa_grammar *g)
{
    if (g != NULL) {
        free(g->states);
        free(g);
    }
}

/* ---- building ---- */

static sa_status add_state(sa_grammar *g, int *added, sa_error *err)
{
    if (g->count == MOST_STATES) {
        return sa_fail(err, SA_NO_ROOM, NULL, "use shorter words", "the form of an answer is too long");
    }
    *added = g->count++;
    return SA_OK;
}

/* From where the last piece may have ended, as flags; they end no longer. */
static void take_ends(sa_grammar *g, bool from[MOST_STATES])
{
    for (int s = 0; s < MOST_STATES; s++) {
        from[s] = g->states[s].ends;
        g->states[s].ends = false;
    }
}

/*
 * One state behind all of `from` by this byte: a new one, or the one that all of them lead to already, as the
 * words of a choice begin alike. Where only some do, the byte would be one of two pieces: a bug in these.
 */
static sa_status lead(sa_grammar *g, const bool from[MOST_STATES], unsigned char byte, int *to, sa_error *err)
{
    *to = 0;
    for (int s = 0; s < g->count && *to == 0; s++) {
        *to = from[s] ? g->states[s].next[byte] : 0;
    }
    bool shared = *to != 0;
    if (!shared) {
        SA_TRY(add_state(g, to, err));
    }
    for (int s = 0; s < g->count; s++) {
        if (from[s]) {
            SA_ASSERT(g->states[s].next[byte] == (shared ? *to : 0));
            g->states[s].next[byte] = (int16_t)*to;
        }
    }
    return SA_OK;
}

static sa_status add_word(sa_grammar *g, const bool from[MOST_STATES], const char *text, sa_error *err)
{
    int at = 0;
    SA_ASSERT(text[0] != '\0');
    SA_TRY(lead(g, from, (unsigned char)text[0], &at, err));
    for (size_t i = 1; text[i] != '\0'; i++) {
        int16_t *next = &g->states[at].next[(unsigned char)text[i]];
        if (*next == 0) {
            int added = 0;
            SA_TRY(add_state(g, &added, err));
            *next = (int16_t)added;
        }
        at = *next;
    }
    g->states[at].ends = true;
    return SA_OK;
}

sa_status sa_grammar_add_literal(sa_grammar *g, const char *text, sa_error *err)
{
    bool from[MOST_STATES];
    if (text[0] == '\0') {
        return SA_OK;
    }
    take_ends(g, from);
    return add_word(g, from, text, err);
}

sa_status sa_grammar_add_choice(sa_grammar *g, const char *one, const char *other, sa_error *err)
{
    bool from[MOST_STATES];
    take_ends(g, from);
    SA_TRY(add_word(g, from, one, err));
    return add_word(g, from, other, err);
}

/* A chain of digits behind `from`, each of which may be the last; `reached` gets them, too. */
static sa_status add_digits(sa_grammar *g, const bool from[MOST_STATES], int digits,
                            bool reached[MOST_STATES], sa_error *err)
{
    bool last[MOST_STATES];
    memcpy(last, from, sizeof last);
    for (int i = 0; i < digits; i++) {
        int to = 0;
        SA_TRY(add_state(g, &to, err));
        for (int s = 0; s < g->count; s++) {
            for (int c = '0'; last[s] && c <= '9'; c++) {
                SA_ASSERT(g->states[s].next[c] == 0); /* a number right behind a number */
                g->states[s].next[c] = (int16_t)to;
            }
        }
        memset(last, 0, sizeof last);
        last[to] = reached[to] = g->states[to].ends = true;
    }
    return SA_OK;
}

sa_status sa_grammar_add_number(sa_grammar *g, int digits, int decimals, sa_error *err)
{
    bool from[MOST_STATES], whole[MOST_STATES] = {false}, part[MOST_STATES] = {false};
    take_ends(g, from);
    SA_TRY(add_digits(g, from, digits, whole, err));
    if (decimals > 0) {
        bool point[MOST_STATES] = {false};
        int to = 0;
        SA_TRY(lead(g, whole, '.', &to, err));
        point[to] = true;
        SA_TRY(add_digits(g, point, decimals, part, err));
    }
    return SA_OK;
}

sa_status sa_grammar_add_space(sa_grammar *g, sa_error *err)
{
    bool from[MOST_STATES];
    int to = 0;
    take_ends(g, from);
    SA_TRY(lead(g, from, ' ', &to, err));
    g->states[to].ends = true;
    for (int s = 0; s < g->count; s++) {
        g->states[s].ends |= from[s];
    }
    return SA_OK;
}

/* ---- reading ---- */

int sa_grammar_step(const sa_grammar *g, int at, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size && at != SA_GRAMMAR_DEAD; i++) {
        at = g->states[at].next[(unsigned char)bytes[i]];
        at = at == 0 ? SA_GRAMMAR_DEAD : at;
    }
    return at;
}

size_t sa_grammar_states(const sa_grammar *g)
{
    return (size_t)g->count;
}

bool sa_grammar_accepts(const sa_grammar *g, int at)
{
    return at != SA_GRAMMAR_DEAD && g->states[at].ends;
}
