/* runtime/data/export.h against Python's json.dump and pycocotools; masks read back from their pictures. */
#include "runtime/data/export.h"
#include "runtime/image/image.h"
#include "tests/data/results_golden.h"

static void export_golden(sa_export_format format, const char *path)
{
    sa_result_rows rows;
    sa_result result;
    sa_export e;
    bool found = true;
    assert_int_equal(sa_export_open(&e, format, path, NULL), SA_OK);
    assert_int_equal(sa_result_rows_open(&rows, RESULTS_GOLDEN "a.jsonl", NULL), SA_OK);
    while (found) {
        assert_int_equal(sa_result_rows_next(&rows, &result, &found, NULL), SA_OK);
        if (found && result.error == NULL) {
            sa_rle truth = results_truth(&result);
            assert_int_equal(sa_export_add(&e, &result, &truth, "row", NULL), SA_OK);
            sa_rle_free(&truth);
        }
        sa_result_free(&result);
    }
    sa_result_rows_close(&rows);
    assert_int_equal(sa_export_finish(&e, NULL), SA_OK);
    sa_export_abandon(&e);
}

static void test_segagent(void **state)
{
    (void)state;
    static const char *const files[] = {"out.json"};
    results_scratch s = results_scratch_make();
    char path[256];
    results_scratch_path(&s, files[0], path);
    export_golden(SA_EXPORT_SEGAGENT, path);
    results_same_bytes(path, RESULTS_GOLDEN "segagent.json");
    results_scratch_remove(&s, files, 1);
}

static void test_coco(void **state)
{
    (void)state;
    static const char *const files[] = {"out.json"}, *const keys[] = {"annotations", "images", "categories"};
    results_scratch s = results_scratch_make();
    char path[256];
    results_scratch_path(&s, files[0], path);
    export_golden(SA_EXPORT_COCO, path);
    json_t *got = results_json(path), *want = results_json(RESULTS_GOLDEN "coco.json");
    for (size_t i = 0; i < 3; i++) {
        assert_true(json_equal(json_object_get(got, keys[i]), json_object_get(want, keys[i])));
    }
    assert_int_equal(json_array_size(json_object_get(got, "annotations")), 40);
    json_decref(got);
    json_decref(want);
    results_scratch_remove(&s, files, 1);
}

static sa_result small_result(char *id, size_t height, size_t width)
{
    const uint32_t counts[] = {1, (uint32_t)(height * width) - 1};
    sa_result result = {.id = id, .image = "a.png", .text = "t", .height = height, .width = width};
    assert_int_equal(sa_rle_from_counts(&result.mask, counts, 2, height, width, NULL), SA_OK);
    return result;
}

static void test_two_sizes(void **state)
{
    (void)state;
    static const char *const files[] = {"out.json"};
    results_scratch s = results_scratch_make();
    char path[256], id[] = "x";
    sa_export e;
    sa_error err = {0};
    results_scratch_path(&s, files[0], path);
    sa_result first = small_result(id, 3, 5), second = small_result(id, 5, 3);
    assert_int_equal(sa_export_open(&e, SA_EXPORT_COCO, path, NULL), SA_OK);
    assert_int_equal(sa_export_add(&e, &first, NULL, "row", &err), SA_OK);
    assert_int_equal(sa_export_add(&e, &second, NULL, "row", &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "is 5 x 3 here and was 3 x 5 before"));
    assert_int_equal(sa_export_add(&e, &first, NULL, "row", &err), SA_OK);
    assert_int_equal(sa_export_finish(&e, NULL), SA_OK);
    sa_export_abandon(&e);
    json_t *got = results_json(path);
    assert_int_equal(json_array_size(json_object_get(got, "annotations")), 2);
    json_decref(got);
    sa_rle_free(&first.mask);
    sa_rle_free(&second.mask);
    results_scratch_remove(&s, files, 1);
}

static void test_png(void **state)
{
    (void)state;
    static const char *const files[] = {"%2E.%2Fup.png", "plain-1_a.b.png"};
    char ids[2][16] = {"../up", "plain-1_a.b"}, path[256];
    results_scratch s = results_scratch_make();
    sa_export e;
    assert_int_equal(sa_export_open(&e, SA_EXPORT_PNG, s.path, NULL), SA_OK);
    for (size_t i = 0; i < 2; i++) {
        sa_result result = small_result(ids[i], 4 + i, 7);
        sa_image picture;
        assert_int_equal(sa_export_add(&e, &result, NULL, "row", NULL), SA_OK);
        results_scratch_path(&s, files[i], path);
        assert_int_equal(sa_image_read(path, NULL, &picture, NULL), SA_OK);
        assert_true(picture.height == 4 + i && picture.width == 7);
        for (size_t p = 0; p < picture.height * picture.width; p++) {
            assert_int_equal(picture.pixels[3 * p], p == 0 ? 0 : 255); /* the first run is that pixel */
        }
        sa_image_free(&picture);
        sa_rle_free(&result.mask);
    }
    sa_error err = {0};
    sa_result again = small_result(ids[1], 4, 7);
    assert_int_equal(sa_export_add(&e, &again, NULL, "row", &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "\"plain-1_a.b\" has been there before"));
    sa_rle_free(&again.mask);
    assert_int_equal(sa_export_finish(&e, NULL), SA_OK);
    sa_export_abandon(&e);
    results_scratch_remove(&s, files, 2);
}

static void check_name(const char *id, const char *want)
{
    char name[256];
    sa_export_file_name(name, sizeof name, id);
    assert_string_equal(name, want);
}

static void test_names(void **state)
{
    (void)state;
    char a[600], b[600], one[256], two[256];
    check_name("easy-3-000000", "easy-3-000000");
    check_name("a/b%c", "a%2Fb%25c");
    check_name(".hidden", "%2Ehidden");
    check_name("é~", "%C3%A9%7E");
    check_name("", "%");
    memset(a, '/', sizeof a - 1);
    a[sizeof a - 1] = '\0';
    memcpy(b, a, sizeof a);
    b[500] = 'x';
    sa_export_file_name(one, sizeof one, a);
    sa_export_file_name(two, sizeof two, b);
    assert_string_not_equal(one, two); /* though they begin alike */
    assert_true(strlen(one) < 240);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segagent), cmocka_unit_test(test_coco),  cmocka_unit_test(test_two_sizes),
        cmocka_unit_test(test_png),      cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
