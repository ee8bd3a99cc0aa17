/*
 * The CPU as a device: memory is aligned host memory, a stream is the thread pool, and every call has ended
 * when it returns, so waiting has nothing to do.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "runtime/base/arena.h"
#include "runtime/base/checked.h"
#include "runtime/device/backend.h"
#include "runtime/device/cpu_level.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

typedef struct {
    struct sa_device common; /* first: a cpu_device is an sa_device */
    sa_cpu_level level;
} cpu_device;

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

static sa_cpu_level level_of(const sa_device *device)
{
    return ((const cpu_device *)(const void *)device)->level;
}

static void cpu_close(sa_device *device)
{
    free(device);
}

static const sa_ops *cpu_ops(const sa_device *device)
{
    return sa_cpu_level_ops(level_of(device));
}

static bool cpu_has_fast_bf16(const sa_device *device)
{
    return level_of(device) == SA_CPU_AVX512BF16;
}

static size_t cpu_items_at_once(const sa_device *device)
{
    (void)device;
    return 1;
}

static sa_status cpu_alloc(sa_device *device, size_t bytes, const char *what, void **memory, sa_error *err)
{
    size_t whole = 0;
    block_head *head = NULL;
    /* Two megabytes and more start on a huge page's border, so that the system may use huge pages. */
    size_t align = bytes >= ((size_t)2 << 20) ? (size_t)2 << 20 : SA_ARENA_ALIGN;
    if (sa_add_size(bytes, sizeof *head, &whole) && sa_align_size(whole, align, &whole)) {
        head = aligned_alloc(align, whole);
    }
    if (head == NULL) {
        return sa_fail(err, SA_NO_ROOM, device->name, "use bf16, a smaller batch or fewer slots",
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

static void cpu_free(sa_device *device, void *memory)
{
    block_head *head = (block_head *)memory - 1;
    device->allocated -= head->bytes;
    free(head);
}

static sa_status cpu_stream_open(sa_stream **out, sa_device *device, sa_error *err)
{
    sa_stream *stream = malloc(sizeof *stream);
    if (stream == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a stream handle");
    }
    *stream = (sa_stream){.device = device, .pool = device->pool};
    *out = stream;
    return SA_OK;
}

static void cpu_stream_close(sa_stream *stream)
{
    free(stream);
}

static sa_status cpu_stream_wait(sa_stream *stream, sa_error *err)
{
    (void)stream;
    (void)err;
    return SA_OK;
}

/* Uploads, downloads and copies alike. */
static void cpu_move(sa_stream *stream, void *to, const void *from, size_t bytes)
{
    (void)stream;
    memcpy(to, from, bytes);
}

static const sa_backend cpu_backend = {
    .close = cpu_close,
    .ops = cpu_ops,
    .has_fast_bf16 = cpu_has_fast_bf16,
    .items_at_once = cpu_items_at_once,
    .reads_host = true,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .stream_open = cpu_stream_open,
    .stream_close = cpu_stream_close,
    .stream_wait = cpu_stream_wait,
    .upload = cpu_move,
    .download = cpu_move,
    .copy = cpu_move,
};

sa_status sa_device_cpu_open(sa_device **out, const sa_device_options *options, sa_error *err)
{
    cpu_device *device = calloc(1, sizeof *device);
    if (device == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a device handle");
    }
    sa_status status = choose_level(options->isa, &device->level, err);
    if (status != SA_OK) {
        free(device);
        return status;
    }
    device->common.backend = &cpu_backend;
    snprintf(device->common.name, sizeof device->common.name, "cpu");
    *out = &device->common;
    return SA_OK;
}
