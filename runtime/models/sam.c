/*
 * SAM as a segmenter: opening, memory, and what surrounds the two forwards: the clicks' way into tokens, and
 * the logits' way back to masks (MODEL_SPECS 2.6, 2.7). The picture's way into the frame stands in
 * sam_picture.c.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/checked.h"
#include "runtime/base/file.h"
#include "runtime/base/sizes.h"
#include "runtime/models/sam.h"
#include "runtime/models/segmenter_class.h"

enum { TOKENS_BESIDE_CLICKS = 3 /* a box's two corners, or the padding point, and room for the IoU token */ };

static void sam_close(void *self)
{
    sa_sam *sam = self;
    if (sam == NULL) {
        return;
    }
    sa_device_free(sam->device, sam->weight_memory);
    sa_device_free(sam->device, sam->slot_memory);
    sa_device_free(sam->device, sam->buffer_memory);
    sa_stream_close(sam->stream);
    free(sam->weights.block);
    free(sam->weights.layer);
    free(sam->weights.hyper);
    free(sam->weights.mlp_layers);
    free(sam->slots);
    free(sam->host_memory);
    free(sam);
}

static void plan_slots(sa_sam *sam, sa_arena *arena)
{
    size_t rows = sam->options.slots * sam->grid * sam->grid, t = sam_size_t(sam);
    sam->embedding = sa_arena_take(arena, rows * sam->channels, sizeof(float));
    sam->slot_k = sa_arena_take(arena, rows * sam->inner, t);
    sam->slot_v = sa_arena_take(arena, rows * sam->inner, t);
    sam->slot_q = sa_arena_take(arena, rows * sam->inner, t);
}

/*
 * The largest picture decides: its mask's rows and words (limits of sa_image_limits).
 */
static void plan_mask(sa_sam *sam, sa_arena *arena)
{
    const sa_segmenter_options *o = &sam->options;
    size_t widest = o->max_pixels < o->max_side ? o->max_pixels : o->max_side;
    sa_mask_resize_args args = {
        .low_side = sam->low_side, .frame = sam->config.vision.image_size, .height = 1, .width = widest};
    sam->mask_resize_bytes = sam->ops->mask_resize_workspace(sam->stream, &args);
    sam->mask_resize_memory = sa_arena_take(arena, sam->mask_resize_bytes, 1);
    sam->bits_words = o->max_pixels / 64 + o->max_side;
    sam->bits = sa_arena_take(arena, sam->bits_words, sizeof(uint64_t));
    const sa_mask_hash_args largest = {.height = sam->bits_words, .width = 64};
    sam->mask_hash_memory = sa_arena_take(arena, sam->ops->mask_hash_workspace(sam->stream, &largest), 1);
    sam->hashes = sa_arena_take(arena, o->batch, sizeof(uint64_t));
}

static void plan_host(sa_sam *sam, sa_arena *arena)
{
    size_t n = sam->at_once, all = sam->options.batch;
    size_t grid = sam->grid * sam->grid, rows = all * sam->max_tokens;
    sam->pixel_pointers = sa_arena_take(arena, n, sizeof *sam->pixel_pointers);
    sam->heights = sa_arena_take(arena, n, sizeof(size_t));
    sam->widths = sa_arena_take(arena, n, sizeof(size_t));
    sam_resize_plan_host(sam, arena);
    sam->uv = sa_arena_take(arena, (rows > grid ? rows : grid) * 2, sizeof(float));
    sam->kind = sa_arena_take(arena, rows > grid ? rows : grid, sizeof(int32_t));
    for (int i = 0; i < 3; i++) {
        sam->items[i] = sa_arena_take(arena, n, sizeof(sa_attention_item));
    }
    sam->prompts = sa_arena_take(arena, n, sizeof(sam_prompt));
    sam->host_scores = sa_arena_take(arena, all * sam->mask_tokens, sizeof(float));
    sam->host_hashes = sa_arena_take(arena, all, sizeof(uint64_t));
}

/* The config stands in a directory's config.json, or is read off an original checkpoint. */
static sa_status read_config(sa_sam *sam, const char *path, const sa_weights *weights, sa_error *err)
{
    return sa_file_is_directory(path) ? sa_sam_config_read(path, &sam->config, err)
                                      : sa_sam_config_from_weights(weights, &sam->config, err);
}

