/*
 * A job is published by raising `job_number`; workers that see it take task numbers from `next` until they
 * run out, then count themselves into `finished`. The caller works too and waits for the last worker. Between
 * jobs a worker spins for a short while (the next operation of a model usually comes within microseconds),
 * then sleeps on a condition variable, so that an idle program uses no processor time.
 */
#define _GNU_SOURCE
#include "runtime/base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SPIN_ROUNDS = 20000, MOST_THREADS = 1024 };

typedef struct {
    sa_pool *pool;
    int worker;
    pthread_t thread;
} worker_state;

struct sa_pool {
    int threads;
    worker_state *workers; /* [threads - 1]; worker 0 is the caller */

    sa_pool_task *task;
    void *context;
    size_t count;

    atomic_size_t next;
    atomic_int finished;
    atomic_uint job_number;
    atomic_bool closing;

    pthread_mutex_t mutex;
    pthread_cond_t wake;
    int sleeping; /* guarded by mutex */
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void run_tasks(sa_pool *pool, int worker)
{
    for (;;) {
        size_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (task >= pool->count) {
            return;
        }
        pool->task(pool->context, task, worker);
    }
}

/* Waits until job_number differs from `seen`; returns the new number. */
static unsigned wait_for_job(sa_pool *pool, unsigned seen)
{
    for (int round = 0; round < SPIN_ROUNDS; round++) {
        unsigned now = atomic_load_explicit(&pool->job_number, memory_order_acquire);
        if (now != seen) {
            return now;
        }
        relax();
    }
    pthread_mutex_lock(&pool->mutex);
    pool->sleeping++;
    unsigned now;
    while ((now = atomic_load_explicit(&pool->job_number, memory_order_acquire)) == seen) {
        pthread_cond_wait(&pool->wake, &pool->mutex);
    }
    pool->sleeping--;
    pthread_mutex_unlock(&pool->mutex);
    return now;
}

static void *worker_main(void *argument)
{
    worker_state *self = argument;
    sa_pool *pool = self->pool;
    unsigned seen = 0;
    for (;;) {
        seen = wait_for_job(pool, seen);
        if (atomic_load_explicit(&pool->closing, memory_order_acquire)) {
            return NULL;
        }
        run_tasks(pool, self->worker);
        atomic_fetch_add_explicit(&pool->finished, 1, memory_order_release);
    }
}

static void publish(sa_pool *pool)
{
    /* The number changes under the mutex: a worker that is about to sleep either sees it or is woken. */
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add_explicit(&pool->job_number, 1, memory_order_release);
    if (pool->sleeping > 0) {
        pthread_cond_broadcast(&pool->wake);
    }
    pthread_mutex_unlock(&pool->mutex);
}

static int processors_allowed(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : count > MOST_THREADS ? MOST_THREADS : count;
}

static void stop_workers(sa_pool *pool, int started)
{
    atomic_store_explicit(&pool->closing, true, memory_order_release);
    publish(pool);
    for (int i = 0; i < started; i++) {
        pthread_join(pool->workers[i].thread, NULL);
    }
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->workers);
    free(pool);
}

sa_status sa_pool_open(sa_pool **out, int threads, sa_error *err)
{
    if (threads < 0 || threads > MOST_THREADS) {
        return sa_fail(err, SA_BAD_USAGE, "--threads", "give 1 to 1024, or 0 for one per processor",
                       "%d threads are not possible", threads);
    }
    if (threads == 0) {
        threads = processors_allowed();
    }
    sa_pool *pool = calloc(1, sizeof *pool);
    worker_state *workers = calloc((size_t)threads, sizeof *workers);
    if (pool == NULL || workers == NULL) {
        free(pool);
        free(workers);
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a pool of %d threads", threads);
    }
    pool->threads = threads;
    pool->workers = workers;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    for (int i = 0; i < threads - 1; i++) {
        workers[i] = (worker_state){.pool = pool, .worker = i + 1};
        int number = pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]);
        if (number != 0) {
            stop_workers(pool, i);
            return sa_fail(err, SA_NO_ROOM, "--threads", "use fewer threads",
                           "cannot start thread %d of %d: %s", i + 2, threads, strerror(number));
        }
    }
    *out = pool;
    return SA_OK;
}

void sa_pool_close(sa_pool *pool)
{
    if (pool != NULL) {
        stop_workers(pool, pool->threads - 1);
    }
}

int sa_pool_threads(const sa_pool *pool)
{
    return pool->threads;
}

void sa_pool_run(sa_pool *pool, size_t count, sa_pool_task *task, void *context)
{
    if (count == 0) {
        return;
    }
    if (pool->threads == 1 || count == 1) { /* nothing to share: do not wake anyone */
        for (size_t i = 0; i < count; i++) {
            task(context, i, 0);
        }
        return;
    }
    pool->task = task;
    pool->context = context;
    pool->count = count;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->finished, 0, memory_order_relaxed);
    publish(pool);
    run_tasks(pool, 0);
    /* Every worker passes through every job, so that none can look at the next job's fields too early. */
    int others = pool->threads - 1;
    for (int round = 0; atomic_load_explicit(&pool->finished, memory_order_acquire) != others; round++) {
        if (round < SPIN_ROUNDS) {
            relax();
        } else {
            sched_yield(); /* more threads than processors: let the last worker run */
        }
    }
}
