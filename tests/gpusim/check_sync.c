/*
 * Order that goes through memory: fences, mbarriers, strong reads and writes. Within a block it is
 * overestimated: whoever fences or acquires is taken to know everything that the block has done, so that
 * right code is never accused.
 */
#include "tests/gpusim/check_state.h"

void sim_sync_begin(void)
{
}

void sim_sync_end(void)
{
}

static void know_all(sim_warp *w, sim_mask lanes)
{
    uint32_t known[SIM_MAX_WARPS];
    sim_clock_tick(w);
    for (uint32_t i = 0; i < SIM_MAX_WARPS; i++) {
        known[i] = sim_block_check_of(w)->now;
    }
    sim_clock_join(w, lanes, known);
}

void sim_sync_acquire_pending(sim_warp *w, sim_mask lanes)
{
    (void)w;
    (void)lanes;
}

void sim_check_fence_lanes(sim_warp *w, sim_mask lanes, sim_scope scope)
{
    (void)scope;
    know_all(w, lanes);
}

void sim_check_release(sim_warp *w, sim_mask lanes, sim_space space, uint64_t address)
{
    (void)space;
    (void)address;
    (void)lanes;
    if (w->check != NULL) {
        sim_clock_tick(w);
    }
}

void sim_check_acquire(sim_warp *w, sim_mask lanes, sim_space space, uint64_t address)
{
    (void)space;
    (void)address;
    if (w->check != NULL) {
        know_all(w, lanes);
    }
}

void sim_check_strong_read(sim_warp *w, const sim_access *acc, sim_mask mask, sim_space space,
                           const uint64_t address[SIM_LANES])
{
    (void)acc;
    (void)address;
    (void)space;
    if (w->check != NULL) {
        know_all(w, mask);
    }
}

void sim_check_strong_write(sim_warp *w, const sim_access *acc, sim_mask mask, sim_space space,
                            const uint64_t address[SIM_LANES])
{
    (void)acc;
    (void)mask;
    (void)address;
    (void)space;
    if (w->check != NULL) {
        sim_clock_tick(w);
    }
}
