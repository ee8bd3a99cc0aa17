#include "runtime/data/metrics_prm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"

/* Sums over an item's states; x and y are the predicted and the true IoU less their means over all. */
enum { STATES, ERROR, SQUARE, X, Y, XX, YY, XY, SUMS };

/* ---- gathering ---- */

/* A value of a state, to be sorted. */
typedef struct {
    double value;
    size_t state;
} entry;

static size_t count_states(const sa_scores *scores)
{
    size_t count = 0;
    for (size_t i = 0; i < scores->count; i++) {
        for (size_t k = 1; k < scores->items[i].state_count; k++) {
            count += !isnan(scores->items[i].states[k].predicted);
        }
    }
    return count;
}

static void gather(sa_prm *prm, const sa_scores *scores, entry *predicted, entry *truth)
{
    size_t at = 0;
    for (size_t i = 0; i < scores->count; i++) {
        for (size_t k = 1; k < scores->items[i].state_count; k++) {
            const sa_score_state *state = &scores->items[i].states[k];
            if (!isnan(state->predicted)) {
                predicted[at] = (entry){state->predicted, at};
                truth[at] = (entry){sa_overlap_iou(&state->overlap), at};
                prm->states[at].item = (uint32_t)i;
                prm->states[at++].good = sa_overlap_reaches(&state->overlap, 50);
            }
        }
    }
}

static double mean_of(const entry *values, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += values[i].value;
    }
    return count > 0 ? sum / (double)count : 0.0;
}

static void sum_items(sa_prm *prm, const entry *predicted, const entry *truth)
{
    double x0 = mean_of(predicted, prm->count), y0 = mean_of(truth, prm->count);
    for (size_t i = 0; i < prm->count; i++) {
        double error = predicted[i].value - truth[i].value;
        double x = predicted[i].value - x0, y = truth[i].value - y0;
        const double terms[SUMS] = {1.0, fabs(error), error * error, x, y, x * x, y * y, x * y};
        double *sums = prm->sums + prm->states[i].item * SUMS;
        for (size_t k = 0; k < SUMS; k++) {
            sums[k] += terms[k];
        }
    }
}

static int by_value(const void *left, const void *right)
{
    double a = ((const entry *)left)->value, b = ((const entry *)right)->value;
    return (a > b) - (a < b);
}

/* Sorts the values, and numbers the groups of equal ones into their states. */
static size_t group(sa_prm *prm, entry *values, bool of_truth)
{
    size_t groups = 0;
    qsort(values, prm->count, sizeof *values, by_value);
    for (size_t i = 0; i < prm->count; i++) {
        groups += i == 0 || values[i].value != values[i - 1].value;
        sa_prm_state *state = &prm->states[values[i].state];
        *(of_truth ? &state->truth : &state->predicted) = (uint32_t)(groups - 1);
    }
    return groups;
}

static sa_status fail_memory(const sa_prm *prm, sa_error *err)
{
    return sa_fail(err, SA_NO_ROOM, NULL, "free some memory, or lower --threads",
                   "no memory for %zu predictions", prm->count);
}

static sa_status allocate(sa_prm *prm, size_t threads, sa_error *err)
{
    size_t cells;
    if (prm->count < UINT32_MAX && sa_mul_size(prm->count, 3 * threads, &cells)) {
        prm->sums = calloc(prm->items * SUMS + 1, sizeof *prm->sums);
        prm->states = calloc(prm->count + 1, sizeof *prm->states);
        prm->weights = calloc(cells + 1, sizeof *prm->weights);
        prm->ranks = calloc(cells + 1, sizeof *prm->ranks);
    }
    return prm->sums != NULL && prm->states != NULL && prm->weights != NULL && prm->ranks != NULL
               ? SA_OK
               : fail_memory(prm, err);
}

sa_status sa_prm_open(sa_prm *prm, const sa_scores *scores, int threads, sa_error *err)
{
    *prm = (sa_prm){.items = scores->count, .count = count_states(scores)};
    SA_TRY(allocate(prm, (size_t)threads, err));
    entry *predicted = calloc(2 * prm->count + 1, sizeof *predicted), *truth = predicted + prm->count;
    if (predicted == NULL) {
        return fail_memory(prm, err);
    }
    gather(prm, scores, predicted, truth);
    sum_items(prm, predicted, truth);
    prm->groups[0] = group(prm, predicted, false);
    prm->groups[1] = group(prm, truth, true);
    free(predicted);
    return SA_OK;
}

void sa_prm_free(sa_prm *prm)
{
    free(prm->sums);
    free(prm->states);
    free(prm->weights);
    free(prm->ranks);
    *prm = (sa_prm){0};
}

