/*
 * Integer arithmetic: add .. mad, division, min/max, bit counting, bit fields, dp4a. One table for the
 * opcodes that floats have too; their types are handed on to float.c. Shifts and logic stand in logic.c,
 * comparisons in compare.c.
 */
#include "tests/gpusim/ops/arith.h"

typedef uint32_t u32;
typedef int32_t s32;
typedef uint64_t u64;
typedef int64_t s64;
typedef unsigned __int128 u128;
typedef __int128 s128;

#define LO16(x) ((x)&0xffffu)
#define HI16(x) ((x) >> 16)
#define SAT32(x) ((x) > INT32_MAX ? INT32_MAX : (x) < INT32_MIN ? INT32_MIN : (x))

/* ---- add, sub, mul, mad ---- */

SIM_OP2(add16, u32, u32, u32, LO16(x + y))
SIM_OP2(add32, u32, u32, u32, x + y)
SIM_OP2(add64, u64, u64, u64, x + y)
SIM_OP2(add_sat, s32, s32, s32, SAT32((s64)x + y))
SIM_OP2(add16x2, u32, u32, u32, LO16(x + y) | ((HI16(x) + HI16(y)) << 16))
SIM_OP2(sub16, u32, u32, u32, LO16(x - y))
SIM_OP2(sub32, u32, u32, u32, x - y)
SIM_OP2(sub64, u64, u64, u64, x - y)
SIM_OP2(sub_sat, s32, s32, s32, SAT32((s64)x - y))
SIM_OP2(mul16, u32, u32, u32, LO16(x *y))
SIM_OP2(mul32, u32, u32, u32, x *y)
SIM_OP2(mul64, u64, u64, u64, x *y)
SIM_OP2(mul_hi_u16, u32, u32, u32, HI16(x *y))
SIM_OP2(mul_hi_s16, u32, u32, u32, HI16((u32)(sim_s16(x) * sim_s16(y))))
SIM_OP2(mul_hi_u32, u32, u32, u32, ((u64)x * y) >> 32)
SIM_OP2(mul_hi_s32, s32, s32, s32, ((s64)x * y) >> 32)
SIM_OP2(mul_hi_u64, u64, u64, u64, ((u128)x * y) >> 64)
SIM_OP2(mul_hi_s64, s64, s64, s64, ((s128)x * y) >> 64)
SIM_OP2(mul_wide_u16, u32, u32, u32, x *y)
SIM_OP2(mul_wide_s16, s32, u32, u32, sim_s16(x) * sim_s16(y))
SIM_OP2(mul_wide_u32, u64, u32, u32, (u64)x *y)
SIM_OP2(mul_wide_s32, s64, s32, s32, (s64)x *y)
SIM_OP3(mad16, u32, u32, u32, u32, LO16(x *y + z))
SIM_OP3(mad32, u32, u32, u32, u32, x *y + z)
SIM_OP3(mad64, u64, u64, u64, u64, x *y + z)
SIM_OP3(mad_hi_u16, u32, u32, u32, u32, LO16(HI16(x *y) + z))
SIM_OP3(mad_hi_s16, u32, u32, u32, u32, LO16(HI16((u32)(sim_s16(x) * sim_s16(y))) + z))
SIM_OP3(mad_hi_u32, u32, u32, u32, u32, (u32)(((u64)x * y) >> 32) + z)
SIM_OP3(mad_hi_s32, u32, s32, s32, u32, (u32)(((s64)x * y) >> 32) + z)
SIM_OP3(mad_hi_sat, s32, s32, s32, s32, SAT32((((s64)x * y) >> 32) + z))
SIM_OP3(mad_hi_u64, u64, u64, u64, u64, (u64)(((u128)x * y) >> 64) + z)
SIM_OP3(mad_hi_s64, u64, s64, s64, u64, (u64)(((s128)x * y) >> 64) + z)
SIM_OP3(mad_wide_u16, u32, u32, u32, u32, x *y + z)
SIM_OP3(mad_wide_s16, u32, u32, u32, u32, (u32)(sim_s16(x) * sim_s16(y)) + z)
SIM_OP3(mad_wide_u32, u64, u32, u32, u64, (u64)x *y + z)
SIM_OP3(mad_wide_s32, u64, s32, s32, u64, (u64)((s64)x *y) + z)

