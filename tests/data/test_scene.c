/*
 * runtime/data/scene.h: phrases are read back word by word and must leave one target; ground truth is what is
 * painted; the same bytes everywhere.
 */
#include "tests/check.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/data/scene.h"
#include "runtime/data/scene_row.h"
#include "runtime/data/scene_shapes.h"

enum { SCENES = 400 };
#define EXPECTED_HASH 0x98bfc9e2d787d87bu /* made once; it changes only with the world itself */

/* ---- phrases, read by other rules than they are made by ---- */

/* What a run of words says of an object; everything unsaid is -1. */
typedef struct {
    int noun, colors[2], pattern;
    bool any; /* "object" */
} reading;

typedef struct {
    char text[SA_SCENE_TEXT];
    char *words[32];
    int count;
} sentence;

static void split(sentence *s, const char *text)
{
    char *rest = NULL;
    strcpy(s->text, text);
    s->count = 0;
    for (char *word = strtok_r(s->text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        s->words[s->count++] = word;
    }
}

/* Reads the words from `at` up to and with the noun; returns the place behind it. */
static int read_description(const sentence *s, int at, reading *r)
{
    *r = (reading){-1, {-1, -1}, -1, false};
    for (; at < s->count; at++) {
        const char *word = s->words[at];
        for (int c = 0; c < SA_SCENE_COLORS; c++) {
            if (strcmp(word, sa_scene_color_name((sa_scene_color)c)) == 0) {
                r->colors[r->colors[0] >= 0] = c;
            }
        }
        for (int p = 1; p < SA_SCENE_PATTERNS; p++) {
            r->pattern = strcmp(word, sa_scene_pattern_name((sa_scene_pattern)p)) == 0 ? p : r->pattern;
        }
        for (int n = 0; n < SA_SCENE_NOUNS; n++) {
            const scene_form *form = scene_form_of((sa_scene_noun)n);
            r->noun = strcmp(word, form->name) == 0 || strcmp(word, form->plural) == 0 ? n : r->noun;
        }
        r->any = strcmp(word, "object") == 0 || strcmp(word, "objects") == 0;
        if (r->any || r->noun >= 0) {
            return at + 1;
        }
    }
    fail_msg("no noun: %s", s->text);
    return at;
}

static bool shows(const sa_scene_object *o, int color)
{
    for (int i = 0; i < o->color_count; i++) {
        if ((int)o->colors[i] == color) {
            return true;
        }
    }
    return false;
}

/* Could anybody take the words for this object? Any colour that it shows will do. */
static bool may_mean(const reading *r, const sa_scene_object *o)
{
    return (r->any || r->noun == (int)o->noun) && (r->pattern < 0 || r->pattern == (int)o->pattern) &&
           (r->colors[0] < 0 || shows(o, r->colors[0])) && (r->colors[1] < 0 || shows(o, r->colors[1]));
}

/* Do they mean it beyond doubt? The colour is its first one, or both are. */
static bool means(const reading *r, const sa_scene_object *o)
{
    bool colored = r->colors[0] < 0 || r->colors[1] >= 0 || r->colors[0] == (int)o->colors[0];
    return may_mean(r, o) && colored;
}

static uint32_t all_that_may(const sa_scene *s, const reading *r)
{
    uint32_t set = 0;
    for (size_t i = 0; i < s->object_count; i++) {
        set |= (uint32_t)may_mean(r, &s->objects[i]) << i;
    }
    return set;
}

static int only_one(const sa_scene *s, const reading *r)
{
    uint32_t set = all_that_may(s, r);
    assert_int_equal(__builtin_popcount(set), 1);
    assert_true(means(r, &s->objects[__builtin_ctz(set)]));
    return __builtin_ctz(set);
}

/* Centre of an object, as far along as the word says: "leftmost", "left", "above", "top" ... */
static double along(const sa_scene_object *o, const char *word)
{
    double x = o->middle_x / 256.0, y = o->middle_y / 256.0;
    return strncmp(word, "left", 4) == 0                                ? -x
           : strncmp(word, "right", 5) == 0                             ? x
           : strncmp(word, "top", 3) == 0 || strcmp(word, "above") == 0 ? -y
                                                                        : y;
}

static int more_along(const sa_scene *s, uint32_t set, int target, const char *word)
{
    int more = 0;
    for (int i = 0; i < (int)s->object_count; i++) {
        more +=
            (set >> i & 1) && i != target && along(&s->objects[i], word) > along(&s->objects[target], word);
    }
    return more;
}

static void check_superlative(const sa_scene *s, const sentence *t, int target)
{
    reading r;
    read_description(t, 2, &r);
    uint32_t set = all_that_may(s, &r);
    bool biggest = strcmp(t->words[1], "biggest") == 0, smallest = strcmp(t->words[1], "smallest") == 0;
    assert_true(set >> target & 1 && __builtin_popcount(set) >= 2);
    for (int i = 0; i < (int)s->object_count; i++) {
        if ((set >> i & 1) && i != target && (biggest || smallest)) {
            double ratio = (double)s->objects[target].radius / s->objects[i].radius;
            assert_true(biggest ? ratio > 1.3 : ratio < 0.77);
        }
    }
    assert_true(biggest || smallest || more_along(s, set, target, t->words[1]) == 0);
}

static void check_ordinal(const sa_scene *s, const sentence *t, int target)
{
    static const char *const ranks[] = {"first", "second", "third", "fourth"};
    reading r;
    int end = read_description(t, 2, &r), rank = 0;
    uint32_t set = all_that_may(s, &r);
    while (strcmp(t->words[1], ranks[rank]) != 0) {
        rank++;
    }
    assert_string_equal(t->words[end], "from");
    assert_true(set >> target & 1 && __builtin_popcount(set) >= 3);
    assert_int_equal(more_along(s, set, target, t->words[end + 2]), rank);
}

/* "the X left of the Y", "the X above the Y": of all X it alone lies there. */
static void check_relation(const sa_scene *s, const sentence *t, int target)
{
    reading what, anchor;
    int at = read_description(t, 1, &what);
    const char *way = t->words[at];
    at += strcmp(t->words[at + 1], "of") == 0 ? 2 : 1;
    assert_string_equal(t->words[at], "the");
    read_description(t, at + 1, &anchor);
    int other = only_one(s, &anchor);
    assert_true(means(&what, &s->objects[target]) && other != target);
    for (int i = 0; i < (int)s->object_count; i++) {
        double ahead = along(&s->objects[i], way) - along(&s->objects[other], way);
        assert_true(i != target || ahead > s->size * 0.07);
        if (i != target && i != other && may_mean(&what, &s->objects[i])) {
            bool level = strcmp(way, "left") == 0 || strcmp(way, "right") == 0;
            double across = along(&s->objects[i], level ? "below" : "right") -
                            along(&s->objects[other], level ? "below" : "right");
            assert_true(ahead < s->size * 0.03 || ahead * 2 <= (across < 0 ? -across : across) + 1);
        }
    }
}

static void check_phrase(const sa_scene *s, const sa_scene_phrase *p)
{
    sentence t;
    reading r;
    int target = __builtin_ctz(p->objects);
    split(&t, p->text);
    assert_true(p->kind == SA_SCENE_GROUP || __builtin_popcount(p->objects) == 1);
    assert_int_equal(p->part >= 0, p->kind == SA_SCENE_PART);
    switch (p->kind) {
    case SA_SCENE_ATTRIBUTE:
        assert_int_equal(read_description(&t, 1, &r), t.count);
        assert_int_equal(only_one(s, &r), target);
        break;
    case SA_SCENE_POSITION: check_superlative(s, &t, target); break;
    case SA_SCENE_ORDINAL: check_ordinal(s, &t, target); break;
    case SA_SCENE_RELATION: check_relation(s, &t, target); break;
    case SA_SCENE_GROUP:
        read_description(&t, 1, &r);
        assert_int_equal(all_that_may(s, &r), p->objects);
        assert_string_equal(t.words[0], __builtin_popcount(p->objects) == 2 ? "both" : "all");
        break;
    case SA_SCENE_PART:
        assert_string_equal(t.words[1], scene_form_of(s->objects[target].noun)->parts[p->part]);
        read_description(&t, 4, &r);
        assert_int_equal(only_one(s, &r), target);
        break;
    default: /* behind */ {
        reading front;
        int at = read_description(&t, 1, &r);
        assert_string_equal(t.words[at], "behind");
        read_description(&t, at + 2, &front);
        assert_true(only_one(s, &front) > target && means(&r, &s->objects[target]));
        assert_true(s->objects[target].visible < s->objects[target].full);
    }
    }
}

/* ---- ground truth ---- */

/* The mean colour of a target of one plain colour is near that colour's, whatever light and noise do. */
static void check_color(const sa_scene *s, const sa_scene_object *o, const sa_mask *mask)
{
    static const uint8_t rgb[SA_SCENE_COLORS][3] = {{205, 38, 38},  {238, 205, 30},  {40, 75, 210},
                                                    {130, 45, 160}, {240, 240, 238}, {26, 26, 30},
                                                    {242, 128, 22}, {246, 140, 185}};
    double sum[3] = {0}, area = (double)sa_mask_area(mask);
    for (size_t i = 0; i < s->size * s->size; i++) {
        for (int c = 0; c < 3 && sa_mask_get(mask, i % s->size, i / s->size); c++) {
            sum[c] += s->image.pixels[3 * i + (size_t)c];
        }
    }
    for (int c = 0; c < 3; c++) {
        assert_true(abs((int)(sum[c] / area) - rgb[o->colors[0]][c]) < 45);
    }
}

static void check_target(const sa_scene *s, const sa_scene_phrase *p, sa_mask *mask)
{
    size_t area = 0;
    for (size_t i = 0; i < s->object_count; i++) {
        if (p->objects >> i & 1) {
            area += p->part < 0 ? s->objects[i].visible : s->objects[i].part_visible[p->part];
        }
    }
    sa_scene_target(s, p, mask);
    assert_int_equal(sa_mask_area(mask), area);
    assert_true(area * 900 >= s->size * s->size);
    const sa_scene_object *o = &s->objects[__builtin_ctz(p->objects)];
    if (o->color_count == 1 && p->kind != SA_SCENE_GROUP) {
        sa_mask_box box = sa_mask_bbox(mask);
        check_color(s, o, mask);
        assert_memory_equal(&box, &o->box, sizeof box);
    }
}

static void check_level(sa_scene_level level, size_t size, bool *kinds)
{
    sa_scene scene;
    sa_mask mask;
    uint32_t attempts = 0;
    assert_int_equal(sa_scene_open(&scene, size, NULL), SA_OK);
    assert_int_equal(sa_mask_new(&mask, size, size, NULL), SA_OK);
    for (uint64_t i = 0; i < SCENES; i++) {
        sa_scene_draw(&scene, 5, i, level, 1 + i % SA_SCENE_MOST_PHRASES);
        assert_in_range(scene.phrase_count, 1, 1 + i % SA_SCENE_MOST_PHRASES);
        attempts += scene.attempts;
        for (size_t n = 0; n < scene.phrase_count; n++) {
            check_phrase(&scene, &scene.phrases[n]);
            check_target(&scene, &scene.phrases[n], &mask);
            kinds[scene.phrases[n].kind] = true;
        }
    }
    print_message("%s: %.2f layouts thrown away for each one kept\n", sa_scene_level_name(level),
                  (double)attempts / SCENES);
    assert_true(attempts < SCENES);
    sa_mask_free(&mask);
    sa_scene_close(&scene);
}

static void test_levels(void **state)
{
    (void)state;
    for (int level = 0; level < SA_SCENE_LEVELS; level++) {
        bool kinds[SA_SCENE_KINDS] = {false};
        check_level((sa_scene_level)level, 256, kinds);
        for (int kind = 0; kind < SA_SCENE_KINDS; kind++) {
            assert_int_equal(kinds[kind], kind < SA_SCENE_GROUP || level == SA_SCENE_STEPS);
        }
    }
}

static void test_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {32, 33, 97, 512};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        sa_scene scene;
        assert_int_equal(sa_scene_open(&scene, sizes[i], NULL), SA_OK);
        for (uint64_t n = 0; n < 30; n++) {
            sa_scene_draw(&scene, 9, n, (sa_scene_level)(n % SA_SCENE_LEVELS), 3);
            check_phrase(&scene, &scene.phrases[0]);
        }
        sa_scene_close(&scene);
    }
    sa_scene scene;
    sa_error err;
    assert_int_equal(sa_scene_open(&scene, 0, &err), SA_BAD_USAGE);
    assert_int_equal(sa_scene_open(&scene, SA_SCENE_MOST_SIZE + 1, &err), SA_BAD_USAGE);
}

