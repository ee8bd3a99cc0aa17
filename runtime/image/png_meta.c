/* PNG: where a file may say which way is up. */
#include <stdlib.h>
#include <string.h>

#include "runtime/image/png.h"

/* Text longer than this is not looked at (Pillow's limit for a text chunk). */
enum { MAX_TEXT = 1 << 20 };

/* The content of a text chunk; `bytes` may lie in `owned`, which the caller frees. */
typedef struct {
    const uint8_t *bytes;
    size_t size;
    uint8_t *owned;
    bool no_memory;
} text;

/* Moves behind the next zero byte; false if there is none. */
static bool skip_string(text *t)
{
    const uint8_t *end = t->size ? memchr(t->bytes, 0, t->size) : NULL;
    if (!end) {
        return false;
    }
    t->size -= (size_t)(end + 1 - t->bytes);
    t->bytes = end + 1;
    return true;
}

/* -1 instead of an orientation: out of memory, which must not pass for "says nothing". */
enum { NO_MEMORY = -1 };

static bool inflate_text(text *t)
{
    t->owned = calloc(MAX_TEXT, 1);
    if (!t->owned) {
        t->no_memory = true;
        return false;
    }
    t->size = sa_stb_inflate(t->bytes, t->size, t->owned, MAX_TEXT);
    t->bytes = t->owned;
    return t->size > 0;
}

/* tEXt: key 0 text. zTXt: key 0 method stream. iTXt: key 0 packed method language 0 translated key 0 text. */
static bool open_text(const sa_png_part *part, text *t)
{
    *t = (text){.bytes = part->bytes, .size = part->size};
    if (!part->bytes || !skip_string(t)) {
        return false;
    }
    if (part->kind == SA_PNG_KIND('t', 'E', 'X', 't')) {
        return true;
    }
    size_t flags = part->kind == SA_PNG_KIND('z', 'T', 'X', 't') ? 1 : 2;
    if (t->size < flags || t->bytes[flags - 1] != 0) {
        return false;
    }
    bool packed = flags == 1 || t->bytes[0] != 0;
    t->bytes += flags;
    t->size -= flags;
    if (flags == 2 && (!skip_string(t) || !skip_string(t))) {
        return false;
    }
    return !packed || inflate_text(t);
}

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/*
 * Hex digits, white space between bytes -> bytes, in place of `out`; the count, or 0 if something else stands
 * there.
 */
static size_t decode_hex(const uint8_t *hex, size_t size, uint8_t *out)
{
    size_t made = 0, digits = 0;
    for (size_t i = 0; i < size; i++) {
        int digit = hex_digit(hex[i]);
        if (digit < 0) {
            if (!strchr(" \t\n\r\f\v", hex[i]) || hex[i] == 0) {
                return 0;
            }
            continue;
        }
        out[made] = (uint8_t)(digits % 2 ? out[made] << 4 | digit : digit);
        made += digits++ % 2;
    }
    return digits % 2 ? 0 : made;
}

/* ImageMagick's form: an empty line, "exif", the number of bytes, then hex digits. */
static int profile_orientation(const text *t)
{
    const uint8_t *at = t->bytes, *end = t->bytes + t->size;
    for (int line = 0; line < 3; line++) {
        at = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        if (!at) {
            return 0;
        }
        at++;
    }
    size_t room = (size_t)(end - at) / 2 + 1;
    uint8_t *exif = malloc(room);
    if (!exif) {
        return NO_MEMORY;
    }
    size_t size = decode_hex(at, (size_t)(end - at), exif);
    int orientation = size ? sa_exif_orientation(exif, size) : 0;
    free(exif);
    return orientation;
}

static int read_text(const sa_png_part *part, int (*read)(const text *))
{
    text t;
    int orientation = open_text(part, &t) ? read(&t) : t.no_memory ? NO_MEMORY : 0;
    free(t.owned);
    return orientation;
}

static int packet_orientation(const text *t)
{
    return sa_xmp_orientation(t->bytes, t->size);
}

int sa_png_orientation(const sa_png *png)
{
    int orientation = png->exif.bytes ? sa_exif_orientation(png->exif.bytes, png->exif.size)
                                      : read_text(&png->raw_profile, profile_orientation);
    if (orientation == 0) {
        orientation = read_text(&png->xmp, packet_orientation);
    }
    return orientation == 0 ? 1 : orientation;
}
