/*
 * Modules: variables to addresses, functions to predecoded instructions. lower.h says what comes in and out;
 * the functions are lowered one after another, each by lower_body() below.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/device_calls.h"
#include "tests/gpusim/lower_body.h"
#include "tests/gpusim/memory.h"
#include "tests/gpusim/report.h"

/* ---- the op tables of every level (SIM_PLAIN_ONLY: of the first one) ---- */

#if defined(__x86_64__) && !defined(SIM_PLAIN_ONLY)
#define HAS_LEVELS 1
#endif

#define TABLE(file)                                                                                          \
    extern const sim_op sim_ops_##file##_plain[], sim_ops_##file##_avx2[], sim_ops_##file##_avx512[];
SIM_OP_FILES(TABLE)
#undef TABLE

#define PLAIN(file) sim_ops_##file##_plain,
#define AVX2(file) sim_ops_##file##_avx2,
#define AVX512(file) sim_ops_##file##_avx512,
static const sim_op *const tables[3][32] = {
    {SIM_OP_FILES(PLAIN) NULL},
#if defined(HAS_LEVELS)
    {SIM_OP_FILES(AVX2) NULL},
    {SIM_OP_FILES(AVX512) NULL},
#endif
};

/* The best level that this machine has, or the one that GPUSIM_ISA names. */
static int host_level(void)
{
    int best = 0;
#if defined(HAS_LEVELS)
    best = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    if (best && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        best = 2;
    }
#endif
    static const char *const names[3] = {"plain", "avx2", "avx512"};
    const char *asked = getenv("GPUSIM_ISA");
    for (int i = 0; asked != NULL && i <= best; i++) {
        if (strcmp(asked, names[i]) == 0) {
            return i;
        }
    }
    return best;
}

/* Opcodes to places in a list of all tables' lines. */
typedef struct {
    sim_map names;
    const sim_op **op;
    uint32_t count, capacity;
} op_index;

static void index_ops(op_index *index)
{
    for (const sim_op *const *table = tables[host_level()]; *table != NULL; table++) {
        for (const sim_op *op = *table; op->opcode != NULL; op++) {
            index->op = sim_grow(index->op, index->count, &index->capacity, sizeof *index->op);
            sim_map_put(&index->names, op->opcode, index->count);
            index->op[index->count++] = op;
        }
    }
}

/* ---- names of the module ---- */

/* What the lowering of one module knows. */
typedef struct {
    sim_module *module;
    sim_map symbols, functions;
    op_index ops;
    uint32_t shared_end;       /* of module level .shared */
    uint32_t functions_shared; /* of the bodies of device functions, behind it */
    uint32_t
        dynamic_base; /* where dynamic shared memory begins at the earliest (device functions may use it) */
    char *error;
    size_t error_size;
} builder;

/* While a module is being lowered its owner is the builder. */
static builder *builder_of(const sim_lowering *l)
{
    return l->module->owner;
}

const sim_symbol *sim_lowering_symbol(const sim_lowering *l, const char *name)
{
    int64_t at = sim_map_get(&builder_of(l)->symbols, name);
    return at >= 0 ? &l->module->symbols[at] : NULL;
}

int64_t sim_lowering_function_index(const sim_lowering *l, const char *name)
{
    return sim_map_get(&builder_of(l)->functions, name);
}

static void name_functions(builder *b)
{
    const ptx_module *ptx = b->module->ptx;
    for (uint32_t i = 0; i < ptx->function_count; i++) { /* bodies go before declarations of the same name */
        if (ptx->functions[i].has_body) {
            sim_map_put(&b->functions, ptx->functions[i].name, i);
        }
    }
    for (uint32_t i = 0; i < ptx->function_count; i++) {
        const ptx_function *f = &ptx->functions[i];
        int64_t alias = f->alias != NULL ? sim_map_get(&b->functions, f->alias) : -1;
        sim_map_put(&b->functions, f->name, alias >= 0 ? (uint32_t)alias : i);
    }
}

/* ---- variables of the module ---- */

static uint64_t align_up(uint64_t value, uint64_t align)
{
    align = align == 0 ? 1 : align;
    return (value + align - 1) / align * align;
}

