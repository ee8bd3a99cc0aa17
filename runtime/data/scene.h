/*
 * Synthetic referring scenes: a picture, a phrase, and the mask of what the phrase names. The world in which
 * the tiny agent (weights_tools/tiny) is trained and measured.
 *
 *   (seed, index, level) -> layout -> painting: picture and labels -> phrases -> manifest rows, contact sheet
 *
 * Everything is integers, and random choices are keyed by (seed, index): the same scene on every machine, in
 * any order. A phrase is taken only if it names its target and nothing else, with a margin where it compares
 * (the leftmost of two must be so by a distance that one sees).
 */
#ifndef SA_DATA_SCENE_H
#define SA_DATA_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/image/image.h"
#include "runtime/image/mask.h"

/*
 * easy   2-5 objects of 6 shapes and 6 colours, hardly occluded
 * hard   2-6 smaller objects of 10 shapes and 8 colours, a quarter of two colours, with occlusion
 * steps  one click is not enough: objects of parts in different colours, targets that an occluder splits,
 * pairs and groups, thin and branching shapes, neighbours of the same colour that touch the target
 */
typedef enum { SA_SCENE_EASY, SA_SCENE_HARD, SA_SCENE_STEPS, SA_SCENE_LEVELS } sa_scene_level;

/* What an object is called. */
typedef enum {
    SA_SCENE_CIRCLE,
    SA_SCENE_SQUARE,
    SA_SCENE_TRIANGLE,
    SA_SCENE_STAR,
    SA_SCENE_RING,
    SA_SCENE_CROSS, /* the easy ones */
    SA_SCENE_HEART,
    SA_SCENE_MOON,
    SA_SCENE_ARROW,
    SA_SCENE_BAR, /* the hard ones */
    SA_SCENE_FLOWER,
    SA_SCENE_HOUSE,
    SA_SCENE_CAR,
    SA_SCENE_SNOWMAN,
    SA_SCENE_MUSHROOM,
    SA_SCENE_FISH,
    SA_SCENE_CATERPILLAR,
    SA_SCENE_BARBELL, /* of several parts */
    SA_SCENE_TREE,
    SA_SCENE_FORK,
    SA_SCENE_ZIGZAG,
    SA_SCENE_SPIRAL,
    SA_SCENE_COMB, /* thin */
    SA_SCENE_NOUNS,
} sa_scene_noun;

/* No green: the mask is painted in green. */
typedef enum {
    SA_SCENE_RED,
    SA_SCENE_YELLOW,
    SA_SCENE_BLUE,
    SA_SCENE_PURPLE,
    SA_SCENE_WHITE,
    SA_SCENE_BLACK, /* the easy ones */
    SA_SCENE_ORANGE,
    SA_SCENE_PINK,
    SA_SCENE_COLORS,
} sa_scene_color;

typedef enum {
    SA_SCENE_PLAIN,
    SA_SCENE_STRIPED,
    SA_SCENE_DOTTED,
    SA_SCENE_HALVED, /* one half in each color */
    SA_SCENE_PATTERNS,
} sa_scene_pattern;

enum {
    SA_SCENE_LEAST_SIZE = 32, /* pixels of a side */
    SA_SCENE_MOST_SIZE = 2048,
    SA_SCENE_MOST_OBJECTS = 8,
    SA_SCENE_MOST_PARTS = 4, /* kinds of parts of one object */
    SA_SCENE_MOST_PHRASES = 8,
    SA_SCENE_TEXT = 128, /* bytes of a phrase, its zero included */
};

typedef struct {
    sa_scene_noun noun;
    sa_scene_pattern pattern;
    uint8_t color_count;      /* colors that it shows, 1 .. 3; [0] is the one it is called by */
    sa_scene_color colors[3]; /* different from each other */
    int32_t x, y, radius;     /* centre and size, in 1/256 pixel */
    uint32_t turn;            /* clockwise, 1/1024 of a full one */
    size_t full, visible;     /* pixels inside the picture: of the whole object, of what nothing hides */
    size_t part_visible[SA_SCENE_MOST_PARTS];
    int32_t middle_x, middle_y; /* of the visible pixels, in 1/256 pixel */
    sa_mask_box box;            /* of the visible pixels */
} sa_scene_object;

/* What a phrase says, and how it was found; text is lower case, words and single spaces. */
typedef enum {
    SA_SCENE_ATTRIBUTE, /* "the striped red circle" */
    SA_SCENE_POSITION,  /* "the leftmost circle", "the biggest star" */
    SA_SCENE_RELATION,  /* "the star left of the red circle" */
    SA_SCENE_ORDINAL,   /* "the second circle from the left" */
    SA_SCENE_GROUP,     /* "both red circles", "all stars" */
    SA_SCENE_PART,      /* "the wheels of the red car" */
    SA_SCENE_BEHIND,    /* "the circle behind the blue bar" */
    SA_SCENE_KINDS,
} sa_scene_kind;

typedef struct {
    sa_scene_kind kind;
    char text[SA_SCENE_TEXT];
    uint32_t objects; /* bit i: object i is a target */
    int part;         /* the part of it that is meant, or -1: all of it */
} sa_scene_phrase;

/*
 * A scene, drawn. labels [size,size]: 0 is the background, 1 + SA_SCENE_MOST_PARTS * object + part otherwise,
 * of the topmost object that covers half of the pixel or more. Objects stand from the bottom to the top.
 */
typedef struct {
    uint64_t seed, index;
    sa_scene_level level;
    size_t size;
    uint32_t attempts; /* layouts that were thrown away, all phrases of an unclear one included */
    size_t object_count, phrase_count;
    sa_scene_object objects[SA_SCENE_MOST_OBJECTS];
    sa_scene_phrase phrases[SA_SCENE_MOST_PHRASES]; /* different targets; at least one */
    sa_image image;                                 /* [size,size,3] */
    uint8_t *labels;
    struct sa_scene_scratch *scratch;
} sa_scene;

/* Memory for scenes of one size, drawn into again and again. SA_BAD_USAGE for a size out of range;
 * SA_NO_ROOM. */
sa_status sa_scene_open(sa_scene *scene, size_t size, sa_error *err);
void sa_scene_close(sa_scene *scene); /* fine for a zeroed one */

/*
 * Draws scene `index` of `seed` with up to `phrases` (1 .. SA_SCENE_MOST_PHRASES) phrases, each with another
 * target; a scene has one at least.
 */
void sa_scene_draw(sa_scene *scene, uint64_t seed, uint64_t index, sa_scene_level level, size_t phrases);

/* The visible pixels of a phrase's target (of object i alone); mask of the scene's size. */
void sa_scene_target(const sa_scene *scene, const sa_scene_phrase *phrase, sa_mask *mask);
void sa_scene_object_mask(const sa_scene *scene, size_t object, sa_mask *mask);

/* Names as they stand in phrases and files. */
const char *sa_scene_level_name(sa_scene_level level);
const char *sa_scene_kind_name(sa_scene_kind kind);
const char *sa_scene_noun_name(sa_scene_noun noun);
const char *sa_scene_color_name(sa_scene_color color);
const char *sa_scene_pattern_name(sa_scene_pattern pattern);

#endif
