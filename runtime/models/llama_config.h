/*
 * The sizes of a decoder of the LLaMA family, from a Hugging Face config.json (transformers 4 and 5):
 * LLaMA 1 to 3, Vicuna, SmolLM2 (model_type "llama"), Mistral ("mistral"), Qwen2 and 2.5 ("qwen2").
 */
#ifndef SA_MODELS_LLAMA_CONFIG_H
#define SA_MODELS_LLAMA_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/dtype.h"
#include "runtime/models/config.h"

enum { SA_LLAMA_MOST_LAYERS = 256 };

typedef enum {
    SA_ROPE_PLAIN = 0,
    SA_ROPE_LINEAR, /* all frequencies divided by `factor` */
    SA_ROPE_LLAMA3  /* the low ones divided, the high ones kept, a ramp between */
} sa_rope_kind;

typedef struct {
    sa_rope_kind kind;
    double theta;
    double factor;    /* LINEAR, LLAMA3 */
    double low, high; /* LLAMA3: wavelengths of original / high and shorter are kept, of original / low and */
    size_t original;  /* longer divided */
} sa_rope_config;

typedef struct {
    size_t hidden, layers, heads, kv_heads, head_dim, mlp_dim, vocabulary;
    size_t positions; /* the longest context that the model was made for */
    bool qkv_bias, out_bias, mlp_bias;
    bool tied; /* the head is the embedding */
    float eps;
    sa_rope_config rope;
    sa_dtype dtype; /* of the released weights; f32 if the file does not say */
} sa_llama_config;

/*
 * Reads DIRECTORY/config.json. Missing keys take transformers' defaults for the model_type. Sizes are
 * checked; a key that asks for something this engine lacks (sliding window, other scalings of RoPE, another
 * activation, quantised weights, ...) and another model_type are SA_BAD_INPUT, naming file and key.
 */
sa_status sa_llama_config_read(const char *directory, sa_llama_config *config, sa_error *err);

/*
 * The same from an object of a larger configuration: `part` is its name for errors ("" for the whole file
 * `file`), `type` its model_type, or NULL to read it there.
 */
sa_status sa_llama_config_parse(const json_t *object, const char *file, const char *part, const char *type,
                                sa_llama_config *config, sa_error *err);

#endif
