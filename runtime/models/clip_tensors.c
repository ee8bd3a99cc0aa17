/* The walk over a CLIP image encoder (tensor_table.h), in the order of the forward. */
#include "runtime/models/clip_tensors.h"

#include <stdio.h>

/* Names in front of those that sa_tensor_enter_numbered() takes without a dot at their end. */
static void enter_block(sa_tensor_walk *w, const char *prefix, size_t i)
{
    char layers[96];
    snprintf(layers, sizeof layers, "%sencoder.layers", prefix);
    sa_tensor_enter_numbered(w, layers, "", i);
}

static void walk_block(sa_tensor_walk *w, const sa_clip_config *c, sa_clip_block_tensors *t)
{
    size_t d = c->hidden;
    sa_tensor_visit_norm(w, &t->norm1, "layer_norm1", "", d);
    sa_tensor_visit_linear(w, &t->qkv[0], "self_attn.q_proj", "", d, d);
    sa_tensor_visit_linear(w, &t->qkv[1], "self_attn.k_proj", "", d, d);
    sa_tensor_visit_linear(w, &t->qkv[2], "self_attn.v_proj", "", d, d);
    sa_tensor_visit_linear(w, &t->proj, "self_attn.out_proj", "", d, d);
    sa_tensor_visit_norm(w, &t->norm2, "layer_norm2", "", d);
    sa_tensor_visit_linear(w, &t->lin1, "mlp.fc1", "", c->mlp_dim, d);
    sa_tensor_visit_linear(w, &t->lin2, "mlp.fc2", "", d, c->mlp_dim);
}

void sa_clip_tensors_walk(sa_tensor_walk *w, const sa_clip_config *c, const char *prefix, sa_clip_tensors *t)
{
    size_t d = c->hidden, p = c->patch_size, g = c->image_size / c->patch_size;
    sa_tensor_enter(w, prefix, "");
    sa_tensor_visit(w, &t->class_token, "embeddings.class_embedding", "", sa_shape1(d));
    sa_tensor_visit(w, &t->patch, "embeddings.patch_embedding.weight", "", sa_shape4(d, 3, p, p));
    sa_tensor_visit(w, &t->position, "embeddings.position_embedding.weight", "", sa_shape2(g * g + 1, d));
    sa_tensor_visit_norm(w, &t->pre_norm, "pre_layrnorm", "", d); /* so spelt in all files */
    for (size_t i = 0; i < c->layers; i++) {
        enter_block(w, prefix, i);
        walk_block(w, c, &t->block[i]);
    }
    sa_tensor_enter(w, prefix, "");
    sa_tensor_visit_norm(w, &t->post_norm, "post_layernorm", "", d);
}

/* By the one tensor that every tower has and nothing else calls so. */
const char *sa_clip_find_prefix(const sa_weights *weights, const char *const *prefixes)
{
    for (; *prefixes != NULL; prefixes++) {
        char name[128];
        snprintf(name, sizeof name, "%sembeddings.class_embedding", *prefixes);
        if (sa_weights_find(weights, name) != NULL) {
            return *prefixes;
        }
    }
    return NULL;
}

void sa_clip_table_config_find(const sa_weights *weights, const sa_clip_config *config,
                               sa_clip_table_config *table)
{
    static const char *const prefixes[] = {"vision_model.", "", NULL};
    const char *prefix = sa_clip_find_prefix(weights, prefixes);
    *table = (sa_clip_table_config){*config, prefix != NULL ? prefix : prefixes[0]};
}

static void walk_table(sa_tensor_walk *w, const void *config, void *tensors)
{
    const sa_clip_table_config *c = config;
    sa_clip_tensors_walk(w, &c->config, c->prefix, tensors);
}

sa_tensor_table sa_clip_tensor_table(const sa_clip_table_config *config)
{
    static const char *const ignored[] = {"text_model.*",
                                          "text_projection.weight",
                                          "logit_scale",
                                          "*.position_ids",
                                          "embeddings.position_ids",
                                          "visual_projection.weight",
                                          NULL};
    return (sa_tensor_table){
        .walk = walk_table, .config = config, .size = sizeof(sa_clip_tensors), .ignored = ignored};
}
