/*
 * The rows of one run, handed out to many machines through a Redis server:
 *
 *   coordinator --offer--> tasks --take--> consumers --put--> done --collect--> coordinator --> its output
 *
 * There is one coordinator, the process that writes the output directory, and any number of consumers, on
 * any machine, the coordinator's among them. All have the same input and the same agent, so a row's number
 * is all that is handed out, and a row that is computed twice gives the same bytes. What comes back is a line
 * of results.jsonl ('R') or of quarantine.jsonl ('Q').
 *
 * Keys, each after "segagent:NAME:":
 *
 *   run    hash: fingerprint, what the run is (made by the caller); state, "running" or "finished";
 *          coordinator, the handle that leads it, by a random name; swept, when abandoned tasks were last
 *          looked for
 *   tasks  stream of rows to be computed, with the consumer group "workers". An entry's id is OFFER-ROW, its
 *          field means nothing: the id alone says which row it is, so an entry of an older life of the server
 *          can be taken for no other row
 *   marks  hash, row -> kind and 128 bits of the line's SHA-256: the row was put. Stays to the end
 *   rows   hash, ROW:PIECE -> bytes of its line, in pieces of 16 MiB: until the coordinator forgets the row
 *   done   stream of rows that were put (row, mark, size): until the coordinator forgets the row
 *
 * Every change is one Lua script, so it is there as a whole or not at all, and doing it again does
 * nothing. What always holds: a row that was offered stands in tasks, or it has a mark; a row with a mark
 * stands in rows and done, until the coordinator has it on disk. From that follows what a death does:
 *
 *   A consumer's. Its rows stay in tasks, claimed by it. After idle_ms without keep, and a quarter of that or
 *   10 s at most, another takes them, and sees by `tries` how many have tried. If it had put a row but not
 *   heard so, the row has its mark, and nobody is given it again.
 *
 *   The coordinator's. Consumers go on; lines wait in rows. Another coordinator with the same fingerprint
 *   collects all rows that were not forgotten: each at least once, so the caller drops those that it has. An
 *   older coordinator that still lives is refused from then on.
 *
 *   The server's, who comes back with its data. Every call connects again, and is done again, until patience
 *   runs out. The data may be of a second ago: what was put since is handed out again.
 *
 *   The server's, who comes back without. The coordinator sees it at its next collect, and offers again what
 *   is not done. Consumers wait with their finished rows until then, and put them.
 *
 *   A connection's. The same as the server's with its data. Rows given to a consumer by an answer that got
 *   lost are given to it by its next take.
 *
 * Each row is put once: the mark is set with the line by one script, and a second line is only compared with
 * it. Each row comes to the caller of collect once from one handle, unless a connection broke in between.
 *
 * The server needs memory for tasks (15 bytes a row), marks (90 bytes a row), and lines that were put and not
 * forgotten; it must not evict keys (maxmemory-policy noeviction). "appendonly yes" is advised, not needed.
 *
 * A run that was finished is known for a day: consumers that start within it end at once, unless a
 * coordinator has begun it again before.
 *
 * A handle is for one thread at a time; threads take a handle each. Each function that returns a status
 * may return, beside what stands at it:
 *   SA_IO           no server until patience ran out; or answers that are not what they should be
 *   SA_BAD_USAGE    another run, or another coordinator, has that name by now; user or password are refused
 *   SA_NO_ROOM      no memory here
 *   SA_INTERRUPTED  stop() said so while the server was waited for
 */
#ifndef SA_FLEET_REDIS_QUEUE_H
#define SA_FLEET_REDIS_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/log.h"
#include "runtime/base/status.h"

typedef enum { SA_REDIS_COORDINATOR, SA_REDIS_CONSUMER } sa_redis_role;

enum {
    SA_REDIS_MOST_ROWS = 1000,   /* of one take or collect; more are asked for in vain */
    SA_REDIS_MOST_LINE = 1 << 30 /* bytes */
};

typedef struct {
    const char *url; /* redis_url.h */
    /* 1 to 1024 bytes: equal for those, and those alone, who compute the same rows. */
    const char *fingerprint;
    size_t rows; /* of the input */
    sa_redis_role role;
    const char *name;                 /* of this process, up to 100 bytes, for people who look into Redis */
    int idle_ms;                      /* a row not kept for so long is another's; the same for all; 0: 60 s */
    int patience_ms;                  /* how long to try when the server is gone; negative: 60 s */
    bool (*stop)(void *stop_context); /* NULL, or: true ends waiting, for a server or for rows */
    void *stop_context;
    sa_log *log; /* NULL, or: is told when the server is gone, and when it is back */
} sa_redis_queue_options;

