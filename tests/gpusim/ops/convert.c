/*
 * cvt and mov. The pairs of types that compilers emit all the time have handlers of their own; every other
 * form of cvt goes through wide lanes: integers as int64_t (with a flag for u64), floats as double, where
 * each conversion is one rounding or exact.
 *
 * cvt's registers may be wider than its types: sources are cut, results extended to the register by their
 * sign.
 */
#include "tests/gpusim/ops/arith_round.h"

typedef uint32_t u32;
typedef int32_t s32;
typedef uint64_t u64;
typedef int64_t s64;

/* More of sim_inst.mods than arith.h's: rounding to integers, and properties of the operands. */
enum {
    TO_INTEGER = 1 << 8,  /* .rni .rzi .rmi .rpi; which one: the rounding field */
    WIDE_SOURCE = 1 << 9, /* the source's array has 8-byte lanes */
    CLAMP = 1 << 10,      /* .sat of integers */
    FINITE = 1 << 11,     /* .satfinite */
};

/* ---- integers by way of int64_t ---- */

static void load_integers(const sim_warp *w, const sim_inst *i, s64 *v)
{
    const u32 *a = sim_u32(w, i->a);
    const u64 *wide = sim_u64(w, i->a);
    for (u32 l = 0; l < SIM_LANES; l++) {
        const u64 x = (i->mods & WIDE_SOURCE) ? wide[l] : a[l];
        switch (i->type2) {
        case PTX_U8:
        case PTX_B8: v[l] = (uint8_t)x; break;
        case PTX_S8: v[l] = (int8_t)x; break;
        case PTX_U16:
        case PTX_B16: v[l] = (uint16_t)x; break;
        case PTX_S16: v[l] = (int16_t)x; break;
        case PTX_U32:
        case PTX_B32: v[l] = (uint32_t)x; break;
        case PTX_S32: v[l] = (int32_t)x; break;
        default: v[l] = (s64)x; break;
        }
    }
}

/* Limits of an integer type; of u64 the upper one is given as INT64_MAX. */
static void integer_limits(u32 type, s64 *low, s64 *high)
{
    switch (type) {
    case PTX_U8: *low = 0, *high = UINT8_MAX; break;
    case PTX_S8: *low = INT8_MIN, *high = INT8_MAX; break;
    case PTX_U16: *low = 0, *high = UINT16_MAX; break;
    case PTX_S16: *low = INT16_MIN, *high = INT16_MAX; break;
    case PTX_U32: *low = 0, *high = UINT32_MAX; break;
    case PTX_S32: *low = INT32_MIN, *high = INT32_MAX; break;
    case PTX_U64: *low = 0, *high = INT64_MAX; break;
    default: *low = INT64_MIN, *high = INT64_MAX; break;
    }
}

/* Cuts to the destination's type, extends to its register (mods2 bytes) and stores. */
static void store_integers(sim_warp *w, const sim_inst *i, sim_mask mask, s64 *v)
{
    u32 r[SIM_LANES];
    for (u32 l = 0; l < SIM_LANES; l++) {
        switch (i->type) {
        case PTX_U8:
        case PTX_B8: v[l] = (uint8_t)v[l]; break;
        case PTX_S8: v[l] = (int8_t)v[l]; break;
        case PTX_U16:
        case PTX_B16: v[l] = (uint16_t)v[l]; break;
        case PTX_S16: v[l] = (int16_t)v[l]; break;
        case PTX_U32:
        case PTX_B32: v[l] = (uint32_t)v[l]; break;
        case PTX_S32: v[l] = (int32_t)v[l]; break;
        default: break;
        }
        r[l] = i->mods2 == 4 ? (u32)v[l] : i->mods2 == 2 ? (uint16_t)v[l] : (uint8_t)v[l];
    }
    if (i->mods2 == 8) {
        sim_store_u64(sim_u64(w, i->dst), (const u64 *)v, mask);
    } else {
        sim_store_u32(sim_u32(w, i->dst), r, mask);
    }
}

SIM_HANDLER(int_to_int)
{
    s64 v[SIM_LANES], low, high;
    load_integers(w, i, v);
    if (i->mods & CLAMP) {
        integer_limits(i->type, &low, &high);
        for (u32 l = 0; l < SIM_LANES; l++) {
            if (i->type2 == PTX_U64 && v[l] < 0) { /* above every signed limit */
                v[l] = i->type == PTX_U64 ? v[l] : high;
            } else {
                v[l] = v[l] < low ? low : v[l] > high ? high : v[l];
            }
        }
    }
    store_integers(w, i, mask, v);
}

/* ---- floats by way of double ---- */

static void load_doubles(const sim_warp *w, const sim_inst *i, double *v)
{
    const u32 *a = sim_u32(w, i->a);
    const bool ftz = i->mods & SIM_FTZ;
    for (u32 l = 0; l < SIM_LANES; l++) {
        switch (i->type2) {
        case PTX_F16: v[l] = sim_from_f16(a[l] & 0xffff); break;
        case PTX_BF16: v[l] = sim_from_bf16(a[l] & 0xffff); break;
        case PTX_F32: v[l] = ftz ? sim_flush(sim_float(a[l])) : sim_float(a[l]); break;
        default: v[l] = sim_f64(w, i->a)[l]; break;
        }
    }
}

