/* runtime/image/rle.h: pycocotools' answers (tests/golden/masks), loops over bytes, and hostile text. */
#include "tests/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/image/rle.h"
#include "tests/image/golden_masks.h"
#include "tests/ref/mask_cases.h"
#include "tests/ref/ref_image.h"

static sa_rle from_text(const char *text, size_t height, size_t width)
{
    sa_rle rle;
    sa_error err = {0};
    if (sa_rle_from_string(&rle, text, strlen(text), height, width, &err) != SA_OK) {
        fail_msg("%s: %s", text, err.reason);
    }
    return rle;
}

static bool writes_as(const sa_rle *rle, const char *want)
{
    char *text = NULL;
    size_t length = 0;
    assert_int_equal(sa_rle_to_string(rle, &text, &length, NULL), SA_OK);
    bool good = length == strlen(text) && strcmp(text, want) == 0;
    free(text);
    return good;
}

/* What the invariant of rle.h says. */
static bool is_canonical(const sa_rle *rle)
{
    uint64_t sum = rle->counts[0];
    bool good = rle->count >= 1;
    for (size_t i = 1; i < rle->count; i++) {
        good = good && rle->counts[i] != 0;
        sum += rle->counts[i];
    }
    return good && sum == (uint64_t)rle->height * rle->width;
}

/* ---- against loops ---- */

static bool encodes(const sa_mask *mask, const uint8_t *bytes)
{
    size_t h = mask->height, w = mask->width;
    uint32_t *counts = malloc((h * w + 1) * sizeof *counts);
    size_t count = ref_rle_counts(bytes, h, w, counts);
    char *text = malloc(7 * count + 1);
    ref_rle_string(counts, count, text);
    sa_rle rle;
    assert_int_equal(sa_rle_encode(&rle, mask, NULL), SA_OK);
    bool good = rle.count == count && memcmp(rle.counts, counts, count * sizeof *counts) == 0 &&
                writes_as(&rle, text) && sa_rle_area(&rle) == sa_mask_area(mask) && is_canonical(&rle);
    sa_rle again = from_text(text, h, w);
    good = good && sa_rle_equal(&again, &rle);
    sa_rle_free(&again);
    sa_rle_free(&rle);
    free(counts);
    free(text);
    return good;
}

static bool decodes(const uint8_t *bytes, const sa_mask *mask)
{
    size_t h = mask->height, w = mask->width;
    uint32_t *counts = malloc((h * w + 1) * sizeof *counts);
    size_t count = ref_rle_counts(bytes, h, w, counts);
    sa_rle rle;
    assert_int_equal(sa_rle_from_counts(&rle, counts, count, h, w, NULL), SA_OK);
    sa_mask got;
    assert_int_equal(sa_rle_decode(&rle, &got, NULL), SA_OK);
    bool good = sa_mask_equal(&got, mask);
    sa_mask_free(&got);
    sa_rle_free(&rle);
    free(counts);
    return good;
}

static void every_shape_and_content(void **state)
{
    (void)state;
    for (size_t s = 0; s < mask_shape_count; s++) {
        for (int fill = 0; fill < MASK_FILLS; fill++) {
            size_t h = mask_shapes[s].height, w = mask_shapes[s].width;
            uint8_t *bytes = malloc(h * w);
            mask_case_fill(bytes, h, w, fill, s);
            sa_mask mask;
            assert_int_equal(sa_mask_new(&mask, h, w, NULL), SA_OK);
            sa_mask_from_bytes(&mask, bytes);
            if (!encodes(&mask, bytes) || !decodes(bytes, &mask)) {
                fail_msg("%zu x %zu, fill %d", h, w, fill);
            }
            /* Planted fault: one pixel off. */
            bytes[h * w - 1] = !bytes[h * w - 1];
            assert_false(encodes(&mask, bytes));
            assert_false(decodes(bytes, &mask));
            sa_mask_free(&mask);
            free(bytes);
        }
    }
}

static void a_large_mask(void **state)
{
    (void)state;
    size_t side = 8000;
    uint8_t *bytes = malloc(side * side);
    mask_case_fill(bytes, side, side, 5, 3);
    sa_mask mask;
    assert_int_equal(sa_mask_new(&mask, side, side, NULL), SA_OK);
    sa_mask_from_bytes(&mask, bytes);
    assert_true(encodes(&mask, bytes));
    assert_true(decodes(bytes, &mask));
    sa_mask_free(&mask);
    free(bytes);
}

