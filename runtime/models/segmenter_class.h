/* What a kind of segmenter implements; segmenter.h states the contracts. */
#ifndef SA_MODELS_SEGMENTER_CLASS_H
#define SA_MODELS_SEGMENTER_CLASS_H

#include "runtime/models/segmenter.h"
#include "runtime/weights/weights.h"

typedef struct {
    size_t candidates, state_side, embedding_channels, embedding_side;
} sa_segmenter_shape;

typedef struct {
    const char *kind;
    void (*close)(void *self);
    sa_status (*encode_start)(void *self, const sa_image *const *pictures, const size_t *slots, size_t count,
                              sa_error *err);
    sa_status (*click_start)(void *self, const sa_segmenter_query *queries, sa_segmenter_answer *answers,
                             size_t count, sa_error *err);
    sa_status (*finish)(void *self, sa_error *err);
    sa_status (*read_embedding)(void *self, size_t slot, float *out, sa_error *err);
    void (*state_from_mask)(const void *self, const sa_mask *mask, float *state);
    sa_segmenter_costs (*costs)(const void *self);
    void (*shape)(const void *self, sa_segmenter_shape *shape);
} sa_segmenter_class;

/* What a click leads to where nothing is computed. */
void sa_segmenter_make_up(const sa_prompt *prompt, sa_segmenter_answer *answer);

extern const sa_segmenter_class sa_sam_class;
/* Opens SAM from `path`; *self goes to the class. Takes over nothing on failure. */
sa_status sa_sam_open(void **self, sa_device *device, const char *path, const sa_segmenter_options *options,
                      sa_error *err);

#endif
