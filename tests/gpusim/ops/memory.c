/*
 * Loads and stores of every space, cvta, isspacep, prefetch and the like. access.h finds the bytes; here they
 * move between the host's memory and the lanes' registers.
 */
#include "tests/gpusim/ops/access.h"

/* ---- bytes to registers and back ---- */

static inline uint64_t read_element(const uint8_t *from, uint32_t bytes)
{
    uint64_t value = 0;
    switch (bytes) {
    case 1: return *from;
    case 2: memcpy(&value, from, 2); return value;
    case 4: memcpy(&value, from, 4); return value;
    default: memcpy(&value, from, 8); return value;
    }
}

static inline uint64_t extend(uint64_t value, uint32_t bytes, bool is_signed)
{
    const uint32_t unused = 64 - 8 * bytes;
    return is_signed ? (uint64_t)((int64_t)(value << unused) >> unused) : value;
}

/* Element n of each lane into a register that may be wider than it. */
static void load_any(sim_warp *w, const sim_access *acc, sim_operand to, sim_mask mask,
                     const sim_reach *reach, uint32_t n)
{
    for (sim_mask rest = mask; rest && to.bank != SIM_NOTHING; rest &= rest - 1) {
        const uint32_t lane = sim_first_lane(rest);
        const uint64_t raw = read_element(reach->host[lane] + n * acc->bytes, acc->bytes);
        const uint64_t value = extend(raw, acc->bytes, acc->is_signed);
        if (to.bytes == 8) {
            sim_u64(w, to)[lane] = value;
        } else {
            sim_u32(w, to)[lane] = (uint32_t)(to.bytes < 4 ? value & ((1u << 8 * to.bytes) - 1) : value);
        }
    }
}

static void load32(sim_warp *w, sim_operand to, sim_mask mask, const sim_reach *reach, uint32_t n,
                   uint32_t stride)
{
    uint32_t value[SIM_LANES];
    if (reach->dense) {
        const uint8_t *from = reach->host[0] + 4 * (size_t)n;
        for (uint32_t i = 0; i < SIM_LANES; i++) {
            memcpy(&value[i], from + (size_t)i * stride, 4);
        }
    } else {
        for (uint32_t i = 0; i < SIM_LANES; i++) {
            /* Lanes that are off have the address of one that is on, but in local and frame memory. */
            memcpy(&value[i], reach->host[i] + 4 * (size_t)n, 4);
        }
    }
    sim_put32(w, to, mask, value);
}

static void load64(sim_warp *w, sim_operand to, sim_mask mask, const sim_reach *reach, uint32_t n,
                   uint32_t stride)
{
    uint64_t value[SIM_LANES];
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        const uint8_t *from = reach->dense ? reach->host[0] + (size_t)i * stride : reach->host[i];
        memcpy(&value[i], from + 8 * (size_t)n, 8);
    }
    sim_put64(w, to, mask, value);
}

static inline sim_operand element(const sim_warp *w, const sim_inst *inst, sim_operand only, uint32_t n)
{
    return inst->count ? sim_function_operand(w, inst, n) : only;
}

static void load(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_mask mask,
                 const sim_reach *reach)
{
    for (uint32_t n = 0; n < acc->count; n++) {
        const sim_operand to = element(w, inst, inst->dst, n);
        if (acc->bytes == 4 && to.bytes == 4) {
            if (reach->dense && acc->total == 4 && to.bank != SIM_NOTHING) {
                memcpy(sim_u32(w, to), reach->host[0], SIM_LANES * 4);
            } else if (acc->total == 16) {
                load32(w, to, mask, reach, n, 16); /* known strides become shuffles */
            } else {
                load32(w, to, mask, reach, n, acc->total);
            }
        } else if (acc->bytes == 8 && to.bytes == 8) {
            load64(w, to, mask, reach, n, acc->total);
        } else {
            load_any(w, acc, to, mask, reach, n);
        }
    }
}

/* The low bytes of a register go to element n. */
static void store_any(sim_warp *w, const sim_access *acc, sim_operand from, sim_mask mask,
                      const sim_reach *reach, uint32_t n)
{
    const uint8_t *source = (const uint8_t *)sim_u32(w, from);
    const size_t stride = from.bytes == 8 ? 8 : 4;
    for (sim_mask rest = mask; rest; rest &= rest - 1) {
        const uint32_t lane = sim_first_lane(rest);
        uint8_t *to = reach->host[lane] + n * acc->bytes;
        switch (acc->bytes) {
        case 1: *to = source[lane * stride]; break;
        case 2: memcpy(to, source + lane * stride, 2); break;
        case 4: memcpy(to, source + lane * stride, 4); break;
        default: memcpy(to, source + lane * stride, 8); break;
        }
    }
}

