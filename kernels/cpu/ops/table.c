/* The level's table of ops: the only name that leaves the level. */
#include "kernels/cpu/ops/vec.h"

#define SA_TEXT2(name) #name
#define SA_TEXT(name) SA_TEXT2(name)

size_t SA_CPU(image_resize_workspace)(const sa_stream *, const sa_image_resize_args *);
void SA_CPU(image_resize)(sa_stream *, const sa_image_resize_args *);
void SA_CPU(patchify)(sa_stream *, const sa_patchify_args *);
size_t SA_CPU(gemm_packed_bytes)(size_t, size_t, sa_dtype);
void SA_CPU(gemm_pack)(sa_stream *, const sa_gemm_pack_args *);
void SA_CPU(gemm)(sa_stream *, const sa_gemm_args *);
void SA_CPU(layernorm)(sa_stream *, const sa_layernorm_args *);
size_t SA_CPU(rel_packed_bytes)(size_t, size_t, sa_dtype);
void SA_CPU(rel_pack)(sa_stream *, const sa_rel_pack_args *);
size_t SA_CPU(attention_grid_workspace)(const sa_stream *, const sa_attention_grid_args *);
void SA_CPU(attention_grid)(sa_stream *, const sa_attention_grid_args *);
void SA_CPU(im2col)(sa_stream *, const sa_im2col_args *);
size_t SA_CPU(convolution_workspace)(const sa_stream *, const sa_convolution_args *);
void SA_CPU(convolution)(sa_stream *, const sa_convolution_args *);
void SA_CPU(add)(sa_stream *, const sa_add_args *);
void SA_CPU(point_encode)(sa_stream *, const sa_point_encode_args *);
size_t SA_CPU(attention_workspace)(const sa_stream *, const sa_attention_args *);
void SA_CPU(attention)(sa_stream *, const sa_attention_args *);
void SA_CPU(mask_product)(sa_stream *, const sa_mask_product_args *);
size_t SA_CPU(mask_resize_workspace)(const sa_stream *, const sa_mask_resize_args *);
void SA_CPU(mask_resize)(sa_stream *, const sa_mask_resize_args *);
void SA_CPU(mask_threshold)(sa_stream *, const sa_mask_threshold_args *);
size_t SA_CPU(mask_hash_workspace)(const sa_stream *, const sa_mask_hash_args *);
void SA_CPU(mask_hash)(sa_stream *, const sa_mask_hash_args *);
void SA_CPU(overlay)(sa_stream *, const sa_overlay_args *);
void SA_CPU(image_place)(sa_stream *, const sa_image_place_args *);
void SA_CPU(embed)(sa_stream *, const sa_embed_args *);
void SA_CPU(rmsnorm)(sa_stream *, const sa_rmsnorm_args *);
void SA_CPU(gate)(sa_stream *, const sa_gate_args *);
size_t SA_CPU(kv_place)(sa_dtype, size_t, bool, size_t, size_t);
void SA_CPU(rope_append)(sa_stream *, const sa_rope_append_args *);
size_t SA_CPU(attention_paged_workspace)(const sa_stream *, const sa_attention_paged_args *);
void SA_CPU(attention_paged)(sa_stream *, const sa_attention_paged_args *);
size_t SA_CPU(sample_workspace)(const sa_stream *, const sa_sample_args *);
void SA_CPU(sample)(sa_stream *, const sa_sample_args *);

extern const sa_ops SA_CPU(ops);
const sa_ops SA_CPU(ops) = {
    .name = SA_TEXT(SA_ISA),
    .image_resize_workspace = SA_CPU(image_resize_workspace),
    .image_resize = SA_CPU(image_resize),
    .patchify = SA_CPU(patchify),
    .gemm_packed_bytes = SA_CPU(gemm_packed_bytes),
    .gemm_pack = SA_CPU(gemm_pack),
    .gemm = SA_CPU(gemm),
    .layernorm = SA_CPU(layernorm),
    .rel_packed_bytes = SA_CPU(rel_packed_bytes),
    .rel_pack = SA_CPU(rel_pack),
    .attention_grid_workspace = SA_CPU(attention_grid_workspace),
    .attention_grid = SA_CPU(attention_grid),
    .im2col = SA_CPU(im2col),
    .convolution_workspace = SA_CPU(convolution_workspace),
    .convolution = SA_CPU(convolution),
    .add = SA_CPU(add),
    .point_encode = SA_CPU(point_encode),
    .attention_workspace = SA_CPU(attention_workspace),
    .attention = SA_CPU(attention),
    .mask_product = SA_CPU(mask_product),
    .mask_resize_workspace = SA_CPU(mask_resize_workspace),
    .mask_resize = SA_CPU(mask_resize),
    .mask_threshold = SA_CPU(mask_threshold),
    .mask_hash_workspace = SA_CPU(mask_hash_workspace),
    .mask_hash = SA_CPU(mask_hash),
    .overlay = SA_CPU(overlay),
    .image_place = SA_CPU(image_place),
    .embed = SA_CPU(embed),
    .rmsnorm = SA_CPU(rmsnorm),
    .gate = SA_CPU(gate),
    .kv_place = SA_CPU(kv_place),
    .rope_append = SA_CPU(rope_append),
    .attention_paged_workspace = SA_CPU(attention_paged_workspace),
    .attention_paged = SA_CPU(attention_paged),
    .sample_workspace = SA_CPU(sample_workspace),
    .sample = SA_CPU(sample),
};
