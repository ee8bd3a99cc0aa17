/*
 * Modules, launches, limits, occupancy, profile, injected faults. Numbers of occupancy are worked out by hand
 * from the programming guide's table of compute capabilities; beside each stands how.
 */
#include "tests/gpusim/scenario.h"

enum { WORDS = 1000 };

/* ---- modules ---- */

static void modules(void)
{
    CUmodule module;
    CUfunction f;
    CUdeviceptr address;
    size_t bytes;
    int value = 0;
    unsigned count;
    const char *name;
    scenario_open();
    OK(cuModuleGetGlobal(&address, &bytes, scenario_module, "counter"));
    OK(cuMemcpyDtoH(&value, address, sizeof value));
    WANT(bytes == 4 && value == 41);
    GIVES(cuModuleGetFunction(&f, scenario_module, "bumps"), CUDA_ERROR_NOT_FOUND);
    GIVES(cuModuleGetGlobal(&address, &bytes, scenario_module, "counters"), CUDA_ERROR_NOT_FOUND);
    OK(cuModuleGetFunctionCount(&count, scenario_module));
    WANT(count == 5);
    OK(cuFuncGetName(&name, scenario_kernel("fill")));
    WANT(strcmp(name, "fill") == 0);
    size_t offset, size;
    OK(cuFuncGetParamInfo(scenario_kernel("fill"), 2, &offset, &size));
    WANT(offset == 12 && size == 4);
    GIVES(cuFuncGetParamInfo(scenario_kernel("fill"), 3, &offset, &size), CUDA_ERROR_INVALID_VALUE);
    OK(cuModuleLoadData(&module, scenario_ptx)); /* the same again, apart from the first */
    OK(cuModuleUnload(module));
    GIVES(cuModuleUnload(module), CUDA_ERROR_INVALID_HANDLE);
    GIVES(cuModuleGetFunction(&f, module, "bump"), CUDA_ERROR_INVALID_HANDLE);
    OK(cuModuleUnload(scenario_module));
}

static void bad_modules(void)
{
    static const char wrong[] =
        ".version 8.0\n.target sm_80\n.address_size 64\n"
        ".visible .entry k()\n{\n.reg .b32 %r<2>;\nfrobnicate.b32 %r1, %r1;\nret;\n}\n";
    CUmodule module;
    char log[256] = "";
    CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *values[] = {log, (void *)sizeof log};
    scenario_open();
    GIVES(cuModuleLoadDataEx(&module, wrong, 2, options, values), CUDA_ERROR_INVALID_PTX);
    WANT(strstr(log, "frobnicate") && strchr(log, '7'));
    GIVES(cuModuleLoadData(&module, "nonsense"), CUDA_ERROR_NO_BINARY_FOR_GPU);
    GIVES(cuModuleLoadData(&module, "\177ELF\2\1\1"), CUDA_ERROR_NO_BINARY_FOR_GPU);
    GIVES(cuModuleLoad(&module, "/nonexistent/file.ptx"), CUDA_ERROR_FILE_NOT_FOUND);
    GIVES(cuModuleLoadData(&module, NULL), CUDA_ERROR_INVALID_VALUE);
}

static void libraries(void)
{
    CUlibrary library;
    CUkernel kernel;
    CUfunction f;
    CUdeviceptr p;
    uint32_t out;
    unsigned n = 1, value = 5;
    scenario_open();
    OK(cuLibraryLoadData(&library, scenario_ptx, NULL, NULL, 0, NULL, NULL, 0));
    OK(cuLibraryGetKernel(&kernel, library, "fill"));
    OK(cuKernelGetFunction(&f, kernel));
    OK(cuMemAlloc(&p, 4));
    void *params[] = {&p, &n, &value};
    OK(cuLaunchKernel((CUfunction)kernel, 1, 1, 1, 32, 1, 1, 0, 0, params, NULL));
    OK(cuMemcpyDtoH(&out, p, 4));
    WANT(out == 5);
    OK(cuLibraryUnload(library));
    OK(cuMemFree(p));
}

