/*
 * Two runs over the same items, side by side: is the second one better?
 *
 *   sa_scores a, b -> pairs of equal ids -> [ sa_compare ] -> sa_comparison
 */
#ifndef SA_DATA_COMPARE_H
#define SA_DATA_COMPARE_H

#include "runtime/data/metrics.h"

typedef struct {
    size_t pairs, only_a, only_b; /* items in both; ids that only one of them has */
    sa_figure delta;              /* mean over pairs of IoU(b) - IoU(a); paired bootstrap interval */
    sa_figure ciou;               /* cIoU(b) - cIoU(a) of the pairs, the same resamples */
    double p;                     /* of delta, two-sided: sa_sign_flip_test */
    size_t wins, losses, ties;    /* pairs in which b's IoU is larger, smaller, equal: exact fractions */
} sa_comparison;

/* SA_BAD_INPUT when no id is in both. */
sa_status sa_compare(sa_comparison *out, const sa_scores *a, const sa_scores *b,
                     const sa_metrics_options *options, sa_pool *pool, sa_error *err);

#endif
