/* What the shadows of shared and of global memory have in common (check_state.h). */
#include <string.h>

#include "tests/gpusim/check_state.h"

void sim_look_begin(sim_look_at *look, sim_warp *w, const sim_inst *inst, const sim_access *acc,
                    sim_mask mask, const uint64_t address[SIM_LANES], const uint8_t *values)
{
    sim_warp_check *warp = w->check;
    sim_block_check *block = w->block->check;
    const uint64_t site = sim_site_number(w, inst, acc->site);
    warp->touched = true;
    *look = (sim_look_at){.w = w,
                          .inst = inst,
                          .acc = acc,
                          .warp = warp,
                          .block = block,
                          .mask = mask,
                          .address = address,
                          .values = values,
                          .limit = (uint64_t)warp->limit << 32,
                          .is_read = acc->kind == SIM_READS};
    look->base = (uint64_t)block->now << 32 | site << 16 | (acc->is_strong ? SIM_RECORD_STRONG : 0) |
                 (uint64_t)w->index << 4;
}

bool sim_look_came_before(const sim_look_at *look, uint32_t lane, sim_record r)
{
    const uint32_t warp = SIM_RECORD_WARP(r);
    if (warp != look->w->index) {
        return SIM_RECORD_STAMP(r) < look->warp->known[warp] ||
               sim_past_knows(look->w, look->w->block->linear, warp, SIM_RECORD_STAMP(r));
    }
    return sim_clock_lane_knows(look->w, lane, SIM_RECORD_LANE(r), SIM_RECORD_STAMP(r)) ||
           (look->warp->unspelled &&
            sim_past_knows(look->w, look->w->block->linear, warp, SIM_RECORD_STAMP(r)));
}

/* The bytes that a lane writes to a word; false if it doesn't write all of them. */
static bool bytes_written(const sim_look_at *look, uint32_t lane, uint64_t word, uint32_t bytes,
                          uint8_t to[4])
{
    const uint64_t at = look->address[lane];
    for (uint32_t i = 0; i < 4; i++) {
        const uint64_t byte = word * 4 + i;
        if (!(bytes >> i & 1)) {
            continue;
        }
        if (byte < at || byte >= at + look->acc->total) {
            return false;
        }
        to[i] = look->values[lane * look->acc->total + (byte - at)];
    }
    return true;
}

static bool equal(const uint8_t a[4], const uint8_t b[4], uint32_t bytes)
{
    for (uint32_t i = 0; i < 4; i++) {
        if ((bytes >> i & 1) && a[i] != b[i]) {
            return false;
        }
    }
    return true;
}

bool sim_look_is_same_value(const sim_look_at *look, uint32_t lane, uint64_t word, uint32_t bytes,
                            uint32_t other, const uint8_t *now)
{
    uint8_t mine[4], others[4];
    if (!look->values || !bytes_written(look, lane, word, bytes, mine)) {
        return false;
    }
    if (now) {
        return equal(mine, now, bytes);
    }
    return other < lane && (look->mask >> other & 1) && bytes_written(look, other, word, bytes, others) &&
           equal(mine, others, bytes);
}
