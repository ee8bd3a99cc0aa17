/*
 * Growing arrays of bytes and of token ids. A failed allocation is remembered instead of reported at each
 * append: whoever made the array asks once, at the end, with `failed`.
 */
#ifndef SA_TEXT_BUFFER_H
#define SA_TEXT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Replacements that a file asks for can blow a text up without end; here is the end. */
enum { SA_TEXT_MOST = 1 << 30 };

/* All zeros is an empty one. */
typedef struct {
    char *bytes; /* with a zero byte after its end once something was appended */
    size_t size, room;
    bool failed;
} sa_text;

typedef struct {
    int32_t *ids;
    size_t count, room;
    bool failed;
} sa_tokens;

void sa_text_append(sa_text *text, const void *bytes, size_t size);
/* Drops what was gathered, keeps the room. */
void sa_text_clear(sa_text *text);
void sa_text_free(sa_text *text);
/* Appends bytes[0, size) with each broken piece of UTF-8 as one U+FFFD, as Python's errors="replace" does. */
void sa_text_append_repaired(sa_text *text, const char *bytes, size_t size);

void sa_tokens_append(sa_tokens *tokens, int32_t id);
void sa_tokens_free(sa_tokens *tokens);

/*
 * Room for at least `wanted` elements of `element` bytes: returns the array, moved if need be, and its new
 * *room; NULL, with the old array untouched, if that is not to be had.
 */
void *sa_grow(void *array, size_t *room, size_t wanted, size_t element);

#endif
