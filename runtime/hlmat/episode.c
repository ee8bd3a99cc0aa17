#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/hash.h"
#include "runtime/hlmat/episode_parts.h"

/* ---- opening ---- */

uint64_t sa_episode_key_of(const char *id)
{
    return sa_hash_bytes(id, strlen(id));
}

static sa_status copy_texts(sa_episode *e, sa_error *err)
{
    size_t id = strlen(e->item.id) + 1, image = strlen(e->item.image) + 1, text = strlen(e->item.text) + 1;
    e->texts = malloc(id + image + text);
    if (e->texts == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for an item");
    }
    memcpy(e->texts, e->item.id, id);
    memcpy(e->texts + id, e->item.image, image);
    memcpy(e->texts + id + image, e->item.text, text);
    e->item.id = e->texts;
    e->item.image = e->texts + id;
    e->item.text = e->texts + id + image;
    return SA_OK;
}

static void judge_truth(sa_episode *e, sa_node_id node)
{
    if (e->item.truth != NULL) {
        e->tree.nodes[node].iou = sa_mask_iou(&e->tree.nodes[node].mask, e->item.truth);
    }
}

/* The root takes root_state over. */
static sa_status open_tree(sa_episode *e, float *root_state, sa_error *err)
{
    sa_mask root;
    sa_status status = e->item.mask != NULL
                           ? sa_mask_copy(&root, e->item.mask, err)
                           : sa_mask_new(&root, e->item.picture->height, e->item.picture->width, err);
    if (status != SA_OK) {
        free(root_state);
        return status;
    }
    SA_TRY(sa_tree_open(&e->tree, sa_search_branches(e->options.search), &root, root_state, err));
    judge_truth(e, 0);
    return SA_OK;
}

static sa_status open_parts(sa_episode *e, float *root_state, sa_error *err)
{
    const sa_image *picture = e->item.picture;
    sa_search_options options = e->options.options;
    options.keeps_root = e->item.mask != NULL;
    options.judged = e->options.judged && e->options.agent->judges;
    options.traced = e->options.trace;
    SA_TRY(open_tree(e, root_state, err));
    SA_TRY(copy_texts(e, err));
    e->key = sa_episode_key_of(e->item.id);
    SA_TRY(sa_search_open(&e->search, e->options.search, &options, &e->tree, err));
    if (e->options.policy == SA_POLICY_ANNOTATOR) {
        SA_TRY(sa_annotator_open(&e->annotator, picture->height, picture->width, err));
        SA_TRY(sa_mask_new(&e->clicked, picture->height, picture->width, err));
    }
    return SA_OK;
}

sa_status sa_episode_open(sa_episode **out, const sa_episode_options *options, const sa_episode_item *item,
                          float *root_state, sa_error *err)
{
    SA_ASSERT(options->policy != SA_POLICY_ANNOTATOR || item->truth != NULL);
    SA_ASSERT(options->options.score != SA_SCORE_TRUTH || item->truth != NULL);
    sa_episode *e = calloc(1, sizeof *e);
    if (e == NULL) {
        free(root_state);
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for an item");
    }
    e->options = *options;
    e->item = *item;
    sa_status status = open_parts(e, root_state, err);
    if (status != SA_OK) {
        sa_episode_close(e);
        return status;
    }
    *out = e;
    return SA_OK;
}

void sa_episode_close(sa_episode *e)
{
    if (e == NULL) {
        return;
    }
    sa_search_close(e->search);
    sa_tree_close(&e->tree);
    sa_annotator_close(&e->annotator);
    sa_mask_free(&e->clicked);
    for (size_t i = 0; i < e->work_count; i++) {
        free(e->outcomes[i].text);
        free(e->outcomes[i].state);
        sa_mask_free(&e->outcomes[i].mask);
    }
    free(e->outcomes);
    free(e->works);
    free(e->clicks);
    free(e->texts);
    free(e);
}

/* ---- works ---- */

static sa_status add_work(sa_episode *e, sa_work work, sa_error *err)
{
    sa_work *works = sa_grow(e->works, &e->work_room, e->work_count + 1, sizeof *works);
    e->works = works != NULL ? works : e->works;
    sa_episode_outcome *outcomes =
        sa_grow(e->outcomes, &e->outcome_room, e->work_count + 1, sizeof *outcomes);
    e->outcomes = outcomes != NULL ? outcomes : e->outcomes;
    if (works == NULL || outcomes == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "ask for fewer candidates", "no memory for an item");
    }
    work.open = true;
    outcomes[e->work_count] = (sa_episode_outcome){0};
    works[e->work_count++] = work;
    return SA_OK;
}

static bool scores_by_model(const sa_episode *e)
{
    sa_scorer score = e->options.options.score;
    return score == SA_SCORE_EXPECTED || score == SA_SCORE_PRINTED;
}

