/* The queue with a server that lives: who gets which row, and what comes back. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "tests/fleet/redis_rig.h"

static size_t take(sa_redis_queue *queue, size_t most, int wait_ms, sa_redis_task *tasks)
{
    size_t count;
    bool finished;
    sa_error err = {0};
    must(sa_redis_queue_take(queue, most, wait_ms, tasks, &count, &finished, &err), &err);
    assert_false(finished);
    assert_true(count <= most);
    return count;
}

static void offer(sa_redis_queue *queue, redis_ledger *ledger)
{
    sa_error err = {0};
    must(sa_redis_queue_offer(queue, redis_ledger_is_done, ledger, &err), &err);
}

static void put(sa_redis_queue *queue, size_t row)
{
    sa_error err = {0};
    must(redis_rig_put(queue, row, &err), &err);
}

static void collect(redis_ledger *ledger, sa_redis_queue *queue)
{
    sa_error err = {0};
    must(redis_ledger_collect(ledger, queue, 0, &err), &err);
}

/* Its last words must not be others. */
static void refuse(sa_status got, const sa_error *err, sa_status want, const char *reason)
{
    if (got != want || strstr(err->reason, reason) == NULL) {
        fail_msg("status %d: %s: %s (%s); should be %d: %s", got, err->file, err->reason, err->hint, want,
                 reason);
    }
}

/* ---- a run ---- */

static void test_run(void **state)
{
    enum { ROWS = 700, WORKERS = 3, MOST = 16 };
    const redis_rig *rig = *state;
    redis_rig_need(rig);
    redis_ledger ledger = redis_ledger_new(ROWS);
    sa_redis_queue *lead = redis_rig_open(rig, SA_REDIS_COORDINATOR, ROWS), *workers[WORKERS];
    sa_redis_task tasks[MOST];
    sa_error err = {0};
    size_t next = 0, count;
    bool finished;
    offer(lead, &ledger);
    offer(lead, &ledger);
    assert_int_equal(redis_rig_ask(rig, "XLEN segagent:run:tasks"), ROWS);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = redis_rig_open(rig, SA_REDIS_CONSUMER, ROWS);
    }
    for (size_t turn = 0; next < ROWS; turn++) {
        sa_redis_queue *worker = workers[turn % WORKERS];
        count = take(worker, 1 + turn % MOST, 0, tasks);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(tasks[i].row, next++);
            assert_int_equal(tasks[i].tries, 1);
            put(worker, tasks[i].row);
        }
    }
    assert_int_equal(take(workers[0], MOST, 0, tasks), 0);
    while (ledger.count < ROWS) {
        collect(&ledger, lead);
        assert_true(ledger.news > 0);
        must(redis_ledger_forget(&ledger, lead, &err), &err);
    }
    for (size_t row = 0; row < ROWS; row++) {
        assert_int_equal(ledger.done[row], 1);
    }
    assert_int_equal(redis_rig_ask(rig, "HLEN segagent:run:rows"), 0);
    assert_int_equal(redis_rig_ask(rig, "XLEN segagent:run:done"), 0);
    assert_int_equal(redis_rig_ask(rig, "XLEN segagent:run:tasks"), 0);
    assert_int_equal(redis_rig_ask(rig, "HLEN segagent:run:marks"), ROWS);
    must(sa_redis_queue_finish(lead, &err), &err);
    must(sa_redis_queue_finish(lead, &err), &err);
    for (int i = 0; i < WORKERS; i++) {
        must(sa_redis_queue_take(workers[i], MOST, 60000, tasks, &count, &finished, &err), &err);
        assert_true(finished && count == 0);
        put(workers[i], 5); /* late, and harmless */
        sa_redis_queue_close(workers[i]);
    }
    assert_true(redis_rig_ask(rig, "TTL segagent:run:marks") > 80000);
    assert_true(redis_rig_ask(rig, "TTL segagent:run:run") > 80000);
    sa_redis_queue_close(lead);
    redis_ledger_free(&ledger);
}

