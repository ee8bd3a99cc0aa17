/*
 * Instructions between the lanes of a warp: shfl, vote, match, redux, activemask. The loop in warp.c has
 * gathered the members of a .sync form before its handler runs, so `mask` is all that take part.
 */
#include <string.h>

#include "tests/gpusim/check.h"
#include "tests/gpusim/lower.h"
#include "tests/gpusim/report.h"

/* Fills what every collective has: its kind, and the operand of the member mask. */
static void collective(sim_lowering *l, const ptx_operand *members, sim_inst *inst)
{
    inst->kind = SIM_COLLECTIVE;
    inst->klass = SIM_CLASS_WARP;
    inst->c = sim_lower_source(l, members, PTX_B32);
}

/* ---- shfl ---- */

enum { UP, DOWN, BUTTERFLY, INDEX };

/* PTX ISA, shfl.sync: the lane that `lane` reads from, and whether it lies in its segment. */
static uint32_t shuffle_source(uint32_t mode, uint32_t lane, uint32_t b, uint32_t c, bool *inside)
{
    uint32_t segment = c >> 8 & 31, clamp = c & 31, delta = b & 31;
    uint32_t most = (lane & segment) | (clamp & ~segment), least = lane & segment, from = lane;
    switch (mode) {
    case UP:
        from = lane - delta;
        *inside = (int32_t)from >= (int32_t)most;
        break;
    case DOWN:
        from = lane + delta;
        *inside = from <= most;
        break;
    case BUTTERFLY:
        from = lane ^ delta;
        *inside = from <= most;
        break;
    default:
        from = least | (delta & ~segment);
        *inside = from <= most;
        break;
    }
    return *inside ? from : lane;
}

static void shuffle(sim_warp *w, const sim_inst *i, sim_mask mask)
{
    uint32_t from[SIM_LANES], inside_mask = 0;
    const uint32_t *b = sim_u32(w, i->b), *c = sim_u32(w, sim_function_operand(w, i, 0));
    memcpy(from, sim_u32(w, i->a), sizeof from);
    uint32_t *to = i->dst.bank == SIM_NOTHING ? NULL : sim_u32(w, i->dst);
    for (sim_mask rest = mask; rest != 0; rest &= rest - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(rest);
        bool inside = false;
        uint32_t source = shuffle_source(i->mods, lane, b[lane], c[lane], &inside);
        inside_mask |= (uint32_t)inside << lane;
        if (!(mask >> source & 1)) {
            sim_report_lane(w, i, lane, SIM_SHUFFLE_INACTIVE, 0, 4, "reads lane %u, which does not take part",
                            source);
        }
        if (to != NULL) {
            to[lane] = from[source];
        }
    }
    sim_set_pred(w, i->pdst, mask, inside_mask);
}

/* shfl.sync.mode.b32 d[|p], a, b, c, membermask; shfl without .sync is gone since sm_70. */
static bool lower_shuffle(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    if (!ptx_has(ptx, "sync") || ptx->operands != 5) {
        return sim_lower_fail(l, "shfl needs .sync and five operands");
    }
    inst->mods = ptx_has(ptx, "up")     ? UP
                 : ptx_has(ptx, "down") ? DOWN
                 : ptx_has(ptx, "bfly") ? BUTTERFLY
                                        : INDEX;
    const ptx_operand *d = &ptx->operand[0];
    if (d->kind == PTX_OP_PAIR) {
        inst->pdst = sim_lower_pred(l, &d->elements[1], NULL);
        d = &d->elements[0];
    }
    inst->dst = sim_lower_dest(l, d, PTX_B32);
    inst->a = sim_lower_source(l, &ptx->operand[1], PTX_B32);
    inst->b = sim_lower_source(l, &ptx->operand[2], PTX_B32);
    sim_operand segment = sim_lower_source(l, &ptx->operand[3], PTX_B32);
    inst->list = sim_lower_list(l, &segment, 1);
    inst->count = 1;
    inst->run = shuffle;
    collective(l, &ptx->operand[4], inst);
    return true;
}

/* ---- vote ---- */

static sim_mask voted(const sim_warp *w, const sim_inst *i, sim_mask mask)
{
    return (i->psrc_negated ? ~w->pred[i->psrc] : w->pred[i->psrc]) & mask;
}

