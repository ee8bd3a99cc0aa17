/*
 * f32 and f64: add .. fma, div, rcp, sqrt, min/max, abs, neg, copysign, testp. The approximate functions
 * stand in approx.c, f16 and bf16 in half.c.
 *
 * Each operation has handlers for round-to-nearest, plain and .ftz; every other mode goes through one that
 * reads the modifiers and sets the host's rounding mode around its loop. f32 results that are NaN become
 * 0x7fffffff; f64 keeps the payload of an operand, as the host does.
 */
#include "tests/gpusim/ops/arith_round.h"

typedef uint32_t u32;
typedef uint64_t u64;

static inline void flush_to(float *to, const float *from, bool ftz)
{
    if (!ftz) {
        memcpy(to, from, 4 * SIM_LANES);
        return;
    }
    SIM_EACH
    {
        to[l] = sim_flush(from[l]);
    }
}

static void finish_f32(sim_warp *w, const sim_inst *i, sim_mask mask, float *r)
{
    if (i->mods & SIM_FTZ) {
        flush_to(r, r, true);
    }
    SIM_EACH
    {
        r[l] = sim_nan(r[l]);
    }
    if (i->mods & SIM_SAT) {
        SIM_EACH
        {
            r[l] = sim_saturate(r[l]);
        }
    }
    sim_store_u32(sim_u32(w, i->dst), (const u32 *)(const void *)r, mask);
}

/* ---- handlers ---- */

