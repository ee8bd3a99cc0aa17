/*
 * Every half and every bf16 there is, and the rounding of f32 to bf16 against arithmetic that is done another
 * way.
 */
#include <math.h>
#include <string.h>

#include "runtime/base/dtype.h"
#include "runtime/base/philox.h"
#include "tests/check.h"

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void test_sizes_and_names(void **state)
{
    (void)state;
    static const struct {
        sa_dtype dtype;
        size_t size;
        const char *name;
    } want[] = {{SA_F32, 4, "f32"}, {SA_F16, 2, "f16"},  {SA_BF16, 2, "bf16"}, {SA_F64, 8, "f64"},
                {SA_U8, 1, "u8"},   {SA_I8, 1, "i8"},    {SA_I16, 2, "i16"},   {SA_I32, 4, "i32"},
                {SA_I64, 8, "i64"}, {SA_BOOL, 1, "bool"}};
    assert_int_equal(sizeof want / sizeof want[0], SA_DTYPE_COUNT);
    for (int i = 0; i < SA_DTYPE_COUNT; i++) {
        assert_int_equal(sa_dtype_size(want[i].dtype), want[i].size);
        assert_string_equal(sa_dtype_name(want[i].dtype), want[i].name);
    }
}

/* The value that the IEEE text gives a half: sign * fraction * 2^exponent. */
static double half_value(unsigned half)
{
    int exponent = (int)(half >> 10 & 0x1f);
    int fraction = (int)(half & 0x3ff);
    double magnitude = exponent == 0 ? ldexp(fraction, -24) : ldexp(fraction + 1024, exponent - 25);
    return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

static void test_every_half(void **state)
{
    (void)state;
    for (unsigned half = 0; half < 65536; half++) {
        uint32_t bits = bits_of(sa_f16_to_f32((sa_f16)half));
        assert_int_equal(bits >> 31, half >> 15);
        if ((half & 0x7c00) == 0x7c00) { /* infinity or NaN: by bits */
            assert_int_equal(bits & 0x7fffffff, 0x7f800000 | (half & 0x3ff) << 13);
        } else {
            assert_int_equal(bits, bits_of((float)half_value(half)));
        }
    }
}

static void test_every_bf16_comes_back(void **state)
{
    (void)state;
    for (unsigned value = 0; value < 65536; value++) {
        float wide = sa_bf16_to_f32((sa_bf16)value);
        assert_int_equal(bits_of(wide), value << 16);
        bool nan = (value & 0x7f80) == 0x7f80 && (value & 0x7f) != 0;
        assert_int_equal(sa_bf16_from_f32(wide), nan ? value | 0x40 : value);
    }
}

/* Nearest by distance, even on a tie: no bit tricks in common with the function. Finite and in range. */
static unsigned nearest_bf16(float value)
{
    unsigned below = bits_of(value) >> 16; /* towards zero */
    double low = fabs((double)float_of(below << 16));
    double high = (below & 0x7fff) == 0x7f7f ? 0x1p128 : fabs((double)float_of((below + 1) << 16));
    double to_low = fabs((double)value) - low;
    double to_high = high - fabs((double)value);
    bool up = to_high < to_low || (to_high == to_low && (below & 1) != 0);
    return below + up;
}

static void test_rounding_to_bf16(void **state)
{
    (void)state;
    static const uint32_t tails[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
    for (unsigned upper = 0; upper < 65536; upper++) {
        if ((upper & 0x7f80) == 0x7f80) {
            continue;
        }
        for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
            float value = float_of(upper << 16 | tails[i]);
            assert_int_equal(sa_bf16_from_f32(value), nearest_bf16(value));
        }
    }
    for (uint64_t i = 0; i < 100000; i++) {
        uint32_t bits = sa_philox_block(11, i, 0).word[0];
        if ((bits & 0x7f800000) != 0x7f800000) {
            assert_int_equal(sa_bf16_from_f32(float_of(bits)), nearest_bf16(float_of(bits)));
        }
    }
}

static void test_special_values_to_bf16(void **state)
{
    (void)state;
    assert_int_equal(sa_bf16_from_f32(float_of(0x7f800000)), 0x7f80);
    assert_int_equal(sa_bf16_from_f32(float_of(0xff800000)), 0xff80);
    assert_int_equal(sa_bf16_from_f32(float_of(0x7f7fffff)), 0x7f80); /* rounds to infinity */
    /* NaNs whose upper half alone would look like infinity. */
    assert_int_equal(sa_bf16_from_f32(float_of(0x7f800001)), 0x7fc0);
    assert_int_equal(sa_bf16_from_f32(float_of(0xffffffff)), 0xffff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_and_names),        cmocka_unit_test(test_every_half),
        cmocka_unit_test(test_every_bf16_comes_back),  cmocka_unit_test(test_rounding_to_bf16),
        cmocka_unit_test(test_special_values_to_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
