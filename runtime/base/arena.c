#include "runtime/base/arena.h"

#include <stdint.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/status.h"

sa_arena sa_arena_measure(void)
{
    return (sa_arena){.base = NULL, .size = SIZE_MAX, .used = 0, .high = 0};
}

sa_arena sa_arena_on(void *base, size_t size)
{
    SA_ASSERT(base != NULL && (uintptr_t)base % SA_ARENA_ALIGN == 0);
    return (sa_arena){.base = base, .size = size, .used = 0, .high = 0};
}

void *sa_arena_take(sa_arena *arena, size_t count, size_t element)
{
    size_t bytes = 0;
    size_t end = 0;
    bool fits = sa_mul_size(count, element, &bytes) && sa_align_size(bytes, SA_ARENA_ALIGN, &bytes) &&
                sa_add_size(arena->used, bytes, &end);
    SA_ASSERT(fits && end <= arena->size);
    void *piece = arena->base != NULL ? arena->base + arena->used : NULL;
    arena->used = end;
    if (end > arena->high) {
        arena->high = end;
    }
    return piece;
}

void sa_arena_rewind(sa_arena *arena, size_t mark)
{
    SA_ASSERT(mark <= arena->used);
#ifndef NDEBUG
    if (arena->base != NULL) {
        memset(arena->base + mark, 0xA5, arena->used - mark);
    }
#endif
    arena->used = mark;
}
