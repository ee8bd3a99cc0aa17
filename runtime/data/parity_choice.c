/* Which of a sample's masks eval_result_iou scores. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "runtime/data/parity_choice.h"

/* ---- Python's float() ---- */

static bool is_space(char c)
{
    return (c >= '\t' && c <= '\r') || c == ' ';
}

/* The digits at *text, single underscores between them left out, to *to. False if there are none. */
static bool take_digits(const char **text, char **to)
{
    const char *at = *text;
    while (isdigit((unsigned char)*at) ||
           (*at == '_' && at > *text && isdigit((unsigned char)at[-1]) && isdigit((unsigned char)at[1]))) {
        if (*at != '_') {
            *(*to)++ = *at;
        }
        at++;
    }
    bool any = at > *text;
    *text = at;
    return any;
}

static void take_sign(const char **text, char **to)
{
    if (**text == '+' || **text == '-') {
        *(*to)++ = *(*text)++;
    }
}

/* Copies a decimal number without its underscores; false if the text is anything else. */
static bool copy_decimal(const char *text, char *to)
{
    take_sign(&text, &to);
    bool any = take_digits(&text, &to);
    if (*text == '.') {
        *to++ = *text++;
        any = take_digits(&text, &to) || any;
    }
    if (any && (*text == 'e' || *text == 'E')) {
        *to++ = *text++;
        take_sign(&text, &to);
        any = take_digits(&text, &to);
    }
    *to = '\0';
    return any && *text == '\0';
}

static bool is_word_number(const char *text)
{
    text += *text == '+' || *text == '-';
    return strcasecmp(text, "nan") == 0 || strcasecmp(text, "inf") == 0 || strcasecmp(text, "infinity") == 0;
}

bool sa_python_float(const char *text, size_t size, double *out)
{
    char trimmed[512], plain[512];
    while (size > 0 && is_space(text[0])) {
        text++;
        size--;
    }
    while (size > 0 && is_space(text[size - 1])) {
        size--;
    }
    if (size == 0 || size >= sizeof trimmed || memchr(text, '\0', size) != NULL) {
        return false; /* nobody states an IoU in five hundred digits */
    }
    memcpy(trimmed, text, size);
    trimmed[size] = '\0';
    bool good = is_word_number(trimmed) ? strcpy(plain, trimmed) != NULL : copy_decimal(trimmed, plain);
    if (good) {
        *out = strtod(plain, NULL);
    }
    return good;
}

/* ---- the stated IoUs ---- */

/* What stands after the last "Current IOU: ", or all of it. */
static const char *after_mark(const char *text)
{
    static const char mark[] = "Current IOU: ";
    for (const char *found = text; (found = strstr(found, mark)) != NULL;) {
        found += sizeof mark - 1;
        text = found;
    }
    return text;
}

/* Reads every stated IoU up to the first of `ends`; false as soon as one cannot be read. */
static bool read_stated(const json_t *list, const char *ends, double *stated)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *outputs = json_object_get(json_array_get(list, i), "outputs");
        stated[i] = 0.0;
        if (json_is_null(outputs)) {
            continue;
        }
        if (!json_is_string(outputs)) {
            return false; /* there is none: the reference stumbles as well */
        }
        const char *text = after_mark(json_string_value(outputs));
        if (!sa_python_float(text, strcspn(text, ends), &stated[i])) {
            return false;
        }
    }
    return true;
}

/* numpy's argmax: the first of the largest, and a NaN is the largest of all. */
static size_t find_largest(const double *values, size_t count)
{
    size_t best = 0;
    for (size_t i = 0; i < count && !isnan(values[best]); i++) {
        if (isnan(values[i]) || values[i] > values[best]) {
            best = i;
        }
    }
    return best;
}

static sa_status choose_best(const json_t *list, const char *name, const json_t **entry, sa_error *err)
{
    size_t count = json_array_size(list);
    double *stated = calloc(count + 1, sizeof *stated);
    if (stated == NULL) {
        return sa_fail(err, SA_NO_ROOM, name, "free some memory", "no memory for %zu masks", count);
    }
    /* If neither way can read all of them, all count as 0. */
    size_t best =
        read_stated(list, ",", stated) || read_stated(list, "PN", stated) ? find_largest(stated, count) : 0;
    free(stated);
    *entry = json_array_get(list, best > 0 ? best - 1 : 0);
    return SA_OK;
}

sa_status sa_parity_choose(const json_t *sample, const sa_parity_options *options, const char *name,
                           const json_t **entry, sa_error *err)
{
    const json_t *list = json_object_get(sample, "pred_list");
    if (!json_is_array(list)) {
        return sa_fail(err, SA_BAD_INPUT, name, "give a results JSON of SegAgent's runner",
                       "the key \"pred_list\" is no list");
    }
    int64_t count = (int64_t)json_array_size(list);
    int64_t place = options->mode == SA_PARITY_LIVE ? -1 : options->click_id;
    *entry = NULL;
    if (options->mode == SA_PARITY_BEST) {
        return count > 0 ? choose_best(list, name, entry, err) : SA_OK;
    }
    if (options->mode == SA_PARITY_LIVE && count == 0) {
        return SA_OK;
    }
    if (place < -count || place >= count) {
        return sa_fail(err, SA_BAD_INPUT, name, "choose another --click-id, or leave it out",
                       "there is no mask of click %lld among %lld", (long long)place, (long long)count);
    }
    *entry = json_array_get(list, (size_t)(place < 0 ? place + count : place));
    return SA_OK;
}
