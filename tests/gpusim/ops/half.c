/*
 * f16, bf16 and their pairs: add, sub, mul, fma, neg, abs, min, max, ex2, tanh. (Comparisons: compare.c; cvt:
 * convert.c.)
 *
 * Each result is rounded once: sums and products of two values are computed in f32, whose 24 bits are more
 * than 2p + 2 of either type, so that the second rounding is harmless; fma in f64, rounded to odd on the way
 * through f32.
 */
#include <math.h>

#include "tests/gpusim/ops/arith.h"

/* f64 to f32 with the last bit as a memory of what was cut off: a later rounding to fewer bits is then right.
 */
static inline float to_odd(double d)
{
    float f = (float)d;
    uint32_t bits = sim_bits(f);
    if ((double)f == d || f != f || (bits & 0x7fffffffu) >= 0x7f800000u) {
        return f;
    }
    if (fabs((double)f) > fabs(d)) {
        bits--; /* towards zero */
    }
    return sim_float(bits | 1);
}

/* min and max as PTX has them: a number wins over NaN (unless .NaN), -0 is less than +0. */
static inline float least(float x, float y, uint32_t mods)
{
    if (x != x || y != y) {
        return (mods & SIM_NAN_WINS) || (x != x && y != y) ? NAN : x != x ? y : x;
    }
    return x < y || (x == y && signbit(x)) ? x : y;
}

static inline float most(float x, float y, uint32_t mods)
{
    if (x != x || y != y) {
        return (mods & SIM_NAN_WINS) || (x != x && y != y) ? NAN : x != x ? y : x;
    }
    return x > y || (x == y && !signbit(x)) ? x : y;
}

static inline float finish(float r, uint32_t mods)
{
    r = mods & SIM_SAT ? sim_saturate(r) : r;
    return mods & SIM_RELU && r == r && !(r > 0.0f) ? 0.0f : r;
}

static inline uint32_t pack_f16(float r)
{
    return sim_to_f16(r);
}

static inline uint32_t pack_bf16(float r)
{
    return r == r ? sim_to_bf16(r) : 0x7fffu;
}

/* Handlers of one operation for both types, single and in pairs. */
#define HALF_TYPE(name, type, EXPR)                                                                          \
    static inline uint32_t name##_##type##_one(uint32_t a, uint32_t b, uint32_t c, uint32_t mods)            \
    {                                                                                                        \
        const float x = sim_from_##type(a & 0xffff), y = sim_from_##type(b & 0xffff),                        \
                    z = sim_from_##type(c & 0xffff);                                                         \
        (void)y, (void)z;                                                                                    \
        return pack_##type(finish(EXPR, mods));                                                              \
    }                                                                                                        \
    static void name##_##type(sim_warp *w, const sim_inst *i, sim_mask mask)                                 \
    {                                                                                                        \
        const uint32_t *a = sim_u32(w, i->a), *b = i->b.bank == SIM_NOTHING ? a : sim_u32(w, i->b);          \
        const uint32_t *c = i->c.bank == SIM_NOTHING ? a : sim_u32(w, i->c);                                 \
        uint32_t r[SIM_LANES];                                                                               \
        for (uint32_t l = 0; l < SIM_LANES; l++) {                                                           \
            r[l] = name##_##type##_one(a[l], b[l], c[l], i->mods);                                           \
        }                                                                                                    \
        sim_store_u32(sim_u32(w, i->dst), r, mask);                                                          \
    }                                                                                                        \
    static void name##_##type##x2(sim_warp *w, const sim_inst *i, sim_mask mask)                             \
    {                                                                                                        \
        const uint32_t *a = sim_u32(w, i->a), *b = i->b.bank == SIM_NOTHING ? a : sim_u32(w, i->b);          \
        const uint32_t *c = i->c.bank == SIM_NOTHING ? a : sim_u32(w, i->c);                                 \
        uint32_t r[SIM_LANES];                                                                               \
        for (uint32_t l = 0; l < SIM_LANES; l++) {                                                           \
            r[l] = name##_##type##_one(a[l], b[l], c[l], i->mods) |                                          \
                   name##_##type##_one(a[l] >> 16, b[l] >> 16, c[l] >> 16, i->mods) << 16;                   \
        }                                                                                                    \
        sim_store_u32(sim_u32(w, i->dst), r, mask);                                                          \
    }
