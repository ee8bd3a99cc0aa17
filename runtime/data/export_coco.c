/* COCO instances. Annotations are written as they come; images and categories follow, once all are known. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/data/export_parts.h"
#include "runtime/text/buffer.h"

void sa_export_names_free(sa_export_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->names[i].name);
    }
    free(names->names);
    sa_text_table_free(&names->table);
    *names = (sa_export_names){0};
}

/* NULL: no memory, and nothing added. */
static sa_export_name *add_name(sa_export_names *names, const char *name)
{
    sa_export_name *grown = sa_grow(names->names, &names->room, names->count + 1, sizeof *grown);
    if (grown == NULL) {
        return NULL;
    }
    names->names = grown;
    char *copy = strdup(name);
    if (copy == NULL || !sa_text_table_put(&names->table, copy, strlen(copy), names->count)) {
        free(copy);
        return NULL;
    }
    names->names[names->count] = (sa_export_name){.name = copy};
    return &names->names[names->count++];
}

sa_status sa_export_number_of(sa_export_names *names, const char *name, size_t *number, sa_error *err)
{
    const sa_text_entry *entry = sa_text_table_find(&names->table, name, strlen(name));
    *number = (entry != NULL ? entry->number : names->count) + 1;
    if (entry == NULL && add_name(names, name) == NULL) {
        return sa_fail(err, SA_NO_ROOM, name, "free some memory", "no memory for its name");
    }
    return SA_OK;
}

/* A picture of two sizes is two pictures, and COCO has one name for them. */
static sa_status find_image(sa_export *e, const sa_result *result, const char *name, size_t *number,
                            sa_error *err)
{
    size_t known = e->images.count;
    SA_TRY(sa_export_number_of(&e->images, result->image, number, err));
    sa_export_name *image = &e->images.names[*number - 1];
    if (e->images.count > known) {
        image->height = result->height;
        image->width = result->width;
    }
    if (image->height != result->height || image->width != result->width) {
        return sa_fail(err, SA_BAD_INPUT, name, "export the runs of the two pictures apart",
                       "the picture \"%.200s\" is %zu x %zu here and was %zu x %zu before", result->image,
                       result->height, result->width, image->height, image->width);
    }
    return SA_OK;
}

sa_status sa_export_coco_add(sa_export *e, const sa_result *result, const char *name, sa_error *err)
{
    sa_json_writer *w = &e->json;
    size_t image, category;
    SA_TRY(find_image(e, result, name, &image, err));
    SA_TRY(sa_export_number_of(&e->categories, result->text, &category, err));
    sa_json_begin_object(w);
    sa_json_put_int(w, "id", e->count + 1);
    sa_json_put_int(w, "image_id", image);
    sa_json_put_int(w, "category_id", category);
    sa_json_key(w, "segmentation");
    SA_TRY(sa_rle_write_json(&result->mask, w, err));
    sa_json_put_int(w, "area", (size_t)sa_rle_area(&result->mask));
    sa_json_key(w, "bbox");
    sa_rle_write_bbox(&result->mask, w);
    sa_json_put_int(w, "iscrowd", 0);
    if (!isnan(result->score)) { /* of masks that nobody judged there is none */
        sa_json_put_f64(w, "score", result->score);
    }
    sa_json_put_string(w, "item", result->id);
    sa_json_end_object(w);
    return SA_OK;
}

void sa_export_coco_begin(sa_export *e)
{
    sa_json_writer *w = &e->json;
    sa_json_begin_object(w);
    sa_json_key(w, "info");
    sa_json_begin_object(w);
    sa_json_put_string(w, "description", "written by segagent " SEGAGENT_VERSION);
    sa_json_end_object(w);
    sa_json_key(w, "annotations");
    sa_json_begin_array(w);
}

void sa_export_coco_end(sa_export *e)
{
    sa_json_writer *w = &e->json;
    sa_json_end_array(w);
    sa_json_key(w, "images");
    sa_json_begin_array(w);
    for (size_t i = 0; i < e->images.count; i++) {
        sa_json_begin_object(w);
        sa_json_put_int(w, "id", i + 1);
        sa_json_put_string(w, "file_name", e->images.names[i].name);
        sa_json_put_int(w, "height", e->images.names[i].height);
        sa_json_put_int(w, "width", e->images.names[i].width);
        sa_json_end_object(w);
    }
    sa_json_end_array(w);
    sa_json_key(w, "categories");
    sa_json_begin_array(w);
    for (size_t i = 0; i < e->categories.count; i++) {
        sa_json_begin_object(w);
        sa_json_put_int(w, "id", i + 1);
        sa_json_put_string(w, "name", e->categories.names[i].name);
        sa_json_end_object(w);
    }
    sa_json_end_array(w);
    sa_json_end_object(w);
    sa_json_end_line(w);
}
