#include "runtime/data/scene_shapes.h"

#include "runtime/base/status.h"

/* ---- angles ---- */

/*
 * z (a - z^2 (b - c z^2)) with the derivatives of a sine at both ends of a quarter; within 2^-12 of it. Whole
 * numbers, since the last bits of sin() differ between machines.
 */
int32_t scene_sin(int32_t turn)
{
    int32_t whole = turn & (SCENE_TURN - 1), quarter = whole & (SCENE_TURN / 4 - 1);
    int64_t z = (int64_t)(whole & (SCENE_TURN / 4) ? SCENE_TURN / 4 - quarter : quarter)
                << 6; /* 2^14: all of it */
    int64_t square = z * z >> 14;
    int64_t value = z * (25736 - (square * (10511 - (square * 1160 >> 14)) >> 14)) >> 14;
    return (int32_t)(whole & (SCENE_TURN / 2) ? -value : value);
}

int32_t scene_cos(int32_t turn)
{
    return scene_sin(turn + SCENE_TURN / 4);
}

/* ---- nouns ---- */

#define ONE(name, ...) static const scene_piece name##_pieces[] = {__VA_ARGS__}
#define WHOLE(outline, width, height)                                                                        \
    {                                                                                                        \
        outline, 0, 0, width, height, 0, 0, 0                                                                \
    }

ONE(circle, WHOLE(SCENE_DISC, 1000, 1000));
ONE(square, WHOLE(SCENE_BOX, 860, 860));
ONE(triangle, WHOLE(SCENE_WEDGE, 1000, 900));
ONE(star, WHOLE(SCENE_STAR, 1080, 1080));
ONE(ring, WHOLE(SCENE_RING, 1000, 1000));
ONE(cross, WHOLE(SCENE_CROSS, 960, 960));
ONE(heart, WHOLE(SCENE_HEART, 1000, 950));
ONE(moon, WHOLE(SCENE_MOON, 1000, 1000));
ONE(arrow, WHOLE(SCENE_ARROW, 1050, 800));
ONE(bar, WHOLE(SCENE_BOX, 1150, 260));
ONE(tree, WHOLE(SCENE_TREE, 1000, 1000));
ONE(fork, WHOLE(SCENE_FORK, 700, 1050));
ONE(zigzag, WHOLE(SCENE_ZIGZAG, 1100, 600));
ONE(spiral, WHOLE(SCENE_SPIRAL, 1000, 1000));
ONE(comb, WHOLE(SCENE_COMB, 1050, 650));

static const scene_piece flower_pieces[] = {
    {SCENE_BOX, 0, 520, 70, 500, 0, 2, 2},      {SCENE_DISC, 0, -690, 290, 290, 0, 0, 0},
    {SCENE_DISC, 400, -400, 290, 290, 0, 0, 0}, {SCENE_DISC, 250, 60, 290, 290, 0, 0, 0},
    {SCENE_DISC, -250, 60, 290, 290, 0, 0, 0},  {SCENE_DISC, -400, -400, 290, 290, 0, 0, 0},
    {SCENE_DISC, 0, -270, 260, 260, 0, 1, 1},
};
static const scene_piece house_pieces[] = {
    {SCENE_BOX, 0, 380, 620, 560, 0, 0, 0},
    {SCENE_WEDGE, 0, -520, 860, 440, 0, 1, 1},
    {SCENE_BOX, 0, 600, 170, 340, 0, 2, 2},
};
static const scene_piece car_pieces[] = {
    {SCENE_BOX, 0, 190, 1020, 260, 0, 0, 0},
    {SCENE_BOX, 60, -250, 520, 240, 0, 2, 2},
    {SCENE_DISC, -540, 480, 270, 270, 0, 1, 1},
    {SCENE_DISC, 540, 480, 270, 270, 0, 1, 1},
};
static const scene_piece snowman_pieces[] = {
    {SCENE_DISC, 0, 520, 510, 510, 0, 0, 0},
    {SCENE_DISC, 0, -190, 380, 380, 0, 0, 0},
    {SCENE_DISC, 0, -740, 280, 280, 0, 1, 1},
};
static const scene_piece mushroom_pieces[] = {
    {SCENE_BOX, 0, 420, 250, 600, 0, 1, 1},
    {SCENE_DOME, 0, -400, 1000, 560, 0, 0, 0},
};
static const scene_piece fish_pieces[] = {
    {SCENE_WEDGE, 690, 0, 480, 400, -SCENE_TURN / 4, 1, 1},
    {SCENE_DISC, -180, 0, 820, 480, 0, 0, 0},
};
static const scene_piece caterpillar_pieces[] = {
    {SCENE_DISC, 840, 60, 220, 220, 0, 0, 0},  {SCENE_DISC, 520, -70, 230, 230, 0, 1, 0},
    {SCENE_DISC, 180, 60, 240, 240, 0, 0, 0},  {SCENE_DISC, -160, -70, 240, 240, 0, 1, 0},
    {SCENE_DISC, -480, 60, 240, 240, 0, 0, 0}, {SCENE_DISC, -790, -110, 280, 280, 0, 2, 1},
};
static const scene_piece barbell_pieces[] = {
    {SCENE_BOX, 0, 0, 800, 90, 0, 1, 1},
    {SCENE_BOX, -800, 0, 220, 500, 0, 0, 0},
    {SCENE_BOX, 800, 0, 220, 500, 0, 0, 0},
};

