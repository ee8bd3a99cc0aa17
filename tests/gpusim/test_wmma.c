/* The kernels of kernels/wmma.cu against plain C: every type, shape and layout of wmma that sm_80 has. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/dtype.h"
#include "tests/gpusim/harness.h"

/* Elements by name; `bits` of one, how it is drawn from -range .. range (or 0 .. range - 1), stored and read.
 */
typedef enum { F16, BF16, F32, F64, S8, U8, S4, U4, B1, S32 } element;

static const unsigned element_bits[] = {16, 16, 32, 64, 8, 8, 4, 4, 1, 32};

typedef struct {
    element type;
    unsigned rows, columns, pitch; /* pitch: elements from row to row, or from column to column */
    bool by_columns;
    unsigned char *bytes;
    size_t size;
    double *values; /* [rows, columns] as stored */
} matrix;

/* A number that the type holds exactly. */
static double draw(element type, uint64_t seed, uint64_t i)
{
    switch (type) {
    case S8: return (double)gpu_pick(seed, i, 256) - 128;
    case U8: return gpu_pick(seed, i, 256);
    case S4: return (double)gpu_pick(seed, i, 16) - 8;
    case U4: return gpu_pick(seed, i, 16);
    case B1: return gpu_pick(seed, i, 2);
    case S32: return (double)gpu_pick(seed, i, 2000000) - 1000000;
    default: return ((double)gpu_pick(seed, i, 255) - 127) / 64; /* 8 bits: exact in bf16 too */
    }
}

/* Of a number that a half holds exactly, and that is normal or zero. */
static uint16_t half_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16 & 0x8000u) |
           (uint16_t)(value == 0.0f ? 0 : ((bits & 0x7fffffffu) - (112u << 23)) >> 13);
}

static void store(const matrix *m, size_t at, double value)
{
    const float narrow = (float)value;
    const uint16_t half = half_of(narrow), brain = sa_bf16_from_f32(narrow);
    const int32_t whole = (int32_t)value;
    unsigned char *to = m->bytes + at * element_bits[m->type] / 8;
    switch (m->type) {
    case F16: memcpy(to, &half, 2); break;
    case BF16: memcpy(to, &brain, 2); break;
    case F32: memcpy(to, &narrow, 4); break;
    case F64: memcpy(to, &value, 8); break;
    case S32: memcpy(to, &whole, 4); break;
    case S8:
    case U8: *to = (unsigned char)whole; break;
    case S4:
    case U4: *to |= (unsigned char)((whole & 15) << at % 2 * 4); break;
    case B1: *to |= (unsigned char)(whole << at % 8); break;
    }
}

static double load(const matrix *m, size_t at)
{
    const unsigned char *from = m->bytes + at * element_bits[m->type] / 8;
    uint16_t half;
    float narrow;
    double wide;
    int32_t whole;
    switch (m->type) {
    case F16: memcpy(&half, from, 2); return (double)sa_f16_to_f32(half);
    case F32: memcpy(&narrow, from, 4); return (double)narrow;
    case F64: memcpy(&wide, from, 8); return wide;
    default: memcpy(&whole, from, 4); return whole;
    }
}

static size_t place(const matrix *m, unsigned row, unsigned column)
{
    return m->by_columns ? (size_t)column * m->pitch + row : (size_t)row * m->pitch + column;
}

/* Random numbers; 16 bytes stand between the end of a row and the next one. */
static matrix matrix_new(element type, unsigned rows, unsigned columns, bool by_columns, uint64_t seed)
{
    matrix m = {.type = type, .rows = rows, .columns = columns, .by_columns = by_columns};
    unsigned along = by_columns ? rows : columns, across = by_columns ? columns : rows;
    m.pitch = along + 128 / element_bits[type];
    m.size = (size_t)m.pitch * across * element_bits[type] / 8;
    m.bytes = calloc(m.size, 1);
    m.values = malloc((size_t)rows * columns * sizeof *m.values);
    for (unsigned i = 0; i < rows * columns; i++) {
        m.values[i] = draw(type, seed, i);
        store(&m, place(&m, i / columns, i % columns), m.values[i]);
    }
    return m;
}

static void matrix_free(matrix *m)
{
    free(m->bytes);
    free(m->values);
}

typedef struct {
    const char *name;
    element in, out;
    double tolerance; /* of the largest sum of sizes */
    int bit_op;       /* 'x' or 'a': bits are compared, not multiplied */
} type;

