/* Contexts: the primary one, counted, and those made by cuCtxCreate; each thread has a stack of current ones.
 */
#include <stdlib.h>

#include "tests/gpusim/driver/driver.h"

enum { DEEPEST = 64 };
static __thread CUcontext stack[DEEPEST];
static __thread int depth;

static CUcontext primary;
static unsigned primary_flags;

CUcontext sim_context(void)
{
    CUcontext context = depth ? stack[depth - 1] : NULL;
    return sim_handle_is(context, SIM_CONTEXT) ? context : NULL;
}

static CUcontext context_open(unsigned flags, bool is_primary)
{
    static unsigned long long id;
    CUcontext context = calloc(1, sizeof *context);
    if (!context) {
        return NULL;
    }
    context->flags = flags;
    context->is_primary = is_primary;
    context->references = 1;
    context->limit_stack = 1024;
    context->limit_printf = 1 << 20;
    context->limit_heap = 8 << 20;
    context->id = ++id;
    sim_handle_add(context, SIM_CONTEXT);
    context->legacy = sim_stream_open(context, CU_STREAM_DEFAULT, 0);
    context->per_thread = sim_stream_open(context, CU_STREAM_DEFAULT, 0);
    if (!context->legacy || !context->per_thread) {
        sim_context_close(context);
        return NULL;
    }
    context->legacy->is_legacy = true;
    return context;
}

/* Closes every handle of one kind that belongs to the context. */
static void close_all(CUcontext context, sim_handle_kind kind)
{
    size_t n = 0;
    for (void *handle; (handle = sim_handle_nth(kind, n));) {
        bool is_stream = kind == SIM_STREAM, is_event = kind == SIM_EVENT;
        CUcontext owner = is_stream  ? ((CUstream)handle)->context
                          : is_event ? ((CUevent)handle)->context
                                     : ((CUmodule)handle)->context;
        if (owner != context) {
            n++;
        } else if (is_stream) {
            sim_stream_close(handle);
        } else if (is_event) {
            sim_handle_remove(handle);
            free(((CUevent)handle)->capture_deps);
            free(handle);
        } else {
            sim_module_close(handle);
        }
    }
}

/* What is still allocated is a leak, unless the device has failed and cuMemFree with it. */
void sim_context_close(CUcontext context)
{
    if (context->legacy && !context->error) {
        sim_wait_context(context);
    }
    sim_allocations_leaked(context, true);
    close_all(context, SIM_EVENT);
    close_all(context, SIM_STREAM);
    close_all(context, SIM_MODULE);
    sim_handle_remove(context);
    free(context);
}

/* ---- primary ---- */

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
    SIM_ENTER();
    if (!context) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sim_device_is(device)) {
        return CUDA_ERROR_INVALID_DEVICE;
    }
    if (primary) {
        primary->references++;
    } else {
        primary = context_open(primary_flags, true);
    }
    *context = primary;
    return primary ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device)
{
    SIM_ENTER();
    if (!sim_device_is(device)) {
        return CUDA_ERROR_INVALID_DEVICE;
    }
    if (!primary) {
        return CUDA_ERROR_INVALID_CONTEXT;
    }
    if (--primary->references == 0) {
        sim_context_close(primary);
        primary = NULL;
    }
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxReset(CUdevice device)
{
    SIM_ENTER();
    if (!sim_device_is(device)) {
        return CUDA_ERROR_INVALID_DEVICE;
    }
    if (primary) {
        sim_context_close(primary);
        primary = NULL;
    }
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags)
{
    SIM_ENTER();
    if (!sim_device_is(device)) {
        return CUDA_ERROR_INVALID_DEVICE;
    }
    primary_flags = flags;
    return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active)
{
    SIM_ENTER();
    if (!flags || !active) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sim_device_is(device)) {
        return CUDA_ERROR_INVALID_DEVICE;
    }
    *flags = primary_flags;
    *active = primary != NULL;
    return CUDA_SUCCESS;
}

/* ---- made by the program ---- */

static CUresult create(CUcontext *context, unsigned flags, CUdevice device)
{
    SIM_ENTER();
    if (!context || flags & ~(unsigned)CU_CTX_FLAGS_MASK) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sim_device_is(device)) {
        return CUDA_ERROR_INVALID_DEVICE;
    }
    if (depth == DEEPEST || !(*context = context_open(flags, false))) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    stack[depth++] = *context;
    return CUDA_SUCCESS;
}

/* cuda.h declares the newest only; the older ones take no parameters but these. */
SIM_EXPORT CUresult cuCtxCreate_v2(CUcontext *context, unsigned flags, CUdevice device);
SIM_EXPORT CUresult cuCtxCreate_v3(CUcontext *context, CUexecAffinityParam *affinity, int count,
                                   unsigned flags, CUdevice device);

CUresult cuCtxCreate_v2(CUcontext *context, unsigned flags, CUdevice device)
{
    return create(context, flags, device);
}

CUresult cuCtxCreate_v3(CUcontext *context, CUexecAffinityParam *affinity, int count, unsigned flags,
                        CUdevice device)
{
    if (affinity || count) {
        return sim_refuse(CUDA_ERROR_NOT_SUPPORTED, "cuCtxCreate_v3: execution affinity is not simulated");
    }
    return create(context, flags, device);
}

CUresult cuCtxCreate(CUcontext *context, CUctxCreateParams *params, unsigned flags, CUdevice device)
{
    if (params && (params->execAffinityParams || params->cigParams)) {
        return sim_refuse(CUDA_ERROR_NOT_SUPPORTED, "cuCtxCreate_v4: its parameters are not simulated");
    }
    return create(context, flags, device);
}

