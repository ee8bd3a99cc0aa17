/* A walk counts or fills, depending on whether it has a place to put its wants. */
#include "runtime/models/tensor_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = sizeof((sa_tensor_want *)NULL)->name };

/* All names are ours and fit; one that does not is a bug. */
static void check_length(int length, size_t size)
{
    SA_ASSERT(length >= 0 && (size_t)length < size);
}

void sa_tensor_enter(sa_tensor_walk *w, const char *prefix, const char *original)
{
    check_length(snprintf(w->prefix, sizeof w->prefix, "%s", prefix), sizeof w->prefix);
    check_length(snprintf(w->original, sizeof w->original, "%s", original), sizeof w->original);
}

static void number_prefix(char *out, size_t size, const char *prefix, size_t number)
{
    out[0] = '\0';
    if (prefix[0] != '\0') {
        check_length(snprintf(out, size, "%s.%zu.", prefix, number), size);
    }
}

void sa_tensor_enter_numbered(sa_tensor_walk *w, const char *prefix, const char *original, size_t number)
{
    number_prefix(w->prefix, sizeof w->prefix, prefix, number);
    number_prefix(w->original, sizeof w->original, original, number);
}

static void compose(char out[NAME], const char *prefix, const char *name, const char *suffix)
{
    check_length(snprintf(out, NAME, "%s%s%s", prefix, name, suffix), NAME);
}

/* PREFIX NAME SUFFIX, in both spellings. */
static void visit_part(sa_tensor_walk *w, const sa_tensor **field, const char *name, const char *original,
                       const char *suffix, sa_shape shape)
{
    if (w->wants != NULL) {
        sa_tensor_want *want = &w->wants[w->count];
        *want = (sa_tensor_want){.rank = (int)shape.rank};
        memcpy(want->shape, shape.size, sizeof shape.size);
        compose(want->name, w->prefix, name, suffix);
        if (original[0] != '\0') {
            compose(want->original, w->original, original, suffix);
        }
        w->fields[w->count] = field;
    }
    w->count++;
}

void sa_tensor_visit(sa_tensor_walk *w, const sa_tensor **field, const char *name, const char *original,
                     sa_shape shape)
{
    visit_part(w, field, name, original, "", shape);
}

void sa_tensor_alias(sa_tensor_walk *w, const char *alias)
{
    if (w->wants != NULL) {
        compose(w->wants[w->count - 1].alias, "", alias, "");
    }
}

void sa_tensor_optional(sa_tensor_walk *w)
{
    if (w->wants != NULL) {
        w->wants[w->count - 1].optional = true;
    }
}

void sa_tensor_visit_pair(sa_tensor_walk *w, sa_tensor_pair *pair, const char *name, const char *original,
                          sa_shape shape, size_t bias)
{
    visit_part(w, &pair->weight, name, original, ".weight", shape);
    if (bias != 0) {
        visit_part(w, &pair->bias, name, original, ".bias", sa_shape1(bias));
    }
}

void sa_tensor_visit_linear(sa_tensor_walk *w, sa_tensor_pair *pair, const char *name, const char *original,
                            size_t n, size_t k)
{
    sa_tensor_visit_pair(w, pair, name, original, sa_shape2(n, k), n);
}

void sa_tensor_visit_norm(sa_tensor_walk *w, sa_tensor_pair *pair, const char *name, const char *original,
                          size_t d)
{
    sa_tensor_visit_pair(w, pair, name, original, sa_shape1(d), d);
}

/* Wants and, behind them in the same block of memory, the fields they fill. */
static sa_status plan(const sa_tensor_table *table, void *tensors, sa_tensor_walk *w, sa_error *err)
{
    sa_tensor_walk counting = {0};
    table->walk(&counting, table->config, tensors);
    *w = (sa_tensor_walk){.wants = calloc(counting.count, sizeof *w->wants + sizeof *w->fields)};
    if (w->wants == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a table of %zu tensors", counting.count);
    }
    w->fields = (const sa_tensor ***)(void *)(w->wants + counting.count);
    table->walk(w, table->config, tensors);
    SA_ASSERT(w->count == counting.count);
    return SA_OK;
}

sa_status sa_tensor_table_plan(const sa_tensor_table *table, sa_tensor_want **wants, size_t *count,
                               sa_error *err)
{
    void *fields = calloc(1, table->size); /* addresses only; the wants do not keep them */
    if (fields == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a table of tensors");
    }
    sa_tensor_walk w;
    sa_status status = plan(table, fields, &w, err);
    free(fields);
    if (status == SA_OK) {
        *wants = w.wants;
        *count = w.count;
    }
    return status;
}

sa_status sa_tensor_table_match(const sa_tensor_table *table, const sa_weights *weights, void *tensors,
                                sa_weights_report *report, sa_error *err)
{
    sa_tensor_walk w;
    memset(tensors, 0, table->size);
    SA_TRY(plan(table, tensors, &w, err));
    sa_status status = sa_weights_match(weights, w.wants, w.count, table->ignored, report, err);
    for (size_t i = 0; status == SA_OK && i < w.count; i++) {
        *w.fields[i] = w.wants[i].found;
    }
    free(w.wants);
    return status;
}
