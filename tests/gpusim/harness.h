/*
 * Test programs that use a GPU through the driver API, whichever library gives it: the simulator's, or a real
 * driver's. So the same binary runs on both. Everything here stops the test on an error.
 */
#ifndef GPUSIM_HARNESS_H
#define GPUSIM_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    unsigned x, y, z;
} gpu_dim;

/* Opens libcuda.so.1 and its first device; loads NAME.ptx of the build's test kernels (SIM_KERNEL_DIR). */
void gpu_open(const char *name);
/* The same with a module's PTX text; may be called again with another one. PROBE_PTX=FILE keeps it (for
 * ptxas). */
void gpu_open_text(const char *ptx);
void gpu_close(void);

uint64_t gpu_alloc(size_t bytes); /* contents undefined */
uint64_t gpu_zeros(size_t bytes);
uint64_t gpu_upload(const void *from, size_t bytes);
void gpu_download(void *to, uint64_t from, size_t bytes);
void gpu_free(uint64_t memory);

/* Launches a kernel of the module and waits for it. args: pointers to the arguments, NULL at the end. */
void gpu_launch(const char *kernel, gpu_dim grid, gpu_dim block, unsigned shared_bytes, void **args);
#define GPU_ARGS(...) ((void *[]){__VA_ARGS__, NULL})
/* The same, giving the error of launch or synchronisation instead of stopping. */
int gpu_launch_status(const char *kernel, gpu_dim grid, gpu_dim block, unsigned shared_bytes, void **args);

/*
 * Runs tests() in child processes: on the simulator with all checks for GPUSIM_SEED 0 to seeds - 1 (any
 * finding fails), on a real driver once. Returns main's exit code. tests() returns the number of failed
 * tests.
 */
int gpu_run_seeds(int seeds, int (*tests)(void));

/* One finding of the simulator's report (GPUSIM_REPORT). What the report gives as null is "" here. */
typedef struct {
    uint32_t block[3], thread[3];
    char source[128]; /* "file.cu:line" */
} gpu_party;
typedef struct {
    char kind[32], kernel[64], message[256];
    gpu_party at, other;
    bool has_other;
    uint64_t address;
    uint32_t bytes;
} gpu_finding;

/*
 * Runs body(shared) in a child process, on the simulator with all checks and the given seed, and gives what
 * it reported, at most `most`; its words on standard error are dropped. shared: 4 numbers that the child
 * hands back. Returns the number of findings in all. A child that ends by a signal or with an exit code other
 * than 0 stops the test.
 */
int gpu_run_findings(int seed, void (*body)(uint64_t *shared), uint64_t shared[4], gpu_finding *found,
                     int most);
/* Whether libcuda.so.1 is the simulator's. */
bool gpu_is_simulated(void);
/* Any call of the library, by its exported name, once gpu_open has been called: *(void **)function is set. */
void gpu_find(const char *name, void *function);
void *gpu_kernel(const char *name);

/* A number below `bound`, keyed by seed and index; a value in -1..1. */
uint32_t gpu_pick(uint64_t seed, uint64_t index, uint32_t bound);
float gpu_value(uint64_t seed, uint64_t index);

#endif