static bool place_variable(builder *b, const ptx_variable *v, sim_symbol *symbol)
{
    symbol->variable = v;
    if (v->space == PTX_SHARED) {
        if (!v->is_unsized) {
            b->shared_end = (uint32_t)align_up(b->shared_end, v->align);
            symbol->address = b->shared_end;
            b->shared_end += (uint32_t)v->bytes;
        }
        return true;
    }
    if (v->is_extern || v->bytes == 0) {
        snprintf(b->error, b->error_size, "variable %s is declared here and defined nowhere", v->name);
        return false;
    }
    symbol->address = sim_memory_alloc(v->bytes, v->name);
    if (symbol->address == 0) {
        snprintf(b->error, b->error_size, "no device memory for variable %s of %llu bytes", v->name,
                 (unsigned long long)v->bytes);
        return false;
    }
    return true;
}

/* The value of one word of initial data. */
static bool initial_value(builder *b, const ptx_initialiser *word, uint64_t *value)
{
    *value = word->value;
    if (word->symbol == NULL) {
        return true;
    }
    int64_t symbol = sim_map_get(&b->symbols, word->symbol);
    int64_t function = symbol < 0 ? sim_map_get(&b->functions, word->symbol) : -1;
    if (symbol < 0 && function < 0) {
        snprintf(b->error, b->error_size, "initial data names %s, which is not known", word->symbol);
        return false;
    }
    *value += symbol >= 0 ? b->module->symbols[symbol].address : b->module->function_address[function];
    if (word->mask != 0) {
        *value = (*value & word->mask) >> __builtin_ctzll(word->mask);
    }
    return true;
}

static bool initialise(builder *b, const sim_symbol *symbol)
{
    const ptx_variable *v = symbol->variable;
    if (v->space != PTX_GLOBAL && v->space != PTX_CONST) {
        return true;
    }
    uint8_t *host = sim_memory_host(symbol->address);
    memset(host, 0, v->bytes);
    for (uint32_t i = 0; i < v->init_count; i++) {
        uint64_t value;
        if (!initial_value(b, &v->init[i], &value)) {
            return false;
        }
        if ((uint64_t)v->init[i].offset + v->init[i].bytes <= v->bytes && v->init[i].bytes <= 8) {
            memcpy(host + v->init[i].offset, &value, v->init[i].bytes);
        }
    }
    sim_memory_mark(symbol->address, v->bytes);
    if (v->space == PTX_CONST) {
        sim_memory_set_constant(symbol->address);
    }
    return true;
}

static bool place_variables(builder *b)
{
    sim_module *m = b->module;
    m->symbol_count = m->ptx->variable_count;
    m->symbols = sim_arena_take(m->arena, (m->symbol_count + 1) * sizeof *m->symbols);
    for (uint32_t i = 0; i < m->symbol_count; i++) {
        if (!place_variable(b, &m->ptx->variables[i], &m->symbols[i])) {
            return false;
        }
        sim_map_put(&b->symbols, m->ptx->variables[i].name, i);
    }
    for (uint32_t i = 0; i < m->symbol_count; i++) {
        if (!initialise(b, &m->symbols[i])) {
            return false;
        }
    }
    return true;
}

/* ---- parameters and frames ---- */

/* Offsets of a list of variables, each at its alignment; returns the end. */
static uint32_t lay_out(const ptx_variable *v, uint32_t count, uint32_t at, sim_param *params)
{
    for (uint32_t i = 0; i < count; i++) {
        at = (uint32_t)align_up(at, v[i].align);
        params[i] =
            (sim_param){.name = v[i].name, .offset = at, .bytes = (uint32_t)v[i].bytes, .align = v[i].align};
        at += (uint32_t)v[i].bytes;
    }
    return at;
}

/* What callers see of a function, before any body is lowered. */
static void describe(builder *b, uint32_t index)
{
    const ptx_function *ptx = &b->module->ptx->functions[index];
    sim_function *f = &b->module->functions[index];
    f->name = ptx->name;
    f->module = b->module;
    f->is_entry = ptx->is_entry;
    f->formal_count = ptx->param_count;
    f->result_count = ptx->result_count;
    f->formals = sim_arena_take(b->module->arena, (ptx->param_count + 1) * sizeof *f->formals);
    f->results = sim_arena_take(b->module->arena, (ptx->result_count + 1) * sizeof *f->results);
    f->param_bytes = lay_out(ptx->params, ptx->param_count, 0, f->formals);
    uint32_t end = ptx->is_entry ? 0 : f->param_bytes;
    f->frame_param_bytes = (uint32_t)align_up(lay_out(ptx->results, ptx->result_count, end, f->results), 16);
    const uint32_t *most = ptx->required_threads[0] ? ptx->required_threads : ptx->max_threads;
    if (most[0] != 0) {
        f->max_threads = most[0] * (most[1] ? most[1] : 1) * (most[2] ? most[2] : 1);
    }
}

