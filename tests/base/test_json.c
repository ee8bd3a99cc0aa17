/* JSON: what is refused, what errors say, how numbers and strings are written, in any locale. */
#define _GNU_SOURCE
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/philox.h"
#include "tests/check.h"

/* -- Reading -- */

static sa_status parse(const char *text, json_t **value, sa_error *err)
{
    *value = NULL;
    return sa_json_parse("test.json", text, strlen(text), value, err);
}

static json_t *parse_good(const char *text)
{
    json_t *value;
    sa_error err;
    assert_int_equal(parse(text, &value, &err), SA_OK);
    assert_non_null(value);
    return value;
}

static void test_good_values(void **state)
{
    (void)state;
    /* clang-format off */
    static const char *const texts[] = {"{}", " [1, 2.5e3, \"\\u00e9\"]\n", "null", "3", "\"a\"", "-0.0",
                                        "9223372036854775807", "-9223372036854775808", "[\"]]]\\\"[[[\"]"};
    /* clang-format on */
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_decref(parse_good(texts[i]));
    }
}

static void test_bad_values(void **state)
{
    (void)state;
    /* clang-format off */
    static const char *const texts[] = {
        "", " ", "{", "}", "[1,]", "{\"a\":1,}", "{\"a\":1,\"a\":2}", "{\"a\":{\"b\":1,\"b\":2}}", "1 2",
        "{} x", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\\u0000\"", "\"\\ud800\"", "NaN",
        "Infinity", "01", "1e999", "\"a\nb\"", "\xef\xbb\xbf{}", "\"", "\"\\", "'a'", "[1e]", "tru",
        "--99999999999999999999"};
    /* clang-format on */
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *value;
        sa_error err;
        assert_int_equal(parse(texts[i], &value, &err), SA_BAD_INPUT);
        assert_null(value);
        assert_string_equal(err.file, "test.json");
        assert_true(err.reason[0] != '\0');
    }
    json_t *value;
    sa_error err;
    parse("{\n\n \"a\" 1}", &value, &err);
    assert_non_null(strstr(err.reason, "line 3"));
    /* A zero byte is no white space. */
    assert_int_equal(sa_json_parse("z", "{}\0", 3, &value, &err), SA_BAD_INPUT);
}

static void test_depth(void **state)
{
    (void)state;
    char text[2 * 65 + 1] = {0};
    json_t *value;
    sa_error err;
    for (int depth = 64; depth <= 65; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        assert_int_equal(parse(text, &value, &err), depth <= 64 ? SA_OK : SA_BAD_INPUT);
        json_decref(value);
    }
    assert_non_null(strstr(err.reason, "deeper than 64"));

    /* So much of it that a recursive parser would run out of stack. */
    size_t size = 4000000;
    char *deep = malloc(size);
    assert_non_null(deep);
    memset(deep, '[', size);
    assert_int_equal(sa_json_parse("deep", deep, size, &value, &err), SA_BAD_INPUT);
    free(deep);
}

static double real_of(const char *text)
{
    json_t *value = parse_good(text);
    assert_true(json_is_real(value));
    double real = json_real_value(value);
    json_decref(value);
    return real;
}

/* tokenizer_config.json of many models holds int(1e30). */
static void test_large_integers(void **state)
{
    (void)state;
    assert_true(real_of("1000000000000000019884624838656") == 1e30);
    assert_true(real_of("9223372036854775808") == 0x1p63);
    assert_true(real_of("-9223372036854775809") == -0x1p63);
    json_t *value =
        parse_good("{\"99999999999999999999\":[99999999999999999999,1],\"\\\"99999999999999999999\":2}");
    assert_int_equal(json_object_size(value), 2);
    json_t *list = json_object_get(value, "99999999999999999999");
    assert_true(json_real_value(json_array_get(list, 0)) == 1e20);
    assert_true(json_is_integer(json_array_get(list, 1)));
    json_decref(value);
}

