/*
 * Work of streams: taken in order of the program, run at once or (GPUSIM_STRICT) when the host waits for it.
 * A piece of work runs after everything that its clock says happened before it, so events need no work of
 * their own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/driver/driver.h"

enum { MOST_ROWS = 256 }; /* of a pitched copy whose rows are looked at for stream_order */

bool sim_in_callback;
CUstream sim_streams[SIM_STREAMS];

void sim_work_drop(sim_work *work)
{
    if (work->kind == SIM_WORK_COPY) {
        free(work->copy.staged);
        work->copy.staged = NULL;
    } else if (work->kind == SIM_WORK_KERNEL) {
        free(work->kernel.params);
        work->kernel.params = NULL;
    }
}

bool sim_work_clone(sim_work *to, const sim_work *from)
{
    *to = *from;
    const uint8_t *bytes = from->kind == SIM_WORK_KERNEL ? from->kernel.params : NULL;
    if (bytes) {
        size_t size = from->kernel.function->function->param_bytes;
        to->kernel.params = malloc(size ? size : 1);
        if (!to->kernel.params) {
            return false;
        }
        memcpy(to->kernel.params, bytes, size);
    }
    return true;
}

/* ---- running ---- */

/* Device address of a side's bytes, 0 for pageable memory of the host. Pinned memory has one. */
static uint64_t side_address(const sim_side *side)
{
    uint64_t host = (uint64_t)(uintptr_t)side->host;
    return side->device ? side->device : host - sim_mem.base < sim_mem.bytes ? host : 0;
}

static void order_side(const sim_work *work, const sim_side *side, bool writes)
{
    uint64_t begin = side_address(side);
    size_t width = work->copy.width, rows = work->copy.height * work->copy.depth;
    if (!begin) {
        return;
    }
    if (rows == 1 || (side->pitch == width && side->slice == width * work->copy.height)) {
        sim_order_access(work, begin, begin + width * rows, writes, work->call);
        return;
    }
    for (size_t row = 0; row < rows && row < MOST_ROWS; row++) {
        uint64_t at = begin + row / work->copy.height * side->slice + row % work->copy.height * side->pitch;
        sim_order_access(work, at, at + width, writes, work->call);
    }
}

static uint8_t *side_row(const sim_side *side, size_t slice, size_t row)
{
    uint8_t *base = side->device ? sim_memory_host(side->device) : side->host;
    return base + slice * side->slice + row * side->pitch;
}

/* What a copy between live memory does; whether bytes were written goes along with them. */
static void run_copy(const sim_work *work)
{
    const sim_side *to = &work->copy.to, *from = &work->copy.from;
    order_side(work, from, false);
    order_side(work, to, true);
    for (size_t z = 0; z < work->copy.depth; z++) {
        for (size_t y = 0; y < work->copy.height; y++) {
            memmove(side_row(to, z, y), side_row(from, z, y), work->copy.width);
            uint64_t at = z * to->slice + y * to->pitch;
            if (to->device && from->device) {
                sim_memory_copy_marks(to->device + at, from->device + z * from->slice + y * from->pitch,
                                      work->copy.width);
            } else if (to->device) {
                sim_memory_mark(to->device + at, work->copy.width);
            }
        }
    }
}

static void fill(uint8_t *p, size_t bytes, uint32_t value, uint32_t element)
{
    if (element == 1) {
        memset(p, (int)value, bytes);
        return;
    }
    for (size_t i = 0; i < bytes; i += element) {
        memcpy(p + i, &value, element); /* little-endian */
    }
}

static void run_set(const sim_work *work)
{
    for (size_t row = 0; row < work->set.height; row++) {
        uint64_t at = work->set.to + row * work->set.pitch;
        if (row < MOST_ROWS) {
            sim_order_access(work, at, at + work->set.width, true, work->call);
        }
        fill(sim_memory_host(at), work->set.width, work->set.value, work->set.element);
        sim_memory_mark(at, work->set.width);
    }
}

