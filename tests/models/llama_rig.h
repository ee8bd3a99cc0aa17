/*
 * A decoder with its device and its book of pages, for tests and llama_peer: sequences grow by tokens, and
 * logits or sampled tokens come back.
 */
#ifndef SA_TESTS_MODELS_LLAMA_RIG_H
#define SA_TESTS_MODELS_LLAMA_RIG_H

#include "runtime/engine/kv.h"
#include "runtime/models/llama.h"

enum { RIG_SEQUENCES = 40 };

typedef struct {
    sa_device *device;
    sa_llama *llama;
    sa_kv *kv;
    size_t vocabulary;
} llama_rig;

/* `options` with 0 for items: RIG_SEQUENCES. isa NULL: as the program would. Fails the test if it cannot. */
llama_rig llama_rig_open(const char *path, const sa_llama_options *options, const char *isa, int threads);
void llama_rig_close(llama_rig *r);

/* A new, empty sequence. */
sa_kv_sequence llama_rig_begin(llama_rig *r);

/* What one sequence gets in one forward. */
typedef struct {
    sa_kv_sequence sequence;
    const int32_t *tokens;
    size_t count;
    size_t logits;           /* of the last so many tokens */
    const float *embeddings; /* device memory, or NULL */
} llama_rig_part;

/* One forward of all parts: pages are appended, copied where they must be, shared ones are told. */
sa_status llama_rig_forward(llama_rig *r, const llama_rig_part *parts, size_t count, sa_error *err);

/*
 * `count` tokens behind a sequence, in pieces of `piece` (0: all at once); logits [count, V], or NULL for
 * none but the last row's, which stay in the model.
 */
void llama_rig_append(llama_rig *r, sa_kv_sequence sequence, const int32_t *tokens, size_t count,
                      size_t piece, float *logits);

/* Tokens [count] and their log-probabilities behind a sequence whose last forward was its own. */
void llama_rig_continue(llama_rig *r, sa_kv_sequence sequence, const sa_sample_choice *choice, size_t count,
                        int32_t *tokens, float *logprobs);

#endif
