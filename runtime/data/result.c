/*
 * Both ways in one file, key by key in the order of INTERFACES.md: what is written is what is read. Rows are
 * untrusted: every size and range is checked here, so that what comes after may rely on a mask per step, all
 * of the picture's size, and on a kept step that is there.
 */
#include "runtime/data/result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char CORRECT[] = "write the row as segagent annotate does";
static const char *const OUTCOMES[] = {"ok", "retried", "failed"}; /* by sa_parse_outcome */

static void free_steps(sa_result_step *steps, size_t count)
{
    for (size_t i = 0; steps != NULL && i < count; i++) {
        free(steps[i].text);
        sa_rle_free(&steps[i].mask);
    }
    free(steps);
}

void sa_result_free(sa_result *result)
{
    free(result->id);
    free(result->image);
    free(result->text);
    free(result->error);
    sa_rle_free(&result->mask);
    free_steps(result->steps, result->step_count);
    free_steps(result->tree, result->tree_count);
    json_decref(result->meta);
    *result = (sa_result){0};
}

/* ---- writing ---- */

/* A failed item may have no mask: null. */
static sa_status write_mask(sa_json_writer *w, const sa_rle *mask, sa_error *err)
{
    sa_json_key(w, "mask");
    if (mask->counts == NULL) {
        sa_json_null(w);
        return SA_OK;
    }
    return sa_rle_write_json(mask, w, err);
}

/* An answer without a click has none, as the initial state. */
static void write_action(sa_json_writer *w, const sa_result_step *step)
{
    sa_json_key(w, "action");
    if (!step->has_action) {
        sa_json_null(w);
        return;
    }
    sa_json_begin_object(w);
    sa_json_put_bool(w, "positive", step->positive);
    sa_json_put_int(w, "row", step->row);
    sa_json_put_int(w, "col", step->col);
    sa_json_end_object(w);
}

/* A node of a tree begins with its place there. */
static sa_status write_step(sa_json_writer *w, const sa_result_step *step, bool in_tree, sa_error *err)
{
    sa_json_begin_object(w);
    if (in_tree) {
        sa_json_put_int(w, "node", step->node);
        sa_json_put_int(w, "parent", step->parent);
    }
    write_action(w, step);
    sa_json_put_string(w, "text", step->text);
    sa_json_put_f64(w, "predicted_iou", step->predicted_iou);
    sa_json_put_f64(w, "segmenter_score", step->segmenter_score);
    SA_TRY(write_mask(w, &step->mask, err));
    sa_json_put_string(w, "parse", OUTCOMES[step->parse]);
    if (step->has_iou) {
        sa_json_put_f64(w, "iou", step->iou);
    }
    sa_json_end_object(w);
    return SA_OK;
}

static sa_status write_steps(sa_json_writer *w, const char *key, const sa_result_step *steps, size_t count,
                             bool in_tree, sa_error *err)
{
    sa_json_key(w, key);
    sa_json_begin_array(w);
    for (size_t i = 0; i < count; i++) {
        SA_TRY(write_step(w, &steps[i], in_tree, err));
    }
    sa_json_end_array(w);
    return SA_OK;
}

sa_status sa_result_write(const sa_result *result, sa_json_writer *w, sa_error *err)
{
    sa_json_begin_object(w);
    sa_json_put_string(w, "id", result->id);
    sa_json_put_string(w, "image", result->image);
    sa_json_put_string(w, "text", result->text);
    sa_json_put_int(w, "height", result->height);
    sa_json_put_int(w, "width", result->width);
    sa_json_put_string(w, "status", result->error == NULL ? "ok" : "failed");
    sa_json_put_string(w, "error", result->error);
    SA_TRY(write_mask(w, &result->mask, err));
    sa_json_put_f64(w, "score", result->score);
    sa_json_put_int(w, "step", result->step);
    SA_TRY(write_steps(w, "steps", result->steps, result->step_count, false, err));
    if (result->tree != NULL) {
        SA_TRY(write_steps(w, "tree", result->tree, result->tree_count, true, err));
    }
    if (result->meta != NULL) {
        sa_json_key(w, "meta");
        sa_json_value(w, result->meta);
    }
    sa_json_end_object(w);
    return SA_OK;
}

