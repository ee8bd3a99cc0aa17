/*
 * The golden cases of tests/golden/sam: a tiny checkpoint with inputs and what transformers (or
 * segment_anything) made of them in f32. Written by weights_tools/golden/make_sam.py; names of tensors there.
 */
#ifndef SA_TESTS_MODELS_GOLDEN_H
#define SA_TESTS_MODELS_GOLDEN_H

#include "runtime/models/segmenter.h"
#include "runtime/weights/weights.h"

enum { GOLDEN_MOST_CLICKS = 64, GOLDEN_MASKS = 3 };

typedef struct {
    sa_image picture;
    sa_click clicks[GOLDEN_MOST_CLICKS];
    sa_prompt prompt;
    float *state;     /* mask prompt, or NULL */
    float *embedding; /* [C,g,g], or NULL where another case of the same picture has it */
    float *logits;    /* [3,s,s] */
    float *scores;    /* [3] */
    uint8_t *masks;   /* [3,h,w] 0 or 1 */
    int best;
} golden_case;

/* Case `index` of an open cases.safetensors; false if there is none. */
bool golden_read(const sa_weights *cases, int index, golden_case *out);
void golden_free(golden_case *c);

#endif
