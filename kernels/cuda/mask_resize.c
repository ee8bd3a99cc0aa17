/* Launcher of mask_resize. */
#include "kernels/cuda/mask_resize.h"

#include "kernels/cuda/launchers.h"

static sa_cuda_blend_axis axis(size_t in, size_t out)
{
    return (sa_cuda_blend_axis){.in = (uint32_t)in, .scale = (float)in / (float)out};
}

/* Of a row in the workspace, in floats. */
static size_t pitch_of(size_t width)
{
    return (width + 63) / 64 * 64;
}

size_t sa_cuda_mask_resize_workspace(const sa_stream *stream, const sa_mask_resize_args *args)
{
    (void)stream;
    return args->low_side * pitch_of(args->width) * sizeof(float);
}

void sa_cuda_mask_resize(sa_stream *stream, const sa_mask_resize_args *args)
{
    SA_ASSERT(args->low_side >= 1 && args->height >= 1 && args->width >= 1);
    SA_ASSERT(args->crop_height >= 1 && args->crop_height <= args->frame);
    SA_ASSERT(args->crop_width >= 1 && args->crop_width <= args->frame);
    SA_ASSERT(args->low_side <= UINT32_MAX / 2 && args->width <= UINT32_MAX / 2);
    size_t words = (args->width + 63) / 64 * 2, pitch = pitch_of(args->width);
    sa_cuda_mask_resize_args a = {
        .low = args->low,
        .rows = args->workspace,
        .bits = (uint32_t *)args->bits,
        .low_side = (uint32_t)args->low_side,
        .pitch = (uint32_t)pitch,
        .height = (uint32_t)args->height,
        .width = (uint32_t)args->width,
        .words = (uint32_t)words,
        .frame = axis(args->low_side, args->frame),
        .mask_x = axis(args->crop_width, args->width),
        .mask_y = axis(args->crop_height, args->height),
        .threshold = args->threshold,
    };
    double low = (double)args->low_side, width = (double)args->width, height = (double)args->height;
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = SA_CUDA_mask_resize_columns,
                               .grid = {sa_cuda_blocks(args->low_side, 1), 1, 1},
                               .block = {SA_MASK_RESIZE_THREADS, 1, 1},
                               .args = &a,
                               .flops = 12.0 * low * width,
                               .bytes = 4.0 * low * (low + width),
                           });
    sa_cuda_launch(stream,
                   &(sa_cuda_launch_args){
                       .kernel = SA_CUDA_mask_resize_rows,
                       .grid = {sa_cuda_blocks(words, 8),
                                sa_cuda_blocks(args->height, SA_MASK_RESIZE_WARPS * SA_MASK_RESIZE_ROWS), 1},
                       .block = {32 * SA_MASK_RESIZE_WARPS, 1, 1},
                       .args = &a,
                       .flops = 13.0 * height * width,
                       .bytes = 4.0 * low * width + 4.0 * height * (double)words,
                   });
}
