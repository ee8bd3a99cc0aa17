/*
 * What can be said of a scene: phrases that name one target, and only that.
 *
 * A description ("striped red circle") fits an object, does not fit it, or might be taken to (UNCLEAR: "red
 * circle" and a purple one with red stripes). A phrase is taken only if what it asks for is answered without
 * any UNCLEAR, and with a margin where lengths are compared.
 */
#include <stdio.h>
#include <string.h>

#include "runtime/data/scene_parts.h"
#include "runtime/data/scene_shapes.h"

typedef enum { NO, UNCLEAR, YES } answer;

enum { ANY = -1, TRIES = 24 };

/* Each is ANY, or what the object must have. */
typedef struct {
    int noun, color, second, pattern; /* second: the other colour of "red and blue" */
} description;

typedef enum { LEFT, RIGHT, UP, DOWN, DIRECTIONS } direction;

/* ---- does it fit? ---- */

static answer fits_color(const description *d, const sa_scene_object *o)
{
    bool among = false;
    if (d->color == ANY) {
        return YES;
    }
    for (int i = 1; i < o->color_count; i++) {
        among = among || (int)o->colors[i] == d->color;
    }
    if (d->second == ANY) {
        return (int)o->colors[0] == d->color ? YES : among ? UNCLEAR : NO;
    }
    if (o->pattern != SA_SCENE_HALVED) {
        return o->color_count > 1 ? UNCLEAR : NO;
    }
    bool same = (int)o->colors[0] == d->color && (int)o->colors[1] == d->second;
    bool turned = (int)o->colors[1] == d->color && (int)o->colors[0] == d->second;
    return same || turned ? YES : NO;
}

static answer fits(const description *d, const sa_scene_object *o)
{
    if (d->noun != ANY && d->noun != (int)o->noun) {
        return NO;
    }
    if (d->pattern != ANY && d->pattern != (int)o->pattern) {
        return NO;
    }
    answer color = fits_color(d, o);
    return color == YES && d->second == ANY && d->color != ANY && o->pattern == SA_SCENE_HALVED ? UNCLEAR
                                                                                                : color;
}

/* The objects that fit, a bit each; false if one might. */
static bool find(const sa_scene *scene, const description *d, uint32_t *found)
{
    *found = 0;
    for (size_t i = 0; i < scene->object_count; i++) {
        answer a = fits(d, &scene->objects[i]);
        if (a == UNCLEAR) {
            return false;
        }
        *found |= (uint32_t)(a == YES) << i;
    }
    return true;
}

static int count_of(uint32_t set)
{
    int count = 0;
    for (; set != 0; set &= set - 1) {
        count++;
    }
    return count;
}

/* ---- comparing ---- */

static int32_t share_of_side(const sa_scene *scene, int32_t percent)
{
    return (int32_t)scene->size * 256 / 100 * percent;
}

/* How far an object lies in a direction. */
static int32_t along(const sa_scene_object *o, direction way)
{
    switch (way) {
    case LEFT: return -o->middle_x;
    case RIGHT: return o->middle_x;
    case UP: return -o->middle_y;
    default: return o->middle_y;
    }
}

/* The objects of a set, those furthest along `way` first; their number. */
static int sort_along(const sa_scene *scene, uint32_t set, direction way, int *order)
{
    int count = 0;
    for (int i = 0; i < SA_SCENE_MOST_OBJECTS; i++) {
        if (set >> i & 1) {
            int at = count++;
            for (; at > 0 && along(&scene->objects[order[at - 1]], way) < along(&scene->objects[i], way);
                 at--) {
                order[at] = order[at - 1];
            }
            order[at] = i;
        }
    }
    return count;
}

/* Whether the places before and after `rank` are a twelfth of the side away. */
static bool stands_apart(const sa_scene *scene, const int *order, int count, int rank, direction way)
{
    int32_t here = along(&scene->objects[order[rank]], way), margin = share_of_side(scene, 8);
    return (rank == 0 || along(&scene->objects[order[rank - 1]], way) - here >= margin) &&
           (rank + 1 == count || here - along(&scene->objects[order[rank + 1]], way) >= margin);
}

