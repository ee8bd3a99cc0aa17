#include "runtime/device/cuda_probe.h"

#include <stdio.h>
#include <string.h>

#ifndef SEGAGENT_CUDA

void sa_cuda_probe_run(sa_cuda_probe *probe)
{
    *probe = (sa_cuda_probe){0};
    snprintf(probe->reason, sizeof probe->reason, "this is a CPU-only build");
}

#else

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MS = 30000 };

/* The driver API's functions, by their exported names; all return 0 for success. Device handles are ints. */
typedef struct {
    int (*init)(unsigned flags);
    int (*driver_version)(int *version);
    int (*device_count)(int *count);
    int (*device_get)(int *device, int ordinal);
    int (*device_name)(char *name, int size, int device);
    int (*device_attribute)(int *value, int attribute, int device);
    int (*device_memory)(size_t *bytes, int device);
} driver;

enum { ATTRIBUTE_MAJOR = 75, ATTRIBUTE_MINOR = 76 }; /* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_* of cuda.h */

/* POSIX lets dlsym's pointer become a function pointer; ISO C has no cast for it, so the bytes are copied. */
static bool find(void *library, const char *name, void *function)
{
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool open_driver(driver *d)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    return library != NULL && find(library, "cuInit", &d->init) &&
           find(library, "cuDriverGetVersion", &d->driver_version) &&
           find(library, "cuDeviceGetCount", &d->device_count) &&
           find(library, "cuDeviceGet", &d->device_get) &&
           find(library, "cuDeviceGetName", &d->device_name) &&
           find(library, "cuDeviceGetAttribute", &d->device_attribute) &&
           find(library, "cuDeviceTotalMem_v2", &d->device_memory);
}

static bool ask_device(const driver *d, int ordinal, sa_cuda_probe_device *out)
{
    int device;
    if (d->device_get(&device, ordinal) != 0 ||
        d->device_name(out->name, (int)sizeof out->name, device) != 0) {
        return false;
    }
    out->name[sizeof out->name - 1] = '\0';
    return d->device_attribute(&out->major, ATTRIBUTE_MAJOR, device) == 0 &&
           d->device_attribute(&out->minor, ATTRIBUTE_MINOR, device) == 0 &&
           d->device_memory(&out->memory_bytes, device) == 0;
}

static void give_reason(sa_cuda_probe *probe, const char *what, int code)
{
    snprintf(probe->reason, sizeof probe->reason, "%s (driver error %d)", what, code);
}

static void ask(sa_cuda_probe *probe)
{
    driver d;
    if (!open_driver(&d)) {
        snprintf(probe->reason, sizeof probe->reason, "libcuda.so.1, the driver's library, is not installed");
        return;
    }
    d.driver_version(&probe->driver_version);
    int code = d.init(0);
    if (code != 0) {
        give_reason(probe, "the driver does not start", code);
        return;
    }
    code = d.device_count(&probe->device_count);
    if (code != 0 || probe->device_count <= 0) {
        give_reason(probe, "the driver has no device", code);
        probe->device_count = 0;
        return;
    }
    for (int i = 0; i < probe->device_count && i < SA_CUDA_PROBE_MOST_DEVICES; i++) {
        if (!ask_device(&d, i, &probe->devices[i])) {
            snprintf(probe->reason, sizeof probe->reason, "the driver does not describe device %d", i);
            return;
        }
    }
    probe->usable = true;
}

static void write_all(int file, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        ssize_t written = write(file, at, size);
        if (written <= 0) {
            return;
        }
        at += written;
        size -= (size_t)written;
    }
}

/* True if the whole answer came in time. */
static bool read_answer(int file, sa_cuda_probe *probe)
{
    char *at = (char *)probe;
    size_t missing = sizeof *probe;
    while (missing > 0) {
        struct pollfd wait = {.fd = file, .events = POLLIN};
        int ready = poll(&wait, 1, ANSWER_MS);
        ssize_t got = ready > 0 ? read(file, at, missing) : 0;
        if ((ready < 0 || got < 0) && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        at += got;
        missing -= (size_t)got;
    }
    return true;
}

void sa_cuda_probe_run(sa_cuda_probe *probe)
{
    *probe = (sa_cuda_probe){.compiled = true};
    int ends[2];
    if (pipe(ends) != 0) {
        snprintf(probe->reason, sizeof probe->reason, "no pipe to ask the driver through");
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        ask(probe);
        write_all(ends[1], probe, sizeof *probe);
        _exit(0);
    }
    close(ends[1]);
    sa_cuda_probe answer;
    bool answered = child > 0 && read_answer(ends[0], &answer);
    close(ends[0]);
    if (child > 0) {
        if (!answered) {
            kill(child, SIGKILL); /* it hangs in the driver, or is dead already */
        }
        waitpid(child, NULL, 0);
    }
    if (answered) {
        *probe = answer;
    } else {
        snprintf(probe->reason, sizeof probe->reason, "the driver's library crashed or did not answer");
    }
}

#endif
