/*
 * Video instructions: vadd, vsub, vabsdiff, vmin, vmax, vshl, vshr, vmad, vset and the forms on two halves
 * and four bytes. Operands may be parts of registers (%r1.b0, %r1.h1, %r1.b7531). Rare, so the handlers read
 * everything from a description for each lane. (nvcc 13 emits vabsdiff4 alone.)
 */
#include "tests/gpusim/ops/arith.h"

typedef enum { VADD, VSUB, VABSDIFF, VMIN, VMAX, VSHL, VSHR, VSET, VAVRG } video_op;
typedef enum { SECOND_NONE, SECOND_ADD, SECOND_MIN, SECOND_MAX, SECOND_MERGE } video_second;

typedef struct {
    video_op op;
    video_second second;
    uint8_t lanes; /* 1, 2 or 4 values in a register */
    bool a_signed, b_signed, d_signed, saturates, wraps;
    char compare[3];
    uint8_t a_part, b_part; /* of one value: bits of the part, 0: the whole register, and where it begins */
    uint8_t a_begin, b_begin;
    uint8_t d_part, d_begin;
    uint8_t a_select[4], b_select[4]; /* of 2 and 4: which of b:a's pieces stands in place n */
    uint8_t d_mask;                   /* of 2 and 4: pieces that are written */
} video_form;

static inline int64_t part_of(uint32_t x, uint32_t bits, uint32_t begin, bool is_signed)
{
    const uint32_t up = 64 - (bits ? bits : 32);
    const uint64_t top = ((uint64_t)x >> begin) << up;
    return is_signed ? (int64_t)top >> up : (int64_t)(top >> up);
}

static bool compares(const char *how, int64_t x, int64_t y)
{
    switch (how[0]) {
    case 'e': return x == y;
    case 'n': return x != y;
    case 'l': return how[1] == 't' ? x < y : x <= y;
    default: return how[1] == 't' ? x > y : x >= y;
    }
}

/* vshl, vshr: counts past 31 are cut to 32 (.clamp) or taken modulo 32 (.wrap). */
static int64_t shifted(const video_form *f, int64_t x, int64_t y)
{
    const uint32_t given = (uint32_t)y, count = f->wraps ? given & 31 : given > 32 ? 32 : given;
    return f->op == VSHR ? x >> count : (int64_t)((uint64_t)x << count);
}

static int64_t first_result(const video_form *f, int64_t x, int64_t y)
{
    switch (f->op) {
    case VADD: return x + y;
    case VSUB: return x - y;
    case VABSDIFF: return x > y ? x - y : y - x;
    case VMIN: return x < y ? x : y;
    case VMAX: return x > y ? x : y;
    case VSET: return compares(f->compare, x, y);
    case VAVRG: return (x + y + (x + y >= 0)) >> 1; /* halves go away from zero */
    default: return shifted(f, x, y);
    }
}

/* To `bits` bits of the destination's sign: saturated, or cut and extended. */
static int64_t fitted(int64_t v, uint32_t bits, bool is_signed, bool saturates)
{
    const int64_t high = is_signed ? (1ll << (bits - 1)) - 1 : (1ll << bits) - 1,
                  low = is_signed ? -high - 1 : 0;
    if (saturates) {
        return v < low ? low : v > high ? high : v;
    }
    return part_of((uint32_t)v, bits, 0, is_signed);
}

static uint32_t combined(const video_form *f, int64_t v, uint32_t c)
{
    const int64_t other = f->d_signed ? (int32_t)c : (int64_t)c;
    switch (f->second) {
    case SECOND_ADD: return (uint32_t)v + c;
    case SECOND_MIN: return (uint32_t)(v < other ? v : other);
    case SECOND_MAX: return (uint32_t)(v > other ? v : other);
    default: return (uint32_t)v;
    }
}

static uint32_t one_lane(const video_form *f, uint32_t a, uint32_t b, uint32_t c)
{
    const int64_t x = part_of(a, f->a_part, f->a_begin, f->a_signed);
    const int64_t y = part_of(b, f->b_part, f->b_begin, f->b_signed);
    const uint32_t bits = f->d_part ? f->d_part : 32;
    const int64_t v = fitted(first_result(f, x, y), bits, f->d_signed, f->saturates);
    if (f->second == SECOND_MERGE) {
        const uint32_t here = (bits == 32 ? ~0u : (1u << bits) - 1) << f->d_begin;
        return (((uint32_t)v << f->d_begin) & here) | (c & ~here);
    }
    return combined(f, v, c);
}

/* Two halves or four bytes; with .add the results of the pieces written are added to c, else they replace
 * c's. */
