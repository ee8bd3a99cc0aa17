/*
 * The CUDA backend's own handles, shared by its files:
 *   device_cuda.c (device, memory)   cuda_modules.c (kernels)   cuda_stream.c (copies, launches, waiting)
 *   cuda_graph.c (launches that come again)   cuda_profile.c (times)
 */
#ifndef SA_DEVICE_CUDA_DEVICE_H
#define SA_DEVICE_CUDA_DEVICE_H

#include "kernels/cuda/cuda.h"
#include "runtime/device/backend.h"
#include "runtime/device/cuda_driver.h"

/* One allocation; a list, since there are few. */
typedef struct sa_cuda_block {
    struct sa_cuda_block *next;
    sa_cuda_pointer memory;
    size_t bytes;
} sa_cuda_block;

typedef struct {
    sa_cuda_handle begin, end; /* events around one launch */
    sa_kernel_profile row[SA_CUDA_KERNELS];
} sa_cuda_profile;

typedef struct {
    struct sa_device common; /* first: it is an sa_device */
    sa_cuda_driver driver;
    int device, major, minor;
    int processors; /* SMs */
    char gpu[128];
    size_t most_shared;     /* bytes of shared memory that a block may ask for */
    bool synchronous;       /* wait after every launch, so that a fault has its kernel's name */
    sa_cuda_handle context; /* the primary one; NULL before it is retained */
    sa_cuda_handle *modules;
    size_t module_count;
    sa_cuda_handle kernels[SA_CUDA_KERNELS + 1];
    sa_cuda_block *blocks;
    sa_cuda_profile *profile; /* NULL unless launches are being timed */
    /* with --numerics fast, where cuBLASLt and cuDNN are found; or NULL */
    struct sa_gemm_library *gemm_library;
    struct sa_convolution_library *convolution_library;
} sa_cuda_device;

static inline sa_cuda_device *sa_cuda_device_of(const sa_device *device)
{
    return (sa_cuda_device *)(uintptr_t)device;
}

/* Makes the device's context the calling thread's; every entry does, since any thread may call. */
static inline int sa_cuda_enter(const sa_cuda_device *device)
{
    return device->driver.context_set(device->context);
}

/*
 * Loads every embedded image and finds every kernel of list.h, with room for its shared memory, so that
 * nothing is loaded or allocated later. Unload takes back what was loaded, however far that came.
 */
sa_status sa_cuda_modules_load(sa_cuda_device *device, sa_error *err);
void sa_cuda_modules_unload(sa_cuda_device *device);
const char *sa_cuda_kernel_name(sa_cuda_kernel kernel);
unsigned sa_cuda_kernel_shared(sa_cuda_kernel kernel); /* bytes of dynamic shared memory */

/* The driver's handle, for libraries that queue work of their own; all before it is queued. */
sa_cuda_handle sa_cuda_stream_handle(sa_stream *stream);

/* cuda_profile.c: the functions of sa_backend, and what a launch does before and after itself. */
bool sa_cuda_peak(const sa_device *common, sa_dtype dtype, double *flops, double *bytes);
void sa_cuda_profile_start(sa_device *common);
size_t sa_cuda_profile_end(sa_device *common, sa_kernel_profile rows[SA_MOST_PROFILED]);
void sa_cuda_profile_begin(const sa_cuda_device *device, sa_cuda_handle stream);
int sa_cuda_profile_add(const sa_cuda_device *device, sa_cuda_handle stream,
                        const sa_cuda_launch_args *launch);

/* The stream functions of sa_backend. */
sa_status sa_cuda_stream_open(sa_stream **out, sa_device *device, sa_error *err);
void sa_cuda_stream_close(sa_stream *stream);
sa_status sa_cuda_stream_wait(sa_stream *stream, sa_error *err);
void sa_cuda_stream_upload(sa_stream *stream, void *device_to, const void *host_from, size_t bytes);
void sa_cuda_stream_download(sa_stream *stream, void *host_to, const void *device_from, size_t bytes);
void sa_cuda_stream_copy(sa_stream *stream, void *device_to, const void *device_from, size_t bytes);
void sa_cuda_stream_group_begin(sa_stream *stream);
void sa_cuda_stream_group_end(sa_stream *stream);

#endif
