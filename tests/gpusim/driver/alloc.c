/* cuMemAlloc*, cuMemFree*, pinned memory, pools, and questions about pointers. Below: memory.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/driver/driver.h"

typedef struct {
    const uint8_t *host;
    size_t bytes;
} registered_range;

struct CUmemPoolHandle_st {
    cuuint64_t release_threshold;
    int reuse[3]; /* of the three CU_MEMPOOL_ATTR_REUSE_ attributes */
};

static struct {
    sim_allocation *allocation; /* by address */
    size_t count, capacity;
    registered_range *registered;
    size_t registered_count, registered_capacity;
} state;

static struct CUmemPoolHandle_st default_pool = {.reuse = {1, 1, 1}};
static CUmemoryPool current_pool = &default_pool;

/* ---- the table ---- */

static size_t index_behind(uint64_t address)
{
    size_t low = 0, high = state.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (state.allocation[middle].begin <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static sim_allocation *find(uint64_t address)
{
    size_t i = index_behind(address);
    sim_allocation *a = i ? &state.allocation[i - 1] : NULL;
    return a && address - a->begin < a->bytes ? a : NULL;
}

const sim_allocation *sim_allocation_at(uint64_t address)
{
    return find(address);
}

static void add(const sim_allocation *allocation)
{
    if (state.count == state.capacity) {
        state.capacity = state.capacity ? 2 * state.capacity : 64;
        state.allocation = realloc(state.allocation, state.capacity * sizeof *state.allocation);
        if (!state.allocation) {
            abort();
        }
    }
    size_t at = index_behind(allocation->begin);
    memmove(&state.allocation[at + 1], &state.allocation[at], (state.count - at) * sizeof *allocation);
    state.allocation[at] = *allocation;
    state.count++;
}

static CUresult allocate(uint64_t *address, size_t bytes, bool is_host, unsigned flags, const char *call)
{
    if (!address || !bytes) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (sim_capturing()) {
        sim_capture_break();
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    *address = is_host ? sim_memory_alloc_host(bytes, call) : sim_memory_alloc(bytes, call);
    if (!*address) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    sim_allocation allocation = {*address, bytes, sim_context(), call, is_host, false, flags};
    add(&allocation);
    return CUDA_SUCCESS;
}

void sim_allocation_release(uint64_t begin)
{
    sim_allocation *a = find(begin);
    if (a && a->begin == begin) {
        size_t at = (size_t)(a - state.allocation);
        state.count--;
        memmove(a, a + 1, (state.count - at) * sizeof *a);
        sim_memory_free(begin);
    }
}

void sim_allocations_leaked(CUcontext context, bool release)
{
    for (size_t i = 0; i < state.count;) {
        const sim_allocation *a = &state.allocation[i];
        if (context && a->context != context) {
            i++;
            continue;
        }
        if (!a->freeing && !a->context->error && !a->context->pending) {
            sim_finding finding = {.kind = SIM_LEAK,
                                   .address = a->begin,
                                   .bytes = a->bytes < UINT32_MAX ? (uint32_t)a->bytes : UINT32_MAX};
            snprintf(finding.message, sizeof finding.message, "%zu bytes of %s (allocation %llu) never freed",
                     a->bytes, a->call, (unsigned long long)sim_memory_find(a->begin)->number);
            sim_report(&finding);
        }
        if (release) {
            sim_allocation_release(a->begin);
        } else {
            i++;
        }
    }
}

bool sim_bytes_usable(uint64_t address, size_t bytes, const char *call)
{
    const sim_range *range = sim_memory_find(address);
    sim_finding finding = {.kind = SIM_OUT_OF_BOUNDS,
                           .address = address,
                           .bytes = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX};
    const char *what = NULL;
    if (!range) {
        what = "no memory of the device stands there";
    } else if (!range->is_live) {
        finding.kind = SIM_USE_AFTER_FREE;
        what = "it has been freed";
    } else if (bytes > range->end - address) {
        what = "it goes past the end";
    } else {
        return true;
    }
    snprintf(finding.message, sizeof finding.message, "%s: %zu bytes at offset %llu of %s: %s", call, bytes,
             range ? (unsigned long long)(address - range->begin) : 0ull, range ? range->what : "nothing",
             what);
    sim_report(&finding);
    return false;
}

/* ---- device memory ---- */

CUresult cuMemAlloc(CUdeviceptr *address, size_t bytes)
{
    SIM_ENTER_CONTEXT();
    uint64_t begin = 0;
    CUresult error = allocate(address ? &begin : NULL, bytes, false, 0, "cuMemAlloc");
    if (!error) {
        *address = begin;
    }
    return error;
}

CUresult cuMemAllocPitch(CUdeviceptr *address, size_t *pitch, size_t width, size_t height, unsigned element)
{
    SIM_ENTER_CONTEXT();
    if (!address || !pitch || (element != 4 && element != 8 && element != 16)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    uint64_t begin = 0;
    size_t row = (width + 511) / 512 * 512, bytes;
    if (row < width || __builtin_mul_overflow(row, height, &bytes)) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    CUresult error = allocate(&begin, bytes, false, 0, "cuMemAllocPitch");
    if (!error) {
        *address = begin;
        *pitch = row;
    }
    return error;
}

/* The begin of a live allocation, or NULL; freeing twice is told. */
static sim_allocation *to_be_freed(uint64_t address, const char *call)
{
    sim_allocation *a = find(address);
    const sim_range *range = sim_memory_find(address);
    if (a && a->begin == address && !a->freeing) {
        return a;
    }
    if ((a && a->freeing && a->begin == address) || (range && !range->is_live && range->begin == address)) {
        sim_finding finding = {.kind = SIM_USE_AFTER_FREE, .address = address};
        snprintf(finding.message, sizeof finding.message, "%s: memory of %s freed a second time", call,
                 range ? range->what : a->call);
        sim_report(&finding);
    }
    return NULL;
}

/* Freeing waits for the device, but that is no order to rely on: queued work that uses the memory is told. */
static CUresult release(uint64_t address, bool is_host, const char *call)
{
    sim_allocation *a = to_be_freed(address, call);
    if (!a || a->is_host != is_host) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (sim_capturing()) {
        sim_capture_break();
        return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
    const char *user = sim_queued_user(a->begin, a->begin + a->bytes);
    if (user) {
        sim_finding finding = {.kind = SIM_USE_AFTER_FREE, .address = address};
        snprintf(finding.message, sizeof finding.message, "%s while %s, which uses the memory, has not run",
                 call, user);
        sim_report(&finding);
    }
    CUresult error = sim_wait_context(a->context);
    sim_allocation_release(address);
    return error;
}

CUresult cuMemFree(CUdeviceptr address)
{
    SIM_ENTER_CONTEXT();
    return address ? release(address, false, "cuMemFree") : CUDA_SUCCESS;
}

CUresult cuMemGetInfo(size_t *free_bytes, size_t *total)
{
    SIM_ENTER_CONTEXT();
    if (!free_bytes || !total) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    *total = sim_device_memory();
    *free_bytes = *total - sim_options.held - sim_memory_used();
    return CUDA_SUCCESS;
}

CUresult cuMemGetAddressRange(CUdeviceptr *begin, size_t *bytes, CUdeviceptr address)
{
    SIM_ENTER_CONTEXT();
    const sim_allocation *a = find(address);
    if (!a) {
        return CUDA_ERROR_NOT_FOUND;
    }
    if (begin) {
        *begin = a->begin;
    }
    if (bytes) {
        *bytes = a->bytes;
    }
    return CUDA_SUCCESS;
}

/* ---- in the order of a stream ---- */

static CUresult alloc_async(CUdeviceptr *address, size_t bytes, CUstream handle, const char *call)
{
    CUstream stream = sim_stream(handle);
    uint64_t begin = 0;
    if (!stream) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    if (stream->capture) {
        return sim_refuse(CUDA_ERROR_NOT_SUPPORTED, "%s in a capture is not simulated", call);
    }
    CUresult error = allocate(address ? &begin : NULL, bytes, false, 0, call);
    sim_work work = {.kind = SIM_WORK_NOTHING, .call = call};
    error = error ? error : sim_enqueue(stream, &work);
    if (!error) {
        sim_order_access(&work, begin, begin + bytes, true,
                         call); /* other streams must wait for the allocation */
        *address = begin;
    }
    return error;
}

CUresult cuMemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream stream)
{
    SIM_ENTER_CONTEXT();
    return alloc_async(address, bytes, stream, "cuMemAllocAsync");
}

CUresult cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream stream)
{
    SIM_ENTER_CONTEXT();
    if (pool != &default_pool && !sim_handle_is(pool, SIM_POOL)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    return alloc_async(address, bytes, stream, "cuMemAllocFromPoolAsync");
}

CUresult cuMemFreeAsync(CUdeviceptr address, CUstream handle)
{
    SIM_ENTER_CONTEXT();
    CUstream stream = sim_stream(handle);
    if (!stream) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    if (stream->capture) {
        return sim_refuse(CUDA_ERROR_NOT_SUPPORTED, "cuMemFreeAsync in a capture is not simulated");
    }
    sim_allocation *a = to_be_freed(address, "cuMemFreeAsync");
    if (!a || a->is_host) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    uint64_t end = a->begin + a->bytes;
    a->freeing = true;
    sim_work work = {.kind = SIM_WORK_FREE, .call = "cuMemFreeAsync", .address = address};
    CUresult error = sim_enqueue(stream, &work);
    if (!error) {
        sim_order_access(&work, address, end, true, "cuMemFreeAsync");
    }
    return error;
}

CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice device)
{
    SIM_ENTER();
    if (!pool || !sim_device_is(device)) {
        return pool ? CUDA_ERROR_INVALID_DEVICE : CUDA_ERROR_INVALID_VALUE;
    }
    *pool = &default_pool;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice device)
{
    SIM_ENTER();
    if (!pool || !sim_device_is(device)) {
        return pool ? CUDA_ERROR_INVALID_DEVICE : CUDA_ERROR_INVALID_VALUE;
    }
    *pool = current_pool;
    return CUDA_SUCCESS;
}

static bool is_pool(CUmemoryPool pool)
{
    return pool == &default_pool || sim_handle_is(pool, SIM_POOL);
}

CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool pool)
{
    SIM_ENTER();
    if (!is_pool(pool) || !sim_device_is(device)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    current_pool = pool;
    return CUDA_SUCCESS;
}

CUresult cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *props)
{
    SIM_ENTER();
    if (!pool || !props || props->allocType != CU_MEM_ALLOCATION_TYPE_PINNED) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (props->handleTypes != CU_MEM_HANDLE_TYPE_NONE ||
        props->location.type != CU_MEM_LOCATION_TYPE_DEVICE) {
        return sim_refuse(CUDA_ERROR_NOT_SUPPORTED,
                          "cuMemPoolCreate: pools of device memory alone are simulated");
    }
    *pool = calloc(1, sizeof **pool);
    if (!*pool) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    sim_handle_add(*pool, SIM_POOL);
    return CUDA_SUCCESS;
}

CUresult cuMemPoolDestroy(CUmemoryPool pool)
{
    SIM_ENTER();
    if (!sim_handle_is(pool, SIM_POOL)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    current_pool = current_pool == pool ? &default_pool : current_pool;
    sim_handle_remove(pool);
    free(pool);
    return CUDA_SUCCESS;
}

CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t keep)
{
    SIM_ENTER();
    (void)keep; /* nothing is ever kept */
    return is_pool(pool) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void *value)
{
    SIM_ENTER();
    if (!is_pool(pool) || !value) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) {
        pool->release_threshold = *(const cuuint64_t *)value;
    } else if (attribute <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES) {
        pool->reuse[attribute - CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES] = *(const int *)value;
    } else {
        return CUDA_ERROR_INVALID_VALUE;
    }
    return CUDA_SUCCESS;
}

CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void *value)
{
    SIM_ENTER();
    if (!is_pool(pool) || !value) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (attribute == CU_MEMPOOL_ATTR_RELEASE_THRESHOLD) {
        *(cuuint64_t *)value = pool->release_threshold;
    } else if (attribute <= CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES) {
        *(int *)value = pool->reuse[attribute - CU_MEMPOOL_ATTR_REUSE_FOLLOW_EVENT_DEPENDENCIES];
    } else {
        return sim_refuse(CUDA_ERROR_NOT_SUPPORTED, "cuMemPoolGetAttribute: attribute %d is not simulated",
                          (int)attribute);
    }
    return CUDA_SUCCESS;
}

