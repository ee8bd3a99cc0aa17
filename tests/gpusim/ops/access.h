/*
 * From operands to bytes, for the handlers of memory.c, atomic.c, tiles.c and async.c: the lanes' addresses,
 * whether they lie in live memory, where their bytes stand on the host.
 */
#ifndef GPUSIM_OPS_ACCESS_H
#define GPUSIM_OPS_ACCESS_H

#include <string.h>

#include "tests/gpusim/access.h"
#include "tests/gpusim/touched.h"

/* The lanes' bytes on the host. dense: all 32 lanes are on and their bytes stand one behind the other. */
typedef struct {
    uint8_t *host[SIM_LANES];
    bool dense;
} sim_reach;

static inline uint32_t sim_first_lane(sim_mask mask)
{
    return (uint32_t)__builtin_ctz(mask);
}

/* Addresses of the lanes (operand + imm); lanes that are off repeat the first that is on. */
static inline void sim_operand_addresses(const sim_warp *w, sim_operand operand, int64_t imm, sim_mask mask,
                                         uint64_t to[SIM_LANES])
{
    if (operand.bank == SIM_NOTHING) {
        for (uint32_t i = 0; i < SIM_LANES; i++) {
            to[i] = (uint64_t)imm;
        }
        return;
    }
    if (operand.bytes == 8) {
        const uint64_t *base = sim_u64(w, operand);
        for (uint32_t i = 0; i < SIM_LANES; i++) {
            to[i] = base[i] + (uint64_t)imm;
        }
    } else {
        const uint32_t *base = sim_u32(w, operand), imm32 = (uint32_t)imm;
        for (uint32_t i = 0; i < SIM_LANES; i++) {
            to[i] = base[i] + imm32;
        }
    }
    if (mask != SIM_ALL_LANES) {
        const uint64_t first = to[sim_first_lane(mask)];
        for (uint32_t i = 0; i < SIM_LANES; i++) {
            to[i] = mask >> i & 1 ? to[i] : first;
        }
    }
}

static inline void sim_addresses(const sim_warp *w, const sim_inst *inst, sim_mask mask,
                                 uint64_t to[SIM_LANES])
{
    sim_operand_addresses(w, inst->a, inst->imm, mask, to);
}

static inline bool sim_is_dense(sim_mask mask, const uint64_t a[SIM_LANES], uint32_t bytes)
{
    uint64_t odd = 0;
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        odd |= a[i] ^ (a[0] + (uint64_t)i * bytes);
    }
    return odd == 0 && mask == SIM_ALL_LANES;
}

/* True if all are multiples of `to` (a power of two); otherwise tells the first lane that isn't. */
static inline bool sim_is_aligned(sim_warp *w, const sim_inst *inst, sim_mask mask, sim_space space,
                                  const uint64_t a[SIM_LANES], uint32_t to)
{
    uint64_t low = 0;
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        low |= a[i];
    }
    if (__builtin_expect((low & (to - 1)) == 0, 1)) {
        return true;
    }
    for (sim_mask rest = mask; rest; rest &= rest - 1) {
        const uint32_t lane = sim_first_lane(rest);
        if (a[lane] & (to - 1)) {
            sim_access_misaligned(w, inst, lane, space, a[lane], to);
            break;
        }
    }
    return false;
}

/* All lanes within [0, limit) of a window. */
static inline bool sim_is_below(sim_warp *w, const sim_inst *inst, sim_mask mask, sim_space space,
                                const uint64_t a[SIM_LANES], uint32_t bytes, uint64_t limit)
{
    uint64_t high = 0;
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        high = a[i] > high ? a[i] : high;
    }
    if (__builtin_expect(high + bytes <= limit && high < limit, 1)) {
        return true;
    }
    for (sim_mask rest = mask; rest; rest &= rest - 1) {
        const uint32_t lane = sim_first_lane(rest);
        if (a[lane] >= limit || a[lane] + bytes > limit) {
            sim_access_fault(w, inst, lane, space, a[lane], bytes);
            break;
        }
    }
    return false;
}

