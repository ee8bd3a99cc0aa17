#include "tests/models/llava_cases.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"

const char *const llava_variants[LLAVA_VARIANTS] = {"tests/golden/llava/huggingface",
                                                    "tests/golden/llava/full", "tests/golden/llava/original"};

sa_weights *llava_open_cases(const char *directory)
{
    char path[256], text[2048];
    sa_error err;
    sa_weights *cases;
    snprintf(path, sizeof path, "%s/cases.safetensors", directory);
    if (sa_weights_open(&cases, path, &err) != SA_OK) {
        fail_msg("%s", sa_error_format(&err, text, sizeof text));
    }
    return cases;
}

static const sa_tensor *find(const sa_weights *cases, int index, const char *what, size_t number)
{
    char name[64];
    snprintf(name, sizeof name, number == SIZE_MAX ? "case%d.%s" : "case%d.%s%zu", index, what, number);
    return sa_weights_find(cases, name);
}

/* A copy of the tensor's bytes. */
static void *copy_of(const sa_tensor *tensor)
{
    void *copy = malloc(tensor->bytes + 1);
    assert_non_null(copy);
    memcpy(copy, tensor->data, tensor->bytes);
    return copy;
}

static float *read_floats(const sa_weights *cases, int index, const char *what, size_t *rows, size_t *width)
{
    const sa_tensor *tensor = find(cases, index, what, SIZE_MAX);
    if (tensor == NULL) {
        return NULL;
    }
    assert_int_equal(tensor->dtype, SA_F32);
    assert_int_equal(tensor->rank, 2);
    *rows = tensor->shape[0];
    *width = tensor->shape[1];
    return copy_of(tensor);
}

static void read_pictures(const sa_weights *cases, int index, llava_case *c)
{
    for (; c->pictures < LLAVA_MOST_PICTURES; c->pictures++) {
        const sa_tensor *image = find(cases, index, "image", c->pictures);
        const sa_tensor *square = find(cases, index, "square", c->pictures);
        if (image == NULL) {
            return;
        }
        c->picture[c->pictures] =
            (sa_image){.height = image->shape[0], .width = image->shape[1], .pixels = copy_of(image)};
        c->square[c->pictures] = copy_of(square);
        c->side = square->shape[0];
    }
}

void llava_read(const sa_weights *cases, int index, llava_case *c)
{
    size_t rows;
    memset(c, 0, sizeof *c);
    read_pictures(cases, index, c);
    c->features = read_floats(cases, index, "features", &c->feature_rows, &c->feature_width);
    c->embeddings = read_floats(cases, index, "embeddings", &rows, &c->width);
    c->logits = read_floats(cases, index, "logits", &c->rows, &c->vocabulary);
    const sa_tensor *tokens = find(cases, index, "tokens", SIZE_MAX);
    const sa_tensor *greedy = find(cases, index, "greedy", SIZE_MAX);
    assert_true(c->logits != NULL && tokens != NULL && greedy != NULL);
    assert_int_equal(greedy->count, LLAVA_GREEDY);
    c->tokens = copy_of(tokens);
    c->token_count = tokens->count;
    c->greedy = copy_of(greedy);
}

void llava_free(llava_case *c)
{
    for (size_t i = 0; i < c->pictures; i++) {
        free(c->picture[i].pixels);
        free(c->square[i]);
    }
    free(c->features);
    free(c->embeddings);
    free(c->tokens);
    free(c->logits);
    free(c->greedy);
}

double llava_largest(const float *values, size_t count)
{
    double most = 0.0;
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fabs((double)values[i]));
    }
    return most;
}
