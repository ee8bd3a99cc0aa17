/*
 * The devices that the simulator can pose as, the occupancy of a launch, and an estimate of its time on a
 * device.
 *
 * The estimate is the slowest of four bounds, each as if it were alone: the launch's distinct sectors over
 * the memory's bandwidth (what several blocks ask for comes from it once), all sectors that warps ask for
 * over the second-level cache's (none is taken to hit the first), tensor flops over what mma.sync reaches,
 * and warp instructions over the issue slots of the multiprocessors that have blocks. Instructions are those
 * of PTX, moves and 64-bit addresses as one each: of a GEMM's main loop 1.3 to 1.6 times what the machine
 * code has. Latency, data that an earlier launch left in the caches, data that falls out of them, the launch
 * itself and everything that overlaps badly are left out: it is an estimate for comparing kernels, no
 * promise of times.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "tests/gpusim/profile.h"

/* mma.sync reaches about 62 % of the dense peak of an H100 (the rest takes wgmma), all of it on the others.
 */
static const sim_gpu gpus[] = {
    {"a100", "NVIDIA A100-SXM4-80GB", 8, 0, 108, 2048, 32, 65536, 164 << 10, 163 << 10, 1024, 80ull << 30,
     1410000, 1593000, 5120, 40 << 20, 2.039e12, 4.5e12, 312e12},
    {"h100", "NVIDIA H100 80GB HBM3", 9, 0, 132, 2048, 32, 65536, 228 << 10, 227 << 10, 1024, 80ull << 30,
     1980000, 2619000, 5120, 50 << 20, 3.352e12, 6.5e12, 0.62 * 989.4e12},
    {"rtx4090", "NVIDIA GeForce RTX 4090", 8, 9, 128, 1536, 24, 65536, 100 << 10, 99 << 10, 1024, 24ull << 30,
     2520000, 10501000, 384, 72 << 20, 1.008e12, 5.0e12, 165.2e12},
};

const sim_gpu *sim_gpu_named(const char *key)
{
    for (size_t i = 0; i < sizeof gpus / sizeof gpus[0]; i++) {
        if (strcmp(gpus[i].key, key) == 0) {
            return &gpus[i];
        }
    }
    return NULL;
}

static uint32_t round_up(uint32_t value, uint32_t to)
{
    return (value + to - 1) / to * to;
}

/* Warps whose registers fit: each quarter of a multiprocessor has its own file, given out in portions of 256.
 */
static uint32_t warps_by_registers(const sim_gpu *gpu, uint32_t registers)
{
    return registers ? 4 * (gpu->registers / 4 / round_up(registers * 32, 256)) : gpu->threads / 32;
}

uint32_t sim_occupancy_blocks(const sim_gpu *gpu, const sim_function *function, uint32_t threads,
                              uint32_t dynamic_shared, const char **limit)
{
    static const char *const names[] = {"blocks", "threads", "registers", "shared"};
    uint32_t warps = (threads + 31) / 32;
    uint32_t shared = round_up(function->shared_bytes + dynamic_shared + gpu->shared_reserved, 128);
    const uint32_t most[] = {
        gpu->blocks,
        warps ? gpu->threads / 32 / warps : 0,
        warps ? warps_by_registers(gpu, function->registers) / warps : 0,
        gpu->shared / shared,
    };
    uint32_t least = 0;
    for (uint32_t i = 1; i < 4; i++) {
        least = most[i] < most[least] ? i : least;
    }
    if (limit) {
        *limit = names[least];
    }
    return most[least];
}

/*
 * Units that instructions of the classes go to. The slowest of them bounds a multiprocessor, since they work
 * beside each other; every instruction takes a slot of its scheduler besides.
 */
typedef enum { UNIT_ISSUE, UNIT_INT, UNIT_F32, UNIT_F64, UNIT_SPECIAL, UNIT_MEMORY, UNITS } unit;

/* Cycles that a quarter's unit takes for a warp: 32 lanes over its width (the guide's table of throughputs).
 */
static double class_cycles(const sim_gpu *gpu, sim_class klass, unit *where)
{
    bool wide_f32 = gpu->major > 8 || gpu->minor != 0, poor_f64 = gpu->major == 8 && gpu->minor != 0;
    switch (klass) {
    case SIM_CLASS_INT: *where = UNIT_INT; return 2;
    case SIM_CLASS_F32:
    case SIM_CLASS_F16: *where = UNIT_F32; return wide_f32 ? 1 : 2;
    case SIM_CLASS_F64: *where = UNIT_F64; return poor_f64 ? 64 : gpu->major == 9 ? 2 : 4;
    case SIM_CLASS_CVT: *where = UNIT_SPECIAL; return 2;
    case SIM_CLASS_SFU: *where = UNIT_SPECIAL; return 8;
    case SIM_CLASS_LD_GLOBAL:
    case SIM_CLASS_ST_GLOBAL:
    case SIM_CLASS_LOCAL:
    case SIM_CLASS_ATOMIC:
    case SIM_CLASS_ASYNC:
    case SIM_CLASS_WARP: *where = UNIT_MEMORY; return 4;
    default: *where = UNIT_ISSUE; return 0;
    }
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* Cycles of one quarter that all the launch's warps take together, by the busiest unit. */
static double issue_cycles(const sim_gpu *gpu, const sim_counters *counters)
{
    double busy[UNITS] = {0}, most = 0;
    for (int i = 0; i < SIM_CLASSES; i++) {
        unit where;
        double cycles = class_cycles(gpu, (sim_class)i, &where) * (double)counters->instructions[i];
        busy[where] += cycles;
        busy[UNIT_ISSUE] += (double)counters->instructions[i];
    }
    busy[UNIT_MEMORY] += 4.0 * (double)counters->shared_passes; /* one a cycle for all four quarters */
    for (int i = 0; i < UNITS; i++) {
        most = larger(most, busy[i]);
    }
    return most;
}

sim_estimate sim_roofline(const sim_gpu *gpu, const sim_launch *launch, const sim_counters *counters,
                          const sim_touched *least)
{
    double blocks = (double)launch->grid[0] * launch->grid[1] * launch->grid[2];
    /* The multiprocessor with the most blocks ends last. */
    uint64_t rounds = ((uint64_t)blocks + gpu->sms - 1) / gpu->sms;
    double share = blocks > 0 ? (double)rounds / blocks : 0; /* of all work, on that one */
    uint64_t distinct = least->sectors_read + least->sectors_written;
    uint64_t moved = counters->sectors_read + counters->sectors_written;
    sim_estimate e = {
        .memory = 1e6 * 32 * (double)distinct / gpu->bandwidth,
        .l2 = 1e6 * 32 * (double)moved / gpu->l2_bandwidth,
        .tensor = 1e6 * share * (double)counters->tensor_flops / (gpu->tensor / gpu->sms),
        .issue = 1e6 * share * issue_cycles(gpu, counters) / 4 / (1e3 * gpu->clock),
    };
    e.total = larger(larger(e.memory, e.l2), larger(e.tensor, e.issue));
    e.bound = e.total == e.memory   ? "memory"
              : e.total == e.l2     ? "l2"
              : e.total == e.tensor ? "tensor"
                                    : "issue";
    return e;
}
