/* A block: its warps in seeded random turns, its barriers, and what happens when nothing can go on. */
#include <stdio.h>
#include <string.h>

#include "tests/gpusim/check.h"
#include "tests/gpusim/report.h"
#include "tests/gpusim/sched.h"

void sim_block_begin(sim_block *block, uint64_t linear)
{
    const sim_launch *launch = block->launch;
    block->linear = linear;
    block->ctaid[0] = (uint32_t)(linear % launch->grid[0]);
    block->ctaid[1] = (uint32_t)(linear / launch->grid[0] % launch->grid[1]);
    block->ctaid[2] = (uint32_t)(linear / launch->grid[0] / launch->grid[1]);
    block->threads = launch->block[0] * launch->block[1] * launch->block[2];
    block->warps = (block->threads + SIM_LANES - 1) / SIM_LANES;
    block->shared_bytes = launch->kernel->shared_bytes + launch->dynamic_shared;
    block->reserved_at = 0;
    if (launch->kernel->reads_reserved) {
        block->reserved_at = (block->shared_bytes + 15) / 16 * 16;
        block->shared_bytes = block->reserved_at + SIM_RESERVED_BYTES;
        memset(block->shared + block->reserved_at, 0, SIM_RESERVED_BYTES);
    }
    block->ready = block->warps == SIM_MAX_WARPS ? SIM_ALL_LANES : (1u << block->warps) - 1;
    block->running = block->warps;
    memset(block->barrier, 0, sizeof block->barrier);
    sim_check_block_begin(block);
    for (uint32_t i = 0; i < block->warps; i++) {
        sim_warp_begin(&block->warp[i], block, i);
        sim_check_warp_begin(&block->warp[i]);
    }
}

void sim_block_end(sim_block *block)
{
    for (uint32_t i = 0; i < block->warps; i++) {
        sim_warp_end(&block->warp[i]);
    }
    sim_check_block_end(block);
}

/* ---- barriers ---- */

/* What bar.red gives to a fragment that waited: mods of the instruction say which (ops/control.c). */
static void give_result(const sim_fragment *f, const sim_barrier *barrier)
{
    const sim_inst *inst = sim_fragment_inst(f);
    if (inst->mods == SIM_BAR_POPC) {
        uint32_t *to = f->frame->registers + (size_t)inst->dst.slot * SIM_LANES;
        for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
            to[lane] = f->mask >> lane & 1 ? barrier->count : to[lane];
        }
    } else if (inst->mods != SIM_BAR_PLAIN) {
        bool value = inst->mods == SIM_BAR_AND ? barrier->all : barrier->any;
        sim_mask *to = &f->frame->predicates[inst->pdst];
        *to = value ? *to | f->mask : *to & ~f->mask;
    }
}

static void complete(sim_block *block, uint32_t number)
{
    sim_barrier *barrier = &block->barrier[number];
    sim_mask waiting[SIM_MAX_WARPS] = {0};
    for (uint32_t i = 0; i < block->warps; i++) {
        sim_warp *warp = &block->warp[i];
        for (uint32_t k = 0; k < warp->fragments; k++) {
            sim_fragment *f = &warp->fragment[k];
            if (f->wait == SIM_AT_BARRIER && f->barrier == number) {
                give_result(f, barrier);
                waiting[i] |= f->mask;
                f->wait = SIM_READY;
                f->pc++;
                block->ready |= 1u << i;
            }
        }
    }
    sim_check_barrier_complete(block, number, waiting);
    memset(barrier, 0, sizeof *barrier);
}

/* Threads that an arrival counts for: its lanes, and with its warp's first lane those that the block does not
 * fill. */
static uint32_t threads_of(const sim_warp *warp, sim_mask lanes)
{
    uint32_t unfilled = SIM_LANES - (uint32_t)__builtin_popcount(warp->started);
    return (uint32_t)__builtin_popcount(lanes) + (lanes & 1 ? unfilled : 0);
}

void sim_barrier_come(sim_warp *warp, uint32_t number, uint32_t expected, bool waits, sim_mask value)
{
    sim_fragment *f = sim_running(warp);
    sim_block *block = warp->block;
    sim_barrier *barrier = &block->barrier[number];
    uint32_t lane = (uint32_t)__builtin_ctz(f->mask);
    expected = expected == 0 ? block->warps * SIM_LANES : expected;
    if (barrier->expected == 0) {
        *barrier = (sim_barrier){.expected = expected, .all = true};
    } else if (barrier->expected != expected) {
        sim_report_lane(warp, sim_fragment_inst(f), lane, SIM_BARRIER_DIVERGENCE, 0, 0,
                        "barrier %u is waited for by %u threads here and by %u elsewhere", number, expected,
                        barrier->expected);
    }
    barrier->arrived += threads_of(warp, f->mask);
    barrier->all &= (f->mask & ~value) == 0;
    barrier->any |= (f->mask & value) != 0;
    barrier->count += (uint32_t)__builtin_popcount(f->mask & value);
    if (waits) {
        f->wait = SIM_AT_BARRIER;
        f->barrier = number;
    }
    sim_check_barrier_arrive(warp, number, f->mask);
    if (barrier->arrived >= barrier->expected) {
        complete(block, number);
    }
}

