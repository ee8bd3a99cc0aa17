#include "runtime/data/trajectory_json.h"

#include <stdlib.h>
#include <string.h>

static const char WRITER[] = "segagent ";

static sa_status put_mask(sa_json_writer *w, const char *key, const sa_rle *mask, sa_error *err)
{
    sa_json_key(w, key);
    return sa_rle_write_json(mask, w, err);
}

static sa_status put_click(sa_json_writer *w, const sa_result_step *step, size_t index, sa_error *err)
{
    sa_json_begin_object(w);
    sa_json_put_int(w, "idx", index);
    sa_json_key(w, "coor");
    sa_json_begin_array(w);
    sa_json_int(w, step->row);
    sa_json_int(w, step->col);
    sa_json_end_array(w);
    sa_json_put_bool(w, "is_positive", step->positive);
    SA_TRY(put_mask(w, "mask", &step->mask, err));
    sa_json_key(w, "box");
    sa_rle_write_bbox(&step->mask, w);
    sa_json_put_int(w, "area", sa_rle_area(&step->mask));
    sa_json_put_f64(w, "iou", step->iou);
    sa_json_end_object(w);
    return SA_OK;
}

static sa_status put_truth(sa_json_writer *w, const sa_result *r, const sa_rle *truth, sa_error *err)
{
    sa_json_key(w, "gt_ann");
    sa_json_begin_object(w);
    sa_json_put_string(w, "object_id", r->id);
    sa_json_key(w, "caption");
    sa_json_begin_array(w);
    sa_json_string(w, r->text);
    sa_json_end_array(w);
    SA_TRY(put_mask(w, "segmentation", truth, err));
    sa_json_key(w, "bbox");
    sa_rle_write_bbox(truth, w);
    sa_json_put_int(w, "area", sa_rle_area(truth));
    sa_json_end_object(w);
    return SA_OK;
}

void sa_trajectory_json_begin(sa_json_writer *w)
{
    sa_json_begin_object(w);
    sa_json_key(w, "info");
    sa_json_begin_object(w);
    sa_json_key(w, "args");
    sa_json_begin_object(w);
    sa_json_end_object(w);
    sa_json_put_string(w, "writer", "segagent " SEGAGENT_VERSION);
    sa_json_end_object(w);
    sa_json_key(w, "data");
    sa_json_begin_array(w);
}

bool sa_trajectory_json_is_ours(const json_t *info)
{
    const char *writer = json_string_value(json_object_get(info, "writer"));
    return writer != NULL && strncmp(writer, WRITER, strlen(WRITER)) == 0;
}

sa_status sa_trajectory_json_add(const sa_result *r, const sa_rle *truth, sa_json_writer *w, sa_error *err)
{
    sa_json_begin_object(w);
    sa_json_put_string(w, "image_name", r->image);
    sa_json_put_int(w, "height", r->height);
    sa_json_put_int(w, "width", r->width);
    SA_TRY(put_truth(w, r, truth, err));
    sa_json_key(w, "clicks_list");
    sa_json_begin_array(w);
    for (size_t i = 1; i < r->step_count; i++) {
        if (r->steps[i].has_action) {
            SA_TRY(put_click(w, &r->steps[i], i - 1, err));
        }
    }
    sa_json_end_array(w);
    sa_json_end_object(w);
    return SA_OK;
}

void sa_trajectory_json_end(sa_json_writer *w)
{
    sa_json_end_array(w);
    sa_json_end_object(w);
    sa_json_end_line(w);
}
