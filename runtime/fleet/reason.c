#include "runtime/fleet/reason.h"

#include <jansson.h>

char *sa_reason_write(const sa_error *why)
{
    json_t *json = json_pack("{s:s, s:s, s:s, s:i}", "file", why->file, "reason", why->reason, "hint",
                             why->hint, "status", (int)why->status);
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text != NULL ? text : "";
}

void sa_reason_read(const char *text, size_t size, sa_error *why)
{
    json_t *json = json_loadb(text, size, 0, NULL);
    json_int_t status = json_integer_value(json_object_get(json, "status"));
    const char *hint = text_of(json, "hint");
    sa_fail(why, status > SA_OK && status < SA_INTERRUPTED ? (sa_status)status : SA_BAD_INPUT,
            text_of(json, "file"), hint[0] != '\0' ? hint : NULL, "%s", text_of(json, "reason"));
    json_decref(json);
}
