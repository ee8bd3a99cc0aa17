/*
 * The parent of worker processes on this machine: hands rows out, takes lines in.
 *
 *   open (start all, wait for one to say hello) -> run (rows out, lines in, until all are done) -> close
 *
 * A worker is this very program, started again (fork and exec) with a socket; worker.h is its side. It holds
 * as many rows as it asked for, but no more than its share of all that are not done: so a small input is
 * divided, too, and towards the end nobody waits long for another one. Workers that are being started have
 * their share as well.
 *
 * A worker that dies, or says nothing for too long, is started again, and its rows are handed out again. The
 * row that killed it may be any of them: so from then on each of them is handed to a worker that has nothing
 * else, and the one that has been with three deaths is given up. A worker that says why it fails (its device,
 * its disk) blames no row. One that dies again and again without having held a row, or saying why, is not
 * started a fourth time; when none is left, the run ends with what the last one said.
 */
#ifndef SA_FLEET_CREW_H
#define SA_FLEET_CREW_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/log.h"
#include "runtime/base/status.h"

enum { SA_CREW_MOST = 256, SA_CREW_TRIES = 3 };

typedef struct {
    size_t count;               /* workers, 1 to SA_CREW_MOST */
    const char *const *devices; /* [count] what --device is for each */
    size_t threads;             /* --threads of each; 0: not given */
    char *const *arguments;     /* of the program, NULL at the end; the first one is its name */
    double patience;            /* seconds without a word until a worker counts as hanging; 0: 300 */
    size_t rows;                /* of the input */
    const char *fingerprint;    /* of what is run: a worker that would run something else refuses */
    sa_log *log;                /* is told who died */
    bool (*interrupted)(void);  /* asked while workers start; NULL: never */
} sa_crew_options;

typedef struct {
    void *context;
    /* One more row to be done; false: there are no more. */
    bool (*next)(void *context, size_t *row);
    /* Rows that are not done, whoever has them. */
    size_t (*left)(void *context);
    /* What a worker made of a row, 'R' a result or 'Q' a reason, as in message.h. */
    sa_status (*line)(void *context, size_t row, char kind, const char *bytes, size_t size, sa_error *err);
    /* A row that was with SA_CREW_TRIES deaths. */
    sa_status (*give_up)(void *context, size_t row, sa_error *err);
    /* The times and counters of a worker that is done. */
    sa_status (*counts)(void *context, const char *bytes, size_t size, sa_error *err);
    bool (*interrupted)(void *context);
} sa_crew_client;

typedef struct sa_crew sa_crew;

sa_status sa_crew_open(sa_crew **crew, const sa_crew_options *options, sa_error *err);
/* Whoever still runs is ended. NULL is fine. */
void sa_crew_close(sa_crew *crew);
/* What the first worker said of itself, JSON. */
const char *sa_crew_hello(const sa_crew *crew);

sa_status sa_crew_run(sa_crew *crew, const sa_crew_client *client, sa_error *err);

typedef struct {
    size_t started, died, hung; /* of the started: again */
} sa_crew_counts;
sa_crew_counts sa_crew_get_counts(const sa_crew *crew);

#endif
