/*
 * Regular expressions as tokenizers write them (the syntax of Oniguruma, as Rust's and Python's libraries use
 * it), run by PCRE2. Matching uses no stack that grows with the text, and a bound on its steps.
 */
#ifndef SA_TEXT_PATTERN_H
#define SA_TEXT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/status.h"

typedef struct sa_pattern sa_pattern;

/*
 * `file` is what errors call the source. Classes mean what they mean in Unicode, whatever PCRE2's own habits
 * are: \s is White_Space, \w letters, marks, digits and connectors, \p{Han} the script. Syntax whose meaning
 * differs between the libraries is SA_BAD_INPUT with the pattern in the error.
 */
sa_status sa_pattern_compile(sa_pattern **pattern, const char *expression, const char *file, sa_error *err);
void sa_pattern_free(sa_pattern *pattern);

/* A pattern that matches `text` itself. */
sa_status sa_pattern_compile_text(sa_pattern **pattern, const char *text, const char *file, sa_error *err);

/*
 * The matches in a text, one after another and not overlapping; an empty one right behind the one before is
 * passed over. `text` is whole UTF-8. One pattern may be used by many threads, each with its own sa_matches.
 */
typedef struct {
    const sa_pattern *pattern;
    const char *text;
    size_t size;
    size_t from;       /* where to go on looking */
    size_t begin, end; /* the match that next found */
    bool any;          /* there was one */
    void *data;        /* PCRE2's own */
} sa_matches;

sa_matches sa_matches_on(const sa_pattern *pattern, const char *text, size_t size);
/* *found = false after the last. SA_BAD_INPUT if looking for it takes too many steps. */
sa_status sa_matches_next(sa_matches *matches, bool *found, sa_error *err);
void sa_matches_end(sa_matches *matches);

#endif
