/*
 * Inside runtime/data only: how well predicted IoUs agree with true ones, in weighted samples of items.
 *
 * Ten thousand samples are measured, so what can be summed over an item's states is summed once, and states
 * of equal value are a group, whose number stands in for the value.
 */
#ifndef SA_DATA_METRICS_PRM_H
#define SA_DATA_METRICS_PRM_H

#include "runtime/data/scores.h"

enum { SA_PRM_MAE, SA_PRM_MSE, SA_PRM_PEARSON, SA_PRM_SPEARMAN, SA_PRM_AUC, SA_PRM_FIGURES };

/* One state with a prediction. */
typedef struct {
    uint32_t item;
    uint32_t predicted, truth; /* its group by either value; groups are in ascending order */
    bool good;                 /* IoU >= 0.5, exactly */
} sa_prm_state;

typedef struct {
    size_t items;
    double *sums;         /* [items, sums of metrics_prm.c] */
    sa_prm_state *states; /* [count], items in order */
    size_t count;
    size_t groups[2];  /* by predicted and by true IoU */
    uint64_t *weights; /* [threads, 3, count]: scratch of a worker, for groups */
    double *ranks;     /* [threads, 2, count]: the same */
} sa_prm;

/* Gathers the states, for use by `threads` workers. sa_prm_free in every case. */
sa_status sa_prm_open(sa_prm *prm, const sa_scores *scores, int threads, sa_error *err);
void sa_prm_free(sa_prm *prm);

/* out[SA_PRM_FIGURES], of the sample in which item i stands weights[i] times. */
void sa_prm_figures(const sa_prm *prm, const uint32_t *weights, int worker, double *out);

#endif