static uint32_t pieces(const video_form *f, uint32_t a, uint32_t b, uint32_t c)
{
    const uint32_t bits = 32 / f->lanes;
    uint32_t r = c;
    for (uint32_t n = 0; n < f->lanes; n++) {
        const uint32_t ones = ((1u << bits) - 1) << (bits * n);
        const uint32_t sa = f->a_select[n], sb = f->b_select[n];
        const int64_t x = part_of(sa < f->lanes ? a : b, bits, bits * (sa % f->lanes), f->a_signed);
        const int64_t y = part_of(sb < f->lanes ? a : b, bits, bits * (sb % f->lanes), f->b_signed);
        if (!(f->d_mask & (1u << n))) {
            continue;
        }
        const int64_t v = first_result(f, x, y);
        if (f->second == SECOND_ADD) {
            r += (uint32_t)fitted(v, bits + 1, f->d_signed, false);
        } else {
            r = (r & ~ones) | (((uint32_t)fitted(v, bits, f->d_signed, f->saturates) << (bits * n)) & ones);
        }
    }
    return r;
}

SIM_HANDLER(video)
{
    const video_form *f = i->extra;
    const uint32_t *a = sim_u32(w, i->a), *b = sim_u32(w, i->b);
    const uint32_t *c = i->c.bank == SIM_NOTHING ? NULL : sim_u32(w, i->c);
    uint32_t r[SIM_LANES];
    for (uint32_t l = 0; l < SIM_LANES; l++) {
        const uint32_t z = c ? c[l] : 0;
        r[l] = f->lanes == 1 ? one_lane(f, a[l], b[l], z) : pieces(f, a[l], b[l], z);
    }
    sim_store_u32(sim_u32(w, i->dst), r, mask);
}

/* vmad: d = (±(a * b) ± c [+ 1]) >> scale, 64 bits wide inside. flags: 1 -product, 2 -c, 4 +1, 8 .shr7, 16
 * .shr15. */
SIM_HANDLER(video_mad)
{
    const video_form *f = i->extra;
    const uint32_t *a = sim_u32(w, i->a), *b = sim_u32(w, i->b), *c = sim_u32(w, i->c);
    const bool c_signed = f->a_signed || f->b_signed, is_signed = f->d_signed;
    const uint32_t scale = (i->flags & 8) ? 7 : (i->flags & 16) ? 15 : 0;
    uint32_t r[SIM_LANES];
    for (uint32_t l = 0; l < SIM_LANES; l++) {
        const __int128 x = part_of(a[l], f->a_part, f->a_begin, f->a_signed);
        const __int128 y = part_of(b[l], f->b_part, f->b_begin, f->b_signed);
        __int128 product = x * y, addend = c_signed ? (int32_t)c[l] : (int64_t)c[l];
        product = (i->flags & 1) ? -product : product;
        addend = (i->flags & 2) ? -addend : addend;
        const __int128 sum = (product + addend + ((i->flags & 4) ? 1 : 0)) >> scale;
        const __int128 high = is_signed ? INT32_MAX : UINT32_MAX, low = is_signed ? INT32_MIN : 0;
        r[l] = (uint32_t)(!f->saturates ? sum : sum < low ? low : sum > high ? high : sum);
    }
    sim_store_u32(sim_u32(w, i->dst), r, mask);
}

/* ---- lowering ---- */

/* "b0".."b3", "h0", "h1" of an operand. */
static bool read_part(const ptx_operand *o, uint8_t *bits, uint8_t *begin)
{
    const char *name = o->kind == PTX_OP_REGISTER ? o->name : NULL;
    if (!name) {
        return true;
    }
    *bits = name[0] == 'b' ? 8 : 16;
    *begin = (uint8_t)(*bits * (name[1] - '0'));
    return (name[0] == 'b' || name[0] == 'h') && name[1] >= '0' && name[2] == '\0' && *begin < 32;
}

/* ".h10", ".b7531": places from the highest one down; 0 .. lanes-1 are a's pieces, the next ones b's. */
static bool read_selection(const ptx_operand *o, uint32_t lanes, uint32_t first, uint8_t *select)
{
    const char *name = o->kind == PTX_OP_REGISTER ? o->name : NULL;
    for (uint32_t n = 0; n < 4; n++) {
        select[n] = (uint8_t)(first + n);
    }
    if (!name) {
        return true;
    }
    if (strlen(name) != lanes + 1 || name[0] != (lanes == 2 ? 'h' : 'b')) {
        return false;
    }
    for (uint32_t n = 0; n < lanes; n++) {
        const uint32_t digit = (uint32_t)(name[lanes - n] - '0');
        if (digit >= 2 * lanes) {
            return false;
        }
        select[n] = (uint8_t)digit;
    }
    return true;
}

/* d's mask: ".h0", ".h10", ".b0", ".b320", ...: the pieces named. */
static bool read_mask(const ptx_operand *o, uint32_t lanes, uint8_t *mask)
{
    const char *name = o->kind == PTX_OP_REGISTER ? o->name : NULL;
    *mask = (uint8_t)(name ? 0 : (1u << lanes) - 1);
    for (const char *at = name ? name + 1 : ""; *at; at++) {
        if (*at < '0' || *at >= '0' + (int)lanes) {
            return false;
        }
        *mask |= (uint8_t)(1u << (*at - '0'));
    }
    return true;
}

