/* The readers of inputs: what good files give, and that a bad row is set aside alone. */
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "runtime/base/json.h"
#include "runtime/data/item.h"
#include "runtime/data/trajectory_json.h"
#include "runtime/image/rle.h"
#include "tests/data/scratch.h"

#define GOLDEN "tests/golden/items"
#define RLE "{\"size\":[2,3],\"counts\":[1,2,3]}"

static const sa_items_options plain = {0};

static void read_good(sa_items *items, const char *path, const sa_items_options *options)
{
    sa_error err = {0};
    if (sa_items_read(items, path, options, &err) != SA_OK) {
        fail_msg("%s: %s: %s", path, err.file, err.reason);
    }
}

static void refuse(const char *path, const sa_items_options *options, sa_status status, const char *reason)
{
    sa_items items;
    sa_error err = {0};
    sa_status got = sa_items_read(&items, path, options, &err);
    sa_items_free(&items);
    if (got != status || strstr(err.reason, reason) == NULL || err.hint[0] == '\0') {
        fail_msg("%s: status %d, %s (%s); should say %s", path, got, err.reason, err.hint, reason);
    }
}

static void check_bad(const sa_items *items, size_t i, size_t row, const char *id, const char *reason)
{
    const sa_bad_item *bad = &items->bad[i];
    assert_true(i < items->bad_count);
    if (bad->row != row || strcmp(bad->id, id) != 0 || strstr(bad->reason, reason) == NULL ||
        bad->file[0] == '\0' || bad->hint[0] == '\0') {
        fail_msg("bad %zu: row %zu, id %s, %s: %s (%s); should be row %zu, id %s: %s", i, bad->row, bad->id,
                 bad->file, bad->reason, bad->hint, row, id, reason);
    }
}

static void put_pictures(void **state)
{
    scratch_write_text(state, "a.jpg", "\xff\xd8\xff\xe0");
    scratch_write_text(state, "in/b.png", "\x89PNG\r\n\x1a\n");
}

/* ---- manifest ---- */

static void test_manifest(void **state)
{
    put_pictures(state);
    scratch_write_text(state, "m.png", "x");
    const char *path = scratch_write_text(
        state, "list",
        "\n{\"id\":\"x\",\"image\":\"a.jpg\",\"text\":\"dog\",\"gt\":" RLE
        ",\"meta\":{\"k\":[1]},\"new\":0}\r\n"
        "  \n"
        "{\"image\":\"in/"
        "b.png\",\"text\":\"cat\",\"mask\":\"m.png\",\"gt\":[[0,0,1,0,1,1]],\"height\":9,\"width\":8}\n"
        "{\"id\":77,\"image\":\"a.jpg\",\"text\":\" two words \",\"mask\":null,\"meta\":null}");
    sa_items items;
    read_good(&items, path, &plain);
    assert_string_equal(items.format, "manifest");
    assert_int_equal(items.count, 3);
    assert_int_equal(items.bad_count, 0);
    const sa_item *it = items.items;
    assert_string_equal(it[0].id, "x");
    assert_string_equal(it[0].image, "a.jpg");
    assert_string_equal(it[0].path, scratch_path(state, "a.jpg"));
    assert_int_equal(it[0].height * 10 + it[0].width, 23);
    assert_true(json_is_array(json_object_get(it[0].meta, "k")));
    assert_false(sa_mask_source_given(&it[0].mask));
    assert_string_equal(it[1].id, "4"); /* the line */
    assert_string_equal(it[1].mask.png, scratch_path(state, "m.png"));
    assert_true(json_is_array(it[1].gt.json));
    assert_int_equal(it[1].height * 10 + it[1].width, 98);
    assert_int_equal(it[1].row, 1);
    assert_string_equal(it[2].id, "77");
    assert_string_equal(it[2].text, " two words ");
    assert_null(it[2].meta);
    sa_items_free(&items);

    const sa_items_options elsewhere = {.images = scratch_path(state, "in"), .limit = 1};
    path = scratch_write_text(state, "other",
                              "{\"image\":\"b.png\",\"text\":\"t\"}\n{\"image\":\"b.png\",\"text\":\"t\"}\n");
    read_good(&items, path, &elsewhere);
    assert_int_equal(items.count, 1);
    assert_string_equal(items.items[0].path, scratch_path(state, "in/b.png"));
    sa_items_free(&items);
}

