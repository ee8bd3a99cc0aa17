/*
 * runtime/data/scene_damage.h: coarse masks are what their kind says, never empty, and the same bytes
 * everywhere.
 */
#include "tests/check.h"

#include <stdlib.h>

#include "runtime/data/scene_damage.h"

enum { SCENES = 600, SIDE = 96 };
#define EXPECTED_HASH 0x2f8df29380010d23u /* made once; it changes only with the masks and sa_mask_hash() */

typedef struct {
    sa_scene scene;
    sa_mask truth, mask, part;
} rig;

static int open_rig(void **state)
{
    rig *r = calloc(1, sizeof *r);
    assert_non_null(r);
    assert_int_equal(sa_scene_open(&r->scene, SIDE, NULL), SA_OK);
    assert_int_equal(sa_mask_new(&r->truth, SIDE, SIDE, NULL), SA_OK);
    assert_int_equal(sa_mask_new(&r->mask, SIDE, SIDE, NULL), SA_OK);
    assert_int_equal(sa_mask_new(&r->part, SIDE, SIDE, NULL), SA_OK);
    *state = r;
    return 0;
}

static int close_rig(void **state)
{
    rig *r = *state;
    sa_scene_close(&r->scene);
    sa_mask_free(&r->truth);
    sa_mask_free(&r->mask);
    sa_mask_free(&r->part);
    free(r);
    return 0;
}

static sa_scene_damage draw(rig *r, uint64_t seed, uint64_t index, size_t phrase)
{
    sa_scene_damage damage;
    sa_scene_draw(&r->scene, seed, index, (sa_scene_level)(index % SA_SCENE_LEVELS), phrase + 1);
    phrase = phrase < r->scene.phrase_count ? phrase : 0;
    sa_scene_target(&r->scene, &r->scene.phrases[phrase], &r->truth);
    assert_int_equal(sa_scene_coarse(&r->scene, phrase, &r->mask, &damage, NULL), SA_OK);
    assert_true(sa_mask_area(&r->mask) > 0);
    return damage;
}

static bool is_inside(rig *r, const sa_mask *inner, const sa_mask *outer)
{
    sa_mask_combine(&r->part, inner, outer, SA_MASK_AND_NOT);
    return sa_mask_area(&r->part) == 0;
}

/* Each pixel of the mask lies within `reach` of one of the other's, either way along the axes. */
static bool is_near(const sa_mask *mask, const sa_mask *other, int reach)
{
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            bool near = !sa_mask_get(mask, (size_t)x, (size_t)y);
            for (int v = y - reach; v <= y + reach && !near; v++) {
                for (int u = x - reach; u <= x + reach && !near; u++) {
                    near =
                        u >= 0 && v >= 0 && u < SIDE && v < SIDE && sa_mask_get(other, (size_t)u, (size_t)v);
                }
            }
            if (!near) {
                return false;
            }
        }
    }
    return true;
}

/* The pixels of the objects that the phrase does not mean. */
static void fill_others(rig *r, const sa_scene_phrase *phrase)
{
    const sa_scene_phrase others = {.objects = ((1u << r->scene.object_count) - 1) & ~phrase->objects,
                                    .part = -1};
    sa_scene_target(&r->scene, &others, &r->part);
}

static void check_damage(rig *r, sa_scene_damage damage)
{
    switch (damage) {
    case SA_SCENE_ERODED:
    case SA_SCENE_CUT:
    case SA_SCENE_HOLED: assert_true(is_inside(r, &r->mask, &r->truth)); break;
    case SA_SCENE_GROWN:
        assert_true(is_inside(r, &r->truth, &r->mask));
        assert_true(is_near(&r->mask, &r->truth, 9 * SIDE / 256 + 1));
        break;
    case SA_SCENE_SHIFTED:
        assert_true(sa_mask_area(&r->mask) <= sa_mask_area(&r->truth));
        assert_true(is_near(&r->mask, &r->truth, 25 * SIDE / 256 + 1));
        break;
    case SA_SCENE_SPILLED:
    case SA_SCENE_JOINED: assert_true(is_inside(r, &r->truth, &r->mask)); break;
    default:
        assert_int_equal(damage, SA_SCENE_OTHER);
        assert_int_equal(sa_mask_intersection(&r->mask, &r->truth), 0);
        fill_others(r, &r->scene.phrases[0]);
        assert_int_equal(sa_mask_intersection(&r->mask, &r->part), sa_mask_area(&r->mask));
    }
}

/* Every kind comes about as often, and few masks are left as they were. */
static void test_kinds(void **state)
{
    rig *r = *state;
    size_t counts[SA_SCENE_DAMAGES] = {0}, whole = 0;
    for (uint64_t i = 0; i < SCENES; i++) {
        sa_scene_damage damage = draw(r, 11, i, 0);
        check_damage(r, damage);
        counts[damage]++;
        whole += sa_mask_equal(&r->mask, &r->truth);
    }
    for (size_t k = 0; k < SA_SCENE_DAMAGES; k++) {
        assert_in_range(counts[k], SCENES / SA_SCENE_DAMAGES / 2, SCENES / SA_SCENE_DAMAGES * 2);
    }
    assert_true(whole < SCENES / 20);
}

/* A phrase's mask depends on neither the other phrases nor on what was drawn before. */
static void test_alone(void **state)
{
    rig *r = *state;
    for (uint64_t i = 0; i < 30; i++) {
        draw(r, 5, i, 0);
        uint64_t hash = sa_mask_hash(&r->mask);
        draw(r, 6, i, 1);
        sa_scene_draw(&r->scene, 5, i, (sa_scene_level)(i % SA_SCENE_LEVELS), 1);
        draw(r, 5, i, 0);
        assert_true(sa_mask_hash(&r->mask) == hash);
    }
}

static void test_hash(void **state)
{
    rig *r = *state;
    uint64_t hash = 0;
    for (uint64_t i = 0; i < 200; i++) {
        draw(r, 2026, i, i % 2);
        hash = hash * 0x100000001b3u + sa_mask_hash(&r->mask);
    }
    print_message("0x%016llxu\n", (unsigned long long)hash);
    assert_true(hash == EXPECTED_HASH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kinds, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(test_alone, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(test_hash, open_rig, close_rig),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
