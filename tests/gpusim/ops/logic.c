/*
 * Bits: and .. cnot, lop3, shifts, funnel shifts, prmt, and the logic of predicates.
 */
#include "tests/gpusim/ops/arith.h"

typedef uint32_t u32;
typedef int32_t s32;
typedef uint64_t u64;
typedef int64_t s64;

/* ---- and, or, xor, not, cnot ---- */

SIM_OP2(and32, u32, u32, u32, x &y)
SIM_OP2(or32, u32, u32, u32, x | y)
SIM_OP2(xor32, u32, u32, u32, x ^ y)
SIM_OP2(and64, u64, u64, u64, x &y)
SIM_OP2(or64, u64, u64, u64, x | y)
SIM_OP2(xor64, u64, u64, u64, x ^ y)
SIM_OP1(not16, u32, u32, ~x & 0xffffu)
SIM_OP1(not32, u32, u32, ~x)
SIM_OP1(not64, u64, u64, ~x)
SIM_OP1(cnot32, u32, u32, x ? 0 : 1)
SIM_OP1(cnot64, u64, u64, x ? 0 : 1)

/* Predicates: a and b are those of psrc and the number in imm, each with its negation (flags & 1 for b). */
enum { PRED_AND, PRED_OR, PRED_XOR, PRED_COPY };

static inline sim_mask pred_first(const sim_warp *w, const sim_inst *i)
{
    const sim_mask a = w->pred[i->psrc];
    return i->psrc_negated ? ~a : a;
}

static inline sim_mask pred_second(const sim_warp *w, const sim_inst *i)
{
    const sim_mask b = w->pred[i->imm];
    return (i->flags & 1) ? ~b : b;
}

SIM_HANDLER(pred_and)
{
    sim_set_pred(w, i->pdst, mask, pred_first(w, i) & pred_second(w, i));
}
SIM_HANDLER(pred_or)
{
    sim_set_pred(w, i->pdst, mask, pred_first(w, i) | pred_second(w, i));
}
SIM_HANDLER(pred_xor)
{
    sim_set_pred(w, i->pdst, mask, pred_first(w, i) ^ pred_second(w, i));
}
SIM_HANDLER(pred_copy)
{
    sim_set_pred(w, i->pdst, mask, pred_first(w, i));
}
SIM_HANDLER(pred_constant)
{
    sim_set_pred(w, i->pdst, mask, i->imm ? SIM_ALL_LANES : 0);
}

/* and, or, xor, not, mov of .pred; an immediate second operand is 0 or -1 (nvcc writes "xor.pred %p, %p,
 * -1"). */
bool SIM_NAME(sim_lower_pred_logic)(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const char op = p->opcode[0];
    const ptx_operand *second = p->operands > 2 ? &p->operand[2] : NULL;
    inst->pdst = sim_lower_pred(l, &p->operand[0], NULL);
    if (p->operand[1].kind == PTX_OP_INTEGER) { /* mov.pred %p, 1 */
        inst->imm = p->operand[1].value != 0;
        return sim_lower_run(l, p, inst, second ? NULL : pred_constant, SIM_CLASS_INT);
    }
    inst->psrc = sim_lower_pred(l, &p->operand[1], &inst->psrc_negated);
    if (second && second->kind == PTX_OP_INTEGER) {
        const bool on = second->value != 0;
        if ((op == 'a' && !on) || (op == 'o' && on)) {
            inst->imm = on;
            return sim_lower_run(l, p, inst, pred_constant, SIM_CLASS_INT);
        }
        inst->psrc_negated ^= op == 'x' && on;
        return sim_lower_run(l, p, inst, pred_copy, SIM_CLASS_INT);
    }
    if (second) {
        inst->imm = sim_lower_pred(l, second, &inst->flags);
    }
    inst->psrc_negated ^= op == 'n';
    sim_handler *run = !second     ? pred_copy
                       : op == 'a' ? pred_and
                       : op == 'o' ? pred_or
                       : op == 'x' ? pred_xor
                                   : NULL;
    return sim_lower_run(l, p, inst, run, SIM_CLASS_INT);
}

