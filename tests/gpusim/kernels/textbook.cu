/*
 * Small kernels as textbooks have them, each against plain C in test_textbook.c. They are right: no checker
 * may say anything about them, under any seed.
 */
#include <cuda_bf16.h>
#include <cuda_pipeline.h>
#include <mma.h>

#define BLOCK 256

/* out[block] = sum of the block's 512 values: a tree in shared memory, its last steps by shuffles. */
extern "C" __global__ void reduce_tree(const float *in, float *out, int n)
{
    __shared__ float part[BLOCK];
    int t = threadIdx.x, i = blockIdx.x * 2 * BLOCK + t;
    part[t] = (i < n ? in[i] : 0.0f) + (i + BLOCK < n ? in[i + BLOCK] : 0.0f);
    __syncthreads();
    for (int half = BLOCK / 2; half >= 32; half /= 2) {
        if (t < half) {
            part[t] += part[t + half];
        }
        __syncthreads();
    }
    if (t < 32) {
        float sum = part[t];
        for (int step = 16; step > 0; step /= 2) {
            sum += __shfl_down_sync(0xffffffff, sum, step);
        }
        if (t == 0) {
            out[blockIdx.x] = sum;
        }
    }
}

/* Sum of everything by the last block to finish (the threadFenceReduction pattern). */
__device__ unsigned blocks_done = 0;

extern "C" __global__ void reduce_last_block(const int *in, int *partial, int *out, int n)
{
    __shared__ int sum;
    __shared__ bool is_last;
    if (threadIdx.x == 0) {
        sum = 0;
    }
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        atomicAdd(&sum, in[i]);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = sum;
        __threadfence();
        is_last = atomicInc(&blocks_done, gridDim.x - 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (is_last && threadIdx.x == 0) {
        __threadfence();
        int whole = 0;
        for (unsigned i = 0; i < gridDim.x; i++) {
            whole += ((volatile int *)partial)[i];
        }
        *out = whole;
    }
}

/* Inclusive scan of one block, Hillis and Steele, two buffers in dynamic shared memory. */
extern "C" __global__ void scan_block(const int *in, int *out, int n)
{
    extern __shared__ int buffer[];
    int t = threadIdx.x, from = 0;
    buffer[t] = t < n ? in[t] : 0;
    __syncthreads();
    for (int step = 1; step < (int)blockDim.x; step *= 2) {
        int *read = buffer + from * blockDim.x, *write = buffer + (1 - from) * blockDim.x;
        write[t] = read[t] + (t >= step ? read[t - step] : 0);
        from = 1 - from;
        __syncthreads();
    }
    if (t < n) {
        out[t] = buffer[from * blockDim.x + t];
    }
}

/*
 * Single-pass scan with decoupled look-back (Merrill and Garland): tiles in the order of tickets; state[tile]
 * holds flag << 32 | value, flag 1: the tile's own sum, 2: the sum of everything up to it.
 */
extern "C" __global__ void scan_look_back(const int *in, int *out, unsigned long long *state,
                                          unsigned *ticket, int n)
{
    __shared__ int values[128];
    __shared__ unsigned tile;
    __shared__ int before;
    int t = threadIdx.x;
    if (t == 0) {
        tile = atomicAdd(ticket, 1u);
    }
    __syncthreads();
    int i = tile * blockDim.x + t;
    values[t] = i < n ? in[i] : 0;
    __syncthreads();
    for (int step = 1; step < (int)blockDim.x; step *= 2) {
        int add = t >= step ? values[t - step] : 0;
        __syncthreads();
        values[t] += add;
        __syncthreads();
    }
    if (t == 0) {
        int own = values[blockDim.x - 1], sum = 0;
        volatile unsigned long long *flags = state;
        flags[tile] = 1ull << 32 | (unsigned)own;
        __threadfence();
        for (int look = (int)tile - 1; look >= 0;) {
            unsigned long long seen = flags[look];
            if (seen >> 32 == 0) {
                continue;
            }
            sum += (int)(unsigned)seen;
            look = seen >> 32 == 2 ? -1 : look - 1;
        }
        flags[tile] = 2ull << 32 | (unsigned)(sum + own);
        before = sum;
    }
    __syncthreads();
    if (i < n) {
        out[i] = before + values[t];
    }
}

/* 64 bins: a private histogram in shared memory, then added to the whole one. */
extern "C" __global__ void histogram(const unsigned char *in, unsigned *bins, int n)
{
    __shared__ unsigned own[64];
    if (threadIdx.x < 64) {
        own[threadIdx.x] = 0;
    }
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        atomicAdd(&own[in[i] >> 2], 1u);
    }
    __syncthreads();
    if (threadIdx.x < 64) {
        atomicAdd(&bins[threadIdx.x], own[threadIdx.x]);
    }
}