/* Each row stands in a file between two good ones. */
static const struct {
    const char *row, *id, *reason;
} bad_rows[] = {
    {"{\"image\":\"a.jpg\",\"text\":\"t\"", "2", "not valid JSON"},
    {"[1,2]", "2", "no object"},
    {"\"text\"", "2", "no object"},
    {"\xff\xfe", "2", "not valid JSON"},
    {"{}", "2", "\"image\" is missing"},
    {"{\"image\":\"a.jpg\"}", "2", "\"text\" is missing"},
    {"{\"image\":\"a.jpg\",\"text\":\"\"}", "2", "no text"},
    {"{\"image\":\"a.jpg\",\"text\":\" \\t\\n\"}", "2", "no text"},
    {"{\"image\":\"a.jpg\",\"text\":null}", "2", "\"text\" is missing"},
    {"{\"image\":\"a.jpg\",\"text\":5}", "2", "a string and is an integer"},
    {"{\"image\":\"a.jpg\",\"text\":[\"t\"]}", "2", "a string and is an array"},
    {"{\"image\":\"\",\"text\":\"t\"}", "2", "no image"},
    {"{\"image\":7,\"text\":\"t\"}", "2", "a string and is an integer"},
    {"{\"image\":\"gone.jpg\",\"text\":\"t\"}", "2", "not there"},
    {"{\"image\":\"in\",\"text\":\"t\"}", "2", "not there"},
    {"{\"id\":\"first\",\"image\":\"a.jpg\",\"text\":\"t\"}", "first", "that of row 1 already"},
    {"{\"id\":true,\"image\":\"a.jpg\",\"text\":\"t\"}", "2", "neither"},
    {"{\"id\":1.5,\"image\":\"a.jpg\",\"text\":\"t\"}", "2", "neither"},
    {"{\"id\":99999999999999999999999,\"image\":\"a.jpg\",\"text\":\"t\"}", "2", "neither"},
    {"{\"id\":\"\",\"image\":\"a.jpg\",\"text\":\"t\"}", "", "no id"},
    {"{\"id\":\"q\",\"id\":\"r\",\"image\":\"a.jpg\",\"text\":\"t\"}", "2", "duplicate"},
    {"{\"id\":\"h\",\"image\":\"a.jpg\",\"text\":\"t\",\"height\":0,\"width\":3}", "h", "from 1 to"},
    {"{\"id\":\"h\",\"image\":\"a.jpg\",\"text\":\"t\",\"height\":1e300,\"width\":3}", "h", "an integer"},
    {"{\"id\":\"h\",\"image\":\"a.jpg\",\"text\":\"t\",\"height\":99999999999,\"width\":3}", "h",
     "from 1 to"},
    {"{\"id\":\"h\",\"image\":\"a.jpg\",\"text\":\"t\",\"height\":3}", "h", "a height and no width"},
    {"{\"id\":\"h\",\"image\":\"a.jpg\",\"text\":\"t\",\"width\":3}", "h", "a width and no height"},
    {"{\"id\":\"s\",\"image\":\"a.jpg\",\"text\":\"t\",\"height\":3,\"width\":3,\"gt\":" RLE "}", "s", "3x2"},
    {"{\"id\":\"s\",\"image\":\"a.jpg\",\"text\":\"t\",\"gt\":" RLE
     ",\"mask\":{\"size\":[3,2],\"counts\":[6]}}",
     "s", "and its picture 2x3"},
    {"{\"id\":\"s\",\"image\":\"a.jpg\",\"text\":\"t\",\"gt\":{\"size\":[2,3],\"counts\":[1,2]}}", "s", ""},
    {"{\"id\":\"s\",\"image\":\"a.jpg\",\"text\":\"t\",\"gt\":{\"size\":[2,3],\"counts\":\"\"}}", "s", ""},
    {"{\"id\":\"s\",\"image\":\"a.jpg\",\"text\":\"t\",\"gt\":{\"size\":[9999999,9999999],\"counts\":[1]}}",
     "s", ""},
    {"{\"id\":\"s\",\"image\":\"a.jpg\",\"text\":\"t\",\"gt\":{\"size\":[-2,3],\"counts\":[1]}}", "s", ""},
    {"{\"id\":\"s\",\"image\":\"a.jpg\",\"text\":\"t\",\"gt\":[]}", "s", "polygons"},
    {"{\"id\":\"s\",\"image\":\"a.jpg\",\"text\":\"t\",\"gt\":[[1,2,3,4]]}", "s", "polygons"},
    {"{\"id\":\"s\",\"image\":\"a.jpg\",\"text\":\"t\",\"gt\":[[1,2,3,4,5,\"6\"]]}", "s", "polygons"},
    {"{\"id\":\"s\",\"image\":\"a.jpg\",\"text\":\"t\",\"gt\":5}", "s", "polygons"},
    {"{\"id\":\"s\",\"image\":\"a.jpg\",\"text\":\"t\",\"mask\":\"gone.png\"}", "s", "mask is not there"},
};

