/* Devices by name, and the way from device.h to the backend that a handle has. */
#include "runtime/device/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/device/backend.h"

enum { ANY_BACKEND = -1, CPU_BACKEND = -2, NULL_BACKEND = -3 }; /* beside the numbers of CUDA devices */

/* "auto", "cpu", "null", "cuda", "cuda:3" to a number. */
static sa_status read_name(const char *name, int *ordinal, sa_error *err)
{
    const char *digits = strncmp(name, "cuda:", 5) == 0 ? name + 5 : "";
    size_t length = strspn(digits, "0123456789");
    if (strcmp(name, "auto") == 0) {
        *ordinal = ANY_BACKEND;
        return SA_OK;
    }
    if (strcmp(name, "cpu") == 0) {
        *ordinal = CPU_BACKEND;
        return SA_OK;
    }
    if (strcmp(name, "cuda") == 0) {
        *ordinal = 0;
        return SA_OK;
    }
    if (length > 0 && length <= 4 && digits[length] == '\0') {
        *ordinal = atoi(digits);
        return SA_OK;
    }
    if (length > 0 && digits[length] == '-') {
        return sa_fail(err, SA_NO_DEVICE, "--device", "give one, such as cuda:0",
                       "this version runs on one CUDA device at a time");
    }
    if (strcmp(name, "null") == 0) {
        *ordinal = NULL_BACKEND;
        return SA_OK;
    }
    return sa_fail(err, SA_BAD_USAGE, "--device", "use auto, cpu, cuda or cuda:0",
                   "there is no device \"%s\"", name);
}

/* The first GPU if it can be used, otherwise the CPU with a note that says why. */
static sa_status open_any(sa_device **device, const sa_device_options *options, sa_error *err)
{
    sa_error why = {0};
    if (sa_device_cuda_open(device, options, 0, &why) == SA_OK) {
        snprintf((*device)->note, sizeof(*device)->note, "the first GPU can be used");
        return SA_OK;
    }
    SA_TRY(sa_device_cpu_open(device, options, err));
#ifdef SEGAGENT_CUDA /* a CPU-only build was meant to be one: doctor tells, not every run */
    snprintf((*device)->note, sizeof(*device)->note, "%.300s", why.reason);
#endif
    return SA_OK;
}

sa_status sa_device_open(sa_device **out, const sa_device_options *options, sa_error *err)
{
    int ordinal = ANY_BACKEND;
    sa_device *device = NULL;
    SA_TRY(read_name(options->name != NULL ? options->name : "auto", &ordinal, err));
    sa_status status = ordinal == ANY_BACKEND    ? open_any(&device, options, err)
                       : ordinal == CPU_BACKEND  ? sa_device_cpu_open(&device, options, err)
                       : ordinal == NULL_BACKEND ? sa_device_null_open(&device, err)
                                                 : sa_device_cuda_open(&device, options, ordinal, err);
    if (status == SA_OK) {
        status = sa_pool_open(&device->pool, options->threads, err);
        if (status != SA_OK) {
            device->backend->close(device);
        }
    }
    if (status == SA_OK) {
        *out = device;
    }
    return status;
}

void sa_device_close(sa_device *device)
{
    if (device != NULL) {
        sa_pool_close(device->pool);
        free(device->answer.tokens);
        free(device->answer.varies);
        free(device->answer.others);
        device->backend->close(device);
    }
}

const char *sa_device_name(const sa_device *device)
{
    return device->name;
}

const char *sa_device_note(const sa_device *device)
{
    return device->note;
}

const sa_ops *sa_device_ops(const sa_device *device)
{
    return device->backend->ops(device);
}

sa_pool *sa_device_pool(const sa_device *device)
{
    return device->pool;
}

bool sa_device_has_fast_bf16(const sa_device *device)
{
    return device->backend->has_fast_bf16(device);
}

bool sa_device_has_f16(const sa_device *device)
{
    return device->backend->has_f16;
}

size_t sa_device_items_at_once(const sa_device *device)
{
    return device->backend->items_at_once(device);
}

bool sa_device_reads_host(const sa_device *device)
{
    return device->backend->reads_host;
}

bool sa_device_peak(const sa_device *device, sa_dtype dtype, double *flops, double *bytes)
{
    return device->backend->peak != NULL && device->backend->peak(device, dtype, flops, bytes);
}

void sa_device_profile_start(sa_device *device)
{
    if (device->backend->profile_start != NULL) {
        device->backend->profile_start(device);
    }
}