static inline double round_to_integer(double x, u32 mode)
{
    switch (mode & SIM_ROUNDING) {
    case SIM_RZ: return __builtin_trunc(x);
    case SIM_RM: return __builtin_floor(x);
    case SIM_RP: return __builtin_ceil(x);
    default: return __builtin_rint(x);
    }
}

/* f32 with the host's rounding, then .ftz, .sat, NaN. */
static void store_as_f32(sim_warp *w, const sim_inst *i, sim_mask mask, const double *v)
{
    float r[SIM_LANES];
    const u32 before = sim_rounding_set((i->mods & TO_INTEGER) ? 0 : i->mods);
    SIM_FENCE(v);
    for (u32 l = 0; l < SIM_LANES; l++) {
        r[l] = (float)v[l];
    }
    SIM_FENCE(r);
    sim_rounding_reset(before);
    for (u32 l = 0; l < SIM_LANES; l++) {
        const float f = (i->mods & SIM_FTZ) ? sim_flush(r[l]) : r[l];
        r[l] = (i->mods & SIM_SAT) ? sim_saturate(f) : sim_nan(f);
    }
    sim_store_u32(sim_u32(w, i->dst), (const u32 *)(const void *)r, mask);
}

/* .relu: below zero becomes +0; NaN stays. */
static inline float relu(float f)
{
    return f > 0.0f || f != f ? f : 0.0f;
}

/* One f32 to the bits of f16 or bf16 with the instruction's modifiers. */
static inline u32 to_half(float f, ptx_type type, u32 mods)
{
    const u32 mode = (mods & TO_INTEGER) ? SIM_RN : mods & SIM_ROUNDING;
    f = (mods & SIM_RELU) ? relu(f) : f;
    f = (mods & SIM_SAT) ? sim_saturate(f) : f;
    const bool is_bf16 = type == PTX_BF16 || type == PTX_BF16X2;
    const u32 r = is_bf16 ? sim_to_bf16_mode(f, mode) : sim_to_f16_mode(f, mode);
    return (mods & FINITE) && (r & 0x7fff) == (is_bf16 ? 0x7f80 : 0x7c00) ? r - 1 : r;
}

static void store_doubles(sim_warp *w, const sim_inst *i, sim_mask mask, double *v)
{
    u32 r[SIM_LANES];
    if (i->type == PTX_F32) {
        store_as_f32(w, i, mask, v);
        return;
    }
    if (i->type == PTX_F64) {
        for (u32 l = 0; l < SIM_LANES && (i->mods & SIM_SAT); l++) {
            v[l] = v[l] > 0.0 ? (v[l] < 1.0 ? v[l] : 1.0) : 0.0;
        }
        sim_store_u64(sim_u64(w, i->dst), (const u64 *)(const void *)v, mask);
        return;
    }
    for (u32 l = 0; l < SIM_LANES; l++) {
        r[l] = to_half(sim_odd_float(v[l]), (ptx_type)i->type, i->mods);
    }
    sim_store_u32(sim_u32(w, i->dst), r, mask);
}

SIM_HANDLER(float_to_float)
{
    double v[SIM_LANES];
    load_doubles(w, i, v);
    if (i->mods & TO_INTEGER) {
        for (u32 l = 0; l < SIM_LANES; l++) {
            v[l] = round_to_integer(v[l], i->mods);
        }
    }
    store_doubles(w, i, mask, v);
}

/*
 * Out of range gives the nearest limit. NaN gives 0, but 1 << (bits - 1) where the source is f64 or the
 * result has 64 bits.
 */
static s64 double_to_integer(double x, u32 type, bool is_f64)
{
    s64 low, high;
    integer_limits(type, &low, &high);
    if (x != x) {
        const u32 bits = 8 * ptx_type_bytes((ptx_type)type);
        return is_f64 || bits == 64 ? (s64)(1ull << (bits - 1)) : 0;
    }
    if (type == PTX_U64) {
        return x <= 0.0 ? 0 : x >= 0x1p64 ? -1 : (s64)(u64)x;
    }
    return x <= (double)low ? low : x >= (double)high ? high : (s64)x;
}

SIM_HANDLER(float_to_int)
{
    double v[SIM_LANES];
    s64 r[SIM_LANES];
    load_doubles(w, i, v);
    for (u32 l = 0; l < SIM_LANES; l++) {
        r[l] = double_to_integer(round_to_integer(v[l], i->mods), i->type, i->type2 == PTX_F64);
    }
    store_integers(w, i, mask, r);
}

/* A double that rounds to 22 bits or less as v does: exact below 2^53, then odd in the last bit kept. */
static double odd_double(s64 v, bool is_unsigned)
{
    const bool minus = !is_unsigned && v < 0;
    u64 m = minus ? 0 - (u64)v : (u64)v;
    if (m >> 53) {
        m = (m & ~0x7ffull) | ((m & 0x7ff) ? 0x800 : 0);
    }
    return minus ? -(double)m : (double)m;
}