static void store32_dense(sim_warp *w, sim_operand from, uint8_t *to, uint32_t stride)
{
    const uint32_t *source = sim_u32(w, from);
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        memcpy(to + (size_t)i * stride, &source[i], 4);
    }
}

static void store(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_mask mask,
                  const sim_reach *reach)
{
    for (uint32_t n = 0; n < acc->count; n++) {
        const sim_operand from = element(w, inst, inst->b, n);
        if (reach->dense && acc->bytes == 4 && from.bytes == 4) {
            if (acc->total == 4) {
                memcpy(reach->host[0], sim_u32(w, from), SIM_LANES * 4);
            } else if (acc->total == 16) {
                store32_dense(w, from, reach->host[0] + 4 * (size_t)n, 16);
            } else {
                store32_dense(w, from, reach->host[0] + 4 * (size_t)n, acc->total);
            }
        } else {
            store_any(w, acc, from, mask, reach, n);
        }
    }
}

/* The lanes' bytes one behind the other, for the checkers. */
static void pack_values(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_mask mask, uint8_t *to)
{
    sim_reach reach = {.dense = false};
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        reach.host[i] = to + (size_t)i * acc->total;
    }
    store(w, inst, acc, mask, &reach);
}

/* ---- the handlers ---- */

/* True if the access is done or has trapped: a parameter that all lanes read at one place. */
static inline bool load_uniform_param(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_mask mask)
{
    const sim_launch *launch = w->block->launch;
    if (acc->address != SIM_ADDRESS_ENTRY_PARAM || inst->a.bank != SIM_NOTHING ||
        (uint64_t)inst->imm + acc->total > launch->kernel->param_bytes) {
        return false;
    }
    sim_reach reach = {.dense = false};
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        reach.host[i] = (uint8_t *)(uintptr_t)launch->params + inst->imm;
    }
    load(w, inst, acc, mask, &reach);
    return true;
}

static inline void acquire_after(sim_warp *w, const sim_access *acc, sim_space space, sim_mask mask,
                                 const uint64_t a[SIM_LANES])
{
    if (acc->is_checked && acc->is_strong && (space == SIM_SPACE_GLOBAL || space == SIM_SPACE_SHARED)) {
        sim_check_strong_read(w, acc, mask, space, a);
    }
}

static inline void load_space(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_space space,
                              sim_mask mask, const uint64_t a[SIM_LANES])
{
    sim_reach reach;
    if (sim_reach_space(w, inst, acc, space, mask, a, &reach)) {
        sim_look(w, inst, acc, space, mask, a, NULL);
        load(w, inst, acc, mask, &reach);
        acquire_after(w, acc, space, mask, a);
    }
}

static inline void store_space(sim_warp *w, const sim_inst *inst, const sim_access *acc, sim_space space,
                               sim_mask mask, const uint64_t a[SIM_LANES])
{
    sim_reach reach;
    if (!sim_reach_space(w, inst, acc, space, mask, a, &reach)) {
        return;
    }
    if (acc->is_checked || acc->is_counted) {
        uint8_t values[SIM_LANES * 32] = {0};
        pack_values(w, inst, acc, mask, values);
        sim_look(w, inst, acc, space, mask, a, values);
    }
    if (acc->is_checked && acc->is_strong && (space == SIM_SPACE_GLOBAL || space == SIM_SPACE_SHARED)) {
        sim_check_strong_write(w, acc, mask, space, a);
    }
    store(w, inst, acc, mask, &reach);
}

/* Offsets in a frame's local memory become offsets in the thread's. */
static inline void local_addresses(const sim_warp *w, const sim_access *acc, uint64_t a[SIM_LANES])
{
    if (acc->address == SIM_ADDRESS_FRAME_LOCAL) {
        for (uint32_t i = 0; i < SIM_LANES; i++) {
            a[i] += w->frame->local_base;
        }
    }
}

#define LOAD_AND_STORE(name, space)                                                                          \
    static void ld_##name(sim_warp *w, const sim_inst *inst, sim_mask mask)                                  \
    {                                                                                                        \
        uint64_t a[SIM_LANES];                                                                               \
        sim_addresses(w, inst, mask, a);                                                                     \
        load_space(w, inst, inst->extra, space, mask, a);                                                    \
    }                                                                                                        \
    static void st_##name(sim_warp *w, const sim_inst *inst, sim_mask mask)                                  \
    {                                                                                                        \
        uint64_t a[SIM_LANES];                                                                               \
        sim_addresses(w, inst, mask, a);                                                                     \
        store_space(w, inst, inst->extra, space, mask, a);                                                   \
    }
LOAD_AND_STORE(global, SIM_SPACE_GLOBAL)
LOAD_AND_STORE(shared, SIM_SPACE_SHARED)

