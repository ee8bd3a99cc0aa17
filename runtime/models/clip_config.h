/*
 * A CLIP image encoder's sizes and its way of making a picture square: from config.json and
 * preprocessor_config.json of transformers 4 and 5 (MODEL_SPECS 5.1, 5.4).
 */
#ifndef SA_MODELS_CLIP_CONFIG_H
#define SA_MODELS_CLIP_CONFIG_H

#include "kernels/kernels.h"
#include "runtime/image/resize.h"
#include "runtime/models/config.h"

enum {
    SA_CLIP_MOST_LAYERS = 128,
    SA_CLIP_LEAST_SIDE = 8, /* of image_size: sa_clip_picture_measure() holds from here on */
};

typedef struct {
    size_t image_size, patch_size; /* pixels; what is left of image_size / patch_size is not looked at */
    size_t hidden, layers, heads, mlp_dim;
    float eps;
    sa_activation act; /* of the MLP */
} sa_clip_config;

/* Which of the encoder's outputs is taken. */
typedef struct {
    size_t layers;    /* how many are run: 0 is the embedding alone; no norm comes after the last */
    bool class_token; /* the first token is kept */
} sa_clip_feature;

/* From a picture to image_size x image_size, in this order. */
typedef struct {
    float mean[3], std[3]; /* in units of 0..255 */
    bool pad;              /* first to a square of the longer side, of pad_color */
    uint8_t pad_color[3];
    sa_resize_filter filter;
    bool stretch; /* resized to image_size both ways; otherwise the shorter side to `edge`, ... */
    size_t edge;  /* ... and the middle cut out */
} sa_clip_preprocess;

/* A vision_config: missing keys take the defaults of transformers' CLIPVisionConfig. */
sa_status sa_clip_config_read(sa_config_reader *vision, sa_clip_config *config);

/* DIRECTORY/config.json of a CLIP alone (model_type "clip" or "clip_vision_model"). */
sa_status sa_clip_config_open(const char *directory, sa_clip_config *config, sa_error *err);

/*
 * hidden_states[layer] of transformers: 0 is the embedding, i the output of layer i, -1 that of the last one.
 * SA_BAD_INPUT, naming `key`, if there is none.
 */
sa_status sa_clip_feature_layer(const sa_clip_config *config, int64_t layer, const char *file,
                                const char *key, sa_clip_feature *feature, sa_error *err);

/* sa_config_open_preprocess(); without a file, or without a key, as the original release does it. */
sa_status sa_clip_preprocess_read(const char *directory, const sa_clip_config *config,
                                  sa_clip_preprocess *preprocess, sa_error *err);

/* What `key` says, "gelu" or "quick_gelu"; others are SA_BAD_INPUT by name. */
sa_activation sa_clip_read_activation(sa_config_reader *r, const char *key, const char *otherwise);

#endif
