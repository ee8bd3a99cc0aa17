/*
 * wmma.mma for every type and shape of sm_80. Fragments lie as ops/tiles.h says, so a fragment becomes a
 * dense matrix by going through lanes and registers in order; products are those of matrix.c: f32 sums (p(0)
 * + p(1) + ...) + c, f64 by fma from c on, integers exactly.
 */
#include "tests/gpusim/ops/matrix.h"

enum { MOST = 32 * 16, MOST_D = 32 * 32 };

/* Words of a fragment in the order of its elements: lane by lane, register by register. */
static void collect(uint32_t *to, const sim_warp *w, const sim_operand *first, uint32_t count)
{
    for (uint32_t n = 0; n < count; n++) {
        const uint32_t *from = sim_u32(w, first[n]);
        for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
            to[lane * count + n] = from[lane];
        }
    }
}

/* Elements of a fragment's words as f32. */
static void to_floats(float *to, const uint32_t *words, uint32_t count, ptx_type type)
{
    const uint16_t *halves = (const uint16_t *)(const void *)words;
    for (uint32_t e = 0; e < count; e++) {
        switch (type) {
        case PTX_F16: to[e] = sim_from_f16(halves[e]); break;
        case PTX_BF16: to[e] = sim_from_bf16(halves[e]); break;
        case PTX_TF32: to[e] = sim_from_tf32(words[e]); break;
        default: to[e] = sim_float(words[e]); break;
        }
    }
}

/* d [m,n]: sums in ascending k, then c. bt [n,k]. */
static void multiply(float *d, const float *a, const float *bt, const float *c, const sim_matrix_form *f)
{
    float b[MOST]; /* [k][n], so that the inner loop runs over columns */
    for (uint32_t n = 0; n < f->n; n++) {
        for (uint32_t x = 0; x < f->k; x++) {
            b[x * f->n + n] = bt[n * f->k + x];
        }
    }
    for (uint32_t row = 0; row < f->m; row++) {
        float sum[32] = {0};
        for (uint32_t x = 0; x < f->k; x++) {
            const float factor = a[row * f->k + x];
            for (uint32_t n = 0; n < f->n; n++) {
                sum[n] = x ? __builtin_fmaf(factor, b[x * f->n + n], sum[n]) : factor * b[n];
            }
        }
        for (uint32_t n = 0; n < f->n; n++) {
            d[row * f->n + n] = sim_nan(sum[n] + c[row * f->n + n]);
        }
    }
}

static void add_noise(float *d, const float *a, const float *bt, const float *c, const sim_matrix_form *f)
{
    for (uint32_t e = 0; e < f->m * f->n; e++) {
        const float *row = a + e / f->n * f->k, *column = bt + e % f->n * f->k;
        d[e] = sim_matrix_noise(d[e], c[e], sim_matrix_scale(row, column, f->k, c[e]));
    }
}

static void spread_d(sim_warp *w, const sim_inst *i, const uint32_t *words, uint32_t count)
{
    for (uint32_t n = 0; n < count; n++) {
        uint32_t *to = sim_matrix_d(w, i, n);
        for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
            to[lane] = words[lane * count + n];
        }
    }
}

SIM_HANDLER(wmma_float)
{
    const sim_matrix_form *f = i->extra;
    const sim_operand *list = &w->frame->function->operands[i->list];
    const uint32_t elements = f->m * f->n;
    uint32_t words[MOST_D];
    float a[MOST], bt[MOST], c[MOST_D], d[MOST_D];
    (void)mask;
    collect(words, w, list + f->d_count, f->a_count);
    to_floats(a, words, f->m * f->k, f->a);
    collect(words, w, list + f->d_count + f->a_count, f->b_count);
    to_floats(bt, words, f->n * f->k, f->b);
    collect(words, w, list + f->d_count + f->a_count + f->b_count, f->c_count);
    to_floats(c, words, elements, f->c);
    multiply(d, a, bt, c, f);
    if (sim_options.noise) {
        add_noise(d, a, bt, c, f);
    }
    for (uint32_t e = 0; e < elements; e++) {
        if (f->d == PTX_F32) {
            words[e] = sim_bits(d[e]);
        } else {
            words[e / 2] = e % 2 ? words[e / 2] | (sim_to_f16(d[e]) << 16) : sim_to_f16(d[e]);
        }
    }
    spread_d(w, i, words, f->d_count);
    sim_matrix_count(w, f);
}

