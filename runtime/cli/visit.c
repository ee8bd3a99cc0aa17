/* Bad rows are the file's business and told here; what the visitor cannot go on with ends the work. */
#include "runtime/cli/visit.h"

#include "runtime/data/result_rows.h"

enum { TOLD_ROWS = 10 };

static void skip_row(sa_log *log, sa_visit_counts *counts, const sa_error *why)
{
    counts->skipped++;
    if (counts->skipped <= TOLD_ROWS) {
        sa_log_error(log, why);
    } else if (counts->skipped == TOLD_ROWS + 1) {
        sa_log_message(log, SA_LOG_WARNING, "more rows like these are only counted");
    }
}

/* A failed item has nothing to show. */
static sa_status show(const sa_result_rows *rows, const sa_result *result, sa_visit_row *visit, void *context,
                      sa_visit_counts *counts, sa_error *err)
{
    if (result->error != NULL) {
        counts->failed++;
        return SA_OK;
    }
    SA_TRY(visit(context, result, rows->name, err));
    counts->used++;
    return SA_OK;
}

/* *found is false at the end. */
static sa_status take_row(sa_log *log, sa_result_rows *rows, sa_visit_row *visit, void *context,
                          sa_visit_counts *counts, bool *found, sa_error *err)
{
    sa_result result;
    sa_error why = {0};
    sa_status status = sa_result_rows_next(rows, &result, found, &why);
    if (status == SA_OK && *found) {
        status = show(rows, &result, visit, context, counts, &why);
    }
    sa_result_free(&result);
    if (status == SA_BAD_INPUT && *found) {
        skip_row(log, counts, &why);
        return SA_OK;
    }
    if (status != SA_OK) {
        *err = why;
    }
    return status;
}

static sa_status take_rows(sa_cli *cli, const char *what, sa_result_rows *rows, sa_visit_row *visit,
                           void *context, sa_visit_counts *counts, sa_error *err)
{
    sa_progress progress = sa_progress_start(&cli->log, what, "cpu", 0);
    sa_status status = SA_OK;
    long long done = 0;
    for (bool found = true; found && status == SA_OK;) {
        status = take_row(&cli->log, rows, visit, context, counts, &found, err);
        done += found;
        sa_progress_update(&progress, done);
        if (status == SA_OK) {
            status = sa_interrupt_check(err);
        }
    }
    sa_progress_end(&progress, done);
    if (status == SA_OK && counts->used == 0) {
        return sa_fail(err, SA_BAD_INPUT, rows->path, "give results of a run that succeeded",
                       "none of its rows can be used: %zu failed, %zu are wrong", counts->failed,
                       counts->skipped);
    }
    return status;
}

sa_status sa_cli_visit_results(sa_cli *cli, const char *what, const char *path, sa_visit_row *visit,
                               void *context, sa_visit_counts *counts, sa_error *err)
{
    sa_result_rows rows;
    *counts = (sa_visit_counts){0};
    sa_status status = sa_result_rows_open(&rows, path, err);
    if (status == SA_OK) {
        status = take_rows(cli, what, &rows, visit, context, counts, err);
    }
    sa_result_rows_close(&rows);
    return status;
}
