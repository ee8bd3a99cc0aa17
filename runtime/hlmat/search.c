#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/hlmat/search_kind.h"

static const sa_search_kind *const kinds[] = {&sa_search_greedy, &sa_search_prm_stop,   &sa_search_prm_greedy,
                                              &sa_search_beam,   &sa_search_best_first, &sa_search_mcts};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

static const sa_search_kind *find_kind(const char *name)
{
    for (int i = 0; i < KINDS; i++) {
        if (strcmp(kinds[i]->name, name) == 0) {
            return kinds[i];
        }
    }
    return NULL;
}

bool sa_search_exists(const char *name)
{
    return find_kind(name) != NULL;
}

const char *sa_search_list(void)
{
    return "greedy, prm-stop, prm-greedy, beam, best-first, mcts";
}

bool sa_search_needs_scores(const char *name)
{
    return find_kind(name)->scored;
}

bool sa_search_branches(const char *name)
{
    return find_kind(name)->branches;
}

/* ---- opening ---- */

sa_status sa_search_open(sa_search **out, const char *name, const sa_search_options *options,
                         const sa_tree *tree, sa_error *err)
{
    SA_ASSERT(options->candidates >= 1 && tree->count >= 1);
    sa_search *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a search");
    }
    s->kind = find_kind(name);
    SA_ASSERT(s->kind != NULL);
    s->options = *options;
    s->options.beam = options->beam != 0 ? options->beam : options->candidates;
    s->tree = tree;
    *out = s;
    return SA_OK;
}

void sa_search_close(sa_search *s)
{
    if (s != NULL) {
        free(s->wants);
        free(s->front);
        free(s->expanded);
        free(s->visits);
        free(s);
    }
}

/* ---- what there is ---- */

double sa_search_score(const sa_search *s, sa_node_id node)
{
    const sa_node *n = &s->tree->nodes[node];
    const double scores[] = {[SA_SCORE_EXPECTED] = n->expected,
                             [SA_SCORE_PRINTED] = n->printed,
                             [SA_SCORE_SEGMENTER] = n->segmenter_score,
                             [SA_SCORE_TRUTH] = n->iou};
    double score = scores[s->options.score];
    return isnan(score) ? 0 : score; /* the policy did not say: it is worth nothing */
}

/* Has the policy said all that it is asked for, up to `count` candidates? */
static bool has_thought(const sa_search *s, sa_node_id node, size_t count)
{
    return s->tree->nodes[node].candidate_count >= count;
}

bool sa_search_scored(const sa_search *s, sa_node_id node)
{
    bool thinks = s->options.score == SA_SCORE_EXPECTED || s->options.score == SA_SCORE_PRINTED;
    return !thinks || has_thought(s, node, 1);
}

bool sa_search_may_click(const sa_search *s, sa_node_id node)
{
    const sa_node *n = &s->tree->nodes[node];
    return !s->stopped && n->depth < s->options.steps && !(n->iou >= s->options.enough) &&
           (s->options.budget == 0 || s->clicks < s->options.budget);
}

/* ---- wants ---- */

static sa_status want(sa_search *s, sa_want w, sa_error *err)
{
    sa_want *wants = sa_grow(s->wants, &s->want_room, s->want_count + 1, sizeof *wants);
    if (wants == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "ask for fewer candidates", "no memory for a search");
    }
    s->wants = wants;
    wants[s->want_count++] = w;
    return SA_OK;
}

static bool is_wanted(const sa_search *s, sa_want_kind kind, sa_node_id node)
{
    for (size_t i = 0; i < s->want_count; i++) {
        if (s->wants[i].kind == kind && s->wants[i].node == node) {
            return true;
        }
    }
    return false;
}

sa_status sa_search_want_thought(sa_search *s, sa_node_id node, size_t count, sa_error *err)
{
    if (has_thought(s, node, count) || is_wanted(s, SA_WANT_THOUGHT, node)) {
        return SA_OK;
    }
    const sa_want thought = {.kind = SA_WANT_THOUGHT,
                             .node = node,
                             .count = count,
                             .judgement = s->ended || !sa_search_may_click(s, node)};
    return want(s, thought, err);
}

sa_status sa_search_want_score(sa_search *s, sa_node_id node, sa_error *err)
{
    return sa_search_scored(s, node) ? SA_OK : sa_search_want_thought(s, node, 1, err);
}

static bool same_action(const sa_action *a, const sa_action *b)
{
    return a->positive == b->positive && a->row == b->row && a->col == b->col;
}

sa_status sa_search_want_click(sa_search *s, sa_node_id node, uint32_t candidate, sa_error *err)
{
    if (!has_thought(s, node, candidate + 1) || !sa_search_may_click(s, node)) {
        return SA_OK;
    }
    const sa_candidate *all = s->tree->nodes[node].candidates, *c = &all[candidate];
    if (!c->has_action || c->child != SA_NO_NODE) {
        return SA_OK;
    }
    for (uint32_t i = 0; i < candidate; i++) {
        if (all[i].has_action && same_action(&all[i].action, &c->action)) {
            return SA_OK;
        }
    }
    s->clicks++;
    return want(s, (sa_want){.kind = SA_WANT_CLICK, .node = node, .candidate = candidate}, err);
}

