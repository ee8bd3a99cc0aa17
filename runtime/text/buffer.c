/*
 * Growing arrays, texts and lists of ids. Failing to grow marks the buffer and nothing else: a writer goes on
 * without asking after every byte, and whoever takes the result looks at `failed` once.
 */
#include "runtime/text/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/utf8.h"

/* Twice the room each time, so that a text of n bytes is copied O(n) in all. */
void *sa_grow(void *array, size_t *room, size_t wanted, size_t element)
{
    enum { FIRST_BYTES = 64, FIRST = 2 }; /* little: thousands of searches hold a few of these each */
    if (wanted <= *room && array != NULL) {
        return array;
    }
    size_t next = *room > SIZE_MAX / 2 ? SIZE_MAX : *room * 2;
    next = next > FIRST ? next : FIRST;
    next = next > FIRST_BYTES / element ? next : FIRST_BYTES / element;
    next = next > wanted ? next : wanted;
    size_t bytes;
    void *grown = sa_mul_size(next, element, &bytes) ? realloc(array, bytes) : NULL;
    if (grown != NULL) {
        *room = next;
    }
    return grown;
}

void sa_text_append(sa_text *text, const void *bytes, size_t size)
{
    size_t wanted;
    char *grown = NULL;
    if (sa_add_size(text->size, size, &wanted) && wanted < SA_TEXT_MOST && sa_add_size(wanted, 1, &wanted)) {
        grown = sa_grow(text->bytes, &text->room, wanted, 1);
    }
    if (grown == NULL) {
        text->failed = true;
        return;
    }
    text->bytes = grown;
    if (size > 0) {
        memcpy(text->bytes + text->size, bytes, size);
    }
    text->size += size;
    text->bytes[text->size] = '\0'; /* so that it can be handed to what wants a C string */
}

void sa_text_clear(sa_text *text)
{
    text->size = 0;
}

void sa_text_free(sa_text *text)
{
    free(text->bytes);
    *text = (sa_text){0};
}

/*
 * Sound stretches are copied whole; each maximal piece of what is none becomes one U+FFFD, as Python's
 * "replace" and Rust's from_utf8_lossy do it: the originals see such a text, and not the bytes.
 */
void sa_text_append_repaired(sa_text *text, const char *bytes, size_t size)
{
    if (size == 0) { /* then there may be no bytes at all */
        sa_text_append(text, "", 0);
        return;
    }
    const unsigned char *at = (const unsigned char *)bytes;
    size_t begin = 0; /* of the sound text that is not yet copied */
    for (size_t i = 0; i < size;) {
        bool whole;
        size_t length = sa_utf8_step(at + i, size - i, &whole);
        if (!whole) {
            sa_text_append(text, bytes + begin, i - begin);
            sa_text_append(text, "\xef\xbf\xbd", 3);
            begin = i + length;
        }
        i += length;
    }
    sa_text_append(text, bytes + begin, size - begin);
}

void sa_tokens_append(sa_tokens *tokens, int32_t id)
{
    int32_t *grown = sa_grow(tokens->ids, &tokens->room, tokens->count + 1, sizeof *grown);
    if (grown == NULL) {
        tokens->failed = true;
        return;
    }
    tokens->ids = grown;
    tokens->ids[tokens->count++] = id;
}

void sa_tokens_free(sa_tokens *tokens)
{
    free(tokens->ids);
    *tokens = (sa_tokens){0};
}