SIM_HANDLER(int_to_float)
{
    s64 v[SIM_LANES];
    const bool is_unsigned = i->type2 == PTX_U64;
    load_integers(w, i, v);
    if (i->type == PTX_F16 || i->type == PTX_BF16) {
        double d[SIM_LANES];
        for (u32 l = 0; l < SIM_LANES; l++) {
            d[l] = odd_double(v[l], is_unsigned);
        }
        store_doubles(w, i, mask, d);
        return;
    }
    float f[SIM_LANES];
    double d[SIM_LANES];
    const u32 before = sim_rounding_set(i->mods);
    SIM_FENCE(v);
    for (u32 l = 0; l < SIM_LANES; l++) {
        f[l] = is_unsigned ? (float)(u64)v[l] : (float)v[l];
        d[l] = is_unsigned ? (double)(u64)v[l] : (double)v[l];
    }
    SIM_FENCE(f);
    SIM_FENCE(d);
    sim_rounding_reset(before);
    if (i->type == PTX_F64) {
        sim_store_u64(sim_u64(w, i->dst), (const u64 *)(const void *)d, mask);
        return;
    }
    for (u32 l = 0; l < SIM_LANES; l++) {
        f[l] = (i->mods & SIM_SAT) ? sim_saturate(f[l]) : f[l];
    }
    sim_store_u32(sim_u32(w, i->dst), (const u32 *)(const void *)f, mask);
}

/* ---- common pairs ---- */

SIM_OP1(copy32, u32, u32, x)
SIM_OP1(copy64, u64, u64, x)
SIM_OP1(u8_from_any, u32, u32, x & 0xffu)
SIM_OP1(u16_from_any, u32, u32, x & 0xffffu)
SIM_OP1(s32_from_s8, s32, u32, (int8_t)x)
SIM_OP1(s32_from_s16, s32, u32, (int16_t)x)
SIM_OP1(s16_from_s8, u32, u32, (u32)(int8_t)x & 0xffffu)
SIM_OP1(u64_from_u32, u64, u32, x)
SIM_OP1(s64_from_s32, s64, s32, x)
SIM_OP1(u32_from_u64, u32, u64, x)

SIM_OP1(f32_from_s32, float, s32, x)
SIM_OP1(f32_from_u32, float, u32, (float)(s32)(x >> 16) * 65536.0f + (float)(s32)(x & 0xffffu))
SIM_OP1(f32_from_u16, float, u32, (float)(s32)(x & 0xffffu))
SIM_OP1(f32_from_s16, float, u32, (float)sim_s16(x))
SIM_OP1(f32_from_u8, float, u32, (float)(s32)(x & 0xffu))
SIM_OP1(f32_from_s8, float, u32, (float)(int8_t)x)
SIM_OP1(f64_from_s32, double, s32, x)
SIM_OP1(f64_from_u32, double, u32, x)
SIM_OP1(f64_from_f32, double, float, x)
SIM_OP1(f32_from_f64, float, double, sim_nan((float)x))
SIM_OP1(f32_from_f16, float, u32, sim_nan(sim_from_f16(x)))
SIM_OP1(f32_from_bf16, float, u32, sim_nan(sim_from_bf16(x)))
SIM_OP1(f16_from_f32, u32, float, sim_to_f16(x))
SIM_OP1(bf16_from_f32, u32, float, sim_to_bf16(x))
SIM_OP1(f32_rint, float, float, sim_nan(__builtin_rintf(x)))
SIM_OP1(f32_trunc, float, float, sim_nan(__builtin_truncf(x)))
SIM_OP1(f32_floor, float, float, sim_nan(__builtin_floorf(x)))
SIM_OP1(f32_ceil, float, float, sim_nan(__builtin_ceilf(x)))

/* x is integral. NaN becomes 0. */
static inline s32 s32_lane(float x)
{
    const bool fits = x > -0x1p31f && x < 0x1p31f;
    const s32 r = (s32)(fits ? x : 0.0f);
    return fits || x != x ? r : x > 0.0f ? INT32_MAX : INT32_MIN;
}

static inline u32 u32_lane(float x)
{
    const bool upper = x >= 0x1p31f;
    const float rest = upper ? x - 0x1p31f : x;
    const u32 r = (u32)(s32)(rest > 0.0f && rest < 0x1p31f ? rest : 0.0f);
    return x >= 0x1p32f ? UINT32_MAX : upper ? r | 0x80000000u : r;
}

