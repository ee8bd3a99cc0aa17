/* What the device's system gives to kernels: printf, assert, malloc and free (kernels/printf.cu). */
#include "tests/gpusim/scenario.h"

static CUfunction kernel_of_file(const char *name)
{
    CUfunction f;
    CUmodule module;
    scenario_open();
    OK(cuModuleLoad(&module, SIM_KERNEL_DIR "/printf.ptx"));
    OK(cuModuleGetFunction(&f, module, name));
    return f;
}

static void say(void)
{
    CUfunction f = kernel_of_file("say");
    int n = -5;
    double x = 2.5;
    CUdeviceptr text = 0;
    long long big = 0x123456789abcll;
    void *params[] = {&n, &x, &text, &big};
    OK(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, 0, params, NULL));
    OK(cuCtxSynchronize());
}

static void claim(int limit, CUresult expected)
{
    CUfunction f = kernel_of_file("claim");
    CUdeviceptr p;
    int values[32];
    for (int i = 0; i < 32; i++) {
        values[i] = i;
    }
    OK(cuMemAlloc(&p, sizeof values));
    OK(cuMemcpyHtoD(p, values, sizeof values));
    void *params[] = {&p, &limit};
    OK(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, 0, params, NULL));
    GIVES(cuCtxSynchronize(), expected);
    GIVES(cuMemFree(p), expected);
}

static void claim_right(void)
{
    claim(32, CUDA_SUCCESS);
}

static void claim_wrong(void)
{
    claim(20, CUDA_ERROR_ASSERT);
}

static void heap(void)
{
    CUfunction f = kernel_of_file("heap");
    CUdeviceptr sum;
    int sums[40];
    OK(cuMemAlloc(&sum, sizeof sums));
    void *params[] = {&sum};
    OK(cuLaunchKernel(f, 40, 1, 1, 64, 1, 1, 0, 0, params, NULL));
    OK(cuMemcpyDtoH(sums, sum, sizeof sums));
    for (int i = 0; i < 40; i++) {
        WANT(sums[i] == 64 * 65 / 2);
    }
    OK(cuMemFree(sum));
}

static void free_twice(void)
{
    CUfunction f = kernel_of_file("free_twice");
    OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, 0, NULL, NULL));
    GIVES(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
}

static const scenario scenarios[] = {
    {"say", say},   {"claim_right", claim_right}, {"claim_wrong", claim_wrong},
    {"heap", heap}, {"free_twice", free_twice},   {NULL, NULL},
};

/* ---- tests ---- */

static void test_say(void **state)
{
    (void)state;
    scenario_result result = scenario_run("say", SWITCHES());
    scenario_passed(&result);
    assert_non_null(
        strstr(result.text, "n -5, x 2.500, hex 0x123456789abc, text, z,  12.3%, -7  |    42|0x1234\n"));
    assert_non_null(strstr(result.text, "no arguments\n"));
    const char *first = strstr(result.text, "n -5");
    assert_null(strstr(first + 1, "n -5")); /* by one thread */
    scenario_done(&result);
}

static void test_assert(void **state)
{
    (void)state;
    scenario_clean("claim_right", SWITCHES());
    scenario_finds("claim_wrong", SWITCHES(), "assert", "p[threadIdx.x] < limit");
}

static void test_heap(void **state)
{
    (void)state;
    scenario_clean("heap", SWITCHES());
    scenario_clean("heap", SWITCHES("GPUSIM_SEED=4"));
    scenario_finds("free_twice", SWITCHES(), "use_after_free", "free");
}

int main(int argc, char **argv)
{
    scenario_main(argc, argv, scenarios);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_say),
        cmocka_unit_test(test_assert),
        cmocka_unit_test(test_heap),
    };
    return cmocka_run_group_tests_name("driver printf", tests, NULL, NULL);
}
