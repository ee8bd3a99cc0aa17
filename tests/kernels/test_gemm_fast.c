/*
 * gemm with --numerics fast: cuBLASLt beside our own kernels, the choice by time, and the file that remembers
 * it. Needs a GPU, simulated or not (SEGAGENT_TEST_DEVICE=cuda); without cuBLASLt the results alone are
 * tested.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/file.h"
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
    {SA_BF16, SA_BF16, SA_ACT_GELU, true, false, false},  {SA_F32, SA_F32, SA_ACT_NONE, true, false, false},
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

/* The one file in `folder`/segagent; false if there is none. */
static bool find_file(const char *folder, char *path, size_t size)
{
    char name[256];
    snprintf(name, sizeof name, "%s/segagent", folder);
    DIR *entries = opendir(name);
    bool found = false;
    for (struct dirent *entry; entries != NULL && (entry = readdir(entries)) != NULL;) {
        if (strncmp(entry->d_name, "gemm_", 5) == 0) {
            found = snprintf(path, size, "%s/%s", name, entry->d_name) < (int)size;
        }
    }
    if (entries != NULL) {
        closedir(entries);
    }
    return found;
}

static char *read_text(const char *path)
{
    unsigned char *bytes = NULL;
    size_t size = 0;
    sa_error err;
    assert_int_equal(sa_file_read(path, 1 << 20, &bytes, &size, &err), SA_OK);
    return (char *)bytes;
}

static int lines_of(const char *text)
{
    int lines = 0;
    for (; *text != '\0'; text++) {
        lines += *text == '\n';
    }
    return lines;
}

static void write_text(const char *path, const char *text)
{
    sa_error err;
    assert_int_equal(sa_file_write(path, text, strlen(text), &err), SA_OK);
}

/* The file holds a line per shape that the library could do; it is read again, and a bad one does no harm. */
static void check_file(const char *folder)
{
    char path[512], *first = NULL, *again = NULL, changed[4096];
    assert_true(find_file(folder, path, sizeof path));
    first = read_text(path);
    assert_int_equal(lines_of(first), 1 + 5); /* header; all cases but GELU */
    run_all();
    again = read_text(path);
    assert_string_equal(first, again); /* nothing was timed again */
    free(again);
    snprintf(changed, sizeof changed, "%sjunk\n1 2 3\n-1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1\n", first);
    write_text(path, changed); /* lines that do not read, behind those that do */
    run_all();
    snprintf(changed, sizeof changed, "x%s", first);
    write_text(path, changed); /* another header: all is timed anew, and the file written again */
    run_all();
    again = read_text(path);
    assert_int_equal(lines_of(again), 1 + 5);
    assert_int_not_equal(again[0], 'x');
    free(again);
    free(first);
    assert_int_equal(unlink(path), 0);
}

static void test_library_and_own(void **state)
{
    (void)state;
    const char *device = getenv("SEGAGENT_TEST_DEVICE");
    if (device == NULL || strncmp(device, "cuda", 4) != 0) {
        skip();
    }
    char folder[] = "/tmp/segagent_test_XXXXXX", cache[64];
    assert_non_null(mkdtemp(folder));
    setenv("XDG_CACHE_HOME", folder, 1);
    run_all();
    if (dlopen("libcublasLt.so.13", RTLD_NOW) != NULL || dlopen("libcublasLt.so.12", RTLD_NOW) != NULL) {
        check_file(folder);
        snprintf(cache, sizeof cache, "%s/segagent", folder);
        assert_int_equal(rmdir(cache), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    print_message("seed %d\n", SEED);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_library_and_own)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
