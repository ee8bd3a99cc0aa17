/* Texts by hash: everything that was put is found, nothing else is. */
#include "tests/check.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/text_table.h"

static void test_table(void **state)
{
    enum { COUNT = 5000 };
    static char texts[COUNT][16];
    (void)state;
    sa_text_table table = {0};
    assert_null(sa_text_table_find(&table, "x", 1));
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = (size_t)snprintf(texts[i], sizeof texts[i], "id%zu", i * i);
        assert_null(sa_text_table_find(&table, texts[i], size));
        assert_true(sa_text_table_put(&table, texts[i], size, i));
    }
    assert_int_equal(table.count, COUNT);
    assert_true(sa_text_table_put(&table, "", 0, 77));
    for (size_t i = 0; i < COUNT; i++) {
        const sa_text_entry *entry = sa_text_table_find(&table, texts[i], strlen(texts[i]));
        assert_non_null(entry);
        assert_int_equal(entry->number, i);
        assert_ptr_equal(entry->text, texts[i]);
    }
    assert_int_equal(sa_text_table_find(&table, "", 0)->number, 77);
    assert_null(sa_text_table_find(&table, "id2", 3));
    assert_null(sa_text_table_find(&table, "id", 2));
    sa_text_table_free(&table);
    assert_null(sa_text_table_find(&table, "", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
