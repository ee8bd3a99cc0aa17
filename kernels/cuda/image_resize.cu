/*
 * image_resize on the GPU: contract in kernels.h. First kernel of all: picture -> the network's frame. Two
 * launches, across and down; sums are integers, so their order does not matter.
 *
 * across: a block takes 256 output pixels of up to 64 rows, a thread one pixel. Their weights stand in shared
 * memory, tap by tap; each row's bytes come there by 16-byte accesses, the results go out by way of it. Where
 * the picture shrinks so much that taps or bytes do not fit, the threads read the table and the picture
 * themselves. Grid (pieces of an output row, pieces of the rows).
 * down: a block takes 8 output rows, a thread 4 neighbouring bytes of each (1 where pitches or addresses are
 * no multiples of 4). The input rows that any of the 8 needs are read once, with 8 weights each (0 for those
 * that do not need it). Grid (pieces of a row, output rows / 8).
 */
#include "kernels/cuda/bytes.cuh"
#include "kernels/cuda/image_resize.h"

enum {
    PRECISION = 22, /* bits after a weight's point */
    THREADS = SA_IMAGE_RESIZE_THREADS,
    NEAR_TAPS = 24,           /* across: weights of a pixel that shared memory takes */
    NEAR_PITCH = THREADS + 1, /* so that the taps of a pixel stand in different banks */
    NEAR_BYTES = 12288,       /* across: bytes of an input row that it takes, 16-byte borders included */
    DOWN = SA_IMAGE_RESIZE_DOWN,
    CHUNK = 64, /* down: input rows whose weights stand in shared memory at a time */
};

SA_DEVICE uint8_t rounded_pixel(int32_t sum)
{
    int32_t value = (sum + (1 << (PRECISION - 1))) >> PRECISION;
    return (uint8_t)min(max(value, 0), 255);
}

SA_DEVICE void put_pixel(uint8_t *to, const int32_t sum[3])
{
    for (int c = 0; c < 3; c++) {
        to[c] = rounded_pixel(sum[c]);
    }
}

/* ---- across ---- */

/* The pixels that a block makes, and the input pixels [first, end) that they need. */
typedef struct {
    uint32_t begin, count, first, end;
} across_tile;

SA_DEVICE const int32_t *table_row(const sa_cuda_image_resize_args &a, uint32_t i)
{
    return a.axis.table + (size_t)i * (2 + a.axis.taps);
}

SA_DEVICE across_tile tile_of_block(const sa_cuda_image_resize_args &a)
{
    across_tile t;
    t.begin = blockIdx.x * THREADS;
    t.count = min((uint32_t)THREADS, a.out_width - t.begin);
    const int32_t *last = table_row(a, t.begin + t.count - 1);
    t.first = (uint32_t)table_row(a, t.begin)[0];
    t.end = (uint32_t)(last[0] + last[1]);
    return t;
}

/*
 * The rows of the table, first tap, count and weights, turned to [entry][pixel], so that neighbouring threads
 * read neighbouring words.
 */
SA_DEVICE void load_table(const sa_cuda_image_resize_args &a, const across_tile &t,
                          int32_t (*table)[NEAR_PITCH])
{
    const int32_t *from = table_row(a, t.begin);
    uint32_t row = 2 + a.axis.taps;
    for (uint32_t i = threadIdx.x; i < t.count * row; i += THREADS) {
        table[i % row][i / row] = from[i];
    }
}

/* The row's bytes from the first pixel of the tile on are at `in`; results to `out`, 3 bytes a thread. */
SA_DEVICE void pixel_near(const across_tile &t, const int32_t (*table)[NEAR_PITCH], const uint8_t *in,
                          uint8_t *out)
{
    int32_t sum[3] = {0, 0, 0};
    in += (table[0][threadIdx.x] - (int32_t)t.first) * 3;
    int32_t count = table[1][threadIdx.x];
    for (int32_t k = 0; k < count; k++, in += 3) {
        int32_t w = table[2 + k][threadIdx.x];
        sum[0] += w * in[0];
        sum[1] += w * in[1];
        sum[2] += w * in[2];
    }
    put_pixel(out + threadIdx.x * 3, sum);
}

SA_DEVICE void pixel_far(const sa_cuda_image_resize_args &a, uint32_t i, const uint8_t *x, uint8_t *y)
{
    const int32_t *row = table_row(a, i);
    const uint8_t *in = x + (size_t)row[0] * 3;
    int32_t sum[3] = {0, 0, 0};
    for (int32_t k = 0; k < row[1]; k++, in += 3) {
        sum[0] += row[2 + k] * in[0];
        sum[1] += row[2 + k] * in[1];
        sum[2] += row[2 + k] * in[2];
    }
    put_pixel(y + (size_t)i * 3, sum);
}

/* A tile's results from shared memory to their row, 4 bytes an access where the row begins on such a border.
 */
