/* Operands of instructions: from the tree's registers, literals and names to places. Contracts stand in
 * lower.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/lower_body.h"
#include "tests/gpusim/ops/arith.h"

bool sim_lower_fail(sim_lowering *l, const char *format, ...)
{
    if (l->failed) {
        return false; /* the first reason stays */
    }
    const ptx_instruction *inst = l->current;
    const ptx_module *ptx = l->module->ptx;
    char reason[256];
    va_list list;
    va_start(list, format);
    vsnprintf(reason, sizeof reason, format, list);
    va_end(list);
    l->failed = true;
    const char *file = inst && inst->loc_file < ptx->file_count ? ptx->files[inst->loc_file] : NULL;
    snprintf(l->error, l->error_size, "PTX line %u (%s:%u): %s: %s", inst ? inst->line : 0,
             file ? file : l->ptx->name, inst ? inst->loc_line : 0,
             inst && inst->text ? inst->text : l->ptx->name, reason);
    return false;
}

void *sim_lower_alloc(sim_lowering *l, size_t bytes)
{
    return sim_arena_take(l->module->arena, bytes);
}

/* ---- constants ---- */

static void grow_table(sim_lowering *l)
{
    uint32_t old = l->constant_table, size = old == 0 ? 64 : 2 * old;
    uint64_t *keys = sim_calloc(size, sizeof *keys);
    uint32_t *places = sim_calloc(size, sizeof *places);
    for (uint32_t i = 0; i < old; i++) {
        if (l->constant_places[i] != 0) {
            uint32_t at = (uint32_t)(l->constant_keys[i] * 0x9E3779B97F4A7C15ull >> 32) & (size - 1);
            while (places[at] != 0) {
                at = (at + 1) & (size - 1);
            }
            keys[at] = l->constant_keys[i];
            places[at] = l->constant_places[i];
        }
    }
    free(l->constant_keys);
    free(l->constant_places);
    l->constant_keys = keys;
    l->constant_places = places;
    l->constant_table = size;
}

static uint32_t append_constant(sim_lowering *l, uint64_t value, uint32_t slots)
{
    uint32_t first = l->constant_slots;
    l->constant_slots += slots;
    if (l->constant_slots > l->constant_capacity) {
        l->constant_capacity = 2 * l->constant_slots + 16;
        l->constants = sim_realloc(l->constants, (size_t)l->constant_capacity * 128);
    }
    for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
        if (slots == 2) {
            memcpy(l->constants + (size_t)first * SIM_LANES + 2 * lane, &value, 8);
        } else {
            l->constants[(size_t)first * SIM_LANES + lane] = (uint32_t)value;
        }
    }
    return first;
}

sim_operand sim_lower_constant(sim_lowering *l, uint64_t value, uint32_t bytes)
{
    const uint32_t wide = 0x80000000u, flag = bytes == 8 ? wide : 0;
    if (l->constant_table == 0 || 2 * l->constant_slots >= l->constant_table) {
        grow_table(l);
    }
    uint32_t at = (uint32_t)(value * 0x9E3779B97F4A7C15ull >> 32) & (l->constant_table - 1);
    for (;; at = (at + 1) & (l->constant_table - 1)) {
        uint32_t place = l->constant_places[at];
        if (place == 0) {
            l->constant_keys[at] = value;
            l->constant_places[at] = (append_constant(l, value, bytes == 8 ? 2 : 1) + 1) | flag;
            place = l->constant_places[at];
        }
        if (l->constant_keys[at] == value && (place & wide) == flag) {
            if (l->constant_slots >= UINT16_MAX) {
                sim_lower_fail(l, "more constants than a function may have");
            }
            return (sim_operand){
                .bank = SIM_CONST, .slot = (uint16_t)((place & ~wide) - 1), .bytes = (uint8_t)bytes};
        }
    }
}

/* ---- registers and literals ---- */

static const sim_operand nothing = {.bank = SIM_NOTHING};

static sim_operand register_place(const sim_lowering *l, const ptx_register *reg)
{
    return (sim_operand){
        .bank = SIM_REG, .slot = l->slot[reg->id], .bytes = (uint8_t)ptx_type_bytes(reg->type)};
}

