/*
 * segagent doctor: what this build and this machine can do, and for each missing piece what it would give. It
 * only looks; nothing is changed, and nothing that it does not find is an error.
 */
#include <stddef.h>
#include <stdio.h>
/* needs the two above it */
#include <jpeglib.h>
#include <stdlib.h>
#include <string.h>

#ifdef SEGAGENT_HAVE_DNNL
#include <oneapi/dnnl/dnnl.h>
#endif

#include "runtime/base/sizes.h"
#include "runtime/cli/cli.h"
#include "runtime/cli/machine.h"
#include "runtime/device/cpu_level.h"
#include "runtime/device/cuda_probe.h"

#define TEXT_OF(x) TEXT_OF_MACRO(x)
#define TEXT_OF_MACRO(x) #x

typedef struct {
    const char *name;
    char version[64]; /* "" if it is not there */
    const char *gives;
} library;

enum { LIBRARIES = 4 };

typedef struct {
    sa_machine machine;
    sa_cuda_probe cuda;
    char chosen[16];      /* the device that auto takes; "" if none opens */
    char chosen_why[384]; /* in a sentence */
    library libraries[LIBRARIES];
    bool cpu_opens;
    sa_error cpu_error; /* why not */
    char ops[32];       /* the level in use */
    int threads;
    size_t most_available; /* bytes that a model may take */
} findings;

static const char *compiler_name(void)
{
#if defined(__clang__)
    return "clang " __clang_version__;
#elif defined(__GNUC__)
    return "gcc " __VERSION__;
#else
    return "unknown";
#endif
}

static const char *sanitizer_name(void)
{
#if defined(__SANITIZE_ADDRESS__)
    return "address";
#elif defined(__SANITIZE_THREAD__)
    return "thread";
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    return "address";
#elif __has_feature(thread_sanitizer)
    return "thread";
#endif
#endif
    return "none";
}

static bool is_compiled(sa_cpu_level level)
{
    switch (level) {
    case SA_CPU_PLAIN: return true;
#ifdef SEGAGENT_HAVE_AVX2
    case SA_CPU_AVX2: return true;
#endif
#ifdef SEGAGENT_HAVE_AVX512
    case SA_CPU_AVX512: return true;
#endif
#ifdef SEGAGENT_HAVE_AVX512BF16
    case SA_CPU_AVX512BF16: return true;
#endif
    default: return false;
    }
}

static void find_libraries(library list[LIBRARIES])
{
    list[0] = (library){"libjpeg-turbo", "", "reading and writing JPEG"};
#ifdef LIBJPEG_TURBO_VERSION
    snprintf(list[0].version, sizeof list[0].version, "%s", TEXT_OF(LIBJPEG_TURBO_VERSION));
#else
    list[0].gives = "JPEG pixels equal to Pillow's (another libjpeg is compiled in)";
#endif
    list[1] = (library){"jansson", "", "reading JSON"};
    snprintf(list[1].version, sizeof list[1].version, "%s", jansson_version_str());
    list[2] = (library){"stb_image", "", "PNG, BMP and PNM"};
    snprintf(list[2].version, sizeof list[2].version, "%s", SEGAGENT_STB_VERSION);
    list[3] = (library){"oneDNN", "", "a second measure of the processor's ceiling in segagent bench"};
#ifdef SEGAGENT_HAVE_DNNL
    const dnnl_version_t *v = dnnl_version();
    snprintf(list[3].version, sizeof list[3].version, "%d.%d.%d", v->major, v->minor, v->patch);
#endif
}

static void find_device(const sa_cli *cli, findings *f)
{
    const sa_device_options options = {.name = "cpu", .threads = (int)cli->common.threads};
    sa_device *device;
    f->cpu_opens = sa_device_open(&device, &options, &f->cpu_error) == SA_OK;
    if (f->cpu_opens) {
        snprintf(f->ops, sizeof f->ops, "%s", sa_device_ops(device)->name);
        f->threads = sa_pool_threads(sa_device_pool(device));
        sa_device_close(device);
    }
}

