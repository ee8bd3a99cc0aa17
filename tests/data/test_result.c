/* runtime/data/result.h, result_rows.h: rows come back as they were; what is no row is refused. */
#include "runtime/base/philox.h"
#include "tests/data/results_golden.h"

static char *to_text(const sa_result *result)
{
    char *text;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    sa_json_writer w = sa_json_writer_on(stream);
    assert_int_equal(sa_result_write(result, &w, NULL), SA_OK);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static sa_status parse(const char *text, sa_result *result, sa_error *err)
{
    json_t *row;
    assert_int_equal(sa_json_parse("row", text, strlen(text), &row, err), SA_OK);
    sa_status status = sa_result_parse(result, row, "rows.jsonl:7", err);
    json_decref(row);
    return status;
}

static sa_rle random_mask(uint64_t seed)
{
    sa_rle rle;
    uint32_t counts[8], left = 12 * 9;
    sa_philox words = sa_philox_block(99, seed, 0);
    for (size_t i = 0; i < 7; i++) {
        counts[i] = words.word[i % 4] >> (3 * i) & 15;
        counts[i] = counts[i] < left ? counts[i] : left;
        left -= counts[i];
    }
    counts[7] = left;
    assert_int_equal(sa_rle_from_counts(&rle, counts, 8, 12, 9, NULL), SA_OK);
    return rle;
}

static double random_real(uint64_t seed)
{
    static const double special[] = {0.0, -0.0, 0.1, 1e-7, 5e-324, 1e308, 1.0 / 3.0};
    sa_philox words = sa_philox_block(5, seed, 1);
    return words.word[0] % 3 == 0 ? special[words.word[1] % 7] : (double)sa_philox_unit(words.word[2]);
}

static sa_result_step random_step(uint64_t seed)
{
    static const char *const texts[] = {"", "Current IOU: 0.5, Positive point: (1, 2)",
                                        "naïve \"\\\n\t\x01 😀"};
    sa_philox words = sa_philox_block(7, seed, 2);
    sa_result_step step = {.has_action = words.word[0] % 4 > 0,
                           .text = strdup(texts[words.word[1] % 3]),
                           .predicted_iou = words.word[2] % 5 > 0 ? random_real(seed) : NAN,
                           .segmenter_score = random_real(seed + 1),
                           .mask = random_mask(seed),
                           .parse = (sa_parse_outcome)(words.word[3] % 3),
                           .has_iou = words.word[3] % 2 > 0};
    if (step.has_action) {
        step.positive = words.word[0] % 8 > 4;
        step.row = (int64_t)(words.word[1] % 12);
        step.col = (int64_t)(words.word[2] % 9);
    }
    step.iou = step.has_iou ? random_real(seed + 2) : 0.0;
    return step;
}

static sa_result_step *random_steps(uint64_t seed, size_t count, bool in_tree)
{
    sa_result_step *steps = calloc(count + 1, sizeof *steps);
    for (size_t i = 0; i < count; i++) {
        steps[i] = random_step(seed + i);
        steps[i].node = in_tree ? (int64_t)i : 0;
        steps[i].parent = in_tree ? (int64_t)i - 1 : 0;
    }
    return steps;
}

static sa_result random_result(uint64_t seed)
{
    sa_philox words = sa_philox_block(3, seed, 3);
    sa_result r = {.id = strdup("ü-1"), .image = strdup("images/a b.png"), .text = strdup("the \"red\" one")};
    r.height = 12;
    r.width = 9;
    r.error = words.word[0] % 4 == 0 ? strdup("out of luck\n") : NULL;
    if (r.error == NULL || words.word[0] % 8 == 0) {
        r.mask = random_mask(seed + 50);
    }
    r.score = words.word[1] % 4 > 0 ? random_real(seed + 51) : NAN;
    r.step_count = words.word[2] % 5;
    r.step = r.step_count > 0 ? words.word[3] % r.step_count : 0;
    r.steps = random_steps(seed * 100, r.step_count, false);
    if (words.word[1] % 2 > 0) {
        r.tree_count = words.word[3] % 4;
        r.tree = random_steps(seed * 100 + 50, r.tree_count, true);
    }
    r.meta = words.word[2] % 3 > 0 ? json_pack("{s:[i,f,n,b],s:{s:s}}", "z", 1, 0.1, 1, "a", "é", "x") : NULL;
    return r;
}

static void check_steps(const sa_result_step *a, const sa_result_step *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(a[i].has_action == b[i].has_action && a[i].positive == b[i].positive);
        assert_true(a[i].row == b[i].row && a[i].col == b[i].col && a[i].parse == b[i].parse);
        assert_string_equal(a[i].text, b[i].text);
        assert_true((isnan(a[i].predicted_iou) && isnan(b[i].predicted_iou)) ||
                    memcmp(&a[i].predicted_iou, &b[i].predicted_iou, sizeof(double)) == 0);
        assert_memory_equal(&a[i].segmenter_score, &b[i].segmenter_score, sizeof(double));
        assert_true(sa_rle_equal(&a[i].mask, &b[i].mask));
        assert_true(a[i].has_iou == b[i].has_iou);
        assert_memory_equal(&a[i].iou, &b[i].iou, sizeof(double));
        assert_true(a[i].node == b[i].node && a[i].parent == b[i].parent);
    }
}

