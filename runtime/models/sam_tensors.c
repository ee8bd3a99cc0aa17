/*
 * One walk over the model's tensors, in data-flow order. Each call of add() is one tensor: its place in the struct, its
 * Hugging Face name, its name in the original release and its shape. Planning lets the walk append to a table; binding
 * lets the same walk hand out what was found, so table and struct cannot drift apart.
 */
#include "runtime/models/sam_tensors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const sa_sam_config *config;
    sa_tensor_want *wants; /* NULL in the first pass, which only counts */
    size_t count;          /* wants walked so far */
    bool binding;
    char name[96], original[96]; /* what stands before the names: "vision_encoder.layers.3." */
} walk;

/* Both prefixes at once; the formats take the same number. */
static void enter(walk *w, const char *name, const char *original, int number)
{
    snprintf(w->name, sizeof w->name, name, number);         /* NOLINT: formats are literals of this file */
    snprintf(w->original, sizeof w->original, original, number); /* NOLINT */
}

static void put_name(char *out, size_t size, const char *prefix, const char *name)
{
    int length = snprintf(out, size, "%s%s", prefix, name);
    SA_ASSERT(length > 0 && (size_t)length < size);
}

/* One tensor with up to four axes; `axes` ends with 0. */
static void add(walk *w, const sa_tensor **place, const char *name, const char *original, const int *axes)
{
    if (w->binding) {
        *place = w->wants[w->count].found;
    } else if (w->wants != NULL) {
        sa_tensor_want *want = &w->wants[w->count];
        *want = (sa_tensor_want){0};
        put_name(want->name, sizeof want->name, w->name, name);
        put_name(want->original, sizeof want->original, w->original, original);
        for (; want->rank < 4 && axes[want->rank] != 0; want->rank++) {
            want->shape[want->rank] = (size_t)axes[want->rank];
        }
    }
    w->count++;
}

#define AXES(...) ((const int[5]){__VA_ARGS__})

/* "NAME.weight" with these axes and "NAME.bias" of `width`, 0 for none. */
static void add_affine(walk *w, sa_sam_affine *place, const char *name, const char *original, const int *axes,
                       int width)
{
    char full[64], full_original[64];
    put_name(full, sizeof full, name, ".weight");
    put_name(full_original, sizeof full_original, original, ".weight");
    add(w, &place->weight, full, full_original, axes);
    if (width != 0) {
        put_name(full, sizeof full, name, ".bias");
        put_name(full_original, sizeof full_original, original, ".bias");
        add(w, &place->bias, full, full_original, AXES(width));
    }
}

static void add_linear(walk *w, sa_sam_affine *place, const char *name, const char *original, int out, int in)
{
    add_affine(w, place, name, original, AXES(out, in), out);
}

static void add_norm(walk *w, sa_sam_affine *place, const char *name, const char *original, int width)
{
    add_affine(w, place, name, original, AXES(width), width);
}

/* -- Image encoder -- */

static void walk_block(walk *w, sa_sam_block *block, int i)
{
    const sa_sam_vision_config *v = &w->config->vision;
    int side = v->global[i] ? v->grid : v->window;
    enter(w, "vision_encoder.layers.%d.", "image_encoder.blocks.%d.", i);
    add_norm(w, &block->norm1, "layer_norm1", "norm1", v->hidden);
    add_affine(w, &block->qkv, "attn.qkv", "attn.qkv", AXES(3 * v->hidden, v->hidden),
               v->qkv_bias ? 3 * v->hidden : 0);
    add_linear(w, &block->proj, "attn.proj", "attn.proj", v->hidden, v->hidden);
    if (v->rel_pos) {
        add(w, &block->rel_pos_h, "attn.rel_pos_h", "attn.rel_pos_h", AXES(2 * side - 1, v->head_dim));
        add(w, &block->rel_pos_w, "attn.rel_pos_w", "attn.rel_pos_w", AXES(2 * side - 1, v->head_dim));
    }
    add_norm(w, &block->norm2, "layer_norm2", "norm2", v->hidden);
    add_linear(w, &block->lin1, "mlp.lin1", "mlp.lin1", v->mlp, v->hidden);
    add_linear(w, &block->lin2, "mlp.lin2", "mlp.lin2", v->hidden, v->mlp);
}

static void walk_neck(walk *w, sa_sam_tensors *t)
{
    const sa_sam_vision_config *v = &w->config->vision;
    int c = v->output_channels;
    enter(w, "vision_encoder.neck.", "image_encoder.neck.", 0);
    add_affine(w, &t->neck_conv1, "conv1", "0", AXES(c, v->hidden, 1, 1), 0);
    add_norm(w, &t->neck_norm1, "layer_norm1", "1", c);
    add_affine(w, &t->neck_conv2, "conv2", "2", AXES(c, c, 3, 3), 0);
    add_norm(w, &t->neck_norm2, "layer_norm2", "3", c);
}

