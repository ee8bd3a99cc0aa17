/* sa_sam_config -> config.json and preprocessor_config.json, the inverse of sam_config.c. */
#include <math.h>

#include "runtime/base/json.h"
#include "runtime/models/sam_config.h"

static void put_eps(sa_json_writer *w, float eps)
{
    sa_json_key(w, "layer_norm_eps");
    sa_json_f32(w, eps);
}

static void begin_part(sa_json_writer *w, const char *key)
{
    sa_json_key(w, key);
    sa_json_begin_object(w);
}

static void write_vision(sa_json_writer *w, const sa_sam_vision_config *v, size_t pos_features)
{
    begin_part(w, "vision_config");
    sa_json_put_string(w, "model_type", "sam_vision_model");
    sa_json_put_int(w, "image_size", v->image_size);
    sa_json_put_int(w, "patch_size", v->patch_size);
    sa_json_put_int(w, "num_channels", 3);
    sa_json_put_int(w, "hidden_size", v->hidden);
    sa_json_put_int(w, "num_hidden_layers", v->layers);
    sa_json_put_int(w, "num_attention_heads", v->heads);
    sa_json_put_int(w, "mlp_dim", v->mlp_dim);
    sa_json_put_int(w, "output_channels", v->output_channels);
    sa_json_put_int(w, "num_pos_feats", pos_features);
    sa_json_put_int(w, "window_size", v->window);
    sa_json_key(w, "global_attn_indexes");
    sa_json_begin_array(w);
    for (size_t i = 0; i < v->layers; i++) {
        if (v->global[i]) {
            sa_json_int(w, (int64_t)i);
        }
    }
    sa_json_end_array(w);
    sa_json_put_bool(w, "use_abs_pos", v->absolute_position);
    sa_json_put_bool(w, "use_rel_pos", v->relative_position);
    sa_json_put_bool(w, "qkv_bias", v->qkv_bias);
    sa_json_put_string(w, "hidden_act", "gelu");
    put_eps(w, v->eps);
    sa_json_end_object(w);
}

static void write_prompt(sa_json_writer *w, const sa_sam_prompt_config *p, const sa_sam_vision_config *v)
{
    begin_part(w, "prompt_encoder_config");
    sa_json_put_string(w, "model_type", "sam_prompt_encoder");
    sa_json_put_int(w, "hidden_size", p->hidden);
    sa_json_put_int(w, "image_size", v->image_size);
    sa_json_put_int(w, "patch_size", v->patch_size);
    sa_json_put_int(w, "image_embedding_size", v->image_size / v->patch_size);
    sa_json_put_int(w, "mask_input_channels", p->mask_channels);
    sa_json_put_int(w, "num_point_embeddings", 4);
    sa_json_put_string(w, "hidden_act", "gelu");
    put_eps(w, p->eps);
    sa_json_end_object(w);
}

static void write_decoder(sa_json_writer *w, const sa_sam_decoder_config *d)
{
    begin_part(w, "mask_decoder_config");
    sa_json_put_string(w, "model_type", "sam_mask_decoder");
    sa_json_put_int(w, "hidden_size", d->hidden);
    sa_json_put_int(w, "num_hidden_layers", d->layers);
    sa_json_put_int(w, "num_attention_heads", d->heads);
    sa_json_put_int(w, "mlp_dim", d->mlp_dim);
    sa_json_put_int(w, "attention_downsample_rate", d->downsample_rate);
    sa_json_put_int(w, "num_multimask_outputs", d->multimask_outputs);
    sa_json_put_int(w, "iou_head_depth", d->iou_depth);
    sa_json_put_int(w, "iou_head_hidden_dim", d->iou_hidden);
    sa_json_put_string(w, "hidden_act", "relu");
    put_eps(w, d->eps);
    sa_json_end_object(w);
}

void sa_sam_config_write(const sa_sam_config *config, FILE *stream)
{
    sa_json_writer w = sa_json_writer_on(stream);
    sa_json_begin_object(&w);
    sa_json_key(&w, "architectures");
    sa_json_begin_array(&w);
    sa_json_string(&w, "SamModel");
    sa_json_end_array(&w);
    sa_json_put_string(&w, "model_type", "sam");
    write_vision(&w, &config->vision, config->prompt.hidden / 2);
    write_prompt(&w, &config->prompt, &config->vision);
    write_decoder(&w, &config->decoder);
    sa_json_end_object(&w);
    sa_json_end_line(&w);
}

/*
 * The file's unit is 255 times ours: the short decimal that reads back to `value`, or all digits of the
 * quotient.
 */
static double in_file_units(float value)
{
    double exact = (double)value / 255.0, rounded = round(exact * 1e6) / 1e6;
    return (float)(rounded * 255.0) == value ? rounded : exact;
}

static void put_colour(sa_json_writer *w, const char *key, const float *values)
{
    sa_json_key(w, key);
    sa_json_begin_array(w);
    for (int i = 0; i < 3; i++) {
        sa_json_f64(w, in_file_units(values[i]));
    }
    sa_json_end_array(w);
}

static void put_frame(sa_json_writer *w, const char *key, const char *first, const char *second, size_t side)
{
    begin_part(w, key);
    sa_json_put_int(w, first, side);
    if (second != NULL) {
        sa_json_put_int(w, second, side);
    }
    sa_json_end_object(w);
}

void sa_sam_config_write_preprocess(const sa_sam_config *config, FILE *stream)
{
    size_t side = config->vision.image_size;
    size_t mask = 4 * (side / config->vision.patch_size); /* masks have four pixels for each token and axis */
    sa_json_writer w = sa_json_writer_on(stream);
    sa_json_begin_object(&w);
    sa_json_put_string(&w, "image_processor_type", "SamImageProcessor");
    sa_json_put_string(&w, "processor_class", "SamProcessor");
    sa_json_put_bool(&w, "do_convert_rgb", true);
    sa_json_put_bool(&w, "do_resize", true);
    put_frame(&w, "size", "longest_edge", NULL, side);
    sa_json_put_int(&w, "resample", 2);
    sa_json_put_bool(&w, "do_rescale", true);
    sa_json_put_f64(&w, "rescale_factor", 1.0 / 255.0);
    sa_json_put_bool(&w, "do_normalize", true);
    put_colour(&w, "image_mean", config->preprocess.mean);
    put_colour(&w, "image_std", config->preprocess.std);
    sa_json_put_bool(&w, "do_pad", true);
    put_frame(&w, "pad_size", "height", "width", side);
    put_frame(&w, "mask_size", "longest_edge", NULL, mask);
    put_frame(&w, "mask_pad_size", "height", "width", mask);
    sa_json_end_object(&w);
    sa_json_end_line(&w);
}
