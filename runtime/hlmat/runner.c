#include "runtime/hlmat/runner.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/hlmat/runner_parts.h"

/* ---- opening ---- */

static bool asks_policy(const sa_runner_options *o)
{
    const sa_episode_options *e = &o->episode;
    bool scores = e->options.score == SA_SCORE_EXPECTED || e->options.score == SA_SCORE_PRINTED;
    return e->policy == SA_POLICY_MODEL || (e->agent->judges && (scores || e->judged));
}

/* The segmenter makes the mask to begin with. */
bool sa_runner_starts_by_prompt(const sa_runner_options *o)
{
    return o->start == SA_START_BOX || o->start == SA_START_CLICKS;
}

/* States are fed back where the agent wants it, and where a given mask would be forgotten without. */
bool sa_runner_feeds_back(const sa_runner *r)
{
    return r->segmenter != NULL &&
           (r->options.start == SA_START_GIVEN || r->options.episode.agent->previous_mask);
}

sa_status sa_runner_new_state(const sa_runner *r, const sa_item *item, float **state, sa_error *err)
{
    *state = malloc(sa_segmenter_state_size(r->segmenter) * sizeof **state);
    return *state != NULL ? SA_OK
                          : sa_fail(err, SA_NO_ROOM, item->path, "lower --batch", "no memory for a state");
}

size_t sa_runner_most_clicks(const sa_runner_options *o)
{
    return o->episode.options.steps + SA_START_MOST_CLICKS;
}

static sa_status open_segmenter(sa_runner *r, sa_error *err)
{
    const sa_runner_options *o = &r->options;
    const sa_agent *agent = o->episode.agent;
    sa_segmenter_options options = sa_segmenter_default_options();
    options.precision = o->precision;
    options.slots = options.batch = o->batch;
    options.max_clicks = sa_runner_most_clicks(o);
    options.max_pixels = o->max_pixels;
    options.max_side = o->max_side;
    SA_TRY(sa_segmenter_open(&r->segmenter, r->device, agent->segmenter, &options, err));
    if (agent->mask_threshold != 0 && strcmp(sa_segmenter_kind(r->segmenter), "sam") == 0) {
        return sa_fail(err, SA_BAD_INPUT, agent->file, "write 0 for a SAM",
                       "key \"mask_threshold\" is %g, and SAM's masks begin at 0", agent->mask_threshold);
    }
    return SA_OK;
}

/* The template's, and, where no clicks are the policy's, what they begin with: the IoU stands before it. */
static sa_status find_stops(sa_runner *r, sa_error *err)
{
    const char *const *stops = sa_template_stops(sa_chat_template(r->chat));
    const sa_agent *agent = r->options.episode.agent;
    size_t count = 0;
    while (stops[count] != NULL) {
        count++;
    }
    r->stops = calloc(count + 3, sizeof *r->stops);
    if (r->stops == NULL) {
        return sa_fail(err, SA_NO_ROOM, agent->policy, NULL, "no memory for a policy");
    }
    for (size_t i = 0; i < count; i++) {
        r->stops[i] = stops[i];
    }
    if (r->options.episode.policy != SA_POLICY_MODEL) {
        r->stops[count] = agent->action.positive;
        r->stops[count + 1] = agent->action.negative;
    }
    return SA_OK;
}

static sa_status open_policy(sa_runner *r, sa_error *err)
{
    const sa_runner_options *o = &r->options;
    const sa_agent *agent = o->episode.agent;
    sa_chat_options options = sa_chat_default_options();
    options.precision = o->precision;
    options.batch = options.pictures = o->batch;
    options.max_pixels = o->max_pixels;
    options.max_side = o->max_side;
    options.template = agent->template;
    SA_TRY(sa_chat_open(&r->chat, r->device, agent->policy, &options, err));
    if (!sa_chat_sees(r->chat)) {
        return sa_fail(err, SA_BAD_INPUT, agent->policy, "name a model that sees, such as a LLaVA",
                       "the policy reads text alone");
    }
    SA_TRY(find_stops(r, err));
    SA_TRY(agent->judges ? sa_answer_find_digits(sa_chat_tokenizer(r->chat), &r->digits, err) : SA_OK);
    return sa_answer_grammar(agent, &r->grammar, err);
}

static sa_status take_memory(sa_runner *r, sa_error *err)
{
    size_t batch = r->options.batch, candidates = r->options.episode.options.candidates;
    r->most = batch > candidates ? batch : candidates;
    r->pictures = calloc(batch, sizeof *r->pictures);
    r->places = calloc(batch, sizeof *r->places);
    r->painted = calloc(r->most, sizeof *r->painted);
    r->requests = calloc(r->most, sizeof *r->requests);
    r->answers = calloc(r->most, sizeof *r->answers);
    r->queries = calloc(batch, sizeof *r->queries);
    r->segmented = calloc(batch, sizeof *r->segmented);
    r->clicks = calloc(batch * sa_runner_most_clicks(&r->options), sizeof *r->clicks);
    r->masks = calloc(batch, sizeof *r->masks);
    r->owner = calloc(r->most, sizeof *r->owner);
    r->work = calloc(r->most, sizeof *r->work);
    bool there = r->pictures != NULL && r->places != NULL && r->painted != NULL && r->requests != NULL &&
                 r->answers != NULL && r->queries != NULL && r->segmented != NULL && r->clicks != NULL &&
                 r->masks != NULL && r->owner != NULL && r->work != NULL;
    return there ? SA_OK : sa_fail(err, SA_NO_ROOM, NULL, "lower --batch", "no memory for %zu items", batch);
}