/* ---- when nothing goes on ---- */

static const char *wait_name(const sim_fragment *f)
{
    return f->wait == SIM_AT_BARRIER ? "at a barrier" : f->wait == SIM_AT_COLLECTIVE ? "at a .sync" : "ready";
}

/* "warp 0 lanes 0000ffff at a barrier, line 41; ..." of the first few. */
static void describe(const sim_block *block, char *text, size_t size)
{
    size_t used = 0;
    for (uint32_t i = 0; i < block->warps && used + 64 < size; i++) {
        const sim_warp *warp = &block->warp[i];
        for (uint32_t k = 0; k < warp->fragments && used + 64 < size; k++) {
            const sim_fragment *f = &warp->fragment[k];
            const sim_line *line = &f->frame->function->lines[sim_fragment_inst(f)->line];
            int wrote =
                snprintf(text + used, size - used, "%swarp %u lanes %08x %s, line %u", used ? "; " : "", i,
                         f->mask, wait_name(f), line->file_line ? line->file_line : line->ptx_line);
            used += wrote > 0 ? (size_t)wrote : 0;
        }
    }
}

static void report_stuck(sim_warp *warp, const sim_fragment *f, sim_finding_kind kind, const char *why)
{
    char where[160] = "";
    describe(warp->block, where, sizeof where);
    sim_report_lane(warp, sim_fragment_inst(f), (uint32_t)__builtin_ctz(f->mask), kind, 0, 0, "%s: %s", why,
                    where);
}

/* The fragment of those that wait at a .sync that is farthest behind: the others have gone past it. */
static sim_fragment *last_at_collective(sim_warp *warp)
{
    sim_fragment *last = NULL;
    for (uint32_t k = 0; k < warp->fragments; k++) {
        sim_fragment *f = &warp->fragment[k];
        const bool is_behind =
            last == NULL || f->frame->depth > last->frame->depth ||
            (f->frame->depth == last->frame->depth && f->frame->function == last->frame->function &&
             f->frame->function->order[f->pc] < last->frame->function->order[last->pc]);
        last = f->wait == SIM_AT_COLLECTIVE && is_behind ? f : last;
    }
    return last;
}

/* A .sync whose other members can't come any more runs with those who are there. */
static bool force_collective(sim_block *block)
{
    for (uint32_t i = 0; i < block->warps; i++) {
        sim_warp *warp = &block->warp[i];
        sim_fragment *f = last_at_collective(warp);
        if (f != NULL) {
            bool barrier = sim_fragment_inst(f)->klass == SIM_CLASS_BARRIER;
            report_stuck(warp, f, barrier ? SIM_BARRIER_DIVERGENCE : SIM_SHUFFLE_INACTIVE,
                         barrier ? "a part of the warp reaches the barrier"
                                 : "lanes of the member mask never come");
            f->wait = SIM_READY;
            f->forced = true;
            block->ready |= 1u << i;
            return true;
        }
    }
    return false;
}

static uint32_t exited_threads(const sim_block *block)
{
    uint32_t exited = 0;
    for (uint32_t i = 0; i < block->warps; i++) {
        const sim_warp *warp = &block->warp[i];
        exited += threads_of(warp, warp->started & ~warp->alive);
    }
    return exited;
}

/* A barrier that the threads which have exited can't reach: a finding, and it completes. */
static bool force_barrier(sim_block *block)
{
    uint32_t exited = exited_threads(block);
    for (uint32_t i = 0; i < block->warps; i++) {
        sim_warp *warp = &block->warp[i];
        for (uint32_t k = 0; k < warp->fragments; k++) {
            const sim_fragment *f = &warp->fragment[k];
            const sim_barrier *barrier = &block->barrier[f->barrier];
            if (f->wait == SIM_AT_BARRIER && barrier->arrived + exited >= barrier->expected) {
                report_stuck(warp, f, SIM_BARRIER_DIVERGENCE,
                             "the barrier completes only because threads exited");
                complete(block, f->barrier);
                return true;
            }
        }
    }
    return false;
}

static void give_up(sim_block *block)
{
    for (uint32_t i = 0; i < block->warps; i++) {
        sim_warp *warp = &block->warp[i];
        if (warp->fragments > 0) {
            report_stuck(warp, &warp->fragment[0], SIM_BARRIER_DIVERGENCE, "nothing in the block can go on");
            sim_trap(warp, SIM_ERROR_LAUNCH_TIMEOUT);
            return;
        }
    }
}

bool sim_block_turn(sim_block *block, int32_t budget)
{
    if (block->running == 0) {
        return false;
    }
    if (block->ready == 0 && !force_collective(block) && !force_barrier(block)) {
        give_up(block);
        return false;
    }
    /* The first ready warp from a random one on. */
    uint32_t first = sim_random(block->worker) % SIM_LANES;
    uint32_t turned = block->ready >> first | (first ? block->ready << (SIM_LANES - first) : 0);
    uint32_t index = ((uint32_t)__builtin_ctz(turned) + first) % SIM_LANES;
    sim_warp_run(&block->warp[index], budget);
    return block->running > 0;
}