static void run_host(const sim_work *work, CUresult status)
{
    sim_in_callback = true;
    if (work->host.callback) {
        work->host.callback(work->stream, status, work->host.data);
    } else if (!status) {
        work->host.call(work->host.data);
    }
    sim_in_callback = false;
}

static size_t side_bytes(const sim_work *work, const sim_side *side)
{
    return (work->copy.depth - 1) * side->slice + (work->copy.height - 1) * side->pitch + work->copy.width;
}

/* Memory can have been freed since the call. */
static bool still_usable(const sim_work *work)
{
    switch (work->kind) {
    case SIM_WORK_COPY:
        for (int i = 0; i < 2; i++) {
            const sim_side *side = i ? &work->copy.to : &work->copy.from;
            uint64_t begin = side_address(side);
            if (begin && !sim_bytes_usable(begin, side_bytes(work, side), work->call)) {
                return false;
            }
        }
        return true;
    case SIM_WORK_SET:
        return sim_bytes_usable(work->set.to, (work->set.height - 1) * work->set.pitch + work->set.width,
                                work->call);
    default: return true;
    }
}

/* After an error of earlier work a device does nothing more, but events and callbacks still come to their
 * end. */
static void run(sim_work *work)
{
    CUcontext context = work->stream->context;
    CUresult status = context->pending ? context->pending : context->error;
    if (!status && !still_usable(work)) {
        status = context->pending = CUDA_ERROR_ILLEGAL_ADDRESS;
    }
    switch (work->kind) {
    case SIM_WORK_HOST: run_host(work, status); break;
    case SIM_WORK_RECORD: sim_event_stamp(work->record.event, work->record.generation); break;
    case SIM_WORK_FREE: sim_allocation_release(work->address); break;
    case SIM_WORK_NOTHING: break;
    default:
        if (status) {
            break;
        } else if (work->kind == SIM_WORK_COPY) {
            run_copy(work);
        } else if (work->kind == SIM_WORK_SET) {
            run_set(work);
        } else {
            sim_kernel_run(work);
        }
    }
}

void sim_run_until(CUstream stream, uint32_t tick)
{
    while (stream->first && stream->first->tick <= tick) {
        sim_work *work = stream->first;
        stream->first = work->next;
        for (uint32_t n = 1; n < SIM_STREAMS; n++) {
            if (sim_streams[n] && n != stream->number && sim_streams[n]->first) {
                sim_run_until(sim_streams[n], work->clock.at[n]);
            }
        }
        run(work);
        stream->done = work->tick;
        sim_work_drop(work);
        free(work);
    }
}

/* ---- taking work in ---- */

/* The default stream waits for every blocking stream of its context, and they for it. */
static void join_default(CUstream stream)
{
    CUcontext context = stream->context;
    if (!stream->is_legacy) {
        if (!(stream->flags & CU_STREAM_NON_BLOCKING)) {
            sim_order_join(&stream->clock, &context->legacy->clock);
        }
        return;
    }
    for (uint32_t n = 1; n < SIM_STREAMS; n++) {
        CUstream other = sim_streams[n];
        if (other && other->context == context && !(other->flags & CU_STREAM_NON_BLOCKING)) {
            sim_order_join(&stream->clock, &other->clock);
        }
    }
}

