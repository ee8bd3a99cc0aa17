/* The walk over a SAM (tensor_table.h), part by part in the order of the forward. */
#include "runtime/models/sam_tensors.h"

#include <stdio.h>

static void walk_block(sa_tensor_walk *w, const sa_sam_vision_config *c, size_t i, sa_sam_block_tensors *t)
{
    size_t d = c->hidden, head = c->hidden / c->heads;
    size_t size = c->global[i] || c->window == 0 ? c->image_size / c->patch_size : c->window;
    sa_tensor_enter_numbered(w, "vision_encoder.layers", "image_encoder.blocks", i);
    sa_tensor_visit_norm(w, &t->norm1, "layer_norm1", "norm1", d);
    sa_tensor_visit_pair(w, &t->qkv, "attn.qkv", "attn.qkv", sa_shape2(3 * d, d), c->qkv_bias ? 3 * d : 0);
    sa_tensor_visit_linear(w, &t->proj, "attn.proj", "attn.proj", d, d);
    if (c->relative_position) {
        sa_tensor_visit(w, &t->rel_h, "attn.rel_pos_h", "attn.rel_pos_h", sa_shape2(2 * size - 1, head));
        sa_tensor_visit(w, &t->rel_w, "attn.rel_pos_w", "attn.rel_pos_w", sa_shape2(2 * size - 1, head));
    }
    sa_tensor_visit_norm(w, &t->norm2, "layer_norm2", "norm2", d);
    sa_tensor_visit_linear(w, &t->lin1, "mlp.lin1", "mlp.lin1", c->mlp_dim, d);
    sa_tensor_visit_linear(w, &t->lin2, "mlp.lin2", "mlp.lin2", d, c->mlp_dim);
}

static void walk_vision(sa_tensor_walk *w, const sa_sam_vision_config *c, sa_sam_tensors *t)
{
    size_t d = c->hidden, p = c->patch_size, g = c->image_size / c->patch_size, out = c->output_channels;
    sa_tensor_enter(w, "vision_encoder.", "image_encoder.");
    if (c->absolute_position) {
        sa_tensor_visit(w, &t->position, "pos_embed", "pos_embed", sa_shape4(1, g, g, d));
    }
    sa_tensor_visit_pair(w, &t->patch, "patch_embed.projection", "patch_embed.proj", sa_shape4(d, 3, p, p),
                         d);
    for (size_t i = 0; i < c->layers; i++) {
        walk_block(w, c, i, &t->block[i]);
    }
    sa_tensor_enter(w, "vision_encoder.neck.", "image_encoder.neck.");
    sa_tensor_visit_pair(w, &t->neck1, "conv1", "0", sa_shape4(out, d, 1, 1), 0);
    sa_tensor_visit_norm(w, &t->neck_norm1, "layer_norm1", "1", out);
    sa_tensor_visit_pair(w, &t->neck2, "conv2", "2", sa_shape4(out, out, 3, 3), 0);
    sa_tensor_visit_norm(w, &t->neck_norm2, "layer_norm2", "3", out);
}

static void walk_prompt(sa_tensor_walk *w, const sa_sam_prompt_config *c, sa_sam_tensors *t)
{
    size_t d = c->hidden, wide = c->mask_channels, narrow = c->mask_channels / 4;
    sa_tensor_enter(w, "prompt_encoder.", "prompt_encoder.");
    sa_tensor_visit(w, &t->gaussian, "shared_embedding.positional_embedding",
                    "pe_layer.positional_encoding_gaussian_matrix", sa_shape2(2, d / 2));
    /* transformers ties two modules: a file may hold either name or both */
    sa_tensor_alias(w, "shared_image_embedding.positional_embedding");
    for (size_t i = 0; i < 4; i++) {
        char name[32], original[40];
        snprintf(name, sizeof name, "point_embed.%zu.weight", i);
        snprintf(original, sizeof original, "point_embeddings.%zu.weight", i);
        sa_tensor_visit(w, &t->point[i], name, original, sa_shape2(1, d));
    }
    sa_tensor_visit(w, &t->not_a_point, "not_a_point_embed.weight", "not_a_point_embed.weight",
                    sa_shape2(1, d));
    sa_tensor_visit(w, &t->no_mask, "no_mask_embed.weight", "no_mask_embed.weight", sa_shape2(1, d));
    sa_tensor_enter(w, "prompt_encoder.mask_embed.", "prompt_encoder.mask_downscaling.");
    sa_tensor_visit_pair(w, &t->mask1, "conv1", "0", sa_shape4(narrow, 1, 2, 2), narrow);
    sa_tensor_visit_norm(w, &t->mask_norm1, "layer_norm1", "1", narrow);
    sa_tensor_visit_pair(w, &t->mask2, "conv2", "3", sa_shape4(wide, narrow, 2, 2), wide);
    sa_tensor_visit_norm(w, &t->mask_norm2, "layer_norm2", "4", wide);
    sa_tensor_visit_pair(w, &t->mask3, "conv3", "6", sa_shape4(d, wide, 1, 1), d);
}

