/*
 * Polygons to runs, as COCO rasterises them (MODEL_SPECS 1.10).
 *
 * COCO walks the boundary in unit steps on a grid five times finer than the pixels, and wherever the walk
 * goes from one fine column to the next in the middle of a pixel column, toggles that pixel column from the
 * crossing's height down. Here each edge gives its crossings in closed form: one for each pixel column that
 * it spans, however long it is outside the image, so that a hostile polygon costs no more than its corners
 * times the width.
 *
 * Each edge can be taken alone, since the walk's steps from edge to edge stay in one fine column. (COCO
 * rounds with a cast, which moves negative numbers up by one; but negative columns are outside the image, and
 * negative rows are clamped to 0 either way.) An edge of one point has no step, which also keeps COCO's 0/0
 * slope out of the result.
 *
 * Must be compiled without fused multiply-adds (CMakeLists.txt), so that points between two fine rows fall as
 * COCO's do.
 */
#include <math.h>
#include <stdlib.h>

#include "runtime/image/rle.h"
#include "runtime/image/rle_list.h"

enum { FINE = 5, MIDDLE = 2 }; /* fine columns per pixel column; fine column of a pixel's middle */

static const double most_coordinate = 1e6;
static const size_t most_toggles = (size_t)1 << 26;

typedef struct {
    size_t height, width;
    uint32_t *toggles; /* pixel numbers, column by column; toggles of one pixel cancel in pairs */
    size_t count;
} raster;

typedef struct {
    int x, y;
} fine_point;

/* An edge walked upwards along its longer axis, which is x if `across`. */
typedef struct {
    fine_point from;
    int steps;
    bool across;
    double slope; /* change of the shorter axis for each step */
} fine_edge;

static fine_edge edge_between(fine_point a, fine_point b)
{
    int dx = abs(b.x - a.x), dy = abs(b.y - a.y);
    bool across = dx >= dy;
    if (across ? a.x > b.x : a.y > b.y) {
        fine_point swap = a;
        a = b;
        b = swap;
    }
    int steps = across ? dx : dy;
    double rise = across ? b.y - a.y : b.x - a.x;
    return (fine_edge){.from = a, .steps = steps, .across = across, .slope = steps == 0 ? 0.0 : rise / steps};
}

/* The shorter axis at step t. */
static int shorter_at(const fine_edge *e, int t)
{
    return (int)((e->across ? e->from.y : e->from.x) + e->slope * t + 0.5);
}

/* Of a steep edge, the first step whose column is past `column` (rising) or at most `column` (falling). */
static int step_past_column(const fine_edge *e, int column)
{
    bool rising = e->slope > 0.0;
    int low = 0, high = e->steps; /* the answer is in (low, high] */
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if ((shorter_at(e, middle) > column) == rising) {
            high = middle;
        } else {
            low = middle;
        }
    }
    return high;
}

/* The fine row where the edge steps from `column` to the next: the upper of the step's two ends. */
static int row_of_crossing(const fine_edge *e, int column)
{
    if (!e->across) {
        return e->from.y + step_past_column(e, column) - 1;
    }
    int t = column - e->from.x;
    int before = shorter_at(e, t), after = shorter_at(e, t + 1);
    return before < after ? before : after;
}

/*
 * First pixel row whose middle is at or below the fine row: ceil((row + 0.5) / 5 - 0.5), within 0 .. height.
 */
static size_t first_row_below(const raster *r, int row)
{
    if (row <= MIDDLE) {
        return 0;
    }
    size_t y = ((size_t)(row - MIDDLE) + FINE - 1) / FINE;
    return y < r->height ? y : r->height;
}

