/*
 * Opening the simulated device, entering and leaving every call, and what happens at the program's end:
 * leaks, the profile's table, how often each finding came. Above: the program. Below: memory.c, report.c.
 */
#define _GNU_SOURCE /* recursive mutex */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/gpusim/driver/driver.h"

const sim_gpu *sim_device;

static pthread_mutex_t driver_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static uint64_t calls; /* cuInit is the first */

sim_guard sim_enter(bool needs_context)
{
    pthread_mutex_lock(&driver_lock);
    sim_guard guard = {CUDA_SUCCESS, true};
    CUcontext context = sim_context();
    calls++;
    if (sim_in_callback) {
        guard.error = CUDA_ERROR_NOT_PERMITTED;
        return guard;
    }
    if (sim_options.lost_at && calls >= sim_options.lost_at) {
        guard.error = CUDA_ERROR_DEVICE_UNAVAILABLE;
    } else if (!sim_device) {
        guard.error = CUDA_ERROR_NOT_INITIALIZED;
    } else if (needs_context && !context) {
        guard.error = CUDA_ERROR_INVALID_CONTEXT;
    } else if (needs_context) {
        guard.error = context->error;
    }
    return guard;
}

void sim_leave(sim_guard *guard)
{
    if (guard->locked) {
        pthread_mutex_unlock(&driver_lock);
    }
}

CUresult sim_refuse(CUresult error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("gpusim: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return error;
}

/* The first call: reads the switches, reserves memory. */
static CUresult open_device(void)
{
    sim_switches_read();
    if (sim_options.lost_at == 1) {
        return CUDA_ERROR_DEVICE_UNAVAILABLE;
    }
    const sim_gpu *gpu = sim_gpu_named(sim_options.device);
    uint64_t memory = sim_options.memory ? sim_options.memory : gpu->memory;
    if (sim_options.held > memory) {
        return sim_refuse(CUDA_ERROR_INVALID_VALUE, "GPUSIM_HELD is more than the device has");
    }
    if (!sim_memory_open(memory - sim_options.held)) {
        return sim_refuse(CUDA_ERROR_OUT_OF_MEMORY, "no address space for the device's memory");
    }
    sim_memory_fail(sim_options.fail_alloc);
    sim_device = gpu;
    calls = 1;
    return CUDA_SUCCESS;
}

CUresult cuInit(unsigned flags)
{
    pthread_mutex_lock(&driver_lock);
    CUresult error = flags ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
    if (!error && !sim_device) {
        error = open_device();
    }
    pthread_mutex_unlock(&driver_lock);
    return error;
}

/* Also by dlclose(). A program whose device has failed can't free any more: that is no leak of its own. */
__attribute__((destructor)) static void at_exit(void)
{
    if (!sim_device) {
        return;
    }
    if (!sim_options.lost_at) {
        sim_allocations_leaked(NULL, false);
    }
    sim_profile_close();
    sim_report_close();
}

CUresult cuDriverGetVersion(int *version)
{
    if (!version) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    sim_switches_read(); /* legal before cuInit */
    *version = sim_options.driver_version ? (int)sim_options.driver_version : CUDA_VERSION;
    return CUDA_SUCCESS;
}

/* A name that no driver has: by it a test tells the simulator from a GPU (tests/gpusim/harness.c). The
 * version of cuda.h that it was built with. */
SIM_EXPORT int gpusim_version(void);
int gpusim_version(void)
{
    return CUDA_VERSION;
}
