/*
 * LLaVA: opening of its three parts, and the way of a picture through tower and projector. The decoder is a
 * plain one (llama.h), which takes the pictures' rows as embeddings.
 *
 * Axes: B pictures at once, P rows of one, D hidden of the decoder, C of the tower. "t" marks buffers in the
 * working precision.
 */
#include "runtime/models/llava.h"

#include <stdio.h>
#include <stdlib.h>

#include "runtime/models/clip.h"
#include "runtime/models/llava_tensors.h"
#include "runtime/models/model.h"

struct sa_llava {
    sa_llava_config config;
    sa_llava_options options;
    char path[512];
    sa_device *device;
    sa_stream *stream;
    const sa_ops *ops;

    sa_clip *tower;
    sa_linear projector[SA_LLAVA_MOST_PROJECTOR];
    sa_llama *decoder;

    void *weight_memory, *buffer_memory; /* of projector and pictures */
    size_t weight_bytes, buffer_bytes;
    void *between[2]; /* [B*P, D] t: what goes from one linear of the projector to the next */
    float *rows;      /* [slots, P, D] */
};

sa_llava_options sa_llava_default_options(void)
{
    sa_image_limits limits = sa_image_default_limits();
    return (sa_llava_options){.text = sa_llama_default_options(),
                              .slots = 1,
                              .max_pixels = limits.max_pixels,
                              .max_side = limits.max_side};
}

void sa_llava_close(sa_llava *llava)
{
    if (llava == NULL) {
        return;
    }
    sa_llama_close(llava->decoder);
    sa_clip_close(llava->tower);
    sa_device_free(llava->device, llava->weight_memory);
    sa_device_free(llava->device, llava->buffer_memory);
    sa_stream_close(llava->stream);
    free(llava);
}

sa_llama *sa_llava_decoder(const sa_llava *llava)
{
    return llava->decoder;
}

const sa_llava_config *sa_llava_get_config(const sa_llava *llava)
{
    return &llava->config;
}

size_t sa_llava_picture_rows(const sa_llava *llava)
{
    return sa_clip_tokens(llava->tower);
}

static size_t slot_size(const sa_llava *llava)
{
    return sa_llava_picture_rows(llava) * llava->config.text.hidden;
}

const float *sa_llava_rows(const sa_llava *llava, size_t slot)
{
    SA_ASSERT(slot < llava->options.slots);
    return llava->rows + slot * slot_size(llava);
}

/* ---- opening ---- */

/* A model and the tensors that its projector is loaded from. */
typedef struct {
    sa_llava *llava;
    const sa_llava_tensors *tensors;
} loading;

static void load_projector(sa_loader *l, void *model)
{
    const loading *both = model;
    for (size_t i = 0; i < both->llava->config.projector.depth; i++) {
        const sa_tensor_pair *pair = &both->tensors->projector[i];
        both->llava->projector[i] = sa_load_linear(l, pair->weight, pair->bias);
    }
}

static void plan_buffers(sa_llava *llava, sa_arena *arena)
{
    size_t at_once = sa_clip_at_once(llava->tower), t = sa_dtype_size(llava->options.text.precision);
    for (int i = 0; i < 2; i++) {
        llava->between[i] = sa_arena_take(arena, at_once * slot_size(llava), t);
    }
    llava->rows = sa_arena_take(arena, llava->options.slots * slot_size(llava), sizeof(float));
}

static sa_status take_buffers(sa_llava *llava, sa_error *err)
{
    sa_arena arena = sa_arena_measure();
    plan_buffers(llava, &arena);
    llava->buffer_bytes = arena.used;
    SA_TRY(sa_device_alloc(llava->device, arena.used, "pictures", &llava->buffer_memory, err));
    arena = sa_arena_on(llava->buffer_memory, arena.used);
    plan_buffers(llava, &arena);
    return SA_OK;
}

/* The tower from the model's own tensors, or from its directory. */
static sa_status open_tower(sa_llava *llava, const sa_weights *weights, const sa_clip_tensors *tensors,
                            bool inside, sa_error *err)
{
    const sa_llava_config *c = &llava->config;
    const sa_clip_parts parts = {c->vision, c->feature, c->preprocess, llava->path};
    const sa_clip_options options = {.precision = llava->options.text.precision,
                                     .at_once = llava->options.at_once,
                                     .max_pixels = llava->options.max_pixels,
                                     .max_side = llava->options.max_side};
    return inside ? sa_clip_load(&llava->tower, llava->device, llava->stream, &parts, weights, tensors,
                                 &options, err)
                  : sa_clip_open_parts(&llava->tower, llava->device, llava->stream, c->tower, &parts,
                                       &options, err);
}

static sa_status open_parts(sa_llava *llava, const sa_weights *weights, sa_llava_tensors *tensors,
                            sa_error *err)
{
    sa_llava_table_config spelling;
    sa_llava_table_config_find(weights, &llava->config, &spelling);
    sa_tensor_table table = sa_llava_tensor_table(&spelling);
    sa_weights_report report = {0};
    sa_status status = sa_tensor_table_match(&table, weights, tensors, &report, err);
    sa_weights_report_free(&report);
    SA_TRY(status);
    loading both = {llava, tensors};
    SA_TRY(open_tower(llava, weights, &tensors->vision, spelling.vision != NULL, err));
    SA_TRY(sa_load_model(llava->device, llava->stream, weights, llava->options.text.precision, load_projector,
                         &both, &llava->weight_memory, &llava->weight_bytes, err));
    SA_TRY(take_buffers(llava, err));
    return sa_llama_open_part(&llava->decoder, llava->device, llava->stream, llava->path, &llava->config.text,
                              weights, &tensors->text, &llava->options.text, err);
}

