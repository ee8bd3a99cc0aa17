/*
 * The rows of a results file, one at a time, so that memory does not grow with the file.
 *
 *   DIR/results.jsonl, FILE or "-" -> [ sa_result_rows_next ] -> sa_result
 */
#ifndef SA_DATA_RESULT_ROWS_H
#define SA_DATA_RESULT_ROWS_H

#include "runtime/base/file.h"
#include "runtime/base/lines.h"
#include "runtime/data/result.h"

typedef struct {
    sa_file_map map;
    unsigned char *bytes; /* of standard input, which cannot be mapped */
    sa_lines lines;
    size_t released; /* bytes of the map before this one have been given back */
    char path[512];
    char name[600]; /* what errors call the row that came last: "results.jsonl:12" */
} sa_result_rows;

/* A directory means the results.jsonl in it. SA_BAD_INPUT if there is nothing to read. */
sa_status sa_result_rows_open(sa_result_rows *rows, const char *path, sa_error *err);
/* Fine on rows that failed to open. */
void sa_result_rows_close(sa_result_rows *rows);

/*
 * The next row; *found is false at the end. SA_BAD_INPUT for a line that is none (a row that a crash tore,
 * say): the next call goes on after it. The caller frees *result, which is empty on failure and at the end.
 */
sa_status sa_result_rows_next(sa_result_rows *rows, sa_result *result, bool *found, sa_error *err);

#endif