/* Formals, results and the body's .param variables: one list, and names to it. */
static void name_params(sim_lowering *l)
{
    const ptx_function *ptx = l->ptx;
    sim_function *f = l->function;
    uint32_t n = 0, end = f->frame_param_bytes;
    l->frame_param =
        sim_arena_take(l->module->arena,
                       (ptx->param_count + ptx->result_count + ptx->variable_count + 1) * sizeof(sim_param));
    for (uint32_t i = 0; i < ptx->param_count; i++) {
        l->frame_param[n] = f->formals[i];
        sim_map_put(&l->params, f->formals[i].name, n++);
    }
    for (uint32_t i = 0; i < ptx->result_count; i++) {
        l->frame_param[n] = f->results[i];
        sim_map_put(&l->params, f->results[i].name, n++);
    }
    for (uint32_t i = 0; i < ptx->variable_count; i++) {
        if (ptx->variables[i].space == PTX_PARAM) {
            end = lay_out(&ptx->variables[i], 1, end, &l->frame_param[n]);
            sim_map_put(&l->params, ptx->variables[i].name, n++);
        }
    }
    l->frame_params = n;
    f->frame_param_bytes = (uint32_t)align_up(end, 16);
}

/* Where shared memory that is sized at launch begins: behind everything static, at 16 bytes or what a symbol
 * asks for. */
static uint32_t dynamic_align(const builder *b)
{
    uint32_t align = 16;
    for (uint32_t i = 0; i < b->module->symbol_count; i++) {
        const ptx_variable *v = b->module->symbols[i].variable;
        if (v->space == PTX_SHARED && v->is_unsized && v->align > align) {
            align = v->align;
        }
    }
    return align;
}

/* .local variables at offsets of the frame, .shared ones behind those of the module. */
static void place_locals(builder *b, sim_lowering *l)
{
    const ptx_function *ptx = l->ptx;
    uint32_t local = 0, shared = b->shared_end + (l->function->is_entry ? b->functions_shared : 0);
    if (!l->function->is_entry) {
        shared = b->shared_end + b->functions_shared;
    }
    l->local_offset = sim_arena_take(l->module->arena, (ptx->variable_count + 1) * sizeof(uint32_t));
    for (uint32_t i = 0; i < ptx->variable_count; i++) {
        const ptx_variable *v = &ptx->variables[i];
        uint32_t *at = v->space == PTX_LOCAL ? &local : &shared;
        if (v->space == PTX_LOCAL || v->space == PTX_SHARED) {
            *at = (uint32_t)align_up(*at, v->align);
            l->local_offset[i] = *at;
            *at += (uint32_t)v->bytes;
        }
        if (v->space != PTX_PARAM) {
            sim_map_put(&l->locals, v->name, i);
        }
    }
    l->function->local_bytes = local;
    l->function->shared_bytes = (uint32_t)align_up(shared, dynamic_align(b));
    if (l->function->shared_bytes < b->dynamic_base) {
        l->function->shared_bytes = b->dynamic_base;
    }
    if (!l->function->is_entry) {
        b->functions_shared = shared - b->shared_end;
    }
    for (uint32_t i = 0; i < b->module->symbol_count; i++) { /* this kernel's dynamic memory begins here */
        if (b->module->symbols[i].variable->space == PTX_SHARED &&
            b->module->symbols[i].variable->is_unsized) {
            b->module->symbols[i].address = l->function->shared_bytes;
        }
    }
}

/* ---- a function ---- */

static const char *file_name(const ptx_module *ptx, uint32_t file)
{
    return file != 0 && file < ptx->file_count ? ptx->files[file] : NULL;
}

/* A .cu or .cuh: the program's own code, not a function of the toolkit's headers. */
static bool is_program(const char *file)
{
    const char *dot = file != NULL ? strrchr(file, '.') : NULL;
    return dot != NULL && (strcmp(dot, ".cu") == 0 || strcmp(dot, ".cuh") == 0);
}

/* Code inlined from the toolkit's headers stands where the program calls it. */
static void fill_line(const sim_lowering *l, const ptx_instruction *inst, sim_line *line)
{
    const ptx_module *ptx = l->module->ptx;
    ptx_place place = {.file = inst->loc_file, .line = inst->loc_line};
    for (int i = 0; i < PTX_INLINED && !is_program(file_name(ptx, place.file)); i++) {
        place = is_program(file_name(ptx, inst->outer[i].file)) ? inst->outer[i] : place;
    }
    line->ptx_line = inst->line;
    line->file = file_name(ptx, place.file);
    line->file_line = line->file != NULL ? place.line : 0;
}

