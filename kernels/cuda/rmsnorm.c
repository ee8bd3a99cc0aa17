/* Launcher of rmsnorm: which kernel, by d alone; how many rows a block takes changes no bit. */
#include "kernels/cuda/rmsnorm.h"

#include "kernels/cuda/launchers.h"

enum { QUADS = 4 };

/* Parts of four values a thread, and the kernel for each dtype of y; the last takes anything. */
static const struct {
    size_t parts;
    sa_cuda_kernel f32, bf16, f16;
} kernels[QUADS + 1] = {
    {1, SA_CUDA_rmsnorm_quads_1_f32, SA_CUDA_rmsnorm_quads_1_bf16, SA_CUDA_rmsnorm_quads_1_f16},
    {2, SA_CUDA_rmsnorm_quads_2_f32, SA_CUDA_rmsnorm_quads_2_bf16, SA_CUDA_rmsnorm_quads_2_f16},
    {4, SA_CUDA_rmsnorm_quads_4_f32, SA_CUDA_rmsnorm_quads_4_bf16, SA_CUDA_rmsnorm_quads_4_f16},
    {SA_RMSNORM_MOST_PARTS, SA_CUDA_rmsnorm_quads_8_f32, SA_CUDA_rmsnorm_quads_8_bf16,
     SA_CUDA_rmsnorm_quads_8_f16},
    {0, SA_CUDA_rmsnorm_wide_f32, SA_CUDA_rmsnorm_wide_bf16, SA_CUDA_rmsnorm_wide_f16},
};

static int choose(size_t d)
{
    if (d % 4 != 0 || d > SA_RMSNORM_MOST_QUADS) {
        return QUADS;
    }
    int i = 0;
    while (d > kernels[i].parts * 4 * SA_RMSNORM_THREADS) {
        i++;
    }
    return i;
}

/* Rows of a block: as many as leave two blocks for each SM. */
static size_t rows_a_block(const sa_stream *stream, size_t rows)
{
    size_t each = rows / (2 * (size_t)sa_cuda_processors(stream));
    return each < 1 ? 1 : each < SA_RMSNORM_MOST_ROWS ? each : SA_RMSNORM_MOST_ROWS;
}

void sa_cuda_rmsnorm(sa_stream *stream, const sa_rmsnorm_args *args)
{
    SA_ASSERT(args->d >= 1 && args->d <= UINT32_MAX / 2);
    int i = choose(args->d);
    size_t each = rows_a_block(stream, args->rows);
    sa_cuda_rmsnorm_args a = {
        .x = args->x,
        .w = args->w,
        .y = args->y,
        .rows = args->rows,
        .d = (uint32_t)args->d,
        .rows_a_block = (uint32_t)each,
        .eps = args->eps,
        .aligned = sa_cuda_aligned(args->x, 16) && sa_cuda_aligned(args->w, 16) &&
                   sa_cuda_aligned(args->y, args->y_dtype == SA_F32 ? 16 : 8),
    };
    double size = (double)args->rows * (double)args->d;
    sa_cuda_launch(
        stream,
        &(sa_cuda_launch_args){
            .kernel = sa_cuda_by_dtype(args->y_dtype, kernels[i].f32, kernels[i].bf16, kernels[i].f16),
            .grid = {sa_cuda_blocks(args->rows, each), 1, 1},
            .block = {SA_RMSNORM_THREADS, 1, 1},
            .args = &a,
            .args_bytes = sizeof a,
            .flops = 4.0 * size,
            .bytes = size * (double)(4 + sa_dtype_size(args->y_dtype)) + 4.0 * (double)args->d,
        });
}
