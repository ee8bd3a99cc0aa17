#include "tests/models/golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"

static const sa_tensor *find(const sa_weights *cases, int index, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "case%d.%s", index, what);
    return sa_weights_find(cases, name);
}

static float *read_floats(const sa_weights *cases, int index, const char *what, size_t *count)
{
    const sa_tensor *tensor = find(cases, index, what);
    if (tensor == NULL) {
        *count = 0;
        return NULL;
    }
    float *values = malloc(tensor->count * sizeof *values + 1);
    assert_non_null(values);
    sa_tensor_read_f32(tensor, 0, tensor->count, values);
    *count = tensor->count;
    return values;
}

static int32_t read_int(const sa_weights *cases, int index, const char *what, size_t at)
{
    const sa_tensor *tensor = find(cases, index, what);
    int32_t value;
    assert_non_null(tensor);
    assert_int_equal(tensor->dtype, SA_I32);
    memcpy(&value, tensor->data + at * sizeof value, sizeof value);
    return value;
}

static uint8_t *read_bytes(const sa_tensor *tensor)
{
    assert_non_null(tensor);
    uint8_t *bytes = malloc(tensor->bytes + 1);
    assert_non_null(bytes);
    memcpy(bytes, tensor->data, tensor->bytes);
    return bytes;
}

static void read_prompt(const sa_weights *cases, int index, golden_case *out)
{
    size_t values = 0, sides = 0;
    float *points = read_floats(cases, index, "points", &values);
    float *box = read_floats(cases, index, "box", &sides);
    assert_true(values / 2 <= GOLDEN_MOST_CLICKS);
    for (size_t i = 0; i < values / 2; i++) {
        bool positive = read_int(cases, index, "labels", i) == 1;
        out->clicks[i] = (sa_click){.x = points[2 * i], .y = points[2 * i + 1], .positive = positive};
    }
    out->prompt = (sa_prompt){.clicks = out->clicks, .click_count = values / 2, .has_box = box != NULL};
    if (box != NULL) {
        memcpy(out->prompt.box, box, sizeof out->prompt.box);
    }
    free(points);
    free(box);
}

bool golden_read(const sa_weights *cases, int index, golden_case *out)
{
    size_t count;
    if (find(cases, index, "image_of") == NULL) {
        return false;
    }
    const sa_tensor *picture = find(cases, read_int(cases, index, "image_of", 0), "image");
    assert_non_null(picture);
    *out = (golden_case){
        .picture = {.height = picture->shape[0], .width = picture->shape[1], .pixels = read_bytes(picture)},
        .state = read_floats(cases, index, "mask_input", &count),
        .embedding = read_floats(cases, index, "embedding", &count),
        .logits = read_floats(cases, index, "logits", &count),
        .scores = read_floats(cases, index, "iou", &count),
        .masks = read_bytes(find(cases, index, "masks")),
        .best = read_int(cases, index, "best", 0),
    };
    read_prompt(cases, index, out);
    return true;
}

void golden_free(golden_case *c)
{
    sa_image_free(&c->picture);
    free(c->state);
    free(c->embedding);
    free(c->logits);
    free(c->scores);
    free(c->masks);
}