CUresult cuCtxDestroy(CUcontext context)
{
    SIM_ENTER();
    if (!sim_handle_is(context, SIM_CONTEXT) || context->is_primary) {
        return CUDA_ERROR_INVALID_CONTEXT;
    }
    if (depth && stack[depth - 1] == context) {
        depth--;
    }
    sim_context_close(context);
    return CUDA_SUCCESS;
}

/* ---- current ---- */

CUresult cuCtxSetCurrent(CUcontext context)
{
    SIM_ENTER();
    if (context && !sim_handle_is(context, SIM_CONTEXT)) {
        return CUDA_ERROR_INVALID_CONTEXT;
    }
    if (!context) {
        depth -= depth > 0;
    } else if (depth) {
        stack[depth - 1] = context;
    } else {
        stack[depth++] = context;
    }
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *context)
{
    SIM_ENTER();
    if (!context) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    *context = sim_context();
    return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent(CUcontext context)
{
    SIM_ENTER();
    if (!sim_handle_is(context, SIM_CONTEXT)) {
        return CUDA_ERROR_INVALID_CONTEXT;
    }
    if (depth == DEEPEST) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    stack[depth++] = context;
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent(CUcontext *context)
{
    SIM_ENTER();
    if (!sim_context()) {
        return CUDA_ERROR_INVALID_CONTEXT;
    }
    depth--;
    if (context) {
        *context = stack[depth];
    }
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult cuCtxGetDevice_v2(CUdevice *device, CUcontext context);
CUresult cuCtxGetDevice_v2(CUdevice *device, CUcontext context)
{
    SIM_ENTER();
    if (!device) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sim_handle_is(context ? context : sim_context(), SIM_CONTEXT)) {
        return CUDA_ERROR_INVALID_CONTEXT;
    }
    *device = 0;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetDevice(CUdevice *device)
{
    return cuCtxGetDevice_v2(device, NULL);
}

CUresult cuCtxGetFlags(unsigned *flags)
{
    SIM_ENTER_CONTEXT();
    if (!flags) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    *flags = sim_context()->flags;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetId(CUcontext context, unsigned long long *id)
{
    SIM_ENTER();
    context = context ? context : sim_context();
    if (!id || !sim_handle_is(context, SIM_CONTEXT)) {
        return id ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_INVALID_VALUE;
    }
    *id = context->id;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetApiVersion(CUcontext context, unsigned *version)
{
    SIM_ENTER();
    if (!version) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (context && !sim_handle_is(context, SIM_CONTEXT)) {
        return CUDA_ERROR_INVALID_CONTEXT;
    }
    *version = 3020;
    return CUDA_SUCCESS;
}

SIM_EXPORT CUresult cuCtxSynchronize_v2(CUcontext context);
CUresult cuCtxSynchronize_v2(CUcontext context)
{
    SIM_ENTER_CONTEXT();
    if (context && !sim_handle_is(context, SIM_CONTEXT)) {
        return CUDA_ERROR_INVALID_CONTEXT;
    }
    if (sim_capturing()) {
        sim_capture_break();
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    return sim_wait_context(context ? context : sim_context());
}

CUresult cuCtxSynchronize(void)
{
    return cuCtxSynchronize_v2(NULL);
}

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest)
{
    SIM_ENTER_CONTEXT();
    if (least) {
        *least = 0;
    }
    if (greatest) {
        *greatest = -5;
    }
    return CUDA_SUCCESS;
}

static size_t *limit_of(CUcontext context, CUlimit limit)
{
    switch (limit) {
    case CU_LIMIT_STACK_SIZE: return &context->limit_stack;
    case CU_LIMIT_PRINTF_FIFO_SIZE: return &context->limit_printf;
    case CU_LIMIT_MALLOC_HEAP_SIZE: return &context->limit_heap;
    default: return NULL;
    }
}

CUresult cuCtxSetLimit(CUlimit limit, size_t value)
{
    SIM_ENTER_CONTEXT();
    size_t *known = limit_of(sim_context(), limit);
    if (!known) {
        return CUDA_ERROR_UNSUPPORTED_LIMIT;
    }
    *known = value;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetLimit(size_t *value, CUlimit limit)
{
    SIM_ENTER_CONTEXT();
    const size_t *known = limit_of(sim_context(), limit);
    if (!value) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!known) {
        return CUDA_ERROR_UNSUPPORTED_LIMIT;
    }
    *value = *known;
    return CUDA_SUCCESS;
}

CUresult cuCtxGetCacheConfig(CUfunc_cache *config)
{
    SIM_ENTER_CONTEXT();
    if (!config) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    *config = CU_FUNC_CACHE_PREFER_NONE;
    return CUDA_SUCCESS;
}

CUresult cuCtxSetCacheConfig(CUfunc_cache config)
{
    SIM_ENTER_CONTEXT();
    return config <= CU_FUNC_CACHE_PREFER_EQUAL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Marks for a profiler: nothing to switch here. */
SIM_EXPORT CUresult cuProfilerStart(void);
SIM_EXPORT CUresult cuProfilerStop(void);

CUresult cuProfilerStart(void)
{
    SIM_ENTER_CONTEXT();
    return CUDA_SUCCESS;
}

CUresult cuProfilerStop(void)
{
    SIM_ENTER_CONTEXT();
    return CUDA_SUCCESS;
}