/* ---- launches ---- */

static CUresult try_launch(const char *name, unsigned grid, unsigned threads, unsigned shared)
{
    CUdeviceptr p = 0;
    unsigned n = 0, value = 0; /* no thread does anything but for "wide" */
    void *params[] = {&p, &n, &value};
    return cuLaunchKernel(scenario_kernel(name), grid, 1, 1, threads, 1, 1, shared, 0, params, NULL);
}

static void limits(void)
{
    int value;
    scenario_open();
    OK(try_launch("bump", 1, 1024, 0));
    GIVES(try_launch("bump", 1, 1025, 0), CUDA_ERROR_INVALID_VALUE);
    GIVES(try_launch("bump", 0, 32, 0), CUDA_ERROR_INVALID_VALUE);
    GIVES(try_launch("wide", 1, 257, 0), CUDA_ERROR_INVALID_VALUE); /* .maxntid 256 */
    GIVES(cuLaunchKernel(scenario_kernel("bump"), 1, 65536, 1, 1, 1, 1, 0, 0, (void *[]){0, 0}, NULL),
          CUDA_ERROR_INVALID_VALUE);
    GIVES(cuLaunchKernel(scenario_kernel("bump"), 1, 1, 1, 1, 1, 1, 0, 0, NULL, NULL),
          CUDA_ERROR_INVALID_VALUE);
    /* 48 KB without opting in, static ones included; 227 KB (H100) with it */
    OK(try_launch("bump", 1, 32, 48 << 10));
    GIVES(try_launch("bump", 1, 32, (48 << 10) + 1), CUDA_ERROR_INVALID_VALUE);
    CUfunction bump = scenario_kernel("bump"), wide = scenario_kernel("wide");
    OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, wide));
    WANT(value == 47 << 10);
    OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, wide));
    WANT(value == 1 << 10);
    OK(cuFuncSetAttribute(bump, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 227 << 10));
    OK(try_launch("bump", 1, 32, 227 << 10));
    GIVES(try_launch("bump", 1, 32, (227 << 10) + 1), CUDA_ERROR_INVALID_VALUE);
    GIVES(cuFuncSetAttribute(wide, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 227 << 10),
          CUDA_ERROR_INVALID_VALUE);
    OK(cuFuncSetAttribute(wide, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 226 << 10));
    OK(cuCtxSynchronize());
}

/* Parameters in one buffer, and by cuLaunchKernelEx; clusters are refused. */
static void forms(void)
{
    CUdeviceptr p;
    uint32_t out[WORDS];
    scenario_open();
    OK(cuMemAlloc(&p, sizeof out));
    struct {
        CUdeviceptr p;
        unsigned n, value;
    } buffer = {p, WORDS, 12};
    size_t size = sizeof buffer;
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &buffer, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
                     CU_LAUNCH_PARAM_END};
    OK(cuLaunchKernel(scenario_kernel("fill"), 8, 1, 1, 128, 1, 1, 0, 0, NULL, extra));
    size = 12; /* too few bytes */
    GIVES(cuLaunchKernel(scenario_kernel("fill"), 8, 1, 1, 128, 1, 1, 0, 0, NULL, extra),
          CUDA_ERROR_INVALID_VALUE);
    CUlaunchAttribute cluster = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, .value.clusterDim = {1, 1, 1}};
    CUlaunchConfig config = {.gridDimX = 8,
                             .gridDimY = 1,
                             .gridDimZ = 1,
                             .blockDimX = 128,
                             .blockDimY = 1,
                             .blockDimZ = 1,
                             .attrs = &cluster,
                             .numAttrs = 1};
    unsigned n = WORDS;
    void *params[] = {&p, &n};
    OK(cuLaunchKernelEx(&config, scenario_kernel("bump"), params, NULL));
    cluster.value.clusterDim.x = 2;
    GIVES(cuLaunchKernelEx(&config, scenario_kernel("bump"), params, NULL), CUDA_ERROR_NOT_SUPPORTED);
    OK(cuMemcpyDtoH(out, p, sizeof out));
    WANT(out[0] == 13 && out[WORDS - 1] == 13);
    OK(cuMemFree(p));
}

