#include "runtime/data/item_pickle.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/utf8.h"

enum { MOST_DEPTH = 8, MOST_VALUES = 1 << 16, MOST_TEXT = 1 << 20 };

typedef struct {
    const sa_pickle *pickle;
    const char *name;
    size_t values, text; /* built so far; bytes of texts */
    sa_error *err;
} converter;

static sa_status convert(converter *c, const sa_pickle_value *value, int depth, json_t **json);

static sa_status no_memory(const converter *c)
{
    return sa_fail(c->err, SA_NO_ROOM, c->name, "free some memory", "no memory for a reference");
}

static sa_status too_large(const converter *c)
{
    return sa_fail(c->err, SA_BAD_INPUT, c->name, "see that it is the right file",
                   "it is larger, or nested deeper, than a reference can be");
}

/* `text` as UTF-8, malloc'd, with a zero at its end. */
static char *to_utf8(const sa_pickle_value *value, size_t *length)
{
    unsigned char *text = malloc(2 * value->length + 1);
    if (text == NULL) {
        return NULL;
    }
    size_t size = 0;
    if (value->length > 0 && sa_utf8_is_whole(value->text, value->length)) {
        memcpy(text, value->text, value->length);
        size = value->length;
    } else {
        for (size_t i = 0; i < value->length; i++) {
            size += sa_utf8_encode((unsigned char)value->text[i], text + size);
        }
    }
    text[size] = '\0';
    *length = size;
    return (char *)text;
}

/* Texts with zero bytes are no texts for us: jansson would take them, but no C string does. */
static sa_status convert_text(converter *c, const sa_pickle_value *value, json_t **json)
{
    size_t length = 0;
    c->text += value->length;
    if (c->text > MOST_TEXT) {
        return too_large(c);
    }
    char *text = to_utf8(value, &length);
    if (text == NULL) {
        return no_memory(c);
    }
    *json = strlen(text) == length ? json_stringn(text, length) : json_null();
    free(text);
    return *json != NULL ? SA_OK : no_memory(c);
}

static sa_status convert_list(converter *c, const sa_pickle_value *value, int depth, json_t **json)
{
    *json = json_array();
    if (*json == NULL) {
        return no_memory(c);
    }
    for (size_t i = 0; i < value->count; i++) {
        json_t *item = NULL;
        sa_status status = convert(c, sa_pickle_item(c->pickle, value, i), depth + 1, &item);
        if (status != SA_OK || json_array_append_new(*json, item) != 0) {
            return status != SA_OK ? status : no_memory(c);
        }
    }
    return SA_OK;
}

static sa_status convert_member(converter *c, const sa_pickle_value *key, const sa_pickle_value *value,
                                int depth, json_t *object)
{
    json_t *name = NULL, *member = NULL;
    if (key->kind != SA_PICKLE_TEXT) {
        return SA_OK;
    }
    sa_status status = convert_text(c, key, &name);
    if (status == SA_OK && json_is_string(name)) {
        status = convert(c, value, depth + 1, &member);
        if (status == SA_OK && json_object_set(object, json_string_value(name), member) != 0) {
            status = no_memory(c);
        }
    }
    json_decref(name);
    json_decref(member);
    return status;
}

static sa_status convert_dict(converter *c, const sa_pickle_value *value, int depth, json_t **json)
{
    *json = json_object();
    if (*json == NULL) {
        return no_memory(c);
    }
    for (size_t i = 0; i + 1 < value->count; i += 2) {
        SA_TRY(convert_member(c, sa_pickle_item(c->pickle, value, i), sa_pickle_item(c->pickle, value, i + 1),
                              depth, *json));
    }
    return SA_OK;
}

/* On failure *json is what was built, or NULL; the caller lets go of it. */
static sa_status convert_any(converter *c, const sa_pickle_value *value, int depth, json_t **json)
{
    switch (value->kind) {
    case SA_PICKLE_TEXT: return convert_text(c, value, json);
    case SA_PICKLE_LIST:
    case SA_PICKLE_TUPLE: return convert_list(c, value, depth, json);
    case SA_PICKLE_DICT: return convert_dict(c, value, depth, json);
    case SA_PICKLE_INT: *json = json_integer(value->number); break;
    case SA_PICKLE_BOOL: *json = json_boolean(value->number); break;
    default: *json = json_null(); break;
    }
    return *json != NULL ? SA_OK : no_memory(c);
}

static sa_status convert(converter *c, const sa_pickle_value *value, int depth, json_t **json)
{
    *json = NULL;
    if (depth > MOST_DEPTH || ++c->values > MOST_VALUES) {
        return too_large(c);
    }
    sa_status status = convert_any(c, value, depth, json);
    if (status != SA_OK) {
        json_decref(*json);
        *json = NULL;
    }
    return status;
}

sa_status item_json_from_pickle(const sa_pickle *pickle, const sa_pickle_value *value, const char *name,
                                json_t **json, sa_error *err)
{
    converter c = {.pickle = pickle, .name = name, .err = err};
    *json = NULL;
    if (value->kind != SA_PICKLE_DICT) {
        return sa_fail(err, SA_BAD_INPUT, name, "correct the file", "the row is no object");
    }
    return convert(&c, value, 0, json);
}
