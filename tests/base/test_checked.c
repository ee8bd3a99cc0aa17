/* Size arithmetic at the edge of size_t: the last sum that fits, and the first that does not. */
#include "runtime/base/checked.h"
#include "tests/check.h"

enum { UNTOUCHED = 77 };

static void test_add(void **state)
{
    (void)state;
    size_t out = UNTOUCHED;
    assert_true(sa_add_size(SIZE_MAX - 1, 1, &out));
    assert_true(out == SIZE_MAX);
    assert_true(sa_add_size(0, 0, &out) && out == 0);
    out = UNTOUCHED;
    assert_false(sa_add_size(SIZE_MAX, 1, &out));
    assert_false(sa_add_size(SIZE_MAX, SIZE_MAX, &out));
    assert_int_equal(out, UNTOUCHED);
}

static void test_mul(void **state)
{
    (void)state;
    size_t out = UNTOUCHED;
    assert_true(sa_mul_size((size_t)1 << 63, 1, &out) && out == (size_t)1 << 63);
    assert_true(sa_mul_size(SIZE_MAX, 0, &out) && out == 0);
    assert_true(sa_mul_size(0xffffffffu, 0x100000001u, &out) && out == SIZE_MAX); /* 2^64 - 1 = these two */
    out = UNTOUCHED;
    assert_false(sa_mul_size((size_t)1 << 32, (size_t)1 << 32, &out));
    assert_false(sa_mul_size((size_t)1 << 63, 2, &out));
    assert_false(sa_mul_size(SIZE_MAX, SIZE_MAX, &out));
    assert_int_equal(out, UNTOUCHED);
}

static void test_align(void **state)
{
    (void)state;
    size_t out = UNTOUCHED;
    assert_true(sa_align_size(0, 256, &out) && out == 0);
    assert_true(sa_align_size(1, 256, &out) && out == 256);
    assert_true(sa_align_size(256, 256, &out) && out == 256);
    assert_true(sa_align_size(257, 256, &out) && out == 512);
    assert_true(sa_align_size(SIZE_MAX, 1, &out) && out == SIZE_MAX);
    assert_true(sa_align_size(SIZE_MAX - 255, 256, &out) && out == SIZE_MAX - 255);
    out = UNTOUCHED;
    assert_false(sa_align_size(SIZE_MAX - 254, 256, &out));
    assert_false(sa_align_size(SIZE_MAX, 2, &out));
    assert_int_equal(out, UNTOUCHED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_mul),
        cmocka_unit_test(test_align),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
