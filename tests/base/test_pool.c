/* Thread pool: every task exactly once, whatever the number of threads; worker numbers are never shared. */
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/base/pool.h"
#include "tests/check.h"

enum { MOST_TASKS = 1000, MOST_WORKERS = 8 };

typedef struct {
    atomic_int runs[MOST_TASKS];
    atomic_int busy[MOST_WORKERS];
    atomic_int shared_worker, bad_worker;
    int threads;
    size_t plain[MOST_TASKS]; /* not atomic: TSan sees if it is not handed over properly */
} job;

static void count_task(void *context, size_t task, int worker)
{
    job *j = context;
    if (worker < 0 || worker >= j->threads) {
        atomic_fetch_add(&j->bad_worker, 1);
        return;
    }
    if (atomic_fetch_add(&j->busy[worker], 1) != 0) {
        atomic_fetch_add(&j->shared_worker, 1);
    }
    atomic_fetch_add(&j->runs[task], 1);
    j->plain[task] += task + 1;
    atomic_fetch_sub(&j->busy[worker], 1);
}

static void check_job(job *j, size_t count, size_t times)
{
    assert_int_equal(atomic_load(&j->bad_worker), 0);
    assert_int_equal(atomic_load(&j->shared_worker), 0);
    for (size_t i = 0; i < MOST_TASKS; i++) {
        assert_int_equal(atomic_load(&j->runs[i]), i < count ? times : 0);
        assert_int_equal(j->plain[i], i < count ? (i + 1) * times : 0);
    }
}

static sa_pool *open_pool(int threads)
{
    sa_pool *pool = NULL;
    sa_error err;
    assert_int_equal(sa_pool_open(&pool, threads, &err), SA_OK);
    return pool;
}

static void test_every_task_once(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 1, 2, 7, 8, 9, 999, 1000};
    for (int threads = 1; threads <= MOST_WORKERS; threads++) {
        sa_pool *pool = open_pool(threads);
        assert_int_equal(sa_pool_threads(pool), threads);
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            job *j = calloc(1, sizeof *j);
            assert_non_null(j);
            j->threads = threads;
            sa_pool_run(pool, counts[i], count_task, j);
            check_job(j, counts[i], 1);
            free(j);
        }
        sa_pool_close(pool);
    }
}

/* Jobs so small that workers meet the next one while they leave the last. */
static void test_many_tiny_jobs(void **state)
{
    (void)state;
    enum { JOBS = 2000, TASKS = 3 };
    for (int threads = 1; threads <= MOST_WORKERS; threads++) {
        sa_pool *pool = open_pool(threads);
        job *j = calloc(1, sizeof *j);
        assert_non_null(j);
        j->threads = threads;
        for (int i = 0; i < JOBS; i++) {
            sa_pool_run(pool, TASKS, count_task, j);
        }
        check_job(j, TASKS, JOBS);
        free(j);
        sa_pool_close(pool);
    }
}

/* Workers that fell asleep between two jobs wake up again. */
static void test_jobs_after_sleep(void **state)
{
    (void)state;
    sa_pool *pool = open_pool(4);
    job *j = calloc(1, sizeof *j);
    assert_non_null(j);
    j->threads = 4;
    for (int i = 0; i < 5; i++) {
        struct timespec pause = {.tv_nsec = 30 * 1000 * 1000};
        nanosleep(&pause, NULL);
        sa_pool_run(pool, 100, count_task, j);
    }
    check_job(j, 100, 5);
    free(j);
    sa_pool_close(pool);
}

static void test_open_and_close(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) { /* closing while the workers are still starting */
        sa_pool_close(open_pool(i % MOST_WORKERS + 1));
    }
    for (int i = 0; i < 500; i++) { /* closing while some workers have not yet looked at the only job */
        sa_pool *pool = open_pool(i % MOST_WORKERS + 1);
        job *j = calloc(1, sizeof *j);
        assert_non_null(j);
        j->threads = MOST_WORKERS;
        sa_pool_run(pool, 3, count_task, j);
        sa_pool_close(pool);
        check_job(j, 3, 1);
        free(j);
    }
    sa_pool_close(NULL);
    sa_pool *pool = open_pool(0);
    assert_true(sa_pool_threads(pool) >= 1);
    sa_pool_close(pool);
    sa_error err;
    assert_int_equal(sa_pool_open(&pool, -1, &err), SA_BAD_USAGE);
    assert_int_equal(sa_pool_open(&pool, 1025, &err), SA_BAD_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_task_once),
        cmocka_unit_test(test_many_tiny_jobs),
        cmocka_unit_test(test_jobs_after_sleep),
        cmocka_unit_test(test_open_and_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
