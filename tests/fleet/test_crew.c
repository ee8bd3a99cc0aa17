/*
 * The parent of workers, with workers that this program itself plays (it is started again as one): rows come
 * back once each, whatever some of them do; a row that kills is given up after three deaths and takes no
 * other one along; who wants all gets a share; who hangs is noticed; who cannot start is told. And messages:
 * whole, in pieces, and wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/philox.h"
#include "runtime/fleet/crew.h"
#include "runtime/fleet/message.h"
#include "runtime/fleet/worker.h"
#include "tests/check.h"

#define PLAY "TEST_CREW_PLAY" /* how a worker behaves */
#define HUNG "TEST_CREW_HUNG" /* a file: one has hung already; the greedy ones have as many bytes in it */

enum { ROWS = 60, WINDOW = 4, LONG_ROW = 50, LONG_LINE = 300000, GREEDY = 3 };

/* ---- the worker that is played ---- */

/* "poison:7": dies with row 7 of it. */
static bool meets(const char *play, const char *what, size_t row)
{
    size_t length = strlen(what);
    return strncmp(play, what, length) == 0 && play[length] == ':' && (size_t)atoi(play + length + 1) == row;
}

static void work_on(sa_worker *worker, const char *play, int socket, size_t row)
{
    sa_error err;
    char line[64], *text = line;
    if (meets(play, "poison", row)) {
        abort();
    }
    if (meets(play, "hang", row) && access(getenv(HUNG), F_OK) != 0) {
        fclose(fopen(getenv(HUNG), "w"));
        for (;;) {
            pause();
        }
    }
    if (meets(play, "fail", row)) { /* its disk, say */
        sa_error why;
        sa_fail(&why, SA_IO, "disk", "look at it", "cannot be read");
        sa_worker_tell_failure(worker, &why);
        exit(3);
    }
    if (meets(play, "early", row)) { /* it says that it is done, and is not */
        must(sa_worker_tell_counts(worker, "{\"a\":1}", 7, &err), &err);
        exit(0);
    }
    if (meets(play, "empty", row)) {
        must(sa_worker_put(worker, row, "", 0, &err), &err);
        return;
    }
    if (meets(play, "babble", row)) {
        assert_int_equal(write(socket, "ZZ zz\n", 6), 6);
    }
    if (row % 10 == 3) {
        sa_error why;
        sa_fail(&why, SA_BAD_INPUT, "file", "hint", "reason %zu", row);
        must(sa_worker_set_aside(worker, row, &why, &err), &err);
        return;
    }
    int size = snprintf(line, sizeof line, "{\"row\":%zu}", row);
    if (row == LONG_ROW) {
        text = calloc(LONG_LINE, 1);
        memset(text, 'x', LONG_LINE - 1);
        size = LONG_LINE - 1;
    }
    must(sa_worker_put(worker, row, text, (size_t)size, &err), &err);
}

/* Until all of them are there. */
static void meet_the_greedy(void)
{
    FILE *file = fopen(getenv(HUNG), "a+");
    assert_non_null(file);
    fputc('x', file);
    for (int i = 0; i < 6000; i++) {
        fflush(file);
        fseek(file, 0, SEEK_END);
        if (ftell(file) >= GREEDY) {
            break;
        }
        usleep(10000);
    }
    fclose(file);
}

static int play_worker(const char *play)
{
    sa_worker *worker;
    sa_worker_setup setup;
    sa_error err = {0};
    size_t row;
    int socket = atoi(getenv(SA_WORKER_SOCKET));
    must(sa_worker_open(&worker, &setup, &err), &err);
    assert_string_equal(setup.fingerprint, "the same");
    if (strcmp(setup.device, "none") == 0) {
        sa_fail(&err, SA_NO_DEVICE, "none", "take another", "there is no such device");
        sa_worker_tell_failure(worker, &err);
        return 3;
    }
    if (strcmp(play, "dumb") == 0) {
        return 1;
    }
    bool greedy = strcmp(play, "greedy") == 0;
    size_t done = 0;
    must(sa_worker_say_hello(worker, setup.device, "f32", greedy ? ROWS : WINDOW, &err), &err);
    while (sa_worker_take(worker, &row)) {
        if (greedy && done == 0) {
            meet_the_greedy();
        }
        if (greedy) {
            usleep(20000);
        }
        work_on(worker, play, socket, row);
        must(sa_worker_beat(worker, &err), &err);
        done++;
    }
    bool fair = !greedy || done >= ROWS / 10;
    must(sa_worker_tell_counts(worker, fair ? "{\"a\":1}" : "{\"a\":0}", 7, &err), &err);
    sa_worker_close(worker);
    return 0;
}

