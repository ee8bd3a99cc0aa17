/* The CUDA backend's ops: each launcher of kernels/cuda, by its place in kernels.h. */
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/launchers.h"

const sa_ops sa_cuda_ops = {
    .name = "cuda",
    .image_resize_workspace = sa_cuda_image_resize_workspace,
    .image_resize = sa_cuda_image_resize,
    .patchify = sa_cuda_patchify,
    .gemm_packed_bytes = sa_cuda_gemm_packed_bytes,
    .gemm_pack = sa_cuda_gemm_pack,
    .gemm = sa_cuda_gemm,
    .layernorm = sa_cuda_layernorm,
    .rel_packed_bytes = sa_cuda_rel_packed_bytes,
    .rel_pack = sa_cuda_rel_pack,
    .attention_grid_workspace = sa_cuda_attention_grid_workspace,
    .attention_grid = sa_cuda_attention_grid,
    .im2col = sa_cuda_im2col,
    .convolution_workspace = sa_cuda_convolution_workspace,
    .convolution = sa_cuda_convolution,
    .add = sa_cuda_add,
    .point_encode = sa_cuda_point_encode,
    .attention_workspace = sa_cuda_attention_workspace,
    .attention = sa_cuda_attention,
    .mask_product = sa_cuda_mask_product,
    .mask_resize_workspace = sa_cuda_mask_resize_workspace,
    .mask_resize = sa_cuda_mask_resize,
    .mask_threshold = sa_cuda_mask_threshold,
    .overlay = sa_cuda_overlay,
    .embed = sa_cuda_embed,
    .rmsnorm = sa_cuda_rmsnorm,
    .gate = sa_cuda_gate,
    .rope_append = sa_cuda_rope_append,
};