/* Is `o` left of (right of, ...) `anchor`? Yes: clearly, and not more above or below than left. */
static answer lies(const sa_scene *scene, const sa_scene_object *o, direction way,
                   const sa_scene_object *anchor)
{
    int32_t ahead = along(o, way) - along(anchor, way);
    direction across_way = way == LEFT || way == RIGHT ? DOWN : RIGHT;
    int32_t across = along(o, across_way) - along(anchor, across_way);
    int32_t aside = across < 0 ? -across : across;
    if (ahead >= share_of_side(scene, 8) && ahead >= aside) {
        return YES;
    }
    return ahead <= share_of_side(scene, 2) || ahead * 2 <= aside ? NO : UNCLEAR;
}

/* `front` is on top of `o`, near enough to cover some of it, and some of it is covered. */
static bool hides(const sa_scene *scene, int front, int o)
{
    const sa_scene_object *a = &scene->objects[front], *b = &scene->objects[o];
    int64_t dx = a->x - b->x, dy = a->y - b->y, reach = a->radius / 2 + b->radius;
    return front > o && b->visible * 100 <= b->full * 92 && dx * dx + dy * dy <= reach * reach;
}

/* ---- words ---- */

typedef struct {
    char *text;
    size_t length;
} words;

/* Adds a word, or several; NULL adds nothing. */
static void say(words *w, const char *word)
{
    if (word != NULL) {
        size_t left = SA_SCENE_TEXT - w->length;
        int made = snprintf(w->text + w->length, left, "%s%s", w->length > 0 ? " " : "", word);
        SA_ASSERT(made > 0 && (size_t)made < left);
        w->length += (size_t)made;
    }
}

static void say_description(words *w, const description *d, bool plural)
{
    if (d->pattern == SA_SCENE_STRIPED || d->pattern == SA_SCENE_DOTTED) {
        say(w, sa_scene_pattern_name((sa_scene_pattern)d->pattern));
    }
    if (d->color != ANY) {
        say(w, sa_scene_color_name((sa_scene_color)d->color));
    }
    if (d->second != ANY) {
        say(w, "and");
        say(w, sa_scene_color_name((sa_scene_color)d->second));
    }
    if (d->noun == ANY) {
        say(w, plural ? "objects" : "object");
    } else {
        const scene_form *form = scene_form_of((sa_scene_noun)d->noun);
        say(w, plural ? form->plural : form->name);
    }
}

/* ---- choosing what to say ---- */

/* What a phrase is made for, and where it goes. */
typedef struct {
    const sa_scene *scene;
    scene_random *random;
    int target;
    sa_scene_phrase *phrase;
    words words;
} speaker;

/* True of object i; which of its features are named is drawn: percent of times for each. */
static description describe(const speaker *s, int i, uint32_t noun, uint32_t color, uint32_t pattern)
{
    const sa_scene_object *o = &s->scene->objects[i];
    description d = {ANY, ANY, ANY, ANY};
    if (scene_chance(s->random, noun)) {
        d.noun = (int)o->noun;
    }
    if (scene_chance(s->random, color)) {
        d.color = (int)o->colors[0];
        if (o->pattern == SA_SCENE_HALVED) {
            d.second = (int)o->colors[1];
        }
    }
    if (scene_chance(s->random, pattern) &&
        (o->pattern == SA_SCENE_STRIPED || o->pattern == SA_SCENE_DOTTED)) {
        d.pattern = (int)o->pattern;
    }
    return d;
}

static bool names_only(const speaker *s, const description *d, int i)
{
    uint32_t found;
    return find(s->scene, d, &found) && found == 1u << i;
}

static bool finish(speaker *s, uint32_t objects, int part)
{
    s->phrase->objects = objects;
    s->phrase->part = part;
    return true;
}

static bool say_attribute(speaker *s)
{
    description d = describe(s, s->target, 90, 75, 60);
    if (!names_only(s, &d, s->target) || (d.color == ANY && d.noun == ANY && d.pattern == ANY)) {
        return false;
    }
    say(&s->words, "the");
    say_description(&s->words, &d, false);
    return finish(s, 1u << s->target, -1);
}

