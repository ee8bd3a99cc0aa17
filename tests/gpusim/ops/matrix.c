/*
 * mma.sync: every shape that sm_80 has (and f64's of sm_90), dense. The commonest ones, of f16, bf16 and tf32
 * with m16n8, go through one product of 8-wide vectors; the others through plain loops.
 *
 * Layouts (PTX ISA, "Matrix Fragments for mma"). A register of A over the 32 lanes, lane = 4 g + t, is a
 * piece of 8 rows (g) with 4 x 32 bits each (4 x 64 of f64), row-major as it lies. Of m16 shapes register n
 * holds rows 0-7 or 8-15 (n odd) of the (n / 2)-th piece along k. B is the same with its columns as rows. C
 * and D: registers 0 and 1 are (g, 2t) and (g, 2t+1), 2 and 3 the rows 8-15; of f16 two columns share a
 * register.
 *
 * Sums. Products of f16, bf16 and tf32 are exact in f32. An element is (p(0) + p(1) + ... + p(k-1)) + c, k
 * ascending, each sum rounded to f32 (by fma where the host has it, so the levels differ only where a product
 * underflows). f16 results are rounded from that. f64: c + p(0) + p(1) ... by fma. A device sums in an order
 * and with a precision of its own; GPUSIM_NOISE stands for that.
 */
#include "tests/gpusim/ops/matrix.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

typedef float vec8 __attribute__((vector_size(32)));
typedef uint32_t vec8u __attribute__((vector_size(32)));
/* Elements of a and b (from 8 on) by number. */
#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vec8u){__VA_ARGS__})
#endif

enum { ROWS = 16, COLUMNS = 8, MOST_K = 16 };

/*
 * Columns stand in the order 0 2 4 6 1 3 5 7: so a row of C is four lanes of register 0 and four of register
 * 1, and two rows of B, which lie one behind the other in a register, need no exchange of vector halves.
 */

/* ---- the fast product ---- */

static inline vec8 multiply_add(float a, vec8 b, vec8 sum)
{
#if defined(__FMA__)
    return (vec8)_mm256_fmadd_ps(_mm256_set1_ps(a), (__m256)b, (__m256)sum);
#else
    return sum + a * b;
#endif
}

/* A row of 8 or 4 elements of a piece to f32. */
static inline void widen_row(float *to, const uint32_t *row, ptx_type type)
{
    const uint16_t *halves = (const uint16_t *)(const void *)row;
    if (type == PTX_TF32) {
        for (uint32_t x = 0; x < 4; x++) {
            to[x] = sim_from_tf32(row[x]);
        }
    } else if (type == PTX_BF16) {
        for (uint32_t x = 0; x < 8; x++) {
            to[x] = sim_from_bf16(halves[x]);
        }
    } else {
#if defined(__F16C__)
        _mm256_storeu_ps(to, _mm256_cvtph_ps(_mm_loadu_si128((const void *)halves)));
#else
        for (uint32_t x = 0; x < 8; x++) {
            to[x] = sim_from_f16(halves[x]);
        }
#endif
    }
}

static inline vec8 widen_half(vec8u bits, ptx_type type)
{
    vec8 r;
    if (type == PTX_F16) {
        for (uint32_t x = 0; x < 8; x++) {
            r[x] = sim_from_f16(bits[x]);
        }
        return r;
    }
    bits <<= 16;
    memcpy(&r, &bits, sizeof r);
    return r;
}

/* A piece of B (8 columns, each with 4 words along k) to rows of k: one for each word of tf32, two of pairs.
 */
