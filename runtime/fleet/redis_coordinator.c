/* The coordinator's calls of the queue: offer, collect, forget, finish. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/sizes.h"
#include "runtime/fleet/redis_parts.h"
#include "runtime/fleet/redis_scripts.h"

enum {
    BATCH = 5000,         /* tasks scanned or offered by one script: some 10 ms of the server's time */
    FORGET = 1000,        /* rows of one script */
    WINDOW = REDIS_PIECE, /* bytes of lines in one answer */
    LINES = 64,           /* lines in one answer */
    SLACK = 1 << 16,      /* bytes of an answer beside lines */
    KEPT_SECONDS = 86400, /* a finished run is known to consumers that come late */
};

/* ---- offering ---- */

/* A bit for each row. */
static bool is_in(const unsigned char *set, size_t row)
{
    return (set[row / 8] >> (row % 8) & 1) != 0;
}

/* Tasks behind the id go into the set, and *last becomes the id of the newest; *more: there may be others. */
static sa_status scan_some(sa_redis_queue *q, char last[REDIS_ID], unsigned char *set, bool *more,
                           redis_verdict *verdict, sa_error *err)
{
    redisReply *reply;
    uint64_t row;
    redis_queue_begin(q, redis_script_scan, 2);
    redis_request_text(&q->request, last);
    redis_request_number(&q->request, BATCH);
    SA_TRY(redis_queue_ask(q, &reply, verdict, err));
    bool good = true;
    for (size_t i = 1; good && i < reply->elements; i++) {
        good = redis_reply_id(reply->element[i], last, &row) && row < q->rows;
        if (good) {
            set[row / 8] |= (unsigned char)(1 << (row % 8));
        }
    }
    *more = reply->elements > BATCH;
    redis_link_free(&reply, 1);
    return good ? SA_OK : redis_queue_odd(q, err);
}

/* The rows that stand in tasks. */
static sa_status scan_tasks(sa_redis_queue *q, unsigned char *set, redis_verdict *verdict, sa_error *err)
{
    char last[REDIS_ID] = "0-0";
    bool more = true;
    *verdict = REDIS_OK_VERDICT;
    while (more && *verdict == REDIS_OK_VERDICT) {
        SA_TRY(scan_some(q, last, set, &more, verdict, err));
    }
    return SA_OK;
}

/* Up to a batch of rows that are not done, from *row on. */
static sa_status offer_some(sa_redis_queue *q, const unsigned char *set, size_t *row, redis_verdict *verdict,
                            sa_error *err)
{
    char name[32];
    size_t count = 0, end = *row;
    for (; end < q->rows && count < BATCH; end++) {
        count += !q->is_done(q->context, end);
    }
    if (count == 0) {
        *row = end;
        return SA_OK;
    }
    redis_queue_begin(q, redis_script_offer, count);
    for (; *row < end && count > 0; ++*row) {
        if (!q->is_done(q->context, *row)) {
            snprintf(name, sizeof name, "%s%zu", is_in(set, *row) ? "-" : "", *row);
            redis_request_text(&q->request, name);
            count--;
        }
    }
    *row = end;
    SA_ASSERT(count == 0); /* is_done says the same twice */
    return redis_queue_tell(q, verdict, err);
}

/* All of it, unless the run goes or the connection breaks meanwhile. */
static sa_status offer_all(sa_redis_queue *q, unsigned char *set, redis_verdict *verdict, sa_error *err)
{
    unsigned long connection = redis_link_connections(q->link);
    memset(set, 0, q->rows / 8 + 1);
    SA_TRY(scan_tasks(q, set, verdict, err));
    for (size_t row = 0; row < q->rows && *verdict == REDIS_OK_VERDICT;) {
        SA_TRY(offer_some(q, set, &row, verdict, err));
    }
    bool whole = *verdict == REDIS_OK_VERDICT && connection == redis_link_connections(q->link);
    q->offered = whole ? connection : 0;
    return SA_OK;
}

static sa_status offer(sa_redis_queue *q, sa_error *err)
{
    unsigned char *set = malloc(q->rows / 8 + 1);
    if (set == NULL) {
        return redis_queue_no_memory(q, err);
    }
    sa_status status = SA_OK;
    redis_verdict verdict = REDIS_OK_VERDICT;
    for (q->offered = 0; status == SA_OK && q->offered == 0;) {
        status = offer_all(q, set, &verdict, err);
        if (status == SA_OK && verdict == REDIS_ABSENT) {
            redis_queue_begin(q, redis_script_lead, 0);
            status = redis_queue_tell(q, &verdict, err);
        }
    }
    free(set);
    snprintf(q->cursor, sizeof q->cursor, "0-0"); /* its ids may have begun anew */
    return status;
}

sa_status sa_redis_queue_offer(sa_redis_queue *queue, bool (*is_done)(void *context, size_t row),
                               void *context, sa_error *err)
{
    queue->is_done = is_done;
    queue->context = context;
    return offer(queue, err);
}

/* ---- forgetting ---- */

