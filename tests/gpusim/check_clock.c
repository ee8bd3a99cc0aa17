/*
 * The checkers' clocks: hooks of the scheduler, vector clocks of warps, and the order of lanes within a warp
 * (check.h).
 */
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/check_state.h"

/* Stamps of a block's room go on from block to block, so that nothing has to be cleared; up to here. */
#define LATEST 0x80000000u

/* ---- launch, worker, block, warp ---- */

void sim_check_launch_begin(const sim_launch *launch)
{
    if (sim_options.checks) {
        sim_sites_begin();
        sim_sync_begin();
        sim_global_begin(launch);
    }
}

void sim_check_launch_end(const sim_launch *launch)
{
    (void)launch;
    if (sim_options.checks) {
        sim_global_end();
        sim_sync_end();
    }
}

/* Kept from launch to launch; only the ranges of memory are forgotten. */
void sim_check_worker_begin(sim_worker *worker, const sim_launch *launch)
{
    sim_worker_check *check = worker->check;
    if (!check) {
        check = calloc(1, sizeof *check);
        worker->check = check;
    }
    memset(&check->access, 0, sizeof check->access);
    check->access.launch = launch;
    check->next_interval = check->last_interval = 0;
    sim_past_begin(check);
}

void sim_check_worker_end(sim_worker *worker)
{
    (void)worker;
}

static sim_block_check *take_block(sim_worker_check *worker)
{
    for (uint32_t i = 0; i < worker->blocks; i++) {
        if (!worker->block[i]->is_taken) {
            return worker->block[i];
        }
    }
    sim_block_check *block = calloc(1, sizeof *block);
    worker->block = realloc(worker->block, (worker->blocks + 1) * sizeof *worker->block);
    worker->block[worker->blocks++] = block;
    sim_shadow_open(block);
    return block;
}

void sim_check_block_begin(sim_block *block)
{
    block->check = NULL;
    if (!sim_options.checks) {
        return;
    }
    sim_block_check *check = take_block(block->worker->check);
    block->check = check;
    check->is_taken = true;
    if (check->now > LATEST) {
        memset(check->write, 0, SIM_SHARED_ROOM / 4 * sizeof *check->write);
        memset(check->read, 0, SIM_SHARED_ROOM / 4 * sizeof *check->read);
        check->now = 0;
    }
    check->now++;
    sim_sync_block_begin(check);
    memset(check->valid, 0, (block->shared_bytes + 7) / 8);
    if (block->reserved_at != 0) {
        memset(check->valid + block->reserved_at / 8, 0xff, SIM_RESERVED_BYTES / 8);
    }
    memset(check->barrier, 0, sizeof check->barrier);
}

void sim_check_warp_begin(sim_warp *w)
{
    w->check = NULL;
    if (!w->block->check) {
        return;
    }
    sim_block_check *block = w->block->check;
    sim_warp_check *check = &block->warp[w->index];
    w->check = check;
    for (uint32_t i = 0; i < SIM_MAX_WARPS; i++) {
        check->known[i] = block->now;
    }
    check->limit = check->others = block->now;
    check->touched = check->has_pairs = false;
    check->interval = 0;
    sim_past_warp_begin(w);
    check->pending_count = 0;
    memset(check->committed, 0, sizeof check->committed);
    sim_local_begin(w);
}

void sim_check_block_end(sim_block *block)
{
    sim_block_check *check = block->check;
    if (check) {
        for (uint32_t i = 0; i < block->warps; i++) {
            sim_async_drop(&block->warp[i]);
        }
        check->is_taken = false;
        block->check = NULL;
    }
}

/* ---- clocks ---- */

void sim_clock_tick(sim_warp *w)
{
    sim_warp_check *check = w->check;
    if (check->touched) {
        sim_block_check_of(w)->now++;
        check->touched = false;
        check->interval = 0;
        check->present = NULL;
    }
}

void sim_clock_own(const sim_warp *w, uint32_t known[SIM_MAX_WARPS])
{
    memcpy(known, sim_warp_check_of(w)->known, SIM_MAX_WARPS * sizeof *known);
    known[w->index] = sim_block_check_of(w)->now;
}

static void set_limit(sim_warp *w)
{
    sim_warp_check *check = w->check;
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < w->block->warps; i++) {
        least = i != w->index && check->known[i] < least ? check->known[i] : least;
    }
    check->others = least;
    check->limit = least < check->known[w->index] ? least : check->known[w->index];
}

static void open_pairs(sim_warp *w)
{
    sim_warp_check *check = w->check;
    if (!check->pairs) {
        check->pairs = malloc(SIM_LANES * sizeof *check->pairs);
    }
    if (!check->has_pairs) {
        memset(check->pairs, 0, SIM_LANES * sizeof *check->pairs);
        check->has_pairs = true;
    }
}

