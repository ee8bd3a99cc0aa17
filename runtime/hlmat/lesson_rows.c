#include "runtime/hlmat/lesson_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"

void sa_lesson_row_free(sa_lesson_row *row)
{
    free(row->id);
    free(row->image);
    free(row->text);
    free(row->source);
    sa_rle_free(&row->mask);
    *row = (sa_lesson_row){0};
}

/* ---- lessons.jsonl ---- */

static void put_text(sa_json_writer *w, const char *key, const char *text)
{
    sa_json_key(w, key);
    sa_json_string(w, text);
}

static void put_action(sa_json_writer *w, const sa_action *action)
{
    sa_json_key(w, "action");
    sa_json_begin_object(w);
    sa_json_key(w, "positive");
    sa_json_bool(w, action->positive);
    sa_json_key(w, "row");
    sa_json_int(w, (int64_t)action->row);
    sa_json_key(w, "col");
    sa_json_int(w, (int64_t)action->col);
    sa_json_end_object(w);
}

sa_status sa_lesson_write(const sa_result *r, const sa_lesson *lesson, sa_json_writer *w, sa_error *err)
{
    const sa_result_step *step = &r->steps[lesson->step];
    sa_json_begin_object(w);
    put_text(w, "id", r->id);
    put_text(w, "image", r->image);
    put_text(w, "text", r->text);
    sa_json_key(w, "mask");
    SA_TRY(sa_rle_write_json(&step->mask, w, err));
    sa_json_key(w, "iou");
    sa_json_f64(w, step->iou);
    put_action(w, &lesson->action);
    put_text(w, "source", sa_lesson_source_name(lesson->source));
    sa_json_end_object(w);
    sa_json_end_line(w);
    return SA_OK;
}

static sa_status take_text(const json_t *value, const char *name, const char *key, char **out, sa_error *err)
{
    const char *text;
    SA_TRY(sa_json_get_string(value, name, key, true, &text, err));
    *out = strdup(text);
    return *out != NULL ? SA_OK : sa_fail(err, SA_NO_ROOM, name, NULL, "no memory for a lesson");
}

static sa_status take_action(const json_t *value, const char *name, sa_lesson_row *row, sa_error *err)
{
    const json_t *action = json_object_get(value, "action"), *positive = json_object_get(action, "positive");
    int64_t at[2] = {0, 0};
    if (!json_is_object(action) || !json_is_boolean(positive)) {
        return sa_fail(err, SA_BAD_INPUT, name, NULL,
                       "key \"action\" is no {\"positive\", \"row\", \"col\"}");
    }
    SA_TRY(sa_json_get_int(action, name, "row", true, 0, (int64_t)row->mask.height - 1, &at[0], err));
    SA_TRY(sa_json_get_int(action, name, "col", true, 0, (int64_t)row->mask.width - 1, &at[1], err));
    row->action = (sa_action){json_is_true(positive), (size_t)at[0], (size_t)at[1]};
    return SA_OK;
}

static sa_status parse_row(sa_lesson_row *row, const json_t *value, const char *name, sa_error *err)
{
    if (!json_is_object(value)) {
        return sa_fail(err, SA_BAD_INPUT, name, NULL, "the line is no object");
    }
    SA_TRY(take_text(value, name, "id", &row->id, err));
    SA_TRY(take_text(value, name, "image", &row->image, err));
    SA_TRY(take_text(value, name, "text", &row->text, err));
    SA_TRY(take_text(value, name, "source", &row->source, err));
    SA_TRY(sa_rle_from_json(&row->mask, json_object_get(value, "mask"), name, 0, 0, err));
    SA_TRY(sa_json_get_real(value, name, "iou", true, &row->iou, err));
    if (!(row->iou >= 0 && row->iou <= 1)) {
        return sa_fail(err, SA_BAD_INPUT, name, NULL, "key \"iou\" is not between 0 and 1");
    }
    return take_action(value, name, row, err);
}

sa_status sa_lesson_parse(sa_lesson_row *row, const json_t *value, const char *name, sa_error *err)
{
    *row = (sa_lesson_row){0};
    sa_status status = parse_row(row, value, name, err);
    if (status != SA_OK) {
        sa_lesson_row_free(row);
    }
    return status;
}

/* ---- chat.jsonl ---- */

void sa_lesson_answer(const sa_agent *agent, const sa_lesson_row *row, char *text, size_t size)
{
    char iou[256] = "", action[256];
    if (agent->judges) {
        sa_answer_write_iou(agent, row->iou, iou, sizeof iou);
    }
    sa_answer_write_action(agent, &row->action, row->mask.height, row->mask.width, action, sizeof action);
    snprintf(text, size, "%s%s%s", iou, agent->judges ? ", " : "", action);
}

static sa_status paint(const sa_agent *agent, const sa_lesson_row *row, const sa_image *picture,
                       const char *path, sa_error *err)
{
    sa_mask mask;
    sa_image painted;
    SA_TRY(sa_rle_decode(&row->mask, &mask, err));
    sa_status status = sa_agent_paint(agent, picture, &mask, &painted, err);
    if (status == SA_OK) {
        status = agent->jpeg_quality > 0 ? sa_image_write_jpeg(path, &painted, agent->jpeg_quality, err)
                                         : sa_image_write_png(path, &painted, err);
        sa_image_free(&painted);
    }
    sa_mask_free(&mask);
    return status;
}

/* The prompt with the text in it, and "<image>" where trainers want it. */
static sa_status write_question(const sa_agent *agent, const char *item, sa_json_writer *w, sa_error *err)
{
    sa_text text = {0};
    sa_agent_write_prompt(agent, item, "<image>\n", &text);
    if (!text.failed) {
        put_text(w, "value", text.bytes);
    }
    bool failed = text.failed;
    sa_text_free(&text);
    return failed ? sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a lesson") : SA_OK;
}

static sa_status write_turns(const sa_agent *agent, const sa_lesson_row *row, sa_json_writer *w,
                             sa_error *err)
{
    char answer[600];
    sa_lesson_answer(agent, row, answer, sizeof answer);
    sa_json_key(w, "conversations");
    sa_json_begin_array(w);
    sa_json_begin_object(w);
    put_text(w, "from", "human");
    SA_TRY(write_question(agent, row->text, w, err));
    sa_json_end_object(w);
    sa_json_begin_object(w);
    put_text(w, "from", "gpt");
    put_text(w, "value", answer);
    sa_json_end_object(w);
    sa_json_end_array(w);
    return SA_OK;
}

sa_status sa_lesson_write_chat(const sa_agent *agent, const sa_lesson_row *row, size_t number,
                               const sa_image *picture, const char *directory, sa_json_writer *w,
                               sa_error *err)
{
    char name[64], path[4096];
    if (picture->height != row->mask.height || picture->width != row->mask.width) {
        return sa_fail(err, SA_BAD_INPUT, row->id, NULL, "its mask and its picture are of different sizes");
    }
    snprintf(name, sizeof name, "images/%08zu.%s", number, agent->jpeg_quality > 0 ? "jpg" : "png");
    SA_TRY(sa_file_join(path, sizeof path, directory, name, err));
    SA_TRY(paint(agent, row, picture, path, err));
    sa_json_begin_object(w);
    put_text(w, "id", row->id);
    put_text(w, "image", name);
    SA_TRY(write_turns(agent, row, w, err));
    sa_json_end_object(w);
    sa_json_end_line(w);
    return SA_OK;
}
