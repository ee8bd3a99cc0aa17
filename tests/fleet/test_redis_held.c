/* The table of rows against an array. */
#include <stdio.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "runtime/fleet/redis_held.h"
#include "tests/check.h"

enum { ROWS = 300, STEPS = 200000 };

/* Rows of which many fall on the same slots, too. */
static size_t row_of(uint32_t number)
{
    return number % 3 == 0 ? (size_t)number << 32 : number;
}

static void check_all(const redis_held *held, const uint64_t sizes[ROWS])
{
    size_t count = 0;
    for (uint32_t i = 0; i < ROWS; i++) {
        const redis_held_row *found = redis_held_find(held, row_of(i));
        assert_int_equal(found != NULL, sizes[i] != 0);
        assert_true(found == NULL || (found->row == row_of(i) && found->size == sizes[i]));
        count += sizes[i] != 0;
    }
    assert_int_equal(held->count, count);
}

static void test_random(void **state)
{
    (void)state;
    redis_held held = {0};
    uint64_t sizes[ROWS] = {0};
    assert_null(redis_held_find(&held, 3));
    redis_held_drop(&held, 3);
    for (uint32_t step = 0; step < STEPS; step++) {
        sa_philox r = sa_philox_block(31, step, 0);
        uint32_t number = r.word[0] % ROWS, full = step / (STEPS / 8) % 2 == 0 ? 3 : 1; /* grows, shrinks */
        if (r.word[1] % 4 < full) {
            const redis_held_row row = {.row = row_of(number), .size = step + 1, .id = "1-1"};
            assert_true(redis_held_put(&held, &row));
            sizes[number] = row.size;
        } else {
            redis_held_drop(&held, row_of(number));
            sizes[number] = 0;
        }
        if (step % 97 == 0) {
            check_all(&held, sizes);
        }
    }
    check_all(&held, sizes);
    redis_held_free(&held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
