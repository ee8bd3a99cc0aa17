/*
 * The approximations and roundings of vec.h, level by level: walked densely over the floats (every STRIDE-th
 * bit pattern, a prime, so that all exponents and all low bits occur), and at the ends of their ranges. And
 * what becomes of a vector's lanes.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/philox.h"
#include "tests/kernels/fixture.h"
#include "tests/kernels/tolerances.h"
#include "tests/kernels/vec_probe.h"
#include "tests/ref/ref_ops.h"

enum { BATCH = 4096, STRIDE = 1009 };

static const vec_probe *probe_of(const test_level *level)
{
    const vec_probe *probes[] = {
        &vec_probe_plain,
#if defined(SEGAGENT_HAVE_AVX2)
        &vec_probe_avx2,
        &vec_probe_avx512,
        &vec_probe_avx512bf16,
#endif
    };
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        if (strcmp(probes[i]->name, level->name) == 0) {
            return probes[i];
        }
    }
    fail_msg("no probe of level %s", level->name);
    return NULL;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static bool is_nan_bits(uint32_t bits)
{
    return (bits & 0x7fffffffu) > 0x7f800000u;
}

typedef void map_call(float *y, const float *x, size_t count);
typedef double error_call(float x, float y);

/*
 * The largest error(x, y) over the floats whose bit patterns lie in [first, last], steps of `stride` and both
 * ends.
 */
static double worst_error(map_call *map, error_call *error, uint32_t first, uint32_t last, uint32_t stride,
                          float *where)
{
    static float x[BATCH], y[BATCH];
    double worst = 0.0;
    for (uint64_t at = first; at <= last; at += (uint64_t)BATCH * stride) {
        for (size_t i = 0; i < BATCH; i++) {
            uint64_t bits = at + i * (uint64_t)stride;
            x[i] = float_of(bits < last ? (uint32_t)bits : last);
        }
        map(y, x, BATCH);
        for (size_t i = 0; i < BATCH; i++) {
            double e = error(x[i], y[i]);
            if (!(e <= worst)) {
                worst = e;
                *where = x[i];
            }
        }
    }
    return worst;
}

static double exp2_error(float x, float y)
{
    if (x <= -125.0f) {
        return bits_of(y) == 0 ? 0.0 : (double)INFINITY;
    }
    return fabs((double)y / exp2((double)x) - 1.0);
}

static void check_exp2(const char *name, map_call *exp2_negative, double allowed)
{
    float where = 0.0f;
    double worst = worst_error(exp2_negative, exp2_error, bits_of(-0.0f), bits_of(-INFINITY), STRIDE, &where);
    print_message("%s: exp2 within %.3g, at %.9g\n", name, worst, (double)where);
    assert_true(worst <= allowed);
    /* Every float between -1 and -1/2, and around the steps of the rounding and the end. */
    assert_true(worst_error(exp2_negative, exp2_error, bits_of(-0.5f), bits_of(-1.0f), 1, &where) <= allowed);
    for (int i = 1; i < 260; i++) {
        float n = -0.5f * (float)i;
        worst = worst_error(exp2_negative, exp2_error, bits_of(n) - 50, bits_of(n) + 50, 1, &where);
        assert_true(worst <= allowed);
    }
}

static void test_exp2(void **state)
{
    const test_levels *levels = *state;
    for (size_t l = 0; l < levels->count; l++) {
        const vec_probe *probe = probe_of(&levels->level[l]);
        check_exp2(probe->name, probe->exp2_negative, EXP2_ERROR);
        check_exp2(probe->name, probe->exp2_negative_short, EXP2_SHORT_ERROR);
    }
}

/* 1 for a score that is the row's peak, exactly: the softmax of one key is v itself. */
static void test_exp2_of_zero(void **state)
{
    const test_levels *levels = *state;
    for (size_t l = 0; l < levels->count; l++) {
        float x[16] = {0.0f, -0.0f}, y[16];
        probe_of(&levels->level[l])->exp2_negative(y, x, 16);
        assert_true(y[0] == 1.0f && y[1] == 1.0f);
        probe_of(&levels->level[l])->exp2_negative_short(y, x, 16);
        assert_true(y[0] == 1.0f && y[1] == 1.0f);
    }
}

