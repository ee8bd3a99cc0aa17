/* A PNG file taken apart: what png_read.c finds in its chunks and png_pixels.c turns into a picture. */
#ifndef SA_IMAGE_PNG_H
#define SA_IMAGE_PNG_H

#include <stdlib.h>

#include "runtime/image/codec.h"

/* Bytes inside the file; NULL if there is no such chunk. `kind` is the chunk's type. */
typedef struct {
    uint32_t kind;
    const uint8_t *bytes;
    size_t size;
} sa_png_part;

typedef struct {
    uint32_t width, height;
    unsigned depth;    /* bits of a sample: 1, 2, 4, 8, 16 */
    unsigned color;    /* 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha */
    unsigned channels; /* samples of a pixel */
    bool interlaced;
    uint8_t palette[256][3]; /* black where the file gives no color */
    sa_png_part exif, raw_profile, xmp;
    const uint8_t *data; /* the zlib stream; in the file, or joined in `joined` */
    size_t data_size;
    uint8_t *joined;
} sa_png;

#define SA_PNG_KIND(a, b, c, d)                                                                              \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/* 1..8 from eXIf, ImageMagick's "Raw profile type exif" text or XMP, in this order; 1 if nothing is said; -1
 * if there is no memory to find out. */
int sa_png_orientation(const sa_png *png);

/* Bytes that the zlib stream has to unpack to. */
uint64_t sa_png_raw_size(const sa_png *png);

/* raw[0, sa_png_raw_size) is undone in place: filters, interlacing, palette, depth -> image. False: unknown
 * filter. */
bool sa_png_unpack(const sa_png *png, uint8_t *raw, sa_image *image);

/* Of left, above and above-left: the one nearest to left + above - corner; ties in this order. */
static inline uint8_t sa_png_paeth(int left, int above, int corner)
{
    int from_left = abs(above - corner), from_above = abs(left - corner);
    int from_corner = abs(left + above - 2 * corner);
    if (from_left <= from_above && from_left <= from_corner) {
        return (uint8_t)left;
    }
    return (uint8_t)(from_above <= from_corner ? above : corner);
}

#endif
