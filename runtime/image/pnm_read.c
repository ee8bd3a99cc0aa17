/*
 * Binary PNM of 8 bits: P5 (grey) and P6 (RGB); the header is checked here, stb_image reads it again and the
 * pixels. Header: magic, width, height, largest value, in words; # starts a comment.
 */
#include <math.h>

#include "runtime/image/codec.h"

typedef struct {
    const uint8_t *next, *end;
} pnm_reader;

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next number and the one character behind it; false if there is none of at most 10 digits. */
static bool read_number(pnm_reader *r, uint64_t *value)
{
    while (r->next < r->end && (is_space(*r->next) || *r->next == '#')) {
        bool comment = *r->next++ == '#';
        while (comment && r->next < r->end && *r->next != '\n' && *r->next != '\r') {
            r->next++;
        }
    }
    int digits = 0;
    *value = 0;
    for (; r->next < r->end && *r->next >= '0' && *r->next <= '9' && digits < 10; r->next++, digits++) {
        *value = *value * 10 + (uint64_t)(*r->next - '0');
    }
    if (digits == 0 || r->next == r->end || !is_space(*r->next)) {
        return false;
    }
    r->next++;
    return true;
}

/* Pillow's PpmDecoder, which stb lacks: min(255, round(v / most * 255)), in doubles, halves to even. */
static void scale_values(sa_image *image, unsigned most)
{
    uint8_t scaled[256];
    for (unsigned v = 0; v < 256; v++) {
        double value = rint((double)v / most * 255);
        scaled[v] = (uint8_t)(value < 255 ? value : 255);
    }
    for (size_t i = 0; i < image->height * image->width * 3; i++) {
        image->pixels[i] = scaled[image->pixels[i]];
    }
}

sa_status sa_pnm_decode(const sa_codec_source *source, sa_image *image, int *orientation, sa_error *err)
{
    pnm_reader r = {.next = source->bytes + 2, .end = source->bytes + source->size};
    unsigned channels = source->bytes[1] == '6' ? 3 : 1;
    uint64_t width, height, most;
    (void)orientation;
    if (r.next == r.end || !(is_space(*r.next) || *r.next == '#') || !read_number(&r, &width) ||
        !read_number(&r, &height) || !read_number(&r, &most) || most == 0 || most > 65535) {
        return sa_codec_damaged(source, "PNM", "its header is no header", err);
    }
    if (most > 255) {
        return sa_codec_unsupported(source, "16-bit PNM", err);
    }
    SA_TRY(sa_codec_check_size(source, height, width, err));
    uint64_t pixels = height * width;
    if ((uint64_t)(r.end - r.next) < pixels * channels) {
        return sa_codec_cut_short(source, "PNM", err);
    }
    sa_stb_file file = {.format = "PNM", .bytes = source->bytes, .height = height, .width = width};
    file.size = (size_t)(r.next - source->bytes) + (size_t)(pixels * channels);
    file.pixel_bytes = channels;
    file.scratch = channels == 1 ? pixels : 0; /* grey is read first, then made RGB */
    file.most_memory = file.scratch + 3 * pixels;
    SA_TRY(sa_stb_decode(source, &file, image, err));
    if (most != 255) {
        scale_values(image, (unsigned)most);
    }
    return SA_OK;
}
