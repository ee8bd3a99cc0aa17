/*
 * Filled polygons in whole numbers: how much of each pixel they cover. Inside runtime/data.
 */
#ifndef SA_DATA_SCENE_POLYGON_H
#define SA_DATA_SCENE_POLYGON_H

#include <stddef.h>
#include <stdint.h>

enum { SCENE_MOST_POINTS = 768, SCENE_MOST_CROSSINGS = 64 };

typedef struct {
    int32_t x, y;
} scene_point;

/* An edge from a to b, a above. */
typedef struct {
    scene_point a, b;
    int way; /* +1 if the contour runs down along it, else -1 */
} scene_edge;

/*
 * Contours in 1/256 pixel, within +-2^22; what winds around a point an unequal number of times either way is
 * inside, so contours of one sense of rotation add up and one of the other sense is a hole.
 */
typedef struct {
    scene_edge edges[SCENE_MOST_POINTS];
    size_t edge_count;
    int32_t left, top, right, bottom; /* pixels that may be covered: left <= x < right, top <= y < bottom */
} scene_polygon;

/* No edges; pixels of a picture of size x size. */
void scene_polygon_clear(scene_polygon *polygon);
/* The closed contour through `count` points. */
void scene_polygon_add(scene_polygon *polygon, const scene_point *points, size_t count);
/* After the last contour: the pixels that it may cover, of a picture with sides of `size`. */
void scene_polygon_bound(scene_polygon *polygon, int32_t size);

/*
 * cover[x] = 0 .. 256 for left <= x < right of row y: the mean of four lines through the row, each measured
 * to 1/256 pixel. cover holds a row of the picture and one more.
 */
void scene_polygon_row(const scene_polygon *polygon, int32_t y, int32_t *cover);

#endif
