/*
 * patchify on the GPU: contract in kernels.h. First kernel of the encoder: pixels -> rows of the patch gemm.
 *
 * A block takes up to 1024 pixels of one row of one picture: grid (pieces of a row, side, pictures), 128
 * threads. The bytes come into shared memory in pieces of 16, wherever the row begins; then a thread turns 8
 * (f32: 4) neighbouring pixels of 3 channels into three runs of 16 bytes. A warp's runs fill whole 32-byte
 * sectors, since the parts of a patch row stand in neighbouring threads. Every pixel is read once, every
 * value written once.
 */
#include "kernels/cuda/bytes.cuh"
#include "kernels/cuda/patchify.h"

enum { PIECE_BYTES = SA_PATCHIFY_PIXELS * 3 + 48 /* up to 15 bytes before the row, and 17 behind */ };

/* 12 bytes from byte `from` of shared memory on, which any alignment may have. */
SA_DEVICE void read_run(const uint4 *piece, unsigned from, uint32_t (&words)[3])
{
    const uint32_t *at = (const uint32_t *)piece + from / 4; /* threads 3 words apart: no bank twice */
#pragma unroll
    for (int i = 0; i < 3; i++) {
        words[i] = __funnelshift_r(at[i], at[i + 1], from % 4 * 8);
    }
}

/* The same with 24 bytes. Threads 24 bytes apart meet every bank once only if they read 8 bytes at a time. */
SA_DEVICE void read_run(const uint4 *piece, unsigned from, uint32_t (&words)[6])
{
    uint32_t raw[8];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        uint2 pair = ((const uint2 *)piece)[from / 8 + i];
        raw[2 * i] = pair.x;
        raw[2 * i + 1] = pair.y;
    }
#pragma unroll
    for (int i = 0; i < 7; i++) {
        raw[i] = from % 8 >= 4 ? raw[i + 1] : raw[i];
    }
#pragma unroll
    for (int i = 0; i < 6; i++) {
        words[i] = __funnelshift_r(raw[i], raw[i + 1], from % 4 * 8);
    }
}

/* 16 bytes of values at element `at` of y, on a 16-byte border. */
SA_DEVICE void store_run(sa_dtype, void *y, size_t at, const float (&v)[4])
{
    store_16((float *)y + at, __float_as_uint(v[0]), __float_as_uint(v[1]), __float_as_uint(v[2]),
             __float_as_uint(v[3]));
}

SA_DEVICE void store_run(sa_dtype t, void *y, size_t at, const float (&v)[8])
{
    store_16((uint16_t *)y + at, half_pair(t, v[0], v[1]), half_pair(t, v[2], v[3]), half_pair(t, v[4], v[5]),
             half_pair(t, v[6], v[7]));
}

/* Where pixel (x, row) of channel 0 goes; channel ch is ch * patch^2 further on. */
SA_DEVICE size_t place_of(const sa_cuda_patchify_args &a, unsigned x, unsigned row, unsigned picture)
{
    unsigned p = a.patch, grid = a.side / p;
    size_t token = ((size_t)picture * grid + row / p) * grid + x / p;
    return token * (3 * p * p) + row % p * p + x % p;
}

template <sa_dtype T>
SA_DEVICE void cut_runs(const sa_cuda_patchify_args &a, const uint4 *piece, unsigned shift, unsigned begin,
                        unsigned inside)
{
    constexpr unsigned RUN = T == SA_F32 ? 4 : 8;
    unsigned row = blockIdx.y;
    for (unsigned i = threadIdx.x; i < SA_PATCHIFY_PIXELS / RUN && begin + i * RUN < a.side;
         i += SA_PATCHIFY_THREADS) {
        unsigned x = begin + i * RUN;
        uint32_t words[RUN * 3 / 4];
        read_run(piece, shift + i * RUN * 3, words);
        size_t at = place_of(a, x, row, blockIdx.z);
#pragma unroll
        for (int ch = 0; ch < 3; ch++) {
            float v[RUN];
#pragma unroll
            for (int j = 0; j < RUN; j++) {
                int byte = 3 * j + ch;
                float value = (float)(words[byte / 4] >> (byte % 4 * 8) & 255u);
                v[j] = x + j < inside ? (value - a.mean[ch]) * a.scale[ch] : 0.0f;
            }
            store_run(T, a.y, at + (size_t)ch * a.patch * a.patch, v);
        }
    }
}

template <sa_dtype T>
SA_DEVICE void cut_one_by_one(const sa_cuda_patchify_args &a, const uint8_t *piece, unsigned shift,
                              unsigned begin, unsigned inside)
{
    unsigned end = min(begin + SA_PATCHIFY_PIXELS, a.side);
    for (unsigned x = begin + threadIdx.x; x < end; x += SA_PATCHIFY_THREADS) {
        size_t at = place_of(a, x, blockIdx.y, blockIdx.z);
        for (int ch = 0; ch < 3; ch++) {
            float value = (float)piece[shift + (x - begin) * 3 + ch];
            value = x < inside ? (value - a.mean[ch]) * a.scale[ch] : 0.0f;
            store_as(T, a.y, at + (size_t)ch * a.patch * a.patch, value);
        }
    }
}

template <sa_dtype T> SA_DEVICE void patchify(const sa_cuda_patchify_args &a)
{
    __shared__ uint4 piece[PIECE_BYTES / 16];
    unsigned begin = blockIdx.x * SA_PATCHIFY_PIXELS, picture = blockIdx.z;
    /* Pixels of this row that the picture has; none below its last row. */
    unsigned inside = blockIdx.y < a.height[picture] ? a.width[picture] : 0;
    unsigned count = inside > begin ? min(inside - begin, (unsigned)SA_PATCHIFY_PIXELS) : 0;
    const uint8_t *pixels = a.pixels[picture],
                  *end = pixels + (size_t)a.height[picture] * a.width[picture] * 3;
    const uint8_t *from = pixels + ((size_t)blockIdx.y * a.width[picture] + begin) * 3;
    unsigned shift = (unsigned)((uintptr_t)from % 16);
    load_bytes(piece, PIECE_BYTES, from, count * 3, pixels, end);
    __syncthreads(); /* threads read what others loaded */
    if (a.in_runs) {
        cut_runs<T>(a, piece, shift, begin, inside);
    } else {
        cut_one_by_one<T>(a, (const uint8_t *)piece, shift, begin, inside);
    }
}

extern "C" __global__ void __launch_bounds__(SA_PATCHIFY_THREADS)
    patchify_f32(const __grid_constant__ sa_cuda_patchify_args a)
{
    patchify<SA_F32>(a);
}

extern "C" __global__ void __launch_bounds__(SA_PATCHIFY_THREADS)
    patchify_bf16(const __grid_constant__ sa_cuda_patchify_args a)
{
    patchify<SA_BF16>(a);
}

extern "C" __global__ void __launch_bounds__(SA_PATCHIFY_THREADS)
    patchify_f16(const __grid_constant__ sa_cuda_patchify_args a)
{
    patchify<SA_F16>(a);
}
