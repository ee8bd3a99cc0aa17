/*
 * How sure a figure is: 95 % bootstrap intervals over items, and the sign-flip test of a paired difference.
 *
 *   items -> resamples (weights: how often each item was drawn) -> the figures of each -> 2.5 and 97.5 %
 *
 * Draws come from Philox, keyed by what they are for, and every sum runs in the order of the items: the same
 * bits on every machine and with any number of threads.
 */
#ifndef SA_DATA_BOOTSTRAP_H
#define SA_DATA_BOOTSTRAP_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/base/pool.h"
#include "runtime/base/status.h"

#define SA_BOOTSTRAP_RESAMPLES 10000

/* A measured value and the interval that holds 95 % of its resamples. NaN where it is not defined. */
typedef struct {
    double value, low, high;
} sa_figure;

/*
 * The figures of a sample in which item i stands weights[i] times. NaN for what is not defined. Called on
 * many threads at once, each with its own `worker` (0 .. threads-1, pool.h).
 */
typedef void sa_bootstrap_figures(const void *context, const uint32_t *weights, int worker, double *out);

typedef struct {
    size_t items;   /* 1 .. 2^32-1 */
    size_t figures; /* how many the function gives */
    size_t resamples;
    uint64_t seed;
    sa_bootstrap_figures *compute;
    const void *context;
} sa_bootstrap;

/*
 * figures[b->figures]: value with every item once; low and high the 2.5th and 97.5th percentile of the
 * resamples (numpy's: linear between the two nearest), those left out for which the figure is not defined.
 *
 * Resample r draws n of n items with replacement: draw i is item floor(word * n / 2^32), word being word i %
 * 4 of sa_philox_block(seed, i / 4, r).
 */
sa_status sa_bootstrap_run(const sa_bootstrap *b, sa_pool *pool, sa_figure *figures, sa_error *err);

/*
 * Two-sided p of the mean of differences being 0, by flipping signs: the share, the true signs counted as one
 * more, of `flips` random choices of signs whose sum is at least as far from 0 as the true one. Differences,
 * in [-1, 1], are rounded to multiples of 2^-36 so that sums are exact and equal ones compare equal.
 * Flip r takes bit i % 128 of sa_philox_block(seed, i / 128, 2^32 + r) for difference i.
 */
double sa_sign_flip_test(const double *differences, size_t count, size_t flips, uint64_t seed);

#endif
