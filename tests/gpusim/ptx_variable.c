/* Declarations of variables and registers, their initial data, and constant expressions. See ptx_parse.h. */
#include <stdlib.h>
#include <string.h>

#include "tests/gpusim/ptx_parse.h"

enum { MAX_DEPTH = 32, MAX_DIMENSIONS = 8 };
#define MAX_BYTES (UINT64_C(1) << 40)

/* ---- constant expressions ---- */

static const struct {
    char text[3];
    int rank; /* binds tighter the higher it is */
} operators[] = {{"||", 1}, {"&&", 2}, {"==", 6}, {"!=", 6}, {"<=", 7}, {">=", 7},
                 {"<<", 8}, {">>", 8}, {"|", 3},  {"^", 4},  {"&", 5},  {"<", 7},
                 {">", 7},  {"+", 9},  {"-", 9},  {"*", 10}, {"/", 10}, {"%", 10}};
enum { OPERATORS = sizeof(operators) / sizeof(operators[0]) };

/* The binary operator that stands here, or -1. Words are single characters, so "<<" is seen as two. */
static int operator_here(const ptx_parser *p)
{
    if (p->lex.token.kind != PTX_T_PUNCT) {
        return -1;
    }
    for (int i = 0; i < OPERATORS; i++) {
        const char *text = operators[i].text;
        if (p->lex.token.punct == text[0] && (text[1] == '\0' || *p->lex.at == text[1])) {
            return i;
        }
    }
    return -1;
}

static bool apply(ptx_parser *p, const char *operator, uint64_t a, uint64_t b, uint64_t *result)
{
    int64_t x = (int64_t)a, y = (int64_t)b;
    if (strchr("/%", operator[0]) != NULL && (y == 0 || (x == INT64_MIN && y == -1))) {
        return ptx_fail(&p->lex, "a constant division by %lld", (long long)y);
    }
    switch (operator[0] | operator[1] << 8) {
    case '|' | '|' << 8: *result = a != 0 || b != 0; break;
    case '&' | '&' << 8: *result = a != 0 && b != 0; break;
    case '=' | '=' << 8: *result = a == b; break;
    case '!' | '=' << 8: *result = a != b; break;
    case '<' | '=' << 8: *result = x <= y; break;
    case '>' | '=' << 8: *result = x >= y; break;
    case '<' | '<' << 8: *result = b > 63 ? 0 : a << b; break;
    case '>' | '>' << 8: *result = (uint64_t)(x >> (b > 63 ? 63 : b)); break;
    case '|': *result = a | b; break;
    case '^': *result = a ^ b; break;
    case '&': *result = a & b; break;
    case '<': *result = x < y; break;
    case '>': *result = x > y; break;
    case '+': *result = a + b; break;
    case '-': *result = a - b; break;
    case '*': *result = a * b; break;
    case '/': *result = (uint64_t)(x / y); break;
    default: *result = (uint64_t)(x % y); break;
    }
    return true;
}

static bool parse_binary(ptx_parser *p, ptx_number *number, int rank, int depth);

static bool negate(ptx_parser *p, ptx_number *number, char operator)
{
    if (number->kind == PTX_T_INTEGER) {
        uint64_t v = number->value;
        number->value = operator== '-' ? 0 - v : operator== '~' ? ~v : operator== '!' ? v == 0 : v;
    } else if (operator== '-') {
        number->value ^= number->kind == PTX_T_F32 ? UINT64_C(1) << 31 : UINT64_C(1) << 63;
    } else if (operator!= '+') {
        return ptx_fail(&p->lex, "`%c` of a floating-point number", operator);
    }
    return true;
}

