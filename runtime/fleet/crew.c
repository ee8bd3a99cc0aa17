#include "runtime/fleet/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/base/sizes.h"
#include "runtime/fleet/message.h"
#include "runtime/fleet/reason.h"
#include "runtime/fleet/worker.h"

enum { POLL_MS = 200, FRUITLESS = 3, HELLO_SECONDS = 600 };

typedef struct {
    pid_t process; /* 0: none */
    int socket;
    sa_message_reader reader;
    double heard;  /* when it last said something */
    size_t window; /* rows that it wants at a time; 0: it has not said hello */
    size_t *rows;  /* [held] of window */
    size_t held;
    size_t fruitless; /* deaths in a row without a line in between */
    size_t failures;  /* deaths of which it said why */
    bool told_failure, given_up;
} worker;

typedef struct {
    size_t *rows;
    size_t count, room;
} row_list;

struct sa_crew {
    sa_crew_options options;
    worker *workers;      /* [options.count] */
    unsigned char *tries; /* [options.rows] deaths that a row was with */
    row_list suspects;    /* to be handed out alone */
    row_list returned;    /* nobody's fault */
    bool no_more;         /* the client has no more rows */
    char *hello;
    sa_error last; /* what the last one that failed said */
    sa_crew_counts counts;
};

/* ---- starting ---- */

/* In the child: the socket becomes the one that a worker knows, and its group its own, so that ^C is ours. */
static void become_worker(const sa_crew *c, int socket)
{
    char number[16];
    setpgid(0, 0);
    int fd = fcntl(socket, F_DUPFD, 3); /* not closed on exec */
    snprintf(number, sizeof number, "%d", fd);
    setenv(SA_WORKER_SOCKET, number, 1);
    execv("/proc/self/exe", c->options.arguments);
    _exit(127);
}

static sa_status send_setup(const sa_crew *c, const worker *w, sa_error *err)
{
    size_t index = (size_t)(w - c->workers);
    json_t *json = json_pack("{s:s, s:I, s:I, s:s}", "device", c->options.devices[index], "threads",
                             (json_int_t)c->options.threads, "workers", (json_int_t)c->options.count,
                             "fingerprint", c->options.fingerprint);
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    sa_status status = text != NULL ? sa_message_send(w->socket, 'S', 0, text, strlen(text), err)
                                    : sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a worker");
    free(text);
    json_decref(json);
    return status;
}

static sa_status start(sa_crew *c, worker *w, sa_error *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return sa_fail_errno(err, NULL, "cannot make a socket");
    }
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        become_worker(c, pair[1]);
    }
    close(pair[1]);
    if (child < 0) {
        close(pair[0]);
        return sa_fail_errno(err, NULL, "cannot start a worker");
    }
    sa_message_reader_free(&w->reader);
    w->process = child;
    w->socket = pair[0];
    w->window = w->held = 0;
    w->told_failure = false;
    w->heard = sa_clock_seconds();
    c->counts.started++;
    sa_status status = send_setup(c, w, err);
    return status == SA_IO ? SA_OK : status; /* one that dies at once is found dead later */
}

/* Takes a process away, alive or not; how it ended. */
static int reap(worker *w)
{
    int status = 0;
    if (w->process != 0) {
        kill(w->process, SIGKILL);
        while (waitpid(w->process, &status, 0) < 0 && errno == EINTR) {
        }
        close(w->socket);
        w->process = 0;
    }
    return status;
}

/* The same of one that has closed its socket, and is about to end by itself. */
static int wait_for_end(worker *w)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    int status = 0;
    for (int i = 0; i < 200; i++) {
        if (waitpid(w->process, &status, WNOHANG) == w->process) {
            close(w->socket);
            w->process = 0;
            return status;
        }
        nanosleep(&pause, NULL);
    }
    return reap(w);
}

/* ---- deaths ---- */

/* The row is handed out again: alone, if it may have been its fault. */
static sa_status put_back(sa_crew *c, size_t row, sa_error *err)
{
    row_list *list = c->tries[row] > 0 ? &c->suspects : &c->returned;
    if (list->count == list->room) {
        size_t room = 2 * list->room + 64;
        size_t *more = realloc(list->rows, room * sizeof *more);
        if (more == NULL) {
            return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for rows");
        }
        list->rows = more;
        list->room = room;
    }
    list->rows[list->count++] = row;
    return SA_OK;
}

typedef enum { DIED, HUNG, RAVED } fate;

