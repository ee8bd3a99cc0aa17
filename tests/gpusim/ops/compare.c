/*
 * setp, set, selp, slct for every type. A comparison gives a mask of lanes; eq and lt (and le, for floats)
 * suffice: gt and ge swap the operands, and the inverse comes from a flag. combine() then makes predicates or
 * register values of it.
 */
#include "tests/gpusim/ops/arith.h"

typedef uint32_t u32;
typedef int32_t s32;
typedef uint64_t u64;
typedef int64_t s64;

/* In sim_inst.flags. */
enum { BOOL_NONE = 0, BOOL_AND = 1, BOOL_OR = 2, BOOL_XOR = 3, BOOL_OP = 3, INVERT = 4, PAIRS = 8 };

static inline sim_mask bool_op(u32 op, sim_mask a, sim_mask c)
{
    return op == BOOL_AND ? a & c : op == BOOL_OR ? a | c : op == BOOL_XOR ? a ^ c : a;
}

/* set: the lanes' registers become imm where the comparison holds, else 0. */
static void combine_to_register(sim_warp *w, const sim_inst *i, sim_mask mask, sim_mask lo, sim_mask hi)
{
    const u32 yes = (u32)i->imm, yes_hi = (i->flags & PAIRS) ? (u32)(i->imm >> 32) : 0;
    u32 r[SIM_LANES];
    SIM_EACH
    {
        r[l] = ((lo & sim_lane_bit[l]) ? yes : 0) | ((hi & sim_lane_bit[l]) ? yes_hi : 0);
    }
    sim_store_u32(sim_u32(w, i->dst), r, mask);
}

/* m: lanes where the comparison (of lower halves) holds; hi: of upper halves, for packed types. */
static inline void combine(sim_warp *w, const sim_inst *i, sim_mask mask, sim_mask m, sim_mask hi)
{
    const u32 op = i->flags & BOOL_OP;
    sim_mask c = 0;
    if (i->flags & INVERT) {
        m = ~m;
        hi = ~hi;
    }
    if (op) {
        c = w->pred[i->psrc];
        c = i->psrc_negated ? ~c : c;
    }
    if (i->dst.bank != SIM_NOTHING) {
        combine_to_register(w, i, mask, bool_op(op, m, c), bool_op(op, hi, c));
    } else {
        sim_set_pred(w, i->pdst, mask, bool_op(op, m, c));
        sim_set_pred(w, i->pdst2, mask, bool_op(op, (i->flags & PAIRS) ? hi : ~m, c));
    }
}

/* A handler that compares values of type T by EXPR of x and y. */
#define COMPARE(name, T, EXPR)                                                                               \
    SIM_HANDLER(name)                                                                                        \
    {                                                                                                        \
        const T *a = SIM_AT(const T, i->a), *b = SIM_AT(const T, i->b);                                      \
        sim_mask m = 0;                                                                                      \
        SIM_EACH                                                                                             \
        {                                                                                                    \
            const T x = a[l], y = b[l];                                                                      \
            m |= (EXPR) ? sim_lane_bit[l] : 0;                                                               \
        }                                                                                                    \
        combine(w, i, mask, m, 0);                                                                           \
    }

COMPARE(eq32, u32, x == y)
COMPARE(lt_u32, u32, x < y)
COMPARE(lt_s32, s32, x < y)
COMPARE(lt_s16, u32, sim_s16(x) < sim_s16(y))
COMPARE(eq64, u64, x == y)
COMPARE(lt_u64, u64, x < y)
COMPARE(lt_s64, s64, x < y)

