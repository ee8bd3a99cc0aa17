/*
 * What the parts of a crew share: its processes, their births and deaths (crew_process.c), what they say
 * (crew_words.c), and who gets which row (crew.c).
 */
#ifndef SA_FLEET_CREW_PARTS_H
#define SA_FLEET_CREW_PARTS_H

#include <sys/types.h>

#include "runtime/fleet/crew.h"
#include "runtime/fleet/message.h"

typedef struct {
    pid_t process; /* 0: none */
    int socket;
    sa_message_reader reader;
    double heard;  /* when it last said something */
    size_t window; /* rows that it wants at a time; 0: it has not said hello */
    size_t *rows;  /* [held] of window */
    size_t held;
    size_t fruitless; /* deaths in a row without a line in between */
    size_t failures;  /* deaths of which it said why */
    bool told_failure, given_up;
} sa_crew_worker;

typedef struct {
    size_t *rows;
    size_t count, room;
} sa_crew_rows;

struct sa_crew {
    sa_crew_options options;
    sa_crew_worker *workers; /* [options.count] */
    unsigned char *tries;    /* [options.rows] deaths that a row was with */
    sa_crew_rows suspects;   /* to be handed out alone */
    sa_crew_rows returned;   /* nobody's fault */
    bool no_more;            /* the client has no more rows */
    char *hello;
    sa_error last; /* what the last one that failed said */
    sa_crew_counts counts;
};

/* ---- processes ---- */

/* Starts one, and says what it is to do. One that dies at once is found dead later. */
sa_status sa_crew_start(sa_crew *c, sa_crew_worker *w, sa_error *err);
/* Takes a process away, alive or not; how it ended. */
int sa_crew_reap(sa_crew_worker *w);

typedef enum { SA_CREW_DIED, SA_CREW_HUNG, SA_CREW_RAVED } sa_crew_fate;

/* Its rows are handed out again, or given up, and another one takes its place. */
sa_status sa_crew_bury(sa_crew *c, sa_crew_worker *w, sa_crew_fate how, const sa_crew_client *client,
                       sa_error *err);

/* ---- words ---- */

/*
 * All that the socket has; `client` is NULL before the run. *ended: the worker is gone. SA_BAD_INPUT: it says
 * what it should not, or is of no use.
 */
sa_status sa_crew_listen(sa_crew *c, sa_crew_worker *w, const sa_crew_client *client, bool *ended,
                         sa_error *err);

#endif