static void walk_vision(walk *w, sa_sam_tensors *t)
{
    const sa_sam_vision_config *v = &w->config->vision;
    enter(w, "vision_encoder.", "image_encoder.", 0);
    if (v->abs_pos) {
        add(w, &t->pos_embed, "pos_embed", "pos_embed", AXES(1, v->grid, v->grid, v->hidden));
    }
    add_affine(w, &t->patch_embed, "patch_embed.projection", "patch_embed.proj",
               AXES(v->hidden, v->channels, v->patch_size, v->patch_size), v->hidden);
    for (int i = 0; i < v->depth; i++) {
        walk_block(w, &t->blocks[i], i);
    }
    walk_neck(w, t);
}

/* -- Prompt encoder -- */

/* Tied in transformers: it stands under either name, or both. */
static void walk_gaussian(walk *w, sa_sam_tensors *t)
{
    enter(w, "", "", 0);
    size_t row = w->count;
    add(w, &t->gaussian, "shared_image_embedding.positional_embedding",
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix", AXES(2, w->config->vision.pos_features));
    if (!w->binding && w->wants != NULL) {
        put_name(w->wants[row].alias, sizeof w->wants[row].alias, "prompt_encoder.shared_embedding.",
                 "positional_embedding");
    }
}

static void walk_prompt(walk *w, sa_sam_tensors *t)
{
    const sa_sam_prompt_config *p = &w->config->prompt;
    int narrow = p->mask_channels / 4;
    for (int i = 0; i < p->point_kinds; i++) {
        enter(w, "prompt_encoder.point_embed.%d.", "prompt_encoder.point_embeddings.%d.", i);
        add(w, &t->point_embed[i], "weight", "weight", AXES(1, p->hidden));
    }
    enter(w, "prompt_encoder.", "prompt_encoder.", 0);
    add(w, &t->not_a_point_embed, "not_a_point_embed.weight", "not_a_point_embed.weight", AXES(1, p->hidden));
    add(w, &t->no_mask_embed, "no_mask_embed.weight", "no_mask_embed.weight", AXES(1, p->hidden));
    enter(w, "prompt_encoder.mask_embed.", "prompt_encoder.mask_downscaling.", 0);
    add_affine(w, &t->mask_conv1, "conv1", "0", AXES(narrow, 1, 2, 2), narrow);
    add_norm(w, &t->mask_norm1, "layer_norm1", "1", narrow);
    add_affine(w, &t->mask_conv2, "conv2", "3", AXES(p->mask_channels, narrow, 2, 2), p->mask_channels);
    add_norm(w, &t->mask_norm2, "layer_norm2", "4", p->mask_channels);
    add_affine(w, &t->mask_conv3, "conv3", "6", AXES(p->hidden, p->mask_channels, 1, 1), p->hidden);
}

/* -- Mask decoder -- */

static void walk_attention(walk *w, sa_sam_attention *attention, const char *name, int hidden, int inner)
{
    walk deeper = *w; /* the name's own prefix, for these eight tensors */
    put_name(deeper.name, sizeof deeper.name, w->name, name);
    put_name(deeper.original, sizeof deeper.original, w->original, name);
    add_linear(&deeper, &attention->q, "q_proj", "q_proj", inner, hidden);
    add_linear(&deeper, &attention->k, "k_proj", "k_proj", inner, hidden);
    add_linear(&deeper, &attention->v, "v_proj", "v_proj", inner, hidden);
    add_linear(&deeper, &attention->out, "out_proj", "out_proj", hidden, inner);
    w->count = deeper.count;
}

static void walk_decoder_layer(walk *w, sa_sam_decoder_layer *layer, int i)
{
    const sa_sam_decoder_config *d = &w->config->decoder;
    int inner = d->hidden / d->downsample;
    enter(w, "mask_decoder.transformer.layers.%d.", "mask_decoder.transformer.layers.%d.", i);
    walk_attention(w, &layer->self_attention, "self_attn.", d->hidden, d->hidden);
    add_norm(w, &layer->norm[0], "layer_norm1", "norm1", d->hidden);
    walk_attention(w, &layer->token_to_image, "cross_attn_token_to_image.", d->hidden, inner);
    add_norm(w, &layer->norm[1], "layer_norm2", "norm2", d->hidden);
    add_linear(w, &layer->lin1, "mlp.lin1", "mlp.lin1", d->mlp, d->hidden);
    add_linear(w, &layer->lin2, "mlp.lin2", "mlp.lin2", d->hidden, d->mlp);
    add_norm(w, &layer->norm[2], "layer_norm3", "norm3", d->hidden);
    walk_attention(w, &layer->image_to_token, "cross_attn_image_to_token.", d->hidden, inner);
    add_norm(w, &layer->norm[3], "layer_norm4", "norm4", d->hidden);
}

/* Linears 0 .. depth-1; transformers calls the first proj_in, the last proj_out and numbers those between from 0. */
static void walk_mlp(walk *w, sa_sam_mlp *mlp, int depth, int in, int hidden, int out)
{
    mlp->depth = depth;
    for (int i = 0; i < depth; i++) {
        char name[32], original[32];
        snprintf(original, sizeof original, "layers.%d", i);
        snprintf(name, sizeof name, "layers.%d", i - 1);
        bool first = i == 0, last = i == depth - 1;
        add_linear(w, &mlp->layers[i], first ? "proj_in" : last ? "proj_out" : name, original, last ? out : hidden,
                   first ? in : hidden);
    }
}

static void walk_heads(walk *w, sa_sam_tensors *t)
{
    const sa_sam_decoder_config *d = &w->config->decoder;
    int quarter = d->hidden / 4, eighth = d->hidden / 8;
    enter(w, "mask_decoder.", "mask_decoder.", 0);
    add_affine(w, &t->upscale_conv1, "upscale_conv1", "output_upscaling.0", AXES(d->hidden, quarter, 2, 2), quarter);
    add_norm(w, &t->upscale_norm, "upscale_layer_norm", "output_upscaling.1", quarter);
    add_affine(w, &t->upscale_conv2, "upscale_conv2", "output_upscaling.3", AXES(quarter, eighth, 2, 2), eighth);
    for (int i = 0; i < d->masks; i++) {
        enter(w, "mask_decoder.output_hypernetworks_mlps.%d.", "mask_decoder.output_hypernetworks_mlps.%d.", i);
        walk_mlp(w, &t->hypernetworks[i], SA_SAM_HYPER_DEPTH, d->hidden, d->hidden, eighth);
    }
    enter(w, "mask_decoder.iou_prediction_head.", "mask_decoder.iou_prediction_head.", 0);
    walk_mlp(w, &t->iou_head, d->iou_depth, d->hidden, d->iou_hidden, d->masks);
}

static void walk_decoder(walk *w, sa_sam_tensors *t)
{
    const sa_sam_decoder_config *d = &w->config->decoder;
    enter(w, "mask_decoder.", "mask_decoder.", 0);
    add(w, &t->iou_token, "iou_token.weight", "iou_token.weight", AXES(1, d->hidden));
    add(w, &t->mask_tokens, "mask_tokens.weight", "mask_tokens.weight", AXES(d->masks, d->hidden));
    for (int i = 0; i < d->depth; i++) {
        walk_decoder_layer(w, &t->layers[i], i);
    }
    enter(w, "mask_decoder.transformer.", "mask_decoder.transformer.", 0);
    walk_attention(w, &t->final_attention, "final_attn_token_to_image.", d->hidden, d->hidden / d->downsample);
    add_norm(w, &t->final_norm, "layer_norm_final_attn", "norm_final_attn", d->hidden);
    walk_heads(w, t);
}

/* -- The walk -- */

static size_t walk_model(walk w, sa_sam_tensors *tensors)
{
    walk_vision(&w, tensors);
    walk_gaussian(&w, tensors);
    walk_prompt(&w, tensors);
    walk_decoder(&w, tensors);
    return w.count;
}

sa_status sa_sam_tensors_plan(const sa_sam_config *config, sa_tensor_want **wants, size_t *count, sa_error *err)
{
    sa_sam_tensors unused; /* planning fills no pointers */
    *count = walk_model((walk){.config = config}, &unused);
    *wants = calloc(*count, sizeof **wants);
    if (*wants == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "free some memory", "no memory for a table of %zu tensors", *count);
    }
    walk_model((walk){.config = config, .wants = *wants}, &unused);
    return SA_OK;
}

void sa_sam_tensors_bind(const sa_sam_config *config, const sa_tensor_want *wants, size_t count,
                         sa_sam_tensors *tensors)
{
    memset(tensors, 0, sizeof *tensors);
    /* Binding only reads the wants. */
    size_t walked = walk_model((walk){.config = config, .wants = (sa_tensor_want *)wants, .binding = true}, tensors);
    SA_ASSERT(walked == count);
}

const char *const *sa_sam_tensors_ignored(void)
{
    static const char *const names[] = {"pixel_mean", "pixel_std", NULL}; /* buffers that some exports keep */
    return names;
}

sa_status sa_sam_tensors_load(sa_sam_tensors *tensors, const sa_sam_config *config, const sa_weights *weights,
                              sa_error *err)
{
    sa_tensor_want *wants = NULL;
    size_t count = 0;
    sa_weights_report report = {0};
    SA_TRY(sa_sam_tensors_plan(config, &wants, &count, err));
    sa_status status = sa_weights_match(weights, wants, count, sa_sam_tensors_ignored(), &report, err);
    if (status == SA_OK) {
        sa_sam_tensors_bind(config, wants, count, tensors);
    }
    sa_weights_report_free(&report);
    free(wants);
    return status;
}
