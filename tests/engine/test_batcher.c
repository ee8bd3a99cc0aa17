/*
 * The batcher: jobs keep their order in every queue, and each is in exactly one; the stage that is chosen;
 * and a random program of jobs that wander, beside a plain model, until all of them have gone.
 */
#include <stdlib.h>

#include "runtime/base/philox.h"
#include "runtime/engine/batcher.h"
#include "tests/check.h"

enum { JOBS = 200, STEPS = 20000, SEED = 8 };

static void put_many(sa_batcher *b, sa_job *jobs, size_t count, sa_stage stage)
{
    for (size_t i = 0; i < count; i++) {
        sa_batcher_put(b, &jobs[i], stage);
    }
}

static void test_order(void **state)
{
    (void)state;
    sa_batcher b = {.encodes = 1, .answers = 1, .clicks = 1};
    sa_job jobs[4] = {{0}};
    put_many(&b, jobs, 4, SA_WANT_PREFILL);
    sa_batcher_move(&b, &jobs[1], SA_WANT_DECODE);
    sa_batcher_move(&b, &jobs[0], SA_WANT_DECODE);
    sa_batcher_drop(&b, &jobs[2]);
    sa_batcher_check(&b);
    assert_ptr_equal(sa_batcher_first(&b, SA_WANT_PREFILL), &jobs[3]);
    assert_ptr_equal(sa_batcher_first(&b, SA_WANT_DECODE), &jobs[1]);
    assert_ptr_equal(jobs[1].next, &jobs[0]);
    assert_int_equal(sa_batcher_count(&b, SA_WANT_DECODE), 2);
    assert_int_equal(b.queues[SA_WANT_PREFILL].peak, 4);
    assert_null(sa_batcher_first(&b, SA_WANT_SEG_CLICK));
}

/* How many wait where, and what runs then: batches of 4 pictures, 8 answers and 6 clicks. */
static void test_choice(void **state)
{
    (void)state;
    static const struct {
        size_t encode, prefill, decode, click;
        sa_batch_kind kind;
    } cases[] = {
        {0, 0, 0, 0, SA_RUN_NOTHING}, {1, 0, 0, 0, SA_RUN_ENCODE},  {0, 1, 0, 0, SA_RUN_ANSWER},
        {0, 0, 1, 0, SA_RUN_ANSWER},  {0, 0, 0, 1, SA_RUN_CLICK},   {4, 4, 4, 6, SA_RUN_CLICK}, /* all full */
        {9, 4, 4, 5, SA_RUN_ANSWER},  {4, 3, 4, 5, SA_RUN_ENCODE},  {2, 4, 0, 3, SA_RUN_CLICK}, /* all half */
        {2, 2, 3, 3, SA_RUN_ANSWER},  {50, 0, 7, 0, SA_RUN_ENCODE}, {0, 70, 0, 6, SA_RUN_CLICK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sa_batcher b = {.encodes = 4, .answers = 8, .clicks = 6};
        sa_job jobs[4][80] = {{{0}}};
        put_many(&b, jobs[0], cases[i].encode, SA_WANT_SEG_ENCODE);
        put_many(&b, jobs[1], cases[i].prefill, SA_WANT_PREFILL);
        put_many(&b, jobs[2], cases[i].decode, SA_WANT_DECODE);
        put_many(&b, jobs[3], cases[i].click, SA_WANT_SEG_CLICK);
        sa_batcher_check(&b);
        assert_int_equal(sa_batcher_choose(&b), cases[i].kind);
    }
}

/* Jobs that wait for room or are searched run nothing. */
static void test_items(void **state)
{
    (void)state;
    sa_batcher b = {.encodes = 1, .answers = 1, .clicks = 1};
    sa_job jobs[2];
    sa_batcher_put(&b, &jobs[0], SA_WANT_ROOM);
    sa_batcher_put(&b, &jobs[1], SA_SEARCHING);
    assert_int_equal(sa_batcher_choose(&b), SA_RUN_NOTHING);
}

static uint32_t draw(uint64_t step, uint64_t what, uint32_t below)
{
    return (uint32_t)((uint64_t)sa_philox_block(SEED, step, what).word[0] * below >> 32);
}

static void test_random(void **state)
{
    (void)state;
    sa_batcher b = {.encodes = 3, .answers = 5, .clicks = 4};
    sa_job jobs[JOBS];
    bool queued[JOBS] = {false};
    size_t counts[SA_STAGES] = {0};
    for (uint64_t step = 0; step < STEPS; step++) {
        size_t i = draw(step, 0, JOBS);
        sa_stage stage = (sa_stage)draw(step, 1, SA_STAGES);
        if (!queued[i]) {
            sa_batcher_put(&b, &jobs[i], stage);
            counts[stage]++;
        } else if (draw(step, 2, 4) == 0) {
            counts[jobs[i].stage]--;
            sa_batcher_drop(&b, &jobs[i]);
        } else {
            counts[jobs[i].stage]--;
            sa_batcher_move(&b, &jobs[i], stage);
            counts[stage]++;
            assert_ptr_equal(b.queues[stage].last, &jobs[i]);
        }
        queued[i] = !queued[i] || draw(step, 2, 4) != 0;
        sa_batcher_check(&b);
        for (size_t s = 0; s < SA_STAGES; s++) {
            assert_int_equal(sa_batcher_count(&b, (sa_stage)s), counts[s]);
        }
    }
}

/* Whatever is chosen takes a job: a batcher is never stuck. */
static void test_progress(void **state)
{
    (void)state;
    sa_batcher b = {.encodes = 3, .answers = 5, .clicks = 4};
    static const sa_stage of[] = {SA_WANT_SEG_ENCODE, SA_WANT_DECODE, SA_WANT_SEG_CLICK};
    sa_job jobs[JOBS];
    sa_batch_kind kind;
    size_t left = JOBS;
    for (size_t i = 0; i < JOBS; i++) {
        sa_batcher_put(&b, &jobs[i], i % 4 == 3 ? SA_WANT_PREFILL : of[i % 4]);
    }
    while ((kind = sa_batcher_choose(&b)) != SA_RUN_NOTHING) {
        sa_job *job = sa_batcher_first(&b, of[kind - SA_RUN_ENCODE]);
        job = job != NULL ? job : sa_batcher_first(&b, SA_WANT_PREFILL);
        assert_non_null(job);
        sa_batcher_drop(&b, job);
        left--;
    }
    assert_int_equal(left, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),  cmocka_unit_test(test_choice),   cmocka_unit_test(test_items),
        cmocka_unit_test(test_random), cmocka_unit_test(test_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
