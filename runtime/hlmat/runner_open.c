/* What a run needs before its first item: the models, its memory, and what a device that computes nothing
 * says. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/sizes.h"
#include "runtime/hlmat/lesson_rows.h"
#include "runtime/hlmat/runner_parts.h"

/* ---- models ---- */

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
    options.slots = o->in_flight;
    options.batch = o->batch;
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

static bool is_one_of(int32_t token, const int32_t *tokens, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (tokens[i] == token) {
            return true;
        }
    }
    return false;
}

/* A device that computes nothing says this, with other digits behind the first one of each number. */
static sa_status set_answer(const sa_runner *r, const sa_tokens *answer, sa_error *err)
{
    bool *varies = calloc(answer->count, sizeof *varies);
    int32_t *digits = calloc(r->digits.count + 1, sizeof *digits);
    size_t count = 0;
    if (varies == NULL || digits == NULL) {
        free(varies);
        free(digits);
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for an answer");
    }
    for (size_t i = 0; i < r->digits.count; i++) {
        if (r->digits.length[i] == 1) {
            digits[count++] = r->digits.ids[i];
        }
    }
    for (size_t i = 1; i < answer->count; i++) {
        varies[i] = is_one_of(answer->ids[i], digits, count) && is_one_of(answer->ids[i - 1], digits, count);
    }
    sa_status status =
        sa_device_set_null_answer(r->device, answer->ids, varies, answer->count, digits, count, err);
    free(varies);
    free(digits);
    return status;
}

/* An answer of the agent's form. */
static sa_status rehearse(sa_runner *r, sa_error *err)
{
    const sa_lesson_row example = {.mask = {.height = 1000, .width = 1000},
                                   .iou = 0.57,
                                   .action = {.positive = true, .row = 456, .col = 543}};
    const sa_tokenizer *tokenizer = sa_chat_tokenizer(r->chat);
    sa_tokens answer = {0};
    char text[512];
    sa_lesson_answer(r->options.episode.agent, &example, text, sizeof text);
    sa_status status = sa_tokenizer_encode(tokenizer, text, strlen(text), 0, &answer, err);
    if (status == SA_OK) {
        sa_tokens_append(&answer, sa_tokenizer_special(tokenizer)->eos[0]);
        status = answer.failed ? sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for an answer")
                               : set_answer(r, &answer, err);
    }
    sa_tokens_free(&answer);
    return status;
}

/*
 * Beginnings of prompts that others may have, too: those of the states of all searches at work. A single
 * answer to a state leaves none but what phrases of one picture share, which is asked for at about the same
 * time, and a batch's own pages have room for that: so where memory is the host's, whose first touch takes
 * longer than it saves, none besides.
 */
static size_t kept_beginnings(const sa_runner *r)
{
    const sa_episode_options *o = &r->options.episode;
    bool branches = sa_search_branches(o->search) && o->options.candidates > 1;
    return branches || !sa_device_reads_host(r->device) ? r->options.in_flight * (o->options.candidates + 1)
                                                        : 0;
}

static sa_status open_policy(sa_runner *r, sa_error *err)
{
    const sa_runner_options *o = &r->options;
    const sa_agent *agent = o->episode.agent;
    sa_chat_options options = sa_chat_default_options();
    options.precision = o->precision;
    options.batch = options.pictures = o->batch;
    options.kept = kept_beginnings(r);
    options.pages = o->kv_pages;
    options.max_pixels = o->max_pixels;
    options.max_side = o->max_side;
    options.template = agent->template;
    sa_image_paint_table(&agent->overlay, r->paint);
    SA_TRY(sa_chat_open(&r->chat, r->device, agent->policy, &options, err));
    if (!sa_chat_sees(r->chat)) {
        return sa_fail(err, SA_BAD_INPUT, agent->policy, "name a model that sees, such as a LLaVA",
                       "the policy reads text alone");
    }
    SA_TRY(find_stops(r, err));
    SA_TRY(agent->judges ? sa_answer_find_digits(sa_chat_tokenizer(r->chat), &r->digits, err) : SA_OK);
    SA_TRY(sa_device_computes(r->device) ? SA_OK : rehearse(r, err));
    return sa_answer_grammar(agent, &r->grammar, err);
}

static sa_status take_memory(sa_runner *r, sa_error *err)
{
    size_t batch = r->options.batch;
    r->answers = calloc(batch, sizeof *r->answers);
    r->free_answers = calloc(batch, sizeof *r->free_answers);
    r->queries = calloc(batch, sizeof *r->queries);
    r->segmented = calloc(batch, sizeof *r->segmented);
    r->clicks = calloc(batch * sa_runner_most_clicks(&r->options), sizeof *r->clicks);
    r->masks = calloc(batch, sizeof *r->masks);
    r->asking = calloc(batch, sizeof(sa_runner_job *));
    r->images = calloc(batch, sizeof(sa_image *));
    r->slots = calloc(batch, sizeof *r->slots);
    r->encoding = calloc(batch, sizeof(sa_runner_picture *));
    bool there = r->answers != NULL && r->free_answers != NULL && r->queries != NULL &&
                 r->segmented != NULL && r->clicks != NULL && r->masks != NULL && r->asking != NULL &&
                 r->images != NULL && r->slots != NULL && r->encoding != NULL;
    SA_TRY(there ? SA_OK : sa_fail(err, SA_NO_ROOM, NULL, "lower --batch", "no memory for %zu items", batch));
    SA_TRY(sa_runner_open_pictures(r, err));
    return sa_runner_open_hands(r, err);
}

