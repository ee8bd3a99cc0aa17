/* A warp's fragments and frames, and the loop that runs instructions (sched.h has the idea). */
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/check.h"
#include "tests/gpusim/report.h"
#include "tests/gpusim/sched.h"

enum { GONE = 0xffffffffu }; /* warp->current: the running fragment has ended */

/* ---- frames ---- */

static size_t frame_bytes(const sim_function *f)
{
    return (size_t)f->register_slots * 128 + (size_t)f->predicates * sizeof(sim_mask) +
           (size_t)f->frame_param_bytes * SIM_LANES;
}

/* A frame of at least `bytes` from the worker's free ones, or a new one. */
static sim_frame *take_frame(sim_worker *worker, size_t bytes)
{
    for (sim_frame **at = &worker->free_frames; *at != NULL; at = &(*at)->caller) {
        if ((*at)->capacity >= bytes) {
            sim_frame *frame = *at;
            *at = frame->caller;
            return frame;
        }
    }
    sim_frame *frame = calloc(1, sizeof *frame);
    frame->capacity = (bytes + 127) / 128 * 128 + 128;
    frame->memory = aligned_alloc(128, frame->capacity);
    return frame;
}

sim_frame *sim_frame_open(sim_warp *warp, sim_frame *caller, const sim_function *function)
{
    uint32_t base = caller == NULL ? 0 : caller->local_base + (caller->function->local_bytes + 15) / 16 * 16;
    if (base + function->local_bytes > warp->worker->local_limit ||
        (caller != NULL && caller->depth > 4000)) {
        sim_trap(warp, SIM_ERROR_HARDWARE_STACK);
        return NULL;
    }
    sim_frame *frame = take_frame(warp->worker, frame_bytes(function));
    frame->caller = caller;
    frame->function = function;
    frame->registers = frame->memory;
    frame->predicates = (sim_mask *)(frame->registers + (size_t)function->register_slots * SIM_LANES);
    frame->params = (uint8_t *)(frame->predicates + function->predicates);
    frame->local_base = base;
    frame->depth = caller == NULL ? 0 : caller->depth + 1;
    frame->users = 1;
    /* Registers hold no meaning before they are written; the same in every run, though. */
    memset(frame->memory, 0xdb, frame_bytes(function));
    return frame;
}

void sim_frame_release(sim_warp *warp, sim_frame *frame)
{
    while (frame != NULL && --frame->users == 0) {
        sim_frame *caller = frame->caller;
        frame->caller = warp->worker->free_frames;
        warp->worker->free_frames = frame;
        frame = caller;
    }
}

uint8_t *sim_warp_local(sim_warp *warp)
{
    if (warp->local == NULL) {
        warp->local = calloc(SIM_LANES, warp->worker->local_limit);
    }
    return warp->local;
}

/* ---- begin and end ---- */

static void fill(sim_warp *warp, sim_special special, uint32_t value)
{
    for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
        warp->special[special * SIM_LANES + lane] = value;
    }
}

static void fill_lanes(sim_warp *warp)
{
    const uint32_t *size = warp->block->launch->block;
    for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
        uint32_t thread = warp->index * SIM_LANES + lane, *to = warp->special + lane;
        to[SIM_TID_X * SIM_LANES] = thread % size[0];
        to[SIM_TID_Y * SIM_LANES] = thread / size[0] % size[1];
        to[SIM_TID_Z * SIM_LANES] = thread / size[0] / size[1];
        to[SIM_LANEID * SIM_LANES] = lane;
        to[SIM_LANEMASK_EQ * SIM_LANES] = 1u << lane;
        to[SIM_LANEMASK_LT * SIM_LANES] = (1u << lane) - 1;
        to[SIM_LANEMASK_LE * SIM_LANES] = (1u << lane) | ((1u << lane) - 1);
        to[SIM_LANEMASK_GE * SIM_LANES] = ~((1u << lane) - 1);
        to[SIM_LANEMASK_GT * SIM_LANES] = ~((1u << lane) | ((1u << lane) - 1));
    }
}

static void fill_specials(sim_warp *warp)
{
    const sim_block *block = warp->block;
    const sim_launch *launch = block->launch;
    for (uint32_t axis = 0; axis < 3; axis++) {
        fill(warp, SIM_NTID_X + axis, launch->block[axis]);
        fill(warp, SIM_CTAID_X + axis, block->ctaid[axis]);
        fill(warp, SIM_NCTAID_X + axis, launch->grid[axis]);
    }
    fill(warp, SIM_WARPID, warp->index);
    fill(warp, SIM_NWARPID, SIM_MAX_WARPS);
    fill(warp, SIM_DYNAMIC_SMEM_SIZE, launch->dynamic_shared);
    fill(warp, SIM_TOTAL_SMEM_SIZE, launch->kernel->shared_bytes + launch->dynamic_shared);
    fill(warp, SIM_WARP_SZ, SIM_LANES);
    fill_lanes(warp);
}

