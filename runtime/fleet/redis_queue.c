#define _GNU_SOURCE
#include "runtime/fleet/redis_queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "runtime/base/clock.h"
#include "runtime/base/sha256.h"
#include "runtime/fleet/redis_parts.h"
#include "runtime/fleet/redis_scripts.h"

enum { DEFAULT_IDLE_MS = 60000, DEFAULT_PATIENCE_MS = 60000, MOST_NAME = 100 };

static const uint64_t MOST_INPUT = (uint64_t)1 << 40; /* Lua's numbers are exact to 2^53 */

/* ---- small things ---- */

sa_status redis_queue_odd(const sa_redis_queue *q, sa_error *err)
{
    return sa_fail(
        err, SA_IO, redis_link_place(q->link),
        "check that redis-server 6.2 or newer listens there, and that nothing else writes these keys",
        "the server answers something else than was asked for");
}

sa_status redis_queue_no_memory(const sa_redis_queue *q, sa_error *err)
{
    return sa_fail(err, SA_NO_ROOM, redis_link_place(q->link), "free some memory", "no memory for its rows");
}

bool redis_reply_is(const redisReply *reply, const char *text)
{
    return reply->type == REDIS_REPLY_STRING && reply->len == strlen(text) &&
           memcmp(reply->str, text, reply->len) == 0;
}

/* Digits alone, no zero before others; *text moves behind them. */
static bool take_digits(const char **text, const char *end, uint64_t most, uint64_t *number)
{
    const char *begin = *text;
    *number = 0;
    while (*text < end && **text >= '0' && **text <= '9') {
        uint64_t digit = (uint64_t)(*(*text)++ - '0');
        if (digit > most || *number > (most - digit) / 10) {
            return false;
        }
        *number = *number * 10 + digit;
    }
    return *text > begin && (*begin != '0' || *text == begin + 1);
}

bool redis_reply_number(const redisReply *reply, uint64_t most, uint64_t *number)
{
    if (reply->type == REDIS_REPLY_INTEGER) {
        *number = (uint64_t)reply->integer;
        return reply->integer >= 0 && *number <= most;
    }
    const char *text = reply->str, *end = text + reply->len;
    return reply->type == REDIS_REPLY_STRING && take_digits(&text, end, most, number) && text == end;
}

bool redis_reply_id(const redisReply *reply, char id[REDIS_ID], uint64_t *seq)
{
    uint64_t ms, number;
    if (reply->type != REDIS_REPLY_STRING || reply->len >= REDIS_ID) {
        return false;
    }
    const char *text = reply->str, *end = text + reply->len;
    if (!take_digits(&text, end, UINT64_MAX, &ms) || text == end || *text++ != '-' ||
        !take_digits(&text, end, UINT64_MAX, &number) || text != end) {
        return false;
    }
    memcpy(id, reply->str, reply->len + 1); /* hiredis puts a zero behind it */
    if (seq != NULL) {
        *seq = number;
    }
    return true;
}

sa_status redis_mark(char mark[REDIS_MARK], char kind, const char *line, size_t size, sa_error *err)
{
    unsigned char digest[32];
    SA_TRY(sa_sha256_bytes(line, size, digest, err));
    mark[0] = kind;
    for (int i = 0; i < (REDIS_MARK - 2) / 2; i++) {
        snprintf(mark + 1 + (size_t)2 * i, 3, "%02x", digest[i]);
    }
    return SA_OK;
}

size_t redis_pieces(size_t size)
{
    return (size + REDIS_PIECE - 1) / REDIS_PIECE;
}

/* ---- scripts ---- */

void redis_queue_append(sa_redis_queue *q, const char *script, size_t arguments)
{
    redis_request *r = &q->request;
    redis_request_begin(r, 3 + REDIS_KEYS + 2 + arguments);
    redis_request_text(r, "EVAL");
    redis_request_text(r, script);
    redis_request_number(r, REDIS_KEYS);
    for (int key = 0; key < REDIS_KEYS; key++) {
        redis_request_text(r, q->keys[key]);
    }
    redis_request_text(r, q->fingerprint);
    redis_request_text(r, q->me);
}

void redis_queue_begin(sa_redis_queue *q, const char *script, size_t arguments)
{
    redis_request_clear(&q->request);
    redis_queue_append(q, script, arguments);
}

sa_status redis_queue_judge(sa_redis_queue *q, const redisReply *reply, redis_verdict *verdict, sa_error *err)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) {
        return redis_queue_odd(q, err);
    }
    const redisReply *word = reply->element[0];
    const char *place = redis_link_place(q->link);
    if (redis_reply_is(word, "other")) {
        return sa_fail(err, SA_BAD_USAGE, place,
                       "give the coordinator's input, agent and options, or the run another name",
                       "a run of this name is there, and computes something else");
    } else if (redis_reply_is(word, "taken")) {
        return sa_fail(err, SA_BAD_USAGE, place, "one coordinator alone can lead a run",
                       "another coordinator leads this run by now");
    } else if (redis_reply_is(word, "ok")) {
        *verdict = REDIS_OK_VERDICT;
    } else if (redis_reply_is(word, "absent")) {
        *verdict = REDIS_ABSENT;
    } else if (redis_reply_is(word, "finished")) {
        *verdict = REDIS_FINISHED;
    } else {
        return redis_queue_odd(q, err);
    }
    if (*verdict != REDIS_ABSENT) {
        q->absent_since = 0.0;
    }
    return SA_OK;
}

