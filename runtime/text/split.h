/*
 * Pre-tokenizers: how a text is cut up before the model looks at the parts. A list of steps, each applied to
 * every part that the one before it left:
 *
 *   text -> normalize -> [split] -> model -> ids
 */
#ifndef SA_TEXT_SPLIT_H
#define SA_TEXT_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/status.h"
#include "runtime/text/buffer.h"
#include "runtime/text/pattern.h"

typedef enum {
    SA_SPLIT_PATTERN,      /* cuts where `pattern` matches */
    SA_SPLIT_METASPACE,    /* ' ' becomes `text`, which is also put in front */
    SA_SPLIT_PREFIX_BLANK, /* ' ' in front where there is none */
    SA_SPLIT_BYTES,        /* each byte becomes the letter that GPT-2 gives it */
} sa_split_kind;

/* What becomes of the matches of SA_SPLIT_PATTERN. */
typedef enum {
    SA_MATCH_REMOVED,
    SA_MATCH_ISOLATED,
    SA_MATCH_WITH_PREVIOUS,
    SA_MATCH_WITH_NEXT,
    SA_MATCH_CONTIGUOUS, /* neighbouring matches are one part */
} sa_match_behavior;

typedef enum { SA_PREPEND_NEVER, SA_PREPEND_FIRST, SA_PREPEND_ALWAYS } sa_prepend;

typedef struct {
    sa_split_kind kind;
    sa_pattern *pattern; /* owned */
    sa_match_behavior behavior;
    bool invert; /* the matches are what is kept, the rest is the delimiter */
    char *text;  /* owned */
    sa_prepend prepend;
} sa_splitter;

enum { SA_SPLIT_MOST = 16 };

void sa_splitter_free(sa_splitter *step);

typedef struct {
    size_t begin, end;
    bool match;
} sa_range;

/* Room to work in, for each step; all zeros to begin with. */
typedef struct {
    sa_text texts[SA_SPLIT_MOST];
    sa_range *ranges[SA_SPLIT_MOST];
    size_t room[SA_SPLIT_MOST];
} sa_split_room;

void sa_split_room_free(sa_split_room *room);

/* Takes one part. */
typedef sa_status (*sa_part_taker)(void *context, const char *part, size_t size, sa_error *err);

/*
 * Cuts text[0, size) by the steps (at most SA_SPLIT_MOST) and gives each part that is not empty to `take`, in
 * order. `at_origin`: the text stands at the beginning of what the user gave.
 */
sa_status sa_split(const sa_splitter *steps, size_t count, const char *text, size_t size, bool at_origin,
                   sa_split_room *room, sa_part_taker take, void *context, sa_error *err);

#endif
