/* Which rows belong to which part, and which part is a task's of a Slurm job array. */
#include "tests/check.h"

#include <stdio.h>
#include <string.h>

#include "runtime/data/shard.h"
#include "tests/data/output_rig.h"

static char *no_variable(const char *name)
{
    (void)name;
    return NULL;
}

static void test_ranges(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 7, 999, 1000, 1001, SIZE_MAX / 4};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (size_t count = 1; count < 40; count++) {
            size_t at = 0, first, end;
            for (size_t i = 0; i < count; i++) {
                sa_shard_range((sa_shard){i, count}, sizes[s], &first, &end);
                assert_int_equal(first, at);
                assert_in_range(end - first, sizes[s] / count, sizes[s] / count + 1);
                at = end;
            }
            assert_int_equal(at, sizes[s]);
        }
    }
    size_t first, end;
    sa_shard_range((sa_shard){0}, 12, &first, &end);
    assert_int_equal(first * 100 + end, 12);
}

static void test_parse(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",       "1",       "/",    "1/",   "/2",    "2/2",   "1/0",
        "-1/2",   "+0/2",    "0/2 ", " 0/2", "0x0/2", "0/2/3", "0/1000001",
        "a/b",    "0/-2",    "0 /2", "0/ 2", "1/1",   "0.5/2", "0/99999999999999999999999",
        "slurm ", "slurm/2", "Slurm"};
    sa_shard shard;
    sa_error err = {0};
    assert_int_equal(sa_shard_parse("3/16", no_variable, &shard, &err), SA_OK);
    assert_int_equal(shard.index * 100 + shard.count, 316);
    assert_int_equal(sa_shard_parse(NULL, no_variable, &shard, &err), SA_OK);
    assert_int_equal(shard.count, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (sa_shard_parse(bad[i], no_variable, &shard, &err) != SA_BAD_USAGE) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
    }
}

/* ---- job arrays ---- */

enum { ID, MIN, MAX, STEP, COUNT, VARIABLES };

/* What Slurm tells a task; NULL: nothing. */
static const char *values[VARIABLES];

static char *slurm_variable(const char *name)
{
    static const char *const names[VARIABLES] = {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN",
                                                 "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_STEP",
                                                 "SLURM_ARRAY_TASK_COUNT"};
    for (size_t i = 0; i < VARIABLES; i++) {
        if (strcmp(name, names[i]) == 0) {
            return (char *)values[i];
        }
    }
    return NULL;
}

static sa_status parse_task(const size_t numbers[VARIABLES], sa_shard *shard, sa_error *err)
{
    static char text[VARIABLES][32];
    for (size_t i = 0; i < VARIABLES; i++) {
        snprintf(text[i], sizeof text[i], "%zu", numbers[i]);
        values[i] = text[i];
    }
    return sa_shard_parse("slurm", slurm_variable, shard, err);
}

/* MIN-MAX:STEP, with `last` the last number of it. */
static void check_range(size_t min, size_t last, size_t step)
{
    size_t count = (last - min) / step + 1;
    for (size_t i = 0; i < count; i++) {
        sa_shard shard;
        sa_error err = {0};
        must(parse_task((size_t[]){min + i * step, min, last, step, count}, &shard, &err), &err);
        assert_int_equal(shard.index, i);
        assert_int_equal(shard.count, count);
    }
}

static void test_array(void **state)
{
    (void)state;
    check_range(0, 0, 1);
    check_range(0, 7, 1);
    check_range(5, 5, 1);
    check_range(3, 9, 3);
    check_range(1, 999, 2);
    check_range(4, 4000000, 4); /* a million, up to Slurm's largest number */
    check_range(1, 1, 5);
}

/* Sets of numbers, as Slurm 22.05 tells of them. */
static void test_gaps(void **state)
{
    (void)state;
    static const size_t bad[][VARIABLES] = {
        {1, 1, 9, 1, 3}, {4, 1, 9, 1, 3}, {9, 1, 9, 1, 3}, /* 1,4,9 */
        {1, 1, 5, 1, 3}, {3, 1, 5, 1, 3},                  /* 1,3,5, which might be 1,2,5 */
        {1, 1, 8, 2, 4}, {4, 1, 8, 2, 4},                  /* 1,4-8:2 */
        {3, 0, 4, 2, 4}, {2, 0, 4, 2, 4},                  /* 0-4:2,3 */
        {1, 0, 6, 3, 3},                                   /* 0,1,6-6:3 */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sa_shard shard;
        sa_error err = {0};
        if (parse_task(bad[i], &shard, &err) != SA_BAD_USAGE || strstr(err.reason, "has gaps") == NULL ||
            strstr(err.hint, "--array=0-7") == NULL || shard.count != 0) {
            fail_msg("set %zu: %s (%s)", i, err.reason, err.hint);
        }
    }
}

