/*
 * The form of an answer: every text that a plain matcher (all ways of reading it, piece by piece) takes is
 * taken, every other one is not, and a state is dead exactly where no text goes on.
 */
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/text/grammar.h"

/* -- A plain matcher -- */

typedef enum { LITERAL, CHOICE, NUMBER, SPACE } piece_kind;

typedef struct {
    piece_kind kind;
    const char *one, *other;
    int digits, decimals;
} piece;

enum { MOST_PIECES = 8, MOST_TEXT = 64 };

typedef struct {
    piece pieces[MOST_PIECES];
    size_t count;
} form;

/* The text is in the form, or, if `begun`, something that goes on from it might be. */
static bool fits(const form *f, size_t at, const char *text, bool begun);

/* The word, or as much of it as there is text, and then the rest of the form. */
static bool fits_word(const form *f, size_t at, const char *word, const char *text, bool begun)
{
    size_t size = strlen(word), there = strlen(text);
    if (begun && there < size && strncmp(text, word, there) == 0) {
        return true;
    }
    return strncmp(text, word, size) == 0 && fits(f, at + 1, text + size, begun);
}

static bool are_digits(const char *text, int count)
{
    for (int i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
    }
    return true;
}

static bool fits_number(const form *f, size_t at, const char *text, bool begun)
{
    const piece *p = &f->pieces[at];
    bool fit = begun && *text == '\0';
    for (int whole = 1; whole <= p->digits && are_digits(text, whole) && !fit; whole++) {
        const char *behind = text + whole;
        fit = fits(f, at + 1, behind, begun) || (begun && *behind == '\0');
        if (p->decimals > 0 && *behind == '.') {
            behind++;
            fit = fit || (begun && *behind == '\0');
            for (int part = 1; part <= p->decimals && are_digits(behind, part) && !fit; part++) {
                fit = fits(f, at + 1, behind + part, begun);
            }
        }
    }
    return fit;
}

static bool fits(const form *f, size_t at, const char *text, bool begun)
{
    if (at == f->count) {
        return *text == '\0';
    }
    const piece *p = &f->pieces[at];
    switch (p->kind) {
    case LITERAL: return fits_word(f, at, p->one, text, begun);
    case CHOICE: return fits_word(f, at, p->one, text, begun) || fits_word(f, at, p->other, text, begun);
    case NUMBER: return fits_number(f, at, text, begun);
    case SPACE: return fits(f, at + 1, text, begun) || fits_word(f, at, " ", text, begun);
    }
    return false;
}

/* -- Random forms and texts -- */

static void succeed(sa_status status)
{
    assert_int_equal(status, SA_OK);
}

static sa_grammar *build(const form *f)
{
    sa_grammar *g;
    succeed(sa_grammar_open(&g, NULL));
    for (size_t i = 0; i < f->count; i++) {
        const piece *p = &f->pieces[i];
        switch (p->kind) {
        case LITERAL: succeed(sa_grammar_add_literal(g, p->one, NULL)); break;
        case CHOICE: succeed(sa_grammar_add_choice(g, p->one, p->other, NULL)); break;
        case NUMBER: succeed(sa_grammar_add_number(g, p->digits, p->decimals, NULL)); break;
        case SPACE: succeed(sa_grammar_add_space(g, NULL)); break;
        }
    }
    return g;
}

/* Words of few letters, so that random texts hit them and beginnings are shared. */
static const char *const words[] = {"a", "ab", "aa", "b:", "ba", "a b", "(", "aab", ", ", "\xc3\xa9"};

enum { WORDS = sizeof words / sizeof words[0] };

/* Neither is the beginning of the other: where such a word ended could not be told. */
static bool are_a_choice(const char *one, const char *other)
{
    size_t size = strlen(one) < strlen(other) ? strlen(one) : strlen(other);
    return strncmp(one, other, size) != 0;
}

