/* The device and the models of a run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/cli/profile.h"
#include "runtime/cli/run_parts.h"
#include "runtime/cli/run_record.h"

/* ---- opening ---- */

sa_status sa_run_open_device(sa_run_job *j, sa_error *err)
{
    sa_dtype precision;
    SA_TRY(sa_cli_open_any_device(j->cli, &j->device, err));
    SA_TRY(sa_cli_choose_precision(j->cli, j->device, &precision, err));
    j->options->precision = sa_dtype_name(precision);
    return SA_OK;
}

/* The null device's clock. */
static sa_status set_costs(sa_run_job *j, sa_error *err)
{
    const char *name = j->options->costs != NULL ? j->options->costs : "h100";
    sa_cost_device device;
    sa_cost_model model;
    if (sa_device_computes(j->device)) {
        return j->options->costs == NULL
                   ? SA_OK
                   : sa_fail(err, SA_BAD_USAGE, "--costs", "add --device null",
                             "%s computes: it is as fast as it is", sa_device_name(j->device));
    }
    if (sa_cost_device_find(name, &device)) {
        model = sa_runner_roofline(j->runner, &device);
    } else {
        SA_TRY(sa_cost_model_read(&model, name, err));
    }
    sa_device_set_costs(j->device, &model);
    return SA_OK;
}

/*
 * The batch that was asked for, or the largest that the device has room for: the code that takes the memory
 * says what it takes.
 */
static sa_status open_with_batch(sa_run_job *j, sa_dtype precision, sa_error *why)
{
    enum { CPU_BATCH = 16, GPU_BATCH = 64, LEAST_BATCH = 8 };
    sa_runner_options options = sa_run_runner_options(j, precision);
    bool chosen = options.batch == 0;
    if (chosen) {
        options.batch = strcmp(sa_device_name(j->device), "cpu") == 0 ? CPU_BATCH : GPU_BATCH;
    }
    sa_status status = sa_runner_open(&j->runner, j->device, &options, why);
    while (chosen && status == SA_NO_ROOM && options.batch > LEAST_BATCH) {
        options.batch /= 2;
        status = sa_runner_open(&j->runner, j->device, &options, why);
    }
    j->batch = options.batch;
    return status;
}

/* Opens the models on the device; on the CPU where --device auto's GPU has no room for them. */
sa_status sa_run_open_models(sa_run_job *j, sa_error *err)
{
    sa_dtype precision;
    SA_TRY(sa_cli_choose_precision(j->cli, j->device, &precision, err));
    sa_error why = {0};
    sa_status status = open_with_batch(j, precision, &why);
    if (status != SA_OK && sa_cli_falls_back(j->cli, &j->device, &why)) {
        SA_TRY(sa_cli_choose_precision(j->cli, j->device, &precision, err));
        status = open_with_batch(j, precision, &why);
    }
    if (status != SA_OK) {
        *err = why;
        return status;
    }
    j->options->precision = sa_dtype_name(precision);
    return set_costs(j, err);
}

/* ---- running ---- */

static const sa_item *next_item(void *context, size_t *index)
{
    sa_run_job *j = context;
    return j->rows->next(j, index);
}

static sa_status set_aside(void *context, size_t index, const sa_error *why, sa_error *err)
{
    sa_run_job *j = context;
    return j->rows->set_aside(j, &j->items.items[index], why, err);
}

/* A result as a line. */
static sa_status write_result(void *context, size_t index, sa_result *result, sa_error *err)
{
    sa_run_job *j = context;
    char *line = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&line, &size);
    if (stream == NULL) {
        return sa_fail(err, SA_NO_ROOM, result->id, "lower --batch", "no memory for a result");
    }
    sa_json_writer w = sa_json_writer_on(stream);
    sa_status status = j->kind->edit != NULL ? j->kind->edit(j->options, result, err) : SA_OK;
    status = status == SA_OK ? sa_result_write(result, &w, err) : status;
    if (fclose(stream) != 0 && status == SA_OK) {
        status = sa_fail(err, SA_NO_ROOM, result->id, "lower --batch", "no memory for a result");
    }
    if (status == SA_OK) {
        status = j->rows->put(j, &j->items.items[index], line, size, err);
    }
    free(line);
    return status;
}

static bool is_interrupted(void *context)
{
    sa_run_job *j = context;
    return j->rows->interrupted(j);
}

static void close_rows(void *context)
{
    sa_run_job *j = context;
    if (j->rows->closing != NULL) {
        j->rows->closing(j);
    }
}

sa_status sa_run_models(sa_run_job *j, sa_error *err)
{
    const sa_runner_client client = {j, next_item, write_result, set_aside, is_interrupted, close_rows};
    sa_runner_counts counts = {0};
    double begun = sa_clock_seconds();
    SA_TRY(sa_runner_run(j->runner, &client, &counts, err));
    double seconds = sa_clock_seconds() - begun;
    if (j->options->profile) {
        sa_cli_print_profile(stderr, &counts, seconds);
    }
    j->times = sa_run_times(&counts, seconds);
    j->counters = sa_run_counters(&counts);
    return j->times != NULL && j->counters != NULL
               ? SA_OK
               : sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the run's record");
}
