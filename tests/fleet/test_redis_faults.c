/* The queue while servers, consumers and coordinators die: nothing is lost, and nothing is put twice. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/philox.h"
#include "tests/fleet/redis_rig.h"

static uint32_t chance(uint64_t seed, uint64_t index)
{
    return sa_philox_block(seed, index, 0).word[0];
}

/* ---- a server that dies again and again ---- */

/* Shared with the process that kills. */
typedef struct {
    _Atomic int kills;
    pid_t process;
} killer;

/* `kills` times; then the server stays. From here on that process is the server's parent. */
static killer *start_killer(redis_rig *rig, uint64_t seed, int kills, unsigned most_us)
{
    redis_rig_kill(rig);
    killer *k = mmap(NULL, sizeof *k, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(k != MAP_FAILED);
    pid_t process = fork();
    assert_true(process >= 0);
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        setenv("CMOCKA_TEST_ABORT", "1", 1);
        redis_rig_start(rig);
        for (int i = 0; i < kills; i++) {
            usleep(5000 + chance(seed, 2 * (uint64_t)i) % most_us);
            redis_rig_kill(rig);
            atomic_fetch_add(&k->kills, 1);
            usleep(chance(seed, 2 * (uint64_t)i + 1) % 20000);
            redis_rig_start(rig);
        }
        for (;;) {
            pause();
        }
    }
    k->process = process;
    return k;
}

/* The last server dies with the killer, which is its parent. */
static void stop_killer(redis_rig *rig, killer *k)
{
    kill(k->process, SIGKILL);
    assert_int_equal(waitpid(k->process, NULL, 0), k->process);
    munmap(k, sizeof *k);
    usleep(100000);
    rig->server = 0;
}

/* ---- every kind of call, with a server that dies meanwhile ---- */

enum { CALL_ROWS = 20000, CALL_KILLS = 3 };

typedef enum { OPEN, OFFER, TAKE, KEEP, PUT, COLLECT, FINISH, CALLS } call;

typedef struct {
    redis_rig *rig;
    sa_redis_queue *lead, *worker;
    redis_ledger ledger;
    size_t held[64], count, next;
} stage;

/* Takes some, none of them twice. */
static void take_some(stage *s, size_t most)
{
    sa_redis_task tasks[64];
    size_t count;
    bool finished;
    sa_error err = {0};
    must(sa_redis_queue_take(s->worker, most, 1000, tasks, &count, &finished, &err), &err);
    assert_false(finished);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < s->count; j++) {
            assert_int_not_equal(s->held[j], tasks[i].row);
        }
        assert_true(s->count < 64);
        s->held[s->count++] = tasks[i].row;
    }
}

static void do_call(stage *s, call which)
{
    sa_error err = {0};
    switch (which) {
    case OPEN:
        sa_redis_queue_close(s->worker);
        s->worker = redis_rig_open(s->rig, SA_REDIS_CONSUMER, CALL_ROWS);
        s->count = 0;
        break;
    case OFFER: must(sa_redis_queue_offer(s->lead, redis_ledger_is_done, &s->ledger, &err), &err); break;
    case TAKE:
        take_some(s, 8);
        must(sa_redis_queue_give_back(s->worker, s->held, s->count, &err), &err);
        s->count = 0;
        break;
    case KEEP:
        if (s->count == 0) {
            take_some(s, 20);
        }
        must(sa_redis_queue_keep(s->worker, s->held, s->count, &err), &err);
        break;
    case PUT:
        if (s->count == 0) {
            take_some(s, 20);
        }
        if (s->count > 0) {
            must(redis_rig_put(s->worker, s->held[--s->count], &err), &err);
        }
        break;
    case COLLECT:
        if (s->next < CALL_ROWS) {
            must(redis_rig_put(s->lead, s->next++, &err), &err);
        }
        must(redis_ledger_collect(&s->ledger, s->lead, 0, &err), &err);
        must(redis_ledger_forget(&s->ledger, s->lead, &err), &err);
        break;
    case FINISH: must(sa_redis_queue_finish(s->lead, &err), &err); break;
    case CALLS: break;
    }
}

