/*
 * Memory that goes all at once: what a parsed and a lowered module are made of. Chunks of a fixed size,
 * larger pieces in chunks of their own. Running out of host memory ends the program with a message: there is
 * no way to go on.
 */
#ifndef GPUSIM_ARENA_H
#define GPUSIM_ARENA_H

#include <stddef.h>
#include <stdint.h>

typedef struct sim_arena sim_arena;

sim_arena *sim_arena_new(void);
void sim_arena_free(sim_arena *arena); /* NULL is fine */
/* Zeroed bytes, aligned to `align` (a power of two, at most 4096). Zero bytes give a pointer too. */
void *sim_arena_aligned(sim_arena *arena, size_t bytes, size_t align);
void *sim_arena_take(sim_arena *arena, size_t bytes); /* aligned to 16 */
void *sim_arena_copy(sim_arena *arena, const void *from, size_t bytes);

/* realloc() and calloc() that do not fail. */
void *sim_realloc(void *block, size_t bytes);
void *sim_calloc(size_t count, size_t bytes);
/* Makes room for one more element in an array of *capacity; returns the array, which may have moved. */
void *sim_grow(void *array, uint32_t count, uint32_t *capacity, size_t element);

/*
 * Names to numbers, open addressing. Keys are not copied: they must live as long as the map.
 */
typedef struct {
    struct {
        const char *key;
        uint32_t value;
    } * slots;
    uint32_t capacity, count;
} sim_map;

void sim_map_put(sim_map *map, const char *key, uint32_t value); /* the first value of a key stays */
int64_t sim_map_get(const sim_map *map, const char *key);        /* -1: none */
void sim_map_free(sim_map *map);

uint32_t sim_hash(const char *text, size_t length);

#endif
