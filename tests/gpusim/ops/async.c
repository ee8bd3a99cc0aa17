/*
 * cp.async and mbarrier. Without checks a copy lands when it is issued and the waits do nothing; under the
 * checkers it is pending until some moment before its wait (check_async.c).
 */
#include "tests/gpusim/ops/access.h"

/* ---- cp.async ---- */

typedef struct {
    sim_access to; /* first; the shared side */
    sim_access from;
    int64_t from_imm;
    uint16_t ignore; /* predicate: the source is not read */
    uint8_t ignore_negated;
} async_copy;

/* How many bytes of the source each lane reads: src-size, at most the copy's own. */
static void source_bytes(sim_warp *w, const sim_inst *inst, uint8_t bytes[SIM_LANES])
{
    const async_copy *copy = inst->extra;
    const uint8_t total = copy->to.total;
    const sim_mask ignored = copy->ignore == SIM_NO_PRED ? 0
                             : copy->ignore_negated      ? ~w->pred[copy->ignore]
                                                         : w->pred[copy->ignore];
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        const uint32_t asked = inst->c.bank == SIM_NOTHING ? total : sim_u32(w, inst->c)[i];
        bytes[i] = ignored >> i & 1 ? 0 : (uint8_t)(asked < total ? asked : total);
    }
}

/* Lanes that read only a part of their source, one by one: no byte beyond is touched. */
static bool look_at_parts(sim_warp *w, const sim_inst *inst, sim_mask mask, const uint64_t from[SIM_LANES],
                          const uint8_t bytes[SIM_LANES])
{
    const async_copy *copy = inst->extra;
    for (sim_mask rest = mask; rest; rest &= rest - 1) {
        const uint32_t lane = sim_first_lane(rest);
        uint64_t one[SIM_LANES];
        sim_reach reach;
        sim_access part = copy->from;
        sim_access_size(&part, 1, bytes[lane]);
        for (uint32_t i = 0; i < SIM_LANES; i++) {
            one[i] = from[lane];
        }
        if (!sim_reach_global(w, inst, 1u << lane, one, part.total, false, &reach)) {
            return false;
        }
        sim_look(w, inst, &part, SIM_SPACE_GLOBAL, 1u << lane, one, NULL);
    }
    return true;
}

/* Bounds and checks of the source. */
static bool look_at_source(sim_warp *w, const sim_inst *inst, sim_mask mask, const uint64_t from[SIM_LANES],
                           const uint8_t bytes[SIM_LANES])
{
    const async_copy *copy = inst->extra;
    sim_mask whole = 0, part = 0;
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        whole |= (sim_mask)(bytes[i] == copy->to.total) << i;
        part |= (sim_mask)(bytes[i] != copy->to.total && bytes[i] != 0) << i;
    }
    whole &= mask;
    if (whole) {
        uint64_t a[SIM_LANES];
        sim_reach reach;
        for (uint32_t i = 0; i < SIM_LANES; i++) {
            a[i] = whole >> i & 1 ? from[i] : from[sim_first_lane(whole)];
        }
        if (!sim_reach_space(w, inst, &copy->from, SIM_SPACE_GLOBAL, whole, a, &reach)) {
            return false;
        }
        sim_look(w, inst, &copy->from, SIM_SPACE_GLOBAL, whole, a, NULL);
    }
    return look_at_parts(w, inst, part & mask, from, bytes);
}

static void cp_async(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    const async_copy *copy = inst->extra;
    uint64_t to[SIM_LANES], from[SIM_LANES];
    uint8_t bytes[SIM_LANES];
    sim_reach reach;
    sim_addresses(w, inst, mask, to);
    sim_operand_addresses(w, inst->b, copy->from_imm, mask, from);
    source_bytes(w, inst, bytes);
    if (!look_at_source(w, inst, mask, from, bytes) ||
        !sim_reach_space(w, inst, &copy->to, SIM_SPACE_SHARED, mask, to, &reach)) {
        return;
    }
    if (copy->to.is_counted) {
        sim_count_shared(w, inst, &copy->to, mask, to);
    }
    if (copy->to.is_checked) {
        sim_async_issue(w, inst, &copy->to, mask, to, from, bytes);
        return;
    }
    for (sim_mask rest = mask; rest; rest &= rest - 1) {
        const uint32_t lane = sim_first_lane(rest);
        if (bytes[lane] == copy->to.total) {
            memcpy(reach.host[lane], sim_memory_host(from[lane]), copy->to.total);
        } else {
            memset(reach.host[lane], 0, copy->to.total);
            memcpy(reach.host[lane], sim_memory_host(from[lane]), bytes[lane]);
        }
    }
}

static void commit_group(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    (void)inst;
    if (w->check) {
        sim_async_commit(w, mask);
    }
}

