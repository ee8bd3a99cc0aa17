/*
 * SegAgent's dataset JSON (MODEL_SPECS 10.1), entry by entry, with the rules of the loader: what the released
 * evaluator would work on, in its order, is what comes out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/path.h"
#include "runtime/data/item_reader.h"
#include "runtime/data/trajectory_json.h"

enum { NAME_ROOM = 512, UNKNOWN_CUT = 6, ID_ROOM = 512, MOST_INFO = 1 << 16 };

/* One entry of "data", and what its sentences share. */
typedef struct {
    item_reader *r;
    size_t place; /* in the list, from 0 */
    bool ours;    /* we wrote the file: names, captions and ids are as they stand */
    char name[NAME_ROOM];
    char image[ITEM_PATH_ROOM];
    char text[ITEM_PATH_ROOM]; /* what stands for "Unknown" */
    char object[256];          /* the beginning of its ids */
    item_draft draft;
} entry;

/* Numbers are pictures of COCO's train2014, or of SAIAPR where the file is named for refclef. */
static sa_status name_picture(entry *e, const json_t *name, sa_error *err)
{
    if (json_is_integer(name) && json_integer_value(name) >= 0) {
        int64_t number = json_integer_value(name);
        const char *coco = "mscoco/images/train2014/COCO_train2014_000000%06" PRId64 ".jpg";
        if (strstr(sa_path_name(e->r->path), "refclef") != NULL) {
            snprintf(e->image, sizeof e->image, "saiapr_tc-12/%02" PRId64 "/images/%" PRId64 ".jpg",
                     number / 1000, number);
        } else {
            snprintf(e->image, sizeof e->image, coco, number);
        }
        return SA_OK;
    }
    if (!json_is_string(name)) {
        return sa_fail(err, SA_BAD_INPUT, e->name, "give a picture's name or its COCO number",
                       "key \"image_name\" is neither");
    }
    const char *text = json_string_value(name);
    if (strlen(text) + sizeof ".jpg" > sizeof e->image) {
        return sa_fail(err, SA_BAD_INPUT, e->name, "use a shorter path", "the picture's name is too long");
    }
    bool bare = !e->ours && strchr(text, '.') == NULL;
    snprintf(e->image, sizeof e->image, "%s%s", text, bare ? ".jpg" : "");
    return SA_OK;
}

/* The loader knows pictures named ".png" and goes past them: they are no rows. */
static bool is_skipped(const entry *e, const json_t *row)
{
    const char *name = json_string_value(json_object_get(row, "image_name"));
    return !e->ours && name != NULL && strstr(name, ".png") != NULL;
}

static void name_object(entry *e, const json_t *annotation)
{
    char room[32];
    const char *object = item_text_of(item_member(annotation, "object_id"), room);
    if (object != NULL && object[0] != '\0' && strlen(object) < sizeof e->object) {
        strcpy(e->object, object);
    } else {
        snprintf(e->object, sizeof e->object, "d%zu", e->place);
    }
}

/* All but the last `count` characters of a UTF-8 text. */
static size_t cut_characters(const char *text, int count)
{
    size_t length = strlen(text);
    for (int i = 0; i < count && length > 0; i++) {
        do {
            length--;
        } while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80);
    }
    return length;
}

/* Everything but text and id. */
static sa_status fill_entry(entry *e, const json_t *row, sa_error *err)
{
    json_t *annotation = item_member(row, "gt_ann");
    name_object(e, annotation);
    SA_TRY(name_picture(e, json_object_get(row, "image_name"), err));
    e->draft.image = e->image;
    e->draft.other_name = sa_path_name(e->image);
    SA_TRY(item_read_size(row, e->name, &e->draft.height, &e->draft.width, err));
    e->draft.gt = item_member(annotation, "segmentation");
    snprintf(e->text, sizeof e->text, "%.*s", (int)cut_characters(e->image, UNKNOWN_CUT), e->image);
    return SA_OK;
}