/* Products of the low 24 bits: the low 32 of 48 bits, or bits 47..16. */
#define U24(x) ((u64)((x)&0xffffffu))
#define S24(x) ((s64)((s32)((u32)(x) << 8) >> 8))
SIM_OP2(mul24_lo_u32, u32, u32, u32, U24(x) * U24(y))
SIM_OP2(mul24_hi_u32, u32, u32, u32, (U24(x) * U24(y)) >> 16)
SIM_OP2(mul24_lo_s32, u32, u32, u32, S24(x) * S24(y))
SIM_OP2(mul24_hi_s32, u32, u32, u32, (S24(x) * S24(y)) >> 16)
SIM_OP3(mad24_lo_u32, u32, u32, u32, u32, (u32)(U24(x) * U24(y)) + z)
SIM_OP3(mad24_hi_u32, u32, u32, u32, u32, (u32)((U24(x) * U24(y)) >> 16) + z)
SIM_OP3(mad24_lo_s32, u32, u32, u32, u32, (u32)(S24(x) * S24(y)) + z)
SIM_OP3(mad24_hi_s32, u32, u32, u32, u32, (u32)((S24(x) * S24(y)) >> 16) + z)
SIM_OP3(mad24_hi_sat, s32, u32, u32, s32, SAT32((s64)(s32)((S24(x) * S24(y)) >> 16) + z))

/*
 * With the carry flag: d = a + b + CF or a - (b + CF), where psrc says whether CF is read and pdst whether it
 * is written. Subtraction keeps the borrow in CF. mad.cc and madc add c to a half of the product.
 */
typedef enum { HALF_LO, HALF_HI_U, HALF_HI_S } product_half;

