/*
 * mma.sync and wmma.mma. Fragments are spread into dense tiles of f32 (or s32, f64), multiplied, and gathered
 * again.
 *
 * Order of sums. Products of f16, bf16 and tf32 values are exact in f32; an element is c + p(0) + p(1) + ...,
 * each sum rounded to f32, k from 0 on. A device sums in an order of its own with wider intermediates; with
 * GPUSIM_NOISE the result is off by a seeded amount of a unit in the last place of the largest term, so that
 * no test depends on it.
 *
 * Layouts (PTX ISA, "Matrix Fragments for mma"): g = lane / 4, t = lane % 4. A register of A over the 32
 * lanes is rows g of 8 elements of 16 bits (4 of tf32, 16 of 8 bits): as memory, a row-major 8-row piece of
 * the matrix. Likewise B with n for the row. So pieces are converted as they lie.
 */
#include <math.h>

#include "tests/gpusim/ops/arith.h"
#include "tests/gpusim/ops/tiles.h"

enum { MOST_K = 32, ROWS = 16, COLUMNS = 8 };

/* What an mma is made of: registers in the instruction's list, D A B C one behind the other. */
typedef struct {
    uint32_t m, n, k;
    ptx_type a, b, c, d;
    uint32_t d_count, a_count, b_count, c_count;
    bool saturates;
} mma_form;

static const uint32_t *list_u32(const sim_warp *w, const sim_inst *i, uint32_t n)
{
    return sim_u32(w, sim_function_operand(w, i, n));
}

static float element(const uint32_t *piece, uint32_t index, ptx_type type)
{
    const uint16_t *halves = (const uint16_t *)(const void *)piece;
    switch (type) {
    case PTX_BF16: return sim_from_bf16(halves[index]);
    case PTX_F16: return sim_from_f16(halves[index]);
    default: return sim_float(piece[index] & 0xffffe000u); /* tf32: the device ignores the low 13 bits */
    }
}

/* A piece of 8 rows with `width` elements each to rows of a tile of f32. */
static inline __attribute__((always_inline)) void spread_as(float *to, uint32_t stride, const uint32_t *piece,
                                                            uint32_t width, ptx_type type)
{
    for (uint32_t row = 0; row < 8; row++) {
        for (uint32_t x = 0; x < width; x++) {
            to[row * stride + x] = element(piece, row * width + x, type);
        }
    }
}

static void spread(float *to, uint32_t stride, const uint32_t *piece, ptx_type type)
{
    if (type == PTX_BF16) {
        spread_as(to, stride, piece, 8, PTX_BF16);
    } else if (type == PTX_F16) {
        spread_as(to, stride, piece, 8, PTX_F16);
    } else {
        spread_as(to, stride, piece, 4, PTX_TF32);
    }
}

/* Accumulators of f32 (4 registers, or 2 of an m8) or f16 (2 registers of pairs) to a 16 x 8 tile and back.
 */
static void spread_c(float *to, const sim_warp *w, const sim_inst *i, uint32_t first, ptx_type type)
{
    for (uint32_t half = 0; half < 2; half++) {
        const uint32_t *x = list_u32(w, i, first + (type == PTX_F32 ? 2 * half : half));
        const uint32_t *y = type == PTX_F32 ? list_u32(w, i, first + 2 * half + 1) : x;
        for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
            float *at = to + (8 * half + lane / 4) * COLUMNS + 2 * (lane % 4);
            at[0] = type == PTX_F32 ? sim_float(x[lane]) : sim_from_f16(x[lane] & 0xffff);
            at[1] = type == PTX_F32 ? sim_float(y[lane]) : sim_from_f16(x[lane] >> 16);
        }
    }
}

