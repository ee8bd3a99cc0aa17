/* The driver's memory calls: copies in every direction, what is refused, what is found, injected failures. */
#include "tests/gpusim/scenario.h"

enum { WORDS = 1000 };

static CUdeviceptr device_words(const uint32_t *words, size_t count)
{
    CUdeviceptr p;
    OK(cuMemAlloc(&p, 4 * count));
    if (words) {
        OK(cuMemcpyHtoD(p, words, 4 * count));
    }
    return p;
}

static void copies(void)
{
    uint32_t from[WORDS], to[WORDS] = {0};
    scenario_open();
    for (uint32_t i = 0; i < WORDS; i++) {
        from[i] = i * 2654435761u;
    }
    CUdeviceptr a = device_words(from, WORDS), b = device_words(NULL, WORDS);
    WANT(a % 256 == 0 && b % 256 == 0);
    OK(cuMemcpyDtoD(b, a, sizeof from));
    OK(cuMemcpyDtoH(to, b + 4, sizeof to - 4));
    WANT(memcmp(to, from + 1, sizeof to - 4) == 0);
    OK(cuMemsetD16(b, 0xbeef, 3));
    OK(cuMemsetD32(b + 8, 0x01020304, 2));
    OK(cuMemsetD8(b + 16, 7, 1));
    OK(cuMemcpy((CUdeviceptr)(uintptr_t)to, b, 20));
    WANT(to[0] == 0xbeefbeef && (to[1] & 0xffff) == 0xbeef && to[1] >> 16 == from[1] >> 16);
    WANT(to[2] == 0x01020304 && to[3] == 0x01020304 && (to[4] & 0xff) == 7);
    OK(cuMemFree(a));
    OK(cuMemFree(b));
    OK(cuMemFree(0));
}

/* A box of 5 x 3 bytes between pitched images, and into host memory. */
static void copies_2d(void)
{
    enum { W = 16, H = 8 };
    uint8_t image[H * W], out[H * W];
    CUdeviceptr p;
    size_t pitch;
    scenario_open();
    for (int i = 0; i < H * W; i++) {
        image[i] = (uint8_t)(i * 7 + 1);
    }
    OK(cuMemAllocPitch(&p, &pitch, W, H, 4));
    WANT(pitch == 512);
    CUDA_MEMCPY2D up = {.srcMemoryType = CU_MEMORYTYPE_HOST,
                        .srcHost = image,
                        .srcPitch = W,
                        .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                        .dstDevice = p,
                        .dstPitch = pitch,
                        .WidthInBytes = W,
                        .Height = H};
    OK(cuMemcpy2D(&up));
    OK(cuMemsetD2D8(p + 2 * pitch + 3, pitch, 0xaa, 5, 3));
    CUDA_MEMCPY2D down = {.srcXInBytes = 1,
                          .srcY = 1,
                          .srcMemoryType = CU_MEMORYTYPE_DEVICE,
                          .srcDevice = p,
                          .srcPitch = pitch,
                          .dstMemoryType = CU_MEMORYTYPE_HOST,
                          .dstHost = out,
                          .dstPitch = W,
                          .WidthInBytes = W - 1,
                          .Height = H - 1};
    memset(out, 0x55, sizeof out);
    OK(cuMemcpy2DAsync(&down, 0));
    OK(cuCtxSynchronize());
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            bool inside = y + 1 >= 2 && y + 1 < 5 && x + 1 >= 3 && x + 1 < 8, copied = y < H - 1 && x < W - 1;
            int expected = !copied ? 0x55 : inside ? 0xaa : image[(y + 1) * W + x + 1];
            WANT(out[y * W + x] == expected);
        }
    }
    up.srcPitch = W - 1; /* rows that overlap */
    GIVES(cuMemcpy2D(&up), CUDA_ERROR_INVALID_VALUE);
    up.srcPitch = W;
    up.dstMemoryType = CU_MEMORYTYPE_ARRAY;
    GIVES(cuMemcpy2D(&up), CUDA_ERROR_NOT_SUPPORTED);
    OK(cuMemFree(p));
}

