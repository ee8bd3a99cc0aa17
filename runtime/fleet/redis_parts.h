/* Inside of the queue (redis_queue.h): what its opening, the consumer's and the coordinator's calls share. */
#ifndef SA_FLEET_REDIS_PARTS_H
#define SA_FLEET_REDIS_PARTS_H

#include <stdint.h>

#include "runtime/fleet/redis_held.h"
#include "runtime/fleet/redis_link.h"
#include "runtime/fleet/redis_queue.h"

enum {
    REDIS_KEY = 128,
    REDIS_FINGERPRINT = 1024,
    REDIS_PIECE = 16 << 20, /* bytes of a line in one command: Redis refuses 512 MiB */
    REDIS_MARK = 34,        /* kind, 32 hexadecimal digits, zero */
    REDIS_SLICE_MS = 500,   /* longest wait in Redis: what wakes nobody there is seen after it */
};

typedef enum { REDIS_TASKS, REDIS_MARKS, REDIS_ROWS, REDIS_DONE, REDIS_RUN, REDIS_KEYS } redis_key;

typedef enum { REDIS_OK_VERDICT, REDIS_ABSENT, REDIS_FINISHED } redis_verdict;

struct sa_redis_queue {
    redis_link *link;
    redis_request request; /* its room is used again and again */
    char keys[REDIS_KEYS][REDIS_KEY];
    char fingerprint[REDIS_FINGERPRINT + 1];
    char me[160]; /* no other handle's name */
    size_t rows;
    int idle_ms;
    double absent_since; /* 0: the run was there when last looked at */

    /* As a consumer. */
    redis_held taken;    /* rows that were taken and neither put nor given back */
    unsigned long known; /* with the connection of this number all rows claimed by us are in `taken` */

    /* As the coordinator. */
    bool (*is_done)(void *context, size_t row); /* NULL until the first offer */
    void *context;
    unsigned long offered; /* the connection of the last offer; 0: to be done again */
    redis_held collected;  /* rows that were collected and not forgotten */
    char cursor[REDIS_ID]; /* in done: what is behind it was not collected yet */
};

/* Begins q->request with a script that has so many arguments of its own, which come next. */
void redis_queue_begin(sa_redis_queue *q, const char *script, size_t arguments);
/* One more in the same request. */
void redis_queue_append(sa_redis_queue *q, const char *script, size_t arguments);

/* A script's answer: a list that begins with "ok", with one of the other verdicts of *verdict, or a failure.
 */
sa_status redis_queue_judge(sa_redis_queue *q, const redisReply *reply, redis_verdict *verdict,
                            sa_error *err);
/* Asks the only command of q->request. The reply is the caller's unless this fails. */
sa_status redis_queue_ask(sa_redis_queue *q, redisReply **reply, redis_verdict *verdict, sa_error *err);
/* The same, where the verdict is all that is asked for. */
sa_status redis_queue_tell(sa_redis_queue *q, redis_verdict *verdict, sa_error *err);

/* Until a stream has an entry behind `id`, or so many milliseconds. */
sa_status redis_queue_wait(sa_redis_queue *q, redis_key stream, const char *id, int ms, sa_error *err);
/* The run is not there: sleeps a little; SA_IO once that has been so for as long as patience. */
sa_status redis_queue_wait_for_run(sa_redis_queue *q, int ms, sa_error *err);

/* SA_IO: an answer of another shape than it should have. */
sa_status redis_queue_odd(const sa_redis_queue *q, sa_error *err);
sa_status redis_queue_no_memory(const sa_redis_queue *q, sa_error *err);

bool redis_reply_is(const redisReply *reply, const char *text);
/* Decimal digits in a string, or an integer, up to `most`. */
bool redis_reply_number(const redisReply *reply, uint64_t most, uint64_t *number);
/* "MS-SEQ"; *seq may be NULL. */
bool redis_reply_id(const redisReply *reply, char id[REDIS_ID], uint64_t *seq);

sa_status redis_mark(char mark[REDIS_MARK], char kind, const char *line, size_t size, sa_error *err);
/* How many pieces a line of so many bytes has. */
size_t redis_pieces(size_t size);

#endif
