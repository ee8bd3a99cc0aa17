#include "runtime/image/npy.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/file.h"

/* The files are little-endian, and so is every machine this is built for. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "npy.c copies little-endian floats as they are");

static const unsigned char magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

enum { HEADER_LIMIT = 65536 };

/* A place in the header's text; nothing reads at or past `end`. */
typedef struct {
    const unsigned char *at, *end;
} cursor;

static void skip_space(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n')) {
        c->at++;
    }
}

static bool take(cursor *c, const char *text)
{
    skip_space(c);
    size_t length = strlen(text);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, text, length) != 0) {
        return false;
    }
    c->at += length;
    return true;
}

static bool take_size(cursor *c, size_t *out)
{
    skip_space(c);
    size_t value = 0;
    const unsigned char *start = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
        if (!sa_mul_size(value, 10, &value) || !sa_add_size(value, (size_t)(*c->at - '0'), &value)) {
            return false;
        }
        c->at++;
    }
    *out = value;
    return c->at > start;
}

/* "(3, 256, 256)", "(5,)"; a trailing comma is as Python writes it. */
static bool take_shape(cursor *c, sa_npy *array)
{
    if (!take(c, "(")) {
        return false;
    }
    array->rank = 0;
    while (!take(c, ")")) {
        if (array->rank == SA_NPY_MAX_RANK || !take_size(c, &array->shape[array->rank])) {
            return false;
        }
        array->rank++;
        if (!take(c, ",")) {
            return take(c, ")") && array->rank > 0;
        }
    }
    return array->rank > 0;
}

/* One "key: value" of the dictionary; `seen` has a bit for each key, so that none comes twice. */
static bool take_entry(cursor *c, sa_npy *array, unsigned *seen)
{
    unsigned key;
    bool good;
    if (take(c, "'descr'")) {
        key = 1;
        good = take(c, ":") && take(c, "'<f4'");
    } else if (take(c, "'fortran_order'")) {
        key = 2;
        good = take(c, ":") && take(c, "False");
    } else {
        key = 4;
        good = take(c, "'shape'") && take(c, ":") && take_shape(c, array);
    }
    good = good && (*seen & key) == 0;
    *seen |= key;
    return good;
}

static bool parse_dictionary(cursor *c, sa_npy *array)
{
    unsigned seen = 0;
    if (!take(c, "{")) {
        return false;
    }
    while (!take(c, "}")) {
        if (!take_entry(c, array, &seen) || (!take(c, ",") && (c->at >= c->end || *c->at != '}'))) {
            return false;
        }
    }
    skip_space(c);
    return seen == 7 && c->at == c->end;
}

static bool product_of(const sa_npy *array, size_t *count)
{
    *count = 1;
    for (int i = 0; i < array->rank; i++) {
        if (array->shape[i] == 0 || !sa_mul_size(*count, array->shape[i], count)) {
            return false;
        }
    }
    return true;
}

/* Where the header's text stands: [*begin, *begin + *length) within size, or false. */
static bool find_header(const unsigned char *bytes, size_t size, size_t *begin, size_t *length)
{
    if (size < 12 || memcmp(bytes, magic, sizeof magic) != 0 || bytes[6] < 1 || bytes[6] > 3 ||
        bytes[7] != 0) {
        return false;
    }
    *begin = bytes[6] == 1 ? 10 : 12;
    *length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] != 1) {
        *length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    }
    return *length <= HEADER_LIMIT && *length <= size - *begin;
}

static bool all_finite(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        if ((bits & 0x7f800000u) == 0x7f800000u) {
            return false;
        }
    }
    return true;
}

bool sa_npy_is_npy(const unsigned char *bytes, size_t size)
{
    return size >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

sa_status sa_npy_parse(const char *name, const unsigned char *bytes, size_t size, sa_npy *array,
                       sa_error *err)
{
    static const char hint[] = "write it with numpy.save(FILE, array.astype('<f4')), rank 1 to 4, C order";
    *array = (sa_npy){0};
    size_t begin, length, byte_count;
    if (!find_header(bytes, size, &begin, &length)) {
        return sa_fail(err, SA_BAD_INPUT, name, hint, "no .npy file, or its header is cut off");
    }
    cursor c = {bytes + begin, bytes + begin + length};
    if (!parse_dictionary(&c, array)) {
        return sa_fail(err, SA_BAD_INPUT, name, hint, "not a float32 C-order array of rank 1 to 4");
    }
    size_t rest = size - begin - length;
    if (!product_of(array, &array->count) || !sa_mul_size(array->count, sizeof(float), &byte_count) ||
        byte_count != rest) {
        return sa_fail(err, SA_BAD_INPUT, name, hint,
                       "the header's shape does not match the %zu bytes of data", rest);
    }
    array->values = malloc(byte_count);
    if (array->values == NULL) {
        return sa_fail(err, SA_NO_ROOM, name, NULL, "no memory for %zu bytes", byte_count);
    }
    memcpy(array->values, bytes + begin + length, byte_count);
    if (!all_finite(array->values, array->count)) {
        sa_npy_free(array);
        return sa_fail(err, SA_BAD_INPUT, name, "save the logits again", "it holds NaN or infinity");
    }
    return SA_OK;
}

sa_status sa_npy_read(const char *path, size_t limit, sa_npy *array, sa_error *err)
{
    unsigned char *bytes;
    size_t size;
    *array = (sa_npy){0};
    SA_TRY(sa_file_read(path, limit, &bytes, &size, err));
    sa_status status = sa_npy_parse(path, bytes, size, array, err);
    free(bytes);
    return status;
}

void sa_npy_free(sa_npy *array)
{
    free(array->values);
    *array = (sa_npy){0};
}

/* The header as numpy.save writes it: padded with spaces so that the data begin at a multiple of 64. */
static size_t format_header(char *text, size_t size, int rank, const size_t *shape)
{
    char axes[SA_NPY_MAX_RANK * 24] = "";
    size_t used = 0;
    for (int i = 0; i < rank; i++) {
        used += (size_t)snprintf(axes + used, sizeof axes - used, "%s%zu", i > 0 ? ", " : "", shape[i]);
    }
    int length = snprintf(text, size, "{'descr': '<f4', 'fortran_order': False, 'shape': (%s%s), }", axes,
                          rank == 1 ? "," : "");
    size_t total = (10 + (size_t)length + 1 + 63) / 64 * 64 - 10;
    SA_ASSERT(total < size);
    memset(text + length, ' ', total - (size_t)length);
    text[total - 1] = '\n';
    return total;
}

sa_status sa_npy_write(const char *path, int rank, const size_t *shape, const float *values, sa_error *err)
{
    SA_ASSERT(rank >= 1 && rank <= SA_NPY_MAX_RANK);
    char header[512];
    size_t length = format_header(header, sizeof header, rank, shape);
    const unsigned char size_bytes[4] = {1, 0, (unsigned char)(length & 255), (unsigned char)(length >> 8)};
    size_t count = 1;
    for (int i = 0; i < rank; i++) {
        SA_ASSERT(sa_mul_size(count, shape[i], &count));
    }
    sa_file_writer writer;
    SA_TRY(sa_file_writer_open(&writer, path, err));
    fwrite(magic, 1, sizeof magic, writer.stream);
    fwrite(size_bytes, 1, sizeof size_bytes, writer.stream);
    fwrite(header, 1, length, writer.stream);
    fwrite(values, sizeof *values, count, writer.stream);
    return sa_file_writer_commit(&writer, err);
}
