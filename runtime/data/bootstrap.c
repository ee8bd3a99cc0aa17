#include "runtime/data/bootstrap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/philox.h"

typedef struct {
    const sa_bootstrap *plan;
    uint32_t *weights; /* [threads, items] */
    double *values;    /* [resamples, figures] */
} job;

/* weights[i]: how often item i is in this resample. They sum to the number of items. */
static void draw(uint32_t *weights, size_t items, uint64_t seed, uint64_t resample)
{
    memset(weights, 0, items * sizeof *weights);
    for (size_t i = 0; i < items; i += 4) {
        sa_philox block = sa_philox_block(seed, i / 4, resample);
        for (size_t k = 0; k < 4 && i + k < items; k++) {
            weights[(uint64_t)block.word[k] * items >> 32]++;
        }
    }
}

/* One task of the pool. It depends on its number alone, so threads change nothing. */
static void resample(void *context, size_t task, int worker)
{
    job *j = context;
    const sa_bootstrap *plan = j->plan;
    uint32_t *weights = j->weights + (size_t)worker * plan->items;
    draw(weights, plan->items, plan->seed, task);
    plan->compute(plan->context, weights, worker, j->values + task * plan->figures);
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Of `count` >= 1 sorted values. */
static double percentile(const double *sorted, size_t count, double share)
{
    double place = share * (double)(count - 1);
    size_t below = (size_t)place;
    size_t above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (place - (double)below) * (sorted[above] - sorted[below]);
}

/* The defined values of one figure, sorted, into `column`; how many. */
static size_t gather(const job *j, size_t figure, double *column)
{
    size_t count = 0;
    for (size_t r = 0; r < j->plan->resamples; r++) {
        double value = j->values[r * j->plan->figures + figure];
        if (!isnan(value)) {
            column[count++] = value;
        }
    }
    qsort(column, count, sizeof *column, by_value);
    return count;
}

static void find_intervals(const job *j, double *column, sa_figure *figures)
{
    for (size_t f = 0; f < j->plan->figures; f++) {
        size_t count = gather(j, f, column);
        figures[f].low = count > 0 ? percentile(column, count, 0.025) : NAN;
        figures[f].high = count > 0 ? percentile(column, count, 0.975) : NAN;
    }
}

/* The figures of the sample itself. */
static void find_values(const job *j, double *row, sa_figure *figures)
{
    for (size_t i = 0; i < j->plan->items; i++) {
        j->weights[i] = 1;
    }
    j->plan->compute(j->plan->context, j->weights, 0, row);
    for (size_t f = 0; f < j->plan->figures; f++) {
        figures[f].value = row[f];
    }
}

/* Everything at once, before the pool starts. */
static sa_status allocate(job *j, sa_pool *pool, double **column, sa_error *err)
{
    const sa_bootstrap *plan = j->plan;
    size_t weights, values, most = plan->resamples > plan->figures ? plan->resamples : plan->figures;
    if (sa_mul_size(plan->items, (size_t)sa_pool_threads(pool), &weights) &&
        sa_mul_size(plan->resamples, plan->figures, &values)) {
        j->weights = calloc(weights, sizeof *j->weights);
        j->values = calloc(values + 1, sizeof *j->values);
        *column = calloc(most + 1, sizeof **column);
    }
    return j->weights != NULL && j->values != NULL && *column != NULL
               ? SA_OK
               : sa_fail(err, SA_NO_ROOM, NULL, "free some memory, or lower --threads",
                         "no memory for %zu resamples", plan->resamples);
}

sa_status sa_bootstrap_run(const sa_bootstrap *b, sa_pool *pool, sa_figure *figures, sa_error *err)
{
    SA_ASSERT(b->items >= 1 && b->items <= UINT32_MAX);
    job j = {.plan = b};
    double *column = NULL;
    sa_status status = allocate(&j, pool, &column, err);
    if (status == SA_OK) {
        find_values(&j, column, figures);
        sa_pool_run(pool, b->resamples, resample, &j);
        find_intervals(&j, column, figures);
    }
    free(column);
    free(j.weights);
    free(j.values);
    return status;
}

/* ---- sign flips ---- */

/* The sum with the signs of flip `flip`; the differences are whole numbers of 2^-36. */
static int64_t flipped_sum(const int64_t *differences, size_t count, uint64_t seed, uint64_t flip)
{
    int64_t sum = 0;
    for (size_t i = 0; i < count; i += 128) {
        sa_philox block = sa_philox_block(seed, i / 128, ((uint64_t)1 << 32) + flip);
        for (size_t k = 0; k < 128 && i + k < count; k++) {
            bool negative = block.word[k / 32] >> (k % 32) & 1;
            sum += negative ? -differences[i + k] : differences[i + k];
        }
    }
    return sum;
}

double sa_sign_flip_test(const double *differences, size_t count, size_t flips, uint64_t seed)
{
    int64_t *whole = calloc(count + 1, sizeof *whole);
    int64_t sum = 0;
    size_t as_far = 1;
    if (whole == NULL) {
        return NAN;
    }
    for (size_t i = 0; i < count; i++) {
        whole[i] = llrint(differences[i] * 0x1p36);
        sum += whole[i];
    }
    for (size_t flip = 0; flip < flips; flip++) {
        as_far += llabs(flipped_sum(whole, count, seed, flip)) >= llabs(sum);
    }
    free(whole);
    return (double)as_far / (double)(flips + 1);
}
