/* Launcher of mask_resize. */
#include "kernels/cuda/mask_resize.h"

#include "kernels/cuda/launchers.h"

static sa_cuda_blend_axis axis(size_t in, size_t out)
{
    return (sa_cuda_blend_axis){.in = (uint32_t)in, .scale = (float)in / (float)out};
}

size_t sa_cuda_mask_resize_workspace(const sa_stream *stream, const sa_mask_resize_args *args)
{
    (void)stream;
    (void)args;
    return 0;
}

/*
 * Rows of a block: the more of them, the fewer rows of the low map are read twice. But what they need of it,
 * 3 rows at borders, must fit, and a large mask, which is bound by instructions, should use all SMs. The
 * choice changes no bit.
 */
static size_t rows_a_block(const sa_stream *stream, const sa_mask_resize_args *args)
{
    double low = (double)args->low_side, height = (double)args->height;
    double step = (double)args->crop_height / height * low / (double)args->frame;
    size_t rows = SA_MASK_RESIZE_ROWS, sms = (size_t)sa_cuda_processors(stream);
    while (rows > 8 && ((step * (double)rows + 3) * low > SA_MASK_RESIZE_HELD ||
                        (rows * args->width > SA_MASK_RESIZE_PIXELS && 2 * args->height < sms * rows))) {
        rows /= 2;
    }
    return rows;
}

void sa_cuda_mask_resize(sa_stream *stream, const sa_mask_resize_args *args)
{
    SA_ASSERT(args->low_side >= 1 && args->height >= 1 && args->width >= 1);
    SA_ASSERT(args->crop_height >= 1 && args->crop_height <= args->frame);
    SA_ASSERT(args->crop_width >= 1 && args->crop_width <= args->frame);
    SA_ASSERT(args->low_side <= UINT16_MAX / 4 &&
              args->width <= UINT32_MAX / 2); /* bytes of low in 32 bits */
    size_t words = (args->width + 63) / 64 * 2, rows = rows_a_block(stream, args);
    SA_ASSERT(args->height <= SA_CUDA_MOST_YZ * rows);
    sa_cuda_mask_resize_args a = {
        .low = args->low,
        .bits = (uint32_t *)args->bits,
        .low_side = (uint32_t)args->low_side,
        .height = (uint32_t)args->height,
        .width = (uint32_t)args->width,
        .words = (uint32_t)words,
        .rows = (uint32_t)rows,
        .frame = axis(args->low_side, args->frame),
        .mask_x = axis(args->crop_width, args->width),
        .mask_y = axis(args->crop_height, args->height),
        .threshold = args->threshold,
    };
    double low = (double)args->low_side, width = (double)args->width, height = (double)args->height;
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = SA_CUDA_mask_resize,
                               .grid = {sa_cuda_blocks(words, SA_MASK_RESIZE_WORDS),
                                        sa_cuda_blocks(args->height, rows), 1},
                               .block = {32 * SA_MASK_RESIZE_WARPS, 1, 1},
                               .args = &a,
                               .flops = 12.0 * low * width + 13.0 * height * width,
                               .bytes = 4.0 * low * low + 4.0 * height * (double)words,
                           });
}
