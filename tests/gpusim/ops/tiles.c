/*
 * Tiles between shared (or global) memory and the registers of a warp: ldmatrix, stmatrix, movmatrix,
 * wmma.load and wmma.store. All are collectives of every lane.
 */
#include "tests/gpusim/ops/tiles.h"
#include "tests/gpusim/ops/access.h"

/* ---- 8x8 matrices of b16 ---- */

enum { TRANSPOSED = 1, ROW = 16 /* bytes of a row */ };

typedef struct {
    uint16_t at[8][8];
} matrix8;

/* Lane t holds two elements: row t/4, columns 2(t%4) and the next; transposed, of the mirrored matrix. */
static inline uint32_t pair_of(const matrix8 *m, uint32_t lane, bool transposed)
{
    const uint32_t row = lane / 4, column = lane % 4 * 2;
    return transposed ? m->at[column][row] | (uint32_t)m->at[column + 1][row] << 16
                      : m->at[row][column] | (uint32_t)m->at[row][column + 1] << 16;
}

static inline void set_pair(matrix8 *m, uint32_t lane, bool transposed, uint32_t value)
{
    const uint32_t row = lane / 4, column = lane % 4 * 2;
    if (transposed) {
        m->at[column][row] = (uint16_t)value;
        m->at[column + 1][row] = (uint16_t)(value >> 16);
    } else {
        m->at[row][column] = (uint16_t)value;
        m->at[row][column + 1] = (uint16_t)(value >> 16);
    }
}

/* Addresses and bytes of the rows: lane r of the first 8 * count holds the address of row r % 8 of matrix r
 * / 8. */
static bool reach_rows(sim_warp *w, const sim_inst *inst, sim_mask rows, sim_space *space,
                       uint64_t a[SIM_LANES], sim_reach *reach)
{
    const sim_access *acc = inst->extra;
    uint64_t given[SIM_LANES];
    sim_addresses(w, inst, rows, given);
    *space = acc->space;
    if (*space == SIM_SPACE_GENERIC) {
        sim_one_space(rows, given, a, space);
    } else {
        memcpy(a, given, sizeof given);
    }
    if (*space != SIM_SPACE_SHARED) {
        sim_trap(w, SIM_ERROR_INVALID_ADDRESS_SPACE);
        return false;
    }
    return sim_reach_space(w, inst, acc, *space, rows, a, reach);
}

static inline sim_mask rows_of(const sim_inst *inst, sim_mask mask)
{
    return mask & (inst->count == 4 ? SIM_ALL_LANES : (1u << 8 * inst->count) - 1);
}

static void ldmatrix(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    const sim_mask rows = rows_of(inst, mask);
    uint64_t a[SIM_LANES];
    sim_reach reach;
    sim_space space;
    if (rows == 0 || !reach_rows(w, inst, rows, &space, a, &reach)) {
        return;
    }
    sim_look(w, inst, inst->extra, space, rows, a, NULL);
    for (uint32_t i = 0; i < inst->count; i++) {
        matrix8 m;
        uint32_t value[SIM_LANES];
        for (uint32_t row = 0; row < 8; row++) {
            memcpy(m.at[row], reach.host[8 * i + row], ROW);
        }
        if (inst->mods & TRANSPOSED) {
            for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
                value[lane] = pair_of(&m, lane, true);
            }
        } else {
            memcpy(value, &m, sizeof m);
        }
        sim_put32(w, sim_function_operand(w, inst, i), mask, value);
    }
}

static void stmatrix(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    const sim_mask rows = rows_of(inst, mask);
    uint64_t a[SIM_LANES];
    sim_reach reach;
    sim_space space;
    matrix8 m[4];
    if (rows == 0 || !reach_rows(w, inst, rows, &space, a, &reach)) {
        return;
    }
    for (uint32_t i = 0; i < inst->count; i++) {
        const uint32_t *value = sim_u32(w, sim_function_operand(w, inst, i));
        for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
            set_pair(&m[i], lane, inst->mods & TRANSPOSED, value[lane]);
        }
    }
    sim_look(w, inst, inst->extra, space, rows, a, (const uint8_t *)m);
    for (sim_mask rest = rows; rest; rest &= rest - 1) {
        const uint32_t lane = sim_first_lane(rest);
        memcpy(reach.host[lane], m[lane / 8].at[lane % 8], ROW);
    }
}

