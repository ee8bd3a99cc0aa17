/* A run's output directory: which items are left, and where results go. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/cli/run_parts.h"
#include "runtime/cli/run_record.h"
#include "runtime/fleet/crew.h"
#include "runtime/fleet/reason.h"

/* ---- opening ---- */

sa_status sa_run_open_output(sa_run_job *j, sa_error *err)
{
    sa_output_options options = {.directory = j->options->output,
                                 .rows = j->items.count + j->items.bad_count,
                                 .shard = j->shard,
                                 .sync_ms = -1};
    json_t *run = NULL;
    sa_status status =
        sa_run_record(&run, j->cli, j->options, j->kind, &j->agent, &j->items, j->device_name, true, err);
    options.run = run;
    if (status == SA_OK) {
        status = sa_output_open(&j->output, &options, err);
    }
    json_decref(run);
    if (status == SA_OK) {
        j->done = sa_output_done(j->output);
    }
    return status;
}

size_t sa_run_left(const sa_run_job *j)
{
    size_t first, end;
    sa_output_range(j->output, &first, &end);
    return end - first - j->done;
}

void sa_run_start_progress(sa_run_job *j)
{
    size_t first, end;
    sa_output_range(j->output, &first, &end);
    j->progress = sa_progress_start(&j->cli->log, j->kind->command, j->device_name, (long long)(end - first));
    j->progress.before = (long long)j->done;
}

sa_status sa_run_finish_output(sa_run_job *j, sa_error *err)
{
    return sa_output_finish(j->output, j->times, j->counters, err);
}

/* ---- rows ---- */

const sa_item *sa_run_find_item(const sa_run_job *j, size_t row, size_t *index)
{
    size_t low = 0, high = j->items.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (j->items.items[middle].row < row) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *index = low;
    return low < j->items.count && j->items.items[low].row == row ? &j->items.items[low] : NULL;
}

const sa_item *sa_run_next_item(sa_run_job *j, size_t *index)
{
    const sa_item *found = NULL;
    size_t first, end;
    pthread_mutex_lock(&j->lock);
    sa_output_range(j->output, &first, &end);
    while (found == NULL && j->next < j->items.count) {
        const sa_item *item = &j->items.items[j->next];
        *index = j->next++;
        if (item->row >= first && item->row < end && !sa_output_is_done(j->output, item->row)) {
            found = item;
        }
    }
    pthread_mutex_unlock(&j->lock);
    return found;
}

static void show_progress(sa_run_job *j)
{
    sa_progress_update(&j->progress, (long long)++j->done);
}

/* With the lock. */
static sa_status put_aside(sa_run_job *j, const sa_item *item, const sa_error *why, sa_error *err)
{
    sa_log_error(&j->cli->log, why);
    show_progress(j);
    return sa_output_quarantine(j->output, item->row, item->id, why, err);
}

sa_status sa_run_set_aside(sa_run_job *j, const sa_item *item, const sa_error *why, sa_error *err)
{
    pthread_mutex_lock(&j->lock);
    sa_status status = put_aside(j, item, why, err);
    pthread_mutex_unlock(&j->lock);
    return status;
}

sa_status sa_run_put_line(sa_run_job *j, const sa_item *item, const char *line, size_t size, sa_error *err)
{
    pthread_mutex_lock(&j->lock);
    sa_status status = sa_output_put(j->output, item->row, line, size, err);
    if (status == SA_BAD_INPUT && !sa_output_is_done(j->output, item->row)) {
        const sa_error why = *err; /* a row that no file of results could hold */
        status = put_aside(j, item, &why, err);
    } else {
        show_progress(j);
    }
    pthread_mutex_unlock(&j->lock);
    return status;
}

sa_status sa_run_put_bad_items(sa_run_job *j, sa_error *err)
{
    size_t first, end;
    sa_output_range(j->output, &first, &end);
    for (size_t i = 0; i < j->items.bad_count; i++) {
        const sa_bad_item *bad = &j->items.bad[i];
        sa_error why;
        if (bad->row < first || bad->row >= end || sa_output_is_done(j->output, bad->row)) {
            continue;
        }
        sa_fail(&why, SA_BAD_INPUT, bad->file, bad->hint, "%s", bad->reason);
        sa_log_error(&j->cli->log, &why);
        show_progress(j);
        SA_TRY(sa_output_quarantine(j->output, bad->row, bad->id, &why, err));
    }
    return SA_OK;
}