static void wait_group(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    if (w->check) {
        sim_async_wait(w, mask, (uint32_t)inst->imm);
    }
}

static void wait_all(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    (void)inst;
    if (w->check) {
        sim_async_wait_all(w, mask);
    }
}

/* ---- mbarrier: one 64-bit word in shared memory ---- */

/* bits 0..19 arrivals still pending, 20..39 arrivals of a phase, 40..60 bytes still expected, 63 the phase's
 * parity */
#define COUNT_BITS 20
#define COUNT_MASK 0xfffffull
#define TX_SHIFT 40
#define TX_MASK 0x1fffffull
#define PHASE (1ull << 63)

typedef enum {
    MB_INIT,
    MB_INVAL,
    MB_ARRIVE,
    MB_DROP,
    MB_TEST_WAIT,
    MB_TEST_PARITY,
    MB_PENDING,
    MB_EXPECT_TX,
    MB_COMPLETE_TX,
    MB_ARRIVE_TX
} mbarrier_op;

static uint64_t pending(uint64_t word)
{
    return word & COUNT_MASK;
}

static uint64_t with_pending(uint64_t word, uint64_t count)
{
    return (word & ~COUNT_MASK) | (count & COUNT_MASK);
}

static uint64_t add_expected(uint64_t word, uint64_t change)
{
    const uint64_t expected = ((word >> COUNT_BITS) + change) & COUNT_MASK;
    return (word & ~(COUNT_MASK << COUNT_BITS)) | expected << COUNT_BITS;
}

static uint64_t add_tx(uint64_t word, uint64_t change)
{
    const uint64_t tx = ((word >> TX_SHIFT) + change) & TX_MASK;
    return (word & ~(TX_MASK << TX_SHIFT)) | tx << TX_SHIFT;
}

/* The next phase begins when nothing is pending any more. */
static uint64_t settle(uint64_t word)
{
    if (pending(word) == 0 && (word >> TX_SHIFT & TX_MASK) == 0) {
        return with_pending(word ^ PHASE, word >> COUNT_BITS);
    }
    return word;
}

static uint64_t arrive(uint64_t word, uint64_t count)
{
    return settle(with_pending(word, pending(word) - count));
}

static uint32_t lane32(const sim_warp *w, sim_operand o, uint32_t lane, uint32_t otherwise)
{
    return o.bank == SIM_NOTHING ? otherwise : sim_u32(w, o)[lane];
}

static uint64_t changed(mbarrier_op op, uint64_t word, uint64_t count)
{
    switch (op) {
    case MB_INIT: return count | count << COUNT_BITS;
    case MB_INVAL: return 0;
    case MB_ARRIVE: return arrive(word, count);
    case MB_DROP: return arrive(add_expected(word, -count), count);
    case MB_EXPECT_TX: return add_tx(word, count);
    case MB_COMPLETE_TX: return settle(add_tx(word, -count));
    case MB_ARRIVE_TX: return arrive(add_tx(word, count), 1);
    default: return word;
    }
}

/* Where the barriers of the lanes are, checked as an access of their 8 bytes. */
static bool reach_mbarrier(sim_warp *w, const sim_inst *inst, sim_mask mask, uint64_t a[SIM_LANES],
                           sim_reach *reach)
{
    const sim_access *acc = inst->extra;
    sim_space space = SIM_SPACE_SHARED;
    uint64_t given[SIM_LANES];
    sim_addresses(w, inst, mask, given);
    memcpy(a, given, sizeof given);
    if (acc->space == SIM_SPACE_GENERIC) {
        sim_one_space(mask, given, a, &space);
    }
    if (space != SIM_SPACE_SHARED) {
        sim_trap(w, SIM_ERROR_INVALID_ADDRESS_SPACE);
        return false;
    }
    if (!sim_reach_space(w, inst, acc, space, mask, a, reach)) {
        return false;
    }
    if (acc->is_checked) {
        sim_check_shared(w, inst, acc, mask, a, NULL);
    }
    return true;
}

static void mbarrier_change(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    const sim_access *acc = inst->extra;
    const mbarrier_op op = inst->mods;
    const bool arrives = op == MB_ARRIVE || op == MB_DROP || op == MB_ARRIVE_TX;
    uint64_t a[SIM_LANES];
    sim_reach reach;
    if (!reach_mbarrier(w, inst, mask, a, &reach)) {
        return;
    }
    for (sim_mask rest = mask; rest; rest &= rest - 1) {
        const uint32_t lane = sim_first_lane(rest);
        uint64_t word;
        memcpy(&word, reach.host[lane], 8);
        if (inst->dst.bank != SIM_NOTHING) {
            sim_u64(w, inst->dst)[lane] = word;
        }
        word = changed(op, word, lane32(w, inst->b, lane, 1));
        memcpy(reach.host[lane], &word, 8);
        if (arrives && acc->is_checked) {
            sim_check_release(w, 1u << lane, SIM_SPACE_SHARED, a[lane]);
        }
    }
}

