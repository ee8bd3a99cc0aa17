/*
 * point_encode on the GPU: contract in kernels.h. First kernel of the decoder: clicks -> tokens.
 *
 * A block takes 16 points; a thread keeps its column of G for all of them. Grid (ceil(n / 16), pieces of
 * C/2). The phase is kept in turns, of which only the fraction counts, and sincospif takes that off exactly:
 * a large phase costs no accuracy beyond its own rounding.
 */
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/point_encode.h"

extern "C" __global__ void __launch_bounds__(SA_POINT_ENCODE_THREADS)
    point_encode(const __grid_constant__ sa_cuda_point_encode_args a)
{
    __shared__ float uv[2 * SA_POINT_ENCODE_POINTS];
    __shared__ int32_t kinds[SA_POINT_ENCODE_POINTS];
    uint64_t first = (uint64_t)blockIdx.x * SA_POINT_ENCODE_POINTS;
    unsigned points = (unsigned)min((uint64_t)SA_POINT_ENCODE_POINTS, a.n - first);
    if (threadIdx.x < 2 * points) {
        uv[threadIdx.x] = a.uv[2 * first + threadIdx.x];
    }
    if (threadIdx.x < points) {
        kinds[threadIdx.x] = a.kind[first + threadIdx.x];
    }
    __syncthreads(); /* every thread reads every point */
    unsigned half = a.channels / 2, c = blockIdx.y * SA_POINT_ENCODE_THREADS + threadIdx.x;
    if (c >= half) {
        return;
    }
    float gu = a.gaussian[c], gv = a.gaussian[half + c];
    for (unsigned i = 0; i < points; i++) {
        int32_t kind = kinds[i];
        float sine = 0.0f, cosine = 0.0f;
        if (kind >= -1) {
            float u = 2.0f * uv[2 * i] - 1.0f, v = 2.0f * uv[2 * i + 1] - 1.0f;
            sincospif(2.0f * (u * gu + v * gv), &sine, &cosine);
        }
        if (kind != -1) {
            const float *row = a.table + (size_t)(kind >= 0 ? kind : -kind - 2) * a.channels;
            sine += row[c];
            cosine += row[half + c];
        }
        float *y = a.y + (first + i) * a.channels;
        y[c] = sine;
        y[half + c] = cosine;
    }
}
