#include "runtime/hlmat/agent.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/hlmat/search.h"
#include "runtime/image/view.h"

enum { FILE_LIMIT = 1 << 20 };

/* ---- pieces ---- */

static sa_status check_keys(const json_t *object, const char *file, const char *what,
                            const char *const *known, sa_error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object)) {
        return sa_fail(err, SA_BAD_INPUT, file, "see INTERFACES.md, \"Agent directory\"", "%s is no object",
                       what);
    }
    json_object_foreach((json_t *)object, key, value) {
        const char *const *k = known;
        while (*k != NULL && strcmp(*k, key) != 0) {
            k++;
        }
        if (*k == NULL) {
            return sa_fail(err, SA_BAD_INPUT, file, "take it out, or correct its spelling",
                           "%s has the unknown key \"%s\"", what, key);
        }
    }
    return SA_OK;
}

/* A text of at most size - 1 bytes; what stands in `out` is the default. */
static sa_status get_text(const json_t *object, const char *file, const char *key, char *out, size_t size,
                          sa_error *err)
{
    const char *text = out;
    SA_TRY(sa_json_get_string(object, file, key, false, &text, err));
    if (strlen(text) >= size) {
        return sa_fail(err, SA_BAD_INPUT, file, "use a shorter one",
                       "key \"%s\" has more than %zu characters", key, size - 1);
    }
    if (text != out) {
        memcpy(out, text, strlen(text) + 1);
    }
    return SA_OK;
}

static sa_status get_int(const json_t *object, const char *file, const char *key, int least, int most,
                         int *out, sa_error *err)
{
    int64_t value = *out;
    SA_TRY(sa_json_get_int(object, file, key, false, least, most, &value, err));
    *out = (int)value;
    return SA_OK;
}

static sa_status get_bool(const json_t *object, const char *file, const char *key, bool *out, sa_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (value != NULL && !json_is_boolean(value)) {
        return sa_fail(err, SA_BAD_INPUT, file, "write true or false", "key \"%s\" is neither", key);
    }
    *out = value != NULL ? json_is_true(value) : *out;
    return SA_OK;
}

/* Which of two words a key holds: *second tells. */
static sa_status get_choice(const json_t *object, const char *file, const char *key, const char *one,
                            const char *other, bool *second, sa_error *err)
{
    const char *text = *second ? other : one;
    SA_TRY(sa_json_get_string(object, file, key, false, &text, err));
    *second = strcmp(text, other) == 0;
    if (!*second && strcmp(text, one) != 0) {
        return sa_fail(err, SA_BAD_INPUT, file, NULL, "key \"%s\" is \"%s\", not \"%s\" or \"%s\"", key, text,
                       one, other);
    }
    return SA_OK;
}

/* A path that is relative to the file's directory. */
static sa_status get_path(const json_t *object, const sa_agent *a, const char *directory, const char *key,
                          const char *standard, char out[SA_AGENT_PATH], sa_error *err)
{
    char path[SA_AGENT_PATH];
    snprintf(path, sizeof path, "%s", standard);
    SA_TRY(get_text(object, a->file, key, path, sizeof path, err));
    if (path[0] == '/') {
        memcpy(out, path, strlen(path) + 1);
    } else {
        SA_TRY(sa_file_join(out, SA_AGENT_PATH, directory, path, err));
    }
    if (!sa_file_exists(out)) {
        return sa_fail(err, SA_BAD_INPUT, a->file, "correct the path; it is relative to this file",
                       "key \"%s\" names %s, which is not there", key, out);
    }
    return SA_OK;
}

/* ---- the file's objects ---- */

static sa_status read_color(const json_t *list, const char *file, uint8_t color[3], sa_error *err)
{
    if (list == NULL || json_is_null(list)) {
        return SA_OK;
    }
    for (size_t i = 0; i < 3; i++) {
        const json_t *value = json_array_get(list, i);
        json_int_t v = json_integer_value(value);
        if (json_array_size(list) != 3 || !json_is_integer(value) || v < 0 || v > 255) {
            return sa_fail(err, SA_BAD_INPUT, file, "write [0, 255, 0]",
                           "key \"color\" is no list of three numbers 0 to 255");
        }
        color[i] = (uint8_t)v;
    }
    return SA_OK;
}

static sa_status read_overlay(sa_agent *a, const json_t *object, sa_error *err)
{
    static const char *const keys[] = {"color", "alpha", "rounding", "jpeg_quality", NULL};
    bool nearest = false;
    if (object == NULL) {
        return SA_OK;
    }
    SA_TRY(check_keys(object, a->file, "\"overlay\"", keys, err));
    SA_TRY(read_color(json_object_get(object, "color"), a->file, a->overlay.color, err));
    SA_TRY(sa_json_get_real(object, a->file, "alpha", false, &a->overlay.alpha, err));
    SA_TRY(get_choice(object, a->file, "rounding", "trunc", "nearest", &nearest, err));
    SA_TRY(get_int(object, a->file, "jpeg_quality", 1, 100, &a->jpeg_quality, err));
    a->overlay.rounding = nearest ? SA_IMAGE_NEAREST : SA_IMAGE_TRUNCATE;
    if (a->overlay.alpha < 0 || a->overlay.alpha > 1) {
        return sa_fail(err, SA_BAD_INPUT, a->file, NULL, "key \"alpha\" is not between 0 and 1");
    }
    return SA_OK;
}

