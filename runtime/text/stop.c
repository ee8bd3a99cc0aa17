#include "runtime/text/stop.h"

#include <string.h>

/* How many bytes of `stop` stand at the text's place `at`, up to the end of either. */
static size_t common(const char *text, size_t size, size_t at, const char *stop, size_t length)
{
    size_t n = 0;
    while (n < length && at + n < size && text[at + n] == stop[n]) {
        n++;
    }
    return n;
}

/*
 * The earliest place counts, whichever text stands there. A place where the text ends within a stop text ends
 * the scan, too: more of the answer decides, and until then nobody may be shown what is behind it.
 */
sa_stop_scan sa_stop_find(const char *text, size_t size, size_t from, const char *const *stops)
{
    for (size_t at = from; stops != NULL && at < size; at++) {
        bool begins = false;
        for (size_t i = 0; stops[i] != NULL; i++) {
            size_t length = strlen(stops[i]), n = common(text, size, at, stops[i], length);
            if (length > 0 && n == length) {
                return (sa_stop_scan){.found = true, .end = at};
            }
            begins = begins || (n > 0 && at + n == size);
        }
        if (begins) {
            return (sa_stop_scan){.found = false, .end = at};
        }
    }
    return (sa_stop_scan){.found = false, .end = size};
}
