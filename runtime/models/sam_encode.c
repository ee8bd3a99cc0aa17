/*
 * SAM's image encoder: pictures to embeddings (MODEL_SPECS 2.2; the left half of the paper's figure 4).
 *
 *   pixels -> patches -> [ window or global attention, MLP ] x depth -> neck -> embedding
 */
#include "runtime/base/sizes.h"
#include "runtime/models/sam.h"

static sa_attention_grid_args block_attention(const sa_sam *sam, const sam_block *block, size_t batch)
{
    return (sa_attention_grid_args){
        .batch = batch,
        .side = sam->grid,
        .window = block->window,
        .heads = sam->config.vision.heads,
        .head_dim = sam->config.vision.hidden / sam->config.vision.heads,
        .dtype = sam->options.precision,
        .qkv = sam->encode.wide,
        .pad_qkv = block->qkv.bias,
        .rel_h = block->rel_h,
        .rel_w = block->rel_w,
        .out = sam->encode.y,
        .workspace = sam->encode.workspace,
    };
}

/* The neck's 3x3 one; its workspace is `wide`, which nobody needs any more. */
static sa_convolution_args neck_convolution(const sa_sam *sam, size_t batch)
{
    return (sa_convolution_args){.batch = batch,
                                 .height = sam->grid,
                                 .width = sam->grid,
                                 .channels = sam->channels,
                                 .kernel = 3,
                                 .stride = 1,
                                 .pad = 1,
                                 .n = sam->channels,
                                 .dtype = sam->options.precision,
                                 .workspace = sam->encode.wide};
}

void sam_encode_plan(sa_sam *sam, sa_arena *arena)
{
    sam_encode_buffers *b = &sam->encode;
    const sa_sam_config *config = &sam->config;
    size_t rows = sam->at_once * sam->grid * sam->grid, t = sam_size_t(sam);
    size_t hidden = config->vision.hidden, side = config->vision.image_size,
           patch = config->vision.patch_size;
    size_t wide = sa_most(sa_most(3 * hidden, config->vision.mlp_dim), 3 * patch * patch);
    sa_convolution_args neck = neck_convolution(sam, sam->at_once);
    size_t wide_bytes = sa_most(rows * wide * t, sam->ops->convolution_workspace(sam->stream, &neck));
    b->pixels = sa_arena_take(arena, sam->at_once * side * side * 3, 1);
    b->x = sa_arena_take(arena, rows * hidden, sizeof(float));
    b->y = sa_arena_take(arena, rows * hidden, t);
    b->wide = sa_arena_take(arena, wide_bytes, 1);
    b->neck = sa_arena_take(arena, rows * sam->channels, sizeof(float));
    b->neck_t = sa_arena_take(arena, rows * sam->channels, t);
    size_t workspace = 0;
    for (size_t i = 0; i < config->vision.layers; i++) {
        sa_attention_grid_args args = block_attention(sam, &sam->weights.block[i], sam->at_once);
        workspace = sa_most(workspace, sam->ops->attention_grid_workspace(sam->stream, &args));
    }
    b->workspace = sa_arena_take(arena, workspace, 1);
}

static void embed_patches(sa_sam *sam, size_t count)
{
    const sa_sam_config *config = &sam->config;
    sa_patchify_args patchify = {
        .batch = count,
        .side = config->vision.image_size,
        .patch = config->vision.patch_size,
        .pixels = sam->pixel_pointers,
        .height = sam->heights,
        .width = sam->widths,
        .y = sam->encode.wide,
        .dtype = sam->options.precision,
    };
    for (int c = 0; c < 3; c++) {
        patchify.mean[c] = config->preprocess.mean[c];
        patchify.std[c] = config->preprocess.std[c];
    }
    sam->ops->patchify(sam->stream, &patchify);

    const sa_linear *patch = &sam->weights.patch;
    sam->ops->gemm(sam->stream, &(sa_gemm_args){.m = count * sam->grid * sam->grid,
                                                .n = patch->n,
                                                .k = patch->k,
                                                .dtype = sam->options.precision,
                                                .a = sam->encode.wide,
                                                .lda = patch->k,
                                                .w = patch->w,
                                                .bias = patch->bias,
                                                .residual = sam->weights.position,
                                                .ldr = patch->n,
                                                .residual_rows = sam->grid * sam->grid,
                                                .c = sam->encode.x,
                                                .c_dtype = SA_F32,
                                                .ldc = patch->n});
}

void sam_encode(sa_sam *sam, const size_t *slots, size_t count)
{
    const sa_ops *ops = sam->ops;
    sa_stream *stream = sam->stream;
    sa_dtype t = sam->options.precision;
    const sam_weights *w = &sam->weights;
    sam_encode_buffers *b = &sam->encode;
    size_t grid_rows = sam->grid * sam->grid, rows = count * grid_rows;

    embed_patches(sam, count); /* x [B*G, D] */

    for (size_t i = 0; i < sam->config.vision.layers; i++) {
        const sam_block *block = &w->block[i];
        sa_norm_run(&block->norm1, ops, stream, rows, b->x, SA_ACT_NONE, b->y, t);
        sa_linear_run(&block->qkv, ops, stream, t, rows, b->y, SA_ACT_NONE, NULL, b->wide, t);
        sa_attention_grid_args attention = block_attention(sam, block, count);
        ops->attention_grid(stream, &attention); /* wide -> y */
        sa_linear_run(&block->proj, ops, stream, t, rows, b->y, SA_ACT_NONE, b->x, b->x, SA_F32);

        sa_norm_run(&block->norm2, ops, stream, rows, b->x, SA_ACT_NONE, b->y, t);
        sa_linear_run(&block->lin1, ops, stream, t, rows, b->y, SA_ACT_GELU, NULL, b->wide, t);
        sa_linear_run(&block->lin2, ops, stream, t, rows, b->wide, SA_ACT_NONE, b->x, b->x, SA_F32);
    }

    /* Neck: 1x1 convolution, norm, 3x3 convolution, norm; channels last, so norms are over rows. */
    ops->add(stream, &(sa_add_args){
                         .rows = rows, .d = w->neck1.k, .a = b->x, .a_rows = rows, .y = b->y, .y_dtype = t});
    sa_linear_run(&w->neck1, ops, stream, t, rows, b->y, SA_ACT_NONE, NULL, b->neck, SA_F32);
    sa_norm_run(&w->neck_norm1, ops, stream, rows, b->neck, SA_ACT_NONE, b->neck_t, t);
    sa_convolution_run(&w->neck2, ops, stream, neck_convolution(sam, count), b->neck_t, b->neck);
    for (size_t i = 0; i < count; i++) {
        sa_norm_run(&w->neck_norm2, ops, stream, grid_rows, b->neck + i * grid_rows * sam->channels,
                    SA_ACT_NONE, sam->embedding + slots[i] * grid_rows * sam->channels, SA_F32);
    }
}
