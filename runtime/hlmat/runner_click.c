/* Pictures are encoded, and clicks are carried out, those of all items together. */
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

sa_status sa_runner_run_encode(sa_runner *r, sa_error *err)
{
    double begun = sa_clock_seconds();
    const sa_runner_job *first = (const sa_runner_job *)sa_batcher_first(&r->batcher, SA_WANT_SEG_ENCODE);
    size_t count = choose_pictures(r);
    sa_status status = sa_segmenter_encode(r->segmenter, r->images, r->slots, count, err);
    SA_TRY(sa_runner_name_items(status, first->place->item, count, err));
    for (size_t i = 0; i < count; i++) {
        r->encoding[i]->encoded = true;
    }
    for (sa_job *job = sa_batcher_first(&r->batcher, SA_WANT_SEG_ENCODE), *next; job != NULL; job = next) {
        next = job->next;
        if (((sa_runner_job *)job)->place->picture->encoded) {
            sa_batcher_move(&r->batcher, job, SA_WANT_SEG_CLICK);
        }
    }
    r->counts->pictures += count;
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

/* The item of this click is about to be gone, with the others of its clicks. */
static void forget_others(sa_runner *r, size_t at, size_t count)
{
    for (size_t i = at + 1; i < count; i++) {
        if (r->asking[i] != NULL && r->asking[i]->place == r->asking[at]->place) {
            r->asking[i] = NULL;
        }
    }
}

static sa_status take_mask(sa_runner *r, size_t at, size_t count, sa_error *err)
{
    sa_runner_job *job = r->asking[at];
    sa_segmenter_answer *a = &r->segmented[at];
    if (job == NULL) {
        return SA_OK; /* its item failed with a click before this one */
    }
    sa_runner_place *p = job->place;
    if (!a->finite) {
        sa_error why;
        sa_runner_fail_precision(p, &why);
        forget_others(r, at, count);
        return sa_runner_fail_job(r, job, &why, err);
    }
    if (job->work == SA_START) {
        p->mask = r->masks[at];
        p->state = a->best_state;
        r->masks[at] = (sa_mask){0};
    } else {
        sa_episode_click(p->episode, job->work, &r->masks[at], a->best_state, a->scores[a->best]);
    }
    a->best_state = NULL;
    return sa_runner_end_job(r, job, err);
}

/* The first jobs that wait for a click. */
static sa_status choose_clicks(sa_runner *r, size_t *count, sa_error *err)
{
    *count = 0;
    for (sa_job *job = sa_batcher_first(&r->batcher, SA_WANT_SEG_CLICK), *next;
         job != NULL && *count < r->options.batch; job = next) {
        next = job->next;
        SA_TRY(write_query(r, *count, (sa_runner_job *)job, err));
        r->asking[(*count)++] = (sa_runner_job *)job;
    }
    return SA_OK;
}

sa_status sa_runner_run_click(sa_runner *r, sa_error *err)
{
    double begun = sa_clock_seconds();
    size_t count;
    const sa_item *first = ((sa_runner_job *)sa_batcher_first(&r->batcher, SA_WANT_SEG_CLICK))->place->item;
    sa_status status = choose_clicks(r, &count, err);
    if (status == SA_OK) {
        status = sa_segmenter_click(r->segmenter, r->queries, r->segmented, count, err);
    }
    status = sa_runner_name_items(status, first, count, err);
    for (size_t i = 0; i < count; i++) {
        status = status == SA_OK ? take_mask(r, i, count, err) : status;
    }
    for (size_t i = 0; i < r->options.batch; i++) {
        free_segmented(r, i);
    }
    r->counts->click += sa_clock_seconds() - begun;
    return status;
}
