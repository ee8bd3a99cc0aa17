/* What lower.c (modules), lower_operand.c (operands), liveness.c (slots) and flow.c (blocks) share. */
#ifndef GPUSIM_LOWER_BODY_H
#define GPUSIM_LOWER_BODY_H

#include "tests/gpusim/arena.h"
#include "tests/gpusim/lower.h"

/* A basic block: instructions [first, last) and where control goes behind it. */
typedef struct {
    uint32_t first, last;
    uint32_t *next; /* [next_count] blocks */
    uint32_t next_count;
} sim_flow_block;

typedef struct {
    sim_flow_block *block; /* [count], in the order of the text */
    uint32_t count;
    uint32_t *block_of; /* [code_count] */
} sim_flow;

struct sim_lowering {
    sim_module *module;
    const ptx_function *ptx;
    sim_function *function;
    const ptx_instruction *current;
    sim_map labels, params, locals,
        targets;            /* names to instructions, to frame_param[], to variables, to lists */
    sim_param *frame_param; /* [frame_params]: everything in the frame's param memory */
    uint32_t frame_params;
    uint32_t *local_offset; /* [ptx->variable_count] of .local and .shared variables */
    uint16_t *slot;         /* [ptx->register_count]: slot, or number of the predicate */
    sim_flow flow;
    uint32_t *constants, constant_slots, constant_capacity; /* [slots * 32] */
    uint64_t *constant_keys; /* open addressing: value; constant_places: slot + 1, with bytes in bit 31 */
    uint32_t *constant_places, constant_table;
    sim_operand *operands;
    uint32_t operand_count, operand_capacity;
    char *error;
    size_t error_size;
    bool failed;
};

/* flow.c: blocks of the function, and each instruction's rank (sim_function.order). False: a label is
 * missing. */
bool sim_flow_make(sim_lowering *l);
/* liveness.c: a slot for every register; false if there are too many. */
bool sim_liveness_assign(sim_lowering *l);
/* True if operand 0 is what the instruction writes. */
bool sim_writes_first(const ptx_instruction *inst);

/* lower.c */
const sim_symbol *sim_lowering_symbol(const sim_lowering *l, const char *name);
int64_t sim_lowering_function_index(const sim_lowering *l, const char *name); /* -1: none */

#endif