/* ---- what another process made of a row ---- */

sa_status sa_run_take_line(sa_run_job *j, size_t row, char kind, const char *bytes, size_t size,
                           sa_error *err)
{
    size_t index;
    sa_error why;
    const sa_item *item = sa_run_find_item(j, row, &index);
    if (item == NULL || size == 0 || (kind != 'R' && kind != 'Q') || memchr(bytes, '\n', size) != NULL) {
        return sa_fail(err, SA_BAD_INPUT, NULL, NULL, "what another process says of row %zu is no result",
                       row);
    }
    if (kind == 'R') {
        return sa_run_put_line(j, item, bytes, size, err);
    }
    sa_reason_read(bytes, size, &why);
    return sa_run_set_aside(j, item, &why, err);
}

void sa_run_refuse_line(const sa_item *item, size_t size, sa_error *why)
{
    sa_fail(why, SA_BAD_INPUT, item->path, "ask for less of a trace", "its result is %zu MB long",
            size >> 20);
}

void sa_run_blame(const sa_item *item, sa_error *why)
{
    sa_fail(why, SA_BAD_INPUT, item->path, "look at the item, or give it more memory",
            "%d workers died while they worked on it", SA_CREW_TRIES);
}

/* ---- a run in this process ---- */

static bool is_interrupted(sa_run_job *j)
{
    (void)j;
    return sa_interrupt_seen();
}

/* The run that is gone on with computed in another precision than the device that was found would. */
static bool may_have_fallen_back(const sa_run_job *j, const char *record)
{
    const sa_common_options *c = &j->cli->common;
    json_t *run;
    sa_error ignored;
    if (strcmp(c->device, "auto") != 0 || strcmp(c->precision, "auto") != 0 ||
        sa_json_read(record, SIZE_MAX, &run, &ignored) != SA_OK) {
        return false;
    }
    const char *precision = json_string_value(json_object_get(json_object_get(run, "config"), "precision"));
    bool other = precision != NULL && strcmp(precision, j->options->precision) != 0;
    json_decref(run);
    return other;
}

/*
 * A new run opens the models first, so that its record tells the device and the precision that they are on;
 * one that goes on, and may be done already, only when they are needed.
 */
static sa_status open_here(sa_run_job *j, sa_error *err)
{
    char path[4096];
    SA_TRY(sa_run_open_device(j, err));
    SA_TRY(sa_file_join(path, sizeof path, j->options->output, "run.json", err));
    SA_TRY(sa_file_exists(path) && !may_have_fallen_back(j, path) ? SA_OK : sa_run_open_models(j, err));
    j->device_name = sa_device_name(j->device);
    return sa_run_open_output(j, err);
}

/* What was begun on one device may not go on in the precision of another. */
static sa_status reopen_models(sa_run_job *j, sa_error *err)
{
    const char *begun = j->options->precision;
    SA_TRY(sa_run_open_models(j, err));
    if (strcmp(begun, j->options->precision) != 0) {
        return sa_fail(
            err, SA_NO_DEVICE, j->options->output, "free the GPU, or begin again in another directory",
            "was begun in %s, and the device that is left computes in %s", begun, j->options->precision);
    }
    return SA_OK;
}

sa_status sa_run_here(sa_run_job *j, sa_error *err)
{
    static const sa_run_rows rows = {sa_run_next_item, sa_run_put_line, sa_run_set_aside, is_interrupted,
                                     NULL};
    SA_TRY(open_here(j, err));
    if (sa_run_left(j) == 0) {
        sa_log_message(&j->cli->log, SA_LOG_INFO, "%s: everything is done already", j->options->output);
        return sa_run_finish_output(j, err);
    }
    SA_TRY(j->runner == NULL ? reopen_models(j, err) : SA_OK);
    j->device_name = sa_device_name(j->device);
    j->rows = &rows;
    sa_run_start_progress(j);
    sa_status status = sa_run_put_bad_items(j, err);
    status = status == SA_OK ? sa_run_models(j, err) : status;
    sa_progress_end(&j->progress, (long long)j->done);
    return status == SA_OK ? sa_run_finish_output(j, err) : status;
}
