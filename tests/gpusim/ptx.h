/*
 * PTX text as a tree (PTX ISA 9.0; https://docs.nvidia.com/cuda/parallel-thread-execution). ptx_lex.c and
 * ptx_parse.c make it; lower.c turns each function into predecoded instructions. The tree owns copies of all
 * its strings, in one arena; opcode, modifier and name strings are interned within a module, so equal strings
 * have equal pointers.
 */
#ifndef GPUSIM_PTX_H
#define GPUSIM_PTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    PTX_NO_TYPE = 0,
    PTX_B8,
    PTX_B16,
    PTX_B32,
    PTX_B64,
    PTX_B128,
    PTX_U8,
    PTX_U16,
    PTX_U32,
    PTX_U64,
    PTX_S8,
    PTX_S16,
    PTX_S32,
    PTX_S64,
    PTX_F16,
    PTX_F16X2,
    PTX_BF16,
    PTX_BF16X2,
    PTX_F32,
    PTX_F32X2,
    PTX_F64,
    PTX_TF32,
    PTX_E4M3,
    PTX_E5M2,
    PTX_E4M3X2,
    PTX_E5M2X2,
    PTX_U4,
    PTX_S4,
    PTX_B1,
    PTX_U16X2,
    PTX_S16X2,
    PTX_PRED,
    PTX_TYPES
} ptx_type;

uint32_t ptx_type_bytes(ptx_type type); /* 1, 2, 4, 8, 16; 0 for pred, b1, s4, u4 */

typedef enum { PTX_REG, PTX_PARAM, PTX_GLOBAL, PTX_CONST, PTX_SHARED, PTX_LOCAL } ptx_space;

typedef struct ptx_register {
    const char *name;
    ptx_type type;
    uint32_t id; /* number within its function */
} ptx_register;

typedef struct ptx_initialiser { /* one word of initial data: a number, or an address with a mask */
    uint32_t offset, bytes;
    uint64_t value;
    uint64_t mask;      /* of 0xFF00(symbol): the word is (address & mask) >> trailing zeros of it; 0: none */
    const char *symbol; /* NULL: a number. Otherwise its (generic, if is_generic) address plus value */
    bool is_generic;
} ptx_initialiser;

typedef struct ptx_variable {
    const char *name;
    ptx_space space;
    ptx_type type;
    uint32_t align;
    uint64_t bytes; /* 0 with is_unsized: extern .shared name[] */
    bool is_extern, is_unsized, is_weak, is_visible;
    uint32_t scope_first, scope_last; /* of a body's: it is known to instructions [first, last) */
    ptx_initialiser *init;
    uint32_t init_count;
} ptx_variable;

typedef enum {
    PTX_OP_NONE = 0,
    PTX_OP_REGISTER, /* reg; negated for !p and (of integers and floats) -r; name: "b0" of %r1.b0, or NULL */
    PTX_OP_INTEGER,  /* value */
    PTX_OP_FLOAT,    /* bits of the literal: value holds f32 bits for 0f..., f64 bits for 0d... or 1.5 */
    PTX_OP_SPECIAL,  /* name: "%tid.x" */
    PTX_OP_SYMBOL,   /* name (+ value): a variable, label or function */
    PTX_OP_ADDRESS,  /* [ base + value ]: base is reg, or symbol name, or neither (absolute) */
    PTX_OP_VECTOR,   /* { elements } */
    PTX_OP_PAIR,     /* d|p: elements[0], elements[1] */
    PTX_OP_SINK,     /* _ */
    PTX_OP_PARENS,   /* ( a, b ): arguments of a call */
} ptx_operand_kind;

typedef struct ptx_operand {
    ptx_operand_kind kind;
    const ptx_register *reg;
    bool negated;
    bool is_f32; /* FLOAT: written as 0f */
    uint64_t value;
    const char *name;
    struct ptx_operand *elements;
    uint32_t count;
} ptx_operand;

enum { PTX_MAX_MODIFIERS = 24, PTX_MAX_OPERANDS = 12 };

typedef struct {
    uint32_t file, line; /* file 0: none */
} ptx_place;
enum { PTX_INLINED = 4 }; /* callers kept of inlined code */

typedef struct ptx_instruction {
    const char *opcode; /* "mad" of mad.lo.s32 */
    const char
        *modifier[PTX_MAX_MODIFIERS]; /* "lo", "s32": in order, without dots ("::" kept: "shared::cta") */
    uint32_t modifiers;
    const ptx_register *guard; /* NULL: none */
    bool guard_negated;
    ptx_operand operand[PTX_MAX_OPERANDS];
    uint32_t operands;
    uint32_t line;                /* in the PTX text, from 1 */
    uint32_t loc_file, loc_line;  /* 0: no .loc in force */
    ptx_place outer[PTX_INLINED]; /* where the function that it was inlined from was called, outwards */
    const char *text;             /* the statement as written, for messages */
} ptx_instruction;

typedef struct { /* a label stands in front of instruction `at` */
    const char *name;
    uint32_t at;
} ptx_label;

typedef struct { /* name: .branchtargets a, b, c;  or .calltargets;  or a .callprototype */
    const char *name;
    const char **targets;
    uint32_t count;
} ptx_target_list;

typedef struct ptx_function {
    const char *name;
    bool is_entry, is_extern, is_weak, is_visible;
    bool has_body;        /* a declaration has none */
    const char *alias;    /* .alias: the function that this one is another name of; NULL: none */
    ptx_variable *params; /* formals, in order */
    uint32_t param_count;
    ptx_variable *results; /* of a .func */
    uint32_t result_count;
    ptx_register **registers; /* those that instructions use */
    uint32_t register_count;
    ptx_variable *variables; /* .local, .shared, .param of the body (scoped names made unique) */
    uint32_t variable_count;
    ptx_instruction *code;
    uint32_t code_count;
    ptx_label *labels;
    uint32_t label_count;
    ptx_target_list *targets;
    uint32_t target_count;
    uint32_t max_threads[3], required_threads[3], min_blocks;
} ptx_function;

typedef struct ptx_module {
    uint32_t version_major, version_minor;
    const char *target; /* "sm_80" */
    uint32_t address_bits;
    ptx_variable *variables; /* .global, .const, .shared at module level */
    uint32_t variable_count;
    ptx_function *functions;
    uint32_t function_count;
    const char **files; /* .file, by number; NULL where there is none */
    uint32_t file_count;
    void *arena;
} ptx_module;

/* NULL on failure, with one line in error that names the line of the PTX and what was not understood. */
ptx_module *ptx_parse(const char *text, size_t length, char *error, size_t error_size);
void ptx_free(ptx_module *module);

/* True if the instruction has the modifier. */
bool ptx_has(const ptx_instruction *inst, const char *modifier);
/* The type named by the modifier, or PTX_NO_TYPE. */
ptx_type ptx_type_of(const char *modifier);
/* The first modifier that the PTX ISA does not have for the opcode, or NULL. Opcodes not listed have none. */
const char *ptx_unknown_modifier(const ptx_instruction *inst);
/* Has it as many operands as its opcode takes? Handlers check further where that depends on its form. */
bool ptx_operands_fit(const ptx_instruction *inst);
/* The n-th modifier that is a type (n from 0), or PTX_NO_TYPE. */
ptx_type ptx_nth_type(const ptx_instruction *inst, uint32_t n);

#endif
