/* memory.c by itself: guards, freed ranges, which bytes were written, addresses given out anew at the end of
 * the room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/gpusim/memory.h"

static const uint64_t LIMIT = 64 << 20;

static int open_memory(void **state)
{
    (void)state;
    return sim_memory_open(LIMIT) ? 0 : -1;
}

static int close_memory(void **state)
{
    (void)state;
    sim_memory_close();
    return 0;
}

static void test_ranges(void **state)
{
    (void)state;
    uint64_t a = sim_memory_alloc(1000, "a"), b = sim_memory_alloc(1, "b");
    assert_true(a && b && a % 256 == 0 && b % 256 == 0);
    assert_true(b >= a + 1000 + 512); /* the guard */
    assert_ptr_equal(sim_memory_find(a), sim_memory_find(a + 999));
    assert_string_equal(sim_memory_find(a)->what, "a");
    assert_int_equal(sim_memory_find(a)->end, a + 1000);
    assert_null(sim_memory_find(a + 1000));
    assert_null(sim_memory_find(a - 1));
    assert_null(sim_memory_find(b + 1));
    assert_null(sim_memory_find(0));
    assert_null(sim_memory_find(UINT64_MAX));
    assert_false(sim_memory_free(a + 256));
    sim_memory_time = 17;
    assert_true(sim_memory_free(a));
    assert_false(sim_memory_free(a));
    assert_false(sim_memory_find(a + 5)->is_live);
    assert_int_equal(sim_memory_find(a)->freed_at, 17);
    assert_true(sim_memory_alloc(1000, "c") != a); /* not soon again */
}

static void test_contents(void **state)
{
    (void)state;
    uint64_t a = sim_memory_alloc(5 << 20, "a");
    uint8_t *host = sim_memory_host(a);
    assert_int_equal(host[0], 0);
    host[(5 << 20) - 1] = 9;
    host[0] = 8;
    assert_true(sim_memory_free(a));
    assert_int_equal(host[0], 0); /* its pages went back */
    assert_int_equal(host[(5 << 20) - 1], 0);
}

/* Against a plain array of flags, with seeded ranges of every alignment. */
static void test_written(void **state)
{
    enum { BYTES = 700, ROUNDS = 400 };
    (void)state;
    uint8_t flag[2][BYTES] = {{0}};
    uint64_t range[2] = {sim_memory_alloc(BYTES, "a"), sim_memory_alloc(BYTES, "b")};
    srand(5);
    for (int round = 0; round < ROUNDS; round++) {
        size_t from = (size_t)rand() % BYTES, to = (size_t)rand() % BYTES, length = (size_t)rand() % 40;
        length = from + length > BYTES ? BYTES - from : length;
        length = to + length > BYTES ? BYTES - to : length;
        int source = rand() % 2, target = rand() % 2;
        if (round % 3 == 0) {
            sim_memory_mark(range[target] + to, length);
            memset(flag[target] + to, 1, length);
        } else {
            sim_memory_copy_marks(range[target] + to, range[source] + from, length);
            memmove(flag[target] + to, flag[source] + from, length);
        }
        for (int r = 0; r < 2; r++) {
            const uint8_t *clear = memchr(flag[r] + from, 0, BYTES - from);
            size_t expected = clear ? (size_t)(clear - (flag[r] + from)) : BYTES - from;
            assert_int_equal(sim_memory_unwritten(range[r] + from, BYTES - from), expected);
        }
    }
}

static void test_marks_end_with_the_range(void **state)
{
    (void)state;
    uint64_t a = sim_memory_alloc(13, "a");
    sim_memory_mark(a, 13);
    assert_int_equal(sim_memory_unwritten(a, 13), 13);
    assert_int_equal(sim_memory_unwritten(a, 14), 13);
    assert_true(sim_memory_free(a));
    assert_int_equal(sim_memory_unwritten(a, 13), 0);
}

