/* Getters over json.h that keep the first failure, with the section's name and a way out. */
#include "runtime/models/config.h"

#include <string.h>

#include "runtime/base/file.h"

static const char *const bad_config = "use a config.json that belongs to the weights";

enum { MOST_CONFIG_BYTES = 1 << 20, MOST_SIZE = 1 << 16 };

sa_status sa_config_open(const char *directory, const char *name, char path[SA_CONFIG_PATH], json_t **json,
                         sa_error *err)
{
    SA_TRY(sa_file_join(path, SA_CONFIG_PATH, directory, name, err));
    SA_TRY(sa_json_read(path, MOST_CONFIG_BYTES, json, err));
    if (!json_is_object(*json)) {
        json_decref(*json);
        return sa_fail(err, SA_BAD_INPUT, path, "see that of a model of transformers",
                       "this is no JSON object");
    }
    return SA_OK;
}

/* Keeps the failure of a getter of json.h, with the section's name and a way out. */
static void keep(sa_config_reader *r, sa_status status, const sa_error *why)
{
    r->status = status;
    if (status != SA_OK) {
        sa_fail(r->err, status, r->file, bad_config, "%s%s%s", r->part, r->part[0] != '\0' ? ": " : "",
                why->reason);
    }
}

size_t sa_config_bounded(sa_config_reader *r, const char *key, size_t least, size_t most, size_t otherwise)
{
    int64_t value = (int64_t)otherwise;
    sa_error why = {0};
    if (r->status == SA_OK) {
        keep(r, sa_json_get_int(r->object, r->file, key, false, (int64_t)least, (int64_t)most, &value, &why),
             &why);
    }
    return (size_t)value;
}

size_t sa_config_size(sa_config_reader *r, const char *key, size_t otherwise)
{
    return sa_config_bounded(r, key, 1, MOST_SIZE, otherwise);
}

void sa_config_repeated(sa_config_reader *r, const char *key, size_t only)
{
    size_t value = sa_config_size(r, key, only);
    if (r->status == SA_OK && value != only) {
        r->status =
            sa_fail(r->err, SA_BAD_INPUT, r->file, bad_config, "%s%skey \"%s\" is %zu, but must be %zu",
                    r->part, r->part[0] != '\0' ? ": " : "", key, value, only);
    }
}

double sa_config_real(sa_config_reader *r, const char *key, double otherwise)
{
    double value = otherwise;
    sa_error why = {0};
    if (r->status == SA_OK) {
        keep(r, sa_json_get_real(r->object, r->file, key, false, &value, &why), &why);
    }
    return value;
}

bool sa_config_flag(sa_config_reader *r, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(r->object, key);
    if (value == NULL || json_is_null(value)) {
        return otherwise;
    }
    if (!json_is_boolean(value) && r->status == SA_OK) {
        r->status =
            sa_fail(r->err, SA_BAD_INPUT, r->file, "write true or false", "key \"%s\" is no flag", key);
    }
    return json_is_true(value);
}

const char *sa_config_text(sa_config_reader *r, const char *key, const char *otherwise)
{
    const char *value = otherwise;
    sa_error why = {0};
    if (r->status == SA_OK) {
        keep(r, sa_json_get_string(r->object, r->file, key, false, &value, &why), &why);
    }
    return r->status == SA_OK ? value : "";
}

void sa_config_fixed(sa_config_reader *r, const char *key, const char *only)
{
    const char *value = sa_config_text(r, key, only);
    if (r->status == SA_OK && strcmp(value, only) != 0) {
        r->status = sa_fail(r->err, SA_BAD_INPUT, r->file, "use a model of the standard kind",
                            "%s \"%s\" is not supported, only \"%s\"", key, value, only);
    }
}

void sa_config_part_type(sa_config_reader *r, const char *only)
{
    const char *type = json_string_value(json_object_get(r->object, "model_type"));
    if (type != NULL && type[0] != '\0') {
        sa_config_fixed(r, "model_type", only);
    }
}

sa_config_reader sa_config_section(const json_t *config, const char *key, const char *file,
                                   const json_t *empty, sa_error *err)
{
    sa_config_reader r = {
        .object = json_object_get(config, key), .file = file, .part = key, .err = err, .status = SA_OK};
    if (r.object == NULL || json_is_null(r.object)) {
        r.object = empty;
    } else if (!json_is_object(r.object)) {
        r.status =
            sa_fail(err, SA_BAD_INPUT, file, "see a config.json of transformers", "\"%s\" is no object", key);
    }
    return r;
}

void sa_config_triple(sa_config_reader *r, const char *key, float *out)
{
    const json_t *list = json_object_get(r->object, key);
    if (list == NULL || json_is_null(list) || r->status != SA_OK) {
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        const json_t *item = json_array_get(list, i);
        double value = json_is_number(item) ? json_number_value(item) * 255.0 : -1.0;
        if (json_array_size(list) != 3 || !(value >= 0.0 && value <= 255.0)) {
            r->status = sa_fail(r->err, SA_BAD_INPUT, r->file, "write three numbers from 0 to 1",
                                "key \"%s\" is no colour", key);
            return;
        }
        out[i] = (float)value;
    }
}