static void test_bad_rows(void **state)
{
    put_pictures(state);
    for (size_t i = 0; i < sizeof bad_rows / sizeof *bad_rows; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "{\"id\":\"first\",\"image\":\"a.jpg\",\"text\":\"t\"}\n%s\n"
                 "{\"id\":\"last\",\"image\":\"a.jpg\",\"text\":\"t\"}\n",
                 bad_rows[i].row);
        sa_items items;
        read_good(&items, scratch_write_text(state, "list", text), &plain);
        assert_int_equal(items.count, 2);
        assert_int_equal(items.bad_count, 1);
        check_bad(&items, 0, 1, bad_rows[i].id, bad_rows[i].reason);
        assert_string_equal(items.items[1].id, "last");
        assert_int_equal(items.items[1].row, 2);
        sa_items_free(&items);
    }
}

/* Nested brackets, a text and a name that are too long, and a bad row in the first place. */
static void test_hostile_rows(void **state)
{
    enum { LONG = 100000 };
    put_pictures(state);
    char *text = malloc(3 * LONG + 1000);
    char *at = text;
    memset(at, '[', LONG);
    at += LONG;
    at += sprintf(at, "\n{\"image\":\"a.jpg\",\"text\":\"");
    memset(at, 'x', LONG);
    at += LONG;
    at += sprintf(at, "\"}\n{\"text\":\"t\",\"image\":\"");
    memset(at, 'y', LONG / 2);
    at += LONG / 2;
    sprintf(at, "\"}\n{\"image\":\"a.jpg\",\"text\":\"t\"}\n");
    sa_items items;
    read_good(&items, scratch_write_text(state, "list", text), &plain);
    free(text);
    assert_int_equal(items.count, 1);
    check_bad(&items, 0, 0, "1", "nested deeper");
    check_bad(&items, 1, 1, "2", "longer than");
    check_bad(&items, 2, 2, "3", "too long");
    sa_items_free(&items);
}

/* What a row of a result repeats of its item can be written there, however deep a row may be nested. */
static void write_meta(const sa_item *item)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    sa_json_writer w = sa_json_writer_on(stream);
    const sa_result result = {.id = "x", .image = "x", .text = "x", .meta = item->meta};
    assert_int_equal(sa_result_write(&result, &w, NULL), SA_OK);
    fclose(stream);
    json_t *back = NULL;
    assert_int_equal(sa_json_parse("row", text, size, &back, NULL), SA_OK);
    json_decref(back);
    free(text);
}

/* `depth` lists, one in the other. */
static char *put_lists(char *at, int depth)
{
    memset(at, '[', (size_t)depth);
    memset(at + depth, ']', (size_t)depth);
    return at + 2 * depth;
}

static void test_deep_meta(void **state)
{
    char text[1024], *at = text;
    sa_items items;
    put_pictures(state);
    at += sprintf(at, "{\"image\":\"a.jpg\",\"text\":\"t\",\"meta\":");
    at = put_lists(at, SA_JSON_DEPTH - 1);
    at += sprintf(at, "}\n{\"image\":\"a.jpg\",\"text\":\"t\",\"meta\":");
    at = put_lists(at, SA_JSON_DEPTH);
    strcpy(at, "}\n");
    read_good(&items, scratch_write_text(state, "list", text), &plain);
    assert_int_equal(items.count, 1);
    write_meta(&items.items[0]);
    check_bad(&items, 0, 1, "2", "nested deeper");
    sa_items_free(&items);

    scratch_write_text(state, "instances.json",
                       "{\"images\":[{\"id\":1,\"file_name\":\"a.jpg\"}],"
                       "\"annotations\":[{\"id\":2,\"image_id\":1}]}");
    at = text + sprintf(text, "[{\"ref_id\":1,\"ann_id\":2,\"split\":");
    at = put_lists(at, SA_JSON_DEPTH - 1);
    at += sprintf(at, ",\"sentences\":[{\"sent\":\"s\",\"sent_id\":");
    at = put_lists(at, SA_JSON_DEPTH - 3);
    strcpy(at, "}]}]");
    read_good(&items, scratch_write_text(state, "refs", text), &plain);
    assert_int_equal(items.count, 1);
    assert_null(json_object_get(items.items[0].meta, "split"));
    assert_null(json_object_get(items.items[0].meta, "sent_id"));
    write_meta(&items.items[0]);
    sa_items_free(&items);
}

/* ---- SegAgent ---- */