static void gather_d(const sim_warp *w, const sim_inst *i, const float *from, ptx_type type)
{
    for (uint32_t half = 0; half < 2; half++) {
        uint32_t *x = sim_u32(w, sim_function_operand(w, i, type == PTX_F32 ? 2 * half : half));
        uint32_t *y = type == PTX_F32 ? sim_u32(w, sim_function_operand(w, i, 2 * half + 1)) : NULL;
        for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
            const float *at = from + (8 * half + lane / 4) * COLUMNS + 2 * (lane % 4);
            if (y != NULL) {
                x[lane] = sim_bits(sim_nan(at[0]));
                y[lane] = sim_bits(sim_nan(at[1]));
            } else {
                x[lane] = sim_to_f16(at[0]) | sim_to_f16(at[1]) << 16;
            }
        }
    }
}

/* d [16,8] = c + a [16,k] b [k,8], c and d in one place. */
static void multiply(float *d, const float *a, const float *b, uint32_t k)
{
    for (uint32_t row = 0; row < ROWS; row++) {
        float sum[COLUMNS];
        memcpy(sum, d + row * COLUMNS, sizeof sum);
        for (uint32_t x = 0; x < k; x++) {
            for (uint32_t n = 0; n < COLUMNS; n++) {
                sum[n] += a[row * k + x] * b[x * COLUMNS + n];
            }
        }
        memcpy(d + row * COLUMNS, sum, sizeof sum);
    }
}

static void shake(float *d, const float *a, const float *b, uint32_t k)
{
    for (uint32_t e = 0; e < ROWS * COLUMNS; e++) {
        float largest = fabsf(d[e]);
        for (uint32_t x = 0; x < k; x++) {
            largest = fmaxf(largest, fabsf(a[e / COLUMNS * k + x] * b[x * COLUMNS + e % COLUMNS]));
        }
        uint64_t mixed =
            (sim_bits(d[e]) + e + 1) * 0x9E3779B97F4A7C15ull ^ sim_options.seed * 0xD1B54A32D192ED03ull;
        float r = (float)(int32_t)((mixed ^ mixed >> 31) * 0xBF58476D1CE4E5B9ull >> 32) * 0x1p-31f;
        d[e] += largest < INFINITY ? r * largest * 0x1p-23f : 0.0f;
    }
}

static void count_flops(sim_warp *w, const mma_form *f)
{
    w->worker->counters.tensor_flops += 2ull * f->m * f->n * f->k;
}

/* m16n8k4, k8, k16 of f16, bf16 and tf32. */
SIM_HANDLER(mma_float)
{
    const mma_form *f = i->extra;
    float a[ROWS * MOST_K], bt[COLUMNS * MOST_K], b[MOST_K * COLUMNS], d[ROWS * COLUMNS];
    const uint32_t width = f->a == PTX_TF32 ? 4 : 8, k = f->k;
    (void)mask;
    for (uint32_t n = 0; n < f->a_count;
         n++) { /* registers: rows 0-7 and 8-15 of one piece of k, then of the next */
        spread(a + (n % 2) * 8 * k + n / 2 * width, k, list_u32(w, i, f->d_count + n), f->a);
    }
    for (uint32_t n = 0; n < f->b_count; n++) {
        spread(bt + n * width, k, list_u32(w, i, f->d_count + f->a_count + n), f->b);
    }
    for (uint32_t x = 0; x < k; x++) {
        for (uint32_t n = 0; n < COLUMNS; n++) {
            b[x * COLUMNS + n] = bt[n * k + x];
        }
    }
    spread_c(d, w, i, f->d_count + f->a_count + f->b_count, f->c);
    multiply(d, a, b, k);
    if (sim_options.noise) {
        shake(d, a, b, k);
    }
    gather_d(w, i, d, f->d);
    count_flops(w, f);
}

