#define _GNU_SOURCE
#include "runtime/base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/file.h"
#include "runtime/base/utf8.h"

static const char CORRECT[] = "correct the file";

/* -- Reading -- */

/* One pass over the text before jansson's, which sees only what this found harmless. */
typedef struct {
    size_t line;
    size_t too_deep;    /* line of the first bracket that is nested too deeply, 0 if there is none */
    size_t large_count; /* integers beyond int64 */
} scan_result;

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool is_in_number(unsigned char c)
{
    return is_digit(c) || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
}

/* The end of the string whose opening quote stands at `at`. */
static size_t skip_string(const unsigned char *bytes, size_t size, size_t at)
{
    for (at++; at < size && bytes[at] != '"'; at++) {
        at += bytes[at] == '\\';
    }
    return at < size ? at + 1 : size;
}

static size_t skip_number(const unsigned char *bytes, size_t size, size_t at)
{
    while (at < size && is_in_number(bytes[at])) {
        at++;
    }
    return at;
}

/* True if the number [begin, end) is written as an integer and does not fit in int64. */
static bool is_large_integer(const unsigned char *bytes, size_t begin, size_t end)
{
    bool negative = bytes[begin] == '-';
    const unsigned char *digits = bytes + begin + negative;
    size_t count = end - begin - negative;
    for (size_t i = 0; i < count; i++) {
        if (!is_digit(digits[i])) {
            return false;
        }
    }
    const char *most = negative ? "9223372036854775808" : "9223372036854775807";
    return count > 19 || (count == 19 && memcmp(digits, most, 19) > 0);
}

static scan_result scan(const unsigned char *bytes, size_t size)
{
    scan_result result = {.line = 1};
    size_t depth = 0;
    size_t at = 0;
    while (at < size) {
        unsigned char c = bytes[at];
        size_t begin = at++;
        if (c == '"') {
            at = skip_string(bytes, size, begin);
        } else if (is_in_number(c)) {
            at = skip_number(bytes, size, begin);
            result.large_count += is_large_integer(bytes, begin, at);
        } else if (c == '{' || c == '[') {
            depth++;
            if (depth > SA_JSON_DEPTH && result.too_deep == 0) {
                result.too_deep = result.line;
            }
        } else if (c == '}' || c == ']') {
            depth -= depth > 0;
        } else if (c == '\n') {
            result.line++;
        }
    }
    return result;
}

/* Copies the text with "e0" behind each integer beyond int64, which makes it a real; returns the new size. */
static size_t copy_with_reals(unsigned char *to, const unsigned char *bytes, size_t size)
{
    size_t written = 0;
    size_t at = 0;
    while (at < size) {
        size_t begin = at++;
        bool large = false;
        if (bytes[begin] == '"') {
            at = skip_string(bytes, size, begin);
        } else if (is_in_number(bytes[begin])) {
            at = skip_number(bytes, size, begin);
            large = is_large_integer(bytes, begin, at);
        }
        memcpy(to + written, bytes + begin, at - begin);
        written += at - begin;
        if (large) {
            memcpy(to + written, "e0", 2);
            written += 2;
        }
    }
    return written;
}

/*
 * For this thread and this call in the C locale: jansson copes with a locale whose decimal point is another
 * character, but aborts where it is one of several bytes (ps_AF). NULL if it failed; *no_memory says why.
 */
static json_t *load_in_c_locale(const void *bytes, size_t size, json_error_t *problem, bool *no_memory)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    *no_memory = plain == (locale_t)0;
    if (*no_memory) {
        return NULL;
    }
    locale_t before = uselocale(plain);
    json_t *loaded = json_loadb(bytes, size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, problem);
    uselocale(before);
    freelocale(plain);
    *no_memory = loaded == NULL && json_error_code(problem) == json_error_out_of_memory;
    return loaded;
}

