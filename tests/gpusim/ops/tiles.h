/*
 * Fragments of wmma: which element of a matrix stands in which register of which lane. The layout is the
 * simulator's own (PTX leaves it open); tiles.c loads and stores by it, matrix.c (wmma.mma) computes by it.
 *
 * Element e counts A as [m][k], B as [n][k] (so k is the inner axis of both), C and D as [m][n]. It stands in
 * lane e / P, there as number e % P, where P = sim_tile_per_lane(). A lane's elements lie one behind the
 * other in its registers, low bits first: two f16 or bf16, four s8, eight s4 or 32 b1 to a 32-bit register;
 * tf32, f32, s32 and f64 have one register each. f16 A and B have P = 16 in every shape: where that is more
 * than the matrix holds, the fragment holds copies, P * lane + i stands for element (P * lane + i) %
 * elements, and the first copy counts.
 */
#ifndef GPUSIM_OPS_TILES_H
#define GPUSIM_OPS_TILES_H

#include <stdint.h>
#include <stdio.h>

#include "tests/gpusim/lower.h"

typedef enum { SIM_TILE_A = 0, SIM_TILE_B, SIM_TILE_C /* and D */ } sim_tile_matrix;

typedef struct {
    uint32_t m, n, k;
} sim_tile_shape;

/* The shape that a modifier such as "m16n16k16" names; false if none of the instruction's does. */
static inline bool sim_tile_shape_of(const ptx_instruction *ptx, sim_tile_shape *shape)
{
    for (uint32_t i = 0; i < ptx->modifiers; i++) {
        if (sscanf(ptx->modifier[i], "m%un%uk%u", &shape->m, &shape->n, &shape->k) == 3) {
            return true;
        }
    }
    return false;
}

/* Outer and inner extent of the element order above. */
static inline uint32_t sim_tile_outer(sim_tile_matrix matrix, const sim_tile_shape *s)
{
    return matrix == SIM_TILE_B ? s->n : s->m;
}

static inline uint32_t sim_tile_inner(sim_tile_matrix matrix, const sim_tile_shape *s)
{
    return matrix == SIM_TILE_C ? s->n : s->k;
}

/* Elements that a lane holds. */
static inline uint32_t sim_tile_per_lane(sim_tile_matrix matrix, const sim_tile_shape *s, ptx_type type)
{
    if (type == PTX_F16 && matrix != SIM_TILE_C) {
        return 16;
    }
    return sim_tile_outer(matrix, s) * sim_tile_inner(matrix, s) / 32;
}

static inline uint32_t sim_tile_bits(ptx_type type)
{
    return type == PTX_B1 ? 1 : type == PTX_S4 || type == PTX_U4 ? 4 : 8 * ptx_type_bytes(type);
}

/* wmma.mma, in matrix.c; the opcode wmma itself is in the table of tiles.c, which hands it on. */
bool SIM_NAME(sim_lower_wmma_mma)(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst);

#endif
