/*
 * Memory instructions apart from the hot path (access.h, ops/access.h): lowering of what they have in common,
 * faults, and reading on behalf of printf.
 */
#include "tests/gpusim/access.h"

#include <stdio.h>
#include <string.h>

#include "tests/gpusim/ops/access.h"

/* ---- lowering ---- */

static bool is_strong(const ptx_instruction *ptx)
{
    static const char *const words[] = {"volatile", "relaxed", "acquire", "release", "acq_rel", "mmio"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (ptx_has(ptx, words[i])) {
            return true;
        }
    }
    return false;
}

sim_access *sim_access_new(sim_lowering *l, const ptx_instruction *ptx, sim_space space, sim_access_kind kind)
{
    sim_access *acc = sim_lower_alloc(l, sizeof *acc);
    memset(acc, 0, sizeof *acc);
    acc->space = (uint8_t)space;
    acc->kind = (uint8_t)kind;
    acc->is_strong = is_strong(ptx) || sim_lower_feeds_swap(l, ptx);
    acc->acquires = ptx_has(ptx, "acquire") || ptx_has(ptx, "acq_rel");
    acc->releases = ptx_has(ptx, "release") || ptx_has(ptx, "acq_rel");
    acc->scope = ptx_has(ptx, "cta") ? SIM_SCOPE_CTA : ptx_has(ptx, "gpu") ? SIM_SCOPE_GPU : SIM_SCOPE_SYS;
    acc->is_checked = sim_options.checks;
    acc->is_counted = sim_options.profile != NULL;
    acc->site = sim_lower_alloc(l, sizeof *acc->site);
    memset(acc->site, 0, sizeof *acc->site);
    return acc;
}

void sim_access_size(sim_access *acc, uint32_t bytes, uint32_t count)
{
    acc->bytes = (uint8_t)bytes;
    acc->count = (uint8_t)count;
    acc->total = (uint8_t)(bytes * count);
}

sim_space sim_access_space(const ptx_instruction *ptx)
{
    for (uint32_t i = 0; i < ptx->modifiers; i++) {
        const char *m = ptx->modifier[i];
        if (strcmp(m, "global") == 0) {
            return SIM_SPACE_GLOBAL;
        } else if (strncmp(m, "shared", 6) == 0) {
            return SIM_SPACE_SHARED;
        } else if (strcmp(m, "local") == 0) {
            return SIM_SPACE_LOCAL;
        } else if (strncmp(m, "param", 5) == 0) {
            return SIM_SPACE_PARAM;
        } else if (strncmp(m, "const", 5) == 0) {
            return SIM_SPACE_CONST;
        }
    }
    return SIM_SPACE_GENERIC;
}

void sim_access_address(sim_lowering *l, const ptx_operand *operand, sim_inst *inst, sim_access *acc)
{
    sim_address_kind kind = SIM_ADDRESS_PLAIN;
    inst->a = sim_lower_address(l, operand, &inst->imm, &kind);
    inst->extra = acc;
    acc->address = (uint8_t)kind;
}

/* ---- finding memory ---- */

bool sim_near_find(sim_near *near, uint64_t address, uint64_t bytes)
{
    const sim_range *range = sim_memory_find(address);
    if (!range || !range->is_live || address + bytes > range->end) {
        return false;
    }
    *near = (sim_near){.begin = range->begin,
                       .end = range->end,
                       .is_constant = range->is_constant,
                       .is_host = range->is_host};
    return true;
}

static const uint8_t *find_bytes(sim_warp *w, uint32_t lane, uint64_t address, size_t bytes)
{
    uint64_t offset;
    sim_near near;
    switch (sim_space_of(address, &offset)) {
    case SIM_SPACE_SHARED: return offset + bytes <= w->block->shared_bytes ? w->block->shared + offset : NULL;
    case SIM_SPACE_LOCAL:
        return offset + bytes <= w->worker->local_limit
                   ? sim_warp_local(w) + (size_t)lane * w->worker->local_limit + offset
                   : NULL;
    case SIM_SPACE_PARAM:
        return offset + bytes <= w->block->launch->kernel->param_bytes ? w->block->launch->params + offset
                                                                       : NULL;
    default: return sim_near_find(&near, address, bytes) ? sim_memory_host(address) : NULL;
    }
}

bool sim_read_generic(sim_warp *w, uint32_t lane, uint64_t address, void *to, size_t bytes)
{
    const uint8_t *from = find_bytes(w, lane, address, bytes);
    if (!from) {
        return false;
    }
    memcpy(to, from, bytes);
    return true;
}

