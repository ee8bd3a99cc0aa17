/* Texts by hash, each with a number: which ids have been met, and where. The texts are not owned. */
#ifndef SA_BASE_TEXT_TABLE_H
#define SA_BASE_TEXT_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *text; /* NULL: free */
    size_t size;
    uint64_t hash;
    size_t number;
} sa_text_entry;

/* All zeros is an empty one. */
typedef struct {
    sa_text_entry *slots;
    size_t count, room; /* room: 0 or a power of two */
} sa_text_table;

/* Its entry, or NULL. The number may be changed; the entry stays where it is until the next put. */
sa_text_entry *sa_text_table_find(const sa_text_table *table, const char *text, size_t size);
/* `text` is not there yet, and stays valid as long as the table. False: no memory. */
bool sa_text_table_put(sa_text_table *table, const char *text, size_t size, size_t number);
void sa_text_table_free(sa_text_table *table);

#endif
