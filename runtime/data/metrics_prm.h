/* Inside runtime/data only: how well predicted IoUs agree with true ones, in weighted samples of items. */
#ifndef SA_DATA_METRICS_PRM_H
#define SA_DATA_METRICS_PRM_H

#include "runtime/data/scores.h"

enum { SA_PRM_MAE, SA_PRM_MSE, SA_PRM_PEARSON, SA_PRM_SPEARMAN, SA_PRM_AUC, SA_PRM_FIGURES };

typedef struct {
    double predicted, truth;
    uint32_t item;
    bool good; /* truth >= 0.5, exactly */
} sa_prm_state;

typedef struct {
    sa_prm_state *states; /* [count], items in order */
    size_t count;
    size_t *by_predicted, *by_truth; /* [count]: the states in ascending order */
    double *ranks;                   /* [threads, 2, count]: where a worker puts the ranks of its sample */
} sa_prm;

/* Gathers the states, for use by `threads` workers. sa_prm_free in every case. */
sa_status sa_prm_open(sa_prm *prm, const sa_scores *scores, int threads, sa_error *err);
void sa_prm_free(sa_prm *prm);

/* out[SA_PRM_FIGURES], of the sample in which item i stands weights[i] times. */
void sa_prm_figures(const sa_prm *prm, const uint32_t *weights, int worker, double *out);

#endif
