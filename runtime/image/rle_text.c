/*
 * Runs as text: COCO's compressed string, and the JSON forms that a mask takes in files. All of it untrusted.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/image/rle.h"
#include "runtime/image/rle_list.h"

/* Seven characters of five bits hold every difference of two 32-bit runs, sign included. */
enum { MOST_CHARACTERS = 7, FIRST_CHARACTER = 48, MORE = 0x20, SIGN = 0x10, PAYLOAD = 0x1f };

/* ---- string to runs ---- */

typedef struct {
    const char *text;
    size_t length, at;
} reader;

static sa_status fail_at(const reader *r, sa_error *err, const char *what)
{
    return sa_fail(err, SA_BAD_INPUT, NULL, "counts must be COCO's compressed run lengths",
                   "%s at character %zu of %zu of a mask's counts", what, r->at + 1, r->length);
}

/* The next number; r->at < r->length. */
static sa_status read_number(reader *r, int64_t *number, sa_error *err)
{
    int64_t value = 0;
    for (int k = 0; k < MOST_CHARACTERS; k++, r->at++) {
        if (r->at == r->length) {
            return fail_at(r, err, "a number is cut off");
        }
        int bits = (unsigned char)r->text[r->at] - FIRST_CHARACTER;
        if (bits < 0 || bits > 63) {
            return fail_at(r, err, "a character that means nothing");
        }
        value |= (int64_t)(bits & PAYLOAD) << 5 * k;
        if ((bits & MORE) == 0) {
            r->at++;
            *number = (bits & SIGN) != 0 ? value - ((int64_t)1 << 5 * (k + 1)) : value;
            return SA_OK;
        }
    }
    return fail_at(r, err, "a number that is too long");
}

/*
 * All runs onto the list, the last one's end included as a toggle, which sa_rle_list_finish ignores at the
 * area.
 */
static sa_status read_runs(reader *r, sa_rle_list *list, uint64_t area, sa_error *err)
{
    int64_t before[2] = {0, 0}; /* runs i-1 and i-2 as they stand in the text, empty ones not yet joined */
    uint64_t position = 0;
    for (size_t i = 0; r->at < r->length; i++) {
        int64_t run = 0;
        SA_TRY(read_number(r, &run, err));
        run += i > 2 ? before[1] : 0;
        if (run < 0 || (uint64_t)run > area - position) {
            return fail_at(r, err, run < 0 ? "a run below zero ends" : "a run past the end of the mask ends");
        }
        before[1] = before[0];
        before[0] = run;
        position += (uint64_t)run;
        SA_TRY(sa_rle_list_reserve(list, 1, err));
        sa_rle_list_toggle(list, (uint32_t)position);
    }
    return position == area && r->length != 0 ? SA_OK
                                              : fail_at(r, err, "runs that fall short of the size end");
}

sa_status sa_rle_from_string(sa_rle *rle, const char *text, size_t length, size_t height, size_t width,
                             sa_error *err)
{
    *rle = (sa_rle){0};
    SA_TRY(sa_rle_check_size(height, width, err));
    reader r = {.text = text, .length = length};
    sa_rle_list list = {0};
    sa_status status = read_runs(&r, &list, (uint64_t)height * width, err);
    if (status != SA_OK) {
        free(list.counts);
        return status;
    }
    return sa_rle_list_finish(&list, height, width, rle, err);
}

/* ---- runs to string ---- */

/* Writes `value` and returns the characters taken, at most MOST_CHARACTERS. */
static size_t write_number(char *text, int64_t value)
{
    size_t count = 0;
    for (bool more = true; more;) {
        int bits = (int)(value & PAYLOAD);
        value >>= 5; /* arithmetic: the sign stays */
        more = (bits & SIGN) != 0 ? value != -1 : value != 0;
        text[count++] = (char)((more ? bits | MORE : bits) + FIRST_CHARACTER);
    }
    return count;
}

sa_status sa_rle_to_string(const sa_rle *rle, char **text, size_t *length, sa_error *err)
{
    size_t room;
    char *out = NULL;
    if (sa_mul_size(rle->count, MOST_CHARACTERS, &room) && sa_add_size(room, 1, &room)) {
        out = malloc(room);
    }
    if (out == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the text of %zu runs", rle->count);
    }
    size_t used = 0;
    for (size_t i = 0; i < rle->count; i++) {
        int64_t before = i > 2 ? rle->counts[i - 2] : 0;
        used += write_number(out + used, (int64_t)rle->counts[i] - before);
    }
    out[used] = '\0';
    char *fitted = realloc(out, used + 1);
    *text = fitted != NULL ? fitted : out;
    if (length != NULL) {
        *length = used;
    }
    return SA_OK;
}

/* ---- JSON ---- */

static sa_status fail_json(sa_error *err, const char *name, const char *reason)
{
    return sa_fail(err, SA_BAD_INPUT, name,
                   "a mask is {\"size\": [height, width], \"counts\": \"...\"} or a list of polygons", "%s",
                   reason);
}

/* An error from below gets the name of the source. */
static sa_status named(sa_status status, const char *name, sa_error *err)
{
    if (status != SA_OK && err != NULL && err->file[0] == '\0') {
        return sa_fail(err, status, name, err->hint, "%s", err->reason);
    }
    return status;
}

static bool read_uint32(const json_t *value, uint32_t *out)
{
    if (!json_is_integer(value)) {
        return false;
    }
    json_int_t number = json_integer_value(value);
    *out = (uint32_t)number;
    return number >= 0 && number <= (json_int_t)UINT32_MAX;
}