#define PIECES(name) name##_pieces, sizeof name##_pieces / sizeof *name##_pieces
#define ANY (SCENE_TURN / 2)

static const scene_form forms[SA_SCENE_NOUNS] = {
    [SA_SCENE_CIRCLE] = {"circle", "circles", {0}, {0}, PIECES(circle), 1, ANY},
    [SA_SCENE_SQUARE] = {"square", "squares", {0}, {0}, PIECES(square), 1, 100},
    [SA_SCENE_TRIANGLE] = {"triangle", "triangles", {0}, {0}, PIECES(triangle), 1, ANY},
    [SA_SCENE_STAR] = {"star", "stars", {0}, {0}, PIECES(star), 1, ANY},
    [SA_SCENE_RING] = {"ring", "rings", {0}, {0}, PIECES(ring), 1, ANY},
    [SA_SCENE_CROSS] = {"cross", "crosses", {0}, {0}, PIECES(cross), 1, ANY},
    [SA_SCENE_HEART] = {"heart", "hearts", {0}, {0}, PIECES(heart), 1, 100},
    [SA_SCENE_MOON] = {"moon", "moons", {0}, {0}, PIECES(moon), 1, ANY},
    [SA_SCENE_ARROW] = {"arrow", "arrows", {0}, {0}, PIECES(arrow), 1, ANY},
    [SA_SCENE_BAR] = {"bar", "bars", {0}, {0}, PIECES(bar), 1, ANY},
    [SA_SCENE_FLOWER] = {"flower", "flowers", {"petals", "middle", "stem"}, {true}, PIECES(flower), 3, 60},
    [SA_SCENE_HOUSE] = {"house", "houses", {"wall", "roof", "door"}, {0}, PIECES(house), 3, 30},
    [SA_SCENE_CAR] = {"car", "cars", {"body", "wheels", "cabin"}, {false, true}, PIECES(car), 3, 50},
    [SA_SCENE_SNOWMAN] = {"snowman", "snowmen", {"body", "head"}, {0}, PIECES(snowman), 2, 50},
    [SA_SCENE_MUSHROOM] = {"mushroom", "mushrooms", {"cap", "stem"}, {0}, PIECES(mushroom), 2, 70},
    [SA_SCENE_FISH] = {"fish", "fish", {"body", "tail"}, {0}, PIECES(fish), 2, 60},
    [SA_SCENE_CATERPILLAR] =
        {"caterpillar", "caterpillars", {"body", "head"}, {0}, PIECES(caterpillar), 3, 60},
    [SA_SCENE_BARBELL] = {"barbell", "barbells", {"weights", "handle"}, {true}, PIECES(barbell), 2, ANY},
    [SA_SCENE_TREE] = {"tree", "trees", {0}, {0}, PIECES(tree), 1, 60},
    [SA_SCENE_FORK] = {"fork", "forks", {0}, {0}, PIECES(fork), 1, ANY},
    [SA_SCENE_ZIGZAG] = {"zigzag", "zigzags", {0}, {0}, PIECES(zigzag), 1, ANY},
    [SA_SCENE_SPIRAL] = {"spiral", "spirals", {0}, {0}, PIECES(spiral), 1, ANY},
    [SA_SCENE_COMB] = {"comb", "combs", {0}, {0}, PIECES(comb), 1, ANY},
};

const scene_form *scene_form_of(sa_scene_noun noun)
{
    SA_ASSERT(noun < SA_SCENE_NOUNS);
    return &forms[noun];
}

