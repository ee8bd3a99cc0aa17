/* Launcher of gemm_pack, and the size of what it makes. */
#include "kernels/cuda/gemm_pack.h"

#include "kernels/cuda/gemm.h"
#include "kernels/cuda/launchers.h"

/* Rounds up to a multiple of `unit`; false where that wraps. */
static bool round_up(size_t value, size_t unit, size_t *up)
{
    *up = (value + unit - 1) / unit * unit;
    return value <= SIZE_MAX - (unit - 1);
}

size_t sa_cuda_gemm_packed_bytes(size_t n, size_t k, sa_dtype dtype)
{
    size_t rows = n, columns = 0, bytes = 0;
    /* n and k come from files: nothing here may wrap. */
    if (n == 0 || k == 0 || !round_up(k, GEMM_PACK_K, &columns) ||
        (dtype == SA_F32 && !round_up(n, GEMM_PACK_N, &rows)) ||
        __builtin_mul_overflow(rows, columns, &bytes) ||
        __builtin_mul_overflow(bytes, sa_dtype_size(dtype), &bytes)) {
        return 0;
    }
    return bytes;
}

void sa_cuda_gemm_packed_strides(size_t n, size_t k, sa_dtype dtype, size_t *row, size_t *column)
{
    bool transposed = dtype == SA_F32;
    size_t columns = 0, rows = 0;
    SA_ASSERT(round_up(k, GEMM_PACK_K, &columns) && round_up(n, GEMM_PACK_N, &rows));
    *row = transposed ? 1 : columns;
    *column = transposed ? rows : 1;
}

void sa_cuda_gemm_pack(sa_stream *stream, const sa_gemm_pack_args *args)
{
    SA_ASSERT(args->n >= 1 && args->k >= 1 && args->dtype <= SA_BF16 && args->source_dtype <= SA_BF16);
    size_t k = 0, n = 0, source_size = sa_dtype_size(args->source_dtype);
    SA_ASSERT(round_up(args->k, GEMM_PACK_K, &k) && round_up(args->n, GEMM_PACK_N, &n));
    bool transposed = args->dtype == SA_F32;
    sa_gemm_pack_kernel_args a = {
        .source = args->source,
        .packed = args->packed,
        .n = args->n,
        .k = args->k,
        .ld = transposed ? n : k,
        .source_dtype = args->source_dtype,
        .dtype = args->dtype,
        .aligned = (uintptr_t)args->source % source_size == 0,
    };
    size_t pairs = args->n * (k / 2);
    SA_ASSERT(k / SA_GEMM_PACK_TILE <= SA_CUDA_MOST_YZ && pairs / SA_GEMM_PACK_THREADS < INT32_MAX);
    sa_cuda_launch_args launch = {
        .kernel = transposed ? SA_CUDA_gemm_pack_f32 : SA_CUDA_gemm_pack_half,
        .grid = {sa_cuda_blocks(pairs, SA_GEMM_PACK_THREADS), 1, 1},
        .block = {SA_GEMM_PACK_THREADS, 1, 1},
        .args = &a,
        .args_bytes = sizeof a,
        .bytes = (double)args->n * (double)args->k * (double)source_size +
                 (double)sa_cuda_gemm_packed_bytes(args->n, args->k, args->dtype),
    };
    if (transposed) {
        launch.grid = (sa_cuda_dim){(unsigned)(n / SA_GEMM_PACK_TILE), (unsigned)(k / SA_GEMM_PACK_TILE), 1};
        launch.block = (sa_cuda_dim){SA_GEMM_PACK_TILE, SA_GEMM_PACK_ROWS, 1};
    }
    sa_cuda_launch(stream, &launch);
}
