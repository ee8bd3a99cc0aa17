/* Rows and the ids of the stream entries that stand for them, by row: what a queue has in its hands. */
#ifndef SA_FLEET_REDIS_HELD_H
#define SA_FLEET_REDIS_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REDIS_ID = 44 }; /* "MS-SEQ", two numbers of 64 bits */

typedef struct {
    size_t row;
    uint64_t size;     /* of its line; 0 where nobody asks */
    char id[REDIS_ID]; /* "": a free slot */
} redis_held_row;

/* All zeros is an empty one. */
typedef struct {
    redis_held_row *slots;
    size_t count, room; /* room: 0 or a power of two, more than count */
} redis_held;

/* NULL: it is not there. Good until the next put or drop. */
redis_held_row *redis_held_find(const redis_held *held, size_t row);
/* In place of what stands there for the row. False: no memory. */
bool redis_held_put(redis_held *held, const redis_held_row *row);
/* Fine if it is not there. */
void redis_held_drop(redis_held *held, size_t row);
void redis_held_free(redis_held *held);

#endif
