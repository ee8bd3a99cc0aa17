/* PNG: from unpacked bytes to RGB. Rows are a filter byte and packed samples; interlaced files hold seven
 * pictures. */
#include <stdlib.h>
#include <string.h>

#include "runtime/image/png.h"

/* Adam7: pass p holds the pixels (y0 + i*dy, x0 + j*dx). The last row of the table is a file without passes.
 */
typedef struct {
    uint8_t y0, x0, dy, dx;
} pass;

static const pass passes[8] = {{0, 0, 8, 8}, {0, 4, 8, 8}, {4, 0, 8, 4}, {0, 2, 4, 4},
                               {2, 0, 4, 2}, {0, 1, 2, 2}, {1, 0, 2, 1}, {0, 0, 1, 1}};

static uint32_t pass_count(uint32_t size, uint8_t first, uint8_t step)
{
    return size > first ? (size - first + step - 1) / step : 0;
}

/* Bytes of a row of `width` pixels without its filter byte. */
static size_t row_bytes(const sa_png *png, uint32_t width)
{
    return (size_t)(((uint64_t)width * png->channels * png->depth + 7) / 8);
}

uint64_t sa_png_raw_size(const sa_png *png)
{
    uint64_t total = 0;
    for (int p = png->interlaced ? 0 : 7; p < (png->interlaced ? 7 : 8); p++) {
        uint32_t rows = pass_count(png->height, passes[p].y0, passes[p].dy);
        uint32_t width = pass_count(png->width, passes[p].x0, passes[p].dx);
        total += width == 0 ? 0 : (uint64_t)rows * (1 + row_bytes(png, width));
    }
    return total;
}

/* Rows without a row above take zeros for it. `step`: bytes from a byte to the one that it is predicted from.
 */
static void undo_average(uint8_t *row, const uint8_t *above, size_t bytes, size_t step)
{
    for (size_t i = 0; i < bytes; i++) {
        unsigned left = i >= step ? row[i - step] : 0;
        row[i] = (uint8_t)(row[i] + (left + (above ? above[i] : 0)) / 2);
    }
}

static void undo_paeth(uint8_t *row, const uint8_t *above, size_t bytes, size_t step)
{
    for (size_t i = 0; i < step && i < bytes; i++) {
        row[i] = (uint8_t)(row[i] + above[i]);
    }
    for (size_t i = step; i < bytes; i++) {
        row[i] = (uint8_t)(row[i] + sa_png_paeth(row[i - step], above[i], above[i - step]));
    }
}

static void undo_sub(uint8_t *row, size_t bytes, size_t step)
{
    for (size_t i = step; i < bytes; i++) {
        row[i] = (uint8_t)(row[i] + row[i - step]);
    }
}

static void undo_up(uint8_t *row, const uint8_t *above, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        row[i] = (uint8_t)(row[i] + above[i]);
    }
}

static bool undo_filter(unsigned filter, uint8_t *row, const uint8_t *above, size_t bytes, size_t step)
{
    switch (filter) {
    case 0: return true;
    case 1: undo_sub(row, bytes, step); return true;
    case 2:
        if (above) {
            undo_up(row, above, bytes);
        }
        return true;
    case 3: undo_average(row, above, bytes, step); return true;
    case 4: /* without a row above, Paeth predicts from the left */
        if (above) {
            undo_paeth(row, above, bytes, step);
        } else {
            undo_sub(row, bytes, step);
        }
        return true;
    default: return false;
    }
}

/* Samples of less than 8 bits: the first stands in the highest bits. */
static unsigned packed_sample(const uint8_t *row, uint32_t x, unsigned depth)
{
    size_t bit = (size_t)x * depth;
    return row[bit / 8] >> (8 - depth - bit % 8) & ((1u << depth) - 1);
}

/* One row of whole samples; of 16 bits the upper 8 count, as in Pillow. Alpha is dropped. */
static void convert_bytes(const sa_png *png, const uint8_t *row, uint32_t width, uint8_t *out, size_t step)
{
    size_t sample = png->depth / 8, pixel = sample * png->channels;
    size_t green = png->channels >= 3 ? sample : 0;
    for (uint32_t x = 0; x < width; x++, row += pixel, out += step) {
        out[0] = row[0];
        out[1] = row[green];
        out[2] = row[2 * green];
    }
}

/* One row of palette indices, or of grey with less than 8 bits. */
static void convert_indices(const sa_png *png, const uint8_t *row, uint32_t width, uint8_t *out, size_t step)
{
    unsigned scale = 255 / ((1u << png->depth) - 1);
    for (uint32_t x = 0; x < width; x++, out += step) {
        unsigned sample = packed_sample(row, x, png->depth);
        if (png->color == 3) {
            memcpy(out, png->palette[sample], 3);
        } else {
            memset(out, (int)(sample * scale), 3);
        }
    }
}

/* One pass from *raw, which moves behind it. */
static bool unpack_pass(const sa_png *png, const pass *p, uint8_t **raw, sa_image *image)
{
    uint32_t rows = pass_count(png->height, p->y0, p->dy), width = pass_count(png->width, p->x0, p->dx);
    size_t bytes = row_bytes(png, width), bits = (size_t)png->channels * png->depth;
    size_t step = bits < 8 ? 1 : bits / 8;
    const uint8_t *above = NULL;
    for (uint32_t i = 0; width > 0 && i < rows; i++) {
        uint8_t *row = *raw + 1;
        uint8_t *out = image->pixels + (((size_t)p->y0 + (size_t)i * p->dy) * image->width + p->x0) * 3;
        if (!undo_filter((*raw)[0], row, above, bytes, step)) {
            return false;
        }
        if (png->color == 3 || png->depth < 8) {
            convert_indices(png, row, width, out, (size_t)p->dx * 3);
        } else {
            convert_bytes(png, row, width, out, (size_t)p->dx * 3);
        }
        above = row;
        *raw += 1 + bytes;
    }
    return true;
}

bool sa_png_unpack(const sa_png *png, uint8_t *raw, sa_image *image)
{
    bool good = true;
    for (int p = png->interlaced ? 0 : 7; good && p < (png->interlaced ? 7 : 8); p++) {
        good = unpack_pass(png, &passes[p], &raw, image);
    }
    return good;
}
