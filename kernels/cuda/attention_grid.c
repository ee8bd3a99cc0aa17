/* Launcher of attention_grid: which kernel, by the shape of the grid and the head. */
#include "kernels/cuda/attention_grid.h"

#include <math.h>

#include "kernels/cuda/launchers.h"
#include "kernels/cuda/rel_pack.h"

/* A kernel and how it is launched. */
typedef struct {
    sa_cuda_kernel kernel;
    unsigned threads;
    size_t rows; /* queries of a block */
} grid_kernel;

static size_t grid_size(const sa_attention_grid_args *args)
{
    return args->window != 0 ? args->window : args->side;
}

static bool grid_vector(const sa_attention_grid_args *args)
{
    return args->head_dim * sa_dtype_size(args->dtype) % 16 == 0 && sa_cuda_aligned(args->qkv, 16) &&
           sa_cuda_aligned(args->out, 16) && sa_cuda_aligned(args->pad_qkv, 16);
}

static grid_kernel f32_kernel(size_t d)
{
    sa_cuda_kernel kernel = d <= 32   ? SA_CUDA_attention_grid_32_f32
                            : d <= 64 ? SA_CUDA_attention_grid_64_f32
                            : d <= 80 ? SA_CUDA_attention_grid_80_f32
                                      : SA_CUDA_attention_grid_128_f32;
    return (grid_kernel){kernel, GRID_F32_THREADS, d <= 80 ? 64 : 32};
}

static grid_kernel half_kernel(int width, bool f16)
{
    sa_cuda_kernel kernel = width == 16   ? (f16 ? SA_CUDA_attention_grid_16_f16 : SA_CUDA_attention_grid_16)
                            : width == 32 ? (f16 ? SA_CUDA_attention_grid_32_f16 : SA_CUDA_attention_grid_32)
                            : width == 64 ? (f16 ? SA_CUDA_attention_grid_64_f16 : SA_CUDA_attention_grid_64)
                            : width == 80
                                ? (f16 ? SA_CUDA_attention_grid_80_f16 : SA_CUDA_attention_grid_80)
                                : (f16 ? SA_CUDA_attention_grid_128_f16 : SA_CUDA_attention_grid_128);
    return (grid_kernel){kernel, GRID_ANY_WARPS * 32, GRID_ANY_WARPS * 16};
}

/* SAM's own shapes have kernels of their own in bf16; the shape alone decides, never the batch. */
static grid_kernel choose_kernel(const sa_attention_grid_args *args)
{
    size_t d = args->head_dim;
    if (args->dtype == SA_F32) {
        return f32_kernel(d);
    }
    bool special = args->dtype == SA_BF16 && (d == 64 || d == 80) && args->rel_h != NULL && grid_vector(args);
    if (special && args->window == GRID_WINDOW_SIZE) {
        return (grid_kernel){d == 64 ? SA_CUDA_attention_grid_window_64 : SA_CUDA_attention_grid_window_80,
                             GRID_WINDOW_WARPS * 32, GRID_WINDOW_SIZE * GRID_WINDOW_SIZE};
    }
    if (special && grid_size(args) == GRID_GLOBAL_SIZE && args->side == GRID_GLOBAL_SIZE) {
        return (grid_kernel){d == 64 ? SA_CUDA_attention_grid_global_64 : SA_CUDA_attention_grid_global_80,
                             128, GRID_GLOBAL_ROWS};
    }
    return half_kernel(rel_pack_width((int)d), args->dtype == SA_F16);
}

/* Floats of a row of terms: 3 more than S, because readers go on past the end, and 4 mod 8
 * (attention_grid.cu). */
static size_t terms_ld(size_t size)
{
    return (size + 3 + 3) / 8 * 8 + 4;
}

static size_t grid_windows(const sa_attention_grid_args *args)
{
    size_t across = (args->side + grid_size(args) - 1) / grid_size(args);
    return across * across;
}

static size_t window_blocks(const sa_attention_grid_args *args, size_t rows)
{
    size_t most = grid_size(args) < args->side ? grid_size(args) : args->side; /* real tokens across */
    return (most * most + rows - 1) / rows;
}

size_t sa_cuda_attention_grid_workspace(const sa_stream *stream, const sa_attention_grid_args *args)
{
    (void)stream;
    size_t rows = choose_kernel(args).rows, ld = terms_ld(grid_size(args));
    if (ld <= GRID_TERMS) {
        return 0;
    }
    return args->batch * grid_windows(args) * window_blocks(args, rows) * args->heads * rows * 2 * ld *
           sizeof(float);
}

static void check_contract(const sa_attention_grid_args *args)
{
    SA_ASSERT(args->head_dim >= 1 && args->head_dim <= 128 && args->side >= 1 && args->side <= 4096 &&
              args->heads >= 1 && args->heads <= SA_CUDA_MOST_YZ && args->window <= 4096);
    SA_ASSERT(args->dtype <= SA_BF16 && (args->dtype == SA_F32 || args->head_dim % 2 == 0));
    SA_ASSERT((args->rel_h == NULL) == (args->rel_w == NULL));
    SA_ASSERT(args->window == 0 || args->side % args->window == 0 || args->pad_qkv != NULL);
}

/* q.k, p.v and the terms, for each real query and each key. */
static double grid_flops(const sa_attention_grid_args *args)
{
    double size = (double)grid_size(args), side = (double)args->side;
    double queries = (double)args->batch * side * side * (double)args->heads;
    return queries * (double)args->head_dim * (4.0 * size * size + (args->rel_h != NULL ? 4.0 * size : 0.0));
}

void sa_cuda_attention_grid(sa_stream *stream, const sa_attention_grid_args *args)
{
    check_contract(args);
    grid_kernel kernel = choose_kernel(args);
    size_t size = grid_size(args), ld = terms_ld(size), tiles = window_blocks(args, kernel.rows);
    size_t tokens = args->batch * args->side * args->side, hidden = args->heads * args->head_dim;
    sa_attention_grid_launch launch = {
        .qkv = args->qkv,
        .pad = args->pad_qkv,
        .rel_h = args->rel_h,
        .rel_w = args->rel_w,
        .out = args->out,
        .terms = ld > GRID_TERMS ? args->workspace : NULL,
        .side = (int)args->side,
        .size = (int)size,
        .across = (int)((args->side + size - 1) / size),
        .tiles = (int)tiles,
        .heads = (int)args->heads,
        .head_dim = (int)args->head_dim,
        .terms_ld = (int)ld,
        .rel_columns = rel_pack_columns((int)size),
        .vector = grid_vector(args),
        .scale = 1.44269504f / sqrtf((float)args->head_dim),
        .root = sqrtf((float)args->head_dim),
    };
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = kernel.kernel,
                               .grid = {sa_cuda_blocks(args->batch * grid_windows(args) * tiles, 1),
                                        (unsigned)args->heads, 1},
                               .block = {kernel.threads, 1, 1},
                               .args = &launch,
                               .args_bytes = sizeof launch,
                               .flops = grid_flops(args),
                               .bytes = 4.0 * (double)(tokens * hidden * sa_dtype_size(args->dtype)),
                           });
}
