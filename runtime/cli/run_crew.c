/* A run's parent: workers compute, it hands rows out and writes what comes back. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/cli/machine.h"
#include "runtime/cli/run_parts.h"
#include "runtime/fleet/crew.h"

/* ---- who works where ---- */

/* "cuda:2-5": 2 and 5. Names were checked when the options were read (sa_cli_check_device). */
static bool read_list(const char *device, int *first, int *last)
{
    return sscanf(device, "cuda:%4d-%4d", first, last) == 2;
}

bool sa_run_wants_crew(const sa_run_job *j)
{
    int first, last;
    return j->options->workers > 1 || read_list(j->cli->common.device, &first, &last);
}

typedef struct {
    size_t count, threads;
    char (*names)[72];
    const char **devices;
    char **arguments; /* of this program */
} layout;

static void free_layout(layout *l)
{
    free(l->names);
    free(l->devices);
    free(l->arguments);
}

/* "segagent" and the command line. */
static char **whole_command(char *const *command_line)
{
    size_t count = 0;
    while (command_line[count] != NULL) {
        count++;
    }
    char **all = calloc(count + 2, sizeof(char *));
    if (all != NULL) {
        all[0] = (char *)"segagent";
        memcpy(all + 1, command_line, count * sizeof(char *));
    }
    return all;
}

static size_t usable_processors(void)
{
    sa_machine machine;
    sa_machine_read(&machine);
    double most = machine.processor_quota > 0 ? ceil(machine.processor_quota) : machine.processors_usable;
    return (size_t)fmax(1, fmin(most, machine.processors_usable));
}

/* Workers take the listed devices in turn. On a CPU they share its processors. */
static sa_status lay_out(const sa_run_job *j, layout *l, sa_error *err)
{
    const char *device = j->cli->common.device;
    int first = 0, last = 0;
    bool list = read_list(device, &first, &last);
    size_t devices = list && last >= first ? (size_t)(last - first) + 1 : 1;
    *l = (layout){.count = j->options->workers > 0 ? (size_t)j->options->workers : devices};
    if ((list && last < first) || l->count > SA_CREW_MOST) {
        return sa_fail(err, SA_BAD_USAGE, "--device", "name the lower device first, 256 in all",
                       "\"%.64s\" are no devices to work on", device);
    }
    l->names = calloc(l->count, sizeof *l->names);
    l->devices = calloc(l->count, sizeof(char *));
    l->arguments = whole_command(j->cli->command_line);
    if (l->names == NULL || l->devices == NULL || l->arguments == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for workers");
    }
    for (size_t i = 0; i < l->count; i++) {
        if (list) {
            snprintf(l->names[i], sizeof l->names[i], "cuda:%d", first + (int)(i % devices));
        } else {
            snprintf(l->names[i], sizeof l->names[i], "%.64s", device);
        }
        l->devices[i] = l->names[i];
    }
    size_t all = j->cli->common.threads > 0 ? (size_t)j->cli->common.threads : usable_processors();
    l->threads = all / l->count > 0 ? all / l->count : 1;
    return SA_OK;
}

/* ---- what the crew asks and tells ---- */

static bool next_row(void *context, size_t *row)
{
    sa_run_job *j = context;
    size_t index;
    const sa_item *item = sa_run_next_item(j, &index);
    *row = item != NULL ? item->row : 0;
    return item != NULL;
}

static size_t rows_left(void *context)
{
    return sa_run_left(context);
}

static sa_status take_row(void *context, size_t row, char kind, const char *bytes, size_t size, sa_error *err)
{
    return sa_run_take_line(context, row, kind, bytes, size, err);
}

static sa_status give_up(void *context, size_t row, sa_error *err)
{
    sa_run_job *j = context;
    size_t index;
    const sa_item *item = sa_run_find_item(j, row, &index);
    sa_error why;
    sa_run_blame(item, &why);
    return sa_run_set_aside(j, item, &why, err);
}

/* Numbers are added up, objects entered. */
static void add_numbers(json_t *sum, json_t *more)
{
    const char *key;
    json_t *value;
    json_object_foreach(more, key, value) {
        json_t *there = json_object_get(sum, key);
        if (there == NULL) {
            json_object_set_new(sum, key, json_deep_copy(value));
        } else if (json_is_object(there) && json_is_object(value)) {
            add_numbers(there, value);
        } else if (json_is_integer(there) && json_is_integer(value)) {
            json_integer_set(there, json_integer_value(there) + json_integer_value(value));
        } else if (json_is_real(there) && json_is_number(value)) {
            json_real_set(there, json_real_value(there) + json_number_value(value));
        }
    }
}

