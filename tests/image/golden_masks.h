/*
 * What the tests of tests/golden/masks share: the inputs' pattern (weights_tools/golden/make_masks.py) and
 * reading.
 */
#ifndef SA_TESTS_IMAGE_GOLDEN_MASKS_H
#define SA_TESTS_IMAGE_GOLDEN_MASKS_H

#include "tests/check.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/image/mask.h"

/* Byte i of pattern `seed`. */
static inline uint8_t golden_hash_byte(uint32_t seed, size_t i)
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
            sa_mask_set(&mask, x, y, golden_hash_byte(seed, at) > threshold);
        }
    }
    return mask;
}

#endif
