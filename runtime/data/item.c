#include "runtime/data/item.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/file.h"
#include "runtime/base/lines.h"
#include "runtime/base/path.h"
#include "runtime/data/item_reader.h"
#include "runtime/image/mask_read.h"

static const size_t MOST_PIPE = (size_t)4 << 30; /* bytes of an input that cannot be mapped */

/* ---- items ---- */

void item_free(sa_item *item)
{
    free(item->id);
    free(item->image);
    free(item->path);
    free(item->text);
    json_decref(item->mask.json);
    free(item->mask.png);
    json_decref(item->gt.json);
    free(item->gt.png);
    json_decref(item->meta);
    *item = (sa_item){0};
}

static void free_bad(sa_bad_item *bad)
{
    free(bad->id);
    free(bad->file);
    free(bad->reason);
    free(bad->hint);
}

void sa_items_free(sa_items *items)
{
    for (size_t i = 0; i < items->count; i++) {
        item_free(&items->items[i]);
    }
    for (size_t i = 0; i < items->bad_count; i++) {
        free_bad(&items->bad[i]);
    }
    free(items->items);
    free(items->bad);
    *items = (sa_items){0};
}

/* ---- masks ---- */

bool sa_mask_source_given(const sa_mask_source *source)
{
    return source->json != NULL || source->png != NULL;
}

sa_status sa_mask_source_read(const sa_mask_source *source, size_t height, size_t width, const char *name,
                              const sa_image_limits *limits, sa_mask *mask, sa_error *err)
{
    SA_ASSERT(sa_mask_source_given(source));
    SA_TRY(sa_mask_new(mask, height, width, err));
    sa_status status = source->png != NULL ? sa_mask_read(mask, source->png, limits, err)
                                           : sa_mask_from_json(mask, source->json, name, err);
    if (status != SA_OK) {
        sa_mask_free(mask);
    }
    return status;
}

/* ---- which format ---- */

/* Of the keys of an object, the first that belongs to one format alone. */
typedef struct {
    const char *key, *format;
    char opens; /* with what its value begins */
} format_key;

static const format_key format_keys[] = {
    {"data", "segagent", '['},   {"images", "coco", '['},    {"annotations", "coco", '['},
    {"categories", "coco", '['}, {"image", "manifest", '"'}, {"text", "manifest", '"'},
};

static const char *format_of_member(sa_json_part key, sa_json_part value)
{
    for (size_t i = 0; i < sizeof format_keys / sizeof *format_keys; i++) {
        const format_key *known = &format_keys[i];
        if (sa_json_part_is(key, known->key) && value.size > 0 && value.text[0] == known->opens) {
            return known->format;
        }
    }
    return NULL;
}

/* A file that is cut off is still of a format, and an error then says more. */
static const char *format_of_object(const char *text, size_t size)
{
    sa_json_walk walk = sa_json_walk_on(sa_json_trim(text, size));
    sa_json_part key, value;
    const char *found = NULL;
    while (found == NULL && sa_json_walk_next(&walk, &key, &value)) {
        found = format_of_member(key, value);
    }
    return found != NULL ? found : format_of_member(key, value);
}

/* A pickle of protocol 2 begins with 0x80, of 0 and 1 with a list: no JSON does either. */
static bool looks_like_pickle(sa_json_part text)
{
    return text.size > 2 && ((unsigned char)text.text[0] == 0x80 || text.text[0] == ']' ||
                             (text.text[0] == '(' && (text.text[1] == 'l' || text.text[1] == 'd')));
}

/* A list of objects; a line of a broken manifest may begin with '[', too, but hardly with "[{". */
static bool looks_like_list(sa_json_part text)
{
    return text.size > 1 && text.text[0] == '[' && sa_json_trim(text.text + 1, text.size - 1).text[0] == '{';
}

/* One of the first lines is an object: those before it may be broken. */
static bool looks_like_lines(sa_json_part text)
{
    enum { LINES_LOOKED_AT = 64 };
    sa_lines lines = {.text = text.text, .size = text.size};
    const char *line;
    size_t length;
    while (lines.number < LINES_LOOKED_AT && sa_lines_next(&lines, &line, &length)) {
        if (line[0] == '{') {
            return true;
        }
    }
    return false;
}

static const char *format_of(const char *bytes, size_t size)
{
    sa_json_part text = sa_json_trim(bytes, size);
    if (text.size == 0) {
        return NULL;
    }
    if (looks_like_pickle(text)) {
        return "pickle";
    }
    if (looks_like_list(text)) {
        return "list";
    }
    const char *found = text.text[0] == '{' ? format_of_object(text.text, text.size) : NULL;
    return found != NULL ? found : looks_like_lines(text) ? "manifest" : NULL;
}

static bool is(const char *format, const char *name)
{
    return format != NULL && strcmp(format, name) == 0;
}

