/*
 * The caller opens the door to a job; workers that find it open go in, take task numbers from `next` until
 * they run out, and leave. The caller works too, closes the door when nothing is left to take, and waits for
 * those that are still inside: a worker that the system did not run in time stays outside, and nobody waits
 * for it.
 *
 * Who waits spins first (the next operation of a model usually comes within microseconds), then sleeps on a
 * condition variable, so that an idle program uses no processor time. With more threads than processors
 * nobody spins: it would take the processor away from the thread that is waited for.
 */
#define _GNU_SOURCE
#include "runtime/base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SPIN_NANOSECONDS = 100000, SPIN_ROUNDS = 32 /* between two looks at the clock */ };
enum { MOST_THREADS = 1024, CACHE_LINE = 64 };

/* The door's word: how many workers are inside, two flags, and the number of jobs so far. */
#define INSIDE ((uint64_t)0xFFFF)
#define CALLER_SLEEPS ((uint64_t)1 << 16)
#define OPEN ((uint64_t)1 << 17)
#define ONE_JOB ((uint64_t)1 << 18)

typedef struct {
    sa_pool *pool;
    int worker;
    pthread_t thread;
} worker_state;

struct sa_pool {
    int threads;
    bool spin;             /* there is a processor for every thread */
    worker_state *workers; /* [threads - 1]; worker 0 is the caller */

    /* Of the open job; only the caller writes them, and only while nobody can be inside. */
    sa_pool_task *task;
    void *context;
    size_t count;

    /* Everybody writes these two all the time: a cache line for each. */
    _Alignas(CACHE_LINE) atomic_size_t next;
    _Alignas(CACHE_LINE) _Atomic uint64_t door;

    _Alignas(CACHE_LINE) atomic_bool closing;
    pthread_mutex_t mutex;
    pthread_cond_t opened, left; /* workers sleep on the first, the caller on the second */
    int sleeping;                /* workers, guarded by mutex */
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

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A job that was not there when the door's word was `seen`. */
static bool new_job(uint64_t door, uint64_t seen)
{
    return (door & OPEN) != 0 && door / ONE_JOB != seen / ONE_JOB;
}

static bool nobody_inside(uint64_t door, uint64_t unused)
{
    (void)unused;
    return (door & INSIDE) == 0;
}

/* Spins until `good` holds of the door's word; false if that took too long. */
static bool spin_until(const sa_pool *pool, bool (*good)(uint64_t door, uint64_t seen), uint64_t seen)
{
    int64_t begin = nanoseconds();
    do {
        for (int round = 0; round < SPIN_ROUNDS; round++) {
            if (good(atomic_load_explicit(&pool->door, memory_order_acquire), seen)) {
                return true;
            }
            if (!pool->spin) {
                return false;
            }
            relax();
        }
    } while (nanoseconds() - begin < SPIN_NANOSECONDS);
    return false;
}

static void wait_for_job(sa_pool *pool, uint64_t seen)
{
    if (spin_until(pool, new_job, seen)) {
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    pool->sleeping++;
    while (!new_job(atomic_load_explicit(&pool->door, memory_order_acquire), seen)) {
        pthread_cond_wait(&pool->opened, &pool->mutex);
    }
    pool->sleeping--;
    pthread_mutex_unlock(&pool->mutex);
}

static void leave(sa_pool *pool)
{
    uint64_t before = atomic_fetch_sub_explicit(&pool->door, 1, memory_order_release);
    if ((before & CALLER_SLEEPS) != 0 && (before & INSIDE) == 1) {
        /* Under the mutex: the caller is either before its look at the door or in its sleep. */
        pthread_mutex_lock(&pool->mutex);
        pthread_cond_signal(&pool->left);
        pthread_mutex_unlock(&pool->mutex);
    }
}

static void *worker_main(void *argument)
{
    worker_state *self = argument;
    sa_pool *pool = self->pool;
    uint64_t seen = 0;
    for (;;) {
        wait_for_job(pool, seen);
        /* The door may have been closed since, or be another job's: what it was on entering counts. */
        seen = atomic_fetch_add_explicit(&pool->door, 1, memory_order_acquire);
        bool last = atomic_load_explicit(&pool->closing, memory_order_acquire);
        if ((seen & OPEN) != 0 && !last) {
            run_tasks(pool, self->worker);
        }
        leave(pool);
        if (last) {
            return NULL;
        }
    }
}

static void open_door(sa_pool *pool)
{
    /* Under the mutex: a worker that is about to sleep either sees the open door or is woken. */
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add_explicit(&pool->door, ONE_JOB + OPEN, memory_order_release);
    if (pool->sleeping > 0) {
        pthread_cond_broadcast(&pool->opened);
    }
    pthread_mutex_unlock(&pool->mutex);
}

/* Returns when the last worker has left; what it wrote is visible then. */
static void close_door(sa_pool *pool)
{
    atomic_fetch_and_explicit(&pool->door, ~OPEN, memory_order_relaxed);
    if (spin_until(pool, nobody_inside, 0)) {
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_or_explicit(&pool->door, CALLER_SLEEPS, memory_order_relaxed);
    while (!nobody_inside(atomic_load_explicit(&pool->door, memory_order_acquire), 0)) {
        pthread_cond_wait(&pool->left, &pool->mutex);
    }
    atomic_fetch_and_explicit(&pool->door, ~CALLER_SLEEPS, memory_order_relaxed);
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
    open_door(pool);
    for (int i = 0; i < started; i++) {
        pthread_join(pool->workers[i].thread, NULL);
    }
    pthread_cond_destroy(&pool->left);
    pthread_cond_destroy(&pool->opened);
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
    sa_pool *pool = aligned_alloc(CACHE_LINE, sizeof *pool);
    worker_state *workers = calloc((size_t)threads, sizeof *workers);
    if (pool == NULL || workers == NULL) {
        free(pool);
        free(workers);
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a pool of %d threads", threads);
    }
    memset(pool, 0, sizeof *pool);
    pool->threads = threads;
    pool->spin = threads <= processors_allowed();
    pool->workers = workers;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->opened, NULL);
    pthread_cond_init(&pool->left, NULL);
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
    open_door(pool);
    run_tasks(pool, 0);
    close_door(pool);
}