/* Whatever the numbers are and whichever step is told, no part is given twice, and each is one of the whole.
 */
static void test_any_set(void **state)
{
    (void)state;
    enum { SETS = 20000, MOST = 12 };
    const uint64_t seed = 20261130;
    size_t taken = 0;
    for (size_t s = 0; s < SETS; s++) {
        uint32_t set = rig_random(seed, 2 * s) % (1u << MOST), parts = 0;
        size_t step = 1 + rig_random(seed, 2 * s + 1) % 4, min = 0, max = 0;
        for (size_t i = MOST; i-- > 0;) {
            min = set >> i & 1 ? i : min;
        }
        for (size_t i = 0; i < MOST; i++) {
            max = set >> i & 1 ? i : max;
        }
        for (size_t i = 0; i < MOST; i++) {
            sa_shard shard;
            size_t count = (size_t)__builtin_popcount(set);
            if (set >> i & 1 && parse_task((size_t[]){i, min, max, step, count}, &shard, NULL) == SA_OK) {
                assert_int_equal(shard.count, count);
                assert_in_range(shard.index, 0, count - 1);
                assert_int_equal(parts >> shard.index & 1, 0);
                parts |= 1u << shard.index;
                taken++;
            }
        }
    }
    assert_in_range(taken, 100, SETS * MOST / 10); /* most sets have gaps */
}

static void refuse(const char *id, const char *min, const char *max, const char *step, const char *count,
                   const char *reason)
{
    sa_shard shard;
    sa_error err = {0};
    memcpy(values, (const char *[]){id, min, max, step, count}, sizeof values);
    if (sa_shard_parse("slurm", slurm_variable, &shard, &err) != SA_BAD_USAGE ||
        strstr(err.reason, reason) == NULL || err.hint[0] == '\0' || shard.count != 0) {
        fail_msg("\"%s\" was expected: %s (%s)", reason, err.reason, err.hint);
    }
}

static void test_no_task(void **state)
{
    (void)state;
    refuse(NULL, NULL, NULL, NULL, NULL, "there is no SLURM_ARRAY_TASK_ID: this is no task of a job array");
    refuse("0", NULL, "1", "1", "2", "there is no SLURM_ARRAY_TASK_MIN");
    refuse("0", "0", NULL, "1", "2", "there is no SLURM_ARRAY_TASK_MAX");
    refuse("0", "0", "1", NULL, "2", "there is no SLURM_ARRAY_TASK_STEP");
    refuse("0", "0", "1", "1", NULL, "there is no SLURM_ARRAY_TASK_COUNT");
    refuse("", "0", "1", "1", "2", "SLURM_ARRAY_TASK_ID is \"\", which is no number");
    refuse("1x", "0", "1", "1", "2", "SLURM_ARRAY_TASK_ID is \"1x\"");
    refuse("1", "-1", "1", "1", "2", "SLURM_ARRAY_TASK_MIN is \"-1\"");
    refuse("1", "0", "4294967296", "1", "2", "SLURM_ARRAY_TASK_MAX is \"4294967296\"");
    refuse("2", "0", "1", "1", "2", "task 2 of 2 from 0 to 1 in steps of 1 cannot be");
    refuse("0", "1", "2", "1", "2", "cannot be");
    refuse("0", "0", "1", "0", "2", "cannot be");
    refuse("2", "3", "1", "1", "2", "cannot be");
    refuse("0", "0", "4000000", "4", "1000001", "cannot be");
    refuse("0", "0", "0", "1", "0", "has gaps");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges), cmocka_unit_test(test_parse),   cmocka_unit_test(test_array),
        cmocka_unit_test(test_gaps),   cmocka_unit_test(test_any_set), cmocka_unit_test(test_no_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
