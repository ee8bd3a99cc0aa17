#include "runtime/base/json_parts.h"

#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_space(const char *text, size_t size, size_t at)
{
    while (at < size && is_space(text[at])) {
        at++;
    }
    return at;
}

/* Behind the string whose opening quote stands at `at`; past the size if it has no end. */
static size_t skip_string(const char *text, size_t size, size_t at)
{
    for (at++; at < size && text[at] != '"'; at++) {
        at += text[at] == '\\';
    }
    return at + 1;
}

/* Behind the value at `at`; past the size if it has no end. Never recursive, however deep the brackets are.
 */
static size_t skip_value(const char *text, size_t size, size_t at)
{
    size_t depth = 0;
    while (at < size) {
        char c = text[at];
        if (c == '"') {
            at = skip_string(text, size, at);
        } else if (c == '{' || c == '[') {
            depth++;
            at++;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
            at++;
        } else if (depth > 0) {
            at++;
            continue;
        } else { /* a number or a word ends where something else begins */
            while (at < size && !is_space(text[at]) && strchr(",]}{[\":", text[at]) == NULL) {
                at++;
            }
        }
        if (depth == 0) {
            return at;
        }
    }
    return size + 1;
}

sa_json_part sa_json_trim(const char *text, size_t size)
{
    size_t begin = skip_space(text, size, 0);
    while (size > begin && is_space(text[size - 1])) {
        size--;
    }
    return (sa_json_part){text + begin, size - begin};
}

sa_json_walk sa_json_walk_on(sa_json_part part)
{
    sa_json_walk walk = {.text = part.text, .size = part.size, .at = 1, .first = true};
    walk.broken = part.size == 0 || (part.text[0] != '{' && part.text[0] != '[');
    walk.close = !walk.broken && part.text[0] == '{' ? '}' : ']';
    return walk;
}

static bool stop_broken(sa_json_walk *walk)
{
    walk->broken = true;
    return false;
}

/* Behind the comma, or at the first value; false at the closing bracket. */
static bool find_next(sa_json_walk *walk)
{
    walk->at = skip_space(walk->text, walk->size, walk->at);
    if (walk->at >= walk->size) {
        return stop_broken(walk);
    }
    if (walk->text[walk->at] == walk->close) {
        walk->ended = true;
        return false;
    }
    if (!walk->first && walk->text[walk->at] != ',') {
        return stop_broken(walk);
    }
    walk->at += !walk->first;
    walk->first = false;
    walk->at = skip_space(walk->text, walk->size, walk->at);
    return true;
}

static bool read_key(sa_json_walk *walk, sa_json_part *key)
{
    if (walk->at >= walk->size || walk->text[walk->at] != '"') {
        return stop_broken(walk);
    }
    size_t end = skip_string(walk->text, walk->size, walk->at);
    if (end > walk->size) {
        return stop_broken(walk);
    }
    *key = (sa_json_part){walk->text + walk->at + 1, end - walk->at - 2};
    walk->at = skip_space(walk->text, walk->size, end);
    if (walk->at >= walk->size || walk->text[walk->at] != ':') {
        return stop_broken(walk);
    }
    walk->at = skip_space(walk->text, walk->size, walk->at + 1);
    return true;
}

bool sa_json_walk_next(sa_json_walk *walk, sa_json_part *key, sa_json_part *value)
{
    *key = *value = (sa_json_part){0};
    if (walk->broken || walk->ended || !find_next(walk)) {
        return false;
    }
    if (walk->close == '}' && !read_key(walk, key)) {
        return false;
    }
    size_t end = skip_value(walk->text, walk->size, walk->at);
    if (end > walk->size || end == walk->at) {
        *value = (sa_json_part){walk->text + walk->at, walk->size - walk->at};
        return stop_broken(walk);
    }
    *value = (sa_json_part){walk->text + walk->at, end - walk->at};
    walk->at = end;
    return true;
}

bool sa_json_walk_is_whole(const sa_json_walk *walk)
{
    return walk->ended && walk->at + 1 == walk->size;
}

bool sa_json_part_is(sa_json_part part, const char *text)
{
    return part.text != NULL && part.size == strlen(text) && memcmp(part.text, text, part.size) == 0;
}

size_t sa_json_line(const char *text, size_t at)
{
    size_t line = 1;
    for (size_t i = 0; i < at; i++) {
        line += text[i] == '\n';
    }
    return line;
}