static void movmatrix(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    matrix8 m;
    uint32_t value[SIM_LANES];
    memcpy(&m, sim_u32(w, inst->a), sizeof m);
    for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
        value[lane] = pair_of(&m, lane, true);
    }
    sim_put32(w, inst->dst, mask, value);
}

/* Registers of a tile: { a, b, ... }, or one alone. */
static bool lower_registers(sim_lowering *l, const ptx_instruction *ptx, const ptx_operand *operand,
                            sim_inst *inst, ptx_type type, uint32_t count, bool is_load)
{
    sim_operand each[16];
    const bool is_vector = operand->kind == PTX_OP_VECTOR;
    if ((is_vector ? operand->count : 1) != count || count > 16) {
        return sim_lower_fail(l, "%s: %u registers expected", ptx->text, count);
    }
    for (uint32_t i = 0; i < count; i++) {
        const ptx_operand *o = is_vector ? &operand->elements[i] : operand;
        each[i] = is_load ? sim_lower_dest(l, o, type) : sim_lower_source(l, o, type);
    }
    inst->list = sim_lower_list(l, each, count);
    inst->count = count;
    return true;
}

static bool lower_matrix(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst, bool is_load)
{
    const uint32_t count = ptx_has(ptx, "x4") ? 4 : ptx_has(ptx, "x2") ? 2 : 1;
    if (!ptx_has(ptx, "m8n8") || !ptx_has(ptx, "b16") || ptx->operands < 2) {
        return sim_lower_fail(l, "%s: only m8n8 of b16 is known", ptx->text);
    }
    sim_access *acc = sim_access_new(l, ptx, sim_access_space(ptx), is_load ? SIM_READS : SIM_WRITES);
    sim_access_size(acc, ROW, 1);
    sim_access_address(l, &ptx->operand[is_load ? 1 : 0], inst, acc);
    inst->run = is_load ? ldmatrix : stmatrix;
    inst->kind = SIM_COLLECTIVE;
    inst->flags = SIM_ALL_MEMBERS;
    inst->klass = is_load ? SIM_CLASS_LD_SHARED : SIM_CLASS_ST_SHARED;
    inst->mods = ptx_has(ptx, "trans") ? TRANSPOSED : 0;
    return lower_registers(l, ptx, &ptx->operand[is_load ? 0 : 1], inst, PTX_B32, count, is_load);
}

static bool lower_ldmatrix(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    return lower_matrix(l, ptx, inst, true);
}

static bool lower_stmatrix(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    return lower_matrix(l, ptx, inst, false);
}

static bool lower_movmatrix(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    if (!ptx_has(ptx, "trans") || !ptx_has(ptx, "b16")) {
        return sim_lower_fail(l, "%s: only .trans.b16 is known", ptx->text);
    }
    inst->run = movmatrix;
    inst->kind = SIM_COLLECTIVE;
    inst->flags = SIM_ALL_MEMBERS;
    inst->klass = SIM_CLASS_WARP;
    inst->dst = sim_lower_dest(l, &ptx->operand[0], PTX_B32);
    inst->a = sim_lower_source(l, &ptx->operand[1], PTX_B32);
    return true;
}

/* ---- wmma.load and wmma.store ---- */

/* A tile in memory. Types below a byte are moved as the 32-bit words that hold them. */
typedef struct {
    sim_access acc; /* first: inst->extra of every memory instruction begins so. total: bytes of one run */
    uint32_t outer, inner, per_lane, bits;
    uint32_t run;   /* elements of a lane that stand one behind the other in memory */
    bool crosswise; /* the inner axis is the strided one in memory */
    uint32_t least_stride;
} wmma_tile;