static void pinned(void)
{
    uint32_t *host, sum = 0;
    CUdeviceptr device;
    unsigned type;
    scenario_open();
    OK(cuMemHostAlloc((void **)&host, 4 * WORDS, CU_MEMHOSTALLOC_DEVICEMAP));
    for (uint32_t i = 0; i < WORDS; i++) {
        host[i] = i;
    }
    OK(cuMemHostGetDevicePointer(&device, host, 0));
    OK(scenario_bump(device, WORDS, 0)); /* the kernel works on the host's memory */
    OK(cuCtxSynchronize());
    for (uint32_t i = 0; i < WORDS; i++) {
        sum += host[i] - i;
    }
    WANT(sum == WORDS);
    OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, device));
    WANT(type == CU_MEMORYTYPE_HOST);
    GIVES(cuMemFree(device), CUDA_ERROR_INVALID_VALUE); /* that is cuMemFreeHost's */
    OK(cuMemFreeHost(host));
    void *plain = malloc(4096);
    OK(cuMemHostRegister(plain, 4096, 0));
    GIVES(cuMemHostRegister(plain, 16, 0), CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
    OK(cuMemHostUnregister(plain));
    GIVES(cuMemHostUnregister(plain), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
    free(plain);
}

static void questions(void)
{
    CUdeviceptr p, begin;
    size_t bytes, free_bytes, total;
    unsigned type;
    scenario_open();
    OK(cuMemGetInfo(&free_bytes, &total));
    OK(cuMemAlloc(&p, 1 << 20));
    WANT(total == 64ull << 20);
    size_t before = free_bytes;
    OK(cuMemGetInfo(&free_bytes, &total));
    WANT(before - free_bytes == 1 << 20);
    OK(cuMemGetAddressRange(&begin, &bytes, p + 1000));
    WANT(begin == p && bytes == 1 << 20);
    OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p + 5));
    WANT(type == CU_MEMORYTYPE_DEVICE);
    GIVES(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)(uintptr_t)&type),
          CUDA_ERROR_INVALID_VALUE);
    GIVES(cuMemAlloc(&p, 64 << 20), CUDA_ERROR_OUT_OF_MEMORY); /* GPUSIM_MEMORY is that, and 1 MB is taken */
    GIVES(cuMemAlloc(&p, 0), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree(begin));
}

static void past_the_end(void)
{
    uint32_t words[WORDS] = {0};
    scenario_open();
    CUdeviceptr p = device_words(words, WORDS);
    GIVES(cuMemcpyDtoH(words, p + 4, sizeof words), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree(p));
}

static void wild(void)
{
    uint32_t words[WORDS] = {0};
    scenario_open();
    GIVES(cuMemcpyHtoD((CUdeviceptr)(uintptr_t)words, words, 16), CUDA_ERROR_INVALID_VALUE);
}

static void freed_copy(void)
{
    uint32_t words[WORDS] = {0};
    scenario_open();
    CUdeviceptr p = device_words(words, WORDS);
    OK(cuMemFree(p));
    GIVES(cuMemcpyHtoD(p, words, sizeof words), CUDA_ERROR_INVALID_VALUE);
}

static void freed_twice(void)
{
    scenario_open();
    CUdeviceptr p = device_words(NULL, WORDS);
    OK(cuMemFree(p));
    GIVES(cuMemFree(p), CUDA_ERROR_INVALID_VALUE);
}

static void freed_inside(void)
{
    scenario_open();
    CUdeviceptr p = device_words(NULL, WORDS);
    GIVES(cuMemFree(p + 256), CUDA_ERROR_INVALID_VALUE);
    OK(cuMemFree(p));
}

static void never_written(void)
{
    uint32_t words[WORDS];
    scenario_open();
    CUdeviceptr p = device_words(NULL, WORDS);
    OK(cuMemcpyDtoH(words, p, sizeof words));
    OK(cuMemFree(p));
}

static void leak(void)
{
    scenario_open();
    device_words(NULL, WORDS);
    CUdeviceptr p = device_words(NULL, WORDS);
    OK(cuMemFree(p));
}

static void leak_of_context(void)
{
    CUcontext context;
    CUdeviceptr p;
    OK(cuInit(0));
    OK(cuCtxCreate(&context, NULL, 0, 0));
    OK(cuMemAlloc(&p, 100));
    OK(cuCtxDestroy(context));
    GIVES(cuMemFree(p), CUDA_ERROR_INVALID_CONTEXT);
}

