/*
 * The file is mapped, not read: of a gigabyte of rows only the one at hand is in memory, and a file that is
 * cut short while we read it is told by sa_file_map_check, not by a crash.
 */
#include "runtime/data/result_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_LIMIT = 1 << 30, RELEASE_STEP = 1 << 22 };

static sa_status fail_empty(const char *path, sa_error *err)
{
    return sa_fail(err, SA_BAD_INPUT, path, "give the output directory of a run that finished", "is empty");
}

/* A pipe cannot be mapped. */
static sa_status open_input(sa_result_rows *rows, sa_error *err)
{
    size_t size;
    snprintf(rows->path, sizeof rows->path, "standard input");
    SA_TRY(sa_file_read("-", INPUT_LIMIT, &rows->bytes, &size, err));
    rows->lines = (sa_lines){.text = (const char *)rows->bytes, .size = size};
    return size > 0 ? SA_OK : fail_empty(rows->path, err);
}

sa_status sa_result_rows_open(sa_result_rows *rows, const char *path, sa_error *err)
{
    *rows = (sa_result_rows){0};
    if (strcmp(path, "-") == 0) {
        return open_input(rows, err);
    }
    if (sa_file_is_directory(path)) {
        SA_TRY(sa_file_join(rows->path, sizeof rows->path, path, "results.jsonl", err));
    } else {
        SA_TRY(sa_file_join(rows->path, sizeof rows->path, "", path, err));
    }
    SA_TRY(sa_file_map_open(&rows->map, rows->path, err));
    rows->lines = (sa_lines){.text = (const char *)rows->map.bytes, .size = rows->map.size};
    return rows->map.size > 0 ? SA_OK : fail_empty(rows->path, err);
}

void sa_result_rows_close(sa_result_rows *rows)
{
    free(rows->bytes);
    sa_file_map_close(&rows->map);
    *rows = (sa_result_rows){0};
}

/* What has been read leaves our memory; it would be the whole file at its end otherwise. */
static void release(sa_result_rows *rows)
{
    if (rows->map.bytes != NULL && rows->lines.at - rows->released >= RELEASE_STEP) {
        sa_file_map_release(&rows->map, rows->released, rows->lines.at);
        rows->released = rows->lines.at;
    }
}

static sa_status parse(const sa_result_rows *rows, const char *line, size_t length, sa_result *result,
                       sa_error *err)
{
    json_t *row;
    SA_TRY(sa_json_parse(rows->name, line, length, &row, err));
    sa_status status = sa_result_parse(result, row, rows->name, err);
    json_decref(row);
    return status;
}

sa_status sa_result_rows_next(sa_result_rows *rows, sa_result *result, bool *found, sa_error *err)
{
    const char *line;
    size_t length;
    *result = (sa_result){0};
    release(rows);
    *found = sa_lines_next(&rows->lines, &line, &length);
    if (!*found) {
        return rows->map.bytes != NULL ? sa_file_map_check(&rows->map, err) : SA_OK;
    }
    snprintf(rows->name, sizeof rows->name, "%s:%zu", rows->path, rows->lines.number);
    return parse(rows, line, length, result, err);
}
