/*
 * atom and red: every operation and width that sm_80 has (and the bf16 additions of sm_90). Lanes act in
 * order of their number. Blocks run on several host threads, so device memory is changed by atomics of the
 * host.
 */
#include "tests/gpusim/ops/access.h"
#include "tests/gpusim/ops/arith.h"

typedef enum {
    OP_AND,
    OP_OR,
    OP_XOR,
    OP_EXCH,
    OP_CAS,
    OP_INC,
    OP_DEC,
    OP_ADD,
    OP_MIN,
    OP_MAX,
    OPS
} atomic_op;
static const char *const op_name[OPS] = {"and", "or",  "xor", "exch", "cas",
                                         "inc", "dec", "add", "min",  "max"};

/* ---- floating-point additions: round to nearest even, as bits ---- */

#define F32_NAN 0x7fffffffu
#define HALF_NAN 0x7fffu

static inline float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static inline uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

static inline uint32_t flush(uint32_t bits)
{
    return bits & 0x7f800000u ? bits : bits & 0x80000000u;
}

/* Device memory's unit flushes subnormals to zero, shared memory's keeps them (PTX ISA, atom). */
static uint32_t add_f32(uint32_t x, uint32_t y, bool flushes)
{
    const float sum = flushes ? float_of(flush(x)) + float_of(flush(y)) : float_of(x) + float_of(y);
    if (sum != sum) {
        return F32_NAN;
    }
    return flushes ? flush(bits_of(sum)) : bits_of(sum);
}

static uint64_t add_f64(uint64_t x, uint64_t y)
{
    double a, b;
    uint64_t bits;
    memcpy(&a, &x, 8);
    memcpy(&b, &y, 8);
    const double sum = a + b;
    memcpy(&bits, &sum, 8);
    return sum != sum ? 0x7fffffffffffffffull : bits;
}

/* Through f32: 24 bits are enough for the second rounding to do no harm (2 * 11 + 2). */
static uint32_t add_f16(uint32_t x, uint32_t y)
{
    const float sum = sim_from_f16(x) + sim_from_f16(y);
    return sum != sum ? HALF_NAN : sim_to_f16(sum);
}

