/*
 * cuMemcpy* and cuMemset*: every form becomes a SIM_WORK_COPY or SIM_WORK_SET. As the driver does:
 * asynchronous copies read pageable memory of the host at the call and write it before they return; pinned
 * memory is used when the copy runs. Copies on the device and memsets don't wait, even in their synchronous
 * forms.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/driver/driver.h"

static bool on_device(uint64_t address)
{
    return address - sim_mem.base < sim_mem.bytes;
}

/* With unified addressing a pointer says by itself where it points. */
static sim_side side_of(uint64_t pointer, size_t pitch, size_t slice)
{
    sim_side side = {.pitch = pitch, .slice = slice};
    if (on_device(pointer)) {
        side.device = pointer;
    } else {
        side.host = (uint8_t *)(uintptr_t)pointer;
    }
    return side;
}

static size_t side_span(const sim_work *work, const sim_side *side)
{
    return (work->copy.depth - 1) * side->slice + (work->copy.height - 1) * side->pitch + work->copy.width;
}

static bool side_usable(const sim_work *work, const sim_side *side)
{
    return side->device ? sim_bytes_usable(side->device, side_span(work, side), work->call)
                        : side->host != NULL;
}

/* Bytes for the host that nobody has ever written, not one of them. */
static void check_written(const sim_work *work)
{
    const sim_side *from = &work->copy.from;
    if (!from->device || work->copy.to.device) {
        return;
    }
    for (size_t z = 0; z < work->copy.depth; z++) {
        for (size_t y = 0; y < work->copy.height; y++) {
            uint64_t row = from->device + z * from->slice + y * from->pitch;
            for (size_t x = 0; x < work->copy.width; x++) {
                if (sim_memory_unwritten(row + x, 1)) {
                    return;
                }
            }
        }
    }
    sim_finding finding = {
        .kind = SIM_UNINITIALISED, .address = from->device, .bytes = (uint32_t)work->copy.width};
    snprintf(finding.message, sizeof finding.message, "%s: the host gets bytes that were never written",
             work->call);
    sim_report(&finding);
}

/* Takes pageable memory's bytes now, row by row. */
static bool stage(sim_work *work)
{
    const sim_side from = work->copy.from;
    size_t width = work->copy.width, height = work->copy.height;
    uint8_t *bytes = malloc(width * height * work->copy.depth);
    if (!bytes) {
        return false;
    }
    for (size_t z = 0; z < work->copy.depth; z++) {
        for (size_t y = 0; y < height; y++) {
            memcpy(bytes + (z * height + y) * width, from.host + z * from.slice + y * from.pitch, width);
        }
    }
    work->copy.from = (sim_side){.host = bytes, .pitch = width, .slice = width * height};
    work->copy.staged = bytes;
    return true;
}

static bool pageable(const sim_work *work, const sim_side *side)
{
    return side->host && !sim_is_pinned(side->host, side_span(work, side));
}

/* `waits`: a synchronous form. */
static CUresult submit(CUstream handle, sim_work *work, bool waits)
{
    CUstream stream = sim_stream(handle);
    if (!stream) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    if (!work->copy.width || !work->copy.height || !work->copy.depth) {
        return CUDA_SUCCESS;
    }
    if (!side_usable(work, &work->copy.from) || !side_usable(work, &work->copy.to)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    bool captured = stream->capture != NULL, reads_host = !work->copy.from.device,
         writes_host = !work->copy.to.device;
    waits = waits && (reads_host || writes_host);
    bool to_pageable = writes_host && pageable(work, &work->copy.to);
    if (!captured && sim_options.strict && !waits && reads_host && pageable(work, &work->copy.from) &&
        !stage(work)) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    sim_work asked = *work;
    CUresult error = sim_enqueue(stream, work);
    if (!error && !captured && (waits || to_pageable)) {
        error = sim_wait_stream(stream);
        if (!error) {
            check_written(&asked);
        }
    }
    return error;
}

static CUresult flat(CUstream stream, uint64_t to, uint64_t from, size_t bytes, bool waits, const char *call)
{
    sim_work work = {.kind = SIM_WORK_COPY, .call = call};
    work.copy.to = side_of(to, bytes, bytes);
    work.copy.from = side_of(from, bytes, bytes);
    work.copy.width = bytes;
    work.copy.height = work.copy.depth = 1;
    return submit(stream, &work, waits);
}

static uint64_t pointer(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

/* A side that must be on the device is: an address of the host would be a wild one there. */
static CUresult wild(uint64_t address, size_t bytes, const char *call)
{
    return bytes && !on_device(address) && !sim_bytes_usable(address, bytes, call) ? CUDA_ERROR_INVALID_VALUE
                                                                                   : CUDA_SUCCESS;
}

CUresult cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t bytes)
{
    SIM_ENTER_CONTEXT();
    CUresult error = wild(to, bytes, "cuMemcpyHtoD");
    return error ? error : flat(NULL, to, pointer(from), bytes, true, "cuMemcpyHtoD");
}

CUresult cuMemcpyDtoH(void *to, CUdeviceptr from, size_t bytes)
{
    SIM_ENTER_CONTEXT();
    CUresult error = wild(from, bytes, "cuMemcpyDtoH");
    return error ? error : flat(NULL, pointer(to), from, bytes, true, "cuMemcpyDtoH");
}

CUresult cuMemcpyDtoD(CUdeviceptr to, CUdeviceptr from, size_t bytes)
{
    SIM_ENTER_CONTEXT();
    CUresult error = wild(from, bytes, "cuMemcpyDtoD");
    error = error ? error : wild(to, bytes, "cuMemcpyDtoD");
    return error ? error : flat(NULL, to, from, bytes, true, "cuMemcpyDtoD");
}

CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes)
{
    SIM_ENTER_CONTEXT();
    return flat(NULL, to, from, bytes, true, "cuMemcpy");
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes, CUstream stream)
{
    SIM_ENTER_CONTEXT();
    CUresult error = wild(to, bytes, "cuMemcpyHtoDAsync");
    return error ? error : flat(stream, to, pointer(from), bytes, false, "cuMemcpyHtoDAsync");
}

CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    SIM_ENTER_CONTEXT();
    CUresult error = wild(from, bytes, "cuMemcpyDtoHAsync");
    return error ? error : flat(stream, pointer(to), from, bytes, false, "cuMemcpyDtoHAsync");
}

CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    SIM_ENTER_CONTEXT();
    CUresult error = wild(from, bytes, "cuMemcpyDtoDAsync");
    error = error ? error : wild(to, bytes, "cuMemcpyDtoDAsync");
    return error ? error : flat(stream, to, from, bytes, false, "cuMemcpyDtoDAsync");
}

CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream)
{
    SIM_ENTER_CONTEXT();
    return flat(stream, to, from, bytes, false, "cuMemcpyAsync");
}

/* ---- rows and boxes ---- */

static CUresult box_side(sim_side *side, CUmemorytype type, const void *host, CUdeviceptr device,
                         size_t pitch, size_t slice, size_t offset, const char *call)
{
    if (type != CU_MEMORYTYPE_HOST && type != CU_MEMORYTYPE_DEVICE && type != CU_MEMORYTYPE_UNIFIED) {
        return sim_refuse(CUDA_ERROR_NOT_SUPPORTED, "%s: arrays are not simulated", call);
    }
    uint64_t base = type == CU_MEMORYTYPE_HOST ? pointer(host) : device;
    if (!base || (type == CU_MEMORYTYPE_DEVICE && wild(base, 1, call))) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    *side = side_of(base + offset, pitch, slice);
    return CUDA_SUCCESS;
}

static CUresult box(CUstream stream, const CUDA_MEMCPY3D *c, bool waits, const char *call)
{
    size_t to_pitch = c->dstPitch ? c->dstPitch : c->WidthInBytes;
    size_t from_pitch = c->srcPitch ? c->srcPitch : c->WidthInBytes;
    bool rows_fit =
        c->dstXInBytes + c->WidthInBytes <= to_pitch && c->srcXInBytes + c->WidthInBytes <= from_pitch;
    if (!c->WidthInBytes || !c->Height || !c->Depth) {
        return CUDA_SUCCESS;
    }
    if ((!rows_fit && (c->Height > 1 || c->Depth > 1)) ||
        (c->Depth > 1 && (!c->srcHeight || !c->dstHeight))) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    size_t to_slice = to_pitch * c->dstHeight, from_slice = from_pitch * c->srcHeight;
    sim_work work = {.kind = SIM_WORK_COPY, .call = call};
    CUresult error = box_side(&work.copy.to, c->dstMemoryType, c->dstHost, c->dstDevice, to_pitch, to_slice,
                              c->dstZ * to_slice + c->dstY * to_pitch + c->dstXInBytes, call);
    error = error ? error
                  : box_side(&work.copy.from, c->srcMemoryType, c->srcHost, c->srcDevice, from_pitch,
                             from_slice, c->srcZ * from_slice + c->srcY * from_pitch + c->srcXInBytes, call);
    work.copy.width = c->WidthInBytes;
    work.copy.height = c->Height;
    work.copy.depth = c->Depth;
    return error ? error : submit(stream, &work, waits);
}