static sa_status take_device_memory(sa_sam *sam, void (*plan)(sa_sam *, sa_arena *), const char *what,
                                    void **memory, size_t *bytes, sa_error *err)
{
    sa_arena arena = sa_arena_measure();
    plan(sam, &arena);
    *bytes = arena.used;
    SA_TRY(sa_device_alloc(sam->device, arena.used, what, memory, err));
    arena = sa_arena_on(*memory, arena.used);
    plan(sam, &arena);
    return SA_OK;
}

static void plan_buffers(sa_sam *sam, sa_arena *arena)
{
    sam_encode_plan(sam, arena);
    sam_decode_plan(sam, arena);
    plan_mask(sam, arena);
    sam_resize_plan(sam, arena);
}

static sa_status take_host_memory(sa_sam *sam, sa_error *err)
{
    SA_TRY(sam_resize_measure(sam, err));
    sa_arena arena = sa_arena_measure();
    plan_host(sam, &arena);
    sam->host_memory = aligned_alloc(SA_ARENA_ALIGN, arena.used);
    sam->slots = calloc(sam->options.slots, sizeof *sam->slots);
    if (sam->host_memory == NULL || sam->slots == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, "use a smaller batch or smaller pictures",
                       "no memory for host buffers: %zu MB", arena.used >> 20);
    }
    arena = sa_arena_on(sam->host_memory, arena.used);
    plan_host(sam, &arena);
    return SA_OK;
}

static void set_sizes(sa_sam *sam)
{
    const sa_sam_config *config = &sam->config;
    sam->grid = config->vision.image_size / config->vision.patch_size;
    sam->channels = config->vision.output_channels;
    sam->masks = config->decoder.multimask_outputs;
    sam->mask_tokens = sam->masks + 1;
    sam->low_side = 4 * sam->grid;
    sam->inner = sam->channels / config->decoder.downsample_rate;
    sam->max_tokens = sam->mask_tokens + TOKENS_BESIDE_CLICKS + sam->options.max_clicks;
}

static sa_status check_precision(const sa_sam *sam, sa_error *err)
{
    const sa_sam_config *config = &sam->config;
    char file[sizeof sam->path + 16];
    snprintf(file, sizeof file, "%s%s", sam->path, sa_file_is_directory(sam->path) ? "/config.json" : "");
    const sa_summed_size sizes[] = {
        {"vision_config.patch_size", config->vision.patch_size},
        {"vision_config.hidden_size / num_attention_heads", config->vision.hidden / config->vision.heads},
        {"vision_config.mlp_dim", config->vision.mlp_dim},
        {"prompt_encoder_config.mask_input_channels / 4", config->prompt.mask_channels / 4},
        {"mask_decoder_config.hidden_size / attention_downsample_rate / num_attention_heads",
         sam->inner / config->decoder.heads},
        {"mask_decoder_config.mlp_dim", config->decoder.mlp_dim},
        {"mask_decoder_config.iou_head_hidden_dim", config->decoder.iou_hidden},
    };
    return sa_check_even(sam->options.precision, file, sizes, sizeof sizes / sizeof *sizes, err);
}

static sa_status open_model(sa_sam *sam, const sa_weights *weights, sa_error *err)
{
    set_sizes(sam);
    SA_TRY(check_precision(sam, err));
    SA_TRY(take_host_memory(sam, err));
    SA_TRY(sam_load(sam, weights, err));
    SA_TRY(
        take_device_memory(sam, plan_slots, "picture embeddings", &sam->slot_memory, &sam->slot_bytes, err));
    SA_TRY(
        take_device_memory(sam, plan_buffers, "activations", &sam->buffer_memory, &sam->buffer_bytes, err));
    sam_place_grid(sam);
    return SA_OK;
}