static sa_status forget(sa_redis_queue *q, const size_t *rows, size_t count, sa_error *err)
{
    redis_verdict verdict;
    const redis_held_row *held;
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        known += redis_held_find(&q->collected, rows[i]) != NULL;
    }
    if (known == 0) {
        return SA_OK;
    }
    redis_queue_begin(q, redis_script_forget, 3 * known);
    for (size_t i = 0; i < count; i++) {
        if ((held = redis_held_find(&q->collected, rows[i])) != NULL) {
            redis_request_text(&q->request, held->id);
            redis_request_number(&q->request, rows[i]);
            redis_request_number(&q->request, redis_pieces((size_t)held->size));
        }
    }
    SA_TRY(redis_queue_tell(q, &verdict, err));
    for (size_t i = 0; i < count; i++) {
        redis_held_drop(&q->collected, rows[i]);
    }
    return SA_OK;
}

sa_status sa_redis_queue_forget(sa_redis_queue *queue, const size_t *rows, size_t count, sa_error *err)
{
    for (size_t at = 0; at < count; at += FORGET) {
        SA_TRY(forget(queue, rows + at, sa_least(count - at, FORGET), err));
    }
    return SA_OK;
}

/* ---- collecting ---- */

/* An entry of done. */
typedef struct {
    redis_held_row row;
    char mark[REDIS_MARK];
} done_row;

typedef struct {
    sa_redis_collector *collect;
    void *context;
    size_t count; /* lines that it was given */
} receiver;

static bool read_mark(const redisReply *reply, char mark[REDIS_MARK])
{
    if (reply->type != REDIS_REPLY_STRING || reply->len != REDIS_MARK - 1 ||
        (reply->str[0] != 'R' && reply->str[0] != 'Q')) {
        return false;
    }
    memcpy(mark, reply->str, REDIS_MARK);
    return true;
}

/* Id, row, mark and size. */
static bool read_done(const sa_redis_queue *q, redisReply *const *at, done_row *done)
{
    uint64_t row, size;
    *done = (done_row){0};
    if (q->rows == 0 || !redis_reply_id(at[0], done->row.id, NULL) ||
        !redis_reply_number(at[1], q->rows - 1, &row) || !read_mark(at[2], done->mark) ||
        !redis_reply_number(at[3], SA_REDIS_MOST_LINE, &size) || size == 0) {
        return false;
    }
    done->row.row = (size_t)row;
    done->row.size = size;
    return true;
}

static void ask_piece(sa_redis_queue *q, const done_row *done, size_t piece)
{
    char name[64];
    snprintf(name, sizeof name, "%zu:%zu", done->row.row, piece);
    redis_request_begin(&q->request, 3);
    redis_request_text(&q->request, "HGET");
    redis_request_text(&q->request, q->keys[REDIS_ROWS]);
    redis_request_text(&q->request, name);
}

/* A whole line to its receiver. */
static sa_status deliver(sa_redis_queue *q, const done_row *done, const char *bytes, receiver *to,
                         sa_error *err)
{
    char mark[REDIS_MARK];
    const sa_redis_line line = {
        .row = done->row.row, .kind = done->mark[0], .line = bytes, .size = (size_t)done->row.size};
    SA_TRY(redis_mark(mark, line.kind, line.line, line.size, err));
    if (strcmp(mark, done->mark) != 0) {
        return sa_fail(err, SA_BAD_INPUT, redis_link_place(q->link),
                       "look for what else writes the keys of the run, then remove them",
                       "the bytes of row %zu are not those that were put", line.row);
    }
    if (!redis_held_put(&q->collected, &done->row)) {
        return redis_queue_no_memory(q, err);
    }
    SA_TRY(to->collect(to->context, &line, err));
    memcpy(q->cursor, done->row.id, sizeof q->cursor);
    to->count++;
    return SA_OK;
}

/* Its line is gone, and nobody forgot it: if it is not done, it is offered again. */
static sa_status drop_hollow(sa_redis_queue *q, const done_row *done, sa_error *err)
{
    if (!redis_held_put(&q->collected, &done->row)) {
        return redis_queue_no_memory(q, err);
    }
    SA_TRY(forget(q, &done->row.row, 1, err));
    memcpy(q->cursor, done->row.id, sizeof q->cursor);
    if (!q->is_done(q->context, done->row.row)) {
        q->offered = 0;
    }
    return SA_OK;
}

/* Lines of one piece each, a window of them. */
static sa_status collect_short(sa_redis_queue *q, const done_row *done, size_t count, receiver *to,
                               sa_error *err)
{
    redisReply *replies[LINES];
    redis_request_clear(&q->request);
    for (size_t i = 0; i < count; i++) {
        ask_piece(q, &done[i], 0);
    }
    q->request.most_reply = WINDOW + SLACK;
    SA_TRY(redis_link_ask(q->link, &q->request, replies, err));
    sa_status status = SA_OK;
    for (size_t i = 0; status == SA_OK && i < count; i++) {
        if (replies[i]->type == REDIS_REPLY_NIL) {
            status = drop_hollow(q, &done[i], err);
        } else if (replies[i]->type != REDIS_REPLY_STRING || replies[i]->len != done[i].row.size) {
            status = redis_queue_odd(q, err);
        } else {
            status = deliver(q, &done[i], replies[i]->str, to, err);
        }
    }
    redis_link_free(replies, count);
    return status;
}