static inline void turn_piece(vec8 *to, const uint32_t *piece, ptx_type type)
{
    vec8u in[4], u[4], word[4];
    memcpy(in, piece, sizeof in); /* columns 2n and 2n + 1 */
    u[0] = SHUFFLE(in[0], in[1], 0, 8, 1, 9, 4, 12, 5, 13);
    u[1] = SHUFFLE(in[2], in[3], 0, 8, 1, 9, 4, 12, 5, 13);
    u[2] = SHUFFLE(in[0], in[1], 2, 10, 3, 11, 6, 14, 7, 15);
    u[3] = SHUFFLE(in[2], in[3], 2, 10, 3, 11, 6, 14, 7, 15);
    for (uint32_t n = 0; n < 2; n++) {
        word[2 * n] = SHUFFLE(u[2 * n], u[2 * n + 1], 0, 1, 8, 9, 4, 5, 12, 13);
        word[2 * n + 1] = SHUFFLE(u[2 * n], u[2 * n + 1], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    for (uint32_t n = 0; n < 4; n++) {
        if (type == PTX_TF32) {
            word[n] &= 0xffffe000u;
            memcpy(&to[n], &word[n], sizeof word[n]);
        } else if (type == PTX_BF16) {
            const vec8u upper = word[n] & 0xffff0000u;
            to[2 * n] = widen_half(word[n], type);
            memcpy(&to[2 * n + 1], &upper, sizeof upper);
        } else {
            to[2 * n] = widen_half(word[n] & 0xffffu, type);
            to[2 * n + 1] = widen_half(word[n] >> 16, type);
        }
    }
}

/* Row r of C or D of f32: four lanes of one register, four of the next. */
static inline void load_row(vec8 *to, const uint32_t *even, const uint32_t *odd, uint32_t row)
{
    memcpy((float *)to, even + 4 * row, 16);
    memcpy((float *)to + 4, odd + 4 * row, 16);
}

static inline void store_row(uint32_t *even, uint32_t *odd, uint32_t row, const vec8 *from)
{
    memcpy(even + 4 * row, from, 16);
    memcpy(odd + 4 * row, (const float *)from + 4, 16);
}

static void load_c(vec8 *c, const sim_warp *w, const sim_inst *i, ptx_type type)
{
    for (uint32_t half = 0; half < 2; half++) {
        const uint32_t *even = sim_matrix_c(w, i, type == PTX_F32 ? 2 * half : half);
        const uint32_t *odd = type == PTX_F32 ? sim_matrix_c(w, i, 2 * half + 1) : NULL;
        for (uint32_t row = 0; row < 8; row++) {
            if (odd) {
                load_row(&c[8 * half + row], even, odd, row);
                continue;
            }
            for (uint32_t t = 0; t < 4; t++) {
                c[8 * half + row][t] = sim_from_f16(even[4 * row + t] & 0xffff);
                c[8 * half + row][4 + t] = sim_from_f16(even[4 * row + t] >> 16);
            }
        }
    }
}

static void store_d(sim_warp *w, const sim_inst *i, ptx_type type, const vec8 *d)
{
    for (uint32_t half = 0; half < 2; half++) {
        uint32_t *even = sim_matrix_d(w, i, type == PTX_F32 ? 2 * half : half);
        uint32_t *odd = type == PTX_F32 ? sim_matrix_d(w, i, 2 * half + 1) : NULL;
        for (uint32_t row = 0; row < 8; row++) {
            const vec8 *from = &d[8 * half + row];
            if (odd) {
                store_row(even, odd, row, from);
                continue;
            }
            for (uint32_t t = 0; t < 4; t++) {
                even[4 * row + t] = sim_to_f16((*from)[t]) | (sim_to_f16((*from)[4 + t]) << 16);
            }
        }
    }
}

static void add_noise(vec8 *d, const float *a, const vec8 *b, const vec8 *c, uint32_t k)
{
    for (uint32_t row = 0; row < ROWS; row++) {
        for (uint32_t n = 0; n < COLUMNS; n++) {
            float column[MOST_K];
            for (uint32_t x = 0; x < k; x++) {
                column[x] = b[x][n];
            }
            const float scale = sim_matrix_scale(a + row * k, column, k, c[row][n]);
            d[row][n] = sim_matrix_noise(d[row][n], c[row][n], scale);
        }
    }
}

/* Eight rows of d = a b + c; the sums stay in vector registers. */
static inline __attribute__((always_inline)) void multiply_rows(vec8 *d, const float *a, const vec8 *b,
                                                                const vec8 *c, uint32_t k)
{
    vec8 sum[8];
#pragma GCC unroll 8
    for (uint32_t row = 0; row < 8; row++) {
        sum[row] = a[row * k] * b[0];
    }
#pragma GCC unroll 1 /* more of them, and the sums leave their registers */
    for (uint32_t x = 1; x < k; x++) {
#pragma GCC unroll 8
        for (uint32_t row = 0; row < 8; row++) {
            sum[row] = multiply_add(a[row * k + x], b[x], sum[row]);
        }
    }
#pragma GCC unroll 8
    for (uint32_t row = 0; row < 8; row++) {
        const vec8 r = sum[row] + c[row];
        const vec8u number = (vec8u)(r == r);
        d[row] = (vec8)(((vec8u)r & number) | (0x7fffffffu & ~number));
    }
}

/* The body of the fast handlers; type and the pieces along k are constants. */
static inline __attribute__((always_inline)) void multiply_fast(sim_warp *w, const sim_inst *i, ptx_type type,
                                                                uint32_t pieces)
{
    const sim_matrix_form *f = i->extra;
    const uint32_t width = type == PTX_TF32 ? 4 : 8, k = width * pieces;
    float a[ROWS * MOST_K] __attribute__((aligned(32)));
    vec8 b[MOST_K], c[ROWS], d[ROWS];
    for (uint32_t n = 0; n < 2 * pieces; n++) {
        const uint32_t *piece = sim_matrix_a(w, i, n);
#pragma GCC unroll 8
        for (uint32_t row = 0; row < 8; row++) {
            widen_row(a + (n % 2 * 8 + row) * k + n / 2 * width, piece + 4 * row, type);
        }
    }
    for (uint32_t n = 0; n < pieces; n++) {
        turn_piece(b + n * width, sim_matrix_b(w, i, n), type);
    }
    load_c(c, w, i, f->c);
    multiply_rows(d, a, b, c, k);
    multiply_rows(d + 8, a + 8 * k, b, c + 8, k);
    if (sim_options.noise) {
        add_noise(d, a, b, c, k);
    }
    store_d(w, i, f->d, d);
    sim_matrix_count(w, f);
}

#define FAST(name, type, pieces)                                                                             \
    SIM_HANDLER(name)                                                                                        \
    {                                                                                                        \
        (void)mask;                                                                                          \
        multiply_fast(w, i, type, pieces);                                                                   \
    }
FAST(mma_bf16_k16, PTX_BF16, 2)
FAST(mma_bf16_k8, PTX_BF16, 1)
FAST(mma_f16_k16, PTX_F16, 2)
FAST(mma_f16_k8, PTX_F16, 1)
FAST(mma_tf32_k8, PTX_TF32, 2)
FAST(mma_tf32_k4, PTX_TF32, 1)

/* ---- f64: m8n8k4; m16n8k4, k8, k16 ---- */

SIM_HANDLER(mma_f64)
{
    const sim_matrix_form *f = i->extra;
    const uint32_t halves = f->m / 8;
    double d[4][SIM_LANES];
    (void)mask;
    for (uint32_t n = 0; n < f->d_count; n++) {
        const double *c = (const double *)(const void *)sim_matrix_c(w, i, n);
        for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
            const uint32_t row = lane / 4, column = 2 * (lane % 4) + n % 2;
            double sum = c[lane];
            for (uint32_t x = 0; x < f->k; x++) {
                const void *a = sim_matrix_a(w, i, x / 4 * halves + n / 2), *b = sim_matrix_b(w, i, x / 4);
                sum = __builtin_fma(((const double *)a)[row * 4 + x % 4],
                                    ((const double *)b)[column * 4 + x % 4], sum);
            }
            d[n][lane] = sum;
        }
    }
    for (uint32_t n = 0; n < f->d_count; n++) {
        memcpy(sim_matrix_d(w, i, n), d[n], sizeof d[n]);
    }
    sim_matrix_count(w, f);
}

/* ---- integers: s8, u8, s4, u4 with any signs; m8 and m16 ---- */

enum { MOST_INTEGERS = 64 }; /* along k */

/* Register n of a fragment to rows of 16-bit integers, which stand k apart. */
static void spread_integers(int16_t *to, uint32_t k, const uint32_t *piece, ptx_type type)
{
    const uint32_t width = 128 / sim_tile_bits(type);
    for (uint32_t row = 0; row < 8; row++) {
        for (uint32_t x = 0; x < width; x++) {
            to[row * k + x] = sim_matrix_integer(piece + 4 * row, x, type);
        }
    }
}

static int64_t dot(const int16_t *a, const int16_t *b, uint32_t k)
{
    int32_t sum = 0; /* 64 products below 2^16 */
    for (uint32_t x = 0; x < k; x++) {
        sum += a[x] * b[x];
    }
    return sum;
}

/* d of all lanes from element(row, column): what the integer handlers share. */
#define GATHER_S32(ELEMENT)                                                                                  \
    uint32_t d[4][SIM_LANES];                                                                                \
    for (uint32_t n = 0; n < f->d_count; n++) {                                                              \
        const uint32_t *c = sim_matrix_c(w, i, n);                                                           \
        for (uint32_t lane = 0; lane < SIM_LANES; lane++) {                                                  \
            const uint32_t row = lane / 4 + n / 2 * 8, column = 2 * (lane % 4) + n % 2;                      \
            d[n][lane] = (uint32_t)sim_matrix_s32((int32_t)c[lane] + (ELEMENT), f->saturates);               \
        }                                                                                                    \
    }                                                                                                        \
    for (uint32_t n = 0; n < f->d_count; n++) {                                                              \
        memcpy(sim_matrix_d(w, i, n), d[n], sizeof d[n]);                                                    \
    }                                                                                                        \
    sim_matrix_count(w, f);

SIM_HANDLER(mma_integer)
{
    const sim_matrix_form *f = i->extra;
    const uint32_t halves = f->m / 8, width = 128 / sim_tile_bits(f->a), k = f->k;
    int16_t a[ROWS * MOST_INTEGERS], b[COLUMNS * MOST_INTEGERS];
    (void)mask;
    for (uint32_t n = 0; n < f->a_count; n++) {
        spread_integers(a + n % halves * 8 * k + n / halves * width, k, sim_matrix_a(w, i, n), f->a);
    }
    for (uint32_t n = 0; n < f->b_count; n++) {
        spread_integers(b + n * width, k, sim_matrix_b(w, i, n), f->b);
    }
    GATHER_S32(dot(a + row * k, b + column * k, k))
}

/* b1: the number of ones in a ^ b or a & b. */
static int64_t count_ones(const sim_warp *w, const sim_inst *i, const sim_matrix_form *f, uint32_t row,
                          uint32_t column)
{
    int64_t ones = 0;
    for (uint32_t x = 0; x < f->k / 32; x++) {
        const uint32_t a = sim_matrix_a(w, i, x / 4 * (f->m / 8) + row / 8)[row % 8 * 4 + x % 4];
        const uint32_t b = sim_matrix_b(w, i, x / 4)[column * 4 + x % 4];
        ones += __builtin_popcount(f->is_xor ? a ^ b : a & b);
    }
    return ones;
}

SIM_HANDLER(mma_bits)
{
    const sim_matrix_form *f = i->extra;
    (void)mask;
    GATHER_S32(count_ones(w, i, f, row, column))
}

/* ---- m8n8k4 of f16: four products, one for each quad pair ---- */

/*
 * Lanes 4q .. 4q+3 and 16+4q .. 16+4q+3 make pair q. `upper` says which half the lane belongs to, j = lane
 * % 4. A by rows: (j + 4 upper, e); by columns: (e + 4 upper, j). B by columns: (e, j + 4 upper); by rows:
 * (j, e + 4 upper). C and D of f16: (j + 4 upper, e); of f32: row (j & 1) + (e & 2) + 4 upper, column (e & 4)
 * + (j & 2) + (e & 1).
 */
typedef struct {
    float a[8][4], b[4][8], c[8][8];
} quad_pair;

static float half_element(const sim_warp *w, const sim_inst *i, bool is_b, uint32_t lane, uint32_t e)
{
    const uint32_t word = (is_b ? sim_matrix_b(w, i, e / 2) : sim_matrix_a(w, i, e / 2))[lane];
    return sim_from_f16(e % 2 ? word >> 16 : word & 0xffff);
}

static void quad_place(ptx_type type, uint32_t lane, uint32_t e, uint32_t *row, uint32_t *column)
{
    const uint32_t j = lane % 4, upper = lane / 16;
    *row = type == PTX_F16 ? j + 4 * upper : (j & 1) + (e & 2) + 4 * upper;
    *column = type == PTX_F16 ? e : (e & 4) + (j & 2) + (e & 1);
}

static void quad_load(quad_pair *p, const sim_warp *w, const sim_inst *i, uint32_t lane)
{
    const sim_matrix_form *f = i->extra;
    const uint32_t j = lane % 4, upper = lane / 16;
    for (uint32_t e = 0; e < 4; e++) {
        const float a = half_element(w, i, false, lane, e), b = half_element(w, i, true, lane, e);
        *(f->a_by_column ? &p->a[e + 4 * upper][j] : &p->a[j + 4 * upper][e]) = a;
        *(f->b_by_row ? &p->b[j][e + 4 * upper] : &p->b[e][j + 4 * upper]) = b;
    }
    for (uint32_t e = 0; e < 8; e++) {
        uint32_t row, column;
        quad_place(f->c, lane, e, &row, &column);
        const uint32_t word = sim_matrix_c(w, i, f->c == PTX_F16 ? e / 2 : e)[lane];
        p->c[row][column] =
            f->c == PTX_F32 ? sim_float(word) : sim_from_f16(e % 2 ? word >> 16 : word & 0xffff);
    }
}

static float quad_element(const quad_pair *p, uint32_t row, uint32_t column)
{
    float b[4], sum = 0.0f;
    for (uint32_t x = 0; x < 4; x++) {
        b[x] = p->b[x][column];
        sum = x ? __builtin_fmaf(p->a[row][x], b[x], sum) : p->a[row][x] * b[x];
    }
    const float c = p->c[row][column], r = sim_nan(sum + c);
    return sim_options.noise ? sim_matrix_noise(r, c, sim_matrix_scale(p->a[row], b, 4, c)) : r;
}

SIM_HANDLER(mma_quads)
{
    const sim_matrix_form *f = i->extra;
    quad_pair pair[4];
    (void)mask;
    for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
        quad_load(&pair[lane % 16 / 4], w, i, lane);
    }
    for (uint32_t lane = 0; lane < SIM_LANES; lane++) {
        for (uint32_t e = 0; e < 8; e++) {
            uint32_t row, column;
            quad_place(f->d, lane, e, &row, &column);
            const float r = quad_element(&pair[lane % 16 / 4], row, column);
            uint32_t *to = &sim_matrix_d(w, i, f->d == PTX_F16 ? e / 2 : e)[lane];
            if (f->d == PTX_F32) {
                *to = sim_bits(r);
            } else {
                *to = e % 2 ? *to | (sim_to_f16(r) << 16) : sim_to_f16(r);
            }
        }
    }
    sim_matrix_count(w, f);
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
        to[*n] = is_dest ? sim_lower_dest(l, o, type) : sim_lower_source(l, o, type);
        if (to[*n].bank == SIM_NOTHING) {
            return sim_lower_fail(l, "a fragment needs all its registers");
        }
        (*n)++;
    }
    return true;
}

