/* The consumer's calls of the queue: take, keep, give back, put. */
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/sizes.h"
#include "runtime/fleet/redis_parts.h"
#include "runtime/fleet/redis_scripts.h"

enum {
    MINE = 5000,    /* rows claimed by one handle that are looked at after a lost connection */
    IDS = 1000,     /* ids in one request */
    PUT_LINES = 64, /* lines in one request */
    ABSENT_PAUSE_MS = 200,
};

/* ---- taking ---- */

/* Where taken tasks go. */
typedef struct {
    sa_redis_task *tasks;
    size_t most, count;
    bool full; /* there was one more */
} basket;

/* Tasks of an answer, id and tries by turns from `at` on. Those that we hold already are left out. */
static sa_status read_tasks(sa_redis_queue *q, const redisReply *reply, size_t at, basket *into,
                            sa_error *err)
{
    uint64_t row, tries;
    for (; at + 1 < reply->elements; at += 2) {
        redis_held_row held = {0};
        if (!redis_reply_id(reply->element[at], held.id, &row) ||
            !redis_reply_number(reply->element[at + 1], SIZE_MAX, &tries) || row >= q->rows) {
            return redis_queue_odd(q, err);
        }
        held.row = (size_t)row;
        if (redis_held_find(&q->taken, held.row) != NULL) {
            continue;
        }
        if (into->count == into->most) {
            into->full = true;
            return SA_OK;
        }
        if (!redis_held_put(&q->taken, &held)) {
            return redis_queue_no_memory(q, err);
        }
        into->tasks[into->count++] = (sa_redis_task){held.row, sa_most((size_t)tries, 1)};
    }
    return SA_OK;
}

/* Rows that an answer gave to us which never came. */
static sa_status take_lost(sa_redis_queue *q, basket *into, sa_error *err)
{
    redisReply *reply;
    redis_verdict verdict;
    redis_queue_begin(q, redis_script_mine, 1);
    redis_request_number(&q->request, MINE);
    SA_TRY(redis_queue_ask(q, &reply, &verdict, err));
    unsigned long connection = redis_link_connections(q->link);
    sa_status status = read_tasks(q, reply, 1, into, err);
    redis_link_free(&reply, 1);
    if (status == SA_OK && !into->full) {
        q->known = connection;
    }
    return status;
}

/* What is there; and where in tasks more will come. */
static sa_status take_now(sa_redis_queue *q, basket *into, redis_verdict *verdict, char last[REDIS_ID],
                          sa_error *err)
{
    redisReply *reply;
    redis_queue_begin(q, redis_script_take, 2);
    redis_request_number(&q->request, into->most);
    redis_request_number(&q->request, (uint64_t)q->idle_ms);
    SA_TRY(redis_queue_ask(q, &reply, verdict, err));
    sa_status status = SA_OK;
    if (*verdict == REDIS_OK_VERDICT) {
        bool good = reply->elements >= 2 && redis_reply_id(reply->element[1], last, NULL);
        status = good ? read_tasks(q, reply, 2, into, err) : redis_queue_odd(q, err);
    }
    redis_link_free(&reply, 1);
    return status;
}

sa_status sa_redis_queue_take(sa_redis_queue *queue, size_t most, int wait_ms, sa_redis_task *tasks,
                              size_t *count, bool *finished, sa_error *err)
{
    basket into = {.tasks = tasks, .most = sa_least(most, SA_REDIS_MOST_ROWS)};
    redis_verdict verdict = REDIS_OK_VERDICT;
    char last[REDIS_ID];
    double end = sa_clock_seconds() + 1e-3 * wait_ms;
    SA_ASSERT(most > 0);
    *count = 0;
    *finished = false;
    for (;;) {
        if (queue->known != redis_link_connections(queue->link)) {
            SA_TRY(take_lost(queue, &into, err));
        }
        if (into.count == 0) {
            SA_TRY(take_now(queue, &into, &verdict, last, err));
        }
        int left = (int)(1e3 * (end - sa_clock_seconds()));
        *count = into.count;
        *finished = verdict == REDIS_FINISHED;
        if (*count > 0 || *finished || (left <= 0 && verdict != REDIS_ABSENT) ||
            redis_link_stopped(queue->link)) {
            return SA_OK;
        }
        left = left > REDIS_SLICE_MS ? REDIS_SLICE_MS : left;
        if (verdict == REDIS_ABSENT) {
            SA_TRY(redis_queue_wait_for_run(queue, left, err));
            if (left <= 0) {
                return SA_OK;
            }
        } else {
            SA_TRY(redis_queue_wait(queue, REDIS_TASKS, last, left, err));
        }
    }
}

/* ---- keeping and giving back ---- */

/* A script that takes ids, for those of the rows that we hold; they are dropped if `drop`. */
static sa_status tell_ids(sa_redis_queue *q, const char *script, const size_t *rows, size_t count, bool drop,
                          sa_error *err)
{
    redis_verdict verdict;
    const redis_held_row *held;
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        known += redis_held_find(&q->taken, rows[i]) != NULL;
    }
    if (known == 0) {
        return SA_OK;
    }
    redis_queue_begin(q, script, known);
    for (size_t i = 0; i < count; i++) {
        if ((held = redis_held_find(&q->taken, rows[i])) != NULL) {
            redis_request_text(&q->request, held->id);
        }
    }
    SA_TRY(redis_queue_tell(q, &verdict, err));
    for (size_t i = 0; drop && i < count; i++) {
        redis_held_drop(&q->taken, rows[i]);
    }
    return SA_OK;
}