/* Merge and IoU of random masks against the same on bits. */
static bool pair_agrees(const sa_mask *a, const sa_mask *b, bool spoil)
{
    sa_rle parts[2], merged;
    sa_mask want, got;
    double iou;
    assert_int_equal(sa_rle_encode(&parts[0], a, NULL), SA_OK);
    assert_int_equal(sa_rle_encode(&parts[1], b, NULL), SA_OK);
    assert_int_equal(sa_mask_copy(&want, a, NULL), SA_OK);
    assert_int_equal(sa_rle_iou(&parts[0], &parts[1], false, &iou, NULL), SA_OK);
    uint64_t overlap = 0, together = 0;
    assert_int_equal(sa_rle_overlap(&parts[0], &parts[1], &overlap, &together, NULL), SA_OK);
    bool good =
        iou == sa_mask_iou(a, b) && overlap == sa_mask_intersection(a, b) && together == sa_mask_union(a, b);
    size_t both = sa_mask_intersection(a, b), area = sa_mask_area(a);
    assert_int_equal(sa_rle_iou(&parts[0], &parts[1], true, &iou, NULL), SA_OK);
    good = good && iou == (both == 0 ? 0.0 : (double)both / (double)area);
    for (int intersect = 0; intersect < 2; intersect++) {
        assert_int_equal(sa_rle_merge(&merged, parts, 2, intersect, NULL), SA_OK);
        assert_int_equal(sa_rle_decode(&merged, &got, NULL), SA_OK);
        sa_mask_combine(&want, a, b, intersect ? SA_MASK_AND : SA_MASK_OR);
        if (spoil) {
            sa_mask_set(&want, 0, 0, !sa_mask_get(&want, 0, 0));
        }
        good = good && sa_mask_equal(&got, &want) && is_canonical(&merged);
        sa_rle_free(&merged);
        sa_mask_free(&got);
    }
    sa_mask_free(&want);
    sa_rle_free(&parts[0]);
    sa_rle_free(&parts[1]);
    return good;
}

static void pairs_of_masks(void **state)
{
    (void)state;
    for (size_t s = 0; s < mask_shape_count * MASK_FILLS * MASK_FILLS; s++) {
        mask_shape shape = mask_shapes[s / (MASK_FILLS * MASK_FILLS)];
        uint8_t *bytes = malloc(shape.height * shape.width);
        sa_mask mask[2];
        for (int k = 0; k < 2; k++) {
            int fill = (int)(k == 0 ? s % MASK_FILLS : s / MASK_FILLS % MASK_FILLS);
            mask_case_fill(bytes, shape.height, shape.width, fill, s + (size_t)k);
            assert_int_equal(sa_mask_new(&mask[k], shape.height, shape.width, NULL), SA_OK);
            sa_mask_from_bytes(&mask[k], bytes);
        }
        assert_true(pair_agrees(&mask[0], &mask[1], false));
        assert_false(pair_agrees(&mask[0], &mask[1], true));
        sa_mask_free(&mask[0]);
        sa_mask_free(&mask[1]);
        free(bytes);
    }
}

/* Polygons of every kind against the walk. */
static bool polygon_agrees(const double *xy, size_t points, size_t h, size_t w, bool spoil)
{
    uint8_t *bytes = malloc(h * w);
    ref_polygon_fill(xy, points, h, w, bytes);
    bytes[0] ^= spoil;
    sa_rle rle;
    sa_mask got, want;
    assert_int_equal(sa_rle_from_polygon(&rle, xy, points, h, w, NULL), SA_OK);
    assert_int_equal(sa_rle_decode(&rle, &got, NULL), SA_OK);
    assert_int_equal(sa_mask_new(&want, h, w, NULL), SA_OK);
    sa_mask_from_bytes(&want, bytes);
    bool good = sa_mask_equal(&got, &want) && is_canonical(&rle);
    sa_mask_free(&got);
    sa_mask_free(&want);
    sa_rle_free(&rle);
    free(bytes);
    return good;
}

