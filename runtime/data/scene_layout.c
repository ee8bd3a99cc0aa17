/*
 * Which objects a scene has, and where. Lengths are shares of the picture's side, so that a scene of one seed
 * looks alike in every size.
 */
#include "runtime/data/scene_parts.h"
#include "runtime/data/scene_shapes.h"

/* What a level is made of; sizes in 1/1000 of the side. */
typedef struct {
    uint8_t least_objects, most_objects;
    int16_t least_radius, most_radius;
    uint8_t colors;
    uint8_t apart;                  /* least distance of two centres, in percent of the sum of their radii */
    uint8_t two_colored, patterned; /* percent of objects of one piece */
} world;

static const world worlds[SA_SCENE_LEVELS] = {
    [SA_SCENE_EASY] = {2, 5, 75, 195, 6, 85, 0, 15},
    [SA_SCENE_HARD] = {2, 6, 58, 180, 8, 62, 12, 14},
    [SA_SCENE_STEPS] = {2, 4, 110, 240, 8, 70, 0, 10},
};

enum {
    SPREAD = 60 /* tries for a place */,
    LEAST_SPLIT = 110 /* of 1000: radius of what an occluder splits */
};

static int32_t of_side(const sa_scene *scene, int32_t thousandths)
{
    return (int32_t)((int64_t)thousandths * (int64_t)scene->size * 256 / 1000);
}

/* ---- one object ---- */

static sa_scene_noun choose_noun(const sa_scene *scene, scene_random *random)
{
    if (scene->level == SA_SCENE_EASY) {
        return (sa_scene_noun)scene_below(random, SA_SCENE_HEART);
    }
    if (scene->level == SA_SCENE_HARD) {
        return (sa_scene_noun)scene_below(random, SA_SCENE_FLOWER);
    }
    static const uint8_t sorts[] = {30, 48, 22}; /* of one piece, of parts, thin */
    switch (scene_weighted(random, sorts, 3)) {
    case 0: return (sa_scene_noun)scene_below(random, SA_SCENE_FLOWER);
    case 1: return (sa_scene_noun)scene_between(random, SA_SCENE_FLOWER, SA_SCENE_BARBELL);
    default: return (sa_scene_noun)scene_between(random, SA_SCENE_TREE, SA_SCENE_COMB);
    }
}

static sa_scene_color other_color(const sa_scene_object *o, scene_random *random, uint32_t colors)
{
    sa_scene_color color;
    bool taken;
    do {
        color = (sa_scene_color)scene_below(random, colors);
        taken = false;
        for (uint32_t i = 0; i < o->color_count; i++) {
            taken = taken || o->colors[i] == color;
        }
    } while (taken);
    return color;
}

static void choose_look(const sa_scene *scene, sa_scene_object *o, scene_random *random)
{
    const world *w = &worlds[scene->level];
    const scene_form *form = scene_form_of(o->noun);
    uint32_t drawn = scene_below(random, 100), count = form->color_count;
    o->pattern = SA_SCENE_PLAIN;
    if (form->piece_count == 1 && o->noun < SA_SCENE_TREE &&
        drawn < (uint32_t)w->two_colored + w->patterned) {
        o->pattern = drawn < w->two_colored     ? SA_SCENE_HALVED
                     : scene_chance(random, 50) ? SA_SCENE_STRIPED
                                                : SA_SCENE_DOTTED;
        count = 2;
    }
    for (o->color_count = 0; o->color_count < count; o->color_count++) {
        o->colors[o->color_count] = other_color(o, random, w->colors);
    }
}

static uint32_t choose_turn(const scene_form *form, scene_random *random)
{
    return (uint32_t)scene_between(random, -form->tilt, form->tilt - 1) & (SCENE_TURN - 1);
}

static sa_scene_object choose_object(const sa_scene *scene, scene_random *random)
{
    const world *w = &worlds[scene->level];
    sa_scene_object o = {.noun = choose_noun(scene, random)};
    bool simple = scene->level == SA_SCENE_STEPS && o.noun < SA_SCENE_FLOWER;
    choose_look(scene, &o, random);
    o.turn = choose_turn(scene_form_of(o.noun), random);
    int32_t least = simple ? w->least_radius * 2 / 3 : w->least_radius, most = simple ? 170 : w->most_radius;
    o.radius = of_side(scene, scene_between(random, least, most));
    return o;
}

/* ---- places ---- */

static int64_t distance_squared(const sa_scene_object *a, const sa_scene_object *b)
{
    int64_t dx = a->x - b->x, dy = a->y - b->y;
    return dx * dx + dy * dy;
}

/* True if no object's centre is nearer than `apart` percent of the sum of radii. */
static bool has_room(const sa_scene *scene, const sa_scene_object *o, int64_t apart)
{
    for (size_t i = 0; i < scene->object_count; i++) {
        int64_t least = (o->radius + scene->objects[i].radius) * apart / 100;
        if (distance_squared(o, &scene->objects[i]) < least * least) {
            return false;
        }
    }
    return true;
}