static void tell_death(sa_crew *c, const worker *w, int status, fate how)
{
    char text[128];
    if (how == HUNG) {
        snprintf(text, sizeof text, "said nothing for %.0f s", c->options.patience);
    } else if (how == RAVED) {
        snprintf(text, sizeof text, "said what is no message");
    } else if (WIFSIGNALED(status)) {
        snprintf(text, sizeof text, "was ended by signal %d", WTERMSIG(status));
    } else {
        snprintf(text, sizeof text, "ended with exit code %d", WEXITSTATUS(status));
    }
    sa_log_message(c->options.log, SA_LOG_WARNING, "worker %zu of %zu %s, with %zu rows",
                   (size_t)(w - c->workers) + 1, c->options.count, text, w->held);
    if (w->told_failure) {
        sa_log_error(c->options.log, &c->last);
    }
}

/* Its rows are handed out again, and another one takes its place. */
static sa_status bury(sa_crew *c, worker *w, fate how, const sa_crew_client *client, sa_error *err)
{
    tell_death(c, w, how == DIED ? wait_for_end(w) : reap(w), how);
    c->counts.died++;
    c->counts.hung += how == HUNG;
    w->fruitless++;
    w->failures += w->told_failure;
    size_t held = w->held;
    w->held = 0;
    for (size_t i = 0; i < held; i++) {
        size_t row = w->rows[i];
        c->tries[row] += !w->told_failure;
        SA_TRY(c->tries[row] < SA_CREW_TRIES ? put_back(c, row, err)
                                             : client->give_up(client->context, row, err));
    }
    w->given_up = w->failures >= FRUITLESS || (w->fruitless >= FRUITLESS && held == 0);
    return w->given_up ? SA_OK : start(c, w, err);
}

/* ---- what workers say ---- */

/* All of them must compute alike. */
static bool is_alike(const char *one, const json_t *other)
{
    json_t *json = json_loads(one, 0, NULL);
    bool same = json_equal(json_object_get(json, "precision"), json_object_get(other, "precision")) != 0;
    json_decref(json);
    return same;
}

static sa_status read_hello(sa_crew *c, worker *w, const sa_wire_message *m, sa_error *err)
{
    json_t *json = json_loadb(m->bytes, m->size, 0, NULL);
    json_int_t window = json_integer_value(json_object_get(json, "window"));
    bool alike = c->hello == NULL || is_alike(c->hello, json);
    json_decref(json);
    if (window < 1 || window > 1 << 24 || w->window != 0) {
        return sa_fail(err, SA_BAD_INPUT, NULL, NULL, "a worker says hello in words that are none");
    }
    if (!alike) { /* on a device that was full, perhaps, and is not the next time */
        w->told_failure = true;
        sa_fail(&c->last, SA_NO_DEVICE, "--precision", "give bf16 or f32, or fewer workers",
                "a worker computes in another precision than the others");
        return sa_fail(err, SA_BAD_INPUT, NULL, NULL, "a worker is of no use");
    }
    size_t *rows = realloc(w->rows, (size_t)window * sizeof *rows);
    if (rows == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "lower --in-flight", "no memory for rows");
    }
    w->rows = rows;
    w->window = (size_t)window;
    if (c->hello == NULL) {
        c->hello = strdup(m->bytes);
    }
    return c->hello != NULL ? SA_OK : sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a worker");
}

static sa_status take_line(worker *w, const sa_wire_message *m, const sa_crew_client *client, sa_error *err)
{
    size_t i = 0;
    while (i < w->held && w->rows[i] != m->row) {
        i++;
    }
    if (i == w->held) {
        return sa_fail(err, SA_BAD_INPUT, NULL, NULL, "a worker speaks of row %zu, which it has not", m->row);
    }
    SA_TRY(client->line(client->context, m->row, m->kind, m->bytes, m->size, err));
    w->rows[i] = w->rows[--w->held];
    w->fruitless = 0;
    return SA_OK;
}

static sa_status take_message(sa_crew *c, worker *w, const sa_wire_message *m, const sa_crew_client *client,
                              sa_error *err)
{
    w->heard = sa_clock_seconds();
    switch (m->kind) {
    case 'B': return SA_OK;
    case 'H': return read_hello(c, w, m, err);
    case 'F':
        sa_reason_read(m->bytes, m->size, &c->last);
        w->told_failure = true;
        return SA_OK;
    case 'R':
    case 'Q':
        if (client != NULL) {
            return take_line(w, m, client, err);
        }
        break;
    case 'C':
        if (client != NULL) {
            return client->counts(client->context, m->bytes, m->size, err);
        }
        break;
    default: break;
    }
    return sa_fail(err, SA_BAD_INPUT, NULL, NULL, "a worker says what it should not");
}

