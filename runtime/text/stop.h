/*
 * Texts that end an answer, looked for while it is being written. A stop text may come in pieces, so what
 * could be its beginning is held back until the next piece decides.
 */
#ifndef SA_TEXT_STOP_H
#define SA_TEXT_STOP_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    bool found;
    size_t
        end; /* found: where the first stop text begins; otherwise: how much can no longer be part of one */
} sa_stop_scan;

/*
 * Looks at text[from, size), all before which is known to hold no beginning of a stop text. `stops` ends with
 * NULL, or is NULL; empty ones count as none. Of several the one that begins first.
 */
sa_stop_scan sa_stop_find(const char *text, size_t size, size_t from, const char *const *stops);

#endif
