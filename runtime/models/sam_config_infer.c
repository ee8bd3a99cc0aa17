/*
 * A SAM's sizes read off its tensors, for files that come without config.json: the original release's .pth,
 * or the weights of a Hugging Face directory alone. What leaves no trace in names and shapes is as in the
 * original release.
 */
#include "runtime/models/sam_config.h"

#include <stdio.h>
#include <string.h>

enum { MOST_INFERRED = 1 << 16, MOST_POSITIONS = 1 << 12 };

/* The names that inference looks at, in one spelling; those with %zu are numbered. */
typedef struct {
    const char *patch, *position, *qkv, *qkv_bias, *rel, *lin1, *neck;
    const char *mask_conv, *mask_tokens, *layer_mlp, *cross, *iou_first;
    bool original;
} spelling;

static const spelling original_spelling = {
    .patch = "image_encoder.patch_embed.proj.weight",
    .position = "image_encoder.pos_embed",
    .qkv = "image_encoder.blocks.%zu.attn.qkv.weight",
    .qkv_bias = "image_encoder.blocks.%zu.attn.qkv.bias",
    .rel = "image_encoder.blocks.%zu.attn.rel_pos_h",
    .lin1 = "image_encoder.blocks.%zu.mlp.lin1.weight",
    .neck = "image_encoder.neck.0.weight",
    .mask_conv = "prompt_encoder.mask_downscaling.3.weight",
    .mask_tokens = "mask_decoder.mask_tokens.weight",
    .layer_mlp = "mask_decoder.transformer.layers.%zu.mlp.lin1.weight",
    .cross = "mask_decoder.transformer.final_attn_token_to_image.q_proj.weight",
    .iou_first = "mask_decoder.iou_prediction_head.layers.0.weight",
    .original = true,
};

static const spelling huggingface_spelling = {
    .patch = "vision_encoder.patch_embed.projection.weight",
    .position = "vision_encoder.pos_embed",
    .qkv = "vision_encoder.layers.%zu.attn.qkv.weight",
    .qkv_bias = "vision_encoder.layers.%zu.attn.qkv.bias",
    .rel = "vision_encoder.layers.%zu.attn.rel_pos_h",
    .lin1 = "vision_encoder.layers.%zu.mlp.lin1.weight",
    .neck = "vision_encoder.neck.conv1.weight",
    .mask_conv = "prompt_encoder.mask_embed.conv2.weight",
    .mask_tokens = "mask_decoder.mask_tokens.weight",
    .layer_mlp = "mask_decoder.transformer.layers.%zu.mlp.lin1.weight",
    .cross = "mask_decoder.transformer.final_attn_token_to_image.q_proj.weight",
    .iou_first = "mask_decoder.iou_prediction_head.proj_in.weight",
};

typedef struct {
    const sa_weights *weights;
    const spelling *names;
    sa_error *err;
} inference;

static sa_status fail(const inference *f, const char *reason)
{
    return sa_fail(
        f->err, SA_BAD_INPUT, sa_weights_path(f->weights),
        "give a Hugging Face directory with config.json, or a SAM checkpoint of the original release", "%s",
        reason);
}

static const sa_tensor *find_numbered(const inference *f, const char *pattern, size_t number)
{
    char name[128];
    snprintf(name, sizeof name, pattern, number);
    return sa_weights_find(f->weights, name);
}

/* How many of a numbered tensor there are from 0 on, at most `most` + 1. */
static size_t count_numbered(const inference *f, const char *pattern, size_t most)
{
    size_t count = 0;
    while (count <= most && find_numbered(f, pattern, count) != NULL) {
        count++;
    }
    return count;
}

/* A tensor with this many axes, each 1 .. MOST_INFERRED, so that sizes divide and multiply without care. */
static sa_status take(const inference *f, const sa_tensor *tensor, const char *name, int rank,
                      const sa_tensor **out)
{
    char reason[400];
    if (tensor == NULL) {
        snprintf(reason, sizeof reason, "not a SAM: there is no tensor \"%.200s\"", name);
        return fail(f, reason);
    }
    bool sane = tensor->rank == rank;
    for (int axis = 0; axis < tensor->rank; axis++) {
        sane = sane && tensor->shape[axis] >= 1 && tensor->shape[axis] <= MOST_INFERRED;
    }
    if (!sane) {
        char shape[SA_TENSOR_MAX_RANK * 22 + 4];
        snprintf(reason, sizeof reason, "tensor \"%.100s\" has shape %s, not %d axes of sensible sizes",
                 tensor->name, sa_shape_format(tensor->shape, tensor->rank, shape, sizeof shape), rank);
        return fail(f, reason);
    }
    *out = tensor;
    return SA_OK;
}

static sa_status take_named(const inference *f, const char *name, int rank, const sa_tensor **out)
{
    return take(f, sa_weights_find(f->weights, name), name, rank, out);
}

static sa_status take_first(const inference *f, const char *pattern, int rank, const sa_tensor **out)
{
    return take(f, find_numbered(f, pattern, 0), pattern, rank, out);
}

/* Grid from the position table, or from the longest relative table of a model that has no other. */
static sa_status infer_grid(const inference *f, sa_sam_vision_config *v, size_t patch, size_t longest)
{
    const sa_tensor *position = sa_weights_find(f->weights, f->names->position);
    size_t grid = (longest + 1) / 2;
    v->absolute_position = position != NULL;
    if (position != NULL) {
        SA_TRY(take(f, position, f->names->position, 4, &position));
        grid = position->shape[1];
    }
    if (grid < 1 || grid > MOST_POSITIONS || patch > MOST_POSITIONS) {
        return fail(f, "the position table has no sensible size");
    }
    v->patch_size = patch;
    v->image_size = grid * patch;
    return SA_OK;
}