static void test_segagent(void **state)
{
    scratch_write_text(state, "mscoco/images/train2014/COCO_train2014_000000000042.jpg", "x");
    scratch_write_text(state, "COCO_train2014_0000001234567.jpg", "x"); /* found without its folders */
    scratch_write_text(state, "abacus/1.jpg", "x");
    scratch_write_text(state, "sky\xc3\xa9.jpg", "x");
    const char *path = scratch_write_text(
        state, "refcoco_val.json",
        "{\"info\": {\"args\": {\"data\": 1}}, \"data\": [\n"
        "{\"image_name\": 42, \"height\": 2, \"width\": 3, \"gt_ann\": {\"object_id\": 9, \"caption\":"
        " [\"one\", \"\", \"two\"], \"segmentation\": " RLE "}, \"clicks_list\": [{}]},\n"
        "{\"image_name\": 1234567, \"gt_ann\": {\"object_id\": 9, \"caption\": \"again\"}},\n"
        "{\"image_name\": \"x.png.jpg\", \"gt_ann\": {\"object_id\": 1, \"caption\": \"t\"}},\n"
        "{\"image_name\": \"abacus/1\", \"gt_ann\": {\"caption\": \"Unknown\"}},\n"
        "5, {\"image_name\": \"gone.jpg\", \"gt_ann\": {\"caption\": [\"t\"]}},\n"
        "{\"image_name\": \"sky\xc3\xa9.jpg\", \"gt_ann\": {\"caption\": [\"Unknown\", 7]}},\n"
        "{\"image_name\": 42, \"height\": 3, \"width\": 3, \"gt_ann\": {\"object_id\": \"z\", \"caption\": "
        "\"t\","
        " \"segmentation\": " RLE "}},\n"
        "{\"image_name\": -1, \"gt_ann\": {\"caption\": \"t\"}}, {\"gt_ann\": []}, {\"image_name\": 42}]}");
    sa_items items;
    read_good(&items, path, &plain);
    assert_string_equal(items.format, "segagent");
    static const char *const ids[] = {"9-0", "9-2", "9-0-d1", "d3-0", "d6-0"};
    static const char *const texts[] = {"one", "two", "again", "abacus", "sk"};
    assert_int_equal(items.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(items.items[i].id, ids[i]);
        assert_string_equal(items.items[i].text, texts[i]);
    }
    assert_string_equal(items.items[0].image, "mscoco/images/train2014/COCO_train2014_000000000042.jpg");
    assert_ptr_equal(items.items[0].gt.json, items.items[1].gt.json); /* shared by the sentences */
    assert_int_equal(items.items[0].height, 2);
    assert_string_equal(items.items[2].path, scratch_path(state, "COCO_train2014_0000001234567.jpg"));
    check_bad(&items, 0, 1, "9-1", "no text");
    check_bad(&items, 1, 5, "d4", "no object");
    check_bad(&items, 2, 6, "d5-0", "not there");
    check_bad(&items, 3, 8, "d6-1", "no text");
    check_bad(&items, 4, 9, "z-0", "3x3");
    check_bad(&items, 5, 10, "d8", "neither");
    check_bad(&items, 6, 11, "d9", "neither");
    check_bad(&items, 7, 12, "d10-0", "no text");
    assert_int_equal(items.bad_count, 8);
    assert_int_equal(items.skipped, 1); /* the name with ".png" */
    sa_items_free(&items);
    path = scratch_write_text(state, "png.json", "{\"data\":[{\"image_name\":\"x.png\"}]}");
    refuse(path, &plain, SA_BAD_INPUT, "all of its 1 entries are pictures named");

    scratch_write_text(state, "saiapr_tc-12/01/images/1234.jpg", "x");
    path = scratch_write_text(state, "refclef_test.json",
                              "{\"data\":[{\"image_name\":1234,\"gt_ann\":{\"caption\":[\"a\",\"b\"]}}]}");
    const sa_items_options one = {.limit = 1};
    read_good(&items, path, &one);
    assert_int_equal(items.count, 1);
    assert_string_equal(items.items[0].image, "saiapr_tc-12/01/images/1234.jpg");
    sa_items_free(&items);
}

/* Ids do not depend on which pictures are there. */
static void test_segagent_ids(void **state)
{
    const char *path = scratch_write_text(
        state, "set.json",
        "{\"data\":[{\"image_name\":\"a.jpg\",\"gt_ann\":{\"object_id\":9,\"caption\":\"one\"}},"
        "{\"image_name\":\"b.jpg\",\"gt_ann\":{\"object_id\":9,\"caption\":\"two\"}}]}");
    const sa_items_options without = {.without_pictures = true};
    sa_items items;
    read_good(&items, path, &without);
    assert_int_equal(items.count, 2);
    assert_string_equal(items.items[0].id, "9-0");
    assert_string_equal(items.items[1].id, "9-0-d1");
    assert_string_equal(items.items[1].path, scratch_path(state, "b.jpg"));
    sa_items_free(&items);
    scratch_write_text(state, "b.jpg", "x");
    read_good(&items, path, &plain);
    assert_int_equal(items.count, 1);
    assert_string_equal(items.items[0].id, "9-0-d1");
    check_bad(&items, 0, 0, "9-0", "not there");
    sa_items_free(&items);
}

