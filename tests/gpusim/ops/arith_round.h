/*
 * The host's rounding mode for loops over lanes: f32 and f64 arithmetic and conversions that are not to
 * nearest.
 */
#ifndef GPUSIM_OPS_ARITH_ROUND_H
#define GPUSIM_OPS_ARITH_ROUND_H

#include "tests/gpusim/ops/arith.h"

#if defined(__SSE2__)
#include <immintrin.h>

/* MXCSR's field, bits 13 and 14: nearest, down, up, to zero. */
static inline uint32_t sim_rounding_set(uint32_t mods)
{
    static const uint32_t field[4] = {0, 3, 1, 2};
    const uint32_t before = _mm_getcsr();
    _mm_setcsr((before & ~0x6000u) | (field[mods & SIM_ROUNDING] << 13));
    return before;
}

static inline void sim_rounding_reset(uint32_t before)
{
    _mm_setcsr(before);
}
#else
#include <fenv.h>

static inline uint32_t sim_rounding_set(uint32_t mods)
{
    static const int mode[4] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
    const int before = fegetround();
    fesetround(mode[mods & SIM_ROUNDING]);
    return (uint32_t)before;
}

static inline void sim_rounding_reset(uint32_t before)
{
    fesetround((int)before);
}
#endif

/* The compiler may move no load or store of the array across this, so arithmetic between two of them stays
 * there. */
#define SIM_FENCE(array) __asm__ volatile("" : : "r"(array) : "memory")

/*
 * The f32 next to x, odd in its last bit unless it is x itself: rounding it again to at most 22 bits gives
 * what rounding x at once would.
 */
static inline float sim_odd_float(double x)
{
    const float f = (float)x;
    const uint32_t bits = sim_bits(f);
    const bool exact = (double)f == x || x != x || (bits & 1);
    const bool too_large = __builtin_fabs((double)f) > __builtin_fabs(x);
    return sim_float(exact ? bits : too_large ? bits - 1 : bits + 1);
}

/* Moves r, the 16-bit float nearest to f whose value is `back`, to the neighbour that the mode asks for. */
static inline uint32_t sim_directed(float f, float back, uint32_t r, uint32_t mode)
{
    const bool smaller = (mode == SIM_RZ && __builtin_fabsf(back) > __builtin_fabsf(f)) ||
                         (mode == SIM_RM && f > 0 && back > f) || (mode == SIM_RP && f < 0 && back < f);
    const bool larger = (mode == SIM_RM && f < 0 && back > f) || (mode == SIM_RP && f > 0 && back < f);
    return smaller ? r - 1 : larger ? r + 1 : r;
}

static inline uint32_t sim_to_f16_mode(float f, uint32_t mode)
{
    const uint32_t r = sim_to_f16(f);
    return sim_directed(f, sim_from_f16(r), r, mode);
}

static inline uint32_t sim_to_bf16_mode(float f, uint32_t mode)
{
    const uint32_t r = sim_to_bf16(f);
    return sim_directed(f, sim_from_bf16(r), r, mode);
}

#endif