static void mbarrier_wait(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    const sim_access *acc = inst->extra;
    uint64_t a[SIM_LANES];
    sim_reach reach;
    sim_mask done = 0;
    if (!reach_mbarrier(w, inst, mask, a, &reach)) {
        return;
    }
    for (sim_mask rest = mask; rest; rest &= rest - 1) {
        const uint32_t lane = sim_first_lane(rest);
        uint64_t word;
        memcpy(&word, reach.host[lane], 8);
        const uint64_t waited = inst->mods == MB_TEST_PARITY ? (uint64_t)(sim_u32(w, inst->b)[lane] & 1) << 63
                                                             : sim_u64(w, inst->b)[lane] & PHASE;
        if ((word & PHASE) == waited) {
            continue;
        }
        done |= 1u << lane;
        if (acc->is_checked) {
            sim_check_acquire(w, 1u << lane, SIM_SPACE_SHARED, a[lane]);
        }
    }
    if (done != mask) {
        w->budget = 0; /* others have to arrive first */
    }
    sim_set_pred(w, inst->pdst, mask, done);
}

static void mbarrier_pending(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    const uint64_t *state = sim_u64(w, inst->a);
    uint32_t value[SIM_LANES];
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        value[i] = (uint32_t)pending(state[i]);
    }
    sim_put32(w, inst->dst, mask, value);
}

/* The arrival that follows the lane's copies: they have landed, so it is made at once. */
static void cp_async_arrive(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    if (w->check) {
        sim_async_wait_all(w, mask);
    }
    if (inst->mods == MB_ARRIVE) {
        mbarrier_change(w, inst, mask);
        return;
    }
    /* Without .noinc the pending count goes up by one first: nothing changes in the end, but the release. */
    uint64_t a[SIM_LANES];
    sim_reach reach;
    const sim_access *acc = inst->extra;
    if (reach_mbarrier(w, inst, mask, a, &reach) && acc->is_checked) {
        for (sim_mask rest = mask; rest; rest &= rest - 1) {
            sim_check_release(w, rest & -rest, SIM_SPACE_SHARED, a[sim_first_lane(rest)]);
        }
    }
}

/* ---- lowering ---- */

static void use(sim_inst *inst, sim_handler *run, sim_class klass)
{
    inst->run = run;
    inst->klass = (uint8_t)klass;
}

/* The operands behind the size: src-size, ignore-src, cache-policy (64 bits, no matter here). */
static void lower_copy_rest(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst, async_copy *copy)
{
    const ptx_operand *fourth = ptx->operands > 3 ? &ptx->operand[3] : NULL;
    if (!fourth) {
        return;
    }
    if (fourth->kind == PTX_OP_REGISTER && fourth->reg->type == PTX_PRED) {
        copy->ignore = sim_lower_pred(l, fourth, &copy->ignore_negated);
    } else if (fourth->kind != PTX_OP_REGISTER || ptx_type_bytes(fourth->reg->type) == 4) {
        inst->c = sim_lower_source(l, fourth, PTX_U32);
    }
}

static bool lower_copy(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    sim_address_kind kind;
    const uint64_t size =
        ptx->operands > 2 && ptx->operand[2].kind == PTX_OP_INTEGER ? ptx->operand[2].value : 0;
    if ((size != 4 && size != 8 && size != 16) || (ptx_has(ptx, "cg") && size != 16)) {
        return sim_lower_fail(l, "%s: copies are of 4, 8 or 16 bytes, .cg of 16", ptx->text);
    }
    async_copy *copy = sim_lower_alloc(l, sizeof *copy);
    memset(copy, 0, sizeof *copy);
    copy->to = *sim_access_new(l, ptx, SIM_SPACE_SHARED, SIM_WRITES);
    copy->from = copy->to;
    copy->from.space = SIM_SPACE_GLOBAL;
    copy->from.kind = SIM_READS;
    copy->ignore = SIM_NO_PRED;
    sim_access_size(&copy->to, (uint32_t)size, 1);
    sim_access_size(&copy->from, (uint32_t)size, 1);
    sim_access_address(l, &ptx->operand[0], inst, &copy->to);
    inst->b = sim_lower_address(l, &ptx->operand[1], &copy->from_imm, &kind);
    lower_copy_rest(l, ptx, inst, copy);
    use(inst, cp_async, SIM_CLASS_ASYNC);
    return true;
}

