#include "runtime/base/text_table.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/hash.h"

enum { FIRST_ROOM = 64 };

/* Mixed, since the slot is taken from the low bits. */
static uint64_t hash_of(const char *text, size_t size)
{
    uint64_t hash = sa_hash_bytes(text, size);
    return hash ^ hash >> 32;
}

/* The slot of the text, or the free one where it would go. There is always a free one. */
static sa_text_entry *slot_of(const sa_text_table *table, const char *text, size_t size, uint64_t hash)
{
    size_t at = hash & (table->room - 1);
    for (;; at = (at + 1) & (table->room - 1)) {
        sa_text_entry *slot = &table->slots[at];
        if (slot->text == NULL ||
            (slot->hash == hash && slot->size == size && memcmp(slot->text, text, size) == 0)) {
            return slot;
        }
    }
}

/* Keeps a third of the slots free, so that searches stay short. */
static bool grow(sa_text_table *table)
{
    if (table->room != 0 && table->count < table->room / 3 * 2) {
        return true;
    }
    sa_text_table larger = {.count = table->count, .room = FIRST_ROOM};
    if (table->room != 0 && !sa_mul_size(table->room, 2, &larger.room)) {
        return false;
    }
    larger.slots = calloc(larger.room, sizeof *larger.slots);
    if (larger.slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < table->room; i++) {
        const sa_text_entry *old = &table->slots[i];
        if (old->text != NULL) {
            *slot_of(&larger, old->text, old->size, old->hash) = *old;
        }
    }
    free(table->slots);
    *table = larger;
    return true;
}

sa_text_entry *sa_text_table_find(const sa_text_table *table, const char *text, size_t size)
{
    if (table->room == 0) {
        return NULL;
    }
    sa_text_entry *slot = slot_of(table, text, size, hash_of(text, size));
    return slot->text != NULL ? slot : NULL;
}

bool sa_text_table_put(sa_text_table *table, const char *text, size_t size, size_t number)
{
    if (!grow(table)) {
        return false;
    }
    uint64_t hash = hash_of(text, size);
    *slot_of(table, text, size, hash) = (sa_text_entry){text, size, hash, number};
    table->count++;
    return true;
}

void sa_text_table_free(sa_text_table *table)
{
    free(table->slots);
    *table = (sa_text_table){0};
}
