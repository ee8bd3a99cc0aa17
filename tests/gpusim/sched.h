/*
 * The scheduler's inside: frames and fragments of a warp (warp.c), barriers and turns of a block (block.c),
 * blocks on host threads (grid.c). ops/control.c and ops/warp.c use it as well.
 *
 * A warp is a set of fragments: lanes that stand at one instruction of one frame. A branch that its lanes
 * answer differently splits a fragment; fragments that meet at an instruction become one. The fragment that
 * is deepest in calls, and among those the one at the smallest instruction in reverse post-order, runs first,
 * so that structured code reconverges by itself. After many backward branches it lets the others run: since
 * Volta a lane may wait in a loop for another lane of its own warp, and that must end.
 */
#ifndef GPUSIM_SCHED_H
#define GPUSIM_SCHED_H

#include "tests/gpusim/sim.h"

enum {
    SIM_SPINS = 256,           /* backward branches until other fragments of the warp have their turn */
    SIM_RESIDENT = 4,          /* blocks that a worker interleaves at most */
    SIM_LOCAL_BYTES = 1 << 16, /* local memory of a thread, all frames together */
};

/* mods of bar.red and barrier.red: what it gives; PLAIN: bar.sync. */
enum { SIM_BAR_PLAIN = 0, SIM_BAR_AND, SIM_BAR_OR, SIM_BAR_POPC };

/* ---- warp.c ---- */

/* Prepares warp `index` of the block: one fragment at the kernel's first instruction. */
void sim_warp_begin(sim_warp *warp, sim_block *block, uint32_t index);
/* Gives frames back; the warp may begin again. */
void sim_warp_end(sim_warp *warp);
/* Runs until the budget is used, or nothing of the warp can run. Updates block->ready and block->running. */
void sim_warp_run(sim_warp *warp, int32_t budget);

/*
 * Splits the running fragment: the lanes of `mask` leave it and become a fragment at `pc` of the same frame,
 * which does not run now; the running one keeps the rest. Returns the new one. mask must be a true part of
 * the running lanes.
 */
sim_fragment *sim_warp_split(sim_warp *warp, sim_mask mask, uint32_t pc);
/* The running fragment's lanes of `mask` exit. */
void sim_warp_exit(sim_warp *warp, sim_mask mask);
/* A frame for a function called from `caller` (NULL: a kernel); registers undefined. NULL after a trap: too
 * deep. */
sim_frame *sim_frame_open(sim_warp *warp, sim_frame *caller, const sim_function *function);
/* One fragment fewer uses the frame; frees it and lets go of its callers when it was the last. */
void sim_frame_release(sim_warp *warp, sim_frame *frame);

static inline sim_fragment *sim_running(sim_warp *warp)
{
    return &warp->fragment[warp->current];
}

/* The instruction at which a fragment stands. */
static inline const sim_inst *sim_fragment_inst(const sim_fragment *f)
{
    return &f->frame->function->code[f->pc];
}

/* ---- block.c ---- */

/* Runs one turn of a block: some warp, some instructions. False when all its warps have ended. */
bool sim_block_turn(sim_block *block, int32_t budget);
void sim_block_begin(sim_block *block, uint64_t linear);
void sim_block_end(sim_block *block);

/*
 * The running fragment, all of it, comes to barrier `number`, for which `expected` threads count (0: all of
 * the block). With `waits` it stands still at its instruction until the barrier completes (bar.sync,
 * bar.red), otherwise it has only arrived. `value`: lanes whose predicate is true (bar.red).
 */
void sim_barrier_come(sim_warp *warp, uint32_t number, uint32_t expected, bool waits, sim_mask value);

#endif
