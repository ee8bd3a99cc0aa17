/* Launcher of overlay. */
#include "kernels/cuda/overlay.h"

#include <string.h>

#include "kernels/cuda/launchers.h"

void sa_cuda_overlay(sa_stream *stream, const sa_overlay_args *args)
{
    size_t size = args->height * args->width * 3, words = (args->width + 63) / 64 * 2;
    SA_ASSERT(size <= UINT32_MAX - 16 * SA_OVERLAY_THREADS); /* byte numbers of a whole block fit */
    sa_cuda_overlay_args a = {
        .pixels = args->pixels,
        .bits = (const uint32_t *)args->bits,
        .y = args->y,
        .height = (uint32_t)args->height,
        .width = (uint32_t)args->width,
        .words = (uint32_t)words,
        .size = (uint32_t)size,
    };
    memcpy(a.table, args->table, sizeof a.table);
    bool wide = sa_cuda_aligned(args->pixels, 16) && sa_cuda_aligned(args->y, 16);
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = wide ? SA_CUDA_overlay_16 : SA_CUDA_overlay_1,
                               .grid = {sa_cuda_blocks(size, SA_OVERLAY_THREADS * (wide ? 16 : 1)), 1, 1},
                               .block = {SA_OVERLAY_THREADS, 1, 1},
                               .args = &a,
                               .args_bytes = sizeof a,
                               .bytes = 2.0 * (double)size + 4.0 * (double)(args->height * words),
                           });
}
