/*
 * Reader of safetensors: 8 bytes of header length N (little endian), N bytes of JSON, then the tensors' data.
 *
 *   {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ..., "__metadata__": {"k":
 * "v"}}
 *
 * The offsets count from the end of the header; sorted, they must cover the rest of the file without hole or
 * overlap, so there is one reading of every file and no hidden bytes in it.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/weights/reader.h"

static const size_t MAX_HEADER = 100000000; /* the format's own limit */
static const char DAMAGED[] = "the file is damaged or was cut short: download or write it again";

/* One file being read. */
typedef struct {
    const char *path;
    const unsigned char *data; /* after the header */
    size_t data_size;
    int file;
    size_t first; /* the file's first entry in the list, which may hold other shards' before */
    sa_tensor_list *list;
    sa_error *err;
} reader;

/* A tensor's place in the data, for the check that they lie side by side. */
typedef struct {
    size_t begin, end, entry;
} span;

static sa_status read_header_size(const char *path, const unsigned char *bytes, size_t size, size_t *header,
                                  sa_error *err)
{
    if (size < 8) {
        return sa_fail(err, SA_BAD_INPUT, path, DAMAGED,
                       "a safetensors file has at least 8 bytes, this one %zu", size);
    }
    uint64_t length = 0;
    for (int i = 7; i >= 0; i--) {
        length = length << 8 | bytes[i];
    }
    if (length > MAX_HEADER) {
        return sa_fail(err, SA_BAD_INPUT, path, "is this a safetensors file?",
                       "the header claims %llu bytes; the format allows 100000000",
                       (unsigned long long)length);
    }
    if (length > size - 8) {
        return sa_fail(err, SA_BAD_INPUT, path, DAMAGED, "the header claims %llu bytes, but only %zu follow",
                       (unsigned long long)length, size - 8);
    }
    if (length == 0 || bytes[8] != '{') {
        return sa_fail(err, SA_BAD_INPUT, path, "is this a safetensors file?",
                       "the header does not start with '{'");
    }
    *header = (size_t)length;
    return SA_OK;
}

static sa_status check_metadata(const reader *r, const json_t *metadata)
{
    if (!json_is_object(metadata)) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, DAMAGED, "__metadata__ is not an object");
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)metadata, key, value) {
        if (!json_is_string(value)) {
            return sa_fail(r->err, SA_BAD_INPUT, r->path, DAMAGED, "__metadata__ \"%s\" is not a string",
                           key);
        }
    }
    return SA_OK;
}

/* Names of the format that we have no element type for: told apart from names that mean nothing. */
static bool is_known_elsewhere(const char *name)
{
    static const char *const names[] = {"F4",      "F6_E2M3", "F6_E3M2", "F8_E5M2", "F8_E4M3",
                                        "F8_E8M0", "U16",     "U32",     "U64",     "C64"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static sa_status parse_dtype(const reader *r, const json_t *info, sa_tensor *tensor)
{
    static const char *const names[SA_DTYPE_COUNT] = {"F32", "F16", "BF16", "F64", "U8",
                                                      "I8",  "I16", "I32",  "I64", "BOOL"};
    const char *name = json_string_value(json_object_get(info, "dtype"));
    if (name == NULL) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, DAMAGED, "tensor \"%s\" has no dtype", tensor->name);
    }
    for (int dtype = 0; dtype < SA_DTYPE_COUNT; dtype++) {
        if (strcmp(name, names[dtype]) == 0) {
            tensor->dtype = (sa_dtype)dtype;
            return SA_OK;
        }
    }
    if (is_known_elsewhere(name)) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, "convert the weights to BF16, F16 or F32",
                       "tensor \"%s\": dtype %s is not supported", tensor->name, name);
    }
    return sa_fail(r->err, SA_BAD_INPUT, r->path, DAMAGED, "tensor \"%s\": unknown dtype \"%s\"",
                   tensor->name, name);
}

static bool as_size(const json_t *value, size_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return false;
    }
    *out = (size_t)json_integer_value(value);
    return true;
}

static sa_status parse_shape(const reader *r, const json_t *info, sa_tensor *tensor)
{
    const json_t *shape = json_object_get(info, "shape");
    if (!json_is_array(shape)) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, DAMAGED, "tensor \"%s\" has no shape", tensor->name);
    }
    if (json_array_size(shape) > SA_TENSOR_MAX_RANK) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, "reshape it before saving",
                       "tensor \"%s\" has %zu axes; at most %d are supported", tensor->name,
                       json_array_size(shape), SA_TENSOR_MAX_RANK);
    }
    tensor->rank = (int)json_array_size(shape);
    for (int axis = 0; axis < tensor->rank; axis++) {
        if (!as_size(json_array_get(shape, (size_t)axis), &tensor->shape[axis])) {
            return sa_fail(r->err, SA_BAD_INPUT, r->path, DAMAGED,
                           "tensor \"%s\": axis %d of its shape is not a whole number >= 0", tensor->name,
                           axis);
        }
    }
    return sa_tensor_measure(tensor, r->path, r->err);
}

