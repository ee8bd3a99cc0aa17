/*
 * GPUSIM_PROFILE=FILE: one JSON object per launch; GPUSIM_PROFILE=-: a table by kernel on standard error at
 * the end of the program. Counters come from the launch (sim.h), times of a100 and h100 from roofline.c and
 * are estimates.
 */
#include "tests/gpusim/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/access.h"
#include "tests/gpusim/report.h"

static const char *const class_names[SIM_CLASSES] = {
    [SIM_CLASS_INT] = "int",
    [SIM_CLASS_F32] = "f32",
    [SIM_CLASS_F64] = "f64",
    [SIM_CLASS_F16] = "f16",
    [SIM_CLASS_CVT] = "cvt",
    [SIM_CLASS_SFU] = "sfu",
    [SIM_CLASS_TENSOR] = "tensor",
    [SIM_CLASS_LD_GLOBAL] = "ld_global",
    [SIM_CLASS_ST_GLOBAL] = "st_global",
    [SIM_CLASS_LD_SHARED] = "ld_shared",
    [SIM_CLASS_ST_SHARED] = "st_shared",
    [SIM_CLASS_LOCAL] = "local",
    [SIM_CLASS_CONST] = "const",
    [SIM_CLASS_ATOMIC] = "atomic",
    [SIM_CLASS_ASYNC] = "async",
    [SIM_CLASS_WARP] = "warp",
    [SIM_CLASS_BARRIER] = "barrier",
    [SIM_CLASS_BRANCH] = "branch",
    [SIM_CLASS_MOVE] = "move",
};

/* A kernel's launches taken together. */
typedef struct {
    char *kernel;
    uint64_t launches, registers, least; /* least: distinct sectors, summed over launches */
    sim_counters sum;
    double seconds, a100, h100, occupancy; /* estimated us; occupancy summed over launches */
} row;

static struct {
    FILE *file;
    row *rows;
    size_t count, capacity;
} state;

static uint64_t all_instructions(const sim_counters *c)
{
    uint64_t sum = 0;
    for (int i = 0; i < SIM_CLASSES; i++) {
        sum += c->instructions[i];
    }
    return sum;
}

/* Share of a multiprocessor's warps that the launch's blocks can fill. */
static double occupancy(const sim_gpu *gpu, const sim_launch *launch, uint32_t *blocks, const char **limit)
{
    uint32_t threads = launch->block[0] * launch->block[1] * launch->block[2];
    *blocks = sim_occupancy_blocks(gpu, launch->kernel, threads, launch->dynamic_shared, limit);
    return (double)*blocks * ((threads + 31) / 32) / (gpu->threads / 32);
}

/* ---- JSON ---- */

static void write_counters(FILE *f, const sim_counters *c)
{
    fputs("\"instructions\":{", f);
    for (int i = 0; i < SIM_CLASSES; i++) {
        fprintf(f, "%s\"%s\":%llu", i ? "," : "", class_names[i], (unsigned long long)c->instructions[i]);
    }
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"warp_instructions", all_instructions(c)},
        {"lane_instructions", c->lanes},
        {"branches", c->branches},
        {"divergent_branches", c->divergent_branches},
        {"tensor_flops", c->tensor_flops},
        {"global_requests", c->global_requests},
        {"global_bytes_asked", c->global_bytes_asked},
        {"sectors_read", c->sectors_read},
        {"sectors_written", c->sectors_written},
        {"shared_requests", c->shared_requests},
        {"shared_passes", c->shared_passes},
        {"shared_conflicts", c->shared_conflicts},
        {"atomics", c->atomics},
    };
    fputc('}', f);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        fprintf(f, ",\"%s\":%llu", numbers[i].name, (unsigned long long)numbers[i].value);
    }
}

static void write_estimate(FILE *f, const char *key, const sim_launch *launch, const sim_counters *c,
                           const sim_touched *least)
{
    sim_estimate e = sim_roofline(sim_gpu_named(key), launch, c, least);
    fprintf(f,
            "\"%s\":{\"us\":%.3f,\"bound\":\"%s\",\"memory_us\":%.3f,\"l2_us\":%.3f,\"tensor_us\":%.3f,"
            "\"issue_us\":%.3f}",
            key, e.total, e.bound, e.memory, e.l2, e.tensor, e.issue);
}

/* Where bank conflicts come from, the worst instructions first. */
static void write_conflicts(FILE *f)
{
    sim_conflict worst[64];
    size_t count = sim_conflicts_end(worst, sizeof worst / sizeof worst[0]);
    fputs(",\"conflict_lines\":[", f);
    for (size_t i = 0; i < count; i++) {
        const sim_line *line = worst[i].line;
        fprintf(f, "%s{\"ptx_line\":%u,\"source\":", i ? "," : "", line->ptx_line);
        if (line->file) {
            fprintf(f, "\"%s:%u\"", line->file, line->file_line);
        } else {
            fputs("null", f);
        }
        fprintf(f, ",\"conflicts\":%llu}", (unsigned long long)worst[i].conflicts);
    }
    fputc(']', f);
}

