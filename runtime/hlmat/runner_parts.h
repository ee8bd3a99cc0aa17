/*
 * What the parts of the runner share.
 *
 *   host threads: runner_hands.c    items in (runner_items.c, runner_pictures.c), results out
 *   before all:   runner_open.c     models and memory
 *   one thread:   runner.c          who is let in, which stage runs next
 *                 runner_work.c     an item's search and its jobs
 *                 runner_start.c    the mask that it begins with
 *                 runner_answer.c   the policy, runner_click.c the segmenter
 */
#ifndef SA_HLMAT_RUNNER_PARTS_H
#define SA_HLMAT_RUNNER_PARTS_H

#include <pthread.h>

#include "runtime/engine/batcher.h"
#include "runtime/engine/chat.h"
#include "runtime/hlmat/runner.h"

typedef enum { SA_PICTURE_NEW, SA_PICTURE_READING, SA_PICTURE_THERE } sa_picture_state;

/* A picture in host memory; items with the same path share it. Under the lock, but for what its users read.
 */
typedef struct sa_runner_picture {
    struct sa_runner_picture *next;          /* of its bucket */
    struct sa_runner_picture *newer, *older; /* of those that nobody uses */
    char *path;
    sa_picture_state state;
    sa_image image;
    sa_picture_name name; /* of its pixels; only where a policy looks at it */
    size_t users;
    size_t slot; /* the segmenter's; SA_NO_SLOT: none */
    /* The one thread's: */
    bool encoded;    /* in its slot */
    size_t searches; /* items whose search goes on: they keep the slot */
    uint64_t needed; /* when the last of them came in */
} sa_runner_picture;

#define SA_NO_SLOT SIZE_MAX

typedef struct {
    sa_runner_picture **buckets; /* [bucket_mask + 1] */
    size_t bucket_mask, count, most;
    sa_runner_picture *newest, *oldest; /* that nobody uses */
    sa_runner_picture **slots;          /* [slot_count] who holds it; NULL: free */
    size_t slot_count;
    size_t bytes; /* of all */
} sa_runner_pictures;

typedef struct sa_runner_place sa_runner_place;

/* One thing that an item's search wants. */
typedef struct {
    sa_job job;
    sa_runner_place *place;
    size_t work;   /* SA_START: the mask to begin with */
    size_t answer; /* in WANT_DECODE: which of the runner's answers */
} sa_runner_job;

#define SA_START SIZE_MAX

/* An item at work. */
struct sa_runner_place {
    sa_job job;            /* WANT_ROOM, SEARCHING */
    sa_runner_place *next; /* in a list of the hands */
    const sa_item *item;
    size_t index;
    sa_runner_picture *picture;
    sa_mask mask, truth;
    float *state; /* that the mask came with; NULL: none */
    sa_prompt begun;
    sa_click clicks[SA_START_MOST_CLICKS];
    sa_tokens prompt;
    sa_episode *episode; /* NULL: not begun */
    sa_runner_job *jobs; /* [job_room], `open` of them in queues */
    size_t job_room, open;
    sa_error *why;        /* it has failed; owned */
    sa_status stepped;    /* how the step that a hand made ended */
    sa_error *step_error; /* if it failed and there was memory to say why; owned */
    double since;         /* clock when it was let in */
};

typedef struct {
    sa_runner_place *first, *last;
    size_t count;
} sa_place_list;

/* Host threads, which bring items in and results out, and make steps that take long. Under the lock. */
typedef struct {
    pthread_t *threads; /* [count] */
    size_t count;
    pthread_cond_t work; /* for the hands */
    pthread_cond_t news; /* for the one thread, and for who waits for a picture */
    bool taking;         /* a hand asks the client for an item */
    size_t loading;      /* items that hands are busy with, on their way in */
    bool no_more, closing;
    size_t items; /* taken and not told yet, wherever they are */
    sa_place_list loaded, done;
    sa_place_list stepping, stepped; /* searches that go on, before and after their step */
    size_t away;                     /* in these two, or in a hand; the one thread's */
    bool failed;
    sa_error why; /* what ended the whole */
} sa_runner_hands;

/* An answer that the policy writes. */
typedef struct {
    sa_runner_job *job; /* NULL: free */
    const sa_runner *runner;
    sa_chat_request request;
    sa_generate_answer answer;
} sa_runner_answer;

struct sa_runner {
    sa_runner_options options;
    sa_device *device;
    sa_segmenter *segmenter;
    sa_chat *chat;         /* NULL: the policy is not asked */
    uint8_t paint[3][256]; /* what the agent's overlay makes of each value of a channel */
    sa_grammar *grammar;
    const char **stops; /* texts that end an answer; the last is NULL */
    sa_answer_digits digits;
    pthread_mutex_t lock;        /* pictures, hands, counts */
    pthread_mutex_t client_lock; /* the client's finished and failed */
    sa_runner_pictures pictures;
    sa_runner_hands hands;
    sa_batcher batcher;
    uint64_t let_in; /* items, so far */
    bool alone;      /* a device that computes nothing has waited for more of them in vain */
    /* The policy: */
    sa_generate_options asked;
    sa_runner_answer *answers; /* [batch] */
    size_t *free_answers;      /* [free_answer_count] */
    size_t free_answer_count;
    /* One call of the segmenter, [batch]: */
    sa_segmenter_query *queries;
    sa_segmenter_answer *segmented;
    sa_click *clicks; /* [batch, sa_runner_most_clicks] */
    sa_mask *masks;
    sa_runner_job **asking;
    const sa_image **images;
    size_t *slots;
    sa_runner_picture **encoding;
    size_t segmenting; /* pictures, or clicks, of the call that goes on */
    const sa_item *first_segmented;
    const sa_runner_client *client; /* of the run at hand */
    sa_runner_counts *counts;
};

