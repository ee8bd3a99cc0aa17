/* What the parts of an episode share: its works (episode.c), what clicks without a model
 * (episode_policies.c), and what is told in the end (episode_result.c). */
#ifndef SA_HLMAT_EPISODE_PARTS_H
#define SA_HLMAT_EPISODE_PARTS_H

#include "runtime/hlmat/episode.h"

/* What a work was answered with, until all are. */
typedef struct {
    char *text; /* THINK; owned */
    sa_answer read;
    sa_parse_outcome parse;
    double expected;
    sa_mask mask; /* CLICK; owned, as is state */
    uint64_t hash;
    float *state;
    double score;
} sa_episode_outcome;

struct sa_episode {
    sa_episode_options options;
    sa_episode_item item;
    char *texts; /* id, image and text, copied one behind the other */
    uint64_t key;
    sa_tree tree;
    sa_search *search;
    sa_work *works;
    size_t work_count, work_room;
    sa_episode_outcome *outcomes; /* [work_count] */
    size_t outcome_room;
    sa_annotator annotator;
    sa_mask clicked; /* pixels that were clicked at on the way to a state */
    sa_click *clicks;
    size_t click_room;
    sa_episode_counts counts;
};

/* Candidate number `candidate` where no model is asked. The annotator has one thing to say. */
sa_status sa_episode_add_own_candidate(sa_episode *e, sa_node_id node, uint32_t candidate, sa_error *err);

#endif
