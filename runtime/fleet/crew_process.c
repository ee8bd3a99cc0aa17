/* Workers' births and deaths. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/fleet/crew_parts.h"
#include "runtime/fleet/worker.h"

enum { FRUITLESS = 3 }; /* deaths until a worker is not started again */

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

static sa_status send_setup(const sa_crew *c, const sa_crew_worker *w, sa_error *err)
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

sa_status sa_crew_start(sa_crew *c, sa_crew_worker *w, sa_error *err)
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

int sa_crew_reap(sa_crew_worker *w)
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
static int wait_for_end(sa_crew_worker *w)
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
    return sa_crew_reap(w);
}

/* ---- deaths ---- */

/* The row is handed out again: alone, if it may have been its fault. */
static sa_status put_back(sa_crew *c, size_t row, sa_error *err)
{
    sa_crew_rows *list = c->tries[row] > 0 ? &c->suspects : &c->returned;
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

static void tell_death(sa_crew *c, const sa_crew_worker *w, int status, sa_crew_fate how)
{
    char text[128];
    if (how == SA_CREW_HUNG) {
        snprintf(text, sizeof text, "said nothing for %.0f s", c->options.patience);
    } else if (how == SA_CREW_RAVED) {
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
sa_status sa_crew_bury(sa_crew *c, sa_crew_worker *w, sa_crew_fate how, const sa_crew_client *client,
                       sa_error *err)
{
    tell_death(c, w, how == SA_CREW_DIED ? wait_for_end(w) : sa_crew_reap(w), how);
    c->counts.died++;
    c->counts.hung += how == SA_CREW_HUNG;
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
    return w->given_up ? SA_OK : sa_crew_start(c, w, err);
}
