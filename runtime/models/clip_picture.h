/*
 * A picture's way to the square that a CLIP tower sees (MODEL_SPECS 5.4), before it is normalised:
 *
 *   picture -> [ pad to a square ] -> resize (Pillow's, byte for byte) -> [ cut out the middle ] -> square
 *
 * Only what the square shows is computed: a padded picture is never held as a whole, and of a resized one no
 * more than the middle.
 */
#ifndef SA_MODELS_CLIP_PICTURE_H
#define SA_MODELS_CLIP_PICTURE_H

#include "runtime/base/arena.h"
#include "runtime/image/image.h"
#include "runtime/image/resize.h"
#include "runtime/models/clip_config.h"

typedef struct {
    sa_clip_preprocess preprocess;
    size_t side;  /* of the tower: image_size */
    size_t shown; /* of the result: the pixels that fall into whole patches */
    size_t max_pixels, max_side;
    uint8_t *strip;  /* rows of the padded picture */
    uint8_t *column; /* the padded picture, resized across */
    void *workspace;
    size_t strip_bytes, column_bytes, workspace_bytes;
} sa_clip_picture;

/* Sizes its memory for pictures within the limits; sa_clip_picture_plan() then takes it from host memory. */
sa_status sa_clip_picture_measure(sa_clip_picture *p, const sa_clip_preprocess *preprocess,
                                  const sa_clip_config *config, size_t max_pixels, size_t max_side,
                                  sa_error *err);
void sa_clip_picture_plan(sa_clip_picture *p, sa_arena *arena);

/* SA_BAD_INPUT if the picture is beyond the limits. */
sa_status sa_clip_picture_check(const sa_clip_picture *p, const sa_image *picture, sa_error *err);
/*
 * How a picture (one that is padded: with its padding) is resized: what of which whole becomes the square.
 */
sa_resize_u8_args sa_clip_picture_resize(const sa_clip_picture *p, const uint8_t *in, size_t height,
                                         size_t width, uint8_t *out);
/* square [shown, shown, 3] of a picture that was checked. The pool does not change it. */
void sa_clip_picture_run(sa_clip_picture *p, const sa_image *picture, uint8_t *square, sa_pool *pool);

#endif