static void test_read_file(void **state)
{
    (void)state;
    json_t *value = NULL;
    sa_error err;
    assert_int_equal(sa_json_read("/nonexistent/a.json", 100, &value, &err), SA_BAD_INPUT);
    assert_string_equal(err.file, "/nonexistent/a.json");
    char path[] = "/tmp/segagent-test-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    FILE *stream = fdopen(descriptor, "w");
    fputs("{\"a\": [1]}", stream);
    fclose(stream);
    assert_int_equal(sa_json_read(path, 10, &value, &err), SA_OK);
    json_decref(value);
    assert_int_equal(sa_json_read(path, 9, &value, &err), SA_NO_ROOM);
    remove(path);
}

/* -- Members -- */

static void test_get_int(void **state)
{
    (void)state;
    json_t *object = parse_good("{\"a\":5,\"n\":null,\"r\":5.0,\"s\":\"5\",\"big\":99999999999999999999}");
    sa_error err;
    int64_t out = -1;
    assert_int_equal(sa_json_get_int(object, "o", "a", true, 5, 5, &out, &err), SA_OK);
    assert_int_equal(out, 5);
    out = -1;
    assert_int_equal(sa_json_get_int(object, "o", "n", false, 0, 9, &out, &err), SA_OK);
    assert_int_equal(sa_json_get_int(object, "o", "absent", false, 0, 9, &out, &err), SA_OK);
    assert_int_equal(sa_json_get_int(object, "o", "n", true, 0, 9, &out, &err), SA_BAD_INPUT);
    assert_string_equal(err.reason, "key \"n\" is missing");
    assert_int_equal(sa_json_get_int(object, "o", "a", true, 0, 4, &out, &err), SA_BAD_INPUT);
    assert_string_equal(err.reason, "key \"a\" is 5 and should be from 0 to 4");
    assert_int_equal(sa_json_get_int(object, "o", "a", true, 6, 9, &out, &err), SA_BAD_INPUT);
    assert_int_equal(sa_json_get_int(object, "o", "r", false, 0, 9, &out, &err), SA_BAD_INPUT);
    assert_int_equal(sa_json_get_int(object, "o", "s", false, 0, 9, &out, &err), SA_BAD_INPUT);
    assert_string_equal(err.reason, "key \"s\" should be an integer and is a string");
    assert_int_equal(sa_json_get_int(object, "o", "big", false, INT64_MIN, INT64_MAX, &out, &err),
                     SA_BAD_INPUT);
    assert_int_equal(sa_json_get_int(NULL, "o", "a", false, 0, 9, &out, &err), SA_BAD_INPUT);
    assert_int_equal(out, -1);
    json_decref(object);
}

static void test_get_real_and_string(void **state)
{
    (void)state;
    json_t *object = parse_good("{\"i\":5,\"r\":0.5,\"s\":\"text\",\"t\":true,\"list\":[]}");
    sa_error err;
    double out = -1.0;
    assert_int_equal(sa_json_get_real(object, "o", "i", true, &out, &err), SA_OK);
    assert_true(out == 5.0);
    assert_int_equal(sa_json_get_real(object, "o", "r", true, &out, &err), SA_OK);
    assert_true(out == 0.5);
    assert_int_equal(sa_json_get_real(object, "o", "t", true, &out, &err), SA_BAD_INPUT);
    assert_int_equal(sa_json_get_real(object, "o", "x", false, &out, &err), SA_OK);
    assert_true(out == 0.5);
    const char *text = "default";
    assert_int_equal(sa_json_get_string(object, "o", "x", false, &text, &err), SA_OK);
    assert_string_equal(text, "default");
    assert_int_equal(sa_json_get_string(object, "o", "s", true, &text, &err), SA_OK);
    assert_string_equal(text, "text");
    assert_int_equal(sa_json_get_string(object, "o", "i", true, &text, &err), SA_BAD_INPUT);
    json_t *list = json_object_get(object, "list");
    assert_int_equal(sa_json_get_string(list, "o", "i", false, &text, &err), SA_BAD_INPUT);
    assert_non_null(strstr(err.reason, "is an array"));
    json_decref(object);
}

/* -- Numbers as text -- */

