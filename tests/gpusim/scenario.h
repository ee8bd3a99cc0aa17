/*
 * Tests of the simulated driver: a scenario is a function of the test program that runs in a child process,
 * with switches of its own in the environment, since the simulator reads them once. The test looks at how the
 * child ended, what it said and what it reported. For programs with one main(): it calls scenario_main()
 * first.
 */
#ifndef GPUSIM_SCENARIO_H
#define GPUSIM_SCENARIO_H

#include <cuda.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct {
    const char *name;
    void (*run)(void);
} scenario;

/* ---- in the child ---- */

/* The statement, its line and what it gave; exit code 1. */
#define WANT(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                          \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)
#define GIVES(call, expected)                                                                                \
    do {                                                                                                     \
        CUresult scenario_code = (call);                                                                     \
        if (scenario_code != (expected)) {                                                                   \
            fprintf(stderr, "%s:%d: %s: %d, not %d\n", __FILE__, __LINE__, #call, scenario_code, expected);  \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)
#define OK(call) GIVES(call, CUDA_SUCCESS)

/*
 * bump(p, n): every one of n words gets 1 more. fill(p, n, value). wide: 1 KB of static shared memory.
 * tally(p): word 0 gets word 16 more from every thread. crowd: the words of shared memory that a warp writes
 * lie in one bank.
 */
static const char scenario_ptx[] =
    ".version 8.0\n.target sm_80\n.address_size 64\n"
    ".visible .global .align 4 .u32 counter = 41;\n"
    ".visible .entry bump(.param .u64 p, .param .u32 n)\n{\n"
    ".reg .b32 %r<6>;\n.reg .b64 %rd<4>;\n.reg .pred %q;\n"
    "ld.param.u64 %rd1, [p];\nld.param.u32 %r1, [n];\n"
    "mov.u32 %r2, %ctaid.x;\nmov.u32 %r3, %ntid.x;\nmov.u32 %r4, %tid.x;\nmad.lo.s32 %r2, %r2, %r3, %r4;\n"
    "setp.ge.u32 %q, %r2, %r1;\n@%q bra done;\n"
    "cvta.to.global.u64 %rd1, %rd1;\nmul.wide.u32 %rd2, %r2, 4;\nadd.s64 %rd3, %rd1, %rd2;\n"
    "ld.global.u32 %r5, [%rd3];\nadd.s32 %r5, %r5, 1;\nst.global.u32 [%rd3], %r5;\n"
    "done:\nret;\n}\n"
    ".visible .entry fill(.param .u64 p, .param .u32 n, .param .u32 value)\n{\n"
    ".reg .b32 %r<6>;\n.reg .b64 %rd<4>;\n.reg .pred %q;\n"
    "ld.param.u64 %rd1, [p];\nld.param.u32 %r1, [n];\nld.param.u32 %r5, [value];\n"
    "mov.u32 %r2, %ctaid.x;\nmov.u32 %r3, %ntid.x;\nmov.u32 %r4, %tid.x;\nmad.lo.s32 %r2, %r2, %r3, %r4;\n"
    "setp.ge.u32 %q, %r2, %r1;\n@%q bra done;\n"
    "cvta.to.global.u64 %rd1, %rd1;\nmul.wide.u32 %rd2, %r2, 4;\nadd.s64 %rd3, %rd1, %rd2;\n"
    "st.global.u32 [%rd3], %r5;\n"
    "done:\nret;\n}\n"
    ".visible .entry wide(.param .u64 p)\n.maxntid 256, 1, 1\n{\n"
    ".shared .align 4 .b8 room[1024];\n.reg .b32 %r<3>;\n.reg .b64 %rd<2>;\n"
    "mov.u32 %r1, 7;\nst.shared.u32 [room], %r1;\nld.param.u64 %rd1, [p];\nst.global.u32 [%rd1], "
    "%r1;\nret;\n}\n"
    ".visible .entry tally(.param .u64 p)\n{\n.reg .b32 %r<2>;\n.reg .b64 %rd<2>;\n"
    "ld.param.u64 %rd1, [p];\nld.global.u32 %r1, [%rd1+64];\nred.global.add.u32 [%rd1], %r1;\nret;\n}\n"
    ".visible .entry crowd()\n{\n.shared .align 4 .b8 bank[4096];\n.reg .b32 %r<4>;\n"
    "mov.u32 %r1, bank;\nmov.u32 %r2, %tid.x;\nmad.lo.u32 %r3, %r2, 128, %r1;\n"
    "st.shared.u32 [%r3], %r2;\nret;\n}\n";

static CUcontext scenario_context;
static CUmodule scenario_module;

/* cuInit, a context, the module above. */
static inline void scenario_open(void)
{
    CUdevice device;
    OK(cuInit(0));
    OK(cuDeviceGet(&device, 0));
    OK(cuDevicePrimaryCtxRetain(&scenario_context, device));
    OK(cuCtxSetCurrent(scenario_context));
    OK(cuModuleLoadData(&scenario_module, scenario_ptx));
}

static inline CUfunction scenario_kernel(const char *name)
{
    CUfunction f;
    OK(cuModuleGetFunction(&f, scenario_module, name));
    return f;
}

static inline CUresult scenario_bump(CUdeviceptr p, unsigned n, CUstream stream)
{
    void *params[] = {&p, &n};
    return cuLaunchKernel(scenario_kernel("bump"), (n + 127) / 128, 1, 1, 128, 1, 1, 0, stream, params, NULL);
}

static inline CUresult scenario_fill(CUdeviceptr p, unsigned n, unsigned value, CUstream stream)
{
    void *params[] = {&p, &n, &value};
    return cuLaunchKernel(scenario_kernel("fill"), (n + 127) / 128, 1, 1, 128, 1, 1, 0, stream, params, NULL);
}

/* ---- in the parent ---- */

typedef struct {
    int code;         /* exit code, or minus the signal */
    char text[16384]; /* standard output and error */
    json_t *findings; /* array of what GPUSIM_REPORT holds */
} scenario_result;

static inline json_t *scenario_read_lines(const char *path)
{
    json_t *array = json_array();
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t size = 0;
    while (f && getline(&line, &size, f) > 0) {
        json_error_t error;
        json_t *object = json_loads(line, 0, &error);
        assert_non_null(object); /* each line is JSON by itself */
        json_array_append_new(array, object);
    }
    free(line);
    if (f) {
        fclose(f);
    }
    return array;
}

static inline void scenario_child(const char *name, const char *const *switches, const char *report, int out)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    for (; *switches; switches++) {
        putenv((char *)(uintptr_t)*switches);
    }
    setenv("GPUSIM_REPORT", report, 1);
    dup2(out, 1);
    dup2(out, 2);
    execl(self, self, name, (char *)NULL);
    _exit(127);
}

/* Runs a scenario with switches "GPUSIM_STRICT=1", ... (NULL at the end). Free with scenario_done(). */
static inline scenario_result scenario_run(const char *name, const char *const *switches)
{
    scenario_result result = {0};
    char report[] = "/tmp/gpusim-report-XXXXXX", output[] = "/tmp/gpusim-output-XXXXXX";
    int report_file = mkstemp(report), out = mkstemp(output), status;
    assert_true(report_file >= 0 && out >= 0);
    pid_t child = fork();
    if (child == 0) {
        scenario_child(name, switches, report, out);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    lseek(out, 0, SEEK_SET);
    ssize_t n = read(out, result.text, sizeof result.text - 1);
    result.text[n > 0 ? n : 0] = '\0';
    result.findings = scenario_read_lines(report);
    close(report_file);
    close(out);
    unlink(report);
    unlink(output);
    return result;
}
#define SWITCHES(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static inline void scenario_done(scenario_result *result)
{
    json_decref(result->findings);
}

/* Findings of a kind whose message holds `part`. */
static inline size_t scenario_count(const scenario_result *result, const char *kind, const char *part)
{
    size_t count = 0, i;
    json_t *finding;
    json_array_foreach(result->findings, i, finding) {
        const char *message = json_string_value(json_object_get(finding, "message"));
        count += strcmp(json_string_value(json_object_get(finding, "kind")), kind) == 0 &&
                 strstr(message, part) != NULL;
    }
    return count;
}

/* The scenario ended with exit code 0; otherwise what it said is shown. */
static inline void scenario_passed(const scenario_result *result)
{
    if (result->code) {
        print_error("%s", result->text);
    }
    assert_int_equal(result->code, 0);
}

/* Ended well, and nothing was found. */
static inline void scenario_clean(const char *name, const char *const *switches)
{
    scenario_result result = scenario_run(name, switches);
    if (json_array_size(result.findings)) {
        print_error("%s", result.text);
    }
    scenario_passed(&result);
    assert_int_equal(json_array_size(result.findings), 0);
    scenario_done(&result);
}

/* Ended well, with exactly one finding, of this kind and with `part` in its message. */
static inline void scenario_finds(const char *name, const char *const *switches, const char *kind,
                                  const char *part)
{
    scenario_result result = scenario_run(name, switches);
    if (scenario_count(&result, kind, part) != 1 || json_array_size(result.findings) != 1) {
        print_error("%s", result.text);
    }
    scenario_passed(&result);
    assert_int_equal(scenario_count(&result, kind, part), 1);
    assert_int_equal(json_array_size(result.findings), 1);
    scenario_done(&result);
}

/* Runs the scenario that the command line names and ends, or returns without one. */
static inline void scenario_main(int argc, char **argv, const scenario *scenarios)
{
    for (; argc > 1 && scenarios->name; scenarios++) {
        if (strcmp(scenarios->name, argv[1]) == 0) {
            scenarios->run();
            exit(0);
        }
    }
    if (argc > 1) {
        fprintf(stderr, "no scenario %s\n", argv[1]);
        exit(1);
    }
}

#endif