static void polygons_against_the_walk(void **state)
{
    (void)state;
    for (uint64_t k = 0; k < 4000; k++) {
        sa_philox r = sa_philox_block(21, k, 0);
        size_t h = 1 + r.word[0] % 70, w = 1 + r.word[1] % 70, points = 1 + r.word[2] % 9;
        double reach = r.word[3] % 4 == 0 ? 30.0 : 1.6, grid = r.word[3] / 4 % 3 == 0   ? 1.0
                                                               : r.word[3] / 4 % 3 == 1 ? 10.0
                                                                                        : 1e6;
        double xy[18];
        for (size_t i = 0; i < 2 * points; i++) {
            double unit = (double)sa_philox_unit(sa_philox_block(22, k, i).word[0]) - 0.5;
            xy[i] = rint((unit * reach + 0.5) * (double)(i % 2 == 0 ? w : h) * grid) / grid;
        }
        if (!polygon_agrees(xy, points, h, w, false)) {
            fail_msg("polygon %llu, %zu corners, %zu x %zu", (unsigned long long)k, points, h, w);
        }
        assert_false(polygon_agrees(xy, points, h, w, true));
    }
}

/* ---- pycocotools ---- */

static void golden_masks(void **state)
{
    (void)state;
    json_t *cases = golden_read("tests/golden/masks/rle.json");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        sa_rle parts[2], merged;
        double box[4], iou;
        for (size_t k = 0; k < 2; k++) {
            sa_mask mask = golden_mask(c, (uint32_t)golden_item(c, "seeds", k));
            assert_int_equal(sa_rle_encode(&parts[k], &mask, NULL), SA_OK);
            assert_true(
                writes_as(&parts[k], json_string_value(json_array_get(json_object_get(c, "counts"), k))));
            assert_true((double)sa_rle_area(&parts[k]) == golden_item(c, "area", k));
            sa_rle_bbox(&parts[k], box);
            for (size_t side = 0; side < 4; side++) {
                json_t *want = json_array_get(json_array_get(json_object_get(c, "bbox"), k), side);
                assert_true(box[side] == json_number_value(want));
            }
            sa_mask_free(&mask);
        }
        for (int crowd = 0; crowd < 2; crowd++) {
            assert_int_equal(sa_rle_iou(&parts[0], &parts[1], crowd, &iou, NULL), SA_OK);
            assert_true(iou == json_number_value(json_object_get(c, crowd ? "crowd" : "iou")));
            assert_int_equal(sa_rle_merge(&merged, parts, 2, crowd, NULL), SA_OK);
            assert_true(writes_as(&merged, golden_text(c, crowd ? "intersection" : "union")));
            sa_rle_free(&merged);
        }
        sa_rle_free(&parts[0]);
        sa_rle_free(&parts[1]);
    }
    json_decref(cases);
}

static void golden_polygons(void **state)
{
    (void)state;
    json_t *cases = golden_read("tests/golden/masks/polygons.json");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i), *polygons = json_object_get(c, "polygons");
        size_t h = (size_t)golden_item(c, "size", 0), w = (size_t)golden_item(c, "size", 1);
        sa_rle rle;
        for (size_t k = 0; k < json_array_size(polygons); k++) {
            json_t *one = json_pack("[O]", json_array_get(polygons, k));
            assert_int_equal(sa_rle_from_json(&rle, one, "golden", h, w, NULL), SA_OK);
            assert_true(writes_as(&rle, json_string_value(json_array_get(json_object_get(c, "each"), k))));
            sa_rle_free(&rle);
            json_decref(one);
        }
        assert_int_equal(sa_rle_from_json(&rle, polygons, "golden", h, w, NULL), SA_OK);
        assert_true(writes_as(&rle, golden_text(c, "union")));
        sa_rle_free(&rle);
    }
    json_decref(cases);
}

static void golden_boxes(void **state)
{
    (void)state;
    json_t *cases = golden_read("tests/golden/masks/boxes.json");
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *c = json_array_get(cases, i);
        double box[4];
        for (size_t k = 0; k < 4; k++) {
            box[k] = golden_item(c, "box", k);
        }
        sa_rle rle;
        assert_int_equal(sa_rle_from_box(&rle, box, (size_t)golden_item(c, "size", 0),
                                         (size_t)golden_item(c, "size", 1), NULL),
                         SA_OK);
        assert_true(writes_as(&rle, golden_text(c, "counts")));
        sa_rle_free(&rle);
    }
    json_decref(cases);
}

