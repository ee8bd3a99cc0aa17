/* cuEvent* and cuStreamWaitEvent: points in a stream's order, taken along as clocks. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/gpusim/driver/driver.h"

/* The time at which the work before the event was done: the simulator's own, not a device's. */
void sim_event_stamp(CUevent event, uint32_t generation)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (sim_handle_is(event, SIM_EVENT)) { /* it may have been destroyed since */
        event->time = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
        event->stamped = generation;
    }
}

bool sim_event_done(CUevent event)
{
    return !event->stream || (int32_t)(event->stream->done - event->tick) >= 0;
}

CUresult cuEventCreate(CUevent *event, unsigned flags)
{
    SIM_ENTER_CONTEXT();
    const unsigned known = CU_EVENT_BLOCKING_SYNC | CU_EVENT_DISABLE_TIMING | CU_EVENT_INTERPROCESS;
    if (!event || flags & ~known) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (flags & CU_EVENT_INTERPROCESS) {
        return sim_refuse(CUDA_ERROR_NOT_SUPPORTED,
                          "cuEventCreate: events between processes are not simulated");
    }
    *event = calloc(1, sizeof **event);
    if (!*event) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    (*event)->context = sim_context();
    (*event)->flags = flags;
    sim_handle_add(*event, SIM_EVENT);
    return CUDA_SUCCESS;
}

CUresult cuEventDestroy(CUevent event)
{
    SIM_ENTER_CONTEXT();
    if (!sim_handle_is(event, SIM_EVENT)) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    sim_handle_remove(event);
    free(event->capture_deps);
    free(event);
    return CUDA_SUCCESS;
}

/* In a capture the event stands for the last nodes of the stream. */
static CUresult record_in_capture(CUevent event, CUstream stream)
{
    CUgraphNode *deps = malloc((stream->capture_dep_count + 1) * sizeof *deps);
    if (!deps) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (stream->capture_dep_count) {
        memcpy(deps, stream->capture_deps, stream->capture_dep_count * sizeof *deps);
    }
    free(event->capture_deps);
    event->capture_deps = deps;
    event->capture_dep_count = stream->capture_dep_count;
    event->capture = stream->capture;
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult cuEventRecordWithFlags(CUevent event, CUstream handle, unsigned flags)
{
    SIM_ENTER_CONTEXT();
    CUstream stream = sim_stream(handle);
    if (!sim_handle_is(event, SIM_EVENT) || !stream) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    if (flags) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (stream->capture) {
        return record_in_capture(event, stream);
    }
    event->capture = NULL;
    event->generation++;
    sim_work work = {.kind = SIM_WORK_RECORD, .call = "cuEventRecord", .record = {event, event->generation}};
    CUresult error = sim_enqueue(stream, &work);
    if (!error) {
        event->stream = stream;
        event->tick = stream->tick;
        event->clock = stream->clock;
    }
    return error;
}

CUresult cuEventRecord(CUevent event, CUstream handle)
{
    return cuEventRecordWithFlags(event, handle, 0);
}

CUresult cuEventQuery(CUevent event)
{
    SIM_ENTER_CONTEXT();
    if (!sim_handle_is(event, SIM_EVENT)) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    if (event->capture) {
        return CUDA_ERROR_CAPTURED_EVENT;
    }
    if (!sim_event_done(event)) {
        sim_run_until(event->stream, event->stream->first->tick); /* as cuStreamQuery */
        return CUDA_ERROR_NOT_READY;
    }
    sim_order_join(&sim_host_clock, &event->clock);
    return sim_context_error(event->context);
}

CUresult cuEventSynchronize(CUevent event)
{
    SIM_ENTER_CONTEXT();
    if (!sim_handle_is(event, SIM_EVENT)) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    if (event->capture) {
        return CUDA_ERROR_CAPTURED_EVENT;
    }
    if (event->stream) {
        sim_run_until(event->stream, event->tick);
    }
    sim_order_join(&sim_host_clock, &event->clock);
    if (!sim_any_queued()) {
        sim_order_prune();
    }
    return sim_context_error(event->context);
}

/* cuda.h gives the newer one's name to cuEventElapsedTime; both do the same here. */
static CUresult elapsed(float *milliseconds, CUevent start, CUevent end)
{
    SIM_ENTER_CONTEXT();
    if (!milliseconds) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    CUevent events[2] = {start, end};
    for (int i = 0; i < 2; i++) {
        if (!sim_handle_is(events[i], SIM_EVENT) || events[i]->flags & CU_EVENT_DISABLE_TIMING ||
            !events[i]->generation) {
            return CUDA_ERROR_INVALID_HANDLE;
        }
    }
    if (!sim_event_done(start) || !sim_event_done(end)) {
        return CUDA_ERROR_NOT_READY;
    }
    *milliseconds = (float)(1e3 * (end->time - start->time));
    return CUDA_SUCCESS;
}

CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end)
{
    return elapsed(milliseconds, start, end);
}

#undef cuEventElapsedTime
SIM_EXPORT CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end);
CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end)
{
    return elapsed(milliseconds, start, end);
}

/* A waiting stream that does not capture joins the capture of the event. */
static CUresult wait_in_capture(CUstream stream, CUevent event)
{
    if (stream->capture && stream->capture != event->capture) {
        sim_capture_break();
        return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    }
    size_t count = stream->capture_dep_count + event->capture_dep_count;
    CUgraphNode *deps = realloc(stream->capture_deps, (count + 1) * sizeof *deps);
    if (!deps) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    memcpy(deps + stream->capture_dep_count, event->capture_deps, event->capture_dep_count * sizeof *deps);
    stream->capture_deps = deps;
    stream->capture_dep_count = count;
    stream->capture = event->capture;
    return CUDA_SUCCESS;
}

CUresult cuStreamWaitEvent(CUstream handle, CUevent event, unsigned flags)
{
    SIM_ENTER_CONTEXT();
    CUstream stream = sim_stream(handle);
    if (!stream || !sim_handle_is(event, SIM_EVENT)) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    if (flags) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (event->capture) {
        return wait_in_capture(stream, event);
    }
    if (stream->capture) {
        sim_capture_break();
        return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    }
    sim_order_join(&stream->clock, &event->clock);
    sim_work work = {.kind = SIM_WORK_NOTHING, .call = "cuStreamWaitEvent"};
    return sim_enqueue(stream, &work);
}
