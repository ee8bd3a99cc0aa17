/*
 * COCO instances, looked up by number. The file is not built as a whole: an index says where each picture
 * and each annotation stands, and one is read when it is asked for.
 */
#ifndef SA_DATA_ITEM_COCO_H
#define SA_DATA_ITEM_COCO_H

#include <stdint.h>

#include "runtime/data/item_reader.h"

/* Where one thing of a number stands. */
typedef struct {
    int64_t id;
    sa_json_part part;
} coco_entry;

typedef struct {
    coco_entry *entries; /* [count], by id */
    size_t count, capacity;
} coco_index;

typedef struct {
    const char *path;
    coco_index images;
    coco_index annotations; /* empty unless asked for */
    json_t *image;          /* read last */
    int64_t image_id;
} coco_file;

/* `text` must outlive *file. coco_close in every case. */
sa_status coco_open(coco_file *file, const char *path, const char *text, size_t size, bool annotations,
                    sa_error *err);
void coco_close(coco_file *file);

/* The picture's entry; stays until the next call. `name`: of the row that asks for it. */
sa_status coco_image(coco_file *file, int64_t id, const char *name, const json_t **image, sa_error *err);
/* The caller calls json_decref. */
sa_status coco_annotation(const coco_file *file, int64_t id, const char *name, json_t **annotation,
                          sa_error *err);
/* A picture's name and size, and the mask of one of its annotations, into the draft. */
sa_status coco_fill_draft(coco_file *file, const json_t *annotation, const char *name, item_draft *draft,
                          sa_error *err);

#endif
