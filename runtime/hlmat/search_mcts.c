/*
 * Monte Carlo tree search with UCT. Each round goes from the root to a state that has a candidate which was
 * not carried out yet, or that ends there, and adds the score of where it arrived to all states on the way.
 * Between states it takes the one with the largest
 *
 *     mean score + exploration * sqrt(ln(visits of the parent) / visits)
 *
 * and a candidate that was not carried out before any that was. A way never visits a state twice: where all
 * that is left leads back, it ends.
 */
#include <math.h>
#include <string.h>

#include "runtime/hlmat/search_kind.h"

static sa_status make_room(sa_search *s, sa_error *err)
{
    size_t before = s->visits_room;
    sa_search_visits *visits = sa_grow(s->visits, &s->visits_room, s->tree->count, sizeof *visits);
    if (visits == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "use a smaller budget", "no memory for a search");
    }
    memset(visits + before, 0, (s->visits_room - before) * sizeof *visits);
    s->visits = visits;
    return SA_OK;
}

static bool is_on_way(const sa_search *s, sa_node_id node)
{
    for (size_t i = 0; i < s->front_count; i++) {
        if (s->front[i] == node) {
            return true;
        }
    }
    return false;
}

static double uct(const sa_search *s, sa_node_id parent, sa_node_id child)
{
    const sa_search_visits *p = &s->visits[parent], *c = &s->visits[child];
    if (c->visits == 0) {
        return INFINITY; /* the tree had it already, this search was never there */
    }
    return c->total / (double)c->visits +
           s->options.exploration * sqrt(log((double)p->visits) / (double)c->visits);
}

/* The child to go to; SA_NO_NODE: the way ends here. */
static sa_node_id choose(const sa_search *s, sa_node_id node)
{
    const sa_node *n = &s->tree->nodes[node];
    sa_node_id best = SA_NO_NODE;
    for (size_t i = 0; i < n->candidate_count; i++) {
        sa_node_id child = n->candidates[i].child;
        bool free = child != SA_NO_NODE && !is_on_way(s, child);
        if (free && (best == SA_NO_NODE || uct(s, node, child) > uct(s, node, best))) {
            best = child;
        }
    }
    return best;
}

/* The way ends at its last state: its score counts for all of them. */
static void count_way(sa_search *s)
{
    double score = sa_search_score(s, s->front[s->front_count - 1]);
    for (size_t i = 0; i < s->front_count; i++) {
        s->visits[s->front[i]].visits++;
        s->visits[s->front[i]].total += score;
    }
    s->front_count = 0;
}

/* Wants the first candidate that was not carried out. */
static sa_status want_new(sa_search *s, sa_node_id node, sa_error *err)
{
    for (uint32_t i = 0; i < s->tree->nodes[node].candidate_count && !sa_search_waits(s); i++) {
        SA_TRY(sa_search_want_click(s, node, i, err));
    }
    s->current = sa_search_waits(s) ? node : SA_NO_NODE;
    return SA_OK;
}

/* The state that a click which was wanted led to, if there was one. */
static sa_status take_new(sa_search *s, sa_error *err)
{
    const sa_node *n = s->current != SA_NO_NODE ? &s->tree->nodes[s->current] : NULL;
    sa_node_id arrived = SA_NO_NODE;
    for (size_t i = 0; n != NULL && i < n->candidate_count; i++) {
        arrived = n->candidates[i].child != SA_NO_NODE ? n->candidates[i].child : arrived;
    }
    s->current = SA_NO_NODE;
    return arrived != SA_NO_NODE && !is_on_way(s, arrived) ? sa_search_push_front(s, arrived, err) : SA_OK;
}

/* One more step of the way, or what it needs; *ended when it has arrived. */
static sa_status go_on(sa_search *s, bool *ended, sa_error *err)
{
    sa_node_id node = s->front[s->front_count - 1];
    bool fresh = s->visits[node].visits == 0 && node != 0;
    *ended = fresh || !sa_search_may_click(s, node);
    SA_TRY(*ended ? sa_search_want_score(s, node, err)
                  : sa_search_want_thought(s, node, s->options.candidates, err));
    if (*ended || sa_search_waits(s)) {
        return SA_OK;
    }
    SA_TRY(want_new(s, node, err));
    if (sa_search_waits(s)) {
        return SA_OK;
    }
    sa_node_id next = choose(s, node);
    *ended = next == SA_NO_NODE;
    return *ended ? SA_OK : sa_search_push_front(s, next, err);
}

static bool is_over(const sa_search *s)
{
    size_t rounds = s->visits[0].visits;
    return s->stopped || s->clicks >= s->options.budget || rounds >= 4 * s->options.budget;
}

static sa_status advance(sa_search *s, sa_error *err)
{
    if (s->options.budget == 0) {
        s->options.budget = s->options.steps * s->options.candidates;
    }
    SA_TRY(make_room(s, err));
    if (s->front_count == 0) {
        s->current = SA_NO_NODE; /* the very first round */
        SA_TRY(sa_search_push_front(s, 0, err));
    }
    SA_TRY(take_new(s, err));
    for (;;) {
        bool ended = false;
        SA_TRY(go_on(s, &ended, err));
        if (sa_search_waits(s)) {
            return SA_OK;
        }
        if (!ended) {
            continue;
        }
        count_way(s);
        if (is_over(s)) {
            sa_node_id best = sa_search_best(s, 0, true);
            return sa_search_end(s, best, best, err);
        }
        SA_TRY(sa_search_push_front(s, 0, err));
    }
}

const sa_search_kind sa_search_mcts = {"mcts", true, true, advance};
