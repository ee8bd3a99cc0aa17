<<<<<<< HEAD
/* The files of tests/golden/images, as the tests of this room read them. Made by weights_tools/golden/make_images.py. */
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
=======
/* What the tests of tests/golden/masks share: the inputs' pattern (weights_tools/golden/make_masks.py) and reading. */
#ifndef SA_TESTS_IMAGE_GOLDEN_H
#define SA_TESTS_IMAGE_GOLDEN_H

#include "tests/check.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/image/mask.h"

/* Byte i of pattern `seed`. */
static inline uint8_t golden_pattern(uint32_t seed, size_t i)
{
    uint32_t x = (uint32_t)i * 2654435761u + seed * 2246822519u;
    x = (x ^ x >> 15) * 2246822519u;
    return (uint8_t)((x ^ x >> 13) >> 24);
}

static inline json_t *golden_read(const char *path)
{
    json_t *cases = NULL;
    sa_error err;
    if (sa_json_read(path, 1 << 22, &cases, &err) != SA_OK) {
        fail_msg("%s: %s", path, err.reason);
    }
    assert_true(json_array_size(cases) > 0);
    return cases;
}

static inline size_t golden_number(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return (size_t)json_integer_value(value);
}

/* Number i of the list `key`. */
static inline double golden_item(const json_t *object, const char *key, size_t i)
{
    json_t *value = json_array_get(json_object_get(object, key), i);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static inline const char *golden_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

static inline unsigned golden_hex(const char *text, size_t digits)
{
    unsigned value = 0;
    for (size_t i = 0; i < digits; i++) {
        const char *place = strchr("0123456789abcdef", text[i]);
        assert_true(text[i] != '\0' && place != NULL);
        value = value * 16 + (unsigned)(place - "0123456789abcdef");
    }
    return value;
}

/* The mask of a case: "size", "cell", "threshold" and a seed. */
static inline sa_mask golden_mask(const json_t *object, uint32_t seed)
{
    size_t height = (size_t)golden_item(object, "size", 0), width = (size_t)golden_item(object, "size", 1);
    size_t cell = golden_number(object, "cell"), threshold = golden_number(object, "threshold");
    sa_mask mask;
    assert_int_equal(sa_mask_new(&mask, height, width, NULL), SA_OK);
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            size_t at = y / cell * ((width + cell - 1) / cell) + x / cell;
            sa_mask_set(&mask, x, y, golden_pattern(seed, at) > threshold);
        }
    }
    return mask;
>>>>>>> masks
}

#endif
