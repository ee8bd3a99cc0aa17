/*
 * What a run works on: pictures with a text each, and what is known of their masks.
 *
 *   file or folder -> [ sa_items_read: which format, told by its content ] -> items, and those set aside
 *                  -> the run (hlmat) -> results
 *
 * Formats: our manifest (JSONL; INTERFACES.md), SegAgent's dataset JSON (MODEL_SPECS 10.1), RefCOCO refs
 * (.p pickle or JSON) with COCO instances, COCO instances alone, a folder of pictures with a text file each.
 */
#ifndef SA_DATA_ITEM_H
#define SA_DATA_ITEM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/status.h"
#include "runtime/image/image.h"
#include "runtime/image/mask.h"

/* A mask as a file names it, not yet read: there may be a hundred thousand of them. */
typedef struct {
    json_t *json; /* RLE or polygons; owned. The sentences of one object share it */
    char *png;    /* or a picture's path, resolved; owned. Neither: no mask */
} sa_mask_source;

typedef struct {
    size_t row;           /* its place in the input, from 0; rows set aside are counted, too */
    char *id;             /* unique among the items */
    char *image;          /* as the file names it: what results repeat */
    char *path;           /* where that is */
    char *text;           /* what to segment */
    size_t height, width; /* as the file says; 0: it does not */
    sa_mask_source mask;  /* to start from */
    sa_mask_source gt;    /* the truth */
    json_t *meta;         /* copied through to the result; NULL: none */
} sa_item;

/* An input that is not worked on, and why. The texts are never NULL ("" where there is nothing to say). */
typedef struct {
    size_t row; /* as above */
    char *id, *file, *reason, *hint;
} sa_bad_item;

typedef struct {
    const char *format; /* "manifest", "segagent", "refcoco", "coco", "folder" */
    sa_item *items;     /* [count], in the order of the file */
    size_t count;
    sa_bad_item *bad; /* [bad_count]: rows that are none, missing pictures, ids that occur twice */
    size_t bad_count;
    size_t skipped; /* entries that are no rows by the rules of their format: SegAgent's PNG pictures */
} sa_items;

typedef struct {
    const char *images;    /* folder that names of pictures start from; NULL: the input's own */
    const char *instances; /* COCO instances that belong to RefCOCO refs; NULL: instances.json beside them */
    const char *split;     /* RefCOCO: only refs of this split; NULL: all */
    size_t limit;          /* of items, in order; 0: all */
    bool without_pictures; /* they are not looked for: an item's path is where its picture should be */
} sa_items_options;

/*
 * Reads an input: a file ("-" is standard input) or a folder.
 *
 *   manifest   one object a line: "id" (text or integer; missing: the line's number), "image", "text", and
 *              optional "mask", "gt" (RLE, polygons, or the path of a PNG), "height", "width", "meta"
 *   segagent   MODEL_SPECS 10.1 with the rules of its loader: an item for each sentence; names with ".png"
 *              are skipped, names without a point get ".jpg", numbers are COCO train2014 pictures (or
 *              SAIAPR's where the file is named for refclef); the caption "Unknown" is the name without its
 *              last 6 characters. Ids: OBJECT-SENTENCE, with "-dN" (its place in the file) where that is
 *              taken, by a row that was set aside, too, or there is no object_id. In a file that we wrote
 *              (trajectory_json.h) names, captions and ids are as they stand
 *   refcoco    an item for each sentence; ids REF-SENTENCE
 *   coco       an item for each annotation, its text the name of the category; ids those of annotations
 *   folder     a picture NAME.* with NAME.txt, optional NAME.mask.png (to start from), NAME.gt.png (truth)
 *
 * One bad row is set aside in `bad` and does not end the reading: no picture there, no text, an id that
 * occurred before, sizes that disagree or lack a side, a mask that is none. Pictures are not opened.
 * SA_BAD_INPUT when the file is none of the formats, is cut off (but for manifests), or holds no item at all
 * (`bad` says why); SA_BAD_USAGE for `split` or `instances` where there are none. sa_items_free in every
 * case.
 */
sa_status sa_items_read(sa_items *items, const char *path, const sa_items_options *options, sa_error *err);
void sa_items_free(sa_items *items);

/* False if there is no mask. */
bool sa_mask_source_given(const sa_mask_source *source);
/*
 * The mask of a picture of this size. `name` is what errors call the item. SA_BAD_INPUT: another size, not a
 * mask, a PNG that is not there.
 */
sa_status sa_mask_source_read(const sa_mask_source *source, size_t height, size_t width, const char *name,
                              const sa_image_limits *limits, sa_mask *mask, sa_error *err);

#endif
