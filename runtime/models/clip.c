/*
 * CLIP's image encoder: opening, memory, and the forward. The residual stream is f32 in any precision; "t"
 * marks buffers in the working one.
 *
 * Axes: B pictures, P patches of one, T = P + 1 tokens with the class token in front, D hidden.
 */
#include "runtime/models/clip.h"
#include "runtime/base/sizes.h"

#include <stdlib.h>

typedef struct {
    sa_norm norm1, norm2;
    sa_linear qkv, proj, lin1, lin2;
} clip_block;

struct sa_clip {
    sa_clip_config config;
    sa_clip_feature feature;
    sa_clip_preprocess preprocess;
    sa_device *device;
    sa_stream *stream; /* not owned */
    const sa_ops *ops;
    sa_dtype precision;
    size_t at_once, patches, tokens, patch_row; /* B, P, T, 3 * patch_size^2 */

    void *weight_memory, *buffer_memory, *host_memory;
    size_t weight_bytes, buffer_bytes;

    sa_linear patch;
    float *class_token; /* [D] */
    float *position;    /* [T, D] */
    sa_norm pre_norm;
    clip_block *block; /* [feature.layers] */

    uint8_t *pixels; /* device: [B, shown, shown, 3] */
    float *x;        /* [B*T, D] */
    void *y;         /* [B*T, D] t; the features in the end */
    void *wide;      /* [B*T, the widest of 3D, mlp, patch row] t */
    void *workspace; /* of attention */

    sa_clip_picture picture;
    sa_clip_device on_device;
    uint8_t *host_pixels;           /* as pixels */
    const uint8_t **pixel_pointers; /* [B] */
    size_t *sides;                  /* [B], all of them `shown` */
    sa_attention_item *items;       /* [B] */
};

sa_clip_options sa_clip_default_options(void)
{
    sa_image_limits limits = sa_image_default_limits();
    return (sa_clip_options){
        .precision = SA_F32, .max_pixels = limits.max_pixels, .max_side = limits.max_side};
}

void sa_clip_close(sa_clip *clip)
{
    if (clip == NULL) {
        return;
    }
    sa_device_free(clip->device, clip->weight_memory);
    sa_device_free(clip->device, clip->buffer_memory);
    free(clip->host_memory);
    free(clip->block);
    free(clip);
}

size_t sa_clip_tokens(const sa_clip *clip)
{
    return clip->feature.class_token ? clip->tokens : clip->patches;
}

size_t sa_clip_hidden(const sa_clip *clip)
{
    return clip->config.hidden;
}

size_t sa_clip_at_once(const sa_clip *clip)
{
    return clip->at_once;
}

/* ---- weights ---- */

/* An encoder and the tensors that it is loaded from. */
typedef struct {
    sa_clip *clip;
    const sa_clip_tensors *tensors;
} loading;

static sa_norm load_norm(sa_loader *l, const sa_tensor_pair *t, float eps)
{
    return sa_load_norm(l, t->weight, t->bias, eps);
}

static void load_all(sa_loader *l, void *model)
{
    const loading *both = model;
    sa_clip *clip = both->clip;
    const sa_clip_tensors *t = both->tensors;
    float eps = clip->config.eps;
    clip->patch = sa_load_linear(l, t->patch, NULL);
    clip->class_token = sa_load_f32(l, t->class_token);
    clip->position = sa_load_f32(l, t->position);
    clip->pre_norm = load_norm(l, &t->pre_norm, eps);
    for (size_t i = 0; i < clip->feature.layers; i++) { /* layers behind the feature stay in the file */
        const sa_clip_block_tensors *from = &t->block[i];
        clip->block[i] = (clip_block){
            .norm1 = load_norm(l, &from->norm1, eps),
            .norm2 = load_norm(l, &from->norm2, eps),
            .qkv = sa_load_fused(l, from->qkv, 3),
            .proj = sa_load_linear(l, from->proj.weight, from->proj.bias),
            .lin1 = sa_load_linear(l, from->lin1.weight, from->lin1.bias),
            .lin2 = sa_load_linear(l, from->lin2.weight, from->lin2.bias),
        };
    }
}

/* ---- memory ---- */

static sa_attention_args attention(const sa_clip *clip, size_t count)
{
    size_t d = clip->config.hidden, t = sa_dtype_size(clip->precision);
    const unsigned char *qkv = clip->wide;
    return (sa_attention_args){.count = count,
                               .heads = clip->config.heads,
                               .head_dim = d / clip->config.heads,
                               .items = clip->items,
                               .dtype = clip->precision,
                               .q = qkv,
                               .k = qkv + d * t,
                               .v = qkv + 2 * d * t,
                               .ldq = 3 * d,
                               .ldk = 3 * d,
                               .ldv = 3 * d,
                               .out = clip->y,
                               .ldo = d,
                               .workspace = clip->workspace};
}

