/*
 * Where lanes go next: branches, calls, exits, barriers, fences; and the special registers that are no
 * vectors.
 *
 * A handler of kind SIM_CONTROL finds the running fragment at its own instruction and warp->pc at the next
 * one. It may set warp->pc (for the lanes that go on together), split others off, or make the fragment wait
 * (sched.h).
 */
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "tests/gpusim/check.h"
#include "tests/gpusim/device_calls.h"
#include "tests/gpusim/lower.h"
#include "tests/gpusim/report.h"
#include "tests/gpusim/sched.h"

/* The lanes of the running fragment that are not in `on` go on at the next instruction, apart. */
static void leave_rest(sim_warp *w, sim_mask on)
{
    sim_mask rest = sim_running(w)->mask & ~on;
    if (rest != 0) {
        sim_warp_split(w, rest, w->pc);
    }
}

static void count_backward(sim_warp *w, uint32_t target)
{
    w->spins += target <= sim_running(w)->pc && w->fragments > 1;
}

static void go(sim_warp *w, sim_mask on, uint32_t target)
{
    sim_counters *counters = &w->worker->counters;
    counters->branches++;
    counters->divergent_branches += on != sim_running(w)->mask;
    leave_rest(w, on);
    count_backward(w, target);
    w->pc = target;
}

static void branch(sim_warp *w, const sim_inst *i, sim_mask on)
{
    go(w, on, (uint32_t)i->imm);
}

static bool lower_branch(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    uint32_t target;
    if (ptx->operands != 1 || !sim_lower_label(l, ptx->operand[0].name, &target)) {
        return sim_lower_fail(l, "bra to a label that the function does not have");
    }
    inst->kind = SIM_CONTROL;
    inst->klass = SIM_CLASS_BRANCH;
    inst->imm = target;
    inst->run = branch;
    return true;
}

/* The lanes of `on` whose 32-bit value is that of the first one; the others are split off at this
 * instruction. */
static sim_mask first_alike(sim_warp *w, sim_operand o, sim_mask on)
{
    uint32_t first = (uint32_t)__builtin_ctz(on), shift = o.bytes == 8;
    const uint32_t *value = sim_u32(w, o);
    sim_mask alike = 0;
    for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
        alike |= (sim_mask)(value[lane << shift] == value[first << shift]) << lane;
    }
    alike &= on;
    if (alike != on) {
        sim_warp_split(w, on & ~alike, sim_running(w)->pc);
    }
    return alike;
}

typedef struct {
    uint32_t count, target[];
} branch_table;

static void branch_indexed(sim_warp *w, const sim_inst *i, sim_mask on)
{
    const branch_table *table = i->extra;
    uint32_t index = sim_u32(w, i->a)[__builtin_ctz(on)];
    on = first_alike(w, i->a, on);
    if (index >= table->count) {
        sim_report_lane(w, i, (uint32_t)__builtin_ctz(on), SIM_OUT_OF_BOUNDS, index, 0,
                        "brx.idx %u of a table of %u", index, table->count);
        sim_trap(w, SIM_ERROR_INVALID_PC);
        return;
    }
    go(w, on, table->target[index]);
}

static bool lower_branch_indexed(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    const ptx_target_list *list = ptx->operands == 2 ? sim_lower_targets(l, ptx->operand[1].name) : NULL;
    if (list == NULL) {
        return sim_lower_fail(l, "brx.idx without its list of targets");
    }
    branch_table *table = sim_lower_alloc(l, sizeof *table + list->count * sizeof(uint32_t));
    table->count = list->count;
    for (uint32_t i = 0; i < list->count; i++) {
        if (!sim_lower_label(l, list->targets[i], &table->target[i])) {
            return sim_lower_fail(l, "no label %s", list->targets[i]);
        }
    }
    inst->a = sim_lower_source(l, &ptx->operand[0], PTX_U32);
    inst->kind = SIM_CONTROL;
    inst->klass = SIM_CLASS_BRANCH;
    inst->extra = table;
    inst->run = branch_indexed;
    return true;
}

/* ---- calls ---- */

typedef struct {
    const sim_function *target; /* NULL: by the address in operand a */
    sim_param *args, *results;  /* variables of the caller's frame */
    uint32_t arg_count, result_count;
} call_site;

