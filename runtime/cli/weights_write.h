/* Inside of runtime/cli: the files of a model directory, as `segagent weights convert` writes them. */
#ifndef SA_CLI_WEIGHTS_WRITE_H
#define SA_CLI_WEIGHTS_WRITE_H

#include "runtime/cli/weights.h"

/* One job of writing, for a model and the tower that it may have in a directory of its own. */
typedef struct {
    const char *dtype;  /* keep, f32, bf16 or f16 */
    size_t shard_bytes; /* tensors of one file at most, unless a single one is larger */
    sa_log *log;
    size_t tensors; /* out: written in all */
} weights_writing;

/*
 * Writes the model that `in` holds into `directory`, which is there and empty: its tensors as one
 * model.safetensors, or as shards with model.safetensors.index.json; config.json; and whatever else the
 * directory `in` has for tokenizers and pictures. A SAM gets the names that transformers gives it; the others
 * keep theirs. SA_BAD_INPUT if the tensors do not fit the model.
 */
sa_status weights_write(weights_writing *job, const char *in, const char *directory, sa_error *err);

#endif
