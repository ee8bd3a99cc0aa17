/*
 * A GPU as a device: the driver's primary context, the embedded kernels, and memory from cuMemAlloc (aligned
 * to 256 bytes by the driver). The handle of device memory is its device address in a pointer.
 */
#include "runtime/device/backend.h"

#ifndef SEGAGENT_CUDA

sa_status sa_device_cuda_open(sa_device **out, const sa_device_options *options, int ordinal, sa_error *err)
{
    (void)options;
    (void)ordinal;
    *out = NULL;
    return sa_fail(err, SA_NO_DEVICE, "--device",
                   "build with nvcc and -DSEGAGENT_CUDA=ON, or use --device cpu",
                   "this is a CPU-only build, " SEGAGENT_CUDA_MISSING);
}

#else

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/convolution_library.h"
#include "kernels/cuda/gemm_library.h"
#include "runtime/device/cuda_device.h"

enum { LEAST_CAPABILITY = 80 }; /* cp.async, bf16 tensor cores: what the kernels' PTX is compiled for */

/* ---- memory ---- */

static sa_status no_room(sa_cuda_device *device, size_t bytes, const char *what, int code, sa_error *err)
{
    size_t available = 0, total = 0;
    if (code != CU_OUT_OF_MEMORY || device->driver.memory_info(&available, &total) != 0) {
        return sa_cuda_fail(&device->driver, err, device->common.name, code, "no memory for %s (%zu MB)",
                            what, bytes >> 20);
    }
    size_t ours = device->common.allocated, used = total - available;
    return sa_fail(
        err, SA_NO_ROOM, device->common.name,
        "end other programs on the GPU, take --precision bf16, a smaller batch or fewer slots, or use "
        "--device cpu",
        "out of device memory: %s needs %zu MB, and %zu of %zu MB are free (this program holds %zu MB, "
        "others %zu MB)",
        what, bytes >> 20, available >> 20, total >> 20, ours >> 20, (used > ours ? used - ours : 0) >> 20);
}

static sa_status cuda_alloc(sa_device *common, size_t bytes, const char *what, void **memory, sa_error *err)
{
    sa_cuda_device *device = sa_cuda_device_of(common);
    sa_cuda_block *block = malloc(sizeof *block);
    if (block == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a handle");
    }
    int code = sa_cuda_enter(device);
    if (code == 0) { /* the driver refuses 0 bytes */
        code = device->driver.memory_alloc(&block->memory, bytes > 0 ? bytes : 1);
    }
    if (code != 0) {
        free(block);
        return no_room(device, bytes, what, code, err);
    }
    block->bytes = bytes;
    block->next = device->blocks;
    device->blocks = block;
    common->allocated += bytes;
    common->allocations++;
    *memory = (void *)(uintptr_t)block->memory;
    return SA_OK;
}

static void cuda_free(sa_device *common, void *memory)
{
    sa_cuda_device *device = sa_cuda_device_of(common);
    sa_cuda_block **at = &device->blocks;
    while (*at != NULL && (*at)->memory != (uintptr_t)memory) {
        at = &(*at)->next;
    }
    sa_cuda_block *block = *at;
    SA_ASSERT(block != NULL); /* freed twice, or not ours */
    *at = block->next;
    common->allocated -= block->bytes;
    sa_cuda_enter(device);
    device->driver.memory_free(block->memory);
    free(block);
}

/* ---- the device ---- */

static void cuda_close(sa_device *common)
{
    sa_cuda_device *device = sa_cuda_device_of(common);
    if (device->context != NULL) {
        sa_cuda_enter(device);
        while (device->blocks != NULL) {
            cuda_free(common, (void *)(uintptr_t)device->blocks->memory);
        }
        sa_convolution_library_close(device->convolution_library);
        sa_gemm_library_close(device->gemm_library);
        sa_cuda_modules_unload(device);
        device->driver.context_set(NULL);
        device->driver.context_release(device->device);
    }
    free(device);
}

static const sa_ops *cuda_ops(const sa_device *device)
{
    (void)device;
    return &sa_cuda_ops;
}

static bool cuda_has_fast_bf16(const sa_device *device)
{
    (void)device;
    return true;
}

static size_t cuda_items_at_once(const sa_device *device)
{
    (void)device;
    return 8;
}

static bool cuda_overlaps(const sa_device *device)
{
    const sa_cuda_device *cuda = sa_cuda_device_of(device);
    return cuda->gemm_library == NULL && cuda->convolution_library == NULL;
}

