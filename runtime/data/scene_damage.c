#include "runtime/data/scene_damage.h"

#include <stdlib.h>

#include "runtime/data/scene_random.h"
#include "runtime/image/distance.h"

/* Layouts of a scene take attempts from 0 on; none gets here. */
#define FIRST_ATTEMPT 0xc0000000u

typedef struct {
    const sa_scene *scene;
    const sa_scene_phrase *phrase;
    scene_random random;
    const sa_mask *truth;
    sa_mask *mask; /* what comes of it */
} job;

/* A measure that is drawn for pictures of 256 pixels, at least 1. */
static int32_t measure(job *j, int32_t least, int32_t most)
{
    int32_t scaled = scene_between(&j->random, least, most) * (int32_t)j->scene->size / 256;
    return scaled > 0 ? scaled : 1;
}

static bool is_empty(const sa_mask *mask)
{
    return sa_mask_area(mask) == 0;
}

static void copy_bits(sa_mask *to, const sa_mask *from)
{
    sa_mask_combine(to, from, from, SA_MASK_AND);
}

/* One of the truth's pixels, each as likely as the others. */
static void draw_pixel(job *j, int32_t *x, int32_t *y)
{
    size_t left = scene_below(&j->random, (uint32_t)sa_mask_area(j->truth)), side = j->scene->size;
    *x = *y = 0;
    for (size_t at = 0; at < side * side; at++) {
        if (sa_mask_get(j->truth, at % side, at / side) && left-- == 0) {
            *x = (int32_t)(at % side);
            *y = (int32_t)(at / side);
            return;
        }
    }
}

/* ---- by distance ---- */

/* Sets the pixels that are farther than `radius` from all outside of `from`; what surrounds the picture
 * counts. */
static sa_status erode(const sa_mask *from, int32_t radius, bool border, sa_mask *to, sa_error *err)
{
    size_t side = from->width;
    int32_t *squared = malloc(side * side * sizeof *squared);
    if (squared == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "free some memory", "no memory for coarse masks");
    }
    sa_status status = sa_distance_squared(from, border, squared, err);
    for (size_t at = 0; at < side * side && status == SA_OK; at++) {
        sa_mask_set(to, at % side, at / side, squared[at] > radius * radius);
    }
    free(squared);
    return status;
}

static sa_status make_eroded(job *j, sa_error *err)
{
    int32_t radius = measure(j, 1, 7);
    do {
        SA_TRY(erode(j->truth, radius, true, j->mask, err));
    } while (is_empty(j->mask) && radius-- > 0);
    return SA_OK;
}

/* What is near the truth is what the rest of the picture loses. */
static sa_status make_grown(job *j, sa_error *err)
{
    sa_mask all;
    int32_t radius = measure(j, 1, 9);
    SA_TRY(sa_mask_copy(&all, j->truth, err));
    sa_mask_fill(&all, true);
    sa_mask_combine(j->mask, &all, j->truth, SA_MASK_AND_NOT);
    sa_status status = SA_OK;
    if (!is_empty(j->mask)) {
        status = erode(j->mask, radius, false, j->mask, err);
    }
    sa_mask_combine(j->mask, &all, j->mask, SA_MASK_AND_NOT);
    sa_mask_free(&all);
    return status;
}

/* ---- by place ---- */

static void shift(job *j, int32_t dx, int32_t dy)
{
    int32_t side = (int32_t)j->scene->size;
    for (int32_t y = 0; y < side; y++) {
        for (int32_t x = 0; x < side; x++) {
            int32_t from_x = x - dx, from_y = y - dy;
            bool inside = from_x >= 0 && from_y >= 0 && from_x < side && from_y < side;
            sa_mask_set(j->mask, (size_t)x, (size_t)y,
                        inside && sa_mask_get(j->truth, (size_t)from_x, (size_t)from_y));
        }
    }
}

static void make_shifted(job *j)
{
    int32_t dx = scene_between(&j->random, -25, 25) * (int32_t)j->scene->size / 256;
    int32_t dy = scene_between(&j->random, -25, 25) * (int32_t)j->scene->size / 256;
    dx = dx == 0 && dy == 0 ? 1 : dx;
    do {
        shift(j, dx, dy);
        dx /= 2;
        dy /= 2;
    } while (is_empty(j->mask));
}