/* "the leftmost circle", "the biggest star": of two at least. */
static bool say_position(speaker *s)
{
    static const char *const names[] = {"leftmost", "rightmost", "topmost", "bottommost"};
    description d = describe(s, s->target, 70, 30, 20);
    direction way = (direction)scene_below(s->random, DIRECTIONS);
    int order[SA_SCENE_MOST_OBJECTS];
    uint32_t found;
    if (!find(s->scene, &d, &found) || count_of(found) < 2) {
        return false;
    }
    int count = sort_along(s->scene, found, way, order);
    if (order[0] != s->target || !stands_apart(s->scene, order, count, 0, way)) {
        return false;
    }
    say(&s->words, "the");
    say(&s->words, names[way]);
    say_description(&s->words, &d, false);
    return finish(s, 1u << s->target, -1);
}

/* The biggest is so by a third; the smallest as well. Of one noun: sizes of others are hard to tell. */
static bool say_size(speaker *s)
{
    description d = describe(s, s->target, 100, 30, 20);
    bool biggest = scene_chance(s->random, 50);
    int64_t own = s->scene->objects[s->target].radius;
    uint32_t found;
    if (!find(s->scene, &d, &found) || count_of(found) < 2) {
        return false;
    }
    for (int i = 0; i < SA_SCENE_MOST_OBJECTS; i++) {
        if ((found >> i & 1) && i != s->target) {
            int64_t other = s->scene->objects[i].radius;
            if (biggest ? own * 3 < other * 4 : other * 3 < own * 4) {
                return false;
            }
        }
    }
    say(&s->words, "the");
    say(&s->words, biggest ? "biggest" : "smallest");
    say_description(&s->words, &d, false);
    return finish(s, 1u << s->target, -1);
}

/* Another object than the target, or -1 if it is alone. */
static int choose_anchor(const speaker *s)
{
    int others = (int)s->scene->object_count - 1;
    if (others < 1) {
        return -1;
    }
    int anchor = (int)scene_below(s->random, (uint32_t)others);
    return anchor + (anchor >= s->target);
}

static bool say_relation(speaker *s)
{
    static const char *const names[] = {"left of", "right of", "above", "below"};
    int anchor = choose_anchor(s);
    direction way = (direction)scene_below(s->random, DIRECTIONS);
    description d = describe(s, s->target, 85, 20, 10);
    uint32_t found;
    if (anchor < 0 || !find(s->scene, &d, &found)) {
        return false;
    }
    description other = describe(s, anchor, 95, 55, 40);
    if (!names_only(s, &other, anchor)) {
        return false;
    }
    for (int i = 0; i < (int)s->scene->object_count; i++) {
        if ((found >> i & 1) && i != anchor &&
            lies(s->scene, &s->scene->objects[i], way, &s->scene->objects[anchor]) !=
                (i == s->target ? YES : NO)) {
            return false;
        }
    }
    say(&s->words, "the");
    say_description(&s->words, &d, false);
    say(&s->words, names[way]);
    say(&s->words, "the");
    say_description(&s->words, &other, false);
    return finish(s, 1u << s->target, -1);
}

static bool say_ordinal(speaker *s)
{
    static const char *const ranks[] = {"first", "second", "third", "fourth"};
    static const char *const sides[] = {"from the left", "from the right", "from the top", "from the bottom"};
    description d = describe(s, s->target, 75, 25, 0);
    direction way = (direction)scene_below(s->random, DIRECTIONS);
    int order[SA_SCENE_MOST_OBJECTS], rank = 0;
    uint32_t found;
    if (!find(s->scene, &d, &found) || !(found >> s->target & 1)) {
        return false;
    }
    int count = sort_along(s->scene, found, way, order);
    while (order[rank] != s->target) {
        rank++;
    }
    if (count < 3 || rank > 3 || !stands_apart(s->scene, order, count, rank, way)) {
        return false;
    }
    for (int before = 0; before < rank; before++) { /* they are counted as well */
        if (!stands_apart(s->scene, order, count, before, way)) {
            return false;
        }
    }
    say(&s->words, "the");
    say(&s->words, ranks[rank]);
    say_description(&s->words, &d, false);
    say(&s->words, sides[way]);
    return finish(s, 1u << s->target, -1);
}

static bool say_group(speaker *s)
{
    description d = describe(s, s->target, 85, 60, 40);
    uint32_t found;
    if (!find(s->scene, &d, &found) || count_of(found) < 2 || count_of(found) > 4 ||
        count_of(found) == (int)s->scene->object_count) {
        return false;
    }
    say(&s->words, count_of(found) == 2 ? "both" : "all");
    say_description(&s->words, &d, true);
    return finish(s, found, -1);
}

