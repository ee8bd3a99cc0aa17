/* The queue with a server that answers what no Redis would: errors, and never a crash or a wait without end.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/base/philox.h"
#include "runtime/fleet/redis_parts.h"
#include "tests/data/scratch.h"
#include "tests/fleet/redis_rig.h"

enum { ROWS = 10, MOST_STEPS = 8, MUTANTS = 3000, FLOOD = 1 << 16 };

/* ---- a server ---- */

typedef struct {
    const char *bytes;
    size_t size;
    bool flood; /* endless bytes behind it */
} answer;

typedef struct {
    char *directory, path[100], url[128];
    int listener;
    answer answers[MOST_STEPS]; /* one for each request of the only connection */
    size_t count;
} fake;

static void flood(int file)
{
    static const char bytes[FLOOD];
    while (send(file, bytes, sizeof bytes, MSG_NOSIGNAL) > 0) {
    }
}

/* Answers and closes. No assertions here: this is another thread. */
static void *serve(void *context)
{
    const fake *f = context;
    static _Thread_local char request[1 << 16];
    int file = accept(f->listener, NULL, NULL);
    for (size_t i = 0; file >= 0 && i < f->count; i++) {
        if (recv(file, request, sizeof request, 0) <= 0 ||
            (f->answers[i].size > 0 &&
             send(file, f->answers[i].bytes, f->answers[i].size, MSG_NOSIGNAL) <= 0)) {
            break;
        }
        if (f->answers[i].flood) {
            flood(file);
        }
    }
    if (file >= 0) {
        close(file);
    }
    return NULL;
}

static int make_fake(void **state)
{
    void *directory;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    fake *f = calloc(1, sizeof *f);
    if (f == NULL || scratch_make(&directory) != 0) {
        return -1;
    }
    f->directory = directory;
    snprintf(f->path, sizeof f->path, "%s/socket", f->directory);
    snprintf(f->url, sizeof f->url, "redis+unix:%s?r", f->path);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", f->path);
    f->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    *state = f;
    return bind(f->listener, (const struct sockaddr *)&address, sizeof address) == 0 &&
                   listen(f->listener, 8) == 0
               ? 0
               : -1;
}

static int remove_fake(void **state)
{
    fake *f = *state;
    void *directory = f->directory;
    close(f->listener);
    free(f);
    return scratch_remove(&directory);
}

/* ---- sessions: every call once, and what a good server says to it ---- */

static bool none_is_done(void *context, size_t row)
{
    (void)context;
    (void)row;
    return false;
}

static sa_status accept_line(void *context, const sa_redis_line *line, sa_error *err)
{
    (void)context;
    (void)err;
    assert_true(line->row == 3 && line->size == 2 && memcmp(line->line, "{}", 2) == 0);
    return SA_OK;
}

static sa_status consume(sa_redis_queue *q, sa_error *err)
{
    const size_t rows[] = {3, 4};
    const sa_redis_line line = {3, 'R', "{}", 2};
    sa_redis_task tasks[2];
    size_t count;
    bool finished;
    SA_TRY(sa_redis_queue_take(q, 2, 0, tasks, &count, &finished, err));
    SA_TRY(sa_redis_queue_keep(q, rows, 2, err));
    SA_TRY(sa_redis_queue_put(q, &line, 1, err));
    return sa_redis_queue_give_back(q, rows, 2, err);
}

static sa_status coordinate(sa_redis_queue *q, sa_error *err)
{
    const size_t rows[] = {3};
    SA_TRY(sa_redis_queue_offer(q, none_is_done, NULL, err));
    SA_TRY(sa_redis_queue_collect(q, 5, 0, accept_line, NULL, NULL, err));
    SA_TRY(sa_redis_queue_forget(q, rows, 1, err));
    return sa_redis_queue_finish(q, err);
}

#define OK "*1\r\n$2\r\nok\r\n"

typedef struct {
    sa_redis_role role;
    sa_status (*calls)(sa_redis_queue *q, sa_error *err);
    size_t count;
    const char *answers[MOST_STEPS];
} session;

/* bytes of the mark of {} */
#define MARK "R44136fa355b3678a1146ad16f7e8649e"

static const char one_put[] = "*5\r\n$2\r\nok\r\n$3\r\n8-0\r\n$1\r\n3\r\n$33\r\n" MARK "\r\n$1\r\n2\r\n";

static const session consumer = {
    SA_REDIS_CONSUMER,
    consume,
    5,
    {OK, "*6\r\n$2\r\nok\r\n$3\r\n1-4\r\n$3\r\n1-3\r\n:1\r\n$3\r\n1-4\r\n:2\r\n", OK,
     "*2\r\n$2\r\nok\r\n$3\r\nnew\r\n", OK},
};
static const session coordinator = {
    SA_REDIS_COORDINATOR,
    coordinate,
    7,
    {OK, "*2\r\n$2\r\nok\r\n$3\r\n1-3\r\n", OK, one_put, "$2\r\n{}\r\n", OK, OK},
};

