/*
 * The sizes of a Segment Anything model (ViT-B, L, H or any other size), read from a Hugging Face directory or inferred
 * from the tensors of an original checkpoint.
 *
 *   config.json + preprocessor_config.json -> sa_sam_config_read         \
 *   sam_vit_b_01ec64.pth                   -> sa_sam_config_from_weights -> sa_sam_config -> sam_tensors.h, sam.c
 *
 * A config that comes out of here has passed sa_sam_config_check: sizes are positive and bounded, divide where the
 * model divides, and the three parts fit together.
 */
#ifndef SA_MODELS_SAM_CONFIG_H
#define SA_MODELS_SAM_CONFIG_H

#include <stdbool.h>
#include <stdio.h>

#include "runtime/weights/weights.h"

enum {
    SA_SAM_MAX_DEPTH = 64,         /* blocks of the image encoder */
    SA_SAM_MAX_DECODER_DEPTH = 8,  /* layers of the two-way transformer */
    SA_SAM_MAX_POINT_KINDS = 16,
    SA_SAM_MAX_MASKS = 16,
    SA_SAM_MAX_MLP_DEPTH = 8,      /* linears of the IoU head */
    SA_SAM_MAX_HEAD_DIM = 128,
    SA_SAM_HYPER_DEPTH = 3,        /* linears of a mask's hypernetwork: fixed by the model */
};

typedef struct {
    int image_size; /* pixels per side of the square input */
    int patch_size;
    int grid; /* tokens per side: image_size / patch_size */
    int channels; /* always 3 */
    int hidden, depth, heads;
    int head_dim; /* hidden / heads */
    int mlp;
    int output_channels;
    int window;                       /* tokens per side of an attention window; 0 if all blocks are global */
    bool global[SA_SAM_MAX_DEPTH];    /* block i attends to the whole grid */
    bool abs_pos, rel_pos, qkv_bias;
    int pos_features; /* columns of the Gaussian matrix of the point encoding: half of prompt.hidden */
    float eps;      /* of the blocks' norms */
    float neck_eps; /* 1e-6 in both the original release and Hugging Face's port */
} sa_sam_vision_config;

typedef struct {
    int hidden;
    int grid, image_size; /* those of the vision part */
    int mask_channels;    /* after the second convolution of the mask embedding; a quarter after the first */
    int point_kinds;      /* at least 4: negative, positive, the two corners of a box */
    float eps;
} sa_sam_prompt_config;

typedef struct {
    int hidden, mlp, depth, heads;
    int downsample;     /* cross attention works in hidden / downsample channels */
    int masks;          /* mask tokens: one for the single mask, then the multimask outputs */
    int iou_depth, iou_hidden;
    float eps;          /* of norms 1 to 4; the original release has 1e-5, Hugging Face's port 1e-6 */
    float final_eps;    /* of the norm after the final attention: 1e-5 in both */
    float upscale_eps;  /* of the norm between the upscaling convolutions: 1e-6 in both */
} sa_sam_decoder_config;

/* How an image becomes the input: longest side to image_size, (value * rescale - mean) / std, zeros right and below. */
typedef struct {
    float mean[3], std[3]; /* of values after `rescale` */
    double rescale;        /* 1/255 */
} sa_sam_image_config;

typedef struct {
    sa_sam_vision_config vision;
    sa_sam_prompt_config prompt;
    sa_sam_decoder_config decoder;
    sa_sam_image_config image;
} sa_sam_config;

/* ViT-B with the defaults of transformers: what an empty config.json means. */
sa_sam_config sa_sam_config_default(void);

/*
 * Reads DIRECTORY/config.json and, if it is there, DIRECTORY/preprocessor_config.json. SA_BAD_INPUT, with file, key and
 * a way out, for another model_type, for sizes that make no sense, and for what we cannot compute (other activations,
 * other resampling than bilinear, no resize ...).
 */
sa_status sa_sam_config_read(sa_sam_config *config, const char *directory, sa_error *err);

/* The two halves of it, on parsed JSON; `name` is what errors call the file. parse starts from the defaults. */
sa_status sa_sam_config_parse(sa_sam_config *config, const json_t *json, const char *name, sa_error *err);
sa_status sa_sam_config_parse_preprocessor(sa_sam_config *config, const json_t *json, const char *name,
                                           sa_error *err);

/* Checks everything that the head of this file promises; `name` is what errors call the source. */
sa_status sa_sam_config_check(const sa_sam_config *config, const char *name, sa_error *err);

/*
 * Infers a config from names and shapes, in the original's or Hugging Face's spelling. Depth comes from the count of
 * blocks, heads from the width of the relative position tables, window and global blocks from their lengths. What
 * leaves no trace in the tensors is what the original release has: 8 decoder heads, its eps values and preprocessing
 * (for Hugging Face's spelling, the port's eps).
 */
sa_status sa_sam_config_from_weights(sa_sam_config *config, const sa_weights *weights, sa_error *err);

/* Writes config.json / preprocessor_config.json as transformers reads them. Errors show in ferror(stream). */
void sa_sam_config_write(const sa_sam_config *config, FILE *stream);
void sa_sam_config_write_preprocessor(const sa_sam_config *config, FILE *stream);

#endif