static uint64_t literal(const ptx_operand *o, ptx_type type)
{
    float narrow;
    double wide;
    uint32_t bits = (uint32_t)o->value;
    memcpy(&narrow, &bits, 4);
    memcpy(&wide, &o->value, 8);
    if (type == PTX_F64) {
        wide = o->is_f32 ? (double)narrow : wide;
        uint64_t all;
        memcpy(&all, &wide, 8);
        return all;
    }
    if (type == PTX_F16) {
        return sim_to_f16(o->is_f32 ? narrow : (float)wide);
    }
    if (!o->is_f32 && ptx_type_bytes(type) == 4) {
        narrow = (float)wide;
        memcpy(&bits, &narrow, 4);
        return bits;
    }
    return o->is_f32 ? bits : o->value;
}

sim_special sim_special_slot(const char *name)
{
    static const char *const names[SIM_SPECIALS] = {
        [SIM_TID_X] = "%tid.x",
        [SIM_TID_Y] = "%tid.y",
        [SIM_TID_Z] = "%tid.z",
        [SIM_NTID_X] = "%ntid.x",
        [SIM_NTID_Y] = "%ntid.y",
        [SIM_NTID_Z] = "%ntid.z",
        [SIM_CTAID_X] = "%ctaid.x",
        [SIM_CTAID_Y] = "%ctaid.y",
        [SIM_CTAID_Z] = "%ctaid.z",
        [SIM_NCTAID_X] = "%nctaid.x",
        [SIM_NCTAID_Y] = "%nctaid.y",
        [SIM_NCTAID_Z] = "%nctaid.z",
        [SIM_LANEID] = "%laneid",
        [SIM_WARPID] = "%warpid",
        [SIM_NWARPID] = "%nwarpid",
        [SIM_LANEMASK_EQ] = "%lanemask_eq",
        [SIM_LANEMASK_LE] = "%lanemask_le",
        [SIM_LANEMASK_LT] = "%lanemask_lt",
        [SIM_LANEMASK_GE] = "%lanemask_ge",
        [SIM_LANEMASK_GT] = "%lanemask_gt",
        [SIM_DYNAMIC_SMEM_SIZE] = "%dynamic_smem_size",
        [SIM_TOTAL_SMEM_SIZE] = "%total_smem_size",
        [SIM_WARP_SZ] = "WARP_SZ",
    };
    for (int i = 0; i < SIM_SPECIALS; i++) {
        if (strcmp(names[i], name) == 0) {
            return (sim_special)i;
        }
    }
    return SIM_SPECIALS;
}

bool sim_lower_reserved(sim_lowering *l)
{
    if (!l->function->is_entry) { /* the kernels that call it would not know */
        return sim_lower_fail(l, "reserved shared memory is simulated in kernels only");
    }
    l->function->reads_reserved = true;
    return true;
}

/* The one instruction that gives a register its value; NULL where there are several, or none. */
static const ptx_instruction *only_definition(const sim_lowering *l, const ptx_register *reg)
{
    const ptx_instruction *found = NULL, *end = l->ptx->code + l->ptx->code_count;
    for (const ptx_instruction *i = l->ptx->code; i < end; i++) {
        if (sim_writes_first(i) && i->operand[0].reg == reg) {
            if (found != NULL) {
                return NULL;
            }
            found = i;
        }
    }
    return found;
}