/* What --device auto takes: opened for once, so that kernels which do not load are found here. */
static void find_choice(const sa_cli *cli, findings *f)
{
    const sa_device_options options = {.name = "auto", .threads = (int)cli->common.threads};
    sa_device *device;
    sa_error err;
    if (!f->cuda.usable) { /* the probe knows why; a driver that hung there must not be asked here */
        snprintf(f->chosen, sizeof f->chosen, "%s", f->cpu_opens ? "cpu" : "");
        snprintf(f->chosen_why, sizeof f->chosen_why, "%s", f->cuda.reason);
        return;
    }
    if (sa_device_open(&device, &options, &err) != SA_OK) {
        snprintf(f->chosen_why, sizeof f->chosen_why, "%.380s", err.reason);
        return;
    }
    snprintf(f->chosen, sizeof f->chosen, "%s", sa_device_name(device));
    snprintf(f->chosen_why, sizeof f->chosen_why, "%s", sa_device_note(device));
    sa_device_close(device);
}

static void find_all(const sa_cli *cli, findings *f)
{
    *f = (findings){0};
    sa_cuda_probe_run(&f->cuda); /* first: it forks, and there is one thread now */
    sa_machine_read(&f->machine);
    find_libraries(f->libraries);
    find_device(cli, f);
    find_choice(cli, f);
    const sa_machine *m = &f->machine;
    f->most_available = m->memory_available;
    if (m->memory_limit != 0) {
        f->most_available =
            sa_least(f->most_available, m->memory_limit - sa_least(m->memory_limit, m->memory_limit_used));
    }
}

/* What is not there, each with what it would give; calls `say` for every one. */
static void list_missing(const findings *f, void (*say)(void *context, const char *name, const char *gives),
                         void *context)
{
    for (int i = 0; i < LIBRARIES; i++) {
        if (f->libraries[i].version[0] == '\0') {
            say(context, f->libraries[i].name, f->libraries[i].gives);
        }
    }
    if (!f->cuda.compiled) {
        say(context, "CUDA backend", "NVIDIA GPUs (build with nvcc and -DSEGAGENT_CUDA=ON)");
    } else if (!f->cuda.usable) {
        say(context, "NVIDIA GPU", "a device many times as fast as the processor");
    }
    for (int level = SA_CPU_AVX2; level < SA_CPU_LEVELS; level++) {
        if (is_compiled((sa_cpu_level)level) && !sa_cpu_level_runs_here((sa_cpu_level)level)) {
            say(context, sa_cpu_level_name((sa_cpu_level)level),
                "faster arithmetic on processors that have these instructions");
        }
    }
}

static double gigabytes(size_t bytes)
{
    return (double)bytes / 1e9;
}

static void print_processor(const findings *f)
{
    const sa_machine *m = &f->machine;
    const char *override = getenv("SEGAGENT_ISA");
    printf("processor   %s (%s), %s\n", m->processor[0] != '\0' ? m->processor : "unknown", m->architecture,
           m->kernel);
    printf("levels     ");
    for (int i = 0; i < SA_CPU_LEVELS; i++) {
        sa_cpu_level level = (sa_cpu_level)i;
        const char *state = !is_compiled(level)              ? "not compiled"
                            : !sa_cpu_level_runs_here(level) ? "not on this processor"
                            : f->cpu_opens && strcmp(f->ops, sa_cpu_level_name(level)) == 0 ? "in use"
                                                                                            : "usable";
        printf(" %s: %s%s", sa_cpu_level_name(level), state, i + 1 < SA_CPU_LEVELS ? ";" : "\n");
    }
    if (override != NULL) {
        printf("            SEGAGENT_ISA=%s chose the level\n", override);
    }
    if (!f->cpu_opens) {
        printf("            the CPU device does not open: %s%s%s\n", f->cpu_error.reason,
               f->cpu_error.hint[0] != '\0' ? "; " : "", f->cpu_error.hint);
    }
    printf("threads     %d (%d processors online, %d usable here", f->threads, m->processors_online,
           m->processors_usable);
    if (m->processor_quota > 0) {
        printf(", quota of the control group %.2f", m->processor_quota);
    }
    printf(")\nmemory      %.1f GB total, %.1f GB available", gigabytes(m->memory_total),
           gigabytes(f->most_available));
    if (m->memory_limit != 0) {
        printf(" (control group: %.1f of %.1f GB used)", gigabytes(m->memory_limit_used),
               gigabytes(m->memory_limit));
    }
    printf("\n");
}

/* "13.0.2" of 130002; "" of 0. */
static const char *version_text(size_t version, char text[32])
{
    text[0] = '\0';
    if (version != 0) {
        snprintf(text, 32, "%zu.%zu.%zu", version / 10000, version / 100 % 100, version % 100);
    }
    return text;
}

