/*
 * PNG: the file's structure. Every chunk's checksum is verified, the order of the chunks that matter too, and
 * only then is anything unpacked, into a buffer of exactly the size that the header calls for: a
 * decompression bomb can take that buffer and the picture (together at most limits.max_memory), and no byte
 * more.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/image/png.h"

enum {
    IHDR = SA_PNG_KIND('I', 'H', 'D', 'R'),
    PLTE = SA_PNG_KIND('P', 'L', 'T', 'E'),
    IDAT = SA_PNG_KIND('I', 'D', 'A', 'T'),
    IEND = SA_PNG_KIND('I', 'E', 'N', 'D'),
    EXIF = SA_PNG_KIND('e', 'X', 'I', 'f'),
    TEXT = SA_PNG_KIND('t', 'E', 'X', 't'),
    ZTXT = SA_PNG_KIND('z', 'T', 'X', 't'),
    ITXT = SA_PNG_KIND('i', 'T', 'X', 't'),
    SIGNATURE_BYTES = 8,
    FRAME_BYTES = 12, /* of a chunk beside its data: length, type, checksum */
};

static sa_status broken(const sa_codec_source *source, const char *what, sa_error *err)
{
    return sa_codec_damaged(source, "PNG", what, err);
}

/* The chunk at *at, which moves behind it. */
static sa_status next_chunk(const sa_codec_source *source, size_t *at, sa_png_part *chunk, sa_error *err)
{
    size_t left = source->size - *at;
    const uint8_t *p = source->bytes + *at;
    if (left < FRAME_BYTES || sa_read_be32(p) > left - FRAME_BYTES) {
        return sa_codec_cut_short(source, "PNG", err);
    }
    *chunk = (sa_png_part){.kind = sa_read_be32(p + 4), .bytes = p + 8, .size = sa_read_be32(p)};
    if (sa_crc32(0, p + 4, 4 + chunk->size) != sa_read_be32(p + 8 + chunk->size)) {
        return broken(source, "a chunk's checksum is wrong", err);
    }
    *at += FRAME_BYTES + chunk->size;
    return SA_OK;
}

static bool valid_format(const sa_png *png)
{
    static const uint8_t depths[7] = {1 | 2 | 4 | 8 | 16, 0, 8 | 16, 1 | 2 | 4 | 8, 8 | 16, 0, 8 | 16};
    bool power = png->depth == 1 || png->depth == 2 || png->depth == 4 || png->depth == 8 || png->depth == 16;
    return png->color < 7 && power && (depths[png->color] & png->depth) != 0;
}

static sa_status read_header(const sa_codec_source *source, const sa_png_part *chunk, sa_png *png,
                             sa_error *err)
{
    static const uint8_t channels[7] = {1, 0, 3, 1, 2, 0, 4};
    const uint8_t *p = chunk->bytes;
    if (chunk->kind != IHDR || chunk->size != 13) {
        return broken(source, "it does not begin with a header", err);
    }
    png->width = sa_read_be32(p);
    png->height = sa_read_be32(p + 4);
    png->depth = p[8];
    png->color = p[9];
    png->interlaced = p[12] == 1;
    if (!valid_format(png) || p[10] != 0 || p[11] != 0 || p[12] > 1) {
        return broken(source, "its header asks for something that PNG does not have", err);
    }
    if (png->depth == 16 && png->color == 0) {
        return sa_codec_unsupported(source, "16-bit grey PNG (of which 8 bits would be a guess)", err);
    }
    png->channels = channels[png->color];
    return SA_OK;
}

/* Whether a text chunk's keyword is `key`. */
static bool has_key(const sa_png_part *chunk, const char *key)
{
    size_t length = strlen(key) + 1;
    return chunk->size >= length && memcmp(chunk->bytes, key, length) == 0;
}

/* Keeps what may speak of the orientation; of several, the last. */
static void note_metadata(sa_png *png, const sa_png_part *chunk)
{
    bool text = chunk->kind == TEXT || chunk->kind == ZTXT || chunk->kind == ITXT;
    if (chunk->kind == EXIF) {
        png->exif = *chunk;
    } else if (text && has_key(chunk, "Raw profile type exif")) {
        png->raw_profile = *chunk;
    } else if (text && has_key(chunk, "XML:com.adobe.xmp")) {
        png->xmp = *chunk;
    }
}

