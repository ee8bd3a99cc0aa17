/*
 * The sizes of a SAM: from a Hugging Face config.json (transformers 4 and 5), or from the tensors of an
 * original .pth.
 */
#ifndef SA_MODELS_SAM_CONFIG_H
#define SA_MODELS_SAM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "runtime/base/status.h"
#include "runtime/weights/weights.h"

enum { SA_SAM_MOST_LAYERS = 128 };

typedef struct {
    size_t image_size, patch_size; /* pixels; image_size is a multiple of patch_size */
    size_t hidden, layers, heads, mlp_dim, output_channels;
    size_t window;                   /* tokens; of the layers that are not global */
    bool global[SA_SAM_MOST_LAYERS]; /* layer i attends to the whole grid */
    bool absolute_position, relative_position, qkv_bias;
    float eps;
} sa_sam_vision_config;

typedef struct {
    size_t hidden;        /* = vision.output_channels */
    size_t mask_channels; /* of the mask prompt's second convolution; the first has a quarter */
    float eps;
} sa_sam_prompt_config;

typedef struct {
    size_t hidden, layers, heads, mlp_dim; /* hidden = vision.output_channels */
    size_t downsample_rate;                /* cross attention works in hidden / rate */
    size_t multimask_outputs;
    size_t iou_depth, iou_hidden;
    float eps;       /* of norms 1 to 4 */
    float final_eps; /* of the norm after the last attention */
} sa_sam_decoder_config;

typedef struct {
    float mean[3], std[3]; /* in units of 0..255 */
} sa_sam_preprocess;

typedef struct {
    sa_sam_vision_config vision;
    sa_sam_prompt_config prompt;
    sa_sam_decoder_config decoder;
    sa_sam_preprocess preprocess;
} sa_sam_config;

/*
 * Reads DIRECTORY/config.json and, if it is there, preprocessor_config.json. Missing keys take transformers'
 * defaults. Every size is checked: zero, absurd or indivisible ones, an activation or resampling that we
 * lack, and another model_type are SA_BAD_INPUT, naming file and key.
 */
sa_status sa_sam_config_read(const char *directory, sa_sam_config *config, sa_error *err);

/*
 * From names and shapes of an original checkpoint (MODEL_SPECS 2.8): all sizes that shape a tensor; the rest
 * is what the original release uses (eps 1e-5 in the decoder, downsample rate from the projections, heads
 * from rel_pos).
 */
sa_status sa_sam_config_from_weights(const sa_weights *weights, sa_sam_config *config, sa_error *err);

/*
 * What both of the above end with: SA_BAD_INPUT if the sizes do not fit together. `name` is the file for the
 * error.
 */
sa_status sa_sam_config_check(const sa_sam_config *config, const char *name, sa_error *err);

/*
 * config.json and preprocessor_config.json of a config, as transformers and sa_sam_config_read read them.
 * What the stream could not write shows in ferror(stream).
 */
void sa_sam_config_write(const sa_sam_config *config, FILE *stream);
void sa_sam_config_write_preprocess(const sa_sam_config *config, FILE *stream);

#endif
