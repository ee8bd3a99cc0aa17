/* Policies without a model: the simulated annotator, and clicks at random. */
#include "runtime/base/philox.h"
#include "runtime/hlmat/episode_parts.h"

/* F_sim: the deepest error, at no pixel that was clicked on the way to the state, or before the root. */
static sa_status ask_annotator(sa_episode *e, sa_node_id node, sa_answer *answer, sa_error *err)
{
    sa_mask_fill(&e->clicked, false);
    for (size_t i = 0; i < e->item.begun.click_count; i++) {
        const sa_click *click = &e->item.begun.clicks[i];
        sa_mask_set(&e->clicked, (size_t)click->x, (size_t)click->y, true);
    }
    for (sa_node_id n = node; sa_tree_action(&e->tree, n) != NULL; n = e->tree.nodes[n].parent) {
        const sa_action *action = sa_tree_action(&e->tree, n);
        sa_mask_set(&e->clicked, action->col, action->row, true);
    }
    return sa_annotator_act(&e->annotator, &e->tree.nodes[node].mask, e->item.truth, &e->clicked, answer,
                            err);
}

sa_status sa_episode_add_own_candidate(sa_episode *e, sa_node_id node, uint32_t candidate, sa_error *err)
{
    char text[512] = "";
    sa_answer answer = {0};
    size_t height = e->item.picture->height, width = e->item.picture->width;
    if (e->options.policy == SA_POLICY_RANDOM) {
        sa_philox r = sa_philox_block(e->options.seed, e->key, (uint64_t)(uint32_t)node << 32 | candidate);
        answer = (sa_answer){.has_action = true,
                             .action = {.positive = r.word[0] & 1,
                                        .row = (size_t)((uint64_t)r.word[1] * height >> 32),
                                        .col = (size_t)((uint64_t)r.word[2] * width >> 32)}};
    } else if (candidate == 0) {
        SA_TRY(ask_annotator(e, node, &answer, err));
    }
    if (answer.has_action) {
        sa_answer_write_action(e->options.agent, &answer.action, height, width, text, sizeof text);
    }
    return sa_tree_add_candidate(&e->tree, node, text, &answer, SA_PARSE_OK, err);
}
