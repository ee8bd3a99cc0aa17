/*
 * The table is written once, as a walk over the model that visits every tensor with both names, its shape and
 * the field it belongs to. The walk runs once to count and once to fill.
 */
#include "runtime/models/sam_tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    size_t rank, size[4];
} shape;

typedef struct {
    sa_tensor_want *wants;     /* NULL while counting */
    const sa_tensor ***fields; /* fields[i] receives the tensor of wants[i]; NULL while counting */
    size_t count;
    char prefix[72], original[72]; /* of the part that is being walked */
} walk;

static shape shape1(size_t a)
{
    return (shape){1, {a}};
}

static shape shape2(size_t a, size_t b)
{
    return (shape){2, {a, b}};
}

static shape shape4(size_t a, size_t b, size_t c, size_t d)
{
    return (shape){4, {a, b, c, d}};
}

static void enter(walk *w, const char *prefix, const char *original)
{
    snprintf(w->prefix, sizeof w->prefix, "%s", prefix);
    snprintf(w->original, sizeof w->original, "%s", original);
}

static void enter_numbered(walk *w, const char *prefix, const char *original, size_t number)
{
    snprintf(w->prefix, sizeof w->prefix, "%s.%zu.", prefix, number);
    snprintf(w->original, sizeof w->original, "%s.%zu.", original, number);
}

/* out = prefix + name + suffix. All names are ours and fit; one that does not is a bug. */
static void compose(char out[128], const char *prefix, const char *name, const char *suffix)
{
    int length = snprintf(out, 128, "%s%s%s", prefix, name, suffix);
    SA_ASSERT(length > 0 && length < 128);
}

/* One tensor: PREFIX NAME SUFFIX, in both spellings. */
static void visit_part(walk *w, const sa_tensor **field, const char *name, const char *original,
                       const char *suffix, shape s)
{
    if (w->wants != NULL) {
        sa_tensor_want *want = &w->wants[w->count];
        *want = (sa_tensor_want){.rank = (int)s.rank};
        memcpy(want->shape, s.size, sizeof s.size);
        compose(want->name, w->prefix, name, suffix);
        compose(want->original, w->original, original, suffix);
        w->fields[w->count] = field;
    }
    w->count++;
}

static void visit(walk *w, const sa_tensor **field, const char *name, const char *original, shape s)
{
    visit_part(w, field, name, original, "", s);
}

/* NAME.weight of shape s and NAME.bias [bias]; bias 0 means none. */
static void visit_pair(walk *w, sa_sam_pair *pair, const char *name, const char *original, shape s,
                       size_t bias)
{
    visit_part(w, &pair->weight, name, original, ".weight", s);
    if (bias != 0) {
        visit_part(w, &pair->bias, name, original, ".bias", shape1(bias));
    }
}

static void visit_linear(walk *w, sa_sam_pair *pair, const char *name, const char *original, size_t n,
                         size_t k)
{
    visit_pair(w, pair, name, original, shape2(n, k), n);
}

static void visit_norm(walk *w, sa_sam_pair *pair, const char *name, const char *original, size_t d)
{
    visit_pair(w, pair, name, original, shape1(d), d);
}

static void walk_block(walk *w, const sa_sam_vision_config *c, size_t i, sa_sam_block_tensors *t)
{
    size_t d = c->hidden, head = c->hidden / c->heads;
    size_t size = c->global[i] || c->window == 0 ? c->image_size / c->patch_size : c->window;
    enter_numbered(w, "vision_encoder.layers", "image_encoder.blocks", i);
    visit_norm(w, &t->norm1, "layer_norm1", "norm1", d);
    visit_pair(w, &t->qkv, "attn.qkv", "attn.qkv", shape2(3 * d, d), c->qkv_bias ? 3 * d : 0);
    visit_linear(w, &t->proj, "attn.proj", "attn.proj", d, d);
    if (c->relative_position) {
        visit(w, &t->rel_h, "attn.rel_pos_h", "attn.rel_pos_h", shape2(2 * size - 1, head));
        visit(w, &t->rel_w, "attn.rel_pos_w", "attn.rel_pos_w", shape2(2 * size - 1, head));
    }
    visit_norm(w, &t->norm2, "layer_norm2", "norm2", d);
    visit_linear(w, &t->lin1, "mlp.lin1", "mlp.lin1", c->mlp_dim, d);
    visit_linear(w, &t->lin2, "mlp.lin2", "mlp.lin2", d, c->mlp_dim);
}