static uint8_t *param_at(const sim_frame *frame, uint32_t lane, uint32_t offset)
{
    return frame->params + (size_t)lane * frame->function->frame_param_bytes + offset;
}

static void copy_params(sim_frame *to, const sim_param *to_params, const sim_frame *from,
                        const sim_param *from_params, uint32_t count, sim_mask lanes)
{
    for (uint32_t k = 0; k < count; k++) {
        uint32_t bytes =
            to_params[k].bytes < from_params[k].bytes ? to_params[k].bytes : from_params[k].bytes;
        for (sim_mask rest = lanes; rest != 0; rest &= rest - 1) {
            uint32_t lane = (uint32_t)__builtin_ctz(rest);
            memcpy(param_at(to, lane, to_params[k].offset), param_at(from, lane, from_params[k].offset),
                   bytes);
        }
    }
}

/* The lanes of `on` enter `target`; the others have left the fragment. */
static void enter(sim_warp *w, const sim_inst *i, const sim_function *target, sim_mask on)
{
    const call_site *site = i->extra;
    sim_fragment *f = sim_running(w);
    sim_frame *frame = sim_frame_open(w, f->frame, target);
    if (frame == NULL) {
        return;
    }
    uint32_t count = target->formal_count < site->arg_count ? target->formal_count : site->arg_count;
    frame->return_pc = w->pc;
    frame->call = i;
    copy_params(frame, target->formals, f->frame, site->args, count, on);
    f->frame = frame;
    w->pc = 0;
}

/* An argument of at most 8 bytes, of one lane. */
static uint64_t argument(const sim_warp *w, const call_site *site, uint32_t n, uint32_t lane)
{
    uint64_t value = 0;
    if (n < site->arg_count) {
        uint32_t bytes = site->args[n].bytes < 8 ? site->args[n].bytes : 8;
        memcpy(&value, param_at(w->frame, lane, site->args[n].offset), bytes);
    }
    return value;
}

static void give_back(const sim_warp *w, const call_site *site, uint32_t lane, uint64_t value)
{
    if (site->result_count > 0) {
        uint32_t bytes = site->results[0].bytes < 8 ? site->results[0].bytes : 8;
        memcpy(param_at(w->frame, lane, site->results[0].offset), &value, bytes);
    }
}

/* Functions that the device's system gives: declared extern in the PTX, without a body. */
static void call_system(sim_warp *w, const sim_inst *i, const char *name, sim_mask on)
{
    const call_site *site = i->extra;
    for (sim_mask rest = on; rest != 0 && !w->worker->failed; rest &= rest - 1) {
        uint32_t lane = (uint32_t)__builtin_ctz(rest);
        uint64_t a = argument(w, site, 0, lane), b = argument(w, site, 1, lane);
        if (strcmp(name, "vprintf") == 0) {
            give_back(w, site, lane, (uint64_t)(int64_t)sim_device_printf(w, lane, a, b));
        } else if (strcmp(name, "__assertfail") == 0) {
            sim_device_assert(w, i, lane, a, b, (uint32_t)argument(w, site, 2, lane),
                              argument(w, site, 3, lane));
        } else if (strcmp(name, "malloc") == 0) {
            give_back(w, site, lane, sim_device_malloc(w, lane, a));
        } else if (strcmp(name, "free") == 0) {
            sim_device_free(w, i, lane, a);
        }
    }
}

static bool is_system(const char *name)
{
    return strcmp(name, "vprintf") == 0 || strcmp(name, "__assertfail") == 0 || strcmp(name, "malloc") == 0 ||
           strcmp(name, "free") == 0;
}

static void call_direct(sim_warp *w, const sim_inst *i, sim_mask on)
{
    const call_site *site = i->extra;
    if (site->target->code_count == 0) {
        call_system(w, i, site->target->name, on);
        return;
    }
    leave_rest(w, on);
    enter(w, i, site->target, on);
}