/* ---- the same bytes everywhere, other seeds other scenes ---- */

static uint64_t hash_more(uint64_t hash, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u; /* FNV-1a */
    }
    return hash;
}

static uint64_t hash_scene(const sa_scene *s, uint64_t hash)
{
    hash = hash_more(hash, s->image.pixels, s->size * s->size * 3);
    hash = hash_more(hash, s->labels, s->size * s->size);
    for (size_t i = 0; i < s->phrase_count; i++) {
        hash = hash_more(hash, s->phrases[i].text, strlen(s->phrases[i].text));
    }
    return hash;
}

static void test_hash(void **state)
{
    (void)state;
    uint64_t hash = 0xcbf29ce484222325u;
    sa_scene scene;
    assert_int_equal(sa_scene_open(&scene, 128, NULL), SA_OK);
    for (uint64_t i = 0; i < 90; i++) {
        sa_scene_draw(&scene, 2026, i, (sa_scene_level)(i % SA_SCENE_LEVELS), 2);
        hash = hash_scene(&scene, hash);
    }
    sa_scene_close(&scene);
    print_message("0x%016llxu\n", (unsigned long long)hash);
    assert_true(hash == EXPECTED_HASH);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static void test_seeds_differ(void **state)
{
    (void)state;
    static uint64_t hashes[600];
    sa_scene scene;
    assert_int_equal(sa_scene_open(&scene, 64, NULL), SA_OK);
    for (uint64_t i = 0; i < 600; i++) {
        sa_scene_draw(&scene, i % 3, i / 3, SA_SCENE_EASY, 1);
        hashes[i] = hash_scene(&scene, 1);
    }
    sa_scene_draw(&scene, 2, 199, SA_SCENE_EASY, 1); /* the last one again, after others */
    assert_true(hash_scene(&scene, 1) == hashes[599]);
    qsort(hashes, 600, sizeof *hashes, by_value);
    for (size_t i = 0; i + 1 < 600; i++) {
        assert_true(hashes[i] != hashes[i + 1]);
    }
    sa_scene_close(&scene);
}

/* ---- what rows say ---- */

static void test_pieces(void **state)
{
    (void)state;
    sa_mask mask;
    size_t pieces;
    assert_int_equal(sa_mask_new(&mask, 9, 70, NULL), SA_OK);
    assert_int_equal(sa_scene_count_pieces(&mask, &pieces, NULL), SA_OK);
    assert_int_equal(pieces, 0);
    sa_mask_set(&mask, 0, 0, true);
    sa_mask_set(&mask, 1, 1, true); /* by a corner */
    sa_mask_set(&mask, 69, 8, true);
    sa_mask_set(&mask, 64, 4, true);
    sa_mask_set(&mask, 63, 4, true);
    assert_int_equal(sa_scene_count_pieces(&mask, &pieces, NULL), SA_OK);
    assert_int_equal(pieces, 3);
    sa_mask_fill(&mask, true);
    assert_int_equal(sa_scene_count_pieces(&mask, &pieces, NULL), SA_OK);
    assert_int_equal(pieces, 1);
    sa_mask_free(&mask);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),       cmocka_unit_test(test_sizes),  cmocka_unit_test(test_hash),
        cmocka_unit_test(test_seeds_differ), cmocka_unit_test(test_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