sa_status sa_runner_open(sa_runner **out, sa_device *device, const sa_runner_options *options, sa_error *err)
{
    SA_ASSERT(options->batch >= 1);
    sa_runner *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a run");
    }
    r->options = *options;
    r->device = device;
    sa_status status = take_memory(r, err);
    if (status == SA_OK && (options->episode.options.steps > 0 || sa_runner_starts_by_prompt(options))) {
        status = open_segmenter(r, err);
    }
    if (status == SA_OK && asks_policy(options)) {
        status = open_policy(r, err);
    }
    if (status != SA_OK) {
        sa_runner_close(r);
        return status;
    }
    *out = r;
    return SA_OK;
}

void sa_runner_close(sa_runner *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; r->places != NULL && r->pictures != NULL && i < r->options.batch; i++) {
        sa_runner_free_place(r, &r->places[i]);
    }
    for (size_t i = 0; r->pictures != NULL && i < r->options.batch; i++) {
        sa_runner_free_picture(&r->pictures[i]);
    }
    sa_chat_close(r->chat);
    sa_segmenter_close(r->segmenter);
    sa_grammar_close(r->grammar);
    sa_answer_digits_free(&r->digits);
    free(r->stops);
    free(r->pictures);
    free(r->places);
    free(r->painted);
    free(r->requests);
    free(r->answers);
    free(r->queries);
    free(r->segmented);
    free(r->clicks);
    free(r->masks);
    free(r->owner);
    free(r->work);
    free(r);
}

sa_runner_memory sa_runner_get_memory(const sa_runner *r)
{
    sa_runner_memory memory = {0};
    if (r->segmenter != NULL) {
        sa_segmenter_costs c = sa_segmenter_get_costs(r->segmenter);
        memory.segmenter = c.weight_bytes + c.activation_bytes + c.slot_bytes;
    }
    memory.policy = r->chat != NULL ? sa_chat_memory(r->chat) : 0;
    return memory;
}

/* ---- works ---- */

static sa_status finish_item(sa_runner *r, sa_runner_place *p, sa_error *err)
{
    sa_result result;
    sa_error why = {0};
    sa_status status = sa_episode_result(p->episode, &result, &why);
    if (status != SA_OK) {
        return sa_runner_fail_work(r, p, &why, err);
    }
    sa_episode_counts c = sa_episode_get_counts(p->episode), *all = &r->counts->of_episodes;
    all->thoughts += c.thoughts;
    all->clicks += c.clicks;
    all->retried += c.retried;
    all->failed += c.failed;
    all->clamped += c.clamped;
    all->nodes += c.nodes;
    all->merged += c.merged;
    result.meta = p->item->meta != NULL ? json_incref(p->item->meta) : NULL;
    status = r->client->finished(r->client->context, p->index, &result, err);
    sa_result_free(&result);
    sa_runner_free_place(r, p);
    return status;
}

/* Goes on with an item whose works are all answered. */
static sa_status step_item(sa_runner *r, sa_runner_place *p, sa_error *err)
{
    sa_error why = {0};
    sa_status status = p->opened ? SA_OK : sa_runner_open_episode(r, p, &why);
    if (status == SA_OK && r->options.seconds > 0 && sa_clock_seconds() - p->since > r->options.seconds) {
        sa_episode_stop(p->episode);
    }
    if (status == SA_OK && !sa_episode_waits(p->episode)) {
        status = sa_episode_step(p->episode, &why);
    }
    if (status != SA_OK) {
        return sa_runner_fail_work(r, p, &why, err);
    }
    return sa_episode_done(p->episode) ? finish_item(r, p, err) : SA_OK;
}

static sa_status step_items(sa_runner *r, sa_error *err)
{
    for (size_t i = 0; i < r->options.batch; i++) {
        if (r->places[i].item != NULL) {
            SA_TRY(step_item(r, &r->places[i], err));
        }
    }
    return SA_OK;
}

bool sa_runner_is_interrupted(void *context)
{
    const sa_runner_client *client = context;
    return client->interrupted != NULL && client->interrupted(client->context);
}

/* ---- all of it ---- */

static sa_status run_all(sa_runner *r, sa_error *err)
{
    bool more = true;
    for (;;) {
        size_t full;
        if (sa_runner_is_interrupted((void *)r->client)) {
            return sa_fail(err, SA_INTERRUPTED, NULL, "run the same command again to go on", "interrupted");
        }
        SA_TRY(sa_runner_fill_places(r, &more, &full, err));
        if (full == 0) {
            return SA_OK;
        }
        SA_TRY(sa_runner_encode_pictures(r, err));
        SA_TRY(step_items(r, err));
        SA_TRY(sa_runner_think(r, err));
        SA_TRY(step_items(r, err));
        SA_TRY(sa_runner_click(r, err));
    }
}

static sa_chat_counts policy_counts(const sa_runner *r)
{
    return r->chat != NULL ? sa_chat_get_counts(r->chat) : (sa_chat_counts){0};
}

sa_status sa_runner_run(sa_runner *r, const sa_runner_client *client, sa_runner_counts *counts, sa_error *err)
{
    r->client = client;
    r->counts = counts;
    *counts = (sa_runner_counts){0};
    const sa_chat_counts before = policy_counts(r);
    sa_status status = run_all(r, err);
    counts->of_policy = sa_chat_counts_since(policy_counts(r), before);
    for (size_t i = 0; i < r->options.batch; i++) {
        sa_runner_free_place(r, &r->places[i]);
    }
    return status;
}