/* ---- the parent ---- */

typedef struct {
    size_t next, lines[ROWS], given_up[ROWS], counts, patience;
} book;

static bool next_row(void *context, size_t *row)
{
    book *b = context;
    *row = b->next;
    return b->next < ROWS && b->next++ < ROWS;
}

static size_t rows_left(void *context)
{
    const book *b = context;
    size_t left = 0;
    for (size_t i = 0; i < ROWS; i++) {
        left += b->lines[i] + b->given_up[i] == 0;
    }
    return left;
}

static sa_status take_line(void *context, size_t row, char kind, const char *bytes, size_t size,
                           sa_error *err)
{
    book *b = context;
    char want[64];
    assert_true(row < ROWS);
    if (size == 0) {
        return sa_fail(err, SA_BAD_INPUT, NULL, NULL, "no result");
    }
    b->lines[row]++;
    assert_int_equal(kind, row % 10 == 3 ? 'Q' : 'R');
    if (row == LONG_ROW) {
        assert_int_equal(size, LONG_LINE - 1);
    } else if (kind == 'R') {
        snprintf(want, sizeof want, "{\"row\":%zu}", row);
        assert_string_equal(bytes, want);
    } else {
        snprintf(want, sizeof want, "\"reason\":\"reason %zu\"", row);
        assert_non_null(strstr(bytes, want));
    }
    return SA_OK;
}

static sa_status give_up(void *context, size_t row, sa_error *err)
{
    (void)err;
    ((book *)context)->given_up[row]++;
    return SA_OK;
}

static sa_status take_counts(void *context, const char *bytes, size_t size, sa_error *err)
{
    (void)err;
    assert_int_equal(size, 7);
    assert_string_equal(bytes, "{\"a\":1}");
    ((book *)context)->counts++;
    return SA_OK;
}

static bool is_interrupted(void *context)
{
    book *b = context;
    return b->patience > 0 && --b->patience == 0;
}

static sa_crew_client client_of(book *b)
{
    return (sa_crew_client){b, next_row, rows_left, take_line, give_up, take_counts, is_interrupted};
}

static const char *const devices[] = {"cpu", "cpu", "cpu"};
static char *const arguments[] = {"test_crew", NULL};

static sa_crew_options options_for(size_t count, sa_log *log)
{
    return (sa_crew_options){.count = count,
                             .devices = devices,
                             .threads = 1,
                             .arguments = arguments,
                             .patience = strncmp(getenv(PLAY), "hang", 4) == 0 ? 2 : 60,
                             .rows = ROWS,
                             .fingerprint = "the same",
                             .log = log};
}

/* A run in which workers behave like that; row `poison` is given up, the others come once. */
static sa_crew_counts run(const char *play, size_t count, size_t poison)
{
    sa_log log = sa_log_on(stderr, SA_LOG_ERROR);
    book b = {0};
    const sa_crew_client client = client_of(&b);
    setenv(PLAY, play, 1);
    const sa_crew_options options = options_for(count, &log);
    sa_crew *crew;
    sa_error err = {0};
    must(sa_crew_open(&crew, &options, &err), &err);
    assert_non_null(strstr(sa_crew_hello(crew), "\"precision\":\"f32\""));
    must(sa_crew_run(crew, &client, &err), &err);
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(b.lines[i], i != poison);
        assert_int_equal(b.given_up[i], i == poison);
    }
    sa_crew_counts counts = sa_crew_get_counts(crew);
    /* one that has not said hello when all is done is ended; one that was started again may have no counts
     * yet */
    assert_true(strcmp(play, "good") != 0 || (b.counts >= 1 && b.counts <= count));
    assert_true(strcmp(play, "greedy") != 0 || b.counts == count);
    sa_crew_close(crew);
    return counts;
}

