/*
 * PNG writing: 8-bit RGB or grey, by stb_image_write; each row takes the filter that leaves the smallest
 * differences.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/image/codec.h"

/*
 * stb goes on without memory when its output cannot grow, but for this; encode() makes sure of the memory
 * before.
 */
#define STBIW_ASSERT(statement) SA_ASSERT(statement)
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO

/* To the end of the file, where gcc speaks of what stb declares and, without stdio, does not define. */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#include <stb_image_write.h>
#pragma GCC diagnostic pop

/*
 * stb's sizes are ints: the sum of a row's differences (at most 128 a byte), the rows with room for packing.
 */
enum { MAX_ROW = (1 << 24) - 1, MAX_ROWS = 1 << 30, TABLES = 16 << 20 };

typedef struct {
    const uint8_t *pixels;
    size_t height, width, channels;
} png_input;

static sa_status no_memory(const png_input *in, sa_error *err)
{
    return sa_fail(err, SA_NO_ROOM, NULL, "free some memory", "no memory to encode a PNG of %zux%zu pixels",
                   in->width, in->height);
}

/* Whether there is memory for the rows and twice their packed form, which stb asks for bit by bit. */
static bool enough_memory(size_t rows)
{
    void *probe = malloc(4 * rows + TABLES);
    free(probe);
    return probe != NULL;
}

static sa_status encode(const png_input *in, unsigned char **bytes, size_t *size, sa_error *err)
{
    SA_ASSERT(in->height > 0 && in->width > 0);
    *bytes = NULL;
    *size = 0;
    if (in->width > MAX_ROW / in->channels || in->height > MAX_ROWS / (in->width * in->channels + 1)) {
        return sa_fail(err, SA_BAD_INPUT, NULL, "scale it down",
                       "%zux%zu pixels are too many for the writer of PNG", in->width, in->height);
    }
    int made = 0, width = (int)in->width, height = (int)in->height, channels = (int)in->channels;
    if (enough_memory(in->height * (in->width * in->channels + 1))) {
        *bytes = stbi_write_png_to_mem(in->pixels, 0, width, height, channels, &made);
    }
    *size = (size_t)made;
    return *bytes ? SA_OK : no_memory(in, err);
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
