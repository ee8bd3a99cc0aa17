/*
 * Pictures are encoded, and clicks are carried out, those of all items together. Each in two steps, start and
 * finish, between which the policy may be asked: so what belongs to a job of such a call must not go before
 * it is finished, and such a job waits in SEGMENTING, where nobody drops it.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/hlmat/runner_parts.h"

/* ---- pictures ---- */

static bool is_chosen(const sa_runner *r, size_t count, const sa_runner_picture *p)
{
    for (size_t i = 0; i < count; i++) {
        if (r->encoding[i] == p) {
            return true;
        }
    }
    return false;
}

/* The pictures of the first jobs that wait for one, a batch of them at most. */
static size_t choose_pictures(sa_runner *r)
{
    size_t count = 0;
    const sa_job *job = sa_batcher_first(&r->batcher, SA_WANT_SEG_ENCODE);
    for (; job != NULL && count < r->options.batch; job = job->next) {
        sa_runner_picture *p = ((const sa_runner_job *)job)->place->picture;
        if (!is_chosen(r, count, p)) {
            r->images[count] = &p->image;
            r->slots[count] = sa_runner_find_slot(r, p);
            r->encoding[count++] = p;
        }
    }
    return count;
}

/* Jobs that wait for one of these pictures are no longer there to be dropped. */
static void hold_jobs(sa_runner *r, size_t count)
{
    for (sa_job *job = sa_batcher_first(&r->batcher, SA_WANT_SEG_ENCODE), *next; job != NULL; job = next) {
        next = job->next;
        if (is_chosen(r, count, ((sa_runner_job *)job)->place->picture)) {
            sa_batcher_move(&r->batcher, job, SA_SEGMENTING);
        }
    }
}

sa_status sa_runner_start_encode(sa_runner *r, sa_error *err)
{
    double begun = sa_clock_seconds();
    const sa_runner_job *first = (const sa_runner_job *)sa_batcher_first(&r->batcher, SA_WANT_SEG_ENCODE);
    r->segmenting = choose_pictures(r);
    r->first_segmented = first->place->item;
    sa_status status = sa_segmenter_encode_start(r->segmenter, r->images, r->slots, r->segmenting, err);
    SA_TRY(sa_runner_name_items(status, r->first_segmented, r->segmenting, err));
    hold_jobs(r, r->segmenting);
    r->counts->encode += sa_clock_seconds() - begun;
    return SA_OK;
}

/* Jobs of this stage go on to the clicks if their picture is there now. */
static sa_status pass_jobs(sa_runner *r, sa_stage stage, sa_error *err)
{
    for (sa_job *job = sa_batcher_first(&r->batcher, stage), *next; job != NULL; job = next) {
        const sa_runner_place *p = ((sa_runner_job *)job)->place;
        next = job->next;
        if (p->why != NULL) {
            SA_TRY(sa_runner_end_job(r, (sa_runner_job *)job, err));
        } else if (p->picture->encoded) {
            sa_batcher_move(&r->batcher, job, SA_WANT_SEG_CLICK);
        }
    }
    return SA_OK;
}

sa_status sa_runner_finish_encode(sa_runner *r, sa_error *err)
{
    double begun = sa_clock_seconds();
    sa_status status = sa_segmenter_finish(r->segmenter, err);
    SA_TRY(sa_runner_name_items(status, r->first_segmented, r->segmenting, err));
    for (size_t i = 0; i < r->segmenting; i++) {
        r->encoding[i]->encoded = true;
    }
    SA_TRY(pass_jobs(r, SA_SEGMENTING, err));
    SA_TRY(pass_jobs(r, SA_WANT_SEG_ENCODE, err)); /* those that came meanwhile */
    r->counts->pictures += r->segmenting;
    r->counts->encode += sa_clock_seconds() - begun;
    return SA_OK;
}

/* ---- clicks ---- */

static void free_segmented(sa_runner *r, size_t at)
{
    free(r->segmented[at].best_state);
    sa_mask_free(&r->masks[at]);
    r->segmented[at] = (sa_segmenter_answer){0};
}

