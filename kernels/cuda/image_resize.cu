/*
 * image_resize on the GPU: contract in kernels.h. First kernel of all: picture -> the network's frame. Two
 * launches, across and down; sums are integers, so their order does not matter.
 *
 * across: a block takes 256 output pixels of 64 rows, a thread one pixel of half of them. The pixels' rows of
 * the table, which weigh as much as 7 rows of output, and as many rows of the picture as fit at a time stand
 * in shared memory; each is read once. A warp's 32 pixels go out as three whole sectors. Grid (output row /
 * 256 pixels, rows / 64). down: a block takes 48 output rows (so few blocks that every frame is one wave), a
 * thread 4 neighbouring bytes of each fourth. Where pitches or addresses are no multiples of 4 these are
 * other bytes in every row, so that a warp's stores are whole sectors. The last input rows stand in shared
 * memory as a ring, so that each is read once though several output rows need it.
 * Grid (pieces of a row, output rows / 48). Where the picture shrinks so much that taps or bytes do not fit,
 * threads read table and picture themselves.
 */
#include "kernels/cuda/bytes.cuh"
#include "kernels/cuda/image_resize.h"

enum {
    PRECISION = 22, /* bits after a weight's point */
    ROUND = 1 << (PRECISION - 1),
    NEAR_TAPS = 24, /* weights of a pixel that shared memory takes */
    ACROSS = SA_IMAGE_RESIZE_ACROSS,
    ACROSS_THREADS = SA_IMAGE_RESIZE_ACROSS_THREADS,
    ACROSS_ROWS = SA_IMAGE_RESIZE_ACROSS_ROWS,
    NEAR_BYTES = 18432, /* across: of input rows, borders included; 64 rows that grow to three times */
    TOGETHER = 4,       /* across: rows whose sums share the reading of the weights */
    DOWN = SA_IMAGE_RESIZE_DOWN,
    DOWN_THREADS = SA_IMAGE_RESIZE_DOWN_THREADS,
    DOWN_ROWS = SA_IMAGE_RESIZE_DOWN_ROWS,
    RING = 32, /* down: input rows in shared memory */
    GROUPS = DOWN_THREADS / DOWN,
    SECTOR = 32,
};

static_assert(NEAR_TAPS <= RING, "a ring holds what an output row needs");

/* `high` and `low` to 0..255, in the two lowest bytes; above them the lower half of `rest`. */
SA_DEVICE uint32_t clipped(int32_t high, int32_t low, uint32_t rest)
{
    uint32_t word;
    asm("cvt.pack.sat.u8.s32.b32 %0, %1, %2, %3;" : "=r"(word) : "r"(high), "r"(low), "r"(rest));
    return word;
}

/* N sums, which began at ROUND, to neighbouring bytes, the first one lowest; the bytes above are 0. */
template <int N> SA_DEVICE uint32_t rounded(const int32_t (&sum)[N])
{
    int32_t value[4] = {0, 0, 0, 0};
#pragma unroll
    for (int i = 0; i < N; i++) {
        value[i] = sum[i] >> PRECISION;
    }
    return clipped(value[1], value[0], clipped(value[3], value[2], 0));
}

template <int N> SA_DEVICE void start(int32_t (&sum)[N])
{
#pragma unroll
    for (int i = 0; i < N; i++) {
        sum[i] = ROUND;
    }
}

/* Rows [begin, begin + count) of a table, as they lie: first tap, number of taps, weights. */
SA_DEVICE void load_table(int32_t *near, const sa_cuda_resize_axis &axis, uint32_t begin, uint32_t count)
{
    uint32_t row = 2 + axis.taps;
    const int32_t *from = axis.table + (size_t)begin * row;
    for (uint32_t i = threadIdx.x; i < count * row; i += blockDim.x) {
        near[i] = from[i];
    }
}

/* ---- across ---- */

/* Input bytes of a tile: [first, first + bytes) of a row, in `room` bytes of shared memory. */
typedef struct {
    uint32_t first, bytes, room;
} across_span;

