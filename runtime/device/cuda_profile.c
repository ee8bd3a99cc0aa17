/* What the GPU could do by its maker's figures, and how long each kernel took by the GPU's own clock. */
#ifdef SEGAGENT_CUDA

#include <stdlib.h>

#include "runtime/device/cuda_device.h"

/*
 * Floating-point operations of one multiprocessor in a cycle, from the architectures' white papers: dense
 * products of halves on tensor cores with sums in f32, and f32 outside of them. Gaming cards (8.6, 8.9, 12.0)
 * multiply halves at half their rate when they sum in f32.
 */
static const struct {
    int major, minor, half, single;
} rates[] = {
    {8, 0, 2048, 128}, {8, 6, 512, 256},   {8, 9, 512, 256},
    {9, 0, 4096, 256}, {10, 0, 8192, 256}, {12, 0, 512, 256},
};

bool sa_cuda_peak(const sa_device *common, sa_dtype dtype, double *flops, double *bytes)
{
    const sa_cuda_device *device = sa_cuda_device_of(common);
    int clock = 0, memory_clock = 0, bus = 0;
    if (device->driver.device_attribute(&clock, CU_CLOCK_KHZ, device->device) != 0 ||
        device->driver.device_attribute(&memory_clock, CU_MEMORY_CLOCK_KHZ, device->device) != 0 ||
        device->driver.device_attribute(&bus, CU_MEMORY_BUS_BITS, device->device) != 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        if (rates[i].major == device->major && rates[i].minor == device->minor) {
            double a_cycle = dtype == SA_F32 ? rates[i].single : rates[i].half;
            *flops = 1e3 * clock * device->processors * a_cycle;
            *bytes = 2.0 * 1e3 * memory_clock * bus / 8; /* both edges of the clock carry data */
            return true;
        }
    }
    return false;
}

void sa_cuda_profile_start(sa_device *common)
{
    sa_cuda_device *device = sa_cuda_device_of(common);
    const sa_cuda_driver *driver = &device->driver;
    sa_cuda_profile *profile = calloc(1, sizeof *profile);
    if (profile == NULL || sa_cuda_enter(device) != 0 || driver->event_create(&profile->begin, 0) != 0) {
        free(profile); /* a profile is a convenience: without one the work goes on */
        return;
    }
    if (driver->event_create(&profile->end, 0) != 0) {
        driver->event_destroy(profile->begin);
        free(profile);
        return;
    }
    device->profile = profile;
}

void sa_cuda_profile_begin(const sa_cuda_device *device, sa_cuda_handle stream)
{
    device->driver.event_record(device->profile->begin, stream);
}

int sa_cuda_profile_add(const sa_cuda_device *device, sa_cuda_handle stream,
                        const sa_cuda_launch_args *launch)
{
    sa_kernel_profile *row = &device->profile->row[launch->kernel];
    const sa_cuda_driver *driver = &device->driver;
    float ms = 0.0f;
    int code = driver->event_record(device->profile->end, stream);
    code = code != 0 ? code : driver->event_wait(device->profile->end);
    code = code != 0 ? code : driver->event_elapsed(&ms, device->profile->begin, device->profile->end);
    row->kernel = sa_cuda_kernel_name(launch->kernel);
    row->launches++;
    row->seconds += 1e-3 * (double)ms;
    row->flops += launch->flops;
    row->bytes += launch->bytes;
    return code;
}

static int longest_first(const void *left, const void *right)
{
    const sa_kernel_profile *a = left, *b = right;
    return (a->seconds < b->seconds) - (a->seconds > b->seconds);
}

size_t sa_cuda_profile_end(sa_device *common, sa_kernel_profile rows[SA_MOST_PROFILED])
{
    sa_cuda_device *device = sa_cuda_device_of(common);
    sa_cuda_profile *profile = device->profile;
    size_t count = 0;
    if (profile == NULL) {
        return 0;
    }
    qsort(profile->row, SA_CUDA_KERNELS, sizeof profile->row[0], longest_first);
    for (size_t i = 0; i < SA_CUDA_KERNELS && count < SA_MOST_PROFILED; i++) {
        if (profile->row[i].launches > 0) {
            rows[count++] = profile->row[i];
        }
    }
    sa_cuda_enter(device);
    device->driver.event_destroy(profile->begin);
    device->driver.event_destroy(profile->end);
    free(profile);
    device->profile = NULL;
    return count;
}

#else

typedef int sa_cuda_profiles_are_not_compiled; /* ISO C wants something in every file */

#endif
