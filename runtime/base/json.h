/*
 * JSON. Reading is jansson's; the functions here add what untrusted input needs (a size limit, duplicate keys
 * refused, nesting bounded) and errors that name file, line and key. Writing is ours, because of the number
 * format that INTERFACES.md asks for: the fewest digits that read back to the same value.
 */
#ifndef SA_BASE_JSON_H
#define SA_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/base/status.h"

enum { SA_JSON_DEPTH = 64 }; /* of nesting, read and written */

/*
 * Parses one JSON value that fills bytes[0, size) but for white space. `name` is what errors call the source.
 * Refused, as SA_BAD_INPUT: duplicate keys, nesting deeper than SA_JSON_DEPTH (checked before jansson's
 * recursion), bytes that are not UTF-8, "\u0000", anything after the value. An integer beyond int64 reads as
 * a real. The caller calls json_decref.
 */
sa_status sa_json_parse(const char *name, const void *bytes, size_t size, json_t **value, sa_error *err);
/* The same for a file; more than `limit` bytes are SA_NO_ROOM. */
sa_status sa_json_read(const char *path, size_t limit, json_t **value, sa_error *err);

/*
 * Members of an object, with errors that say `name`: key "..." ... A missing key (or null) leaves *out as it
 * is, unless `required`. Integers outside [least, most] and reals that are not finite are SA_BAD_INPUT; a
 * real accepts integers. A string stays owned by the object.
 */
sa_status sa_json_get_int(const json_t *object, const char *name, const char *key, bool required,
                          int64_t least, int64_t most, int64_t *out, sa_error *err);
sa_status sa_json_get_real(const json_t *object, const char *name, const char *key, bool required,
                           double *out, sa_error *err);
sa_status sa_json_get_string(const json_t *object, const char *name, const char *key, bool required,
                             const char **out, sa_error *err);

/*
 * Writer: straight to a stream, one value after another, commas and quotes its own business:
 *   sa_json_writer w = sa_json_writer_on(stdout);
 *   sa_json_begin_object(&w); sa_json_key(&w, "best"); sa_json_int(&w, 2); sa_json_end_object(&w);
 *   sa_json_end_line(&w);
 * Compact ({"a":1,"b":[2,3]}), keys in the order written. Strings that are not UTF-8 get U+FFFD for each bad
 * byte. NaN and infinity, which JSON lacks, become null. Nesting deeper than SA_JSON_DEPTH, an end without
 * its begin, a value in an object without its key, or two values of depth 0 without an end_line between them,
 * is a bug. What the stream could not write shows in ferror(stream).
 */
typedef struct {
    FILE *stream;
    int depth;
    char open[SA_JSON_DEPTH];       /* '{' or '[' at each depth */
    bool need_comma[SA_JSON_DEPTH]; /* at each depth: a value stands there already */
    bool after_key;
    bool line_done; /* a value of depth 0 is written and wants its end_line */
    bool python;    /* ", " and ": ", and \uXXXX for all that is not ASCII */
} sa_json_writer;

sa_json_writer sa_json_writer_on(FILE *stream);
/* The same in the style of Python's json.dump with its defaults, byte for byte. */
sa_json_writer sa_json_writer_python(FILE *stream);
void sa_json_begin_object(sa_json_writer *w);
void sa_json_end_object(sa_json_writer *w);
void sa_json_begin_array(sa_json_writer *w);
void sa_json_end_array(sa_json_writer *w);
void sa_json_key(sa_json_writer *w, const char *key);
void sa_json_string(sa_json_writer *w, const char *text); /* NULL writes null */
/* Text that may hold zero bytes, and need not end with one; NULL if size is 0. */
void sa_json_text(sa_json_writer *w, const char *bytes, size_t size);
void sa_json_int(sa_json_writer *w, int64_t value);
void sa_json_f32(sa_json_writer *w, float value);
void sa_json_f64(sa_json_writer *w, double value);
void sa_json_bool(sa_json_writer *w, bool value);
void sa_json_null(sa_json_writer *w);
/* A key and its value at once. */
void sa_json_put_string(sa_json_writer *w, const char *key, const char *text); /* NULL writes null */
void sa_json_put_int(sa_json_writer *w, const char *key, int64_t value);
void sa_json_put_f64(sa_json_writer *w, const char *key, double value);
void sa_json_put_bool(sa_json_writer *w, const char *key, bool value);
/* Anything that sa_json_parse() has let through. */
void sa_json_value(sa_json_writer *w, const json_t *value);
void sa_json_end_line(sa_json_writer *w); /* newline and flush; depth must be 0 */

/*
 * The fewest digits that read back to the same float / double, in the form of Python's repr: "0.1", "1e-07",
 * "3.0", "1e+16"; "null" for NaN and infinity. The locale does not matter. `size` is at least 32.
 */
void sa_json_format_f32(char *text, size_t size, float value);
void sa_json_format_f64(char *text, size_t size, double value);

#endif