static inline bool sim_near_holds(const sim_near *near, uint64_t low, uint64_t high)
{
    return low >= near->begin && high <= near->end && low <= high;
}

/* Lanes in several ranges of device memory, or in none. */
static inline bool sim_reach_apart(sim_warp *w, const sim_inst *inst, sim_mask mask,
                                   const uint64_t a[SIM_LANES], uint32_t bytes, bool writes)
{
    sim_near *near = sim_near_of(w, inst);
    for (sim_mask rest = mask; rest; rest &= rest - 1) {
        const uint32_t lane = sim_first_lane(rest);
        if ((!sim_near_holds(near, a[lane], a[lane] + bytes) && !sim_near_find(near, a[lane], bytes)) ||
            (writes && near->is_constant)) {
            sim_access_fault(w, inst, lane, SIM_SPACE_GLOBAL, a[lane], bytes);
            return false;
        }
    }
    return true;
}

static inline bool sim_reach_global(sim_warp *w, const sim_inst *inst, sim_mask mask,
                                    const uint64_t a[SIM_LANES], uint32_t bytes, bool writes,
                                    sim_reach *reach)
{
    uint64_t low = a[0], high = a[0];
    for (uint32_t i = 1; i < SIM_LANES; i++) {
        low = a[i] < low ? a[i] : low;
        high = a[i] > high ? a[i] : high;
    }
    const sim_near *near = sim_near_of(w, inst);
    if (__builtin_expect(!sim_near_holds(near, low, high + bytes) || (writes && near->is_constant), 0) &&
        !sim_reach_apart(w, inst, mask, a, bytes, writes)) {
        return false;
    }
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        reach->host[i] = (uint8_t *)(a[i] + (uint64_t)sim_mem.delta);
    }
    return true;
}

static inline bool sim_reach_window(sim_warp *w, const sim_inst *inst, sim_mask mask, sim_space space,
                                    const uint64_t a[SIM_LANES], uint32_t bytes, uint8_t *base,
                                    uint64_t stride, uint64_t limit, sim_reach *reach)
{
    if (!sim_is_below(w, inst, mask, space, a, bytes, limit)) {
        return false;
    }
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        reach->host[i] = base + i * stride + a[i];
    }
    return true;
}

/* Where the parameters of an address lie: of the launch, or of the running frame. */
static inline bool sim_reach_param(sim_warp *w, const sim_inst *inst, sim_mask mask, bool of_frame,
                                   const uint64_t a[SIM_LANES], uint32_t bytes, sim_reach *reach)
{
    if (of_frame) {
        const uint32_t size = w->frame->function->frame_param_bytes;
        return sim_reach_window(w, inst, mask, SIM_SPACE_PARAM, a, bytes, w->frame->params, size, size,
                                reach);
    }
    const sim_launch *launch = w->block->launch;
    return sim_reach_window(w, inst, mask, SIM_SPACE_PARAM, a, bytes, (uint8_t *)(uintptr_t)launch->params, 0,
                            launch->kernel->param_bytes, reach);
}

/* The host's bytes behind addresses of one space (not generic). False after a trap. */
static inline bool sim_reach_space(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_space space,
                                   sim_mask mask, const uint64_t a[SIM_LANES], sim_reach *reach)
{
    const bool writes = acc->kind & SIM_WRITES;
    reach->dense = sim_is_dense(mask, a, acc->total) && space != SIM_SPACE_LOCAL && space != SIM_SPACE_PARAM;
    if (!sim_is_aligned(w, inst, mask, space, a, acc->total)) {
        return false;
    }
    switch (space) {
    case SIM_SPACE_SHARED:
        return sim_reach_window(w, inst, mask, space, a, acc->total, w->block->shared, 0,
                                w->block->shared_bytes, reach);
    case SIM_SPACE_LOCAL:
        return sim_reach_window(w, inst, mask, space, a, acc->total, sim_warp_local(w),
                                w->worker->local_limit, w->worker->local_limit, reach);
    case SIM_SPACE_PARAM:
        return sim_reach_param(w, inst, mask, acc->address == SIM_ADDRESS_FRAME_PARAM, a, acc->total, reach);
    default: return sim_reach_global(w, inst, mask, a, acc->total, writes, reach);
    }
}

