/* Clicks are carried out: those of all items together. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/hlmat/runner_parts.h"

static void free_segmented(sa_runner *r, size_t at)
{
    free(r->segmented[at].best_state);
    sa_mask_free(&r->masks[at]);
    r->segmented[at] = (sa_segmenter_answer){0};
}

static sa_status add_query(sa_runner *r, size_t at, sa_runner_place *p, size_t index, sa_error *err)
{
    sa_prompt prompt;
    const float *state;
    const sa_image *image = &r->pictures[p->picture].image;
    sa_click *clicks = r->clicks + at * sa_runner_most_clicks(&r->options);
    SA_TRY(sa_episode_prompt(p->episode, index, &prompt, &state, err));
    SA_ASSERT(prompt.click_count <= sa_runner_most_clicks(&r->options));
    memcpy(clicks, prompt.clicks, prompt.click_count * sizeof *clicks);
    prompt.clicks = clicks;
    r->queries[at] = (sa_segmenter_query){p->picture, prompt, {state}};
    r->segmented[at] = (sa_segmenter_answer){0};
    r->owner[at] = p;
    r->work[at] = index;
    SA_TRY(sa_mask_new(&r->masks[at], image->height, image->width, err));
    r->segmented[at].best_mask = &r->masks[at];
    sa_status status =
        sa_runner_feeds_back(r) ? sa_runner_new_state(r, p->item, &r->segmented[at].best_state, err) : SA_OK;
    if (status != SA_OK) {
        sa_mask_free(&r->masks[at]);
    }
    return status;
}

static sa_status take_mask(sa_runner *r, size_t at, sa_error *err)
{
    sa_runner_place *p = r->owner[at];
    sa_segmenter_answer *a = &r->segmented[at];
    sa_error why = {0};
    if (p->item == NULL) {
        return SA_OK;
    }
    if (!a->finite) {
        sa_runner_fail_precision(p, &why);
        return sa_runner_fail_item(r, p, &why, err);
    }
    float *state = a->best_state;
    a->best_state = NULL;
    sa_episode_click(p->episode, r->work[at], &r->masks[at], state, a->scores[a->best]);
    return SA_OK;
}

static sa_status ask_segmenter(sa_runner *r, size_t *count, sa_error *err)
{
    if (*count == 0) {
        return SA_OK;
    }
    double begun = sa_clock_seconds();
    sa_status status = sa_segmenter_click(r->segmenter, r->queries, r->segmented, *count, err);
    status = status == SA_OK ? SA_OK : sa_runner_name_items(status, r->owner[0], *count, err);
    for (size_t i = 0; i < *count; i++) {
        status = status == SA_OK ? take_mask(r, i, err) : status;
        free_segmented(r, i);
    }
    r->counts->click += sa_clock_seconds() - begun;
    *count = 0;
    return status;
}

static sa_status click_of(sa_runner *r, sa_runner_place *p, size_t *count, sa_error *err)
{
    size_t works;
    const sa_work *all = sa_episode_works(p->episode, &works);
    for (size_t w = 0; w < works && p->item != NULL; w++) {
        if (all[w].kind != SA_WORK_CLICK || !all[w].open) {
            continue;
        }
        sa_error why = {0};
        if (add_query(r, *count, p, w, &why) != SA_OK) {
            SA_TRY(ask_segmenter(r, count, err));
            return p->item != NULL ? sa_runner_fail_work(r, p, &why, err) : SA_OK;
        }
        if (++*count == r->options.batch) {
            SA_TRY(ask_segmenter(r, count, err));
        }
    }
    return SA_OK;
}

sa_status sa_runner_click(sa_runner *r, sa_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < r->options.batch; i++) {
        if (r->places[i].item != NULL) {
            SA_TRY(click_of(r, &r->places[i], &count, err));
        }
    }
    return ask_segmenter(r, &count, err);
}
