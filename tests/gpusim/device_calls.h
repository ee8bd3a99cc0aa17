/* Functions that the device's system gives to kernels, called from ops/control.c (driver/printf.c,
 * device_heap.c). */
#ifndef GPUSIM_DEVICE_CALLS_H
#define GPUSIM_DEVICE_CALLS_H

#include "tests/gpusim/sim.h"

/*
 * vprintf of one lane: generic addresses of the format and of the packed arguments (each aligned to its size,
 * floats as doubles). Writes to standard output; returns the number of arguments, or -1 if the format can't
 * be read.
 */
int sim_device_printf(sim_warp *warp, uint32_t lane, uint64_t format, uint64_t arguments);

/* __assertfail: a finding of kind assert, and the trap. Generic addresses of strings. */
void sim_device_assert(sim_warp *warp, const sim_inst *inst, uint32_t lane, uint64_t message, uint64_t file,
                       uint32_t line, uint64_t function);

/* The heap of device code: malloc gives 0 when there is no room; free of something else is a finding. */
uint64_t sim_device_malloc(sim_warp *warp, uint32_t lane, uint64_t bytes);
void sim_device_heap_open(void); /* when a module is loaded that calls malloc */
void sim_device_free(sim_warp *warp, const sim_inst *inst, uint32_t lane, uint64_t address);

#endif