/* ---- reading ---- */

static sa_status copy_text(const char *name, const char *text, char **copy, sa_error *err)
{
    *copy = strdup(text);
    return *copy != NULL ? SA_OK
                         : sa_fail(err, SA_NO_ROOM, name, "free some memory", "no memory for the row");
}

/* A copy; "" for a key that is missing and need not be there. */
static sa_status get_text(const json_t *object, const char *name, const char *key, bool required, char **out,
                          sa_error *err)
{
    const char *text = "";
    SA_TRY(sa_json_get_string(object, name, key, required, &text, err));
    return copy_text(name, text, out, err);
}

static sa_status get_size(const json_t *object, const char *name, const char *key, bool required, size_t most,
                          size_t *out, sa_error *err)
{
    int64_t value = 0;
    SA_TRY(sa_json_get_int(object, name, key, required, 0, (int64_t)most, &value, err));
    *out = (size_t)value;
    return SA_OK;
}

/* NaN, which says that nobody knows, stands as null. */
static sa_status get_real(const json_t *object, const char *name, const char *key, double *out, sa_error *err)
{
    *out = NAN;
    return sa_json_get_real(object, name, key, false, out, err);
}

/* One of `count` words: its place. */
static sa_status get_word(const json_t *object, const char *name, const char *key, const char *const *words,
                          size_t count, size_t *place, sa_error *err)
{
    const char *word = NULL;
    SA_TRY(sa_json_get_string(object, name, key, true, &word, err));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(word, words[i]) == 0) {
            *place = i;
            return SA_OK;
        }
    }
    return sa_fail(err, SA_BAD_INPUT, name, CORRECT, "key \"%s\" is \"%.100s\", which means nothing here",
                   key, word);
}

/* Of the picture's size, which has been read by then. Polygons will do as well as RLE. */
static sa_status get_mask(const json_t *object, const char *name, const sa_result *result, bool required,
                          sa_rle *mask, sa_error *err)
{
    const json_t *value = json_object_get(object, "mask");
    if (value != NULL && !json_is_null(value)) {
        return sa_rle_from_json(mask, value, name, result->height, result->width, err);
    }
    return required ? sa_fail(err, SA_BAD_INPUT, name, CORRECT, "key \"mask\" is missing") : SA_OK;
}

/* Rows and columns may lie outside the picture: a policy may say so, and it is for others to judge. */
static sa_status get_action(const json_t *object, const char *name, sa_result_step *step, sa_error *err)
{
    const json_t *action = json_object_get(object, "action");
    if (action == NULL || json_is_null(action)) {
        return SA_OK;
    }
    SA_TRY(sa_json_get_int(action, name, "row", true, INT32_MIN, INT32_MAX, &step->row, err));
    SA_TRY(sa_json_get_int(action, name, "col", true, INT32_MIN, INT32_MAX, &step->col, err));
    const json_t *positive = json_object_get(action, "positive");
    if (!json_is_boolean(positive)) {
        return sa_fail(err, SA_BAD_INPUT, name, CORRECT, "key \"positive\" of an action is no true or false");
    }
    step->positive = json_is_true(positive);
    step->has_action = true;
    return SA_OK;
}