static sa_status parse_offsets(const reader *r, const json_t *info, sa_tensor *tensor)
{
    const json_t *offsets = json_object_get(info, "data_offsets");
    size_t begin = 0, end = 0;
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !as_size(json_array_get(offsets, 0), &begin) || !as_size(json_array_get(offsets, 1), &end)) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, DAMAGED,
                       "tensor \"%s\": data_offsets are not two whole numbers >= 0", tensor->name);
    }
    if (begin > end || end > r->data_size) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, DAMAGED,
                       "tensor \"%s\": bytes %zu to %zu lie outside of the file's %zu bytes of data",
                       tensor->name, begin, end, r->data_size);
    }
    if (end - begin != tensor->bytes) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, DAMAGED,
                       "tensor \"%s\": shape and dtype need %zu bytes, data_offsets hold %zu", tensor->name,
                       tensor->bytes, end - begin);
    }
    tensor->data = r->data + begin;
    return SA_OK;
}

static sa_status parse_tensor(const reader *r, const char *name, const json_t *info)
{
    sa_tensor tensor = {.name = name, .file = r->file};
    if (!json_is_object(info)) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, DAMAGED, "the entry of tensor \"%s\" is not an object",
                       name);
    }
    SA_TRY(parse_dtype(r, info, &tensor));
    SA_TRY(parse_shape(r, info, &tensor));
    SA_TRY(parse_offsets(r, info, &tensor));
    return sa_tensor_list_add(r->list, r->path, name, strlen(name), &tensor, NULL, r->err);
}

static int compare_spans(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->begin != y->begin) {
        return x->begin < y->begin ? -1 : 1;
    }
    return x->end < y->end ? -1 : x->end > y->end;
}

static sa_status check_sorted_spans(const reader *r, const span *spans, size_t count)
{
    size_t reached = 0;
    for (size_t i = 0; i < count; i++) {
        if (spans[i].begin != reached) {
            const char *name = r->list->entries[spans[i].entry].name;
            return sa_fail(
                r->err, SA_BAD_INPUT, r->path, DAMAGED, "tensor \"%s\" starts at byte %zu, %s byte %zu", name,
                spans[i].begin,
                spans[i].begin < reached ? "but the one before it ends at" : "leaving a hole after", reached);
        }
        reached = spans[i].end;
    }
    if (reached != r->data_size) {
        return sa_fail(r->err, SA_BAD_INPUT, r->path, DAMAGED,
                       "the tensors end at byte %zu of %zu bytes of data", reached, r->data_size);
    }
    return SA_OK;
}

/* Side by side from the first byte of data to the last. */
static sa_status check_cover(const reader *r)
{
    size_t count = r->list->count - r->first;
    span *spans = malloc((count + 1) * sizeof *spans); /* + 1: malloc(0) may return NULL */
    if (spans == NULL) {
        return sa_fail(r->err, SA_NO_ROOM, r->path, "free some memory", "no memory for %zu tensors", count);
    }
    for (size_t i = 0; i < count; i++) {
        const sa_tensor *tensor = &r->list->entries[r->first + i].tensor;
        size_t begin = (size_t)(tensor->data - r->data);
        spans[i] = (span){begin, begin + tensor->bytes, r->first + i};
    }
    qsort(spans, count, sizeof *spans, compare_spans);
    sa_status status = check_sorted_spans(r, spans, count);
    free(spans);
    return status;
}

static sa_status parse_entries(const reader *r, const json_t *header)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)header, key, value) {
        if (strcmp(key, "__metadata__") == 0) {
            SA_TRY(check_metadata(r, value));
        } else {
            SA_TRY(parse_tensor(r, key, value));
        }
    }
    return check_cover(r);
}

sa_status sa_safetensors_parse(const char *path, const unsigned char *bytes, size_t size, int file,
                               sa_tensor_list *list, sa_error *err)
{
    size_t header = 0;
    SA_TRY(read_header_size(path, bytes, size, &header, err));
    json_t *json = NULL;
    sa_error inner;
    if (sa_json_parse(path, bytes + 8, header, &json, &inner) != SA_OK) {
        return sa_fail(err, inner.status, path, DAMAGED, "its header: %s", inner.reason);
    }
    reader r = {path, bytes + 8 + header, size - 8 - header, file, list->count, list, err};
    sa_status status = parse_entries(&r, json);
    json_decref(json);
    return status;
}