/* Bit logic needs no masking of 16-bit values: their upper halves are zero. */
static bool lower_logic(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const ptx_type type = ptx_nth_type(p, 0);
    const bool wide = ptx_type_bytes(type) == 8;
    sim_handler *run = NULL;
    if (type == PTX_PRED) {
        return SIM_NAME(sim_lower_pred_logic)(l, p, inst);
    }
    sim_lower_operands(l, p, inst, type);
    switch (p->opcode[0]) {
    case 'a': run = wide ? and64 : and32; break;
    case 'o': run = wide ? or64 : or32; break;
    case 'x': run = wide ? xor64 : xor32; break;
    case 'n': run = wide ? not64 : ptx_type_bytes(type) == 2 ? not16 : not32; break;
    case 'c': run = wide ? cnot64 : cnot32; break;
    }
    return sim_lower_run(l, p, inst, run, SIM_CLASS_INT);
}

/* ---- lop3 ---- */

/*
 * Bit 4a+2b+c of the table is the result where the bits of the sources are a, b, c. For fixed a and b what is
 * left is one of 0, c, ~c, 1, written (c & m) ^ n; two layers of choices by b and a follow.
 */
typedef struct {
    u32 m[4], n[4];
} lop3_table;

static inline u32 lop3_lane(const lop3_table *t, u32 x, u32 y, u32 z)
{
    const u32 g0 = (z & t->m[0]) ^ t->n[0], g1 = (z & t->m[1]) ^ t->n[1];
    const u32 g2 = (z & t->m[2]) ^ t->n[2], g3 = (z & t->m[3]) ^ t->n[3];
    const u32 f0 = g0 ^ (y & (g0 ^ g1)), f1 = g2 ^ (y & (g2 ^ g3));
    return f0 ^ (x & (f0 ^ f1));
}

SIM_HANDLER(lop3)
{
    const lop3_table t = *(const lop3_table *)i->extra;
    const u32 *a = sim_u32(w, i->a), *b = sim_u32(w, i->b), *c = sim_u32(w, i->c);
    SIM_BODY(u32, , lop3_lane(&t, a[l], b[l], c[l]))
}

/* The tables that the compiler emits most. */
SIM_OP3(lop3_xor3, u32, u32, u32, u32, x ^ y ^ z)
SIM_OP3(lop3_and_or, u32, u32, u32, u32, (x & y) | z)
SIM_OP3(lop3_select, u32, u32, u32, u32, z ^ (x & (y ^ z)))
SIM_OP3(lop3_majority, u32, u32, u32, u32, (x & y) | (z & (x | y)))
SIM_OP3(lop3_or3, u32, u32, u32, u32, x | y | z)
SIM_OP3(lop3_and3, u32, u32, u32, u32, x &y &z)
SIM_OP3(lop3_and_xor, u32, u32, u32, u32, (x & y) ^ z)

/* lop3.BOOL d|p: p = (d != 0) BOOL q. d may be a sink. flags: as combine() in compare.c: 1 and, 2 or, 3 xor.
 */
SIM_HANDLER(lop3_bool)
{
    const lop3_table t = *(const lop3_table *)i->extra;
    const u32 *a = sim_u32(w, i->a), *b = sim_u32(w, i->b), *c = sim_u32(w, i->c);
    u32 r[SIM_LANES];
    SIM_EACH
    {
        r[l] = lop3_lane(&t, a[l], b[l], c[l]);
    }
    const sim_mask any = sim_mask_of(r), q = pred_first(w, i);
    if (i->dst.bank != SIM_NOTHING) {
        sim_store_u32(sim_u32(w, i->dst), r, mask);
    }
    sim_set_pred(w, i->pdst, mask, i->flags == 1 ? any & q : i->flags == 2 ? any | q : any ^ q);
}

static sim_handler *lop3_known(u32 table)
{
    switch (table) {
    case 0x96: return lop3_xor3;
    case 0xea: return lop3_and_or;
    case 0xca: return lop3_select;
    case 0xe8: return lop3_majority;
    case 0xfe: return lop3_or3;
    case 0x80: return lop3_and3;
    case 0x6a: return lop3_and_xor;
    default: return lop3;
    }
}

static const void *lop3_expand(sim_lowering *l, u32 table)
{
    lop3_table *t = sim_lower_alloc(l, sizeof *t);
    for (u32 k = 0; k < 4; k++) {
        const u32 zero = (table >> (2 * k)) & 1, one = (table >> (2 * k + 1)) & 1;
        t->m[k] = zero != one ? ~0u : 0;
        t->n[k] = zero ? ~0u : 0;
    }
    return t;
}