static void print_cuda(const findings *f)
{
    const sa_cuda_probe *cuda = &f->cuda;
    char text[32];
    if (!cuda->usable) {
        printf("cuda        no: %s\n", cuda->reason);
    } else {
        printf("cuda        driver for CUDA %d.%d, %d device%s\n", cuda->driver_version / 1000,
               cuda->driver_version % 1000 / 10, cuda->device_count, cuda->device_count == 1 ? "" : "s");
    }
    if (cuda->compiled) {
        printf("            kernels of CUDA %d.%d, machine code for %s%s, PTX for others\n",
               cuda->toolkit / 1000, cuda->toolkit % 1000 / 10, cuda->archs[0] != '\0' ? "sm " : "none",
               cuda->archs);
    }
    for (int i = 0; cuda->usable && i < cuda->device_count && i < SA_CUDA_PROBE_MOST_DEVICES; i++) {
        const sa_cuda_probe_device *d = &cuda->devices[i];
        printf("            cuda:%d %s, compute capability %d.%d (%s), %d multiprocessors, %.1f GB", i,
               d->name, d->major, d->minor, d->machine_code ? "machine code" : "from PTX", d->multiprocessors,
               gigabytes(d->memory_bytes));
        if (d->free_known) {
            printf(", %.1f GB free", gigabytes(d->free_bytes));
        }
        printf("\n");
    }
    if (cuda->usable) {
        printf("            for --numerics fast: cuBLASLt %s",
               cuda->cublaslt != 0 ? version_text(cuda->cublaslt, text) : "(missing)");
        printf(", cuDNN %s\n", cuda->cudnn != 0 ? version_text(cuda->cudnn, text) : "(missing)");
    }
    printf("device      auto takes %s: %s\n", f->chosen[0] != '\0' ? f->chosen : "none", f->chosen_why);
}

static void print_missing(void *context, const char *name, const char *gives)
{
    (void)context;
    printf("missing     %s: would give %s\n", name, gives);
}

static void print_text(const findings *f)
{
    printf("segagent    %s, %s, build %s, sanitizer %s\n", SEGAGENT_VERSION, compiler_name(),
           SEGAGENT_BUILD_TYPE, sanitizer_name());
    print_processor(f);
    printf("libraries   ");
    for (int i = 0; i < LIBRARIES; i++) {
        const char *version = f->libraries[i].version;
        printf("%s %s%s", f->libraries[i].name, version[0] != '\0' ? version : "(missing)",
               i + 1 < LIBRARIES ? ", " : "\n");
    }
    print_cuda(f);
    list_missing(f, print_missing, NULL);
}

static void write_levels(sa_json_writer *w, const findings *f)
{
    sa_json_key(w, "levels");
    sa_json_begin_array(w);
    for (int i = 0; i < SA_CPU_LEVELS; i++) {
        sa_cpu_level level = (sa_cpu_level)i;
        bool compiled = is_compiled(level);
        sa_json_begin_object(w);
        sa_json_put_string(w, "name", sa_cpu_level_name(level));
        sa_json_put_bool(w, "compiled", compiled);
        sa_json_put_bool(w, "usable", compiled && sa_cpu_level_runs_here(level));
        sa_json_put_bool(w, "in_use", f->cpu_opens && strcmp(f->ops, sa_cpu_level_name(level)) == 0);
        sa_json_end_object(w);
    }
    sa_json_end_array(w);
}

static void write_processor(sa_json_writer *w, const findings *f)
{
    const sa_machine *m = &f->machine;
    sa_json_key(w, "cpu");
    sa_json_begin_object(w);
    sa_json_put_string(w, "name", m->processor);
    sa_json_put_string(w, "architecture", m->architecture);
    sa_json_put_string(w, "kernel", m->kernel);
    write_levels(w, f);
    sa_json_put_string(w, "isa_override", getenv("SEGAGENT_ISA"));
    sa_json_put_string(w, "error", f->cpu_opens ? NULL : f->cpu_error.reason);
    sa_json_end_object(w);
    sa_json_key(w, "threads");
    sa_json_begin_object(w);
    sa_json_put_int(w, "default", (size_t)f->threads);
    sa_json_put_int(w, "online", (size_t)m->processors_online);
    sa_json_put_int(w, "usable", (size_t)m->processors_usable);
    sa_json_put_f64(w, "quota", m->processor_quota);
    sa_json_end_object(w);
    sa_json_key(w, "memory");
    sa_json_begin_object(w);
    sa_json_put_int(w, "total", m->memory_total);
    sa_json_put_int(w, "available", f->most_available);
    sa_json_put_int(w, "limit", m->memory_limit);
    sa_json_put_int(w, "limit_used", m->memory_limit_used);
    sa_json_end_object(w);
}

