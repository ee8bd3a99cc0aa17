/* Which items a page shows: the worst, middling and best ones, and those that the run judged wrongly. */
#include <math.h>
#include <stdlib.h>

#include "runtime/data/report_parts.h"

typedef struct {
    double value; /* in ascending order */
    size_t entry;
} place;

typedef struct {
    const sa_report_run *run;
    place *order; /* [count] */
    bool *taken;  /* [count], by entry */
    report_pick *picks;
    size_t picked;
} picker;

static int by_value(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->value != y->value) {
        return x->value < y->value ? -1 : 1;
    }
    return x->entry < y->entry ? -1 : x->entry > y->entry;
}

/* Larger is worse known; an item whose truth or score is not known is not misjudged. */
static double error_of(const sa_report_entry *e)
{
    double error = fabs(e->score - e->iou);
    return isnan(error) ? 0 : error;
}

static double quality_of(const sa_report_entry *e)
{
    double quality = isnan(e->iou) ? e->score : e->iou;
    return isnan(quality) ? 0 : quality;
}

/* Equal values in the order of the file, so that the choice is the same everywhere. */
static void sort(picker *p, double (*value)(const sa_report_entry *))
{
    for (size_t i = 0; i < p->run->count; i++) {
        p->order[i] = (place){value(&p->run->entries[i]), i};
    }
    qsort(p->order, p->run->count, sizeof *p->order, by_value);
}

/* Up to `most` that are not taken yet, from place `from` of the order on, up or down. */
static void take(picker *p, report_reason reason, size_t from, int way, size_t most)
{
    for (size_t at = from; at < p->run->count && most > 0;
         at += (size_t)way) { /* below 0 it wraps: the end */
        size_t entry = p->order[at].entry;
        if (!p->taken[entry]) {
            p->taken[entry] = true;
            p->picks[p->picked++] = (report_pick){entry, reason};
            most--;
        }
    }
}

/* What is rarest is taken first: most misjudged items are among the worst ones, too. */
static void pick(picker *p, size_t limit)
{
    size_t count = p->run->count, share = limit / REPORT_REASONS, rest = limit % REPORT_REASONS;
    bool judged = p->run->scores.count > 0;
    if (judged) {
        sort(p, error_of);
        take(p, REPORT_MISJUDGED, count - 1, -1, share);
    } else {
        rest += share;
    }
    sort(p, quality_of);
    take(p, REPORT_WORST, 0, 1, share + (rest + 2) / 3);
    take(p, REPORT_BEST, count - 1, -1, share + (rest + 1) / 3);
    size_t middle = share + rest / 3;
    take(p, REPORT_MIDDLE, count / 2 > middle / 2 ? count / 2 - middle / 2 : 0, 1, middle);
    take(p, REPORT_MIDDLE, 0, 1, limit - p->picked);
}

sa_status report_pick_items(const sa_report_run *run, size_t limit, report_pick *picks, size_t *count,
                            sa_error *err)
{
    picker p = {.run = run, .picks = picks};
    *count = 0;
    if (run->count == 0) {
        return SA_OK;
    }
    p.order = calloc(run->count, sizeof *p.order);
    p.taken = calloc(run->count, sizeof *p.taken);
    bool room = p.order != NULL && p.taken != NULL;
    if (room) {
        pick(&p, limit < run->count ? limit : run->count);
        *count = p.picked;
    }
    free(p.order);
    free(p.taken);
    return room ? SA_OK : sa_fail(err, SA_NO_ROOM, run->path, NULL, "no memory to choose items");
}
