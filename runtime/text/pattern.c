/*
 * Two parts: a translation of the pattern's text, which refuses what the two libraries understand
 * differently, and PCRE2's compiler and matcher with bounds, since patterns come from files that nobody
 * vouches for.
 */
#include "runtime/text/pattern.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/utf8.h"
#include "runtime/text/buffer.h"

struct sa_pattern {
    pcre2_code *code;
    pcre2_match_context *bounds;
    char *expression; /* for errors */
    char *file;
};

static const char USE_KNOWN[] = "use a tokenizer of the standard kind";

/* -- From Oniguruma's syntax to PCRE2's -- */

/* Where the translation stands in the expression. */
typedef struct {
    const char *at;
    bool in_class;
    sa_text out;
    const char *refused; /* what cannot be translated, NULL if all can */
} translator;

static void put(translator *t, const char *text)
{
    sa_text_append(&t->out, text, strlen(text));
}

/* True for L, Lu, N, ... and the properties that PCRE2 and Unicode call by the same name. */
static bool is_property(const char *name, size_t size)
{
    static const char *const names[] = {"Alphabetic", "White_Space", "Any", "Emoji", "Extended_Pictographic"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i]) == size && memcmp(names[i], name, size) == 0) {
            return true;
        }
    }
    return size <= 2 && size > 0 && strchr("LMNPSZC", name[0]) != NULL;
}

/* \p{...}: what is no category is a script, and PCRE2 would take it for the wider "script extensions". */
static void put_property(translator *t)
{
    const char *brace = t->at + 2;
    const char *end = *brace == '{' ? strchr(brace, '}') : NULL;
    if (end == NULL) {
        t->refused = "\\p without {}";
        return;
    }
    bool negative = t->at[1] == 'P';
    const char *name = brace + 1;
    if (*name == '^') {
        negative = !negative;
        name++;
    }
    put(t, negative ? "\\P{" : "\\p{");
    if (!is_property(name, (size_t)(end - name))) {
        put(t, "sc:");
    }
    sa_text_append(&t->out, name, (size_t)(end + 1 - name));
    t->at = end + 1;
}

/* \w: a class of its own outside of a class, its parts inside one. */
static void put_word(translator *t)
{
    static const char parts[] = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
    put(t, t->in_class ? "" : "[");
    put(t, parts);
    put(t, t->in_class ? "" : "]");
    t->at += 2;
}

