/* Launcher of patchify. */
#include "kernels/cuda/patchify.h"

#include "kernels/cuda/launchers.h"

void sa_cuda_patchify(sa_stream *stream, const sa_patchify_args *args)
{
    SA_ASSERT(args->patch >= 1 && args->side % args->patch == 0 && args->side <= SA_CUDA_MOST_YZ);
    size_t row = 3 * args->side * args->side * sa_dtype_size(args->dtype);
    for (size_t first = 0; first < args->batch; first += SA_PATCHIFY_PICTURES) {
        size_t left = args->batch - first, count = left < SA_PATCHIFY_PICTURES ? left : SA_PATCHIFY_PICTURES;
        sa_cuda_patchify_args a = {.side = (uint32_t)args->side,
                                   .patch = (uint32_t)args->patch,
                                   .y = (unsigned char *)args->y + first * row};
        a.in_runs = args->patch * sa_dtype_size(args->dtype) % 16 == 0 && sa_cuda_aligned(a.y, 16);
        double bytes = (double)count * (double)row;
        for (size_t i = 0; i < count; i++) {
            size_t height = args->height[first + i], width = args->width[first + i];
            SA_ASSERT(height <= args->side && width <= args->side);
            a.pixels[i] = args->pixels[first + i];
            a.height[i] = (uint32_t)height;
            a.width[i] = (uint32_t)width;
            bytes += 3.0 * (double)height * (double)width;
        }
        for (int c = 0; c < 3; c++) {
            a.mean[c] = args->mean[c];
            a.scale[c] = 1.0f / args->std[c];
        }
        sa_cuda_kernel kernel =
            sa_cuda_by_dtype(args->dtype, SA_CUDA_patchify_f32, SA_CUDA_patchify_bf16, SA_CUDA_patchify_f16);
        sa_cuda_launch(stream, &(sa_cuda_launch_args){
                                   .kernel = kernel,
                                   .grid = {sa_cuda_blocks(args->side, SA_PATCHIFY_PIXELS),
                                            (unsigned)args->side, (unsigned)count},
                                   .block = {SA_PATCHIFY_THREADS, 1, 1},
                                   .args = &a,
                                   .args_bytes = sizeof a,
                                   .flops = 2.0 * 3.0 * (double)(count * args->side * args->side),
                                   .bytes = bytes,
                               });
    }
}
