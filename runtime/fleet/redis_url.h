/*
 * Where a queue lives:
 *
 *   redis://[user:password@]host[:port][/db]/NAME
 *   redis+unix:/path/of/the/socket?NAME
 *
 * NAME is that of the run, 1 to 100 of [A-Za-z0-9._-]. %XX stands for a byte in user and password; a host
 * with colons stands in brackets. The port is 6379 and the database 0 unless they are given.
 */
#ifndef SA_FLEET_REDIS_URL_H
#define SA_FLEET_REDIS_URL_H

#include "runtime/base/status.h"

enum { SA_REDIS_NAME = 100 };

typedef struct {
    char host[256]; /* "" for a socket of this machine */
    char path[104]; /* "" unless it is one */
    int port, database;
    char user[128], password[512]; /* "": none */
    char name[SA_REDIS_NAME + 1];
    char place[512]; /* the URL without user and password, fit to be shown */
} sa_redis_url;

/* SA_BAD_USAGE, with an error that repeats nothing of the text: anything in a bad one may be a password. */
sa_status sa_redis_url_parse(sa_redis_url *url, const char *text, sa_error *err);

#endif
