/* Launcher of convolution: im2col into the workspace, then gemm; or a library's (convolution_library.h). */
#include "kernels/cuda/convolution.h"

#include "kernels/cuda/convolution_library.h"
#include "kernels/cuda/launchers.h"

static size_t out_rows(const sa_convolution_args *args)
{
    return args->batch * sa_convolution_out(args, args->height) * sa_convolution_out(args, args->width);
}

static size_t columns(const sa_convolution_args *args)
{
    return args->kernel * args->kernel * args->channels;
}

size_t sa_cuda_convolution_workspace(const sa_stream *stream, const sa_convolution_args *args)
{
    (void)stream;
    return out_rows(args) * columns(args) * sa_dtype_size(args->dtype);
}

void sa_cuda_convolution_own(sa_stream *stream, const sa_convolution_args *args)
{
    sa_cuda_im2col(stream, &(sa_im2col_args){.batch = args->batch,
                                             .height = args->height,
                                             .width = args->width,
                                             .channels = args->channels,
                                             .kernel = args->kernel,
                                             .stride = args->stride,
                                             .pad = args->pad,
                                             .dtype = args->dtype,
                                             .x = args->x,
                                             .y = args->workspace});
    sa_cuda_gemm(stream, &(sa_gemm_args){.m = out_rows(args),
                                         .n = args->n,
                                         .k = columns(args),
                                         .dtype = args->dtype,
                                         .a = args->workspace,
                                         .lda = columns(args),
                                         .w = args->w,
                                         .bias = args->bias,
                                         .c = args->y,
                                         .c_dtype = SA_F32,
                                         .ldc = args->n});
}

void sa_cuda_convolution_widen(sa_stream *stream, const sa_convolution_args *args, const void *x)
{
    size_t values = out_rows(args) * args->n;
    SA_ASSERT(args->n % 8 == 0 && args->n <= UINT32_MAX);
    sa_cuda_widen_args a = {
        .x = x, .bias = args->bias, .y = args->y, .pieces = values / 8, .n = (uint32_t)args->n};
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = args->dtype == SA_F16 ? SA_CUDA_convolution_widen_f16
                                                               : SA_CUDA_convolution_widen_bf16,
                               .grid = {sa_cuda_blocks(a.pieces, SA_CONVOLUTION_THREADS), 1, 1},
                               .block = {SA_CONVOLUTION_THREADS, 1, 1},
                               .args = &a,
                               .args_bytes = sizeof a,
                               .bytes = 6.0 * (double)values,
                           });
}

void sa_cuda_convolution(sa_stream *stream, const sa_convolution_args *args)
{
    SA_ASSERT(args->kernel >= 1 && args->stride >= 1 && args->pad < args->kernel && args->n >= 1);
    SA_ASSERT(args->height + 2 * args->pad >= args->kernel && args->width + 2 * args->pad >= args->kernel);
    sa_convolution_library *library = sa_cuda_device_of(stream->device)->convolution_library;
    if (args->batch > 0 && !sa_convolution_library_run(library, stream, args)) {
        sa_cuda_convolution_own(stream, args);
    }
}
