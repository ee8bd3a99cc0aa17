/*
 * The inside of the driver API (the exported cu* functions).
 *
 *   init.c: device, switches, exit     context.c: contexts, current one     alloc.c, copy.c: memory
 *   stream.c, event.c: what the host waits for        module.c, launch.c, occupancy.c: kernels
 *   graph.c, graph_kernels.c: graphs       error.c, proc.c: names      refused.c: calls that aren't there
 *   queue.c: work of streams, runs it  order.c: what happens before what (stream_order)
 *
 * Every exported function opens with SIM_ENTER() or SIM_ENTER_CONTEXT(): one lock for the whole driver, the
 * injected loss of the device, the sticky error of the context.
 *
 * Asynchronous work goes through sim_enqueue(). Without GPUSIM_STRICT it runs before sim_enqueue() returns;
 * with it, it stays in its stream's queue until a synchronisation needs it. Its error, if it has one, comes
 * to light at the next synchronisation and stays with the context from then on.
 */
#ifndef GPUSIM_DRIVER_H
#define GPUSIM_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default) /* what cuda.h declares is what the library exports */
#include <cuda.h>
#pragma GCC visibility pop

#include "tests/gpusim/lower.h"
#include "tests/gpusim/memory.h"
#include "tests/gpusim/profile.h"
#include "tests/gpusim/report.h"
#include "tests/gpusim/sim.h"

#define SIM_EXPORT __attribute__((visibility("default")))

/* ---- entering a call ---- */

typedef struct {
    CUresult error;
    bool locked;
} sim_guard;

sim_guard sim_enter(bool needs_context);
void sim_leave(sim_guard *guard);
#define SIM_ENTER_AS(needs_context)                                                                          \
    sim_guard sim_guard_here __attribute__((cleanup(sim_leave))) = sim_enter(needs_context);                 \
    if (sim_guard_here.error) {                                                                              \
        return sim_guard_here.error;                                                                         \
    }
#define SIM_ENTER() SIM_ENTER_AS(false)
#define SIM_ENTER_CONTEXT() SIM_ENTER_AS(true)

