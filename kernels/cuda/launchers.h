/*
 * The launchers of all ops, and what they share. Contracts in kernels.h; table.c puts them in the table of
 * ops.
 */
#ifndef SA_KERNELS_CUDA_LAUNCHERS_H
#define SA_KERNELS_CUDA_LAUNCHERS_H

#include <stdbool.h>

#include "kernels/cuda/cuda.h"
#include "runtime/base/status.h"

void sa_cuda_image_resize(sa_stream *stream, const sa_image_resize_args *args);
size_t sa_cuda_image_resize_workspace(const sa_stream *stream, const sa_image_resize_args *args);
void sa_cuda_patchify(sa_stream *stream, const sa_patchify_args *args);
size_t sa_cuda_gemm_packed_bytes(size_t n, size_t k, sa_dtype dtype);
void sa_cuda_gemm_pack(sa_stream *stream, const sa_gemm_pack_args *args);
void sa_cuda_gemm(sa_stream *stream, const sa_gemm_args *args);
void sa_cuda_layernorm(sa_stream *stream, const sa_layernorm_args *args);
/* Elements from one row of a packed w to the next, and from one column. */
void sa_cuda_gemm_packed_strides(size_t n, size_t k, sa_dtype dtype, size_t *row, size_t *column);
size_t sa_cuda_rel_packed_bytes(size_t size, size_t head_dim, sa_dtype dtype);
void sa_cuda_rel_pack(sa_stream *stream, const sa_rel_pack_args *args);
size_t sa_cuda_attention_grid_workspace(const sa_stream *stream, const sa_attention_grid_args *args);
void sa_cuda_attention_grid(sa_stream *stream, const sa_attention_grid_args *args);
void sa_cuda_im2col(sa_stream *stream, const sa_im2col_args *args);
size_t sa_cuda_convolution_workspace(const sa_stream *stream, const sa_convolution_args *args);
void sa_cuda_convolution(sa_stream *stream, const sa_convolution_args *args);
void sa_cuda_add(sa_stream *stream, const sa_add_args *args);
void sa_cuda_point_encode(sa_stream *stream, const sa_point_encode_args *args);
size_t sa_cuda_attention_workspace(const sa_stream *stream, const sa_attention_args *args);
void sa_cuda_attention(sa_stream *stream, const sa_attention_args *args);
void sa_cuda_mask_product(sa_stream *stream, const sa_mask_product_args *args);
size_t sa_cuda_mask_resize_workspace(const sa_stream *stream, const sa_mask_resize_args *args);
void sa_cuda_mask_resize(sa_stream *stream, const sa_mask_resize_args *args);
void sa_cuda_mask_threshold(sa_stream *stream, const sa_mask_threshold_args *args);
size_t sa_cuda_mask_hash_workspace(const sa_stream *stream, const sa_mask_hash_args *args);
void sa_cuda_mask_hash(sa_stream *stream, const sa_mask_hash_args *args);
void sa_cuda_overlay(sa_stream *stream, const sa_overlay_args *args);
void sa_cuda_image_place(sa_stream *stream, const sa_image_place_args *args);
void sa_cuda_embed(sa_stream *stream, const sa_embed_args *args);
void sa_cuda_rmsnorm(sa_stream *stream, const sa_rmsnorm_args *args);
void sa_cuda_gate(sa_stream *stream, const sa_gate_args *args);
size_t sa_cuda_kv_place(sa_dtype dtype, size_t head_dim, bool value, size_t key, size_t column);
void sa_cuda_rope_append(sa_stream *stream, const sa_rope_append_args *args);
size_t sa_cuda_attention_paged_workspace(const sa_stream *stream, const sa_attention_paged_args *args);
void sa_cuda_attention_paged(sa_stream *stream, const sa_attention_paged_args *args);
size_t sa_cuda_sample_workspace(const sa_stream *stream, const sa_sample_args *args);
void sa_cuda_sample(sa_stream *stream, const sa_sample_args *args);

enum { SA_CUDA_MOST_YZ = 65535 }; /* blocks of a grid in y and in z */

/* Blocks for `count` things, `each` of them a block. */
static inline unsigned sa_cuda_blocks(size_t count, size_t each)
{
    size_t blocks = (count + each - 1) / each;
    SA_ASSERT(blocks <= 0x7fffffff);
    return (unsigned)blocks;
}

/* The entry point for a storage dtype, of OP_f32, OP_bf16 and OP_f16. */
static inline sa_cuda_kernel sa_cuda_by_dtype(sa_dtype dtype, sa_cuda_kernel f32, sa_cuda_kernel bf16,
                                              sa_cuda_kernel f16)
{
    SA_ASSERT(dtype == SA_F32 || dtype == SA_BF16 || dtype == SA_F16);
    return dtype == SA_F32 ? f32 : dtype == SA_BF16 ? bf16 : f16;
}

static inline bool sa_cuda_aligned(const void *pointer, size_t bytes)
{
    return (uintptr_t)pointer % bytes == 0;
}

#endif
