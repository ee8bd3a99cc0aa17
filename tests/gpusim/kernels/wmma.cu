/*
 * d = a b + c by wmma, one kernel for every type, shape and layout that sm_80 has:
 *   wmma_TYPE_MxNxK_{r|c}{r|c}{r|c}: a, b and c (and d) row- or column-major
 * lda, ldb, ldc count elements from row to row (column to column).
 */
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>

using namespace nvcuda;

using r = wmma::row_major;
using c = wmma::col_major;

template <typename T> struct layout;
template <> struct layout<r> {
    static constexpr wmma::layout_t way = wmma::mem_row_major;
};
template <> struct layout<c> {
    static constexpr wmma::layout_t way = wmma::mem_col_major;
};

/* What is in memory as f32 becomes tf32 in the fragment. */
template <typename F> __device__ void convert(F &)
{
}
template <typename U, int M, int N, int K, typename L>
__device__ void convert(wmma::fragment<U, M, N, K, wmma::precision::tf32, L> &fragment)
{
    for (int i = 0; i < fragment.num_elements; i++) {
        fragment.x[i] = wmma::__float_to_tf32(fragment.x[i]);
    }
}

template <int M, int N, int K, typename T, typename MEMORY, typename ACC, typename LA, typename LB,
          typename LC>
__device__ void multiply(const void *a, const void *b, const void *in, void *out, int lda, int ldb, int ldc)
{
    wmma::fragment<wmma::matrix_a, M, N, K, T, LA> fa;
    wmma::fragment<wmma::matrix_b, M, N, K, T, LB> fb;
    wmma::fragment<wmma::accumulator, M, N, K, ACC> fc;
    wmma::load_matrix_sync(fa, (const MEMORY *)a, lda);
    wmma::load_matrix_sync(fb, (const MEMORY *)b, ldb);
    wmma::load_matrix_sync(fc, (const ACC *)in, ldc, layout<LC>::way);
    convert(fa);
    convert(fb);
    wmma::mma_sync(fc, fa, fb, fc);
    wmma::store_matrix_sync((ACC *)out, fc, ldc, layout<LC>::way);
}

#define KERNEL(name, M, N, K, T, MEMORY, ACC, LA, LB, LC)                                                    \
    extern "C" __global__ void wmma_##name##_##M##x##N##x##K##_##LA##LB##LC(                                 \
        const void *a, const void *b, const void *in, void *out, int lda, int ldb, int ldc)                  \
    {                                                                                                        \
        multiply<M, N, K, T, MEMORY, ACC, LA, LB, LC>(a, b, in, out, lda, ldb, ldc);                         \
    }
#define LAYOUTS(name, M, N, K, T, MEMORY, ACC)                                                               \
    KERNEL(name, M, N, K, T, MEMORY, ACC, r, r, r)                                                           \
    KERNEL(name, M, N, K, T, MEMORY, ACC, r, c, c)                                                           \
    KERNEL(name, M, N, K, T, MEMORY, ACC, c, r, r)                                                           \
    KERNEL(name, M, N, K, T, MEMORY, ACC, c, c, c)
#define SHAPES(name, T, ACC)                                                                                 \
    LAYOUTS(name, 16, 16, 16, T, T, ACC)                                                                     \
    LAYOUTS(name, 32, 8, 16, T, T, ACC)                                                                      \
    LAYOUTS(name, 8, 32, 16, T, T, ACC)

SHAPES(f16_f16, half, half)
SHAPES(f16_f32, half, float)
SHAPES(bf16_f32, __nv_bfloat16, float)
SHAPES(s8_s32, signed char, int)
SHAPES(u8_s32, unsigned char, int)
LAYOUTS(tf32_f32, 16, 16, 8, wmma::precision::tf32, float, float)
LAYOUTS(f64_f64, 8, 8, 4, double, double, double)
KERNEL(s4_s32, 8, 8, 32, wmma::experimental::precision::s4, int, int, r, c, r)
KERNEL(s4_s32, 8, 8, 32, wmma::experimental::precision::s4, int, int, r, c, c)
KERNEL(u4_s32, 8, 8, 32, wmma::experimental::precision::u4, int, int, r, c, r)

/* Bits: the number of places where a row and a column differ, or where both are set. */
template <wmma::experimental::bmmaBitOp OP>
__device__ void count(const void *a, const void *b, const void *in, void *out, int lda, int ldb, int ldc)
{
    using b1 = wmma::experimental::precision::b1;
    wmma::fragment<wmma::matrix_a, 8, 8, 128, b1, r> fa;
    wmma::fragment<wmma::matrix_b, 8, 8, 128, b1, c> fb;
    wmma::fragment<wmma::accumulator, 8, 8, 128, int> fc;
    wmma::load_matrix_sync(fa, a, lda);
    wmma::load_matrix_sync(fb, b, ldb);
    wmma::load_matrix_sync(fc, (const int *)in, ldc, wmma::mem_row_major);
    wmma::bmma_sync(fc, fa, fb, fc, OP);
    wmma::store_matrix_sync((int *)out, fc, ldc, wmma::mem_row_major);
}
extern "C" __global__ void wmma_xor_s32_8x8x128_rcr(const void *a, const void *b, const void *in, void *out,
                                                    int lda, int ldb, int ldc)
{
    count<wmma::experimental::bmmaBitOpXOR>(a, b, in, out, lda, ldb, ldc);
}
extern "C" __global__ void wmma_and_s32_8x8x128_rcr(const void *a, const void *b, const void *in, void *out,
                                                    int lda, int ldb, int ldc)
{
    count<wmma::experimental::bmmaBitOpAND>(a, b, in, out, lda, ldb, ldc);
}
