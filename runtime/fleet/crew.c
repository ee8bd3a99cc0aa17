/* Who gets which row, from the first worker's hello to the last one's counts. */
#include "runtime/fleet/crew.h"

#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/sizes.h"
#include "runtime/fleet/crew_parts.h"

enum { POLL_MS = 200, HELLO_SECONDS = 600 };

/* Waits for words of any of them. */
static void wait_for_words(const sa_crew *c, struct pollfd *fds)
{
    for (size_t i = 0; i < c->options.count; i++) {
        const sa_crew_worker *w = &c->workers[i];
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
            sa_crew_worker *w = &c->workers[i];
            bool ended = false;
            if (w->process != 0 && fds[i].revents != 0) {
                SA_TRY(sa_crew_listen(c, w, NULL, &ended, err));
            }
            if (ended) {
                sa_crew_reap(w);
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
        status = sa_crew_start(c, &c->workers[i], err);
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
        sa_crew_reap(&c->workers[i]);
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
static bool may_send(const sa_crew_worker *w)
{
    struct pollfd fd = {.fd = w->socket, .events = POLLOUT};
    return poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT) != 0;
}

static bool hand_over(sa_crew_worker *w, size_t row)
{
    sa_error gone; /* then its socket says so, too */
    w->rows[w->held++] = row;
    return sa_message_send(w->socket, 'T', row, NULL, 0, &gone) == SA_OK;
}

static bool has_suspect(const sa_crew *c, const sa_crew_worker *w)
{
    return w->held == 1 && c->tries[w->rows[0]] > 0;
}

/* What a worker may hold: what it wants, and its share of what is not done. */
static size_t most_held(const sa_crew *c, const sa_crew_worker *w, const sa_crew_client *client)
{
    size_t workers = 0, left = client->left(client->context);
    for (size_t i = 0; i < c->options.count; i++) {
        workers += !c->workers[i].given_up;
    }
    return sa_least(w->window, sa_most(1, (left + workers - 1) / workers));
}

/* A suspect goes to a worker that has nothing else; else as many rows as it may hold. */
static void hand_out(sa_crew *c, sa_crew_worker *w, const sa_crew_client *client)
{
    if (c->suspects.count > 0) {
        if (w->held == 0 && may_send(w)) {
            hand_over(w, c->suspects.rows[--c->suspects.count]);
        }
        return; /* nothing new until it is empty, or there are no suspects left */
    }
    size_t row, most = most_held(c, w, client);
    while (c->returned.count > 0 && w->held < most && !has_suspect(c, w) && may_send(w)) {
        hand_over(w, c->returned.rows[--c->returned.count]);
    }
    while (w->held < most && !has_suspect(c, w) && !c->no_more && may_send(w)) {
        c->no_more = !client->next(client->context, &row);
        if (c->no_more || !hand_over(w, row)) {
            return;
        }
    }
}

static sa_status check_workers(const sa_crew *c, sa_error *err)
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
static bool has_spoken(const sa_crew_worker *w)
{
    struct pollfd fd = {.fd = w->socket, .events = POLLIN};
    return poll(&fd, 1, 0) != 0;
}

/* A model may take its time to load. */
static bool is_silent(const sa_crew *c, const sa_crew_worker *w)
{
    double most = w->window == 0 ? fmax(c->options.patience, HELLO_SECONDS) : c->options.patience;
    return sa_clock_seconds() - w->heard > most && !has_spoken(w);
}

static sa_status attend(sa_crew *c, sa_crew_worker *w, bool spoke, const sa_crew_client *client,
                        sa_error *err)
{
    bool ended = false;
    if (w->process == 0) {
        return SA_OK;
    }
    if (spoke) {
        sa_error why = {0};
        sa_status status = sa_crew_listen(c, w, client, &ended, &why);
        if (status == SA_BAD_INPUT) { /* it is out of its mind */
            sa_log_error(c->options.log, &why);
            return sa_crew_bury(c, w, SA_CREW_RAVED, client, err);
        }
        if (status != SA_OK) {
            *err = why;
            return status;
        }
    }
    if (ended || is_silent(c, w)) {
        return sa_crew_bury(c, w, ended ? SA_CREW_DIED : SA_CREW_HUNG, client, err);
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
        sa_crew_worker *w = &c->workers[i];
        if (w->process != 0 && w->window > 0) {
            sa_message_send(w->socket, 'E', 0, NULL, 0, &gone);
        } else {
            sa_crew_reap(w);
        }
    }
    while (left > 0) {
        left = 0;
        if (client->interrupted != NULL && client->interrupted(client->context)) {
            return; /* all rows are done */
        }
        wait_for_words(c, fds);
        for (size_t i = 0; i < c->options.count; i++) {
            sa_crew_worker *w = &c->workers[i];
            bool ended = false;
            sa_error ignored; /* all rows are done: what it may have to tell besides is no reason to fail */
            if (w->process != 0 && fds[i].revents != 0 &&
                sa_crew_listen(c, w, client, &ended, &ignored) != SA_OK) {
                ended = true;
            }
            if (ended || (w->process != 0 && sa_clock_seconds() - w->heard > c->options.patience)) {
                sa_crew_reap(w);
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
        sa_crew_worker *w = &c->workers[i];
        w->heard = sa_clock_seconds();
        if (w->given_up) { /* it died while another one said hello: it may try again */
            w->given_up = false;
            SA_TRY(sa_crew_start(c, w, err));
        }
    }
    for (;;) {
        if (client->interrupted != NULL && client->interrupted(client->context)) {
            return sa_fail(err, SA_INTERRUPTED, NULL, "run the same command again to go on", "interrupted");
        }
        for (size_t i = 0; i < c->options.count; i++) {
            SA_TRY(attend(c, &c->workers[i], fds[i].revents != 0, client, err));
        }
        if (client->left(client->context) == 0) {
            say_goodbye(c, client);
            return SA_OK;
        }
        SA_TRY(check_workers(c, err));
        wait_for_words(c, fds);
    }
}