/* The pieces of a long line into its bytes; *hollow: one is gone. */
static sa_status read_pieces(sa_redis_queue *q, const done_row *done, char *bytes, bool *hollow,
                             sa_error *err)
{
    size_t size = (size_t)done->row.size;
    *hollow = false;
    for (size_t at = 0; at < size && !*hollow; at += REDIS_PIECE) {
        redisReply *reply;
        redis_request_clear(&q->request);
        ask_piece(q, done, at / REDIS_PIECE);
        q->request.most_reply = WINDOW + SLACK;
        SA_TRY(redis_link_ask(q->link, &q->request, &reply, err));
        *hollow = reply->type == REDIS_REPLY_NIL;
        bool good =
            *hollow || (reply->type == REDIS_REPLY_STRING && reply->len == sa_least(size - at, REDIS_PIECE));
        if (good && !*hollow) {
            memcpy(bytes + at, reply->str, reply->len);
        }
        redis_link_free(&reply, 1);
        if (!good) {
            return redis_queue_odd(q, err);
        }
    }
    return SA_OK;
}

static sa_status collect_long(sa_redis_queue *q, const done_row *done, receiver *to, sa_error *err)
{
    bool hollow;
    char *bytes = malloc((size_t)done->row.size);
    if (bytes == NULL) {
        return redis_queue_no_memory(q, err);
    }
    sa_status status = read_pieces(q, done, bytes, &hollow, err);
    if (status == SA_OK) {
        status = hollow ? drop_hollow(q, done, err) : deliver(q, done, bytes, to, err);
    }
    free(bytes);
    return status;
}

/* The entries of an answer, four elements each, window by window. */
static sa_status collect_all(sa_redis_queue *q, const redisReply *reply, receiver *to, sa_error *err)
{
    done_row done[LINES];
    if (reply->elements % 4 != 1) {
        return redis_queue_odd(q, err);
    }
    for (size_t at = 1; at < reply->elements;) {
        size_t count = 0, total = 0;
        while (at < reply->elements && count < LINES) {
            if (!read_done(q, reply->element + at, &done[count])) {
                return redis_queue_odd(q, err);
            }
            if (count > 0 && total + done[count].row.size > WINDOW) {
                break;
            }
            total += (size_t)done[count++].row.size;
            at += 4;
        }
        SA_TRY(total > REDIS_PIECE ? collect_long(q, done, to, err) : collect_short(q, done, count, to, err));
    }
    return SA_OK;
}

/* What is there behind the cursor. */
static sa_status collect_now(sa_redis_queue *q, size_t most, receiver *to, sa_error *err)
{
    redisReply *reply;
    redis_verdict verdict;
    redis_queue_begin(q, redis_script_collect, 2);
    redis_request_text(&q->request, q->cursor);
    redis_request_number(&q->request, most);
    SA_TRY(redis_queue_ask(q, &reply, &verdict, err));
    sa_status status = SA_OK;
    if (verdict == REDIS_ABSENT) {
        q->offered = 0;
    } else if (q->offered == redis_link_connections(q->link)) { /* else the cursor means nothing any more */
        status = collect_all(q, reply, to, err);
    }
    redis_link_free(&reply, 1);
    return status;
}

sa_status sa_redis_queue_collect(sa_redis_queue *queue, size_t most, int wait_ms,
                                 sa_redis_collector *collector, void *context, size_t *count, sa_error *err)
{
    receiver to = {collector, context, 0};
    double end = sa_clock_seconds() + 1e-3 * wait_ms;
    SA_ASSERT(most > 0 && queue->is_done != NULL);
    for (;;) {
        if (queue->offered != redis_link_connections(queue->link)) {
            SA_TRY(offer(queue, err));
        }
        sa_status status = collect_now(queue, sa_least(most, SA_REDIS_MOST_ROWS), &to, err);
        if (count != NULL) {
            *count = to.count;
        }
        int left = (int)(1e3 * (end - sa_clock_seconds()));
        bool again =
            queue->offered != redis_link_connections(queue->link); /* it was no look at this server */
        if (status != SA_OK || to.count > 0 || (left <= 0 && !again) || redis_link_stopped(queue->link)) {
            return status;
        }
        if (!again) {
            left = left > REDIS_SLICE_MS ? REDIS_SLICE_MS : left;
            SA_TRY(redis_queue_wait(queue, REDIS_DONE, queue->cursor, left, err));
        }
    }
}

/* ---- finishing ---- */

sa_status sa_redis_queue_finish(sa_redis_queue *queue, sa_error *err)
{
    redis_verdict verdict;
    redis_queue_begin(queue, redis_script_finish, 1);
    redis_request_number(&queue->request, KEPT_SECONDS);
    return redis_queue_tell(queue, &verdict, err);
}