void sim_warp_begin(sim_warp *warp, sim_block *block, uint32_t index)
{
    uint32_t threads = block->threads - index * SIM_LANES;
    warp->block = block;
    warp->worker = block->worker;
    warp->index = index;
    warp->started = threads >= SIM_LANES ? SIM_ALL_LANES : (1u << threads) - 1;
    warp->alive = warp->started;
    warp->instructions = 0;
    fill_specials(warp);
    warp->bank[SIM_SPECIAL] = warp->special;
    sim_frame *frame = sim_frame_open(warp, NULL, block->launch->kernel);
    warp->fragments = frame != NULL;
    warp->fragment[0] = (sim_fragment){.mask = warp->started, .frame = frame};
    warp->current = 0;
    warp->spins = 0;
}

void sim_warp_end(sim_warp *warp)
{
    for (uint32_t i = 0; i < warp->fragments; i++) {
        sim_frame_release(warp, warp->fragment[i].frame);
    }
    warp->fragments = 0;
}

/* ---- fragments ---- */

sim_fragment *sim_warp_split(sim_warp *warp, sim_mask mask, uint32_t pc)
{
    sim_fragment *running = sim_running(warp), *apart = &warp->fragment[warp->fragments++];
    *apart = (sim_fragment){.mask = mask, .pc = pc, .frame = running->frame};
    running->mask &= ~mask;
    running->frame->users++;
    return apart;
}

/* Takes a fragment off the list; the last one moves into its place. */
static void drop_fragment(sim_warp *warp, uint32_t index)
{
    uint32_t last = --warp->fragments;
    warp->fragment[index] = warp->fragment[last];
    if (warp->current == index) {
        warp->current = GONE;
    } else if (warp->current == last) {
        warp->current = index;
    }
}

/*
 * True if lanes at the exit `to` have run code that follows the .sync at `from`: control falls from one to
 * the other, and nothing jumps to the exit itself. A lane that leaves a kernel early jumps there, or to an
 * exit before.
 */
static bool has_passed(const sim_function *f, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < f->code_count; i++) {
        const sim_inst *inst = &f->code[i];
        const bool jumps = inst->kind == SIM_CONTROL && inst->klass == SIM_CLASS_BRANCH;
        const bool ends = jumps && inst->guard == SIM_NO_PRED && from < i && i < to;
        if (jumps && (ends || inst->extra != NULL || inst->imm == to)) {
            return false;
        }
    }
    return from + 1 < to;
}

/* Lanes of `mask` exit; a .sync that names them and waits for them has been passed by, in a branch for
 * others. */
static void check_passed(sim_warp *warp, sim_mask mask)
{
    const sim_fragment *leaving = sim_running(warp);
    for (uint32_t i = 0; i < warp->fragments; i++) {
        const sim_fragment *f = &warp->fragment[i];
        const sim_inst *inst = sim_fragment_inst(f);
        if (f->wait != SIM_AT_COLLECTIVE || inst->flags & SIM_ALL_MEMBERS || f->frame != leaving->frame) {
            continue;
        }
        const uint32_t lane = (uint32_t)__builtin_ctz(f->mask), members = sim_u32(warp, inst->c)[lane];
        if ((members & mask) != 0 && has_passed(f->frame->function, f->pc, leaving->pc)) {
            sim_report_lane(warp, inst, lane, SIM_SHUFFLE_INACTIVE, 0, 0,
                            "lane %d of the member mask 0x%08x goes past it and exits",
                            __builtin_ctz(members & mask), members);
        }
    }
}

void sim_warp_exit(sim_warp *warp, sim_mask mask)
{
    sim_fragment *f = sim_running(warp);
    if (warp->fragments > 1 && sim_options.checks) {
        check_passed(warp, mask);
    }
    warp->alive &= ~mask;
    f->mask &= ~mask;
    if (f->mask == 0) {
        sim_frame_release(warp, f->frame);
        drop_fragment(warp, warp->current);
    }
    /* Who waited for these lanes looks again. */
    for (uint32_t i = 0; i < warp->fragments; i++) {
        if (warp->fragment[i].wait == SIM_AT_COLLECTIVE) {
            warp->fragment[i].wait = SIM_READY;
        }
    }
}

