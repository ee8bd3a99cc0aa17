/* Stop texts: in one piece, in pieces, beginnings that come to nothing, several at once. */
#include <string.h>

#include "runtime/text/stop.h"
#include "tests/check.h"

static const char *const stops[] = {"</s>", "STOP", "\n\n", "", NULL};

static void expect(const char *text, size_t from, bool found, size_t end)
{
    sa_stop_scan scan = sa_stop_find(text, strlen(text), from, stops);
    assert_int_equal(scan.found, found);
    assert_int_equal(scan.end, end);
}

static void test_whole(void **state)
{
    (void)state;
    expect("all of it", 0, false, 9);
    expect("yes</s>no", 0, true, 3);
    expect("STOP", 0, true, 0);
    expect("a\n\nSTOP", 0, true, 1);
    expect("aSTOP\n\n", 0, true, 1);
    expect("", 0, false, 0);
}

static void test_beginnings_are_held_back(void **state)
{
    (void)state;
    expect("yes<", 0, false, 3);
    expect("yes</s", 0, false, 3);
    expect("a\n", 0, false, 1);
    expect("STST", 0, false, 2);
    expect("</</s", 0, false, 2);
    expect("yes<b", 0, false, 5);
}

static void test_what_is_known_is_not_looked_at(void **state)
{
    (void)state;
    expect("STOP here", 4, false, 9);
    expect("STOP STOP", 1, true, 5);
}

static void test_none(void **state)
{
    (void)state;
    sa_stop_scan scan = sa_stop_find("</s>", 4, 0, NULL);
    assert_false(scan.found);
    assert_int_equal(scan.end, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_beginnings_are_held_back),
        cmocka_unit_test(test_what_is_known_is_not_looked_at),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