static void test_calls(void **state)
{
    redis_rig *rig = *state;
    redis_rig_need(rig);
    stage s = {.rig = rig, .ledger = redis_ledger_new(CALL_ROWS)};
    s.lead = redis_rig_open(rig, SA_REDIS_COORDINATOR, CALL_ROWS);
    s.worker = redis_rig_open(rig, SA_REDIS_CONSUMER, CALL_ROWS);
    do_call(&s, OFFER);
    for (call which = OPEN; which < CALLS; which++) {
        killer *k = start_killer(rig, which, CALL_KILLS, 400000);
        size_t calls = 0;
        double begin = sa_clock_seconds();
        for (; atomic_load(&k->kills) < CALL_KILLS; calls++) {
            do_call(&s, which);
        }
        do_call(&s, which); /* with the server that stays */
        print_message("call %d: %zu times over %d kills in %.1f s\n", (int)which, calls, CALL_KILLS,
                      sa_clock_seconds() - begin);
        stop_killer(rig, k);
        redis_rig_start(rig);
        if (which == PUT) {
            do_call(&s, OPEN);
        }
    }
    sa_redis_queue_close(s.worker);
    sa_redis_queue_close(s.lead);
    redis_ledger_free(&s.ledger);
}

/* ---- a whole run ---- */

enum { MOST_WORKERS = 4, WORK_MOST = 8 };

typedef struct {
    size_t rows;
    int workers, server_kills, worker_kills, restarts;
    unsigned most_us; /* between two kills of the server */
    uint64_t seed;
} plan;

static void give_up(const sa_error *err)
{
    char text[2048];
    fprintf(stderr, "%s\n", sa_error_format(err, text, sizeof text));
    _exit(1);
}

/* Some of the rows are kept, one batch in five is given back, the rest put. */
static sa_status work_on(sa_redis_queue *q, const sa_redis_task *tasks, size_t count, uint64_t seed,
                         sa_error *err)
{
    size_t rows[WORK_MOST];
    char texts[WORK_MOST][RIG_MOST_LINE];
    sa_redis_line lines[WORK_MOST];
    for (size_t i = 0; i < count; i++) {
        rows[i] = tasks[i].row;
        lines[i] = redis_rig_line(texts[i], rows[i]);
    }
    usleep(chance(seed, 1) % 4000);
    if (chance(seed, 2) % 2 == 0) {
        SA_TRY(sa_redis_queue_keep(q, rows, count, err));
    }
    if (chance(seed, 3) % 5 == 0) {
        return sa_redis_queue_give_back(q, rows, count, err);
    }
    return sa_redis_queue_put(q, lines, count, err);
}

static void work(const redis_rig *rig, const plan *p, uint64_t seed)
{
    sa_redis_queue *q;
    sa_redis_task tasks[WORK_MOST];
    sa_redis_queue_options options = redis_rig_options(rig, SA_REDIS_CONSUMER, p->rows);
    sa_error err = {0};
    size_t count;
    bool finished = false;
    options.idle_ms = 200;
    sa_status status = sa_redis_queue_open(&q, &options, &err);
    for (uint64_t turn = 0; status == SA_OK && !finished; turn++) {
        size_t most = 1 + chance(seed, turn) % WORK_MOST;
        status = sa_redis_queue_take(q, most, 100, tasks, &count, &finished, &err);
        if (status == SA_OK) {
            status = work_on(q, tasks, count, seed * 1000003 + turn, &err);
        }
    }
    if (status != SA_OK) {
        give_up(&err);
    }
    sa_redis_queue_close(q);
    _exit(0);
}

static pid_t start_worker(const redis_rig *rig, const plan *p, uint64_t seed)
{
    pid_t process = fork();
    assert_true(process >= 0);
    if (process == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        work(rig, p, seed);
    }
    return process;
}

