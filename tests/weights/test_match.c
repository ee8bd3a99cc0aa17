/*
 * Matching: both spellings, what is missing, left over or misshapen, tied names, ignored names, the error's
 * text.
 */
#include "tests/weights/bytes.h"

typedef struct {
    scratch s;
    sa_weights *weights;
} opened;

#define T(dtype, shape, begin, end)                                                                          \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static opened open_made(const char *header, size_t data)
{
    opened o = {.s = scratch_new()};
    bytes b = make_safetensors(header, data);
    sa_error err = {0};
    scratch_write(&o.s, "w.safetensors", b.data, b.size);
    if (sa_weights_open(&o.weights, scratch_path(&o.s, "w.safetensors"), &err) != SA_OK) {
        fail_msg("%s", err.reason);
    }
    drop(&b);
    return o;
}

static void close_made(opened *o)
{
    sa_weights_close(o->weights);
    scratch_remove(&o->s);
}

static sa_tensor_want want(const char *name, const char *original, int rank, size_t a, size_t b)
{
    sa_tensor_want w = {.rank = rank, .shape = {a, b}};
    snprintf(w.name, sizeof w.name, "%s", name);
    snprintf(w.original, sizeof w.original, "%s", original);
    return w;
}

static void test_all_fit(void **state)
{
    (void)state;
    opened o = open_made("{\"new.a\":" T("F32", "[2]", 0, 8) ",\"new.b\":" T("BF16", "[1,2]", 8, 12) "}", 12);
    sa_tensor_want wants[] = {want("new.a", "old.a", 1, 2, 0), want("new.b", "old.b", 2, 1, 2)};
    sa_weights_report report;
    sa_error err = {0};
    assert_int_equal(sa_weights_match(o.weights, wants, 2, NULL, &report, &err), SA_OK);
    assert_false(report.original_names);
    assert_ptr_equal(wants[0].found, sa_weights_find(o.weights, "new.a"));
    assert_ptr_equal(wants[1].found, sa_weights_find(o.weights, "new.b"));
    sa_weights_report_free(&report);
    close_made(&o);
}

/* The spelling is decided for the whole file: the other one's names are then left over. */
static void test_original_names(void **state)
{
    (void)state;
    opened o =
        open_made("{\"old.a\":" T("F32", "[2]", 0, 8) ",\"old.b\":" T("F16", "[2]", 8, 12) ",\"new.c\":" T(
                      "F32", "[1]", 12, 16) ",\"same\":" T("F64", "[]", 16, 24) "}",
                  24);
    sa_tensor_want wants[] = {want("new.a", "old.a", 1, 2, 0), want("new.b", "old.b", 1, 2, 0),
                              want("new.c", "old.c", 1, 1, 0), want("same", "same", 0, 0, 0)};
    sa_weights_report report;
    sa_error err = {0};
    assert_int_equal(sa_weights_match(o.weights, wants, 4, NULL, &report, &err), SA_BAD_INPUT);
    assert_true(report.original_names);
    assert_int_equal(report.missing, 1);
    assert_string_equal(json_string_value(json_array_get(report.missing_names, 0)), "old.c");
    assert_int_equal(report.unexpected, 1);
    assert_string_equal(json_string_value(json_array_get(report.unexpected_names, 0)), "new.c");
    assert_non_null(wants[0].found);
    assert_null(wants[2].found);
    assert_non_null(wants[3].found);
    sa_weights_report_free(&report);
    close_made(&o);
}

static void test_mismatches(void **state)
{
    (void)state;
    opened o = open_made("{\"a\":" T("F32", "[2]", 0, 8) ",\"b\":" T("I32", "[2]", 8, 16) ",\"c\":" T(
                             "F32", "[2,1]", 16, 24) "}",
                         24);
    sa_tensor_want wants[] = {want("a", "", 1, 3, 0), want("b", "", 1, 2, 0), want("c", "", 1, 2, 0)};
    sa_weights_report report;
    sa_error err = {0};
    assert_int_equal(sa_weights_match(o.weights, wants, 3, NULL, &report, &err), SA_BAD_INPUT);
    assert_int_equal(report.mismatched, 3);
    assert_int_equal(report.missing + report.unexpected, 0);
    const json_t *first = json_array_get(report.mismatched_items, 0),
                 *second = json_array_get(report.mismatched_items, 1);
    assert_string_equal(json_string_value(json_object_get(first, "expected")), "f32|f16|bf16|f64 [3]");
    assert_string_equal(json_string_value(json_object_get(first, "found")), "f32 [2]");
    assert_string_equal(json_string_value(json_object_get(second, "found")), "i32 [2]");
    assert_non_null(strstr(err.reason, "3 mismatched (a: expected f32|f16|bf16|f64 [3], found f32 [2]"));
    for (size_t i = 0; i < 3; i++) {
        assert_null(wants[i].found);
    }
    sa_weights_report_free(&report);
    close_made(&o);
}