static bool lower_instruction(builder *b, sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    *inst = (sim_inst){.guard = SIM_NO_PRED,
                       .pdst = SIM_NO_PRED,
                       .pdst2 = SIM_NO_PRED,
                       .psrc = SIM_NO_PRED,
                       .dst.bank = SIM_NOTHING,
                       .a.bank = SIM_NOTHING,
                       .b.bank = SIM_NOTHING,
                       .c.bank = SIM_NOTHING};
    int64_t op = sim_map_get(&b->ops.names, ptx->opcode);
    l->current = ptx;
    if (op < 0) {
        return sim_lower_fail(l, "the simulator does not know the instruction %s", ptx->opcode);
    }
    const char *unknown = ptx_unknown_modifier(ptx);
    if (unknown != NULL) {
        return sim_lower_fail(l, "%s: the simulator does not know .%s of %s", ptx->text, unknown,
                              ptx->opcode);
    }
    if (!ptx_operands_fit(ptx)) {
        return sim_lower_fail(l, "%s: the simulator knows no %s of %u operands", ptx->text, ptx->opcode,
                              ptx->operands);
    }
    if (!b->ops.op[op]->lower(l, ptx, inst) || l->failed) {
        return sim_lower_fail(l, "the simulator does not know this form of %s", ptx->opcode);
    }
    if (ptx->guard != NULL) {
        inst->guard = l->slot[ptx->guard->id];
        inst->guard_negated = ptx->guard_negated;
    }
    l->function->calls |= strcmp(ptx->opcode, "call") == 0;
    return true;
}

/* Constants are read as whole vectors, so they move to aligned memory when all are known. */
static void keep_tables(sim_lowering *l)
{
    sim_function *f = l->function;
    size_t bytes = (size_t)l->constant_slots * 128;
    f->constants = sim_arena_aligned(l->module->arena, bytes + 128, 128);
    if (bytes > 0) {
        memcpy(f->constants, l->constants, bytes);
    }
    f->operands = sim_arena_copy(l->module->arena, l->operands ? (const void *)l->operands : (const void *)"",
                                 l->operand_count * sizeof *l->operands);
}

static void name_places(sim_lowering *l)
{
    for (uint32_t i = 0; i < l->ptx->label_count; i++) {
        sim_map_put(&l->labels, l->ptx->labels[i].name, l->ptx->labels[i].at);
    }
    for (uint32_t i = 0; i < l->ptx->target_count; i++) {
        sim_map_put(&l->targets, l->ptx->targets[i].name, i);
    }
}

/* The instructions, and a ret behind the last one for a text that ends without. */
static bool lower_code(builder *b, sim_lowering *l)
{
    static const ptx_instruction end = {.opcode = "ret", .text = "ret"};
    sim_function *f = l->function;
    uint32_t n = l->ptx->code_count;
    f->code = sim_arena_aligned(l->module->arena, (n + 1) * sizeof *f->code, 64);
    f->lines = sim_arena_take(l->module->arena, (n + 1) * sizeof *f->lines);
    for (uint32_t i = 0; i <= n; i++) {
        const ptx_instruction *inst = i < n ? &l->ptx->code[i] : &end;
        if (!lower_instruction(b, l, inst, &f->code[i])) {
            return false;
        }
        f->code[i].line = i;
        fill_line(l, i < n ? inst : &l->ptx->code[n > 0 ? n - 1 : 0], &f->lines[i]);
    }
    f->code_count = n + 1;
    return true;
}

static void free_lowering(sim_lowering *l)
{
    sim_map_free(&l->labels);
    sim_map_free(&l->params);
    sim_map_free(&l->locals);
    sim_map_free(&l->targets);
    free(l->constants);
    free(l->constant_keys);
    free(l->constant_places);
    free(l->operands);
}

static bool lower_body(builder *b, uint32_t index)
{
    sim_lowering l = {.module = b->module,
                      .ptx = &b->module->ptx->functions[index],
                      .function = &b->module->functions[index],
                      .error = b->error,
                      .error_size = b->error_size};
    if (!l.ptx->has_body || l.ptx->code_count == 0) {
        return true;
    }
    name_places(&l);
    name_params(&l);
    place_locals(b, &l);
    bool ok = sim_flow_make(&l);
    if (ok && !sim_liveness_assign(&l)) {
        ok = sim_lower_fail(&l, "more registers than a function may have");
    }
    ok = ok && lower_code(b, &l);
    keep_tables(&l);
    free_lowering(&l);
    return ok;
}