/* The space of a generic address, and its offset there. */
static inline sim_space sim_space_of(uint64_t generic, uint64_t *offset)
{
    static const sim_space windows[4] = {SIM_SPACE_GLOBAL, SIM_SPACE_SHARED, SIM_SPACE_LOCAL,
                                         SIM_SPACE_PARAM};
    if (generic >= SIM_WINDOW_END || generic < SIM_SHARED_WINDOW) {
        *offset = generic;
        return SIM_SPACE_GLOBAL;
    }
    *offset = generic % SIM_WINDOW_BYTES;
    return windows[generic / SIM_WINDOW_BYTES];
}

/* The lanes of `mask` whose generic addresses lie in the same space as the first one's; their offsets go to
 * `to`. */
static inline sim_mask sim_one_space(sim_mask mask, const uint64_t a[SIM_LANES], uint64_t to[SIM_LANES],
                                     sim_space *space)
{
    sim_mask same = 0;
    uint64_t first;
    *space = sim_space_of(a[sim_first_lane(mask)], &first);
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        uint64_t offset;
        const bool is_on = (mask >> i & 1) && sim_space_of(a[i], &offset) == *space;
        to[i] = is_on ? offset : first;
        same |= (sim_mask)is_on << i;
    }
    return same;
}

/* Checks and counts an access that is about to be made. */
static inline void sim_look(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_space space,
                            sim_mask mask, const uint64_t a[SIM_LANES], const uint8_t *values)
{
    if (space == SIM_SPACE_GLOBAL) {
        if (sim_touched_on) {
            sim_touch(mask, a, acc->total, acc->kind & SIM_READS, acc->kind & SIM_WRITES, acc->is_strong);
        }
        if (acc->is_counted) {
            sim_count_global(w, acc, mask, a);
        }
        if (acc->is_checked) {
            sim_check_global(w, inst, acc, mask, a, values);
        }
    } else if (space == SIM_SPACE_SHARED) {
        if (acc->is_counted) {
            sim_count_shared(w, inst, acc, mask, a);
        }
        if (acc->is_checked) {
            sim_check_shared(w, inst, acc, mask, a, values);
        }
    } else if (space == SIM_SPACE_LOCAL && acc->is_checked) {
        sim_check_local(w, inst, acc, mask, a);
    }
}

/* Slots to write: whole when every lane is on, lane by lane otherwise. */
static inline void sim_put32(sim_warp *w, sim_operand to, sim_mask mask, const uint32_t from[SIM_LANES])
{
    if (to.bank == SIM_NOTHING) {
        return;
    }
    uint32_t *d = sim_u32(w, to);
    if (mask == SIM_ALL_LANES) {
        memcpy(d, from, SIM_LANES * sizeof *d);
        return;
    }
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        d[i] = mask >> i & 1 ? from[i] : d[i];
    }
}

static inline void sim_put64(sim_warp *w, sim_operand to, sim_mask mask, const uint64_t from[SIM_LANES])
{
    if (to.bank == SIM_NOTHING) {
        return;
    }
    uint64_t *d = sim_u64(w, to);
    if (mask == SIM_ALL_LANES) {
        memcpy(d, from, SIM_LANES * sizeof *d);
        return;
    }
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        d[i] = mask >> i & 1 ? from[i] : d[i];
    }
}

/* ---- lowering ---- */

/* A zeroed sim_access of the module, with a site, strength and scope from the modifiers. */
sim_access *sim_access_new(sim_lowering *l, const ptx_instruction *ptx, sim_space space,
                           sim_access_kind kind);
/* Elements: bytes each, how many. */
void sim_access_size(sim_access *acc, uint32_t bytes, uint32_t count);
/* The space that the modifiers name; GENERIC if none. */
sim_space sim_access_space(const ptx_instruction *ptx);
/* The address operand into inst->a and imm. */
void sim_access_address(sim_lowering *l, const ptx_operand *operand, sim_inst *inst, sim_access *acc);

#endif
