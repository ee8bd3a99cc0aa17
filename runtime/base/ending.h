/* How a name ends. */
#ifndef SA_BASE_ENDING_H
#define SA_BASE_ENDING_H

#include <stdbool.h>
#include <string.h>

static inline bool sa_ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), tail = strlen(ending);
    return length >= tail && strcmp(text + length - tail, ending) == 0;
}

#endif