/* Where run j of each lane's elements begins. */
static void run_addresses(sim_warp *w, const sim_inst *inst, sim_mask mask, uint32_t j,
                          uint64_t to[SIM_LANES])
{
    const wmma_tile *tile = inst->extra;
    const uint32_t elements = tile->outer * tile->inner;
    for (uint32_t i = 0; i < SIM_LANES; i++) {
        const uint32_t e = (i * tile->per_lane + j * tile->run) % elements, o = e / tile->inner,
                       n = e % tile->inner;
        const uint64_t stride = inst->b.bank == SIM_NOTHING ? tile->least_stride : sim_u32(w, inst->b)[i];
        const uint64_t at = tile->crosswise ? n * stride + o : o * stride + n;
        to[i] += at * tile->bits / 8;
    }
    (void)mask;
}

/* The bytes of all lanes, per_lane elements each, from memory or to it. */
static bool move_runs(sim_warp *w, const sim_inst *inst, sim_mask mask, uint8_t *bytes)
{
    const wmma_tile *tile = inst->extra;
    const uint32_t lane_bytes = tile->per_lane * tile->bits / 8, run_bytes = tile->acc.total;
    for (uint32_t j = 0; j < tile->per_lane / tile->run; j++) {
        uint64_t given[SIM_LANES], a[SIM_LANES];
        uint8_t run[SIM_LANES * 16];
        sim_reach reach;
        sim_space space = tile->acc.space;
        sim_addresses(w, inst, mask, given);
        run_addresses(w, inst, mask, j, given);
        memcpy(a, given, sizeof a);
        if (space == SIM_SPACE_GENERIC) {
            sim_one_space(mask, given, a, &space);
        }
        if (!sim_reach_space(w, inst, &tile->acc, space, mask, a, &reach)) {
            return false;
        }
        for (uint32_t i = 0; i < SIM_LANES; i++) {
            memcpy(run + i * run_bytes, bytes + i * lane_bytes + j * run_bytes, run_bytes);
        }
        sim_look(w, inst, &tile->acc, space, mask, a, run);
        for (sim_mask rest = mask; rest; rest &= rest - 1) {
            const uint32_t i = sim_first_lane(rest);
            uint8_t *mine = bytes + i * lane_bytes + j * run_bytes;
            const bool reads = tile->acc.kind == SIM_READS;
            memcpy(reads ? mine : reach.host[i], reads ? reach.host[i] : mine, run_bytes);
        }
    }
    return true;
}

static void wmma_load(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    const wmma_tile *tile = inst->extra;
    const uint32_t lane_bytes = tile->per_lane * tile->bits / 8;
    uint8_t bytes[SIM_LANES * 64] = {0};
    if (!move_runs(w, inst, mask, bytes)) {
        return;
    }
    for (uint32_t r = 0; r < inst->count; r++) {
        const sim_operand to = sim_function_operand(w, inst, r);
        for (sim_mask rest = mask; rest && to.bank != SIM_NOTHING; rest &= rest - 1) {
            const uint32_t i = sim_first_lane(rest);
            memcpy((uint8_t *)sim_u32(w, to) + i * to.bytes, bytes + i * lane_bytes + r * to.bytes, to.bytes);
        }
    }
}

