/*
 * Streams of the CUDA backend: launches, and copies through a ring of pinned host memory.
 *
 * The driver copies asynchronously from pinned memory alone. So an upload is copied into the ring by the host
 * and sent from there, and the caller's memory is free at once; a download lands in the ring and goes to the
 * caller when its piece is retired: in the wait, or earlier when the ring needs the place. Pieces retire in
 * the order in which they were queued, each after its event. Ring and events are taken when the stream is
 * opened.
 *
 * The first failure is kept, with what was being done; after it nothing is queued and nothing is handed out.
 */
#ifdef SEGAGENT_CUDA

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/device/cuda_device.h"
#include "runtime/device/cuda_graph.h"

/* A piece of 1 MB takes a PCIe bus about 40 us, ten times what queuing it costs; eight of them keep it busy.
 */
enum { RING_BYTES = 8 << 20, PIECE_BYTES = 1 << 20, PIECES = 64, PIECE_ALIGN = 64 };

typedef struct {
    size_t end;          /* of its place, counted over all pieces ever */
    unsigned char *from; /* in the ring */
    void *host_to;       /* NULL for an upload */
    size_t bytes;
} piece;

typedef struct {
    struct sa_stream common; /* first: it is an sa_stream */
    sa_cuda_handle handle;
    unsigned char *ring;
    size_t taken, retired; /* bytes ever; the ring holds what lies between */
    piece pieces[PIECES];
    sa_cuda_handle events[PIECES]; /* recorded behind the copy of the piece with the same index */
    size_t first, count;           /* of the pieces not retired yet */
    sa_cuda_graphs *graphs;

    int failure;     /* the first code; 0 for none */
    char doing[320]; /* what returned it */
    size_t launches; /* since the last wait */
    sa_cuda_kernel last;
} cuda_stream;

static cuda_stream *stream_of(sa_stream *stream)
{
    return (cuda_stream *)(void *)stream;
}

static sa_cuda_device *device_of(const cuda_stream *stream)
{
    return sa_cuda_device_of(stream->common.device);
}

/* ---- failures ---- */

/* Keeps the first failure. True if all is well. */
static bool good(cuda_stream *stream, int code, const char *doing)
{
    if (code != 0 && stream->failure == 0) {
        stream->failure = code;
        if (sa_cuda_is_late(code) && stream->launches > 0) {
            snprintf(stream->doing, sizeof stream->doing,
                     "%s, after %zu launches, the last of kernel %s (SEGAGENT_CUDA_SYNC=1 names the one)",
                     doing, stream->launches, sa_cuda_kernel_name(stream->last));
        } else {
            snprintf(stream->doing, sizeof stream->doing, "%s", doing);
        }
    }
    return stream->failure == 0;
}

static bool ready(cuda_stream *stream)
{
    return stream->failure == 0 && good(stream, sa_cuda_enter(device_of(stream)), "change of context");
}

static void end_group(cuda_stream *stream, bool whole);

/* Before anything but a launch is queued. */
static bool ready_alone(cuda_stream *stream)
{
    end_group(stream, false);
    return ready(stream);
}

/* ---- the ring ---- */

/* Waits for the oldest piece; hands a download to its owner. */
static void retire_piece(cuda_stream *stream)
{
    const piece *p = &stream->pieces[stream->first];
    int code = device_of(stream)->driver.event_wait(stream->events[stream->first]);
    if (good(stream, code, "copy") && p->host_to != NULL) {
        memcpy(p->host_to, p->from, p->bytes);
    }
    stream->retired = p->end;
    stream->first = (stream->first + 1) % PIECES;
    stream->count--;
}

/* A place of `bytes` <= PIECE_BYTES in one run: what is left before the ring's end may have to be skipped. */
static piece *take_piece(cuda_stream *stream, size_t bytes)
{
    size_t place = stream->taken % RING_BYTES, skipped = place + bytes > RING_BYTES ? RING_BYTES - place : 0;
    size_t end = stream->taken + skipped + (bytes + PIECE_ALIGN - 1) / PIECE_ALIGN * PIECE_ALIGN;
    while (stream->count == PIECES || (stream->count > 0 && end - stream->retired > RING_BYTES)) {
        retire_piece(stream);
    }
    piece *p = &stream->pieces[(stream->first + stream->count++) % PIECES];
    *p = (piece){.end = end, .from = stream->ring + (stream->taken + skipped) % RING_BYTES, .bytes = bytes};
    stream->taken = end;
    return p;
}

static void record_piece(cuda_stream *stream, const piece *p)
{
    int code = device_of(stream)->driver.event_record(stream->events[p - stream->pieces], stream->handle);
    good(stream, code, "copy");
}

static size_t piece_of(size_t bytes)
{
    return bytes < PIECE_BYTES ? bytes : PIECE_BYTES;
}

