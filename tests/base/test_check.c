/*
 * The test of the tests: each fault that the comparator and the guarded buffers exist for is planted once,
 * and must be found. A comparator that cannot fail proves nothing.
 */
#include <math.h>
#include <string.h>

#include "tests/check.h"

enum { ROWS = 5, COLUMNS = 7, COUNT = ROWS * COLUMNS };

typedef struct {
    float got[COUNT], want[COUNT];
    check_spec spec;
} pair;

static pair fresh_pair(void)
{
    pair p = {.spec = {.label = "planted (a line that says so is expected)",
                       .absolute = 1e-6,
                       .relative = 1e-6,
                       .seed = 1,
                       .rank = 2,
                       .axes = {ROWS, COLUMNS}}};
    check_fill_normal(p.want, COUNT, 1.0f, p.spec.seed);
    memcpy(p.got, p.want, sizeof p.got);
    return p;
}

static bool close_enough(const pair *p)
{
    return check_close_f32(p->got, p->want, &p->spec);
}

static void test_equal_passes(void **state)
{
    (void)state;
    pair p = fresh_pair();
    assert_true(close_enough(&p));
    p.got[3] += 0.9e-6f;
    assert_true(close_enough(&p));
}

/* In the first, a middle and the last place: a loop that ends early misses the last. */
static void test_single_faults_are_found(void **state)
{
    (void)state;
    static const int places[] = {0, 17, COUNT - 1};
    const float faults[] = {(float)NAN, -(float)NAN, (float)INFINITY, -(float)INFINITY, 3e38f, 100.0f};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        for (size_t k = 0; k < sizeof faults / sizeof faults[0]; k++) {
            pair p = fresh_pair();
            p.got[places[i]] = faults[k];
            assert_false(close_enough(&p));
        }
        pair p = fresh_pair();
        p.got[places[i]] += 1e-4f;
        assert_false(close_enough(&p));
    }
}

static void test_tolerance_is_a_border(void **state)
{
    (void)state;
    float want = 1000.0f, inside = 1000.5f, outside = 1000.5625f;
    check_spec spec = {.label = "planted", .absolute = 0.25, .relative = 0.00025, .rank = 1, .axes = {1}};
    assert_true(check_close_f32(&inside, &want, &spec)); /* 0.25 + 0.00025 * 1000, exactly on it */
    assert_false(check_close_f32(&outside, &want, &spec));
    spec.absolute = (double)NAN; /* a broken tolerance lets nothing pass */
    assert_false(check_close_f32(&want, &want, &spec));
}

/* The result of an op that is shifted by one element. */
static void test_off_by_one(void **state)
{
    (void)state;
    pair p = fresh_pair();
    memmove(p.got, p.got + 1, sizeof p.got - sizeof p.got[0]);
    assert_false(close_enough(&p));
}

static void test_infinities_must_agree(void **state)
{
    (void)state;
    pair p = fresh_pair();
    p.want[4] = (float)INFINITY;
    assert_false(close_enough(&p)); /* finite where infinity is due */
    p.got[4] = -(float)INFINITY;
    assert_false(close_enough(&p));
    p.got[4] = (float)NAN;
    assert_false(close_enough(&p));
    p.got[4] = (float)INFINITY;
    assert_true(close_enough(&p));
    p = fresh_pair();
    p.want[4] = (float)NAN; /* a reference that is broken is no excuse */
    assert_false(close_enough(&p));
    p.got[4] = p.want[4];
    assert_false(close_enough(&p));
}

static void test_two_byte_types(void **state)
{
    (void)state;
    enum { N = 64 };
    sa_bf16 got[N];
    float want[N];
    check_spec spec = {.label = "planted", .rank = 1, .axes = {N}, .seed = 9};
    check_fill_rounded(got, SA_BF16, want, N, 2.0f, spec.seed);
    assert_true(check_close(got, SA_BF16, want, &spec));
    got[N - 1] ^= 1; /* one ulp */
    assert_false(check_close(got, SA_BF16, want, &spec));
    got[N - 1] = 0x7fc0; /* NaN */
    assert_false(check_close(got, SA_BF16, want, &spec));

    sa_f16 half = 0x3c00;
    float one = 1.0f;
    spec.axes[0] = 1;
    assert_true(check_close(&half, SA_F16, &one, &spec));
    half = 0x7c00; /* infinity */
    assert_false(check_close(&half, SA_F16, &one, &spec));
}

/* What an op did not write must not look like a result. */
static void test_untouched_output_is_no_number(void **state)
{
    (void)state;
    check_buffer buffer = check_buffer_new(COUNT * sizeof(float));
    pair p = fresh_pair();
    memcpy(p.got, buffer.bytes, sizeof p.got);
    assert_false(close_enough(&p));
    check_buffer_free(&buffer);
    assert_null(buffer.bytes);
}

enum { GUARDED = 100 };

static void write_at(ptrdiff_t offset)
{
    check_buffer buffer = check_buffer_new(GUARDED);
    memset(buffer.bytes, 0, GUARDED);
    *(buffer.bytes + offset) = 1;
    check_buffer_free(&buffer);
}

static void write_inside(void)
{
    write_at(0);
    write_at(GUARDED - 1);
}

static void write_just_before(void)
{
    write_at(-1);
}

static void write_just_after(void)
{
    write_at(GUARDED);
}

static void write_far_after(void)
{
    write_at(GUARDED + 255);
}

static void test_sentinels(void **state)
{
    (void)state;
    assert_false(check_aborts(write_inside));
    assert_true(check_aborts(write_just_before));
    assert_true(check_aborts(write_just_after));
    assert_true(check_aborts(write_far_after));
}

static void test_seeds(void **state)
{
    (void)state;
    float a[COUNT], b[COUNT], c[COUNT];
    check_fill_normal(a, COUNT, 1.0f, 5);
    check_fill_normal(b, COUNT, 1.0f, 5);
    check_fill_normal(c, COUNT, 1.0f, 6);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_passes),
        cmocka_unit_test(test_single_faults_are_found),
        cmocka_unit_test(test_tolerance_is_a_border),
        cmocka_unit_test(test_off_by_one),
        cmocka_unit_test(test_infinities_must_agree),
        cmocka_unit_test(test_two_byte_types),
        cmocka_unit_test(test_untouched_output_is_no_number),
        cmocka_unit_test(test_sentinels),
        cmocka_unit_test(test_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
