/*
 * Streams, events, capture: work in its order, work held back (GPUSIM_STRICT=1), and the finding stream_order
 * where nothing orders two streams. Every planted bug has its clean twin.
 */
#include "tests/gpusim/scenario.h"

enum { WORDS = 1000 };

static CUdeviceptr words_on_device(void)
{
    CUdeviceptr p;
    OK(cuMemAlloc(&p, 4 * WORDS));
    return p;
}

static CUstream open_stream(void)
{
    CUstream stream;
    OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
    return stream;
}

static bool all_are(const uint32_t *words, uint32_t value)
{
    for (int i = 0; i < WORDS; i++) {
        if (words[i] != value) {
            return false;
        }
    }
    return true;
}

/* ---- work held back ---- */

/* In strict mode pinned memory has its old value until the host waits, and no longer. */
static void held_back(void)
{
    uint32_t *host;
    scenario_open();
    OK(cuMemAllocHost((void **)&host, 4 * WORDS));
    memset(host, 0, 4 * WORDS);
    CUdeviceptr p = words_on_device();
    CUstream stream = open_stream();
    OK(cuMemsetD32Async(p, 6, WORDS, stream));
    OK(scenario_bump(p, WORDS, stream));
    OK(cuMemcpyDtoHAsync(host, p, 4 * WORDS, stream));
    bool strict = getenv("GPUSIM_STRICT") != NULL;
    WANT(all_are(host, strict ? 0 : 7));
    OK(cuStreamSynchronize(stream));
    WANT(all_are(host, 7));
    OK(cuStreamDestroy(stream));
    OK(cuMemFree(p));
    OK(cuMemFreeHost(host));
}

/* Asynchronous copies take pageable memory at the call and pinned memory when they run. */
static void sources(void)
{
    uint32_t plain[WORDS] = {5}, *host, out[2];
    scenario_open();
    OK(cuMemAllocHost((void **)&host, 4 * WORDS));
    host[0] = 5;
    CUdeviceptr p = words_on_device();
    CUstream stream = open_stream();
    OK(cuMemcpyHtoDAsync(p, plain, 4, stream));
    OK(cuMemcpyHtoDAsync(p + 4, host, 4, stream));
    plain[0] = host[0] = 6;
    OK(cuStreamSynchronize(stream));
    OK(cuMemcpyDtoH(out, p, 8));
    WANT(out[0] == 5);
    WANT(out[1] == (getenv("GPUSIM_STRICT") ? 6 : 5));
    OK(cuStreamDestroy(stream));
    OK(cuMemFree(p));
    OK(cuMemFreeHost(host));
}

/* A loop of questions ends, with the work done. */
static void questions(void)
{
    uint32_t *host;
    CUevent event;
    scenario_open();
    OK(cuMemAllocHost((void **)&host, 4 * WORDS));
    OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    OK(cuEventQuery(event)); /* never recorded: done */
    CUdeviceptr p = words_on_device();
    CUstream stream = open_stream();
    OK(cuMemsetD32Async(p, 1, WORDS, stream));
    OK(cuMemcpyDtoHAsync(host, p, 4 * WORDS, stream));
    OK(cuEventRecord(event, stream));
    int asked = 0;
    for (CUresult code; (code = cuEventQuery(event)) != CUDA_SUCCESS; asked++) {
        WANT(code == CUDA_ERROR_NOT_READY && asked < 100);
    }
    WANT(all_are(host, 1) && (asked > 0) == (getenv("GPUSIM_STRICT") != NULL));
    OK(cuStreamQuery(stream));
    OK(cuEventDestroy(event));
    GIVES(cuEventQuery(event), CUDA_ERROR_INVALID_HANDLE);
    OK(cuStreamDestroy(stream));
    GIVES(cuStreamSynchronize(stream), CUDA_ERROR_INVALID_HANDLE);
    OK(cuMemFree(p));
    OK(cuMemFreeHost(host));
}

/* ---- order ---- */

/* One stream writes, another reads, with or without a wait between them. */
static void two_streams(bool waits)
{
    CUevent event;
    scenario_open();
    uint32_t host[WORDS];
    CUdeviceptr p = words_on_device(), q = words_on_device();
    CUstream a = open_stream(), b = open_stream();
    OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    OK(cuMemsetD32Async(p, 3, WORDS, a));
    OK(cuEventRecord(event, a));
    if (waits) {
        OK(cuStreamWaitEvent(b, event, 0));
    }
    OK(cuMemcpyDtoDAsync(q, p, 4 * WORDS, b));
    OK(cuStreamSynchronize(b));
    OK(cuMemcpyDtoH(host, q, 4 * WORDS));
    WANT(!waits || all_are(host, 3));
    OK(cuCtxSynchronize());
    OK(cuEventDestroy(event));
    OK(cuStreamDestroy(a));
    OK(cuStreamDestroy(b));
    OK(cuMemFree(p));
    OK(cuMemFree(q));
}