static sa_status load(const char *name, const void *bytes, size_t size, json_t **value, sa_error *err)
{
    json_error_t problem;
    bool no_memory = false;
    json_t *loaded = load_in_c_locale(bytes, size, &problem, &no_memory);
    if (loaded != NULL) {
        *value = loaded;
        return SA_OK;
    }
    if (no_memory) {
        return sa_fail(err, SA_NO_ROOM, name, NULL, "no memory for %zu bytes of JSON", size);
    }
    return sa_fail(err, SA_BAD_INPUT, name, CORRECT, "not valid JSON, line %d, column %d: %s", problem.line,
                   problem.column, problem.text);
}

/* The slow way, for files with such numbers (Python writes int(1e30) into tokenizer_config.json). */
static sa_status load_with_reals(const char *name, const void *bytes, size_t size, size_t large_count,
                                 json_t **value, sa_error *err)
{
    size_t extra = 0;
    size_t room = 0;
    unsigned char *copy = NULL;
    if (sa_mul_size(large_count, 2, &extra) && sa_add_size(size, extra, &room)) {
        copy = malloc(room);
    }
    if (copy == NULL) {
        return sa_fail(err, SA_NO_ROOM, name, NULL, "no memory for %zu bytes of JSON", size);
    }
    size_t written = copy_with_reals(copy, bytes, size);
    SA_ASSERT(written == room);
    sa_status status = load(name, copy, written, value, err);
    free(copy);
    return status;
}

sa_status sa_json_parse(const char *name, const void *bytes, size_t size, json_t **value, sa_error *err)
{
    if (size == 0) {
        return sa_fail(err, SA_BAD_INPUT, name, "give it some JSON", "is empty");
    }
    scan_result found = scan(bytes, size);
    if (found.too_deep != 0) {
        return sa_fail(err, SA_BAD_INPUT, name, CORRECT, "line %zu: JSON nested deeper than %d",
                       found.too_deep, (int)SA_JSON_DEPTH);
    }
    if (found.large_count != 0) {
        return load_with_reals(name, bytes, size, found.large_count, value, err);
    }
    return load(name, bytes, size, value, err);
}

sa_status sa_json_read(const char *path, size_t limit, json_t **value, sa_error *err)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    SA_TRY(sa_file_read(path, limit, &bytes, &size, err));
    const char *name = strcmp(path, "-") == 0 ? "standard input" : path;
    sa_status status = sa_json_parse(name, bytes, size, value, err);
    free(bytes);
    return status;
}

/* -- Members -- */

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "a string";
    case JSON_INTEGER: return "an integer";
    case JSON_REAL: return "a real number";
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    case JSON_NULL: return "null";
    }
    return "something else";
}

static sa_status fail_type(const char *name, const char *key, const char *wanted, const json_t *value,
                           sa_error *err)
{
    return sa_fail(err, SA_BAD_INPUT, name, CORRECT, "key \"%s\" should be %s and is %s", key, wanted,
                   type_name(value));
}

/* *member = NULL if it is absent, or null, and need not be there. */
static sa_status find_member(const json_t *object, const char *name, const char *key, bool required,
                             const json_t **member, sa_error *err)
{
    if (!json_is_object(object)) {
        return sa_fail(err, SA_BAD_INPUT, name, CORRECT, "should be an object with the key \"%s\" and is %s",
                       key, object != NULL ? type_name(object) : "missing");
    }
    *member = json_object_get(object, key);
    if (*member != NULL && json_is_null(*member)) {
        *member = NULL;
    }
    if (*member == NULL && required) {
        return sa_fail(err, SA_BAD_INPUT, name, CORRECT, "key \"%s\" is missing", key);
    }
    return SA_OK;
}

sa_status sa_json_get_int(const json_t *object, const char *name, const char *key, bool required,
                          int64_t least, int64_t most, int64_t *out, sa_error *err)
{
    const json_t *member = NULL;
    SA_TRY(find_member(object, name, key, required, &member, err));
    if (member == NULL) {
        return SA_OK;
    }
    if (!json_is_integer(member)) {
        return fail_type(name, key, "an integer", member, err);
    }
    int64_t value = json_integer_value(member);
    if (value < least || value > most) {
        return sa_fail(err, SA_BAD_INPUT, name, CORRECT,
                       "key \"%s\" is %" PRId64 " and should be from %" PRId64 " to %" PRId64, key, value,
                       least, most);
    }
    *out = value;
    return SA_OK;
}

