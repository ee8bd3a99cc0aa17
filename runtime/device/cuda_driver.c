#ifdef SEGAGENT_CUDA

#include "runtime/device/cuda_driver.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/images.h"

#define USE_CPU "or use --device cpu"

/* POSIX lets dlsym's pointer become a function pointer; ISO C has no cast for it, so the bytes are copied. */
static bool find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static sa_status find_calls(sa_cuda_driver *driver, void *library, sa_error *err)
{
    const char *missing = NULL;
#define FIND(field, name, parameters)                                                                        \
    if (!find(library, name, &driver->field)) {                                                              \
        missing = missing != NULL ? missing : name;                                                          \
    }
    SA_CUDA_CALLS(FIND)
#undef FIND
    if (missing != NULL) {
        return sa_fail(err, SA_NO_DEVICE, "libcuda.so.1", "update the NVIDIA driver, " USE_CPU,
                       "the driver's library has no %s: it is too old, or no NVIDIA driver", missing);
    }
    return SA_OK;
}

/* The ways out of a driver that does not start; NULL for codes without one of their own. */
static const char *start_hint(int code)
{
    switch (code) {
    case CU_NO_DEVICE: return "check nvidia-smi, CUDA_VISIBLE_DEVICES and a container's devices, " USE_CPU;
    case CU_STUB_LIBRARY: return "take the toolkit's stubs folder out of LD_LIBRARY_PATH, " USE_CPU;
    case CU_DRIVER_MISMATCH: return "restart the machine after an update of the driver, " USE_CPU;
    default: return "check nvidia-smi, " USE_CPU;
    }
}

sa_status sa_cuda_driver_open(sa_cuda_driver *driver, sa_error *err)
{
    *driver = (sa_cuda_driver){0};
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    const char *why = library == NULL ? dlerror() : NULL;
    if (library == NULL && why != NULL && strstr(why, "No such file") == NULL) {
        return sa_fail(err, SA_NO_DEVICE, "libcuda.so.1", "install the NVIDIA driver anew, " USE_CPU,
                       "the driver's library does not open: %s", why);
    }
    if (library == NULL) {
        return sa_fail(err, SA_NO_DEVICE, "libcuda.so.1", "install the NVIDIA driver, " USE_CPU,
                       "no NVIDIA driver: its library libcuda.so.1 is not installed");
    }
    SA_TRY(find_calls(driver, library, err));
    driver->driver_version(&driver->version);
    int code = driver->init(0), count = 0;
    if (code == 0) {
        code = driver->device_count(&count);
    }
    if (code == 0 && count <= 0) {
        code = CU_NO_DEVICE;
    }
    if (code == CU_NO_DEVICE) {
        return sa_fail(err, SA_NO_DEVICE, "libcuda.so.1", start_hint(code), "the driver finds no NVIDIA GPU");
    }
    if (code != 0) {
        const char *text = NULL;
        driver->error_text(code, &text);
        return sa_fail(err, SA_NO_DEVICE, "libcuda.so.1", start_hint(code),
                       "the driver does not start: %s (driver error %d)", text != NULL ? text : "unknown",
                       code);
    }
    return SA_OK;
}

/*
 * Machine code runs on any driver of its CUDA's major version ("minor version compatibility"); older drivers
 * know neither the code's format nor its PTX.
 */
sa_status sa_cuda_driver_check(const sa_cuda_driver *driver, sa_error *err)
{
    int major = sa_cuda_toolkit / 1000;
    if (driver->version / 1000 >= major) {
        return SA_OK;
    }
    const char *release = major == 13   ? " to release 580 or newer"
                          : major == 12 ? " to release 525 or newer"
                                        : "";
    char hint[160];
    snprintf(hint, sizeof hint, "update the NVIDIA driver%s, build with an older nvcc, " USE_CPU, release);
    return sa_fail(err, SA_NO_DEVICE, "libcuda.so.1", hint,
                   "the driver is too old: it supports CUDA %d.%d, and the kernels need %d.0",
                   driver->version / 1000, driver->version % 1000 / 10, major);
}

static const char *hint_of(int code)
{
    switch (code) {
    case CU_OUT_OF_MEMORY:
        return "end other programs on the GPU, take --precision bf16 or a smaller batch, " USE_CPU;
    case CU_DEVICE_UNAVAILABLE:
        return "another process holds it, or it was lost: check nvidia-smi and dmesg, " USE_CPU;
    case CU_NO_BINARY:
    case CU_PTX_VERSION:
        return "update the NVIDIA driver, build with this GPU in SEGAGENT_CUDA_ARCHS, " USE_CPU;
    case CU_LAUNCH_RESOURCES: return "report it with the output of segagent doctor, " USE_CPU;
    case CU_LAUNCH_TIMEOUT: return "the display's watchdog ended it: take a GPU without a display, " USE_CPU;
    case CU_ECC:
    case CU_UNKNOWN: return "check the GPU with nvidia-smi and dmesg, " USE_CPU;
    default: return "check nvidia-smi and dmesg, report it with the output of segagent doctor, " USE_CPU;
    }
}

sa_status sa_cuda_fail(const sa_cuda_driver *driver, sa_error *err, const char *device, int code,
                       const char *what, ...)
{
    char subject[512];
    va_list list;
    va_start(list, what);
    vsnprintf(subject, sizeof subject, what, list);
    va_end(list);
    const char *name = NULL, *text = NULL;
    driver->error_name(code, &name);
    driver->error_text(code, &text);
    sa_status status = code == CU_OUT_OF_MEMORY ? SA_NO_ROOM : SA_NO_DEVICE;
    return sa_fail(err, status, device, hint_of(code), "%s: %s (%s, %d)", subject,
                   text != NULL ? text : "unknown error", name != NULL ? name : "no name", code);
}

bool sa_cuda_is_late(int code)
{
    bool faults = code >= CU_ILLEGAL_ADDRESS && code < 800;
    bool at_once = code == CU_LAUNCH_RESOURCES || (code >= 703 && code <= 709) ||
                   (code >= 711 && code <= 713); /* of launches and contexts, by cuda.h */
    return (faults && !at_once) || code == CU_ECC || code == CU_UNKNOWN;
}

/* Code of 8.0 also runs on 8.6; code of 9.0a on 9.0 alone. */
bool sa_cuda_has_code(int major, int minor)
{
    for (const char *at = sa_cuda_archs; *at != '\0'; at += strspn(at, " ")) {
        char *end;
        long arch = strtol(at, &end, 10);
        bool exact = *end == 'a';
        if (arch / 10 == major && (exact ? arch % 10 == minor : arch % 10 <= minor)) {
            return true;
        }
        at = end + strcspn(end, " ");
    }
    return false;
}

#else

typedef int sa_cuda_driver_is_not_compiled; /* ISO C wants something in every file */

#endif