/* Lines of several pieces, and many in one call. */
static sa_status compare(void *context, const sa_redis_line *line, sa_error *err)
{
    const sa_redis_line *want = (const sa_redis_line *)context + line->row;
    (void)err;
    assert_int_equal(line->kind, want->kind);
    assert_int_equal(line->size, want->size);
    assert_int_equal(memcmp(line->line, want->line, line->size), 0);
    return SA_OK;
}

static bool none_is_done(void *context, size_t row)
{
    (void)context;
    (void)row;
    return false;
}

static void test_long_lines(void **state)
{
    enum { ROWS = 140, PIECE = 16 << 20 };
    const redis_rig *rig = *state;
    redis_rig_need(rig);
    sa_redis_queue *lead = redis_rig_open(rig, SA_REDIS_COORDINATOR, ROWS);
    sa_redis_line lines[ROWS];
    size_t got = 0, count, rows[ROWS];
    sa_error err = {0};
    char *bytes = malloc((size_t)3 * PIECE);
    for (size_t i = 0; i < (size_t)3 * PIECE; i++) {
        bytes[i] = (char)('a' + (i * 31 + i / PIECE) % 26);
    }
    for (size_t row = 0; row < ROWS; row++) {
        lines[row] = (sa_redis_line){row, 'R', bytes + row, 1 + row};
        rows[row] = row;
    }
    lines[3].size = (size_t)2 * PIECE + 1;
    lines[4].size = (size_t)2 * PIECE;
    lines[5].size = PIECE;
    lines[6].size = PIECE - 1;
    must(sa_redis_queue_offer(lead, none_is_done, NULL, &err), &err);
    must(sa_redis_queue_put(lead, lines, ROWS, &err), &err);
    must(sa_redis_queue_put(lead, lines, ROWS, &err), &err);
    while (got < ROWS) {
        must(sa_redis_queue_collect(lead, 60, 0, compare, lines, &count, &err), &err);
        assert_true(count > 0);
        got += count;
    }
    assert_int_equal(redis_rig_ask(rig, "HLEN segagent:run:rows"), ROWS + 3);
    must(sa_redis_queue_forget(lead, rows, ROWS, &err), &err);
    assert_int_equal(redis_rig_ask(rig, "HLEN segagent:run:rows"), 0);
    lines[3].size--;
    refuse(sa_redis_queue_put(lead, &lines[3], 1, &err), &err, SA_BAD_INPUT, "row 3 was put before");
    lines[3].size = (size_t)SA_REDIS_MOST_LINE + 1;
    refuse(sa_redis_queue_put(lead, &lines[3], 1, &err), &err, SA_BAD_INPUT, "too long");
    sa_redis_queue_close(lead);
    free(bytes);
}

/* ---- whose row it is ---- */

static void test_dead_consumer(void **state)
{
    enum { ROWS = 8 };
    const redis_rig *rig = *state;
    redis_rig_need(rig);
    redis_ledger ledger = redis_ledger_new(ROWS);
    sa_redis_queue *lead = redis_rig_open(rig, SA_REDIS_COORDINATOR, ROWS), *worker = NULL;
    sa_redis_queue_options options = redis_rig_options(rig, SA_REDIS_CONSUMER, ROWS);
    sa_redis_task tasks[ROWS];
    sa_error err = {0};
    options.idle_ms = 50;
    offer(lead, &ledger);
    for (size_t life = 1; life <= 4; life++) {
        must(sa_redis_queue_open(&worker, &options, &err), &err);
        size_t count = 0;
        while (count < 3) { /* those of the dead first */
            count += take(worker, 3 - count, 1000, tasks + count);
        }
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(tasks[i].row, i);
            assert_int_equal(tasks[i].tries, life);
        }
        usleep(100000);
        if (life < 4) {
            sa_redis_queue_close(worker);
        }
    }
    put(lead, 0); /* by one who never took it: nobody gets it again */
    put(worker, 1);
    sa_redis_queue_close(worker);
    must(sa_redis_queue_open(&worker, &options, &err), &err);
    assert_int_equal(take(worker, ROWS, 1000, tasks), 6);
    assert_int_equal(tasks[0].row, 2);
    assert_int_equal(tasks[0].tries, 5);
    assert_int_equal(tasks[1].row, 3);
    assert_int_equal(tasks[1].tries, 1);
    sa_redis_queue_close(worker);
    sa_redis_queue_close(lead);
    redis_ledger_free(&ledger);
}