/* m8n8k4: one element of A and B and two of C a lane. */
SIM_HANDLER(wmma_f64)
{
    const sim_matrix_form *f = i->extra;
    const void *a = sim_matrix_a(w, i, 0), *b = sim_matrix_b(w, i, 0);
    double d[2][SIM_LANES];
    (void)mask;
    for (uint32_t e = 0; e < 64; e++) {
        double sum = ((const double *)(const void *)sim_matrix_c(w, i, e % 2))[e / 2];
        for (uint32_t x = 0; x < 4; x++) {
            sum = __builtin_fma(((const double *)a)[e / 8 * 4 + x], ((const double *)b)[e % 8 * 4 + x], sum);
        }
        d[e % 2][e / 2] = sum;
    }
    memcpy(sim_matrix_d(w, i, 0), d[0], sizeof d[0]);
    memcpy(sim_matrix_d(w, i, 1), d[1], sizeof d[1]);
    sim_matrix_count(w, f);
}

static int64_t dot(const uint32_t *a, const uint32_t *b, uint32_t row, uint32_t column,
                   const sim_matrix_form *f)
{
    int64_t sum = 0;
    if (f->a == PTX_B1) {
        for (uint32_t x = 0; x < f->k / 32; x++) {
            const uint32_t p = a[row * f->k / 32 + x], q = b[column * f->k / 32 + x];
            sum += __builtin_popcount(f->is_xor ? p ^ q : p & q);
        }
        return sum;
    }
    for (uint32_t x = 0; x < f->k; x++) {
        sum += sim_matrix_integer(a, row * f->k + x, f->a) * sim_matrix_integer(b, column * f->k + x, f->b);
    }
    return sum;
}

SIM_HANDLER(wmma_integer)
{
    const sim_matrix_form *f = i->extra;
    const sim_operand *list = &w->frame->function->operands[i->list];
    uint32_t a[MOST], b[MOST], c[MOST_D], d[MOST_D];
    (void)mask;
    collect(a, w, list + f->d_count, f->a_count);
    collect(b, w, list + f->d_count + f->a_count, f->b_count);
    collect(c, w, list + f->d_count + f->a_count + f->b_count, f->c_count);
    for (uint32_t e = 0; e < f->m * f->n; e++) {
        d[e] = (uint32_t)sim_matrix_s32((int32_t)c[e] + dot(a, b, e / f->n, e % f->n, f), f->saturates);
    }
    spread_d(w, i, d, f->d_count);
    sim_matrix_count(w, f);
}

/* Registers that a fragment has: its elements of one lane, packed. */
static uint32_t registers_of(sim_tile_matrix matrix, const sim_matrix_form *f, ptx_type type)
{
    const sim_tile_shape s = {f->m, f->n, f->k};
    const uint32_t bits = sim_tile_per_lane(matrix, &s, type) * sim_tile_bits(type);
    return type == PTX_F64 ? bits / 64 : bits / 32;
}

static bool fits(const sim_matrix_form *f)
{
    const uint32_t most = sim_is_float(f->a) ? MOST : 4 * MOST;
    return f->m * f->n <= MOST_D && f->m * f->k <= most && f->n * f->k <= most &&
           f->a_count == registers_of(SIM_TILE_A, f, f->a) &&
           f->b_count == registers_of(SIM_TILE_B, f, f->b) &&
           f->c_count == registers_of(SIM_TILE_C, f, f->c) && f->d_count == registers_of(SIM_TILE_C, f, f->d);
}

static sim_handler *wmma_handler(const sim_matrix_form *f)
{
    const bool f16 = (f->c == PTX_F16 || f->c == PTX_F32) && (f->d == PTX_F16 || f->d == PTX_F32);
    if (!fits(f)) {
        return NULL;
    }
    switch (f->a) {
    case PTX_F16: return f->b == PTX_F16 && f16 ? wmma_float : NULL;
    case PTX_BF16:
    case PTX_TF32: return f->b == f->a && f->c == PTX_F32 && f->d == PTX_F32 ? wmma_float : NULL;
    case PTX_F64: return f->b == f->a && f->c == f->a && f->d == f->a ? wmma_f64 : NULL;
    case PTX_S8:
    case PTX_U8:
    case PTX_S4:
    case PTX_U4:
    case PTX_B1: return f->b == f->a && f->c == PTX_S32 && f->d == PTX_S32 ? wmma_integer : NULL;
    default: return NULL;
    }
}

/* wmma.mma{.bitop.popc}.sync.aligned.alayout.blayout.shape: f16 forms name d and c alone, the others all
 * four. */
bool SIM_NAME(sim_lower_wmma_mma)(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    sim_matrix_form *f = sim_lower_alloc(l, sizeof *f);
    const bool is_f16 = ptx_nth_type(p, 2) == PTX_NO_TYPE;
    *f = (sim_matrix_form){.d = ptx_nth_type(p, 0),
                           .a = is_f16 ? PTX_F16 : ptx_nth_type(p, 1),
                           .b = is_f16 ? PTX_F16 : ptx_nth_type(p, 2),
                           .c = ptx_nth_type(p, is_f16 ? 1 : 3)};
    if (!SIM_NAME(sim_lower_matrix)(l, p, inst, f)) {
        return false;
    }
    return sim_lower_run(l, p, inst, wmma_handler(f), SIM_CLASS_TENSOR);
}