static void call_indirect(sim_warp *w, const sim_inst *i, sim_mask on)
{
    uint64_t address = sim_u64(w, i->a)[__builtin_ctz(on)];
    const sim_function *target = sim_module_function_at(w->frame->function->module, address);
    on = first_alike(w, i->a, on);
    if (target == NULL || target->code_count == 0) {
        sim_report_lane(w, i, (uint32_t)__builtin_ctz(on), SIM_OUT_OF_BOUNDS, address, 0,
                        "a call of 0x%llx, which is no function", (unsigned long long)address);
        sim_trap(w, SIM_ERROR_INVALID_PC);
        return;
    }
    leave_rest(w, on);
    enter(w, i, target, on);
}

static bool lower_params(sim_lowering *l, const ptx_operand *list, sim_param **params, uint32_t *count)
{
    *count = list->count;
    *params = sim_lower_alloc(l, (list->count + 1) * sizeof **params);
    for (uint32_t i = 0; i < list->count; i++) {
        const ptx_operand *o = &list->elements[i];
        if (o->kind != PTX_OP_SYMBOL || !sim_lower_param(l, o->name, &(*params)[i])) {
            return sim_lower_fail(l, "an argument of the call is no .param variable");
        }
    }
    return true;
}

/* call{.uni} {(results),} function-or-register {, (arguments)} {, prototype} */
static bool lower_call(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    static const ptx_operand none = {.kind = PTX_OP_PARENS};
    call_site *site = sim_lower_alloc(l, sizeof *site);
    memset(site, 0, sizeof *site);
    uint32_t at = ptx->operand[0].kind == PTX_OP_PARENS ? 1 : 0;
    const ptx_operand *results = at == 1 ? &ptx->operand[0] : &none, *callee = &ptx->operand[at];
    bool has_args = ptx->operands > at + 1 && ptx->operand[at + 1].kind == PTX_OP_PARENS;
    if (!lower_params(l, results, &site->results, &site->result_count) ||
        !lower_params(l, has_args ? &ptx->operand[at + 1] : &none, &site->args, &site->arg_count)) {
        return false;
    }
    inst->kind = SIM_CONTROL;
    inst->klass = SIM_CLASS_BRANCH;
    inst->extra = site;
    if (callee->kind == PTX_OP_REGISTER) {
        inst->a = sim_lower_source(l, callee, PTX_U64);
        inst->run = call_indirect;
        return true;
    }
    site->target = callee->name != NULL ? sim_lower_function(l, callee->name) : NULL;
    if (site->target == NULL || (site->target->code_count == 0 && !sim_function_has_body(l, callee->name) &&
                                 !is_system(callee->name))) {
        return sim_lower_fail(l, "a call of %s, which has no body here",
                              callee->name ? callee->name : "nothing");
    }
    inst->run = call_direct;
    return true;
}

static void leave(sim_warp *w, const sim_inst *i, sim_mask on)
{
    (void)i;
    sim_warp_exit(w, on);
}

/* ret of a kernel ends its lanes; of a function, it copies the results into the caller's variables. */
static void give_results(sim_warp *w, const sim_inst *i, sim_mask on)
{
    sim_fragment *f = sim_running(w);
    sim_frame *frame = f->frame, *caller = frame->caller;
    if (caller == NULL) {
        leave(w, i, on);
        return;
    }
    leave_rest(w, on);
    const call_site *site = frame->call->extra;
    uint32_t count = frame->function->result_count;
    count = count < site->result_count ? count : site->result_count;
    copy_params(caller, site->results, frame, frame->function->results, count, on);
    w->pc = frame->return_pc;
    f->frame = caller;
    caller->users++; /* the fragment itself; releasing the last one of `frame` takes back what the call had
                        counted */
    sim_frame_release(w, frame);
}

static bool lower_return(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    (void)l;
    inst->kind = SIM_CONTROL;
    inst->klass = SIM_CLASS_BRANCH;
    inst->run = strcmp(ptx->opcode, "exit") == 0 ? leave : give_results;
    return true;
}

static void trap(sim_warp *w, const sim_inst *i, sim_mask on)
{
    sim_report_lane(w, i, (uint32_t)__builtin_ctz(on), SIM_ASSERT, 0, 0, "trap");
    sim_trap(w, SIM_ERROR_LAUNCH_FAILED);
}

static bool lower_trap(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    (void)l;
    (void)ptx;
    inst->klass = SIM_CLASS_BRANCH;
    inst->run = trap;
    return true;
}

/* ---- barriers ---- */