static void plan_buffers(sa_clip *clip, sa_arena *arena)
{
    const sa_clip_config *c = &clip->config;
    size_t rows = clip->at_once * clip->tokens, t = sa_dtype_size(clip->precision);
    size_t shown = clip->picture.shown, wide = sa_most(sa_most(3 * c->hidden, c->mlp_dim), clip->patch_row);
    clip->pixels = sa_arena_take(arena, clip->at_once * shown * shown * 3, 1);
    clip->x = sa_arena_take(arena, rows * c->hidden, sizeof(float));
    clip->y = sa_arena_take(arena, rows * c->hidden, t);
    clip->wide = sa_arena_take(arena, rows * wide, t);
    sa_attention_args args = attention(clip, clip->at_once);
    clip->workspace = sa_arena_take(arena, clip->ops->attention_workspace(clip->stream, &args), 1);
    sa_clip_device_plan(&clip->on_device, arena);
}

static void plan_host(sa_clip *clip, sa_arena *arena)
{
    size_t n = clip->at_once, shown = clip->picture.shown;
    sa_clip_picture_plan(&clip->picture, arena);
    sa_clip_device_plan_host(&clip->on_device, n, arena);
    clip->host_pixels = sa_arena_take(arena, n * shown * shown * 3, 1);
    clip->pixel_pointers = sa_arena_take(arena, n, sizeof *clip->pixel_pointers);
    clip->sides = sa_arena_take(arena, n, sizeof *clip->sides);
    clip->items = sa_arena_take(arena, n, sizeof *clip->items);
}

static sa_status take_host_memory(sa_clip *clip, const sa_clip_options *options, sa_error *err)
{
    SA_TRY(sa_clip_picture_measure(&clip->picture, &clip->preprocess, &clip->config, options->max_pixels,
                                   options->max_side, err));
    sa_clip_device_measure(&clip->on_device, &clip->picture, clip->device, clip->stream, clip->ops);
    sa_arena arena = sa_arena_measure();
    plan_host(clip, &arena);
    clip->host_memory = aligned_alloc(SA_ARENA_ALIGN, arena.used);
    clip->block = calloc(clip->feature.layers + 1, sizeof *clip->block);
    if (clip->host_memory == NULL || clip->block == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "use smaller pictures", "no memory for host buffers: %zu MB",
                       arena.used >> 20);
    }
    arena = sa_arena_on(clip->host_memory, arena.used);
    plan_host(clip, &arena);
    for (size_t i = 0; i < clip->at_once; i++) {
        uint32_t row = (uint32_t)(i * clip->tokens), count = (uint32_t)clip->tokens;
        clip->items[i] = (sa_attention_item){row, count, row, count, row};
        clip->pixel_pointers[i] = NULL;
        clip->sides[i] = clip->picture.shown;
    }
    return SA_OK;
}

static sa_status take_buffers(sa_clip *clip, sa_error *err)
{
    sa_arena arena = sa_arena_measure();
    plan_buffers(clip, &arena);
    clip->buffer_bytes = arena.used;
    SA_TRY(sa_device_alloc(clip->device, arena.used, "the image encoder", &clip->buffer_memory, err));
    arena = sa_arena_on(clip->buffer_memory, arena.used);
    plan_buffers(clip, &arena);
    size_t picture = clip->picture.shown * clip->picture.shown * 3;
    for (size_t i = 0; i < clip->at_once; i++) {
        clip->pixel_pointers[i] = clip->pixels + i * picture;
    }
    return SA_OK;
}

/* ---- opening ---- */

/* bf16 and f16 products take values in pairs: every size that a sum runs over must be even. */
static sa_status check_precision(const sa_clip *clip, const char *file, sa_error *err)
{
    const sa_clip_config *c = &clip->config;
    const sa_summed_size sizes[] = {{"vision patch_size", c->patch_size},
                                    {"vision hidden_size / num_attention_heads", c->hidden / c->heads},
                                    {"vision intermediate_size", c->mlp_dim}};
    return sa_check_even(clip->precision, file, sizes, sizeof sizes / sizeof *sizes, err);
}

static sa_status load(sa_clip *clip, const sa_clip_parts *parts, const sa_weights *weights,
                      const sa_clip_tensors *tensors, const sa_clip_options *options, sa_error *err)
{
    loading both = {clip, tensors};
    SA_TRY(check_precision(clip, parts->file, err));
    SA_TRY(take_host_memory(clip, options, err));
    SA_TRY(sa_load_model(clip->device, clip->stream, weights, clip->precision, load_all, &both,
                         &clip->weight_memory, &clip->weight_bytes, err));
    return take_buffers(clip, err);
}

