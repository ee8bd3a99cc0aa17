/*
 * PNG: the file's structure. Every chunk's checksum is verified, the order of the chunks that matter too, and
 * only then stb_image unpacks it, within memory in proportion to the size that the header calls for: a
 * decompression bomb gets no more than that (and never more than limits.max_memory).
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
    MAX_DATA = 1 << 29,
    /* small files: stb's least buffer is 4 kB, and some files have a little more data than picture */
    SLACK = 1 << 16,
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

static uint8_t *put_be32(uint8_t *p, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8) {
        *p++ = (uint8_t)(value >> shift);
    }
    return p;
}

/*
 * A chunk's frame at p with room for `size` bytes; stb_image does not look at checksums, so there is none in
 * it.
 */
static uint8_t *put_chunk(uint8_t **p, uint32_t kind, uint32_t size)
{
    uint8_t *data = put_be32(put_be32(*p, size), kind);
    *p = put_be32(data + size, 0);
    return data;
}

/*
 * The same pixels as the plainest PNG: header, all 256 colors, one piece of data, whose first chunk stands at
 * `at` in the source. So stb meets no index without a color, no transparency, and no chunk that it knows and
 * we do not.
 */
static size_t put_plain(const sa_codec_source *source, const sa_png *png, size_t at, uint8_t *out)
{
    uint8_t *p = out + SIGNATURE_BYTES;
    memcpy(out, source->bytes, SIGNATURE_BYTES);
    memcpy(put_chunk(&p, IHDR, 13), source->bytes + SIGNATURE_BYTES + 8, 13);
    if (png->color == 3) {
        memcpy(put_chunk(&p, PLTE, sizeof png->palette), png->palette, sizeof png->palette);
    }
    uint8_t *data = put_chunk(&p, IDAT, (uint32_t)png->data_size);
    for (size_t done = 0; done < png->data_size;) {
        uint32_t size = sa_read_be32(source->bytes + at);
        memcpy(data + done, source->bytes + at + 8, size);
        done += size;
        at += FRAME_BYTES + size;
    }
    put_chunk(&p, IEND, 0);
    return (size_t)(p - out);
}

static sa_status unpack(const sa_codec_source *source, const sa_png *png, size_t first_data, sa_image *image,
                        sa_error *err)
{
    size_t room = SIGNATURE_BYTES + 4 * FRAME_BYTES + 13 + sizeof png->palette + png->data_size;
    uint64_t row = ((uint64_t)png->width * png->channels * png->depth + 7) / 8 + 1, raw = row * png->height;
    uint64_t pixels = (uint64_t)png->width * png->height;
    sa_stb_file file = {
        .format = "PNG", .height = png->height, .width = png->width, .copied = room, .scratch = raw};
    file.pixel_bytes = (png->channels * png->depth + 7) / 8;
    /*
     * stb holds the stream, or rows (up to twice as many as there are) and one or two pictures beside each
     * other
     */
    file.most_memory =
        4 * (raw + pixels * (file.pixel_bytes > 4 ? file.pixel_bytes : 4)) + png->data_size + SLACK;
    SA_TRY(sa_codec_check_memory(source, file.height, file.width, file.copied + file.scratch, err));
    uint8_t *plain = png->data_size <= MAX_DATA ? malloc(room) : NULL;
    if (!plain) {
        return sa_codec_no_memory(source, err);
    }
    file.bytes = plain;
    file.size = put_plain(source, png, first_data, plain);
    sa_status status = sa_stb_decode(source, &file, image, err);
    free(plain);
    return status;
}

static sa_status decode_png(const sa_codec_source *source, sa_png *png, sa_image *image, sa_error *err)
{
    size_t at = SIGNATURE_BYTES, first_data = 0;
    sa_png_part header = {0};
    SA_TRY(next_chunk(source, &at, &header, err));
    SA_TRY(read_header(source, &header, png, err));
    SA_TRY(sa_codec_check_size(source, png->height, png->width, err));
    SA_TRY(read_chunks(source, at, png, &first_data, err));
    return unpack(source, png, first_data, image, err);
}

sa_status sa_png_decode(const sa_codec_source *source, sa_image *image, int *orientation, sa_error *err)
{
    sa_png png = {0};
    SA_TRY(decode_png(source, &png, image, err));
    *orientation = sa_png_orientation(&png);
    return SA_OK;
}