/* A number, WARP_SZ, a parenthesised expression, or one of these behind signs. */
static bool parse_unary(ptx_parser *p, ptx_number *number, int depth)
{
    const ptx_token token = p->lex.token;
    if (depth > MAX_DEPTH) {
        return ptx_fail(&p->lex, "an expression nested too deeply");
    }
    if (token.kind == PTX_T_INTEGER || token.kind == PTX_T_F32 || token.kind == PTX_T_F64) {
        *number = (ptx_number){token.kind, token.value};
        ptx_next(&p->lex);
        return true;
    }
    if (token.kind == PTX_T_NAME && strcmp(token.name->text, "WARP_SZ") == 0) {
        *number = (ptx_number){PTX_T_INTEGER, 32};
        ptx_next(&p->lex);
        return true;
    }
    if (ptx_accept(&p->lex, '(')) {
        return parse_binary(p, number, 0, depth + 1) && ptx_expect(&p->lex, ')');
    }
    if (token.kind == PTX_T_PUNCT && strchr("-+~!", token.punct) != NULL) {
        ptx_next(&p->lex);
        return parse_unary(p, number, depth + 1) && negate(p, number, token.punct);
    }
    return ptx_fail_expected(&p->lex, "a number");
}

/* Operators that bind tighter than `rank`, by climbing precedences. */
static bool parse_binary(ptx_parser *p, ptx_number *number, int rank, int depth)
{
    if (!parse_unary(p, number, depth)) {
        return false;
    }
    for (int o = operator_here(p); o >= 0 && operators[o].rank > rank; o = operator_here(p)) {
        ptx_next(&p->lex);
        if (operators[o].text[1] != '\0') {
            ptx_next(&p->lex);
        }
        ptx_number right;
        if (!parse_binary(p, &right, operators[o].rank, depth + 1)) {
            return false;
        }
        if (number->kind != PTX_T_INTEGER || right.kind != PTX_T_INTEGER) {
            return ptx_fail(&p->lex, "arithmetic of floating-point constants");
        }
        if (!apply(p, operators[o].text, number->value, right.value, &number->value)) {
            return false;
        }
    }
    return true;
}

bool ptx_starts_number(const ptx_parser *p)
{
    const ptx_token *t = &p->lex.token;
    return t->kind == PTX_T_INTEGER || t->kind == PTX_T_F32 || t->kind == PTX_T_F64 ||
           (t->kind == PTX_T_PUNCT && strchr("-+~(", t->punct) != NULL) ||
           (t->kind == PTX_T_NAME && strcmp(t->name->text, "WARP_SZ") == 0);
}

bool ptx_parse_number(ptx_parser *p, ptx_number *number)
{
    return parse_binary(p, number, 0, 0);
}

bool ptx_parse_integer(ptx_parser *p, uint64_t *value)
{
    ptx_number number;
    if (!ptx_parse_number(p, &number)) {
        return false;
    }
    *value = number.value;
    return number.kind == PTX_T_INTEGER ||
           ptx_fail(&p->lex, "expected an integer, found a floating-point number");
}

/* ---- initial data ---- */

typedef struct { /* a variable's shape while its initial data is read */
    ptx_variable *variable;
    uint32_t element;                /* bytes of one number */
    uint64_t stride[MAX_DIMENSIONS]; /* bytes of one element of each dimension */
    uint32_t dimensions;
    ptx_list *inits;
} ptx_shape;

/* The bits of a number as the variable's type stores them. */
static bool number_bits(ptx_parser *p, ptx_type type, ptx_number number, uint64_t *bits)
{
    double wide;
    float narrow;
    *bits = number.value;
    if (type == PTX_F32 && number.kind == PTX_T_F64) {
        memcpy(&wide, &number.value, 8);
        narrow = (float)wide;
        *bits = 0;
        memcpy(bits, &narrow, 4);
    } else if (type == PTX_F64 && number.kind == PTX_T_F32) {
        memcpy(&narrow, &number.value, 4);
        wide = narrow;
        memcpy(bits, &wide, 8);
    } else if ((type == PTX_F32 || type == PTX_F64) && number.kind == PTX_T_INTEGER) {
        wide = (double)(int64_t)number.value;
        narrow = (float)wide;
        *bits = 0;
        memcpy(bits, type == PTX_F32 ? (void *)&narrow : (void *)&wide, type == PTX_F32 ? 4 : 8);
    } else if (number.kind != PTX_T_INTEGER && type != PTX_F32 && type != PTX_F64 && type != PTX_B32 &&
               type != PTX_B64) {
        return ptx_fail(&p->lex, "a floating-point number as initial value of integers");
    }
    return true;
}

