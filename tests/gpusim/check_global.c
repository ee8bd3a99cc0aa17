/*
 * Global and local memory under the checkers: bytes never written. (Bounds and freed memory are seen by
 * access.c, with and without checks. Races between blocks are not looked for yet.)
 */
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/check_state.h"

void sim_global_begin(const sim_launch *launch)
{
    (void)launch;
}

void sim_global_end(void)
{
}

/* Several blocks may write bits of one byte of the bitmap at once. */
static void mark(uint64_t address, uint32_t bytes)
{
    const uint64_t first = address - sim_mem.base;
    if (first % 8 == 0 && bytes % 8 == 0) {
        memset(sim_mem.valid + first / 8, 0xff, bytes / 8);
        return;
    }
    for (uint64_t i = first; i < first + bytes; i++) {
        __atomic_fetch_or(&sim_mem.valid[i / 8], (uint8_t)(1u << (i % 8)), __ATOMIC_RELAXED);
    }
}

static bool is_pinned(const sim_warp *w, const sim_inst *inst, uint64_t address)
{
    const sim_near *near = sim_near_of(w, inst);
    return near->is_host && address >= near->begin && address < near->end;
}

void sim_check_global(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_mask mask,
                      const uint64_t address[SIM_LANES], const uint8_t *values)
{
    (void)values;
    for (sim_mask rest = mask; rest != 0; rest &= rest - 1) {
        const uint32_t lane = (uint32_t)__builtin_ctz(rest);
        if (address[lane] - sim_mem.base >= sim_mem.bytes || is_pinned(w, inst, address[lane])) {
            continue; /* pinned host memory */
        }
        if (acc->kind & SIM_READS && sim_memory_unwritten(address[lane], acc->total) < acc->total) {
            sim_report_lane(w, inst, lane, SIM_UNINITIALISED, address[lane], acc->total,
                            "reads global memory never written");
        }
        if (acc->kind & SIM_WRITES) {
            mark(address[lane], acc->total);
        }
    }
}

/* ---- local memory ---- */

void sim_local_begin(sim_warp *w)
{
    sim_warp_check *check = w->check;
    const size_t row = w->worker->local_limit / 8;
    if (check->local_valid != NULL && check->local_high > 0) {
        for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
            memset(check->local_valid + lane * row, 0, (check->local_high + 7) / 8);
        }
    }
    check->local_high = 0;
}

void sim_check_local(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_mask mask,
                     const uint64_t address[SIM_LANES])
{
    sim_warp_check *check = w->check;
    const size_t row = w->worker->local_limit / 8;
    if (check == NULL) {
        return;
    }
    if (check->local_valid == NULL) {
        check->local_valid = calloc(SIM_LANES, row);
    }
    for (sim_mask rest = mask; rest != 0; rest &= rest - 1) {
        const uint32_t lane = (uint32_t)__builtin_ctz(rest);
        uint8_t *valid = check->local_valid + lane * row;
        bool all = true;
        for (uint64_t i = address[lane]; i < address[lane] + acc->total; i++) {
            all &= valid[i / 8] >> (i % 8) & 1;
            valid[i / 8] |= (uint8_t)(acc->kind & SIM_WRITES ? 1u << (i % 8) : 0);
        }
        if (acc->kind & SIM_READS && !all) {
            sim_report_lane(w, inst, lane, SIM_UNINITIALISED, address[lane], acc->total,
                            "reads local memory never written");
        }
        const uint32_t end = (uint32_t)address[lane] + acc->total;
        check->local_high = end > check->local_high ? end : check->local_high;
    }
}
