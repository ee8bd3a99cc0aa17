/* Guesses at answers of a form: what is learnt, how an answer is followed, what is guessed. */
#include "runtime/engine/draft.h"
#include "tests/check.h"

/* "IOU : 8 7 , Positive ( 1 2 3 )" in made-up ids; digits are 0 to 9. */
enum { IOU = 20, COLON, COMMA, POSITIVE, NEGATIVE, OPEN, CLOSE };
static const int32_t DIGITS[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
static const int32_t ANSWER[] = {IOU, COLON, 8, 7, COMMA, POSITIVE, OPEN, 1, 2, 3, CLOSE};
enum { LENGTH = sizeof ANSWER / sizeof ANSWER[0] };

static size_t follow(const sa_draft *d, size_t place, int32_t token)
{
    return sa_draft_follow(d, place, token, DIGITS, 10);
}

static void expect_guess(const sa_draft *d, size_t place, size_t count, const int32_t *want)
{
    int32_t got[SA_DRAFT_MOST];
    assert_int_equal(sa_draft_guess(d, place, SA_DRAFT_MOST, got), count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(got[i], want[i]);
    }
}

static void test_nothing_is_known(void **state)
{
    (void)state;
    sa_draft d = {0};
    expect_guess(&d, 0, 0, NULL);
    assert_int_equal(follow(&d, 0, IOU), 0);
    assert_int_equal(follow(&d, 0, 5), 0);
    sa_draft_free(&d);
}

static void test_the_same_form(void **state)
{
    (void)state;
    sa_draft d = {0};
    size_t place = 0;
    sa_draft_learn(&d, ANSWER, LENGTH, DIGITS, 10);
    expect_guess(&d, 0, 2, ANSWER);
    for (size_t i = 0; i < LENGTH; i++) {
        assert_int_equal(place, i);
        place = follow(&d, place, ANSWER[i] < 10 ? 9 - ANSWER[i] : ANSWER[i]);
    }
    assert_int_equal(place, LENGTH);
    expect_guess(&d, place, 0, NULL);
    expect_guess(&d, 4, 3, ANSWER + 4);
    int32_t one;
    assert_int_equal(sa_draft_guess(&d, 4, 1, &one), 1);
    sa_draft_free(&d);
}

static void test_other_numbers_and_words(void **state)
{
    (void)state;
    sa_draft d = {0};
    sa_draft_learn(&d, ANSWER, LENGTH, DIGITS, 10);
    assert_int_equal(follow(&d, 3, COMMA), 5);    /* one digit less */
    assert_int_equal(follow(&d, 4, 5), 4);        /* one more: the form waits */
    assert_int_equal(follow(&d, 5, NEGATIVE), 6); /* another word in its place */
    assert_int_equal(follow(&d, LENGTH, COMMA), LENGTH);
    assert_int_equal(follow(&d, LENGTH, 4), LENGTH);
    expect_guess(&d, 6, 1, ANSWER + 6);
    sa_draft_learn(&d, ANSWER + 4, 2, DIGITS, 10); /* forgotten for another one */
    expect_guess(&d, 0, 2, ANSWER + 4);
    sa_draft_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_known),
        cmocka_unit_test(test_the_same_form),
        cmocka_unit_test(test_other_numbers_and_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
