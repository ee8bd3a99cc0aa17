/*
 * Every tensor of a CLIP image encoder, named once (MODEL_SPECS 5.5): alone in a file, or under a prefix in
 * a larger model's.
 */
#ifndef SA_MODELS_CLIP_TENSORS_H
#define SA_MODELS_CLIP_TENSORS_H

#include "runtime/models/clip_config.h"
#include "runtime/models/tensor_table.h"

typedef struct {
    sa_tensor_pair norm1, norm2;
    sa_tensor_pair qkv[3], proj, lin1, lin2;
} sa_clip_block_tensors;

typedef struct {
    const sa_tensor *class_token, *patch, *position;
    sa_tensor_pair pre_norm, post_norm; /* the last belongs to a feature that nobody takes here */
    sa_clip_block_tensors block[SA_CLIP_MOST_LAYERS];
} sa_clip_tensors;

/* All of them, under PREFIX ("", "vision_model.", ...). */
void sa_clip_tensors_walk(sa_tensor_walk *w, const sa_clip_config *config, const char *prefix,
                          sa_clip_tensors *tensors);

/*
 * The table of a file that holds a CLIP: *prefix is how its names begin there. What else such a file holds
 * (the text encoder, positions) is ignored.
 */
typedef struct {
    sa_clip_config config;
    const char *prefix;
} sa_clip_table_config;
void sa_clip_table_config_find(const sa_weights *weights, const sa_clip_config *config,
                               sa_clip_table_config *table);
sa_tensor_table sa_clip_tensor_table(const sa_clip_table_config *config);

/* The first of `prefixes` (NULL-terminated) under which the file has an encoder; NULL if it has none. */
const char *sa_clip_find_prefix(const sa_weights *weights, const char *const *prefixes);

#endif