static void walk_vision(walk *w, const sa_sam_vision_config *c, sa_sam_tensors *t)
{
    size_t d = c->hidden, p = c->patch_size, g = c->image_size / c->patch_size, out = c->output_channels;
    enter(w, "vision_encoder.", "image_encoder.");
    if (c->absolute_position) {
        visit(w, &t->position, "pos_embed", "pos_embed", shape4(1, g, g, d));
    }
    visit_pair(w, &t->patch, "patch_embed.projection", "patch_embed.proj", shape4(d, 3, p, p), d);
    for (size_t i = 0; i < c->layers; i++) {
        walk_block(w, c, i, &t->block[i]);
    }
    enter(w, "vision_encoder.neck.", "image_encoder.neck.");
    visit_pair(w, &t->neck1, "conv1", "0", shape4(out, d, 1, 1), 0);
    visit_norm(w, &t->neck_norm1, "layer_norm1", "1", out);
    visit_pair(w, &t->neck2, "conv2", "2", shape4(out, out, 3, 3), 0);
    visit_norm(w, &t->neck_norm2, "layer_norm2", "3", out);
}

static void walk_prompt(walk *w, const sa_sam_prompt_config *c, sa_sam_tensors *t)
{
    size_t d = c->hidden, wide = c->mask_channels, narrow = c->mask_channels / 4;
    enter(w, "prompt_encoder.", "prompt_encoder.");
    visit(w, &t->gaussian, "shared_embedding.positional_embedding",
          "pe_layer.positional_encoding_gaussian_matrix", shape2(2, d / 2));
    if (w->wants != NULL) { /* transformers ties two modules: a file may hold either name or both */
        sa_tensor_want *want = &w->wants[w->count - 1];
        snprintf(want->alias, sizeof want->alias, "shared_image_embedding.positional_embedding");
    }
    for (size_t i = 0; i < 4; i++) {
        char name[32], original[40];
        snprintf(name, sizeof name, "point_embed.%zu.weight", i);
        snprintf(original, sizeof original, "point_embeddings.%zu.weight", i);
        visit(w, &t->point[i], name, original, shape2(1, d));
    }
    visit(w, &t->not_a_point, "not_a_point_embed.weight", "not_a_point_embed.weight", shape2(1, d));
    visit(w, &t->no_mask, "no_mask_embed.weight", "no_mask_embed.weight", shape2(1, d));
    enter(w, "prompt_encoder.mask_embed.", "prompt_encoder.mask_downscaling.");
    visit_pair(w, &t->mask1, "conv1", "0", shape4(narrow, 1, 2, 2), narrow);
    visit_norm(w, &t->mask_norm1, "layer_norm1", "1", narrow);
    visit_pair(w, &t->mask2, "conv2", "3", shape4(wide, narrow, 2, 2), wide);
    visit_norm(w, &t->mask_norm2, "layer_norm2", "4", wide);
    visit_pair(w, &t->mask3, "conv3", "6", shape4(d, wide, 1, 1), d);
}

/* Four projections under NAME.; tokens of `outer` numbers, attention in `inner`. */
static void walk_attention(walk *w, sa_sam_attention_tensors *t, const char *name, size_t outer, size_t inner)
{
    static const char *const part[4] = {"q_proj", "k_proj", "v_proj", "out_proj"};
    sa_sam_pair *pair[4] = {&t->q, &t->k, &t->v, &t->out};
    for (size_t i = 0; i < 4; i++) {
        char full[64];
        snprintf(full, sizeof full, "%s.%s", name, part[i]);
        visit_linear(w, pair[i], full, full, i < 3 ? inner : outer, i < 3 ? outer : inner);
    }
}

static void walk_layer(walk *w, const sa_sam_decoder_config *c, size_t i, sa_sam_layer_tensors *t)
{
    size_t d = c->hidden, inner = c->hidden / c->downsample_rate;
    enter_numbered(w, "mask_decoder.transformer.layers", "mask_decoder.transformer.layers", i);
    walk_attention(w, &t->self, "self_attn", d, d);
    visit_norm(w, &t->norm1, "layer_norm1", "norm1", d);
    walk_attention(w, &t->to_image, "cross_attn_token_to_image", d, inner);
    visit_norm(w, &t->norm2, "layer_norm2", "norm2", d);
    visit_linear(w, &t->lin1, "mlp.lin1", "mlp.lin1", c->mlp_dim, d);
    visit_linear(w, &t->lin2, "mlp.lin2", "mlp.lin2", d, c->mlp_dim);
    visit_norm(w, &t->norm3, "layer_norm3", "norm3", d);
    visit_norm(w, &t->norm4, "layer_norm4", "norm4", d);
    walk_attention(w, &t->from_image, "cross_attn_image_to_token", d, inner);
}