static void test_optional_and_ignored(void **state)
{
    (void)state;
    opened o = open_made("{\"a\":" T("F32", "[1]", 0, 4) ",\"x.1\":" T("F32", "[1]", 4, 8) ",\"x.2\":" T(
                             "F32", "[1]", 8, 12) ",\"y\":" T("F32", "[1]", 12, 16) "}",
                         16);
    static const char *const ignored[] = {"y", "x.*", NULL}, *const few[] = {"x.", "yy", "*1x", NULL};
    static const char *const endings[] = {"*y", "*.1", "*x.2", NULL};
    sa_tensor_want wants[] = {want("a", "", 1, 1, 0), want("b", "", 1, 1, 0)};
    wants[1].optional = true;
    sa_weights_report report;
    sa_error err = {0};
    assert_int_equal(sa_weights_match(o.weights, wants, 2, ignored, &report, &err), SA_OK);
    assert_null(wants[1].found);
    sa_weights_report_free(&report);
    assert_int_equal(sa_weights_match(o.weights, wants, 2, endings, &report, &err), SA_OK);
    sa_weights_report_free(&report);
    assert_int_equal(sa_weights_match(o.weights, wants, 2, few, &report, &err), SA_BAD_INPUT);
    assert_int_equal(report.unexpected, 3);
    sa_weights_report_free(&report);
    close_made(&o);
}

/* Changes one value of a made file, so that two tensors differ. */
static opened open_pair(float second)
{
    opened o = {.s = scratch_new()};
    bytes b = make_safetensors("{\"a\":" T("F32", "[1]", 0, 4) ",\"b\":" T("F32", "[1]", 4, 8) "}", 4);
    put(&b, &second, sizeof second);
    scratch_write(&o.s, "w.safetensors", b.data, b.size);
    sa_error err;
    assert_int_equal(sa_weights_open(&o.weights, scratch_path(&o.s, "w.safetensors"), &err), SA_OK);
    drop(&b);
    return o;
}

static void test_alias(void **state)
{
    (void)state;
    sa_tensor_want tied = want("a", "", 1, 1, 0);
    snprintf(tied.alias, sizeof tied.alias, "b");
    sa_weights_report report;
    sa_error err = {0};
    opened o = open_pair(0.0f); /* both, with the same value */
    assert_int_equal(sa_weights_match(o.weights, &tied, 1, NULL, &report, &err), SA_OK);
    assert_ptr_equal(tied.found, sa_weights_find(o.weights, "a"));
    sa_weights_report_free(&report);
    close_made(&o);
    o = open_pair(1.0f); /* both, with different values */
    assert_int_equal(sa_weights_match(o.weights, &tied, 1, NULL, &report, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "the same values as a"));
    sa_weights_report_free(&report);
    close_made(&o);
    o = open_made("{\"b\":" T("F32", "[1]", 0, 4) "}", 4); /* the alias alone */
    assert_int_equal(sa_weights_match(o.weights, &tied, 1, NULL, &report, &err), SA_OK);
    assert_ptr_equal(tied.found, sa_weights_find(o.weights, "b"));
    sa_weights_report_free(&report);
    close_made(&o);
    o = open_made("{\"b\":" T("F32", "[2]", 0, 8) "}", 8); /* the alias alone, misshapen */
    assert_int_equal(sa_weights_match(o.weights, &tied, 1, NULL, &report, &err), SA_BAD_INPUT);
    assert_int_equal(report.mismatched, 1);
    assert_int_equal(report.missing, 0);
    sa_weights_report_free(&report);
    close_made(&o);
}

static void test_error_names_the_first_few(void **state)
{
    (void)state;
    opened o = open_made("{}", 0);
    sa_tensor_want wants[5];
    for (int i = 0; i < 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        wants[i] = want(name, "", 1, 1, 0);
    }
    sa_weights_report report;
    sa_error err = {0};
    assert_int_equal(sa_weights_match(o.weights, wants, 5, NULL, &report, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "5 missing (n0, n1, n2, ...)"));
    assert_int_equal(json_array_size(report.missing_names), 5);
    assert_true(err.hint[0] != '\0');
    sa_weights_report_free(&report);
    close_made(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_fit),    cmocka_unit_test(test_original_names),
        cmocka_unit_test(test_mismatches), cmocka_unit_test(test_optional_and_ignored),
        cmocka_unit_test(test_alias),      cmocka_unit_test(test_error_names_the_first_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
