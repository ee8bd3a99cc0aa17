/* The CUDA backend's ops: each launcher of kernels/cuda, by its place in kernels.h. */
#include "kernels/cuda/cuda.h"

const sa_ops sa_cuda_ops = {
    .name = "cuda",
};
