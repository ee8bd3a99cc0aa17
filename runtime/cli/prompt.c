#include "runtime/cli/prompt.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/image/mask_read.h"
#include "runtime/image/npy.h"

static const char click_form[] = "give x,y pixels, such as 320,240";
static const char click_rows_form[] = "a click is {\"x\": 320, \"y\": 240, \"positive\": true}";
static const char box_form[] = "give x0,y0,x1,y1 pixels, such as 10,20,300,200";

static sa_status make_clicks(sa_user_prompt *prompt, size_t room, const char *name, sa_error *err)
{
    if (room > SA_PROMPT_MOST_CLICKS) {
        return sa_fail(err, SA_BAD_INPUT, name, "give fewer clicks", "%zu clicks; %d is the most", room,
                       SA_PROMPT_MOST_CLICKS);
    }
    prompt->clicks = calloc(room + 1, sizeof *prompt->clicks);
    return prompt->clicks != NULL ? SA_OK : sa_fail(err, SA_NO_ROOM, name, NULL, "no memory for the clicks");
}

sa_status sa_user_prompt_from_options(sa_user_prompt *prompt, const sa_arguments *arguments, const char *box,
                                      const char *mask, sa_error *err)
{
    double numbers[4];
    *prompt = (sa_user_prompt){0};
    SA_TRY(make_clicks(prompt, arguments->use_count, "--point", err));
    for (size_t i = 0; i < arguments->use_count; i++) {
        const sa_option_use *use = &arguments->uses[i];
        if (!sa_parse_reals(use->value, 2, numbers)) {
            return sa_fail(err, SA_BAD_USAGE, strcmp(use->name, "point") == 0 ? "--point" : "--negative",
                           click_form, "\"%.100s\" is no position", use->value);
        }
        prompt->clicks[prompt->count++] =
            (sa_click){(float)numbers[0], (float)numbers[1], strcmp(use->name, "point") == 0};
    }
    if (box != NULL) {
        if (!sa_parse_reals(box, 4, numbers)) {
            return sa_fail(err, SA_BAD_USAGE, "--box", box_form, "\"%.100s\" is no box", box);
        }
        prompt->has_box = true;
        for (int i = 0; i < 4; i++) {
            prompt->box[i] = (float)numbers[i];
        }
    }
    return mask != NULL ? sa_path_from(prompt->mask_path, sizeof prompt->mask_path, "", mask, err) : SA_OK;
}

static sa_status read_click(sa_click *click, const json_t *value, const char *name, sa_error *err)
{
    double x = 0, y = 0;
    if (!json_is_object(value)) {
        return sa_fail(err, SA_BAD_INPUT, name, click_rows_form, "a click is no object");
    }
    SA_TRY(sa_json_get_real(value, name, "x", true, &x, err));
    SA_TRY(sa_json_get_real(value, name, "y", true, &y, err));
    const json_t *positive = json_object_get(value, "positive");
    if (positive != NULL && !json_is_boolean(positive)) {
        return sa_fail(err, SA_BAD_INPUT, name, "write true or false", "key \"positive\": not true or false");
    }
    *click = (sa_click){(float)x, (float)y, positive == NULL || json_is_true(positive)};
    return SA_OK;
}

static sa_status read_clicks(sa_user_prompt *prompt, const json_t *list, const char *name, sa_error *err)
{
    if (!json_is_array(list)) {
        return sa_fail(err, SA_BAD_INPUT, name, click_rows_form, "key \"clicks\": not a list");
    }
    SA_TRY(make_clicks(prompt, json_array_size(list), name, err));
    for (size_t i = 0; i < json_array_size(list); i++) {
        SA_TRY(read_click(&prompt->clicks[i], json_array_get(list, i), name, err));
    }
    prompt->count = json_array_size(list);
    return SA_OK;
}

static sa_status read_box(sa_user_prompt *prompt, const json_t *list, const char *name, sa_error *err)
{
    for (size_t i = 0; i < 4; i++) {
        const json_t *number = json_array_get(list, i);
        if (json_array_size(list) != 4 || !json_is_number(number)) {
            return sa_fail(err, SA_BAD_INPUT, name, "write [x0, y0, x1, y1]",
                           "key \"box\": not four numbers");
        }
        prompt->box[i] = (float)json_number_value(number);
    }
    prompt->has_box = true;
    return SA_OK;
}

static sa_status read_mask(sa_user_prompt *prompt, json_t *value, const char *name, const char *directory,
                           sa_error *err)
{
    if (json_is_string(value)) {
        return sa_path_from(prompt->mask_path, sizeof prompt->mask_path, directory, json_string_value(value),
                            err);
    }
    if (!json_is_object(value) && !json_is_array(value)) {
        return sa_fail(err, SA_BAD_INPUT, name, "give a path, COCO RLE or polygons",
                       "key \"mask\": not a mask");
    }
    prompt->mask_json = json_incref(value);
    return SA_OK;
}

