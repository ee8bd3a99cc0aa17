/*
 * The device that the simulator poses as, what fits on one of its multiprocessors, and how long a launch
 * might take there: occupancy.c (cu*Occupancy*), profile.c (GPUSIM_PROFILE) and roofline.c.
 */
#ifndef GPUSIM_PROFILE_H
#define GPUSIM_PROFILE_H

#include <stdint.h>

#include "tests/gpusim/sim.h"
#include "tests/gpusim/touched.h"

/* Figures of the vendor's data sheets and the programming guide's table of compute capabilities. */
typedef struct {
    const char *key, *name;       /* "h100", "NVIDIA H100 80GB HBM3" */
    uint32_t major, minor;        /* compute capability */
    uint32_t sms;                 /* multiprocessors, of four schedulers each */
    uint32_t threads, blocks;     /* resident on one at most */
    uint32_t registers;           /* of one */
    uint32_t shared;              /* bytes of one */
    uint32_t shared_optin;        /* of a block at most, opted in */
    uint32_t shared_reserved;     /* of each resident block, by the system */
    uint64_t memory;              /* bytes */
    uint32_t clock, memory_clock; /* kHz */
    uint32_t bus, l2;             /* bits, bytes */
    double bandwidth;             /* of the memory, bytes/s */
    double l2_bandwidth;          /* of the second-level cache as microbenchmarks measure it, bytes/s */
    double tensor;                /* dense bf16 flops/s that mma.sync can reach */
} sim_gpu;

const sim_gpu *sim_gpu_named(const char *key); /* NULL: none */

/* Blocks of a function that are resident on one multiprocessor at once; what limits them goes to *limit
 * ("threads", "blocks", "registers", "shared"), which may be NULL. 0: not even one. */
uint32_t sim_occupancy_blocks(const sim_gpu *gpu, const sim_function *function, uint32_t threads,
                              uint32_t dynamic_shared, const char **limit);

/* Estimated microseconds of a launch, by the slowest of four bounds; an estimate and no measurement. */
typedef struct {
    double memory, l2, tensor, issue; /* us each alone */
    double total;
    const char *bound; /* "memory", "l2", "tensor" or "issue" */
} sim_estimate;
sim_estimate sim_roofline(const sim_gpu *gpu, const sim_launch *launch, const sim_counters *counters,
                          const sim_touched *least);

/* One line of GPUSIM_PROFILE for a launch that has run; `seconds` it took here. */
void sim_profile_launch(const sim_gpu *gpu, const sim_launch *launch, const sim_counters *counters,
                        const sim_touched *least, double seconds);
void sim_profile_close(void); /* the table at exit */

#endif
