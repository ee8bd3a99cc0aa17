/* Beam search: of all the states that one more click leads to, the best few are gone on from. */
#include <string.h>

#include "runtime/hlmat/search_kind.h"

/* Asks for all that the states of this depth need; `ask` is one of the wants of search_kind.h. */
static sa_status ask_all(sa_search *s, sa_status (*ask)(sa_search *, sa_node_id, sa_error *), sa_error *err)
{
    for (size_t i = 0; i < s->front_count; i++) {
        SA_TRY(ask(s, s->front[i], err));
    }
    return SA_OK;
}

static sa_status ask_candidates(sa_search *s, sa_node_id node, sa_error *err)
{
    return sa_search_may_click(s, node) ? sa_search_want_thought(s, node, s->options.candidates, err)
                                        : sa_search_want_score(s, node, err);
}

static bool is_in(const sa_node_id *list, size_t count, sa_node_id node)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == node) {
            return true;
        }
    }
    return false;
}

/* The best new state that the front leads to and that `taken` lacks. Ties: the one made first. */
static sa_node_id best_next(const sa_search *s, size_t front, const sa_node_id *taken, size_t count)
{
    sa_node_id best = SA_NO_NODE;
    for (size_t node = 0; node < s->tree->count; node++) {
        sa_node_id id = (sa_node_id)node;
        bool next = is_in(s->front, front, s->tree->nodes[node].parent) && !is_in(taken, count, id);
        if (next && (best == SA_NO_NODE || sa_search_score(s, id) > sa_search_score(s, best))) {
            best = id;
        }
    }
    return best;
}

/* The next depth takes the place of this one; *ended if there is none. */
static sa_status step(sa_search *s, bool *ended, sa_error *err)
{
    size_t front = s->front_count;
    for (size_t i = 0; i < s->options.beam; i++) {
        sa_node_id next = best_next(s, front, s->front + front, s->front_count - front);
        if (next == SA_NO_NODE) {
            break;
        }
        SA_TRY(sa_search_push_front(s, next, err));
    }
    s->front_count -= front;
    *ended = s->front_count == 0;
    memmove(s->front, s->front + front, s->front_count * sizeof *s->front);
    return SA_OK;
}

static sa_status advance(sa_search *s, sa_error *err)
{
    bool ended = false;
    if (s->front_count == 0) {
        SA_TRY(sa_search_push_front(s, 0, err));
    }
    while (!ended) {
        SA_TRY(ask_all(s, ask_candidates, err));
        if (sa_search_waits(s)) {
            return SA_OK;
        }
        SA_TRY(ask_all(s, sa_search_want_clicks, err));
        if (sa_search_waits(s)) {
            return SA_OK;
        }
        SA_TRY(ask_all(s, sa_search_want_child_scores, err));
        if (sa_search_waits(s)) {
            return SA_OK;
        }
        SA_TRY(step(s, &ended, err));
    }
    sa_node_id best = sa_search_best(s, 0, true);
    return sa_search_end(s, best, best, err);
}

const sa_search_kind sa_search_beam = {"beam", true, true, advance};
