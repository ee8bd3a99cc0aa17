/*
 * SegAgent's results JSON (MODEL_SPECS 10.2): what its runner writes, keys in its order, so that its
 * eval_result_iou (and our --parity) can read it. A step without a click has no entry in pred_list, as there.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/data/export_parts.h"

static void put_null(sa_json_writer *w, const char *key)
{
    sa_json_key(w, key);
    sa_json_null(w);
}

/* {"counts", "size"}: the other way round than sa_rle_write_json. */
static sa_status put_mask(sa_json_writer *w, const char *key, const sa_rle *mask, sa_error *err)
{
    char *text;
    if (mask == NULL) {
        put_null(w, key);
        return SA_OK;
    }
    SA_TRY(sa_rle_to_string(mask, &text, NULL, err));
    sa_json_key(w, key);
    sa_json_begin_object(w);
    sa_json_put_string(w, "counts", text);
    sa_json_key(w, "size");
    sa_json_begin_array(w);
    sa_json_int(w, (int64_t)mask->height);
    sa_json_int(w, (int64_t)mask->width);
    sa_json_end_array(w);
    sa_json_end_object(w);
    free(text);
    return SA_OK;
}

/* One entry of pred_list; click_id counts the steps as the runner does, from 0. */
static sa_status put_click(sa_json_writer *w, const sa_result_step *step, size_t click_id, sa_error *err)
{
    sa_json_begin_object(w);
    sa_json_put_int(w, "click_id", click_id);
    sa_json_key(w, "clicks");
    sa_json_begin_object(w);
    sa_json_put_bool(w, "is_positive", step->positive);
    sa_json_key(w, "coords");
    sa_json_begin_array(w);
    sa_json_int(w, step->row);
    sa_json_int(w, step->col);
    sa_json_end_array(w);
    sa_json_end_object(w);
    put_null(w, "used_box");
    SA_TRY(put_mask(w, "mask", &step->mask, err));
    sa_json_put_string(w, "outputs", step->text);
    sa_json_end_object(w);
    return SA_OK;
}

/* The runner's question is not in our results; its evaluator does not look at it. */
static void put_question(sa_json_writer *w, const sa_result *result)
{
    sa_json_key(w, "qas");
    sa_json_begin_array(w);
    sa_json_begin_object(w);
    sa_json_put_string(w, "from", "human");
    sa_json_put_string(w, "value", result->text);
    sa_json_end_object(w);
    sa_json_end_array(w);
    sa_json_key(w, "caption");
    sa_json_begin_array(w);
    sa_json_string(w, result->text);
    sa_json_end_array(w);
}

static void put_annotation(sa_json_writer *w, size_t id)
{
    sa_json_key(w, "annotation");
    sa_json_begin_array(w);
    sa_json_begin_object(w);
    put_null(w, "segmentation");
    sa_json_put_int(w, "id", id);
    sa_json_put_int(w, "click_id", 0);
    sa_json_end_object(w);
    sa_json_end_array(w);
}

/* "outputs" is the last answer, whether it was a click or not; it is absent where nothing was answered. */
static sa_status put_clicks(sa_json_writer *w, const sa_result *result, sa_error *err)
{
    sa_json_key(w, "pred_list");
    sa_json_begin_array(w);
    for (size_t k = 1; k < result->step_count; k++) {
        if (result->steps[k].has_action) {
            SA_TRY(put_click(w, &result->steps[k], k - 1, err));
        }
    }
    sa_json_end_array(w);
    if (result->step_count > 1) {
        sa_json_put_string(w, "outputs", result->steps[result->step_count - 1].text);
    }
    return SA_OK;
}

sa_status sa_export_segagent_add(sa_export *e, const sa_result *result, const sa_rle *truth, sa_error *err)
{
    sa_json_writer *w = &e->json;
    sa_json_begin_object(w);
    sa_json_put_string(w, "img_path", result->image);
    put_null(w, "masks");
    sa_json_put_int(w, "height", result->height);
    sa_json_put_int(w, "width", result->width);
    put_question(w, result);
    put_null(w, "coor");
    put_null(w, "relative_coor");
    put_null(w, "is_positive");
    sa_json_put_int(w, "click_id", 0);
    SA_TRY(put_mask(w, "gt_mask", truth, err));
    put_annotation(w, e->count);
    SA_TRY(put_clicks(w, result, err));
    sa_json_end_object(w);
    return SA_OK;
}
