/*
 * mask_resize on the GPU: contract in kernels.h. Last kernel of a click: low logits -> bits of the picture's
 * size.
 *
 * Both bilinear stages are separable: a value is blended through both of them in x, for at most four rows of
 * the low map, and those in y, as on the CPU; the [frame, frame] map never exists. A block makes up to 2048
 * pixels of up to 64 rows. What it needs of the low map comes to shared memory, each value once; a warp makes
 * 32 columns of 8 rows at a time; the bits go out from shared memory together. Grid (row / 2048 pixels,
 * height / rows).
 */
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/mask_resize.h"

enum {
    THREADS = 32 * SA_MASK_RESIZE_WARPS,
    WORDS = SA_MASK_RESIZE_WORDS,
    ROWS = SA_MASK_RESIZE_ROWS,
    HELD = SA_MASK_RESIZE_HELD,
    RUN = 8, /* rows that a warp makes at a time */
};

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

/* A pixel of the mask along one axis: between the frame's pixels a and b, by `weight`. */
typedef struct {
    blend a, b;
    float weight; /* of b */
} place;

SA_DEVICE place place_at(uint32_t index, sa_cuda_blend_axis mask, sa_cuda_blend_axis frame)
{
    blend outer = blend_at(index, mask);
    return {blend_at(outer.low, frame), blend_at(outer.high, frame), outer.weight};
}

/* A part of the low map: `at` is its value [row, column]; [rows, columns], rows `pitch` apart. */
typedef struct {
    const float *at;
    uint32_t row, rows, column, columns, pitch;
} low_part;

/* What the rows [y, y_end) and the columns [x, x_end) of the mask need, where it lies. */
SA_DEVICE low_part part_of(const sa_cuda_mask_resize_args &a, uint32_t y, uint32_t y_end, uint32_t x,
                           uint32_t x_end)
{
    uint32_t row = place_at(y, a.mask_y, a.frame).a.low, column = place_at(x, a.mask_x, a.frame).a.low;
    return {a.low + (size_t)row * a.low_side + column,
            row,
            place_at(y_end - 1, a.mask_y, a.frame).b.high + 1 - row,
            column,
            place_at(x_end - 1, a.mask_x, a.frame).b.high + 1 - column,
            a.low_side};
}

/* Its copy in shared memory, by all threads; there after the next barrier. */
SA_DEVICE low_part held_part(const low_part &low, float *held)
{
    for (uint32_t r = threadIdx.x / 32; r < low.rows; r += SA_MASK_RESIZE_WARPS) {
        for (uint32_t c = lane_id(); c < low.columns; c += 32) {
            held[r * low.columns + c] = low.at[(size_t)r * low.pitch + c];
        }
    }
    return {held, low.row, low.rows, low.column, low.columns, low.columns};
}

/* Counts columns from the part's first one, in bytes: an addition less for each access. */
SA_DEVICE place column_in(const low_part &low, place x)
{
    x.a.low = (x.a.low - low.column) * 4, x.a.high = (x.a.high - low.column) * 4;
    x.b.low = (x.b.low - low.column) * 4, x.b.high = (x.b.high - low.column) * 4;
    return x;
}

/* A row of the mask, as two accesses of 16 bytes: the low map's rows, in bytes of the part, and the weights.
 */
typedef struct __align__(16)
{
    uint32_t row[4]; /* a.low, a.high, b.low, b.high */
    float a, b, weight;
    uint32_t same; /* the row before, in the same run, lies between the same rows */
}
row_place;

SA_DEVICE row_place row_in(const sa_cuda_mask_resize_args &a, const low_part &low, uint32_t first, uint32_t r)
{
    place y = place_at(first + r, a.mask_y, a.frame), before = y;
    if (r % RUN != 0) {
        before = place_at(first + r - 1, a.mask_y, a.frame);
    }
    bool same = r % RUN != 0 && y.a.low == before.a.low && y.a.high == before.a.high &&
                y.b.low == before.b.low && y.b.high == before.b.high;
    uint32_t pitch = low.pitch * 4;
    return {{(y.a.low - low.row) * pitch, (y.a.high - low.row) * pitch, (y.b.low - low.row) * pitch,
             (y.b.high - low.row) * pitch},
            y.a.weight,
            y.b.weight,
            y.weight,
            same};
}

