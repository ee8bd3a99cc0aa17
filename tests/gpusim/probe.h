/*
 * Tests of single instructions: each row of a table is an instruction and its result in plain C. A kernel of
 * its own runs it for edge values of the operands, all pairs of them, and random ones; once for all lanes,
 * once under a guard (the other lanes' destinations stay) and once in place (the destination is a source).
 *
 *   PROBE("add.sat.s32 $d, $a, $b", 'w', "ii", clamp(sa + sb, INT32_MIN, INT32_MAX))
 *   int main(void) { ... probe_all() ... }
 */
#ifndef GPUSIM_PROBE_H
#define GPUSIM_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    uint64_t d;
    bool p, q;
} probe_out;

typedef struct {
    uint64_t a, b, c;
    bool p;
} probe_in;

typedef struct probe probe;
typedef probe_out probe_reference(const probe *probe, probe_in in);

struct probe {
    const char
        *text; /* $d destination; $a $b $c sources; $P $Q destination predicates; $p source predicate */
    char dst;  /* of $d: h 16, w 32, d 64 bits, F f64 (any NaN is as good as another); - none */
    /*
     * Kinds of the sources, which say width and values too: s 16-, i 32-, I 64-bit integers; n 32-bit counts;
     * f f32, F f64; h f16, b bf16, H and B pairs of them; y any 32 bits, x any 16.
     */
    const char *in;
    probe_reference *reference;
    double relative,
        absolute; /* f32 results may be off by so much; NaN, infinities and the sign of them not */
    probe *next;
};

/* Adds a row to the tests of this program. */
void probe_add(probe *row);

/* Runs every row; the first wrong results are printed. Returns the number of rows that are wrong. */
int probe_all(void);

/* Runs the tests once for each level of the simulator's handlers that this machine has. Returns main's code.
 */
int probe_run_levels(int (*tests)(void));

uint64_t probe_hash(uint64_t x);
uint64_t probe_mask(char kind);

/* x of a kind's width, extended by its sign. */
static inline int64_t probe_signed(uint64_t x, char kind)
{
    const uint64_t mask = probe_mask(kind);
    return mask == 0xffff ? (int16_t)x : mask == 0xffffffff ? (int32_t)x : (int64_t)x;
}

static inline float probe_float(uint64_t bits)
{
    const uint32_t low = (uint32_t)bits;
    float f;
    memcpy(&f, &low, 4);
    return f;
}

static inline double probe_double(uint64_t bits)
{
    double f;
    memcpy(&f, &bits, 8);
    return f;
}

static inline uint64_t probe_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, 4);
    return bits;
}

static inline uint64_t probe_bits64(double f)
{
    uint64_t bits;
    memcpy(&bits, &f, 8);
    return bits;
}

/*
 * A row whose reference is an expression of a, b, c (zero-extended), sa, sb, sc (sign-extended) and p, or a
 * function's body that returns a probe_out.
 */
#define PROBE_PASTE_(a, b) a##b
#define PROBE_PASTE(a, b) PROBE_PASTE_(a, b)
#define PROBE_ROW(n, TEXT, DST, IN, RELATIVE, ABSOLUTE, ...)                                                 \
    static probe_out PROBE_PASTE(reference_, n)(const probe *row, probe_in in)                               \
    {                                                                                                        \
        const uint64_t a = in.a, b = in.b, c = in.c;                                                         \
        const int64_t sa = probe_signed(a, row->in[0]), sb = row->in[0] ? probe_signed(b, row->in[1]) : 0;   \
        const int64_t sc = row->in[0] && row->in[1] ? probe_signed(c, row->in[2]) : 0;                       \
        const bool p = in.p;                                                                                 \
        (void)a, (void)b, (void)c, (void)sa, (void)sb, (void)sc, (void)p;                                    \
        __VA_ARGS__                                                                                          \
    }                                                                                                        \
    __attribute__((constructor)) static void PROBE_PASTE(add_, n)(void)                                      \
    {                                                                                                        \
        static probe row = {TEXT, DST, IN, PROBE_PASTE(reference_, n), RELATIVE, ABSOLUTE, NULL};            \
        probe_add(&row);                                                                                     \
    }
#define PROBE(TEXT, DST, IN, EXPR)                                                                           \
    PROBE_ROW(__COUNTER__, TEXT, DST, IN, 0, 0, return (probe_out){.d = (uint64_t)(EXPR)};)
#define PROBE_NEAR(TEXT, DST, IN, RELATIVE, ABSOLUTE, EXPR)                                                  \
    PROBE_ROW(__COUNTER__, TEXT, DST, IN, RELATIVE, ABSOLUTE, return (probe_out){.d = (uint64_t)(EXPR)};)
#define PROBE_BODY(TEXT, DST, IN, ...) PROBE_ROW(__COUNTER__, TEXT, DST, IN, 0, 0, __VA_ARGS__)

#endif
