/* An item's search and its jobs: what it wants of models goes into the batcher's queues, one job for each. */
#include <stdlib.h>

#include "runtime/base/clock.h"
#include "runtime/hlmat/runner_parts.h"

sa_stage sa_runner_click_stage(const sa_runner_place *p)
{
    return p->picture->encoded ? SA_WANT_SEG_CLICK : SA_WANT_SEG_ENCODE;
}

sa_status sa_runner_fail_precision(const sa_runner_place *p, sa_error *err)
{
    return sa_fail(err, SA_BAD_INPUT, p->item->path, "use --precision bf16 or f32",
                   "the segmenter's numbers for this picture do not fit in the precision");
}

/* ---- the end of an item ---- */

static void leave(sa_runner *r, sa_runner_place *p)
{
    sa_batcher_drop(&r->batcher, &p->job);
    p->picture->searches--;
    sa_runner_give_done(r, p);
}

/* Jobs that wait are dropped; those that a model is busy with are waited for. */
static void drop_jobs(sa_runner *r, sa_runner_place *p)
{
    for (size_t i = 0; i < p->job_room; i++) {
        sa_runner_job *job = &p->jobs[i];
        bool busy = job->job.stage == SA_WANT_DECODE || job->job.stage == SA_SEGMENTING;
        if (job->place != NULL && !busy) {
            sa_batcher_drop(&r->batcher, &job->job);
            job->place = NULL;
            p->open--;
        }
    }
}

/* The item failed, or the machine did. */
static sa_status fail_place(sa_runner *r, sa_runner_place *p, const sa_error *why, sa_error *err)
{
    if (sa_runner_ends_run(why->status) || why->status == SA_NO_ROOM) {
        if (err != NULL) {
            *err = *why;
        }
        return sa_runner_name_items(why->status, p->item, 1, err);
    }
    if (p->why == NULL) {
        p->why = malloc(sizeof *p->why);
        if (p->why == NULL) {
            return sa_fail(err, SA_NO_ROOM, p->item->path, "lower --in-flight", "no memory for an item");
        }
        *p->why = *why;
    }
    drop_jobs(r, p);
    if (p->open == 0) {
        leave(r, p);
    }
    return SA_OK;
}

/* ---- jobs ---- */

static sa_status make_room(sa_runner_place *p, size_t count, sa_error *err)
{
    SA_ASSERT(p->open == 0);
    if (count <= p->job_room) {
        return SA_OK;
    }
    sa_runner_job *more = realloc(p->jobs, count * sizeof *more);
    if (more == NULL) {
        return sa_fail(err, SA_NO_ROOM, p->item->path, "ask for fewer candidates", "no memory for an item");
    }
    for (size_t i = p->job_room; i < count; i++) {
        more[i] = (sa_runner_job){0};
    }
    p->jobs = more;
    p->job_room = count;
    return SA_OK;
}

static void add_job(sa_runner *r, sa_runner_place *p, size_t at, size_t work, sa_stage stage)
{
    p->jobs[at].place = p;
    p->jobs[at].work = work;
    p->open++;
    sa_batcher_put(&r->batcher, &p->jobs[at].job, stage);
}

/* What the search wants now. */
static sa_status queue_works(sa_runner *r, sa_runner_place *p, sa_error *err)
{
    size_t count;
    const sa_work *works = sa_episode_works(p->episode, &count);
    SA_TRY(make_room(p, count, err));
    for (size_t i = 0; i < count; i++) {
        add_job(r, p, i, i, works[i].kind == SA_WORK_THINK ? SA_WANT_PREFILL : sa_runner_click_stage(p));
    }
    return SA_OK;
}

/* What comes of a step. */
static sa_status take_step(sa_runner *r, sa_runner_place *p, sa_status status, sa_error *why, sa_error *err)
{
    if (status == SA_OK && sa_episode_done(p->episode)) {
        leave(r, p);
        return SA_OK;
    }
    status = status == SA_OK ? queue_works(r, p, why) : status;
    return status == SA_OK ? SA_OK : fail_place(r, p, why, err);
}

/* Goes on with an item whose works are all answered. */
static sa_status step_place(sa_runner *r, sa_runner_place *p, sa_error *err)
{
    sa_error why = {0};
    if (r->options.seconds > 0 && sa_clock_seconds() - p->since > r->options.seconds) {
        sa_episode_stop(p->episode);
    }
    if (r->options.episode.policy == SA_POLICY_ANNOTATOR) {
        sa_runner_give_step(r, p);
        return SA_OK;
    }
    sa_status status = sa_episode_step(p->episode, &why);
    return take_step(r, p, status, &why, err);
}

sa_status sa_runner_go_on(sa_runner *r, sa_error *err)
{
    sa_runner_place *p;
    while ((p = sa_runner_take_stepped(r)) != NULL) {
        sa_error why = {0};
        if (p->stepped != SA_OK && p->step_error == NULL) {
            sa_fail(&why, SA_NO_ROOM, p->item->path, "lower --in-flight", "no memory for an item");
            p->stepped = SA_NO_ROOM;
        } else if (p->stepped != SA_OK) {
            why = *p->step_error;
        }
        free(p->step_error);
        p->step_error = NULL;
        SA_TRY(take_step(r, p, p->stepped, &why, err));
    }
    return SA_OK;
}

static sa_status begin_search(sa_runner *r, sa_runner_place *p, sa_error *err)
{
    sa_error why = {0};
    return sa_runner_open_episode(r, p, &why) == SA_OK ? step_place(r, p, err) : fail_place(r, p, &why, err);
}

sa_status sa_runner_begin_place(sa_runner *r, sa_runner_place *p, sa_error *err)
{
    p->since = sa_clock_seconds();
    sa_batcher_move(&r->batcher, &p->job, SA_SEARCHING);
    p->picture->searches++;
    p->picture->needed = ++r->let_in;
    if (!sa_runner_starts_by_prompt(&r->options)) {
        return begin_search(r, p, err);
    }
    sa_runner_choose_start(r, p);
    sa_error why = {0};
    if (make_room(p, 1, &why) != SA_OK) {
        return fail_place(r, p, &why, err);
    }
    add_job(r, p, 0, SA_START, sa_runner_click_stage(p));
    return SA_OK;
}

static void drop_job(sa_runner *r, sa_runner_job *job)
{
    sa_batcher_drop(&r->batcher, &job->job);
    job->place->open--;
    job->place = NULL;
}

sa_status sa_runner_end_job(sa_runner *r, sa_runner_job *job, sa_error *err)
{
    sa_runner_place *p = job->place;
    drop_job(r, job);
    if (p->open > 0) {
        return SA_OK;
    }
    if (p->why != NULL) { /* it failed while a model was busy with this */
        leave(r, p);
        return SA_OK;
    }
    return p->episode == NULL ? begin_search(r, p, err) : step_place(r, p, err);
}

sa_status sa_runner_fail_job(sa_runner *r, sa_runner_job *job, const sa_error *why, sa_error *err)
{
    sa_runner_place *p = job->place;
    drop_job(r, job);
    return fail_place(r, p, why, err);
}