/* Error per |x|; subnormal x may be flushed. */
static double gelu_error(float x, float y)
{
    double error = fabs((double)y - ref_gelu((double)x));
    return error <= 0x1p-126 ? 0.0 : error / fabs((double)x);
}

static void test_gelu(void **state)
{
    const test_levels *levels = *state;
    for (size_t l = 0; l < levels->count; l++) {
        const vec_probe *probe = probe_of(&levels->level[l]);
        float where[2] = {0};
        double above = worst_error(probe->gelu, gelu_error, bits_of(0.0f), bits_of(3e38f), STRIDE, &where[0]);
        double below =
            worst_error(probe->gelu, gelu_error, bits_of(-0.0f), bits_of(-3e38f), STRIDE, &where[1]);
        print_message("%s: gelu within %.3g |x| at %.9g, %.3g |x| at %.9g\n", probe->name, above,
                      (double)where[0], below, (double)where[1]);
        assert_true(above <= GELU_ERROR);
        assert_true(below <= GELU_ERROR);
    }
}

static void test_nan_and_infinity_pass(void **state)
{
    const test_levels *levels = *state;
    for (size_t l = 0; l < levels->count; l++) {
        const vec_probe *probe = probe_of(&levels->level[l]);
        float x[16] = {float_of(0x7fc00000u), float_of(0xffc00000u), -1.0f, 2.0f, INFINITY, -INFINITY}, y[16];
        probe->gelu(y, x, 16);
        assert_true(is_nan_bits(bits_of(y[0])) && is_nan_bits(bits_of(y[1])));
        assert_true(y[4] == INFINITY && fabsf(y[5]) <= 1e-7f);
        probe->exp2_negative(y, x, 16);
        assert_true(is_nan_bits(bits_of(y[0])) && is_nan_bits(bits_of(y[1])));
        probe->exp2_negative_short(y, x, 16);
        assert_true(is_nan_bits(bits_of(y[0])) && is_nan_bits(bits_of(y[1])));
        probe->relu(y, x, 16);
        assert_true(is_nan_bits(bits_of(y[0])) && is_nan_bits(bits_of(y[1])));
        assert_true(y[2] == 0.0f && y[3] == 2.0f && y[4] == INFINITY && y[5] == 0.0f);
    }
}

/* The upper half onto the lower one, until one is left; of the two `largest` takes the second where they do
 * not compare. */
static float halved(const float *x, size_t lanes, bool largest)
{
    float lane[16];
    memcpy(lane, x, lanes * sizeof *lane);
    for (size_t half = lanes / 2; half > 0; half /= 2) {
        for (size_t i = 0; i < half; i++) {
            float a = lane[i], b = lane[i + half];
            lane[i] = !largest ? a + b : a > b ? a : b;
        }
    }
    return lane[0];
}

/* The order of sums is a promise: any other one would give other bits. */
static void test_lanes(void **state)
{
    enum { VECTORS = 400, COUNT = VECTORS * 16 };
    const test_levels *levels = *state;
    static float x[COUNT], y[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        x[i] = ldexpf(2 * sa_philox_unit(sa_philox_block(7, 0, i).word[0]) - 1, (int)(i / 16 % 20));
        x[i] = i / 16 % 7 == 1 && i % 5 < 2 ? (i % 5 == 0 ? 0.0f : -0.0f) : x[i];
    }
    for (size_t i = 0; i < 16; i++) { /* a NaN in every lane */
        x[i * 16 + i] = float_of(0x7fc00000u);
    }
    for (size_t l = 0; l < levels->count; l++) {
        const vec_probe *probe = probe_of(&levels->level[l]);
        probe->sum(y, x, COUNT);
        for (size_t i = 0; i < COUNT; i += probe->lanes) {
            float want = halved(x + i, probe->lanes, false), got = y[i / probe->lanes];
            assert_true(bits_of(got) == bits_of(want) ||
                        (is_nan_bits(bits_of(got)) && is_nan_bits(bits_of(want))));
        }
        probe->max_lane(y, x, COUNT);
        for (size_t i = 0; i < COUNT; i += probe->lanes) {
            assert_int_equal(bits_of(y[i / probe->lanes]), bits_of(halved(x + i, probe->lanes, true)));
        }
    }
}