/* ---- runner_open.c ---- */

bool sa_runner_starts_by_prompt(const sa_runner_options *o);
/* States are fed back where the agent wants it, and where a given mask would be forgotten without. */
bool sa_runner_feeds_back(const sa_runner *r);
/* Room for one; the caller frees it. SA_NO_ROOM. */
sa_status sa_runner_new_state(const sa_runner *r, const sa_item *item, float **state, sa_error *err);
/* Of one prompt. */
size_t sa_runner_most_clicks(const sa_runner_options *o);
/* What is the machine's fault and no item's: the item may well do when the run is gone on with. */
bool sa_runner_ends_run(sa_status status);
/* Adds to the error of a device what it was working on. */
sa_status sa_runner_name_items(sa_status status, const sa_item *first, size_t count, sa_error *err);

/* ---- pictures, under the lock unless said otherwise ---- */

sa_status sa_runner_open_pictures(sa_runner *r, sa_error *err);
void sa_runner_close_pictures(sa_runner *r);
/* Without the lock. Reads it, or waits for who reads it already; one more user. */
sa_status sa_runner_take_picture(sa_runner *r, const char *path, sa_runner_picture **picture, sa_error *err);
void sa_runner_leave_picture(sa_runner *r, sa_runner_picture *picture);
/* Without the lock. A slot of the segmenter for a picture that is searched. */
size_t sa_runner_find_slot(sa_runner *r, sa_runner_picture *picture);

/* ---- items, in any thread ---- */

/* Reads all that an item names. *place is there to be freed unless there was no memory for it. */
sa_status sa_runner_load_item(sa_runner *r, const sa_item *item, size_t index, sa_runner_place **place,
                              sa_error *err);
void sa_runner_free_place(sa_runner *r, sa_runner_place *place);

/* ---- hands ---- */

sa_status sa_runner_open_hands(sa_runner *r, sa_error *err);
void sa_runner_close_hands(sa_runner *r);
/* A run's threads. Stop waits for what is being read, steps that are being made, and for results to be told,
 * unless the run failed. */
sa_status sa_runner_start_hands(sa_runner *r, sa_error *err);
void sa_runner_stop_hands(sa_runner *r);
/* Items that have been loaded go to WANT_ROOM. */
void sa_runner_take_loaded(sa_runner *r);
/* Out of the one thread's hands: its result is told, or why it failed. */
void sa_runner_give_done(sa_runner *r, sa_runner_place *place);
/* A search goes on in a hand's thread. */
void sa_runner_give_step(sa_runner *r, sa_runner_place *place);
/* One that has come back from there; NULL: none. */
sa_runner_place *sa_runner_take_stepped(sa_runner *r);
/* Waits for an item, or a while; false: there are none left anywhere. */
bool sa_runner_wait(sa_runner *r);
/* Waits for an item that is on its way in, or back from a step, or a while; true: one is there. */
bool sa_runner_wait_for_loaded(sa_runner *r);
/* What ended the whole, if the hands met it. */
sa_status sa_runner_hands_status(sa_runner *r, sa_error *err);

/* ---- works ---- */

/* Searches that have come back from a hand go on. */
sa_status sa_runner_go_on(sa_runner *r, sa_error *err);
/* The item's search begins. */
sa_status sa_runner_begin_place(sa_runner *r, sa_runner_place *p, sa_error *err);
/* A job is answered: the search goes on if it was the last. */
sa_status sa_runner_end_job(sa_runner *r, sa_runner_job *job, sa_error *err);
/* The job failed, and its item with it (or the whole). */
sa_status sa_runner_fail_job(sa_runner *r, sa_runner_job *job, const sa_error *why, sa_error *err);
sa_status sa_runner_fail_precision(const sa_runner_place *p, sa_error *err);
/* Where a click waits. */
sa_stage sa_runner_click_stage(const sa_runner_place *p);

/* ---- the mask to begin with ---- */

/* What is asked of the segmenter for it. */
void sa_runner_choose_start(const sa_runner *r, sa_runner_place *p);
sa_status sa_runner_open_episode(sa_runner *r, sa_runner_place *p, sa_error *err);

/* ---- stages ---- */

sa_status sa_runner_run_answer(sa_runner *r, sa_error *err);
/* One call of the segmenter at a time, in two steps; what was started and is of no use any more, abandoned.
 */
sa_status sa_runner_start_encode(sa_runner *r, sa_error *err);
sa_status sa_runner_finish_encode(sa_runner *r, sa_error *err);
sa_status sa_runner_start_click(sa_runner *r, sa_error *err);
sa_status sa_runner_finish_click(sa_runner *r, sa_error *err);
void sa_runner_abandon_segmenter(sa_runner *r);

#endif
