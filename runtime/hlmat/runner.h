/*
 * Runs episodes with the models of an agent, many at a time: what they want of the policy and of the
 * segmenter is gathered by stage (batcher.h), and the stage whose batch pays most runs next.
 *
 *   items -> [ picture, prompt ] -> episode: ( encode | answer | click ) ... -> [ result ] -> client
 *            host threads           one thread, the device's                    host threads
 *
 * What becomes of an item does not depend on the others, nor on how many run at a time. An item that fails
 * (its picture, its text) ends alone; a device that fails, a disk, or memory that is used up ends all.
 */
#ifndef SA_HLMAT_RUNNER_H
#define SA_HLMAT_RUNNER_H

#include "runtime/data/item.h"
#include "runtime/device/device.h"
#include "runtime/engine/chat.h"
#include "runtime/hlmat/episode.h"

typedef struct sa_runner sa_runner;

/* The mask that an episode begins with. */
typedef enum {
    SA_START_EMPTY,
    SA_START_GIVEN,  /* the item's, which it must have */
    SA_START_BOX,    /* what the segmenter makes of the truth's bounding box */
    SA_START_CLICKS, /* of 1 to SA_START_MOST_CLICKS random clicks, on the truth or beside it */
} sa_runner_start;

enum { SA_START_MOST_CLICKS = 3 };

typedef struct {
    sa_dtype precision;
    size_t batch;     /* of one stage at most, >= 1 */
    size_t in_flight; /* items at a time; 0: twice the batch */
    size_t kv_pages;  /* of the policy; 0: as many as suit the batch */
    size_t hands; /* host threads: items in, results out, steps of the annotator; >= 2; 0: as suits these */
    size_t host_bytes;           /* of pictures in host memory, about; 0: a quarter of the machine's */
    size_t sharers;              /* processes that share this quarter; 0: one */
    size_t ahead;                /* items read before there is room for them; 0: as many as a batch */
    size_t max_pixels, max_side; /* of one picture */
    sa_episode_options episode;
    double seconds; /* of one item at most; 0: no limit. Its results then depend on the machine */
    sa_runner_start start;
    bool uses_truth;  /* the items' true masks are read where there are any */
    bool needs_truth; /* an item without is one that failed */
} sa_runner_options;

/* Opens the models that the options need: the policy only if it is asked anything. */
sa_status sa_runner_open(sa_runner **runner, sa_device *device, const sa_runner_options *options,
                         sa_error *err);
void sa_runner_close(sa_runner *runner);

/* Items that it takes in at a time, those that wait for room and for their results to be told among them. */
size_t sa_runner_window(const sa_runner *runner);

/* Device memory of the models and their work. */
typedef struct {
    size_t segmenter, policy;
} sa_runner_memory;
sa_runner_memory sa_runner_get_memory(const sa_runner *runner);

/* What the models would take on a device, by its peaks alone (cost_model.h). */
sa_cost_model sa_runner_roofline(const sa_runner *runner, const sa_cost_device *device);

/*
 * Who brings items and takes results, in the order in which they get ready. Called from the runner's threads:
 * `next` by one at a time, `finished` and `failed` by one at a time, perhaps beside a `next`; `interrupted`
 * by the thread that runs it.
 */
typedef struct {
    void *context;
    /* The next item, which stays as it is until it is finished or has failed; NULL: no more. May wait. */
    const sa_item *(*next)(void *context, size_t *index);
    sa_status (*finished)(void *context, size_t index, sa_result *result, sa_error *err);
    sa_status (*failed)(void *context, size_t index, const sa_error *why, sa_error *err);
    bool (*interrupted)(void *context);
    /* The run ends: a `next` that waits has to return. NULL: none ever waits. By any thread. */
    void (*closing)(void *context);
} sa_runner_client;

typedef struct {
    size_t items, failed;
    size_t pictures; /* encoded */
    sa_episode_counts of_episodes;
    sa_chat_counts of_policy;
    double decode, encode, think, click; /* seconds */
    double waited;                       /* of them none: for pictures to be read, and steps made */
    double host;                         /* of a processor, for the one thread that works with the device */
    size_t peak_in_flight;
    size_t overlapped;   /* calls of the segmenter during which the policy was asked */
    sa_device_work work; /* of the device, in this run */
} sa_runner_counts;

/* Reads all that an item names, and writes its prompt, as a run would: the status and error that it has. */
sa_status sa_runner_check(sa_runner *runner, const sa_item *item, sa_error *err);

/* Runs until there are no more items. SA_INTERRUPTED; else what ended the whole. */
sa_status sa_runner_run(sa_runner *runner, const sa_runner_client *client, sa_runner_counts *counts,
                        sa_error *err);

#endif