/* ---- faults ---- */

static const char *const space_name[] = {"global", "shared", "local", "param", "const", "generic"};

/* What an instruction does in a space: cp.async, which writes shared memory, reads the other one. */
static const char *verb_of(const sim_inst *inst, sim_space space)
{
    const sim_access *acc = inst->extra;
    static const char *const verbs[] = {"access to", "read of", "write of", "atomic on"};
    if (acc && acc->space == SIM_SPACE_SHARED && space != SIM_SPACE_SHARED) {
        return verbs[SIM_READS];
    }
    return verbs[acc ? acc->kind & 3 : 0];
}

/* A device address outside live memory: what is nearest, or what stood there. */
static void tell_global(sim_warp *w, const sim_inst *inst, uint32_t lane, uint64_t address, uint32_t bytes)
{
    const sim_range *range = sim_memory_find(address), *before = NULL;
    if (range && !range->is_live) {
        sim_report_lane(w, inst, lane, SIM_USE_AFTER_FREE, address, bytes,
                        "%s %u bytes at 0x%llx, byte %llu of %llu of %s, freed after launch %llu",
                        verb_of(inst, SIM_SPACE_GLOBAL), bytes, (unsigned long long)address,
                        (unsigned long long)(address - range->begin),
                        (unsigned long long)(range->end - range->begin), range->what,
                        (unsigned long long)range->freed_at);
        return;
    }
    if (range && range->is_constant && address + bytes <= range->end) {
        sim_report_lane(w, inst, lane, SIM_OUT_OF_BOUNDS, address, bytes,
                        "%s %u bytes at 0x%llx in constant %s", verb_of(inst, SIM_SPACE_GLOBAL), bytes,
                        (unsigned long long)address, range->what);
        return;
    }
    for (uint64_t back = 0; !before && back < 4096; back += 256) {
        before = address - back > address ? NULL : sim_memory_find(address - back);
    }
    if (before) {
        const uint64_t end = before->end;
        sim_report_lane(w, inst, lane, SIM_OUT_OF_BOUNDS, address, bytes,
                        "%s %u bytes at 0x%llx, %llu bytes past the end of %llu bytes of %s",
                        verb_of(inst, SIM_SPACE_GLOBAL), bytes, (unsigned long long)address,
                        (unsigned long long)(address + bytes - end),
                        (unsigned long long)(end - before->begin), before->what);
        return;
    }
    sim_report_lane(w, inst, lane, SIM_OUT_OF_BOUNDS, address, bytes,
                    "%s %u bytes at 0x%llx, in no allocation", verb_of(inst, SIM_SPACE_GLOBAL), bytes,
                    (unsigned long long)address);
}

void sim_access_fault(sim_warp *w, const sim_inst *inst, uint32_t lane, sim_space space, uint64_t address,
                      uint32_t bytes)
{
    const sim_range *range = space == SIM_SPACE_GLOBAL ? sim_memory_find(address) : NULL;
    const sim_finding_kind kind = range && !range->is_live ? SIM_USE_AFTER_FREE : SIM_OUT_OF_BOUNDS;
    if (sim_options.check[kind] && (space == SIM_SPACE_GLOBAL || space == SIM_SPACE_CONST)) {
        tell_global(w, inst, lane, address, bytes);
    } else if (sim_options.check[kind]) {
        sim_report_lane(w, inst, lane, kind, address, bytes,
                        "%s %u bytes at offset 0x%llx of %s memory (%u bytes)", verb_of(inst, space), bytes,
                        (unsigned long long)address, space_name[space],
                        space == SIM_SPACE_SHARED  ? w->block->shared_bytes
                        : space == SIM_SPACE_LOCAL ? w->worker->local_limit
                                                   : w->block->launch->kernel->param_bytes);
    }
    sim_trap(w, SIM_ERROR_ILLEGAL_ADDRESS);
}

void sim_access_misaligned(sim_warp *w, const sim_inst *inst, uint32_t lane, sim_space space,
                           uint64_t address, uint32_t bytes)
{
    if (sim_options.check[SIM_MISALIGNED]) {
        sim_report_lane(w, inst, lane, SIM_MISALIGNED, address, bytes,
                        "%s %u bytes at 0x%llx of %s memory: no multiple of %u", verb_of(inst, space), bytes,
                        (unsigned long long)address, space_name[space], bytes);
    }
    sim_trap(w, SIM_ERROR_MISALIGNED);
}