SIM_OP1(s32_rint, s32, float, s32_lane(__builtin_rintf(x)))
SIM_OP1(s32_trunc, s32, float, s32_lane(__builtin_truncf(x)))
SIM_OP1(s32_floor, s32, float, s32_lane(__builtin_floorf(x)))
SIM_OP1(s32_ceil, s32, float, s32_lane(__builtin_ceilf(x)))
SIM_OP1(u32_rint, u32, float, u32_lane(__builtin_rintf(x)))
SIM_OP1(u32_trunc, u32, float, u32_lane(__builtin_truncf(x)))
SIM_OP1(u32_floor, u32, float, u32_lane(__builtin_floorf(x)))
SIM_OP1(u32_ceil, u32, float, u32_lane(__builtin_ceilf(x)))

/* Two f32 to a pair: the first source goes to the upper half. */
SIM_OP2(f16x2_from_f32, u32, float, float, (sim_to_f16(x) << 16) | sim_to_f16(y))
SIM_OP2(bf16x2_from_f32, u32, float, float, (sim_to_bf16(x) << 16) | sim_to_bf16(y))
SIM_OP2(pair_from_f32, u32, float, float,
        (to_half(x, (ptx_type)i->type, i->mods) << 16) | to_half(y, (ptx_type)i->type, i->mods))

/* tf32 keeps 10 bits of fraction. .rna: halves go away from zero; .rn: to even; .relu; NaN to 0x7fffffff. */
static inline u32 tf32_lane(float x, u32 mods, bool away)
{
    const float f = (mods & SIM_RELU) ? relu(x) : x;
    const u32 bits = sim_bits(f), half = away ? 0x1000u : 0xfffu + ((bits >> 13) & 1);
    const u32 r = (mods & SIM_ROUNDING) == SIM_RZ ? bits : bits + half;
    const u32 t = (bits & 0x7f800000u) == 0x7f800000u ? bits : r & ~0x1fffu;
    const bool cut = (mods & FINITE) && (t & 0x7fffffffu) == 0x7f800000u;
    return f != f ? 0x7fffffffu : cut ? t - 0x2000u : t;
}
SIM_OP1(tf32_from_f32, u32, float, tf32_lane(x, i->mods, i->flags))

/* ---- lowering of cvt ---- */

typedef struct {
    uint8_t to, from;
    u32 mods;
    sim_handler *run;
} conversion;

#define TI(mode) (TO_INTEGER | (mode))
static const conversion conversions[] = {
    {PTX_F32, PTX_S32, SIM_RN, f32_from_s32},  {PTX_F32, PTX_U32, SIM_RN, f32_from_u32},
    {PTX_F32, PTX_U16, SIM_RN, f32_from_u16},  {PTX_F32, PTX_S16, SIM_RN, f32_from_s16},
    {PTX_F32, PTX_U8, SIM_RN, f32_from_u8},    {PTX_F32, PTX_S8, SIM_RN, f32_from_s8},
    {PTX_F64, PTX_S32, SIM_RN, f64_from_s32},  {PTX_F64, PTX_U32, SIM_RN, f64_from_u32},
    {PTX_F64, PTX_F32, SIM_RN, f64_from_f32},  {PTX_F32, PTX_F64, SIM_RN, f32_from_f64},
    {PTX_F32, PTX_F16, SIM_RN, f32_from_f16},  {PTX_F32, PTX_BF16, SIM_RN, f32_from_bf16},
    {PTX_F16, PTX_F32, SIM_RN, f16_from_f32},  {PTX_BF16, PTX_F32, SIM_RN, bf16_from_f32},
    {PTX_F32, PTX_F32, TI(SIM_RN), f32_rint},  {PTX_F32, PTX_F32, TI(SIM_RZ), f32_trunc},
    {PTX_F32, PTX_F32, TI(SIM_RM), f32_floor}, {PTX_F32, PTX_F32, TI(SIM_RP), f32_ceil},
    {PTX_S32, PTX_F32, TI(SIM_RN), s32_rint},  {PTX_S32, PTX_F32, TI(SIM_RZ), s32_trunc},
    {PTX_S32, PTX_F32, TI(SIM_RM), s32_floor}, {PTX_S32, PTX_F32, TI(SIM_RP), s32_ceil},
    {PTX_U32, PTX_F32, TI(SIM_RN), u32_rint},  {PTX_U32, PTX_F32, TI(SIM_RZ), u32_trunc},
    {PTX_U32, PTX_F32, TI(SIM_RM), u32_floor}, {PTX_U32, PTX_F32, TI(SIM_RP), u32_ceil},
};

static bool is_unsigned_type(ptx_type t)
{
    return t == PTX_U8 || t == PTX_U16 || t == PTX_U32 || t == PTX_U64;
}

/* Integer to integer without .sat: by the widths of what is kept and of the register that receives it. */
static sim_handler *short_int(ptx_type to, ptx_type from, u32 to_bytes)
{
    const u32 kept_to = ptx_type_bytes(to), kept_from = ptx_type_bytes(from);
    const ptx_type kept =
        kept_from < kept_to ? from : to; /* the narrower one decides the bits, its sign the rest */
    if (to_bytes == 8) {
        return kept_to != 8 || kept_from != 4 ? NULL : from == PTX_U32 ? u64_from_u32 : s64_from_s32;
    }
    if (is_unsigned_type(kept) || ptx_type_bytes(kept) == to_bytes) {
        return ptx_type_bytes(kept) == 1 ? u8_from_any : ptx_type_bytes(kept) == 2 ? u16_from_any : copy32;
    }
    if (kept_from < kept_to && is_unsigned_type(to) && kept_to != to_bytes) {
        return NULL;
    }
    if (to_bytes == 4) {
        return kept == PTX_S8 ? s32_from_s8 : kept == PTX_S16 ? s32_from_s16 : NULL;
    }
    return to_bytes == 2 && kept == PTX_S8 ? s16_from_s8 : NULL;
}