typedef struct sa_redis_queue sa_redis_queue;

/*
 * *queue is NULL after a failure. SA_BAD_USAGE: the URL; or the run of that name has another fingerprint. A
 * consumer may come before its coordinator. A coordinator goes on with a run that is there, finished or not.
 */
sa_status sa_redis_queue_open(sa_redis_queue **queue, const sa_redis_queue_options *options, sa_error *err);
/* Rows that are taken and not put come to others after idle_ms: give them back before. NULL is fine. */
void sa_redis_queue_close(sa_redis_queue *queue);
/* The URL without user and password. */
const char *sa_redis_queue_place(const sa_redis_queue *queue);

/* ---- for consumers (a coordinator's handle may take and put as well) ---- */

typedef struct {
    size_t row;
    size_t tries; /* 1: nobody has had it before; who gave it back does not count, who died with it does */
} sa_redis_task;

/*
 * Up to `most` rows to compute, in the order in which they were offered, those given back and those of dead
 * consumers first. Waits up to wait_ms for the first one. *count 0: nothing for now, or *finished: the run is
 * complete, and nothing will come. SA_IO, too, if for as long as patience there was no run of that name.
 */
sa_status sa_redis_queue_take(sa_redis_queue *queue, size_t most, int wait_ms, sa_redis_task *tasks,
                              size_t *count, bool *finished, sa_error *err);
/* They are still being worked on; said several times in idle_ms. Rows that another has by now stay his. */
sa_status sa_redis_queue_keep(sa_redis_queue *queue, const size_t *rows, size_t count, sa_error *err);
/* Taken, but not computed: the next to take gets them, and `tries` does not count this one. */
sa_status sa_redis_queue_give_back(sa_redis_queue *queue, const size_t *rows, size_t count, sa_error *err);

typedef struct {
    size_t row;
    char kind; /* 'R': a line of results.jsonl, 'Q': of quarantine.jsonl */
    const char *line;
    size_t size; /* more than 0; no newline is in it */
} sa_redis_line;

/*
 * They are safe in Redis when this returns, however often it is said and whoever took them. While Redis does
 * not know the run (it lost its data, and the coordinator has not seen it yet) this waits, as long as
 * patience.
 *   SA_BAD_INPUT  a row was put before with other bytes, and those stay; or a line is longer than 1 GiB. The
 *                 other rows may have been put or not
 */
sa_status sa_redis_queue_put(sa_redis_queue *queue, const sa_redis_line *lines, size_t count, sa_error *err);

/* ---- for the coordinator ---- */

/*
 * Offers every row of [0, rows) that is not done, in order, unless it is offered or put already; to be called
 * before collect. is_done is asked again, within collect and offer, whenever the server may have lost
 * something. A row that was forgotten and is not done (its output was removed) is offered again, too.
 */
sa_status sa_redis_queue_offer(sa_redis_queue *queue, bool (*is_done)(void *context, size_t row),
                               void *context, sa_error *err);

/* SA_OK, or a status with which collect ends at once; the row then comes again. */
typedef sa_status sa_redis_collector(void *context, const sa_redis_line *line, sa_error *err);

/*
 * Gives up to `most` rows that were put to the collector, in the order in which they were put; waits up to
 * wait_ms for the first one. *count (may be NULL): how many.
 *   SA_BAD_INPUT  the bytes of a row are not those that were put
 */
sa_status sa_redis_queue_collect(sa_redis_queue *queue, size_t most, int wait_ms,
                                 sa_redis_collector *collector, void *context, size_t *count, sa_error *err);
/* Rows that were collected are on disk here: Redis drops their lines, and keeps their marks. */
sa_status sa_redis_queue_forget(sa_redis_queue *queue, const size_t *rows, size_t count, sa_error *err);
/* All rows are on disk: consumers are told, lines and tasks go, the other keys go after a day. */
sa_status sa_redis_queue_finish(sa_redis_queue *queue, sa_error *err);

#endif
