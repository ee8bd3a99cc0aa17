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

enum { ROWS = 16, COLUMNS = 8, MOST_K = 16, PLACES = ROWS * COLUMNS / 2 /* of two registers of C */ };

/* ---- the fast product ---- */

/* Rows of A and C that a vector holds. */
#if defined(__AVX512F__)
#define WIDE 16
#define EACH_LANE(f) f(0), f(4), f(8), f(12)
#elif defined(__AVX2__)
#define WIDE 8
#define EACH_LANE(f) f(0), f(4)
#else
#define WIDE 4
#define EACH_LANE(f) f(0)
#endif
enum { GROUPS = ROWS / WIDE };

typedef float vec __attribute__((vector_size(4 * WIDE)));
typedef uint32_t vecu __attribute__((vector_size(4 * WIDE)));
/* Elements of a and b (from WIDE on) by number, the same of every 128 bits: they do not cross these. */
#if defined(__clang__)
#define SHUFFLE(a, b, pick) __builtin_shufflevector(a, b, EACH_LANE(pick))
#else
#define SHUFFLE(a, b, pick) __builtin_shuffle(a, b, (vecu){EACH_LANE(pick)})
#endif
#define LOW_WORDS(q) (q), WIDE + (q), (q) + 1, WIDE + (q) + 1
#define HIGH_WORDS(q) (q) + 2, WIDE + (q) + 2, (q) + 3, WIDE + (q) + 3
#define LOW_PAIRS(q) (q), (q) + 1, WIDE + (q), WIDE + (q) + 1
#define HIGH_PAIRS(q) (q) + 2, (q) + 3, WIDE + (q) + 2, WIDE + (q) + 3

/*
 * Four vectors, each of WIDE / 4 rows with four words, to four words of WIDE rows, and back: a 4x4 matrix is
 * turned in every 128 bits. Lane 4 j + i of the turned ones is row j of vector i; which row that is matters
 * to no product, since C's columns are turned back the same way.
 */
static inline void turn(vecu to[4], const vecu in[4])
{
    const vecu a = SHUFFLE(in[0], in[1], LOW_WORDS), b = SHUFFLE(in[2], in[3], LOW_WORDS);
    const vecu c = SHUFFLE(in[0], in[1], HIGH_WORDS), d = SHUFFLE(in[2], in[3], HIGH_WORDS);
    to[0] = SHUFFLE(a, b, LOW_PAIRS);
    to[1] = SHUFFLE(a, b, HIGH_PAIRS);
    to[2] = SHUFFLE(c, d, LOW_PAIRS);
    to[3] = SHUFFLE(c, d, HIGH_PAIRS);
}

/* The lane that row `row` of a group of WIDE has in a turned vector. */
static inline uint32_t lane_of(uint32_t row)
{
    return row % (WIDE / 4) * 4 + row / (WIDE / 4);
}

static inline vec multiply_add(vec a, float b, vec sum)
{
#if defined(__AVX512F__)
    return (vec)_mm512_fmadd_ps((__m512)a, _mm512_set1_ps(b), (__m512)sum);
#elif defined(__FMA__)
    return (vec)_mm256_fmadd_ps((__m256)a, _mm256_set1_ps(b), (__m256)sum);
#else
    return sum + a * b;
#endif
}

/* Element `half` of each word, exactly; of tf32 the only one. */
static inline vec widen(vecu word, uint32_t half, ptx_type type)
{
    if (type == PTX_TF32) {
        return (vec)(word & 0xffffe000u);
    }
    if (type == PTX_BF16) {
        return (vec)(half ? word & 0xffff0000u : word << 16);
    }
    /* f16 by its bits: the exponent is mended by a product, which makes denormals right as well; infinity and
     * NaN get the largest exponent. */
    const vecu bits = half ? word >> 16 : word & 0xffffu;
    const vec size = (vec)((bits & 0x7fffu) << 13) * 0x1p112f;
    const vecu special = (vecu)((bits & 0x7c00u) == 0x7c00u) & 0x7f800000u;
    return (vec)((vecu)size | special | (bits & 0x8000u) << 16);
}

