/*
 * PNG writing: 8-bit RGB or grey; each row takes the filter, of three, that leaves the smallest differences
 * (PNG specification, 12.8). The same bytes on every machine (deflate.h).
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/file.h"
#include "runtime/image/codec.h"
#include "runtime/image/deflate.h"
#include "runtime/image/png.h"

enum { MOST_BYTES = 1 << 30 /* one IDAT holds them all, and ends below 2^31 */ };
enum { FRAME = 8 + 25 + 12 + 12 /* signature, IHDR, IDAT's and IEND's own bytes */ };

typedef struct {
    const uint8_t *pixels;
    size_t height, width, channels;
} png_input;

/* ---- rows ---- */

static inline int16_t distance(int16_t a, int16_t b)
{
    return (int16_t)(a > b ? a - b : b - a);
}

/* In 16 bits: compilers then take eight pixels or more at a time. */
static inline uint8_t paeth(int16_t left, int16_t above, int16_t corner)
{
    int16_t guess = (int16_t)(left + above - corner);
    int16_t by_left = distance(guess, left), by_above = distance(guess, above),
            by_corner = distance(guess, corner);
    int16_t other = by_above <= by_corner ? above : corner,
            nearer = by_above < by_corner ? by_above : by_corner;
    return (uint8_t)(by_left <= nearer ? left : other);
}

/*
 * out[i] = row[i] less what filter `kind` foretells of it. `row` and `above` stand behind `step` zeros: the
 * pixel left of the first one.
 */
static void filter_row(uint8_t *out, int kind, const uint8_t *row, const uint8_t *above, size_t bytes,
                       size_t step)
{
    const uint8_t *left = row - step, *corner = above - step;
    for (size_t i = 0; i < bytes && kind == 1; i++) {
        out[i] = (uint8_t)(row[i] - left[i]);
    }
    for (size_t i = 0; i < bytes && kind == 2; i++) {
        out[i] = (uint8_t)(row[i] - above[i]);
    }
    for (size_t i = 0; i < bytes && kind == 4; i++) {
        out[i] = (uint8_t)(row[i] - paeth(left[i], above[i], corner[i]));
    }
}

/* How far a filtered row is from zero: differences count by their size, up or down. */
static uint64_t weigh_row(const uint8_t *row, size_t bytes)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes; i++) {
        sum += row[i] < 128 ? row[i] : 256u - row[i];
    }
    return sum;
}

/* One filtered row with its filter's number before it; `try` holds a row. */
static void write_row(uint8_t *out, uint8_t *try, const uint8_t *row, const uint8_t *above, size_t bytes,
                      size_t step)
{
    /* Left, above and Paeth; none and the average hardly ever win, and cost as much to try. */
    static const int filters[] = {1, 2, 4};
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        int kind = filters[i];
        filter_row(try, kind, row, above, bytes, step);
        uint64_t weight = weigh_row(try, bytes);
        if (weight < least) {
            least = weight;
            out[0] = (uint8_t)kind;
            memcpy(out + 1, try, bytes);
        }
    }
}

/* All rows; `work` holds three of them with their zeros. */
static void write_rows(uint8_t *out, uint8_t *work, const png_input *in)
{
    size_t step = in->channels, bytes = in->width * step;
    uint8_t *above = work + step, *row = above + step + bytes, *try = row + bytes;
    memset(work, 0, 2 * (step + bytes));
    for (size_t y = 0; y < in->height; y++) {
        memcpy(row, in->pixels + y * bytes, bytes);
        write_row(out + y * (bytes + 1), try, row, above, bytes, step);
        uint8_t *kept = above;
        above = row;
        row = kept;
    }
}

/* ---- the file ---- */

static uint8_t *put_word(uint8_t *to, size_t value)
{
    for (int byte = 3; byte >= 0; byte--) {
        *to++ = (uint8_t)(value >> (8 * byte));
    }
    return to;
}

/* A chunk whose `size` bytes of content stand at to + 8 already; returns its end. */
static uint8_t *put_chunk(uint8_t *to, const char *type, size_t size)
{
    put_word(to, size);
    memcpy(to + 4, type, 4);
    return put_word(to + 8 + size, sa_crc32(0, to + 4, size + 4));
}

/* `bytes` holds the frame and the bound of the packed rows. */
static size_t write_file_bytes(uint8_t *bytes, const uint8_t *rows, size_t size, const png_input *in)
{
    uint8_t *end = bytes;
    memcpy(end, "\x89PNG\r\n\x1a\n", 8);
    end += 8;
    uint8_t *header = put_word(put_word(end + 8, in->width), in->height);
    memcpy(header, (uint8_t[]){8, in->channels == 3 ? 2 : 0, 0, 0, 0}, 5);
    end = put_chunk(end, "IHDR", 13);
    end = put_chunk(end, "IDAT", sa_deflate(end + 8, rows, size));
    end = put_chunk(end, "IEND", 0);
    return (size_t)(end - bytes);
}

static sa_status no_memory(const png_input *in, sa_error *err)
{
    return sa_fail(err, SA_NO_ROOM, NULL, "free some memory", "no memory to encode a PNG of %zux%zu pixels",
                   in->width, in->height);
}

static sa_status encode(const png_input *in, unsigned char **bytes, size_t *size, sa_error *err)
{
    SA_ASSERT(in->height > 0 && in->width > 0);
    size_t row = 0, rows = 0;
    *bytes = NULL;
    *size = 0;
    if (!sa_mul_size(in->width, in->channels, &row) || !sa_mul_size(row + 1, in->height, &rows) ||
        rows > MOST_BYTES) {
        return sa_fail(err, SA_BAD_INPUT, NULL, "scale it down",
                       "%zux%zu pixels are too many for one chunk of a PNG", in->width, in->height);
    }
    uint8_t *work = malloc(3 * row + 2 * in->channels), *packed = malloc(rows);
    *bytes = malloc(FRAME + sa_deflate_bound(rows));
    if (work != NULL && packed != NULL && *bytes != NULL) {
        write_rows(packed, work, in);
        *size = write_file_bytes(*bytes, packed, rows, in);
    }
    free(work);
    free(packed);
    if (*size == 0) {
        free(*bytes);
        *bytes = NULL;
        return no_memory(in, err);
    }
    return SA_OK;
}

static sa_status write_file(const char *path, const png_input *in, sa_error *err)
{
    unsigned char *bytes;
    size_t size;
    SA_TRY(encode(in, &bytes, &size, err));
    sa_status status = sa_file_write(path, bytes, size, err);
    free(bytes);
    return status;
}

sa_status sa_image_encode_png(const sa_image *image, unsigned char **bytes, size_t *size, sa_error *err)
{
    png_input in = {.pixels = image->pixels, .height = image->height, .width = image->width, .channels = 3};
    return encode(&in, bytes, size, err);
}

sa_status sa_image_write_png(const char *path, const sa_image *image, sa_error *err)
{
    png_input in = {.pixels = image->pixels, .height = image->height, .width = image->width, .channels = 3};
    return write_file(path, &in, err);
}

sa_status sa_image_encode_png_grey(const uint8_t *grey, size_t height, size_t width, unsigned char **bytes,
                                   size_t *size, sa_error *err)
{
    png_input in = {.pixels = grey, .height = height, .width = width, .channels = 1};
    return encode(&in, bytes, size, err);
}

sa_status sa_image_write_png_grey(const char *path, const uint8_t *grey, size_t height, size_t width,
                                  sa_error *err)
{
    png_input in = {.pixels = grey, .height = height, .width = width, .channels = 1};
    return write_file(path, &in, err);
}
