/*
 * Packing matrices into the panels that tile.h reads. A word is 32 bits: one f32, or a pair of bf16
 * neighbours.
 */
#ifndef SA_KERNELS_CPU_OPS_PACK_H
#define SA_KERNELS_CPU_OPS_PACK_H

#include "kernels/cpu/ops/tile.h"

/*
 * One panel from the rows of a matrix (gemm's w, attention's k): panel[step][j] = word `step` of row j, for j
 * < PANEL; rows past `rows` become zeros. Rows start row_stride bytes apart and need no alignment.
 */
SA_INLINE void pack_panel_rows(uint32_t *panel, const unsigned char *source, size_t row_stride, size_t rows,
                               size_t words)
{
    enum { BLOCK = 32 }; /* words at a time: the block of the panel stays in the first-level cache */
    for (size_t begin = 0; begin < words; begin += BLOCK) {
        size_t end = begin + BLOCK < words ? begin + BLOCK : words;
        for (size_t j = 0; j < rows; j++) {
            const unsigned char *row = source + j * row_stride;
            for (size_t step = begin; step < end; step++) {
                memcpy(&panel[step * PANEL + j], row + step * 4, 4);
            }
        }
        for (size_t j = rows; j < PANEL; j++) {
            for (size_t step = begin; step < end; step++) {
                panel[step * PANEL + j] = 0;
            }
        }
    }
}

/*
 * One panel from the columns of a matrix (attention's v): columns [first, first + PANEL) of rows [0, rows),
 * f32 or bf16, of `width` columns; `steps` steps, what lies outside becomes zeros.
 */
SA_INLINE void pack_panel_columns(uint32_t *panel, const unsigned char *source, size_t row_stride,
                                  size_t rows, size_t width, size_t first, size_t steps, sa_dtype dtype)
{
    size_t columns = width - first < PANEL ? width - first : PANEL;
    for (size_t step = 0; step < steps; step++) {
        uint32_t *to = panel + step * PANEL;
        size_t row = dtype == SA_F32 ? step : 2 * step;
        memset(to, 0, PANEL * 4);
        if (row >= rows) {
            continue;
        }
        if (dtype == SA_F32) {
            memcpy(to, source + row * row_stride + first * 4, columns * 4);
            continue;
        }
        const sa_bf16 *low = (const sa_bf16 *)(const void *)(source + row * row_stride) + first;
        const sa_bf16 *high = (const sa_bf16 *)(const void *)(source + (row + 1) * row_stride) + first;
        if (row + 1 < rows) {
            for (size_t j = 0; j < columns; j++) {
                to[j] = low[j] | (uint32_t)high[j] << 16;
            }
        } else {
            for (size_t j = 0; j < columns; j++) {
                to[j] = low[j];
            }
        }
    }
}

#endif
