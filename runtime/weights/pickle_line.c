#include "runtime/weights/pickle_line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/utf8.h"

static int hex_value(unsigned char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The number of exactly `count` hexadecimal digits, or -1. */
static int64_t read_hex(const char *text, size_t size, size_t count)
{
    int64_t number = 0;
    for (size_t i = 0; i < count; i++) {
        int digit = i < size ? hex_value((unsigned char)text[i]) : -1;
        if (digit < 0) {
            return -1;
        }
        number = number * 16 + digit;
    }
    return number;
}

/* A backslash's sequence in Python's repr of a byte string: its length, and *byte; 0: it is none. */
static size_t read_escape(const char *text, size_t size, char *byte)
{
    static const char letters[] = "\\\\''\"\"n\nr\rt\tb\bf\fv\va\a";
    if (size < 2) {
        return 0;
    }
    if (text[1] == 'x') {
        int64_t code = read_hex(text + 2, size - 2, 2);
        *byte = (char)code;
        return code >= 0 ? 4 : 0;
    }
    for (size_t i = 0; i + 1 < sizeof letters; i += 2) {
        if (text[1] == letters[i]) {
            *byte = letters[i + 1];
            return 2;
        }
    }
    return 0;
}

bool sa_pickle_read_quoted(const char *line, size_t size, char *out, size_t *length)
{
    *length = 0;
    if (size < 2 || (line[0] != '\'' && line[0] != '"') || line[size - 1] != line[0]) {
        return false;
    }
    for (size_t at = 1; at < size - 1;) {
        size_t step = 1;
        out[*length] = line[at];
        if (line[at] == '\\') {
            step = read_escape(line + at, size - 1 - at, &out[*length]);
        }
        if (step == 0) {
            return false;
        }
        ++*length;
        at += step;
    }
    return true;
}

/* One character of a UNICODE line to UTF-8: how much was read, 0 if it cannot be; *written bytes. */
static size_t read_unicode(const char *line, size_t size, char out[4], size_t *written)
{
    int64_t code = (unsigned char)line[0];
    size_t step = 1;
    if (code == '\\' && size > 1 && (line[1] == 'u' || line[1] == 'U')) {
        size_t digits = line[1] == 'u' ? 4 : 8;
        code = read_hex(line + 2, size - 2, digits);
        step = 2 + digits;
    }
    /* A pair of surrogates is one character, as narrow builds of Python 2 wrote it. */
    if (code >= 0xd800 && code < 0xdc00 && size >= step + 6 && line[step] == '\\' && line[step + 1] == 'u') {
        int64_t low = read_hex(line + step + 2, 4, 4);
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            step += 6;
        }
    }
    if (code < 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
        return 0;
    }
    *written = sa_utf8_encode((uint32_t)code, (unsigned char *)out);
    return step;
}

bool sa_pickle_read_escaped(const char *line, size_t size, char *out, size_t *length)
{
    *length = 0;
    for (size_t at = 0; at < size;) {
        size_t written = 0;
        size_t step = read_unicode(line + at, size - at, out + *length, &written);
        if (step == 0) {
            return false;
        }
        *length += written;
        at += step;
    }
    return true;
}

bool sa_pickle_read_decimal(const char *text, size_t size, int64_t *number)
{
    char copy[24], *end;
    if (size == 0 || size >= sizeof copy || (text[0] != '-' && (text[0] < '0' || text[0] > '9'))) {
        return false;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    errno = 0;
    *number = strtoll(copy, &end, 10);
    return errno == 0 && end == copy + size;
}