static sa_status read_size(const json_t *object, const char *name, size_t *height, size_t *width,
                           sa_error *err)
{
    const json_t *size = json_object_get(object, "size");
    uint32_t h, w;
    if (!json_is_array(size) || json_array_size(size) != 2 || !read_uint32(json_array_get(size, 0), &h) ||
        !read_uint32(json_array_get(size, 1), &w)) {
        return fail_json(err, name, "the key \"size\" of a mask is not [height, width]");
    }
    if ((*height != 0 || *width != 0) && (h != *height || w != *width)) {
        return sa_fail(err, SA_BAD_INPUT, name, "sizes are [height, width]",
                       "a mask of size %u x %u does not belong to an image of %zu x %zu", (unsigned)h,
                       (unsigned)w, *height, *width);
    }
    *height = h;
    *width = w;
    return SA_OK;
}

static sa_status from_count_list(sa_rle *rle, const json_t *list, const char *name, size_t height,
                                 size_t width, sa_error *err)
{
    size_t count = json_array_size(list);
    uint32_t *counts = malloc((count + 1) * sizeof *counts);
    if (counts == NULL) {
        return sa_fail(err, SA_NO_ROOM, name, NULL, "no memory for %zu runs", count);
    }
    sa_status status = SA_OK;
    for (size_t i = 0; i < count && status == SA_OK; i++) {
        if (!read_uint32(json_array_get(list, i), &counts[i])) {
            status =
                fail_json(err, name, "the list \"counts\" of a mask holds something else than run lengths");
        }
    }
    if (status == SA_OK) {
        status = named(sa_rle_from_counts(rle, counts, count, height, width, err), name, err);
    }
    free(counts);
    return status;
}

static sa_status from_object(sa_rle *rle, const json_t *object, const char *name, size_t height, size_t width,
                             sa_error *err)
{
    SA_TRY(read_size(object, name, &height, &width, err));
    const json_t *counts = json_object_get(object, "counts");
    if (json_is_array(counts)) {
        return from_count_list(rle, counts, name, height, width, err);
    }
    if (!json_is_string(counts)) {
        return fail_json(err, name, "the key \"counts\" of a mask is neither a string nor a list");
    }
    return named(
        sa_rle_from_string(rle, json_string_value(counts), json_string_length(counts), height, width, err),
        name, err);
}

static sa_status from_one_polygon(sa_rle *rle, const json_t *list, const char *name, size_t height,
                                  size_t width, sa_error *err)
{
    size_t count = json_array_size(list); /* 0 when it is no list */
    if (count < 6 || count % 2 != 0) {
        return fail_json(err, name, "a polygon is not a list of three or more x, y pairs");
    }
    double *xy = malloc(count * sizeof *xy);
    if (xy == NULL) {
        return sa_fail(err, SA_NO_ROOM, name, NULL, "no memory for a polygon of %zu corners", count / 2);
    }
    sa_status status = SA_OK;
    for (size_t i = 0; i < count && status == SA_OK; i++) {
        const json_t *value = json_array_get(list, i);
        xy[i] = json_number_value(value);
        status =
            json_is_number(value) ? SA_OK : fail_json(err, name, "a corner of a polygon is not a number");
    }
    if (status == SA_OK) {
        status = named(sa_rle_from_polygon(rle, xy, count / 2, height, width, err), name, err);
    }
    free(xy);
    return status;
}

static sa_status from_polygons(sa_rle *rle, const json_t *list, const char *name, size_t height, size_t width,
                               sa_error *err)
{
    size_t count = json_array_size(list), made = 0;
    if (count == 0) {
        return fail_json(err, name, "the list of polygons of a mask is empty");
    }
    sa_rle *parts = calloc(count, sizeof *parts);
    if (parts == NULL) {
        return sa_fail(err, SA_NO_ROOM, name, NULL, "no memory for %zu polygons", count);
    }
    sa_status status = SA_OK;
    for (; made < count && status == SA_OK; made++) {
        status = from_one_polygon(&parts[made], json_array_get(list, made), name, height, width, err);
    }
    if (status == SA_OK) {
        status = named(sa_rle_merge(rle, parts, count, false, err), name, err);
    }
    while (made > 0) {
        sa_rle_free(&parts[--made]);
    }
    free(parts);
    return status;
}

sa_status sa_rle_from_json(sa_rle *rle, const json_t *value, const char *name, size_t height, size_t width,
                           sa_error *err)
{
    *rle = (sa_rle){0};
    if (json_is_object(value)) {
        return from_object(rle, value, name, height, width, err);
    }
    if (!json_is_array(value)) {
        return fail_json(err, name, "a mask is neither an object nor a list");
    }
    if (height == 0 || width == 0) {
        return fail_json(err, name, "polygons need the size of their image, which is not known here");
    }
    return from_polygons(rle, value, name, height, width, err);
}

sa_status sa_rle_write_json(const sa_rle *rle, sa_json_writer *w, sa_error *err)
{
    char *text;
    SA_TRY(sa_rle_to_string(rle, &text, NULL, err));
    sa_json_begin_object(w);
    sa_json_key(w, "size");
    sa_json_begin_array(w);
    sa_json_int(w, (int64_t)rle->height);
    sa_json_int(w, (int64_t)rle->width);
    sa_json_end_array(w);
    sa_json_key(w, "counts");
    sa_json_string(w, text);
    sa_json_end_object(w);
    free(text);
    return SA_OK;
}

void sa_rle_write_bbox(const sa_rle *rle, sa_json_writer *w)
{
    double box[4];
    sa_rle_bbox(rle, box);
    sa_json_begin_array(w);
    for (int i = 0; i < 4; i++) {
        sa_json_f64(w, box[i]);
    }
    sa_json_end_array(w);
}