/*
 * What an answer is told by. Spaces are passed over where answers are read (answer.h), and one may stand in
 * front of each; words that look like numbers or places would be found in these.
 */
static sa_status check_words(const char *file, const char *key, const char *words, sa_error *err)
{
    unsigned char first = (unsigned char)words[0];
    if (first == '\0' || isspace(first) || isdigit(first) || strpbrk(words, "(),") != NULL) {
        return sa_fail(err, SA_BAD_INPUT, file, "write words such as \"Positive point:\"",
                       "key \"%s\" is empty, begins with a space or a digit, or holds one of (),", key);
    }
    return SA_OK;
}

/* Does one hold the other, as answers are read: without its spaces? */
static bool holds(const char *one, const char *other)
{
    char squeezed[2][SA_AGENT_WORDS];
    for (int i = 0; i < 2; i++) {
        char *to = squeezed[i];
        for (const char *from = i == 0 ? one : other; *from != '\0'; from++) {
            *to = *from;
            to += !isspace((unsigned char)*from);
        }
        *to = '\0';
    }
    return strstr(squeezed[0], squeezed[1]) != NULL;
}

static sa_status read_action(sa_agent *a, const json_t *object, sa_error *err)
{
    static const char *const keys[] = {"positive", "negative", "order", "scale", "rounding", NULL};
    bool column_first = false, floors = false;
    if (object != NULL) {
        SA_TRY(check_keys(object, a->file, "\"action\"", keys, err));
        SA_TRY(get_text(object, a->file, "positive", a->action.positive, SA_AGENT_WORDS, err));
        SA_TRY(get_text(object, a->file, "negative", a->action.negative, SA_AGENT_WORDS, err));
        SA_TRY(get_choice(object, a->file, "order", "row,col", "col,row", &column_first, err));
        SA_TRY(get_int(object, a->file, "scale", 2, 100000, &a->action.scale, err));
        SA_TRY(get_choice(object, a->file, "rounding", "half-even", "floor", &floors, err));
    }
    a->action.row_first = !column_first;
    a->action.rounding = floors ? SA_ROUND_FLOOR : SA_ROUND_HALF_EVEN;
    SA_TRY(check_words(a->file, "positive", a->action.positive, err));
    SA_TRY(check_words(a->file, "negative", a->action.negative, err));
    if (holds(a->action.positive, a->action.negative) || holds(a->action.negative, a->action.positive)) {
        return sa_fail(err, SA_BAD_INPUT, a->file, "use two words of which neither holds the other",
                       "positive and negative clicks cannot be told apart");
    }
    return SA_OK;
}

static sa_status read_prm(sa_agent *a, const json_t *object, sa_error *err)
{
    static const char *const keys[] = {"prefix", "scale", "decimals", NULL};
    a->judges = object != NULL && !json_is_null(object);
    if (!a->judges) {
        return SA_OK;
    }
    SA_TRY(check_keys(object, a->file, "\"prm\"", keys, err));
    SA_TRY(get_text(object, a->file, "prefix", a->prm.prefix, SA_AGENT_WORDS, err));
    SA_TRY(get_int(object, a->file, "scale", 1, 100, &a->prm.scale, err));
    SA_TRY(get_int(object, a->file, "decimals", 0, 6, &a->prm.decimals, err));
    SA_TRY(check_words(a->file, "prefix", a->prm.prefix, err));
    if (holds(a->prm.prefix, a->action.positive) || holds(a->action.positive, a->prm.prefix) ||
        holds(a->action.negative, a->prm.prefix)) {
        return sa_fail(err, SA_BAD_INPUT, a->file, "use words of which none holds another",
                       "key \"prefix\" and the words of clicks cannot be told apart");
    }
    if ((a->prm.scale != 1 && a->prm.scale != 100) || (a->prm.scale == 1 && a->prm.decimals == 0)) {
        return sa_fail(err, SA_BAD_INPUT, a->file, "the scale is 1 (with decimals) or 100",
                       "key \"prm\" does not say how an IoU is written");
    }
    return SA_OK;
}

static sa_status read_search(sa_agent *a, const json_t *object, sa_error *err)
{
    SA_TRY(get_int(object, a->file, "steps", 1, 1000, &a->steps, err));
    SA_TRY(get_int(object, a->file, "candidates", 1, 256, &a->candidates, err));
    snprintf(a->search, sizeof a->search, "%s", a->judges ? "prm-stop" : "greedy");
    SA_TRY(get_text(object, a->file, "search", a->search, sizeof a->search, err));
    if (!sa_search_exists(a->search)) {
        return sa_fail(err, SA_BAD_INPUT, a->file, sa_search_list(),
                       "key \"search\" is \"%s\", and there is no such", a->search);
    }
    SA_TRY(sa_json_get_real(object, a->file, "temperature", false, &a->temperature, err));
    SA_TRY(sa_json_get_real(object, a->file, "mask_threshold", false, &a->mask_threshold, err));
    SA_TRY(get_bool(object, a->file, "previous_mask", &a->previous_mask, err));
    if (a->temperature < 0 || a->temperature > 100) {
        return sa_fail(err, SA_BAD_INPUT, a->file, NULL, "key \"temperature\" is not between 0 and 100");
    }
    return SA_OK;
}

