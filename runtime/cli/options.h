/*
 * Command-line options of all commands: one table per command says what exists, and parsing, defaults and
 * --help come from that table alone.
 *
 *   argv -> sa_options_parse(syntax) -> values in the caller's variables, lists and positions in order
 *
 * Forms: --name, --name VALUE, --name=VALUE; "--" ends the options; "-" is a position (standard input or
 * output). Numbers are read whole, in the C locale (the program never sets another), finite and within their
 * range.
 */
#ifndef SA_CLI_OPTIONS_H
#define SA_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/base/status.h"

typedef enum {
    SA_OPTION_FLAG,    /* target bool */
    SA_OPTION_INTEGER, /* target int64_t, within [least, most] */
    SA_OPTION_REAL,    /* target double, within [least, most] */
    SA_OPTION_TEXT,    /* target const char *, not empty */
    SA_OPTION_CHOICE,  /* target const char *, one of `value`, which reads "auto|cpu|null" */
    SA_OPTION_LIST,    /* no target: every use is kept in sa_arguments.uses */
} sa_option_kind;

typedef struct {
    const char *name; /* without the dashes */
    sa_option_kind kind;
    void *target;
    const char *value;    /* what --help calls the value: "FILE"; the choices of a CHOICE; NULL for a FLAG */
    const char *help;     /* one sentence without a full stop */
    const char *standard; /* the default as one would type it; NULL leaves the target as it is */
    int64_t least, most;
} sa_option;

/* What one command accepts. */
typedef struct {
    const char *name;    /* "click" */
    const char *summary; /* one line */
    const char *usage;   /* what follows the name: "--segmenter DIR --image FILE [OPTION]..." */
    const char *example; /* one command that works */
    const sa_option *options;
    size_t count;
    size_t least_positions, most_positions;
} sa_syntax;

/* What every command understands (INTERFACES.md, "Rules for every command"). */
typedef struct {
    const char *device, *precision, *numerics;
    int64_t threads; /* 0: one per processor */
    int64_t seed;
    bool json, quiet, verbose, help;
} sa_common_options;

typedef struct {
    const char *name; /* of the option */
    const char *value;
} sa_option_use;

typedef struct {
    sa_option_use *uses; /* of SA_OPTION_LIST options, in the order of the command line */
    size_t use_count;
    const char **positions;
    size_t position_count;
} sa_arguments;

/*
 * Parses argv[1, argc) (argv[0] is the command's name). Texts keep pointing into argv. Defaults are stored
 * first, so targets are set even if the call fails. SA_BAD_USAGE: an unknown option (the nearest one is the
 * hint), a value missing, out of range or not a number, an option given twice that is no list, too few or too
 * many positions. With --help everything else is left unchecked. The caller frees *arguments in every case.
 */
sa_status sa_options_parse(const sa_syntax *syntax, int argc, char **argv, sa_common_options *common,
                           sa_arguments *arguments, sa_error *err);
void sa_arguments_free(sa_arguments *arguments);

/* Usage, options with defaults, the example. */
void sa_options_print_help(const sa_syntax *syntax, FILE *stream);

/* The whole of `text` as a finite number; false if it is none, or does not fit. No spaces, no hexadecimal. */
bool sa_parse_integer(const char *text, int64_t *out);
bool sa_parse_real(const char *text, double *out);
/* "a,b,...": exactly `count` numbers. */
bool sa_parse_reals(const char *text, size_t count, double *out);
/* "a,b,...": 1 to `most` integers; their number, or 0 if the text is something else. */
size_t sa_parse_integers(const char *text, size_t most, int64_t *out);

/* The candidate that is the fewest edits away from `word`, or NULL if none is near enough to be meant. */
const char *sa_nearest_word(const char *word, const char *const *candidates, size_t count);

#endif
