/* The policy is asked: of all items together what it thinks of their states. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/hlmat/runner_parts.h"

enum { MOST_ANSWER = 64 }; /* tokens: a click has twenty or so, one with a box twice as many */

/* The picture as the policy sees it: with the mask on it, and through a JPEG if the agent's was. */
static sa_status paint(const sa_agent *agent, const sa_image *image, const sa_mask *mask, sa_image *out,
                       sa_error *err)
{
    SA_TRY(sa_agent_paint(agent, image, mask, out, err));
    if (agent->jpeg_quality == 0) {
        return SA_OK;
    }
    unsigned char *bytes;
    size_t size;
    sa_status encoded = sa_image_encode_jpeg(out, agent->jpeg_quality, &bytes, &size, err);
    sa_image_free(out);
    SA_TRY(encoded);
    sa_image_limits limits = sa_image_default_limits();
    limits.max_pixels = limits.max_side = SIZE_MAX; /* it was within limits when it was read */
    sa_status status = sa_image_decode("painted picture", bytes, size, &limits, out, err);
    free(bytes);
    return status;
}

/* One more request for a THINK; `same`: of the same node as the one before it. */
static sa_status add_request(sa_runner *r, size_t at, sa_runner_place *p, size_t index, const sa_work *work,
                             bool same, sa_error *err)
{
    sa_runner_painted *look = &r->painted[at];
    if (same) {
        r->requests[at] = r->requests[at - 1];
    } else {
        SA_TRY(paint(r->options.episode.agent, &r->pictures[p->picture].image,
                     sa_episode_mask(p->episode, work->node), &look->image, err));
        look->list[0] = &look->image;
        r->requests[at] = (sa_chat_request){.tokens = p->prompt.ids,
                                            .count = p->prompt.count,
                                            .pictures = look->list,
                                            .picture_count = 1,
                                            .item = sa_episode_key(p->episode)};
        r->counts->seen++;
    }
    r->requests[at].node = (uint32_t)work->node;
    r->requests[at].candidate = work->candidate;
    r->requests[at].greedy = work->greedy;
    r->requests[at].grammar = work->forced ? r->grammar : NULL;
    r->owner[at] = p;
    r->work[at] = index;
    return SA_OK;
}

/* An item may have failed with an answer before this one. */
static sa_status take_answer(sa_runner *r, size_t at, sa_error *err)
{
    sa_runner_place *p = r->owner[at];
    sa_generate_answer *answer = &r->answers[at];
    if (p->item == NULL) {
        return SA_OK;
    }
    if (answer->status != SA_OK) {
        return sa_runner_fail_item(r, p, &answer->error, err);
    }
    sa_error why = {0};
    sa_status status = sa_episode_answer(p->episode, r->work[at], answer, &r->digits, &why);
    return status == SA_OK ? SA_OK : sa_runner_fail_work(r, p, &why, err);
}

/* Asks what was gathered. */
static sa_status ask_policy(sa_runner *r, size_t *count, sa_error *err)
{
    if (*count == 0) {
        return SA_OK; /* perhaps since there is no policy to ask */
    }
    sa_generate_options options = sa_generate_default_options();
    sa_generate_watcher watcher = {.context = (void *)r->client, .interrupted = sa_runner_is_interrupted};
    double vision, begun = sa_clock_seconds();
    options.temperature = (float)r->options.episode.agent->temperature;
    options.max_tokens = MOST_ANSWER;
    options.stops = r->stops;
    options.seed = r->options.episode.seed;
    options.probes = r->digits.ids; /* none of an agent that does not judge */
    options.probe_count = r->digits.count;
    options.varying = r->digits.ids;
    options.varying_count = r->digits.count;
    sa_status status =
        sa_chat_answer(r->chat, r->requests, *count, &options, &watcher, r->answers, &vision, err);
    if (status != SA_OK && status != SA_INTERRUPTED) {
        status = sa_runner_name_items(status, r->owner[0], *count, err);
    }
    for (size_t i = 0; i < *count; i++) {
        status = status == SA_OK ? take_answer(r, i, err) : status;
    }
    for (size_t i = 0; i < *count; i++) {
        sa_generate_answer_free(&r->answers[i]);
        sa_image_free(&r->painted[i].image);
    }
    r->counts->think += sa_clock_seconds() - begun;
    *count = 0;
    return status;
}

static bool is_asked(const sa_work *work, sa_node_id node)
{
    return work->kind == SA_WORK_THINK && work->open && work->node == node;
}

/*
 * Asks for all that is open of work `first` and those behind it with the same node. They go together, so that
 * the state is painted, seen and prefilled once: what was gathered before goes first if there is too little
 * room beside it. Only pictures are bounded by the batch, so a state with more candidates has room, too.
 */
static sa_status think_of_node(sa_runner *r, sa_runner_place *p, const sa_work *all, size_t works,
                               size_t first, size_t *count, sa_error *err)
{
    sa_node_id node = all[first].node;
    size_t open = 0, begun;
    for (size_t w = first; w < works; w++) {
        open += is_asked(&all[w], node);
    }
    if (*count + open > r->options.batch) {
        SA_TRY(ask_policy(r, count, err));
    }
    begun = *count;
    SA_ASSERT(begun + open <= r->most);
    for (size_t w = first; w < works && p->item != NULL; w++) {
        sa_error why = {0};
        if (is_asked(&all[w], node) && add_request(r, *count, p, w, &all[w], *count > begun, &why) != SA_OK) {
            SA_TRY(ask_policy(r, count, err)); /* the ones before it, which may be this item's */
            return p->item != NULL ? sa_runner_fail_work(r, p, &why, err) : SA_OK;
        }
        *count += is_asked(&all[w], node);
    }
    return SA_OK;
}

static sa_status think_of(sa_runner *r, sa_runner_place *p, size_t *count, sa_error *err)
{
    size_t works;
    sa_node_id before = SA_NO_NODE;
    const sa_work *all = sa_episode_works(p->episode, &works);
    for (size_t w = 0; w < works && p->item != NULL; w++) {
        if (is_asked(&all[w], all[w].node) && all[w].node != before) {
            before = all[w].node;
            SA_TRY(think_of_node(r, p, all, works, w, count, err));
        }
    }
    return SA_OK;
}

sa_status sa_runner_think(sa_runner *r, sa_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < r->options.batch; i++) {
        if (r->places[i].item != NULL) {
            SA_TRY(think_of(r, &r->places[i], &count, err));
        }
    }
    return ask_policy(r, &count, err);
}