/* 32 x 8 threads move a 32 x 32 tile; the 33rd column keeps banks apart. */
extern "C" __global__ void transpose(const float *in, float *out, int width, int height)
{
    __shared__ float tile[32][33];
    int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += 8) {
        if (x < width && y + j < height) {
            tile[threadIdx.y + j][threadIdx.x] = in[(y + j) * width + x];
        }
    }
    __syncthreads();
    x = blockIdx.y * 32 + threadIdx.x;
    y = blockIdx.x * 32 + threadIdx.y;
    for (int j = 0; j < 32; j += 8) {
        if (x < height && y + j < width) {
            out[(y + j) * height + x] = tile[threadIdx.x][threadIdx.y + j];
        }
    }
}

/* c [m,n] = a [m,k] b [k,n], tiles of 16 x 16 in shared memory. */
extern "C" __global__ void matmul_tiled(const float *a, const float *b, float *c, int m, int n, int k)
{
    __shared__ float as[16][16], bs[16][16];
    int tx = threadIdx.x, ty = threadIdx.y, row = blockIdx.y * 16 + ty, column = blockIdx.x * 16 + tx;
    float sum = 0.0f;
    for (int first = 0; first < k; first += 16) {
        as[ty][tx] = row < m && first + tx < k ? a[row * k + first + tx] : 0.0f;
        bs[ty][tx] = first + ty < k && column < n ? b[(first + ty) * n + column] : 0.0f;
        __syncthreads();
        for (int i = 0; i < 16; i++) {
            sum = fmaf(as[ty][i], bs[i][tx], sum);
        }
        __syncthreads();
    }
    if (row < m && column < n) {
        c[row * n + column] = sum;
    }
}

/* out = in's five-point mean, with a halo in shared memory; edges repeat. */
extern "C" __global__ void stencil(const float *in, float *out, int width, int height)
{
    __shared__ float tile[18][18];
    int x = blockIdx.x * 16 + threadIdx.x, y = blockIdx.y * 16 + threadIdx.y;
    for (int i = threadIdx.y * 16 + threadIdx.x; i < 18 * 18; i += 256) {
        int tx = blockIdx.x * 16 + i % 18 - 1, ty = blockIdx.y * 16 + i / 18 - 1;
        tx = min(max(tx, 0), width - 1);
        ty = min(max(ty, 0), height - 1);
        tile[i / 18][i % 18] = in[ty * width + tx];
    }
    __syncthreads();
    if (x < width && y < height) {
        int r = threadIdx.y + 1, c = threadIdx.x + 1;
        out[y * width + x] =
            (tile[r][c] + tile[r - 1][c] + tile[r + 1][c] + tile[r][c - 1] + tile[r][c + 1]) * 0.2f;
    }
}

/* Sorts 2 * blockDim.x keys of one block. */
extern "C" __global__ void bitonic_sort(unsigned *keys)
{
    extern __shared__ unsigned sorted[];
    int t = threadIdx.x, n = 2 * blockDim.x;
    sorted[t] = keys[t];
    sorted[t + blockDim.x] = keys[t + blockDim.x];
    for (int size = 2; size <= n; size *= 2) {
        for (int step = size / 2; step > 0; step /= 2) {
            __syncthreads();
            int i = 2 * t - (t & (step - 1)), up = (i & size) == 0;
            unsigned a = sorted[i], b = sorted[i + step];
            if ((a > b) == up) {
                sorted[i] = b;
                sorted[i + step] = a;
            }
        }
    }
    __syncthreads();
    keys[t] = sorted[t];
    keys[t + blockDim.x] = sorted[t + blockDim.x];
}

