/*
 * Devices: where models run. One handle holds the memory functions and the table of ops (kernels/kernels.h);
 * the model code works with these alone and never asks which backend it has.
 *
 * Device memory is plain memory on the CPU; on a GPU its pointers mean nothing to the host, which may only do
 * arithmetic on them. Copies and ops are queued on a stream; sa_stream_wait() returns when all of them have
 * ended. On the CPU everything is finished when its call returns. A device and its streams belong to one
 * thread at a time.
 *
 * A GPU that fails in the middle of its work stays failed: every later wait reports the first failure,
 * nothing more is queued, and what was to be downloaded is left as it was.
 */
#ifndef SA_DEVICE_DEVICE_H
#define SA_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "runtime/base/pool.h"
#include "runtime/base/status.h"
#include "runtime/device/cost_model.h"

typedef struct sa_device sa_device;

typedef enum {
    SA_NUMERICS_INVARIANT = 0, /* an item's result never depends on the rest of its batch, bit for bit */
    SA_NUMERICS_FAST,          /* the fastest library or kernel for each shape may be taken */
} sa_numerics;

typedef struct {
    /* "auto" (the first GPU if it can be used, otherwise the CPU), "cpu", "cuda", "cuda:1", "null" */
    const char *name;
    int threads; /* of the CPU; 0 means one per processor */
    /* CPU level, "auto" or a name of sa_cpu_level_name(); NULL reads SEGAGENT_ISA, then auto */
    const char *isa;
    sa_numerics numerics; /* CUDA: may results depend on what else is in the batch? */
} sa_device_options;

sa_status sa_device_open(sa_device **device, const sa_device_options *options, sa_error *err);
void sa_device_close(sa_device *device);

const char *sa_device_name(const sa_device *device); /* "cpu", "cuda:0" */
/* Why "auto" chose this device, in a sentence for the log; "" if the device was named. */
const char *sa_device_note(const sa_device *device);
const sa_ops *sa_device_ops(const sa_device *device);
sa_pool *sa_device_pool(const sa_device *device); /* the host's threads, for host work beside the device's */
bool sa_device_has_fast_bf16(const sa_device *device); /* what --precision auto asks */
bool sa_device_has_f16(const sa_device *device);       /* its ops take f16 where bf16 stands in kernels.h */
/*
 * How many items a model had best take through its layers together. CPU: 1, since one picture fills all
 * threads and the activations of more of them leave the cache (16 clicks at once took 10 % longer than one by
 * one). CUDA: 8, since the tiles of one picture's layers fill a large GPU one and a half times, those of
 * eight pictures eleven times, which leaves a few per cent of it idle, and their activations stay below 2 GB.
 */
size_t sa_device_items_at_once(const sa_device *device);

/*
 * What the device can do at most, by its maker's figures at its highest clock: arithmetic in this dtype (with
 * tensor cores for the halves, without for f32) and memory traffic, each a second. False where nobody
 * declares it: on the CPU.
 */
bool sa_device_peak(const sa_device *device, sa_dtype dtype, double *flops, double *bytes);

/* The kernels of a profile, each with the sum over its launches; flops and bytes as its launcher states them.
 */
typedef struct {
    const char *kernel;
    size_t launches;
    double seconds, flops, bytes;
} sa_kernel_profile;

enum { SA_MOST_PROFILED = 256 };

/*
 * Between start and end every launch is waited for and timed by the device's own clock, so the whole is
 * slower than usual. End fills up to SA_MOST_PROFILED rows, the longest first, and says how many; 0 on the
 * CPU.
 */
void sa_device_profile_start(sa_device *device);
size_t sa_device_profile_end(sa_device *device, sa_kernel_profile rows[SA_MOST_PROFILED]);

/* ---- what was done, and the null device, which does nothing but count it ---- */

/*
 * Whether it works on several streams at a time, beside its caller, as a GPU does, and the null device as if.
 * Not a GPU with the libraries of --numerics fast, whose streams share a workspace.
 */
bool sa_device_overlaps(const sa_device *device);

/* False: its results mean nothing (--device null). Work of the host for it may be left out, too. */
bool sa_device_computes(const sa_device *device);

typedef struct {
    size_t batches[SA_COST_STAGES], units[SA_COST_STAGES]; /* units: pictures, prompts, tokens */
    double seconds[SA_COST_STAGES];                        /* of the null device's clock; else 0 */
    size_t kernels, graphs; /* launched by themselves, and as graphs; of a GPU */
} sa_device_work;

/* A stage has run on this device: counted, and, on the null device, what it would have taken. */
void sa_device_count(sa_device *device, sa_cost_stage stage, size_t batch);
sa_device_work sa_device_get_work(const sa_device *device);
sa_device_work sa_device_work_since(sa_device_work now, sa_device_work before);
/* All zeros until then. */
void sa_device_set_costs(sa_device *device, const sa_cost_model *costs);

/*
 * What every answer is on the null device: token number i (sa_sample_choice.place) is tokens[i], or one of
 * `others`, by chance, where it varies; behind the last one that one. Copied. Other devices need none.
 */
sa_status sa_device_set_null_answer(sa_device *device, const int32_t *tokens, const bool *varies,
                                    size_t count, const int32_t *others, size_t other_count, sa_error *err);

/* 256-byte aligned device memory, contents undefined. Only at start-up: SA_NO_ROOM names `what`. */
sa_status sa_device_alloc(sa_device *device, size_t bytes, const char *what, void **memory, sa_error *err);
void sa_device_free(sa_device *device, void *memory);
size_t sa_device_allocated(const sa_device *device); /* bytes now */
/* Calls ever: tests prove that none comes after start-up. */
size_t sa_device_allocation_count(const sa_device *device);

sa_status sa_stream_open(sa_stream **stream, sa_device *device, sa_error *err);
void sa_stream_close(sa_stream *stream);
/* Waits for everything queued; the first failure of an op or copy, if there was one. */
sa_status sa_stream_wait(sa_stream *stream, sa_error *err);

/*
 * Asynchronous copies of `bytes`; any host memory will do. It must stay as it is until the stream has been
 * waited for (a GPU's backend happens to have read `host_from` when sa_stream_upload() returns, and writes
 * `host_to` no later than in sa_stream_wait()).
 */
void sa_stream_upload(sa_stream *stream, void *device_to, const void *host_from, size_t bytes);
void sa_stream_download(sa_stream *stream, void *host_to, const void *device_from, size_t bytes);
void sa_stream_copy(sa_stream *stream, void *device_to, const void *device_from, size_t bytes);

/*
 * Ops between begin and end are queued at the end, in their order. If the same ops came in the same order
 * between begin and end before, whatever their arguments, a GPU gets them as one graph: one launch in place
 * of hundreds. Copies, waits, and ops that a library queues end it where they stand.
 */
void sa_stream_group_begin(sa_stream *stream);
void sa_stream_group_end(sa_stream *stream);

/*
 * Host memory made readable by the ops of this stream: the pointer itself where the device reads host memory,
 * otherwise a copy queued into `staging` (device memory of at least `bytes`; may be NULL if
 * sa_device_reads_host()).
 */
const void *sa_stream_reach(sa_stream *stream, const void *host, size_t bytes, void *staging);
bool sa_device_reads_host(const sa_device *device);

#endif