/* m8n8k4 of f64: one a, one b, two c of each lane. Sums by fma, k from 0 on. */
SIM_HANDLER(mma_double)
{
    const double *a = sim_f64(w, sim_function_operand(w, i, 2)),
                 *b = sim_f64(w, sim_function_operand(w, i, 3));
    double d[2][SIM_LANES];
    (void)mask;
    for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
        for (uint32_t n = 0; n < 2; n++) {
            double sum = sim_f64(w, sim_function_operand(w, i, 4 + n))[lane];
            for (uint32_t x = 0; x < 4; x++) {
                sum = fma(a[lane / 4 * 4 + x], b[(2 * (lane % 4) + n) * 4 + x], sum);
            }
            d[n][lane] = sum;
        }
    }
    memcpy(sim_f64(w, sim_function_operand(w, i, 0)), d[0], sizeof d[0]);
    memcpy(sim_f64(w, sim_function_operand(w, i, 1)), d[1], sizeof d[1]);
    count_flops(w, i->extra);
}

static int32_t byte_of(const uint32_t *piece, uint32_t index, ptx_type type)
{
    uint8_t value = ((const uint8_t *)(const void *)piece)[index];
    return type == PTX_S8 ? (int8_t)value : value;
}

/* One element of an integer product; pieces are 8 rows of 16 bytes. */
static int32_t dot_bytes(const sim_warp *w, const sim_inst *i, const mma_form *f, uint32_t row,
                         uint32_t column, int32_t c)
{
    const uint32_t halves = f->m / 8;
    int64_t sum = c;
    for (uint32_t x = 0; x < f->k; x++) {
        const uint32_t *a = list_u32(w, i, f->d_count + x / 16 * halves + row / 8);
        const uint32_t *b = list_u32(w, i, f->d_count + f->a_count + x / 16);
        sum += (int64_t)byte_of(a, row % 8 * 16 + x % 16, f->a) * byte_of(b, column * 16 + x % 16, f->b);
    }
    if (f->saturates) {
        return sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : (int32_t)sum;
    }
    return (int32_t)(uint32_t)sum;
}

/* m8n8k16, m16n8k16 and m16n8k32 of s8 and u8. */
SIM_HANDLER(mma_bytes)
{
    const mma_form *f = i->extra;
    uint32_t d[4][SIM_LANES];
    (void)mask;
    for (uint32_t n = 0; n < f->d_count; n++) {
        const uint32_t *c = list_u32(w, i, f->d_count + f->a_count + f->b_count + n);
        for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
            d[n][lane] = (uint32_t)dot_bytes(w, i, f, lane / 4 + 8 * (n / 2), 2 * (lane % 4) + n % 2,
                                             (int32_t)c[lane]);
        }
    }
    for (uint32_t n = 0; n < f->d_count; n++) {
        memcpy(sim_u32(w, sim_function_operand(w, i, n)), d[n], sizeof d[n]);
    }
    count_flops(w, f);
}

/* ---- wmma.mma: fragments as ops/tiles.h lays them out ---- */

/* Element e of a fragment, as f64 (all types here are exact in it). */
static double fragment_value(const sim_warp *w, const sim_inst *i, uint32_t first, uint32_t per_lane,
                             uint32_t e, ptx_type type)
{
    const uint32_t lane = e / per_lane, n = e % per_lane, bits = sim_tile_bits(type);
    if (type == PTX_F64) {
        return sim_f64(w, sim_function_operand(w, i, first + n))[lane];
    }
    const uint32_t word = list_u32(w, i, first + n * bits / 32)[lane], part = word >> (n * bits % 32);
    switch (type) {
    case PTX_F16: return sim_from_f16(part & 0xffff);
    case PTX_BF16: return sim_from_bf16(part & 0xffff);
    case PTX_TF32: return sim_float(word & 0xffffe000u);
    case PTX_F32: return sim_float(word);
    case PTX_S32: return (int32_t)word;
    case PTX_S8: return (int8_t)(part & 0xff);
    case PTX_U8: return part & 0xff;
    default: return 0;
    }
}

