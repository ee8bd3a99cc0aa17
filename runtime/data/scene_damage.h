/*
 * Coarse masks of a scene: the truth as a hasty annotator, or another model, would leave it. What `refine`
 * has to mend and `filter` to tell apart.
 *
 *   (scene, phrase) -> truth -> one kind of damage, drawn by (seed, index, phrase) -> mask
 *
 * In whole numbers, like the scenes: the same mask on every machine.
 */
#ifndef SA_DATA_SCENE_DAMAGE_H
#define SA_DATA_SCENE_DAMAGE_H

#include "runtime/data/scene.h"

/* Each as likely as the others; measures are for 256 pixels and grow with the picture. */
typedef enum {
    SA_SCENE_ERODED,  /* less by 1 to 7 pixels all around */
    SA_SCENE_GROWN,   /* more by 1 to 9 */
    SA_SCENE_SHIFTED, /* by up to 25 either way */
    SA_SCENE_CUT,     /* what lies on one side of a line through it */
    SA_SCENE_HOLED,   /* without a disc of radius 8 to 45 around one of its pixels */
    SA_SCENE_SPILLED, /* with such a disc */
    SA_SCENE_JOINED,  /* with another object */
    SA_SCENE_OTHER,   /* another object's */
    SA_SCENE_DAMAGES,
} sa_scene_damage;

/*
 * Draws a mask of the scene's size that is not empty. Where the kind that was drawn would leave nothing it is
 * made milder, and where there is no other object the mask is spilled or grown instead; *damage says what was
 * done. SA_NO_ROOM.
 */
sa_status sa_scene_coarse(const sa_scene *scene, size_t phrase, sa_mask *mask, sa_scene_damage *damage,
                          sa_error *err);

const char *sa_scene_damage_name(sa_scene_damage damage);

#endif