static void wmma_store(sim_warp *w, const sim_inst *inst, sim_mask mask)
{
    const wmma_tile *tile = inst->extra;
    const uint32_t lane_bytes = tile->per_lane * tile->bits / 8;
    uint8_t bytes[SIM_LANES * 64] = {0};
    for (uint32_t r = 0; r < inst->count; r++) {
        const sim_operand from = sim_function_operand(w, inst, r);
        for (uint32_t i = 0; i < SIM_LANES; i++) {
            memcpy(bytes + i * lane_bytes + r * from.bytes, (uint8_t *)sim_u32(w, from) + i * from.bytes,
                   from.bytes);
        }
    }
    move_runs(w, inst, mask, bytes);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void fill_tile(wmma_tile *tile, sim_tile_matrix matrix, const sim_tile_shape *shape, ptx_type type,
                      bool is_column)
{
    tile->outer = sim_tile_outer(matrix, shape);
    tile->inner = sim_tile_inner(matrix, shape);
    tile->per_lane = sim_tile_per_lane(matrix, shape, type);
    tile->bits = sim_tile_bits(type);
    /* B's elements are counted [n][k]: columns of B are contiguous then. */
    tile->crosswise = is_column != (matrix == SIM_TILE_B);
    tile->least_stride = tile->crosswise ? tile->outer : tile->inner;
    tile->run = tile->crosswise ? 1 : smaller(smaller(tile->per_lane, tile->inner), 128 / tile->bits);
    sim_access_size(&tile->acc, tile->run * tile->bits / 8, 1);
}

/* wmma.{load.a|load.b|load.c|store.d}.sync.aligned.{row|col}.shape{.space}.type */
static bool lower_wmma(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    const bool is_load = ptx_has(ptx, "load");
    const sim_tile_matrix matrix = ptx_has(ptx, "a")   ? SIM_TILE_A
                                   : ptx_has(ptx, "b") ? SIM_TILE_B
                                                       : SIM_TILE_C;
    const ptx_type type = ptx_nth_type(ptx, 0);
    sim_tile_shape shape;
    if (!sim_tile_shape_of(ptx, &shape) || type == PTX_NO_TYPE || ptx->operands < 2) {
        return sim_lower_fail(l, "%s: shape or type not known", ptx->text);
    }
    wmma_tile *tile = sim_lower_alloc(l, sizeof *tile);
    const sim_access *acc = sim_access_new(l, ptx, sim_access_space(ptx), is_load ? SIM_READS : SIM_WRITES);
    memset(tile, 0, sizeof *tile);
    tile->acc = *acc;
    fill_tile(tile, matrix, &shape, type, ptx_has(ptx, "col"));
    if (tile->bits < 8 && tile->crosswise) {
        return sim_lower_fail(l, "%s: A must be in rows and B in columns", ptx->text);
    }
    sim_access_address(l, &ptx->operand[is_load ? 1 : 0], inst, &tile->acc);
    inst->run = is_load ? wmma_load : wmma_store;
    inst->kind = SIM_COLLECTIVE;
    inst->flags = SIM_ALL_MEMBERS;
    const bool is_shared = tile->acc.space == SIM_SPACE_SHARED;
    inst->klass = is_load ? (is_shared ? SIM_CLASS_LD_SHARED : SIM_CLASS_LD_GLOBAL)
                          : (is_shared ? SIM_CLASS_ST_SHARED : SIM_CLASS_ST_GLOBAL);
    if (ptx->operands > 2) {
        inst->b = sim_lower_source(l, &ptx->operand[2], PTX_U32);
    }
    const uint32_t lane_bits = tile->per_lane * tile->bits;
    return lower_registers(l, ptx, &ptx->operand[is_load ? 0 : 1], inst, type == PTX_F64 ? PTX_F64 : PTX_B32,
                           lane_bits / (type == PTX_F64 ? 64 : 32), is_load);
}

static bool lower_wmma_any(sim_lowering *l, const ptx_instruction *ptx, sim_inst *inst)
{
    return ptx_has(ptx, "mma") ? SIM_NAME(sim_lower_wmma_mma)(l, ptx, inst) : lower_wmma(l, ptx, inst);
}

const sim_op SIM_NAME(sim_ops_tiles)[] = {
    {"ldmatrix", lower_ldmatrix},
    {"stmatrix", lower_stmatrix},
    {"movmatrix", lower_movmatrix},
    {"wmma", lower_wmma_any},
    {NULL, NULL},
};