/* ---- figures ---- */

/* What a worker has found of its sample: how often each group stands in it. */
typedef struct {
    uint64_t *good, *bad; /* by predicted IoU */
    uint64_t *truth;      /* by true IoU */
    double *ranks[2];
    bool constant; /* all predicted, or all true values are the same */
} sample;

static sample sample_of(const sa_prm *prm, int worker)
{
    uint64_t *weights = prm->weights + (size_t)worker * 3 * prm->count;
    double *ranks = prm->ranks + (size_t)worker * 2 * prm->count;
    memset(weights, 0, 3 * prm->count * sizeof *weights);
    return (sample){.good = weights,
                    .bad = weights + prm->count,
                    .truth = weights + 2 * prm->count,
                    .ranks = {ranks, ranks + prm->count}};
}

static void weigh_groups(const sa_prm *prm, const uint32_t *weights, sample *s)
{
    for (size_t i = 0; i < prm->count; i++) {
        const sa_prm_state *state = &prm->states[i];
        (state->good ? s->good : s->bad)[state->predicted] += weights[state->item];
        s->truth[state->truth] += weights[state->item];
    }
}

/*
 * The groups' ranks less their mean, and the sum of their squares: a group's rank is the mean of those that
 * its states take up. `other` may be NULL, or is added to `counts`.
 */
static double rank_groups(const uint64_t *counts, const uint64_t *other, size_t groups, uint64_t total,
                          double *ranks, bool *constant)
{
    double mean = 0.5 * (double)(total + 1), squares = 0.0;
    uint64_t before = 0;
    for (size_t g = 0; g < groups; g++) {
        uint64_t equal = counts[g] + (other != NULL ? other[g] : 0);
        ranks[g] = (double)before + 0.5 * (double)(equal + 1) - mean;
        squares += (double)equal * (ranks[g] * ranks[g]);
        *constant = *constant || equal == total;
        before += equal;
    }
    return squares;
}

static double correlation(double xy, double xx, double yy)
{
    double value = xy / (sqrt(xx) * sqrt(yy));
    return value > 1.0 ? 1.0 : value < -1.0 ? -1.0 : value; /* rounding */
}

static double find_spearman(const sa_prm *prm, const uint32_t *weights, uint64_t total, sample *s)
{
    double xx = rank_groups(s->good, s->bad, prm->groups[0], total, s->ranks[0], &s->constant);
    double yy = rank_groups(s->truth, NULL, prm->groups[1], total, s->ranks[1], &s->constant);
    double xy = 0.0;
    for (size_t i = 0; i < prm->count; i++) {
        const sa_prm_state *state = &prm->states[i];
        xy += weights[state->item] * (s->ranks[0][state->predicted] * s->ranks[1][state->truth]);
    }
    return s->constant ? NAN : correlation(xy, xx, yy);
}

/* In ascending order of p: each good state beats the bad ones before it, and ties with its equals. */
static double find_auc(const sa_prm *prm, const sample *s)
{
    uint64_t good = 0, bad = 0, twice_won = 0;
    for (size_t g = 0; g < prm->groups[0]; g++) {
        twice_won += s->good[g] * (2 * bad + s->bad[g]);
        bad += s->bad[g];
        good += s->good[g];
    }
    return good > 0 && bad > 0 ? (double)twice_won / (2.0 * (double)good * (double)bad) : NAN;
}

static void sum_sample(const sa_prm *prm, const uint32_t *weights, double sums[SUMS])
{
    memset(sums, 0, SUMS * sizeof *sums);
    for (size_t i = 0; i < prm->items; i++) {
        double weight = weights[i];
        for (size_t k = 0; k < SUMS; k++) {
            sums[k] += weight * prm->sums[i * SUMS + k];
        }
    }
}

void sa_prm_figures(const sa_prm *prm, const uint32_t *weights, int worker, double *out)
{
    double sums[SUMS];
    sample s = sample_of(prm, worker);
    sum_sample(prm, weights, sums);
    weigh_groups(prm, weights, &s);
    double states = sums[STATES]; /* 0: all that follows is NaN */
    out[SA_PRM_MAE] = sums[ERROR] / states;
    out[SA_PRM_MSE] = sums[SQUARE] / states;
    out[SA_PRM_SPEARMAN] = find_spearman(prm, weights, (uint64_t)states, &s);
    out[SA_PRM_PEARSON] =
        s.constant ? NAN
                   : correlation(sums[XY] - sums[X] * sums[Y] / states, sums[XX] - sums[X] * sums[X] / states,
                                 sums[YY] - sums[Y] * sums[Y] / states);
    out[SA_PRM_AUC] = find_auc(prm, &s);
}