static sa_status read_prompt(sa_agent *a, const json_t *object, sa_error *err)
{
    SA_TRY(get_text(object, a->file, "prompt", a->prompt, sizeof a->prompt, err));
    const char *image = strstr(a->prompt, "{image}");
    if (image == NULL || strstr(image + 1, "{image}") != NULL || strstr(a->prompt, "{text}") == NULL) {
        return sa_fail(err, SA_BAD_INPUT, a->file, "write \"{image}{text}\" and what stands around them",
                       "key \"prompt\" needs {image} once, and {text}");
    }
    return SA_OK;
}

/* The template's name, or a file beside agent.json. */
static sa_status read_template(sa_agent *a, const char *directory, const json_t *object, sa_error *err)
{
    char beside[SA_AGENT_PATH];
    SA_TRY(get_text(object, a->file, "template", a->template, sizeof a->template, err));
    if (sa_file_join(beside, sizeof beside, directory, a->template, NULL) == SA_OK &&
        sa_file_exists(beside)) {
        memcpy(a->template, beside, strlen(beside) + 1);
    }
    return SA_OK;
}

static sa_status read_agent(sa_agent *a, const char *directory, const json_t *object, sa_error *err)
{
    static const char *const keys[] = {
        "name",  "policy",     "segmenter", "template",    "prompt",         "overlay",       "action", "prm",
        "steps", "candidates", "search",    "temperature", "mask_threshold", "previous_mask", NULL};
    SA_TRY(check_keys(object, a->file, "the agent", keys, err));
    SA_TRY(get_text(object, a->file, "name", a->name, sizeof a->name, err));
    SA_TRY(get_path(object, a, directory, "policy", "policy", a->policy, err));
    SA_TRY(get_path(object, a, directory, "segmenter", "segmenter", a->segmenter, err));
    SA_TRY(read_template(a, directory, object, err));
    SA_TRY(read_prompt(a, object, err));
    SA_TRY(read_overlay(a, json_object_get(object, "overlay"), err));
    SA_TRY(read_action(a, json_object_get(object, "action"), err));
    SA_TRY(read_prm(a, json_object_get(object, "prm"), err));
    return read_search(a, object, err);
}

/* ---- all of it ---- */

static sa_agent default_agent(void)
{
    return (sa_agent){.name = "agent",
                      .template = "plain",
                      .prompt = "{image}{text}",
                      .overlay = sa_image_default_paint(),
                      .action = {.positive = "Positive point:", .negative = "Negative point:", .scale = 1000},
                      .prm = {.prefix = "Current IOU:", .scale = 100},
                      .steps = 7,
                      .candidates = 1,
                      .previous_mask = true};
}

/* What stands before the last '/' of a path; "." if there is none. */
static void directory_of(char out[SA_AGENT_PATH], const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        memcpy(out, ".", 2);
    } else {
        snprintf(out, SA_AGENT_PATH, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    }
}

sa_status sa_agent_read(sa_agent *a, const char *path, sa_error *err)
{
    char directory[SA_AGENT_PATH];
    json_t *object;
    *a = default_agent();
    if (sa_file_is_directory(path)) {
        SA_TRY(sa_file_join(a->file, sizeof a->file, path, "agent.json", err));
    } else if (strlen(path) >= sizeof a->file) {
        return sa_fail(err, SA_BAD_INPUT, path, NULL, "the path is too long");
    } else {
        memcpy(a->file, path, strlen(path) + 1);
    }
    directory_of(directory, a->file);
    SA_TRY(sa_json_read(a->file, FILE_LIMIT, &object, err));
    sa_status status = read_agent(a, directory, object, err);
    json_decref(object);
    return status;
}

/* ---- speaking to it ---- */

void sa_agent_write_prompt(const sa_agent *a, const char *item, const char *image, sa_text *out)
{
    for (const char *at = a->prompt; *at != '\0';) {
        bool is_text = strncmp(at, "{text}", 6) == 0, is_image = strncmp(at, "{image}", 7) == 0;
        const char *piece = is_text ? item : is_image ? image : at;
        sa_text_append(out, piece, is_text || is_image ? strlen(piece) : 1);
        at += is_text ? 6 : is_image ? 7 : 1;
    }
}

sa_status sa_agent_paint(const sa_agent *a, const sa_image *picture, const sa_mask *mask, sa_image *out,
                         sa_error *err)
{
    uint8_t table[3][256];
    sa_image_paint_table(&a->overlay, table);
    const sa_view view = {.picture = picture, .mask = mask, .paint = (const uint8_t(*)[256])table};
    return sa_view_paint(&view, out, err);
}