static void ordered(void)
{
    two_streams(true);
}

static void unordered(void)
{
    two_streams(false);
}

/* A kernel reads what a copy of another stream brings. */
static void kernel_and_copy(bool waits)
{
    CUevent event;
    uint32_t *host, out[WORDS];
    scenario_open();
    OK(cuMemAllocHost((void **)&host, 4 * WORDS));
    for (int i = 0; i < WORDS; i++) {
        host[i] = 9;
    }
    CUdeviceptr p = words_on_device();
    CUstream copier = open_stream(), worker = open_stream();
    OK(cuMemsetD8(p, 0, 4 * WORDS));
    OK(cuCtxSynchronize());
    OK(cuEventCreate(&event, 0));
    OK(cuMemcpyHtoDAsync(p, host, 4 * WORDS, copier));
    OK(cuEventRecord(event, copier));
    if (waits) {
        OK(cuStreamWaitEvent(worker, event, 0));
    }
    OK(scenario_bump(p, WORDS, worker));
    OK(cuStreamSynchronize(worker));
    OK(cuStreamSynchronize(copier));
    OK(cuMemcpyDtoH(out, p, sizeof out));
    WANT(!waits || all_are(out, 10));
    OK(cuEventDestroy(event));
    OK(cuStreamDestroy(copier));
    OK(cuStreamDestroy(worker));
    OK(cuMemFree(p));
    OK(cuMemFreeHost(host));
}

static void kernel_waits(void)
{
    kernel_and_copy(true);
}

static void kernel_does_not_wait(void)
{
    kernel_and_copy(false);
}

/* Two streams that read the same and write apart need nothing between them. */
static void readers(void)
{
    scenario_open();
    CUdeviceptr p = words_on_device(), q[2] = {words_on_device(), words_on_device()};
    CUstream s[2] = {open_stream(), open_stream()};
    OK(cuMemsetD32(p, 3, WORDS));
    OK(cuCtxSynchronize());
    for (int i = 0; i < 2; i++) {
        OK(cuMemcpyDtoDAsync(q[i], p, 4 * WORDS, s[i]));
        OK(scenario_bump(q[i], WORDS, s[i]));
    }
    OK(cuCtxSynchronize());
    for (int i = 0; i < 2; i++) {
        OK(cuStreamDestroy(s[i]));
        OK(cuMemFree(q[i]));
    }
    OK(cuMemFree(p));
}

/* The default stream waits for blocking streams and they for it; non-blocking ones stay out. */
static void default_stream(void)
{
    uint32_t out[WORDS];
    CUstream blocking;
    scenario_open();
    CUdeviceptr p = words_on_device();
    OK(cuStreamCreate(&blocking, CU_STREAM_DEFAULT));
    OK(cuMemsetD32Async(p, 1, WORDS, blocking));
    OK(scenario_bump(p, WORDS, 0));
    OK(scenario_bump(p, WORDS, blocking));
    OK(cuMemcpyDtoH(out, p, sizeof out)); /* the default stream's: after all of these */
    WANT(all_are(out, 3));
    OK(cuStreamDestroy(blocking));
    OK(cuMemFree(p));
}

static void default_and_non_blocking(void)
{
    uint32_t out[WORDS];
    scenario_open();
    CUdeviceptr p = words_on_device();
    CUstream apart = open_stream();
    OK(cuMemsetD32(p, 0, WORDS));
    OK(cuCtxSynchronize());
    OK(cuMemsetD32Async(p, 1, WORDS, apart));
    OK(cuMemcpyDtoH(out, p, sizeof out));
    OK(cuStreamSynchronize(apart));
    OK(cuStreamDestroy(apart));
    OK(cuMemFree(p));
}

/* ---- memory in flight ---- */

static void freed_in_flight(void)
{
    scenario_open();
    CUdeviceptr p = words_on_device();
    CUstream stream = open_stream();
    OK(scenario_fill(p, WORDS, 1, stream));
    OK(cuMemFree(p));
    OK(cuStreamDestroy(stream));
}