static void test_keep(void **state)
{
    enum { ROWS = 4, IDLE_MS = 2000 };
    const redis_rig *rig = *state;
    redis_rig_need(rig);
    redis_ledger ledger = redis_ledger_new(ROWS);
    const size_t rows[] = {0, 1, 2, 3};
    sa_redis_queue *lead = redis_rig_open(rig, SA_REDIS_COORDINATOR, ROWS), *slow, *other;
    sa_redis_queue_options options = redis_rig_options(rig, SA_REDIS_CONSUMER, ROWS);
    sa_redis_task tasks[ROWS];
    sa_error err = {0};
    options.idle_ms = IDLE_MS;
    offer(lead, &ledger);
    must(sa_redis_queue_open(&slow, &options, &err), &err);
    must(sa_redis_queue_open(&other, &options, &err), &err);
    assert_int_equal(take(slow, ROWS, 0, tasks), ROWS);
    double begin = sa_clock_seconds();
    while (sa_clock_seconds() < begin + 1.5e-3 * IDLE_MS) {
        must(sa_redis_queue_keep(slow, rows, 3, &err), &err); /* not the last one */
        usleep(50000);
    }
    assert_int_equal(take(other, ROWS, 0, tasks), 1);
    assert_int_equal(tasks[0].row, 3);
    must(sa_redis_queue_keep(slow, rows, ROWS, &err), &err); /* it does not come back */
    assert_int_equal(
        redis_rig_ask(rig, "EVAL %s 0",
                      "return #redis.call('XPENDING', 'segagent:run:tasks', 'workers', '-', '+', "
                      "10)"),
        ROWS);
    put(other, 3);
    put(slow, 3);
    put(slow, 0);
    sa_redis_queue_close(slow);
    size_t count = 0;
    while (count < 2) {
        count += take(other, ROWS, 1000, tasks + count);
    }
    assert_true(count == 2 && tasks[0].row == 1 && tasks[1].row == 2 && tasks[0].tries == 2);
    sa_redis_queue_close(other);
    sa_redis_queue_close(lead);
    redis_ledger_free(&ledger);
}

static void test_give_back(void **state)
{
    enum { ROWS = 6 };
    const redis_rig *rig = *state;
    redis_rig_need(rig);
    redis_ledger ledger = redis_ledger_new(ROWS);
    const size_t rows[] = {1, 2, 5};
    sa_redis_queue *lead = redis_rig_open(rig, SA_REDIS_COORDINATOR, ROWS);
    sa_redis_queue *one = redis_rig_open(rig, SA_REDIS_CONSUMER, ROWS);
    sa_redis_queue *two = redis_rig_open(rig, SA_REDIS_CONSUMER, ROWS);
    sa_redis_task tasks[ROWS];
    sa_error err = {0};
    offer(lead, &ledger);
    assert_int_equal(take(one, 3, 0, tasks), 3);
    must(sa_redis_queue_give_back(one, rows, 3, &err), &err); /* 5 it never had */
    must(sa_redis_queue_give_back(one, rows, 3, &err), &err);
    assert_int_equal(take(two, 3, 0, tasks), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(tasks[i].row, i + 1); /* 1, 2, then the first new one */
        assert_int_equal(tasks[i].tries, 1);
    }
    must(sa_redis_queue_give_back(two, rows, 1, &err), &err);
    assert_int_equal(take(one, 1, 0, tasks), 1);
    assert_true(tasks[0].row == 1 && tasks[0].tries == 1);
    sa_redis_queue_close(one);
    sa_redis_queue_close(two);
    sa_redis_queue_close(lead);
    redis_ledger_free(&ledger);
}

