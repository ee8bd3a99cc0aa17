/*
 * A launch: blocks handed out to host threads. Seed 0 runs the blocks of a worker strictly one after another,
 * in their order; other seeds shuffle them and interleave a few on each worker. Warps within a block take
 * turns at random in either case.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/check.h"
#include "tests/gpusim/report.h"
#include "tests/gpusim/sched.h"

enum {
    MOST_WORKERS = 64,
    SHARED_ROOM = 256 << 10, /* of a block: more than any device offers */
    TURN_PLAIN = 256,        /* instructions of a warp's turn without checks, */
    TURN_CHECKED = 64,       /* with them: at most, at random */
};

struct sim_grid {
    const sim_launch *launch;
    uint64_t blocks, step, first; /* block i in order of running is (first + i * step) % blocks */
    _Atomic uint64_t next;
    _Atomic int error;
    uint32_t resident;
};

/* What a worker keeps from launch to launch. */
typedef struct {
    sim_worker worker;
    sim_block block[SIM_RESIDENT];
    sim_block *live[SIM_RESIDENT]; /* a permutation of them: the running ones first */
} worker_room;

/* The host threads: started at the first launch that has more than one block, and waiting between launches.
 */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t start, done;
    worker_room *room[MOST_WORKERS];
    uint32_t threads;       /* started, beside the caller's */
    uint64_t generation;    /* counts launches handed to them */
    uint32_t wanted, ended; /* of the launch: threads that run it, threads that have ended */
    struct sim_grid *grid;
} pool = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .start = PTHREAD_COND_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

void sim_trap(sim_warp *warp, int error)
{
    int none = SIM_OK;
    atomic_compare_exchange_strong(&warp->worker->grid->error, &none, error);
    warp->worker->failed = true;
    warp->budget = 0;
}

static worker_room *open_room(uint32_t index)
{
    worker_room *room = calloc(1, sizeof *room);
    room->worker.index = index;
    room->worker.local_limit = SIM_LOCAL_BYTES;
    for (int i = 0; i < SIM_RESIDENT; i++) {
        room->block[i].warp = aligned_alloc(128, SIM_MAX_WARPS * sizeof(sim_warp));
        memset(room->block[i].warp, 0, SIM_MAX_WARPS * sizeof(sim_warp));
        room->block[i].shared = aligned_alloc(128, SHARED_ROOM);
        room->block[i].worker = &room->worker;
        room->live[i] = &room->block[i];
    }
    return room;
}

/* The next block that nobody has; false when there is none. */
static bool take_block(struct sim_grid *grid, sim_block *block)
{
    uint64_t i = atomic_fetch_add(&grid->next, 1);
    if (i >= grid->blocks) {
        return false;
    }
    block->launch = grid->launch;
    sim_block_begin(block, (uint64_t)(((unsigned __int128)i * grid->step + grid->first) % grid->blocks));
    return true;
}

static int32_t turn_length(sim_worker *worker)
{
    return sim_options.checks ? 1 + (int32_t)(sim_random(worker) % TURN_CHECKED) : TURN_PLAIN;
}

static bool stopped(const struct sim_grid *grid)
{
    return atomic_load_explicit(&grid->error, memory_order_relaxed) != SIM_OK;
}

static void prepare(sim_worker *worker, struct sim_grid *grid)
{
    worker->grid = grid;
    worker->failed = false;
    worker->seed =
        (sim_options.seed + 1) * 0x9E3779B97F4A7C15ull ^ (grid->launch->number << 20) ^ worker->index;
    worker->seed += worker->seed == 0;
    memset(&worker->counters, 0, sizeof worker->counters);
}

/* Runs blocks until none is left or some worker has failed. */
static void work(worker_room *room, struct sim_grid *grid)
{
    sim_worker *worker = &room->worker;
    uint32_t live = 0;
    bool more = true;
    prepare(worker, grid);
    sim_check_worker_begin(worker, grid->launch);
    while (!stopped(grid)) {
        while (more && live < grid->resident) {
            more = take_block(grid, room->live[live]);
            live += more;
        }
        if (live == 0) {
            break;
        }
        uint32_t i = live > 1 ? sim_random(worker) % live : 0;
        sim_block *block = room->live[i];
        if (!sim_block_turn(block, turn_length(worker)) && !worker->failed) {
            sim_block_end(block);
            room->live[i] = room->live[--live];
            room->live[live] = block;
        }
    }
    for (uint32_t i = 0; i < live; i++) { /* after a trap */
        sim_block_end(room->live[i]);
    }
    sim_check_worker_end(worker);
}