static void vote_all(sim_warp *w, const sim_inst *i, sim_mask mask)
{
    sim_set_pred(w, i->pdst, mask, voted(w, i, mask) == mask ? mask : 0);
}

static void vote_any(sim_warp *w, const sim_inst *i, sim_mask mask)
{
    sim_set_pred(w, i->pdst, mask, voted(w, i, mask) != 0 ? mask : 0);
}

static void vote_uniform(sim_warp *w, const sim_inst *i, sim_mask mask)
{
    sim_mask yes = voted(w, i, mask);
    sim_set_pred(w, i->pdst, mask, yes == 0 || yes == mask ? mask : 0);
}

static void give_all(sim_warp *w, const sim_inst *i, sim_mask mask, uint32_t value)
{
    if (i->dst.bank == SIM_NOTHING) {
        return;
    }
    uint32_t *to = sim_u32(w, i->dst);
    for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
        to[lane] = mask >> lane & 1 ? value : to[lane];
    }
}

static void vote_ballot(sim_warp *w, const sim_inst *i, sim_mask mask)
{
    give_all(w, i, mask, voted(w, i, mask));
}

/* vote.sync.mode d, [!]p, membermask: a constant predicate does not occur. */
static bool lower_vote(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    if (!ptx_has(ptx, "sync") || ptx->operands != 3) {
        return sim_lower_fail(l, "vote needs .sync and three operands");
    }
    bool ballot = ptx_has(ptx, "ballot");
    if (ballot) {
        inst->dst = sim_lower_dest(l, &ptx->operand[0], PTX_B32);
    } else {
        inst->pdst = sim_lower_pred(l, &ptx->operand[0], NULL);
    }
    inst->psrc = sim_lower_pred(l, &ptx->operand[1], &inst->psrc_negated);
    inst->run = ballot                ? vote_ballot
                : ptx_has(ptx, "all") ? vote_all
                : ptx_has(ptx, "any") ? vote_any
                                      : vote_uniform;
    collective(l, &ptx->operand[2], inst);
    return true;
}

static void active_mask(sim_warp *w, const sim_inst *i, sim_mask mask)
{
    give_all(w, i, mask, mask);
}

static bool lower_active_mask(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    inst->dst = sim_lower_dest(l, &ptx->operand[0], PTX_B32);
    inst->klass = SIM_CLASS_WARP;
    inst->run = active_mask;
    return true;
}

/* elect.sync d|p, membermask: one lane of the members, here the first. */
static void elect(sim_warp *w, const sim_inst *i, sim_mask mask)
{
    give_all(w, i, mask, (uint32_t)__builtin_ctz(mask));
    sim_set_pred(w, i->pdst, mask, mask & -mask);
}

static bool lower_elect(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    if (!ptx_has(ptx, "sync") || ptx->operands != 2 || ptx->operand[0].kind != PTX_OP_PAIR) {
        return sim_lower_fail(l, "elect is known as elect.sync d|p, membermask");
    }
    inst->dst = sim_lower_dest(l, &ptx->operand[0].elements[0], PTX_B32);
    inst->pdst = sim_lower_pred(l, &ptx->operand[0].elements[1], NULL);
    inst->run = elect;
    collective(l, &ptx->operand[1], inst);
    return true;
}

/* ---- match ---- */

static uint64_t value_of(const sim_warp *w, sim_operand o, uint32_t lane)
{
    return o.bytes == 8 ? sim_u64(w, o)[lane] : sim_u32(w, o)[lane];
}

static sim_mask equal_lanes(const sim_warp *w, sim_operand a, sim_mask mask, uint64_t value)
{
    sim_mask equal = 0;
    for (sim_mask rest = mask; rest != 0; rest &= rest - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(rest);
        equal |= (sim_mask)(value_of(w, a, lane) == value) << lane;
    }
    return equal;
}

static void match_any(sim_warp *w, const sim_inst *i, sim_mask mask)
{
    uint32_t equal[SIM_LANES], *to = sim_u32(w, i->dst);
    for (sim_mask rest = mask; rest != 0; rest &= rest - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(rest);
        equal[lane] = equal_lanes(w, i->a, mask, value_of(w, i->a, lane));
    }
    for (sim_mask rest = mask; rest != 0; rest &= rest - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(rest);
        to[lane] = equal[lane];
    }
}