CUresult sim_enqueue(CUstream stream, sim_work *work)
{
    if (stream->capture) {
        return sim_capture_add(stream, work);
    }
    if (stream->is_legacy && sim_capturing()) {
        sim_capture_break();
        sim_work_drop(work);
        return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
    sim_work *queued = malloc(sizeof *queued);
    if (!queued) {
        sim_work_drop(work);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    sim_order_join(&stream->clock, &sim_host_clock);
    join_default(stream);
    stream->clock.at[stream->number] = ++stream->tick;
    work->stream = stream;
    work->tick = stream->tick;
    work->clock = stream->clock;
    work->next = NULL;
    *queued = *work;
    if (stream->first) {
        stream->last->next = queued;
    } else {
        stream->first = queued;
    }
    stream->last = queued;
    if (!sim_options.strict) {
        sim_run_until(stream, stream->tick);
    }
    return CUDA_SUCCESS;
}

/* ---- waiting ---- */

bool sim_any_queued(void)
{
    for (uint32_t n = 1; n < SIM_STREAMS; n++) {
        if (sim_streams[n] && sim_streams[n]->first) {
            return true;
        }
    }
    return false;
}

CUresult sim_context_error(CUcontext context)
{
    if (context->pending && !context->error) {
        context->error = context->pending;
    }
    return context->error;
}

static CUresult waited(CUcontext context, const sim_clock *clock)
{
    sim_order_join(&sim_host_clock, clock);
    if (!sim_any_queued()) {
        sim_order_prune();
    }
    return sim_context_error(context);
}

CUresult sim_wait_stream(CUstream stream)
{
    join_default(stream);
    for (uint32_t n = 1; stream->is_legacy && n < SIM_STREAMS; n++) {
        if (sim_streams[n]) {
            sim_run_until(sim_streams[n], stream->clock.at[n]);
        }
    }
    sim_run_until(stream, stream->tick);
    return waited(stream->context, &stream->clock);
}

/* With work queued, one of the context's streams; NULL: none has any. Adverse: the youngest, or (with a seed)
 * any. */
static CUstream next_stream(CUcontext context, uint64_t *seed)
{
    CUstream candidates[SIM_STREAMS];
    uint32_t count = 0;
    for (uint32_t n = 1; n < SIM_STREAMS; n++) {
        if (sim_streams[n] && sim_streams[n]->context == context && sim_streams[n]->first) {
            candidates[count++] = sim_streams[n];
        }
    }
    if (!count) {
        return NULL;
    }
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return candidates[sim_options.seed ? (uint32_t)(*seed >> 33) % count : count - 1];
}

CUresult sim_wait_context(CUcontext context)
{
    static uint64_t seed;
    seed = seed ? seed : sim_options.seed;
    for (CUstream stream; (stream = next_stream(context, &seed));) {
        sim_run_until(stream, stream->first->tick);
    }
    for (uint32_t n = 1; n < SIM_STREAMS; n++) {
        if (sim_streams[n] && sim_streams[n]->context == context) {
            sim_order_join(&sim_host_clock, &sim_streams[n]->clock);
        }
    }
    return waited(context, &sim_host_clock);
}

/* ---- what is queued ---- */

static bool overlaps(uint64_t at, size_t bytes, uint64_t begin, uint64_t end)
{
    return at && at < end && begin < at + bytes;
}

/* A kernel may use what its parameters point at: every aligned word of them that is an address within. */
static bool params_point_at(const sim_work *work, uint64_t begin, uint64_t end)
{
    for (size_t i = 0; i + 8 <= work->kernel.function->function->param_bytes; i += 8) {
        uint64_t word;
        memcpy(&word, work->kernel.params + i, 8);
        if (word >= begin && word < end) {
            return true;
        }
    }
    return false;
}

static bool uses(const sim_work *work, uint64_t begin, uint64_t end)
{
    switch (work->kind) {
    case SIM_WORK_COPY:
        return overlaps(side_address(&work->copy.to), side_bytes(work, &work->copy.to), begin, end) ||
               overlaps(side_address(&work->copy.from), side_bytes(work, &work->copy.from), begin, end);
    case SIM_WORK_SET: return overlaps(work->set.to, work->set.height * work->set.pitch, begin, end);
    case SIM_WORK_KERNEL: return params_point_at(work, begin, end);
    default: return false;
    }
}

const char *sim_queued_user(uint64_t begin, uint64_t end)
{
    for (uint32_t n = 1; n < SIM_STREAMS; n++) {
        for (const sim_work *work = sim_streams[n] ? sim_streams[n]->first : NULL; work; work = work->next) {
            if (uses(work, begin, end)) {
                return work->kind == SIM_WORK_KERNEL ? work->kernel.function->function->name : work->call;
            }
        }
    }
    return NULL;
}
