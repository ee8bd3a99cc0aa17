/*
 * gemm with --numerics fast: cuBLASLt beside our own kernels, the choice by time, and the file that remembers
 * it. Needs a GPU, simulated or not (SEGAGENT_TEST_DEVICE=cuda); without cuBLASLt the results alone are
 * tested.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/kernels/choices.h"
#include "tests/kernels/fixture.h"
#include "tests/kernels/shim.h"
#include "tests/kernels/tolerances.h"
#include "tests/ref/ref_ops.h"

enum { SEED = 20240607, M = 40, N = 48, K = 64, ALIGN = 256 };

typedef struct {
    sa_dtype dtype, c_dtype;
    sa_activation act;
    bool bias, residual, in_place;
} fast_case;

/* What the library takes: plain sums in f32, with bias and residual; f32 operands. And what stays ours. */
static const fast_case cases[] = {
    {SA_BF16, SA_F32, SA_ACT_NONE, true, true, true},     {SA_BF16, SA_F32, SA_ACT_NONE, false, true, false},
    {SA_BF16, SA_BF16, SA_ACT_NONE, false, false, false}, {SA_BF16, SA_BF16, SA_ACT_NONE, true, false, false},
    {SA_F16, SA_F16, SA_ACT_NONE, false, false, false},   {SA_BF16, SA_BF16, SA_ACT_GELU, true, false, false},
    {SA_F32, SA_F32, SA_ACT_NONE, true, false, false},
};

/* A block of exactly `bytes` at an address on which libraries insist; `block` is what to free. */
static void *placed(const void *from, size_t bytes, void **block)
{
    *block = malloc(bytes + ALIGN);
    assert_non_null(*block);
    unsigned char *to = (unsigned char *)(((uintptr_t)*block + ALIGN - 1) / ALIGN * ALIGN);
    memcpy(to, from, bytes);
    return to;
}

static void check_fast(sa_stream *stream, const fast_case *fast, uint64_t seed)
{
    void *blocks[6] = {0};
    operand a = operand_new(fast->dtype, M * K, 1.0f, seed),
            w = operand_new(fast->dtype, N * K, 1.0f, seed + 1);
    float *bias = normal_new(N, 1.0f, seed + 2), *residual = normal_new(M * N, 1.0f, seed + 3);
    float *want = malloc(M * N * sizeof *want);
    size_t packed_bytes = shim_ops.gemm_packed_bytes(N, K, fast->dtype);
    unsigned char *packed = calloc(1, packed_bytes);
    shim_ops.gemm_pack(stream, &(sa_gemm_pack_args){.n = N,
                                                    .k = K,
                                                    .source = w.stored,
                                                    .source_dtype = fast->dtype,
                                                    .packed = packed,
                                                    .dtype = fast->dtype});
    sa_gemm_args args = {.m = M,
                         .n = N,
                         .k = K,
                         .dtype = fast->dtype,
                         .a = placed(a.stored, M * K * sa_dtype_size(fast->dtype), &blocks[0]),
                         .lda = K,
                         .w = placed(packed, packed_bytes, &blocks[1]),
                         .bias = fast->bias ? placed(bias, N * 4, &blocks[2]) : NULL,
                         .act = fast->act,
                         .residual = fast->residual ? placed(residual, M * N * 4, &blocks[3]) : NULL,
                         .ldr = N,
                         .c = placed(residual, M * N * sa_dtype_size(fast->c_dtype), &blocks[4]),
                         .c_dtype = fast->c_dtype,
                         .ldc = N};
    ref_gemm(&args, a.value, w.value, want);
    args.residual = fast->in_place ? args.c : args.residual;
    shim_ops.gemm(stream, &args);
    tolerance t = tolerance_gemm(K, 1.0, fast->act, fast->c_dtype);
    check_spec spec = {.label = "gemm, numerics fast",
                       .absolute = t.absolute,
                       .relative = t.relative,
                       .seed = seed,
                       .rank = 2,
                       .axes = {M, N}};
    assert_true(check_close(args.c, fast->c_dtype, want, &spec));
    for (int i = 0; i < 6; i++) {
        free(blocks[i]);
    }
    operand_free(&a);
    operand_free(&w);
    free(bias);
    free(residual);
    free(want);
    free(packed);
}

/* All cases, each twice: the first time may be a trial of all ways, the second goes the chosen one. */
static void run_all(void)
{
    sa_device *device = NULL;
    sa_stream *stream = NULL;
    sa_error err;
    sa_device_options options = {.name = "cuda", .threads = 1, .numerics = SA_NUMERICS_FAST};
    if (sa_device_open(&device, &options, &err) != SA_OK) {
        fail_msg("no GPU: %s", err.reason);
    }
    assert_int_equal(sa_stream_open(&stream, device, &err), SA_OK);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        check_fast(stream, &cases[i / 2], SEED + 10 * i);
    }
    sa_stream_close(stream);
    sa_device_close(device);
}

static void test_library_and_own(void **state)
{
    (void)state;
    static const char *const libraries[] = {"libcublasLt.so.13", "libcublasLt.so.12", NULL};
    choices_skip_without_gpu();
    choices_check("gemm", libraries, 6, run_all); /* all cases but GELU */
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_library_and_own)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
