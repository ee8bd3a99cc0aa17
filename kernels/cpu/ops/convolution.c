/* convolution on the CPU: im2col into the workspace, then gemm. Contract in kernels.h. */
#include "kernels/cpu/ops/vec.h"

void SA_CPU(im2col)(sa_stream *stream, const sa_im2col_args *args);
void SA_CPU(gemm)(sa_stream *stream, const sa_gemm_args *args);

static size_t rows_of(const sa_convolution_args *args)
{
    SA_ASSERT(args->kernel >= 1 && args->stride >= 1 && args->pad < args->kernel);
    SA_ASSERT(args->height + 2 * args->pad >= args->kernel && args->width + 2 * args->pad >= args->kernel);
    size_t down = (args->height + 2 * args->pad - args->kernel) / args->stride + 1;
    size_t across = (args->width + 2 * args->pad - args->kernel) / args->stride + 1;
    return args->batch * down * across;
}

size_t SA_CPU(convolution_workspace)(const sa_stream *stream, const sa_convolution_args *args);
size_t SA_CPU(convolution_workspace)(const sa_stream *stream, const sa_convolution_args *args)
{
    (void)stream;
    return rows_of(args) * args->kernel * args->kernel * args->channels * sa_dtype_size(args->dtype);
}

void SA_CPU(convolution)(sa_stream *stream, const sa_convolution_args *args);
void SA_CPU(convolution)(sa_stream *stream, const sa_convolution_args *args)
{
    size_t columns = args->kernel * args->kernel * args->channels;
    SA_CPU(im2col)
    (stream, &(sa_im2col_args){.batch = args->batch,
                               .height = args->height,
                               .width = args->width,
                               .channels = args->channels,
                               .kernel = args->kernel,
                               .stride = args->stride,
                               .pad = args->pad,
                               .dtype = args->dtype,
                               .x = args->x,
                               .y = args->workspace});
    SA_CPU(gemm)
    (stream, &(sa_gemm_args){.m = rows_of(args),
                             .n = args->n,
                             .k = columns,
                             .dtype = args->dtype,
                             .a = args->workspace,
                             .lda = columns,
                             .w = args->w,
                             .bias = args->bias,
                             .c = args->y,
                             .c_dtype = SA_F32,
                             .ldc = args->n});
}