/* Is the model to say what it thinks of masks? */
static bool asks_judgement(const sa_episode *e)
{
    return e->options.agent->judges && (scores_by_model(e) || e->options.judged);
}

/* Candidate 0 is the policy's likeliest click, the others are samples. */
static sa_status think(sa_episode *e, const sa_want *want, sa_error *err)
{
    for (size_t i = e->tree.nodes[want->node].candidate_count; i < want->count; i++) {
        const sa_work work = {.kind = SA_WORK_THINK,
                              .node = want->node,
                              .candidate = (uint32_t)i,
                              .greedy = i == 0,
                              .judgement = want->judgement && asks_judgement(e)};
        SA_TRY(add_work(e, work, err));
    }
    return SA_OK;
}

/* Where clicks are not the model's, it is asked once for its judgement alone. */
static sa_status think_apart(sa_episode *e, const sa_want *want, sa_error *err)
{
    size_t first = e->tree.nodes[want->node].candidate_count;
    if (first == 0 && asks_judgement(e)) {
        const sa_work work = {.kind = SA_WORK_THINK, .node = want->node, .greedy = true, .judgement = true};
        SA_TRY(add_work(e, work, err));
    }
    for (size_t i = first; i < want->count; i++) {
        SA_TRY(want->judgement
                   ? sa_tree_add_candidate(&e->tree, want->node, "", &(sa_answer){0}, SA_PARSE_OK, err)
                   : sa_episode_add_own_candidate(e, want->node, (uint32_t)i, err));
    }
    return SA_OK;
}

static sa_status take_want(sa_episode *e, const sa_want *want, sa_error *err)
{
    if (want->kind == SA_WANT_CLICK) {
        const sa_work click = {.kind = SA_WORK_CLICK, .node = want->node, .candidate = want->candidate};
        return add_work(e, click, err);
    }
    return e->options.policy == SA_POLICY_MODEL ? think(e, want, err) : think_apart(e, want, err);
}

static sa_status take_wants(sa_episode *e, sa_error *err)
{
    size_t count;
    const sa_want *wants = sa_search_wants(e->search, &count);
    for (size_t i = 0; i < count; i++) {
        SA_TRY(take_want(e, &wants[i], err));
    }
    return SA_OK;
}

/* The first answer that comes with a judgement counts. */
static sa_status take_thought(sa_episode *e, const sa_work *work, const sa_episode_outcome *o, sa_error *err)
{
    sa_node *n = &e->tree.nodes[work->node];
    if (o->read.has_iou && isnan(n->expected)) {
        n->printed = o->read.iou;
        n->expected = o->expected;
    }
    if (work->judgement) {
        n->judgement = o->parse;
    }
    return e->options.policy == SA_POLICY_MODEL
               ? sa_tree_add_candidate(&e->tree, work->node, o->text, &o->read, o->parse, err)
               : SA_OK;
}

static sa_status take_click(sa_episode *e, const sa_work *work, sa_episode_outcome *o, sa_error *err)
{
    size_t before = e->tree.count;
    float *state = o->state;
    o->state = NULL;
    SA_TRY(sa_tree_add_child(&e->tree, work->node, work->candidate, &o->mask, o->hash, state, o->score, err));
    if (e->tree.count > before) {
        judge_truth(e, (sa_node_id)before);
    }
    return SA_OK;
}

bool sa_episode_waits(const sa_episode *e)
{
    for (size_t i = 0; i < e->work_count; i++) {
        if (e->works[i].open) {
            return true;
        }
    }
    return false;
}

/* The tree takes over what the works were answered with, in their order, whatever order they came in. */
static sa_status take_outcomes(sa_episode *e, sa_error *err)
{
    sa_status status = SA_OK;
    for (size_t i = 0; i < e->work_count; i++) {
        const sa_work *work = &e->works[i];
        sa_episode_outcome *o = &e->outcomes[i];
        if (status == SA_OK) {
            status =
                work->kind == SA_WORK_THINK ? take_thought(e, work, o, err) : take_click(e, work, o, err);
        }
        free(o->text);
        free(o->state);
        sa_mask_free(&o->mask);
    }
    e->work_count = 0;
    return status;
}

sa_status sa_episode_step(sa_episode *e, sa_error *err)
{
    SA_ASSERT(!sa_episode_waits(e));
    SA_TRY(take_outcomes(e, err));
    while (e->work_count == 0 && !sa_search_done(e->search)) {
        SA_TRY(sa_search_advance(e->search, err));
        SA_TRY(take_wants(e, err));
    }
    return SA_OK;
}

bool sa_episode_done(const sa_episode *e)
{
    return sa_search_done(e->search) && !sa_episode_waits(e);
}