static inline uint32_t elements_of_word(ptx_type type)
{
    return type == PTX_TF32 ? 1 : 2;
}

/* Where (x, column) of B stands once widened: pieces of 4 words along k, of each first all low elements. */
static inline uint32_t b_place(uint32_t x, uint32_t column, ptx_type type)
{
    const uint32_t each = elements_of_word(type), piece = x / (4 * each), word = x / each % 4;
    return (piece * each + x % each) * SIM_LANES + 4 * column + word;
}

static inline void load_b(float *to, const sim_warp *w, const sim_inst *i, uint32_t pieces, ptx_type type)
{
    for (uint32_t n = 0; n < pieces; n++) {
        const uint32_t *piece = sim_matrix_b(w, i, n);
        for (uint32_t at = 0; at < SIM_LANES; at += WIDE) {
            vecu word;
            memcpy(&word, piece + at, sizeof word);
            for (uint32_t half = 0; half < elements_of_word(type); half++) {
                const vec r = widen(word, half, type);
                memcpy(to + (n * elements_of_word(type) + half) * SIM_LANES + at, &r, sizeof r);
            }
        }
    }
}

/* Columns of A, one for each place along k, of one group of WIDE rows. */
static inline void load_a(vec *to, const sim_warp *w, const sim_inst *i, uint32_t pieces, uint32_t group,
                          ptx_type type)
{
#pragma GCC unroll 2
    for (uint32_t n = 0; n < pieces; n++) {
        vecu in[4], word[4];
#pragma GCC unroll 4
        for (uint32_t v = 0; v < 4; v++) { /* rows 0-7 stand in register 2 n, rows 8-15 in the next */
            const uint32_t at = (4 * group + v) * WIDE;
            memcpy(&in[v], sim_matrix_a(w, i, 2 * n + at / SIM_LANES) + at % SIM_LANES, sizeof in[v]);
        }
        turn(word, in);
        for (uint32_t t = 0; t < 4; t++) {
            for (uint32_t half = 0; half < elements_of_word(type); half++) {
                to[(4 * n + t) * elements_of_word(type) + half] = widen(word[t], half, type);
            }
        }
    }
}

/* C: [0] even columns, [1] odd ones, row by row: as registers of f32 hold them. */
static inline void load_c(float c[2][PLACES], const sim_warp *w, const sim_inst *i, ptx_type type)
{
    for (uint32_t half = 0; half < 2; half++) {
        for (uint32_t odd = 0; odd < 2; odd++) {
            const uint32_t *from = sim_matrix_c(w, i, type == PTX_F32 ? 2 * half + odd : half);
            float *to = &c[odd][half * SIM_LANES];
            if (type == PTX_F32) {
                memcpy(to, from, 4 * SIM_LANES);
                continue;
            }
            for (uint32_t l = 0; l < SIM_LANES; l++) {
                to[l] = sim_from_f16(odd ? from[l] >> 16 : from[l] & 0xffff);
            }
        }
    }
}

static inline void store_d(sim_warp *w, const sim_inst *i, ptx_type type, float d[2][PLACES])
{
    for (uint32_t half = 0; half < 2; half++) {
        const float *even = &d[0][half * SIM_LANES], *odd = &d[1][half * SIM_LANES];
        if (type == PTX_F32) {
            memcpy(sim_matrix_d(w, i, 2 * half), even, 4 * SIM_LANES);
            memcpy(sim_matrix_d(w, i, 2 * half + 1), odd, 4 * SIM_LANES);
            continue;
        }
        uint32_t *to = sim_matrix_d(w, i, half);
        for (uint32_t l = 0; l < SIM_LANES; l++) {
            to[l] = sim_to_f16(even[l]) | (sim_to_f16(odd[l]) << 16);
        }
    }
}

