/*
 * SentencePiece's precompiled normalisation ("charsmap"): a double-array trie whose values are places in a
 * string of zero-terminated replacements. Read as it stands in the file; nothing in it is trusted.
 */
#ifndef SA_TEXT_CHARSMAP_H
#define SA_TEXT_CHARSMAP_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/status.h"

typedef struct {
    uint32_t *units; /* NULL: there is no map, nothing is replaced */
    size_t unit_count;
    char *texts; /* with a zero byte after its end */
    size_t texts_size;
} sa_charsmap;

/* An empty blob gives an empty map. `file` is what errors call the source. */
sa_status sa_charsmap_read(sa_charsmap *map, const void *blob, size_t size, const char *file, sa_error *err);
void sa_charsmap_free(sa_charsmap *map);

/*
 * The longest (or, with `shortest`, the shortest) rule at the beginning of bytes[0, size): how many bytes it
 * takes, 0 if there is none, and what stands for them.
 */
size_t sa_charsmap_find(const sa_charsmap *map, const char *bytes, size_t size, int shortest,
                        const char **replacement);

#endif
