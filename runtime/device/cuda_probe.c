#include "runtime/device/cuda_probe.h"

#include <stdio.h>
#include <string.h>

#ifndef SEGAGENT_CUDA

void sa_cuda_probe_run(sa_cuda_probe *probe)
{
    *probe = (sa_cuda_probe){0};
    snprintf(probe->reason, sizeof probe->reason, "this is a CPU-only build, " SEGAGENT_CUDA_MISSING);
}

#else

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels/cuda/images.h"
#include "runtime/device/cuda_driver.h"

enum { ANSWER_MS = 30000 };

/* Free memory can only be asked for inside a context, which another process may not leave room for. */
static void ask_free_memory(const sa_cuda_driver *d, int device, sa_cuda_probe_device *out)
{
    sa_cuda_handle context;
    size_t total;
    out->free_known = false;
    if (d->context_retain(&context, device) != 0) {
        return;
    }
    out->free_known = d->context_set(context) == 0 && d->memory_info(&out->free_bytes, &total) == 0;
    d->context_set(NULL);
    d->context_release(device);
}

static bool ask_device(const sa_cuda_driver *d, int ordinal, sa_cuda_probe_device *out)
{
    int device;
    if (d->device_get(&device, ordinal) != 0 ||
        d->device_name(out->name, (int)sizeof out->name, device) != 0) {
        return false;
    }
    out->name[sizeof out->name - 1] = '\0';
    if (d->device_attribute(&out->major, CU_CAPABILITY_MAJOR, device) != 0 ||
        d->device_attribute(&out->minor, CU_CAPABILITY_MINOR, device) != 0 ||
        d->device_attribute(&out->multiprocessors, CU_MULTIPROCESSORS, device) != 0 ||
        d->device_memory(&out->memory_bytes, device) != 0) {
        return false;
    }
    out->machine_code = sa_cuda_has_code(out->major, out->minor);
    ask_free_memory(d, device, out);
    return true;
}

/* What the library's call of this name says, which takes nothing; 0 without the library. */
static size_t ask_version(const char *const *names, const char *call)
{
    for (; *names != NULL; names++) {
        void *library = dlopen(*names, RTLD_LAZY | RTLD_LOCAL);
        void *symbol = library != NULL ? dlsym(library, call) : NULL;
        if (symbol != NULL) {
            size_t (*version)(void);
            memcpy(&version, &symbol, sizeof symbol); /* ISO C has no cast to a function's pointer */
            return version();
        }
    }
    return 0;
}

/* By the names that gemm_cublaslt.c and convolution_cudnn.c open. */
static void ask_libraries(sa_cuda_probe *probe)
{
    static const char *const cublaslt[] = {"libcublasLt.so.13", "libcublasLt.so.12", NULL};
    static const char *const cudnn[] = {"libcudnn.so.9", NULL};
    probe->cublaslt = ask_version(cublaslt, "cublasLtGetVersion");
    probe->cudnn = ask_version(cudnn, "cudnnGetVersion");
}

static void ask(sa_cuda_probe *probe)
{
    sa_cuda_driver d;
    sa_error err;
    sa_status status = sa_cuda_driver_open(&d, &err);
    probe->driver_version = d.version;
    if (status != SA_OK) {
        snprintf(probe->reason, sizeof probe->reason, "%.*s", (int)sizeof probe->reason - 1, err.reason);
        return;
    }
    d.device_count(&probe->device_count);
    for (int i = 0; i < probe->device_count && i < SA_CUDA_PROBE_MOST_DEVICES; i++) {
        if (!ask_device(&d, i, &probe->devices[i])) {
            snprintf(probe->reason, sizeof probe->reason, "the driver does not describe device %d", i);
            return;
        }
    }
    ask_libraries(probe);
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
    *probe = (sa_cuda_probe){.compiled = true, .toolkit = sa_cuda_toolkit};
    snprintf(probe->archs, sizeof probe->archs, "%s", sa_cuda_archs);
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