/* One warp a row: maximum and sum by butterfly shuffles. */
extern "C" __global__ void softmax_rows(const float *in, float *out, int rows, int columns)
{
    int row = blockIdx.x * blockDim.y + threadIdx.y, lane = threadIdx.x;
    if (row >= rows) {
        return;
    }
    float most = -INFINITY, sum = 0.0f;
    for (int i = lane; i < columns; i += 32) {
        most = fmaxf(most, in[row * columns + i]);
    }
    for (int step = 16; step > 0; step /= 2) {
        most = fmaxf(most, __shfl_xor_sync(0xffffffff, most, step));
    }
    for (int i = lane; i < columns; i += 32) {
        sum += expf(in[row * columns + i] - most);
    }
    for (int step = 16; step > 0; step /= 2) {
        sum += __shfl_xor_sync(0xffffffff, sum, step);
    }
    for (int i = lane; i < columns; i += 32) {
        out[row * columns + i] = expf(in[row * columns + i] - most) / sum;
    }
}

/* c [m,n] f32 = a [m,k] bf16, row major, times b [k,n] bf16, column major; one warp a 16 x 16 tile. */
extern "C" __global__ void matmul_wmma(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *c, int m, int n,
                                       int k)
{
    using namespace nvcuda;
    wmma::fragment<wmma::matrix_a, 16, 16, 16, __nv_bfloat16, wmma::row_major> fa;
    wmma::fragment<wmma::matrix_b, 16, 16, 16, __nv_bfloat16, wmma::col_major> fb;
    wmma::fragment<wmma::accumulator, 16, 16, 16, float> fc;
    int row = blockIdx.y * 16, column = blockIdx.x * 16;
    wmma::fill_fragment(fc, 0.0f);
    for (int i = 0; i < k; i += 16) {
        wmma::load_matrix_sync(fa, a + row * k + i, k);
        wmma::load_matrix_sync(fb, b + column * k + i, k);
        wmma::mma_sync(fc, fa, fb, fc);
    }
    for (int i = 0; i < fc.num_elements; i++) {
        fc.x[i] *= 0.5f; /* whatever the layout: every element once */
    }
    wmma::store_matrix_sync(c + row * n + column, fc, n, wmma::mem_row_major);
}

/* out[i] = 2 * in[i] + 1 through two stages of asynchronous copies of a tile of 128 floats. */
extern "C" __global__ void pipeline_copy(const float4 *in, float4 *out, int tiles)
{
    __shared__ float4 stage[2][32];
    int t = threadIdx.x;
    if (tiles > 0) {
        __pipeline_memcpy_async(&stage[0][t], &in[t], sizeof(float4));
        __pipeline_commit();
    }
    for (int i = 0; i < tiles; i++) {
        if (i + 1 < tiles) {
            __pipeline_memcpy_async(&stage[(i + 1) % 2][t], &in[(i + 1) * 32 + t], sizeof(float4));
        }
        __pipeline_commit();
        __pipeline_wait_prior(1);
        __syncthreads();
        float4 v = stage[i % 2][31 - t]; /* another thread's copy */
        out[i * 32 + 31 - t] = make_float4(2 * v.x + 1, 2 * v.y + 1, 2 * v.z + 1, 2 * v.w + 1);
        __syncthreads();
    }
}

