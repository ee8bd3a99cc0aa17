/* Large JSON taken apart: what jansson reads of it must be the parts, and broken text must be told. */
#include "tests/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/base/json_parts.h"

/* The parts with "|" between them; "!" at the end of a broken text, "." at the end of a whole one. */
static const char *parts_of(const char *text)
{
    static char out[1024];
    sa_json_walk walk = sa_json_walk_on(sa_json_trim(text, strlen(text)));
    sa_json_part key, value;
    size_t length = 0;
    out[0] = '\0';
    while (sa_json_walk_next(&walk, &key, &value)) {
        length += (size_t)snprintf(out + length, sizeof out - length, "%.*s%s%.*s|", (int)key.size,
                                   key.text != NULL ? key.text : "", key.text != NULL ? "=" : "",
                                   (int)value.size, value.text);
    }
    assert_false(sa_json_walk_next(&walk, &key, &value)); /* it stays at its end */
    snprintf(out + length, sizeof out - length, "%s",
             walk.broken                    ? "!"
             : sa_json_walk_is_whole(&walk) ? "."
                                            : "?");
    return out;
}

static const struct {
    const char *text, *parts;
} cases[] = {
    {"[]", "."},
    {" { } ", "."},
    {"[1]", "1|."},
    {"[1, -2.5e3 ,true,null]", "1|-2.5e3|true|null|."},
    {"[\"a]b\",\"c\\\"]\",\"\\\\\"]", "\"a]b\"|\"c\\\"]\"|\"\\\\\"|."},
    {"[[1,[2,{}]],{\"a\":[\"}\"]}]", "[1,[2,{}]]|{\"a\":[\"}\"]}|."},
    {"{\"a\":1,\"b\\\"\" : [2 ] , \"\":{}}", "a=1|b\\\"=[2 ]|={}|."},
    {"\n[\n1\n,\n2\n]\n", "1|2|."},
    {"[1]x", "1|?"},
    {"[1]]", "1|?"},
    {"", "!"},
    {"5", "!"},
    {"\"x\"", "!"},
    {"[", "!"},
    {"[1", "1|!"},
    {"[1,", "1|!"},
    {"[1,]", "1|!"},
    {"[,1]", "!"},
    {"[1 2]", "1|!"},
    {"[1}", "1|!"},
    {"[\"a]", "!"},
    {"[\"a\\\"]", "!"},
    {"[{]", "{]|!"},
    {"[[1]", "[1]|!"},
    {"{1:2}", "!"},
    {"{\"a\"}", "!"},
    {"{\"a\":}", "!"},
    {"{\"a\":1,}", "a=1|!"},
    {"{\"a\" 1}", "!"},
    {"{\"a", "!"},
    {"{\"a\":1]", "a=1|!"},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (strcmp(parts_of(cases[i].text), cases[i].parts) != 0) {
            fail_msg("%s: %s; should be %s", cases[i].text, parts_of(cases[i].text), cases[i].parts);
        }
    }
}

/* A value without an end is all that is left, and has its key. */
static void test_cut_value(void **state)
{
    (void)state;
    const char *text = "{\"a\":1,\"data\":[{\"x\":";
    sa_json_walk walk = sa_json_walk_on(sa_json_trim(text, strlen(text)));
    sa_json_part key, value;
    assert_true(sa_json_walk_next(&walk, &key, &value));
    assert_false(sa_json_walk_next(&walk, &key, &value));
    assert_true(sa_json_part_is(key, "data"));
    assert_string_equal(value.text, "[{\"x\":");
    assert_true(walk.broken);
}

/* A million brackets cost no stack. */
static void test_deep(void **state)
{
    enum { DEEP = 1000000 };
    (void)state;
    char *text = malloc(2 * DEEP);
    memset(text, '[', DEEP);
    memset(text + DEEP, ']', DEEP);
    sa_json_part key, value;
    sa_json_walk walk = sa_json_walk_on((sa_json_part){text, 2 * DEEP});
    assert_true(sa_json_walk_next(&walk, &key, &value));
    assert_int_equal(value.size, 2 * DEEP - 2);
    assert_false(sa_json_walk_next(&walk, &key, &value));
    assert_true(sa_json_walk_is_whole(&walk));
    free(text);
}

static void test_lines(void **state)
{
    (void)state;
    assert_int_equal(sa_json_line("a\nb\nc", 0), 1);
    assert_int_equal(sa_json_line("a\nb\nc", 2), 2);
    assert_int_equal(sa_json_line("a\nb\nc", 5), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_cut_value),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
