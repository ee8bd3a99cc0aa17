/*
 * Slots for registers. PTX has thousands of virtual registers; a warp's real file should stay in the cache.
 *
 * Liveness is that of one thread, by the classical equations over blocks; it is right for a warp whose lanes
 * run apart, since a handler writes its own lanes of a slot and no others: each lane sees a register file of
 * its own. A guarded definition does not end a life (the lane may keep the old value). A life is then one
 * stretch of the text that covers every place where the register is live, and slots are handed out along the
 * text. Predicates are small: each has its own number.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/lower_body.h"

typedef void visit(void *context, const ptx_register *reg, bool defines);

static void visit_operand(const ptx_operand *o, bool defines, visit *call, void *context)
{
    if (o->kind == PTX_OP_REGISTER || o->kind == PTX_OP_ADDRESS) {
        if (o->reg != NULL) {
            call(context, o->reg, defines && o->kind == PTX_OP_REGISTER);
        }
    }
    for (uint32_t i = 0; i < o->count; i++) {
        visit_operand(&o->elements[i], defines, call, context);
    }
}

/* Everything that has a destination names it first; what stores, jumps or waits has none. */
bool sim_writes_first(const ptx_instruction *inst)
{
    static const char *const none[] = {"bra",       "brx",        "call", "ret", "exit",
                                       "nanosleep", "setmaxnreg", "st",   "red"};
    if (inst->operands == 0 || inst->operand[0].kind == PTX_OP_ADDRESS) {
        return false;
    }
    if (strcmp(inst->opcode, "bar") == 0 || strcmp(inst->opcode, "barrier") == 0) {
        return ptx_has(inst, "red");
    }
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        if (strcmp(inst->opcode, none[i]) == 0) {
            return false;
        }
    }
    return true;
}

static void visit_instruction(const ptx_instruction *inst, visit *call, void *context)
{
    bool writes = sim_writes_first(inst);
    if (inst->guard != NULL) {
        call(context, inst->guard, false);
    }
    for (uint32_t i = writes ? 1 : 0; i < inst->operands; i++) {
        visit_operand(&inst->operand[i], false, call, context);
    }
    if (writes) {
        visit_operand(&inst->operand[0], true, call, context);
    }
}

/* Bit sets of registers, one row a block. */
typedef struct {
    uint32_t words;
    uint64_t *use, *def, *in, *out;
    uint32_t block; /* during the first pass */
    bool guarded;
} sets;

static void note(void *context, const ptx_register *reg, bool defines)
{
    sets *s = context;
    uint64_t *use = s->use + (size_t)s->block * s->words, *def = s->def + (size_t)s->block * s->words;
    uint64_t bit = 1ull << (reg->id % 64);
    if (!defines && !(def[reg->id / 64] & bit)) {
        use[reg->id / 64] |= bit;
    } else if (defines && !s->guarded) {
        def[reg->id / 64] |= bit;
    } else if (defines && !(def[reg->id / 64] & bit)) {
        use[reg->id / 64] |= bit; /* a guarded definition lets the old value through */
    }
}

static void collect(const sim_lowering *l, sets *s)
{
    for (s->block = 0; s->block < l->flow.count; s->block++) {
        for (uint32_t i = l->flow.block[s->block].first; i < l->flow.block[s->block].last; i++) {
            s->guarded = l->ptx->code[i].guard != NULL;
            visit_instruction(&l->ptx->code[i], note, s);
        }
    }
}

/* in = use | (out & ~def), out = the successors' in; true if something changed. */
static bool update(const sim_lowering *l, sets *s, uint32_t block)
{
    size_t row = (size_t)block * s->words;
    bool changed = false;
    for (uint32_t i = 0; i < l->flow.block[block].next_count; i++) {
        const uint64_t *next = s->in + (size_t)l->flow.block[block].next[i] * s->words;
        for (uint32_t w = 0; w < s->words; w++) {
            s->out[row + w] |= next[w];
        }
    }
    for (uint32_t w = 0; w < s->words; w++) {
        uint64_t in = s->use[row + w] | (s->out[row + w] & ~s->def[row + w]);
        changed |= in != s->in[row + w];
        s->in[row + w] = in;
    }
    return changed;
}

typedef struct {
    uint32_t *first, *last, at;
} lives;

static void stretch(lives *v, uint32_t reg, uint32_t from, uint32_t to)
{
    v->first[reg] = from < v->first[reg] ? from : v->first[reg];
    v->last[reg] = to > v->last[reg] ? to : v->last[reg];
}

static void touch(void *context, const ptx_register *reg, bool defines)
{
    lives *v = context;
    (void)defines;
    stretch(v, reg->id, v->at, v->at);
}

static void stretch_set(lives *v, const uint64_t *set, uint32_t words, uint32_t from, uint32_t to)
{
    for (uint32_t w = 0; w < words; w++) {
        for (uint64_t rest = set[w]; rest != 0; rest &= rest - 1) {
            stretch(v, w * 64 + (uint32_t)__builtin_ctzll(rest), from, to);
        }
    }
}

