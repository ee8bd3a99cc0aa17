/* Inside of a connection (redis_link.h): one connection, and one exchange over it. */
#ifndef SA_FLEET_REDIS_LINK_PARTS_H
#define SA_FLEET_REDIS_LINK_PARTS_H

#include "runtime/fleet/redis_link.h"

/* What came of one try. */
typedef enum {
    LINK_DONE,
    LINK_AGAIN,  /* the error is one that may pass */
    LINK_FAILED, /* not this one */
} link_outcome;

/* Of hiredis' function that makes a list: the type differs between its versions. */
#if HIREDIS_MAJOR == 0
typedef int redis_list_length;
#else
typedef size_t redis_list_length;
#endif

struct redis_link {
    sa_redis_url url;
    redis_link_options options;
    redisContext *context; /* NULL: not connected */
    redisReplyObjectFunctions makers;
    void *(*make_list)(const redisReadTask *, redis_list_length);
    size_t received; /* bytes, of the request's answers */
    unsigned long connections;
};

/* A new connection, logged in, instead of none. */
link_outcome link_connect(redis_link *link, sa_error *err);
void link_disconnect(redis_link *link);

link_outcome link_send(redis_link *link, const char *bytes, size_t size, sa_error *err);
/* The next reply, which may be an error. The server may keep quiet for wait_ms more than usual. */
link_outcome link_receive(redis_link *link, int wait_ms, size_t most, redisReply **reply, sa_error *err);
/* How long the server may keep quiet. */
int link_quiet_ms(const redis_link *link);

/* Of a text that begins so, or of an error that passes by itself or when somebody mends the server. */
bool link_begins(const char *text, const char *with);
bool link_may_pass(const char *text);
/* What becomes of an exchange with this error in its answer. */
link_outcome link_judge(redis_link *link, const redisReply *reply, sa_error *err);

#endif
