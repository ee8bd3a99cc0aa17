/*
 * image_place on the GPU: contract in kernels.h. A picture to the canvas on which it is resized.
 *
 * A thread a byte of the canvas: a warp's loads and stores are whole sectors, and a canvas of a megapixel
 * takes 2 us of the GPU's instructions, as long as its bytes take. Grid (ceil(bytes / 256)), 256 threads.
 */
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/image_place.h"

extern "C" __global__ void __launch_bounds__(SA_IMAGE_PLACE_THREADS)
    image_place(const __grid_constant__ sa_cuda_image_place_args a)
{
    uint32_t at = blockIdx.x * SA_IMAGE_PLACE_THREADS + threadIdx.x;
    if (at >= a.size) {
        return;
    }
    uint32_t column = at % a.canvas_row;
    uint32_t y = at / a.canvas_row - a.top, x = column - a.left; /* before the picture: huge */
    a.y[at] = y < a.height && x < a.row ? a.pixels[(size_t)y * a.row + x] : a.color[column % 3];
}
