/* Launcher of rel_pack. */
#include "kernels/cuda/rel_pack.h"

#include "kernels/cuda/launchers.h"

size_t sa_cuda_rel_packed_bytes(size_t size, size_t head_dim, sa_dtype dtype)
{
    if (dtype == SA_F32) {
        return head_dim * (size_t)rel_pack_columns((int)size) * sizeof(float);
    }
    size_t tiles = (2 * size - 1 + 7) / 8;
    return tiles * 8 * (size_t)rel_pack_width((int)head_dim) * 2;
}

void sa_cuda_rel_pack(sa_stream *stream, const sa_rel_pack_args *args)
{
    SA_ASSERT(args->size >= 1 && args->size <= 32768 && args->head_dim >= 1 && args->head_dim <= 128);
    sa_cuda_kernel kernel =
        sa_cuda_by_dtype(args->dtype, SA_CUDA_rel_pack_f32, SA_CUDA_rel_pack_bf16, SA_CUDA_rel_pack_f16);
    size_t bytes = sa_cuda_rel_packed_bytes(args->size, args->head_dim, args->dtype);
    sa_rel_pack_launch launch = {
        .source = args->source,
        .packed = args->packed,
        .count = (unsigned)(bytes / 4),
        .size = (int)args->size,
        .head_dim = (int)args->head_dim,
        .width = rel_pack_width((int)args->head_dim),
        .columns = rel_pack_columns((int)args->size),
    };
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = kernel,
                               .grid = {sa_cuda_blocks(launch.count, REL_PACK_THREADS), 1, 1},
                               .block = {REL_PACK_THREADS, 1, 1},
                               .args = &launch,
                               .args_bytes = sizeof launch,
                               .bytes = (double)bytes + (double)((2 * args->size - 1) * args->head_dim) * 4.0,
                           });
}
