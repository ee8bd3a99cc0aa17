/*
 * A run over many machines, through a Redis server (runtime/fleet/redis_queue.h): one coordinator, which has
 * the output directory, and any number of processes that compute. All are started with the same command but
 * for --output; whoever would compute something else is refused by the run's fingerprint.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/cli/run_parts.h"
#include "runtime/fleet/crew.h"
#include "runtime/fleet/reason.h"
#include "runtime/fleet/redis_queue.h"

enum { WAIT_MS = 50, COLLECT_MS = 500, TASKS = 64, KEEP_MS = 5000, FORGET = 256, IDLE_MS = 60000 };

/* ---- the run's name and fingerprint ---- */

static bool is_stopped(void *context)
{
    (void)context;
    return sa_interrupt_seen();
}

/* How long a row that nobody speaks of stays with who has it. */
static int idle_ms(const sa_run_job *j)
{
    return j->options->worker_timeout > 0 ? (int)(j->options->worker_timeout * 1000) : IDLE_MS;
}

static sa_status open_queue(sa_run_job *j, const char *fingerprint, sa_redis_role role,
                            sa_redis_queue **queue, sa_error *err)
{
    char host[64] = "?", name[96];
    gethostname(host, sizeof host - 1);
    snprintf(name, sizeof name, "%.64s-%ld", host, (long)getpid());
    const sa_redis_queue_options options = {.url = j->options->queue,
                                            .fingerprint = fingerprint,
                                            .rows = j->items.count + j->items.bad_count,
                                            .role = role,
                                            .name = name,
                                            .idle_ms = idle_ms(j),
                                            .patience_ms = -1,
                                            .stop = is_stopped,
                                            .log = &j->cli->log};
    return sa_redis_queue_open(queue, &options, err);
}

static sa_status check_options(const sa_run_job *j, sa_error *err)
{
    if (strcmp(j->cli->common.precision, "auto") == 0) {
        return sa_fail(err, SA_BAD_USAGE, "--precision", "give bf16 or f32",
                       "all machines must compute alike, and auto may differ");
    }
    if (sa_run_wants_crew(j)) {
        return sa_fail(err, SA_BAD_USAGE, "--workers",
                       "start this command several times, for one device each",
                       "does not go together with --queue");
    }
    if (j->options->shard != NULL) {
        return sa_fail(err, SA_BAD_USAGE, "--shard", "leave it out",
                       "does not go together with --queue, which hands out all");
    }
    return SA_OK;
}

/* ---- who computes ---- */

typedef struct {
    sa_redis_queue *queue;
    pthread_mutex_t lock; /* of the queue, which is for one thread at a time, and of all below */
    pthread_cond_t end;
    sa_redis_task tasks[TASKS]; /* [next, count) to be begun with */
    size_t next, count;
    size_t *held; /* [held_count] rows that are worked on, these among them */
    size_t held_count, held_room;
    bool over; /* there will be no more */
    int keep_ms;
    bool closing;
    sa_error why;       /* the queue failed */
    atomic_bool failed; /* the same, for who cannot wait for the lock */
    size_t put;
} consumer;

static void fail_consumer(consumer *c, const sa_error *why)
{
    if (c->why.status == SA_OK) {
        c->why = *why;
    }
    c->over = true;
    c->failed = true;
}

static bool hold(consumer *c, const sa_redis_task *tasks, size_t count)
{
    if (c->held_count + count > c->held_room) {
        size_t room = 2 * c->held_room + TASKS;
        size_t *more = realloc(c->held, room * sizeof *more);
        if (more == NULL) {
            return false;
        }
        c->held = more;
        c->held_room = room;
    }
    for (size_t i = 0; i < count; i++) {
        c->held[c->held_count++] = tasks[i].row;
    }
    return true;
}

static void let_go(consumer *c, size_t row)
{
    for (size_t i = 0; i < c->held_count; i++) {
        if (c->held[i] == row) {
            c->held[i] = c->held[--c->held_count];
            return;
        }
    }
}

/* Until it ends, or that long. With the lock, which others may have meanwhile. */
static void wait_a_while(consumer *c, long ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&c->end, &c->lock, &until);
}

/* More tasks, if there are any for now. With the lock. */
static void take_tasks(const sa_run_job *j, consumer *c)
{
    sa_error why = {0};
    bool finished = false;
    size_t window = sa_runner_window(j->runner), most = window > c->held_count ? window - c->held_count : 1;
    c->next = c->count = 0;
    sa_status status =
        sa_redis_queue_take(c->queue, most < TASKS ? most : TASKS, 0, c->tasks, &c->count, &finished, &why);
    if (status == SA_OK && !hold(c, c->tasks, c->count)) {
        status = sa_fail(&why, SA_NO_ROOM, NULL, NULL, "no memory for rows");
    }
    if (status != SA_OK) {
        c->count = 0;
        fail_consumer(c, &why);
    }
    c->over = c->over || finished || sa_interrupt_seen();
    if (c->count == 0 && !c->over) { /* the lock is free meanwhile: there may be lines to put */
        wait_a_while(c, WAIT_MS);
    }
}

