/* Golden cases of tests/golden/llava, made by weights_tools/golden/make_llava.py; names of tensors there. */
#ifndef SA_TESTS_MODELS_LLAVA_CASES_H
#define SA_TESTS_MODELS_LLAVA_CASES_H

#include "runtime/image/image.h"
#include "runtime/weights/weights.h"

enum { LLAVA_CASES = 5, LLAVA_VARIANTS = 3, LLAVA_MOST_PICTURES = 2, LLAVA_GREEDY = 64 };

extern const char *const llava_variants[LLAVA_VARIANTS]; /* their directories */

typedef struct {
    size_t pictures;
    sa_image picture[LLAVA_MOST_PICTURES];
    uint8_t *square[LLAVA_MOST_PICTURES]; /* what is normalised: [side, side, 3] */
    size_t side;
    float *features;   /* [pictures * tokens, feature_width] */
    float *embeddings; /* [pictures * tokens, width] */
    size_t feature_rows, feature_width, width;
    int32_t *tokens; /* [token_count], a marker for each picture */
    size_t token_count;
    float *logits; /* [rows, vocabulary], of every position with the pictures in place */
    size_t rows, vocabulary;
    int32_t *greedy; /* [LLAVA_GREEDY] */
} llava_case;

sa_weights *llava_open_cases(const char *directory);
void llava_read(const sa_weights *cases, int index, llava_case *out);
void llava_free(llava_case *c);

/* The largest of count values, without signs. */
double llava_largest(const float *values, size_t count);

#endif