SA_DEVICE across_span span_of(const int32_t *near, uint32_t row, uint32_t count)
{
    const int32_t *last = near + (count - 1) * row;
    uint32_t first = (uint32_t)near[0] * 3, bytes = (uint32_t)(last[0] + last[1]) * 3 - first;
    return {first, bytes, (bytes + 2 * (SECTOR - 1)) / SECTOR * SECTOR};
}

/* Rows [y, y + count) into shared memory, a warp a row, from the sector on in which the span begins. */
SA_DEVICE void load_rows(const sa_cuda_image_resize_args &a, const across_span &s, uint8_t *rows, uint32_t y,
                         uint32_t count)
{
    const uint8_t *end = a.x + (size_t)a.in_height * a.x_pitch;
    for (uint32_t r = threadIdx.x / 32; r < count; r += ACROSS_THREADS / 32) {
        const uint8_t *from = a.x + (size_t)(y + r) * a.x_pitch + s.first, *stop = from + s.bytes;
        from -= (uintptr_t)from % SECTOR;
        for (uint32_t i = lane_id() * 16; from + i < stop; i += 32 * 16) {
            *(uint4 *)(rows + r * s.room + i) = load_within(from + i, a.x, end);
        }
    }
}

/* A pixel of TOGETHER rows; its first byte in row r is at in[r]. */
SA_DEVICE void add_taps(int32_t (&sum)[TOGETHER][3], const int32_t *row, const uint8_t *(&in)[TOGETHER])
{
    const int32_t *weight = row + 2;
    for (int32_t k = row[1]; k > 0; k--, weight++) {
        int32_t w = *weight;
#pragma unroll
        for (int r = 0; r < TOGETHER; r++) {
            sum[r][0] += w * in[r][0];
            sum[r][1] += w * in[r][1];
            sum[r][2] += w * in[r][2];
            in[r] += 3;
        }
    }
}

/*
 * The warp's 32 pixels of a row, one a lane in the lower three bytes, of which `count` bytes exist: by words
 * where `words` says so, else by bytes.
 */
SA_DEVICE void store_pixels(uint8_t *to, uint32_t pixel, uint32_t count, bool words)
{
    uint32_t lane = lane_id();
    if (words) {
        uint32_t from = lane * 4 / 3,
                 skip = lane * 4 % 3; /* the word's first byte: its pixel, its place there */
        uint32_t pick = skip == 0 ? 0x4210 : skip == 1 ? 0x5421 : 0x6542;
        uint32_t low = __shfl_sync(0xffffffffu, pixel, from),
                 high = __shfl_sync(0xffffffffu, pixel, from + 1);
        if (lane < 24) {
            ((uint32_t *)to)[lane] = __byte_perm(low, high, pick);
        }
        return;
    }
    for (uint32_t i = lane; i < 96; i += 32) {
        uint32_t byte = __shfl_sync(0xffffffffu, pixel, i / 3) >> (i % 3 * 8);
        if (i < count) {
            to[i] = (uint8_t)byte;
        }
    }
}

/*
 * A thread's pixel, whose row of the table is `row`, of rows [y, y + count), which stand in shared memory;
 * the block's groups of ACROSS threads take turns.
 */
SA_DEVICE void make_near(const sa_cuda_image_resize_args &a, const across_span &s, const int32_t *row,
                         const uint8_t *rows, uint32_t y, uint32_t count)
{
    uint32_t warp = blockIdx.x * ACROSS + threadIdx.x % ACROSS / 32 * 32; /* its first pixel */
    uint32_t bytes = warp < a.out_width ? (a.out_width - warp) * 3 : 0;
    uint8_t *out = a.y + (size_t)y * a.y_pitch + (size_t)warp * 3;
    bool words = bytes >= 96 && ((uintptr_t)out | a.y_pitch) % 4 == 0;
    /* Of row y's bytes in x; counts modulo SECTOR. */
    uint32_t begin = (uint32_t)(uintptr_t)a.x + y * a.x_pitch + s.first;
    rows += (uint32_t)row[0] * 3 - s.first;
    for (uint32_t r = threadIdx.x / ACROSS * TOGETHER; r < count; r += ACROSS_THREADS / ACROSS * TOGETHER) {
        int32_t sum[TOGETHER][3];
        const uint8_t *in[TOGETHER];
#pragma unroll
        for (uint32_t i = 0; i < TOGETHER; i++) { /* past the last row: that one again */
            uint32_t mine = min(r + i, count - 1);
            in[i] = rows + (mine * s.room + (begin + mine * a.x_pitch) % SECTOR);
            start(sum[i]);
        }
        add_taps(sum, row, in);
        uint8_t *to = out + (size_t)r * a.y_pitch;
#pragma unroll
        for (uint32_t i = 0; i < TOGETHER; i++, to += a.y_pitch) {
            if (r + i < count) {
                store_pixels(to, rounded(sum[i]), bytes, words);
            }
        }
    }
}