sa_status sa_json_get_real(const json_t *object, const char *name, const char *key, bool required,
                           double *out, sa_error *err)
{
    const json_t *member = NULL;
    SA_TRY(find_member(object, name, key, required, &member, err));
    if (member == NULL) {
        return SA_OK;
    }
    if (!json_is_number(member)) {
        return fail_type(name, key, "a number", member, err);
    }
    double value = json_number_value(member);
    if (!isfinite(value)) { /* jansson reads none, but the object may be built by the program */
        return sa_fail(err, SA_BAD_INPUT, name, CORRECT, "key \"%s\" is not a finite number", key);
    }
    *out = value;
    return SA_OK;
}

sa_status sa_json_get_string(const json_t *object, const char *name, const char *key, bool required,
                             const char **out, sa_error *err)
{
    const json_t *member = NULL;
    SA_TRY(find_member(object, name, key, required, &member, err));
    if (member == NULL) {
        return SA_OK;
    }
    if (!json_is_string(member)) {
        return fail_type(name, key, "a string", member, err);
    }
    *out = json_string_value(member);
    return SA_OK;
}

/* -- Numbers as text -- */

/* value = 0.d1d2d3... * 10^point, without superfluous digits. */
typedef struct {
    bool negative;
    int count, point;
    char digits[20];
} decimal;

/*
 * Takes "-d.ddde-07" apart as printf wrote it. Only digits, sign and exponent are looked at, so that it does
 * not matter what the locale puts for the point.
 */
static decimal decimal_of(const char *text)
{
    decimal d = {.negative = text[0] == '-'};
    const char *exponent = strchr(text, 'e');
    SA_ASSERT(exponent != NULL);
    for (const char *c = text; c < exponent; c++) {
        if (is_digit((unsigned char)*c)) {
            SA_ASSERT(d.count < (int)sizeof d.digits);
            d.digits[d.count++] = *c;
        }
    }
    d.point = atoi(exponent + 1) + 1;
    return d;
}

/* Puts the decimal down the way Python's repr does: an exponent below 1e-4 and from 1e16, else a point. */
static void write_decimal(char *text, const decimal *d)
{
    char *out = text;
    if (d->negative) {
        *out++ = '-';
    }
    if (d->point < -3 || d->point > 16) {
        *out++ = d->digits[0];
        if (d->count > 1) {
            *out++ = '.';
            memcpy(out, d->digits + 1, (size_t)d->count - 1);
            out += d->count - 1;
        }
        sprintf(out, "e%+03d", d->point - 1);
        return;
    }
    for (int at = d->point < 1 ? d->point - 1 : 0; at < d->count || at <= d->point; at++) {
        if (at == d->point) {
            *out++ = '.';
        }
        *out++ = at >= 0 && at < d->count ? d->digits[at] : '0';
    }
    *out = '\0';
}

/* Bits and not ==, which a processor set to flush subnormals gets wrong. */
static bool reads_back_f32(const char *text, float value)
{
    float back = strtof(text, NULL);
    return memcmp(&back, &value, sizeof value) == 0;
}

static bool reads_back_f64(const char *text, double value)
{
    double back = strtod(text, NULL);
    return memcmp(&back, &value, sizeof value) == 0;
}

enum { NUMBER_TEXT = 32 };

/*
 * Tries one digit, two, ... until the value comes back; 9 are always enough for f32 and 17 for f64. printf
 * and strto* use the same locale, so they understand each other. What they agree on is then written without
 * it.
 */
