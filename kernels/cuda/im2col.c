/* Launcher of im2col: by the widest access that pixels and addresses allow. */
#include "kernels/cuda/im2col.h"

#include "kernels/cuda/launchers.h"

/* Bytes of a piece: channels and both tensors are whole pieces on their borders. */
static uint32_t piece_bytes(const sa_im2col_args *args, size_t pixel)
{
    uint32_t bytes = 16;
    while (pixel % bytes != 0 || !sa_cuda_aligned(args->x, bytes) || !sa_cuda_aligned(args->y, bytes)) {
        bytes /= 2;
    }
    return bytes;
}

static sa_cuda_kernel kernel_of(uint32_t bytes)
{
    return bytes == 16  ? SA_CUDA_im2col_scatter_16
           : bytes == 8 ? SA_CUDA_im2col_gather_8
           : bytes == 4 ? SA_CUDA_im2col_gather_4
                        : SA_CUDA_im2col_gather_2;
}

void sa_cuda_im2col(sa_stream *stream, const sa_im2col_args *args)
{
    SA_ASSERT(args->kernel >= 1 && args->stride >= 1 && args->pad < args->kernel);
    size_t padded_height = args->height + 2 * args->pad, padded_width = args->width + 2 * args->pad;
    SA_ASSERT(padded_height >= args->kernel && padded_width >= args->kernel);
    SA_ASSERT(padded_height <= SA_CUDA_MOST_YZ && args->batch <= SA_CUDA_MOST_YZ);
    size_t pixel = args->channels * sa_dtype_size(args->dtype);
    uint32_t bytes = piece_bytes(args, pixel);
    sa_cuda_im2col_args a = {
        .x = args->x,
        .y = args->y,
        .height = (uint32_t)args->height,
        .width = (uint32_t)args->width,
        .out_height = (uint32_t)((padded_height - args->kernel) / args->stride + 1),
        .out_width = (uint32_t)((padded_width - args->kernel) / args->stride + 1),
        .pieces = (uint32_t)(pixel / bytes),
        .kernel = (uint32_t)args->kernel,
        .stride = (uint32_t)args->stride,
        .pad = (uint32_t)args->pad,
    };
    size_t taps = args->kernel * args->kernel, out_row = (size_t)a.out_width * taps * a.pieces;
    size_t row = bytes == 16 ? padded_width * a.pieces : out_row; /* of threads */
    SA_ASSERT(row <= UINT32_MAX / 2);
    double moved = (double)(args->height * args->width * pixel) + (double)(out_row * a.out_height * bytes);
    sa_cuda_launch(stream,
                   &(sa_cuda_launch_args){
                       .kernel = kernel_of(bytes),
                       .grid = {sa_cuda_blocks(row, SA_IM2COL_THREADS),
                                bytes == 16 ? (unsigned)padded_height : a.out_height, (unsigned)args->batch},
                       .block = {SA_IM2COL_THREADS, 1, 1},
                       .args = &a,
                       .args_bytes = sizeof a,
                       .bytes = (double)args->batch * moved,
                   });
}
