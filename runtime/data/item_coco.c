/* COCO instances alone: an item for each annotation, its text the name of the category. */
#include "runtime/data/item_coco.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/path.h"
#include "runtime/text/buffer.h"

enum { NAME_ROOM = 512 };

/* ---- the index ---- */

/* Entries without a number cannot be asked for; annotations without one are set aside when they are read. */
static sa_status add_entry(coco_index *index, const char *path, sa_json_part part, sa_error *err)
{
    json_t *value = NULL;
    if (sa_json_parse(path, part.text, part.size, &value, NULL) != SA_OK) {
        return SA_OK;
    }
    const json_t *id = json_object_get(value, "id");
    bool good = json_is_integer(id);
    int64_t number = json_integer_value(id);
    json_decref(value);
    if (!good) {
        return SA_OK;
    }
    coco_entry *grown = sa_grow(index->entries, &index->capacity, index->count + 1, sizeof *grown);
    if (grown == NULL) {
        return item_no_memory(path, err);
    }
    index->entries = grown;
    index->entries[index->count++] = (coco_entry){number, part};
    return SA_OK;
}

/* Of equal numbers the first in the file comes first, and is the one that counts. */
static int by_id(const void *left, const void *right)
{
    const coco_entry *a = left, *b = right;
    return a->id != b->id ? (a->id < b->id ? -1 : 1) : a->part.text < b->part.text ? -1 : 1;
}

static sa_status build_index(coco_index *index, const char *path, const char *text, size_t size,
                             const char *key, sa_error *err)
{
    sa_json_part list, unused, part;
    SA_TRY(item_find_list(path, text, size, key, &list, err));
    sa_json_walk walk = sa_json_walk_on(list);
    while (sa_json_walk_next(&walk, &unused, &part)) {
        SA_TRY(add_entry(index, path, part, err));
    }
    if (walk.broken) {
        return item_fail_broken(path, text, &walk, err);
    }
    if (index->count > 0) {
        qsort(index->entries, index->count, sizeof *index->entries, by_id);
    }
    return SA_OK;
}

static const coco_entry *find_entry(const coco_index *index, int64_t id)
{
    size_t low = 0, high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (index->entries[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < index->count && index->entries[low].id == id ? &index->entries[low] : NULL;
}

sa_status coco_open(coco_file *file, const char *path, const char *text, size_t size, bool annotations,
                    sa_error *err)
{
    *file = (coco_file){.path = path};
    SA_TRY(build_index(&file->images, path, text, size, "images", err));
    return annotations ? build_index(&file->annotations, path, text, size, "annotations", err) : SA_OK;
}

void coco_close(coco_file *file)
{
    free(file->images.entries);
    free(file->annotations.entries);
    json_decref(file->image);
    *file = (coco_file){0};
}

/* ---- looking up ---- */

static sa_status read_entry(const coco_file *file, const coco_index *index, int64_t id, const char *what,
                            const char *name, json_t **value, sa_error *err)
{
    const coco_entry *entry = find_entry(index, id);
    if (entry == NULL) {
        return sa_fail(err, SA_BAD_INPUT, name, "see that the files belong together",
                       "there is no %s %" PRId64 " in %.200s", what, id, file->path);
    }
    return item_parse_object(entry->part, name, value, err);
}

sa_status coco_image(coco_file *file, int64_t id, const char *name, const json_t **image, sa_error *err)
{
    if (file->image == NULL || file->image_id != id) {
        json_t *value = NULL;
        SA_TRY(read_entry(file, &file->images, id, "picture", name, &value, err));
        json_decref(file->image);
        file->image = value;
        file->image_id = id;
    }
    *image = file->image;
    return SA_OK;
}

sa_status coco_annotation(const coco_file *file, int64_t id, const char *name, json_t **annotation,
                          sa_error *err)
{
    return read_entry(file, &file->annotations, id, "annotation", name, annotation, err);
}

sa_status coco_fill_draft(coco_file *file, const json_t *annotation, const char *name, item_draft *draft,
                          sa_error *err)
{
    const json_t *image = NULL;
    int64_t id = 0;
    SA_TRY(sa_json_get_int(annotation, name, "image_id", true, INT64_MIN, INT64_MAX, &id, err));
    SA_TRY(coco_image(file, id, name, &image, err));
    SA_TRY(sa_json_get_string(image, name, "file_name", true, &draft->image, err));
    SA_TRY(item_read_size(image, name, &draft->height, &draft->width, err));
    draft->other_name = sa_path_name(draft->image);
    draft->gt = item_member(annotation, "segmentation");
    return SA_OK;
}

/* ---- instances as an input ---- */

typedef struct {
    item_reader *r;
    coco_file file;
    coco_index categories;
} reader;

static sa_status read_category(const reader *at, const json_t *annotation, const char *name,
                               json_t **category, const char **text, sa_error *err)
{
    int64_t id = 0;
    SA_TRY(sa_json_get_int(annotation, name, "category_id", true, INT64_MIN, INT64_MAX, &id, err));
    SA_TRY(read_entry(&at->file, &at->categories, id, "category", name, category, err));
    return sa_json_get_string(*category, name, "name", true, text, err);
}

static json_t *make_meta(const json_t *annotation)
{
    return json_pack("{s:O, s:O, s:b}", "image_id", json_object_get(annotation, "image_id"), "category_id",
                     json_object_get(annotation, "category_id"), "iscrowd",
                     json_integer_value(json_object_get(annotation, "iscrowd")) != 0);
}

static sa_status read_annotation(reader *at, sa_json_part part, size_t place, sa_error *err)
{
    char name[NAME_ROOM], room[32];
    json_t *annotation = NULL, *category = NULL;
    sa_error why = {0};
    item_draft draft = {0};
    snprintf(name, sizeof name, "%.440s: annotations[%zu]", at->r->path, place);
    sa_status status = item_parse_object(part, name, &annotation, &why);
    if (status == SA_OK) {
        draft.id = item_text_of(item_member(annotation, "id"), room);
        status = coco_fill_draft(&at->file, annotation, name, &draft, &why);
    }
    if (status == SA_OK) {
        status = read_category(at, annotation, name, &category, &draft.text, &why);
    }
    if (status == SA_OK && (draft.meta = make_meta(annotation)) == NULL) {
        status = item_no_memory(at->r->path, &why);
    }
    status = status == SA_OK ? item_reader_add(at->r, &draft, name, err)
                             : item_reader_settle(at->r, status, draft.id, &why, err);
    json_decref(draft.meta);
    json_decref(category);
    json_decref(annotation);
    return status;
}

static sa_status read_annotations(reader *at, const char *text, size_t size, sa_error *err)
{
    sa_json_part list, unused, part;
    SA_TRY(coco_open(&at->file, at->r->path, text, size, false, err));
    SA_TRY(build_index(&at->categories, at->r->path, text, size, "categories", err));
    SA_TRY(item_find_list(at->r->path, text, size, "annotations", &list, err));
    sa_json_walk walk = sa_json_walk_on(list);
    for (size_t i = 0; !item_reader_full(at->r) && sa_json_walk_next(&walk, &unused, &part); i++) {
        SA_TRY(read_annotation(at, part, i, err));
    }
    return walk.broken ? item_fail_broken(at->r->path, text, &walk, err) : SA_OK;
}

sa_status item_read_coco(item_reader *r, const char *text, size_t size, sa_error *err)
{
    reader at = {.r = r};
    sa_status status = read_annotations(&at, text, size, err);
    free(at.categories.entries);
    coco_close(&at.file);
    return status;
}