/* The vectors of the specification. */
static void known_strings(void **state)
{
    (void)state;
    uint32_t small[] = {5, 2, 2, 2, 2, 2, 5}, zeros[] = {307200}, ones[] = {0, 307200};
    sa_rle rle;
    assert_int_equal(sa_rle_from_counts(&rle, small, 7, 4, 5, NULL), SA_OK);
    assert_true(writes_as(&rle, "5220003"));
    assert_false(writes_as(&rle, "5220004"));
    sa_rle_free(&rle);
    assert_int_equal(sa_rle_from_counts(&rle, zeros, 1, 480, 640, NULL), SA_OK);
    assert_true(writes_as(&rle, "PP\\9"));
    sa_rle_free(&rle);
    assert_int_equal(sa_rle_from_counts(&rle, ones, 2, 480, 640, NULL), SA_OK);
    assert_true(writes_as(&rle, "0PP\\9"));
    sa_rle_free(&rle);
    sa_mask mask;
    assert_int_equal(sa_mask_new(&mask, 480, 640, NULL), SA_OK);
    for (size_t y = 100; y < 200; y++) {
        for (size_t x = 50; x < 150; x++) {
            sa_mask_set(&mask, x, y, true);
        }
    }
    char want[256] = "Tag0T3l;";
    memset(want + 8, '0', 197);
    strcpy(want + 205, "lbU7");
    assert_int_equal(sa_rle_encode(&rle, &mask, NULL), SA_OK);
    assert_int_equal(rle.count, 201);
    assert_true(writes_as(&rle, want));
    sa_rle_free(&rle);
    sa_mask_free(&mask);
}

/* ---- hostile input ---- */

static void empty_runs_are_joined(void **state)
{
    (void)state;
    uint32_t lists[][8] = {{5, 0, 3, 4}, {5, 3, 0, 4}, {0, 0, 8, 4}, {8, 4, 0, 0},
                           {12, 0},      {0, 12, 0},   {0, 0, 0, 12}};
    size_t counts[] = {4, 4, 4, 4, 2, 3, 4};
    const char *want[] = {"84", "57", "84", "84", "<", "0<", "0<"};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        sa_rle rle, again;
        char text[64];
        assert_int_equal(sa_rle_from_counts(&rle, lists[i], counts[i], 3, 4, NULL), SA_OK);
        assert_true(is_canonical(&rle));
        assert_true(writes_as(&rle, want[i]));
        ref_rle_string(lists[i], counts[i], text);
        again = from_text(text, 3, 4);
        assert_true(sa_rle_equal(&rle, &again));
        sa_rle_free(&again);
        sa_rle_free(&rle);
    }
}

static void texts_that_are_refused(void **state)
{
    (void)state;
    /* All for 3 x 4 pixels. */
    const char *texts[] = {
        "",                /* nothing */
        ";",               /* 11: short */
        "=",               /* 13: long */
        "84\x31",          /* one too many */
        "8",               /* short */
        "O",               /* -1 */
        "<O",              /* 12, -1 */
        "l",               /* cut off */
        "oooooo0",         /* seven characters, far past the area */
        "oooooooo0",       /* too long a number */
        "PPPPPPPPPPPPPP0", /* the same with zeros */
        "8/",              /* character below '0' */
        "8p",              /* character above 'o' */
        "8 4",             /* a space */
        "840N",            /* a difference that takes a run below 0 */
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        sa_rle rle;
        sa_error err = {0};
        if (sa_rle_from_string(&rle, texts[i], strlen(texts[i]), 3, 4, &err) != SA_BAD_INPUT) {
            fail_msg("\"%s\" was taken", texts[i]);
        }
        assert_null(rle.counts);
        assert_true(err.reason[0] != '\0');
    }
    sa_rle rle;
    assert_int_equal(sa_rle_from_string(&rle, "8\0004", 3, 3, 4, NULL), SA_BAD_INPUT);
    assert_int_equal(sa_rle_from_string(&rle, "84", 2, SIZE_MAX, 4, NULL), SA_NO_ROOM);
    assert_int_equal(sa_rle_from_string(&rle, "84", 2, 65536, 65536, NULL), SA_NO_ROOM);
    uint32_t wraps[] = {UINT32_MAX, 1, 12};
    assert_int_equal(sa_rle_from_counts(&rle, wraps, 3, 3, 4, NULL), SA_BAD_INPUT);
    assert_int_equal(sa_rle_from_counts(&rle, wraps, 0, 0, 0, NULL), SA_BAD_INPUT);
}

