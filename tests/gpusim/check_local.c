/* Local memory under the checkers: bytes that the thread has not written since it began. */
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/check_state.h"

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
        if ((acc->kind & SIM_READS) && !sim_bits_all(valid, address[lane], acc->total)) {
            sim_report_lane(w, inst, lane, SIM_UNINITIALISED, address[lane], acc->total,
                            "reads local memory never written (offset %llu)",
                            (unsigned long long)address[lane]);
        }
        if (acc->kind & SIM_WRITES) {
            sim_bits_set(valid, address[lane], acc->total);
        }
        const uint32_t end = (uint32_t)address[lane] + acc->total;
        check->local_high = end > check->local_high ? end : check->local_high;
    }
}
