/*
 * What is kept of a result for the metrics: counts of pixels, not masks.
 *
 *   sa_result + its ground truth -> [ sa_scores_add ] -> sa_score -> metrics.h, compare.h
 */
#ifndef SA_DATA_SCORES_H
#define SA_DATA_SCORES_H

#include "runtime/base/text_table.h"
#include "runtime/data/result.h"

/* Pixels of a mask that also lie in the truth, and of the two together. */
typedef struct {
    uint64_t both, either;
} sa_overlap;

/*
 * IoU = both / either; 1 if neither mask has a pixel (MODEL_SPECS 9: an object that is not there, and was not
 * found).
 */
double sa_overlap_iou(const sa_overlap *overlap);
/* IoU >= percent / 100, exactly. */
bool sa_overlap_reaches(const sa_overlap *overlap, unsigned percent);

/* One state of a trajectory. */
typedef struct {
    sa_overlap overlap;
    double predicted; /* what was thought of it; NaN: nothing */
} sa_score_state;

typedef struct {
    char *id;
    sa_overlap kept; /* of the mask that the run kept */
    size_t step;     /* its place among the states */
    sa_score_state
        *states; /* [state_count], >= 1: the initial one first; the kept mask where a row has none */
    size_t state_count;
    bool hit; /* step 1 made a positive click, inside the truth */
} sa_score;

typedef struct {
    sa_score *items;
    size_t count, room;
    sa_text_table places; /* by id */
} sa_scores;

void sa_scores_free(sa_scores *scores);

/*
 * Adds an item. `name` is what errors call the row. SA_BAD_INPUT, and nothing added: a mask and the truth are
 * of different sizes, the id has been there before.
 */
sa_status sa_scores_add(sa_scores *scores, const sa_result *result, const sa_rle *truth, const char *name,
                        sa_error *err);

/* The item of this id, or NULL. */
const sa_score *sa_scores_find(const sa_scores *scores, const char *id);

/* The overlap after `step` clicks: a trajectory that ended keeps its last mask. */
const sa_overlap *sa_score_after(const sa_score *score, size_t step);

#endif
