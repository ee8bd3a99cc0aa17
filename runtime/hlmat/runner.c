#include "runtime/hlmat/runner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/philox.h"
#include "runtime/engine/chat.h"

enum { MOST_ANSWER = 64 }; /* tokens: a click has twenty or so, one with a box twice as many */

/* A picture that is encoded; items with the same path share it. */
typedef struct {
    char *path; /* NULL: none */
    sa_image image;
    size_t users;
    bool encoded;
} picture;

/* An item at work. */
typedef struct {
    const sa_item *item; /* NULL: free */
    size_t index;
    size_t picture; /* its place among the pictures, and the segmenter's slot */
    bool opened;    /* the episode is there */
    sa_mask mask, truth;
    float *state; /* that the mask came with; NULL: none */
    sa_prompt begun;
    sa_click clicks[SA_START_MOST_CLICKS];
    sa_tokens prompt;
    sa_episode *episode;
    double since; /* clock when it came in */
} place;

/* A painted picture of the batch at hand. */
typedef struct {
    sa_image image;
    const sa_image *list[1]; /* what the request points to */
} painted;

struct sa_runner {
    sa_runner_options options;
    sa_device *device;
    sa_segmenter *segmenter;
    sa_chat *chat; /* NULL: the policy is not asked */
    sa_grammar *grammar;
    sa_answer_digits digits;
    picture *pictures; /* [batch] */
    place *places;     /* [batch] */
    /* One call of the policy, [batch]: */
    painted *painted;
    sa_chat_request *requests;
    sa_generate_answer *answers;
    /* One call of the segmenter, [batch]: */
    sa_segmenter_query *queries;
    sa_segmenter_answer *segmented;
    sa_click *clicks; /* [batch, steps] */
    sa_mask *masks;
    /* Whose these are, [batch]: */
    place **owner;
    size_t *work;
    const sa_runner_client *client; /* of the run at hand */
    sa_runner_counts *counts;
};

/* ---- opening ---- */

static bool asks_policy(const sa_runner_options *o)
{
    const sa_episode_options *e = &o->episode;
    bool scores = e->options.score == SA_SCORE_EXPECTED || e->options.score == SA_SCORE_PRINTED;
    return e->policy == SA_POLICY_MODEL || (e->agent->judges && (scores || e->judged));
}

/* The segmenter makes the mask to begin with. */
static bool starts_by_prompt(const sa_runner_options *o)
{
    return o->start == SA_START_BOX || o->start == SA_START_CLICKS;
}

/* States are fed back where the agent wants it, and where a given mask would be forgotten without. */
static bool feeds_back(const sa_runner *r)
{
    return r->segmenter != NULL &&
           (r->options.start == SA_START_GIVEN || r->options.episode.agent->previous_mask);
}

static size_t most_clicks(const sa_runner_options *o)
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
    options.max_clicks = most_clicks(o);
    options.max_pixels = o->max_pixels;
    options.max_side = o->max_side;
    SA_TRY(sa_segmenter_open(&r->segmenter, r->device, agent->segmenter, &options, err));
    if (agent->mask_threshold != 0 && strcmp(sa_segmenter_kind(r->segmenter), "sam") == 0) {
        return sa_fail(err, SA_BAD_INPUT, agent->file, "write 0 for a SAM",
                       "key \"mask_threshold\" is %g, and SAM's masks begin at 0", agent->mask_threshold);
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
    SA_TRY(sa_answer_find_digits(sa_chat_tokenizer(r->chat), &r->digits, err));
    return sa_answer_grammar(agent, &r->grammar, err);
}