static u32 cvt_mods(const ptx_instruction *p)
{
    static const char *const name[4] = {"rni", "rzi", "rmi", "rpi"};
    u32 mods = sim_float_mods(p) | (ptx_has(p, "satfinite") ? FINITE : 0);
    for (u32 mode = 0; mode < 4; mode++) {
        if (ptx_has(p, name[mode])) {
            mods |= TO_INTEGER | mode;
        }
    }
    return mods;
}

static sim_handler *choose_cvt(const sim_inst *inst, ptx_type to, ptx_type from)
{
    const bool to_float = sim_is_float(to), from_float = sim_is_float(from);
    const u32 narrow = to_float || inst->mods2 == ptx_type_bytes(to);
    for (size_t n = 0; narrow && n < sizeof conversions / sizeof conversions[0]; n++) {
        const conversion *c = &conversions[n];
        if (c->to == to && c->from == from && c->mods == inst->mods) {
            return c->run;
        }
    }
    if (!to_float && !from_float) {
        const bool takes_low_word = ptx_type_bytes(from) >= 4 && ptx_type_bytes(to) == 4;
        if (inst->mods == WIDE_SOURCE && inst->mods2 == 4 && takes_low_word) {
            return u32_from_u64;
        }
        sim_handler *run = inst->mods == 0 ? short_int(to, from, inst->mods2) : NULL;
        return run ? run : int_to_int;
    }
    return to_float && from_float ? float_to_float : to_float ? int_to_float : float_to_int;
}

static u32 register_bytes(const ptx_operand *o, ptx_type type)
{
    const u32 bytes = o->kind == PTX_OP_REGISTER ? ptx_type_bytes(o->reg->type) : 0;
    return bytes ? bytes : ptx_type_bytes(type);
}

/* f32 to a pair of halves, or to tf32. */
static bool lower_cvt_pair(sim_lowering *l, const ptx_instruction *p, sim_inst *inst, ptx_type to)
{
    inst->dst = sim_lower_dest(l, &p->operand[0], PTX_B32);
    inst->a = sim_lower_source(l, &p->operand[1], PTX_F32);
    inst->mods = cvt_mods(p);
    inst->type = (uint8_t)to;
    if (to == PTX_TF32) {
        inst->flags = ptx_has(p, "rna");
        return sim_lower_run(l, p, inst, tf32_from_f32, SIM_CLASS_CVT);
    }
    inst->b = sim_lower_source(l, &p->operand[2], PTX_F32);
    sim_handler *nearest = to == PTX_F16X2 ? f16x2_from_f32 : bf16x2_from_f32;
    return sim_lower_run(l, p, inst, inst->mods ? pair_from_f32 : nearest, SIM_CLASS_CVT);
}

static bool lower_cvt_pack(sim_lowering *l, const ptx_instruction *p, sim_inst *inst);
static bool lower_cvt_e8(sim_lowering *l, const ptx_instruction *p, sim_inst *inst, ptx_type to,
                         ptx_type from);

static bool lower_cvt(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const ptx_type to = ptx_nth_type(p, 0), from = ptx_nth_type(p, 1);
    if (ptx_has(p, "pack")) {
        return lower_cvt_pack(l, p, inst);
    }
    if (to == PTX_E4M3X2 || to == PTX_E5M2X2 || from == PTX_E4M3X2 || from == PTX_E5M2X2) {
        return lower_cvt_e8(l, p, inst, to, from);
    }
    if ((to == PTX_F16X2 || to == PTX_BF16X2 || to == PTX_TF32) && from == PTX_F32) {
        return lower_cvt_pair(l, p, inst, to);
    }
    if (from == PTX_NO_TYPE ||
        sim_is_float(to) != (to == PTX_F16 || to == PTX_BF16 || to == PTX_F32 || to == PTX_F64)) {
        return sim_lower_run(l, p, inst, NULL, SIM_CLASS_CVT);
    }
    inst->dst = sim_lower_dest(l, &p->operand[0], to);
    inst->a = sim_lower_source(l, &p->operand[1], from);
    inst->type = (uint8_t)to;
    inst->type2 = (uint8_t)from;
    inst->mods = cvt_mods(p);
    inst->mods2 = (uint8_t)register_bytes(&p->operand[0], to);
    if (!sim_is_float(to)) {
        const bool clamp = (inst->mods & SIM_SAT) && !sim_is_float(from); /* from floats it is the rule */
        inst->mods = (inst->mods & ~(u32)SIM_SAT) | (clamp ? CLAMP : 0);
        inst->mods |= !sim_is_float(from) && register_bytes(&p->operand[1], from) == 8 ? WIDE_SOURCE : 0;
    } else if (!sim_is_float(from)) {
        inst->mods |= register_bytes(&p->operand[1], from) == 8 ? WIDE_SOURCE : 0;
    }
    return sim_lower_run(l, p, inst, choose_cvt(inst, to, from), SIM_CLASS_CVT);
}