/* ---- from a piece's box to the picture ---- */

typedef struct {
    scene_polygon *polygon;
    const sa_scene_object *object;
    const scene_piece *piece;
} placement;

static scene_point turned(int64_t x, int64_t y, int32_t turn)
{
    int64_t c = scene_cos(turn), s = scene_sin(turn);
    return (scene_point){(int32_t)((x * c - y * s) / 16384), (int32_t)((x * s + y * c) / 16384)};
}

static scene_point place(const placement *p, scene_point at)
{
    scene_point sized = {at.x * p->piece->width / SCENE_UNIT, at.y * p->piece->height / SCENE_UNIT};
    scene_point in_object = turned(sized.x, sized.y, p->piece->turn);
    in_object.x += p->piece->x;
    in_object.y += p->piece->y;
    int64_t x = (int64_t)in_object.x * p->object->radius / SCENE_UNIT;
    int64_t y = (int64_t)in_object.y * p->object->radius / SCENE_UNIT;
    scene_point in_picture = turned(x, y, (int32_t)p->object->turn);
    return (scene_point){in_picture.x + p->object->x, in_picture.y + p->object->y};
}

static void add(const placement *p, const scene_point *points, size_t count)
{
    scene_point placed[128];
    SA_ASSERT(count <= sizeof placed / sizeof *placed);
    for (size_t i = 0; i < count; i++) {
        placed[i] = place(p, points[i]);
    }
    scene_polygon_add(p->polygon, placed, count);
}

/* ---- outlines ---- */

enum { ARC = 48 /* points of a circle */ };

/* `count` points of a circle around (middle_x, 0), from turn `first` to first + span. */
static size_t arc(scene_point *to, size_t count, int32_t radius, int32_t first, int32_t span,
                  int32_t middle_x)
{
    for (size_t i = 0; i < count; i++) {
        int32_t turn = first + (int32_t)i * span / (int32_t)(count > 1 ? count - 1 : 1);
        to[i] = (scene_point){middle_x + radius * scene_cos(turn) / 16384, radius * scene_sin(turn) / 16384};
    }
    return count;
}

static void add_circle(const placement *p, int32_t radius, bool hole)
{
    scene_point points[64];
    int32_t span = SCENE_TURN * 63 / 64;
    size_t count = arc(points, 64, radius, 0, hole ? -span : span, 0);
    add(p, points, count);
}

static void add_star(const placement *p)
{
    scene_point points[10];
    for (int32_t i = 0; i < 10; i++) {
        arc(points + i, 1, i % 2 == 0 ? SCENE_UNIT : SCENE_UNIT * 45 / 100,
            i * SCENE_TURN / 10 - SCENE_TURN / 4, 0, 0);
    }
    add(p, points, 10);
}

/* A disc less another one to its right. Both circles go through the tips: .831 * 1024 = 852 above and below.
 */
static void add_moon(const placement *p)
{
    scene_point points[2 * ARC];
    size_t count = arc(points, ARC, SCENE_UNIT, 160, SCENE_TURN - 320, 0);
    count += arc(points + count, ARC, 853, SCENE_TURN - 264, 528 - SCENE_TURN, 612);
    add(p, points, count);
}

static void add_dome(const placement *p)
{
    scene_point points[33];
    size_t count = arc(points, 33, SCENE_UNIT, SCENE_TURN / 2, SCENE_TURN / 2, 0);
    for (size_t i = 0; i < count; i++) {
        points[i].y = points[i].y * 2 + SCENE_UNIT; /* 0 .. -1 to 1 .. -1 */
    }
    add(p, points, count);
}