static double product(const type *t, double a, double b)
{
    return t->bit_op == 'x' ? (double)((int)a ^ (int)b) : a * b;
}

static void check(const type *t, const matrix *a, const matrix *b, const matrix *c, const matrix *d,
                  const char *name)
{
    for (unsigned i = 0; i < c->rows * c->columns; i++) {
        unsigned row = i / c->columns, column = i % c->columns;
        double want = c->values[i], size = fabs(want);
        for (unsigned k = 0; k < a->columns; k++) {
            double p = product(t, a->values[row * a->columns + k], b->values[k * b->columns + column]);
            want += p;
            size += fabs(p);
        }
        double got = load(d, place(d, row, column));
        if (!(fabs(got - want) <= t->tolerance * size)) {
            fail_msg("%s: (%u, %u) is %g, not %g", name, row, column, got, want);
        }
    }
}

/* layouts: 'r' or 'c' of a, b and c. */
static void run(const type *t, unsigned m, unsigned n, unsigned k, const char *layouts)
{
    char name[64];
    snprintf(name, sizeof name, "wmma_%s_%ux%ux%u_%s", t->name, m, n, k, layouts);
    matrix a = matrix_new(t->in, m, k, layouts[0] == 'c', 1),
           b = matrix_new(t->in, k, n, layouts[1] == 'c', 2);
    matrix c = matrix_new(t->out, m, n, layouts[2] == 'c', 3),
           d = matrix_new(t->out, m, n, layouts[2] == 'c', 4);
    uint64_t da = gpu_upload(a.bytes, a.size), db = gpu_upload(b.bytes, b.size),
             dc = gpu_upload(c.bytes, c.size);
    uint64_t dd = gpu_upload(d.bytes, d.size);
    int lda = (int)a.pitch, ldb = (int)b.pitch, ldc = (int)c.pitch;
    gpu_launch(name, (gpu_dim){1, 1, 1}, (gpu_dim){32, 1, 1}, 0,
               GPU_ARGS(&da, &db, &dc, &dd, &lda, &ldb, &ldc));
    gpu_download(d.bytes, dd, d.size);
    check(t, &a, &b, &c, &d, name);
    uint64_t device[] = {da, db, dc, dd};
    matrix *host[] = {&a, &b, &c, &d};
    for (int i = 0; i < 4; i++) {
        gpu_free(device[i]);
        matrix_free(host[i]);
    }
}

static void run_layouts(const type *t, unsigned m, unsigned n, unsigned k)
{
    static const char *const layouts[] = {"rrr", "rcc", "crr", "ccc"};
    for (int i = 0; i < 4; i++) {
        run(t, m, n, k, layouts[i]);
    }
}

static void test_sixteen(void **state)
{
    (void)state;
    static const type types[] = {
        {"f16_f16", F16, F16, 1.0 / 512, 0}, {"f16_f32", F16, F32, 1e-6, 0}, {"bf16_f32", BF16, F32, 1e-6, 0},
        {"s8_s32", S8, S32, 0, 0},           {"u8_s32", U8, S32, 0, 0},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        run_layouts(&types[i], 16, 16, 16);
        run_layouts(&types[i], 32, 8, 16);
        run_layouts(&types[i], 8, 32, 16);
    }
}

static void test_tf32_and_f64(void **state)
{
    (void)state;
    static const type tf32 = {"tf32_f32", F32, F32, 1e-6, 0}, f64 = {"f64_f64", F64, F64, 1e-15, 0};
    run_layouts(&tf32, 16, 16, 8);
    run_layouts(&f64, 8, 8, 4);
}

static void test_below_a_byte(void **state)
{
    (void)state;
    static const type s4 = {"s4_s32", S4, S32, 0, 0}, u4 = {"u4_s32", U4, S32, 0, 0};
    static const type differ = {"xor_s32", B1, S32, 0, 'x'}, both = {"and_s32", B1, S32, 0, 'a'};
    run(&s4, 8, 8, 32, "rcr");
    run(&s4, 8, 8, 32, "rcc");
    run(&u4, 8, 8, 32, "rcr");
    run(&differ, 8, 8, 128, "rcr");
    run(&both, 8, 8, 128, "rcr");
}

static int tests(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_sixteen),
        cmocka_unit_test(test_tf32_and_f64),
        cmocka_unit_test(test_below_a_byte),
    };
    gpu_open("wmma");
    int failed = cmocka_run_group_tests(list, NULL, NULL);
    gpu_close();
    return failed;
}

int main(void)
{
    return gpu_run_seeds(2, tests);
}
