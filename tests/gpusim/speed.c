/*
 * How fast the simulator is, beside what these processors can do in the same minute. No test: run it by hand,
 * with GPUSIM_CHECK=none and without.
 *
 *   LD_LIBRARY_PATH=build/release/gpusim GPUSIM_CHECK=none build/release/tests/gpusim/gpusim_speed
 *
 * Warp instructions are those that the profile counts (GPUSIM_PROFILE), so that nothing is assumed of nvcc's
 * code.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/gpusim/harness.h"

enum { BLOCKS = 64, THREADS = 256, REPEATS = 5, COUNT = BLOCKS * THREADS };

typedef struct {
    double seconds, instructions, tensor;
} launch_cost;

static char profile[] = "/tmp/gpusim-speed-XXXXXX";

static double number_after(const char *line, const char *key)
{
    const char *at = strstr(line, key);
    return at == NULL ? 0 : strtod(at + strlen(key), NULL);
}

/* The launches of one kernel, in order; returns how many. */
static int read_profile(const char *kernel, launch_cost *costs, int limit)
{
    static char line[1 << 16];
    int count = 0;
    FILE *file = fopen(profile, "r");
    while (file != NULL && count < limit && fgets(line, sizeof line, file) != NULL) {
        if (strstr(line, kernel) != NULL) {
            costs[count++] = (launch_cost){number_after(line, "\"simulated_seconds\":"),
                                           number_after(line, "\"warp_instructions\":"),
                                           number_after(line, "\"tensor\":")};
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

static int by_seconds(const void *a, const void *b)
{
    double x = ((const launch_cost *)a)->seconds, y = ((const launch_cost *)b)->seconds;
    return (x > y) - (x < y);
}

static launch_cost median_of(const char *kernel)
{
    launch_cost costs[REPEATS] = {{0}};
    int count = read_profile(kernel, costs, REPEATS);
    if (count != REPEATS) {
        fprintf(stderr, "gpusim_speed: %d launches of %s in %s, not %d\n", count, kernel, profile, REPEATS);
        exit(1);
    }
    qsort(costs, REPEATS, sizeof costs[0], by_seconds);
    return costs[REPEATS / 2];
}

static void run(const char *kernel, uint64_t in, uint64_t out, int rounds)
{
    for (int i = 0; i < REPEATS; i++) {
        gpu_launch(kernel, (gpu_dim){BLOCKS, 1, 1}, (gpu_dim){THREADS, 1, 1}, 0,
                   GPU_ARGS(&in, &out, &rounds));
    }
}

/* Pairs of bf16 between 0.5 and 1 in every word. */
static uint64_t halves(size_t words)
{
    uint32_t *host = malloc(words * 4);
    for (size_t i = 0; i < words; i++) {
        host[i] = 0x3f003f00 | (gpu_pick(1, i, 0x7f) << 16) | gpu_pick(2, i, 0x7f);
    }
    uint64_t memory = gpu_upload(host, words * 4);
    free(host);
    return memory;
}

int main(void)
{
    close(mkstemp(profile));
    setenv("GPUSIM_PROFILE", profile, 1);
    float *values = malloc((COUNT + 1) * sizeof *values);
    for (int i = 0; i <= COUNT; i++) {
        values[i] = gpu_value(3, (uint64_t)i);
    }
    gpu_open("speed");
    uint64_t in = gpu_upload(values, (COUNT + 1) * 4), words = halves(COUNT * 6), out = gpu_alloc(COUNT * 32);
    run("mix", in, out, 500);
    run("products", words, out, 100);
    gpu_free(in);
    gpu_free(words);
    gpu_free(out);
    free(values);
    gpu_close();
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    launch_cost mix = median_of("\"mix\""), products = median_of("\"products\"");
    printf("integer and f32 mix: %.0f million warp instructions/s on %ld cores\n",
           mix.instructions / mix.seconds / 1e6, cores);
    printf("mma m16n8k16 bf16: %.0f ns a core\n", products.seconds * 1e9 * (double)cores / products.tensor);
    unlink(profile);
    return 0;
}
