/* What the parts of the runner share: items (runner_items.c), the masks that they begin with
 * (runner_start.c), the policy (runner_think.c), the segmenter (runner_click.c), and the loop around them
 * (runner.c). */
#ifndef SA_HLMAT_RUNNER_PARTS_H
#define SA_HLMAT_RUNNER_PARTS_H

#include "runtime/engine/chat.h"
#include "runtime/hlmat/runner.h"

/* A picture that is encoded; items with the same path share it. */
typedef struct {
    char *path; /* NULL: none */
    sa_image image;
    size_t users;
    bool encoded;
} sa_runner_picture;

/* An item at work. */
typedef struct {
    const sa_item *item; /* NULL: free */
    size_t index;
    size_t picture; /* its place among the pictures, and the segmenter's slot */
    bool opened;    /* the episode is there */
    sa_mask mask, truth;
    float *state; /* that the mask came with; NULL: none */
    sa_prompt begun;
    sa_click clicks[SA_START_MOST_CLICKS];
    sa_tokens prompt;
    sa_episode *episode;
    double since; /* clock when it came in */
} sa_runner_place;

/* A painted picture of the batch at hand. */
typedef struct {
    sa_image image;
    const sa_image *list[1]; /* what the request points to */
} sa_runner_painted;

struct sa_runner {
    sa_runner_options options;
    sa_device *device;
    sa_segmenter *segmenter;
    sa_chat *chat; /* NULL: the policy is not asked */
    sa_grammar *grammar;
    const char **stops; /* texts that end an answer; the last is NULL */
    sa_answer_digits digits;
    sa_runner_picture *pictures; /* [batch] */
    sa_runner_place *places;     /* [batch] */
    /* One call of the policy, [most]: as many as a batch has, or a state has candidates. */
    size_t most;
    sa_runner_painted *painted;
    sa_chat_request *requests;
    sa_generate_answer *answers;
    /* One call of the segmenter, [batch]: */
    sa_segmenter_query *queries;
    sa_segmenter_answer *segmented;
    sa_click *clicks; /* [batch, sa_runner_most_clicks] */
    sa_mask *masks;
    /* Whose these are, [most]: */
    sa_runner_place **owner;
    size_t *work;
    const sa_runner_client *client; /* of the run at hand */
    sa_runner_counts *counts;
};

/* ---- runner.c ---- */

bool sa_runner_starts_by_prompt(const sa_runner_options *o);
/* States are fed back where the agent wants it, and where a given mask would be forgotten without. */
bool sa_runner_feeds_back(const sa_runner *r);
/* Room for one; the caller frees it. SA_NO_ROOM. */
sa_status sa_runner_new_state(const sa_runner *r, const sa_item *item, float **state, sa_error *err);
/* Of one prompt. */
size_t sa_runner_most_clicks(const sa_runner_options *o);
/* `client` is the sa_runner_client of the run: what sa_generate_watcher asks. */
bool sa_runner_is_interrupted(void *client);

/* ---- items ---- */

void sa_runner_free_picture(sa_runner_picture *p);
void sa_runner_free_place(sa_runner *r, sa_runner_place *p);
/*
 * Tells the client, and frees the place. What is the machine's fault and no item's (the device, the disk)
 * ends the run instead: the item may well do when the run is gone on with.
 */
sa_status sa_runner_fail_item(sa_runner *r, sa_runner_place *p, const sa_error *why, sa_error *err);
/* The same of an item that was read. That there is no memory for it now ends the run, too; while it is read,
 * that may mean a picture or a text that is too large. */
sa_status sa_runner_fail_work(sa_runner *r, sa_runner_place *p, const sa_error *why, sa_error *err);
sa_status sa_runner_fail_precision(const sa_runner_place *p, sa_error *err);
/* Adds to the error of a device what it was working on. */
sa_status sa_runner_name_items(sa_status status, const sa_runner_place *first, size_t count, sa_error *err);
/* Fills free places; *full is how many are at work. */
sa_status sa_runner_fill_places(sa_runner *r, bool *more, size_t *full, sa_error *err);
/* Pictures that came in are encoded together. */
sa_status sa_runner_encode_pictures(sa_runner *r, sa_error *err);

/* ---- the mask to begin with ---- */

sa_status sa_runner_open_episode(sa_runner *r, sa_runner_place *p, sa_error *err);

/* ---- works: all that are open and of one kind ---- */

sa_status sa_runner_think(sa_runner *r, sa_error *err);
sa_status sa_runner_click(sa_runner *r, sa_error *err);

#endif
