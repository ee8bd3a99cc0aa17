/* The lines of a text in memory that are not blank, one after another, with their numbers from 1: JSONL. */
#ifndef SA_BASE_LINES_H
#define SA_BASE_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* {text, size} is before the first line. */
typedef struct {
    const char *text;
    size_t size, at;
    size_t number; /* of the line that next() gave */
} sa_lines;

static inline bool sa_line_is_blank(const char *line, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r') {
            return false;
        }
    }
    return true;
}

/* False at the end. The line has no newline at its end. */
static inline bool sa_lines_next(sa_lines *l, const char **line, size_t *length)
{
    while (l->at < l->size) {
        const char *start = l->text + l->at, *end = memchr(start, '\n', l->size - l->at);
        *line = start;
        *length = end != NULL ? (size_t)(end - start) : l->size - l->at;
        l->at += *length + 1;
        l->number++;
        if (!sa_line_is_blank(*line, *length)) {
            return true;
        }
    }
    return false;
}

/* How many lines there are at most, blank ones among them. */
static inline size_t sa_lines_count(const char *text, size_t size)
{
    size_t count = 1;
    for (size_t i = 0; i < size; i++) {
        count += text[i] == '\n';
    }
    return count;
}

#endif