static __attribute__((noinline)) void add_noise(float d[2][PLACES], vec a[GROUPS][MOST_K], const float *b,
                                                float c[2][PLACES], uint32_t k, ptx_type type)
{
    for (uint32_t row = 0; row < ROWS; row++) {
        for (uint32_t n = 0; n < COLUMNS; n++) {
            float line[MOST_K], column[MOST_K];
            for (uint32_t x = 0; x < k; x++) {
                line[x] = a[row / WIDE][x][lane_of(row % WIDE)];
                column[x] = b[b_place(x, n, type)];
            }
            float *to = &d[n % 2][4 * row + n / 2];
            const float before = c[n % 2][4 * row + n / 2];
            *to = sim_matrix_noise(*to, before, sim_matrix_scale(line, column, k, before));
        }
    }
}

/* WIDE rows of a b, turned back to the order of registers: `even` and `odd` columns. */
static inline __attribute__((always_inline)) void multiply_rows(vecu even[4], vecu odd[4], const vec *a,
                                                                const float *b, uint32_t k, ptx_type type)
{
    const uint32_t each = elements_of_word(type);
    vec sum[COLUMNS];
#pragma GCC unroll 8
    for (uint32_t n = 0; n < COLUMNS; n++) {
        sum[n] = -(vec){0}; /* so that the first sum is the first product, a product of -0 included */
    }
#pragma GCC unroll 1 /* more of it, and the sums of AVX2 leave their registers */
    for (uint32_t x = 0; x < k; x += each) {
        const float *low = b + b_place(x, 0, type);
#pragma GCC unroll 2
        for (uint32_t half = 0; half < each; half++) {
#pragma GCC unroll 8
            for (uint32_t n = 0; n < COLUMNS; n++) {
                sum[n] = multiply_add(a[x + half], low[b_place(half, n, type)], sum[n]);
            }
        }
    }
    turn(even, (vecu[4]){(vecu)sum[0], (vecu)sum[2], (vecu)sum[4], (vecu)sum[6]});
    turn(odd, (vecu[4]){(vecu)sum[1], (vecu)sum[3], (vecu)sum[5], (vecu)sum[7]});
}

static inline void add_c(float *d, vecu sum, const float *c)
{
    vec before;
    memcpy(&before, c, sizeof before);
    const vec r = (vec)sum + before;
    const vecu number = (vecu)(r == r), bits = ((vecu)r & number) | (0x7fffffffu & ~number);
    memcpy(d, &bits, sizeof bits);
}

/* The body of the fast handlers; type and the pieces along k are constants. */
static inline __attribute__((always_inline)) void multiply_fast(sim_warp *w, const sim_inst *i, ptx_type type,
                                                                uint32_t pieces)
{
    const sim_matrix_form *f = i->extra;
    const uint32_t k = 4 * elements_of_word(type) * pieces;
    vec a[GROUPS][MOST_K];
    float b[2 * 2 * SIM_LANES], c[2][PLACES], d[2][PLACES];
    load_b(b, w, i, pieces, type);
    __asm__("" : "+m"(b)); /* or gcc takes every element out of the vectors that it has just stored */
    load_c(c, w, i, f->c);
#pragma GCC unroll 4 /* so that the places of registers are worked out once */
    for (uint32_t group = 0; group < GROUPS; group++) {
        vecu even[4], odd[4];
        load_a(a[group], w, i, pieces, group, type);
        multiply_rows(even, odd, a[group], b, k, type);
#pragma GCC unroll 4
        for (uint32_t v = 0; v < 4; v++) {
            const uint32_t at = (4 * group + v) * WIDE;
            add_c(&d[0][at], even[v], &c[0][at]);
            add_c(&d[1][at], odd[v], &c[1][at]);
        }
    }
    if (sim_options.noise) {
        add_noise(d, a, b, c, k, type);
    }
    store_d(w, i, f->d, d); /* behind all loads: registers of D may be those of A, B or C */
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
