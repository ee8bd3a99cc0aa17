/*
 * One item on its way from picture and text to a mask: the environment of HLMAT.md (state, click, transition,
 * reward) with a search in it. It asks for the work of models, is handed what they say, and never waits:
 *
 *   open (picture, text, masks) -> [ step -> works: THINK (policy), CLICK (segmenter) -> each is answered ]
 *        -> done -> result
 *
 * What needs no model (the simulated annotator, random clicks, true IoUs) is done inside. Nothing in it
 * depends on what else runs: what is random is keyed by (seed, id, node, candidate).
 */
#ifndef SA_HLMAT_EPISODE_H
#define SA_HLMAT_EPISODE_H

#include "runtime/engine/generate.h"
#include "runtime/hlmat/annotator.h"
#include "runtime/hlmat/search.h"
#include "runtime/models/segmenter.h"

typedef struct sa_episode sa_episode;

/* Who says where to click. */
typedef enum {
    SA_POLICY_MODEL,
    SA_POLICY_ANNOTATOR, /* F_sim; needs the truth */
    SA_POLICY_RANDOM,    /* any pixel, either sign */
} sa_policy;

/* What becomes of the form that the agent's answers have. */
typedef enum {
    SA_FORM_CHECKED, /* the policy says what it likes; an answer that lacks something is asked for again so */
    SA_FORM_STRICT,  /* it can say nothing else */
    SA_FORM_OFF,     /* an answer that lacks something has failed */
} sa_form;

typedef struct {
    const sa_agent *agent;
    sa_policy policy;
    const char *search; /* a name of search.h */
    sa_search_options options;
    bool judged; /* the policy's IoU is wanted of all states that are told, if the agent judges */
    uint64_t seed;
    sa_form form;
    bool trace; /* the result tells the whole tree */
} sa_episode_options;

typedef struct {
    const char *id, *image, *text;
    const sa_image *picture; /* stays as it is until the episode is closed */
    const sa_mask *mask;     /* to start from; NULL: empty */
    const sa_mask *truth;    /* or NULL */
    sa_prompt begun;         /* clicks and box that made this mask, which go on counting; all zeros: none */
} sa_episode_item;

/* `root_state`, taken over, is what is fed back to the segmenter with the first click; NULL: nothing. */
sa_status sa_episode_open(sa_episode **episode, const sa_episode_options *options,
                          const sa_episode_item *item, float *root_state, sa_error *err);
void sa_episode_close(sa_episode *episode);

typedef enum { SA_WORK_THINK, SA_WORK_CLICK } sa_work_kind;

typedef struct {
    sa_work_kind kind;
    sa_node_id node;
    uint32_t candidate;
    bool greedy;    /* THINK: the likeliest answer; else a sample */
    bool judgement; /* THINK: the IoU is all that is wanted of it */
    bool forced;    /* THINK: in the agent's form, since an answer was none that we read */
    bool open;      /* not answered yet */
} sa_work;

/* When no work is open: goes on until there is some, or it is done. */
sa_status sa_episode_step(sa_episode *episode, sa_error *err);
bool sa_episode_done(const sa_episode *episode);
bool sa_episode_waits(const sa_episode *episode); /* some work is open */
/* Works of one node follow each other. Valid until the next step. */
const sa_work *sa_episode_works(const sa_episode *episode, size_t *count);
/* Time is up: no more clicks. */
void sa_episode_stop(sa_episode *episode);

/* What a THINK is about: the mask that is painted on the picture; the key of what is random. */
const sa_mask *sa_episode_mask(const sa_episode *episode, sa_node_id node);
uint64_t sa_episode_mask_hash(const sa_episode *episode, sa_node_id node); /* sa_mask_hash() of it */
uint64_t sa_episode_key(const sa_episode *episode);
/* The same for an id: whatever else there is, and in whatever order. */
uint64_t sa_episode_key_of(const char *id);

/*
 * The answer to work number `index`, a THINK. An answer that lacks what is wanted (the click, the IoU with
 * the first candidate, or the IoU alone) leaves the work open, forced from now on, once; then one without a
 * click (without an IoU, where that is all that is wanted) is recorded as failed. Works may be answered in
 * any order: what they say is taken in theirs at the next step.
 */
sa_status sa_episode_answer(sa_episode *episode, size_t index, const sa_generate_answer *answer,
                            const sa_answer_digits *digits, sa_error *err);

/* What a CLICK is: all clicks so far, the new one last; valid until the next call. */
sa_status sa_episode_prompt(sa_episode *episode, size_t index, sa_prompt *prompt, const float **state,
                            sa_error *err);
/* Its mask, with sa_mask_hash() of it, and, if states are fed back, its state, both taken over. */
void sa_episode_click(sa_episode *episode, size_t index, sa_mask *mask, uint64_t hash, float *state,
                      double score);

/* What became of it, once it is done; the caller frees the result. */
sa_status sa_episode_result(const sa_episode *episode, sa_result *result, sa_error *err);

typedef struct {
    size_t thoughts, clicks; /* works of models */
    size_t retried, failed;  /* answers that lacked something: then in the agent's form, or still none */
    size_t clamped;          /* clicks outside of the picture */
    size_t nodes, merged;
} sa_episode_counts;
sa_episode_counts sa_episode_get_counts(const sa_episode *episode);

#endif