static form random_form(uint64_t seed)
{
    form f = {.count = 1 + sa_philox_block(1, seed, 0).word[0] % (MOST_PIECES - 1)};
    for (size_t i = 0; i < f.count; i++) {
        sa_philox r = sa_philox_block(1, seed, 1 + i);
        piece p = {(piece_kind)(r.word[0] % 4), words[r.word[1] % WORDS], words[r.word[2] % WORDS],
                   1 + (int)(r.word[3] % 3), (int)(r.word[3] / 3 % 3)};
        size_t before = i; /* the piece that this one may follow, with a space between or not */
        while (before > 0 && f.pieces[before - 1].kind == SPACE) {
            before--;
        }
        bool digits_meet = p.kind == NUMBER && before > 0 && f.pieces[before - 1].kind == NUMBER;
        bool spaces_meet = p.kind == SPACE && before < i;
        if (digits_meet || spaces_meet || (p.kind == CHOICE && !are_a_choice(p.one, p.other))) {
            p.kind = LITERAL;
        }
        f.pieces[i] = p;
    }
    return f;
}

/* Appends as much as there is room for. */
static void append(char text[MOST_TEXT], const char *more)
{
    size_t size = strlen(text);
    snprintf(text + size, MOST_TEXT - size, "%s", more);
}

/* A text of the form, most of the time. */
static void random_text(const form *f, uint64_t seed, char text[MOST_TEXT])
{
    text[0] = '\0';
    for (size_t i = 0; i < f->count; i++) {
        const piece *p = &f->pieces[i];
        sa_philox r = sa_philox_block(2, seed, i);
        if (p->kind == LITERAL || p->kind == CHOICE) {
            append(text, p->kind == CHOICE && r.word[0] % 2 == 0 ? p->other : p->one);
        } else if (p->kind == NUMBER) {
            for (int whole = (int)(r.word[1] % (unsigned)p->digits); whole >= 0; whole--) {
                append(text, (const char[2]){(char)('0' + (r.word[2] >> whole) % 10), '\0'});
            }
            append(text, p->decimals > 0 && r.word[0] % 2 == 0 ? ".5" : "");
        } else {
            append(text, r.word[0] % 2 == 0 ? " " : "");
        }
    }
}

/* One byte put in, taken out, or changed. */
static void spoil(char text[MOST_TEXT], uint64_t seed)
{
    static const char bytes[] = "ab:( ,0.9\xc3";
    sa_philox r = sa_philox_block(3, seed, 0);
    size_t size = strlen(text), at = size > 0 ? r.word[0] % size : 0;
    char byte = bytes[r.word[1] % (sizeof bytes - 1)];
    if (r.word[2] % 3 == 0 && size + 1 < MOST_TEXT) {
        memmove(text + at + 1, text + at, size - at + 1);
        text[at] = byte;
    } else if (r.word[2] % 3 == 1 && size > 0) {
        memmove(text + at, text + at + 1, size - at);
    } else if (size > 0) {
        text[at] = byte;
    }
}

/* Every beginning of the text: read whole or from the state before it, alive and accepted as the matcher
 * says. Returns whether the whole is accepted. */
static bool check_text(const form *f, const sa_grammar *g, const char *text)
{
    int state = SA_GRAMMAR_BEGIN;
    size_t size = strlen(text);
    char begun[MOST_TEXT];
    for (size_t i = 0; i <= size; i++) {
        memcpy(begun, text, i);
        begun[i] = '\0';
        state = i > 0 ? sa_grammar_step(g, state, text + i - 1, 1) : state;
        if ((state != SA_GRAMMAR_DEAD) != fits(f, 0, begun, true) ||
            sa_grammar_accepts(g, state) != fits(f, 0, begun, false) ||
            sa_grammar_step(g, SA_GRAMMAR_BEGIN, begun, i) != state) {
            fail_msg("\"%s\": state %d, alive %d, fits %d", begun, state, fits(f, 0, begun, true),
                     fits(f, 0, begun, false));
        }
    }
    return sa_grammar_accepts(g, state);
}

static void test_random_forms(void **state)
{
    (void)state;
    size_t accepted = 0, refused = 0;
    for (uint64_t seed = 0; seed < 500; seed++) {
        form f = random_form(seed);
        sa_grammar *g = build(&f);
        for (uint64_t n = 0; n < 60; n++) {
            char text[MOST_TEXT];
            random_text(&f, seed * 60 + n, text);
            for (uint64_t spoilt = 0; spoilt < n % 3; spoilt++) {
                spoil(text, (seed * 60 + n) * 3 + spoilt);
            }
            bool good = check_text(&f, g, text);
            accepted += good;
            refused += !good;
        }
        sa_grammar_close(g);
    }
    assert_true(accepted > 5000);
    assert_true(refused > 5000);
}

/* -- Cases -- */

