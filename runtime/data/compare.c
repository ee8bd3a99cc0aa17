/* An item is drawn with both of its masks, so what the two runs have in common does not widen the interval.
 */
#include "runtime/data/compare.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    sa_overlap a, b;
} pair;

typedef struct {
    pair *pairs;
    double *differences;
    size_t count;
} pairing;

enum { DELTA, CIOU, FIGURES };

/* -1, 0, 1 as the fraction of b is smaller, equal, larger; products of 32-bit counts fit. */
static int order(const pair *p)
{
    uint64_t a = p->a.either == 0 ? 1 : p->a.both, whole_a = p->a.either == 0 ? 1 : p->a.either;
    uint64_t b = p->b.either == 0 ? 1 : p->b.both, whole_b = p->b.either == 0 ? 1 : p->b.either;
    uint64_t left = b * whole_a, right = a * whole_b;
    return (left > right) - (left < right);
}

/* In the order of a. Equal fractions differ by 0 exactly, whatever their division rounds to. */
static void pair_up(pairing *p, const sa_scores *a, const sa_scores *b, int64_t step, sa_comparison *out)
{
    for (size_t i = 0; i < a->count; i++) {
        const sa_score *other = sa_scores_find(b, a->items[i].id);
        if (other == NULL) {
            out->only_a++;
            continue;
        }
        pair *new = &p->pairs[p->count];
        *new = (pair){*sa_metrics_judged(&a->items[i], step), *sa_metrics_judged(other, step)};
        int better = order(new);
        out->wins += better > 0;
        out->losses += better < 0;
        out->ties += better == 0;
        p->differences[p->count++] = better == 0 ? 0.0 : sa_overlap_iou(&new->b) - sa_overlap_iou(&new->a);
    }
    out->pairs = p->count;
    out->only_b = b->count - p->count;
}

/* cIoU of masks without a pixel is not defined. */
static double quotient(uint64_t both, uint64_t either)
{
    return either > 0 ? (double)both / (double)either : NAN;
}

static void find_figures(const void *context, const uint32_t *weights, int worker, double *out)
{
    const pairing *p = context;
    sa_overlap a = {0}, b = {0};
    double sum = 0.0;
    (void)worker;
    for (size_t i = 0; i < p->count; i++) {
        sum += weights[i] * p->differences[i];
        a.both += weights[i] * p->pairs[i].a.both;
        a.either += weights[i] * p->pairs[i].a.either;
        b.both += weights[i] * p->pairs[i].b.both;
        b.either += weights[i] * p->pairs[i].b.either;
    }
    out[DELTA] = sum / (double)p->count;
    out[CIOU] = quotient(b.both, b.either) - quotient(a.both, a.either);
}

static sa_status test_pairs(const pairing *p, const sa_metrics_options *options, sa_pool *pool,
                            sa_comparison *out, sa_error *err)
{
    const sa_bootstrap plan = {.items = p->count,
                               .figures = FIGURES,
                               .resamples = options->resamples,
                               .seed = options->seed,
                               .compute = find_figures,
                               .context = p};
    sa_figure figures[FIGURES];
    if (p->count == 0) {
        return sa_fail(err, SA_BAD_INPUT, NULL, "compare two runs over the same items",
                       "no id is in both results");
    }
    SA_TRY(sa_bootstrap_run(&plan, pool, figures, err));
    out->delta = figures[DELTA];
    out->ciou = figures[CIOU];
    out->p = sa_sign_flip_test(p->differences, p->count, options->resamples, options->seed);
    return SA_OK;
}

sa_status sa_compare(sa_comparison *out, const sa_scores *a, const sa_scores *b,
                     const sa_metrics_options *options, sa_pool *pool, sa_error *err)
{
    *out = (sa_comparison){0};
    pairing p = {.pairs = calloc(a->count + 1, sizeof *p.pairs),
                 .differences = calloc(a->count + 1, sizeof *p.differences)};
    sa_status status = SA_OK;
    if (p.pairs == NULL || p.differences == NULL) {
        status = sa_fail(err, SA_NO_ROOM, NULL, "free some memory", "no memory for %zu pairs", a->count);
    } else {
        pair_up(&p, a, b, options->step, out);
        status = test_pairs(&p, options, pool, out, err);
    }
    free(p.pairs);
    free(p.differences);
    return status;
}
