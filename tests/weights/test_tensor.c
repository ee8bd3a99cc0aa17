/*
 * Conversions between floating types, exhaustively where there are few values, and the scan for values not
 * finite.
 */
#include <math.h>
#include <string.h>

#include "runtime/weights/weights.h"
#include "tests/check.h"

static sa_tensor tensor_on(const void *data, sa_dtype dtype, size_t count)
{
    return (sa_tensor){.name = "t",
                       .dtype = dtype,
                       .rank = 1,
                       .shape = {count},
                       .count = count,
                       .bytes = count * sa_dtype_size(dtype),
                       .data = data};
}

/* Every half, at an odd address, against the base's own conversion; NaNs by bits. */
static void test_read_all_halves(void **state)
{
    (void)state;
    static unsigned char data[2 * 65536 + 1];
    static float out[65536];
    for (int kind = 0; kind < 2; kind++) {
        sa_dtype dtype = kind == 0 ? SA_F16 : SA_BF16;
        for (unsigned i = 0; i < 65536; i++) {
            uint16_t half = (uint16_t)i;
            memcpy(data + 1 + 2 * i, &half, sizeof half);
        }
        sa_tensor tensor = tensor_on(data + 1, dtype, 65536);
        sa_tensor_read_f32(&tensor, 0, 65536, out);
        for (unsigned i = 0; i < 65536; i++) {
            float want = dtype == SA_F16 ? sa_f16_to_f32((sa_f16)i) : sa_bf16_to_f32((sa_bf16)i);
            assert_memory_equal(&out[i], &want, sizeof want);
        }
    }
}

/* A half survives the way to f32 and back; so does every bf16. NaN may be quieted but stays NaN. */
static void test_halves_survive(void **state)
{
    (void)state;
    static uint16_t halves[65536], back[65536];
    static float wide[65536];
    for (unsigned i = 0; i < 65536; i++) {
        halves[i] = (uint16_t)i;
    }
    for (int kind = 0; kind < 2; kind++) {
        sa_dtype dtype = kind == 0 ? SA_F16 : SA_BF16;
        uint16_t mask = dtype == SA_F16 ? 0x7c00 : 0x7f80;
        sa_tensor narrow = tensor_on(halves, dtype, 65536), middle = tensor_on(wide, SA_F32, 65536);
        sa_tensor_read_f32(&narrow, 0, 65536, wide);
        assert_int_equal(sa_tensor_convert(&middle, 0, 65536, dtype, back), 0);
        for (unsigned i = 0; i < 65536; i++) {
            bool nan = (i & mask) == mask && (i & 0x7fff & ~(unsigned)mask) != 0;
            assert_true(back[i] == i || (nan && (back[i] & mask) == mask && (back[i] & 0x7fff & ~mask) != 0));
        }
    }
}

/* The nearest half by search over all of them, ties to the even one. */
static uint16_t nearest_half(double value)
{
    double best = INFINITY;
    uint16_t found = 0;
    for (unsigned i = 0; i <= 0x7c00; i++) {
        double candidate =
            i == 0x7c00 ? 65536.0 : (double)sa_f16_to_f32((sa_f16)i); /* infinity stands for 2^16 */
        double error = fabs(candidate - fabs(value));
        if (error < best || (error == best && i % 2 == 0)) {
            best = error;
            found = (uint16_t)i;
        }
    }
    return (uint16_t)(found | (value < 0 || (value == 0 && signbit(value)) ? 0x8000 : 0));
}

static void check_half(float value)
{
    uint16_t half = 0;
    sa_tensor tensor = tensor_on(&value, SA_F32, 1);
    size_t lost = sa_tensor_convert(&tensor, 0, 1, SA_F16, &half);
    uint16_t want = nearest_half(value);
    if (half != want || lost != ((want & 0x7c00) == 0x7c00)) {
        fail_msg("%.9g (%a) became %04x, not %04x; lost %zu", (double)value, (double)value, half, want, lost);
    }
}