static void test_limit(void **state)
{
    (void)state;
    assert_int_equal(sim_memory_alloc(LIMIT + 1, "too much"), 0);
    assert_int_equal(sim_memory_alloc(SIZE_MAX, "far too much"), 0);
    assert_int_equal(sim_memory_alloc(SIZE_MAX - 100, "rounds to nothing"), 0);
    assert_int_equal(sim_memory_alloc(0, "nothing"), 0);
    uint64_t all = sim_memory_alloc(LIMIT, "all");
    assert_true(all);
    assert_int_equal(sim_memory_used(), LIMIT);
    assert_int_equal(sim_memory_alloc(1, "one more"), 0);
    assert_true(sim_memory_alloc_host(4096, "host")); /* no part of the device's memory */
    assert_true(sim_memory_free(all));
    assert_int_equal(sim_memory_used(), 0);
}

/* Far more than the reservation in all: addresses come again, never two live ones at a place, always clean.
 */
static void test_reuse(void **state)
{
    enum { LIVE = 5, ROUNDS = 600 };
    (void)state;
    uint64_t live[LIVE] = {0}, seen = 0;
    size_t bytes[LIVE] = {0};
    srand(9);
    for (int round = 0; round < ROUNDS; round++) {
        int i = rand() % LIVE;
        if (live[i]) {
            assert_true(sim_memory_free(live[i]));
        }
        bytes[i] = 1 + (size_t)rand() % (9 << 20);
        live[i] = sim_memory_alloc(bytes[i], "piece");
        assert_true(live[i]);
        assert_int_equal(sim_memory_unwritten(live[i], 1), 0);
        assert_int_equal(*(uint8_t *)sim_memory_host(live[i]), 0);
        *(uint8_t *)sim_memory_host(live[i]) = 1;
        sim_memory_mark(live[i], 1);
        seen += bytes[i];
        for (int j = 0; j < LIVE; j++) {
            assert_true(j == i || !live[j] || live[j] >= live[i] + bytes[i] + 512 ||
                        live[i] >= live[j] + bytes[j] + 512);
        }
    }
    assert_true(seen > 2 * sim_mem.bytes);
}

static void test_pinned(void **state)
{
    (void)state;
    uint64_t before = sim_memory_alloc(1, "before"), p = sim_memory_alloc_host(5000, "pinned");
    uint64_t behind = sim_memory_alloc(1, "behind");
    volatile uint8_t *host = (volatile uint8_t *)(uintptr_t)p;
    assert_true(before && p && behind);
    assert_true(sim_memory_find(p)->is_host);
    host[0] = 1;
    host[4999] = 2;
    assert_int_equal(((uint8_t *)sim_memory_host(p))[4999], 2); /* one page, two addresses */
    ((uint8_t *)sim_memory_host(p))[0] = 7;
    assert_int_equal(host[0], 7);
    assert_int_equal(sim_memory_unwritten(p, 5000), 5000);
    assert_true(behind / 4096 != (p + 4999) / 4096 &&
                before / 4096 != p / 4096); /* no neighbour in its pages */
    assert_true(sim_memory_free(p));
    assert_false(sim_memory_find(p)->is_live);
}

static void test_injected(void **state)
{
    (void)state;
    sim_memory_fail(3);
    assert_true(sim_memory_alloc(1, "1"));
    assert_true(sim_memory_alloc_host(1, "2"));
    assert_int_equal(sim_memory_alloc(1, "3"), 0);
    assert_true(sim_memory_alloc(1, "4"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_memory, close_memory)
    const struct CMUnitTest tests[] = {
        TEST(test_ranges), TEST(test_contents), TEST(test_written), TEST(test_marks_end_with_the_range),
        TEST(test_limit),  TEST(test_reuse),    TEST(test_pinned),  TEST(test_injected),
    };
    return cmocka_run_group_tests_name("simulated memory", tests, NULL, NULL);
}