static void ld_local(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    uint64_t a[SIM_LANES];
    sim_addresses(w, inst, mask, a);
    local_addresses(w, inst->extra, a);
    load_space(w, inst, inst->extra, SIM_SPACE_LOCAL, mask, a);
}

static void st_local(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    uint64_t a[SIM_LANES];
    sim_addresses(w, inst, mask, a);
    local_addresses(w, inst->extra, a);
    store_space(w, inst, inst->extra, SIM_SPACE_LOCAL, mask, a);
}

static void ld_const(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    uint64_t a[SIM_LANES];
    sim_addresses(w, inst, mask, a);
    load_space(w, inst, inst->extra, SIM_SPACE_CONST, mask, a);
}

static void ld_param(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    if (!load_uniform_param(w, inst, inst->extra, mask)) {
        uint64_t a[SIM_LANES];
        sim_addresses(w, inst, mask, a);
        load_space(w, inst, inst->extra, SIM_SPACE_PARAM, mask, a);
    }
}

static void st_param(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    uint64_t a[SIM_LANES];
    sim_addresses(w, inst, mask, a);
    store_space(w, inst, inst->extra, SIM_SPACE_PARAM, mask, a);
}

/* Generic: the lanes of each space in turn. */
static void ld_generic(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    uint64_t a[SIM_LANES], offset[SIM_LANES];
    sim_space space;
    sim_addresses(w, inst, mask, a);
    for (sim_mask rest = mask; rest && !w->worker->failed;) {
        const sim_mask some = sim_one_space(rest, a, offset, &space);
        load_space(w, inst, inst->extra, space, some, offset);
        rest &= ~some;
    }
}

static void st_generic(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    uint64_t a[SIM_LANES], offset[SIM_LANES];
    sim_space space;
    sim_addresses(w, inst, mask, a);
    for (sim_mask rest = mask; rest && !w->worker->failed;) {
        const sim_mask some = sim_one_space(rest, a, offset, &space);
        if (space == SIM_SPACE_PARAM) { /* the launch's parameters are read only */
            sim_access_fault(w, inst, sim_first_lane(some), space, offset[sim_first_lane(some)], 0);
            return;
        }
        store_space(w, inst, inst->extra, space, some, offset);
        rest &= ~some;
    }
}

/* prefetch, discard and applypriority move nothing: an address outside memory is no error for a prefetch. */
static void nothing(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    (void)w, (void)inst, (void)mask;
}

/* ---- address spaces ---- */

static void cvta_add(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    uint64_t value[SIM_LANES];
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        const uint64_t from = inst->a.bytes == 8 ? sim_u64(w, inst->a)[i] : sim_u32(w, inst->a)[i];
        value[i] = from + (uint64_t)inst->imm;
    }
    if (inst->dst.bytes == 8) {
        sim_put64(w, inst->dst, mask, value);
    } else {
        uint32_t low[SIM_LANES];
        for (uint32_t i = 0; i < SIM_LANES; i++) {
            low[i] = (uint32_t)value[i];
        }
        sim_put32(w, inst->dst, mask, low);
    }
}

static void isspacep(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    const uint64_t *a = sim_u64(w, inst->a);
    sim_mask is = 0;
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        uint64_t offset;
        sim_space space = sim_space_of(a[i], &offset);
        if (inst->mods == SIM_SPACE_CONST) { /* constant variables stand among the global ones */
            const sim_range *range = space == SIM_SPACE_GLOBAL ? sim_memory_find(a[i]) : NULL;
            space = range && range->is_constant ? SIM_SPACE_CONST : SIM_SPACE_GENERIC;
        }
        is |= (sim_mask)(space == (sim_space)inst->mods) << i;
    }
    sim_set_pred(w, inst->pdst, mask, is);
}

/* ---- lowering ---- */

static const uint64_t window_of[] = {
    [SIM_SPACE_SHARED] = SIM_SHARED_WINDOW,
    [SIM_SPACE_LOCAL] = SIM_LOCAL_WINDOW,
    [SIM_SPACE_PARAM] = SIM_PARAM_WINDOW,
    [SIM_SPACE_CONST] = 0,
};

static const uint8_t load_class[] = {SIM_CLASS_LD_GLOBAL, SIM_CLASS_LD_SHARED, SIM_CLASS_LOCAL,
                                     SIM_CLASS_CONST,     SIM_CLASS_CONST,     SIM_CLASS_LD_GLOBAL};
static const uint8_t store_class[] = {SIM_CLASS_ST_GLOBAL, SIM_CLASS_ST_SHARED, SIM_CLASS_LOCAL,
                                      SIM_CLASS_MOVE,      SIM_CLASS_MOVE,      SIM_CLASS_ST_GLOBAL};