/* What we wrote comes back as it was: a PNG's name, one without an end, "Unknown", and the ids. */
static void test_segagent_ours(void **state)
{
    static const char *const names[] = {"in/b.png", "plain"};
    char *text = NULL;
    size_t size;
    put_pictures(state);
    scratch_write_text(state, "plain", "x");
    FILE *stream = open_memstream(&text, &size);
    sa_json_writer w = sa_json_writer_on(stream);
    sa_trajectory_json_begin(&w);
    for (size_t i = 0; i < 2; i++) {
        char id[16];
        const uint32_t counts[] = {1, 5};
        snprintf(id, sizeof id, "id/%zu", i);
        sa_result result = {.id = id, .image = (char *)names[i], .text = "Unknown", .height = 2, .width = 3};
        assert_int_equal(sa_rle_from_counts(&result.mask, counts, 2, 2, 3, NULL), SA_OK);
        assert_int_equal(sa_trajectory_json_add(&result, &result.mask, &w, NULL), SA_OK);
        sa_rle_free(&result.mask);
    }
    sa_trajectory_json_end(&w);
    fclose(stream);
    sa_items items;
    read_good(&items, scratch_write(state, "ours.json", text, size), &plain);
    free(text);
    assert_int_equal(items.count, 2);
    assert_int_equal(items.bad_count + items.skipped, 0);
    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(items.items[i].id, i == 0 ? "id/0" : "id/1");
        assert_string_equal(items.items[i].image, names[i]);
        assert_string_equal(items.items[i].text, "Unknown");
        assert_true(sa_mask_source_given(&items.items[i].gt));
    }
    sa_items_free(&items);
}

/* ---- COCO and RefCOCO, against pycocotools ---- */

static void check_mask(const sa_item *item, const json_t *want)
{
    sa_mask mask;
    sa_rle rle;
    char *counts = NULL;
    sa_error err = {0};
    assert_string_equal(item->image, json_string_value(json_object_get(want, "image")));
    assert_int_equal(item->height, json_integer_value(json_object_get(want, "height")));
    assert_int_equal(item->width, json_integer_value(json_object_get(want, "width")));
    assert_int_equal(sa_mask_source_read(&item->gt, item->height, item->width, item->id, NULL, &mask, &err),
                     SA_OK);
    assert_int_equal(sa_rle_encode(&rle, &mask, NULL), SA_OK);
    assert_int_equal(sa_rle_to_string(&rle, &counts, NULL, NULL), SA_OK);
    assert_string_equal(counts, json_string_value(json_object_get(want, "counts")));
    free(counts);
    sa_rle_free(&rle);
    sa_mask_free(&mask);
}

static json_t *read_json(const char *path)
{
    json_t *value = NULL;
    assert_int_equal(sa_json_read(path, 1 << 22, &value, NULL), SA_OK);
    return value;
}

static void test_coco(void **state)
{
    (void)state;
    json_t *expected = read_json(GOLDEN "/expected.json");
    sa_items items;
    read_good(&items, GOLDEN "/instances.json", &plain);
    assert_string_equal(items.format, "coco");
    assert_int_equal(items.count, json_array_size(expected));
    assert_int_equal(items.bad_count, 0);
    for (size_t i = 0; i < items.count; i++) {
        const json_t *want = json_array_get(expected, i);
        assert_int_equal(atoi(items.items[i].id), json_integer_value(json_object_get(want, "id")));
        assert_string_equal(items.items[i].text, i % 2 == 0 ? "dog" : "traffic light");
        check_mask(&items.items[i], want);
    }
    assert_true(json_is_true(json_object_get(items.items[3].meta, "iscrowd")));
    sa_items_free(&items);
    json_decref(expected);
}

