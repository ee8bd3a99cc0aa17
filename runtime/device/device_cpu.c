/*
 * The CPU as a device: memory is aligned host memory, a stream is the thread pool, and every call has ended
 * when it returns, so waiting has nothing to do.
 */
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "runtime/base/arena.h"
#include "runtime/base/checked.h"
#include "runtime/device/cpu_level.h"
#include "runtime/device/device.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

struct sa_device {
    sa_pool *pool;
    sa_cpu_level level;
    size_t allocated, allocations;
};

/* In front of each block: its size, in a place that keeps the block aligned. */
typedef union {
    size_t bytes;
    unsigned char room[SA_ARENA_ALIGN];
} block_head;

static sa_status choose_level(const char *name, sa_cpu_level *level, sa_error *err)
{
    const char *source = "--isa";
    if (name == NULL) {
        name = getenv("SEGAGENT_ISA");
        source = "SEGAGENT_ISA";
    }
    if (name == NULL || name[0] == '\0' || strcmp(name, "auto") == 0) {
        *level = sa_cpu_level_best();
        return SA_OK;
    }
    for (int i = 0; i < SA_CPU_LEVELS; i++) {
        if (strcmp(name, sa_cpu_level_name((sa_cpu_level)i)) == 0) {
            *level = (sa_cpu_level)i;
            if (!sa_cpu_level_runs_here(*level)) {
                return sa_fail(err, SA_NO_DEVICE, source, "use auto, or a lower level",
                               "this processor or program has no %s", name);
            }
            return SA_OK;
        }
    }
    return sa_fail(err, SA_BAD_USAGE, source, "use auto, plain, avx2, avx512 or avx512bf16",
                   "there is no instruction set level \"%s\"", name);
}

static sa_status check_name(const char *name, sa_error *err)
{
    if (strcmp(name, "auto") == 0 || strcmp(name, "cpu") == 0) {
        return SA_OK;
    }
    if (strncmp(name, "cuda", 4) == 0 || strcmp(name, "null") == 0) {
        return sa_fail(err, SA_NO_DEVICE, "--device", "use --device cpu", "this build has no %s device",
                       strcmp(name, "null") == 0 ? "null" : "CUDA");
    }
    return sa_fail(err, SA_BAD_USAGE, "--device", "use auto or cpu", "there is no device \"%s\"", name);
}

sa_status sa_device_open(sa_device **out, const sa_device_options *options, sa_error *err)
{
    SA_TRY(check_name(options->name != NULL ? options->name : "auto", err));
    sa_device *device = calloc(1, sizeof *device);
    if (device == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a device handle");
    }
    sa_status status = choose_level(options->isa, &device->level, err);
    if (status == SA_OK) {
        status = sa_pool_open(&device->pool, options->threads, err);
    }
    if (status != SA_OK) {
        free(device);
        return status;
    }
    *out = device;
    return SA_OK;
}

void sa_device_close(sa_device *device)
{
    if (device != NULL) {
        sa_pool_close(device->pool);
        free(device);
    }
}

const char *sa_device_name(const sa_device *device)
{
    (void)device;
    return "cpu";
}

const sa_ops *sa_device_ops(const sa_device *device)
{
    return sa_cpu_level_ops(device->level);
}

sa_pool *sa_device_pool(const sa_device *device)
{
    return device->pool;
}

bool sa_device_has_fast_bf16(const sa_device *device)
{
    return device->level == SA_CPU_AVX512BF16;
}

size_t sa_device_items_at_once(const sa_device *device)
{
    (void)device;
    return 1;
}

sa_status sa_device_alloc(sa_device *device, size_t bytes, const char *what, void **memory, sa_error *err)
{
    size_t whole = 0;
    block_head *head = NULL;
    /* Two megabytes and more start on a huge page's border, so that the system may use huge pages. */
    size_t align = bytes >= ((size_t)2 << 20) ? (size_t)2 << 20 : SA_ARENA_ALIGN;
    if (sa_add_size(bytes, sizeof *head, &whole) && sa_align_size(whole, align, &whole)) {
        head = aligned_alloc(align, whole);
    }
    if (head == NULL) {
        return sa_fail(err, SA_NO_ROOM, sa_device_name(device), "use bf16, a smaller batch or fewer slots",
                       "no memory for %s: %zu MB", what, bytes >> 20);
    }
#if defined(__linux__)
    if (align > SA_ARENA_ALIGN) {
        madvise(head, whole, MADV_HUGEPAGE);
    }
#endif
    head->bytes = bytes;
    device->allocated += bytes;
    device->allocations++;
    *memory = head + 1;
    return SA_OK;
}

void sa_device_free(sa_device *device, void *memory)
{
    if (memory != NULL) {
        block_head *head = (block_head *)memory - 1;
        device->allocated -= head->bytes;
        free(head);
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

sa_status sa_stream_open(sa_stream **out, sa_device *device, sa_error *err)
{
    sa_stream *stream = malloc(sizeof *stream);
    if (stream == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a stream handle");
    }
    *stream = (sa_stream){.device = device, .pool = device->pool};
    *out = stream;
    return SA_OK;
}

void sa_stream_close(sa_stream *stream)
{
    free(stream);
}

sa_status sa_stream_wait(sa_stream *stream, sa_error *err)
{
    (void)stream;
    (void)err;
    return SA_OK;
}

void sa_stream_upload(sa_stream *stream, void *device_to, const void *host_from, size_t bytes)
{
    (void)stream;
    memcpy(device_to, host_from, bytes);
}

void sa_stream_download(sa_stream *stream, void *host_to, const void *device_from, size_t bytes)
{
    (void)stream;
    memcpy(host_to, device_from, bytes);
}

void sa_stream_copy(sa_stream *stream, void *device_to, const void *device_from, size_t bytes)
{
    (void)stream;
    memcpy(device_to, device_from, bytes);
}

const void *sa_stream_reach(sa_stream *stream, const void *host, size_t bytes, void *staging)
{
    (void)stream;
    (void)bytes;
    (void)staging;
    return host;
}

bool sa_device_reads_host(const sa_device *device)
{
    (void)device;
    return true;
}
