/*
 * Paints a laid-out scene: background, then each object with its shadow, then noise over all. Bytes of pixels
 * come from whole numbers alone.
 */
#include <string.h>

#include "runtime/data/scene_parts.h"
#include "runtime/data/scene_shapes.h"

enum {
    WHOLE = 256 /* a pixel's cover */,
    GRID = 9 /* knots of the background's clouds */,
    MOST_KNOTS = GRID + 1
};

static const uint8_t scene_rgb[SA_SCENE_COLORS][3] = {
    [SA_SCENE_RED] = {205, 38, 38},     [SA_SCENE_YELLOW] = {238, 205, 30}, [SA_SCENE_BLUE] = {40, 75, 210},
    [SA_SCENE_PURPLE] = {130, 45, 160}, [SA_SCENE_WHITE] = {240, 240, 238}, [SA_SCENE_BLACK] = {26, 26, 30},
    [SA_SCENE_ORANGE] = {242, 128, 22}, [SA_SCENE_PINK] = {246, 140, 185},
};

static uint8_t clamp_byte(int32_t value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* ---- background ---- */

/* Muted middle tones: no object's colour. */
static void choose_tone(scene_random *random, int32_t tone[3])
{
    int32_t grey = scene_between(random, 88, 172);
    for (int c = 0; c < 3; c++) {
        tone[c] = grey + scene_between(random, -22, 22);
    }
    if (tone[1] > tone[0] + 12 && tone[1] > tone[2] + 12) {
        tone[1] = grey; /* no green either */
    }
}

/* How far from the first tone to the second, 0 .. 256, at knots of a grid: a slope, and clouds. */
static void choose_knots(scene_random *random, int32_t knots[MOST_KNOTS][MOST_KNOTS])
{
    int32_t turn = (int32_t)scene_below(random, SCENE_TURN), clouds = scene_between(random, 0, 110);
    int32_t along_x = scene_cos(turn) / 128, along_y = scene_sin(turn) / 128; /* 128: all the way */
    for (int32_t y = 0; y < MOST_KNOTS; y++) {
        for (int32_t x = 0; x < MOST_KNOTS; x++) {
            int32_t slope = (along_x * (2 * x - GRID) + along_y * (2 * y - GRID)) / GRID;
            int32_t value = 128 + slope + scene_between(random, -clouds, clouds);
            knots[y][x] = value < 0 ? 0 : value > 256 ? 256 : value;
        }
    }
}

static void paint_background(sa_scene *scene, scene_random *random)
{
    int32_t from[3], to[3], knots[MOST_KNOTS][MOST_KNOTS];
    choose_tone(random, from);
    choose_tone(random, to);
    choose_knots(random, knots);
    uint8_t *pixel = scene->image.pixels;
    uint32_t size = (uint32_t)scene->size, step = GRID * 65536 / size; /* of the grid, in 1/65536 */
    for (uint32_t y = 0; y < size; y++) {
        uint32_t at_y = y * step, row = at_y >> 16;
        int32_t down = (int32_t)(at_y >> 8 & 255), column_mix[MOST_KNOTS];
        for (uint32_t x = 0; x < MOST_KNOTS; x++) {
            column_mix[x] = knots[row][x] * (256 - down) + knots[row + 1][x] * down;
        }
        for (uint32_t x = 0; x < size; x++) {
            uint32_t at_x = x * step, column = at_x >> 16;
            int32_t right = (int32_t)(at_x >> 8 & 255);
            int32_t mix = (column_mix[column] * (256 - right) + column_mix[column + 1] * right) >> 16;
            for (int c = 0; c < 3; c++) {
                *pixel++ = (uint8_t)(from[c] + ((to[c] - from[c]) * mix >> 8)); /* a tone between the two */
            }
        }
    }
    memset(scene->labels, 0, scene->size * scene->size);
}

/* ---- objects ---- */

/* How an object's pieces are coloured: its colours, jittered, and the shading that runs across it. */
typedef struct {
    const sa_scene_object *object;
    int32_t colors[3][3];
    int32_t cos, sin;         /* of its turn */
    int32_t period;           /* of stripes and dots, 1/256 pixel */
    int32_t light_x, light_y; /* shading: levels across the object, times 256 */
} coat;

static coat choose_coat(const sa_scene_object *o, scene_random *random)
{
    coat c = {.object = o, .cos = scene_cos((int32_t)o->turn), .sin = scene_sin((int32_t)o->turn)};
    for (int color = 0; color < 3; color++) {
        int32_t darker = scene_between(random, -10, 10);
        for (int channel = 0; channel < 3; channel++) {
            c.colors[color][channel] =
                scene_rgb[o->colors[color]][channel] + darker + scene_between(random, -8, 8);
        }
    }
    c.period = o->radius * scene_between(random, 34, 52) / 100;
    c.light_x = scene_between(random, -22, 22) * 256;
    c.light_y = scene_between(random, -22, 22) * 256;
    return c;
}

static int32_t floor_mod(int32_t value, int32_t period)
{
    int32_t rest = value % period;
    return rest < 0 ? rest + period : rest;
}

/* Which of its two colours a patterned object has at (dx, dy) from its centre. */
static int pattern_at(const coat *c, int32_t dx, int32_t dy)
{
    int32_t u = (int32_t)(((int64_t)dx * c->cos + (int64_t)dy * c->sin) / 16384);
    int32_t v = (int32_t)(((int64_t)dy * c->cos - (int64_t)dx * c->sin) / 16384);
    switch (c->object->pattern) {
    case SA_SCENE_STRIPED: return floor_mod(u, c->period) * 5 < c->period * 2;
    case SA_SCENE_HALVED: return u > 0;
    case SA_SCENE_DOTTED: {
        int64_t in_u = floor_mod(u, c->period) - c->period / 2,
                in_v = floor_mod(v, c->period) - c->period / 2;
        return (in_u * in_u + in_v * in_v) * 10 < (int64_t)c->period * c->period;
    }
    default: return 0;
    }
}

static void blend(uint8_t *pixel, const int32_t color[3], int32_t light, int32_t cover)
{
    for (int c = 0; c < 3; c++) {
        int32_t wanted = clamp_byte(color[c] + light);
        pixel[c] = (uint8_t)((pixel[c] * (WHOLE - cover) + wanted * cover) >> 8);
    }
}

/* One piece; its label where it covers half of the pixel. */
static void paint_piece(sa_scene *scene, const coat *c, const scene_piece *piece, uint8_t label)
{
    scene_polygon *polygon = &scene->scratch->polygon;
    int32_t *cover = scene->scratch->cover;
    const sa_scene_object *o = c->object;
    scene_piece_polygon(o, piece, polygon);
    scene_polygon_bound(polygon, (int32_t)scene->size);
    for (int32_t y = polygon->top; y < polygon->bottom; y++) {
        scene_polygon_row(polygon, y, cover);
        uint8_t *pixels = scene->image.pixels + (size_t)y * scene->size * 3;
        uint8_t *labels = scene->labels + (size_t)y * scene->size;
        int32_t dy = y * 256 + 128 - o->y;
        for (int32_t x = polygon->left; x < polygon->right; x++) {
            if (cover[x] == 0) {
                continue;
            }
            int32_t dx = x * 256 + 128 - o->x;
            int color = o->pattern == SA_SCENE_PLAIN ? piece->color : pattern_at(c, dx, dy);
            int32_t light =
                (int32_t)(((int64_t)dx * c->light_x + (int64_t)dy * c->light_y) / o->radius) / 256;
            blend(pixels + 3 * (size_t)x, c->colors[color], light, cover[x]);
            labels[x] = cover[x] * 2 >= WHOLE ? label : labels[x];
        }
    }
}

/* Darkens what lies under an object, off to one side. */
static void paint_shadow(sa_scene *scene, const sa_scene_object *o, scene_random *random)
{
    static const int32_t black[3] = {12, 12, 16};
    scene_polygon *polygon = &scene->scratch->polygon;
    int32_t *cover = scene->scratch->cover;
    const scene_form *form = scene_form_of(o->noun);
    sa_scene_object moved = *o;
    int32_t turn = (int32_t)scene_below(random, SCENE_TURN), depth = scene_between(random, 60, 110);
    moved.x += o->radius / 8 * scene_cos(turn) / 16384;
    moved.y += o->radius / 8 * scene_sin(turn) / 16384;
    for (uint8_t i = 0; i < form->piece_count; i++) {
        scene_piece_polygon(&moved, &form->pieces[i], polygon);
        scene_polygon_bound(polygon, (int32_t)scene->size);
        for (int32_t y = polygon->top; y < polygon->bottom; y++) {
            scene_polygon_row(polygon, y, cover);
            uint8_t *pixels = scene->image.pixels + (size_t)y * scene->size * 3;
            for (int32_t x = polygon->left; x < polygon->right; x++) {
                blend(pixels + 3 * (size_t)x, black, 0, cover[x] * depth >> 8);
            }
        }
    }
}

/* Pixels whose label is of the object with the first label `first`. */
static size_t count_labels(const sa_scene *scene, uint8_t first)
{
    size_t count = 0;
    for (size_t i = 0; i < scene->size * scene->size; i++) {
        count += (uint8_t)(scene->labels[i] - first) < SA_SCENE_MOST_PARTS;
    }
    return count;
}

static void paint_object(sa_scene *scene, size_t number, scene_random *random)
{
    sa_scene_object *o = &scene->objects[number];
    const scene_form *form = scene_form_of(o->noun);
    uint8_t first = (uint8_t)(1 + SA_SCENE_MOST_PARTS * number);
    coat c = choose_coat(o, random);
    if (scene_chance(random, 40)) {
        paint_shadow(scene, o, random);
    }
    for (uint8_t i = 0; i < form->piece_count; i++) {
        paint_piece(scene, &c, &form->pieces[i], (uint8_t)(first + form->pieces[i].part));
    }
    o->full = count_labels(scene, first);
}

/* ---- noise ---- */

enum { NOISE_RUN = 1024 /* bytes at a time */ };

/* In 16 bits, so that compilers take many bytes at a time. */
static void spread_noise(uint8_t *bytes, const uint8_t *drawn, size_t count, int16_t level)
{
    for (size_t i = 0; i < count; i++) {
        int16_t low = (int16_t)((drawn[i] & 15) * (level + 1) >> 4);
        int16_t high = (int16_t)((drawn[i] >> 4) * (level + 1) >> 4);
        int16_t value = (int16_t)(bytes[i] + low + high - level);
        value = value < 0 ? 0 : value;
        bytes[i] = (uint8_t)(value > 255 ? 255 : value);
    }
}

/* Up to +-level on every byte, of triangular shape: a byte of a random word, its upper and its lower half. */
static void add_noise(sa_scene *scene, scene_random *random)
{
    uint8_t *bytes = scene->image.pixels;
    size_t count = scene->size * scene->size * 3;
    int32_t level = scene_between(random, 0, 5);
    uint8_t drawn[NOISE_RUN];
    for (size_t i = 0; i < count && level > 0; i += NOISE_RUN) {
        size_t run = count - i < NOISE_RUN ? count - i : NOISE_RUN;
        for (size_t j = 0; j < run; j += 4) {
            uint32_t word = scene_word(random);
            for (size_t byte = 0; byte < 4; byte++) {
                drawn[j + byte] = (uint8_t)(word >> (8 * byte));
            }
        }
        spread_noise(bytes + i, drawn, run, (int16_t)level);
    }
}

/* ---- what is seen of each object ---- */

/* Counted over an object's pixels. */
typedef struct {
    size_t x0, x1, y0, y1; /* the outermost of them */
    size_t sum_x, sum_y;
} extent;

static void count_pixel(extent *e, size_t x, size_t y)
{
    e->x0 = x < e->x0 ? x : e->x0;
    e->x1 = x > e->x1 ? x : e->x1;
    e->y0 = y < e->y0 ? y : e->y0;
    e->y1 = y; /* rows come in order */
    e->sum_x += x;
    e->sum_y += y;
}

static void keep_extent(sa_scene_object *o, const extent *e)
{
    o->visible = 0;
    for (int part = 0; part < SA_SCENE_MOST_PARTS; part++) {
        o->visible += o->part_visible[part];
    }
    o->box = (sa_mask_box){0};
    o->middle_x = o->middle_y = 0;
    if (o->visible > 0) {
        o->box = (sa_mask_box){e->x0, e->y0, e->x1 - e->x0 + 1, e->y1 - e->y0 + 1};
        o->middle_x = (int32_t)(e->sum_x * 256 / o->visible) + 128;
        o->middle_y = (int32_t)(e->sum_y * 256 / o->visible) + 128;
    }
}

static void measure(sa_scene *scene)
{
    extent extents[SA_SCENE_MOST_OBJECTS];
    for (size_t i = 0; i < scene->object_count; i++) {
        extents[i] = (extent){.x0 = SIZE_MAX, .y0 = SIZE_MAX};
        memset(scene->objects[i].part_visible, 0, sizeof scene->objects[i].part_visible);
    }
    for (size_t y = 0; y < scene->size; y++) {
        for (size_t x = 0; x < scene->size; x++) {
            uint8_t label = scene->labels[y * scene->size + x];
            if (label != 0) {
                size_t i = (label - 1u) / SA_SCENE_MOST_PARTS;
                scene->objects[i].part_visible[(label - 1u) % SA_SCENE_MOST_PARTS]++;
                count_pixel(&extents[i], x, y);
            }
        }
    }
    for (size_t i = 0; i < scene->object_count; i++) {
        keep_extent(&scene->objects[i], &extents[i]);
    }
}

void scene_paint(sa_scene *scene, scene_random *random)
{
    paint_background(scene, random);
    for (size_t i = 0; i < scene->object_count; i++) {
        paint_object(scene, i, random);
    }
    add_noise(scene, random);
    measure(scene);
}

bool scene_is_clear(const sa_scene *scene)
{
    static const size_t least_share[SA_SCENE_LEVELS] = {75, 50, 35}; /* percent that is seen */
    size_t least_pixels = scene->size * scene->size / 900;           /* 8 x 9 pixels of 256 x 256 */
    for (size_t i = 0; i < scene->object_count; i++) {
        const sa_scene_object *o = &scene->objects[i];
        if (o->visible * 100 < o->full * least_share[scene->level] || o->visible < least_pixels) {
            return false;
        }
    }
    return true;
}