static void test_round_to_half(void **state)
{
    (void)state;
    float values[500];
    static const float scales[] = {1e-8f, 6e-8f, 1e-6f, 6.1e-5f, 1.0f, 3e4f};
    for (size_t s = 0; s < sizeof scales / sizeof scales[0]; s++) {
        check_fill_normal(values, 500, scales[s], 11 + s);
        for (size_t i = 0; i < 500; i++) {
            check_half(values[i]);
        }
    }
    for (unsigned i = 0; i < 0x7c00; i += 7) { /* halfway between neighbours, and one f32 step beside it */
        float low = sa_f16_to_f32((sa_f16)i), high = i == 0x7bff ? 65536.0f : sa_f16_to_f32((sa_f16)(i + 1));
        float half = low + (high - low) / 2.0f;
        check_half(half);
        check_half(nextafterf(half, low));
        check_half(-nextafterf(half, high));
    }
    check_half(65504.0f);
    check_half(nextafterf(65520.0f, 0.0f));
    check_half(65520.0f);
    check_half(-0.0f);
}

static void test_wide_types(void **state)
{
    (void)state;
    double wide[3] = {1.0 + 0x1p-30, -2.5, 1e300};
    float out[3];
    sa_tensor tensor = tensor_on(wide, SA_F64, 3);
    sa_tensor_read_f32(&tensor, 0, 3, out);
    assert_true(out[0] == 1.0f && out[1] == -2.5f && isinf(out[2]));
    assert_int_equal(sa_tensor_convert(&tensor, 0, 3, SA_F32, out), 1); /* 1e300 does not fit */
    sa_tensor_read_f32(&tensor, 1, 1, out);
    assert_true(out[0] == -2.5f);
    sa_tensor empty = tensor_on(NULL, SA_F32, 0);
    sa_tensor_read_f32(&empty, 0, 0, out);
    assert_int_equal(sa_tensor_count_nonfinite(&empty), 0);
}

static void test_count_nonfinite(void **state)
{
    (void)state;
    const float f32[] = {0.0f, NAN, INFINITY, -INFINITY, 3e38f};
    const double f64[] = {0.0, (double)NAN, 1e308};
    const uint16_t f16[] = {0x7bff, 0x7c00, 0xfc01, 0x0001}, bf16[] = {0x7f7f, 0x7f80, 0xffff};
    const uint8_t u8[] = {255, 255};
    const sa_tensor tensors[] = {tensor_on(f32, SA_F32, 5), tensor_on(f64, SA_F64, 3),
                                 tensor_on(f16, SA_F16, 4), tensor_on(bf16, SA_BF16, 3),
                                 tensor_on(u8, SA_U8, 2)};
    const size_t want[] = {3, 1, 2, 2, 0};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(sa_tensor_count_nonfinite(&tensors[i]), want[i]);
    }
}

static void test_count_beyond_f16(void **state)
{
    (void)state;
    const float f32[] = {65504.0f, 65519.99f, 65520.0f, -1e30f, NAN, 0.0f};
    const double f64[] = {1e300, -65519.0, 65520.0};
    const uint16_t f16[] = {0x7bff, 0x7c00}, bf16[] = {0x477f, 0x4780};
    const int32_t i32[] = {1 << 30};
    float many[1025] = {0};
    many[511] = many[512] = many[1024] = 1e5f; /* on both sides of a block's end, and in the last one */
    const sa_tensor tensors[] = {tensor_on(f32, SA_F32, 6), tensor_on(f64, SA_F64, 3),
                                 tensor_on(f16, SA_F16, 2), tensor_on(bf16, SA_BF16, 2),
                                 tensor_on(i32, SA_I32, 1), tensor_on(many, SA_F32, 1025)};
    const size_t want[] = {2, 2, 0, 1, 0, 3};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(sa_tensor_count_beyond_f16(&tensors[i]), want[i]);
    }
}

static void test_shape_text(void **state)
{
    (void)state;
    char text[64], tiny[6];
    const size_t shape[] = {2, 3, 18446744073709551615u};
    assert_string_equal(sa_shape_format(shape, 0, text, sizeof text), "[]");
    assert_string_equal(sa_shape_format(shape, 3, text, sizeof text), "[2, 3, 18446744073709551615]");
    assert_string_equal(sa_shape_format(shape, 3, tiny, sizeof tiny), "[2, 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_all_halves), cmocka_unit_test(test_halves_survive),
        cmocka_unit_test(test_round_to_half),   cmocka_unit_test(test_wide_types),
        cmocka_unit_test(test_count_nonfinite), cmocka_unit_test(test_count_beyond_f16),
        cmocka_unit_test(test_shape_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