/* options.split and options.instances mean something to lists of references only. */
static sa_status check_options(const item_reader *r, bool refs, sa_error *err)
{
    const char *option = r->options->split != NULL       ? "--split"
                         : r->options->instances != NULL ? "--instances"
                                                         : NULL;
    if (refs || option == NULL) {
        return SA_OK;
    }
    return sa_fail(err, SA_BAD_USAGE, option, "leave it away", "%s is no list of RefCOCO references",
                   r->path);
}

static sa_status read_bytes(item_reader *r, const char *bytes, size_t size, sa_error *err)
{
    const char *format = format_of(bytes, size);
    bool refs = is(format, "pickle") || is(format, "list");
    SA_TRY(check_options(r, refs, err));
    r->items->format = refs ? "refcoco" : format;
    if (is(format, "pickle")) {
        return item_read_refs_pickle(r, bytes, size, err);
    }
    if (is(format, "list")) {
        return item_read_refs_json(r, bytes, size, err);
    }
    if (is(format, "manifest")) {
        return item_read_manifest(r, bytes, size, err);
    }
    if (is(format, "segagent")) {
        return item_read_segagent(r, bytes, size, err);
    }
    if (is(format, "coco")) {
        return item_read_coco(r, bytes, size, err);
    }
    return sa_fail(err, SA_BAD_INPUT, r->path,
                   "give a manifest (one object {\"image\", \"text\"} a line), SegAgent's JSON, COCO "
                   "instances, RefCOCO refs or a folder",
                   size == 0 ? "is empty" : "is none of the formats that are read");
}

/* Mapped where it can be, so that a large file need not fit in memory. */
static sa_status read_file(item_reader *r, sa_error *err)
{
    struct stat info;
    if (strcmp(r->path, "-") == 0 || (stat(r->path, &info) == 0 && S_ISFIFO(info.st_mode))) {
        unsigned char *bytes = NULL;
        size_t size = 0;
        SA_TRY(sa_file_read(r->path, MOST_PIPE, &bytes, &size, err));
        r->path = strcmp(r->path, "-") == 0 ? "standard input" : r->path;
        sa_status status = read_bytes(r, (const char *)bytes, size, err);
        free(bytes);
        return status;
    }
    sa_file_map map;
    SA_TRY(sa_file_map_open(&map, r->path, err));
    sa_status status = read_bytes(r, map.size > 0 ? (const char *)map.bytes : "", map.size, err);
    sa_status whole = sa_file_map_check(&map, status == SA_OK ? err : NULL);
    sa_file_map_close(&map);
    return status != SA_OK ? status : whole;
}

/* Where names of pictures start from. */
static sa_status find_images(item_reader *r, bool folder, sa_error *err)
{
    const char *images = r->options->images;
    if (strlen(r->path) >= sizeof r->directory) {
        return sa_fail(err, SA_BAD_INPUT, r->path, "use a shorter path", "the path is too long");
    }
    if (folder && images != NULL) {
        return sa_fail(err, SA_BAD_USAGE, "--images", "leave it away", "a folder brings its own pictures");
    }
    if (folder) {
        strcpy(r->directory, r->path);
    } else {
        sa_directory_of(r->directory, sizeof r->directory, r->path);
    }
    if (images == NULL) {
        strcpy(r->images, r->directory);
        return SA_OK;
    }
    SA_TRY(sa_path_from(r->images, sizeof r->images, "", images, err));
    if (!sa_file_is_directory(r->images)) {
        return sa_fail(err, SA_BAD_INPUT, r->images, "name the folder that the pictures' names start from",
                       "is no folder");
    }
    return SA_OK;
}

static sa_status read_input(item_reader *r, sa_error *err)
{
    bool folder = sa_file_is_directory(r->path);
    SA_TRY(find_images(r, folder, err));
    if (folder) {
        SA_TRY(check_options(r, false, err));
        r->items->format = "folder";
        SA_TRY(item_read_folder(r, err));
    } else {
        SA_TRY(read_file(r, err));
    }
    if (r->rows == 0 && r->items->skipped > 0) {
        return sa_fail(err, SA_BAD_INPUT, r->path, "list them in a manifest",
                       "all of its %zu entries are pictures named \".png\", which SegAgent's loader skips",
                       r->items->skipped);
    }
    if (r->rows == 0) {
        return sa_fail(err, SA_BAD_INPUT, r->path, "see that it is the right file", "it holds no rows");
    }
    if (r->items->count == 0) {
        const sa_bad_item *first = &r->items->bad[0];
        return sa_fail(err, SA_BAD_INPUT, r->path, first->hint,
                       "none of its %zu rows can be worked on; the first: %.300s: %.400s", r->rows,
                       first->file, first->reason);
    }
    return SA_OK;
}

sa_status sa_items_read(sa_items *items, const char *path, const sa_items_options *options, sa_error *err)
{
    *items = (sa_items){0};
    item_reader *r = calloc(1, sizeof *r); /* its paths are too large for a stack */
    if (r == NULL) {
        return item_no_memory(path, err);
    }
    r->items = items;
    r->path = path;
    r->options = options;
    sa_status status = read_input(r, err);
    sa_text_table_free(&r->ids);
    sa_text_table_free(&r->aside);
    free(r);
    return status;
}