static sa_status open_model(sa_llava *llava, sa_error *err)
{
    sa_weights *weights;
    SA_TRY(sa_llava_config_read(llava->path, llava->options.fit, &llava->config, err));
    SA_TRY(sa_stream_open(&llava->stream, llava->device, err));
    SA_TRY(sa_weights_open(&weights, llava->path, err));
    sa_llava_tensors *tensors = malloc(sizeof *tensors);
    sa_status status = tensors == NULL
                           ? sa_fail(err, SA_NO_ROOM, llava->path, NULL, "no memory to load weights")
                           : open_parts(llava, weights, tensors, err);
    free(tensors);
    sa_weights_close(weights);
    return status;
}

sa_status sa_llava_open(sa_llava **out, sa_device *device, const char *path, const sa_llava_options *options,
                        sa_error *err)
{
    SA_ASSERT(options->slots >= 1);
    sa_llava *llava = calloc(1, sizeof *llava);
    if (llava == NULL) {
        return sa_fail(err, SA_NO_ROOM, path, NULL, "no memory for a model handle");
    }
    llava->device = device;
    llava->ops = sa_device_ops(device);
    llava->options = *options;
    snprintf(llava->path, sizeof llava->path, "%s", path);
    sa_status status = open_model(llava, err);
    if (status != SA_OK) {
        sa_llava_close(llava);
        return status;
    }
    *out = llava;
    return SA_OK;
}

/* ---- seeing ---- */

/* The projector's last linear writes into the pictures' slots; the others pass on all pictures together. */
static void project(sa_llava *llava, const void *features, const size_t *slots, size_t count)
{
    const sa_llava_projector_config *p = &llava->config.projector;
    sa_dtype t = llava->options.text.precision;
    size_t each = sa_llava_picture_rows(llava), last = p->depth - 1;
    const unsigned char *from = features;
    for (size_t i = 0; i < last; i++) {
        void *to = llava->between[i % 2];
        sa_linear_run(&llava->projector[i], llava->ops, llava->stream, t, count * each, from, p->act, NULL,
                      to, t);
        from = to;
    }
    size_t picture = each * llava->projector[last].k * sa_dtype_size(t);
    for (size_t i = 0; i < count; i++) {
        sa_linear_run(&llava->projector[last], llava->ops, llava->stream, t, each, from + i * picture,
                      SA_ACT_NONE, NULL, llava->rows + slots[i] * slot_size(llava), SA_F32);
    }
}

sa_status sa_llava_check_picture(const sa_llava *llava, const sa_image *picture, sa_error *err)
{
    return sa_clip_check_picture(llava->tower, picture, err);
}

bool sa_llava_paints(const sa_llava *llava, const sa_image *picture)
{
    return sa_clip_paints(llava->tower, picture);
}

sa_status sa_llava_see(sa_llava *llava, const sa_view *views, const size_t *slots, size_t count,
                       sa_error *err)
{
    size_t at_once = sa_clip_at_once(llava->tower);
    for (size_t i = 0; i < count; i++) {
        SA_ASSERT(slots[i] < llava->options.slots);
        SA_TRY(sa_clip_check_picture(llava->tower, views[i].picture, err));
    }
    for (size_t i = 0; i < count; i += at_once) {
        size_t together = count - i < at_once ? count - i : at_once;
        SA_TRY(sa_stream_wait(llava->stream, err)); /* the tower's pixels may still be read */
        project(llava, sa_clip_encode(llava->tower, views + i, together), slots + i, together);
    }
    return sa_stream_wait(llava->stream, err);
}

/* ---- prompts ---- */

static bool is_marker(const sa_llava *llava, int32_t token)
{
    return token == SA_LLAVA_PICTURE || token == llava->config.picture_token;
}

size_t sa_llava_expanded(const sa_llava *llava, size_t count, size_t pictures)
{
    return count + pictures * (sa_llava_picture_rows(llava) - 1);
}

sa_status sa_llava_expand(const sa_llava *llava, const int32_t *tokens, size_t count, size_t pictures,
                          int32_t *out, sa_error *err)
{
    size_t markers = 0;
    for (size_t i = 0; i < count; i++) {
        markers += is_marker(llava, tokens[i]);
    }
    if (markers != pictures) {
        return sa_fail(err, SA_BAD_INPUT, llava->path,
                       markers < pictures ? "put an image marker into the prompt for each picture"
                                          : "give a picture for each image marker of the prompt",
                       "the prompt has %zu image markers, and there are %zu pictures", markers, pictures);
    }
    for (size_t i = 0; i < count; i++) {
        size_t rows = is_marker(llava, tokens[i]) ? sa_llava_picture_rows(llava) : 0;
        for (size_t k = 0; k < rows; k++) {
            *out++ = SA_LLAMA_EMBEDDING;
        }
        if (rows == 0) {
            *out++ = tokens[i];
        }
    }
    return SA_OK;
}

sa_llava_costs sa_llava_get_costs(const sa_llava *llava)
{
    sa_clip_costs tower = sa_clip_get_costs(llava->tower);
    double see = tower.encode;
    for (size_t i = 0; i < llava->config.projector.depth; i++) {
        const sa_linear *linear = &llava->projector[i];
        see += 2.0 * (double)sa_llava_picture_rows(llava) * (double)linear->n * (double)linear->k;
    }
    size_t slots = llava->options.slots * slot_size(llava) * sizeof(float);
    return (sa_llava_costs){.see = see,
                            .weight_bytes = tower.weight_bytes + llava->weight_bytes,
                            .activation_bytes = tower.activation_bytes + llava->buffer_bytes - slots,
                            .slot_bytes = slots};
}
