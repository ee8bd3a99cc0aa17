/*
 * The checkers: who touched which byte when, and what was ordered before what.
 *
 *   scheduler (block.c, warp.c, ops/control.c) -> hooks of this file -> clocks (check_clock.c)
 *   memory instructions (ops/)                 -> check_shared.c, check_global.c, check_local.c -> report.h
 *
 * Time. Each block has one counter, `now`, that ticks at every synchronising event of its warps; an access
 * carries the time at which it was made. Warp W keeps known[w]: accesses of warp w stamped below it happened
 * before whatever W does now. known[W] itself speaks of its own lanes: a .sync instruction of all lanes moves
 * it up to now. Blocks know nothing of each other except through releases and acquires (check_sync.c). Where
 * a choice had to be made, order is overestimated: a race may be missed, right code is never accused.
 *
 * The hooks cost one test when checks are off; they must be called all the same.
 */
#ifndef GPUSIM_CHECK_H
#define GPUSIM_CHECK_H

#include "tests/gpusim/report.h"
#include "tests/gpusim/sim.h"

typedef enum { SIM_SCOPE_CTA = 0, SIM_SCOPE_GPU, SIM_SCOPE_SYS } sim_scope;

/* ---- hooks of the scheduler ---- */

/* Around a launch (grid.c), before the first worker starts and after the last one ended. One launch at a
 * time. */
void sim_check_launch_begin(const sim_launch *launch);
void sim_check_launch_end(const sim_launch *launch);
/* Around a worker's share of a launch, on its own thread. Sets worker->check; worker->local_limit must be
 * set. */
void sim_check_worker_begin(sim_worker *worker, const sim_launch *launch);
void sim_check_worker_end(sim_worker *worker);
/* Around a block: begin once block->shared, ->shared_bytes and ->warps stand, then warp_begin for each warp
 * after its
 * ->block, ->worker, ->index, ->started and ->alive do (both set ->check). End when all its threads have
 * exited or the launch has failed: copies still in flight land. */
void sim_check_block_begin(sim_block *block);
void sim_check_warp_begin(sim_warp *warp);
void sim_check_block_end(sim_block *block);
/* `lanes` of the warp arrive at barrier `number`: bar.sync, bar.red and bar.arrive alike, when they arrive.
 */
void sim_check_barrier_arrive(sim_warp *warp, uint32_t number, sim_mask lanes);
/* The barrier has its count: waiting[w] are the lanes of warp w that go on now (those of bar.arrive not
 * included). */
void sim_check_barrier_complete(sim_block *block, uint32_t number, const sim_mask waiting[SIM_MAX_WARPS]);

void sim_check_sync_lanes(sim_warp *warp, sim_mask lanes);
void sim_check_fence_lanes(sim_warp *warp, sim_mask lanes, sim_scope scope);

/* Every .sync instruction (kind SIM_COLLECTIVE), before its handler: the lanes that execute it together. */
static inline void sim_check_warp_sync(sim_warp *warp, sim_mask lanes)
{
    if (warp->check) {
        sim_check_sync_lanes(warp, lanes);
    }
}

/* membar and fence (acq_rel and sc; a one-sided .acquire or .release counts as both). */
static inline void sim_check_fence(sim_warp *warp, sim_mask lanes, sim_scope scope)
{
    if (warp->check) {
        sim_check_fence_lanes(warp, lanes, scope);
    }
}

/* ---- memory for handlers of other files ---- */

/* Copies bytes at a generic address as seen by a lane; false if it isn't readable. No checks, no counters. */
bool sim_read_generic(sim_warp *warp, uint32_t lane, uint64_t address, void *to, size_t bytes);

#endif
