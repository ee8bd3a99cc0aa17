/*
 * Findings and switches. A finding is one line on standard error and one JSON object in GPUSIM_REPORT; equal
 * ones (kind, kernel, PTX line) are counted and told once.
 */
#ifndef GPUSIM_REPORT_H
#define GPUSIM_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/gpusim/sim.h"

typedef enum {
    SIM_OUT_OF_BOUNDS = 0,
    SIM_MISALIGNED,
    SIM_USE_AFTER_FREE,
    SIM_UNINITIALISED,
    SIM_RACE_SHARED,
    SIM_RACE_GLOBAL,
    SIM_ASYNC_UNWAITED,
    SIM_BARRIER_DIVERGENCE,
    SIM_SHUFFLE_INACTIVE,
    SIM_STREAM_ORDER,
    SIM_LEAK,
    SIM_ASSERT,
    SIM_FINDINGS
} sim_finding_kind;

typedef struct {
    sim_finding_kind kind;
    const char *kernel; /* NULL: a call of the host */
    sim_line line;
    uint32_t block[3], thread[3];
    uint64_t address;
    uint32_t bytes;
    bool has_other; /* the second party of a race, or who freed the memory */
    struct {
        sim_line line;
        uint32_t block[3], thread[3];
    } other;
    char message[256];
} sim_finding;

/* Tells it. Safe from any thread. */
void sim_report(const sim_finding *finding);
/* Tells a finding of a running lane: fills kernel, line, block, thread. */
void sim_report_lane(sim_warp *warp, const sim_inst *inst, uint32_t lane, sim_finding_kind kind,
                     uint64_t address, uint32_t bytes, const char *format, ...)
    __attribute__((format(printf, 7, 8)));
uint64_t sim_report_count(sim_finding_kind kind); /* told or counted so far */
void sim_report_close(void); /* at the end of the program: how often each came, closes the report */

/* The environment's switches, read once at cuInit (INTERFACES, "The simulated GPU"). */
typedef struct {
    bool check[SIM_FINDINGS]; /* GPUSIM_CHECK */
    bool checks;              /* any of them */
    bool strict, noise, fatal;
    uint64_t seed;
    int threads;
    const char *device;           /* "h100" */
    const char *report, *profile; /* files, or NULL */
    uint64_t memory;              /* GPUSIM_MEMORY: bytes of the device, 0: as the posed device has */
    uint64_t held;                /* GPUSIM_HELD: bytes of it that another process holds */
    uint64_t fail_alloc;          /* GPUSIM_FAIL_ALLOC=n: the n-th allocation fails; 0: none */
    uint64_t fail_launch;         /* GPUSIM_FAIL_LAUNCH=n: the n-th launch is refused */
    uint64_t trap_launch;         /* GPUSIM_TRAP_LAUNCH=n: the n-th launch fails while it runs */
    uint64_t fail_graph;     /* GPUSIM_FAIL_GRAPH=n: the n-th call that makes, changes or launches a graph */
    uint64_t lost_at;        /* GPUSIM_LOST_AT=n: the device is lost at the n-th driver call */
    uint64_t driver_version; /* GPUSIM_DRIVER_VERSION: 13000 is CUDA 13.0 */
} sim_switches;
extern sim_switches sim_options;
/*
 * A variable GPUSIM_... that is unknown or has a value not understood ends the program with exit code 2: a
 * check that is silently off would be worse. Reads the environment once; later calls do nothing.
 */
void sim_switches_read(void);

#endif
