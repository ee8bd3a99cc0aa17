/*
 * Which stage of the work runs next: jobs of many trajectories wait in one queue for each stage, and are
 * taken from there in batches.
 *
 *   put -> [ choose: the stage whose batch pays most -> first, move ... ] -> drop
 *
 * A trajectory is data, never a thread or a stack: an item is a job while its search goes on, and each thing
 * that the search wants of a model is one, too. Every job is in exactly one queue.
 *
 *   item:   (host: WANT_IMAGE) -> WANT_ROOM -> SEARCHING -> (host: WANT_RESULT)
 *   answer: WANT_PREFILL (vision comes with it) -> WANT_DECODE (joins and leaves at any token) -> gone
 *   click:  WANT_SEG_ENCODE (if the picture is not) -> WANT_SEG_CLICK -> gone; SEGMENTING while a call of
 *           the segmenter with it goes on
 *
 * What pays: a stage that fills its batch, and of several that do the one furthest down, where work leaves
 * and memory with it; if none does, the one that is fullest.
 *
 * No deadlock: whoever is let in (WANT_ROOM to SEARCHING) holds the memory that it needs to its end, a
 * place for its picture's embedding included. What else a stage takes (KV pages, rows for a picture) it takes
 * for its own jobs alone and gives back with them, the oldest first (generate.h); so a stage with jobs can
 * always run, and choose() names one as long as there is a job in any of them.
 */
#ifndef SA_ENGINE_BATCHER_H
#define SA_ENGINE_BATCHER_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    SA_WANT_ROOM,
    SA_SEARCHING,
    SA_WANT_SEG_ENCODE,
    SA_WANT_PREFILL,
    SA_WANT_DECODE,
    SA_WANT_SEG_CLICK,
    SA_SEGMENTING,
    SA_STAGES,
} sa_stage;

/* The head of what a caller calls a job. */
typedef struct sa_job {
    struct sa_job *next, *before;
    sa_stage stage;
} sa_job;

typedef struct {
    sa_job *first, *last;
    size_t count, peak;
} sa_job_queue;

typedef struct {
    sa_job_queue queues[SA_STAGES];
    size_t encodes, answers, clicks; /* the largest batches; answers: in prefill and decode together */
} sa_batcher;

/* What a device does next. */
typedef enum { SA_RUN_NOTHING, SA_RUN_ENCODE, SA_RUN_ANSWER, SA_RUN_CLICK } sa_batch_kind;

/* A new job, at the end of a queue. */
void sa_batcher_put(sa_batcher *batcher, sa_job *job, sa_stage stage);
/* To the end of another one. */
void sa_batcher_move(sa_batcher *batcher, sa_job *job, sa_stage stage);
void sa_batcher_drop(sa_batcher *batcher, sa_job *job);
/* The one that has waited longest; NULL: none. */
sa_job *sa_batcher_first(const sa_batcher *batcher, sa_stage stage);
size_t sa_batcher_count(const sa_batcher *batcher, sa_stage stage);

sa_batch_kind sa_batcher_choose(const sa_batcher *batcher);

/* Asserts that every job stands once in the queue of its stage, and that the counts are right. */
void sa_batcher_check(const sa_batcher *batcher);

#endif
