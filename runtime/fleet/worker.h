/*
 * The worker's side of crew.h: rows come in over a socket, lines go out.
 *
 *   open (finds the socket) -> setup -> hello -> [ take ... put, beat ... ] -> end
 */
#ifndef SA_FLEET_WORKER_H
#define SA_FLEET_WORKER_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/status.h"

#define SA_WORKER_SOCKET "SEGAGENT_WORKER_SOCKET" /* environment: the number of a descriptor */

typedef struct sa_worker sa_worker;

typedef struct {
    char device[72];
    size_t threads;        /* 0: as given */
    size_t workers;        /* who share the machine's memory */
    char fingerprint[128]; /* of what the parent runs */
} sa_worker_setup;

/* True if a parent has started this process to be a worker. */
bool sa_worker_is_wanted(void);
/* Takes the socket, and waits for what the parent has to say first. */
sa_status sa_worker_open(sa_worker **worker, sa_worker_setup *setup, sa_error *err);
void sa_worker_close(sa_worker *worker);

/* `window`: rows that it can work on at a time. */
sa_status sa_worker_say_hello(sa_worker *worker, const char *device, const char *precision, size_t window,
                              sa_error *err);
/* Waits for the next row; false: there are no more, or the parent is gone. By one thread. */
bool sa_worker_take(sa_worker *worker, size_t *row);
/* Whoever waits for a row stops waiting. By any thread. */
void sa_worker_stop_taking(sa_worker *worker);
/* By any thread. SA_IO: the parent is gone. size <= SA_MESSAGE_LIMIT. */
sa_status sa_worker_put(sa_worker *worker, size_t row, const char *line, size_t size, sa_error *err);
sa_status sa_worker_set_aside(sa_worker *worker, size_t row, const sa_error *why, sa_error *err);
/* Says now and then that it lives, if it is called often enough; SA_IO: nobody listens any more. */
sa_status sa_worker_beat(sa_worker *worker, sa_error *err);
/* The last words: counts (JSON text) after all rows, or what it failed with. */
sa_status sa_worker_tell_counts(sa_worker *worker, const char *json, size_t size, sa_error *err);
void sa_worker_tell_failure(sa_worker *worker, const sa_error *why);

#endif
