/*
 * Weight files made byte by byte, for the tests of this folder: a growing buffer, safetensors and zip
 * archives on it.
 */
#ifndef SA_TESTS_WEIGHTS_BYTES_H
#define SA_TESTS_WEIGHTS_BYTES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/weights/reader.h"
#include "tests/check.h"

#define UNUSED __attribute__((unused))

typedef struct {
    unsigned char *data;
    size_t size;
} bytes;

static UNUSED void put(bytes *b, const void *data, size_t size)
{
    b->data = realloc(b->data, b->size + size + 1); /* NOLINT(bugprone-suspicious-realloc-usage): a test */
    assert_non_null(b->data);
    if (size > 0) {
        memcpy(b->data + b->size, data, size);
    }
    b->size += size;
}

static UNUSED void put_text(bytes *b, const char *text)
{
    put(b, text, strlen(text));
}

static UNUSED void put_number(bytes *b, uint64_t number, int width)
{
    for (int i = 0; i < width; i++) {
        unsigned char byte = (unsigned char)(i < 8 ? number >> (8 * i) : 0);
        put(b, &byte, 1);
    }
}

static UNUSED void drop(bytes *b)
{
    free(b->data);
    *b = (bytes){0};
}

/* Header length, header, then `data` zero bytes. */
static UNUSED bytes make_safetensors(const char *header, size_t data)
{
    bytes b = {0};
    put_number(&b, strlen(header), 8);
    put_text(&b, header);
    for (size_t i = 0; i < data; i++) {
        put_number(&b, 0, 1);
    }
    return b;
}

typedef sa_status parse_function(const char *path, const unsigned char *data, size_t size, int file,
                                 sa_tensor_list *list, sa_error *err);

/* What holds of every tensor of an accepted file. */
static UNUSED void check_tensors(const sa_tensor_list *list, const bytes *b)
{
    volatile unsigned char touched = 0;
    for (size_t i = 0; i < list->count; i++) {
        const sa_tensor *tensor = &list->entries[i].tensor;
        size_t count = 1;
        for (int axis = 0; axis < tensor->rank; axis++) {
            count *= tensor->shape[axis];
        }
        assert_int_equal(count, tensor->count);
        assert_int_equal(count * sa_dtype_size(tensor->dtype), tensor->bytes);
        if (list->entries[i].owned == NULL && tensor->bytes > 0) {
            assert_true(tensor->data >= b->data && tensor->data + tensor->bytes <= b->data + b->size);
        }
        for (size_t k = 0; k < tensor->bytes; k++) {
            touched = (unsigned char)(touched ^ tensor->data[k]);
        }
    }
}

/* Parses a copy of exactly b->size bytes, so that the sanitizer sees a read past its end. */
static UNUSED sa_status parse_copy(parse_function *parse, const bytes *b, size_t *tensors, sa_error *err)
{
    bytes copy = {malloc(b->size > 0 ? b->size : 1), b->size};
    assert_non_null(copy.data);
    if (b->size > 0) {
        memcpy(copy.data, b->data, b->size);
    }
    sa_tensor_list list = {0};
    *err = (sa_error){0};
    sa_status status = parse("test", copy.data, copy.size, 0, &list, err);
    if (status == SA_OK) {
        check_tensors(&list, &copy);
    }
    *tensors = list.count;
    sa_tensor_list_free(&list);
    free(copy.data);
    return status;
}

/* Refused as bad input, with a reason that has `part` in it and a way out. */
static UNUSED void check_refused(parse_function *parse, const bytes *b, const char *part)
{
    sa_error err;
    size_t tensors;
    if (parse_copy(parse, b, &tensors, &err) == SA_OK) {
        fail_msg("accepted, though it should say \"%s\"", part);
    }
    assert_int_equal(err.status, SA_BAD_INPUT);
    if (strstr(err.reason, part) == NULL || err.hint[0] == '\0' || strcmp(err.file, "test") != 0) {
        fail_msg("\"%s: %s (%s)\" does not say \"%s\", or no way out", err.file, err.reason, err.hint, part);
    }
}

static UNUSED void check_accepted(parse_function *parse, const bytes *b, size_t tensors)
{
    sa_error err;
    size_t found;
    if (parse_copy(parse, b, &found, &err) != SA_OK) {
        fail_msg("refused: %s", err.reason);
    }
    assert_int_equal(found, tensors);
}

/* Cut at every byte it is refused; with any byte changed it is refused, or read within its bounds. */
static UNUSED void check_damage(parse_function *parse, const bytes *b)
{
    sa_error err;
    size_t tensors, accepted = 0;
    for (size_t size = 0; size < b->size; size++) {
        bytes cut = {b->data, size};
        assert_int_equal(parse_copy(parse, &cut, &tensors, &err), SA_BAD_INPUT);
    }
    static const unsigned char masks[] = {0x01, 0x80, 0xff, 0x20};
    for (size_t i = 0; i < b->size; i++) {
        for (size_t m = 0; m < sizeof masks; m++) {
            b->data[i] ^= masks[m];
            sa_status status = parse_copy(parse, b, &tensors, &err);
            assert_true(status == SA_OK ||
                        (status == SA_BAD_INPUT && err.reason[0] != '\0' && err.hint[0] != '\0'));
            accepted += status == SA_OK;
            b->data[i] ^= masks[m];
        }
    }
    assert_true(accepted < 4 * b->size);
}

/* -- Scratch files -- */

typedef struct {
    char directory[64];
} scratch;

static UNUSED scratch scratch_new(void)
{
    scratch s = {"/tmp/segagent-test-XXXXXX"};
    assert_non_null(mkdtemp(s.directory));
    return s;
}

/* The path of NAME in the scratch folder; valid until the next call. */
static UNUSED const char *scratch_path(const scratch *s, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", s->directory, name);
    return path;
}

static UNUSED void scratch_write(const scratch *s, const char *name, const void *data, size_t size)
{
    sa_error err;
    assert_int_equal(sa_file_write(scratch_path(s, name), data, size, &err), SA_OK);
}

static UNUSED void scratch_remove(const scratch *s)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", s->directory);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c,bugprone-command-processor): our own words */
}

static UNUSED void check_open_refused(const char *path, const char *part)
{
    sa_weights *weights = NULL;
    sa_error err = {0};
    assert_int_equal(sa_weights_open(&weights, path, &err), SA_BAD_INPUT);
    assert_null(weights);
    if (strstr(err.reason, part) == NULL || err.hint[0] == '\0') {
        fail_msg("\"%s: %s (%s)\" does not say \"%s\", or no way out", err.file, err.reason, err.hint, part);
    }
}

#endif