void sa_cuda_stream_upload(sa_stream *common, void *device_to, const void *host_from, size_t bytes)
{
    cuda_stream *stream = stream_of(common);
    sa_cuda_pointer to = (uintptr_t)device_to;
    const unsigned char *from = host_from;
    end_group(stream, false);
    for (size_t size; bytes > 0 && ready(stream); bytes -= size, from += size, to += size) {
        size = piece_of(bytes);
        piece *p = take_piece(stream, size);
        memcpy(p->from, from, size);
        good(stream, device_of(stream)->driver.upload(to, p->from, size, stream->handle),
             "copy to the device");
        record_piece(stream, p);
    }
}

void sa_cuda_stream_download(sa_stream *common, void *host_to, const void *device_from, size_t bytes)
{
    cuda_stream *stream = stream_of(common);
    sa_cuda_pointer from = (uintptr_t)device_from;
    unsigned char *to = host_to;
    end_group(stream, false);
    for (size_t size; bytes > 0 && ready(stream); bytes -= size, from += size, to += size) {
        size = piece_of(bytes);
        piece *p = take_piece(stream, size);
        p->host_to = to;
        int code = device_of(stream)->driver.download(p->from, from, size, stream->handle);
        good(stream, code, "copy from the device");
        record_piece(stream, p);
    }
}

void sa_cuda_stream_copy(sa_stream *common, void *device_to, const void *device_from, size_t bytes)
{
    cuda_stream *stream = stream_of(common);
    if (bytes > 0 && ready_alone(stream)) {
        int code = device_of(stream)->driver.copy((uintptr_t)device_to, (uintptr_t)device_from, bytes,
                                                  stream->handle);
        good(stream, code, "copy on the device");
    }
}

/* ---- launches ---- */

static void check_launch(const sa_cuda_launch_args *launch)
{
    sa_cuda_dim grid = launch->grid, block = launch->block;
    SA_ASSERT((unsigned)launch->kernel < (unsigned)SA_CUDA_KERNELS && launch->args != NULL);
    SA_ASSERT(launch->args_bytes > 0);
    SA_ASSERT(grid.x <= INT32_MAX && grid.y <= 65535 && grid.z <= 65535);
    SA_ASSERT(block.x > 0 && block.y > 0 && block.z > 0 && block.z <= 64);
    SA_ASSERT((size_t)block.x * block.y * block.z <= 1024);
}

static int launch_kernel(const cuda_stream *stream, const sa_cuda_launch_args *launch)
{
    const sa_cuda_device *device = device_of(stream);
    sa_cuda_dim grid = launch->grid, block = launch->block;
    /* the driver reads the arguments, whatever the type of its parameter says */
    void *parameters[] = {(void *)(uintptr_t)launch->args};
    return device->driver.launch(device->kernels[launch->kernel], grid.x, grid.y, grid.z, block.x, block.y,
                                 block.z, sa_cuda_kernel_shared(launch->kernel), stream->handle, parameters,
                                 NULL);
}

/* The end of a launch that somebody waits for: what fails now is this kernel's own fault. */
static void wait_for_kernel(cuda_stream *stream, const sa_cuda_launch_args *launch)
{
    const sa_cuda_device *device = device_of(stream);
    int code = device->profile != NULL ? sa_cuda_profile_add(device, stream->handle, launch)
                                       : device->driver.stream_wait(stream->handle);
    if (code != 0) {
        stream->failure = code;
        snprintf(stream->doing, sizeof stream->doing, "kernel %s", sa_cuda_kernel_name(launch->kernel));
    }
}

static void launch_now(cuda_stream *stream, const sa_cuda_launch_args *launch)
{
    const sa_cuda_device *device = device_of(stream);
    if (!ready(stream)) {
        return;
    }
    if (device->profile != NULL) {
        sa_cuda_profile_begin(device, stream->handle);
    }
    int code = launch_kernel(stream, launch);
    if (code != 0) {
        char doing[128];
        snprintf(doing, sizeof doing, "launch of kernel %s", sa_cuda_kernel_name(launch->kernel));
        good(stream, code, doing);
        return;
    }
    stream->launches++;
    stream->last = launch->kernel;
    stream->common.device->work.kernels++;
    if (device->synchronous || device->profile != NULL) {
        wait_for_kernel(stream, launch);
    }
}

void sa_cuda_launch(sa_stream *common, const sa_cuda_launch_args *launch)
{
    cuda_stream *stream = stream_of(common);
    check_launch(launch);
    if (launch->grid.x == 0 || launch->grid.y == 0 || launch->grid.z == 0) {
        return;
    }
    if (sa_cuda_graphs_has_begun(stream->graphs)) {
        if (sa_cuda_graphs_add(stream->graphs, launch)) {
            return;
        }
        end_group(stream, false);
    }
    launch_now(stream, launch);
}

