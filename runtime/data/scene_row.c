#include "runtime/data/scene_row.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/data/scene_damage.h"
#include "runtime/data/scene_shapes.h"
#include "runtime/image/rle.h"

/* ---- pieces ---- */

/* The pixels that hang together with the one on top of the stack leave `left`. */
static void take_piece(sa_mask *left, uint32_t *stack, size_t top)
{
    while (top > 0) {
        size_t at = stack[--top], y = at / left->width, x = at % left->width;
        for (size_t ny = y > 0 ? y - 1 : 0; ny <= y + 1 && ny < left->height; ny++) {
            for (size_t nx = x > 0 ? x - 1 : 0; nx <= x + 1 && nx < left->width; nx++) {
                if (sa_mask_get(left, nx, ny)) {
                    sa_mask_set(left, nx, ny, false);
                    stack[top++] = (uint32_t)(ny * left->width + nx);
                }
            }
        }
    }
}

sa_status sa_scene_count_pieces(const sa_mask *mask, size_t *pieces, sa_error *err)
{
    sa_mask left;
    SA_TRY(sa_mask_copy(&left, mask, err));
    uint32_t *stack = malloc((sa_mask_area(mask) + 1) * sizeof *stack);
    *pieces = 0;
    for (size_t y = 0; y < left.height && stack != NULL; y++) {
        for (size_t x = 0; x < left.width; x++) {
            if (sa_mask_get(&left, x, y)) {
                sa_mask_set(&left, x, y, false);
                stack[0] = (uint32_t)(y * left.width + x);
                take_piece(&left, stack, 1);
                ++*pieces;
            }
        }
    }
    sa_mask_free(&left);
    sa_status status = stack != NULL
                           ? SA_OK
                           : sa_fail(err, SA_NO_ROOM, NULL, "free some memory", "no memory to count pieces");
    free(stack);
    return status;
}

/* ---- rows ---- */

static sa_status write_mask(sa_json_writer *w, const char *key, const sa_mask *mask, sa_error *err)
{
    sa_rle rle;
    SA_TRY(sa_rle_encode(&rle, mask, err));
    sa_json_key(w, key);
    sa_status status = sa_rle_write_json(&rle, w, err);
    sa_rle_free(&rle);
    return status;
}

static void write_pair(sa_json_writer *w, const char *key, int32_t x, int32_t y)
{
    sa_json_key(w, key);
    sa_json_begin_array(w);
    sa_json_f64(w, x / 256.0);
    sa_json_f64(w, y / 256.0);
    sa_json_end_array(w);
}

static void write_box(sa_json_writer *w, sa_mask_box box)
{
    const size_t values[] = {box.x, box.y, box.width, box.height};
    sa_json_key(w, "box");
    sa_json_begin_array(w);
    for (int i = 0; i < 4; i++) {
        sa_json_int(w, (int64_t)values[i]);
    }
    sa_json_end_array(w);
}

/* Whole numbers of 1/1000, so that no machine rounds otherwise. */
static void write_share(sa_json_writer *w, const char *key, size_t part, size_t whole)
{
    sa_json_put_f64(w, key, (double)(part * 1000 / (whole > 0 ? whole : 1)) / 1000);
}

static void write_look(sa_json_writer *w, const sa_scene_object *o)
{
    sa_json_put_string(w, "shape", sa_scene_noun_name(o->noun));
    sa_json_put_string(w, "pattern", sa_scene_pattern_name(o->pattern));
    sa_json_key(w, "colors");
    sa_json_begin_array(w);
    for (int i = 0; i < o->color_count; i++) {
        sa_json_string(w, sa_scene_color_name(o->colors[i]));
    }
    sa_json_end_array(w);
}

static sa_status write_object(const sa_scene *scene, size_t i, bool target, bool masks, sa_mask *scratch,
                              sa_json_writer *w, sa_error *err)
{
    const sa_scene_object *o = &scene->objects[i];
    sa_json_begin_object(w);
    write_look(w, o);
    write_box(w, o->box);
    write_pair(w, "center", o->middle_x, o->middle_y);
    sa_json_put_f64(w, "radius", o->radius / 256.0);
    write_share(w, "visible", o->visible, o->full);
    sa_json_put_bool(w, "target", target);
    if (masks) {
        sa_scene_object_mask(scene, i, scratch);
        SA_TRY(write_mask(w, "mask", scratch, err));
    }
    sa_json_end_object(w);
    return SA_OK;
}

