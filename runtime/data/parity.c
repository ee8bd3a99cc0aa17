/* Built without fused multiply-adds (CMakeLists.txt): every float32 operation rounds, as in the reference. */
#include "runtime/data/parity.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/json_parts.h"
#include "runtime/base/path.h"
#include "runtime/data/csv.h"
#include "runtime/data/parity_choice.h"
#include "runtime/image/rle.h"

enum { LIVE_SAMPLES = 5000 };
static const char CORRECT[] = "give a results JSON of SegAgent's runner";

/* Sums of class 1, the object's. */
typedef struct {
    float intersection, unions, iou;
    size_t samples;
} sums;

typedef struct {
    const sa_parity_options *options;
    sa_parity *out;
    FILE *csv;
    char *image; /* img_path of the group at hand; NULL: none yet */
    sums group, total;
    uint64_t both, either;
    double iou;
} run;

/* ---- a sample ---- */

/* The mask under `key`; null is an empty one. */
static sa_status read_mask(const json_t *object, const char *key, const char *name, size_t height,
                           size_t width, sa_rle *mask, sa_error *err)
{
    const json_t *value = json_object_get(object, key);
    uint32_t area = (uint32_t)(height * width);
    if (value != NULL && !json_is_null(value)) {
        return sa_rle_from_json(mask, value, name, height, width, err);
    }
    return sa_rle_from_counts(mask, &area, 1, height, width, err);
}

/* counts: pixels of both, of either, of the mask, of the truth. */
static sa_status overlap_of(const json_t *sample, const json_t *entry, const char *name, uint64_t counts[4],
                            sa_error *err)
{
    int64_t height = 0, width = 0;
    sa_rle masks[2] = {{0}, {0}};
    SA_TRY(sa_json_get_int(sample, name, "height", true, 1, UINT16_MAX, &height, err));
    SA_TRY(sa_json_get_int(sample, name, "width", true, 1, UINT16_MAX, &width, err));
    sa_status status = read_mask(entry, "mask", name, (size_t)height, (size_t)width, &masks[0], err);
    if (status == SA_OK) {
        status = read_mask(sample, "gt_mask", name, (size_t)height, (size_t)width, &masks[1], err);
    }
    if (status == SA_OK) {
        status = sa_rle_overlap(&masks[0], &masks[1], &counts[0], &counts[1], err);
    }
    if (status == SA_OK) {
        counts[2] = sa_rle_area(&masks[0]);
        counts[3] = sa_rle_area(&masks[1]);
    }
    sa_rle_free(&masks[0]);
    sa_rle_free(&masks[1]);
    return status;
}

/* A field of the CSV: a float32 as Python prints it once it is a double. */
static void put_float(FILE *csv, float value)
{
    char text[32];
    sa_json_format_f64(text, sizeof text, (double)value);
    sa_csv_text(csv, text, 0);
}

/* image_name, mask_idx, iou, caption */
static void put_row(run *r, int64_t index, float iou, const char *caption)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)index);
    sa_csv_text(r->csv, sa_path_name(r->image), 1);
    sa_csv_text(r->csv, text, 0);
    put_float(r->csv, iou);
    sa_csv_text(r->csv, caption, 0);
    sa_csv_end(r->csv);
}

/* The order of the additions is the reference's; its CSV has the IoU without the 1 for a missing object. */
static void add_sample(run *r, const uint64_t counts[4], const char *caption)
{
    float intersection = (float)counts[0];
    float unions = (float)counts[2] + (float)counts[3] - intersection;
    float iou = intersection / (unions + 1e-5f);
    put_row(r, (int64_t)r->group.samples, iou, caption);
    r->group.intersection += intersection;
    r->group.unions += unions;
    r->group.iou += iou;
    r->group.iou += unions == 0.0f ? 1.0f : 0.0f; /* no object, and none found */
    r->group.samples++;
    r->both += counts[0];
    r->either += counts[1];
    r->iou += counts[1] == 0 ? 1.0 : (double)counts[0] / (double)counts[1];
}

/* The image's row, and its sums into the total. */
static void end_group(run *r)
{
    if (r->group.samples == 0) {
        return;
    }
    float mean = r->group.iou / (float)r->group.samples;
    put_row(r, -1, mean, "");
    r->total.intersection += r->group.intersection;
    r->total.unions += r->group.unions;
    r->total.iou += mean * (float)r->group.samples;
    r->total.samples += r->group.samples;
    r->out->images++;
    r->group = (sums){0};
}

/* Groups are consecutive: an image that comes back later is a group of its own. */
static sa_status begin_group(run *r, const char *image, const char *name, sa_error *err)
{
    if (r->image != NULL && strcmp(r->image, image) == 0) {
        return SA_OK;
    }
    if (r->image != NULL) {
        end_group(r);
    }
    free(r->image);
    r->image = strdup(image);
    return r->image != NULL ? SA_OK : sa_fail(err, SA_NO_ROOM, name, "free some memory", "no memory");
}