size_t sa_device_profile_end(sa_device *device, sa_kernel_profile rows[SA_MOST_PROFILED])
{
    return device->backend->profile_end != NULL ? device->backend->profile_end(device, rows) : 0;
}

bool sa_device_overlaps(const sa_device *device)
{
    return device->backend->overlaps != NULL && device->backend->overlaps(device);
}

bool sa_device_computes(const sa_device *device)
{
    return !device->backend->computes_nothing;
}

void sa_device_count(sa_device *device, sa_cost_stage stage, size_t batch)
{
    device->work.batches[stage]++;
    device->work.units[stage] += batch;
    device->work.seconds[stage] += sa_cost_seconds(&device->costs, stage, batch);
}

sa_device_work sa_device_get_work(const sa_device *device)
{
    return device->work;
}

sa_device_work sa_device_work_since(sa_device_work now, sa_device_work before)
{
    for (int i = 0; i < SA_COST_STAGES; i++) {
        now.batches[i] -= before.batches[i];
        now.units[i] -= before.units[i];
        now.seconds[i] -= before.seconds[i];
    }
    now.kernels -= before.kernels;
    now.graphs -= before.graphs;
    return now;
}

void sa_device_set_costs(sa_device *device, const sa_cost_model *costs)
{
    device->costs = *costs;
}

sa_status sa_device_set_null_answer(sa_device *device, const int32_t *tokens, const bool *varies,
                                    size_t count, const int32_t *others, size_t other_count, sa_error *err)
{
    sa_null_answer *a = &device->answer;
    free(a->tokens);
    free(a->varies);
    free(a->others);
    *a = (sa_null_answer){.tokens = malloc((count + 1) * sizeof *a->tokens),
                          .varies = malloc((count + 1) * sizeof *a->varies),
                          .others = malloc((other_count + 1) * sizeof *a->others)};
    if (a->tokens == NULL || a->varies == NULL || a->others == NULL) {
        return sa_fail(err, SA_NO_ROOM, device->name, NULL, "no memory for an answer");
    }
    memcpy(a->tokens, tokens, count * sizeof *tokens);
    memcpy(a->varies, varies, count * sizeof *varies);
    if (other_count > 0) {
        memcpy(a->others, others, other_count * sizeof *others);
    }
    a->count = count;
    a->other_count = other_count;
    return SA_OK;
}

sa_status sa_device_alloc(sa_device *device, size_t bytes, const char *what, void **memory, sa_error *err)
{
    return device->backend->alloc(device, bytes, what, memory, err);
}

void sa_device_free(sa_device *device, void *memory)
{
    if (memory != NULL) {
        device->backend->free(device, memory);
    }
}

size_t sa_device_allocated(const sa_device *device)
{
    return device->allocated;
}

size_t sa_device_allocation_count(const sa_device *device)
{
    return device->allocations;
}

sa_status sa_stream_open(sa_stream **stream, sa_device *device, sa_error *err)
{
    return device->backend->stream_open(stream, device, err);
}

void sa_stream_close(sa_stream *stream)
{
    if (stream != NULL) {
        stream->device->backend->stream_close(stream);
    }
}

sa_status sa_stream_wait(sa_stream *stream, sa_error *err)
{
    return stream->device->backend->stream_wait(stream, err);
}

void sa_stream_upload(sa_stream *stream, void *device_to, const void *host_from, size_t bytes)
{
    stream->device->backend->upload(stream, device_to, host_from, bytes);
}

void sa_stream_download(sa_stream *stream, void *host_to, const void *device_from, size_t bytes)
{
    stream->device->backend->download(stream, host_to, device_from, bytes);
}

void sa_stream_copy(sa_stream *stream, void *device_to, const void *device_from, size_t bytes)
{
    stream->device->backend->copy(stream, device_to, device_from, bytes);
}

void sa_stream_group_begin(sa_stream *stream)
{
    if (stream->device->backend->group_begin != NULL) {
        stream->device->backend->group_begin(stream);
    }
}

void sa_stream_group_end(sa_stream *stream)
{
    if (stream->device->backend->group_end != NULL) {
        stream->device->backend->group_end(stream);
    }
}

const void *sa_stream_reach(sa_stream *stream, const void *host, size_t bytes, void *staging)
{
    if (stream->device->backend->reads_host) {
        return host;
    }
    SA_ASSERT(staging != NULL || bytes == 0);
    sa_stream_upload(stream, staging, host, bytes);
    return staging;
}
