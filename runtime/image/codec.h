/* What the decoders of the image room share with each other, and with nobody else. */
#ifndef SA_IMAGE_CODEC_H
#define SA_IMAGE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/crc32.h"
#include "runtime/base/status.h"
#include "runtime/image/image.h"

/* One file's content. */
typedef struct {
    const char *name; /* what errors call it */
    const uint8_t *bytes;
    size_t size;
    sa_image_limits limits;
} sa_codec_source;

/*
 * A decoder: fills *image (empty at the call, and again after a failure) with the pixels as stored, and
 * *orientation (1 at the call) with 1..8.
 */
typedef sa_status sa_codec_decode(const sa_codec_source *source, sa_image *image, int *orientation,
                                  sa_error *err);

sa_codec_decode sa_jpeg_decode;
sa_codec_decode sa_png_decode;
sa_codec_decode sa_bmp_decode;
sa_codec_decode sa_pnm_decode;

/* Refuses the sizes of a header that are zero or beyond the limits. */
sa_status sa_codec_check_size(const sa_codec_source *source, uint64_t height, uint64_t width, sa_error *err);
/*
 * Refuses what takes more than limits.max_memory; `scratch`: bytes that the decoder holds beside the picture.
 */
sa_status sa_codec_check_memory(const sa_codec_source *source, uint64_t height, uint64_t width,
                                uint64_t scratch, sa_error *err);
/* Both checks, then allocates. */
sa_status sa_codec_new_image(const sa_codec_source *source, uint64_t height, uint64_t width, uint64_t scratch,
                             sa_image *image, sa_error *err);

/* The ways in which a file fails, each in one wording. */
sa_status sa_codec_no_memory(const sa_codec_source *source, sa_error *err);
sa_status sa_codec_damaged(const sa_codec_source *source, const char *format, const char *what,
                           sa_error *err);
sa_status sa_codec_cut_short(const sa_codec_source *source, const char *format, sa_error *err);
sa_status sa_codec_unsupported(const sa_codec_source *source, const char *kind, sa_error *err);

/*
 * Orientation 1..8 from an EXIF block (with or without its "Exif\0\0"), or 0 if it holds no orientation tag.
 * Reads as Pillow does; what Pillow would choke on, and values outside 1..8, give 1.
 */
int sa_exif_orientation(const uint8_t *exif, size_t size);
/* The same from an XMP packet: the first tiff:Orientation="N" or tiff:Orientation>N; 0 if there is none. */
int sa_xmp_orientation(const uint8_t *xmp, size_t size);

/* Turns the stored picture upright: what ImageOps.exif_transpose does for `orientation`. */
sa_status sa_image_orient(sa_image *image, int orientation, sa_error *err);

/* A whole PNG, BMP (54-byte header) or PNM (8 bits), checked by its reader, for stb_image to unpack. */
typedef struct {
    const char *format; /* what errors call it */
    const uint8_t *bytes;
    size_t size;
    uint64_t height, width; /* checked against the limits */
    unsigned pixel_bytes;   /* of a pixel in the file, rounded up */
    uint64_t copied;        /* bytes of memory that the caller holds */
    uint64_t scratch;       /* bytes that any such file takes beside the picture */
    /* bytes that no proper file of this header takes: the bound for a decompression bomb */
    uint64_t most_memory;
} sa_stb_file;

/*
 * The pixels as RGB. Takes at most `most_memory`, and with `copied` at most limits.max_memory, and gives all
 * back.
 */
sa_status sa_stb_decode(const sa_codec_source *source, const sa_stb_file *file, sa_image *image,
                        sa_error *err);

/*
 * zlib stream -> out[0, capacity), which the caller has zeroed (a broken stream may leave holes). Returns the
 * bytes produced; 0 if the stream is broken, empty, or asks for more room. Takes no memory beyond some kB of
 * stack.
 */
size_t sa_stb_inflate(const uint8_t *stream, size_t size, uint8_t *out, size_t capacity);

static inline uint32_t sa_read_le16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t sa_read_le32(const uint8_t *p)
{
    return sa_read_le16(p) | sa_read_le16(p + 2) << 16;
}

static inline uint32_t sa_read_be16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t sa_read_be32(const uint8_t *p)
{
    return sa_read_be16(p) << 16 | sa_read_be16(p + 2);
}

#endif