static void test_refs(void **state)
{
    (void)state;
    static const char *const files[] = {"refs.json", "refs0.p", "refs1.p", "refs2.p"};
    json_t *expected = read_json(GOLDEN "/expected.json");
    json_t *refs = read_json(GOLDEN "/refs.json");
    for (size_t f = 0; f < 4; f++) {
        char path[256], id[64];
        sa_items items;
        snprintf(path, sizeof path, GOLDEN "/%s", files[f]);
        read_good(&items, path, &plain);
        assert_string_equal(items.format, "refcoco");
        assert_int_equal(items.count, 2 * json_array_size(refs));
        assert_int_equal(items.bad_count, 0);
        for (size_t i = 0; i < items.count; i++) {
            const json_t *ref = json_array_get(refs, i / 2);
            const json_t *sentence = json_array_get(json_object_get(ref, "sentences"), i % 2);
            snprintf(id, sizeof id, "%d-%d", (int)json_integer_value(json_object_get(ref, "ref_id")), (int)i);
            assert_string_equal(items.items[i].id, id);
            assert_string_equal(items.items[i].text, json_string_value(json_object_get(sentence, "sent")));
            assert_true(
                json_equal(json_object_get(items.items[i].meta, "split"), json_object_get(ref, "split")));
            check_mask(&items.items[i], json_array_get(expected, i / 2));
        }
        assert_ptr_equal(items.items[0].gt.json, items.items[1].gt.json);
        sa_items_free(&items);

        const sa_items_options val = {.split = "val", .limit = 3}, none = {.split = "testC"};
        read_good(&items, path, &val);
        assert_int_equal(items.count, 3);
        assert_string_equal(items.items[0].id, "51-2");
        assert_string_equal(items.items[2].id, "54-8");
        sa_items_free(&items);
        refuse(path, &none, SA_BAD_USAGE, "no split testC but train, val, testA");
    }
    json_decref(expected);
    json_decref(refs);
}

/* Rows that do not fit their instances. */
static void test_bad_refs(void **state)
{
    scratch_write_text(state, "a.jpg", "x");
    scratch_write_text(
        state, "instances.json",
        "{\"images\":[{\"id\":1,\"file_name\":\"a.jpg\",\"height\":2,\"width\":3},[],{\"id\":2},"
        "{\"id\":3,\"file_name\":\"gone.jpg\"}],\"annotations\":[{\"id\":10,\"image_id\":1,"
        "\"segmentation\":" RLE "},{\"id\":11,\"image_id\":2},{\"id\":12,\"image_id\":9},"
        "{\"id\":13,\"image_id\":3},{\"id\":14},{\"id\":\"15\"},{\"id\":16,\"image_id\":1,"
        "\"segmentation\":{\"size\":[3,2],\"counts\":[6]}}],\"categories\":[]}");
    const char *path = scratch_write_text(
        state, "refs",
        "[{\"ref_id\":0,\"ann_id\":10,\"image_id\":1,\"sentences\":[{\"sent\":\"s\"},{\"raw\":\"r\"},{},5]},"
        "\n"
        "{\"ref_id\":1,\"ann_id\":11,\"sentences\":[{\"sent\":\"s\"}]},"
        "{\"ref_id\":2,\"ann_id\":12,\"sentences\":[{\"sent\":\"s\"}]},"
        "{\"ref_id\":3,\"ann_id\":13,\"sentences\":[{\"sent\":\"s\"}]},"
        "{\"ref_id\":4,\"ann_id\":14,\"sentences\":[{\"sent\":\"s\"}]},"
        "{\"ref_id\":5,\"ann_id\":15,\"sentences\":[{\"sent\":\"s\"}]},"
        "{\"ref_id\":6,\"ann_id\":16,\"sentences\":[{\"sent\":\"s\"}]},"
        "{\"ref_id\":7,\"ann_id\":10,\"image_id\":3,\"sentences\":[{\"sent\":\"s\"}]},"
        "{\"ref_id\":8,\"ann_id\":10,\"sentences\":[]},{\"ann_id\":10},\"x\",{\"ref_id\":\"q\"}]");
    sa_items items;
    read_good(&items, path, &plain);
    assert_int_equal(items.count, 2);
    assert_string_equal(items.items[0].id, "0-#0");
    assert_string_equal(items.items[1].text, "r");
    static const char *const reasons[] = {"no text",
                                          "no text",
                                          "\"file_name\" is missing",
                                          "no picture 9",
                                          "not there",
                                          "\"image_id\" is missing",
                                          "no annotation",
                                          "its mask is",
                                          "another picture",
                                          "no sentences",
                                          "\"ref_id\"",
                                          "no object",
                                          "should be an integer"};
    static const char *const ids[] = {"0-#2", "0-#3", "1", "2", "3-#0", "4", "5",
                                      "6-#0", "7",    "8", "",  "",     "q"};
    for (size_t i = 0; i < 13; i++) {
        check_bad(&items, i, i + 2, ids[i], reasons[i]);
    }
    assert_int_equal(items.bad_count, 13);
    sa_items_free(&items);
    remove(scratch_path(state, "instances.json"));
    refuse(scratch_path(state, "refs"), &plain, SA_BAD_INPUT, "COCO instances that belong to");
    const sa_items_options other = {.instances = scratch_write_text(state, "bad.json", "{\"images\":[{]")};
    refuse(scratch_path(state, "refs"), &other, SA_BAD_INPUT, "cut off or damaged");
    scratch_write_text(state, "bad.json", "");
    refuse(scratch_path(state, "refs"), &other, SA_BAD_INPUT, "cut off or damaged");
}

