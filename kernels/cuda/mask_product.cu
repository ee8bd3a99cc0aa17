/*
 * mask_product on the GPU: contract in kernels.h. Last product of the decoder: features x hypernetworks ->
 * logits.
 *
 * A block takes 256 feature rows of one item, which lie together in memory: they come to shared memory 32
 * channels at a time, 16 bytes an access, and each thread then has a row for itself. The pieces of a row are
 * exchanged (swizzled) so that neither the copy nor the threads' reads meet a bank twice. Two tokens, 32
 * rows, are four rows of eight pixels: a warp's stores fill sectors of 32 bytes. The sum runs over the
 * channels upwards. Grid (tiles of all items), 256 threads.
 */
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/mask_product.h"

enum { ROWS = SA_MASK_PRODUCT_THREADS, CHANNELS = SA_MASK_PRODUCT_CHANNELS, MOST = SA_MASK_PRODUCT_MOST };

template <sa_dtype T> struct layout {
    static constexpr unsigned SIZE = T == SA_F32 ? 4 : 2;
    static constexpr unsigned PIECE = 16 / SIZE;         /* channels of a piece */
    static constexpr unsigned PIECES = CHANNELS / PIECE; /* of a row: 8 or 4 */
    /* Where piece p of row r stands, in pieces: eight rows' same piece, or a run of eight pieces, never meet.
     */
    SA_DEVICE unsigned place(unsigned r, unsigned p)
    {
        return r * PIECES + (p ^ (r / (8 / PIECES) % PIECES));
    }
};

/* Channels [begin, begin + 32) of `rows` rows; zeros past the last channel and row. */
template <sa_dtype T>
SA_DEVICE void load_features(const sa_cuda_mask_product_args &a, uint4 *tile, const unsigned char *from,
                             unsigned rows, unsigned begin)
{
    typedef layout<T> l;
    for (unsigned i = threadIdx.x; i < ROWS * l::PIECES; i += ROWS) {
        unsigned r = i / l::PIECES, p = i % l::PIECES, c = begin + p * l::PIECE;
        const unsigned char *at = from + ((size_t)r * a.channels + c) * l::SIZE;
        unsigned place = l::place(r, p);
        if (a.aligned) {
            cp_async_16(shared_address(tile + place), at, r < rows && c < a.channels ? 16 : 0);
            continue;
        }
        for (unsigned j = 0; j < l::PIECE; j++) {
            bool here = r < rows && c + j < a.channels;
            if (l::SIZE == 4) {
                ((uint32_t *)(tile + place))[j] = here ? ((const uint32_t *)at)[j] : 0;
            } else {
                ((uint16_t *)(tile + place))[j] = here ? ((const uint16_t *)at)[j] : 0;
            }
        }
    }
    cp_async_commit();
}

SA_DEVICE void load_hyper(const sa_cuda_mask_product_args &a, float (*hyper)[CHANNELS], const float *from,
                          unsigned begin)
{
    for (unsigned i = threadIdx.x; i < a.masks * CHANNELS; i += ROWS) {
        unsigned m = i / CHANNELS, c = i % CHANNELS;
        hyper[m][c] = begin + c < a.channels ? from[m * a.channels + begin + c] : 0.0f;
    }
}

/* The channels of a piece as floats. */
template <sa_dtype T> SA_DEVICE void widen(float *v, uint4 piece)
{
    const uint32_t word[4] = {piece.x, piece.y, piece.z, piece.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        if (T == SA_F32) {
            v[i] = __uint_as_float(word[i]);
        } else {
            v[2 * i] = T == SA_BF16 ? bf16_to_f32(word[i] & 0xffffu) : f16_to_f32(word[i] & 0xffffu);
            v[2 * i + 1] = T == SA_BF16 ? bf16_high_to_f32(word[i]) : f16_to_f32(word[i] >> 16);
        }
    }
}

template <sa_dtype T>
SA_DEVICE void add_products(float sum[MOST], const uint4 *tile, const float (*hyper)[CHANNELS],
                            unsigned masks)
{
    typedef layout<T> l;
#pragma unroll
    for (unsigned p = 0; p < l::PIECES; p++) {
        float v[l::PIECE];
        widen<T>(v, tile[l::place(threadIdx.x, p)]);
#pragma unroll
        for (unsigned m = 0; m < MOST; m++) {
            if (m >= masks) {
                break;
            }
#pragma unroll
            for (unsigned j = 0; j < l::PIECE; j += 4) {
                float4 h = *(const float4 *)(hyper[m] + p * l::PIECE + j); /* the same for all lanes */
                sum[m] = fmaf(v[j], h.x, sum[m]);
                sum[m] = fmaf(v[j + 1], h.y, sum[m]);
                sum[m] = fmaf(v[j + 2], h.z, sum[m]);
                sum[m] = fmaf(v[j + 3], h.w, sum[m]);
            }
        }
    }
}

/* Row ((y*g + x)*4 + dy*2 + dx)*4 + ey*2 + ex is pixel (4y + 2dy + ey, 4x + 2dx + ex). */
SA_DEVICE void store_logits(const sa_cuda_mask_product_args &a, float *to, unsigned row, const float *sum)
{
    unsigned token = row / 16, width = 4 * a.side;
    unsigned y = token / a.side * 4 + (row >> 3 & 1) * 2 + (row >> 1 & 1);
    unsigned x = token % a.side * 4 + (row >> 2 & 1) * 2 + (row & 1);
#pragma unroll
    for (unsigned m = 0; m < MOST; m++) {
        if (m < a.masks) {
            to[((size_t)m * width + y) * width + x] = sum[m];
        }
    }
}

template <sa_dtype T> SA_DEVICE void mask_product(const sa_cuda_mask_product_args &a)
{
    __shared__ uint4 tile[ROWS * layout<T>::PIECES];
    __shared__ __align__(16) float hyper[MOST][CHANNELS];
    size_t item = blockIdx.x / a.tiles;
    unsigned all = 16 * a.side * a.side, first = blockIdx.x % a.tiles * ROWS;
    const unsigned char *features =
        (const unsigned char *)a.features + (item * all + first) * a.channels * layout<T>::SIZE;
    float sum[MOST] = {};
    for (unsigned begin = 0; begin < a.channels; begin += CHANNELS) {
        load_features<T>(a, tile, features, all - first, begin);
        load_hyper(a, hyper, a.hyper + item * a.masks * a.channels, begin);
        cp_async_wait<0>();
        __syncthreads(); /* a row comes from several threads */
        add_products<T>(sum, tile, hyper, a.masks);
        __syncthreads(); /* before the next channels overwrite these */
    }
    if (first + threadIdx.x < all) {
        store_logits(a, a.logits + item * a.masks * all, first + threadIdx.x, sum);
    }
}

#define MASK_PRODUCT(name, T)                                                                                \
    extern "C" __global__ void __launch_bounds__(SA_MASK_PRODUCT_THREADS)                                    \
        mask_product_##name(const __grid_constant__ sa_cuda_mask_product_args a)                             \
    {                                                                                                        \
        mask_product<T>(a);                                                                                  \
    }

MASK_PRODUCT(f32, SA_F32)
MASK_PRODUCT(bf16, SA_BF16)
MASK_PRODUCT(f16, SA_F16)
