/*
 * The tensors of a Segment Anything model: the one place that names them.
 *
 *   sa_sam_config -> sa_sam_tensors_plan -> wants -> sa_weights_match -> sa_sam_tensors_bind -> sa_sam_tensors -> sam.c
 *
 * One walk over the model (sam_tensors.c) makes the table of wants and later fills the struct below, so both are in the
 * same order: image encoder (position table, patch embedding, blocks, neck), the shared positional embedding, prompt
 * encoder, mask decoder (tokens, two-way layers, final attention, upscaling, hypernetworks, IoU head).
 */
#ifndef SA_MODELS_SAM_TENSORS_H
#define SA_MODELS_SAM_TENSORS_H

#include "runtime/models/sam_config.h"
#include "runtime/weights/weights.h"

/* Linear: weight [out,in], bias [out]. Convolution: weight [out,in,k,k]; transposed: [in,out,k,k]. Norm: [D], [D]. */
typedef struct {
    const sa_tensor *weight;
    const sa_tensor *bias; /* NULL where the model has none (the neck's convolutions; qkv without qkv_bias) */
} sa_sam_affine;

typedef struct {
    sa_sam_affine norm1, qkv, proj; /* qkv [3D,D]: rows q, k, v, heads contiguous */
    const sa_tensor *rel_pos_h, *rel_pos_w; /* [2S-1,head_dim], S = window or grid; NULL without rel_pos */
    sa_sam_affine norm2, lin1, lin2;
} sa_sam_block;

typedef struct {
    sa_sam_affine q, k, v, out;
} sa_sam_attention;

typedef struct {
    sa_sam_attention self_attention, token_to_image, image_to_token;
    sa_sam_affine norm[4]; /* after self attention, token_to_image, mlp, image_to_token */
    sa_sam_affine lin1, lin2;
} sa_sam_decoder_layer;

typedef struct {
    int depth; /* linears; ReLU between them */
    sa_sam_affine layers[SA_SAM_MAX_MLP_DEPTH];
} sa_sam_mlp;

typedef struct {
    /* image encoder */
    const sa_tensor *pos_embed; /* [1,grid,grid,D]; NULL without abs_pos */
    sa_sam_affine patch_embed;  /* [D,3,P,P] */
    sa_sam_block blocks[SA_SAM_MAX_DEPTH];
    sa_sam_affine neck_conv1, neck_norm1, neck_conv2, neck_norm2;

    /* prompt encoder */
    const sa_tensor *gaussian; /* [2,pos_features]: shared by points and the image's own encoding */
    const sa_tensor *point_embed[SA_SAM_MAX_POINT_KINDS]; /* [1,C]: negative, positive, box corner 1, box corner 2 */
    const sa_tensor *not_a_point_embed, *no_mask_embed;   /* [1,C] */
    sa_sam_affine mask_conv1, mask_norm1, mask_conv2, mask_norm2, mask_conv3;

    /* mask decoder */
    const sa_tensor *iou_token;   /* [1,C] */
    const sa_tensor *mask_tokens; /* [masks,C] */
    sa_sam_decoder_layer layers[SA_SAM_MAX_DECODER_DEPTH];
    sa_sam_attention final_attention; /* tokens to image */
    sa_sam_affine final_norm;
    sa_sam_affine upscale_conv1, upscale_norm, upscale_conv2; /* transposed convolutions */
    sa_sam_mlp hypernetworks[SA_SAM_MAX_MASKS];
    sa_sam_mlp iou_head;
} sa_sam_tensors;

/* The table, in the order above; the caller frees it with free(). 314 wants for B, 482 for L, 594 for H. */
sa_status sa_sam_tensors_plan(const sa_sam_config *config, sa_tensor_want **wants, size_t *count, sa_error *err);

/* Fills *tensors from a table that sa_sam_tensors_plan made of the same config and sa_weights_match has filled. */
void sa_sam_tensors_bind(const sa_sam_config *config, const sa_tensor_want *wants, size_t count,
                         sa_sam_tensors *tensors);

/*
 * Plan, match and bind in one: every tensor of `weights` that the model needs, nothing missing, nothing left over. The
 * tensors belong to `weights`.
 */
sa_status sa_sam_tensors_load(sa_sam_tensors *tensors, const sa_sam_config *config, const sa_weights *weights,
                              sa_error *err);

/* Names that may stand in a SAM file unused, for sa_weights_match. */
const char *const *sa_sam_tensors_ignored(void);

#endif
