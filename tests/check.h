/*
 * What every test shares: the comparator of STYLE habit 11, guarded buffers, and a seeded source of numbers.
 * Tests are cmocka programs; a failed check prints where and why, and the program exits non-zero.
 */
#ifndef SA_TESTS_CHECK_H
#define SA_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/dtype.h"
#include "runtime/base/status.h"

/* Fails the test and says why, unless the status is SA_OK. */
void must(sa_status status, const sa_error *err);

/*
 * A buffer with sentinels before and after. check_buffer_free fails the test if one was overwritten. `bytes`
 * start out as 0xEE, so that what an op forgot to write is no plausible number.
 */
typedef struct {
    unsigned char *bytes; /* 256-byte aligned, as device memory is */
    size_t size;
    unsigned char *whole;
} check_buffer;

check_buffer check_buffer_new(size_t size);
void check_buffer_free(check_buffer *buffer);

/*
 * Compares got[i] with want[i] for a tensor of `rank` <= 4 axes. Passes only if |got-want| <= absolute +
 * relative*|want| for every element, tested as !(error <= tolerance); NaN and infinity in `got` are found by
 * bit pattern and fail wherever `want` does not hold the same infinity. On failure prints the worst index as
 * axes, both values, ulps, the label and the seed, and returns false.
 */
typedef struct {
    const char *label;
    double absolute, relative;
    uint64_t seed;
    int rank;
    size_t axes[4];
} check_spec;

bool check_close_f32(const float *got, const float *want, const check_spec *spec);
bool check_close(const void *got, sa_dtype dtype, const float *want, const check_spec *spec);

/*
 * True if the call ends the program by abort(), as a broken SA_ASSERT does, or fails an assertion of the
 * test. It runs in a child process, so the sentinels and contracts themselves can be tested; what it says is
 * thrown away.
 */
bool check_aborts(void (*call)(void));

/* count floats of a standard normal scaled by `scale`, from Philox keyed by seed. */
void check_fill_normal(float *out, size_t count, float scale, uint64_t seed);
/* The same rounded through `dtype`; `copy` (may be NULL) gets the rounded values as f32 for the reference. */
void check_fill_rounded(void *out, sa_dtype dtype, float *copy, size_t count, float scale, uint64_t seed);

#endif