static void format_shortest(char *text, size_t size, double value, bool single)
{
    SA_ASSERT(size >= NUMBER_TEXT);
    if (!isfinite(value)) {
        strcpy(text, "null");
        return;
    }
    char attempt[64];
    int most = single ? 9 : 17;
    for (int digits = 1; digits <= most; digits++) {
        snprintf(attempt, sizeof attempt, "%.*e", digits - 1, value);
        if (single ? reads_back_f32(attempt, (float)value) : reads_back_f64(attempt, value)) {
            break;
        }
    }
    decimal d = decimal_of(attempt);
    write_decimal(text, &d);
}

void sa_json_format_f32(char *text, size_t size, float value)
{
    format_shortest(text, size, (double)value, true);
}

void sa_json_format_f64(char *text, size_t size, double value)
{
    format_shortest(text, size, value, false);
}

/* -- Writing -- */

sa_json_writer sa_json_writer_on(FILE *stream)
{
    return (sa_json_writer){.stream = stream};
}

sa_json_writer sa_json_writer_python(FILE *stream)
{
    return (sa_json_writer){.stream = stream, .python = true};
}

static void put_comma(sa_json_writer *w)
{
    fputs(w->python ? ", " : ",", w->stream);
}

/* Comma or not, and the contract on where a value may stand. */
static void before_value(sa_json_writer *w)
{
    SA_ASSERT(w->depth > 0 || !w->line_done);
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth > 0) {
        SA_ASSERT(w->open[w->depth - 1] == '[');
        if (w->need_comma[w->depth - 1]) {
            put_comma(w);
        }
        w->need_comma[w->depth - 1] = true;
    }
}

static void after_value(sa_json_writer *w)
{
    w->line_done = w->depth == 0;
}

static void put_value(sa_json_writer *w, const char *text)
{
    before_value(w);
    fputs(text, w->stream);
    after_value(w);
}

static void begin(sa_json_writer *w, char bracket)
{
    before_value(w);
    SA_ASSERT(w->depth < (int)(sizeof w->need_comma / sizeof w->need_comma[0]));
    putc(bracket, w->stream);
    w->open[w->depth] = bracket;
    w->need_comma[w->depth] = false;
    w->depth++;
}

static void end(sa_json_writer *w, char opened, char bracket)
{
    SA_ASSERT(w->depth > 0 && w->open[w->depth - 1] == opened && !w->after_key);
    putc(bracket, w->stream);
    w->depth--;
    after_value(w);
}

void sa_json_begin_object(sa_json_writer *w)
{
    begin(w, '{');
}

void sa_json_end_object(sa_json_writer *w)
{
    end(w, '{', '}');
}

void sa_json_begin_array(sa_json_writer *w)
{
    begin(w, '[');
}

void sa_json_end_array(sa_json_writer *w)
{
    end(w, '[', ']');
}

static void put_ascii(FILE *stream, unsigned char c)
{
    static const char shorts[] = "\bb\ff\nn\rr\tt\"\"\\\\"; /* pairs: the character, its letter */
    for (int i = 0; shorts[i] != '\0'; i += 2) {
        if (c == (unsigned char)shorts[i]) {
            putc('\\', stream);
            putc(shorts[i + 1], stream);
            return;
        }
    }
    if (c < 0x20 || c == 0x7f) {
        fprintf(stream, "\\u%04x", c);
    } else {
        putc(c, stream);
    }
}

/* \uXXXX, or two of them for a character beyond 16 bits. */
static void put_escaped(FILE *stream, uint32_t code)
{
    if (code >= 0x10000) {
        fprintf(stream, "\\u%04x", (unsigned)(0xd800 + ((code - 0x10000) >> 10)));
        code = 0xdc00 + ((code - 0x10000) & 0x3ff);
    }
    fprintf(stream, "\\u%04x", (unsigned)code);
}

