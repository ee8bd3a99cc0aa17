/*
 * Messages between a parent and its workers, over a stream socket:
 *
 *   KIND ROW SIZE\n BYTES        "R 17 5\nhello"
 *
 *   parent -> worker:  S setup   sa_worker_setup: once, first           T row   to be done
 *                      E         no more rows will come
 *   worker -> parent:  H hello   {"device","precision","window"}        B       still alive
 *                      R row     its line of results.jsonl              Q row   {"file","reason","hint"}: set
 * aside C         {"times","counters"}: the last one      F       {"file","reason","hint","status"}: it ends
 */
#ifndef SA_FLEET_MESSAGE_H
#define SA_FLEET_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/status.h"

enum { SA_MESSAGE_LIMIT = 1 << 30 }; /* bytes of one */

typedef struct {
    char kind;
    size_t row;
    const char *bytes; /* [size], and a zero byte; valid until the reader is used again */
    size_t size;
} sa_wire_message;

/* Whole, or SA_IO: the other side is gone. */
sa_status sa_message_send(int socket, char kind, size_t row, const char *bytes, size_t size, sa_error *err);

typedef struct {
    char *bytes;
    size_t begin, end, room;
    bool torn; /* a zero byte stands in for bytes[end_at] */
    char kept;
    size_t kept_at;
} sa_message_reader;

/*
 * Reads what the socket has, waiting for something if it has nothing (and the socket is a blocking one).
 * *ended: the other side has closed it.
 */
sa_status sa_message_receive(sa_message_reader *reader, int socket, bool *ended, sa_error *err);
/* The next whole message of what was read. SA_BAD_INPUT: this is none of ours. */
sa_status sa_message_next(sa_message_reader *reader, sa_wire_message *message, bool *found, sa_error *err);
void sa_message_reader_free(sa_message_reader *reader);

#endif
