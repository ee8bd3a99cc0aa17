#include "runtime/data/run_file.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/json.h"

enum { PATH_ROOM = 4096, RUN_LIMIT = 64 << 20, MOST_TOLD = 5, VALUE_ROOM = 80 };

/* ---- reading and writing ---- */

sa_status sa_run_read(const char *directory, json_t **run, sa_error *err)
{
    char path[PATH_ROOM];
    *run = NULL;
    SA_TRY(sa_file_join(path, sizeof path, directory, "run.json", err));
    if (!sa_file_exists(path)) {
        return SA_OK;
    }
    SA_TRY(sa_json_read(path, RUN_LIMIT, run, err));
    if (json_is_object(*run)) {
        return SA_OK;
    }
    json_decref(*run);
    *run = NULL;
    return sa_fail(err, SA_BAD_INPUT, path, "use another directory", "does not describe a run");
}

static bool set_copy(json_t *object, const char *key, const json_t *value)
{
    return value == NULL || json_object_set_new(object, key, json_deep_copy(value)) == 0;
}

static json_t *make_run(const json_t *run, const char *status, const json_t *times, const json_t *counters)
{
    json_t *whole = json_deep_copy(run);
    if (whole == NULL || json_object_set_new(whole, "status", json_string(status)) != 0 ||
        !set_copy(whole, "times", times) || !set_copy(whole, "counters", counters)) {
        json_decref(whole);
        return NULL;
    }
    return whole;
}

sa_status sa_run_write(const char *directory, const json_t *run, const char *status, const json_t *times,
                       const json_t *counters, sa_error *err)
{
    char path[PATH_ROOM];
    sa_file_writer writer;
    SA_TRY(sa_file_join(path, sizeof path, directory, "run.json", err));
    json_t *whole = make_run(run, status, times, counters);
    if (whole == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, "free some memory", "no memory to write it");
    }
    sa_status opened = sa_file_writer_open(&writer, path, err);
    if (opened == SA_OK) {
        sa_json_writer w = sa_json_writer_on(writer.stream);
        sa_json_value(&w, whole);
        sa_json_end_line(&w);
        opened = sa_file_writer_commit(&writer, err);
    }
    json_decref(whole);
    return opened;
}

const char *sa_run_status(const json_t *run)
{
    const char *status = json_string_value(json_object_get(run, "status"));
    return status != NULL ? status : "";
}

/* ---- shards ---- */

json_t *sa_run_with_shard(const json_t *run, size_t rows, sa_shard shard)
{
    json_t *copy = json_deep_copy(run);
    json_t *part = shard.count == 0 ? json_null()
                                    : json_pack("{s:I, s:I}", "index", (json_int_t)shard.index, "count",
                                                (json_int_t)shard.count);
    bool good = copy != NULL && part != NULL &&
                json_object_set_new(copy, "rows", json_integer((json_int_t)rows)) == 0 &&
                json_object_set(copy, "shard", part) == 0;
    json_decref(part);
    if (!good) {
        json_decref(copy);
        return NULL;
    }
    return copy;
}

sa_status sa_run_get_shard(const json_t *run, const char *name, size_t *rows, sa_shard *shard, sa_error *err)
{
    int64_t all = 0, index = 0, count = 0;
    const json_t *part = json_object_get(run, "shard");
    SA_TRY(sa_json_get_int(run, name, "rows", true, 0, INT64_MAX / 2, &all, err));
    if (part != NULL && !json_is_null(part)) {
        SA_TRY(sa_json_get_int(part, name, "count", true, 1, 1000000, &count, err));
        SA_TRY(sa_json_get_int(part, name, "index", true, 0, count - 1, &index, err));
    }
    *rows = (size_t)all;
    *shard = (sa_shard){(size_t)index, (size_t)count};
    return SA_OK;
}

/* ---- comparing ---- */

typedef struct {
    char *text;
    size_t size, length, told;
    bool any_shard;
} difference_list;

static bool is_one_of(const char *key, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(key, keys[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* What may differ between two sessions of one run. `where`: the keys that lead to this one. */
static bool is_free(const difference_list *list, const char *where, const char *key)
{
    static const char *const free_keys[] = {"status", "times", "counters", "device", "merged"};
    if (where[0] == '\0') {
        return is_one_of(key, free_keys, sizeof free_keys / sizeof *free_keys) ||
               (list->any_shard && strcmp(key, "shard") == 0);
    }
    return strcmp(where, "input.") == 0 && strcmp(key, "path") == 0;
}

static void value_text(const json_t *value, char out[VALUE_ROOM])
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = value != NULL ? open_memstream(&text, &size) : NULL;
    if (stream != NULL) {
        sa_json_writer w = sa_json_writer_on(stream);
        sa_json_value(&w, value);
        fclose(stream);
    }
    snprintf(out, VALUE_ROOM, "%s", text != NULL ? text : "(missing)");
    if (size >= VALUE_ROOM) {
        memcpy(out + VALUE_ROOM - 4, "...", 4);
    }
    free(text);
}

static void tell(difference_list *list, const char *where, const char *key, const json_t *before,
                 const json_t *now)
{
    char old[VALUE_ROOM], new[VALUE_ROOM];
    list->told++;
    if (list->told > MOST_TOLD || list->length >= list->size) {
        return;
    }
    value_text(before, old);
    value_text(now, new);
    int written = snprintf(list->text + list->length, list->size - list->length, "%s%s%s: %s -> %s",
                           list->told > 1 ? ", " : "", where, key, old, new);
    list->length += written > 0 ? (size_t)written : 0;
}

static void compare(difference_list *list, const char *where, const json_t *before, const json_t *now);

static void compare_member(difference_list *list, const char *where, const char *key, const json_t *before,
                           const json_t *now)
{
    if (is_free(list, where, key) || (before != NULL && now != NULL && json_equal(before, now))) {
        return;
    }
    if (json_is_object(before) && json_is_object(now) && strlen(where) < 200) {
        char deeper[512];
        snprintf(deeper, sizeof deeper, "%s%.200s.", where, key);
        compare(list, deeper, before, now);
        return;
    }
    tell(list, where, key, before, now);
}

static void compare(difference_list *list, const char *where, const json_t *before, const json_t *now)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)now, key, value) {
        compare_member(list, where, key, json_object_get(before, key), value);
    }
    json_object_foreach((json_t *)before, key, value) {
        if (json_object_get(now, key) == NULL) {
            compare_member(list, where, key, value, NULL);
        }
    }
}

bool sa_run_same(const json_t *before, const json_t *now, bool any_shard, char *differences, size_t size)
{
    difference_list list = {.text = differences, .size = size, .any_shard = any_shard};
    differences[0] = '\0';
    compare(&list, "", before, now);
    if (list.told > MOST_TOLD && list.length < size) {
        snprintf(differences + list.length, size - list.length, " and %zu more", list.told - MOST_TOLD);
    }
    return list.told == 0;
}
