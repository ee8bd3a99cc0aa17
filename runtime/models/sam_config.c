#include "runtime/models/sam_config.h"

#include <stdint.h>
#include <string.h>

#include "runtime/models/config.h"

enum { MOST_SIZE = 1 << 16 };

static const char *const wrong_model = "this engine reads SAM models (model_type \"sam\")";

static void read_global_layers(sa_config_reader *r, sa_sam_vision_config *vision)
{
    static const size_t usual[] = {2, 5, 8, 11};
    const json_t *list = json_object_get(r->object, "global_attn_indexes");
    size_t count = json_is_array(list) ? json_array_size(list) : 0;
    if (list == NULL) {
        for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
            vision->global[usual[i]] = true;
        }
    } else if (!json_is_array(list) && r->status == SA_OK) {
        r->status =
            sa_fail(r->err, SA_BAD_INPUT, r->file, "list layers from 0 on", "global_attn_indexes is no list");
    }
    for (size_t i = 0; i < count && r->status == SA_OK; i++) {
        const json_t *item = json_array_get(list, i);
        json_int_t index = json_is_integer(item) ? json_integer_value(item) : -1;
        if (index < 0 || (size_t)index >= vision->layers) {
            r->status = sa_fail(r->err, SA_BAD_INPUT, r->file, "list layers from 0 on",
                                "global_attn_indexes names a layer that is not there");
        } else {
            vision->global[index] = true;
        }
    }
}

static sa_status read_vision(const json_t *config, const char *file, const json_t *empty,
                             sa_sam_vision_config *v, sa_error *err)
{
    sa_config_reader r = sa_config_section(config, "vision_config", file, empty, err);
    v->image_size = sa_config_size(&r, "image_size", 1024);
    v->patch_size = sa_config_size(&r, "patch_size", 16);
    v->hidden = sa_config_size(&r, "hidden_size", 768);
    v->layers = sa_config_size(&r, "num_hidden_layers", 12);
    v->heads = sa_config_size(&r, "num_attention_heads", 12);
    double ratio = sa_config_real(&r, "mlp_ratio", 4.0);
    double mlp = ratio * (double)v->hidden;
    if (r.status == SA_OK && !(mlp >= 1.0 && mlp <= (double)MOST_SIZE)) {
        r.status = sa_fail(err, SA_BAD_INPUT, file, "use a config.json that belongs to the weights",
                           "mlp_ratio %g gives no sensible size", ratio);
    }
    v->mlp_dim = sa_config_size(&r, "mlp_dim", r.status == SA_OK ? (size_t)mlp : 1);
    v->output_channels = sa_config_size(&r, "output_channels", 256);
    /* 0 is how a model without windows is written */
    v->window = sa_config_bounded(&r, "window_size", 0, MOST_SIZE, 14);
    v->absolute_position = sa_config_flag(&r, "use_abs_pos", true);
    v->relative_position = sa_config_flag(&r, "use_rel_pos", true);
    v->qkv_bias = sa_config_flag(&r, "qkv_bias", true);
    v->eps = (float)sa_config_real(&r, "layer_norm_eps", 1e-6);
    sa_config_fixed(&r, "hidden_act", "gelu");
    sa_config_part_type(&r, "sam_vision_model");
    sa_config_repeated(&r, "num_channels", 3);
    /* the encoding of a point is as wide as a token */
    sa_config_repeated(&r, "num_pos_feats", v->output_channels / 2);
    if (r.status == SA_OK && v->layers > SA_SAM_MOST_LAYERS) {
        return sa_fail(err, SA_BAD_INPUT, file, "use a smaller model", "%zu layers; at most %d are possible",
                       v->layers, SA_SAM_MOST_LAYERS);
    }
    read_global_layers(&r, v);
    return r.status;
}

/* The prompt encoder repeats the sizes of the image; they must be those of the image encoder. */
static sa_status read_prompt(const json_t *config, const char *file, const json_t *empty,
                             const sa_sam_vision_config *v, sa_sam_prompt_config *p, sa_error *err)
{
    sa_config_reader r = sa_config_section(config, "prompt_encoder_config", file, empty, err);
    p->hidden = sa_config_size(&r, "hidden_size", 256);
    p->mask_channels = sa_config_size(&r, "mask_input_channels", 16);
    p->eps = (float)sa_config_real(&r, "layer_norm_eps", 1e-6);
    sa_config_fixed(&r, "hidden_act", "gelu");
    sa_config_part_type(&r, "sam_prompt_encoder");
    if (json_object_get(r.object, "image_size") != NULL) {
        sa_config_repeated(&r, "image_size", v->image_size);
    }
    if (json_object_get(r.object, "image_embedding_size") != NULL) {
        sa_config_repeated(&r, "image_embedding_size", v->image_size / v->patch_size);
    }
    if (r.status == SA_OK && sa_config_size(&r, "num_point_embeddings", 4) != 4) {
        return sa_fail(err, SA_BAD_INPUT, file, "use a model of the standard kind",
                       "num_point_embeddings must be 4");
    }
    return r.status;
}

