/*
 * Every figure is a function of how often each item stands in a sample; so the value, and each resample of
 * the bootstrap, is one call of find_figures with other weights. Counts are summed as integers, which are
 * exact in any order; IoUs as doubles in the order of the items.
 */
#include "runtime/data/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "runtime/base/checked.h"
#include "runtime/data/metrics_prm.h"

const unsigned sa_metrics_noc_percent[SA_METRICS_NOC] = {80, 85, 90};

/* The figures of a sample, one after another: these, then cIoU and gIoU of each step. */
enum {
    CIOU,
    GIOU,
    NOC, /* mean and failed of each target */
    FIRST_CLICK = NOC + 2 * SA_METRICS_NOC,
    PRM,
    STEPS = PRM + SA_PRM_FIGURES,
};

/* What a sample is reckoned from: columns, so that ten thousand passes go straight through memory. */
typedef struct {
    size_t items, steps;
    const sa_score *scores;
    sa_overlap *overlaps; /* [1 + steps, items]: the judged masks, then those after each step */
    double *ious;         /* the same */
    uint32_t *clicks;     /* [SA_METRICS_NOC, items] */
    uint8_t *missed;      /* the same: never reached */
    sa_prm prm;
} columns;

const sa_overlap *sa_metrics_judged(const sa_score *score, int64_t step)
{
    return step == SA_METRICS_KEPT ? &score->kept : sa_score_after(score, (size_t)step);
}

static size_t most_states(const sa_scores *scores)
{
    size_t most = 1;
    for (size_t i = 0; i < scores->count; i++) {
        most = scores->items[i].state_count > most ? scores->items[i].state_count : most;
    }
    return most;
}

/* ---- columns ---- */

static void fill_overlaps(columns *c, int64_t step)
{
    for (size_t i = 0; i < c->items; i++) {
        c->overlaps[i] = *sa_metrics_judged(&c->scores[i], step);
        for (size_t k = 0; k < c->steps; k++) {
            c->overlaps[(1 + k) * c->items + i] = *sa_score_after(&c->scores[i], k);
        }
    }
    for (size_t i = 0; i < (1 + c->steps) * c->items; i++) {
        c->ious[i] = sa_overlap_iou(&c->overlaps[i]);
    }
}

bool sa_metrics_clicks_to(const sa_score *score, unsigned percent, size_t *clicks)
{
    for (size_t k = 0; k < score->state_count; k++) {
        if (sa_overlap_reaches(&score->states[k].overlap, percent)) {
            *clicks = k;
            return true;
        }
    }
    return false;
}

/* The cap is a property of the run, not of a resample: it stays when the longest trajectory is not drawn. */
static void fill_clicks(columns *c)
{
    for (size_t t = 0; t < SA_METRICS_NOC; t++) {
        for (size_t i = 0; i < c->items; i++) {
            size_t at = t * c->items + i, clicks = c->steps - 1;
            c->missed[at] = !sa_metrics_clicks_to(&c->scores[i], sa_metrics_noc_percent[t], &clicks);
            c->clicks[at] = (uint32_t)clicks;
        }
    }
}

static void free_columns(columns *c)
{
    free(c->overlaps);
    free(c->ious);
    free(c->clicks);
    free(c->missed);
    sa_prm_free(&c->prm);
}

static sa_status open_columns(columns *c, const sa_scores *scores, int64_t step, int threads, sa_error *err)
{
    size_t cells;
    *c = (columns){.items = scores->count, .steps = most_states(scores), .scores = scores->items};
    if (sa_mul_size(1 + c->steps, c->items, &cells)) {
        c->overlaps = calloc(cells, sizeof *c->overlaps);
        c->ious = calloc(cells, sizeof *c->ious);
        c->clicks = calloc(SA_METRICS_NOC * c->items, sizeof *c->clicks);
        c->missed = calloc(SA_METRICS_NOC * c->items, sizeof *c->missed);
    }
    if (c->overlaps == NULL || c->ious == NULL || c->clicks == NULL || c->missed == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "free some memory", "no memory for %zu items of %zu steps",
                       c->items, c->steps);
    }
    fill_overlaps(c, step);
    fill_clicks(c);
    return sa_prm_open(&c->prm, scores, threads, err);
}

/* ---- figures of a sample ---- */

/* cIoU and gIoU of column `column`: out[0], out[1]. */
static void find_ious(const columns *c, size_t column, const uint32_t *weights, double *out)
{
    const sa_overlap *overlaps = c->overlaps + column * c->items;
    const double *ious = c->ious + column * c->items;
    uint64_t both = 0, either = 0;
    double sum = 0.0;
    for (size_t i = 0; i < c->items; i++) {
        both += weights[i] * overlaps[i].both;
        either += weights[i] * overlaps[i].either;
        sum += weights[i] * ious[i];
    }
    out[0] = either > 0 ? (double)both / (double)either : NAN;
    out[1] = sum / (double)c->items;
}

