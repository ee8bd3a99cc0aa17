/*
 * Pictures: read from files, written to files, painted on. The first box of the data flow:
 *
 *     file -> sa_image_read -> upright 8-bit RGB -> segmenter, or overlay -> (JPEG round trip) -> vision
 * tower
 *
 * The pixels are the reference's: what Pillow 13 gives for
 * ImageOps.exif_transpose(Image.open(f)).convert("RGB"). Where that cannot be had, the file is refused and
 * the error names the kind of file.
 */
#ifndef SA_IMAGE_IMAGE_H
#define SA_IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"
#include "runtime/image/mask.h"

/* pixels [height,width,3] u8, rows without gaps, owned by the image. All zero is the empty image. */
typedef struct {
    size_t height, width;
    uint8_t *pixels;
} sa_image;

/* A new image; its pixels are undefined. Sides of 0, or a size beyond memory, are SA_NO_ROOM. */
sa_status sa_image_new(size_t height, size_t width, sa_image *image, sa_error *err);
/* Frees the pixels and empties the image; an empty image is fine. */
void sa_image_free(sa_image *image);

/*
 * What a file may ask for. The sizes in its header are checked before any pixel memory is taken, so that
 * 30000x30000 is refused at once, whatever the file's size.
 */
typedef struct {
    size_t max_pixels; /* height * width; default 2^28: a 200-megapixel photograph, 3 bytes each, is 600 MB */
    size_t max_side;   /* height or width; default 65535, the most that JPEG can say */
    size_t max_file_bytes; /* default 512 MiB */
    size_t max_memory; /* bytes of pixels and decoder, the file itself not counted; default 1 GiB. (A picture
                        * that EXIF turns by 90 degrees is held twice for a moment.) */
} sa_image_limits;

sa_image_limits sa_image_default_limits(void);

/*
 * Reads a picture; the format is told by content, never by name.
 *   JPEG  baseline and progressive, 8 bits: grey, YCbCr, RGB, CMYK, YCCK (inverted, as Adobe has it)
 *   PNG   every kind but 16-bit grey, interlaced too; alpha is dropped; an APNG's still picture
 *   BMP   uncompressed, 1, 4, 8, 24 and 32 bits
 *   PNM   P5 and P6, up to 8 bits
 * EXIF orientation (and, where EXIF has none, XMP's tiff:Orientation) is applied to JPEG and PNG. A broken
 * EXIF block counts as none.
 * SA_BAD_INPUT: not a picture, damaged, cut short, or of a kind not listed; SA_NO_ROOM: beyond the limits
 * (NULL takes the defaults) or out of memory; SA_IO: cannot be read. On failure *image is empty.
 */
sa_status sa_image_read(const char *path, const sa_image_limits *limits, sa_image *image, sa_error *err);
/* The same, statuses too, for bytes in memory; `name` is what errors call them. */
sa_status sa_image_decode(const char *name, const void *bytes, size_t size, const sa_image_limits *limits,
                          sa_image *image, sa_error *err);

/* True if a file that begins with these bytes (16 are enough) is of a kind that sa_image_decode reads. */
bool sa_image_is_picture(const void *bytes, size_t size);

/*
 * Encoders. `encode` makes a malloc'd buffer that the caller frees, `write` a file ("-" is standard output)
 * that is there whole or not at all. The same picture gives the same bytes on every machine.
 *   JPEG: baseline, 4:2:0, quality 1..100; Pillow's save(quality=q) decodes to the same pixels (its default
 *         is 75). Sides above 65500 are SA_BAD_INPUT.
 *   PNG:  8-bit RGB, or grey [height,width] for masks. Above 2^30 bytes of pixels: SA_BAD_INPUT.
 */
sa_status sa_image_encode_jpeg(const sa_image *image, int quality, unsigned char **bytes, size_t *size,
                               sa_error *err);
sa_status sa_image_write_jpeg(const char *path, const sa_image *image, int quality, sa_error *err);
sa_status sa_image_encode_png(const sa_image *image, unsigned char **bytes, size_t *size, sa_error *err);
sa_status sa_image_write_png(const char *path, const sa_image *image, sa_error *err);
sa_status sa_image_encode_png_grey(const uint8_t *grey, size_t height, size_t width, unsigned char **bytes,
                                   size_t *size, sa_error *err);
sa_status sa_image_write_png_grey(const char *path, const uint8_t *grey, size_t height, size_t width,
                                  sa_error *err);

/*
 * Overlay (MODEL_SPECS 1.7): where the mask is set, each channel v becomes round((1 - alpha) * v + alpha *
 * color) in doubles; other pixels stay. The mask has the image's size. The reference: (0,255,0), 0.5,
 * truncated.
 */
typedef enum { SA_IMAGE_TRUNCATE, SA_IMAGE_NEAREST /* halves to even */ } sa_image_rounding;

typedef struct {
    uint8_t color[3];
    double alpha; /* 0..1 */
    sa_image_rounding rounding;
} sa_image_paint;

sa_image_paint sa_image_default_paint(void);
void sa_image_overlay(sa_image *image, const sa_mask *mask, const sa_image_paint *paint);
/* The same by its table. */
void sa_image_overlay_by(sa_image *image, const sa_mask *mask, const uint8_t table[3][256]);
/* What each value of each channel becomes: for the op overlay of kernels.h, which paints the same bytes. */
void sa_image_paint_table(const sa_image_paint *paint, uint8_t table[3][256]);

/*
 * Clicks, for people to look at: a green disc with "+" or a red one with "-", white ring, black rim; the
 * radius grows with the shorter side. Drawn in order, later ones on top, clipped at the borders; a click far
 * outside draws nothing.
 */
typedef struct {
    double x, y; /* column, row; pixel (0,0) covers [0,1) x [0,1) */
    bool positive;
} sa_image_click;

void sa_image_draw_clicks(sa_image *image, const sa_image_click *clicks, size_t count);
/*
 * The outline of the box with corners (x0,y0) and (x1,y1), both drawn, clipped. Coordinates that are not
 * finite or lie more than 2^30 away draw nothing.
 */
void sa_image_draw_box(sa_image *image, double x0, double y0, double x1, double y1, const uint8_t color[3]);

#endif