static void test_twice(void **state)
{
    const redis_rig *rig = *state;
    redis_rig_need(rig);
    redis_ledger ledger = redis_ledger_new(4);
    sa_redis_queue *lead = redis_rig_open(rig, SA_REDIS_COORDINATOR, 4);
    sa_redis_queue *worker = redis_rig_open(rig, SA_REDIS_CONSUMER, 4);
    sa_redis_line other = {.row = 2, .kind = 'R', .line = "{}", .size = 2};
    sa_error err = {0};
    offer(lead, &ledger);
    for (int forgotten = 0; forgotten < 2; forgotten++) {
        put(worker, 2);
        put(lead, 2);
        refuse(sa_redis_queue_put(worker, &other, 1, &err), &err, SA_BAD_INPUT, "row 2 was put before");
        collect(&ledger, lead);
        assert_int_equal(ledger.news, !forgotten);
        must(sa_redis_queue_forget(lead, (size_t[]){2, 3}, 2, &err), &err);
    }
    sa_redis_queue_close(worker);
    sa_redis_queue_close(lead);
    redis_ledger_free(&ledger);
}

/* ---- coordinators ---- */

static void test_coordinator_restarts(void **state)
{
    enum { ROWS = 30 };
    const redis_rig *rig = *state;
    redis_rig_need(rig);
    redis_ledger ledger = redis_ledger_new(ROWS), lost = redis_ledger_new(ROWS);
    sa_redis_queue *old = redis_rig_open(rig, SA_REDIS_COORDINATOR, ROWS);
    sa_redis_queue *worker = redis_rig_open(rig, SA_REDIS_CONSUMER, ROWS);
    sa_redis_task tasks[ROWS];
    sa_error err = {0};
    offer(old, &ledger);
    assert_int_equal(take(worker, 12, 0, tasks), 12);
    for (size_t row = 0; row < 10; row++) {
        put(worker, row);
    }
    collect(&ledger, old);
    assert_int_equal(ledger.news, 10);
    must(sa_redis_queue_forget(old, ledger.newest, 4, &err), &err);
    sa_redis_queue *lead = redis_rig_open(rig, SA_REDIS_COORDINATOR, ROWS);
    refuse(redis_ledger_collect(&ledger, old, 0, &err), &err, SA_BAD_USAGE, "another coordinator leads");
    refuse(sa_redis_queue_finish(old, &err), &err, SA_BAD_USAGE, "another coordinator leads");
    refuse(sa_redis_queue_offer(old, redis_ledger_is_done, &ledger, &err), &err, SA_BAD_USAGE,
           "another coordinator leads");
    sa_redis_queue_close(old);
    offer(lead, &ledger);
    assert_int_equal(redis_rig_ask(rig, "XLEN segagent:run:tasks"), 20);
    collect(&ledger, lead);
    assert_int_equal(ledger.news, 6); /* those that were not forgotten, once more */
    offer(lead, &lost);               /* the output is gone: so are the four that were forgotten */
    assert_int_equal(redis_rig_ask(rig, "XLEN segagent:run:tasks"), 24);
    while (lost.count < ROWS) {
        size_t count = take(worker, ROWS, 0, tasks);
        for (size_t i = 0; i < count; i++) {
            put(worker, tasks[i].row);
        }
        put(worker, 10);
        put(worker, 11);
        collect(&lost, lead);
        assert_true(lost.news > 0);
    }
    must(sa_redis_queue_finish(lead, &err), &err);
    sa_redis_queue_close(worker);
    sa_redis_queue_close(lead);
    redis_ledger_free(&ledger);
    redis_ledger_free(&lost);
}

