/* PNG writing: 8-bit RGB or grey; each row takes the filter that leaves the smallest differences. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/file.h"
#include "runtime/image/png.h"

enum { MAX_CHUNK = 0x7fffffff, FRAME_BYTES = 12 };

typedef struct {
    const uint8_t *pixels;
    size_t height, width, channels;
} png_input;

/* What filter 0..4 predicts for byte i of a row. */
static inline uint8_t predict(int filter, const uint8_t *row, const uint8_t *above, size_t i, size_t step)
{
    int left = i >= step ? row[i - step] : 0;
    int up = above[i];
    int corner = i >= step ? above[i - step] : 0;
    switch (filter) {
    case 1: return (uint8_t)left;
    case 2: return (uint8_t)up;
    case 3: return (uint8_t)((left + up) / 2);
    case 4: return sa_png_paeth(left, up, corner);
    default: return 0;
    }
}

/* The body of filter_row for one filter: the compiler makes five loops of it, without a choice inside. */
static inline __attribute__((always_inline)) uint64_t
difference(int filter, const uint8_t *row, const uint8_t *above, size_t bytes, size_t step, uint8_t *out)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < step; i++) {
        out[i] = (uint8_t)(row[i] - predict(filter, row, above, i, step));
        sum += (uint64_t)abs((int8_t)out[i]);
    }
    for (size_t i = step; i < bytes; i++) {
        out[i] = (uint8_t)(row[i] - predict(filter, row, above, i, step));
        sum += (uint64_t)abs((int8_t)out[i]);
    }
    return sum;
}

/* out[0] = filter, out[1..] = the row's differences; returns the sum of their magnitudes. */
static uint64_t filter_row(int filter, const uint8_t *row, const uint8_t *above, size_t bytes, size_t step,
                           uint8_t *out)
{
    out[0] = (uint8_t)filter;
    switch (filter) {
    case 1: return difference(1, row, above, bytes, step, out + 1);
    case 2: return difference(2, row, above, bytes, step, out + 1);
    case 3: return difference(3, row, above, bytes, step, out + 1);
    case 4: return difference(4, row, above, bytes, step, out + 1);
    default: return difference(0, row, above, bytes, step, out + 1);
    }
}

static void filter_best(const uint8_t *row, const uint8_t *above, size_t bytes, size_t step, uint8_t *out)
{
    int best = 0;
    uint64_t least = UINT64_MAX;
    for (int filter = 0; filter < 5; filter++) {
        uint64_t sum = filter_row(filter, row, above, bytes, step, out);
        if (sum < least) {
            least = sum;
            best = filter;
        }
    }
    if (best != 4) {
        filter_row(best, row, above, bytes, step, out);
    }
}

/* The rows, filtered and packed, as a malloc'd zlib stream; NULL without memory. */
static uint8_t *pack_rows(const png_input *in, size_t *size)
{
    size_t bytes = in->width * in->channels, total;
    if (!sa_mul_size(bytes + 1, in->height, &total)) {
        return NULL;
    }
    uint8_t *rows = malloc(total), *zeros = calloc(bytes, 1); /* what stands above the first row */
    if (!rows || !zeros) {
        free(rows);
        free(zeros);
        return NULL;
    }
    for (size_t y = 0; y < in->height; y++) {
        const uint8_t *row = in->pixels + y * bytes;
        filter_best(row, y > 0 ? row - bytes : zeros, bytes, in->channels, rows + y * (bytes + 1));
    }
    uint8_t *stream = sa_zlib_deflate(rows, total, size);
    free(rows);
    free(zeros);
    return stream;
}

static uint8_t *put_be32(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 24);
    p[1] = (uint8_t)(value >> 16);
    p[2] = (uint8_t)(value >> 8);
    p[3] = (uint8_t)value;
    return p + 4;
}

/* Writes one chunk at p and returns the place behind it. */
static uint8_t *put_chunk(uint8_t *p, const char *kind, const uint8_t *data, size_t size)
{
    uint8_t *start = put_be32(p, (uint32_t)size);
    memcpy(start, kind, 4);
    if (size) {
        memcpy(start + 4, data, size);
    }
    return put_be32(start + 4 + size, sa_crc32(0, start, 4 + size));
}

static uint8_t *put_file(uint8_t *p, const png_input *in, const uint8_t *stream, size_t size)
{
    uint8_t header[13] = {0};
    put_be32(put_be32(header, (uint32_t)in->width), (uint32_t)in->height);
    header[8] = 8;
    header[9] = in->channels == 3 ? 2 : 0;
    memcpy(p, "\x89PNG\r\n\x1a\n", 8);
    p = put_chunk(p + 8, "IHDR", header, sizeof header);
    for (size_t at = 0; at < size; at += MAX_CHUNK) {
        p = put_chunk(p, "IDAT", stream + at, size - at < MAX_CHUNK ? size - at : MAX_CHUNK);
    }
    return put_chunk(p, "IEND", NULL, 0);
}

static sa_status no_memory(const png_input *in, sa_error *err)
{
    return sa_fail(err, SA_NO_ROOM, NULL, "free some memory", "no memory to encode a PNG of %zux%zu pixels",
                   in->width, in->height);
}

static sa_status encode(const png_input *in, unsigned char **bytes, size_t *size, sa_error *err)
{
    SA_ASSERT(in->height > 0 && in->width > 0);
    *bytes = NULL;
    *size = 0;
    if (in->height > MAX_CHUNK || in->width > MAX_CHUNK) {
        return sa_fail(err, SA_BAD_INPUT, NULL, NULL, "a PNG cannot have %zux%zu pixels", in->width,
                       in->height);
    }
    size_t packed;
    uint8_t *stream = pack_rows(in, &packed);
    if (!stream) {
        return no_memory(in, err);
    }
    size_t chunks = packed / MAX_CHUNK + 1;
    uint8_t *file = malloc(8 + FRAME_BYTES + 13 + packed + chunks * FRAME_BYTES + FRAME_BYTES);
    if (file) {
        *size = (size_t)(put_file(file, in, stream, packed) - file);
        *bytes = file;
    }
    free(stream);
    return file ? SA_OK : no_memory(in, err);
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