static void match_all(sim_warp *w, const sim_inst *i, sim_mask mask)
{
    bool all = equal_lanes(w, i->a, mask, value_of(w, i->a, (uint32_t)__builtin_ctz(mask))) == mask;
    give_all(w, i, mask, all ? mask : 0);
    sim_set_pred(w, i->pdst, mask, all ? mask : 0);
}

/* match.any.sync.type d, a, membermask; match.all.sync.type d[|p], a, membermask */
static bool lower_match(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    ptx_type type = ptx_nth_type(ptx, 0);
    if (!ptx_has(ptx, "sync") || ptx->operands != 3 || type == PTX_NO_TYPE) {
        return sim_lower_fail(l, "match needs .sync, a type and three operands");
    }
    const ptx_operand *d = &ptx->operand[0];
    if (d->kind == PTX_OP_PAIR) {
        inst->pdst = sim_lower_pred(l, &d->elements[1], NULL);
        d = &d->elements[0];
    }
    inst->dst = sim_lower_dest(l, d, PTX_B32);
    inst->a = sim_lower_source(l, &ptx->operand[1], type);
    inst->run = ptx_has(ptx, "all") ? match_all : match_any;
    collective(l, &ptx->operand[2], inst);
    return true;
}

/* ---- redux ---- */

#define REDUX(name, type, start, step)                                                                       \
    static void redux_##name(sim_warp *w, const sim_inst *i, sim_mask mask)                                  \
    {                                                                                                        \
        const type *from = (const type *)(const void *)sim_u32(w, i->a);                                     \
        type sum = (type)(start);                                                                            \
        for (sim_mask rest = mask; rest != 0; rest &= rest - 1) {                                            \
            type x = from[__builtin_ctz(rest)];                                                              \
            sum = (type)(step);                                                                              \
        }                                                                                                    \
        give_all(w, i, mask, (uint32_t)sum);                                                                 \
    }

REDUX(add, uint32_t, 0, sum + x)
REDUX(and, uint32_t, 0xffffffffu, sum &x)
REDUX(or, uint32_t, 0, sum | x)
REDUX(xor, uint32_t, 0, sum ^ x)
REDUX(min_u32, uint32_t, UINT32_MAX, x < sum ? x : sum)
REDUX(max_u32, uint32_t, 0, x > sum ? x : sum)
REDUX(min_s32, int32_t, INT32_MAX, x < sum ? x : sum)
REDUX(max_s32, int32_t, INT32_MIN, x > sum ? x : sum)

static sim_handler *redux_of(const ptx_instruction *ptx)
{
    bool is_signed = ptx_nth_type(ptx, 0) == PTX_S32;
    return ptx_has(ptx, "add")   ? redux_add
           : ptx_has(ptx, "and") ? redux_and
           : ptx_has(ptx, "or")  ? redux_or
           : ptx_has(ptx, "xor") ? redux_xor
           : ptx_has(ptx, "min") ? (is_signed ? redux_min_s32 : redux_min_u32)
           : ptx_has(ptx, "max") ? (is_signed ? redux_max_s32 : redux_max_u32)
                                 : NULL;
}

/* redux.sync.op.type d, a, membermask; sm_80 has 32-bit integers only */
static bool lower_redux(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    ptx_type type = ptx_nth_type(ptx, 0);
    inst->run = redux_of(ptx);
    if (inst->run == NULL || ptx->operands != 3 || (type != PTX_S32 && type != PTX_U32 && type != PTX_B32)) {
        return sim_lower_fail(l, "redux is known for add, min, max, and, or, xor of u32, s32 and b32");
    }
    inst->dst = sim_lower_dest(l, &ptx->operand[0], PTX_B32);
    inst->a = sim_lower_source(l, &ptx->operand[1], PTX_B32);
    collective(l, &ptx->operand[2], inst);
    return true;
}

const sim_op SIM_NAME(sim_ops_warp)[] = {
    {"shfl", lower_shuffle},
    {"vote", lower_vote},
    {"activemask", lower_active_mask},
    {"match", lower_match},
    {"redux", lower_redux},
    {"elect", lower_elect},
    {NULL, NULL},
};
