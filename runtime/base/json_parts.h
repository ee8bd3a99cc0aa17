/*
 * A large JSON text taken apart without building it: the members of its outermost object, or the elements of
 * a list, one after another, as ranges of the text. What is wanted is then read by sa_json_parse; what is
 * not costs no memory. So a file of a gigabyte is read element by element, and one bad element is only
 * itself.
 *
 * Brackets and strings are followed, the rest is not looked at: a part may still be no JSON.
 */
#ifndef SA_BASE_JSON_PARTS_H
#define SA_BASE_JSON_PARTS_H

#include <stdbool.h>
#include <stddef.h>

/* Not owned. text NULL: nothing. */
typedef struct {
    const char *text;
    size_t size;
} sa_json_part;

typedef struct {
    const char *text;
    size_t size, at;
    char close;  /* '}' or ']' */
    bool first;  /* nothing was given yet */
    bool ended;  /* the closing bracket was met */
    bool broken; /* the text ends, or goes on, in a way that JSON does not */
} sa_json_walk;

/* Without the white space around it. */
sa_json_part sa_json_trim(const char *text, size_t size);

/* `part` starts with '{' or '['; otherwise the walk is broken at once. */
sa_json_walk sa_json_walk_on(sa_json_part part);
/*
 * The next member (*key is the text between its quotes, escapes as they stand; NULL in a list) or element.
 * False at the end, or where the text is broken: see `broken`; a value without an end is then all that is
 * left of the text (otherwise key and value are nothing).
 */
bool sa_json_walk_next(sa_json_walk *walk, sa_json_part *key, sa_json_part *value);

/* After the last one: nothing is broken, and nothing follows the closing bracket. */
bool sa_json_walk_is_whole(const sa_json_walk *walk);

/* True if the key is exactly this. */
bool sa_json_part_is(sa_json_part part, const char *text);
/* Number of the line, from 1, in which text[at] stands. */
size_t sa_json_line(const char *text, size_t at);

#endif