static sa_status read_decoder(const json_t *config, const char *file, const json_t *empty,
                              sa_sam_decoder_config *d, sa_error *err)
{
    sa_config_reader r = sa_config_section(config, "mask_decoder_config", file, empty, err);
    d->hidden = sa_config_size(&r, "hidden_size", 256);
    d->layers = sa_config_size(&r, "num_hidden_layers", 2);
    d->heads = sa_config_size(&r, "num_attention_heads", 8);
    d->mlp_dim = sa_config_size(&r, "mlp_dim", 2048);
    /* transformers' layers have a rate of 2 whatever this key says, and only the last attention follows it */
    d->downsample_rate = 2;
    sa_config_repeated(&r, "attention_downsample_rate", d->downsample_rate);
    d->multimask_outputs = sa_config_size(&r, "num_multimask_outputs", 3);
    d->iou_depth = sa_config_size(&r, "iou_head_depth", 3);
    d->iou_hidden = sa_config_size(&r, "iou_head_hidden_dim", 256);
    d->eps = (float)sa_config_real(&r, "layer_norm_eps", 1e-6);
    d->final_eps = 1e-5f; /* transformers leaves this one at torch's default */
    sa_config_fixed(&r, "hidden_act", "relu");
    sa_config_part_type(&r, "sam_mask_decoder");
    return r.status;
}

static sa_status bad_sizes(const char *name, sa_error *err, const char *what)
{
    return sa_fail(err, SA_BAD_INPUT, name, "use a config.json that belongs to the weights", "%s", what);
}

sa_status sa_sam_config_check(const sa_sam_config *config, const char *name, sa_error *err)
{
    const sa_sam_vision_config *v = &config->vision;
    const sa_sam_prompt_config *p = &config->prompt;
    const sa_sam_decoder_config *d = &config->decoder;
    if (v->image_size > 8192 || v->image_size % v->patch_size != 0 || v->image_size / v->patch_size > 512) {
        return bad_sizes(name, err,
                         "image_size must be a multiple of patch_size, at most 8192 and 512 patches a side");
    }
    if (v->hidden % v->heads != 0 || v->hidden / v->heads > 128) {
        return bad_sizes(name, err,
                         "hidden_size must be a multiple of num_attention_heads, at most 128 for each");
    }
    if (v->window > 512) {
        return bad_sizes(name, err, "window_size is larger than 512");
    }
    if (p->hidden != v->output_channels || d->hidden != v->output_channels) {
        return bad_sizes(name, err,
                         "output_channels and the hidden_size of prompt encoder and mask decoder differ");
    }
    if (d->hidden % 8 != 0 || d->hidden % d->downsample_rate != 0 || d->hidden % d->heads != 0 ||
        d->hidden / d->downsample_rate % d->heads != 0 || d->hidden / d->heads > 128) {
        return bad_sizes(name, err,
                         "the mask decoder's hidden_size does not divide by 8, its heads and its rate");
    }
    if (p->mask_channels % 4 != 0 || p->mask_channels > 1024) {
        return bad_sizes(name, err, "mask_input_channels must be a multiple of 4, at most 1024");
    }
    if (d->multimask_outputs > 4 || d->layers > 8 || d->iou_depth < 2 || d->iou_depth > 8) {
        return bad_sizes(name, err,
                         "at most 4 masks, 8 decoder layers and 2 to 8 layers of the IoU head are possible");
    }
    if (!(v->eps > 0.0f && p->eps > 0.0f && d->eps > 0.0f && v->eps <= 1.0f && p->eps <= 1.0f &&
          d->eps <= 1.0f)) {
        return bad_sizes(name, err, "layer_norm_eps must be above 0 and at most 1");
    }
    return SA_OK;
}