/* Whether two operands hold one address: as written, or behind mov, cvta and sums of the same parts. */
static bool is_same_address(const sim_lowering *l, const ptx_operand *a, const ptx_operand *b, int depth)
{
    if (a->reg == NULL && b->reg == NULL) { /* numbers, or names */
        const char *of_a = a->name != NULL ? a->name : "", *of_b = b->name != NULL ? b->name : "";
        return a->value == b->value && strcmp(of_a, of_b) == 0;
    }
    if (a->reg == b->reg) {
        return a->value == b->value;
    }
    const ptx_instruction *of_a = a->reg != NULL ? only_definition(l, a->reg) : NULL;
    const ptx_instruction *of_b = b->reg != NULL ? only_definition(l, b->reg) : NULL;
    const ptx_instruction *of[] = {of_a, of_b};
    for (int i = 0; i < 2 && depth > 0; i++) {
        if (of[i] != NULL && (strcmp(of[i]->opcode, "cvta") == 0 || strcmp(of[i]->opcode, "mov") == 0)) {
            ptx_operand behind = of[i]->operand[1];
            behind.value += i == 0 ? a->value : b->value;
            return is_same_address(l, i == 0 ? &behind : a, i == 0 ? b : &behind, depth - 1);
        }
    }
    return depth > 0 && a->value == b->value && of_a != NULL && of_b != NULL &&
           strcmp(of_a->opcode, "add") == 0 && strcmp(of_b->opcode, "add") == 0 &&
           is_same_address(l, &of_a->operand[1], &of_b->operand[1], depth - 1) &&
           is_same_address(l, &of_a->operand[2], &of_b->operand[2], depth - 1);
}

bool sim_lower_feeds_swap(const sim_lowering *l, const ptx_instruction *load)
{
    enum { NEAR = 64 /* instructions */, DEPTH = 6 /* definitions behind an address */ };
    const ptx_operand *to = &load->operand[0], *from = &load->operand[1];
    if (strcmp(load->opcode, "ld") != 0 || to->kind != PTX_OP_REGISTER || from->reg == NULL) {
        return false;
    }
    const ptx_instruction *end = l->ptx->code + l->ptx->code_count;
    for (const ptx_instruction *i = load + 1; i < end && i <= load + NEAR; i++) {
        if (strcmp(i->opcode, "atom") == 0 && ptx_has(i, "cas") && i->operand[2].reg == to->reg &&
            is_same_address(l, &i->operand[1], from, DEPTH)) {
            return true;
        }
    }
    return false;
}

/* ---- names ---- */

/* The address of a name that has a fixed one: a variable of the module, a shared variable of the body, a
 * function. */
static bool fixed_address(sim_lowering *l, const char *name, uint64_t *address)
{
    int64_t local = sim_map_get(&l->locals, name);
    if (local >= 0 && l->ptx->variables[local].space == PTX_SHARED) {
        *address = l->local_offset[local];
        return true;
    }
    const sim_symbol *symbol = sim_lowering_symbol(l, name);
    if (symbol != NULL) {
        *address = symbol->address;
        return true;
    }
    int64_t function = sim_lowering_function_index(l, name);
    if (function >= 0) {
        *address = l->module->function_address[function];
        return true;
    }
    return false;
}

static sim_operand symbol_place(sim_lowering *l, const ptx_operand *o, ptx_type type)
{
    uint64_t address = 0;
    if (!fixed_address(l, o->name, &address)) {
        sim_lower_fail(l, "%s is not known here", o->name);
    }
    return sim_lower_constant(l, address + o->value, ptx_type_bytes(type) == 4 ? 4 : 8);
}

sim_operand sim_lower_source(sim_lowering *l, const ptx_operand *operand, ptx_type type)
{
    uint32_t bytes = ptx_type_bytes(type);
    sim_special special;
    switch (operand->kind) {
    case PTX_OP_REGISTER:
        if (operand->reg->type == PTX_PRED) {
            sim_lower_fail(l, "%s is a predicate", operand->reg->name);
        }
        return register_place(l, operand->reg);
    case PTX_OP_INTEGER:
        return sim_lower_constant(
            l, bytes == 0 || bytes >= 8 ? operand->value : operand->value & ((1ull << 8 * bytes) - 1),
            bytes >= 8   ? 8
            : bytes == 0 ? 4
                         : bytes);
    case PTX_OP_FLOAT: return sim_lower_constant(l, literal(operand, type), bytes >= 8 ? 8 : bytes);
    case PTX_OP_SPECIAL:
        special = sim_special_slot(operand->name);
        if (special == SIM_SPECIALS) {
            sim_lower_fail(l, "%s can't stand here", operand->name);
            return nothing;
        }
        return (sim_operand){.bank = SIM_SPECIAL, .slot = (uint16_t)special, .bytes = 4};
    case PTX_OP_SYMBOL: return symbol_place(l, operand, type);
    default: sim_lower_fail(l, "an operand is no source"); return nothing;
    }
}