/*
 * A device function that names dynamic shared memory gets one address, so it must begin at the same place in
 * every kernel: behind the largest static memory of all. A module of kernels alone keeps each kernel's own.
 */
static void find_dynamic_base(builder *b)
{
    const ptx_module *ptx = b->module->ptx;
    uint64_t functions = b->shared_end, most = 0;
    bool devices = false, dynamic = false;
    for (uint32_t i = 0; i < b->module->symbol_count; i++) {
        dynamic |=
            b->module->symbols[i].variable->space == PTX_SHARED && b->module->symbols[i].variable->is_unsized;
    }
    for (uint32_t i = 0; i < ptx->function_count; i++) {
        uint64_t own = 0;
        for (uint32_t k = 0; k < ptx->functions[i].variable_count; k++) {
            const ptx_variable *v = &ptx->functions[i].variables[k];
            own += v->space == PTX_SHARED ? align_up(v->bytes, v->align) + v->align : 0;
        }
        devices |= ptx->functions[i].has_body && !ptx->functions[i].is_entry;
        functions += ptx->functions[i].is_entry ? 0 : own;
        most = ptx->functions[i].is_entry && own > most ? own : most;
    }
    if (devices && dynamic) {
        b->dynamic_base = (uint32_t)align_up(functions + most, dynamic_align(b));
    }
}

/* Device functions first: kernels' shared memory stands behind theirs. */
static bool lower_functions(builder *b)
{
    const ptx_module *ptx = b->module->ptx;
    find_dynamic_base(b);
    for (int entries = 0; entries < 2; entries++) {
        for (uint32_t i = 0; i < ptx->function_count; i++) {
            if (ptx->functions[i].is_entry == (entries == 1) && !lower_body(b, i)) {
                return false;
            }
        }
    }
    return true;
}

static void prepare_functions(builder *b)
{
    sim_module *m = b->module;
    uint32_t n = m->ptx->function_count;
    m->functions = sim_arena_take(m->arena, (n + 1) * sizeof *m->functions);
    m->function_address = sim_arena_take(m->arena, (n + 1) * sizeof *m->function_address);
    for (uint32_t i = 0; i < n; i++) {
        m->function_address[i] = SIM_FUNCTION_TAG | i;
        describe(b, i);
    }
    name_functions(b);
    if (sim_map_get(&b->functions, "malloc") >= 0) {
        sim_device_heap_open();
    }
}

sim_module *sim_module_lower(ptx_module *ptx, char *error, size_t error_size)
{
    sim_arena *arena = sim_arena_new();
    sim_module *module = sim_arena_take(arena, sizeof *module);
    builder b = {.module = module, .error = error, .error_size = error_size};
    module->ptx = ptx;
    module->arena = arena;
    module->owner = &b;
    index_ops(&b.ops);
    prepare_functions(&b);
    bool ok = place_variables(&b) && lower_functions(&b);
    module->shared_bytes = b.shared_end;
    module->owner = NULL;
    sim_map_free(&b.symbols);
    sim_map_free(&b.functions);
    sim_map_free(&b.ops.names);
    free(b.ops.op);
    if (!ok) {
        sim_module_free(module);
        return NULL;
    }
    return module;
}

void sim_module_free(sim_module *module)
{
    if (module == NULL) {
        return;
    }
    for (uint32_t i = 0; i < module->symbol_count; i++) {
        const ptx_variable *v = module->symbols[i].variable;
        if (v != NULL && v->space != PTX_SHARED && module->symbols[i].address != 0) {
            sim_memory_free(module->symbols[i].address);
        }
    }
    ptx_free(module->ptx);
    sim_arena_free(module->arena);
}

const sim_function *sim_module_function(const sim_module *module, const char *name)
{
    for (uint32_t i = 0; i < module->ptx->function_count; i++) {
        if (module->ptx->functions[i].has_body && strcmp(module->functions[i].name, name) == 0) {
            return &module->functions[i];
        }
    }
    return NULL;
}

const sim_symbol *sim_module_symbol(const sim_module *module, const char *name)
{
    for (uint32_t i = 0; i < module->symbol_count; i++) {
        if (strcmp(module->symbols[i].variable->name, name) == 0) {
            return &module->symbols[i];
        }
    }
    return NULL;
}

const sim_function *sim_module_function_at(const sim_module *module, uint64_t address)
{
    uint64_t index = address ^ SIM_FUNCTION_TAG;
    return index < module->ptx->function_count ? &module->functions[index] : NULL;
}