sa_status sa_redis_queue_keep(sa_redis_queue *queue, const size_t *rows, size_t count, sa_error *err)
{
    for (size_t at = 0; at < count; at += IDS) {
        SA_TRY(tell_ids(queue, redis_script_keep, rows + at, sa_least(count - at, IDS), false, err));
    }
    return SA_OK;
}

sa_status sa_redis_queue_give_back(sa_redis_queue *queue, const size_t *rows, size_t count, sa_error *err)
{
    for (size_t at = 0; at < count; at += IDS) {
        SA_TRY(tell_ids(queue, redis_script_give_back, rows + at, sa_least(count - at, IDS), true, err));
    }
    return SA_OK;
}

/* ---- putting ---- */

/* The script that puts the row; all pieces but the last are there. */
static sa_status append_put(sa_redis_queue *q, const sa_redis_line *line, sa_error *err)
{
    char mark[REDIS_MARK];
    const redis_held_row *held = redis_held_find(&q->taken, line->row);
    size_t last = redis_pieces(line->size) - 1, at = last * REDIS_PIECE;
    SA_TRY(redis_mark(mark, line->kind, line->line, line->size, err));
    redis_queue_append(q, redis_script_put, 6);
    redis_request_number(&q->request, line->row);
    redis_request_text(&q->request, held != NULL ? held->id : "");
    redis_request_text(&q->request, mark);
    redis_request_number(&q->request, line->size);
    redis_request_number(&q->request, last);
    redis_request_put(&q->request, line->line + at, line->size - at);
    return SA_OK;
}

/* How many lines, from the first, go into one request. */
static size_t lines_at_once(const sa_redis_line *lines, size_t count)
{
    size_t total = 0, number = 0;
    while (number < count && number < PUT_LINES && lines[number].size <= REDIS_PIECE - total) {
        total += lines[number++].size;
    }
    return sa_most(number, 1);
}

/* Of one line: it is put, or has to be *again. */
static sa_status judge_put(sa_redis_queue *q, const sa_redis_line *line, const redisReply *reply, bool *again,
                           sa_error *err)
{
    redis_verdict verdict;
    SA_TRY(redis_queue_judge(q, reply, &verdict, err));
    if (verdict == REDIS_ABSENT) {
        *again = true;
        return SA_OK;
    }
    if (verdict == REDIS_OK_VERDICT && reply->elements != 2) {
        return redis_queue_odd(q, err);
    }
    if (verdict == REDIS_OK_VERDICT && redis_reply_is(reply->element[1], "pieces")) {
        *again = true;
        return SA_OK;
    }
    redis_held_drop(&q->taken, line->row);
    if (verdict == REDIS_FINISHED || redis_reply_is(reply->element[1], "new") ||
        redis_reply_is(reply->element[1], "same")) {
        return SA_OK;
    } else if (!redis_reply_is(reply->element[1], "differs")) {
        return redis_queue_odd(q, err);
    }
    return sa_fail(err, SA_BAD_INPUT, redis_link_place(q->link),
                   "use the same program and the same kind of processor or GPU on all machines",
                   "row %zu was put before, with other bytes", line->row);
}

static sa_status put_at_once(sa_redis_queue *q, const sa_redis_line *lines, size_t count, bool *again,
                             sa_error *err)
{
    redisReply *replies[PUT_LINES];
    redis_request_clear(&q->request);
    for (size_t i = 0; i < count; i++) {
        SA_TRY(append_put(q, &lines[i], err));
    }
    SA_TRY(redis_link_ask(q->link, &q->request, replies, err));
    sa_status status = SA_OK;
    for (size_t i = 0; status == SA_OK && i < count; i++) {
        status = judge_put(q, &lines[i], replies[i], again, err);
    }
    redis_link_free(replies, count);
    return status;
}

/* A long line's pieces before its last one. */
static sa_status put_pieces(sa_redis_queue *q, const sa_redis_line *line, bool *again, sa_error *err)
{
    size_t last = redis_pieces(line->size) - 1;
    for (size_t piece = 0; piece < last; piece++) {
        redisReply *reply;
        redis_verdict verdict;
        redis_queue_begin(q, redis_script_piece, 3);
        redis_request_number(&q->request, line->row);
        redis_request_number(&q->request, piece);
        redis_request_put(&q->request, line->line + piece * REDIS_PIECE, REDIS_PIECE);
        SA_TRY(redis_queue_ask(q, &reply, &verdict, err));
        bool go_on =
            verdict == REDIS_OK_VERDICT && reply->elements == 2 && redis_reply_is(reply->element[1], "new");
        redis_link_free(&reply, 1);
        *again = verdict == REDIS_ABSENT;
        if (!go_on) {
            return SA_OK;
        }
    }
    return SA_OK;
}

sa_status sa_redis_queue_put(sa_redis_queue *queue, const sa_redis_line *lines, size_t count, sa_error *err)
{
    for (size_t i = 0; i < count; i++) {
        SA_ASSERT(lines[i].row < queue->rows && lines[i].size > 0);
        SA_ASSERT(lines[i].kind == 'R' || lines[i].kind == 'Q');
        if (lines[i].size > SA_REDIS_MOST_LINE) {
            return sa_fail(err, SA_BAD_INPUT, redis_link_place(queue->link),
                           "take fewer steps, or no --trace", "a row of %zu bytes is too long",
                           lines[i].size);
        }
    }
    for (size_t at = 0; at < count;) {
        size_t number = lines_at_once(lines + at, count - at);
        bool again = false;
        SA_TRY(put_pieces(queue, &lines[at], &again, err));
        if (!again) {
            SA_TRY(put_at_once(queue, lines + at, number, &again, err));
        }
        if (again) {
            SA_TRY(redis_queue_wait_for_run(queue, ABSENT_PAUSE_MS, err));
        } else {
            at += number;
        }
    }
    return SA_OK;
}
