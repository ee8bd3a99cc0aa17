#include "tests/check.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/philox.h"

/* A guard as long as the alignment: what lies between two guards is aligned too. */
enum { CHECK_ALIGN = 256, GUARD = CHECK_ALIGN, GUARD_BYTE = 0xC3, FRESH_BYTE = 0xEE };

void must(sa_status status, const sa_error *err)
{
    char text[2048];
    if (status != SA_OK) {
        fail_msg("%s", sa_error_format(err, text, sizeof text));
    }
}

check_buffer check_buffer_new(size_t size)
{
    check_buffer buffer = {.size = size};
    size_t whole = (size + 2 * GUARD + CHECK_ALIGN - 1) / CHECK_ALIGN * CHECK_ALIGN;
    buffer.whole = aligned_alloc(CHECK_ALIGN, whole);
    assert_non_null(buffer.whole);
    memset(buffer.whole, GUARD_BYTE, whole);
    buffer.bytes = buffer.whole + GUARD;
    memset(buffer.bytes, FRESH_BYTE, size);
    return buffer;
}

void check_buffer_free(check_buffer *buffer)
{
    for (size_t i = 0; i < GUARD; i++) {
        if (buffer->whole[i] != GUARD_BYTE) {
            fail_msg("%zu bytes before a buffer of %zu bytes were overwritten", GUARD - i, buffer->size);
        }
        if (buffer->bytes[buffer->size + i] != GUARD_BYTE) {
            fail_msg("byte %zu after a buffer of %zu bytes was overwritten", i, buffer->size);
        }
    }
    free(buffer->whole);
    *buffer = (check_buffer){0};
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* By bit pattern: compilers may fold isnan() away. */
static bool is_finite_bits(float value)
{
    return (bits_of(value) & 0x7f800000u) != 0x7f800000u;
}

static bool is_infinity_bits(float value)
{
    return (bits_of(value) & 0x7fffffffu) == 0x7f800000u;
}

/* Distance in units in the last place, over the ordered line of floats. */
static double ulps_between(float a, float b)
{
    int32_t x = (int32_t)bits_of(a), y = (int32_t)bits_of(b);
    int64_t i = x < 0 ? -(int64_t)(x & 0x7fffffff) : x;
    int64_t j = y < 0 ? -(int64_t)(y & 0x7fffffff) : y;
    return fabs((double)(i - j));
}

static void print_place(const check_spec *spec, size_t index)
{
    size_t place[4] = {0};
    for (int axis = spec->rank - 1; axis >= 0; axis--) {
        place[axis] = spec->axes[axis] != 0 ? index % spec->axes[axis] : 0;
        index = spec->axes[axis] != 0 ? index / spec->axes[axis] : 0;
    }
    print_error("[");
    for (int axis = 0; axis < spec->rank; axis++) {
        print_error("%s%zu of %zu", axis > 0 ? ", " : "", place[axis], spec->axes[axis]);
    }
    print_error("]");
}

bool check_close_f32(const float *got, const float *want, const check_spec *spec)
{
    size_t count = 1;
    for (int axis = 0; axis < spec->rank; axis++) {
        count *= spec->axes[axis];
    }
    size_t failures = 0, worst = 0;
    double worst_excess = -1.0;
    for (size_t i = 0; i < count; i++) {
        double tolerance = spec->absolute + spec->relative * fabs((double)want[i]);
        double error = fabs((double)got[i] - (double)want[i]);
        bool both_finite = is_finite_bits(got[i]) && is_finite_bits(want[i]);
        bool same_infinity = is_infinity_bits(want[i]) && bits_of(got[i]) == bits_of(want[i]);
        bool good = both_finite ? (error <= tolerance) : same_infinity;
        if (good) {
            continue;
        }
        double excess = both_finite ? error - tolerance : (double)INFINITY;
        failures++;
        if (excess > worst_excess) {
            worst_excess = excess;
            worst = i;
        }
    }
    if (failures == 0) {
        return true;
    }
    print_error("%s: %zu of %zu values are off; the worst at ", spec->label, failures, count);
    print_place(spec, worst);
    print_error(
        ": got %.9g (0x%08x), want %.9g (0x%08x), %.0f ulps apart; tolerance %g + %g relative; seed %llu\n",
        (double)got[worst], bits_of(got[worst]), (double)want[worst], bits_of(want[worst]),
        ulps_between(got[worst], want[worst]), spec->absolute, spec->relative,
        (unsigned long long)spec->seed);
    return false;
}

bool check_close(const void *got, sa_dtype dtype, const float *want, const check_spec *spec)
{
    size_t count = 1;
    for (int axis = 0; axis < spec->rank; axis++) {
        count *= spec->axes[axis];
    }
    float *values = malloc((count + 1) * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++) {
        values[i] = dtype == SA_F32    ? ((const float *)got)[i]
                    : dtype == SA_BF16 ? sa_bf16_to_f32(((const sa_bf16 *)got)[i])
                                       : sa_f16_to_f32(((const sa_f16 *)got)[i]);
    }
    bool good = check_close_f32(values, want, spec);
    free(values);
    return good;
}

bool check_aborts(void (*call)(void))
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        /* Makes cmocka abort where it would otherwise go on with the next test, here in the child. */
        bool ready = setenv("CMOCKA_TEST_ABORT", "1", 1) == 0 && freopen("/dev/null", "w", stderr) != NULL;
        if (ready) {
            call();
        }
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/* Box-Muller on the words of one Philox block. */
static float normal_at(uint64_t seed, size_t index)
{
    sa_philox r = sa_philox_block(seed, index, 0);
    double u = ((double)r.word[0] + 1.0) / 4294967297.0;
    double v = (double)r.word[1] / 4294967296.0;
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

void check_fill_normal(float *out, size_t count, float scale, uint64_t seed)
{
    check_fill_rounded(out, SA_F32, NULL, count, scale, seed);
}

/* Round to nearest even in steps of 2^-10 of the binade, or of the smallest normal number's. */
static sa_f16 f16_from_f32(float value)
{
    double size = fabs((double)value);
    uint32_t sign = signbit(value) ? 0x8000u : 0;
    if (!(size < 65520.0)) {
        return (sa_f16)(sign | (size > 0.0 ? 0x7c00u : 0x7e00u)); /* infinity, or NaN */
    }
    int exponent = size < 0x1p-14 ? -14 : ilogb(size);
    /* A step too many for the binade carries into the exponent, where it belongs. */
    return (sa_f16)(sign | (uint32_t)((exponent + 14) * 1024 + (int)rint(ldexp(size, 10 - exponent))));
}

void check_fill_rounded(void *out, sa_dtype dtype, float *copy, size_t count, float scale, uint64_t seed)
{
    assert_true(dtype == SA_F32 || dtype == SA_BF16 || dtype == SA_F16);
    for (size_t i = 0; i < count; i++) {
        float value = scale * normal_at(seed, i);
        if (dtype == SA_BF16) {
            sa_bf16 rounded = sa_bf16_from_f32(value);
            ((sa_bf16 *)out)[i] = rounded;
            value = sa_bf16_to_f32(rounded);
        } else if (dtype == SA_F16) {
            sa_f16 rounded = f16_from_f32(value);
            ((sa_f16 *)out)[i] = rounded;
            value = sa_f16_to_f32(rounded);
        } else {
            ((float *)out)[i] = value;
        }
        if (copy != NULL) {
            copy[i] = value;
        }
    }
}
