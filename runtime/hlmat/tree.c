#include "runtime/hlmat/tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void free_node(sa_node *n)
{
    for (size_t i = 0; i < n->candidate_count; i++) {
        free(n->candidates[i].text);
    }
    free(n->candidates);
    free(n->state);
    sa_mask_free(&n->mask);
}

void sa_tree_close(sa_tree *tree)
{
    for (size_t i = 0; i < tree->count; i++) {
        free_node(&tree->nodes[i]);
    }
    free(tree->nodes);
    *tree = (sa_tree){0};
}

/* The new node, whose hash is known, takes mask and state over; on failure they are freed. */
static sa_status add_node(sa_tree *tree, sa_node node, sa_mask *mask, float *state, sa_error *err)
{
    sa_node *nodes = sa_grow(tree->nodes, &tree->room, tree->count + 1, sizeof *nodes);
    if (nodes == NULL) {
        sa_mask_free(mask);
        free(state);
        return sa_fail(err, SA_NO_ROOM, NULL, "ask for fewer steps or candidates", "no memory for a state");
    }
    tree->nodes = nodes;
    node.mask = *mask;
    node.state = state;
    node.iou = node.expected = node.printed = NAN;
    nodes[tree->count++] = node;
    *mask = (sa_mask){0};
    return SA_OK;
}

sa_status sa_tree_open(sa_tree *tree, bool merges, sa_mask *mask, float *state, sa_error *err)
{
    *tree = (sa_tree){.merges = merges};
    const sa_node root = {.parent = SA_NO_NODE, .hash = sa_mask_hash(mask)};
    return add_node(tree, root, mask, state, err);
}

sa_status sa_tree_add_candidate(sa_tree *tree, sa_node_id node, const char *text, const sa_answer *answer,
                                sa_parse_outcome parse, sa_error *err)
{
    sa_node *n = &tree->nodes[node];
    char *copy = strdup(text);
    sa_candidate *more = realloc(n->candidates, (n->candidate_count + 1) * sizeof *more);
    n->candidates = more != NULL ? more : n->candidates;
    if (copy == NULL || more == NULL) {
        free(copy);
        return sa_fail(err, SA_NO_ROOM, NULL, "ask for fewer candidates", "no memory for an answer");
    }
    more[n->candidate_count++] = (sa_candidate){.text = copy,
                                                .parse = parse,
                                                .has_action = answer->has_action,
                                                .action = answer->action,
                                                .child = SA_NO_NODE};
    return SA_OK;
}

static sa_node_id find_mask(const sa_tree *tree, const sa_mask *mask, uint64_t hash)
{
    for (size_t i = 0; i < tree->count; i++) {
        if (tree->nodes[i].hash == hash && sa_mask_equal(&tree->nodes[i].mask, mask)) {
            return (sa_node_id)i;
        }
    }
    return SA_NO_NODE;
}

sa_status sa_tree_add_child(sa_tree *tree, sa_node_id node, uint32_t candidate, sa_mask *mask, uint64_t hash,
                            float *state, double segmenter_score, sa_error *err)
{
    sa_node_id child = tree->merges ? find_mask(tree, mask, hash) : SA_NO_NODE;
    if (child != SA_NO_NODE) {
        tree->merged++;
        sa_mask_free(mask);
        free(state);
    } else {
        sa_node new = {.parent = node,
                       .candidate = candidate,
                       .depth = tree->nodes[node].depth + 1,
                       .hash = hash,
                       .segmenter_score = segmenter_score};
        child = (sa_node_id)tree->count;
        SA_TRY(add_node(tree, new, mask, state, err));
    }
    tree->nodes[node].candidates[candidate].child = child;
    return SA_OK;
}

const sa_action *sa_tree_action(const sa_tree *tree, sa_node_id node)
{
    const sa_node *n = &tree->nodes[node];
    return n->parent == SA_NO_NODE ? NULL : &tree->nodes[n->parent].candidates[n->candidate].action;
}

bool sa_tree_leads_to(const sa_tree *tree, sa_node_id ancestor, sa_node_id node)
{
    while (node != SA_NO_NODE && node != ancestor) {
        node = tree->nodes[node].parent;
    }
    return node == ancestor;
}
