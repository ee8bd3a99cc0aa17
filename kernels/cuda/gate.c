/* Launcher of gate. */
#include "kernels/cuda/gate.h"

#include "kernels/cuda/launchers.h"

void sa_cuda_gate(sa_stream *stream, const sa_gate_args *args)
{
    SA_ASSERT(args->width >= 1);
    size_t size = sa_dtype_size(args->dtype);
    bool quads =
        args->width % 4 == 0 && sa_cuda_aligned(args->x, 4 * size) && sa_cuda_aligned(args->y, 4 * size);
    size_t block_values = (size_t)SA_GATE_THREADS * SA_GATE_PIECES * (quads ? 4 : 1);
    size_t pieces = (args->width + block_values - 1) / block_values;
    SA_ASSERT(pieces <= SA_CUDA_MOST_YZ);
    sa_cuda_gate_args a = {.x = args->x, .y = args->y, .width = args->width};
    sa_cuda_kernel kernel = quads ? sa_cuda_by_dtype(args->dtype, SA_CUDA_gate_quads_f32,
                                                     SA_CUDA_gate_quads_bf16, SA_CUDA_gate_quads_f16)
                                  : sa_cuda_by_dtype(args->dtype, SA_CUDA_gate_singles_f32,
                                                     SA_CUDA_gate_singles_bf16, SA_CUDA_gate_singles_f16);
    double values = (double)args->rows * (double)args->width;
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = kernel,
                               .grid = {sa_cuda_blocks(args->rows, 1), (unsigned)pieces, 1},
                               .block = {SA_GATE_THREADS, 1, 1},
                               .args = &a,
                               .args_bytes = sizeof a,
                               .flops = 5.0 * values,
                               .bytes = 3.0 * values * (double)size,
                           });
}
