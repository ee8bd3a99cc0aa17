/*
 * SAM's prompt encoder and mask decoder: embedding and prompts to mask logits and predicted IoU
 * (MODEL_SPECS 2.3 to 2.5; the right half of the paper's figure 4 and figure 14).
 *
 *   clicks, box -> tokens;  embedding + mask prompt -> keys
 *   [ tokens attend to themselves, then to the keys; MLP; keys attend to the tokens ] x layers; tokens to
 * keys once more keys -> upscaled features;  mask tokens -> hypernetworks;  features x hypernetworks ->
 * logits;  IoU token -> scores
 *
 * N prompts at a time, each with its own number of tokens: token rows of all prompts stand one after another.
 * What layer 0 computes from the image alone is the same for every prompt without a mask; it is kept with the
 * slot (sam_prepare_slot) and read from there.
 */
#include <string.h>

#include "runtime/base/sizes.h"
#include "runtime/models/sam.h"

/* The longest workspace of the three shapes of attention: tokens/tokens, tokens/image, image/tokens. */
static size_t attention_workspace(const sa_sam *sam)
{
    uint32_t image = (uint32_t)(sam->grid * sam->grid), tokens = (uint32_t)sam->max_tokens;
    sa_attention_item self = {.q_count = tokens, .k_count = tokens};
    sa_attention_item to_image = {.q_count = tokens, .k_count = image};
    sa_attention_item from_image = {.q_count = image, .k_count = tokens};
    size_t heads = sam->config.decoder.heads;
    sa_attention_args args = {.count = 1, .heads = heads, .dtype = sam->options.precision};
    args.head_dim = sam->channels / heads;
    args.items = &self;
    size_t bytes = sam->ops->attention_workspace(sam->stream, &args);
    args.head_dim = sam->inner / heads;
    args.items = &to_image;
    bytes = sa_most(bytes, sam->ops->attention_workspace(sam->stream, &args));
    args.items = &from_image;
    return sa_most(bytes, sam->ops->attention_workspace(sam->stream, &args));
}

/* One of the two 2x2 stride-2 convolutions of a mask prompt, from a map of side x side. */
static sa_convolution_args mask_convolution(const sa_sam *sam, size_t side, size_t channels, size_t n)
{
    return (sa_convolution_args){.batch = 1,
                                 .height = side,
                                 .width = side,
                                 .channels = channels,
                                 .kernel = 2,
                                 .stride = 2,
                                 .n = n,
                                 .dtype = sam->options.precision,
                                 .workspace = sam->decode.mask_rows};
}

void sam_decode_plan(sa_sam *sam, sa_arena *arena)
{
    sam_decode_buffers *b = &sam->decode;
    size_t n = sam->at_once, rows = n * sam->max_tokens, t = sam_size_t(sam), f = sizeof(float);
    size_t c = sam->channels, g = sam->grid, s = sam->low_side, keys = n * g * g,
           in = sam->config.prompt.mask_channels;
    b->uv = sa_arena_take(arena, sa_most(rows, g * g) * 2, f);
    b->kind = sa_arena_take(arena, sa_most(rows, g * g), sizeof(int32_t));
    b->tokens = sa_arena_take(arena, rows * c, f);
    b->position = sa_arena_take(arena, rows * c, f);
    b->tokens_t = sa_arena_take(arena, rows * c, t);
    b->tokens_p = sa_arena_take(arena, rows * c, t);
    b->tq = sa_arena_take(arena, rows * c, t);
    b->tk = sa_arena_take(arena, rows * c, t);
    b->tv = sa_arena_take(arena, rows * c, t);
    b->ta = sa_arena_take(arena, rows * c, t);
    b->hidden = sa_arena_take(arena, rows * sam->config.decoder.mlp_dim, t);
    b->keys = sa_arena_take(arena, keys * c, f);
    b->keys_t = sa_arena_take(arena, keys * c, t);
    b->keys_p = sa_arena_take(arena, keys * c, t);
    b->ik = sa_arena_take(arena, keys * sam->inner, t);
    b->iv = sa_arena_take(arena, keys * sam->inner, t);
    b->iq = sa_arena_take(arena, keys * sam->inner, t);
    b->ia = sa_arena_take(arena, keys * sam->inner, t);
    b->low = sa_arena_take(arena, n * s * s, f);
    /* the mask, then in/4 channels of half its sides, then in channels of a quarter */
    b->mask_t = sa_arena_take(arena, sa_most(s * s, s * s / 16 * in), t);
    sa_convolution_args mask1 = mask_convolution(sam, s, 1, in / 4);
    sa_convolution_args mask2 = mask_convolution(sam, s / 2, in / 4, in);
    b->mask_rows = sa_arena_take(arena,
                                 sa_most(sam->ops->convolution_workspace(sam->stream, &mask1),
                                         sam->ops->convolution_workspace(sam->stream, &mask2)),
                                 1);
    b->mask_f = sa_arena_take(arena, sa_most(s * s / 4 * (in / 4), g * g * c), f);
    b->up1 = sa_arena_take(arena, keys * c, f);
    b->up1_t = sa_arena_take(arena, keys * c, t);
    b->up2 = sa_arena_take(arena, keys * 2 * c, t);
    b->out_tokens = sa_arena_take(arena, n * (1 + sam->mask_tokens) * c, t);
    size_t widest = sa_most(c, sam->config.decoder.iou_hidden);
    b->mlp_a = sa_arena_take(arena, n * widest, t);
    b->mlp_b = sa_arena_take(arena, n * widest, t);
    b->hyper = sa_arena_take(arena, n * sam->masks * (c / 8), f);
    b->scores = sa_arena_take(arena, sam->options.batch * sam->mask_tokens, f);
    b->logits = sa_arena_take(arena, sam->options.batch * sam->masks * s * s, f);
    b->workspace = sa_arena_take(arena, attention_workspace(sam), 1);
}

