/*
 * Scenes as files: rows of a manifest, and a contact sheet to look at.
 */
#ifndef SA_DATA_SCENE_ROW_H
#define SA_DATA_SCENE_ROW_H

#include "runtime/base/json.h"
#include "runtime/data/scene.h"

/* What rows have that not everybody needs. */
typedef struct {
    bool masks;  /* of every object, for training */
    bool coarse; /* a mask to start from (scene_damage.h), and what is wrong with it */
} sa_scene_row_options;

/*
 * One manifest row for phrase `number` of the scene:
 *   {"id": "LEVEL-SEED-INDEX[-NUMBER]", "image", "text"[, "mask": RLE], "gt": RLE,
 *    "meta": {"level", "difficulty", "kind", "part"[, "coarse": name of the damage],
 *             "objects": [{"shape", "pattern", "colors", "box": [x, y, width, height], "center": [x, y],
 *                          "radius", "visible", "target"[, "mask": RLE]}]}}
 * difficulty: the share of the target, in its box, that is not background or something else, and in how many
 * pieces it is. NUMBER stands in the id when the scene has several phrases. SA_NO_ROOM.
 */
sa_status sa_scene_write_row(const sa_scene *scene, size_t number, const char *image,
                             sa_scene_row_options options, sa_json_writer *w, sa_error *err);

/* Pieces of a mask that do not touch, corners counting as touching; SA_NO_ROOM. */
sa_status sa_scene_count_pieces(const sa_mask *mask, size_t *pieces, sa_error *err);

/*
 * A contact sheet: `count` tiles, each a scene with its target outlined and the phrase below. Scenes are made
 * to fit 256 x 256.
 */
typedef struct {
    sa_image image;
    size_t columns, used;
} sa_scene_sheet;

sa_status sa_scene_sheet_open(sa_scene_sheet *sheet, size_t count, sa_error *err);
void sa_scene_sheet_close(sa_scene_sheet *sheet);
sa_status sa_scene_sheet_add(sa_scene_sheet *sheet, const sa_scene *scene, const sa_scene_phrase *phrase,
                             sa_error *err);

#endif