static sa_status write_query(sa_runner *r, size_t at, const sa_runner_job *job, sa_error *err)
{
    sa_runner_place *p = job->place;
    sa_prompt prompt = p->begun;
    const float *state = NULL;
    sa_click *clicks = r->clicks + at * sa_runner_most_clicks(&r->options);
    if (job->work != SA_START) {
        SA_TRY(sa_episode_prompt(p->episode, job->work, &prompt, &state, err));
    }
    SA_ASSERT(prompt.click_count <= sa_runner_most_clicks(&r->options));
    if (prompt.click_count > 0) {
        memcpy(clicks, prompt.clicks, prompt.click_count * sizeof *clicks);
    }
    prompt.clicks = clicks;
    r->queries[at] = (sa_segmenter_query){p->picture->slot, prompt, {state}};
    r->segmented[at] = (sa_segmenter_answer){0};
    SA_TRY(sa_mask_new(&r->masks[at], p->picture->image.height, p->picture->image.width, err));
    r->segmented[at].best_mask = &r->masks[at];
    return sa_runner_feeds_back(r) ? sa_runner_new_state(r, p->item, &r->segmented[at].best_state, err)
                                   : SA_OK;
}

static sa_status take_mask(sa_runner *r, size_t at, sa_error *err)
{
    sa_runner_job *job = r->asking[at];
    sa_segmenter_answer *a = &r->segmented[at];
    sa_runner_place *p = job->place;
    if (p->why != NULL) { /* its item has failed meanwhile */
        return sa_runner_end_job(r, job, err);
    }
    if (!a->finite) {
        sa_error why;
        sa_runner_fail_precision(p, &why);
        return sa_runner_fail_job(r, job, &why, err);
    }
    if (job->work == SA_START) {
        p->mask = r->masks[at];
        p->state = a->best_state;
        r->masks[at] = (sa_mask){0};
    } else {
        sa_episode_click(p->episode, job->work, &r->masks[at], a->best_hash, a->best_state,
                         a->scores[a->best]);
    }
    a->best_state = NULL;
    return sa_runner_end_job(r, job, err);
}

/* The first jobs that wait for a click. */
static sa_status choose_clicks(sa_runner *r, sa_error *err)
{
    r->segmenting = 0;
    while (r->segmenting < r->options.batch) {
        sa_runner_job *job = (sa_runner_job *)sa_batcher_first(&r->batcher, SA_WANT_SEG_CLICK);
        if (job == NULL) {
            break;
        }
        SA_TRY(write_query(r, r->segmenting, job, err));
        sa_batcher_move(&r->batcher, &job->job, SA_SEGMENTING);
        r->asking[r->segmenting++] = job;
    }
    return SA_OK;
}

/* Whatever is left of a call of the segmenter. */
static void free_all_segmented(sa_runner *r)
{
    for (size_t i = 0; i < r->options.batch; i++) {
        free_segmented(r, i);
    }
}

sa_status sa_runner_start_click(sa_runner *r, sa_error *err)
{
    double begun = sa_clock_seconds();
    r->first_segmented = ((sa_runner_job *)sa_batcher_first(&r->batcher, SA_WANT_SEG_CLICK))->place->item;
    sa_status status = choose_clicks(r, err);
    if (status == SA_OK) {
        status = sa_segmenter_click_start(r->segmenter, r->queries, r->segmented, r->segmenting, err);
    }
    if (status != SA_OK) {
        free_all_segmented(r);
    }
    r->counts->click += sa_clock_seconds() - begun;
    return sa_runner_name_items(status, r->first_segmented, r->segmenting, err);
}

sa_status sa_runner_finish_click(sa_runner *r, sa_error *err)
{
    double begun = sa_clock_seconds();
    sa_status status = sa_segmenter_finish(r->segmenter, err);
    status = sa_runner_name_items(status, r->first_segmented, r->segmenting, err);
    for (size_t i = 0; i < r->segmenting && status == SA_OK; i++) {
        status = take_mask(r, i, err);
    }
    free_all_segmented(r);
    r->counts->click += sa_clock_seconds() - begun;
    return status;
}

void sa_runner_abandon_segmenter(sa_runner *r)
{
    sa_error ignored;
    (void)sa_segmenter_finish(r->segmenter, &ignored);
    free_all_segmented(r);
}