static sim_access *lower_barrier_address(sim_lowering *l, const ptx_instruction *ptx, uint32_t operand,
                                         sim_inst *inst, sim_access_kind kind)
{
    sim_access *acc = sim_access_new(l, ptx, sim_access_space(ptx), kind);
    sim_access_size(acc, 8, 1);
    acc->is_strong = true;
    sim_access_address(l, &ptx->operand[operand], inst, acc);
    return acc;
}

static bool lower_cp(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    if (!ptx_has(ptx, "async") || ptx_has(ptx, "bulk")) {
        return sim_lower_fail(l, "%s: not an instruction of sm_80", ptx->text);
    }
    if (ptx_has(ptx, "mbarrier")) {
        lower_barrier_address(l, ptx, 0, inst, SIM_READS | SIM_WRITES);
        inst->mods = ptx_has(ptx, "noinc") ? MB_ARRIVE : MB_PENDING;
        use(inst, cp_async_arrive, SIM_CLASS_ASYNC);
    } else if (ptx_has(ptx, "commit_group")) {
        use(inst, commit_group, SIM_CLASS_ASYNC);
    } else if (ptx_has(ptx, "wait_group")) {
        inst->imm = (int64_t)ptx->operand[0].value;
        use(inst, wait_group, SIM_CLASS_ASYNC);
    } else if (ptx_has(ptx, "wait_all")) {
        use(inst, wait_all, SIM_CLASS_ASYNC);
    } else {
        return lower_copy(l, ptx, inst);
    }
    return true;
}

/* mbarrier.arrive and arrive_drop: state or _ , [address] and perhaps a count or the bytes of expect_tx. */
static bool lower_arrive(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst, mbarrier_op op)
{
    const uint32_t at = ptx->operand[0].kind == PTX_OP_ADDRESS ? 0 : 1;
    lower_barrier_address(l, ptx, at, inst, SIM_READS | SIM_WRITES);
    if (at == 1) {
        inst->dst = sim_lower_dest(l, &ptx->operand[0], PTX_B64);
    }
    if (ptx->operands > at + 1) {
        inst->b = sim_lower_source(l, &ptx->operand[at + 1], PTX_U32);
    }
    inst->mods = op;
    use(inst, mbarrier_change, SIM_CLASS_BARRIER);
    return true;
}

static bool lower_wait(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    const bool parity = ptx_has(ptx, "parity");
    lower_barrier_address(l, ptx, 1, inst, SIM_READS);
    inst->pdst = sim_lower_pred(l, &ptx->operand[0], NULL);
    inst->b = sim_lower_source(l, &ptx->operand[2], parity ? PTX_U32 : PTX_B64);
    inst->mods = parity ? MB_TEST_PARITY : MB_TEST_WAIT;
    use(inst, mbarrier_wait, SIM_CLASS_BARRIER);
    return true;
}

static bool lower_init(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst, mbarrier_op op)
{
    lower_barrier_address(l, ptx, 0, inst, SIM_WRITES)->is_strong = false;
    if (ptx->operands > 1) {
        inst->b = sim_lower_source(l, &ptx->operand[1], PTX_U32);
    }
    inst->mods = op;
    use(inst, mbarrier_change, SIM_CLASS_BARRIER);
    return true;
}

static bool lower_mbarrier(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    if (ptx_has(ptx, "init") || ptx_has(ptx, "inval")) {
        return lower_init(l, ptx, inst, ptx_has(ptx, "init") ? MB_INIT : MB_INVAL);
    } else if (ptx_has(ptx, "arrive_drop")) {
        return lower_arrive(l, ptx, inst, MB_DROP);
    } else if (ptx_has(ptx, "arrive")) {
        return lower_arrive(l, ptx, inst, ptx_has(ptx, "expect_tx") ? MB_ARRIVE_TX : MB_ARRIVE);
    } else if (ptx_has(ptx, "expect_tx") || ptx_has(ptx, "complete_tx")) {
        return lower_arrive(l, ptx, inst, ptx_has(ptx, "expect_tx") ? MB_EXPECT_TX : MB_COMPLETE_TX);
    } else if (ptx_has(ptx, "test_wait") || ptx_has(ptx, "try_wait")) {
        return lower_wait(l, ptx, inst);
    } else if (ptx_has(ptx, "pending_count")) {
        inst->dst = sim_lower_dest(l, &ptx->operand[0], PTX_U32);
        inst->a = sim_lower_source(l, &ptx->operand[1], PTX_B64);
        use(inst, mbarrier_pending, SIM_CLASS_BARRIER);
        return true;
    }
    return sim_lower_fail(l, "%s: not known", ptx->text);
}

const sim_op SIM_NAME(sim_ops_async)[] = {
    {"cp", lower_cp},
    {"mbarrier", lower_mbarrier},
    {NULL, NULL},
};