/* .v2, .v4, .v8: 2, 4, 8; otherwise 1. */
static uint32_t vector_of(const ptx_instruction *ptx)
{
    return ptx_has(ptx, "v2") ? 2 : ptx_has(ptx, "v4") ? 4 : ptx_has(ptx, "v8") ? 8 : 1;
}

/* The element's size and the registers that it comes from or goes to. */
static bool lower_elements(sim_lowering *l, const ptx_instruction *ptx, const ptx_operand *operand,
                           sim_inst *inst, sim_access *acc)
{
    const uint32_t count = vector_of(ptx);
    sim_operand each[8];
    const ptx_type type = ptx_nth_type(ptx, 0);
    const uint32_t bytes = ptx_type_bytes(type);
    if (bytes == 0 || bytes > 8 || (uint64_t)bytes * count > 32) {
        return sim_lower_fail(l, "%s: not a type that can be loaded or stored", ptx->text);
    }
    inst->type = (uint8_t)type;
    acc->is_signed = type == PTX_S8 || type == PTX_S16 || type == PTX_S32 || type == PTX_S64;
    sim_access_size(acc, bytes, count);
    const bool is_load = acc->kind == SIM_READS;
    if (count == 1 && operand->kind != PTX_OP_VECTOR) {
        if (is_load) {
            inst->dst = sim_lower_dest(l, operand, type);
        } else {
            inst->b = sim_lower_source(l, operand, type);
        }
        return true;
    }
    if (operand->kind != PTX_OP_VECTOR || operand->count != count) {
        return sim_lower_fail(l, "%s: %u elements expected", ptx->text, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        each[i] = is_load ? sim_lower_dest(l, &operand->elements[i], type)
                          : sim_lower_source(l, &operand->elements[i], type);
    }
    inst->list = sim_lower_list(l, each, count);
    inst->count = count;
    return true;
}

static bool lower_ld(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    static sim_handler *const handler[] = {ld_global, ld_shared, ld_local, ld_param, ld_const, ld_generic};
    const sim_space space = sim_access_space(ptx);
    sim_access *acc = sim_access_new(l, ptx, space, SIM_READS);
    if (ptx->operands < 2) {
        return sim_lower_fail(l, "%s: two operands expected", ptx->text);
    }
    sim_access_address(l, &ptx->operand[1], inst, acc);
    inst->run = handler[space];
    inst->klass = load_class[space];
    return lower_elements(l, ptx, &ptx->operand[0], inst, acc);
}

static bool lower_st(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    static sim_handler *const handler[] = {st_global, st_shared, st_local, st_param, NULL, st_generic};
    const sim_space space = sim_access_space(ptx);
    sim_access *acc = sim_access_new(l, ptx, space, SIM_WRITES);
    if (ptx->operands < 2 || space == SIM_SPACE_CONST) {
        return sim_lower_fail(l, "%s: not a store", ptx->text);
    }
    sim_access_address(l, &ptx->operand[0], inst, acc);
    inst->run = handler[space];
    inst->klass = store_class[space];
    return lower_elements(l, ptx, &ptx->operand[1], inst, acc);
}

static bool lower_cvta(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    const sim_space space = sim_access_space(ptx);
    const ptx_type type = ptx_has(ptx, "u32") ? PTX_U32 : PTX_U64;
    inst->run = cvta_add;
    inst->klass = SIM_CLASS_MOVE;
    inst->dst = sim_lower_dest(l, &ptx->operand[0], type);
    inst->a = sim_lower_source(l, &ptx->operand[1], type);
    const uint64_t window = space == SIM_SPACE_GLOBAL || space == SIM_SPACE_GENERIC ? 0 : window_of[space];
    inst->imm = ptx_has(ptx, "to") ? -(int64_t)window : (int64_t)window;
    return true;
}

static bool lower_isspacep(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    inst->run = isspacep;
    inst->klass = SIM_CLASS_MOVE;
    inst->mods = sim_access_space(ptx);
    inst->pdst = sim_lower_pred(l, &ptx->operand[0], NULL);
    inst->a = sim_lower_source(l, &ptx->operand[1], PTX_U64);
    return true;
}

static bool lower_nothing(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    (void)l, (void)ptx;
    inst->run = nothing;
    inst->klass = SIM_CLASS_MOVE;
    return true;
}

const sim_op SIM_NAME(sim_ops_memory)[] = {
    {"ld", lower_ld},
    {"ldu", lower_ld},
    {"st", lower_st},
    {"cvta", lower_cvta},
    {"isspacep", lower_isspacep},
    {"prefetch", lower_nothing},
    {"prefetchu", lower_nothing},
    {"applypriority", lower_nothing},
    {"discard", lower_nothing},
    {NULL, NULL},
};
