/*
 * The NVIDIA driver's library, libcuda.so.1, opened at run time: the one table of the calls that the program
 * makes. Nothing is linked, and no header of the CUDA toolkit is needed: types, constants and the exported
 * names (_v2 where the first form is no longer what cuda.h means) are stated here.
 *
 * Every call returns 0 for success or a code that sa_cuda_fail() turns into a sentence.
 */
#ifndef SA_DEVICE_CUDA_DRIVER_H
#define SA_DEVICE_CUDA_DRIVER_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/status.h"

typedef unsigned long long sa_cuda_pointer; /* CUdeviceptr */
typedef void *sa_cuda_handle;               /* of a context, module, function, stream, event, graph */

/* CUDA_KERNEL_NODE_PARAMS_v2: a kernel of a graph. */
typedef struct {
    sa_cuda_handle function;
    unsigned grid[3], block[3], shared;
    void **parameters, **extra;
    sa_cuda_handle kernel, context; /* NULL */
} sa_cuda_node;

/* CALL(field, exported name, parameters) */
#define SA_CUDA_CALLS(CALL)                                                                                  \
    CALL(driver_version, "cuDriverGetVersion", (int *version))                                               \
    CALL(init, "cuInit", (unsigned flags))                                                                   \
    CALL(error_name, "cuGetErrorName", (int code, const char **name))                                        \
    CALL(error_text, "cuGetErrorString", (int code, const char **text))                                      \
    CALL(device_count, "cuDeviceGetCount", (int *count))                                                     \
    CALL(device_get, "cuDeviceGet", (int *device, int ordinal))                                              \
    CALL(device_name, "cuDeviceGetName", (char *name, int size, int device))                                 \
    CALL(device_attribute, "cuDeviceGetAttribute", (int *value, int attribute, int device))                  \
    CALL(device_memory, "cuDeviceTotalMem_v2", (size_t * bytes, int device))                                 \
    CALL(context_retain, "cuDevicePrimaryCtxRetain", (sa_cuda_handle * context, int device))                 \
    CALL(context_release, "cuDevicePrimaryCtxRelease_v2", (int device))                                      \
    CALL(context_set, "cuCtxSetCurrent", (sa_cuda_handle context))                                           \
    CALL(memory_info, "cuMemGetInfo_v2", (size_t * available, size_t * total))                               \
    CALL(memory_alloc, "cuMemAlloc_v2", (sa_cuda_pointer * memory, size_t bytes))                            \
    CALL(memory_free, "cuMemFree_v2", (sa_cuda_pointer memory))                                              \
    CALL(pinned_alloc, "cuMemHostAlloc", (void **memory, size_t bytes, unsigned flags))                      \
    CALL(pinned_free, "cuMemFreeHost", (void *memory))                                                       \
    CALL(upload, "cuMemcpyHtoDAsync_v2",                                                                     \
         (sa_cuda_pointer to, const void *from, size_t bytes, sa_cuda_handle stream))                        \
    CALL(download, "cuMemcpyDtoHAsync_v2",                                                                   \
         (void *to, sa_cuda_pointer from, size_t bytes, sa_cuda_handle stream))                              \
    CALL(copy, "cuMemcpyDtoDAsync_v2",                                                                       \
         (sa_cuda_pointer to, sa_cuda_pointer from, size_t bytes, sa_cuda_handle stream))                    \
    CALL(stream_create, "cuStreamCreate", (sa_cuda_handle * stream, unsigned flags))                         \
    CALL(stream_destroy, "cuStreamDestroy_v2", (sa_cuda_handle stream))                                      \
    CALL(stream_wait, "cuStreamSynchronize", (sa_cuda_handle stream))                                        \
    CALL(event_create, "cuEventCreate", (sa_cuda_handle * event, unsigned flags))                            \
    CALL(event_destroy, "cuEventDestroy_v2", (sa_cuda_handle event))                                         \
    CALL(event_record, "cuEventRecord", (sa_cuda_handle event, sa_cuda_handle stream))                       \
    CALL(event_wait, "cuEventSynchronize", (sa_cuda_handle event))                                           \
    CALL(event_elapsed, "cuEventElapsedTime", (float *ms, sa_cuda_handle start, sa_cuda_handle end))         \
    CALL(module_load, "cuModuleLoadData", (sa_cuda_handle * module, const void *image))                      \
    CALL(module_unload, "cuModuleUnload", (sa_cuda_handle module))                                           \
    CALL(module_function, "cuModuleGetFunction",                                                             \
         (sa_cuda_handle * function, sa_cuda_handle module, const char *name))                               \
    CALL(function_get, "cuFuncGetAttribute", (int *value, int attribute, sa_cuda_handle function))           \
    CALL(function_set, "cuFuncSetAttribute", (sa_cuda_handle function, int attribute, int value))            \
    CALL(launch, "cuLaunchKernel",                                                                           \
         (sa_cuda_handle function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,          \
          unsigned bz, unsigned shared, sa_cuda_handle stream, void **parameters, void **extra))             \
    CALL(graph_create, "cuGraphCreate", (sa_cuda_handle * graph, unsigned flags))                            \
    CALL(graph_add, "cuGraphAddKernelNode_v2",                                                               \
         (sa_cuda_handle * node, sa_cuda_handle graph, const sa_cuda_handle *after, size_t count,            \
          const sa_cuda_node *what))                                                                         \
    CALL(graph_destroy, "cuGraphDestroy", (sa_cuda_handle graph))                                            \
    CALL(graph_instantiate, "cuGraphInstantiateWithFlags",                                                   \
         (sa_cuda_handle * exec, sa_cuda_handle graph, unsigned long long flags))                            \
    CALL(graph_change, "cuGraphExecKernelNodeSetParams_v2",                                                  \
         (sa_cuda_handle exec, sa_cuda_handle node, const sa_cuda_node *what))                               \
    CALL(graph_launch, "cuGraphLaunch", (sa_cuda_handle exec, sa_cuda_handle stream))                        \
    CALL(graph_exec_destroy, "cuGraphExecDestroy", (sa_cuda_handle exec))

