#define _GNU_SOURCE
#include "runtime/fleet/redis_link.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/base/clock.h"
#include "runtime/fleet/redis_link_parts.h"

enum {
    FIRST_PAUSE_MS = 50, /* after a failure; doubled by each */
    MOST_PAUSE_MS = 1000,
    NAP_MS = 100, /* between two looks at stop() */
};

/* ---- opening ---- */

sa_status redis_link_open(redis_link **link, const sa_redis_url *url, const redis_link_options *options,
                          sa_error *err)
{
    *link = calloc(1, sizeof **link);
    if (*link == NULL) {
        return sa_fail(err, SA_NO_ROOM, url->place, "free some memory", "no memory for a connection");
    }
    (*link)->url = *url;
    (*link)->options = *options;
    return SA_OK;
}

void redis_link_close(redis_link *link)
{
    if (link != NULL) {
        link_disconnect(link);
        explicit_bzero(&link->url, sizeof link->url);
        free(link);
    }
}

unsigned long redis_link_connections(const redis_link *link)
{
    return link->connections;
}

const char *redis_link_place(const redis_link *link)
{
    return link->url.place;
}

int redis_link_patience(const redis_link *link)
{
    return link->options.patience_ms;
}

bool redis_link_stopped(const redis_link *link)
{
    return link->options.stop != NULL && link->options.stop(link->options.context);
}

void redis_link_free(redisReply **replies, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (replies[i] != NULL) {
            freeReplyObject(replies[i]);
            replies[i] = NULL;
        }
    }
}

/* ---- asking ---- */

static link_outcome exchange(redis_link *link, const redis_request *request, redisReply **replies,
                             sa_error *err)
{
    size_t most = request->most_reply > 0 ? request->most_reply : REDIS_LINK_REPLY;
    if (link->context == NULL) {
        link_outcome connected = link_connect(link, err);
        if (connected != LINK_DONE) {
            return connected;
        }
        link->connections++;
    }
    link->received = 0;
    link_outcome result = link_send(link, request->bytes, request->size, err);
    for (size_t i = 0; result == LINK_DONE && i < request->commands; i++) {
        result = link_receive(link, request->wait_ms, most, &replies[i], err);
    }
    return result;
}

/* One try: on LINK_DONE all replies are there, and none is an error. */
static link_outcome try_once(redis_link *link, const redis_request *request, redisReply **replies,
                             sa_error *err)
{
    memset(replies, 0, request->commands * sizeof *replies);
    link_outcome result = exchange(link, request, replies, err);
    bool broken = result != LINK_DONE;
    for (size_t i = 0; result == LINK_DONE && i < request->commands; i++) {
        if (replies[i]->type == REDIS_REPLY_ERROR) {
            result = link_judge(link, replies[i], err);
            broken = link_begins(replies[i]->str, "READONLY"); /* another server may answer by now */
        }
    }
    if (result != LINK_DONE) {
        redis_link_free(replies, request->commands);
    }
    if (broken) {
        link_disconnect(link);
    }
    return result;
}

sa_status redis_link_sleep(const redis_link *link, int ms, sa_error *err)
{
    for (; ms > 0; ms -= NAP_MS) {
        int nap = ms < NAP_MS ? ms : NAP_MS;
        if (redis_link_stopped(link)) {
            return sa_fail(err, SA_INTERRUPTED, NULL, NULL, "interrupted");
        }
        nanosleep(&(struct timespec){.tv_nsec = nap * 1000000L}, NULL);
    }
    return SA_OK;
}

sa_status redis_link_ask(redis_link *link, const redis_request *request, redisReply **replies, sa_error *err)
{
    sa_error why;
    int pause = FIRST_PAUSE_MS;
    double begin = 0.0;
    if (request->failed) {
        return sa_fail(err, SA_NO_ROOM, link->url.place, "free some memory", "no memory for a request");
    }
    for (bool first = true;; first = false) {
        link_outcome result = try_once(link, request, replies, &why);
        if (result == LINK_DONE) {
            if (!first) {
                sa_log_message(link->options.log, SA_LOG_INFO, "%s: the server works again", link->url.place);
            }
            return SA_OK;
        }
        begin = first ? sa_clock_seconds() : begin;
        double spent = 1e3 * (sa_clock_seconds() - begin);
        if (result == LINK_FAILED) {
            return sa_fail(err, why.status, why.file, why.hint, "%s", why.reason);
        }
        if (spent >= link->options.patience_ms) {
            return sa_fail(err, SA_IO, why.file, "start redis-server, and give the same command again",
                           "%s; gave up after %.0f s", why.reason, 1e-3 * spent);
        }
        if (first) {
            sa_log_message(link->options.log, SA_LOG_WARNING, "%s: %s; trying for %d s", why.file, why.reason,
                           link->options.patience_ms / 1000);
        }
        int left = link->options.patience_ms - (int)spent;
        SA_TRY(redis_link_sleep(link, pause < left ? pause : left, err));
        pause = pause * 2 < MOST_PAUSE_MS ? pause * 2 : MOST_PAUSE_MS;
    }
}
