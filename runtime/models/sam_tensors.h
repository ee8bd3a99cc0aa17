/*
 * Every tensor of a SAM, named once: the table that sa_weights_match() fills, and the same tensors as fields
 * for the loader. MODEL_SPECS 2.8.
 */
#ifndef SA_MODELS_SAM_TENSORS_H
#define SA_MODELS_SAM_TENSORS_H

#include "runtime/models/sam_config.h"

typedef struct {
    const sa_tensor *weight, *bias;
} sa_sam_pair;

typedef struct {
    sa_sam_pair norm1, norm2, qkv, proj, lin1, lin2;
    const sa_tensor *rel_h, *rel_w; /* NULL without relative position */
} sa_sam_block_tensors;

typedef struct {
    sa_sam_pair q, k, v, out;
} sa_sam_attention_tensors;

typedef struct {
    sa_sam_attention_tensors self, to_image, from_image; /* token to image, image to token */
    sa_sam_pair norm1, norm2, norm3, norm4, lin1, lin2;
} sa_sam_layer_tensors;

enum { SA_SAM_MOST_MLP = 8, SA_SAM_MOST_MASKS = 5, SA_SAM_MOST_DECODER_LAYERS = 8 };

typedef struct {
    sa_sam_pair layer[SA_SAM_MOST_MLP];
} sa_sam_mlp_tensors;

typedef struct {
    sa_sam_pair patch;
    const sa_tensor *position; /* NULL without absolute position */
    sa_sam_block_tensors block[SA_SAM_MOST_LAYERS];
    sa_sam_pair neck1, neck_norm1, neck2, neck_norm2; /* convolutions without bias */
    const sa_tensor *gaussian, *point[4], *not_a_point, *no_mask;
    sa_sam_pair mask1, mask_norm1, mask2, mask_norm2, mask3;
    const sa_tensor *iou_token, *mask_tokens;
    sa_sam_layer_tensors layer[SA_SAM_MOST_DECODER_LAYERS];
    sa_sam_attention_tensors final;
    sa_sam_pair final_norm, up1, up_norm, up2;
    sa_sam_mlp_tensors hyper[SA_SAM_MOST_MASKS], iou;
} sa_sam_tensors;

/*
 * The expectations of a config, in a fixed order; *wants is malloc'd, the caller frees it. Used alone by
 * `weights verify` and `weights convert`.
 */
sa_status sa_sam_tensors_plan(const sa_sam_config *config, sa_tensor_want **wants, size_t *count,
                              sa_error *err);

/* Plans, matches (errors and report of sa_weights_match) and fills the fields. */
sa_status sa_sam_tensors_match(const sa_sam_config *config, const sa_weights *weights,
                               sa_sam_tensors *tensors, sa_weights_report *report, sa_error *err);

#endif