/* Pixel i of rows [y, end), from memory; the groups take turns. */
SA_DEVICE void make_far(const sa_cuda_image_resize_args &a, uint32_t i, uint32_t y, uint32_t end)
{
    const int32_t *row = a.axis.table + (size_t)i * (2 + a.axis.taps);
    for (y += threadIdx.x / ACROSS; y < end; y += ACROSS_THREADS / ACROSS) {
        const uint8_t *in = a.x + (size_t)y * a.x_pitch + (size_t)row[0] * 3;
        int32_t sum[3];
        start(sum);
        for (int32_t k = 0; k < row[1]; k++, in += 3) {
            sum[0] += row[2 + k] * in[0];
            sum[1] += row[2 + k] * in[1];
            sum[2] += row[2 + k] * in[2];
        }
        uint32_t pixel = rounded(sum);
        uint8_t *to = a.y + (size_t)y * a.y_pitch + (size_t)i * 3;
        to[0] = (uint8_t)pixel, to[1] = (uint8_t)(pixel >> 8), to[2] = (uint8_t)(pixel >> 16);
    }
}

extern "C" __global__ void __launch_bounds__(ACROSS_THREADS)
    image_resize_across(const __grid_constant__ sa_cuda_image_resize_args a)
{
    __shared__ int32_t table[ACROSS * (2 + NEAR_TAPS)]; /* taps are odd, so threads' rows differ in bank */
    __shared__ __align__(16) uint8_t rows[NEAR_BYTES];
    uint32_t begin = blockIdx.x * ACROSS, count = min((uint32_t)ACROSS, a.out_width - begin);
    uint32_t pixel = threadIdx.x % ACROSS, y = blockIdx.y * ACROSS_ROWS,
             end = min(y + ACROSS_ROWS, a.in_height), row = 2 + a.axis.taps;
    across_span s = {0, 0, NEAR_BYTES + 1};
    if (a.axis.taps <= NEAR_TAPS) {
        load_table(table, a.axis, begin, count);
        __syncthreads(); /* the table is there */
        s = span_of(table, row, count);
    }
    if (s.room > NEAR_BYTES) {
        if (pixel < count) {
            make_far(a, begin + pixel, y, end);
        }
        return;
    }
    /* Threads without a pixel make the last one again: whole warps store. */
    const int32_t *mine = table + min(pixel, count - 1) * row;
    for (uint32_t fit = NEAR_BYTES / s.room; y < end; y += fit) {
        uint32_t here = min(fit, end - y);
        load_rows(a, s, rows, y, here);
        __syncthreads(); /* the rows are there */
        make_near(a, s, mine, rows, y, here);
        __syncthreads(); /* the rows may be overwritten */
    }
}

/* ---- down ---- */

/*
 * A thread's piece of an output row: 4 bytes. SHIFTED: rows begin anywhere, and the pieces are those between
 * borders of 4 bytes of memory, counted from the border of a sector in or before the row; so a piece may
 * begin before its row, and end behind it.
 */
template <bool SHIFTED> SA_DEVICE int32_t column_in(const uint8_t *row)
{
    uint32_t column = (blockIdx.x * DOWN + threadIdx.x % DOWN) * 4;
    return (int32_t)(SHIFTED ? column - (uint32_t)(uintptr_t)row % SECTOR : column);
}