/* Every string of three characters: taken or refused, but what is taken reads back to itself. */
static void all_short_strings(void **state)
{
    (void)state;
    size_t taken = 0;
    for (unsigned n = 0; n < 64 * 64 * 64; n++) {
        char text[3] = {(char)(48 + n % 64), (char)(48 + n / 64 % 64), (char)(48 + n / 4096)};
        sa_rle rle;
        if (sa_rle_from_string(&rle, text, 3, 3, 5, NULL) != SA_OK) {
            continue;
        }
        taken++;
        assert_true(is_canonical(&rle));
        char *written;
        assert_int_equal(sa_rle_to_string(&rle, &written, NULL, NULL), SA_OK);
        sa_rle again = from_text(written, 3, 5);
        assert_true(sa_rle_equal(&rle, &again));
        free(written);
        sa_rle_free(&again);
        sa_rle_free(&rle);
    }
    assert_true(taken > 100);
}

static void polygons_that_are_refused(void **state)
{
    (void)state;
    sa_rle rle;
    double bad[] = {0, 0, 5, 0, 5, 5};
    const double values[] = {NAN, INFINITY, -INFINITY, 1e7, -1e7, 1e300};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        for (size_t k = 0; k < 6; k++) {
            double keep = bad[k];
            bad[k] = values[i];
            assert_int_equal(sa_rle_from_polygon(&rle, bad, 3, 10, 10, NULL), SA_BAD_INPUT);
            bad[k] = keep;
        }
    }
    assert_int_equal(sa_rle_from_polygon(&rle, bad, 0, 10, 10, NULL), SA_BAD_INPUT);
    size_t points = 200000; /* would leave 2 * 10^9 toggles */
    double *zigzag = malloc(2 * points * sizeof *zigzag);
    for (size_t i = 0; i < points; i++) {
        zigzag[2 * i] = i % 2 == 0 ? -10 : 10010;
        zigzag[2 * i + 1] = (double)i;
    }
    assert_int_equal(sa_rle_from_polygon(&rle, zigzag, points, 10, 10000, NULL), SA_BAD_INPUT);
    free(zigzag);
}

static sa_status read_json(const char *text, size_t height, size_t width, sa_rle *rle, sa_error *err)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(value);
    sa_status status = sa_rle_from_json(rle, value, "some.json", height, width, err);
    json_decref(value);
    return status;
}

static void json_forms(void **state)
{
    (void)state;
    const char *good[] = {
        "{\"size\":[4,5],\"counts\":\"5220003\"}",
        "{\"size\":[4,5],\"counts\":[5,2,2,2,2,2,5]}",
        "{\"counts\":[5,2,2,2,2,2,5,0,0],\"size\":[4,5],\"more\":1}",
        "[[1,1,4,1,4,3,1,3]]",
        "[[1,1,4,1,4,2,1,2],[1,2.0,4,2.0,4,3,1,3],[2,1,3,1,3,3]]",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        sa_rle rle;
        sa_error err = {0};
        if (read_json(good[i], 4, 5, &rle, &err) != SA_OK) {
            fail_msg("%s: %s", good[i], err.reason);
        }
        assert_true(writes_as(&rle, "5220003"));
        sa_rle_free(&rle);
    }
    sa_rle rle;
    assert_int_equal(read_json(good[0], 0, 0, &rle, NULL), SA_OK);
    assert_int_equal(rle.height, 4);
    char text[64] = {0};
    FILE *stream = fmemopen(text, sizeof text, "w");
    sa_json_writer w = sa_json_writer_on(stream);
    assert_int_equal(sa_rle_write_json(&rle, &w, NULL), SA_OK);
    fclose(stream);
    assert_string_equal(text, good[0]);
    sa_rle_free(&rle);
}

