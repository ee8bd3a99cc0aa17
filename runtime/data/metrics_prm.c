#define _GNU_SOURCE /* qsort_r */
#include "runtime/data/metrics_prm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"

/* ---- gathering ---- */

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

static void gather(sa_prm *prm, const sa_scores *scores)
{
    size_t at = 0;
    for (size_t i = 0; i < scores->count; i++) {
        for (size_t k = 1; k < scores->items[i].state_count; k++) {
            const sa_score_state *state = &scores->items[i].states[k];
            if (!isnan(state->predicted)) {
                prm->states[at++] = (sa_prm_state){state->predicted, sa_overlap_iou(&state->overlap),
                                                   (uint32_t)i, sa_overlap_reaches(&state->overlap, 50)};
            }
        }
    }
}

/* Equal values in the order of their places, so that every sort gives the same. */
static int compare(double a, double b, size_t i, size_t j)
{
    return a < b ? -1 : a > b ? 1 : i < j ? -1 : 1;
}

static int compare_predicted(const void *left, const void *right, void *states)
{
    size_t i = *(const size_t *)left, j = *(const size_t *)right;
    const sa_prm_state *s = states;
    return compare(s[i].predicted, s[j].predicted, i, j);
}

static int compare_truth(const void *left, const void *right, void *states)
{
    size_t i = *(const size_t *)left, j = *(const size_t *)right;
    const sa_prm_state *s = states;
    return compare(s[i].truth, s[j].truth, i, j);
}

static void sort(sa_prm *prm)
{
    for (size_t i = 0; i < prm->count; i++) {
        prm->by_predicted[i] = prm->by_truth[i] = i;
    }
    qsort_r(prm->by_predicted, prm->count, sizeof(size_t), compare_predicted, prm->states);
    qsort_r(prm->by_truth, prm->count, sizeof(size_t), compare_truth, prm->states);
}

sa_status sa_prm_open(sa_prm *prm, const sa_scores *scores, int threads, sa_error *err)
{
    size_t ranks;
    *prm = (sa_prm){.count = count_states(scores)};
    if (sa_mul_size(prm->count, 2 * (size_t)threads, &ranks)) {
        prm->states = calloc(prm->count + 1, sizeof *prm->states);
        prm->by_predicted = calloc(prm->count + 1, sizeof *prm->by_predicted);
        prm->by_truth = calloc(prm->count + 1, sizeof *prm->by_truth);
        prm->ranks = calloc(ranks + 1, sizeof *prm->ranks);
    }
    if (prm->states == NULL || prm->by_predicted == NULL || prm->by_truth == NULL || prm->ranks == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "free some memory, or lower --threads",
                       "no memory for %zu predictions", prm->count);
    }
    gather(prm, scores);
    sort(prm);
    return SA_OK;
}

void sa_prm_free(sa_prm *prm)
{
    free(prm->states);
    free(prm->by_predicted);
    free(prm->by_truth);
    free(prm->ranks);
    *prm = (sa_prm){0};
}

/* ---- figures ---- */

/* Weighted sums of one sample, from which a correlation comes. */
typedef struct {
    double weight, x, y, xx, yy, xy;
} moments;

/* Pearson's correlation from sums of deviations; NaN when one side is constant. */
static double correlation(const moments *m)
{
    return m->xx > 0 && m->yy > 0 ? m->xy / (sqrt(m->xx) * sqrt(m->yy)) : NAN;
}

static void add_deviation(moments *m, double weight, double x, double y)
{
    m->xx += weight * (x * x);
    m->yy += weight * (y * y);
    m->xy += weight * (x * y);
}

/* Mean errors, and Pearson's correlation about the means, in two passes. */
static void find_errors(const sa_prm *prm, const uint32_t *weights, double *out)
{
    moments m = {0};
    double mae = 0.0, mse = 0.0;
    for (size_t i = 0; i < prm->count; i++) {
        const sa_prm_state *s = &prm->states[i];
        double w = weights[s->item], error = s->predicted - s->truth;
        m.weight += w;
        m.x += w * s->predicted;
        m.y += w * s->truth;
        mae += w * fabs(error);
        mse += w * (error * error);
    }
    double x = m.x / m.weight, y = m.y / m.weight;
    for (size_t i = 0; i < prm->count; i++) {
        const sa_prm_state *s = &prm->states[i];
        add_deviation(&m, weights[s->item], s->predicted - x, s->truth - y);
    }
    out[SA_PRM_MAE] = mae / m.weight;
    out[SA_PRM_MSE] = mse / m.weight;
    out[SA_PRM_PEARSON] = correlation(&m);
}

static double value_of(const sa_prm_state *state, bool of_truth)
{
    return of_truth ? state->truth : state->predicted;
}

/* The end of the run of equal values that begins at `begin` of `order`. */
static size_t end_of_ties(const sa_prm *prm, const size_t *order, size_t begin, bool of_truth)
{
    size_t end = begin + 1;
    double value = value_of(&prm->states[order[begin]], of_truth);
    while (end < prm->count && value_of(&prm->states[order[end]], of_truth) == value) {
        end++;
    }
    return end;
}

/* ranks[state] = the mean of the ranks that its equals take up; ranks start at 1. */
static void find_ranks(const sa_prm *prm, const size_t *order, bool of_truth, const uint32_t *weights,
                       double *ranks)
{
    uint64_t before = 0;
    for (size_t begin = 0, end; begin < prm->count; begin = end) {
        uint64_t equal = 0;
        end = end_of_ties(prm, order, begin, of_truth);
        for (size_t i = begin; i < end; i++) {
            equal += weights[prm->states[order[i]].item];
        }
        for (size_t i = begin; i < end; i++) {
            ranks[order[i]] = (double)before + 0.5 * (double)(equal + 1);
        }
        before += equal;
    }
}

static double find_spearman(const sa_prm *prm, const uint32_t *weights, double *ranks)
{
    double *x = ranks, *y = ranks + prm->count;
    uint64_t total = 0;
    moments m = {0};
    find_ranks(prm, prm->by_predicted, false, weights, x);
    find_ranks(prm, prm->by_truth, true, weights, y);
    for (size_t i = 0; i < prm->count; i++) {
        total += weights[prm->states[i].item];
    }
    double mean = 0.5 * (double)(total + 1);
    for (size_t i = 0; i < prm->count; i++) {
        add_deviation(&m, weights[prm->states[i].item], x[i] - mean, y[i] - mean);
    }
    return correlation(&m);
}

/* In ascending order of p: each good state beats the bad ones before it, and ties with its equals. */
static double find_auc(const sa_prm *prm, const uint32_t *weights)
{
    uint64_t good = 0, bad = 0, twice_won = 0;
    for (size_t begin = 0, end; begin < prm->count; begin = end) {
        uint64_t equal[2] = {0, 0};
        end = end_of_ties(prm, prm->by_predicted, begin, false);
        for (size_t i = begin; i < end; i++) {
            const sa_prm_state *s = &prm->states[prm->by_predicted[i]];
            equal[s->good] += weights[s->item];
        }
        twice_won += equal[1] * (2 * bad + equal[0]);
        bad += equal[0];
        good += equal[1];
    }
    return good > 0 && bad > 0 ? (double)twice_won / (2.0 * (double)good * (double)bad) : NAN;
}

void sa_prm_figures(const sa_prm *prm, const uint32_t *weights, int worker, double *out)
{
    find_errors(prm, weights, out);
    out[SA_PRM_SPEARMAN] = find_spearman(prm, weights, prm->ranks + (size_t)worker * 2 * prm->count);
    out[SA_PRM_AUC] = find_auc(prm, weights);
}