/* The session with answer `step` replaced; the connection closes behind it. */
static sa_status play(fake *f, const session *s, size_t step, answer instead, sa_error *err)
{
    pthread_t thread;
    sa_redis_queue *queue;
    const sa_redis_queue_options options = {
        .url = f->url, .fingerprint = "f", .rows = ROWS, .role = s->role, .name = "n", .patience_ms = 0};
    for (f->count = 0; f->count < s->count && f->count <= step; f->count++) {
        f->answers[f->count] = (answer){s->answers[f->count], strlen(s->answers[f->count]), false};
    }
    if (step < s->count) {
        f->answers[step] = instead;
    }
    *err = (sa_error){0};
    assert_int_equal(pthread_create(&thread, NULL, serve, f), 0);
    sa_status status = sa_redis_queue_open(&queue, &options, err);
    if (status == SA_OK) {
        status = s->calls(queue, err);
        sa_redis_queue_close(queue);
    }
    pthread_join(thread, NULL);
    return status;
}

static void test_good(void **state)
{
    sa_error err;
    must(play(*state, &consumer, SIZE_MAX, (answer){0}, &err), &err);
    must(play(*state, &coordinator, SIZE_MAX, (answer){0}, &err), &err);
}

/* ---- answers that are bad for every call ---- */

static void test_bad(void **state)
{
#define DEEP "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"
    static const struct {
        const char *bytes, *reason;
        sa_status status;
        bool flood;
    } cases[] = {
        {"", "closed the connection", SA_IO, false},
        {"*1\r\n$2\r\no", "closed the connection", SA_IO, false},
        {"$1073741824\r\nabc", "closed the connection", SA_IO, false},
        {"$1073741824\r\nabc", "is longer than", SA_IO, true},
        {"$9223372036854775807\r\nabc", "is longer than", SA_IO, true},
        {"*", "is longer than", SA_IO, true},
        {"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak", SA_IO, false},
        {"$-7\r\n", "does not speak", SA_IO, false},
        {"*-7\r\n", "does not speak", SA_IO, false},
        {"$x\r\n", "does not speak", SA_IO, false},
        {":x\r\n", "does not speak", SA_IO, false},
        {DEEP, "does not speak", SA_IO, false},
        {"*2147483647\r\n", "holds too much", SA_IO, false},
        {"*16385\r\n", "holds too much", SA_IO, false},
        {"*99999999999999999999\r\n", "does not speak", SA_IO, false},
        {"+OK\r\n", "something else", SA_IO, false},
        {":5\r\n", "something else", SA_IO, false},
        {"$5\r\nhello\r\n", "something else", SA_IO, false},
        {"*-1\r\n", "something else", SA_IO, false},
        {"*0\r\n", "something else", SA_IO, false},
        {"*1\r\n:1\r\n", "something else", SA_IO, false},
        {"*1\r\n$-1\r\n", "something else", SA_IO, false},
        {"*1\r\n*0\r\n", "something else", SA_IO, false},
        {"*1\r\n$3\r\nok!\r\n", "something else", SA_IO, false},
        {"*1\r\n$0\r\n\r\n", "something else", SA_IO, false},
        {"*1\r\n-ERR x\r\n", "something else", SA_IO, false},
        {"-ERR a\x1b[2Jb\r\n", "the server says: ERR a?[2Jb", SA_IO, false},
        {"-WRONGTYPE x\r\n", "WRONGTYPE", SA_IO, false},
        {"-LOADING x\r\n", "LOADING x; gave up", SA_IO, false},
        {"-NOAUTH x\r\n", "wants a password", SA_BAD_USAGE, false},
    };
    const session *const sessions[] = {&consumer, &coordinator};
    for (size_t s = 0; s < 2; s++) {
        for (size_t step = 0; step < sessions[s]->count; step++) {
            for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                sa_error err;
                const answer bad = {cases[i].bytes, strlen(cases[i].bytes), cases[i].flood};
                bool hget = s == 1 && step == 4;
                if (hget && cases[i].bytes[0] == '*' && cases[i].bytes[1] == '-' &&
                    cases[i].bytes[2] == '1') {
                    continue; /* nil is an answer to it */
                }
                sa_status status = play(*state, sessions[s], step, bad, &err);
                if (status != cases[i].status || strstr(err.reason, cases[i].reason) == NULL) {
                    fail_msg("session %zu, step %zu, case %zu: %d: %s; should be %s", s, step, i, status,
                             err.reason, cases[i].reason);
                }
            }
        }
    }
}

/* ---- and for one of them ---- */

static void refuse(void **state, const session *s, size_t step, const char *bytes, sa_status want,
                   const char *reason)
{
    sa_error err;
    sa_status status = play(*state, s, step, (answer){bytes, strlen(bytes), false}, &err);
    if (status != want || strstr(err.reason, reason) == NULL) {
        fail_msg("%s: %d: %s; should be %s", bytes, status, err.reason, reason);
    }
}