static void check_f64(double value, const char *want)
{
    char text[32];
    sa_json_format_f64(text, sizeof text, value);
    assert_string_equal(text, want);
}

static void check_f32(float value, const char *want)
{
    char text[32];
    sa_json_format_f32(text, sizeof text, value);
    assert_string_equal(text, want);
}

static void check_known_numbers(void)
{
    check_f64(0.0, "0.0");
    check_f64(-0.0, "-0.0");
    check_f64(3.0, "3.0");
    check_f64(-100.0, "-100.0");
    check_f64(0.1, "0.1");
    check_f64(0.1 + 0.2, "0.30000000000000004");
    check_f64(1e-7, "1e-07");
    check_f64(0.0001, "0.0001");
    check_f64(0.00001234, "1.234e-05");
    check_f64(1e15, "1000000000000000.0");
    check_f64(9007199254740993.0, "9007199254740992.0");
    check_f64(1e16, "1e+16");
    check_f64(1.7976931348623157e308, "1.7976931348623157e+308");
    check_f64(-2.2250738585072014e-308, "-2.2250738585072014e-308");
    check_f64(5e-324, "5e-324");
    check_f64((double)NAN, "null");
    check_f64((double)INFINITY, "null");
    check_f32(0.1f, "0.1");
    check_f32(1.0f / 3.0f, "0.33333334");
    check_f32(16777216.0f, "16777216.0");
    check_f32(3.4028235e38f, "3.4028235e+38");
    check_f32(1e-45f, "1e-45");
    check_f32(-(float)INFINITY, "null");
}

static void test_known_numbers(void **state)
{
    (void)state;
    check_known_numbers();
}

/* Random bit patterns, so that every size is met; jansson reads them back. */
static void test_numbers_come_back(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 20000; i++) {
        sa_philox r = sa_philox_block(3, i, 0);
        uint64_t bits = (uint64_t)r.word[0] << 32 | r.word[1];
        double value;
        float single;
        memcpy(&value, &bits, sizeof value);
        memcpy(&single, &r.word[2], sizeof single);
        char text[32];
        if (isfinite(value)) {
            sa_json_format_f64(text, sizeof text, value);
            double back = real_of(text);
            assert_memory_equal(&back, &value, sizeof value);
        }
        if (isfinite(single)) {
            sa_json_format_f32(text, sizeof text, single);
            assert_true(strlen(text) < 24);
            float back = strtof(text, NULL);
            assert_memory_equal(&back, &single, sizeof single);
        }
    }
}

/*
 * Where such locales are installed, commas must not get in. To run it elsewhere: localedef -i ps_AF -f UTF-8
 * DIR/ps_AF.UTF-8, then LOCPATH=DIR.
 */
static void test_comma_locale(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8",
                                        "ps_AF.UTF-8"}; /* the last: two bytes */
    bool found = false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (setlocale(LC_NUMERIC, names[i]) != NULL) {
            found = true;
            check_known_numbers();
            assert_true(real_of("0.5") == 0.5);
        }
    }
    setlocale(LC_NUMERIC, "C");
    if (!found) {
        skip();
    }
}

/* -- Writing -- */

typedef struct {
    char *text;
    size_t size;
    FILE *stream;
    sa_json_writer writer;
} memory;

static void memory_open(memory *m)
{
    *m = (memory){0};
    m->stream = open_memstream(&m->text, &m->size);
    assert_non_null(m->stream);
    m->writer = sa_json_writer_on(m->stream);
}

static void memory_close(memory *m)
{
    fclose(m->stream);
    free(m->text);
}

