/*
 * The form of an answer, as an automaton over bytes: what may come next, and where an answer may end.
 *
 *   pieces in their order (literal, number, one of some words) -> sa_grammar -> [ generate: only tokens that
 *   keep the automaton alive ] -> an answer that parses
 *
 * Built piece by piece: each goes on from wherever the pieces before it may have ended. A bug in the pieces
 * (a number before a digit, a space that may be there before one that must: where one ends could not be told)
 * aborts.
 */
#ifndef SA_TEXT_GRAMMAR_H
#define SA_TEXT_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"

typedef struct sa_grammar sa_grammar;

enum { SA_GRAMMAR_BEGIN = 0, SA_GRAMMAR_DEAD = -1 };

/* An empty one: it accepts nothing but "". */
sa_status sa_grammar_open(sa_grammar **grammar, sa_error *err);
void sa_grammar_close(sa_grammar *grammar);

/* SA_NO_ROOM: more states than a form of an answer has. */
sa_status sa_grammar_add_literal(sa_grammar *g, const char *text, sa_error *err);
/* One of two words. */
sa_status sa_grammar_add_choice(sa_grammar *g, const char *one, const char *other, sa_error *err);
/* 1 to `digits` digits, then, or not, a point and 1 to `decimals` more. */
sa_status sa_grammar_add_number(sa_grammar *g, int digits, int decimals, sa_error *err);
/* A space, or none. */
sa_status sa_grammar_add_space(sa_grammar *g, sa_error *err);

/* The state after bytes[0, size) from `state`, or SA_GRAMMAR_DEAD. */
int sa_grammar_step(const sa_grammar *g, int state, const char *bytes, size_t size);
/* States are 0 .. that - 1. */
size_t sa_grammar_states(const sa_grammar *g);
/* Is a whole answer read? */
bool sa_grammar_accepts(const sa_grammar *g, int state);

#endif