#define CARRY(name, T, S, WIDE, SWIDE, BITS)                                                                 \
    static void carry_sum_##name(sim_warp *w, const sim_inst *i, sim_mask mask, const T *a, const T *b,      \
                                 bool minus)                                                                 \
    {                                                                                                        \
        const sim_mask in = i->psrc == SIM_NO_PRED ? 0 : w->pred[i->psrc];                                   \
        T r[SIM_LANES];                                                                                      \
        sim_mask out = 0;                                                                                    \
        for (uint32_t l = 0; l < SIM_LANES; l++) {                                                           \
            const WIDE carry = (in >> l) & 1;                                                                \
            const WIDE sum = minus ? (WIDE)a[l] - b[l] - carry : (WIDE)a[l] + b[l] + carry;                  \
            r[l] = (T)sum;                                                                                   \
            out |= (sim_mask)((sum >> BITS) & 1) << l;                                                       \
        }                                                                                                    \
        sim_store_u##BITS(SIM_AT(T, i->dst), r, mask);                                                       \
        sim_set_pred(w, i->pdst, mask, out);                                                                 \
    }                                                                                                        \
    SIM_HANDLER(addc_##name)                                                                                 \
    {                                                                                                        \
        carry_sum_##name(w, i, mask, SIM_AT(const T, i->a), SIM_AT(const T, i->b), false);                   \
    }                                                                                                        \
    SIM_HANDLER(subc_##name)                                                                                 \
    {                                                                                                        \
        carry_sum_##name(w, i, mask, SIM_AT(const T, i->a), SIM_AT(const T, i->b), true);                    \
    }                                                                                                        \
    SIM_HANDLER(madc_##name)                                                                                 \
    {                                                                                                        \
        const T *a = SIM_AT(const T, i->a), *b = SIM_AT(const T, i->b);                                      \
        T product[SIM_LANES];                                                                                \
        for (uint32_t l = 0; l < SIM_LANES; l++) {                                                           \
            product[l] = i->flags == HALF_LO     ? a[l] * b[l]                                               \
                         : i->flags == HALF_HI_U ? (T)(((WIDE)a[l] * b[l]) >> BITS)                          \
                                                 : (T)(((SWIDE)(S)a[l] * (S)b[l]) >> BITS);                  \
        }                                                                                                    \
        carry_sum_##name(w, i, mask, product, SIM_AT(const T, i->c), false);                                 \
    }
CARRY(32, u32, s32, u64, s64, 32)
CARRY(64, u64, s64, u128, s128, 64)

static bool lower_carry(sim_lowering *l, const ptx_instruction *p, sim_inst *inst, ptx_type type)
{
    const bool wide = ptx_type_bytes(type) == 8;
    const bool is_signed = type == PTX_S32 || type == PTX_S64;
    const bool reads = p->opcode[3] == 'c' && p->opcode[4] == '\0'; /* addc, subc, madc */
    sim_handler *run = NULL;
    if (ptx_type_bytes(type) < 4 || sim_is_float(type)) {
        return sim_lower_run(l, p, inst, NULL, SIM_CLASS_INT);
    }
    sim_lower_operands(l, p, inst, type);
    inst->psrc = reads ? SIM_CARRY_PRED : SIM_NO_PRED;
    inst->pdst = ptx_has(p, "cc") ? SIM_CARRY_PRED : SIM_NO_PRED;
    inst->flags = !ptx_has(p, "hi") ? HALF_LO : is_signed ? HALF_HI_S : HALF_HI_U;
    switch (p->opcode[0]) {
    case 'a': run = wide ? addc_64 : addc_32; break;
    case 's': run = wide ? subc_64 : subc_32; break;
    case 'm': run = wide ? madc_64 : madc_32; break;
    }
    return sim_lower_run(l, p, inst, run, SIM_CLASS_INT);
}

static bool lower_addc(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    return lower_carry(l, p, inst, ptx_nth_type(p, 0));
}

static bool lower_add(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const ptx_type type = ptx_nth_type(p, 0);
    const bool minus = p->opcode[0] == 's';
    sim_handler *run = NULL;
    if (sim_is_float(type)) {
        return SIM_NAME(sim_lower_float)(l, p, inst);
    }
    if (ptx_has(p, "cc")) {
        return lower_carry(l, p, inst, type);
    }
    sim_lower_operands(l, p, inst, type);
    switch (type) {
    case PTX_U16:
    case PTX_S16: run = minus ? sub16 : add16; break;
    case PTX_U32: run = minus ? sub32 : add32; break;
    case PTX_S32: run = ptx_has(p, "sat") ? (minus ? sub_sat : add_sat) : minus ? sub32 : add32; break;
    case PTX_U64:
    case PTX_S64: run = minus ? sub64 : add64; break;
    case PTX_U16X2:
    case PTX_S16X2: run = minus ? NULL : add16x2; break;
    default: break;
    }
    return sim_lower_run(l, p, inst, run, SIM_CLASS_INT);
}

static ptx_type widened(ptx_type type)
{
    return type == PTX_U16 ? PTX_U32 : type == PTX_S16 ? PTX_S32 : type == PTX_U32 ? PTX_U64 : PTX_S64;
}

/* Columns: lo, hi, wide; rows: u16, s16, u32, s32, u64, s64. */
static sim_handler *const mul_table[6][3] = {
    {mul16, mul_hi_u16, mul_wide_u16}, {mul16, mul_hi_s16, mul_wide_s16}, {mul32, mul_hi_u32, mul_wide_u32},
    {mul32, mul_hi_s32, mul_wide_s32}, {mul64, mul_hi_u64, NULL},         {mul64, mul_hi_s64, NULL},
};
static sim_handler *const mad_table[6][3] = {
    {mad16, mad_hi_u16, mad_wide_u16}, {mad16, mad_hi_s16, mad_wide_s16}, {mad32, mad_hi_u32, mad_wide_u32},
    {mad32, mad_hi_s32, mad_wide_s32}, {mad64, mad_hi_u64, NULL},         {mad64, mad_hi_s64, NULL},
};

static int mul_row(ptx_type type)
{
    switch (type) {
    case PTX_U16: return 0;
    case PTX_S16: return 1;
    case PTX_U32: return 2;
    case PTX_S32: return 3;
    case PTX_U64: return 4;
    case PTX_S64: return 5;
    default: return -1;
    }
}

/* mul and mad: lo, hi, wide. */
static bool lower_mul(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const ptx_type type = ptx_nth_type(p, 0);
    const bool is_mad = p->opcode[1] == 'a';
    const int row = mul_row(type), column = ptx_has(p, "wide") ? 2 : ptx_has(p, "hi") ? 1 : 0;
    if (sim_is_float(type)) {
        return SIM_NAME(sim_lower_float)(l, p, inst);
    }
    if (ptx_has(p, "lo") + ptx_has(p, "hi") + ptx_has(p, "wide") != 1) {
        return sim_lower_fail(l, "%s: one of .lo, .hi and .wide expected", p->text);
    }
    if (ptx_has(p, "cc")) {
        return lower_carry(l, p, inst, type);
    }
    sim_handler *run = row < 0 ? NULL : is_mad ? mad_table[row][column] : mul_table[row][column];
    if (run && is_mad && ptx_has(p, "sat")) {
        run = type == PTX_S32 && column == 1 ? mad_hi_sat : NULL;
    }
    if (run) {
        const ptx_type result = column == 2 ? widened(type) : type;
        inst->dst = sim_lower_dest(l, &p->operand[0], result);
        inst->a = sim_lower_source(l, &p->operand[1], type);
        inst->b = sim_lower_source(l, &p->operand[2], type);
        if (is_mad) {
            inst->c = sim_lower_source(l, &p->operand[3], result);
        }
    }
    return sim_lower_run(l, p, inst, run, SIM_CLASS_INT);
}

static bool lower_mul24(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    static sim_handler *const table[2][2][2] = {{{mul24_lo_u32, mul24_hi_u32}, {mul24_lo_s32, mul24_hi_s32}},
                                                {{mad24_lo_u32, mad24_hi_u32}, {mad24_lo_s32, mad24_hi_s32}}};
    const ptx_type type = ptx_nth_type(p, 0);
    const bool is_mad = p->opcode[1] == 'a', hi = ptx_has(p, "hi");
    sim_lower_operands(l, p, inst, type);
    sim_handler *run = type == PTX_U32 || type == PTX_S32 ? table[is_mad][type == PTX_S32][hi] : NULL;
    if (ptx_has(p, "sat")) {
        run = is_mad && hi && type == PTX_S32 ? mad24_hi_sat : NULL;
    }
    return sim_lower_run(l, p, inst, run, SIM_CLASS_INT);
}

/* ---- division: by zero gives all ones (PTX leaves it open), the smallest number by -1 wraps ---- */

/*
 * 32-bit quotients by way of double: a / b is exact there whenever b divides a, and otherwise farther from
 * the next integer (1 / b) than the rounding can move it.
 */
static inline u32 div_u32_lane(u32 x, u32 y)
{
    const double a = (double)(s32)(x ^ 0x80000000u) + 2147483648.0;
    const double b = (double)(s32)(y ^ 0x80000000u) + 2147483648.0;
    const double q = __builtin_floor(a / (y ? b : 1.0)) - 2147483648.0;
    return y ? (u32)(s32)q ^ 0x80000000u : 0xffffffffu;
}

static inline u32 abs_u32(s32 x)
{
    return x < 0 ? 0u - (u32)x : (u32)x;
}

static inline s32 div_s32_lane(s32 x, s32 y)
{
    const u32 q = div_u32_lane(abs_u32(x), abs_u32(y));
    return y == 0 ? -1 : (s32)((x ^ y) < 0 ? 0u - q : q);
}

static inline u64 div_u64_lane(u64 x, u64 y)
{
    return y ? x / y : ~0ull;
}

static inline s64 div_s64_lane(s64 x, s64 y)
{
    return y == 0 ? -1 : y == -1 ? (s64)(0ull - (u64)x) : x / y;
}

SIM_OP2(div_u16, u32, u32, u32, LO16(div_u32_lane(x, y)))
SIM_OP2(div_s16, u32, u32, u32, LO16((u32)div_s32_lane(sim_s16(x), sim_s16(y))))
SIM_OP2(div_u32, u32, u32, u32, div_u32_lane(x, y))
SIM_OP2(div_s32, s32, s32, s32, div_s32_lane(x, y))
SIM_OP2(div_u64, u64, u64, u64, div_u64_lane(x, y))
SIM_OP2(div_s64, s64, s64, s64, div_s64_lane(x, y))
SIM_OP2(rem_u16, u32, u32, u32, y ? x - div_u32_lane(x, y) * y : 0xffffu)
SIM_OP2(rem_s16, u32, u32, u32,
        LO16(y ? (u32)(sim_s16(x) - div_s32_lane(sim_s16(x), sim_s16(y)) * sim_s16(y)) : 0xffffu))
SIM_OP2(rem_u32, u32, u32, u32, y ? x - div_u32_lane(x, y) * y : 0xffffffffu)
SIM_OP2(rem_s32, u32, s32, s32, y ? (u32)x - (u32)div_s32_lane(x, y) * (u32)y : 0xffffffffu)
SIM_OP2(rem_u64, u64, u64, u64, y ? x - div_u64_lane(x, y) * y : ~0ull)
SIM_OP2(rem_s64, u64, s64, s64, y ? (u64)x - (u64)div_s64_lane(x, y) * (u64)y : ~0ull)

/* ---- neg, abs, min, max, sad ---- */

SIM_OP1(neg16, u32, u32, LO16(0u - x))
SIM_OP1(neg32, u32, u32, 0u - x)
SIM_OP1(neg64, u64, u64, 0ull - x)
SIM_OP1(abs16, u32, u32, LO16(abs_u32(sim_s16(x))))
SIM_OP1(abs32, u32, s32, abs_u32(x))
SIM_OP1(abs64, u64, s64, x < 0 ? 0ull - (u64)x : (u64)x)

#define MIN(x, y) ((x) < (y) ? (x) : (y))
#define MAX(x, y) ((x) > (y) ? (x) : (y))
#define PACK16(lo, hi) (LO16((u32)(lo)) | ((u32)(hi) << 16))
#define S_HI(x) ((s32)(x) >> 16)
#define RELU(x) MAX(x, 0)
SIM_OP2(min_u32, u32, u32, u32, MIN(x, y))
SIM_OP2(max_u32, u32, u32, u32, MAX(x, y))
SIM_OP2(min_s32, s32, s32, s32, MIN(x, y))
SIM_OP2(max_s32, s32, s32, s32, MAX(x, y))
SIM_OP2(min_relu, s32, s32, s32, RELU(MIN(x, y)))
SIM_OP2(max_relu, s32, s32, s32, RELU(MAX(x, y)))
SIM_OP2(min_s16, u32, u32, u32, sim_s16(x) < sim_s16(y) ? x : y)
SIM_OP2(max_s16, u32, u32, u32, sim_s16(x) > sim_s16(y) ? x : y)
SIM_OP2(min_u64, u64, u64, u64, MIN(x, y))
SIM_OP2(max_u64, u64, u64, u64, MAX(x, y))
SIM_OP2(min_s64, s64, s64, s64, MIN(x, y))
SIM_OP2(max_s64, s64, s64, s64, MAX(x, y))
SIM_OP2(min_u16x2, u32, u32, u32, PACK16(MIN(LO16(x), LO16(y)), MIN(HI16(x), HI16(y))))
SIM_OP2(max_u16x2, u32, u32, u32, PACK16(MAX(LO16(x), LO16(y)), MAX(HI16(x), HI16(y))))
SIM_OP2(min_s16x2, u32, u32, u32, PACK16(MIN(sim_s16(x), sim_s16(y)), MIN(S_HI(x), S_HI(y))))
SIM_OP2(max_s16x2, u32, u32, u32, PACK16(MAX(sim_s16(x), sim_s16(y)), MAX(S_HI(x), S_HI(y))))
SIM_OP2(min_relu_s16x2, u32, u32, u32, PACK16(RELU(MIN(sim_s16(x), sim_s16(y))), RELU(MIN(S_HI(x), S_HI(y)))))
SIM_OP2(max_relu_s16x2, u32, u32, u32, PACK16(RELU(MAX(sim_s16(x), sim_s16(y))), RELU(MAX(S_HI(x), S_HI(y)))))

SIM_OP3(sad_u16, u32, u32, u32, u32, LO16(z + (x > y ? x - y : y - x)))
SIM_OP3(sad_s16, u32, u32, u32, u32, LO16(z + abs_u32(sim_s16(x) - sim_s16(y))))
SIM_OP3(sad_u32, u32, u32, u32, u32, z + (x > y ? x - y : y - x))
SIM_OP3(sad_s32, u32, s32, s32, u32, z + (x > y ? (u32)x - (u32)y : (u32)y - (u32)x))
SIM_OP3(sad_u64, u64, u64, u64, u64, z + (x > y ? x - y : y - x))
SIM_OP3(sad_s64, u64, s64, s64, u64, z + (x > y ? (u64)x - (u64)y : (u64)y - (u64)x))

/* A row of handlers by type. */
typedef struct {
    sim_handler *u16, *s16, *u32, *s32, *u64, *s64;
} by_type;

static sim_handler *choose(const by_type *row, ptx_type type)
{
    switch (type) {
    case PTX_U16: return row->u16;
    case PTX_S16: return row->s16;
    case PTX_U32: return row->u32;
    case PTX_S32: return row->s32;
    case PTX_U64: return row->u64;
    case PTX_S64: return row->s64;
    default: return NULL;
    }
}

static bool lower_row(sim_lowering *l, const ptx_instruction *p, sim_inst *inst, const by_type *row)
{
    const ptx_type type = ptx_nth_type(p, 0);
    if (sim_is_float(type)) {
        return SIM_NAME(sim_lower_float)(l, p, inst);
    }
    sim_lower_operands(l, p, inst, type);
    return sim_lower_run(l, p, inst, choose(row, type), SIM_CLASS_INT);
}

static bool lower_div(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    return lower_row(l, p, inst, &(by_type){div_u16, div_s16, div_u32, div_s32, div_u64, div_s64});
}

static bool lower_rem(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    return lower_row(l, p, inst, &(by_type){rem_u16, rem_s16, rem_u32, rem_s32, rem_u64, rem_s64});
}

static bool lower_neg(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    return lower_row(l, p, inst, &(by_type){.s16 = neg16, .s32 = neg32, .s64 = neg64});
}

static bool lower_abs(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    return lower_row(l, p, inst, &(by_type){.s16 = abs16, .s32 = abs32, .s64 = abs64});
}

static bool lower_sad(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    return lower_row(l, p, inst, &(by_type){sad_u16, sad_s16, sad_u32, sad_s32, sad_u64, sad_s64});
}

static bool lower_min_max(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    static const by_type rows[2] = {{min_u32, min_s16, min_u32, min_s32, min_u64, min_s64},
                                    {max_u32, max_s16, max_u32, max_s32, max_u64, max_s64}};
    const ptx_type type = ptx_nth_type(p, 0);
    const bool is_max = p->opcode[1] == 'a', relu = ptx_has(p, "relu");
    if (sim_is_float(type) || (type != PTX_U16X2 && type != PTX_S16X2 && !relu)) {
        return lower_row(l, p, inst, &rows[is_max]);
    }
    sim_handler *run = NULL;
    sim_lower_operands(l, p, inst, type);
    if (type == PTX_U16X2) {
        run = relu ? NULL : is_max ? max_u16x2 : min_u16x2;
    } else if (type == PTX_S16X2) {
        run = is_max ? (relu ? max_relu_s16x2 : max_s16x2) : relu ? min_relu_s16x2 : min_s16x2;
    } else if (type == PTX_S32) {
        run = is_max ? max_relu : min_relu;
    }
    return sim_lower_run(l, p, inst, run, SIM_CLASS_INT);
}

/* ---- counting and finding bits ---- */

static inline u32 find_top(u32 x)
{
    return x ? 31u - (u32)__builtin_clz(x) : ~0u;
}

static inline u32 find_top64(u64 x)
{
    return x ? 63u - (u32)__builtin_clzll(x) : ~0u;
}

static inline u32 reverse32(u32 x)
{
    x = ((x >> 1) & 0x55555555u) | ((x & 0x55555555u) << 1);
    x = ((x >> 2) & 0x33333333u) | ((x & 0x33333333u) << 2);
    x = ((x >> 4) & 0x0f0f0f0fu) | ((x & 0x0f0f0f0fu) << 4);
    return (x >> 24) | ((x >> 8) & 0xff00u) | ((x << 8) & 0xff0000u) | (x << 24);
}

/* The place of the n-th set bit of x from `base` on, upwards for n > 0, downwards for n < 0. */
static u32 find_nth(u32 x, u32 base, s32 n)
{
    const s32 step = n < 0 ? -1 : 1;
    u32 left = n == 0 ? 0 : abs_u32(n) - 1;
    if (n == 0) {
        return base < 32 && ((x >> base) & 1) ? base : ~0u;
    }
    for (s64 at = (s32)base; at >= 0 && at < 32; at += step) {
        if ((x >> at) & 1) {
            if (left-- == 0) {
                return (u32)at;
            }
        }
    }
    return ~0u;
}

SIM_OP1(popc32, u32, u32, __builtin_popcount(x))
SIM_OP1(popc64, u32, u64, __builtin_popcountll(x))
SIM_OP1(clz32, u32, u32, 31u - find_top(x))
SIM_OP1(clz64, u32, u64, 63u - find_top64(x))
SIM_OP1(bfind_u32, u32, u32, find_top(x))
SIM_OP1(bfind_s32, u32, s32, find_top((u32)(x < 0 ? ~x : x)))
SIM_OP1(bfind_u64, u32, u64, find_top64(x))
SIM_OP1(bfind_s64, u32, s64, find_top64((u64)(x < 0 ? ~x : x)))
#define SHIFT_AMOUNT(at, top) ((at) == ~0u ? ~0u : (top) - (at))
SIM_OP1(bfind_shift_u32, u32, u32, SHIFT_AMOUNT(find_top(x), 31u))
SIM_OP1(bfind_shift_s32, u32, s32, SHIFT_AMOUNT(find_top((u32)(x < 0 ? ~x : x)), 31u))
SIM_OP1(bfind_shift_u64, u32, u64, SHIFT_AMOUNT(find_top64(x), 63u))
SIM_OP1(bfind_shift_s64, u32, s64, SHIFT_AMOUNT(find_top64((u64)(x < 0 ? ~x : x)), 63u))
SIM_OP1(brev32, u32, u32, reverse32(x))
SIM_OP1(brev64, u64, u64, ((u64)reverse32((u32)x) << 32) | reverse32((u32)(x >> 32)))
SIM_OP3(fns32, u32, u32, u32, s32, find_nth(x, y, z))

/* Results are 32 bits wide whatever the source. */
static bool lower_count(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const ptx_type type = ptx_nth_type(p, 0);
    const bool wide = ptx_type_bytes(type) == 8;
    sim_handler *run = NULL;
    inst->dst = sim_lower_dest(l, &p->operand[0], PTX_U32);
    inst->a = sim_lower_source(l, &p->operand[1], type);
    if (p->opcode[0] == 'p') {
        run = wide ? popc64 : popc32;
    } else if (p->opcode[0] == 'c') {
        run = wide ? clz64 : clz32;
    } else if (ptx_has(p, "shiftamt")) {
        const by_type row = {NULL, NULL, bfind_shift_u32, bfind_shift_s32, bfind_shift_u64, bfind_shift_s64};
        run = choose(&row, type);
    } else {
        run = choose(&(by_type){NULL, NULL, bfind_u32, bfind_s32, bfind_u64, bfind_s64}, type);
    }
    return sim_lower_run(l, p, inst, run, SIM_CLASS_INT);
}

static bool lower_brev(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const ptx_type type = ptx_nth_type(p, 0);
    sim_lower_operands(l, p, inst, type);
    return sim_lower_run(l, p, inst, ptx_type_bytes(type) == 8 ? brev64 : brev32, SIM_CLASS_INT);
}

static bool lower_fns(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    sim_lower_operands(l, p, inst, PTX_B32);
    return sim_lower_run(l, p, inst, fns32, SIM_CLASS_INT);
}

/* ---- bit fields ---- */

/* Ones from bit 0 on, `count` of them; all for count >= width. */
static inline u32 ones32(u32 count)
{
    return count > 31 ? ~0u : (1u << (count & 31)) - 1;
}

static inline u64 ones64(u32 count)
{
    return count > 63 ? ~0ull : (1ull << (count & 63)) - 1;
}

/* Bits [at, at + count) of x; above them, and above x's top, zeros or copies of the last bit taken. */
#define FIELD(name, T, BITS)                                                                                 \
    static inline T bfe##name(T x, u32 at, u32 count, bool is_signed)                                        \
    {                                                                                                        \
        const u32 end = at + count - 1 > BITS - 1 ? BITS - 1 : at + count - 1;                               \
        const T sign = is_signed && count ? 0 - ((x >> (end & (BITS - 1))) & 1) : 0;                         \
        const T here = at > BITS - 1 ? 0 : ones##name(count) & ((T) ~(T)0 >> (at & (BITS - 1)));             \
        const T shifted = x >> (at & (BITS - 1));                                                            \
        return (shifted & here) | (sign & ~here);                                                            \
    }                                                                                                        \
    static inline T bfi##name(T x, T into, u32 at, u32 count)                                                \
    {                                                                                                        \
        const T here = at > BITS - 1 ? 0 : ones##name(count) << (at & (BITS - 1));                           \
        return ((x << (at & (BITS - 1))) & here) | (into & ~here);                                           \
    }
FIELD(32, u32, 32)
FIELD(64, u64, 64)

SIM_OP3(bfe_u32, u32, u32, u32, u32, bfe32(x, y & 255, z & 255, false))
SIM_OP3(bfe_s32, u32, u32, u32, u32, bfe32(x, y & 255, z & 255, true))
SIM_OP3(bfe_u64, u64, u64, u32, u32, bfe64(x, y & 255, z & 255, false))
SIM_OP3(bfe_s64, u64, u64, u32, u32, bfe64(x, y & 255, z & 255, true))

/* bfi has four sources: the last one (count) is the first of the list. */
SIM_HANDLER(bfi_b32)
{
    const u32 *n = sim_u32(w, w->frame->function->operands[i->list]);
    const u32 *a = sim_u32(w, i->a), *b = sim_u32(w, i->b), *c = sim_u32(w, i->c);
    SIM_BODY(u32, , bfi32(a[l], b[l], c[l] & 255, n[l] & 255))
}
SIM_HANDLER(bfi_b64)
{
    const u32 *n = sim_u32(w, w->frame->function->operands[i->list]), *c = sim_u32(w, i->c);
    const u64 *a = sim_u64(w, i->a), *b = sim_u64(w, i->b);
    SIM_BODY(u64, , bfi64(a[l], b[l], c[l] & 255, n[l] & 255))
}

static bool lower_bfe(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const ptx_type type = ptx_nth_type(p, 0);
    inst->dst = sim_lower_dest(l, &p->operand[0], type);
    inst->a = sim_lower_source(l, &p->operand[1], type);
    inst->b = sim_lower_source(l, &p->operand[2], PTX_U32);
    inst->c = sim_lower_source(l, &p->operand[3], PTX_U32);
    const by_type row = {NULL, NULL, bfe_u32, bfe_s32, bfe_u64, bfe_s64};
    return sim_lower_run(l, p, inst, choose(&row, type), SIM_CLASS_INT);
}

static bool lower_bfi(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const ptx_type type = ptx_nth_type(p, 0);
    const sim_operand count = sim_lower_source(l, &p->operand[4], PTX_U32);
    inst->dst = sim_lower_dest(l, &p->operand[0], type);
    inst->a = sim_lower_source(l, &p->operand[1], type);
    inst->b = sim_lower_source(l, &p->operand[2], type);
    inst->c = sim_lower_source(l, &p->operand[3], PTX_U32);
    inst->list = sim_lower_list(l, &count, 1);
    inst->count = 1;
    return sim_lower_run(l, p, inst, ptx_type_bytes(type) == 8 ? bfi_b64 : bfi_b32, SIM_CLASS_INT);
}

/* szext: zero- or sign-extends from bit y - 1; .clamp takes y >= 32 as 32, .wrap takes y modulo 32. */
static inline u32 szext_lane(u32 x, u32 y, bool clamp, bool is_signed)
{
    const u32 n = y & 31;
    const bool whole = y > 31 && clamp;
    const u32 above = whole ? 0 : ~0u << n;
    const bool sign = is_signed && n && !whole && ((x >> ((n - 1) & 31)) & 1);
    return (x & ~above) | (sign ? above : 0);
}

SIM_OP2(szext_clamp_u, u32, u32, u32, szext_lane(x, y, true, false))
SIM_OP2(szext_clamp_s, u32, u32, u32, szext_lane(x, y, true, true))
SIM_OP2(szext_wrap_u, u32, u32, u32, szext_lane(x, y, false, false))
SIM_OP2(szext_wrap_s, u32, u32, u32, szext_lane(x, y, false, true))

/* bmsk: y ones from bit x on; .clamp cuts at bit 31, .wrap takes both modulo 32 first. */
static inline u32 bmsk_lane(u32 x, u32 y, bool clamp)
{
    const u32 at = x & 31, end = at + (y & 31);
    const u32 from = clamp && x > 31 ? 0 : ~0u << at;
    const u32 beyond = end > 31 || (clamp && (x > 31 || y > 31)) ? 0 : ~0u << (end & 31);
    return from & ~beyond;
}

SIM_OP2(bmsk_clamp, u32, u32, u32, bmsk_lane(x, y, true))
SIM_OP2(bmsk_wrap, u32, u32, u32, bmsk_lane(x, y, false))

static bool lower_szext(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const ptx_type type = ptx_nth_type(p, 0);
    const bool is_signed = type == PTX_S32;
    sim_lower_operands(l, p, inst, type);
    sim_handler *run = ptx_has(p, "clamp") ? (is_signed ? szext_clamp_s : szext_clamp_u)
                                           : (is_signed ? szext_wrap_s : szext_wrap_u);
    return sim_lower_run(l, p, inst, run, SIM_CLASS_INT);
}

static bool lower_bmsk(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    sim_lower_operands(l, p, inst, PTX_B32);
    return sim_lower_run(l, p, inst, ptx_has(p, "clamp") ? bmsk_clamp : bmsk_wrap, SIM_CLASS_INT);
}

/* ---- dot products of bytes ---- */

static inline s32 byte_of(u32 x, u32 k, bool is_signed)
{
    const u32 byte = (x >> (8 * k)) & 255;
    return is_signed ? (int8_t)byte : (s32)byte;
}

static inline s32 half_of(u32 x, u32 k, bool is_signed)
{
    const u32 half = (x >> (16 * k)) & 0xffff;
    return is_signed ? (int16_t)half : (s32)half;
}

static inline u32 dp4a_lane(u32 x, u32 y, u32 z, bool sx, bool sy)
{
    for (u32 k = 0; k < 4; k++) {
        z += (u32)(byte_of(x, k, sx) * byte_of(y, k, sy));
    }
    return z;
}

/* dp2a: both halves of x with bytes 0, 1 (lo) or 2, 3 (hi) of y. */
static inline u32 dp2a_lane(u32 x, u32 y, u32 z, bool sx, bool sy, u32 hi)
{
    for (u32 k = 0; k < 2; k++) {
        z += (u32)half_of(x, k, sx) * (u32)byte_of(y, 2 * hi + k, sy);
    }
    return z;
}

SIM_OP3(dp4a_uu, u32, u32, u32, u32, dp4a_lane(x, y, z, false, false))
SIM_OP3(dp4a_us, u32, u32, u32, u32, dp4a_lane(x, y, z, false, true))
SIM_OP3(dp4a_su, u32, u32, u32, u32, dp4a_lane(x, y, z, true, false))
SIM_OP3(dp4a_ss, u32, u32, u32, u32, dp4a_lane(x, y, z, true, true))
SIM_OP3(dp2a_any, u32, u32, u32, u32, dp2a_lane(x, y, z, i->flags & 1, i->flags & 2, i->flags >> 2))

static bool lower_dp(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    static sim_handler *const dp4a[2][2] = {{dp4a_uu, dp4a_us}, {dp4a_su, dp4a_ss}};
    const ptx_type x = ptx_nth_type(p, 0), y = ptx_nth_type(p, 1);
    const bool sx = x == PTX_S32, sy = y == PTX_S32;
    if ((!sx && x != PTX_U32) || (!sy && y != PTX_U32)) {
        return sim_lower_run(l, p, inst, NULL, SIM_CLASS_INT);
    }
    sim_lower_operands(l, p, inst, PTX_B32);
    inst->flags = (uint8_t)(sx + 2 * sy + 4 * ptx_has(p, "hi"));
    return sim_lower_run(l, p, inst, p->opcode[2] == '4' ? dp4a[sx][sy] : dp2a_any, SIM_CLASS_INT);
}

const sim_op SIM_NAME(sim_ops_integer)[] = {
    {"add", lower_add},     {"sub", lower_add},     {"addc", lower_addc},   {"subc", lower_addc},
    {"mul", lower_mul},     {"mad", lower_mul},     {"madc", lower_addc},   {"mul24", lower_mul24},
    {"mad24", lower_mul24}, {"div", lower_div},     {"rem", lower_rem},     {"neg", lower_neg},
    {"abs", lower_abs},     {"min", lower_min_max}, {"max", lower_min_max}, {"sad", lower_sad},
    {"popc", lower_count},  {"clz", lower_count},   {"bfind", lower_count}, {"brev", lower_brev},
    {"fns", lower_fns},     {"bfe", lower_bfe},     {"bfi", lower_bfi},     {"szext", lower_szext},
    {"bmsk", lower_bmsk},   {"dp4a", lower_dp},     {"dp2a", lower_dp},     {NULL, NULL},
};
