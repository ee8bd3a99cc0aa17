/* Live handles of the driver: a few hundred at most, so a list searched from its young end serves. */
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/driver/driver.h"

typedef struct {
    const void *handle;
    sim_handle_kind kind;
} entry;

static struct {
    entry *entry;
    size_t count, capacity;
} table;

void sim_handle_add(const void *handle, sim_handle_kind kind)
{
    if (table.count == table.capacity) {
        table.capacity = table.capacity ? 2 * table.capacity : 64;
        table.entry = realloc(table.entry, table.capacity * sizeof *table.entry);
        if (!table.entry) {
            abort();
        }
    }
    table.entry[table.count++] = (entry){handle, kind};
}

void sim_handle_remove(const void *handle)
{
    for (size_t i = table.count; i-- > 0;) {
        if (table.entry[i].handle == handle) {
            table.count--;
            memmove(&table.entry[i], &table.entry[i + 1], (table.count - i) * sizeof *table.entry);
            return;
        }
    }
}

bool sim_handle_is(const void *handle, sim_handle_kind kind)
{
    for (size_t i = table.count; i-- > 0;) {
        if (table.entry[i].handle == handle) {
            return table.entry[i].kind == kind;
        }
    }
    return false;
}

void *sim_handle_nth(sim_handle_kind kind, size_t n)
{
    for (size_t i = 0; i < table.count; i++) {
        if (table.entry[i].kind == kind && n-- == 0) {
            return (void *)(uintptr_t)table.entry[i].handle;
        }
    }
    return NULL;
}