sa_status sa_sam_open(void **self, sa_device *device, const char *path, const sa_segmenter_options *options,
                      sa_error *err)
{
    sa_weights *weights = NULL;
    sa_sam *sam = calloc(1, sizeof *sam);
    if (sam == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, NULL, "no memory for a model handle");
    }
    sam->device = device;
    sam->ops = sa_device_ops(device);
    sam->options = *options;
    sam->at_once = options->at_once > 0 ? options->at_once : sa_device_items_at_once(device);
    sam->at_once = sa_least(sam->at_once, options->batch);
    snprintf(sam->path, sizeof sam->path, "%s", path);
    sa_status status = sa_stream_open(&sam->stream, device, err);
    if (status == SA_OK) {
        status = sa_weights_open(&weights, path, err);
    }
    if (status == SA_OK) {
        status = read_config(sam, path, weights, err);
    }
    if (status == SA_OK) {
        status = open_model(sam, weights, err);
    }
    if (weights != NULL) {
        sa_weights_close(weights);
    }
    if (status != SA_OK) {
        sam_close(sam);
        return status;
    }
    *self = sam;
    return SA_OK;
}

static sa_status check_picture(const sa_sam *sam, const sa_image *picture, sa_error *err)
{
    const sa_segmenter_options *o = &sam->options;
    size_t pixels = 0;
    bool fits = sa_mul_size(picture->height, picture->width, &pixels) && pixels <= o->max_pixels &&
                picture->height <= o->max_side && picture->width <= o->max_side && pixels > 0;
    if (!fits) {
        return sa_fail(err, SA_BAD_INPUT, NULL, "raise --max-pixels or scale the picture down",
                       "a picture of %zu x %zu pixels is beyond the limit of %zu pixels, %zu a side",
                       picture->width, picture->height, o->max_pixels, o->max_side);
    }
    return SA_OK;
}

static void queue_encode(sa_sam *sam, const sa_image *const *pictures, const size_t *slots, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sam_place_picture(sam, pictures[i], i, &sam->slots[slots[i]]);
    }
    sam_encode(sam, slots, count);
    for (size_t i = 0; i < count; i++) {
        sam_prepare_slot(sam, slots[i]);
    }
}

/* Pictures that go through the layers together are waited for before the next ones take their place. */
static sa_status sam_encode_start(void *self, const sa_image *const *pictures, const size_t *slots,
                                  size_t count, sa_error *err)
{
    sa_sam *sam = self;
    for (size_t i = 0; i < count; i++) {
        SA_TRY(check_picture(sam, pictures[i], err));
    }
    for (size_t i = 0; i < count; i += sam->at_once) {
        SA_TRY(i > 0 ? sa_stream_wait(sam->stream, err) : SA_OK);
        queue_encode(sam, pictures + i, slots + i, sa_least(sam->at_once, count - i));
    }
    sam->pending = (sam_pending){.slots = slots, .count = count};
    return SA_OK;
}

/* A token at x,y of the picture: into the frame in double, to float, half a pixel on, to 0..1. */
static void put_point(sa_sam *sam, const sam_slot *slot, size_t row, float x, float y, int32_t kind)
{
    float frame = (float)sam->config.vision.image_size;
    float in_x = (float)((double)x * ((double)slot->new_width / (double)slot->width));
    float in_y = (float)((double)y * ((double)slot->new_height / (double)slot->height));
    sam->uv[2 * row] = (in_x + 0.5f) / frame;
    sam->uv[2 * row + 1] = (in_y + 0.5f) / frame;
    sam->kind[row] = kind;
}

/* A learned vector in place of a point. */
static void put_vector(sa_sam *sam, size_t row, int32_t table_row)
{
    sam->uv[2 * row] = 0.0f;
    sam->uv[2 * row + 1] = 0.0f;
    sam->kind[row] = -table_row - 2;
}

/*
 * Tokens in the model's order: IoU, masks, clicks, then the box or (if anything was clicked) a padding point.
 */