#define HALF(name, EXPR) HALF_TYPE(name, f16, EXPR) HALF_TYPE(name, bf16, EXPR)

HALF(add, x + y)
HALF(sub, x - y)
HALF(mul, x *y)
HALF(fma, to_odd((double)x *y + z))
HALF(min, least(x, y, mods))
HALF(max, most(x, y, mods))
HALF(ex2, exp2f(x))
HALF(tanh, tanhf(x))

/* neg and abs only touch the sign bit. */
#define SIGN(name, type, bit, EXPR)                                                                          \
    static void name##_##type(sim_warp *w, const sim_inst *i, sim_mask mask)                                 \
    {                                                                                                        \
        const uint32_t *a = sim_u32(w, i->a), sign = bit;                                                    \
        uint32_t r[SIM_LANES];                                                                               \
        SIM_EACH                                                                                             \
        {                                                                                                    \
            r[l] = EXPR;                                                                                     \
        }                                                                                                    \
        sim_store_u32(sim_u32(w, i->dst), r, mask);                                                          \
    }
SIGN(neg, single, 0x8000u, a[l] ^ sign)
SIGN(neg, pair, 0x80008000u, a[l] ^ sign)
SIGN(abs, single, 0x8000u, a[l] & ~sign)
SIGN(abs, pair, 0x80008000u, a[l] & ~sign)

bool SIM_NAME(sim_lower_half)(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    static const struct {
        const char *opcode;
        sim_handler *run[4]; /* f16, f16x2, bf16, bf16x2 */
    } rows[] = {
        {"add", {add_f16, add_f16x2, add_bf16, add_bf16x2}},
        {"sub", {sub_f16, sub_f16x2, sub_bf16, sub_bf16x2}},
        {"mul", {mul_f16, mul_f16x2, mul_bf16, mul_bf16x2}},
        {"fma", {fma_f16, fma_f16x2, fma_bf16, fma_bf16x2}},
        {"min", {min_f16, min_f16x2, min_bf16, min_bf16x2}},
        {"max", {max_f16, max_f16x2, max_bf16, max_bf16x2}},
        {"ex2", {ex2_f16, ex2_f16x2, ex2_bf16, ex2_bf16x2}},
        {"tanh", {tanh_f16, tanh_f16x2, tanh_bf16, tanh_bf16x2}},
        {"neg", {neg_single, neg_pair, neg_single, neg_pair}},
        {"abs", {abs_single, abs_pair, abs_single, abs_pair}},
    };
    const ptx_type type = ptx_nth_type(p, 0);
    const int column = type == PTX_F16      ? 0
                       : type == PTX_F16X2  ? 1
                       : type == PTX_BF16   ? 2
                       : type == PTX_BF16X2 ? 3
                                            : -1;
    sim_handler *run = NULL;
    sim_lower_operands(l, p, inst, type);
    inst->mods = sim_float_mods(p);
    for (size_t n = 0; column >= 0 && n < sizeof rows / sizeof *rows; n++) {
        run = strcmp(rows[n].opcode, p->opcode) == 0 ? rows[n].run[column] : run;
    }
    if (inst->mods & (SIM_ROUNDING | SIM_FTZ | SIM_XORSIGN)) {
        run = strcmp(p->opcode, "ex2") == 0 ? run : NULL; /* ex2.approx.ftz.bf16 has no other form */
    }
    return sim_lower_run(l, p, inst, run, SIM_CLASS_F16);
}
