/* Launcher of embed. */
#include "kernels/cuda/embed.h"

#include "kernels/cuda/launchers.h"

void sa_cuda_embed(sa_stream *stream, const sa_embed_args *args)
{
    SA_ASSERT(args->d >= 1);
    size_t row = args->d, column = 1;
    if (args->packed) {
        sa_cuda_gemm_packed_strides(args->vocabulary, args->d, args->dtype, &row, &column);
    }
    bool quads = column == 1 && row % 4 == 0 && args->d % 4 == 0 && sa_cuda_aligned(args->y, 16) &&
                 sa_cuda_aligned(args->table, 4 * sa_dtype_size(args->dtype));
    size_t block_values = (size_t)SA_EMBED_THREADS * SA_EMBED_PIECES * (quads ? 4 : 1);
    size_t pieces = (args->d + block_values - 1) / block_values;
    SA_ASSERT(pieces <= SA_CUDA_MOST_YZ);
    sa_cuda_embed_args a = {
        .ids = args->ids, .table = args->table, .y = args->y, .d = args->d, .row = row, .column = column};
    sa_cuda_kernel kernel = quads ? sa_cuda_by_dtype(args->dtype, SA_CUDA_embed_quads_f32,
                                                     SA_CUDA_embed_quads_bf16, SA_CUDA_embed_quads_f16)
                                  : sa_cuda_by_dtype(args->dtype, SA_CUDA_embed_singles_f32,
                                                     SA_CUDA_embed_singles_bf16, SA_CUDA_embed_singles_f16);
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = kernel,
                               .grid = {sa_cuda_blocks(args->rows, 1), (unsigned)pieces, 1},
                               .block = {SA_EMBED_THREADS, 1, 1},
                               .args = &a,
                               .args_bytes = sizeof a,
                               .bytes = (double)args->rows *
                                        (4.0 + (double)args->d * (double)(sa_dtype_size(args->dtype) + 4)),
                           });
}