/* The member, or NULL if it is absent or null. */
static json_t *member(const json_t *row, const char *key)
{
    json_t *value = json_object_get(row, key);
    return json_is_null(value) ? NULL : value;
}

sa_status sa_user_prompt_from_json(sa_user_prompt *prompt, const json_t *row, const char *name,
                                   const char *directory, sa_error *err)
{
    *prompt = (sa_user_prompt){0};
    const json_t *clicks = member(row, "clicks"), *box = member(row, "box");
    json_t *mask = member(row, "mask");
    if (clicks != NULL) {
        SA_TRY(read_clicks(prompt, clicks, name, err));
    }
    if (box != NULL) {
        SA_TRY(read_box(prompt, box, name, err));
    }
    return mask != NULL ? read_mask(prompt, mask, name, directory, err) : SA_OK;
}

void sa_user_prompt_free(sa_user_prompt *prompt)
{
    free(prompt->clicks);
    json_decref(prompt->mask_json);
    *prompt = (sa_user_prompt){0};
}

bool sa_user_prompt_has_mask(const sa_user_prompt *prompt)
{
    return prompt->mask_path[0] != '\0' || prompt->mask_json != NULL;
}

/* False for NaN, too. */
static bool is_inside(float value, size_t size)
{
    return value >= 0.0f && value < (float)size;
}

static sa_status check_box(const float box[4], size_t height, size_t width, const char *name, sa_error *err)
{
    if (!(box[0] < box[2]) || !(box[1] < box[3])) {
        return sa_fail(err, SA_BAD_INPUT, name, "give x0,y0,x1,y1 with x0 < x1 and y0 < y1",
                       "the box %g,%g,%g,%g is empty", (double)box[0], (double)box[1], (double)box[2],
                       (double)box[3]);
    }
    if (!(box[0] >= 0.0f && box[1] >= 0.0f && box[2] <= (float)width && box[3] <= (float)height)) {
        return sa_fail(err, SA_BAD_INPUT, name, "boxes lie within the upright picture",
                       "the box %g,%g,%g,%g is not inside the picture of %zux%zu", (double)box[0],
                       (double)box[1], (double)box[2], (double)box[3], width, height);
    }
    return SA_OK;
}

sa_status sa_user_prompt_check(const sa_user_prompt *prompt, size_t height, size_t width, const char *name,
                               sa_error *err)
{
    if (prompt->count == 0 && !prompt->has_box && !sa_user_prompt_has_mask(prompt)) {
        return sa_fail(err, SA_BAD_INPUT, name, "give a click, a box or a mask",
                       "nothing says what to segment");
    }
    for (size_t i = 0; i < prompt->count; i++) {
        const sa_click *click = &prompt->clicks[i];
        if (!is_inside(click->x, width) || !is_inside(click->y, height)) {
            return sa_fail(err, SA_BAD_INPUT, name,
                           "clicks are x,y pixels of the upright picture, from 0,0 top left",
                           "the click %g,%g is outside the picture of %zux%zu", (double)click->x,
                           (double)click->y, width, height);
        }
    }
    return prompt->has_box ? check_box(prompt->box, height, width, name, err) : SA_OK;
}

static sa_status state_from_npy(const char *path, const unsigned char *bytes, size_t size, size_t side,
                                float *state, sa_error *err)
{
    sa_npy array;
    SA_TRY(sa_npy_parse(path, bytes, size, &array, err));
    int first = array.rank - 2;
    bool fits = first >= 0 && array.shape[first] == side && array.shape[first + 1] == side;
    fits = fits && array.count == side * side;
    if (fits) {
        memcpy(state, array.values, array.count * sizeof *state);
    }
    sa_npy_free(&array);
    return fits ? SA_OK
                : sa_fail(err, SA_BAD_INPUT, path, "save one mask's logits: --save-logits without --all",
                          "not the logits of one mask of this segmenter, [1,%zu,%zu]", side, side);
}

sa_status sa_user_prompt_state(const sa_user_prompt *prompt, const sa_segmenter *segmenter,
                               const sa_image *picture, const sa_image_limits *limits, const char *name,
                               float *state, sa_error *err)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    const char *path = prompt->mask_path;
    if (path[0] != '\0') {
        SA_TRY(sa_file_read(path, SA_MASK_FILE_LIMIT, &bytes, &size, err));
    }
    sa_mask mask = {0};
    sa_status status;
    if (sa_npy_is_npy(bytes, size)) {
        status = state_from_npy(path, bytes, size, sa_segmenter_state_side(segmenter), state, err);
    } else {
        status = sa_mask_new(&mask, picture->height, picture->width, err);
        if (status == SA_OK && bytes != NULL) {
            status = sa_mask_parse(&mask, path, bytes, size, limits, err);
        } else if (status == SA_OK) {
            status = sa_mask_from_json(&mask, prompt->mask_json, name, err);
        }
        if (status == SA_OK) {
            sa_segmenter_state_from_mask(segmenter, &mask, state);
        }
    }
    sa_mask_free(&mask);
    free(bytes);
    return status;
}
