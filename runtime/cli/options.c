#include "runtime/cli/options.h"
#include "runtime/base/sizes.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COMMON_COUNT = 9, WORD_LIMIT = 64, HELP_COLUMN = 26, HELP_WIDTH = 100 };

static void list_common(sa_common_options *c, sa_option table[COMMON_COUNT])
{
    const sa_option options[COMMON_COUNT] = {
        {"device", SA_OPTION_TEXT, &c->device, "auto|cpu|cuda[:i[-j]]|null", "where the models run", "auto",
         0, 0},
        {"precision", SA_OPTION_CHOICE, &c->precision, "auto|f32|bf16|f16",
         "storage of weights and activations; auto takes bf16 where the device is fast at it", "auto", 0, 0},
        {"numerics", SA_OPTION_CHOICE, &c->numerics, "invariant|fast",
         "CUDA: the same bits whatever else is in the batch, or the fastest library for each shape",
         "invariant", 0, 0},
        {"threads", SA_OPTION_INTEGER, &c->threads, "N", "threads of the CPU (default: one per processor)",
         NULL, 1, 1024},
        {"seed", SA_OPTION_INTEGER, &c->seed, "N", "seed of everything random", "0", 0, INT64_MAX},
        {"json", SA_OPTION_FLAG, &c->json, NULL, "results, and errors too, as JSON on standard output", NULL,
         0, 0},
        {"quiet", SA_OPTION_FLAG, &c->quiet, NULL, "warnings and errors only", NULL, 0, 0},
        {"verbose", SA_OPTION_FLAG, &c->verbose, NULL, "say more on standard error", NULL, 0, 0},
        {"help", SA_OPTION_FLAG, &c->help, NULL, "show this text", NULL, 0, 0},
    };
    memcpy(table, options, sizeof options);
}

/* Digits, signs, point and exponent alone: strtod would also take spaces, "inf", "nan" and hexadecimal. */
static bool is_made_of(const char *text, const char *allowed)
{
    return *text != '\0' && text[strspn(text, allowed)] == '\0';
}

bool sa_parse_integer(const char *text, int64_t *out)
{
    if (!is_made_of(text, "0123456789+-")) {
        return false;
    }
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0') {
        return false;
    }
    *out = value;
    return true;
}

bool sa_parse_real(const char *text, double *out)
{
    if (!is_made_of(text, "0123456789+-.eE")) {
        return false;
    }
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(fabs(value) <= 1e300)) {
        return false;
    }
    *out = value;
    return true;
}

/* Copies the piece up to the next comma; returns what follows it, NULL after the last piece. */
static const char *take_piece(const char *text, char piece[WORD_LIMIT])
{
    size_t length = strcspn(text, ",");
    snprintf(piece, WORD_LIMIT, "%.*s", (int)(length < WORD_LIMIT ? length : WORD_LIMIT), text);
    if (length >= WORD_LIMIT) {
        piece[0] = '\0'; /* no number is that long: refused by the parser */
    }
    return text[length] == ',' ? text + length + 1 : NULL;
}

bool sa_parse_reals(const char *text, size_t count, double *out)
{
    char piece[WORD_LIMIT];
    for (size_t i = 0; i < count; i++) {
        if (text == NULL) {
            return false;
        }
        text = take_piece(text, piece);
        if (!sa_parse_real(piece, &out[i])) {
            return false;
        }
    }
    return text == NULL;
}

size_t sa_parse_integers(const char *text, size_t most, int64_t *out)
{
    char piece[WORD_LIMIT];
    size_t count = 0;
    while (text != NULL) {
        text = take_piece(text, piece);
        if (count == most || !sa_parse_integer(piece, &out[count])) {
            return 0;
        }
        count++;
    }
    return count;
}

/* Levenshtein distance; words are short. */
static size_t edits_between(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    if (la >= WORD_LIMIT || lb >= WORD_LIMIT) {
        return WORD_LIMIT;
    }
    size_t row[WORD_LIMIT];
    for (size_t j = 0; j <= lb; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = sa_least(replaced, 1 + sa_least(row[j], row[j - 1]));
        }
    }
    return row[lb];
}

