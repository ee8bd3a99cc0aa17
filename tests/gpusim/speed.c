/*
 * How fast the simulator is: processor time of a launch, which other programs on the machine lengthen less
 * than they do wall time; the least of some launches. No test: run it by hand, with GPUSIM_CHECK=none and
 * without.
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

enum { BLOCKS = 64, THREADS = 256, REPEATS = 15, COUNT = BLOCKS * THREADS };

typedef struct {
    double instructions, tensor;
} launch_cost;

static char profile[] = "/tmp/gpusim-speed-XXXXXX";

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double number_after(const char *line, const char *key)
{
    const char *at = strstr(line, key);
    return at == NULL ? 0 : strtod(at + strlen(key), NULL);
}

/* What the profile counted of a kernel's launches, which are all the same. */
static launch_cost counts_of(const char *kernel)
{
    static char line[1 << 16];
    launch_cost cost = {0};
    FILE *file = fopen(profile, "r");
    while (file != NULL && cost.instructions == 0 && fgets(line, sizeof line, file) != NULL) {
        if (strstr(line, kernel) != NULL) {
            cost.instructions = number_after(line, "\"warp_instructions\":");
            cost.tensor = number_after(line, "\"tensor\":");
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    if (cost.instructions == 0) {
        fprintf(stderr, "gpusim_speed: no launch of %s in %s\n", kernel, profile);
        exit(1);
    }
    return cost;
}

/* The least processor time of a launch; the first ones warm up. */
static double run(const char *kernel, uint64_t in, uint64_t out, int rounds)
{
    double least = 1e9;
    for (int i = 0; i < REPEATS; i++) {
        const double start = processor_seconds();
        gpu_launch(kernel, (gpu_dim){BLOCKS, 1, 1}, (gpu_dim){THREADS, 1, 1}, 0,
                   GPU_ARGS(&in, &out, &rounds));
        const double took = processor_seconds() - start;
        least = took < least ? took : least;
    }
    return least;
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
    const double mixing = run("mix", in, out, 500), multiplying = run("products", words, out, 100);
    gpu_free(in);
    gpu_free(words);
    gpu_free(out);
    free(values);
    gpu_close();
    const launch_cost mix = counts_of("\"mix\""), products = counts_of("\"products\"");
    printf("integer and f32 mix: %.0f million warp instructions/s a core\n", mix.instructions / mixing / 1e6);
    printf("mma m16n8k16 bf16: %.1f ns a core\n", multiplying * 1e9 / products.tensor);
    unlink(profile);
    return 0;
}