static const sa_backend cuda_backend = {
    .close = cuda_close,
    .ops = cuda_ops,
    .has_fast_bf16 = cuda_has_fast_bf16,
    .has_f16 = true,
    .items_at_once = cuda_items_at_once,
    .reads_host = false,
    .overlaps = cuda_overlaps,
    .peak = sa_cuda_peak,
    .profile_start = sa_cuda_profile_start,
    .profile_end = sa_cuda_profile_end,
    .alloc = cuda_alloc,
    .free = cuda_free,
    .stream_open = sa_cuda_stream_open,
    .stream_close = sa_cuda_stream_close,
    .stream_wait = sa_cuda_stream_wait,
    .upload = sa_cuda_stream_upload,
    .download = sa_cuda_stream_download,
    .copy = sa_cuda_stream_copy,
    .group_begin = sa_cuda_stream_group_begin,
    .group_end = sa_cuda_stream_group_end,
};

/* Finds the GPU and asks what it is; SA_NO_DEVICE if the kernels cannot run on it. */
static sa_status find_gpu(sa_cuda_device *device, int ordinal, sa_error *err)
{
    const sa_cuda_driver *driver = &device->driver;
    const char *name = device->common.name;
    int count = 0, shared = 0;
    SA_TRY(sa_cuda_driver_open(&device->driver, err));
    int code = driver->device_count(&count);
    if (code == 0 && ordinal >= count) {
        return sa_fail(err, SA_NO_DEVICE, "--device", "segagent doctor lists them",
                       "there is no %s: the driver has %d device%s", name, count, count == 1 ? "" : "s");
    }
    SA_TRY(sa_cuda_driver_check(driver, err));
    code = code != 0 ? code : driver->device_get(&device->device, ordinal);
    code = code != 0 ? code : driver->device_name(device->gpu, (int)sizeof device->gpu - 1, device->device);
    code = code != 0 ? code : driver->device_attribute(&device->major, CU_CAPABILITY_MAJOR, device->device);
    code = code != 0 ? code : driver->device_attribute(&device->minor, CU_CAPABILITY_MINOR, device->device);
    code = code != 0 ? code : driver->device_attribute(&shared, CU_MOST_SHARED, device->device);
    code =
        code != 0 ? code : driver->device_attribute(&device->processors, CU_MULTIPROCESSORS, device->device);
    if (code != 0) {
        return sa_cuda_fail(driver, err, name, code, "the driver does not describe the device");
    }
    device->most_shared = (size_t)shared;
    if (device->major * 10 + device->minor < LEAST_CAPABILITY) {
        return sa_fail(err, SA_NO_DEVICE, name,
                       "take a GPU of the Ampere generation or newer, or use --device cpu",
                       "%s has compute capability %d.%d, and %d.%d is needed", device->gpu, device->major,
                       device->minor, LEAST_CAPABILITY / 10, LEAST_CAPABILITY % 10);
    }
    return SA_OK;
}

static sa_status enter_gpu(sa_cuda_device *device, sa_error *err)
{
    sa_cuda_handle context = NULL;
    int code = device->driver.context_retain(&context, device->device);
    if (code != 0) {
        return sa_cuda_fail(&device->driver, err, device->common.name, code, "no context on %s", device->gpu);
    }
    device->context = context;
    code = sa_cuda_enter(device);
    if (code != 0) {
        return sa_cuda_fail(&device->driver, err, device->common.name, code, "no context on %s", device->gpu);
    }
    return sa_cuda_modules_load(device, err);
}

/* Builds for finding bugs wait after every launch; any build does when it is asked to. */
static bool wants_synchronous(void)
{
    const char *value = getenv("SEGAGENT_CUDA_SYNC");
#ifdef NDEBUG
    return value != NULL && strcmp(value, "0") != 0 && value[0] != '\0';
#else
    return value == NULL || strcmp(value, "0") != 0;
#endif
}

sa_status sa_device_cuda_open(sa_device **out, const sa_device_options *options, int ordinal, sa_error *err)
{
    sa_cuda_device *device = calloc(1, sizeof *device);
    if (device == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a device handle");
    }
    device->common.backend = &cuda_backend;
    snprintf(device->common.name, sizeof device->common.name, "cuda:%d", ordinal);
    device->synchronous = wants_synchronous();
    sa_status status = find_gpu(device, ordinal, err);
    if (status == SA_OK) {
        status = enter_gpu(device, err);
    }
    if (status == SA_OK && options->numerics == SA_NUMERICS_FAST) {
        device->gemm_library = sa_gemm_library_open(device);
        device->convolution_library = sa_convolution_library_open(device);
    }
    if (status != SA_OK) {
        cuda_close(&device->common);
        return status;
    }
    *out = &device->common;
    return SA_OK;
}

#endif