static void put_escape(translator *t)
{
    char letter = t->at[1];
    if (letter == 'p' || letter == 'P') {
        put_property(t);
    } else if (letter == 's' || letter == 'S') {
        put(t, letter == 's' ? "\\p{White_Space}" : "\\P{White_Space}");
        t->at += 2;
    } else if (letter == 'w') {
        put_word(t);
    } else if (letter == '\0') {
        t->refused = "a backslash at its end";
    } else if (strchr("rntdD", letter) != NULL || (letter == 'b' && !t->in_class) ||
               (!((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z')) &&
                !(letter >= '0' && letter <= '9'))) {
        sa_text_append(&t->out, t->at, 2);
        t->at += 2;
    } else if (letter == 'x' && t->at[2] == '{') {
        sa_text_append(&t->out, t->at, 2);
        t->at += 2;
    } else {
        t->refused = "an escape that this program does not know";
    }
}

static void put_plain(translator *t)
{
    char c = *t->at;
    bool opens = t->in_class && (c == '[' || (c == '&' && t->at[1] == '&'));
    if (opens) {
        t->refused = "a class inside a class";
        return;
    }
    bool first = false; /* ']' as the first in a class stands for itself */
    if (!t->in_class && c == '[') {
        t->in_class = true;
        first = true;
    } else if (t->in_class && c == ']') {
        t->in_class = false;
    }
    sa_text_append(&t->out, t->at++, 1);
    if (first && *t->at == '^') {
        sa_text_append(&t->out, t->at++, 1);
    }
    if (first && *t->at == ']') {
        t->refused = "an empty class";
    }
}

/* The expression for PCRE2 in t->out; t->refused if there is none. */
static translator translate(const char *expression)
{
    translator t = {.at = expression};
    while (*t.at != '\0' && t.refused == NULL) {
        if (*t.at == '\\') {
            put_escape(&t);
        } else {
            put_plain(&t);
        }
    }
    return t;
}

/* -- Compiling -- */

/* Enough for a run of `size` blanks, over which alternatives go back and forth a few times. */
enum { MOST_STEPS = 10000000, MOST_HEAP_KIB = 262144 };

static sa_status compile(sa_pattern *pattern, const char *translated, sa_error *err)
{
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    pattern->bounds = pcre2_match_context_create(NULL);
    if (context == NULL || pattern->bounds == NULL) {
        pcre2_compile_context_free(context);
        return sa_fail(err, SA_NO_ROOM, pattern->file, NULL, "no memory for a pattern");
    }
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context, 100);
    pcre2_set_match_limit(pattern->bounds, MOST_STEPS);
    pcre2_set_heap_limit(pattern->bounds, MOST_HEAP_KIB);
    int code = 0;
    PCRE2_SIZE place = 0;
    /* In Oniguruma ^ and $ always know lines. */
    pattern->code = pcre2_compile((PCRE2_SPTR)translated, PCRE2_ZERO_TERMINATED,
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &code, &place, context);
    pcre2_compile_context_free(context);
    if (pattern->code == NULL) {
        PCRE2_UCHAR text[128] = "";
        pcre2_get_error_message(code, text, sizeof text);
        return sa_fail(err, SA_BAD_INPUT, pattern->file, USE_KNOWN, "pattern \"%s\": %s", pattern->expression,
                       (const char *)text);
    }
    /* Without the compiler for machine code matching is slower and otherwise the same. */
    (void)pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
    return SA_OK;
}

sa_status sa_pattern_compile(sa_pattern **pattern, const char *expression, const char *file, sa_error *err)
{
    sa_pattern *made = calloc(1, sizeof *made);
    translator t = translate(expression);
    sa_status status = SA_OK;
    if (made != NULL) {
        made->expression = strdup(expression);
        made->file = strdup(file);
    }
    if (made == NULL || made->expression == NULL || made->file == NULL || t.out.failed) {
        status = sa_fail(err, SA_NO_ROOM, file, NULL, "no memory for a pattern");
    } else if (t.refused != NULL) {
        status = sa_fail(err, SA_BAD_INPUT, file, USE_KNOWN, "pattern \"%s\" has %s", expression, t.refused);
    } else {
        status = compile(made, t.out.size > 0 ? t.out.bytes : "", err);
    }
    sa_text_free(&t.out);
    if (status != SA_OK) {
        sa_pattern_free(made);
        return status;
    }
    *pattern = made;
    return SA_OK;
}

sa_status sa_pattern_compile_text(sa_pattern **pattern, const char *text, const char *file, sa_error *err)
{
    sa_text escaped = {0};
    for (const char *c = text; *c != '\0'; c++) {
        bool plain = (*c & 0x80) != 0 || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                     (*c >= '0' && *c <= '9') || *c < ' ' || *c == 0x7f;
        sa_text_append(&escaped, "\\", plain ? 0 : 1);
        sa_text_append(&escaped, c, 1);
    }
    sa_status status = escaped.failed
                           ? sa_fail(err, SA_NO_ROOM, file, NULL, "no memory for a pattern")
                           : sa_pattern_compile(pattern, escaped.size > 0 ? escaped.bytes : "", file, err);
    sa_text_free(&escaped);
    return status;
}

void sa_pattern_free(sa_pattern *pattern)
{
    if (pattern == NULL) {
        return;
    }
    pcre2_code_free(pattern->code);
    pcre2_match_context_free(pattern->bounds);
    free(pattern->expression);
    free(pattern->file);
    free(pattern);
}

/* -- Matching -- */

sa_matches sa_matches_on(const sa_pattern *pattern, const char *text, size_t size)
{
    return (sa_matches){.pattern = pattern, .text = text, .size = size};
}

void sa_matches_end(sa_matches *matches)
{
    pcre2_match_data_free(matches->data);
    matches->data = NULL;
}

static sa_status find(sa_matches *m, bool *found, sa_error *err)
{
    if (m->data == NULL) {
        m->data = pcre2_match_data_create(1, NULL);
    }
    if (m->data == NULL) {
        return sa_fail(err, SA_NO_ROOM, m->pattern->file, NULL, "no memory for matching a pattern");
    }
    const sa_pattern *p = m->pattern;
    uint32_t options = PCRE2_NO_UTF_CHECK; /* the caller's promise; checking at each match is quadratic */
    PCRE2_SPTR text = (PCRE2_SPTR)m->text;
    int got = pcre2_match(p->code, text, m->size, m->from, options, m->data, p->bounds);
    if (got == PCRE2_ERROR_JIT_STACKLIMIT) { /* the interpreter keeps its state on the heap */
        got = pcre2_match(p->code, text, m->size, m->from, options | PCRE2_NO_JIT, m->data, p->bounds);
    }
    *found = got >= 0;
    if (got >= 0) {
        const PCRE2_SIZE *places = pcre2_get_ovector_pointer(m->data);
        m->begin = places[0];
        m->end = places[1];
    }
    if (got >= 0 || got == PCRE2_ERROR_NOMATCH) {
        return SA_OK;
    }
    return sa_fail(err, got == PCRE2_ERROR_NOMEMORY ? SA_NO_ROOM : SA_BAD_INPUT, p->file, USE_KNOWN,
                   "pattern \"%s\" takes too many steps on a text of %zu bytes", p->expression, m->size);
}

sa_status sa_matches_next(sa_matches *m, bool *found, sa_error *err)
{
    size_t last = m->end;
    for (*found = false; m->from <= m->size;) {
        SA_TRY(find(m, found, err));
        if (!*found) {
            break;
        }
        if (m->begin < m->end || !m->any || m->end != last) {
            m->any = true;
            m->from = m->end;
            return SA_OK;
        }
        const unsigned char *at = (const unsigned char *)m->text + m->from;
        m->from += m->from < m->size ? sa_utf8_length(at, m->size - m->from) : 1;
    }
    *found = false;
    return SA_OK;
}
