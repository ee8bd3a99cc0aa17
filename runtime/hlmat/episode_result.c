/* What became of an episode, as a row of results.jsonl. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/hlmat/episode_parts.h"

/* What the policy thinks of the mask, else what the search went by; the truth is nobody's prediction. */
static double predicted_iou(const sa_episode *e, sa_node_id node)
{
    double expected = e->tree.nodes[node].expected;
    bool oracle = e->options.options.score == SA_SCORE_TRUTH;
    return !isnan(expected) ? expected : oracle ? NAN : sa_search_score(e->search, node);
}

static sa_status write_step(const sa_episode *e, sa_node_id node, sa_result_step *step, sa_error *err)
{
    const sa_node *n = &e->tree.nodes[node];
    const sa_candidate *came =
        n->parent != SA_NO_NODE ? &e->tree.nodes[n->parent].candidates[n->candidate] : NULL;
    *step = (sa_result_step){.has_action = came != NULL,
                             .predicted_iou = predicted_iou(e, node),
                             .segmenter_score = n->segmenter_score,
                             .parse = came != NULL ? came->parse : n->judgement,
                             .has_iou = !isnan(n->iou),
                             .iou = n->iou,
                             .node = node,
                             .parent = n->parent};
    if (came != NULL) {
        step->positive = came->action.positive;
        step->row = (int64_t)came->action.row;
        step->col = (int64_t)came->action.col;
    }
    step->text = strdup(came != NULL ? came->text : "");
    if (step->text == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a result");
    }
    return sa_rle_encode(&step->mask, &n->mask, err);
}

/* A click was wanted behind the node, and nothing that the policy said is one. */
static bool found_no_click(const sa_episode *e, sa_node_id node)
{
    const sa_node *n = &e->tree.nodes[node];
    bool failed = sa_search_may_click(e->search, node) && n->candidate_count > 0 &&
                  n->candidates[0].parse == SA_PARSE_FAILED;
    for (size_t i = 0; i < n->candidate_count; i++) {
        failed = failed && !n->candidates[i].has_action;
    }
    return failed;
}

/* The policy's last words, where they were no click: one more step, with the mask as it was. */
static sa_status write_failure(const sa_episode *e, sa_node_id last, sa_result *r, sa_error *err)
{
    if (!found_no_click(e, last)) {
        return SA_OK;
    }
    sa_result_step *step = &r->steps[r->step_count++];
    SA_TRY(write_step(e, last, step, err));
    free(step->text);
    step->has_action = false;
    step->parse = SA_PARSE_FAILED;
    step->text = strdup(e->tree.nodes[last].candidates[0].text);
    return step->text != NULL ? SA_OK : sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a result");
}

static sa_status write_steps(const sa_episode *e, sa_result *r, sa_error *err)
{
    sa_node_id last = sa_search_last(e->search);
    size_t depth = e->tree.nodes[last].depth;
    r->steps = calloc(depth + 2, sizeof *r->steps);
    if (r->steps == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a result");
    }
    r->step_count = depth + 1;
    for (sa_node_id n = last; n != SA_NO_NODE; n = e->tree.nodes[n].parent) {
        SA_TRY(write_step(e, n, &r->steps[e->tree.nodes[n].depth], err));
    }
    return write_failure(e, last, r, err);
}

static sa_status write_tree(const sa_episode *e, sa_result *r, sa_error *err)
{
    r->tree = calloc(e->tree.count, sizeof *r->tree);
    if (r->tree == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "leave --trace out", "no memory for a result");
    }
    for (; r->tree_count < e->tree.count; r->tree_count++) {
        SA_TRY(write_step(e, (sa_node_id)r->tree_count, &r->tree[r->tree_count], err));
    }
    return SA_OK;
}

static sa_status write_texts(const sa_episode *e, sa_result *r, sa_error *err)
{
    r->id = strdup(e->item.id);
    r->image = strdup(e->item.image);
    r->text = strdup(e->item.text);
    return r->id != NULL && r->image != NULL && r->text != NULL
               ? SA_OK
               : sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a result");
}

sa_status sa_episode_result(const sa_episode *e, sa_result *r, sa_error *err)
{
    sa_node_id kept = sa_search_kept(e->search);
    *r = (sa_result){.height = e->item.picture->height, .width = e->item.picture->width};
    sa_status status = write_texts(e, r, err);
    if (status == SA_OK) {
        status = sa_rle_encode(&r->mask, &e->tree.nodes[kept].mask, err);
    }
    if (status == SA_OK) {
        status = write_steps(e, r, err);
    }
    if (status == SA_OK && e->options.trace) {
        status = write_tree(e, r, err);
    }
    if (status != SA_OK) {
        sa_result_free(r);
        return status;
    }
    r->step = e->tree.nodes[kept].depth;
    r->score = r->steps[r->step].predicted_iou;
    return SA_OK;
}
