/* The kernels of kernels/toolkit.cu (cooperative groups, CUB, libcu++) against plain C, under several
 * schedules. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/gpusim/harness.h"

/* Numbers of -500 .. 499 on the device; freed by the caller. */
static uint64_t upload_numbers(int *host, int count, uint64_t seed)
{
    for (int i = 0; i < count; i++) {
        host[i] = (int)gpu_pick(seed, (uint64_t)i, 1000) - 500;
    }
    return gpu_upload(host, (size_t)count * sizeof *host);
}

static void launch(const char *kernel, unsigned blocks, unsigned threads, void **args)
{
    gpu_launch(kernel, (gpu_dim){blocks, 1, 1}, (gpu_dim){threads, 1, 1}, 0, args);
}

static void test_groups_reduce(void **state)
{
    (void)state;
    int n = 1500, in[1500], out[2] = {0, -1000}, sum = 0, most = -1000;
    uint64_t from = upload_numbers(in, n, 1), to = gpu_upload(out, sizeof out);
    launch("groups_reduce", 6, 256, GPU_ARGS(&from, &to, &n));
    gpu_download(out, to, sizeof out);
    for (int i = 0; i < n; i++) {
        sum += in[i];
        most = in[i] > most ? in[i] : most;
    }
    assert_int_equal(out[0], sum);
    assert_int_equal(out[1], most);
    gpu_free(from);
    gpu_free(to);
}

static void test_groups_split(void **state)
{
    (void)state;
    int in[512], count[2], scanned[512], odd = 0, groups = 0;
    uint64_t from = upload_numbers(in, 512, 2), counts = gpu_zeros(sizeof count),
             to = gpu_alloc(sizeof scanned);
    launch("groups_split", 4, 128, GPU_ARGS(&from, &counts, &to));
    gpu_download(count, counts, sizeof count);
    gpu_download(scanned, to, sizeof scanned);
    for (int warp = 0; warp < 16; warp++) {
        bool seen[2] = {false};
        for (int i = 32 * warp; i < 32 * warp + 32; i++) {
            odd += in[i] & 1;
            seen[in[i] & 1] = true;
        }
        groups += seen[0] + seen[1];
    }
    for (int i = 0, sum = 0; i < 512; i++) {
        sum = i % 8 == 0 ? in[i] : sum + in[i];
        assert_int_equal(scanned[i], sum);
    }
    assert_int_equal(count[0], odd);
    assert_int_equal(count[1], groups);
    gpu_free(from);
    gpu_free(counts);
    gpu_free(to);
}

static void test_groups_large(void **state)
{
    (void)state;
    int in[768], place[768], sums[12];
    uint64_t from = upload_numbers(in, 768, 9), sum = gpu_alloc(sizeof sums), to = gpu_alloc(sizeof place);
    launch("groups_large", 3, 256, GPU_ARGS(&from, &sum, &to));
    gpu_download(sums, sum, sizeof sums);
    gpu_download(place, to, sizeof place);
    for (int tile = 0; tile < 12; tile++) {
        int want = 0;
        for (int i = 64 * tile; i < 64 * tile + 64; i++) {
            want += in[i];
            assert_int_equal(place[i], in[i ^ 63]);
        }
        assert_int_equal(sums[tile], want);
    }
    gpu_free(from);
    gpu_free(sum);
    gpu_free(to);
}

static void test_groups_copy(void **state)
{
    (void)state;
    float in[1024], out[1024];
    for (int i = 0; i < 1024; i++) {
        in[i] = gpu_value(3, (uint64_t)i);
    }
    uint64_t from = gpu_upload(in, sizeof in), to = gpu_alloc(sizeof out);
    launch("groups_copy", 4, 256, GPU_ARGS(&from, &to));
    gpu_download(out, to, sizeof out);
    for (int i = 0; i < 1024; i++) {
        assert_true(out[i] == in[i / 256 * 256 + 255 - i % 256]);
    }
    gpu_free(from);
    gpu_free(to);
}

/* Sorted, each key with its own value, and equal keys in their old order. */
static void test_cub_sort(void **state)
{
    (void)state;
    unsigned keys[1536], values[1536], sorted[1536], places[1536];
    for (unsigned i = 0; i < 1536; i++) {
        keys[i] = gpu_pick(4, i, i < 512 ? 0xffffffffu : 20);
        values[i] = i;
    }
    uint64_t k = gpu_upload(keys, sizeof keys), v = gpu_upload(values, sizeof values);
    launch("cub_sort", 3, 128, GPU_ARGS(&k, &v));
    gpu_download(sorted, k, sizeof sorted);
    gpu_download(places, v, sizeof places);
    for (unsigned i = 0; i < 1536; i++) {
        assert_true(places[i] / 512 == i / 512 && sorted[i] == keys[places[i]]);
        if (i % 512 > 0) {
            assert_true(sorted[i - 1] < sorted[i] ||
                        (sorted[i - 1] == sorted[i] && places[i - 1] < places[i]));
        }
    }
    gpu_free(k);
    gpu_free(v);
}