static void kernel_on_freed(void)
{
    uint32_t words[WORDS] = {0};
    scenario_open();
    CUdeviceptr p = device_words(words, WORDS);
    OK(cuMemFree(p));
    OK(scenario_bump(p, 1, 0)); /* a launch is asynchronous: its error comes later */
    GIVES(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
    GIVES(cuMemAlloc(&p, 4), CUDA_ERROR_ILLEGAL_ADDRESS); /* and stays */
    GIVES(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
}

static void third_allocation_fails(void)
{
    CUdeviceptr p[3];
    OK(cuInit(0));
    OK(cuDevicePrimaryCtxRetain(&scenario_context, 0));
    OK(cuCtxSetCurrent(scenario_context));
    OK(cuMemAlloc(&p[0], 4));
    OK(cuMemAlloc(&p[1], 4));
    GIVES(cuMemAlloc(&p[2], 4), CUDA_ERROR_OUT_OF_MEMORY);
    OK(cuMemAlloc(&p[2], 4));
    for (int i = 0; i < 3; i++) {
        OK(cuMemFree(p[i]));
    }
}

/* A host that reads device memory dies of it, as with a real device. */
static void host_reads_device(void)
{
    scenario_open();
    CUdeviceptr p = device_words(NULL, WORDS);
    printf("%u\n", *(volatile uint32_t *)(uintptr_t)p);
}

static const scenario scenarios[] = {
    {"copies", copies},
    {"copies_2d", copies_2d},
    {"pinned", pinned},
    {"questions", questions},
    {"past_the_end", past_the_end},
    {"wild", wild},
    {"freed_copy", freed_copy},
    {"freed_twice", freed_twice},
    {"freed_inside", freed_inside},
    {"never_written", never_written},
    {"leak", leak},
    {"leak_of_context", leak_of_context},
    {"kernel_on_freed", kernel_on_freed},
    {"third_allocation_fails", third_allocation_fails},
    {"host_reads_device", host_reads_device},
    {NULL, NULL},
};

/* ---- tests ---- */

static void test_copies(void **state)
{
    (void)state;
    scenario_clean("copies", SWITCHES());
    scenario_clean("copies", SWITCHES("GPUSIM_STRICT=1"));
    scenario_clean("copies_2d", SWITCHES());
    scenario_clean("copies_2d", SWITCHES("GPUSIM_STRICT=1", "GPUSIM_SEED=3"));
}

static void test_pinned(void **state)
{
    (void)state;
    scenario_clean("pinned", SWITCHES());
}

static void test_questions(void **state)
{
    (void)state;
    scenario_clean("questions", SWITCHES("GPUSIM_MEMORY=0x4000000"));
}

static void test_misuse(void **state)
{
    (void)state;
    scenario_finds("past_the_end", SWITCHES(), "out_of_bounds", "4000 bytes at offset 4 of cuMemAlloc");
    scenario_finds("wild", SWITCHES(), "out_of_bounds", "no memory of the device");
    scenario_finds("freed_copy", SWITCHES(), "use_after_free", "freed");
    scenario_finds("freed_twice", SWITCHES(), "use_after_free", "second time");
    scenario_clean("freed_inside", SWITCHES());
    scenario_finds("never_written", SWITCHES(), "uninitialised", "never written");
    scenario_clean("never_written", SWITCHES("GPUSIM_CHECK=out_of_bounds,leak"));
}

static void test_leaks(void **state)
{
    (void)state;
    scenario_finds("leak", SWITCHES(), "leak", "4000 bytes of cuMemAlloc");
    scenario_clean("leak", SWITCHES("GPUSIM_CHECK=none"));
    scenario_finds("leak_of_context", SWITCHES(), "leak", "100 bytes of cuMemAlloc");
}

static void test_kernel_on_freed(void **state)
{
    (void)state;
    scenario_finds("kernel_on_freed", SWITCHES(), "use_after_free", "");
}

static void test_injected(void **state)
{
    (void)state;
    scenario_clean("third_allocation_fails", SWITCHES("GPUSIM_FAIL_ALLOC=3"));
}

static void test_host_reads_device(void **state)
{
    (void)state;
    scenario_result result = scenario_run("host_reads_device", SWITCHES());
    assert_true(result.code < 0 || result.code > 1); /* SIGSEGV, or what a sanitizer makes of it */
    scenario_done(&result);
}

static void test_switches(void **state)
{
    (void)state;
    static const char *const wrong[] = {"GPUSIM_DEVICE=v100",  "GPUSIM_CHECK=race", "GPUSIM_STRICT=yes",
                                        "GPUSIM_THREADS=0",    "GPUSIM_SEED=x",     "GPUSIM_STRCIT=1",
                                        "GPUSIM_FAIL_ALLOC=-1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        scenario_result result = scenario_run("copies", SWITCHES(wrong[i]));
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(wrong[i], "="), wrong[i]);
        assert_int_equal(result.code, 2);
        assert_non_null(strstr(result.text, name));
        scenario_done(&result);
    }
}

int main(int argc, char **argv)
{
    scenario_main(argc, argv, scenarios);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies),    cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_questions), cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_leaks),     cmocka_unit_test(test_kernel_on_freed),
        cmocka_unit_test(test_injected),  cmocka_unit_test(test_host_reads_device),
        cmocka_unit_test(test_switches),
    };
    return cmocka_run_group_tests_name("driver memory", tests, NULL, NULL);
}