/* Bytes [column, column + 4) of a row of `bytes`, lowest first; those that lie outside are 0. */
SA_DEVICE uint32_t load_shifted(const uint8_t *row, int32_t column, int32_t bytes)
{
    const uint8_t *at = row + column;
    uint32_t past = (uint32_t)(uintptr_t)at % 4, word = 0;
    if (column >= 0 && column + 4 <= bytes && past == 0) {
        return *(const uint32_t *)at;
    }
    if (column >= 4 && column + 8 <= bytes) { /* both words lie within the row */
        const uint32_t *words = (const uint32_t *)(at - past);
        return __funnelshift_r(words[0], words[1], past * 8);
    }
    for (int32_t i = 0; i < 4; i++) {
        if (column + i >= 0 && column + i < bytes) {
            word |= (uint32_t)at[i] << (8 * i);
        }
    }
    return word;
}

/* Those of them that lie within the row, from `word`. */
SA_DEVICE void store_shifted(uint8_t *row, int32_t column, int32_t bytes, uint32_t word)
{
    if (column >= 0 && column + 4 <= bytes) {
        *(uint32_t *)(row + column) = word;
        return;
    }
    for (int32_t end = column + 4; column < end; column += 2, word >>= 16) { /* by pairs: fewer sectors */
        bool low = column >= 0 && column < bytes, high = column + 1 >= 0 && column + 1 < bytes;
        if (low && high) {
            *(uint16_t *)(row + column) = (uint16_t)word;
        } else if (low) {
            row[column] = (uint8_t)word;
        } else if (high) {
            row[column + 1] = (uint8_t)(word >> 8);
        }
    }
}

template <bool SHIFTED> SA_DEVICE uint32_t load_piece(const uint8_t *row, int32_t column, int32_t bytes)
{
    if (SHIFTED) {
        return load_shifted(row, column, bytes);
    }
    return *(const uint32_t *)(row + column);
}

template <bool SHIFTED>
SA_DEVICE void store_piece(uint8_t *row, int32_t column, int32_t bytes, const int32_t (&sum)[4])
{
    if (SHIFTED) {
        store_shifted(row, column, bytes, rounded(sum));
    } else {
        *(uint32_t *)(row + column) = rounded(sum);
    }
}

SA_DEVICE void add_piece(int32_t (&sum)[4], int32_t w, uint32_t word)
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        sum[i] += w * (int32_t)(word >> (8 * i) & 255u);
    }
}

/* How many of the output rows [r, count), at most 32, need no input row from first(r) + RING on; at least 1.
 */
SA_DEVICE uint32_t rows_in_ring(const int32_t *table, uint32_t row, uint32_t r, uint32_t count)
{
    uint32_t mine = r + lane_id();
    const int32_t *at = table + min(mine, count - 1) * row;
    bool fits = mine < count && at[0] + at[1] <= table[r * row] + RING;
    return (uint32_t)__popc(__ballot_sync(0xffffffffu, fits)); /* the tables' first and last taps only grow */
}

/* Words of input that a block holds of a row: its own, and where output is shifted the sector before. */
template <bool SHIFTED> constexpr uint32_t HELD = DOWN + (SHIFTED ? SECTOR / 4 : 0);

/*
 * Output rows [y, y + count), whose part of the table is `table`. Input row i stands at i % RING of the ring,
 * where the block's groups of DOWN threads put it in turns.
 */