static void write_gpu(sa_json_writer *w, const sa_cuda_probe_device *d)
{
    char capability[32];
    snprintf(capability, sizeof capability, "%d.%d", d->major, d->minor);
    sa_json_begin_object(w);
    sa_json_put_string(w, "name", d->name);
    sa_json_put_string(w, "compute_capability", capability);
    sa_json_put_int(w, "multiprocessors", (size_t)d->multiprocessors);
    sa_json_put_int(w, "memory", d->memory_bytes);
    sa_json_key(w, "free");
    if (d->free_known) {
        sa_json_int(w, (int64_t)d->free_bytes);
    } else {
        sa_json_null(w);
    }
    sa_json_put_bool(w, "machine_code", d->machine_code);
    sa_json_end_object(w);
}

static void write_cuda(sa_json_writer *w, const findings *f)
{
    const sa_cuda_probe *cuda = &f->cuda;
    sa_json_key(w, "cuda");
    sa_json_begin_object(w);
    sa_json_put_bool(w, "compiled", cuda->compiled);
    sa_json_put_bool(w, "found", cuda->usable);
    sa_json_put_string(w, "reason", cuda->usable ? NULL : cuda->reason);
    sa_json_put_int(w, "driver_version", (size_t)cuda->driver_version);
    sa_json_put_int(w, "toolkit_version", (size_t)cuda->toolkit);
    sa_json_put_string(w, "archs", cuda->compiled ? cuda->archs : NULL);
    sa_json_key(w, "devices");
    sa_json_begin_array(w);
    for (int i = 0; cuda->usable && i < cuda->device_count && i < SA_CUDA_PROBE_MOST_DEVICES; i++) {
        write_gpu(w, &cuda->devices[i]);
    }
    sa_json_end_array(w);
    char text[32];
    sa_json_put_string(w, "cublaslt", cuda->cublaslt != 0 ? version_text(cuda->cublaslt, text) : NULL);
    sa_json_put_string(w, "cudnn", cuda->cudnn != 0 ? version_text(cuda->cudnn, text) : NULL);
    sa_json_end_object(w);
    sa_json_key(w, "auto");
    sa_json_begin_object(w);
    sa_json_put_string(w, "device", f->chosen[0] != '\0' ? f->chosen : NULL);
    sa_json_put_string(w, "reason", f->chosen_why);
    sa_json_end_object(w);
}

static void write_missing(void *context, const char *name, const char *gives)
{
    sa_json_writer *w = context;
    sa_json_begin_object(w);
    sa_json_put_string(w, "name", name);
    sa_json_put_string(w, "gives", gives);
    sa_json_end_object(w);
}

static void write_json(const findings *f)
{
    sa_json_writer w = sa_json_writer_on(stdout);
    sa_json_begin_object(&w);
    sa_json_put_string(&w, "version", SEGAGENT_VERSION);
    sa_json_put_string(&w, "compiler", compiler_name());
    sa_json_put_string(&w, "build", SEGAGENT_BUILD_TYPE);
    sa_json_put_string(&w, "sanitizer", sanitizer_name());
    write_processor(&w, f);
    sa_json_key(&w, "libraries");
    sa_json_begin_array(&w);
    for (int i = 0; i < LIBRARIES; i++) {
        sa_json_begin_object(&w);
        sa_json_put_string(&w, "name", f->libraries[i].name);
        sa_json_put_string(&w, "version",
                           f->libraries[i].version[0] != '\0' ? f->libraries[i].version : NULL);
        sa_json_end_object(&w);
    }
    sa_json_end_array(&w);
    write_cuda(&w, f);
    sa_json_key(&w, "missing");
    sa_json_begin_array(&w);
    list_missing(f, write_missing, &w);
    sa_json_end_array(&w);
    sa_json_end_object(&w);
    sa_json_end_line(&w);
}

int sa_command_doctor(int argc, char **argv)
{
    static const sa_syntax syntax = {
        .name = "doctor",
        .summary = "Says what this build and this machine can do, and what is missing.",
        .usage = "[OPTION]...",
        .example = "segagent doctor --json",
    };
    sa_cli cli;
    int exit_code;
    if (!sa_cli_start(&cli, &syntax, argc, argv, &exit_code)) {
        return exit_code;
    }
    findings f;
    find_all(&cli, &f);
    if (cli.common.json) {
        write_json(&f);
    } else {
        print_text(&f);
    }
    return sa_cli_end(&cli, SA_OK, NULL);
}
