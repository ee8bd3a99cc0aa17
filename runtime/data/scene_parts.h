/* How scenes are made, box by box; scene.h has the whole. Inside runtime/data. */
#ifndef SA_DATA_SCENE_PARTS_H
#define SA_DATA_SCENE_PARTS_H

#include "runtime/data/scene.h"
#include "runtime/data/scene_polygon.h"
#include "runtime/data/scene_random.h"

struct sa_scene_scratch {
    scene_polygon polygon;
    int32_t cover[SA_SCENE_MOST_SIZE + 1];
};

/* Which objects, where: scene->objects, from the bottom to the top. Sizes follow scene->size. */
void scene_lay_out(sa_scene *scene, scene_random *random);

/* Paints background and objects: image, labels, and what objects say of their visible pixels. */
void scene_paint(sa_scene *scene, scene_random *random);

/* Whether each object shows enough of itself to be spoken of. */
bool scene_is_clear(const sa_scene *scene);

/* Up to `most` phrases with different targets; returns how many: 0 if nothing can be said. */
size_t scene_find_phrases(sa_scene *scene, scene_random *random, size_t most);

#endif