static sa_status put(sa_run_job *j, size_t row, char kind, const char *line, size_t size, sa_error *err)
{
    consumer *c = j->source;
    const sa_redis_line one = {row, kind, line, size};
    pthread_mutex_lock(&c->lock);
    sa_status status = sa_redis_queue_put(c->queue, &one, 1, err);
    if (status == SA_OK) {
        let_go(c, row);
        c->put++;
    }
    sa_progress_update(&j->progress, (long long)c->put);
    pthread_mutex_unlock(&c->lock);
    return status;
}

static sa_status put_reason(sa_run_job *j, const sa_item *item, const sa_error *why, sa_error *err)
{
    char *text = sa_reason_write(why);
    sa_status status = text != NULL ? put(j, item->row, 'Q', text, strlen(text), err)
                                    : sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a reason");
    free(text);
    return status;
}

static sa_status put_line(sa_run_job *j, const sa_item *item, const char *line, size_t size, sa_error *err)
{
    if (size <= SA_REDIS_MOST_LINE) {
        return put(j, item->row, 'R', line, size, err);
    }
    sa_error why;
    sa_run_refuse_line(item, size, &why);
    return put_reason(j, item, &why, err);
}

/* A row that others died with goes back as one that cannot be done. */
static void give_up(sa_run_job *j, const sa_item *item)
{
    consumer *c = j->source;
    sa_error why, err;
    sa_run_blame(item, &why);
    if (put_reason(j, item, &why, &err) != SA_OK) {
        pthread_mutex_lock(&c->lock);
        fail_consumer(c, &err);
        pthread_mutex_unlock(&c->lock);
    }
}

