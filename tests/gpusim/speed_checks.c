/*
 * What all checks cost in processor time: two kernels with GPUSIM_CHECK=none and with all, in processes of
 * their own, by turns.
 * No test: run it by hand.
 *
 *   LD_LIBRARY_PATH=build/release/gpusim build/release/tests/gpusim/gpusim_speed_checks
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/gpusim/harness.h"

enum { N = 512, ROUNDS = 3 };
static const char *const kernels[] = {"matmul", "gemm"};
enum { KERNELS = 2 };

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Small numbers that are right as f32 and as pairs of bf16. */
static uint64_t numbers(void)
{
    uint32_t *host = malloc((size_t)N * N * 4);
    for (size_t i = 0; i < (size_t)N * N; i++) {
        host[i] = 0x3f003f00 | (gpu_pick(1, i, 0x7f) << 16) | gpu_pick(2, i, 0x7f);
    }
    uint64_t memory = gpu_upload(host, (size_t)N * N * 4);
    free(host);
    return memory;
}

/* The fastest of three launches; the first one warms up. */
static void measure(double to[KERNELS])
{
    gpu_open("speed_checks");
    uint64_t a = numbers(), b = numbers(), c = gpu_alloc((size_t)N * N * 4);
    int n = N;
    for (int k = 0; k < KERNELS; k++) {
        gpu_dim grid = k == 0 ? (gpu_dim){N / 16, N / 16, 1} : (gpu_dim){N / 64, N / 64, 1};
        gpu_dim block = k == 0 ? (gpu_dim){16, 16, 1} : (gpu_dim){128, 1, 1};
        for (int i = 0; i < 4; i++) {
            double start = processor_seconds();
            gpu_launch(kernels[k], grid, block, 0, GPU_ARGS(&a, &b, &c, &n));
            double took = processor_seconds() - start;
            to[k] = i == 1 || (i > 1 && took < to[k]) ? took : to[k];
        }
    }
    gpu_free(a);
    gpu_free(b);
    gpu_free(c);
    gpu_close();
}

static void measure_apart(const char *checks, double to[KERNELS])
{
    int ends[2];
    if (pipe(ends) != 0) {
        abort();
    }
    pid_t child = fork();
    if (child == 0) {
        setenv("GPUSIM_CHECK", checks, 1);
        measure(to);
        exit(write(ends[1], to, KERNELS * sizeof *to) == (ssize_t)(KERNELS * sizeof *to) ? 0 : 1);
    }
    close(ends[1]);
    if (read(ends[0], to, KERNELS * sizeof *to) != (ssize_t)(KERNELS * sizeof *to)) {
        fprintf(stderr, "gpusim_speed_checks: no times from the child\n");
        exit(1);
    }
    close(ends[0]);
    waitpid(child, NULL, 0);
}

int main(void)
{
    double best[2][KERNELS] = {{1e9, 1e9}, {1e9, 1e9}};
    for (int round = 0; round < ROUNDS; round++) {
        for (int checked = 0; checked < 2; checked++) {
            double took[KERNELS] = {0};
            measure_apart(checked ? "all" : "none", took);
            for (int k = 0; k < KERNELS; k++) {
                best[checked][k] = took[k] < best[checked][k] ? took[k] : best[checked][k];
            }
        }
    }
    for (int k = 0; k < KERNELS; k++) {
        printf("%s of %d: %.0f ms without checks, %.0f ms with all: %.1f times\n", kernels[k], N,
               best[0][k] * 1e3, best[1][k] * 1e3, best[1][k] / best[0][k]);
    }
    return 0;
}
