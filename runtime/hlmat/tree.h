/*
 * States of one item and how they follow from each other: what every search works on (HLMAT.md).
 *
 *   root (empty or given mask) -> [ thought: what the policy says of a state ] -> candidates
 *                              -> [ click: a candidate carried out ] -> child ...
 *
 * A node is a mask, with what the segmenter needs to go on from it. A tree that merges makes equal masks one
 * node, since the policy sees nothing but the mask: a click that leads to a mask that is there already leads
 * to that node, and the tree becomes a graph whose `parent`s are a tree.
 */
#ifndef SA_HLMAT_TREE_H
#define SA_HLMAT_TREE_H

#include "runtime/data/result.h"
#include "runtime/hlmat/answer.h"
#include "runtime/image/mask.h"

/* Names a node; -1 none. The root is 0. */
typedef int32_t sa_node_id;

enum { SA_NO_NODE = -1 };

/* One thing that the policy would do in a state. */
typedef struct {
    char *text; /* its answer; owned */
    sa_parse_outcome parse;
    bool has_action; /* false: it said nothing that is a click */
    sa_action action;
    sa_node_id child; /* where it led, once it was carried out */
} sa_candidate;

typedef struct {
    sa_node_id parent;
    uint32_t candidate; /* of the parent, that led here first */
    size_t depth;       /* clicks since the root */
    sa_mask mask;       /* owned */
    uint64_t hash;      /* of the mask */
    float *state;       /* what is fed back to the segmenter; owned, NULL: nothing */
    double segmenter_score;
    double iou;                 /* the true one; NaN: not known */
    double expected, printed;   /* what the policy thinks it is (answer.h); NaN: not asked, or not said */
    sa_parse_outcome judgement; /* how it was said, where nothing else was asked; else SA_PARSE_OK */
    sa_candidate *candidates;   /* [candidate_count] */
    size_t candidate_count;
} sa_node;

typedef struct {
    sa_node *nodes; /* [count] */
    size_t count, room;
    bool merges;
    size_t merged; /* clicks that led to a mask that was there already */
} sa_tree;

/* A tree of a root alone, which takes the mask and the state over. */
sa_status sa_tree_open(sa_tree *tree, bool merges, sa_mask *mask, float *state, sa_error *err);
void sa_tree_close(sa_tree *tree); /* fine for a zeroed one */

/* One more candidate of a node; `text` is copied. */
sa_status sa_tree_add_candidate(sa_tree *tree, sa_node_id node, const char *text, const sa_answer *answer,
                                sa_parse_outcome parse, sa_error *err);

/*
 * What a candidate led to: a new node, or, in a tree that merges, the one with that mask. hash is
 * sa_mask_hash() of it. Takes mask and state over (and frees them if they are not needed, or if it fails).
 */
sa_status sa_tree_add_child(sa_tree *tree, sa_node_id node, uint32_t candidate, sa_mask *mask, uint64_t hash,
                            float *state, double segmenter_score, sa_error *err);

/* The click that led to a node; NULL for the root. */
const sa_action *sa_tree_action(const sa_tree *tree, sa_node_id node);

/* Is `ancestor` on the way from the root to `node`, or the node itself? */
bool sa_tree_leads_to(const sa_tree *tree, sa_node_id ancestor, sa_node_id node);

#endif