static void check_same(const sa_result *a, const sa_result *b)
{
    assert_string_equal(a->id, b->id);
    assert_string_equal(a->image, b->image);
    assert_string_equal(a->text, b->text);
    assert_true(a->height == b->height && a->width == b->width && a->step == b->step);
    assert_true((a->error == NULL) == (b->error == NULL));
    assert_true(a->error == NULL || strcmp(a->error, b->error) == 0);
    assert_true((a->mask.counts == NULL) == (b->mask.counts == NULL));
    assert_true(a->mask.counts == NULL || sa_rle_equal(&a->mask, &b->mask));
    assert_true((isnan(a->score) && isnan(b->score)) || memcmp(&a->score, &b->score, sizeof(double)) == 0);
    assert_true(a->step_count == b->step_count && a->tree_count == b->tree_count);
    assert_true((a->tree == NULL) == (b->tree == NULL));
    check_steps(a->steps, b->steps, a->step_count);
    check_steps(a->tree, b->tree, a->tree_count);
    assert_true((a->meta == NULL) == (b->meta == NULL) && (a->meta == NULL || json_equal(a->meta, b->meta)));
}

static void test_round_trip(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        sa_result written = random_result(seed), read;
        sa_error err = {0};
        char *text = to_text(&written);
        if (parse(text, &read, &err) != SA_OK) {
            fail_msg("seed %d: %s in %s", (int)seed, err.reason, text);
        }
        check_same(&written, &read);
        char *again = to_text(&read);
        assert_string_equal(text, again);
        free(text);
        free(again);
        sa_result_free(&written);
        sa_result_free(&read);
    }
}

