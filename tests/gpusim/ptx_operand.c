/* Operands of instructions, in all forms of ptx.h. See ptx_parse.h. */
#include <string.h>

#include "tests/gpusim/ptx_parse.h"

enum { MAX_ELEMENTS = 256, MAX_NESTING = 4 };

static bool parse_at(ptx_parser *p, ptx_instruction *inst, ptx_operand *operand, int depth);

/* A name: register, special register, or a variable, function or label. */
static bool parse_name(ptx_parser *p, ptx_instruction *inst, ptx_operand *operand)
{
    ptx_name *name = p->lex.token.name;
    ptx_binding *binding = ptx_meaning_of(p, name);
    ptx_next(&p->lex);
    operand->name = name->text;
    if (binding != NULL && binding->meaning == PTX_IS_REGISTER) {
        operand->kind = PTX_OP_REGISTER;
        operand->reg = ptx_binding_register(p, binding);
        operand->name = NULL;
        if (p->lex.token.kind == PTX_T_DOT && inst->opcode[0] == 'v') { /* a part, of video instructions */
            operand->name = p->lex.token.name->text;
            ptx_next(&p->lex);
        }
    } else if (binding != NULL) {
        operand->kind = PTX_OP_SYMBOL;
        operand->name = binding->unique;
    } else if (name->text[0] == '%') {
        operand->kind = PTX_OP_SPECIAL;
    } else if (strcmp(name->text, "_") == 0) {
        operand->kind = PTX_OP_SINK;
        operand->name = NULL;
    } else {
        operand->kind = PTX_OP_SYMBOL;
        if (operand >= inst->operand &&
            operand < inst->operand + PTX_MAX_OPERANDS) { /* labels stand in no list */
            ptx_add_reference(p, name, (uint32_t)(operand - inst->operand), NULL);
        }
    }
    bool has_offset = ptx_is(&p->lex, '+') || ptx_is(&p->lex, '-');
    return operand->kind != PTX_OP_SYMBOL || !has_offset || ptx_parse_integer(p, &operand->value);
}

/* Operands up to the closing bracket, into the arena. */
static bool parse_elements(ptx_parser *p, ptx_instruction *inst, ptx_operand *operand, char close, int depth)
{
    ptx_operand *elements = NULL;
    uint32_t count = 0, capacity = 0;
    while (!ptx_is(&p->lex, close)) {
        if (count == MAX_ELEMENTS) {
            return ptx_fail(&p->lex, "more than %d elements", MAX_ELEMENTS);
        }
        if (count == capacity) {
            const ptx_operand *shorter = elements;
            capacity = capacity == 0 ? 8 : capacity * 4;
            elements = sim_arena_take(p->arena, capacity * sizeof(*elements));
            for (uint32_t i = 0; i < count; i++) {
                elements[i] = shorter[i];
            }
        }
        if (!parse_at(p, inst, &elements[count++], depth + 1)) {
            return false;
        }
        if (!ptx_accept(&p->lex, ',')) {
            break;
        }
    }
    operand->elements = elements;
    operand->count = count;
    return ptx_expect(&p->lex, close);
}

/* [ base + offset ], and for tensors [ base, { coordinates } ]; the bracket is taken. */
static bool parse_address(ptx_parser *p, ptx_instruction *inst, ptx_operand *operand, int depth)
{
    if (p->lex.token.kind == PTX_T_NAME && !ptx_starts_number(p)) {
        if (!parse_name(p, inst, operand)) {
            return false;
        }
        if (operand->kind != PTX_OP_REGISTER && operand->kind != PTX_OP_SYMBOL) {
            return ptx_fail(&p->lex, "an address that is neither a register nor a variable");
        }
        bool has_offset = ptx_is(&p->lex, '+') || ptx_is(&p->lex, '-');
        if (operand->kind == PTX_OP_REGISTER && has_offset && !ptx_parse_integer(p, &operand->value)) {
            return false;
        }
    } else if (!ptx_parse_integer(p, &operand->value)) {
        return false;
    }
    operand->kind = PTX_OP_ADDRESS;
    if (ptx_accept(&p->lex, ',')) {
        return ptx_expect(&p->lex, '{') && parse_elements(p, inst, operand, '}', depth) &&
               ptx_expect(&p->lex, ']');
    }
    return ptx_expect(&p->lex, ']');
}

static bool parse_literal(ptx_parser *p, ptx_operand *operand)
{
    ptx_number number;
    if (!ptx_parse_number(p, &number)) {
        return false;
    }
    operand->kind = number.kind == PTX_T_INTEGER ? PTX_OP_INTEGER : PTX_OP_FLOAT;
    operand->is_f32 = number.kind == PTX_T_F32;
    operand->value = number.value;
    return true;
}

/* !p and -r; a sign in front of a number belongs to the number. */
static bool parse_signed(ptx_parser *p, ptx_instruction *inst, ptx_operand *operand)
{
    ptx_lexer before = p->lex;
    char sign = p->lex.token.punct;
    ptx_next(&p->lex);
    if (p->lex.token.kind != PTX_T_NAME || ptx_starts_number(p)) {
        p->lex.at = before.at;
        p->lex.line = before.line;
        p->lex.token = before.token;
        return sign == '!' ? ptx_fail_expected(&p->lex, "a predicate") : parse_literal(p, operand);
    }
    operand->negated = true;
    if (!parse_name(p, inst, operand)) {
        return false;
    }
    return operand->kind == PTX_OP_REGISTER ||
           ptx_fail(&p->lex, "`%c` in front of what is no register", sign);
}

/* Behind a first operand: `| second` makes a pair of them. */
static bool parse_pair(ptx_parser *p, ptx_instruction *inst, ptx_operand *operand, int depth)
{
    ptx_operand *elements = sim_arena_take(p->arena, 2 * sizeof(*elements));
    elements[0] = *operand;
    *operand = (ptx_operand){.kind = PTX_OP_PAIR, .elements = elements, .count = 2};
    return parse_at(p, inst, &elements[1], depth + 1);
}

static bool parse_at(ptx_parser *p, ptx_instruction *inst, ptx_operand *operand, int depth)
{
    bool ok;
    bool is_call = strcmp(inst->opcode, "call") == 0; /* its parentheses hold arguments, others' a number */
    if (depth > MAX_NESTING) {
        return ptx_fail(&p->lex, "operands nested too deeply");
    }
    if (ptx_accept(&p->lex, '[')) {
        ok = parse_address(p, inst, operand, depth);
    } else if (ptx_accept(&p->lex, '{')) {
        operand->kind = PTX_OP_VECTOR;
        ok = parse_elements(p, inst, operand, '}', depth);
    } else if (is_call && ptx_accept(&p->lex, '(')) {
        operand->kind = PTX_OP_PARENS;
        ok = parse_elements(p, inst, operand, ')', depth);
    } else if (ptx_is(&p->lex, '!') || ptx_is(&p->lex, '-')) {
        ok = parse_signed(p, inst, operand);
    } else if (ptx_starts_number(p)) {
        ok = parse_literal(p, operand);
    } else if (p->lex.token.kind == PTX_T_NAME) {
        ok = parse_name(p, inst, operand);
    } else {
        return ptx_fail_expected(&p->lex, "an operand");
    }
    return ok && (!ptx_accept(&p->lex, '|') || parse_pair(p, inst, operand, depth));
}

bool ptx_parse_operand(ptx_parser *p, ptx_instruction *inst, ptx_operand *operand)
{
    return parse_at(p, inst, operand, 0);
}
