/*
 * BMP without compression: 1, 4 and 8 bits with a palette, 24 and 32 bits. The rest of the family (run
 * lengths, 16 bits, channels in odd places) is refused by name. The header and the palette are checked here;
 * stb_image gets a plain file of the same pixels.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/image/codec.h"

enum { FILE_HEADER = 14, OLD_HEADER = 12, MIN_HEADER = 40, COMPRESSION_NONE = 0, COMPRESSION_FIELDS = 3 };

typedef struct {
    int64_t width, height; /* height > 0: the first row in the file is the lowest */
    uint32_t bits, compression, colors, header;
    uint64_t pixels_at, stride;
    uint8_t palette[256][4]; /* blue, green, red; black where the file gives no color */
} bmp;

/* The sizes of the headers that there have been since 1990; they begin alike. */
static bool known_header(uint32_t size)
{
    return size == MIN_HEADER || size == 52 || size == 56 || size == 64 || size == 108 || size == 124;
}

/* The fields of both generations of the header. */
static bool read_fields(const sa_codec_source *source, bmp *b)
{
    const uint8_t *p = source->bytes + FILE_HEADER;
    if (source->size < FILE_HEADER + OLD_HEADER) {
        return false;
    }
    b->pixels_at = sa_read_le32(source->bytes + 10);
    b->header = sa_read_le32(p);
    if (b->header == OLD_HEADER) {
        b->width = sa_read_le16(p + 4);
        b->height = sa_read_le16(p + 6);
        b->bits = sa_read_le16(p + 10);
        return true;
    }
    if (!known_header(b->header) || source->size - FILE_HEADER < b->header) {
        return false;
    }
    b->width = (int32_t)sa_read_le32(p + 4);
    b->height = (int32_t)sa_read_le32(p + 8);
    b->bits = sa_read_le16(p + 14);
    b->compression = sa_read_le32(p + 16);
    b->colors = sa_read_le32(p + 32);
    return true;
}

/* 32-bit files often name their channels' places; the usual ones are those of a file that names none. */
static bool usual_fields(const sa_codec_source *source, const bmp *b)
{
    const uint8_t *masks = source->bytes + FILE_HEADER + MIN_HEADER;
    return b->header != OLD_HEADER && source->size >= FILE_HEADER + MIN_HEADER + 12 && b->bits != 16 &&
           sa_read_le32(masks) == 0xff0000 && sa_read_le32(masks + 4) == 0xff00 &&
           sa_read_le32(masks + 8) == 0xff;
}

static sa_status check_kind(const sa_codec_source *source, const bmp *b, sa_error *err)
{
    bool depth = b->bits == 1 || b->bits == 4 || b->bits == 8 || b->bits == 24 || b->bits == 32;
    bool plain = b->compression == COMPRESSION_NONE ||
                 (b->compression == COMPRESSION_FIELDS && b->bits >= 24 && usual_fields(source, b));
    if (!depth || !plain) {
        return sa_codec_unsupported(source, "a compressed or 16-bit BMP, or one with unusual channels", err);
    }
    return SA_OK;
}

/* Reads the palette, which stands behind the header; and finds the pixels if the file header does not say. */
static bool read_palette(const sa_codec_source *source, bmp *b)
{
    uint64_t entry = b->header == OLD_HEADER ? 3 : 4, at = FILE_HEADER + (uint64_t)b->header;
    uint64_t colors = b->colors ? b->colors : (uint64_t)1 << b->bits;
    if (b->bits > 8) {
        b->pixels_at = b->pixels_at ? b->pixels_at : at;
        return true;
    }
    if (colors > 256 || source->size - at < colors * entry) {
        return false;
    }
    for (uint64_t i = 0; i < colors; i++) {
        memcpy(b->palette[i], source->bytes + at + i * entry, 3);
    }
    b->pixels_at = b->pixels_at ? b->pixels_at : at + colors * entry;
    return true;
}

static uint8_t *put_le32(uint8_t *p, uint32_t value)
{
    for (int shift = 0; shift < 32; shift += 8) {
        *p++ = (uint8_t)(value >> shift);
    }
    return p;
}

/*
 * The same pixels with the commonest header and, up to 8 bits, all 256 colors: stb 2.27 finds a palette's
 * size wrongly behind old headers, and leaves colors that the file does not give to chance.
 */
static size_t put_plain(const sa_codec_source *source, const bmp *b, size_t body, uint8_t *out)
{
    uint32_t palette = b->bits <= 8 ? sizeof b->palette : 0, header = FILE_HEADER + MIN_HEADER;
    memset(out, 0, header);
    memcpy(out, "BM", 2);
    put_le32(out + 10, header + palette);
    put_le32(put_le32(put_le32(out + FILE_HEADER, MIN_HEADER), (uint32_t)b->width), (uint32_t)b->height);
    out[FILE_HEADER + 12] = 1; /* planes */
    out[FILE_HEADER + 14] = (uint8_t)b->bits;
    memcpy(out + header, b->palette, palette);
    memcpy(out + header + palette, source->bytes + b->pixels_at, body);
    return header + palette + body;
}

static sa_status unpack(const sa_codec_source *source, const bmp *b, uint64_t height, sa_image *image,
                        sa_error *err)
{
    uint64_t width = (uint64_t)b->width, body = height * b->stride;
    uint64_t room = FILE_HEADER + MIN_HEADER + sizeof b->palette + body;
    sa_stb_file file = {.format = "BMP", .height = height, .width = width, .pixel_bytes = (b->bits + 7) / 8};
    file.copied = room;
    file.most_memory = height * width * 3;
    SA_TRY(sa_codec_check_memory(source, height, width, room, err));
    uint8_t *plain = malloc((size_t)room);
    if (!plain) {
        return sa_codec_no_memory(source, err);
    }
    file.bytes = plain;
    file.size = put_plain(source, b, (size_t)body, plain);
    sa_status status = sa_stb_decode(source, &file, image, err);
    free(plain);
    return status;
}

sa_status sa_bmp_decode(const sa_codec_source *source, sa_image *image, int *orientation, sa_error *err)
{
    bmp b = {0};
    (void)orientation;
    if (!read_fields(source, &b) || b.width < 0) {
        return sa_codec_damaged(source, "BMP", "its header is no header", err);
    }
    SA_TRY(check_kind(source, &b, err));
    uint64_t height = (uint64_t)(b.height > 0 ? b.height : -b.height), width = (uint64_t)b.width;
    SA_TRY(sa_codec_check_size(source, height, width, err));
    if (!read_palette(source, &b)) {
        return sa_codec_damaged(source, "BMP", "its palette is too large or cut short", err);
    }
    b.stride = (width * b.bits + 31) / 32 * 4;
    if (b.pixels_at > source->size || (source->size - b.pixels_at) / b.stride < height) {
        return sa_codec_cut_short(source, "BMP", err);
    }
    return unpack(source, &b, height, image, err);
}
