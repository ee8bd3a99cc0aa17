/*
 * Names for the second party of a race: memory instructions numbered as they first run in a launch, so that a
 * shadow record needs 16 bits for one; and the telling of races.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/gpusim/check_state.h"

enum { SITES = 1 << 16 };

static struct {
    pthread_mutex_t lock;
    uint64_t launch; /* counts launches: numbers of sites hold for one */
    uint32_t count;  /* number 0: not known, too many */
    struct {
        const sim_function *function;
        const sim_inst *inst;
    } site[SITES];
} sites = {.lock = PTHREAD_MUTEX_INITIALIZER, .count = 1};

void sim_sites_begin(void)
{
    sites.count = 1;
    sites.launch++;
}

uint32_t sim_site_number(sim_warp *w, const sim_inst *inst, sim_site *site)
{
    const uint64_t launch = sites.launch;
    if (__atomic_load_n(&site->launch, __ATOMIC_ACQUIRE) == launch) {
        return site->number;
    }
    pthread_mutex_lock(&sites.lock);
    if (site->launch != launch) {
        const uint32_t number = sites.count < SITES ? sites.count++ : 0;
        sites.site[number].function = number ? w->frame->function : NULL;
        sites.site[number].inst = inst;
        site->number = number;
        __atomic_store_n(&site->launch, launch, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&sites.lock);
    return site->number;
}

static sim_line line_of(uint32_t site)
{
    const sim_function *function = sites.site[site].function;
    return site && function ? function->lines[sites.site[site].inst->line] : (sim_line){0};
}

static void coordinates(uint64_t linear, const uint32_t extent[3], uint32_t to[3])
{
    to[0] = (uint32_t)(linear % extent[0]);
    to[1] = (uint32_t)(linear / extent[0] % extent[1]);
    to[2] = (uint32_t)(linear / extent[0] / extent[1]);
}

static void fill_own(sim_finding *f, const sim_warp *w, const sim_inst *inst, uint32_t lane)
{
    const sim_launch *launch = w->block->launch;
    f->kernel = launch->kernel->name;
    f->line = w->frame->function->lines[inst->line];
    memcpy(f->block, w->block->ctaid, sizeof f->block);
    coordinates((uint64_t)w->index * SIM_LANES + lane, launch->block, f->thread);
}

void sim_race_report(sim_warp *w, const sim_inst *inst, uint32_t lane, sim_finding_kind kind,
                     uint64_t address, uint32_t bytes, sim_record r, uint64_t other_block,
                     uint32_t other_warp, const char *what)
{
    if (!sim_options.check[kind]) {
        return;
    }
    const sim_launch *launch = w->block->launch;
    const uint32_t other = SIM_RECORD_LANE(r);
    sim_finding f = {.kind = kind, .address = address, .bytes = bytes, .has_other = true};
    fill_own(&f, w, inst, lane);
    f.other.line = line_of(SIM_RECORD_SITE(r));
    coordinates(other_block, launch->grid, f.other.block);
    coordinates((uint64_t)other_warp * SIM_LANES + (other < SIM_LANES ? other : 0), launch->block,
                f.other.thread);
    snprintf(f.message, sizeof f.message, "%s%s", what,
             other < SIM_LANES ? "" : " (several lanes of the other party's warp)");
    sim_report(&f);
}