static bool takes(const sa_grammar *g, const char *text)
{
    return sa_grammar_accepts(g, sa_grammar_step(g, SA_GRAMMAR_BEGIN, text, strlen(text)));
}

static void test_empty(void **state)
{
    (void)state;
    sa_grammar *g;
    succeed(sa_grammar_open(&g, NULL));
    assert_true(takes(g, ""));
    assert_false(takes(g, "a"));
    succeed(sa_grammar_add_literal(g, "", NULL)); /* changes nothing */
    assert_true(takes(g, ""));
    sa_grammar_close(g);
    sa_grammar_close(NULL);
}

static void test_numbers(void **state)
{
    (void)state;
    static const char *const good[] = {"0", "7", "00", "42", "999", "1.5", "999.25", "0.00"};
    static const char *const bad[] = {"",     ".",     "1.", ".5", "1000", "1.255",
                                      "1..5", "1.5.2", "-1", "+1", "1e2",  "1 "};
    sa_grammar *g;
    succeed(sa_grammar_open(&g, NULL));
    succeed(sa_grammar_add_number(g, 3, 2, NULL));
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(takes(g, good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(takes(g, bad[i]));
    }
    assert_int_equal(sa_grammar_step(g, SA_GRAMMAR_BEGIN, "1.", 2),
                     sa_grammar_step(g, SA_GRAMMAR_BEGIN, "99.", 3));
    sa_grammar_close(g);
}

/* Beginnings that two words share, and what is dead stays so. */
static void test_common_beginning(void **state)
{
    (void)state;
    sa_grammar *g;
    succeed(sa_grammar_open(&g, NULL));
    succeed(sa_grammar_add_space(g, NULL));
    succeed(sa_grammar_add_choice(g, "point up", "point down", NULL));
    succeed(sa_grammar_add_number(g, 1, 0, NULL));
    assert_true(takes(g, "point up1"));
    assert_true(takes(g, " point down2"));
    assert_false(takes(g, "point u1"));
    assert_false(takes(g, "  point up1"));
    assert_false(takes(g, "point up"));
    int dead = sa_grammar_step(g, SA_GRAMMAR_BEGIN, "pont", 4);
    assert_int_equal(dead, SA_GRAMMAR_DEAD);
    assert_int_equal(sa_grammar_step(g, dead, "point up1", 9), SA_GRAMMAR_DEAD);
    assert_int_equal(sa_grammar_step(g, dead, "", 0), SA_GRAMMAR_DEAD);
    assert_false(sa_grammar_accepts(g, dead));
    sa_grammar_close(g);
}

static void test_no_room(void **state)
{
    (void)state;
    char text[600];
    sa_grammar *g;
    sa_error err;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    succeed(sa_grammar_open(&g, NULL));
    assert_int_equal(sa_grammar_add_literal(g, text, &err), SA_NO_ROOM);
    assert_true(err.reason[0] != '\0' && err.hint[0] != '\0');
    sa_grammar_close(g);
}

/* -- Pieces whose ends cannot be told are bugs -- */

static sa_grammar *opened(void)
{
    sa_grammar *g;
    succeed(sa_grammar_open(&g, NULL));
    return g;
}

static void number_number(void)
{
    sa_grammar *g = opened();
    (void)sa_grammar_add_number(g, 2, 0, NULL);
    (void)sa_grammar_add_number(g, 2, 0, NULL);
}

static void space_space(void)
{
    sa_grammar *g = opened();
    (void)sa_grammar_add_space(g, NULL);
    (void)sa_grammar_add_literal(g, " a", NULL);
}

static void decimals_point(void)
{
    sa_grammar *g = opened();
    (void)sa_grammar_add_number(g, 2, 1, NULL);
    (void)sa_grammar_add_literal(g, ".", NULL);
}

static void word_in_word(void)
{
    sa_grammar *g = opened();
    (void)sa_grammar_add_choice(g, "ab", "abc", NULL);
    (void)sa_grammar_add_literal(g, "cd", NULL);
}

static void test_bugs_abort(void **state)
{
    (void)state;
    assert_true(check_aborts(number_number));
    assert_true(check_aborts(space_space));
    assert_true(check_aborts(decimals_point));
    assert_true(check_aborts(word_in_word));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_forms), cmocka_unit_test(test_empty),
        cmocka_unit_test(test_numbers),      cmocka_unit_test(test_common_beginning),
        cmocka_unit_test(test_no_room),      cmocka_unit_test(test_bugs_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