static void test_good(void **state)
{
    (void)state;
    for (size_t count = 1; count <= 3; count++) {
        sa_crew_counts c = run("good", count, ROWS);
        assert_int_equal(c.started, count);
        assert_int_equal(c.died, 0);
    }
}

/* Each would take all rows at once: each gets its share, so that all of them meet. */
static void test_greedy(void **state)
{
    (void)state;
    unlink(getenv(HUNG));
    assert_int_equal(run("greedy", GREEDY, ROWS).died, 0);
    unlink(getenv(HUNG));
}

static void test_poison(void **state)
{
    (void)state;
    static const size_t rows[] = {0, 30, ROWS - 1};
    for (size_t i = 0; i < 3; i++) {
        char play[32];
        snprintf(play, sizeof play, "poison:%zu", rows[i]);
        sa_crew_counts c = run(play, 1 + i, rows[i]);
        assert_int_equal(c.died, SA_CREW_TRIES);
        assert_int_equal(c.hung, 0);
    }
}

static void test_hang(void **state)
{
    (void)state;
    unlink(getenv(HUNG));
    sa_crew_counts c = run("hang:20", 2, ROWS);
    assert_true(c.hung >= 1 && c.died == c.hung); /* one that waits for rows says nothing either, here */
    unlink(getenv(HUNG));
}

/* A worker that says what is no message is put away, and so is in the end the row that makes it do so. */
static void test_babble(void **state)
{
    (void)state;
    sa_crew_counts c = run("babble:9", 2, 9);
    assert_true(c.died == SA_CREW_TRIES);
}

/* One that takes itself for done, or says nothing of a row, is started again; the row is given up in the end.
 */
static void test_early(void **state)
{
    (void)state;
    assert_int_equal(run("early:13", 2, 13).died, SA_CREW_TRIES);
    assert_int_equal(run("empty:13", 2, 13).died, SA_CREW_TRIES);
}

/* A machine that fails blames no row: the others are done, and then the run ends with what the machine said.
 */
static void test_failing_machine(void **state)
{
    (void)state;
    for (size_t count = 1; count <= 2; count++) {
        sa_log log = sa_log_on(stderr, SA_LOG_ERROR);
        book b = {0};
        const sa_crew_client client = client_of(&b);
        setenv(PLAY, "fail:20", 1);
        const sa_crew_options options = options_for(count, &log);
        sa_crew *crew;
        sa_error err = {0};
        must(sa_crew_open(&crew, &options, &err), &err);
        assert_int_equal(sa_crew_run(crew, &client, &err), SA_IO);
        assert_string_equal(err.reason, "cannot be read");
        assert_true(sa_crew_get_counts(crew).started <= 3 * count);
        for (size_t i = 0; i < ROWS; i++) {
            assert_int_equal(b.given_up[i], 0);
            assert_true(b.lines[i] <= 1 && (i != 20 || b.lines[i] == 0));
        }
        sa_crew_close(crew);
    }
}

static void test_interrupt(void **state)
{
    (void)state;
    sa_log log = sa_log_on(stderr, SA_LOG_ERROR);
    book b = {.patience = 3};
    const sa_crew_client client = client_of(&b);
    setenv(PLAY, "good", 1);
    const sa_crew_options options = options_for(2, &log);
    sa_crew *crew;
    sa_error err = {0};
    must(sa_crew_open(&crew, &options, &err), &err);
    assert_int_equal(sa_crew_run(crew, &client, &err), SA_INTERRUPTED);
    sa_crew_close(crew);
}

static void refused(const char *play, const char *device, const char *reason)
{
    sa_log log = sa_log_on(stderr, SA_LOG_ERROR);
    const char *const wanted[] = {device, device};
    setenv(PLAY, play, 1);
    sa_crew_options options = options_for(2, &log);
    sa_crew *crew = NULL;
    sa_error err = {0};
    options.devices = wanted;
    assert_int_equal(sa_crew_open(&crew, &options, &err), SA_NO_DEVICE);
    assert_non_null(strstr(err.reason, reason));
    assert_null(crew);
}

static void test_no_start(void **state)
{
    (void)state;
    refused("dumb", "cpu", "no worker could start");
    refused("good", "none", "no such device");
}

