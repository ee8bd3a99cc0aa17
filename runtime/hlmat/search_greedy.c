/* The policy's click, and the next, and the next: what is kept is the last mask. */
#include "runtime/hlmat/search_kind.h"

static sa_status advance(sa_search *s, sa_error *err)
{
    for (;;) {
        SA_TRY(sa_search_may_click(s, s->current) ? sa_search_want_thought(s, s->current, 1, err)
                                                  : sa_search_want_score(s, s->current, err));
        if (sa_search_waits(s)) {
            return SA_OK;
        }
        SA_TRY(sa_search_want_click(s, s->current, 0, err));
        if (sa_search_waits(s)) {
            return SA_OK;
        }
        sa_node_id next = sa_search_first_child(s, s->current);
        if (next == SA_NO_NODE) {
            return sa_search_end(s, s->current, s->current, err);
        }
        s->current = next;
    }
}

const sa_search_kind sa_search_greedy = {"greedy", false, false, advance};
