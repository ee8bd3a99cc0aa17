/*
 * The micro-kernel under gemm and both attentions: a tile of C, at most TILE_ROWS x PANEL, held in registers
 * while k runs.
 *
 *   c[i, j] += sum_k a[i, k] * b[k, j]     i < rows, j < vectors * VL
 *
 * a is row-major f32 or bf16. b is a panel: PANEL columns side by side for each k (f32), or for each pair of
 * k (bf16: the two values of a column stand together, which is what vdpbf16ps multiplies; other levels split
 * the pair). A pair of a is read as one 32-bit word and broadcast. So one k step is `vectors` loads, `rows`
 * broadcasts and their product of multiply-adds: with 6 x 4 vectors on AVX-512 24 multiply-adds for 10 loads,
 * 24 of 32 registers for c.
 *
 * The sum over k is in order, whatever `rows` is: a row's result does not depend on its neighbours.
 */
#ifndef SA_KERNELS_CPU_OPS_TILE_H
#define SA_KERNELS_CPU_OPS_TILE_H

#include "kernels/cpu/ops/vec.h"

enum {
    TILE_ROWS = 6,
#if VL == 16
    TILE_VECTORS = 4,
#else
    TILE_VECTORS = 2,
#endif
    PANEL = TILE_VECTORS * VL,
    CACHE_LINE = 64,
    TILE_FETCH = PANEL * 4 > CACHE_LINE ? PANEL * 4 / 2 : CACHE_LINE, /* half a step, a line at least */
};

/* k values that go into one step, and elements of b that a step takes. */
SA_INLINE size_t tile_steps(size_t k, sa_dtype dtype)
{
    return dtype == SA_F32 ? k : (k + 1) / 2;
}

SA_INLINE size_t tile_step_bytes(void)
{
    return PANEL * sizeof(float); /* PANEL f32, or PANEL pairs of bf16 */
}

SA_INLINE vf broadcast_word(const void *from)
{
    float word;
    memcpy(&word, from, sizeof word);
    return vf_set(word);
}

/* c += the dot product of two bf16 pairs, in each lane. */
SA_INLINE vf dot_pair(vf c, vf a, vf b)
{
#if defined(__AVX512BF16__)
    return (vf)_mm512_dpbf16_ps((__m512)c, (__m512bh)a, (__m512bh)b);
#else
    vf a_low = (vf)((vu)a << 16), a_high = (vf)((vu)a & 0xffff0000u);
    vf b_low = (vf)((vu)b << 16), b_high = (vf)((vu)b & 0xffff0000u);
    c = a_low * b_low + c;
    return a_high * b_high + c;
#endif
}

/*
 * rows and vectors are constants wherever this is inlined, so c stays in registers. `ahead` is where b will
 * be read soon: of each of its steps TILE_FETCH bytes are fetched. It may point anywhere, or be a constant
 * NULL.
 */
SA_INLINE void tile_body(int rows, int vectors, sa_dtype dtype, size_t steps, const unsigned char *a,
                         size_t a_stride, const unsigned char *b, float *c, size_t ldc,
                         const unsigned char *ahead)
{
    vf sum[TILE_ROWS][TILE_VECTORS];
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            sum[i][j] = vf_load(c + (size_t)i * ldc + (size_t)j * VL);
        }
    }
    for (size_t step = 0; step < steps; step++) {
        vf column[TILE_VECTORS];
        if (ahead != NULL) {
#pragma GCC unroll 2
            for (int line = 0; line < TILE_FETCH; line += CACHE_LINE) {
                __builtin_prefetch(ahead + line);
            }
            ahead += PANEL * 4;
        }
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            column[j] = vf_load((const float *)b + (size_t)j * VL);
        }
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++) {
            vf row = broadcast_word(a + (size_t)i * a_stride);
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++) {
                sum[i][j] =
                    dtype == SA_F32 ? row * column[j] + sum[i][j] : dot_pair(sum[i][j], row, column[j]);
            }
        }
        a += 4;
        b += PANEL * 4;
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            vf_store(c + (size_t)i * ldc + (size_t)j * VL, sum[i][j]);
        }
    }
}

/* Full width: any number of rows up to TILE_ROWS. */
SA_INLINE void tile_full(sa_dtype dtype, int rows, size_t steps, const void *a, size_t a_stride,
                         const void *b, float *c, size_t ldc, const unsigned char *ahead)
{
    switch (rows) {
    case 6: tile_body(6, TILE_VECTORS, dtype, steps, a, a_stride, b, c, ldc, ahead); break;
    case 5: tile_body(5, TILE_VECTORS, dtype, steps, a, a_stride, b, c, ldc, ahead); break;
    case 4: tile_body(4, TILE_VECTORS, dtype, steps, a, a_stride, b, c, ldc, ahead); break;
    case 3: tile_body(3, TILE_VECTORS, dtype, steps, a, a_stride, b, c, ldc, ahead); break;
    case 2: tile_body(2, TILE_VECTORS, dtype, steps, a, a_stride, b, c, ldc, ahead); break;
    case 1: tile_body(1, TILE_VECTORS, dtype, steps, a, a_stride, b, c, ldc, ahead); break;
    default: break;
    }
}

/* The last panel of a matrix may need fewer vectors; rows go six at a time or one by one. */
SA_INLINE void tile_narrow(sa_dtype dtype, int vectors, int rows, size_t steps, const unsigned char *a,
                           size_t a_stride, const void *b, float *c, size_t ldc)
{
    if (rows == 6) {
        switch (vectors) {
        case 1: tile_body(6, 1, dtype, steps, a, a_stride, b, c, ldc, NULL); return;
#if VL == 16
        case 2: tile_body(6, 2, dtype, steps, a, a_stride, b, c, ldc, NULL); return;
        case 3: tile_body(6, 3, dtype, steps, a, a_stride, b, c, ldc, NULL); return;
#endif
        default: return;
        }
    }
    for (int i = 0; i < rows; i++) {
        const unsigned char *row = a + (size_t)i * a_stride;
        float *to = c + (size_t)i * ldc;
        switch (vectors) {
        case 1: tile_body(1, 1, dtype, steps, row, a_stride, b, to, ldc, NULL); break;
#if VL == 16
        case 2: tile_body(1, 2, dtype, steps, row, a_stride, b, to, ldc, NULL); break;
        case 3: tile_body(1, 3, dtype, steps, row, a_stride, b, to, ldc, NULL); break;
#endif
        default: break;
        }
    }
}

/*
 * c [rows, vectors*VL] += a [rows, k] * panel, over any number of rows. a_stride in bytes. For bf16 and odd
 * k, the word of the last step reads one element past the row's k: callers give rows of even length, or keep
 * that element readable and the panel's odd half zero (0 * NaN would spoil the sum, so it must hold a finite
 * number).
 */
SA_INLINE void tile_rows(sa_dtype dtype, size_t rows, int vectors, size_t steps, const unsigned char *a,
                         size_t a_stride, const void *b, float *c, size_t ldc)
{
    for (size_t i = 0; i < rows; i += TILE_ROWS) {
        int part = rows - i < TILE_ROWS ? (int)(rows - i) : TILE_ROWS;
        if (vectors == TILE_VECTORS) {
            tile_full(dtype, part, steps, a + i * a_stride, a_stride, b, c + i * ldc, ldc, NULL);
        } else {
            tile_narrow(dtype, vectors, part, steps, a + i * a_stride, a_stride, b, c + i * ldc, ldc);
        }
    }
}

#endif
