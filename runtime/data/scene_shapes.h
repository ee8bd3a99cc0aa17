/*
 * What objects look like: the parts of each noun and the outline of each part. Inside runtime/data.
 */
#ifndef SA_DATA_SCENE_SHAPES_H
#define SA_DATA_SCENE_SHAPES_H

#include "runtime/data/scene.h"
#include "runtime/data/scene_polygon.h"

/* Outlines, in a box of +-SCENE_UNIT, y down. */
typedef enum {
    SCENE_DISC,
    SCENE_BOX,
    SCENE_WEDGE, /* a triangle, point up */
    SCENE_STAR,
    SCENE_RING,
    SCENE_CROSS,
    SCENE_HEART,
    SCENE_MOON,
    SCENE_ARROW, /* to the right */
    SCENE_DOME,  /* the upper half of a disc, centred */
    SCENE_TREE,
    SCENE_FORK,
    SCENE_ZIGZAG,
    SCENE_SPIRAL,
    SCENE_COMB,
} scene_outline;

enum { SCENE_UNIT = 1024, SCENE_TURN = 1024 };

/* One piece of an object; several pieces may be one part ("the wheels"). */
typedef struct {
    scene_outline outline;
    int16_t x, y, width, height; /* centre and half sides, in the object's box of +-SCENE_UNIT */
    int16_t turn;
    uint8_t color; /* 0 .. 2: which of the object's colors */
    uint8_t part;
} scene_piece;

typedef struct {
    const char *name, *plural;
    const char *parts[SA_SCENE_MOST_PARTS]; /* how parts are called; none for an object of one part */
    bool many[SA_SCENE_MOST_PARTS];         /* "wheels": a part of several pieces */
    const scene_piece *pieces;              /* from the back to the front */
    uint8_t piece_count, color_count;
    int16_t tilt; /* it may be turned by up to this either way; SCENE_TURN / 2: any way */
} scene_form;

const scene_form *scene_form_of(sa_scene_noun noun);

/* sin and cos of a turn, times 2^14. */
int32_t scene_sin(int32_t turn);
int32_t scene_cos(int32_t turn);

/* The outline of one piece of an object, where it lies in the picture; without its bounds. */
void scene_piece_polygon(const sa_scene_object *object, const scene_piece *piece, scene_polygon *polygon);

#endif
