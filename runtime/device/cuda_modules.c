/* The embedded kernels on their way into the driver: one module per .cu, one function per line of list.h. */
#ifdef SEGAGENT_CUDA

#include <stdlib.h>

#include "kernels/cuda/images.h"
#include "runtime/device/cuda_device.h"

typedef struct {
    const char *name;
    int shared_bytes;
} kernel;

static const kernel kernels[SA_CUDA_KERNELS + 1] = {
#define SA_CUDA_KERNEL(name, shared_bytes) {#name, shared_bytes},
#include "kernels/cuda/list.h"
#undef SA_CUDA_KERNEL
    {0},
};

const char *sa_cuda_kernel_name(sa_cuda_kernel index)
{
    return kernels[index].name;
}

unsigned sa_cuda_kernel_shared(sa_cuda_kernel index)
{
    return (unsigned)kernels[index].shared_bytes;
}

static sa_status find_kernel(sa_cuda_device *device, const kernel *k, sa_cuda_handle *found, sa_error *err)
{
    int code = CU_NOT_FOUND, registers;
    for (size_t i = 0; i < device->module_count && code == CU_NOT_FOUND; i++) {
        code = device->driver.module_function(found, device->modules[i], k->name);
    }
    if (code != 0) {
        return sa_cuda_fail(&device->driver, err, device->common.name, code, "kernel %s does not load",
                            k->name);
    }
    if (k->shared_bytes < 0 || (size_t)k->shared_bytes > device->most_shared) {
        return sa_fail(err, SA_NO_DEVICE, device->common.name, "take another GPU, or use --device cpu",
                       "kernel %s needs %d bytes of shared memory, and a block of %s has %zu", k->name,
                       k->shared_bytes, device->gpu, device->most_shared);
    }
    code = device->driver.function_set(*found, CU_FUNCTION_SHARED, k->shared_bytes);
    if (code == 0) { /* a driver that loads lazily does it now */
        code = device->driver.function_get(&registers, CU_FUNCTION_REGISTERS, *found);
    }
    return code == 0 ? SA_OK
                     : sa_cuda_fail(&device->driver, err, device->common.name, code,
                                    "kernel %s with %d bytes of shared memory does not load", k->name,
                                    k->shared_bytes);
}

sa_status sa_cuda_modules_load(sa_cuda_device *device, sa_error *err)
{
    size_t count = 0;
    while (sa_cuda_images[count].name != NULL) {
        count++;
    }
    device->modules = calloc(count + 1, sizeof *device->modules);
    if (device->modules == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the list of modules");
    }
    for (size_t i = 0; i < count; i++) {
        const sa_cuda_image *image = &sa_cuda_images[i];
        int code = device->driver.module_load(&device->modules[i], image->bytes);
        if (code != 0) {
            return sa_cuda_fail(&device->driver, err, device->common.name, code,
                                "the kernels of %s.cu do not load on %s (compute capability %d.%d)",
                                image->name, device->gpu, device->major, device->minor);
        }
        device->module_count++;
    }
    for (size_t i = 0; i < SA_CUDA_KERNELS; i++) {
        SA_TRY(find_kernel(device, &kernels[i], &device->kernels[i], err));
    }
    return SA_OK;
}

void sa_cuda_modules_unload(sa_cuda_device *device)
{
    for (size_t i = 0; i < device->module_count; i++) {
        device->driver.module_unload(device->modules[i]);
    }
    free(device->modules);
    device->modules = NULL;
    device->module_count = 0;
}

#else

typedef int sa_cuda_modules_are_not_compiled; /* ISO C wants something in every file */

#endif