static sa_status write_difficulty(const sa_mask *target, sa_json_writer *w, sa_error *err)
{
    sa_mask_box box = sa_mask_bbox(target);
    size_t pieces;
    SA_TRY(sa_scene_count_pieces(target, &pieces, err));
    sa_json_key(w, "difficulty");
    sa_json_begin_object(w);
    write_share(w, "fill", sa_mask_area(target), box.width * box.height);
    sa_json_put_int(w, "pieces", pieces);
    sa_json_end_object(w);
    return SA_OK;
}

/* `coarse`: what is wrong with the row's mask; NULL if it has none. */
static sa_status write_meta(const sa_scene *scene, const sa_scene_phrase *phrase, bool masks,
                            const char *coarse, sa_mask *scratch, sa_json_writer *w, sa_error *err)
{
    sa_json_key(w, "meta");
    sa_json_begin_object(w);
    sa_json_put_string(w, "level", sa_scene_level_name(scene->level));
    SA_TRY(write_difficulty(scratch, w, err));
    sa_json_put_string(w, "kind", sa_scene_kind_name(phrase->kind));
    sa_json_key(w, "part");
    int owner = __builtin_ctz(phrase->objects);
    sa_json_string(w,
                   phrase->part < 0 ? NULL : scene_form_of(scene->objects[owner].noun)->parts[phrase->part]);
    if (coarse != NULL) {
        sa_json_put_string(w, "coarse", coarse);
    }
    sa_json_key(w, "objects");
    sa_json_begin_array(w);
    for (size_t i = 0; i < scene->object_count; i++) {
        SA_TRY(write_object(scene, i, phrase->objects >> i & 1, masks, scratch, w, err));
    }
    sa_json_end_array(w);
    sa_json_end_object(w);
    return SA_OK;
}

/* id, image, text, and the coarse mask; its damage, or NULL. */
static sa_status write_head(const sa_scene *scene, size_t number, const char *image, bool coarse,
                            sa_mask *scratch, const char **damage, sa_json_writer *w, sa_error *err)
{
    char id[96];
    sa_scene_damage kind;
    int length = snprintf(id, sizeof id, "%s-%" PRIu64 "-%06" PRIu64, sa_scene_level_name(scene->level),
                          scene->seed, scene->index);
    if (scene->phrase_count > 1) {
        snprintf(id + length, sizeof id - (size_t)length, "-%zu", number);
    }
    sa_json_put_string(w, "id", id);
    sa_json_put_string(w, "image", image);
    sa_json_put_string(w, "text", scene->phrases[number].text);
    *damage = NULL;
    if (!coarse) {
        return SA_OK;
    }
    SA_TRY(sa_scene_coarse(scene, number, scratch, &kind, err));
    *damage = sa_scene_damage_name(kind);
    return write_mask(w, "mask", scratch, err);
}

sa_status sa_scene_write_row(const sa_scene *scene, size_t number, const char *image,
                             sa_scene_row_options options, sa_json_writer *w, sa_error *err)
{
    const sa_scene_phrase *phrase = &scene->phrases[number];
    const char *damage;
    sa_mask scratch;
    SA_TRY(sa_mask_new(&scratch, scene->size, scene->size, err));
    sa_json_begin_object(w);
    sa_status status = write_head(scene, number, image, options.coarse, &scratch, &damage, w, err);
    if (status == SA_OK) {
        sa_scene_target(scene, phrase, &scratch);
        status = write_mask(w, "gt", &scratch, err);
    }
    if (status == SA_OK) {
        status = write_meta(scene, phrase, options.masks, damage, &scratch, w, err);
    }
    sa_json_end_object(w);
    sa_json_end_line(w);
    sa_mask_free(&scratch);
    return status;
}
