/*
 * A connection to redis-server that comes back: commands are sent, and sent again over a new connection when
 * the old one breaks before every reply is there. So every command that goes through here must be harmless
 * when it is done twice.
 *
 * Nothing that comes from the server is trusted: the bytes of an answer and the lengths of its lists are
 * limited, and a reply reaches the caller only if it is no error; its shape is for the caller to check.
 */
#ifndef SA_FLEET_REDIS_LINK_H
#define SA_FLEET_REDIS_LINK_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/log.h"
#include "runtime/base/status.h"
#include "runtime/fleet/redis_url.h"

enum {
    REDIS_LINK_LIST = 16384,   /* elements of one list in an answer */
    REDIS_LINK_REPLY = 1 << 22 /* bytes of all answers to a request, unless it says otherwise */
};

/* Commands in the form in which they are sent. All zeros is an empty one. */
typedef struct {
    char *bytes;
    size_t size, room;
    size_t commands;
    bool failed;       /* no memory: ask says so */
    int wait_ms;       /* the server may keep quiet for so long on top of the usual, because of BLOCK */
    size_t most_reply; /* bytes of all answers together; 0: REDIS_LINK_REPLY */
} redis_request;

/* Keeps the room. */
void redis_request_clear(redis_request *request);
void redis_request_free(redis_request *request);
/* A command of so many arguments, its name among them, which come next. */
void redis_request_begin(redis_request *request, size_t arguments);
void redis_request_put(redis_request *request, const void *bytes, size_t size);
void redis_request_text(redis_request *request, const char *text);
void redis_request_number(redis_request *request, uint64_t number);

typedef struct redis_link redis_link;

typedef struct {
    int patience_ms;
    bool (*stop)(void *context); /* NULL, or: asked while waiting for a lost server */
    void *context;
    sa_log *log;
} redis_link_options;

/* Connects by the first ask. SA_NO_ROOM. */
sa_status redis_link_open(redis_link **link, const sa_redis_url *url, const redis_link_options *options,
                          sa_error *err);
void redis_link_close(redis_link *link);

/*
 * replies[request->commands], none of them NULL or an error; the caller gives them to redis_link_free.
 * Without a connection, or while the server says that it cannot work now (it loads, is full, ...), again and
 * again until patience has run out. After a failure there are no replies:
 *   SA_IO           patience has run out; or the answer is not Redis's, too large, or an error of its own
 *   SA_BAD_USAGE    user or password are refused or missing
 *   SA_INTERRUPTED  stop() was true while waiting
 *   SA_NO_ROOM      no memory
 */
sa_status redis_link_ask(redis_link *link, const redis_request *request, redisReply **replies, sa_error *err);
void redis_link_free(redisReply **replies, size_t count);

/* How many times it has connected: if the number is another, the server may be another, too. */
unsigned long redis_link_connections(const redis_link *link);
/* The URL without user and password. */
const char *redis_link_place(const redis_link *link);
int redis_link_patience(const redis_link *link);
/* stop(), which may be NULL. */
bool redis_link_stopped(const redis_link *link);
/* Sleeps, in short pieces; SA_INTERRUPTED once stop() is true. */
sa_status redis_link_sleep(const redis_link *link, int ms, sa_error *err);

#endif