/* INTERFACES.md, to the letter. */
static void test_text(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 2, 1};
    sa_rle mask;
    assert_int_equal(sa_rle_from_counts(&mask, counts, 3, 2, 2, NULL), SA_OK);
    sa_result_step steps[] = {
        {.text = "", .predicted_iou = (double)0.25f, .segmenter_score = 0.0, .mask = mask},
        {true, true, 1, 0, "Positive", (double)0.1f, 0.5, mask, SA_PARSE_RETRIED, true, 1.0, 4, -1}};
    sa_result result = {.id = "a", .image = "i.png", .text = "t", .height = 2, .width = 2, .mask = mask};
    result.score = 0.1;
    result.step = 1;
    result.steps = steps;
    result.step_count = 2;
    result.tree = steps + 1;
    result.tree_count = 1;
    result.meta = json_pack("{s:i,s:i}", "b", 1, "a", 2);
    char *text = to_text(&result);
    assert_string_equal(
        text,
        "{\"id\":\"a\",\"image\":\"i.png\",\"text\":\"t\",\"height\":2,\"width\":2,\"status\":\"ok\","
        "\"error\":null,\"mask\":{\"size\":[2,2],\"counts\":\"121\"},\"score\":0.1,\"step\":1,\"steps\":["
        "{\"action\":null,\"text\":\"\",\"predicted_iou\":0.25,\"segmenter_score\":0.0,"
        "\"mask\":{\"size\":[2,2],\"counts\":\"121\"},\"parse\":\"ok\"},"
        "{\"action\":{\"positive\":true,\"row\":1,\"col\":0},\"text\":\"Positive\","
        "\"predicted_iou\":0.10000000149011612,\"segmenter_score\":0.5,"
        "\"mask\":{\"size\":[2,2],\"counts\":\"121\"},\"parse\":\"retried\",\"iou\":1.0}],"
        "\"tree\":[{\"node\":4,\"parent\":-1,\"action\":{\"positive\":true,\"row\":1,\"col\":0},"
        "\"text\":\"Positive\",\"predicted_iou\":0.10000000149011612,\"segmenter_score\":0.5,"
        "\"mask\":{\"size\":[2,2],\"counts\":\"121\"},\"parse\":\"retried\",\"iou\":1.0}],"
        "\"meta\":{\"b\":1,\"a\":2}}");
    free(text);
    json_decref(result.meta);
    sa_rle_free(&mask);
}

#define MASK "\"mask\":{\"size\":[2,2],\"counts\":[4]}"
#define HEAD "{\"id\":\"a\",\"height\":2,\"width\":2,\"status\":\"ok\","

static void check_refused(const char *text, const char *reason)
{
    sa_result result;
    sa_error err = {0};
    assert_int_equal(parse(text, &result, &err), SA_BAD_INPUT);
    if (strstr(err.reason, reason) == NULL || strcmp(err.file, "rows.jsonl:7") != 0 || err.hint[0] == '\0') {
        fail_msg("%s: %s (%s) for %s", err.file, err.reason, err.hint, text);
    }
    assert_null(result.id);
    assert_null(result.steps);
}

static void test_refusals(void **state)
{
    (void)state;
    check_refused("5", "should be an object");
    check_refused("{}", "\"id\" is missing");
    check_refused("{\"id\":5}", "should be a string");
    check_refused("{\"id\":\"a\",\"status\":\"fine\"}", "\"fine\", which means nothing");
    check_refused("{\"id\":\"a\",\"status\":\"ok\"," MASK "}", "\"height\" is missing");
    check_refused("{\"id\":\"a\",\"status\":\"ok\",\"height\":-1,\"width\":2}", "should be from 0");
    check_refused("{\"id\":\"a\",\"status\":\"ok\",\"height\":0,\"width\":2}", "no pixels");
    check_refused(HEAD "\"score\":1}", "\"mask\" is missing");
    check_refused(HEAD "\"mask\":{\"size\":[2,3],\"counts\":[6]}}", "size 2 x 3 does not belong");
    check_refused(HEAD "\"mask\":\"x\"}", "neither an object nor a list");
    check_refused(HEAD MASK ",\"score\":\"high\"}", "should be a number");
    check_refused(HEAD MASK ",\"steps\":{}}", "\"steps\" is no list");
    check_refused(HEAD MASK ",\"steps\":[3]}", "no object");
    check_refused(HEAD MASK ",\"step\":1}", "should be from 0 to 0");
    check_refused(HEAD MASK ",\"steps\":[{\"parse\":\"ok\"}]}", "\"mask\" is missing");
    check_refused(HEAD MASK ",\"steps\":[{" MASK "}]}", "\"parse\" is missing");
    check_refused(HEAD MASK ",\"steps\":[{" MASK ",\"parse\":\"no\"}]}", "means nothing");
    check_refused(HEAD MASK ",\"steps\":[{\"action\":{\"row\":1}}]}", "\"col\" is missing");
    check_refused(HEAD MASK ",\"steps\":[{\"action\":{\"row\":1,\"col\":1,\"positive\":1}}]}",
                  "no true or false");
    check_refused(HEAD MASK ",\"steps\":[{\"action\":{\"row\":99999999999,\"col\":1}}]}", "should be from");
    check_refused(HEAD MASK ",\"tree\":[{" MASK ",\"parse\":\"ok\"}]}", "\"node\" is missing");
}