static bool lower_lop3(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const bool pair = p->operand[0].kind == PTX_OP_PAIR;
    const u32 table = (u32)p->operand[4].value & 255;
    const ptx_operand *dst = pair ? &p->operand[0].elements[0] : &p->operand[0];
    if (p->operand[4].kind != PTX_OP_INTEGER) {
        return sim_lower_fail(l, "%s: the table of lop3 must be a constant", p->text);
    }
    inst->dst = sim_lower_dest(l, dst, PTX_B32);
    inst->a = sim_lower_source(l, &p->operand[1], PTX_B32);
    inst->b = sim_lower_source(l, &p->operand[2], PTX_B32);
    inst->c = sim_lower_source(l, &p->operand[3], PTX_B32);
    inst->extra = lop3_expand(l, table);
    if (pair) {
        inst->pdst = sim_lower_pred(l, &p->operand[0].elements[1], NULL);
        inst->psrc = sim_lower_pred(l, &p->operand[5], &inst->psrc_negated);
        inst->flags = ptx_has(p, "and") ? 1 : ptx_has(p, "or") ? 2 : 3;
    }
    return sim_lower_run(l, p, inst, pair ? lop3_bool : lop3_known(table), SIM_CLASS_INT);
}

/* ---- shifts: counts past the width give 0, or the sign ---- */

SIM_OP2(shl16, u32, u32, u32, y > 15 ? 0 : (x << y) & 0xffffu)
SIM_OP2(shl32, u32, u32, u32, y > 31 ? 0 : x << (y & 31))
SIM_OP2(shl64, u64, u64, u32, y > 63 ? 0 : x << (y & 63))
SIM_OP2(shr_u16, u32, u32, u32, y > 15 ? 0 : x >> (y & 31))
SIM_OP2(shr_s16, u32, u32, u32, (u32)(sim_s16(x) >> (y > 15 ? 15 : y)) & 0xffffu)
SIM_OP2(shr_u32, u32, u32, u32, y > 31 ? 0 : x >> (y & 31))
SIM_OP2(shr_s32, s32, s32, u32, x >> (y > 31 ? 31 : y))
SIM_OP2(shr_u64, u64, u64, u32, y > 63 ? 0 : x >> (y & 63))
SIM_OP2(shr_s64, s64, s64, u32, x >> (y > 63 ? 63 : y))

static bool lower_shift(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const ptx_type type = ptx_nth_type(p, 0);
    const bool left = p->opcode[2] == 'l';
    sim_handler *run = NULL;
    inst->dst = sim_lower_dest(l, &p->operand[0], type);
    inst->a = sim_lower_source(l, &p->operand[1], type);
    inst->b = sim_lower_source(l, &p->operand[2], PTX_U32);
    switch (type) {
    case PTX_B16:
    case PTX_U16: run = left ? shl16 : shr_u16; break;
    case PTX_B32:
    case PTX_U32: run = left ? shl32 : shr_u32; break;
    case PTX_B64:
    case PTX_U64: run = left ? shl64 : shr_u64; break;
    case PTX_S16: run = left ? shl16 : shr_s16; break;
    case PTX_S32: run = left ? shl32 : shr_s32; break;
    case PTX_S64: run = left ? shl64 : shr_s64; break;
    default: break;
    }
    return sim_lower_run(l, p, inst, run, SIM_CLASS_INT);
}

/* Funnel shifts of y:x, x the lower word: the upper word of the left shift, the lower of the right shift. */
static inline u32 funnel_left(u32 x, u32 y, u32 n)
{
    return (y << n) | ((x >> 1) >> (31 - n));
}

static inline u32 funnel_right(u32 x, u32 y, u32 n)
{
    return (x >> n) | ((y << 1) << (31 - n));
}

SIM_OP3(shf_l_wrap, u32, u32, u32, u32, funnel_left(x, y, z & 31))
SIM_OP3(shf_r_wrap, u32, u32, u32, u32, funnel_right(x, y, z & 31))
SIM_OP3(shf_l_clamp, u32, u32, u32, u32, z > 31 ? x : funnel_left(x, y, z & 31))
SIM_OP3(shf_r_clamp, u32, u32, u32, u32, z > 31 ? y : funnel_right(x, y, z & 31))

static bool lower_shf(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    const bool left = ptx_has(p, "l"), wrap = ptx_has(p, "wrap");
    sim_lower_operands(l, p, inst, PTX_B32);
    sim_handler *run = left ? (wrap ? shf_l_wrap : shf_l_clamp) : wrap ? shf_r_wrap : shf_r_clamp;
    return sim_lower_run(l, p, inst, run, SIM_CLASS_INT);
}

/* ---- prmt ---- */

/* Byte `select & 7` of y:x; bit 3: eight copies of its sign instead. */
static inline u32 prmt_byte(u64 pair, u32 select)
{
    const u32 byte = (u32)(pair >> (8 * (select & 7))) & 255;
    return (select & 8) ? (byte & 128 ? 255 : 0) : byte;
}

