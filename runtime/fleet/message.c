#include "runtime/fleet/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { HEAD = 64, PIECE = 1 << 16 };

/* ---- sending ---- */

static sa_status send_all(int socket, const char *bytes, size_t size, sa_error *err)
{
    while (size > 0) {
        ssize_t sent = send(socket, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            return sa_fail(err, SA_IO, NULL, NULL, "the other process is gone: %s", strerror(errno));
        }
        bytes += sent;
        size -= (size_t)sent;
    }
    return SA_OK;
}

sa_status sa_message_send(int socket, char kind, size_t row, const char *bytes, size_t size, sa_error *err)
{
    char head[HEAD];
    SA_ASSERT(size <= SA_MESSAGE_LIMIT);
    int length = snprintf(head, sizeof head, "%c %zu %zu\n", kind, row, size);
    SA_TRY(send_all(socket, head, (size_t)length, err));
    return send_all(socket, bytes, size, err);
}

/* ---- receiving ---- */

void sa_message_reader_free(sa_message_reader *r)
{
    free(r->bytes);
    *r = (sa_message_reader){0};
}

/* Room for one more piece, and a zero byte behind it. */
static sa_status make_room(sa_message_reader *r, sa_error *err)
{
    if (r->begin > 0 && r->begin >= r->end / 2) {
        memmove(r->bytes, r->bytes + r->begin, r->end - r->begin);
        r->end -= r->begin;
        r->begin = 0;
    }
    if (r->room - r->end > PIECE) {
        return SA_OK;
    }
    size_t room = 2 * r->room + 2 * PIECE;
    char *more = realloc(r->bytes, room);
    if (more == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "lower --in-flight", "no memory for a message");
    }
    r->bytes = more;
    r->room = room;
    return SA_OK;
}

/* Undoes the zero byte behind the last message. */
static void restore(sa_message_reader *r)
{
    if (r->torn) {
        r->bytes[r->kept_at] = r->kept;
        r->torn = false;
    }
}

sa_status sa_message_receive(sa_message_reader *r, int socket, bool *ended, sa_error *err)
{
    *ended = false;
    restore(r);
    SA_TRY(make_room(r, err));
    ssize_t got = recv(socket, r->bytes + r->end, PIECE, 0);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) {
        return SA_OK;
    }
    *ended = got <= 0; /* a reset connection is no other than a closed one */
    r->end += got > 0 ? (size_t)got : 0;
    return SA_OK;
}

/* The head of a message in a line of its own; its bytes, 0: it is none. */
static size_t read_head(const char *line, size_t length, sa_wire_message *m)
{
    char text[HEAD], tail;
    if (length >= sizeof text) {
        return 0;
    }
    memcpy(text, line, length);
    text[length] = '\0';
    if (text[0] < 'A' || text[0] > 'Z' || strspn(text + 1, " 0123456789") != length - 1 ||
        sscanf(text, "%c %zu %zu%c", &m->kind, &m->row, &m->size, &tail) != 3) {
        return 0;
    }
    return length + 1;
}

sa_status sa_message_next(sa_message_reader *r, sa_wire_message *m, bool *found, sa_error *err)
{
    *found = false;
    restore(r);
    size_t there = r->end - r->begin;
    if (there == 0) {
        return SA_OK;
    }
    const char *line = r->bytes + r->begin, *end = memchr(line, '\n', there);
    if (end == NULL && there < HEAD) {
        return SA_OK;
    }
    size_t head = end != NULL && end > line ? read_head(line, (size_t)(end - line), m) : 0;
    if (head == 0 || m->size > SA_MESSAGE_LIMIT) {
        return sa_fail(err, SA_BAD_INPUT, NULL, NULL, "what the other process says is no message");
    }
    if (there - head < m->size) {
        return SA_OK;
    }
    m->bytes = line + head;
    r->begin += head + m->size;
    r->kept_at = r->begin;
    r->kept = r->bytes[r->begin];
    r->torn = true;
    r->bytes[r->begin] = '\0';
    *found = true;
    return SA_OK;
}