static bool find_op(const char *opcode, video_form *f)
{
    static const struct {
        const char *name;
        video_op op;
    } ops[] = {{"vadd", VADD}, {"vsub", VSUB}, {"vabsdiff", VABSDIFF}, {"vmin", VMIN},  {"vmax", VMAX},
               {"vshl", VSHL}, {"vshr", VSHR}, {"vset", VSET},         {"vavrg", VAVRG}};
    for (size_t n = 0; n < sizeof ops / sizeof *ops; n++) {
        const size_t length = strlen(ops[n].name);
        if (strncmp(opcode, ops[n].name, length) == 0) {
            f->op = ops[n].op;
            f->lanes = opcode[length] == '2' ? 2 : opcode[length] == '4' ? 4 : 1;
            return true;
        }
    }
    return false;
}

/* Types: d, a, b (vset has no d: it gives 0 or 1). */
static void read_form(const ptx_instruction *p, video_form *f)
{
    static const char *const compare[] = {"eq", "ne", "lt", "le", "gt", "ge"};
    const uint32_t first = f->op == VSET ? 0 : 1;
    f->a_signed = ptx_nth_type(p, first) == PTX_S32;
    f->b_signed = ptx_nth_type(p, first + 1) == PTX_S32;
    f->d_signed = f->op != VSET && ptx_nth_type(p, 0) == PTX_S32;
    f->saturates = ptx_has(p, "sat");
    f->wraps = ptx_has(p, "wrap");
    for (size_t n = 0; n < sizeof compare / sizeof *compare; n++) {
        if (ptx_has(p, compare[n])) {
            memcpy(f->compare, compare[n], 3);
        }
    }
    f->second = ptx_has(p, "add")   ? SECOND_ADD
                : ptx_has(p, "min") ? SECOND_MIN
                : ptx_has(p, "max") ? SECOND_MAX
                                    : SECOND_NONE;
}

static bool lower_video(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    video_form *f = sim_lower_alloc(l, sizeof *f);
    bool ok = true;
    memset(f, 0, sizeof *f);
    if (!find_op(p->opcode, f)) {
        return sim_lower_run(l, p, inst, NULL, SIM_CLASS_INT);
    }
    read_form(p, f);
    sim_lower_operands(l, p, inst, PTX_U32);
    if (f->lanes == 1) {
        ok = read_part(&p->operand[0], &f->d_part, &f->d_begin) &&
             read_part(&p->operand[1], &f->a_part, &f->a_begin) &&
             read_part(&p->operand[2], &f->b_part, &f->b_begin);
        f->second = f->second == SECOND_NONE && p->operands > 3 ? SECOND_MERGE : f->second;
    } else {
        ok = read_mask(&p->operand[0], f->lanes, &f->d_mask) &&
             read_selection(&p->operand[1], f->lanes, 0, f->a_select) &&
             read_selection(&p->operand[2], f->lanes, f->lanes, f->b_select);
    }
    inst->extra = f;
    return sim_lower_run(l, p, inst, ok ? video : NULL, SIM_CLASS_INT);
}

static bool lower_vmad(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    video_form *f = sim_lower_alloc(l, sizeof *f);
    memset(f, 0, sizeof *f);
    read_form(p, f);
    sim_lower_operands(l, p, inst, PTX_U32);
    const bool ok = read_part(&p->operand[1], &f->a_part, &f->a_begin) &&
                    read_part(&p->operand[2], &f->b_part, &f->b_begin);
    const bool minus_a = p->operand[1].negated, minus_b = p->operand[2].negated, plus_one = ptx_has(p, "po");
    inst->flags =
        (uint8_t)((minus_a != minus_b ? 1 : 0) | (p->operand[3].negated ? 2 : 0) | (plus_one ? 4 : 0) |
                  (ptx_has(p, "shr7") ? 8 : 0) | (ptx_has(p, "shr15") ? 16 : 0));
    inst->extra = f;
    return sim_lower_run(l, p, inst, ok ? video_mad : NULL, SIM_CLASS_INT);
}

#define ROW(name)                                                                                            \
    {name, lower_video}, {name "2", lower_video},                                                            \
    {                                                                                                        \
        name "4", lower_video                                                                                \
    }
const sim_op SIM_NAME(sim_ops_video)[] = {
    ROW("vadd"),
    ROW("vsub"),
    ROW("vabsdiff"),
    ROW("vmin"),
    ROW("vmax"),
    ROW("vset"),
    {"vshl", lower_video},
    {"vshr", lower_video},
    {"vmad", lower_vmad},
    {"vavrg2", lower_video},
    {"vavrg4", lower_video},
    {NULL, NULL},
};