/* flags of barrier instructions, beside SIM_ALL_MEMBERS */
enum { WAITS = 1 };

static void barrier(sim_warp *w, const sim_inst *i, sim_mask on)
{
    uint32_t lane = (uint32_t)__builtin_ctz(on);
    uint32_t number = sim_u32(w, i->a)[lane],
             expected = i->b.bank == SIM_NOTHING ? 0 : sim_u32(w, i->b)[lane];
    if (number > 15 || expected % SIM_LANES != 0) {
        sim_report_lane(w, i, lane, SIM_BARRIER_DIVERGENCE, 0, 0,
                        "barrier %u for %u threads: there are 16, for multiples of 32 threads", number,
                        expected);
        sim_trap(w, SIM_ERROR_ILLEGAL_INSTRUCTION);
        return;
    }
    sim_mask value = 0;
    if (i->psrc != SIM_NO_PRED) {
        value = i->psrc_negated ? ~w->pred[i->psrc] : w->pred[i->psrc];
    }
    leave_rest(w, on);
    sim_barrier_come(w, number, expected, (i->flags & WAITS) != 0, value);
}

static void warp_barrier(sim_warp *w, const sim_inst *i, sim_mask on)
{
    (void)w; /* the loop has gathered the members, and told the checkers */
    (void)i;
    (void)on;
}

/* bar.red.op d, a{, b}, {!}c: and, or give a predicate, popc a number. */
static bool lower_reduction(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    inst->mods = ptx_has(ptx, "and") ? SIM_BAR_AND : ptx_has(ptx, "or") ? SIM_BAR_OR : SIM_BAR_POPC;
    if (ptx->operands < 3 || ptx->operands > 4) {
        return sim_lower_fail(l, "bar.red takes three or four operands");
    }
    if (inst->mods == SIM_BAR_POPC) {
        inst->dst = sim_lower_dest(l, &ptx->operand[0], PTX_B32);
    } else {
        inst->pdst = sim_lower_pred(l, &ptx->operand[0], NULL);
    }
    inst->a = sim_lower_source(l, &ptx->operand[1], PTX_B32);
    if (ptx->operands == 4) {
        inst->b = sim_lower_source(l, &ptx->operand[2], PTX_B32);
    }
    inst->psrc = sim_lower_pred(l, &ptx->operand[ptx->operands - 1], &inst->psrc_negated);
    return true;
}

/* bar{.cta} is barrier{.cta}.aligned: all lanes of a warp come together, or it is a finding. */
static bool lower_barrier(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    bool aligned = strcmp(ptx->opcode, "bar") == 0 || ptx_has(ptx, "aligned");
    inst->klass = SIM_CLASS_BARRIER;
    if (ptx_has(ptx, "warp")) {
        inst->kind = SIM_COLLECTIVE;
        inst->klass = SIM_CLASS_WARP;
        inst->c = sim_lower_source(l, &ptx->operand[0], PTX_B32);
        inst->run = warp_barrier;
        return true;
    }
    if (ptx_has(ptx, "cluster")) {
        return sim_lower_fail(l, "barriers of clusters are not simulated");
    }
    inst->kind = aligned ? SIM_COLLECTIVE : SIM_CONTROL;
    inst->flags = (uint8_t)((aligned ? SIM_ALL_MEMBERS : 0) | (ptx_has(ptx, "arrive") ? 0 : WAITS));
    inst->run = barrier;
    if (ptx_has(ptx, "red")) {
        return lower_reduction(l, ptx, inst);
    }
    if (ptx->operands < 1 || ptx->operands > 2) {
        return sim_lower_fail(l, "a barrier takes its number and, at most, a count of threads");
    }
    inst->a = sim_lower_source(l, &ptx->operand[0], PTX_B32);
    if (ptx->operands == 2) {
        inst->b = sim_lower_source(l, &ptx->operand[1], PTX_B32);
    }
    return true;
}

/* ---- fences, sleep ---- */

static void fence(sim_warp *w, const sim_inst *i, sim_mask on)
{
    atomic_thread_fence(memory_order_seq_cst);
    sim_check_fence(w, on, (sim_scope)i->mods);
}