/* y = a + b[r % b_rows], in the working precision or f32. */
static void add(const sa_sam *sam, size_t rows, const float *a, const float *b, size_t b_rows, void *y,
                sa_dtype dtype)
{
    sam->ops->add(sam->stream, &(sa_add_args){.rows = rows,
                                              .d = sam->channels,
                                              .a = a,
                                              .a_rows = rows,
                                              .b = b,
                                              .b_rows = b_rows,
                                              .y = y,
                                              .y_dtype = dtype});
}

/* y [rows, n] t = linear(x), no activation. */
static void project(const sa_sam *sam, const sa_linear *linear, size_t rows, const void *x, void *y)
{
    sa_linear_run(linear, sam->ops, sam->stream, sam->options.precision, rows, x, SA_ACT_NONE, NULL, y,
                  sam->options.precision);
}

/* stream [rows, C] = linear(x) + residual (NULL: none) */
static void project_to_stream(const sa_sam *sam, const sa_linear *linear, size_t rows, const void *x,
                              const float *residual, float *stream)
{
    sa_linear_run(linear, sam->ops, sam->stream, sam->options.precision, rows, x, SA_ACT_NONE, residual,
                  stream, SA_F32);
}

static void normalise(const sa_sam *sam, const sa_norm *norm, size_t rows, float *stream)
{
    sa_norm_run(norm, sam->ops, sam->stream, rows, stream, SA_ACT_NONE, stream, SA_F32);
}

static void attend(const sa_sam *sam, const sa_attention_item *items, size_t count, size_t width,
                   const void *q, const void *k, const void *v, void *out)
{
    size_t heads = sam->config.decoder.heads;
    sam->ops->attention(sam->stream, &(sa_attention_args){.count = count,
                                                          .heads = heads,
                                                          .head_dim = width / heads,
                                                          .items = items,
                                                          .dtype = sam->options.precision,
                                                          .q = q,
                                                          .k = k,
                                                          .v = v,
                                                          .ldq = width,
                                                          .ldk = width,
                                                          .ldv = width,
                                                          .out = out,
                                                          .ldo = width,
                                                          .workspace = sam->decode.workspace});
}

/* Mask prompt [s,s] -> dense [G, C]: two 2x2 stride-2 convolutions with norm and GELU, and a 1x1 one. */
static void embed_mask(const sa_sam *sam, const float *low, float *dense)
{
    const sam_weights *w = &sam->weights;
    const sam_decode_buffers *b = &sam->decode;
    sa_dtype t = sam->options.precision;
    size_t s = sam->low_side;
    sam->ops->add(sam->stream,
                  &(sa_add_args){.rows = s, .d = s, .a = low, .a_rows = s, .y = b->mask_t, .y_dtype = t});
    sa_convolution_run(&w->mask1, sam->ops, sam->stream, mask_convolution(sam, s, 1, w->mask1.n), b->mask_t,
                       b->mask_f);
    sa_norm_run(&w->mask_norm1, sam->ops, sam->stream, s * s / 4, b->mask_f, SA_ACT_GELU, b->mask_t, t);
    sa_convolution_run(&w->mask2, sam->ops, sam->stream, mask_convolution(sam, s / 2, w->mask1.n, w->mask2.n),
                       b->mask_t, b->mask_f);
    sa_norm_run(&w->mask_norm2, sam->ops, sam->stream, s * s / 16, b->mask_f, SA_ACT_GELU, b->mask_t, t);
    project_to_stream(sam, &w->mask3, s * s / 16, b->mask_t, NULL, dense);
}

