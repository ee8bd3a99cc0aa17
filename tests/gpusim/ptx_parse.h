/*
 * The parser's inside: text -> ptx_lex.c (words) -> ptx_parse.c (module, functions) -> ptx_body.c
 * (statements), ptx_operand.c, ptx_variable.c (declarations, initial data, constant expressions), ptx_scope.c
 * (what names mean).
 *
 * After a failure the current word is the end of the text for ever, so loops need only stop there.
 */
#ifndef GPUSIM_PTX_PARSE_H
#define GPUSIM_PTX_PARSE_H

#include "tests/gpusim/ptx.h"
#include "tests/gpusim/ptx_lex.h"

typedef struct { /* a growing array; its final copy goes to the arena */
    void *items;
    uint32_t count, capacity;
} ptx_list;

void *ptx_list_add(ptx_list *list, size_t element); /* the new element, zeroed */
/* A copy in the arena, NULL if empty; the list is empty afterwards. */
void *ptx_list_take(ptx_list *list, sim_arena *arena, size_t element, uint32_t *count);

typedef enum { PTX_IS_REGISTER, PTX_IS_RANGE, PTX_IS_VARIABLE, PTX_IS_FUNCTION } ptx_meaning;

typedef struct ptx_scope { /* a pair of braces; the function's own and the module's have no outer one */
    struct ptx_scope *outer;
    struct ptx_binding *bindings;
    uint32_t depth;
    uint32_t first_variable;
} ptx_scope;

typedef struct ptx_binding { /* what a name means in a scope */
    ptx_meaning meaning;
    ptx_type type;
    uint32_t range;     /* RANGE, of %r<10>: 10 */
    ptx_register *reg;  /* REGISTER: made at its first use */
    const char *unique; /* VARIABLE: its name in the tree */
    uint32_t function;  /* FUNCTION: index */
    ptx_name *name;
    ptx_scope *scope;
    struct ptx_binding *outer; /* what the name meant before */
    struct ptx_binding *next;  /* of the scope */
} ptx_binding;

typedef struct ptx_label_place { /* one definition of a label */
    ptx_scope *scope;
    const char *unique;
    struct ptx_label_place *next;
} ptx_label_place;

typedef struct { /* a name that may mean a label, maybe one that stands further down */
    ptx_name *name;
    ptx_scope *scope;
    uint32_t instruction, operand;
    const char **where; /* NULL: the operand's name */
} ptx_reference;

typedef struct { /* .loc */
    ptx_place here, outer[PTX_INLINED];
    uint32_t column;
} ptx_position;

typedef struct {
    ptx_lexer lex;
    ptx_module *module;
    sim_arena *arena;
    ptx_scope *scope;
    ptx_list variables, functions, files, inits; /* of the module */
    /* of the function being parsed */
    ptx_list code, labels, locals, registers, targets, references, label_names, params, names;
    uint32_t function_number; /* counts bodies, from 1 */
    uint32_t unique_number;
    uint32_t inner_ranges; /* register ranges declared in inner scopes and still in force */
    ptx_position position;
} ptx_parser;

/* ---- ptx_scope.c ---- */
void ptx_scope_open(ptx_parser *p);
void ptx_scope_close(ptx_parser *p);
ptx_binding *ptx_bind(ptx_parser *p, ptx_name *name, ptx_meaning meaning);
/* What the name means here; a register of a range comes into being when it is asked for. NULL: nothing known.
 */
ptx_binding *ptx_meaning_of(ptx_parser *p, ptx_name *name);
ptx_register *ptx_binding_register(ptx_parser *p, ptx_binding *binding);
/* The name itself if this function has no other variable or label so called, else one like it. */
const char *ptx_unique(ptx_parser *p, ptx_name *name);
void ptx_add_label(ptx_parser *p, ptx_name *name);
void ptx_add_reference(ptx_parser *p, ptx_name *name, uint32_t operand, const char **where);
/* At the end of a function: names that mean labels of an inner scope get that label's unique name. */
void ptx_resolve_labels(ptx_parser *p);

/* ---- ptx_variable.c ---- */
typedef struct {         /* of a constant expression */
    ptx_token_kind kind; /* INTEGER, F32, F64: as tokens have them */
    uint64_t value;
} ptx_number;
bool ptx_parse_number(ptx_parser *p, ptx_number *number); /* a constant expression */
bool ptx_parse_integer(ptx_parser *p, uint64_t *value);
bool ptx_starts_number(const ptx_parser *p);
/*
 * .align 4 .b8 name[16] = {...}, ...: declarators from behind the space's word up to what follows the last
 * one. Each is added to `list`. With `single`, one alone and no initial data (parameters).
 */
bool ptx_parse_variables(ptx_parser *p, const ptx_variable *base, ptx_list *list, bool single);
bool ptx_parse_registers(ptx_parser *p); /* behind .reg */

/* ---- ptx_body.c ---- */
bool ptx_parse_body(ptx_parser *p); /* from { to } */
bool ptx_parse_loc(ptx_parser *p);  /* behind .loc */

/* ---- ptx_operand.c ---- */
bool ptx_parse_operand(ptx_parser *p, ptx_instruction *inst, ptx_operand *operand);

/* ---- ptx_parse.c ---- */
/* ( params ), empty parentheses, or nothing; a prototype's are not declared. */
bool ptx_parse_parameters(ptx_parser *p, ptx_variable **params, uint32_t *count, bool declare);
/* Skips up to the closing brace or parenthesis that belongs to the current opening one. */
bool ptx_skip_nested(ptx_parser *p);

#endif