static void json_that_is_refused(void **state)
{
    (void)state;
    const char *bad[] = {
        "3",
        "null",
        "\"5220003\"",
        "[]",
        "[3]",
        "[[]]",
        "[[1,2,3,4]]",
        "[[1,2,3,4,5,6,7]]",
        "[[1,2,3,4,5,\"6\"]]",
        "[[1,2,3,4,5,null]]",
        "[[1,2,3,4,5,1e9]]",
        "{}",
        "{\"size\":[4,5]}",
        "{\"counts\":\"5220003\"}",
        "{\"size\":[4],\"counts\":\"5220003\"}",
        "{\"size\":[4,5,1],\"counts\":\"5220003\"}",
        "{\"size\":[-4,5],\"counts\":\"5220003\"}",
        "{\"size\":[4.0,5],\"counts\":\"5220003\"}",
        "{\"size\":[5,4],\"counts\":\"5220003\"}",
        "{\"size\":[4,5],\"counts\":7}",
        "{\"size\":[4,5],\"counts\":[]}",
        "{\"size\":[4,5],\"counts\":[-1,21]}",
        "{\"size\":[4,5],\"counts\":[20.0]}",
        "{\"size\":[4,5],\"counts\":[4294967296,20]}",
        "{\"size\":[4,5],\"counts\":[4294967295,21]}",
        "{\"size\":[4,5],\"counts\":\"52200\"}",
        "{\"size\":[4,5],\"counts\":\"\"}",
        "{\"size\":[4,5],\"counts\":\"52\\u00002\"}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        sa_rle rle;
        sa_error err = {0};
        if (read_json(bad[i], 4, 5, &rle, &err) != SA_BAD_INPUT) {
            fail_msg("%s was taken", bad[i]);
        }
        assert_string_equal(err.file, "some.json");
        assert_null(rle.counts);
    }
    sa_rle rle;
    assert_int_equal(read_json("[[1,1,4,1,4,3,1,3]]", 0, 0, &rle, NULL), SA_BAD_INPUT);
    assert_int_equal(read_json("{\"size\":[4294967295,4294967295],\"counts\":\"0\"}", 0, 0, &rle, NULL),
                     SA_NO_ROOM);
}

static void sizes_that_differ(void **state)
{
    (void)state;
    sa_rle parts[2] = {from_text("<", 3, 4), from_text("<", 4, 3)}, merged;
    double iou;
    assert_int_equal(sa_rle_merge(&merged, parts, 2, false, NULL), SA_BAD_INPUT);
    assert_int_equal(sa_rle_merge(&merged, parts, 0, false, NULL), SA_BAD_INPUT);
    assert_int_equal(sa_rle_iou(&parts[0], &parts[1], false, &iou, NULL), SA_BAD_INPUT);
    assert_false(sa_rle_equal(&parts[0], &parts[1]));
    sa_rle_free(&parts[0]);
    sa_rle_free(&parts[1]);
}

static void masks_of_no_pixels(void **state)
{
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        sa_mask mask, back;
        sa_rle rle;
        double box[4];
        assert_int_equal(sa_mask_new(&mask, k == 1 ? 7 : 0, k == 2 ? 7 : 0, NULL), SA_OK);
        assert_int_equal(sa_rle_encode(&rle, &mask, NULL), SA_OK);
        assert_true(writes_as(&rle, "0"));
        sa_rle_bbox(&rle, box);
        assert_true(box[0] == 0 && box[1] == 0 && box[2] == 0 && box[3] == 0);
        assert_int_equal(sa_rle_decode(&rle, &back, NULL), SA_OK);
        assert_true(sa_mask_equal(&mask, &back));
        sa_rle_free(&rle);
        sa_mask_free(&mask);
        sa_mask_free(&back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_and_content),
        cmocka_unit_test(a_large_mask),
        cmocka_unit_test(pairs_of_masks),
        cmocka_unit_test(polygons_against_the_walk),
        cmocka_unit_test(golden_masks),
        cmocka_unit_test(golden_polygons),
        cmocka_unit_test(golden_boxes),
        cmocka_unit_test(known_strings),
        cmocka_unit_test(empty_runs_are_joined),
        cmocka_unit_test(texts_that_are_refused),
        cmocka_unit_test(all_short_strings),
        cmocka_unit_test(polygons_that_are_refused),
        cmocka_unit_test(json_forms),
        cmocka_unit_test(json_that_is_refused),
        cmocka_unit_test(sizes_that_differ),
        cmocka_unit_test(masks_of_no_pixels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
