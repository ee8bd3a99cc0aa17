/* runtime/hlmat/annotator.h: every pixel by its definition, on random masks; ties; ignored and clicked
 * pixels. */
#include "tests/check.h"

#include <stdlib.h>

#include "runtime/base/philox.h"
#include "runtime/hlmat/annotator.h"

enum { MOST = 60 };

typedef struct {
    size_t height, width;
    bool mask[MOST * MOST], target[MOST * MOST], ignored[MOST * MOST], clicked[MOST * MOST];
} scene;

static bool in_region(const scene *s, bool missing, long y, long x)
{
    if (y < 0 || x < 0 || y >= (long)s->height || x >= (long)s->width) {
        return false;
    }
    size_t i = (size_t)y * s->width + (size_t)x;
    return !s->ignored[i] && (missing ? s->target[i] && !s->mask[i] : s->mask[i] && !s->target[i]);
}

/* The squared distance of (y, x) to the nearest place outside of the region, borders included. */
static long depth(const scene *s, bool missing, long y, long x)
{
    long least = in_region(s, missing, y, x) && !s->clicked[(size_t)y * s->width + (size_t)x] ? 1L << 30 : 0;
    for (long v = -1; v <= (long)s->height && least > 0; v++) {
        for (long u = -1; u <= (long)s->width; u++) {
            long squared = (y - v) * (y - v) + (x - u) * (x - u);
            least = squared < least && !in_region(s, missing, v, u) ? squared : least;
        }
    }
    return least;
}

static sa_annotator_answer expected(const scene *s)
{
    long deepest[2] = {0, 0};
    size_t at[2] = {0, 0};
    for (size_t i = 0; i < s->height * s->width; i++) {
        for (int missing = 0; missing < 2; missing++) {
            long d = depth(s, missing, (long)(i / s->width), (long)(i % s->width));
            if (d > deepest[missing]) {
                deepest[missing] = d;
                at[missing] = i;
            }
        }
    }
    bool positive = deepest[1] > deepest[0];
    return (sa_annotator_answer){at[positive] % s->width, at[positive] / s->width, positive,
                                 deepest[0] > 0 || deepest[1] > 0};
}

static sa_mask mask_of(const scene *s, const bool *pixels)
{
    sa_mask mask;
    assert_int_equal(sa_mask_new(&mask, s->height, s->width, NULL), SA_OK);
    for (size_t i = 0; i < s->height * s->width; i++) {
        sa_mask_set(&mask, i % s->width, i / s->width, pixels[i]);
    }
    return mask;
}

static void check_scene(const scene *s)
{
    sa_annotator annotator;
    sa_annotator_answer got, want = expected(s);
    sa_mask mask = mask_of(s, s->mask), target = mask_of(s, s->target);
    sa_mask ignored = mask_of(s, s->ignored), clicked = mask_of(s, s->clicked);
    assert_int_equal(sa_annotator_open(&annotator, s->height, s->width, NULL), SA_OK);
    assert_int_equal(sa_annotator_click(&annotator, &mask, &target, &ignored, &clicked, &got, NULL), SA_OK);
    assert_int_equal(got.needed, want.needed);
    if (want.needed) {
        assert_int_equal(got.positive, want.positive);
        assert_int_equal(got.x, want.x);
        assert_int_equal(got.y, want.y);
    }
    sa_mask *const masks[] = {&mask, &target, &ignored, &clicked};
    for (int i = 0; i < 4; i++) {
        sa_mask_free(masks[i]);
    }
    sa_annotator_close(&annotator);
}

/* A random box is set, others stay. */
static void add_box(const scene *s, bool *pixels, uint64_t n, uint64_t which)
{
    sa_philox r = sa_philox_block(21, n, which);
    size_t x = r.word[0] % s->width, y = r.word[1] % s->height;
    size_t right = x + 1 + r.word[2] % s->width, bottom = y + 1 + r.word[3] % s->height;
    for (size_t v = y; v < bottom && v < s->height; v++) {
        for (size_t u = x; u < right && u < s->width; u++) {
            pixels[v * s->width + u] = true;
        }
    }
}

static void test_random(void **state)
{
    (void)state;
    static const size_t heights[] = {1, 2, 7, 13, 31}, widths[] = {1, 7, 31, 64, 65, 100};
    for (uint64_t n = 0; n < 300; n++) {
        scene s = {.height = heights[n % 5], .width = widths[n / 5 % 6]};
        for (uint64_t box = 0; box < 3; box++) {
            add_box(&s, s.target, n, box);
            add_box(&s, s.mask, n, 10 + box);
        }
        if (n % 3 == 0) {
            add_box(&s, s.ignored, n, 20);
        }
        for (uint64_t i = 0; i < n % 4; i++) {
            s.clicked[sa_philox_block(22, n, i).word[0] % (s.height * s.width)] = true;
        }
        check_scene(&s);
        sa_annotator_answer first = expected(&s);
        s.clicked[first.y * s.width + first.x] = true;
        check_scene(&s);
    }
}

/* Nothing to do; as deep on both sides: negative; a mask that is all border. */
static void test_edges(void **state)
{
    (void)state;
    scene same = {.height = 9, .width = 9};
    add_box(&same, same.target, 1, 1);
    for (int i = 0; i < 81; i++) {
        same.mask[i] = same.target[i];
    }
    check_scene(&same);
    assert_false(expected(&same).needed);
    scene tie = {.height = 4, .width = 10};
    for (size_t i = 0; i < 40; i++) {
        tie.target[i] = i % 10 < 3;
        tie.mask[i] = i % 10 > 6;
    }
    check_scene(&tie);
    assert_false(expected(&tie).positive);
    scene full = {.height = 11, .width = 11};
    for (size_t i = 0; i < 121; i++) {
        full.target[i] = true;
    }
    check_scene(&full);
    assert_int_equal(expected(&full).x, 5);
}

static void test_refused(void **state)
{
    (void)state;
    sa_annotator annotator;
    sa_error err;
    assert_int_equal(sa_annotator_open(&annotator, 0, 5, &err), SA_BAD_INPUT);
    assert_int_equal(sa_annotator_open(&annotator, 5, 40000, &err), SA_BAD_INPUT);
    sa_annotator_close(&annotator);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