static sa_status longest_table(const inference *f, const sa_sam_vision_config *v, size_t *longest)
{
    *longest = 0;
    for (size_t i = 0; i < v->layers; i++) {
        const sa_tensor *rel;
        SA_TRY(take(f, find_numbered(f, f->names->rel, i), f->names->rel, 2, &rel));
        *longest = rel->shape[0] > *longest ? rel->shape[0] : *longest;
    }
    return SA_OK;
}

/*
 * A table of 2S-1 rows belongs to S positions a side: the grid's for global layers, one other S for windowed
 * ones.
 */
static sa_status infer_windows(const inference *f, sa_sam_vision_config *v)
{
    size_t grid = v->image_size / v->patch_size;
    for (size_t i = 0; i < v->layers; i++) {
        size_t rows = find_numbered(f, f->names->rel, i)->shape[0];
        size_t side = (rows + 1) / 2;
        v->global[i] = rows == 2 * grid - 1;
        if (v->global[i]) {
            continue;
        }
        if (rows % 2 == 0 || (v->window != 0 && v->window != side)) {
            return fail(f, "the relative position tables belong to no common window size");
        }
        v->window = side;
    }
    return SA_OK;
}

static sa_status infer_vision(const inference *f, sa_sam_vision_config *v)
{
    const sa_tensor *patch, *rel, *lin1, *neck;
    size_t longest;
    SA_TRY(take_named(f, f->names->patch, 4, &patch));
    v->hidden = patch->shape[0];
    v->layers = count_numbered(f, f->names->qkv, SA_SAM_MOST_LAYERS);
    if (v->layers > SA_SAM_MOST_LAYERS) {
        return fail(f, "the image encoder has more layers than are possible");
    }
    if (find_numbered(f, f->names->rel, 0) == NULL) {
        return fail(f, "without relative position tables the number of heads cannot be told");
    }
    SA_TRY(take_first(f, f->names->rel, 2, &rel));
    SA_TRY(take_first(f, f->names->lin1, 2, &lin1));
    SA_TRY(take_named(f, f->names->neck, 4, &neck));
    if (v->hidden % rel->shape[1] != 0) {
        return fail(f, "the width of the relative position tables does not divide that of the image encoder");
    }
    v->heads = v->hidden / rel->shape[1];
    v->mlp_dim = lin1->shape[0];
    v->output_channels = neck->shape[0];
    v->relative_position = true;
    v->qkv_bias = find_numbered(f, f->names->qkv_bias, 0) != NULL;
    v->eps = 1e-6f;
    SA_TRY(longest_table(f, v, &longest));
    SA_TRY(infer_grid(f, v, patch->shape[2], longest));
    return infer_windows(f, v);
}

static sa_status infer_iou_head(const inference *f, sa_sam_decoder_config *d)
{
    const char *pattern = "mask_decoder.iou_prediction_head.layers.%zu.weight";
    const sa_tensor *first;
    SA_TRY(take_named(f, f->names->iou_first, 2, &first));
    d->iou_hidden = first->shape[0];
    d->iou_depth = count_numbered(f, pattern, 64) + (f->names->original ? 0 : 2); /* proj_in and proj_out */
    return SA_OK;
}

static sa_status infer_decoder(const inference *f, sa_sam_decoder_config *d)
{
    const sa_tensor *tokens, *mlp, *cross;
    SA_TRY(take_named(f, f->names->mask_tokens, 2, &tokens));
    SA_TRY(take_first(f, f->names->layer_mlp, 2, &mlp));
    SA_TRY(take_named(f, f->names->cross, 2, &cross));
    d->hidden = tokens->shape[1];
    d->layers = count_numbered(f, f->names->layer_mlp, 64);
    d->heads = 8;
    d->mlp_dim = mlp->shape[0];
    if (d->hidden % cross->shape[0] != 0 || tokens->shape[0] < 2) {
        return fail(f, "the mask decoder's tensors have no sensible sizes");
    }
    d->downsample_rate = d->hidden / cross->shape[0];
    d->multimask_outputs = tokens->shape[0] - 1;
    d->eps =
        f->names->original ? 1e-5f : 1e-6f; /* the port's eps differs from the release's: MODEL_SPECS 1.2 */
    d->final_eps = 1e-5f;
    return infer_iou_head(f, d);
}

static sa_status infer_prompt(const inference *f, size_t channels, sa_sam_prompt_config *p)
{
    const sa_tensor *conv;
    SA_TRY(take_named(f, f->names->mask_conv, 4, &conv));
    *p = (sa_sam_prompt_config){.hidden = channels, .mask_channels = conv->shape[0], .eps = 1e-6f};
    return SA_OK;
}

sa_status sa_sam_config_from_weights(const sa_weights *weights, sa_sam_config *config, sa_error *err)
{
    bool original = sa_weights_find(weights, original_spelling.patch) != NULL;
    inference f = {weights, original ? &original_spelling : &huggingface_spelling, err};
    sa_sam_config read = {
        .preprocess = {.mean = {123.675f, 116.28f, 103.53f}, .std = {58.395f, 57.12f, 57.375f}}};
    SA_TRY(infer_vision(&f, &read.vision));
    SA_TRY(infer_decoder(&f, &read.decoder));
    SA_TRY(infer_prompt(&f, read.decoder.hidden, &read.prompt));
    SA_TRY(sa_sam_config_check(&read, sa_weights_path(weights), err));
    *config = read;
    return SA_OK;
}