static void write_launch(FILE *f, const sim_gpu *gpu, const sim_launch *l, const sim_counters *c,
                         const sim_touched *least, double seconds)
{
    const char *limit;
    uint32_t blocks;
    double share = occupancy(gpu, l, &blocks, &limit);
    fprintf(f,
            "{\"kernel\":\"%s\",\"number\":%llu,\"stream\":%llu,\"grid\":[%u,%u,%u],\"block\":[%u,%u,%u],"
            "\"dynamic_shared\":%u,\"static_shared\":%u,\"registers\":%u,\"spill_bytes\":%u,\"simulated_"
            "seconds\":%.6f,",
            l->kernel->name, (unsigned long long)l->number, (unsigned long long)l->stream, l->grid[0],
            l->grid[1], l->grid[2], l->block[0], l->block[1], l->block[2], l->dynamic_shared,
            l->kernel->shared_bytes, l->kernel->registers, l->kernel->spill_bytes, seconds);
    write_counters(f, c);
    fprintf(f, ",\"least_sectors_read\":%llu,\"least_sectors_written\":%llu",
            (unsigned long long)least->sectors_read, (unsigned long long)least->sectors_written);
    write_conflicts(f);
    fprintf(f,
            ",\"occupancy\":{\"device\":\"%s\",\"blocks\":%u,\"share\":%.3f,\"limit\":\"%s\"},\"estimate\":{",
            gpu->key, blocks, share, limit);
    write_estimate(f, "a100", l, c, least);
    fputc(',', f);
    write_estimate(f, "h100", l, c, least);
    fputs("}}\n", f);
    fflush(f);
}

/* ---- the table ---- */

static row *row_of(const char *kernel)
{
    for (size_t i = 0; i < state.count; i++) {
        if (strcmp(state.rows[i].kernel, kernel) == 0) {
            return &state.rows[i];
        }
    }
    if (state.count == state.capacity) {
        state.capacity = state.capacity ? 2 * state.capacity : 32;
        state.rows = realloc(state.rows, state.capacity * sizeof *state.rows);
        if (!state.rows) {
            abort();
        }
    }
    row *r = &state.rows[state.count++];
    memset(r, 0, sizeof *r);
    r->kernel = strdup(kernel); /* its module may be gone at the end */
    return r;
}

static void add_row(const sim_gpu *gpu, const sim_launch *launch, const sim_counters *c,
                    const sim_touched *least, double seconds)
{
    row *r = row_of(launch->kernel->name);
    const char *limit;
    uint32_t blocks;
    const uint64_t *from = (const uint64_t *)(const void *)c;
    uint64_t *to = (uint64_t *)(void *)&r->sum; /* uint64_t all through, as grid.c asserts */
    for (size_t i = 0; i < sizeof *c / sizeof *from; i++) {
        to[i] += from[i];
    }
    r->launches++;
    r->least += least->sectors_read + least->sectors_written;
    r->registers = launch->kernel->registers;
    r->seconds += seconds;
    r->occupancy += occupancy(gpu, launch, &blocks, &limit);
    r->a100 += sim_roofline(sim_gpu_named("a100"), launch, c, least).total;
    r->h100 += sim_roofline(sim_gpu_named("h100"), launch, c, least).total;
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static int by_time(const void *a, const void *b)
{
    const row *x = a, *y = b;
    return (x->h100 < y->h100) - (x->h100 > y->h100);
}

static void print_table(FILE *f)
{
    qsort(state.rows, state.count, sizeof *state.rows, by_time);
    fprintf(f, "%-32s %8s %9s %9s %9s %9s %8s %7s %5s %5s %9s %9s\n", "kernel", "launches", "M instr",
            "tensor GF", "MB moved", "MB least", "conflict", "diverge", "regs", "occup", "a100 est",
            "h100 est");
    for (size_t i = 0; i < state.count; i++) {
        const row *r = &state.rows[i];
        const sim_counters *c = &r->sum;
        fprintf(f, "%-32s %8llu %9.3f %9.3f %9.3f %9.3f %7.2f%% %6.2f%% %5llu %4.0f%% %6.1f us %6.1f us\n",
                r->kernel, (unsigned long long)r->launches, 1e-6 * (double)all_instructions(c),
                1e-9 * (double)c->tensor_flops, 32e-6 * (double)(c->sectors_read + c->sectors_written),
                32e-6 * (double)r->least, 100 * ratio((double)c->shared_conflicts, (double)c->shared_passes),
                100 * ratio((double)c->divergent_branches, (double)c->branches),
                (unsigned long long)r->registers, 100 * r->occupancy / (double)r->launches, r->a100, r->h100);
    }
    fputs("a100 est, h100 est: estimates by a roofline of memory, second-level cache, tensor cores and "
          "issue slots; no measurement\n",
          f);
}

void sim_profile_launch(const sim_gpu *gpu, const sim_launch *launch, const sim_counters *counters,
                        const sim_touched *least, double seconds)
{
    if (strcmp(sim_options.profile, "-") == 0) {
        sim_conflicts_end(NULL, 0);
        add_row(gpu, launch, counters, least, seconds);
        return;
    }
    if (!state.file && !(state.file = fopen(sim_options.profile, "a"))) {
        fprintf(stderr, "gpusim: GPUSIM_PROFILE=%s can't be written\n", sim_options.profile);
        exit(2);
    }
    write_launch(state.file, gpu, launch, counters, least, seconds);
}

void sim_profile_close(void)
{
    if (state.count) {
        print_table(stderr);
    }
    for (size_t i = 0; i < state.count; i++) {
        free(state.rows[i].kernel);
    }
    free(state.rows);
    state.rows = NULL;
    state.count = state.capacity = 0;
    if (state.file) {
        fclose(state.file);
        state.file = NULL;
    }
}
