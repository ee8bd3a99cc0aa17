/*
 * f16, bf16 and their pairs: add, sub, mul, fma, neg, abs, min, max, ex2, tanh. (Comparisons: compare.c; cvt:
 * convert.c.)
 *
 * A handler decodes its operands to f32 lanes, one half of the pairs after the other, computes, and rounds
 * once to nearest: sums and products of two values are exact enough in f32, whose 24 bits are 2p + 2 and
 * more, so that the second rounding is harmless; fma is rounded to odd on its way through f64 and f32.
 */
#include "tests/gpusim/ops/approx.h"
#include "tests/gpusim/ops/arith_round.h"

enum { PAIRS = 1, IS_BF16 = 2 }; /* in flags */

/* One half of each lane to f32. */
static void decode(float *to, const uint32_t *from, const sim_inst *i, uint32_t shift)
{
    if (i->flags & IS_BF16) {
        SIM_EACH
        {
            to[l] = sim_from_bf16((from[l] >> shift) & 0xffff);
        }
        return;
    }
    SIM_EACH
    {
        to[l] = sim_from_f16((from[l] >> shift) & 0xffff);
    }
    if (i->mods & SIM_FTZ) {
        SIM_EACH
        {
            to[l] = __builtin_fabsf(to[l]) < 0x1p-14f ? __builtin_copysignf(0.0f, to[l]) : to[l];
        }
    }
}

static void encode(uint32_t *to, float *r, const sim_inst *i, uint32_t shift)
{
    if (i->mods & SIM_SAT) {
        SIM_EACH
        {
            r[l] = sim_saturate(r[l]);
        }
    }
    if (i->mods & SIM_RELU) {
        SIM_EACH
        {
            r[l] = r[l] > 0.0f || r[l] != r[l] ? r[l] : 0.0f;
        }
    }
    uint32_t h[SIM_LANES];
    if (i->flags & IS_BF16) {
        SIM_EACH
        {
            h[l] = sim_to_bf16(r[l]);
        }
    } else {
        SIM_EACH
        {
            h[l] = sim_to_f16(r[l]);
        }
    }
    if ((i->mods & SIM_FTZ) && !(i->flags & IS_BF16)) {
        SIM_EACH
        {
            h[l] = (h[l] & 0x7c00) ? h[l] : h[l] & 0x8000;
        }
    }
    SIM_EACH
    {
        to[l] = shift ? to[l] | (h[l] << 16) : h[l];
    }
}

