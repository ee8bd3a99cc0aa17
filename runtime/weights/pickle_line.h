/*
 * Inside of runtime/weights: lines of text in pickles of the protocols 0 and 1, as Python 2 wrote them. `out`
 * has room for 2 * size + 4 bytes.
 */
#ifndef SA_WEIGHTS_PICKLE_LINE_H
#define SA_WEIGHTS_PICKLE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* STRING: the repr() of a str, in single or double quotes, to its bytes. False if it is none. */
bool sa_pickle_read_quoted(const char *line, size_t size, char *out, size_t *length);
/* UNICODE: raw-unicode-escape (Latin-1 but for \uXXXX and \UXXXXXXXX) to UTF-8. */
bool sa_pickle_read_escaped(const char *line, size_t size, char *out, size_t *length);
/* Decimal digits with a sign; false if it is no such number or does not fit. */
bool sa_pickle_read_decimal(const char *text, size_t size, int64_t *number);

#endif
