/*
 * The files of tests/golden/images, as the tests of this room read them. Made by
 * weights_tools/golden/make_images.py.
 */
#ifndef SA_TESTS_IMAGE_GOLDEN_H
#define SA_TESTS_IMAGE_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/image/codec.h"
#include "tests/check.h"

#define GOLDEN "tests/golden/images"

/* A line of decode.txt. */
typedef struct {
    char name[64];
    bool good;
    size_t width, height;
    uint32_t crc;  /* of the RGB bytes */
    char word[64]; /* refused: part of the reason */
} golden_case;

typedef void golden_visit(const golden_case *c, void *context);

static inline uint32_t golden_crc(const sa_image *image)
{
    return sa_crc32(0, image->pixels, image->height * image->width * 3);
}

static inline void golden_path(char *path, size_t size, const char *name)
{
    assert_true(snprintf(path, size, "%s/%s", GOLDEN, name) < (int)size);
}

/* The bytes of a file, in a block of exactly their size so that a sanitizer sees every step beyond it. */
static inline unsigned char *golden_bytes(const char *name, size_t *size)
{
    char path[256];
    unsigned char *bytes;
    golden_path(path, sizeof path, name);
    assert_int_equal(sa_file_read(path, (size_t)1 << 24, &bytes, size, NULL), SA_OK);
    unsigned char *exact = malloc(*size ? *size : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, *size);
    free(bytes);
    return exact;
}

static inline bool golden_parse(const char *line, golden_case *c)
{
    char kind[16], rest[64];
    *c = (golden_case){0};
    if (sscanf(line, "%63s %15s %63[^\n]", c->name, kind, rest) != 3) {
        return false;
    }
    c->good = strcmp(kind, "ok") == 0;
    memcpy(c->word, rest, sizeof c->word);
    return !c->good || sscanf(rest, "%zu %zu %8x", &c->width, &c->height, &c->crc) == 3;
}

/* Visits every case; returns how many there were. */
static inline size_t golden_each(golden_visit *visit, void *context)
{
    char line[256];
    size_t count = 0;
    FILE *list = fopen(GOLDEN "/decode.txt", "r");
    assert_non_null(list);
    while (fgets(line, sizeof line, list)) {
        golden_case c;
        assert_true(golden_parse(line, &c));
        visit(&c, context);
        count++;
    }
    fclose(list);
    return count;
}

/* A picture with a different color at every pixel of a small neighbourhood. */
static inline sa_image golden_pattern(size_t height, size_t width)
{
    sa_image image;
    assert_int_equal(sa_image_new(height, width, &image, NULL), SA_OK);
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            uint8_t *p = image.pixels + (y * width + x) * 3;
            p[0] = (uint8_t)(x * 7 + y);
            p[1] = (uint8_t)(y * 5 + x / 3);
            p[2] = (uint8_t)((x ^ y) * 3);
        }
    }
    return image;
}

#endif