static sa_status parse_step(const json_t *object, const char *name, const sa_result *result, bool in_tree,
                            sa_result_step *step, sa_error *err)
{
    size_t outcome = SA_PARSE_OK;
    if (!json_is_object(object)) {
        return sa_fail(err, SA_BAD_INPUT, name, CORRECT, "one of its steps is no object");
    }
    if (in_tree) {
        SA_TRY(sa_json_get_int(object, name, "node", true, 0, INT64_MAX, &step->node, err));
        SA_TRY(sa_json_get_int(object, name, "parent", true, -1, INT64_MAX, &step->parent, err));
    }
    SA_TRY(get_action(object, name, step, err));
    SA_TRY(get_text(object, name, "text", false, &step->text, err));
    SA_TRY(get_real(object, name, "predicted_iou", &step->predicted_iou, err));
    SA_TRY(get_real(object, name, "segmenter_score", &step->segmenter_score, err));
    SA_TRY(get_mask(object, name, result, true, &step->mask, err));
    SA_TRY(get_word(object, name, "parse", OUTCOMES, sizeof OUTCOMES / sizeof OUTCOMES[0], &outcome, err));
    step->parse = (sa_parse_outcome)outcome;
    SA_TRY(get_real(object, name, "iou", &step->iou, err));
    step->has_iou = !isnan(step->iou);
    step->iou = step->has_iou ? step->iou : 0.0;
    return SA_OK;
}

/* On failure what has been read stays in *steps for sa_result_free. */
static sa_status parse_steps(const json_t *row, const char *name, const char *key, const sa_result *result,
                             bool in_tree, sa_result_step **steps, size_t *count, sa_error *err)
{
    const json_t *list = json_object_get(row, key);
    if (list == NULL || json_is_null(list)) {
        return SA_OK;
    }
    if (!json_is_array(list)) {
        return sa_fail(err, SA_BAD_INPUT, name, CORRECT, "key \"%s\" is no list", key);
    }
    *count = json_array_size(list);
    *steps = calloc(*count + 1, sizeof **steps);
    if (*steps == NULL) {
        *count = 0;
        return sa_fail(err, SA_NO_ROOM, name, "free some memory", "no memory for the row");
    }
    for (size_t i = 0; i < *count; i++) {
        SA_TRY(parse_step(json_array_get(list, i), name, result, in_tree, &(*steps)[i], err));
    }
    return SA_OK;
}

/* `error` says it from here on: NULL is "ok". */
static sa_status parse_status(sa_result *result, const json_t *row, const char *name, sa_error *err)
{
    static const char *const words[] = {"ok", "failed"};
    size_t place = 0;
    SA_TRY(get_word(row, name, "status", words, 2, &place, err));
    return place == 0 ? SA_OK : get_text(row, name, "error", false, &result->error, err);
}

static sa_status parse_row(sa_result *result, const json_t *row, const char *name, sa_error *err)
{
    SA_TRY(get_text(row, name, "id", true, &result->id, err));
    SA_TRY(get_text(row, name, "image", false, &result->image, err));
    SA_TRY(get_text(row, name, "text", false, &result->text, err));
    SA_TRY(parse_status(result, row, name, err));
    bool ok = result->error == NULL;
    SA_TRY(get_size(row, name, "height", ok, UINT32_MAX, &result->height, err));
    SA_TRY(get_size(row, name, "width", ok, UINT32_MAX, &result->width, err));
    if (ok && (result->height == 0 || result->width == 0)) {
        return sa_fail(err, SA_BAD_INPUT, name, CORRECT, "the picture has no pixels");
    }
    SA_TRY(get_mask(row, name, result, ok, &result->mask, err));
    SA_TRY(get_real(row, name, "score", &result->score, err));
    SA_TRY(parse_steps(row, name, "steps", result, false, &result->steps, &result->step_count, err));
    SA_TRY(parse_steps(row, name, "tree", result, true, &result->tree, &result->tree_count, err));
    /* Rows that only name a mask have no steps, and failed ones may have none. */
    size_t most = result->step_count > 0 ? result->step_count - 1 : 0;
    SA_TRY(get_size(row, name, "step", false, most, &result->step, err));
    json_t *meta = json_object_get(row, "meta");
    result->meta = meta != NULL && !json_is_null(meta) ? json_incref(meta) : NULL;
    return SA_OK;
}

sa_status sa_result_parse(sa_result *result, const json_t *row, const char *name, sa_error *err)
{
    *result = (sa_result){0};
    sa_status status = parse_row(result, row, name, err);
    if (status != SA_OK) {
        sa_result_free(result);
    }
    return status;
}