/* ---- pinned host memory ---- */

CUresult cuMemHostAlloc(void **p, size_t bytes, unsigned flags)
{
    SIM_ENTER_CONTEXT();
    const unsigned known =
        CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED;
    if (!p || flags & ~known) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    uint64_t begin = 0;
    CUresult error = allocate(&begin, bytes, true, flags, "cuMemHostAlloc");
    if (!error) {
        *p = (void *)(uintptr_t)begin;
    }
    return error;
}

CUresult cuMemAllocHost(void **p, size_t bytes)
{
    return cuMemHostAlloc(p, bytes, 0);
}

CUresult cuMemFreeHost(void *p)
{
    SIM_ENTER_CONTEXT();
    return release((uint64_t)(uintptr_t)p, true, "cuMemFreeHost");
}

CUresult cuMemHostGetDevicePointer(CUdeviceptr *address, void *p, unsigned flags)
{
    SIM_ENTER_CONTEXT();
    if (!address || flags) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    const sim_allocation *a = find((uint64_t)(uintptr_t)p);
    if (!a && sim_is_pinned(p, 1)) {
        return sim_refuse(CUDA_ERROR_NOT_SUPPORTED,
                          "cuMemHostGetDevicePointer: memory of cuMemHostRegister is not "
                          "mapped into the simulated device");
    }
    if (!a || !a->is_host) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    *address = (uint64_t)(uintptr_t)p; /* one address for both */
    return CUDA_SUCCESS;
}

