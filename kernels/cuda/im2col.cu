/*
 * im2col on the GPU: contract in kernels.h. Moves bits, so it knows no dtype, only the size of a piece.
 *
 * scatter: a thread takes one piece of the padded map and writes it wherever a window sees it, zeros for the
 * padding: every input byte is read once, every output byte written once. Runs of a pixel's channels keep
 * the accesses whole where they fill sectors of 32 bytes. Grid (pieces of a padded row, padded rows, items).
 * gather: a thread takes one piece of the output. For pixels of fewer bytes: neighbouring taps of a row stand
 * side by side in input and output. Grid (pieces of an output row, output rows, items).
 */
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/im2col.h"

template <typename piece> SA_DEVICE piece zero_piece(void)
{
    piece p = {};
    return p;
}

template <typename piece> SA_DEVICE void scatter(const sa_cuda_im2col_args &a)
{
    unsigned at = blockIdx.x * SA_IM2COL_THREADS + threadIdx.x;
    unsigned px = at / a.pieces, part = at % a.pieces, py = blockIdx.y; /* in the padded map */
    if (px >= a.width + 2 * a.pad) {
        return;
    }
    unsigned x = px - a.pad, y = py - a.pad; /* left of or above the map: huge, and so outside */
    piece value = zero_piece<piece>();
    if (y < a.height && x < a.width) {
        size_t pixel = ((size_t)blockIdx.z * a.height + y) * a.width + x;
        value = ((const piece *)a.x)[pixel * a.pieces + part];
    }
    /* Window oy sees the row as its tap ky = py - oy * stride: ky, ky + stride, ... for oy, oy - 1, ... */
    int oy = (int)(py / a.stride);
    for (unsigned ky = py % a.stride; ky < a.kernel && oy >= 0; ky += a.stride, oy--) {
        int ox = (int)(px / a.stride);
        for (unsigned kx = px % a.stride; kx < a.kernel && ox >= 0; kx += a.stride, ox--) {
            if (oy < (int)a.out_height && ox < (int)a.out_width) {
                size_t row = ((size_t)blockIdx.z * a.out_height + (unsigned)oy) * a.out_width + (unsigned)ox;
                size_t tap = (row * a.kernel + ky) * a.kernel + kx;
                ((piece *)a.y)[tap * a.pieces + part] = value;
            }
        }
    }
}

template <typename piece> SA_DEVICE void gather(const sa_cuda_im2col_args &a)
{
    unsigned at = blockIdx.x * SA_IM2COL_THREADS + threadIdx.x;
    unsigned tap_row = a.kernel * a.pieces; /* the pieces of one row of taps stand side by side in x */
    unsigned columns = a.kernel * tap_row, ox = at / columns, column = at % columns;
    if (ox >= a.out_width) {
        return;
    }
    unsigned ky = column / tap_row, kx = column % tap_row / a.pieces, part = column % a.pieces;
    unsigned y = blockIdx.y * a.stride + ky - a.pad, x = ox * a.stride + kx - a.pad;
    piece value = zero_piece<piece>();
    if (y < a.height && x < a.width) {
        size_t pixel = ((size_t)blockIdx.z * a.height + y) * a.width + x;
        value = ((const piece *)a.x)[pixel * a.pieces + part];
    }
    size_t row = ((size_t)blockIdx.z * a.out_height + blockIdx.y) * a.out_width;
    ((piece *)a.y)[row * columns + at] = value;
}

#define IM2COL(how, bytes, piece)                                                                            \
    extern "C" __global__ void __launch_bounds__(SA_IM2COL_THREADS)                                          \
        im2col_##how##_##bytes(const __grid_constant__ sa_cuda_im2col_args a)                                \
    {                                                                                                        \
        how<piece>(a);                                                                                       \
    }

IM2COL(scatter, 16, uint4)
IM2COL(gather, 8, uint2)
IM2COL(gather, 4, uint32_t)
IM2COL(gather, 2, uint16_t)
