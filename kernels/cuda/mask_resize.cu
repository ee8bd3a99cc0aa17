/*
 * mask_resize on the GPU: contract in kernels.h. Last kernels of a click: low logits -> bits of the picture's
 * size.
 *
 * As on the CPU: both bilinear stages are separable, so mask_resize_columns takes every row of the low map
 * through both of them in x, into the workspace; mask_resize_rows blends at most four of those rows for each
 * row of the mask and packs the comparison into bits. The [frame, frame] map never exists.
 *
 * columns: a block takes a row of the low map, by way of shared memory; grid (low_side), 256 threads.
 * rows: grid (strips of 256 pixels, height / 32), 4 warps; a warp makes 8 rows of a strip and keeps the rows
 * of the workspace that it has read in registers, since the next rows mostly need them again.
 */
#include "kernels/cuda/mask_bits.cuh"
#include "kernels/cuda/mask_resize.h"

enum { HELD_SIDE = 1024 /* of the low map, for its rows to stand in shared memory */ };

typedef struct {
    uint32_t low, high; /* the two source indices */
    float weight;       /* of `high` */
} blend;

/* torch's bilinear, align_corners false (MODEL_SPECS 1.3), in f32 like torch. */
SA_DEVICE blend blend_at(uint32_t index, sa_cuda_blend_axis axis)
{
    float source = ((float)index + 0.5f) * axis.scale - 0.5f;
    source = source < 0.0f ? 0.0f : source;
    uint32_t low = min((uint32_t)source, axis.in - 1);
    return {low, min(low + 1, axis.in - 1), source - (float)low};
}

SA_DEVICE float mixed(float low, float high, float weight)
{
    return low * (1.0f - weight) + high * weight;
}

/* Pixel x of the frame's row that belongs to the low map's row `low`. */
SA_DEVICE float framed(const float *low, uint32_t x, sa_cuda_blend_axis frame)
{
    blend b = blend_at(x, frame);
    return mixed(low[b.low], low[b.high], b.weight);
}

extern "C" __global__ void __launch_bounds__(SA_MASK_RESIZE_THREADS)
    mask_resize_columns(const __grid_constant__ sa_cuda_mask_resize_args a)
{
    __shared__ float held[HELD_SIDE];
    const float *low = a.low + (size_t)blockIdx.x * a.low_side;
    if (a.low_side <= HELD_SIDE) { /* a longer row is read where it lies */
        for (uint32_t i = threadIdx.x; i < a.low_side; i += SA_MASK_RESIZE_THREADS) {
            held[i] = low[i];
        }
        __syncthreads(); /* every thread reads anywhere in the row */
        low = held;
    }
    for (uint32_t x = threadIdx.x; x < a.width; x += SA_MASK_RESIZE_THREADS) {
        blend b = blend_at(x, a.mask_x);
        float left = framed(low, b.low, a.frame), right = framed(low, b.high, a.frame);
        a.rows[(size_t)blockIdx.x * a.pitch + x] = mixed(left, right, b.weight);
    }
}

/* Rows of the workspace that a warp holds: its lanes' pixels of one strip. */
typedef struct {
    uint32_t row[4];
    float value[4][MASK_WORDS];
} held_rows;

/* Row `row` into slot S: from another slot that has it, or from memory. */
template <int S> SA_DEVICE void hold(const sa_cuda_mask_resize_args &a, held_rows &held, uint32_t row)
{
    bool found = false;
#pragma unroll
    for (int other = 0; other < 4; other++) {
        if (!found && held.row[other] == row) { /* the same for the whole warp */
            found = true;
#pragma unroll
            for (int i = 0; i < MASK_WORDS; i++) {
                held.value[S][i] = held.value[other][i];
            }
        }
    }
    if (!found) {
#pragma unroll
        for (int i = 0; i < MASK_WORDS; i++) {
            uint32_t x = blockIdx.x * MASK_STRIP + i * 32 + lane_id();
            held.value[S][i] = x < a.width ? a.rows[(size_t)row * a.pitch + x] : 0.0f;
        }
    }
    held.row[S] = row;
}

SA_DEVICE void make_row(const sa_cuda_mask_resize_args &a, held_rows &held, uint32_t y)
{
    blend outer = blend_at(y, a.mask_y);
    blend upper = blend_at(outer.low, a.frame), lower = blend_at(outer.high, a.frame);
    hold<0>(a, held, upper.low);
    hold<1>(a, held, upper.high);
    hold<2>(a, held, lower.low);
    hold<3>(a, held, lower.high);
    bool set[MASK_WORDS];
#pragma unroll
    for (int i = 0; i < MASK_WORDS; i++) {
        float value = mixed(mixed(held.value[0][i], held.value[1][i], upper.weight),
                            mixed(held.value[2][i], held.value[3][i], lower.weight), outer.weight);
        set[i] = blockIdx.x * MASK_STRIP + i * 32 + lane_id() < a.width && value > a.threshold;
    }
    store_strip(a.bits + (size_t)y * a.words, a.words, blockIdx.x, set);
}

extern "C" __global__ void __launch_bounds__(32 * SA_MASK_RESIZE_WARPS)
    mask_resize_rows(const __grid_constant__ sa_cuda_mask_resize_args a)
{
    uint32_t first = (blockIdx.y * SA_MASK_RESIZE_WARPS + threadIdx.x / 32) * SA_MASK_RESIZE_ROWS;
    held_rows held;
#pragma unroll
    for (int s = 0; s < 4; s++) {
        held.row[s] = 0xffffffffu; /* no row */
#pragma unroll
        for (int i = 0; i < MASK_WORDS; i++) {
            held.value[s][i] = 0.0f;
        }
    }
    for (uint32_t y = first; y < first + SA_MASK_RESIZE_ROWS && y < a.height; y++) {
        make_row(a, held, y);
    }
}