static void find_lives(const sim_lowering *l, lives *v)
{
    uint32_t words = (l->ptx->register_count + 63) / 64;
    size_t row = (size_t)words * l->flow.count;
    uint64_t *memory = sim_calloc(4 * row + 1, sizeof *memory);
    sets s = {
        .words = words, .use = memory, .def = memory + row, .in = memory + 2 * row, .out = memory + 3 * row};
    collect(l, &s);
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t b = l->flow.count; b-- > 0;) {
            changed |= update(l, &s, b);
        }
    }
    for (uint32_t b = 0; b < l->flow.count; b++) {
        const sim_flow_block *block = &l->flow.block[b];
        stretch_set(v, s.in + (size_t)b * words, words, block->first, block->first);
        stretch_set(v, s.out + (size_t)b * words, words, block->last - 1, block->last - 1);
    }
    for (v->at = 0; v->at < l->ptx->code_count; v->at++) {
        visit_instruction(&l->ptx->code[v->at], touch, v);
    }
    free(memory);
}

static uint32_t slots_of(const ptx_register *reg)
{
    uint32_t bytes = ptx_type_bytes(reg->type);
    return bytes <= 4 ? 1 : bytes / 4;
}

/*
 * Free slots, those of each width (1, 2 or 4 slots) apart. A lane's part of a wide register lies elsewhere
 * than its part of a narrow one in the same slots: if widths shared them, a lane that runs ahead would write
 * over what another one still needs.
 */
typedef struct {
    uint32_t *slot, count;
} free_slots;

static uint32_t take_slots(free_slots widths[3], uint32_t *used, uint32_t count)
{
    free_slots *f = &widths[count / 2];
    if (f->count > 0) {
        return f->slot[--f->count];
    }
    *used += count;
    return *used - count;
}

static void give_slots(free_slots widths[3], uint32_t slot, uint32_t count)
{
    free_slots *f = &widths[count / 2];
    f->slot[f->count++] = slot;
}

/* Registers by the instruction at which a list (of begins, or of ends) names them. */
static uint32_t *list_by(const uint32_t *place, uint32_t registers, uint32_t code, uint32_t *next)
{
    uint32_t *head = sim_calloc(code + 1, sizeof *head);
    for (uint32_t r = registers; r-- > 0;) {
        if (place[r] < code) {
            next[r] = head[place[r]];
            head[place[r]] = r + 1;
        }
    }
    return head;
}

static void hand_out(sim_lowering *l, const lives *v)
{
    uint32_t n = l->ptx->register_count, code = l->ptx->code_count, used = 0;
    uint32_t *memory = sim_calloc(5 * (size_t)n + 1, sizeof *memory), *next_begin = memory,
             *next_end = memory + n;
    free_slots widths[3] = {{memory + 2 * n, 0}, {memory + 3 * n, 0}, {memory + 4 * n, 0}};
    uint32_t *begins = list_by(v->first, n, code, next_begin), *ends = list_by(v->last, n, code, next_end);
    for (uint32_t i = 0; i < code; i++) {
        for (uint32_t r = i > 0 ? ends[i - 1] : 0; r != 0;
             r = next_end[r - 1]) { /* ended before this instruction */
            const ptx_register *reg = l->ptx->registers[r - 1];
            if (reg->type != PTX_PRED) {
                give_slots(widths, l->slot[r - 1], slots_of(reg));
            }
        }
        for (uint32_t r = begins[i]; r != 0; r = next_begin[r - 1]) {
            const ptx_register *reg = l->ptx->registers[r - 1];
            if (reg->type != PTX_PRED) {
                l->slot[r - 1] = (uint16_t)take_slots(widths, &used, slots_of(reg));
            }
        }
    }
    l->function->register_slots = used;
    free(memory);
    free(begins);
    free(ends);
}

bool sim_liveness_assign(sim_lowering *l)
{
    uint32_t n = l->ptx->register_count, predicates = SIM_CARRY_PRED + 1;
    l->slot = sim_arena_take(l->module->arena, (n + 1) * sizeof *l->slot);
    for (uint32_t r = 0; r < n; r++) {
        if (l->ptx->registers[r]->type == PTX_PRED) {
            l->slot[r] = (uint16_t)predicates++;
        }
    }
    l->function->predicates = predicates;
    lives v = {.first = sim_calloc(n + 1, sizeof(uint32_t)), .last = sim_calloc(n + 1, sizeof(uint32_t))};
    memset(v.first, 0xff, n * sizeof(uint32_t));
    find_lives(l, &v);
    hand_out(l, &v);
    free(v.first);
    free(v.last);
    return predicates < SIM_NO_PRED && l->function->register_slots < UINT16_MAX;
}