bool SIM_NAME(sim_lower_matrix)(sim_lowering *l, const ptx_instruction *p, sim_inst *inst, sim_matrix_form *f)
{
    sim_operand all[64];
    sim_tile_shape s;
    uint32_t n = 0;
    const ptx_type word = f->d == PTX_F64 ? PTX_F64 : PTX_B32;
    if (p->operands != 4 || !sim_tile_shape_of(p, &s)) {
        return sim_lower_fail(l, "%s: a shape and four fragments are needed", p->text);
    }
    if (!append(l, &p->operand[0], word, true, all, &n, &f->d_count) ||
        !append(l, &p->operand[1], word, false, all, &n, &f->a_count) ||
        !append(l, &p->operand[2], word, false, all, &n, &f->b_count) ||
        !append(l, &p->operand[3], word, false, all, &n, &f->c_count)) {
        return false;
    }
    f->m = s.m;
    f->n = s.n;
    f->k = s.k;
    f->saturates = ptx_has(p, "satfinite");
    f->is_xor = ptx_has(p, "xor");
    inst->list = sim_lower_list(l, all, n);
    inst->count = n;
    inst->kind = SIM_COLLECTIVE;
    inst->flags = SIM_ALL_MEMBERS;
    inst->extra = f;
    return true;
}

