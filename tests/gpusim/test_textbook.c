/* The kernels of kernels/textbook.cu against plain C, under several schedules and with all checks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/dtype.h"
#include "tests/gpusim/harness.h"

/* Fails at the first element beyond tol, relative to 1 + |want|; NaN fails. */
static void assert_close(const float *got, const float *want, size_t count, double tol)
{
    for (size_t i = 0; i < count; i++) {
        if (!(fabs((double)got[i] - want[i]) <= tol * (1 + fabs((double)want[i])))) {
            fail_msg("element %zu: %g, expected %g", i, (double)got[i], (double)want[i]);
        }
    }
}

static float *values_new(size_t count, uint64_t seed)
{
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        values[i] = gpu_value(seed, i);
    }
    return values;
}

static void test_reduce_tree(void **state)
{
    (void)state;
    int n = 5000;
    float *in = values_new((size_t)n, 1), out[10];
    double want[10] = {0};
    uint64_t from = gpu_upload(in, (size_t)n * 4), to = gpu_alloc(sizeof out);
    gpu_launch("reduce_tree", (gpu_dim){10, 1, 1}, (gpu_dim){256, 1, 1}, 0, GPU_ARGS(&from, &to, &n));
    gpu_download(out, to, sizeof out);
    for (int i = 0; i < n; i++) {
        want[i / 512] += in[i];
    }
    for (int i = 0; i < 10; i++) {
        assert_true(fabs(out[i] - want[i]) <= 1e-4);
    }
    gpu_free(from);
    gpu_free(to);
    free(in);
}

static void test_reduce_last_block(void **state)
{
    (void)state;
    int n = 3001, in[3001], whole, want = 0;
    for (int i = 0; i < n; i++) {
        want += in[i] = (int)gpu_pick(2, (uint64_t)i, 1000) - 500;
    }
    uint64_t from = gpu_upload(in, sizeof in), partial = gpu_alloc(7 * 4), to = gpu_alloc(4);
    for (int round = 0; round < 3; round++) {
        gpu_launch("reduce_last_block", (gpu_dim){7, 1, 1}, (gpu_dim){96, 1, 1}, 0,
                   GPU_ARGS(&from, &partial, &to, &n));
        gpu_download(&whole, to, 4);
        assert_int_equal(whole, want);
    }
    gpu_free(from);
    gpu_free(partial);
    gpu_free(to);
}

static void check_scan(const int *in, const int *out, int n)
{
    for (int i = 0, sum = 0; i < n; i++) {
        sum += in[i];
        assert_int_equal(out[i], sum);
    }
}

static void test_scans(void **state)
{
    (void)state;
    int many = 3000, few = 200, in[3000], out[3000];
    for (int i = 0; i < many; i++) {
        in[i] = (int)gpu_pick(3, (uint64_t)i, 100) - 40;
    }
    uint64_t from = gpu_upload(in, sizeof in), to = gpu_alloc(sizeof out);
    gpu_launch("scan_block", (gpu_dim){1, 1, 1}, (gpu_dim){256, 1, 1}, 2 * 256 * 4,
               GPU_ARGS(&from, &to, &few));
    gpu_download(out, to, (size_t)few * 4);
    check_scan(in, out, few);
    uint64_t tiles = gpu_zeros(24 * 8), ticket = gpu_zeros(4);
    gpu_launch("scan_look_back", (gpu_dim){24, 1, 1}, (gpu_dim){128, 1, 1}, 0,
               GPU_ARGS(&from, &to, &tiles, &ticket, &many));
    gpu_download(out, to, sizeof out);
    check_scan(in, out, many);
    gpu_free(from);
    gpu_free(to);
    gpu_free(tiles);
    gpu_free(ticket);
}

