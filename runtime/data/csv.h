/* CSV as Python's csv.writer has it by default: commas, CRLF, quotes only where they are needed. */
#ifndef SA_DATA_CSV_H
#define SA_DATA_CSV_H

#include <stdio.h>
#include <string.h>

/* Fields of a line: sa_csv_text for each, `first` set for the first; then sa_csv_end. */
static inline void sa_csv_text(FILE *stream, const char *text, int first)
{
    if (!first) {
        putc(',', stream);
    }
    if (text[strcspn(text, ",\"\r\n")] == '\0') {
        fputs(text, stream);
        return;
    }
    putc('"', stream);
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            putc('"', stream);
        }
        putc(*text, stream);
    }
    putc('"', stream);
}

static inline void sa_csv_end(FILE *stream)
{
    fputs("\r\n", stream);
}

#endif
