/* Bodies of functions: scopes, declarations, labels, instructions. See ptx_parse.h. */
#include <string.h>

#include "tests/gpusim/ptx_parse.h"

/* ---- .loc ---- */

/* file line column, behind .loc or inlined_at. */
static bool parse_place(ptx_parser *p, uint32_t place[3])
{
    for (int i = 0; i < 3; i++) {
        if (p->lex.token.kind != PTX_T_INTEGER || p->lex.token.value > UINT32_MAX) {
            return ptx_fail_expected(&p->lex, "a number of .loc");
        }
        place[i] = (uint32_t)p->lex.token.value;
        ptx_next(&p->lex);
    }
    return true;
}

static bool accept_word(ptx_parser *p, const char *word)
{
    if (p->lex.token.kind != PTX_T_NAME || strcmp(p->lex.token.name->text, word) != 0) {
        return false;
    }
    ptx_next(&p->lex);
    return true;
}

static bool is_same(ptx_place place, const uint32_t other[3])
{
    return place.file == other[0] && place.line == other[1];
}

/*
 * .loc file line column [, function_name label [+ n], inlined_at file line column]. nvcc states the caller's
 * place right before what was inlined there, so that the callers' callers are found through the .loc before
 * this one.
 */
static void set_callers(ptx_parser *p, const ptx_position *before, const uint32_t caller[3])
{
    ptx_place *outer = p->position.outer;
    if (is_same(before->outer[0], caller)) { /* more of the same inlined code */
        memcpy(outer, before->outer, sizeof before->outer);
        return;
    }
    outer[0] = (ptx_place){.file = caller[0], .line = caller[1]};
    if (is_same(before->here, caller) && before->column == caller[2]) {
        memcpy(outer + 1, before->outer, sizeof before->outer - sizeof before->outer[0]);
    }
}

bool ptx_parse_loc(ptx_parser *p)
{
    uint32_t here[3], caller[3];
    if (!parse_place(p, here)) {
        return false;
    }
    const ptx_position before = p->position;
    p->position = (ptx_position){.here = {.file = here[0], .line = here[1]}, .column = here[2]};
    while (ptx_accept(&p->lex, ',')) {
        if (accept_word(p, "function_name")) {
            uint64_t offset;
            ptx_next(&p->lex);
            if (ptx_is(&p->lex, '+') && !ptx_parse_integer(p, &offset)) {
                return false;
            }
        } else if (accept_word(p, "inlined_at")) {
            if (!parse_place(p, caller)) {
                return false;
            }
            set_callers(p, &before, caller);
        } else {
            return ptx_fail_expected(&p->lex, "function_name or inlined_at");
        }
    }
    return !p->lex.failed;
}

/* ---- instructions ---- */

static bool parse_guard(ptx_parser *p, ptx_instruction *inst)
{
    inst->guard_negated = ptx_accept(&p->lex, '!');
    ptx_binding *binding = p->lex.token.kind == PTX_T_NAME ? ptx_meaning_of(p, p->lex.token.name) : NULL;
    if (binding == NULL || binding->meaning != PTX_IS_REGISTER || binding->type != PTX_PRED) {
        return ptx_fail_expected(&p->lex, "a predicate behind `@`");
    }
    inst->guard = ptx_binding_register(p, binding);
    ptx_next(&p->lex);
    return true;
}

/* .modifier.modifier operand, operand; behind the opcode. */
static bool parse_rest(ptx_parser *p, ptx_instruction *inst)
{
    while (p->lex.token.kind == PTX_T_DOT) {
        if (inst->modifiers == PTX_MAX_MODIFIERS) {
            return ptx_fail(&p->lex, "more than %d modifiers", PTX_MAX_MODIFIERS);
        }
        inst->modifier[inst->modifiers++] = p->lex.token.name->text;
        ptx_next(&p->lex);
    }
    while (!ptx_is(&p->lex, ';')) {
        if (inst->operands == PTX_MAX_OPERANDS) {
            return ptx_fail(&p->lex, "more than %d operands", PTX_MAX_OPERANDS);
        }
        if (!ptx_parse_operand(p, inst, &inst->operand[inst->operands++])) {
            return false;
        }
        if (!ptx_accept(&p->lex, ',')) {
            break;
        }
    }
    return ptx_is(&p->lex, ';') || ptx_fail_expected(&p->lex, "`;`");
}

