/* Launcher of mask_threshold. */
#include "kernels/cuda/mask_threshold.h"

#include "kernels/cuda/launchers.h"

void sa_cuda_mask_threshold(sa_stream *stream, const sa_mask_threshold_args *args)
{
    size_t words = (args->width + 63) / 64 * 2;
    SA_ASSERT(args->height <= (size_t)SA_CUDA_MOST_YZ * SA_MASK_THRESHOLD_WARPS && words <= UINT32_MAX / 64);
    sa_cuda_mask_threshold_args a = {
        .logits = args->logits,
        .bits = (uint32_t *)args->bits,
        .height = (uint32_t)args->height,
        .width = (uint32_t)args->width,
        .words = (uint32_t)words,
        .threshold = args->threshold,
    };
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = SA_CUDA_mask_threshold,
                               .grid = {sa_cuda_blocks(words, 8),
                                        sa_cuda_blocks(args->height, SA_MASK_THRESHOLD_WARPS), 1},
                               .block = {32 * SA_MASK_THRESHOLD_WARPS, 1, 1},
                               .args = &a,
                               .args_bytes = sizeof a,
                               .flops = (double)args->height * (double)args->width,
                               .bytes = 4.0 * (double)args->height * ((double)args->width + (double)words),
                           });
}
