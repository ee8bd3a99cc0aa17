#include "runtime/data/scene_polygon.h"

#include <string.h>

#include "runtime/base/status.h"

enum { LINES = 4 /* of a row */, PIXEL = 256 };

typedef struct {
    int32_t x;
    int way;
} crossing;

void scene_polygon_clear(scene_polygon *polygon)
{
    polygon->edge_count = 0;
}

void scene_polygon_add(scene_polygon *polygon, const scene_point *points, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        scene_point a = points[i], b = points[i + 1 < count ? i + 1 : 0];
        if (a.y == b.y) {
            continue;
        }
        SA_ASSERT(polygon->edge_count < SCENE_MOST_POINTS);
        polygon->edges[polygon->edge_count++] = a.y < b.y ? (scene_edge){a, b, 1} : (scene_edge){b, a, -1};
    }
}

static int32_t clamp(int32_t value, int32_t least, int32_t most)
{
    return value < least ? least : value > most ? most : value;
}

void scene_polygon_bound(scene_polygon *polygon, int32_t size)
{
    int32_t left = INT32_MAX, right = INT32_MIN, top = INT32_MAX, bottom = INT32_MIN;
    for (size_t i = 0; i < polygon->edge_count; i++) {
        const scene_edge *e = &polygon->edges[i];
        int32_t low = e->a.x < e->b.x ? e->a.x : e->b.x, high = e->a.x < e->b.x ? e->b.x : e->a.x;
        left = low < left ? low : left;
        right = high > right ? high : right;
        top = e->a.y < top ? e->a.y : top;
        bottom = e->b.y > bottom ? e->b.y : bottom;
    }
    if (polygon->edge_count == 0) {
        left = right = top = bottom = 0;
    }
    polygon->left = clamp(left >> 8, 0, size);
    polygon->right = clamp((right >> 8) + 1, 0, size);
    polygon->top = clamp(top >> 8, 0, size);
    polygon->bottom = clamp((bottom >> 8) + 1, 0, size);
}

/* Where edges cross the line at y, from left to right. */
static size_t cross(const scene_polygon *polygon, int32_t y, crossing *crossings)
{
    size_t count = 0;
    for (size_t i = 0; i < polygon->edge_count; i++) {
        const scene_edge *e = &polygon->edges[i];
        if (y < e->a.y || y >= e->b.y) {
            continue;
        }
        int64_t across = (int64_t)(y - e->a.y) * (e->b.x - e->a.x);
        crossing c = {e->a.x + (int32_t)(across / (e->b.y - e->a.y)), e->way};
        SA_ASSERT(count < SCENE_MOST_CROSSINGS);
        size_t at = count++;
        for (; at > 0 && crossings[at - 1].x > c.x; at--) {
            crossings[at] = crossings[at - 1];
        }
        crossings[at] = c;
    }
    return count;
}

/* Adds the stretch from x0 to x1, within the bounds, to `cover`, which holds differences from pixel to pixel.
 */
static void add_stretch(const scene_polygon *polygon, int32_t x0, int32_t x1, int32_t *cover)
{
    x0 = clamp(x0, polygon->left * PIXEL, polygon->right * PIXEL);
    x1 = clamp(x1, polygon->left * PIXEL, polygon->right * PIXEL);
    int32_t first = x0 / PIXEL, last = x1 / PIXEL;
    if (x0 >= x1) {
        return;
    }
    if (first == last) {
        cover[first] += x1 - x0;
        cover[first + 1] -= x1 - x0;
        return;
    }
    int32_t begun = (first + 1) * PIXEL - x0, ended = x1 - last * PIXEL;
    cover[first] += begun; /* then whole pixels, then what is left in the last one */
    cover[first + 1] += PIXEL - begun;
    cover[last] += ended - PIXEL;
    if (last < polygon->right) {
        cover[last + 1] -= ended;
    }
}

void scene_polygon_row(const scene_polygon *polygon, int32_t y, int32_t *cover)
{
    crossing crossings[SCENE_MOST_CROSSINGS];
    memset(cover + polygon->left, 0, (size_t)(polygon->right - polygon->left + 1) * sizeof *cover);
    for (int line = 0; line < LINES; line++) {
        size_t count = cross(polygon, y * PIXEL + (2 * line + 1) * PIXEL / (2 * LINES), crossings);
        int winding = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            winding += crossings[i].way;
            if (winding != 0) {
                add_stretch(polygon, crossings[i].x, crossings[i + 1].x, cover);
            }
        }
    }
    int32_t sum = 0;
    for (int32_t x = polygon->left; x < polygon->right; x++) {
        sum += cover[x];
        cover[x] = sum / LINES;
    }
}
