/*
 * What the arithmetic files of ops/ share: how a handler walks over 32 lanes, and the float helpers.
 *
 * A handler computes all 32 lanes and stores those of its mask, so no lane's computation may trap or have
 * side effects. Registers never overlap in part (liveness.c): a destination is a source's place lane by lane,
 * or apart from it, so a plain loop over lanes is right.
 *
 * Nothing here is compiled with contraction or fast-math: every float operation stands for one rounding.
 */
#ifndef GPUSIM_OPS_ARITH_H
#define GPUSIM_OPS_ARITH_H

#include <string.h>

#include "tests/gpusim/lower.h"
#include "tests/gpusim/report.h"

/* bit[l] = 1 << l: the lane's bit of a mask, as a vector (level plain has no variable shifts). */
static const uint32_t sim_lane_bit[SIM_LANES] __attribute__((aligned(128))) = {
    1u << 0,  1u << 1,  1u << 2,  1u << 3,  1u << 4,  1u << 5,  1u << 6,  1u << 7,
    1u << 8,  1u << 9,  1u << 10, 1u << 11, 1u << 12, 1u << 13, 1u << 14, 1u << 15,
    1u << 16, 1u << 17, 1u << 18, 1u << 19, 1u << 20, 1u << 21, 1u << 22, 1u << 23,
    1u << 24, 1u << 25, 1u << 26, 1u << 27, 1u << 28, 1u << 29, 1u << 30, 1u << 31};

/* The loop over lanes. ivdep: arrays are either apart or the same place lane by lane. */
#if defined(__clang__)
#define SIM_EACH for (uint32_t l = 0; l < SIM_LANES; l++)
#else
#define SIM_EACH _Pragma("GCC ivdep") for (uint32_t l = 0; l < SIM_LANES; l++)
#endif

#define SIM_HANDLER(name) static void name(sim_warp *w, const sim_inst *i, sim_mask mask)
#define SIM_AT(type, operand) ((type *)(void *)sim_u32(w, operand))

/* d[l] = r[l] for the lanes of mask; d and r of 4-byte values. */
static inline void sim_store_u32(uint32_t *d, const uint32_t *r, sim_mask mask)
{
    if (mask == SIM_ALL_LANES) {
        memcpy(d, r, 4 * SIM_LANES);
        return;
    }
    SIM_EACH
    {
        d[l] = (mask & sim_lane_bit[l]) ? r[l] : d[l];
    }
}

static inline void sim_store_u64(uint64_t *d, const uint64_t *r, sim_mask mask)
{
    if (mask == SIM_ALL_LANES) {
        memcpy(d, r, 8 * SIM_LANES);
        return;
    }
    SIM_EACH
    {
        d[l] = (mask & sim_lane_bit[l]) ? r[l] : d[l];
    }
}

/* The mask of the lanes with r[l] != 0. */
static inline sim_mask sim_mask_of(const uint32_t *r)
{
    sim_mask m = 0;
    SIM_EACH
    {
        m |= r[l] ? sim_lane_bit[l] : 0;
    }
    return m;
}

/* Stores EXPR of each lane. LOADS declares x, y, z of lane l. */
#define SIM_BODY(TD, LOADS, EXPR)                                                                            \
    TD *d = SIM_AT(TD, i->dst);                                                                              \
    if (mask == SIM_ALL_LANES) {                                                                             \
        SIM_EACH                                                                                             \
        {                                                                                                    \
            LOADS d[l] = (TD)(EXPR);                                                                         \
        }                                                                                                    \
        return;                                                                                              \
    }                                                                                                        \
    TD r[SIM_LANES] __attribute__((aligned(128)));                                                           \
    SIM_EACH                                                                                                 \
    {                                                                                                        \
        LOADS r[l] = (TD)(EXPR);                                                                             \
    }                                                                                                        \
    if (sizeof(TD) == 4) {                                                                                   \
        sim_store_u32((uint32_t *)(void *)d, (const uint32_t *)(const void *)r, mask);                       \
    } else {                                                                                                 \
        sim_store_u64((uint64_t *)(void *)d, (const uint64_t *)(const void *)r, mask);                       \
    }

