/*
 * What the stand-ins for NVIDIA's libraries share, test code: the driver's copies, by which they reach device
 * memory on the caller's stream (of the simulated GPU or of a real one), and 16-bit floats.
 */
#ifndef SIM_LIBRARIES_DEVICE_H
#define SIM_LIBRARIES_DEVICE_H

#include <dlfcn.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/base/dtype.h"

#define EXPORT __attribute__((visibility("default")))

typedef struct {
    int (*download)(void *, uint64_t, size_t, void *);
    int (*upload)(uint64_t, const void *, size_t, void *);
    int (*wait)(void *);
} sim_library_driver;

static inline bool sim_library_driver_open(sim_library_driver *driver)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    if (library == NULL) {
        return false;
    }
    *(void **)&driver->download = dlsym(library, "cuMemcpyDtoHAsync_v2");
    *(void **)&driver->upload = dlsym(library, "cuMemcpyHtoDAsync_v2");
    *(void **)&driver->wait = dlsym(library, "cuStreamSynchronize");
    return driver->download != NULL && driver->upload != NULL && driver->wait != NULL;
}

static inline float sim_library_load(const void *from, uint64_t index, sa_dtype dtype)
{
    const uint16_t *half = from;
    return dtype == SA_F32    ? ((const float *)from)[index]
           : dtype == SA_BF16 ? sa_bf16_to_f32(half[index])
                              : sa_f16_to_f32(half[index]);
}

/* To nearest even: a multiple of the step between f16s of this size, found in double, where nothing is lost.
 */
static inline sa_f16 sim_library_f16(float value)
{
    sa_f16 sign = signbit(value) ? 0x8000u : 0;
    double magnitude = fabs((double)value);
    if (isnan(value) || magnitude >= 65520.0) {
        return isnan(value) ? 0x7e00u : sign | 0x7c00u;
    }
    int exponent =
        magnitude < 0x1p-14 ? -14 : ilogb(magnitude);    /* of subnormals: that of the least normal one */
    long steps = lrint(ldexp(magnitude, 10 - exponent)); /* a carry to 2048 goes into the exponent's bits */
    return (sa_f16)(sign | (unsigned)((exponent + 14) * 1024 + steps));
}

static inline void sim_library_store(void *to, uint64_t index, sa_dtype dtype, float value)
{
    if (dtype == SA_F32) {
        ((float *)to)[index] = value;
    } else {
        ((uint16_t *)to)[index] = dtype == SA_BF16 ? sa_bf16_from_f32(value) : sim_library_f16(value);
    }
}

#endif