static sa_status take_memory(sa_runner *r, sa_error *err)
{
    size_t batch = r->options.batch;
    r->pictures = calloc(batch, sizeof *r->pictures);
    r->places = calloc(batch, sizeof *r->places);
    r->painted = calloc(batch, sizeof *r->painted);
    r->requests = calloc(batch, sizeof *r->requests);
    r->answers = calloc(batch, sizeof *r->answers);
    r->queries = calloc(batch, sizeof *r->queries);
    r->segmented = calloc(batch, sizeof *r->segmented);
    r->clicks = calloc(batch * most_clicks(&r->options), sizeof *r->clicks);
    r->masks = calloc(batch, sizeof *r->masks);
    r->owner = calloc(batch, sizeof *r->owner);
    r->work = calloc(batch, sizeof *r->work);
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
    if (status == SA_OK && (options->episode.options.steps > 0 || starts_by_prompt(options))) {
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

static void free_picture(picture *p)
{
    sa_image_free(&p->image);
    free(p->path);
    p->path = NULL;
    p->encoded = false;
}

static void free_place(sa_runner *r, place *p)
{
    if (p->item != NULL) {
        r->pictures[p->picture].users--;
    }
    sa_episode_close(p->episode);
    sa_mask_free(&p->mask);
    sa_mask_free(&p->truth);
    free(p->state);
    sa_tokens_free(&p->prompt);
    *p = (place){0};
}

void sa_runner_close(sa_runner *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; r->places != NULL && r->pictures != NULL && i < r->options.batch; i++) {
        free_place(r, &r->places[i]);
    }
    for (size_t i = 0; r->pictures != NULL && i < r->options.batch; i++) {
        free_picture(&r->pictures[i]);
    }
    sa_chat_close(r->chat);
    sa_segmenter_close(r->segmenter);
    sa_grammar_close(r->grammar);
    sa_answer_digits_free(&r->digits);
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

/* ---- items come in ---- */

static sa_status fail_item(sa_runner *r, place *p, const sa_error *why, sa_error *err)
{
    size_t index = p->index;
    free_place(r, p);
    r->counts->failed++;
    return r->client->failed(r->client->context, index, why, err);
}

static sa_image_limits picture_limits(const sa_runner *r)
{
    sa_image_limits limits = sa_image_default_limits();
    limits.max_pixels = r->options.max_pixels;
    limits.max_side = r->options.max_side;
    return limits;
}

/* The picture of that path, or the place of one that nobody uses. There are as many as items at a time. */
static size_t find_picture(const sa_runner *r, const char *path)
{
    size_t free = 0;
    for (size_t i = 0; i < r->options.batch; i++) {
        if (r->pictures[i].path != NULL && strcmp(r->pictures[i].path, path) == 0) {
            return i;
        }
    }
    while (r->pictures[free].users > 0) {
        free++;
    }
    return free;
}

static sa_status load_picture(sa_runner *r, picture *p, const char *path, sa_error *err)
{
    const sa_image_limits limits = picture_limits(r);
    if (p->path != NULL && strcmp(p->path, path) == 0) {
        return SA_OK;
    }
    free_picture(p);
    p->path = strdup(path);
    if (p->path == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, NULL, "no memory for a picture");
    }
    sa_status status = sa_image_read(path, &limits, &p->image, err);
    if (status != SA_OK) {
        free_picture(p);
    }
    return status;
}

static sa_status read_masks(const sa_runner *r, place *p, const sa_image *image, sa_error *err)
{
    const sa_item *item = p->item;
    const sa_image_limits limits = picture_limits(r);
    if (r->options.start == SA_START_GIVEN) {
        if (!sa_mask_source_given(&item->mask)) {
            return sa_fail(err, SA_BAD_INPUT, item->id, "give it a \"mask\"", "the item has no initial mask");
        }
        SA_TRY(
            sa_mask_source_read(&item->mask, image->height, image->width, item->id, &limits, &p->mask, err));
    }
    bool truth = sa_mask_source_given(&item->gt);
    if (!truth && r->options.needs_truth) {
        return sa_fail(err, SA_BAD_INPUT, item->id, "give it a \"gt\"", "the item has no true mask");
    }
    return truth && r->options.uses_truth ? sa_mask_source_read(&item->gt, image->height, image->width,
                                                                item->id, &limits, &p->truth, err)
                                          : SA_OK;
}

/* The agent's prompt with the item's text, as tokens. */
static sa_status write_prompt(const sa_runner *r, place *p, sa_error *err)
{
    const char *prompt = r->options.episode.agent->prompt;
    sa_text text = {0};
    while (*prompt != '\0') {
        bool is_text = strncmp(prompt, "{text}", 6) == 0, is_image = strncmp(prompt, "{image}", 7) == 0;
        const char *piece = is_text    ? p->item->text
                            : is_image ? sa_template_image_marker(sa_chat_template(r->chat))
                                       : prompt;
        sa_text_append(&text, piece, is_text || is_image ? strlen(piece) : 1);
        prompt += is_text ? 6 : is_image ? 7 : 1;
    }
    sa_status status = SA_OK;
    if (text.failed) {
        status = sa_fail(err, SA_NO_ROOM, p->item->id, NULL, "no memory for a prompt");
    } else {
        const sa_message message = {.role = SA_ROLE_USER, .text = text.bytes, .images = 1};
        status = sa_chat_write(r->chat, &message, 1, &p->prompt, err);
    }
    sa_text_free(&text);
    return status;
}

static sa_status load_item(sa_runner *r, place *p, sa_error *err)
{
    picture *pic = &r->pictures[p->picture];
    double begun = sa_clock_seconds();
    sa_status status = load_picture(r, pic, p->item->path, err);
    r->counts->decode += sa_clock_seconds() - begun;
    SA_TRY(status);
    const sa_item *item = p->item;
    if (item->height != 0 && (item->height != pic->image.height || item->width != pic->image.width)) {
        return sa_fail(err, SA_BAD_INPUT, item->path, "correct the input's sizes, or the picture",
                       "the picture has %zux%zu pixels, and the input says %zux%zu", pic->image.width,
                       pic->image.height, item->width, item->height);
    }
    SA_TRY(read_masks(r, p, &pic->image, err));
    return r->chat != NULL ? write_prompt(r, p, err) : SA_OK;
}

/* Fills free places; *full is how many are at work. */
static sa_status fill_places(sa_runner *r, bool *more, size_t *full, sa_error *err)
{
    *full = 0;
    for (size_t i = 0; i < r->options.batch; i++) {
        place *p = &r->places[i];
        while (p->item == NULL && *more) {
            size_t index = 0;
            const sa_item *item = r->client->next(r->client->context, &index);
            *more = item != NULL;
            if (item == NULL) {
                break;
            }
            sa_error why = {0};
            *p = (place){.item = item,
                         .index = index,
                         .picture = find_picture(r, item->path),
                         .since = sa_clock_seconds()};
            r->pictures[p->picture].users++;
            r->counts->items++;
            if (load_item(r, p, &why) != SA_OK) {
                SA_TRY(fail_item(r, p, &why, err));
            }
        }
        *full += p->item != NULL;
    }
    return SA_OK;
}

/* Adds to the error of a device what it was working on. */
static sa_status name_items(sa_status status, const place *first, size_t count, sa_error *err)
{
    if (status != SA_OK && err != NULL && first->item != NULL) {
        sa_error why = *err;
        return sa_fail(err, status, why.file, why.hint, "%.800s, with %zu item%s from %.80s on", why.reason,
                       count, count == 1 ? "" : "s", first->item->id);
    }
    return status;
}

/* Pictures that came in are encoded together. */
static sa_status encode_pictures(sa_runner *r, sa_error *err)
{
    size_t count = 0, batch = r->options.batch;
    const sa_image **images = malloc(batch * sizeof(sa_image *));
    size_t *slots = malloc(batch * sizeof *slots);
    sa_status status = images != NULL && slots != NULL
                           ? SA_OK
                           : sa_fail(err, SA_NO_ROOM, NULL, "lower --batch", "no memory for a batch");
    for (size_t i = 0; status == SA_OK && i < batch; i++) {
        picture *p = &r->pictures[i];
        if (p->users > 0 && !p->encoded) {
            images[count] = &p->image;
            slots[count++] = i;
            p->encoded = true;
        }
    }
    double begun = sa_clock_seconds();
    if (status == SA_OK && count > 0 && r->segmenter != NULL) {
        status = sa_segmenter_encode(r->segmenter, images, slots, count, err);
        r->counts->pictures += count;
        r->counts->encode += sa_clock_seconds() - begun;
    }
    free(images);
    free(slots);
    return status;
}

/* ---- the mask to begin with ---- */

static sa_status fail_precision(const place *p, sa_error *err)
{
    return sa_fail(err, SA_BAD_INPUT, p->item->path, "use --precision bf16 or f32",
                   "the segmenter's numbers for this picture do not fit in the precision");
}

/* Word number `word` of what is random about an item's beginning. */
static uint32_t random_word(const sa_runner *r, const place *p, uint32_t word)
{
    sa_philox block = sa_philox_block(r->options.episode.seed, sa_episode_key_of(p->item->id),
                                      (uint64_t)UINT32_MAX << 32 | word / 4);
    return block.word[word % 4];
}

/* A pixel of the truth, or beside it: the n-th in row-major order. */
static sa_click random_click(const sa_mask *truth, bool positive, uint32_t random)
{
    size_t area = sa_mask_area(truth), count = positive ? area : truth->height * truth->width - area;
    size_t n = (size_t)((uint64_t)random * count >> 32);
    for (size_t y = 0; y < truth->height; y++) {
        for (size_t x = 0; x < truth->width; x++) {
            if (sa_mask_get(truth, x, y) == positive && n-- == 0) {
                return (sa_click){(float)x, (float)y, positive};
            }
        }
    }
    return (sa_click){0, 0, positive};
}

/* The first click is on the object; of the others every other one is beside it, by chance. */
static void choose_start_clicks(const sa_runner *r, place *p)
{
    p->begun.clicks = p->clicks;
    p->begun.click_count = 1 + random_word(r, p, 0) % SA_START_MOST_CLICKS;
    for (uint32_t i = 0; i < p->begun.click_count; i++) {
        bool positive = i == 0 || (random_word(r, p, 1 + 2 * i) & 1) == 0;
        p->clicks[i] = random_click(&p->truth, positive, random_word(r, p, 2 + 2 * i));
    }
}

static void choose_start_box(place *p)
{
    sa_mask_box box = sa_mask_bbox(&p->truth);
    p->begun.has_box = true;
    p->begun.box[0] = (float)box.x;
    p->begun.box[1] = (float)box.y;
    p->begun.box[2] = (float)(box.x + box.width);
    p->begun.box[3] = (float)(box.y + box.height);
}

static sa_status start_by_prompt(sa_runner *r, place *p, sa_error *err)
{
    const sa_image *image = &r->pictures[p->picture].image;
    sa_segmenter_answer answer = {.best_mask = &p->mask};
    SA_TRY(sa_mask_new(&p->mask, image->height, image->width, err));
    if (feeds_back(r)) {
        p->state = malloc(sa_segmenter_state_size(r->segmenter) * sizeof *p->state);
        if (p->state == NULL) {
            return sa_fail(err, SA_NO_ROOM, p->item->id, "lower --batch", "no memory for a state");
        }
        answer.best_state = p->state;
    }
    if (r->options.start == SA_START_BOX) {
        choose_start_box(p);
    } else {
        choose_start_clicks(r, p);
    }
    const sa_segmenter_query query = {.slot = p->picture, .prompt = p->begun};
    SA_TRY(sa_segmenter_click(r->segmenter, &query, &answer, 1, err));
    return answer.finite ? SA_OK : fail_precision(p, err);
}

static sa_status start_from_given(sa_runner *r, place *p, sa_error *err)
{
    if (!feeds_back(r)) {
        return SA_OK;
    }
    p->state = malloc(sa_segmenter_state_size(r->segmenter) * sizeof *p->state);
    if (p->state == NULL) {
        return sa_fail(err, SA_NO_ROOM, p->item->id, "lower --batch", "no memory for a state");
    }
    sa_segmenter_state_from_mask(r->segmenter, p->picture, &p->mask, p->state);
    return SA_OK;
}

static sa_status open_episode(sa_runner *r, place *p, sa_error *err)
{
    bool given = r->options.start != SA_START_EMPTY;
    SA_TRY(starts_by_prompt(&r->options) ? start_by_prompt(r, p, err)
           : given                       ? start_from_given(r, p, err)
                                         : SA_OK);
    const sa_episode_item item = {.id = p->item->id,
                                  .image = p->item->image,
                                  .text = p->item->text,
                                  .picture = &r->pictures[p->picture].image,
                                  .mask = given ? &p->mask : NULL,
                                  .truth = p->truth.bits != NULL ? &p->truth : NULL,
                                  .begun = p->begun};
    float *state = p->state;
    p->state = NULL;
    p->opened = true;
    return sa_episode_open(&p->episode, &r->options.episode, &item, state, err);
}

/* ---- works ---- */

static sa_status finish_item(sa_runner *r, place *p, sa_error *err)
{
    sa_result result;
    sa_error why = {0};
    sa_status status = sa_episode_result(p->episode, &result, &why);
    if (status != SA_OK) {
        return fail_item(r, p, &why, err);
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
    free_place(r, p);
    return status;
}

static bool has_open_work(const place *p)
{
    size_t count;
    const sa_work *works = sa_episode_works(p->episode, &count);
    for (size_t i = 0; i < count; i++) {
        if (works[i].open) {
            return true;
        }
    }
    return false;
}

/* Goes on with an item whose works are all answered. */
static sa_status step_item(sa_runner *r, place *p, sa_error *err)
{
    sa_error why = {0};
    sa_status status = p->opened ? SA_OK : open_episode(r, p, &why);
    if (status == SA_OK && r->options.seconds > 0 && sa_clock_seconds() - p->since > r->options.seconds) {
        sa_episode_stop(p->episode);
    }
    if (status == SA_OK && !has_open_work(p)) {
        status = sa_episode_step(p->episode, &why);
    }
    if (status == SA_NO_DEVICE) {
        *err = why;
        return name_items(status, p, 1, err);
    }
    if (status != SA_OK) {
        return fail_item(r, p, &why, err);
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

/* ---- thinking ---- */

/* The picture as the policy sees it: with the mask on it, and through a JPEG if the agent's was. */
static sa_status paint(const sa_agent *agent, const sa_image *image, const sa_mask *mask, sa_image *out,
                       sa_error *err)
{
    SA_TRY(sa_image_new(image->height, image->width, out, err));
    memcpy(out->pixels, image->pixels, image->height * image->width * 3);
    sa_image_overlay(out, mask, &agent->overlay);
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

/* One more request for a THINK, the `same`th of its node. */
static sa_status add_request(sa_runner *r, size_t at, place *p, size_t index, const sa_work *work, bool same,
                             sa_error *err)
{
    painted *look = &r->painted[at];
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
    place *p = r->owner[at];
    sa_generate_answer *answer = &r->answers[at];
    if (p->item == NULL) {
        return SA_OK;
    }
    sa_error why = answer->error;
    sa_status status = answer->status;
    if (status == SA_OK) {
        status = sa_episode_answer(p->episode, r->work[at], answer, &r->digits, &why);
    }
    return status == SA_OK ? SA_OK : fail_item(r, p, &why, err);
}

static bool is_interrupted(void *context)
{
    const sa_runner_client *client = context;
    return client->interrupted != NULL && client->interrupted(client->context);
}

/* Asks what was gathered. */
static sa_status ask_policy(sa_runner *r, size_t *count, sa_error *err)
{
    if (*count == 0) {
        return SA_OK; /* perhaps since there is no policy to ask */
    }
    sa_generate_options options = sa_generate_default_options();
    sa_generate_watcher watcher = {.context = (void *)r->client, .interrupted = is_interrupted};
    double vision, begun = sa_clock_seconds();
    options.temperature = (float)r->options.episode.agent->temperature;
    options.max_tokens = MOST_ANSWER;
    options.stops = sa_template_stops(sa_chat_template(r->chat));
    options.seed = r->options.episode.seed;
    options.probes = r->digits.ids;
    options.probe_count = r->digits.count;
    sa_status status =
        sa_chat_answer(r->chat, r->requests, *count, &options, &watcher, r->answers, &vision, err);
    if (status != SA_OK && status != SA_INTERRUPTED) {
        status = name_items(status, r->owner[0], *count, err);
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

static sa_status think_of(sa_runner *r, place *p, size_t *count, sa_error *err)
{
    size_t works;
    sa_node_id before = SA_NO_NODE;
    const sa_work *all = sa_episode_works(p->episode, &works);
    for (size_t w = 0; w < works && p->item != NULL; w++) {
        if (all[w].kind != SA_WORK_THINK || !all[w].open) {
            continue;
        }
        sa_error why = {0};
        bool same = *count > 0 && before == all[w].node;
        if (add_request(r, *count, p, w, &all[w], same, &why) != SA_OK) {
            SA_TRY(ask_policy(r, count, err)); /* the ones before it, which may be this item's */
            return p->item != NULL ? fail_item(r, p, &why, err) : SA_OK;
        }
        before = all[w].node;
        if (++*count == r->options.batch) {
            SA_TRY(ask_policy(r, count, err));
        }
    }
    return SA_OK;
}

static sa_status think(sa_runner *r, sa_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < r->options.batch; i++) {
        if (r->places[i].item != NULL) {
            SA_TRY(think_of(r, &r->places[i], &count, err));
        }
    }
    return ask_policy(r, &count, err);
}

/* ---- clicking ---- */

static void free_segmented(sa_runner *r, size_t at)
{
    free(r->segmented[at].best_state);
    sa_mask_free(&r->masks[at]);
    r->segmented[at] = (sa_segmenter_answer){0};
}

static sa_status add_query(sa_runner *r, size_t at, place *p, size_t index, sa_error *err)
{
    sa_prompt prompt;
    const float *state;
    const sa_image *image = &r->pictures[p->picture].image;
    sa_click *clicks = r->clicks + at * most_clicks(&r->options);
    SA_TRY(sa_episode_prompt(p->episode, index, &prompt, &state, err));
    SA_ASSERT(prompt.click_count <= most_clicks(&r->options));
    memcpy(clicks, prompt.clicks, prompt.click_count * sizeof *clicks);
    prompt.clicks = clicks;
    r->queries[at] = (sa_segmenter_query){p->picture, prompt, {state}};
    r->segmented[at] = (sa_segmenter_answer){0};
    r->owner[at] = p;
    r->work[at] = index;
    SA_TRY(sa_mask_new(&r->masks[at], image->height, image->width, err));
    r->segmented[at].best_mask = &r->masks[at];
    if (feeds_back(r)) {
        r->segmented[at].best_state = malloc(sa_segmenter_state_size(r->segmenter) * sizeof(float));
        if (r->segmented[at].best_state == NULL) {
            sa_mask_free(&r->masks[at]);
            return sa_fail(err, SA_NO_ROOM, p->item->id, "lower --batch", "no memory for a state");
        }
    }
    return SA_OK;
}

static sa_status take_mask(sa_runner *r, size_t at, sa_error *err)
{
    place *p = r->owner[at];
    sa_segmenter_answer *a = &r->segmented[at];
    sa_error why = {0};
    if (p->item == NULL) {
        return SA_OK;
    }
    if (!a->finite) {
        fail_precision(p, &why);
        return fail_item(r, p, &why, err);
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
    status = status == SA_OK ? SA_OK : name_items(status, r->owner[0], *count, err);
    for (size_t i = 0; i < *count; i++) {
        status = status == SA_OK ? take_mask(r, i, err) : status;
        free_segmented(r, i);
    }
    r->counts->click += sa_clock_seconds() - begun;
    *count = 0;
    return status;
}

static sa_status click_of(sa_runner *r, place *p, size_t *count, sa_error *err)
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
            return p->item != NULL ? fail_item(r, p, &why, err) : SA_OK;
        }
        if (++*count == r->options.batch) {
            SA_TRY(ask_segmenter(r, count, err));
        }
    }
    return SA_OK;
}

static sa_status click(sa_runner *r, sa_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < r->options.batch; i++) {
        if (r->places[i].item != NULL) {
            SA_TRY(click_of(r, &r->places[i], &count, err));
        }
    }
    return ask_segmenter(r, &count, err);
}

/* ---- all of it ---- */

static sa_status run_all(sa_runner *r, sa_error *err)
{
    bool more = true;
    for (;;) {
        size_t full;
        if (is_interrupted((void *)r->client)) {
            return sa_fail(err, SA_INTERRUPTED, NULL, "run the same command again to go on", "interrupted");
        }
        SA_TRY(fill_places(r, &more, &full, err));
        if (full == 0) {
            return SA_OK;
        }
        SA_TRY(encode_pictures(r, err));
        SA_TRY(step_items(r, err));
        SA_TRY(think(r, err));
        SA_TRY(step_items(r, err));
        SA_TRY(click(r, err));
    }
}

sa_status sa_runner_run(sa_runner *r, const sa_runner_client *client, sa_runner_counts *counts, sa_error *err)
{
    r->client = client;
    r->counts = counts;
    *counts = (sa_runner_counts){0};
    sa_status status = run_all(r, err);
    for (size_t i = 0; i < r->options.batch; i++) {
        free_place(r, &r->places[i]);
    }
    return status;
}
