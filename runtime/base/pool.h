/*
 * Thread pool: runs the tasks 0 .. count-1 of one job on a fixed set of threads, the caller's included.
 *
 * Tasks are handed out in order, to whoever is free, so which thread runs a task is chance: a task must
 * compute the same result on any thread. One job at a time; a task must not start another job on the same
 * pool.
 */
#ifndef SA_BASE_POOL_H
#define SA_BASE_POOL_H

#include <stddef.h>

#include "runtime/base/status.h"

typedef struct sa_pool sa_pool;

/* `worker` is 0 .. threads-1 and unique among the tasks running at one time: it picks a scratch buffer. */
typedef void sa_pool_task(void *context, size_t task, int worker);

/* threads: 1 .. 1024; 0 means one per processor this process may run on. Starts threads-1 threads. */
sa_status sa_pool_open(sa_pool **pool, int threads, sa_error *err);
void sa_pool_close(sa_pool *pool);

int sa_pool_threads(const sa_pool *pool);

/* Returns when all tasks have ended; what they wrote is visible to the caller. Allocates nothing. */
void sa_pool_run(sa_pool *pool, size_t count, sa_pool_task *task, void *context);

#endif
