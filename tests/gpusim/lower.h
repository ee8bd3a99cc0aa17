/*
 * From tree to predecoded instructions: lower.c walks a function, gives registers to slots by liveness,
 * resolves symbols and labels, and asks the op tables (ops/) for each instruction's handler.
 */
#ifndef GPUSIM_LOWER_H
#define GPUSIM_LOWER_H

#include "tests/gpusim/ptx.h"
#include "tests/gpusim/sim.h"

/* A module level variable with its place: .global and .const in device memory, .shared at an offset in the
 * block. */
typedef struct {
    const ptx_variable *variable;
    uint64_t address;
} sim_symbol;

struct sim_module {
    ptx_module *ptx;
    sim_function *functions;    /* [ptx->function_count], same order */
    uint64_t *function_address; /* what `mov.u64 %rd, func` gives: SIM_FUNCTION_TAG | index */
    sim_symbol *symbols;
    uint32_t symbol_count;
    uint32_t shared_bytes; /* of module level .shared */
    void *arena;
    void *owner; /* the driver's */
};
#define SIM_FUNCTION_TAG 0x0000f00000000000ull

/*
 * Lowers a parsed module, taking it over. Device memory for its .global and .const variables comes from
 * sim_memory_alloc() and is initialised. NULL on failure, with one line that names the PTX line and the
 * instruction.
 */
sim_module *sim_module_lower(ptx_module *ptx, char *error, size_t error_size);
void sim_module_free(sim_module *module);
const sim_function *sim_module_function(const sim_module *module, const char *name); /* NULL: none */
const sim_symbol *sim_module_symbol(const sim_module *module, const char *name);
const sim_function *sim_module_function_at(const sim_module *module, uint64_t address);

/* ---- what ops/ use while lowering ---- */

typedef struct sim_lowering sim_lowering; /* the function being lowered */

/*
 * Turns a source operand into a place: a register, an immediate converted to `type` (a float literal to f16,
 * f32 or f64 bits; integers to the type's width, wrapped), a special register, or a symbol's address. Types
 * narrower than 4 bytes are zero-extended. 64-bit special registers and those without a slot go through
 * sim_lower_special.
 */
sim_operand sim_lower_source(sim_lowering *l, const ptx_operand *operand, ptx_type type);
/* A destination register; SINK gives SIM_NOTHING. */
sim_operand sim_lower_dest(sim_lowering *l, const ptx_operand *operand, ptx_type type);
/* A predicate register; *negated may be NULL for destinations. SINK gives SIM_NO_PRED. */
uint16_t sim_lower_pred(sim_lowering *l, const ptx_operand *operand, uint8_t *negated);
/* A constant slot with this value in every lane; bytes 4 or 8. */
sim_operand sim_lower_constant(sim_lowering *l, uint64_t value, uint32_t bytes);
/*
 * An address operand: base (register of 4 or 8 bytes, or a constant) and inst->imm. The base of a symbol is a
 * constant; of frame variables (.local, .param of .func bodies and calls) the offset in the frame, see
 * sim_address_kind.
 */
typedef enum {
    SIM_ADDRESS_PLAIN = 0,   /* base + imm */
    SIM_ADDRESS_ENTRY_PARAM, /* imm: offset in the launch's parameter block (base is NOTHING unless indexed)
                              */
    SIM_ADDRESS_FRAME_PARAM, /* imm: offset in the frame's param memory */
    SIM_ADDRESS_FRAME_LOCAL, /* imm: offset in the frame's local memory */
} sim_address_kind;
sim_operand sim_lower_address(sim_lowering *l, const ptx_operand *operand, int64_t *imm,
                              sim_address_kind *kind);
/* Appends operands to the function's list; returns the index of the first. */
uint32_t sim_lower_list(sim_lowering *l, const sim_operand *operands, uint32_t count);
/* Index of the instruction behind a label. */
bool sim_lower_label(sim_lowering *l, const char *name, uint32_t *index);
const ptx_target_list *sim_lower_targets(sim_lowering *l, const char *name);
/* Offset and size of a .param variable of the body (call arguments), or a formal; false if there is none. */
bool sim_lower_param(sim_lowering *l, const char *name, sim_param *param);
bool sim_lower_reserved(
    sim_lowering *l); /* its blocks get the system's shared memory; fails outside a kernel */
/* Whether a load only gives an atom.cas of the same address, soon behind it, what to compare with: a stale
 * value costs it a turn, so the race is none (CUDA's own atomicAdd of types that the device has no add for).
 * The two may have that address in different registers.
 */
bool sim_lower_feeds_swap(const sim_lowering *l, const ptx_instruction *load);
const sim_function *sim_lower_function(sim_lowering *l, const char *name); /* of the module, by name; NULL */
bool sim_function_has_body(sim_lowering *l, const char *name); /* its lowering may still be to come */
/* Memory that lives as long as the module. */
void *sim_lower_alloc(sim_lowering *l, size_t bytes);
/* Records the reason why this instruction can't be lowered; returns false. */
bool sim_lower_fail(sim_lowering *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * How an opcode is lowered: fills run, kind, klass, operands and mods of *inst (guard and line are set by the
 * caller, everything else is zeroed, predicates are SIM_NO_PRED, operands SIM_NOTHING). False after
 * sim_lower_fail(). One line per opcode; a table ends with {NULL, NULL}.
 */
typedef struct {
    const char *opcode;
    bool (*lower)(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst);
} sim_op;

/* Each file of ops/ exports one table, named with the level's suffix: const sim_op
 * SIM_NAME(sim_ops_integer)[]. */
#define SIM_PASTE2(a, b) a##_##b
#define SIM_PASTE(a, b) SIM_PASTE2(a, b)
#ifndef SIM_LEVEL
#define SIM_LEVEL plain
#endif
#define SIM_NAME(name) SIM_PASTE(name, SIM_LEVEL)

/*
 * mov from a special register that has no slot (%clock, %clock64, %globaltimer, %smid, %gridid, ...): in
 * control.c, called by mov's lowering in convert.c when the source is PTX_OP_SPECIAL and sim_special_slot()
 * says SIM_SPECIALS.
 */
bool SIM_NAME(sim_lower_special)(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst);
sim_special
sim_special_slot(const char *name); /* lower.c: SIM_TID_X of "%tid.x"; SIM_SPECIALS if it has none */

/*
 * The files: integer (add..mad, logic, shifts, bit fields, prmt, lop3, dp4a, video, min/max,
 * set/setp/selp/slct of integers), float (f32, f64, f16, bf16, packed, tf32, approx functions), convert (cvt,
 * mov, cvta, cvt.pack), matrix (mma, wmma.mma), memory (ld, st, ldu, prefetch, cvta of spaces, isspacep),
 * atomic (atom, red), tiles (ldmatrix, stmatrix, wmma.load, wmma.store, movmatrix), async (cp.async*,
 * mbarrier), warp (shfl, vote, match, redux, activemask, elect), control (bra, brx, call, ret, exit, trap,
 * bar, barrier, membar, fence, nanosleep, special registers). lower.c lists them all, per level.
 */
/* clang-format off */
#define SIM_OP_FILES(X)                                                                                      \
    X(integer) X(logic) X(compare) X(float) X(approx) X(video) X(convert) X(matrix) X(memory) X(atomic)      \
    X(tiles) X(async) X(warp) X(control)
/* clang-format on */

#endif