/* symbol [+ number], generic(symbol) [+ number], generic(symbol + number). */
static bool parse_address(ptx_parser *p, ptx_initialiser *init)
{
    if (p->lex.token.kind != PTX_T_NAME) {
        return ptx_fail_expected(&p->lex, "a number or an address");
    }
    init->symbol = p->lex.token.name->text;
    ptx_next(&p->lex);
    bool inner = strcmp(init->symbol, "generic") == 0 && ptx_accept(&p->lex, '(');
    if (inner) {
        init->is_generic = true;
        if (p->lex.token.kind != PTX_T_NAME) {
            return ptx_fail_expected(&p->lex, "a variable's name");
        }
        init->symbol = p->lex.token.name->text;
        ptx_next(&p->lex);
    }
    ptx_number offset = {0};
    if ((ptx_is(&p->lex, '+') || ptx_is(&p->lex, '-')) && !ptx_parse_number(p, &offset)) {
        return false;
    }
    if (inner && !ptx_expect(&p->lex, ')')) {
        return false;
    }
    init->value = offset.value;
    if (inner && (ptx_is(&p->lex, '+') || ptx_is(&p->lex, '-'))) {
        if (!ptx_parse_number(p, &offset)) {
            return false;
        }
        init->value += offset.value;
    }
    return true;
}

/* One word of data at `offset`: a number, an address, or a part of an address: 0xFF00(address). */
static bool parse_word(ptx_parser *p, const ptx_shape *shape, uint64_t offset)
{
    ptx_initialiser init = {.offset = (uint32_t)offset, .bytes = shape->element};
    bool is_mask = p->lex.token.kind == PTX_T_INTEGER && *p->lex.at == '(';
    if (is_mask) {
        init.mask = p->lex.token.value;
        ptx_next(&p->lex);
        if (init.mask == 0) {
            return ptx_fail(&p->lex, "a mask without bits");
        }
        if (!ptx_expect(&p->lex, '(') || !parse_address(p, &init) || !ptx_expect(&p->lex, ')')) {
            return false;
        }
    } else if (ptx_starts_number(p)) {
        ptx_number number;
        if (!ptx_parse_number(p, &number) || !number_bits(p, shape->variable->type, number, &init.value)) {
            return false;
        }
    } else if (!parse_address(p, &init)) {
        return false;
    }
    if (!shape->variable->is_unsized && offset + init.bytes > shape->variable->bytes) {
        return ptx_fail(&p->lex, "more initial data than %s has room for", shape->variable->name);
    }
    if (offset + init.bytes > UINT32_MAX) {
        return ptx_fail(&p->lex, "initial data of more than 4 GiB");
    }
    *(ptx_initialiser *)ptx_list_add(shape->inits, sizeof(init)) = init;
    return true;
}

/* "text": its bytes, as they stand. */
static bool parse_text(ptx_parser *p, const ptx_shape *shape, uint64_t offset)
{
    const ptx_token token = p->lex.token;
    if (shape->element != 1) {
        return ptx_fail(&p->lex, "a string as initial data of numbers that are no bytes");
    }
    if (memchr(token.begin, '\\', token.length) != NULL) {
        return ptx_fail(&p->lex, "a string with escapes as initial data");
    }
    if (!shape->variable->is_unsized && offset + token.length > shape->variable->bytes) {
        return ptx_fail(&p->lex, "a string longer than %s", shape->variable->name);
    }
    for (uint32_t i = 0; i < token.length; i++) {
        ptx_initialiser *init = ptx_list_add(shape->inits, sizeof(*init));
        *init =
            (ptx_initialiser){.offset = (uint32_t)offset + i, .bytes = 1, .value = (uint8_t)token.begin[i]};
    }
    ptx_next(&p->lex);
    return true;
}