/* The statement's text ends where its semicolon stood: the lexer's copy serves as the tree's. */
static bool parse_instruction(ptx_parser *p, char *text, uint32_t line, ptx_instruction *inst)
{
    if (p->lex.token.kind != PTX_T_NAME) {
        return ptx_fail_expected(&p->lex, "an instruction");
    }
    inst->opcode = p->lex.token.name->text;
    inst->text = text;
    inst->line = line;
    inst->loc_file = p->position.here.file;
    inst->loc_line = p->position.here.line;
    memcpy(inst->outer, p->position.outer, sizeof inst->outer);
    ptx_next(&p->lex);
    if (!parse_rest(p, inst)) {
        return false;
    }
    char *end = p->lex.token.begin;
    ptx_next(&p->lex);
    *end = '\0';
    return true;
}

/* ---- lists of targets ---- */

/* name: .branchtargets a, b; (.calltargets likewise): labels or functions. */
static bool parse_targets(ptx_parser *p, ptx_target_list *list)
{
    do {
        if (p->lex.token.kind != PTX_T_NAME) {
            return ptx_fail_expected(&p->lex, "a target");
        }
        *(ptx_name **)ptx_list_add(&p->names, sizeof(ptx_name *)) = p->lex.token.name;
        ptx_next(&p->lex);
    } while (ptx_accept(&p->lex, ','));
    uint32_t count;
    ptx_name **names = ptx_list_take(&p->names, p->arena, sizeof(*names), &count);
    list->targets = sim_arena_take(p->arena, count * sizeof(*list->targets));
    list->count = count;
    for (uint32_t i = 0; i < count; i++) {
        list->targets[i] = names[i]->text;
        ptx_add_reference(p, names[i], 0, &list->targets[i]);
    }
    return true;
}

/* .callprototype (result) _ (params) [.noreturn ...]: calls go by the function that is called, so it is
 * skipped. */
static bool parse_prototype(ptx_parser *p)
{
    while (!ptx_is(&p->lex, ';')) {
        if (p->lex.token.kind == PTX_T_END) {
            return ptx_fail_expected(&p->lex, "`;` behind .callprototype");
        }
        if (ptx_is(&p->lex, '(')) {
            if (!ptx_skip_nested(p)) {
                return false;
            }
        } else {
            ptx_next(&p->lex);
        }
    }
    return true;
}

/* What a label names that is no place in the code. */
static bool parse_target_list(ptx_parser *p, ptx_name *name)
{
    ptx_target_list list = {0};
    bool ok;
    if (ptx_accept_dot(&p->lex, "branchtargets") || ptx_accept_dot(&p->lex, "calltargets")) {
        ok = parse_targets(p, &list);
    } else {
        ok = ptx_accept_dot(&p->lex, "callprototype") && parse_prototype(p);
    }
    if (!ok || !ptx_expect(&p->lex, ';')) {
        return false;
    }
    ptx_binding *binding = ptx_bind(p, name, PTX_IS_VARIABLE);
    binding->unique = list.name = ptx_unique(p, name);
    *(ptx_target_list *)ptx_list_add(&p->targets, sizeof(list)) = list;
    return !p->lex.failed;
}

/* ---- statements ---- */

static bool parse_label(ptx_parser *p, ptx_name *name)
{
    if (ptx_is_dot(&p->lex, "branchtargets") || ptx_is_dot(&p->lex, "calltargets") ||
        ptx_is_dot(&p->lex, "callprototype")) {
        return parse_target_list(p, name);
    }
    ptx_add_label(p, name);
    return !p->lex.failed;
}

