/* A format is begun, gets its items one by one, and is ended; none of them holds masks of earlier items. */
#include "runtime/data/export.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/data/export_parts.h"
#include "runtime/image/image.h"

enum { NAME_MOST = 200, HASH_ROOM = 18 };

/* ---- names of files ---- */

void sa_export_file_name(char *out, size_t size, const char *id)
{
    size_t used = 0;
    SA_ASSERT(size >= 256);
    for (const char *c = id; *c != '\0'; c++) {
        bool plain = isalnum((unsigned char)*c) || *c == '-' || *c == '_' || (*c == '.' && c > id);
        if (used + 3 > NAME_MOST) {
            snprintf(out + used, HASH_ROOM, "~%016" PRIx64, sa_hash_bytes(id, strlen(id)));
            return;
        }
        used += (size_t)sprintf(out + used, plain ? "%c" : "%%%02X", (unsigned char)*c);
    }
    snprintf(out + used, 2, "%s", used == 0 ? "%" : ""); /* no id, no name: a lone "%" is no other id's */
}

/* ---- PNG ---- */

/* A second picture of the same id would take the place of the first one. */
static sa_status check_id(sa_export *e, const char *id, const char *name, sa_error *err)
{
    size_t known = e->ids.count, number;
    SA_TRY(sa_export_number_of(&e->ids, id, &number, err));
    return number > known ? SA_OK
                          : sa_fail(err, SA_BAD_INPUT, name, "remove one of the two rows",
                                    "the id \"%.200s\" has been there before", id);
}

static sa_status write_png(sa_export *e, const sa_result *result, const char *row, sa_error *err)
{
    char path[4096], file[512], name[256];
    sa_mask mask;
    SA_TRY(check_id(e, result->id, row, err));
    sa_export_file_name(name, sizeof name, result->id);
    snprintf(file, sizeof file, "%s.png", name);
    SA_TRY(sa_file_join(path, sizeof path, e->path, file, err));
    SA_TRY(sa_rle_decode(&result->mask, &mask, err));
    uint8_t *bytes = malloc(result->height * result->width);
    sa_status status = SA_OK;
    if (bytes == NULL) {
        status = sa_fail(err, SA_NO_ROOM, path, "free some memory", "no memory for the mask");
    } else {
        sa_mask_to_bytes(&mask, bytes, 255);
        status = sa_image_write_png_grey(path, bytes, result->height, result->width, err);
    }
    free(bytes);
    sa_mask_free(&mask);
    return status;
}

/* ---- the life of an export ---- */

sa_status sa_export_open(sa_export *e, sa_export_format format, const char *path, sa_error *err)
{
    *e = (sa_export){.format = format, .path = path};
    if (format == SA_EXPORT_PNG) {
        return sa_file_make_directory(path, err);
    }
    SA_TRY(sa_file_writer_open(&e->writer, path, err));
    if (format == SA_EXPORT_COCO) {
        e->json = sa_json_writer_on(e->writer.stream);
        sa_export_coco_begin(e);
    } else {
        e->json = sa_json_writer_python(e->writer.stream);
        sa_json_begin_array(&e->json);
    }
    return SA_OK;
}

static sa_status add(sa_export *e, const sa_result *result, const sa_rle *truth, const char *name,
                     sa_error *err)
{
    switch (e->format) {
    case SA_EXPORT_COCO: return sa_export_coco_add(e, result, name, err);
    case SA_EXPORT_PNG: return write_png(e, result, name, err);
    case SA_EXPORT_SEGAGENT: return sa_export_segagent_add(e, result, truth, err);
    }
    return SA_OK;
}

sa_status sa_export_add(sa_export *e, const sa_result *result, const sa_rle *truth, const char *name,
                        sa_error *err)
{
    SA_TRY(add(e, result, truth, name, err));
    e->count++;
    return SA_OK;
}

sa_status sa_export_finish(sa_export *e, sa_error *err)
{
    if (e->format == SA_EXPORT_PNG) {
        return SA_OK;
    }
    if (e->format == SA_EXPORT_COCO) {
        sa_export_coco_end(e);
    } else {
        sa_json_end_array(&e->json); /* json.dump ends no line */
    }
    return sa_file_writer_commit(&e->writer, err);
}

void sa_export_abandon(sa_export *e)
{
    if (e->writer.stream != NULL) {
        sa_file_writer_abandon(&e->writer);
    }
    sa_export_names_free(&e->images);
    sa_export_names_free(&e->categories);
    sa_export_names_free(&e->ids);
}