/* A word, or { of the next dimension }. *offset moves on by what was read. */
static bool parse_data(ptx_parser *p, const ptx_shape *shape, uint32_t dimension, uint64_t *offset)
{
    if (p->lex.token.kind == PTX_T_STRING) {
        uint32_t length = p->lex.token.length;
        bool ok = parse_text(p, shape, *offset);
        *offset += length;
        return ok;
    }
    if (!ptx_accept(&p->lex, '{')) {
        bool ok = parse_word(p, shape, *offset);
        *offset += shape->element;
        return ok;
    }
    if (dimension >= MAX_DIMENSIONS) {
        return ptx_fail(&p->lex, "initial data nested too deeply");
    }
    uint64_t stride = dimension < shape->dimensions ? shape->stride[dimension] : shape->element;
    uint64_t begin = *offset, at = begin;
    while (!ptx_is(&p->lex, '}')) {
        uint64_t from = at;
        bool is_row = ptx_is(&p->lex, '{'); /* rows begin at their stride, however short the one before was */
        if (!parse_data(p, shape, dimension + 1, &at)) {
            return false;
        }
        at = is_row && from + stride > at ? from + stride : at;
        if (!ptx_accept(&p->lex, ',')) {
            break;
        }
    }
    *offset = at;
    return ptx_expect(&p->lex, '}');
}

/* ---- declarations ---- */

/* [4][3] behind a name; the first may be empty. Fills bytes, is_unsized and the strides. */
static bool parse_dimensions(ptx_parser *p, ptx_shape *shape)
{
    ptx_variable *variable = shape->variable;
    uint64_t sizes[MAX_DIMENSIONS];
    while (ptx_accept(&p->lex, '[')) {
        if (shape->dimensions == MAX_DIMENSIONS) {
            return ptx_fail(&p->lex, "more than %d dimensions", MAX_DIMENSIONS);
        }
        uint64_t *size = &sizes[shape->dimensions++];
        *size = 0;
        if (!ptx_is(&p->lex, ']') && !ptx_parse_integer(p, size)) {
            return false;
        }
        variable->is_unsized = variable->is_unsized || *size == 0;
        if (!ptx_expect(&p->lex, ']')) {
            return false;
        }
    }
    for (uint32_t i = shape->dimensions; i > 0; i--) {
        shape->stride[i - 1] = variable->bytes;
        if (__builtin_mul_overflow(variable->bytes, sizes[i - 1], &variable->bytes) ||
            variable->bytes > MAX_BYTES) {
            return ptx_fail(&p->lex, "%s is too large", variable->name);
        }
    }
    return true;
}

static bool parse_attribute(ptx_parser *p)
{
    return ptx_is(&p->lex, '(') ? ptx_skip_nested(p) : ptx_fail_expected(&p->lex, "`(`");
}

/* .align 8 .v2 .f32 .ptr .global .attribute(...): what stands between the space and the name. */
static bool parse_qualifiers(ptx_parser *p, ptx_variable *variable, uint32_t *vector)
{
    uint64_t align = 0;
    while (p->lex.token.kind == PTX_T_DOT) {
        const char *word = p->lex.token.name->text;
        ptx_type type = ptx_type_of(word);
        ptx_next(&p->lex);
        if (strcmp(word, "align") == 0) {
            if (!ptx_parse_integer(p, &align)) {
                return false;
            }
            if (align == 0 || align > 4096 || (align & (align - 1)) != 0) {
                return ptx_fail(&p->lex, "an alignment of %llu", (unsigned long long)align);
            }
        } else if (strcmp(word, "attribute") == 0) {
            if (!parse_attribute(p)) {
                return false;
            }
        } else if (strcmp(word, "v2") == 0 || strcmp(word, "v4") == 0) {
            *vector = (uint32_t)(word[1] - '0');
        } else if (type != PTX_NO_TYPE) {
            variable->type = type;
        } else if (strcmp(word, "ptr") == 0) { /* what the pointer points at is of no use here */
            while (ptx_accept_dot(&p->lex, "global") || ptx_accept_dot(&p->lex, "shared") ||
                   ptx_accept_dot(&p->lex, "const") || ptx_accept_dot(&p->lex, "local")) {
            }
            uint64_t of_target;
            if (ptx_accept_dot(&p->lex, "align") && !ptx_parse_integer(p, &of_target)) {
                return false;
            }
        } else {
            return ptx_fail(&p->lex, "variables of .%s are not simulated", word);
        }
    }
    variable->align = (uint32_t)align;
    return true;
}