static bool lower_fence(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    (void)l;
    inst->mods = ptx_has(ptx, "cta")                         ? SIM_SCOPE_CTA
                 : ptx_has(ptx, "gl") || ptx_has(ptx, "gpu") ? SIM_SCOPE_GPU
                                                             : SIM_SCOPE_SYS;
    inst->klass = SIM_CLASS_BARRIER;
    inst->run = fence;
    return true;
}

static void sleep_on(sim_warp *w, const sim_inst *i, sim_mask on)
{
    (void)i;
    (void)on;
    w->budget = 0; /* others first */
}

static bool lower_sleep(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    (void)l;
    (void)ptx;
    inst->klass = SIM_CLASS_BRANCH;
    inst->run = sleep_on;
    return true;
}

/* ---- special registers ---- */

enum {
    CLOCK,
    CLOCK_HIGH,
    TIMER,
    TIMER_LOW,
    TIMER_HIGH,
    SM,
    SMS,
    GRID,
    RESERVED,
    RESERVED_HALF,
    RESERVED_END,
    RESERVED_ALL
};

static uint64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t special_value(const sim_warp *w, uint32_t which)
{
    switch (which) {
    case CLOCK: return w->instructions + (uint64_t)(w->quantum - w->budget);
    case CLOCK_HIGH: return (w->instructions + (uint64_t)(w->quantum - w->budget)) >> 32;
    case TIMER: return nanoseconds();
    case TIMER_LOW: return nanoseconds() & 0xffffffffu;
    case TIMER_HIGH: return nanoseconds() >> 32;
    case SM: return w->worker->index;
    case SMS: return sim_options.threads < 1 ? 1 : (uint64_t)sim_options.threads; /* most workers */
    case RESERVED: return w->block->reserved_at;
    case RESERVED_HALF: return w->block->reserved_at + SIM_RESERVED_BYTES / 2;
    case RESERVED_END: return w->block->reserved_at + SIM_RESERVED_BYTES;
    case RESERVED_ALL: return SIM_RESERVED_BYTES;
    default: return w->block->launch->number;
    }
}

static void read_special(sim_warp *w, const sim_inst *i, sim_mask on)
{
    uint64_t value = special_value(w, i->mods);
    for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
        if (on >> lane & 1) {
            if (i->dst.bytes == 8) {
                sim_u64(w, i->dst)[lane] = value;
            } else {
                sim_u32(w, i->dst)[lane] = (uint32_t)value;
            }
        }
    }
}

bool SIM_NAME(sim_lower_special)(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    static const struct {
        const char *name;
        uint8_t which;
    } known[] = {
        {"%clock", CLOCK},
        {"%clock64", CLOCK},
        {"%clock_hi", CLOCK_HIGH},
        {"%globaltimer", TIMER},
        {"%globaltimer_lo", TIMER_LOW},
        {"%globaltimer_hi", TIMER_HIGH},
        {"%smid", SM},
        {"%nsmid", SMS},
        {"%gridid", GRID},
        {"%reserved_smem_offset_begin", RESERVED},
        {"%reserved_smem_offset_0", RESERVED},
        {"%reserved_smem_offset_1", RESERVED_HALF},
        {"%reserved_smem_offset_end", RESERVED_END},
        {"%reserved_smem_offset_cap", RESERVED_ALL},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(ptx->operand[1].name, known[i].name) == 0) {
            if (known[i].which >= RESERVED && !sim_lower_reserved(l)) {
                return false;
            }
            inst->dst = sim_lower_dest(l, &ptx->operand[0], ptx_nth_type(ptx, 0));
            inst->mods = known[i].which;
            inst->klass = SIM_CLASS_MOVE;
            inst->run = read_special;
            return true;
        }
    }
    return sim_lower_fail(l, "special register %s is not simulated", ptx->operand[1].name);
}

const sim_op SIM_NAME(sim_ops_control)[] = {
    {"bra", lower_branch},
    {"brx", lower_branch_indexed},
    {"call", lower_call},
    {"ret", lower_return},
    {"exit", lower_return},
    {"trap", lower_trap},
    {"brkpt", lower_trap},
    {"bar", lower_barrier},
    {"barrier", lower_barrier},
    {"membar", lower_fence},
    {"fence", lower_fence},
    {"nanosleep", lower_sleep},
    {NULL, NULL},
};