static void check_scan(const char *kernel, uint64_t seed)
{
    int in[640], out[640], sums[5];
    uint64_t from = upload_numbers(in, 640, seed), to = gpu_alloc(sizeof out), whole = gpu_alloc(sizeof sums);
    launch(kernel, 5, 128, GPU_ARGS(&from, &to, &whole));
    gpu_download(out, to, sizeof out);
    gpu_download(sums, whole, sizeof sums);
    for (int i = 0, sum = 0; i < 640; i++) {
        sum = i % 128 == 0 ? 0 : sum;
        assert_int_equal(out[i], sum);
        sum += in[i];
        if (i % 128 == 127) {
            assert_int_equal(sums[i / 128], sum);
        }
    }
    gpu_free(from);
    gpu_free(to);
    gpu_free(whole);
}

static void test_cub_scans(void **state)
{
    (void)state;
    check_scan("cub_scan_raking", 5);
    check_scan("cub_scan_warps", 6);
}

static void test_barrier(void **state)
{
    (void)state;
    int rounds = 9, in[576], out[64];
    uint64_t from = upload_numbers(in, 576, 7), to = gpu_alloc(sizeof out);
    launch("barrier_hand_over", 1, 128, GPU_ARGS(&from, &to, &rounds));
    gpu_download(out, to, sizeof out);
    for (int lane = 0; lane < 64; lane++) {
        int sum = 0;
        for (int round = 0; round < rounds; round++) {
            sum += in[64 * round + 63 - lane];
        }
        assert_int_equal(out[lane], sum);
    }
    gpu_free(from);
    gpu_free(to);
}

static void test_pipeline(void **state)
{
    (void)state;
    int tiles = 7;
    float in[7 * 128], out[128];
    for (int i = 0; i < 7 * 128; i++) {
        in[i] = gpu_value(8, (uint64_t)i);
    }
    uint64_t from = gpu_upload(in, sizeof in), to = gpu_alloc(sizeof out);
    launch("pipeline_sum", 1, 128, GPU_ARGS(&from, &to, &tiles));
    gpu_download(out, to, sizeof out);
    for (int thread = 0; thread < 128; thread++) {
        float sum = 0;
        for (int tile = 0; tile < tiles; tile++) {
            sum += in[128 * tile + (thread + tile) % 128];
        }
        assert_true(fabsf(out[thread] - sum) < 1e-5f);
    }
    gpu_free(from);
    gpu_free(to);
}

static void test_add_pairs(void **state)
{
    (void)state;
    uint16_t sums[16];
    uint64_t sum = gpu_zeros(sizeof sums);
    launch("add_pairs", 8, 64, GPU_ARGS(&sum));
    gpu_download(sums, sum, sizeof sums);
    for (int i = 0; i < 16; i++) {
        assert_int_equal(sums[i], i % 2 ? 0x4300 : 0x4280); /* 128 and 64 */
    }
    gpu_free(sum);
}

static void test_atomics(void **state)
{
    (void)state;
    int in[2048], most = -1000, got, guarded;
    unsigned long long count;
    uint64_t from = upload_numbers(in, 2048, 9), top = gpu_upload(&most, sizeof most), counter = gpu_zeros(8);
    uint64_t lock = gpu_zeros(4), under_lock = gpu_zeros(4);
    launch("atomics", 16, 128, GPU_ARGS(&from, &top, &counter, &lock, &under_lock));
    gpu_download(&got, top, sizeof got);
    gpu_download(&count, counter, sizeof count);
    gpu_download(&guarded, under_lock, sizeof guarded);
    for (int i = 0; i < 2048; i++) {
        most = in[i] > most ? in[i] : most;
    }
    assert_int_equal(got, most);
    assert_int_equal(count, 2048);
    assert_int_equal(guarded, 16);
    const uint64_t all[] = {from, top, counter, lock, under_lock};
    for (int i = 0; i < 5; i++) {
        gpu_free(all[i]);
    }
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_groups_reduce), cmocka_unit_test(test_groups_split),
        cmocka_unit_test(test_groups_large),  cmocka_unit_test(test_groups_copy),
        cmocka_unit_test(test_cub_sort),      cmocka_unit_test(test_cub_scans),
        cmocka_unit_test(test_barrier),       cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_add_pairs),     cmocka_unit_test(test_atomics),
    };
    gpu_open("toolkit");
    int failed = cmocka_run_group_tests(list, NULL, NULL);
    gpu_close();
    return failed;
}

int main(void)
{
    return gpu_run_seeds(4, tests);
}
