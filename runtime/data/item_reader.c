#include "runtime/data/item_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/file.h"
#include "runtime/base/path.h"
#include "runtime/image/rle.h"
#include "runtime/text/buffer.h"

/* ---- small things ---- */

sa_status item_no_memory(const char *path, sa_error *err)
{
    return sa_fail(err, SA_NO_ROOM, path, "use --limit, or split the input", "no memory for its rows");
}

const char *item_text_of(const json_t *value, char room[32])
{
    if (json_is_integer(value)) {
        snprintf(room, 32, "%" PRId64, (int64_t)json_integer_value(value));
        return room;
    }
    return json_is_string(value) ? json_string_value(value) : NULL;
}

json_t *item_member(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

sa_status item_read_size(const json_t *object, const char *name, size_t *height, size_t *width, sa_error *err)
{
    int64_t sides[2] = {0, 0};
    SA_TRY(sa_json_get_int(object, name, "height", false, 1, ITEM_MOST_SIDE, &sides[0], err));
    SA_TRY(sa_json_get_int(object, name, "width", false, 1, ITEM_MOST_SIDE, &sides[1], err));
    *height = (size_t)sides[0];
    *width = (size_t)sides[1];
    return (*height == 0) == (*width == 0)
               ? SA_OK
               : sa_fail(err, SA_BAD_INPUT, name, "give both or neither", "it has a %s and no %s",
                         *height != 0 ? "height" : "width", *height != 0 ? "width" : "height");
}

sa_status item_parse_object(sa_json_part part, const char *name, json_t **object, sa_error *err)
{
    SA_TRY(sa_json_parse(name, part.text, part.size, object, err));
    if (json_is_object(*object)) {
        return SA_OK;
    }
    json_decref(*object);
    *object = NULL;
    return sa_fail(err, SA_BAD_INPUT, name, "correct the file", "the row is no object");
}

sa_status item_find_list(const char *path, const char *text, size_t size, const char *key, sa_json_part *list,
                         sa_error *err)
{
    sa_json_walk walk = sa_json_walk_on(sa_json_trim(text, size));
    sa_json_part name, value;
    *list = (sa_json_part){0};
    while (sa_json_walk_next(&walk, &name, &value)) { /* to the end: a file that is cut off is told as such */
        if (list->text == NULL && sa_json_part_is(name, key) && value.text[0] == '[') {
            *list = value;
        }
    }
    if (!sa_json_walk_is_whole(&walk)) {
        return item_fail_broken(path, text, &walk, err);
    }
    return list->text != NULL ? SA_OK
                              : sa_fail(err, SA_BAD_INPUT, path, "see that it is the right file",
                                        "it has no list \"%s\"", key);
}

sa_status item_fail_broken(const char *path, const char *text, const sa_json_walk *walk, sa_error *err)
{
    size_t at = (size_t)(walk->text - text) + (walk->at < walk->size ? walk->at : walk->size);
    return sa_fail(err, SA_BAD_INPUT, path, "fetch or export the file again",
                   "its JSON is cut off or damaged at line %zu, byte %zu", sa_json_line(text, at), at);
}

bool item_reader_full(const item_reader *r)
{
    return r->options->limit != 0 && r->items->count >= r->options->limit;
}

bool item_reader_knows(const item_reader *r, const char *id)
{
    size_t length = strlen(id);
    return sa_text_table_find(&r->ids, id, length) != NULL ||
           sa_text_table_find(&r->aside, id, length) != NULL;
}

/* ---- rows that are none ---- */

static bool remember_aside(item_reader *r, const sa_bad_item *bad)
{
    size_t length = strlen(bad->id);
    return sa_text_table_find(&r->aside, bad->id, length) != NULL ||
           sa_text_table_put(&r->aside, bad->id, length, bad->row);
}

sa_status item_reader_set_aside(item_reader *r, const char *id, const sa_error *why, sa_error *err)
{
    sa_items *items = r->items;
    sa_bad_item *grown = sa_grow(items->bad, &r->bad_capacity, items->bad_count + 1, sizeof *grown);
    if (grown == NULL) {
        return item_no_memory(r->path, err);
    }
    items->bad = grown;
    sa_bad_item *bad = &grown[items->bad_count++];
    *bad = (sa_bad_item){r->rows++, strdup(id != NULL ? id : ""), strdup(why->file), strdup(why->reason),
                         strdup(why->hint)};
    return bad->id != NULL && bad->file != NULL && bad->reason != NULL && bad->hint != NULL &&
                   remember_aside(r, bad)
               ? SA_OK
               : item_no_memory(r->path, err);
}

sa_status item_reader_settle(item_reader *r, sa_status status, const char *id, const sa_error *why,
                             sa_error *err)
{
    if (status == SA_OK) {
        return SA_OK;
    }
    return status == SA_BAD_INPUT ? item_reader_set_aside(r, id, why, err)
                                  : sa_fail(err, status, why->file, why->hint, "%s", why->reason);
}

/* ---- what makes a draft good ---- */

static bool is_blank(const char *text)
{
    return text[strspn(text, " \t\r\n\v\f")] == '\0';
}

static sa_status check_texts(const item_reader *r, const item_draft *d, const char *name, sa_error *err)
{
    const char *texts[] = {d->id, d->image, d->text}, *names[] = {"id", "image", "text"};
    for (size_t i = 0; i < 3; i++) {
        if (texts[i] == NULL || is_blank(texts[i])) {
            return sa_fail(err, SA_BAD_INPUT, name, "give every row a picture and a text", "it has no %s",
                           names[i]);
        }
        if (strlen(texts[i]) > ITEM_MOST_TEXT) {
            return sa_fail(err, SA_BAD_INPUT, name, "correct the file", "its %s is longer than %d bytes",
                           names[i], (int)ITEM_MOST_TEXT);
        }
    }
    const sa_text_entry *same = sa_text_table_find(&r->ids, d->id, strlen(d->id));
    if (same != NULL) {
        return sa_fail(err, SA_BAD_INPUT, name, "give every row an id of its own",
                       "the id \"%.200s\" is that of row %zu already", d->id,
                       r->items->items[same->number].row + 1);
    }
    return SA_OK;
}

static bool is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && !S_ISDIR(info.st_mode);
}