template <bool SHIFTED>
SA_DEVICE void down_near(const sa_cuda_image_resize_args &a, const int32_t *table,
                         uint32_t (*ring)[HELD<SHIFTED>], uint32_t y, uint32_t count)
{
    uint32_t group = threadIdx.x / DOWN, row = 2 + a.axis.taps, loaded = (uint32_t)table[0];
    int32_t bytes = (int32_t)a.out_width * 3,
            first = (int32_t)(blockIdx.x * DOWN * 4) - (SHIFTED ? SECTOR : 0); /* column of the ring's */
    bool here = SHIFTED || column_in<SHIFTED>(a.y) < bytes;
    for (uint32_t r = 0; r < count;) {
        uint32_t stop = r + rows_in_ring(table, row, r, count);
        const int32_t *last = table + (stop - 1) * row;
        uint32_t need = (uint32_t)(last[0] + last[1]);
        for (uint32_t i = loaded + group; here && i < need; i += GROUPS) {
            for (uint32_t w = threadIdx.x % DOWN; w < HELD<SHIFTED>; w += DOWN) {
                ring[i % RING][w] =
                    load_piece<SHIFTED>(a.x + (size_t)i * a.x_pitch, first + (int32_t)w * 4, bytes);
            }
        }
        loaded = need;
        __syncthreads(); /* the rows are there */
        for (r += group; here && r < stop; r += GROUPS) {
            const int32_t *mine = table + r * row;
            uint8_t *to = a.y + (size_t)(y + r) * a.y_pitch;
            int32_t column = column_in<SHIFTED>(to), sum[4];
            if (SHIFTED && (column <= -4 || column >= bytes)) {
                continue;
            }
            uint32_t word = (uint32_t)(column - first) / 4, past = (uint32_t)(column - first) % 4;
            start(sum);
            for (int32_t k = 0; k < mine[1]; k++) {
                const uint32_t *in = ring[(uint32_t)(mine[0] + k) % RING] + word;
                add_piece(sum, mine[2 + k],
                          SHIFTED ? __funnelshift_r(in[0], in[past != 0], past * 8) : in[0]);
            }
            store_piece<SHIFTED>(to, column, bytes, sum);
        }
        r = stop;
        __syncthreads(); /* the rows may be overwritten */
    }
}

/* The same from memory. */
template <bool SHIFTED>
SA_DEVICE void down_far(const sa_cuda_image_resize_args &a, uint32_t y, uint32_t count)
{
    int32_t bytes = (int32_t)a.out_width * 3;
    for (uint32_t r = threadIdx.x / DOWN; r < count; r += GROUPS) {
        const int32_t *row = a.axis.table + (size_t)(y + r) * (2 + a.axis.taps);
        const uint8_t *in = a.x + (size_t)row[0] * a.x_pitch;
        uint8_t *to = a.y + (size_t)(y + r) * a.y_pitch;
        int32_t column = column_in<SHIFTED>(to), sum[4];
        if (column <= -4 || column >= bytes) {
            continue;
        }
        start(sum);
        for (int32_t k = 0; k < row[1]; k++, in += a.x_pitch) {
            add_piece(sum, row[2 + k], load_piece<SHIFTED>(in, column, bytes));
        }
        store_piece<SHIFTED>(to, column, bytes, sum);
    }
}

template <bool SHIFTED> SA_DEVICE void down(const sa_cuda_image_resize_args &a)
{
    __shared__ int32_t table[DOWN_ROWS * (2 + NEAR_TAPS)];
    __shared__ uint32_t ring[RING][HELD<SHIFTED>];
    uint32_t y = blockIdx.y * DOWN_ROWS, count = min((uint32_t)DOWN_ROWS, a.out_height - y);
    if (a.axis.taps > NEAR_TAPS) {
        down_far<SHIFTED>(a, y, count);
        return;
    }
    if (a.axis.table != nullptr) {
        load_table(table, a.axis, y, count);
    } else if (threadIdx.x < count) { /* one tap, of weight 1 */
        table[threadIdx.x * 3] = (int32_t)(y + threadIdx.x);
        table[threadIdx.x * 3 + 1] = 1;
        table[threadIdx.x * 3 + 2] = 1 << PRECISION;
    }
    __syncthreads(); /* the table is there */
    down_near<SHIFTED>(a, table, ring, y, count);
}

extern "C" __global__ void __launch_bounds__(DOWN_THREADS)
    image_resize_down(const __grid_constant__ sa_cuda_image_resize_args a)
{
    down<false>(a);
}

extern "C" __global__ void __launch_bounds__(DOWN_THREADS)
    image_resize_down_shifted(const __grid_constant__ sa_cuda_image_resize_args a)
{
    down<true>(a);
}