static void *thread_main(void *argument)
{
    uint32_t index = (uint32_t)(uintptr_t)argument; /* from 1 on */
    uint64_t seen = 0;
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        while (pool.generation == seen || index > pool.wanted) {
            seen = pool.generation;
            pthread_cond_wait(&pool.start, &pool.lock);
        }
        seen = pool.generation;
        struct sim_grid *grid = pool.grid;
        pthread_mutex_unlock(&pool.lock);
        work(pool.room[index], grid);
        pthread_mutex_lock(&pool.lock);
        pool.ended++;
        pthread_cond_signal(&pool.done);
    }
    return NULL;
}

/* Has `count` threads beside the caller; fewer if the system gives no more. */
static uint32_t have_threads(uint32_t count)
{
    while (pool.threads < count) {
        pthread_t thread;
        uint32_t index = pool.threads + 1;
        pool.room[index] = open_room(index);
        if (pthread_create(&thread, NULL, thread_main, (void *)(uintptr_t)index) != 0) {
            break;
        }
        pthread_detach(thread);
        pool.threads++;
    }
    return pool.threads < count ? pool.threads : count;
}

static void run_on_pool(struct sim_grid *grid, uint32_t helpers)
{
    pthread_mutex_lock(&pool.lock);
    helpers = have_threads(helpers);
    pool.grid = grid;
    pool.wanted = helpers;
    pool.ended = 0;
    pool.generation++;
    pthread_cond_broadcast(&pool.start);
    pthread_mutex_unlock(&pool.lock);
    work(pool.room[0], grid);
    pthread_mutex_lock(&pool.lock);
    while (pool.ended < helpers) {
        pthread_cond_wait(&pool.done, &pool.lock);
    }
    pthread_mutex_unlock(&pool.lock);
}

static uint64_t greatest_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The order in which blocks run: as they are for seed 0, otherwise a stride that meets every block once. */
static void order_blocks(struct sim_grid *grid)
{
    uint64_t n = grid->blocks,
             mixed = (sim_options.seed ^ (grid->launch->number << 32)) * 0x9E3779B97F4A7C15ull;
    grid->step = 1;
    grid->first = 0;
    grid->resident = 1;
    if (sim_options.seed != 0) {
        grid->resident = 1 + (uint32_t)(mixed >> 33) % SIM_RESIDENT;
        grid->first = (mixed >> 7) % n;
        grid->step = 1 + (mixed >> 20) % n;
        while (greatest_divisor(grid->step, n) != 1) {
            grid->step++;
        }
    }
}

static void add_counters(sim_counters *to, const sim_counters *from)
{
    _Static_assert(sizeof(sim_counters) % sizeof(uint64_t) == 0, "counters are uint64_t all through");
    uint64_t *sum = (uint64_t *)to;
    const uint64_t *part = (const uint64_t *)from;
    for (size_t i = 0; i < sizeof *to / sizeof *sum; i++) {
        sum[i] += part[i];
    }
}

int sim_grid_run(const sim_launch *launch, sim_counters *counters)
{
    struct sim_grid grid = {.launch = launch};
    grid.blocks = (uint64_t)launch->grid[0] * launch->grid[1] * launch->grid[2];
    if (grid.blocks == 0) {
        return SIM_OK;
    }
    order_blocks(&grid);
    uint64_t threads = sim_options.threads < 1 ? 1 : (uint64_t)sim_options.threads;
    threads = threads > MOST_WORKERS ? MOST_WORKERS : threads;
    threads = threads > grid.blocks ? grid.blocks : threads;
    if (pool.room[0] == NULL) {
        pool.room[0] = open_room(0);
    }
    sim_check_launch_begin(launch);
    run_on_pool(&grid, (uint32_t)threads - 1);
    sim_check_launch_end(launch);
    add_counters(counters, &pool.room[0]->worker.counters);
    for (uint32_t i = 1; i <= pool.wanted; i++) {
        add_counters(counters, &pool.room[i]->worker.counters);
    }
    return atomic_load(&grid.error);
}