/* Constants of cuda.h, by their names there. */
enum {
    CU_OUT_OF_MEMORY = 2,        /* CUDA_ERROR_OUT_OF_MEMORY */
    CU_STUB_LIBRARY = 34,        /* CUDA_ERROR_STUB_LIBRARY */
    CU_DEVICE_UNAVAILABLE = 46,  /* CUDA_ERROR_DEVICE_UNAVAILABLE: held in an exclusive mode */
    CU_NO_DEVICE = 100,          /* CUDA_ERROR_NO_DEVICE */
    CU_NO_BINARY = 209,          /* CUDA_ERROR_NO_BINARY_FOR_GPU */
    CU_ECC = 214,                /* CUDA_ERROR_ECC_UNCORRECTABLE */
    CU_PTX_VERSION = 222,        /* CUDA_ERROR_UNSUPPORTED_PTX_VERSION */
    CU_NOT_FOUND = 500,          /* CUDA_ERROR_NOT_FOUND */
    CU_ILLEGAL_ADDRESS = 700,    /* CUDA_ERROR_ILLEGAL_ADDRESS */
    CU_LAUNCH_RESOURCES = 701,   /* CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES */
    CU_LAUNCH_TIMEOUT = 702,     /* CUDA_ERROR_LAUNCH_TIMEOUT */
    CU_LAUNCH_FAILED = 719,      /* CUDA_ERROR_LAUNCH_FAILED */
    CU_DRIVER_MISMATCH = 803,    /* CUDA_ERROR_SYSTEM_DRIVER_MISMATCH */
    CU_UNKNOWN = 999,            /* CUDA_ERROR_UNKNOWN */
    CU_MULTIPROCESSORS = 16,     /* CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT */
    CU_CLOCK_KHZ = 13,           /* CU_DEVICE_ATTRIBUTE_CLOCK_RATE */
    CU_MEMORY_CLOCK_KHZ = 36,    /* CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE */
    CU_MEMORY_BUS_BITS = 37,     /* CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH */
    CU_CAPABILITY_MAJOR = 75,    /* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR */
    CU_CAPABILITY_MINOR = 76,    /* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR */
    CU_MOST_SHARED = 97,         /* CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN */
    CU_FUNCTION_REGISTERS = 4,   /* CU_FUNC_ATTRIBUTE_NUM_REGS */
    CU_FUNCTION_SHARED = 8,      /* CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES */
    CU_STREAM_NON_BLOCKING = 1,  /* no order with the legacy default stream */
    CU_EVENT_DISABLE_TIMING = 2, /* cheaper to record */
};

typedef struct {
    int version; /* of CUDA that the driver supports: 12040 is 12.4 */
#define SA_CUDA_FIELD(field, name, parameters) int(*field) parameters;
    SA_CUDA_CALLS(SA_CUDA_FIELD)
#undef SA_CUDA_FIELD
} sa_cuda_driver;

/*
 * Opens the library, finds every call, and starts the driver. SA_NO_DEVICE: no library, a call missing, a
 * driver that does not start or has no device. The library is never closed again: threads of the driver live
 * in it.
 */
sa_status sa_cuda_driver_open(sa_cuda_driver *driver, sa_error *err);

/* SA_NO_DEVICE if the driver is older than the CUDA of the embedded kernels. */
sa_status sa_cuda_driver_check(const sa_cuda_driver *driver, sa_error *err);

/*
 * "WHAT: the driver's text (its name)", with a way out that fits the code. Returns SA_NO_ROOM for lack of
 * memory and SA_NO_DEVICE for all else. `device` is "cuda:0".
 */
sa_status sa_cuda_fail(const sa_cuda_driver *driver, sa_error *err, const char *device, int code,
                       const char *what, ...) __attribute__((format(printf, 5, 6)));

/* The code speaks of work that was queued before the call which returned it. */
bool sa_cuda_is_late(int code);

/* Whether the embedded fat binaries hold machine code for this compute capability; otherwise PTX is used. */
bool sa_cuda_has_code(int major, int minor);

#endif