static void test_bad_coco(void **state)
{
    scratch_write_text(state, "a.jpg", "x");
    const char *path = scratch_write_text(
        state, "coco",
        "{\"info\":{},\"images\":[{\"id\":1,\"file_name\":\"a.jpg\",\"height\":2,\"width\":3}],"
        "\"categories\":[{\"id\":4,\"name\":\"dog\"},{\"id\":5}],\"annotations\":["
        "{\"id\":1,\"image_id\":1,\"category_id\":4},{\"id\":1,\"image_id\":1,\"category_id\":4},"
        "{\"id\":2,\"image_id\":1,\"category_id\":5},{\"id\":3,\"image_id\":1,\"category_id\":6},"
        "{\"image_id\":1,\"category_id\":4},7]}");
    sa_items items;
    read_good(&items, path, &plain);
    assert_int_equal(items.count, 1);
    assert_false(sa_mask_source_given(&items.items[0].gt));
    static const char *const ids[] = {"1", "2", "3", "", ""};
    static const char *const reasons[] = {"already", "\"name\" is missing", "no category 6", "no id",
                                          "no object"};
    for (size_t i = 0; i < 5; i++) {
        check_bad(&items, i, i + 1, ids[i], reasons[i]);
    }
    sa_items_free(&items);
    const sa_items_options split = {.split = "val"}, instances = {.instances = path};
    refuse(path, &split, SA_BAD_USAGE, "no list of RefCOCO");
    refuse(path, &instances, SA_BAD_USAGE, "no list of RefCOCO");
}

/* ---- a folder ---- */

static void test_folder(void **state)
{
    static const char jpeg[] = "\xff\xd8\xff\xe0", png[] = "\x89PNG\r\n\x1a\n";
    scratch_write_text(state, "f/cat.jpg", jpeg);
    scratch_write_text(state, "f/cat.txt", " a cat\n");
    scratch_write_text(state, "f/cat.mask.png", png);
    scratch_write_text(state, "f/cat.gt.png", png);
    scratch_write_text(state, "f/Dog.JPEG", png); /* told by content */
    scratch_write_text(state, "f/Dog.txt", "\xc3\xa9");
    scratch_write_text(state, "f/dog.txt", "lone");
    scratch_write_text(state, "f/cat.png", png); /* the same name twice */
    scratch_write_text(state, "f/elk.v2.jpg", jpeg);
    scratch_write_text(state, "f/elk.v2.txt", "an elk");
    scratch_write_text(state, "f/elk.txt", "lone");
    scratch_write_text(state, "f/fox.jpg", jpeg);
    scratch_write_text(state, "f/gnu.jpg", jpeg);
    scratch_write_text(state, "f/gnu.txt", "\xff");
    scratch_write_text(state, "f/hen.jpg", jpeg);
    scratch_write_text(state, "f/hen.txt", " \n");
    scratch_write_text(state, "f/notes.md", "no picture");
    scratch_write_text(state, "f/.hidden.jpg", jpeg);
    scratch_write_text(state, "f/sub/x.jpg", jpeg);
    sa_items items;
    read_good(&items, scratch_path(state, "f"), &plain);
    assert_string_equal(items.format, "folder");
    assert_int_equal(items.count, 3);
    assert_string_equal(items.items[0].id, "Dog");
    assert_string_equal(items.items[0].text, "\xc3\xa9");
    assert_string_equal(items.items[1].id, "cat");
    assert_string_equal(items.items[1].image, "cat.jpg");
    assert_string_equal(items.items[1].text, "a cat");
    assert_string_equal(items.items[1].mask.png, scratch_path(state, "f/cat.mask.png"));
    assert_string_equal(items.items[1].gt.png, scratch_path(state, "f/cat.gt.png"));
    assert_string_equal(items.items[2].id, "elk.v2");
    static const char *const ids[] = {"cat", "dog", "elk", "fox", "gnu", "hen"};
    static const char *const reasons[] = {"already",     "no picture", "no picture",
                                          "has no text", "UTF-8",      "no text"};
    assert_int_equal(items.bad_count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(items.bad[i].id, ids[i]);
        assert_non_null(strstr(items.bad[i].reason, reasons[i]));
    }
    sa_items_free(&items);
    const sa_items_options images = {.images = scratch_path(state, "f")};
    refuse(scratch_path(state, "f"), &images, SA_BAD_USAGE, "its own pictures");
    mkdir(scratch_path(state, "empty"), 0777);
    refuse(scratch_path(state, "empty"), &plain, SA_BAD_INPUT, "no rows");
}