/* ---- cvt.pack ---- */

/* d = (c << 2n) | (sat(a) << n) | sat(b) with n bits a value; without c the rest is 0. */
SIM_HANDLER(pack)
{
    const s32 *a = SIM_AT(const s32, i->a), *b = SIM_AT(const s32, i->b);
    const u32 bits = i->mods2, ones = (1u << bits) - 1;
    const bool is_signed = i->flags & 1, has_c = i->flags & 2;
    const u32 *c = has_c ? sim_u32(w, i->c) : NULL;
    const s32 high = is_signed ? (s32)(ones >> 1) : (s32)ones, low = is_signed ? -high - 1 : 0;
    u32 r[SIM_LANES];
    for (u32 l = 0; l < SIM_LANES; l++) {
        const s32 x = a[l] < low ? low : a[l] > high ? high : a[l];
        const s32 y = b[l] < low ? low : b[l] > high ? high : b[l];
        const u32 rest = has_c && bits < 16 ? c[l] << (2 * bits) : 0;
        r[l] = rest | (((u32)x & ones) << bits) | ((u32)y & ones);
    }
    sim_store_u32(sim_u32(w, i->dst), r, mask);
}

static bool lower_cvt_pack(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    static const struct {
        const char *name;
        uint8_t bits;
    } form[] = {{"u16", 16}, {"s16", 16}, {"u8", 8}, {"s8", 8}, {"u4", 4}, {"s4", 4}, {"u2", 2}, {"s2", 2}};
    sim_lower_operands(l, p, inst, PTX_B32);
    for (size_t n = 0; n < sizeof form / sizeof form[0]; n++) {
        if (ptx_has(p, form[n].name)) {
            inst->mods2 = form[n].bits;
            inst->flags = (uint8_t)((form[n].name[0] == 's') | (p->operands > 3 ? 2 : 0));
        }
    }
    return sim_lower_run(l, p, inst, inst->mods2 ? pack : NULL, SIM_CLASS_CVT);
}

/* ---- 8-bit floats, in pairs ---- */

/* e4m3 has no infinities: 0x7f is its NaN, 448 the largest number. e5m2 is the upper half of an f16. */
static float from_e4m3(u32 byte)
{
    const u32 e = (byte >> 3) & 15, m = byte & 7;
    const float magnitude = e == 15 && m == 7 ? sim_float(0x7fffffffu)
                            : e == 0          ? (float)m * 0x1p-9f
                                              : sim_float(((e + 120) << 23) | (m << 20));
    return (byte & 128) ? -magnitude : magnitude;
}

/* To nearest even; beyond the largest number to it (satfinite, the only form that PTX has). */
static u32 to_e8(float f, bool is_e5m2)
{
    const u32 sign = (sim_bits(f) >> 24) & 128, fraction = is_e5m2 ? 2 : 3;
    const float magnitude = __builtin_fabsf(f), top = is_e5m2 ? 57344.0f : 448.0f;
    const int32_t least = is_e5m2 ? -14 : -6; /* exponent of the smallest normal number */
    if (f != f) {
        return 0x7f;
    }
    if (magnitude >= top) {
        return sign | (is_e5m2 ? 0x7b : 0x7e);
    }
    int32_t e = (int32_t)(sim_bits(magnitude) >> 23) - 127;
    e = e < least ? least : e;
    const float unit = sim_float((u32)(e - (int32_t)fraction + 127) << 23);
    const u32 steps = (u32)__builtin_rintf(magnitude / unit); /* exact quotient of a power of two */
    return sign | (steps + ((u32)(e - least) << fraction));
}

SIM_HANDLER(e8_from_pair)
{
    const u32 *a = sim_u32(w, i->a), *b = sim_u32(w, i->type2 == PTX_F32 ? i->b : i->a);
    const bool is_e5m2 = i->type == PTX_E5M2X2;
    u32 r[SIM_LANES];
    for (u32 l = 0; l < SIM_LANES; l++) {
        const bool is_f32 = i->type2 == PTX_F32;
        float x = is_f32 ? sim_float(a[l]) : sim_from_f16(a[l] >> 16);
        float y = is_f32 ? sim_float(b[l]) : sim_from_f16(b[l] & 0xffff);
        x = (i->mods & SIM_RELU) ? relu(x) : x;
        y = (i->mods & SIM_RELU) ? relu(y) : y;
        r[l] = (to_e8(x, is_e5m2) << 8) | to_e8(y, is_e5m2);
    }
    sim_store_u32(sim_u32(w, i->dst), r, mask);
}

