/* What an image encoder looks at: a picture, and perhaps a mask painted on it. */
#ifndef SA_IMAGE_VIEW_H
#define SA_IMAGE_VIEW_H

#include "runtime/image/image.h"
#include "runtime/image/mask.h"

/* What a picture, or a view, is told from others by: 128 bits of a hash of all that it depends on. */
typedef struct {
    uint64_t low, high;
} sa_picture_name;

/* Owns nothing. */
typedef struct {
    const sa_image *picture;
    sa_picture_name name;        /* of the picture without the mask: same name, same pixels; zeros: unknown */
    const sa_mask *mask;         /* of the picture's size; NULL: none */
    const uint8_t (*paint)[256]; /* [3] with a mask, as sa_image_paint_table() makes it */
} sa_view;

/* A new picture [h, w, 3] u8 of a view that has a mask, with the mask painted on it. SA_NO_ROOM. */
sa_status sa_view_paint(const sa_view *view, sa_image *out, sa_error *err);

#endif