const char *sa_nearest_word(const char *word, const char *const *candidates, size_t count)
{
    const char *best = NULL;
    size_t best_edits = strlen(word) / 3 + 2;
    for (size_t i = 0; i < count; i++) {
        /* What is typed short ("neg" for "negative") counts as near, too. */
        bool prefix = strlen(word) >= 2 && strncmp(word, candidates[i], strlen(word)) == 0;
        size_t edits = prefix ? 1 : edits_between(word, candidates[i]);
        if (edits < best_edits) {
            best_edits = edits;
            best = candidates[i];
        }
    }
    return best;
}

/* The command's own options, then the common ones, as one list to search. */
typedef struct {
    const sa_syntax *syntax;
    const sa_option *common;
} option_set;

static size_t set_count(const option_set *set)
{
    return set->syntax->count + COMMON_COUNT;
}

static const sa_option *set_at(const option_set *set, size_t i)
{
    return i < set->syntax->count ? &set->syntax->options[i] : &set->common[i - set->syntax->count];
}

static const sa_option *find_option(const option_set *set, const char *name, size_t length)
{
    for (size_t i = 0; i < set_count(set); i++) {
        const sa_option *option = set_at(set, i);
        if (strlen(option->name) == length && memcmp(option->name, name, length) == 0) {
            return option;
        }
    }
    return NULL;
}

static sa_status fail_unknown(const option_set *set, const char *argument, sa_error *err)
{
    char name[WORD_LIMIT];
    const char *start = argument + strspn(argument, "-");
    snprintf(name, sizeof name, "%.*s", (int)sa_least(strcspn(start, "="), WORD_LIMIT - 1), start);
    const char *names[128];
    size_t count = 0;
    for (; count < set_count(set) && count < 128; count++) {
        names[count] = set_at(set, count)->name;
    }
    const char *nearest = sa_nearest_word(strcmp(name, "h") == 0 ? "help" : name, names, count);
    char hint[256];
    if (nearest != NULL) {
        snprintf(hint, sizeof hint, "did you mean --%s?", nearest);
    } else {
        snprintf(hint, sizeof hint, "segagent %s --help lists the options", set->syntax->name);
    }
    return sa_fail(err, SA_BAD_USAGE, argument, hint, "unknown option");
}

static sa_status fail_value(const sa_option *option, const char *value, const char *want, sa_error *err)
{
    char dashed[WORD_LIMIT];
    snprintf(dashed, sizeof dashed, "--%s", option->name);
    return sa_fail(err, SA_BAD_USAGE, dashed, want, "\"%.200s\" is not a valid value", value);
}

static sa_status store_integer(const sa_option *option, const char *value, sa_error *err)
{
    int64_t number;
    if (!sa_parse_integer(value, &number) || number < option->least || number > option->most) {
        char want[128];
        snprintf(want, sizeof want, "give a whole number from %lld to %lld", (long long)option->least,
                 (long long)option->most);
        return fail_value(option, value, want, err);
    }
    *(int64_t *)option->target = number;
    return SA_OK;
}

static sa_status store_real(const sa_option *option, const char *value, sa_error *err)
{
    double number;
    if (!sa_parse_real(value, &number) || number < (double)option->least || number > (double)option->most) {
        char want[128];
        snprintf(want, sizeof want, "give a number from %lld to %lld", (long long)option->least,
                 (long long)option->most);
        return fail_value(option, value, want, err);
    }
    *(double *)option->target = number;
    return SA_OK;
}

