/*
 * What one memory instruction does, as the handlers of ops/ (memory.c, atomic.c, tiles.c, async.c) and the
 * checkers (check_*.c) both see it, and the tables by which a worker finds its way into device memory
 * quickly.
 */
#ifndef GPUSIM_ACCESS_H
#define GPUSIM_ACCESS_H

#include "tests/gpusim/check.h"
#include "tests/gpusim/lower.h"
#include "tests/gpusim/memory.h"

typedef enum {
    SIM_SPACE_GLOBAL = 0,
    SIM_SPACE_SHARED,
    SIM_SPACE_LOCAL,
    SIM_SPACE_PARAM,
    SIM_SPACE_CONST,
    SIM_SPACE_GENERIC
} sim_space;

typedef enum { SIM_READS = 1, SIM_WRITES = 2 } sim_access_kind; /* an atomic does both */

/* A memory instruction in the running launch, numbered so that a shadow cell can name it (check_site.c). */
typedef struct sim_site {
    uint64_t launch; /* number of the launch for which `number` holds */
    uint32_t number;
    _Atomic uint64_t conflicts; /* of the launch, by all workers (check_count.c); if not 0, also: */
    const sim_line *line;
    struct sim_site *next;
} sim_site;

/* inst->extra of every memory instruction. */
typedef struct {
    uint8_t space;        /* sim_space */
    uint8_t address;      /* sim_address_kind */
    uint8_t kind;         /* sim_access_kind bits */
    uint8_t bytes, count; /* of an element; elements that a lane moves, one behind the other */
    uint8_t total;        /* bytes * count: a lane's bytes, and their alignment */
    bool is_signed;       /* loads sign-extend */
    bool is_strong;       /* volatile, relaxed, acquire, release, or atomic */
    bool acquires, releases;
    bool is_checked, is_counted; /* the slow way: checks, counters of a profile */
    sim_scope scope;
    sim_site *site;
} sim_access;

/* A live range of device memory that was used lately. */
typedef struct {
    uint64_t begin, end;
    bool is_constant, is_host;
} sim_near;
enum { SIM_NEAR = 16 };

/* worker->check, there with and without checks. */
typedef struct {
    sim_near near[SIM_NEAR];
    const sim_launch *launch;
} sim_worker_access;

static inline sim_near *sim_near_of(const sim_warp *w, const sim_inst *inst)
{
    return &((sim_worker_access *)w->worker->check)->near[inst->line % SIM_NEAR];
}

/* Fills *near with the live range that holds [address, address + bytes); false if there is none. */
bool sim_near_find(sim_near *near, uint64_t address, uint64_t bytes);

/*
 * The access of one lane can't be made: tells the finding that fits (out of bounds, use after free,
 * misaligned) and stops the launch. `address` is an offset for spaces other than global.
 */
void sim_access_fault(sim_warp *w, const sim_inst *inst, uint32_t lane, sim_space space, uint64_t address,
                      uint32_t bytes);
void sim_access_misaligned(sim_warp *w, const sim_inst *inst, uint32_t lane, sim_space space,
                           uint64_t address, uint32_t bytes);

/*
 * Checks an access that lies within live memory and is aligned, before it is made; counts it. address[lane]
 * are device addresses, or offsets in shared or local memory. For writes, `values` are the lanes' bytes,
 * acc->total each, one lane behind the other (NULL for atomics).
 */
void sim_check_global(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_mask mask,
                      const uint64_t address[SIM_LANES], const uint8_t *values);
void sim_check_shared(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_mask mask,
                      const uint64_t address[SIM_LANES], const uint8_t *values);
void sim_check_local(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_mask mask,
                     const uint64_t address[SIM_LANES]);
void sim_count_global(sim_warp *w, const sim_access *acc, sim_mask mask, const uint64_t address[SIM_LANES]);
void sim_count_shared(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_mask mask,
                      const uint64_t address[SIM_LANES]);

/*
 * Instructions with bank conflicts in the launch that has ended, the worst first, at most `most`. Clears the
 * slate, so it is called once behind every launch that counts.
 */
typedef struct {
    const sim_line *line;
    uint64_t conflicts;
} sim_conflict;
size_t sim_conflicts_end(sim_conflict *worst, size_t most);

/*
 * cp.async under the checkers (check_async.c): the copy of each lane to to[lane] in shared memory waits, and
 * lands at a seeded moment before the wait that covers it. from[lane] is a device address of which
 * `bytes[lane]` are read, the rest of acc->total is zero. Both sides are known to lie in live memory.
 */
void sim_async_issue(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_mask mask,
                     const uint64_t to[SIM_LANES], const uint64_t from[SIM_LANES],
                     const uint8_t bytes[SIM_LANES]);
void sim_async_commit(sim_warp *w, sim_mask lanes);
/* Each lane waits for all but its last `keep` groups; sim_async_wait_all also for copies in no group yet. */
void sim_async_wait(sim_warp *w, sim_mask lanes, uint32_t keep);
void sim_async_wait_all(sim_warp *w, sim_mask lanes);

/* After a strong read, before a strong write (an atomic does both): what the accesses publish and take over.
 */
void sim_check_strong_read(sim_warp *w, const sim_access *acc, sim_mask mask, sim_space space,
                           const uint64_t address[SIM_LANES]);
void sim_check_strong_write(sim_warp *w, const sim_access *acc, sim_mask mask, sim_space space,
                            const uint64_t address[SIM_LANES]);

/* A lane's clock meets an object in memory: mbarrier arrivals and waits, acquire and release (check_sync.c).
 */
void sim_check_release(sim_warp *w, sim_mask lanes, sim_space space, uint64_t address);
void sim_check_acquire(sim_warp *w, sim_mask lanes, sim_space space, uint64_t address);

#endif