/* ---- occupancy ---- */

static int blocks_of(const char *name, int threads, size_t shared)
{
    int blocks = -1;
    OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, scenario_kernel(name), threads, shared));
    return blocks;
}

/* PTX alone: registers are not known and don't count. */
static void occupancy(void)
{
    int grid, block;
    size_t bytes;
    const char *device = getenv("GPUSIM_DEVICE");
    bool is_4090 = strcmp(device, "rtx4090") == 0, is_a100 = strcmp(device, "a100") == 0;
    scenario_open();
    WANT(blocks_of("bump", 32, 0) == (is_4090 ? 24 : 32)); /* blocks */
    WANT(blocks_of("bump", 256, 0) == (is_4090 ? 6 : 8));  /* 1536 or 2048 threads by 256 */
    WANT(blocks_of("bump", 1024, 0) == (is_4090 ? 1 : 2)); /* 1.5 blocks don't fit */
    WANT(blocks_of("bump", 65, 0) == (is_4090 ? 16 : 21)); /* 3 warps of 48 or 64 */
    /* 32 KB and 1 KB of the system: 100, 164, 228 KB by 33 */
    WANT(blocks_of("bump", 128, 32 << 10) == (is_4090 ? 3 : is_a100 ? 4 : 6));
    /* 1 KB static: 100, 164, 228 KB by 34 */
    WANT(blocks_of("wide", 128, 32 << 10) == (is_4090 ? 2 : is_a100 ? 4 : 6));
    OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, scenario_kernel("wide"), NULL, 0, 0));
    WANT(block == 256 && grid == (is_4090 ? 6 * 128 : is_a100 ? 8 * 108 : 8 * 132));
    /* two blocks: half of the shared memory each, less 1 KB of the system and 1 KB static */
    OK(cuOccupancyAvailableDynamicSMemPerBlock(&bytes, scenario_kernel("wide"), 2, 128));
    WANT(bytes == (is_4090 ? 48u << 10 : is_a100 ? 80u << 10 : 112u << 10));
}

/* ---- the device ---- */

static int attribute(CUdevice_attribute which)
{
    int value = -1;
    OK(cuDeviceGetAttribute(&value, which, 0));
    return value;
}

static void device(void)
{
    int count, version, least, greatest;
    char name[64];
    size_t total;
    CUdevice d;
    CUcontext context, popped;
    GIVES(cuDeviceGetCount(&count), CUDA_ERROR_NOT_INITIALIZED);
    OK(cuDriverGetVersion(&version));
    WANT(version == 12040);
    GIVES(cuInit(1), CUDA_ERROR_INVALID_VALUE);
    OK(cuInit(0));
    OK(cuDeviceGetCount(&count));
    WANT(count == 1);
    GIVES(cuDeviceGet(&d, 1), CUDA_ERROR_INVALID_DEVICE);
    OK(cuDeviceGet(&d, 0));
    OK(cuDeviceGetName(name, sizeof name, d));
    WANT(strstr(name, "A100") && strstr(name, "simulated"));
    OK(cuDeviceTotalMem(&total, d));
    WANT(total == 80ull << 30);
    WANT(attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) == 8);
    WANT(attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR) == 0);
    WANT(attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT) == 108);
    WANT(attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN) == 163 << 10);
    WANT(attribute(CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH) == 0);
    GIVES(cuMemAlloc((CUdeviceptr *)&total, 1), CUDA_ERROR_INVALID_CONTEXT);
    OK(cuCtxCreate(&context, NULL, 0, d));
    OK(cuCtxGetStreamPriorityRange(&least, &greatest));
    WANT(least == 0 && greatest < 0);
    OK(cuCtxSetLimit(CU_LIMIT_PRINTF_FIFO_SIZE, 12345));
    OK(cuCtxGetLimit(&total, CU_LIMIT_PRINTF_FIFO_SIZE));
    WANT(total == 12345);
    OK(cuCtxPopCurrent(&popped));
    WANT(popped == context);
    GIVES(cuCtxSynchronize(), CUDA_ERROR_INVALID_CONTEXT);
    OK(cuCtxPushCurrent(context));
    OK(cuCtxDestroy(context));
    GIVES(cuCtxPushCurrent(context), CUDA_ERROR_INVALID_CONTEXT);
}