static void test_bad_here(void **state)
{
    static const char odd[] = "something else";
    static const char *const takes[] = {
        "*2\r\n$2\r\nok\r\n$2\r\n1-\r\n",
        "*1\r\n$2\r\nok\r\n",
        "*4\r\n$2\r\nok\r\n$3\r\n1-4\r\n$4\r\n1-10\r\n:1\r\n", /* row 10 of 10 */
        "*4\r\n$2\r\nok\r\n$3\r\n1-4\r\n$3\r\n1-4\r\n:-1\r\n",
        "*4\r\n$2\r\nok\r\n$3\r\n1-4\r\n$3\r\n1-4\r\n$1\r\nx\r\n",
        "*4\r\n$2\r\nok\r\n$3\r\n1-4\r\n$4\r\n1-04\r\n:1\r\n",
        "*4\r\n$2\r\nok\r\n$3\r\n1-4\r\n$22\r\n1-18446744073709551616\r\n:1\r\n",
        "*4\r\n$2\r\nok\r\n$3\r\n1-4\r\n:4\r\n:1\r\n",
    };
    static const char *const collects[] = {
        "*2\r\n$2\r\nok\r\n$3\r\n8-0\r\n",
        "*5\r\n$2\r\nok\r\n$3\r\n8-0\r\n$2\r\n10\r\n$33\r\n" MARK "\r\n$1\r\n2\r\n",
        "*5\r\n$2\r\nok\r\n$3\r\n8-0\r\n$1\r\n3\r\n$2\r\nR4\r\n$1\r\n2\r\n",
        "*5\r\n$2\r\nok\r\n$3\r\n8-0\r\n$1\r\n3\r\n$34\r\nX" MARK "\r\n$1\r\n2\r\n",
        "*5\r\n$2\r\nok\r\n$3\r\n8-0\r\n$1\r\n3\r\n$33\r\n" MARK "\r\n$1\r\n0\r\n",
        "*5\r\n$2\r\nok\r\n$3\r\n8-0\r\n$1\r\n3\r\n$33\r\n" MARK "\r\n$10\r\n1073741825\r\n",
        "*5\r\n$2\r\nok\r\n$3\r\n8-0\r\n$1\r\n3\r\n:33\r\n$1\r\n2\r\n",
    };
    for (size_t i = 0; i < sizeof takes / sizeof *takes; i++) {
        refuse(state, &consumer, 1, takes[i], SA_IO, odd);
    }
    refuse(state, &consumer, 3, "*2\r\n$2\r\nok\r\n$3\r\nnow\r\n", SA_IO, odd);
    refuse(state, &consumer, 3, "*1\r\n$2\r\nok\r\n", SA_IO, odd);
    refuse(state, &consumer, 3, "*2\r\n$2\r\nok\r\n$7\r\ndiffers\r\n", SA_BAD_INPUT, "row 3 was put before");
    refuse(state, &coordinator, 1, "*2\r\n$2\r\nok\r\n$4\r\n1-10\r\n", SA_IO, odd);
    refuse(state, &coordinator, 1, "*2\r\n$2\r\nok\r\n$4\r\n1--1\r\n", SA_IO, odd);
    for (size_t i = 0; i < sizeof collects / sizeof *collects; i++) {
        refuse(state, &coordinator, 3, collects[i], SA_IO, odd);
    }
    refuse(state, &coordinator, 4, "$3\r\n{} \r\n", SA_IO, odd);
    refuse(state, &coordinator, 4, "$2\r\n[]\r\n", SA_BAD_INPUT, "not those that were put");
}

/* ---- any bytes ---- */

static void test_mutants(void **state)
{
    const session *const sessions[] = {&consumer, &coordinator};
    size_t failures = 0;
    for (uint32_t seed = 0; seed < MUTANTS; seed++) {
        sa_philox r = sa_philox_block(11, seed, 0), q = sa_philox_block(12, seed, 0);
        const session *s = sessions[r.word[0] % 2];
        size_t step = r.word[1] % s->count, size = strlen(s->answers[step]);
        char bytes[256];
        sa_error err;
        memcpy(bytes, s->answers[step], size);
        for (uint32_t i = 0; i <= r.word[2] % 3; i++) {
            static const char likely[] = "0123456789-:$*+\r\n";
            char *at = &bytes[q.word[i] % size];
            *at = q.word[i] >> 31 != 0 ? likely[(q.word[i] >> 16) % (sizeof likely - 1)]
                                       : (char)(q.word[i] >> 16);
        }
        if (r.word[3] % 4 == 0) {
            size = q.word[3] % size;
        }
        if (play(*state, s, step, (answer){bytes, size, false}, &err) != SA_OK) {
            failures++;
            assert_true(err.reason[0] != '\0');
        }
    }
    assert_true(failures > MUTANTS / 2);
}

#define WITH_FAKE(test) cmocka_unit_test_setup_teardown(test, make_fake, remove_fake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FAKE(test_good),
        WITH_FAKE(test_bad),
        WITH_FAKE(test_bad_here),
        WITH_FAKE(test_mutants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