/* label: or [@p] opcode... */
static bool parse_statement(ptx_parser *p)
{
    ptx_token first = p->lex.token;
    const char *after = p->lex.at;
    while (*after == ' ' || *after == '\t') {
        after++;
    }
    if (first.kind == PTX_T_NAME && after[0] == ':' && after[1] != ':') {
        ptx_next(&p->lex);
        ptx_next(&p->lex);
        return parse_label(p, first.name);
    }
    ptx_instruction *inst = ptx_list_add(&p->code, sizeof(*inst));
    if (ptx_accept(&p->lex, '@') && !parse_guard(p, inst)) {
        return false;
    }
    return parse_instruction(p, first.begin, first.line, inst);
}

/* .local, .shared, .param, .global, .const of a body. */
static bool parse_local_variables(ptx_parser *p, ptx_space space)
{
    ptx_variable base = {.space = space, .scope_first = p->code.count, .scope_last = UINT32_MAX};
    uint32_t first = p->locals.count;
    ptx_next(&p->lex);
    if (!ptx_parse_variables(p, &base, &p->locals, false)) {
        return false;
    }
    ptx_variable *variables = p->locals.items;
    for (uint32_t i = first; i < p->locals.count; i++) {
        ptx_name *name = ptx_intern(&p->lex, variables[i].name, strlen(variables[i].name));
        ptx_binding *binding = ptx_bind(p, name, PTX_IS_VARIABLE);
        binding->unique = variables[i].name = ptx_unique(p, name);
    }
    return ptx_expect(&p->lex, ';');
}

/* .pragma "text", "text"; hints for the compiler. */
static bool parse_pragma(ptx_parser *p)
{
    do {
        ptx_next(&p->lex);
        if (p->lex.token.kind != PTX_T_STRING) {
            return ptx_fail_expected(&p->lex, "a string behind .pragma");
        }
        ptx_next(&p->lex);
    } while (ptx_is(&p->lex, ','));
    return ptx_expect(&p->lex, ';');
}

static bool parse_body_directive(ptx_parser *p)
{
    static const struct {
        const char *name;
        ptx_space space;
    } spaces[] = {{"local", PTX_LOCAL},
                  {"param", PTX_PARAM},
                  {"shared", PTX_SHARED},
                  {"global", PTX_GLOBAL},
                  {"const", PTX_CONST}};
    const char *word = p->lex.token.name->text;
    if (strcmp(word, "loc") == 0) {
        ptx_next(&p->lex);
        return ptx_parse_loc(p);
    }
    if (strcmp(word, "reg") == 0) {
        ptx_next(&p->lex);
        return ptx_parse_registers(p) && ptx_expect(&p->lex, ';');
    }
    if (strcmp(word, "pragma") == 0) {
        return parse_pragma(p);
    }
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        if (strcmp(word, spaces[i].name) == 0) {
            return parse_local_variables(p, spaces[i].space);
        }
    }
    return ptx_fail(&p->lex, "unknown directive .%s", word);
}

/* Scopes are counted, not recursed into: their nesting has no bound. */
bool ptx_parse_body(ptx_parser *p)
{
    uint32_t depth = 1;
    if (!ptx_expect(&p->lex, '{')) {
        return false;
    }
    while (depth > 0) {
        bool ok = true;
        if (p->lex.token.kind == PTX_T_END) {
            return ptx_fail_expected(&p->lex, "`}`");
        }
        if (ptx_accept(&p->lex, '{')) {
            ptx_scope_open(p);
            depth++;
        } else if (ptx_accept(&p->lex, '}')) {
            depth--;
            if (depth >
                0) { /* the function's own is closed by the caller, who opened it for the parameters */
                ptx_scope_close(p);
            }
        } else if (p->lex.token.kind == PTX_T_DOT) {
            ok = parse_body_directive(p);
        } else if (!ptx_accept(&p->lex, ';')) {
            ok = parse_statement(p);
        }
        if (!ok || p->lex.failed) {
            return false;
        }
    }
    return true;
}