static bool is_choice(const char *choices, const char *value)
{
    size_t length = strlen(value);
    for (const char *at = choices; length > 0 && at != NULL; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, value, length) == 0 && (at[length] == '|' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

static sa_status store_text(const sa_option *option, const char *value, sa_error *err)
{
    if (option->kind == SA_OPTION_CHOICE && !is_choice(option->value, value)) {
        char want[128];
        snprintf(want, sizeof want, "choose %s", option->value);
        return fail_value(option, value, want, err);
    }
    if (value[0] == '\0') {
        return fail_value(option, value, "give a value that is not empty", err);
    }
    *(const char **)option->target = value;
    return SA_OK;
}

static sa_status store(const sa_option *option, const char *value, sa_error *err)
{
    switch (option->kind) {
    case SA_OPTION_INTEGER: return store_integer(option, value, err);
    case SA_OPTION_REAL: return store_real(option, value, err);
    case SA_OPTION_TEXT:
    case SA_OPTION_CHOICE: return store_text(option, value, err);
    case SA_OPTION_FLAG: *(bool *)option->target = true; return SA_OK;
    case SA_OPTION_LIST: return SA_OK;
    }
    return SA_OK;
}

static void store_defaults(const option_set *set)
{
    for (size_t i = 0; i < set_count(set); i++) {
        const sa_option *option = set_at(set, i);
        if (option->standard != NULL) {
            SA_ASSERT(store(option, option->standard, NULL) == SA_OK);
        }
    }
}

/* The position in argv and what has been seen so far. */
typedef struct {
    const option_set *set;
    int argc, at;
    char **argv;
    bool *seen; /* by index in the set */
    sa_arguments *out;
} parser;

static bool seen_before(parser *p, const sa_option *option)
{
    for (size_t i = 0; i < set_count(p->set); i++) {
        if (set_at(p->set, i) == option) {
            bool before = p->seen[i];
            p->seen[i] = true;
            return before;
        }
    }
    return false;
}

/* The value of the option at hand: after '=', or the next argument, which is consumed. */
static sa_status take_value(parser *p, const sa_option *option, const char *equals, const char **value,
                            sa_error *err)
{
    char dashed[WORD_LIMIT], hint[128];
    snprintf(dashed, sizeof dashed, "--%s", option->name);
    if (option->kind == SA_OPTION_FLAG) {
        *value = "";
        return equals == NULL ? SA_OK
                              : sa_fail(err, SA_BAD_USAGE, dashed, "leave out the \"=\"", "takes no value");
    }
    if (equals != NULL) {
        *value = equals + 1;
        return SA_OK;
    }
    if (p->at + 1 >= p->argc || strncmp(p->argv[p->at + 1], "--", 2) == 0) {
        snprintf(hint, sizeof hint, "write --%s %s", option->name, option->value);
        return sa_fail(err, SA_BAD_USAGE, dashed, hint, "its value is missing");
    }
    *value = p->argv[++p->at];
    return SA_OK;
}

static sa_status parse_option(parser *p, sa_error *err)
{
    const char *argument = p->argv[p->at];
    const char *equals = strchr(argument, '=');
    const char *name = argument + 2;
    const sa_option *option = NULL;
    if (argument[1] == '-') {
        option = find_option(p->set, name, equals != NULL ? (size_t)(equals - name) : strlen(name));
    }
    if (option == NULL) {
        return fail_unknown(p->set, argument, err);
    }
    const char *value = NULL;
    SA_TRY(take_value(p, option, equals, &value, err));
    if (option->kind == SA_OPTION_LIST) {
        p->out->uses[p->out->use_count++] = (sa_option_use){option->name, value};
    } else if (seen_before(p, option) && option->kind != SA_OPTION_FLAG) {
        return sa_fail(err, SA_BAD_USAGE, argument, "keep one of them", "given twice");
    }
    return store(option, value, err);
}

static sa_status parse_all(parser *p, sa_error *err)
{
    bool options_over = false;
    for (p->at = 1; p->at < p->argc; p->at++) {
        const char *argument = p->argv[p->at];
        if (options_over || argument[0] != '-' || argument[1] == '\0') {
            p->out->positions[p->out->position_count++] = argument;
        } else if (strcmp(argument, "--") == 0) {
            options_over = true;
        } else {
            SA_TRY(parse_option(p, err));
        }
    }
    return SA_OK;
}

static sa_status check_positions(const sa_syntax *syntax, const sa_arguments *arguments, sa_error *err)
{
    char hint[512];
    snprintf(hint, sizeof hint, "usage: segagent %s %s", syntax->name, syntax->usage);
    if (arguments->position_count > syntax->most_positions) {
        const char *extra = arguments->positions[syntax->most_positions];
        return sa_fail(err, SA_BAD_USAGE, extra, hint, "one argument too many");
    }
    if (arguments->position_count < syntax->least_positions) {
        return sa_fail(err, SA_BAD_USAGE, syntax->name, hint, "an argument is missing");
    }
    for (size_t i = 0; i < arguments->position_count; i++) {
        if (arguments->positions[i][0] == '\0') {
            return sa_fail(err, SA_BAD_USAGE, syntax->name, hint, "an argument is empty");
        }
    }
    return SA_OK;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            return true;
        }
    }
    return false;
}

