/*
 * Inside of sa_items_read: what the readers of the formats share.
 *
 *   one reader per format -> a draft of an item -> [ item_reader_add ] -> items, or set aside with a reason
 *
 * A reader goes through its file in order and calls item_reader_add or item_reader_set_aside once for each
 * row. Both fail only for lack of memory; reading stops then, or when item_reader_full says so.
 */
#ifndef SA_DATA_ITEM_READER_H
#define SA_DATA_ITEM_READER_H

#include "runtime/base/json.h"
#include "runtime/base/json_parts.h"
#include "runtime/base/text_table.h"
#include "runtime/data/item.h"

enum {
    ITEM_PATH_ROOM = 4096,
    ITEM_MOST_TEXT = 1 << 16, /* bytes of a text, an id or a picture's name */
    ITEM_MOST_SIDE = 1 << 24,
};

typedef struct {
    sa_items *items;
    const char *path; /* of the input, for errors */
    const sa_items_options *options;
    char images[ITEM_PATH_ROOM];    /* names of pictures start from here */
    char directory[ITEM_PATH_ROOM]; /* of the input */
    size_t capacity, bad_capacity, rows;
    sa_text_table ids;         /* to places among the items */
    sa_text_table aside;       /* ids of rows that were set aside, to those rows */
    char last[ITEM_PATH_ROOM]; /* the picture looked for last: rows come in groups */
    bool last_there;
} item_reader;

/* What a row says, not owned. NULL and 0 for what it does not say. */
typedef struct {
    const char *id, *image, *text;
    const char *other_name; /* of the picture, where it is not found by the first */
    size_t height, width;
    json_t *mask, *gt; /* RLE, polygons, or the path of a PNG as the input's directory sees it */
    json_t *meta;
} item_draft;

/* `name` is what errors call the row: "manifest.jsonl:12". */
sa_status item_reader_add(item_reader *r, const item_draft *draft, const char *name, sa_error *err);
/* `id` may be NULL. */
sa_status item_reader_set_aside(item_reader *r, const char *id, const sa_error *why, sa_error *err);
/*
 * After reading a row: what is wrong with the row sets it aside, what is wrong with more than it is returned.
 */
sa_status item_reader_settle(item_reader *r, sa_status status, const char *id, const sa_error *why,
                             sa_error *err);
/* options.limit is reached: the rest of the input is not looked at. */
bool item_reader_full(const item_reader *r);
/* True if a row of this id was there already, set aside or not. */
bool item_reader_knows(const item_reader *r, const char *id);

void item_free(sa_item *item);
sa_status item_no_memory(const char *path, sa_error *err);
/* The text, or a number as text into `room`; NULL if it is something else. Absent counts as something else.
 */
const char *item_text_of(const json_t *value, char room[32]);
/* The member, or NULL if it is absent or null. */
json_t *item_member(const json_t *object, const char *key);
/* "height" and "width", which may be missing, but only both of them. */
sa_status item_read_size(const json_t *object, const char *name, size_t *height, size_t *width,
                         sa_error *err);
/* A value of the file: sa_json_parse, and SA_BAD_INPUT unless it is an object. */
sa_status item_parse_object(sa_json_part part, const char *name, json_t **object, sa_error *err);

/* The formats. `text` is the whole of the file. */
sa_status item_read_manifest(item_reader *r, const char *text, size_t size, sa_error *err);
sa_status item_read_segagent(item_reader *r, const char *text, size_t size, sa_error *err);
sa_status item_read_coco(item_reader *r, const char *text, size_t size, sa_error *err);
sa_status item_read_refs_json(item_reader *r, const char *text, size_t size, sa_error *err);
sa_status item_read_refs_pickle(item_reader *r, const char *text, size_t size, sa_error *err);
sa_status item_read_folder(item_reader *r, sa_error *err);

/* The list that is member `key` of the outermost object; SA_BAD_INPUT if there is none. */
sa_status item_find_list(const char *path, const char *text, size_t size, const char *key, sa_json_part *list,
                         sa_error *err);
/* What is said of a list that ends, or goes on, as JSON does not. */
sa_status item_fail_broken(const char *path, const char *text, const sa_json_walk *walk, sa_error *err);

#endif
