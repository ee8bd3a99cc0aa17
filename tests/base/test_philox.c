/* Philox against the known answers that Random123 publishes (kat_vectors, philox4x32 with 10 rounds). */
#include "runtime/base/philox.h"
#include "tests/check.h"

typedef struct {
    uint64_t key, low, high;
    uint32_t want[4];
} known_answer;

static const known_answer KNOWN[] = {
    {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {~0ull, ~0ull, ~0ull, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {0x299f31d0a4093822,
     0x85a308d3243f6a88,
     0x0370734413198a2e,
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static void test_known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof KNOWN / sizeof KNOWN[0]; i++) {
        sa_philox got = sa_philox_block(KNOWN[i].key, KNOWN[i].low, KNOWN[i].high);
        assert_memory_equal(got.word, KNOWN[i].want, sizeof got.word);
    }
}

static void test_unit_stays_below_one(void **state)
{
    (void)state;
    assert_true(sa_philox_unit(0) == 0.0f);
    assert_true(sa_philox_unit(0xffffffffu) < 1.0f);
    assert_true(sa_philox_unit(0x80000000u) == 0.5f);
    assert_true(sa_philox_unit(0xffu) == 0.0f && sa_philox_unit(0x100u) == 0x1p-24f);
}

/* A coarse look at the whole: 40,000 words have mean 1/2 within five standard deviations. */
static void test_mean(void **state)
{
    (void)state;
    double sum = 0.0;
    for (uint64_t i = 0; i < 10000; i++) {
        sa_philox r = sa_philox_block(7, i, 3);
        for (int k = 0; k < 4; k++) {
            sum += (double)sa_philox_unit(r.word[k]);
        }
    }
    double mean = sum / 40000.0;
    assert_true(mean > 0.5 - 0.00722 && mean < 0.5 + 0.00722);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_unit_stays_below_one),
        cmocka_unit_test(test_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