/* All that the socket has. *ended: the worker is gone. */
static sa_status listen_to(sa_crew *c, worker *w, const sa_crew_client *client, bool *ended, sa_error *err)
{
    bool found = true;
    sa_wire_message m;
    SA_TRY(sa_message_receive(&w->reader, w->socket, ended, err));
    while (found) {
        SA_TRY(sa_message_next(&w->reader, &m, &found, err));
        SA_TRY(found ? take_message(c, w, &m, client, err) : SA_OK);
    }
    return SA_OK;
}

/* Waits for words of any of them. */
static void wait_for_words(const sa_crew *c, struct pollfd *fds)
{
    for (size_t i = 0; i < c->options.count; i++) {
        const worker *w = &c->workers[i];
        fds[i] = (struct pollfd){.fd = w->process != 0 ? w->socket : -1, .events = POLLIN};
    }
    if (poll(fds, c->options.count, POLL_MS) < 0) {
        memset(fds, 0, c->options.count * sizeof *fds);
    }
}

/* ---- opening ---- */

static sa_status wait_for_hello(sa_crew *c, sa_error *err)
{
    struct pollfd fds[SA_CREW_MOST];
    double begun = sa_clock_seconds();
    while (c->hello == NULL) {
        size_t gone = 0;
        wait_for_words(c, fds);
        if (c->options.interrupted != NULL && c->options.interrupted()) {
            return sa_fail(err, SA_INTERRUPTED, NULL, "run the same command again to go on", "interrupted");
        }
        for (size_t i = 0; i < c->options.count; i++) {
            worker *w = &c->workers[i];
            bool ended = false;
            if (w->process != 0 && fds[i].revents != 0) {
                SA_TRY(listen_to(c, w, NULL, &ended, err));
            }
            if (ended) {
                reap(w);
                w->given_up = true;
            }
            gone += w->given_up;
        }
        if (gone == c->options.count && c->hello == NULL) {
            if (c->last.status == SA_OK) {
                return sa_fail(err, SA_NO_DEVICE, NULL, "see the messages above", "no worker could start");
            }
            *err = c->last;
            return c->last.status;
        }
        if (sa_clock_seconds() - begun > HELLO_SECONDS) {
            return sa_fail(err, SA_NO_DEVICE, NULL, NULL, "no worker has started in %d s", HELLO_SECONDS);
        }
    }
    return SA_OK;
}

sa_status sa_crew_open(sa_crew **out, const sa_crew_options *options, sa_error *err)
{
    SA_ASSERT(options->count >= 1 && options->count <= SA_CREW_MOST);
    sa_crew *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for workers");
    }
    c->options = *options;
    c->options.patience = options->patience > 0 ? options->patience : 300;
    c->workers = calloc(options->count, sizeof *c->workers);
    c->tries = calloc(options->rows + 1, 1);
    sa_status status = c->workers == NULL || c->tries == NULL
                           ? sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for workers")
                           : SA_OK;
    for (size_t i = 0; status == SA_OK && i < options->count; i++) {
        status = start(c, &c->workers[i], err);
    }
    status = status == SA_OK ? wait_for_hello(c, err) : status;
    if (status != SA_OK) {
        sa_crew_close(c);
        return status;
    }
    *out = c;
    return SA_OK;
}

void sa_crew_close(sa_crew *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; c->workers != NULL && i < c->options.count; i++) {
        reap(&c->workers[i]);
        sa_message_reader_free(&c->workers[i].reader);
        free(c->workers[i].rows);
    }
    free(c->workers);
    free(c->tries);
    free(c->suspects.rows);
    free(c->returned.rows);
    free(c->hello);
    free(c);
}

const char *sa_crew_hello(const sa_crew *c)
{
    return c->hello;
}

sa_crew_counts sa_crew_get_counts(const sa_crew *c)
{
    return c->counts;
}

/* ---- running ---- */

/* Is there room for a message, so that sending it does not wait for the worker to read? */
static bool may_send(const worker *w)
{
    struct pollfd fd = {.fd = w->socket, .events = POLLOUT};
    return poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT) != 0;
}

static bool hand_over(worker *w, size_t row)
{
    sa_error gone; /* then its socket says so, too */
    w->rows[w->held++] = row;
    return sa_message_send(w->socket, 'T', row, NULL, 0, &gone) == SA_OK;
}

static bool has_suspect(const sa_crew *c, const worker *w)
{
    return w->held == 1 && c->tries[w->rows[0]] > 0;
}

/* A suspect goes to a worker that has nothing else; else as many rows as it wants. */
static void hand_out(sa_crew *c, worker *w, const sa_crew_client *client)
{
    if (c->suspects.count > 0) {
        if (w->held == 0 && may_send(w)) {
            hand_over(w, c->suspects.rows[--c->suspects.count]);
        }
        return; /* nothing new until it is empty, or there are no suspects left */
    }
    size_t row;
    while (c->returned.count > 0 && w->held < w->window && !has_suspect(c, w) && may_send(w)) {
        hand_over(w, c->returned.rows[--c->returned.count]);
    }
    while (w->held < w->window && !has_suspect(c, w) && !c->no_more && may_send(w)) {
        c->no_more = !client->next(client->context, &row);
        if (c->no_more || !hand_over(w, row)) {
            return;
        }
    }
}

