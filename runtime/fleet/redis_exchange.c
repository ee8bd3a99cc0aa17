/*
 * Bytes to the server and replies from it. hiredis parses them only: here each wait has an end, and a broken
 * connection raises no SIGPIPE.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/base/clock.h"
#include "runtime/fleet/redis_link_parts.h"

enum {
    LEAST_QUIET_MS = 1000,
    MOST_QUIET_MS = 10000, /* a server that says nothing for so long is lost */
    CHUNK = 1 << 16,
};

/* ---- bytes ---- */

int link_quiet_ms(const redis_link *link)
{
    int patience = link->options.patience_ms;
    return patience < LEAST_QUIET_MS ? LEAST_QUIET_MS : patience > MOST_QUIET_MS ? MOST_QUIET_MS : patience;
}

static link_outcome lost(redis_link *link, sa_error *err, const char *what, int number)
{
    sa_fail(err, SA_IO, link->url.place, NULL, "%s%s%s", what, number != 0 ? ": " : "",
            number != 0 ? strerror(number) : "");
    return LINK_AGAIN;
}

/* Until the socket can be read from or written to. */
static link_outcome await(redis_link *link, short event, int ms, sa_error *err)
{
    struct pollfd wanted = {.fd = link->context->fd, .events = event};
    double end = sa_clock_seconds() + 1e-3 * ms;
    for (;;) {
        double left = 1e3 * (end - sa_clock_seconds());
        int ready = poll(&wanted, 1, left > 0 ? (int)left + 1 : 0);
        if (ready > 0) {
            return LINK_DONE;
        } else if (ready == 0) {
            return lost(link, err, "the server does not answer", 0);
        } else if (errno != EINTR) {
            return lost(link, err, "cannot wait for the server", errno);
        }
    }
}

static bool try_again(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

link_outcome link_send(redis_link *link, const char *bytes, size_t size, sa_error *err)
{
    for (size_t at = 0; at < size;) {
        ssize_t sent = send(link->context->fd, bytes + at, size - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            at += (size_t)sent;
        } else if (sent < 0 && !try_again()) {
            return lost(link, err, "the connection broke", errno);
        } else {
            link_outcome ready = await(link, POLLOUT, link_quiet_ms(link), err);
            if (ready != LINK_DONE) {
                return ready;
            }
        }
    }
    return LINK_DONE;
}

static link_outcome receive_some(redis_link *link, int wait_ms, sa_error *err)
{
    char bytes[CHUNK];
    link_outcome ready = await(link, POLLIN, link_quiet_ms(link) + wait_ms, err);
    if (ready != LINK_DONE) {
        return ready;
    }
    ssize_t got = recv(link->context->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got == 0) {
        return lost(link, err, "the server closed the connection", 0);
    } else if (got < 0) {
        return try_again() ? LINK_DONE : lost(link, err, "the connection broke", errno);
    }
    link->received += (size_t)got;
    if (redisReaderFeed(link->context->reader, bytes, (size_t)got) != REDIS_OK) {
        sa_fail(err, SA_NO_ROOM, link->url.place, "free some memory", "no memory for an answer");
        return LINK_FAILED;
    }
    return LINK_DONE;
}

link_outcome link_receive(redis_link *link, int wait_ms, size_t most, redisReply **reply, sa_error *err)
{
    redisReader *reader = link->context->reader;
    static const char hint[] = "check that redis-server listens there";
    for (;;) {
        void *got = NULL;
        if (redisReaderGetReply(reader, &got) != REDIS_OK) {
            bool large = reader->err == REDIS_ERR_OOM;
            sa_fail(err, SA_IO, link->url.place, hint,
                    large ? "an answer holds too much"
                          : "what answers there does not speak Redis's protocol");
            return LINK_FAILED;
        }
        if (got != NULL) {
            *reply = got;
            return LINK_DONE;
        }
        if (link->received > most) {
            sa_fail(err, SA_IO, link->url.place, hint, "an answer is longer than %zu bytes", most);
            return LINK_FAILED;
        }
        link_outcome more = receive_some(link, wait_ms, err);
        if (more != LINK_DONE) {
            return more;
        }
    }
}

/* ---- errors that the server reports ---- */

bool link_begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Errors that pass by themselves, or when somebody mends the server. */
bool link_may_pass(const char *text)
{
    static const char *const words[] = {"LOADING ",       "BUSY ",        "MASTERDOWN ",
                                        "TRYAGAIN ",      "CLUSTERDOWN ", "READONLY ",
                                        "OOM ",           "MISCONF ",     "NOREPLICAS ",
                                        "UNBLOCKED ",     "NOMASTERLINK", "ERR max number of clients",
                                        "ERR max clients"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (link_begins(text, words[i])) {
            return true;
        }
    }
    return false;
}

/* A server gone bad could say the password that it was told. */
static const char *words_of(const redis_link *link, const redisReply *reply)
{
    bool secret = link->url.password[0] != '\0' && strstr(reply->str, link->url.password) != NULL;
    return secret ? "words that cannot be shown" : reply->str;
}

link_outcome link_judge(redis_link *link, const redisReply *reply, sa_error *err)
{
    if (link_begins(reply->str, "NOAUTH")) {
        sa_fail(err, SA_BAD_USAGE, link->url.place, "redis://user:password@host/NAME",
                "the server wants a password");
        return LINK_FAILED;
    }
    bool passes = link_may_pass(reply->str);
    sa_fail(err, SA_IO, link->url.place,
            passes ? NULL : "Redis 6.2 or newer is needed, without foreign keys of these names",
            "the server says: %.300s", words_of(link, reply));
    return passes ? LINK_AGAIN : LINK_FAILED;
}
