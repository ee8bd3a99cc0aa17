/* Counters of memory instructions: sectors of global memory, passes over the banks of shared memory. */
#include <stdatomic.h>

#include "tests/gpusim/access.h"

/* Distinct 32-byte sectors of one request: the lanes' bytes, sorted by insertion (neighbours mostly come in
 * order). */
static uint32_t distinct_sectors(sim_mask mask, const uint64_t address[SIM_LANES], uint32_t bytes)
{
    uint64_t sector[2 * SIM_LANES];
    uint32_t count = 0;
    for (sim_mask rest = mask; rest != 0; rest &= rest - 1) {
        const uint64_t a = address[__builtin_ctz(rest)];
        for (uint64_t s = a / 32; s <= (a + bytes - 1) / 32 && count < 2 * SIM_LANES; s++) {
            uint32_t at = count;
            while (at > 0 && sector[at - 1] > s) {
                at--;
            }
            if (at > 0 && sector[at - 1] == s) {
                continue;
            }
            for (uint32_t i = count++; i > at; i--) {
                sector[i] = sector[i - 1];
            }
            sector[at] = s;
        }
    }
    return count;
}

void sim_count_global(sim_warp *w, const sim_access *acc, sim_mask mask, const uint64_t address[SIM_LANES])
{
    sim_counters *c = &w->worker->counters;
    const uint32_t sectors = distinct_sectors(mask, address, acc->total);
    c->global_requests++;
    c->global_bytes_asked += (uint64_t)__builtin_popcount(mask) * acc->total;
    c->sectors_read += acc->kind & SIM_READS ? sectors : 0;
    c->sectors_written += acc->kind & SIM_WRITES ? sectors : 0;
}

/*
 * Passes that the lanes of one phase need: 32 banks of 4 bytes; lanes at one word share a pass. The least is
 * one pass per 128 bytes asked for.
 */
static uint32_t passes_of(sim_mask phase, const uint64_t address[SIM_LANES], uint32_t bytes)
{
    uint32_t words[SIM_LANES][SIM_LANES], used[SIM_LANES] = {0}, most = 0;
    for (sim_mask rest = phase; rest != 0; rest &= rest - 1) {
        const uint64_t a = address[__builtin_ctz(rest)];
        for (uint64_t word = a / 4; word <= (a + bytes - 1) / 4; word++) {
            const uint32_t bank = word % SIM_LANES;
            uint32_t n = 0;
            while (n < used[bank] && words[bank][n] != word) {
                n++;
            }
            if (n == used[bank] && n < SIM_LANES) {
                words[bank][used[bank]++] = (uint32_t)word;
            }
            most = used[bank] > most ? used[bank] : most;
        }
    }
    return most;
}

/* Instructions with conflicts in the running launch. */
static struct sim_site *_Atomic conflicting;

static void add_conflicts(const sim_warp *w, const sim_inst *inst, sim_site *site, uint32_t conflicts)
{
    if (atomic_fetch_add(&site->conflicts, conflicts) != 0) {
        return; /* it stands in the list */
    }
    site->line = &w->frame->function->lines[inst->line];
    site->next = atomic_load(&conflicting);
    while (!atomic_compare_exchange_weak(&conflicting, &site->next, site)) {
    }
}

size_t sim_conflicts_end(sim_conflict *worst, size_t most)
{
    size_t count = 0;
    for (sim_site *site = atomic_exchange(&conflicting, NULL); site; site = site->next) {
        const sim_conflict own = {site->line, atomic_exchange(&site->conflicts, 0)};
        size_t at = count < most ? count++ : most;
        for (; at > 0 && worst[at - 1].conflicts < own.conflicts; at--) {
            if (at < most) {
                worst[at] = worst[at - 1];
            }
        }
        if (at < most) {
            worst[at] = own;
        }
    }
    return count;
}

void sim_count_shared(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_mask mask,
                      const uint64_t address[SIM_LANES])
{
    /* 8-byte accesses go by half warps, 16-byte ones (and rows of ldmatrix) by quarters. */
    const uint32_t lanes = acc->total <= 4 ? 32 : acc->total <= 8 ? 16 : 8;
    sim_counters *c = &w->worker->counters;
    uint32_t conflicts = 0;
    c->shared_requests++;
    for (uint32_t first = 0; first < SIM_LANES; first += lanes) {
        const sim_mask phase = mask & (lanes == 32 ? SIM_ALL_LANES : ((1u << lanes) - 1) << first);
        if (phase != 0) {
            const uint32_t passes = passes_of(phase, address, acc->total);
            c->shared_passes += passes;
            conflicts += passes - 1;
        }
    }
    c->shared_conflicts += conflicts;
    if (conflicts != 0) {
        add_conflicts(w, inst, acc->site, conflicts);
    }
}