static void test_writer(void **state)
{
    (void)state;
    memory m;
    memory_open(&m);
    sa_json_writer *w = &m.writer;
    sa_json_begin_object(w);
    sa_json_key(w, "a");
    sa_json_int(w, INT64_MIN);
    sa_json_key(w, "b");
    sa_json_begin_array(w);
    sa_json_f32(w, 0.1f);
    sa_json_f64(w, (double)NAN);
    sa_json_bool(w, true);
    sa_json_begin_object(w);
    sa_json_end_object(w);
    sa_json_null(w);
    sa_json_end_array(w);
    sa_json_put_string(w, "c", NULL);
    sa_json_put_string(w, "d", "x");
    sa_json_put_int(w, "e", -3);
    sa_json_put_f64(w, "f", 0.25);
    sa_json_put_bool(w, "g", false);
    sa_json_end_object(w);
    sa_json_end_line(w);
    sa_json_int(w, 7);
    sa_json_end_line(w);
    assert_string_equal(m.text,
                        "{\"a\":-9223372036854775808,\"b\":[0.1,null,true,{},null],\"c\":null,\"d\":\"x\","
                        "\"e\":-3,\"f\":0.25,\"g\":false}\n7\n");
    memory_close(&m);
}

static void check_string(const char *text, const char *want)
{
    memory m;
    memory_open(&m);
    sa_json_string(&m.writer, text);
    sa_json_end_line(&m.writer);
    assert_string_equal(m.text, want);
    json_t *value;
    sa_error err;
    assert_int_equal(sa_json_parse("written", m.text, m.size, &value, &err), SA_OK);
    json_decref(value);
    memory_close(&m);
}

/* What was read comes out as it was, but for white space; the nesting that reading allows, writing can do. */
static void test_value(void **state)
{
    (void)state;
    static const char text[] = "{\"z\":[1,-2.5,\"\\n\\u00e9\",true,false,null],\"a\":{\"\":{}},\"m\":[]}";
    char deep[2 * SA_JSON_DEPTH + 1] = "";
    memset(deep, '[', SA_JSON_DEPTH);
    memset(deep + SA_JSON_DEPTH, ']', SA_JSON_DEPTH);
    const char *const texts[] = {text, deep};
    for (size_t i = 0; i < 2; i++) {
        memory m;
        json_t *value = NULL, *again = NULL;
        sa_error err;
        memory_open(&m);
        assert_int_equal(sa_json_parse("text", texts[i], strlen(texts[i]), &value, &err), SA_OK);
        sa_json_value(&m.writer, value);
        sa_json_end_line(&m.writer);
        assert_int_equal(sa_json_parse("again", m.text, m.size, &again, &err), SA_OK);
        assert_true(json_equal(value, again));
        assert_int_equal(strncmp(m.text, i == 0 ? "{\"z\":[1,-2.5," : deep, 13), 0); /* in its order */
        json_decref(value);
        json_decref(again);
        memory_close(&m);
    }
}

static void test_strings(void **state)
{
    (void)state;
    check_string("", "\"\"\n");
    check_string("a\"\\/\b\f\n\r\t\x01\x7f", "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u007f\"\n");
    check_string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"\n");
#define BAD "\xef\xbf\xbd"
    check_string("\xff"
                 "a\xc3",
                 "\"" BAD "a" BAD "\"\n");
    check_string("\xc0\x80", "\"" BAD BAD "\"\n");                 /* overlong */
    check_string("\xe0\x9f\xbf", "\"" BAD BAD BAD "\"\n");         /* overlong */
    check_string("\xed\xa0\x80", "\"" BAD BAD BAD "\"\n");         /* surrogate */
    check_string("\xf4\x90\x80\x80", "\"" BAD BAD BAD BAD "\"\n"); /* beyond U+10FFFF */
    check_string("\xf0\x9f\x98", "\"" BAD BAD BAD "\"\n");         /* cut */
    check_string("\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"\n");
#undef BAD
}

/* Zero bytes inside, none at the end, a character cut off by the end. */
static void test_text(void **state)
{
    (void)state;
    memory m;
    memory_open(&m);
    sa_json_text(&m.writer, "a\0b\xc3\xa9", 4);
    sa_json_end_line(&m.writer);
    sa_json_text(&m.writer, NULL, 0);
    sa_json_end_line(&m.writer);
    assert_string_equal(m.text, "\"a\\u0000b\xef\xbf\xbd\"\n\"\"\n");
    memory_close(&m);
}

