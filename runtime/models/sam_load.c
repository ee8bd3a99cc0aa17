/* SAM's weights: from the tensors of a file to layers in one block of device memory. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/models/sam.h"

static sa_linear linear(sa_loader *l, const sa_tensor_pair *t)
{
    return sa_load_linear(l, t->weight, t->bias);
}

static sa_norm norm(sa_loader *l, const sa_tensor_pair *t, float eps)
{
    return sa_load_norm(l, t->weight, t->bias, eps);
}

static sam_attention attention(sa_loader *l, const sa_sam_attention_tensors *t)
{
    return (sam_attention){linear(l, &t->q), linear(l, &t->k), linear(l, &t->v), linear(l, &t->out)};
}

static void load_vision(sa_sam *sam, sa_loader *l, const sa_sam_tensors *t)
{
    const sa_sam_vision_config *c = &sam->config.vision;
    sam_weights *w = &sam->weights;
    w->patch = linear(l, &t->patch);
    w->position = t->position != NULL ? sa_load_f32(l, t->position) : NULL;
    for (size_t i = 0; i < c->layers; i++) {
        const sa_sam_block_tensors *from = &t->block[i];
        w->block[i] = (sam_block){
            .norm1 = norm(l, &from->norm1, c->eps),
            .norm2 = norm(l, &from->norm2, c->eps),
            .qkv = linear(l, &from->qkv),
            .proj = linear(l, &from->proj),
            .lin1 = linear(l, &from->lin1),
            .lin2 = linear(l, &from->lin2),
            .rel_h = from->rel_h != NULL ? sa_load_rel(l, from->rel_h) : NULL,
            .rel_w = from->rel_w != NULL ? sa_load_rel(l, from->rel_w) : NULL,
            .window = c->global[i] ? 0 : c->window,
        };
    }
    w->neck1 = linear(l, &t->neck1);
    w->neck2 = sa_load_convolution(l, t->neck2.weight, NULL);
    w->neck_norm1 = norm(l, &t->neck_norm1, 1e-6f); /* the neck's eps is fixed in both releases */
    w->neck_norm2 = norm(l, &t->neck_norm2, 1e-6f);
}

/*
 * The rows that point_encode adds or puts in place of a point, in the order of SAM_NEGATIVE ..
 * SAM_MASK_TOKENS.
 */
static float *load_token_table(sa_loader *l, const sa_sam_tensors *t)
{
    const sa_tensor *rows[] = {t->point[0],    t->point[1],  t->point[2],   t->point[3],
                               t->not_a_point, t->iou_token, t->mask_tokens};
    return sa_load_joined_f32(l, rows, sizeof rows / sizeof *rows);
}

static void load_prompt(sa_sam *sam, sa_loader *l, const sa_sam_tensors *t)
{
    sam_weights *w = &sam->weights;
    float eps = sam->config.prompt.eps;
    w->gaussian = sa_load_f32(l, t->gaussian);
    w->token_table = load_token_table(l, t);
    w->no_mask = sa_load_f32(l, t->no_mask);
    w->grid_position = sa_arena_take(l->arena, sam->grid * sam->grid * sam->channels, sizeof(float));
    w->mask1 = sa_load_convolution(l, t->mask1.weight, t->mask1.bias);
    w->mask2 = sa_load_convolution(l, t->mask2.weight, t->mask2.bias);
    w->mask3 = linear(l, &t->mask3);
    w->mask_norm1 = norm(l, &t->mask_norm1, eps);
    w->mask_norm2 = norm(l, &t->mask_norm2, eps);
}

static sam_two_way load_layer(sa_loader *l, const sa_sam_layer_tensors *t, float eps)
{
    return (sam_two_way){
        .self = attention(l, &t->self),
        .to_image = attention(l, &t->to_image),
        .from_image = attention(l, &t->from_image),
        .norm1 = norm(l, &t->norm1, eps),
        .norm2 = norm(l, &t->norm2, eps),
        .norm3 = norm(l, &t->norm3, eps),
        .norm4 = norm(l, &t->norm4, eps),
        .lin1 = linear(l, &t->lin1),
        .lin2 = linear(l, &t->lin2),
    };
}

static void load_mlp(sa_loader *l, const sa_sam_mlp_tensors *t, sam_mlp *mlp)
{
    for (size_t i = 0; i < mlp->depth; i++) {
        mlp->layer[i] = linear(l, &t->layer[i]);
    }
}