SIM_HANDLER(f16x2_from_e8)
{
    const u32 *a = sim_u32(w, i->a);
    u32 r[SIM_LANES];
    for (u32 l = 0; l < SIM_LANES; l++) {
        for (u32 half = 0; half < 2; half++) {
            const u32 byte = (a[l] >> (8 * half)) & 255;
            const float f = i->type2 == PTX_E5M2X2 ? sim_from_f16(byte << 8) : from_e4m3(byte);
            const u32 h = sim_to_f16((i->mods & SIM_RELU) ? relu(f) : f);
            r[l] = half ? r[l] | (h << 16) : h;
        }
    }
    sim_store_u32(sim_u32(w, i->dst), r, mask);
}

static bool lower_cvt_e8(sim_lowering *l, const ptx_instruction *p, sim_inst *inst, ptx_type to,
                         ptx_type from)
{
    const bool decodes = from == PTX_E4M3X2 || from == PTX_E5M2X2;
    inst->dst = sim_lower_dest(l, &p->operand[0], decodes ? PTX_B32 : PTX_B16);
    inst->a = sim_lower_source(l, &p->operand[1], decodes ? PTX_B16 : PTX_B32);
    inst->type = (uint8_t)to;
    inst->type2 = (uint8_t)from;
    inst->mods = cvt_mods(p);
    if (decodes) {
        return sim_lower_run(l, p, inst, to == PTX_F16X2 ? f16x2_from_e8 : NULL, SIM_CLASS_CVT);
    }
    if (from == PTX_F32) {
        inst->b = sim_lower_source(l, &p->operand[2], PTX_F32);
    }
    return sim_lower_run(l, p, inst, from == PTX_F32 || from == PTX_F16X2 ? e8_from_pair : NULL,
                         SIM_CLASS_CVT);
}

/* ---- mov ---- */

SIM_OP2(pack_b16, u32, u32, u32, (x & 0xffffu) | (y << 16))
SIM_OP2(pack_b32, u64, u32, u32, x | ((u64)y << 32))

/* Any number of elements of mods2 bits from the list, the first one lowest. */
SIM_HANDLER(pack_list)
{
    const sim_operand *element = &w->frame->function->operands[i->list];
    const u64 ones = (1ull << i->mods2) - 1;
    u64 v[SIM_LANES] = {0};
    u32 r[SIM_LANES];
    for (u32 n = 0; n < i->count; n++) {
        const u32 *a = sim_u32(w, element[n]);
        for (u32 l = 0; l < SIM_LANES; l++) {
            v[l] |= (a[l] & ones) << (i->mods2 * n);
        }
    }
    if (i->dst.bytes == 8) {
        sim_store_u64(sim_u64(w, i->dst), v, mask);
        return;
    }
    for (u32 l = 0; l < SIM_LANES; l++) {
        r[l] = (u32)v[l];
    }
    sim_store_u32(sim_u32(w, i->dst), r, mask);
}

/* The opposite: the source is read first, since an element may lie in its slots. */
SIM_HANDLER(unpack_list)
{
    const sim_operand *element = &w->frame->function->operands[i->list];
    const u64 ones = (1ull << i->mods2) - 1;
    u64 v[SIM_LANES];
    u32 r[SIM_LANES];
    for (u32 l = 0; l < SIM_LANES; l++) {
        v[l] = (i->mods & WIDE_SOURCE) ? sim_u64(w, i->a)[l] : sim_u32(w, i->a)[l];
    }
    for (u32 n = 0; n < i->count; n++) {
        if (element[n].bank == SIM_NOTHING) {
            continue;
        }
        for (u32 l = 0; l < SIM_LANES; l++) {
            r[l] = (u32)((v[l] >> (i->mods2 * n)) & ones);
        }
        sim_store_u32(sim_u32(w, element[n]), r, mask);
    }
}

/* mov.b64 {lo, hi}, a: the commonest one. */
SIM_HANDLER(unpack_b32)
{
    const u64 *a = sim_u64(w, i->a);
    u32 lo[SIM_LANES], hi[SIM_LANES];
    SIM_EACH
    {
        lo[l] = (u32)a[l];
        hi[l] = (u32)(a[l] >> 32);
    }
    sim_store_u32(sim_u32(w, i->dst), lo, mask);
    sim_store_u32(sim_u32(w, w->frame->function->operands[i->list]), hi, mask);
}

/* Address of a variable in the frame's .local: an offset in the local window. */
SIM_HANDLER(address_of_local)
{
    u64 r[SIM_LANES];
    u32 narrow[SIM_LANES];
    SIM_EACH
    {
        r[l] = w->frame->local_base + (u64)i->imm;
        narrow[l] = w->frame->local_base + (u32)i->imm;
    }
    if (i->flags) {
        sim_store_u64(sim_u64(w, i->dst), r, mask);
    } else {
        sim_store_u32(sim_u32(w, i->dst), narrow, mask);
    }
}