/*
 * keys = embedding + dense, for a prompt with a mask; without one, the learned no-mask vector is the dense
 * part.
 */
static void start_keys(sa_sam *sam, const sam_prompt *prompt, size_t index)
{
    size_t image = sam->grid * sam->grid;
    const float *embedding = sam->embedding + prompt->slot * image * sam->channels;
    float *keys = sam->decode.keys + index * image * sam->channels;
    if (prompt->has_mask) {
        embed_mask(sam, sam->decode.low + index * sam->low_side * sam->low_side, sam->decode.mask_f);
        add(sam, image, embedding, sam->decode.mask_f, image, keys, SA_F32);
    } else {
        add(sam, image, embedding, sam->weights.no_mask, 1, keys, SA_F32);
    }
}

/* Keys in the working precision, without and with their position. */
static void round_keys(const sa_sam *sam, size_t rows, const float *keys, void *keys_t, void *keys_p)
{
    add(sam, rows, keys, NULL, 0, keys_t, sam->options.precision);
    add(sam, rows, keys, sam->weights.grid_position, sam->grid * sam->grid, keys_p, sam->options.precision);
}

static void project_image(const sa_sam *sam, const sam_two_way *layer, size_t rows, const void *keys_t,
                          const void *keys_p, void *k, void *v, void *q)
{
    project(sam, &layer->to_image.k, rows, keys_p, k);
    project(sam, &layer->to_image.v, rows, keys_t, v);
    project(sam, &layer->from_image.q, rows, keys_p, q);
}

static void *rows_at(void *base, size_t row, size_t width, size_t size)
{
    return (unsigned char *)base + row * width * size;
}

void sam_prepare_slot(sa_sam *sam, size_t slot)
{
    const sam_decode_buffers *b = &sam->decode;
    size_t image = sam->grid * sam->grid, t = sam_size_t(sam);
    sam_prompt prompt = {.slot = slot};
    start_keys(sam, &prompt, 0);
    round_keys(sam, image, b->keys, b->keys_t, b->keys_p);
    project_image(sam, &sam->weights.layer[0], image, b->keys_t, b->keys_p,
                  rows_at(sam->slot_k, slot * image, sam->inner, t),
                  rows_at(sam->slot_v, slot * image, sam->inner, t),
                  rows_at(sam->slot_q, slot * image, sam->inner, t));
}

/* Where each prompt's queries, keys and results stand, for the kinds of attention below. */
enum { ITEMS_SELF, ITEMS_TO_IMAGE, ITEMS_FROM_IMAGE };

static void fill_items(sa_sam *sam, const sam_prompt *prompts, size_t count)
{
    uint32_t image = (uint32_t)(sam->grid * sam->grid);
    for (size_t i = 0; i < count; i++) {
        uint32_t row = (uint32_t)prompts[i].first_token, tokens = (uint32_t)prompts[i].tokens;
        uint32_t keys = (uint32_t)i * image;
        sam->items[ITEMS_SELF][i] = (sa_attention_item){row, tokens, row, tokens, row};
        sam->items[ITEMS_TO_IMAGE][i] = (sa_attention_item){row, tokens, keys, image, row};
        sam->items[ITEMS_FROM_IMAGE][i] = (sa_attention_item){keys, image, row, tokens, keys};
    }
}

/* Layer 0's image side is copied from the slot where no mask prompt changes it. */
static void take_slot_projections(sa_sam *sam, const sam_prompt *prompts, size_t count)
{
    const sam_decode_buffers *b = &sam->decode;
    size_t image = sam->grid * sam->grid, t = sam_size_t(sam), bytes = image * sam->inner * t;
    for (size_t i = 0; i < count; i++) {
        if (prompts[i].has_mask) {
            const float *keys = b->keys + i * image * sam->channels;
            void *k = rows_at(b->ik, i * image, sam->inner, t), *v = rows_at(b->iv, i * image, sam->inner, t);
            round_keys(sam, image, keys, b->keys_t, b->keys_p);
            project_image(sam, &sam->weights.layer[0], image, b->keys_t, b->keys_p, k, v,
                          rows_at(b->iq, i * image, sam->inner, t));
        } else {
            size_t from = prompts[i].slot * image;
            sa_stream_copy(sam->stream, rows_at(b->ik, i * image, sam->inner, t),
                           rows_at(sam->slot_k, from, sam->inner, t), bytes);
            sa_stream_copy(sam->stream, rows_at(b->iv, i * image, sam->inner, t),
                           rows_at(sam->slot_v, from, sam->inner, t), bytes);
            sa_stream_copy(sam->stream, rows_at(b->iq, i * image, sam->inner, t),
                           rows_at(sam->slot_q, from, sam->inner, t), bytes);
        }
    }
}