/* The coordinator, who kills consumers now and then, and is followed by another. */
static sa_redis_queue *lead_to_end(const redis_rig *rig, const plan *p, redis_ledger *ledger,
                                   pid_t workers[MOST_WORKERS])
{
    sa_redis_queue *lead = redis_rig_open(rig, SA_REDIS_COORDINATOR, p->rows);
    sa_error err = {0};
    int worker_kills = 0, restarts = 0;
    must(sa_redis_queue_offer(lead, redis_ledger_is_done, ledger, &err), &err);
    for (uint64_t turn = 0; ledger->count < p->rows; turn++) {
        uint32_t die = chance(p->seed, 1000 + turn);
        must(redis_ledger_collect(ledger, lead, 20, &err), &err);
        if (die % 4 != 0) {
            must(redis_ledger_forget(ledger, lead, &err), &err);
        }
        if (die >> 8 & 1 && worker_kills < p->worker_kills) {
            int i = (int)(die >> 16) % p->workers;
            kill(workers[i], SIGKILL);
            waitpid(workers[i], NULL, 0);
            workers[i] = start_worker(rig, p, p->seed * 100 + 50 + (uint64_t)worker_kills++);
        }
        if ((die >> 9) % 8 == 0 && restarts < p->restarts) {
            sa_redis_queue_close(lead);
            lead = redis_rig_open(rig, SA_REDIS_COORDINATOR, p->rows);
            must(sa_redis_queue_offer(lead, redis_ledger_is_done, ledger, &err), &err);
            restarts++;
        }
    }
    print_message("%d kills of consumers, %d restarts of the coordinator\n", worker_kills, restarts);
    return lead;
}

static void run_to_end(redis_rig *rig, const plan *p)
{
    pid_t workers[MOST_WORKERS];
    redis_ledger ledger = redis_ledger_new(p->rows);
    sa_error err = {0};
    double begin = sa_clock_seconds();
    killer *k = start_killer(rig, p->seed, p->server_kills, p->most_us);
    for (int i = 0; i < p->workers; i++) {
        workers[i] = start_worker(rig, p, p->seed * 100 + (uint64_t)i);
    }
    sa_redis_queue *lead = lead_to_end(rig, p, &ledger, workers);
    while (atomic_load(&k->kills) < p->server_kills) { /* a finished run must last, too */
        must(redis_ledger_collect(&ledger, lead, 50, &err), &err);
    }
    must(redis_ledger_collect(&ledger, lead, 500, &err), &err);
    if (rig->keeps) { /* everything that was ever added to done */
        assert_int_equal(redis_rig_ask(rig, "EVAL %s 0",
                                       "local i = redis.call('XINFO', 'STREAM', 'segagent:run:done')\n"
                                       "for k = 1, #i, 2 do\n"
                                       "    if i[k] == 'entries-added' then return i[k + 1] end\n"
                                       "end"),
                         p->rows);
        assert_int_equal(redis_rig_ask(rig, "HLEN segagent:run:marks"), p->rows);
    }
    must(sa_redis_queue_finish(lead, &err), &err);
    for (int i = 0; i < p->workers; i++) {
        int code = 0;
        assert_int_equal(waitpid(workers[i], &code, 0), workers[i]);
        assert_int_equal(code, 0);
    }
    print_message("%zu rows in %.1f s\n", p->rows, sa_clock_seconds() - begin);
    sa_redis_queue_close(lead);
    stop_killer(rig, k);
    redis_ledger_free(&ledger);
}

static void test_server_dies(void **state)
{
    redis_rig_need(*state);
    run_to_end(*state, &(plan){.rows = 1500, .workers = 2, .server_kills = 8, .most_us = 200000, .seed = 21});
}

/* The same without data: the coordinator offers again, and finished rows that consumers hold are put. */
static void test_data_is_lost(void **state)
{
    redis_rig_need(*state);
    run_to_end(*state, &(plan){.rows = 1500, .workers = 2, .server_kills = 6, .most_us = 300000, .seed = 22});
}