/* The three handlers of an f32 operation of N operands: NAME, NAME_ftz, NAME_any. */
#define F(x) sim_flush(x)
#define F32_OP1(name, EXPR)                                                                                  \
    static inline float name##_lane(float x)                                                                 \
    {                                                                                                        \
        return EXPR;                                                                                         \
    }                                                                                                        \
    SIM_OP1(name, float, float, sim_nan(name##_lane(x)))                                                     \
    SIM_OP1(name##_ftz, float, float, sim_nan(F(name##_lane(F(x)))))                                         \
    SIM_HANDLER(name##_any)                                                                                  \
    {                                                                                                        \
        float a[SIM_LANES], r[SIM_LANES];                                                                    \
        flush_to(a, sim_f32(w, i->a), i->mods &SIM_FTZ);                                                     \
        const u32 before = sim_rounding_set(i->mods);                                                        \
        SIM_FENCE(a);                                                                                        \
        SIM_EACH                                                                                             \
        {                                                                                                    \
            r[l] = name##_lane(a[l]);                                                                        \
        }                                                                                                    \
        SIM_FENCE(r);                                                                                        \
        sim_rounding_reset(before);                                                                          \
        finish_f32(w, i, mask, r);                                                                           \
    }
#define F32_OP2(name, EXPR)                                                                                  \
    static inline float name##_lane(float x, float y)                                                        \
    {                                                                                                        \
        return EXPR;                                                                                         \
    }                                                                                                        \
    SIM_OP2(name, float, float, float, sim_nan(name##_lane(x, y)))                                           \
    SIM_OP2(name##_ftz, float, float, float, sim_nan(F(name##_lane(F(x), F(y)))))                            \
    SIM_HANDLER(name##_any)                                                                                  \
    {                                                                                                        \
        float a[SIM_LANES], b[SIM_LANES], r[SIM_LANES];                                                      \
        flush_to(a, sim_f32(w, i->a), i->mods &SIM_FTZ);                                                     \
        flush_to(b, sim_f32(w, i->b), i->mods &SIM_FTZ);                                                     \
        const u32 before = sim_rounding_set(i->mods);                                                        \
        SIM_FENCE(a);                                                                                        \
        SIM_FENCE(b);                                                                                        \
        SIM_EACH                                                                                             \
        {                                                                                                    \
            r[l] = name##_lane(a[l], b[l]);                                                                  \
        }                                                                                                    \
        SIM_FENCE(r);                                                                                        \
        sim_rounding_reset(before);                                                                          \
        finish_f32(w, i, mask, r);                                                                           \
    }

F32_OP2(add_f32, x + y)
F32_OP2(sub_f32, x - y)
F32_OP2(mul_f32, x *y)
F32_OP2(div_f32, x / y)
F32_OP1(rcp_f32, 1.0f / x)
F32_OP1(sqrt_f32, __builtin_sqrtf(x))

SIM_OP3(fma_f32, float, float, float, float, sim_nan(__builtin_fmaf(x, y, z)))
SIM_OP3(fma_f32_ftz, float, float, float, float, sim_nan(F(__builtin_fmaf(F(x), F(y), F(z)))))
SIM_HANDLER(fma_f32_any)
{
    float a[SIM_LANES], b[SIM_LANES], c[SIM_LANES], r[SIM_LANES];
    flush_to(a, sim_f32(w, i->a), i->mods & SIM_FTZ);
    flush_to(b, sim_f32(w, i->b), i->mods & SIM_FTZ);
    flush_to(c, sim_f32(w, i->c), i->mods & SIM_FTZ);
    const u32 before = sim_rounding_set(i->mods);
    SIM_FENCE(a);
    SIM_FENCE(b);
    SIM_FENCE(c);
    SIM_EACH
    {
        r[l] = __builtin_fmaf(a[l], b[l], c[l]);
    }
    SIM_FENCE(r);
    sim_rounding_reset(before);
    finish_f32(w, i, mask, r);
}

/* f64: to nearest, and in any other mode. */
#define F64_ANY(name, LOADS, EXPR)                                                                           \
    SIM_HANDLER(name##_any)                                                                                  \
    {                                                                                                        \
        double r[SIM_LANES];                                                                                 \
        LOADS const u32 before = sim_rounding_set(i->mods);                                                  \
        SIM_FENCE(a);                                                                                        \
        SIM_EACH                                                                                             \
        {                                                                                                    \
            r[l] = EXPR;                                                                                     \
        }                                                                                                    \
        SIM_FENCE(r);                                                                                        \
        sim_rounding_reset(before);                                                                          \
        sim_store_u64(sim_u64(w, i->dst), (const u64 *)(const void *)r, mask);                               \
    }
#define LOAD_A const double *a = sim_f64(w, i->a);
#define LOAD_AB LOAD_A const double *b = sim_f64(w, i->b);
#define LOAD_ABC LOAD_AB const double *c = sim_f64(w, i->c);

SIM_OP2(add_f64, double, double, double, x + y)
SIM_OP2(sub_f64, double, double, double, x - y)
SIM_OP2(mul_f64, double, double, double, x *y)
SIM_OP2(div_f64, double, double, double, x / y)
SIM_OP3(fma_f64, double, double, double, double, __builtin_fma(x, y, z))
SIM_OP1(rcp_f64, double, double, 1.0 / x)
SIM_OP1(sqrt_f64, double, double, __builtin_sqrt(x))
F64_ANY(add_f64, LOAD_AB, a[l] + b[l])
F64_ANY(sub_f64, LOAD_AB, a[l] - b[l])
F64_ANY(mul_f64, LOAD_AB, a[l] * b[l])
F64_ANY(div_f64, LOAD_AB, a[l] / b[l])
F64_ANY(fma_f64, LOAD_ABC, __builtin_fma(a[l], b[l], c[l]))
F64_ANY(rcp_f64, LOAD_A, 1.0 / a[l])
F64_ANY(sqrt_f64, LOAD_A, __builtin_sqrt(a[l]))

/* ---- sign and order ---- */

SIM_OP1(neg_f32, u32, u32, x ^ 0x80000000u)
SIM_OP1(neg_f32_ftz, float, float, -F(x))
SIM_OP1(neg_f64, u64, u64, x ^ (1ull << 63))
SIM_OP1(abs_f32, u32, u32, x & 0x7fffffffu)
SIM_OP1(abs_f32_ftz, u32, float, sim_bits(F(x)) & 0x7fffffffu)
SIM_OP1(abs_f64, u64, u64, x & ~(1ull << 63))
/* copysign d, a, b: b's magnitude with a's sign. */
SIM_OP2(copysign_f32, u32, u32, u32, (x & 0x80000000u) | (y & 0x7fffffffu))
SIM_OP2(copysign_f64, u64, u64, u64, (x & (1ull << 63)) | (y & ~(1ull << 63)))

SIM_OP2(min_f32, float, float, float, sim_nan(sim_min(x, y)))
SIM_OP2(max_f32, float, float, float, sim_nan(sim_max(x, y)))
SIM_OP2(min_f32_ftz, float, float, float, sim_nan(sim_min(F(x), F(y))))
SIM_OP2(max_f32_ftz, float, float, float, sim_nan(sim_max(F(x), F(y))))
SIM_OP2(min_f32_nan, float, float, float, sim_nan_wins(x, y, sim_min(x, y)))
SIM_OP2(max_f32_nan, float, float, float, sim_nan_wins(x, y, sim_max(x, y)))

/* .xorsign.abs: the smaller (larger) magnitude with the product's sign. */
SIM_HANDLER(min_max_f32_any)
{
    float a[SIM_LANES], b[SIM_LANES], r[SIM_LANES];
    const bool is_max = i->flags;
    flush_to(a, sim_f32(w, i->a), i->mods & SIM_FTZ);
    flush_to(b, sim_f32(w, i->b), i->mods & SIM_FTZ);
    SIM_EACH
    {
        float x = a[l], y = b[l];
        u32 sign = 0;
        if (i->mods & SIM_XORSIGN) {
            sign = (sim_bits(x) ^ sim_bits(y)) & 0x80000000u;
            x = __builtin_fabsf(x);
            y = __builtin_fabsf(y);
        }
        float m = is_max ? sim_max(x, y) : sim_min(x, y);
        m = (i->mods & SIM_NAN_WINS) ? sim_nan_wins(x, y, m) : m;
        r[l] = m == m ? sim_float(sim_bits(m) | sign) : sim_float(0x7fffffffu);
    }
    sim_store_u32(sim_u32(w, i->dst), (const u32 *)(const void *)r, mask);
}

static inline double min_f64_lane(double x, double y)
{
    const u64 zeros = sim_bits64(x) | sim_bits64(y), smaller = sim_bits64(x < y ? x : y);
    return x != x ? y : y != y ? x : sim_double(x == y ? zeros : smaller);
}

static inline double max_f64_lane(double x, double y)
{
    const u64 zeros = sim_bits64(x) & sim_bits64(y), larger = sim_bits64(x > y ? x : y);
    return x != x ? y : y != y ? x : sim_double(x == y ? zeros : larger);
}

SIM_OP2(min_f64, double, double, double, min_f64_lane(x, y))
SIM_OP2(max_f64, double, double, double, max_f64_lane(x, y))

/* ---- testp ---- */

enum { TEST_FINITE, TEST_INFINITE, TEST_NUMBER, TEST_NAN, TEST_NORMAL, TEST_SUBNORMAL, TESTS };
static const char *const test_name[TESTS] = {"finite",     "infinite", "number",
                                             "notanumber", "normal",   "subnormal"};

/* exponent and fraction as they stand in the bits, top: the exponent of infinities. Zero is neither kind of
 * number. */
static inline bool test_lane(u32 test, u32 exponent, bool has_fraction, u32 top)
{
    switch (test) {
    case TEST_FINITE: return exponent != top;
    case TEST_INFINITE: return exponent == top && !has_fraction;
    case TEST_NUMBER: return exponent != top || !has_fraction;
    case TEST_NAN: return exponent == top && has_fraction;
    case TEST_NORMAL: return exponent != 0 && exponent != top;
    default: return exponent == 0 && has_fraction;
    }
}

SIM_HANDLER(testp_f32)
{
    const u32 *a = sim_u32(w, i->a);
    sim_mask m = 0;
    for (u32 l = 0; l < SIM_LANES; l++) {
        m |= test_lane(i->flags, (a[l] >> 23) & 255, a[l] & 0x7fffff, 255) ? 1u << l : 0;
    }
    sim_set_pred(w, i->pdst, mask, m);
}

SIM_HANDLER(testp_f64)
{
    const u64 *a = sim_u64(w, i->a);
    sim_mask m = 0;
    for (u32 l = 0; l < SIM_LANES; l++) {
        m |= test_lane(i->flags, (u32)(a[l] >> 52) & 2047, (a[l] << 12) != 0, 2047) ? 1u << l : 0;
    }
    sim_set_pred(w, i->pdst, mask, m);
}

static bool lower_testp(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const ptx_type type = ptx_nth_type(p, 0);
    inst->pdst = sim_lower_pred(l, &p->operand[0], NULL);
    inst->a = sim_lower_source(l, &p->operand[1], type);
    while (inst->flags < TESTS && !ptx_has(p, test_name[inst->flags])) {
        inst->flags++;
    }
    sim_handler *run = inst->flags == TESTS ? NULL
                       : type == PTX_F64    ? testp_f64
                       : type == PTX_F32    ? testp_f32
                                            : NULL;
    return sim_lower_run(l, p, inst, run, type == PTX_F64 ? SIM_CLASS_F64 : SIM_CLASS_F32);
}

/* ---- lowering ---- */

typedef struct {
    const char *opcode;
    sim_handler *f32, *f32_ftz, *f32_any, *f64, *f64_any;
} float_row;

static const float_row rows[] = {
    {"add", add_f32, add_f32_ftz, add_f32_any, add_f64, add_f64_any},
    {"sub", sub_f32, sub_f32_ftz, sub_f32_any, sub_f64, sub_f64_any},
    {"mul", mul_f32, mul_f32_ftz, mul_f32_any, mul_f64, mul_f64_any},
    {"fma", fma_f32, fma_f32_ftz, fma_f32_any, fma_f64, fma_f64_any},
    {"mad", fma_f32, fma_f32_ftz, fma_f32_any, fma_f64, fma_f64_any},
    {"div", div_f32, div_f32_ftz, div_f32_any, div_f64, div_f64_any},
    {"rcp", rcp_f32, rcp_f32_ftz, rcp_f32_any, rcp_f64, rcp_f64_any},
    {"sqrt", sqrt_f32, sqrt_f32_ftz, sqrt_f32_any, sqrt_f64, sqrt_f64_any},
    {"min", min_f32, min_f32_ftz, NULL, min_f64, NULL},
    {"max", max_f32, max_f32_ftz, NULL, max_f64, NULL},
    {"neg", neg_f32, neg_f32_ftz, NULL, neg_f64, NULL},
    {"abs", abs_f32, abs_f32_ftz, NULL, abs_f64, NULL},
    {"copysign", copysign_f32, NULL, NULL, copysign_f64, NULL},
};

static const float_row *find_row(const char *opcode)
{
    for (size_t n = 0; n < sizeof rows / sizeof rows[0]; n++) {
        if (strcmp(rows[n].opcode, opcode) == 0) {
            return &rows[n];
        }
    }
    return NULL;
}

static sim_handler *choose_f32(const float_row *row, sim_inst *inst)
{
    const bool is_min = row->f32 == min_f32, is_max = row->f32 == max_f32;
    switch (inst->mods) {
    case 0: return row->f32;
    case SIM_FTZ: return row->f32_ftz;
    }
    if (is_min || is_max) {
        inst->flags = is_max;
        return inst->mods == SIM_NAN_WINS ? (is_max ? max_f32_nan : min_f32_nan) : min_max_f32_any;
    }
    return row->f32_any;
}

bool SIM_NAME(sim_lower_float)(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const ptx_type type = ptx_nth_type(p, 0);
    const float_row *row = find_row(p->opcode);
    sim_handler *run = NULL;
    if (type != PTX_F32 && type != PTX_F64) {
        return SIM_NAME(sim_lower_half)(l, p, inst);
    }
    if (ptx_has(p, "approx") || ptx_has(p, "full")) {
        return SIM_NAME(sim_lower_approx)(l, p, inst);
    }
    sim_lower_operands(l, p, inst, type);
    inst->mods = sim_float_mods(p);
    if (row && type == PTX_F32) {
        run = choose_f32(row, inst);
    } else if (row) {
        run = inst->mods == 0 ? row->f64 : (inst->mods & ~SIM_ROUNDING) == 0 ? row->f64_any : NULL;
    }
    return sim_lower_run(l, p, inst, run, type == PTX_F64 ? SIM_CLASS_F64 : SIM_CLASS_F32);
}

const sim_op SIM_NAME(sim_ops_float)[] = {
    {"fma", SIM_NAME(sim_lower_float)},
    {"rcp", SIM_NAME(sim_lower_float)},
    {"sqrt", SIM_NAME(sim_lower_float)},
    {"copysign", SIM_NAME(sim_lower_float)},
    {"testp", lower_testp},
    {NULL, NULL},
};