sim_operand sim_lower_dest(sim_lowering *l, const ptx_operand *operand, ptx_type type)
{
    (void)type;
    if (operand->kind == PTX_OP_SINK) {
        return nothing;
    }
    if (operand->kind != PTX_OP_REGISTER || operand->reg->type == PTX_PRED) {
        sim_lower_fail(l, "a destination is no register");
        return nothing;
    }
    return register_place(l, operand->reg);
}

uint16_t sim_lower_pred(sim_lowering *l, const ptx_operand *operand, uint8_t *negated)
{
    if (operand->kind == PTX_OP_SINK) {
        return SIM_NO_PRED;
    }
    if (operand->kind != PTX_OP_REGISTER || operand->reg->type != PTX_PRED) {
        sim_lower_fail(l, "an operand is no predicate");
        return SIM_NO_PRED;
    }
    if (negated != NULL) {
        *negated = operand->negated;
    }
    return l->slot[operand->reg->id];
}

sim_operand sim_lower_address(sim_lowering *l, const ptx_operand *operand, int64_t *imm,
                              sim_address_kind *kind)
{
    uint64_t address = 0;
    int64_t found;
    *kind = SIM_ADDRESS_PLAIN;
    *imm = (int64_t)operand->value;
    if (operand->reg != NULL) {
        return register_place(l, operand->reg);
    }
    if (operand->name == NULL) {
        return sim_lower_constant(l, 0, 8);
    }
    if ((found = sim_map_get(&l->params, operand->name)) >= 0) {
        bool entry = l->function->is_entry && found < (int64_t)l->ptx->param_count;
        *kind = entry ? SIM_ADDRESS_ENTRY_PARAM : SIM_ADDRESS_FRAME_PARAM;
        *imm += entry ? l->function->formals[found].offset : l->frame_param[found].offset;
        return nothing;
    }
    if ((found = sim_map_get(&l->locals, operand->name)) >= 0 &&
        l->ptx->variables[found].space == PTX_LOCAL) {
        *kind = SIM_ADDRESS_FRAME_LOCAL;
        *imm += l->local_offset[found];
        return nothing;
    }
    if (!fixed_address(l, operand->name, &address)) {
        sim_lower_fail(l, "%s is not known here", operand->name);
    }
    return sim_lower_constant(l, address, 8);
}

uint32_t sim_lower_list(sim_lowering *l, const sim_operand *operands, uint32_t count)
{
    uint32_t first = l->operand_count;
    for (uint32_t i = 0; i < count; i++) {
        l->operands = sim_grow(l->operands, l->operand_count, &l->operand_capacity, sizeof *l->operands);
        l->operands[l->operand_count++] = operands[i];
    }
    return first;
}

bool sim_lower_label(sim_lowering *l, const char *name, uint32_t *index)
{
    int64_t at = name != NULL ? sim_map_get(&l->labels, name) : -1;
    *index = at >= 0 ? (uint32_t)at : 0;
    return at >= 0;
}

const ptx_target_list *sim_lower_targets(sim_lowering *l, const char *name)
{
    int64_t at = name != NULL ? sim_map_get(&l->targets, name) : -1;
    return at >= 0 ? &l->ptx->targets[at] : NULL;
}

bool sim_lower_param(sim_lowering *l, const char *name, sim_param *param)
{
    int64_t at = name != NULL ? sim_map_get(&l->params, name) : -1;
    if (at < 0 || (l->function->is_entry && at < (int64_t)l->ptx->param_count)) {
        return false; /* a kernel's own parameters are no variables of its frame */
    }
    *param = l->frame_param[at];
    return true;
}

const sim_function *sim_lower_function(sim_lowering *l, const char *name)
{
    int64_t at = sim_lowering_function_index(l, name);
    return at >= 0 ? &l->module->functions[at] : NULL;
}

bool sim_function_has_body(sim_lowering *l, const char *name)
{
    int64_t at = sim_lowering_function_index(l, name);
    return at >= 0 && l->module->ptx->functions[at].has_body;
}
