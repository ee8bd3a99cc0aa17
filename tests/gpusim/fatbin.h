/*
 * What cuModuleLoadData may be given: PTX text, a fat binary (or nvcc's wrapper around one), machine code.
 * The PTX is what the simulator runs; of machine code it reads how many registers each kernel has.
 */
#ifndef GPUSIM_FATBIN_H
#define GPUSIM_FATBIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *ptx; /* points into the image; NULL: it has none */
    size_t ptx_bytes;
    uint32_t ptx_arch;    /* 80; 0: text alone */
    const uint8_t *cubin; /* ELF of the architecture nearest to the device's; NULL: none */
    size_t cubin_bytes;
    uint32_t cubin_arch;
} sim_fatbin;

/*
 * Reads the image for a device of `arch` (90: compute capability 9.0): the PTX of the highest architecture
 * that is not above it. `bytes` bounds what is read; SIZE_MAX where the caller doesn't know it (as
 * cuModuleLoadData): then the image's own sizes are believed. False, with one line in error, for anything
 * else.
 */
bool sim_fatbin_read(const void *image, size_t bytes, uint32_t arch, sim_fatbin *fatbin, char *error,
                     size_t error_size);

typedef struct {
    uint32_t registers, frame_bytes; /* of one thread; frame: local arrays and spilled registers */
} sim_cubin_kernel;

/* Of a kernel by its name; false if the machine code is malformed or does not say. */
bool sim_cubin_find(const uint8_t *cubin, size_t bytes, const char *kernel, sim_cubin_kernel *found);

#endif
