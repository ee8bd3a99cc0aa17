/* clang-format off */
/*
 * The figures of a run (HLMAT.md, "The evaluation protocol"), each with its 95 % bootstrap interval.
 *
 *   sa_scores -> [ sa_metrics_compute ] -> sa_metrics -> metrics_write.h
 *
 * Of an item i, M is the mask that is judged: the kept one, or the one after --step clicks. I and U are the
 * pixels of M and the truth in common, and together; IoU = I / U, and 1 when U is 0.
 *
 *   cIoU         sum of I over items / sum of U (0 / 0: not defined)
 *   gIoU         mean of IoU over items
 *   per_step     both, of the masks after k = 0, 1, ... clicks; an item whose trajectory ended before keeps
 *                its last mask
 *   NoC@t        clicks until IoU >= t %: k of the first state that reaches it, 0 being the initial mask. An
 *                item that never does is failed, and counts with the cap: the most clicks of any item of the
 *                run
 *   first click  share of items whose step 1 made a positive click inside the truth
 *   PRM          over all states but the initial ones for which an IoU p was predicted, q being the true one:
 *                mean |p - q|; mean (p - q)^2; Pearson's correlation; Spearman's, that is Pearson's of the
 *                ranks, equal values sharing the mean of theirs; ROC-AUC of p for q >= 0.5: the share of
 *                pairs of a good and a bad state in which p is larger for the good one, equal p counting one
 *                half
 *
 * Sums are in double, in the items' order. Intervals resample items (bootstrap.h), all of an item's states
 * with it. What is not defined (a correlation of constants, an AUC of one class) is NaN.
 */
/* clang-format on */
#ifndef SA_DATA_METRICS_H
#define SA_DATA_METRICS_H

#include "runtime/data/bootstrap.h"
#include "runtime/data/scores.h"

#define SA_METRICS_KEPT (-1)
#define SA_METRICS_NOC 3

/* The targets of NoC: 80, 85, 90 %. */
extern const unsigned sa_metrics_noc_percent[SA_METRICS_NOC];

typedef struct {
    sa_figure ciou, giou;
} sa_metrics_step;

typedef struct {
    size_t items;
    size_t failed, skipped; /* rows without a result, and rows that are none: no figure counts them; for the
                             * caller to fill in */
    int64_t step;           /* that the figures were made for; SA_METRICS_KEPT */
    sa_figure ciou, giou;
    sa_metrics_step *steps; /* [step_count], owned */
    size_t step_count;
    struct {
        unsigned percent;
        sa_figure mean, failed;
    } noc[SA_METRICS_NOC];
    size_t noc_cap;
    sa_figure first_click;
    struct {
        size_t states;
        sa_figure mae, mse, pearson, spearman, auc;
    } prm;
} sa_metrics;

typedef struct {
    int64_t step; /* SA_METRICS_KEPT, or the number of clicks */
    uint64_t seed;
    size_t resamples; /* SA_BOOTSTRAP_RESAMPLES */
} sa_metrics_options;

/* SA_BAD_INPUT when there are no items. */
sa_status sa_metrics_compute(sa_metrics *metrics, const sa_scores *scores, const sa_metrics_options *options,
                             sa_pool *pool, sa_error *err);
void sa_metrics_free(sa_metrics *metrics);

/* Clicks until IoU >= percent %; false if it is never reached, and *clicks is left alone. */
bool sa_metrics_clicks_to(const sa_score *score, unsigned percent, size_t *clicks);
/* The mask that is judged: the kept one for SA_METRICS_KEPT. */
const sa_overlap *sa_metrics_judged(const sa_score *score, int64_t step);

#endif
