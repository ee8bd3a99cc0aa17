/* runtime/data/scene_polygon.h: areas by geometry, and cover against counting points. */
#include "tests/check.h"

#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/data/scene_polygon.h"

enum { SIDE = 64, FINE = 16 /* lines and columns of points in a pixel */ };

static scene_polygon polygon;

/* The sum of all cover, in pixels. */
static double area(void)
{
    int32_t cover[SIDE + 1];
    int64_t sum = 0;
    scene_polygon_bound(&polygon, SIDE);
    for (int32_t y = polygon.top; y < polygon.bottom; y++) {
        scene_polygon_row(&polygon, y, cover);
        for (int32_t x = polygon.left; x < polygon.right; x++) {
            assert_in_range(cover[x], 0, 256);
            sum += cover[x];
        }
    }
    return (double)sum / 256;
}

static void add_box(int32_t x0, int32_t y0, int32_t x1, int32_t y1, bool hole)
{
    const scene_point way[] = {{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}};
    const scene_point back[] = {{x0, y0}, {x0, y1}, {x1, y1}, {x1, y0}};
    scene_polygon_add(&polygon, hole ? back : way, 4);
}

static void test_boxes(void **state)
{
    (void)state;
    scene_polygon_clear(&polygon);
    add_box(10 * 256, 5 * 256, 20 * 256, 9 * 256, false);
    assert_float_equal(area(), 40, 0);
    add_box(15 * 256, 5 * 256, 25 * 256, 9 * 256, false); /* the same sense: a union */
    assert_float_equal(area(), 60, 0);
    add_box(16 * 256, 6 * 256, 18 * 256, 8 * 256, true); /* covered twice, less once: still inside */
    assert_float_equal(area(), 60, 0);
    add_box(16 * 256, 6 * 256, 18 * 256, 8 * 256, true);
    assert_float_equal(area(), 56, 0);
    scene_polygon_clear(&polygon);
    add_box(-900 * 256, -900 * 256, 900 * 256, 900 * 256, false); /* far past every border */
    assert_float_equal(area(), SIDE * SIDE, 0);
    scene_polygon_clear(&polygon);
    add_box(100 * 256, 3 * 256, 120 * 256, 9 * 256, false); /* outside */
    assert_float_equal(area(), 0, 0);
    scene_polygon_clear(&polygon);
    assert_float_equal(area(), 0, 0);
    add_box(10 * 256 + 64, 5 * 256, 10 * 256 + 96, 6 * 256, false); /* an eighth of one pixel */
    assert_float_equal(area(), 0.125, 0);
}

/* Winding number of the polygon around a point, edge by edge. */
static int winding(int64_t x, int64_t y)
{
    int sum = 0;
    for (size_t i = 0; i < polygon.edge_count; i++) {
        const scene_edge *e = &polygon.edges[i];
        if (y >= e->a.y && y < e->b.y &&
            (x - e->a.x) * (e->b.y - e->a.y) >= (y - e->a.y) * (int64_t)(e->b.x - e->a.x)) {
            sum += e->way;
        }
    }
    return sum;
}

static int32_t counted(int32_t x, int32_t y)
{
    int inside = 0;
    for (int32_t i = 0; i < FINE * FINE; i++) {
        int32_t px = x * 256 + (i % FINE) * 256 / FINE + 8, py = y * 256 + (i / FINE) * 256 / FINE + 8;
        inside += winding(px, py) != 0;
    }
    return inside * 256 / (FINE * FINE);
}

/* Random triangles, two at a time, many of them past the borders: cover is the count within what four lines
 * miss. */
static void test_random(void **state)
{
    (void)state;
    for (uint64_t n = 0; n < 200; n++) {
        int32_t cover[SIDE + 1];
        scene_polygon_clear(&polygon);
        for (uint64_t t = 0; t < 2; t++) {
            scene_point corners[3];
            for (uint64_t c = 0; c < 3; c++) {
                sa_philox r = sa_philox_block(11, n, t * 3 + c);
                corners[c].x = (int32_t)(r.word[0] % (SIDE * 256 * 3 / 2)) - SIDE * 64;
                corners[c].y = (int32_t)(r.word[1] % (SIDE * 256 * 3 / 2)) - SIDE * 64;
            }
            scene_polygon_add(&polygon, corners, 3);
        }
        scene_polygon_bound(&polygon, SIDE);
        for (int32_t y = 0; y < SIDE; y += 3) {
            bool rows = y >= polygon.top && y < polygon.bottom;
            if (rows) {
                scene_polygon_row(&polygon, y, cover);
            }
            for (int32_t x = 0; x < SIDE; x++) {
                int32_t got = rows && x >= polygon.left && x < polygon.right ? cover[x] : 0;
                assert_in_range(got - counted(x, y) + 72, 0, 144);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_boxes), cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
