#include "runtime/fleet/redis_url.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { DEFAULT_PORT = 6379, MOST_PORT = 65535, MOST_DATABASE = 1 << 20 };

static const char SCHEME[] = "redis://", SOCKET_SCHEME[] = "redis+unix:", TLS_SCHEME[] = "rediss://";

/* A piece of the URL. */
typedef struct {
    const char *at;
    size_t size;
} piece;

static sa_status refuse(sa_error *err, const char *reason)
{
    return sa_fail(err, SA_BAD_USAGE, "URL of the queue",
                   "redis://[user:password@]host[:port][/db]/NAME or redis+unix:/path?NAME", "%s", reason);
}

/* All before the first `mark` (the last one with `last`); the rest, behind it, stays. False: there is none.
 */
static bool cut(piece *rest, piece *before, char mark, bool last)
{
    for (size_t i = 0; i < rest->size; i++) {
        size_t at = last ? rest->size - 1 - i : i;
        if (rest->at[at] == mark) {
            *before = (piece){rest->at, at};
            *rest = (piece){rest->at + at + 1, rest->size - at - 1};
            return true;
        }
    }
    return false;
}

static bool copy(char *out, size_t room, piece from)
{
    if (from.size >= room) {
        return false;
    }
    memcpy(out, from.at, from.size);
    out[from.size] = '\0';
    return true;
}

static bool read_number(piece from, int most, int *number)
{
    *number = 0;
    for (size_t i = 0; i < from.size; i++) {
        if (from.at[i] < '0' || from.at[i] > '9' || *number > most) {
            return false;
        }
        *number = *number * 10 + (from.at[i] - '0');
    }
    return from.size > 0 && *number <= most;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

/* %XX becomes a byte, other than zero. */
static bool copy_decoded(char *out, size_t room, piece from)
{
    size_t size = 0;
    for (size_t i = 0; i < from.size; i++) {
        int byte = (unsigned char)from.at[i];
        if (from.at[i] == '%') {
            int high = i + 2 < from.size ? hex_digit(from.at[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(from.at[i + 2]) : -1;
            byte = high * 16 + low;
            if (high < 0 || low < 0 || byte == 0) {
                return false;
            }
            i += 2;
        }
        if (size + 1 >= room) {
            return false;
        }
        out[size++] = (char)byte;
    }
    out[size] = '\0';
    return true;
}

static bool is_name(piece from)
{
    for (size_t i = 0; i < from.size; i++) {
        char c = from.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '.' && c != '_' && c != '-') {
            return false;
        }
    }
    return from.size > 0 && from.size <= SA_REDIS_NAME;
}

/* "[db/]NAME" */
static sa_status read_name(sa_redis_url *url, piece rest, sa_error *err)
{
    piece database;
    if (cut(&rest, &database, '/', false) && !read_number(database, MOST_DATABASE, &url->database)) {
        return refuse(err, "what stands before its name is no number of a database");
    }
    if (!is_name(rest) || !copy(url->name, sizeof url->name, rest)) {
        return refuse(err, "it needs the name of a run at its end: 1 to 100 of A-Z a-z 0-9 . _ -");
    }
    return SA_OK;
}

static sa_status read_user(sa_redis_url *url, piece *rest, sa_error *err)
{
    piece user, password;
    if (!cut(rest, &password, '@', true)) {
        return SA_OK;
    }
    if (!cut(&password, &user, ':', false) || password.size == 0) {
        return refuse(err, "what stands before its @ is no user:password");
    }
    if (!copy_decoded(url->user, sizeof url->user, user) ||
        !copy_decoded(url->password, sizeof url->password, password)) {
        return refuse(err, "its user or password is too long, or has a % without two hexadecimal digits");
    }
    return SA_OK;
}

/* No blanks and the like: it is shown. */
static bool is_host(piece from)
{
    for (size_t i = 0; i < from.size; i++) {
        if (from.at[i] <= ' ' || from.at[i] == 0x7f || strchr("[]@?#%\"'\\", from.at[i]) != NULL) {
            return false;
        }
    }
    return from.size > 0;
}

/* "host[:port]" or "[host][:port]" */
static sa_status read_host(sa_redis_url *url, piece rest, sa_error *err)
{
    piece host = rest, port = {0};
    bool bracket = rest.size > 0 && rest.at[0] == '[', with_port;
    if (bracket) {
        rest = (piece){rest.at + 1, rest.size - 1};
        if (!cut(&rest, &host, ']', false) || (rest.size > 0 && rest.at[0] != ':')) {
            return refuse(err, "the bracket around its host is not closed");
        }
        with_port = rest.size > 0;
        port = with_port ? (piece){rest.at + 1, rest.size - 1} : port;
    } else {
        with_port = cut(&rest, &host, ':', false);
        port = rest;
    }
    if (!is_host(host) || !copy(url->host, sizeof url->host, host)) {
        return refuse(err, "it names no host");
    }
    if (with_port && (!read_number(port, MOST_PORT, &url->port) || url->port == 0)) {
        return refuse(err, "its port is not one of 1 to 65535");
    }
    return SA_OK;
}

static sa_status parse_network(sa_redis_url *url, piece rest, sa_error *err)
{
    piece place;
    if (!cut(&rest, &place, '/', false)) {
        return refuse(err, "it needs the name of a run at its end: 1 to 100 of A-Z a-z 0-9 . _ -");
    }
    SA_TRY(read_user(url, &place, err));
    SA_TRY(read_host(url, place, err));
    SA_TRY(read_name(url, rest, err));
    bool colons = strchr(url->host, ':') != NULL;
    snprintf(url->place, sizeof url->place, "%s%s%s%s:%d/%d/%s", SCHEME, colons ? "[" : "", url->host,
             colons ? "]" : "", url->port, url->database, url->name);
    return SA_OK;
}

static sa_status parse_socket(sa_redis_url *url, piece rest, sa_error *err)
{
    piece path;
    if (!cut(&rest, &path, '?', true) || path.size == 0 || !copy(url->path, sizeof url->path, path)) {
        return refuse(err, "it needs the path of a socket, up to 103 bytes, and ?NAME behind it");
    }
    SA_TRY(read_name(url, rest, err));
    snprintf(url->place, sizeof url->place, "%s%s?%d/%s", SOCKET_SCHEME, url->path, url->database, url->name);
    return SA_OK;
}

sa_status sa_redis_url_parse(sa_redis_url *url, const char *text, sa_error *err)
{
    *url = (sa_redis_url){.port = DEFAULT_PORT};
    if (strncmp(text, SCHEME, sizeof SCHEME - 1) == 0) {
        text += sizeof SCHEME - 1;
        return parse_network(url, (piece){text, strlen(text)}, err);
    }
    if (strncmp(text, SOCKET_SCHEME, sizeof SOCKET_SCHEME - 1) == 0) {
        text += sizeof SOCKET_SCHEME - 1;
        return parse_socket(url, (piece){text, strlen(text)}, err);
    }
    if (strncmp(text, TLS_SCHEME, sizeof TLS_SCHEME - 1) == 0) {
        return refuse(err, "connections with TLS are not supported: use a tunnel");
    }
    return refuse(err, "it does not begin with redis:// or redis+unix:");
}