static sa_status note_palette(const sa_codec_source *source, const sa_png_part *chunk, sa_png *png,
                              sa_error *err)
{
    if (chunk->size == 0 || chunk->size > sizeof png->palette || chunk->size % 3 != 0) {
        return broken(source, "its palette has an impossible size", err);
    }
    memset(png->palette, 0, sizeof png->palette);
    memcpy(png->palette, chunk->bytes, chunk->size);
    return SA_OK;
}

/* Checks all chunks of the file, from behind the header to the end, and notes where things are. */
static sa_status read_chunks(const sa_codec_source *source, size_t at, sa_png *png, size_t *first_data,
                             sa_error *err)
{
    sa_png_part chunk = {0};
    bool palette = false;
    while (chunk.kind != IEND) {
        uint32_t previous = chunk.kind;
        size_t start = at;
        SA_TRY(next_chunk(source, &at, &chunk, err));
        if (chunk.kind == IDAT) {
            if (*first_data != 0 && previous != IDAT) {
                return broken(source, "other chunks stand between those of its picture", err);
            }
            *first_data = *first_data != 0 ? *first_data : start;
            png->data_size += chunk.size;
        } else if (chunk.kind == PLTE && *first_data == 0) {
            SA_TRY(note_palette(source, &chunk, png, err));
            palette = true;
        } else if (chunk.kind == IHDR) {
            return broken(source, "it has two headers", err);
        } else {
            note_metadata(png, &chunk);
        }
    }
    if (*first_data == 0 || (png->color == 3 && !palette)) {
        return broken(source, "it has no picture, or no palette for it", err);
    }
    return SA_OK;
}

/* The zlib stream may be cut into any number of chunks; makes it one piece. */
static sa_status join_data(const sa_codec_source *source, size_t at, sa_png *png, sa_error *err)
{
    size_t size = sa_read_be32(source->bytes + at);
    png->data = source->bytes + at + 8;
    if (size == png->data_size) {
        return SA_OK;
    }
    png->joined = malloc(png->data_size);
    if (!png->joined) {
        return sa_codec_no_memory(source, err);
    }
    png->data = png->joined;
    for (size_t done = 0; done < png->data_size; done += size, at += FRAME_BYTES + size) {
        size = sa_read_be32(source->bytes + at);
        memcpy(png->joined + done, source->bytes + at + 8, size);
    }
    return SA_OK;
}

static sa_status unpack(const sa_codec_source *source, const sa_png *png, sa_image *image, sa_error *err)
{
    size_t raw_size = (size_t)sa_png_raw_size(png);
    bool whole;
    uint8_t *raw = malloc(raw_size);
    if (!raw) {
        return sa_codec_no_memory(source, err);
    }
    size_t got = sa_zlib_inflate(png->data, png->data_size, raw, raw_size, &whole);
    bool good = got == raw_size && sa_png_unpack(png, raw, image);
    free(raw);
    if (good) {
        return SA_OK;
    }
    return broken(source, got == raw_size ? "a row has an unknown filter" : "its compressed data are wrong",
                  err);
}

static sa_status decode_png(const sa_codec_source *source, sa_png *png, sa_image *image, sa_error *err)
{
    size_t at = SIGNATURE_BYTES, first_data = 0;
    sa_png_part header = {0};
    SA_TRY(next_chunk(source, &at, &header, err));
    SA_TRY(read_header(source, &header, png, err));
    SA_TRY(sa_codec_check_size(source, png->height, png->width, err));
    SA_TRY(read_chunks(source, at, png, &first_data, err));
    SA_TRY(join_data(source, first_data, png, err));
    SA_TRY(sa_codec_new_image(source, png->height, png->width, sa_png_raw_size(png), image, err));
    return unpack(source, png, image, err);
}

sa_status sa_png_decode(const sa_codec_source *source, sa_image *image, int *orientation, sa_error *err)
{
    sa_png png = {0};
    sa_status status = decode_png(source, &png, image, err);
    free(png.joined);
    if (status == SA_OK) {
        *orientation = sa_png_orientation(&png);
        status = *orientation > 0 ? SA_OK : sa_codec_no_memory(source, err);
    }
    if (status != SA_OK) {
        sa_image_free(image);
    }
    return status;
}
