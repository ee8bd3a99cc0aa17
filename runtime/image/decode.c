/* Reading a picture: which format the content is, then that decoder, then upright. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/image/codec.h"

/* `size` bytes at `offset` that give a format away; no decoder: known, and refused by this name. */
typedef struct {
    size_t offset, size;
    const char *magic;
    sa_codec_decode *decode;
    const char *refused;
} signature;

static const signature signatures[] = {
    {0, 3, "\xff\xd8\xff", sa_jpeg_decode, NULL},
    {0, 8, "\x89PNG\r\n\x1a\n", sa_png_decode, NULL},
    {0, 2, "P5", sa_pnm_decode, NULL},
    {0, 2, "P6", sa_pnm_decode, NULL},
    {0, 2, "BM", sa_bmp_decode, NULL},
    {0, 2, "P1", NULL, "plain (ASCII) or bitmap PNM"},
    {0, 2, "P2", NULL, "plain (ASCII) or bitmap PNM"},
    {0, 2, "P3", NULL, "plain (ASCII) or bitmap PNM"},
    {0, 2, "P4", NULL, "plain (ASCII) or bitmap PNM"},
    {0, 2, "P7", NULL, "PAM"},
    {0, 4, "GIF8", NULL, "GIF"},
    {0, 4, "II*\0", NULL, "TIFF (or a camera's raw format)"},
    {0, 4, "MM\0*", NULL, "TIFF (or a camera's raw format)"},
    {0, 4, "II+\0", NULL, "BigTIFF"},
    {0, 4, "MM\0+", NULL, "BigTIFF"},
    {8, 4, "WEBP", NULL, "WebP"},
    {4, 8, "ftypavif", NULL, "AVIF"},
    {4, 8, "ftypavis", NULL, "AVIF"},
    {4, 7, "ftyphei", NULL, "HEIC"},
    {4, 7, "ftyphev", NULL, "HEIC"},
    {4, 8, "ftypmif1", NULL, "HEIC"},
    {4, 8, "ftypmsf1", NULL, "HEIC"},
    {4, 4, "ftyp", NULL, "a video (or another ISO media file)"},
    {0, 12, "\0\0\0\x0cjP  \r\n\x87\n", NULL, "JPEG 2000"},
    {0, 4, "\xff\x4f\xff\x51", NULL, "JPEG 2000"},
    {0, 12, "\0\0\0\x0cJXL \r\n\x87\n", NULL, "JPEG XL"},
    {0, 2, "\xff\x0a", NULL, "JPEG XL"},
    {0, 4, "8BPS", NULL, "PSD"},
    {0, 4, "qoif", NULL, "QOI"},
    {0, 4, "DDS ", NULL, "DDS"},
    {0, 4, "\x76\x2f\x31\x01", NULL, "OpenEXR"},
    {0, 10, "#?RADIANCE", NULL, "Radiance HDR"},
    {0, 4, "\0\0\1\0", NULL, "ICO"},
    {0, 5, "%PDF-", NULL, "PDF"},
    {0, 5, "<?xml", NULL, "SVG (or other XML)"},
    {0, 4, "<svg", NULL, "SVG"},
};

static const signature *find_signature(const sa_codec_source *source)
{
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        const signature *s = &signatures[i];
        if (source->size >= s->offset + s->size &&
            memcmp(source->bytes + s->offset, s->magic, s->size) == 0) {
            return s;
        }
    }
    return NULL;
}

bool sa_image_is_picture(const void *bytes, size_t size)
{
    const sa_codec_source source = {.bytes = bytes, .size = size};
    const signature *found = find_signature(&source);
    return found != NULL && found->decode != NULL;
}

static sa_status decode_known(const sa_codec_source *source, sa_image *image, sa_error *err)
{
    const signature *found = find_signature(source);
    if (source->size == 0) {
        return sa_fail(err, SA_BAD_INPUT, source->name, "fetch or export the file again",
                       "the file is empty");
    }
    if (!found) {
        return sa_fail(err, SA_BAD_INPUT, source->name, "give a JPEG, PNG, BMP or PNM file",
                       "not a picture: its first bytes belong to no image format");
    }
    if (!found->decode) {
        return sa_codec_unsupported(source, found->refused, err);
    }
    int orientation = 1;
    SA_TRY(found->decode(source, image, &orientation, err));
    if (sa_image_orient(image, orientation, NULL) != SA_OK) {
        sa_image_free(image);
        return sa_codec_no_memory(source, err);
    }
    return SA_OK;
}

/* What the decoders' arithmetic counts on: no product of a size and a few bytes leaves 64 bits. */
static sa_image_limits bounded_limits(const sa_image_limits *limits)
{
    const size_t most_pixels = (size_t)1 << 40, most_side = 0x7fffffff;
    sa_image_limits bounded = limits ? *limits : sa_image_default_limits();
    bounded.max_pixels = bounded.max_pixels < most_pixels ? bounded.max_pixels : most_pixels;
    bounded.max_side = bounded.max_side < most_side ? bounded.max_side : most_side;
    return bounded;
}

sa_status sa_image_decode(const char *name, const void *bytes, size_t size, const sa_image_limits *limits,
                          sa_image *image, sa_error *err)
{
    sa_codec_source source = {.name = name, .bytes = bytes, .size = size, .limits = bounded_limits(limits)};
    *image = (sa_image){0};
    if (size > source.limits.max_file_bytes) {
        return sa_fail(err, SA_NO_ROOM, name, "scale it down, store it compressed, or raise --max-file-bytes",
                       "the file has %zu bytes, and at most %zu are read", size,
                       source.limits.max_file_bytes);
    }
    return decode_known(&source, image, err);
}

sa_status sa_image_read(const char *path, const sa_image_limits *limits, sa_image *image, sa_error *err)
{
    sa_image_limits bounded = bounded_limits(limits);
    unsigned char *bytes;
    size_t size;
    *image = (sa_image){0};
    SA_TRY(sa_file_read(path, bounded.max_file_bytes, &bytes, &size, err));
    sa_status status = sa_image_decode(path, bytes, size, limits, image, err);
    free(bytes);
    return status;
}