CUresult cuMemHostGetFlags(unsigned *flags, void *p)
{
    SIM_ENTER_CONTEXT();
    const sim_allocation *a = find((uint64_t)(uintptr_t)p);
    if (!flags || !a || !a->is_host) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    *flags = a->flags | CU_MEMHOSTALLOC_DEVICEMAP;
    return CUDA_SUCCESS;
}

static registered_range *registered_at(const void *p)
{
    for (size_t i = 0; i < state.registered_count; i++) {
        registered_range *r = &state.registered[i];
        if ((const uint8_t *)p >= r->host && (const uint8_t *)p < r->host + r->bytes) {
            return r;
        }
    }
    return NULL;
}

bool sim_is_pinned(const void *host, size_t bytes)
{
    const sim_allocation *a = find((uint64_t)(uintptr_t)host);
    const registered_range *r = registered_at(host);
    return (a && a->is_host) || (r && (const uint8_t *)host + bytes <= r->host + r->bytes);
}

CUresult cuMemHostRegister(void *p, size_t bytes, unsigned flags)
{
    SIM_ENTER_CONTEXT();
    if (!p || !bytes || flags & ~0xfu) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (sim_is_pinned(p, 1) || registered_at((uint8_t *)p + bytes - 1)) {
        return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
    }
    if (state.registered_count == state.registered_capacity) {
        size_t capacity = 2 * state.registered_capacity + 16;
        registered_range *grown = realloc(state.registered, capacity * sizeof *grown);
        if (!grown) {
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
        state.registered = grown;
        state.registered_capacity = capacity;
    }
    state.registered[state.registered_count++] = (registered_range){p, bytes};
    return CUDA_SUCCESS;
}

CUresult cuMemHostUnregister(void *p)
{
    SIM_ENTER_CONTEXT();
    registered_range *r = registered_at(p);
    if (!r || r->host != p) {
        return CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
    }
    *r = state.registered[--state.registered_count];
    return CUDA_SUCCESS;
}

/* ---- questions about pointers ---- */

static CUresult attribute_of(void *data, CUpointer_attribute attribute, const sim_allocation *a,
                             CUdeviceptr address)
{
    switch (attribute) {
    case CU_POINTER_ATTRIBUTE_CONTEXT: *(CUcontext *)data = a->context; break;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        *(unsigned *)data = a->is_host ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
        break;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: *(CUdeviceptr *)data = address; break;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        if (!a->is_host) {
            return CUDA_ERROR_INVALID_VALUE;
        }
        *(void **)data = (void *)(uintptr_t)address;
        break;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED: *(bool *)data = false; break;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *(int *)data = 0; break;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: *(CUdeviceptr *)data = a->begin; break;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: *(size_t *)data = a->bytes; break;
    case CU_POINTER_ATTRIBUTE_MAPPED: *(bool *)data = true; break;
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
        *(unsigned long long *)data = sim_memory_find(a->begin)->number;
        break;
    default:
        return sim_refuse(CUDA_ERROR_NOT_SUPPORTED, "cuPointerGetAttribute: attribute %d is not simulated",
                          (int)attribute);
    }
    return CUDA_SUCCESS;
}

CUresult cuPointerGetAttribute(void *data, CUpointer_attribute attribute, CUdeviceptr address)
{
    SIM_ENTER_CONTEXT();
    const sim_allocation *a = find(address);
    if (!data || !a) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    return attribute_of(data, attribute, a, address);
}

/* For an unknown pointer every answer is zero, without an error. */
CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute *attributes, void **data,
                                CUdeviceptr address)
{
    SIM_ENTER_CONTEXT();
    if (!count || !attributes || !data) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    const sim_allocation *a = find(address);
    for (unsigned i = 0; i < count; i++) {
        bool is_wide = attributes[i] == CU_POINTER_ATTRIBUTE_CONTEXT ||
                       attributes[i] == CU_POINTER_ATTRIBUTE_DEVICE_POINTER ||
                       attributes[i] == CU_POINTER_ATTRIBUTE_HOST_POINTER ||
                       attributes[i] == CU_POINTER_ATTRIBUTE_RANGE_START_ADDR ||
                       attributes[i] == CU_POINTER_ATTRIBUTE_RANGE_SIZE ||
                       attributes[i] == CU_POINTER_ATTRIBUTE_BUFFER_ID;
        bool is_flag =
            attributes[i] == CU_POINTER_ATTRIBUTE_IS_MANAGED || attributes[i] == CU_POINTER_ATTRIBUTE_MAPPED;
        memset(data[i], 0, is_wide ? 8 : is_flag ? 1 : 4);
        CUresult error = a ? attribute_of(data[i], attributes[i], a, address) : CUDA_SUCCESS;
        if (error == CUDA_ERROR_NOT_SUPPORTED) {
            return error;
        }
    }
    return CUDA_SUCCESS;
}
