/*
 * cp.async under the checkers: a copy is kept from its issue to the wait that covers it, and its bytes land
 * there, at the latest moment that is right. Until then its words are in flight: whoever touches them is
 * told.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/check_state.h"

static sim_pending *new_pending(sim_warp_check *check)
{
    if (check->pending_count == check->pending_room) {
        check->pending_room = check->pending_room == 0 ? 256 : 2 * check->pending_room;
        check->pending = realloc(check->pending, check->pending_room * sizeof *check->pending);
    }
    return &check->pending[check->pending_count++];
}

void sim_async_issue(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_mask mask,
                     const uint64_t to[SIM_LANES], const uint64_t from[SIM_LANES],
                     const uint8_t bytes[SIM_LANES])
{
    sim_warp_check *check = w->check;
    const uint32_t site = sim_site_number(w, inst, acc->site);
    check->touched = true;
    for (sim_mask rest = mask; rest != 0; rest &= rest - 1) {
        const uint32_t lane = (uint32_t)__builtin_ctz(rest);
        sim_shared_in_flight(w, inst, acc, lane, (uint32_t)to[lane]);
        *new_pending(check) = (sim_pending){.from = from[lane],
                                            .inst = inst,
                                            .to = (uint32_t)to[lane],
                                            .group = check->committed[lane] + 1,
                                            .site = site,
                                            .total = acc->total,
                                            .bytes = bytes[lane],
                                            .lane = (uint8_t)lane};
    }
}

void sim_async_commit(sim_warp *w, sim_mask lanes)
{
    sim_warp_check *check = w->check;
    for (sim_mask rest = lanes; check != NULL && rest != 0; rest &= rest - 1) {
        check->committed[__builtin_ctz(rest)]++;
    }
}

static void land(sim_warp *w, const sim_pending *p)
{
    uint8_t *to = w->block->shared + p->to;
    memset(to, 0, p->total);
    memcpy(to, sim_memory_host(p->from), p->bytes);
    sim_shared_landed(w, p->lane, p->to, p->total, p->site);
}

/* Lands what is in groups up to `last[lane]` and keeps the rest, in order. */
static void land_until(sim_warp *w, sim_mask lanes, const uint32_t last[SIM_LANES])
{
    sim_warp_check *check = w->check;
    uint32_t kept = 0;
    check->touched = true;
    for (uint32_t i = 0; i < check->pending_count; i++) {
        const sim_pending p = check->pending[i];
        if (lanes >> p.lane & 1 && p.group <= last[p.lane]) {
            land(w, &p);
        } else {
            check->pending[kept++] = p;
        }
    }
    check->pending_count = kept;
}

void sim_async_wait(sim_warp *w, sim_mask lanes, uint32_t keep)
{
    sim_warp_check *check = w->check;
    uint32_t last[SIM_LANES];
    if (check == NULL) {
        return;
    }
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        last[i] = check->committed[i] > keep ? check->committed[i] - keep : 0;
    }
    land_until(w, lanes, last);
}

void sim_async_wait_all(sim_warp *w, sim_mask lanes)
{
    uint32_t last[SIM_LANES];
    if (w->check != NULL) {
        memset(last, 0xff, sizeof last);
        land_until(w, lanes, last);
    }
}

void sim_async_drop(sim_warp *w)
{
    sim_warp_check *check = w->check;
    if (check != NULL) {
        check->pending_count = 0;
    }
}