/* Four projections under NAME.; tokens of `outer` numbers, attention in `inner`. */
static void walk_attention(sa_tensor_walk *w, sa_sam_attention_tensors *t, const char *name, size_t outer,
                           size_t inner)
{
    static const char *const part[4] = {"q_proj", "k_proj", "v_proj", "out_proj"};
    sa_tensor_pair *pair[4] = {&t->q, &t->k, &t->v, &t->out};
    for (size_t i = 0; i < 4; i++) {
        char full[64];
        snprintf(full, sizeof full, "%s.%s", name, part[i]);
        sa_tensor_visit_linear(w, pair[i], full, full, i < 3 ? inner : outer, i < 3 ? outer : inner);
    }
}

static void walk_layer(sa_tensor_walk *w, const sa_sam_decoder_config *c, size_t i, sa_sam_layer_tensors *t)
{
    size_t d = c->hidden, inner = c->hidden / c->downsample_rate;
    sa_tensor_enter_numbered(w, "mask_decoder.transformer.layers", "mask_decoder.transformer.layers", i);
    walk_attention(w, &t->self, "self_attn", d, d);
    sa_tensor_visit_norm(w, &t->norm1, "layer_norm1", "norm1", d);
    walk_attention(w, &t->to_image, "cross_attn_token_to_image", d, inner);
    sa_tensor_visit_norm(w, &t->norm2, "layer_norm2", "norm2", d);
    sa_tensor_visit_linear(w, &t->lin1, "mlp.lin1", "mlp.lin1", c->mlp_dim, d);
    sa_tensor_visit_linear(w, &t->lin2, "mlp.lin2", "mlp.lin2", d, c->mlp_dim);
    sa_tensor_visit_norm(w, &t->norm3, "layer_norm3", "norm3", d);
    sa_tensor_visit_norm(w, &t->norm4, "layer_norm4", "norm4", d);
    walk_attention(w, &t->from_image, "cross_attn_image_to_token", d, inner);
}

/*
 * `depth` linears d -> hidden -> ... -> out: proj_in, layers.0 .., proj_out, or layers.0 .. in the original.
 */
static void walk_mlp(sa_tensor_walk *w, sa_sam_mlp_tensors *t, size_t depth, size_t d, size_t hidden,
                     size_t out)
{
    for (size_t i = 0; i < depth; i++) {
        char name[32], original[32];
        if (i == 0 || i + 1 == depth) {
            snprintf(name, sizeof name, "%s", i == 0 ? "proj_in" : "proj_out");
        } else {
            snprintf(name, sizeof name, "layers.%zu", i - 1);
        }
        snprintf(original, sizeof original, "layers.%zu", i);
        sa_tensor_visit_linear(w, &t->layer[i], name, original, i + 1 == depth ? out : hidden,
                               i == 0 ? d : hidden);
    }
}

static void walk_decoder(sa_tensor_walk *w, const sa_sam_decoder_config *c, sa_sam_tensors *t)
{
    size_t d = c->hidden, masks = c->multimask_outputs + 1;
    sa_tensor_enter(w, "mask_decoder.", "mask_decoder.");
    sa_tensor_visit(w, &t->iou_token, "iou_token.weight", "iou_token.weight", sa_shape2(1, d));
    sa_tensor_visit(w, &t->mask_tokens, "mask_tokens.weight", "mask_tokens.weight", sa_shape2(masks, d));
    for (size_t i = 0; i < c->layers; i++) {
        walk_layer(w, c, i, &t->layer[i]);
    }
    sa_tensor_enter(w, "mask_decoder.transformer.", "mask_decoder.transformer.");
    walk_attention(w, &t->final, "final_attn_token_to_image", d, d / c->downsample_rate);
    sa_tensor_visit_norm(w, &t->final_norm, "layer_norm_final_attn", "norm_final_attn", d);
    sa_tensor_enter(w, "mask_decoder.", "mask_decoder.output_upscaling.");
    sa_tensor_visit_pair(w, &t->up1, "upscale_conv1", "0", sa_shape4(d, d / 4, 2, 2), d / 4);
    sa_tensor_visit_norm(w, &t->up_norm, "upscale_layer_norm", "1", d / 4);
    sa_tensor_visit_pair(w, &t->up2, "upscale_conv2", "3", sa_shape4(d / 4, d / 8, 2, 2), d / 8);
    for (size_t i = 0; i < masks; i++) {
        sa_tensor_enter_numbered(w, "mask_decoder.output_hypernetworks_mlps",
                                 "mask_decoder.output_hypernetworks_mlps", i);
        walk_mlp(w, &t->hyper[i], 3, d, d, d / 8);
    }
    sa_tensor_enter(w, "mask_decoder.iou_prediction_head.", "mask_decoder.iou_prediction_head.");
    walk_mlp(w, &t->iou, c->iou_depth, d, c->iou_hidden, masks);
}

static void walk_model(sa_tensor_walk *w, const void *sam_config, void *sam_tensors)
{
    const sa_sam_config *config = sam_config;
    sa_sam_tensors *tensors = sam_tensors;
    walk_vision(w, &config->vision, tensors);
    walk_prompt(w, &config->prompt, tensors);
    walk_decoder(w, &config->decoder, tensors);
}

sa_tensor_table sa_sam_tensor_table(const sa_sam_config *config)
{
    return (sa_tensor_table){.walk = walk_model, .config = config, .size = sizeof(sa_sam_tensors)};
}