static size_t put_tokens(sa_sam *sam, const sa_segmenter_query *query, size_t row)
{
    const sa_prompt *prompt = &query->prompt;
    const sam_slot *slot = &sam->slots[query->slot];
    size_t first = row;
    for (size_t i = 0; i < 1 + sam->mask_tokens; i++) {
        put_vector(sam, row++, SAM_IOU_TOKEN + (int32_t)i);
    }
    for (size_t i = 0; i < prompt->click_count; i++) {
        const sa_click *click = &prompt->clicks[i];
        put_point(sam, slot, row++, click->x, click->y, click->positive ? SAM_POSITIVE : SAM_NEGATIVE);
    }
    if (prompt->has_box) {
        put_point(sam, slot, row++, prompt->box[0], prompt->box[1], SAM_BOX_FIRST);
        put_point(sam, slot, row++, prompt->box[2], prompt->box[3], SAM_BOX_SECOND);
    } else if (prompt->click_count > 0) {
        put_vector(sam, row++, SAM_NOT_A_POINT);
    }
    return row - first;
}

static sa_status check_query(const sa_sam *sam, const sa_segmenter_query *query, sa_error *err)
{
    SA_ASSERT(query->slot < sam->options.slots && sam->slots[query->slot].filled);
    const sa_prompt *prompt = &query->prompt;
    if (prompt->click_count > sam->options.max_clicks) {
        return sa_fail(err, SA_BAD_INPUT, NULL, "give fewer clicks",
                       "%zu clicks on one object; the limit is %zu", prompt->click_count,
                       sam->options.max_clicks);
    }
    if (prompt->click_count == 0 && !prompt->has_box && query->state.values == NULL) {
        return sa_fail(err, SA_BAD_INPUT, NULL, "give a click, a box or a mask",
                       "there is nothing to segment by");
    }
    return SA_OK;
}

/*
 * Prompts [first, first + count) of a call, which are decoded together. Their rows stand behind those of the
 * prompts before, from row `row` on, on the host alone, where they stay until the stream is waited for.
 */
static size_t send_prompts(sa_sam *sam, const sa_segmenter_query *queries, size_t count, size_t row)
{
    size_t state = sam->low_side * sam->low_side, rows = 0;
    for (size_t i = 0; i < count; i++) {
        size_t tokens = put_tokens(sam, &queries[i], row + rows);
        sam->prompts[i] = (sam_prompt){.slot = queries[i].slot,
                                       .first_token = rows,
                                       .tokens = tokens,
                                       .has_mask = queries[i].state.values != NULL};
        if (sam->prompts[i].has_mask) {
            sa_stream_upload(sam->stream, sam->decode.low + i * state, queries[i].state.values,
                             state * sizeof(float));
        }
        rows += tokens;
    }
    sa_stream_upload(sam->stream, sam->decode.uv, sam->uv + 2 * row, rows * 2 * sizeof(float));
    sa_stream_upload(sam->stream, sam->decode.kind, sam->kind + row, rows * sizeof(int32_t));
    return rows;
}

static sa_status sam_click_start(void *self, const sa_segmenter_query *queries, sa_segmenter_answer *answers,
                                 size_t count, sa_error *err)
{
    sa_sam *sam = self;
    size_t row = 0;
    for (size_t i = 0; i < count; i++) {
        SA_TRY(check_query(sam, &queries[i], err));
    }
    for (size_t i = 0; i < count; i += sam->at_once) {
        size_t together = sa_least(sam->at_once, count - i);
        size_t rows = send_prompts(sam, queries + i, together, row);
        sam_decode(sam, sam->prompts, together, rows, i);
        row += rows;
    }
    sa_stream_download(sam->stream, sam->host_scores, sam->decode.scores,
                       count * sam->mask_tokens * sizeof(float));
    sam->pending = (sam_pending){.queries = queries, .answers = answers, .count = count};
    return SA_OK;
}

/* Logits of one candidate to a mask of the picture's size, on the device, then to the caller. */
static void read_mask(sa_sam *sam, const sam_slot *slot, const float *logits, sa_mask *mask)
{
    SA_ASSERT(mask->height == slot->height && mask->width == slot->width);
    sam->ops->mask_resize(sam->stream, &(sa_mask_resize_args){.low_side = sam->low_side,
                                                              .frame = sam->config.vision.image_size,
                                                              .crop_height = slot->new_height,
                                                              .crop_width = slot->new_width,
                                                              .height = slot->height,
                                                              .width = slot->width,
                                                              .threshold = 0.0f,
                                                              .low = logits,
                                                              .bits = sam->bits,
                                                              .workspace = sam->mask_resize_memory});
    sa_stream_download(sam->stream, mask->bits, sam->bits,
                       mask->height * mask->stride_words * sizeof(uint64_t));
}