/* ---- files that are none ---- */

static const struct {
    const char *text, *reason;
} bad_files[] = {
    {"", "is empty"},
    {" \n", "none of the formats"},
    {"hello\nworld\n", "none of the formats"},
    {"[1,2,3]", "none of the formats"},
    {"\x89PNG\r\n\x1a\n", "none of the formats"},
    {"{\"data\":[]}", "no rows"},
    {"{\"data\":[{}", "cut off or damaged at line 1"},
    {"{\"info\":1,\n\"data\":[{},\n", "cut off or damaged at line 2"},
    {"{\"images\":[]}", "no list \"categories\""},
    {"{\"images\":[],\"categories\":[],\"annotations\":[]}", "no rows"},
    {"{\"images\":[],\"categories\":[],\"annotations\":[{}", "cut off or damaged"},
    {"[{\"ref_id\":1", "instances"},
    {"\x80\x02]q", "middle of an opcode"},
    {"\x80\x02N.", "instances"},
    {"(lp0\n.", "instances"},
    {"(lp0\nS'abc\np1\na.", "not written as Python"},
    {"(lp0\nVa\\uzzzz\np1\na.", "not written as Python"},
    {"(lp0\ng7\na.", "never memorised"},
    {"(lp0\np99999999999\n.", "memo"},
    {"(lp0\nI1\na", "middle of an opcode"},
    {"(dp0\nI1\ns.", "lacks its operand"},
    {"(lp0\ncos\nsystem\n(S'ls'\ntR.", "left over"},
    {"(lp0\ni\n.", "none that such files hold"},
};

static void test_bad_files(void **state)
{
    for (size_t i = 0; i < sizeof bad_files / sizeof *bad_files; i++) {
        refuse(scratch_write_text(state, "file", bad_files[i].text), &plain, SA_BAD_INPUT,
               bad_files[i].reason);
    }
    refuse(scratch_path(state, "nowhere"), &plain, SA_BAD_INPUT, "No such file");
    const sa_items_options images = {.images = scratch_path(state, "file")};
    refuse(scratch_path(state, "file"), &images, SA_BAD_INPUT, "no folder");
}

/* A good file cut off after every byte: never more than it has, never a crash, and a reason. */
static void test_truncated(void **state)
{
    static const char *const files[] = {"refs.json", "refs0.p", "refs1.p", "refs2.p", "instances.json"};
    for (size_t f = 0; f < 5; f++) {
        char name[128];
        size_t size;
        snprintf(name, sizeof name, GOLDEN "/%s", files[f]);
        char *whole = scratch_read(name, &size);
        const sa_items_options refs = {.images = GOLDEN, .instances = GOLDEN "/instances.json"};
        const sa_items_options coco = {.images = GOLDEN};
        for (size_t end = 0; end < size; end += end < 40 || end + 40 > size ? 1 : 23) {
            sa_items items;
            sa_error err = {0};
            const char *path = scratch_write(state, "cut", whole, end);
            assert_int_not_equal(sa_items_read(&items, path, f < 4 ? &refs : &coco, &err), SA_OK);
            assert_true(err.reason[0] != '\0' && err.hint[0] != '\0');
            sa_items_free(&items);
        }
        free(whole);
    }
}

/* Few bytes that stand for an endless value: the row is bad, the next one good. */
static void test_pickle_bombs(void **state)
{
    static const char endless[] =
        "\x80\x02]q\x00(}q\x01(U\x06ref_idK\x01U\x09sentencesh\x00u}U\x06ref_idK\x02se.";
    scratch_write_text(state, "instances.json", "{\"images\":[],\"annotations\":[]}");
    sa_items items;
    sa_error err = {0};
    const char *path = scratch_write(state, "refs.p", endless, sizeof endless - 1);
    assert_int_equal(sa_items_read(&items, path, &plain, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "none of its 2 rows"));
    check_bad(&items, 0, 0, "", "larger, or nested deeper");
    check_bad(&items, 1, 1, "2", "\"ann_id\" is missing");
    sa_items_free(&items);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_manifest),  TEST(test_bad_rows),     TEST(test_hostile_rows),  TEST(test_segagent),
        TEST(test_deep_meta), TEST(test_segagent_ids), TEST(test_segagent_ours), TEST(test_coco),
        TEST(test_refs),      TEST(test_bad_refs),     TEST(test_bad_coco),      TEST(test_folder),
        TEST(test_bad_files), TEST(test_truncated),    TEST(test_pickle_bombs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