static inline u32 prmt_lane(u32 x, u32 y, u32 z)
{
    const u64 pair = ((u64)y << 32) | x;
    return prmt_byte(pair, z) | (prmt_byte(pair, z >> 4) << 8) | (prmt_byte(pair, z >> 8) << 16) |
           (prmt_byte(pair, z >> 12) << 24);
}

/* The modes choose by the lowest two bits of z: as selectors of the plain mode. */
enum { PRMT_PLAIN, PRMT_F4E, PRMT_B4E, PRMT_RC8, PRMT_ECL, PRMT_ECR, PRMT_RC16, PRMT_MODES };
static const char *const prmt_name[PRMT_MODES] = {"", "f4e", "b4e", "rc8", "ecl", "ecr", "rc16"};
static const u32 prmt_select[PRMT_MODES][4] = {
    {0},
    {0x3210, 0x4321, 0x5432, 0x6543}, /* f4e: four bytes forwards from z */
    {0x5670, 0x6701, 0x7012, 0x0123}, /* b4e: backwards */
    {0x0000, 0x1111, 0x2222, 0x3333}, /* rc8: one byte, four times */
    {0x3210, 0x3211, 0x3222, 0x3333}, /* ecl: edge clamp to the left */
    {0x0000, 0x1110, 0x2210, 0x3210}, /* ecr: to the right */
    {0x1010, 0x3232, 0x1010, 0x3232}, /* rc16: one half, twice */
};

SIM_OP3(prmt_any, u32, u32, u32, u32, prmt_lane(x, y, z))
SIM_OP3(prmt_mode, u32, u32, u32, u32, prmt_lane(x, y, prmt_select[i->flags][z & 3]))

/* Selectors known and without sign: source (bit 5) and shift (0..24) of each byte stand in mods. */
SIM_HANDLER(prmt_constant)
{
    const u32 *source[2] = {sim_u32(w, i->a), sim_u32(w, i->b)};
    const u32 s = i->mods;
    const u32 *b0 = source[(s >> 5) & 1], *b1 = source[(s >> 13) & 1];
    const u32 *b2 = source[(s >> 21) & 1], *b3 = source[(s >> 29) & 1];
    const u32 n0 = s & 31, n1 = (s >> 8) & 31, n2 = (s >> 16) & 31, n3 = (s >> 24) & 31;
    SIM_BODY(u32, ,
             ((b0[l] >> n0) & 255) | (((b1[l] >> n1) & 255) << 8) | (((b2[l] >> n2) & 255) << 16) |
                 ((b3[l] >> n3) << 24))
}
SIM_OP2(prmt_low_halves, u32, u32, u32, (x & 0xffffu) | (y << 16))
SIM_OP2(prmt_high_halves, u32, u32, u32, (x >> 16) | (y & 0xffff0000u))

static sim_handler *prmt_choose(const ptx_operand *select, sim_inst *inst)
{
    if (select->kind != PTX_OP_INTEGER || (select->value & 0x8888)) {
        return prmt_any;
    }
    if ((select->value & 0xffff) == 0x5410) {
        return prmt_low_halves;
    }
    if ((select->value & 0xffff) == 0x7632) {
        return prmt_high_halves;
    }
    for (u32 k = 0; k < 4; k++) {
        const u32 n = (u32)(select->value >> (4 * k)) & 7;
        inst->mods |= (8 * (n & 3) + 32 * (n >> 2)) << (8 * k);
    }
    return prmt_constant;
}

static bool lower_prmt(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    sim_lower_operands(l, p, inst, PTX_B32);
    for (uint8_t mode = PRMT_F4E; mode < PRMT_MODES; mode++) {
        if (ptx_has(p, prmt_name[mode])) {
            inst->flags = mode;
            return sim_lower_run(l, p, inst, prmt_mode, SIM_CLASS_INT);
        }
    }
    return sim_lower_run(l, p, inst, prmt_choose(&p->operand[3], inst), SIM_CLASS_INT);
}

const sim_op SIM_NAME(sim_ops_logic)[] = {
    {"and", lower_logic},  {"or", lower_logic},  {"xor", lower_logic}, {"not", lower_logic},
    {"cnot", lower_logic}, {"lop3", lower_lop3}, {"shl", lower_shift}, {"shr", lower_shift},
    {"shf", lower_shf},    {"prmt", lower_prmt}, {NULL, NULL},
};
