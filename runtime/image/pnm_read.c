/* Binary PNM: P5 (grey) and P6 (RGB). Header: magic, width, height, largest value, in words; # starts a
 * comment. */
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

/* Pillow's PpmDecoder: min(255, round(v / most * 255)), in doubles, halves to even. */
static uint8_t scale_value(unsigned value, unsigned most)
{
    double scaled = rint((double)value / most * 255);
    return (uint8_t)(scaled < 255 ? scaled : 255);
}

static void read_pixels(const uint8_t *bytes, unsigned channels, unsigned most, sa_image *image)
{
    size_t sample = most < 256 ? 1 : 2, count = image->height * image->width * 3;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *p = bytes + (channels == 3 ? i : i / 3) * sample;
        unsigned value = sample == 1 ? p[0] : sa_read_be16(p);
        image->pixels[i] = most == 255 ? (uint8_t)value : scale_value(value, most);
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
    if (channels == 1 && most > 255) {
        return sa_codec_unsupported(source, "16-bit grey PNM (of which 8 bits would be a guess)", err);
    }
    SA_TRY(sa_codec_check_size(source, height, width, err));
    if ((uint64_t)(r.end - r.next) < height * width * channels * (most < 256 ? 1 : 2)) {
        return sa_codec_cut_short(source, "PNM", err);
    }
    SA_TRY(sa_codec_new_image(source, height, width, 0, image, err));
    read_pixels(r.next, channels, (unsigned)most, image);
    return SA_OK;
}