static void cut(job *j, int32_t x, int32_t y, int32_t dx, int32_t dy)
{
    for (size_t v = 0; v < j->scene->size; v++) {
        for (size_t u = 0; u < j->scene->size; u++) {
            bool side = ((int32_t)u - x) * dx + ((int32_t)v - y) * dy > 0;
            sa_mask_set(j->mask, u, v, side && sa_mask_get(j->truth, u, v));
        }
    }
}

/* A line through its last pixel, or a truth of one pixel alone, leaves nothing on one side, or on either. */
static void make_cut(job *j)
{
    int32_t x, y;
    draw_pixel(j, &x, &y);
    int32_t dx = scene_between(&j->random, -256, 256), dy = scene_between(&j->random, -256, 256);
    dx = dx == 0 && dy == 0 ? 1 : dx;
    cut(j, x, y, dx, dy);
    if (is_empty(j->mask)) {
        cut(j, x, y, -dx, -dy);
    }
    if (is_empty(j->mask)) {
        copy_bits(j->mask, j->truth);
    }
}

/* ---- by discs and other objects ---- */

static void put_disc(job *j, int32_t x, int32_t y, int32_t radius, bool on)
{
    copy_bits(j->mask, j->truth);
    for (int32_t v = y - radius; v <= y + radius; v++) {
        for (int32_t u = x - radius; u <= x + radius; u++) {
            bool inside = u >= 0 && v >= 0 && u < (int32_t)j->scene->size && v < (int32_t)j->scene->size;
            if (inside && (u - x) * (u - x) + (v - y) * (v - y) < radius * radius) {
                sa_mask_set(j->mask, (size_t)u, (size_t)v, on);
            }
        }
    }
}

static void make_disc(job *j, bool on)
{
    int32_t x, y, radius = measure(j, 8, 45);
    draw_pixel(j, &x, &y);
    put_disc(j, x, y, radius, on);
    for (; is_empty(j->mask); radius /= 2) {
        put_disc(j, x, y, radius / 2, on);
    }
}

/* The visible pixels of an object that the phrase does not mean; false if there is none. */
static bool put_other(job *j)
{
    uint32_t others[SA_SCENE_MOST_OBJECTS], count = 0;
    for (size_t i = 0; i < j->scene->object_count; i++) {
        if (!(j->phrase->objects >> i & 1) && j->scene->objects[i].visible > 0) {
            others[count++] = (uint32_t)i;
        }
    }
    if (count > 0) {
        sa_scene_object_mask(j->scene, others[scene_below(&j->random, count)], j->mask);
    }
    return count > 0;
}

/* ---- all of them ---- */

static sa_status make(job *j, sa_scene_damage *damage, sa_error *err)
{
    if (*damage >= SA_SCENE_JOINED && !put_other(j)) {
        *damage = *damage == SA_SCENE_JOINED ? SA_SCENE_SPILLED : SA_SCENE_GROWN;
    }
    switch (*damage) {
    case SA_SCENE_ERODED: return make_eroded(j, err);
    case SA_SCENE_GROWN: return make_grown(j, err);
    case SA_SCENE_SHIFTED: make_shifted(j); break;
    case SA_SCENE_CUT: make_cut(j); break;
    case SA_SCENE_HOLED:
    case SA_SCENE_SPILLED: make_disc(j, *damage == SA_SCENE_SPILLED); break;
    case SA_SCENE_JOINED: sa_mask_combine(j->mask, j->mask, j->truth, SA_MASK_OR); break;
    default: break;
    }
    return SA_OK;
}

sa_status sa_scene_coarse(const sa_scene *scene, size_t phrase, sa_mask *mask, sa_scene_damage *damage,
                          sa_error *err)
{
    sa_mask truth;
    SA_ASSERT(phrase < scene->phrase_count && mask->height == scene->size && mask->width == scene->size);
    SA_TRY(sa_mask_new(&truth, scene->size, scene->size, err));
    sa_scene_target(scene, &scene->phrases[phrase], &truth);
    job j = {.scene = scene,
             .phrase = &scene->phrases[phrase],
             .random = scene_random_of(scene->seed, scene->index, FIRST_ATTEMPT + (uint32_t)phrase),
             .truth = &truth,
             .mask = mask};
    *damage = (sa_scene_damage)scene_below(&j.random, SA_SCENE_DAMAGES);
    sa_status status = make(&j, damage, err);
    sa_mask_free(&truth);
    return status;
}

const char *sa_scene_damage_name(sa_scene_damage damage)
{
    static const char *const names[] = {"eroded", "grown",   "shifted", "cut",
                                        "holed",  "spilled", "joined",  "other"};
    return names[damage];
}
