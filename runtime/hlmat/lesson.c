#include "runtime/hlmat/lesson.h"

#include <stdlib.h>

const char *sa_lesson_source_name(sa_lesson_source source)
{
    static const char *const names[] = {"annotator", "kept", "corrected"};
    return names[source];
}

static void free_step(sa_result_step *step)
{
    free(step->text);
    sa_rle_free(&step->mask);
}

/* How many steps there are until the guards end it. */
static size_t guarded_steps(const sa_result *r, double least_gain)
{
    size_t count = 1;
    while (count < r->step_count && r->steps[count].iou > r->steps[count - 1].iou &&
           r->steps[count].iou - r->steps[count - 1].iou >= least_gain) {
        count++;
    }
    return count;
}

sa_status sa_trajectory_cut(sa_result *r, double least_gain, sa_error *err)
{
    sa_rle mask = {0};
    if (r->step_count == 0) {
        return SA_OK;
    }
    size_t count = guarded_steps(r, least_gain);
    const sa_result_step *last = &r->steps[count - 1];
    SA_TRY(sa_rle_merge(&mask, &last->mask, 1, false, err)); /* of one: a copy */
    sa_rle_free(&r->mask);
    r->mask = mask;
    r->step = count - 1;
    r->score = last->predicted_iou;
    for (size_t i = count; i < r->step_count; i++) {
        free_step(&r->steps[i]);
    }
    r->step_count = count;
    return SA_OK;
}

/* ---- rules ---- */

/* The click that led to step k; false if that was none, or beside the picture: rows come from files. */
static bool click_before(const sa_result *r, size_t k, sa_action *action)
{
    const sa_result_step *step = &r->steps[k];
    if (!step->has_action || step->row < 0 || step->row >= (int64_t)r->height || step->col < 0 ||
        step->col >= (int64_t)r->width) {
        return false;
    }
    *action = (sa_action){step->positive, (size_t)step->row, (size_t)step->col};
    return true;
}

/* F_sim's click in the state of step k. */
static sa_status correct(const sa_result *r, size_t k, const sa_mask *truth, sa_annotator *annotator,
                         sa_answer *answer, sa_error *err)
{
    sa_mask mask, clicked;
    SA_TRY(sa_rle_decode(&r->steps[k].mask, &mask, err));
    sa_status status = sa_mask_new(&clicked, truth->height, truth->width, err);
    for (size_t i = 1; status == SA_OK && i <= k; i++) {
        sa_action action;
        if (click_before(r, i, &action)) {
            sa_mask_set(&clicked, action.col, action.row, true);
        }
    }
    if (status == SA_OK) {
        status = sa_annotator_act(annotator, &mask, truth, &clicked, answer, err);
    }
    sa_mask_free(&clicked);
    sa_mask_free(&mask);
    return status;
}

static sa_status choose_plus(const sa_result *r, const sa_mask *truth, sa_annotator *annotator,
                             sa_lesson *lessons, size_t *count, sa_lesson_counts *counts, sa_error *err)
{
    for (size_t k = 0; k + 1 < r->step_count; k++) {
        sa_action own;
        sa_answer said;
        if (click_before(r, k + 1, &own) && r->steps[k + 1].iou > r->steps[k].iou) {
            lessons[(*count)++] = (sa_lesson){k, own, SA_LESSON_KEPT};
            counts->kept++;
            continue;
        }
        SA_TRY(correct(r, k, truth, annotator, &said, err));
        if (said.has_action) {
            lessons[(*count)++] = (sa_lesson){k, said.action, SA_LESSON_CORRECTED};
        }
        *(said.has_action ? &counts->corrected : &counts->dropped) += 1;
    }
    return SA_OK;
}

/* Clicks up to step `last`, as they are. */
static void choose_until(const sa_result *r, size_t last, sa_lesson_source source, sa_lesson *lessons,
                         size_t *count, sa_lesson_counts *counts)
{
    for (size_t k = 0; k + 1 < r->step_count; k++) {
        sa_action own;
        bool taken = click_before(r, k + 1, &own) && k < last;
        if (taken) {
            lessons[(*count)++] = (sa_lesson){k, own, source};
        }
        *(taken ? &counts->kept : &counts->dropped) += 1;
    }
}

static size_t best_step(const sa_result *r)
{
    size_t best = 0;
    for (size_t k = 1; k < r->step_count; k++) {
        best = r->steps[k].iou > r->steps[best].iou ? k : best;
    }
    return best;
}

sa_status sa_lessons_choose(const sa_result *r, const sa_mask *truth, sa_lesson_rule rule, double enough,
                            sa_annotator *annotator, sa_lesson *lessons, size_t *count,
                            sa_lesson_counts *counts, sa_error *err)
{
    *count = 0;
    if (r->step_count == 0) {
        return SA_OK;
    }
    size_t best = best_step(r);
    if (rule == SA_LESSONS_PLUS) {
        SA_TRY(choose_plus(r, truth, annotator, lessons, count, counts, err));
    } else if (rule == SA_LESSONS_STAR) {
        choose_until(r, r->steps[best].iou >= enough ? best : 0, SA_LESSON_KEPT, lessons, count, counts);
    } else {
        choose_until(r, r->step_count, SA_LESSON_ANNOTATOR, lessons, count, counts);
    }
    counts->trajectories += *count > 0;
    return SA_OK;
}