/* Two for pictures and results; and where steps are theirs, too, as many as the host has threads for the run.
 */
static size_t usual_hands(const sa_runner_options *o, const sa_device *device)
{
    enum { FEW = 2, MANY = 16 };
    size_t threads = (size_t)sa_pool_threads(sa_device_pool(device));
    return o->episode.policy == SA_POLICY_ANNOTATOR ? sa_most(sa_least(threads, MANY), FEW) : FEW;
}

/* What the options leave open. */
static sa_runner_options complete(const sa_runner_options *given, const sa_device *device)
{
    sa_runner_options o = *given;
    size_t memory = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGE_SIZE);
    o.in_flight = o.in_flight != 0 ? o.in_flight : 2 * o.batch;
    o.hands = o.hands != 0 ? o.hands : usual_hands(given, device);
    o.ahead = o.ahead != 0 ? o.ahead : o.batch;
    o.host_bytes = o.host_bytes != 0 ? o.host_bytes : memory / 4 / sa_most(o.sharers, 1);
    return o;
}

sa_status sa_runner_open(sa_runner **out, sa_device *device, const sa_runner_options *options, sa_error *err)
{
    SA_ASSERT(options->batch >= 1 && options->hands != 1); /* one may wait for items, one tells results */
    sa_runner *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a run");
    }
    r->options = complete(options, device);
    r->device = device;
    r->batcher.encodes = r->batcher.answers = r->batcher.clicks = r->options.batch;
    pthread_mutex_init(&r->lock, NULL);
    pthread_mutex_init(&r->client_lock, NULL);
    pthread_cond_init(&r->hands.work, NULL);
    pthread_cond_init(&r->hands.news, NULL);
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
    sa_runner_close_hands(r);
    sa_runner_close_pictures(r);
    sa_chat_close(r->chat);
    sa_segmenter_close(r->segmenter);
    sa_grammar_close(r->grammar);
    sa_answer_digits_free(&r->digits);
    pthread_cond_destroy(&r->hands.work);
    pthread_cond_destroy(&r->hands.news);
    pthread_mutex_destroy(&r->lock);
    pthread_mutex_destroy(&r->client_lock);
    free(r->stops);
    free(r->answers);
    free(r->free_answers);
    free(r->queries);
    free(r->segmented);
    free(r->clicks);
    free(r->masks);
    free(r->asking);
    free(r->images);
    free(r->slots);
    free(r->encoding);
    free(r);
}

size_t sa_runner_window(const sa_runner *r)
{
    return r->options.in_flight + r->options.ahead;
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

sa_cost_model sa_runner_roofline(const sa_runner *r, const sa_cost_device *device)
{
    const double launches = 1e-4; /* of a stage's kernels, one behind the other */
    sa_cost_model m = {0};
    if (r->segmenter != NULL) {
        sa_segmenter_costs c = sa_segmenter_get_costs(r->segmenter);
        m.curves[SA_COST_ENCODE] = sa_cost_roofline(device, c.encode, (double)c.weight_bytes, launches);
        m.curves[SA_COST_CLICK] = sa_cost_roofline(device, c.click, 0, launches);
    }
    if (r->chat != NULL) {
        sa_chat_costs c = sa_chat_get_costs(r->chat);
        m.curves[SA_COST_VISION] = sa_cost_roofline(device, c.picture_flops, c.picture_bytes, launches);
        m.curves[SA_COST_FORWARD] = sa_cost_roofline(device, c.token_flops, c.token_bytes, launches);
    }
    return m;
}

bool sa_runner_ends_run(sa_status status)
{
    return status == SA_NO_DEVICE || status == SA_IO;
}

sa_status sa_runner_name_items(sa_status status, const sa_item *first, size_t count, sa_error *err)
{
    if (status != SA_OK && status != SA_INTERRUPTED && err != NULL) {
        sa_error why = *err;
        return sa_fail(err, status, why.file, why.hint, "%.800s, with %zu item%s from %.80s on", why.reason,
                       count, count == 1 ? "" : "s", first->id);
    }
    return status;
}

sa_status sa_runner_check(sa_runner *r, const sa_item *item, sa_error *err)
{
    sa_runner_counts counts = {0};
    sa_runner_place *p;
    r->counts = &counts;
    sa_status status = sa_runner_load_item(r, item, 0, &p, err);
    if (p != NULL) {
        sa_runner_free_place(r, p);
    }
    return status;
}
