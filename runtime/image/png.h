/* A PNG file taken apart: what png_read.c finds in its chunks. */
#ifndef SA_IMAGE_PNG_H
#define SA_IMAGE_PNG_H

#include "runtime/image/codec.h"

/* Bytes inside the file; NULL if there is no such chunk. `kind` is the chunk's type. */
typedef struct {
    uint32_t kind;
    const uint8_t *bytes;
    size_t size;
} sa_png_part;

typedef struct {
    uint32_t width, height;
    unsigned depth;          /* bits of a sample: 1, 2, 4, 8, 16 */
    unsigned color;          /* 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha */
    unsigned channels;       /* samples of a pixel */
    uint8_t palette[256][3]; /* black where the file gives no color */
    sa_png_part exif, raw_profile, xmp;
    size_t data_size; /* of the zlib stream, all its chunks together */
} sa_png;

#define SA_PNG_KIND(a, b, c, d)                                                                              \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

/*
 * 1..8 from eXIf, ImageMagick's "Raw profile type exif" text or XMP, in this order; 1 if nothing is said; -1
 * if there is no memory to find out.
 */
int sa_png_orientation(const sa_png *png);

#endif