static uint32_t order_of(const sim_fragment *f)
{
    return f->frame->function->order[f->pc];
}

static bool goes_first(const sim_fragment *a, const sim_fragment *b)
{
    if (a->yielded != b->yielded) {
        return b->yielded;
    }
    if (a->frame->depth != b->frame->depth) {
        return a->frame->depth > b->frame->depth;
    }
    return order_of(a) < order_of(b);
}

/* Fragments at the running one's instruction join it. */
static void merge(sim_warp *warp)
{
    sim_fragment *f = sim_running(warp);
    for (uint32_t i = warp->fragments; i-- > 0;) {
        sim_fragment *other = &warp->fragment[i];
        if (other != f && other->pc == f->pc && other->frame == f->frame && other->wait == f->wait) {
            f->mask |= other->mask;
            f->forced |= other->forced;
            other->frame->users--;
            drop_fragment(warp, i);
            f = sim_running(warp);
        }
    }
}

static uint32_t limit_of(const sim_warp *warp)
{
    const sim_fragment *f = &warp->fragment[warp->current];
    uint32_t limit = UINT32_MAX;
    for (uint32_t i = 0; i < warp->fragments; i++) {
        const sim_fragment *other = &warp->fragment[i];
        if (i != warp->current && other->wait == SIM_READY && !other->yielded && other->frame == f->frame &&
            order_of(other) < limit) {
            limit = order_of(other);
        }
    }
    return limit;
}

/* Makes handlers see the running fragment's frame. */
static void bind(sim_warp *warp)
{
    warp->frame = sim_running(warp)->frame;
    warp->bank[SIM_REG] = warp->frame->registers;
    warp->bank[SIM_CONST] = warp->frame->function->constants;
    warp->pred = warp->frame->predicates;
}

/* Picks the fragment that runs next; false if none can. */
static bool choose(sim_warp *warp)
{
    uint32_t best = GONE;
    for (uint32_t i = 0; i < warp->fragments; i++) {
        if (warp->fragment[i].wait == SIM_READY &&
            (best == GONE || goes_first(&warp->fragment[i], &warp->fragment[best]))) {
            best = i;
        }
    }
    if (best == GONE) {
        return false;
    }
    warp->current = best;
    if (warp->fragment[best].yielded) {
        for (uint32_t i = 0; i < warp->fragments; i++) {
            warp->fragment[i].yielded = false;
        }
    }
    if (warp->fragments > 1) {
        merge(warp);
    }
    warp->limit = warp->fragments > 1 ? limit_of(warp) : UINT32_MAX;
    bind(warp);
    return true;
}

/* ---- collectives ---- */

static sim_mask members_of(const sim_warp *warp, const sim_inst *inst, uint32_t lane)
{
    return inst->flags & SIM_ALL_MEMBERS ? warp->alive : sim_u32(warp, inst->c)[lane];
}

/* The lanes of `from` that name the same members as `lane` does. */
static sim_mask same_members(const sim_warp *warp, const sim_inst *inst, sim_mask from, uint32_t lane)
{
    if (inst->flags & SIM_ALL_MEMBERS || inst->c.bank == SIM_CONST) {
        return from;
    }
    const uint32_t *members = sim_u32(warp, inst->c);
    sim_mask same = 0;
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        same |= (sim_mask)(members[i] == members[lane]) << i;
    }
    return same & from;
}

static void check_members(sim_warp *warp, const sim_inst *inst, sim_mask group, sim_mask members)
{
    sim_mask strange = group & ~members;
    if (strange != 0) {
        sim_report_lane(warp, inst, (uint32_t)__builtin_ctz(strange), SIM_SHUFFLE_INACTIVE, 0, 0,
                        "the lane is not in the member mask 0x%08x that it gives itself", members);
    }
}

/* Runs the instruction for every group of `on` whose members are all here; returns the lanes that still wait.
 */
static sim_mask run_groups(sim_warp *warp, const sim_inst *inst, sim_mask on)
{
    bool forced = sim_running(warp)->forced;
    sim_mask waiting = 0;
    sim_running(warp)->forced = false;
    for (sim_mask rest = on; rest != 0;) {
        uint32_t lane = (uint32_t)__builtin_ctz(rest);
        sim_mask members = members_of(warp, inst, lane), group = same_members(warp, inst, rest, lane);
        rest &= ~group;
        if ((members & warp->alive & ~group) != 0 && !forced) {
            waiting |= group;
            continue;
        }
        check_members(warp, inst, group, members);
        sim_check_warp_sync(warp, group);
        inst->run(warp, inst, group);
    }
    return waiting;
}

