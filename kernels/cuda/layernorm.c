/* Launcher of layernorm: which kernel, by d alone. */
#include "kernels/cuda/layernorm.h"

#include "kernels/cuda/launchers.h"

enum { KERNELS = 7 };

/* The longest row of each kernel, and the kernel for each dtype of y. */
static const struct {
    uint32_t most, at_a_time;
    sa_cuda_kernel f32, bf16, f16;
} kernels[KERNELS] = {
    {128, 4, SA_CUDA_layernorm_quads_128_f32, SA_CUDA_layernorm_quads_128_bf16,
     SA_CUDA_layernorm_quads_128_f16},
    {512, 4, SA_CUDA_layernorm_quads_512_f32, SA_CUDA_layernorm_quads_512_bf16,
     SA_CUDA_layernorm_quads_512_f16},
    {1024, 4, SA_CUDA_layernorm_quads_1024_f32, SA_CUDA_layernorm_quads_1024_bf16,
     SA_CUDA_layernorm_quads_1024_f16},
    {1536, 4, SA_CUDA_layernorm_quads_1536_f32, SA_CUDA_layernorm_quads_1536_bf16,
     SA_CUDA_layernorm_quads_1536_f16},
    {SA_LAYERNORM_MOST_QUADS, 4, SA_CUDA_layernorm_quads_2048_f32, SA_CUDA_layernorm_quads_2048_bf16,
     SA_CUDA_layernorm_quads_2048_f16},
    {SA_LAYERNORM_MOST_SINGLES, 1, SA_CUDA_layernorm_singles_512_f32, SA_CUDA_layernorm_singles_512_bf16,
     SA_CUDA_layernorm_singles_512_f16},
    {UINT32_MAX, 1, SA_CUDA_layernorm_wide_f32, SA_CUDA_layernorm_wide_bf16, SA_CUDA_layernorm_wide_f16},
};

static int choose(size_t d)
{
    int i = 0;
    while (d > kernels[i].most || d % kernels[i].at_a_time != 0) {
        i++;
    }
    return i;
}

/* Enough lanes for a row at `at_a_time` values each, as far as a warp has them. */
static uint32_t lanes_of(size_t d, size_t at_a_time)
{
    uint32_t lanes = 1;
    while (lanes < 32 && lanes * at_a_time < d) {
        lanes *= 2;
    }
    return lanes;
}

void sa_cuda_layernorm(sa_stream *stream, const sa_layernorm_args *args)
{
    SA_ASSERT(args->d >= 1 && args->d <= UINT32_MAX / 2);
    int i = choose(args->d);
    sa_cuda_layernorm_args a = {
        .x = args->x,
        .w = args->w,
        .b = args->b,
        .y = args->y,
        .rows = args->rows,
        .d = (uint32_t)args->d,
        .lanes = lanes_of(args->d, kernels[i].at_a_time),
        .eps = args->eps,
        .act = args->act,
        .x_aligned = sa_cuda_aligned(args->x, 16),
        .y_aligned = sa_cuda_aligned(args->y, args->y_dtype == SA_F32 ? 16 : 8),
    };
    size_t rows_a_block = i == KERNELS - 1 ? 1 : (size_t)SA_LAYERNORM_THREADS / a.lanes * SA_LAYERNORM_PASSES;
    double size = (double)args->rows * (double)args->d;
    sa_cuda_launch(
        stream,
        &(sa_cuda_launch_args){
            .kernel = sa_cuda_by_dtype(args->y_dtype, kernels[i].f32, kernels[i].bf16, kernels[i].f16),
            .grid = {sa_cuda_blocks(args->rows, rows_a_block), 1, 1},
            .block = {SA_LAYERNORM_THREADS, 1, 1},
            .args = &a,
            .args_bytes = sizeof a,
            .flops = 8.0 * size,
            .bytes = size * (double)(4 + sa_dtype_size(args->y_dtype)) + 8.0 * (double)args->d,
        });
}
