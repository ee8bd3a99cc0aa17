/*
 * Arena: one block of memory that is cut up once and never returned piece by piece.
 *
 * Its size comes from a dry run of the very code that allocates (STYLE habit 8): take from an arena that was
 * made by sa_arena_measure(), read `used`, allocate that much, and run the same code again on the real block.
 * A measuring arena hands out NULL for everything; code that plans memory must not touch what it gets.
 */
#ifndef SA_BASE_ARENA_H
#define SA_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#define SA_ARENA_ALIGN 256

typedef struct {
    unsigned char *base; /* NULL while measuring */
    size_t size;         /* bytes at base; SIZE_MAX while measuring */
    size_t used;         /* bytes handed out, each piece rounded up to SA_ARENA_ALIGN */
    size_t high;         /* the most that `used` ever was */
} sa_arena;

sa_arena sa_arena_measure(void);
/* `base` aligned to SA_ARENA_ALIGN; the arena does not own it. */
sa_arena sa_arena_on(void *base, size_t size);

/*
 * `count` elements of `element` bytes, aligned to SA_ARENA_ALIGN, contents undefined. Running past the end of
 * a real arena is a bug (the dry run said how much is needed) and aborts; a size that overflows aborts too,
 * since sizes from files are checked before they get here.
 */
void *sa_arena_take(sa_arena *arena, size_t count, size_t element);

/* Gives back all that was taken after `mark` (a former value of `used`); debug builds fill it with 0xA5. */
void sa_arena_rewind(sa_arena *arena, size_t mark);

#endif