/* SEGAGENT_TEST_STEPS: rounds. */
static void test_all_die(void **state)
{
    const char *more = getenv("SEGAGENT_TEST_STEPS");
    uint64_t rounds = more != NULL ? strtoull(more, NULL, 10) : 1;
    redis_rig *rig = *state;
    redis_rig_need(rig);
    for (uint64_t round = 0; round < rounds; round++) {
        run_to_end(rig, &(plan){.rows = 2000,
                                .workers = 4,
                                .server_kills = 5,
                                .worker_kills = 12,
                                .restarts = 4,
                                .most_us = 400000,
                                .seed = 23 + round});
        redis_rig_start(rig);
        redis_rig_ask(rig, "FLUSHALL");
    }
}

/* A coordinator that has offered so many rows, and keeps asking the stage's ledger; and one who computes. */
static void set_stage(stage *s, redis_rig *rig, size_t rows)
{
    *s = (stage){.rig = rig, .ledger = redis_ledger_new(rows)};
    s->lead = redis_rig_open(rig, SA_REDIS_COORDINATOR, rows);
    s->worker = redis_rig_open(rig, SA_REDIS_CONSUMER, rows);
    do_call(s, OFFER);
}

/* ---- a server that comes back with what it had a while ago ---- */

static void put_held(stage *s, size_t count)
{
    sa_error err = {0};
    for (; count > 0 && s->count > 0; count--) {
        must(redis_rig_put(s->worker, s->held[--s->count], &err), &err);
    }
}

static void test_older_data(void **state)
{
    enum { ROWS = 60 };
    redis_rig *rig = *state;
    redis_rig_need(rig);
    stage s;
    sa_error err = {0};
    set_stage(&s, rig, ROWS);
    take_some(&s, 20);
    put_held(&s, 8);
    must(redis_ledger_collect(&s.ledger, s.lead, 0, &err), &err); /* not forgotten */
    redis_rig_kill(rig);
    assert_int_equal(redis_rig_run(rig, (const char *const[]){"cp", "-r", "appendonlydir", "older", NULL}),
                     0);
    redis_rig_start(rig);
    put_held(&s, 6);
    take_some(&s, 10);
    must(redis_ledger_collect(&s.ledger, s.lead, 0, &err), &err);
    must(redis_ledger_forget(&s.ledger, s.lead, &err), &err);
    assert_int_equal(s.ledger.count, 14);
    redis_rig_kill(rig);
    assert_int_equal(redis_rig_run(rig, (const char *const[]){"mv", "appendonlydir", "newer", NULL}), 0);
    assert_int_equal(redis_rig_run(rig, (const char *const[]){"mv", "older", "appendonlydir", NULL}), 0);
    redis_rig_start(rig);
    for (int turn = 0; turn < 100 && s.ledger.count < ROWS; turn++) {
        put_held(&s, 64);
        take_some(&s, 7);
        must(redis_ledger_collect(&s.ledger, s.lead, 0, &err), &err);
        must(redis_ledger_forget(&s.ledger, s.lead, &err), &err);
    }
    put_held(&s, 64);
    take_some(&s, 7);
    put_held(&s, 64);
    assert_int_equal(s.ledger.count, ROWS);
    for (int turn = 0; turn < 4; turn++) {
        must(redis_ledger_collect(&s.ledger, s.lead, 0, &err), &err);
        must(redis_ledger_forget(&s.ledger, s.lead, &err), &err);
    }
    assert_int_equal(redis_rig_ask(rig, "XLEN segagent:run:tasks"), 0);
    assert_int_equal(redis_rig_ask(rig, "XLEN segagent:run:done"), 0);
    assert_int_equal(redis_rig_ask(rig, "HLEN segagent:run:rows"), 0);
    assert_int_equal(redis_rig_ask(rig, "HLEN segagent:run:marks"), ROWS);
    sa_redis_queue_close(s.worker);
    sa_redis_queue_close(s.lead);
    redis_ledger_free(&s.ledger);
}

