#include "runtime/engine/batcher.h"

#include "runtime/base/sizes.h"
#include "runtime/base/status.h"

/* ---- queues ---- */

void sa_batcher_put(sa_batcher *b, sa_job *job, sa_stage stage)
{
    sa_job_queue *q = &b->queues[stage];
    *job = (sa_job){.before = q->last, .stage = stage};
    if (q->last != NULL) {
        q->last->next = job;
    } else {
        q->first = job;
    }
    q->last = job;
    q->count++;
    q->peak = sa_most(q->peak, q->count);
}

void sa_batcher_drop(sa_batcher *b, sa_job *job)
{
    sa_job_queue *q = &b->queues[job->stage];
    if (job->before != NULL) {
        job->before->next = job->next;
    } else {
        q->first = job->next;
    }
    if (job->next != NULL) {
        job->next->before = job->before;
    } else {
        q->last = job->before;
    }
    q->count--;
    job->next = job->before = NULL;
}

void sa_batcher_move(sa_batcher *b, sa_job *job, sa_stage stage)
{
    sa_batcher_drop(b, job);
    sa_batcher_put(b, job, stage);
}

sa_job *sa_batcher_first(const sa_batcher *b, sa_stage stage)
{
    return b->queues[stage].first;
}

size_t sa_batcher_count(const sa_batcher *b, sa_stage stage)
{
    return b->queues[stage].count;
}

/* ---- the choice ---- */

typedef struct {
    sa_batch_kind kind;
    size_t waiting, most;
} candidate;

static bool is_fuller(const candidate *a, const candidate *b)
{
    return a->waiting * b->most > b->waiting * a->most;
}

sa_batch_kind sa_batcher_choose(const sa_batcher *b)
{
    size_t answers = sa_batcher_count(b, SA_WANT_PREFILL) + sa_batcher_count(b, SA_WANT_DECODE);
    candidate stages[] = {/* from the end of the stream to its beginning */
                          {SA_RUN_CLICK, sa_batcher_count(b, SA_WANT_SEG_CLICK), b->clicks},
                          {SA_RUN_ANSWER, answers, b->answers},
                          {SA_RUN_ENCODE, sa_batcher_count(b, SA_WANT_SEG_ENCODE), b->encodes}};
    const candidate *best = NULL;
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        stages[i].waiting = sa_least(stages[i].waiting, stages[i].most);
        if (stages[i].waiting > 0 && (best == NULL || is_fuller(&stages[i], best))) {
            best = &stages[i];
        }
    }
    return best != NULL ? best->kind : SA_RUN_NOTHING;
}

/* ---- checks ---- */

void sa_batcher_check(const sa_batcher *b)
{
    for (size_t stage = 0; stage < SA_STAGES; stage++) {
        const sa_job_queue *q = &b->queues[stage];
        const sa_job *before = NULL;
        size_t count = 0;
        for (const sa_job *job = q->first; job != NULL; job = job->next) {
            SA_ASSERT(job->stage == stage && job->before == before);
            before = job;
            count++;
        }
        SA_ASSERT(q->last == before && q->count == count && q->peak >= count);
    }
}