static void count_unsized(ptx_shape *shape)
{
    const ptx_initialiser *inits = shape->inits->items;
    for (uint32_t i = 0; i < shape->inits->count; i++) {
        uint64_t end = (uint64_t)inits[i].offset + inits[i].bytes;
        shape->variable->bytes = end > shape->variable->bytes ? end : shape->variable->bytes;
    }
    shape->variable->is_unsized = shape->variable->bytes == 0;
}

/* name[..] = ...; one declarator. The variable's type, alignment and space are known. */
static bool parse_declarator(ptx_parser *p, ptx_variable *variable, bool with_data)
{
    if (p->lex.token.kind != PTX_T_NAME) {
        return ptx_fail_expected(&p->lex, "a variable's name");
    }
    ptx_shape shape = {.variable = variable, .element = ptx_type_bytes(variable->type), .inits = &p->inits};
    variable->name = p->lex.token.name->text;
    ptx_next(&p->lex);
    if (!parse_dimensions(p, &shape)) {
        return false;
    }
    if (with_data && ptx_accept(&p->lex, '=')) {
        uint64_t offset = 0;
        if (!parse_data(p, &shape, 0, &offset)) {
            return false;
        }
        if (variable->is_unsized) {
            count_unsized(&shape);
        }
        variable->init = ptx_list_take(&p->inits, p->arena, sizeof(ptx_initialiser), &variable->init_count);
    }
    return true;
}

bool ptx_parse_variables(ptx_parser *p, const ptx_variable *base, ptx_list *list, bool single)
{
    ptx_variable common = *base;
    uint32_t vector = 1;
    if (!parse_qualifiers(p, &common, &vector)) {
        return false;
    }
    if (ptx_type_bytes(common.type) == 0) {
        return ptx_fail(&p->lex, "a variable without a type, or of one that has no size");
    }
    do {
        ptx_variable variable = common;
        variable.bytes = (uint64_t)vector * ptx_type_bytes(common.type);
        if (variable.align == 0) {
            variable.align = (uint32_t)variable.bytes;
        }
        if (!parse_declarator(p, &variable, !single)) {
            return false;
        }
        *(ptx_variable *)ptx_list_add(list, sizeof(variable)) = variable;
    } while (!single && ptx_accept(&p->lex, ','));
    return true;
}

bool ptx_parse_registers(ptx_parser *p)
{
    if (p->lex.token.kind != PTX_T_DOT) {
        return ptx_fail_expected(&p->lex, "a register's type");
    }
    ptx_type type = ptx_type_of(p->lex.token.name->text);
    if (type == PTX_NO_TYPE || type == PTX_B128 || (type != PTX_PRED && ptx_type_bytes(type) == 0)) {
        return ptx_fail(&p->lex, "registers of .%s are not simulated", p->lex.token.name->text);
    }
    do {
        ptx_next(&p->lex);
        if (p->lex.token.kind != PTX_T_NAME) {
            return ptx_fail_expected(&p->lex, "a register's name");
        }
        ptx_name *name = p->lex.token.name;
        uint64_t range = 0;
        ptx_next(&p->lex);
        bool is_range = ptx_accept(&p->lex, '<');
        if (is_range) {
            range = p->lex.token.kind == PTX_T_INTEGER ? p->lex.token.value : UINT64_MAX;
            if (range > 100000000) {
                return ptx_fail_expected(&p->lex, "a number of registers");
            }
            ptx_next(&p->lex);
            if (!ptx_expect(&p->lex, '>')) {
                return false;
            }
        }
        ptx_binding *binding = ptx_bind(p, name, is_range ? PTX_IS_RANGE : PTX_IS_REGISTER);
        binding->type = type;
        binding->range = (uint32_t)range;
    } while (ptx_is(&p->lex, ','));
    return !p->lex.failed;
}
