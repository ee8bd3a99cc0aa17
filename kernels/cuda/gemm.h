/*
 * gemm.h: what gemm.c and the kernels of gemm_bf16.cu, gemm_f16.cu and gemm_f32.cu agree on.
 *
 * Batch invariance: every kernel sums an element of c over k upwards, in the same steps, by the same
 * instruction: mma m16n8k16 onto one accumulator for 16-bit operands, one fused multiply-add per k for f32. k
 * is filled up with zeros to a multiple of GEMM_PACK_K, in all tiles alike. No kernel splits k. Bias,
 * activation, residual and rounding are one function. So which tile a launch takes, and where an element
 * stands in it, changes no bit: the choice may follow m.
 */
#ifndef SA_KERNELS_CUDA_GEMM_H
#define SA_KERNELS_CUDA_GEMM_H

#include <stddef.h>
#include <stdint.h>

/*
 * The packed w. 16-bit: rows of n as they are, each filled up with zeros to a multiple of GEMM_PACK_K. f32:
 * the transpose, [k up to a multiple of GEMM_PACK_K][n up to a multiple of GEMM_PACK_N], so that a thread
 * finds the columns of its tile side by side. Both are plain matrices with a leading dimension, as libraries
 * take them.
 */
enum { GEMM_PACK_K = 64, GEMM_PACK_N = 128 };

/*
 * Tiles of the bf16 kernels: X(name, rows, columns, warps along rows, along columns, k of a stage, stages,
 * blocks that an SM holds, bytes of a copy of a, percent, extra).
 * Copies of 16 bytes need 16-byte aligned rows of a; the tile "any" needs none. The large tiles give a warp
 * 64 rows by 64 columns: 8 ldmatrix feed 32 mma, which shared memory just sustains at the rate of mma.sync on
 * an H100. 96 KiB is what a block may have on sm_86, 89 and 120. The last two are for the choice among tiles:
 * an element's time per k, of what the tensor cores need alone (the rest is waiting for shared memory), and
 * the k in whose time a block begins and ends while nothing else runs on its SM. Estimates, derived in
 * bench/SPEED.md.
 */
#define GEMM_TILES(X)                                                                                        \
    X(128x256, 128, 256, 2, 4, 32, 4, 1, 16, 100, 100)                                                       \
    X(128x192, 128, 192, 2, 4, 32, 4, 1, 16, 100, 100)                                                       \
    X(128x128, 128, 128, 2, 2, 32, 3, 2, 16, 102, 30)                                                        \
    X(64x64, 64, 64, 2, 2, 64, 3, 2, 16, 190, 30)                                                            \
    X(32x32, 32, 32, 1, 4, 64, 6, 2, 16, 480, 30)                                                            \
    X(16x32, 16, 32, 1, 4, 64, 6, 2, 16, 560, 30)                                                            \
    X(any, 64, 64, 2, 2, 64, 3, 2, 2, 800, 30)

/* f16 stands in for models that were trained in it: fewer tiles, for the program's size. */
#define GEMM_TILES_F16(X)                                                                                    \
    X(128x128, 128, 128, 2, 2, 32, 3, 2, 16, 102, 30)                                                        \
    X(32x32, 32, 32, 1, 4, 64, 6, 2, 16, 480, 30)                                                            \
    X(16x32, 16, 32, 1, 4, 64, 6, 2, 16, 560, 30)                                                            \
    X(any, 64, 64, 2, 2, 64, 3, 2, 2, 800, 30)

/*
 * Tiles of the f32 kernel: X(name, rows, columns, warps along rows, along columns, rows of a lane, columns of
 * a lane / 4, percent and extra as above). A warp's lanes stand 4 rows by 8 columns.
 */
#define GEMM_TILES_F32(X)                                                                                    \
    X(128x128, 128, 128, 4, 2, 8, 2, 100, 10)                                                                \
    X(64x64, 64, 64, 2, 2, 8, 1, 120, 10)                                                                    \
    X(16x64, 16, 64, 2, 2, 2, 1, 250, 10)

enum { GEMM_F32_K = 16, GEMM_F32_STAGES = 3 };

/* Dynamic shared memory of a block in bytes: a stage holds the tile's rows of a and of w. */
#define GEMM_SHARED(rows, columns, k, stages, element_bytes)                                                 \
    (((rows) + (columns)) * (k) * (stages) * (element_bytes))

/* Blocks that share columns of w run together in groups of this many row tiles, so that a group's rows of a
 * and the passing columns of w stay in the second-level cache. */
enum { GEMM_GROUP = 8 };

typedef struct {
    const void *a, *w;
    const float *bias, *residual; /* or NULL */
    void *c;
    size_t lda, ldw, ldc, ldr; /* in elements */
    uint32_t m, n, k, residual_rows;
    uint32_t row_tiles, column_tiles;
    int32_t act, c_dtype; /* sa_activation, sa_dtype */
    /* 16-byte accesses allowed: to a (f32 kernel only), c and residual, by their addresses and strides. */
    int32_t vector_a, vector_c, vector_r;
} sa_gemm_tile_args;

/*
 * For tests and benchmarks: from now on every gemm takes tile `index` of its dtype's list above, where that
 * tile can take its operands; -1 goes back to choosing. Not for two threads at once.
 */
#ifndef __cplusplus
void sa_cuda_gemm_force(int index);
#endif

#endif
