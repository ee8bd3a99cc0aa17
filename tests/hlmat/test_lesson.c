/*
 * Lessons: F_sim's guards, what StaR and StaR+ keep and correct, and that a lesson reads back as it was
 * written.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/json.h"
#include "runtime/hlmat/lesson_rows.h"
#include "tests/check.h"

enum { SIDE = 8, STEPS = 5 };

/* The truth is the left half; state k has the first `columns[k]` columns. */
static void fill_columns(sa_mask *mask, size_t columns)
{
    for (size_t y = 0; y < mask->height; y++) {
        for (size_t x = 0; x < columns; x++) {
            sa_mask_set(mask, x, y, true);
        }
    }
}

static sa_rle columns_rle(size_t columns)
{
    sa_mask mask;
    sa_rle rle;
    assert_int_equal(sa_mask_new(&mask, SIDE, SIDE, NULL), SA_OK);
    fill_columns(&mask, columns);
    assert_int_equal(sa_rle_encode(&rle, &mask, NULL), SA_OK);
    sa_mask_free(&mask);
    return rle;
}

static double iou_of(size_t columns)
{
    size_t both = columns < 4 ? columns : 4, either = columns > 4 ? columns : 4;
    return (double)both / (double)either;
}

/* Columns after each step; step k > 0 clicked at (k, k). A negative number: an answer that was no click. */
static sa_result make_result(const int *columns, size_t count)
{
    sa_result r = {
        .id = strdup("a"), .image = strdup("a.png"), .text = strdup("left"), .height = SIDE, .width = SIDE};
    r.steps = calloc(count, sizeof *r.steps);
    assert_non_null(r.steps);
    r.step_count = count;
    for (size_t k = 0; k < count; k++) {
        size_t width = (size_t)abs(columns[k]);
        r.steps[k] = (sa_result_step){.has_action = k > 0 && columns[k] >= 0,
                                      .positive = k % 2 == 0,
                                      .row = (int64_t)k,
                                      .col = (int64_t)k,
                                      .text = strdup("said"),
                                      .mask = columns_rle(width),
                                      .predicted_iou = (double)k / 10,
                                      .has_iou = true,
                                      .iou = iou_of(width)};
    }
    r.mask = columns_rle((size_t)abs(columns[count - 1]));
    r.step = count - 1;
    return r;
}

static void test_cut(void **state)
{
    (void)state;
    const int rises[] = {0, 1, 3, 3, 4};
    sa_result r = make_result(rises, 5);
    assert_int_equal(sa_trajectory_cut(&r, 0, NULL), SA_OK);
    assert_int_equal(r.step_count, 3); /* the click that gains nothing is dropped, and what follows it */
    assert_int_equal(r.step, 2);
    assert_true(r.score == 0.2); /* the prediction, as everywhere */
    sa_rle three = columns_rle(3);
    assert_true(sa_rle_equal(&r.mask, &three));
    sa_rle_free(&three);
    sa_result_free(&r);
    r = make_result(rises, 5);
    assert_int_equal(sa_trajectory_cut(&r, 0.3, NULL), SA_OK); /* the first click gains a quarter */
    assert_int_equal(r.step_count, 1);
    sa_result_free(&r);
}

/* Lessons of a result; their number. */
static size_t choose(const sa_result *r, sa_lesson_rule rule, double enough, sa_lesson lessons[STEPS],
                     sa_lesson_counts *counts)
{
    sa_mask truth;
    sa_annotator annotator;
    size_t count = 0;
    *counts = (sa_lesson_counts){0};
    assert_int_equal(sa_mask_new(&truth, SIDE, SIDE, NULL), SA_OK);
    fill_columns(&truth, 4);
    assert_int_equal(sa_annotator_open(&annotator, SIDE, SIDE, NULL), SA_OK);
    assert_int_equal(sa_lessons_choose(r, &truth, rule, enough, &annotator, lessons, &count, counts, NULL),
                     SA_OK);
    sa_annotator_close(&annotator);
    sa_mask_free(&truth);
    return count;
}

static void test_plus(void **state)
{
    (void)state;
    const int columns[] = {0, 2, 1, -1, 4}; /* rose, fell, no click, rose */
    sa_lesson lessons[STEPS];
    sa_lesson_counts counts;
    sa_result r = make_result(columns, 5);
    assert_int_equal(choose(&r, SA_LESSONS_PLUS, 0, lessons, &counts), 4);
    assert_int_equal(counts.kept, 2);
    assert_int_equal(counts.corrected, 2);
    assert_int_equal(counts.dropped, 0);
    assert_int_equal(counts.trajectories, 1);
    assert_int_equal(lessons[0].source, SA_LESSON_KEPT);
    assert_int_equal(lessons[0].action.row, 1);
    assert_int_equal(lessons[1].source, SA_LESSON_CORRECTED);
    assert_true(lessons[1].action.positive); /* columns 2 and 3 are missing there */
    assert_in_range(lessons[1].action.col, 2, 3);
    assert_int_equal(lessons[2].source, SA_LESSON_CORRECTED);
    assert_int_equal(lessons[3].step, 3);
    assert_int_equal(lessons[3].source, SA_LESSON_KEPT);
    sa_result_free(&r);
    const int perfect[] = {4, 4}; /* nothing is left to correct */
    r = make_result(perfect, 2);
    assert_int_equal(choose(&r, SA_LESSONS_PLUS, 0, lessons, &counts), 0);
    assert_int_equal(counts.dropped, 1);
    assert_int_equal(counts.trajectories, 0);
    sa_result_free(&r);
}

