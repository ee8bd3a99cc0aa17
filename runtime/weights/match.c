/*
 * Weights against what a model expects: one pass over the wants finds what is missing or misshapen, one pass
 * over the file's tensors finds what nobody wants.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/weights/weights.h"

/* One match under way. */
typedef struct {
    const sa_weights *weights;
    bool *taken; /* for each tensor of the file: a want has it */
    sa_weights_report *report;
} matcher;

static size_t index_of(const sa_weights *weights, const sa_tensor *tensor)
{
    size_t low = 0, high = sa_weights_count(weights);
    while (low < high) { /* the tensors are sorted by name */
        size_t middle = low + (high - low) / 2;
        if (strcmp(sa_weights_at(weights, middle)->name, tensor->name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The spelling that more of the wanted names have in the file; names that both share do not count. */
static bool uses_original_names(const sa_weights *weights, const sa_tensor_want *wants, size_t count)
{
    size_t huggingface = 0, original = 0;
    for (size_t i = 0; i < count; i++) {
        if (wants[i].original[0] == '\0' || strcmp(wants[i].name, wants[i].original) == 0) {
            continue;
        }
        huggingface += sa_weights_find(weights, wants[i].name) != NULL;
        original += sa_weights_find(weights, wants[i].original) != NULL;
    }
    return original > huggingface;
}

static void describe(char *text, size_t size, const char *dtype, const size_t *shape, int rank)
{
    char axes[SA_TENSOR_MAX_RANK * 22 + 4];
    snprintf(text, size, "%s %s", dtype, sa_shape_format(shape, rank, axes, sizeof axes));
}

static bool fits(const sa_tensor_want *want, const sa_tensor *tensor)
{
    return sa_dtype_is_float(tensor->dtype) && tensor->rank == want->rank &&
           memcmp(tensor->shape, want->shape, (size_t)want->rank * sizeof want->shape[0]) == 0;
}

static void report_mismatch(matcher *m, const char *name, const char *expected, const char *found)
{
    json_array_append_new(m->report->mismatched_items,
                          json_pack("{s:s, s:s, s:s}", "name", name, "expected", expected, "found", found));
    m->report->mismatched++;
}

static void take(matcher *m, sa_tensor_want *want, const sa_tensor *tensor)
{
    m->taken[index_of(m->weights, tensor)] = true;
    if (fits(want, tensor)) {
        want->found = tensor;
        return;
    }
    char expected[256], found[256];
    describe(expected, sizeof expected, "f32|f16|bf16|f64", want->shape, want->rank);
    describe(found, sizeof found, sa_dtype_name(tensor->dtype), tensor->shape, tensor->rank);
    report_mismatch(m, tensor->name, expected, found);
}

/* The second name of a tied tensor: alone it stands for the first; beside it, it must say the same. */
static void take_alias(matcher *m, sa_tensor_want *want, const sa_tensor *alias)
{
    const sa_tensor *first = want->found;
    take(m, want, alias);
    if (first == NULL || want->found != alias) {
        return;
    }
    want->found = first;
    if (alias->dtype != first->dtype || memcmp(alias->data, first->data, first->bytes) != 0) {
        char expected[256];
        snprintf(expected, sizeof expected, "the same values as %s", first->name);
        report_mismatch(m, alias->name, expected, "other values");
    }
}

static void match_want(matcher *m, sa_tensor_want *want)
{
    bool original = m->report->original_names && want->original[0] != '\0';
    const sa_tensor *tensor = sa_weights_find(m->weights, original ? want->original : want->name);
    const sa_tensor *alias = NULL;
    if (!original && want->alias[0] != '\0') {
        alias = sa_weights_find(m->weights, want->alias);
    }
    want->found = NULL;
    if (tensor != NULL) {
        take(m, want, tensor);
    }
    if (alias != NULL) {
        take_alias(m, want, alias);
    }
    if (tensor == NULL && alias == NULL && !want->optional) {
        json_array_append_new(m->report->missing_names, json_string(original ? want->original : want->name));
        m->report->missing++;
    }
}

/* "*ENDING", "BEGINNING*" or the whole name. */
static bool fits_pattern(const char *pattern, const char *name)
{
    size_t length = strlen(pattern), named = strlen(name);
    if (pattern[0] == '*') {
        return named >= length - 1 && strcmp(name + named - (length - 1), pattern + 1) == 0;
    }
    bool prefix = length > 0 && pattern[length - 1] == '*';
    return prefix ? strncmp(pattern, name, length - 1) == 0 : strcmp(pattern, name) == 0;
}

static bool is_ignored(const char *const *patterns, const char *name)
{
    for (; patterns != NULL && *patterns != NULL; patterns++) {
        if (fits_pattern(*patterns, name)) {
            return true;
        }
    }
    return false;
}

static void gather_unexpected(matcher *m, const char *const *ignored)
{
    for (size_t i = 0; i < sa_weights_count(m->weights); i++) {
        const char *name = sa_weights_at(m->weights, i)->name;
        if (!m->taken[i] && !is_ignored(ignored, name)) {
            json_array_append_new(m->report->unexpected_names, json_string(name));
            m->report->unexpected++;
        }
    }
}

/*
 * -- The error's text: "3 missing (a, b, ...), 1 unexpected (c), 1 mismatched (d: expected f32 [1], found f32
 * [2])" --
 */

enum { NAMED = 3 }; /* of each kind; the report has them all */

static void append(char *text, size_t size, const char *addition)
{
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s", addition);
}

static void append_item(char *text, size_t size, const json_t *item)
{
    if (json_is_string(item)) {
        append(text, size, json_string_value(item));
        return;
    }
    append(text, size, json_string_value(json_object_get(item, "name")));
    append(text, size, ": expected ");
    append(text, size, json_string_value(json_object_get(item, "expected")));
    append(text, size, ", found ");
    append(text, size, json_string_value(json_object_get(item, "found")));
}

static void append_list(char *text, size_t size, const char *kind, const json_t *items)
{
    size_t count = json_array_size(items);
    char start[64];
    if (count == 0) {
        return;
    }
    snprintf(start, sizeof start, "%s%zu %s (", text[0] != '\0' ? "; " : "", count, kind);
    append(text, size, start);
    for (size_t i = 0; i < count && i < NAMED; i++) {
        append(text, size, i > 0 ? ", " : "");
        append_item(text, size, json_array_get(items, i));
    }
    append(text, size, count > NAMED ? ", ...)" : ")");
}

static sa_status verdict(const sa_weights *weights, const sa_weights_report *report, sa_error *err)
{
    if (report->missing + report->unexpected + report->mismatched == 0) {
        return SA_OK;
    }
    char text[1024] = "";
    append_list(text, sizeof text, "missing", report->missing_names);
    append_list(text, sizeof text, "mismatched", report->mismatched_items);
    append_list(text, sizeof text, "unexpected", report->unexpected_names);
    return sa_fail(err, SA_BAD_INPUT, sa_weights_path(weights), "segagent weights verify lists them all",
                   "the tensors do not fit the model: %s", text);
}

sa_status sa_weights_match(const sa_weights *weights, sa_tensor_want *wants, size_t count,
                           const char *const *ignored, sa_weights_report *report, sa_error *err)
{
    *report = (sa_weights_report){
        .missing_names = json_array(), .unexpected_names = json_array(), .mismatched_items = json_array()};
    matcher m = {weights, calloc(sa_weights_count(weights) + 1, sizeof(bool)), report};
    if (m.taken == NULL || report->missing_names == NULL || report->unexpected_names == NULL ||
        report->mismatched_items == NULL) {
        free(m.taken);
        return sa_fail(err, SA_NO_ROOM, sa_weights_path(weights), "free some memory",
                       "no memory to match tensors");
    }
    report->original_names = uses_original_names(weights, wants, count);
    for (size_t i = 0; i < count; i++) {
        match_want(&m, &wants[i]);
    }
    gather_unexpected(&m, ignored);
    free(m.taken);
    return verdict(weights, report, err);
}

void sa_weights_report_free(sa_weights_report *report)
{
    json_decref(report->missing_names);
    json_decref(report->unexpected_names);
    json_decref(report->mismatched_items);
    *report = (sa_weights_report){0};
}