sa_status sa_options_parse(const sa_syntax *syntax, int argc, char **argv, sa_common_options *common,
                           sa_arguments *arguments, sa_error *err)
{
    sa_option common_table[COMMON_COUNT];
    *common = (sa_common_options){.device = "auto", .precision = "auto"};
    list_common(common, common_table);
    const option_set set = {syntax, common_table};
    store_defaults(&set);
    *arguments = (sa_arguments){0};
    common->help = asks_for_help(argc, argv);
    if (common->help) {
        return SA_OK;
    }
    size_t room = (size_t)argc + 1;
    arguments->uses = calloc(room, sizeof *arguments->uses);
    arguments->positions = calloc(room, sizeof *arguments->positions);
    bool *seen = calloc(set_count(&set), sizeof *seen);
    sa_status status = SA_OK;
    if (arguments->uses == NULL || arguments->positions == NULL || seen == NULL) {
        status = sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the command line");
    } else {
        parser p = {.set = &set, .argc = argc, .argv = argv, .seen = seen, .out = arguments};
        status = parse_all(&p, err);
    }
    free(seen);
    return status == SA_OK ? check_positions(syntax, arguments, err) : status;
}

void sa_arguments_free(sa_arguments *arguments)
{
    free(arguments->uses);
    free(arguments->positions);
    *arguments = (sa_arguments){0};
}

/* Words of `text` from column HELP_COLUMN on, broken before HELP_WIDTH. */
static void print_wrapped(FILE *stream, const char *text)
{
    int column = HELP_COLUMN;
    while (*text != '\0') {
        int length = (int)strcspn(text, " ");
        if (column > HELP_COLUMN && column + 1 + length > HELP_WIDTH) {
            fprintf(stream, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        }
        bool first = column == HELP_COLUMN;
        fprintf(stream, "%s%.*s", first ? "" : " ", length, text);
        column += length + !first;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', stream);
}

static void print_option(const sa_option *option, FILE *stream)
{
    char left[128], help[1024];
    snprintf(left, sizeof left, "  --%s%s%s", option->name, option->value != NULL ? " " : "",
             option->value != NULL ? option->value : "");
    int length = fprintf(stream, "%s", left);
    if (length + 2 > HELP_COLUMN) {
        fprintf(stream, "\n");
        length = 0;
    }
    fprintf(stream, "%*s", HELP_COLUMN - length, "");
    snprintf(help, sizeof help, "%s%s%s%s%s", option->help,
             option->kind == SA_OPTION_LIST ? "; may be repeated" : "",
             option->standard != NULL ? " (default: " : "", option->standard != NULL ? option->standard : "",
             option->standard != NULL ? ")" : "");
    print_wrapped(stream, help);
}

void sa_options_print_help(const sa_syntax *syntax, FILE *stream)
{
    sa_common_options common;
    sa_option common_table[COMMON_COUNT];
    list_common(&common, common_table);
    fprintf(stream, "Usage: segagent %s %s\n\n%s\n\n", syntax->name, syntax->usage, syntax->summary);
    for (size_t i = 0; i < syntax->count; i++) {
        print_option(&syntax->options[i], stream);
    }
    fprintf(stream, "%sCommon to all commands:\n", syntax->count > 0 ? "\n" : "");
    for (size_t i = 0; i < COMMON_COUNT; i++) {
        print_option(&common_table[i], stream);
    }
    fprintf(stream, "\nExample:\n  %s\n", syntax->example);
}