static void fragment_set(const sim_warp *w, const sim_inst *i, uint32_t per_lane, uint32_t e, ptx_type type,
                         double value)
{
    const uint32_t lane = e / per_lane, n = e % per_lane;
    if (type == PTX_F64) {
        sim_f64(w, sim_function_operand(w, i, n))[lane] = value;
        return;
    }
    uint32_t *word = &sim_u32(w, sim_function_operand(w, i, type == PTX_F16 ? n / 2 : n))[lane];
    if (type == PTX_F16) {
        const uint32_t shift = 16 * (n % 2), bits = sim_to_f16((float)value);
        *word = (*word & ~(0xffffu << shift)) | bits << shift;
    } else if (type == PTX_F32) {
        *word = sim_bits(sim_nan((float)value));
    } else {
        *word = (uint32_t)(int32_t)value;
    }
}

/* The sum in f64, rounded once; integers wrap, or saturate with .satfinite. */
static double wmma_element(const sim_warp *w, const sim_inst *i, const mma_form *f, uint32_t row,
                           uint32_t column)
{
    const sim_tile_shape s = {f->m, f->n, f->k};
    const uint32_t pa = sim_tile_per_lane(SIM_TILE_A, &s, f->a), pb = sim_tile_per_lane(SIM_TILE_B, &s, f->b);
    const uint32_t pc = sim_tile_per_lane(SIM_TILE_C, &s, f->c),
                   first_c = f->d_count + f->a_count + f->b_count;
    double sum = fragment_value(w, i, first_c, pc, row * f->n + column, f->c);
    for (uint32_t x = 0; x < f->k; x++) {
        sum += fragment_value(w, i, f->d_count, pa, row * f->k + x, f->a) *
               fragment_value(w, i, f->d_count + f->a_count, pb, column * f->k + x, f->b);
    }
    if (f->d == PTX_S32) {
        return f->saturates ? fmin(fmax(sum, INT32_MIN), INT32_MAX) : (double)(int32_t)(uint32_t)(int64_t)sum;
    }
    return sum;
}

SIM_HANDLER(wmma_mma)
{
    const mma_form *f = i->extra;
    const sim_tile_shape s = {f->m, f->n, f->k};
    const uint32_t per_lane = sim_tile_per_lane(SIM_TILE_C, &s, f->d);
    double d[32 * 32];
    (void)mask;
    for (uint32_t e = 0; e < f->m * f->n; e++) {
        d[e] = wmma_element(w, i, f, e / f->n, e % f->n);
    }
    for (uint32_t e = 0; e < f->m * f->n; e++) {
        fragment_set(w, i, per_lane, e, f->d, d[e]);
    }
    count_flops(w, f);
}

/* ---- lowering ---- */

static bool append(sim_lowering *l, const ptx_operand *vector, ptx_type type, bool is_dest, sim_operand *to,
                   uint32_t *n, uint32_t *count)
{
    *count = vector->kind == PTX_OP_VECTOR ? vector->count : 1;
    for (uint32_t e = 0; e < *count; e++) {
        const ptx_operand *o = vector->kind == PTX_OP_VECTOR ? &vector->elements[e] : vector;
        if (*n == 64) {
            return sim_lower_fail(l, "more registers than fragments have");
        }
        to[(*n)++] = is_dest ? sim_lower_dest(l, o, type) : sim_lower_source(l, o, type);
    }
    return true;
}

/* Fragments of all four matrices into the list. */
static bool append_all(sim_lowering *l, const ptx_instruction *p, sim_inst *inst, mma_form *f)
{
    sim_operand all[64];
    uint32_t n = 0;
    const ptx_type word = f->d == PTX_F64 ? PTX_F64 : PTX_B32;
    if (p->operands != 4) {
        return sim_lower_fail(l, "mma takes four fragments");
    }
    if (!append(l, &p->operand[0], word, true, all, &n, &f->d_count) ||
        !append(l, &p->operand[1], word, false, all, &n, &f->a_count) ||
        !append(l, &p->operand[2], word, false, all, &n, &f->b_count) ||
        !append(l, &p->operand[3], word, false, all, &n, &f->c_count)) {
        return false;
    }
    inst->list = sim_lower_list(l, all, n);
    inst->count = n;
    inst->kind = SIM_COLLECTIVE;
    inst->flags |= SIM_ALL_MEMBERS;
    inst->extra = f;
    return true;
}