static CUresult rows(CUstream stream, const CUDA_MEMCPY2D *c, bool waits, const char *call)
{
    CUDA_MEMCPY3D box_of_one = {
        .srcXInBytes = c->srcXInBytes,
        .srcY = c->srcY,
        .srcMemoryType = c->srcMemoryType,
        .srcHost = c->srcHost,
        .srcDevice = c->srcDevice,
        .srcPitch = c->srcPitch,
        .dstXInBytes = c->dstXInBytes,
        .dstY = c->dstY,
        .dstMemoryType = c->dstMemoryType,
        .dstHost = c->dstHost,
        .dstDevice = c->dstDevice,
        .dstPitch = c->dstPitch,
        .WidthInBytes = c->WidthInBytes,
        .Height = c->Height,
        .Depth = 1,
    };
    return box(stream, &box_of_one, waits, call);
}

CUresult cuMemcpy2D(const CUDA_MEMCPY2D *copy)
{
    SIM_ENTER_CONTEXT();
    return copy ? rows(NULL, copy, true, "cuMemcpy2D") : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemcpy2DUnaligned(const CUDA_MEMCPY2D *copy)
{
    SIM_ENTER_CONTEXT();
    return copy ? rows(NULL, copy, true, "cuMemcpy2DUnaligned") : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemcpy2DAsync(const CUDA_MEMCPY2D *copy, CUstream stream)
{
    SIM_ENTER_CONTEXT();
    return copy ? rows(stream, copy, false, "cuMemcpy2DAsync") : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemcpy3D(const CUDA_MEMCPY3D *copy)
{
    SIM_ENTER_CONTEXT();
    return copy ? box(NULL, copy, true, "cuMemcpy3D") : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuMemcpy3DAsync(const CUDA_MEMCPY3D *copy, CUstream stream)
{
    SIM_ENTER_CONTEXT();
    return copy ? box(stream, copy, false, "cuMemcpy3DAsync") : CUDA_ERROR_INVALID_VALUE;
}

/* ---- memset ---- */

/* width: elements of a row. */
static CUresult set(CUstream handle, uint64_t to, size_t pitch, uint32_t value, uint32_t element,
                    size_t width, size_t height, const char *call)
{
    CUstream stream = sim_stream(handle);
    size_t bytes;
    if (!stream) {
        return CUDA_ERROR_INVALID_HANDLE;
    }
    if (!width || !height) {
        return CUDA_SUCCESS;
    }
    if (to % element || pitch % element || __builtin_mul_overflow(width, (size_t)element, &bytes) ||
        (height > 1 && pitch < bytes)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!sim_bytes_usable(to, (height - 1) * pitch + bytes, call)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    sim_work work = {.kind = SIM_WORK_SET, .call = call};
    work.set.to = to;
    work.set.pitch = pitch;
    work.set.width = bytes;
    work.set.height = height;
    work.set.value = value;
    work.set.element = element;
    return sim_enqueue(stream, &work);
}

#define MEMSETS(name, type, bits)                                                                            \
    CUresult cuMemset##name##_v2(CUdeviceptr to, type value, size_t count)                                   \
    {                                                                                                        \
        SIM_ENTER_CONTEXT();                                                                                 \
        return set(NULL, to, 0, value, (bits) / 8, count, 1, "cuMemset" #name);                              \
    }                                                                                                        \
    CUresult cuMemset##name##Async(CUdeviceptr to, type value, size_t count, CUstream stream)                \
    {                                                                                                        \
        SIM_ENTER_CONTEXT();                                                                                 \
        return set(stream, to, 0, value, (bits) / 8, count, 1, "cuMemset" #name "Async");                    \
    }
#define MEMSETS_2D(name, type, bits)                                                                         \
    CUresult cuMemset##name##_v2(CUdeviceptr to, size_t pitch, type value, size_t width, size_t height)      \
    {                                                                                                        \
        SIM_ENTER_CONTEXT();                                                                                 \
        return set(NULL, to, pitch, value, (bits) / 8, width, height, "cuMemset" #name);                     \
    }                                                                                                        \
    CUresult cuMemset##name##Async(CUdeviceptr to, size_t pitch, type value, size_t width, size_t height,    \
                                   CUstream stream)                                                          \
    {                                                                                                        \
        SIM_ENTER_CONTEXT();                                                                                 \
        return set(stream, to, pitch, value, (bits) / 8, width, height, "cuMemset" #name "Async");           \
    }

/* cuda.h declares cuMemsetD8 under the name cuMemsetD8_v2, and so on; the asynchronous ones as they are. */
MEMSETS(D8, unsigned char, 8)
MEMSETS(D16, unsigned short, 16)
MEMSETS(D32, unsigned, 32)
MEMSETS_2D(D2D8, unsigned char, 8)
MEMSETS_2D(D2D16, unsigned short, 16)
MEMSETS_2D(D2D32, unsigned, 32)