/* Mean and share of failures of each target. */
static void find_clicks(const columns *c, const uint32_t *weights, double *out)
{
    for (size_t t = 0; t < SA_METRICS_NOC; t++) {
        uint64_t clicks = 0, missed = 0;
        for (size_t i = 0; i < c->items; i++) {
            clicks += (uint64_t)weights[i] * c->clicks[t * c->items + i];
            missed += (uint64_t)weights[i] * c->missed[t * c->items + i];
        }
        out[2 * t] = (double)clicks / (double)c->items;
        out[2 * t + 1] = (double)missed / (double)c->items;
    }
}

static double find_hits(const columns *c, const uint32_t *weights)
{
    uint64_t hits = 0;
    for (size_t i = 0; i < c->items; i++) {
        hits += c->scores[i].hit ? weights[i] : 0;
    }
    return (double)hits / (double)c->items;
}

/* sa_bootstrap_figures; the layout is that of the enum. */
static void find_figures(const void *context, const uint32_t *weights, int worker, double *out)
{
    const columns *c = context;
    find_ious(c, 0, weights, out + CIOU);
    find_clicks(c, weights, out + NOC);
    out[FIRST_CLICK] = find_hits(c, weights);
    sa_prm_figures(&c->prm, weights, worker, out + PRM);
    for (size_t k = 0; k < c->steps; k++) {
        find_ious(c, 1 + k, weights, out + STEPS + 2 * k);
    }
}

/* ---- all together ---- */

static void unpack(sa_metrics *m, const sa_figure *figures)
{
    m->ciou = figures[CIOU];
    m->giou = figures[GIOU];
    for (size_t t = 0; t < SA_METRICS_NOC; t++) {
        m->noc[t].percent = sa_metrics_noc_percent[t];
        m->noc[t].mean = figures[NOC + 2 * t];
        m->noc[t].failed = figures[NOC + 2 * t + 1];
    }
    m->first_click = figures[FIRST_CLICK];
    m->prm.mae = figures[PRM + SA_PRM_MAE];
    m->prm.mse = figures[PRM + SA_PRM_MSE];
    m->prm.pearson = figures[PRM + SA_PRM_PEARSON];
    m->prm.spearman = figures[PRM + SA_PRM_SPEARMAN];
    m->prm.auc = figures[PRM + SA_PRM_AUC];
    for (size_t k = 0; k < m->step_count; k++) {
        m->steps[k] = (sa_metrics_step){figures[STEPS + 2 * k], figures[STEPS + 2 * k + 1]};
    }
}

/* With the columns ready: all resamples, and the figures into their places. */
static sa_status compute(sa_metrics *m, const columns *c, const sa_metrics_options *options, sa_pool *pool,
                         sa_error *err)
{
    const sa_bootstrap plan = {.items = c->items,
                               .figures = STEPS + 2 * c->steps,
                               .resamples = options->resamples,
                               .seed = options->seed,
                               .compute = find_figures,
                               .context = c};
    sa_figure *figures = calloc(plan.figures, sizeof *figures);
    *m = (sa_metrics){.items = c->items, .step = options->step, .noc_cap = c->steps - 1};
    m->prm.states = c->prm.count;
    m->steps = calloc(c->steps, sizeof *m->steps);
    sa_status status = figures != NULL && m->steps != NULL
                           ? sa_bootstrap_run(&plan, pool, figures, err)
                           : sa_fail(err, SA_NO_ROOM, NULL, "free some memory", "no memory for the figures");
    if (status == SA_OK) {
        m->step_count = c->steps;
        unpack(m, figures);
    }
    free(figures);
    return status;
}

sa_status sa_metrics_compute(sa_metrics *metrics, const sa_scores *scores, const sa_metrics_options *options,
                             sa_pool *pool, sa_error *err)
{
    columns c;
    *metrics = (sa_metrics){0};
    if (scores->count == 0) {
        return sa_fail(err, SA_BAD_INPUT, NULL, "give results with status ok, and their truth by --input",
                       "there is no result to evaluate");
    }
    sa_status status = open_columns(&c, scores, options->step, sa_pool_threads(pool), err);
    if (status == SA_OK) {
        status = compute(metrics, &c, options, pool, err);
    }
    free_columns(&c);
    if (status != SA_OK) {
        sa_metrics_free(metrics);
    }
    return status;
}

void sa_metrics_free(sa_metrics *metrics)
{
    free(metrics->steps);
    *metrics = (sa_metrics){0};
}