/* The rows of one picture mostly stand together, and some file systems answer slowly. */
static bool picture_is_there(item_reader *r, const char *path)
{
    if (strcmp(r->last, path) != 0 || r->last[0] == '\0') {
        r->last_there = is_file(path);
        snprintf(r->last, sizeof r->last, "%s", path);
    }
    return r->last_there;
}

static sa_status find_picture(item_reader *r, const item_draft *d, char path[ITEM_PATH_ROOM], sa_error *err)
{
    SA_TRY(sa_path_from(path, ITEM_PATH_ROOM, r->images, d->image, err));
    if (r->options->without_pictures || picture_is_there(r, path)) {
        return SA_OK;
    }
    if (d->other_name != NULL) {
        char other[ITEM_PATH_ROOM];
        SA_TRY(sa_path_from(other, sizeof other, r->images, d->other_name, err));
        if (picture_is_there(r, other)) {
            memcpy(path, other, sizeof other);
            return SA_OK;
        }
    }
    return sa_fail(err, SA_BAD_INPUT, path, "name the folder of the pictures with --images",
                   "the picture is not there");
}

/* A list of lists of at least three corners; they are filled only when the mask is wanted. */
static sa_status check_polygons(const json_t *polygons, const char *name, sa_error *err)
{
    bool good = json_array_size(polygons) > 0;
    for (size_t i = 0; good && i < json_array_size(polygons); i++) {
        const json_t *polygon = json_array_get(polygons, i);
        size_t count = json_array_size(polygon);
        good = count >= 6 && count % 2 == 0;
        for (size_t k = 0; good && k < count; k++) {
            good = json_is_number(json_array_get(polygon, k));
        }
    }
    return good ? SA_OK
                : sa_fail(err, SA_BAD_INPUT, name, "write [[x0, y0, x1, y1, x2, y2, ...], ...]",
                          "its mask is no list of polygons");
}

