/* How a connection begins; of hiredis here: how to connect, and the parser of answers, which gets limits. */
#define _GNU_SOURCE
#include <string.h>

#include "runtime/fleet/redis_link_parts.h"

/* Stands before hiredis' own function, which would make any list that is announced. */
static void *make_list(const redisReadTask *task, redis_list_length length)
{
    redis_link *link = task->privdata;
    return (size_t)length <= REDIS_LINK_LIST ? link->make_list(task, length) : NULL;
}

/* One command while connecting: LINK_DONE also if the server refuses it, with *refused. */
static link_outcome ask_first(redis_link *link, const redis_request *request, bool *refused, sa_error *err)
{
    redisReply *reply = NULL;
    link_outcome result = LINK_FAILED;
    *refused = false;
    if (request->failed) {
        sa_fail(err, SA_NO_ROOM, link->url.place, "free some memory", "no memory to connect");
        return LINK_FAILED;
    }
    result = link_send(link, request->bytes, request->size, err);
    if (result == LINK_DONE) {
        result = link_receive(link, 0, REDIS_LINK_REPLY, &reply, err);
    }
    if (result == LINK_DONE && reply->type == REDIS_REPLY_ERROR && link_may_pass(reply->str)) {
        result = link_judge(link, reply, err);
    } else if (result == LINK_DONE) {
        *refused = reply->type != REDIS_REPLY_STATUS;
    }
    redis_link_free(&reply, 1);
    return result;
}

static link_outcome log_in(redis_link *link, sa_error *err)
{
    const sa_redis_url *url = &link->url;
    if (url->password[0] == '\0') {
        return LINK_DONE;
    }
    redis_request request = {0};
    bool refused;
    redis_request_begin(&request, url->user[0] != '\0' ? 3 : 2);
    redis_request_text(&request, "AUTH");
    if (url->user[0] != '\0') {
        redis_request_text(&request, url->user);
    }
    redis_request_text(&request, url->password);
    link_outcome result = ask_first(link, &request, &refused, err);
    if (request.bytes != NULL) {
        explicit_bzero(request.bytes, request.room);
    }
    redis_request_free(&request);
    if (result == LINK_DONE && refused) {
        sa_fail(err, SA_BAD_USAGE, url->place, "check them", "the server refuses the user or the password");
        return LINK_FAILED;
    }
    return result;
}

static link_outcome choose_database(redis_link *link, sa_error *err)
{
    if (link->url.database == 0) {
        return LINK_DONE;
    }
    redis_request request = {0};
    bool refused;
    redis_request_begin(&request, 2);
    redis_request_text(&request, "SELECT");
    redis_request_number(&request, (uint64_t)link->url.database);
    link_outcome result = ask_first(link, &request, &refused, err);
    redis_request_free(&request);
    if (result == LINK_DONE && refused) {
        sa_fail(err, SA_BAD_USAGE, link->url.place, "leave it out, or use a password",
                "the server refuses database %d", link->url.database);
        return LINK_FAILED;
    }
    return result;
}

link_outcome link_connect(redis_link *link, sa_error *err)
{
    const sa_redis_url *url = &link->url;
    int ms = link_quiet_ms(link);
    const struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
    redisContext *c = url->path[0] != '\0' ? redisConnectUnixWithTimeout(url->path, limit)
                                           : redisConnectWithTimeout(url->host, url->port, limit);
    if (c == NULL || c->err != 0) {
        sa_fail(err, SA_IO, url->place, NULL, "cannot connect: %s", c != NULL ? c->errstr : "no memory");
        if (c != NULL) {
            redisFree(c);
        }
        return LINK_AGAIN;
    }
    link->context = c;
    link->received = 0;
    link->makers = *c->reader->fn;
    link->make_list = link->makers.createArray;
    link->makers.createArray = make_list;
    c->reader->fn = &link->makers;
    c->reader->privdata = link;
    if (url->path[0] == '\0') {
        redisEnableKeepAlive(c); /* best effort */
    }
    link_outcome result = log_in(link, err);
    return result == LINK_DONE ? choose_database(link, err) : result;
}

void link_disconnect(redis_link *link)
{
    if (link->context != NULL) {
        redisFree(link->context);
        link->context = NULL;
    }
}