/* Prints "gpusim: ..." on stderr and returns the error: for what the simulator refuses by name. */
CUresult sim_refuse(CUresult error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- handles: a pointer that was never handed out, or has been destroyed, is refused ---- */

typedef enum {
    SIM_CONTEXT,
    SIM_STREAM,
    SIM_EVENT,
    SIM_MODULE,
    SIM_LIBRARY,
    SIM_GRAPH,
    SIM_EXEC,
    SIM_POOL
} sim_handle_kind;

void sim_handle_add(const void *handle, sim_handle_kind kind);
void sim_handle_remove(const void *handle);
bool sim_handle_is(const void *handle, sim_handle_kind kind);
/* The n-th live handle of a kind, or NULL: for destroying a context's belongings. */
void *sim_handle_nth(sim_handle_kind kind, size_t n);

/* ---- order of streams (order.c) ---- */

enum { SIM_STREAMS = 128 }; /* alive at once; number 0 is the host */

/* at[s]: work of stream s up to this tick happened before. */
typedef struct {
    uint32_t at[SIM_STREAMS];
} sim_clock;

typedef struct sim_work sim_work;

uint32_t
sim_order_open(uint32_t *tick); /* a number for a new stream, and where its ticks begin; 0: none left */
void sim_order_close(uint32_t stream, uint32_t tick);
void sim_order_join(sim_clock *clock, const sim_clock *other);
extern sim_clock sim_host_clock; /* what the host has waited for */
/*
 * An access of running work, to bytes of device memory; reported as stream_order if an earlier one overlaps,
 * one of them writes, and nothing orders them. `what`: a kernel's name or "cuMemcpyHtoDAsync"; it must stay
 * valid.
 */
void sim_order_access(const sim_work *work, uint64_t begin, uint64_t end, bool writes, const char *what);
bool sim_order_matters(void); /* kernels' accesses are of interest */
void sim_order_prune(void);   /* forgets what the host has waited for; call when no work is queued */

/* ---- contexts ---- */

struct CUctx_st {
    unsigned flags, references;
    bool is_primary;
    CUresult pending,
        error; /* of asynchronous work: not yet seen by the host; seen, and returned from now on */
    CUstream legacy, per_thread;
    size_t limit_stack, limit_printf, limit_heap;
    unsigned long long id;
};

CUcontext sim_context(void); /* of the calling thread; after SIM_ENTER_CONTEXT() never NULL */
void sim_context_close(CUcontext context);

/* ---- the device ---- */

extern const sim_gpu *sim_device; /* what it poses as; NULL before cuInit */
uint64_t sim_device_memory(void);
bool sim_device_is(CUdevice device);

/* ---- allocations (alloc.c) ---- */

typedef struct {
    uint64_t begin;
    size_t bytes;
    CUcontext context;
    const char *call;
    bool is_host, freeing; /* freeing: an asynchronous free waits for its turn */
    unsigned flags;        /* of cuMemHostAlloc */
} sim_allocation;

/* The live allocation that holds the address, or NULL. */
const sim_allocation *sim_allocation_at(uint64_t address);
/* Pinned memory, by cuMemAllocHost and the like or by cuMemHostRegister. */
bool sim_is_pinned(const void *host, size_t bytes);
/* Reports what a context (NULL: any) has not freed, and frees it if asked to. */
void sim_allocations_leaked(CUcontext context, bool release);
void sim_allocation_release(
    uint64_t begin); /* frees it at once; asynchronous frees come here in their turn */

/* ---- work of streams ---- */

typedef enum {
    SIM_WORK_COPY,
    SIM_WORK_SET,
    SIM_WORK_KERNEL,
    SIM_WORK_HOST,
    SIM_WORK_RECORD,
    SIM_WORK_FREE,
    SIM_WORK_NOTHING
} sim_work_kind;

/* One side of a copy: rows of memory. Device memory by its address, host memory by its pointer. */
typedef struct {
    uint64_t device; /* 0: host */
    uint8_t *host;
    size_t pitch, slice; /* bytes from row to row, from slice to slice */
} sim_side;

struct sim_work {
    sim_work_kind kind;
    const char *call; /* "cuMemcpyHtoDAsync" */
    sim_work *next;
    CUstream stream;
    uint32_t tick; /* of its stream */
    sim_clock clock;
    union {
        struct {
            sim_side to, from;
            size_t width, height, depth;
            uint8_t *staged; /* what pageable memory held at the call; owned */
        } copy;
        struct {
            uint64_t to;
            size_t pitch, width, height; /* bytes */
            uint32_t value, element;     /* bytes of one */
        } set;
        struct {
            CUfunction function;
            uint32_t grid[3], block[3], shared;
            uint8_t *params; /* owned */
            bool traps;      /* GPUSIM_TRAP_LAUNCH: it fails instead of running */
        } kernel;
        struct {
            CUhostFn call;
            CUstreamCallback callback;
            void *data;
        } host;
        struct {
            CUevent event;
            uint32_t generation;
        } record;
        uint64_t address; /* free */
    };
};

/*
 * Takes a copy of *work (the caller's staged and params go over to it) into the stream's order, or into the
 * graph that is being captured. The result is of the call itself; errors of the work come later.
 */
CUresult sim_enqueue(CUstream stream, sim_work *work);
void sim_work_drop(sim_work *work); /* frees what it owns */
bool sim_work_clone(sim_work *to, const sim_work *from);
/* Runs what the stream has up to the tick, and before it what that waits for. */
void sim_run_until(CUstream stream, uint32_t tick);
/* The host waits for a stream, or for all of a context; returns the context's error, from now on sticky. */
CUresult sim_wait_stream(CUstream stream);
CUresult sim_wait_context(CUcontext context);
/* Brings the error of finished work to light. */
CUresult sim_context_error(CUcontext context);
bool sim_any_queued(void);
extern bool sim_in_callback;              /* a host function of a stream runs: the driver may not be called */
extern CUstream sim_streams[SIM_STREAMS]; /* live ones by number */
/* Device bytes that a call of the host is about to use; false after a finding if they are not all live. */
bool sim_bytes_usable(uint64_t address, size_t bytes, const char *call);
/* Queued work that uses bytes of [begin, end): its call, or NULL. */
const char *sim_queued_user(uint64_t begin, uint64_t end);
void sim_kernel_run(sim_work *work); /* launch.c */
/* GPUSIM_FAIL_LAUNCH and GPUSIM_TRAP_LAUNCH count the kernels that pass the checks, those of graphs at their
 * launch. */
CUresult sim_launch_inject(bool *traps);
/* A checked launch with a copy of its parameters, in no stream yet. Its error leaves *work as it is. */
CUresult sim_kernel_work(sim_work *work, CUfunction f, const uint32_t grid[3], const uint32_t block[3],
                         uint32_t shared, void **pointers, void **extra);
void sim_event_stamp(CUevent event, uint32_t generation); /* event.c */

struct CUstream_st {
    CUcontext context;
    unsigned flags;
    int priority;
    uint32_t number, tick,
        done; /* its index in clocks; of the last work enqueued; of the last work that ran */
    unsigned long long id;
    bool is_legacy;
    sim_clock clock;
    sim_work *first, *last; /* queued */
    CUgraph capture;        /* NULL: not capturing */
    CUstreamCaptureMode capture_mode;
    bool capture_origin, capture_broken;
    CUgraphNode *capture_deps;
    size_t capture_dep_count;
};

/* The stream behind a handle, NULL if it is none. 0 and CU_STREAM_LEGACY are the context's own. */
CUstream sim_stream(CUstream handle);
CUstream sim_stream_open(CUcontext context, unsigned flags, int priority);
void sim_stream_close(CUstream stream);

struct CUevent_st {
    CUcontext context;
    unsigned flags;
    uint32_t generation; /* counts records */
    uint32_t stamped;    /* generation whose time stands in `time` */
    CUstream stream;     /* of the last record; NULL: none, or destroyed since */
    uint32_t tick;
    sim_clock clock;
    double time;     /* seconds */
    CUgraph capture; /* recorded in a capture: the graph and the nodes it stands for */
    CUgraphNode *capture_deps;
    size_t capture_dep_count;
};
bool sim_event_done(CUevent event);

/* ---- modules ---- */

struct CUfunc_st {
    CUmodule module;
    const sim_function *function;
    uint32_t dynamic_shared; /* opted in to; 0: what every launch may use */
    int carveout;
};

struct CUmod_st {
    CUcontext context;
    sim_module *module;
    CUfunction functions; /* [module->ptx->function_count] */
};

bool sim_function_is(CUfunction function);
/* PTX text, cubin or fat binary; size 0: not known, as the API leaves it. */
CUresult sim_module_open(CUmodule *module, const void *image, char *log, size_t log_bytes);
void sim_module_close(CUmodule module);

/* Refused while a stream captures in global mode (allocation, synchronisation). */
bool sim_capturing(void);
void sim_capture_break(void); /* by a call that a capture forbids */
CUresult sim_capture_add(CUstream stream, sim_work *work);

#endif