static bool is_integer(ptx_type type)
{
    return type == PTX_S8 || type == PTX_U8 || type == PTX_S4 || type == PTX_U4;
}

/* True if the fragments have as many registers as the layout says; `width`: elements of a row in one
 * register. */
static bool counts_fit(const sim_matrix_form *f, uint32_t width)
{
    const uint32_t halves = f->m / 8, pieces = f->k / width;
    return (f->m == 8 || f->m == 16) && f->n == 8 && f->k % width == 0 && pieces > 0 && pieces <= 4 &&
           f->a_count == halves * pieces && f->b_count == pieces &&
           f->c_count == (f->c == PTX_F16 ? 1 : 2) * halves &&
           f->d_count == (f->d == PTX_F16 ? 1 : 2) * halves;
}

static sim_handler *fast_handler(const sim_matrix_form *f)
{
    const bool tf32 = f->a == PTX_TF32;
    const uint32_t pieces = f->k / (tf32 ? 4 : 8);
    const bool f32 = f->c == PTX_F32 && f->d == PTX_F32;
    const bool f16 = (f->c == PTX_F32 || f->c == PTX_F16) && (f->d == PTX_F32 || f->d == PTX_F16);
    if (f->a != f->b || f->m != 16 || pieces > 2 || !counts_fit(f, tf32 ? 4 : 8) ||
        !(f->a == PTX_F16 ? f16 : f32)) {
        return NULL;
    }
    switch (f->a) {
    case PTX_F16: return pieces == 2 ? mma_f16_k16 : mma_f16_k8;
    case PTX_BF16: return pieces == 2 ? mma_bf16_k16 : mma_bf16_k8;
    case PTX_TF32: return pieces == 2 ? mma_tf32_k8 : mma_tf32_k4;
    default: return NULL;
    }
}

