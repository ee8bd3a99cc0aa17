/*
 * Searches for a good mask. A search decides which states are thought about and which clicks are carried out;
 * it does neither, and never waits:
 *
 *   open -> [ advance -> wants -> somebody fulfils all of them on the tree, in their order -> advance ... ]
 *        -> done: the kept node, and the line of states that led there
 *
 * So one item's search runs alone or among thousands, with the same decisions. The order numbers the nodes,
 * and the first of equals wins: who gets answers in another order sorts them first (episode.h does). It knows
 * nothing of models: a test fulfils the wants from a table.
 *
 *   greedy      the policy's click, `steps` times; keeps the last mask
 *   prm-stop    the same; keeps the mask with the best score (the paper's "PRM as stop signal")
 *   prm-greedy  `candidates` clicks in each state, goes on from the best of the masks that were not found
 *               before (the paper's Algorithm 2)
 *   beam        goes on from the best `beam` states of each depth
 *   best-first  goes on from the best state that it has not gone on from yet, wherever that is
 *   mcts        goes on by UCT (Kocsis and Szepesvari 2006): mean score below a state, and how seldom it was
 *               tried; the value of a new state is its score, no random playouts
 */
#ifndef SA_HLMAT_SEARCH_H
#define SA_HLMAT_SEARCH_H

#include "runtime/hlmat/tree.h"

typedef struct sa_search sa_search;

/* What a mask's score is. */
typedef enum {
    SA_SCORE_EXPECTED,  /* the policy's IoU, as expected over what it might have said */
    SA_SCORE_PRINTED,   /* as it said */
    SA_SCORE_SEGMENTER, /* of the segmenter's own head */
    SA_SCORE_TRUTH,     /* the true IoU: an oracle */
} sa_scorer;

typedef struct {
    size_t steps;      /* clicks in a row at most; 0: the root is scored, and that is all */
    size_t candidates; /* clicks tried in a state, >= 1; greedy and prm-stop try one */
    size_t beam;       /* states kept at each depth; 0: as many as candidates */
    size_t budget;     /* clicks carried out in all; 0: steps * candidates for best-first and mcts, no limit
                          for the others */
    size_t patience;   /* prm-stop, prm-greedy: ends after that many steps without a better score; 0: never */
    double enough;     /* no click behind a mask whose true IoU is known and not below this; 2: always */
    double exploration; /* mcts: how much a state that was seldom tried is worth */
    sa_scorer score;
    bool keeps_root; /* the initial mask may be kept: it was given, it is not empty */
    bool judged;     /* the policy's judgement is wanted of all states that are told, whatever the score is */
    bool traced;     /* all states are told, not the line to the last one alone */
} sa_search_options;

typedef enum { SA_WANT_THOUGHT, SA_WANT_CLICK } sa_want_kind;

/*
 * THOUGHT: candidates of `node`, from its number candidate_count up to `count` of them, and what the policy
 * thinks of its mask if that is not known yet. CLICK: what candidate number `candidate` leads to.
 */
typedef struct {
    sa_want_kind kind;
    sa_node_id node;
    uint32_t candidate;
    size_t count;
    bool judgement; /* THOUGHT: of one candidate, whose click is not used: clicks are over there */
} sa_want;

/* True if `name` is one of the searches; `list` gives them all, with commas between. */
bool sa_search_exists(const char *name);
const char *sa_search_list(void);

/* Does it go by scores alone in keeping a mask, so that it needs them in every state? */
bool sa_search_needs_scores(const char *name);
/* Does it try several clicks in a state? Then it wants equal masks to be one node. */
bool sa_search_branches(const char *name);

/* Over a tree that holds a root; the tree stays the caller's. */
sa_status sa_search_open(sa_search **search, const char *name, const sa_search_options *options,
                         const sa_tree *tree, sa_error *err);
void sa_search_close(sa_search *search);

/*
 * What comes next, when all earlier wants are fulfilled. A policy with fewer things to say than were wanted
 * fills up with candidates that have no action; a click that failed ends the item elsewhere.
 */
sa_status sa_search_advance(sa_search *search, sa_error *err);
const sa_want *sa_search_wants(const sa_search *search, size_t *count);
bool sa_search_done(const sa_search *search);
/* Time is up: no more clicks. It ends with the best there is, when the states there are have their scores. */
void sa_search_stop(sa_search *search);

sa_node_id sa_search_kept(const sa_search *search); /* once it is done */
/* The last state of the line that is told as the item's steps; the kept one is on it. */
sa_node_id sa_search_last(const sa_search *search);
double sa_search_score(const sa_search *search, sa_node_id node);
/* May it go on with clicks behind this node? Once it may not, it never may again. */
bool sa_search_may_click(const sa_search *search, sa_node_id node);
size_t sa_search_clicks(const sa_search *search); /* carried out so far */

#endif
