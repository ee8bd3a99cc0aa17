/* Best-first search: goes on from the best state that it has not gone on from, until the budget is used up.
 */
#include "runtime/hlmat/search_kind.h"

/* Ties: the one made first. */
static sa_node_id best_open(const sa_search *s)
{
    sa_node_id best = SA_NO_NODE;
    for (size_t node = 0; node < s->tree->count; node++) {
        sa_node_id id = (sa_node_id)node;
        bool open = !sa_search_is_expanded(s, id) && sa_search_may_click(s, id);
        if (open && (best == SA_NO_NODE || sa_search_score(s, id) > sa_search_score(s, best))) {
            best = id;
        }
    }
    return best;
}

static sa_status advance(sa_search *s, sa_error *err)
{
    if (s->options.budget == 0) {
        s->options.budget = s->options.steps * s->options.candidates;
    }
    for (;;) {
        SA_TRY(sa_search_want_child_scores(s, s->current, err));
        if (!sa_search_may_click(s, s->current)) { /* the root, whose score may not be known yet */
            SA_TRY(sa_search_want_score(s, s->current, err));
        }
        if (sa_search_waits(s)) {
            return SA_OK;
        }
        if (sa_search_is_expanded(s, s->current) || !sa_search_may_click(s, s->current)) {
            sa_node_id next = best_open(s);
            if (next == SA_NO_NODE) {
                sa_node_id best = sa_search_best(s, 0, true);
                return sa_search_end(s, best, best, err);
            }
            s->current = next;
        }
        SA_TRY(sa_search_want_thought(s, s->current, s->options.candidates, err));
        if (sa_search_waits(s)) {
            return SA_OK;
        }
        SA_TRY(sa_search_mark_expanded(s, s->current, err));
        SA_TRY(sa_search_want_clicks(s, s->current, err));
        if (sa_search_waits(s)) {
            return SA_OK;
        }
    }
}

const sa_search_kind sa_search_best_first = {"best-first", true, true, advance};
