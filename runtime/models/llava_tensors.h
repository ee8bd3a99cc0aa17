/*
 * Every tensor of a LLaVA, named once: the tower's, the projector's and the decoder's, each under the prefix
 * that it has in the file at hand (MODEL_SPECS 5.5).
 */
#ifndef SA_MODELS_LLAVA_TENSORS_H
#define SA_MODELS_LLAVA_TENSORS_H

#include "runtime/models/clip_tensors.h"
#include "runtime/models/llama_tensors.h"
#include "runtime/models/llava_config.h"

typedef struct {
    sa_clip_tensors vision; /* nothing if the tower has a file of its own */
    sa_tensor_pair projector[SA_LLAVA_MOST_PROJECTOR];
    sa_llama_tensors text;
} sa_llava_tensors;

/* A config and the spelling of one file. */
typedef struct {
    const sa_llava_config *config;
    const char *vision; /* NULL: the tower stands in config->tower */
    const char *projector;
    sa_llama_names text;
} sa_llava_table_config;

/* The spelling is told by what stands in the file; where nothing does, by the layout's usual one. */
void sa_llava_table_config_find(const sa_weights *weights, const sa_llava_config *config,
                                sa_llava_table_config *table);
/* `config` must outlive the table. */
sa_tensor_table sa_llava_tensor_table(const sa_llava_table_config *config);

#endif
