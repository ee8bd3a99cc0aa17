/* Inside of runtime/cli: the parts of `segagent weights`, one file each. */
#ifndef SA_CLI_WEIGHTS_H
#define SA_CLI_WEIGHTS_H

#include "runtime/cli/cli.h"
#include "runtime/models/llava_tensors.h"
#include "runtime/models/sam_tensors.h"

/* Each gets argv with its own name at argv[0] and returns the exit code. */
int weights_inspect(int argc, char **argv);
int weights_verify(int argc, char **argv);
int weights_convert(int argc, char **argv);

/* A model as its config describes it. */
typedef struct {
    const char *type; /* "sam", "llama", ...: model_type of config.json */
    union {
        sa_sam_config sam;
        sa_llama_config llama;
        sa_clip_table_config clip;
        struct {
            sa_llava_config config;
            sa_llava_table_config spelling;
        } llava;
    } config;
    bool original;         /* the names are the original release's, whatever the match says */
    sa_tensor_table table; /* points into config: the struct must stay where it is */
} weights_model;

/*
 * The model that `path` holds, by config.json of a directory, or by what the tensors of a file show.
 * SA_BAD_INPUT if it is none that this program has.
 */
sa_status weights_read_model(const char *path, const sa_weights *weights, weights_model *model,
                             sa_error *err);

#endif
