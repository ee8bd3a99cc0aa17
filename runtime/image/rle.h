/*
 * COCO run-length encoding: how masks stand in files (MODEL_SPECS 1.10; equal to pycocotools byte for byte).
 *
 *   sa_mask <-> sa_rle <-> {"size": [height, width], "counts": "..."}      polygons, boxes -> sa_rle
 *
 * Runs go down the columns, the leftmost column first, and alternate between zeros and ones, zeros first.
 *
 * Invariant of every sa_rle that a function here returns: the counts sum to height * width <= 2^32-1, and
 * only counts[0] may be 0. So there is one sa_rle for each mask, and equal masks have equal counts and
 * strings. Lists from files may hold empty runs in the middle or at the end; reading joins the runs around
 * them.
 */
#ifndef SA_IMAGE_RLE_H
#define SA_IMAGE_RLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/json.h"
#include "runtime/base/status.h"
#include "runtime/image/mask.h"

typedef struct {
    size_t height, width;
    size_t count;     /* runs, at least 1 */
    uint32_t *counts; /* owned */
} sa_rle;

void sa_rle_free(sa_rle *rle);
bool sa_rle_equal(const sa_rle *a, const sa_rle *b);

/*
 * Every function below that makes an sa_rle or a mask leaves it zeroed when it fails, with
 *   SA_NO_ROOM    no memory, or height * width > 2^32-1
 *   SA_BAD_INPUT  what the function says
 */
sa_status sa_rle_encode(sa_rle *rle, const sa_mask *mask, sa_error *err);
sa_status sa_rle_decode(const sa_rle *rle, sa_mask *mask, sa_error *err);

/* An uncompressed list of `count` runs. SA_BAD_INPUT when it is empty or does not sum to height * width. */
sa_status sa_rle_from_counts(sa_rle *rle, const uint32_t *counts, size_t count, size_t height, size_t width,
                             sa_error *err);

/*
 * Compressed string of `length` bytes. Run i is written as its value for i <= 2, else as the difference from
 * run i-2: 5 bits a character (48 + bits), lowest first, bit 5 set when more follow, sign-extended from bit 4
 * of the last.
 * SA_BAD_INPUT: a character outside '0'..'o', a number cut off or longer than 7 characters, a run below 0,
 * runs past the area or short of it.
 */
sa_status sa_rle_from_string(sa_rle *rle, const char *text, size_t length, size_t height, size_t width,
                             sa_error *err);
/* *text is malloc'd and has a zero byte after its `length` characters. length may be NULL. */
sa_status sa_rle_to_string(const sa_rle *rle, char **text, size_t *length, sa_error *err);

uint64_t sa_rle_area(const sa_rle *rle);

/*
 * pycocotools' toBbox: {x, y, width, height}, zeros for an empty mask. Tight but for one thing: as soon as
 * one run of ones goes on from one column to the next, y is 0 and height the full height. sa_mask_bbox is
 * always tight.
 */
void sa_rle_bbox(const sa_rle *rle, double box[4]);

/* Union (or intersection) of `count` masks of one size. SA_BAD_INPUT for none, or when sizes differ. */
sa_status sa_rle_merge(sa_rle *rle, const sa_rle *parts, size_t count, bool intersect, sa_error *err);

/* Pixels of (a and b), and of (a or b). SA_BAD_INPUT when the sizes differ. */
sa_status sa_rle_overlap(const sa_rle *a, const sa_rle *b, uint64_t *both, uint64_t *either, sa_error *err);
/*
 * *iou = |a and b| / |a or b|, or / |a| when b is a crowd region; 0 when they do not meet.
 * SA_BAD_INPUT when the sizes differ.
 */
sa_status sa_rle_iou(const sa_rle *a, const sa_rle *b, bool crowd, double *iou, sa_error *err);

/*
 * The filled polygon through `points` corners, xy = {x0, y0, x1, y1, ...} in pixels, closed by itself,
 * even-odd rule. COCO's rasteriser: corners on a grid five times finer, the boundary walked there, a toggle
 * where it passes the middle of a pixel column. SA_BAD_INPUT for no points, a coordinate that is not finite
 * or beyond +-10^6 (within that bound the closed form used here equals the walk), or a boundary of more than
 * 2^26 toggles.
 */
sa_status sa_rle_from_polygon(sa_rle *rle, const double *xy, size_t points, size_t height, size_t width,
                              sa_error *err);
/* The box x, y, width, height as the polygon of its corners. */
sa_status sa_rle_from_box(sa_rle *rle, const double box[4], size_t height, size_t width, sa_error *err);

/*
 * A mask as JSON holds it, of a named source (for errors):
 *   {"size": [h, w], "counts": "..." or [n, ...]}   height x width, or any if both are 0
 *   [[x0, y0, x1, y1, x2, y2, ...], ...]            polygons, three corners or more, OR-merged
 * SA_BAD_INPUT for anything else.
 */
sa_status sa_rle_from_json(sa_rle *rle, const json_t *value, const char *name, size_t height, size_t width,
                           sa_error *err);
/* {"size":[h,w],"counts":"..."}. SA_NO_ROOM writes nothing. */
sa_status sa_rle_write_json(const sa_rle *rle, sa_json_writer *w, sa_error *err);
/* Its sa_rle_bbox as [x, y, width, height]. */
void sa_rle_write_bbox(const sa_rle *rle, sa_json_writer *w);

#endif