static void freed_in_order(void)
{
    CUdeviceptr p;
    scenario_open();
    CUstream stream = open_stream();
    OK(cuMemAllocAsync(&p, 4 * WORDS, stream));
    OK(scenario_fill(p, WORDS, 1, stream));
    OK(cuMemFreeAsync(p, stream));
    GIVES(cuMemFreeAsync(p + 4, stream), CUDA_ERROR_INVALID_VALUE);
    OK(cuStreamSynchronize(stream));
    OK(cuStreamDestroy(stream));
}

static void used_behind_free(void)
{
    CUdeviceptr p;
    scenario_open();
    CUstream stream = open_stream();
    OK(cuMemAllocAsync(&p, 4 * WORDS, stream));
    OK(cuMemFreeAsync(p, stream));
    OK(scenario_fill(p, 1, 1, stream));
    GIVES(cuStreamSynchronize(stream), CUDA_ERROR_ILLEGAL_ADDRESS);
}

/* ---- host functions ---- */

static void note(void *data)
{
    CUdeviceptr p;
    GIVES(cuMemAlloc(&p, 4), CUDA_ERROR_NOT_PERMITTED);
    *(int *)data += 1;
}

static void CUDA_CB note_status(CUstream stream, CUresult status, void *data)
{
    WANT(stream && !status);
    *(int *)data += 10;
}

static void callbacks(void)
{
    int called = 0;
    scenario_open();
    CUstream stream = open_stream();
    OK(cuLaunchHostFunc(stream, note, &called));
    OK(cuStreamAddCallback(stream, note_status, &called, 0));
    OK(cuStreamSynchronize(stream));
    WANT(called == 11);
    OK(cuStreamDestroy(stream));
}

static void times(void)
{
    CUevent start, end, untimed;
    float ms = -1;
    scenario_open();
    CUdeviceptr p = words_on_device();
    OK(cuEventCreate(&start, 0));
    OK(cuEventCreate(&end, 0));
    OK(cuEventCreate(&untimed, CU_EVENT_DISABLE_TIMING));
    GIVES(cuEventElapsedTime(&ms, start, end), CUDA_ERROR_INVALID_HANDLE); /* not recorded */
    OK(cuEventRecord(start, 0));
    OK(scenario_fill(p, WORDS, 1, 0));
    OK(cuEventRecord(end, 0));
    OK(cuEventRecord(untimed, 0));
    OK(cuEventSynchronize(end));
    OK(cuEventElapsedTime(&ms, start, end));
    WANT(ms > 0 && ms < 10000);
    OK(cuCtxSynchronize());
    GIVES(cuEventElapsedTime(&ms, start, untimed), CUDA_ERROR_INVALID_HANDLE);
    OK(cuMemFree(p));
}

/* ---- graphs ---- */

