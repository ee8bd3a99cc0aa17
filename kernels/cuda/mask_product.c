/* Launcher of mask_product. */
#include "kernels/cuda/mask_product.h"

#include "kernels/cuda/launchers.h"

void sa_cuda_mask_product(sa_stream *stream, const sa_mask_product_args *args)
{
    SA_ASSERT(args->masks >= 1 && args->masks <= SA_MASK_PRODUCT_MOST && args->channels >= 1);
    size_t rows = 16 * args->side * args->side, row = args->channels * sa_dtype_size(args->dtype);
    SA_ASSERT(rows <= UINT32_MAX / 2 && args->channels <= UINT32_MAX / SA_MASK_PRODUCT_MOST);
    sa_cuda_mask_product_args a = {
        .features = args->features,
        .hyper = args->hyper,
        .logits = args->logits,
        .side = (uint32_t)args->side,
        .masks = (uint32_t)args->masks,
        .channels = (uint32_t)args->channels,
        .tiles = sa_cuda_blocks(rows, SA_MASK_PRODUCT_THREADS),
        .aligned = row % 16 == 0 && sa_cuda_aligned(args->features, 16),
    };
    double products = (double)args->batch * (double)(rows * args->masks);
    sa_cuda_launch(stream,
                   &(sa_cuda_launch_args){
                       .kernel = sa_cuda_by_dtype(args->dtype, SA_CUDA_mask_product_f32,
                                                  SA_CUDA_mask_product_bf16, SA_CUDA_mask_product_f16),
                       .grid = {sa_cuda_blocks(args->batch * a.tiles, 1), 1, 1},
                       .block = {SA_MASK_PRODUCT_THREADS, 1, 1},
                       .args = &a,
                       .args_bytes = sizeof a,
                       .flops = 2.0 * products * (double)args->channels,
                       .bytes = (double)args->batch * (double)(rows * row) + 4.0 * products +
                                4.0 * (double)(args->batch * args->masks * args->channels),
                   });
}
