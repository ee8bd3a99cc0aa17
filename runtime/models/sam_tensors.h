/*
 * Every tensor of a SAM, named once: the table that sa_weights_match() fills, and the same tensors as fields
 * for the loader. MODEL_SPECS 2.8.
 */
#ifndef SA_MODELS_SAM_TENSORS_H
#define SA_MODELS_SAM_TENSORS_H

#include "runtime/models/sam_config.h"
#include "runtime/models/tensor_table.h"

typedef struct {
    sa_tensor_pair norm1, norm2, qkv, proj, lin1, lin2;
    const sa_tensor *rel_h, *rel_w; /* NULL without relative position */
} sa_sam_block_tensors;

typedef struct {
    sa_tensor_pair q, k, v, out;
} sa_sam_attention_tensors;

typedef struct {
    sa_sam_attention_tensors self, to_image, from_image; /* token to image, image to token */
    sa_tensor_pair norm1, norm2, norm3, norm4, lin1, lin2;
} sa_sam_layer_tensors;

enum { SA_SAM_MOST_MLP = 8, SA_SAM_MOST_MASKS = 5, SA_SAM_MOST_DECODER_LAYERS = 8 };

typedef struct {
    sa_tensor_pair layer[SA_SAM_MOST_MLP];
} sa_sam_mlp_tensors;

typedef struct {
    sa_tensor_pair patch;
    const sa_tensor *position; /* NULL without absolute position */
    sa_sam_block_tensors block[SA_SAM_MOST_LAYERS];
    sa_tensor_pair neck1, neck_norm1, neck2, neck_norm2; /* convolutions without bias */
    const sa_tensor *gaussian, *point[4], *not_a_point, *no_mask;
    sa_tensor_pair mask1, mask_norm1, mask2, mask_norm2, mask3;
    const sa_tensor *iou_token, *mask_tokens;
    sa_sam_layer_tensors layer[SA_SAM_MOST_DECODER_LAYERS];
    sa_sam_attention_tensors final;
    sa_tensor_pair final_norm, up1, up_norm, up2;
    sa_sam_mlp_tensors hyper[SA_SAM_MOST_MASKS], iou;
} sa_sam_tensors;

/* The table that names them all; `config` must outlive it. */
sa_tensor_table sa_sam_tensor_table(const sa_sam_config *config);

#endif