/* What the rounding of x may be: vcvtneps2bf16 takes subnormal numbers for zeros of their sign. */
static bool bf16_is_right(float x, uint16_t y, bool flushes)
{
    uint32_t bits = bits_of(x);
    if (is_nan_bits(bits)) {
        return is_nan_bits((uint32_t)y << 16) && y >> 15 == bits >> 31;
    }
    if ((bits & 0x7fffffffu) == 0x7f800000u) {
        return y == bits >> 16;
    }
    if (flushes && (bits & 0x7f800000u) == 0) {
        return y == (bits >> 16 & 0x8000u);
    }
    return y == ref_bf16(x);
}

/* Every upper half with the lower halves around ties. */
static void test_to_bf16(void **state)
{
    static const uint16_t lower[16] = {0,      1,      2,      0x7ffe, 0x7fff, 0x8000, 0x8001, 0x8002,
                                       0xfffe, 0xffff, 0x4000, 0xc000, 0x1234, 0x5678, 0x9abc, 0xdef0};
    const test_levels *levels = *state;
    for (size_t l = 0; l < levels->count; l++) {
        const vec_probe *probe = probe_of(&levels->level[l]);
        bool flushes = strcmp(probe->name, "avx512bf16") == 0;
        for (uint32_t upper = 0; upper <= 0xffff; upper++) {
            float x[16];
            uint16_t y[16];
            for (size_t i = 0; i < 16; i++) {
                x[i] = float_of(upper << 16 | lower[i]);
            }
            probe->to_bf16(y, x, 16);
            for (size_t i = 0; i < 16; i++) {
                if (!bf16_is_right(x[i], y[i], flushes)) {
                    fail_msg("%s: 0x%08x became 0x%04x", probe->name, bits_of(x[i]), y[i]);
                }
            }
        }
    }
}

static void test_from_bf16(void **state)
{
    const test_levels *levels = *state;
    for (size_t l = 0; l < levels->count; l++) {
        const vec_probe *probe = probe_of(&levels->level[l]);
        for (uint32_t first = 0; first <= 0xffff; first += 16) {
            uint16_t x[16];
            float y[16];
            for (uint32_t i = 0; i < 16; i++) {
                x[i] = (uint16_t)(first + i);
            }
            probe->from_bf16(y, x, 16);
            for (uint32_t i = 0; i < 16; i++) {
                assert_int_equal(bits_of(y[i]), (first + i) << 16);
            }
        }
    }
}

/* A GELU of tanh, an exp2 that is an ulp or three off, and a truncating rounding would be seen. */
static double tanh_gelu_error(float x, float y)
{
    (void)y;
    double inner = 0.7978845608 * ((double)x + 0.044715 * (double)x * (double)x * (double)x);
    return gelu_error(x, (float)(0.5 * (double)x * (1.0 + tanh(inner))));
}

static double off_exp2_error(float x, float y)
{
    return exp2_error(x, float_of(bits_of(y) + 5));
}

static void test_planted_faults(void **state)
{
    const vec_probe *probe = probe_of(&((const test_levels *)*state)->level[0]);
    float where = 0.0f;
    assert_false(worst_error(probe->gelu, tanh_gelu_error, bits_of(0.5f), bits_of(4.0f), STRIDE, &where) <=
                 GELU_ERROR);
    assert_false(worst_error(probe->exp2_negative, off_exp2_error, bits_of(-0.5f), bits_of(-1.0f), STRIDE,
                             &where) <= EXP2_ERROR);
    assert_false(worst_error(probe->exp2_negative_short, exp2_error, bits_of(-0.5f), bits_of(-1.0f), STRIDE,
                             &where) <= EXP2_ERROR);
    assert_false(bf16_is_right(float_of(0x3f808001u), 0x3f80, false));
    assert_false(bf16_is_right(float_of(0x3f818000u), 0x3f81, false));
    assert_false(bf16_is_right(float_of(0x7fffffffu), 0x7f80, false));
    assert_false(bf16_is_right(float_of(0x7f7fffffu), 0x7f7f, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp2),           cmocka_unit_test(test_exp2_of_zero),
        cmocka_unit_test(test_gelu),           cmocka_unit_test(test_nan_and_infinity_pass),
        cmocka_unit_test(test_to_bf16),        cmocka_unit_test(test_from_bf16),
        cmocka_unit_test(test_planted_faults), cmocka_unit_test(test_lanes),
    };
    return cmocka_run_group_tests(tests, levels_setup, levels_teardown);
}