static sa_status add_counts(void *context, const char *bytes, size_t size, sa_error *err)
{
    sa_run_job *j = context;
    json_t *json = json_loadb(bytes, size, 0, NULL);
    j->times = j->times != NULL ? j->times : json_object();
    j->counters = j->counters != NULL ? j->counters : json_object();
    if (json == NULL || j->times == NULL || j->counters == NULL) {
        json_decref(json);
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for counts");
    }
    add_numbers(j->times, json_object_get(json, "times"));
    add_numbers(j->counters, json_object_get(json, "counters"));
    json_decref(json);
    return SA_OK;
}

static bool is_interrupted(void *context)
{
    (void)context;
    return sa_interrupt_seen();
}

/* ---- all of it ---- */

static sa_status read_hello(sa_run_job *j, const sa_crew *crew, const layout *l, sa_error *err)
{
    json_t *hello = json_loads(sa_crew_hello(crew), 0, NULL);
    const char *precision = json_string_value(json_object_get(hello, "precision"));
    static const char *const known[] = {"f32", "bf16", "f16"};
    j->options->precision = NULL;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        j->options->precision =
            precision != NULL && strcmp(precision, known[i]) == 0 ? known[i] : j->options->precision;
    }
    j->device_name = strcmp(l->devices[0], "auto") == 0 ? "auto" : j->cli->common.device;
    json_decref(hello);
    return j->options->precision != NULL
               ? SA_OK
               : sa_fail(err, SA_BAD_INPUT, NULL, NULL, "a worker says hello in words that are none");
}

/* Times of all workers together, but for the whole, which is the parent's. */
static sa_status end_times(sa_run_job *j, const sa_crew *crew, double seconds, sa_error *err)
{
    sa_crew_counts c = sa_crew_get_counts(crew);
    j->times = j->times != NULL ? j->times : json_object();
    j->counters = j->counters != NULL ? j->counters : json_object();
    json_t *workers = json_pack("{s:I, s:I, s:I}", "started", (json_int_t)c.started, "died",
                                (json_int_t)c.died, "hung", (json_int_t)c.hung);
    json_object_del(j->times, "busy"); /* a share is no sum */
    bool good = json_object_set_new(j->times, "total", json_real(seconds)) == 0 &&
                json_object_set_new(j->counters, "workers", workers) == 0;
    return good ? SA_OK : sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the run's record");
}

/* A worker reads the input again. */
static sa_status check_options(const sa_run_job *j, sa_error *err)
{
    if (!sa_file_is_regular(j->options->input) && !sa_file_is_directory(j->options->input)) {
        return sa_fail(err, SA_BAD_USAGE, "--input", "give a file or a folder",
                       "cannot be read by several workers");
    }
    if (j->options->profile) {
        return sa_fail(err, SA_BAD_USAGE, "--profile", "look at one process",
                       "does not go together with workers");
    }
    return SA_OK;
}

static sa_status run_rows(sa_run_job *j, sa_crew *crew, sa_error *err)
{
    const sa_crew_client client = {j, next_row, rows_left, take_row, give_up, add_counts, is_interrupted};
    double begun = sa_clock_seconds();
    SA_TRY(sa_run_open_output(j, err));
    if (sa_run_left(j) == 0) {
        sa_log_message(&j->cli->log, SA_LOG_INFO, "%s: everything is done already", j->options->output);
        return sa_run_finish_output(j, err);
    }
    sa_run_start_progress(j);
    sa_status status = sa_run_put_bad_items(j, err);
    status = status == SA_OK ? sa_crew_run(crew, &client, err) : status;
    sa_progress_end(&j->progress, (long long)j->done);
    SA_TRY(status);
    SA_TRY(end_times(j, crew, sa_clock_seconds() - begun, err));
    return sa_run_finish_output(j, err);
}

sa_status sa_run_crew(sa_run_job *j, sa_error *err)
{
    layout l;
    char fingerprint[65];
    sa_crew *crew = NULL;
    SA_TRY(check_options(j, err));
    SA_TRY(sa_run_fingerprint(j, "", false, fingerprint, err));
    sa_status status = lay_out(j, &l, err);
    if (status == SA_OK) {
        const sa_crew_options options = {.count = l.count,
                                         .devices = l.devices,
                                         .threads = l.threads,
                                         .arguments = l.arguments,
                                         .patience = j->options->worker_timeout,
                                         .rows = j->items.count + j->items.bad_count,
                                         .fingerprint = fingerprint,
                                         .log = &j->cli->log,
                                         .interrupted = sa_interrupt_seen};
        status = sa_crew_open(&crew, &options, err);
    }
    status = status == SA_OK ? read_hello(j, crew, &l, err) : status;
    status = status == SA_OK ? run_rows(j, crew, err) : status;
    sa_crew_close(crew);
    free_layout(&l);
    return status;
}
