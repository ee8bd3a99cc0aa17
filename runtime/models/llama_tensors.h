/* Every tensor of a decoder of the LLaMA family, named once (tensor_table.h). MODEL_SPECS 5.5. */
#ifndef SA_MODELS_LLAMA_TENSORS_H
#define SA_MODELS_LLAMA_TENSORS_H

#include "runtime/models/llama_config.h"
#include "runtime/models/tensor_table.h"

typedef struct {
    const sa_tensor *norm1, *norm2;
    sa_tensor_pair qkv[3], out, gate_up[2], down;
} sa_llama_layer_tensors;

typedef struct {
    const sa_tensor *embed; /* [V, D] */
    sa_llama_layer_tensors layer[SA_LLAMA_MOST_LAYERS];
    const sa_tensor *norm;
    const sa_tensor *head; /* [V, D]; NULL: the embedding is the head */
} sa_llama_tensors;

/*
 * Where the decoder's tensors stand in a file: BODYembed_tokens.weight, BODYlayers.N..., BODYnorm.weight, and
 * HEADweight. {"model.", "lm_head."} in a file that holds nothing else; inside of LLaVA
 * {"language_model.model.", "language_model.lm_head."}, {"model.language_model.", "lm_head."}, ...
 */
typedef struct {
    const char *body, *head;
} sa_llama_names;

extern const sa_llama_names sa_llama_plain_names;
/* Tensors of older files that nobody needs: what llama_rope_table() computes. NULL-terminated. */
extern const char *const sa_llama_ignored[];

/* The walk, for models that contain a decoder. */
void sa_llama_walk(sa_tensor_walk *w, const sa_llama_config *config, const sa_llama_names *names,
                   sa_llama_tensors *tensors);

/* The table of a decoder alone, under its plain names; `config` must outlive it. */
sa_tensor_table sa_llama_tensor_table(const sa_llama_config *config);

#endif