sa_status sa_clip_load(sa_clip **out, sa_device *device, sa_stream *stream, const sa_clip_parts *parts,
                       const sa_weights *weights, const sa_clip_tensors *tensors,
                       const sa_clip_options *options, sa_error *err)
{
    SA_ASSERT(parts->feature.layers <= parts->config.layers);
    sa_clip *clip = calloc(1, sizeof *clip);
    if (clip == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for a model handle");
    }
    size_t grid = parts->config.image_size / parts->config.patch_size;
    *clip = (sa_clip){.config = parts->config,
                      .feature = parts->feature,
                      .preprocess = parts->preprocess,
                      .device = device,
                      .stream = stream,
                      .ops = sa_device_ops(device),
                      .precision = options->precision,
                      .at_once = options->at_once != 0 ? options->at_once : sa_device_items_at_once(device),
                      .patches = grid * grid,
                      .tokens = grid * grid + 1,
                      .patch_row = 3 * parts->config.patch_size * parts->config.patch_size};
    sa_status status = load(clip, parts, weights, tensors, options, err);
    if (status != SA_OK) {
        sa_clip_close(clip);
        return status;
    }
    *out = clip;
    return SA_OK;
}

/* Matches the file with the table and loads what it found. */
static sa_status load_file(sa_clip **clip, sa_device *device, sa_stream *stream, const sa_clip_parts *parts,
                           const sa_weights *weights, const sa_clip_options *options, sa_error *err)
{
    sa_clip_table_config found;
    sa_clip_table_config_find(weights, &parts->config, &found);
    sa_tensor_table table = sa_clip_tensor_table(&found);
    sa_weights_report report = {0};
    sa_clip_tensors *tensors = malloc(sizeof *tensors);
    sa_status status = tensors == NULL ? sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory to load weights")
                                       : sa_tensor_table_match(&table, weights, tensors, &report, err);
    sa_weights_report_free(&report);
    if (status == SA_OK) {
        status = sa_clip_load(clip, device, stream, parts, weights, tensors, options, err);
    }
    free(tensors);
    return status;
}

sa_status sa_clip_open_parts(sa_clip **clip, sa_device *device, sa_stream *stream, const char *directory,
                             const sa_clip_parts *parts, const sa_clip_options *options, sa_error *err)
{
    sa_weights *weights;
    SA_TRY(sa_weights_open(&weights, directory, err));
    sa_status status = load_file(clip, device, stream, parts, weights, options, err);
    sa_weights_close(weights);
    return status;
}

sa_status sa_clip_open(sa_clip **clip, sa_device *device, sa_stream *stream, const char *directory,
                       int64_t layer, bool class_token, const sa_clip_options *options, sa_error *err)
{
    sa_clip_parts parts = {.feature.class_token = class_token, .file = directory};
    SA_TRY(sa_clip_config_open(directory, &parts.config, err));
    SA_TRY(sa_clip_feature_layer(&parts.config, layer, directory, "layer", &parts.feature, err));
    SA_TRY(sa_clip_preprocess_read(directory, &parts.config, &parts.preprocess, err));
    return sa_clip_open_parts(clip, device, stream, directory, &parts, options, err);
}

/* ---- the forward ---- */

sa_status sa_clip_check_picture(const sa_clip *clip, const sa_image *picture, sa_error *err)
{
    return sa_clip_picture_check(&clip->picture, picture, err);
}

bool sa_clip_paints(const sa_clip *clip, const sa_image *picture)
{
    return sa_clip_device_takes(&clip->on_device, picture->height, picture->width);
}

size_t sa_clip_pictures_sent(const sa_clip *clip)
{
    return clip->on_device.sent;
}

static void place_picture(sa_clip *clip, const sa_view *view, size_t index)
{
    size_t bytes = clip->picture.shown * clip->picture.shown * 3;
    uint8_t *host = clip->host_pixels + index * bytes, *device = clip->pixels + index * bytes;
    if (sa_clip_paints(clip, view->picture)) {
        sa_clip_device_run(&clip->on_device, view, index, device);
    } else {
        SA_ASSERT(view->mask == NULL);
        sa_clip_picture_run(&clip->picture, view->picture, host, sa_device_pool(clip->device));
        sa_stream_upload(clip->stream, device, host, bytes);
    }
}

