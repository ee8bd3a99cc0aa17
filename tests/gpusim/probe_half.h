/*
 * f16, bf16 and other short floats for references of tests: decoded exactly, rounded once from an exact
 * value. Plain arithmetic on __float128, nothing shared with the simulator.
 */
#ifndef GPUSIM_PROBE_HALF_H
#define GPUSIM_PROBE_HALF_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/gpusim/probe.h"

typedef __float128 exact;

typedef struct {
    int fraction; /* bits */
    int least;    /* exponent of the smallest normal number */
    int most;     /* of the largest one */
} half_format;

static const half_format half_f16 = {10, -14, 15}, half_bf16 = {7, -126, 127};

typedef enum { HALF_RN, HALF_RZ, HALF_RM, HALF_RP, HALF_RNA } half_mode;

static inline exact half_value(uint64_t bits, half_format f)
{
    const int field = (int)(bits >> f.fraction) & ((1 << (15 - f.fraction)) - 1);
    const int64_t fraction = (int64_t)(bits & ((1ull << f.fraction) - 1));
    const bool minus = bits >> 15 & 1;
    if (field == (1 << (15 - f.fraction)) - 1) {
        return fraction ? (exact)NAN : minus ? -(exact)INFINITY : (exact)INFINITY;
    }
    const int64_t whole = field ? fraction + (1ll << f.fraction) : fraction;
    const double r = ldexp((double)whole, (field ? field - 1 : 0) + f.least - f.fraction);
    return minus ? -r : r;
}

/* Does q = n + rest (and a sign of what is still below) go up to n + 1? */
static inline bool half_goes_up(int64_t n, exact rest, int below, bool minus, half_mode mode)
{
    const int side = rest > 0.5Q ? 1 : rest < 0.5Q ? -1 : below;
    switch (mode) {
    case HALF_RN: return side > 0 || (side == 0 && (n & 1));
    case HALF_RNA: return side >= 0;
    case HALF_RZ: return false;
    case HALF_RM: return minus && (rest > 0 || below > 0);
    default: return !minus && (rest > 0 || below > 0);
    }
}

/* x, and an `error` so small that its sign alone counts, rounded: the bits without a NaN's payload. */
static inline uint64_t half_round(exact x, exact error, half_format f, half_mode mode)
{
    const uint64_t infinity = ((1ull << (15 - f.fraction)) - 1) << f.fraction;
    if (x != x) {
        return 0x7fff;
    }
    const bool minus = x < 0 || (x == 0 && signbit((double)x));
    const exact m = minus ? -x : x;
    const uint64_t sign = minus ? 0x8000 : 0;
    if (m > (exact)LDBL_MAX) {
        return sign | infinity;
    }
    int e = m > 0 ? ilogbl((long double)m) : f.least;
    e -= (exact)ldexpl(1, e) > m && m > 0;
    e = e < f.least ? f.least : e;
    exact q = m / (exact)ldexpl(1, e - f.fraction);
    int below = error > 0 ? 1 : error < 0 ? -1 : 0;
    below = minus ? -below : below;
    int64_t n = (int64_t)q;
    if (q == (exact)n && below < 0) { /* just under a representable number */
        n--, q = (exact)n + 0.9Q;
    }
    n += half_goes_up(n, q - (exact)n, below, minus, mode);
    const uint64_t bits = (uint64_t)n + ((uint64_t)(e - f.least) << f.fraction);
    if (bits < infinity) {
        return sign | bits;
    }
    const bool stays = mode == HALF_RZ || mode == (minus ? HALF_RP : HALF_RM);
    return sign | (stays ? infinity - 1 : infinity);
}

#endif