static sim_handler *quad_handler(const sim_matrix_form *f)
{
    const uint32_t c = f->c == PTX_F16 ? 4 : 8, d = f->d == PTX_F16 ? 4 : 8;
    return f->n == 8 && f->k == 4 && f->a_count == 2 && f->b_count == 2 && f->c_count == c && f->d_count == d
               ? mma_quads
               : NULL;
}

static sim_handler *mma_handler(const sim_matrix_form *f)
{
    if (f->a == PTX_F16 && f->b == PTX_F16 && f->m == 8) {
        return quad_handler(f);
    }
    if (f->a_by_column || f->b_by_row) {
        return NULL;
    }
    if (f->a == PTX_F64) {
        return f->b == PTX_F64 && f->c == PTX_F64 && counts_fit(f, 4) ? mma_f64 : NULL;
    }
    if (f->d == PTX_S32 && f->c == PTX_S32) {
        const uint32_t bits = sim_tile_bits(f->a);
        const bool fits = bits == sim_tile_bits(f->b) && counts_fit(f, 128 / bits) && f->k * bits <= 256;
        return !fits                                  ? NULL
               : f->a == PTX_B1                       ? mma_bits
               : is_integer(f->a) && is_integer(f->b) ? mma_integer
                                                      : NULL;
    }
    return fast_handler(f);
}

