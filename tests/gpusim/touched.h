/*
 * Which bytes of device memory a launch reads and writes: one bit per byte, for the least traffic that a
 * profile compares with (distinct sectors) and for the order of streams (driver/order.c), which atomic and
 * other strong accesses have no part in: they are no races. Off unless somebody wants it, since every access
 * pays.
 */
#ifndef GPUSIM_TOUCHED_H
#define GPUSIM_TOUCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/gpusim/sim.h"

extern bool sim_touched_on; /* constant during a launch */

typedef struct {
    uint64_t sectors_read, sectors_written; /* distinct ones */
} sim_touched;

/* Around a launch: begin makes a clean slate (false: no room, and it stays off). */
bool sim_touched_begin(void);
/* bytes (at most 32) at address[lane] of the lanes of `mask`; by a strong access or not. From any worker. */
void sim_touch(sim_mask mask, const uint64_t address[SIM_LANES], uint32_t bytes, bool reads, bool writes,
               bool is_strong);
/*
 * Counts, gives every run of bytes read and every run written by weak accesses to `range` (NULL: nobody
 * asks), at most `most` of them, and clears the slate.
 */
sim_touched sim_touched_end(void (*range)(void *data, uint64_t begin, uint64_t end, bool writes), void *data,
                            size_t most);

#endif