const sa_work *sa_episode_works(const sa_episode *e, size_t *count)
{
    *count = e->work_count;
    return e->works;
}

void sa_episode_stop(sa_episode *e)
{
    sa_search_stop(e->search);
}

const sa_mask *sa_episode_mask(const sa_episode *e, sa_node_id node)
{
    return &e->tree.nodes[node].mask;
}

uint64_t sa_episode_mask_hash(const sa_episode *e, sa_node_id node)
{
    return e->tree.nodes[node].hash;
}

uint64_t sa_episode_key(const sa_episode *e)
{
    return e->key;
}

/* ---- answers ---- */

/* Of an answer that says something of the mask. */
static double expected_iou(const sa_episode *e, const sa_answer *read, const sa_generate_answer *answer,
                           const sa_answer_digits *digits)
{
    return answer->probed == 0 || !read->has_iou
               ? read->iou
               : sa_answer_expected_iou(e->options.agent, read, answer->text.bytes, digits,
                                        answer->tokens.ids + answer->probe_at, answer->probes,
                                        answer->probed);
}

/* Is it all that was asked for? The mask is judged with the first candidate. */
static bool is_complete(const sa_episode *e, const sa_work *work, const sa_answer *read)
{
    bool judges = work->judgement || (work->candidate == 0 && asks_judgement(e));
    return (read->has_iou || !judges) && (read->has_action || work->judgement);
}

sa_status sa_episode_answer(sa_episode *e, size_t index, const sa_generate_answer *answer,
                            const sa_answer_digits *digits, sa_error *err)
{
    sa_work *work = &e->works[index];
    const char *text = answer->text.bytes != NULL ? answer->text.bytes : "";
    sa_answer read = sa_answer_parse(e->options.agent, text, e->item.picture->height, e->item.picture->width);
    bool useful = work->judgement ? read.has_iou : read.has_action;
    SA_ASSERT(work->kind == SA_WORK_THINK && work->open);
    if (e->options.form == SA_FORM_CHECKED && !work->forced && !is_complete(e, work, &read)) {
        work->forced = true;
        return SA_OK;
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "ask for fewer candidates", "no memory for an answer");
    }
    work->open = false;
    e->counts.thoughts++;
    e->counts.clamped += !work->judgement && read.has_action && read.clamped;
    e->counts.retried += work->forced && useful;
    e->counts.failed += !useful;
    e->outcomes[index] = (sa_episode_outcome){
        .text = copy,
        .read = read,
        .parse = !useful        ? SA_PARSE_FAILED
                 : work->forced ? SA_PARSE_RETRIED
                                : SA_PARSE_OK,
        .expected = expected_iou(e, &read, answer, digits),
    };
    return SA_OK;
}

/* ---- clicks ---- */

static sa_status add_click(sa_episode *e, size_t place, const sa_action *action, sa_error *err)
{
    sa_click *clicks = sa_grow(e->clicks, &e->click_room, place + 1, sizeof *clicks);
    if (clicks == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "ask for fewer steps", "no memory for clicks");
    }
    e->clicks = clicks;
    clicks[place] = (sa_click){(float)action->col, (float)action->row, action->positive};
    return SA_OK;
}

sa_status sa_episode_prompt(sa_episode *e, size_t index, sa_prompt *prompt, const float **state,
                            sa_error *err)
{
    const sa_work *work = &e->works[index];
    const sa_prompt *begun = &e->item.begun;
    size_t last = begun->click_count + e->tree.nodes[work->node].depth, place = last;
    SA_TRY(add_click(e, last, &e->tree.nodes[work->node].candidates[work->candidate].action, err));
    for (sa_node_id n = work->node; sa_tree_action(&e->tree, n) != NULL; n = e->tree.nodes[n].parent) {
        SA_TRY(add_click(e, --place, sa_tree_action(&e->tree, n), err));
    }
    if (begun->click_count > 0) {
        memcpy(e->clicks, begun->clicks, begun->click_count * sizeof *e->clicks);
    }
    *prompt = *begun;
    prompt->clicks = e->clicks;
    prompt->click_count = last + 1;
    *state = e->tree.nodes[work->node].state;
    return SA_OK;
}

void sa_episode_click(sa_episode *e, size_t index, sa_mask *mask, uint64_t hash, float *state, double score)
{
    sa_work *work = &e->works[index];
    SA_ASSERT(work->kind == SA_WORK_CLICK && work->open);
    work->open = false;
    e->counts.clicks++;
    e->outcomes[index] = (sa_episode_outcome){.mask = *mask, .hash = hash, .state = state, .score = score};
    *mask = (sa_mask){0};
}

sa_episode_counts sa_episode_get_counts(const sa_episode *e)
{
    sa_episode_counts counts = e->counts;
    counts.nodes = e->tree.count;
    counts.merged = e->tree.merged;
    return counts;
}