/* ---- groups of launches ---- */

/* The launches of an open group, if there is one, as a graph if it is whole and can be one. */
static void end_group(cuda_stream *stream, bool whole)
{
    size_t count;
    int code = 0;
    if (!sa_cuda_graphs_has_begun(stream->graphs)) {
        return;
    }
    const sa_cuda_launch_args *launch = sa_cuda_graphs_end(stream->graphs, &count);
    sa_cuda_kernel last = count > 0 ? launch[count - 1].kernel : 0;
    if (whole && ready(stream) &&
        sa_cuda_graphs_launch(stream->graphs, device_of(stream), stream->handle, &code)) {
        if (good(stream, code, "launch of a graph")) {
            stream->launches += count;
            stream->last = last;
            stream->common.device->work.graphs++;
        }
        return;
    }
    for (size_t i = 0; i < count; i++) {
        launch_now(stream, &launch[i]);
    }
}

/* Launches that somebody waits for, one by one, stay single. */
void sa_cuda_stream_group_begin(sa_stream *common)
{
    cuda_stream *stream = stream_of(common);
    const sa_cuda_device *device = device_of(stream);
    if (!device->synchronous && device->profile == NULL) {
        sa_cuda_graphs_begin(stream->graphs);
    }
}

void sa_cuda_stream_group_end(sa_stream *common)
{
    end_group(stream_of(common), true);
}

/* The caller queues work of its own. */
sa_cuda_handle sa_cuda_stream_handle(sa_stream *common)
{
    cuda_stream *stream = stream_of(common);
    end_group(stream, false);
    return stream->handle;
}

unsigned sa_cuda_processors(const sa_stream *stream)
{
    return (unsigned)sa_cuda_device_of(stream->device)->processors;
}

/* ---- opening, waiting, closing ---- */

sa_status sa_cuda_stream_wait(sa_stream *common, sa_error *err)
{
    cuda_stream *stream = stream_of(common);
    sa_cuda_device *device = device_of(stream);
    if (ready_alone(stream)) {
        good(stream, device->driver.stream_wait(stream->handle), "wait");
    }
    while (stream->failure == 0 && stream->count > 0) {
        retire_piece(stream);
    }
    if (stream->failure != 0) {
        return sa_cuda_fail(&device->driver, err, device->common.name, stream->failure, "%s", stream->doing);
    }
    stream->launches = 0;
    return SA_OK;
}

static int open_handles(const sa_cuda_driver *driver, cuda_stream *stream)
{
    void *ring = NULL;
    int code = driver->stream_create(&stream->handle, CU_STREAM_NON_BLOCKING);
    if (code == 0) {
        code = driver->pinned_alloc(&ring, RING_BYTES, 0);
        stream->ring = ring;
    }
    for (int i = 0; code == 0 && i < PIECES; i++) {
        code = driver->event_create(&stream->events[i], CU_EVENT_DISABLE_TIMING);
    }
    return code;
}

sa_status sa_cuda_stream_open(sa_stream **out, sa_device *common, sa_error *err)
{
    sa_cuda_device *device = sa_cuda_device_of(common);
    cuda_stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a stream handle");
    }
    stream->graphs = sa_cuda_graphs_open();
    if (stream->graphs == NULL) {
        free(stream);
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a stream handle");
    }
    stream->common = (struct sa_stream){.device = common, .pool = common->pool};
    int code = sa_cuda_enter(device);
    if (code == 0) {
        code = open_handles(&device->driver, stream);
    }
    if (code != 0) {
        sa_cuda_stream_close(&stream->common);
        return sa_cuda_fail(&device->driver, err, common->name, code,
                            "no stream with %d MB of pinned host memory", RING_BYTES >> 20);
    }
    *out = &stream->common;
    return SA_OK;
}

/* After a failed opening some handles are NULL; what the driver answers is of no use any more. */
void sa_cuda_stream_close(sa_stream *common)
{
    cuda_stream *stream = stream_of(common);
    const sa_cuda_driver *driver = &device_of(stream)->driver;
    sa_cuda_enter(device_of(stream));
    if (stream->handle != NULL) {
        driver->stream_wait(stream->handle); /* copies may still use the ring */
    }
    for (int i = 0; i < PIECES; i++) {
        if (stream->events[i] != NULL) {
            driver->event_destroy(stream->events[i]);
        }
    }
    sa_cuda_graphs_close(stream->graphs, driver);
    if (stream->ring != NULL) {
        driver->pinned_free(stream->ring);
    }
    if (stream->handle != NULL) {
        driver->stream_destroy(stream->handle);
    }
    free(stream);
}

#else

typedef int sa_cuda_streams_are_not_compiled; /* ISO C wants something in every file */

#endif
