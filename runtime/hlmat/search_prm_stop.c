/* The policy's clicks, one after another: what is kept is the mask that scores best on the way. */
#include "runtime/hlmat/search_kind.h"

static bool is_over(const sa_search *s)
{
    size_t patience = s->options.patience;
    return s->tree->nodes[s->current].candidates[0].child == SA_NO_NODE ||
           (patience > 0 && sa_search_idle_steps(s, s->current) >= patience);
}

static sa_status advance(sa_search *s, sa_error *err)
{
    for (;;) {
        SA_TRY(sa_search_want_thought(s, s->current, 1, err));
        if (sa_search_waits(s)) {
            return SA_OK;
        }
        bool impatient =
            s->options.patience > 0 && sa_search_idle_steps(s, s->current) >= s->options.patience;
        if (!impatient) {
            SA_TRY(sa_search_want_click(s, s->current, 0, err));
        }
        if (sa_search_waits(s)) {
            return SA_OK;
        }
        if (is_over(s)) {
            return sa_search_end(s, sa_search_best(s, s->current, false), s->current);
        }
        s->current = s->tree->nodes[s->current].candidates[0].child;
    }
}

const sa_search_kind sa_search_prm_stop = {"prm-stop", true, false, advance};
