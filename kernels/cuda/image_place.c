/* Launcher of image_place. */
#include "kernels/cuda/image_place.h"

#include <string.h>

#include "kernels/cuda/launchers.h"

void sa_cuda_image_place(sa_stream *stream, const sa_image_place_args *args)
{
    size_t size = args->canvas_height * args->canvas_width * 3;
    SA_ASSERT(args->top + args->height <= args->canvas_height && size <= UINT32_MAX - SA_IMAGE_PLACE_THREADS);
    SA_ASSERT(args->left + args->width <= args->canvas_width);
    sa_cuda_image_place_args a = {
        .pixels = args->pixels,
        .y = args->y,
        .top = (uint32_t)args->top,
        .left = (uint32_t)args->left * 3,
        .height = (uint32_t)args->height,
        .row = (uint32_t)args->width * 3,
        .canvas_row = (uint32_t)args->canvas_width * 3,
        .size = (uint32_t)size,
    };
    memcpy(a.color, args->color, sizeof args->color);
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = SA_CUDA_image_place,
                               .grid = {sa_cuda_blocks(size, SA_IMAGE_PLACE_THREADS), 1, 1},
                               .block = {SA_IMAGE_PLACE_THREADS, 1, 1},
                               .args = &a,
                               .args_bytes = sizeof a,
                               .bytes = (double)size + 3.0 * (double)(args->height * args->width),
                           });
}