/* ---- messages ---- */

typedef struct {
    int in, out;
    sa_message_reader reader;
} wire;

static wire new_wire(void)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    return (wire){.in = pair[0], .out = pair[1]};
}

static void free_wire(wire *w)
{
    sa_message_reader_free(&w->reader);
    close(w->in);
    close(w->out);
}

/* Messages of random sizes, in pieces of random sizes. */
static void test_pieces(void **state)
{
    (void)state;
    enum { MESSAGES = 200, MOST = 3000 };
    wire w = new_wire();
    sa_error err;
    char body[MOST + 1];
    memset(body, '\n', sizeof body); /* what heads end with */
    size_t got = 0;
    for (size_t i = 0; i < MESSAGES; i++) {
        size_t size = sa_philox_block(1, i, 0).word[0] % MOST;
        must(sa_message_send(w.out, (char)('A' + i % 26), i, body, size, &err), &err);
        for (bool found = sa_philox_block(1, i, 0).word[1] % 3 == 0;
             found;) { /* now and then all there are */
            bool ended;
            sa_wire_message m;
            must(sa_message_next(&w.reader, &m, &found, &err), &err);
            if (!found && got <= i) {
                must(sa_message_receive(&w.reader, w.in, &ended, &err), &err);
                found = true;
                continue;
            }
            if (found) {
                assert_int_equal(m.row, got);
                assert_int_equal(m.kind, 'A' + got % 26);
                assert_int_equal(m.size, sa_philox_block(1, got, 0).word[0] % MOST);
                assert_memory_equal(m.bytes, body, m.size);
                assert_int_equal(m.bytes[m.size], '\0');
                got++;
            }
            found = got <= i;
        }
    }
    assert_true(got > MESSAGES / 2);
    free_wire(&w);
}

static void test_wrong_messages(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "\n",
        "R\n",
        "R 1\n",
        "R 1 -2\n",
        "R a 2\n",
        "R 1 2 3\n",
        "R 1 9999999999999\n",
        " 1 2\n",
        "R 123456789012345678901234567890123456789012345678901234567890 1\n",
        "0123456789012345678901234567890123456789012345678901234567890123456789"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        wire w = new_wire();
        sa_error err;
        sa_wire_message m;
        bool ended, found = false;
        assert_int_equal(write(w.out, wrong[i], strlen(wrong[i])), (ssize_t)strlen(wrong[i]));
        must(sa_message_receive(&w.reader, w.in, &ended, &err), &err);
        assert_int_equal(sa_message_next(&w.reader, &m, &found, &err), SA_BAD_INPUT);
        assert_false(found);
        free_wire(&w);
    }
}

static void test_closed(void **state)
{
    (void)state;
    wire w = new_wire();
    sa_error err;
    sa_wire_message m;
    bool ended, found;
    must(sa_message_send(w.out, 'R', 5, "half", 4, &err), &err);
    close(w.out);
    must(sa_message_receive(&w.reader, w.in, &ended, &err), &err);
    must(sa_message_next(&w.reader, &m, &found, &err), &err);
    assert_true(found && m.size == 4 && m.row == 5);
    must(sa_message_receive(&w.reader, w.in, &ended, &err), &err);
    assert_true(ended);
    assert_int_equal(sa_message_send(w.in, 'T', 1, NULL, 0, &err), SA_IO);
    w.out = dup(w.in);
    free_wire(&w);
}

int main(void)
{
    const char *play = getenv(PLAY);
    if (sa_worker_is_wanted() && play != NULL) {
        return play_worker(play);
    }
    char hung[64];
    snprintf(hung, sizeof hung, "/tmp/segagent-crew-%ld", (long)getpid());
    setenv(HUNG, hung, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),    cmocka_unit_test(test_wrong_messages),
        cmocka_unit_test(test_closed),    cmocka_unit_test(test_good),
        cmocka_unit_test(test_greedy),    cmocka_unit_test(test_poison),
        cmocka_unit_test(test_hang),      cmocka_unit_test(test_babble),
        cmocka_unit_test(test_early),     cmocka_unit_test(test_failing_machine),
        cmocka_unit_test(test_interrupt), cmocka_unit_test(test_no_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