/* Nothing is left to be handed out, and nobody holds anything. */
static bool is_over(const sa_crew *c)
{
    bool over = c->no_more && c->suspects.count == 0 && c->returned.count == 0;
    for (size_t i = 0; i < c->options.count; i++) {
        over = over && c->workers[i].held == 0;
    }
    return over;
}

static sa_status check_left(const sa_crew *c, sa_error *err)
{
    for (size_t i = 0; i < c->options.count; i++) {
        if (!c->workers[i].given_up) {
            return SA_OK;
        }
    }
    if (c->last.status != SA_OK) {
        *err = c->last;
        return c->last.status;
    }
    return sa_fail(err, SA_NO_DEVICE, NULL, "see the messages above", "no worker is left");
}

/* It may have spoken while this process was asleep. */
static bool has_spoken(const worker *w)
{
    struct pollfd fd = {.fd = w->socket, .events = POLLIN};
    return poll(&fd, 1, 0) != 0;
}

/* A model may take its time to load. */
static bool is_silent(const sa_crew *c, const worker *w)
{
    double most = w->window == 0 ? fmax(c->options.patience, HELLO_SECONDS) : c->options.patience;
    return sa_clock_seconds() - w->heard > most && !has_spoken(w);
}

static sa_status attend(sa_crew *c, worker *w, bool spoke, const sa_crew_client *client, sa_error *err)
{
    bool ended = false;
    if (w->process == 0) {
        return SA_OK;
    }
    if (spoke) {
        sa_error why = {0};
        sa_status status = listen_to(c, w, client, &ended, &why);
        if (status == SA_BAD_INPUT) { /* it is out of its mind */
            sa_log_error(c->options.log, &why);
            return bury(c, w, RAVED, client, err);
        }
        if (status != SA_OK) {
            *err = why;
            return status;
        }
    }
    if (ended || is_silent(c, w)) {
        SA_TRY(bury(c, w, ended ? DIED : HUNG, client, err));
        return check_left(c, err);
    }
    if (w->window > 0) {
        hand_out(c, w, client);
    }
    return SA_OK;
}

/* The last words of those that live: their counts. */
static void say_goodbye(sa_crew *c, const sa_crew_client *client)
{
    struct pollfd fds[SA_CREW_MOST];
    size_t left = c->options.count;
    for (size_t i = 0; i < c->options.count; i++) {
        sa_error gone;
        worker *w = &c->workers[i];
        if (w->process != 0 && w->window > 0) {
            sa_message_send(w->socket, 'E', 0, NULL, 0, &gone);
        } else {
            reap(w);
        }
    }
    while (left > 0) {
        left = 0;
        if (client->interrupted != NULL && client->interrupted(client->context)) {
            return; /* all rows are done */
        }
        wait_for_words(c, fds);
        for (size_t i = 0; i < c->options.count; i++) {
            worker *w = &c->workers[i];
            bool ended = false;
            sa_error ignored; /* all rows are done: what it may have to tell besides is no reason to fail */
            if (w->process != 0 && fds[i].revents != 0 &&
                listen_to(c, w, client, &ended, &ignored) != SA_OK) {
                ended = true;
            }
            if (ended || (w->process != 0 && sa_clock_seconds() - w->heard > c->options.patience)) {
                reap(w);
            }
            left += w->process != 0;
        }
    }
}

sa_status sa_crew_run(sa_crew *c, const sa_crew_client *client, sa_error *err)
{
    struct pollfd fds[SA_CREW_MOST];
    memset(fds, 0, sizeof fds);
    for (size_t i = 0; i < c->options.count; i++) {
        worker *w = &c->workers[i];
        w->heard = sa_clock_seconds();
        if (w->given_up) { /* it died while another one said hello: it may try again */
            w->given_up = false;
            SA_TRY(start(c, w, err));
        }
    }
    for (;;) {
        if (client->interrupted != NULL && client->interrupted(client->context)) {
            return sa_fail(err, SA_INTERRUPTED, NULL, "run the same command again to go on", "interrupted");
        }
        for (size_t i = 0; i < c->options.count; i++) {
            SA_TRY(attend(c, &c->workers[i], fds[i].revents != 0, client, err));
        }
        if (is_over(c)) {
            say_goodbye(c, client);
            return SA_OK;
        }
        wait_for_words(c, fds);
    }
}