/* Two streams captured into one graph, which runs three times, each time with what it finds in memory. */
static void graph(void)
{
    CUevent fork, join;
    CUgraph captured;
    CUgraphExec exec;
    CUstreamCaptureStatus status;
    uint32_t out[WORDS];
    size_t count;
    scenario_open();
    CUdeviceptr p = words_on_device(), q = words_on_device();
    CUstream a = open_stream(), b = open_stream();
    OK(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
    OK(cuEventCreate(&join, CU_EVENT_DISABLE_TIMING));
    OK(cuMemsetD32(p, 0, WORDS));
    OK(cuCtxSynchronize());
    OK(cuStreamBeginCapture(a, CU_STREAM_CAPTURE_MODE_GLOBAL));
    OK(scenario_bump(p, WORDS, a));
    OK(cuEventRecord(fork, a));
    OK(cuStreamWaitEvent(b, fork, 0));
    OK(cuMemcpyDtoDAsync(q, p, 4 * WORDS, b));
    OK(scenario_bump(q, WORDS, b));
    OK(cuEventRecord(join, b));
    OK(cuStreamWaitEvent(a, join, 0));
    OK(cuMemsetD32Async(q, 77, 1, a));
    OK(cuStreamIsCapturing(a, &status));
    WANT(status == CU_STREAM_CAPTURE_STATUS_ACTIVE);
    GIVES(cuStreamEndCapture(b, &captured), CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
    OK(cuStreamEndCapture(a, &captured));
    OK(cuGraphGetNodes(captured, NULL, &count));
    WANT(count == 4);
    OK(cuMemcpyDtoH(out, p, sizeof out));
    WANT(all_are(out, 0)); /* nothing has run */
    OK(cuGraphInstantiate(&exec, captured, 0));
    OK(cuGraphDestroy(captured));
    for (uint32_t i = 1; i <= 3; i++) {
        OK(cuGraphLaunch(exec, a));
        OK(cuStreamSynchronize(a));
        OK(cuMemcpyDtoH(out, q, sizeof out));
        WANT(out[0] == 77);
        out[0] = out[1];
        WANT(all_are(out, i + 1));
    }
    OK(cuGraphExecDestroy(exec));
    GIVES(cuGraphLaunch(exec, a), CUDA_ERROR_INVALID_HANDLE);
    OK(cuMemFree(p));
    OK(cuMemFree(q));
}

static void broken_captures(void)
{
    CUevent event;
    CUgraph captured;
    CUdeviceptr p;
    scenario_open();
    CUstream a = open_stream(), b = open_stream();
    OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    OK(cuMemAlloc(&p, 4 * WORDS));
    OK(cuStreamBeginCapture(a, CU_STREAM_CAPTURE_MODE_GLOBAL));
    GIVES(cuStreamSynchronize(a), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    GIVES(scenario_fill(p, WORDS, 1, a), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    GIVES(cuStreamEndCapture(a, &captured), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    OK(cuStreamBeginCapture(a, CU_STREAM_CAPTURE_MODE_GLOBAL));
    GIVES(scenario_fill(p, WORDS, 1, 0), CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
    GIVES(cuStreamEndCapture(a, &captured), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    OK(cuStreamBeginCapture(a, CU_STREAM_CAPTURE_MODE_RELAXED));
    OK(cuEventRecord(event, a));
    OK(cuStreamWaitEvent(b, event, 0));
    OK(scenario_fill(p, WORDS, 1, b)); /* never joined */
    GIVES(cuStreamEndCapture(a, &captured), CUDA_ERROR_STREAM_CAPTURE_UNJOINED);
    GIVES(cuStreamBeginCapture(0, CU_STREAM_CAPTURE_MODE_GLOBAL), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    OK(cuMemFree(p));
}

/* A graph made by hand, whose kernels get other arguments, and another grid, between launches. */
static void graph_by_hand(void)
{
    CUgraph made;
    CUgraphExec exec;
    CUgraphNode first, second, other;
    uint32_t out[WORDS], n = WORDS, few = 1;
    scenario_open();
    CUdeviceptr p = words_on_device(), q = words_on_device();
    CUstream a = open_stream();
    void *on_p[] = {&p, &n}, *on_q[] = {&q, &n}, *on_one[] = {&q, &few};
    CUDA_KERNEL_NODE_PARAMS bump = {.func = scenario_kernel("bump"),
                                    .gridDimX = (WORDS + 127) / 128,
                                    .gridDimY = 1,
                                    .gridDimZ = 1,
                                    .blockDimX = 128,
                                    .blockDimY = 1,
                                    .blockDimZ = 1,
                                    .kernelParams = on_p};
    OK(cuMemsetD32(p, 0, WORDS));
    OK(cuMemsetD32(q, 0, WORDS));
    OK(cuCtxSynchronize());
    OK(cuGraphCreate(&made, 0));
    OK(cuGraphAddKernelNode(&first, made, NULL, 0, &bump));
    OK(cuGraphAddKernelNode(&second, made, &first, 1, &bump));
    OK(cuGraphInstantiate(&exec, made, 0));
    OK(cuGraphLaunch(exec, a)); /* p, p */
    bump.kernelParams = on_q;
    OK(cuGraphExecKernelNodeSetParams(exec, second, &bump));
    OK(cuGraphLaunch(exec, a)); /* p, q */
    bump.gridDimX = 1;
    bump.kernelParams = on_one;
    OK(cuGraphExecKernelNodeSetParams(exec, first, &bump));
    OK(cuGraphLaunch(exec, a)); /* one of q, q */
    OK(cuStreamSynchronize(a));
    OK(cuMemcpyDtoH(out, p, sizeof out));
    WANT(all_are(out, 3));
    OK(cuMemcpyDtoH(out, q, sizeof out));
    WANT(out[0] == 3);
    out[0] = out[1];
    WANT(all_are(out, 2));
    bump.gridDimX = 0;
    GIVES(cuGraphExecKernelNodeSetParams(exec, first, &bump), CUDA_ERROR_INVALID_VALUE);
    bump.gridDimX = 1;
    other = (CUgraphNode)&bump;
    GIVES(cuGraphExecKernelNodeSetParams(exec, other, &bump), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphDestroy(made));
    GIVES(cuGraphExecKernelNodeSetParams(exec, first, &bump), CUDA_ERROR_INVALID_VALUE);
    OK(cuGraphLaunch(exec, a));
    OK(cuStreamSynchronize(a));
    OK(cuGraphExecDestroy(exec));
    OK(cuMemFree(p));
    OK(cuMemFree(q));
}

static const scenario scenarios[] = {
    {"held_back", held_back},
    {"sources", sources},
    {"questions", questions},
    {"ordered", ordered},
    {"unordered", unordered},
    {"kernel_waits", kernel_waits},
    {"kernel_does_not_wait", kernel_does_not_wait},
    {"readers", readers},
    {"default_stream", default_stream},
    {"default_and_non_blocking", default_and_non_blocking},
    {"freed_in_flight", freed_in_flight},
    {"freed_in_order", freed_in_order},
    {"used_behind_free", used_behind_free},
    {"callbacks", callbacks},
    {"times", times},
    {"graph", graph},
    {"graph_by_hand", graph_by_hand},
    {"broken_captures", broken_captures},
    {NULL, NULL},
};

/* ---- tests ---- */

/* At once, held back with the youngest stream first, held back at random. */
static void clean_in_every_mode(const char *name)
{
    scenario_clean(name, SWITCHES());
    scenario_clean(name, SWITCHES("GPUSIM_STRICT=1"));
    scenario_clean(name, SWITCHES("GPUSIM_STRICT=1", "GPUSIM_SEED=7"));
}

static void found_in_every_mode(const char *name, const char *kind, const char *part)
{
    scenario_finds(name, SWITCHES(), kind, part);
    scenario_finds(name, SWITCHES("GPUSIM_STRICT=1"), kind, part);
    scenario_finds(name, SWITCHES("GPUSIM_STRICT=1", "GPUSIM_SEED=7"), kind, part);
}

static void test_held_back(void **state)
{
    (void)state;
    clean_in_every_mode("held_back");
    clean_in_every_mode("sources");
    clean_in_every_mode("questions");
}

static void test_order(void **state)
{
    (void)state;
    clean_in_every_mode("ordered");
    scenario_finds("unordered", SWITCHES(), "stream_order", "cuMemcpyDtoDAsync");
    clean_in_every_mode("readers");
    clean_in_every_mode("default_stream");
    found_in_every_mode("default_and_non_blocking", "stream_order", "cuMemcpyDtoH");
}

/* Held back, the reader runs first: it reads bytes that nobody has written, and the order is told all the
 * same. */
static void test_unordered_held_back(void **state)
{
    (void)state;
    scenario_result result = scenario_run("unordered", SWITCHES("GPUSIM_STRICT=1"));
    assert_int_equal(result.code, 0);
    assert_int_equal(scenario_count(&result, "stream_order", "nothing orders them"), 1);
    assert_int_equal(scenario_count(&result, "uninitialised", "never written"), 1);
    scenario_done(&result);
}

static void test_kernel_order(void **state)
{
    (void)state;
    clean_in_every_mode("kernel_waits");
    found_in_every_mode("kernel_does_not_wait", "stream_order", "bump");
}

static void test_in_flight(void **state)
{
    (void)state;
    scenario_clean("freed_in_flight", SWITCHES());
    scenario_finds("freed_in_flight", SWITCHES("GPUSIM_STRICT=1"), "use_after_free", "fill");
    clean_in_every_mode("freed_in_order");
    found_in_every_mode("used_behind_free", "use_after_free", "");
}

static void test_host_functions(void **state)
{
    (void)state;
    clean_in_every_mode("callbacks");
}

static void test_times(void **state)
{
    (void)state;
    clean_in_every_mode("times");
}

static void test_graphs(void **state)
{
    (void)state;
    clean_in_every_mode("graph");
    clean_in_every_mode("graph_by_hand");
    clean_in_every_mode("broken_captures");
}

int main(int argc, char **argv)
{
    scenario_main(argc, argv, scenarios);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held_back),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_unordered_held_back),
        cmocka_unit_test(test_kernel_order),
        cmocka_unit_test(test_in_flight),
        cmocka_unit_test(test_host_functions),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_graphs),
    };
    return cmocka_run_group_tests_name("driver streams", tests, NULL, NULL);
}