/* tokens_t = tokens; tokens_p = tokens + position, both in the working precision. */
static void round_tokens(const sa_sam *sam, size_t rows)
{
    const sam_decode_buffers *b = &sam->decode;
    add(sam, rows, b->tokens, NULL, 0, b->tokens_t, sam->options.precision);
    add(sam, rows, b->tokens, b->position, rows, b->tokens_p, sam->options.precision);
}

static void self_attention(sa_sam *sam, const sam_two_way *layer, size_t index, size_t count, size_t rows)
{
    const sam_decode_buffers *b = &sam->decode;
    /*
     * The first layer looks at the bare tokens (they are their own position) and replaces them: no residual.
     */
    const void *queries = index == 0 ? b->tokens_t : b->tokens_p;
    project(sam, &layer->self.q, rows, queries, b->tq);
    project(sam, &layer->self.k, rows, queries, b->tk);
    project(sam, &layer->self.v, rows, b->tokens_t, b->tv);
    attend(sam, sam->items[ITEMS_SELF], count, sam->channels, b->tq, b->tk, b->tv, b->ta);
    project_to_stream(sam, &layer->self.out, rows, b->ta, index == 0 ? NULL : b->tokens, b->tokens);
    normalise(sam, &layer->norm1, rows, b->tokens);
}

/* tokens += attention of tokens to the keys, whose projections stand in ik and iv. */
static void attend_to_image(sa_sam *sam, const sam_attention *attention, size_t count, size_t rows)
{
    const sam_decode_buffers *b = &sam->decode;
    round_tokens(sam, rows);
    project(sam, &attention->q, rows, b->tokens_p, b->tq);
    attend(sam, sam->items[ITEMS_TO_IMAGE], count, sam->inner, b->tq, b->ik, b->iv, b->ta);
    project_to_stream(sam, &attention->out, rows, b->ta, b->tokens, b->tokens);
}

static void token_mlp(sa_sam *sam, const sam_two_way *layer, size_t rows)
{
    const sam_decode_buffers *b = &sam->decode;
    add(sam, rows, b->tokens, NULL, 0, b->tokens_t, sam->options.precision);
    sa_linear_run(&layer->lin1, sam->ops, sam->stream, sam->options.precision, rows, b->tokens_t, SA_ACT_RELU,
                  NULL, b->hidden, sam->options.precision);
    project_to_stream(sam, &layer->lin2, rows, b->hidden, b->tokens, b->tokens);
    normalise(sam, &layer->norm3, rows, b->tokens);
}

/* keys += attention of the keys to the tokens; the keys' queries stand in iq. */
static void attend_from_image(sa_sam *sam, const sam_two_way *layer, size_t count, size_t rows)
{
    const sam_decode_buffers *b = &sam->decode;
    size_t image_rows = count * sam->grid * sam->grid;
    round_tokens(sam, rows);
    project(sam, &layer->from_image.k, rows, b->tokens_p, b->tk);
    project(sam, &layer->from_image.v, rows, b->tokens_t, b->tv);
    attend(sam, sam->items[ITEMS_FROM_IMAGE], count, sam->inner, b->iq, b->tk, b->tv, b->ia);
    project_to_stream(sam, &layer->from_image.out, image_rows, b->ia, b->keys, b->keys);
    normalise(sam, &layer->norm4, image_rows, b->keys);
}

/* y [count, n of the last layer] with row distance ldy; x rows in out_tokens. */
static void run_mlp(sa_sam *sam, const sam_mlp *mlp, size_t count, const void *x, size_t ldx, float *y,
                    size_t ldy)
{
    const void *from = x;
    size_t ld = ldx;
    for (size_t i = 0; i < mlp->depth; i++) {
        bool last = i + 1 == mlp->depth;
        void *to = last ? (void *)y : i % 2 == 0 ? sam->decode.mlp_a : sam->decode.mlp_b;
        sam->ops->gemm(sam->stream, &(sa_gemm_args){.m = count,
                                                    .n = mlp->layer[i].n,
                                                    .k = mlp->layer[i].k,
                                                    .dtype = sam->options.precision,
                                                    .a = from,
                                                    .lda = ld,
                                                    .w = mlp->layer[i].w,
                                                    .bias = mlp->layer[i].bias,
                                                    .act = last ? SA_ACT_NONE : SA_ACT_RELU,
                                                    .c = to,
                                                    .c_dtype = last ? SA_F32 : sam->options.precision,
                                                    .ldc = last ? ldy : mlp->layer[i].n});
        from = to;
        ld = mlp->layer[i].n;
    }
}