static uint32_t add_bf16(uint32_t x, uint32_t y)
{
    const float sum = float_of(x << 16) + float_of(y << 16);
    const uint32_t bits = bits_of(sum);
    return sum != sum ? HALF_NAN : (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;
}

/* ---- one lane ---- */

static uint64_t add(ptx_type type, uint64_t old, uint64_t b, bool flushes)
{
    const uint32_t x = (uint32_t)old, y = (uint32_t)b;
    switch (type) {
    case PTX_F32: return add_f32(x, y, flushes);
    case PTX_F64: return add_f64(old, b);
    case PTX_F16: return add_f16(x, y);
    case PTX_BF16: return add_bf16(x, y);
    case PTX_F16X2: return add_f16(x & 0xffffu, y & 0xffffu) | add_f16(x >> 16, y >> 16) << 16;
    case PTX_BF16X2: return add_bf16(x & 0xffffu, y & 0xffffu) | add_bf16(x >> 16, y >> 16) << 16;
    default: return old + b;
    }
}

static bool is_less(ptx_type type, uint64_t x, uint64_t y)
{
    return type == PTX_S32 ? (int32_t)x < (int32_t)y : type == PTX_S64 ? (int64_t)x < (int64_t)y : x < y;
}

/* What memory holds after an operation on `old`. */
static uint64_t apply(const sim_inst *inst, uint64_t old, uint64_t b, uint64_t c, bool flushes)
{
    const ptx_type type = inst->type;
    switch ((atomic_op)inst->mods) {
    case OP_AND: return old & b;
    case OP_OR: return old | b;
    case OP_XOR: return old ^ b;
    case OP_EXCH: return b;
    case OP_CAS: return old == b ? c : old;
    case OP_INC: return old >= b ? 0 : old + 1;
    case OP_DEC: return old == 0 || old > b ? b : old - 1;
    case OP_MIN: return is_less(type, b, old) ? b : old;
    case OP_MAX: return is_less(type, old, b) ? b : old;
    default: return add(type, old, b, flushes);
    }
}

#define CHANGE(T)                                                                                            \
    static uint64_t change_##T(const sim_inst *inst, uint8_t *at, uint64_t b, uint64_t c, bool is_private)   \
    {                                                                                                        \
        T *p = (T *)(void *)at, old = __atomic_load_n(p, __ATOMIC_RELAXED);                                  \
        T new_value = (T)apply(inst, old, (T)b, (T)c, !is_private);                                          \
        if (is_private) {                                                                                    \
            *p = new_value;                                                                                  \
            return old;                                                                                      \
        }                                                                                                    \
        while (                                                                                              \
            !__atomic_compare_exchange_n(p, &old, new_value, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)) {   \
            new_value = (T)apply(inst, old, (T)b, (T)c, true);                                               \
        }                                                                                                    \
        return old;                                                                                          \
    }
CHANGE(uint16_t)
CHANGE(uint32_t)
CHANGE(uint64_t)

static inline uint64_t value_of(const sim_warp *w, sim_operand o, uint32_t lane)
{
    return o.bank == SIM_NOTHING ? 0 : o.bytes == 8 ? sim_u64(w, o)[lane] : sim_u32(w, o)[lane];
}

static inline void give(sim_warp *w, sim_operand to, uint32_t lane, uint64_t value)
{
    if (to.bank == SIM_NOTHING) {
        return;
    }
    if (to.bytes == 8) {
        sim_u64(w, to)[lane] = value;
    } else {
        sim_u32(w, to)[lane] = (uint32_t)value;
    }
}

static void atomic_lanes(sim_warp *w, const sim_inst *inst, sim_mask mask, bool is_private,
                         const sim_reach *reach)
{
    const sim_access *acc = inst->extra;
    for (sim_mask rest = mask; rest; rest &= rest - 1) {
        const uint32_t lane = sim_first_lane(rest);
        uint8_t *at = reach->host[lane];
        const uint64_t b = value_of(w, inst->b, lane), c = value_of(w, inst->c, lane);
        const uint64_t old = acc->bytes == 8   ? change_uint64_t(inst, at, b, c, is_private)
                             : acc->bytes == 4 ? change_uint32_t(inst, at, b, c, is_private)
                                               : change_uint16_t(inst, at, b, c, is_private);
        give(w, inst->dst, lane, old);
    }
}

/* ---- the handler ---- */

static void atomic_space(sim_warp *w, const sim_inst *inst, sim_space space, sim_mask mask,
                         const uint64_t a[SIM_LANES])
{
    const sim_access *acc = inst->extra;
    sim_reach reach;
    if (space != SIM_SPACE_GLOBAL && space != SIM_SPACE_SHARED) {
        sim_trap(w, SIM_ERROR_INVALID_ADDRESS_SPACE);
        return;
    }
    if (!sim_reach_space(w, inst, acc, space, mask, a, &reach)) {
        return;
    }
    w->worker->counters.atomics += (uint32_t)__builtin_popcount(mask);
    sim_look(w, inst, acc, space, mask, a, NULL);
    if (acc->is_checked) {
        sim_check_strong_write(w, acc, mask, space, a);
    }
    atomic_lanes(w, inst, mask, space == SIM_SPACE_SHARED, &reach);
    if (acc->is_checked) {
        sim_check_strong_read(w, acc, mask, space, a);
    }
}

static void atomic_run(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    const sim_access *acc = inst->extra;
    uint64_t a[SIM_LANES], offset[SIM_LANES];
    sim_addresses(w, inst, mask, a);
    if (acc->space != SIM_SPACE_GENERIC) {
        atomic_space(w, inst, acc->space, mask, a);
        return;
    }
    for (sim_mask rest = mask; rest && !w->worker->failed;) {
        sim_space space;
        const sim_mask some = sim_one_space(rest, a, offset, &space);
        atomic_space(w, inst, space, some, offset);
        rest &= ~some;
    }
}

/* ---- lowering ---- */

static bool can_add(ptx_type type)
{
    return type == PTX_U32 || type == PTX_S32 || type == PTX_U64 || type == PTX_S64 || type == PTX_F32 ||
           type == PTX_F64 || type == PTX_F16 || type == PTX_F16X2 || type == PTX_BF16 || type == PTX_BF16X2;
}

static bool is_known(atomic_op op, ptx_type type)
{
    const uint32_t bytes = ptx_type_bytes(type);
    switch (op) {
    case OP_ADD: return can_add(type);
    case OP_CAS:
    case OP_EXCH: return bytes == 4 || bytes == 8 || (bytes == 2 && op == OP_CAS);
    case OP_INC:
    case OP_DEC: return type == PTX_U32;
    case OP_MIN:
    case OP_MAX: return type == PTX_U32 || type == PTX_S32 || type == PTX_U64 || type == PTX_S64;
    default: return type == PTX_B32 || type == PTX_B64;
    }
}

static bool lower_atomic(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst, bool has_result)
{
    atomic_op op = OP_AND;
    while (op < OPS && !ptx_has(ptx, op_name[op])) {
        op++;
    }
    const ptx_type type = ptx_nth_type(ptx, 0);
    const uint32_t first = has_result ? 1 : 0, wanted = first + (op == OP_CAS ? 3 : 2);
    if (op == OPS || !is_known(op, type) || ptx->operands < wanted || ptx_has(ptx, "v2") ||
        ptx_has(ptx, "v4")) {
        return sim_lower_fail(l, "%s: not an atomic operation of sm_80", ptx->text);
    }
    sim_access *acc = sim_access_new(l, ptx, sim_access_space(ptx), SIM_READS | SIM_WRITES);
    acc->is_strong = true;
    sim_access_size(acc, ptx_type_bytes(type), 1);
    sim_access_address(l, &ptx->operand[first], inst, acc);
    inst->run = atomic_run;
    inst->klass = SIM_CLASS_ATOMIC;
    inst->type = (uint8_t)type;
    inst->mods = op;
    if (has_result) {
        inst->dst = sim_lower_dest(l, &ptx->operand[0], type);
    }
    inst->b = sim_lower_source(l, &ptx->operand[first + 1], type);
    if (op == OP_CAS) {
        inst->c = sim_lower_source(l, &ptx->operand[first + 2], type);
    }
    return true;
}

static bool lower_atom(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    return lower_atomic(l, ptx, inst, true);
}

static bool lower_red(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    return lower_atomic(l, ptx, inst, false);
}

const sim_op SIM_NAME(sim_ops_atomic)[] = {
    {"atom", lower_atom},
    {"red", lower_red},
    {NULL, NULL},
};
