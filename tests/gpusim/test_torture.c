/* Control flow: the kernels of kernels/torture.cu against the same functions in plain C. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/gpusim/harness.h"
#include "tests/gpusim/kernels/torture.cu"

enum { MANY = 1000 };

static void test_functions(void **state)
{
    (void)state;
    unsigned in[MANY], out[5 * MANY];
    int n = MANY;
    for (unsigned i = 0; i < MANY; i++) {
        in[i] = i < 64 ? i : gpu_pick(11, i, UINT32_MAX);
    }
    uint64_t from = gpu_upload(in, sizeof in), to = gpu_alloc(sizeof out);
    gpu_launch("torture", (gpu_dim){8, 1, 1}, (gpu_dim){128, 1, 1}, 0, GPU_ARGS(&from, &to, &n));
    gpu_download(out, to, sizeof out);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(out[5 * i], nested(in[i]));
        assert_int_equal(out[5 * i + 1], two_entries(in[i]));
        assert_int_equal(out[5 * i + 2], machine(in[i]));
        assert_int_equal(out[5 * i + 3], deep(in[i] & 0xfff, 12));
        assert_int_equal(out[5 * i + 4], conditions(in[i]));
    }
    gpu_free(from);
    gpu_free(to);
}

/* meet_again in plain C, a step for all lanes at a time. */
static void meet_again(const unsigned *in, unsigned *out)
{
    unsigned sum[32] = {0}, mixed[32], odd = 0, add = 0, three = 0;
    for (int lane = 0; lane < 32; lane++) {
        for (unsigned i = 0; i < (in[lane] & 15); i++) {
            sum[lane] += in[lane] >> i;
        }
    }
    for (int lane = 0; lane < 32; lane++) {
        mixed[lane] = sum[lane] + sum[lane ^ 5];
        odd |= (mixed[lane] & 1) << lane;
    }
    int first = __builtin_ffs((int)odd) - 1;
    for (int lane = 0; lane < 32; lane++) {
        if (odd >> lane & 1) {
            sum[lane] = mixed[lane] + mixed[first];
            add += sum[lane];
            continue;
        }
        unsigned alike = 0;
        for (int other = 0; other < 32; other++) {
            alike += !(odd >> other & 1) && (mixed[other] & 6) == (mixed[lane] & 6);
        }
        sum[lane] = mixed[lane] + alike;
    }
    for (int lane = 0; lane < 32; lane++) {
        sum[lane] ^= odd >> lane & 1 ? add : 0;
        three |= sum[lane] == 3;
    }
    for (int lane = 0; lane < 32; lane++) {
        out[lane] = sum[lane] + three;
    }
}

static void test_meet_again(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 20; round++) {
        unsigned in[32], got[32], want[32];
        for (unsigned i = 0; i < 32; i++) {
            in[i] = gpu_pick(100 + round, i, UINT32_MAX);
        }
        uint64_t from = gpu_upload(in, sizeof in), to = gpu_alloc(sizeof got);
        gpu_launch("meet_again", (gpu_dim){1, 1, 1}, (gpu_dim){32, 1, 1}, 0, GPU_ARGS(&from, &to));
        gpu_download(got, to, sizeof got);
        meet_again(in, want);
        assert_memory_equal(got, want, sizeof want);
        gpu_free(from);
        gpu_free(to);
    }
}

static void test_lanes_do_not_starve(void **state)
{
    (void)state;
    int order[32];
    uint64_t turn = gpu_zeros(4), to = gpu_zeros(sizeof order);
    gpu_launch("lane_chain", (gpu_dim){1, 1, 1}, (gpu_dim){32, 1, 1}, 0, GPU_ARGS(&turn, &to));
    gpu_download(order, to, sizeof order);
    for (int i = 0; i < 32; i++) {
        assert_int_equal(order[i], i * i);
    }
    gpu_free(turn);
    gpu_free(to);
}

static void test_spin_lock(void **state)
{
    (void)state;
    int rounds = 3, counter;
    uint64_t lock = gpu_zeros(4), at = gpu_zeros(4);
    gpu_launch("spin_lock", (gpu_dim){3, 1, 1}, (gpu_dim){64, 1, 1}, 0, GPU_ARGS(&lock, &at, &rounds));
    gpu_download(&counter, at, 4);
    assert_int_equal(counter, 3 * 64 * rounds);
    gpu_free(lock);
    gpu_free(at);
}

static void test_named_barriers(void **state)
{
    (void)state;
    int rounds = 9, out[9 * 64];
    uint64_t to = gpu_alloc(sizeof out);
    gpu_launch("named_barriers", (gpu_dim){1, 1, 1}, (gpu_dim){128, 1, 1}, 0, GPU_ARGS(&to, &rounds));
    gpu_download(out, to, sizeof out);
    for (int i = 0; i < rounds * 64; i++) {
        assert_int_equal(out[i], i / 64 * 100 + 63 - i % 64);
    }
    gpu_free(to);
}

static void test_barrier_reductions(void **state)
{
    (void)state;
    for (int first = -1; first < 2; first++) {
        int in[96], out[96], odd = 0, any = 0, all = 1;
        for (int i = 0; i < 96; i++) {
            in[i] = first + i % (first < 0 ? 7 : 93);
            odd += in[i] & 1;
            any |= in[i] > 90;
            all &= in[i] > 0;
        }
        uint64_t from = gpu_upload(in, sizeof in), to = gpu_alloc(sizeof out);
        gpu_launch("barrier_reductions", (gpu_dim){1, 1, 1}, (gpu_dim){96, 1, 1}, 0, GPU_ARGS(&from, &to));
        gpu_download(out, to, sizeof out);
        for (int i = 0; i < 96; i++) {
            assert_int_equal(out[i], all * 1000000 + any * 10000 + odd);
        }
        gpu_free(from);
        gpu_free(to);
    }
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_functions),      cmocka_unit_test(test_meet_again),
        cmocka_unit_test(test_spin_lock),      cmocka_unit_test(test_lanes_do_not_starve),
        cmocka_unit_test(test_named_barriers), cmocka_unit_test(test_barrier_reductions),
    };
    gpu_open("torture");
    int failed = cmocka_run_group_tests(list, NULL, NULL);
    gpu_close();
    return failed;
}

int main(void)
{
    return gpu_run_seeds(4, tests);
}