static void names(void)
{
    const char *text;
    void *address = NULL;
    CUdriverProcAddressQueryResult status;
    OK(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
    WANT(strcmp(text, "CUDA_ERROR_ILLEGAL_ADDRESS") == 0);
    OK(cuGetErrorString(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
    WANT(strcmp(text, "illegal address") == 0);
    GIVES(cuGetErrorName((CUresult)12345, &text), CUDA_ERROR_INVALID_VALUE);
    OK(cuGetProcAddress("cuMemAlloc", &address, 12000, 0, &status));
    WANT(address == (void *)(uintptr_t)cuMemAlloc && status == CU_GET_PROC_ADDRESS_SUCCESS);
    OK(cuGetProcAddress("cuCtxCreate", &address, 13000, 0, &status));
    WANT(address == (void *)(uintptr_t)cuCtxCreate);
    OK(cuGetProcAddress("cuCtxCreate", &address, 11000, 0, &status));
    WANT(address && address != (void *)(uintptr_t)cuCtxCreate);
    OK(cuGetProcAddress("cuCtxCreate", &address, 2000, 0, &status));
    WANT(!address && status == CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
    OK(cuGetProcAddress("cuFrobnicate", &address, 13000, 0, &status));
    WANT(!address && status == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
}

static void refused(void)
{
    CUtexObject texture;
    CUdeviceptr managed;
    scenario_open();
    GIVES(cuTexObjectCreate(&texture, NULL, NULL, NULL), CUDA_ERROR_NOT_SUPPORTED);
    GIVES(cuMemAllocManaged(&managed, 16, CU_MEM_ATTACH_GLOBAL), CUDA_ERROR_NOT_SUPPORTED);
}

/* ---- faults ---- */

static void second_launch_refused(void)
{
    scenario_open();
    OK(try_launch("bump", 1, 32, 0));
    GIVES(try_launch("bump", 1, 32, 0), CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
    OK(try_launch("bump", 1, 32, 0));
    OK(cuCtxSynchronize());
}

static void second_launch_traps(void)
{
    CUdeviceptr p;
    scenario_open();
    OK(try_launch("bump", 1, 32, 0));
    OK(cuCtxSynchronize());
    OK(try_launch("bump", 1, 32, 0));
    OK(try_launch("bump", 1, 32, 0));
    GIVES(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
    GIVES(cuMemAlloc(&p, 4), CUDA_ERROR_LAUNCH_FAILED);
    GIVES(cuStreamSynchronize(0), CUDA_ERROR_LAUNCH_FAILED);
}

/* Calls are counted from cuInit on. */
static void lost(void)
{
    CUdevice d;
    CUdeviceptr p;
    OK(cuInit(0));                                      /* 1 */
    OK(cuDeviceGet(&d, 0));                             /* 2 */
    OK(cuDevicePrimaryCtxRetain(&scenario_context, d)); /* 3 */
    OK(cuCtxSetCurrent(scenario_context));              /* 4 */
    OK(cuMemAlloc(&p, 4));                              /* 5 */
    GIVES(cuMemFree(p), CUDA_ERROR_DEVICE_UNAVAILABLE); /* 6: lost */
    GIVES(cuCtxSynchronize(), CUDA_ERROR_DEVICE_UNAVAILABLE);
    GIVES(cuDeviceGetCount(&d), CUDA_ERROR_DEVICE_UNAVAILABLE);
}

static void work_for_profile(void)
{
    CUdeviceptr p;
    scenario_open();
    OK(cuMemAlloc(&p, 4 * WORDS));
    OK(scenario_fill(p, WORDS, 1, 0));
    OK(scenario_bump(p, WORDS, 0));
    OK(scenario_bump(p, WORDS, 0));
    void *params[] = {&p};
    OK(cuLaunchKernel(scenario_kernel("tally"), 8, 1, 1, 128, 1, 1, 0, 0, params, NULL));
    OK(cuLaunchKernel(scenario_kernel("crowd"), 2, 1, 1, 32, 1, 1, 0, 0, NULL, NULL));
    OK(cuCtxSynchronize());
    OK(cuMemFree(p));
}

static void fatal(void)
{
    uint32_t word;
    CUdeviceptr p;
    scenario_open();
    OK(cuMemAlloc(&p, 4));
    cuMemcpyDtoH(&word, p + 4, 4);
    puts("still here");
}

static const scenario scenarios[] = {
    {"modules", modules},
    {"bad_modules", bad_modules},
    {"libraries", libraries},
    {"limits", limits},
    {"forms", forms},
    {"occupancy", occupancy},
    {"device", device},
    {"names", names},
    {"refused", refused},
    {"second_launch_refused", second_launch_refused},
    {"second_launch_traps", second_launch_traps},
    {"lost", lost},
    {"work_for_profile", work_for_profile},
    {"fatal", fatal},
    {NULL, NULL},
};

/* ---- tests ---- */

static void test_modules(void **state)
{
    (void)state;
    scenario_clean("modules", SWITCHES());
    scenario_clean("bad_modules", SWITCHES());
    scenario_clean("libraries", SWITCHES());
}

static void test_launches(void **state)
{
    (void)state;
    scenario_clean("limits", SWITCHES("GPUSIM_DEVICE=h100"));
    scenario_clean("forms", SWITCHES());
    scenario_clean("forms", SWITCHES("GPUSIM_STRICT=1"));
}

static void test_occupancy(void **state)
{
    (void)state;
    scenario_clean("occupancy", SWITCHES("GPUSIM_DEVICE=h100"));
    scenario_clean("occupancy", SWITCHES("GPUSIM_DEVICE=a100"));
    scenario_clean("occupancy", SWITCHES("GPUSIM_DEVICE=rtx4090"));
}

static void test_device(void **state)
{
    (void)state;
    scenario_clean("device", SWITCHES("GPUSIM_DEVICE=a100", "GPUSIM_DRIVER_VERSION=12040"));
    scenario_clean("names", SWITCHES());
}

static void test_refused(void **state)
{
    (void)state;
    scenario_result result = scenario_run("refused", SWITCHES());
    assert_int_equal(result.code, 0);
    assert_non_null(strstr(result.text, "gpusim: cuTexObjectCreate is not implemented"));
    assert_non_null(strstr(result.text, "gpusim: cuMemAllocManaged is not implemented"));
    scenario_done(&result);
}

static void test_faults(void **state)
{
    (void)state;
    scenario_clean("second_launch_refused", SWITCHES("GPUSIM_FAIL_LAUNCH=2"));
    scenario_clean("second_launch_traps", SWITCHES("GPUSIM_TRAP_LAUNCH=2"));
    scenario_clean("second_launch_traps", SWITCHES("GPUSIM_TRAP_LAUNCH=2", "GPUSIM_STRICT=1"));
    scenario_clean("lost", SWITCHES("GPUSIM_LOST_AT=6"));
}

static void test_fatal(void **state)
{
    (void)state;
    scenario_result result = scenario_run("fatal", SWITCHES());
    assert_int_equal(result.code, 0);
    assert_non_null(strstr(result.text, "still here"));
    scenario_done(&result);
    result = scenario_run("fatal", SWITCHES("GPUSIM_FATAL=1"));
    assert_int_equal(result.code, -SIGABRT);
    assert_null(strstr(result.text, "still here"));
    assert_int_equal(scenario_count(&result, "out_of_bounds", "cuMemcpyDtoH"), 1);
    scenario_done(&result);
}

static long long number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

/* One line per launch, and the counters of 1000 threads in 8 blocks of 4 warps that each read and write a
 * word. */
static void test_profile(void **state)
{
    (void)state;
    char path[] = "/tmp/gpusim-profile-XXXXXX", set[64];
    close(mkstemp(path));
    snprintf(set, sizeof set, "GPUSIM_PROFILE=%s", path);
    scenario_clean("work_for_profile", SWITCHES(set));
    json_t *lines = scenario_read_lines(path);
    assert_int_equal(json_array_size(lines), 5);
    const json_t *bump = json_array_get(lines, 1), *estimate = json_object_get(bump, "estimate");
    assert_string_equal(json_string_value(json_object_get(bump, "kernel")), "bump");
    assert_int_equal(number(bump, "sectors_read"), 125); /* 4000 bytes */
    assert_int_equal(number(bump, "sectors_written"), 125);
    assert_int_equal(number(bump, "least_sectors_read"), 125);
    assert_int_equal(number(bump, "least_sectors_written"), 125);
    assert_int_equal(number(bump, "global_bytes_asked"), 8000);
    assert_int_equal(number(json_object_get(bump, "instructions"), "ld_global"), 32);
    assert_int_equal(number(bump, "tensor_flops"), 0);
    assert_int_equal(number(json_object_get(bump, "occupancy"), "blocks"), 16); /* 2048 threads by 128 */
    /* 250 sectors of 32 bytes at 3.352 TB/s */
    double us = json_real_value(json_object_get(json_object_get(estimate, "h100"), "memory_us"));
    assert_true(us >= 0.0015 && us <= 0.0035);
    /* 32 warps that all read one sector and add to another: what the second-level cache moves, and memory. */
    const json_t *tally = json_array_get(lines, 3);
    assert_int_equal(number(tally, "sectors_read"), 64);
    assert_int_equal(number(tally, "sectors_written"), 32);
    assert_int_equal(number(tally, "least_sectors_read"), 2);
    assert_int_equal(number(tally, "least_sectors_written"), 1);
    assert_int_equal(json_array_size(json_object_get(tally, "conflict_lines")), 0);
    /* Two warps of 32 passes each, and where. */
    const json_t *crowd = json_array_get(lines, 4), *worst = json_object_get(crowd, "conflict_lines");
    assert_int_equal(number(crowd, "shared_passes"), 64);
    assert_int_equal(number(crowd, "shared_conflicts"), 62);
    assert_int_equal(json_array_size(worst), 1);
    assert_int_equal(number(json_array_get(worst, 0), "conflicts"), 62);
    assert_true(number(json_array_get(worst, 0), "ptx_line") > 0);
    assert_true(json_is_null(json_object_get(json_array_get(worst, 0), "source")));
    json_decref(lines);
    unlink(path);
}

static void test_profile_table(void **state)
{
    (void)state;
    scenario_result result = scenario_run("work_for_profile", SWITCHES("GPUSIM_PROFILE=-"));
    assert_int_equal(result.code, 0);
    assert_non_null(strstr(result.text, "h100 est"));
    assert_non_null(strstr(result.text, "\nbump "));
    assert_non_null(strstr(result.text, "\nfill "));
    scenario_done(&result);
}

int main(int argc, char **argv)
{
    scenario_main(argc, argv, scenarios);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modules), cmocka_unit_test(test_launches), cmocka_unit_test(test_occupancy),
        cmocka_unit_test(test_device),  cmocka_unit_test(test_refused),  cmocka_unit_test(test_faults),
        cmocka_unit_test(test_fatal),   cmocka_unit_test(test_profile),  cmocka_unit_test(test_profile_table),
    };
    return cmocka_run_group_tests_name("driver kernels", tests, NULL, NULL);
}