static void load_decoder(sa_sam *sam, sa_loader *l, const sa_sam_tensors *t)
{
    const sa_sam_decoder_config *c = &sam->config.decoder;
    sam_weights *w = &sam->weights;
    for (size_t i = 0; i < c->layers; i++) {
        w->layer[i] = load_layer(l, &t->layer[i], c->eps);
    }
    w->final = attention(l, &t->final);
    w->final_norm = norm(l, &t->final_norm, c->final_eps);
    w->up1 = sa_load_transposed(l, t->up1.weight, t->up1.bias);
    w->up2 = sa_load_transposed(l, t->up2.weight, t->up2.bias);
    w->up_norm = norm(l, &t->up_norm, 1e-6f);
    for (size_t m = 0; m < sam->masks; m++) { /* mask 0, for single-mask output, is not used */
        load_mlp(l, &t->hyper[m + 1], &w->hyper[m]);
    }
    load_mlp(l, &t->iou, &w->iou);
}

/* A model and the tensors that it is loaded from. */
typedef struct {
    sa_sam *sam;
    const sa_sam_tensors *tensors;
} loading;

static void load_all(sa_loader *l, void *model)
{
    const loading *both = model;
    load_vision(both->sam, l, both->tensors);
    load_prompt(both->sam, l, both->tensors);
    load_decoder(both->sam, l, both->tensors);
}

static sa_status make_layers(sa_sam *sam, sa_error *err)
{
    sam_weights *w = &sam->weights;
    size_t iou = sam->config.decoder.iou_depth, each = 3;
    w->block = calloc(sam->config.vision.layers, sizeof *w->block);
    w->layer = calloc(sam->config.decoder.layers, sizeof *w->layer);
    w->hyper = calloc(sam->masks, sizeof *w->hyper);
    w->mlp_layers = calloc(sam->masks * each + iou, sizeof *w->mlp_layers);
    if (w->block == NULL || w->layer == NULL || w->hyper == NULL || w->mlp_layers == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for the layers of a model");
    }
    for (size_t m = 0; m < sam->masks; m++) {
        w->hyper[m] = (sam_mlp){.layer = w->mlp_layers + m * each, .depth = each};
    }
    w->iou = (sam_mlp){.layer = w->mlp_layers + sam->masks * each, .depth = iou};
    return SA_OK;
}

sa_status sam_load(sa_sam *sam, const sa_weights *weights, sa_error *err)
{
    sa_sam_tensors *tensors = malloc(sizeof *tensors);
    sa_tensor_table table = sa_sam_tensor_table(&sam->config);
    sa_weights_report report = {0};
    sa_status status = tensors == NULL
                           ? sa_fail(err, SA_NO_ROOM, sam->path, NULL, "no memory to load weights")
                           : sa_tensor_table_match(&table, weights, tensors, &report, err);
    sa_weights_report_free(&report);
    if (status == SA_OK) {
        status = make_layers(sam, err);
    }
    if (status == SA_OK) {
        loading both = {sam, tensors};
        status = sa_load_model(sam->device, sam->stream, weights, sam->options.precision, load_all, &both,
                               &sam->weight_memory, &sam->weight_bytes, err);
    }
    free(tensors);
    return status;
}

void sam_place_grid(sa_sam *sam)
{
    size_t g = sam->grid;
    for (size_t i = 0; i < g * g; i++) {
        sam->uv[2 * i] = ((float)(i % g) + 0.5f) / (float)g;
        sam->uv[2 * i + 1] = ((float)(i / g) + 0.5f) / (float)g;
        sam->kind[i] = -1; /* the features alone */
    }
    sa_stream_upload(sam->stream, sam->decode.uv, sam->uv, g * g * 2 * sizeof(float));
    sa_stream_upload(sam->stream, sam->decode.kind, sam->kind, g * g * sizeof(int32_t));
    sam->ops->point_encode(sam->stream, &(sa_point_encode_args){.n = g * g,
                                                                .channels = sam->channels,
                                                                .uv = sam->decode.uv,
                                                                .kind = sam->decode.kind,
                                                                .gaussian = sam->weights.gaussian,
                                                                .table = sam->weights.token_table,
                                                                .y = sam->weights.grid_position});
    sa_stream_wait(sam->stream, NULL);
}
