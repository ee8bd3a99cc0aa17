/* cuStream*: streams, the default one included (0, CU_STREAM_LEGACY), and host functions in them. */
#include <stdlib.h>

#include "tests/gpusim/driver/driver.h"

CUstream sim_stream(CUstream handle)
{
    CUcontext context = sim_context();
    if (handle == NULL || handle == CU_STREAM_LEGACY) {
        return context->legacy;
    }
    if (handle == CU_STREAM_PER_THREAD) {
        return context->per_thread; /* one for all threads: stricter than a device */
    }
    return sim_handle_is(handle, SIM_STREAM) ? handle : NULL;
}

CUstream sim_stream_open(CUcontext context, unsigned flags, int priority)
{
    static unsigned long long id;
    CUstream stream = calloc(1, sizeof *stream);
    uint32_t tick = 0, number = stream ? sim_order_open(&tick) : 0;
    if (!number) {
        free(stream);
        sim_refuse(0, "no more than %d streams at once", SIM_STREAMS - 1);
        return NULL;
    }
    stream->context = context;
    stream->flags = flags;
    stream->priority = priority;
    stream->number = number;
    stream->tick = stream->done = tick;
    stream->clock.at[number] = tick;
    stream->id = ++id;
    sim_streams[number] = stream;
    sim_handle_add(stream, SIM_STREAM);
    return stream;
}

/* Its work is finished first; a device would finish it later. */
void sim_stream_close(CUstream stream)
{
    sim_run_until(stream, stream->tick);
    CUevent event;
    for (size_t n = 0; (event = sim_handle_nth(SIM_EVENT, n)); n++) {
        if (event->stream == stream) {
            event->stream = NULL;
        }
    }
    sim_order_close(stream->number, stream->tick);
    sim_streams[stream->number] = NULL;
    sim_handle_remove(stream);
    free(stream->capture_deps);
    free(stream);
}

CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int priority)
{
    SIM_ENTER_CONTEXT();
    if (!stream || flags & ~(unsigned)CU_STREAM_NON_BLOCKING) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    priority = priority > 0 ? 0 : priority < -5 ? -5 : priority; /* out of range is clamped, as documented */
    *stream = sim_stream_open(sim_context(), flags, priority);
    return *stream ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuStreamCreate(CUstream *stream, unsigned flags)
{
    return cuStreamCreateWithPriority(stream, flags, 0);
}

CUresult cuStreamDestroy(CUstream stream)
{
    SIM_ENTER_CONTEXT();
    if (!sim_handle_is(stream, SIM_STREAM)) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    sim_stream_close(stream);
    return CUDA_SUCCESS;
}

/* A capture forbids that the host waits for its stream, or (for all threads here) for anything. */
static CUresult forbidden_in_capture(CUstream stream)
{
    if (stream->capture || (stream->is_legacy && sim_capturing())) {
        sim_capture_break();
        return stream->capture ? CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED : CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
    return CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream handle)
{
    SIM_ENTER_CONTEXT();
    CUstream stream = sim_stream(handle);
    if (!stream) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    CUresult error = forbidden_in_capture(stream);
    return error ? error : sim_wait_stream(stream);
}

/* In strict mode each question lets one piece of work run, so that a loop of questions ends. */
CUresult cuStreamQuery(CUstream handle)
{
    SIM_ENTER_CONTEXT();
    CUstream stream = sim_stream(handle);
    if (!stream) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    CUresult error = forbidden_in_capture(stream);
    if (error) {
        return error;
    }
    if (stream->first) {
        sim_run_until(stream, stream->first->tick);
        return CUDA_ERROR_NOT_READY;
    }
    return sim_wait_stream(stream);
}

CUresult cuStreamGetPriority(CUstream handle, int *priority)
{
    SIM_ENTER_CONTEXT();
    CUstream stream = sim_stream(handle);
    if (!stream || !priority) {
        return stream ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
    }
    *priority = stream->priority;
    return CUDA_SUCCESS;
}

CUresult cuStreamGetFlags(CUstream handle, unsigned *flags)
{
    SIM_ENTER_CONTEXT();
    CUstream stream = sim_stream(handle);
    if (!stream || !flags) {
        return stream ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
    }
    *flags = stream->flags;
    return CUDA_SUCCESS;
}

CUresult cuStreamGetId(CUstream handle, unsigned long long *id)
{
    SIM_ENTER_CONTEXT();
    CUstream stream = sim_stream(handle);
    if (!stream || !id) {
        return stream ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
    }
    *id = stream->id;
    return CUDA_SUCCESS;
}

CUresult cuStreamGetCtx(CUstream handle, CUcontext *context)
{
    SIM_ENTER_CONTEXT();
    CUstream stream = sim_stream(handle);
    if (!stream || !context) {
        return stream ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
    }
    *context = stream->context;
    return CUDA_SUCCESS;
}

CUresult cuStreamAddCallback(CUstream handle, CUstreamCallback callback, void *data, unsigned flags)
{
    SIM_ENTER_CONTEXT();
    CUstream stream = sim_stream(handle);
    if (!stream) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    if (!callback || flags) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    sim_work work = {.kind = SIM_WORK_HOST, .call = "cuStreamAddCallback", .host = {NULL, callback, data}};
    return sim_enqueue(stream, &work);
}

CUresult cuLaunchHostFunc(CUstream handle, CUhostFn function, void *data)
{
    SIM_ENTER_CONTEXT();
    CUstream stream = sim_stream(handle);
    if (!stream) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    if (!function) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    sim_work work = {.kind = SIM_WORK_HOST, .call = "cuLaunchHostFunc", .host = {function, NULL, data}};
    return sim_enqueue(stream, &work);
}
