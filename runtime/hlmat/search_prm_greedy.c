/*
 * PRM-guided greedy search (the paper's Algorithm 2): in each state some candidates are carried out, their
 * masks scored, and the best is the next state. What is kept is the best mask of all states on the way.
 */
#include "runtime/hlmat/search_kind.h"

/*
 * The best child that a click in this state found first. Equal masks are one node, so a click may lead to a
 * state that another one found: on the way, where going there would be going back, or beside it, where the
 * search chose not to go.
 */
static sa_node_id best_child(const sa_search *s)
{
    const sa_node *n = &s->tree->nodes[s->current];
    sa_node_id best = SA_NO_NODE;
    for (size_t i = 0; i < n->candidate_count; i++) {
        sa_node_id child = n->candidates[i].child;
        bool next = child != SA_NO_NODE && s->tree->nodes[child].parent == s->current;
        if (next && (best == SA_NO_NODE || sa_search_score(s, child) > sa_search_score(s, best))) {
            best = child;
        }
    }
    return best;
}

static sa_status advance(sa_search *s, sa_error *err)
{
    for (;;) {
        SA_TRY(sa_search_may_click(s, s->current)
                   ? sa_search_want_thought(s, s->current, s->options.candidates, err)
                   : sa_search_want_score(s, s->current, err));
        if (sa_search_waits(s)) {
            return SA_OK;
        }
        SA_TRY(sa_search_want_clicks(s, s->current, err));
        if (sa_search_waits(s)) {
            return SA_OK;
        }
        SA_TRY(sa_search_want_child_scores(s, s->current, err));
        if (sa_search_waits(s)) {
            return SA_OK;
        }
        sa_node_id next = best_child(s);
        size_t patience = s->options.patience;
        if (next == SA_NO_NODE || (patience > 0 && sa_search_idle_steps(s, next) >= patience)) {
            sa_node_id last = next != SA_NO_NODE ? next : s->current;
            return sa_search_end(s, sa_search_best(s, last, false), last, err);
        }
        s->current = next;
    }
}

const sa_search_kind sa_search_prm_greedy = {"prm-greedy", true, true, advance};
