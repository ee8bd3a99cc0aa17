#include "runtime/data/scene.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/data/scene_parts.h"
#include "runtime/data/scene_shapes.h"

sa_status sa_scene_open(sa_scene *scene, size_t size, sa_error *err)
{
    memset(scene, 0, sizeof *scene);
    if (size < SA_SCENE_LEAST_SIZE || size > SA_SCENE_MOST_SIZE) {
        return sa_fail(err, SA_BAD_USAGE, "size", "take one of 32 to 2048",
                       "scenes of %zu pixels cannot be drawn", size);
    }
    SA_TRY(sa_image_new(size, size, &scene->image, err));
    scene->size = size;
    scene->labels = malloc(size * size);
    scene->scratch = malloc(sizeof *scene->scratch);
    if (scene->labels == NULL || scene->scratch == NULL) {
        sa_scene_close(scene);
        return sa_fail(err, SA_NO_ROOM, NULL, "free some memory", "no memory for scenes of %zu pixels", size);
    }
    return SA_OK;
}

void sa_scene_close(sa_scene *scene)
{
    sa_image_free(&scene->image);
    free(scene->labels);
    free(scene->scratch);
    memset(scene, 0, sizeof *scene);
}

void sa_scene_draw(sa_scene *scene, uint64_t seed, uint64_t index, sa_scene_level level, size_t phrases)
{
    SA_ASSERT(level < SA_SCENE_LEVELS && phrases >= 1 && phrases <= SA_SCENE_MOST_PHRASES);
    scene->seed = seed;
    scene->index = index;
    scene->level = level;
    scene->phrase_count = 0;
    /* Most layouts will do: test_scene.c says how many. */
    for (scene->attempts = 0; scene->phrase_count == 0; scene->attempts++) {
        scene_random random = scene_random_of(seed, index, scene->attempts);
        scene_lay_out(scene, &random);
        scene_paint(scene, &random);
        if (scene_is_clear(scene)) {
            scene->phrase_count = scene_find_phrases(scene, &random, phrases);
        }
    }
    scene->attempts--;
}

/* ---- masks ---- */

static void select_pixels(const sa_scene *scene, const bool *wanted, sa_mask *mask)
{
    SA_ASSERT(mask->height == scene->size && mask->width == scene->size);
    for (size_t y = 0; y < scene->size; y++) {
        const uint8_t *row = scene->labels + y * scene->size;
        for (size_t word = 0; word < mask->stride_words; word++) {
            uint64_t bits = 0;
            for (size_t x = word * 64; x < scene->size && x < (word + 1) * 64; x++) {
                bits |= (uint64_t)wanted[row[x]] << (x % 64);
            }
            mask->bits[y * mask->stride_words + word] = bits;
        }
    }
}

void sa_scene_target(const sa_scene *scene, const sa_scene_phrase *phrase, sa_mask *mask)
{
    bool wanted[256] = {false};
    for (int object = 0; object < SA_SCENE_MOST_OBJECTS; object++) {
        for (int part = 0; part < SA_SCENE_MOST_PARTS && phrase->objects >> object & 1; part++) {
            wanted[1 + SA_SCENE_MOST_PARTS * object + part] = phrase->part < 0 || phrase->part == part;
        }
    }
    select_pixels(scene, wanted, mask);
}

void sa_scene_object_mask(const sa_scene *scene, size_t object, sa_mask *mask)
{
    const sa_scene_phrase alone = {.objects = 1u << object, .part = -1};
    sa_scene_target(scene, &alone, mask);
}

/* ---- names ---- */

const char *sa_scene_level_name(sa_scene_level level)
{
    static const char *const names[] = {"easy", "hard", "steps"};
    return names[level];
}

const char *sa_scene_kind_name(sa_scene_kind kind)
{
    static const char *const names[] = {"attribute", "position", "relation", "ordinal",
                                        "group",     "part",     "behind"};
    return names[kind];
}

const char *sa_scene_noun_name(sa_scene_noun noun)
{
    return scene_form_of(noun)->name;
}

const char *sa_scene_color_name(sa_scene_color color)
{
    static const char *const names[] = {"red",   "yellow", "blue",   "purple",
                                        "white", "black",  "orange", "pink"};
    return names[color];
}

const char *sa_scene_pattern_name(sa_scene_pattern pattern)
{
    static const char *const names[] = {"plain", "striped", "dotted", "halved"};
    return names[pattern];
}