static void test_fingerprints(void **state)
{
    const redis_rig *rig = *state;
    redis_rig_need(rig);
    sa_redis_queue *lead = redis_rig_open(rig, SA_REDIS_COORDINATOR, 3), *other;
    sa_error err = {0};
    for (int role = 0; role < 2; role++) {
        sa_redis_queue_options options = redis_rig_options(rig, (sa_redis_role)role, 3);
        options.fingerprint = "g";
        refuse(sa_redis_queue_open(&other, &options, &err), &err, SA_BAD_USAGE, "computes something else");
        assert_null(other);
    }
    sa_redis_queue_close(lead);
}

static bool at_once(void *context)
{
    return *(bool *)context;
}

static void test_no_run(void **state)
{
    const redis_rig *rig = *state;
    redis_rig_need(rig);
    sa_redis_queue_options options = redis_rig_options(rig, SA_REDIS_CONSUMER, 3);
    sa_redis_queue *worker, *lead;
    sa_redis_task tasks[3];
    sa_error err = {0};
    size_t count;
    bool finished, stop = false;
    redis_ledger ledger = redis_ledger_new(3);
    options.patience_ms = 300;
    options.stop = at_once;
    options.stop_context = &stop;
    must(sa_redis_queue_open(&worker, &options, &err), &err); /* before its coordinator */
    assert_int_equal(take(worker, 3, 0, tasks), 0);
    lead = redis_rig_open(rig, SA_REDIS_COORDINATOR, 3);
    assert_int_equal(take(worker, 3, 100, tasks), 0);
    offer(lead, &ledger);
    assert_int_equal(take(worker, 3, 0, tasks), 3);
    redis_rig_ask(rig, "FLUSHALL");
    refuse(sa_redis_queue_take(worker, 3, 60000, tasks, &count, &finished, &err), &err, SA_IO,
           "there is no run of this name");
    refuse(redis_rig_put(worker, 1, &err), &err, SA_IO, "there is no run of this name");
    stop = true;
    assert_int_equal(take(worker, 3, 60000, tasks), 0);
    sa_redis_queue_close(lead);
    sa_redis_queue_close(worker);
    redis_ledger_free(&ledger);
}

/* ---- large inputs ---- */

static void test_many_rows(void **state)
{
    enum { MOST = 1000 };
    const char *more = getenv("SEGAGENT_TEST_STEPS");
    const size_t rows = more != NULL ? strtoull(more, NULL, 10) : 100000;
    const redis_rig *rig = *state;
    redis_rig_need(rig);
    redis_ledger ledger = redis_ledger_new(rows);
    ledger.done[rows / 2] = 1;
    sa_redis_queue *lead = redis_rig_open(rig, SA_REDIS_COORDINATOR, rows);
    sa_redis_task *tasks = malloc(MOST * sizeof *tasks);
    double begin = sa_clock_seconds();
    offer(lead, &ledger);
    double first = sa_clock_seconds();
    offer(lead, &ledger);
    print_message("%zu rows offered in %.2f s, seen to be there in %.2f s\n", rows, first - begin,
                  sa_clock_seconds() - first);
    assert_int_equal(redis_rig_ask(rig, "XLEN segagent:run:tasks"), rows - 1);
    size_t next = 0;
    begin = sa_clock_seconds();
    while (next < rows) {
        size_t count = take(lead, MOST, 0, tasks);
        assert_true(count > 0);
        for (size_t i = 0; i < count; i++) {
            next += next == rows / 2; /* was done */
            assert_int_equal(tasks[i].row, next++);
        }
    }
    print_message("and taken in %.2f s\n", sa_clock_seconds() - begin);
    free(tasks);
    sa_redis_queue_close(lead);
    redis_ledger_free(&ledger);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, redis_rig_make, redis_rig_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_run),
        WITH_SERVER(test_long_lines),
        WITH_SERVER(test_dead_consumer),
        WITH_SERVER(test_keep),
        WITH_SERVER(test_give_back),
        WITH_SERVER(test_twice),
        WITH_SERVER(test_coordinator_restarts),
        WITH_SERVER(test_fingerprints),
        WITH_SERVER(test_no_run),
        WITH_SERVER(test_many_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
