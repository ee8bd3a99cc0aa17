/*
 * Arbitrary bytes as a mask in a file. The first byte says which form:
 *   0   height, width (a byte each), then the compressed string
 *   1   height, width, then a list of 32-bit runs
 *   2   height, width, then corners of a polygon, as 64-bit floats
 *   3   height, width, then JSON
 * What is accepted must keep the invariant of rle.h and come back from a mask, and from its string, as it
 * was.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/image/rle.h"

enum { FORMS = 4, HEAD = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_invariant(const sa_rle *rle)
{
    uint64_t sum = 0;
    SA_ASSERT(rle->count >= 1);
    for (size_t i = 0; i < rle->count; i++) {
        SA_ASSERT(i == 0 || rle->counts[i] != 0);
        sum += rle->counts[i];
    }
    SA_ASSERT(sum == (uint64_t)rle->height * rle->width);
}

static void check_string(const sa_rle *rle)
{
    char *text;
    size_t length;
    sa_rle back;
    SA_ASSERT(sa_rle_to_string(rle, &text, &length, NULL) == SA_OK);
    SA_ASSERT(sa_rle_from_string(&back, text, length, rle->height, rle->width, NULL) == SA_OK);
    SA_ASSERT(sa_rle_equal(rle, &back));
    sa_rle_free(&back);
    free(text);
}

static void check_mask(const sa_rle *rle)
{
    sa_mask mask;
    sa_rle back;
    SA_ASSERT(sa_rle_decode(rle, &mask, NULL) == SA_OK);
    SA_ASSERT(sa_mask_area(&mask) == sa_rle_area(rle));
    SA_ASSERT(sa_rle_encode(&back, &mask, NULL) == SA_OK);
    SA_ASSERT(sa_rle_equal(rle, &back));
    sa_rle_free(&back);
    sa_mask_free(&mask);
}

static void check_operations(const sa_rle *rle)
{
    sa_rle parts[2] = {*rle, *rle}, merged;
    double box[4], iou;
    for (int intersect = 0; intersect < 2; intersect++) {
        SA_ASSERT(sa_rle_merge(&merged, parts, 2, intersect, NULL) == SA_OK);
        SA_ASSERT(sa_rle_equal(&merged, rle));
        sa_rle_free(&merged);
    }
    SA_ASSERT(sa_rle_iou(rle, rle, false, &iou, NULL) == SA_OK);
    SA_ASSERT(iou == (sa_rle_area(rle) == 0 ? 0.0 : 1.0));
    sa_rle_bbox(rle, box);
    SA_ASSERT(box[0] + box[2] <= (double)rle->width && box[1] + box[3] <= (double)rle->height);
    SA_ASSERT(box[2] * box[3] >= (double)sa_rle_area(rle));
}

static sa_status read_list(sa_rle *rle, const uint8_t *data, size_t size, size_t height, size_t width,
                           sa_error *err)
{
    uint32_t *counts = malloc(size + 1);
    memcpy(counts, data, size);
    sa_status status = sa_rle_from_counts(rle, counts, size / sizeof *counts, height, width, err);
    free(counts);
    return status;
}

static sa_status read_polygon(sa_rle *rle, const uint8_t *data, size_t size, size_t height, size_t width,
                              sa_error *err)
{
    double *xy = malloc(size + 1);
    memcpy(xy, data, size);
    sa_status status = sa_rle_from_polygon(rle, xy, size / (2 * sizeof *xy), height, width, err);
    free(xy);
    return status;
}

static sa_status read_json(sa_rle *rle, const uint8_t *data, size_t size, size_t height, size_t width,
                           sa_error *err)
{
    json_t *value;
    *rle = (sa_rle){0};
    SA_TRY(sa_json_parse("fuzz", data, size, &value, err));
    sa_status status = sa_rle_from_json(rle, value, "fuzz", height, width, err);
    json_decref(value);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD) {
        return 0;
    }
    size_t height = data[1], width = data[2], rest = size - HEAD;
    const uint8_t *body = data + HEAD;
    sa_rle rle;
    sa_error err = {0};
    sa_status status;
    switch (data[0] % FORMS) {
    case 0: status = sa_rle_from_string(&rle, (const char *)body, rest, height, width, &err); break;
    case 1: status = read_list(&rle, body, rest, height, width, &err); break;
    case 2: status = read_polygon(&rle, body, rest, height, width, &err); break;
    default: status = read_json(&rle, body, rest, height, width, &err); break;
    }
    if (status != SA_OK) {
        SA_ASSERT(rle.counts == NULL && err.reason[0] != '\0');
        return 0;
    }
    check_invariant(&rle);
    check_string(&rle);
    check_operations(&rle);
    if ((uint64_t)rle.height * rle.width <= 1u << 22 &&
        rle.height < 1u << 16) { /* JSON brings sizes of its own */
        check_mask(&rle);
    }
    sa_rle_free(&rle);
    return 0;
}