static sa_sam_preprocess usual_preprocess(void)
{
    return (sa_sam_preprocess){.mean = {123.675f, 116.28f, 103.53f}, .std = {58.395f, 57.12f, 57.375f}};
}

/* Lengths in the section `key` that must be the model's image size. */
static sa_status check_frame(const sa_config_reader *r, const char *key, const char *first,
                             const char *second, size_t only)
{
    const json_t *object = json_object_get(r->object, key);
    if (object == NULL || json_is_null(object)) {
        return SA_OK;
    }
    sa_config_reader frame = {.object = object, .file = r->file, .part = key, .err = r->err, .status = SA_OK};
    sa_config_repeated(&frame, first, only);
    sa_config_repeated(&frame, second, only);
    return frame.status;
}

static sa_status check_preprocess(sa_config_reader *r, const sa_sam_config *config)
{
    if (r->status == SA_OK && sa_config_size(r, "resample", 2) != 2) {
        return sa_fail(r->err, SA_BAD_INPUT, r->file, "use bilinear",
                       "only resample 2 (bilinear) is supported");
    }
    if (!sa_config_flag(r, "do_resize", true) || !sa_config_flag(r, "do_normalize", true) ||
        !sa_config_flag(r, "do_pad", true) || !sa_config_flag(r, "do_rescale", true)) {
        return sa_fail(r->err, SA_BAD_INPUT, r->file, "set them to true",
                       "do_resize, do_rescale, do_normalize and do_pad cannot be switched off");
    }
    double rescale = sa_config_real(r, "rescale_factor", 1.0 / 255.0);
    if (r->status == SA_OK && !(rescale > 0.0039 && rescale < 0.00393)) {
        return sa_fail(r->err, SA_BAD_INPUT, r->file, "use 1/255", "rescale_factor %g is not supported",
                       rescale);
    }
    SA_TRY(r->status);
    SA_TRY(check_frame(r, "size", "longest_edge", "longest_edge", config->vision.image_size));
    return check_frame(r, "pad_size", "height", "width", config->vision.image_size);
}

static sa_status read_preprocess(const char *directory, sa_sam_config *config, sa_error *err)
{
    char path[SA_CONFIG_PATH];
    json_t *json = NULL;
    config->preprocess = usual_preprocess();
    SA_TRY(sa_config_open_preprocess(directory, path, &json, err));
    if (json == NULL) {
        return SA_OK;
    }
    sa_config_reader r = {.object = json, .file = path, .part = "", .err = err, .status = SA_OK};
    sa_config_triple(&r, "image_mean", config->preprocess.mean);
    sa_config_triple(&r, "image_std", config->preprocess.std);
    for (int i = 0; i < 3 && r.status == SA_OK; i++) {
        if (!(config->preprocess.std[i] > 0.0f)) {
            r.status = sa_fail(err, SA_BAD_INPUT, path, "write numbers above 0", "image_std holds a zero");
        }
    }
    sa_status status = r.status == SA_OK ? check_preprocess(&r, config) : r.status;
    json_decref(json);
    return status;
}

static sa_status read_sections(const json_t *json, const char *path, sa_sam_config *config, sa_error *err)
{
    const char *type = "";
    sa_error why = {0};
    sa_status got = sa_json_get_string(json, path, "model_type", true, &type, &why);
    if (got != SA_OK) {
        return sa_fail(err, got, path, wrong_model, "%s", why.reason);
    }
    if (strcmp(type, "sam") != 0) {
        return sa_fail(err, SA_BAD_INPUT, path, wrong_model, "model_type \"%s\" is not supported", type);
    }
    json_t *empty = json_object();
    sa_status status = read_vision(json, path, empty, &config->vision, err);
    if (status == SA_OK) {
        status = read_prompt(json, path, empty, &config->vision, &config->prompt, err);
    }
    if (status == SA_OK) {
        status = read_decoder(json, path, empty, &config->decoder, err);
    }
    json_decref(empty);
    return status;
}

sa_status sa_sam_config_read(const char *directory, sa_sam_config *config, sa_error *err)
{
    char path[SA_CONFIG_PATH];
    json_t *json = NULL;
    memset(config, 0, sizeof *config);
    SA_TRY(sa_config_open(directory, "config.json", path, &json, err));
    sa_status status = read_sections(json, path, config, err);
    json_decref(json);
    SA_TRY(status);
    SA_TRY(sa_sam_config_check(config, path, err));
    return read_preprocess(directory, config, err);
}