sa_status sa_search_want_clicks(sa_search *s, sa_node_id node, sa_error *err)
{
    for (uint32_t i = 0; i < s->tree->nodes[node].candidate_count; i++) {
        SA_TRY(sa_search_want_click(s, node, i, err));
    }
    return SA_OK;
}

sa_status sa_search_want_child_scores(sa_search *s, sa_node_id node, sa_error *err)
{
    const sa_node *n = &s->tree->nodes[node];
    for (size_t i = 0; i < n->candidate_count; i++) {
        if (n->candidates[i].child != SA_NO_NODE) {
            SA_TRY(sa_search_want_score(s, n->candidates[i].child, err));
        }
    }
    return SA_OK;
}

sa_node_id sa_search_first_child(const sa_search *s, sa_node_id node)
{
    const sa_node *n = &s->tree->nodes[node];
    return n->candidate_count > 0 ? n->candidates[0].child : SA_NO_NODE;
}

bool sa_search_waits(const sa_search *s)
{
    return s->want_count > 0;
}

/* ---- the best ---- */

static bool may_keep(const sa_search *s, sa_node_id node)
{
    return sa_search_scored(s, node) && (node != 0 || s->options.keeps_root || s->tree->count == 1);
}

sa_node_id sa_search_best(const sa_search *s, sa_node_id last, bool all)
{
    sa_node_id best = SA_NO_NODE;
    for (sa_node_id i = 0; (size_t)i < s->tree->count; i++) {
        bool candidate = may_keep(s, i) && (all || sa_tree_leads_to(s->tree, i, last));
        if (candidate && (best == SA_NO_NODE || sa_search_score(s, i) > sa_search_score(s, best))) {
            best = i;
        }
    }
    return best != SA_NO_NODE ? best : last;
}

size_t sa_search_idle_steps(const sa_search *s, sa_node_id last)
{
    sa_node_id best = sa_search_best(s, last, false);
    return s->tree->nodes[last].depth - s->tree->nodes[best].depth;
}

static bool is_told(const sa_search *s, sa_node_id node)
{
    return s->options.traced || sa_tree_leads_to(s->tree, node, s->last);
}

sa_status sa_search_end(sa_search *s, sa_node_id kept, sa_node_id last, sa_error *err)
{
    s->kept = kept;
    s->last = last;
    s->ended = true;
    for (sa_node_id i = 0; s->options.judged && (size_t)i < s->tree->count; i++) {
        SA_TRY(is_told(s, i) ? sa_search_want_thought(s, i, 1, err) : SA_OK);
    }
    s->done = !sa_search_waits(s);
    return SA_OK;
}

/* ---- what kinds keep of nodes ---- */

sa_status sa_search_push_front(sa_search *s, sa_node_id node, sa_error *err)
{
    sa_node_id *front = sa_grow(s->front, &s->front_room, s->front_count + 1, sizeof *front);
    if (front == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "use a smaller beam", "no memory for a search");
    }
    s->front = front;
    front[s->front_count++] = node;
    return SA_OK;
}

sa_status sa_search_mark_expanded(sa_search *s, sa_node_id node, sa_error *err)
{
    size_t before = s->expanded_room;
    bool *expanded = sa_grow(s->expanded, &s->expanded_room, (size_t)node + 1, sizeof *expanded);
    if (expanded == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "use a smaller budget", "no memory for a search");
    }
    memset(expanded + before, 0, (s->expanded_room - before) * sizeof *expanded);
    s->expanded = expanded;
    expanded[node] = true;
    return SA_OK;
}

bool sa_search_is_expanded(const sa_search *s, sa_node_id node)
{
    return (size_t)node < s->expanded_room && s->expanded[node];
}

/* ---- for the one who fulfils ---- */

sa_status sa_search_advance(sa_search *s, sa_error *err)
{
    SA_ASSERT(!s->done);
    s->want_count = 0;
    if (s->ended) { /* the last judgements are there */
        s->done = true;
        return SA_OK;
    }
    return s->kind->advance(s, err);
}

const sa_want *sa_search_wants(const sa_search *s, size_t *count)
{
    *count = s->want_count;
    return s->wants;
}

bool sa_search_done(const sa_search *s)
{
    return s->done;
}

void sa_search_stop(sa_search *s)
{
    s->stopped = true;
}

sa_node_id sa_search_kept(const sa_search *s)
{
    SA_ASSERT(s->done);
    return s->kept;
}

sa_node_id sa_search_last(const sa_search *s)
{
    SA_ASSERT(s->done);
    return s->last;
}

size_t sa_search_clicks(const sa_search *s)
{
    return s->clicks;
}
