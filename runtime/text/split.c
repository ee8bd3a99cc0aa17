/*
 * Each step either cuts a part into ranges and hands them on to the next step, or rewrites it and hands on
 * the whole. Parts are handed on depth first, so that nothing but the ranges of one part per step is kept.
 */
#include "runtime/text/split.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/text/normalize.h"

void sa_splitter_free(sa_splitter *step)
{
    sa_pattern_free(step->pattern);
    free(step->text);
    *step = (sa_splitter){0};
}

void sa_split_room_free(sa_split_room *room)
{
    for (size_t i = 0; i < SA_SPLIT_MOST; i++) {
        sa_text_free(&room->texts[i]);
        free(room->ranges[i]);
    }
    *room = (sa_split_room){0};
}

/* What all steps work on. */
typedef struct {
    const sa_splitter *steps;
    size_t count;
    sa_split_room *room;
    sa_part_taker take;
    void *context;
} splitting;

static sa_status split(const splitting *s, size_t depth, const char *text, size_t size, bool at_origin,
                       sa_error *err);

/* -- Cutting -- */

static sa_status add_range(const splitting *s, size_t depth, size_t *count, sa_range range, sa_error *err)
{
    sa_range *grown = sa_grow(s->room->ranges[depth], &s->room->room[depth], *count + 1, sizeof *grown);
    if (grown == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for cutting a text up");
    }
    s->room->ranges[depth] = grown;
    grown[(*count)++] = range;
    return SA_OK;
}

/* Matches and what lies between them, in order, as ranges that cover the text. */
static sa_status find_ranges(const splitting *s, size_t depth, const char *text, size_t size, size_t *count,
                             sa_error *err)
{
    const sa_splitter *step = &s->steps[depth];
    sa_matches matches = sa_matches_on(step->pattern, text, size);
    size_t done = 0;
    bool found = true;
    sa_status status = SA_OK;
    while (status == SA_OK && found) {
        status = sa_matches_next(&matches, &found, err);
        size_t begin = found ? matches.begin : size;
        if (status == SA_OK && done < begin) {
            status = add_range(s, depth, count, (sa_range){done, begin, step->invert}, err);
        }
        if (status == SA_OK && found) {
            status = add_range(s, depth, count, (sa_range){begin, matches.end, !step->invert}, err);
            done = matches.end;
        }
    }
    sa_matches_end(&matches);
    return status;
}

/* Joins matches to a neighbour, in place; returns how many ranges are left. */
static size_t join_ranges(sa_range *ranges, size_t count, sa_match_behavior behavior)
{
    size_t kept = 0;
    bool match_before = false;
    for (size_t i = 0; i < count; i++) {
        bool match = ranges[i].match;
        bool join =
            kept > 0 && (behavior == SA_MATCH_CONTIGUOUS ? match == match_before : match && !match_before);
        if (join) {
            ranges[kept - 1].end = ranges[i].end;
        } else {
            ranges[kept++] = ranges[i];
        }
        match_before = match;
    }
    return kept;
}

/* The same from the end, where a match joins what follows it. */
static size_t join_to_next(sa_range *ranges, size_t count)
{
    size_t first = count;
    bool match_after = false;
    for (size_t i = count; i-- > 0;) {
        sa_range range = ranges[i];
        if (first < count && range.match && !match_after) {
            ranges[first].begin = range.begin;
        } else {
            ranges[--first] = range;
        }
        match_after = range.match;
    }
    memmove(ranges, ranges + first, (count - first) * sizeof *ranges);
    return count - first;
}

/* Ranges, joined as the behaviour asks for it; those that are left go to the next step. */
static sa_status cut(const splitting *s, size_t depth, const char *text, size_t size, bool at_origin,
                     sa_error *err)
{
    size_t count = 0;
    SA_TRY(find_ranges(s, depth, text, size, &count, err));
    sa_range *ranges = s->room->ranges[depth];
    sa_match_behavior behavior = s->steps[depth].behavior;
    if (behavior == SA_MATCH_WITH_PREVIOUS || behavior == SA_MATCH_CONTIGUOUS) {
        count = join_ranges(ranges, count, behavior);
    } else if (behavior == SA_MATCH_WITH_NEXT) {
        count = join_to_next(ranges, count);
    }
    for (size_t i = 0; i < count; i++) {
        sa_range range = s->room->ranges[depth][i];
        if (behavior != SA_MATCH_REMOVED || !range.match) {
            SA_TRY(split(s, depth + 1, text + range.begin, range.end - range.begin,
                         at_origin && range.begin == 0, err));
        }
    }
    return SA_OK;
}

/* -- Rewriting -- */

static bool begins_with(const char *text, size_t size, const char *beginning)
{
    size_t length = strlen(beginning);
    return size >= length && memcmp(text, beginning, length) == 0;
}

/* The mark goes in front unless the part begins with it, or with a blank, which becomes it. */
static void put_metaspace(const sa_splitter *step, const char *text, size_t size, bool at_origin,
                          sa_text *out)
{
    bool prepend = step->prepend == SA_PREPEND_ALWAYS || (step->prepend == SA_PREPEND_FIRST && at_origin);
    if (prepend && text[0] != ' ' && !begins_with(text, size, step->text)) {
        sa_text_append(out, step->text, strlen(step->text));
    }
    for (size_t i = 0; i < size; i++) {
        bool blank = text[i] == ' ';
        sa_text_append(out, blank ? step->text : text + i, blank ? strlen(step->text) : 1);
    }
}

static sa_status rewrite(const splitting *s, size_t depth, const char *text, size_t size, bool at_origin,
                         sa_error *err)
{
    const sa_splitter *step = &s->steps[depth];
    sa_text *out = &s->room->texts[depth];
    sa_text_clear(out);
    if (step->kind == SA_SPLIT_METASPACE) {
        put_metaspace(step, text, size, at_origin, out);
    } else if (step->kind == SA_SPLIT_PREFIX_BLANK) {
        sa_text_append(out, " ", text[0] != ' ');
        sa_text_append(out, text, size);
    } else {
        sa_append_letters(out, text, size);
    }
    if (out->failed) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for cutting a text up");
    }
    return split(s, depth + 1, out->bytes, out->size, at_origin, err);
}

/* Recursion is as deep as there are steps. */
static sa_status split(const splitting *s, size_t depth, const char *text, size_t size, bool at_origin,
                       sa_error *err)
{
    if (size == 0) {
        return SA_OK;
    }
    if (depth == s->count) {
        return s->take(s->context, text, size, err);
    }
    if (s->steps[depth].kind == SA_SPLIT_PATTERN) {
        return cut(s, depth, text, size, at_origin, err);
    }
    return rewrite(s, depth, text, size, at_origin, err);
}

sa_status sa_split(const sa_splitter *steps, size_t count, const char *text, size_t size, bool at_origin,
                   sa_split_room *room, sa_part_taker take, void *context, sa_error *err)
{
    SA_ASSERT(count <= SA_SPLIT_MOST);
    splitting s = {.steps = steps, .count = count, .room = room, .take = take, .context = context};
    return split(&s, 0, text, size, at_origin, err);
}