/* Floats: eq, lt, le, ordered and unequal, ordered. All false for NaN. */
#define COMPARE_FLOAT(suffix, T, LOAD)                                                                       \
    COMPARE(eq_##suffix, T, LOAD(x) == LOAD(y))                                                              \
    COMPARE(lt_##suffix, T, LOAD(x) < LOAD(y))                                                               \
    COMPARE(le_##suffix, T, LOAD(x) <= LOAD(y))                                                              \
    COMPARE(lg_##suffix, T, LOAD(x) < LOAD(y) || LOAD(x) > LOAD(y))                                          \
    COMPARE(num_##suffix, T, LOAD(x) == LOAD(x) && LOAD(y) == LOAD(y))
#define SAME(x) (x)
COMPARE_FLOAT(f32, float, SAME)
COMPARE_FLOAT(f32_ftz, float, sim_flush)
COMPARE_FLOAT(f64, double, SAME)
COMPARE_FLOAT(f16, u32, sim_from_f16)
COMPARE_FLOAT(bf16, u32, sim_from_bf16)

/* .ftz of f16: its subnormals are zeros. */
static inline float from_f16_ftz(u32 h)
{
    return (h & 0x7c00u) ? sim_from_f16(h) : 0.0f;
}
COMPARE_FLOAT(f16_ftz, u32, from_f16_ftz)

/* Packed halves: both at once, decoded into floats first. mods: which comparison. */
enum { EQ, LT, LE, LG, NUM };

static sim_mask compare_floats(const float *a, const float *b, u32 how)
{
    u32 r[SIM_LANES];
    SIM_EACH
    {
        const float x = a[l], y = b[l];
        r[l] = how == EQ   ? x == y
               : how == LT ? x < y
               : how == LE ? x <= y
               : how == LG ? x < y || x > y
                           : x == x && y == y;
    }
    return sim_mask_of(r);
}

SIM_HANDLER(compare_pairs)
{
    const u32 *a = sim_u32(w, i->a), *b = sim_u32(w, i->b);
    const bool is_bf16 = i->type == PTX_BF16X2, ftz = i->mods2;
    sim_mask m[2];
    for (u32 half = 0; half < 2; half++) {
        float x[SIM_LANES], y[SIM_LANES];
        for (u32 l = 0; l < SIM_LANES; l++) {
            const u32 p = (a[l] >> (16 * half)) & 0xffff, q = (b[l] >> (16 * half)) & 0xffff;
            x[l] = is_bf16 ? sim_from_bf16(p) : ftz ? from_f16_ftz(p) : sim_from_f16(p);
            y[l] = is_bf16 ? sim_from_bf16(q) : ftz ? from_f16_ftz(q) : sim_from_f16(q);
        }
        m[half] = compare_floats(x, y, i->mods);
    }
    combine(w, i, mask, m[0], m[1]);
}

/* ---- lowering of setp and set ---- */

typedef struct {
    const char *name;
    uint8_t how; /* EQ LT LE LG NUM; of integers EQ or LT */
    bool swap, invert;
} comparison;

static const comparison integer_comparisons[] = {
    {"eq", EQ, false, false}, {"ne", EQ, false, true}, {"lt", LT, false, false}, {"gt", LT, true, false},
    {"le", LT, true, true},   {"ge", LT, false, true}, {"lo", LT, false, false}, {"hi", LT, true, false},
    {"ls", LT, true, true},   {"hs", LT, false, true}, {NULL, 0, false, false},
};
static const comparison float_comparisons[] = {
    {"eq", EQ, false, false},   {"ne", LG, false, false},  {"lt", LT, false, false}, {"gt", LT, true, false},
    {"le", LE, false, false},   {"ge", LE, true, false},   {"equ", LG, false, true}, {"neu", EQ, false, true},
    {"ltu", LE, true, true},    {"gtu", LE, false, true},  {"leu", LT, true, true},  {"geu", LT, false, true},
    {"num", NUM, false, false}, {"nan", NUM, false, true}, {NULL, 0, false, false},
};

static const comparison *find_comparison(const ptx_instruction *p, bool is_float)
{
    const comparison *c = is_float ? float_comparisons : integer_comparisons;
    while (c->name && !ptx_has(p, c->name)) {
        c++;
    }
    return c->name ? c : NULL;
}

static sim_handler *float_compare(ptx_type type, u32 how, bool ftz)
{
    static sim_handler *const f32[2][5] = {{eq_f32, lt_f32, le_f32, lg_f32, num_f32},
                                           {eq_f32_ftz, lt_f32_ftz, le_f32_ftz, lg_f32_ftz, num_f32_ftz}};
    static sim_handler *const f64[5] = {eq_f64, lt_f64, le_f64, lg_f64, num_f64};
    static sim_handler *const f16[2][5] = {{eq_f16, lt_f16, le_f16, lg_f16, num_f16},
                                           {eq_f16_ftz, lt_f16_ftz, le_f16_ftz, lg_f16_ftz, num_f16_ftz}};
    static sim_handler *const bf16[5] = {eq_bf16, lt_bf16, le_bf16, lg_bf16, num_bf16};
    switch (type) {
    case PTX_F32: return f32[ftz][how];
    case PTX_F64: return f64[how];
    case PTX_F16: return f16[ftz][how];
    case PTX_BF16: return bf16[how];
    case PTX_F16X2:
    case PTX_BF16X2: return compare_pairs;
    default: return NULL;
    }
}

static sim_handler *integer_compare(ptx_type type, u32 how, bool is_unsigned)
{
    switch (type) {
    case PTX_B16:
    case PTX_U16:
    case PTX_B32:
    case PTX_U32: return how == EQ ? eq32 : lt_u32;
    case PTX_S16: return how == EQ ? eq32 : is_unsigned ? lt_u32 : lt_s16;
    case PTX_S32: return how == EQ ? eq32 : is_unsigned ? lt_u32 : lt_s32;
    case PTX_B64:
    case PTX_U64: return how == EQ ? eq64 : lt_u64;
    case PTX_S64: return how == EQ ? eq64 : is_unsigned ? lt_u64 : lt_s64;
    default: return NULL;
    }
}

/* Operands, comparison, BoolOp and its predicate: what setp and set share. `type` is the sources'. */
static bool lower_comparison(sim_lowering *l, const ptx_instruction *p, sim_inst *inst, ptx_type type)
{
    const bool is_float = sim_is_float(type), ftz = ptx_has(p, "ftz");
    const comparison *c = find_comparison(p, is_float);
    if (!c) {
        return sim_lower_fail(l, "%s: no comparison that is known", p->text);
    }
    inst->a = sim_lower_source(l, &p->operand[c->swap ? 2 : 1], type);
    inst->b = sim_lower_source(l, &p->operand[c->swap ? 1 : 2], type);
    inst->type = (uint8_t)type;
    inst->mods = c->how;
    inst->mods2 = ftz;
    inst->flags = (uint8_t)((c->invert ? INVERT : 0) | (type == PTX_F16X2 || type == PTX_BF16X2 ? PAIRS : 0));
    if (p->operands > 3) {
        inst->psrc = sim_lower_pred(l, &p->operand[3], &inst->psrc_negated);
        inst->flags |= ptx_has(p, "and") ? BOOL_AND : ptx_has(p, "or") ? BOOL_OR : BOOL_XOR;
    }
    const bool is_unsigned = c->name[1] == 'o' || c->name[0] == 'h' || c->name[1] == 's'; /* lo hi ls hs */
    sim_handler *run =
        is_float ? float_compare(type, c->how, ftz) : integer_compare(type, c->how, is_unsigned);
    const sim_class klass = type == PTX_F64   ? SIM_CLASS_F64
                            : type == PTX_F32 ? SIM_CLASS_F32
                            : is_float        ? SIM_CLASS_F16
                                              : SIM_CLASS_INT;
    return sim_lower_run(l, p, inst, run, klass);
}

static bool lower_setp(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const bool pair = p->operand[0].kind == PTX_OP_PAIR;
    inst->pdst = sim_lower_pred(l, pair ? &p->operand[0].elements[0] : &p->operand[0], NULL);
    if (pair) {
        inst->pdst2 = sim_lower_pred(l, &p->operand[0].elements[1], NULL);
    }
    return lower_comparison(l, p, inst, ptx_nth_type(p, 0));
}

/* The value of "true" in a type of set: all ones, or one. */
static int64_t set_true(ptx_type type, bool pairs)
{
    switch (type) {
    case PTX_F32: return 0x3f800000;
    case PTX_F16: return 0x3c00;
    case PTX_BF16: return 0x3f80;
    case PTX_F16X2: return 0x3c00ll | 0x3c000000ll << 32;
    case PTX_BF16X2: return 0x3f80ll | 0x3f800000ll << 32;
    case PTX_U16:
    case PTX_S16: return 0xffff;
    default: return pairs ? 0xffffll | (int64_t)(0xffff0000ull << 32) : 0xffffffffll;
    }
}

static bool lower_set(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const ptx_type to = ptx_nth_type(p, 0), from = ptx_nth_type(p, 1);
    inst->dst = sim_lower_dest(l, &p->operand[0], to);
    inst->imm = set_true(to, from == PTX_F16X2 || from == PTX_BF16X2);
    return lower_comparison(l, p, inst, from);
}

/* ---- selp, slct ---- */

SIM_HANDLER(selp32)
{
    const u32 *a = sim_u32(w, i->a), *b = sim_u32(w, i->b);
    const sim_mask p = i->psrc_negated ? ~w->pred[i->psrc] : w->pred[i->psrc];
    SIM_BODY(u32, , (p & sim_lane_bit[l]) ? a[l] : b[l])
}
SIM_HANDLER(selp64)
{
    const u64 *a = sim_u64(w, i->a), *b = sim_u64(w, i->b);
    const sim_mask p = i->psrc_negated ? ~w->pred[i->psrc] : w->pred[i->psrc];
    SIM_BODY(u64, , (p & sim_lane_bit[l]) ? a[l] : b[l])
}

static bool lower_selp(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const ptx_type type = ptx_nth_type(p, 0);
    inst->dst = sim_lower_dest(l, &p->operand[0], type);
    inst->a = sim_lower_source(l, &p->operand[1], type);
    inst->b = sim_lower_source(l, &p->operand[2], type);
    inst->psrc = sim_lower_pred(l, &p->operand[3], &inst->psrc_negated);
    return sim_lower_run(l, p, inst, ptx_type_bytes(type) == 8 ? selp64 : selp32, SIM_CLASS_INT);
}

/* slct: a where c >= 0, else b; of a float c, -0 counts as 0 and NaN chooses b. */
SIM_OP3(slct32_s32, u32, u32, u32, s32, z >= 0 ? x : y)
SIM_OP3(slct32_f32, u32, u32, u32, float, z >= 0.0f ? x : y)
SIM_OP3(slct32_ftz, u32, u32, u32, float, sim_flush(z) >= 0.0f ? x : y)
SIM_OP3(slct64_s32, u64, u64, u64, s32, z >= 0 ? x : y)
SIM_OP3(slct64_f32, u64, u64, u64, float, z >= 0.0f ? x : y)
SIM_OP3(slct64_ftz, u64, u64, u64, float, sim_flush(z) >= 0.0f ? x : y)

static bool lower_slct(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    static sim_handler *const table[2][3] = {{slct32_s32, slct32_f32, slct32_ftz},
                                             {slct64_s32, slct64_f32, slct64_ftz}};
    const ptx_type type = ptx_nth_type(p, 0), by = ptx_nth_type(p, 1);
    inst->dst = sim_lower_dest(l, &p->operand[0], type);
    inst->a = sim_lower_source(l, &p->operand[1], type);
    inst->b = sim_lower_source(l, &p->operand[2], type);
    inst->c = sim_lower_source(l, &p->operand[3], by);
    const u32 column = by != PTX_F32 ? 0 : ptx_has(p, "ftz") ? 2 : 1;
    return sim_lower_run(l, p, inst, table[ptx_type_bytes(type) == 8][column], SIM_CLASS_INT);
}

const sim_op SIM_NAME(sim_ops_compare)[] = {
    {"setp", lower_setp}, {"set", lower_set}, {"selp", lower_selp}, {"slct", lower_slct}, {NULL, NULL},
};