/* mma.sync.aligned.shape.alayout.blayout{.satfinite}.d.a.b.c{.bitop.popc} */
static bool lower_mma(sim_lowering *l, const ptx_instruction *p, sim_inst *inst)
{
    sim_matrix_form *f = sim_lower_alloc(l, sizeof *f);
    *f = (sim_matrix_form){
        .d = ptx_nth_type(p, 0), .a = ptx_nth_type(p, 1), .b = ptx_nth_type(p, 2), .c = ptx_nth_type(p, 3)};
    const char *layout[2] = {"", ""};
    for (uint32_t n = 0, found = 0; n < p->modifiers && found < 2; n++) {
        if (!strcmp(p->modifier[n], "row") || !strcmp(p->modifier[n], "col")) {
            layout[found++] = p->modifier[n];
        }
    }
    f->a_by_column = strcmp(layout[0], "col") == 0;
    f->b_by_row = strcmp(layout[1], "row") == 0;
    if (ptx_has(p, "sp") || ptx_has(p, "sp::ordered_metadata") || ptx_has(p, "block_scale")) {
        return sim_lower_fail(l, "%s: sparse and scaled products are not simulated", p->text);
    }
    if (!SIM_NAME(sim_lower_matrix)(l, p, inst, f)) {
        return false;
    }
    return sim_lower_run(l, p, inst, mma_handler(f), SIM_CLASS_TENSOR);
}

const sim_op SIM_NAME(sim_ops_matrix)[] = {{"mma", lower_mma}, {NULL, NULL}};