/* The id of a sentence: the same whenever the same file is read, whichever of its pictures are there. */
static void make_id(const entry *e, size_t sentence, char id[ID_ROOM])
{
    if (e->ours && sentence == 0) {
        snprintf(id, ID_ROOM, "%s", e->object);
    } else {
        snprintf(id, ID_ROOM, "%s-%zu", e->object, sentence);
    }
    if (item_reader_knows(e->r, id)) {
        snprintf(id, ID_ROOM, "%s-%zu-d%zu", e->object, sentence, e->place);
    }
}

static sa_status add_sentence(entry *e, const json_t *caption, size_t sentence, sa_error *err)
{
    char id[ID_ROOM];
    make_id(e, sentence, id);
    const char *text = json_string_value(caption); /* NULL for what is no string */
    e->draft.id = id;
    bool unknown = !e->ours && text != NULL && strcmp(text, "Unknown") == 0;
    e->draft.text = unknown ? e->text : text;
    e->draft.meta = json_pack("{s:s, s:I}", "object_id", e->object, "sentence", (json_int_t)sentence);
    sa_status status = e->draft.meta != NULL ? item_reader_add(e->r, &e->draft, e->name, err)
                                             : item_no_memory(e->r->path, err);
    json_decref(e->draft.meta);
    return status;
}

/* The captions are a list of sentences or one of them. */
static sa_status add_sentences(entry *e, const json_t *row, sa_error *err)
{
    const json_t *caption = item_member(item_member(row, "gt_ann"), "caption");
    if (json_array_size(caption) == 0) {
        return add_sentence(e, caption, 0, err);
    }
    for (size_t i = 0; i < json_array_size(caption) && !item_reader_full(e->r); i++) {
        SA_TRY(add_sentence(e, json_array_get(caption, i), i, err));
    }
    return SA_OK;
}

static sa_status read_entry(entry *e, sa_json_part part, sa_error *err)
{
    json_t *row = NULL;
    sa_error why = {0};
    char place[32];
    snprintf(place, sizeof place, "d%zu", e->place);
    sa_status status = item_parse_object(part, e->name, &row, &why);
    if (status == SA_OK && is_skipped(e, row)) {
        e->r->items->skipped++;
        json_decref(row);
        return SA_OK;
    }
    if (status == SA_OK) {
        status = fill_entry(e, row, &why);
    }
    status = status == SA_OK
                 ? add_sentences(e, row, err)
                 : item_reader_settle(e->r, status, e->object[0] != '\0' ? e->object : place, &why, err);
    json_decref(row);
    return status;
}

/* "info" of the file says who wrote it. */
static bool is_ours(const char *text, size_t size)
{
    sa_json_walk walk = sa_json_walk_on(sa_json_trim(text, size));
    sa_json_part key, value;
    json_t *info = NULL;
    while (sa_json_walk_next(&walk, &key, &value)) {
        if (sa_json_part_is(key, "info")) {
            bool small = value.size <= MOST_INFO;
            bool ours = small && sa_json_parse("info", value.text, value.size, &info, NULL) == SA_OK &&
                        sa_trajectory_json_is_ours(info);
            json_decref(info);
            return ours;
        }
    }
    return false;
}

sa_status item_read_segagent(item_reader *r, const char *text, size_t size, sa_error *err)
{
    sa_json_part list, unused, part;
    SA_TRY(item_find_list(r->path, text, size, "data", &list, err));
    entry *e = malloc(sizeof *e); /* its names are too large for a stack */
    if (e == NULL) {
        return item_no_memory(r->path, err);
    }
    sa_json_walk walk = sa_json_walk_on(list);
    sa_status status = SA_OK;
    bool ours = is_ours(text, size);
    for (size_t i = 0; status == SA_OK && !item_reader_full(r) && sa_json_walk_next(&walk, &unused, &part);
         i++) {
        *e = (entry){.r = r, .place = i, .ours = ours};
        snprintf(e->name, sizeof e->name, "%.440s: data[%zu]", r->path, i);
        status = read_entry(e, part, err);
    }
    free(e);
    return status == SA_OK && walk.broken ? item_fail_broken(r->path, text, &walk, err) : status;
}
