/*
 * What sample.c and sample.cu agree on.
 *
 * A token's weight is exp2((logit - largest) * log2(e) / temperature) in units of 2^-SAMPLE_UNIT, an integer:
 * sums of integers come out the same in any order, so threads may add as they please. What is below one unit,
 * 2^-40 of the largest, is nothing.
 */
#ifndef SA_KERNELS_CUDA_SAMPLE_H
#define SA_KERNELS_CUDA_SAMPLE_H

#include <stdint.h>

enum {
    SAMPLE_PARTS_THREADS = 256,
    SAMPLE_PART = SAMPLE_PARTS_THREADS * 16, /* logits of a block of the first kernel */
    SAMPLE_THREADS = 1024,                   /* of a row's block of the second */
    SAMPLE_BUCKETS = 2 * SAMPLE_THREADS,
    SAMPLE_BITS = 11, /* of a key that one pass looks at: SAMPLE_BUCKETS = 2^11 */
    SAMPLE_UNIT = 40,
    SAMPLE_MOST_TOKENS = 1 << 22, /* sums stay below 2^62 */
    SAMPLE_ROWS = 128,            /* of a launch of the second kernel */
};

/* What the first kernel says of a part of a row. */
typedef struct {
    float largest;
    uint32_t token;  /* the first that has it */
    float sum;       /* of exp(logit - largest) */
    uint32_t broken; /* a logit is NaN or +inf */
} sample_part;

typedef struct {
    const float *logits;
    sample_part *parts; /* [rows, parts] */
    uint32_t vocabulary, parts_a_row;
    int32_t aligned; /* rows begin on 16-byte borders */
} sample_parts_args;

typedef struct {
    float temperature, top_p, min_p, u;
    uint32_t top_k;
} sample_choice_args;

typedef struct {
    const float *logits;
    const sample_part *parts;
    int32_t *token;
    float *logprob;
    uint32_t vocabulary, parts_a_row, first_row;
    sample_choice_args choice[SAMPLE_ROWS];
} sample_choose_args;

#endif