static void test_histogram(void **state)
{
    (void)state;
    int n = 4001;
    unsigned char in[4001];
    unsigned bins[64], want[64] = {0};
    for (int i = 0; i < n; i++) {
        in[i] = (unsigned char)gpu_pick(4, (uint64_t)i, 256);
        want[in[i] >> 2]++;
    }
    uint64_t from = gpu_upload(in, sizeof in), to = gpu_zeros(sizeof bins);
    gpu_launch("histogram", (gpu_dim){5, 1, 1}, (gpu_dim){128, 1, 1}, 0, GPU_ARGS(&from, &to, &n));
    gpu_download(bins, to, sizeof bins);
    assert_memory_equal(bins, want, sizeof want);
    gpu_free(from);
    gpu_free(to);
}

static void test_transpose(void **state)
{
    (void)state;
    int width = 77, height = 41;
    float *in = values_new(77 * 41, 5), out[77 * 41];
    uint64_t from = gpu_upload(in, sizeof out), to = gpu_alloc(sizeof out);
    gpu_launch("transpose", (gpu_dim){3, 2, 1}, (gpu_dim){32, 8, 1}, 0,
               GPU_ARGS(&from, &to, &width, &height));
    gpu_download(out, to, sizeof out);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            assert_true(out[x * height + y] == in[y * width + x]);
        }
    }
    gpu_free(from);
    gpu_free(to);
    free(in);
}

static void test_matmul_tiled(void **state)
{
    (void)state;
    int m = 37, n = 50, k = 43;
    float *a = values_new(37 * 43, 6), *b = values_new(43 * 50, 7), got[37 * 50], want[37 * 50];
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            float sum = 0.0f; /* the kernel's order: the same bits */
            for (int x = 0; x < k; x++) {
                sum = fmaf(a[i * k + x], b[x * n + j], sum);
            }
            want[i * n + j] = sum;
        }
    }
    uint64_t da = gpu_upload(a, 37 * 43 * 4), db = gpu_upload(b, 43 * 50 * 4), dc = gpu_alloc(sizeof got);
    gpu_launch("matmul_tiled", (gpu_dim){4, 3, 1}, (gpu_dim){16, 16, 1}, 0,
               GPU_ARGS(&da, &db, &dc, &m, &n, &k));
    gpu_download(got, dc, sizeof got);
    assert_memory_equal(got, want, sizeof want);
    gpu_free(da);
    gpu_free(db);
    gpu_free(dc);
    free(a);
    free(b);
}

static int clamp(int x, int most)
{
    return x < 0 ? 0 : x > most ? most : x;
}

static void test_stencil(void **state)
{
    (void)state;
    int width = 45, height = 23;
    float *in = values_new(45 * 23, 8), got[45 * 23], want[45 * 23];
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) {
            const float *row = in + y * width;
            want[y * width + x] = (row[x] + in[clamp(y - 1, height - 1) * width + x] +
                                   in[clamp(y + 1, height - 1) * width + x] + row[clamp(x - 1, width - 1)] +
                                   row[clamp(x + 1, width - 1)]) *
                                  0.2f;
        }
    }
    uint64_t from = gpu_upload(in, sizeof got), to = gpu_alloc(sizeof got);
    gpu_launch("stencil", (gpu_dim){3, 2, 1}, (gpu_dim){16, 16, 1}, 0, GPU_ARGS(&from, &to, &width, &height));
    gpu_download(got, to, sizeof got);
    assert_close(got, want, 45 * 23, 1e-6);
    gpu_free(from);
    gpu_free(to);
    free(in);
}

