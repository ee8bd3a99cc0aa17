/*
 * Results in the formats of others.
 *
 *   sa_result, one after another -> [ sa_export_add ] -> COCO instances | PNG masks | SegAgent's results JSON
 */
#ifndef SA_DATA_EXPORT_H
#define SA_DATA_EXPORT_H

#include "runtime/base/file.h"
#include "runtime/base/text_table.h"
#include "runtime/data/result.h"

typedef enum {
    /*
     * {"info", "annotations", "images", "categories"}: an annotation an item, with RLE, area and bbox as
     * pycocotools has them, score and "item", the id; an image for each name, a category for each text.
     */
    SA_EXPORT_COCO,
    /* PATH/ID.png for each item, 0 and 255. An id that comes again is refused. */
    SA_EXPORT_PNG,
    /* MODEL_SPECS 10.2, in the bytes of Python's json.dump. */
    SA_EXPORT_SEGAGENT,
} sa_export_format;

/* A name that a COCO file gives a number: of a picture, or a category. */
typedef struct {
    char *name;
    size_t height, width;
} sa_export_name;

typedef struct {
    sa_text_table table;
    sa_export_name *names; /* [count], number = place + 1 */
    size_t count, room;
} sa_export_names;

typedef struct {
    sa_export_format format;
    const char *path;
    sa_file_writer writer;
    sa_json_writer json;
    size_t count;                       /* of items */
    sa_export_names images, categories; /* COCO */
    sa_export_names ids;                /* PNG */
} sa_export;

/* `path`: a file, or for PNG a directory, made if need be; it stays the caller's. */
sa_status sa_export_open(sa_export *e, sa_export_format format, const char *path, sa_error *err);

/*
 * Adds a result that succeeded. `truth` may be NULL: SegAgent's gt_mask is null then. `name` is what errors
 * call the row. SA_BAD_INPUT, and nothing written: a picture has two sizes, an id has a file already.
 */
sa_status sa_export_add(sa_export *e, const sa_result *result, const sa_rle *truth, const char *name,
                        sa_error *err);

/* Writes what is left and puts the file into place; sa_export_abandon in every other case, and after this. */
sa_status sa_export_finish(sa_export *e, sa_error *err);
void sa_export_abandon(sa_export *e);

/*
 * An id as the name of a file: letters, digits, "-", "_" and "." stay (not a "." at the start), every other
 * byte becomes "%XX", so that different ids have different names; what gets too long ends in "~" and a hash.
 * `size` is at least 256.
 */
void sa_export_file_name(char *out, size_t size, const char *id);

#endif
