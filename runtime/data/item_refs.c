/*
 * RefCOCO's lists of references, as pickle or JSON, with COCO instances: an item for each sentence.
 *
 *   [{"ref_id", "ann_id", "image_id"?, "split"?, "sentences": [{"sent_id"?, "sent" or "raw"}]}]
 *
 * A pickle's reference is turned into JSON first, so that there is one reader for both.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/path.h"
#include "runtime/data/item_coco.h"
#include "runtime/data/item_pickle.h"

enum { NAME_ROOM = 512, SPLITS_ROOM = 256 };

typedef struct {
    item_reader *r;
    char path[ITEM_PATH_ROOM]; /* of the instances */
    sa_file_map map;
    coco_file coco;
    size_t references;        /* read so far, those of other splits too */
    char splits[SPLITS_ROOM]; /* ", val, testA": those seen, for the error when none is the one asked for */
} reader;

/* ---- the instances ---- */

static sa_status open_instances(reader *at, sa_error *err)
{
    const char *given = at->r->options->instances;
    if (given != NULL) {
        SA_TRY(sa_path_from(at->path, sizeof at->path, "", given, err));
    } else {
        SA_TRY(sa_path_from(at->path, sizeof at->path, at->r->directory, "instances.json", err));
        if (!sa_file_exists(at->path)) {
            return sa_fail(err, SA_BAD_INPUT, at->path, "name them with --instances",
                           "the COCO instances that belong to %.200s are not there", at->r->path);
        }
    }
    SA_TRY(sa_file_map_open(&at->map, at->path, err));
    const char *text = at->map.size > 0 ? (const char *)at->map.bytes : ""; /* an empty file has no map */
    return coco_open(&at->coco, at->path, text, at->map.size, true, err);
}

static sa_status close_instances(reader *at, sa_status status, sa_error *err)
{
    sa_status whole = sa_file_map_check(&at->map, status == SA_OK ? err : NULL);
    coco_close(&at->coco);
    sa_file_map_close(&at->map);
    return status != SA_OK ? status : whole;
}

/* ---- one reference ---- */

/* A few names are enough to see what the file holds. */
static void note_split(reader *at, const char *split)
{
    char part[64];
    snprintf(part, sizeof part, ", %.40s", split);
    size_t length = strlen(at->splits);
    if (strstr(at->splits, part) == NULL && length + strlen(part) < sizeof at->splits) {
        strcpy(at->splits + length, part);
    }
}

static bool is_wanted(reader *at, const json_t *ref)
{
    const char *wanted = at->r->options->split, *split = json_string_value(json_object_get(ref, "split"));
    if (wanted == NULL) {
        return true;
    }
    note_split(at, split != NULL ? split : "(none)");
    return split != NULL && strcmp(split, wanted) == 0;
}

/* Texts and integers only: anything else is none of RefCOCO's, and might be nested without end. */
static bool copy_meta(json_t *meta, const json_t *from, const char *key)
{
    json_t *value = item_member(from, key);
    bool plain = json_is_string(value) || json_is_integer(value);
    return !plain || json_object_set(meta, key, value) == 0;
}

static json_t *make_meta(const json_t *ref, const json_t *sentence)
{
    json_t *meta = json_object();
    if (meta == NULL || !copy_meta(meta, ref, "ref_id") || !copy_meta(meta, ref, "ann_id") ||
        !copy_meta(meta, ref, "image_id") || !copy_meta(meta, ref, "split") ||
        !copy_meta(meta, sentence, "sent_id")) {
        json_decref(meta);
        return NULL;
    }
    return meta;
}

static sa_status read_sentence(reader *at, const json_t *ref, const json_t *sentence, size_t place,
                               int64_t number, item_draft *draft, const char *name, sa_error *err)
{
    char id[80], room[32];
    const char *own = item_text_of(item_member(sentence, "sent_id"), room);
    const char *text = json_string_value(json_object_get(sentence, "sent"));
    if (own != NULL && strlen(own) <= 32) {
        snprintf(id, sizeof id, "%" PRId64 "-%.32s", number, own);
    } else {
        snprintf(id, sizeof id, "%" PRId64 "-#%zu", number, place);
    }
    draft->id = id;
    draft->text = text != NULL ? text : json_string_value(json_object_get(sentence, "raw"));
    draft->meta = make_meta(ref, sentence);
    sa_status status =
        draft->meta != NULL ? item_reader_add(at->r, draft, name, err) : item_no_memory(at->r->path, err);
    json_decref(draft->meta);
    return status;
}

static sa_status check_picture(const json_t *ref, const json_t *annotation, const char *name, sa_error *err)
{
    const json_t *of_ref = item_member(ref, "image_id");
    if (of_ref == NULL || json_equal(of_ref, json_object_get(annotation, "image_id"))) {
        return SA_OK;
    }
    return sa_fail(err, SA_BAD_INPUT, name, "see that the files belong together",
                   "its annotation belongs to another picture");
}

/* What the sentences of a reference share; *annotation holds the texts of the draft. */
static sa_status read_object(reader *at, const json_t *ref, const char *name, int64_t *number,
                             json_t **annotation, item_draft *draft, sa_error *err)
{
    int64_t id = 0;
    SA_TRY(sa_json_get_int(ref, name, "ref_id", true, INT64_MIN, INT64_MAX, number, err));
    SA_TRY(sa_json_get_int(ref, name, "ann_id", true, INT64_MIN, INT64_MAX, &id, err));
    SA_TRY(coco_annotation(&at->coco, id, name, annotation, err));
    SA_TRY(check_picture(ref, *annotation, name, err));
    SA_TRY(coco_fill_draft(&at->coco, *annotation, name, draft, err));
    return json_array_size(json_object_get(ref, "sentences")) > 0
               ? SA_OK
               : sa_fail(err, SA_BAD_INPUT, name, "give every row a picture and a text",
                         "it has no sentences");
}

