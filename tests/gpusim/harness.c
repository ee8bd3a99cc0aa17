#include "tests/gpusim/harness.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/philox.h"

/* The calls that tests need, by their exported names. */
static struct {
    void *library;
    int (*init)(unsigned flags);
    int (*device_get)(int *device, int ordinal);
    int (*context_create)(void **context, unsigned flags, int device);
    int (*context_destroy)(void *context);
    int (*synchronize)(void);
    int (*alloc)(uint64_t *memory, size_t bytes);
    int (*release)(uint64_t memory);
    int (*set8)(uint64_t memory, unsigned char value, size_t count);
    int (*to_device)(uint64_t to, const void *from, size_t bytes);
    int (*to_host)(void *to, uint64_t from, size_t bytes);
    int (*load)(void **module, const void *image);
    int (*function)(void **function, void *module, const char *name);
    int (*launch)(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                  unsigned bz, unsigned shared, void *stream, void **args, void **extra);
    void *context, *module;
} gpu;

static void stop(const char *what, int code)
{
    fprintf(stderr, "harness: %s (%d)\n", what, code);
    exit(1);
}

static void ok(int code, const char *what)
{
    if (code != 0) {
        stop(what, code);
    }
}

void gpu_find(const char *name, void *function)
{
    void *symbol = dlsym(gpu.library, name);
    if (symbol == NULL) {
        stop(name, -1);
    }
    memcpy(function, &symbol, sizeof symbol);
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        stop(path, -1);
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *text = calloc(1, (size_t)size + 1);
    if (fread(text, 1, (size_t)size, file) != (size_t)size) {
        stop(path, -1);
    }
    fclose(file);
    return text;
}

static void open_library(void)
{
    gpu.library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (gpu.library == NULL) {
        stop(dlerror(), -1);
    }
    gpu_find("cuInit", &gpu.init);
    gpu_find("cuDeviceGet", &gpu.device_get);
    gpu_find("cuCtxCreate_v2", &gpu.context_create);
    gpu_find("cuCtxDestroy_v2", &gpu.context_destroy);
    gpu_find("cuCtxSynchronize", &gpu.synchronize);
    gpu_find("cuMemAlloc_v2", &gpu.alloc);
    gpu_find("cuMemFree_v2", &gpu.release);
    gpu_find("cuMemsetD8_v2", &gpu.set8);
    gpu_find("cuMemcpyHtoD_v2", &gpu.to_device);
    gpu_find("cuMemcpyDtoH_v2", &gpu.to_host);
    gpu_find("cuModuleLoadData", &gpu.load);
    gpu_find("cuModuleGetFunction", &gpu.function);
    gpu_find("cuLaunchKernel", &gpu.launch);
}

static void keep_text(const char *ptx, const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(ptx, file) < 0 || fclose(file) != 0) {
        fprintf(stderr, "PROBE_PTX: %s cannot be written\n", path);
        exit(1);
    }
}

void gpu_open_text(const char *ptx)
{
    int device;
    if (getenv("PROBE_PTX") != NULL) {
        keep_text(ptx, getenv("PROBE_PTX"));
    }
    if (gpu.context == NULL) {
        open_library();
        ok(gpu.init(0), "cuInit");
        ok(gpu.device_get(&device, 0), "cuDeviceGet");
        ok(gpu.context_create(&gpu.context, 0, device), "cuCtxCreate");
    }
    ok(gpu.load(&gpu.module, ptx), "cuModuleLoadData");
}

void gpu_open(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.ptx", SIM_KERNEL_DIR, name);
    char *text = read_text(path);
    gpu_open_text(text);
    free(text);
}

void gpu_close(void)
{
    ok(gpu.context_destroy(gpu.context), "cuCtxDestroy");
    gpu.context = NULL;
}

uint64_t gpu_alloc(size_t bytes)
{
    uint64_t memory = 0;
    ok(gpu.alloc(&memory, bytes), "cuMemAlloc");
    return memory;
}

uint64_t gpu_zeros(size_t bytes)
{
    uint64_t memory = gpu_alloc(bytes);
    ok(gpu.set8(memory, 0, bytes), "cuMemsetD8");
    return memory;
}

uint64_t gpu_upload(const void *from, size_t bytes)
{
    uint64_t memory = gpu_alloc(bytes);
    ok(gpu.to_device(memory, from, bytes), "cuMemcpyHtoD");
    return memory;
}

void gpu_download(void *to, uint64_t from, size_t bytes)
{
    ok(gpu.to_host(to, from, bytes), "cuMemcpyDtoH");
}

void gpu_free(uint64_t memory)
{
    ok(gpu.release(memory), "cuMemFree");
}

void *gpu_kernel(const char *name)
{
    void *function;
    ok(gpu.function(&function, gpu.module, name), name);
    return function;
}

int gpu_launch_status(const char *kernel, gpu_dim grid, gpu_dim block, unsigned shared_bytes, void **args)
{
    void *function = gpu_kernel(kernel);
    int code = gpu.launch(function, grid.x, grid.y, grid.z, block.x, block.y, block.z, shared_bytes, NULL,
                          args, NULL);
    return code != 0 ? code : gpu.synchronize();
}

