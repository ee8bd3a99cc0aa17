/* What the searches share, each of which is one file: search_NAME.c. */
#ifndef SA_HLMAT_SEARCH_KIND_H
#define SA_HLMAT_SEARCH_KIND_H

#include "runtime/hlmat/search.h"

typedef struct {
    const char *name;
    bool scored, branches; /* sa_search_needs_scores, sa_search_branches */
    sa_status (*advance)(sa_search *s, sa_error *err);
} sa_search_kind;

extern const sa_search_kind sa_search_greedy, sa_search_prm_stop, sa_search_prm_greedy, sa_search_beam,
    sa_search_best_first, sa_search_mcts;

/* What the mcts knows of a node. */
typedef struct {
    size_t visits;
    double total; /* of the scores below it, its own included */
} sa_search_visits;

struct sa_search {
    const sa_search_kind *kind;
    sa_search_options options;
    const sa_tree *tree;
    sa_want *wants;
    size_t want_count, want_room;
    bool stopped, done;
    bool ended; /* kept and last are known; judgements may still be wanted */
    size_t clicks;
    sa_node_id kept, last;
    sa_node_id current; /* where the search stands */
    sa_node_id *front;  /* beam: the states of this depth; mcts: the way from the root */
    size_t front_count, front_room;
    bool *expanded; /* [expanded_room]: it was gone on from */
    size_t expanded_room;
    sa_search_visits *visits; /* [visits_room] */
    size_t visits_room;
};

/* Is the node's score known? */
bool sa_search_scored(const sa_search *s, sa_node_id node);

/* Wants that are fulfilled already are not wanted again. */
sa_status sa_search_want_thought(sa_search *s, sa_node_id node, size_t count, sa_error *err);
/* A thought only if the score needs one: of the judgement alone where clicks are over. */
sa_status sa_search_want_score(sa_search *s, sa_node_id node, sa_error *err);
/* The click of a candidate, unless there is none, it was carried out, equals an earlier candidate's, or
 * clicks are over there. */
sa_status sa_search_want_click(sa_search *s, sa_node_id node, uint32_t candidate, sa_error *err);
/* The clicks of all candidates. */
sa_status sa_search_want_clicks(sa_search *s, sa_node_id node, sa_error *err);
/* The scores of all children. */
sa_status sa_search_want_child_scores(sa_search *s, sa_node_id node, sa_error *err);
bool sa_search_waits(const sa_search *s); /* something is wanted */

/* The best score on the way to `last`, or among all nodes if `all`; the first of equals. */
sa_node_id sa_search_best(const sa_search *s, sa_node_id last, bool all);
/* How many steps the way to `last` has gone on without a better score. */
size_t sa_search_idle_steps(const sa_search *s, sa_node_id last);
/* Where the first candidate led; SA_NO_NODE: nowhere, or there is none. */
sa_node_id sa_search_first_child(const sa_search *s, sa_node_id node);
/* Ends the search, when the states that are told have their judgements. */
sa_status sa_search_end(sa_search *s, sa_node_id kept, sa_node_id last, sa_error *err);

/* Room for one more entry of `front`. */
sa_status sa_search_push_front(sa_search *s, sa_node_id node, sa_error *err);
sa_status sa_search_mark_expanded(sa_search *s, sa_node_id node, sa_error *err);
bool sa_search_is_expanded(const sa_search *s, sa_node_id node);

#endif