static bool lower_mov_symbol(sim_lowering *l, const ptx_instruction *p, sim_inst *inst, ptx_type type)
{
    sim_address_kind kind = SIM_ADDRESS_PLAIN;
    const bool wide = ptx_type_bytes(type) == 8;
    if (sim_lower_function(l, p->operand[1].name)) {
        inst->a = sim_lower_source(l, &p->operand[1], type);
        return sim_lower_run(l, p, inst, wide ? copy64 : copy32, SIM_CLASS_MOVE);
    }
    inst->a = sim_lower_address(l, &p->operand[1], &inst->imm, &kind);
    if (kind == SIM_ADDRESS_FRAME_LOCAL) {
        inst->flags = wide;
        return sim_lower_run(l, p, inst, address_of_local, SIM_CLASS_MOVE);
    }
    if (inst->a.bank == SIM_NOTHING) { /* .param: the offset in the parameter block, or the frame's memory */
        inst->a = sim_lower_constant(l, (u64)inst->imm, wide ? 8 : 4);
    } else {
        inst->a = sim_lower_source(l, &p->operand[1], wide ? PTX_U64 : PTX_U32);
    }
    return sim_lower_run(l, p, inst, wide ? copy64 : copy32, SIM_CLASS_MOVE);
}

/* {a, b} = c and c = {a, b}: n elements of the whole's bytes / n. */
static bool lower_mov_vector(sim_lowering *l, const ptx_instruction *p, sim_inst *inst, ptx_type type)
{
    static const ptx_type part_type[9] = {[1] = PTX_B8, [2] = PTX_B16, [4] = PTX_B32};
    const bool unpacks = p->operand[0].kind == PTX_OP_VECTOR;
    const ptx_operand *vector = &p->operand[unpacks ? 0 : 1];
    const u32 whole = ptx_type_bytes(type), count = vector->count, bytes = count ? whole / count : 0;
    sim_operand part[8];
    if (whole > 8 || bytes == 0 || bytes > 4 || count > 8 || bytes * count != whole) {
        return sim_lower_run(l, p, inst, NULL, SIM_CLASS_MOVE);
    }
    for (u32 n = 0; n < count; n++) {
        const ptx_operand *o = &vector->elements[n];
        part[n] = unpacks ? sim_lower_dest(l, o, part_type[bytes]) : sim_lower_source(l, o, part_type[bytes]);
    }
    inst->mods2 = (uint8_t)(8 * bytes);
    inst->mods = whole == 8 ? WIDE_SOURCE : 0;
    inst->count = count;
    if (unpacks) {
        inst->a = sim_lower_source(l, &p->operand[1], type);
        if (whole == 8 && count == 2 && part[0].bank == SIM_REG && part[1].bank == SIM_REG) {
            inst->dst = part[0];
            inst->list = sim_lower_list(l, &part[1], 1);
            inst->count = 1;
            return sim_lower_run(l, p, inst, unpack_b32, SIM_CLASS_MOVE);
        }
        inst->list = sim_lower_list(l, part, count);
        return sim_lower_run(l, p, inst, unpack_list, SIM_CLASS_MOVE);
    }
    inst->dst = sim_lower_dest(l, &p->operand[0], type);
    if (count == 2 && bytes >= 2) {
        inst->a = part[0];
        inst->b = part[1];
        return sim_lower_run(l, p, inst, bytes == 4 ? pack_b32 : pack_b16, SIM_CLASS_MOVE);
    }
    inst->list = sim_lower_list(l, part, count);
    return sim_lower_run(l, p, inst, pack_list, SIM_CLASS_MOVE);
}

static bool lower_mov(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const ptx_type type = ptx_nth_type(p, 0);
    const bool wide = ptx_type_bytes(type) == 8;
    if (type == PTX_PRED) {
        return SIM_NAME(sim_lower_pred_logic)(l, p, inst);
    }
    if (p->operand[0].kind == PTX_OP_VECTOR || p->operand[1].kind == PTX_OP_VECTOR) {
        return lower_mov_vector(l, p, inst, type);
    }
    if (p->operand[1].kind == PTX_OP_SPECIAL && sim_special_slot(p->operand[1].name) == SIM_SPECIALS) {
        return SIM_NAME(sim_lower_special)(l, p, inst);
    }
    inst->dst = sim_lower_dest(l, &p->operand[0], type);
    if (p->operand[1].kind == PTX_OP_SYMBOL) {
        return lower_mov_symbol(l, p, inst, type);
    }
    inst->a = sim_lower_source(l, &p->operand[1], type);
    if (wide && p->operand[1].kind == PTX_OP_SPECIAL) {
        return sim_lower_run(l, p, inst, u64_from_u32, SIM_CLASS_MOVE);
    }
    sim_handler *run = wide ? copy64 : ptx_type_bytes(type) == 2 ? u16_from_any : copy32;
    return sim_lower_run(l, p, inst, ptx_type_bytes(type) > 8 ? NULL : run, SIM_CLASS_MOVE);
}

const sim_op SIM_NAME(sim_ops_convert)[] = {{"cvt", lower_cvt}, {"mov", lower_mov}, {NULL, NULL}};