static bool shape_of(const ptx_instruction *p, mma_form *f)
{
    sim_tile_shape s;
    if (!sim_tile_shape_of(p, &s)) {
        return false;
    }
    f->m = s.m;
    f->n = s.n;
    f->k = s.k;
    f->saturates = ptx_has(p, "satfinite");
    return true;
}

/* The handler that fits, with as many registers as the layout says; NULL: not known. */
static sim_handler *mma_handler(const mma_form *f)
{
    const uint32_t width = f->a == PTX_TF32 ? 4 : 8;
    const bool is_float = f->a == f->b && (f->a == PTX_F16 || f->a == PTX_BF16 || f->a == PTX_TF32);
    const bool is_bytes = (f->a == PTX_S8 || f->a == PTX_U8) && (f->b == PTX_S8 || f->b == PTX_U8);
    const uint32_t c_of = f->c == PTX_F16 ? 2 : 4, d_of = f->d == PTX_F16 ? 2 : 4;
    if (is_float && f->m == 16 && f->n == 8 && f->k <= 16 && f->k % width == 0 &&
        f->a_count == 2 * f->k / width && f->b_count == f->k / width && f->c_count == c_of &&
        f->d_count == d_of) {
        return mma_float;
    }
    if (f->a == PTX_F64 && f->m == 8 && f->n == 8 && f->k == 4 && f->a_count == 1 && f->b_count == 1 &&
        f->c_count == 2 && f->d_count == 2) {
        return mma_double;
    }
    if (is_bytes && f->n == 8 && f->k % 16 == 0 && f->a_count == f->m / 8 * (f->k / 16) &&
        f->b_count == f->k / 16 && f->c_count == f->m / 4 && f->d_count == f->m / 4) {
        return mma_bytes;
    }
    return NULL;
}

/* mma.sync.aligned.shape.row.col{.satfinite}.d.a.b.c */
static bool lower_mma(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    mma_form *f = sim_lower_alloc(l, sizeof *f);
    if (!shape_of(p, f) || !ptx_has(p, "row") || !ptx_has(p, "col")) {
        return sim_lower_fail(l, "mma is known for A by rows and B by columns");
    }
    f->d = ptx_nth_type(p, 0);
    f->a = ptx_nth_type(p, 1);
    f->b = ptx_nth_type(p, 2);
    f->c = ptx_nth_type(p, 3);
    if (!append_all(l, p, inst, f)) {
        return false;
    }
    return sim_lower_run(l, p, inst, mma_handler(f), SIM_CLASS_TENSOR);
}

/* wmma.mma.sync.aligned.alayout.blayout.shape{...}: f16 forms name d and c alone, the others all four types.
 */
bool SIM_NAME(sim_lower_wmma_mma)(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    mma_form *f = sim_lower_alloc(l, sizeof *f);
    const bool is_f16 = ptx_nth_type(p, 2) == PTX_NO_TYPE;
    if (!shape_of(p, f)) {
        return sim_lower_fail(l, "wmma.mma without a shape");
    }
    f->d = ptx_nth_type(p, 0);
    f->a = is_f16 ? PTX_F16 : ptx_nth_type(p, 1);
    f->b = is_f16 ? PTX_F16 : ptx_nth_type(p, 2);
    f->c = ptx_nth_type(p, is_f16 ? 1 : 3);
    if (sim_tile_bits(f->a) < 8 || !append_all(l, p, inst, f)) {
        return sim_lower_fail(l, "wmma.mma of 4-bit and 1-bit integers is not simulated");
    }
    return sim_lower_run(l, p, inst, wmma_mma, SIM_CLASS_TENSOR);
}

const sim_op SIM_NAME(sim_ops_matrix)[] = {{"mma", lower_mma}, {NULL, NULL}};
