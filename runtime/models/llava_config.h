/*
 * A LLaVA's parts and sizes (Liu et al. 2023; MODEL_SPECS 5), from a Hugging Face directory (transformers 4
 * and 5) or from the original release's (liuhaotian), whose tower stands in a directory of its own.
 */
#ifndef SA_MODELS_LLAVA_CONFIG_H
#define SA_MODELS_LLAVA_CONFIG_H

#include "runtime/models/clip_config.h"
#include "runtime/models/llama_config.h"

enum { SA_LLAVA_MOST_PROJECTOR = 8 };

/* Stands for a picture in any model's prompt; a model with a token of its own takes that one, too. */
#define SA_LLAVA_PICTURE (-200)

/* How a picture becomes square. */
typedef enum { SA_LLAVA_FIT_AS_CONFIGURED = 0, SA_LLAVA_FIT_PAD, SA_LLAVA_FIT_CROP } sa_llava_fit;

typedef struct {
    size_t depth; /* linears with an activation between them: 1 is "linear", 2 is "mlp2x_gelu" */
    sa_activation act;
    bool bias;
} sa_llava_projector_config;

typedef struct {
    sa_clip_config vision;
    sa_clip_feature feature;
    sa_clip_preprocess preprocess;
    sa_llava_projector_config projector;
    sa_llama_config text;
    int32_t picture_token;      /* in the model's vocabulary, or SA_LLAVA_PICTURE if it has none */
    bool original;              /* the original release's layout and names */
    char tower[SA_CONFIG_PATH]; /* the tower's own directory; "" if there is none */
} sa_llava_config;

/*
 * Reads DIRECTORY/config.json and what belongs to it. What this engine lacks (several feature layers, tiles
 * of a picture, resamplers, another tower than CLIP, ...) is SA_BAD_INPUT, naming file and key.
 */
sa_status sa_llava_config_read(const char *directory, sa_llava_fit fit, sa_llava_config *config,
                               sa_error *err);

#endif
