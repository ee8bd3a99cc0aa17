#include "runtime/fleet/worker.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/clock.h"
#include "runtime/fleet/message.h"
#include "runtime/fleet/reason.h"

enum { BEAT_SECONDS = 1 };

struct sa_worker {
    int socket;
    sa_message_reader reader; /* of the one that takes */
    pthread_mutex_t lock;     /* of what is sent */
    double said;              /* when it last said something */
};

bool sa_worker_is_wanted(void)
{
    return getenv(SA_WORKER_SOCKET) != NULL;
}

/* ---- talking ---- */

static sa_status say(sa_worker *w, char kind, size_t row, const char *bytes, size_t size, sa_error *err)
{
    pthread_mutex_lock(&w->lock);
    w->said = sa_clock_seconds();
    sa_status status = sa_message_send(w->socket, kind, row, bytes, size, err);
    pthread_mutex_unlock(&w->lock);
    return status;
}

static sa_status say_json(sa_worker *w, char kind, size_t row, json_t *json, sa_error *err)
{
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    sa_status status = text != NULL ? say(w, kind, row, text, strlen(text), err)
                                    : sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a message");
    free(text);
    json_decref(json);
    return status;
}

static sa_status say_reason(sa_worker *w, char kind, size_t row, const sa_error *why, sa_error *err)
{
    char *text = sa_reason_write(why);
    sa_status status = text != NULL ? say(w, kind, row, text, strlen(text), err)
                                    : sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a message");
    free(text);
    return status;
}

/* The next message, waited for; false: the parent is gone. */
static bool hear(sa_worker *w, sa_wire_message *m)
{
    sa_error ignored;
    bool ended = false, found = false;
    while (!ended && !found) {
        if (sa_message_next(&w->reader, m, &found, &ignored) != SA_OK) {
            return false;
        }
        if (!found && sa_message_receive(&w->reader, w->socket, &ended, &ignored) != SA_OK) {
            return false;
        }
    }
    return found;
}

/* ---- opening ---- */

static sa_status read_setup(sa_worker *w, sa_worker_setup *setup, sa_error *err)
{
    sa_wire_message m;
    json_t *json = hear(w, &m) && m.kind == 'S' ? json_loadb(m.bytes, m.size, 0, NULL) : NULL;
    const char *device = json_string_value(json_object_get(json, "device"));
    json_int_t threads = json_integer_value(json_object_get(json, "threads"));
    json_int_t workers = json_integer_value(json_object_get(json, "workers"));
    const char *fingerprint = json_string_value(json_object_get(json, "fingerprint"));
    bool good = device != NULL && fingerprint != NULL && threads >= 0 && workers >= 1;
    if (good) {
        snprintf(setup->device, sizeof setup->device, "%s", device);
        setup->threads = (size_t)threads;
        setup->workers = (size_t)workers;
        snprintf(setup->fingerprint, sizeof setup->fingerprint, "%s", fingerprint);
    }
    json_decref(json);
    return good ? SA_OK
                : sa_fail(err, SA_IO, NULL, NULL, "the parent of this worker does not say what to do");
}

sa_status sa_worker_open(sa_worker **out, sa_worker_setup *setup, sa_error *err)
{
    int socket = atoi(getenv(SA_WORKER_SOCKET));
    sa_worker *w = calloc(1, sizeof *w);
    unsetenv(SA_WORKER_SOCKET);
    if (w == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a worker");
    }
    w->socket = socket;
    pthread_mutex_init(&w->lock, NULL);
    sa_status status = fcntl(socket, F_SETFD, FD_CLOEXEC) == 0
                           ? read_setup(w, setup, err)
                           : sa_fail(err, SA_IO, SA_WORKER_SOCKET, "leave it unset", "it names no socket");
    if (status != SA_OK) {
        sa_worker_close(w);
        return status;
    }
    *out = w;
    return SA_OK;
}

void sa_worker_close(sa_worker *w)
{
    if (w != NULL) {
        sa_message_reader_free(&w->reader);
        pthread_mutex_destroy(&w->lock);
        close(w->socket);
        free(w);
    }
}

sa_status sa_worker_say_hello(sa_worker *w, const char *device, const char *precision, size_t window,
                              sa_error *err)
{
    return say_json(
        w, 'H', 0,
        json_pack("{s:s, s:s, s:I}", "device", device, "precision", precision, "window", (json_int_t)window),
        err);
}

/* ---- rows ---- */

bool sa_worker_take(sa_worker *w, size_t *row)
{
    sa_wire_message m;
    if (!hear(w, &m) || m.kind != 'T') {
        return false;
    }
    *row = m.row;
    return true;
}

void sa_worker_stop_taking(sa_worker *w)
{
    shutdown(w->socket, SHUT_RD);
}

sa_status sa_worker_put(sa_worker *w, size_t row, const char *line, size_t size, sa_error *err)
{
    return say(w, 'R', row, line, size, err);
}

sa_status sa_worker_set_aside(sa_worker *w, size_t row, const sa_error *why, sa_error *err)
{
    return say_reason(w, 'Q', row, why, err);
}

sa_status sa_worker_beat(sa_worker *w, sa_error *err)
{
    pthread_mutex_lock(&w->lock);
    bool due = sa_clock_seconds() - w->said > BEAT_SECONDS;
    pthread_mutex_unlock(&w->lock);
    return due ? say(w, 'B', 0, NULL, 0, err) : SA_OK;
}

sa_status sa_worker_tell_counts(sa_worker *w, const char *json, size_t size, sa_error *err)
{
    return say(w, 'C', 0, json, size, err);
}

void sa_worker_tell_failure(sa_worker *w, const sa_error *why)
{
    sa_error gone;
    say_reason(w, 'F', 0, why, &gone);
}
