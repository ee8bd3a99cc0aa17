/* A run's worker: what its parent hands out, it computes, and gives back. */
#include <stdlib.h>
#include <string.h>

#include "runtime/cli/run_parts.h"
#include "runtime/fleet/message.h"

static const sa_item *take_row(sa_run_job *j, size_t *index)
{
    size_t row;
    const sa_item *item = NULL;
    while (item == NULL && sa_worker_take(j->source, &row)) {
        item = sa_run_find_item(j, row, index); /* there always is one: both have read the same input */
    }
    return item;
}

static sa_status put_line(sa_run_job *j, const sa_item *item, const char *line, size_t size, sa_error *err)
{
    if (size <= SA_MESSAGE_LIMIT) {
        return sa_worker_put(j->source, item->row, line, size, err);
    }
    sa_error why;
    sa_run_refuse_line(item, size, &why);
    return sa_worker_set_aside(j->source, item->row, &why, err);
}

static sa_status set_aside(sa_run_job *j, const sa_item *item, const sa_error *why, sa_error *err)
{
    return sa_worker_set_aside(j->source, item->row, why, err);
}

static bool is_interrupted(sa_run_job *j)
{
    sa_error gone;
    return sa_worker_beat(j->source, &gone) != SA_OK || sa_interrupt_seen();
}

static void stop_taking(sa_run_job *j)
{
    sa_worker_stop_taking(j->source);
}

static sa_status tell_counts(sa_run_job *j, sa_error *err)
{
    json_t *counts = json_pack("{s:O, s:O}", "times", j->times, "counters", j->counters);
    char *text = counts != NULL ? json_dumps(counts, JSON_COMPACT) : NULL;
    sa_status status = text != NULL ? sa_worker_tell_counts(j->source, text, strlen(text), err)
                                    : sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for counts");
    free(text);
    json_decref(counts);
    return status;
}

/* A file that has changed since the parent read it would give other rows. */
static sa_status check_fingerprint(const sa_run_job *j, const sa_worker_setup *setup, sa_error *err)
{
    char own[65];
    SA_TRY(sa_run_fingerprint(j, "", false, own, err));
    return strcmp(own, setup->fingerprint) == 0 ? SA_OK
                                                : sa_fail(err, SA_BAD_INPUT, j->options->input,
                                                          "leave input and agent as they are during a run",
                                                          "is not what it was when the run began");
}

static sa_status work(sa_run_job *j, const sa_worker_setup *setup, sa_error *err)
{
    static const sa_run_rows rows = {take_row, put_line, set_aside, is_interrupted, stop_taking};
    j->rows = &rows;
    j->cli->common.device = setup->device;
    j->cli->common.threads = setup->threads != 0 ? (int64_t)setup->threads : j->cli->common.threads;
    j->options->profile = false;
    j->options->sharers = setup->workers;
    SA_TRY(sa_run_read_inputs(j, err));
    SA_TRY(check_fingerprint(j, setup, err));
    SA_TRY(sa_run_open_device(j, err));
    SA_TRY(sa_run_open_models(j, err));
    SA_TRY(sa_worker_say_hello(j->source, sa_device_name(j->device), j->options->precision,
                               sa_runner_window(j->runner), err));
    SA_TRY(sa_run_models(j, err));
    return tell_counts(j, err);
}

void sa_run_as_worker(sa_run_job *j)
{
    sa_worker_setup setup;
    sa_worker *worker = NULL;
    sa_error err = {0};
    j->cli->log.level = SA_LOG_ERROR; /* what there is to say, the parent says */
    j->cli->common.json = false;
    sa_status status = sa_worker_open(&worker, &setup, &err);
    if (status == SA_OK) {
        j->source = worker;
        status = work(j, &setup, &err);
        if (status != SA_OK) {
            sa_worker_tell_failure(worker, &err);
        }
    } else {
        sa_log_error(&j->cli->log, &err);
    }
    sa_run_close(j);
    sa_worker_close(worker);
    exit(sa_status_exit_code(status));
}
