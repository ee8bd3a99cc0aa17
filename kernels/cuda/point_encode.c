/* Launcher of point_encode. */
#include "kernels/cuda/point_encode.h"

#include "kernels/cuda/launchers.h"

void sa_cuda_point_encode(sa_stream *stream, const sa_point_encode_args *args)
{
    SA_ASSERT(args->channels % 2 == 0 && args->channels / 2 <= SA_CUDA_MOST_YZ);
    sa_cuda_point_encode_args a = {
        .uv = args->uv,
        .kind = args->kind,
        .gaussian = args->gaussian,
        .table = args->table,
        .y = args->y,
        .n = args->n,
        .channels = (uint32_t)args->channels,
    };
    double size = (double)args->n * (double)args->channels;
    sa_cuda_launch(stream, &(sa_cuda_launch_args){
                               .kernel = SA_CUDA_point_encode,
                               .grid = {sa_cuda_blocks(args->n, SA_POINT_ENCODE_POINTS),
                                        sa_cuda_blocks(args->channels / 2, SA_POINT_ENCODE_THREADS), 1},
                               .block = {SA_POINT_ENCODE_THREADS, 1, 1},
                               .args = &a,
                               .args_bytes = sizeof a,
                               .flops = 3.0 * size, /* of the phases and the sums */
                               .bytes = 4.0 * size + 12.0 * (double)args->n + 4.0 * (double)args->channels,
                           });
}