/* What is not there need not be; what we do not know is let through. */
static void test_lenient(void **state)
{
    (void)state;
    sa_result result;
    assert_int_equal(parse(HEAD MASK ",\"new\":[1,{}]}", &result, NULL), SA_OK);
    assert_true(result.step_count == 0 && result.steps == NULL && isnan(result.score) && result.meta == NULL);
    assert_string_equal(result.image, "");
    sa_result_free(&result);
    assert_int_equal(parse("{\"id\":\"a\",\"status\":\"failed\",\"error\":null}", &result, NULL), SA_OK);
    assert_string_equal(result.error, "");
    assert_null(result.mask.counts);
    sa_result_free(&result);
}

/* ---- files of rows ---- */

static void test_rows(void **state)
{
    (void)state;
    static const char *const files[] = {"results.jsonl"};
    const char good[] = HEAD MASK "}\n", torn[] = "{\"id\":\"b\",\"heig";
    results_scratch s = results_scratch_make();
    char path[256], text[512];
    sa_result_rows rows;
    sa_result result;
    sa_error err = {0};
    bool found;
    snprintf(text, sizeof text, "%s\n%s%s", good, good, torn);
    results_scratch_path(&s, files[0], path);
    results_write(path, text);
    assert_int_equal(sa_result_rows_open(&rows, s.path, &err), SA_OK); /* the folder */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(sa_result_rows_next(&rows, &result, &found, &err), SA_OK);
        assert_true(found && result.height == 2);
        sa_result_free(&result);
    }
    assert_int_equal(sa_result_rows_next(&rows, &result, &found, &err), SA_BAD_INPUT);
    assert_true(found);
    assert_non_null(strstr(err.file, "results.jsonl:4"));
    assert_int_equal(sa_result_rows_next(&rows, &result, &found, &err), SA_OK);
    assert_false(found);
    sa_result_rows_close(&rows);
    results_write(path, "");
    assert_int_equal(sa_result_rows_open(&rows, path, &err), SA_BAD_INPUT);
    assert_string_equal(err.reason, "is empty");
    sa_result_rows_close(&rows);
    results_scratch_remove(&s, files, 1);
    assert_int_equal(sa_result_rows_open(&rows, path, &err), SA_BAD_INPUT);
    sa_result_rows_close(&rows);
}

/* The rows that weights_tools/golden/make_metrics.py wrote, with Python's spaces, come back value by value.
 */
static void test_golden(void **state)
{
    (void)state;
    sa_result_rows rows;
    sa_result result, again;
    size_t count = 0;
    bool found = true;
    assert_int_equal(sa_result_rows_open(&rows, RESULTS_GOLDEN "a.jsonl", NULL), SA_OK);
    while (found) {
        assert_int_equal(sa_result_rows_next(&rows, &result, &found, NULL), SA_OK);
        if (found) {
            char *text = to_text(&result);
            assert_int_equal(parse(text, &again, NULL), SA_OK);
            check_same(&result, &again);
            sa_result_free(&again);
            free(text);
            count++;
        }
        sa_result_free(&result);
    }
    sa_result_rows_close(&rows);
    assert_int_equal(count, 41);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_text), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_lenient),    cmocka_unit_test(test_rows), cmocka_unit_test(test_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