static int32_t root(int64_t value)
{
    int64_t low = 0, high = 1 << 20;
    while (low < high) {
        int64_t middle = (low + high + 1) / 2;
        if (middle * middle <= value) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return (int32_t)low;
}

/* A stroke of half the width `half` from a to b, longer by that at both ends. */
static void add_stroke(const placement *p, scene_point a, scene_point b, int32_t half)
{
    int64_t dx = b.x - a.x, dy = b.y - a.y;
    int32_t length = root(dx * dx + dy * dy);
    int32_t along_x = (int32_t)(dx * half / length), along_y = (int32_t)(dy * half / length);
    const scene_point corners[] = {
        {a.x - along_x + along_y, a.y - along_y - along_x},
        {b.x + along_x + along_y, b.y + along_y - along_x},
        {b.x + along_x - along_y, b.y + along_y + along_x},
        {a.x - along_x - along_y, a.y - along_y + along_x},
    };
    add(p, corners, 4);
}

/* Strokes from point to point; pairs of them where `apart`. */
static void add_strokes(const placement *p, const scene_point *points, size_t count, bool apart, int32_t half)
{
    for (size_t i = 0; i + 1 < count; i += apart ? 2 : 1) {
        add_stroke(p, points[i], points[i + 1], half);
    }
}

static void add_spiral(const placement *p)
{
    enum { STEPS = 36 }; /* two turns and a quarter */
    scene_point points[STEPS + 1];
    for (int32_t i = 0; i <= STEPS; i++) {
        arc(points + i, 1, 120 + i * (SCENE_UNIT - 220) / STEPS, i * SCENE_TURN / 16, 0, 0);
    }
    add_strokes(p, points, STEPS + 1, false, 85);
}

#define ADD(p, ...)                                                                                          \
    add(p, (const scene_point[]){__VA_ARGS__},                                                               \
        sizeof((const scene_point[]){__VA_ARGS__}) / sizeof(scene_point))
#define ADD_STROKES(p, apart, half, ...)                                                                     \
    add_strokes(p, (const scene_point[]){__VA_ARGS__},                                                       \
                sizeof((const scene_point[]){__VA_ARGS__}) / sizeof(scene_point), apart, half)

static void add_outline(const placement *p)
{
    switch (p->piece->outline) {
    case SCENE_DISC: add_circle(p, SCENE_UNIT, false); break;
    case SCENE_RING:
        add_circle(p, SCENE_UNIT, false);
        add_circle(p, SCENE_UNIT * 58 / 100, true);
        break;
    case SCENE_BOX: ADD(p, {-1024, -1024}, {1024, -1024}, {1024, 1024}, {-1024, 1024}); break;
    case SCENE_WEDGE: ADD(p, {0, -1024}, {1024, 1024}, {-1024, 1024}); break;
    case SCENE_STAR: add_star(p); break;
    case SCENE_CROSS:
        ADD(p, {-340, -1024}, {340, -1024}, {340, -340}, {1024, -340}, {1024, 340}, {340, 340}, {340, 1024},
            {-340, 1024}, {-340, 340}, {-1024, 340}, {-1024, -340}, {-340, -340});
        break;
    case SCENE_HEART:
        ADD(p, {0, 1024}, {-540, 480}, {-860, 80}, {-1000, -300}, {-970, -640}, {-800, -880}, {-540, -980},
            {-280, -930}, {-90, -790}, {0, -620}, {90, -790}, {280, -930}, {540, -980}, {800, -880},
            {970, -640}, {1000, -300}, {860, 80}, {540, 480});
        break;
    case SCENE_MOON: add_moon(p); break;
    case SCENE_ARROW:
        ADD(p, {-1024, -380}, {100, -380}, {100, -1024}, {1024, 0}, {100, 1024}, {100, 380}, {-1024, 380});
        break;
    case SCENE_DOME: add_dome(p); break;
    case SCENE_TREE:
        ADD_STROKES(p, true, 80, {0, 940}, {0, -300}, {0, 300}, {-620, -160}, {0, 100}, {600, -330},
                    {0, -260}, {-400, -900}, {0, -260}, {360, -920}, {-330, 55}, {-800, 130}, {330, -140},
                    {840, -80});
        break;
    case SCENE_FORK:
        ADD_STROKES(p, true, 95, {0, 920}, {0, -200}, {-800, -150}, {800, -150}, {-800, -150}, {-800, -920},
                    {0, -150}, {0, -920}, {800, -150}, {800, -920});
        break;
    case SCENE_ZIGZAG:
        ADD_STROKES(p, false, 120, {-900, 800}, {-450, -800}, {0, 800}, {450, -800}, {900, 800});
        break;
    case SCENE_SPIRAL: add_spiral(p); break;
    case SCENE_COMB:
        ADD_STROKES(p, true, 75, {-940, -850}, {940, -850}, {-940, -850}, {-940, 900}, {-560, -850},
                    {-560, 900}, {-190, -850}, {-190, 900}, {190, -850}, {190, 900}, {560, -850}, {560, 900},
                    {940, -850}, {940, 900});
        break;
    }
}

void scene_piece_polygon(const sa_scene_object *object, const scene_piece *piece, scene_polygon *polygon)
{
    const placement p = {polygon, object, piece};
    scene_polygon_clear(polygon);
    add_outline(&p);
}