/* ---- lines that go from the server, and nothing else ---- */

static void test_lines_are_lost(void **state)
{
    enum { ROWS = 10 };
    redis_rig *rig = *state;
    redis_rig_need(rig);
    stage s;
    sa_error err = {0};
    set_stage(&s, rig, ROWS);
    take_some(&s, ROWS);
    put_held(&s, ROWS);
    redis_rig_ask(rig, "HDEL segagent:run:rows 3:0 4:0");
    must(redis_ledger_collect(&s.ledger, s.lead, 0, &err), &err);
    assert_int_equal(s.ledger.count, ROWS - 2);
    must(redis_ledger_collect(&s.ledger, s.lead, 0, &err), &err); /* offers them again */
    take_some(&s, ROWS);
    assert_int_equal(s.count, 2);
    put_held(&s, ROWS);
    must(redis_ledger_collect(&s.ledger, s.lead, 0, &err), &err);
    assert_int_equal(s.ledger.count, ROWS);
    sa_redis_queue_close(s.worker);
    sa_redis_queue_close(s.lead);
    redis_ledger_free(&s.ledger);
}

/* ---- patience ---- */

static bool is_set(void *context)
{
    return *(bool *)context;
}

static void test_patience(void **state)
{
    redis_rig *rig = *state;
    redis_rig_need(rig);
    sa_redis_queue *q, *other;
    sa_redis_task task;
    sa_error err = {0};
    char *said = NULL;
    size_t size = 0, count;
    bool stop = false, finished;
    FILE *stream = open_memstream(&said, &size);
    sa_log log = sa_log_on(stream, SA_LOG_INFO);
    sa_redis_queue_options options = redis_rig_options(rig, SA_REDIS_COORDINATOR, 3);
    options.patience_ms = 1000;
    options.stop = is_set;
    options.stop_context = &stop;
    options.log = &log;
    must(sa_redis_queue_open(&q, &options, &err), &err);
    kill(rig->server, SIGSTOP); /* it lives, and says nothing */
    assert_int_equal(sa_redis_queue_take(q, 1, 0, &task, &count, &finished, &err), SA_IO);
    assert_non_null(strstr(err.reason, "does not answer; gave up after"));
    kill(rig->server, SIGCONT);
    must(sa_redis_queue_take(q, 1, 0, &task, &count, &finished, &err), &err);
    assert_int_equal(count, 0);
    redis_rig_kill(rig);
    assert_int_equal(sa_redis_queue_take(q, 1, 0, &task, &count, &finished, &err), SA_IO);
    assert_non_null(strstr(err.reason, "gave up after 1 s"));
    assert_string_equal(err.hint, "start redis-server, and give the same command again");
    assert_int_equal(sa_redis_queue_open(&other, &options, &err), SA_IO);
    stop = true;
    assert_int_equal(sa_redis_queue_take(q, 1, 0, &task, &count, &finished, &err), SA_INTERRUPTED);
    assert_int_equal(sa_redis_queue_open(&other, &options, &err), SA_INTERRUPTED);
    sa_redis_queue_close(q);
    fclose(stream);
    assert_non_null(strstr(said, "trying for 1 s"));
    free(said);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, redis_rig_make, redis_rig_remove)
#define WITH_KEEPING_SERVER(test)                                                                            \
    cmocka_unit_test_setup_teardown(test, redis_rig_make_keeping, redis_rig_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KEEPING_SERVER(test_calls),      WITH_KEEPING_SERVER(test_server_dies),
        WITH_SERVER(test_data_is_lost),       WITH_KEEPING_SERVER(test_all_die),
        WITH_KEEPING_SERVER(test_older_data), WITH_SERVER(test_lines_are_lost),
        WITH_SERVER(test_patience),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
