/* Turning a picture upright. */
#include "runtime/image/codec.h"

#include <string.h>

/* Rows and columns that are copied together when the axes swap: both sides' lines then stay in the cache. */
enum { TILE = 32 };

static void swap_pixels(uint8_t *a, uint8_t *b)
{
    for (int c = 0; c < 3; c++) {
        uint8_t kept = a[c];
        a[c] = b[c];
        b[c] = kept;
    }
}

static void mirror_rows(sa_image *image)
{
    for (size_t y = 0; y < image->height; y++) {
        uint8_t *row = image->pixels + y * image->width * 3;
        for (size_t x = 0; x < image->width / 2; x++) {
            swap_pixels(row + x * 3, row + (image->width - 1 - x) * 3);
        }
    }
}

static void flip_rows(sa_image *image)
{
    for (size_t y = 0; y < image->height / 2; y++) {
        uint8_t *upper = image->pixels + y * image->width * 3;
        uint8_t *lower = image->pixels + (image->height - 1 - y) * image->width * 3;
        for (size_t x = 0; x < image->width; x++) {
            swap_pixels(upper + x * 3, lower + x * 3);
        }
    }
}

/* out (y, x) = in (x, y) for one tile of `out` whose corner is (y0, x0). */
static void transpose_tile(const sa_image *in, sa_image *out, size_t y0, size_t x0)
{
    size_t y1 = y0 + TILE < out->height ? y0 + TILE : out->height;
    size_t x1 = x0 + TILE < out->width ? x0 + TILE : out->width;
    for (size_t y = y0; y < y1; y++) {
        for (size_t x = x0; x < x1; x++) {
            memcpy(out->pixels + (y * out->width + x) * 3, in->pixels + (x * in->width + y) * 3, 3);
        }
    }
}

static sa_status transpose(sa_image *image, sa_error *err)
{
    sa_image turned;
    SA_TRY(sa_image_new(image->width, image->height, &turned, err));
    for (size_t y = 0; y < turned.height; y += TILE) {
        for (size_t x = 0; x < turned.width; x += TILE) {
            transpose_tile(image, &turned, y, x);
        }
    }
    sa_image_free(image);
    *image = turned;
    return SA_OK;
}

/*
 * 2 mirrored, 3 upside down, 4 flipped, 5 transposed, 6 needs a quarter turn clockwise, 7 transposed and
 * upside down, 8 needs a quarter turn anticlockwise: each is at most a transposition, then a mirroring, then
 * a flip.
 */
sa_status sa_image_orient(sa_image *image, int orientation, sa_error *err)
{
    if (orientation >= 5) {
        SA_TRY(transpose(image, err));
    }
    if (orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7) {
        mirror_rows(image);
    }
    if (orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8) {
        flip_rows(image);
    }
    return SA_OK;
}