void gpu_launch(const char *kernel, gpu_dim grid, gpu_dim block, unsigned shared_bytes, void **args)
{
    ok(gpu_launch_status(kernel, grid, block, shared_bytes, args), kernel);
}

/* A child's life: the environment of one seed, the tests, and nothing in the report. */
static void run_child(int seed, int (*tests)(void), const char *report)
{
    char number[16];
    snprintf(number, sizeof number, "%d", seed);
    setenv("GPUSIM_SEED", number, 1);
    setenv("GPUSIM_REPORT", report, 1);
    exit(tests() == 0 ? 0 : 1);
}

/* The simulator exports a name that no driver has. */
bool gpu_is_simulated(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    bool simulated = library != NULL && dlsym(library, "gpusim_version") != NULL;
    if (library != NULL) {
        dlclose(library);
    }
    return simulated;
}

static long size_of(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return 0;
    }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    fclose(file);
    return size;
}

int gpu_run_seeds(int seeds, int (*tests)(void))
{
    int failed = 0;
    seeds = gpu_is_simulated() ? seeds : 1;
    for (int seed = 0; seed < seeds; seed++) {
        char report[] = "/tmp/gpusim-report-XXXXXX";
        close(mkstemp(report));
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            run_child(seed, tests, report);
        }
        int status = 1;
        waitpid(child, &status, 0);
        long findings = size_of(report);
        if (status != 0 || findings != 0) {
            fprintf(stderr, "seed %d: status %d, %ld bytes of findings\n", seed, status, findings);
            failed = 1;
        }
        unlink(report);
    }
    return failed;
}

/* ---- findings ---- */

/* The text of "name":"..." behind *at, and *at behind it; "" for null. */
static void take_text(const char **at, const char *name, char *to, size_t size)
{
    const char *p = strstr(*at, name);
    size_t used = 0;
    if (p == NULL) {
        stop(name, -1);
    }
    p += strlen(name);
    if (*p == '"') {
        for (p++; *p != '"' && *p != 0; p++) {
            p += *p == '\\';
            if (used + 1 < size) {
                to[used++] = *p;
            }
        }
    }
    to[used] = 0;
    *at = p;
}

static void take_party(const char **at, gpu_party *party)
{
    take_text(at, "\"source\":", party->source, sizeof party->source);
    uint32_t *b = party->block, *t = party->thread;
    const char *p = strstr(*at, "\"block\":");
    if (p == NULL || sscanf(p, "\"block\":[%u,%u,%u],\"thread\":[%u,%u,%u]", &b[0], &b[1], &b[2], &t[0],
                            &t[1], &t[2]) != 6) {
        stop("a report without block and thread", -1);
    }
    *at = p;
}

static void take_finding(const char *line, gpu_finding *f)
{
    unsigned long long address = 0;
    *f = (gpu_finding){.has_other = strstr(line, "\"other\":{") != NULL};
    take_text(&line, "\"kind\":", f->kind, sizeof f->kind);
    take_text(&line, "\"kernel\":", f->kernel, sizeof f->kernel);
    take_party(&line, &f->at);
    line = strstr(line, "\"address\":");
    if (line == NULL || sscanf(line, "\"address\":%llu,\"bytes\":%u", &address, &f->bytes) != 2) {
        stop("a report without address", -1);
    }
    f->address = address;
    if (f->has_other) {
        take_party(&line, &f->other);
    }
    take_text(&line, "\"message\":", f->message, sizeof f->message);
}

static void run_reported(int seed, void (*body)(uint64_t *shared), uint64_t *shared, const char *report)
{
    char number[16];
    int nowhere = open("/dev/null", O_WRONLY);
    snprintf(number, sizeof number, "%d", seed);
    setenv("GPUSIM_SEED", number, 1);
    setenv("GPUSIM_REPORT", report, 1);
    unsetenv("GPUSIM_FATAL");
    dup2(nowhere, STDERR_FILENO);
    body(shared);
    exit(0);
}

int gpu_run_findings(int seed, void (*body)(uint64_t *shared), uint64_t shared[4], gpu_finding *found,
                     int most)
{
    char report[] = "/tmp/gpusim-report-XXXXXX";
    uint64_t *common = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status = 1, count = 0;
    close(mkstemp(report));
    memcpy(common, shared, 4 * sizeof *common);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        run_reported(seed, body, common, report);
    }
    waitpid(child, &status, 0);
    char *text = read_text(report);
    if (status != 0) {
        fprintf(stderr, "%s", text);
        stop("a child with findings failed, status", status);
    }
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, count++) {
        *end = 0;
        if (count < most) {
            take_finding(line, &found[count]);
        }
    }
    memcpy(shared, common, 4 * sizeof *common);
    munmap(common, 4096);
    free(text);
    unlink(report);
    return count;
}

uint32_t gpu_pick(uint64_t seed, uint64_t index, uint32_t bound)
{
    return sa_philox_block(seed, index, 0).word[0] % bound;
}

float gpu_value(uint64_t seed, uint64_t index)
{
    return (float)sa_philox_block(seed, index, 0).word[0] / 2147483648.0f - 1.0f;
}