static int compare(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

static void test_bitonic_sort(void **state)
{
    (void)state;
    unsigned keys[512], want[512];
    for (unsigned i = 0; i < 512; i++) {
        keys[i] = want[i] = gpu_pick(9, i, 4000);
    }
    qsort(want, 512, sizeof *want, compare);
    uint64_t at = gpu_upload(keys, sizeof keys);
    gpu_launch("bitonic_sort", (gpu_dim){1, 1, 1}, (gpu_dim){256, 1, 1}, sizeof keys, GPU_ARGS(&at));
    gpu_download(keys, at, sizeof keys);
    assert_memory_equal(keys, want, sizeof want);
    gpu_free(at);
}

static void test_softmax_rows(void **state)
{
    (void)state;
    int rows = 11, columns = 75;
    float *in = values_new(11 * 75, 10), got[11 * 75], want[11 * 75];
    for (int r = 0; r < rows; r++) {
        double sum = 0;
        for (int c = 0; c < columns; c++) {
            sum += exp(in[r * columns + c]);
        }
        for (int c = 0; c < columns; c++) {
            want[r * columns + c] = (float)(exp(in[r * columns + c]) / sum);
        }
    }
    uint64_t from = gpu_upload(in, sizeof got), to = gpu_alloc(sizeof got);
    gpu_launch("softmax_rows", (gpu_dim){3, 1, 1}, (gpu_dim){32, 4, 1}, 0,
               GPU_ARGS(&from, &to, &rows, &columns));
    gpu_download(got, to, sizeof got);
    assert_close(got, want, 11 * 75, 1e-6);
    gpu_free(from);
    gpu_free(to);
    free(in);
}

static void test_matmul_wmma(void **state)
{
    (void)state;
    int m = 32, n = 48, k = 64;
    uint16_t a[32 * 64], b[48 * 64];
    float got[32 * 48], want[32 * 48];
    for (uint64_t i = 0; i < 32 * 64; i++) {
        a[i] = sa_bf16_from_f32(gpu_value(11, i));
    }
    for (uint64_t i = 0; i < 48 * 64; i++) {
        b[i] = sa_bf16_from_f32(gpu_value(12, i));
    }
    for (int i = 0; i < m * n; i++) {
        double sum = 0;
        for (int x = 0; x < k; x++) {
            sum += (double)sa_bf16_to_f32(a[i / n * k + x]) * sa_bf16_to_f32(b[i % n * k + x]);
        }
        want[i] = (float)(sum / 2);
    }
    uint64_t da = gpu_upload(a, sizeof a), db = gpu_upload(b, sizeof b), dc = gpu_alloc(sizeof got);
    gpu_launch("matmul_wmma", (gpu_dim){3, 2, 1}, (gpu_dim){32, 1, 1}, 0,
               GPU_ARGS(&da, &db, &dc, &m, &n, &k));
    gpu_download(got, dc, sizeof got);
    assert_close(got, want, 32 * 48, 1e-5);
    gpu_free(da);
    gpu_free(db);
    gpu_free(dc);
}

static void test_pipeline_copy(void **state)
{
    (void)state;
    int tiles = 9;
    float *in = values_new(9 * 128, 13), out[9 * 128];
    uint64_t from = gpu_upload(in, sizeof out), to = gpu_alloc(sizeof out);
    gpu_launch("pipeline_copy", (gpu_dim){1, 1, 1}, (gpu_dim){32, 1, 1}, 0, GPU_ARGS(&from, &to, &tiles));
    gpu_download(out, to, sizeof out);
    for (int i = 0; i < 9 * 128; i++) {
        assert_true(out[i] == fmaf(2, in[i], 1));
    }
    gpu_free(from);
    gpu_free(to);
    free(in);
}

static void test_atomics(void **state)
{
    (void)state;
    int n = 1000, s[2] = {0, 0};
    unsigned u[11] = {0, 2000, 0, 5000, 0, 0xffffffff, 0, 0, 0, 0, 1}, want = 1, xored = 0;
    unsigned long long l[2] = {0, 0};
    float f = 0;
    double d = 0;
    uint64_t du = gpu_upload(u, sizeof u), ds = gpu_upload(s, sizeof s), dl = gpu_upload(l, sizeof l);
    uint64_t df = gpu_upload(&f, 4), dd = gpu_upload(&d, 8);
    gpu_launch("atomics", (gpu_dim){8, 1, 1}, (gpu_dim){128, 1, 1}, 0, GPU_ARGS(&du, &ds, &dl, &df, &dd, &n));
    gpu_download(u, du, sizeof u);
    gpu_download(s, ds, sizeof s);
    gpu_download(l, dl, sizeof l);
    gpu_download(&f, df, 4);
    gpu_download(&d, dd, 8);
    for (unsigned i = 0; i < 1000; i++) {
        want = want * 3 + 1;
        xored ^= i;
    }
    const unsigned all[11] = {3000,  1000,      999,          1,  0xffffffff, 0xffff0000,
                              xored, 1000 % 10, 9 - 999 % 10, 77, want};
    for (int i = 0; i < 11; i++) {
        assert_int_equal(u[i], all[i]);
    }
    assert_int_equal(s[0], 994);
    assert_int_equal(s[1], -994);
    assert_true(l[0] == 1000 * 0x100000001ull && l[1] == 999ull << 33);
    assert_true(f == 1000.0f && d == 500.0);
    gpu_free(du);
    gpu_free(ds);
    gpu_free(dl);
    gpu_free(df);
    gpu_free(dd);
}

/* As in kernels/textbook.cu. */
struct shape {
    char kind;
    short weight;
    int corner[3];
    double scale;
    uint64_t data;
};

static void test_struct_argument(void **state)
{
    (void)state;
    float *in = values_new(40, 14), out[40];
    uint64_t from = gpu_upload(in, sizeof out), to = gpu_alloc(sizeof out);
    struct shape s = {.kind = 7, .weight = -300, .corner = {10, -20, 30}, .scale = 1.25, .data = from};
    int which = 2;
    gpu_launch("struct_argument", (gpu_dim){1, 1, 1}, (gpu_dim){40, 1, 1}, 0, GPU_ARGS(&s, &to, &which));
    gpu_download(out, to, sizeof out);
    for (int i = 0; i < 40; i++) {
        assert_true(out[i] == (float)(in[i] * 1.25) + (float)s.corner[(i + which) % 3] - 300.0f + 7.0f);
    }
    gpu_free(from);
    gpu_free(to);
    free(in);
}

static void test_function_pointers(void **state)
{
    (void)state;
    float *in = values_new(64, 15), out[64];
    int which[64];
    for (int i = 0; i < 64; i++) {
        which[i] = (int)gpu_pick(16, (uint64_t)i, 3);
    }
    uint64_t from = gpu_upload(in, sizeof out), to = gpu_alloc(sizeof out),
             by = gpu_upload(which, sizeof which);
    gpu_launch("function_pointers", (gpu_dim){1, 1, 1}, (gpu_dim){64, 1, 1}, 0, GPU_ARGS(&from, &to, &by));
    gpu_download(out, to, sizeof out);
    for (int i = 0; i < 64; i++) {
        assert_true(out[i] == (which[i] == 0 ? 2 * in[i] : which[i] == 1 ? in[i] * in[i] : -in[i]));
    }
    gpu_free(from);
    gpu_free(to);
    gpu_free(by);
    free(in);
}

static int ackermann(int m, int n)
{
    return m == 0 ? n + 1 : n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

static void test_recursion(void **state)
{
    (void)state;
    int out[48];
    uint64_t to = gpu_alloc(sizeof out);
    gpu_launch("recursion", (gpu_dim){1, 1, 1}, (gpu_dim){48, 1, 1}, 0, GPU_ARGS(&to));
    gpu_download(out, to, sizeof out);
    for (int i = 0; i < 48; i++) {
        assert_int_equal(out[i], ackermann(i % 3, i % 4));
    }
    gpu_free(to);
}

static void test_local_array(void **state)
{
    (void)state;
    int n = 50, in[50], out[96];
    for (int i = 0; i < n; i++) {
        in[i] = (int)gpu_pick(17, (uint64_t)i, 1000);
    }
    uint64_t from = gpu_upload(in, sizeof in), to = gpu_alloc(sizeof out);
    gpu_launch("local_array", (gpu_dim){2, 1, 1}, (gpu_dim){48, 1, 1}, 0, GPU_ARGS(&from, &to, &n));
    gpu_download(out, to, sizeof out);
    for (int i = 0; i < 96; i++) {
        unsigned counts[16], mixed = 0;
        for (unsigned k = 0; k < 16; k++) {
            counts[k] = k;
        }
        for (int k = 0; k < n; k++) {
            counts[(in[k] + i) & 15] += (unsigned)in[k];
        }
        for (int k = 0; k < 16; k++) {
            mixed = mixed * 31 + counts[k];
        }
        assert_int_equal(out[i], (int)mixed);
    }
    gpu_free(from);
    gpu_free(to);
}

static void test_doubles(void **state)
{
    (void)state;
    int n = 100;
    double in[100], out[400];
    for (int i = 0; i < n; i++) {
        in[i] = 0.01 + 4 * fabs((double)gpu_value(18, (uint64_t)i));
    }
    uint64_t from = gpu_upload(in, sizeof in), to = gpu_alloc(sizeof out);
    gpu_launch("doubles", (gpu_dim){1, 1, 1}, (gpu_dim){128, 1, 1}, 0, GPU_ARGS(&from, &to, &n));
    gpu_download(out, to, sizeof out);
    for (int i = 0; i < n; i++) {
        double x = in[i];
        const double want[4] = {sqrt(x), sqrt(x) * exp(-x) + sin(x), pow(x, 1.5) + log(x) + atan2(x, 2.0),
                                fma(x, x, -(x * x)) + fmod(x, 0.3) + floor(x) + (int)lrint(x * 10)};
        for (int k = 0; k < 4; k++) {
            assert_true(fabs(out[4 * i + k] - want[k]) <= 1e-13 * (1 + fabs(want[k])));
        }
    }
    gpu_free(from);
    gpu_free(to);
}

/* The switch of constants_and_switch, on one value. */
static long long switched(int in, int i)
{
    static const int weights[8] = {1, -2, 3, -4, 5, -6, 7, -8};
    long long value = (long long)in * weights[3] * 1000003ll + weights[i & 7];
    switch (in & 7) {
    case 0: return value / 7;
    case 1: return value % 1000;
    case 2: return (value << 3) ^ i;
    case 3: return -value >> 2;
    case 4: return value >> 2;
    case 5: return (long long)((unsigned long long)value / 12345u);
    case 6: return (long long)((unsigned long long)value * (unsigned long long)value);
    default: break;
    }
    int zeros = value == 0 ? 64 : __builtin_clzll((unsigned long long)value);
    return __builtin_popcountll((unsigned long long)value) + zeros + __builtin_ffsll(value);
}

static void test_constants_and_switch(void **state)
{
    (void)state;
    int n = 300, in[300];
    long long out[300];
    for (int i = 0; i < n; i++) {
        in[i] = (int)gpu_pick(19, (uint64_t)i, 20001) - 10000;
    }
    uint64_t from = gpu_upload(in, sizeof in), to = gpu_alloc(sizeof out);
    gpu_launch("constants_and_switch", (gpu_dim){3, 1, 1}, (gpu_dim){128, 1, 1}, 0, GPU_ARGS(&from, &to, &n));
    gpu_download(out, to, sizeof out);
    for (int i = 0; i < n; i++) {
        assert_true(out[i] == switched(in[i], i));
    }
    gpu_free(from);
    gpu_free(to);
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_reduce_tree),     cmocka_unit_test(test_reduce_last_block),
        cmocka_unit_test(test_scans),           cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_transpose),       cmocka_unit_test(test_matmul_tiled),
        cmocka_unit_test(test_stencil),         cmocka_unit_test(test_bitonic_sort),
        cmocka_unit_test(test_softmax_rows),    cmocka_unit_test(test_matmul_wmma),
        cmocka_unit_test(test_pipeline_copy),   cmocka_unit_test(test_atomics),
        cmocka_unit_test(test_struct_argument), cmocka_unit_test(test_function_pointers),
        cmocka_unit_test(test_recursion),       cmocka_unit_test(test_local_array),
        cmocka_unit_test(test_doubles),         cmocka_unit_test(test_constants_and_switch),
    };
    gpu_open("textbook");
    int failed = cmocka_run_group_tests(list, NULL, NULL);
    gpu_close();
    return failed;
}

int main(void)
{
    return gpu_run_seeds(3, tests);
}