/* EXPR of x, y, z (f32 lanes) and mods. Operands that the instruction does not have are read as a. */
#define HALF(name, EXPR, RELATIVE_F16, RELATIVE_BF16)                                                        \
    SIM_HANDLER(name##_halves)                                                                               \
    {                                                                                                        \
        const uint32_t *a = sim_u32(w, i->a), *b = i->b.bank == SIM_NOTHING ? a : sim_u32(w, i->b);          \
        const uint32_t *c = i->c.bank == SIM_NOTHING ? a : sim_u32(w, i->c), mods = i->mods;                 \
        uint32_t out[SIM_LANES];                                                                             \
        float p[SIM_LANES], q[SIM_LANES], s[SIM_LANES], r[SIM_LANES];                                        \
        for (uint32_t shift = 0; shift <= ((i->flags & PAIRS) ? 16u : 0u); shift += 16) {                    \
            decode(p, a, i, shift);                                                                          \
            decode(q, b, i, shift);                                                                          \
            decode(s, c, i, shift);                                                                          \
            SIM_EACH                                                                                         \
            {                                                                                                \
                const float x = p[l], y = q[l], z = s[l];                                                    \
                (void)y, (void)z, (void)mods;                                                                \
                r[l] = EXPR;                                                                                 \
            }                                                                                                \
            if (sim_options.noise && RELATIVE_F16 > 0.0f) {                                                  \
                sim_perturb(r, p, (i->flags & IS_BF16) ? RELATIVE_BF16 : RELATIVE_F16, 0.0f);                \
            }                                                                                                \
            encode(out, r, i, shift);                                                                        \
        }                                                                                                    \
        sim_store_u32(sim_u32(w, i->dst), out, mask);                                                        \
    }

/* x y + z as a double that is odd in its last bit unless exact, then likewise an f32. x y is exact. */
static inline float fma_odd(float x, float y, float z)
{
    const double p = (double)x * y, sum = p + z, back = sum - p;
    const double error = (p - (sum - back)) + (z - back);
    const uint64_t bits = sim_bits64(sum);
    const bool inexact = (error > 0.0 || error < 0.0) && !(bits & 1);
    const uint64_t odd = (error > 0.0) == (sum > 0.0) ? bits + 1 : bits - 1;
    return sim_odd_float(sim_double(inexact ? odd : bits));
}

static inline float least(float x, float y, uint32_t mods)
{
    const bool magnitudes = mods & SIM_XORSIGN;
    const uint32_t sign = magnitudes ? (sim_bits(x) ^ sim_bits(y)) & 0x80000000u : 0;
    const float m = magnitudes ? sim_min(__builtin_fabsf(x), __builtin_fabsf(y)) : sim_min(x, y);
    const float r = (mods & SIM_NAN_WINS) ? sim_nan_wins(x, y, m) : m;
    return sim_float(sim_bits(r) | sign);
}

static inline float most(float x, float y, uint32_t mods)
{
    const bool magnitudes = mods & SIM_XORSIGN;
    const uint32_t sign = magnitudes ? (sim_bits(x) ^ sim_bits(y)) & 0x80000000u : 0;
    const float m = magnitudes ? sim_max(__builtin_fabsf(x), __builtin_fabsf(y)) : sim_max(x, y);
    const float r = (mods & SIM_NAN_WINS) ? sim_nan_wins(x, y, m) : m;
    return sim_float(sim_bits(r) | sign);
}

HALF(add, x + y, 0, 0)
HALF(sub, x - y, 0, 0)
HALF(mul, x *y, 0, 0)
HALF(fma, fma_odd(x, y, z), 0, 0)
HALF(min, least(x, y, mods), 0, 0)
HALF(max, most(x, y, mods), 0, 0)
HALF(ex2, (float)sim_exp2(x), 0x1p-11f, 0x1p-8f)
HALF(tanh, (float)sim_tanh(x), 0x1p-12f, 0x1p-9f)
HALF(neg, -x, 0, 0)
HALF(abs, __builtin_fabsf(x), 0, 0)

/* neg and abs without .ftz only touch the sign bit. */
SIM_OP1(neg_one, uint32_t, uint32_t, (x ^ 0x8000u) & 0xffffu)
SIM_OP1(neg_pair, uint32_t, uint32_t, x ^ 0x80008000u)
SIM_OP1(abs_one, uint32_t, uint32_t, x & 0x7fffu)
SIM_OP1(abs_pair, uint32_t, uint32_t, x & 0x7fff7fffu)

/* The modifiers that an opcode has. */
static const struct {
    const char *opcode;
    sim_handler *run;
    uint32_t mods;
} rows[] = {
    {"add", add_halves, SIM_FTZ | SIM_SAT},
    {"sub", sub_halves, SIM_FTZ | SIM_SAT},
    {"mul", mul_halves, SIM_FTZ | SIM_SAT},
    {"fma", fma_halves, SIM_FTZ | SIM_SAT | SIM_RELU},
    {"min", min_halves, SIM_FTZ | SIM_NAN_WINS | SIM_XORSIGN | SIM_ABS},
    {"max", max_halves, SIM_FTZ | SIM_NAN_WINS | SIM_XORSIGN | SIM_ABS},
    {"ex2", ex2_halves, SIM_FTZ},
    {"tanh", tanh_halves, 0},
    {"neg", neg_halves, SIM_FTZ},
    {"abs", abs_halves, SIM_FTZ},
};

bool SIM_NAME(sim_lower_half)(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const ptx_type type = ptx_nth_type(p, 0);
    const bool pairs = type == PTX_F16X2 || type == PTX_BF16X2, bf16 = type == PTX_BF16 || type == PTX_BF16X2;
    const bool sign_only = !ptx_has(p, "ftz") && (!strcmp(p->opcode, "neg") || !strcmp(p->opcode, "abs"));
    sim_handler *run = NULL;
    sim_lower_operands(l, p, inst, type);
    inst->mods = sim_float_mods(p);
    inst->flags = (uint8_t)((pairs ? PAIRS : 0) | (bf16 ? IS_BF16 : 0));
    for (size_t n = 0; n < sizeof rows / sizeof *rows; n++) {
        if (strcmp(rows[n].opcode, p->opcode) == 0 && (inst->mods & ~rows[n].mods) == 0) {
            run = rows[n].run;
        }
    }
    if (sign_only) {
        run = p->opcode[0] == 'n' ? (pairs ? neg_pair : neg_one) : pairs ? abs_pair : abs_one;
    }
    if (type != PTX_F16 && type != PTX_F16X2 && !bf16) {
        run = NULL;
    }
    return sim_lower_run(l, p, inst, run, SIM_CLASS_F16);
}