/* Handlers d = EXPR(x), EXPR(x, y), EXPR(x, y, z); the types are those of the arrays: 4 or 8 bytes each. */
#define SIM_OP1(name, TD, TA, EXPR)                                                                          \
    SIM_HANDLER(name)                                                                                        \
    {                                                                                                        \
        const TA *a = SIM_AT(const TA, i->a);                                                                \
        SIM_BODY(TD, const TA x = a[l];, EXPR)                                                               \
    }
#define SIM_OP2(name, TD, TA, TB, EXPR)                                                                      \
    SIM_HANDLER(name)                                                                                        \
    {                                                                                                        \
        const TA *a = SIM_AT(const TA, i->a);                                                                \
        const TB *b = SIM_AT(const TB, i->b);                                                                \
        SIM_BODY(TD, const TA x = a[l]; const TB y = b[l];, EXPR)                                            \
    }
#define SIM_OP3(name, TD, TA, TB, TC, EXPR)                                                                  \
    SIM_HANDLER(name)                                                                                        \
    {                                                                                                        \
        const TA *a = SIM_AT(const TA, i->a);                                                                \
        const TB *b = SIM_AT(const TB, i->b);                                                                \
        const TC *c = SIM_AT(const TC, i->c);                                                                \
        SIM_BODY(TD, const TA x = a[l]; const TB y = b[l]; const TC z = c[l];, EXPR)                         \
    }

/* 16-bit values lie zero-extended in 32-bit lanes. */
static inline int32_t sim_s16(uint32_t x)
{
    return (int16_t)x;
}

/* ---- float bits ---- */

static inline float sim_float(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static inline uint32_t sim_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return bits;
}

static inline double sim_double(uint64_t bits)
{
    double f;
    memcpy(&f, &bits, 8);
    return f;
}

static inline uint64_t sim_bits64(double f)
{
    uint64_t bits;
    memcpy(&bits, &f, 8);
    return bits;
}

/* Subnormals become zeros of their sign. */
static inline float sim_flush(float f)
{
    const uint32_t bits = sim_bits(f);
    return sim_float((bits & 0x7f800000u) ? bits : (bits & 0x80000000u));
}

/* Any NaN becomes the one that f32 instructions give. */
static inline float sim_nan(float f)
{
    return f == f ? f : sim_float(0x7fffffffu);
}

/* .sat: [0, 1], NaN to +0. */
static inline float sim_saturate(float f)
{
    return f > 0.0f ? (f < 1.0f ? f : 1.0f) : 0.0f;
}

/* One NaN loses against a number; -0 is below +0. */
static inline float sim_min(float x, float y)
{
    const uint32_t zeros = sim_bits(x) | sim_bits(y), smaller = sim_bits(x < y ? x : y);
    return x != x ? y : y != y ? x : sim_float(x == y ? zeros : smaller);
}

static inline float sim_max(float x, float y)
{
    const uint32_t zeros = sim_bits(x) & sim_bits(y), larger = sim_bits(x > y ? x : y);
    return x != x ? y : y != y ? x : sim_float(x == y ? zeros : larger);
}

/* .NaN: one NaN is enough. */
static inline float sim_nan_wins(float x, float y, float r)
{
    return x != x || y != y ? sim_float(0x7fffffffu) : r;
}

/* bf16 to f32 is exact. */
static inline float sim_from_bf16(uint32_t h)
{
    return sim_float(h << 16);
}

/* To nearest even; NaN to 0x7fff. */
static inline uint32_t sim_to_bf16(float f)
{
    const uint32_t u = sim_bits(f);
    const uint32_t r = (u + 0x7fffu + ((u >> 16) & 1)) >> 16;
    return f == f ? r : 0x7fffu;
}

/* f16 to f32 is exact. Subnormals by way of a float subtraction; no branches, so that loops over it
 * vectorise. */
static inline float sim_from_f16(uint32_t h)
{
    const uint32_t m = (h & 0x7fffu) << 13;
    const uint32_t e = m & 0x0f800000u;
    const float normal = sim_float(m + 0x38000000u);
    const float special = sim_float(m + 0x70000000u);
    const float tiny = sim_float(m + 0x38800000u) - sim_float(0x38800000u);
    const float f = e == 0x0f800000u ? special : e == 0 ? tiny : normal;
    return sim_float(sim_bits(f) | ((h & 0x8000u) << 16));
}

