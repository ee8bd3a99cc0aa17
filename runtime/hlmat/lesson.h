/*
 * What a policy is to learn from trajectories (HLMAT.md): states, and what to say in each.
 *
 *   a result with true IoUs -> [ cut (F_sim's guards), or StaR, StaR+ ] -> lessons -> training files
 *
 * A lesson is a state's mask, its true IoU, and the click to make there.
 */
#ifndef SA_HLMAT_LESSON_H
#define SA_HLMAT_LESSON_H

#include "runtime/data/result.h"
#include "runtime/hlmat/annotator.h"
#include "runtime/hlmat/answer.h"

/*
 * F_sim's guards on a trajectory (MODEL_SPECS 8): it ends before the first click after which the IoU is not
 * larger by `least_gain`, or not larger at all. Kept is the last state then. SA_NO_ROOM: nothing is changed.
 */
sa_status sa_trajectory_cut(sa_result *result, double least_gain, sa_error *err);

typedef enum {
    SA_LESSON_ANNOTATOR, /* a click of F_sim's own trajectory */
    SA_LESSON_KEPT,      /* the policy's own click, after which the IoU was larger */
    SA_LESSON_CORRECTED, /* F_sim's click in place of the policy's, after which it was not */
} sa_lesson_source;

const char *sa_lesson_source_name(sa_lesson_source source);

typedef struct {
    size_t step; /* of the result: the state */
    sa_action action;
    sa_lesson_source source;
} sa_lesson;

typedef struct {
    size_t kept, corrected, dropped; /* clicks of the policy */
    size_t trajectories;             /* that have lessons */
} sa_lesson_counts;

/*
 * The ways to learn from a policy's own trajectories.
 *   PLUS   StaR+ (the paper's Algorithm 1): each state's click is kept if the IoU rose after it, and is
 *          F_sim's otherwise; dropped where F_sim has nothing to correct
 *   STAR   StaR: all clicks up to the best state, of trajectories that reach `enough`; no others
 *   EVERY  each click as it is: of F_sim's own trajectories
 */
typedef enum { SA_LESSONS_PLUS, SA_LESSONS_STAR, SA_LESSONS_EVERY } sa_lesson_rule;

/*
 * Lessons of a result whose steps have true IoUs, at most one for each step; lessons has room for
 * result->step_count. The annotator and `truth` are of the result's size; SA_NO_ROOM. Adds to *counts.
 */
sa_status sa_lessons_choose(const sa_result *result, const sa_mask *truth, sa_lesson_rule rule, double enough,
                            sa_annotator *annotator, sa_lesson *lessons, size_t *count,
                            sa_lesson_counts *counts, sa_error *err);

#endif