sa_status redis_queue_ask(sa_redis_queue *q, redisReply **reply, redis_verdict *verdict, sa_error *err)
{
    SA_ASSERT(q->request.failed || q->request.commands == 1);
    SA_TRY(redis_link_ask(q->link, &q->request, reply, err));
    sa_status status = redis_queue_judge(q, *reply, verdict, err);
    if (status != SA_OK) {
        redis_link_free(reply, 1);
    }
    return status;
}

sa_status redis_queue_tell(sa_redis_queue *q, redis_verdict *verdict, sa_error *err)
{
    redisReply *reply;
    SA_TRY(redis_queue_ask(q, &reply, verdict, err));
    redis_link_free(&reply, 1);
    return SA_OK;
}

/* ---- waiting ---- */

sa_status redis_queue_wait(sa_redis_queue *q, redis_key stream, const char *id, int ms, sa_error *err)
{
    redisReply *reply;
    redis_request *r = &q->request;
    redis_request_clear(r);
    redis_request_begin(r, 8);
    redis_request_text(r, "XREAD");
    redis_request_text(r, "COUNT");
    redis_request_number(r, 1);
    redis_request_text(r, "BLOCK");
    redis_request_number(r, (uint64_t)ms);
    redis_request_text(r, "STREAMS");
    redis_request_text(r, q->keys[stream]);
    redis_request_text(r, id);
    r->wait_ms = ms;
    SA_TRY(redis_link_ask(q->link, r, &reply, err));
    bool good = reply->type == REDIS_REPLY_NIL || reply->type == REDIS_REPLY_ARRAY;
    redis_link_free(&reply, 1);
    return good ? SA_OK : redis_queue_odd(q, err);
}

sa_status redis_queue_wait_for_run(sa_redis_queue *q, int ms, sa_error *err)
{
    double now = sa_clock_seconds();
    if (q->absent_since == 0.0) {
        q->absent_since = now;
    }
    if (1e3 * (now - q->absent_since) >= redis_link_patience(q->link)) {
        return sa_fail(err, SA_IO, redis_link_place(q->link), "start the coordinator, or check the name",
                       "there is no run of this name; gave up after %.0f s", now - q->absent_since);
    }
    return redis_link_sleep(q->link, ms, err);
}

/* ---- opening ---- */

static sa_status name_keys(sa_redis_queue *q, const sa_redis_url *url, const char *name, sa_error *err)
{
    static const char *const last[REDIS_KEYS] = {"tasks", "marks", "rows", "done", "run"};
    uint64_t chance[2];
    for (int key = 0; key < REDIS_KEYS; key++) {
        snprintf(q->keys[key], REDIS_KEY, "segagent:%s:%s", url->name, last[key]);
    }
    if (getrandom(chance, sizeof chance, 0) != sizeof chance) {
        return sa_fail_errno(err, url->place, "no random numbers");
    }
    snprintf(q->me, sizeof q->me, "%.*s-%016" PRIx64 "%016" PRIx64, MOST_NAME, name, chance[0], chance[1]);
    return SA_OK;
}

/* The first words with the server. */
static sa_status introduce(sa_redis_queue *q, sa_redis_role role, sa_error *err)
{
    redis_verdict verdict;
    redis_queue_begin(q, role == SA_REDIS_COORDINATOR ? redis_script_lead : redis_script_look, 0);
    SA_TRY(redis_queue_tell(q, &verdict, err));
    q->known = redis_link_connections(q->link);
    return SA_OK;
}

static sa_status open_queue(sa_redis_queue *q, const sa_redis_queue_options *options, sa_error *err)
{
    sa_redis_url url;
    SA_TRY(sa_redis_url_parse(&url, options->url, err));
    const redis_link_options link = {.patience_ms = options->patience_ms >= 0 ? options->patience_ms
                                                                              : DEFAULT_PATIENCE_MS,
                                     .stop = options->stop,
                                     .context = options->stop_context,
                                     .log = options->log};
    q->rows = options->rows;
    q->idle_ms = options->idle_ms > 0 ? options->idle_ms : DEFAULT_IDLE_MS;
    snprintf(q->fingerprint, sizeof q->fingerprint, "%s", options->fingerprint);
    snprintf(q->cursor, sizeof q->cursor, "0-0");
    sa_status status = name_keys(q, &url, options->name, err);
    if (status == SA_OK) {
        status = redis_link_open(&q->link, &url, &link, err);
    }
    explicit_bzero(&url, sizeof url);
    return status == SA_OK ? introduce(q, options->role, err) : status;
}

sa_status sa_redis_queue_open(sa_redis_queue **queue, const sa_redis_queue_options *options, sa_error *err)
{
    size_t length = strlen(options->fingerprint);
    SA_ASSERT(length > 0 && length <= REDIS_FINGERPRINT && options->rows <= MOST_INPUT);
    *queue = NULL;
    sa_redis_queue *q = calloc(1, sizeof *q);
    if (q == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "free some memory", "no memory for a queue");
    }
    sa_status status = open_queue(q, options, err);
    if (status != SA_OK) {
        sa_redis_queue_close(q);
        return status;
    }
    *queue = q;
    return SA_OK;
}

void sa_redis_queue_close(sa_redis_queue *queue)
{
    if (queue != NULL) {
        redis_link_close(queue->link);
        redis_request_free(&queue->request);
        redis_held_free(&queue->taken);
        redis_held_free(&queue->collected);
        free(queue);
    }
}

const char *sa_redis_queue_place(const sa_redis_queue *queue)
{
    return redis_link_place(queue->link);
}