static sa_status score_sample(run *r, const json_t *sample, const char *name, sa_error *err)
{
    const char *image = NULL;
    const json_t *entry = NULL;
    uint64_t counts[4] = {0};
    SA_TRY(sa_json_get_string(sample, name, "img_path", true, &image, err));
    SA_TRY(begin_group(r, image, name, err));
    SA_TRY(sa_parity_choose(sample, r->options, name, &entry, err));
    if (entry == NULL && r->options->mode != SA_PARITY_LIVE) {
        return SA_OK;
    }
    const char *caption = json_string_value(json_array_get(json_object_get(sample, "caption"), 0));
    if (caption == NULL) {
        return sa_fail(err, SA_BAD_INPUT, name, CORRECT, "the key \"caption\" is no list of texts");
    }
    SA_TRY(overlap_of(sample, entry, name, counts, err));
    add_sample(r, counts, caption);
    return SA_OK;
}

/* ---- the file ---- */

static sa_status score_part(run *r, sa_json_part part, const char *name, sa_error *err)
{
    json_t *sample;
    SA_TRY(sa_json_parse(name, part.text, part.size, &sample, err));
    sa_status status = score_sample(r, sample, name, err);
    json_decref(sample);
    return status;
}

static sa_status score_all(run *r, const char *path, sa_json_part whole, sa_error *err)
{
    sa_json_part key, value;
    char name[600];
    if (whole.size == 0 || whole.text[0] != '[') {
        return sa_fail(err, SA_BAD_INPUT, path, CORRECT, "is no list of samples");
    }
    sa_json_walk walk = sa_json_walk_on(whole);
    for (size_t i = 0; sa_json_walk_next(&walk, &key, &value); i++) {
        if (r->options->mode == SA_PARITY_LIVE && i == LIVE_SAMPLES) {
            return SA_OK;
        }
        snprintf(name, sizeof name, "%.500s: sample %zu", path, i);
        SA_TRY(score_part(r, value, name, err));
    }
    if (walk.broken || walk.at + 1 < whole.size) {
        return sa_fail(err, SA_BAD_INPUT, path, CORRECT,
                       "the list of samples ends, or goes on, as no JSON does");
    }
    return SA_OK;
}

/* The count goes through float32, as it does in the reference, before its epsilon is added. */
static sa_status finish(run *r, const char *path, sa_error *err)
{
    end_group(r);
    sa_parity *out = r->out;
    if (r->total.samples == 0) {
        return sa_fail(err, SA_BAD_INPUT, path, CORRECT, "holds no sample with a mask");
    }
    float eps = r->options->mode == SA_PARITY_LIVE ? 1e-10f : 1e-5f;
    out->samples = r->total.samples;
    out->ciou = r->total.intersection / (r->total.unions + eps);
    out->giou = r->total.iou / (float)((double)(float)r->total.samples + 1e-5);
    out->ciou_exact = r->either > 0 ? (double)r->both / (double)r->either : 0.0;
    out->giou_exact = r->iou / (double)r->total.samples;
    return SA_OK;
}

sa_status sa_parity_measure(const char *name, const void *bytes, size_t size,
                            const sa_parity_options *options, FILE *csv, sa_parity *out, sa_error *err)
{
    run r = {.options = options, .out = out, .csv = csv};
    fputs("image_name,mask_idx,iou,caption", csv);
    sa_csv_end(csv);
    sa_status status = score_all(&r, name, sa_json_trim(bytes, size), err);
    if (status == SA_OK) {
        status = finish(&r, name, err);
    }
    free(r.image);
    return status;
}

/* ---- files ---- */

static sa_status measure_file(const char *path, const sa_parity_options *options, FILE *csv, sa_parity *out,
                              sa_error *err)
{
    sa_file_map map;
    SA_TRY(sa_file_map_open(&map, path, err));
    sa_status status = sa_parity_measure(path, map.bytes, map.size, options, csv, out, err);
    if (status == SA_OK) {
        status = sa_file_map_check(&map, err);
    }
    sa_file_map_close(&map);
    return status;
}

/* Python's format() of a float32 of numpy prints all digits of the double. */
static sa_status write_text(const sa_parity *out, const sa_parity_options *options, sa_error *err)
{
    char ciou[32], giou[32], text[128];
    sa_json_format_f64(ciou, sizeof ciou, (double)out->ciou);
    sa_json_format_f64(giou, sizeof giou, (double)out->giou);
    bool live = options->mode == SA_PARITY_LIVE;
    snprintf(text, sizeof text, live ? "class_iou: %s, global_iou: %s" : "class_iou: %s\nglobal_iou: %s\n",
             ciou, giou);
    return sa_file_write(out->txt, text, strlen(text), err);
}

sa_status sa_parity_run(const char *path, const sa_parity_options *options, sa_parity *out, sa_error *err)
{
    sa_file_writer writer;
    *out = (sa_parity){0};
    SA_TRY(sa_parity_name_files(path, options, out, err));
    SA_TRY(sa_file_writer_open(&writer, out->csv, err));
    sa_status status = measure_file(path, options, writer.stream, out, err);
    if (status != SA_OK) {
        sa_file_writer_abandon(&writer);
        return status;
    }
    SA_TRY(sa_file_writer_commit(&writer, err));
    return write_text(out, options, err);
}