/* The coordinator has another input, whatever its fingerprint says. */
static const sa_item *refuse_row(consumer *c, size_t row)
{
    sa_error why;
    sa_fail(&why, SA_BAD_INPUT, "--queue", "give the coordinator's input", "row %zu is none here", row);
    pthread_mutex_lock(&c->lock);
    fail_consumer(c, &why);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static const sa_item *next_item(sa_run_job *j, size_t *index)
{
    consumer *c = j->source;
    for (;;) {
        pthread_mutex_lock(&c->lock);
        if (c->next == c->count && !c->over) {
            take_tasks(j, c);
        }
        bool there = c->next < c->count, over = c->over;
        sa_redis_task task = there ? c->tasks[c->next++] : (sa_redis_task){0};
        pthread_mutex_unlock(&c->lock);
        const sa_item *item = there ? sa_run_find_item(j, task.row, index) : NULL;
        if (item != NULL && task.tries <= SA_CREW_TRIES) {
            return item;
        }
        if (item != NULL) {
            give_up(j, item);
        } else if (there || over) {
            return there ? refuse_row(c, task.row) : NULL;
        }
    }
}

static bool is_interrupted(sa_run_job *j)
{
    const consumer *c = j->source;
    return c->failed || sa_interrupt_seen();
}

static void stop_taking(sa_run_job *j)
{
    consumer *c = j->source;
    pthread_mutex_lock(&c->lock);
    c->over = true;
    pthread_cond_broadcast(&c->end);
    pthread_mutex_unlock(&c->lock);
}

/* A thread that says now and then that the rows are still worked on, however long a stage takes. */
static void *keep_rows(void *context)
{
    consumer *c = context;
    pthread_mutex_lock(&c->lock);
    while (!c->closing) {
        sa_error why;
        wait_a_while(c, c->keep_ms);
        if (!c->closing && c->held_count > 0 &&
            sa_redis_queue_keep(c->queue, c->held, c->held_count, &why) != SA_OK) {
            fail_consumer(c, &why);
        }
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static sa_status compute(sa_run_job *j, consumer *c, sa_error *err)
{
    static const sa_run_rows rows = {next_item, put_line, put_reason, is_interrupted, stop_taking};
    pthread_t keeper;
    j->rows = &rows;
    j->source = c;
    c->keep_ms = idle_ms(j) / 4 < KEEP_MS ? idle_ms(j) / 4 + 1 : KEEP_MS;
    j->progress = sa_progress_start(&j->cli->log, j->kind->command, j->device_name, 0);
    if (pthread_create(&keeper, NULL, keep_rows, c) != 0) {
        return sa_fail(err, SA_NO_ROOM, NULL, "allow more threads", "cannot start a thread");
    }
    sa_status status = sa_run_models(j, err);
    pthread_mutex_lock(&c->lock);
    c->closing = true;
    pthread_cond_broadcast(&c->end);
    pthread_mutex_unlock(&c->lock);
    pthread_join(keeper, NULL);
    sa_progress_end(&j->progress, (long long)c->put);
    if (c->why.status != SA_OK) { /* what the interrupt came from */
        *err = c->why;
        status = c->why.status;
    }
    if (c->held_count > 0) { /* others may begin with them at once */
        sa_error ignored;
        sa_redis_queue_give_back(c->queue, c->held, c->held_count, &ignored);
    }
    return status;
}

static sa_status run_consumer(sa_run_job *j, sa_run_summary *summary, sa_error *err)
{
    char fingerprint[65];
    consumer c = {.lock = PTHREAD_MUTEX_INITIALIZER, .end = PTHREAD_COND_INITIALIZER};
    SA_TRY(sa_run_open_device(j, err));
    SA_TRY(sa_run_open_models(j, err));
    j->device_name = sa_device_name(j->device);
    SA_TRY(sa_run_fingerprint(j, j->options->precision, true, fingerprint, err));
    SA_TRY(open_queue(j, fingerprint, SA_REDIS_CONSUMER, &c.queue, err));
    sa_status status = compute(j, &c, err);
    summary->items = c.put;
    sa_redis_queue_close(c.queue);
    free(c.held);
    return status;
}

/* ---- the coordinator ---- */

typedef struct {
    sa_run_job *job;
    size_t rows[FORGET]; /* [count] that came since the output was synced last */
    size_t count;
} collector;

static bool is_done(void *context, size_t row)
{
    const collector *c = context;
    return sa_output_is_done(c->job->output, row);
}

static sa_status take_row(void *context, const sa_redis_line *line, sa_error *err)
{
    collector *c = context;
    if (!sa_output_is_done(c->job->output, line->row)) { /* it may come again */
        SA_TRY(sa_run_take_line(c->job, line->row, line->kind, line->line, line->size, err));
    }
    c->rows[c->count++] = line->row;
    return SA_OK;
}

static sa_status collect(sa_run_job *j, sa_redis_queue *queue, sa_error *err)
{
    collector c = {.job = j};
    SA_TRY(sa_redis_queue_offer(queue, is_done, &c, err));
    while (sa_run_left(j) > 0) {
        SA_TRY(sa_interrupt_check(err));
        c.count = 0;
        SA_TRY(sa_redis_queue_collect(queue, FORGET, COLLECT_MS, take_row, &c, NULL, err));
        if (c.count > 0) {
            SA_TRY(sa_output_sync(j->output, err));
            SA_TRY(sa_redis_queue_forget(queue, c.rows, c.count, err));
        }
    }
    return sa_redis_queue_finish(queue, err);
}

/* What those who compute took is theirs to tell. */
static sa_status tell_time(sa_run_job *j, double begun, sa_error *err)
{
    j->times = json_pack("{s:f}", "total", sa_clock_seconds() - begun);
    return j->times != NULL ? SA_OK : sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the run's record");
}

static sa_status run_coordinator(sa_run_job *j, sa_error *err)
{
    char fingerprint[65];
    sa_redis_queue *queue = NULL;
    double begun = sa_clock_seconds();
    j->options->precision = j->cli->common.precision;
    j->device_name = "queue";
    SA_TRY(sa_run_fingerprint(j, j->options->precision, true, fingerprint, err));
    SA_TRY(open_queue(j, fingerprint, SA_REDIS_CONSUMER, &queue,
                      err)); /* may it lead, if there is a run of that name? */
    sa_redis_queue_close(queue);
    queue = NULL;
    SA_TRY(sa_run_open_output(j, err)); /* before it leads: who has this directory already is not disturbed */
    sa_status status = open_queue(j, fingerprint, SA_REDIS_COORDINATOR, &queue, err);
    if (status == SA_OK) {
        sa_run_start_progress(j);
        status = sa_run_put_bad_items(j, err);
        status = status == SA_OK ? collect(j, queue, err) : status;
        sa_progress_end(&j->progress, (long long)j->done);
    }
    sa_redis_queue_close(queue);
    SA_TRY(status);
    SA_TRY(tell_time(j, begun, err));
    return sa_run_finish_output(j, err);
}

sa_status sa_run_queue(sa_run_job *j, sa_run_summary *summary, sa_error *err)
{
    SA_TRY(check_options(j, err));
    return j->options->output != NULL ? run_coordinator(j, err) : run_consumer(j, summary, err);
}
