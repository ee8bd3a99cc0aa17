#include "runtime/fleet/redis_held.h"

#include <stdlib.h>

#include "runtime/base/status.h"

enum { LEAST_ROOM = 64 };

/* Neighbouring rows to places far apart (the golden ratio's bits). */
static size_t home_of(const redis_held *held, size_t row)
{
    return (size_t)(((uint64_t)row * 0x9e3779b97f4a7c15u) >> 32) & (held->room - 1);
}

/* Its slot, or the free one where it would go. */
static redis_held_row *slot_of(const redis_held *held, size_t row)
{
    size_t at = home_of(held, row);
    while (held->slots[at].id[0] != '\0' && held->slots[at].row != row) {
        at = (at + 1) & (held->room - 1);
    }
    return &held->slots[at];
}

redis_held_row *redis_held_find(const redis_held *held, size_t row)
{
    redis_held_row *slot = held->room > 0 ? slot_of(held, row) : NULL;
    return slot != NULL && slot->id[0] != '\0' ? slot : NULL;
}

static bool grow(redis_held *held)
{
    redis_held larger = {.room = held->room > 0 ? held->room * 2 : LEAST_ROOM, .count = held->count};
    larger.slots = calloc(larger.room, sizeof *larger.slots);
    if (larger.slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < held->room; i++) {
        if (held->slots[i].id[0] != '\0') {
            *slot_of(&larger, held->slots[i].row) = held->slots[i];
        }
    }
    free(held->slots);
    *held = larger;
    return true;
}

bool redis_held_put(redis_held *held, const redis_held_row *row)
{
    SA_ASSERT(row->id[0] != '\0');
    if (held->count * 2 >= held->room && !grow(held)) {
        return false;
    }
    redis_held_row *slot = slot_of(held, row->row);
    held->count += slot->id[0] == '\0';
    *slot = *row;
    return true;
}

void redis_held_drop(redis_held *held, size_t row)
{
    redis_held_row *slot = redis_held_find(held, row);
    if (slot == NULL) {
        return;
    }
    held->count--;
    size_t free_at = (size_t)(slot - held->slots), mask = held->room - 1;
    for (size_t at = (free_at + 1) & mask; held->slots[at].id[0] != '\0'; at = (at + 1) & mask) {
        size_t home = home_of(held, held->slots[at].row);
        if (((at - home) & mask) >= ((at - free_at) & mask)) { /* its search passes the free slot */
            held->slots[free_at] = held->slots[at];
            free_at = at;
        }
    }
    held->slots[free_at] = (redis_held_row){0};
}

void redis_held_free(redis_held *held)
{
    free(held->slots);
    *held = (redis_held){0};
}
