/*
 * Arbitrary bytes through sa_json_parse. What is accepted must keep the promises of json.h: bounded nesting,
 * and our writer's text of it parses to an equal value.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/json.h"

enum { MOST_DEPTH = 64, WRITER_DEPTH = 32 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_value(sa_json_writer *w, json_t *value)
{
    const char *key;
    json_t *member;
    size_t index;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        sa_json_begin_object(w);
        json_object_foreach(value, key, member) {
            sa_json_key(w, key);
            write_value(w, member);
        }
        sa_json_end_object(w);
        break;
    case JSON_ARRAY:
        sa_json_begin_array(w);
        json_array_foreach(value, index, member) {
            write_value(w, member);
        }
        sa_json_end_array(w);
        break;
    case JSON_STRING: sa_json_string(w, json_string_value(value)); break;
    case JSON_INTEGER: sa_json_int(w, json_integer_value(value)); break;
    case JSON_REAL: sa_json_f64(w, json_real_value(value)); break;
    case JSON_TRUE: sa_json_bool(w, true); break;
    case JSON_FALSE: sa_json_bool(w, false); break;
    case JSON_NULL: sa_json_null(w); break;
    }
}

static int depth_of(json_t *value)
{
    const char *key;
    json_t *member;
    size_t index;
    int deepest = 0;
    json_object_foreach(value, key, member) {
        int depth = depth_of(member);
        deepest = depth > deepest ? depth : deepest;
    }
    json_array_foreach(value, index, member) {
        int depth = depth_of(member);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + (json_is_object(value) || json_is_array(value));
}

static void check_round_trip(json_t *value)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    SA_ASSERT(stream != NULL);
    sa_json_writer w = sa_json_writer_on(stream);
    write_value(&w, value);
    sa_json_end_line(&w);
    fclose(stream);
    json_t *back = NULL;
    sa_error err;
    SA_ASSERT(sa_json_parse("written", text, size, &back, &err) == SA_OK);
    SA_ASSERT(json_equal(value, back));
    json_decref(back);
    free(text);
}

/* The getters on whatever members there are: any type may stand anywhere. */
static void get_members(json_t *object)
{
    static const char *const keys[] = {"a", "i", "r", "s"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        sa_error err;
        int64_t integer = 0;
        double real = 0.0;
        const char *text = "";
        if (sa_json_get_int(object, "fuzz", keys[i], true, -5, 5, &integer, &err) == SA_OK) {
            SA_ASSERT(integer >= -5 && integer <= 5);
        }
        if (sa_json_get_real(object, "fuzz", keys[i], true, &real, &err) == SA_OK) {
            SA_ASSERT(real - real == 0.0); /* finite */
        }
        if (sa_json_get_string(object, "fuzz", keys[i], false, &text, &err) == SA_OK) {
            SA_ASSERT(strlen(text) < SIZE_MAX);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *value = NULL;
    sa_error err = {0};
    sa_status status = sa_json_parse("fuzz", data, size, &value, &err);
    if (status != SA_OK) {
        SA_ASSERT(status == SA_BAD_INPUT && value == NULL && err.reason[0] != '\0');
        return 0;
    }
    int depth = depth_of(value);
    SA_ASSERT(depth <= MOST_DEPTH);
    if (depth <= WRITER_DEPTH) {
        check_round_trip(value);
    }
    get_members(value);
    json_decref(value);
    return 0;
}