/* The lanes of a fragment that has come to wait join others that wait at the same instruction, and all look
 * again. */
static void join_waiting(sim_warp *warp, sim_fragment *f)
{
    for (uint32_t i = 0; i < warp->fragments; i++) {
        sim_fragment *other = &warp->fragment[i];
        if (other != f && other->wait == SIM_AT_COLLECTIVE && other->pc == f->pc &&
            other->frame == f->frame) {
            other->wait = SIM_READY; /* merged when one of the two is chosen */
            f->wait = SIM_READY;
        }
    }
}

/* A .sync instruction of the running fragment at f->pc. */
static void run_collective(sim_warp *warp, const sim_inst *inst, sim_mask on)
{
    sim_fragment *f = sim_running(warp);
    uint32_t pc = f->pc;
    sim_mask waiting = run_groups(warp, inst, on);
    if (waiting == 0) {
        return; /* a barrier may have made the fragment wait */
    }
    if (waiting != f->mask) {
        f = sim_warp_split(warp, waiting, pc);
    } else {
        warp->pc = pc;
    }
    f->wait = SIM_AT_COLLECTIVE;
    join_waiting(warp, f);
}

/* ---- the loop ---- */

/* An instruction that may change fragments. True if the running one goes on, alone, at warp->pc. */
static bool run_control(sim_warp *warp, const sim_inst *inst, sim_mask on, uint32_t pc)
{
    sim_running(warp)->pc = pc;
    warp->pc = pc + 1;
    if (inst->kind == SIM_COLLECTIVE) {
        run_collective(warp, inst, on);
    } else {
        inst->run(warp, inst, on);
    }
    if (warp->current == GONE) {
        return false;
    }
    sim_fragment *f = sim_running(warp);
    if (f->wait == SIM_AT_BARRIER) {
        return false; /* stays at the barrier's instruction until it completes */
    }
    f->pc = warp->pc;
    if (warp->spins > SIM_SPINS && warp->fragments > 1) {
        f->yielded = true;
        warp->spins = 0;
        return false;
    }
    return f->wait == SIM_READY && warp->fragments == 1;
}

static sim_mask guard_mask(const sim_warp *warp, const sim_inst *inst)
{
    if (inst->guard == SIM_NO_PRED) {
        return SIM_ALL_LANES;
    }
    return inst->guard_negated ? ~warp->pred[inst->guard] : warp->pred[inst->guard];
}

static void run_fragment(sim_warp *warp)
{
    sim_counters *counters = &warp->worker->counters;
    const sim_inst *code = warp->frame->function->code;
    const uint32_t *order = warp->frame->function->order;
    sim_mask mask = sim_running(warp)->mask;
    uint32_t pc = sim_running(warp)->pc;
    do {
        const sim_inst *inst = &code[pc];
        sim_mask on = mask & guard_mask(warp, inst);
        warp->budget--;
        if (on == 0) {
            pc++;
            continue;
        }
        counters->instructions[inst->klass]++;
        /* A call of libgcc's where the compiler may not assume the instruction; nearly all warps are whole.
         */
        counters->lanes += on == SIM_ALL_LANES ? SIM_LANES : (uint32_t)__builtin_popcount(on);
        if (inst->kind == SIM_PLAIN) {
            inst->run(warp, inst, on);
            pc++;
            continue;
        }
        if (!run_control(warp, inst, on, pc)) {
            return;
        }
        bind(warp);
        code = warp->frame->function->code;
        order = warp->frame->function->order;
        mask = sim_running(warp)->mask;
        pc = warp->pc;
        warp->limit = UINT32_MAX; /* alone, or run_control would have said no */
    } while (warp->budget > 0 && order[pc] < warp->limit);
    sim_running(warp)->pc = pc;
}

void sim_warp_run(sim_warp *warp, int32_t budget)
{
    sim_block *block = warp->block;
    warp->budget = warp->quantum = budget;
    while (warp->budget > 0 && choose(warp)) {
        run_fragment(warp);
    }
    warp->instructions += (uint64_t)(budget - (warp->budget > 0 ? warp->budget : 0));
    bool ready = false;
    for (uint32_t i = 0; i < warp->fragments; i++) {
        ready |= warp->fragment[i].wait == SIM_READY;
    }
    if (!ready) {
        block->ready &= ~(1u << warp->index);
    }
    block->running -= warp->fragments == 0;
}