/* Hypernetwork weights of masks 1 .. M and the IoU scores, from the first tokens of each prompt. */
static void read_tokens(sa_sam *sam, const sam_prompt *prompts, size_t count, float *scores)
{
    const sam_decode_buffers *b = &sam->decode;
    size_t c = sam->channels, t = sam_size_t(sam), kept = 1 + sam->mask_tokens;
    for (size_t i = 0; i < count; i++) {
        add(sam, kept, b->tokens + prompts[i].first_token * c, NULL, 0,
            rows_at(b->out_tokens, i * kept, c, t), sam->options.precision);
    }
    for (size_t m = 0; m < sam->masks; m++) { /* token 1 is mask 0, which multi-mask output leaves out */
        run_mlp(sam, &sam->weights.hyper[m], count, rows_at(b->out_tokens, 2 + m, c, t), kept * c,
                b->hyper + m * (c / 8), sam->masks * (c / 8));
    }
    run_mlp(sam, &sam->weights.iou, count, b->out_tokens, kept * c, scores, sam->mask_tokens);
}

/*
 * keys_t -> features [N*G*16, C/8]: two transposed convolutions; see mask_product for the order of the rows.
 */
static void upscale(sa_sam *sam, size_t image_rows)
{
    const sam_weights *w = &sam->weights;
    const sam_decode_buffers *b = &sam->decode;
    sa_dtype t = sam->options.precision;
    project_to_stream(sam, &w->up1, image_rows, b->keys_t, NULL, b->up1);
    sa_norm_run(&w->up_norm, sam->ops, sam->stream, image_rows * 4, b->up1, SA_ACT_GELU, b->up1_t, t);
    sa_linear_run(&w->up2, sam->ops, sam->stream, t, image_rows * 4, b->up1_t, SA_ACT_GELU, NULL, b->up2, t);
}

void sam_decode(sa_sam *sam, const sam_prompt *prompts, size_t count, size_t rows, size_t first)
{
    const sam_weights *w = &sam->weights;
    sam_decode_buffers *b = &sam->decode;
    size_t image_rows = count * sam->grid * sam->grid;

    fill_items(sam, prompts, count);
    sam->ops->point_encode(sam->stream, &(sa_point_encode_args){.n = rows,
                                                                .channels = sam->channels,
                                                                .uv = b->uv,
                                                                .kind = b->kind,
                                                                .gaussian = w->gaussian,
                                                                .table = w->token_table,
                                                                .y = b->position});
    add(sam, rows, b->position, NULL, 0, b->tokens, SA_F32); /* tokens start as their own position */
    for (size_t i = 0; i < count; i++) {
        start_keys(sam, &prompts[i], i);
    }

    for (size_t i = 0; i < sam->config.decoder.layers; i++) {
        const sam_two_way *layer = &w->layer[i];
        round_tokens(sam, rows);
        self_attention(sam, layer, i, count, rows);
        if (i == 0) {
            take_slot_projections(sam, prompts, count);
        } else {
            project_image(sam, layer, image_rows, b->keys_t, b->keys_p, b->ik, b->iv, b->iq);
        }
        attend_to_image(sam, &layer->to_image, count, rows);
        normalise(sam, &layer->norm2, rows, b->tokens);
        token_mlp(sam, layer, rows);
        attend_from_image(sam, layer, count, rows);
        round_keys(sam, image_rows, b->keys, b->keys_t, b->keys_p);
    }
    project(sam, &w->final.k, image_rows, b->keys_p, b->ik);
    project(sam, &w->final.v, image_rows, b->keys_t, b->iv);
    attend_to_image(sam, &w->final, count, rows);
    normalise(sam, &w->final_norm, rows, b->tokens);

    read_tokens(sam, prompts, count, b->scores + first * sam->mask_tokens);
    upscale(sam, image_rows);
    sam->ops->mask_product(
        sam->stream,
        &(sa_mask_product_args){.batch = count,
                                .side = sam->grid,
                                .masks = sam->masks,
                                .channels = sam->channels / 8,
                                .features = b->up2,
                                .dtype = sam->options.precision,
                                .hyper = b->hyper,
                                .logits = b->logits + first * sam->masks * sam->low_side * sam->low_side});
}
