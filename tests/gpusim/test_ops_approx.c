/* Approximate functions against the host's, within the errors that the PTX ISA allows. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/gpusim/probe.h"

static float flushed(float x)
{
    return fpclassify(x) == FP_SUBNORMAL ? copysignf(0, x) : x;
}

static uint64_t bits(double x)
{
    return isnan(x) ? 0x7fffffff : probe_bits((float)x);
}

/* x as the instruction reads it. */
#define X probe_float(a)
#define FLUSHED_X flushed(probe_float(a))

/* One that keeps subnormal numbers and one that flushes them, at both ends. */
#define FUNCTION(NAME, RELATIVE, ABSOLUTE, f)                                                                \
    PROBE_NEAR(NAME ".approx.f32 $d, $a", 'w', "f", RELATIVE, ABSOLUTE + 0x1p-149, bits(f(X)))               \
    PROBE_NEAR(NAME ".approx.ftz.f32 $d, $a", 'w', "f", RELATIVE, ABSOLUTE + 0x1p-140,                       \
               bits(flushed((float)f(FLUSHED_X))))

static double inverse(double x)
{
    return 1 / x;
}

static double inverse_root(double x)
{
    return 1 / sqrt(x);
}
FUNCTION("ex2", 0x1p-22, 0, exp2)
FUNCTION("lg2", 0x1p-22, 0x1p-22, log2)
FUNCTION("rcp", 0x1p-23, 0, inverse)
FUNCTION("sqrt", 0x1p-23, 0, sqrt)
FUNCTION("rsqrt", 0x1.125p-23, 0, inverse_root) /* 2^-22.9 */
PROBE_NEAR("tanh.approx.f32 $d, $a", 'w', "f", 0x1p-11, 0x1p-149, bits(tanh(X)))

/* sin and cos: the ISA gives a bound for -2 pi .. 2 pi (2^-20.5), and a looser one for -100 pi .. 100 pi
 * (2^-14.7). */
static double within(uint64_t a, double limit)
{
    const float x = probe_float(a);
    return fmax(fmin(x, limit), -limit);
}
PROBE_NEAR("min.f32 %w1, $a, 0f40400000; max.f32 %w1, %w1, 0fC0400000; sin.approx.f32 $d, %w1", 'w', "f", 0,
           0x1.6ap-21, bits(sin(within(a, 3))))
PROBE_NEAR("min.f32 %w1, $a, 0f40400000; max.f32 %w1, %w1, 0fC0400000; cos.approx.f32 $d, %w1", 'w', "f", 0,
           0x1.6ap-21, bits(cos(within(a, 3))))
PROBE_NEAR("min.f32 %w1, $a, 0f43960000; max.f32 %w1, %w1, 0fC3960000; sin.approx.ftz.f32 $d, %w1", 'w', "f",
           0, 0x1.3b2p-15, bits(sin(within(a, 300))))
PROBE_NEAR("min.f32 %w1, $a, 0f43960000; max.f32 %w1, %w1, 0fC3960000; cos.approx.ftz.f32 $d, %w1", 'w', "f",
           0, 0x1.3b2p-15, bits(cos(within(a, 300))))

/* div.approx: 2 ulp, for divisors up to 2^126; beyond, 0 (and NaN for an infinite dividend). div.full: all.
 */
static uint64_t divided(float x, float y, bool full)
{
    const bool large = fabsf(y) > 0x1p126f && fabsf(y) < INFINITY;
    return large && !full ? bits(isinf(x) || isnan(x)       ? (double)NAN
                                 : signbit(x) != signbit(y) ? -0.0
                                                            : 0.0)
                          : bits((double)x / (double)y);
}
PROBE_NEAR("div.approx.f32 $d, $a, $b", 'w', "ff", 0x1p-22, 0x1p-148, divided(X, probe_float(b), false))
PROBE_NEAR("div.full.f32 $d, $a, $b", 'w', "ff", 0x1p-22, 0x1p-148, divided(X, probe_float(b), true))
PROBE_NEAR("div.full.ftz.f32 $d, $a, $b", 'w', "ff", 0x1p-22, 0x1p-140,
           bits(flushed(probe_float(divided(FLUSHED_X, flushed(probe_float(b)), true)))))

/*
 * Of f64: with .ftz a gross approximation (2^-20 is what the upper half can hold) of the operand's upper
 * half, the lower half of the result is zero ($P); without, the function itself. The result times what it is
 * the inverse of is compared as an f32, so that infinities, zeros and NaN show too.
 */
static double seen(uint64_t a, bool ftz)
{
    const double x = probe_double(a), y = isnan(x) || !ftz ? x : probe_double(a & 0xffffffff00000000);
    return ftz && fpclassify(y) == FP_SUBNORMAL ? copysign(0, y) : y;
}

static double given(double r, bool ftz)
{
    const double upper = isnan(r) || !ftz ? r : probe_double(probe_bits64(r) & 0xffffffff00000000);
    return ftz && fpclassify(upper) == FP_SUBNORMAL ? copysign(0, upper) : upper;
}
#define FUNCTION64(TEXT, TIMES, LOW, FTZ, RELATIVE, f, back)                                                 \
    PROBE_ROW(__COUNTER__,                                                                                   \
              TEXT " %dr, $a; mov.b64 {%w1, %w2}, %dr; setp.eq.u32 $P, " LOW ", 0; " TIMES                   \
                   "; mul.f64 %dr, %dr, $a; cvt.rn.f32.f64 $d, %dr",                                         \
              'w', "F", RELATIVE, 0, const double r = given(f(seen(a, FTZ)), FTZ);                           \
              return ((probe_out){.d = bits(back * probe_double(a)), .p = true});)
#define SQUARE "mul.f64 %dr, %dr, %dr"
FUNCTION64("rcp.approx.ftz.f64", "mov.b32 %w2, 0", "%w1", true, 0x1p-19, inverse, r)
FUNCTION64("rsqrt.approx.ftz.f64", SQUARE, "%w1", true, 0x1p-18, inverse_root, (r * r))
FUNCTION64("rsqrt.approx.f64", SQUARE, "0", false, 0x1p-23, inverse_root, (r * r))

static void test_instructions(void **state)
{
    (void)state;
    assert_int_equal(probe_all(), 0);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_instructions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    return probe_run_levels(run);
}
