/*
 * A mask that a user gives: a picture, or JSON with COCO RLE or polygons. Each function reads into `mask`,
 * which the caller has made with the size of the picture that it belongs to; another size is SA_BAD_INPUT.
 * After a failure the mask is either that one or freed.
 */
#ifndef SA_IMAGE_MASK_READ_H
#define SA_IMAGE_MASK_READ_H

#include <jansson.h>
#include <stddef.h>

#include "runtime/base/status.h"
#include "runtime/image/image.h"
#include "runtime/image/mask.h"

enum { SA_MASK_FILE_LIMIT = 512 << 20 };

/* `name` is what errors call the value. */
sa_status sa_mask_from_json(sa_mask *mask, const json_t *value, const char *name, sa_error *err);
/* The bytes of a file: JSON, told by its first character, or a picture, set where a channel is >= 128. */
sa_status sa_mask_parse(sa_mask *mask, const char *path, const unsigned char *bytes, size_t size,
                        const sa_image_limits *limits, sa_error *err);
sa_status sa_mask_read(sa_mask *mask, const char *path, const sa_image_limits *limits, sa_error *err);

#endif