/* The pixel columns first .. last-1 whose middles the edge crosses. */
static void columns_of(const raster *r, const fine_edge *e, size_t *first, size_t *last)
{
    int begin = e->from.x, end = e->across ? begin + e->steps : shorter_at(e, e->steps);
    if (begin > end) {
        int swap = begin;
        begin = end;
        end = swap;
    }
    /* A crossing in pixel column k is the step from fine column 5k+2 to 5k+3: begin <= 5k+2 < end. */
    *first = begin <= MIDDLE ? 0 : ((size_t)(begin - MIDDLE) + FINE - 1) / FINE;
    *last = end <= MIDDLE ? 0 : ((size_t)(end - MIDDLE) + FINE - 1) / FINE;
    *last = *last < r->width ? *last : r->width;
    *first = *first < *last ? *first : *last;
}

static void add_edge(raster *r, const fine_edge *e)
{
    size_t first, last;
    columns_of(r, e, &first, &last);
    for (size_t k = first; k < last; k++) {
        size_t y = first_row_below(r, row_of_crossing(e, (int)k * FINE + MIDDLE));
        r->toggles[r->count++] = (uint32_t)(k * r->height + y);
    }
}

static fine_edge edge_of(const double *xy, size_t points, size_t i)
{
    const double *a = xy + 2 * i, *b = xy + 2 * ((i + 1) % points);
    return edge_between((fine_point){(int)(FINE * a[0] + 0.5), (int)(FINE * a[1] + 0.5)},
                        (fine_point){(int)(FINE * b[0] + 0.5), (int)(FINE * b[1] + 0.5)});
}

static int compare_toggles(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static sa_status count_toggles(const raster *r, const double *xy, size_t points, size_t *count, sa_error *err)
{
    *count = 0;
    for (size_t i = 0; i < points; i++) {
        if (!(fabs(xy[2 * i]) <= most_coordinate && fabs(xy[2 * i + 1]) <= most_coordinate)) {
            return sa_fail(err, SA_BAD_INPUT, NULL, "coordinates are pixels",
                           "corner %zu of a polygon, (%g, %g), is out of range", i, xy[2 * i], xy[2 * i + 1]);
        }
    }
    for (size_t i = 0; i < points && *count <= most_toggles; i++) {
        size_t first, last;
        fine_edge e = edge_of(xy, points, i);
        columns_of(r, &e, &first, &last);
        *count += last - first;
    }
    if (points == 0 || *count > most_toggles) {
        return sa_fail(err, SA_BAD_INPUT, NULL, "give three or more corners within the picture",
                       "a polygon of %zu corners %s", points,
                       points == 0 ? "is no polygon" : "crosses too many pixels");
    }
    return SA_OK;
}

static sa_status toggles_to_runs(raster *r, sa_rle *rle, sa_error *err)
{
    qsort(r->toggles, r->count, sizeof *r->toggles, compare_toggles);
    sa_rle_list list = {0};
    SA_TRY(sa_rle_list_reserve(&list, r->count + 1, err));
    for (size_t i = 0; i < r->count; i++) {
        sa_rle_list_toggle(&list, r->toggles[i]);
    }
    return sa_rle_list_finish(&list, r->height, r->width, rle, err);
}

sa_status sa_rle_from_polygon(sa_rle *rle, const double *xy, size_t points, size_t height, size_t width,
                              sa_error *err)
{
    *rle = (sa_rle){0};
    SA_TRY(sa_rle_check_size(height, width, err));
    raster r = {.height = height, .width = width};
    size_t count;
    SA_TRY(count_toggles(&r, xy, points, &count, err));
    r.toggles = malloc((count + 1) * sizeof *r.toggles);
    if (r.toggles == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a polygon that crosses %zu columns",
                       count);
    }
    for (size_t i = 0; i < points; i++) {
        fine_edge e = edge_of(xy, points, i);
        add_edge(&r, &e);
    }
    sa_status status = toggles_to_runs(&r, rle, err);
    free(r.toggles);
    return status;
}

sa_status sa_rle_from_box(sa_rle *rle, const double box[4], size_t height, size_t width, sa_error *err)
{
    double left = box[0], top = box[1], right = box[0] + box[2], bottom = box[1] + box[3];
    double xy[8] = {left, top, left, bottom, right, bottom, right, top};
    return sa_rle_from_polygon(rle, xy, 4, height, width, err);
}
