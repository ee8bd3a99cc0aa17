/*
 * What mma (matrix.c) and wmma.mma (wmma.c) share: the form of an instruction, dense products, the noise of
 * sums.
 */
#ifndef GPUSIM_OPS_MATRIX_H
#define GPUSIM_OPS_MATRIX_H

#include "tests/gpusim/ops/arith.h"
#include "tests/gpusim/ops/tiles.h"

/* A product d [m,n] = a [m,k] b [k,n] + c. Its registers stand in the instruction's list: those of d, a, b,
 * c. */
typedef struct {
    uint32_t m, n, k;
    ptx_type a, b, c, d;
    uint32_t d_count, a_count, b_count, c_count;
    bool saturates;             /* .satfinite */
    bool is_xor;                /* of b1: .xor, else .and */
    bool a_by_column, b_by_row; /* of m8n8k4 alone: the other shapes have row.col */
} sim_matrix_form;

/* Registers of the four matrices, by number within their fragment. */
static inline uint32_t *sim_matrix_d(const sim_warp *w, const sim_inst *i, uint32_t n)
{
    return sim_u32(w, sim_function_operand(w, i, n));
}

static inline const uint32_t *sim_matrix_a(const sim_warp *w, const sim_inst *i, uint32_t n)
{
    const sim_matrix_form *f = i->extra;
    return sim_u32(w, sim_function_operand(w, i, f->d_count + n));
}

static inline const uint32_t *sim_matrix_b(const sim_warp *w, const sim_inst *i, uint32_t n)
{
    const sim_matrix_form *f = i->extra;
    return sim_u32(w, sim_function_operand(w, i, f->d_count + f->a_count + n));
}

static inline const uint32_t *sim_matrix_c(const sim_warp *w, const sim_inst *i, uint32_t n)
{
    const sim_matrix_form *f = i->extra;
    return sim_u32(w, sim_function_operand(w, i, f->d_count + f->a_count + f->b_count + n));
}

static inline void sim_matrix_count(sim_warp *w, const sim_matrix_form *f)
{
    w->worker->counters.tensor_flops += 2ull * f->m * f->n * f->k;
}

/*
 * GPUSIM_NOISE: r off by up to `scale` 2^-23. The amount depends on r, c and the seed, not on the element's
 * place: a device gives equal results for equal rows wherever they stand in a tile. Products that are all 0
 * leave c as it is: a device aligns the terms by the largest, and cuts off nothing of that one.
 */
static inline float sim_matrix_noise(float r, float c, float scale)
{
    uint64_t x = (((uint64_t)sim_bits(r) << 32) | sim_bits(c)) + sim_options.seed * 0xD1B54A32D192ED03ull;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    const float amount = (float)(int32_t)(x >> 32) * 0x1p-31f;
    const bool exact = scale == __builtin_fabsf(c);
    return scale < 0x1p127f && r - r == 0.0f && !exact ? r + amount * scale * 0x1p-23f : r;
}

/* The sum of the magnitudes of c and of all k products of a row of a and a row of bt: noise's scale. */
static inline float sim_matrix_scale(const float *a, const float *bt, uint32_t k, float c)
{
    float sum = __builtin_fabsf(c);
    for (uint32_t x = 0; x < k; x++) {
        sum += __builtin_fabsf(a[x] * bt[x]);
    }
    return sum;
}

/* tf32: the device ignores the lowest 13 bits. */
static inline float sim_from_tf32(uint32_t bits)
{
    return sim_float(bits & 0xffffe000u);
}

static inline int32_t sim_matrix_s32(int64_t sum, bool saturates)
{
    const int64_t low = INT32_MIN, high = INT32_MAX;
    return !saturates ? (int32_t)(uint32_t)sum : (int32_t)(sum < low ? low : sum > high ? high : sum);
}

/* Element `index` of a row of packed integers of a type: s8, u8, s4, u4. */
static inline int16_t sim_matrix_integer(const uint32_t *words, uint32_t index, ptx_type type)
{
    const uint32_t byte = (words[index / 4] >> (8 * (index % 4))) & 255;
    const uint32_t nibble = (words[index / 8] >> (4 * (index % 8))) & 15;
    switch (type) {
    case PTX_S8: return (int8_t)byte;
    case PTX_U8: return (int16_t)byte;
    case PTX_S4: return (int16_t)(nibble & 8 ? (int32_t)nibble - 16 : (int32_t)nibble);
    default: return (int16_t)nibble;
    }
}

/* Reads shape, .satfinite and the operands of mma or wmma.mma into the list; the types must be set. */
bool SIM_NAME(sim_lower_matrix)(sim_lowering *l, const ptx_instruction *p, sim_inst *inst,
                                sim_matrix_form *f);

#endif