/* Every kind of atomic once per thread; results[] are what any order gives. */
extern "C" __global__ void atomics(unsigned *u, int *s, unsigned long long *l, float *f, double *d, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    atomicAdd(&u[0], 3u);
    atomicSub(&u[1], 1u);
    atomicMax(&u[2], (unsigned)i);
    atomicMin(&u[3], (unsigned)(n - i));
    atomicOr(&u[4], 1u << (i & 31));
    atomicAnd(&u[5], ~(1u << (i & 15)));
    atomicXor(&u[6], (unsigned)i);
    atomicInc(&u[7], 9u);
    atomicDec(&u[8], 9u);
    atomicExch(&u[9], 77u);
    atomicMax(&s[0], i - 5);
    atomicMin(&s[1], 5 - i);
    atomicAdd(&l[0], 0x100000001ull);
    atomicMax(&l[1], (unsigned long long)i << 33);
    atomicAdd(f, 1.0f);
    atomicAdd(d, 0.5);
    unsigned old = u[10], seen; /* an atomic square-and-add by compare and swap, with a plain first read */
    old = atomicAdd(&u[10], 0u);
    do {
        seen = old;
        old = atomicCAS(&u[10], seen, seen * 3u + 1u);
    } while (old != seen);
}

struct shape {
    char kind;
    short weight;
    int corner[3];
    double scale;
    const float *data;
};

/* A struct by value, read by index. */
extern "C" __global__ void struct_argument(shape s, float *out, int which)
{
    int i = threadIdx.x;
    out[i] = (float)(s.data[i] * s.scale) + s.corner[(i + which) % 3] + s.weight + s.kind;
}

typedef float (*unary)(float);
__device__ float twice(float x)
{
    return 2 * x;
}
__device__ float squared(float x)
{
    return x * x;
}
__device__ float negated(float x)
{
    return -x;
}
__device__ unary functions[3] = {twice, squared, negated};

/* Lanes of one warp call different functions. */
extern "C" __global__ void function_pointers(const float *in, float *out, const int *which)
{
    int i = threadIdx.x;
    out[i] = functions[which[i]](in[i]);
}

__device__ __noinline__ int ackermann(int m, int n)
{
    if (m == 0) {
        return n + 1;
    }
    return n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

extern "C" __global__ void recursion(int *out)
{
    int i = threadIdx.x;
    out[i] = ackermann(i % 3, i % 4);
}

/* An array of each thread, indexed by data. */
extern "C" __global__ void local_array(const int *in, int *out, int n)
{
    int counts[16], i = blockIdx.x * blockDim.x + threadIdx.x;
    for (int k = 0; k < 16; k++) {
        counts[k] = k;
    }
    for (int k = 0; k < n; k++) {
        counts[(in[k] + i) & 15] += in[k];
    }
    int mixed = 0;
    for (int k = 0; k < 16; k++) {
        mixed = mixed * 31 + counts[k];
    }
    out[i] = mixed;
}

/* Double precision: Newton's square root, a polynomial, and the functions of the library. */
extern "C" __global__ void doubles(const double *in, double *out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    double x = in[i], root = x;
    for (int k = 0; k < 40; k++) {
        root = 0.5 * (root + x / root);
    }
    out[4 * i] = root;
    out[4 * i + 1] = sqrt(x) * exp(-x) + sin(x);
    out[4 * i + 2] = pow(x, 1.5) + log(x) + atan2(x, 2.0);
    out[4 * i + 3] = fma(x, x, -(x * x)) + fmod(x, 0.3) + floor(x) + __double2int_rn(x * 10);
}

__constant__ int weights[8] = {1, -2, 3, -4, 5, -6, 7, -8};

/* Constant memory by a uniform and by a divergent index, a switch, and 64-bit integers. */
extern "C" __global__ void constants_and_switch(const int *in, long long *out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) {
        return;
    }
    long long value = (long long)in[i] * weights[3] * 1000003ll + weights[i & 7];
    switch (in[i] & 7) {
    case 0: value /= 7; break;
    case 1: value %= 1000; break;
    case 2: value = value << 3 ^ i; break;
    case 3: value = -value; /* falls through */
    case 4: value >>= 2; break;
    case 5: value = (unsigned long long)value / 12345u; break;
    case 6: value *= value; break;
    default: value = __popcll(value) + __clzll(value) + __ffsll(value); break;
    }
    out[i] = value;
}