SA_DEVICE void store_tile(uint8_t *to, const uint32_t *out, uint32_t bytes)
{
    uint32_t words = (uintptr_t)to % 4 == 0 ? bytes / 4 : 0;
    for (uint32_t i = threadIdx.x; i < words; i += THREADS) {
        ((uint32_t *)to)[i] = out[i];
    }
    for (uint32_t i = words * 4 + threadIdx.x; i < bytes; i += THREADS) {
        to[i] = ((const uint8_t *)out)[i];
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    image_resize_across(const __grid_constant__ sa_cuda_image_resize_args a)
{
    __shared__ int32_t table[2 + NEAR_TAPS][NEAR_PITCH];
    __shared__ uint4 piece[NEAR_BYTES / 16];
    __shared__ uint32_t out[THREADS * 3 / 4];
    across_tile t = tile_of_block(a);
    uint32_t bytes = (t.end - t.first) * 3, room = (bytes + 15 + 15) / 16 * 16;
    bool here = threadIdx.x < t.count, near = a.axis.taps <= NEAR_TAPS && room <= NEAR_BYTES;
    uint32_t y = blockIdx.y * a.rows, end = min(y + a.rows, a.in_height);
    if (near) {
        load_table(a, t, table);
    }
    for (; y < end; y++) {
        const uint8_t *x = a.x + (size_t)y * a.x_pitch, *from = x + (size_t)t.first * 3;
        uint8_t *to = a.y + (size_t)y * a.y_pitch;
        if (!near) {
            if (here) {
                pixel_far(a, t.begin + threadIdx.x, x, to);
            }
            continue;
        }
        load_bytes(piece, room, from, bytes, a.x, a.x + (size_t)a.in_height * a.x_pitch);
        __syncthreads(); /* row and table are there; the last row's results have gone out */
        if (here) {
            pixel_near(t, table, (const uint8_t *)piece + (uintptr_t)from % 16, (uint8_t *)out);
        }
        __syncthreads(); /* the results are there; the row may be overwritten */
        store_tile(to + (size_t)t.begin * 3, out, t.count * 3);
    }
}

/* ---- down ---- */

/* Weight of input row `in` in output row y: 0 outside its taps. */
SA_DEVICE int32_t weight_of(const sa_cuda_image_resize_args &a, uint32_t y, uint32_t in)
{
    if (y >= a.out_height) {
        return 0;
    }
    if (a.axis.table == nullptr) {
        return in == y ? 1 << PRECISION : 0;
    }
    const int32_t *row = table_row(a, y);
    uint32_t k = in - (uint32_t)row[0];
    return k < (uint32_t)row[1] ? row[2 + k] : 0;
}

/* BYTES bytes of a row at once. */
template <int BYTES> SA_DEVICE uint32_t load_row(const uint8_t *at)
{
    return BYTES == 4 ? *(const uint32_t *)at : *at;
}

template <int BYTES> SA_DEVICE void store_row(uint8_t *at, const int32_t (&sum)[BYTES])
{
    uint32_t word = 0;
#pragma unroll
    for (int i = 0; i < BYTES; i++) {
        word |= (uint32_t)rounded_pixel(sum[i]) << (8 * i);
    }
    if (BYTES == 4) {
        *(uint32_t *)at = word;
    } else {
        *at = (uint8_t)word;
    }
}

/* Input rows [*first, *end) that output rows [y, y + DOWN) need. */
SA_DEVICE void rows_needed(const sa_cuda_image_resize_args &a, uint32_t y, uint32_t *first, uint32_t *end)
{
    uint32_t last = min(y + DOWN, a.out_height) - 1;
    *first = a.axis.table == nullptr ? y : (uint32_t)table_row(a, y)[0];
    *end = a.axis.table == nullptr ? last + 1 : (uint32_t)(table_row(a, last)[0] + table_row(a, last)[1]);
}

/* Adds input rows [begin, begin + count) to the sums of all output rows. */
template <int BYTES>
SA_DEVICE void add_rows(int32_t (&sum)[DOWN][BYTES], const uint8_t *in, uint32_t pitch, uint32_t count,
                        const int32_t (*weights)[DOWN])
{
    for (uint32_t k = 0; k < count; k++, in += pitch) {
        uint32_t word = load_row<BYTES>(in);
        int4 low = *(const int4 *)weights[k], high = *(const int4 *)(weights[k] + 4);
        const int32_t w[DOWN] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
        for (int i = 0; i < BYTES; i++) {
            int32_t byte = (int32_t)(word >> (8 * i) & 255u);
#pragma unroll
            for (int r = 0; r < DOWN; r++) {
                sum[r][i] += w[r] * byte;
            }
        }
    }
}

template <int BYTES> SA_DEVICE void down(const sa_cuda_image_resize_args &a)
{
    __shared__ __align__(16) int32_t weights[CHUNK][DOWN];
    uint32_t column = (blockIdx.x * THREADS + threadIdx.x) * BYTES, y = blockIdx.y * DOWN, first, end;
    bool here = column < a.out_width * 3;
    rows_needed(a, y, &first, &end);
    int32_t sum[DOWN][BYTES] = {};
    for (uint32_t begin = first; begin < end; begin += CHUNK) {
        uint32_t count = min((uint32_t)CHUNK, end - begin);
        for (uint32_t i = threadIdx.x; i < count * DOWN; i += THREADS) {
            weights[i / DOWN][i % DOWN] = weight_of(a, y + i % DOWN, begin + i / DOWN);
        }
        __syncthreads(); /* everybody reads all weights */
        if (here) {
            add_rows(sum, a.x + (size_t)begin * a.x_pitch + column, a.x_pitch, count, weights);
        }
        __syncthreads(); /* before the next chunk's weights */
    }
#pragma unroll
    for (int r = 0; r < DOWN; r++) {
        if (here && y + r < a.out_height) {
            store_row(a.y + (size_t)(y + r) * a.y_pitch + column, sum[r]);
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    image_resize_down_4(const __grid_constant__ sa_cuda_image_resize_args a)
{
    down<4>(a);
}

extern "C" __global__ void __launch_bounds__(THREADS)
    image_resize_down_1(const __grid_constant__ sa_cuda_image_resize_args a)
{
    down<1>(a);
}
