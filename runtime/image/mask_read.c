#include "runtime/image/mask_read.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/image/rle.h"

static sa_status mask_from_picture(const char *path, const unsigned char *bytes, size_t size,
                                   const sa_image_limits *limits, sa_mask *mask, sa_error *err)
{
    sa_image image;
    SA_TRY(sa_image_decode(path, bytes, size, limits, &image, err));
    sa_status status = SA_OK;
    if (image.height != mask->height || image.width != mask->width) {
        status = sa_fail(err, SA_BAD_INPUT, path, "give a mask of the picture's size",
                         "the mask is %zux%zu, the picture %zux%zu", image.width, image.height, mask->width,
                         mask->height);
    }
    for (size_t i = 0; status == SA_OK && i < image.height * image.width; i++) {
        const uint8_t *p = &image.pixels[3 * i];
        sa_mask_set(mask, i % image.width, i / image.width, (p[0] | p[1] | p[2]) >= 128);
    }
    sa_image_free(&image);
    return status;
}

sa_status sa_mask_from_json(sa_mask *mask, const json_t *value, const char *name, sa_error *err)
{
    sa_rle rle;
    size_t height = mask->height, width = mask->width;
    SA_TRY(sa_rle_from_json(&rle, value, name, height, width, err));
    sa_mask_free(mask);
    sa_status status = sa_rle_decode(&rle, mask, err);
    sa_rle_free(&rle);
    return status;
}

static bool looks_like_json(const unsigned char *bytes, size_t size)
{
    size_t at = 0;
    while (at < size && memchr(" \t\r\n", bytes[at], 4) != NULL) {
        at++;
    }
    return at < size && (bytes[at] == '{' || bytes[at] == '[');
}

sa_status sa_mask_parse(sa_mask *mask, const char *path, const unsigned char *bytes, size_t size,
                        const sa_image_limits *limits, sa_error *err)
{
    if (!looks_like_json(bytes, size)) {
        return mask_from_picture(path, bytes, size, limits, mask, err);
    }
    json_t *value;
    SA_TRY(sa_json_parse(path, bytes, size, &value, err));
    sa_status status = sa_mask_from_json(mask, value, path, err);
    json_decref(value);
    return status;
}

sa_status sa_mask_read(sa_mask *mask, const char *path, const sa_image_limits *limits, sa_error *err)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    SA_TRY(sa_file_read(path, SA_MASK_FILE_LIMIT, &bytes, &size, err));
    sa_status status = sa_mask_parse(mask, path, bytes, size, limits, err);
    free(bytes);
    return status;
}
