/* Arena: the dry run and the real run agree; running out, and sizes that overflow, abort. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/arena.h"
#include "tests/check.h"

typedef struct {
    unsigned char *a, *b, *c;
} plan;

static plan take_all(sa_arena *arena)
{
    plan p;
    p.a = sa_arena_take(arena, 3, 5);
    p.b = sa_arena_take(arena, 0, 8);
    p.c = sa_arena_take(arena, 257, 1);
    return p;
}

static void test_dry_run_gives_the_size(void **state)
{
    (void)state;
    sa_arena dry = sa_arena_measure();
    plan none = take_all(&dry);
    assert_null(none.a);
    assert_null(none.c);
    assert_int_equal(dry.used, 256 + 0 + 512);

    unsigned char *block = aligned_alloc(SA_ARENA_ALIGN, dry.used);
    assert_non_null(block);
    sa_arena real = sa_arena_on(block, dry.used);
    plan p = take_all(&real);
    assert_ptr_equal(p.a, block);
    assert_ptr_equal(p.b, block + 256);
    assert_ptr_equal(p.c, block + 256);
    assert_int_equal(real.used, real.size);
    memset(p.a, 1, 15);
    memset(p.c, 2, 257);
    free(block);
}

static void test_rewind_and_high_water(void **state)
{
    (void)state;
    unsigned char *block = aligned_alloc(SA_ARENA_ALIGN, 2048);
    assert_non_null(block);
    sa_arena arena = sa_arena_on(block, 2048);
    sa_arena_take(&arena, 1, 256);
    size_t mark = arena.used;
    unsigned char *lost = sa_arena_take(&arena, 1, 1024);
    memset(lost, 1, 1024);
    sa_arena_rewind(&arena, mark);
    assert_int_equal(arena.used, 256);
    assert_int_equal(arena.high, 256 + 1024);
#ifndef NDEBUG
    assert_int_equal(lost[0], 0xA5);
    assert_int_equal(lost[1023], 0xA5);
#endif
    assert_ptr_equal(sa_arena_take(&arena, 1, 1), lost);
    assert_int_equal(arena.high, 256 + 1024);
    free(block);
}

static void take_too_much(void)
{
    static _Alignas(SA_ARENA_ALIGN) unsigned char block[512];
    sa_arena arena = sa_arena_on(block, sizeof block);
    sa_arena_take(&arena, 1, 512);
    sa_arena_take(&arena, 1, 1);
}

static void take_product_that_wraps(void)
{
    sa_arena arena = sa_arena_measure();
    sa_arena_take(&arena, SIZE_MAX / 2 + 2, 2);
}

static void take_padding_that_wraps(void)
{
    sa_arena arena = sa_arena_measure();
    sa_arena_take(&arena, SIZE_MAX, 1);
}

static void rewind_forwards(void)
{
    sa_arena arena = sa_arena_measure();
    sa_arena_rewind(&arena, 1);
}

static void put_on_unaligned_memory(void)
{
    static _Alignas(SA_ARENA_ALIGN) unsigned char block[512];
    sa_arena_on(block + 8, 256);
}

static void test_bugs_abort(void **state)
{
    (void)state;
    assert_true(check_aborts(take_too_much));
    assert_true(check_aborts(take_product_that_wraps));
    assert_true(check_aborts(take_padding_that_wraps));
    assert_true(check_aborts(rewind_forwards));
    assert_true(check_aborts(put_on_unaligned_memory));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dry_run_gives_the_size),
        cmocka_unit_test(test_rewind_and_high_water),
        cmocka_unit_test(test_bugs_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
