#define _GNU_SOURCE
#include "tests/fleet/redis_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/philox.h"
#include "tests/data/scratch.h"

enum { HOUR_MS = 3600 * 1000, PATIENCE_MS = 20000, START_TRIES = 2000 };

/* ---- the server ---- */

static void be_quiet(void)
{
    int quiet = open("/dev/null", O_WRONLY);
    dup2(quiet, STDOUT_FILENO);
    dup2(quiet, STDERR_FILENO);
}

int redis_rig_run(const redis_rig *rig, const char *const *argv)
{
    int code = 0;
    pid_t process = fork();
    assert_true(process >= 0);
    if (process == 0) {
        be_quiet();
        if (chdir(rig->directory) == 0) {
            execvp(argv[0], (char *const *)(uintptr_t)argv);
        }
        _exit(127);
    }
    assert_int_equal(waitpid(process, &code, 0), process);
    return WIFEXITED(code) ? WEXITSTATUS(code) : -1;
}

void redis_rig_need(const redis_rig *rig)
{
    if (rig->server == 0) {
        print_message("there is no redis-server (Debian's package redis-server): not tested\n");
        skip();
    }
}

static bool answers(const redis_rig *rig)
{
    redisContext *c = redisConnectUnix(rig->socket);
    redisReply *reply = c != NULL && c->err == 0 ? redisCommand(c, "PING") : NULL;
    bool good = reply != NULL && (reply->type == REDIS_REPLY_STATUS || strncmp(reply->str, "NOAUTH", 6) == 0);
    if (reply != NULL) {
        freeReplyObject(reply);
    }
    if (c != NULL) {
        redisFree(c);
    }
    return good;
}

void redis_rig_start(redis_rig *rig)
{
    char port[16];
    snprintf(port, sizeof port, "%d", rig->port);
    rig->server = fork();
    assert_true(rig->server >= 0);
    if (rig->server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves none behind */
        be_quiet();
        execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--unixsocket",
               rig->socket, "--save", "", "--appendonly", rig->keeps ? "yes" : "no", "--dir", rig->directory,
               "--requirepass", rig->password != NULL ? rig->password : "", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < START_TRIES && !answers(rig); i++) {
        usleep(5000);
    }
    assert_true(answers(rig));
}

void redis_rig_kill(redis_rig *rig)
{
    if (rig->server > 0) {
        kill(rig->server, SIGKILL);
        assert_int_equal(waitpid(rig->server, NULL, 0), rig->server);
    }
    rig->server = 0;
}

static int make(void **state, bool keeps)
{
    redis_rig *rig = calloc(1, sizeof *rig);
    void *directory;
    if (rig == NULL || scratch_make(&directory) != 0) {
        return -1;
    }
    rig->directory = directory;
    rig->keeps = keeps;
    snprintf(rig->socket, sizeof rig->socket, "%s/socket", rig->directory);
    snprintf(rig->url, sizeof rig->url, "redis+unix:%s?run", rig->socket);
    if (redis_rig_run(rig, (const char *const[]){"redis-server", "--version", NULL}) == 0) {
        redis_rig_start(rig);
    }
    *state = rig;
    return 0;
}

int redis_rig_make(void **state)
{
    return make(state, false);
}

int redis_rig_make_keeping(void **state)
{
    return make(state, true);
}

int redis_rig_remove(void **state)
{
    redis_rig *rig = *state;
    void *directory = rig->directory;
    redis_rig_kill(rig);
    free(rig);
    return scratch_remove(&directory);
}

long long redis_rig_ask(const redis_rig *rig, const char *format, ...)
{
    va_list args;
    redisContext *c = redisConnectUnix(rig->socket);
    assert_true(c != NULL && c->err == 0);
    va_start(args, format);
    redisReply *reply = redisvCommand(c, format, args);
    va_end(args);
    assert_non_null(reply);
    long long number = reply->integer;
    freeReplyObject(reply);
    redisFree(c);
    return number;
}

/* ---- runs ---- */

sa_redis_queue_options redis_rig_options(const redis_rig *rig, sa_redis_role role, size_t rows)
{
    return (sa_redis_queue_options){.url = rig->url,
                                    .fingerprint = "f",
                                    .rows = rows,
                                    .role = role,
                                    .name = role == SA_REDIS_COORDINATOR ? "coordinator" : "consumer",
                                    .idle_ms = HOUR_MS,
                                    .patience_ms = PATIENCE_MS};
}

sa_redis_queue *redis_rig_open(const redis_rig *rig, sa_redis_role role, size_t rows)
{
    sa_redis_queue *queue;
    sa_error err = {0};
    const sa_redis_queue_options options = redis_rig_options(rig, role, rows);
    must(sa_redis_queue_open(&queue, &options, &err), &err);
    return queue;
}

sa_redis_line redis_rig_line(char text[RIG_MOST_LINE], size_t row)
{
    size_t size = (size_t)sprintf(text, "{\"row\":%zu,\"x\":\"", row);
    size_t filler = sa_philox_block(5, row, 0).word[0] % (row % 5 == 0 ? RIG_MOST_LINE - 100 : 20);
    for (size_t i = 0; i < filler; i++) {
        text[size++] = (char)('a' + (row + i) % 26);
    }
    text[size++] = '"';
    text[size++] = '}';
    return (sa_redis_line){.row = row, .kind = row % 7 == 3 ? 'Q' : 'R', .line = text, .size = size};
}

sa_status redis_rig_put(sa_redis_queue *queue, size_t row, sa_error *err)
{
    char text[RIG_MOST_LINE];
    const sa_redis_line line = redis_rig_line(text, row);
    return sa_redis_queue_put(queue, &line, 1, err);
}

/* ---- the coordinator's side ---- */

redis_ledger redis_ledger_new(size_t rows)
{
    redis_ledger ledger = {.rows = rows, .done = calloc(rows + 1, 1)};
    assert_non_null(ledger.done);
    return ledger;
}

void redis_ledger_free(redis_ledger *ledger)
{
    free(ledger->done);
}

bool redis_ledger_is_done(void *ledger, size_t row)
{
    return ((redis_ledger *)ledger)->done[row] > 0;
}

static sa_status note(void *context, const sa_redis_line *line, sa_error *err)
{
    redis_ledger *ledger = context;
    char text[RIG_MOST_LINE];
    (void)err;
    assert_true(line->row < ledger->rows);
    const sa_redis_line want = redis_rig_line(text, line->row);
    assert_int_equal(line->kind, want.kind);
    assert_int_equal(line->size, want.size);
    assert_memory_equal(line->line, want.line, want.size);
    ledger->count += ledger->done[line->row] == 0;
    ledger->done[line->row] += ledger->done[line->row] < 255;
    ledger->newest[ledger->news++] = line->row;
    return SA_OK;
}

sa_status redis_ledger_collect(redis_ledger *ledger, sa_redis_queue *queue, int wait_ms, sa_error *err)
{
    size_t count = 0;
    ledger->news = 0;
    sa_status status = sa_redis_queue_collect(queue, SA_REDIS_MOST_ROWS, wait_ms, note, ledger, &count, err);
    assert_int_equal(count, ledger->news);
    return status;
}

sa_status redis_ledger_forget(redis_ledger *ledger, sa_redis_queue *queue, sa_error *err)
{
    return sa_redis_queue_forget(queue, ledger->newest, ledger->news, err);
}