/*
 * `depth` linears d -> hidden -> ... -> out: proj_in, layers.0 .., proj_out, or layers.0 .. in the original.
 */
static void walk_mlp(walk *w, sa_sam_mlp_tensors *t, size_t depth, size_t d, size_t hidden, size_t out)
{
    for (size_t i = 0; i < depth; i++) {
        char name[32], original[32];
        if (i == 0 || i + 1 == depth) {
            snprintf(name, sizeof name, "%s", i == 0 ? "proj_in" : "proj_out");
        } else {
            snprintf(name, sizeof name, "layers.%zu", i - 1);
        }
        snprintf(original, sizeof original, "layers.%zu", i);
        visit_linear(w, &t->layer[i], name, original, i + 1 == depth ? out : hidden, i == 0 ? d : hidden);
    }
}

static void walk_decoder(walk *w, const sa_sam_decoder_config *c, sa_sam_tensors *t)
{
    size_t d = c->hidden, masks = c->multimask_outputs + 1;
    enter(w, "mask_decoder.", "mask_decoder.");
    visit(w, &t->iou_token, "iou_token.weight", "iou_token.weight", shape2(1, d));
    visit(w, &t->mask_tokens, "mask_tokens.weight", "mask_tokens.weight", shape2(masks, d));
    for (size_t i = 0; i < c->layers; i++) {
        walk_layer(w, c, i, &t->layer[i]);
    }
    enter(w, "mask_decoder.transformer.", "mask_decoder.transformer.");
    walk_attention(w, &t->final, "final_attn_token_to_image", d, d / c->downsample_rate);
    visit_norm(w, &t->final_norm, "layer_norm_final_attn", "norm_final_attn", d);
    enter(w, "mask_decoder.", "mask_decoder.output_upscaling.");
    visit_pair(w, &t->up1, "upscale_conv1", "0", shape4(d, d / 4, 2, 2), d / 4);
    visit_norm(w, &t->up_norm, "upscale_layer_norm", "1", d / 4);
    visit_pair(w, &t->up2, "upscale_conv2", "3", shape4(d / 4, d / 8, 2, 2), d / 8);
    for (size_t i = 0; i < masks; i++) {
        enter_numbered(w, "mask_decoder.output_hypernetworks_mlps", "mask_decoder.output_hypernetworks_mlps",
                       i);
        walk_mlp(w, &t->hyper[i], 3, d, d, d / 8);
    }
    enter(w, "mask_decoder.iou_prediction_head.", "mask_decoder.iou_prediction_head.");
    walk_mlp(w, &t->iou, c->iou_depth, d, c->iou_hidden, masks);
}

static void walk_model(walk *w, const sa_sam_config *config, sa_sam_tensors *tensors)
{
    walk_vision(w, &config->vision, tensors);
    walk_prompt(w, &config->prompt, tensors);
    walk_decoder(w, &config->decoder, tensors);
}

/* Wants and, behind them in the same block of memory, the fields they fill. */
static sa_status plan(const sa_sam_config *config, sa_sam_tensors *tensors, walk *w, sa_error *err)
{
    walk counting = {0};
    walk_model(&counting, config, tensors);
    *w = (walk){.wants = calloc(counting.count, sizeof *w->wants + sizeof *w->fields)};
    if (w->wants == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a table of %zu tensors", counting.count);
    }
    w->fields = (const sa_tensor ***)(void *)(w->wants + counting.count);
    walk_model(w, config, tensors);
    return SA_OK;
}

sa_status sa_sam_tensors_plan(const sa_sam_config *config, sa_tensor_want **wants, size_t *count,
                              sa_error *err)
{
    sa_sam_tensors *fields = calloc(1, sizeof *fields); /* addresses only; the wants do not keep them */
    if (fields == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a table of tensors");
    }
    walk w;
    sa_status status = plan(config, fields, &w, err);
    free(fields);
    if (status == SA_OK) {
        *wants = w.wants;
        *count = w.count;
    }
    return status;
}

sa_status sa_sam_tensors_match(const sa_sam_config *config, const sa_weights *weights,
                               sa_sam_tensors *tensors, sa_weights_report *report, sa_error *err)
{
    walk w;
    memset(tensors, 0, sizeof *tensors);
    SA_TRY(plan(config, tensors, &w, err));
    sa_status status = sa_weights_match(weights, w.wants, w.count, NULL, report, err);
    for (size_t i = 0; status == SA_OK && i < w.count; i++) {
        *w.fields[i] = w.wants[i].found;
    }
    free(w.wants);
    return status;
}