/* Of the mask that was read last. */
static void hash_mask(sa_sam *sam, const sam_slot *slot, size_t index)
{
    sam->ops->mask_hash(sam->stream, &(sa_mask_hash_args){.height = slot->height,
                                                          .width = slot->width,
                                                          .bits = sam->bits,
                                                          .hash = sam->hashes + index,
                                                          .workspace = sam->mask_hash_memory});
}

static void choose_best(const sa_sam *sam, size_t index, sa_segmenter_answer *answer)
{
    answer->candidates = sam->masks;
    answer->best = 0;
    answer->finite = true;
    for (size_t m = 0; m < sam->masks; m++) {
        answer->scores[m] = sam->host_scores[index * sam->mask_tokens + 1 + m]; /* score 0 is mask 0's */
        answer->best = answer->scores[m] > answer->scores[answer->best] ? m : answer->best;
        answer->finite = answer->finite && isfinite(answer->scores[m]);
    }
}

static void read_answer(sa_sam *sam, const sam_slot *slot, size_t index, sa_segmenter_answer *answer)
{
    size_t state = sam->low_side * sam->low_side;
    const float *all = sam->decode.logits + index * sam->masks * state, *best = all + answer->best * state;
    for (size_t m = 0; m < sam->masks; m++) {
        if (answer->states[m] != NULL) {
            sa_stream_download(sam->stream, answer->states[m], all + m * state, state * sizeof(float));
        }
        if (answer->masks[m] != NULL) {
            read_mask(sam, slot, all + m * state, answer->masks[m]);
        }
    }
    if (answer->best_state != NULL) {
        sa_stream_download(sam->stream, answer->best_state, best, state * sizeof(float));
    }
    if (answer->best_mask != NULL) {
        read_mask(sam, slot, best, answer->best_mask);
        hash_mask(sam, slot, index);
    }
}

/* Those of a run of answers that have a mask: the others' were never written. */
static void read_hashes(sa_sam *sam, size_t first, size_t count)
{
    if (count > 0) {
        sa_stream_download(sam->stream, sam->host_hashes + first, sam->hashes + first,
                           count * sizeof(uint64_t));
    }
}

/* The scores say which masks are worth bringing over; then those, all of them with one wait. */
static sa_status finish_clicks(sa_sam *sam, sa_error *err)
{
    const sam_pending *p = &sam->pending;
    size_t first = 0;
    SA_TRY(sa_stream_wait(sam->stream, err));
    for (size_t i = 0; i < p->count; i++) {
        choose_best(sam, i, &p->answers[i]);
        read_answer(sam, &sam->slots[p->queries[i].slot], i, &p->answers[i]);
        if (p->answers[i].best_mask == NULL) {
            read_hashes(sam, first, i - first);
            first = i + 1;
        }
    }
    read_hashes(sam, first, p->count - first);
    SA_TRY(sa_stream_wait(sam->stream, err));
    for (size_t i = 0; i < p->count; i++) {
        p->answers[i].best_hash = p->answers[i].best_mask != NULL ? sam->host_hashes[i] : 0;
    }
    return SA_OK;
}

static sa_status sam_finish(void *self, sa_error *err)
{
    sa_sam *sam = self;
    if (sam->pending.queries != NULL) {
        return finish_clicks(sam, err);
    }
    SA_TRY(sa_stream_wait(sam->stream, err));
    for (size_t i = 0; i < sam->pending.count; i++) {
        sam->slots[sam->pending.slots[i]].filled = true;
    }
    return SA_OK;
}

static sa_status sam_read_embedding(void *self, size_t slot, float *out, sa_error *err)
{
    sa_sam *sam = self;
    size_t image = sam->grid * sam->grid;
    float *rows = malloc(image * sam->channels * sizeof(float));
    if (rows == NULL) {
        return sa_fail(err, SA_NO_ROOM, NULL, NULL, "no memory for an embedding");
    }
    sa_stream_download(sam->stream, rows, sam->embedding + slot * image * sam->channels,
                       image * sam->channels * sizeof(float));
    sa_status status = sa_stream_wait(sam->stream, err);
    for (size_t i = 0; status == SA_OK && i < image; i++) {
        for (size_t c = 0; c < sam->channels; c++) {
            out[c * image + i] = rows[i * sam->channels + c];
        }
    }
    free(rows);
    return status;
}