/* Clicks beside the picture, which a file may hold: none of them is learned, nor looked up in a mask. */
static void test_outside(void **state)
{
    (void)state;
    const int columns[] = {0, 2, 3, 3};
    static const int64_t places[][2] = {{SIDE, 0}, {0, SIDE}, {-1, 0}, {0, -1}, {INT32_MAX, INT32_MIN}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        sa_lesson lessons[STEPS];
        sa_lesson_counts counts;
        sa_result r = make_result(columns, 4);
        r.steps[2].row = places[i][0];
        r.steps[2].col = places[i][1];
        assert_int_equal(choose(&r, SA_LESSONS_PLUS, 0, lessons, &counts), 3);
        assert_int_equal(lessons[1].source, SA_LESSON_CORRECTED);
        assert_true(lessons[1].action.row < SIDE && lessons[1].action.col < SIDE);
        assert_int_equal(choose(&r, SA_LESSONS_EVERY, 0, lessons, &counts), 2);
        assert_int_equal(counts.dropped, 1);
        sa_result_free(&r);
    }
}

static void test_plain(void **state)
{
    (void)state;
    const int columns[] = {0, 2, 3, 2, 1};
    sa_lesson lessons[STEPS];
    sa_lesson_counts counts;
    sa_result r = make_result(columns, 5);
    assert_int_equal(choose(&r, SA_LESSONS_STAR, 0.75, lessons, &counts), 2); /* up to the best state */
    assert_int_equal(counts.kept, 2);
    assert_int_equal(counts.dropped, 2);
    assert_int_equal(choose(&r, SA_LESSONS_STAR, 0.76, lessons, &counts), 0);
    assert_int_equal(counts.dropped, 4);
    assert_int_equal(choose(&r, SA_LESSONS_EVERY, 0, lessons, &counts), 4);
    assert_int_equal(lessons[3].source, SA_LESSON_ANNOTATOR);
    sa_result_free(&r);
}

/* One line of lessons.jsonl. */
static json_t *write_line(const sa_result *r, const sa_lesson *lesson)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    sa_json_writer w = sa_json_writer_on(stream);
    json_t *value;
    assert_int_equal(sa_lesson_write(r, lesson, &w, NULL), SA_OK);
    fclose(stream);
    assert_int_equal(sa_json_parse("line", text, size, &value, NULL), SA_OK);
    free(text);
    return value;
}

static void test_rows(void **state)
{
    (void)state;
    const int columns[] = {0, 2, 3};
    const sa_lesson lesson = {1, {.positive = true, .row = 7, .col = 3}, SA_LESSON_CORRECTED};
    sa_result r = make_result(columns, 3);
    json_t *value = write_line(&r, &lesson);
    sa_lesson_row row;
    assert_int_equal(sa_lesson_parse(&row, value, "line", NULL), SA_OK);
    assert_string_equal(row.id, "a");
    assert_string_equal(row.source, "corrected");
    assert_true(sa_rle_equal(&row.mask, &r.steps[1].mask));
    assert_true(row.iou == 0.5 && row.action.positive && row.action.row == 7 && row.action.col == 3);
    sa_lesson_row_free(&row);
    static const char *const keys[] = {"id", "image", "text", "mask", "iou", "action", "source"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) { /* none of them may be missing */
        json_t *less = json_copy(value);
        json_object_del(less, keys[i]);
        assert_int_equal(sa_lesson_parse(&row, less, "line", NULL), SA_BAD_INPUT);
        json_decref(less);
    }
    static const double ious[] = {-0.01, 1.01, 1e300};
    for (size_t i = 0; i < 3; i++) { /* no IoU is this */
        json_t *other = json_copy(value);
        json_object_set_new(other, "iou", json_real(ious[i]));
        assert_int_equal(sa_lesson_parse(&row, other, "line", NULL), SA_BAD_INPUT);
        json_decref(other);
    }
    json_object_set_new(json_object_get(value, "action"), "row", json_integer(SIDE)); /* outside */
    assert_int_equal(sa_lesson_parse(&row, value, "line", NULL), SA_BAD_INPUT);
    json_decref(value);
    sa_result_free(&r);
}

static void test_answer(void **state)
{
    (void)state;
    sa_agent agent;
    sa_error err = {0};
    char text[600];
    sa_rle mask = columns_rle(2);
    if (sa_agent_read(&agent, "weights_tools/tiny/agent", &err) != SA_OK) {
        fail_msg("%s: %s", err.file, err.reason);
    }
    const sa_lesson_row row = {.mask = mask, .iou = 0.5, .action = {.positive = false, .row = 4, .col = 0}};
    sa_lesson_answer(&agent, &row, text, sizeof text);
    assert_string_equal(text, "Current IOU: 50, Negative point: (562, 62)");
    sa_answer read = sa_answer_parse(&agent, text, SIDE, SIDE);
    assert_true(read.has_action && !read.action.positive && read.action.row == 4 && read.action.col == 0);
    sa_rle_free(&mask);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),   cmocka_unit_test(test_plus), cmocka_unit_test(test_outside),
        cmocka_unit_test(test_plain), cmocka_unit_test(test_rows), cmocka_unit_test(test_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