/* Everything of the warp that is stamped below `until` is known to all of `lanes`. */
static void lanes_know(sim_warp *w, sim_mask lanes, uint32_t until)
{
    sim_warp_check *check = w->check;
    if ((w->alive & ~lanes) == 0) {
        if (until > check->known[w->index]) {
            check->known[w->index] = until;
            check->limit = check->others < until ? check->others : until;
        }
        return;
    }
    open_pairs(w);
    for (sim_mask rest = lanes; rest; rest &= rest - 1) {
        uint32_t *of = check->pairs[__builtin_ctz(rest)];
        for (uint32_t i = 0; i < SIM_LANES; i++) {
            of[i] = until > of[i] ? until : of[i];
        }
    }
}

void sim_clock_join(sim_warp *w, sim_mask lanes, const uint32_t known[SIM_MAX_WARPS])
{
    sim_warp_check *check = w->check;
    const uint32_t own = check->known[w->index];
    for (uint32_t i = 0; i < w->block->warps; i++) {
        check->known[i] = known[i] > check->known[i] ? known[i] : check->known[i];
    }
    check->known[w->index] = own;
    check->present = NULL;
    set_limit(w);
    lanes_know(w, lanes, known[w->index]);
}

/* A part of the warp's lanes synchronise: each knows what any of them knew, and what any of them did. */
static void join_lanes(sim_warp *w, sim_mask lanes)
{
    sim_warp_check *check = w->check;
    uint32_t most[SIM_LANES] = {0};
    open_pairs(w);
    for (sim_mask rest = lanes; rest; rest &= rest - 1) {
        const uint32_t lane = (uint32_t)__builtin_ctz(rest);
        for (uint32_t i = 0; i < SIM_LANES; i++) {
            most[i] = check->pairs[lane][i] > most[i] ? check->pairs[lane][i] : most[i];
        }
        most[lane] = sim_block_check_of(w)->now;
    }
    for (sim_mask rest = lanes; rest; rest &= rest - 1) {
        memcpy(check->pairs[__builtin_ctz(rest)], most, sizeof most);
    }
}

void sim_check_sync_lanes(sim_warp *w, sim_mask lanes)
{
    sim_warp_check *check = w->check;
    sim_clock_tick(w);
    if ((w->alive & ~lanes) == 0) {
        const uint32_t now = sim_block_check_of(w)->now;
        check->known[w->index] = now;
        check->limit = check->others < now ? check->others : now;
        check->has_pairs = false;
    } else if (lanes & (lanes - 1)) {
        join_lanes(w, lanes);
    }
}

bool sim_clock_lane_knows(const sim_warp *w, uint32_t lane, uint32_t other, uint32_t stamp)
{
    const sim_warp_check *check = w->check;
    if (stamp < check->known[w->index] || other == lane || other == SIM_LANE_MIXED) {
        return true;
    }
    return check->has_pairs && other < SIM_LANES && stamp < check->pairs[lane][other];
}

/* ---- barriers ---- */

void sim_check_barrier_arrive(sim_warp *w, uint32_t number, sim_mask lanes)
{
    if (!w->check) {
        return;
    }
    sim_barrier_clock *clock = &sim_block_check_of(w)->barrier[number];
    uint32_t known[SIM_MAX_WARPS];
    (void)lanes;
    sim_sync_acquire_found(w, SIM_SCOPE_GPU);
    sim_clock_tick(w);
    sim_clock_own(w, known);
    for (uint32_t i = 0; i < w->block->warps; i++) {
        clock->known[i] = known[i] > clock->known[i] ? known[i] : clock->known[i];
    }
    clock->heard = sim_past_join(w, clock->heard, sim_warp_check_of(w)->heard);
}

/*
 * Warps all of whose lanes wait have done nothing since they came: they are known up to now, all alike, so
 * that the next accesses need one comparison. The same goes for threads that have exited: nobody has to wait
 * for them.
 */
static void join_whole(sim_block *block, sim_barrier_clock *clock, const sim_mask waiting[SIM_MAX_WARPS])
{
    sim_block_check *check = block->check;
    check->now++;
    for (uint32_t i = 0; i < block->warps; i++) {
        sim_warp *w = &block->warp[i];
        if ((w->alive & ~waiting[i]) == 0) {
            clock->known[i] = check->now;
        }
        if (w->alive == 0) {
            clock->heard = sim_past_join(w, clock->heard, sim_warp_check_of(w)->heard);
        }
    }
}

void sim_check_barrier_complete(sim_block *block, uint32_t number, const sim_mask waiting[SIM_MAX_WARPS])
{
    sim_block_check *check = block->check;
    if (!check) {
        return;
    }
    sim_barrier_clock *clock = &check->barrier[number];
    join_whole(block, clock, waiting);
    for (uint32_t i = 0; i < block->warps; i++) {
        if (waiting[i]) {
            sim_clock_join(&block->warp[i], waiting[i], clock->known);
            sim_past_hear(&block->warp[i], clock->heard);
        }
    }
    memset(clock, 0, sizeof *clock);
}