static bool say_part(speaker *s)
{
    const sa_scene_object *o = &s->scene->objects[s->target];
    const scene_form *form = scene_form_of(o->noun);
    int part = (int)scene_below(s->random, SA_SCENE_MOST_PARTS);
    description d = describe(s, s->target, 100, 40, 0);
    if (form->parts[part] == NULL || o->part_visible[part] < s->scene->size * s->scene->size / 700 ||
        !names_only(s, &d, s->target)) {
        return false;
    }
    say(&s->words, "the");
    say(&s->words, form->parts[part]);
    say(&s->words, "of the");
    say_description(&s->words, &d, false);
    return finish(s, 1u << s->target, part);
}

static bool say_behind(speaker *s)
{
    int front = choose_anchor(s);
    description d = describe(s, s->target, 85, 20, 0);
    uint32_t found;
    if (front < 0 || !hides(s->scene, front, s->target) || !find(s->scene, &d, &found)) {
        return false;
    }
    description other = describe(s, front, 100, 60, 0);
    if (!names_only(s, &other, front)) {
        return false;
    }
    for (int i = 0; i < (int)s->scene->object_count; i++) {
        if ((found >> i & 1) && i != s->target && i != front && hides(s->scene, front, i)) {
            return false;
        }
    }
    say(&s->words, "the");
    say_description(&s->words, &d, false);
    say(&s->words, "behind the");
    say_description(&s->words, &other, false);
    return finish(s, 1u << s->target, -1);
}

/* ---- the phrases of a scene ---- */

static bool say_kind(speaker *s, sa_scene_kind kind)
{
    s->words.length = 0;
    s->phrase->kind = kind;
    switch (kind) {
    case SA_SCENE_ATTRIBUTE: return say_attribute(s);
    case SA_SCENE_POSITION: return scene_chance(s->random, 65) ? say_position(s) : say_size(s);
    case SA_SCENE_RELATION: return say_relation(s);
    case SA_SCENE_ORDINAL: return say_ordinal(s);
    case SA_SCENE_GROUP: return say_group(s);
    case SA_SCENE_PART: return say_part(s);
    case SA_SCENE_BEHIND: return say_behind(s);
    default: return false;
    }
}

static bool is_new(const sa_scene *scene, const sa_scene_phrase *phrase)
{
    for (size_t i = 0; i < scene->phrase_count; i++) {
        if (scene->phrases[i].objects == phrase->objects && scene->phrases[i].part == phrase->part) {
            return false;
        }
    }
    return true;
}

/* A phrase of the kind that is drawn, or, where nothing of that kind can be said, of another one. */
static bool find_phrase(sa_scene *scene, scene_random *random)
{
    static const uint8_t weights[SA_SCENE_LEVELS][SA_SCENE_KINDS] = {
        [SA_SCENE_EASY] = {58, 17, 20, 5, 0, 0, 0},
        [SA_SCENE_HARD] = {50, 20, 22, 8, 0, 0, 0},
        [SA_SCENE_STEPS] = {34, 8, 8, 4, 20, 14, 12},
    };
    uint8_t left[SA_SCENE_KINDS];
    memcpy(left, weights[scene->level], sizeof left);
    sa_scene_phrase *phrase = &scene->phrases[scene->phrase_count];
    speaker s = {.scene = scene, .random = random, .phrase = phrase, .words = {.text = phrase->text}};
    for (uint32_t kinds = SA_SCENE_KINDS; kinds > 0; kinds--) {
        uint32_t sum = 0;
        for (int i = 0; i < SA_SCENE_KINDS; i++) {
            sum += left[i];
        }
        if (sum == 0) {
            return false;
        }
        sa_scene_kind kind = (sa_scene_kind)scene_weighted(random, left, SA_SCENE_KINDS);
        for (int i = 0; i < TRIES; i++) {
            s.target = (int)scene_below(random, (uint32_t)scene->object_count);
            if (say_kind(&s, kind) && is_new(scene, phrase)) {
                return true;
            }
        }
        left[kind] = 0;
    }
    return false;
}

size_t scene_find_phrases(sa_scene *scene, scene_random *random, size_t most)
{
    scene->phrase_count = 0;
    while (scene->phrase_count < most && find_phrase(scene, random)) {
        scene->phrase_count++;
    }
    return scene->phrase_count;
}
