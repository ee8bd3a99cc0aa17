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
 * Rows of a block: the more of them, the fewer rows of the low map are read twice. So few blocks as are one
 * wave, or fewer if the mask is small; but what the rows need of the low map, 3 rows at borders, must fit. A
 * multiple of 8, a warp's run. The choice changes no bit.
 */
static size_t rows_a_block(const sa_stream *stream, const sa_mask_resize_args *args, size_t strips)
{
    double step =
        (double)args->crop_height / (double)args->height * (double)args->low_side / (double)args->frame;
    double fit = ((double)SA_MASK_RESIZE_HELD / (double)args->low_side - 3) / step;
    size_t sms = (size_t)sa_cuda_processors(stream), wave = (args->height * strips + sms - 1) / sms;
    size_t small = SA_MASK_RESIZE_PIXELS / args->width, rows = ((wave > small ? wave : small) + 7) / 8 * 8;
    rows = rows < SA_MASK_RESIZE_ROWS ? rows : SA_MASK_RESIZE_ROWS;
    while (rows > 8 && (double)rows > fit) {
        rows -= 8;
    }
    return rows > 8 ? rows : 8;
}

void sa_cuda_mask_resize(sa_stream *stream, const sa_mask_resize_args *args)
{
    SA_ASSERT(args->low_side >= 1 && args->height >= 1 && args->width >= 1);
    SA_ASSERT(args->crop_height >= 1 && args->crop_height <= args->frame);
    SA_ASSERT(args->crop_width >= 1 && args->crop_width <= args->frame);
    SA_ASSERT(args->low_side <= UINT16_MAX / 4 &&
              args->width <= UINT32_MAX / 2); /* bytes of low in 32 bits */
    size_t words = (args->width + 63) / 64 * 2, strips = sa_cuda_blocks(words, SA_MASK_RESIZE_WORDS);
    size_t rows = rows_a_block(stream, args, strips);
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
                               .grid = {(unsigned)strips, sa_cuda_blocks(args->height, rows), 1},
                               .block = {32 * SA_MASK_RESIZE_WARPS, 1, 1},
                               .args = &a,
                               .args_bytes = sizeof a,
                               .flops = 12.0 * low * width + 13.0 * height * width,
                               .bytes = 4.0 * low * low + 4.0 * height * (double)words,
                           });
}