SA_DEVICE float value_at(const char *row, uint32_t column)
{
    return *(const float *)(row + column);
}

/* A mask's column at a row of the low map, both in bytes of the part. */
SA_DEVICE float blended(const low_part &low, uint32_t row, const place &x)
{
    const char *at = (const char *)low.at + row;
    float left = mixed(value_at(at, x.a.low), value_at(at, x.a.high), x.a.weight);
    return mixed(left, mixed(value_at(at, x.b.low), value_at(at, x.b.high), x.b.weight), x.weight);
}

/* The four rows of the low map between which a row of the mask lies, blended in x. */
typedef struct {
    float value[4];
} blended_rows;

SA_DEVICE blended_rows blend_rows(const low_part &low, uint4 row, const place &x)
{
    blended_rows rows;
    rows.value[0] = blended(low, row.x, x);
    rows.value[1] = blended(low, row.y, x);
    rows.value[2] = rows.value[0], rows.value[3] = rows.value[1];
    if (row.z != row.x || row.w != row.y) { /* the same for the whole warp; mostly equal */
        rows.value[2] = row.z == row.y ? rows.value[1] : blended(low, row.z, x);
        rows.value[3] = blended(low, row.w, x);
    }
    return rows;
}

/* 32 pixels, from x on, of a run's rows in y; the word of row r goes to bits[r * words]. */
SA_DEVICE void make_words(const sa_cuda_mask_resize_args &a, const low_part &low, uint32_t x,
                          const row_place *y, uint32_t rows, uint32_t *bits, uint32_t words)
{
    bool here = x + lane_id() < a.width;
    place column = column_in(low, place_at(here ? x + lane_id() : a.width - 1, a.mask_x, a.frame));
    blended_rows four = {};
    for (; rows != 0; rows--, y++, bits += words) {
        float4 weight = *(const float4 *)&y->a;
        if (__float_as_uint(weight.w) == 0) { /* `same` */
            four = blend_rows(low, *(const uint4 *)y->row, column);
        }
        float value = mixed(mixed(four.value[0], four.value[1], weight.x),
                            mixed(four.value[2], four.value[3], weight.y), weight.z);
        uint32_t word = __ballot_sync(0xffffffffu, here && value > a.threshold);
        if (lane_id() == 0) {
            *bits = word;
        }
    }
}

/* The block's rows [first, first + rows), `words` words from `word` on; room for their places in y. */
SA_DEVICE void make_all(const sa_cuda_mask_resize_args &a, const low_part &low, uint32_t word, uint32_t first,
                        uint32_t rows, row_place *y, uint32_t *bits, uint32_t words)
{
    if (threadIdx.x < rows) {
        y[threadIdx.x] = row_in(a, low, first, threadIdx.x);
    }
    __syncthreads(); /* the places are there, and the part of the low map */
    uint32_t runs = (rows + RUN - 1) / RUN;
    for (uint32_t i = threadIdx.x / 32; i < runs * words; i += SA_MASK_RESIZE_WARPS) {
        uint32_t w = i % words, r = i / words * RUN;
        make_words(a, low, (word + w) * 32, y + r, min((uint32_t)RUN, rows - r), bits + r * words + w, words);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS)
    mask_resize(const __grid_constant__ sa_cuda_mask_resize_args a)
{
    __shared__ float held[HELD];
    __shared__ row_place y[ROWS];
    __shared__ uint32_t bits[ROWS * WORDS];
    uint32_t first = blockIdx.y * a.rows, rows = min(a.rows, a.height - first);
    uint32_t word = blockIdx.x * WORDS, words = min((uint32_t)WORDS, a.words - word);
    low_part low = part_of(a, first, first + rows, word * 32, min((word + words) * 32, a.width));
    if ((size_t)low.rows * low.columns <= HELD) { /* else it is read where it lies */
        make_all(a, held_part(low, held), word, first, rows, y, bits, words);
    } else {
        make_all(a, low, word, first, rows, y, bits, words);
    }
    __syncthreads(); /* the bits are there */
    for (uint32_t i = threadIdx.x; i < rows * words; i += THREADS) {
        a.bits[(size_t)(first + i / words) * a.words + word + i % words] = bits[i];
    }
}