/* Every string of two bytes: whatever is written can be read again. */
static void test_all_pairs_of_bytes(void **state)
{
    (void)state;
    memory m;
    memory_open(&m);
    sa_json_begin_array(&m.writer);
    for (int pair = 0x0101; pair < 0x10000; pair++) {
        char text[3] = {(char)(pair >> 8), (char)(pair & 0xff), '\0'};
        sa_json_string(&m.writer, text);
    }
    sa_json_end_array(&m.writer);
    sa_json_end_line(&m.writer);
    json_t *value;
    sa_error err;
    assert_int_equal(sa_json_parse("written", m.text, m.size, &value, &err), SA_OK);
    assert_int_equal(json_array_size(value), 0x10000 - 0x0101);
    json_decref(value);
    memory_close(&m);
}

static void end_without_begin(void)
{
    sa_json_writer w = sa_json_writer_on(stderr);
    sa_json_end_object(&w);
}

static void value_without_key(void)
{
    sa_json_writer w = sa_json_writer_on(stderr);
    sa_json_begin_object(&w);
    sa_json_int(&w, 1);
}

static void wrong_end(void)
{
    sa_json_writer w = sa_json_writer_on(stderr);
    sa_json_begin_array(&w);
    sa_json_end_object(&w);
}

static void key_without_value(void)
{
    sa_json_writer w = sa_json_writer_on(stderr);
    sa_json_begin_object(&w);
    sa_json_key(&w, "a");
    sa_json_end_object(&w);
}

static void two_values(void)
{
    sa_json_writer w = sa_json_writer_on(stderr);
    sa_json_int(&w, 1);
    sa_json_int(&w, 2);
}

static void line_ends_inside(void)
{
    sa_json_writer w = sa_json_writer_on(stderr);
    sa_json_begin_array(&w);
    sa_json_end_line(&w);
}

static void nest(int depth)
{
    sa_json_writer w = sa_json_writer_on(stderr);
    for (int i = 0; i < depth; i++) {
        sa_json_begin_array(&w);
    }
}

static void nest_as_deep_as_allowed(void)
{
    nest(SA_JSON_DEPTH);
}

static void nest_too_deep(void)
{
    nest(SA_JSON_DEPTH + 1);
}

static void test_writer_bugs_abort(void **state)
{
    (void)state;
    assert_true(check_aborts(end_without_begin));
    assert_true(check_aborts(value_without_key));
    assert_true(check_aborts(wrong_end));
    assert_true(check_aborts(key_without_value));
    assert_true(check_aborts(two_values));
    assert_true(check_aborts(line_ends_inside));
    assert_false(check_aborts(nest_as_deep_as_allowed));
    assert_true(check_aborts(nest_too_deep));
}

/* json.dumps({"a": [1, 0.5, "naïve \u2028 😀 \x7f \t/"], "b": {}, "é": None}) */
static void test_python_style(void **state)
{
    (void)state;
    json_t *value = parse_good("{\"a\":[1,0.5,\"na\xc3\xafve \\u2028 \xf0\x9f\x98\x80 \x7f \\t/\"],"
                               "\"b\":{},\"\xc3\xa9\":null}");
    memory m;
    memory_open(&m);
    m.writer = sa_json_writer_python(m.stream);
    sa_json_value(&m.writer, value);
    fflush(m.stream);
    assert_string_equal(m.text, "{\"a\": [1, 0.5, \"na\\u00efve \\u2028 \\ud83d\\ude00 \\u007f \\t/\"], "
                                "\"b\": {}, \"\\u00e9\": null}");
    memory_close(&m);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_python_style),
        cmocka_unit_test(test_good_values),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_large_integers),
        cmocka_unit_test(test_read_file),
        cmocka_unit_test(test_get_int),
        cmocka_unit_test(test_get_real_and_string),
        cmocka_unit_test(test_known_numbers),
        cmocka_unit_test(test_numbers_come_back),
        cmocka_unit_test(test_comma_locale),
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_value),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_all_pairs_of_bytes),
        cmocka_unit_test(test_writer_bugs_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