static sa_status check_rle(const json_t *value, const char *name, size_t height, size_t width, sa_error *err)
{
    sa_rle rle;
    sa_error why = {0};
    sa_status status = sa_rle_from_json(&rle, value, name, 0, 0, &why);
    if (status !=
        SA_OK) { /* its memory is bounded by the file's size: a size beyond limits is the row's fault */
        return sa_fail(err, SA_BAD_INPUT, why.file, why.hint[0] != '\0' ? why.hint : "correct its mask", "%s",
                       why.reason);
    }
    if (height != 0 && width != 0 && (rle.height != height || rle.width != width)) {
        status = sa_fail(err, SA_BAD_INPUT, name, "give masks the size of their picture",
                         "its mask is %zux%zu and its picture %zux%zu", rle.width, rle.height, width, height);
    }
    sa_rle_free(&rle);
    return status;
}

/* Sizes of two masks of one row are compared, too: the first sets the item's where the row says none. */
static void take_size(const json_t *rle, sa_item *item)
{
    const json_t *size = json_object_get(rle, "size");
    if (item->height == 0 && item->width == 0 && json_array_size(size) == 2) {
        item->height = (size_t)json_integer_value(json_array_get(size, 0));
        item->width = (size_t)json_integer_value(json_array_get(size, 1));
    }
}

static sa_status take_mask(const item_reader *r, sa_mask_source *source, json_t *value, sa_item *item,
                           const char *name, sa_error *err)
{
    char path[ITEM_PATH_ROOM];
    if (value == NULL) {
        return SA_OK;
    }
    if (json_is_string(value)) {
        SA_TRY(sa_path_from(path, sizeof path, r->directory, json_string_value(value), err));
        source->png = strdup(path);
        if (source->png == NULL) {
            return item_no_memory(name, err);
        }
        return is_file(path) ? SA_OK
                             : sa_fail(err, SA_BAD_INPUT, path, "correct its name", "the mask is not there");
    }
    if (json_is_object(value)) {
        SA_TRY(check_rle(value, name, item->height, item->width, err));
        take_size(value, item);
    } else {
        SA_TRY(check_polygons(value, name, err));
    }
    source->json = json_incref(value);
    return SA_OK;
}

static sa_status make_item(item_reader *r, const item_draft *d, const char *name, sa_item *item,
                           sa_error *err)
{
    char path[ITEM_PATH_ROOM];
    SA_TRY(check_texts(r, d, name, err));
    SA_TRY(find_picture(r, d, path, err));
    *item = (sa_item){.row = r->rows, .height = d->height, .width = d->width};
    item->id = strdup(d->id);
    item->image = strdup(d->image);
    item->path = strdup(path);
    item->text = strdup(d->text);
    if (item->id == NULL || item->image == NULL || item->path == NULL || item->text == NULL) {
        return item_no_memory(r->path, err);
    }
    SA_TRY(take_mask(r, &item->mask, d->mask, item, name, err));
    SA_TRY(take_mask(r, &item->gt, d->gt, item, name, err));
    item->meta = json_incref(d->meta);
    return SA_OK;
}

sa_status item_reader_add(item_reader *r, const item_draft *draft, const char *name, sa_error *err)
{
    sa_items *items = r->items;
    sa_error why = {0};
    sa_item *grown = sa_grow(items->items, &r->capacity, items->count + 1, sizeof *grown);
    if (grown == NULL) {
        return item_no_memory(r->path, err);
    }
    items->items = grown;
    sa_item *item = &grown[items->count];
    *item = (sa_item){0};
    sa_status status = make_item(r, draft, name, item, &why);
    if (status == SA_OK && !sa_text_table_put(&r->ids, item->id, strlen(item->id), items->count)) {
        status = item_no_memory(r->path, &why);
    }
    if (status != SA_OK) {
        item_free(item);
        return item_reader_settle(r, status, draft->id, &why, err);
    }
    items->count++;
    r->rows++;
    return SA_OK;
}