static void put_quoted(sa_json_writer *w, const char *text, size_t size)
{
    static const unsigned char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
    FILE *stream = w->stream;
    putc('"', stream);
    for (size_t i = 0; i < size;) {
        const unsigned char *at = (const unsigned char *)text + i;
        size_t length = sa_utf8_length(at, size - i);
        i += length == 0 ? 1 : length;
        if (length == 0) {
            at = replacement;
            length = sizeof replacement - 1;
        }
        if (length == 1) {
            put_ascii(stream, *at);
        } else if (w->python) {
            put_escaped(stream, sa_utf8_decode(at, length));
        } else {
            fwrite(at, 1, length, stream);
        }
    }
    putc('"', stream);
}

void sa_json_key(sa_json_writer *w, const char *key)
{
    SA_ASSERT(w->depth > 0 && w->open[w->depth - 1] == '{' && !w->after_key);
    if (w->need_comma[w->depth - 1]) {
        put_comma(w);
    }
    w->need_comma[w->depth - 1] = true;
    put_quoted(w, key, strlen(key));
    fputs(w->python ? ": " : ":", w->stream);
    w->after_key = true;
}

void sa_json_string(sa_json_writer *w, const char *text)
{
    if (text == NULL) {
        sa_json_null(w);
        return;
    }
    sa_json_text(w, text, strlen(text));
}

void sa_json_text(sa_json_writer *w, const char *bytes, size_t size)
{
    before_value(w);
    put_quoted(w, bytes, size);
    after_value(w);
}

void sa_json_int(sa_json_writer *w, int64_t value)
{
    char text[NUMBER_TEXT];
    snprintf(text, sizeof text, "%" PRId64, value);
    put_value(w, text);
}

void sa_json_f32(sa_json_writer *w, float value)
{
    char text[NUMBER_TEXT];
    sa_json_format_f32(text, sizeof text, value);
    put_value(w, text);
}

void sa_json_f64(sa_json_writer *w, double value)
{
    char text[NUMBER_TEXT];
    sa_json_format_f64(text, sizeof text, value);
    put_value(w, text);
}

void sa_json_bool(sa_json_writer *w, bool value)
{
    put_value(w, value ? "true" : "false");
}

void sa_json_null(sa_json_writer *w)
{
    put_value(w, "null");
}

void sa_json_put_string(sa_json_writer *w, const char *key, const char *text)
{
    sa_json_key(w, key);
    sa_json_string(w, text);
}

void sa_json_put_int(sa_json_writer *w, const char *key, int64_t value)
{
    sa_json_key(w, key);
    sa_json_int(w, value);
}

void sa_json_put_f64(sa_json_writer *w, const char *key, double value)
{
    sa_json_key(w, key);
    sa_json_f64(w, value);
}

void sa_json_put_bool(sa_json_writer *w, const char *key, bool value)
{
    sa_json_key(w, key);
    sa_json_bool(w, value);
}

static void write_members(sa_json_writer *w, const json_t *object)
{
    const char *key;
    json_t *member;
    sa_json_begin_object(w);
    json_object_foreach((json_t *)object, key, member) { /* in the order of the file */
        sa_json_key(w, key);
        sa_json_value(w, member);
    }
    sa_json_end_object(w);
}

static void write_items(sa_json_writer *w, const json_t *array)
{
    size_t i;
    json_t *item;
    sa_json_begin_array(w);
    json_array_foreach(array, i, item) {
        sa_json_value(w, item);
    }
    sa_json_end_array(w);
}

void sa_json_value(sa_json_writer *w, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: write_members(w, value); break;
    case JSON_ARRAY: write_items(w, value); break;
    case JSON_STRING: sa_json_text(w, json_string_value(value), json_string_length(value)); break;
    case JSON_INTEGER: sa_json_int(w, json_integer_value(value)); break;
    case JSON_REAL: sa_json_f64(w, json_real_value(value)); break;
    case JSON_NULL: sa_json_null(w); break;
    case JSON_TRUE:
    case JSON_FALSE: sa_json_bool(w, json_is_true(value)); break;
    }
}

void sa_json_end_line(sa_json_writer *w)
{
    SA_ASSERT(w->depth == 0 && !w->after_key);
    putc('\n', w->stream);
    fflush(w->stream);
    w->line_done = false;
}
