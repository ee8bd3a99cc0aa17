/*
 * What the parts of a run share. Items come from the input, or, row by row, from a parent (run_worker.c) or a
 * queue (run_queue.c); results go to the output directory (run_output.c), or back where the rows came from. A
 * parent (run_crew.c) has no models: it hands rows out and writes what comes back.
 */
#ifndef SA_CLI_RUN_PARTS_H
#define SA_CLI_RUN_PARTS_H

#include <pthread.h>

#include "runtime/cli/run_items.h"
#include "runtime/fleet/worker.h"

typedef struct sa_run_job sa_run_job;

/* Where items come from, and where results go: called as sa_runner_client says. */
typedef struct {
    const sa_item *(*next)(sa_run_job *j, size_t *index);
    sa_status (*put)(sa_run_job *j, const sa_item *item, const char *line, size_t size, sa_error *err);
    sa_status (*set_aside)(sa_run_job *j, const sa_item *item, const sa_error *why, sa_error *err);
    bool (*interrupted)(sa_run_job *j);
    void (*closing)(sa_run_job *j); /* or NULL */
} sa_run_rows;

struct sa_run_job {
    sa_cli *cli;
    sa_run_options *options;
    const sa_run_kind *kind;
    sa_shard shard; /* as --shard says */
    sa_agent agent;
    sa_items items;
    sa_output *output; /* NULL in a dry run, and where somebody else writes it */
    sa_device *device;
    sa_runner *runner;
    size_t batch;            /* that the models were opened for */
    const char *device_name; /* as run.json tells it */
    const sa_run_rows *rows;
    void *source;         /* of rows, if it is not the input: the worker's or the queue's */
    pthread_mutex_t lock; /* of the output and the progress: the runner's threads ask and tell */
    size_t next;          /* item that is looked at next */
    size_t done;          /* rows of the shard */
    sa_progress progress;
    json_t *times, *counters; /* what run.json will tell */
};

/* ---- options ---- */

sa_status sa_run_need(const char *value, const char *name, sa_error *err);
/* What the command line leaves open is the agent's. */
void sa_run_complete(sa_run_options *o, const sa_run_kind *kind, sa_agent *agent);
sa_status sa_run_check(const sa_run_options *o, const sa_run_kind *kind, const sa_agent *agent,
                       sa_error *err);
sa_runner_options sa_run_runner_options(const sa_run_job *j, sa_dtype precision);

/* ---- models ---- */

/* Opens the device and says which precision will be taken. */
sa_status sa_run_open_device(sa_run_job *j, sa_error *err);
/* Opens the models on it; on the CPU where --device auto's GPU has no room for them. */
sa_status sa_run_open_models(sa_run_job *j, sa_error *err);
/* All that j->rows has, through them. Times and counters are left in j; they may be NULL. */
sa_status sa_run_models(sa_run_job *j, sa_error *err);

/* ---- rows ---- */

/* The item of that row; NULL: there is none, or it is a bad one. *index: its place. */
const sa_item *sa_run_find_item(const sa_run_job *j, size_t row, size_t *index);

/* ---- the output directory ---- */

/* With a record that says on what the run is done: j->device_name, and the options' precision. */
sa_status sa_run_open_output(sa_run_job *j, sa_error *err);
/* The next item that is not done. */
const sa_item *sa_run_next_item(sa_run_job *j, size_t *index);
sa_status sa_run_put_line(sa_run_job *j, const sa_item *item, const char *line, size_t size, sa_error *err);
sa_status sa_run_set_aside(sa_run_job *j, const sa_item *item, const sa_error *why, sa_error *err);
/* Inputs that the reader refused. */
sa_status sa_run_put_bad_items(sa_run_job *j, sa_error *err);
/* What another process made of a row: 'R' its line, 'Q' {"file","reason","hint"}. */
sa_status sa_run_take_line(sa_run_job *j, size_t row, char kind, const char *bytes, size_t size,
                           sa_error *err);
/* Why a row that SA_CREW_TRIES workers died with is given up. */
void sa_run_blame(const sa_item *item, sa_error *why);
/* Why a line is set aside that no file of results could hold. */
void sa_run_refuse_line(const sa_item *item, size_t size, sa_error *why);
void sa_run_start_progress(sa_run_job *j);
/* Rows that are not done yet: not put, and not set aside. */
size_t sa_run_left(const sa_run_job *j);
/* run.json gets its times and counters. */
sa_status sa_run_finish_output(sa_run_job *j, sa_error *err);

/* ---- all of it ---- */

/*
 * Of all that results depend on: run.json but for what it is run on, in SHA-256. `precision` stands for the
 * options', which may not be known yet. Without `models` the agent's models count as what they are.
 */
sa_status sa_run_fingerprint(const sa_run_job *j, const char *precision, bool models, char hex[65],
                             sa_error *err);

/* Agent, options, items. */
sa_status sa_run_read_inputs(sa_run_job *j, sa_error *err);
void sa_run_close(sa_run_job *j);

/* ---- ways to run ---- */

sa_status sa_run_dry(sa_run_job *j, sa_run_summary *summary, sa_error *err);
/* In this process. The output is open behind it if it returns SA_OK, as behind the others. */
sa_status sa_run_here(sa_run_job *j, sa_error *err);
/* With several workers, or several devices. */
bool sa_run_wants_crew(const sa_run_job *j);
sa_status sa_run_crew(sa_run_job *j, sa_error *err);
/* Through a Redis server: with --output as the coordinator, without as one who computes. */
sa_status sa_run_queue(sa_run_job *j, sa_run_summary *summary, sa_error *err);
/* As one of a crew; ends the process. */
_Noreturn void sa_run_as_worker(sa_run_job *j);

#endif