static void patchify(sa_clip *clip, size_t count)
{
    sa_patchify_args args = {.batch = count,
                             .side = clip->picture.shown,
                             .patch = clip->config.patch_size,
                             .pixels = clip->pixel_pointers,
                             .height = clip->sides,
                             .width = clip->sides,
                             .y = clip->wide,
                             .dtype = clip->precision};
    for (int c = 0; c < 3; c++) {
        args.mean[c] = clip->preprocess.mean[c];
        args.std[c] = clip->preprocess.std[c];
    }
    clip->ops->patchify(clip->stream, &args);
}

/* One picture's tokens: the class token and the products of its patches, each plus its position. */
static void embed(sa_clip *clip, size_t picture)
{
    size_t d = clip->config.hidden;
    float *x = clip->x + picture * clip->tokens * d;
    const unsigned char *rows = clip->wide;
    rows += picture * clip->patches * clip->patch_row * sa_dtype_size(clip->precision);
    clip->ops->add(clip->stream, &(sa_add_args){.rows = 1,
                                                .d = d,
                                                .a = clip->class_token,
                                                .a_rows = 1,
                                                .b = clip->position,
                                                .b_rows = 1,
                                                .y = x,
                                                .y_dtype = SA_F32});
    sa_linear_run(&clip->patch, clip->ops, clip->stream, clip->precision, clip->patches, rows, SA_ACT_NONE,
                  clip->position + d, x + d, SA_F32);
}

/* The tokens that are features, in the precision, one picture's behind the other's. */
static void take_features(sa_clip *clip, size_t count)
{
    size_t d = clip->config.hidden, first = clip->tokens - sa_clip_tokens(clip);
    size_t rows = sa_clip_tokens(clip), size = d * sa_dtype_size(clip->precision);
    for (size_t i = 0; i < count; i++) {
        const float *from = clip->x + (i * clip->tokens + first) * d;
        clip->ops->add(clip->stream, &(sa_add_args){.rows = rows,
                                                    .d = d,
                                                    .a = from,
                                                    .a_rows = rows,
                                                    .y = (unsigned char *)clip->y + i * rows * size,
                                                    .y_dtype = clip->precision});
    }
}

const void *sa_clip_encode(sa_clip *clip, const sa_view *views, size_t count)
{
    SA_ASSERT(count <= clip->at_once);
    const sa_ops *ops = clip->ops;
    sa_stream *stream = clip->stream;
    sa_dtype t = clip->precision;
    size_t rows = count * clip->tokens;
    sa_activation act = clip->config.act;

    for (size_t i = 0; i < count; i++) {
        place_picture(clip, &views[i], i);
    }
    sa_stream_group_begin(stream);
    patchify(clip, count); /* wide [B*P, patch row] */
    for (size_t i = 0; i < count; i++) {
        embed(clip, i); /* x [B*T, D] */
    }
    sa_norm_run(&clip->pre_norm, ops, stream, rows, clip->x, SA_ACT_NONE, clip->x, SA_F32);

    for (size_t i = 0; i < clip->feature.layers; i++) {
        const clip_block *block = &clip->block[i];
        sa_norm_run(&block->norm1, ops, stream, rows, clip->x, SA_ACT_NONE, clip->y, t);
        sa_linear_run(&block->qkv, ops, stream, t, rows, clip->y, SA_ACT_NONE, NULL, clip->wide, t);
        sa_attention_args args = attention(clip, count);
        ops->attention(stream, &args); /* wide -> y */
        sa_linear_run(&block->proj, ops, stream, t, rows, clip->y, SA_ACT_NONE, clip->x, clip->x, SA_F32);

        sa_norm_run(&block->norm2, ops, stream, rows, clip->x, SA_ACT_NONE, clip->y, t);
        sa_linear_run(&block->lin1, ops, stream, t, rows, clip->y, act, NULL, clip->wide, t);
        sa_linear_run(&block->lin2, ops, stream, t, rows, clip->wide, SA_ACT_NONE, clip->x, clip->x, SA_F32);
    }
    take_features(clip, count);
    sa_stream_group_end(stream);
    return clip->y;
}

/* MODEL_SPECS 5.7: products only; 2 flops a multiply-add. */
sa_clip_costs sa_clip_get_costs(const sa_clip *clip)
{
    double d = (double)clip->config.hidden, tokens = (double)clip->tokens;
    double layer = 2.0 * d * (4.0 * d + 2.0 * (double)clip->config.mlp_dim) + 4.0 * tokens * d;
    double patches = (double)clip->patches * 2.0 * (double)clip->patch_row * d;
    return (sa_clip_costs){.encode = patches + tokens * (double)clip->feature.layers * layer,
                           .weight_bytes = clip->weight_bytes,
                           .activation_bytes = clip->buffer_bytes};
}