/* To nearest even, overflow to infinity, NaN to 0x7fff. */
static inline uint32_t sim_to_f16(float f)
{
    const uint32_t u = sim_bits(f), m = u & 0x7fffffffu;
    /* below 2^-14 the sum with 0.5 has f16's spacing 2^-24 in its last place */
    const uint32_t tiny = sim_bits(sim_float(m) + 0.5f) - 0x3f000000u;
    const uint32_t normal = (m + 0xc8000fffu + ((m >> 13) & 1)) >> 13;
    const uint32_t r = m < 0x38800000u ? tiny : m >= 0x477ff000u ? 0x7c00u : normal;
    return f == f ? (r | ((u >> 16) & 0x8000u)) : 0x7fffu;
}

/* ---- lowering ---- */

/* Rounding of a float instruction, in sim_inst.mods; with it the other modifiers. */
enum {
    SIM_RN = 0,
    SIM_RZ = 1,
    SIM_RM = 2,
    SIM_RP = 3,
    SIM_ROUNDING = 3,
    SIM_FTZ = 4,
    SIM_SAT = 8,
    SIM_RELU = 16,
    SIM_NAN_WINS = 32,
    SIM_XORSIGN = 64,
    SIM_ABS = 128,
};

/* Reads .rn .rz .rm .rp .ftz .sat .relu .NaN .xorsign .abs. */
static inline uint32_t sim_float_mods(const ptx_instruction *p)
{
    uint32_t mods = ptx_has(p, "rz")   ? SIM_RZ
                    : ptx_has(p, "rm") ? SIM_RM
                    : ptx_has(p, "rp") ? SIM_RP
                                       : SIM_RN;
    mods |= ptx_has(p, "ftz") ? SIM_FTZ : 0;
    mods |= ptx_has(p, "sat") ? SIM_SAT : 0;
    mods |= ptx_has(p, "relu") ? SIM_RELU : 0;
    mods |= ptx_has(p, "NaN") ? SIM_NAN_WINS : 0;
    mods |= ptx_has(p, "xorsign") ? SIM_XORSIGN : 0;
    mods |= ptx_has(p, "abs") ? SIM_ABS : 0;
    return mods;
}

/* Destination and sources a, b, c of one type: as many sources as the instruction has. */
static inline void sim_lower_operands(sim_lowering *l, const ptx_instruction *p, sim_inst *inst,
                                      ptx_type type)
{
    sim_operand *source[3] = {&inst->a, &inst->b, &inst->c};
    inst->dst = sim_lower_dest(l, &p->operand[0], type);
    for (uint32_t n = 1; n < p->operands && n < 4; n++) {
        *source[n - 1] = sim_lower_source(l, &p->operand[n], type);
    }
}

/* Sets the handler; without one the instruction has a form that isn't known. */
static inline bool sim_lower_run(sim_lowering *l, const ptx_instruction *p, sim_inst *inst, sim_handler *run,
                                 sim_class klass)
{
    inst->run = run;
    inst->klass = (uint8_t)klass;
    return run ? true : sim_lower_fail(l, "%s: no such form of %s", p->text, p->opcode);
}

static inline bool sim_is_float(ptx_type type)
{
    return type >= PTX_F16 && type <= PTX_TF32;
}

/*
 * An opcode stands in one table only (integer's, for those of both kinds), whose function hands float types
 * on to these: float.c (f32, f64; f16 and bf16 types go on to half.c) and compare.c.
 */
bool SIM_NAME(sim_lower_float)(sim_lowering *l, const ptx_instruction *p, sim_inst *inst);
bool SIM_NAME(sim_lower_half)(sim_lowering *l, const ptx_instruction *p, sim_inst *inst);
bool SIM_NAME(sim_lower_approx)(sim_lowering *l, const ptx_instruction *p, sim_inst *inst);
/* and.pred, mov.pred, ...: in logic.c. */
bool SIM_NAME(sim_lower_pred_logic)(sim_lowering *l, const ptx_instruction *p, sim_inst *inst);

#endif
