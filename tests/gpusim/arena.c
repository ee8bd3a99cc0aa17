/* Memory of modules: chunks, growing arrays and name tables. See arena.h. */
#include "tests/gpusim/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 256 * 1024 };

typedef struct chunk {
    struct chunk *next;
    size_t used, size; /* of data */
    unsigned char data[];
} chunk;

struct sim_arena {
    chunk *chunks; /* the first one is being filled */
};

static void *need(void *block, size_t bytes)
{
    if (block == NULL) {
        fprintf(stderr, "gpusim: out of host memory (%zu bytes)\n", bytes);
        abort();
    }
    return block;
}

void *sim_realloc(void *block, size_t bytes)
{
    return need(realloc(block, bytes == 0 ? 1 : bytes), bytes);
}

void *sim_calloc(size_t count, size_t bytes)
{
    return need(calloc(count == 0 ? 1 : count, bytes), count * bytes);
}

void *sim_grow(void *array, uint32_t count, uint32_t *capacity, size_t element)
{
    if (count < *capacity) {
        return array;
    }
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    return sim_realloc(array, *capacity * element);
}

sim_arena *sim_arena_new(void)
{
    return sim_calloc(1, sizeof(sim_arena));
}

void sim_arena_free(sim_arena *arena)
{
    if (arena == NULL) {
        return;
    }
    for (chunk *c = arena->chunks, *next; c != NULL; c = next) {
        next = c->next;
        free(c);
    }
    free(arena);
}

static chunk *add_chunk(sim_arena *arena, size_t size)
{
    chunk *c = sim_calloc(1, sizeof(*c) + size);
    c->size = size;
    if (size > CHUNK && arena->chunks != NULL) { /* a piece of its own: the chunk being filled stays first */
        c->next = arena->chunks->next;
        arena->chunks->next = c;
    } else {
        c->next = arena->chunks;
        arena->chunks = c;
    }
    return c;
}

void *sim_arena_aligned(sim_arena *arena, size_t bytes, size_t align)
{
    chunk *c = arena->chunks;
    uintptr_t at = c == NULL ? 0 : ((uintptr_t)(c->data + c->used) + align - 1) & ~(uintptr_t)(align - 1);
    if (c == NULL || at + bytes > (uintptr_t)(c->data + c->size)) {
        c = add_chunk(arena, bytes + align > CHUNK ? bytes + align : CHUNK);
        at = ((uintptr_t)c->data + align - 1) & ~(uintptr_t)(align - 1);
    }
    c->used = at + bytes - (uintptr_t)c->data;
    return (void *)at;
}

void *sim_arena_take(sim_arena *arena, size_t bytes)
{
    return sim_arena_aligned(arena, bytes, 16);
}

void *sim_arena_copy(sim_arena *arena, const void *from, size_t bytes)
{
    void *to = sim_arena_take(arena, bytes);
    if (bytes > 0) {
        memcpy(to, from, bytes);
    }
    return to;
}

uint32_t sim_hash(const char *text, size_t length) /* FNV-1a */
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    }
    return hash ^ hash >> 15;
}

/* The slot that holds the key, or the free one where it belongs. */
static uint32_t map_slot(const sim_map *map, const char *key)
{
    uint32_t at = sim_hash(key, strlen(key)) & (map->capacity - 1);
    while (map->slots[at].key != NULL && map->slots[at].key != key && strcmp(map->slots[at].key, key) != 0) {
        at = (at + 1) & (map->capacity - 1);
    }
    return at;
}

static void map_grow(sim_map *map)
{
    sim_map wider = {.capacity = map->capacity == 0 ? 64 : map->capacity * 2, .count = map->count};
    wider.slots = sim_calloc(wider.capacity, sizeof(*wider.slots));
    for (uint32_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].key != NULL) {
            wider.slots[map_slot(&wider, map->slots[i].key)] = map->slots[i];
        }
    }
    free(map->slots);
    *map = wider;
}

void sim_map_put(sim_map *map, const char *key, uint32_t value)
{
    if (map->count * 2 >= map->capacity) {
        map_grow(map);
    }
    uint32_t at = map_slot(map, key);
    if (map->slots[at].key == NULL) {
        map->slots[at].key = key;
        map->slots[at].value = value;
        map->count++;
    }
}

int64_t sim_map_get(const sim_map *map, const char *key)
{
    if (map->count == 0) {
        return -1;
    }
    uint32_t at = map_slot(map, key);
    return map->slots[at].key == NULL ? -1 : (int64_t)map->slots[at].value;
}

void sim_map_free(sim_map *map)
{
    free(map->slots);
    *map = (sim_map){0};
}