static sa_status read_reference(reader *at, const json_t *ref, const char *name, sa_error *err)
{
    json_t *annotation = NULL;
    item_draft draft = {0};
    sa_error why = {0};
    int64_t number = 0;
    char room[32];
    if (!is_wanted(at, ref)) {
        return SA_OK;
    }
    const json_t *sentences = json_object_get(ref, "sentences");
    sa_status status = read_object(at, ref, name, &number, &annotation, &draft, &why);
    if (status != SA_OK) {
        status = item_reader_settle(at->r, status, item_text_of(item_member(ref, "ref_id"), room), &why, err);
    } else {
        for (size_t i = 0; status == SA_OK && i < json_array_size(sentences) && !item_reader_full(at->r);
             i++) {
            status = read_sentence(at, ref, json_array_get(sentences, i), i, number, &draft, name, err);
        }
    }
    json_decref(annotation);
    return status;
}

/* `status` and `why`: what became of building the reference; its number in the list is its name. */
static sa_status take_reference(reader *at, sa_status status, const json_t *ref, const char *name,
                                const sa_error *why, sa_error *err)
{
    at->references++;
    return status == SA_OK ? read_reference(at, ref, name, err)
                           : item_reader_settle(at->r, status, NULL, why, err);
}

static void name_reference(const reader *at, char name[NAME_ROOM])
{
    snprintf(name, NAME_ROOM, "%.440s: [%zu]", at->r->path, at->references);
}

/* ---- the lists ---- */

static sa_status read_json_list(reader *at, const char *text, size_t size, sa_error *err)
{
    sa_json_walk walk = sa_json_walk_on(sa_json_trim(text, size));
    sa_json_part unused, part;
    while (!item_reader_full(at->r) && sa_json_walk_next(&walk, &unused, &part)) {
        char name[NAME_ROOM];
        json_t *ref = NULL;
        sa_error why = {0};
        name_reference(at, name);
        sa_status status = item_parse_object(part, name, &ref, &why);
        status = take_reference(at, status, ref, name, &why, err);
        json_decref(ref);
        SA_TRY(status);
    }
    return item_reader_full(at->r) || sa_json_walk_is_whole(&walk)
               ? SA_OK
               : item_fail_broken(at->r->path, text, &walk, err);
}

static sa_status read_pickle_list(reader *at, const sa_pickle *pickle, sa_error *err)
{
    const sa_pickle_value *root = &pickle->values[pickle->root];
    if (root->kind != SA_PICKLE_LIST && root->kind != SA_PICKLE_TUPLE) {
        return sa_fail(err, SA_BAD_INPUT, at->r->path, "see that it is the right file",
                       "its pickle holds no list of references");
    }
    for (size_t i = 0; i < root->count && !item_reader_full(at->r); i++) {
        char name[NAME_ROOM];
        json_t *ref = NULL;
        sa_error why = {0};
        name_reference(at, name);
        sa_status status = item_json_from_pickle(pickle, sa_pickle_item(pickle, root, i), name, &ref, &why);
        status = take_reference(at, status, ref, name, &why, err);
        json_decref(ref);
        SA_TRY(status);
    }
    return SA_OK;
}

/* No row of the split asked for: which there are. */
static sa_status check_split(const reader *at, sa_error *err)
{
    if (at->r->rows > 0 || at->splits[0] == '\0') {
        return SA_OK;
    }
    return sa_fail(err, SA_BAD_USAGE, "--split", "choose one of those", "%.200s has no split %.40s but %s",
                   at->r->path, at->r->options->split, at->splits + 2);
}

typedef struct {
    const char *text;
    size_t size;
    const sa_pickle *pickle; /* NULL: JSON */
} source;

static sa_status read_list(item_reader *r, const source *from, sa_error *err)
{
    reader *at = calloc(1, sizeof *at);
    if (at == NULL) {
        return item_no_memory(r->path, err);
    }
    at->r = r;
    sa_status status = open_instances(at, err);
    if (status == SA_OK) {
        status = from->pickle != NULL ? read_pickle_list(at, from->pickle, err)
                                      : read_json_list(at, from->text, from->size, err);
    }
    if (status == SA_OK) {
        status = check_split(at, err);
    }
    status = close_instances(at, status, err);
    free(at);
    return status;
}

sa_status item_read_refs_json(item_reader *r, const char *text, size_t size, sa_error *err)
{
    return read_list(r, &(source){text, size, NULL}, err);
}

sa_status item_read_refs_pickle(item_reader *r, const char *text, size_t size, sa_error *err)
{
    /* RefCOCO+ with its 140,000 sentences makes some 2 million values. */
    static const sa_pickle_dialect dialect = {.old = true,
                                              .most = 1 << 23,
                                              .damage =
                                                  "the file is damaged, or no pickle: download it again",
                                              .hint = "load it with Python and json.dump() it to a file"};
    sa_pickle pickle;
    sa_status status = sa_pickle_run(&pickle, r->path, (const unsigned char *)text, size, &dialect, err);
    if (status == SA_OK) {
        status = read_list(r, &(source){.pickle = &pickle}, err);
    }
    sa_pickle_free(&pickle);
    return status;
}