/* Logits of +-10, sampled at the state's pixel centres; the frame's padding is background. */
static void sam_state_from_mask(const void *self, const sa_mask *mask, float *state)
{
    const sa_sam *sam = self;
    double cell = (double)sam->config.vision.image_size / (double)sam->low_side;
    size_t height, width;
    sam_size_in_frame(sam, mask->height, mask->width, &height, &width);
    for (size_t y = 0; y < sam->low_side; y++) {
        for (size_t x = 0; x < sam->low_side; x++) {
            double in_y = ((double)y + 0.5) * cell * (double)mask->height / (double)height;
            double in_x = ((double)x + 0.5) * cell * (double)mask->width / (double)width;
            bool set = in_y < (double)mask->height && in_x < (double)mask->width &&
                       sa_mask_get(mask, (size_t)in_x, (size_t)in_y);
            state[y * sam->low_side + x] = set ? 10.0f : -10.0f;
        }
    }
}

/* MODEL_SPECS 2.9: products only, padding excluded; 2 flops a multiply-add. */
static double attention_flops(const sa_sam *sam)
{
    double tokens = (double)(sam->grid * sam->grid), hidden = (double)sam->config.vision.hidden, total = 0.0;
    for (size_t i = 0; i < sam->config.vision.layers; i++) {
        double window = (double)sam->weights.block[i].window;
        double keys = window > 0.0 ? window * window : tokens;
        double side = window > 0.0 ? window : (double)sam->grid;
        total += 4.0 * tokens * keys * hidden;
        total += sam->weights.block[i].rel_h != NULL ? 4.0 * tokens * side * hidden : 0.0;
    }
    return total;
}

static sa_segmenter_costs sam_costs(const void *self)
{
    const sa_sam *sam = self;
    const sa_sam_config *config = &sam->config;
    double tokens = (double)(sam->grid * sam->grid), hidden = (double)config->vision.hidden;
    double c = (double)sam->channels, inner = (double)sam->inner, patch = (double)config->vision.patch_size;
    double layer = 2.0 * hidden * (4.0 * hidden + 2.0 * (double)config->vision.mlp_dim);
    double encode = tokens * (2.0 * 3.0 * patch * patch * hidden + (double)config->vision.layers * layer);
    encode += attention_flops(sam) + tokens * 2.0 * c * (hidden + 9.0 * c);
    /*
     * Of a click: the image side of all layers but the first, which is kept with the slot; upscaling; masks.
     */
    double layers = (double)config->decoder.layers;
    double image_side = 2.0 * c * inner * (3.0 * (layers - 1.0) + layers + 2.0);
    double upscale =
        2.0 * c * c + 4.0 * 2.0 * (c / 4.0) * (c / 2.0) + 16.0 * 2.0 * (c / 8.0) * (double)sam->masks;
    return (sa_segmenter_costs){.encode = encode,
                                .click = tokens * (image_side + upscale),
                                .weight_bytes = sam->weight_bytes,
                                .activation_bytes = sam->buffer_bytes,
                                .slot_bytes = sam->slot_bytes};
}

static void sam_shape(const void *self, sa_segmenter_shape *shape)
{
    const sa_sam *sam = self;
    *shape = (sa_segmenter_shape){.candidates = sam->masks,
                                  .state_side = sam->low_side,
                                  .embedding_channels = sam->channels,
                                  .embedding_side = sam->grid};
}

const sa_segmenter_class sa_sam_class = {
    .kind = "sam",
    .close = sam_close,
    .encode_start = sam_encode_start,
    .click_start = sam_click_start,
    .finish = sam_finish,
    .read_embedding = sam_read_embedding,
    .state_from_mask = sam_state_from_mask,
    .costs = sam_costs,
    .shape = sam_shape,
};