/* Wholly inside but for a tenth of its radius. */
static void choose_place(const sa_scene *scene, sa_scene_object *o, scene_random *random)
{
    int32_t side = (int32_t)scene->size * 256, margin = o->radius * 9 / 10;
    o->x = scene_between(random, margin, side - margin);
    o->y = scene_between(random, margin, side - margin);
}

static bool put(sa_scene *scene, sa_scene_object *o, scene_random *random)
{
    for (int i = 0; i < SPREAD; i++) {
        choose_place(scene, o, random);
        if (has_room(scene, o, worlds[scene->level].apart)) {
            scene->objects[scene->object_count++] = *o;
            return true;
        }
    }
    return false;
}

/* ---- what makes steps matter ---- */

/* Another one like object `like`, of nearly its size. */
static void put_twin(sa_scene *scene, size_t like, scene_random *random)
{
    sa_scene_object twin = scene->objects[like];
    twin.radius = twin.radius * scene_between(random, 80, 120) / 100;
    twin.turn = choose_turn(scene_form_of(twin.noun), random);
    put(scene, &twin, random);
}

/* A bar across object `under`, longer than it: two pieces of it stay to be seen. */
static void put_occluder(sa_scene *scene, size_t under, scene_random *random)
{
    const sa_scene_object *o = &scene->objects[under];
    sa_scene_object bar = {.noun = SA_SCENE_BAR, .color_count = 1, .x = o->x, .y = o->y};
    bar.colors[0] = other_color(o, random, SA_SCENE_COLORS);
    bar.turn = scene_below(random, SCENE_TURN);
    bar.radius = o->radius * scene_between(random, 105, 135) / 100;
    bar.x += o->radius * scene_between(random, -15, 15) / 100;
    bar.y += o->radius * scene_between(random, -15, 15) / 100;
    scene->objects[scene->object_count++] = bar;
}

/* Something of one piece, in the colour of object `beside`, that touches it. */
static void put_neighbour(sa_scene *scene, size_t beside, scene_random *random)
{
    const sa_scene_object *o = &scene->objects[beside];
    sa_scene_object n = {.noun = (sa_scene_noun)scene_below(random, SA_SCENE_RING), .color_count = 1};
    int32_t turn = (int32_t)scene_below(random, SCENE_TURN), side = (int32_t)scene->size * 256;
    n.colors[0] = o->colors[0];
    n.turn = choose_turn(scene_form_of(n.noun), random);
    n.radius = of_side(scene, scene_between(random, 70, 130));
    int64_t away = (o->radius + n.radius) * 80 / 100;
    n.x = o->x + (int32_t)(away * scene_cos(turn) / 16384);
    n.y = o->y + (int32_t)(away * scene_sin(turn) / 16384);
    int32_t margin = n.radius * 9 / 10;
    if (n.x >= margin && n.y >= margin && n.x <= side - margin && n.y <= side - margin) {
        scene->objects[scene->object_count++] = n;
    }
}

/* One object of the scene's own that has room under an occluder, from `first` on; or their number. */
static size_t find_large(const sa_scene *scene, size_t first)
{
    size_t i = first;
    while (i < scene->object_count && scene->objects[i].radius < of_side(scene, LEAST_SPLIT)) {
        i++;
    }
    return i;
}

static void add_difficulties(sa_scene *scene, scene_random *random)
{
    size_t own = scene->object_count, chosen = scene_below(random, (uint32_t)own);
    if (scene_chance(random, 35)) {
        put_twin(scene, chosen, random);
    }
    if (scene_chance(random, 30)) {
        put_neighbour(scene, scene_below(random, (uint32_t)own), random);
    }
    size_t large = find_large(scene, scene_below(random, (uint32_t)own));
    if (scene_chance(random, 35) && large < own) {
        put_occluder(scene, large, random);
    }
}

void scene_lay_out(sa_scene *scene, scene_random *random)
{
    const world *w = &worlds[scene->level];
    int32_t count = scene_between(random, w->least_objects, w->most_objects);
    scene->object_count = 0;
    for (int32_t i = 0; i < count; i++) {
        sa_scene_object o = choose_object(scene, random);
        /* Twice as likely to share a noun or a colour with another one: so that phrases must say more. */
        if (i > 0 && scene_chance(random, 35)) {
            const sa_scene_object *other =
                &scene->objects[scene_below(random, (uint32_t)scene->object_count)];
            if (scene_chance(random, 60) && other->pattern == SA_SCENE_PLAIN && o.pattern == SA_SCENE_PLAIN) {
                o.noun = other->noun;
                choose_look(scene, &o, random);
                o.turn = choose_turn(scene_form_of(o.noun), random);
            } else if (o.color_count == 1) {
                o.colors[0] = other->colors[0];
            }
        }
        put(scene, &o, random); /* the first always finds room, others need not */
    }
    if (scene->level == SA_SCENE_STEPS) {
        add_difficulties(scene, random);
    }
}
