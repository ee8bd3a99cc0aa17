/* Launcher of add. */
#include "kernels/cuda/add.h"

#include "kernels/cuda/launchers.h"

/* A cycle of `rows` rows in values; no longer than y. */
static size_t cycle(const sa_add_args *args, size_t rows)
{
    return (rows < args->rows ? rows : args->rows) * args->d;
}

static bool in_quads(const sa_add_args *args, size_t size, size_t a_size, size_t b_size)
{
    return size % 4 == 0 && a_size % 4 == 0 && b_size % 4 == 0 && sa_cuda_aligned(args->a, 16) &&
           sa_cuda_aligned(args->b, 16) && sa_cuda_aligned(args->y, args->y_dtype == SA_F32 ? 16 : 8);
}

void sa_cuda_add(sa_stream *stream, const sa_add_args *args)
{
    SA_ASSERT(args->d >= 1 && args->a_rows >= 1 && (args->b == NULL || args->b_rows >= 1));
    size_t size = args->rows * args->d, a_size = cycle(args, args->a_rows);
    size_t b_size = args->b != NULL ? cycle(args, args->b_rows) : size;
    bool quads = in_quads(args, size, a_size, b_size);
    bool swap = args->b != NULL && a_size < b_size; /* the shorter cycle is held, the longer one is read */
    size_t piece = quads ? 4 : 1;
    SA_ASSERT(size / piece <= UINT32_MAX);
    sa_cuda_add_args a = {
        .a = swap ? args->b : args->a,
        .b = swap ? args->a : args->b,
        .y = args->y,
        .size = (uint32_t)(size / piece),
        .a_size = (uint32_t)((swap ? b_size : a_size) / piece),
        .b_size = (uint32_t)((swap ? a_size : b_size) / piece),
    };
    unsigned repeats = a.b_size == 0 ? 0 : sa_cuda_blocks(a.size, a.b_size);
    SA_ASSERT(repeats <= (size_t)SA_CUDA_MOST_YZ * SA_ADD_REPEATS);
    sa_cuda_kernel kernel = quads ? sa_cuda_by_dtype(args->y_dtype, SA_CUDA_add_quads_f32,
                                                     SA_CUDA_add_quads_bf16, SA_CUDA_add_quads_f16)
                                  : sa_cuda_by_dtype(args->y_dtype, SA_CUDA_add_singles_f32,
                                                     SA_CUDA_add_singles_bf16, SA_CUDA_add_singles_f16);
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = kernel,
                               .grid = {sa_cuda_blocks(a.b_size, SA_ADD_THREADS),
                                        sa_cuda_blocks(repeats, SA_ADD_REPEATS), 1},
                               .block = {SA_ADD_THREADS, 1, 1},
                               .args = &a,
                               .args_bytes = sizeof a,
                               .flops = (double)size,
                               .bytes = (double)size * (double)sa_dtype_size(args->y_dtype) +
                                        4.0 * ((double)a_size + (args->b != NULL ? (double)b_size : 0.0)),
                           });
}
